"""Cases 17 to 30, 39 to 44 of authorization.md: shapes of documents, paths to a row, sharing and abuse."""

import asyncio
from typing import Any

import pytest

from tanglai.catalogue.expressions import Compare, CompareOp, ItemRef, Value
from tanglai.catalogue.model import GrantState
from tanglai.catalogue.scalars import ScalarType
from tests.cases import case
from tests.catalogues import MARKET_REGULATION, population
from tests.gateways import World, make_grant, requester
from tests.unit.resolvers.conftest import RESIDENT, follow_all, rows

ONE = '{ data { population { resident(idNumber: "id1") { %s } } } }'


def one(answer: Any) -> Any:
    return answer.data["data"]["population"]["resident"]


@case(17)
async def test_case_17_an_alias_changes_nothing(world: World) -> None:
    answer = await world.ask(ONE % "name: passport x: name")
    assert one(answer) == {"name": None, "x": "n1"}
    assert answer.codes == ["GRANT_REQUIRED"]
    assert answer.errors[0]["path"] == ["data", "population", "resident", "name"]
    assert answer.errors[0]["extensions"]["item"] == "passport"


@case(18)
async def test_cases_18_and_19_fragments_of_all_kinds(world: World) -> None:
    query = (
        'query { data { population { resident(idNumber: "id1") '
        "{ ...A ... on Resident { ...B } ... { name } ... @include(if: true) { sex } } } } } "
        "fragment A on Resident { name passport ...C } fragment B on Resident { passport } "
        "fragment C on Node { id ... on Resident { phone } }"
    )
    answer = await world.ask(query)
    assert sorted(answer.codes) == ["GRANT_REQUIRED", "GRANT_REQUIRED"]
    assert list(one(answer)) == ["name", "passport", "id", "phone", "sex"]
    assert one(answer)["passport"] is one(answer)["phone"] is None
    opened = World(population(), rows(), [make_grant(RESIDENT, "passport phone")])
    answer = await opened.ask(query)
    assert (one(answer)["passport"], one(answer)["phone"]) == ("secret1", "13800000001")


@case(20, 21)
async def test_cases_20_and_21_interface_and_union_members(world: World) -> None:
    row = one(await world.ask(ONE % "id"))["id"]
    query = "query($id: ID!) { node(id: $id) { __typename id ... on Resident { passport } ... on Vehicle { plate } } }"
    answer = await world.ask(query, {"id": row})
    assert answer.data == {"node": {"__typename": "Resident", "id": row, "passport": None}}
    assert answer.codes == ["GRANT_REQUIRED"]
    entity = '{ _entities(representations: [{__typename: "Resident", idNumber: "id1"}]) '
    answer = await world.ask(entity + "{ __typename ... on Resident { name passport } ... on Vehicle { plate } } }")
    assert answer.data == {"_entities": [{"__typename": "Resident", "name": "n1", "passport": None}]}


@case(23)
@pytest.mark.parametrize("first", [True, False])
async def test_case_23_skip_and_include_are_part_of_the_plan_key(world: World, first: bool) -> None:
    query = (
        'query($all: Boolean!) { data { population { resident(idNumber: "id1") '
        "{ name passport @include(if: $all) sex @skip(if: $all) } } } }"
    )
    for flag in (first, not first, first):
        answer = await world.ask(query, {"all": flag})
        assert list(one(answer)) == (["name", "passport"] if flag else ["name", "sex"])
        assert answer.codes == (["GRANT_REQUIRED"] if flag else [])


@case(26)
async def test_case_26_introspection_beside_data_skips_no_check(world: World) -> None:
    answer = await world.ask(
        '{ __schema { queryType { name } } data { population { resident(idNumber: "id1") { passport } } } '
        "__typename catalogue { __typename } }"
    )
    assert answer.data["__schema"] == {"queryType": {"name": "Query"}}
    assert list(answer.data) == ["__schema", "data", "__typename", "catalogue"]
    assert answer.codes == ["GRANT_REQUIRED"]


@case(27)
async def test_case_27_a_denied_leaf_never_nulls_siblings(world: World) -> None:
    answer = await world.ask("{ data { population { residents(first: 2) { nodes { passport name file } } } } }")
    assert answer.data["data"]["population"]["residents"]["nodes"] == [
        {"passport": None, "name": "n1", "file": None},
        {"passport": None, "name": "n2", "file": None},
    ]
    assert answer.codes == ["GRANT_REQUIRED", "NOT_SHARED"]
    assert {tuple(error["path"]) for error in answer.errors} == {("data", "population", "residents", "nodes")}
    assert [error["extensions"]["fieldPath"] for error in answer.errors] == [
        "data.population.residents.nodes.passport",
        "data.population.residents.nodes.file",
    ]


