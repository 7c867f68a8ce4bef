"""Figures of decimals among which PostgreSQL keeps NaN or infinity: what is no decimal counts as no value.

They are read as they stand first, and anew with a test of each value where a sum or a greatest value shows NaN.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from decimal import Decimal
from itertools import combinations, product
from math import isfinite
from typing import Any

import asyncpg
import pytest

from connectors import local
from connectors.evaluate import Record
from connectors.postgresql import PostgreSQLConnector, PostgreSQLKind
from connectors.postgresql_catalog import table_facts
from connectors.protocol import KEYS, Order, RawOutput, Row, SourceQuery
from connectors.sql.expressions import Facts
from connectors.sql.postgresql import PostgreSQLDialect
from connectors.sql.statement import compile_query
from tanglai.catalogue.expressions import (
    Aggregate,
    AggregateFunction,
    And,
    Case,
    Column,
    Compare,
    CompareOp,
    Expression,
    IsNull,
    IsTrue,
    Not,
    Or,
    Slot,
    Value,
)
from tanglai.catalogue.scalars import ScalarType
from tanglai.storage.embedded import EmbeddedPostgres

SECONDS = 20.0
ID = Column("id", ScalarType.LONG)
PART = Column("part", ScalarType.TEXT)
PAID = Column("paid", ScalarType.DECIMAL)
"""Two digits after the point; of what is no decimal it may hold NaN alone."""
WIDE = Column("wide", ScalarType.DECIMAL)
"""Of any number of digits; it may hold infinity too."""
RATE = Column("rate", ScalarType.FLOAT)
NAN, INFINITY = Decimal("NaN"), Decimal("Infinity")
ROWS: Sequence[tuple[int, str | None, Decimal | None, Decimal | None, float | None]] = (
    (1, "clean", Decimal("12.50"), Decimal("1e20"), 1.5),
    (2, "clean", Decimal("-3.25"), Decimal("0.125"), -0.5),
    (3, "clean", None, None, None),
    (4, "clean", Decimal("12.50"), Decimal("7"), 0.0),
    (5, "some", Decimal("1.00"), Decimal("1"), 2.0),
    (6, "some", NAN, NAN, float("nan")),
    (7, "some", Decimal("5.00"), INFINITY, float("inf")),
    (8, "all", NAN, NAN, float("nan")),
    (9, "all", NAN, -INFINITY, float("-inf")),
    (10, None, Decimal("-9.99"), Decimal("1e120"), 3.0),
    (11, None, NAN, Decimal("-1e120"), 1e300),
)
COUNTED = Aggregate(AggregateFunction.COUNT_ROWS, None, ScalarType.LONG)
CLEAN = IsTrue(Compare(CompareOp.EQ, PART, Value("clean", PART.type)))
EVEN = IsTrue(Or((CLEAN, Compare(CompareOp.GTE, ID, Value(7, ID.type)))))
FIGURES = (
    AggregateFunction.SUM,
    AggregateFunction.MAX,
    AggregateFunction.MIN,
    AggregateFunction.COUNT,
    AggregateFunction.COUNT_DISTINCT,
)


@dataclass(frozen=True)
class Table:
    """The rows in PostgreSQL, and as the catalogue's types hold them."""

    connector: PostgreSQLConnector
    facts: Facts
    rows: Sequence[Record]


@pytest.fixture(scope="module")
async def table(postgres: EmbeddedPostgres) -> AsyncIterator[Table]:
    postgres.create_database("nan")
    url = postgres.url("nan")
    connection = await asyncpg.connect(url)
    knows_infinity = connection.get_server_version().major >= 14
    rows = [
        (*row[:3], None if row[3] is not None and row[3].is_infinite() and not knows_infinity else row[3], row[4])
        for row in ROWS
    ]
    await connection.execute(
        "CREATE TABLE bill (id bigint, part text, paid numeric(8, 2), wide numeric, rate double precision)"
    )
    await connection.executemany("INSERT INTO bill VALUES ($1, $2, $3, $4, $5)", rows)
    facts: Facts = {("public", "bill"): await table_facts(connection.fetch, "public", "bill")}
    await connection.close()
    connector = opened(url)
    yield Table(connector, facts, [known(row) for row in rows])
    await connector.close()
    postgres.drop_database("nan")


def opened(url: str) -> PostgreSQLConnector:
    return PostgreSQLKind().open("registry", {"dsn": url}, {})


