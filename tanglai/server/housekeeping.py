"""In charge of what a node does by itself besides answering: reminders, flags, expiry, and the books of use."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextvars import Context
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from tanglai.catalogue.workflow.errors import WorkflowError
from tanglai.catalogue.workflow.parties import Acting, by_platform
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.errors import PolicyUnavailable
from tanglai.storage.replica import Replica
from tanglai.storage.workflow import calendar, clerk, grant_endings, usage
from tanglai.storage.workflow.desk import Desk

_log = logging.getLogger(__name__)

EVERY_SECONDS = 30.0
"""How often a node looks after deadlines and grants; several nodes share the work."""


@dataclass(frozen=True, slots=True)
class Job:
    """Something that is done again and again; it may be done by several nodes at once."""

    name: str
    run: Callable[[Acting], Awaitable[Any]]


class Housekeeping:
    """Does its jobs in turn while it is open. A job that fails is logged and tried again the next time."""

    def __init__(
        self,
        database: PlatformDatabase,
        replica: Replica,
        desk: Desk,
        node: str,
        *,
        every: float = EVERY_SECONDS,
    ) -> None:
        self._database, self._replica, self._node, self._every = database, replica, node, every
        self._jobs = (
            Job("due dates by the calendar that holds", lambda acting: self._recount()),
            Job("expiry of grants", lambda acting: grant_endings.expire_due(desk, acting)),
            Job("reminders of grants that end", lambda acting: grant_endings.remind_expiry(desk, acting)),
            Job("reminders of deadlines", lambda acting: clerk.remind(desk, acting)),
            Job("missed deadlines", lambda acting: clerk.flag_missed(desk, acting)),
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._healthy = True

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        for work, name in ((self._keep_house(), "housekeeping"), (usage.keep_books(self._database), "books of use")):
            self._tasks.append(loop.create_task(work, name=f"tanglai-{name}", context=Context()))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    async def round(self) -> None:
        """Every job once. Raises nothing: what went wrong is logged."""
        for job in self._jobs:
            try:
                moment = await self._replica.confirm()
                await job.run(by_platform(moment.snapshot, moment.now, f"{self._node}-{uuid4().hex}", self._node))
                self._healthy = True
            except PolicyUnavailable as failure:
                if self._healthy:
                    _log.warning("%s waits: %s", job.name, failure.message)
                self._healthy = False
            except WorkflowError as refusal:
                _log.error("%s could not be done: %s", job.name, refusal.message)
            except Exception:
                _log.exception("%s failed", job.name)

    async def _recount(self) -> None:
        async with self._database.session() as connection:
            await calendar.recount(connection)

    async def _keep_house(self) -> None:
        while True:
            await self.round()
            await asyncio.sleep(self._every)
