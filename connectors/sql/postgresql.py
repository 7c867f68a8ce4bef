"""In charge of PostgreSQL's SQL (13 and newer, databases in UTF-8, session in UTC with ISO dates)."""

import json
import operator
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeEngine, UserDefinedType

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
from tanglai.catalogue.scalars import MAX_DECIMAL_DIGITS, ScalarType

_TYPES: Mapping[ScalarType, TypeEngine[Any]] = {
    ScalarType.TEXT: sa.Text(),
    ScalarType.BOOLEAN: sa.Boolean(),
    ScalarType.INTEGER: sa.Integer(),
    ScalarType.LONG: sa.BigInteger(),
    ScalarType.DECIMAL: sa.Numeric(),
    ScalarType.FLOAT: sa.Double(),
    ScalarType.DATE: sa.Date(),
    ScalarType.TIME: sa.Time(),
    ScalarType.DATETIME: sa.DateTime(timezone=True),
    ScalarType.GEOMETRY: sa.Text(),
}
_NATURAL: Mapping[ScalarType, str] = {
    ScalarType.TEXT: "text",
    ScalarType.BOOLEAN: "bool",
    ScalarType.INTEGER: "int4",
    ScalarType.LONG: "int8",
    ScalarType.DECIMAL: "numeric",
    ScalarType.FLOAT: "float8",
    ScalarType.DATE: "date",
    ScalarType.TIME: "time",
    ScalarType.DATETIME: "timestamptz",
    ScalarType.GEOMETRY: "jsonb",
}
_INTEGERS = frozenset({"int2", "int4", "int8"})
_LOCAL = sa.DateTime()
_ZONED = sa.DateTime(timezone=True)
_DATETIME_LOW = constant("'0001-12-31 23:59:59.999999+00 BC'::timestamptz", _ZONED)
_DATETIME_HIGH = constant("'10000-01-01 00:00:00+00'::timestamptz", _ZONED)
_LOCAL_LOW = constant("'0001-12-31 23:59:59.999999 BC'::timestamp", _LOCAL)
_LOCAL_HIGH = constant("'10000-01-01 00:00:00'::timestamp", _LOCAL)
_DATE_LOW = constant("'0001-12-31 BC'::date", sa.Date())
_DATE_HIGH = constant("'10000-01-01'::date", sa.Date())
_TIME_HIGH = constant("'24:00:00'::time", sa.Time())
_FLOAT_LOW = constant("'-Infinity'::float8", sa.Double())
_FLOAT_HIGH = constant("'Infinity'::float8", sa.Double())  # NaN is above it
_NUMERIC_LOW = constant("-1e101", sa.Numeric())
_NUMERIC_HIGH = constant("1e101", sa.Numeric())
_NUMERIC_NAN = constant("'NaN'::numeric", sa.Numeric())  # above all others
_DAY = constant("interval '1 day'", sa.Interval())
_TESTS: Mapping[CompareOp, Callable[[Sql, Sql], Sql]] = {
    CompareOp.EQ: operator.eq,
    CompareOp.LT: operator.lt,
    CompareOp.LTE: operator.le,
    CompareOp.GT: operator.gt,
    CompareOp.GTE: operator.ge,
}
_LESS = frozenset({CompareOp.LT, CompareOp.LTE, CompareOp.EQ})
_MORE = frozenset({CompareOp.GT, CompareOp.GTE, CompareOp.EQ})


class _Padded(UserDefinedType[str]):
    """`character` of any length, whose comparisons do not see blanks at the end."""

    cache_ok = True

    def get_col_spec(self, **kw: Any) -> str:
        return "bpchar"


_PADDED = _Padded()


