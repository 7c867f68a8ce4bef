"""In charge of DuckDB's SQL, over typed tables (Parquet) and tables of texts alike (CSV).

Date-times are computed as timestamps in UTC without zone, decimals as DECIMAL of at most 38 digits.
"""

import json
from collections.abc import Callable, Mapping
from datetime import UTC
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.types import TypeEngine

from connectors.groups import trimmed
from connectors.sql.dialect import (
    DEFAULT_TIMEZONE,
    Concat,
    MatchTest,
    Native,
    Reading,
    Sql,
    StructureMismatch,
    constant,
    literal,
)
from connectors.sql.parameters import Convert, Parameters
from tanglai.catalogue.expressions import Column, CompareOp, MatchOp
from tanglai.catalogue.masks import Mask, MaskKind, hmac_pads
from tanglai.catalogue.scalars import ScalarType

TEXT_SCALE = 10
"""Digits after the point that a decimal written as text may have, where the binding names no other number."""

_DIGITS = 38
_WHOLE_DIGITS = 18  # before the point, of decimals written as text; leaves room for the sum of 10^10 of them
_WIDE = Context(prec=2000)
_TYPES: Mapping[ScalarType, TypeEngine[Any]] = {
    ScalarType.TEXT: sa.Text(),
    ScalarType.BOOLEAN: sa.Boolean(),
    ScalarType.INTEGER: sa.Integer(),
    ScalarType.LONG: sa.BigInteger(),
    ScalarType.FLOAT: sa.Double(),
    ScalarType.DATE: sa.Date(),
    ScalarType.TIME: sa.Time(),
    ScalarType.DATETIME: sa.DateTime(),
    ScalarType.GEOMETRY: sa.Text(),
}
_NATURAL: Mapping[ScalarType, Native] = {
    ScalarType.TEXT: Native("VARCHAR"),
    ScalarType.BOOLEAN: Native("BOOLEAN"),
    ScalarType.INTEGER: Native("INTEGER"),
    ScalarType.LONG: Native("BIGINT"),
    ScalarType.DECIMAL: Native("DECIMAL", precision=_DIGITS, scale=TEXT_SCALE),
    ScalarType.FLOAT: Native("DOUBLE"),
    ScalarType.DATE: Native("DATE"),
    ScalarType.TIME: Native("TIME"),
    ScalarType.DATETIME: Native("TIMESTAMP WITH TIME ZONE"),
    ScalarType.GEOMETRY: Native("VARCHAR"),
}
_SMALL = frozenset({"TINYINT", "SMALLINT", "INTEGER", "UTINYINT", "USMALLINT"})
_INTEGERS = _SMALL | {"BIGINT", "UINTEGER", "UBIGINT", "HUGEINT", "UHUGEINT"}
_FLOATS = frozenset({"FLOAT", "DOUBLE"})
_LOCAL_TIMES = frozenset({"TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"})
_LOCAL = sa.DateTime()
_DATE_LOW, _DATE_HIGH = constant("DATE '0001-12-31 (BC)'", sa.Date()), constant("DATE '10000-01-01'", sa.Date())
_TIME_HIGH = constant("TIME '24:00:00'", sa.Time())
_TIMESTAMP_LOW = constant("TIMESTAMP '0001-12-31 (BC) 23:59:59.999999'", _LOCAL)
_TIMESTAMP_HIGH = constant("TIMESTAMP '10000-01-01 00:00:00'", _LOCAL)
_FLOAT_LOW, _FLOAT_HIGH = constant("'-infinity'::DOUBLE", sa.Double()), constant("'infinity'::DOUBLE", sa.Double())
_INTEGER_FORM = "[+-]?[0-9]{1,20}"
_FLOAT_FORM = "[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]{1,3})?"
_DATE_FORM = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME_FORM = "[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,6})?"
_LOCAL_FORM = f"{_DATE_FORM}([T ][0-9]{{2}}:[0-9]{{2}}(:[0-9]{{2}}([.][0-9]{{1,6}})?)?)?"
_ZONED_FORM = f"{_DATE_FORM}[T ][0-9]{{2}}:[0-9]{{2}}(:[0-9]{{2}}([.][0-9]{{1,6}})?)?(Z|[+-][0-9]{{2}}:[0-9]{{2}})"
_TAME_FLOAT = "-?[0-9]{1,12}[.][0-9]{1,18}"
_TAME_SUM = sa.Numeric(_DIGITS, 18)


