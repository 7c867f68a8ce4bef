"""In charge of the items of one resource: a row each, with the class, condition and basis of all or of each."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tanglai.catalogue.documents_base import trimmed
from tanglai.catalogue.guide import cells
from tanglai.catalogue.guide.bases import read_basis
from tanglai.catalogue.guide.columns import BY_KEY, Level
from tanglai.catalogue.guide.grouping import Group
from tanglai.catalogue.guide.remarks import At, quoted
from tanglai.catalogue.guide.workbook import Cell
from tanglai.catalogue.model import ShareClass

_CODE = re.compile(r"([^=＝:：]+)[=＝:：](.+)")


@dataclass(frozen=True, slots=True)
class Shared:
    """The items, and what they share in: class, condition and basis of the resource. `rows`: the row of each item."""

    items: list[dict[str, Any]]
    rows: tuple[int, ...]
    share_class: ShareClass
    condition: str | None
    basis: dict[str, Any] | None
    key: list[str]
    covered: frozenset[str]
    own_classes: bool


@dataclass(slots=True)
class _Row:
    at: At
    values: Mapping[str, Cell]
    title: str
    said: dict[str, Any]
    share_class: ShareClass | None = None


def read_items(group: Group, at: At) -> Shared | None:
    """The items of a resource; None where there are none or their classes are not known, which is told."""
    rows = _rows(group, at)
    if not rows:
        if not any(_speaks(row) for _, row in group.rows):
            at.error("item", "document", "the resource has no items", "没有信息项")
        return None
    resource_class, known = _classes(rows, group, at)
    if resource_class is None or not known:
        return None
    conditions = group.different("condition")
    texts = _Texts(group, rows, resource_class, at)
    items = []
    for row in rows:
        item_class = row.share_class or resource_class
        document = {
            "title": row.title,
            **row.said,
            "shareClass": None if item_class is resource_class else item_class.value,
            "condition": texts.condition_of(row, item_class),
            "legalBasis": texts.basis_of(row, item_class),
        }
        items.append(_ordered(document))
    covered = {"title", "type"}
    own_classes = "item_class" in group.keys or len(group.different("share_class")) > 1
    if "item_condition" in group.keys or len(conditions) > 1:
        covered.add("condition")
    marked = [row.said["name"] for row in rows if "name" in row.said and _flag(row, "key")]
    return Shared(
        items,
        tuple(row.at.row for row in rows),
        resource_class,
        texts.condition,
        texts.basis,
        marked,
        frozenset(covered),
        own_classes,
    )


def _speaks(row: Mapping[str, Cell]) -> bool:
    """Whether a row says anything about an item."""
    return any(key in BY_KEY and BY_KEY[key].level is Level.ITEM for key in row)


def _rows(group: Group, at: At) -> list[_Row]:
    rows: list[_Row] = []
    titles: dict[str, int] = {}
    names: dict[str, int] = {}
    for number, values in group.rows:
        here = At(at.remarks, at.sheet, number, at.resource)
        if not _speaks(values):
            continue
        title = cells.text(values.get("item"), "item", here)
        if not title:
            here.error("item", "document", "the item has no name", "缺少信息项名称")
            continue
        if title in titles:
            message = f"item {quoted(title)} stands in row {titles[title]} already"
            here.error("item", "item", message, f"信息项 {quoted(title)} 已出现在第 {titles[title]} 行")
            continue
        titles[title] = number
        row = _Row(here, values, title, _said(values, here))
        name = row.said.get("name")
        if name is not None and names.setdefault(name, number) != number:
            message = f"item name {quoted(name)} stands in row {names[name]} already"
            here.error("name", "item", message, f"信息项英文名 {quoted(name)} 已出现在第 {names[name]} 行")
            continue
        rows.append(row)
    return rows


def _said(values: Mapping[str, Cell], at: At) -> dict[str, Any]:
    """What the columns of an item say by themselves, in the keys of the item's document."""
    kind = cells.word(values.get("type"), "type", at)
    if kind is None and "type" not in values:
        at.error("type", "document", "the item has no data type", "缺少数据类型")
    basic = cells.word(values.get("nature"), "nature", at)
    nullable = cells.word(values.get("nullable"), "nullable", at)
    content = cells.word(values.get("content"), "content", at)
    return trimmed(
        {
            "name": cells.text(values.get("name"), "name", at) or None,
            "type": str(kind) if kind is not None else None,
            "column": cells.text(values.get("column"), "column", at) or None,
            "description": cells.text(values.get("description"), "description", at) or None,
            "basic": False if basic is False else None,
            "businessReason": cells.text(values.get("business_reason"), "business_reason", at) or None,
            "dataElement": cells.text(values.get("element"), "element", at) or None,
            "codes": _codes(cells.text(values.get("codes"), "codes", at), at),
            "nullable": False if nullable is False else None,
            "content": str(content) if content is not None else None,
        }
    )


