"""Cases 1 to 16 of authorization.md: what a denied or partly hidden item can do to an answer. Nothing."""

from dataclasses import replace
from typing import Any

import pytest

from authz.principal import TokenScope
from resolvers.seals import CURSOR
from tanglai.catalogue.expressions import Compare, CompareOp, Expression, ItemRef, Match, MatchOp, Not, Value
from tanglai.catalogue.model import ShareClass, Snapshot
from tanglai.catalogue.scalars import ScalarType
from tests.cases import case, hole
from tests.catalogues import population
from tests.gateways import World, make_grant, requester
from tests.unit.resolvers.conftest import HOUSEHOLD, RESIDENT, VEHICLE, follow_all, resident, rows

TEXT = ScalarType.TEXT
ODD: Expression = Compare(CompareOp.EQ, ItemRef("sex", TEXT), Value("1", TEXT))


def residents(arguments: str = "", fields: str = "nodes { name }") -> str:
    given = f"({arguments})" if arguments else ""
    return f"{{ data {{ population {{ residents{given} {{ {fields} }} }} }} }}"


def nodes(answer: Any) -> list[dict[str, Any]]:
    return list(answer.data["data"]["population"]["residents"]["nodes"])


def closed(code: str) -> Snapshot:
    """The catalogue in which every item of resource `code` is conditional."""
    snapshot = population()
    resource = snapshot.resources[code]
    items = tuple(replace(item, share_class=ShareClass.CONDITIONAL) for item in resource.items)
    return replace(snapshot, resources={**snapshot.resources, code: replace(resource, items=items)})


DENIED_FILTERS = [
    '{passport: {eq: "x"}}',
    '{passport: {ne: "x"}}',
    '{passport: {in: ["x"]}}',
    "{passport: {in: []}}",
    "{passport: {notIn: []}}",
    "{passport: {isNull: true}}",
    "{passport: {}}",
    '{passport: {startsWith: ""}}',
    '{not: {passport: {eq: "x"}}}',
    '{or: [{name: {eq: "n1"}}, {passport: {eq: "x"}}]}',
    '{and: [{not: {not: {or: [{and: [{passport: {gt: "a"}}]}]}}}]}',
    '{household: {some: {members: {every: {passport: {eq: "x"}}}}}}',
    '{vehicles: {none: {keeper: {some: {passport: {eq: "x"}}}}}}',
]


@hole("hasura-exists")
@case(1, 2, 3)
@pytest.mark.parametrize("where", DENIED_FILTERS)
async def test_cases_1_to_3_a_denied_item_in_where_refuses_before_any_source(linked: World, where: str) -> None:
    answer = await linked.ask(residents(f"where: {where}"))
    assert "data" not in answer.body
    assert answer.codes == ["GRANT_REQUIRED"]
    assert answer.response.status == 403
    assert linked.sources.calls == []
    assert answer.errors[0]["extensions"]["remedy"]["action"] == "APPLY"


@case(1, 2, 3, twin=True)
@pytest.mark.parametrize("where", DENIED_FILTERS)
async def test_cases_1_to_3_twin_with_a_grant_the_same_filter_answers(where: str) -> None:
    world = World(population(), rows(), [*follow_all(), make_grant(RESIDENT, "passport")])
    answer = await world.ask(residents(f"where: {where}"))
    assert answer.errors == []
    assert world.sources.calls or where == "{passport: {in: []}}"


@case(1)
async def test_case_1_a_denied_filter_in_a_variable_is_denied_too(world: World) -> None:
    query = "query($w: ResidentWhere) { data { population { residents(where: $w) { nodes { name } } } } }"
    assert (await world.ask(query, {"w": {"passport": {"eq": "x"}}})).codes == ["GRANT_REQUIRED"]
    assert world.sources.calls == []
    assert len(nodes(await world.ask(query, {"w": {"name": {"eq": "n1"}}}))) == 1


@case(5)
async def test_case_5_order_by_a_denied_item(world: World) -> None:
    answer = await world.ask(residents("orderBy: [{passport: ASC}]"))
    assert answer.codes == ["GRANT_REQUIRED"]
    assert world.sources.calls == []