@case(28)
@pytest.mark.parametrize(
    "representation",
    [
        {"__typename": "Resident"},
        {"__typename": "Resident", "idNumber": "id1", "passport": "x"},
        {"__typename": "Resident", "passport": "secret1"},
        {"__typename": "Resident", "idNumber": 5},
        {"__typename": "Resident", "idNumber": {"eq": "id1"}},
        {"__typename": "Dossier", "title": "x"},
        {"__typename": "Nothing", "id": "x"},
        {"idNumber": "id1"},
        {},
    ],
)
async def test_case_28_forged_representations_are_null_with_one_generic_error(
    world: World, representation: dict[str, Any]
) -> None:
    query = "query($r: [_Any!]!) { _entities(representations: $r) { ... on Resident { name } } }"
    good = {"__typename": "Resident", "idNumber": "id2"}
    absent = {"__typename": "Resident", "idNumber": "nobody"}
    answer = await world.ask(query, {"r": [representation, good, absent, representation]})
    assert answer.data == {"_entities": [None, {"name": "n2"}, None, None]}
    assert answer.codes == ["BAD_INPUT"]
    assert (await world.ask(query, {"r": [good, absent]})).codes == []


@case(29)
async def test_case_29_every_path_gives_the_same_verdict() -> None:
    scope = Compare(CompareOp.EQ, ItemRef("sex", ScalarType.TEXT), Value("1", ScalarType.TEXT))
    for grants, expected in (([], ["GRANT_REQUIRED"]), ([make_grant(RESIDENT, "passport", scope=scope)], [])):
        world = World(population(), rows(), [*follow_all(), *grants])
        row = one(await world.ask(ONE % "id"))["id"]
        paths = [
            "{ data { population { residents(first: 1) { nodes { passport } } } } }",
            "{ data { population { residents(first: 1) { edges { node { passport } } } } } }",
            ONE % "passport",
            f'{{ node(id: "{row}") {{ ... on Resident {{ passport }} }} }}',
            '{ data { transport { vehicle(plate: "P1") { keeper { passport } } } } }',
            "{ data { population { households(first: 1) { nodes { members { nodes { passport } } } } } } }",
            '{ _entities(representations: [{__typename: "Resident", idNumber: "id1"}]) '
            "{ ... on Resident { passport } } }",
        ]
        for query in paths:
            answer = await world.ask(query)
            assert answer.codes == expected, query
            assert ("secret1" in answer.response.body.decode() or "secret3" in answer.response.body.decode()) == bool(
                grants
            ), query


@case(33)
async def test_case_33_states_and_old_cursors_decide_anew() -> None:
    grant = make_grant(RESIDENT, "height")
    world = World(population(), rows(), [grant])
    query = (
        "query($c: String) { data { population { residents(first: 2, after: $c, orderBy: [{name: ASC}]) "
        "{ nodes { name height } pageInfo { endCursor } } } } }"
    )
    first = (await world.ask(query)).data["data"]["population"]["residents"]
    assert first["nodes"] == [{"name": "n1", "height": 171}, {"name": "n2", "height": 172}]
    from dataclasses import replace

    world.replica.held[grant.requester] = (replace(grant, state=GrantState.SUSPENDED),)
    answer = await world.ask(query, {"c": first["pageInfo"]["endCursor"]})
    assert answer.data["data"]["population"]["residents"]["nodes"] == [
        {"name": "n3", "height": None},
        {"name": "n4", "height": None},
    ]
    assert answer.codes == ["GRANT_SUSPENDED"]


@case(34)
async def test_case_34_purposes() -> None:
    world = World(population(), rows(), [make_grant(RESIDENT, "height")])
    two = requester(purposes=frozenset({"assistance", "licensing"}))
    query = ONE % "height"
    assert (await world.ask(query, who=two)).codes == ["PURPOSE_REQUIRED"]
    assert (await world.ask(query, who=two, purpose="licensing")).codes == ["PURPOSE_MISMATCH"]
    assert one(await world.ask(query, who=two, purpose="assistance")) == {"height": 171}
    assert one(await world.ask(query, who=two, extensions={"purpose": "assistance"})) == {"height": 171}
    refused = await world.ask(query, who=two, purpose="statistics")
    assert refused.codes == ["PURPOSE_MISMATCH"]
    assert "data" not in refused.body


