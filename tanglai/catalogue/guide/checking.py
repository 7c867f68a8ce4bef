"""In charge of holding drafts from a spreadsheet to the rules of publication, as far as they are complete."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tanglai.catalogue.checks import check
from tanglai.catalogue.checks_base import Severity, Violation
from tanglai.catalogue.checks_draft import Draft, Origin
from tanglai.catalogue.documents import DocumentError, resource_from_document, resource_to_document
from tanglai.catalogue.documents_base import Path, path_text
from tanglai.catalogue.guide.merging import merged
from tanglai.catalogue.guide.proposals import Importing, Proposal
from tanglai.catalogue.guide.remarks import At, Remarks, rule_of
from tanglai.catalogue.model import Resource

_TITLES: Mapping[str, str] = {
    "file": "文件内容应符合规定",
    "document": "填写内容应符合规定格式",
    "duplicate": "同一代码只能有一个信息资源",
    "reference": "引用的内容应已登记",
    "state-secret": "国家秘密、工作秘密不属于政务数据",
    "own-catalogue": "部门编制本部门的目录",
    "share-class": "资源的共享类型应与信息项一致",
    "condition": "有条件共享须注明共享条件",
    "not-shared-basis": "不予共享须有法律、行政法规或者党中央、国务院政策依据",
    "basic-item": "基础信息资源的基本项应无条件共享",
    "business-item": "业务项须说明理由",
    "lead-department": "基础信息资源由牵头部门编制",
    "theme-department": "主题信息资源由牵头部门编制",
    "one-authority": "一个数据元只有一个权威来源",
    "category": "代码、分类与类别应一致",
    "credit-code": "部门以统一社会信用代码标识",
    "division": "行政区划应已登记且有效",
    "organisation": "公共服务企业通过主管部门共享",
    "active": "部门应处于有效状态",
    "zone": "政务内网与政务外网相互隔离",
    "source-department": "部门以本部门的数据源提供数据",
    "item": "信息项应前后一致",
    "mask": "脱敏规则应适合信息项内容",
    "key": "主键由本资源可比较的不同信息项组成",
    "handle": "行标识应唯一且不含信息",
    "relation": "关联的两端应相互对应",
    "graphql-name": "GraphQL 名称应有效且未被占用",
    "binding": "目录内容应与数据源一致",
}
"""The rules in Chinese, for remarks on what the checks of publication find."""

_KEPT_OUT = frozenset(
    {
        *("condition", "not-shared-basis", "state-secret", "organisation", "active"),
        *("lead-department", "theme-department"),
    }
)
"""Rules that keep a resource from being taken, since the file itself can satisfy them; others are settled later."""

_COLUMNS = {
    "shareClass": "share_class",
    "condition": "condition",
    "legalBasis": "basis",
    "provider": "provider",
    "compiler": "compiler",
    "code": "code",
    "category": "category",
    "branch": "category",
    "related": "related",
    "graphql": "list",
    "source": "source",
    "table": "table",
    "handle": "handle",
    "zone": "zone",
    "keys": "key",
    "title": "title",
    "summary": "summary",
    "format": "format",
    "openAttribute": "open",
    "sharingMethod": "method",
    "updateCycle": "cycle",
}
_ITEM_COLUMNS = {
    "name": "name",
    "title": "item",
    "type": "type",
    "shareClass": "share_class",
    "condition": "condition",
    "legalBasis": "basis",
    "column": "column",
    "description": "description",
    "basic": "nature",
    "businessReason": "business_reason",
    "dataElement": "element",
    "codes": "codes",
    "nullable": "nullable",
    "content": "content",
    "of": "content",
    "graphql": "name",
}
_NAMES = ("graphql", "source", "table")
_STEP = re.compile(r"([A-Za-z]+)|\[([0-9]+)\]")
_STANDING = "unbound"


@dataclass(frozen=True, slots=True)
class Checked:
    """A proposal whose form is right. `document` is what it makes of the published resource, or of nothing."""

    proposal: Proposal
    document: Mapping[str, Any]
    missing: tuple[str, ...]


def missing_of(document: Mapping[str, Any]) -> tuple[str, ...]:
    """What a draft lacks for publication, as paths in its document: `source`, `graphql.list`, `items[3].column`."""
    missing = [key for key in ("source", "table") if key not in document]
    names = document.get("graphql", {})
    missing += [f"graphql.{key}" for key in ("group", "list", "one", "type") if key not in names]
    for index, item in enumerate(document.get("items", ())):
        missing += [path_text(("items", index, key)) for key in ("name", "column") if key not in item]
    return tuple(missing)


def checked(proposals: list[Proposal], importing: Importing, remarks: Remarks) -> list[Checked]:
    """Those of `proposals` that are taken; what the rules have against any of them is told."""
    snapshot = importing.snapshot
    formed: list[tuple[Checked, Resource]] = []
    for proposal in proposals:
        resource = snapshot.resources.get(proposal.code)
        if resource is not None and importing.department.code not in (resource.provider, resource.compiler):
            message = f"`{proposal.code}` is in the catalogue of another department"
            _at(proposal, (), remarks).error("code", "own-catalogue", message, f"`{proposal.code}` 属于其他部门的目录")
            continue
        document = merged(_published(resource), proposal)
        missing = missing_of(document)
        try:
            formed.append((Checked(proposal, document, missing), resource_from_document(_completed(document))))
        except DocumentError as error:
            for problem in error.problems:
                at, column = _at(proposal, problem.path, remarks), _column(problem.path)
                at.error(column, "document", problem.message, f"{_TITLES['document']}：{problem.message}")
    refused = _rules(formed, importing, remarks)
    taken = [each for each, resource in formed if resource.code not in refused]
    for each in taken:
        if each.missing:
            _tell_missing(each, remarks)
    return taken


def _published(resource: Resource | None) -> dict[str, Any] | None:
    return resource_to_document(resource, stamped=False) if resource is not None else None


def _tell_missing(each: Checked, remarks: Remarks) -> None:
    parts = list(dict.fromkeys(path.split("[")[0].split(".")[0] for path in each.missing))
    words = {"source": "数据源", "table": "表", "graphql": "GraphQL 名称", "items": "信息项英文名或字段"}
    _at(each.proposal, (), remarks).notice(
        "",
        "binding",
        f"a draft: to be published it still needs {', '.join(f'`{part}`' for part in parts)}",
        f"已作为草稿；发布前还须补充{'、'.join(words[part] for part in parts)}",
    )


def _completed(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document with something in the place of all that it lacks, so that the rules can look at the rest."""
    whole = dict(document)
    digits = re.sub(r"[^0-9]", "n", str(document["code"]))
    names = {"group": "unbound", "list": f"unbound{digits}s", "one": f"unbound{digits}", "type": f"Unbound{digits}"}
    whole["graphql"] = {**names, **document.get("graphql", {})}
    whole.setdefault("source", _STANDING)
    whole.setdefault("table", _STANDING)
    whole["items"] = [
        {"name": f"unbound{n}", "column": f"unbound{n}", **item} for n, item in enumerate(document["items"])
    ]
    return whole


