"""In charge of an evaluation as a table that spreadsheet programs open: one line per department."""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from tanglai.catalogue.model import Snapshot
from tanglai.catalogue.rules import DeadlineKind
from tanglai.catalogue.workflow.evaluation import (
    CriterionCode,
    Figures,
    Scheme,
    Score,
    Tally,
    ViolationCode,
    violations,
)

BOM = "\ufeff"
"""By this mark Excel reads a file as UTF-8."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_TALLY = (("due", "到期"), ("on time", "按时"), ("late", "逾期完成"), ("overdue", "逾期未完成"))
_KINDS = {
    DeadlineKind.OBLIGATION: ("catalogue updates", "目录更新"),
    DeadlineKind.REPLY: ("replies", "申请答复"),
    DeadlineKind.CORRECTION: ("corrections", "疑义核查"),
}
_COLUMNS = (
    ("refusals", "不同意答复"),
    ("corrections reported", "疑义数量"),
    ("corrections answered", "疑义已答复"),
    ("overdue now", "当前逾期"),
    ("grants", "有效授权"),
    ("grants unused", "未使用授权"),
    ("requests", "请求次数"),
    ("rows", "数据行数"),
    ("sources", "数据源"),
    ("sources down", "中断数据源"),
    ("old interfaces", "原有接口"),
    ("old interfaces overdue", "应下线未下线接口"),
)
_VIOLATIONS = {
    ViolationCode.CATALOGUE_LATE: "未按时更新目录",
    ViolationCode.ADDED_CONDITIONS: "擅自增设条件",
    ViolationCode.LATE_REPLY: "未按时答复",
    ViolationCode.LATE_SUPPLY: "未按时提供",
    ViolationCode.NO_RETURN_FLOW: "未按规定回流数据",
    ViolationCode.LATE_CORRECTION: "未按时核查更正",
    ViolationCode.UNILATERAL_ENDING: "擅自终止共享",
    ViolationCode.OVERUSE: "超范围使用",
    ViolationCode.PASSING_ON: "擅自提供给第三方",
    ViolationCode.NO_DISPOSAL: "未按规定处置",
    ViolationCode.MISSING_RECORDS: "未留存使用记录",
}
_CRITERIA = {
    CriterionCode.UPDATES_ON_TIME: "目录按时更新率",
    CriterionCode.REPLIES_ON_TIME: "按时答复率",
    CriterionCode.CORRECTIONS_ON_TIME: "按时核查率",
    CriterionCode.CORRECTIONS_ANSWERED: "疑义答复率",
    CriterionCode.SOURCES_UP: "数据源可用率",
    CriterionCode.INTERFACES_RETIRED: "接口按期下线率",
    CriterionCode.GRANTS_USED: "授权使用率",
    CriterionCode.DISPOSALS_STATED: "处置声明率",
}


def as_csv(
    ranking: Sequence[tuple[Figures, Score]], by: Scheme, snapshot: Snapshot, language: Literal["zh", "en"]
) -> str:
    """The ranking as CSV (RFC 4180) in UTF-8 with a byte order mark, its headings in `language`.

    A text that a spreadsheet program would take for a formula is preceded by an apostrophe. What is not known is empty.
    """
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(guarded(heading) for heading in _headings(by, language))
    for figures, score in ranking:
        writer.writerow(guarded(cell) for cell in _cells(figures, score, by, snapshot, language))
    return BOM + out.getvalue()


def guarded(cell: Any) -> Any:
    """`cell`, unless it is a text that a spreadsheet program would run."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


def _headings(by: Scheme, language: Literal["zh", "en"]) -> Iterator[str]:
    zh = language == "zh"
    pairs = (("rank", "名次"), ("points", "得分"), ("credit code", "统一社会信用代码"), ("department", "部门"))
    yield from (pair[zh] for pair in pairs)
    yield from (pair[zh] for pair in (("level", "层级"), ("division", "行政区划"), ("resources", "目录数")))
    for kind in _KINDS.values():
        yield from (f"{kind[zh]}{'' if zh else ' '}{part[zh]}" for part in _TALLY)
    yield "答复工作日中位数" if zh else "median working days to reply"
    yield from (pair[zh] for pair in _COLUMNS)
    yield from (_VIOLATIONS[code] if zh else code.value for code in ViolationCode)
    for criterion in by.criteria:
        name = _CRITERIA[criterion.code] if zh else criterion.code.value
        yield f"{name}（权重{criterion.weight}）" if zh else f"{name} (weight {criterion.weight})"


def _cells(
    figures: Figures, score: Score, by: Scheme, snapshot: Snapshot, language: Literal["zh", "en"]
) -> Iterator[Any]:
    department = snapshot.departments[figures.department]
    yield from (score.rank, score.points, department.code)
    yield department.name if language == "zh" else department.name_en
    yield from (department.level.value, department.division, figures.resources)
    for kind in _KINDS:
        yield from _tally(figures.tally(kind))
    yield figures.tally(DeadlineKind.REPLY).median_days
    yield sum(figures.refusals.values())
    yield from (figures.corrections_reported, figures.corrections_answered, sum(figures.overdue_now.values()))
    yield from (figures.grants, figures.grants_unused)
    yield from (sum(use.requests for use in figures.asked), sum(use.rows for use in figures.asked))
    yield from (figures.sources, len(figures.sources_down), figures.interfaces, figures.interfaces_overdue)
    yield from (found.count for found in violations(figures, by))
    yield from (score.rates[criterion.code] for criterion in by.criteria)


def _tally(tally: Tally) -> tuple[int, int, int, int]:
    return tally.due, tally.on_time, tally.late, tally.overdue
