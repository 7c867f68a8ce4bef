"""In charge of what differs between SQL dialects: how columns are read, and how values, masks and JSON are written."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.types import TypeEngine

from connectors.failures import Fault
from connectors.sql.parameters import Convert, Parameters
from tanglai.catalogue.expressions import Column, CompareOp, MatchOp
from tanglai.catalogue.masks import Mask
from tanglai.catalogue.scalars import ScalarType

Sql: TypeAlias = ColumnElement[Any]

DEFAULT_TIMEZONE = "Asia/Shanghai"
"""In which times without zone are read where the catalogue names no other."""


class StructureMismatch(Fault):
    """A table or column is not there, or its own type cannot be read as the declared one. Known before any row."""


@dataclass(frozen=True, slots=True)
class Native:
    """A physical column: its base type by the dialect's name, and for texts how it is ordered.

    `codepoint`: its order is by code point. `deterministic`: equal texts are the same bytes. Two columns of different
    `collation` cannot be compared without naming one. `scale` and `precision` are those of a decimal. `indexed`: an
    index gives rows in the column's own order. `unique`: no two rows have the same value, and none has none.
    """

    type: str
    codepoint: bool = True
    deterministic: bool = True
    collation: str = ""
    precision: int | None = None
    scale: int | None = None
    indexed: bool = False
    unique: bool = False


@dataclass(frozen=True, slots=True)
class TableFacts:
    """A table as it is: its namespace and name for FROM, and its columns by name; None where nobody has asked."""

    namespace: str | None
    name: str
    columns: Mapping[str, Native] | None


@dataclass(frozen=True, slots=True)
class Reading:
    """How SQL reads a column as its declared type.

    `value` is total: what the type cannot hold (infinity, NaN, 24:00, years beyond 9999, texts that are no number) is
    null, and nothing fails. `plain` is a shorter form that an index can serve; it equals `value` wherever
    `low < plain < high`, and elsewhere `value` is null. A bound of None is no bound. `raw` is the column itself where
    `SqlDialect.near` needs it. `telling`: NaN is all that `plain` may be beside `value`, and then the sum and the
    greatest of all `plain` are NaN.
    """

    value: Sql
    plain: Sql | None = None
    low: Sql | None = None
    high: Sql | None = None
    native: Native = field(default_factory=lambda: Native(""))
    raw: Sql | None = None
    telling: bool = False

    @classmethod
    def exact(cls, value: Sql, native: Native) -> "Reading":
        """Every value of the column is a value of the type."""
        return cls(value, value, None, None, native)

    @classmethod
    def within(cls, raw: Sql, low: Sql | None, high: Sql | None, native: Native) -> "Reading":
        """The column's own values, where they lie between the bounds."""
        inside = [test for test in (_after(raw, low), _before(raw, high)) if test is not None]
        return cls(sa.case((sa.and_(*inside), raw)), raw, low, high, native)


def _after(raw: Sql, low: Sql | None) -> Sql | None:
    return None if low is None else raw > low


def _before(raw: Sql, high: Sql | None) -> Sql | None:
    return None if high is None else raw < high