class PostgreSQLDialect:
    """See `SqlDialect`."""

    joins_in_order: bool = True

    def __init__(self) -> None:
        self.sqlalchemy: Dialect = PGDialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]

    def type(self, kind: ScalarType, scale: int | None = None) -> TypeEngine[Any]:
        return _TYPES[kind]

    def array(self, kind: ScalarType, scale: int | None = None) -> TypeEngine[Any]:
        return ARRAY(_TYPES[kind])

    def null(self, kind: ScalarType) -> Sql:
        return sa.cast(sa.null(), _TYPES[kind])

    def natural(self, column: Column) -> Native:
        zoneless = column.type is ScalarType.DATETIME and column.timezone is not None
        return Native("timestamp" if zoneless else _NATURAL[column.type], codepoint=column.collated)

    def read(self, raw: Sql, column: Column, native: Native) -> Reading:
        reading = _READERS[column.type](raw, column, native)
        if reading is None:
            raise StructureMismatch(f"column `{column.name}` of type `{native.type}` is no {column.type.lower()}")
        return reading

    def convert(self, kind: ScalarType, op: CompareOp, scale: int | None) -> tuple[Convert | None, str]:
        return None, ""

    def by_code_point(self, text: Sql) -> Sql:
        return sa.collate(text, "C")

    def match(self, op: MatchOp, text: Sql) -> tuple[Convert | None, MatchTest]:
        # LIKE, so that a text_pattern_ops, C or trigram index can serve; the needle's own wildcards are escaped.
        def pattern(needle: str) -> str:
            escaped = needle.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
            return f"{escaped}%" if op is MatchOp.STARTS_WITH else f"%{escaped}%"

        return pattern, lambda needle: text.like(needle)

    def key_batch(self, columns: list[Sql], arrays: list[Sql]) -> Sql:
        names = [f"k{index}" for index in range(len(arrays))]
        batch = sa.func.unnest(*arrays).table_valued(*names, name="batch").render_derived()
        return sa.tuple_(*columns).in_(sa.select(*batch.c))

    def near(self, reading: Reading, op: CompareOp, operand: Sql, column: Column) -> Sql | None:
        native, raw = reading.native.type, reading.raw
        if raw is None:
            return None
        if native == "timestamp" and column.type is ScalarType.DATETIME:
            # A local time is within a day of any zone's reading of it.
            local = _at_zone(operand, column, _LOCAL)
            tests: list[Sql] = []
            if op in _LESS:
                tests.append(raw <= local + _DAY)
            if op in _MORE:
                tests.append(raw >= local - _DAY)
            return sa.and_(*tests) if tests else None
        if op is CompareOp.EQ and native == "bpchar":
            return raw == sa.cast(operand, _PADDED)
        if op is CompareOp.EQ and native == "uuid":
            return raw == _as_uuid(operand)
        if op is not CompareOp.NE and native == "numeric":
            return _TESTS[op](raw, sa.cast(operand, sa.Numeric()))
        return None

    def near_any(self, reading: Reading, array: Sql, column: Column) -> Sql | None:
        native, raw = reading.native.type, reading.raw
        if raw is None or native not in ("bpchar", "uuid", "numeric"):
            return None
        if native == "uuid":
            each = sa.func.unnest(array).column_valued("each")
            return raw == sa.any_(sa.func.array(sa.select(_as_uuid(each)).scalar_subquery()))
        return raw == sa.any_(sa.cast(array, ARRAY(_PADDED if native == "bpchar" else sa.Numeric())))

    def masked(self, mask: Mask, text: Sql, parameters: Parameters) -> Sql:
        return sa.case((text.is_not(None), _masked(mask, text, parameters)))

    def json(self, kind: ScalarType, value: Sql, scale: int | None) -> Sql:
        match kind:
            case ScalarType.TEXT:
                return sa.cast(sa.func.to_json(value), sa.Text())
            case ScalarType.BOOLEAN | ScalarType.INTEGER | ScalarType.GEOMETRY:
                return sa.cast(value, sa.Text())
            case ScalarType.FLOAT:
                return sa.cast(value + constant("0.0", sa.Double()), sa.Text())  # minus zero is zero
            case ScalarType.LONG | ScalarType.DECIMAL | ScalarType.DATE:
                return Concat(literal('"'), sa.cast(value, sa.Text()), literal('"'))
            case ScalarType.TIME:
                return sa.func.to_char(value, literal('"\\""HH24:MI:SS.US"\\""'))
            case ScalarType.DATETIME:
                utc = sa.func.timezone(literal("UTC"), value)
                return sa.func.to_char(utc, literal('"\\""YYYY-MM-DD"T"HH24:MI:SS.US"Z\\""'))

    def reader(self, kind: ScalarType, scale: int | None) -> Convert | None:
        return json.loads if kind is ScalarType.GEOMETRY else None

    def joined(self, text: Sql, order: list[Sql]) -> Sql:
        separator = literal(",")
        if not order:
            return sa.func.string_agg(text, separator)
        return sa.func.string_agg(text, aggregate_order_by(separator, *order))

    def encoded(self, text: Sql) -> Sql:
        return sa.func.convert_to(text, literal("UTF8"))

    def sum(self, kind: ScalarType, value: Sql) -> dict[str, Sql]:
        if kind is ScalarType.FLOAT:
            value = sa.cast(sa.cast(value, sa.Text()), sa.Numeric())
        return {"": sa.func.sum(value)}

    def total(self, kind: ScalarType, parts: list[Any], scale: int | None) -> Any:
        return parts[0]

    def least(self, kind: ScalarType, value: Sql) -> Sql:
        return sa.func.bool_and(value) if kind is ScalarType.BOOLEAN else sa.func.min(value)

    def greatest(self, kind: ScalarType, value: Sql) -> Sql:
        return sa.func.bool_or(value) if kind is ScalarType.BOOLEAN else sa.func.max(value)

    def group_value(self, kind: ScalarType, value: Sql) -> Sql:
        if kind is ScalarType.DECIMAL:  # 1.5 and 1.50 are one group
            return sa.func.round(value, sa.func.max(sa.func.scale(value)))
        return value


