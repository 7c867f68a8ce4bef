"""In charge of turning the rows of one resource into its draft: a document in the catalogue's keys, with gaps."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from tanglai.catalogue.checks_register import BRANCH_DIGITS
from tanglai.catalogue.documents_base import trimmed
from tanglai.catalogue.guide import cells
from tanglai.catalogue.guide.departments import Departments
from tanglai.catalogue.guide.grouping import Group, settled
from tanglai.catalogue.guide.items import read_items
from tanglai.catalogue.guide.remarks import At, Remarks, quoted
from tanglai.catalogue.guide.workbook import Cell
from tanglai.catalogue.model import Branch, Department, Snapshot

_CODE = re.compile(r"([0-9]+)/([0-9]+)", re.ASCII)
_CATEGORY = re.compile(r"[0-9]+", re.ASCII)
_BRANCHES = {digit: branch for branch, digit in BRANCH_DIGITS.items()}
_FREE_OF_SECRETS = frozenset({"否", "无", "非密", "不涉密", "非涉密", "公开", "no", "FALSE", "n", "N", "/"})


@dataclass(frozen=True, slots=True)
class Importing:
    """Who imports, into which catalogue, on which day (of Asia/Shanghai)."""

    snapshot: Snapshot
    department: Department
    today: date


@dataclass(frozen=True, slots=True)
class Proposal:
    """The draft of one resource as its rows say it.

    `document` is in the keys of `resource_to_document`, without those that the file does not tell: such a draft is
    complete as the guide has it and cannot be published yet. `covered` are the keys of the guide's columns that the
    file has, `covered_items` those of items: what is missing of them is empty, not unknown. `rows`: the rows of the
    resource and of its items, for remarks. `own_classes`: the file tells the class of each item.
    """

    document: Mapping[str, Any]
    sheet: str
    row: int
    item_rows: tuple[int, ...]
    covered: frozenset[str]
    covered_items: frozenset[str]
    own_classes: bool

    @property
    def code(self) -> str:
        return str(self.document["code"])


_COVERS = {
    "title": "title",
    "summary": "summary",
    "category": "category",
    "share_class": "shareClass",
    "condition": "condition",
    "method": "sharingMethod",
    "format": "format",
    "open": "openAttribute",
    "cycle": "updateCycle",
    "related": "related",
}


@dataclass(slots=True)
class Reader:
    """Reads resources one after the other; remembers the codes that it has met, of which each stands once."""

    importing: Importing
    remarks: Remarks
    departments: Departments = field(init=False)
    seen: dict[str, tuple[str, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.departments = Departments(self.importing.snapshot)

    def proposal(self, group: Group) -> Proposal | None:
        """The draft of the resource in `group`; None where what makes one is missing, which is told."""
        at = At(self.remarks, group.sheet, group.row, group.identity[0][:48])
        values = settled(group, at)
        code = self._code(group, values, at)
        category, branch = self._category(values, code, at)
        self._secrecy(values, at)
        if (published := values.get("published")) is not None:
            self._published(published, at)
        title = cells.text(values.get("title"), "title", at)
        if not title:
            at.error("title", "document", "the resource has no name", "缺少名称")
        cycle = cells.word(values.get("cycle"), "cycle", at)
        if cycle is None and "cycle" not in values:
            at.error("cycle", "document", "the resource has no update cycle", "缺少更新周期")
        provider, compiler = self.departments.parties(values, branch, self.importing.department, at)
        shared = read_items(group, at)
        self._wanted(group, values, at)
        zone = cells.word(values.get("zone"), "zone", at) or self.importing.snapshot.zone
        if code is None or shared is None or provider is None or branch is None:
            return None
        names = {
            name: cells.text(values.get(key), key, at)
            for name, key in (("group", "group"), ("list", "list"), ("one", "one"), ("type", "kind"))
        }
        document = trimmed(
            {
                "kind": "resource",
                "code": code,
                "title": title or None,
                "summary": cells.text(values.get("summary"), "summary", at) or None,
                "branch": branch.value,
                "category": category,
                "provider": provider,
                "compiler": compiler,
                "shareClass": shared.share_class.value,
                "condition": shared.condition,
                "legalBasis": shared.basis,
                "sharingMethod": cells.text(values.get("method"), "method", at) or None,
                "format": _joined(values, ("format", "format_kind"), at),
                "openAttribute": _joined(values, ("open", "open_condition"), at),
                "updateCycle": cycle,
                "zone": zone,
                "related": cells.codes(values.get("related"), "related", at),
                "graphql": {name: value for name, value in names.items() if value},
                "source": cells.text(values.get("source"), "source", at) or None,
                "table": cells.text(values.get("table"), "table", at) or None,
                "handle": self._handle(values, at),
                "keys": [shared.key] if shared.key else [],
                "items": shared.items,
            }
        )
        covered = frozenset(_COVERS[key] for key in group.keys if key in _COVERS)
        return Proposal(
            {key: str(value) if key in ("updateCycle", "zone") else value for key, value in document.items()},
            group.sheet,
            group.row,
            shared.rows,
            covered,
            shared.covered,
            shared.own_classes,
        )

    def _code(self, group: Group, values: Mapping[str, Cell], at: At) -> str | None:
        code = cells.code(values.get("code"), "code", at)
        if not code:
            if "code" not in values:
                at.error(
                    "code",
                    "document",
                    f"the resource has no code{self._free(values)}",
                    f"缺少代码{self._free_zh(values)}",
                )
            return None
        if _CODE.fullmatch(code) is None or len(code) > 48:
            message = f"{quoted(code)} is no code: the category's code, a slash, a number{self._free(values)}"
            at.error(
                "code",
                "category",
                message,
                f"{quoted(code)} 不是信息资源代码，应为“分类代码/顺序号”{self._free_zh(values)}",
            )
            return None
        if code in self.seen:
            sheet, row = self.seen[code]
            message = f"`{code}` stands in row {row} of sheet `{sheet}` already: the rows of a resource stand together"
            at.error(
                "code", "duplicate", message, f"代码 `{code}` 已出现在工作表“{sheet}”第 {row} 行，同一资源的各行须相邻"
            )
            return None
        self.seen[code] = (group.sheet, group.row)
        return code

    def _free_code(self, values: Mapping[str, Cell]) -> str | None:
        category = _CATEGORY.match(cells.plain(values.get("category")))
        if category is None or category[0] not in self.importing.snapshot.categories:
            return None
        taken = [
            int(c.partition("/")[2][:9])
            for c in (*self.importing.snapshot.resources, *self.seen)
            if c.startswith(f"{category[0]}/")
        ]
        return f"{category[0]}/{max(taken, default=0) + 1}"

    def _free(self, values: Mapping[str, Cell]) -> str:
        free = self._free_code(values)
        return f"; `{free}` is free" if free else ""

    def _free_zh(self, values: Mapping[str, Cell]) -> str:
        free = self._free_code(values)
        return f"，`{free}` 尚未使用" if free else ""

    def _category(self, values: Mapping[str, Cell], code: str | None, at: At) -> tuple[str | None, Branch | None]:
        """The category's code, from its cell or else from the resource's code, and the branch that follows from it."""
        said = cells.text(values.get("category"), "category", at)
        numbers = list(dict.fromkeys(_CATEGORY.findall(said)))
        category = numbers[0] if len(numbers) == 1 else self._titled(said) if said and not numbers else None
        of_code = code.partition("/")[0] if code else None
        if said and category is None and not (of_code and not numbers):
            at.error("category", "category", f"{quoted(said)} is no code of a category", f"{quoted(said)} 不是分类代码")
            return None, None
        category = category or of_code
        if category is None:
            if code is None and not said:
                at.error("category", "category", "the resource has no category", "缺少信息资源分类")
            return None, None
        branch = _BRANCHES.get(category[0])
        if branch is None:
            message = f"`{category}` begins with none of 1 (basic), 2 (thematic), 3 (departmental)"
            at.error("category", "category", message, f"`{category}` 的首位应为 1（基础）、2（主题）或 3（部门）")
        elif category not in self.importing.snapshot.categories:
            at.error("category", "reference", f"unknown category `{category}`", f"分类 `{category}` 未登记")
        elif of_code is not None and of_code != category:
            at.error(
                "code",
                "category",
                f"`{code}` is not `{category}/` and a number",
                f"代码 `{code}` 与分类 `{category}` 不符",
            )
        return category, branch

    def _titled(self, said: str) -> str | None:
        """The one category whose title is the last part of `said`: 基础信息资源/人口/自然人."""
        last = re.split(r"[/\\>、—-]", said)[-1].strip()
        found = [category.code for category in self.importing.snapshot.categories.values() if category.title == last]
        return found[0] if len(found) == 1 else None

    def _secrecy(self, values: Mapping[str, Cell], at: At) -> None:
        said = cells.text(values.get("secrecy"), "secrecy", at)
        if said and said not in _FREE_OF_SECRETS:
            message = f"{quoted(said)}: state and work secrets are not government data and are not registered"
            at.error("是否涉密", "state-secret", message, f"{quoted(said)}：国家秘密、工作秘密不属于政务数据，不得登记")

    def _published(self, value: Cell, at: At) -> None:
        day = cells.day(value, "published", at)
        if day is not None and day > self.importing.today:
            at.notice("published", "document", f"{day} is a day to come", f"{day} 尚未到来")

    def _wanted(self, group: Group, values: Mapping[str, Cell], at: At) -> None:
        """What the guide wants of every entry and the platform can do without."""
        for key, word, english in (
            ("summary", "摘要", "a summary"),
            ("format", "格式", "a format"),
            ("open", "开放属性", "an open attribute"),
        ):
            if key in group.keys and key not in values:
                at.notice(key, "document", f"the guide wants {english}", f"编制指南要求填写{word}")

    def _handle(self, values: Mapping[str, Cell], at: At) -> dict[str, Any] | None:
        column = cells.text(values.get("handle"), "handle", at)
        kind = cells.word(values.get("handle_type"), "handle_type", at)
        if not column:
            return None
        if kind is None:
            if "handle_type" not in values:
                at.error(
                    "handle_type",
                    "document",
                    f"row handle {quoted(column)} has no data type",
                    f"行标识 {quoted(column)} 缺少数据类型",
                )
            return None
        return {"column": column, "type": str(kind)}


def _joined(values: Mapping[str, Cell], keys: tuple[str, str], at: At) -> str | None:
    parts = [part for key in keys if (part := cells.text(values.get(key), keys[0], at))]
    return "；".join(dict.fromkeys(parts)) or None