@hole("dab-cursor")
@case(5)
async def test_case_5_a_cursor_is_sealed_and_holds_compare_cells_only() -> None:
    world = World(population(), rows(), [make_grant(RESIDENT, "height", scope=ODD)])
    fields = "edges { cursor node { name } }"
    answer = await world.ask(residents("orderBy: [{height: DESC}], first: 7", fields))
    cursors = [edge["cursor"] for edge in answer.data["data"]["population"]["residents"]["edges"]]
    query, _ = world.sources.calls[0]
    values = await world.sources.connectors["main"].fetch(query, {"limit:7": 8}, timeout=1)
    hidden = {row["height"] for row in rows()["main"]["resident"] if row["sex"] == "2"}
    assert not hidden & {value for row in values for value in row if isinstance(value, int)}
    assert all(cursor.startswith(f"{CURSOR}.") for cursor in cursors)
    assert len({len(cursor) for cursor in cursors}) == 1


@case(6, 7)
@pytest.mark.parametrize(
    "field",
    [
        "residentsAggregate(groupBy: [PASSPORT]) { count }",
        "residentsAggregate { countDistinct { passport } }",
        "residentsAggregate { countValues { passport } }",
        "residentsAggregate { min { passport } }",
        "residentsAggregate { max { income } }",
        "residentsAggregate { sum { income } }",
        "residentsAggregate { avg { income } }",
    ],
)
async def test_cases_6_and_7_groups_and_aggregates_over_denied_items(world: World, field: str) -> None:
    answer = await world.ask(f"{{ data {{ population {{ {field} }} }} }}")
    assert answer.codes == ["GRANT_REQUIRED"]
    assert world.sources.calls == []
    opened = World(population(), rows(), [make_grant(RESIDENT, "passport income")])
    assert (await opened.ask(f"{{ data {{ population {{ {field} }} }} }}")).errors == []


@case(6, 10)
@pytest.mark.parametrize(
    "use",
    [
        residents('where: {phone: {eq: "13800000001"}}'),
        residents("where: {phone: {isNull: false}}"),
        residents("orderBy: [{phone: ASC}]"),
        "{ data { population { residentsAggregate(groupBy: [PHONE]) { count } } } }",
        "{ data { population { residentsAggregate { countDistinct { phone } } } } }",
    ],
)
async def test_cases_6_and_10_a_masked_item_is_selected_and_nothing_more(use: str) -> None:
    world = World(population(), rows(), [make_grant(RESIDENT, "phone", masks={"phone": "middle"})])
    answer = await world.ask(use)
    assert answer.codes == ["MASKED_USE"]
    assert world.sources.calls == []
    shown = await world.ask(residents("first: 1", "nodes { phone }"))
    assert nodes(shown) == [{"phone": "138****0001"}]
    assert shown.extensions["masked"] == ["data.population.residents.nodes.phone"]


@case(9)
async def test_case_9_a_relation_needs_its_own_grant_and_its_keys_stay_inside(world: World) -> None:
    fields = "nodes { name household { address } }"
    answer = await world.ask(residents("first: 1", fields))
    assert nodes(answer) == [{"name": "n1", "household": None}]
    assert answer.codes == ["GRANT_REQUIRED"]
    assert [query.table for query, _ in world.sources.calls] == ["resident"]
    keys = World(population(), rows(), [make_grant(RESIDENT, "household_id"), make_grant(HOUSEHOLD, "number", "g2")])
    assert (await keys.ask(residents("first: 1", fields))).codes == ["GRANT_REQUIRED"]
    opened = World(population(), rows(), follow_all())
    answer = await opened.ask(residents("first: 1", fields))
    assert nodes(answer) == [{"name": "n1", "household": {"address": "street 1"}}]
    assert "h1" not in answer.response.body.decode().replace("street", "")


@case(10, 11)
async def test_cases_10_and_11_hidden_values_do_not_matter() -> None:
    """Two worlds that differ only where the grant does not reach answer byte for byte alike, with equal calls."""
    even = Compare(CompareOp.EQ, ItemRef("sex", TEXT), Value("2", TEXT))
    grants = [
        make_grant(RESIDENT, "height phone", "g1", scope=even, masks={"phone": "middle"}),
        make_grant(RESIDENT, "income", "g2", scope=even),
    ]
    queries = [
        residents("orderBy: [{height: DESC}], first: 3", "nodes { name height phone } pageInfo { endCursor }"),
        residents("where: {height: {gt: 173}}", "nodes { name } totalCount"),
        residents("where: {not: {height: {eq: 171}}}", "nodes { name } totalCount"),
        residents("where: {or: [{height: {isNull: true}}, {income: {lt: 2}}]}", "nodes { name }"),
        "{ data { population { residentsAggregate(groupBy: [HEIGHT]) { count key { height } sum { income } } } } }",
    ]
    raw, other = rows(), rows()
    for row in other["main"]["resident"]:
        if row["sex"] == "1":
            row.update(height=171 if row["height"] != 171 else 999, income=row["income"] * 100, phone="1")
    for query in queries:
        answers = []
        for contents in (raw, other):
            world = World(population(), contents, grants)
            response = (await world.ask(query)).response.body
            answers.append((response, [(repr(q), arguments) for q, arguments in world.sources.calls]))
        assert answers[0] == answers[1], query


