"""Published cubes, the pure part: which grants have one, what is published, what it answers and what it never tells."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.cubes import Cube, CubeRule, answer, cube_from_json, cube_rule, cube_to_json, period_of, publish
from authz.decide import Asking, MaskKey, decide
from authz.explain import StatisticsAccess, Verdict, explain
from authz.principal import OWN_DATA_ROLE, Principal, TokenScope
from authz.visible import VisibleRelation
from tanglai.catalogue.errors import ErrorCode
from tanglai.catalogue.expressions import (
    FALSE,
    TRUE,
    Attribute,
    Compare,
    CompareOp,
    Expression,
    ItemRef,
    Value,
    Within,
)
from tanglai.catalogue.model import Grant, GrantBasis, GrantState, Period, Statistics, Usage, Zone
from tanglai.catalogue.rules import rule_set
from tanglai.catalogue.scalars import ScalarType
from tests.catalogues import (
    CONDITIONAL,
    NOT_SHARED,
    PUBLIC_SECURITY,
    YINCHUAN,
    keep,
    make_item,
    make_resource,
    make_snapshot,
)

NOW = datetime(2026, 5, 6, 4, 0, tzinfo=UTC)
PURPOSE = "statistics"
RESIDENT = make_resource(
    "resident",
    [
        make_item("name"),
        make_item("sex", codes=["1", "2"]),
        make_item("nation", share_class=CONDITIONAL, codes=["汉", "回"], masks=[keep("first", 0, 1)]),
        make_item("rooms", ScalarType.INTEGER, share_class=CONDITIONAL, codes=["1", "2", "3"]),
        make_item("income", ScalarType.DECIMAL, share_class=CONDITIONAL),
        make_item("score", ScalarType.FLOAT, share_class=CONDITIONAL),
        make_item("phone", share_class=CONDITIONAL),
        make_item("file", share_class=NOT_SHARED, codes=["a"]),
    ],
    code="R/1",
)
SNAPSHOT = make_snapshot([RESIDENT])


def terms(**more: Any) -> Statistics:
    defaults: dict[str, Any] = {
        "dimensions": ("nation", "sex"),
        "measures": ("income", "score"),
        "period": Period.MONTH,
        "minimum_cell": 5,
        "base": 5,
        "sum_base": Decimal("100"),
    }
    return Statistics(**defaults | more)


def grant(id: str = "g1", statistics: Statistics | None = None, **more: Any) -> Grant:
    statistics = statistics or terms()
    defaults: dict[str, Any] = {
        "requester": YINCHUAN.code,
        "resource": "R/1",
        "purpose": PURPOSE,
        "valid_from": NOW - timedelta(days=1),
        "valid_to": NOW + timedelta(days=1),
        "basis": GrantBasis.APPLICATION,
        "usage": Usage.STATISTICS,
        "items": statistics.items,
        "statistics": statistics,
    }
    return Grant(id=id, **defaults | more)


def reading(items: str, id: str = "r1", **more: Any) -> Grant:
    return grant(id, usage=Usage.READ, items=frozenset(items.split()), **{"statistics": None, **more})


def asking(*grants: Grant, **more: Any) -> Asking:
    who: dict[str, Any] = {"department": YINCHUAN, "client": "c", "purposes": frozenset({PURPOSE})}
    principal = Principal(**who | more.pop("who", {}))
    rules = rule_set(more.pop("rules", "ningxia-measures"))
    purpose = more.pop("purpose", PURPOSE)
    return Asking(SNAPSHOT, rules, principal, purpose, grants, more.pop("now", NOW), MaskKey("k", b"s"), **more)


def view(*grants: Grant, **more: Any) -> VisibleRelation:
    return decide(asking(*grants, **more), RESIDENT)


def told(relation: VisibleRelation, items: str) -> str | None:
    cube = relation.cube(items.split())
    return cube.grant if cube else None


# --- which cube answers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "usable"),
    [
        ({}, True),
        ({"valid_to": None}, True),
        ({"state": GrantState.SUSPENDED}, False),
        ({"state": GrantState.ENDED}, False),
        ({"valid_from": NOW + timedelta(seconds=1)}, False),
        ({"valid_to": NOW}, False),
        ({"purpose": "licensing"}, False),
        ({"usage": Usage.READ}, False),
        ({"scope": FALSE}, False),
        ({"scope": Compare(CompareOp.EQ, ItemRef("sex", ScalarType.TEXT), Attribute("department.key"))}, True),
        ({"scope": Compare(CompareOp.EQ, ItemRef("sex", ScalarType.TEXT), Attribute("department.moon"))}, False),
        ({"scope": Compare(CompareOp.EQ, Value("1", ScalarType.TEXT), ItemRef("sex", ScalarType.TEXT))}, False),
        ({"statistics": terms(minimum_cell=2)}, False),
        ({"statistics": terms(base=0)}, False),
        ({"statistics": terms(sum_base=Decimal(0))}, False),
        ({"statistics": terms(sum_base=Decimal("NaN"))}, False),
        ({"statistics": terms(dimensions=("gone",))}, False),
        ({"statistics": terms(dimensions=("phone",))}, False),
        ({"statistics": terms(measures=("phone",))}, False),
        ({"statistics": terms(dimensions=("nation", "nation"))}, False),
        ({"statistics": terms(dimensions=(), measures=())}, False),
        ({"statistics": terms(dimensions=("nation", "file"))}, False),
        ({"statistics": terms(dimensions=("nation", "file")), "basis": GrantBasis.COORDINATION}, True),
        ({"statistics": terms(dimensions=("nation", "rooms"), measures=())}, True),
    ],
)
def test_which_grants_have_a_cube(change: dict[str, Any], usable: bool) -> None:
    assert told(view(grant(**change)), "nation") == ("g1" if usable else None)


def test_a_grant_for_statistics_that_says_none_opens_nothing() -> None:
    bare = replace(grant(), statistics=None)
    assert view(bare).cubes == ()
    assert view(replace(bare, statistics=terms())).cubes != ()


@pytest.mark.parametrize(
    ("grants", "items", "answers"),
    [
        ([grant()], "nation sex income", "g1"),
        ([grant()], "nation phone", None),  # not covered: no merging
        ([grant()], "sex", None),  # unconditional: read
        ([grant()], "", None),  # rows are visible: counted
        ([grant(), reading("nation")], "nation", None),  # reading comes first
        ([grant(), reading("nation")], "nation income", "g1"),  # reading does not cover income
        ([grant(), reading("nation", masks={"nation": "first"})], "nation", "g1"),  # masked is not readable
        ([grant(), reading("nation", state=GrantState.SUSPENDED)], "nation", "g1"),  # adding one never hides anything
        ([grant(), grant("g2", terms(dimensions=("rooms",), measures=()))], "nation rooms", None),
        ([grant(), grant("g2", terms(dimensions=("rooms",), measures=()))], "rooms", "g2"),
    ],
)
def test_which_cube_answers(grants: list[Grant], items: str, answers: str | None) -> None:
    assert told(view(*grants), items) == answers
    assert told(view(*reversed(grants)), items) == answers


def test_a_count_alone_is_the_cubes_only_where_no_row_is_visible() -> None:
    assert told(view(grant(), rules="order-809"), "") == "g1"
    assert told(view(grant(), reading("phone"), rules="order-809"), "") is None


def test_the_tokens_scope_narrows_a_cube() -> None:
    def scoped(*items: str | None) -> VisibleRelation:
        return view(grant(), who={"scopes": frozenset(TokenScope("R/1", item) for item in items)})

    assert told(scoped(None), "nation income") == "g1"
    assert told(scoped("nation"), "nation") == "g1"
    assert told(scoped("nation"), "nation income") is None
    assert scoped("phone").cubes == ()
    assert view(grant(), who={"scopes": frozenset({TokenScope("V/1")})}).cubes == ()


def test_a_departments_own_data_are_read() -> None:
    who = {"department": PUBLIC_SECURITY, "roles": frozenset({OWN_DATA_ROLE})}
    assert told(view(grant(requester=PUBLIC_SECURITY.code), who=who), "nation income") is None


def test_no_cube_of_the_other_zone() -> None:
    snapshot = make_snapshot([RESIDENT], zone=Zone.INTRANET)
    question = asking(grant())
    elsewhere = Asking(snapshot, question.rules, question.principal, PURPOSE, (grant(),), NOW, question.mask_key)
    assert decide(elsewhere, RESIDENT).cubes == ()


def test_other_terms_are_another_cube_and_another_fingerprint() -> None:
    scope = Compare(CompareOp.EQ, ItemRef("sex", ScalarType.TEXT), Value("1", ScalarType.TEXT))
    views = [
        view(grant(**change))
        for change in (
            {},
            {"scope": scope},
            {"scope": Within(ItemRef("sex", ScalarType.TEXT), Attribute("department.division"))},
            {"statistics": terms(dimensions=("sex", "nation"))},
            {"statistics": terms(measures=("income",))},
            {"statistics": terms(period=Period.YEAR)},
            {"statistics": terms(minimum_cell=6)},
            {"statistics": terms(base=10)},
            {"statistics": terms(sum_base=Decimal(10))},
        )
    ]
    assert len({relation.cubes[0].terms for relation in views}) == len(views)
    assert len({relation.fingerprint for relation in views}) == len(views)
    same = view(grant(valid_to=None, statistics=terms(sum_base=Decimal("1E2"))))
    assert same.cubes[0].terms == views[0].cubes[0].terms


# --- publishing ----------------------------------------------------------------------------------------------------


def rule_of(statistics: Statistics) -> CubeRule:
    rule = cube_rule(grant(statistics=statistics), RESIDENT, TRUE, statistics.items)
    assert rule is not None
    return rule


RULE = rule_of(terms(measures=("income",)))
SCORES = rule_of(terms(dimensions=("rooms",), measures=("score",)))


def figures(cube: Cube) -> list[tuple[Any, ...]]:
    return [(*cell.key, cell.count, *((f and (f.total, f.values)) for f in cell.figures)) for cell in cube]


@pytest.mark.parametrize(
    ("row", "published"),
    [
        (("汉", "1", 12, Decimal("1249.99"), 11), [("汉", "1", 10, (Decimal(1200), 10))]),
        (("汉", "1", 13, Decimal("1250"), 13), [("汉", "1", 15, (Decimal(1200), 15))]),  # half to even
        (("汉", "1", 13, Decimal("1350"), 13), [("汉", "1", 15, (Decimal(1400), 15))]),
        (("汉", "1", 13, Decimal("-1250.01"), 13), [("汉", "1", 15, (Decimal(-1300), 15))]),
        (("汉", "1", 5, Decimal(100), 5), [("汉", "1", 5, (Decimal(100), 5))]),
        (("汉", "1", 4, Decimal(100), 4), []),  # too small: left out, not shown as suppressed
        (("汉", "1", 9, Decimal(100), 4), [("汉", "1", 10, None)]),  # the sum of four people is left out
        (("汉", "1", 9, Decimal(100), 1), [("汉", "1", 10, None)]),
        (("汉", "1", 9, None, 0), [("汉", "1", 10, None)]),
        ((None, "1", 9, None, 0), [(None, "1", 10, None)]),
        (("满", "1", 9, None, 0), [(None, "1", 10, None)]),  # not on the code list
        (("汉", "1", 9, Decimal(10) ** 90, 9), [("汉", "1", 10, (Decimal(10) ** 90, 10))]),
    ],
)
def test_what_of_a_cell_is_published(row: tuple[Any, ...], published: list[Any]) -> None:
    assert figures(publish(RULE, [row])) == published


def test_cells_that_round_to_none_are_left_out() -> None:
    coarse = rule_of(terms(minimum_cell=3, base=10, measures=("income",)))
    assert publish(coarse, [("汉", "1", 5, Decimal(9), 5)]) == ()  # half to even: 0
    assert figures(publish(coarse, [("汉", "1", 6, Decimal(900), 5)])) == [("汉", "1", 10, None)]


def test_values_off_the_code_list_are_one_cell() -> None:
    rows = [("满", "1", 3, Decimal(100), 3), (None, "1", 2, Decimal(100), 2), ("藏", "9", 9, Decimal(1), 9)]
    assert figures(publish(RULE, rows)) == [(None, "1", 5, (Decimal(200), 5)), (None, None, 10, (Decimal(0), 10))]


@pytest.mark.parametrize("total", [float("nan"), float("inf"), None, "x"])
def test_a_sum_that_is_no_number_is_left_out(total: Any) -> None:
    assert figures(publish(SCORES, [(1, 9, total, 9)])) == [(1, 10, None)]


def test_cells_are_ordered_by_key_with_nulls_last() -> None:
    rows = [(n, s, 9, None, 0) for n in (None, "汉", "回") for s in (None, "2", "1")]
    keys = [cell.key for cell in publish(RULE, rows)]
    assert keys == [(n, s) for n in ("回", "汉", None) for s in ("1", "2", None)]


SHANGHAI = timezone(timedelta(hours=8))


@pytest.mark.parametrize(
    ("period", "moment", "name"),
    [
        (Period.DAY, datetime(2026, 5, 5, 15, 59, 59, tzinfo=UTC), "2026-05-05"),
        (Period.DAY, datetime(2026, 5, 5, 16, 0, tzinfo=UTC), "2026-05-06"),
        (Period.MONTH, datetime(2026, 5, 31, 15, 59, 59, tzinfo=UTC), "2026-05"),
        (Period.MONTH, datetime(2026, 5, 31, 16, 0, tzinfo=UTC), "2026-06"),
        (Period.QUARTER, datetime(2026, 3, 31, 23, 59, 59, tzinfo=SHANGHAI), "2026-Q1"),
        (Period.QUARTER, datetime(2026, 4, 1, tzinfo=SHANGHAI), "2026-Q2"),
        (Period.QUARTER, datetime(2026, 12, 1, tzinfo=SHANGHAI), "2026-Q4"),
        (Period.YEAR, datetime(2026, 12, 31, 16, 0, tzinfo=UTC), "2027"),
    ],
)
def test_periods_are_of_shanghai(period: Period, moment: datetime, name: str) -> None:
    assert period_of(period, moment) == name


# --- answering -----------------------------------------------------------------------------------------------------

ROWS = [
    ("汉", "1", 20, Decimal(2000), 20),
    ("汉", "2", 31, Decimal(3100), 4),
    ("回", "1", 11, Decimal(1100), 11),
    ("回", "2", 4, Decimal(400), 4),
    (None, "2", 9, None, 0),
]
CUBE = publish(RULE, ROWS)


@pytest.mark.parametrize(
    ("where", "by", "rows"),
    [
        ([], [], [(20 + 30 + 10 + 10, Decimal(3100), 30)]),
        ([], [0], [("回", 10, Decimal(1100), 10), ("汉", 50, Decimal(2000), 20), (None, 10, None, 0)]),
        ([], [1], [("1", 30, Decimal(3100), 30), ("2", 40, None, 0)]),
        ([(1, ["2"])], [0], [("汉", 30, None, 0), (None, 10, None, 0)]),  # 回, 2 is nowhere to be seen
        ([(0, ["汉"]), (0, ["回"])], [], [(0, None, 0)]),
        ([(0, ["汉"]), (0, ["回"])], [1], []),
        ([(0, [])], [], [(0, None, 0)]),
        ([(0, [None])], [], [(0, None, 0)]),  # null equals nothing
        (
            [(0, ["回", "汉"]), (1, ["1"])],
            [1, 0],
            [("1", "回", 10, Decimal(1100), 10), ("1", "汉", 20, Decimal(2000), 20)],
        ),
    ],
)
def test_answers(where: Sequence[tuple[int, Sequence[Any]]], by: Sequence[int], rows: list[tuple[Any, ...]]) -> None:
    assert answer(RULE, CUBE, where, by) == rows


def test_sums_of_floats_are_floats() -> None:
    cube = publish(SCORES, [(1, 9, 1249.0, 9), (2, 9, 0.5, 9)])
    ((count, total, values),) = answer(SCORES, cube, [], [])
    assert (count, total, values) == (20, 1200.0, 20)
    assert type(total) is float


def test_a_differencing_pair_gives_nothing() -> None:
    """Case 37: everybody, less everybody but one person's cell: the difference is nothing at all."""
    one = [*ROWS, ("回", None, 1, Decimal(99), 1)]
    assert publish(RULE, one) == CUBE
    everybody = answer(RULE, publish(RULE, one), [], [0])
    but_one = answer(RULE, publish(RULE, one), [(1, ["1", "2"])], [0])
    assert everybody == but_one


