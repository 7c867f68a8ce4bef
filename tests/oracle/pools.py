"""In charge of the values and departments that random worlds are made of."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from tanglai.catalogue.masks import Mask, MaskKind
from tanglai.catalogue.model import (
    Department,
    Item,
    Level,
    NamedMask,
)
from tanglai.catalogue.scalars import ScalarType
from tests.catalogues import (
    DIVISIONS,
    MARKET_REGULATION,
    PUBLIC_SECURITY,
    YINCHUAN,
    keep,
)
from tests.gateways import NOW

TEXTS = ("k1", "", "k", "K1", "张三", "张", "k1 ", "é", "e\u0301", "👨‍👩‍👧", "𠀀", "～", "640105", "640121001",
         "640199", "%_", "*", "a@b@c.cn", "13800000001", "'\"\\\n", "k1\u2028x" * 9)  # fmt: skip
LINKS = ("code", "ref", "link")
JOINED = {
    ScalarType.TEXT: ("k1", "k2", "张三", "", "é", "k3", "K1", "k1 ", "👨‍👩‍👧"),
    ScalarType.INTEGER: (1, 2, -1, 2**31 - 1),
    ScalarType.LONG: (1, 2, 2**53 + 1, -(2**63)),
    ScalarType.DECIMAL: (Decimal("1.0"), Decimal("2.5")),
    ScalarType.DATE: (date(2024, 2, 29), date(1, 1, 1)),
    ScalarType.FLOAT: (0.0, -0.0, 0.1, 1e21),
    ScalarType.TIME: (time(8, 30), time(0, 0, 0, 1)),
    ScalarType.DATETIME: (datetime(2024, 2, 29, 8, tzinfo=UTC), datetime(1, 1, 3, tzinfo=UTC)),
    ScalarType.BOOLEAN: (True, False),
}
"""Values of link columns: few, so that rows do meet."""
POOLS: Mapping[ScalarType, Sequence[Any]] = {
    ScalarType.TEXT: TEXTS,
    ScalarType.BOOLEAN: (True, False),
    ScalarType.INTEGER: (0, 1, -1, 7, 2**31 - 1, -(2**31)),
    ScalarType.LONG: (0, 1, -1, 2**53, 2**53 + 1, 2**63 - 1, -(2**63)),
    ScalarType.DECIMAL: tuple(
        map(
            Decimal, ("0", "1.5", "-1.50000", "0.1", "99999999999999999999.99", "1E-20", "0.3", "0.000001", "-0.000003")
        )
    ),
    ScalarType.FLOAT: (0.0, -0.0, 1.5, -1.5, 0.1, 1 / 3, 1.7e308, -1e300, 5e-324, 2.0**53, 1e21),
    ScalarType.DATE: (date(2024, 2, 29), date(1, 1, 1), date(9999, 12, 31), date(1900, 2, 28)),
    ScalarType.TIME: (time(8, 30), time(0, 0), time(23, 59, 59, 999999), time(0, 0, 0, 1)),
    ScalarType.DATETIME: (
        datetime(2024, 2, 29, 8, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(1, 1, 3, tzinfo=UTC),
        datetime(9999, 12, 30, 23, 59, 59, 999999, tzinfo=UTC),
    ),
    ScalarType.GEOMETRY: ({"type": "Point", "coordinates": [106.23, 38.48]}, {"type": "Point", "coordinates": []}),
}
MASKS = (
    keep("middle", 1, 1),
    NamedMask("first", Mask(MaskKind.FIRST)),
    NamedMask("domain", Mask(MaskKind.DOMAIN)),
    NamedMask("region", Mask(MaskKind.REGION, 2)),
    NamedMask("alias", Mask(MaskKind.PSEUDONYM)),
    NamedMask("none", Mask(MaskKind.REDACT)),
)
DIVISIONS_BY_CODE = {division.code: division for division in DIVISIONS}
XIXIA = Department("11640105MB1A00006N", "xixia-data", "西夏区数据局", "Xixia", Level.COUNTY, "640105")
ASKING = (YINCHUAN, PUBLIC_SECURITY, XIXIA, MARKET_REGULATION)
OF_DEPARTMENTS = (YINCHUAN.code, XIXIA.code, YINCHUAN.division, XIXIA.division, "640121001")
"""Texts that scopes may compare with an attribute of who asks."""
DAY = timedelta(days=1)
MIDNIGHT = NOW.replace(hour=16)
"""The end of a day of Asia/Shanghai."""


def operands(item: Item) -> Sequence[Any]:
    """Values to compare an item with: mostly such as its column has."""
    return JOINED[item.type] if item.graphql in LINKS else POOLS[item.type]
