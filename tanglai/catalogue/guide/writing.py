"""In charge of writing the catalogue as the guide's spreadsheet, and the empty one that departments fill in."""

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from io import BytesIO
from typing import Any

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.datavalidation import DataValidation

from tanglai.catalogue.checks_register import BRANCH_DIGITS
from tanglai.catalogue.documents import resource_to_document
from tanglai.catalogue.guide.bases import write_basis
from tanglai.catalogue.guide.columns import COLUMNS, Column, Level
from tanglai.catalogue.guide.sheets import HELP_SHEET, LIST_SHEET
from tanglai.catalogue.guide.words import CONTENTS, CYCLES, LISTS, SHARE_CLASSES, TYPES, ZONES
from tanglai.catalogue.model import Branch, Resource, Snapshot

SHEET = "目录"
_VALIDATED = 5_000
"""Rows of the template with lists to choose from."""
_GUIDE_FILL = PatternFill("solid", fgColor="DDEBF7")
_OWN_FILL = PatternFill("solid", fgColor="EDEDED")
_CLASS_WORDS = {value.value: word for word, value in SHARE_CLASSES.items()}
_CYCLE_WORDS = {value.value: word for word, value in CYCLES.items()}
_TYPE_WORDS = {value.value: word for word, value in TYPES.items()}
_ZONE_WORDS = {value.value: word for word, value in ZONES.items()}
_CONTENT_WORDS = {value.value: word for word, value in CONTENTS.items()}
_APART = frozenset(";；=＝:：\n")


def write_guide(snapshot: Snapshot, resources: Iterable[Resource]) -> bytes:
    """`resources` as XLSX: a row per item, the resource's columns repeated.

    What no column holds (masks, relations, options ...) is not in the file; read back over the published resources it
    stays as it was. Names come from `snapshot`.
    """
    return _book(_rows(snapshot, resources))


@lru_cache(maxsize=1)
def template(snapshot: Snapshot | None = None) -> bytes:
    """The spreadsheet to fill in: headers, lists to choose from, one example, and a sheet that says what goes where.

    With `snapshot`, the lists have its categories, departments and sources too. Made once for each snapshot.
    """
    first, *others = _EXAMPLE
    return _book([first | _example_code(snapshot), *others], snapshot, lists=True)


def _example_code(snapshot: Snapshot | None) -> dict[str, str]:
    """Category and code of the example: of a department's category that there is."""
    digit = BRANCH_DIGITS[Branch.DEPARTMENTAL]
    codes = [code for code in snapshot.categories if code.startswith(digit)] if snapshot is not None else []
    category = min(codes, key=lambda code: (-len(code), code), default=_EXAMPLE[0]["category"])
    return {"category": category, "code": f"{category}/9001"}


def _book(rows: Iterable[Mapping[str, str]], snapshot: Snapshot | None = None, *, lists: bool = False) -> bytes:
    book = Workbook(write_only=True)
    sheet = book.create_sheet(SHEET)
    sheet.freeze_panes = "C2"
    for number, column in enumerate(COLUMNS, start=1):
        sheet.column_dimensions[get_column_letter(number)].width = column.width
    choices = _choices(snapshot)
    if lists:
        for validation in _validations(choices):
            sheet.data_validations.append(validation)
    sheet.append([_head(sheet, column) for column in COLUMNS])
    for row in rows:
        sheet.append([_text(sheet, row.get(column.key, "")) for column in COLUMNS])
    help_sheet = book.create_sheet(HELP_SHEET)
    for letter, width in zip("ABCD", (18, 26, 70, 70), strict=True):
        help_sheet.column_dimensions[letter].width = width
    for explained in _help():
        help_sheet.append([_text(help_sheet, part) for part in explained])
    if lists:
        list_sheet = book.create_sheet(LIST_SHEET)
        for line in _transposed([[title, *words] for title, words in choices.values()]):
            list_sheet.append([_text(list_sheet, part) for part in line])
    stream = BytesIO()
    book.save(stream)
    return stream.getvalue()


def _head(sheet: Any, column: Column) -> Any:
    cell = _text(sheet, column.title)
    cell.font = Font(bold=True)
    cell.fill = _GUIDE_FILL if column.guide else _OWN_FILL
    cell.alignment = Alignment(wrap_text=True, vertical="center")
    return cell


def _text(sheet: Any, value: str) -> Any:
    """A text cell: INVARIANT: never a formula, whatever the text begins with."""
    cell = WriteOnlyCell(sheet, value=None)
    if value:
        cell.value = value
        cell.data_type = "s"
        cell.number_format = "@"
    return cell


def _choices(snapshot: Snapshot | None) -> dict[str, tuple[str, list[str]]]:
    """What may stand in a column: column key -> header, words."""
    found = {column.key: (column.title, list(LISTS[column.key])) for column in COLUMNS if column.key in LISTS}
    if snapshot is not None:
        departments = sorted(department.name for department in snapshot.departments.values() if department.active)
        found["category"] = (
            "信息资源分类",
            [f"{c.code} {c.title}" for c in sorted(snapshot.categories.values(), key=lambda c: c.code)],
        )
        found["provider"] = ("提供方", departments)
        found["compiler"] = ("编制方", departments)
        found["source"] = ("数据源", sorted(snapshot.sources))
    return {key: value for key, value in found.items() if value[1]}


