"""In charge of the columns of the catalogue guide's spreadsheet (2017) and of what else they are called."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Level(StrEnum):
    """What a column is about. Those of a resource stand once, merged, blank or repeated over its items' rows."""

    RESOURCE = "RESOURCE"
    ITEM = "ITEM"


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `key` names it in the program, `title` in the spreadsheet; `guide`: the guide of 2017 has it.

    `aliases` are other headers in use; spaces, line breaks, brackets and the words of `_PREFIX` do not count in them.
    `needed`: without it a resource cannot become a draft. `help` says what stands in it, for the template.
    """

    key: str
    title: str
    english: str
    level: Level
    guide: bool
    aliases: tuple[str, ...] = ()
    needed: bool = False
    width: int = 14
    help: str = ""
    help_en: str = ""


def _guide(key: str, title: str, english: str, level: Level = Level.RESOURCE, **more: object) -> Column:
    return Column(key, title, english, level, True, **more)  # type: ignore[arg-type]


def _platform(key: str, title: str, english: str, level: Level = Level.RESOURCE, **more: object) -> Column:
    return Column(key, title, english, level, False, **more)  # type: ignore[arg-type]


COLUMNS: tuple[Column, ...] = (
    _guide(
        "category",
        "信息资源分类",
        "classification",
        aliases=("分类", "分类代码", "资源分类", "目录分类", "分类编码", "信息资源分类代码"),
        width=16,
        help="类、项、目、细目的代码连写，如 1010101；也可写“1010101 户籍人口”。1 基础，2 主题，3 部门。",
        help_en="code of the category: 1 basic, 2 thematic, 3 departmental, then two, three and more digits",
    ),
    _guide(
        "title",
        "名称",
        "name",
        aliases=("资源名称", "目录名称", "信息资源中文名称"),
        needed=True,
        width=24,
        help="信息资源的标题。",
        help_en="title of the resource",
    ),
    _guide(
        "code",
        "代码",
        "code",
        aliases=("资源代码", "目录代码", "目录编码", "编码", "资源编码", "信息资源编码", "信息资源标识符"),
        needed=True,
        width=18,
        help="分类代码/顺序号，如 1010101/1。单元格须为文本格式。",
        help_en="category code, a slash, a number; a text cell, lest the spreadsheet makes a number or a date of it",
    ),
    _guide(
        "provider",
        "提供方",
        "provider",
        aliases=("提供部门", "提供单位", "资源提供方", "资源提供部门", "责任部门"),
        width=24,
        help="提供部门的全称，须与平台登记一致。",
        help_en="full name of the providing department, as registered",
    ),
    _guide(
        "provider_code",
        "提供方代码",
        "provider code",
        aliases=("统一社会信用代码", "提供单位代码", "提供部门代码", "提供方统一社会信用代码", "提供方编码"),
        width=22,
        help="提供方的统一社会信用代码，18 位，文本格式。",
        help_en="its unified social credit code, 18 characters, a text cell",
    ),
    _guide(
        "summary",
        "摘要",
        "summary",
        aliases=("资源摘要", "简介", "资源描述", "描述"),
        width=32,
        help="信息资源内容的概要。",
        help_en="what the resource holds",
    ),
    _guide(
        "format",
        "格式",
        "format",
        aliases=("资源格式", "格式分类", "信息资源格式分类"),
        help="如 数据库表、电子文件、接口。",
        help_en="database table, file, interface ...",
    ),
    _guide(
        "item",
        "信息项名称",
        "item name",
        Level.ITEM,
        aliases=("信息项", "数据项", "数据项名称", "字段中文名", "字段名称", "信息项中文名", "信息项中文名称"),
        needed=True,
        width=18,
        help="每个信息项一行。",
        help_en="one row for each item",
    ),
    _guide(
        "type",
        "数据类型",
        "data type",
        Level.ITEM,
        aliases=("类型", "信息项类型", "字段类型", "信息项数据类型", "数据项类型"),
        needed=True,
        help="字符型、数值型、整型、长整型、浮点型、日期型、时间型、日期时间型、逻辑型、空间型，或其字母代码。",
        help_en="text, decimal, integer, long, float, date, time, date and time, boolean, geometry",
    ),
    _guide(
        "share_class",
        "共享类型",
        "share class",
        aliases=("共享类别", "共享属性", "资源共享类型", "共享属性共享类型"),
        needed=True,
        help="无条件共享、有条件共享、不予共享（第九条）。各信息项不同的，逐行填写。",
        help_en="the class of Art. 9; where items differ, row by row",
    ),
    _guide(
        "condition",
        "共享条件",
        "share condition",
        aliases=("共享范围", "共享条件说明"),
        width=28,
        help="有条件共享的条件；不予共享的依据，写作《……》第……条（第十条）。",
        help_en="the condition; for what is not shared its legal basis",
    ),
    _guide(
        "method",
        "共享方式",
        "share method",
        aliases=("共享方式类型", "共享方式分类", "提供方式"),
        help="如 接口、数据库、文件。",
        help_en="interface, database, file ...",
    ),
    _guide(
        "open",
        "开放属性",
        "open attribute",
        aliases=("是否向社会开放", "是否开放", "社会开放属性", "开放类型"),
        help="是否向社会开放，及开放条件。",
        help_en="whether it is open to the public",
    ),
    _guide(
        "cycle",
        "更新周期",
        "update cycle",
        aliases=("更新频率", "更新频度"),
        needed=True,
        help="实时、每日、每周、每月、每季度、每年、不定期。",
        help_en="real time, daily, weekly, monthly, quarterly, yearly, irregular",
    ),
    _guide(
        "published",
        "发布日期",
        "publish date",
        aliases=("发布时间",),
        help="如 2017-07-01。平台在发布时自行记录，此处仅作核对。",
        help_en="checked and not kept: the platform stamps the moment of publication",
    ),
    _guide(
        "related",
        "关联资源代码",
        "related resource codes",
        aliases=("关联信息资源代码", "关联资源", "关联资源编码", "关联信息资源", "关联目录代码"),
        width=18,
        help="相关信息资源的代码，多个用顿号隔开。",
        help_en="codes of related resources, several with commas between",
    ),
    # What the guide has no column for. All are optional; in a file without them an entry is completed on the platform.
    _platform(
        "compiler",
        "编制方",
        "compiler",
        aliases=("牵头部门", "编制部门"),
        width=20,
        help="基础、主题信息资源的牵头部门（第十条）；不填则为导入的部门。",
        help_en="lead department of a basic or thematic resource; left out: the importing one",
    ),
    _platform(
        "zone",
        "网络区域",
        "zone",
        aliases=("所在网络", "网络"),
        help="政务外网、政务内网；不填则为本节点所在网络。",
        help_en="extranet or intranet; left out: the zone of the node",
    ),
    _platform(
        "group",
        "GraphQL分组",
        "GraphQL group",
        help="小驼峰英文名，如 population。",
        help_en="camel case, as `population`",
    ),
    _platform(
        "list",
        "GraphQL列表",
        "GraphQL list",
        help="小驼峰英文复数，如 residents。",
        help_en="camel case plural, as `residents`",
    ),
    _platform(
        "one", "GraphQL单条", "GraphQL one", help="小驼峰英文单数，如 resident。", help_en="camel case, as `resident`"
    ),
    _platform(
        "kind", "GraphQL类型", "GraphQL type", help="大驼峰英文名，如 Resident。", help_en="pascal case, as `Resident`"
    ),
    _platform(
        "source",
        "数据源",
        "source",
        aliases=("数据源标识",),
        help="平台登记的数据源标识，如 population。",
        help_en="key of a registered source",
    ),
    _platform(
        "table",
        "表",
        "table",
        aliases=("表名", "数据表"),
        width=20,
        help="如 population.resident 或 licences.parquet。",
        help_en="table, view, file or endpoint of the source",
    ),
    _platform(
        "handle",
        "行标识",
        "row handle",
        help="唯一、非空、本身不含信息的列。",
        help_en="a unique, not null column that carries no information",
    ),
    _platform(
        "handle_type", "行标识类型", "row handle type", help="行标识的数据类型。", help_en="data type of the row handle"
    ),
    _platform(
        "basis",
        "共享依据",
        "legal basis",
        aliases=("不予共享依据", "依据"),
        width=28,
        help="不予共享的依据：法律、行政法规或中央政策，写作 法律《……》第……条（第十条第一项）。",
        help_en="what forbids sharing: law, administrative regulation or central policy, its title and article",
    ),
    _platform(
        "name",
        "信息项英文名",
        "item name in English",
        Level.ITEM,
        aliases=("英文名", "字段英文名", "数据项英文名", "英文名称"),
        help="小驼峰英文名，如 idNumber。",
        help_en="camel case, as `idNumber`",
    ),
    _platform(
        "column",
        "字段",
        "column",
        Level.ITEM,
        aliases=("字段名", "列名"),
        help="数据源中的列名。",
        help_en="column of the table",
    ),
    _platform(
        "item_class",
        "信息项共享类型",
        "share class of the item",
        Level.ITEM,
        help="与资源的共享类型不同时填写。",
        help_en="where it is not the resource's",
    ),
    _platform(
        "item_condition",
        "信息项共享条件",
        "share condition of the item",
        Level.ITEM,
        width=24,
        help="该信息项自己的共享条件。",
        help_en="the item's own condition",
    ),
    _platform(
        "item_basis",
        "信息项共享依据",
        "legal basis of the item",
        Level.ITEM,
        width=24,
        help="该信息项自己的不予共享依据。",
        help_en="the item's own legal basis",
    ),
    _platform(
        "nature",
        "信息项性质",
        "basic or business item",
        Level.ITEM,
        help="基础信息资源：基本项、业务项（第十条第二项）。",
        help_en="of a base library: basic or business item",
    ),
    _platform(
        "business_reason",
        "业务项理由",
        "why a business item",
        Level.ITEM,
        width=24,
        help="业务项须说明理由。",
        help_en="why it is not a basic item",
    ),
    _platform(
        "description",
        "信息项说明",
        "description",
        Level.ITEM,
        aliases=("信息项描述",),
        width=24,
        help="补充说明。",
        help_en="more about it",
    ),
    _platform(
        "element",
        "数据元",
        "data element",
        Level.ITEM,
        aliases=("数据元标识",),
        help="数据元标识符。",
        help_en="identifier of its data element",
    ),
    _platform(
        "key",
        "主键",
        "key",
        Level.ITEM,
        aliases=("是否主键",),
        help="是 表示属于主键。",
        help_en="yes: part of the key",
    ),
    _platform(
        "nullable",
        "可否为空",
        "nullable",
        Level.ITEM,
        aliases=("是否为空", "是否可空"),
        help="是、否。",
        help_en="yes or no",
    ),
    _platform(
        "content",
        "敏感内容",
        "content",
        Level.ITEM,
        help="身份号码、姓名、手机号等，供脱敏判断。",
        help_en="what it tells of somebody, by which masks are judged",
    ),
    _platform(
        "codes",
        "代码表",
        "code list",
        Level.ITEM,
        width=24,
        help="如 1=男；2=女。",
        help_en="value=title, semicolons between",
    ),
)

BY_KEY: Mapping[str, Column] = MappingProxyType({column.key: column for column in COLUMNS})

EXTRA: Mapping[str, str] = MappingProxyType(
    {
        "格式类型": "format_kind",
        "信息资源格式类型": "format_kind",
        "开放条件": "open_condition",
        "是否涉密": "secrecy",
        "涉密": "secrecy",
        "密级": "secrecy",
        "涉密级别": "secrecy",
    }
)
"""Headers that no column of the template has, but that are read: parts of 格式 and 开放属性, and flags of secrecy."""

PASSED_OVER = frozenset({"序号", "编号", "行号", "no", "no."})
"""Headers of columns that count the rows: passed over without a word."""

_PREFIX = re.compile(r"^(政务|政府|公共)?(信息|数据)资源(?!分类)|^资源(?=(名称|代码|编码|摘要|格式|提供方)$)")
_BRACKETS = re.compile(r"[(\[【〔].*?[)\]】〕]")
_NOISE = re.compile(r"[\s*:：、,.·_\-]+")


def folded(text: str) -> str:
    """`text` as headers and words of lists are compared: full width as half width, no spaces, brackets or marks."""
    plain = unicodedata.normalize("NFKC", text).lower()
    return _NOISE.sub("", _BRACKETS.sub("", plain)) or _NOISE.sub("", plain)


def _headers() -> dict[str, str]:
    found: dict[str, str] = {}
    for column in COLUMNS:
        for name in (column.title, *column.aliases, column.english):
            found.setdefault(folded(name), column.key)
    return found | {folded(name): key for name, key in EXTRA.items()}


_HEADERS = _headers()


def column_of(header: str) -> str | None:
    """The key of the column that `header` names, None for a header that is not known."""
    plain = folded(header)
    return _HEADERS.get(plain) or _HEADERS.get(_PREFIX.sub("", plain))
