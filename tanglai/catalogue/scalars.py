"""In charge of the scalar types of items: their Python values, total conversions and one canonical JSON form each."""

import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any


class ScalarType(StrEnum):
    """Type of an item. Python values: str, bool, int, int, Decimal, float, date, time, aware datetime, GeoJSON dict."""

    TEXT = "TEXT"
    BOOLEAN = "BOOLEAN"
    INTEGER = "INTEGER"  # 32 bits, a JSON number
    LONG = "LONG"  # 64 bits, a JSON string
    DECIMAL = "DECIMAL"  # exact, a JSON string
    FLOAT = "FLOAT"
    DATE = "DATE"
    TIME = "TIME"
    DATETIME = "DATETIME"
    GEOMETRY = "GEOMETRY"  # GeoJSON (RFC 7946); selected and tested for null, never compared

    @property
    def comparable(self) -> bool:
        """Whether values have equality and order (all but geometry)."""
        return self is not ScalarType.GEOMETRY

    @property
    def numeric(self) -> bool:
        """Whether sum and avg exist."""
        return self in _NUMERIC


_NUMERIC = frozenset({ScalarType.INTEGER, ScalarType.LONG, ScalarType.DECIMAL, ScalarType.FLOAT})
INT_RANGE = (-(2**31), 2**31 - 1)
LONG_RANGE = (-(2**63), 2**63 - 1)
MAX_DECIMAL_DIGITS = 100
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_TIME = re.compile(r"\d{2}:\d{2}:\d{2}(\.\d{1,6})?", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("not a text")
    if "\x00" in value:
        raise ValueError("a text holds no NUL character")
    value.encode()  # a lone surrogate is no text
    return value


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "t", "1"):
        return True
    if isinstance(value, str) and value.lower() in ("false", "f", "0"):
        return False
    if isinstance(value, int) and value in (0, 1):
        return bool(value)
    raise ValueError("not a boolean")


def _whole(value: Any, low: int, high: int) -> int:
    if isinstance(value, bool):
        raise ValueError("not an integer")
    if isinstance(value, str):
        if not re.fullmatch(r"[+-]?\d{1,20}", value, re.ASCII):
            raise ValueError("not an integer")
        value = int(value)
    if isinstance(value, float | Decimal):
        if value != value or value in (math.inf, -math.inf) or value != int(value):
            raise ValueError("not an integer")
        value = int(value)
    if not isinstance(value, int):
        raise ValueError("not an integer")
    if not low <= value <= high:
        raise ValueError(f"not between {low} and {high}")
    return value


def _decimal(value: Any) -> Decimal:
    if isinstance(value, bool):
        raise ValueError("not a decimal")
    if isinstance(value, float):
        value = repr(value)
    if isinstance(value, str):
        if len(value) > MAX_DECIMAL_DIGITS or not _DECIMAL.fullmatch(value):
            raise ValueError("not a decimal")
        try:
            value = Decimal(value)
        except InvalidOperation:
            raise ValueError("not a decimal") from None
    if isinstance(value, int):
        value = Decimal(value)
    if not isinstance(value, Decimal) or not value.is_finite():
        raise ValueError("not a decimal")
    if abs(value.adjusted()) > MAX_DECIMAL_DIGITS:
        raise ValueError(f"more than {MAX_DECIMAL_DIGITS} digits")
    return value


def _float(value: Any) -> float:
    if isinstance(value, bool):
        raise ValueError("not a number")
    if isinstance(value, int | float | Decimal | str):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            raise ValueError("not a number") from None
        if math.isfinite(number):
            return number
    raise ValueError("not a finite number")


def _date(value: Any) -> date:
    if isinstance(value, datetime):
        raise ValueError("not a date")
    if isinstance(value, date):
        return value
    if isinstance(value, str) and _DATE.fullmatch(value):
        return date.fromisoformat(value)
    raise ValueError("not a date of the form YYYY-MM-DD")


def _time(value: Any) -> time:
    if isinstance(value, time) and value.tzinfo is None:
        return value
    if isinstance(value, str) and _TIME.fullmatch(value):
        return time.fromisoformat(value)
    raise ValueError("not a time of the form HH:MM:SS")


def _datetime(value: Any) -> datetime:
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(value, datetime) and value.tzinfo is not None:
        try:
            return value.astimezone(UTC)
        except OverflowError:
            raise ValueError("a time out of range") from None
    raise ValueError("not a time with an offset (RFC 3339)")


def _geometry(value: Any) -> dict[str, Any]:
    if isinstance(value, dict) and isinstance(value.get("type"), str):
        return value
    raise ValueError("not a GeoJSON object")


_PARSERS: dict[ScalarType, Callable[[Any], Any]] = {
    ScalarType.TEXT: _text,
    ScalarType.BOOLEAN: _boolean,
    ScalarType.INTEGER: lambda value: _whole(value, *INT_RANGE),
    ScalarType.LONG: lambda value: _whole(value, *LONG_RANGE),
    ScalarType.DECIMAL: _decimal,
    ScalarType.FLOAT: _float,
    ScalarType.DATE: _date,
    ScalarType.TIME: _time,
    ScalarType.DATETIME: _datetime,
    ScalarType.GEOMETRY: _geometry,
}


def parse(kind: ScalarType, value: Any) -> Any:
    """The Python value of `value` (a JSON value, a text form or a Python value) as `kind`.

    Raises ValueError with a short reason, never another exception.
    """
    try:
        return _PARSERS[kind](value)
    except ValueError:
        raise
    except (TypeError, OverflowError, ArithmeticError) as error:
        raise ValueError(f"not a {kind.lower()}") from error


def convert(kind: ScalarType, value: Any) -> Any:
    """Total conversion of a source's value to the Python value of `kind`: what does not fit is None.

    INVARIANT: never raises, so that a hidden value cannot be told from others by a failure (authorization.md).
    """
    if value is None:
        return None
    try:
        return parse(kind, value)
    except ValueError:
        return None


def plain_decimal(value: Decimal) -> str:
    """Decimal as plain digits, the scale kept, no exponent; minus zero is zero."""
    if value == 0:
        value = abs(value)
    return format(value, "f")


def to_json(kind: ScalarType, value: Any) -> Any:
    """The canonical JSON value (str, bool, int, float, dict or None) of a Python value of `kind`.

    Long and decimal are strings; date-times are UTC with six fraction digits and `Z`.
    """
    if value is None:
        return None
    if kind is ScalarType.LONG:
        return str(value)
    if kind is ScalarType.DECIMAL:
        return plain_decimal(value)
    if kind is ScalarType.DATE:
        return value.isoformat()
    if kind is ScalarType.TIME:
        return value.isoformat(timespec="microseconds")
    if kind is ScalarType.DATETIME:
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")
    if kind is ScalarType.FLOAT:
        return value if math.isfinite(value) else None
    return value
