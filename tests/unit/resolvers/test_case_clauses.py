"""Cases 1 to 16 of docs/cases.md, what test_clauses.py leaves open: places, shapes, paths of values, twins."""

from typing import Any

import pytest

from resolvers.seals import CURSOR, SealKey, Seals
from tanglai.catalogue.expressions import TRUE, Compare, CompareOp, ItemRef, Value
from tanglai.catalogue.model import Grant
from tanglai.catalogue.scalars import ScalarType
from tests.cases import case, hole
from tests.catalogues import population
from tests.gateways import Answer, World, make_grant, requester
from tests.unit.resolvers.asking import ODD, aggregate, listed, opened, refused, residents, scoped
from tests.unit.resolvers.conftest import HOUSEHOLD, RESIDENT, follow_all, rows

TEXT = ScalarType.TEXT
GEOMETRY = {"type": "Point", "coordinates": [106.27, 38.47]}

# --- 1 to 3: filters -----------------------------------------------------------------------------------------------

PLACES = [
    residents('where: {passport: {eq: "secret1"}}'),
    residents('where: {passport: {eq: "secret1"}}', "totalCount"),
    residents('where: {passport: {eq: "secret1"}}, first: 0', "pageInfo { hasNextPage }"),
    aggregate('where: {passport: {eq: "secret1"}}', "count"),
    '{ data { transport { vehicles(where: {keeper: {some: {passport: {eq: "secret1"}}}}) { totalCount } } } }',
    "{ data { population { households { nodes { members(where: {passport: {isNull: false}}) { totalCount } } } } } }",
    '{ data { population { resident(idNumber: "id1") { vehicles(where: {keeper: {some: {passport: {gt: ""}}}}) '
    "{ totalCount } } } } }",
]


@hole("hasura-exists")
@case(1)
@pytest.mark.parametrize("query", PLACES)
async def test_where_on_a_denied_item_refuses_before_any_source_call(linked: World, query: str) -> None:
    """In every place where a filter can stand, beside things that are allowed too."""
    await refused(linked, query)
    await refused(linked, query.replace("{ data {", "{ me { client } data {", 1))


@case(1, twin=True)
@pytest.mark.parametrize("query", PLACES)
async def test_where_on_a_granted_item_answers_in_the_same_places(query: str) -> None:
    world = opened("passport")
    answer = await world.ask(query)
    assert answer.errors == []
    assert world.sources.calls
    assert "data" in answer.body


FILTER = "($w: ResidentWhere)"
SHAPES: list[tuple[str, dict[str, Any]]] = [
    (residents("where: $w", declared=FILTER), {"w": {"passport": {}}}),
    (residents("where: $w", declared=FILTER), {"w": {"passport": {"in": "secret1"}}}),  # one for a list
    (residents("where: $w", declared=FILTER), {"w": {"passport": {"notIn": []}}}),
    (residents("where: $w", declared=FILTER), {"w": {"passport": {"isNull": False}}}),
    (residents("where: $w", declared=FILTER), {"w": {"and": {"passport": {"eq": "x"}}}}),  # one for a list
    (residents("where: $w", declared=FILTER), {"w": {"or": [{}, {"and": []}, {"passport": {"ne": "x"}}]}}),
    (residents("where: $w", declared=FILTER), {"w": {"not": {"not": {"not": {"passport": {"contains": "e"}}}}}}),
    (residents("where: $w", declared=FILTER), {"w": {"name": {"eq": "n1"}, "passport": {"startsWith": "s"}}}),
    (residents("where: {or: [$w, {}]}", declared="($w: ResidentWhere!)"), {"w": {"passport": {"gte": "", "lte": "~"}}}),
    (residents("where: {and: $l}", declared="($l: [ResidentWhere!])"), {"l": [{"passport": {"eq": "x"}}]}),
    (residents("where: {passport: $f}", declared="($f: TextFilter)"), {"f": {"eq": "secret1"}}),
    (residents("where: {passport: {eq: $v}}", declared="($v: String)"), {"v": "secret1"}),
    (residents("where: {passport: {in: [$v]}}", declared="($v: String!)"), {"v": "secret1"}),
    (residents("where: {passport: {isNull: $b}}", declared='($b: Boolean = true)'), {}),
    (residents("where: $w", declared='($w: ResidentWhere = {not: {passport: {lt: "t"}}})'), {}),
    (residents("where: {passport: {in: []}, or: []}"), {}),
    (residents('where: {or: [{and: []}, {not: {passport: {eq: "x"}}}]}'), {}),
    (residents("where: {home: {isNull: true}}"), {}),
]  # fmt: skip