def _text(raw: Sql, column: Column, native: Native) -> Reading:
    if native.type in ("text", "varchar"):
        return Reading.exact(raw, native)
    return Reading(sa.cast(raw, sa.Text()), native=native, raw=raw)


def _as_uuid(text: Sql) -> Sql:
    # What is no canonical one is the text of none.
    canonical = text.regexp_match(literal("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"))
    return sa.case((canonical, sa.cast(text, sa.Uuid())))


def _boolean(raw: Sql, column: Column, native: Native) -> Reading | None:
    if native.type == "bool":
        return Reading.exact(raw, native)
    if native.type in _INTEGERS:
        yes, no = (raw == constant(number, sa.Integer()) for number in ("1", "0"))
        return Reading(sa.case((yes, sa.true()), (no, sa.false())), native=native)
    if native.type in ("text", "varchar", "bpchar", "char"):
        text = sa.func.lower(sa.cast(raw, sa.Text()))
        yes, no = (text.in_([literal(form) for form in forms]) for forms in (("true", "t", "1"), ("false", "f", "0")))
        return Reading(sa.case((yes, sa.true()), (no, sa.false())), native=native)
    return None


def _whole(
    kind: TypeEngine[Any], fitting: frozenset[str], limit: int
) -> Callable[[Sql, Column, Native], Reading | None]:
    low, high = constant(str(-limit - 1), sa.Numeric()), constant(str(limit), sa.Numeric())

    def read(raw: Sql, column: Column, native: Native) -> Reading | None:
        if native.type in fitting:
            return Reading.exact(raw, native)
        if native.type == "int8":
            inside = sa.and_(raw > low, raw < high)
            return Reading(sa.case((inside, sa.cast(raw, kind))), raw, low, high, native)
        if native.type == "numeric":
            inside = sa.and_(raw > low, raw < high, raw == sa.func.trunc(raw))
            return Reading(sa.case((inside, sa.cast(raw, kind))), native=native, raw=raw)
        return None

    return read


def _decimal(raw: Sql, column: Column, native: Native) -> Reading | None:
    if native.type == "numeric":
        if native.precision is not None and native.precision <= MAX_DECIMAL_DIGITS:
            return replace(Reading.within(raw, None, _NUMERIC_NAN, native), telling=True)
        return Reading.within(raw, _NUMERIC_LOW, _NUMERIC_HIGH, native)
    if native.type in _INTEGERS:
        return Reading(sa.cast(raw, sa.Numeric()), native=native)
    if native.type in ("float4", "float8"):
        wide: Sql = sa.cast(raw, sa.Double())
        inside = sa.and_(wide > constant("-1e101::float8", sa.Double()), wide < constant("1e101::float8", sa.Double()))
        return Reading(sa.case((inside, sa.cast(sa.cast(raw, sa.Text()), sa.Numeric()))), native=native)
    return None


def _float(raw: Sql, column: Column, native: Native) -> Reading | None:
    if native.type == "float8":
        return Reading.within(raw, _FLOAT_LOW, _FLOAT_HIGH, native)
    if native.type == "float4":
        return Reading.within(sa.cast(raw, sa.Double()), _FLOAT_LOW, _FLOAT_HIGH, native)
    if native.type in _INTEGERS:
        return Reading(sa.cast(raw, sa.Double()), native=native)
    if native.type == "numeric":
        inside = sa.and_(raw > _NUMERIC_LOW, raw < _NUMERIC_HIGH)
        return Reading(sa.case((inside, sa.cast(raw, sa.Double()))), native=native)
    return None