def known(row: Sequence[Any]) -> Record:
    number, part, paid, wide, rate = row
    return {
        "id": number,
        "part": part,
        "paid": paid if paid is not None and paid.is_finite() else None,
        "wide": wide if wide is not None and wide.is_finite() and abs(wide) < Decimal("1e101") else None,
        "rate": rate if rate is not None and isfinite(rate) else None,
    }


def figure(function: AggregateFunction, operand: Expression, kind: ScalarType = ScalarType.DECIMAL) -> Aggregate:
    counts = function in (AggregateFunction.COUNT, AggregateFunction.COUNT_DISTINCT)
    return Aggregate(function, operand, ScalarType.LONG if counts else kind)


def asking(*outputs: Expression, **more: Any) -> SourceQuery:
    given: dict[str, Any] = {"group_by": (), **more}
    return SourceQuery("registry", "public", "bill", tuple(map(RawOutput, outputs)), **given)


def by_key(rows: Sequence[Row]) -> dict[Any, Row]:
    return {row[0]: row for row in rows}


async def agree(table: Table, query: SourceQuery, arguments: dict[str, Any] | None = None) -> None:
    given = arguments or {}
    answer = await table.connector.fetch(query, given, timeout=SECONDS)
    assert answer == local.run(query, table.rows, given), query
    assert await table.connector.fetch(query, given, timeout=SECONDS) == answer, "and again, by what is kept"


def cells(column: Column) -> tuple[Expression, ...]:
    return column, Case(((EVEN, column),), column.type)


SUBSETS = [chosen for number in (1, 2, 5) for chosen in combinations(FIGURES, number)]


@pytest.mark.parametrize("column", [PAID, WIDE, RATE], ids=lambda column: str(column.name))
async def test_what_is_no_number_adds_nothing(table: Table, column: Column) -> None:
    keys: tuple[tuple[Expression, ...], ...] = ((), (PART,), (column,))
    for cell, functions, by in product(cells(column), SUBSETS, keys):
        figures = [figure(function, cell, column.type) for function in functions]
        order = tuple(map(Order, by))
        await agree(table, asking(*by, *figures, group_by=by, order=order))
        await agree(table, asking(*by, COUNTED, *figures, group_by=by, order=order, visible=EVEN))


async def test_two_columns_of_which_one_is_clean(table: Table) -> None:
    for cell, by in product(cells(PAID), ((), (PART,))):
        whole = Case(((CLEAN, PAID),), PAID.type)
        figures = [figure(function, operand) for operand in (cell, whole, WIDE) for function in FIGURES]
        await agree(table, asking(*by, *figures, group_by=by, order=tuple(map(Order, by))))


@pytest.mark.parametrize("op", list(CompareOp))
async def test_filters_on_them(table: Table, op: CompareOp) -> None:
    figures = [figure(function, PAID) for function in FIGURES]
    for cell, by in product(cells(PAID), ((), (PART,))):
        test = Compare(op, cell, Slot("v", PAID.type))
        for where in (test, Not(test), IsNull(cell), Not(IsNull(cell))):
            query = asking(*by, COUNTED, *figures, where=where, group_by=by, order=tuple(map(Order, by)))
            for value in ("12.50", "-99999999", "99999999"):
                await agree(table, query, {"v": Decimal(value)})


async def test_groups_in_the_order_of_their_figures(table: Table) -> None:
    figures = [figure(function, PAID) for function in FIGURES]
    for first, descending, limit in product((*figures, COUNTED), (False, True), (None, 1, 2, 3, 9)):
        order = (Order(first, descending), Order(PART, descending))
        await agree(table, asking(PART, *figures, group_by=(PART,), order=order, limit=limit))
    for descending, number in product((False, True), (1, 2, 3)):
        for most in (number, Slot("n", ScalarType.INTEGER)):
            query = asking(PART, *figures, group_by=(PART,), order=(Order(PART, descending),), limit=most)
            await agree(table, query, {"n": number})


async def test_groups_of_each_key(table: Table) -> None:
    figures = [figure(function, PAID) for function in FIGURES]
    for keys in (["clean"], ["clean", "all"], ["some", "nothing"]):
        query = asking(COUNTED, *figures, links=(PART,))
        found = await table.connector.fetch(query, {KEYS: keys}, timeout=SECONDS)
        assert by_key(found) == by_key(local.run(query, table.rows, {KEYS: keys}))


async def test_a_stream_is_of_one_statement(table: Table) -> None:
    query = asking(COUNTED, *(figure(function, PAID) for function in FIGURES))
    async with aclosing(table.connector.stream(query, {}, size=10, timeout=SECONDS)) as parts:
        assert [part async for part in parts] == [local.run(query, table.rows, {})]