class SqlDialect(Protocol):
    """One dialect. Expressions given to its methods are total, and so must be what it makes of them.

    Its methods depend on what they are given alone, so that what they gave is kept.
    """

    def __hash__(self) -> int: ...

    @property
    def sqlalchemy(self) -> Dialect:
        """Quotes names and writes statements; its parameters are numbered (`$1`)."""
        ...

    @property
    def joins_in_order(self) -> bool:
        """Whether `joined` over the rows of an ordered subquery keeps their order."""
        ...

    def type(self, kind: ScalarType, scale: int | None = None) -> TypeEngine[Any]:
        """The SQL type in which values of `kind` are computed. `scale` here and below: `Native.scale` of decimals."""
        ...

    def array(self, kind: ScalarType, scale: int | None = None) -> TypeEngine[Any]: ...

    def null(self, kind: ScalarType) -> Sql: ...

    def natural(self, column: Column) -> Native:
        """What to take `column` for while the source has not been asked."""
        ...

    def read(self, raw: Sql, column: Column, native: Native) -> Reading:
        """`raw`, a column of type `native`, as `column.type`. Raises StructureMismatch."""
        ...

    def convert(self, kind: ScalarType, op: CompareOp, scale: int | None) -> tuple[Convert | None, str]:
        """How a parameter that is compared by `op` with a value of `kind` goes to the driver, and a name for that."""
        ...

    def by_code_point(self, text: Sql) -> Sql:
        """`text` so that it compares by code point."""
        ...

    def match(self, op: MatchOp, text: Sql) -> tuple[Convert | None, "MatchTest"]:
        """How the needle goes to the driver, and the test with it."""
        ...

    def key_batch(self, columns: list[Sql], arrays: list[Sql]) -> Sql:
        """Whether the tuple of `columns` is one of those that the `arrays` hold side by side."""
        ...

    def near(self, reading: Reading, op: CompareOp, operand: Sql, column: Column) -> Sql | None:
        """A test that an index can serve and that is TRUE wherever `reading.value op operand` is, or None."""
        ...

    def near_any(self, reading: Reading, array: Sql, column: Column) -> Sql | None:
        """The same for `reading.value` being one of an array."""
        ...

    def masked(self, mask: Mask, text: Sql, parameters: Parameters) -> Sql:
        """`masks.render`, null for null."""
        ...

    def json(self, kind: ScalarType, value: Sql, scale: int | None) -> Sql:
        """The canonical JSON (`scalars.to_json`) of `value` as text, null for null."""
        ...

    def reader(self, kind: ScalarType, scale: int | None) -> Convert | None:
        """Turns what the driver gives for a value, if not None, into the Python value of `kind`."""
        ...

    def joined(self, text: Sql, order: list[Sql]) -> Sql:
        """Aggregate: the texts of a group in `order`, with commas between; null of none."""
        ...

    def encoded(self, text: Sql) -> Sql:
        """`text` as bytes in UTF-8, which the driver need not decode."""
        ...

    def sum(self, kind: ScalarType, value: Sql) -> dict[str, Sql]:
        """Aggregates from which `total` computes the exact sum of `value`, by a suffix for their names."""
        ...

    def total(self, kind: ScalarType, parts: list[Any], scale: int | None) -> Any:
        """The sum, from the driver's values of the aggregates of `sum`, in their order: an int or Decimal, or None."""
        ...

    def least(self, kind: ScalarType, value: Sql) -> Sql: ...

    def greatest(self, kind: ScalarType, value: Sql) -> Sql: ...

    def group_value(self, kind: ScalarType, value: Sql) -> Sql:
        """What names a group whose rows have equal `value`s, whatever the order of rows."""
        ...


class MatchTest(Protocol):
    def __call__(self, needle: Sql) -> Sql: ...


def literal(text: str) -> Sql:
    """`text` as a literal. For text of the program and names of the response only, never for values."""
    return sa.literal_column(quoted_literal(text), sa.Text())


def quoted_literal(text: str) -> str:
    """The SQL of `literal`."""
    return "'" + text.replace("'", "''") + "'"


def constant(sql: str, kind: TypeEngine[Any]) -> Sql:
    """A piece of SQL that the program wrote."""
    return sa.literal_column(sql, kind)


class Concat(ColumnElement[str]):
    """Texts one after the other."""

    inherit_cache = False

    def __init__(self, *parts: Sql) -> None:
        self.parts = parts
        self.type = sa.Text()


@compiles(Concat)
def _concat(element: Concat, compiler: SQLCompiler, **kw: Any) -> str:
    return "(" + " || ".join(compiler.process(part, **kw) for part in element.parts) + ")"
