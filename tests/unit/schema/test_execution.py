"""The bound on the fixed part: what is executed is counted, whatever the document looks like."""

import pytest
from graphql import GraphQLError, get_introspection_query

from tanglai.catalogue.errors import ErrorCode, TanglaiError
from tests.catalogues import make_item, make_resource, make_snapshot, population
from tests.unit.schema.asking import Asker


def around(depth: int) -> str:
    """Items of resources of items ..., `depth` times: each step multiplies by the number of items."""
    inner = "id"
    for _ in range(depth):
        inner = f"id items {{ id resource {{ {inner} }} }}"
    return f'{{ me {{ client }} catalogue {{ resource(code: "1/1") {{ {inner} }} }} }}'


WIDE = make_snapshot([make_resource("wide", [make_item(f"item{number}") for number in range(20)], code="1/1")])


async def test_a_short_document_cannot_ask_for_everything() -> None:
    result = await Asker(WIDE).run(around(7))
    assert result.data is None
    assert result.errors is not None
    assert len(result.errors) == 1
    error = result.errors[0].original_error
    assert isinstance(error, TanglaiError)
    assert error.code is ErrorCode.LIMIT_EXCEEDED


async def test_the_bound_is_exact() -> None:
    text = "{ catalogue { id resources(first: 3) { nodes { code title } totalCount } } }"
    fields = 1 + 2 + 2 + 3 * 2
    assert (await Asker(population(), max_fields=fields).run(text)).errors is None
    result = await Asker(population(), max_fields=fields - 1).run(text)
    assert result.data is None
    assert result.errors is not None


@pytest.mark.parametrize("text", ['{ a: catalogue { id } b: catalogue { resource(code: "x") { id } } }', around(1)])
async def test_aliases_and_small_cycles_are_fine(text: str) -> None:
    assert (await Asker(WIDE).run(text)).errors is None


async def test_errors_below_the_bound_stay_with_their_fields() -> None:
    text = (
        '{ catalogue { resource(code: "1/1") { a: item(name: "item1") { myAccess(purpose: "fun") { name } } title } } }'
    )
    result = await Asker(WIDE).run(text)
    assert result.data == {"catalogue": {"resource": {"a": None, "title": "wide信息"}}}
    assert result.errors is not None
    assert isinstance(result.errors[0], GraphQLError)


async def test_the_bound_holds_beside_what_waits() -> None:
    text = """{ catalogue { resource(code: "1/1") {
      waits: itemChanges(since: 1) { name } items { id title name fieldName type } } } }"""
    result = await Asker(WIDE, max_fields=50).run(text)
    assert result.data is None
    assert [str(error.original_error) for error in result.errors or ()] == ["the operation resolves too many fields"]


async def test_introspection_is_counted_by_itself() -> None:
    asker = Asker(population(), max_fields=10)
    assert (await asker.run(get_introspection_query(specified_by_url=True))).errors is None
    inner = "name"
    for _ in range(5):
        inner = f"fields {{ type {{ ofType {{ {inner} }} {inner} }} }}"
    result = await asker.run(f"{{ __schema {{ types {{ {inner} }} }} }}")
    assert result.data is None
    assert len(result.errors or ()) == 1
