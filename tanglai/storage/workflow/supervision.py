"""In charge of the figures that departments are supervised and evaluated by, read in a handful of statements."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import accumulate
from typing import Any

from tanglai.catalogue.calendar import WorkingCalendar
from tanglai.catalogue.documents_grant import SHANGHAI
from tanglai.catalogue.model import Level, Snapshot
from tanglai.catalogue.rules import DeadlineKind
from tanglai.catalogue.workflow.evaluation import Figures, PurposeUse, Tally
from tanglai.storage.workflow import calendar

# Working days up to and with each day from `$6` on stand in `$7`, so that a difference counts the days between.
_DEADLINES = """
SELECT department, kind, count(*) AS due,
       count(*) FILTER (WHERE met AND ended_on <= due_on) AS on_time,
       count(*) FILTER (WHERE met AND ended_on > due_on) AS late,
       count(*) FILTER (WHERE ended_on IS NULL AND paused_on IS NULL AND due_on < $5) AS overdue,
       count(*) FILTER (WHERE ended_on IS NULL AND (paused_on IS NOT NULL OR due_on >= $5)) AS running,
       count(*) FILTER (WHERE extended_days > 0) AS extended,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY
           ($7::int[])[ended_on - $6::date + 1] - ($7::int[])[greatest(started_on, $6) - $6 + 1] - paused_days)
           FILTER (WHERE met) AS median
FROM deadline
WHERE department = ANY($1) AND kind = ANY($2) AND due_on BETWEEN $3 AND $4 AND met IS DISTINCT FROM false
GROUP BY department, kind
"""
_OVERDUE = """
SELECT department, kind, count(*) FROM deadline
WHERE ended_on IS NULL AND paused_on IS NULL AND due_on < $2 AND department = ANY($1) GROUP BY department, kind
"""
_REFUSALS = """
SELECT e.department, coalesce(e.document ->> 'reason', '') AS reason, m.requester, count(*)
FROM matter_event e JOIN matter m ON m.id = e.matter
WHERE e.to_state = 'REFUSED' AND e.at >= $2 AND e.at < $3 AND e.department = ANY($1) AND m.kind = 'APPLICATION'
GROUP BY 1, 2, 3
"""
_MATTERS = """
SELECT m.kind, m.provider, m.requester, m.state,
       CASE WHEN m.kind = 'SUSPENSION' THEN coalesce(m.document ->> 'reason', '') ELSE '' END AS reason, count(*)
FROM matter m
WHERE m.kind IN ('CORRECTION', 'SUSPENSION', 'DISPOSAL') AND m.opened_at >= $2 AND m.opened_at < $3
  AND (m.provider = ANY($1) OR m.requester = ANY($1))
GROUP BY 1, 2, 3, 4, 5
"""
_GRANTS = """
SELECT g.requester, count(*) AS grants, count(*) FILTER (WHERE g.valid_from <= $2 AND NOT EXISTS (
           SELECT FROM grant_use u WHERE u.grant_id = g.id AND u.day BETWEEN $3 AND $4)) AS unused
FROM data_grant g WHERE g.state = 'ACTIVE' AND g.requester = ANY($1) GROUP BY g.requester
"""
_ENDINGS = """
SELECT v.provider, count(*)
FROM grant_transition t
JOIN data_grant g ON g.id = t.grant_id
CROSS JOIN LATERAL (SELECT provider FROM resource_version v WHERE v.code = g.resource ORDER BY version DESC LIMIT 1) v
WHERE t.to_state = 'ENDED' AND t.at >= $2 AND t.at < $3 AND v.provider = ANY($1)
  AND t.by <> 'platform' AND NOT starts_with(t.by, g.requester || '/')
  AND NOT EXISTS (
      SELECT FROM matter m WHERE m.grant_id = g.id
      AND (m.kind, m.state) IN (('SERVICE_CHANGE', 'FILED'), ('SUSPENSION', 'ENDED'), ('COORDINATION', 'CLOSED'),
                                ('COORDINATION', 'GRANTED')))
GROUP BY v.provider
"""
_PURPOSES = """
SELECT side, department, purpose, sum(requests)::bigint, sum(rows)::bigint, sum(denied)::bigint
FROM purpose_use WHERE side IN ('PROVIDER', 'REQUESTER') AND department = ANY($1) AND day BETWEEN $2 AND $3
GROUP BY side, department, purpose ORDER BY side, department, purpose
"""
_DOWN = """
SELECT (SELECT as_of FROM usage_progress) AS as_of, ARRAY(
    SELECT source FROM source_state GROUP BY source
    HAVING max(last_failure) > coalesce(max(last_success), '-infinity') ORDER BY source) AS down