@case(2)
@pytest.mark.parametrize(("query", "variables"), SHAPES)
async def test_operands_of_odd_shapes_on_a_denied_item_refuse(
    linked: World, query: str, variables: dict[str, Any]
) -> None:
    await refused(linked, query, variables)


@case(2, twin=True)
@pytest.mark.parametrize(("query", "variables"), SHAPES)
async def test_operands_of_the_same_shapes_on_a_granted_item_answer(query: str, variables: dict[str, Any]) -> None:
    answer = await opened("passport", "home").ask(query, variables)
    assert answer.errors == []
    assert isinstance(listed(answer), list)


RELATIONS = [
    "{household: {some: {}}}",
    "{household: {none: {address: {eq: \"x\"}}}}",
    "{not: {vehicles: {every: {}}}}",
    "{or: []  vehicles: {some: {plate: {eq: \"P1\"}}}}",
    "{household: {some: {members: {some: {}}}}}",
]  # fmt: skip


@hole("hasura-exists")
@case(3)
@pytest.mark.parametrize("where", RELATIONS)
async def test_a_denied_relation_in_where_refuses_at_any_step(where: str) -> None:
    """Where neither end is granted, or one of the two only; `{}` asks whether there is a link."""
    for grants in ([], follow_all()[:1], follow_all()[1:]):
        await refused(World(population(), rows(), grants), residents(f"where: {where}"))


@case(3, twin=True)
@pytest.mark.parametrize("where", RELATIONS)
async def test_a_granted_relation_in_where_answers_at_any_step(linked: World, where: str) -> None:
    answer = await linked.ask(residents(f"where: {where}"))
    assert answer.errors == []
    assert isinstance(listed(answer), list)


# --- 4: a structured item ------------------------------------------------------------------------------------------


def mapped(*grants: Grant) -> World:
    contents = rows()
    for row in contents["main"]["resident"]:
        row["home"] = GEOMETRY
    return World(population(), contents, grants)


@case(4)
async def test_a_denied_geometry_opens_no_part_of_itself() -> None:
    """There are no fields, filters, orders, groups or figures below a geometry; as a whole it is denied."""
    world = mapped()
    answer = await world.ask(residents("", "nodes { name home x: home }"))
    assert answer.codes == ["GRANT_REQUIRED"] * 2
    assert b"106.27" not in answer.response.body
    assert all(node["home"] is node["x"] is None for node in listed(answer))
    await refused(world, residents("where: {home: {isNull: false}}"))
    for query in (
        residents("", "nodes { home { type } }"),
        residents("", "nodes { home { coordinates } }"),
        residents("", 'nodes { home(path: "coordinates") }'),
        residents('where: {home: {type: {eq: "Point"}}}'),
        residents('where: {home: {eq: {type: "Point", coordinates: [106.27, 38.47]}}}'),
        residents("orderBy: [{home: ASC}]"),
        aggregate("groupBy: [HOME]", "count"),
        aggregate("", "min { home }"),
        aggregate("", "countDistinct { home }"),
    ):
        await refused(world, query, code="BAD_INPUT")


@case(4, twin=True)
async def test_a_granted_geometry_comes_whole_on_its_rows() -> None:
    world = mapped(make_grant(RESIDENT, "home", scope=ODD))
    answer = await world.ask(residents("", "nodes { home }"))
    assert [node["home"] for node in listed(answer)] == [GEOMETRY if n % 2 else None for n in range(1, 8)]
    assert len(listed(await world.ask(residents("where: {home: {isNull: false}}")))) == 4


# --- 5: orders and cursors -----------------------------------------------------------------------------------------


