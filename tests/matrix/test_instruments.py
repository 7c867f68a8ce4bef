"""The instruments of the end-to-end part measure: covering arrays cover, readings of answers differ, leaks are seen."""

import json
from itertools import product
from typing import Any

import pytest

from tests.catalogues import CONDITIONAL, make_item, make_resource, make_snapshot
from tests.matrix import observed, region
from tests.matrix.asking import Reply
from tests.matrix.covering import covering, pairs
from tests.matrix.rules import NULL, REFUSED, Cell, Verdict
from tests.matrix.states import STATES, Sight
from tests.matrix.steps import Step, Usage, Way

PERSON = make_resource("person", [make_item("phone", share_class=CONDITIONAL)], code=region.PERSON)
CELL = Cell(make_snapshot([PERSON]), PERSON, "phone", STATES[0])
AT = ("data", "town", "persons", "nodes", "phone")
WAY = Way("select / list nodes", "", (Step(Usage.SELECT, PERSON.code, "phone", AT),))
PHONES = [row["phone"] for row in region.rows()["person"]]


def reply(values: list[Any], **more: Any) -> Reply:
    nodes = [{"phone": value} for value in values]
    body = {"data": {"data": {"town": {"persons": {"nodes": nodes}}}}, **more}
    return Reply(json.dumps(body).encode(), body)


def test_a_covering_array_holds_every_pair_and_is_small() -> None:
    rows = [row for row in product("abcdefgh", range(12), range(20), "xyz") if (row[1] + row[2]) % 5]
    chosen = covering(rows)
    assert {pair for row in chosen for pair in pairs(row)} == {pair for row in rows for pair in pairs(row)}
    assert len(chosen) < len(rows) // 10
    assert chosen == covering(rows)


@pytest.mark.parametrize(
    ("values", "sight"),
    [
        (PHONES, Sight.CLEAR),
        ([*PHONES[: region.IN_SCOPE], None, None], Sight.PARTLY),
        ([region.masked(phone) for phone in PHONES], Sight.MASKED),
        ([PHONES[0], *(region.masked(phone) for phone in PHONES[1:])], Sight.MIXED),
        ([None, None], "null without an error"),
    ],
)
def test_what_is_answered_is_read_off(values: list[Any], sight: str) -> None:
    assert observed.verdict(CELL, WAY, [reply(values)], Verdict("anything")) == Verdict(sight)


def test_errors_and_refusals_are_read_off() -> None:
    told = {"extensions": {"code": "X", "resource": PERSON.code, "item": "phone", "fieldPath": ".".join(AT)}}
    about = (PERSON.code, "phone")
    assert observed.verdict(CELL, WAY, [reply([None], errors=[told])], Verdict("")) == Verdict(NULL, "X", about, AT)
    refusal = Reply(b"", {"errors": [told]})
    assert observed.verdict(CELL, WAY, [refusal], Verdict("")) == Verdict(REFUSED, "X", about)
    with pytest.raises(AssertionError, match="not null"):
        observed.verdict(CELL, WAY, [reply([PHONES[0]], errors=[told])], Verdict(""))
    with pytest.raises(AssertionError, match="neither raw"):
        observed.verdict(CELL, WAY, [reply(["something else"])], Verdict(""))


def test_a_value_in_the_bytes_is_a_leak_unless_it_is_clear() -> None:
    answer = reply(PHONES)
    assert observed.leaked(CELL, Verdict(Sight.CLEAR), answer) == []
    assert observed.leaked(CELL, Verdict(Sight.PARTLY), answer) == PHONES[region.IN_SCOPE :]
    assert observed.leaked(CELL, Verdict(Sight.MASKED), answer) == PHONES
    assert observed.leaked(CELL, Verdict(REFUSED), Reply(f'{{"hint":"{PHONES[2]}"}}'.encode(), {})) == [PHONES[2]]
    assert observed.leaked(CELL, Verdict(Sight.MASKED), reply([region.masked(PHONES[0])])) == []
