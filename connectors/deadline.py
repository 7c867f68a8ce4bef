"""In charge of a time limit that is cheap enough to stand around every call to a source."""

import asyncio
from types import TracebackType


class Deadline:
    """As `asyncio.timeout`: the body of the `with` is cancelled after `seconds`, and ends with TimeoutError then.

    `loop` is the one that runs.
    """

    __slots__ = ("_asked", "_late", "_loop", "_seconds", "_task", "_timer")

    def __init__(self, seconds: float, loop: asyncio.AbstractEventLoop) -> None:
        self._seconds, self._loop, self._late = seconds, loop, False

    def __enter__(self) -> None:
        task = asyncio.current_task(self._loop)
        assert task is not None
        self._task, self._asked = task, task.cancelling()
        self._timer = self._loop.call_later(self._seconds, self._over)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._timer.cancel()
        if self._late and self._task.uncancel() <= self._asked and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def _over(self) -> None:
        self._late = True
        self._task.cancel()
