"""In charge of the calendar as the platform has it: built-in tables, announced notices, and due dates that follow."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from tanglai.catalogue.calendar import Notice, WorkingCalendar, built_in, with_notices
from tanglai.storage.errors import Refused

_MARKS = "SELECT DISTINCT ON (year) mark FROM calendar_notice ORDER BY year, version DESC"
_NOTICES = "SELECT DISTINCT ON (year) * FROM calendar_notice ORDER BY year, version DESC"
_HISTORY = "SELECT * FROM calendar_notice ORDER BY year, version"
# INVARIANT: every act has read this table before it starts a deadline, and holds it until it ends. Taken alone, no
# deadline is counted by the calendar before while those there are moved.
_ALONE = "LOCK TABLE calendar_notice IN ACCESS EXCLUSIVE MODE"
_ANNOUNCE = """
INSERT INTO calendar_notice (year, version, issued, reference, rest, make_up, mark, announced_by, announced_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, clock_timestamp())
"""
_TODAY = "SELECT (clock_timestamp() AT TIME ZONE 'Asia/Shanghai')::date"
# Not those counted by newer built-in tables: a node that is still of the version before leaves them alone.
_OTHER = """
FROM deadline WHERE ended_on IS NULL AND calendar <> $1 AND split_part(calendar, '+', 1) COLLATE "C" <= $2
"""
_RUNNING = f"""
SELECT id, matter, department, started_on, days + extended_days + paused_days AS days, due_on, provisional
{_OTHER} ORDER BY id FOR UPDATE
"""
_ANY = f"SELECT EXISTS (SELECT {_OTHER})"
_MOVE = """
UPDATE deadline d SET due_on = n.due_on, provisional = n.provisional, calendar = $4,
    flagged_at = CASE WHEN n.due_on < $5 THEN d.flagged_at END,
    reminded = CASE WHEN n.due_on = d.due_on THEN d.reminded END
FROM unnest($1::bigint[], $2::date[], $3::boolean[]) AS n (id, due_on, provisional) WHERE d.id = n.id
"""
# As an act leaves them (`work.py`): the first of what the department has to do.
_TASKS = """
UPDATE matter_task t SET due_on = d.due_on FROM (
    SELECT matter, department, min(due_on) AS due_on FROM deadline
    WHERE matter = ANY($1::text[]) AND ended_on IS NULL AND paused_on IS NULL GROUP BY matter, department) d
WHERE t.matter = d.matter AND t.department = d.department AND t.due_on IS DISTINCT FROM d.due_on
RETURNING t.department
"""
_CACHE_SIZE = 16


@dataclass(frozen=True, slots=True)
class AnnouncedNotice:
    """A notice as it was announced here, with who did it; `version` counts within its year, the newest holds."""

    notice: Notice
    version: int
    by: str


@dataclass(frozen=True, slots=True)
class AnnounceReport:
    """What an announcement did. `version`: the notice's in its year; `calendar`: of the calendar that holds now.

    `counted` running deadlines were counted anew, of which `moved` got another due date and `settled` are not
    provisional any more.
    """

    version: int
    calendar: str
    counted: int
    moved: int
    settled: int


_built: dict[tuple[str, ...], WorkingCalendar] = {}


async def load(connection: Any) -> WorkingCalendar:
    """The calendar that holds: the built-in years and the newest notice of each other. One statement as a rule."""
    marks = tuple(row["mark"] for row in await connection.fetch(_MARKS))
    calendar = _built.get(marks)
    if calendar is None:
        notices = [_notice(row) for row in await connection.fetch(_NOTICES)]
        calendar = with_notices(built_in(), notices)
        if len(_built) >= _CACHE_SIZE:
            _built.clear()
        _built[tuple(notice.mark for notice in notices)] = calendar
    return calendar


async def history(connection: Any) -> tuple[AnnouncedNotice, ...]:
    """Every notice that was announced here, by year and version."""
    rows = await connection.fetch(_HISTORY)
    return tuple(AnnouncedNotice(_notice(row), row["version"], row["announced_by"]) for row in rows)


async def announce(connection: Any, notice: Notice, *, by: str) -> AnnounceReport:
    """Records `notice` as the one of its year and moves every running deadline accordingly, all in one transaction.

    One that holds already is not recorded again. Raises Refused for one issued before that of its year that holds.
    """
    async with connection.transaction():
        await connection.execute(_ALONE)
        held = [row for row in await connection.fetch(_NOTICES) if row["year"] == notice.year]
        version = held[0]["version"] if held else 0
        if held and held[0]["issued"] > notice.issued:
            raise Refused(f"the notice of {notice.year} that holds was issued on {held[0]['issued']}, later than this")
        if not held or held[0]["mark"] != notice.mark:
            version += 1
            await connection.execute(
                _ANNOUNCE,
                notice.year,
                version,
                notice.issued,
                notice.reference,
                sorted(notice.rest),
                sorted(notice.make_up),
                notice.mark,
                by,
            )
        return await _recount(connection, version)


async def recount(connection: Any) -> AnnounceReport:
    """Counts the running deadlines anew that were counted by another calendar, as after a new version of the program.

    `version` of the report is 0. Where there are none, it is two cheap statements. `connection` is in no transaction.
    """
    calendar = await load(connection)
    if not await connection.fetchval(_ANY, calendar.version, calendar.tables):
        return AnnounceReport(0, calendar.version, 0, 0, 0)
    async with connection.transaction():
        await connection.execute(_ALONE)
        return await _recount(connection, 0)


async def _recount(connection: Any, version: int) -> AnnounceReport:
    calendar = await load(connection)
    today: date = await connection.fetchval(_TODAY)
    rows: Sequence[Any] = await connection.fetch(_RUNNING, calendar.version, calendar.tables)
    due = [calendar.due(row["started_on"], row["days"]) for row in rows]
    moved = [row for row, new in zip(rows, due, strict=True) if new.day != row["due_on"]]
    settled = sum(row["provisional"] and not new.provisional for row, new in zip(rows, due, strict=True))
    await connection.execute(
        _MOVE,
        [row["id"] for row in rows],
        [new.day for new in due],
        [new.provisional for new in due],
        calendar.version,
        today,
    )
    told = {row["department"] for row in await connection.fetch(_TASKS, [row["matter"] for row in moved])}
    for department in sorted(told):
        await connection.execute("SELECT pg_notify('tanglai_work', $1)", department)
    return AnnounceReport(version, calendar.version, len(rows), len(moved), settled)


def _notice(row: Any) -> Notice:
    return Notice(row["year"], row["issued"], row["reference"], frozenset(row["rest"]), frozenset(row["make_up"]))