"""
_LONGEST = timedelta(days=3 * 366)


@dataclass(frozen=True, slots=True)
class Period:
    """Days of Asia/Shanghai, both included."""

    first: date
    last: date

    @property
    def begin(self) -> datetime:
        return datetime.combine(self.first, datetime.min.time(), SHANGHAI)

    @property
    def end(self) -> datetime:
        """The first moment after it."""
        return datetime.combine(self.last + timedelta(days=1), datetime.min.time(), SHANGHAI)


@dataclass(frozen=True, slots=True)
class Observed:
    """Figures of each department, in the order that was asked for; `use_as_of`: up to when use is counted."""

    figures: tuple[Figures, ...]
    use_as_of: datetime | None


async def observe(
    connection: Any, snapshot: Snapshot, departments: Sequence[str], period: Period, today: date
) -> Observed:
    """The figures of `departments` (credit codes) for `period`, all of one moment."""
    codes = list(departments)
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        first, worked = _worked(await calendar.load(connection), period, today)
        kinds = [kind.value for kind in DeadlineKind]
        tallies = await connection.fetch(_DEADLINES, codes, kinds, period.first, period.last, today, first, worked)
        overdue = await connection.fetch(_OVERDUE, codes, today)
        refusals = await connection.fetch(_REFUSALS, codes, period.begin, period.end)
        matters = await connection.fetch(_MATTERS, codes, period.begin, period.end)
        grants = await connection.fetch(_GRANTS, codes, period.begin, period.first, period.last)
        endings = await connection.fetch(_ENDINGS, codes, period.begin, period.end)
        purposes = await connection.fetch(_PURPOSES, codes, period.first, period.last)
        state = await connection.fetchrow(_DOWN)
    books = _Books(snapshot)
    for row in tallies:
        books.deadlines[row["department"]][DeadlineKind(row["kind"])] = Tally(
            row["due"], row["on_time"], row["late"], row["overdue"], row["running"], row["extended"], row["median"]
        )
    for department, kind, count in overdue:
        books.overdue[department][DeadlineKind(kind)] = count
    for department, reason, requester, count in refusals:
        books.refusals[department][reason] += count
        books.downwards[department] += count * books.is_below(requester, department)
    for kind, provider, requester, reached, reason, count in matters:
        books.add_matters(kind, provider, requester, reached, reason, count)
    for side, department, purpose, requests, rows, denied in purposes:
        books.purposes[side, department].append(PurposeUse(purpose, requests, rows, denied))
    books.grants = {row["requester"]: (row["grants"], row["unused"]) for row in grants}
    books.endings = dict(endings)
    books.add_catalogue(frozenset(state["down"]), today)
    return Observed(tuple(books.figures(code) for code in codes), state["as_of"])


def _worked(counted: WorkingCalendar, period: Period, today: date) -> tuple[date, list[int]]:
    """A first day, and the working days since then up to and with each day until today or the period's end."""
    first = min(period.first, today) - _LONGEST
    last = max(period.last, today)
    days = (first + timedelta(days=n) for n in range((last - first).days + 1))
    return first, list(accumulate(int(counted.is_working(day)) for day in days))


class _Books:
    """What the statements gave, by department."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self.deadlines: dict[str, dict[DeadlineKind, Tally]] = defaultdict(dict)
        self.overdue: dict[str, dict[DeadlineKind, int]] = defaultdict(dict)
        self.refusals: dict[str, Counter[str]] = defaultdict(Counter)
        self.downwards: Counter[str] = Counter()
        self.reported: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        self.suspensions: dict[str, Counter[str]] = defaultdict(Counter)
        self.disposals: Counter[str] = Counter()
        self.stated: Counter[str] = Counter()
        self.purposes: dict[tuple[str, str], list[PurposeUse]] = defaultdict(list)
        self.grants: dict[str, tuple[int, int]] = {}
        self.endings: dict[str, int] = {}
        self.resources: Counter[str] = Counter()
        self.sources: Counter[str] = Counter()
        self.interfaces: Counter[str] = Counter()
        self.interfaces_overdue: Counter[str] = Counter()
        self.down: dict[str, list[str]] = defaultdict(list)

    def is_below(self, department: str | None, other: str) -> bool:
        """Whether `department` is of a lower level than `other`, within its area: data flow back to it (O24)."""
        found = self._snapshot.departments.get(department or "")
        above = self._snapshot.departments.get(other)
        if found is None or above is None:
            return False
        levels = list(Level)
        digits = {Level.REGION: 2, Level.CITY: 4, Level.COUNTY: 6}[above.level]
        lower = levels.index(found.level) > levels.index(above.level)
        return lower and found.division[:digits] == above.division[:digits]

    def add_matters(
        self, kind: str, provider: str | None, requester: str | None, state: str, reason: str, count: int
    ) -> None:
        if kind == "CORRECTION" and provider is not None and state != "WITHDRAWN":
            self.reported[provider] += count
            self.answered[provider] += count * (state in ("CORRECTED", "DISMISSED"))
        elif kind == "SUSPENSION" and requester is not None:
            self.suspensions[requester][reason] += count
        elif kind == "DISPOSAL" and requester is not None:
            self.disposals[requester] += count
            self.stated[requester] += count * (state == "STATED")

    def add_catalogue(self, down: frozenset[str], today: date) -> None:
        """What the catalogue itself says: resources, sources and old interfaces."""
        for resource in self._snapshot.resources.values():
            self.resources[resource.provider] += 1
        for key, source in sorted(self._snapshot.sources.items()):
            self.sources[source.department] += 1
            if key in down:
                self.down[source.department].append(key)
            if source.retirement is not None:
                self.interfaces[source.department] += 1
                self.interfaces_overdue[source.department] += source.retirement <= today

    def figures(self, code: str) -> Figures:
        granted, unused = self.grants.get(code, (0, 0))
        return Figures(
            department=code,
            deadlines=self.deadlines[code],
            overdue_now=self.overdue[code],
            refusals=dict(sorted(self.refusals[code].items())),
            refusals_downwards=self.downwards[code],
            corrections_reported=self.reported[code],
            corrections_answered=self.answered[code],
            grants=granted,
            grants_unused=unused,
            asked=tuple(self.purposes["REQUESTER", code]),
            provided=tuple(self.purposes["PROVIDER", code]),
            resources=self.resources[code],
            sources=self.sources[code],
            sources_down=tuple(self.down[code]),
            interfaces=self.interfaces[code],
            interfaces_overdue=self.interfaces_overdue[code],
            endings_alone=self.endings.get(code, 0),
            suspensions=dict(sorted(self.suspensions[code].items())),
            disposals=self.disposals[code],
            disposals_stated=self.stated[code],
        )
