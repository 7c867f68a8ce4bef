"""Which division codes lie within a division, told by cases and by a slow definition on random registers."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tanglai.catalogue.divisions import division_prefixes, territory
from tanglai.catalogue.model import Division
from tests.unit.catalogue.strategies import UNHURRIED

START, END = date(1980, 1, 1), date(2004, 1, 1)


def register(*entries: str) -> dict[str, Division]:
    """`640104` is valid today, `640321>640502` was succeeded, `640321>` ended without a successor."""
    divisions = {}
    for entry in entries:
        code, former, successor = entry.partition(">")
        divisions[code] = Division(code, code, code, START, END if former else None, successor or None)
    return divisions


NOW = register("640000", "640100", "640104", "640105", "640300", "640400", "640500", "640502", "640522")


@pytest.mark.parametrize(
    ("code", "former", "expected"),
    [
        ("640000", [], ("64",)),
        ("640100", [], ("6401",)),
        ("640104", [], ("640104",)),
        ("640181", [], ("640181",)),  # not registered: its own territory
        ("640104", ["640102>640104"], ("640102", "640104")),
        ("640100", ["640102>640104"], ("6401",)),  # moved within the city
        ("640100", ["642101>640105"], ("6401", "642101")),  # moved into the city
        ("640104", ["642101>640105"], ("640104",)),
        ("640105", ["642101>640102", "640102>640105"], ("640102", "640105", "642101")),  # a chain of two
        ("640000", ["622301>640522"], ("622301", "64")),  # from another region
        ("640400", ["642200>640400"], ("6404", "6422")),  # a former prefecture with all that was in it
        ("640100", ["640199>"], ("6401",)),  # ended without a successor: where its code says
    ],
)
def test_prefixes(code: str, former: list[str], expected: tuple[str, ...]) -> None:
    assert division_prefixes(code, {**NOW, **register(*former)}) == expected


def test_what_moved_out_is_no_longer_within() -> None:
    moved = {**NOW, **register("640321>640502")}
    assert "640321" in division_prefixes("640500", moved)
    wuzhong = division_prefixes("640300", moved)
    assert not "640321".startswith(wuzhong)
    assert not "640321100".startswith(wuzhong)
    assert all(f"6403{rest:02}".startswith(wuzhong) for rest in range(100) if rest != 21)
    assert division_prefixes("640000", moved) == ("64",)


def test_a_county_that_left_a_former_prefecture_does_not_follow_it() -> None:
    moved = {**NOW, **register("642200>640400", "642223>640522")}
    guyuan = division_prefixes("640400", moved)
    assert "642221".startswith(guyuan)
    assert not "642223".startswith(guyuan)
    assert "642223" in division_prefixes("640500", moved)


def test_a_former_division_still_means_itself() -> None:
    moved = {**NOW, **register("640321>640502")}
    assert division_prefixes("640321", moved) == ("640321",)


def test_a_circle_leads_nowhere() -> None:
    circle = {**NOW, **register("641001>641002", "641002>641001")}
    assert division_prefixes("641001", circle) == ("641001",)
    assert division_prefixes("640104", circle) == ("640104",)
    assert not "641001".startswith(division_prefixes("640000", circle))


@pytest.mark.parametrize("code", ["", "64", "6401", "64010x", "040100", "640100000000", "640100\n", "６４０１００"])
def test_what_is_no_code_is_refused(code: str) -> None:
    with pytest.raises(ValueError, match="no division code"):
        division_prefixes(code, NOW)


def within(row: str, code: str, divisions: dict[str, Division]) -> bool:
    """The definition, row by row: where is the row's division now?"""
    place = row
    known = [d for d in divisions.values() if row.startswith(territory(d.code))]
    known = [d for d in known if d.successor is not None or d.valid_to is None or d.code == code]
    nearest = max(known, key=lambda d: len(territory(d.code)), default=None)
    if nearest is not None and nearest.code == code:
        return True
    if nearest is not None:
        place, seen = nearest.code, {nearest.code}
        passed = [place]
        while place in divisions and divisions[place].successor is not None:
            place = str(divisions[place].successor)
            if place in seen:
                return False
            seen.add(place)
            passed.append(place)
        if code in passed:
            return True
        if place == nearest.code:
            place = row
    return place.startswith(territory(code))


codes = st.sampled_from(["640000", "640100", "640200", "640101", "640102", "640201", "650000", "650100", "650101"])


@UNHURRIED
@given(
    st.dictionaries(codes, st.tuples(st.booleans(), st.none() | codes), max_size=7),
    codes,
    st.sampled_from(
        ["640101", "640102", "640109", "640201", "640209", "640301", "650101", "650109", "660101", "640100"]
    ),
)
def test_prefixes_say_what_the_definition_says(
    entries: dict[str, tuple[bool, str | None]], code: str, row: str
) -> None:
    divisions = {
        c: Division(c, c, c, START, END if ended or successor else None, successor)
        for c, (ended, successor) in entries.items()
    }
    assert row.startswith(division_prefixes(code, divisions)) == within(row, code, divisions)
