"""Supervision over a busy region: the figures agree with a count by hand, in few statements, by indexes."""

import asyncio
import statistics
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from benchmarks import workflow_data
from benchmarks.workflow_data import NOW, TODAY, Region
from tanglai.catalogue.calendar import built_in
from tanglai.catalogue.documents_grant import SHANGHAI
from tanglai.catalogue.model import Snapshot, Zone
from tanglai.catalogue.rules import DeadlineKind
from tanglai.catalogue.workflow.evaluation import Figures, PurposeUse, Tally, supervised
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.embedded import EmbeddedPostgres
from tanglai.storage.migrate import upgrade
from tanglai.storage.workflow import supervision, usage, usage_records
from tanglai.storage.workflow.supervision import Observed, Period, observe
from tanglai.storage.workflow.usage_records import RecordFilter

QUARTER = Period(date(2026, 9, 1), date(2026, 11, 30))
YEAR = Period(date(2025, 11, 21), date(2026, 11, 20))
STATEMENTS = 12
"""The transaction, the calendar, and eight kinds of figures."""


@dataclass(frozen=True, slots=True)
class Busy:
    url: str
    people: Region
    snapshot: Snapshot


@pytest.fixture(scope="module")
def busy(postgres: EmbeddedPostgres) -> Iterator[Busy]:
    """A platform database with 5,000 resources and 10,000 open applications; to read only."""
    name = f"test_{uuid4().hex}"
    postgres.create_database(name)
    url = postgres.url(name)

    async def fill() -> Busy:
        await upgrade(url)
        async with await PlatformDatabase.open(url) as database:
            people = await workflow_data.fill(database, uses=10_000)
            return Busy(url, people, await database.load_snapshot(Zone.EXTRANET))

    yield asyncio.run(fill())
    postgres.drop_database(name)


@pytest.fixture
async def connection(busy: Busy) -> AsyncIterator[asyncpg.Connection]:
    found = await asyncpg.connect(busy.url)
    yield found
    await found.close()


def figures(observed: Observed, code: str) -> Figures:
    return next(it for it in observed.figures if it.department == code)


def elapsed(start: date, end: date) -> int:
    """Working days after `start` up to `end`, one by one."""
    calendar = built_in()
    days = (start + timedelta(days=n) for n in range(1, (end - start).days + 1))
    return sum(calendar.is_working(day) for day in days)


@pytest.mark.parametrize("period", [QUARTER, YEAR])
async def test_deadlines_as_counted_by_hand(busy: Busy, connection: asyncpg.Connection, period: Period) -> None:
    code = busy.people.providers[3]
    observed = await observe(connection, busy.snapshot, [code], period, TODAY)
    for kind in (DeadlineKind.REPLY, DeadlineKind.OBLIGATION):
        rows = [
            row
            for row in await connection.fetch("SELECT * FROM deadline WHERE department = $1", code)
            if row["kind"] == kind.value and period.first <= row["due_on"] <= period.last
        ]
        took = [elapsed(row["started_on"], row["ended_on"]) for row in rows if row["ended_on"]]
        on_time = sum(row["ended_on"] is not None and row["ended_on"] <= row["due_on"] for row in rows)
        overdue = sum(row["ended_on"] is None and row["due_on"] < TODAY for row in rows)
        assert took
        assert figures(observed, code).tally(kind) == Tally(
            due=len(rows),
            on_time=on_time,
            late=len(took) - on_time,
            overdue=overdue,
            running=len(rows) - len(took) - overdue,
            extended=0,
            median_days=statistics.median(took),
        )


