"""The audit log on a real PostgreSQL: durable, grouped, bounded, failing closed."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import pytest

from tanglai.audit.log import AuditLog, AuditUnavailable, _lost
from tanglai.catalogue.errors import ErrorCode
from tanglai.storage.embedded import EmbeddedPostgres
from tanglai.storage.migrate import upgrade
from tests.unit.audit.test_records import make_record


@asynccontextmanager
async def opened(url: str, **options: Any) -> AsyncIterator[tuple[AuditLog, asyncpg.Pool]]:
    await upgrade(url)
    async with asyncpg.create_pool(url, min_size=0, max_size=4) as pool:
        log = AuditLog(pool, **options)
        try:
            yield log, pool
        finally:
            await log.close()


async def request_ids(pool: asyncpg.Pool) -> list[str]:
    return [row["request_id"] for row in await pool.fetch("SELECT request_id FROM audit_record ORDER BY id")]


class Stuck:
    """Holds the table, so that no record can be written until it is let go."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def __aenter__(self) -> None:
        self._connection = await self._pool.acquire()
        self._transaction = self._connection.transaction()
        await self._transaction.start()
        await self._connection.execute("LOCK TABLE audit_record IN ACCESS EXCLUSIVE MODE")

    async def __aexit__(self, *_: object) -> None:
        await self._transaction.rollback()
        await self._pool.release(self._connection)


def appending(log: AuditLog, names: Sequence[str]) -> list[asyncio.Task[None]]:
    return [asyncio.create_task(log.append(make_record(request_id=name))) for name in names]


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_every_column_arrives(database: str) -> None:
    async with opened(database) as (log, pool):
        record = make_record()
        await log.append(record)
        row = dict(await pool.fetchrow("SELECT * FROM audit_record"))
        assert (row.pop("chain"), row.pop("previous")) == (None, None)
        assert row.pop("id") == 1
        assert row.pop("at") == record.at
        assert orjson.loads(row.pop("items")) == {"1010101/1": ["name", "phone"]}
        assert orjson.loads(row.pop("rows")) == {"1010101/1": 50}
        expected = {
            name: value for name, value in orjson.loads(record.to_json()).items() if name not in ("at", "items", "rows")
        }
        assert row == expected


async def test_nothing_given_is_null(database: str) -> None:
    async with opened(database) as (log, pool):
        empty: dict[str, Any] = {"paths": (), "items": {}, "grants": (), "rows": {}, "codes": ()}
        await log.append(make_record(person=None, purpose=None, operation_name=None, **empty))
        row = await pool.fetchrow("SELECT * FROM audit_record")
        assert (row["person"], row["purpose"], row["operation_name"]) == (None, None, None)
        assert (row["paths"], row["grants"], row["codes"]) == ([], [], [])


async def test_those_that_wait_are_written_together(database: str) -> None:
    async with opened(database) as (log, pool):
        await log.append(make_record(request_id="first"))
        before = await pool.fetchval("SELECT max(xmin::text::bigint) FROM audit_record")
        async with Stuck(pool):
            tasks = appending(log, [str(number) for number in range(200)])
            await turns()
            assert not any(task.done() for task in tasks)
        await asyncio.gather(*tasks)
        assert await request_ids(pool) == ["first", *map(str, range(200))]
        transactions = await pool.fetch(
            "SELECT count(*) FROM audit_record WHERE xmin::text::bigint > $1 GROUP BY xmin::text ORDER BY 1", before
        )
        assert len(transactions) <= 2  # the one that was under way, and all that came meanwhile
        assert log.written == 201


async def test_a_cancelled_caller_loses_no_record(database: str) -> None:
    async with opened(database) as (log, pool):
        async with Stuck(pool):
            tasks = appending(log, ["a", "b", "c"])
            await turns()
            tasks[0].cancel()
            tasks[2].cancel()
            await turns()
            assert tasks[0].cancelled()
        await tasks[1]
        await log.append(make_record(request_id="d"))
        assert await request_ids(pool) == ["a", "b", "c", "d"]


async def test_the_queue_is_bounded(database: str) -> None:
    async with opened(database, queue=3, patience=0.05) as (log, pool):
        async with Stuck(pool):
            tasks = appending(log, list("abcdefgh"))
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(result, AuditUnavailable) for result in results)
        await log.append(make_record(request_id="after"))
        assert (await request_ids(pool))[-1] == "after"


async def test_room_is_waited_for(database: str) -> None:
    async with opened(database, queue=2) as (log, pool):
        async with Stuck(pool):
            tasks = appending(log, list("abcdef"))
            await turns()
            assert log.waiting <= 2
        await asyncio.gather(*tasks)
        assert await request_ids(pool) == list("abcdef")


async def test_a_refused_record_is_alone(database: str) -> None:
    async with opened(database) as (log, pool):
        async with Stuck(pool):
            good = appending(log, ["a"])
            bad = asyncio.create_task(log.append(make_record(duration_us=2**63)))
            more = appending(log, ["b"])
            await turns()
        await asyncio.gather(*good, *more)
        with pytest.raises(AuditUnavailable) as caught:
            await bad
        assert caught.value.code is ErrorCode.AUDIT_UNAVAILABLE
        assert await request_ids(pool) == ["a", "b"]
        assert (log.written, log.refused) == (2, 1)


async def test_nobody_edits_the_log(database: str) -> None:
    async with opened(database) as (log, pool):
        await log.append(make_record())
        for statement in (
            "UPDATE audit_record SET client = 'x'",
            "DELETE FROM audit_record",
            "TRUNCATE audit_record",
        ):
            with pytest.raises(asyncpg.PostgresError):
                await pool.execute(statement)
        assert await request_ids(pool) == ["r-1"]


async def test_a_commit_waits_for_the_disk(database: str) -> None:
    async with opened(database) as (log, pool):
        assert await pool.fetchval("SHOW synchronous_commit") == "off"
        await log.append(make_record())
        assert await log._connection.fetchval("SHOW synchronous_commit") == "on"
        await log.close()
        assert await pool.fetchval("SHOW synchronous_commit") == "off"  # the setting did not stay in the pool


async def test_closing_writes_what_waits(database: str) -> None:
    await upgrade(database)
    async with asyncpg.create_pool(database, min_size=0, max_size=3) as pool:
        log = AuditLog(pool)
        async with Stuck(pool):
            tasks = appending(log, ["a", "b"])
            await turns()
            closing = asyncio.create_task(log.close())
            await turns()
            with pytest.raises(AuditUnavailable):
                await log.append(make_record(request_id="late"))
        await asyncio.gather(*tasks, closing)
        assert await request_ids(pool) == ["a", "b"]


async def test_outage_and_return(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "postgres", settings={"fsync": "off"}) as server:
        async with opened(server.url()) as (log, pool):
            await log.append(make_record(request_id="before"))
            server.stop()
            with pytest.raises(AuditUnavailable):
                await log.append(make_record(request_id="down"))
            with pytest.raises(AuditUnavailable):
                await log.append(make_record(request_id="still down"))
            server.start()
            await log.append(make_record(request_id="after"))
            assert await request_ids(pool) == ["before", "after"]


async def test_a_restart_between_requests_is_not_noticed(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "postgres", settings={"fsync": "off"}) as server:
        async with opened(server.url()) as (log, pool):
            await log.append(make_record(request_id="before"))
            server.stop()
            server.start()
            for _ in range(1000):  # until the end of the old connection has arrived
                if _lost(log._connection):
                    break
                await asyncio.sleep(0.01)
            assert _lost(log._connection)
            await log.append(make_record(request_id="after"))
            assert await request_ids(pool) == ["before", "after"]
