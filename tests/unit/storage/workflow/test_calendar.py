"""Announced notices: stored once, the newest of a year holds, and running deadlines move with them."""

import asyncio
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import asyncpg
import pytest

from tanglai.catalogue.calendar import Notice, WorkingCalendar, built_in, with_notices
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.errors import Refused
from tanglai.storage.migrate import upgrade
from tanglai.storage.workflow import calendar
from tests.unit.storage.sample import HEALTH, POLICE, blocked, change

YEAR = max(built_in().years) + 1
"""The first year that is not built in."""
EVE = date(YEAR - 1, 12, 31)


def notice(*rest: date, year: int = YEAR, reference: str = "notice 1", issued: date | None = None) -> Notice:
    return Notice(year, issued or date(year - 1, 11, 4), reference, frozenset(rest), frozenset())


NEW_YEAR = notice(date(YEAR, 1, 1))
"""Before the notice the first of January is a working day if it is a weekday; afterwards it is not."""


async def start(platform: PlatformDatabase, matter: str, days: int, counted: WorkingCalendar, **more: Any) -> None:
    """A running deadline of `matter` from EVE, counted by `counted`, and the task that waits for it."""
    due = counted.due(EVE, days + more.get("extended_days", 0) + more.get("paused_days", 0))
    row = {
        "matter": matter,
        "kind": "REPLY",
        "department": POLICE,
        "rule_set": "order-809",
        "rule_version": 1,
        "days": days,
        "started_on": EVE,
        "due_on": due.day,
        "provisional": due.provisional,
        "calendar": counted.version,
    } | more
    columns = ", ".join(row)
    async with platform.session() as connection:
        await connection.execute("SET session_replication_role = replica")  # a matter without its events
        await connection.execute(
            "INSERT INTO matter (id, kind, rule_set, rule_version, state, version, closed, provider, opened_at, "
            "changed_at, document) VALUES ($1, 'APPLICATION', 'order-809', 1, 'SUBMITTED', 1, false, $2, now(), now(), "
            "'{}')",
            matter,
            POLICE,
        )
        await connection.execute(
            f"INSERT INTO deadline ({columns}) VALUES ({', '.join(f'${n + 1}' for n in range(len(row)))})",
            *row.values(),
        )
        await connection.execute(
            "INSERT INTO matter_task VALUES ($1, $2, 'reviewer', now(), $3), ($1, $4, 'applicant', now(), NULL)",
            matter,
            POLICE,
            row["due_on"],
            HEALTH,
        )


async def announced(platform: PlatformDatabase, new: Notice) -> calendar.AnnounceReport:
    async with platform.session() as connection:
        return await calendar.announce(connection, new, by="office")


async def loaded(platform: PlatformDatabase) -> WorkingCalendar:
    async with platform.session() as connection:
        return await calendar.load(connection)


async def deadline(platform: PlatformDatabase, matter: str) -> dict[str, Any]:
    async with platform.session() as connection:
        found = await connection.fetchrow("SELECT * FROM deadline WHERE matter = $1", matter)
        task = await connection.fetch("SELECT department, due_on FROM matter_task WHERE matter = $1", matter)
    return dict(found) | {"tasks": dict(task)}


@pytest.fixture
async def office(platform: PlatformDatabase) -> PlatformDatabase:
    """The platform with its departments."""
    await platform.publish(change())
    return platform


async def test_without_a_notice_the_built_in_calendar_holds(platform: PlatformDatabase) -> None:
    found = await loaded(platform)
    assert found.version == built_in().version
    assert await loaded(platform) is found


async def test_the_newest_notice_of_a_year_holds_and_the_older_are_kept(platform: PlatformDatabase) -> None:
    second = replace(NEW_YEAR, reference="notice 2", rest=NEW_YEAR.rest | {date(YEAR, 1, 4)})
    later = notice(date(YEAR + 1, 1, 1), year=YEAR + 1)
    versions = [(await announced(platform, new)).version for new in (NEW_YEAR, NEW_YEAR, later, second)]
    assert versions == [1, 1, 1, 2]
    found = await loaded(platform)
    assert found.version == with_notices(built_in(), [second, later]).version
    assert found.announced(YEAR + 1)
    assert not found.is_working(date(YEAR, 1, 4))
    async with platform.session() as connection:
        history = await calendar.history(connection)
        with pytest.raises(asyncpg.PostgresError, match="kept as they are"):
            await connection.execute("UPDATE calendar_notice SET reference = 'x'")
    assert [(a.notice, a.version, a.by) for a in history] == [
        (NEW_YEAR, 1, "office"),
        (second, 2, "office"),
        (later, 1, "office"),
    ]


async def test_an_older_notice_does_not_replace_a_newer(platform: PlatformDatabase) -> None:
    await announced(platform, NEW_YEAR)
    with pytest.raises(Refused, match=f"the notice of {YEAR} that holds was issued on {YEAR - 1}-11-04, later"):
        await announced(platform, notice(issued=date(YEAR - 1, 11, 3)))


