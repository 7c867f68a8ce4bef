"""Use is counted from the audit log: each record exactly once, however its writers commit."""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from tanglai.audit.log import AuditLog, AuditUnavailable
from tanglai.audit.records import EXPORT, EXPORT_END, AuditRecord, Outcome
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.workflow import usage, usage_records
from tanglai.storage.workflow.usage import ClientTotal, GrantTotal, PurposeTotal, roll_up
from tests.unit.storage.sample import HEALTH, POLICE, RESIDENTS, TAX, VEHICLES, change, grant, resource, until

NOON = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
DAY = date(2026, 3, 2)


def record(number: int = 0, **changes: Any) -> AuditRecord:
    values: dict[str, Any] = {
        "request_id": f"r-{number}",
        "at": NOON,
        "department": HEALTH,
        "client": "portal",
        "person": None,
        "purpose": "care",
        "operation_name": "Residents",
        "operation_hash": "0" * 64,
        "document_kind": "text",
        "paths": ("data.population.residents",),
        "items": {RESIDENTS: ("name", "phone")},
        "grants": ("g1",),
        "rows": {RESIDENTS: 10},
        "outcome": Outcome.ALLOWED,
        "codes": (),
        "duration_us": 5,
        "node": "n1",
    }
    return AuditRecord(**values | changes)


@pytest.fixture
async def granted(platform: PlatformDatabase) -> PlatformDatabase:
    """Two resources of the police and grants on them: g1 and g2 on residents, g3 on vehicles."""
    await platform.publish(change(resource(), resource(VEHICLES, "车辆")))
    await platform.put_grants(
        [grant(), grant("g2", requester=TAX, purpose="audit"), grant("g3", resource=VEHICLES, scope=grant().scope)]
    )
    return platform


@pytest.fixture
async def log(granted: PlatformDatabase) -> AsyncIterator[AuditLog]:
    audit = AuditLog(granted.pool)
    yield audit
    await audit.close()


async def write(audit: AuditLog, *records: AuditRecord) -> None:
    await asyncio.gather(*(audit.append(one) for one in records))


async def counted(database: PlatformDatabase, **bounds: int) -> int:
    async with database.session() as connection:
        return await roll_up(connection, **bounds)


async def totals(database: PlatformDatabase, *ids: str) -> Mapping[str, GrantTotal]:
    async with database.session() as connection:
        return await usage.grants_used(connection, ids)


async def test_rows_count_for_each_grant_on_their_resource(granted: PlatformDatabase, log: AuditLog) -> None:
    later = NOON + timedelta(minutes=3)
    await write(
        log,
        record(1, grants=("g1", "g3"), rows={RESIDENTS: 10, VEHICLES: 4}, items={RESIDENTS: ("name",), VEHICLES: ()}),
        record(2, at=later, outcome=Outcome.PARTIAL, rows={RESIDENTS: 3}),
        record(3, outcome=Outcome.FAILED, rows={}),
        record(4, outcome=Outcome.DENIED, grants=(), rows={}),
        record(5, document_kind="act", operation_name="SUBMIT"),
        record(6, grants=("gone",)),
    )
    assert await counted(granted) == 5
    assert await totals(granted, "g1", "g2", "g3") == {
        "g1": GrantTotal(2, 13, later),
        "g2": GrantTotal(),
        "g3": GrantTotal(1, 4, NOON),
    }
    assert await counted(granted) == 0
    assert (await totals(granted, "g1"))["g1"].requests == 2


async def test_days_are_those_of_shanghai(granted: PlatformDatabase, log: AuditLog) -> None:
    midnight = datetime(2026, 3, 1, 16, 0, tzinfo=UTC)
    await write(log, record(1, at=midnight - timedelta(microseconds=1)), record(2, at=midnight))
    await counted(granted)
    days = await granted.pool.fetch("SELECT day, requests FROM grant_use ORDER BY day")
    assert [tuple(row) for row in days] == [(date(2026, 3, 1), 1), (DAY, 1)]
    async with granted.session() as connection:
        assert (await usage.grants_used(connection, ["g1"], DAY, DAY))["g1"].last_use == midnight


