"""In charge of saying row scopes in words, in Chinese and English: whoever signs reads what is decided.

INVARIANT: different scopes have different words. Names and values are quoted and escaped, every combination within
another is bracketed, and what cannot be said raises ValueError instead of being said vaguely.
"""

import unicodedata
from collections.abc import Iterable
from datetime import datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, Literal, TypeAlias

from tanglai.catalogue.expressions import (
    FALSE,
    TRUE,
    And,
    Attribute,
    Compare,
    CompareOp,
    Expression,
    In,
    IsNull,
    ItemRef,
    Match,
    MatchOp,
    Not,
    Or,
    Value,
    Within,
    disjunction,
)
from tanglai.catalogue.model import Department, Item, Resource, Snapshot
from tanglai.catalogue.scalars import ScalarType, plain_decimal

Language: TypeAlias = Literal["zh", "en"]

BEIJING = timezone(timedelta(hours=8))

_AS_NUMBERS = {
    CompareOp.EQ: ("等于", "is"),
    CompareOp.NE: ("有值且不等于", "is a value other than"),
    CompareOp.LT: ("小于", "is less than"),
    CompareOp.LTE: ("不大于", "is at most"),
    CompareOp.GT: ("大于", "is greater than"),
    CompareOp.GTE: ("不小于", "is at least"),
}
_AS_TIMES = {
    CompareOp.EQ: ("为", "is"),
    CompareOp.NE: ("有值且不为", "is a value other than"),
    CompareOp.LT: ("早于", "is before"),
    CompareOp.LTE: ("不晚于", "is not after"),
    CompareOp.GT: ("晚于", "is after"),
    CompareOp.GTE: ("不早于", "is not before"),
}
_AS_TEXTS = {
    CompareOp.EQ: ("为", "is"),
    CompareOp.NE: ("有值且不为", "is a value other than"),
    CompareOp.LT: ("按字符编码先于", "sorts by code point before"),
    CompareOp.LTE: ("按字符编码不后于", "does not sort by code point after"),
    CompareOp.GT: ("按字符编码后于", "sorts by code point after"),
    CompareOp.GTE: ("按字符编码不先于", "does not sort by code point before"),
}
_TIMES = (ScalarType.DATE, ScalarType.TIME, ScalarType.DATETIME)


def describe_rows(
    scopes: Iterable[Expression], resource: Resource, snapshot: Snapshot, requester: Department, language: Language
) -> str:
    """The rows in any of `scopes`, predicates over items of `resource` as a grant has them, in words.

    Items are named by title (Chinese) or GraphQL name (English); attributes are those of `requester`. Comparisons hold
    for rows that have a value. Raises ValueError for what is no row scope.
    """
    return _Speaker(resource, snapshot, requester, language == "zh").rows(disjunction(*scopes))


def quoted_words(text: str, *, zh: bool) -> str:
    """`text` in quotation marks of the language, so that one sees where it ends and what is in it.

    Quotation marks, backslashes, and characters that are invisible or look like others are escaped.
    """
    composed = unicodedata.normalize("NFC", text) == text
    body = "".join(_visible(letter, composed) for letter in text)
    return f"“{body}”" if zh else f'"{body}"'


def _visible(letter: str, composed: bool) -> str:
    if letter in '\\"“”':
        return f"\\{letter}"
    category = unicodedata.category(letter)
    if (category[0] in "CZ" and letter != " ") or (category[0] == "M" and not composed):
        return f"\\u{{{ord(letter):X}}}"
    return letter


