"""In charge of the reference meaning of expressions: evaluated in Python, over one row or one group at a time.

Three-valued logic is Python's True, False and None. What is here is what every connector's own language has to agree
with (tests/contract).
"""

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from connectors.protocol import Arguments
from tanglai.catalogue import masks
from tanglai.catalogue.expressions import (
    Aggregate,
    And,
    Attribute,
    Boolean,
    Case,
    Column,
    Compare,
    CompareOp,
    Exists,
    Expression,
    In,
    IsNull,
    IsTrue,
    ItemRef,
    Masked,
    Match,
    MatchOp,
    Not,
    Null,
    Or,
    Slot,
    Value,
    Within,
)
from tanglai.catalogue.scalars import ScalarType

Record: TypeAlias = Mapping[str, Any]
"""A row of a table: column name -> Python value of the column's scalar type (scalars.py)."""

Tables: TypeAlias = Mapping[tuple[str | None, str], Sequence[Record]]
"""The tables of a source: (namespace, name) -> rows."""

Evaluator: TypeAlias = Callable[[Record], Any]

_COMPARISONS: dict[CompareOp, Callable[[Any, Any], bool]] = {
    CompareOp.EQ: operator.eq,
    CompareOp.NE: operator.ne,
    CompareOp.LT: operator.lt,
    CompareOp.LTE: operator.le,
    CompareOp.GT: operator.gt,
    CompareOp.GTE: operator.ge,
}


def type_of(expression: Expression) -> ScalarType:
    """The scalar type of the expression's value; predicates are BOOLEAN."""
    match expression:
        case Column() | Value() | Slot() | Null() | Case() | Aggregate() | ItemRef():
            return expression.type
        case Masked():
            return ScalarType.TEXT
        case _:
            return ScalarType.BOOLEAN


def evaluate(expression: Expression, row: Record, arguments: Arguments, tables: Tables | None = None) -> Any:
    """The value of `expression` on `row`. Never raises on values; TypeError for an expression that is not bound yet."""
    return evaluator(expression, arguments, tables)(row)


def evaluator(expression: Expression, arguments: Arguments, tables: Tables | None = None) -> Evaluator:
    """`expression` as a function of a row. `tables` are what `Exists` looks into; slots are read from `arguments`."""
    match expression:
        case Column(name=name):
            return operator.itemgetter(name)
        case Value(value=value) | Boolean(value=value):
            return _constant(value)
        case Slot(path=path, many=False):
            return _constant(arguments[path])
        case Null():
            return _constant(None)
        case Compare(op=op, left=left, right=right):
            return _compare(
                _COMPARISONS[op],
                evaluator(left, arguments, tables),
                evaluator(right, arguments, tables),
                as_float=ScalarType.FLOAT in (type_of(left), type_of(right)) and type_of(left) != type_of(right),
            )
        case In(operand=operand):
            return _in(evaluator(operand, arguments, tables), listed(expression, arguments))
        case IsNull(operand=operand):
            return _is_null(evaluator(operand, arguments, tables))
        case Match(op=match_op, operand=operand, needle=needle):
            found = evaluator(needle, arguments, tables)({})
            return _match(match_op, evaluator(operand, arguments, tables), found)
        case And(parts=parts):
            return _junction([evaluator(part, arguments, tables) for part in parts], decisive=False)
        case Or(parts=parts):
            return _junction([evaluator(part, arguments, tables) for part in parts], decisive=True)
        case Not(part=part):
            return _not(evaluator(part, arguments, tables))
        case IsTrue(part=part):
            return _is_true(evaluator(part, arguments, tables))
        case Case(branches=branches):
            return _case(
                [(evaluator(p, arguments, tables), evaluator(value, arguments, tables)) for p, value in branches]
            )
        case Masked(mask=mask, operand=operand):
            return _masked(mask, evaluator(operand, arguments, tables))
        case Exists():
            return _exists(expression, arguments, tables)
        case Aggregate():
            raise TypeError("an aggregate has a value over a group only")
        case Slot():
            raise TypeError(f"slot `{expression.path}` is a list")
        case ItemRef() | Within() | Attribute():
            raise TypeError(f"`{type(expression).__name__}` is not bound to a column")
    raise TypeError(f"`{type(expression).__name__}` is no expression")


def listed(expression: In, arguments: Arguments) -> list[Any]:
    """The values among which `expression` looks, those of the request included."""
    values: list[Any] = []
    for value in expression.values:
        if isinstance(value, Value):
            values.append(value.value)
        elif value.many:
            values.extend(arguments[value.path])
        else:
            values.append(arguments[value.path])
    return values


def _constant(value: Any) -> Evaluator:
    return lambda row: value


def _compare(compare: Callable[[Any, Any], bool], left: Evaluator, right: Evaluator, *, as_float: bool) -> Evaluator:
    def run(row: Record) -> bool | None:
        a, b = left(row), right(row)
        if a is None or b is None:
            return None
        try:
            return compare(float(a), float(b)) if as_float else compare(a, b)
        except (TypeError, OverflowError):  # values of another type than the catalogue says
            return None

    return run


def _in(operand: Evaluator, values: list[Any]) -> Evaluator:
    known = [value for value in values if value is not None]
    try:
        members: Iterable[Any] = frozenset(known)
    except TypeError:
        members = known
    unknown = len(known) < len(values)

    def run(row: Record) -> bool | None:
        value = operand(row)
        if not values:
            return False
        if value is None:
            return None
        if value in members:
            return True
        return None if unknown else False

    return run


def _is_null(operand: Evaluator) -> Evaluator:
    return lambda row: operand(row) is None


def _match(op: MatchOp, operand: Evaluator, needle: str | None) -> Evaluator:
    def run(row: Record) -> bool | None:
        value = operand(row)
        if value is None or needle is None:
            return None
        text: str = value
        return text.startswith(needle) if op is MatchOp.STARTS_WITH else needle in text

    return run


def _junction(parts: list[Evaluator], *, decisive: bool) -> Evaluator:
    def run(row: Record) -> bool | None:
        answer: bool | None = not decisive
        for part in parts:
            value: bool | None = part(row)
            if value is decisive:
                return decisive
            if value is None:
                answer = None
        return answer

    return run


def _not(part: Evaluator) -> Evaluator:
    def run(row: Record) -> bool | None:
        value = part(row)
        return None if value is None else not value

    return run


def _is_true(part: Evaluator) -> Evaluator:
    return lambda row: part(row) is True


def _case(branches: list[tuple[Evaluator, Evaluator]]) -> Evaluator:
    def run(row: Record) -> Any:
        for condition, value in branches:
            if condition(row) is True:
                return value(row)
        return None

    return run


def _masked(mask: masks.Mask, operand: Evaluator) -> Evaluator:
    return lambda row: masks.render(mask, operand(row))


def _exists(expression: Exists, arguments: Arguments, tables: Tables | None) -> Evaluator:
    if tables is None:
        raise TypeError(f"table `{expression.table}` is not at hand")
    where = evaluator(expression.where, arguments, tables)
    passing = [row for row in tables[expression.namespace, expression.table] if where(row) is True]
    outer = [pair[0].name for pair in expression.links]
    linked = {key for row in passing if None not in (key := tuple(row[pair[1].name] for pair in expression.links))}
    return lambda row: tuple(row[name] for name in outer) in linked