async def test_use_by_purpose(granted: PlatformDatabase, log: AuditLog) -> None:
    both = {RESIDENTS: ("name",), VEHICLES: ("name",)}
    await write(
        log,
        record(1, items=both, rows={RESIDENTS: 2, VEHICLES: 5}),
        record(2, outcome=Outcome.DENIED, rows={}, grants=()),
        record(3, purpose=None, department=TAX),
        record(4, items={}, rows={}, grants=()),
    )
    await counted(granted)
    async with granted.session() as connection:
        asked = await usage.used_by_purpose(connection, [HEALTH, TAX, POLICE], DAY, DAY)
        given = await usage.used_by_purpose(connection, [POLICE], DAY, DAY, provided=True)
        before = await usage.used_by_purpose(connection, [HEALTH], date(2026, 1, 1), date(2026, 3, 1))
    assert asked == {HEALTH: [PurposeTotal("care", 2, 7, 1)], TAX: [PurposeTotal("", 1, 10, 0)], POLICE: []}
    assert given == {POLICE: [PurposeTotal("", 1, 10, 0), PurposeTotal("care", 2, 7, 1)]}
    assert before == {HEALTH: []}


async def test_clients_and_operations_of_items(granted: PlatformDatabase, log: AuditLog) -> None:
    later = NOON + timedelta(days=40)
    await write(
        log,
        record(1, items={RESIDENTS: ("name", "phone"), VEHICLES: ("name",)}),
        record(2, at=later, client="desk", operation_hash="1" * 64, operation_name=None, items={RESIDENTS: ("phone",)}),
        record(3, at=later, department=TAX, outcome=Outcome.DENIED, rows={}, items={RESIDENTS: ("phone",)}),
    )
    # The same document may ask for other items next time: variables decide what it includes.
    await counted(granted)
    await write(log, record(4, items={RESIDENTS: ("division",)}))
    await counted(granted)
    async with granted.session() as connection:
        clients = await usage.item_clients(connection, RESIDENTS, ["phone", "other"], NOON)
        assert clients == {
            "phone": [ClientTotal(HEALTH, "desk", 1, later), ClientTotal(HEALTH, "portal", 1, NOON)],
            "other": [],
        }
        assert await usage.clients_of(connection, [RESIDENTS], date(2026, 4, 1)) == {
            RESIDENTS: [ClientTotal(HEALTH, "desk", 1, later)]
        }
        found = await usage.operations_of(connection, RESIDENTS, NOON, ["phone"])
        assert [(o.client, o.operation_name, o.items, o.requests) for o in found] == [
            ("desk", None, ("phone",), 1),
            ("portal", "Residents", ("division", "name", "phone"), 2),
        ]
        assert [o.client for o in await usage.operations_of(connection, RESIDENTS, NOON, ["division"])] == ["portal"]
        assert await usage.operations_of(connection, RESIDENTS, later + timedelta(1)) == []
        await connection.execute("UPDATE operation_use SET last_use = now() - interval '10 days' WHERE client = 'desk'")
        await connection.execute("UPDATE operation_use SET last_use = now() WHERE client = 'portal'")
        assert await usage.forget_operations(connection, 9) == 1
        assert await usage.operations_of(connection, RESIDENTS, NOON, ["phone"], limit=1)


async def test_unused_grants(granted: PlatformDatabase, log: AuditLog) -> None:
    await write(log, record(1))
    await counted(granted)
    async with granted.session() as connection:
        assert await usage.unused_grants(connection, NOON, DAY) == ["g2", "g3"]
        assert await usage.unused_grants(connection, NOON, DAY + timedelta(1), [HEALTH]) == ["g1", "g3"]
        assert await usage.unused_grants(connection, grant().valid_from - timedelta(1), DAY) == []


_INSERT = """
INSERT INTO audit_record (request_id, at, department, client, operation_hash, document_kind, paths, items, grants, rows,
                          outcome, codes, duration_us, node)
VALUES ($1, $2, $3, 'portal', '', 'text', '{}', '{"1010101/1": ["name"]}', '{g1}', '{"1010101/1": 1}', 'ALLOWED', '{}',
        0, $4)
"""


async def insert(connection: asyncpg.Connection, number: int, node: str = "n1") -> None:
    await connection.execute(_INSERT, f"r-{number}", NOON, HEALTH, node)