async def test_what_else_is_counted(busy: Busy, connection: asyncpg.Connection) -> None:
    code = busy.people.providers[3]
    found = figures(await observe(connection, busy.snapshot, [code], QUARTER, TODAY), code)
    overdue = "SELECT count(*) FROM deadline WHERE department = $1 AND ended_on IS NULL AND due_on < $2"
    assert found.overdue_now == {DeadlineKind.REPLY: await connection.fetchval(overdue, code, TODAY)}
    refused = await connection.fetch(
        "SELECT document ->> 'reason' AS reason, count(*) FROM matter_event WHERE to_state = 'REFUSED' "
        "AND department = $1 AND (at AT TIME ZONE 'Asia/Shanghai')::date BETWEEN $2 AND $3 GROUP BY 1",
        code,
        QUARTER.first,
        QUARTER.last,
    )
    assert found.refusals == dict(refused)
    assert found.refusals
    assert 0 < found.refusals_downwards < sum(found.refusals.values())
    assert (found.grants, found.grants_unused) == (
        await connection.fetchval("SELECT count(*) FROM data_grant WHERE requester = $1", code),
        await connection.fetchval(
            "SELECT count(*) FROM data_grant g WHERE requester = $1 AND id NOT IN (SELECT grant_id FROM grant_use)",
            code,
        ),
    )
    assert 0 < found.grants_unused < found.grants
    days = (TODAY - QUARTER.first).days + 1
    assert found.asked == (
        PurposeUse("assistance", 100 * days, 10_000 * days, 3 * days),
        PurposeUse("licensing", 100 * days, 10_000 * days, 3 * days),
    )
    assert found.provided == found.asked
    assert found.resources == sum(it.provider == code for it in busy.snapshot.resources.values())
    assert (found.sources, found.sources_down, found.interfaces) == (1, (), 0)


async def test_a_handful_of_statements_whatever_is_asked(busy: Busy, connection: asyncpg.Connection) -> None:
    everybody = [it.code for it in supervised(busy.snapshot, busy.people.competent)]
    assert len(everybody) == 40
    await observe(connection, busy.snapshot, everybody, YEAR, TODAY)  # the driver learns the types
    for codes in (everybody[:1], everybody):
        ran: list[str] = []
        with connection.query_logger(lambda query, ran=ran: ran.append(query.query)):
            observed = await observe(connection, busy.snapshot, codes, YEAR, TODAY)
        assert [it.department for it in observed.figures] == codes
        assert 8 <= len(ran) <= STATEMENTS, ran


async def test_indexes_serve_one_department(busy: Busy, connection: asyncpg.Connection) -> None:
    """No statement reads a large table through, and none does more than a bounded share of the work of that."""
    counted: list[tuple[str, tuple[Any, ...]]] = []

    class Watched:
        transaction = connection.transaction
        execute = connection.execute

        async def fetch(self, text: str, *arguments: Any) -> Any:
            counted.append((text, arguments))
            return await connection.fetch(text, *arguments)

        async def fetchrow(self, text: str, *arguments: Any) -> Any:
            counted.append((text, arguments))
            return await connection.fetchrow(text, *arguments)

    await observe(Watched(), busy.snapshot, [busy.people.providers[3]], QUARTER, TODAY)
    assert len(counted) >= 8
    for text, arguments in counted:
        plan = [row[0] for row in await connection.fetch(f"EXPLAIN {text}", *arguments)]
        told = "\n".join([text, *plan])
        for table in (
            "matter",
            "matter_event",
            "deadline",
            "data_grant",
            "grant_use",
            "purpose_use",
            "resource_version",
        ):
            assert not any(f"Seq Scan on {table} " in line for line in plan), told
        assert float(plan[0].split("..")[1].split(" ")[0]) < 2_500, told


async def test_paused_and_dropped_deadlines(busy: Busy, connection: asyncpg.Connection) -> None:
    """A clock that stands is not overdue; the days for which it stood are no days of the provider's; dropped is out."""
    code = busy.people.competent
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute("SET LOCAL session_replication_role = replica")
        base: dict[str, Any] = {"kind": "REPLY", "started": date(2026, 10, 9), "due": date(2026, 10, 23)}
        await _deadline(connection, code, **base, ended=date(2026, 10, 23), paused=4)
        await _deadline(connection, code, **base, ended=date(2026, 10, 26), extended=5)
        await _deadline(connection, code, **base, standing=date(2026, 10, 12))
        await _deadline(connection, code, **base, ended=date(2026, 11, 2), met=False)
        await _deadline(connection, code, kind="AUDIT", started=date(2026, 10, 9), due=date(2026, 10, 13))
        found = figures(await _observed(connection, busy, code), code)
    finally:
        await transaction.rollback()
    took = [elapsed(date(2026, 10, 9), date(2026, 10, 23)) - 4, elapsed(date(2026, 10, 9), date(2026, 10, 26))]
    assert found.tally(DeadlineKind.REPLY) == Tally(3, 1, 1, 0, 1, 1, statistics.median(took))
    assert found.tally(DeadlineKind.AUDIT) == Tally(1, overdue=1)
    assert found.overdue_now == {DeadlineKind.AUDIT: 1}


