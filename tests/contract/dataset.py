"""The rows that every kind of source holds in the contract suite: nulls, duplicates, unicode and extreme values."""

from datetime import UTC, date, datetime, time
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from tanglai.catalogue.expressions import Column
from tanglai.catalogue.scalars import ScalarType

ID = Column("id", ScalarType.LONG)
NAME = Column("name", ScalarType.TEXT)
CODE = Column("code", ScalarType.TEXT)
FLAG = Column("flag", ScalarType.BOOLEAN)
AGE = Column("age", ScalarType.INTEGER)
BALANCE = Column("balance", ScalarType.LONG)
AMOUNT = Column("amount", ScalarType.DECIMAL)
SCORE = Column("score", ScalarType.FLOAT)
BORN = Column("born", ScalarType.DATE)
AT = Column("at", ScalarType.TIME)
SEEN = Column("seen", ScalarType.DATETIME)
CHANGED = Column("changed", ScalarType.DATETIME, timezone="Asia/Shanghai")
SHAPE = Column("shape", ScalarType.GEOMETRY)
PEOPLE_COLUMNS = (ID, NAME, CODE, FLAG, AGE, BALANCE, AMOUNT, SCORE, BORN, AT, SEEN, CHANGED, SHAPE)

CAR_ID = Column("id", ScalarType.LONG)
OWNER = Column("owner", ScalarType.LONG)
OWNER_NAME = Column("owner name", ScalarType.TEXT)
PLATE = Column("Plate", ScalarType.TEXT)
PRICE = Column("price", ScalarType.DECIMAL)
CARS_COLUMNS = (CAR_ID, OWNER, OWNER_NAME, PLATE, PRICE)

POINT = {"type": "Point", "coordinates": [106.23, 38.48]}


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _person(*values: Any) -> MappingProxyType[str, Any]:
    return MappingProxyType(dict(zip((column.name for column in PEOPLE_COLUMNS), values, strict=True)))


_EARLY, _LATE = _moment("0001-01-03T00:00:00+00:00"), _moment("9999-12-30T23:59:59.999999+00:00")
PEOPLE = (
    _person(1, "张三", "640101", True, 30, 2**63 - 1, Decimal("12.50"), 0.1, date(1990, 2, 28), time(8, 30),
            _moment("2024-02-29T08:00:00+08:00"), _moment("2024-02-29T08:00:00+08:00"), POINT),
    _person(2, "张三丰", "640101", False, -1, -(2**63), Decimal("-0.01"), -0.1, date(1900, 2, 28), time(0, 0),
            _moment("2024-02-29T00:00:00.000001Z"), _moment("2024-02-28T23:59:59.999999Z"), None),
    _person(3, "zhang", "6401", None, None, None, None, None, None, None, None, None, None),
    _person(4, "Zhang", None, True, 2**31 - 1, 0, Decimal("9999999999.99"), 1e300, date(9999, 12, 31),
            time(23, 59, 59, 999999), _LATE, _LATE, {"type": "Point", "coordinates": []}),
    _person(5, "", "", False, -(2**31), 1, Decimal("0.00"), -1e300, date(1, 1, 1), time(0, 0, 0, 1), _EARLY, _EARLY,
            None),
    _person(6, None, "a_b%c\\d", True, 0, 10**15 + 1, Decimal("0.10"), 5e-324, date(2000, 2, 29), time(12, 0),
            _moment("1969-12-31T23:59:59.999999Z"), _moment("1988-07-01T00:00:00Z"), None),
    _person(7, "e\u0301", "aXb%c\\d", False, 30, 2**53, Decimal("12.50"), 2.0**53, date(1990, 2, 28), time(8, 30),
            _moment("2024-02-29T08:00:00+08:00"), _moment("2024-02-29T08:00:00+08:00"), POINT),
    _person(8, "é", 'quote" \'single\' \\back', None, 30, 2**53 + 1, Decimal("-12.50"), 0.1, None, None,
            _moment("2000-01-01T00:00:00Z"), None, None),
    _person(9, "👨‍👩‍👧", "line\nbreak\ttab\u0001\u2028", True, 18, -1, None, 1 / 3, date(2023, 1, 1), time(23, 0), None,
            _moment("1970-01-01T00:00:00Z"), None),
    _person(10, "～", "user@example.org", True, 18, None, Decimal("1.00"), None, date(2023, 1, 1), None, None, None,
            None),
    _person(11, "z", "a@b@c", False, 18, 7, Decimal("1.01"), -5e-324, None, time(1, 2, 3, 4), None, None, None),
    _person(12, "张 ", "@", None, 18, 7, Decimal("100000.00"), 1e21, None, None, None, None, None),
    _person(13, "𠀀", "640101 ", False, 1, 7, Decimal("5.55"), 1.5, None, None, None, None, None),
    _person(14, "A", "x" * 300, True, 1, 7, Decimal("5.55"), -1.5, None, None, None, None, None),
)  # fmt: skip


def _car(*values: Any) -> MappingProxyType[str, Any]:
    return MappingProxyType(dict(zip((column.name for column in CARS_COLUMNS), values, strict=True)))


CARS = (
    _car(1, 1, "张三", "宁A00001", Decimal("100.00")),
    _car(2, 1, "张三", "宁A00002", None),
    _car(3, 1, "Zhang", "宁A00003", Decimal("300.00")),
    _car(4, 2, "张三丰", "宁B00001", Decimal("100.00")),
    _car(5, None, None, None, Decimal("1.00")),
    _car(6, 99, "nobody", "宁C00001", Decimal("2.00")),
    _car(7, 4, "", "", Decimal("0.00")),
    _car(8, 4, "Zhang", "宁A00003", Decimal("7.00")),
)
