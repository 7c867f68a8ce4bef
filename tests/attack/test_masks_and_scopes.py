"""Masks that tell too much, and row scopes that reach too far."""

from dataclasses import replace
from typing import Any

import pytest

from tanglai.catalogue.divisions import division_prefixes
from tanglai.catalogue.expressions import Attribute, IsNull, ItemRef, Not, Or, Within
from tanglai.catalogue.masks import Mask, MaskKind, render
from tanglai.catalogue.model import NamedMask, Snapshot
from tests.attack.book import Book
from tests.attack.worlds import ODD, TEXT, Pair
from tests.catalogues import MARKET_REGULATION, YINCHUAN, population
from tests.gateways import World, make_grant, requester
from tests.unit.resolvers.conftest import RESIDENT, resident, rows

book = Book(__name__, "Masks and row scopes")
row = book.row

PHONES = "{ data { population { residents { nodes { idNumber phone } totalCount } } } }"
PLACES = "{ data { population { residents { nodes { passport householdId } } } } }"


def with_mask(kind: MaskKind) -> Snapshot:
    known = population()
    of = known.resources[RESIDENT]
    items = tuple(
        replace(item, masks=(NamedMask("m", Mask(kind, 3, 4)),)) if item.name in ("phone", "passport") else item
        for item in of.items
    )
    return replace(known, resources={**known.resources, RESIDENT: replace(of, items=items)})


SHORT = [
    row(701, "KEEP of a text no longer than what is kept", "hidden whole", Mask(MaskKind.KEEP, 3, 4), "1234567"),
    row(702, "KEEP of a text shorter than its prefix", "hidden whole", Mask(MaskKind.KEEP, 3, 4), "12"),
    row(703, "FIRST of one letter", "stars only", Mask(MaskKind.FIRST), "张"),
    row(704, "DOMAIN of a text that is no address", "stars only", Mask(MaskKind.DOMAIN), "secret"),
    row(705, "REGION of a text no longer than the region", "stars only", Mask(MaskKind.REGION, 6), "银川市"),
    row(706, "REDACT of anything", "three stars", Mask(MaskKind.REDACT), "secret"),
]  # fmt: skip


@pytest.mark.parametrize(("mask", "value"), SHORT)
def test_short_values_are_hidden_whole(mask: Mask, value: str) -> None:
    shown = render(mask, value) or ""
    assert set(shown) == {"*"}


@book.attempt(707, "Link the pseudonyms of two departments", "a key of each department's own")
async def test_pseudonyms_of_two_departments() -> None:
    masks = {"phone": "m"}
    held = [
        make_grant(RESIDENT, "phone", id="a", masks=masks),
        make_grant(RESIDENT, "phone", id="b", masks=masks, requester=MARKET_REGULATION.code),
    ]
    world = World(with_mask(MaskKind.PSEUDONYM), rows(), held)
    seen: list[list[str]] = []
    for who in (requester(), requester(department=MARKET_REGULATION), requester()):
        nodes = (await world.ask(PHONES, who=who)).data["data"]["population"]["residents"]["nodes"]
        seen.append([node["phone"] for node in nodes])
    assert seen[0] == seen[2]
    assert not set(seen[0]) & set(seen[1])


@book.attempt(708, "Share the plan of a department that has the same grants, and with it its pseudonym key",
              "the fingerprint holds the mask with its key")  # fmt: skip
async def test_the_mask_key_is_part_of_the_fingerprint() -> None:
    masks = {"phone": "m"}
    held = [make_grant(RESIDENT, "phone", id="same", masks=masks, requester=code)
            for code in (YINCHUAN.code, MARKET_REGULATION.code)]  # fmt: skip
    world = World(with_mask(MaskKind.PSEUDONYM), rows(), held)
    bodies = [
        (await world.ask(PHONES, who=who)).response.body
        for who in (requester(), requester(department=MARKET_REGULATION))
    ]
    assert bodies[0] != bodies[1]


