"""In charge of saying decisions in words: reasons, remedies and row scopes, in Chinese and English."""

from collections.abc import Iterable
from typing import Literal, TypeAlias

from authz.denial import Denial, RemedyAction
from tanglai.catalogue.errors import ErrorCode
from tanglai.catalogue.expressions import (
    FALSE,
    TRUE,
    And,
    Compare,
    Expression,
    In,
    IsNull,
    IsTrue,
    ItemRef,
    Match,
    MatchOp,
    Not,
    Or,
    Value,
)
from tanglai.catalogue.model import Period, Resource, Snapshot
from tanglai.catalogue.scalars import to_json

Language: TypeAlias = Literal["zh", "en"]

_REASONS: dict[ErrorCode, tuple[str, str]] = {
    ErrorCode.OUT_OF_ZONE: (
        "该资源在另一共享平台（内网或外网）提供",
        "the resource is served by the platform of the other zone",
    ),
    ErrorCode.SCOPE_EXCEEDED: ("令牌的范围不包含此项", "the token's scope does not include it"),
    ErrorCode.QUOTA_EXCEEDED: (
        "授权当日剩余的用量不足以满足本次查询",
        "what is left of the grant's quota for today does not cover this query",
    ),
    ErrorCode.GRANT_SUSPENDED: ("授权已中止", "the grant is suspended"),
    ErrorCode.GRANT_NOT_YET_VALID: ("授权尚未生效", "the grant is not valid yet"),
    ErrorCode.GRANT_EXPIRED: ("授权已到期", "the grant has expired"),
    ErrorCode.GRANT_ENDED: ("授权已终止", "the grant has ended"),
    ErrorCode.PURPOSE_REQUIRED: ("使用有条件共享的数据须说明用途", "conditional data needs a stated purpose"),
    ErrorCode.PURPOSE_MISMATCH: ("授权用于其他用途", "the grant is for another purpose"),
    ErrorCode.STATISTICS_ONLY: ("授权仅限统计使用", "the grant is for statistics only"),
    ErrorCode.NOT_SHARED: ("该信息项不予共享", "the item is not shared"),
    ErrorCode.GRANT_REQUIRED: (
        "该信息项有条件共享，须经提供部门同意",
        "the item is shared conditionally and needs a grant",
    ),
    ErrorCode.MASKED_USE: (
        "该信息项仅以脱敏形式提供，不能用于筛选、排序、分组或统计",
        "the item is shown masked only and cannot be filtered, sorted, grouped or aggregated",
    ),
}


def reason(denial: Denial, snapshot: Snapshot, language: Language) -> str:
    """Why, in one sentence without a final period. Codes outside the decision have no words here."""
    words = _REASONS.get(denial.code)
    if words is None:
        return ""
    return words[0] if language == "zh" else words[1]


def remedy_words(denial: Denial, snapshot: Snapshot, language: Language) -> str:
    """What to do next, in words; empty where nothing can be done."""
    remedy = denial.remedy
    if remedy is None:
        return ""
    department = snapshot.departments.get(remedy.department or "")
    zh = department.name if department else "提供部门"
    en = department.name_en if department else "the provider"
    match remedy.action:
        case RemedyAction.APPLY:
            pair = (
                f"向{zh}提出申请，{remedy.reply_within}个工作日内答复",
                f"apply to {en}, reply due in {remedy.reply_within} working days",
            )
        case RemedyAction.RENEW:
            pair = (
                f"向{zh}重新申请，{remedy.reply_within}个工作日内答复",
                f"apply again to {en}, reply due in {remedy.reply_within} working days",
            )
        case RemedyAction.CONSULT:
            pair = (
                f"确因履职需要的，与{zh}协商；协商不成的，由同级数据共享主管部门协调",
                f"if duties really require it, consult with {en}; failing that, the competent "
                "department of that level coordinates",
            )
        case RemedyAction.COORDINATE:
            pair = ("由同级数据共享主管部门协调解决", "the competent department of that level coordinates")
        case RemedyAction.STATE_PURPOSE:
            pair = (
                "在请求头 Purpose 中说明授权所列的用途",
                "state the purpose that the grant names, in the header `Purpose`",
            )
        case RemedyAction.CONTACT_PROVIDER if denial.code is ErrorCode.QUOTA_EXCEEDED:
            pair = (
                f"减少本次查询的行数，或于次日（北京时间）再查；长期不足的，与{zh}商定更大的用量",
                f"ask for fewer rows, or again on the next day (Beijing time); agree on a larger quota with {en}",
            )
        case RemedyAction.CONTACT_PROVIDER:
            pair = (f"与{zh}联系", f"contact {en}")
        case RemedyAction.USE_OTHER_TOKEN:
            pair = ("使用范围包含此项的令牌", "use a token whose scope includes it")
        case RemedyAction.USE_OTHER_NODE:
            pair = ("在该资源所在的共享平台查询", "ask on the platform of the resource's zone")
        case RemedyAction.SELECT_ONLY:
            pair = ("仅查询其脱敏值", "select its masked value only")
    return pair[0] if language == "zh" else pair[1]