def _rules(formed: list[tuple[Checked, Resource]], importing: Importing, remarks: Remarks) -> set[str]:
    """Tells what the checks of publication find; the codes of the resources that are not taken for it."""
    resources = tuple(resource for _, resource in formed)
    origins = tuple(Origin(file=resource.code) for resource in resources)
    draft = Draft(resources=resources, origins={"resources": origins})
    known = {resource.code: each for each, resource in formed}
    refused: set[str] = set()
    for violation in check(draft, importing.snapshot, today=importing.today):
        each = known.get(violation.file)
        if each is None or _of_what_is_missing(violation, each):
            continue
        path = _path(violation.path)
        at = _at(each.proposal, path, remarks)
        chinese = f"{_TITLES.get(violation.rule, rule_of(violation.rule).title)}（{violation.message}）"
        if violation.severity is Severity.ERROR and violation.rule in _KEPT_OUT:
            refused.add(violation.file)
            at.error(_column(path), violation.rule, violation.message, chinese)
        else:
            at.notice(_column(path), violation.rule, violation.message, chinese)
    return refused


def _of_what_is_missing(violation: Violation, each: Checked) -> bool:
    """Whether the checks found what stands in the place of something missing."""
    rule, path, missing = violation.rule, violation.path, each.missing
    if rule == "graphql-name":
        return any(part.startswith(("graphql", "items")) for part in missing)
    if rule == "handle":
        return "handle" not in each.document
    if rule in ("binding", "source-department", "zone") or (rule == "reference" and path == "source"):
        return "source" in missing or "table" in missing
    if rule == "relation":
        return any(part.startswith("items") for part in missing)
    return False


def _path(text: str) -> Path:
    return tuple(name or int(index) for name, index in _STEP.findall(text))


def _column(path: Path) -> str:
    """The key of the column that a place of the document comes from, empty where there is none."""
    if len(path) >= 3 and path[0] == "items":
        return _ITEM_COLUMNS.get(str(path[2]), "")
    return _COLUMNS.get(str(path[0]), "") if path else ""


def _at(proposal: Proposal, path: Path, remarks: Remarks) -> At:
    row = proposal.row
    if len(path) >= 2 and path[0] == "items" and isinstance(path[1], int) and path[1] < len(proposal.item_rows):
        row = proposal.item_rows[path[1]]
    return At(remarks, proposal.sheet, row, proposal.code)
