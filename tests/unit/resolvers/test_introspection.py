"""What a schema tells of itself is what graphql-core's executor would tell, at any length, computed once."""

import json
from collections.abc import Mapping
from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest
from graphql import (
    GraphQLError,
    build_schema,
    get_introspection_query,
    introspection_types,
    is_leaf_type,
    is_list_type,
    parse,
)
from graphql.execution import execute
from hypothesis import given, settings
from hypothesis import strategies as st

from resolvers import introspection
from resolvers.document import Documents
from resolvers.introspection import SchemaAnswers, _Walk
from resolvers.limits import Limits
from resolvers.requests import LongResponse
from resolvers.selection import Collector
from schema.unified import UnifiedSchema, build
from tanglai.catalogue.errors import ErrorCode, TanglaiError
from tests.catalogues import population
from tests.gateways import World

SCHEMA = build(population())
LIMITS = Limits(depth=30, fields=100_000, tokens=100_000)
WORKBENCH = """query Types($all: Boolean = true, $not: Boolean!) {
  a: __type(name: "Resident") { ...T } b: __type(name: "ResidentWhere") { ...T ...on __Type { __typename kind } }
  none: __type(name: "Nobody") { name } __type(name: "Node") { possibleTypes { name } }
  __schema { directives { name locations args { ...I } isRepeatable } queryType { name }
    types @skip(if: $not) { name } }
}
fragment T on __Type { kind name description fields(includeDeprecated: $all) { name args { ...I } type { ...R } }
  inputFields { ...I } enumValues { name isDeprecated } interfaces { name } }
fragment I on __InputValue { name description type { ...R } defaultValue }
fragment R on __Type { kind name ofType { kind name ofType { kind name ofType { name } } } }"""


async def told(schema: UnifiedSchema, text: str, variables: Mapping[str, Any] | None = None) -> tuple[Any, Any]:
    """The answer as read from its JSON, and its errors."""
    document = Documents(schema.graphql, LIMITS).document(text)
    operation = document.operation(None)
    root = schema.graphql.query_type
    assert root is not None
    collector = Collector(schema.graphql, document.fragments, variables or {})
    selections = collector.fields(root, [operation.node.selection_set])
    result = await SchemaAnswers(schema).answer(document, operation, variables or {}, selections)
    if result.data is None:
        return None, result.errors
    whole = {key: part if isinstance(part, bytes) else b"".join(part) for key, part in result.data.items()}
    return {key: json.loads(part) for key, part in whole.items()}, result.errors


def expected(schema: UnifiedSchema, text: str, variables: Mapping[str, Any] | None = None) -> Any:
    result: Any = execute(schema.graphql, parse(text), variable_values=dict(variables or {}))
    assert result.errors is None
    return result.data