def _codes(text: str, at: At) -> list[dict[str, str]]:
    codes = []
    for part in re.split(r"[;；\n]", text):
        if not part.strip():
            continue
        match = _CODE.fullmatch(part.strip())
        if match is None:
            at.error(
                "codes", "item", f"{quoted(part)} is not of the form value=title", f"{quoted(part)} 应写作 代码=名称"
            )
        else:
            codes.append({"value": match[1].strip(), "title": match[2].strip()})
    return codes


def _flag(row: _Row, key: str) -> bool:
    return cells.word(row.values.get(key), key, row.at) is True


def _classes(rows: list[_Row], group: Group, at: At) -> tuple[ShareClass | None, bool]:
    """The class of the resource, and whether that of every item is known.

    Where 共享类型 says one thing it is the resource's. Where its rows differ it is theirs, and the resource's follows:
    the items' where they have one, else CONDITIONAL (Art. 9(2)).
    """
    different = group.different("share_class")
    if not different:
        at.error("share_class", "share-class", "the resource has no share class", "缺少共享类型")
        return None, False
    if len(different) == 1:
        number, value = different[0]
        found = cells.word(value, "share_class", At(at.remarks, at.sheet, number, at.resource))
        known = True
        for row in rows:
            if "item_class" in row.values:
                row.share_class = _class(cells.word(row.values["item_class"], "item_class", row.at))
                known = known and row.share_class is not None
        return _class(found), known
    above: ShareClass | None = None
    for row in rows:
        key = "item_class" if "item_class" in row.values else "share_class"
        if key in row.values:
            above = _class(cells.word(row.values[key], key, row.at))
        row.share_class = above
    classes = {row.share_class for row in rows}
    if None in classes:
        return None, False
    return (classes.pop() if len(classes) == 1 else ShareClass.CONDITIONAL), True


def _class(value: object) -> ShareClass | None:
    return value if isinstance(value, ShareClass) else None


class _Texts:
    """Conditions and legal bases of a resource and its items.

    The guide has one column for both: of what is not shared 共享条件 says the basis (Art. 10(1)), unless another
    column does. One text is the resource's, different ones are the items'.
    """

    def __init__(self, group: Group, rows: list[_Row], resource_class: ShareClass, at: At) -> None:
        conditions = group.different("condition")
        bases = group.different("basis")
        told = bool(bases) or any("item_basis" in row.values for row in rows)
        speaking = [row.share_class or resource_class for row in rows if "condition" in row.values]
        closed = bool(speaking) and set(speaking) == {ShareClass.NOT_SHARED}
        self._varying = len(conditions) > 1
        self._own_key = "basis" if bases else "condition" if not told and (closed or self._varying) else ""
        self.condition: str | None = None
        self.basis: dict[str, Any] | None = None
        stated = bases or (conditions if self._own_key == "condition" else [])
        if len(stated) == 1 and (bases or resource_class is ShareClass.NOT_SHARED):
            number, value = stated[0]
            here, key = At(at.remarks, at.sheet, number, at.resource), "basis" if bases else "condition"
            said = cells.text(value, key, here)
            self.basis = read_basis(said, key, here) if said else None
            self._own_key = ""
        if len(conditions) == 1 and not (closed and not told):
            number, value = conditions[0]
            self.condition = cells.text(value, "condition", At(at.remarks, at.sheet, number, at.resource)) or None

    def condition_of(self, row: _Row, item_class: ShareClass) -> str | None:
        if "item_condition" in row.values:
            return cells.text(row.values["item_condition"], "item_condition", row.at) or None
        if self._varying and item_class is ShareClass.CONDITIONAL:
            return cells.text(row.values.get("condition"), "condition", row.at) or None
        return None

    def basis_of(self, row: _Row, item_class: ShareClass) -> dict[str, Any] | None:
        key = "item_basis" if "item_basis" in row.values else self._own_key
        if key not in row.values or (key != "item_basis" and item_class is not ShareClass.NOT_SHARED):
            return None
        said = cells.text(row.values[key], key, row.at)
        return read_basis(said, key, row.at) if said else None


def _ordered(document: Mapping[str, Any]) -> dict[str, Any]:
    keys = ("name", "title", "type", "shareClass", "column", "description", "basic", "businessReason", "condition")
    rest = ("legalBasis", "dataElement", "codes", "nullable", "content")
    return trimmed({key: document.get(key) for key in (*keys, *rest)})