async def test_a_writer_that_is_slow_to_commit(granted: PlatformDatabase, log: AuditLog, url: str) -> None:
    slow = await asyncpg.connect(url)
    try:
        await write(log, record(1))
        assert await counted(granted) == 1
        transaction = slow.transaction()
        await transaction.start()
        await insert(slow, 2)  # has the smaller id, comes later
        await write(log, record(3))
        assert await counted(granted) == 0
        assert (await totals(granted, "g1"))["g1"].requests == 1
        early = await granted.pool.fetchval("SELECT as_of FROM usage_progress")
        await transaction.commit()
        assert await counted(granted) == 2
        assert (await totals(granted, "g1"))["g1"].requests == 3
        assert await granted.pool.fetchval("SELECT as_of FROM usage_progress") > early
    finally:
        await slow.close()


async def test_an_id_that_was_given_without_a_transaction_number(granted: PlatformDatabase, url: str) -> None:
    """The id comes first, the number of the transaction with the first row: no horizon of numbers tells of it."""
    slow = await asyncpg.connect(url)
    try:
        transaction = slow.transaction()
        await transaction.start()
        await slow.execute("LOCK TABLE audit_record IN ROW EXCLUSIVE MODE")  # as an insert does, before its ids
        await granted.pool.fetchval("SELECT nextval('audit_record_id_seq')")  # one in 32 takes a number for itself
        given = await slow.fetchval("SELECT nextval('audit_record_id_seq')")
        assert await slow.fetchval("SELECT pg_current_xact_id_if_assigned()") is None
        async with granted.session() as connection:
            await insert(connection, 1)
            assert await roll_up(connection) == 0
        await slow.execute(
            _INSERT.replace("(request_id", "(id, request_id")
            .replace("VALUES", "OVERRIDING SYSTEM VALUE VALUES")
            .replace("($1,", f"({given}, $1,"),
            "r-0",
            NOON,
            HEALTH,
            "n1",
        )
        await transaction.commit()
        assert await counted(granted) == 2
    finally:
        await slow.close()


async def test_what_comes_after_a_slow_writer_does_not_hold_it_up(granted: PlatformDatabase, url: str) -> None:
    """Writers overlap without end: what was before the first of them is counted once that one is over."""
    one, two = await asyncpg.connect(url), await asyncpg.connect(url)
    try:
        first, second = one.transaction(), two.transaction()
        await first.start()
        await insert(one, 1)
        assert await counted(granted) == 0
        await second.start()
        await insert(two, 2)
        await first.commit()
        assert await counted(granted) == 1
        await second.rollback()
        assert await counted(granted) == 0
        assert (await totals(granted, "g1"))["g1"].requests == 1
    finally:
        await one.close()
        await two.close()


async def test_nothing_is_lost_or_counted_twice(granted: PlatformDatabase, url: str) -> None:
    """Writers of several nodes commit and roll back in any order while two nodes count, in small batches."""
    dice = random.Random(4)
    plans = [[(dice.random() * 0.004, dice.randrange(1, 6), dice.random() < 0.8) for _ in range(25)] for _ in range(4)]
    busy = True

    async def writer(plan: list[tuple[float, int, bool]], node: str) -> int:
        kept = 0
        connection = await asyncpg.connect(url)
        try:
            for pause, count, keep in plan:
                transaction = connection.transaction()
                await transaction.start()
                for number in range(count):
                    await insert(connection, number, node)
                    await asyncio.sleep(pause)
                await (transaction.commit() if keep else transaction.rollback())
                kept += count * keep
        finally:
            await connection.close()
        return kept

    async def counter() -> int:
        found = 0
        while busy:
            found += await counted(granted, batch=7)
            await asyncio.sleep(0.002)
        return found

    counters = [asyncio.create_task(counter()) for _ in range(2)]
    written = sum(await asyncio.gather(*(writer(plan, f"n{n}") for n, plan in enumerate(plans))))
    busy = False
    found = sum(await asyncio.gather(*counters))
    assert found > 0, "nothing was counted while the writers wrote"
    found += await counted(granted)
    assert found == written == await granted.pool.fetchval("SELECT count(*) FROM audit_record")
    assert (await totals(granted, "g1"))["g1"].requests == written
    for table, column in (("purpose_use", "requests"), ("client_use", "rows"), ("item_use", "requests")):
        side = " WHERE side = 'PROVIDER'" if table == "purpose_use" else ""
        assert await granted.pool.fetchval(f"SELECT sum({column}) FROM {table}{side}") == written
    for table in ("usage_entry", "grant_entry"):
        assert await granted.pool.fetchval(f"SELECT count(*) FROM {table}") == written


