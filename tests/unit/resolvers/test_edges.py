"""What planning does at its edges: type names everywhere, repeated and empty parts, explicit nulls, bounds."""

from typing import Any

import pytest
from graphql import GraphQLArgument, GraphQLInt, GraphQLString, parse

from resolvers.entry_paths import group_path, root_path
from resolvers.limits import Limits
from resolvers.passes import simplify
from resolvers.seals import ROW
from resolvers.values import arguments_of
from schema.fields import ListField, RootField
from tanglai.catalogue.expressions import (
    And,
    Case,
    Column,
    Compare,
    CompareOp,
    Expression,
    In,
    IsTrue,
    Match,
    MatchOp,
    Not,
    Or,
    Value,
)
from tanglai.catalogue.scalars import ScalarType
from tests.catalogues import population
from tests.gateways import World, make_grant
from tests.unit.resolvers.conftest import RESIDENT, rows

TEXT = ScalarType.TEXT
SCOPE = IsTrue(Compare(CompareOp.EQ, Column("county", TEXT), Value("640104", TEXT)))
CELL = Case(((SCOPE, Column("phone", TEXT)),), TEXT)
RAW, NEEDLE = Column("phone", TEXT), Value("138", TEXT)


@pytest.mark.parametrize(
    ("where", "simplified"),
    [
        (Compare(CompareOp.EQ, CELL, NEEDLE), And((SCOPE, Compare(CompareOp.EQ, RAW, NEEDLE)))),
        (In(CELL, (NEEDLE,)), And((SCOPE, In(RAW, (NEEDLE,))))),
        (Match(MatchOp.CONTAINS, CELL, NEEDLE), And((SCOPE, Match(MatchOp.CONTAINS, RAW, NEEDLE)))),
        (
            Or((In(CELL, (NEEDLE,)), Compare(CompareOp.EQ, RAW, NEEDLE))),
            Or((And((SCOPE, In(RAW, (NEEDLE,)))), Compare(CompareOp.EQ, RAW, NEEDLE))),
        ),
    ],
    ids=["compare", "in", "match", "or"],
)
def test_a_cell_becomes_its_column_where_only_true_counts(where: Expression, simplified: Expression) -> None:
    assert simplify(where) == simplified


@pytest.mark.parametrize(
    "where",
    [Not(Compare(CompareOp.EQ, CELL, NEEDLE)), Not(In(CELL, (NEEDLE,))), IsTrue(Match(MatchOp.CONTAINS, CELL, NEEDLE))],
    ids=["not compare", "not in", "inside a two-valued reading"],
)
def test_a_cell_stays_a_cell_elsewhere(where: Expression) -> None:
    assert simplify(where) is where


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ("{ data { __typename } }", {"__typename": "Data"}),
        ("{ data { id population { __typename id } } }", {"id": "data:", "population": None}),
        (
            "{ data { population { residents(first: 1) { __typename edges { __typename node { __typename } } "
            "pageInfo { __typename } } } } }",
            None,
        ),
        (
            "{ data { population { residentsAggregate(groupBy: [SEX, SEX]) { __typename key { __typename sex } "
            "max { __typename } } } } }",
            None,
        ),
    ],
)
async def test_type_names_are_told_at_every_level(world: World, selection: str, expected: Any) -> None:
    answer = await world.ask(selection)
    assert answer.codes == []
    data = answer.data["data"]
    if expected is not None:
        assert {**data, **({"population": None} if "population" in data else {})} == expected
    elif "residents" in data["population"]:
        listed = data["population"]["residents"]
        assert listed["__typename"] == "ResidentConnection"
        assert listed["edges"] == [{"__typename": "ResidentEdge", "node": {"__typename": "Resident"}}]
        assert listed["pageInfo"] == {"__typename": "PageInfo"}
    else:
        groups = data["population"]["residentsAggregate"]
        assert [group["key"]["sex"] for group in groups] == ["1", "2"]
        assert {group["__typename"] for group in groups} == {"ResidentAggregate"}
        assert {group["key"]["__typename"] for group in groups} == {"ResidentGroupKey"}
        assert {group["max"]["__typename"] for group in groups} == {"ResidentExtremes"}


async def test_an_aggregate_of_its_type_name_alone_has_one_group(world: World) -> None:
    answer = await world.ask("{ data { population { residentsAggregate { __typename } } } }")
    assert answer.data["data"]["population"]["residentsAggregate"] == [{"__typename": "ResidentAggregate"}]


