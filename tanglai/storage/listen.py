"""In charge of hearing notifications: one dedicated connection that comes back by itself."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from tanglai.storage.epochs import CHANNEL

_log = logging.getLogger(__name__)
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 5.0
_HEARTBEAT = 15.0  # a connection whose other end is gone without a word is found out by this
_ANSWER = 2.0

Hear = Callable[[str | None], None]


@asynccontextmanager
async def listening(connect: Callable[[], Awaitable[Any]], hear: Hear, channel: str = CHANNEL) -> AsyncIterator[None]:
    """While open, `hear` is called on the event loop with the payload of every notification of `channel`.

    It is called with None each time that the connection has come (back): notifications may have been missed before.
    Nothing raises; while the database is away, connecting is tried again after 0.05 s, doubling up to 5 s.
    """
    task = asyncio.create_task(_listen(connect, hear, channel), name=f"{channel}-listen")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _listen(connect: Callable[[], Awaitable[Any]], hear: Hear, channel: str) -> None:
    pause = _FIRST_PAUSE
    while True:
        # Whatever a dying connection raises, listening goes on.
        try:
            connection = await connect()
        except Exception as error:
            kind = type(error).__name__
            _log.info("cannot listen on %s, trying again in at most %.2f s: %s", channel, pause, kind)
        else:
            pause = _FIRST_PAUSE
            try:
                await _attend(connection, hear, channel)
            except Exception as error:
                _log.info("the connection that listens on %s is lost: %s", channel, type(error).__name__)
            finally:
                connection.terminate()
        # Replicas that lost the database together do not come back together.
        await asyncio.sleep(pause * random.uniform(0.5, 1.0))
        pause = min(2 * pause, _LONGEST_PAUSE)


async def _attend(connection: Any, hear: Hear, channel: str) -> None:
    lost = asyncio.Event()
    connection.add_termination_listener(lambda _: lost.set())

    def heard(_connection: Any, _pid: int, _channel: str, payload: str) -> None:
        hear(payload)

    async with asyncio.timeout(_ANSWER):
        await connection.add_listener(channel, heard)
    hear(None)
    while True:
        with suppress(TimeoutError):
            await asyncio.wait_for(lost.wait(), _HEARTBEAT)
            return
        async with asyncio.timeout(_ANSWER):
            await connection.execute("SELECT 1")
