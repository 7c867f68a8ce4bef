"""Whatever can be asked has a row in the matrix: paths, arguments, operators, functions, parts, transports."""

import base64
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, cast

import pytest
from graphql import (
    GraphQLArgument,
    GraphQLField,
    GraphQLInputField,
    GraphQLInt,
    GraphQLObjectType,
    GraphQLString,
    get_named_type,
)
from starlette.responses import Response
from starlette.routing import Route

from resolvers import where
from resolvers.entry_paths import group_path, root_path
from resolvers.gateway import Gateway
from schema import unified
from schema.fields import EXTENSION, Part, PartField, WhereLogic
from tanglai.catalogue.model import Snapshot
from tanglai.server.compose import compose
from tanglai.server.pages import Pages
from tanglai.server.settings import Settings
from tests.catalogues import population
from tests.http.platform import running
from tests.matrix import registers
from tests.matrix.catalogues import catalogues
from tests.matrix.registers import (
    DOORS,
    METHODS,
    PENDING,
    ROOTS,
    ROUTES,
    TRANSPORTS,
    Used,
    answers,
    coordinates,
    doors,
    leads_to_rows,
    missing,
    registered,
    request_fields,
    routes,
    used_by,
)
from tests.matrix.steps import Way
from tests.matrix.ways import Ways


def ways_of(snapshot: Snapshot) -> Iterator[Way]:
    ways = Ways(snapshot)
    served = {resource.code for resource in snapshot.served}
    for resource in snapshot.served:
        for item in resource.items:
            yield from ways.of_item(resource, item)
        for relation in resource.relations:
            if relation.target in served:
                yield from ways.of_relation(resource, relation)
        yield from ways.of_rows(resource)


@cache
def used_of(name: str) -> Used:
    snapshot = catalogues()[name]
    return used_by(unified.build(snapshot).graphql, ways_of(snapshot))


@pytest.mark.parametrize("name", ["demo", "population"])
def test_everything_that_can_be_asked_has_a_row(name: str) -> None:
    schema = unified.build(catalogues()[name]).graphql
    assert missing(schema, used_of(name)) == []
    assert len(coordinates(schema)) > 300
    assert len(registered()) > 50


def told(name: str = "population", schema: Any = None) -> str:
    return "\n".join(missing(schema or unified.build(population()).graphql, used_of(name)))


def test_a_path_that_registers_itself_needs_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    assert told() == ""
    monkeypatch.setitem(cast(Any, root_path.planners), cast(Any, WhereLogic.AND), lambda *_: "null")
    monkeypatch.setitem(cast(Any, group_path.planners), Export, lambda *_: "null")
    found = told()
    assert "`root path and` is registered and has no row in the matrix" in found
    assert "`entry path Export` is registered" in found
    assert "tests/matrix/ways.py" in found


class Export:
    """What a member of a group would mean if there were exports."""


def test_an_operator_and_a_quantifier_need_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(where, "OPERATORS", {**where.OPERATORS, "endsWith": where.OPERATORS["contains"]})
    monkeypatch.setattr(where, "QUANTIFIERS", {**where.QUANTIFIERS, "most": where.QUANTIFIERS["some"]})
    found = told()
    assert "`operator endsWith` is registered" in found
    assert "`quantifier most` is registered" in found


def test_whatever_the_schema_gains_needs_a_row() -> None:
    """An argument, a field of a connection, an operator of an item, a field below `data` without meaning."""
    schema = unified.build(population()).graphql
    residents = cast(GraphQLObjectType, schema.type_map["PopulationData"]).fields["residents"]
    connection = cast(GraphQLObjectType, schema.type_map["ResidentConnection"])
    edge = cast(GraphQLObjectType, schema.type_map["ResidentEdge"])
    filters = cast(Any, schema.type_map["ResidentWhere"])
    before = dict(residents.args)
    residents.args = {**before, "distinct": GraphQLArgument(GraphQLString)}
    connection.fields["totals"] = GraphQLField(GraphQLInt, extensions={EXTENSION: PartField(Part.TOTAL_COUNT)})
    edge.fields["weight"] = GraphQLField(GraphQLInt)
    filters.fields["matches"] = GraphQLInputField(GraphQLString)
    found = told(schema=schema)
    assert "`PopulationData.residents(distinct:)` of the schema has no row" in found
    assert "`ResidentConnection.totals` of the schema has no row" in found
    assert "`ResidentEdge.weight` of the schema has no meaning" in found
    assert "`ResidentWhere.matches` of the schema has no row" in found