class DuckDBDialect:
    """See `SqlDialect`."""

    joins_in_order: bool = False

    def __init__(self) -> None:
        # DuckDB reads PostgreSQL's grammar; what differs is written out below.
        self.sqlalchemy: Dialect = PGDialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]

    def type(self, kind: ScalarType, scale: int | None = None) -> TypeEngine[Any]:
        if kind is ScalarType.DECIMAL:
            return sa.Numeric(_DIGITS, TEXT_SCALE if scale is None else scale)
        return _TYPES[kind]

    def array(self, kind: ScalarType, scale: int | None = None) -> TypeEngine[Any]:
        return ARRAY(self.type(kind, scale))

    def null(self, kind: ScalarType) -> Sql:
        return sa.type_coerce(sa.null(), self.type(kind))  # a cast of null would give a decimal another scale

    def natural(self, column: Column) -> Native:
        return _NATURAL[column.type]

    def read(self, raw: Sql, column: Column, native: Native) -> Reading:
        reading = _READERS[column.type](raw, column, native)
        if reading is None:
            raise StructureMismatch(f"column `{column.name}` of type `{native.type}` is no {column.type.lower()}")
        return reading

    def convert(self, kind: ScalarType, op: CompareOp, scale: int | None) -> tuple[Convert | None, str]:
        if kind is ScalarType.DATETIME:
            return lambda moment: moment.astimezone(UTC).replace(tzinfo=None), "utc"
        if kind is ScalarType.DECIMAL:
            return _decimal_parameter(op, TEXT_SCALE if scale is None else scale), f"{op.value} {scale}"
        return None, ""

    def by_code_point(self, text: Sql) -> Sql:
        return text

    def match(self, op: MatchOp, text: Sql) -> tuple[Convert | None, MatchTest]:
        # INVARIANT: never `starts_with` or `^@`. DuckDB 2.0 turns them, with an empty needle, into a test of the bare
        # column inside the text for null, past the guard of a cell.
        test = sa.func.prefix if op is MatchOp.STARTS_WITH else sa.func.contains
        return None, lambda needle: test(text, needle, type_=sa.Boolean())

    def key_batch(self, columns: list[Sql], arrays: list[Sql]) -> Sql:
        return sa.tuple_(*columns).in_(sa.select(*(sa.func.unnest(array) for array in arrays)))

    def near(self, reading: Reading, op: CompareOp, operand: Sql, column: Column) -> Sql | None:
        # Row groups of a Parquet file are skipped by tests on the bare column.
        if op is CompareOp.EQ and column.type is ScalarType.TEXT and reading.raw is not None:
            return reading.raw == operand
        return None

    def near_any(self, reading: Reading, array: Sql, column: Column) -> Sql | None:
        return None

    def masked(self, mask: Mask, text: Sql, parameters: Parameters) -> Sql:
        return sa.case((text.is_not(None), _masked(mask, text, parameters)))

    def json(self, kind: ScalarType, value: Sql, scale: int | None) -> Sql:
        match kind:
            case ScalarType.TEXT:
                return sa.cast(sa.func.to_json(value), sa.Text())
            case ScalarType.BOOLEAN | ScalarType.INTEGER | ScalarType.GEOMETRY:
                return sa.cast(value, sa.Text())
            case ScalarType.FLOAT:
                return sa.cast(value + constant("0.0::DOUBLE", sa.Double()), sa.Text())  # minus zero is zero
            case ScalarType.DECIMAL if scale is None:
                digits = sa.func.rtrim(sa.func.rtrim(sa.cast(value, sa.Text()), literal("0")), literal("."))
                return Concat(literal('"'), digits, literal('"'))
            case ScalarType.LONG | ScalarType.DECIMAL | ScalarType.DATE:
                return Concat(literal('"'), sa.cast(value, sa.Text()), literal('"'))
            case ScalarType.TIME:
                return sa.func.strftime(constant("DATE '2000-01-01'", sa.Date()) + value, literal('"%H:%M:%S.%f"'))
            case ScalarType.DATETIME:
                return sa.func.strftime(value, literal('"%Y-%m-%dT%H:%M:%S.%fZ"'))
        raise AssertionError(kind)

    def reader(self, kind: ScalarType, scale: int | None) -> Convert | None:
        match kind:
            case ScalarType.DATETIME:
                return lambda moment: moment.replace(tzinfo=UTC)
            case ScalarType.GEOMETRY:
                return json.loads
            case ScalarType.DECIMAL if scale is None:
                return trimmed
        return None

    def joined(self, text: Sql, order: list[Sql]) -> Sql:
        separator = literal(",")
        return sa.func.string_agg(text, aggregate_order_by(separator, *order) if order else separator)

    def encoded(self, text: Sql) -> Sql:
        return sa.func.encode(text)

    def sum(self, kind: ScalarType, value: Sql) -> dict[str, Sql]:
        if kind is not ScalarType.FLOAT:
            return {"": sa.func.sum(value)}
        # Floats that are short decimals are added as such; the others, rare, come back one by one.
        text: Sql = sa.cast(value, sa.Text())
        tame = sa.func.regexp_full_match(text, literal(_TAME_FLOAT), type_=sa.Boolean())
        return {
            "": sa.func.sum(sa.case((tame, _try_cast(text, _TAME_SUM)))),
            "w": sa.func.list(value).filter(sa.not_(tame)),
        }

    def total(self, kind: ScalarType, parts: list[Any], scale: int | None) -> Any:
        if kind is ScalarType.DECIMAL and scale is None and parts[0] is not None:
            return trimmed(parts[0])
        if kind is not ScalarType.FLOAT or not parts[1]:
            return parts[0]
        total = parts[0] or Decimal(0)
        for value in parts[1]:
            total = _WIDE.add(total, Decimal(repr(value)))
        return total

    def least(self, kind: ScalarType, value: Sql) -> Sql:
        return sa.func.min(value)

    def greatest(self, kind: ScalarType, value: Sql) -> Sql:
        return sa.func.max(value)

    def group_value(self, kind: ScalarType, value: Sql) -> Sql:
        return value


