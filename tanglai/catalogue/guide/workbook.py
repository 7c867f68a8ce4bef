"""In charge of XLSX files as rows of plain values: within bounds, without formulas, links or entities."""

import warnings
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from io import BytesIO
from typing import Any, TypeAlias

from openpyxl import load_workbook
from openpyxl.utils.cell import range_boundaries
from openpyxl.worksheet._reader import FORMULA_TAG, ROW_TAG, WorkSheetParser
from openpyxl.xml.constants import SHEET_MAIN_NS
from openpyxl.xml.functions import iterparse  # defusedxml's: a document type is refused

MAX_BYTES = 32 * 1024 * 1024
MAX_UNPACKED = 256 * 1024 * 1024
MAX_PARTS = 4_000
MAX_SHEETS = 100
MAX_ROWS = 200_000
"""Rows with something in them, of all sheets together."""
MAX_COLUMNS = 256
MAX_CELLS = 5_000_000
"""Cells with something in them, of all sheets together."""
MAX_MERGES = 100_000
MAX_ROW_NUMBER = 1_048_576
MAX_CELL = 32_767
"""Characters of a cell; what a spreadsheet program can hold."""

Value: TypeAlias = str | int | float | bool | date | datetime | time | timedelta
_MERGE = f"{{{SHEET_MAIN_NS}}}mergeCell"
_OLD = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


class WorkbookError(ValueError):
    """A file that is no workbook within the bounds. `message_zh` says the same in Chinese."""

    def __init__(self, message: str, message_zh: str) -> None:
        super().__init__(message, message_zh)
        self.message = message
        self.message_zh = message_zh

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True, slots=True)
class Uncalculated:
    """A cell with a formula whose result the file does not hold; formulas are never calculated here."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A cell that shows an error, such as `#REF!`."""

    text: str


Cell: TypeAlias = Value | Uncalculated | Broken


