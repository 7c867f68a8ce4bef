"""In charge of the connection on which epochs are confirmed: one of its own, so that no other work can hold it up."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")
_ON_OLD = 1.0  # seconds for a connection that was idle and may be dead without a word
_ON_NEW = 2.0  # seconds for connecting and asking
_NAME = "tanglai control"


class ControlLine:
    """One connection, opened on first use and again after a failure; questions come one after the other."""

    def __init__(self, connect: Callable[[str], Awaitable[Any]]) -> None:
        self._connect = connect
        self._connection: Any = None
        self._turn = asyncio.Lock()

    async def run(self, ask: Callable[[Any], Awaitable[T]]) -> T:
        """The answer to `ask`, a read. Raises what connecting or asking raised, TimeoutError after 3 s at most."""
        async with self._turn:
            if self._connection is not None and not self._connection.is_closed():
                # A failure here says nothing yet: a new connection shows whether the database is gone or only the old
                # connection.
                with suppress(Exception):
                    return await self._asked(ask, _ON_OLD)
            self.close()
            return await self._asked(ask, _ON_NEW)

    def close(self) -> None:
        """Drops the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def _asked(self, ask: Callable[[Any], Awaitable[T]], seconds: float) -> T:
        try:
            async with asyncio.timeout(seconds):
                if self._connection is None:
                    self._connection = await self._connect(_NAME)
                return await ask(self._connection)
        except BaseException:
            # Also when cancelled: an answer may be on its way that belongs to no later question.
            self.close()
            raise