@book.attempt(709, "Filter, order and group a masked item that is clear elsewhere", "compare cells are clear cells")
async def test_partly_masked() -> None:
    held = [
        make_grant(RESIDENT, "phone", id="clear", scope=ODD),
        make_grant(RESIDENT, "phone", id="masked", masks={"phone": "middle"}),
    ]
    query = '{ data { population { residents(where: {phone: {startsWith: "138"}}, orderBy: [{phone: DESC}]) '
    answer = await Pair(held).worlds[0].ask(query + "{ nodes { phone } } } } }")
    nodes = answer.data["data"]["population"]["residents"]["nodes"]
    assert [node["phone"] for node in nodes] == ["13800000007", "13800000005", "13800000003", "13800000001"]


def within(code: str) -> Within:
    return Within(ItemRef("household_id", TEXT), code)


PLACED = [
    "640100",
    "640105",
    "640105001",
    "64010",
    "640",
    "64",
    "640200",
    "６４０１００",
    " 640100",
    "",
    None,
    "640199",
]


def visible(answer: Any) -> set[str | None]:
    nodes = answer.data["data"]["population"]["residents"]["nodes"]
    return {node["householdId"] for node in nodes if node["passport"] is not None}


PLACES_SEEN = [
    row(710, "Rows of another city, of cut, full-width and spaced codes", "prefixes of whole codes", "640100",
        {"640100", "640105", "640105001", "64010", "640199"}),
    row(711, "A county and what is in it", "prefixes of whole codes", "640105", {"640105", "640105001", "640199"}),
    row(712, "A county that begins like a former one", "a former county goes with its successor", "640121", set()),
]  # fmt: skip


@pytest.mark.parametrize(("code", "expected"), PLACES_SEEN)
async def test_scopes_by_division(code: str, expected: set[str | None]) -> None:
    held = rows()
    held["main"]["resident"] = [resident(n, household_id=place) for n, place in enumerate(PLACED, start=1)]
    grants = [make_grant(RESIDENT, "passport household_id", scope=within(code))]
    answer = await World(population(), held, grants).ask(PLACES)
    assert visible(answer) == expected


@book.attempt(713, "Null in the column of a scope, under `not`", "a scope is two-valued")
async def test_null_in_a_scope() -> None:
    held = rows()
    held["main"]["resident"] = [resident(1, household_id=None), resident(2, household_id="640100")]
    for scope, count in ((within("640100"), 1), (Not(within("640100")), 0), (IsNull(ItemRef("household_id", TEXT)), 1)):
        grants = [make_grant(RESIDENT, "passport", scope=scope)]
        answer = await World(population(), held, grants).ask(
            "{ data { population { residents { nodes { passport } } } } }"
        )
        nodes = answer.data["data"]["population"]["residents"]["nodes"]
        assert sum(node["passport"] is not None for node in nodes) == count


@pytest.mark.parametrize("code", ["", "6", "64", "%", "640100 ", "０", "abcdef", "064000"])
@book.attempt(714, "A department without a proper division code, in a scope by its division", "it opens nothing")
async def test_no_division_opens_nothing(code: str) -> None:
    with pytest.raises(ValueError, match="no division code"):
        division_prefixes(code, {})
    known = population()
    who = replace(YINCHUAN, division=code)
    world = World(
        replace(known, departments={**known.departments, who.code: who}),
        rows(),
        [make_grant(RESIDENT, "passport", scope=Within(ItemRef("name", TEXT), Attribute("department.division")))],
    )
    answer = await world.ask(
        "{ data { population { residents { nodes { passport } } } } }", who=requester(department=who)
    )
    assert b"secret" not in answer.response.body


@book.attempt(715, "A scope by an attribute that does not exist, or'ed with a good one", "such a grant opens nothing")
async def test_an_unknown_attribute_opens_nothing() -> None:
    scope = Or((ODD, Within(ItemRef("name", TEXT), Attribute("department.level"))))
    answer = await World(population(), rows(), [make_grant(RESIDENT, "passport", scope=scope)]).ask(
        "{ data { population { residents { nodes { passport } } } } }"
    )
    assert b"secret" not in answer.response.body


@book.attempt(716, "A grant with a mask that the item no longer declares", "it opens nothing, not even clear")
async def test_an_unknown_mask_opens_nothing() -> None:
    grants = [make_grant(RESIDENT, "passport", masks={"passport": "gone"})]
    answer = await World(population(), rows(), grants).ask(
        "{ data { population { residents { nodes { passport } } } } }"
    )
    assert b"secret" not in answer.response.body