def _decimal_parameter(op: CompareOp, scale: int) -> Convert:
    # A column's decimals lie on a grid: a parameter off the grid is moved to the neighbour for which the test has the
    # same answer. Beyond the grid stands its last point, which no column's value is read as (`_decimal`).
    unit = Decimal((0, (1,), -scale))
    last = Decimal((0, (9,) * _DIGITS, -scale))
    rounding = ROUND_CEILING if op in (CompareOp.LT, CompareOp.GTE) else ROUND_FLOOR

    def convert(value: Decimal | int) -> str:
        exact = Decimal(value)
        if abs(exact) >= last:
            exact = last.copy_sign(exact)
        moved = exact.quantize(unit, rounding, _WIDE)
        if op in (CompareOp.EQ, CompareOp.NE) and moved != value:
            moved = last
        return format(moved, "f")

    return convert


class _TryCast(ColumnElement[Any]):
    inherit_cache = False

    def __init__(self, value: Sql, kind: TypeEngine[Any]) -> None:
        self.value = value
        self.type = kind


@compiles(_TryCast)
def _write_try_cast(element: _TryCast, compiler: SQLCompiler, **kw: Any) -> str:
    kind = compiler.dialect.type_compiler_instance.process(element.type)
    return f"TRY_CAST({compiler.process(element.value, **kw)} AS {kind})"


def _try_cast(value: Sql, kind: TypeEngine[Any]) -> Sql:
    return _TryCast(value, kind)


def _matches(text: Sql, form: str) -> Sql:
    return sa.func.regexp_full_match(text, literal(form), type_=sa.Boolean())


def _written(raw: Sql, form: str, kind: TypeEngine[Any]) -> Sql:
    # A text of the given form as `kind`, else null.
    return sa.case((_matches(raw, form), _try_cast(raw, kind)))


def _text(raw: Sql, column: Column, native: Native) -> Reading:
    text = raw if native.type == "VARCHAR" else sa.cast(raw, sa.Text())
    no_nul = sa.not_(sa.func.contains(text, constant("chr(0)", sa.Text()), type_=sa.Boolean()))
    return Reading(sa.case((no_nul, text)), native=native, raw=text)