async def test_one_figure_twice_is_counted_once(world: World) -> None:
    answer = await world.ask("{ data { population { residentsAggregate { a: count b: count } } } }")
    assert answer.data["data"]["population"]["residentsAggregate"] == [{"a": 7, "b": 7}]
    assert len(world.sources.calls[0][0].outputs) == 1


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ("($g: ResidentGroupBy) { data { population { residentsAggregate(groupBy: [$g]) { count } } } }", {"g": None}),
        ("($k: String) { data { population { resident(idNumber: $k) { name } } } }", {"k": None}),
        ("{ data { population { residents(orderBy: [{}]) { totalCount } } } }", {}),
        ("{ data { population { residents(orderBy: [{ name: ASC, sex: DESC }]) { totalCount } } } }", {}),
        ("($w: ResidentWhere) { data { population { residents(where: { and: [$w] }) { totalCount } } } }", {"w": None}),
        ("{ data { population { residents(where: { name: { in: null } }) { totalCount } } } }", {}),
        ("{ data { population { residents(where: { name: null }) { totalCount } } } }", {}),
        ("{ data { population { residents(first: 1001) { totalCount } } } }", {}),
    ],
)
async def test_what_makes_no_sense_is_bad_input(world: World, query: str, variables: dict[str, Any]) -> None:
    answer = await world.ask(f"query {query}", variables)
    assert "data" not in answer.body
    assert set(answer.codes) == {"BAD_INPUT"}
    assert world.sources.calls == []


async def test_an_order_by_one_item_twice_is_that_order(world: World) -> None:
    query = "{ data { population { residents(orderBy: [%s]) { nodes { name } } } } }"
    once = await world.ask(query % "{ name: DESC }")
    twice = await world.ask(query % "{ name: DESC }, { name: ASC }")
    assert once.data == twice.data
    assert len(world.sources.calls[-1][0].order) == 2


async def test_an_id_of_a_resource_that_is_gone_is_null(world: World) -> None:
    sealed = world.gateway._seals.seal(ROW, b"", ["999999/9", 1])
    answer = await world.ask("query($id: ID!) { node(id: $id) { id } }", {"id": sealed})
    assert answer.data == {"node": None}
    assert answer.codes == []


@pytest.mark.parametrize("written", ["{ node(id: %s) { id } }", "query($id: ID!) { node(id: $id) { id } }"])
async def test_an_id_that_was_not_sealed_here_is_bad_input(world: World, written: str) -> None:
    query = written % '"r.AAAA"' if "%s" in written else written
    answer = await world.ask(query, {} if "%s" in written else {"id": "r.AAAA"})
    assert answer.codes == ["BAD_INPUT"]
    assert "data" not in answer.body


async def test_an_operation_has_a_bounded_number_of_source_calls() -> None:
    world = World(population(), rows(), [make_grant(RESIDENT, "passport")], limits=Limits(data_calls=2))
    aliases = " ".join(f'a{n}: resident(idNumber: "id{n}") {{ name }}' for n in range(3))
    answer = await world.ask(f"{{ data {{ population {{ {aliases} }} }} }}")
    assert answer.codes == ["LIMIT_EXCEEDED"]
    assert world.sources.calls == []


def test_a_path_has_one_planner() -> None:
    with pytest.raises(ValueError, match="two planners"):
        root_path(RootField.NODE)(lambda *_: "null")
    with pytest.raises(ValueError, match="two planners"):
        group_path(ListField)(lambda *_: "null")


def test_a_literal_of_the_wrong_type_is_bad_input_even_unvalidated() -> None:
    (field,) = parse('{ f(n: "x") }').definitions[0].selection_set.selections  # type: ignore[attr-defined]
    with pytest.raises(Exception, match="wrong type"):
        arguments_of({"n": GraphQLArgument(GraphQLInt)}, field, {})


def test_a_default_stands_where_an_argument_is_not_given() -> None:
    (field,) = parse("query($v: String) { f(a: $v) }").definitions[0].selection_set.selections  # type: ignore[attr-defined]
    definitions = {
        "a": GraphQLArgument(GraphQLString, default_value="A"),
        "b": GraphQLArgument(GraphQLString, default_value="B"),
        "c": GraphQLArgument(GraphQLString),
    }
    assert arguments_of(definitions, field, {}) == {"a": "A", "b": "B"}


async def test_what_is_skipped_is_not_there(world: World) -> None:
    row = "{ ... on Node @skip(if: true) { id } name }"
    answer = await world.ask(f'{{ data {{ population {{ resident(idNumber: "id1") {row} }} }} }}')
    assert answer.data["data"]["population"]["resident"] == {"name": "n1"}