class OpenSeals(Seals):
    """Seals as ever, and keeps what was sealed."""

    def __init__(self) -> None:
        super().__init__((SealKey(1, bytes(range(64))),))
        self.contents: list[Any] = []

    def seal(self, prefix: str, context: bytes, content: Any) -> str:
        if prefix == CURSOR:
            self.contents.append(content)
        return super().seal(prefix, context, content)


async def sealed(world: World, query: str) -> tuple[Answer, list[Any]]:
    seals = OpenSeals()
    world.gateway._seals = seals
    return await world.ask(query), seals.contents


@hole("dab-cursor")
@case(5)
async def test_what_is_sealed_into_a_cursor_is_readable_to_who_gets_it() -> None:
    """Every order, on rows where its item is hidden: null is sealed there, never the value; nothing is in clear."""
    world = opened("height", "income", scope=ODD)
    for order in ("{height: ASC}", "{income: DESC}, {height: ASC}", "{name: ASC}, {height: DESC}"):
        answer, contents = await sealed(
            world, residents(f"orderBy: [{order}]", "edges { cursor node { height name } }")
        )
        assert len(contents) >= 7
        hidden = {row["height"] for row in rows()["main"]["resident"] if row["sex"] == "2"}
        hidden |= {str(row["income"]) for row in rows()["main"]["resident"] if row["sex"] == "2"}
        assert not hidden & {value for content in contents for value in content if not isinstance(value, list)}
        edges = answer.data["data"]["population"]["residents"]["edges"]
        assert not any(str(edge["node"]["name"]) in edge["cursor"] for edge in edges)
    await refused(world, residents("orderBy: [{name: ASC}, {passport: DESC}]"))
    query = residents("orderBy: $o", declared="($o: [ResidentOrder!])")
    await refused(world, query, {"o": [{"name": "ASC"}, {"passport": "ASC"}]})


@case(5, twin=True)
async def test_an_order_by_a_granted_item_pages_through_all_rows() -> None:
    world = opened("height")
    seen: list[int] = []
    after = None
    query = residents(
        "orderBy: [{height: DESC}], first: 3, after: $c", "nodes { height } pageInfo { endCursor }", "($c: String)"
    )
    while page := listed(answer := await world.ask(query, {"c": after})):
        seen += [node["height"] for node in page]
        after = answer.data["data"]["population"]["residents"]["pageInfo"]["endCursor"]
    assert seen == [177, 176, 175, 174, 173, 172, 171]


# --- 6 and 7: groups and figures -----------------------------------------------------------------------------------

GROUPS = [
    aggregate("groupBy: [PASSPORT]", "key { passport } count"),
    aggregate("groupBy: [SEX, PASSPORT]", "count"),
    aggregate("groupBy: [PHONE]", "key { phone } count"),
    aggregate("", "countDistinct { passport }"),
    aggregate("", "countDistinct { phone }"),
    aggregate('where: {sex: {eq: "1"}}', "countDistinct { phone passport }"),
]
FIGURES = [
    aggregate("", "sum { income }"),
    aggregate("", "avg { income }"),
    aggregate("", "min { income passport }"),
    aggregate("groupBy: [SEX]", "max { income }"),
    aggregate("", "countDistinct { income }"),
    aggregate("", "countValues { income }"),
]


@case(6, 7)
@pytest.mark.parametrize("query", [*GROUPS, *FIGURES])
async def test_groups_and_figures_over_denied_and_masked_items_refuse(query: str) -> None:
    masked = make_grant(RESIDENT, "phone", masks={"phone": "middle"})
    world = World(population(), rows(), [masked])
    answer = await world.ask(query)
    assert "data" not in answer.body
    assert set(answer.codes) <= {"GRANT_REQUIRED", "MASKED_USE"}
    assert world.sources.calls == []


@case(6, twin=True)
@pytest.mark.parametrize("query", GROUPS)
async def test_groups_over_granted_items_answer(query: str) -> None:
    answer = await opened("passport", "phone").ask(query)
    assert answer.errors == []
    assert answer.data["data"]["population"]["residentsAggregate"]


@case(7, twin=True)
async def test_figures_over_a_granted_item_answer() -> None:
    world = opened("income")
    query = aggregate("", "sum { income } min { income } max { income } countDistinct { income }")
    assert (await world.ask(query)).data["data"]["population"]["residentsAggregate"] == [
        {"sum": {"income": "14.0"}, "min": {"income": "0.5"}, "max": {"income": "3.5"}, "countDistinct": {"income": 7}}
    ]


