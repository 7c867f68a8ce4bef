"""In charge of how long and how many operations run: slots of the process, time limits, clients that leave."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from starlette.types import Receive

from tanglai.server.refusals import busy

WATCH_AFTER_SECONDS = 0.2


class Slots:
    """At most `limit` of something at once; beyond that it is refused, not queued."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.running = 0

    @property
    def full(self) -> bool:
        return self.running >= self._limit

    def __enter__(self) -> None:
        if self.full:
            raise busy()
        self.running += 1

    def __exit__(self, *_: object) -> None:
        self.running -= 1


class Shares(Slots):
    """Slots of which one department has half at most, so that none of it takes them from the others."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self._most = (limit + 1) // 2
        self._by_department: Counter[str] = Counter()

    @contextmanager
    def of(self, department: str) -> Iterator[None]:
        """A slot for `department`. Raises Refusal 503."""
        if self._by_department[department] >= self._most:
            raise busy()
        with self:
            self._by_department[department] += 1
            try:
                yield
            finally:
                self._by_department[department] -= 1
                if not self._by_department[department]:
                    del self._by_department[department]


class ClientLeft(Exception):
    """The client closed the connection before its answer was ready."""


class TooLate(Exception):
    """The time limit of the request is over."""


class Watch:
    """Cancels the body of a `with` when the client leaves or `seconds` are over: it ends with ClientLeft or TooLate.

    The watching starts after `after` seconds, so that a fast request costs one timer and no task. `loop` is the one
    that runs.
    """

    __slots__ = ("_after", "_loop", "_reason", "_receive", "_seconds", "_task", "_timer", "_watcher")

    def __init__(
        self,
        receive: Receive,
        seconds: float,
        *,
        after: float = WATCH_AFTER_SECONDS,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._receive, self._seconds, self._after = receive, seconds, min(after, seconds)
        self._loop = loop or asyncio.get_running_loop()
        self._reason: type[Exception] | None = None
        self._watcher: asyncio.Task[None] | None = None

    def __enter__(self) -> Self:
        task = asyncio.current_task(self._loop)
        assert task is not None
        self._task = task
        self._timer = self._loop.call_later(self._after, self._begin)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._timer.cancel()
        if self._watcher is not None:
            self._watcher.cancel()
        if self._reason is not None:
            others = self._task.uncancel()
            if kind is asyncio.CancelledError and others == 0:
                raise self._reason from None

    def _begin(self) -> None:
        self._watcher = self._loop.create_task(self._watch())

    async def _watch(self) -> None:
        try:
            async with asyncio.timeout(self._seconds - self._after):
                while (await self._receive())["type"] != "http.disconnect":
                    pass
            self._reason = ClientLeft
        except TimeoutError:
            self._reason = TooLate
        self._task.cancel()