@pytest.fixture(params=["at once", "apart", "apart in parts"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the answer is."""
    if request.param != "at once":
        monkeypatch.setattr(introspection, "AT_ONCE", 3)
    if request.param == "apart in parts":
        monkeypatch.setattr(introspection, "PART_BYTES", 100)
        monkeypatch.setattr(introspection, "PIECE", 100)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(
    "more", [{}, {"descriptions": False}, {"schema_description": True, "input_value_deprecation": True}]
)
async def test_the_usual_introspection_is_the_executors(more: dict[str, bool]) -> None:
    text = get_introspection_query(**more)
    assert await told(SCHEMA, text) == (expected(SCHEMA, text), None)


@pytest.mark.usefixtures("way")
async def test_the_workbenchs_documents_and_the_subgraphs_text() -> None:
    for hidden in (True, False):
        variables = {"not": hidden}
        assert await told(SCHEMA, WORKBENCH, variables) == (expected(SCHEMA, WORKBENCH, variables), None)
    service = "{ _service { __typename sdl } again: _service { text: sdl } }"
    assert await told(SCHEMA, service) == (expected(SCHEMA, service), None)


@cache
def below(kind: Any, depth: int) -> st.SearchStrategy[str]:
    return st.deferred(lambda: selections(kind, depth))


def selections(kind: Any, depth: int) -> st.SearchStrategy[str]:
    """Random selections on an introspection type."""
    options = []
    for name, field in kind.fields.items():
        if name == "isOneOf":  # Strawberry's resolver fails in the executor
            continue
        target: Any = field.type
        while is_list_type(target) or hasattr(target, "of_type"):
            target = target.of_type
        shown = st.sampled_from(["", f"x{name}: "])
        called = st.sampled_from(["", "(includeDeprecated: true)"]) if field.args else st.just("")
        if is_leaf_type(target):
            options.append(st.builds("{}{}{}".format, shown, st.just(name), called))
        elif depth:
            inner = below(target, depth - 1)
            options.append(st.builds("{}{}{} {}".format, shown, st.just(name), called, inner))
    options.append(st.just("__typename"))
    # one text per response key: two of a kind need not merge
    return st.lists(
        st.one_of(options), min_size=1, max_size=4, unique_by=lambda text: text.split("(")[0].split()[0]
    ).map(lambda some: "{ " + " ".join(some) + " }")


SMALL: Any = SimpleNamespace(
    graphql=build_schema(
        """
        "What a query may ask."
        type Query { dog(size: Size = BIG, like: Like = {names: ["a"]}, old: Int @deprecated): Dog any: [Any!]! }
        enum Size { BIG SMALL @deprecated } input Like { names: [String!] deep: Like } scalar Day @specifiedBy(url: "u")
        interface Named { name: String } type Dog implements Named { name: String born: Day @deprecated }
        union Any = Dog
        """
    ),
    passing=lambda entries: entries,
)


@settings(max_examples=100, deadline=None)
@given(
    st.one_of(
        selections(introspection_types["__Schema"], 3).map("{{ __schema {} }}".format),
        selections(introspection_types["__Type"], 3).map('{{ __type(name: "Dog") {} }}'.format),
    )
)
async def test_random_documents_are_answered_as_by_the_executor(text: str) -> None:
    try:
        answer = await told(SMALL, text)
    except TanglaiError:  # two arguments under one key: no valid document
        return
    assert answer == (expected(SMALL, text), None)


async def test_whether_a_type_is_one_of_many_inputs_is_asked_of_named_types_alone() -> None:
    data, errors = await told(SMALL, '{ __type(name: "Query") { isOneOf fields { type { isOneOf } } } }')
    assert errors is None
    assert data == {"__type": {"isOneOf": False, "fields": [{"type": {"isOneOf": False}}, {"type": {"isOneOf": None}}]}}


async def test_a_long_answer_is_computed_once_and_leaves_no_fields_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    walks = []
    start = _Walk.__init__

    def counted(self: _Walk, *arguments: Any) -> None:
        walks.append(arguments)
        start(self, *arguments)

    monkeypatch.setattr(_Walk, "__init__", counted)
    schema = build(population())
    document = Documents(schema.graphql, LIMITS).document(get_introspection_query())
    operation = document.operation(None)
    root = schema.graphql.query_type
    assert root is not None
    asked = Collector(schema.graphql, {}, {}).fields(root, [operation.node.selection_set])
    monkeypatch.setattr(introspection, "AT_ONCE", 0)
    answers = SchemaAnswers(schema)
    first = await answers.answer(document, operation, {}, asked)
    again = await answers.answer(document, operation, {}, asked)
    assert first.data is not None
    assert again.data == first.data
    assert len(walks) == 2  # the one that was given up, and the one apart
    assert [member for member in schema.data.resources.values() if member.unfolded()] == []
    monkeypatch.setattr(introspection, "KEPT_BYTES", 10)
    await answers.answer(document, operation, {}, asked)
    await answers.answer(document, operation, {}, asked)
    assert len(walks) == 4  # too long to be kept


async def test_beyond_the_bound_there_is_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(introspection, "AT_ONCE", 3)
    monkeypatch.setattr(introspection, "FIELDS_PER_TYPE", 1)
    data, errors = await told(SCHEMA, get_introspection_query())
    assert data is None
    (error,) = errors
    assert isinstance(error, GraphQLError)
    assert isinstance(error.original_error, TanglaiError)
    assert error.original_error.code is ErrorCode.LIMIT_EXCEEDED


@pytest.mark.usefixtures("way")
async def test_null_in_a_variable_for_an_argument_that_takes_none() -> None:
    text = """query ($all: Boolean) { __type(name: "Query") { name fields(includeDeprecated: $all) { name } } }"""
    assert await told(SCHEMA, text) == (expected(SCHEMA, text), None)
    data, (error,) = await told(SCHEMA, text, {"all": None})
    assert data is None
    assert error.original_error.code is ErrorCode.BAD_INPUT
    answer = await World(population(), {}, []).ask(text, {"all": None})
    assert [error["extensions"]["code"] for error in answer.errors] == ["BAD_INPUT"]


async def test_the_gateway_answers_both_parts_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(population(), {}, [])
    text = """{ me { client } s: __schema { queryType { name } } catalogue { id } __typename
      t: __type(name: "Int") { name } }"""
    answer = await world.ask(text)
    assert answer.errors == []
    assert list(answer.data) == ["me", "s", "catalogue", "__typename", "t"]
    assert answer.data["s"] == {"queryType": {"name": "Query"}}
    assert answer.data["t"] == {"name": "Int"}
    monkeypatch.setattr(introspection, "PART_BYTES", 1_000)
    whole = await world.ask(get_introspection_query(descriptions=False))
    assert isinstance(whole.response, LongResponse)
    assert max(map(len, whole.response.parts)) < 40_000
    assert whole.data == expected(SCHEMA, get_introspection_query(descriptions=False))
    assert whole.extensions["requestId"] == "r1"