class _Speaker:
    def __init__(self, resource: Resource, snapshot: Snapshot, requester: Department, zh: bool) -> None:
        self.resource = resource
        self.snapshot = snapshot
        self.requester = requester
        self.zh = zh
        titles = [item.title for item in resource.items]
        self.shared_titles = {title for title in titles if titles.count(title) > 1}

    def either(self, zh: str, en: str) -> str:
        return zh if self.zh else en

    def rows(self, scope: Expression) -> str:
        if scope == TRUE:
            return self.either("全部", "all rows")
        if scope == FALSE:
            return self.either("无", "no rows")
        return self.say(scope)

    def say(self, node: Expression) -> str:
        match node:
            case And(parts):
                return self.either("，且", " and ").join(self.bracketed(part) for part in parts)
            case Or(parts):
                return self.either("，或", " or ").join(self.bracketed(part) for part in parts)
            case Not(IsNull(ItemRef(name))):
                return self.item(name) + self.either("不为空", " has a value")
            case Not(In(ItemRef(name), values)):
                return self.item(name) + self.listed(
                    name, values, "有值且不为下列任一：", " is a value other than any of "
                )
            case Not(part):
                return self.either(f"确定不符合（{self.say(part)}）", f"certainly not ({self.say(part)})")
            case IsNull(ItemRef(name)):
                return self.item(name) + self.either("为空", " is empty")
            case Compare(op, ItemRef(name, kind), operand):
                return self.item(name) + self.compared(op, kind, self.operand(name, operand))
            case In(ItemRef(name), values):
                return self.item(name) + self.listed(name, values, "为下列之一：", " is one of ")
            case Match(op, ItemRef(name), Value(value)):
                return self.item(name) + self.matched(op, quoted_words(value, zh=self.zh))
            case Within(ItemRef(name), division):
                return self.item(name) + self.within(division)
        raise ValueError(f"no words for `{type(node).__name__}` in a row scope")

    def bracketed(self, part: Expression) -> str:
        words = self.say(part)
        return self.either(f"（{words}）", f"({words})") if isinstance(part, And | Or) else words

    def item(self, name: str) -> str:
        item = self._item(name)
        if not self.zh:
            return f"`{item.graphql}`"
        words = quoted_words(item.title, zh=True)
        return f"{words}（{item.graphql}）" if item.title in self.shared_titles else words

    def _item(self, name: str) -> Item:
        item = self.resource.item_by_name.get(name)
        if item is None:
            raise ValueError(f"resource `{self.resource.code}` has no item `{name}`")
        return item

    def compared(self, op: CompareOp, kind: ScalarType, operand: str) -> str:
        table = _AS_TEXTS if kind is ScalarType.TEXT else _AS_TIMES if kind in _TIMES else _AS_NUMBERS
        words = table[op]
        return f"{words[0]}{operand}" if self.zh else f" {words[1]} {operand}"

    def listed(self, name: str, values: Iterable[Expression], zh: str, en: str) -> str:
        return self.either(zh, en) + self.either("、", ", ").join(self.operand(name, value) for value in values)

    def matched(self, op: MatchOp, needle: str) -> str:
        if op is MatchOp.STARTS_WITH:
            return self.either(f"以{needle}开头", f" starts with {needle}")
        return self.either(f"包含{needle}", f" contains {needle}")

    # --- operands --------------------------------------------------------------------------------------------------

    def operand(self, name: str, operand: Expression) -> str:
        match operand:
            case Attribute("department.code"):
                code = self.requester.code
                return self.either(f"申请部门的统一社会信用代码（{code}）", f"the requester's credit code ({code})")
            case Attribute("department.division"):
                name, code = self.division(self.requester.division)
                return self.either(
                    f"申请部门所在行政区划的代码（{name}，{code}）",
                    f"the code of the requester's division ({name}, {code})",
                )
            case Value(value, kind):
                return self.value(self._item(name), value, kind)
        raise ValueError(f"no words for `{type(operand).__name__}` in a row scope")

    def value(self, item: Item, value: Any, kind: ScalarType) -> str:
        words = _scalar(value, kind, self.zh)
        title = next((code.title for code in item.codes if code.value == str(value)), None)
        if title is None:
            return words
        meant = "".join(_visible(letter, True) for letter in title)
        return self.either(f"{words}（{meant}）", f"{words} ({meant})")

    def within(self, division: str | Attribute) -> str:
        if isinstance(division, str):
            name, code = self.division(division)
            return self.either(
                f"在{name}（{code}，含原区划）范围内", f" lies in {name} ({code}, former divisions included)"
            )
        if division.name != "department.division":
            raise ValueError(f"no words for attribute `{division.name}` as a division")
        name, code = self.division(self.requester.division)
        return self.either(
            f"在申请部门所在行政区划（{name}，{code}，含原区划）范围内",
            f" lies in the requester's division ({name}, {code}, former divisions included)",
        )

    def division(self, code: str) -> tuple[str, str]:
        division = self.snapshot.divisions.get(code)
        if division is None:
            return self.either("行政区划", "division"), code
        return self.either(division.name, division.name_en), code


def _scalar(value: Any, kind: ScalarType, zh: bool) -> str:
    match kind:
        case ScalarType.TEXT:
            return quoted_words(value, zh=zh)
        case ScalarType.BOOLEAN:
            return ("是" if value else "否") if zh else ("yes" if value else "no")
        case ScalarType.INTEGER | ScalarType.LONG:
            return f"{value:,}"
        case ScalarType.DECIMAL:
            return _grouped(value)
        case ScalarType.DATE:
            return f"{value.year}年{value.month}月{value.day}日" if zh else str(value.isoformat())
        case ScalarType.TIME:
            return _clock(value)
        case ScalarType.DATETIME:
            return _moment(value, zh)
    return repr(value)


def _grouped(value: Decimal) -> str:
    whole, point, rest = plain_decimal(value).partition(".")
    sign, digits = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    return f"{sign}{int(digits):,}{point}{rest}"


def _clock(value: time) -> str:
    if value.microsecond:
        return value.isoformat(timespec="microseconds")
    return value.isoformat(timespec="seconds" if value.second else "minutes")


def _moment(value: datetime, zh: bool) -> str:
    """In Beijing time; where no calendar has that moment there any more, in universal time."""
    try:
        local, place = value.astimezone(BEIJING), "北京时间" if zh else "Beijing time"
    except OverflowError:
        local, place = value, "协调世界时" if zh else "UTC"
    day, clock = local.date(), _clock(local.time())
    return f"{day.year}年{day.month}月{day.day}日{clock}（{place}）" if zh else f"{day.isoformat()} {clock} ({place})"
