"""The reference meaning of expressions, case by case, written by hand."""

from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from connectors.evaluate import Tables, evaluate, type_of
from tanglai.catalogue.expressions import (
    FALSE,
    TRUE,
    Aggregate,
    AggregateFunction,
    And,
    Case,
    Column,
    Compare,
    CompareOp,
    Exists,
    Expression,
    In,
    IsNull,
    IsTrue,
    ItemRef,
    Masked,
    Match,
    MatchOp,
    Not,
    Null,
    Or,
    Slot,
    Value,
)
from tanglai.catalogue.masks import Mask, MaskKind
from tanglai.catalogue.scalars import ScalarType

BOOLEAN, TEXT, INTEGER = ScalarType.BOOLEAN, ScalarType.TEXT, ScalarType.INTEGER
UNKNOWN: Expression = Null(BOOLEAN)
X = Column("x", INTEGER)
NAME = Column("name", TEXT)


def one(value: int) -> Value:
    return Value(value, INTEGER)


@pytest.mark.parametrize(
    ("parts", "conjunction", "disjunction"),
    [
        ((), True, False),
        ((TRUE, UNKNOWN), None, True),
        ((FALSE, UNKNOWN), False, None),
        ((UNKNOWN, FALSE), False, None),
        ((UNKNOWN, TRUE), None, True),
        ((UNKNOWN, UNKNOWN), None, None),
        ((TRUE, FALSE), False, True),
    ],
)
def test_junctions(parts: tuple[Expression, ...], conjunction: bool | None, disjunction: bool | None) -> None:
    assert evaluate(And(parts), {}, {}) is conjunction
    assert evaluate(Or(parts), {}, {}) is disjunction


@pytest.mark.parametrize(
    ("part", "negated", "two_valued"), [(TRUE, False, True), (FALSE, True, False), (UNKNOWN, None, False)]
)
def test_not_keeps_unknown_and_is_true_does_not(part: Expression, negated: bool | None, two_valued: bool) -> None:
    assert evaluate(Not(part), {}, {}) is negated
    assert evaluate(IsTrue(part), {}, {}) is two_valued


@pytest.mark.parametrize(
    ("op", "less", "equal", "greater"),
    [
        (CompareOp.EQ, False, True, False),
        (CompareOp.NE, True, False, True),
        (CompareOp.LT, True, False, False),
        (CompareOp.LTE, True, True, False),
        (CompareOp.GT, False, False, True),
        (CompareOp.GTE, False, True, True),
    ],
)
def test_comparisons(op: CompareOp, less: bool, equal: bool, greater: bool) -> None:
    test = Compare(op, X, one(5))
    assert [evaluate(test, {"x": x}, {}) for x in (4, 5, 6, None)] == [less, equal, greater, None]
    assert evaluate(Compare(op, X, Null(INTEGER)), {"x": 5}, {}) is None


def test_text_compares_by_code_point() -> None:
    ordered = ["", "A", "B", "a", "e\u0301", "z", "é", "中", "～", "🤦"]
    for lower, higher in pairwise(ordered):
        assert evaluate(Compare(CompareOp.LT, NAME, Value(higher, TEXT)), {"name": lower}, {}) is True
    assert evaluate(Compare(CompareOp.EQ, NAME, Value("a ", TEXT)), {"name": "a"}, {}) is False


def test_comparison_of_values_that_do_not_compare_is_unknown() -> None:
    assert evaluate(Compare(CompareOp.LT, X, one(5)), {"x": "five"}, {}) is None


@pytest.mark.parametrize(
    ("values", "x", "expected"),
    [
        ([], 1, False),
        ([], None, False),
        ([1, 2], 1, True),
        ([1, 2], 3, False),
        ([1, 2], None, None),
        ([1, None], 1, True),
        ([1, None], 3, None),
    ],
)
def test_membership(values: list[int | None], x: int | None, expected: bool | None) -> None:
    assert evaluate(In(X, (Slot("v", INTEGER, many=True),)), {"x": x}, {"v": values}) is expected
    assert evaluate(In(X, tuple(Value(v, INTEGER) for v in values)), {"x": x}, {}) is expected


def test_membership_mixes_constants_and_slots() -> None:
    test = In(X, (one(1), Slot("one", INTEGER), Slot("many", INTEGER, many=True)))
    assert [evaluate(test, {"x": x}, {"one": 2, "many": [3]}) for x in (1, 2, 3, 4)] == [True, True, True, False]


