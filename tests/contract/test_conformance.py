"""What every kind of source answers, case by case, written by hand."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from itertools import groupby, pairwise
from typing import Any

import pytest

from connectors.protocol import (
    KEYS,
    CapabilityMissing,
    JsonNode,
    JsonObject,
    JsonOutput,
    JsonRows,
    JsonText,
    Order,
    RawOutput,
    Row,
    SourceQuery,
)
from tanglai.catalogue import masks
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
    Masked,
    Match,
    MatchOp,
    Not,
    Null,
    Or,
    Slot,
    Value,
)
from tanglai.catalogue.scalars import ScalarType, to_json
from tests.contract.conftest import NESTING
from tests.contract.dataset import (
    AGE,
    AMOUNT,
    AT,
    BALANCE,
    BORN,
    CAR_ID,
    CHANGED,
    CODE,
    FLAG,
    ID,
    NAME,
    OWNER,
    OWNER_NAME,
    PEOPLE,
    PEOPLE_COLUMNS,
    PLATE,
    PRICE,
    SCORE,
    SEEN,
    SHAPE,
)
from tests.contract.strategies import MASKS
from tests.contract.subjects import Subject

BY_ID = (Order(ID),)
ALL = tuple(range(1, 15))


def listing(where: Expression = TRUE, **changes: Any) -> SourceQuery:
    """The ids of people, in their order."""
    given: dict[str, Any] = {"outputs": (RawOutput(ID),), "where": where, "order": BY_ID, **changes}
    return SourceQuery("s", None, "people", **given)


async def ids(subject: Subject, where: Expression = TRUE, arguments: Any = None, **changes: Any) -> list[int]:
    return [row[-1] for row in await subject.fetch(listing(where, **changes), arguments)]


def text(value: str) -> Value:
    return Value(value, ScalarType.TEXT)


def compare(column: Column, op: CompareOp, value: Any) -> Compare:
    return Compare(op, column, Value(value, column.type))


def equal(column: Column, value: Any) -> Compare:
    return compare(column, CompareOp.EQ, value)


def among(column: Column, *values: Any) -> In:
    return In(column, tuple(Value(value, column.type) for value in values))


EQ, NE, LT, LTE, GT, GTE = CompareOp
MINE = Case(((equal(FLAG, True), AGE),), ScalarType.INTEGER)
"""Ages of those with a flag; hidden of the others."""

CASES: dict[str, tuple[Expression, tuple[int, ...]]] = {
    "true": (TRUE, ALL),
    "false": (FALSE, ()),
    "and of nothing": (And(()), ALL),
    "or of nothing": (Or(()), ()),
    "text eq": (equal(NAME, "张三"), (1,)),
    "text eq, case matters": (equal(NAME, "zhang"), (3,)),
    "text eq, composed is not decomposed": (equal(NAME, "é"), (8,)),
    "text eq, no padding": (equal(CODE, "640101"), (1, 2)),
    "text eq, trailing space": (equal(NAME, "张 "), (12,)),
    "text eq, empty": (equal(NAME, ""), (5,)),
    "text eq, emoji of several characters": (equal(NAME, "👨‍👩‍👧"), (9,)),
    "text eq, quotes": (equal(CODE, 'quote" \'single\' \\back'), (8,)),
    "text eq, no injection": (equal(NAME, "' OR 1=1 --"), ()),
    "text ne leaves nulls out": (compare(CODE, NE, "640101"), (3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14)),
    "text lt by code point": (compare(NAME, LT, "a"), (4, 5, 14)),
    "text gte by code point": (compare(NAME, GTE, "～"), (9, 10, 13)),
    "text gt, prefix is less": (compare(NAME, GT, "张三"), (2, 9, 10, 13)),
    "text not": (Not(equal(CODE, "640101")), (3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14)),
    "boolean eq": (equal(FLAG, True), (1, 4, 6, 9, 10, 14)),
    "boolean itself": (FLAG, (1, 4, 6, 9, 10, 14)),
    "boolean lt": (compare(FLAG, LT, True), (2, 5, 7, 11, 13)),
    "integer extremes": (compare(AGE, LTE, -(2**31)), (5,)),
    "integer gt": (compare(AGE, GT, 18), (1, 4, 7, 8)),
    "long near 2^53": (equal(BALANCE, 2**53 + 1), (8,)),
    "long max": (compare(BALANCE, GTE, 2**63 - 1), (1,)),
    "long min": (compare(BALANCE, LTE, -(2**63)), (2,)),
    "decimal eq, scale does not matter": (equal(AMOUNT, Decimal("12.5")), (1, 7)),
    "decimal between cents": (compare(AMOUNT, GT, Decimal("12.499")), (1, 4, 7, 12)),
    "decimal between cents, less": (compare(AMOUNT, LT, Decimal("-0.001")), (2, 8)),
    "decimal eq between cents": (equal(AMOUNT, Decimal("12.501")), ()),
    "decimal ne between cents": (compare(AMOUNT, NE, Decimal("12.501")), (1, 2, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14)),
    "decimal lt, huge": (compare(AMOUNT, LT, Decimal("1E+90")), (1, 2, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14)),
    "decimal gt, huge": (compare(AMOUNT, GT, Decimal("1E+90")), ()),
    "decimal gte, huge negative": (compare(AMOUNT, GTE, Decimal("-1E+90")), (1, 2, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14)),
    "decimal lte, tiny": (compare(AMOUNT, LTE, Decimal("1E-90")), (2, 5, 8)),
    "float eq": (equal(SCORE, 0.1), (1, 8)),
    "float tiny": (compare(SCORE, GT, 0.0), (1, 4, 6, 7, 8, 9, 12, 13)),
    "float huge": (compare(SCORE, LT, -1e299), (5,)),
    "date eq": (equal(BORN, date(1990, 2, 28)), (1, 7)),
    "date first day": (compare(BORN, LTE, date(1, 1, 1)), (5,)),
    "date last day": (compare(BORN, GTE, date(9999, 12, 31)), (4,)),
    "date ne": (compare(BORN, NE, date(1990, 2, 28)), (2, 4, 5, 6, 9, 10)),
    "time to the microsecond": (compare(AT, GT, time(23, 0)), (4,)),
    "time eq": (equal(AT, time(1, 2, 3, 4)), (11,)),
    "datetime eq across zones": (equal(SEEN, datetime(2024, 2, 29, tzinfo=UTC)), (1, 7)),
    "datetime to the microsecond": (compare(SEEN, GT, datetime(2024, 2, 29, tzinfo=UTC)), (2, 4)),
    "datetime without zone, eq": (equal(CHANGED, datetime(2024, 2, 29, tzinfo=UTC)), (1, 7)),
    "datetime without zone, lt": (compare(CHANGED, LT, datetime(2024, 2, 29, tzinfo=UTC)), (2, 5, 6, 9)),
    "datetime without zone, gte": (compare(CHANGED, GTE, datetime(2024, 2, 29, tzinfo=UTC)), (1, 4, 7)),
    "is null": (IsNull(BORN), (3, 8, 11, 12, 13, 14)),
    "is null of a geometry": (Not(IsNull(SHAPE)), (1, 4, 7)),
    "in": (among(NAME, "张三", "A", "nobody"), (1, 14)),
    "in of nothing": (In(NAME, ()), ()),
    "not in of nothing": (Not(In(NAME, ())), ALL),
    "not in leaves nulls out": (Not(among(AGE, 18, 30, 7)), (2, 4, 5, 6, 13, 14)),
    "in dates": (among(BORN, date(2000, 2, 29), date(9999, 12, 31)), (4, 6)),
    "in decimals": (among(AMOUNT, Decimal("12.50"), Decimal("0.001"), Decimal("1E+90")), (1, 7)),
    "in datetimes": (among(SEEN, datetime(2024, 2, 29, tzinfo=UTC)), (1, 7)),
    "starts with": (Match(MatchOp.STARTS_WITH, NAME, text("张三")), (1, 2)),
    "starts with nothing": (Match(MatchOp.STARTS_WITH, NAME, text("")), (1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14)),
    "starts with nothing, in a guarded cell": (
        Match(MatchOp.STARTS_WITH, Case(((equal(NAME, "A"), NAME),), NAME.type), text("")),
        (14,),
    ),
    "contains nothing, in a guarded cell": (
        Match(MatchOp.CONTAINS, Case(((equal(NAME, "A"), NAME),), NAME.type), text("")),
        (14,),
    ),
    "starts with nothing, in a cell of nulls": (
        Match(MatchOp.STARTS_WITH, Case(((IsNull(NAME), NAME),), NAME.type), text("")),
        (),
    ),
    "starts with is no pattern": (Match(MatchOp.STARTS_WITH, CODE, text("a_b%c\\")), (6,)),
    "contains": (Match(MatchOp.CONTAINS, CODE, text("@")), (10, 11, 12)),
    "contains %": (Match(MatchOp.CONTAINS, CODE, text("%")), (6, 7)),
    "contains _": (Match(MatchOp.CONTAINS, CODE, text("_")), (6,)),
    "contains backslash": (Match(MatchOp.CONTAINS, CODE, text("\\")), (6, 7, 8)),
    "contains a combining character": (Match(MatchOp.CONTAINS, NAME, text("\u0301")), (7,)),
    "contains line break": (Match(MatchOp.CONTAINS, CODE, text("line\nbreak")), (9,)),
    "not contains": (Not(Match(MatchOp.CONTAINS, NAME, text("张"))), (3, 4, 5, 7, 8, 9, 10, 11, 13, 14)),
    "unknown or true": (Or((Null(ScalarType.BOOLEAN), equal(ID, 3))), (3,)),
    "unknown and true": (And((Null(ScalarType.BOOLEAN), equal(ID, 3))), ()),
    "not of unknown": (Not(Null(ScalarType.BOOLEAN)), ()),
    "not of is true of unknown": (Not(IsTrue(Null(ScalarType.BOOLEAN))), ALL),
    "is true": (IsTrue(equal(FLAG, False)), (2, 5, 7, 11, 13)),
    "not is true": (Not(IsTrue(equal(FLAG, False))), (1, 3, 4, 6, 8, 9, 10, 12, 14)),
    "cell eq": (Compare(EQ, MINE, Value(30, ScalarType.INTEGER)), (1,)),
    "cell hidden under not": (Not(Compare(EQ, MINE, Value(30, ScalarType.INTEGER))), (4, 6, 9, 10, 14)),
    "cell ne": (Compare(NE, MINE, Value(30, ScalarType.INTEGER)), (4, 6, 9, 10, 14)),
    "cell hidden is null": (IsNull(MINE), (2, 3, 5, 7, 8, 11, 12, 13)),
    "cell in": (In(MINE, (Value(30, ScalarType.INTEGER), Value(18, ScalarType.INTEGER))), (1, 9, 10)),
    "cell of two branches": (
        Compare(EQ, Case(((FALSE, AGE), (FLAG, AGE), (TRUE, Null(AGE.type))), AGE.type), Value(18, AGE.type)),
        (9, 10),
    ),
    "column to column": (Compare(LT, BALANCE, ID), (2, 4, 5, 9, 11, 12, 13, 14)),
    "column to itself": (Compare(EQ, CODE, CODE), (1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14)),
    "constant first": (Compare(LT, Value(18, AGE.type), AGE), (1, 4, 7, 8)),
    "constant to constant": (Compare(EQ, text("a"), text("a")), ALL),
    "null constant": (Compare(EQ, NAME, Null(NAME.type)), ()),
    "masked text": (Compare(EQ, Masked(MASKS[0], NAME), text("**")), (1, 7, 12)),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
async def test_operators(subject: Subject, case: str) -> None:
    where, expected = CASES[case]
    assert tuple(await ids(subject, where)) == expected
    assert tuple(await ids(subject, visible=where)) == expected


async def test_visible_and_where_both_hold(subject: Subject) -> None:
    assert await ids(subject, equal(AGE, 30), visible=equal(FLAG, True)) == [1]


async def test_slots_take_the_values_of_each_call(subject: Subject) -> None:
    query = subject.own(
        listing(Or((Compare(EQ, NAME, Slot("n", NAME.type)), In(AGE, (Slot("a", AGE.type, many=True),)))))
    )
    for name, ages, expected in (
        ("A", [], [14]),
        ("", [30], [1, 5, 7, 8]),
        ("none", [], []),
        ("é", [0, -1], [2, 6, 8]),
    ):
        rows = await subject.connector.fetch(query, {"n": name, "a": ages}, timeout=20)
        assert [row[0] for row in rows] == expected


async def test_slots_of_every_type(subject: Subject) -> None:
    for column in PEOPLE_COLUMNS:
        if column.type.comparable:
            for row in PEOPLE:
                value = row[column.name]
                if value is not None:
                    found = await ids(subject, Compare(EQ, column, Slot("v", column.type)), {"v": value})
                    assert row["id"] in found, (column.name, value)
            values = [row[column.name] for row in PEOPLE if row[column.name] is not None]
            found = await ids(subject, In(column, (Slot("v", column.type, many=True),)), {"v": values})
            assert found == [row["id"] for row in PEOPLE if row[column.name] is not None]


@pytest.mark.parametrize("descending", [False, True], ids=["ascending", "descending"])
@pytest.mark.parametrize("column", [c for c in PEOPLE_COLUMNS if c.type.comparable], ids=lambda column: column.name)
async def test_order(subject: Subject, column: Column, descending: bool) -> None:
    found = await ids(subject, order=(Order(column, descending), Order(ID)))
    known = sorted((row for row in PEOPLE if row[column.name] is not None), key=lambda row: row[column.name])
    values = [row[column.name] for row in known]
    by_id = {row["id"]: row[column.name] for row in PEOPLE}
    nulls = [row["id"] for row in PEOPLE if row[column.name] is None]
    middle = found[len(nulls) :] if descending else found[: len(values)]
    assert (found[: len(nulls)] if descending else found[len(values) :]) == nulls
    assert [by_id[key] for key in middle] == (values[::-1] if descending else values)
    ties = [(first, second) for first, second in pairwise(middle) if by_id[first] == by_id[second]]
    assert all(first < second for first, second in ties)


async def test_order_of_texts_by_hand(subject: Subject) -> None:
    assert await ids(subject, order=(Order(NAME),)) == [5, 14, 4, 7, 11, 3, 8, 12, 1, 2, 10, 9, 13, 6]


async def test_order_by_a_cell_hides_what_is_hidden(subject: Subject) -> None:
    assert await ids(subject, order=(Order(MINE), Order(ID))) == [6, 14, 9, 10, 1, 4, 2, 3, 5, 7, 8, 11, 12, 13]


async def test_order_by_constants_means_nothing(subject: Subject) -> None:
    order = (Order(Null(AGE.type)), Order(Value(1, AGE.type), True), Order(TRUE), Order(ID, True))
    assert await ids(subject, order=order) == list(reversed(ALL))


async def test_limits(subject: Subject) -> None:
    assert await ids(subject, limit=3) == [1, 2, 3]
    assert await ids(subject, limit=0) == []
    assert await ids(subject, limit=100) == list(ALL)
    for number in (0, 2, 14, 5000):
        assert await ids(subject, limit=Slot("first", ScalarType.INTEGER), arguments={"first": number}) == list(
            ALL[:number]
        )


async def test_joined_rows(subject: Subject) -> None:
    shown = JsonObject((("id", ID), ("name", NAME), ("born", BORN)))
    query = listing(outputs=(JsonOutput(shown),), order=(Order(NAME), Order(ID, True)))
    for limit, where in ((None, TRUE), (3, TRUE), (0, TRUE), (5, equal(CODE, "640101")), (None, FALSE)):
        apart = await subject.fetch(replace(query, limit=limit, where=where))
        ((text, count),) = await subject.fetch(replace(query, limit=limit, where=where, joined=True))
        assert count == len(apart)
        assert text == (",".join(row[0] for row in apart).encode() if apart else None)


async def test_joined_rows_of_each_link_key(subject: Subject) -> None:
    shown = JsonObject((("id", ID), ("name", NAME)))
    query = listing(outputs=(JsonOutput(shown),), links=(CODE,), order=(Order(ID, True),), limit=2, per_key=True)
    arguments = {KEYS: ["640101", "", "none", "640101"]}
    apart: dict[str, list[str]] = {}
    for key, text in await subject.fetch(query, arguments):
        apart.setdefault(key, []).append(text)
    together = await subject.fetch(replace(query, joined=True), arguments)
    assert sorted(together) == sorted((key, ",".join(texts), len(texts)) for key, texts in apart.items())
    assert await subject.fetch(replace(query, joined=True), {KEYS: ["none"]}) == []


async def test_joined_rows_of_keys_that_need_reading(subject: Subject) -> None:
    """Numbers, days and moments as keys, and a key of two columns."""
    shown = JsonObject((("id", ID),))
    for columns in ((AMOUNT,), (BORN,), (AT,), (CODE, FLAG)):
        query = listing(outputs=(JsonOutput(shown),), links=columns, limit=5, per_key=True)
        values = await subject.fetch(listing(outputs=tuple(RawOutput(column) for column in columns)))
        keys = [row[0] if len(columns) == 1 else row for row in values if None not in row]
        apart: dict[Any, list[str]] = {}
        for row in await subject.fetch(query, {KEYS: keys}):
            apart.setdefault(row[:-1], []).append(row[-1])
        together = await subject.fetch(replace(query, joined=True), {KEYS: keys})
        assert {row[: len(columns)]: row[len(columns) :] for row in together} == {
            key: (",".join(texts), len(texts)) for key, texts in apart.items()
        }


async def test_rows_of_nothing(subject: Subject) -> None:
    """Only how many there are is asked, as where `@skip` leaves no field of the rows."""
    query = SourceQuery(source="s", namespace=None, table="people", outputs=(), order=BY_ID, limit=3)
    assert await subject.fetch(query) == [(), (), ()]


async def test_links_of_one_column(subject: Subject) -> None:
    query = listing(outputs=(RawOutput(ID),), links=(CODE,), order=(Order(ID, True),))
    rows = await subject.fetch(query, {KEYS: ["640101", "", "none", "640101"]})
    assert sorted(rows, key=lambda row: row[0]) == [("", 5), ("640101", 2), ("640101", 1)]


async def test_links_of_several_columns(subject: Subject) -> None:
    query = listing(links=(CODE, NAME, AGE))
    keys = [("640101", "张三", 30), ("640101", "张三丰", 30), ("", "", -(2**31)), (None, "Zhang", 2**31 - 1)]
    rows = await subject.fetch(query, {KEYS: keys[:3]})
    assert sorted(rows, key=lambda row: row[-1]) == [("640101", "张三", 30, 1), ("", "", -(2**31), 5)]


@pytest.mark.parametrize("column", [c for c in PEOPLE_COLUMNS if c.type.comparable], ids=lambda column: column.name)
async def test_links_of_every_type(subject: Subject, column: Column) -> None:
    present = [row for row in PEOPLE if row[column.name] is not None]
    rows = await subject.fetch(listing(links=(column,)), {KEYS: [row[column.name] for row in present]})
    assert sorted(rows, key=lambda row: row[1]) == [(row[column.name], row["id"]) for row in present]


async def test_links_with_a_limit_for_each_key(subject: Subject) -> None:
    query = listing(links=(AGE,), per_key=True, limit=Slot("n", ScalarType.INTEGER), order=(Order(NAME), Order(ID)))
    rows = await subject.fetch(query, {KEYS: [18, 30, 1, 77], "n": 2})
    by_key = {age: [key for _, key in group] for age, group in groupby(rows, key=lambda row: row[0])}
    assert by_key == {18: [11, 12], 30: [7, 8], 1: [14, 13]}
    assert len(rows) == 6


async def test_links_obey_visible_and_where(subject: Subject) -> None:
    query = listing(equal(FLAG, True), visible=compare(ID, LT, 10), links=(AGE,))
    assert await subject.fetch(query, {KEYS: [18, 30]}) in ([(18, 9), (30, 1)], [(30, 1), (18, 9)])


async def test_no_keys_no_rows(subject: Subject) -> None:
    assert await subject.fetch(listing(links=(AGE,)), {KEYS: []}) == []


async def test_canonical_json(subject: Subject) -> None:
    person = JsonObject(tuple((column.name, column) for column in PEOPLE_COLUMNS))
    rows = await subject.fetch(listing(outputs=(JsonOutput(person),)))
    texts = [row[0] for row in rows]
    assert all(isinstance(one, str) for one in texts)
    assert json.loads(texts[0]) == {
        "id": "1",
        "name": "张三",
        "code": "640101",
        "flag": True,
        "age": 30,
        "balance": "9223372036854775807",
        "amount": "12.50",
        "score": 0.1,
        "born": "1990-02-28",
        "at": "08:30:00.000000",
        "seen": "2024-02-29T00:00:00.000000Z",
        "changed": "2024-02-29T00:00:00.000000Z",
        "shape": {"type": "Point", "coordinates": [106.23, 38.48]},
    }
    assert json.loads(texts[4]) == {
        "id": "5",
        "name": "",
        "code": "",
        "flag": False,
        "age": -(2**31),
        "balance": "1",
        "amount": "0.00",
        "score": -1e300,
        "born": "0001-01-01",
        "at": "00:00:00.000001",
        "seen": "0001-01-03T00:00:00.000000Z",
        "changed": "0001-01-03T00:00:00.000000Z",
        "shape": None,
    }
    for row, one in zip(PEOPLE, texts, strict=True):
        expected = {column.name: to_json(column.type, row[column.name]) for column in PEOPLE_COLUMNS}
        assert json.loads(one) == expected
        assert list(json.loads(one)) == list(expected)


async def test_raw_values(subject: Subject) -> None:
    rows = await subject.fetch(listing(outputs=tuple(RawOutput(column) for column in PEOPLE_COLUMNS)))
    for row, found in zip(PEOPLE, rows, strict=True):
        expected = tuple(row[column.name] for column in PEOPLE_COLUMNS)
        assert found == expected
        assert [type(value) for value in found] == [type(value) for value in expected]
    assert [str(row[6]) for row in rows[:2]] == ["12.50", "-0.01"]
    assert rows[0][10].utcoffset().total_seconds() == 0


async def test_raw_predicates(subject: Subject) -> None:
    outputs = (RawOutput(IsNull(CODE)), RawOutput(equal(FLAG, True)), RawOutput(Value("x", NAME.type)), RawOutput(TRUE))
    rows = await subject.fetch(listing(compare(ID, LTE, 4), outputs=outputs))
    assert rows == [
        (False, True, "x", True),
        (False, False, "x", True),
        (False, None, "x", True),
        (True, True, "x", True),
    ]


async def test_json_of_any_shape(subject: Subject) -> None:
    wide: list[tuple[str, JsonNode]] = [(f"field{index}", (NAME, AGE, MINE)[index % 3]) for index in range(130)]
    odd: list[tuple[str, JsonNode]] = [
        ("__typename", JsonText('"Person\'s"')),
        ("姓名", NAME),
        ('it\'s "quoted" \\ %s $1 :name {}', NAME),
        ("x" * 100, AGE),
        ("empty", JsonObject(())),
        ("inner", JsonObject((("a", FLAG), ("b", JsonObject((("c", CODE),)))))),
        ("constant", Value("a'b", ScalarType.TEXT)),
        ("nothing", Null(ScalarType.DATE)),
        ("predicate", IsNull(NAME)),
        ("list", JsonText("[1,2]")),
    ]
    rows = await subject.fetch(
        listing(equal(ID, 8), outputs=(JsonOutput(JsonObject(tuple(wide))), JsonOutput(JsonObject(tuple(odd)))))
    )
    first, second = (json.loads(value) for value in rows[0])
    assert first == {f"field{index}": ("é", 30, None)[index % 3] for index in range(130)}
    assert second == {
        "__typename": "Person's",
        "姓名": "é",
        'it\'s "quoted" \\ %s $1 :name {}': "é",
        "x" * 100: 30,
        "empty": {},
        "inner": {"a": None, "b": {"c": "quote\" 'single' \\back"}},
        "constant": "a'b",
        "nothing": None,
        "predicate": False,
        "list": [1, 2],
    }


@pytest.mark.parametrize("mask", MASKS, ids=lambda mask: f"{mask.kind}-{mask.prefix}-{mask.suffix}")
async def test_masks(subject: Subject, mask: masks.Mask) -> None:
    outputs = (RawOutput(Masked(mask, NAME)), JsonOutput(JsonObject((("code", Masked(mask, CODE)),))))
    rows = await subject.fetch(listing(outputs=outputs))
    for row, (name, code) in zip(PEOPLE, rows, strict=True):
        assert name == masks.render(mask, row["name"])
        assert json.loads(code) == {"code": masks.render(mask, row["code"])}


async def test_masks_by_hand(subject: Subject) -> None:
    keep, first, domain = (
        masks.Mask(masks.MaskKind.KEEP, 1, 2),
        masks.Mask(masks.MaskKind.FIRST),
        masks.Mask(masks.MaskKind.DOMAIN),
    )
    rows = await subject.fetch(
        listing(
            outputs=(RawOutput(Masked(keep, CODE)), RawOutput(Masked(first, NAME)), RawOutput(Masked(domain, CODE)))
        )
    )
    assert rows[0] == ("6***01", "张**", "***")
    assert rows[3] == (None, "Z**", None)
    assert rows[4] == ("", "**", "***")
    assert rows[8][1] == "👨**"
    assert rows[9] == ("u" + "*" * 13 + "rg", "**", "***@example.org")
    assert rows[10] == ("a**@c"[:1] + "**" + "@c", "**", "***@c")
    assert rows[11] == ("*", "张**", "***@")
    assert rows[12][1] == "**"


async def test_shown_cell_of_clear_and_masked(subject: Subject) -> None:
    cell = Case(
        ((equal(FLAG, True), NAME), (equal(FLAG, False), Masked(masks.Mask(masks.MaskKind.FIRST), NAME))), NAME.type
    )
    rows = await subject.fetch(listing(compare(ID, LTE, 4), outputs=(RawOutput(cell),)))
    assert rows == [("张三",), ("张**",), (None,), ("Zhang",)]


def grouped(
    outputs: tuple[Expression, ...], keys: tuple[Expression, ...], where: Expression = TRUE, **changes: Any
) -> SourceQuery:
    order = changes.pop("order", tuple(Order(key) for key in keys))
    return SourceQuery(
        "s",
        None,
        "people",
        tuple(RawOutput(one) for one in outputs),
        where=where,
        order=order,
        group_by=keys,
        **changes,
    )


ROWS = Aggregate(AggregateFunction.COUNT_ROWS, None, ScalarType.LONG)


def aggregate(function: AggregateFunction, operand: Expression, kind: ScalarType) -> Aggregate:
    return Aggregate(function, operand, kind)


COUNT, DISTINCT, SUM, MIN, MAX = (
    AggregateFunction.COUNT,
    AggregateFunction.COUNT_DISTINCT,
    AggregateFunction.SUM,
    AggregateFunction.MIN,
    AggregateFunction.MAX,
)


async def test_groups(subject: Subject) -> None:
    total = aggregate(SUM, AMOUNT, ScalarType.DECIMAL)
    query = grouped((FLAG, ROWS, aggregate(COUNT, AMOUNT, ScalarType.LONG), total), (FLAG,))
    assert await subject.fetch(query) == [
        (False, 5, 5, Decimal("19.05")),
        (True, 6, 5, Decimal("10000000019.14")),
        (None, 3, 2, Decimal("99987.50")),
    ]


async def test_groups_by_several_keys_and_texts(subject: Subject) -> None:
    query = grouped((CODE, AGE, ROWS), (CODE, AGE), where=among(ID, 1, 2, 3, 4, 13))
    assert await subject.fetch(query) == [
        ("6401", None, 1),
        ("640101", -1, 1),
        ("640101", 30, 1),
        ("640101 ", 1, 1),
        (None, 2**31 - 1, 1),
    ]


async def test_hidden_and_real_nulls_share_one_group(subject: Subject) -> None:
    query = grouped((MINE, ROWS), (MINE,), where=among(ID, 1, 2, 3, 9, 10))
    assert await subject.fetch(query) == [(18, 2), (30, 1), (None, 2)]


async def test_order_and_limit_of_groups(subject: Subject) -> None:
    query = grouped((AGE, ROWS), (AGE,), order=(Order(ROWS, True), Order(AGE)), limit=Slot("n", ScalarType.INTEGER))
    assert await subject.fetch(query, {"n": 3}) == [(18, 4), (30, 3), (1, 2)]
    by_sum = aggregate(SUM, AMOUNT, ScalarType.DECIMAL)
    query = grouped((FLAG,), (FLAG,), order=(Order(by_sum, True),), limit=2)
    assert await subject.fetch(query) == [(True,), (None,)]


async def test_a_sum_that_is_no_decimal_is_null_to_the_order_too(subject: Subject) -> None:
    by_sum = aggregate(SUM, SCORE, ScalarType.DECIMAL)
    query = grouped((FLAG, by_sum), (FLAG,), order=(Order(by_sum), Order(FLAG)))
    assert await subject.fetch(query) == [
        (None, Decimal("1000000000000000000000.1")),
        (False, None),
        (True, None),
    ]


async def test_one_group_over_everything(subject: Subject) -> None:
    aggregates = (
        ROWS,
        aggregate(COUNT, NAME, ScalarType.LONG),
        aggregate(DISTINCT, CODE, ScalarType.LONG),
        aggregate(DISTINCT, AMOUNT, ScalarType.LONG),
        aggregate(MIN, NAME, ScalarType.TEXT),
        aggregate(MAX, NAME, ScalarType.TEXT),
        aggregate(MIN, BORN, ScalarType.DATE),
        aggregate(MAX, SEEN, ScalarType.DATETIME),
        aggregate(MIN, CHANGED, ScalarType.DATETIME),
        aggregate(MAX, AT, ScalarType.TIME),
        aggregate(MIN, FLAG, ScalarType.BOOLEAN),
        aggregate(MAX, FLAG, ScalarType.BOOLEAN),
        aggregate(MAX, AMOUNT, ScalarType.DECIMAL),
        aggregate(MIN, BALANCE, ScalarType.LONG),
        aggregate(SUM, AGE, ScalarType.LONG),
        aggregate(COUNT, SHAPE, ScalarType.LONG),
    )
    assert await subject.fetch(grouped(aggregates, ())) == [
        (
            14,
            13,
            12,
            10,
            "",
            "𠀀",
            date(1, 1, 1),
            datetime(9999, 12, 30, 23, 59, 59, 999999, UTC),
            datetime(1, 1, 3, tzinfo=UTC),
            time(23, 59, 59, 999999),
            False,
            True,
            Decimal("9999999999.99"),
            -(2**63),
            162,
            3,
        )
    ]


async def test_sums_are_exact(subject: Subject) -> None:
    floats = among(ID, 1, 2, 8, 9, 13)
    rows = await subject.fetch(
        grouped(
            (
                aggregate(SUM, SCORE, ScalarType.DECIMAL),
                aggregate(SUM, SCORE, ScalarType.FLOAT),
                aggregate(SUM, BALANCE, ScalarType.DECIMAL),
            ),
            (),
            where=floats,
        )
    )
    assert rows == [(Decimal("1.9333333333333333"), 1.9333333333333333, Decimal(2**53 + 6))]
    assert str(rows[0][0]) == "1.9333333333333333"
    huge = await subject.fetch(
        grouped(
            (aggregate(SUM, SCORE, ScalarType.FLOAT), aggregate(SUM, BALANCE, ScalarType.LONG)),
            (),
            where=among(ID, 1, 4, 5, 8),
        )
    )
    assert huge == [(0.2, None)]
    tiny = await subject.fetch(grouped((aggregate(SUM, SCORE, ScalarType.FLOAT),), (), where=among(ID, 6, 12)))
    assert tiny == [(1e21,)]


async def test_aggregates_of_nothing(subject: Subject) -> None:
    aggregates = (
        ROWS,
        aggregate(COUNT, NAME, ScalarType.LONG),
        aggregate(DISTINCT, NAME, ScalarType.LONG),
        aggregate(SUM, AMOUNT, ScalarType.DECIMAL),
        aggregate(MIN, NAME, ScalarType.TEXT),
        aggregate(MAX, BORN, ScalarType.DATE),
        aggregate(SUM, SCORE, ScalarType.FLOAT),
    )
    assert await subject.fetch(grouped(aggregates, (), where=FALSE)) == [(0, 0, 0, None, None, None, None)]
    assert await subject.fetch(grouped((FLAG, *aggregates), (FLAG,), where=FALSE)) == []


async def test_aggregates_of_cells_see_visible_values_only(subject: Subject) -> None:
    query = grouped(
        (
            aggregate(COUNT, MINE, ScalarType.LONG),
            aggregate(SUM, MINE, ScalarType.LONG),
            aggregate(MIN, MINE, ScalarType.INTEGER),
        ),
        (),
    )
    assert await subject.fetch(query) == [(6, 30 + 2**31 - 1 + 0 + 18 + 18 + 1, 0)]


async def test_groups_as_json_and_without_aggregates(subject: Subject) -> None:
    fields = (("flag", FLAG), ("n", ROWS), ("sum", aggregate(SUM, AMOUNT, ScalarType.DECIMAL)), ("t", JsonText('"T"')))
    query = SourceQuery("s", None, "people", (JsonOutput(JsonObject(fields)),), group_by=(FLAG,), order=(Order(FLAG),))
    assert [json.loads(row[0]) for row in await subject.fetch(query)] == [
        {"flag": False, "n": "5", "sum": "19.05", "t": "T"},
        {"flag": True, "n": "6", "sum": "10000000019.14", "t": "T"},
        {"flag": None, "n": "3", "sum": "99987.50", "t": "T"},
    ]
    assert await subject.fetch(grouped((FLAG,), (FLAG,))) == [(False,), (True,), (None,)]
    assert await subject.fetch(grouped((Value("x", NAME.type),), ())) == [("x",)]


async def test_groups_of_each_link_key(subject: Subject) -> None:
    query = grouped((ROWS,), (), where=equal(FLAG, False), links=(AGE,))
    rows = await subject.fetch(query, {KEYS: [18, 30, 0]})
    assert sorted(rows) == [(18, 1), (30, 1)]


async def test_cars_have_columns_with_odd_names(subject: Subject) -> None:
    query = SourceQuery(
        "s",
        None,
        "cars",
        (RawOutput(PLATE), RawOutput(PRICE)),
        where=equal(OWNER_NAME, "Zhang"),
        order=(Order(PLATE), Order(CAR_ID)),
    )
    assert await subject.fetch(query) == [("宁A00003", Decimal("300.00")), ("宁A00003", Decimal("7.00"))]


CARS_OF = ((ID, OWNER),)
CHEAP = compare(PRICE, LT, Decimal(200))


def cars(**changes: Any) -> JsonRows:
    given: dict[str, Any] = {
        "namespace": None,
        "table": "cars",
        "links": CARS_OF,
        "visible": TRUE,
        "where": TRUE,
        "order": (Order(PLATE, True), Order(CAR_ID)),
        "limit": 10,
        "many": True,
        "element": JsonObject((("id", CAR_ID), ("price", PRICE))),
    }
    return JsonRows(**{**given, **changes})


nesting = pytest.mark.parametrize("subject", NESTING, indirect=True)


async def nested(subject: Subject, node: JsonRows, arguments: Any = None) -> dict[int, Any]:
    query = listing(compare(ID, LTE, 4), outputs=(RawOutput(ID), JsonOutput(JsonObject((("cars", node),)))))
    rows: list[Row] = await subject.fetch(query, arguments)
    return {key: json.loads(one)["cars"] for key, one in rows}


@nesting
async def test_nested_rows(subject: Subject) -> None:
    third, second, first = {"id": "3", "price": "300.00"}, {"id": "2", "price": None}, {"id": "1", "price": "100.00"}
    assert await nested(subject, cars()) == {
        1: [third, second, first],
        2: [{"id": "4", "price": "100.00"}],
        3: [],
        4: [{"id": "8", "price": "7.00"}, {"id": "7", "price": "0.00"}],
    }
    assert (await nested(subject, cars(limit=Slot("n", ScalarType.INTEGER)), {"n": 2}))[1] == [third, second]
    assert (await nested(subject, cars(limit=0)))[1] == []
    assert (await nested(subject, cars(visible=CHEAP, where=compare(CAR_ID, GT, 1))))[1] == []
    assert (await nested(subject, cars(guard=equal(FLAG, True)))) == {
        1: [third, second, first],
        2: [],
        3: [],
        4: [{"id": "8", "price": "7.00"}, {"id": "7", "price": "0.00"}],
    }


@nesting
async def test_nested_row(subject: Subject) -> None:
    one = cars(many=False, order=(Order(PRICE),))
    assert await nested(subject, one) == {
        1: {"id": "1", "price": "100.00"},
        2: {"id": "4", "price": "100.00"},
        3: None,
        4: {"id": "7", "price": "0.00"},
    }
    assert (await nested(subject, cars(many=False, guard=equal(FLAG, True))))[2] is None


@nesting
async def test_nested_rows_by_text_and_in_two_steps(subject: Subject) -> None:
    owner = JsonRows(
        None, "people", ((OWNER_NAME, NAME),), TRUE, TRUE, BY_ID, 1, False, JsonObject((("name", NAME), ("age", AGE)))
    )
    node = cars(links=((NAME, OWNER_NAME),), element=JsonObject((("id", CAR_ID), ("owner", owner))))
    found = await nested(subject, node)
    assert found[1] == [
        {"id": "2", "owner": {"name": "张三", "age": 30}},
        {"id": "1", "owner": {"name": "张三", "age": 30}},
    ]
    assert [car["id"] for car in found[4]] == ["3", "8"]


async def test_exists(subject: Subject) -> None:
    some = Exists(None, "cars", CARS_OF, TRUE)
    cheap = Exists(None, "cars", CARS_OF, CHEAP)
    if not subject.nested:
        with pytest.raises(CapabilityMissing):
            await ids(subject, some)
        return
    assert await ids(subject, some) == [1, 2, 4]
    assert await ids(subject, Not(some)) == [3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]
    assert await ids(subject, And((some, Not(Exists(None, "cars", CARS_OF, Not(CHEAP)))))) == [2, 4]
    assert await ids(subject, cheap) == [1, 2, 4]
    assert await ids(subject, Exists(None, "cars", ((CODE, PLATE),), TRUE)) == [5]
    assert await ids(subject, Exists(None, "cars", ((ID, OWNER), (NAME, OWNER_NAME)), TRUE)) == [1, 2, 4]


async def test_empty_query_reads_nothing(subject: Subject) -> None:
    assert listing(FALSE).empty
    assert await ids(subject, FALSE) == []