@dataclass(frozen=True, slots=True)
class Merge:
    """Cells shown as one. All numbers count from 1, the last ones included."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(slots=True)
class Sheet:
    """One sheet. `rows`: row number -> column number -> value, both from 1, without what is empty."""

    title: str
    hidden: bool
    rows: dict[int, dict[int, Cell]] = field(default_factory=dict)
    merges: tuple[Merge, ...] = ()


def read_workbook(content: bytes) -> list[Sheet]:
    """The sheets of an XLSX file, in its order. Raises WorkbookError and nothing else."""
    _require_archive(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # openpyxl tells of styles and extensions that it leaves out
            return _sheets(content)
    except WorkbookError:
        raise
    except Exception as error:  # openpyxl and its parsers raise anything on a damaged file
        raise WorkbookError("the file is damaged: save it anew as XLSX", "文件已损坏，请重新另存为 XLSX") from error


def _require_archive(content: bytes) -> None:
    """Nothing for an archive within bounds. Looks at its directory alone: zipfile unpacks no more than is declared."""
    if len(content) > MAX_BYTES:
        megabytes = MAX_BYTES // 1024**2
        raise WorkbookError(f"more than {megabytes} MiB", f"文件超过 {megabytes} MiB")
    if content.startswith(_OLD):
        raise WorkbookError(
            "the file is of the old form XLS, or has a password: save it as XLSX without one",
            "文件为旧版 XLS 格式或设有密码，请另存为不加密的 XLSX",
        )
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            parts = archive.infolist()
            names = {part.filename for part in parts}
    except Exception as error:  # zipfile raises more than BadZipFile on what is none
        raise WorkbookError("not an XLSX file", "不是 XLSX 文件") from error
    if "[Content_Types].xml" not in names:
        raise WorkbookError("not an XLSX file", "不是 XLSX 文件")
    if len(parts) > MAX_PARTS or len(names) < len(parts):
        raise WorkbookError(f"more than {MAX_PARTS} parts, or two of one name", "文件内部结构异常")
    if any(part.flag_bits & 1 for part in parts):
        raise WorkbookError("the file has a password", "文件设有密码")
    if sum(part.file_size for part in parts) > MAX_UNPACKED:
        megabytes = MAX_UNPACKED // 1024**2
        raise WorkbookError(f"unpacked more than {megabytes} MiB", f"解压后超过 {megabytes} MiB")


def _sheets(content: bytes) -> list[Sheet]:
    book = load_workbook(BytesIO(content), read_only=True, data_only=True, keep_links=False)
    try:
        if len(book.worksheets) > MAX_SHEETS:
            raise WorkbookError(f"more than {MAX_SHEETS} sheets", f"工作表超过 {MAX_SHEETS} 个")
        sheets: list[Sheet] = []
        left = _Left()
        for worksheet in book.worksheets:
            sheets.append(_sheet(worksheet, left))
        return sheets
    finally:
        book.close()


@dataclass(slots=True)
class _Left:
    """What a workbook may still hold."""

    rows: int = field(default_factory=lambda: MAX_ROWS)
    cells: int = field(default_factory=lambda: MAX_CELLS)

    def take(self, cells: int) -> None:
        """A row with so many cells. Raises WorkbookError."""
        self.rows -= 1
        self.cells -= cells
        if self.rows < 0:
            raise WorkbookError(f"more than {MAX_ROWS:,} rows", f"超过 {MAX_ROWS:,} 行")
        if self.cells < 0:
            raise WorkbookError(f"more than {MAX_CELLS:,} cells", f"超过 {MAX_CELLS:,} 个单元格")


class _Parser(WorkSheetParser):
    """Cells with their results. A formula without one is told, since it would look like an empty cell."""

    def parse_cell(self, element: Any) -> dict[str, Any]:
        cell: dict[str, Any] = super().parse_cell(element)
        if cell["data_type"] == "e":
            cell["value"] = Broken(str(cell["value"]))
        elif cell["value"] is None and element.find(FORMULA_TAG) is not None:
            cell["value"] = Uncalculated()
        return cell


def _sheet(worksheet: Any, left: _Left) -> Sheet:
    # Of the part only rows and merged cells are looked at: what else a program writes there, often wrongly, is skipped.
    book = worksheet.parent
    sheet = Sheet(worksheet.title, worksheet.sheet_state != "visible")
    merges: list[Merge] = []
    with worksheet._get_source() as source:
        parser = _Parser(
            source,
            worksheet._shared_strings,
            data_only=True,
            epoch=book.epoch,
            date_formats=book._date_formats,
            timedelta_formats=book._timedelta_formats,
        )
        for _, element in iterparse(source):
            if element.tag == ROW_TAG:
                number, cells = parser.parse_row(element)
                element.clear()
                values = _values(cells)
                if values and 1 <= number <= MAX_ROW_NUMBER:
                    left.take(len(values))
                    sheet.rows[number] = values
            elif element.tag == _MERGE:
                merges.append(_merge(element.get("ref", "")))
                if len(merges) > MAX_MERGES:
                    raise WorkbookError(f"more than {MAX_MERGES:,} merged cells", f"合并单元格超过 {MAX_MERGES:,} 个")
    sheet.rows = dict(sorted(sheet.rows.items()))
    sheet.merges = tuple(merges)
    return sheet


def _values(cells: Iterable[Mapping[str, Any]]) -> dict[int, Cell]:
    values: dict[int, Cell] = {}
    for cell in cells:
        value, column = cell["value"], cell["column"]
        if column > MAX_COLUMNS or value is None:
            continue
        if isinstance(value, str):
            value = value[: MAX_CELL + 1]  # the one more tells that there was more
            if not value.strip():
                continue
        elif not isinstance(value, bool | int | float | date | time | timedelta | Uncalculated | Broken):
            value = str(value)[: MAX_CELL + 1]
        values[column] = value
    return values


def _merge(reference: str) -> Merge:
    left, top, right, bottom = range_boundaries(reference)
    return Merge(left or 1, top or 1, right or MAX_COLUMNS, bottom or MAX_ROW_NUMBER)
