"""In charge of how sources are doing: what a node sees of their calls, written down so that all nodes tell the same."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import Context
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tanglai.catalogue.quotas import day_of
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.errors import PolicyUnavailable

_log = logging.getLogger(__name__)

_STATE = """
INSERT INTO source_state AS held (source, node, last_success, last_failure, fault, seen_at)
SELECT source, $2, success, failure, fault, $6
FROM unnest($1::text[], $3::timestamptz[], $4::timestamptz[], $5::text[]) AS seen (source, success, failure, fault)
ORDER BY source
ON CONFLICT (source, node) DO UPDATE SET
    last_success = greatest(held.last_success, excluded.last_success),
    last_failure = greatest(held.last_failure, excluded.last_failure),
    fault = coalesce(excluded.fault, held.fault), seen_at = excluded.seen_at
"""
_DAY = """
INSERT INTO source_day AS held (source, day, calls, failures)
SELECT * FROM unnest($1::text[], $2::date[], $3::bigint[], $4::bigint[]) AS seen (source, day, calls, failures)
ORDER BY source, day
ON CONFLICT (source, day) DO UPDATE SET calls = held.calls + excluded.calls,
    failures = held.failures + excluded.failures
"""
_DOWN = """
SELECT source, max(last_success) AS last_success, max(last_failure) AS last_failure,
       (array_agg(fault ORDER BY last_failure DESC NULLS LAST))[1] AS fault
FROM source_state GROUP BY source HAVING max(last_failure) > coalesce(max(last_success), '-infinity') ORDER BY source
"""


@dataclass(slots=True)
class _Seen:
    success: datetime | None = None
    failure: datetime | None = None
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Outage:
    """A source whose last call, over all nodes, failed, with an error code; `since`: the last call that did not."""

    source: str
    fault: str
    failed_at: datetime
    since: datetime | None


class SourceWatch:
    """What one node saw of its sources' calls. Lives within one event loop; `saw` does no I/O."""

    def __init__(self, node: str) -> None:
        self._node = node
        self._seen: dict[str, _Seen] = {}
        self._days: dict[tuple[str, object], tuple[int, int]] = {}

    def saw(self, source: str, fault: str | None) -> None:
        """A call to `source` ended: with the error code `fault`, or with None well."""
        now = datetime.now(UTC)
        seen = self._seen.setdefault(source, _Seen())
        if fault is None:
            seen.success = now
        else:
            seen.failure, seen.fault = now, fault
        day = (source, day_of(now))
        calls, failures = self._days.get(day, (0, 0))
        self._days[day] = calls + 1, failures + (fault is not None)

    async def write(self, connection: Any) -> int:
        """Write down what was seen since the last time; of how many sources. What cannot be written is kept."""
        seen, self._seen = self._seen, {}
        days, self._days = self._days, {}
        try:
            async with connection.transaction():
                if seen:
                    await connection.execute(
                        _STATE,
                        list(seen),
                        self._node,
                        [it.success for it in seen.values()],
                        [it.failure for it in seen.values()],
                        [it.fault for it in seen.values()],
                        datetime.now(UTC),
                    )
                    await connection.execute(
                        _DAY,
                        [source for source, _ in days],
                        [day for _, day in days],
                        [calls for calls, _ in days.values()],
                        [failures for _, failures in days.values()],
                    )
        except BaseException:
            self._keep(seen, days)
            raise
        return len(seen)

    def _keep(self, seen: dict[str, _Seen], days: dict[tuple[str, object], tuple[int, int]]) -> None:
        for source, old in seen.items():
            new = self._seen.setdefault(source, _Seen())
            new.success = new.success or old.success
            if new.failure is None:
                new.failure, new.fault = old.failure, old.fault
        for day, (calls, failures) in days.items():
            more, worse = self._days.get(day, (0, 0))
            self._days[day] = calls + more, failures + worse

    @asynccontextmanager
    async def keeping(self, database: PlatformDatabase, *, every: float = 5.0) -> AsyncIterator[None]:
        """While open, what is seen is written every `every` seconds, and at the end; the database may come and go."""
        task = asyncio.get_running_loop().create_task(self._keep_on(database, every), context=Context())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await self._try(database)

    async def _keep_on(self, database: PlatformDatabase, every: float) -> None:
        while True:
            await asyncio.sleep(every)
            await self._try(database)

    async def _try(self, database: PlatformDatabase) -> None:
        if not self._seen:
            return
        try:
            async with database.session() as connection:
                await self.write(connection)
        except PolicyUnavailable:
            pass  # kept for the next round
        except Exception:
            # Nothing else looks after the task.
            _log.exception("what was seen of sources could not be written")


async def outages(connection: Any) -> list[Outage]:
    """The sources that are down by what all nodes saw last, by key. A source that nobody calls is not known to be."""
    rows = await connection.fetch(_DOWN)
    return [Outage(row["source"], row["fault"] or "", row["last_failure"], row["last_success"]) for row in rows]
