"""In charge of who waits for a source: callers in lines that take turns, and who gives way when there are too many."""

import asyncio
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class Caller:
    """An operation whose calls to sources are under way. However many calls of its wait, it is one that waits.

    Callers of one `line` take turns with those of other lines as one. What a line stands for is the gateway's affair
    (it has one for each department): connectors know predicates, never principals.
    """

    line: str


CALLER: ContextVar[Caller | None] = ContextVar("tanglai-caller", default=None)
"""The operation on whose behalf sources are called; None: each call is a caller of its own, in a line of no name."""


class Waiter:
    """One call that waits; `turn` is done when it has its turn, or fails."""

    __slots__ = ("_line", "caller", "turn")

    def __init__(self, caller: Caller | None, loop: asyncio.AbstractEventLoop) -> None:
        self.caller: object = caller or self
        self.turn: asyncio.Future[None] = loop.create_future()
        self._line = caller.line if caller is not None else ""

    @property
    def line(self) -> str:
        return self._line


class _Line:
    """Calls in order of arrival, and how many of them are whose, callers in order of arrival."""

    __slots__ = ("callers", "waiters")

    def __init__(self) -> None:
        self.waiters: dict[Waiter, None] = {}
        self.callers: dict[object, int] = {}


class Lines:
    """The calls that wait for a source. Every operation takes constant time but for `give_way`."""

    __slots__ = ("_lines", "callers")

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}
        self.callers = 0
        """How many callers wait."""

    def __bool__(self) -> bool:
        return bool(self._lines)

    def __iter__(self) -> Iterator[Waiter]:
        return iter([waiter for line in self._lines.values() for waiter in line.waiters])

    def waits(self, waiter: Waiter) -> bool:
        """Whether a call of the same caller waits already."""
        line = self._lines.get(waiter.line)
        return line is not None and waiter.caller in line.callers

    def in_line(self, name: str) -> int:
        """How many callers wait in the line `name`."""
        line = self._lines.get(name)
        return len(line.callers) if line is not None else 0

    def add(self, waiter: Waiter) -> None:
        line = self._lines.get(waiter.line)
        if line is None:
            line = self._lines[waiter.line] = _Line()
        line.waiters[waiter] = None
        calls = line.callers.get(waiter.caller, 0)
        line.callers[waiter.caller] = calls + 1
        self.callers += not calls

    def remove(self, waiter: Waiter) -> None:
        """Takes out `waiter`, wherever it stands; nothing where it is out already."""
        line = self._lines.get(waiter.line)
        if line is None or waiter not in line.waiters:
            return
        del line.waiters[waiter]
        line.callers[waiter.caller] -= 1
        if not line.callers[waiter.caller]:
            del line.callers[waiter.caller]
            self.callers -= 1
        if not line.waiters:
            del self._lines[waiter.line]

    def next(self) -> Waiter:
        """Takes out the first of the line whose turn it is; that line comes last then. Raises LookupError."""
        for name, line in self._lines.items():
            waiter = next(iter(line.waiters))
            self.remove(waiter)
            if self._lines.pop(name, None) is not None:
                self._lines[name] = line
            return waiter
        raise LookupError

    def give_way(self, more_than: int = 0) -> list[Waiter]:
        """Takes out the calls of the newest caller of the longest line, where that holds more than `more_than`."""
        longest = max(self._lines.values(), key=lambda line: len(line.callers), default=None)
        if longest is None or len(longest.callers) <= more_than:
            return []
        newest = next(reversed(longest.callers))
        waiters = [waiter for waiter in longest.waiters if waiter.caller is newest]
        for waiter in waiters:
            self.remove(waiter)
        return waiters
