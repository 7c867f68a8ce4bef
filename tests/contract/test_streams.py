"""Rows in parts: what `fetch` gives, of one state of the source, and nothing left behind by who stops reading."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from connectors import streams
from connectors.gate import Gate, Room
from connectors.postgresql import PostgreSQLConnector, PostgreSQLKind
from connectors.protocol import (
    JsonObject,
    JsonOutput,
    Order,
    RawOutput,
    Row,
    SourceBusy,
    SourceQuery,
    SourceTimeout,
    SourceUnavailable,
)
from connectors.streams import FIRST_ROWS, PART_BYTES, next_size, stream
from connectors.watched import Watched
from tanglai.catalogue.expressions import Column, Slot, Value
from tanglai.catalogue.scalars import ScalarType
from tests.contract.dataset import CODE, PEOPLE
from tests.contract.subjects import SECONDS, Subject

ID = Column("id", ScalarType.LONG)
NOTE = Column("note", ScalarType.TEXT)
LIMIT = Slot("limit", ScalarType.LONG)


async def parts_of(connector: Any, query: SourceQuery, size: int, **arguments: Any) -> list[list[Row]]:
    return [part async for part in stream(connector, query, arguments, size=size, timeout=SECONDS)]


@pytest.mark.parametrize("size", [1, 2, 1_000])
async def test_every_kind_gives_in_parts_what_it_gives_at_once(subject: Subject, size: int) -> None:
    query = SourceQuery(
        source="s",
        namespace=None,
        table="people",
        outputs=(JsonOutput(JsonObject((("code", CODE), ("constant", Value("道", ScalarType.TEXT))))), RawOutput(CODE)),
        order=(Order(CODE),),
        limit=LIMIT,
    )
    own = subject.own(query)
    for limit in (0, 3, len(PEOPLE) + 5):
        parts = await parts_of(subject.connector, own, size, limit=limit)
        assert all(0 < len(part) <= size for part in parts)
        assert [row for part in parts for row in part] == await subject.fetch(query, {"limit": limit})


def test_parts_of_wide_rows_are_smaller() -> None:
    assert next_size([("x",)] * FIRST_ROWS, 1_000) == 4 * FIRST_ROWS
    assert next_size([("x",)] * 800, 1_000) == 1_000
    assert next_size([("x" * (PART_BYTES // 10),)] * 16, 1_000) == 10
    assert next_size([("x" * PART_BYTES * 2,)], 1_000) == 1


# --- PostgreSQL -------------------------------------------------------------------------------------------------------

ROWS = 3_000
LIST = SourceQuery(
    source="s", namespace="public", table="entry", outputs=(RawOutput(ID),), order=(Order(ID),), limit=LIMIT
)


@pytest_asyncio.fixture(loop_scope="session")
async def admin(database: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(database)
    await connection.execute(f"CREATE TABLE entry AS SELECT n AS id, 'x' AS note FROM generate_series(1, {ROWS}) n")
    yield connection
    await connection.close()


@pytest_asyncio.fixture(loop_scope="session")
async def source(database: str) -> AsyncIterator[PostgreSQLConnector]:
    options = {"dsn": {"env": "URL"}, "pool": {"max": 8}}
    connector = PostgreSQLKind().open("registry", options, {"URL": database})
    yield connector
    await connector.close()


async def running(admin: Any) -> list[str]:
    """The states of the connector's sessions that are in a transaction."""
    rows = await admin.fetch(
        "SELECT state FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'tanglai' "
        "AND state <> 'idle'"
    )
    return [row["state"] for row in rows]


