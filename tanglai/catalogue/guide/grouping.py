"""In charge of which rows belong to which resource, and of the resource's values among those of its rows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tanglai.catalogue.guide.cells import plain
from tanglai.catalogue.guide.columns import BY_KEY, Level
from tanglai.catalogue.guide.remarks import At, Remarks, quoted
from tanglai.catalogue.guide.sheets import Table
from tanglai.catalogue.guide.workbook import Cell

VARYING = frozenset({"share_class", "condition", "basis"})
"""Columns of a resource that may differ from row to row: then they are about the items (Art. 9: partly for all)."""
_JOINED = frozenset({"method", "format", "open"})
"""Columns whose different values are joined."""


@dataclass(slots=True)
class Group:
    """The rows of one resource. `rows`: row number, what stands there by column key."""

    sheet: str
    keys: frozenset[str]
    rows: list[tuple[int, dict[str, Cell]]] = field(default_factory=list)
    identity: tuple[str, str] = ("", "")

    @property
    def row(self) -> int:
        """The first row."""
        return self.rows[0][0]

    def first(self, key: str) -> tuple[int, Cell] | None:
        """The first value of a column with its row."""
        return next(((number, row[key]) for number, row in self.rows if key in row), None)

    def different(self, key: str) -> list[tuple[int, Cell]]:
        """The different values of a column, each with its first row."""
        found: dict[str, tuple[int, Cell]] = {}
        for number, row in self.rows:
            if key in row:
                found.setdefault("".join(plain(row[key]).split()), (number, row[key]))
        return list(found.values())


def groups(table: Table, remarks: Remarks) -> Iterator[Group]:
    """The resources of a table. A row without code and name belongs to the resource above it."""
    group: Group | None = None
    for number, row in table.values():
        if not row:
            continue
        code, title = (" ".join(plain(row.get(key)).split()) for key in ("code", "title"))
        if group is not None and _same(group.identity, code, title):
            group.identity = (group.identity[0] or code, group.identity[1] or title)
        elif code or title:
            if group is not None:
                yield group
            group = Group(table.sheet, table.keys, [], (code, title))
        elif group is None:
            At(remarks, table.sheet, number).error(
                "code",
                "document",
                "the row belongs to no resource: no code and no name stand above",
                "该行不属于任何信息资源：缺少名称和代码",
            )
            continue
        group.rows.append((number, row))
    if group is not None:
        yield group


def _same(identity: tuple[str, str], code: str, title: str) -> bool:
    """Whether a row with `code` and `title`, empty where blank, goes on with the resource of `identity`."""
    if code:
        return code == identity[0] or (not identity[0] and title == identity[1])
    return not title or title == identity[1]


def settled(group: Group, at: At) -> Mapping[str, Cell]:
    """The values of the resource's columns but the varying ones; rows that contradict each other are told of."""
    values: dict[str, Cell] = {}
    for key in group.keys:
        column = BY_KEY.get(key)
        if key in VARYING or (column is not None and column.level is Level.ITEM):
            continue
        different = group.different(key)
        if not different:
            continue
        row, value = different[0]
        values[key] = value
        if len(different) == 1:
            continue
        if key in _JOINED:
            values[key] = "；".join(plain(each) for _, each in different)
            message = "the rows of the resource differ: what they say is joined"
            At(at.remarks, at.sheet, different[1][0], at.resource).notice(
                key, "document", message, "各行不一致，已合并"
            )
            continue
        for other_row, other in different[1:]:
            message = f"{quoted(plain(other))}, but row {row} of the same resource says {quoted(plain(value))}"
            chinese = f"{quoted(plain(other))} 与同一资源第 {row} 行的 {quoted(plain(value))} 不一致"
            At(at.remarks, at.sheet, other_row, at.resource).error(key, "document", message, chinese)
    return values
