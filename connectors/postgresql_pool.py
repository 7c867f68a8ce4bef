"""In charge of a source's connections to PostgreSQL: opened when needed, kept for the next call, given up when idle.

asyncpg's own pool resets a connection after each use and starts a task to do so; here a session is never changed by a
call, so taking and giving back cost nothing.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from connectors.loops import KeptLoop

IDLE_SECONDS = 300.0
_CLOSE_SECONDS = 5.0


class ConnectionPool:
    """At most `most` connections, made by `connect`, for one event loop."""

    def __init__(self, connect: Callable[[], Awaitable[Any]], most: int) -> None:
        self._connect = connect
        self._most = most
        self._loop = KeptLoop()
        self._size = 0  # connections, and places given to those who are opening one
        self._idle: deque[tuple[Any, float]] = deque()
        self._used: set[Any] = set()
        self._expired: set[Any] = set()
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._recovering: set[asyncio.Task[None]] = set()
        self._sweep: asyncio.TimerHandle | None = None
        self._closed = False

    async def acquire(self) -> Any:
        """A connection for the caller alone, the one used last first; while `most` are in use callers take turns."""
        while self._idle:
            connection, _ = self._idle.pop()
            if not connection.is_closed():
                self._used.add(connection)
                return connection
            self._size -= 1
        if self._size < self._most:
            self._size += 1
            return await self._opened()
        turn: asyncio.Future[Any] = self._loop.get().create_future()
        self._waiting.append(turn)
        try:
            connection = await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # what was given goes to the next
                given = turn.result()
                if given is None:
                    self._free()
                else:
                    self.release(given)
            raise
        if connection is None or connection.is_closed():
            self._used.discard(connection)
            return await self._opened()
        return connection

    def release(self, connection: Any) -> None:
        """Takes back a connection that nothing runs on."""
        self._used.discard(connection)
        if connection.is_closed() or connection in self._expired or self._closed:
            self._expired.discard(connection)
            connection.terminate()
            self._free()
            return
        if turn := self._next():
            self._used.add(connection)
            turn.set_result(connection)
            return
        loop = self._loop.get()
        self._idle.append((connection, loop.time()))
        if self._sweep is None:
            self._sweep = loop.call_later(IDLE_SECONDS, self._sweep_idle)

    def recover(self, connection: Any) -> None:
        """Takes back a connection whose statement was cancelled or failed, as soon as the server is done with it."""
        task = asyncio.get_running_loop().create_task(self._recovered(connection))
        self._recovering.add(task)
        task.add_done_callback(self._recovering.discard)

    def expire(self) -> None:
        """Gives up every connection there is; those in use when they come back."""
        self._expired |= self._used
        while self._idle:
            self._idle.pop()[0].terminate()
            self._free()

    async def close(self) -> None:
        """Closes what is idle and waits a little for what is being cancelled; the rest ends when it comes back."""
        self._closed = True
        if self._sweep is not None:
            self._sweep.cancel()
        if self._recovering:
            await asyncio.wait(self._recovering, timeout=_CLOSE_SECONDS)
        idle = [connection for connection, _ in self._idle]
        self._idle.clear()
        self._size -= len(idle)
        closing = (connection.close(timeout=_CLOSE_SECONDS) for connection in idle)
        await asyncio.gather(*closing, return_exceptions=True)

    async def _opened(self) -> Any:
        try:
            connection = await self._connect()
        except BaseException:
            self._free()
            raise
        self._used.add(connection)
        return connection

    def _free(self) -> None:
        # A place is free: the next in turn opens a connection on it.
        if turn := self._next():
            turn.set_result(None)
        else:
            self._size -= 1

    def _next(self) -> "asyncio.Future[Any] | None":
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                return turn
        return None

    async def _recovered(self, connection: Any) -> None:
        # The driver runs a statement only after the cancellation of the one before has ended.
        try:
            if not connection.is_closed():
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await connection.execute("SELECT 1")
        except Exception:
            connection.terminate()
        finally:
            self.release(connection)

    def _sweep_idle(self) -> None:
        loop = asyncio.get_running_loop()
        while self._idle and loop.time() - self._idle[0][1] >= IDLE_SECONDS:
            self._idle.popleft()[0].terminate()
            self._size -= 1
        self._sweep = loop.call_at(self._idle[0][1] + IDLE_SECONDS, self._sweep_idle) if self._idle else None