async def ended(admin: Any) -> None:
    async with asyncio.timeout(SECONDS):
        while await running(admin):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_all_parts_are_of_one_state(admin: Any, source: PostgreSQLConnector) -> None:
    seen: list[int] = []
    async with aclosing(source.stream(LIST, {"limit": 10_000}, size=500, timeout=SECONDS)) as parts:
        async for part in parts:
            seen += [row[0] for row in part]
            await admin.execute("DELETE FROM entry WHERE id % 7 = 0")
            await admin.execute("INSERT INTO entry VALUES (5000, 'late')")
    assert seen == list(range(1, ROWS + 1))
    await ended(admin)
    assert len(await source.fetch(LIST, {"limit": 10_000}, timeout=SECONDS)) != ROWS


async def test_who_stops_reading_leaves_nothing_behind(admin: Any, source: PostgreSQLConnector) -> None:
    for _ in range(20):  # more than there are connections
        async with aclosing(source.stream(LIST, {"limit": 10_000}, size=100, timeout=SECONDS)) as parts:
            assert len(await anext(parts)) == FIRST_ROWS
            assert await running(admin) == ["idle in transaction"]
        await ended(admin)
    assert len(await source.fetch(LIST, {"limit": 9}, timeout=SECONDS)) == 9


async def test_a_cancelled_stream_cancels_the_statement(admin: Any, source: PostgreSQLConnector) -> None:
    await admin.execute(
        "ALTER TABLE entry RENAME TO inner_entry; CREATE VIEW entry AS SELECT id, note FROM inner_entry, pg_sleep(60)"
    )
    task = asyncio.ensure_future(parts_of(source, LIST, 100, limit=10_000))
    async with asyncio.timeout(SECONDS):
        while "active" not in await running(admin):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await ended(admin)


async def test_a_part_that_does_not_come_is_a_timeout(admin: Any, source: PostgreSQLConnector) -> None:
    await admin.execute(
        "ALTER TABLE entry RENAME TO inner_entry; CREATE VIEW entry AS SELECT id, note FROM inner_entry, pg_sleep(60)"
    )
    with pytest.raises(SourceTimeout):
        async for _ in source.stream(LIST, {"limit": 9}, size=9, timeout=0.3):
            pass
    await ended(admin)


async def test_a_session_that_ends_in_the_middle_is_told(admin: Any, source: PostgreSQLConnector) -> None:
    async with aclosing(source.stream(LIST, {"limit": 10_000}, size=100, timeout=SECONDS)) as parts:
        await anext(parts)
        await admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tanglai' "
            "AND datname = current_database()"
        )
        with pytest.raises(SourceUnavailable):
            async for _ in parts:
                pass
    parts_again = await parts_of(source, LIST, 1_000, limit=10_000)  # what is left of the pool is found to be gone
    assert sum(len(part) for part in parts_again) == ROWS


async def test_a_connection_that_died_while_idle_is_replaced(admin: Any, source: PostgreSQLConnector) -> None:
    await source.fetch(LIST, {"limit": 9}, timeout=SECONDS)
    await admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tanglai' "
        "AND datname = current_database()"
    )
    assert sum(len(part) for part in await parts_of(source, LIST, 1_000, limit=10_000)) == ROWS


async def test_streams_leave_room_for_queries(admin: Any, source: PostgreSQLConnector) -> None:
    """A quarter of eight: the third has to come back later, and is no fault of the source."""
    told: list[tuple[str, str | None]] = []
    watched = Watched(source, "registry", Gate("registry", 8, None, Room()), lambda *seen: told.append(seen))
    assert isinstance(watched, streams.Streaming)
    first = watched.stream(LIST, {"limit": 10_000}, size=100, timeout=SECONDS)
    second = watched.stream(LIST, {"limit": 10_000}, size=100, timeout=SECONDS)
    await asyncio.gather(anext(first), anext(second))
    with pytest.raises(SourceBusy):
        await anext(watched.stream(LIST, {"limit": 1}, size=100, timeout=SECONDS))
    assert told == []
    await first.aclose()
    assert sum(len(part) for part in await parts_of(watched, LIST, 1_000, limit=10_000)) == ROWS
    assert told == [("registry", None)]
    await second.aclose()
    await ended(admin)
