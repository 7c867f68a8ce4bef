"""In charge of three-valued logic, division codes and masks in the oracle: plain Python, nothing clever."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from tanglai.catalogue.expressions import (
    And,
    Attribute,
    Boolean,
    Compare,
    Expression,
    In,
    IsNull,
    ItemRef,
    Match,
    Not,
    Or,
    Value,
    Within,
)
from tanglai.catalogue.masks import Mask
from tanglai.catalogue.model import Division

Truth = bool | None
"""TRUE, FALSE, or None for UNKNOWN."""


def every(truths: list[Truth]) -> Truth:
    """AND; of nothing, TRUE."""
    if False in truths:
        return False
    return None if None in truths else True


def some(truths: list[Truth]) -> Truth:
    """OR; of nothing, FALSE."""
    if True in truths:
        return True
    return None if None in truths else False


def negation(value: Truth) -> Truth:
    return None if value is None else not value


def compared(operator: str, cell: Any, operand: Any) -> Truth:
    """`cell operator operand` as in SQL; text by code point, which is how Python compares texts."""
    if operator == "in":
        return some([compared("eq", cell, one) for one in operand])
    if operator == "notIn":
        return negation(compared("in", cell, operand))
    if operator == "isNull":
        return (cell is None) is operand
    if cell is None or operand is None:
        return None
    match operator:
        case "eq":
            return bool(cell == operand)
        case "ne":
            return bool(cell != operand)
        case "lt":
            return bool(cell < operand)
        case "lte":
            return bool(cell <= operand)
        case "gt":
            return bool(cell > operand)
        case "gte":
            return bool(cell >= operand)
        case "startsWith":
            return bool(str(cell)[: len(operand)] == operand)
        case "contains":
            return str(operand) in str(cell)
    raise AssertionError(operator)


def truth(
    scope: Expression, row: Mapping[str, Any], attributes: Mapping[str, str], divisions: Mapping[str, Division]
) -> Truth:
    """A row scope on a row (item -> raw value)."""

    def value(operand: Expression) -> Any:
        match operand:
            case ItemRef(name):
                return row[name]
            case Value(value):
                return value
            case Attribute(name):
                return attributes[name]
        raise AssertionError(operand)

    def holds(node: Expression) -> Truth:
        match node:
            case Boolean(value=constant):
                return constant
            case And(parts):
                return every([holds(part) for part in parts])
            case Or(parts):
                return some([holds(part) for part in parts])
            case Not(part):
                return negation(holds(part))
            case Compare(op, left, right):
                return compared(op.value, value(left), value(right))
            case Match(op, operand, needle):
                return compared(op.value, value(operand), value(needle))
            case In(operand, values):
                return compared("in", value(operand), [value(one) for one in values])
            case IsNull(operand):
                return value(operand) is None
            case Within(item, division):
                code = division if isinstance(division, str) else value(division)
                return None if value(item) is None else lies_within(value(item), code, divisions)
        raise AssertionError(node)

    return holds(scope)


def readable(scope: Any, attributes: Mapping[str, str]) -> bool:
    """Whether every attribute that the scope names exists."""
    if isinstance(scope, Attribute):
        return scope.name in attributes
    if isinstance(scope, tuple):
        return all(readable(part, attributes) for part in scope)
    if is_dataclass(scope):
        return all(readable(getattr(scope, part.name), attributes) for part in fields(scope))
    return True


def lies_within(text: str, division: str, divisions: Mapping[str, Division]) -> bool:
    """Whether a code lies in `division` or below it; a former division is where its last successor is.

    64.... is a region, 6401.. a city, 640105 a county; a township's longer code goes with its county's six digits.
    """

    def digits(code: str) -> str:
        return code[:2] if code.endswith("0000") else code[:4] if code.endswith("00") else code

    def below(code: str) -> bool:
        return code.startswith(digits(division))

    known = [d for d in divisions.values() if text.startswith(digits(d.code))]
    nearest = max(known, key=lambda d: len(digits(d.code)), default=None)
    if nearest is None or len(digits(nearest.code)) < len(digits(division)):
        return below(text)
    passed = [nearest.code]
    while nearest.successor is not None and nearest.code != division:
        nearest = divisions[nearest.successor]
        passed.append(nearest.code)
    return division in passed or below(passed[-1])


def render(mask: Mask, raw: str | None, pseudonym_key: bytes) -> str | None:
    """What a mask leaves of a text; mask(null) = null."""
    if raw is None:
        return None
    length = len(raw)
    match mask.kind.value:
        case "KEEP":
            if length <= mask.prefix + mask.suffix:
                return "*" * length
            kept = [c if i < mask.prefix or i >= length - mask.suffix else "*" for i, c in enumerate(raw)]
            return "".join(kept)
        case "FIRST":
            return "**" if length < 2 else raw[0] + "**"
        case "DOMAIN":
            return "***" + (raw[raw.rindex("@") :] if "@" in raw else "")
        case "REGION":
            return ("" if length <= mask.prefix else raw[: mask.prefix]) + "***"
        case "PSEUDONYM":
            return hmac.new(pseudonym_key, raw.encode(), hashlib.sha256).digest()[:16].hex()
        case "REDACT":
            return "***"
    raise AssertionError(mask)
