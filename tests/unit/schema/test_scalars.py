"""Scalars: strict and total on input, canonical on output."""

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pytest
from graphql import GraphQLError, GraphQLScalarType, VariableNode, parse_value
from graphql.language import NameNode
from hypothesis import given
from hypothesis import strategies as st

from schema.filters import FILTERS
from schema.scalars import (
    COMPARABLE,
    DATE,
    DATETIME,
    DECIMAL,
    EXTREMES,
    GEOJSON,
    LONG,
    NUMERIC,
    SCALARS,
    TIME,
    sum_type,
)
from tanglai.catalogue.scalars import ScalarType

OWN = (DATE, TIME, DATETIME, DECIMAL, LONG)

GOOD: list[tuple[GraphQLScalarType, Any, str, Any]] = [
    (DATE, "2026-02-28", '"2026-02-28"', date(2026, 2, 28)),
    (TIME, "06:30:00", '"06:30:00"', time(6, 30)),
    (TIME, "06:30:00.25", '"06:30:00.25"', time(6, 30, 0, 250_000)),
    (DATETIME, "2026-01-01T08:00:00+08:00", '"2026-01-01T08:00:00+08:00"', datetime(2026, 1, 1, tzinfo=UTC)),
    (DECIMAL, "0.10", '"0.10"', Decimal("0.10")),
    (DECIMAL, 12, "12", Decimal(12)),
    (DECIMAL, 12.5, "12.5", Decimal("12.5")),
    (LONG, "9223372036854775807", '"9223372036854775807"', 2**63 - 1),
    (LONG, -(2**63), "-9223372036854775808", -(2**63)),
]


@pytest.mark.parametrize(("scalar", "value", "literal", "expected"), GOOD)
def test_good_input(scalar: GraphQLScalarType, value: Any, literal: str, expected: Any) -> None:
    assert scalar.coerce_input_value(value) == expected
    assert scalar.coerce_input_literal is not None
    assert scalar.coerce_input_literal(parse_value(literal)) == expected  # type: ignore[arg-type]
    assert scalar.parse_literal(parse_value(literal)) == expected


def test_a_decimal_literal_does_not_pass_through_a_float() -> None:
    assert DECIMAL.parse_literal(parse_value("0.12345678901234567890")) == Decimal("0.12345678901234567890")


BAD_VALUES: list[tuple[GraphQLScalarType, Any]] = [
    (DATE, "2026-02-30"),
    (DATE, "20260228"),
    (DATE, "２０２６-02-28"),
    (DATE, 20260228),
    (DATE, date(2026, 2, 28)),
    (TIME, "24:00:00"),
    (TIME, "06:30"),
    (DATETIME, "2026-01-01T08:00:00"),
    (DATETIME, "0001-01-01T00:00:00+08:00"),
    (DATETIME, 1767225600),
    (DECIMAL, "1e5000"),
    (DECIMAL, "NaN"),
    (DECIMAL, float("nan")),
    (DECIMAL, float("inf")),
    (DECIMAL, True),
    (DECIMAL, 0.1234567890123456),
    (LONG, "9223372036854775808"),
    (LONG, 1.0),
    (LONG, True),
    (LONG, 10**5000),
    (LONG, "1_000"),
    (LONG, None),
    (LONG, ["1"]),
    (LONG, {"a": 1}),
]


@pytest.mark.parametrize(("scalar", "value"), BAD_VALUES, ids=[f"{s.name}-{n}" for n, (s, _) in enumerate(BAD_VALUES)])
def test_bad_values(scalar: GraphQLScalarType, value: Any) -> None:
    with pytest.raises(GraphQLError) as caught:
        scalar.coerce_input_value(value)
    assert caught.value.extensions == {"code": "BAD_INPUT"}
    assert len(caught.value.message) < 200