# --- 8 and 9 -------------------------------------------------------------------------------------------------------

SEARCHES = [
    residents('search: "secret3"', "nodes { name } totalCount"),
    residents('search: "secret3", where: {sex: {eq: "1"}}, orderBy: [{name: DESC}]', "nodes { name } totalCount"),
    "{ data { population { households { nodes { members(search: \"secret3\") { nodes { name } totalCount } } } } } }",
]  # fmt: skip


@hole("directus-search")
@case(8)
@pytest.mark.parametrize("query", SEARCHES)
async def test_search_finds_nothing_by_what_is_not_granted(linked: World, query: str) -> None:
    """Not a denial either: the answer is that to a text that no row has; so for rows out of scope and for masks."""
    scoped = opened("passport", scope=Compare(CompareOp.EQ, ItemRef("sex", TEXT), Value("2", TEXT)))
    masks = {"phone": "middle"}
    masked = World(population(), rows(), [*follow_all(), make_grant(RESIDENT, "phone", masks=masks)])
    for world, needle in ((linked, "secret3"), (scoped, "secret3"), (masked, "13800000003"), (masked, "****")):
        asked = query.replace("secret3", needle)
        answer, nothing = await world.ask(asked), await world.ask(query.replace("secret3", "no such text"))
        assert answer.errors == []
        assert answer.response.body == nothing.response.body
        assert b'"n3"' not in answer.response.body


@case(8, twin=True)
@pytest.mark.parametrize("query", SEARCHES)
async def test_search_finds_by_what_is_granted(query: str) -> None:
    answer = await opened("passport", scope=ODD).ask(query)
    assert b'{"name":"n3"}' in answer.response.body
    assert b'{"name":"n4"}' not in answer.response.body


def with_odd_keys() -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Link keys that no other value holds, so that they are found wherever they come out."""
    contents = rows()
    for row in contents["main"]["resident"]:
        row["household_id"] = f"LINK-{row['household_id']}"
    for row in contents["main"]["household"]:
        row["number"] = f"LINK-{row['number']}"
    return contents


HOMES = residents("first: 3", "edges { cursor node { id name household { id address members { nodes { name } } } } }")


@case(9)
async def test_grants_on_the_keys_open_no_relation_and_the_relation_gives_no_key() -> None:
    """Neither do they together with a grant at one of the relation's ends."""
    keys = [make_grant(RESIDENT, "household_id"), make_grant(HOUSEHOLD, "number", "g2")]
    for ends in ([], follow_all()[:1], follow_all()[1:]):
        answer = await World(population(), with_odd_keys(), [*keys, *ends]).ask(HOMES)
        assert answer.codes == ["GRANT_REQUIRED"]
        edges = answer.data["data"]["population"]["residents"]["edges"]
        assert [edge["node"]["household"] for edge in edges] == [None] * 3
    world = World(population(), with_odd_keys(), follow_all())
    answer, contents = await sealed(world, HOMES)
    assert "LINK" not in answer.response.body.decode()
    assert "LINK" not in repr(contents)
    assert "LINK" not in repr(world.audit.records)


@case(9, twin=True)
async def test_a_granted_relation_is_followed() -> None:
    answer = await World(population(), with_odd_keys(), follow_all()).ask(HOMES)
    edges = answer.data["data"]["population"]["residents"]["edges"]
    assert [edge["node"]["household"]["address"] for edge in edges] == ["street 1", "street 2", "street 0"]
    assert [len(edge["node"]["household"]["members"]["nodes"]) for edge in edges] == [3, 2, 2]


# --- 14 to 16 ------------------------------------------------------------------------------------------------------

