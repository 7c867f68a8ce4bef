"""What is PostgreSQL's own: odd columns, collations, indexes, cancellation, restarts, changed tables."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from connectors.postgresql import PostgreSQLConnector, PostgreSQLKind
from connectors.postgresql_catalog import table_facts
from connectors.protocol import (
    KEYS,
    ColumnStructure,
    JsonObject,
    JsonOutput,
    JsonRows,
    Order,
    RawOutput,
    SourceQuery,
    SourceTimeout,
    SourceUnavailable,
)
from connectors.sql.dialect import Native, TableFacts
from connectors.sql.expressions import Facts
from connectors.sql.postgresql import PostgreSQLDialect
from connectors.sql.statement import compile_query, page_caps
from tanglai.catalogue.expressions import (
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
    Slot,
    Value,
)
from tanglai.catalogue.masks import Mask, MaskKind
from tanglai.catalogue.scalars import ScalarType
from tanglai.storage.embedded import EmbeddedPostgres
from tests.capture import captured_logs

ID = Column("id", ScalarType.LONG)
SECONDS = 20.0


@pytest_asyncio.fixture(loop_scope="session")
async def admin(database: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(database)
    yield connection
    await connection.close()


@pytest_asyncio.fixture(loop_scope="session")
async def source(database: str) -> AsyncIterator[PostgreSQLConnector]:
    connector = opened(database)
    yield connector
    await connector.close()


def opened(url: str, most: int = 2) -> PostgreSQLConnector:
    return PostgreSQLKind().open("registry", {"dsn": {"env": "URL"}, "pool": {"max": most}}, {"URL": url})


def reading(*columns: Column, table: str = "t", where: Expression = TRUE, **changes: Any) -> SourceQuery:
    given: dict[str, Any] = {
        "outputs": tuple(RawOutput(column) for column in columns),
        "order": (Order(ID),),
        **changes,
    }
    return SourceQuery("registry", "public", table, where=where, **given)


ODD = """
CREATE DOMAIN short AS varchar(20);
CREATE TYPE colour AS ENUM ('red', 'green');
CREATE TABLE t (id bigint, d date, ts timestamptz, local timestamp, tm time, f double precision, f4 real, n numeric,
    i8 bigint, i2 smallint, wide bigint, code char(4), kind colour, key uuid, dom short, yes integer, word text,
    j json);
