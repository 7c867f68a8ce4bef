"""Cases 17 to 27 of docs/cases.md: no shape of a document brings what a plain one does not."""

from typing import Any

import pytest
from graphql import DirectiveLocation

from schema import unified
from tests.attack.worlds import row_id
from tests.cases import case, hole
from tests.catalogues import population
from tests.gateways import World, make_grant
from tests.unit.resolvers.asking import ODD, listed, opened, refused, residents, scoped
from tests.unit.resolvers.conftest import RESIDENT, VEHICLE, follow_all, rows

ONE = '{ data { population { resident(idNumber: "id1") { %s } } } }'
NODE = "query($i: ID!) { node(id: $i) { %s } }"
ENTITIES = "query($r: [_Any!]!) { _entities(representations: $r) { %s } }"
REPRESENTATIONS = {"r": [{"__typename": "Resident", "idNumber": "id1"}, {"__typename": "Vehicle", "plate": "P1"}]}


def one(answer: Any) -> Any:
    return answer.data["data"]["population"]["resident"]


def masked() -> World:
    grants = [make_grant(RESIDENT, "phone", masks={"phone": "middle"})]
    return World(population(), rows(), [*follow_all(), *grants])


# --- 17: aliases ---------------------------------------------------------------------------------------------------


@hole("directus-alias")
@case(17)
async def test_an_alias_brings_neither_a_denied_nor_an_unmasked_value() -> None:
    """Under other names, under the names of clear items, of the raw column, and of a relation."""
    answer = await masked().ask(ONE % "name: passport passport: phone id_number: phone household: phone raw: phone")
    assert one(answer) == {
        "name": None,
        "passport": "138****0001",
        "id_number": "138****0001",
        "household": "138****0001",
        "raw": "138****0001",
    }
    assert answer.codes == ["GRANT_REQUIRED"]
    assert answer.errors[0]["extensions"]["item"] == "passport"
    assert b"13800000001" not in answer.response.body


@case(17, twin=True)
async def test_an_alias_brings_a_granted_value_under_its_name() -> None:
    answer = await opened("passport", "phone").ask(ONE % "name: passport passport: phone x: name")
    assert one(answer) == {"name": "secret1", "passport": "13800000001", "x": "n1"}
    assert answer.errors == []


# --- 18 and 19: fragments ------------------------------------------------------------------------------------------

SPREAD = [
    ONE % "... { passport }",
    ONE % "... on Resident { ... on Node { ... on Resident { passport } } }",
    ONE % "...A" + " fragment A on Resident { ...B } fragment B on Resident { passport }",
    ONE % "... @include(if: true) { ... @skip(if: false) { passport } }",
    "{ ...Q } fragment Q on Query { " + (ONE % "passport")[2:-2] + " }",
    "{ data { ...D } } fragment D on Data { population { ... { resident(idNumber: \"id1\") { passport } } } }",
    ONE % "household { members { nodes { ...A } } }" + " fragment A on Resident { name passport }",
]  # fmt: skip


@case(18)
@pytest.mark.parametrize("query", SPREAD)
async def test_a_fragment_brings_no_denied_value(linked: World, query: str) -> None:
    answer = await linked.ask(query)
    assert answer.codes == ["GRANT_REQUIRED"]
    assert b"secret" not in answer.response.body


@case(18, twin=True)
@pytest.mark.parametrize("query", SPREAD)
async def test_a_fragment_brings_a_granted_value(query: str) -> None:
    answer = await opened("passport").ask(query)
    assert answer.errors == []
    assert b"secret1" in answer.response.body


@case(19)
async def test_one_key_from_two_fragments_is_denied_where_one_of_them_is() -> None:
    """`x` is a granted item on one type and a denied one on the other; below one key, a granted and a denied leaf."""
    world = World(population(), rows(), follow_all())
    answer = await world.ask(ENTITIES % "... on Resident { x: passport } ... on Vehicle { x: plate }", REPRESENTATIONS)
    assert answer.data == {"_entities": [{"x": None}, {"x": "P1"}]}
    assert [error["extensions"]["item"] for error in answer.errors] == ["passport"]
    answer = await world.ask(ONE % "...A ...B" + " fragment A on Resident { household { address } } "
                             "fragment B on Resident { household { number } }")  # fmt: skip
    assert one(answer) == {"household": {"address": "street 1", "number": None}}
    assert [error["extensions"]["fieldPath"] for error in answer.errors] == [
        "data.population.resident.household.number"
    ]
    clash = ONE % "...A ...B" + " fragment A on Resident { x: name } fragment B on Resident { x: passport }"
    await refused(world, clash, code="BAD_INPUT")