def describe_rows(conditions: Iterable[Expression], resource: Resource, language: Language) -> str:
    """The rows under `conditions` (joined by or) in words a reviewer understands, with the items' titles."""
    parts = [part for part in conditions if part != FALSE]
    if not parts:
        return "无" if language == "zh" else "no rows"
    if TRUE in parts:
        return "全部" if language == "zh" else "all rows"
    words = [_words(part, resource, language) for part in dict.fromkeys(parts)]
    return ("；或" if language == "zh" else "; or ").join(words)


_PERIODS: dict[Period, tuple[str, str]] = {
    Period.DAY: ("每日发布一次（北京时间）", "published once a day (Beijing time)"),
    Period.MONTH: ("每月发布一次（北京时间）", "published once a month (Beijing time)"),
    Period.QUARTER: ("每季度发布一次（北京时间）", "published once a quarter (Beijing time)"),
    Period.YEAR: ("每年发布一次（北京时间）", "published once a year (Beijing time)"),
}


def describe_period(period: Period, language: Language) -> str:
    """How often a cube is published; until then every answer is from the same one."""
    return _PERIODS[period][0 if language == "zh" else 1]


_OPERATORS = {
    "eq": ("等于", "is"),
    "ne": ("不等于", "is not"),
    "lt": ("小于", "is less than"),
    "lte": ("不大于", "is at most"),
    "gt": ("大于", "is greater than"),
    "gte": ("不小于", "is at least"),
}


def _words(node: Expression, resource: Resource, language: Language) -> str:
    zh = language == "zh"

    def say(part: Expression) -> str:
        return _words(part, resource, language)

    match node:
        case IsTrue(part):
            return say(part)
        case ItemRef(name, _):
            item = resource.item_by_name[name]
            return item.title if zh else f"`{item.name}`"
        case Value(value, kind):
            return f"“{to_json(kind, value)}”" if zh else f'"{to_json(kind, value)}"'
        case And(parts):
            return ("且" if zh else " and ").join(_bracket(p, say(p)) for p in parts)
        case Or(parts):
            return ("或" if zh else " or ").join(_bracket(p, say(p)) for p in parts)
        case Not(part):
            return f"非（{say(part)}）" if zh else f"not ({say(part)})"
        case IsNull(operand):
            return f"{say(operand)}为空" if zh else f"{say(operand)} is empty"
        case Compare(op, left, right):
            return (
                f"{say(left)}{_OPERATORS[op][0]}{say(right)}" if zh else f"{say(left)} {_OPERATORS[op][1]} {say(right)}"
            )
        case In(operand, values):
            listed = ("、" if zh else ", ").join(say(v) for v in values)
            return f"{say(operand)}为{listed}之一" if zh else f"{say(operand)} is one of {listed}"
        case Match(MatchOp.STARTS_WITH, operand, needle):
            return f"{say(operand)}以{say(needle)}开头" if zh else f"{say(operand)} starts with {say(needle)}"
        case Match(_, operand, needle):
            return f"{say(operand)}包含{say(needle)}" if zh else f"{say(operand)} contains {say(needle)}"
    return "按条件" if zh else "by condition"


def _bracket(part: Expression, words: str) -> str:
    return f"（{words}）" if isinstance(part, And | Or) else words
