"""Evaluation: rates from figures, a score by the weights of the rule set, a ranking that does not depend on chance."""

import re
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from tanglai.catalogue.model import Department, Level
from tanglai.catalogue.rules import DeadlineKind, rule_set_names
from tanglai.catalogue.workflow.evaluation import (
    CriterionCode,
    Figures,
    Side,
    Tally,
    ViolationCode,
    connected,
    ranked,
    scheme,
    score,
    supervised,
    supervises,
    violations,
)
from tests.catalogues import DATA_OFFICE, DIVISIONS, PUBLIC_SECURITY, YINCHUAN, make_snapshot

MEASURES, ORDER = scheme("ningxia-measures"), scheme("order-809")
REPLY, UPDATE = DeadlineKind.REPLY, DeadlineKind.OBLIGATION


def figures(code: str = "D", /, **values: Any) -> Figures:
    return replace(Figures(code), **values)


@pytest.mark.parametrize("name", rule_set_names())
def test_every_rule_set_has_weights(name: str) -> None:
    by = scheme(name)
    assert sum(criterion.weight for criterion in by.criteria) == 100
    assert list(by.articles) == list(ViolationCode)
    cited = [criterion.article for criterion in by.criteria] + list(by.articles.values())
    assert all(re.fullmatch(r"(Order 809 )?Art\. \d+(\(\d\))?", article) for article in cited)


def test_the_score_is_the_weighted_mean_of_what_can_be_judged() -> None:
    it = figures(
        deadlines={REPLY: Tally(due=5, on_time=3, late=1, overdue=1), UPDATE: Tally(due=4, on_time=2, running=2)},
        sources=4,
        sources_down=("a",),
    )
    found = score(it, MEASURES)
    # 30 for updates at 1, 30 for replies at 3/5, 10 for sources at 3/4; corrections, interfaces, grants: nothing there
    assert found.points == Decimal("79.29")
    assert found.rates == {
        CriterionCode.UPDATES_ON_TIME: Decimal("1.0000"),
        CriterionCode.REPLIES_ON_TIME: Decimal("0.6000"),
        CriterionCode.CORRECTIONS_ANSWERED: None,
        CriterionCode.SOURCES_UP: Decimal("0.7500"),
        CriterionCode.INTERFACES_RETIRED: None,
        CriterionCode.GRANTS_USED: None,
    }
    assert found.deducted == 0


def test_nothing_to_judge_is_no_score() -> None:
    running = figures(deadlines={REPLY: Tally(due=3, running=3)})
    assert score(running, MEASURES).points is None
    assert [pair[1].rank for pair in ranked([running, figures("B")], MEASURES)] == [None, None]


def test_deductions_have_bounds() -> None:
    good = figures(grants=2, grants_unused=0)
    assert score(replace(good, suspensions={"PASSED_ON": 1, "INSECURE": 7}), MEASURES).points == 90
    assert score(replace(good, suspensions={"PASSED_ON": 9, "OTHER_PURPOSE": 1}), MEASURES).points == 75
    assert score(replace(good, grants_unused=2, suspensions={"PASSED_ON": 9}), MEASURES).points == 0
    assert score(replace(good, endings_alone=2, refusals_downwards=3), ORDER).points == 87
    assert score(replace(good, endings_alone=2, refusals_downwards=3), MEASURES).points == 100


def test_equal_points_have_equal_ranks_and_stand_by_code() -> None:
    half, full = figures(grants=2, grants_unused=1), figures(grants=1)
    given = [replace(half, department=code) for code in ("C", "A", "B")] + [replace(full, department="Z"), figures("0")]
    found = [(it.department, found.rank) for it, found in ranked(given, MEASURES)]
    assert found == [("Z", 1), ("A", 2), ("B", 2), ("C", 2), ("0", None)]
    assert [it.department for it, _ in ranked(given[::-1], MEASURES)] == ["Z", "A", "B", "C", "0"]


def test_violations_of_both_sides() -> None:
    it = figures(
        deadlines={UPDATE: Tally(late=1, overdue=2), REPLY: Tally(late=4)},
        suspensions={"OVERUSE": 1, "OTHER_PURPOSE": 1, "NO_RECORDS": 4},
        disposals=3,
        disposals_stated=1,
        refusals_downwards=5,
    )
    counts = {found.code: found.count for found in violations(it, ORDER)}
    assert counts == {
        ViolationCode.CATALOGUE_LATE: 3,
        ViolationCode.ADDED_CONDITIONS: None,
        ViolationCode.LATE_REPLY: 4,
        ViolationCode.LATE_SUPPLY: None,
        ViolationCode.NO_RETURN_FLOW: 5,
        ViolationCode.LATE_CORRECTION: 0,
        ViolationCode.UNILATERAL_ENDING: 0,
        ViolationCode.OVERUSE: 2,
        ViolationCode.PASSING_ON: 0,
        ViolationCode.NO_DISPOSAL: 2,
        ViolationCode.MISSING_RECORDS: 4,
    }
    assert {code for code in ViolationCode if code.side is Side.REQUESTER} == {
        ViolationCode.OVERUSE,
        ViolationCode.PASSING_ON,
        ViolationCode.NO_DISPOSAL,
        ViolationCode.MISSING_RECORDS,
    }


CITY = replace(YINCHUAN, competent=True)
BUREAU = Department("11640100MB1A00006L", "yinchuan-health", "银川市卫健委", "Health", Level.CITY, "640100")
COUNTY = Department("11640121MB1A00007G", "yongning-health", "永宁县卫健局", "Yongning", Level.COUNTY, "640121")
ELSEWHERE = Department("11640200MB1A00008C", "shizuishan", "石嘴山市局", "Shizuishan", Level.CITY, "640200")
GONE = Department("11640000MB1A00009X", "gone", "原厅", "Gone", Level.REGION, "640000", active=False)
SNAPSHOT = make_snapshot(
    [],
    departments=[DATA_OFFICE, PUBLIC_SECURITY, CITY, BUREAU, COUNTY, ELSEWHERE, GONE],
    divisions=[*DIVISIONS, replace(DIVISIONS[1], code="640200", valid_from=date(1960, 1, 1))],
)


def test_a_competent_department_supervises_its_level_and_what_nobody_below_does() -> None:
    keys = [it.key for it in supervised(SNAPSHOT, DATA_OFFICE.code)]
    assert keys == ["data-office", "public-security", "shizuishan"]
    assert {it.key for it in supervised(SNAPSHOT, CITY.code)} == {"yinchuan-data", "yinchuan-health", "yongning-health"}
    assert supervised(SNAPSHOT, BUREAU.code) == ()


def test_lower_catalogues_are_connected() -> None:
    assert {it.key for it in connected(SNAPSHOT, DATA_OFFICE.code)} == {
        "yinchuan-data",
        "yinchuan-health",
        "yongning-health",
    }
    assert connected(SNAPSHOT, CITY.code) == ()
    assert connected(SNAPSHOT, COUNTY.code) == ()


def test_who_acts_as_a_supervisor() -> None:
    assert supervises(SNAPSHOT, DATA_OFFICE.code, frozenset({"supervisor"}))
    assert not supervises(SNAPSHOT, DATA_OFFICE.code, frozenset({"head"}))
    assert not supervises(SNAPSHOT, PUBLIC_SECURITY.code, frozenset({"supervisor"}))
