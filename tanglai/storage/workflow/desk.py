"""In charge of acts: one transaction each, in which steps, deadlines, tasks, notices and grants change together."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from enum import Enum
from typing import Any, TypeVar

import asyncpg

from tanglai.catalogue.workflow.errors import InvalidAct, NotPermitted, Problem, ProblemCode
from tanglai.catalogue.workflow.parties import Acting
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.epochs import LOCK_CATALOGUE, LOCK_GRANTS, SHARE_CATALOGUE
from tanglai.storage.errors import PolicyUnavailable, Refused
from tanglai.storage.workflow import calendar
from tanglai.storage.workflow.work import Work

T = TypeVar("T")
OWN_ACT = "TL003"
"""SQLSTATE by which the database refuses that somebody approves their own act (migration 0004)."""


class Lock(Enum):
    """What an act needs to hold still besides its matter, in the order of locks that all writers keep (epochs.py)."""

    NOTHING = 0
    GRANTS = 1  # records grants or changes their state
    CATALOGUE = 2  # publishes or retires


class Desk:
    """Where acts are done and matters are read. Safe for concurrent use within one event loop."""

    def __init__(self, database: PlatformDatabase, *, changed: Callable[[], None] = lambda: None) -> None:
        """`changed` is called after an act that may have changed grants or the catalogue, on the event loop."""
        self._database = database
        self._changed = changed

    @asynccontextmanager
    async def work(self, acting: Acting, lock: Lock = Lock.NOTHING) -> AsyncIterator[Work]:
        """One act: what is done on the `Work` is committed together when the block ends, or not at all.

        Raises WorkflowError (also for what the database refuses) and PolicyUnavailable.
        """
        try:
            async with self._database.session() as connection, connection.transaction():
                await connection.execute("SELECT set_config('tanglai.node', $1, true)", acting.node)
                if lock is Lock.CATALOGUE:
                    await connection.fetchval(LOCK_CATALOGUE)
                elif lock is Lock.GRANTS:
                    await connection.fetchval(SHARE_CATALOGUE)
                if lock is not Lock.NOTHING:
                    await connection.fetchval(LOCK_GRANTS)
                work = Work(connection, acting, await calendar.load(connection))
                yield work
                await work.settle()
                await connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
            if lock is not Lock.NOTHING:
                self._changed()
        except Refused as error:
            raise InvalidAct([Problem((), ProblemCode.NOT_ALLOWED, error.message)]) from error
        except asyncpg.PostgresError as error:
            if error.sqlstate == OWN_ACT:
                raise NotPermitted(str(error), own_act=True) from error
            raise

    async def read(self, read: Callable[[Any], Awaitable[T]]) -> T:
        """What `read` makes of a connection, once more on another where that was dead. Raises PolicyUnavailable."""
        try:
            async with self._database.session() as connection:
                return await read(connection)
        except PolicyUnavailable as error:
            if not isinstance(error.__cause__, asyncpg.PostgresConnectionError | asyncpg.InterfaceError | OSError):
                raise
        async with self._database.session() as connection:
            return await read(connection)
