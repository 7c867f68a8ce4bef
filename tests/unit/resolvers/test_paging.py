"""Pages: both ways, over every order, never twice, never beyond what the principal may see."""

from typing import Any

import pytest

from tanglai.catalogue.expressions import Compare, CompareOp, ItemRef, Value
from tanglai.catalogue.scalars import ScalarType
from tests.cases import case
from tests.catalogues import CONDITIONAL, YINCHUAN, make_item, make_resource, make_snapshot, population
from tests.gateways import World, make_grant, requester
from tests.unit.resolvers.conftest import RESIDENT, resident, rows

PAGE = """query($first: Int, $last: Int, $after: String, $before: String) { data { population {
  residents(first: $first, last: $last, after: $after, before: $before %s) {
    edges { cursor node { name } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } } } }"""


def page(answer: Any) -> Any:
    return answer.data["data"]["population"]["residents"]


ORDERS = [
    "",
    "orderBy: [{name: DESC}]",
    "orderBy: [{sex: ASC}, {birthDate: DESC}]",
    "orderBy: [{passport: ASC}]",
    "orderBy: [{passport: DESC}]",
    "orderBy: [{passport: DESC}, {sex: ASC}]",
    "orderBy: [{income: ASC}, {updated: ASC}]",
    "orderBy: [{score: DESC}, {wakes: ASC}, {serial: ASC}, {married: DESC}]",
]


@case(5, twin=True)
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 8])
async def test_pages_forwards_and_backwards_see_every_row_once_in_order(order: str, size: int) -> None:
    contents = rows()
    contents["main"]["resident"] += [resident(8, passport=None), resident(9, passport=None, income=None)]
    world = World(population(), contents, [make_grant(RESIDENT, "passport income")])
    query = PAGE % order
    whole = [edge["node"]["name"] for edge in page(await world.ask(query, {"first": 100}))["edges"]]
    assert len(whole) == 9
    forwards: list[str] = []
    after = None
    while True:
        found = page(await world.ask(query, {"first": size, "after": after}))
        forwards += [edge["node"]["name"] for edge in found["edges"]]
        assert found["pageInfo"]["hasPreviousPage"] == (after is not None)
        if not found["pageInfo"]["hasNextPage"]:
            break
        assert found["pageInfo"]["endCursor"] == found["edges"][-1]["cursor"]
        after = found["pageInfo"]["endCursor"]
    assert forwards == whole
    backwards: list[str] = []
    before = None
    while True:
        found = page(await world.ask(query, {"last": size, "before": before}))
        backwards = [edge["node"]["name"] for edge in found["edges"]] + backwards
        if not found["pageInfo"]["hasPreviousPage"]:
            break
        assert found["pageInfo"]["startCursor"] == found["edges"][0]["cursor"]
        before = found["pageInfo"]["startCursor"]
    assert backwards == whole
    middle = page(await world.ask(query, {"first": 9}))["edges"]
    between = page(await world.ask(query, {"first": 9, "after": middle[1]["cursor"], "before": middle[6]["cursor"]}))
    assert [edge["node"]["name"] for edge in between["edges"]] == whole[2:6]


