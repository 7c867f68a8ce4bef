"""In charge of the expression language in which scopes, cells and filters are written: frozen data, no behaviour.

Three-valued logic as in SQL. `authz` builds expressions over items, the planner binds items to columns, connectors turn
them into a source's own language or evaluate them (`connectors/evaluate.py`). Text compares by code point.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any, TypeAlias

from tanglai.catalogue.masks import Mask
from tanglai.catalogue.scalars import ScalarType


class CompareOp(StrEnum):
    EQ = "eq"
    NE = "ne"
    LT = "lt"
    LTE = "lte"
    GT = "gt"
    GTE = "gte"


class MatchOp(StrEnum):
    STARTS_WITH = "startsWith"
    CONTAINS = "contains"


class AggregateFunction(StrEnum):
    COUNT_ROWS = "countRows"
    COUNT = "count"
    COUNT_DISTINCT = "countDistinct"
    SUM = "sum"
    MIN = "min"
    MAX = "max"


@dataclass(frozen=True, slots=True)
class ItemRef:
    """An item of the resource by name; only before the planner has bound it to a column."""

    name: str
    type: ScalarType


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute of the principal (`department.division`, `department.code`); replaced by its value when deciding."""

    name: str


@dataclass(frozen=True, slots=True)
class Within:
    """Whether a division code lies in `division` or below, former codes included (return flow, Order 809 Art. 24).

    Replaced when deciding by prefix tests over the division table.
    """

    item: ItemRef
    division: "str | Attribute"


@dataclass(frozen=True, slots=True)
class Column:
    """A physical column. `collated`: its own order and equality are already by code point (no explicit collation)."""

    name: str
    type: ScalarType
    collated: bool = True
    timezone: str | None = None


@dataclass(frozen=True, slots=True)
class Value:
    """A constant of the catalogue or of a document, a Python value of `type`, always sent as a bound parameter."""

    value: Any
    type: ScalarType


@dataclass(frozen=True, slots=True)
class Slot:
    """A value given per request. `path` names it in the plan's arguments; `many`: a list (of any length) of values."""

    path: str
    type: ScalarType
    many: bool = False


@dataclass(frozen=True, slots=True)
class Boolean:
    """TRUE or FALSE."""

    value: bool


@dataclass(frozen=True, slots=True)
class Null:
    """The null of a type."""

    type: ScalarType


@dataclass(frozen=True, slots=True)
class Compare:
    op: CompareOp
    left: "Expression"
    right: "Expression"


@dataclass(frozen=True, slots=True)
class In:
    """Membership. With a `many` slot the list comes with the request. An empty list is FALSE, of a null operand too."""

    operand: "Expression"
    values: "tuple[Value | Slot, ...]"


@dataclass(frozen=True, slots=True)
class IsNull:
    operand: "Expression"


@dataclass(frozen=True, slots=True)
class Match:
    op: MatchOp
    operand: "Expression"
    needle: "Value | Slot"


@dataclass(frozen=True, slots=True)
class And:
    """Conjunction; of nothing, TRUE."""

    parts: "tuple[Expression, ...]"


@dataclass(frozen=True, slots=True)
class Or:
    """Disjunction; of nothing, FALSE."""

    parts: "tuple[Expression, ...]"


@dataclass(frozen=True, slots=True)
class Not:
    part: "Expression"


@dataclass(frozen=True, slots=True)
class IsTrue:
    """Two-valued reading of a predicate: TRUE where it is TRUE, else FALSE (row scopes, authorization.md)."""

    part: "Expression"


@dataclass(frozen=True, slots=True)
class Case:
    """The value of the first branch whose condition is TRUE, else null. Branches not taken are not evaluated."""

    branches: "tuple[tuple[Expression, Expression], ...]"
    type: ScalarType


@dataclass(frozen=True, slots=True)
class Masked:
    """The masked rendering of a text."""

    mask: Mask
    operand: "Expression"


