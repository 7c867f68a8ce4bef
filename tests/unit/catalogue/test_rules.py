"""The figures of both rule sets, as the law gives them, and that nothing else carries one."""

import re
from typing import Any

import pytest

from tanglai.catalogue.model import ShareClass
from tanglai.catalogue.rules import DeadlineKind, rule_set, rule_set_names

MEASURES, ORDER = rule_set("ningxia-measures"), rule_set("order-809")
UNCONDITIONAL, CONDITIONAL, NOT_SHARED = ShareClass
TEN = {CONDITIONAL: 10}


def test_the_names_are_those_of_the_files() -> None:
    assert rule_set_names() == ("ningxia-measures", "order-809")
    with pytest.raises(ValueError, match="unknown rule set `x`, known are `ningxia-measures`, `order-809`"):
        rule_set("x")


@pytest.mark.parametrize(
    ("name", "kind", "days", "by_class", "extension", "pauses", "article"),
    [
        ("ningxia-measures", DeadlineKind.REPLY, None, TEN, None, False, "Art. 11(3)"),
        ("ningxia-measures", DeadlineKind.OBLIGATION, 15, {}, None, False, "Art. 8"),
        ("ningxia-measures", DeadlineKind.CONSULTATION, 10, {}, None, False, "Art. 11(4)"),
        ("order-809", DeadlineKind.REPLY, None, {UNCONDITIONAL: 1} | TEN, 10, True, "Order 809 Art. 21"),
        ("order-809", DeadlineKind.OBLIGATION, 10, {}, 5, False, "Order 809 Art. 17"),
        ("order-809", DeadlineKind.AUDIT, 2, {}, None, False, "Order 809 Art. 17"),
        ("order-809", DeadlineKind.SUPPLY, 20, {}, None, False, "Order 809 Art. 22"),
        ("order-809", DeadlineKind.CORRECTION, 10, {}, None, False, "Order 809 Art. 26"),
        ("order-809", DeadlineKind.COMPLIANCE, None, {}, None, False, "Order 809 Art. 27"),
        ("order-809", DeadlineKind.CONSULTATION, 10, {}, None, False, "Order 809 Art. 28"),
    ],
)
def test_deadlines(
    name: str,
    kind: DeadlineKind,
    days: int | None,
    by_class: dict[ShareClass, int],
    extension: int | None,
    pauses: bool,
    article: str,
) -> None:
    rule = rule_set(name).deadlines[kind]
    assert (rule.kind, rule.days, rule.by_class) == (kind, days, by_class)
    assert (rule.extension, rule.pauses, rule.article) == (extension, pauses, article)
    assert rule.article in rule_set(name).citations


def test_other_deadlines_there_are_none() -> None:
    assert set(MEASURES.deadlines) == {DeadlineKind.REPLY, DeadlineKind.OBLIGATION, DeadlineKind.CONSULTATION}
    assert set(ORDER.deadlines) == set(DeadlineKind)


def test_days_by_share_class() -> None:
    reply, obligation = ORDER.deadlines[DeadlineKind.REPLY], ORDER.deadlines[DeadlineKind.OBLIGATION]
    assert [reply.working_days(c) for c in (None, UNCONDITIONAL, CONDITIONAL, NOT_SHARED)] == [None, 1, 10, None]
    assert [obligation.working_days(c) for c in (None, CONDITIONAL)] == [10, 10]
    assert MEASURES.deadlines[DeadlineKind.REPLY].working_days(UNCONDITIONAL) is None


def test_the_reply_in_a_denial_is_the_deadline() -> None:
    """Unconditional items are taken without a reply under the Measures, and within a day under the Order."""
    assert MEASURES.reply_within == {UNCONDITIONAL: 0, CONDITIONAL: 10}
    assert ORDER.reply_within == {UNCONDITIONAL: 1, CONDITIONAL: 10}


@pytest.mark.parametrize("rules", [MEASURES, ORDER], ids=lambda rules: rules.id)
def test_a_rule_set_is_read_only_and_told_apart_by_its_version(rules: Any) -> None:
    assert rules.reminders == (5, 2, 0)
    assert rules.version == 1
    for mapping in (rules.deadlines, rules.reply_within):
        with pytest.raises(TypeError, match=re.escape("does not support item assignment")):
            mapping[DeadlineKind.REPLY] = None