@pytest.mark.parametrize(
    ("scalar", "literal"),
    [
        (DATE, "20260228"),
        (DATE, "NAME"),
        (TIME, '["06:30:00"]'),
        (DATETIME, "{a: 1}"),
        (DECIMAL, "true"),
        (DECIMAL, "1e5000"),
        (LONG, "1.0"),
        (LONG, "null"),
        (LONG, "9223372036854775808"),
    ],
)
def test_bad_literals(scalar: GraphQLScalarType, literal: str) -> None:
    node = parse_value(literal)
    with pytest.raises(GraphQLError) as caught:
        scalar.parse_literal(node)
    assert caught.value.extensions == {"code": "BAD_INPUT"}
    assert caught.value.nodes == [node]


def test_messages_name_the_form_and_cut_long_input() -> None:
    with pytest.raises(GraphQLError, match=r"^`2026/01/01` is not a date of the form YYYY-MM-DD$"):
        DATE.coerce_input_value("2026/01/01")
    with pytest.raises(GraphQLError, match=r"^`a{60}…` is not a date"):
        DATE.coerce_input_value("a" * 10_000)
    with pytest.raises(GraphQLError, match="more digits than a JSON number keeps, write the `Decimal` as a string"):
        DECIMAL.coerce_input_value(123456789.123456789)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.from_regex(r"\d{4}-\d\d-\d\d", fullmatch=True),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@given(st.sampled_from(OWN), json_values)
def test_input_is_total(scalar: GraphQLScalarType, value: Any) -> None:
    try:
        parsed = scalar.coerce_input_value(value)
    except GraphQLError:
        return
    assert scalar.coerce_input_value(scalar.coerce_output_value(parsed)) == parsed


def test_a_variable_is_no_literal() -> None:
    with pytest.raises(GraphQLError):
        DATE.parse_literal(VariableNode(name=NameNode(value="day")))


@pytest.mark.parametrize(
    ("scalar", "value", "output"),
    [
        (DATE, date(2026, 2, 28), "2026-02-28"),
        (TIME, time(6, 30), "06:30:00.000000"),
        (DATETIME, datetime(2026, 1, 1, tzinfo=UTC), "2026-01-01T00:00:00.000000Z"),
        (DECIMAL, Decimal("1E+3"), "1000"),
        (LONG, 2**62, "4611686018427387904"),
        (GEOJSON, {"type": "Point", "coordinates": [1, 2]}, {"type": "Point", "coordinates": [1, 2]}),
    ],
)
def test_output(scalar: GraphQLScalarType, value: Any, output: Any) -> None:
    assert scalar.coerce_output_value(value) == output


@pytest.mark.parametrize("value", ["{}", {"type": "Point"}, None])
def test_geometry_is_no_input(value: Any) -> None:
    with pytest.raises(GraphQLError, match="geometry is selected and tested for null only"):
        GEOJSON.coerce_input_value(value)
    with pytest.raises(GraphQLError):
        GEOJSON.parse_literal(parse_value('"x"'))


def test_every_item_type_has_a_scalar_and_a_filter() -> None:
    assert SCALARS.keys() == FILTERS.keys() == set(ScalarType)
    assert COMPARABLE - {ScalarType.BOOLEAN} == EXTREMES
    assert {kind: sum_type(kind) for kind in NUMERIC} == {
        ScalarType.INTEGER: ScalarType.DECIMAL,
        ScalarType.LONG: ScalarType.DECIMAL,
        ScalarType.DECIMAL: ScalarType.DECIMAL,
        ScalarType.FLOAT: ScalarType.FLOAT,
    }


@pytest.mark.parametrize("kind", ScalarType)
def test_operators(kind: ScalarType) -> None:
    fields = set(FILTERS[kind].fields)
    expected = {"isNull"}
    if kind is not ScalarType.GEOMETRY:
        expected |= {"eq", "ne", "in", "notIn"}
        if kind is not ScalarType.BOOLEAN:
            expected |= {"lt", "lte", "gt", "gte"}
    if kind is ScalarType.TEXT:
        expected |= {"startsWith", "contains"}
    assert fields == expected