def _date(raw: Sql, column: Column, native: Native) -> Reading | None:
    return Reading.within(raw, _DATE_LOW, _DATE_HIGH, native) if native.type == "date" else None


def _time(raw: Sql, column: Column, native: Native) -> Reading | None:
    return Reading.within(raw, None, _TIME_HIGH, native) if native.type == "time" else None


def _datetime(raw: Sql, column: Column, native: Native) -> Reading | None:
    if native.type == "timestamptz":
        return Reading.within(raw, _DATETIME_LOW, _DATETIME_HIGH, native)
    if native.type == "timestamp":
        # Two guards, one within the other: only times that a zone cannot push out of PostgreSQL's range are converted.
        moment = _at_zone(raw, column, _ZONED)
        known = sa.case((sa.and_(moment > _DATETIME_LOW, moment < _DATETIME_HIGH), moment))
        value = sa.case((sa.and_(raw > _LOCAL_LOW, raw < _LOCAL_HIGH), known))
        return Reading(value, native=native, raw=raw)
    return None


def _geometry(raw: Sql, column: Column, native: Native) -> Reading | None:
    if native.type not in ("json", "jsonb"):
        return None
    type_of = getattr(sa.func, f"{native.type}_typeof")
    member = sa.type_coerce(raw, sa.JSON()).op("->")(literal("type"))
    is_object = sa.and_(type_of(raw) == literal("object"), type_of(member) == literal("string"))
    return Reading(sa.case((is_object, sa.cast(raw, sa.Text()))), native=native)


_READERS: Mapping[ScalarType, Callable[[Sql, Column, Native], Reading | None]] = {
    ScalarType.TEXT: _text,
    ScalarType.BOOLEAN: _boolean,
    ScalarType.INTEGER: _whole(sa.Integer(), frozenset({"int2", "int4"}), 2**31),
    ScalarType.LONG: _whole(sa.BigInteger(), _INTEGERS, 2**63),
    ScalarType.DECIMAL: _decimal,
    ScalarType.FLOAT: _float,
    ScalarType.DATE: _date,
    ScalarType.TIME: _time,
    ScalarType.DATETIME: _datetime,
    ScalarType.GEOMETRY: _geometry,
}


def _at_zone(value: Sql, column: Column, kind: TypeEngine[Any]) -> Sql:
    # The zone is the catalogue's, not a value of a request.
    return sa.func.timezone(literal(column.timezone or DEFAULT_TIMEZONE), value, type_=kind)


def _masked(mask: Mask, text: Sql, parameters: Parameters) -> Sql:
    def number(value: int) -> Sql:
        return parameters.constant(value, sa.Integer())

    stars, one = literal("***"), constant("1", sa.Integer())
    length = sa.func.char_length(text, type_=sa.Integer())
    match mask.kind:
        case MaskKind.KEEP:
            kept = mask.prefix + mask.suffix
            clear_start, clear_end = sa.func.left(text, number(mask.prefix)), sa.func.right(text, number(mask.suffix))
            hidden = sa.func.repeat(literal("*"), length - number(kept))
            return sa.case(
                (length > number(kept), Concat(clear_start, hidden, clear_end)),
                else_=sa.func.repeat(literal("*"), length),
            )
        case MaskKind.FIRST:
            first = sa.func.left(text, one)
            return sa.case((length > one, Concat(first, literal("**"))), else_=literal("**"))
        case MaskKind.DOMAIN:
            at = literal("@")
            domain = sa.func.reverse(sa.func.split_part(sa.func.reverse(text), at, one))
            return sa.case((sa.func.strpos(text, at) >= one, Concat(stars, at, domain)), else_=stars)
        case MaskKind.REGION:
            region = sa.func.left(text, number(mask.prefix))
            return sa.case((length > number(mask.prefix), Concat(region, stars)), else_=stars)
        case MaskKind.PSEUDONYM:
            inner, outer = (parameters.constant(pad, sa.LargeBinary()) for pad in hmac_pads(mask.key))
            digest = sa.func.sha256(Concat(inner, sa.func.convert_to(text, literal("UTF8"))))
            digest = sa.func.sha256(Concat(outer, digest))
            return sa.func.left(sa.func.encode(digest, literal("hex")), constant("32", sa.Integer()))
        case MaskKind.REDACT:
            return stars