@case(19, twin=True)
async def test_one_key_from_two_fragments_comes_where_both_are_granted() -> None:
    world = World(population(), rows(), [make_grant(RESIDENT, "passport")])
    answer = await world.ask(ENTITIES % "... on Resident { x: passport } ... on Vehicle { x: plate }", REPRESENTATIONS)
    assert answer.data == {"_entities": [{"x": "secret1"}, {"x": "P1"}]}
    assert answer.errors == []


# --- 20 and 21: interfaces and unions ------------------------------------------------------------------------------

TYPED = [
    (NODE % "... on Resident { passport }", {"i": row_id(1)}),
    (NODE % "... on Node { ... on Resident { passport } }", {"i": row_id(1)}),
    (NODE % "...N" + " fragment N on Node { id ...R } fragment R on Resident { passport }", {"i": row_id(1)}),
    (residents("first: 1", "nodes { ... on Node { id ... on Resident { passport } } }"), {}),
    (ENTITIES % "... on Node { ... on Resident { passport } }", REPRESENTATIONS),
    (ENTITIES % "... on _Entity { ... on Resident { passport } }", REPRESENTATIONS),
]


@hole("apollo-interface", "apollo-names")
@case(20, 21)
@pytest.mark.parametrize(("query", "variables"), TYPED)
async def test_the_verdict_is_that_of_the_item_through_any_abstract_type(
    linked: World, query: str, variables: dict[str, Any]
) -> None:
    """There is one rule for an item, on its type; interfaces and unions have none of their own to be passed by."""
    answer = await linked.ask(query, variables)
    assert answer.codes == ["GRANT_REQUIRED"]
    assert answer.errors[0]["extensions"]["item"] == "passport"
    assert b"secret" not in answer.response.body


@case(20, 21, twin=True)
@pytest.mark.parametrize(("query", "variables"), TYPED)
async def test_a_granted_item_comes_through_any_abstract_type(query: str, variables: dict[str, Any]) -> None:
    answer = await opened("passport").ask(query, variables)
    assert answer.errors == []
    assert b"secret1" in answer.response.body


@case(21)
async def test_typename_tells_no_hidden_row() -> None:
    world = scoped(ODD)
    for n in (2, 99):
        assert (await world.ask(NODE % "__typename", {"i": row_id(n)})).data == {"node": None}
        representations = {"r": [{"__typename": "Resident", "idNumber": f"id{n}"}]}
        assert (await world.ask(ENTITIES % "__typename", representations)).data == {"_entities": [None]}
        by_key = f'{{ data {{ population {{ resident(idNumber: "id{n}") {{ __typename }} }} }} }}'
        assert one(await world.ask(by_key)) is None
    answer = await world.ask(residents("", "nodes { __typename } edges { node { __typename } }"))
    assert listed(answer) == [{"__typename": "Resident"}] * 4


@case(21, twin=True)
async def test_typename_tells_a_visible_row() -> None:
    world = scoped(ODD)
    assert (await world.ask(NODE % "__typename", {"i": row_id(1)})).data == {"node": {"__typename": "Resident"}}
    answer = await world.ask(ENTITIES % "__typename", REPRESENTATIONS)
    assert answer.data == {"_entities": [{"__typename": "Resident"}, {"__typename": "Vehicle"}]}


# --- 22: keys that are fetched inside ------------------------------------------------------------------------------

FETCHED = (
    "{ data { transport { vehicles(first: 2) { edges { cursor } nodes { plate owner keeper { name household { number "
    "members { nodes { householdId vehicles { nodes { owner } } } } } } } } } } }"
)