WIDE: list[tuple[str, dict[str, Any]]] = [
    (residents("where: {}"), {}),
    (residents("where: {and: [], not: {or: []}}"), {}),
    (residents("where: {or: [{}, {name: {}}]}"), {}),
    (residents("first: 1000"), {}),
    (residents("orderBy: []"), {}),
    (residents("where: $w, search: $s, orderBy: $o, first: $n, after: $a",
               declared="($w: ResidentWhere, $s: String, $o: [ResidentOrder!], $n: Int, $a: String)"), {}),
    (residents("where: $w", declared="($w: ResidentWhere)"), {"w": {}}),
    (residents("where: $w", declared="($w: ResidentWhere)"), {"w": {"or": [{"name": {"notIn": []}}]}}),
    (residents('where: {or: [{name: {gte: ""}}, {name: {isNull: true}}]}'), {}),
]  # fmt: skip


@case(14, 15)
@pytest.mark.parametrize(("query", "variables"), WIDE)
async def test_nothing_that_is_left_out_or_empty_is_wider_than_the_scope(query: str, variables: dict[str, Any]) -> None:
    answer = await scoped(ODD).ask(query, variables)
    assert [node["name"] for node in listed(answer)] == ["n1", "n3", "n5", "n7"]


@case(15, twin=True)
@pytest.mark.parametrize(("query", "variables"), WIDE)
async def test_what_is_left_out_or_empty_is_the_whole_scope(query: str, variables: dict[str, Any]) -> None:
    assert len(listed(await scoped(TRUE).ask(query, variables))) == 7


UNDECLARED = [
    residents("filter: {}"),
    residents("limit: 1"),
    residents("where: {name: {eq: $v}}"),
    residents("where: {nam: {eq: \"n1\"}}"),
    residents("where: {name: {equals: \"n1\"}}"),
    residents("", "nodes { name(raw: true) }"),
    '{ data { population { resident { name } } } }',
    '{ data { population { resident(idNumber: "id1", purpose: "statistics") { name } } } }',
    '{ data(department: "public-security") { population { residents { totalCount } } } }',
    "{ data { population { residentsAggregate(having: {}) { count } } } }",
]  # fmt: skip


@case(14)
@pytest.mark.parametrize("query", UNDECLARED)
async def test_an_argument_that_is_not_declared_refuses(world: World, query: str) -> None:
    answer = await world.ask(query, {"v": "n1"})
    assert set(answer.codes) == {"BAD_INPUT"}
    assert "data" not in answer.body
    assert world.sources.calls == []


@case(14, twin=True)
async def test_a_declared_variable_narrows(world: World) -> None:
    query = residents("where: {name: {eq: $v}}, first: $n", declared="($v: String!, $n: Int)")
    assert listed(await world.ask(query, {"v": "n1"})) == [{"name": "n1"}]
    assert listed(await world.ask(query, {"v": "n1", "n": 0})) == []


HOSTILE = ['passport" OR 1=1 --', "name) OR (1=1", "eq; DROP TABLE resident", "__proto__", "ａ", "name\x00", "", "*"]


@case(16)
@pytest.mark.parametrize("name", HOSTILE)
async def test_names_of_items_and_operators_are_no_way_into_sql(world: World, name: str) -> None:
    query = residents("where: $w, orderBy: $o", declared="($w: ResidentWhere, $o: [ResidentOrder!])")
    group = "query($g: [ResidentGroup!]) { data { population { residentsAggregate(groupBy: $g) { count } } } }"
    for asked, variables in (
        (query, {"w": {name: {"eq": "x"}}}),
        (query, {"w": {"name": {name: "x"}}}),
        (query, {"w": {"vehicles": {name: {}}}}),
        (query, {"o": [{name: "ASC"}]}),
        (query, {"o": [{"name": name}]}),
        (group, {"g": [name]}),
    ):
        answer = await world.ask(asked, variables)
        assert set(answer.codes) == {"BAD_INPUT"}
        assert "data" not in answer.body
        assert world.sources.calls == []


@case(16, twin=True)
async def test_names_of_the_schema_work_in_variables(world: World) -> None:
    query = residents("where: $w, orderBy: $o", declared="($w: ResidentWhere, $o: [ResidentOrder!])")
    answer = await world.ask(query, {"w": {"name": {"in": ["n1", "n2"]}}, "o": [{"name": "DESC"}]})
    assert listed(answer) == [{"name": "n2"}, {"name": "n1"}]
    assert listed(await world.ask(query, {"w": {"name": {"eq": "n1' OR '1'='1"}}})) == []
    assert (await world.ask(residents(), who=requester())).errors == []
