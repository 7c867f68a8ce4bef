"""In charge of finding the table in a sheet: its header, in one row or several, and the rows, merged cells filled."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from tanglai.catalogue.guide.cells import plain
from tanglai.catalogue.guide.columns import COLUMNS, PASSED_OVER, column_of, folded
from tanglai.catalogue.guide.remarks import At, Remarks, quoted
from tanglai.catalogue.guide.workbook import Cell, Merge, Sheet, WorkbookError

LOOKED_AT = 40
"""Rows with something in them among which the header is looked for."""
FEWEST = 3
"""Columns that a row must have to be the header."""
MAX_FILLED = 3_000_000
"""Cells that merged ones may fill."""
HELP_SHEET = "填写说明"
LIST_SHEET = "选项"
"""Sheets of the template beside the one to fill in."""
_NOTES = ("注", "备注", "说明", "填表", "填报", "合计", "总计", "审核", "制表")


@dataclass(frozen=True, slots=True)
class Table:
    """The table of a sheet. `columns`: column number -> key; `rows` as in `Sheet`, filled, below the header."""

    sheet: str
    header: int
    columns: Mapping[int, str]
    rows: Mapping[int, Mapping[int, Cell]]

    @property
    def keys(self) -> frozenset[str]:
        return frozenset(self.columns.values())

    def values(self) -> Iterator[tuple[int, dict[str, Cell]]]:
        """Row number, and what stands in it by column key, without what is empty."""
        for number, row in self.rows.items():
            yield number, {key: row[column] for column, key in self.columns.items() if column in row}


def tables(sheets: list[Sheet], remarks: Remarks) -> list[Table]:
    """The tables of a workbook: of each sheet that has one. Raises WorkbookError for hostile merged cells."""
    found: list[Table] = []
    left = MAX_FILLED
    for sheet in sheets:
        at = At(remarks, sheet.title)
        if sheet.title in (HELP_SHEET, LIST_SHEET):
            continue
        if sheet.hidden:
            at.notice("", "file", "the sheet is hidden: not read", "工作表已隐藏，未读取")
            continue
        if not sheet.rows:
            continue
        filled, used = _filled(sheet, left)
        left -= used
        table = _table(sheet, filled, at)
        if table is None:
            at.notice(
                "", "file", "the sheet has no header of the guide: not read", "未找到编制指南规定的表头，未读取该工作表"
            )
        elif _complete(table, replace(at, row=table.header)):
            found.append(table)
    return found


def _filled(sheet: Sheet, left: int) -> tuple[dict[int, dict[int, Cell]], int]:
    """The rows with what merged cells show in each of their places, as far as there are rows, and how many places."""
    rows = {number: dict(row) for number, row in sheet.rows.items()}
    numbers = list(rows)
    used = 0
    for merge in sheet.merges:
        value = sheet.rows.get(merge.top, {}).get(merge.left)
        if value is None:
            continue
        start, end = bisect_left(numbers, merge.top), bisect_right(numbers, merge.bottom)
        width = merge.right - merge.left + 1
        used += (end - start) * width
        if used > left:
            raise WorkbookError("merged cells overlap too often", "合并单元格过多")
        for number in numbers[start:end]:
            for column in range(merge.left, merge.right + 1):
                rows[number].setdefault(column, value)
    return rows, used


def _table(sheet: Sheet, filled: dict[int, dict[int, Cell]], at: At) -> Table | None:
    header = next((n for n in list(filled)[:LOOKED_AT] if len(_known(sheet.rows[n])) >= FEWEST), None)
    if header is None:
        return None
    names = {column: _header(value) for column, value in filled[header].items()}
    below = list(filled)[list(filled).index(header) + 1 :]
    wide = [m for m in sheet.merges if m.top <= header <= m.bottom and m.right > m.left]
    start = 0
    while below[start : start + 1] and _continues(sheet, below[start]):
        for column, value in sheet.rows[below[start]].items():
            upper, lower = names.get(column, ""), _header(value)
            names[column] = lower if column_of(lower) else upper + lower
        start += 1
    if start == 0:
        names = {c: name for c, name in names.items() if not any(m.left < c <= m.right for m in wide)}
    columns = _columns(names, replace(at, row=header))
    notes = _wide_rows(sheet.merges, len(columns))
    rows = {number: filled[number] for number in below[start:] if not _is_aside(sheet, number, notes, at)}
    return Table(sheet.title, header, columns, rows)


def _header(value: Cell) -> str:
    return "".join(plain(value).split())


def _known(row: Mapping[int, Cell]) -> set[str]:
    return {key for value in row.values() if isinstance(value, str) and (key := column_of(value))}


def _continues(sheet: Sheet, number: int) -> bool:
    """Whether a row below the header goes on with it: nothing but headers stands there."""
    row = sheet.rows[number]
    return all(isinstance(value, str) and column_of(value) for value in row.values()) and bool(row)


def _columns(names: Mapping[int, str], at: At) -> dict[int, str]:
    columns: dict[int, str] = {}
    for number, name in sorted(names.items()):
        key = column_of(name)
        if key is None:
            if folded(name) not in PASSED_OVER:
                at.notice(
                    name[:100],
                    "document",
                    f"column {quoted(name)} is not known: not read",
                    f"列 {quoted(name)} 不在编制指南中，未读取",
                )
        elif key in columns.values():
            at.notice(
                name[:100],
                "document",
                f"column {quoted(name)} stands twice: the first is read",
                f"列 {quoted(name)} 重复，只读取第一列",
            )
        else:
            columns[number] = key
    return columns


def _complete(table: Table, at: At) -> bool:
    missing = [column for column in COLUMNS if column.needed and column.key not in table.keys]
    for column in missing:
        at.error(
            column.key,
            "document",
            f"the sheet has no column `{column.title}` ({column.english}): nothing of it is taken",
            f"工作表缺少“{column.title}”列，未导入",
        )
    return not missing


def _wide_rows(merges: tuple[Merge, ...], columns: int) -> set[int]:
    """Rows of which one merged cell takes more than half: titles and notes."""
    return {merge.top for merge in merges if merge.top == merge.bottom and 2 * (merge.right - merge.left + 1) > columns}


def _is_aside(sheet: Sheet, number: int, wide: set[int], at: At) -> bool:
    """Whether a row below the header is none of the table: the header once more, or a note."""
    row = sheet.rows[number]
    if len(_known(row)) >= FEWEST and len(_known(row)) * 2 > len(row):
        return True
    first = plain(next(iter(row.values()))).strip()
    if len(row) == 1 and (number in wide or first.startswith(_NOTES)):
        message, chinese = f"{quoted(first)} is taken for a note: not read", f"{quoted(first)} 视为备注，未读取"
        replace(at, row=number).notice("", "file", message, chinese)
        return True
    return False
