"""In charge of how many calls a source takes at once, how many wait, and how it is spared while it does not answer.

A call that may begin at once costs a comparison and two additions: nothing is awaited, and no task is made.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from connectors.lines import CALLER, Lines, Waiter
from connectors.loops import KeptLoop
from connectors.protocol import SourceBusy, SourceTimeout, SourceUnavailable

WAITING = 128
"""Callers that may wait for all sources of a worker together, where nothing else is said."""

FAILURES = 5
"""A source that leaves so many calls in a row unanswered is taken for down."""

PAUSE_SECONDS = 1.0
"""While a source is down, one call is let through each time that so long a pause is over."""

RETRY_SECONDS = 5
"""Meanwhile the others are told to come again after so long: there is no need for each to try each second."""


class Room:
    """Where callers wait, shared by the gates of a worker: `size` at most.

    Once it is full, the source that most wait for gives way to one that fewer wait for. So sources that hang, however
    many, take neither the room nor the operations of the worker from the others.
    """

    __slots__ = ("_gates", "size")

    def __init__(self, size: int = WAITING) -> None:
        self.size = size
        self._gates: set[Gate] = set()

    def add(self, gate: "Gate") -> None:
        self._gates.add(gate)

    def remove(self, gate: "Gate") -> None:
        self._gates.discard(gate)

    @property
    def waiting(self) -> int:
        """How many callers wait."""
        return sum([gate.waiting for gate in self._gates])

    def fullest(self) -> "Gate":
        """The gate that most wait at."""
        return max(self._gates, key=lambda gate: gate.waiting)


class Gate:
    """What calls to one source go through: at most `most` at once, `waiting` callers that wait for their turn.

    A call adds 1 to `running` where that is below `allowed`, and otherwise awaits `turn`. However it ends, it tells
    `answered` or `missed` where it knows, then calls `leave`.
    """

    __slots__ = (
        "_due",
        "_key",
        "_lines",
        "_loop",
        "_most",
        "_most_waiting",
        "_room",
        "_timer",
        "allowed",
        "failures",
        "running",
    )

    def __init__(self, key: str, most: int, waiting: int | None, room: Room) -> None:
        self._key = key
        self._most = most
        self._most_waiting = room.size if waiting is None else waiting
        self._room = room
        room.add(self)
        self._lines = Lines()
        self._loop = KeptLoop()
        self._timer: asyncio.TimerHandle | None = None
        self._due = False
        self.allowed = most
        """How many may run now: none by themselves while the source is down."""
        self.running = 0
        self.failures = 0
        """Calls in a row that the source left unanswered."""

    @property
    def waiting(self) -> int:
        """How many callers wait."""
        return self._lines.callers

    @property
    def idle(self) -> bool:
        """Whether no call runs or waits."""
        return not self.running and not self._lines

    async def turn(self, timeout: float) -> float:
        """Waits until the call may begin; how much of `timeout` is left then, in seconds.

        Raises SourceBusy where more wait than may, SourceUnavailable while the source is down, SourceTimeout.
        """
        waiter = self._line_up()
        if waiter is None:
            return timeout
        loop = self._loop.get()
        until = loop.time() + timeout
        timer = loop.call_at(until, self._too_late, waiter)
        try:
            await waiter.turn
        except asyncio.CancelledError:
            self._lines.remove(waiter)
            if not waiter.turn.cancelled() and waiter.turn.exception() is None:
                self.leave()  # the turn that had just come goes to the next
            raise
        finally:
            timer.cancel()
            del waiter  # an error in it leads to this frame: no cycle for the collector
        return max(until - loop.time(), 0.001)

    def leave(self) -> None:
        """The call is over."""
        self.running -= 1
        if self._lines:
            self._admit()

    def answered(self) -> None:
        """The source answered a call, be it with an error."""
        self.failures = 0
        if not self.allowed:
            self._stop_trying()
            self.allowed = self._most
            self._admit()

    def missed(self, *, refused: bool) -> None:
        """The source left a call unanswered; `refused`: it could not be reached, rather than took too long."""
        self.failures += 1
        if self.allowed and self.failures >= FAILURES:
            self.allowed = 0
            self._try_later()
        if refused and not self.allowed:
            self._fail(list(self._lines))

    @asynccontextmanager
    async def passing(self, timeout: float) -> AsyncIterator[float]:
        """For calls that are no part of an answer: inside, the call has its turn, and so many seconds are left."""
        if self.running < self.allowed:
            self.running += 1
            left = timeout
        else:
            left = await self.turn(timeout)
        try:
            yield left
        finally:
            self.leave()

    def close(self) -> None:
        """Whoever waits, waits no longer."""
        self._stop_trying()
        self._fail(list(self._lines))
        self._room.remove(self)

    def _line_up(self) -> Waiter | None:
        # None: the call may begin.
        if self._due and self.running < self._most:
            self._due = False
            self._try_later()
            self.running += 1
            return None
        waiter = Waiter(CALLER.get(), self._loop.get())
        if not self._lines.waits(waiter):
            line = self._lines.in_line(waiter.line)
            if line and not self.allowed:
                raise self._down()
            if self.waiting >= self._most_waiting:
                self._give_way(line)
            if self._room.waiting >= self._room.size:
                fullest = self._room.fullest()
                if fullest.waiting > self.waiting + 1:
                    fullest._give_way(-1)
                else:
                    self._give_way(line)
        self._lines.add(waiter)
        return waiter

    def _give_way(self, line: int) -> None:
        # The longest line loses its newest caller to one in whose line `line` callers wait.
        gone = self._lines.give_way(line + 1)
        if not gone:
            raise SourceBusy(self._key)
        for waiter in gone:
            _fail(waiter, SourceBusy(self._key))

    def _admit(self) -> None:
        while self._lines and self.running < self.allowed:
            self._begin()

    def _begin(self) -> None:
        waiter = self._lines.next()
        if not waiter.turn.done():  # else its caller was cancelled and is about to know
            self.running += 1
            waiter.turn.set_result(None)

    def _too_late(self, waiter: Waiter) -> None:
        self._lines.remove(waiter)
        _fail(waiter, SourceTimeout(self._key))

    def _fail(self, waiters: list[Waiter]) -> None:
        for waiter in waiters:
            self._lines.remove(waiter)
            _fail(waiter, self._down())

    def _down(self) -> SourceUnavailable:
        return SourceUnavailable(self._key, retry_after=RETRY_SECONDS)

    def _try_later(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(PAUSE_SECONDS, self._try)

    def _try(self) -> None:
        # Each line has its turn with these tries, so that one whose calls always take too long keeps nobody from it.
        if self.running >= self._most:
            self._try_later()
        elif self._lines:
            self._begin()
            self._try_later()
        else:
            self._timer, self._due = None, True

    def _stop_trying(self) -> None:
        self._due = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _fail(waiter: Waiter, error: Exception) -> None:
    if not waiter.turn.done():
        waiter.turn.set_exception(error)