async def test_matters_of_both_sides(busy: Busy, connection: asyncpg.Connection) -> None:
    one, other = busy.people.competent, busy.people.providers[0]
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute("SET LOCAL session_replication_role = replica")
        for state in ("REPORTED", "CORRECTED", "DISMISSED", "WITHDRAWN"):
            await _matter(connection, "CORRECTION", state, requester=other, provider=one)
        for reason in ("PASSED_ON", "OVERUSE", "OVERUSE"):
            await _matter(connection, "SUSPENSION", "OPEN", requester=one, provider=other, document={"reason": reason})
        for state in ("OPEN", "STATED", "OPEN"):
            await _matter(connection, "DISPOSAL", state, requester=one)
        await _matter(connection, "DISPOSAL", "OPEN", requester=one, at=NOW - timedelta(days=200))
        found = figures(await _observed(connection, busy, one), one)
        passive = figures(await _observed(connection, busy, other), other)
    finally:
        await transaction.rollback()
    assert (found.corrections_reported, found.corrections_answered) == (3, 2)
    assert found.suspensions == {"OVERUSE": 2, "PASSED_ON": 1}
    assert (found.disposals, found.disposals_stated) == (3, 1)
    assert (passive.corrections_reported, passive.suspensions, passive.disposals) == (0, {}, 0)


async def test_an_ending_that_rests_on_nothing(busy: Busy, connection: asyncpg.Connection) -> None:
    """Ended by the requester, by the platform, after filing or as a sanction: none of it is alone."""
    provider = busy.people.providers[0]
    grants = await connection.fetch(
        "SELECT g.id, g.requester FROM data_grant g JOIN resource_version v ON v.code = g.resource "
        "WHERE v.provider = $1 AND g.requester <> $1 ORDER BY g.id LIMIT 6",
        provider,
    )
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute("SET LOCAL session_replication_role = replica")
        for by, grant in zip(("{p}/li", "{r}/wang", "platform", "{p}/li", "{p}/li", "operator"), grants, strict=True):
            await connection.execute(
                "INSERT INTO grant_transition (grant_id, from_state, to_state, by, at, reason) "
                "VALUES ($1, 'ACTIVE', 'ENDED', $2, $3, '')",
                grant["id"],
                by.format(p=provider, r=grant["requester"]),
                NOW,
            )
        await _matter(connection, "SERVICE_CHANGE", "FILED", provider=provider, grant=grants[3]["id"])
        await _matter(connection, "SUSPENSION", "ENDED", provider=provider, grant=grants[4]["id"])
        await _matter(connection, "SERVICE_CHANGE", "PROPOSED", provider=provider, grant=grants[0]["id"])
        found = figures(await _observed(connection, busy, provider), provider)
    finally:
        await transaction.rollback()
    assert found.endings_alone == 2, "the one that is only proposed, and the operator's"


async def _observed(connection: asyncpg.Connection, busy: Busy, code: str) -> Observed:
    class Within:
        """Inside the test's own transaction, which has its isolation."""

        fetch = connection.fetch
        fetchrow = connection.fetchrow

        def transaction(self, **_: Any) -> Any:
            return connection.transaction()

    return await observe(Within(), busy.snapshot, [code], QUARTER, TODAY)