@hole("apollo-requires")
@case(22)
async def test_keys_that_relations_need_are_denied_by_their_own_names(linked: World) -> None:
    """Fetched for five steps, denied at each: select, where, order and group see them as if they were not fetched."""
    answer = await linked.ask(FETCHED)
    assert sorted(error["extensions"]["item"] for error in answer.errors) == [
        "household_id", "number", "owner", "owner"
    ]  # fmt: skip
    text = answer.response.body.decode()
    assert "id1" not in text
    assert '"h1"' not in text
    keeper = answer.data["data"]["transport"]["vehicles"]["nodes"][0]["keeper"]
    assert [len(row["vehicles"]["nodes"]) for row in keeper["household"]["members"]["nodes"]] == [2, 0, 0]
    for query in (
        '{ data { transport { vehicles(where: {owner: {eq: "id1"}}) { nodes { keeper { name } } } } } }',
        "{ data { transport { vehicles(orderBy: [{owner: ASC}]) { nodes { keeper { name } } } } } }",
        "{ data { transport { vehiclesAggregate(groupBy: [OWNER]) { count } } } }",
        '{ data { transport { vehicles(where: {keeper: {some: {householdId: {eq: "h1"}}}}) { totalCount } } } }',
    ):
        await refused(linked, query)


@case(22, twin=True)
async def test_keys_that_are_granted_come_by_their_own_names() -> None:
    grants = [make_grant(RESIDENT, "household_id", "k1"), make_grant(VEHICLE, "owner", "k2")]
    answer = await World(population(), rows(), [*follow_all(), *grants]).ask(FETCHED)
    assert {error["extensions"]["item"] for error in answer.errors} == {"number"}
    first = answer.data["data"]["transport"]["vehicles"]["nodes"][0]
    assert first["owner"] == "id1"
    assert first["keeper"]["household"]["members"]["nodes"][0]["householdId"] == "h1"


# --- 23 to 25: directives ------------------------------------------------------------------------------------------


@case(23, twin=True)
async def test_a_granted_item_comes_and_goes_with_its_directive() -> None:
    world = opened("passport")
    query = (
        "query($a: Boolean!) { data { population { residents(first: 1) { nodes { name passport @skip(if: $a) } } } } }"
    )
    for skipped in (True, False, True):
        answer = await world.ask(query, {"a": skipped})
        assert listed(answer) == [{"name": "n1"} if skipped else {"name": "n1", "passport": "secret1"}]
        assert answer.errors == []


PARTS = [
    ONE % "name ... @defer { passport }",
    ONE % 'name ... on Resident @defer(label: "x", if: true) { passport }',
    ONE % "...A @defer" + " fragment A on Resident { passport }",
    residents("", "nodes @stream(initialCount: 0) { passport }"),
    residents("", "edges @stream { node { passport } }"),
]


@case(24)
@pytest.mark.parametrize("query", PARTS)
async def test_defer_and_stream_are_off_and_refused(linked: World, query: str) -> None:
    answer = await linked.ask(query)
    assert set(answer.codes) == {"BAD_INPUT"}
    assert "Unknown directive" in answer.errors[0]["message"]
    assert "data" not in answer.body
    assert linked.sources.calls == []


@case(24, twin=True)
@pytest.mark.parametrize("query", PARTS)
async def test_without_defer_and_stream_the_same_documents_answer(query: str) -> None:
    for word in ('@defer(label: "x", if: true)', "@defer", "@stream(initialCount: 0)", "@stream"):
        query = query.replace(word, "")
    answer = await opened("passport").ask(query)
    assert answer.errors == []
    assert b"secret1" in answer.response.body


CUSTOM = [
    "@client", "@live", "@export(as: \"x\")", "@rest(path: \"/\")", "@connection(key: \"x\")", "@cacheControl",
    "@share(class: UNCONDITIONAL)", "@share(class: UNCONDITIONAL, article: \"x\")", "@key(fields: \"passport\")",
    f"@resource(code: \"{RESIDENT}\", provider: \"x\", shareClass: UNCONDITIONAL)", "@requires(fields: \"passport\")",
    "@external", "@authenticated", "@deprecated", "@oneOf", "@specifiedBy(url: \"x\")", "@include", "@skip",
]  # fmt: skip


