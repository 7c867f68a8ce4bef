"""In charge of saying decisions in words: reasons, remedies, articles and periods, in Chinese and English."""

from authz.denial import Denial, Remedy, RemedyAction
from authz.scope_words import Language
from tanglai.catalogue.errors import ErrorCode
from tanglai.catalogue.model import Period, ShareClass, Snapshot, Zone
from tanglai.catalogue.rules import RuleSet

__all__ = ["Language", "article_words", "describe_period", "reason", "remedy_words"]

_REASONS: dict[ErrorCode, tuple[str, str]] = {
    ErrorCode.SCOPE_EXCEEDED: ("访问令牌的范围不包含此项", "the token's scope does not include it"),
    ErrorCode.QUOTA_EXCEEDED: (
        "授权当日剩余的配额不足以满足本次查询",
        "what is left of the grant's quota for today does not cover this query",
    ),
    ErrorCode.GRANT_SUSPENDED: ("授权已中止", "the grant is suspended"),
    ErrorCode.GRANT_NOT_YET_VALID: ("授权尚未生效", "the grant is not valid yet"),
    ErrorCode.GRANT_EXPIRED: ("授权已到期", "the grant has expired"),
    ErrorCode.GRANT_ENDED: ("授权已终止", "the grant has ended"),
    ErrorCode.PURPOSE_REQUIRED: ("使用经授权的数据须说明用途", "data under a grant needs a stated purpose"),
    ErrorCode.PURPOSE_MISMATCH: (
        "本次查询的用途与授权所列用途不符",
        "the stated purpose is not the one that the grant names",
    ),
    ErrorCode.STATISTICS_ONLY: ("授权仅限统计使用", "the grant is for statistics only"),
    ErrorCode.MASKED_USE: (
        "该信息项仅以脱敏形式提供，不能用于筛选、排序、分组或统计",
        "the item is shown masked only and cannot be filtered, sorted, grouped or aggregated",
    ),
}
_ZONES = {Zone.INTRANET: ("共享平台（内网）", "intranet"), Zone.EXTRANET: ("共享平台（外网）", "extranet")}


def reason(denial: Denial, snapshot: Snapshot, language: Language) -> str:
    """Why, in one sentence without a final period; `snapshot` is the one that was decided by.

    Codes outside the decision have no words here.
    """
    match denial.code:
        case ErrorCode.OUT_OF_ZONE:
            zh, en = _zone(denial, snapshot)
            words = (f"该资源由{zh}提供，不在本平台", f"the resource is served by the sharing platform of the {en}")
        case ErrorCode.NOT_SHARED:
            zh, en = _part(denial, snapshot)
            words = (f"该{zh}不予共享", f"the {en} is not shared")
        case ErrorCode.GRANT_REQUIRED if _share_class(denial, snapshot) is ShareClass.UNCONDITIONAL:
            zh, en = _part(denial, snapshot)
            words = (f"该{zh}无条件共享，但须先提出申请", f"the {en} is shared unconditionally, on application")
        case ErrorCode.GRANT_REQUIRED:
            zh, en = _part(denial, snapshot)
            words = (f"该{zh}有条件共享，须经提供部门同意", f"the {en} is shared conditionally and needs a grant")
        case ErrorCode.PURPOSE_MISMATCH if denial.item is None:
            words = ("访问令牌不允许该用途", "the token does not allow this purpose")
        case _:
            words = _REASONS.get(denial.code, ("", ""))
    return words[0] if language == "zh" else words[1]


def _zone(denial: Denial, snapshot: Snapshot) -> tuple[str, str]:
    return _ZONES[snapshot.resources[denial.resource].zone]


def _part(denial: Denial, snapshot: Snapshot) -> tuple[str, str]:
    """What a denial is about."""
    if denial.item in snapshot.resources[denial.resource].relation_by_name:
        return "关联", "relation"
    return "信息项", "item"


def _share_class(denial: Denial, snapshot: Snapshot) -> ShareClass:
    """The class of the item or relation that a denial is about."""
    resource = snapshot.resources[denial.resource]
    item = resource.item_by_name.get(denial.item or "")
    if item is not None:
        return item.share_class
    return snapshot.relation_class(resource, resource.relation_by_name[denial.item or ""])