@dataclass(frozen=True, slots=True)
class Exists:
    """Whether a row of another table of the same source is linked and passes `where`.

    `links` are pairs of a column of the enclosing row and a column of the inner table; equal and not null.
    `where` is over the inner table's columns.
    """

    namespace: str | None
    table: str
    links: tuple[tuple[Column, Column], ...]
    where: "Expression"


@dataclass(frozen=True, slots=True)
class Aggregate:
    """An aggregate over the group; `operand` is None for COUNT_ROWS only. Of nothing: counts 0, the others null."""

    function: AggregateFunction
    operand: "Expression | None"
    type: ScalarType


Expression: TypeAlias = (
    ItemRef
    | Attribute
    | Within
    | Column
    | Value
    | Slot
    | Boolean
    | Null
    | Compare
    | In
    | IsNull
    | Match
    | And
    | Or
    | Not
    | IsTrue
    | Case
    | Masked
    | Exists
    | Aggregate
)

TRUE = Boolean(True)
FALSE = Boolean(False)


def conjunction(*parts: Expression) -> Expression:
    """AND of `parts`, flattened; TRUE falls away, FALSE decides (sound in three-valued logic)."""
    flat: list[Expression] = []
    for part in parts:
        for piece in part.parts if isinstance(part, And) else (part,):
            if piece == FALSE:
                return FALSE
            if piece != TRUE and piece not in flat:
                flat.append(piece)
    if not flat:
        return TRUE
    return flat[0] if len(flat) == 1 else And(tuple(flat))


def disjunction(*parts: Expression) -> Expression:
    """OR of `parts`, flattened; FALSE falls away, TRUE decides (sound in three-valued logic)."""
    flat: list[Expression] = []
    for part in parts:
        for piece in part.parts if isinstance(part, Or) else (part,):
            if piece == TRUE:
                return TRUE
            if piece != FALSE and piece not in flat:
                flat.append(piece)
    if not flat:
        return FALSE
    return flat[0] if len(flat) == 1 else Or(tuple(flat))


def rewrite(expression: Expression, change: "Callable[[Expression], Expression | None]") -> Expression:
    """A copy of `expression` in which every node for which `change` returns another node is replaced, top down.

    `change` returns None for a node to be kept; the parts of a kept node are visited, those of a replaced one are not.
    """
    new = change(expression)
    if new is not None:
        return new
    updates: dict[str, Any] = {}
    for name in _PARTS[type(expression)]:
        old = getattr(expression, name)
        fresh = _rewrite_any(old, change)
        if fresh is not old:
            updates[name] = fresh
    return replace(expression, **updates) if updates else expression


def _rewrite_any(value: Any, change: "Callable[[Expression], Expression | None]") -> Any:
    if isinstance(value, tuple):
        fresh = tuple(_rewrite_any(part, change) for part in value)
        return fresh if any(a is not b for a, b in zip(value, fresh, strict=True)) else value
    if isinstance(value, _NODES):
        return rewrite(value, change)
    return value


_NODES = (
    ItemRef,
    Attribute,
    Within,
    Column,
    Value,
    Slot,
    Boolean,
    Null,
    Compare,
    In,
    IsNull,
    Match,
    And,
    Or,
    Not,
    IsTrue,
    Case,
    Masked,
    Exists,
    Aggregate,
)

_LEAVES = (ItemRef, Attribute, Column, Value, Slot, Boolean, Null)
_PARTS: dict[type[Any], tuple[str, ...]] = {
    kind: () if kind in _LEAVES else tuple(field.name for field in fields(kind)) for kind in _NODES
}
"""Fields in which other nodes may stand."""


def leaves(expression: Expression, kind: type[Any]) -> list[Any]:
    """All nodes of class `kind` within `expression`, in order of appearance."""
    found: list[Any] = []

    def visit(node: Expression) -> None:
        if isinstance(node, kind):
            found.append(node)

    def walk(node: Expression) -> Expression | None:
        visit(node)
        return None

    rewrite(expression, walk)
    return found
