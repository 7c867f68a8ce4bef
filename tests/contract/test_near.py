"""Columns that are read in another form than they are kept in: their indexes serve, the answers stay the same."""

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from connectors.postgresql import PostgreSQLKind
from connectors.postgresql_catalog import table_facts
from connectors.protocol import KEYS, Connector, RawOutput, SourceQuery
from connectors.sql.expressions import Facts
from connectors.sql.postgresql import PostgreSQLDialect
from connectors.sql.statement import compile_query
from tanglai.catalogue.expressions import Column, Compare, CompareOp, Exists, Expression, In, Not, Slot, Value
from tanglai.catalogue.scalars import ScalarType
from tanglai.storage.embedded import EmbeddedPostgres

ID = Column("id", ScalarType.LONG)
NUMBER, HALF = Column("number", ScalarType.TEXT), Column("half", ScalarType.TEXT)
TOKEN, COUNT = Column("token", ScalarType.TEXT), Column("count", ScalarType.INTEGER)
ROWS = 5_000


def uuid(number: int) -> str:
    return str(UUID(int=number * 7919))


@pytest.fixture(scope="module")
async def admin(postgres: EmbeddedPostgres) -> AsyncIterator[Any]:
    postgres.create_database("near")
    connection = await asyncpg.connect(postgres.url("near"))
    await connection.execute(
        f"""
        CREATE TABLE kept (id bigint PRIMARY KEY, number char(18), half char(18), token uuid, count numeric(12, 2));
        INSERT INTO kept SELECT n, 'N' || n, 'N' || n / 2, lpad(to_hex(n * 7919), 32, '0')::uuid,
            CASE WHEN n % 10 = 0 THEN n + 0.5 ELSE n END FROM generate_series(1, {ROWS}) n;
        INSERT INTO kept VALUES (0, NULL, 'N7  ', NULL, NULL), (-1, '', NULL, NULL, 'NaN');
        CREATE INDEX by_number ON kept (number); CREATE INDEX by_token ON kept (token);
        CREATE INDEX by_count ON kept (count)
        """
    )
    await connection.execute("ANALYZE kept")
    yield connection
    await connection.close()
    postgres.drop_database("near")


@pytest.fixture(scope="module")
async def source(admin: Any, postgres: EmbeddedPostgres) -> AsyncIterator[Connector]:
    connector = PostgreSQLKind().open("near", {"dsn": postgres.url("near")}, {})
    yield connector
    await connector.close()


def text(value: str) -> Value:
    return Value(value, ScalarType.TEXT)


def test_of(op: str, column: Column, value: Any) -> Expression:
    return Compare(CompareOp(op), column, Value(value, column.type))


test_of.__test__ = False  # type: ignore[attr-defined]
SEVERAL = Slot("several", ScalarType.TEXT, many=True)
FILTERS: dict[str, tuple[str, Expression, list[int]]] = {
    "a padded text": ("by_number", test_of("eq", NUMBER, "N7"), [7]),
    "a text with blanks": ("by_number", test_of("eq", NUMBER, "N7 "), []),
    "an empty text": ("by_number", test_of("eq", NUMBER, ""), [-1]),
    "several padded texts": ("by_number", In(NUMBER, (text("N7"), text("N8"), text("N9  "))), [7, 8]),
    "several of a request": ("by_number", In(NUMBER, (SEVERAL, text("N2"))), [1, 2]),
    "a uuid": ("by_token", test_of("eq", TOKEN, uuid(5)), [5]),
    "a uuid in capitals": ("by_token", test_of("eq", TOKEN, uuid(99).upper()), []),
    "no uuid": ("by_token", test_of("eq", TOKEN, "it's none"), []),
    "several uuids": ("by_token", In(TOKEN, (text(uuid(5)), text("none"), text(uuid(6)), text(""))), [5, 6]),
    "a whole number": ("by_count", test_of("eq", COUNT, 7), [7]),
    "half a number": ("by_count", test_of("eq", COUNT, 10), []),
    "a range": ("by_count", test_of("gt", COUNT, ROWS - 3), [ROWS - 2, ROWS - 1]),
    "numbers up to one": ("by_count", test_of("lte", COUNT, 2), [1, 2]),
    "several numbers": ("by_count", In(COUNT, (Value(3, COUNT.type), Value(10, COUNT.type))), [3]),
    "of a linked row": ("by_number", Exists(None, "kept", ((HALF, NUMBER),), test_of("eq", ID, 4)), [8, 9]),
}
GIVEN = {"several": ["N1", "x"], KEYS: ["N3", "N4", "N4  "]}


async def indexes(admin: Any, query: SourceQuery) -> str:
    facts: Facts = {(None, "kept"): await table_facts(admin.fetch, None, "kept")}
    statement = compile_query(query, PostgreSQLDialect(), facts)
    prepared = await admin.prepare(statement.text)
    return json.dumps(await prepared.explain(*statement.parameters(GIVEN)))


@pytest.mark.parametrize("name", FILTERS)
async def test_an_index_serves(admin: Any, source: Connector, name: str) -> None:
    index, where, expected = FILTERS[name]
    query = SourceQuery("near", None, "kept", (RawOutput(ID),), where=where)
    assert sorted(await source.fetch(query, GIVEN, timeout=10)) == [(number,) for number in expected]
    if not isinstance(where, Exists):  # of which the optimiser begins with the other side
        plan = await indexes(admin, query)
        assert f'"{index}"' in plan or '"One-Time Filter": "false"' in plan


async def test_links(admin: Any, source: Connector) -> None:
    query = SourceQuery("near", None, "kept", (RawOutput(ID),), links=(NUMBER,))
    assert sorted(await source.fetch(query, GIVEN, timeout=10)) == [("N3", 3), ("N4", 4)]
    assert '"by_number"' in await indexes(admin, query)


@pytest.mark.parametrize("name", ["a padded text", "a uuid", "no uuid", "several uuids", "half a number"])
async def test_what_is_negated_is_no_nearer(source: Connector, name: str) -> None:
    _, where, expected = FILTERS[name]
    column = where.left if isinstance(where, Compare) else where.operand if isinstance(where, In) else ID
    query = SourceQuery("near", None, "kept", (RawOutput(ID), RawOutput(column)), where=Not(where))
    rows = await source.fetch(query, GIVEN, timeout=10)
    assert not {number for number, _ in rows} & set(expected)
    assert all(value is not None for _, value in rows)
    assert len(rows) == (ROWS + 1 if column is NUMBER else ROWS if column is TOKEN else ROWS * 9 // 10) - len(expected)