async def test_a_batch_that_fails_is_counted_later(granted: PlatformDatabase, log: AuditLog) -> None:
    await write(log, *(record(number) for number in range(5)))
    async with granted.session() as connection:
        await connection.execute("ALTER TABLE grant_use ADD CONSTRAINT few CHECK (requests <= 3)")
        with pytest.raises(asyncpg.CheckViolationError):
            await roll_up(connection, batch=2)
        await connection.execute("ALTER TABLE grant_use DROP CONSTRAINT few")
    assert (await totals(granted, "g1"))["g1"].requests == 2
    assert await counted(granted, batch=2) == 3
    assert (await totals(granted, "g1"))["g1"].requests == 5


async def test_the_books_are_kept_until_told_to_stop(granted: PlatformDatabase, log: AuditLog) -> None:
    await write(log, record(1))
    books = asyncio.create_task(usage.keep_books(granted, every=0.01))
    await until(lambda: granted.pool.fetchval("SELECT requests = 1 FROM grant_use WHERE grant_id = 'g1'"))
    await write(log, record(2))
    await until(lambda: granted.pool.fetchval("SELECT requests = 2 FROM grant_use WHERE grant_id = 'g1'"))
    books.cancel()
    with pytest.raises(asyncio.CancelledError):
        await books


def begun(number: int, export: str, bound: int, **changes: Any) -> AuditRecord:
    return record(number, document_kind=EXPORT, export=export, rows={RESIDENTS: bound}, **changes)


def ended(number: int, export: str, delivered: int, **changes: Any) -> AuditRecord:
    return record(number, document_kind=EXPORT_END, export=export, rows={RESIDENTS: delivered}, **changes)


@pytest.mark.parametrize("batch", [1, 5_000])
async def test_an_export_counts_with_its_bound_until_it_has_ended(
    granted: PlatformDatabase, log: AuditLog, batch: int
) -> None:
    """Whether both of its records are counted by one statement or by two; it is one request, of its first day."""
    later = NOON + timedelta(days=1)
    await write(log, record(1), begun(2, "a", 1_000), begun(3, "b", 500))
    await counted(granted, batch=batch)
    assert (await totals(granted, "g1"))["g1"] == GrantTotal(3, 1_510, NOON)
    await write(log, ended(4, "a", 7, at=later), begun(5, "c", 300), ended(6, "c", 0, at=later))
    await counted(granted, batch=batch)
    assert (await totals(granted, "g1"))["g1"] == GrantTotal(4, 517, later)
    async with granted.session() as connection:
        assert (await usage.grants_used(connection, ["g1"], DAY, DAY))["g1"].rows == 517
        assert await usage.used_by_purpose(connection, [HEALTH], DAY, DAY) == {
            HEALTH: [PurposeTotal("care", 4, 517, 0)]
        }
        provided = await usage.used_by_purpose(connection, [POLICE], DAY, DAY, provided=True)
        assert provided == {POLICE: [PurposeTotal("care", 4, 517, 0)]}
        (client,) = (await usage.clients_of(connection, [RESIDENTS], DAY))[RESIDENTS]
        assert client.requests == 4
        (operation,) = await usage.operations_of(connection, RESIDENTS, NOON)
        assert operation.requests == 4


async def test_an_export_is_one_entry_of_the_records(granted: PlatformDatabase, log: AuditLog) -> None:
    await write(log, begun(1, "a", 1_000), begun(2, "b", 500))
    await write(log, ended(3, "a", 7))
    await counted(granted)
    async with granted.session() as connection:
        wanted = usage_records.RecordFilter((POLICE,), resource=RESIDENTS)
        found = await usage_records.page(connection, wanted, after=None, before=None, limit=10, last=False)
        assert {(one.request_id, one.rows) for one in found} == {("r-1", 7), ("r-2", 500)}
        assert await usage_records.count(connection, wanted) == 2


async def test_an_export_ends_once(granted: PlatformDatabase, log: AuditLog) -> None:
    """A second end would take rows off the bound again; a foreign one takes off nothing."""
    await write(log, begun(1, "a", 1_000), ended(2, "a", 7))
    with pytest.raises(AuditUnavailable):
        await log.append(ended(3, "a", 0))
    await write(log, record(4, request_id="r-1", rows={RESIDENTS: 1}))
    await counted(granted)
    assert (await totals(granted, "g1"))["g1"].rows == 8