# --- properties ----------------------------------------------------------------------------------------------------

_ROW = st.tuples(
    st.sampled_from(["汉", "回", "满", None]),
    st.sampled_from(["1", "2", None]),
    st.integers(0, 30),
    st.decimals(-(10**6), 10**6, allow_nan=False, places=2),
    st.integers(0, 30),
).map(lambda row: (*row[:3], row[3] if min(row[2], row[4]) else None, min(row[2], row[4])))
_DATA = st.lists(_ROW, max_size=12, unique_by=lambda row: row[:2])
_WHERE = st.lists(
    st.one_of(
        st.tuples(st.just(0), st.lists(st.sampled_from(["汉", "回", "满"]), max_size=3)),
        st.tuples(st.just(1), st.lists(st.sampled_from(["1", "2"]), max_size=2)),
    ),
    max_size=3,
)
_BY = st.permutations([0, 1]).flatmap(lambda order: st.integers(0, 2).map(lambda size: order[:size]))


def _blurred(row: tuple[Any, ...], draw: Any) -> tuple[Any, ...] | None:
    """Another content of a cell that is published alike; None: the cell is not there."""
    nation, sex, count, total, values = row
    published = publish(RULE, [row])
    candidates: list[tuple[Any, ...]] = [
        (nation, sex, count + d, None if total is None else total + e, min(max(values + f, 0), count + d))
        for d in (-2, -1, 0, 1, 2)
        for e in (Decimal("-7.5"), Decimal(0), Decimal("0.01"))
        for f in (-1, 0, 1)
        if count + d >= 0
    ]
    alike = [one for one in candidates if publish(RULE, [one]) == published]
    if not published:
        return draw(st.none() | st.sampled_from(alike))  # type: ignore[no-any-return]
    return draw(st.sampled_from(alike))  # type: ignore[no-any-return]


