"""In charge of spreadsheets in tests: workbooks as departments make them, with the guide's columns.

content = workbook(*resource_rows("301/7", "居住证", "姓名", "号码"))
"""

from collections.abc import Sequence
from io import BytesIO
from typing import Any

from openpyxl import Workbook

GUIDE = (
    *("信息资源分类", "信息资源名称", "信息资源代码", "信息资源提供方", "信息资源提供方代码", "信息资源摘要"),
    *("信息资源格式", "信息项名称", "数据类型", "共享类型", "共享条件", "共享方式", "开放属性", "更新周期"),
    *("发布日期", "关联资源代码"),
)
"""The guide's columns, in its order."""


def resource_rows(
    code: str,
    title: str,
    *items: str,
    provider: str = "公安厅",
    share: str = "有条件共享",
    condition: str | None = "因履行职责需要申请",
    **changes: Any,
) -> list[list[Any]]:
    """The rows of one resource, its own columns in the first one alone. `changes` by header."""
    own = {
        "信息资源分类": code.partition("/")[0],
        "信息资源名称": title,
        "信息资源代码": code,
        "信息资源提供方": provider,
        "信息资源摘要": f"{title}的概要",
        "信息资源格式": "数据库表",
        "共享类型": share,
        "共享条件": condition,
        "共享方式": "接口",
        "开放属性": "不予开放",
        "更新周期": "每日",
        "发布日期": "2026-01-01",
    } | changes
    rows = []
    for number, item in enumerate(items):
        row: dict[str, Any] = (own if number == 0 else {}) | {"信息项名称": item, "数据类型": "字符型"}
        rows.append([row.get(header) for header in GUIDE])
    return rows


def workbook(*rows: Sequence[Any], header: Sequence[Any] = GUIDE, title: str = "目录") -> bytes:
    """A workbook of one sheet with `header` in its first row."""
    book = Workbook()
    sheet = book.worksheets[0]
    sheet.title = title
    sheet.append(list(header))
    for row in rows:
        sheet.append(list(row))
    return saved(book)


def saved(book: Workbook) -> bytes:
    stream = BytesIO()
    book.save(stream)
    return stream.getvalue()
