"""In charge of the GraphQL scalars of item types: strict input, canonical output."""

from collections.abc import Callable
from types import MappingProxyType
from typing import Any

from graphql import (
    FloatValueNode,
    GraphQLBoolean,
    GraphQLError,
    GraphQLFloat,
    GraphQLInt,
    GraphQLScalarType,
    GraphQLString,
    IntValueNode,
    StringValueNode,
    ValueNode,
    print_ast,
)

from tanglai.catalogue.errors import ErrorCode
from tanglai.catalogue.scalars import ScalarType, convert, parse, to_json

_ECHO = 60
_EXACT_DIGITS = 15
"""Significant digits that a JSON number keeps on its way through a binary double."""


def _bad_input(value: Any, reason: str, node: ValueNode | None = None) -> GraphQLError:
    try:
        echo = str(value)
    except ValueError:  # an integer of more digits than Python prints
        echo = "…"
    if len(echo) > _ECHO:
        echo = echo[:_ECHO] + "…"
    return GraphQLError(f"`{echo}` is {reason}", node, extensions={"code": str(ErrorCode.BAD_INPUT)})


def _reader(kind: ScalarType) -> Callable[[Any, ValueNode | None], Any]:
    def read(value: Any, node: ValueNode | None) -> Any:
        try:
            return parse(kind, value)
        except ValueError as error:
            raise _bad_input(value, str(error), node) from None

    return read


def _scalar(
    kind: ScalarType,
    name: str,
    description: str,
    *,
    python: tuple[type, ...] = (str,),
    literals: tuple[type[StringValueNode | IntValueNode | FloatValueNode], ...] = (StringValueNode,),
    url: str | None = None,
) -> GraphQLScalarType:
    """A scalar that takes values of the `python` types and literals of the kinds in `literals`, and nothing else."""
    read = _reader(kind)
    forms = " or ".join({str: "a string", int: "an integer", float: "a number"}[t] for t in python)

    def coerce_input_value(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, python):
            raise _bad_input(value, f"not {forms}, which `{name}` is written as")
        if isinstance(value, float) and _digits(value) > _EXACT_DIGITS:
            reason = f"more digits than a JSON number keeps, write the `{name}` as a string"
            raise _bad_input(value, reason)
        return read(value, None)

    def coerce_input_literal(node: ValueNode) -> Any:
        if not isinstance(node, literals):
            raise _bad_input(print_ast(node), f"not {forms}, which `{name}` is written as", node)
        return read(node.value, node)

    def parse_literal(node: ValueNode, variables: dict[str, Any] | None = None) -> Any:
        return coerce_input_literal(node)

    def coerce_output_value(value: Any) -> Any:
        return to_json(kind, convert(kind, value))

    return GraphQLScalarType(
        name,
        serialize=coerce_output_value,
        parse_value=coerce_input_value,
        parse_literal=parse_literal,
        coerce_output_value=coerce_output_value,
        coerce_input_value=coerce_input_value,
        coerce_input_literal=coerce_input_literal,
        description=description,
        specified_by_url=url,
    )


def _digits(value: float) -> int:
    mantissa = repr(value).partition("e")[0]
    return len(mantissa.replace(".", "").lstrip("-0").rstrip("0"))


def _refuse_geometry(value: Any) -> Any:
    raise _bad_input(value, "no input: geometry is selected and tested for null only")


DATE = _scalar(
    ScalarType.DATE,
    "Date",
    "A day as `YYYY-MM-DD`, of the proleptic Gregorian calendar.",
    url="https://www.rfc-editor.org/rfc/rfc3339#section-5.6",
)
TIME = _scalar(
    ScalarType.TIME,
    "Time",
    "A time of day without a zone as `HH:MM:SS` with up to six digits of fraction; six in answers.",
    url="https://www.rfc-editor.org/rfc/rfc3339#section-5.6",
)
DATETIME = _scalar(
    ScalarType.DATETIME,
    "DateTime",
    "A moment with its offset from UTC (RFC 3339); answers are in UTC with six digits of fraction and `Z`.",
    url="https://www.rfc-editor.org/rfc/rfc3339#section-5.6",
)
DECIMAL = _scalar(
    ScalarType.DECIMAL,
    "Decimal",
    "An exact decimal number. Answers are strings of plain digits; input is a string or a number, as variable a number "
    f"of at most {_EXACT_DIGITS} significant digits.",
    python=(str, int, float),
    literals=(StringValueNode, IntValueNode, FloatValueNode),
)
LONG = _scalar(
    ScalarType.LONG,
    "Long",
    "An integer of 64 bits. Answers are strings, so that no client rounds them; input is a string or an integer.",
    python=(str, int),
    literals=(StringValueNode, IntValueNode),
)
GEOJSON = GraphQLScalarType(
    "GeoJSON",
    coerce_output_value=lambda value: to_json(ScalarType.GEOMETRY, convert(ScalarType.GEOMETRY, value)),
    coerce_input_value=_refuse_geometry,
    coerce_input_literal=lambda node: _refuse_geometry(print_ast(node)),
    description="A geometry as a GeoJSON object. For output only.",
    specified_by_url="https://www.rfc-editor.org/rfc/rfc7946",
)

SCALARS = MappingProxyType(
    {
        ScalarType.TEXT: GraphQLString,
        ScalarType.BOOLEAN: GraphQLBoolean,
        ScalarType.INTEGER: GraphQLInt,
        ScalarType.LONG: LONG,
        ScalarType.DECIMAL: DECIMAL,
        ScalarType.FLOAT: GraphQLFloat,
        ScalarType.DATE: DATE,
        ScalarType.TIME: TIME,
        ScalarType.DATETIME: DATETIME,
        ScalarType.GEOMETRY: GEOJSON,
    }
)
"""The GraphQL scalar of each item type."""


COMPARABLE = frozenset(kind for kind in ScalarType if kind.comparable)
"""Types of items that can be ordered, grouped by and counted."""

NUMERIC = frozenset(kind for kind in ScalarType if kind.numeric)
"""Types of items that have `sum` and `avg`."""

EXTREMES = COMPARABLE - {ScalarType.BOOLEAN}
"""Types of items that have `min` and `max`."""


def sum_type(kind: ScalarType) -> ScalarType:
    """Type of `sum` and `avg` of a numeric item: FLOAT of floats, else DECIMAL, which no sum overflows."""
    return ScalarType.FLOAT if kind is ScalarType.FLOAT else ScalarType.DECIMAL