def _boolean(raw: Sql, column: Column, native: Native) -> Reading | None:
    if native.type == "BOOLEAN":
        return Reading.exact(raw, native)
    if native.type in _INTEGERS:
        yes, no = (raw == constant(number, sa.Integer()) for number in ("1", "0"))
    elif native.type == "VARCHAR":
        text = sa.func.lower(raw)
        yes, no = (text.in_([literal(form) for form in forms]) for forms in (("true", "t", "1"), ("false", "f", "0")))
    else:
        return None
    return Reading(sa.case((yes, sa.true()), (no, sa.false())), native=native)


def _whole(kind: TypeEngine[Any], fitting: frozenset[str]) -> Callable[[Sql, Column, Native], Reading | None]:
    def read(raw: Sql, column: Column, native: Native) -> Reading | None:
        if native.type in fitting:
            return Reading.exact(raw, native)
        if native.type in _INTEGERS:
            return Reading(_try_cast(raw, kind), native=native)
        if native.type in _FLOATS or native.type == "DECIMAL":
            return Reading(sa.case((raw == sa.func.trunc(raw), _try_cast(raw, kind))), native=native)
        if native.type == "VARCHAR":
            return Reading(_written(raw, _INTEGER_FORM, kind), native=native)
        return None

    return read


def _decimal(raw: Sql, column: Column, native: Native) -> Reading | None:
    scale = TEXT_SCALE if native.scale is None else native.scale
    kind = sa.Numeric(min(_DIGITS, _WHOLE_DIGITS + scale), scale)
    if native.type == "DECIMAL":
        if native.precision != _DIGITS:
            return Reading.exact(raw, native)
        last = format(Decimal((0, (9,) * _DIGITS, -scale)), "f")
        full = sa.Numeric(_DIGITS, scale)
        return Reading.within(raw, constant(f"-{last}", full), constant(last, full), native)
    if native.type in _INTEGERS:
        return Reading(_try_cast(raw, kind), native=native)
    if native.type in _FLOATS:
        wide: Sql = sa.cast(raw, sa.Double())
        value = _try_cast(sa.cast(wide, sa.Text()), kind)
        return Reading(sa.case((_try_cast(value, sa.Double()) == wide, value)), native=native)
    if native.type == "VARCHAR":
        form = f"[+-]?([0-9]+([.][0-9]{{0,{scale}}}0*)?|[.][0-9]{{1,{max(scale, 1)}}}0*)"
        return Reading(_written(raw, form, kind), native=native)
    return None


def _float(raw: Sql, column: Column, native: Native) -> Reading | None:
    if native.type == "DOUBLE":
        return Reading.within(raw, _FLOAT_LOW, _FLOAT_HIGH, native)
    if native.type == "VARCHAR":
        raw = _written(raw, _FLOAT_FORM, sa.Double())
    elif native.type in _INTEGERS or native.type in ("FLOAT", "DECIMAL"):
        raw = sa.cast(raw, sa.Double())
    else:
        return None
    return Reading(Reading.within(raw, _FLOAT_LOW, _FLOAT_HIGH, native).value, native=native)


def _date(raw: Sql, column: Column, native: Native) -> Reading | None:
    if native.type == "DATE":
        return Reading.within(raw, _DATE_LOW, _DATE_HIGH, native)
    if native.type == "VARCHAR":
        written = _written(raw, _DATE_FORM, sa.Date())
        return Reading(Reading.within(written, _DATE_LOW, _DATE_HIGH, native).value, native=native)
    return None


def _time(raw: Sql, column: Column, native: Native) -> Reading | None:
    if native.type == "TIME":
        return Reading.within(raw, None, _TIME_HIGH, native)
    if native.type == "VARCHAR":
        written = _written(raw, _TIME_FORM, sa.Time())
        return Reading(Reading.within(written, None, _TIME_HIGH, native).value, native=native)
    return None


