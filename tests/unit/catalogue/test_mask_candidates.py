"""How many identity numbers remain: counted again by writing all of them down."""

from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import product

import pytest

from tanglai.catalogue.identity import resident_check
from tanglai.catalogue.mask_candidates import FEWEST, Birth, Known, candidates

TODAY = date(2026, 11, 23)
DIVISIONS = frozenset({"640000", "640100", "640104", "640121", "640221", "640105", "650102"})
COUNTIES = ("640104", "640121", "640221", "640105", "650102")
ORDERS = [f"{n:03}" for n in range(1, 1_000)]


def days(first: date, until: date) -> Iterator[str]:
    while first < until:
        yield f"{first:%Y%m%d}"
        first += timedelta(1)


ALL_DAYS = list(days(date(1925, 1, 1), TODAY))


def test_the_measured_figures_of_6_and_4() -> None:
    """What shows 640104********0125: 3,383 of 37,216 birth dates, 34 of a year, 1 with the date."""
    division, order = "640104", "012"
    checks = {day: resident_check(division + day + order) for day in ALL_DAYS}
    assert len(checks) == 37_216
    remaining = Counter(checks.values())
    of_1990 = Counter(check for day, check in checks.items() if day.startswith("1990"))
    assert 3_383 in remaining.values()
    assert 34 in of_1990.values()
    assert candidates(Known(6, 4), frozenset({division}), TODAY) == min(remaining.values()) == 3_376
    years = [Counter(check for day, check in checks.items() if day[:4] == str(year)) for year in range(1925, 2027)]
    fewest = min(min(counter.values()) for counter in years)
    assert candidates(Known(6, 4, birth=Birth.YEAR), DIVISIONS, TODAY) == fewest == 28
    assert candidates(Known(6, 4, birth=Birth.DATE), DIVISIONS, TODAY) == 1
    assert fewest < FEWEST < min(remaining.values())


def shown(number: str, known: Known) -> tuple[str, ...]:
    """What somebody sees of `number`, who knows what `known` says."""
    return (
        number[: known.prefix],
        number[18 - known.suffix :],
        number[: known.division],
        number[6 : {Birth.NOTHING: 6, Birth.YEAR: 10, Birth.DATE: 14}[known.birth]],
        str(int(number[16]) % 2) if known.sex else "",
    )


BORN = list(days(date(2026, 8, 20), TODAY))[:3]


@pytest.mark.parametrize(
    "known",
    [
        Known(birth=Birth.DATE),
        Known(0, 0, 6, Birth.DATE, True),
        Known(1, 2, birth=Birth.DATE),
        Known(1, 2, 6, Birth.DATE),
        Known(1, 2, 4, Birth.DATE, True),
        Known(0, 1, birth=Birth.DATE, sex=True),
        Known(0, 3, birth=Birth.DATE),
        Known(6, 1, birth=Birth.DATE),
        Known(15, 0, birth=Birth.DATE),
        Known(4, 4, birth=Birth.DATE),
        Known(3, 2, birth=Birth.DATE),
    ],
)
def test_against_all_numbers_of_a_birth_date(known: Known) -> None:
    bodies = (division + day + order for division, day, order in product(COUNTIES, BORN, ORDERS))
    numbers = Counter(shown(body + resident_check(body), known) for body in bodies)
    assert candidates(known, DIVISIONS, TODAY) == min(numbers.values())


def test_against_all_numbers_of_a_young_region() -> None:
    """All that can be written of the people of one county born within three days, by what of them is shown."""
    today = date(1925, 1, 4)  # counted from 1824
    few = [f"{day:%Y%m%d}" for day in (date(1824, 1, 1), date(1825, 1, 3))]
    assert candidates(Known(6, 0, birth=Birth.DATE), DIVISIONS, today) == len(ORDERS)
    assert candidates(Known(14, 0), DIVISIONS, today) == len(ORDERS) < FEWEST
    for day in few:
        sums = Counter(resident_check("640104" + day + order) for order in ORDERS)
        assert min(sums.values()) == candidates(Known(6, 1, birth=Birth.DATE), frozenset({"640104"}), today)


@pytest.mark.parametrize(
    ("mask", "facts"),
    [
        (Known(1, 2), [Known(), Known(birth=Birth.YEAR), Known(birth=Birth.YEAR, division=6, sex=True)]),
        (Known(6, 4), [Known()]),
    ],
)
def test_what_more_knowledge_leaves_is_less(mask: Known, facts: list[Known]) -> None:
    left = [candidates(Known(mask.prefix, mask.suffix, f.division, f.birth, f.sex), DIVISIONS, TODAY) for f in facts]
    assert left == sorted(left, reverse=True)
    assert all(number >= FEWEST for number in left)
    assert candidates(Known(mask.prefix, mask.suffix, birth=Birth.DATE), DIVISIONS, TODAY) < FEWEST


def test_without_divisions_the_division_counts_as_known() -> None:
    known = Known(0, 4, birth=Birth.YEAR)
    one = candidates(known, frozenset({"640104"}), TODAY)
    assert candidates(known, frozenset(), TODAY) == candidates(known, frozenset({"640000"}), TODAY) == one