def test_every_root_field_is_a_row_or_tells_no_rows() -> None:
    schema = unified.build(population()).graphql
    assert schema.query_type is not None
    for name, field in schema.query_type.fields.items():
        if name not in ROOTS:
            rows = leads_to_rows(schema, get_named_type(field.type))
            assert rows == set(), f"`{name}` is a row of the matrix, or says why it is none"
    assert set(ROOTS) <= set(schema.query_type.fields)
    assert {name for name, tells in ROOTS.items() if tells == "rows"} == {path.value for path in root_path.planners}
    assert leads_to_rows(schema, schema.query_type) >= {"Data", "Resident", "ResidentConnection"}
    for root in (schema.mutation_type, schema.subscription_type):
        assert root is not None
        assert leads_to_rows(schema, root) == set(), f"`{root.name}` answers with no rows, or joins the matrix"


def test_every_call_of_the_gateway_is_a_transport_or_brings_no_rows() -> None:
    assert doors() == set(DOORS), "who calls the gateway is a transport of the matrix (registers.py, DOORS)"
    assert answers() == registers.GATEWAY, "what the gateway answers is an entry path of the matrix"
    assert request_fields() == registers.REQUEST, "what a request consists of decides how a document comes in"
    assert {
        word for words in DOORS.values() for word in words.replace(" and", "").split() if word in TRANSPORTS
    } == set(TRANSPORTS)


def test_every_route_of_a_server_is_listed_and_no_other_method_comes_in(tmp_path: Path) -> None:
    """Asked of a node as it is put together, and of a running server: what is not listed is not there."""
    key = base64.b64encode(bytes(32)).decode()
    node: Any = compose(Settings(state_dir=tmp_path, key=key, demo_issuer=True), {})[0]
    found = routes(node._rest.routes) - {route.path for route in Pages().routes() if isinstance(route, Route)}
    assert found == set(ROUTES), "a route that brings rows is an entry path of the matrix (registers.py, ROUTES)"
    with running() as platform:
        for method in ("GET", "POST", "OPTIONS", "PUT", "PATCH", "DELETE", "HEAD", "QUERY", "TRACE", "SEARCH"):
            answer = platform.send(method, "/graphql?query=%7Bhello%7D", headers={"Content-Length": "0"})
            assert (answer.status != 405) == (method in METHODS), f"{method} is a transport of the matrix"


@pytest.mark.parametrize("pending", PENDING, ids=lambda pending: pending.name)
def test_a_path_to_come_joins_when_it_lands(pending: registers.Pending) -> None:
    landed = pending.landed(unified.build(population()).graphql)
    assert landed == set(), f"{pending.name} are there: give them rows in the matrix, and take them off PENDING"


def test_a_path_that_lands_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = unified.build(population()).graphql
    (stored,) = PENDING
    assert schema.query_type is not None
    schema.query_type.fields["storedDocument"] = GraphQLField(GraphQLString)
    assert stored.landed(schema) == {"Query.storedDocument"}
    del schema.query_type.fields["storedDocument"]
    monkeypatch.setattr(Gateway, "persisted", lambda: None, raising=False)
    assert stored.landed(schema) == {"Gateway.persisted"}


def test_a_route_that_appears_is_noticed() -> None:
    route = Route("/download", lambda _: Response())
    assert routes([route]) == {"/download"}
    assert "/download" not in ROUTES
