"""In charge of the words that stand in columns with lists, of the guide and of everyday files."""

import re
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from tanglai.catalogue.guide.columns import folded
from tanglai.catalogue.model import BasisType, Content, ShareClass, UpdateCycle, Zone
from tanglai.catalogue.scalars import ScalarType

SHARE_CLASSES = MappingProxyType(
    {
        "无条件共享": ShareClass.UNCONDITIONAL,
        "有条件共享": ShareClass.CONDITIONAL,
        "不予共享": ShareClass.NOT_SHARED,
    }
)
CYCLES = MappingProxyType(
    {
        "实时": UpdateCycle.REAL_TIME,
        "每日": UpdateCycle.DAILY,
        "每周": UpdateCycle.WEEKLY,
        "每月": UpdateCycle.MONTHLY,
        "每季度": UpdateCycle.QUARTERLY,
        "每年": UpdateCycle.YEARLY,
        "不定期": UpdateCycle.IRREGULAR,
    }
)
TYPES = MappingProxyType(
    {
        "字符型": ScalarType.TEXT,
        "数值型": ScalarType.DECIMAL,
        "整型": ScalarType.INTEGER,
        "长整型": ScalarType.LONG,
        "浮点型": ScalarType.FLOAT,
        "日期型": ScalarType.DATE,
        "时间型": ScalarType.TIME,
        "日期时间型": ScalarType.DATETIME,
        "逻辑型": ScalarType.BOOLEAN,
        "空间型": ScalarType.GEOMETRY,
    }
)
ZONES = MappingProxyType({"政务外网": Zone.EXTRANET, "政务内网": Zone.INTRANET})
NATURES = MappingProxyType({"基本项": True, "业务项": False})
YES_NO = MappingProxyType({"是": True, "否": False})
CONTENTS = MappingProxyType(
    {
        "身份号码": Content.IDENTITY_NUMBER,
        "统一社会信用代码": Content.CREDIT_CODE,
        "姓名": Content.NAME,
        "手机号": Content.MOBILE,
        "地址": Content.ADDRESS,
        "电子邮箱": Content.EMAIL,
        "银行账号": Content.BANK_ACCOUNT,
        "出生日期": Content.BIRTH_DATE,
        "出生年份": Content.BIRTH_YEAR,
        "性别": Content.SEX,
        "行政区划": Content.DIVISION,
    }
)
BASES = MappingProxyType(
    {
        "法律": BasisType.LAW,
        "行政法规": BasisType.ADMINISTRATIVE_REGULATION,
        "中央政策": BasisType.CENTRAL_POLICY,
    }
)

LISTS: Mapping[str, Mapping[str, object]] = MappingProxyType(
    {
        "share_class": SHARE_CLASSES,
        "item_class": SHARE_CLASSES,
        "cycle": CYCLES,
        "type": TYPES,
        "handle_type": TYPES,
        "zone": ZONES,
        "nature": NATURES,
        "key": YES_NO,
        "nullable": YES_NO,
        "content": CONTENTS,
    }
)
"""Columns whose cells hold one word of a list: column key -> word as the template writes it -> value."""

_OTHERS: Mapping[str, tuple[tuple[str, object], ...]] = {
    "share_class": (
        ("无条件 无条件共享类", ShareClass.UNCONDITIONAL),
        ("有条件 有条件共享类", ShareClass.CONDITIONAL),
        ("不予 不共享 不予共享类", ShareClass.NOT_SHARED),
    ),
    "cycle": (
        ("实时更新 准实时", UpdateCycle.REAL_TIME),
        ("每天 日 按日 每日更新", UpdateCycle.DAILY),
        ("周 按周 每星期 每周更新", UpdateCycle.WEEKLY),
        ("月 按月 每个月 每月更新", UpdateCycle.MONTHLY),
        ("季 季度 每季 按季 按季度 每季度更新", UpdateCycle.QUARTERLY),
        ("年 年度 每年度 按年 每年更新", UpdateCycle.YEARLY),
        ("不定期更新 不定时 按需 其他", UpdateCycle.IRREGULAR),
    ),
    "type": (  # the single letters are the guide's
        ("字符 字符串 字符串型 文本 文本型 备注型 c m", ScalarType.TEXT),
        ("varchar varchar2 nvarchar char string text clob", ScalarType.TEXT),
        ("数值 数字 数字型 货币型 金额 n y number numeric decimal", ScalarType.DECIMAL),
        ("整数 整数型 i int integer", ScalarType.INTEGER),
        ("长整数 长整数型 long bigint", ScalarType.LONG),
        ("双精度型 双精度 浮点 b f float double", ScalarType.FLOAT),
        ("日期 d date", ScalarType.DATE),
        ("时间 time", ScalarType.TIME),
        ("日期时间 时间日期型 时间戳 t datetime timestamp", ScalarType.DATETIME),
        ("逻辑 布尔 布尔型 l boolean bool", ScalarType.BOOLEAN),
        ("空间 地理信息 geometry", ScalarType.GEOMETRY),
    ),
    "zone": (("外网 电子政务外网", Zone.EXTRANET), ("内网 电子政务内网", Zone.INTRANET)),
    "nature": (("基本 基础项 基本信息项", True), ("业务 业务信息项", False)),
    "key": (("y yes √ 1 主键 true", True), ("n no 0 × false", False)),
    "content": (
        ("身份证号 身份证号码 公民身份号码", Content.IDENTITY_NUMBER),
        ("手机号码", Content.MOBILE),
        ("住址", Content.ADDRESS),
    ),
}
"""What else is written: words of one value, apart by spaces."""
_ALIKE = {"item_class": "share_class", "handle_type": "type", "nullable": "key"}


def _read_words() -> dict[str, dict[str, object]]:
    tables: dict[str, dict[str, object]] = {}
    for key, words in LISTS.items():
        table: dict[str, object] = {folded(str(value)): value for value in words.values() if isinstance(value, StrEnum)}
        for others, value in _OTHERS.get(_ALIKE.get(key, key), ()):
            table |= {folded(word): value for word in others.split()}
        tables[key] = table | {folded(word): value for word, value in words.items()}
    return tables


_READ = _read_words()
_LETTER = re.compile(r"^(.+?)([a-z])$")


def word_of(key: str, text: str) -> object | None:
    """The value that `text` means in column `key`, None where it is none of its words.

    What stands in brackets does not count: `字符型(50)` is a text. The guide's letters may follow: `字符型C`.
    """
    plain = folded(text)
    found = _READ[key].get(plain)
    if found is None and key in ("type", "handle_type") and (match := _LETTER.match(plain)):
        found = _READ[key].get(match[1])
    return found
