"""Cases 28 to 30 of docs/cases.md: every way to a value or a row gives the same verdict, and errors tell nothing."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from graphql import get_introspection_query

from tanglai.catalogue.expressions import TRUE, Column
from tanglai.catalogue.model import Grant, GrantState, Snapshot
from tests.attack.worlds import row_id
from tests.cases import case, hole
from tests.catalogues import population
from tests.gateways import NOW, Answer, World, make_grant, requester
from tests.unit.resolvers.asking import ODD, aggregate, opened, residents, scoped
from tests.unit.resolvers.conftest import RESIDENT, follow_all, rows

FORGED: list[dict[str, Any]] = [
    {"__typename": "Resident"},
    {"__typename": "Resident", "idNumber": "id1", "name": "n1"},
    {"__typename": "Resident", "idNumber": "id1", "idNumber ": "id1"},
    {"__typename": "Resident", "id": "r.AAAA"},
    {"__typename": "Resident", "id_number": "id1"},
    {"__typename": "Resident", "name": "n1"},
    {"__typename": "Resident", "name": "n1", "birthDate": "2000-13-01"},
    {"__typename": "Resident", "idNumber": None},
    {"__typename": "Resident", "idNumber": ["id1"]},
    {"__typename": "Resident", "idNumber": {"in": ["id1"]}},
    {"__typename": "resident", "idNumber": "id1"},
    {"__typename": "Node", "idNumber": "id1"},
    {"__typename": "Dossier", "title": "x"},
    {"__typename": "Query"},
    {"__typename": ["Resident"], "idNumber": "id1"},
    {"idNumber": "id1"},
]
ENTITIES = "query($r: [_Any!]!) { _entities(representations: $r) { __typename ... on Resident { name } } }"
FOUND = {"__typename": "Resident", "name": "n2"}


@case(28)
@pytest.mark.parametrize("forged", FORGED, ids=repr)
async def test_a_forged_representation_is_null_with_the_same_error_as_any_other(
    world: World, forged: dict[str, Any]
) -> None:
    good = {"__typename": "Resident", "idNumber": "id2"}
    answer = await world.ask(ENTITIES, {"r": [forged, good, forged]})
    assert answer.data == {"_entities": [None, FOUND, None]}
    plain = await world.ask(ENTITIES, {"r": [{}, good, {}]})
    assert answer.errors == plain.errors
    assert len(answer.errors) == 1


@case(28, twin=True)
async def test_a_representation_by_exactly_a_key_is_found(world: World) -> None:
    by_number = {"__typename": "Resident", "idNumber": "id2"}
    by_name = {"__typename": "Resident", "birthDate": "2000-01-02", "name": "n2"}
    answer = await world.ask(ENTITIES, {"r": [by_number, by_name]})
    assert answer.data == {"_entities": [FOUND, FOUND]}
    assert answer.errors == []


# --- 29: the same verdict on every path ----------------------------------------------------------------------------

SELECTED = {
    "list": residents("first: 1", "nodes { passport }"),
    "edges": residents("first: 1", "edges { node { passport } }"),
    "last page": residents("last: 1", "nodes { passport }"),
    "key": '{ data { population { resident(idNumber: "id1") { passport } } } }',
    "second key": '{ data { population { residentByNameAndBirthDate(name: "n1", birthDate: "2000-01-01") '
    "{ passport } } } }",
    "missed key": '{ data { population { resident(idNumber: "nobody") { passport } } } }',
    "node": f'{{ node(id: "{row_id(1)}") {{ ... on Resident {{ passport }} }} }}',
    "relation to one": '{ data { transport { vehicle(plate: "P1") { keeper { passport } } } } }',
    "relation to many": "{ data { population { households(first: 1) { nodes { members { nodes { passport } } } } } } }",
    "entities": '{ _entities(representations: [{__typename: "Resident", idNumber: "id1"}]) { ... on Resident '
    "{ passport } } }",
}
USED = {
    "where": residents('where: {passport: {ne: ""}}'),
    "where through a relation": '{ data { transport { vehicles(where: {keeper: {some: {passport: {ne: ""}}}}) '
    "{ totalCount } } } }",
    "where of a relation": "{ data { population { households { nodes { members(where: {passport: {isNull: true}}) "
    "{ totalCount } } } } } }",
    "order": residents("orderBy: [{passport: ASC}]"),
    "order of a relation": "{ data { population { households { nodes { members(orderBy: [{passport: ASC}]) "
    "{ nodes { name } } } } } } }",
    "count": residents('where: {passport: {ne: ""}}', "totalCount"),
    "count of an aggregate": aggregate('where: {passport: {ne: ""}}', "count"),
    "group": aggregate("groupBy: [PASSPORT]", "count"),
    "smallest": aggregate("", "min { passport }"),
    "distinct": aggregate("", "countDistinct { passport }"),
    "values": aggregate("", "countValues { passport }"),
}
GRANTED = make_grant(RESIDENT, "passport")
STATES: dict[str, tuple[tuple[Grant, ...], str]] = {
    "none": ((), "GRANT_REQUIRED"),
    "suspended": ((replace(GRANTED, state=GrantState.SUSPENDED),), "GRANT_SUSPENDED"),
    "ended": ((replace(GRANTED, state=GrantState.ENDED),), "GRANT_ENDED"),
    "over": ((replace(GRANTED, valid_to=NOW),), "GRANT_EXPIRED"),
    "future": ((replace(GRANTED, valid_from=NOW + timedelta(seconds=1)),), "GRANT_NOT_YET_VALID"),
    "other purpose": ((replace(GRANTED, purpose="statistics"),), "PURPOSE_MISMATCH"),
}


async def by(method: str, world: World, query: str) -> Answer:
    """The same question by POST and by GET."""
    return await world.ask(query, read_only=method == "GET")


@case(29)
@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("path", [*SELECTED, *USED])
async def test_every_path_gives_the_same_verdict(path: str, state: str, method: str) -> None:
    grants, code = STATES[state]
    world = World(population(), rows(), [*follow_all(), *grants])
    answer = await by(method, world, (SELECTED | USED)[path])
    assert answer.codes == [code]
    assert b"secret" not in answer.response.body
    if path in USED:
        assert "data" not in answer.body
        assert world.sources.calls == []


@case(29, twin=True)
@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("path", [*SELECTED, *USED])
async def test_every_path_opens_with_the_grant(path: str, method: str) -> None:
    world = opened("passport")
    answer = await by(method, world, (SELECTED | USED)[path])
    assert answer.errors == []
    assert world.sources.calls
    if path in SELECTED and path != "missed key":
        assert b"secret" in answer.response.body


ROW_PATHS = {
    "list": residents("", "nodes { name }"),
    "pages": residents("first: 3, orderBy: [{name: DESC}]", "nodes { name } pageInfo { hasNextPage }"),
    "key": '{ data { population { resident(idNumber: "id2") { name } } } }',
    "node": f'{{ node(id: "{row_id(2)}") {{ ... on Resident {{ name }} }} }}',
    "entities": '{ _entities(representations: [{__typename: "Resident", idNumber: "id2"}]) '
    "{ ... on Resident { name } } }",
    "relation to one": '{ data { transport { vehicle(plate: "P3") { keeper { name } } } } }',
    "relation to many": "{ data { population { households { nodes { members { nodes { name } } } } } } }",
    "smallest": aggregate('where: {name: {in: ["n2", "n6"]}}', "min { name } max { name }"),
    "group": aggregate("groupBy: [NAME]", "key { name }"),
}


@hole("fraiseql-entities", "fraiseql-node", "fraiseql-pages", "hasura-relations")
@case(29)
@pytest.mark.parametrize("path", ROW_PATHS)
async def test_a_row_out_of_scope_comes_by_no_path(path: str) -> None:
    answer = await scoped(ODD).ask(ROW_PATHS[path])
    assert answer.errors == []
    assert not any(f'"n{n}"'.encode() in answer.response.body for n in (2, 4, 6))


@case(29, twin=True)
@pytest.mark.parametrize("path", ROW_PATHS)
async def test_a_row_in_scope_comes_by_every_path(path: str) -> None:
    answer = await scoped(TRUE).ask(ROW_PATHS[path])
    assert any(f'"n{n}"'.encode() in answer.response.body for n in (2, 4, 6))


# --- 30: what is told of what is not there -------------------------------------------------------------------------

INSIDE = "zq"
"""Part of every physical name in the catalogue below, and of no published one."""


def with_physical_names() -> Snapshot:
    known = population()
    resources = {}
    for code, one in known.resources.items():
        items = tuple(
            replace(item, column=Column(f"{INSIDE}_column_{number}", item.type))
            for number, item in enumerate(one.items)
        )
        handle = one.binding.handle
        binding = replace(
            one.binding,
            table=f"{INSIDE}_table",
            namespace=f"{INSIDE}_space",
            handle=replace(handle, name=f"{INSIDE}_handle") if handle else None,
        )
        resources[code] = replace(one, items=items, binding=binding)
    sources = {key: replace(one, options={"dsn": f"{INSIDE}://host"}) for key, one in known.sources.items()}
    return replace(known, resources=resources, sources=sources)


ASKED = [
    ("zq_column_0", "zq_colmun_0", residents("", "nodes { %s }")),
    ("zq_column_0", "zq_colmun_0", residents('where: {%s: {eq: "x"}}')),
    ("zq_handle", "zq_hnadle", residents("orderBy: [{%s: ASC}]")),
    ("ZQ_COLUMN_0", "ZQ_COLMUN_0", aggregate("groupBy: [%s]", "count")),
    ("zq_table", "zq_tbale", "{ data { population { %s { name } } } }"),
    ("zq_table", "zq_tbale", '{ __type(name: "%s") { name } }'),
    ("zq_table", "zq_tbale", '{ catalogue { resource(code: "%s") { title } } }'),
    ("dossiers", "dossjers", "{ data { population { %s { nodes { title } } } } }"),
    ("Dossier", "Dossjer", '{ node(id: "r.AAAA") { id ... on %s { title } } }'),
    ("Dossier", "Dossjer", '{ _entities(representations: [{__typename: "%s", title: "x"}]) { __typename } }'),
    ("Dossier", "Dossjer", '{ __type(name: "%s") { name fields { name } } }'),
]


@case(30)
@pytest.mark.parametrize(("there", "absent", "query"), ASKED)
async def test_a_name_that_is_not_published_is_as_unknown_as_one_that_is_nowhere(
    there: str, absent: str, query: str
) -> None:
    """Columns, tables, handles, and resources of the other zone: the same error but for the name that was sent."""
    world = World(with_physical_names(), {"main": {}, "traffic": {}}, follow_all())
    bodies = [(await world.ask(query % name)).response.body.decode().replace(name, "?") for name in (there, absent)]
    assert bodies[0] == bodies[1]
    assert INSIDE not in bodies[0].lower()
    assert world.sources.calls == []


@case(30)
async def test_schema_text_and_introspection_tell_the_catalogue_alone() -> None:
    world = World(with_physical_names(), {"main": {}, "traffic": {}})
    sdl = await world.gateway.sdl()
    whole = (await world.ask(get_introspection_query())).response.body.decode()
    service = (await world.ask("{ _service { sdl } }")).response.body.decode()
    for text in (sdl, whole, service):
        assert INSIDE not in text
        assert "Dossier" not in text
        assert "dossier" not in text


@case(30, twin=True)
async def test_what_the_catalogue_publishes_is_in_the_schema_whoever_asks() -> None:
    world = World(with_physical_names(), {"main": {}, "traffic": {}})
    for who in (requester(), requester(purposes=frozenset(), scopes=frozenset())):
        answer = await world.ask('{ __type(name: "Resident") { fields { name } } }', who=who)
        assert {"name", "passport", "file"} <= {field["name"] for field in answer.data["__type"]["fields"]}
    answer = await world.ask(residents("", "nodes { nam }"))
    assert "Did you mean" in answer.errors[0]["message"]