@hole("hasura-relations")
@case(12)
async def test_case_12_row_scope_holds_through_relations() -> None:
    """Plates are visible on some vehicles only; the others cannot be found through their keepers either."""
    own = Match(MatchOp.STARTS_WITH, ItemRef("plate", TEXT), Value("P1", TEXT))
    snapshot = closed(VEHICLE)
    grants = [*follow_all(), make_grant(VEHICLE, "plate", "g9", scope=own)]
    world = World(snapshot, rows(), grants)
    some = await world.ask(residents("where: {vehicles: {some: {}}}"))
    assert nodes(some) == [{"name": "n1"}]
    none = await world.ask(residents("where: {vehicles: {none: {}}}"))
    assert {"name": "n2"} in nodes(none)
    listed = await world.ask(residents("first: 2", "nodes { vehicles { nodes { plate } totalCount } }"))
    assert nodes(listed) == [
        {"vehicles": {"nodes": [{"plate": "P1"}], "totalCount": 1}},
        {"vehicles": {"nodes": [], "totalCount": 0}},
    ]


@case(13)
async def test_case_13_counts_pages_and_aggregates_obey_row_scope() -> None:
    snapshot = closed(HOUSEHOLD)
    scope = Not(Compare(CompareOp.EQ, ItemRef("number", TEXT), Value("h1", TEXT)))
    world = World(snapshot, rows(), [make_grant(HOUSEHOLD, "address", scope=scope)])
    answer = await world.ask(
        "{ data { population { households(first: 2) { totalCount nodes { address } pageInfo { hasNextPage } } "
        "householdsAggregate { count countValues { address } } } } }"
    )
    assert answer.data["data"]["population"] == {
        "households": {
            "totalCount": 2,
            "nodes": [{"address": "street 0"}, {"address": "street 2"}],
            "pageInfo": {"hasNextPage": False},
        },
        "householdsAggregate": [{"count": 2, "countValues": {"address": 2}}],
    }
    nothing = World(snapshot, rows())
    answer = await nothing.ask("{ data { population { households { totalCount nodes { address } } } } }")
    assert answer.data["data"]["population"]["households"] == {"totalCount": 0, "nodes": []}
    assert answer.codes == ["GRANT_REQUIRED"]
    assert nothing.sources.calls == []


@case(14)
async def test_case_14_an_undefined_variable_never_widens(world: World) -> None:
    query = "query($p: String) { data { population { residents(where: {name: {eq: $p}}) { nodes { name } } } } }"
    answer = await world.ask(query)
    assert answer.codes == ["BAD_INPUT"]
    assert world.sources.calls == []
    assert nodes(await world.ask(query, {"p": "n1"})) == [{"name": "n1"}]
    assert (await world.ask(query, {"p": None})).codes == ["BAD_INPUT"]
    assert (await world.ask(residents("wher: {}"))).codes == ["BAD_INPUT"]
    assert (await world.ask(query, {"p": 5})).codes == ["BAD_INPUT"]


@case(15)
@pytest.mark.parametrize(
    ("where", "count"),
    [
        ("{}", 7),
        ("{and: []}", 7),
        ("{or: []}", 0),
        ("{not: {}}", 0),
        ("{name: {in: []}}", 0),
        ("{name: {notIn: []}}", 7),
        ("{name: {}}", 7),
        ("{not: {or: []}}", 7),
    ],
)
async def test_case_15_empty_filters_mean_what_they_say(world: World, where: str, count: int) -> None:
    assert len(nodes(await world.ask(residents(f"where: {where}")))) == count


@case(15)
@pytest.mark.parametrize("where", ["{name: null}", "{name: {eq: null}}", "{and: null}", "{not: null}"])
async def test_case_15_an_explicit_null_is_an_error(world: World, where: str) -> None:
    assert (await world.ask(residents(f"where: {where}"))).codes == ["BAD_INPUT"]
    assert world.sources.calls == []