def article_words(article: str, rules: RuleSet, language: Language) -> str:
    """The citation in words, with the title of the regulation. Raises KeyError for what `rules` does not cite."""
    if language == "zh":
        return f"《{rules.title}》{rules.citations[article]}"
    place = article[max(article.find("Art. "), 0) :] if "Art. " in article else ""
    return f"{rules.title_en}, {place}" if place else rules.title_en


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
                f"apply to {en}, reply due in {_working_days(remedy)}",
            )
        case RemedyAction.RENEW:
            pair = (
                f"向{zh}重新申请，{remedy.reply_within}个工作日内答复",
                f"apply again to {en}, reply due in {_working_days(remedy)}",
            )
        case RemedyAction.CONSULT:
            pair = (
                f"确因履职需要的，与{zh}协商；协商不成的，由同级数据共享主管部门协调",
                f"if duties really require it, consult with {en}; failing that, the competent "
                "department of that level coordinates",
            )
        case RemedyAction.COORDINATE:
            pair = ("由同级数据共享主管部门协调解决", "the competent department of that level coordinates")
        case RemedyAction.STATE_PURPOSE if denial.code is ErrorCode.PURPOSE_REQUIRED:
            pair = (
                "在请求头 `Purpose` 中写明本次查询的用途，访问令牌须允许该用途",
                "state the purpose of the query in the header `Purpose`, with a token that allows it",
            )
        case RemedyAction.STATE_PURPOSE:
            pair = (
                "确为授权所列用途的，用允许该用途的访问令牌，并在请求头 `Purpose` 中写明；用于其他用途的，须另行申请",
                "if the data are really for the purpose that the grant names, state it in the header `Purpose`, with a "
                "token that allows it; for another purpose, apply for a grant",
            )
        case RemedyAction.CONTACT_PROVIDER if denial.code is ErrorCode.QUOTA_EXCEEDED:
            pair = (
                f"减少本次查询的行数，或于次日（北京时间）再查；长期不足的，与{zh}商定更大的配额",
                f"ask for fewer rows, or again on the next day (Beijing time); agree on a larger quota with {en}",
            )
        case RemedyAction.CONTACT_PROVIDER:
            pair = (f"与{zh}联系", f"contact {en}")
        case RemedyAction.USE_OTHER_TOKEN if denial.code is ErrorCode.PURPOSE_MISMATCH:
            pair = ("使用允许该用途的访问令牌", "use a token that allows the purpose")
        case RemedyAction.USE_OTHER_TOKEN if denial.code in (ErrorCode.GRANT_REQUIRED, ErrorCode.NOT_SHARED):
            pair = (
                "本部门自有数据：使用带有 `data.own` 角色的访问令牌",
                "your own department's data: use a token with the role `data.own`",
            )
        case RemedyAction.USE_OTHER_TOKEN:
            pair = ("使用范围包含此项的访问令牌", "use a token whose scope includes it")
        case RemedyAction.USE_OTHER_NODE:
            zone = _zone(denial, snapshot)
            pair = (f"到{zone[0]}查询", f"ask on the sharing platform of the {zone[1]}")
        case _:  # SELECT_ONLY
            pair = ("仅查询其脱敏值", "select its masked value only")
    return pair[0] if language == "zh" else pair[1]


def _working_days(remedy: Remedy) -> str:
    return f"{remedy.reply_within} working {'day' if remedy.reply_within == 1 else 'days'}"


_PERIODS: dict[Period, tuple[str, str]] = {
    Period.DAY: ("每日发布一次（北京时间）", "published once a day (Beijing time)"),
    Period.MONTH: ("每月发布一次（北京时间）", "published once a month (Beijing time)"),
    Period.QUARTER: ("每季度发布一次（北京时间）", "published once a quarter (Beijing time)"),
    Period.YEAR: ("每年发布一次（北京时间）", "published once a year (Beijing time)"),
}


def describe_period(period: Period, language: Language) -> str:
    """How often a cube is published; until then every answer is from the same one."""
    return _PERIODS[period][0 if language == "zh" else 1]
