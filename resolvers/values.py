"""In charge of argument values: variables become slots, so that a plan depends on their shape only.

A slotted value is: None, bool, str/int/float/Python scalar (a literal of the document), list, dict, an enum's value, a
`Slot` for a scalar of a variable, an `IdSlot` or an `AnySlot`. The *shape* names everything but the scalars themselves.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    EnumValueNode,
    FieldNode,
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLScalarType,
    ListValueNode,
    NullValueNode,
    ObjectValueNode,
    ValueNode,
    VariableNode,
)
from graphql.pyutils import Undefined
from graphql.utilities import value_from_ast

from tanglai.catalogue.errors import BadInput
from tanglai.catalogue.expressions import Slot
from tanglai.catalogue.scalars import ScalarType

ANY = "_Any"


@dataclass(frozen=True, slots=True)
class IdSlot:
    """A variable of type ID; `kind` is what its prefix names, a part of the shape (see seals.py)."""

    path: str
    kind: str


@dataclass(frozen=True, slots=True)
class AnySlot:
    """A variable that holds entity representations; `kinds` are the (type name, field names) that occur in it."""

    path: str
    kinds: frozenset[tuple[str, tuple[str, ...]]]


@dataclass(frozen=True, slots=True)
class SlottedVariables:
    """Variables of one request: values for the planner, their shape, and the arguments by slot path."""

    values: Mapping[str, Any]
    shape: tuple[Any, ...]
    arguments: Mapping[str, Any]


def representation_kind(value: Any) -> tuple[str, tuple[str, ...]]:
    """Type name and sorted field names of an entity representation; ("", ()) for what is none."""
    if isinstance(value, dict) and isinstance(value.get("__typename"), str):
        names = [name for name in value if name != "__typename"]
        if len(names) <= 16 and all(isinstance(name, str) for name in names):
            return value["__typename"], tuple(sorted(names))
    return "", ()


class Slotter:
    """Turns coerced variables into slots. `id_kind` names the kind of an id without trusting it."""

    def __init__(self, id_kind: Callable[[str], str], list_limit: int) -> None:
        self._id_kind = id_kind
        self._list_limit = list_limit

    def slot(self, types: Mapping[str, GraphQLInputType], coerced: Mapping[str, Any]) -> SlottedVariables:
        """`coerced` are variables as graphql-core coerced them; a variable that is not given is absent from it."""
        arguments: dict[str, Any] = {}
        values: dict[str, Any] = {}
        shapes: list[Any] = []
        for name, value in coerced.items():
            values[name], shape = self._walk(types[name], value, name, arguments)
            shapes.append((name, shape))
        return SlottedVariables(values, tuple(shapes), arguments)

    def _walk(self, kind: GraphQLInputType, value: Any, path: str, arguments: dict[str, Any]) -> tuple[Any, Any]:
        if isinstance(kind, GraphQLNonNull):
            kind = kind.of_type
        if value is None:
            return None, "null"
        if isinstance(kind, GraphQLList):
            return self._list(kind.of_type, value, path, arguments)
        if isinstance(kind, GraphQLInputObjectType):
            fields: dict[str, Any] = {}
            shape: list[Any] = []
            for name, part in value.items():
                fields[name], inner = self._walk(kind.fields[name].type, part, f"{path}.{name}", arguments)
                shape.append((name, inner))
            return fields, tuple(shape)
        if isinstance(kind, GraphQLEnumType) or isinstance(value, bool):
            return value, ("is", value)
        check_text(value)
        arguments[path] = value
        if isinstance(kind, GraphQLScalarType) and kind.name == "ID":
            named = self._id_kind(value)
            return IdSlot(path, named), ("id", named)
        if isinstance(kind, GraphQLScalarType) and kind.name == ANY:
            kinds = frozenset({representation_kind(value)})
            return AnySlot(path, kinds), ("any", kinds)
        return Slot(path, ScalarType.TEXT), "scalar"

    def _list(self, of: GraphQLInputType, value: Any, path: str, arguments: dict[str, Any]) -> tuple[Any, Any]:
        if not isinstance(value, list):
            value = [value]
        if len(value) > self._list_limit:
            raise BadInput(f"a list may have at most {self._list_limit} values")
        inner = of.of_type if isinstance(of, GraphQLNonNull) else of
        if isinstance(inner, GraphQLScalarType) and value and None not in value and inner.name != "ID":
            for part in value:
                check_text(part)
            arguments[path] = value
            if inner.name == ANY:
                kinds = frozenset(representation_kind(part) for part in value)
                return AnySlot(path, kinds), ("any", kinds)
            return Slot(path, ScalarType.TEXT, many=True), "scalars"
        parts = [self._walk(of, part, f"{path}.{index}", arguments) for index, part in enumerate(value)]
        return [part for part, _ in parts], ("list", *(shape for _, shape in parts))


def check_text(value: Any) -> None:
    """Raises BAD_INPUT for a text that no database can hold: a NUL character, a lone surrogate."""
    if isinstance(value, str):
        if "\x00" in value:
            raise BadInput("a text holds no NUL character")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise BadInput("a text holds a lone surrogate") from None


def arguments_of(
    definitions: Mapping[str, GraphQLArgument], node: FieldNode, variables: Mapping[str, Any]
) -> dict[str, Any]:
    """The slotted arguments of a validated field. An argument that is a variable without value is absent.

    Raises BAD_INPUT where a variable without value stands inside an argument: leaving it out would widen the answer.
    """
    given: dict[str, Any] = {}
    nodes = {argument.name.value: argument.value for argument in node.arguments or ()}
    for name, definition in definitions.items():
        value = nodes.get(name)
        if value is None or (isinstance(value, VariableNode) and value.name.value not in variables):
            if definition.default_value is not Undefined:
                given[name] = definition.default_value
            continue
        given[name] = _value(value, definition.type, variables, name)
    return given


def _value(node: ValueNode, kind: GraphQLInputType, variables: Mapping[str, Any], path: str) -> Any:
    if isinstance(kind, GraphQLNonNull):
        kind = kind.of_type
    if isinstance(node, VariableNode):
        if node.name.value not in variables:
            raise BadInput(f"variable `${node.name.value}` inside `{path}` has no value", argument=path)
        value = variables[node.name.value]
        return [value] if isinstance(kind, GraphQLList) and not _is_list(value) else value
    if isinstance(node, NullValueNode):
        return None
    if isinstance(kind, GraphQLList):
        parts = node.values if isinstance(node, ListValueNode) else (node,)
        return [_value(part, kind.of_type, variables, path) for part in parts]
    if isinstance(kind, GraphQLInputObjectType) and isinstance(node, ObjectValueNode):
        return {
            field.name.value: _value(field.value, kind.fields[field.name.value].type, variables, path)
            for field in node.fields
        }
    if isinstance(node, EnumValueNode) and isinstance(kind, GraphQLEnumType):
        return kind.values[node.value].value
    value = value_from_ast(node, kind)
    if value is Undefined:
        raise BadInput(f"`{path}` has a value of the wrong type", argument=path)
    check_text(value)
    return value


def _is_list(value: Any) -> bool:
    return isinstance(value, list | AnySlot) or value is None or (isinstance(value, Slot) and value.many)