@case(16)
async def test_case_16_values_are_parameters_and_names_come_from_the_schema(world: World) -> None:
    attack = "n1' OR '1'='1"
    query = "query($p: String!) { data { population { residents(where: {name: {eq: $p}}) { nodes { name } } } } }"
    assert nodes(await world.ask(query, {"p": attack})) == []
    assert (await world.ask(residents('where: {name: {"eq; drop": "x"}}'))).codes == ["BAD_INPUT"]
    assert (await world.ask(query, {"p": "a\x00b"})).codes == ["BAD_INPUT"]
    assert (await world.ask(query, {"p": "\ud800"})).codes == ["BAD_INPUT"]


async def test_null_logic_of_hidden_cells() -> None:
    """`isNull` is true on hidden cells, `not` keeps unknown."""
    world = World(population(), rows(), [make_grant(RESIDENT, "height", scope=ODD)])
    hidden = await world.ask(residents("where: {height: {isNull: true}}"))
    assert [node["name"] for node in nodes(hidden)] == ["n2", "n4", "n6"]
    other = await world.ask(residents("where: {not: {height: {eq: 171}}}"))
    assert [node["name"] for node in nodes(other)] == ["n3", "n5", "n7"]


async def test_every_none_and_some_over_links(linked: World) -> None:
    async def names(where: str) -> list[str]:
        return [node["name"] for node in nodes(await linked.ask(residents(f"where: {where}")))]

    assert await names('{vehicles: {every: {plate: {startsWith: "P3"}}}}') == ["n2", "n3", "n4", "n5", "n6", "n7"]
    assert await names('{vehicles: {some: {plate: {in: ["P2", "P3"]}}}}') == ["n1", "n2"]
    assert await names('{not: {vehicles: {some: {plate: {eq: "P1"}}}}}') == ["n2", "n3", "n4", "n5", "n6", "n7"]
    assert await names('{household: {some: {address: {eq: "street 0"}}}}') == ["n3", "n6"]
    assert await names('{household: {none: {address: {eq: "street 0"}}}}') == ["n1", "n2", "n4", "n5", "n7"]


async def test_a_scope_in_the_token_narrows_filters_too() -> None:
    world = World(population(), rows())
    narrow = requester(scopes=frozenset({TokenScope(RESIDENT, "name")}))
    assert (await world.ask(residents('where: {idNumber: {eq: "id1"}}'), who=narrow)).codes == ["SCOPE_EXCEEDED"]
    assert len(nodes(await world.ask(residents(), who=narrow))) == 7


async def test_duplicate_rows_stay(world: World) -> None:
    """V is a bag: overlapping grants never duplicate a row, equal rows are all there."""
    contents = rows()
    contents["main"]["resident"].append(resident(1, handle=99))
    grants = [make_grant(RESIDENT, "height", f"g{n}") for n in range(3)]
    doubled = World(population(), contents, grants)
    assert [node["name"] for node in nodes(await doubled.ask(residents('where: {name: {eq: "n1"}}')))] == ["n1", "n1"]


@hole("directus-search")
@case(8)
async def test_case_8_search_skips_what_is_not_granted(world: World) -> None:
    """The text of a denied item finds nothing, and says nothing; with a grant it finds the row."""
    for needle, names in (("n3", ["n3"]), ("id5", ["n5"]), ("secret3", []), ("1380000", [])):
        answer = await world.ask(residents(f'search: "{needle}"'))
        assert [node["name"] for node in nodes(answer)] == names
        assert answer.errors == []
    opened = World(population(), rows(), [make_grant(RESIDENT, "passport", scope=ODD)])
    assert [node["name"] for node in nodes(await opened.ask(residents('search: "secret3"')))] == ["n3"]
    assert nodes(await opened.ask(residents('search: "secret4"'))) == []
    masked = World(population(), rows(), [make_grant(RESIDENT, "phone", masks={"phone": "middle"})])
    assert nodes(await masked.ask(residents('search: "1380000"'))) == []
    both = residents('search: "n", where: {sex: {eq: "1"}}', "nodes { name } totalCount")
    assert len(nodes(await world.ask(both))) == 4
    assert (await world.ask(residents('search: ""'))).codes == ["BAD_INPUT"]
    query = "query($s: String) { data { population { residents(search: $s) { nodes { name } } } } }"
    assert len(nodes(await world.ask(query))) == 7
    assert [node["name"] for node in nodes(await world.ask(query, {"s": "n7"}))] == ["n7"]