def _datetime(raw: Sql, column: Column, native: Native) -> Reading | None:
    if native.type == "VARCHAR":
        zoned = sa.func.timezone(literal("UTC"), _try_cast(raw, sa.DateTime(timezone=True)), type_=_LOCAL)
        local = _in_utc(_try_cast(raw, _LOCAL), column)
        value: Sql = sa.case((_matches(raw, _ZONED_FORM), zoned), (_matches(raw, _LOCAL_FORM), local))
    elif native.type == "TIMESTAMP WITH TIME ZONE":
        value = sa.func.timezone(literal("UTC"), raw, type_=_LOCAL)
    elif native.type in _LOCAL_TIMES:
        value = _in_utc(_try_cast(raw, _LOCAL), column)
    else:
        return None
    return Reading(Reading.within(value, _TIMESTAMP_LOW, _TIMESTAMP_HIGH, native).value, native=native)


def _in_utc(local: Sql, column: Column) -> Sql:
    # Only times that a zone cannot push out of range are converted.
    moment = sa.func.timezone(literal(column.timezone or DEFAULT_TIMEZONE), local, type_=sa.DateTime(timezone=True))
    inside = sa.and_(local > _TIMESTAMP_LOW, local < _TIMESTAMP_HIGH)
    return sa.case((inside, sa.func.timezone(literal("UTC"), moment, type_=_LOCAL)))


def _geometry(raw: Sql, column: Column, native: Native) -> Reading | None:
    if native.type not in ("VARCHAR", "JSON"):
        return None
    text: Sql = sa.cast(raw, sa.Text())
    member = sa.func.json_type(text, literal("$.type"))
    is_object = sa.and_(sa.func.json_type(text) == literal("OBJECT"), member == literal("VARCHAR"))
    valid = sa.func.json_valid(text, type_=sa.Boolean())
    return Reading(sa.case((valid, sa.case((is_object, text)))), native=native)


_READERS: Mapping[ScalarType, Callable[[Sql, Column, Native], Reading | None]] = {
    ScalarType.TEXT: _text,
    ScalarType.BOOLEAN: _boolean,
    ScalarType.INTEGER: _whole(sa.Integer(), _SMALL),
    ScalarType.LONG: _whole(sa.BigInteger(), _SMALL | {"BIGINT", "UINTEGER"}),
    ScalarType.DECIMAL: _decimal,
    ScalarType.FLOAT: _float,
    ScalarType.DATE: _date,
    ScalarType.TIME: _time,
    ScalarType.DATETIME: _datetime,
    ScalarType.GEOMETRY: _geometry,
}


def _masked(mask: Mask, text: Sql, parameters: Parameters) -> Sql:
    def number(value: int) -> Sql:
        return parameters.constant(value, sa.BigInteger())

    stars, star, one = literal("***"), literal("*"), constant("1", sa.BigInteger())
    length = sa.func.length(text, type_=sa.BigInteger())
    match mask.kind:
        case MaskKind.KEEP:
            kept = number(mask.prefix + mask.suffix)
            clear_start, clear_end = sa.func.left(text, number(mask.prefix)), sa.func.right(text, number(mask.suffix))
            hidden = sa.func.repeat(star, length - kept)
            return sa.case((length > kept, Concat(clear_start, hidden, clear_end)), else_=sa.func.repeat(star, length))
        case MaskKind.FIRST:
            first = Concat(sa.func.left(text, one), literal("**"))
            return sa.case((length > one, first), else_=literal("**"))
        case MaskKind.DOMAIN:
            domain = sa.func.split_part(text, literal("@"), constant("-1", sa.BigInteger()))
            has_at = sa.func.contains(text, literal("@"), type_=sa.Boolean())
            return sa.case((has_at, Concat(stars, literal("@"), domain)), else_=stars)
        case MaskKind.REGION:
            region = Concat(sa.func.left(text, number(mask.prefix)), stars)
            return sa.case((length > number(mask.prefix), region), else_=stars)
        case MaskKind.PSEUDONYM:
            inner, outer = (parameters.constant(pad, sa.LargeBinary()) for pad in hmac_pads(mask.key))
            digest = sa.func.unhex(sa.func.sha256(Concat(inner, sa.func.encode(text))))
            return sa.func.left(sa.func.sha256(Concat(outer, digest)), constant("32", sa.BigInteger()))
        case MaskKind.REDACT:
            return stars