async def test_two_databases_do_not_share_a_calendar(platform: PlatformDatabase, postgres: Any) -> None:
    """Each has a notice of the same number, and the process builds calendars once."""
    postgres.create_database("other_calendar")
    try:
        await upgrade(postgres.url("other_calendar"))
        async with await PlatformDatabase.open(postgres.url("other_calendar")) as other:
            await announced(platform, NEW_YEAR)
            await announced(other, notice(date(YEAR, 1, 5)))
            assert not (await loaded(platform)).is_working(date(YEAR, 1, 1))
            assert (await loaded(other)).is_working(date(YEAR, 1, 1))
    finally:
        postgres.drop_database("other_calendar")


async def test_a_notice_moves_running_deadlines_and_their_tasks(office: PlatformDatabase) -> None:
    before = built_in()
    await start(office, "A-1", 10, before)
    await start(office, "A-2", 3, before, extended_days=2, paused_days=1)
    await start(office, "A-3", 5, before, ended_on=EVE, met=True)
    heard: asyncio.Queue[str] = asyncio.Queue()
    async with office.session() as connection:

        def hear(*sent: Any) -> None:
            heard.put_nowait(sent[-1])

        await connection.add_listener("tanglai_work", hear)
        report = await announced(office, NEW_YEAR)
        assert await asyncio.wait_for(heard.get(), 10) == POLICE
        assert heard.empty()
        await connection.remove_listener("tanglai_work", hear)
    after = await loaded(office)
    assert (report.counted, report.moved, report.settled, report.calendar) == (2, 2, 2, after.version)
    for matter, days in (("A-1", 10), ("A-2", 6)):
        found = await deadline(office, matter)
        assert found["due_on"] == after.due(EVE, days).day == before.due(EVE, days + 1).day
        assert (found["provisional"], found["calendar"]) == (False, after.version)
        assert found["tasks"] == {POLICE: found["due_on"], HEALTH: None}
    ended = await deadline(office, "A-3")
    assert (ended["due_on"], ended["calendar"]) == (before.due(EVE, 5).day, before.version)


async def test_a_deadline_that_moves_is_reminded_of_anew(office: PlatformDatabase) -> None:
    await start(office, "A-1", 10, built_in(), reminded=2)
    await announced(office, NEW_YEAR)
    assert (await deadline(office, "A-1"))["reminded"] is None


async def test_one_that_stays_keeps_its_reminder(office: PlatformDatabase) -> None:
    await start(office, "A-1", 10, built_in(), reminded=2)
    report = await announced(office, notice(date(YEAR, 5, 3)))
    assert (report.counted, report.moved, report.settled) == (1, 0, 1)
    found = await deadline(office, "A-1")
    assert (found["reminded"], found["provisional"]) == (2, False)


async def test_one_that_is_over_no_more_is_not_flagged(office: PlatformDatabase) -> None:
    """A deadline long past stays flagged; one that moves past today does not."""
    long_past = date(2020, 6, 1)
    due = built_in().due(long_past, 10)
    common = {"flagged_at": await office.pool.fetchval("SELECT now()"), "calendar": "2004-2025.1"}
    await start(office, "A-1", 10, built_in(), **common | {"due_on": EVE - timedelta(days=900)})
    await start(office, "A-2", 10, built_in(), **common | {"started_on": long_past, "due_on": due.day})
    async with office.session() as connection:
        report = await calendar.recount(connection)
    assert (report.counted, report.moved) == (2, 1)
    assert (await deadline(office, "A-1"))["flagged_at"] is None
    assert (await deadline(office, "A-2"))["flagged_at"] is not None


async def test_what_is_counted_already_is_left_alone(office: PlatformDatabase) -> None:
    await start(office, "A-1", 10, built_in())
    await announced(office, NEW_YEAR)
    async with office.session() as connection:
        report = await calendar.recount(connection)
    assert (report.counted, report.moved, report.settled) == (0, 0, 0)


async def test_a_node_of_the_version_before_leaves_what_newer_tables_counted(office: PlatformDatabase) -> None:
    await start(office, "A-1", 10, built_in(), calendar=f"2004-{YEAR}.1", provisional=False)
    async with office.session() as connection:
        assert (await calendar.recount(connection)).counted == 0
    assert (await announced(office, NEW_YEAR)).counted == 0
    assert (await deadline(office, "A-1"))["calendar"] == f"2004-{YEAR}.1"


async def test_an_act_under_way_is_waited_for(office: PlatformDatabase) -> None:
    """A deadline that is started by the calendar before is committed before the notice, or counted by the new one."""
    async with office.session() as connection, office.session() as observer:
        act = connection.transaction()
        await act.start()
        before = await calendar.load(connection)
        announcing = asyncio.create_task(announced(office, NEW_YEAR))
        await blocked(observer)
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute(
            "INSERT INTO matter (id, kind, rule_set, rule_version, state, version, closed, opened_at, changed_at, "
            "document) VALUES ('A-1', 'APPLICATION', 'order-809', 1, 'SUBMITTED', 1, false, now(), now(), '{}')"
        )
        await connection.execute(
            "INSERT INTO deadline (matter, kind, department, rule_set, rule_version, days, started_on, due_on, "
            "provisional, calendar) VALUES ('A-1', 'REPLY', $1, 'order-809', 1, 10, $2, $3, true, $4)",
            POLICE,
            EVE,
            before.due(EVE, 10).day,
            before.version,
        )
        await act.commit()
        assert (await announcing).moved == 1