@dataclass(frozen=True)
class Heard:
    """A connector, and the statements over the table that it ran."""

    connector: PostgreSQLConnector
    ran: list[str]

    async def asked(self, query: SourceQuery, **arguments: Any) -> tuple[list[Row], list[bool]]:
        """The answer, and of each statement whether it tested the values."""
        self.ran.clear()
        rows = await self.connector.fetch(query, arguments, timeout=SECONDS)
        return rows, ["NaN" in text for text in self.ran]


@pytest.fixture
async def heard(postgres: EmbeddedPostgres, table: Table, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Heard]:
    heard = Heard(opened(postgres.url("nan")), [])
    run = heard.connector._run

    async def listening(text: str, *rest: Any) -> list[Any]:
        if '"public"."bill"' in text:
            heard.ran.append(text)
        return await run(text, *rest)

    monkeypatch.setattr(heard.connector, "_run", listening)
    yield heard
    await heard.connector.close()


async def test_a_second_statement_runs_only_where_a_value_is_no_number(heard: Heard) -> None:
    of_one = Compare(CompareOp.EQ, PART, Slot("part", PART.type))
    query = asking(PART, figure(AggregateFunction.SUM, PAID), where=of_one, group_by=(PART,))
    assert await heard.asked(query, part="clean") == ([("clean", Decimal("21.75"))], [False])
    assert await heard.asked(query, part="nothing") == ([], [False])
    assert await heard.asked(query, part="some") == ([("some", Decimal("6.00"))], [False, True])
    assert await heard.asked(query, part="all") == ([("all", None)], [True])
    assert await heard.asked(query, part="clean") == ([("clean", Decimal("21.75"))], [True])


async def test_a_hidden_value_runs_none(heard: Heard) -> None:
    """Nor does it count."""
    least = Compare(CompareOp.GTE, ID, Slot("id", ID.type))
    cell = Case(((IsTrue(And((least, CLEAN))), PAID),), PAID.type)
    figures = [figure(function, cell) for function in (AggregateFunction.SUM, AggregateFunction.COUNT)]
    whole, counted = asking(*figures), asking(COUNTED, *figures)
    parted = asking(PART, *figures, group_by=(PART,), order=(Order(PART),))
    for number, total, values in ((1, Decimal("21.75"), 3), (2, Decimal("9.25"), 2)):
        assert await heard.asked(whole, id=number) == ([(total, values)], [False])
        assert await heard.asked(counted, id=number) == ([(11, total, values)], [False])
        groups = [("all", None, 0), ("clean", total, values), ("some", None, 0), (None, None, 0)]
        assert await heard.asked(parted, id=number) == (groups, [False])


def test_values_are_tested_where_no_figure_tells(table: Table) -> None:
    total, top, least, number = (figure(function, PAID) for function in FIGURES[:4])
    guarded = Case(((CLEAN, PAID),), PAID.type)
    by: dict[str, Any] = {"group_by": (PART,)}
    statements = {
        "a sum": asking(PART, total, **by),
        "a least beside a greatest value": asking(PART, least, top, number, **by),
        "a guarded cell": asking(PART, figure(AggregateFunction.SUM, guarded), **by),
        "all rows": asking(total, number),
        "groups by key, some": asking(PART, total, **by, order=(Order(PART),), limit=5),
        "a least value": asking(PART, least, **by),
        "a number": asking(PART, number, **by),
        "the greatest of all, by an index": asking(top),
        "another column": asking(PART, total, figure(AggregateFunction.MIN, guarded), **by),
        "some, by their figures": asking(PART, top, **by, order=(Order(top),), limit=5),
        "infinity": asking(PART, figure(AggregateFunction.SUM, WIDE), **by),
        "a key": asking(PAID, total, group_by=(PAID,)),
    }

    def written(query: SourceQuery, *, exact: bool) -> tuple[bool, bool]:
        statement = compile_query(query, PostgreSQLDialect(), table.facts, exact=exact)
        return any(text in statement.text for text in ("NaN", "1e101")), bool(statement.telling)

    found = {name: written(query, exact=False) for name, query in statements.items()}
    bare, tested = (False, True), (True, False)
    assert found == {
        **dict.fromkeys(list(statements)[:5], bare),
        **dict.fromkeys(list(statements)[5:], tested),
        "another column": (True, True),
        "a key": (True, True),
    }
    assert {written(query, exact=True) for query in statements.values()} == {tested}