@given(st.data(), _DATA.map(lambda rows: [row for row in rows if row[0] != "满"]), _WHERE, _BY)
def test_equal_published_cubes_answer_byte_for_byte(
    data: st.DataObject, rows: list[tuple[Any, ...]], where: list[tuple[int, list[Any]]], by: list[int]
) -> None:
    """Two contents of the source with equal published cubes: the kept text and every answer are the same bytes."""
    other = [blurred for row in rows if (blurred := _blurred(row, data.draw)) is not None]
    one, two = publish(RULE, rows), publish(RULE, data.draw(st.permutations(other)))
    assert one == two
    assert cube_to_json(RULE, one) == cube_to_json(RULE, two)
    answers = [
        json.dumps(answer(RULE, cube_from_json(RULE, cube_to_json(RULE, cube)), where, by), default=str)
        for cube in (one, two)
    ]
    assert answers[0] == answers[1]


@given(_DATA)
def test_every_figure_is_of_enough_rows_and_round(rows: list[tuple[Any, ...]]) -> None:
    cube = publish(RULE, rows)
    for cell in cube:
        assert cell.count > 0
        assert cell.count % 5 == 0
        behind = [row for row in rows if (row[0] if row[0] in ("汉", "回") else None, row[1]) == cell.key]
        assert sum(row[2] for row in behind) >= 5
        for figure in cell.figures:
            if figure is not None:
                assert sum(row[4] for row in behind) >= 5
                assert figure.total % 100 == 0
                assert figure.values % 5 == 0
                assert figure.values > 0