async def _deadline(
    connection: asyncpg.Connection,
    department: str,
    *,
    kind: str,
    started: date,
    due: date,
    ended: date | None = None,
    met: bool = True,
    paused: int = 0,
    standing: date | None = None,
    extended: int = 0,
) -> None:
    await connection.execute(
        "INSERT INTO deadline (matter, kind, department, rule_set, rule_version, days, extended_days, started_on, "
        "paused_on, paused_days, due_on, provisional, calendar, ended_on, met) "
        "VALUES ($1, $2, $3, 'order-809', 1, 10, $4, $5, $6, $7, $8, false, 'test', $9, $10)",
        uuid4().hex,
        kind,
        department,
        extended,
        started,
        standing,
        paused,
        due,
        ended,
        met if ended else None,
    )


async def _matter(
    connection: asyncpg.Connection,
    kind: str,
    state: str,
    *,
    requester: str | None = None,
    provider: str | None = None,
    grant: str | None = None,
    document: dict[str, str] | None = None,
    at: datetime = NOW,
) -> None:
    await connection.execute(
        "INSERT INTO matter (id, kind, rule_set, rule_version, state, version, closed, requester, provider, grant_id, "
        "opened_at, changed_at, document) VALUES ($1, $2, 'order-809', 1, $3, 1, false, $4, $5, $6, $7, $7, "
        "coalesce(jsonb_object($8::text[], $9::text[]), '{}'))",
        uuid4().hex,
        kind,
        state,
        requester,
        provider,
        grant,
        at,
        list(document or {}),
        list((document or {}).values()),
    )


def test_a_period_is_of_whole_days_of_shanghai() -> None:
    period = Period(date(2026, 3, 1), date(2026, 3, 1))
    assert period.begin == datetime(2026, 3, 1, tzinfo=SHANGHAI)
    assert period.end - period.begin == timedelta(days=1)
    assert supervision.Period(date(2026, 3, 1), date(2026, 3, 2)).end == datetime(2026, 3, 3, tzinfo=SHANGHAI)


class Plans:
    """A connection that explains what it runs."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self.plans: list[str] = []

    async def _explain(self, text: str, arguments: Any) -> None:
        rows = await self._connection.fetch(f"EXPLAIN {text}", *arguments)
        self.plans.append("\n".join([text, *(row[0] for row in rows)]))

    async def fetch(self, text: str, *arguments: Any) -> Any:
        await self._explain(text, arguments)
        return await self._connection.fetch(text, *arguments)

    async def fetchval(self, text: str, *arguments: Any) -> Any:
        await self._explain(text, arguments)
        return await self._connection.fetchval(text, *arguments)


LARGE = ("audit_record", "usage_entry", "grant_entry", "grant_use", "client_use", "item_use", "operation_use")


async def test_use_is_read_by_indexes(busy: Busy, connection: asyncpg.Connection) -> None:
    """However long the log is: no reader goes through a table of use, or through the log."""
    provider, requester = busy.people.providers[0], busy.people.requesters[3]
    level = tuple(it.code for it in supervised(busy.snapshot, busy.people.competent))
    since = NOW - timedelta(days=30)
    plans = Plans(connection)
    assert (await usage.grants_used(plans, ["G-1", "G-2"], TODAY - timedelta(3), TODAY))["G-1"].requests == 40
    assert len((await usage.used_by_purpose(plans, [provider], TODAY, TODAY))[provider]) == 2
    assert (await usage.clients_of(plans, ["3010101/0"], since.date()))["3010101/0"]
    assert (await usage.item_clients(plans, "3010101/0", ["name"], since))["name"]
    assert await usage.operations_of(plans, "3010101/0", since, ["number"])
    for wanted in (
        RecordFilter((provider,)),
        RecordFilter(level),
        RecordFilter((provider,), "3010101/0"),
        RecordFilter(level, requester=requester),
        RecordFilter((provider,), requester=requester),
        RecordFilter((provider,), since=TODAY),
        RecordFilter((provider,), "3010101/39", "G-40", busy.people.requesters[39]),
    ):
        found = await usage_records.page(plans, wanted, after=None, before=None, limit=20, last=False)
        assert found or wanted.grant or wanted.requester or wanted.since, wanted
        assert found == sorted(found, key=lambda it: (it.record, it.resource), reverse=True)
    for plan in plans.plans:
        assert not any(f"Seq Scan on {table} " in plan for table in LARGE), plan