@case(36)
async def test_case_36_out_of_scope_absent_and_null_answer_alike() -> None:
    """Key look-ups run on compare cells: nobody learns from them which hidden row exists."""
    from dataclasses import replace

    from tanglai.catalogue.model import ShareClass

    snapshot = population()
    items = tuple(replace(i, share_class=ShareClass.CONDITIONAL) for i in snapshot.resources[RESIDENT].items)
    closed = replace(
        snapshot, resources={**snapshot.resources, RESIDENT: replace(snapshot.resources[RESIDENT], items=items)}
    )
    scope = Compare(CompareOp.EQ, ItemRef("sex", ScalarType.TEXT), Value("2", ScalarType.TEXT))
    world = World(closed, rows(), [make_grant(RESIDENT, "id_number name", scope=scope)])
    bodies = set()
    for key in ("id1", "nobody"):
        answer = await world.ask(
            "query($k: String!) { data { population { resident(idNumber: $k) { name } } } }", {"k": key}
        )
        bodies.add(answer.response.body)
    assert len(bodies) == 1
    twin = await world.ask(
        "query($k: String!) { data { population { resident(idNumber: $k) { name } } } }", {"k": "id2"}
    )
    assert one(twin) == {"name": "n2"}


@case(39, 40)
async def test_cases_39_and_40_principals_and_variables_share_nothing() -> None:
    scope = Compare(CompareOp.EQ, ItemRef("name", ScalarType.TEXT), Value("n1", ScalarType.TEXT))
    other = make_grant(RESIDENT, "height", "g2", requester=MARKET_REGULATION.code)
    world = World(population(), rows(), [make_grant(RESIDENT, "height", scope=scope), other])
    query = "query($k: String!) { data { population { resident(idNumber: $k) { name height } } } }"
    market = requester(department=MARKET_REGULATION)

    async def height(key: str, mine: bool) -> Any:
        return one(await world.ask(query, {"k": key}, who=None if mine else market))["height"]

    for _ in range(3):
        found = await asyncio.gather(*(height(f"id{n}", mine) for n in (1, 2) for mine in (True, False)))
        assert found == [171, 171, None, 172]


@case(41)
async def test_case_41_a_change_of_grants_is_seen_by_the_next_request() -> None:
    grant = make_grant(RESIDENT, "height")
    world = World(population(), rows(), [grant])
    assert one(await world.ask(ONE % "height")) == {"height": 171}
    world.replica.held[grant.requester] = ()
    answer = await world.ask(ONE % "height")
    assert one(answer) == {"height": None}
    world.replica.held[grant.requester] = (grant,)
    assert one(await world.ask(ONE % "height")) == {"height": 171}


@case(33)
async def test_a_grant_ends_by_the_clock_without_any_event() -> None:
    grant = make_grant(RESIDENT, "height")
    world = World(population(), rows(), [grant])
    assert one(await world.ask(ONE % "height")) == {"height": 171}
    assert grant.valid_to is not None
    world.replica.now = grant.valid_to
    assert (await world.ask(ONE % "height")).codes == ["GRANT_EXPIRED"]


@case(43)
@pytest.mark.parametrize(
    "query",
    [
        '{ data { population { resident(idNumber: "id1") { ' + "name " * 500 + "} } } }",
        "{ " + " ".join(f"a{n}: data {{ id }}" for n in range(3000)) + " }",
        "{ data { population { " + " ".join(f"a{n}: residents {{ nodes {{ name }} }}" for n in range(65)) + " } } }",
        "{ data { population { residents { nodes { "
        + "household { members { nodes { " * 10
        + "name"
        + " } } }" * 10
        + " } } } } }",
        "query { " + "... { " * 3000 + "__typename" + " }" * 3000 + " }",
        "{ data { population { residents(where: {or: [" + '{name: {eq: "x"}} ' * 600 + "]}) { nodes { name } } } } }",
        "{ data { population { residents(first: 1000) { nodes { household "
        "{ members(first: 1000) { nodes { name } } } } } } } }",
    ],
    ids=["repeats", "aliases", "calls", "depth", "inline", "terms", "rows"],
)
async def test_case_43_work_is_bounded(linked: World, query: str) -> None:
    answer = await linked.ask(query)
    assert answer.codes == ["LIMIT_EXCEEDED"]
    assert linked.sources.calls == []


@case(44)
async def test_case_44_identical_aliased_roots_run_once(world: World) -> None:
    answer = await world.ask(
        "{ data { population { a: residents(first: 1) { nodes { name } } "
        "b: residents(first: 1) { nodes { name } } } } }"
    )
    assert len(world.sources.calls) == 1
    assert answer.data["data"]["population"]["a"] == answer.data["data"]["population"]["b"]


async def test_on_denied_refuse_touches_no_source(world: World) -> None:
    answer = await world.ask(ONE % "name passport", extensions={"onDenied": "REFUSE"})
    assert "data" not in answer.body
    assert answer.codes == ["GRANT_REQUIRED"]
    assert world.sources.calls == []
    assert one(await world.ask(ONE % "name", extensions={"onDenied": "REFUSE"})) == {"name": "n1"}
    assert (await world.ask(ONE % "name", extensions={"onDenied": "MAYBE"})).codes == ["BAD_INPUT"]
