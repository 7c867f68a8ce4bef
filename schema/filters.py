"""In charge of the input types that filters and orders share: one set of operators per scalar."""

from types import MappingProxyType

from graphql import (
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLEnumValue,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
)

from schema.scalars import SCALARS
from tanglai.catalogue.scalars import ScalarType

_EQUALITY = (
    ("eq", "Equal to the operand."),
    ("ne", "Not equal to the operand; not true where the item is null."),
)
_MEMBERSHIP = (
    ("in", "One of the operands; of an empty list, false."),
    ("notIn", "None of the operands; of an empty list, true."),
)
_ORDER = (
    ("lt", "Less than the operand."),
    ("lte", "Less than or equal to the operand."),
    ("gt", "Greater than the operand."),
    ("gte", "Greater than or equal to the operand."),
)
_MATCHING = (
    ("startsWith", "Begins with the operand, character by character."),
    ("contains", "Contains the operand, character by character."),
)
_IS_NULL = "Whether the item is null or hidden from the requester."

_NAMES = {
    ScalarType.TEXT: ("TextFilter", "a text; compared by code point"),
    ScalarType.BOOLEAN: ("BooleanFilter", "a boolean"),
    ScalarType.INTEGER: ("IntFilter", "an integer of 32 bits"),
    ScalarType.LONG: ("LongFilter", "an integer of 64 bits"),
    ScalarType.DECIMAL: ("DecimalFilter", "a decimal number"),
    ScalarType.FLOAT: ("FloatFilter", "a floating point number"),
    ScalarType.DATE: ("DateFilter", "a day"),
    ScalarType.TIME: ("TimeFilter", "a time of day"),
    ScalarType.DATETIME: ("DateTimeFilter", "a moment"),
    ScalarType.GEOMETRY: ("GeometryFilter", "a geometry"),
}


def _filter(kind: ScalarType) -> GraphQLInputObjectType:
    name, what = _NAMES[kind]
    scalar = SCALARS[kind]
    fields: dict[str, GraphQLInputField] = {}
    if kind.comparable:
        operators = (*_EQUALITY, *(() if kind is ScalarType.BOOLEAN else _ORDER))
        for operator, description in (*operators, *(_MATCHING if kind is ScalarType.TEXT else ())):
            fields[operator] = GraphQLInputField(scalar, description=description)
        for operator, description in _MEMBERSHIP:
            fields[operator] = GraphQLInputField(GraphQLList(GraphQLNonNull(scalar)), description=description)
    fields["isNull"] = GraphQLInputField(GraphQLBoolean, description=_IS_NULL)
    return GraphQLInputObjectType(
        name, fields, description=f"Conditions on {what}; several of them must all hold. An explicit null is an error."
    )


FILTERS = MappingProxyType({kind: _filter(kind) for kind in ScalarType})
"""The filter input of each item type."""

ORDER_DIRECTION = GraphQLEnumType(
    "OrderDirection",
    {
        "ASC": GraphQLEnumValue("ASC", description="From small to large, nulls last."),
        "DESC": GraphQLEnumValue("DESC", description="From large to small, nulls first."),
    },
    description="Direction of one sort key. Text is sorted by code point.",
)
