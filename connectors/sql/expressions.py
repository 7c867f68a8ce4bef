"""In charge of writing expressions in SQL, meaning for meaning: what `connectors/evaluate.py` says.

INVARIANT: nothing is simplified across a guard. A test on a cell stays a test on `CASE WHEN guard THEN column END`;
only the planner, which knows where that is sound, may write it otherwise (authorization.md, Simplification).

INVARIANT: nothing fails on values. Columns are read by `Reading.value`, which is total, and every function used is.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import count
from typing import Any, Protocol, TypeAlias

import sqlalchemy as sa
from sqlalchemy.sql.selectable import FromClause, Select
from sqlalchemy.types import TypeEngine

from connectors.columns import own_columns
from connectors.evaluate import type_of
from connectors.sql.dialect import Native, Reading, Sql, SqlDialect, StructureMismatch, TableFacts
from connectors.sql.parameters import Parameters
from tanglai.catalogue.expressions import (
    And,
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
    Masked,
    Match,
    Not,
    Null,
    Or,
    Slot,
    Value,
)
from tanglai.catalogue.scalars import ScalarType

Facts: TypeAlias = Mapping[tuple[str | None, str], TableFacts]
"""Facts of every table that a query names, by namespace and name."""

_TESTS: dict[CompareOp, Callable[[Sql, Sql], Sql]] = {
    CompareOp.EQ: lambda a, b: a == b,
    CompareOp.NE: lambda a, b: a != b,
    CompareOp.LT: lambda a, b: a < b,
    CompareOp.LTE: lambda a, b: a <= b,
    CompareOp.GT: lambda a, b: a > b,
    CompareOp.GTE: lambda a, b: a >= b,
}
_MIRRORED = {
    CompareOp.LT: CompareOp.GT,
    CompareOp.LTE: CompareOp.GTE,
    CompareOp.GT: CompareOp.LT,
    CompareOp.GTE: CompareOp.LTE,
}
_EQUALITIES = frozenset({CompareOp.EQ, CompareOp.NE})
_NEEDS_LOW = frozenset({CompareOp.LT, CompareOp.LTE, CompareOp.NE})
_NEEDS_HIGH = frozenset({CompareOp.GT, CompareOp.GTE, CompareOp.NE})


class Scope(Protocol):
    """What the columns of an expression stand for."""

    def reading(self, column: Column) -> Reading: ...


class TableScope:
    """A table in FROM, under an alias of its own."""

    def __init__(self, dialect: SqlDialect, facts: TableFacts, alias: str) -> None:
        self._dialect = dialect
        self._facts = facts
        self.alias = alias

    @property
    def source(self) -> FromClause:
        facts = self._facts
        schema = None if facts.namespace is None else sa.sql.quoted_name(facts.namespace, True)
        return sa.table(sa.sql.quoted_name(facts.name, True), schema=schema).alias(self.alias)

    def raw_name(self, name: str, kind: TypeEngine[Any] | None = None) -> Sql:
        """The column called `name`, unread."""
        return _raw(self._dialect, self.alias, name, kind)

    def native(self, column: Column) -> Native:
        """What `column` really is. Raises StructureMismatch where it is not there."""
        known = self._facts.columns
        native = self._dialect.natural(column) if known is None else known.get(column.name)
        if native is None:
            raise StructureMismatch(f"table `{self._facts.name}` has no column `{column.name}`")
        return native

    def reading(self, column: Column) -> Reading:
        return read(self._dialect, column, self.native(column), self.alias)


def _raw(dialect: SqlDialect, alias: str, name: str, kind: TypeEngine[Any] | None) -> Sql:
    quote = dialect.sqlalchemy.identifier_preparer.quote_identifier
    return sa.literal_column(f"{alias}.{quote(name)}", kind)


@lru_cache(maxsize=4096)
def read(dialect: SqlDialect, column: Column, native: Native, alias: str) -> Reading:
    """`column` of the table that is called `alias`. Statements share the readings, which nobody changes."""
    return dialect.read(_raw(dialect, alias, column.name, dialect.type(column.type)), column, native)


class ExpressionWriter:
    """Writes the expressions of one statement, collecting its parameters."""

    def __init__(self, dialect: SqlDialect, facts: Facts) -> None:
        self.dialect = dialect
        self.parameters = Parameters()
        self._facts = facts
        self._aliases = count()

    def table(self, namespace: str | None, name: str) -> TableScope:
        """A new appearance of a table in FROM."""
        return TableScope(self.dialect, self._facts[namespace, name], f"t{next(self._aliases)}")

    def test(self, expression: Expression, scope: Scope) -> Sql:
        """`expression` where only TRUE counts: FALSE and UNKNOWN may stand for each other."""
        return self._predicate(expression, scope, decisive=True)

    def value(self, expression: Expression, scope: Scope) -> Sql:
        """`expression` as a value of the dialect's type for it."""
        match expression:
            case Column():
                return scope.reading(expression).value
            case Value() | Slot():
                convert, purpose = self.dialect.convert(expression.type, CompareOp.EQ, None)
                return self.parameters.operand(expression, self.dialect.type(expression.type), convert, purpose)
            case Null(type=kind):
                return self.dialect.null(kind)
            case Case(branches=branches, type=kind):
                if not branches:
                    return self.dialect.null(kind)
                return sa.case(*((self.test(p, scope), self.value(value, scope)) for p, value in branches))
            case Masked(mask=mask, operand=operand):
                return self.dialect.masked(mask, self.comparable(operand, scope), self.parameters)
            case _:
                return self._predicate(expression, scope, decisive=False)

    def comparable(self, expression: Expression, scope: Scope, *, ordered: bool = False) -> Sql:
        """`value` for equality and grouping, or with `ordered` for order too: texts by code point."""
        value = self.value(expression, scope)
        return self._compared(expression, scope, value, ordered=ordered)

    def equal(self, left: Reading, right: Reading, column: Column) -> Sql:
        """Whether two columns that link tables are equal and not null; `right` is `column`, which an index serves."""
        value, near = left.value, None
        a, b = left.native, right.native
        if column.type is ScalarType.TEXT and (a.collation != b.collation or not (a.deterministic and b.deterministic)):
            value = self.dialect.by_code_point(value)
        elif right.plain is None:
            near = self.dialect.near(right, CompareOp.EQ, value, column)
        test = (right.value if right.plain is None else right.plain) == value
        return test if near is None else sa.and_(near, test)

    def exists(self, expression: Exists, scope: Scope) -> Sql:
        inner = self.table(expression.namespace, expression.table)
        links = [self.equal(scope.reading(a), inner.reading(b), b) for a, b in expression.links]
        query: Select[Any] = sa.select(sa.literal_column("1")).select_from(inner.source)
        return sa.exists(query.where(*links, self.test(expression.where, inner)))

    def in_batch(self, links: tuple[Column, ...], scope: Scope) -> Sql:
        """Whether the link columns hold one of the keys of the batch."""
        columns: list[Sql] = []
        arrays: list[Sql] = []
        for index, link in enumerate(links):
            reading = scope.reading(link)
            plain = reading.value if reading.plain is None else reading.plain
            columns.append(self._compared(link, scope, plain, ordered=False))
            scale = reading.native.scale
            convert, _ = self.dialect.convert(link.type, CompareOp.EQ, scale)
            array = self.dialect.array(link.type, scale)
            arrays.append(self.parameters.keys(None if len(links) == 1 else index, array, convert))
        if len(links) == 1:
            return self._one_of(columns[0], arrays[0], links[0], scope)
        return self.dialect.key_batch(columns, arrays)

    def _one_of(self, value: Sql, array: Sql, column: Expression, scope: Scope) -> Sql:
        # `value` as it is compared, of what may be a column that no index serves in that form.
        test = value == sa.any_(array)
        if not isinstance(column, Column) or scope.reading(column).plain is not None:
            return test
        near = self.dialect.near_any(scope.reading(column), array, column)
        return test if near is None else sa.and_(near, test)

    def scale(self, expression: Expression, scope: Scope) -> int | None:
        """Digits after the point that the values of a decimal expression have; None where that is not fixed."""
        columns = (column for column in own_columns(expression) if column.type is ScalarType.DECIMAL)
        scales = [scope.reading(column).native.scale for column in columns]
        return max((scale for scale in scales if scale is not None), default=None)

    def _predicate(self, expression: Expression, scope: Scope, *, decisive: bool) -> Sql:
        # `decisive`: only TRUE counts at this place, so that a bare column may be tested in its plain, indexable form.
        match expression:
            case Boolean(value=value):
                return sa.true() if value else sa.false()
            case Compare(op=op, left=left, right=right):
                return self._compare(op, left, right, scope, decisive=decisive)
            case In():
                return self._in(expression, scope, decisive=decisive)
            case IsNull(operand=operand):
                return self._is_null(operand, scope)
            case Match(op=match_op, operand=operand, needle=needle):
                text = self.comparable(operand, scope)
                convert, test = self.dialect.match(match_op, text)
                return test(
                    self.parameters.operand(needle, self.dialect.type(ScalarType.TEXT), convert, match_op.value)
                )
            case And(parts=parts):
                return sa.and_(sa.true(), *(self._predicate(part, scope, decisive=decisive) for part in parts))
            case Or(parts=parts):
                return sa.or_(sa.false(), *(self._predicate(part, scope, decisive=decisive) for part in parts))
            case Not(part=part):
                return sa.not_(self._predicate(part, scope, decisive=False))
            case IsTrue(part=part):
                inner = self.test(part, scope)
                return inner if decisive else sa.case((inner, sa.true()), else_=sa.false())
            case Exists():
                return self.exists(expression, scope)
            case Column() | Value() | Slot() | Null() | Case() if type_of(expression) is ScalarType.BOOLEAN:
                return self.value(expression, scope)
        raise TypeError(f"`{type(expression).__name__}` is no predicate over columns")

    def _compare(self, op: CompareOp, left: Expression, right: Expression, scope: Scope, *, decisive: bool) -> Sql:
        if isinstance(left, Value | Slot) and not isinstance(right, Value | Slot):
            op, left, right = _MIRRORED.get(op, op), right, left
        ordered = op not in _EQUALITIES
        if not isinstance(right, Value | Slot):
            first = self.comparable(left, scope, ordered=ordered)
            collations = self._collations(left, scope) | self._collations(right, scope)
            if type_of(left) is ScalarType.TEXT and len(collations) > 1:
                first = self.dialect.by_code_point(first)
            return _TESTS[op](first, self.comparable(right, scope, ordered=ordered))
        operand = self._operand(left, op, right, scope)
        if not (decisive and isinstance(left, Column)):
            return _TESTS[op](self.comparable(left, scope, ordered=ordered), operand)
        reading = scope.reading(left)
        if reading.plain is None:
            test = _TESTS[op](self.comparable(left, scope, ordered=ordered), operand)
            near = self.dialect.near(reading, op, operand, left)
            return test if near is None else sa.and_(near, test)
        tests: list[Sql] = [_TESTS[op](self._compared(left, scope, reading.plain, ordered=ordered), operand)]
        if op in _NEEDS_LOW and reading.low is not None:
            tests.append(reading.plain > reading.low)
        if op in _NEEDS_HIGH and reading.high is not None:
            tests.append(reading.plain < reading.high)
        return sa.and_(*tests)

    def _in(self, expression: In, scope: Scope, *, decisive: bool) -> Sql:
        if not expression.values:
            return sa.false()
        operand = expression.operand
        value = self.value(operand, scope)
        column = operand if decisive and isinstance(operand, Column) else None
        if column is not None:
            plain = scope.reading(column).plain
            value = value if plain is None else plain
        value = self._compared(operand, scope, value, ordered=False)
        kind, scale = type_of(operand), self.scale(operand, scope)
        convert, purpose = self.dialect.convert(kind, CompareOp.EQ, scale)
        tests: list[Sql] = []
        constants = [node.value for node in expression.values if isinstance(node, Value)]
        if constants:
            array = self.parameters.constants(constants, self.dialect.array(kind, scale), convert)
            tests.append(self._one_of(value, array, column, scope) if column else value == sa.any_(array))
        for node in expression.values:
            if isinstance(node, Slot) and node.many:
                array = self.parameters.operand(node, self.dialect.array(kind, scale), convert, purpose)
                tests.append(self._one_of(value, array, column, scope) if column else value == sa.any_(array))
            elif isinstance(node, Slot):
                parameter = self.parameters.operand(node, self.dialect.type(kind, scale), convert, purpose)
                reading = None if column is None else scope.reading(column)
                near = None
                if column is not None and reading is not None and reading.plain is None:
                    near = self.dialect.near(reading, CompareOp.EQ, parameter, column)
                tests.append(value == parameter if near is None else sa.and_(near, value == parameter))
        return sa.or_(*tests)

    def _is_null(self, operand: Expression, scope: Scope) -> Sql:
        if isinstance(operand, Column):
            reading = scope.reading(operand)
            if reading.plain is not None:
                tests: list[Sql] = [reading.plain.is_(None)]
                if reading.low is not None:
                    tests.append(reading.plain <= reading.low)
                if reading.high is not None:
                    tests.append(reading.plain >= reading.high)
                return sa.or_(*tests)
        return self.value(operand, scope).is_(None)

    def _operand(self, other: Expression, op: CompareOp, node: Value | Slot, scope: Scope) -> Sql:
        kind, scale = node.type, self.scale(other, scope)
        convert, purpose = self.dialect.convert(kind, op, scale)
        return self.parameters.operand(node, self.dialect.type(kind, scale), convert, purpose)

    def _collations(self, expression: Expression, scope: Scope) -> set[str]:
        columns = (column for column in own_columns(expression) if column.type is ScalarType.TEXT)
        return {scope.reading(column).native.collation for column in columns}

    def _compared(self, expression: Expression, scope: Scope, value: Sql, *, ordered: bool) -> Sql:
        if type_of(expression) is not ScalarType.TEXT:
            return value
        natives = [scope.reading(column).native for column in own_columns(expression) if column.type is ScalarType.TEXT]
        fits = all(native.codepoint if ordered else native.deterministic for native in natives)
        if natives and fits and len({native.collation for native in natives}) == 1:
            return value
        return self.dialect.by_code_point(value)