@given(_DATA)
def test_a_cube_is_kept_whole(rows: list[tuple[Any, ...]]) -> None:
    cube = publish(RULE, rows)
    assert cube_from_json(RULE, cube_to_json(RULE, cube)) == cube


@given(_DATA, _WHERE)
def test_an_average_gives_away_no_more_than_sum_and_published_number(
    rows: list[tuple[Any, ...]], where: list[tuple[int, list[Any]]]
) -> None:
    """Case 37, sum ÷ avg: the divisor is the published number of values, a multiple of the base."""
    for row in answer(RULE, publish(RULE, rows), where, [0]):
        assert row[3] % 5 == 0
        assert (row[2] is None) == (row[3] == 0)


@pytest.mark.parametrize(
    "text", ["null", "[1]", "[[[1, 2]]]", '[[["汉"], 5, [null]]]', '[[["汉","1"],5,[["x",5]]]]', "{"]
)
def test_a_text_that_is_no_cube(text: str) -> None:
    with pytest.raises(ValueError, match="not a published cube"):
        cube_from_json(RULE, text)


# --- the dry run ---------------------------------------------------------------------------------------------------


def test_the_dry_run_tells_the_cube() -> None:
    scope: Expression = Compare(CompareOp.EQ, ItemRef("sex", ScalarType.TEXT), Value("1", ScalarType.TEXT))
    report = explain(asking(grant(scope=scope)), RESIDENT, "en").only(["nation", "sex", "phone"])
    nation, sex, phone = report.items
    assert nation.verdict is Verdict.STATISTICS
    assert nation.statistics == StatisticsAccess(
        "g1",
        ("nation", "sex"),
        ("income", "score"),
        5,
        5,
        "100",
        "published once a month (Beijing time)",
        '`sex` is "1" (〔1〕)',
    )
    assert nation.grants == ("g1",)
    assert nation.article == "Art. 11(3)"
    assert nation.denial is not None
    assert nation.denial.code is ErrorCode.STATISTICS_ONLY
    assert (sex.verdict, sex.statistics) == (Verdict.ALL, None)
    assert (phone.verdict, phone.statistics) == (Verdict.NONE, None)
    (chinese,) = explain(asking(grant()), RESIDENT, "zh").only(["nation"]).items
    assert chinese.statistics is not None
    assert chinese.statistics.period_words == "每月发布一次（北京时间）"
    assert chinese.statistics.rows_words == "全部"


def test_the_dry_run_of_a_masked_item_tells_its_cube_too() -> None:
    grants = [grant(), reading("nation", masks={"nation": "first"})]
    (nation,) = explain(asking(*grants), RESIDENT, "en").only(["nation"]).items
    assert nation.verdict is Verdict.MASKED
    assert nation.statistics is not None
    assert nation.grants == ("r1",)