@hole("apollo-names")
@case(25)
@pytest.mark.parametrize("directive", CUSTOM)
async def test_directives_of_other_names_are_refused(linked: World, directive: str) -> None:
    """Also those that the schema's text shows: they tell a class, they make none."""
    for query in (ONE % f"passport {directive}", ONE % f"... {directive} {{ passport }}",
                  f"query Q {directive} " + ONE % "passport"):  # fmt: skip
        answer = await linked.ask(query)
        assert set(answer.codes) == {"BAD_INPUT"}
        assert "data" not in answer.body
        assert linked.sources.calls == []


@case(25, twin=True)
async def test_the_two_directives_of_an_operation_work() -> None:
    executable = {
        DirectiveLocation.QUERY, DirectiveLocation.FIELD, DirectiveLocation.FRAGMENT_SPREAD,
        DirectiveLocation.INLINE_FRAGMENT, DirectiveLocation.FRAGMENT_DEFINITION, DirectiveLocation.VARIABLE_DEFINITION,
    }  # fmt: skip
    directives = unified.build(population()).graphql.directives
    assert {one.name for one in directives if executable & set(one.locations)} == {"skip", "include"}
    answer = await opened("passport").ask(ONE % "passport @include(if: true) name @skip(if: true)")
    assert one(answer) == {"passport": "secret1"}


# --- 26 and 27 -----------------------------------------------------------------------------------------------------

RIDERS = [
    "__schema { types { name } }",
    '__type(name: "Resident") { fields { name } }',
    "__typename",
    "_service { sdl }",
]


def beside(rider: str, query: str) -> str:
    return f"{{ {rider} {query.partition('{')[2]}"


@case(26)
@pytest.mark.parametrize("rider", RIDERS)
async def test_a_rider_skips_no_check(linked: World, rider: str) -> None:
    answer = await linked.ask(beside(rider, ONE % "passport"))
    assert answer.codes == ["GRANT_REQUIRED"]
    assert one(answer) == {"passport": None}
    await refused(linked, beside(rider, residents('where: {passport: {eq: "x"}}')))
    assert linked.audit.records[-1].outcome == "DENIED"


@case(26, twin=True)
@pytest.mark.parametrize("rider", RIDERS)
async def test_a_rider_is_answered_beside_granted_data(rider: str) -> None:
    answer = await opened("passport").ask(beside(rider, ONE % "passport"))
    assert answer.errors == []
    assert one(answer) == {"passport": "secret1"}
    assert answer.data[rider.partition(" ")[0].partition("(")[0]]


DEEP = residents(
    "first: 2",
    "totalCount nodes { name file household { number address members { nodes { name passport } } } vehicles { "
    "nodes { plate owner } } } pageInfo { hasNextPage }",
)


@case(27)
async def test_denied_leaves_at_every_depth_null_nothing_but_themselves(linked: World) -> None:
    answer = await linked.ask(DEEP)
    found = answer.data["data"]["population"]["residents"]
    assert (found["totalCount"], found["pageInfo"]["hasNextPage"]) == (7, True)
    assert found["nodes"][0] == {
        "name": "n1",
        "file": None,
        "household": {
            "number": None,
            "address": "street 1",
            "members": {"nodes": [{"name": f"n{n}", "passport": None} for n in (1, 4, 7)]},
        },
        "vehicles": {"nodes": [{"plate": "P1", "owner": None}, {"plate": "P2", "owner": None}]},
    }
    assert len(answer.codes) == 4  # one of each response field, not of each row


@case(27, twin=True)
async def test_granted_leaves_at_every_depth_come() -> None:
    answer = await opened("passport").ask(DEEP)
    assert sorted({error["extensions"]["item"] for error in answer.errors}) == ["file", "number", "owner"]
    first = answer.data["data"]["population"]["residents"]["nodes"][0]
    assert [one["passport"] for one in first["household"]["members"]["nodes"]] == ["secret1", "secret4", "secret7"]