def _validations(choices: Mapping[str, tuple[str, list[str]]]) -> Iterator[DataValidation]:
    letters = {column.key: get_column_letter(number) for number, column in enumerate(COLUMNS, start=1)}
    for number, (key, (_, words)) in enumerate(choices.items(), start=1):
        letter = get_column_letter(number)
        validation = DataValidation(
            type="list", formula1=f"'{LIST_SHEET}'!${letter}$2:${letter}${len(words) + 1}", allow_blank=True
        )
        validation.showErrorMessage = key in LISTS
        validation.add(f"{letters[key]}2:{letters[key]}{_VALIDATED}")
        yield validation


def _transposed(columns: list[list[str]]) -> Iterator[list[str]]:
    for number in range(max((len(column) for column in columns), default=0)):
        yield [column[number] if number < len(column) else "" for column in columns]


def _help() -> Iterator[tuple[str, ...]]:
    yield ("列", "Column", "填写内容", "What goes there")
    for column in COLUMNS:
        mark, mark_en = ("必填。", "Needed: ") if column.needed else ("", "")
        level, level_en = ("", "") if column.level is Level.RESOURCE else ("每个信息项填写。", "for each item: ")
        yield (column.title, column.english, mark + level + column.help, mark_en + level_en + column.help_en)
    yield ()
    yield (
        "说明",
        "Notes",
        "每个信息项一行；资源的各列可逐行重复、合并单元格，或只填第一行。灰色表头为平台补充列，可不填，之后在平台上补充。",
        "A row for each item; a resource's columns are repeated, merged, or filled in its first row alone. "
        "Grey headers are the platform's: they may stay empty and be filled in on the platform.",
    )
    yield (
        "",
        "",
        "代码类单元格须设为文本格式。公式、图片、批注和隐藏的工作表不读取。示例行请删除。",
        "Cells of codes are of the format Text. Formulas, pictures, comments and hidden sheets are not read. "
        "Delete the rows of the example.",
    )


def _rows(snapshot: Snapshot, resources: Iterable[Resource]) -> Iterator[dict[str, str]]:
    for resource in resources:
        document = resource_to_document(resource)
        own = _of_resource(snapshot, document)
        first_key = set(document["keys"][0]) if "keys" in document else set()
        for item in document["items"]:
            yield own | _of_item(item, first_key)


def _of_resource(snapshot: Snapshot, document: Mapping[str, Any]) -> dict[str, str]:
    names, handle = document["graphql"], document.get("handle") or {}
    compiler = document.get("compiler")
    provider = snapshot.departments.get(document["provider"])
    table = document["table"]
    return _filled(
        {
            "category": document["category"],
            "title": document["title"],
            "code": document["code"],
            "provider": provider.name if provider else None,
            "provider_code": document["provider"],
            "summary": document.get("summary"),
            "format": document.get("format"),
            "share_class": _CLASS_WORDS[document["shareClass"]],
            "condition": document.get("condition"),
            "method": document.get("sharingMethod"),
            "open": document.get("openAttribute"),
            "cycle": _CYCLE_WORDS[document["updateCycle"]],
            "published": (document.get("publishedAt") or "")[:10],
            "related": "、".join(document.get("related", ())),
            "compiler": compiler,
            "zone": _ZONE_WORDS[document["zone"]],
            "group": names["group"],
            "list": names["list"],
            "one": names["one"],
            "kind": names["type"],
            "source": document["source"],
            "table": table if isinstance(table, str) else None,
            "handle": handle.get("column"),
            "handle_type": _TYPE_WORDS.get(handle.get("type", "")),
            "basis": write_basis(document.get("legalBasis")),
        }
    )


def _of_item(item: Mapping[str, Any], key: set[str]) -> dict[str, str]:
    column = item["column"]
    return _filled(
        {
            "item": item["title"],
            "type": _TYPE_WORDS[item["type"]],
            "name": item["name"],
            "column": column if isinstance(column, str) else column["name"],
            "item_class": _CLASS_WORDS.get(item.get("shareClass", "")),
            "item_condition": item.get("condition"),
            "item_basis": write_basis(item.get("legalBasis")),
            "nature": None if item.get("basic", True) else "业务项",
            "business_reason": item.get("businessReason"),
            "description": item.get("description"),
            "element": item.get("dataElement"),
            "key": "是" if item["name"] in key else None,
            "nullable": None if item.get("nullable", True) else "否",
            "content": _CONTENT_WORDS.get(item.get("content", "")),
            "codes": _codes(item.get("codes", ())),
        }
    )


def _codes(codes: Iterable[Mapping[str, str]]) -> str | None:
    """A code list on one line; None where one of its texts holds what it is taken apart by, or it is too long."""
    parts = [(code["value"], code["title"]) for code in codes]
    text = "；".join(f"{value}={title}" for value, title in parts)
    whole = all(part.strip() == part and not _APART & set(part) for pair in parts for part in pair)
    return text if whole and len(text) <= 30_000 else None


def _filled(values: Mapping[str, str | None]) -> dict[str, str]:
    return {key: value for key, value in values.items() if value}


_EXAMPLE: tuple[dict[str, str], ...] = (
    {
        "category": "301010",
        "title": "示例：居住证办理信息",
        "code": "301010/9001",
        "provider": "（填写本部门全称）",
        "summary": "居住证办理的基本情况。",
        "format": "数据库表",
        "item": "办理编号",
        "type": "字符型",
        "share_class": "有条件共享",
        "condition": "因履行职责需要，说明依据、用途、范围和期限后申请。",
        "method": "接口",
        "open": "不予开放",
        "cycle": "每日",
        "published": "2026-01-01",
        "name": "permitNumber",
        "key": "是",
        "nullable": "否",
    },
    {"item": "姓名", "type": "字符型", "name": "name", "content": "姓名"},
    {"item": "办理日期", "type": "日期型", "name": "issuedOn"},
)