@pytest.mark.parametrize(
    ("variables", "code"),
    [
        ({"first": -1}, "BAD_INPUT"),
        ({"first": 1001}, "BAD_INPUT"),
        ({"last": 1001}, "BAD_INPUT"),
        ({"first": 2147483648}, "BAD_INPUT"),
        ({"first": 1, "last": 1}, "BAD_INPUT"),
        ({"after": "garbage"}, "BAD_CURSOR"),
        ({"after": ""}, "BAD_CURSOR"),
        ({"after": "c."}, "BAD_CURSOR"),
        ({"before": "c.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}, "BAD_CURSOR"),
        ({"after": "r.AAAA"}, "BAD_CURSOR"),
        ({"after": "c." + "A" * 100_000}, "BAD_CURSOR"),
    ],
)
async def test_bad_pages_are_refused_before_any_source(world: World, variables: dict[str, Any], code: str) -> None:
    answer = await world.ask(PAGE % "", variables)
    assert answer.codes == [code]
    assert world.sources.calls == []


async def test_an_empty_page(world: World) -> None:
    found = page(await world.ask(PAGE % "", {"first": 0}))
    assert found == {
        "edges": [],
        "pageInfo": {"hasNextPage": True, "hasPreviousPage": False, "startCursor": None, "endCursor": None},
    }


async def test_a_cursor_belongs_to_department_purpose_order_and_filter(world: World) -> None:
    both = requester(purposes=frozenset({"assistance", "licensing"}))
    cursor = page(await world.ask(PAGE % "", {"first": 1}, who=both, purpose="assistance"))["pageInfo"]["endCursor"]
    after = {"first": 1, "after": cursor}
    assert page(await world.ask(PAGE % "", after, who=both, purpose="assistance"))["edges"]
    assert (await world.ask(PAGE % "", after, who=both, purpose="licensing")).codes == ["BAD_CURSOR"]
    assert (await world.ask(PAGE % "orderBy: [{name: ASC}]", after)).codes == ["BAD_CURSOR"]
    assert (await world.ask(PAGE % 'where: {sex: {eq: "1"}}', after)).codes == ["BAD_CURSOR"]
    from tests.catalogues import MARKET_REGULATION

    assert (await world.ask(PAGE % "", after, who=requester(department=MARKET_REGULATION))).codes == ["BAD_CURSOR"]
    query = PAGE.replace("$before: String)", "$before: String, $s: String!)") % "where: {sex: {eq: $s}}"
    one = page(await world.ask(query, {"first": 1, "s": "1"}))["pageInfo"]["endCursor"]
    assert page(await world.ask(query, {"first": 1, "s": "1", "after": one}))["edges"]
    assert (await world.ask(query, {"first": 1, "s": "2", "after": one})).codes == ["BAD_CURSOR"]


async def test_without_handle_or_clear_key_there_is_a_first_page_only(world: World) -> None:
    fields = "nodes { site { __typename } }".replace(" { __typename }", "")
    query = f"{{ data {{ transport {{ inspections(first: 1) {{ {fields} pageInfo {{ endCursor }} }} }} }} }}"
    answer = await world.ask(query)
    assert answer.data["data"]["transport"]["inspections"] == {
        "nodes": [{"site": {"type": "Point", "coordinates": [1, 2]}}],
        "pageInfo": {"endCursor": None},
    }
    for more in ('after: "x"', 'before: "x"', "last: 1"):
        answer = await world.ask(f"{{ data {{ transport {{ inspections({more}) {{ {fields} }} }} }} }}")
        assert answer.codes == ["CAPABILITY_MISSING"]


async def test_total_count_is_one_more_statement_only_when_asked(world: World) -> None:
    await world.ask("{ data { population { residents(first: 1) { nodes { name } } } } }")
    assert len(world.sources.calls) == 1
    answer = await world.ask("{ data { population { residents(first: 1) { nodes { name } totalCount } } } }")
    assert len(world.sources.calls) == 2
    assert page(answer)["totalCount"] == 7


async def test_a_cursor_over_the_handle_itself_survives_a_change_of_grants() -> None:
    """An item may be bound to the handle's column; what a cursor holds does not tell on which rows it is clear."""
    word = make_resource(
        "word",
        [make_item("serial", ScalarType.LONG, column="handle", share_class=CONDITIONAL), make_item("text")],
        code="W/1",
    )
    contents = {"main": {"word": [{"handle": number, "text": f"t{number}"} for number in range(1, 5)]}}
    world = World(make_snapshot([word]), contents, [make_grant("W/1", "serial")])
    query = (
        "query($after: String) { data { population { words(orderBy: [{serial: ASC}], first: 2, after: $after) "
        "{ nodes { text } pageInfo { endCursor } } } } }"
    )
    first = (await world.ask(query)).data["data"]["population"]["words"]
    low = Compare(CompareOp.LTE, ItemRef("serial", ScalarType.LONG), Value(3, ScalarType.LONG))
    world.replica.held[YINCHUAN.code] = (make_grant("W/1", "serial", scope=low),)
    answer = await world.ask(query, {"after": first["pageInfo"]["endCursor"]})
    assert answer.errors == []
    assert [row["text"] for row in answer.data["data"]["population"]["words"]["nodes"]] == ["t3", "t4"]