INSERT INTO t VALUES
    (1, 'infinity', 'infinity', 'infinity', '24:00', 'NaN', 'NaN', 'NaN', 9223372036854775807, 1, 2147483648, 'ab',
     'red', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'x', 1, 'TRUE', '5'),
    (2, '-infinity', '-infinity', '-infinity', '23:59:59.999999', 'Infinity', 'Infinity', 'Infinity', 2, 2, 2147483647,
     'abc ', 'green', 'b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'y', 0, 'f', '{"type": 5}'),
    (3, '10000-01-01', '10000-01-01 00:00+00', '294276-12-31 23:59:59.999999', '00:00', '-Infinity', '-Infinity',
     '-Infinity', 3, 3, -2147483649, '', NULL, NULL, NULL, 2, 'yes', '{"type": "Point", "coordinates": []}'),
    (4, '0001-12-31 BC', '0001-12-31 23:59:59.999999+00 BC', '4713-01-01 00:00:00 BC', '12:00', 1.5, 0.1,
     1.50, 4, 4, 5, 'a  b', NULL, NULL, NULL, NULL, NULL, NULL);
"""


@pytest.mark.parametrize("indexed", [False, True])
async def test_values_that_no_type_holds_are_null_and_fail_nothing(
    admin: Any, source: PostgreSQLConnector, indexed: bool
) -> None:
    await admin.execute(ODD)
    typed = {
        "d": ScalarType.DATE,
        "ts": ScalarType.DATETIME,
        "local": ScalarType.DATETIME,
        "tm": ScalarType.TIME,
        "f": ScalarType.FLOAT,
        "f4": ScalarType.FLOAT,
        "n": ScalarType.DECIMAL,
        "wide": ScalarType.INTEGER,
    }
    columns = [Column(name, kind) for name, kind in typed.items()]
    if indexed:
        await admin.execute("".join(f"CREATE INDEX ON t ({name});" for name in typed))
        await admin.execute("ALTER TABLE t ADD n2 numeric(8,2); UPDATE t SET n2 = CASE WHEN id > 3 THEN n / 2 END")
        await admin.execute("UPDATE t SET n2 = 'NaN' WHERE id IN (1, 3); CREATE INDEX ON t (n2)")
    assert await source.fetch(reading(*columns), {}, timeout=SECONDS) == [
        (None, None, None, None, None, None, None, None),
        (None, None, None, time(23, 59, 59, 999999), None, None, None, 2147483647),
        (None, None, None, time(0), None, None, None, None),
        (None, None, None, time(12), 1.5, pytest.approx(0.1), Decimal("1.50"), 5),
    ]
    parameters = {
        ScalarType.DATE: (date.min, date.max),
        ScalarType.DATETIME: (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)),
        ScalarType.TIME: (time.min, time.max),
        ScalarType.FLOAT: (-1.7e308, 1.7e308),
        ScalarType.DECIMAL: (Decimal("-1E+99"), Decimal("1E+99")),
        ScalarType.INTEGER: (-(2**31), 2**31 - 1),
    }
    for column in [*columns, *([Column("n2", ScalarType.DECIMAL)] if indexed else [])]:
        low, high = parameters[column.type]
        known = [row[0] for row in await source.fetch(reading(ID, where=Not(IsNull(column))), {}, timeout=SECONDS)]
        for test in (
            Compare(CompareOp.GTE, column, Value(low, column.type)),
            Compare(CompareOp.LTE, column, Value(high, column.type)),
            Not(Compare(CompareOp.LT, column, Value(low, column.type))),
            Not(Compare(CompareOp.GT, column, Value(high, column.type))),
            And((Compare(CompareOp.GTE, column, Slot("low", column.type)), Not(IsNull(column)))),
        ):
            found = await source.fetch(reading(ID, where=test), {"low": low}, timeout=SECONDS)
            assert [row[0] for row in found] == known, (column, test)
        ordered = await source.fetch(reading(ID, order=(Order(column), Order(ID))), {}, timeout=SECONDS)
        assert [row[0] for row in ordered][: len(known)] == sorted(known, key=[row[0] for row in ordered].index)
        assert {row[0] for row in ordered[: len(known)]} == set(known)
        for descending in (False, True):
            order = (Order(column, descending), Order(ID, descending))
            whole = await source.fetch(reading(ID, column, order=order), {}, timeout=SECONDS)
            nulls = [row[1] is None for row in whole]
            assert nulls == sorted(nulls, reverse=descending)
            for limit in range(6):
                page = reading(ID, column, order=order, limit=Slot("n", ScalarType.INTEGER))
                assert await source.fetch(page, {"n": limit}, timeout=SECONDS) == whole[:limit]
                assert await source.fetch(reading(ID, order=order, limit=limit), {}, timeout=SECONDS) == [
                    row[:1] for row in whole[:limit]
                ]
        total = Aggregate(AggregateFunction.COUNT_DISTINCT, column, ScalarType.LONG)
        group = SourceQuery("registry", "public", "t", (RawOutput(total),), group_by=())
        distinct = len({row[0] for row in await source.fetch(reading(column), {}, timeout=SECONDS)} - {None})
        assert await source.fetch(group, {}, timeout=SECONDS) == [(distinct,)]


async def test_other_types_read_as_declared(admin: Any, source: PostgreSQLConnector) -> None:
    await admin.execute(ODD)
    columns = (
        Column("code", ScalarType.TEXT),
        Column("kind", ScalarType.TEXT),
        Column("key", ScalarType.TEXT),
        Column("dom", ScalarType.TEXT),
        Column("yes", ScalarType.BOOLEAN),
        Column("word", ScalarType.BOOLEAN),
        Column("i2", ScalarType.DECIMAL),
        Column("i2", ScalarType.LONG),
        Column("i2", ScalarType.TEXT),
        Column("f4", ScalarType.DECIMAL),
        Column("n", ScalarType.LONG),
        Column("j", ScalarType.GEOMETRY),
    )
    rows = await source.fetch(reading(*columns), {}, timeout=SECONDS)
    uuid = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"
    assert rows[0] == ("ab", "red", uuid, "x", True, True, Decimal(1), 1, "1", None, None, None)
    assert rows[1][:6] == ("abc", "green", "b" + uuid[1:], "y", False, False)
    assert rows[2][:6] == ("", None, None, None, None, None)
    assert rows[2][-1] == {"type": "Point", "coordinates": []}
    assert rows[3][0] == "a  b"
    assert rows[3][9:] == (Decimal("0.1"), None, None)
    for column, value, expected in (
        (columns[0], "abc", [(2,)]),
        (columns[0], "abc ", []),
        (columns[1], "green", [(2,)]),
        (columns[2], uuid, [(1,)]),
        (columns[4], True, [(1,)]),
    ):
        test = Compare(CompareOp.EQ, column, Slot("v", column.type))
        assert await source.fetch(reading(ID, where=test), {"v": value}, timeout=SECONDS) == expected
        found = await source.fetch(reading(ID, links=(column,)), {KEYS: [value]}, timeout=SECONDS)
        assert [row[1:] for row in found] == expected


async def test_a_column_of_another_type_is_told_before_any_row(admin: Any, source: PostgreSQLConnector) -> None:
    await admin.execute("CREATE TABLE t (id bigint, name text)")  # no row: the answer cannot come from one
    for column in (Column("name", ScalarType.INTEGER), Column("id", ScalarType.DATE), Column("none", ScalarType.TEXT)):
        with pytest.raises(SourceUnavailable):
            await source.fetch(reading(column), {}, timeout=SECONDS)
    with pytest.raises(SourceUnavailable):
        await source.fetch(reading(ID, table="nowhere"), {}, timeout=SECONDS)


def without_icu(error: asyncpg.PostgresError) -> None:
    pytest.skip(f"this server was built without ICU: {type(error).__name__}")


async def test_collations_change_neither_equality_nor_order(admin: Any, source: PostgreSQLConnector) -> None:
    try:
        await admin.execute(
            "CREATE COLLATION caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"
        )
    except (asyncpg.FeatureNotSupportedError, asyncpg.UndefinedObjectError) as error:
        without_icu(error)
    await admin.execute(
        """
        CREATE TABLE t (id bigint, plain text, zh text COLLATE "zh-x-icu", loose text COLLATE caseless);
        INSERT INTO t SELECT i, w, w, w FROM
            unnest(ARRAY['b', 'B', 'a', 'A', '中', '安', 'é', NULL, 'á']) WITH ORDINALITY AS x(w, i);
        CREATE TABLE u AS SELECT * FROM t;
        """
    )
    plain = Column("plain", ScalarType.TEXT)
    texts = sorted(["b", "B", "a", "A", "中", "安", "é", "á"])
    for column in (plain, Column("zh", ScalarType.TEXT, collated=False), Column("loose", ScalarType.TEXT)):

        async def fetch(query: SourceQuery, **arguments: Any) -> list[Any]:
            given = {KEYS if name == "keys" else name: value for name, value in arguments.items()}
            return await source.fetch(query, given, timeout=SECONDS)

        shown = Case(((Not(IsNull(plain)), column),), column.type)
        for cell in (column, shown):
            rows = await fetch(reading(column, order=(Order(cell),)))
            assert [row[0] for row in rows] == [*texts, None]
            equal = Compare(CompareOp.EQ, cell, Value("A", ScalarType.TEXT))
            assert await fetch(reading(column, where=equal)) == [("A",)]
            assert len(await fetch(reading(column, where=Not(equal)))) == 7
            less = Compare(CompareOp.LT, cell, Value("a", ScalarType.TEXT))
            assert len(await fetch(reading(column, where=less))) == 2
            member = In(cell, (Slot("v", ScalarType.TEXT, many=True), Value("á", ScalarType.TEXT)))
            assert len(await fetch(reading(column, where=member), v=["A", "中"])) == 3
            like = Match(MatchOp.CONTAINS, cell, Value("A", ScalarType.TEXT))
            assert await fetch(reading(column, where=like)) == [("A",)]
            assert len(await fetch(reading(ID, where=Compare(CompareOp.EQ, cell, plain)))) == 8
            assert await fetch(reading(ID, where=Compare(CompareOp.LT, plain, cell))) == []
            keys = SourceQuery("r", "public", "t", (RawOutput(cell),), group_by=(cell,), order=(Order(cell),))
            assert [row[0] for row in await fetch(keys)] == [*texts, None]
            top = Aggregate(AggregateFunction.MAX, cell, ScalarType.TEXT)
            distinct = Aggregate(AggregateFunction.COUNT_DISTINCT, cell, ScalarType.LONG)
            group = SourceQuery("r", "public", "t", (RawOutput(top), RawOutput(distinct)), group_by=())
            assert await fetch(group) == [(texts[-1], 8)]
        masked = Masked(Mask(MaskKind.DOMAIN), column)
        assert {row[0] for row in await fetch(reading(ID, outputs=(RawOutput(masked),)))} == {"***", None}
        assert sorted(await fetch(reading(ID, links=(column,)), keys=["a", "B"])) == [("B", 2), ("a", 3)]
        assert await fetch(reading(ID, links=(column, ID)), keys=[("a", 3), ("a", 4)]) == [("a", 3, 3)]
        limited = reading(ID, links=(column,), per_key=True, limit=1)
        assert len(await fetch(limited, keys=["a", "A", "b"])) == 3
        for other in (plain, Column("zh", ScalarType.TEXT), Column("loose", ScalarType.TEXT)):
            linked = Exists("public", "u", ((column, other),), Compare(CompareOp.GT, ID, Value(4, ID.type)))
            assert [row[0] for row in await fetch(reading(ID, where=linked))] == [5, 6, 7, 9]
            element = JsonObject((("id", ID),))
            inner = JsonRows("public", "u", ((column, other),), TRUE, TRUE, (Order(other),), 5, True, element)
            outputs = (JsonOutput(JsonObject((("u", inner),))),)
            found = [json.loads(row[0])["u"] for row in await fetch(reading(ID, outputs=outputs))]
            assert found == [[{"id": str(number)}] if number != 8 else [] for number in range(1, 10)]


async def test_a_collation_is_written_where_it_is_needed_only() -> None:
    column = Column("name", ScalarType.TEXT)
    facts = {
        "c": Native("text", codepoint=True, deterministic=True, collation="950"),
        "zh": Native("text", codepoint=False, deterministic=True, collation="1"),
        "loose": Native("text", codepoint=False, deterministic=False, collation="2"),
    }
    tests: dict[str, Expression] = {
        "eq": Compare(CompareOp.EQ, column, Value("x", ScalarType.TEXT)),
        "lt": Compare(CompareOp.LT, column, Value("x", ScalarType.TEXT)),
    }
    written = {
        (native, test): 'COLLATE "C"'
        in compile_query(
            reading(ID, where=where),
            PostgreSQLDialect(),
            {("public", "t"): TableFacts("public", "t", {"name": facts[native], "id": Native("int8")})},
        ).text
        for native in facts
        for test, where in tests.items()
    }
    assert written == {
        ("c", "eq"): False,
        ("c", "lt"): False,
        ("zh", "eq"): False,
        ("zh", "lt"): True,
        ("loose", "eq"): True,
        ("loose", "lt"): True,
    }


async def explain(admin: Any, query: SourceQuery, arguments: dict[str, Any], facts: Facts | None = None) -> str:
    statement = compile_query(query, PostgreSQLDialect(), facts, cap=1001)
    prepared = await admin.prepare(statement.text)
    return json.dumps(await prepared.explain(*statement.parameters(arguments)))


async def test_an_order_ends_where_a_column_tells_rows_apart(admin: Any) -> None:
    await admin.execute("CREATE TABLE apart (id bigint NOT NULL, code text UNIQUE, number text NOT NULL UNIQUE)")
    facts: Facts = {("public", "apart"): await table_facts(admin.fetch, "public", "apart")}
    handle = Column("id", ScalarType.LONG)
    ordered = {
        name: compile_query(
            SourceQuery(
                "s",
                "public",
                "apart",
                (RawOutput(handle),),
                order=(Order(Column(name, ScalarType.TEXT)), Order(handle)),
            ),
            PostgreSQLDialect(),
            facts,
        ).text.partition("ORDER BY")[2]
        for name in ("code", "number")
    }
    assert '"number"' in ordered["number"]
    assert '"id"' not in ordered["number"]
    assert '"id"' in ordered["code"], "two rows may have no code"


def test_caps_lie_near_the_page_where_its_order_alone_chooses_rows() -> None:
    code, name = Column("code", ScalarType.TEXT), Column("name", ScalarType.TEXT)
    query = SourceQuery("s", None, "t", (RawOutput(code),), order=(Order(code),))
    since = Compare(CompareOp.GTE, code, Slot("since", ScalarType.TEXT))
    other = Compare(CompareOp.EQ, name, Slot("name", ScalarType.TEXT))
    assert page_caps(query) == page_caps(replace(query, where=since)) == (11, 101, 1001)
    assert page_caps(replace(query, where=other)) == page_caps(replace(query, visible=other)) == (1001,)
    assert page_caps(replace(query, order=(), where=since)) == (), "an open range: its rows are guessed too many"


async def test_plain_predicates_use_indexes(admin: Any) -> None:
    await admin.execute(
        """
        CREATE TABLE t (id bigint PRIMARY KEY, name text, born date, changed timestamp, amount numeric(12,2));
        INSERT INTO t SELECT g, 'n' || g, date '2000-01-01' + (g % 9000)::int,
            timestamp '2000-01-01' + g * interval '1 h', g FROM generate_series(1, 30000) g;
        CREATE INDEX by_name ON t (name); CREATE INDEX by_born ON t (born); CREATE INDEX by_changed ON t (changed);
        CREATE INDEX by_amount ON t (amount);
        """
    )
    await admin.execute("ANALYZE t")
    name, born, amount = (
        Column("name", ScalarType.TEXT),
        Column("born", ScalarType.DATE),
        Column("amount", ScalarType.DECIMAL),
    )
    changed = Column("changed", ScalarType.DATETIME, timezone="Asia/Shanghai")
    eq, gt = CompareOp.EQ, CompareOp.GT
    late = datetime(2003, 6, 1, tzinfo=UTC)
    for index, where, arguments in (
        ("t_pkey", Compare(eq, ID, Slot("v", ID.type)), {"v": 5}),
        ("t_pkey", IsTrue(Compare(eq, ID, Slot("v", ID.type))), {"v": 5}),
        ("t_pkey", In(ID, (Slot("v", ID.type, many=True),)), {"v": [1, 2, 3]}),
        ("by_name", Compare(eq, name, Slot("v", name.type)), {"v": "n5"}),
        ("by_name", Match(MatchOp.STARTS_WITH, name, Slot("v", name.type)), {"v": "n1234"}),
        ("by_born", Compare(eq, born, Slot("v", born.type)), {"v": date(2001, 1, 1)}),
        ("by_amount", Compare(gt, amount, Slot("v", amount.type)), {"v": Decimal("29990")}),
        ("by_changed", Compare(gt, changed, Slot("v", changed.type)), {"v": late}),
        ("by_changed", Compare(eq, changed, Slot("v", changed.type)), {"v": late}),
    ):
        assert f'"{index}"' in await explain(admin, reading(ID, where=where, order=()), arguments), where
        assert f'"{index}"' in await explain(admin, reading(ID, visible=where, order=()), arguments), where
    keyed = reading(ID, links=(name,), order=())
    assert '"by_name"' in await explain(admin, keyed, {KEYS: ["n1", "n2"]})
    several = reading(ID, links=(name, ID), order=())
    assert "Index" in await explain(admin, several, {KEYS: [("n1", 1), ("n2", 2)]})
    page = reading(ID, limit=Slot("first", ScalarType.INTEGER))
    assert '"t_pkey"' in await explain(admin, page, {"first": 100})
    assert "Sort" not in await explain(admin, page, {"first": 100})
    down = reading(ID, order=(Order(ID, True),), limit=3)
    assert "Backward" in await explain(admin, down, {})
    facts: Facts = {("public", "t"): await table_facts(admin.fetch, "public", "t")}
    for column, index in ((born, "by_born"), (amount, "by_amount")):
        for descending in (False, True):
            sorted_ = reading(ID, order=(Order(column, descending), Order(ID)), limit=Slot("n", ScalarType.INTEGER))
            plan = await explain(admin, sorted_, {"n": 20}, facts)
            assert f'"{index}"' in plan
            assert "Seq Scan" not in plan


async def test_no_value_stands_in_the_text() -> None:
    secret = "zh-secret'value"
    name = Column("name", ScalarType.TEXT)
    guard = Compare(CompareOp.EQ, name, Value(secret, ScalarType.TEXT))
    where = And(
        (
            In(name, (Value(secret, ScalarType.TEXT), Slot("v", ScalarType.TEXT, many=True))),
            Match(MatchOp.CONTAINS, name, Value(secret, ScalarType.TEXT)),
            Compare(CompareOp.GT, Case(((guard, ID),), ID.type), Value(918273645, ID.type)),
        )
    )
    mask = Masked(Mask(MaskKind.PSEUDONYM, key=b"secret key secret key secret key"), name)
    keep = Masked(Mask(MaskKind.KEEP, 77, 88), name)
    fields = (("secret", mask), ("keep", keep), ("constant", Value(secret, ScalarType.TEXT)))
    query = reading(visible=IsTrue(guard), where=where, outputs=(JsonOutput(JsonObject(fields)),), links=(ID,))
    statement = compile_query(query, PostgreSQLDialect())
    assert not any(part in statement.text for part in ("zh-", "918273645", "77", "88", "key secret"))
    parameters = statement.parameters({"v": ["a"], KEYS: [1]})
    assert secret in parameters
    assert ["a"] in parameters
    assert len(parameters) == len(set(map(repr, parameters)))


async def test_names_are_quoted(admin: Any, source: PostgreSQLConnector) -> None:
    await admin.execute('CREATE SCHEMA "Odd ""ns"; CREATE TABLE "Odd ""ns"."Ta$1:x""b" ("id" bigint, "%s :n ""c" text)')
    await admin.execute('INSERT INTO "Odd ""ns"."Ta$1:x""b" VALUES (1, $1)', "v")
    column = Column('%s :n "c', ScalarType.TEXT)
    fields = JsonObject(((column.name, column),))
    for changes in ({}, {"links": (column,), "per_key": True, "limit": 1}):
        given: Any = {"order": (Order(ID),), **changes}
        query = SourceQuery("r", 'Odd "ns', 'Ta$1:x"b', (JsonOutput(fields),), **given)
        rows = await source.fetch(query, {KEYS: ["v"]}, timeout=SECONDS)
        assert json.loads(rows[0][-1]) == {column.name: "v"}


async def test_a_table_without_namespace_is_found(admin: Any, source: PostgreSQLConnector) -> None:
    await admin.execute(
        """
        CREATE SCHEMA a; CREATE SCHEMA b; CREATE TABLE a.one (id bigint); CREATE TABLE a.two (id bigint);
        CREATE TABLE b.two (id bigint); CREATE TABLE b.three (id bigint); CREATE TABLE public.three (id bigint);
        INSERT INTO a.one VALUES (1); INSERT INTO public.three VALUES (3);
        """
    )
    for table, expected in (("one", [(1,)]), ("three", [(3,)])):
        assert await source.fetch(SourceQuery("r", None, table, (RawOutput(ID),)), {}, timeout=SECONDS) == expected
    with pytest.raises(SourceUnavailable):
        await source.fetch(SourceQuery("r", None, "two", (RawOutput(ID),)), {}, timeout=SECONDS)


async def test_a_changed_table_is_read_as_it_is_now(admin: Any, source: PostgreSQLConnector) -> None:
    await admin.execute("CREATE TABLE t (id bigint, v integer); INSERT INTO t VALUES (1, 5)")
    column = Column("v", ScalarType.LONG)
    query = reading(column, where=Compare(CompareOp.EQ, column, Slot("v", ScalarType.LONG)))
    assert await source.fetch(query, {"v": 5}, timeout=SECONDS) == [(5,)]
    await admin.execute("ALTER TABLE t ALTER v TYPE numeric")
    assert await source.fetch(query, {"v": 5}, timeout=SECONDS) == [(5,)]
    await admin.execute("DROP TABLE t; CREATE TABLE t (v bigint, id bigint); INSERT INTO t VALUES (7, 1)")
    assert await source.fetch(query, {"v": 7}, timeout=SECONDS) == [(7,)]
    await admin.execute("ALTER TABLE t RENAME v TO w")
    with pytest.raises(SourceUnavailable):
        await source.fetch(query, {"v": 7}, timeout=SECONDS)
    await admin.execute("ALTER TABLE t RENAME w TO v")
    assert await source.fetch(query, {"v": 7}, timeout=SECONDS) == [(7,)]


async def test_the_session_cannot_write(admin: Any, source: PostgreSQLConnector) -> None:
    await admin.execute("CREATE SEQUENCE s; CREATE VIEW t AS SELECT nextval('public.s') AS id")
    with pytest.raises(SourceUnavailable):
        await source.fetch(reading(ID), {}, timeout=SECONDS)


SLOW = "CREATE VIEW t AS SELECT 1::bigint AS id WHERE pg_sleep(120) IS NULL"
RUNNING = """
SELECT count(*) FROM pg_stat_activity
WHERE application_name = 'tanglai' AND state = 'active' AND query LIKE '%public"."t"%'
"""


async def eventually(admin: Any, running: int) -> None:
    async with asyncio.timeout(SECONDS):
        while await admin.fetchval(RUNNING) != running:  # noqa: ASYNC110 (the server tells nobody)
            await asyncio.sleep(0.01)


async def test_a_cancelled_call_ends_its_statement(admin: Any, source: PostgreSQLConnector) -> None:
    await admin.execute(SLOW)
    calls = [asyncio.create_task(source.fetch(reading(ID), {}, timeout=60)) for _ in range(2)]
    await eventually(admin, 2)
    for call in calls:
        call.cancel()
    assert [type(done) for done in await asyncio.gather(*calls, return_exceptions=True)] == [asyncio.CancelledError] * 2
    await eventually(admin, 0)
    await admin.execute("DROP VIEW t; CREATE TABLE t AS SELECT 1::bigint AS id")
    both = await asyncio.gather(*(source.fetch(reading(ID), {}, timeout=SECONDS) for _ in range(4)))
    assert both == [[(1,)]] * 4


async def test_a_call_ends_in_its_time(admin: Any, source: PostgreSQLConnector) -> None:
    await admin.execute(SLOW)
    with pytest.raises(SourceTimeout):
        await source.fetch(reading(ID), {}, timeout=0.3)
    await eventually(admin, 0)
    waiting = [asyncio.create_task(source.fetch(reading(ID), {}, timeout=60)) for _ in range(2)]
    await eventually(admin, 2)
    with pytest.raises(SourceTimeout):  # no connection is free
        await source.fetch(reading(ID), {}, timeout=0.3)
    for call in waiting:
        call.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_the_server_ends_what_the_client_forgot(admin: Any, source: PostgreSQLConnector) -> None:
    await admin.execute("CREATE VIEW t AS SELECT current_setting('statement_timeout') AS id")
    setting = Column("id", ScalarType.TEXT)
    for seconds, expected in ((0.4, "1s"), (7.0, "10s"), (30.0, "30s"), (0.9, "1s")):
        assert await source.fetch(reading(setting, order=()), {}, timeout=seconds) == [(expected,)]


async def until_it_fails(connector: PostgreSQLConnector) -> None:
    """A session of a dead server may answer once more before it notices."""
    for _ in range(200):
        await connector.fetch(reading(ID), {}, timeout=SECONDS)
        await asyncio.sleep(0.02)


async def test_a_restarted_server_is_found_again(tmp_path: Path) -> None:
    settings = {"fsync": "off", "full_page_writes": "off"}
    with EmbeddedPostgres(tmp_path / "server", settings=settings) as server:
        server.create_database("d")
        connection = await asyncpg.connect(server.url("d"))
        await connection.execute("CREATE TABLE t AS SELECT 1::bigint AS id")
        await connection.close()
        connector = opened(server.url("d"), most=3)
        try:
            for _ in range(2):
                several = (connector.fetch(reading(ID), {}, timeout=SECONDS) for _ in range(3))
                assert await asyncio.gather(*several) == [[(1,)]] * 3
                server.kill()
                with pytest.raises(SourceUnavailable):
                    await until_it_fails(connector)
                server.ensure_running()
            several = (connector.fetch(reading(ID), {}, timeout=SECONDS) for _ in range(3))
            assert await asyncio.gather(*several) == [[(1,)]] * 3
            server.kill()
            server.ensure_running()
            assert await connector.fetch(reading(ID), {}, timeout=SECONDS) == [(1,)]
        finally:
            await connector.close()


async def test_failures_are_logged_without_values(database: str) -> None:
    wrong = database.replace("tanglai:", "nobody:")
    connector = opened(wrong)
    with captured_logs() as logs, pytest.raises(SourceUnavailable) as caught:
        await connector.fetch(reading(ID), {}, timeout=SECONDS)
    await connector.close()
    assert str(caught.value) == "source `registry` is unavailable"
    assert caught.value.__cause__ is None
    assert [entry["error"] for entry in logs] == ["InvalidPasswordError"]
    assert "nobody" not in repr(logs)
    assert "127.0.0.1" not in repr(logs)


async def test_introspection(admin: Any, source: PostgreSQLConnector) -> None:
    await admin.execute(ODD)
    await admin.execute(
        """
        CREATE SCHEMA other;
        CREATE TABLE other.people (id bigint PRIMARY KEY, email text NOT NULL UNIQUE, name text COLLATE "C",
            a integer, b integer, UNIQUE (a, b));
        CREATE UNIQUE INDEX ON other.people (a) WHERE b > 0;
        CREATE VIEW other.shown AS SELECT id, name FROM other.people;
        CREATE MATERIALIZED VIEW other.kept AS SELECT id FROM other.people;
        CREATE TABLE other.parted (day date) PARTITION BY RANGE (day);
        CREATE TABLE other.part PARTITION OF other.parted FOR VALUES FROM ('2000-01-01') TO ('2001-01-01');
        """
    )
    found = {(table.namespace, table.name): table.columns for table in await source.introspect()}
    assert sorted(found) == [
        ("other", "kept"),
        ("other", "parted"),
        ("other", "people"),
        ("other", "shown"),
        ("public", "t"),
    ]
    assert found["other", "people"] == (
        ColumnStructure("id", "bigint", ScalarType.LONG, nullable=False, unique=True),
        ColumnStructure("email", "text", ScalarType.TEXT, nullable=False, unique=True),
        ColumnStructure("name", "text", ScalarType.TEXT, nullable=True, unique=False),
        ColumnStructure("a", "integer", ScalarType.INTEGER, nullable=True, unique=False),
        ColumnStructure("b", "integer", ScalarType.INTEGER, nullable=True, unique=False),
    )
    types = {column.name: column.type for column in found["public", "t"]}
    assert types["kind"] is types["dom"] is types["code"] is types["key"] is ScalarType.TEXT
    assert types["local"] is ScalarType.DATETIME
    assert types["j"] is ScalarType.GEOMETRY


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "option `dsn`"),
        ({"dsn": "mysql://secret@host/d"}, "option `dsn`"),
        ({"dsn": {"env": "MISSING"}}, "environment variable `MISSING` is not set"),
        ({"dsn": "postgresql://h/d", "pool": {"max": 0}}, "option `pool.max`"),
        ({"dsn": "postgresql://h/d", "other": 1}, "option `other`"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        PostgreSQLKind().open("s", options, {})
    assert "secret" not in str(caught.value)


async def test_a_page_in_the_order_of_a_guarded_cell_holds_each_row_once(
    admin: Any, source: PostgreSQLConnector
) -> None:
    await admin.execute("CREATE TABLE t (id int PRIMARY KEY, dept text, n int)")
    await admin.execute("CREATE INDEX ON t (n, id)")
    await admin.execute("INSERT INTO t VALUES (1, 'a', 5), (2, 'a', NULL), (3, 'b', 1), (4, 'b', NULL), (5, 'a', NULL)")
    number, key, dept = (
        Column("n", ScalarType.INTEGER),
        Column("id", ScalarType.INTEGER),
        Column("dept", ScalarType.TEXT),
    )
    guard = Compare(CompareOp.EQ, dept, Value("a", ScalarType.TEXT))
    cell = Case(((guard, number),), ScalarType.INTEGER)
    for descending, whole in ((False, [1, 2, 3, 4, 5]), (True, [2, 3, 4, 5, 1])):
        for limit in range(7):
            query = reading(key, order=(Order(cell, descending), Order(key)), limit=limit)
            found = [row[0] for row in await source.fetch(query, {}, timeout=5.0)]
            assert found == whole[:limit], (descending, limit)


async def test_a_table_that_others_inherit_from_may_hold_a_key_twice(admin: Any) -> None:
    await admin.execute(
        "CREATE TABLE whole (id bigint PRIMARY KEY); CREATE TABLE part () INHERITS (whole);"
        "CREATE TABLE divided (id bigint PRIMARY KEY) PARTITION BY RANGE (id);"
        "CREATE TABLE low PARTITION OF divided FOR VALUES FROM (0) TO (9)"
    )
    unique = {}
    for name in ("whole", "divided"):
        columns = (await table_facts(admin.fetch, "public", name)).columns
        assert columns is not None
        unique[name] = columns["id"].unique
    assert unique == {"whole": False, "divided": True}