@pytest.mark.parametrize(
    ("op", "needle", "name", "expected"),
    [
        (MatchOp.STARTS_WITH, "宁", "宁夏", True),
        (MatchOp.STARTS_WITH, "夏", "宁夏", False),
        (MatchOp.STARTS_WITH, "%", "宁夏", False),
        (MatchOp.STARTS_WITH, "", "", True),
        (MatchOp.CONTAINS, "夏", "宁夏", True),
        (MatchOp.CONTAINS, "_", "a_b", True),
        (MatchOp.CONTAINS, "_", "ab", False),
        (MatchOp.CONTAINS, "A", "abc", False),
        (MatchOp.CONTAINS, "a", None, None),
    ],
)
def test_match(op: MatchOp, needle: str, name: str | None, expected: bool | None) -> None:
    assert evaluate(Match(op, NAME, Slot("n", TEXT)), {"name": name}, {"n": needle}) is expected


def test_case_takes_the_first_true_branch_and_leaves_the_others_alone() -> None:
    never = Aggregate(AggregateFunction.COUNT_ROWS, None, INTEGER)
    test = Case(((UNKNOWN, one(1)), (FALSE, one(2)), (TRUE, one(3)), (TRUE, one(4))), INTEGER)
    assert evaluate(test, {}, {}) == 3
    assert evaluate(Case((), INTEGER), {}, {}) is None
    with pytest.raises(TypeError):
        evaluate(never, {}, {})


def test_hidden_value_is_null_to_is_null_and_stays_unknown_under_not() -> None:
    cell = Case(((Compare(CompareOp.EQ, NAME, Value("mine", TEXT)), X),), INTEGER)
    hidden, shown = {"name": "theirs", "x": 1}, {"name": "mine", "x": 1}
    assert evaluate(IsNull(cell), hidden, {}) is True
    assert evaluate(Not(Compare(CompareOp.EQ, cell, one(1))), hidden, {}) is None
    assert evaluate(Not(Compare(CompareOp.EQ, cell, one(2))), shown, {}) is True


def test_masked() -> None:
    assert evaluate(Masked(Mask(MaskKind.KEEP, 1, 1), NAME), {"name": "张三丰"}, {}) == "张*丰"
    assert evaluate(Masked(Mask(MaskKind.REDACT), NAME), {"name": None}, {}) is None


def test_exists_joins_on_equal_keys_that_are_not_null() -> None:
    inner: list[dict[str, Any]] = [
        {"owner": 1, "kind": "car"},
        {"owner": 2, "kind": "bus"},
        {"owner": None, "kind": "car"},
    ]
    test = Exists(
        None,
        "vehicle",
        ((X, Column("owner", INTEGER)),),
        Compare(CompareOp.EQ, Column("kind", TEXT), Value("car", TEXT)),
    )
    tables: Tables = {(None, "vehicle"): inner}
    assert [evaluate(test, {"x": x}, {}, tables) for x in (1, 2, 3, None)] == [True, False, False, False]
    with pytest.raises(TypeError):
        evaluate(test, {"x": 1}, {})


@pytest.mark.parametrize(
    ("kind", "small", "large"),
    [
        (ScalarType.DECIMAL, Decimal("1.5"), Decimal("1.50000000000000000000001")),
        (ScalarType.DATE, date(1, 1, 1), date(9999, 12, 31)),
        (ScalarType.DATETIME, datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)),
        (ScalarType.BOOLEAN, False, True),
    ],
)
def test_order_of_other_types(kind: ScalarType, small: Any, large: Any) -> None:
    assert evaluate(Compare(CompareOp.LT, Column("v", kind), Value(large, kind)), {"v": small}, {}) is True
    assert evaluate(Compare(CompareOp.EQ, Column("v", kind), Value(large, kind)), {"v": small}, {}) is False


def test_float_meets_decimal_as_float() -> None:
    test = Compare(CompareOp.EQ, Column("f", ScalarType.FLOAT), Value(Decimal("0.1"), ScalarType.DECIMAL))
    assert evaluate(test, {"f": 0.1}, {}) is True


def test_items_are_not_evaluated() -> None:
    with pytest.raises(TypeError, match="not bound"):
        evaluate(ItemRef("name", TEXT), {}, {})


def test_type_of() -> None:
    assert type_of(IsNull(X)) is BOOLEAN
    assert type_of(Masked(Mask(MaskKind.REDACT), NAME)) is TEXT
    assert type_of(Case((), ScalarType.DATE)) is ScalarType.DATE
