"""The gate of a source: so many calls at once, turns by lines, who gives way, and what is spared while it is down."""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from connectors import gate as gates
from connectors.gate import Gate, Room
from connectors.lines import CALLER, Caller
from connectors.protocol import (
    Arguments,
    Bounds,
    Capabilities,
    Row,
    SourceBusy,
    SourceQuery,
    SourceTimeout,
    SourceUnavailable,
    TableStructure,
)
from connectors.watched import Watched
from tanglai.catalogue.errors import TanglaiError

QUERY = SourceQuery("b", None, "resident", ())


@dataclass
class Scripted:
    """A source whose calls end when the test says so, by name of their caller."""

    bounds: Bounds
    capabilities: Capabilities = field(default_factory=lambda: Capabilities(predicates=True, nested=True))
    running: dict[str, "asyncio.Future[None]"] = field(default_factory=dict)
    begun: list[str] = field(default_factory=list)
    timeouts: list[float] = field(default_factory=list)

    async def fetch(self, query: SourceQuery, arguments: Arguments, *, timeout: float) -> list[Row]:
        name = str(arguments["name"])
        self.begun.append(name)
        self.timeouts.append(timeout)
        self.running[name] = asyncio.get_running_loop().create_future()
        try:
            await self.running[name]
        finally:
            del self.running[name]
        return [(name,)]

    async def introspect(self) -> list[TableStructure]:
        return []

    async def close(self) -> None:
        pass

    def end(self, name: str, error: Exception | None = None) -> None:
        if error is None:
            self.running[name].set_result(None)
        else:
            self.running[name].set_exception(error)


class Desk:
    """A source with its gate, and operations that call it."""

    def __init__(self, most: int = 2, waiting: int | None = None, room: Room | None = None) -> None:
        self.source = Scripted(Bounds(most, waiting))
        self.gate = Gate("b", most, waiting, room or Room(100))
        self.watched = Watched(self.source, "b", self.gate, None)
        self.calls: dict[str, asyncio.Task[list[Row]]] = {}

    async def call(self, name: str, line: str = "police", caller: Caller | None = None, timeout: float = 60) -> None:
        """Begins a call, as far as it goes."""

        async def operation() -> list[Row]:
            CALLER.set(caller or Caller(line))
            return await self.watched.fetch(QUERY, {"name": name}, timeout=timeout)

        self.calls[name] = asyncio.create_task(operation())
        await settled()

    async def end(self, name: str, error: Exception | None = None) -> None:
        self.source.end(name, error)
        await settled()

    def failure(self, name: str) -> BaseException | None:
        """Why the call is over; it must be."""
        assert self.calls[name].done(), name
        return self.calls[name].exception()


async def settled() -> None:
    for _ in range(8):
        await asyncio.sleep(0)


@asynccontextmanager
async def desk(*arguments: Any, **named: Any) -> AsyncIterator[Desk]:
    """A desk that must be as it was in the beginning once its calls are over."""
    made = Desk(*arguments, **named)
    yield made
    for task in made.calls.values():
        task.cancel()
    await asyncio.gather(*made.calls.values(), return_exceptions=True)
    assert made.gate.idle
    assert (made.gate.running, made.gate.waiting) == (0, 0)
    await made.watched.close()


async def test_a_call_that_may_begin_waits_for_nothing() -> None:
    async with desk() as d:
        steps = d.watched.fetch(QUERY, {"name": "a"}, timeout=7).__await__()
        assert next(steps) is d.source.running["a"]  # the first thing awaited is the source itself
        d.source.end("a")
        with pytest.raises(StopIteration) as over:
            next(steps)
        assert (over.value.value, d.source.timeouts) == ([("a",)], [7])


async def test_so_many_at_once_and_the_others_in_turn() -> None:
    async with desk() as d:
        for name in "abcd":
            await d.call(name)
        assert (d.source.begun, d.gate.waiting) == (["a", "b"], 2)
        await d.end("b")
        assert d.source.begun == ["a", "b", "c"]
        assert await d.calls["b"] == [("b",)]
        await d.end("a", SourceTimeout("b"))
        assert d.source.begun == ["a", "b", "c", "d"]
        assert isinstance(d.failure("a"), SourceTimeout)


async def test_lines_take_turns_whatever_their_length() -> None:
    async with desk(1) as d:
        await d.call("running")
        for name in ("p1", "p2", "p3", "p4"):
            await d.call(name, "police")
        await d.call("t1", "taxation")
        await d.call("h1", "health")
        await d.call("t2", "taxation")
        for name in ("running", "p1", "t1", "h1", "p2", "t2", "p3"):
            await d.end(name)
        assert d.source.begun == ["running", "p1", "t1", "h1", "p2", "t2", "p3", "p4"]


async def test_waiting_counts_into_the_time_of_a_call() -> None:
    async with desk(1) as d:
        await d.call("a")
        await d.call("late", timeout=0.01)
        await d.call("b", timeout=60)
        await asyncio.wait([d.calls["late"]], timeout=10)
        assert isinstance(d.failure("late"), SourceTimeout)
        await d.end("a")
        assert d.source.begun == ["a", "b"]
        assert d.source.timeouts[0] == 60
        assert d.source.timeouts[1] < 60


async def test_a_call_that_waited_for_most_of_its_time_says_nothing_of_the_source(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turn = Gate.turn

    async def late(gate: Gate, timeout: float) -> float:
        return 0.4 * await turn(gate, timeout)

    monkeypatch.setattr(Gate, "turn", late)
    async with desk(1) as d:
        await d.call("a")
        await d.call("waits")
        await d.end("a")
        await d.end("waits", SourceTimeout("b"))
        assert isinstance(d.failure("waits"), SourceTimeout)
        assert d.gate.failures == 0
        await d.call("at once")
        await d.end("at once", SourceTimeout("b"))
        assert d.gate.failures == 1


async def test_more_than_may_wait_are_refused_at_once() -> None:
    async with desk(1, 2) as d:
        for name in "abcde":
            await d.call(name)
        for name in "de":
            error = d.failure(name)
            assert isinstance(error, SourceBusy)
            assert (error.code.value, error.extensions["retryAfter"]) == ("SOURCE_UNAVAILABLE", 1)
        assert d.gate.waiting == 2
    async with desk(1, 0) as d:
        await d.call("a")
        await d.call("b")
        assert isinstance(d.failure("b"), SourceBusy)


async def test_calls_of_one_operation_count_once() -> None:
    async with desk(1, 2) as d:
        await d.call("a")
        one, other = Caller("police"), Caller("police")
        for number in range(5):
            await d.call(f"one{number}", caller=one)
        await d.call("other", caller=other)
        assert d.gate.waiting == 2
        await d.call("third")
        assert isinstance(d.failure("third"), SourceBusy)


async def test_the_longest_line_gives_way_to_a_shorter_one() -> None:
    async with desk(1, 3) as d:
        await d.call("a")
        newest = Caller("police")
        await d.call("p1")
        await d.call("p2")
        await d.call("p3", caller=newest)
        await d.call("p3 too", caller=newest)
        await d.call("t1", "taxation")
        assert isinstance(d.failure("p3"), SourceBusy)
        assert isinstance(d.failure("p3 too"), SourceBusy)
        assert d.gate.waiting == 3
        await d.call("t2", "taxation")  # as many would wait then as the others have: nothing is won
        assert isinstance(d.failure("t2"), SourceBusy)
        for name in ("a", "p1", "t1"):
            await d.end(name)
        assert d.source.begun == ["a", "p1", "t1", "p2"]


async def test_the_room_is_shared_and_the_source_that_most_wait_for_gives_way() -> None:
    room = Room(4)
    async with desk(1, room=room) as hanging, desk(1, room=room) as good:
        for name in ("h0", "h1", "h2", "h3", "h4"):
            await hanging.call(name)
        await hanging.call("h5")
        assert isinstance(hanging.failure("h5"), SourceBusy)
        for name in ("g0", "g1", "g2"):
            await good.call(name)
        assert isinstance(hanging.failure("h4"), SourceBusy)
        assert isinstance(hanging.failure("h3"), SourceBusy)
        assert (hanging.gate.waiting, good.gate.waiting, room.waiting) == (2, 2, 4)
        await good.call("g3")  # no source may have more than the other by that
        assert isinstance(good.failure("g3"), SourceBusy)
        await good.end("g0")
        assert good.source.begun == ["g0", "g1"]


async def test_who_is_cancelled_leaves_and_the_turn_goes_on() -> None:
    async with desk(1) as d:
        for name in "abcd":
            await d.call(name)
        d.calls["b"].cancel()
        await settled()
        assert d.gate.waiting == 2
        d.source.end("a")
        await asyncio.sleep(0)  # a ends, c has its turn and does not know yet
        await asyncio.sleep(0)
        d.calls["c"].cancel()
        await settled()
        assert d.source.begun in (["a", "d"], ["a", "c", "d"])
        d.calls["d"].cancel()
        await settled()
        assert d.gate.idle


async def test_the_turn_of_one_who_is_cancelled_at_that_moment_goes_to_the_next() -> None:
    async with desk(1) as d:
        for name in "abc":
            await d.call(name)
        d.gate.leave()  # b has its turn ...
        d.calls["b"].cancel()  # ... and will not take it
        await settled()
        assert d.source.begun == ["a", "c"]
        d.gate.running += 1  # what `leave` above took from a


Broken = Callable[[], TanglaiError]


def refused() -> TanglaiError:
    return SourceUnavailable("b")


def too_late() -> TanglaiError:
    return SourceTimeout("b")


@pytest.fixture
async def pauses(monkeypatch: pytest.MonkeyPatch) -> "Pauses":
    return Pauses(monkeypatch)


class Pauses:
    """Pauses between tries end when the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._due: list[tuple[asyncio.TimerHandle, Callable[[], object]]] = []
        monkeypatch.setattr(gates, "PAUSE_SECONDS", 10_000.0)
        loop = asyncio.get_running_loop()
        later = loop.call_later

        def call_later(delay: float, callback: Callable[..., object], *arguments: Any) -> asyncio.TimerHandle:
            timer = later(delay, callback, *arguments)
            if delay == gates.PAUSE_SECONDS:
                self._due.append((timer, partial(callback, *arguments)))
            return timer

        monkeypatch.setattr(loop, "call_later", call_later)

    async def over(self) -> None:
        """The pause is over, where one runs."""
        due, self._due = self._due, []
        for timer, callback in due:
            if not timer.cancelled():
                timer.cancel()
                callback()
        await settled()


async def down(d: Desk, error: Broken = refused) -> None:
    for number in range(gates.FAILURES):
        assert d.gate.allowed
        await d.call(f"f{number}")
        await d.end(f"f{number}", error())
        assert isinstance(d.failure(f"f{number}"), SourceUnavailable | SourceTimeout)
    assert not d.gate.allowed


async def test_a_source_that_leaves_calls_unanswered_is_spared(pauses: Pauses) -> None:
    async with desk() as d:
        await down(d)
        begun = len(d.source.begun)
        await d.call("waits")  # one of each line may wait to be the next that is let through
        await d.call("more")
        error = d.failure("more")
        assert isinstance(error, SourceUnavailable)
        assert error.extensions["retryAfter"] == gates.RETRY_SECONDS
        assert len(d.source.begun) == begun
        await pauses.over()
        assert d.source.begun[begun:] == ["waits"]
        await d.end("waits", refused())
        await pauses.over()
        await d.call("at once")  # nobody waited, so the next need not
        assert d.source.begun[begun:] == ["waits", "at once"]
        await d.call("again")
        await d.end("at once")  # answered: everything goes on
        assert d.gate.allowed == 2
        assert d.source.begun[begun:] == ["waits", "at once", "again"]
        await d.call("more again")
        assert d.source.begun[-1] == "more again"


async def test_an_answer_between_failures_says_that_it_is_up() -> None:
    async with desk() as d:
        for error in (None, SourceUnavailable("b", reached=True)):
            for number in range(gates.FAILURES - 1):
                await d.call(f"f{number}")
                await d.end(f"f{number}", too_late())
                assert isinstance(d.failure(f"f{number}"), SourceTimeout)
            await d.call("ok")
            await d.end("ok", error)
            assert (d.gate.failures, d.gate.allowed) == (0, 2)


async def test_who_waits_for_a_source_that_refuses_is_told_at_once(pauses: Pauses) -> None:
    async with desk(1) as d:
        for number in range(gates.FAILURES - 1):
            await d.call(f"f{number}")
            await d.end(f"f{number}", refused())
        await d.call("last")
        await d.call("waits")
        await d.end("last", refused())
        assert isinstance(d.failure("waits"), SourceUnavailable)


async def test_a_line_whose_calls_take_too_long_keeps_nobody_from_a_source(pauses: Pauses) -> None:
    """Its calls alone never end; the first of another line is let through soon, and its answer opens the gate."""
    async with desk(2) as d:
        await down(d, too_late)
        await d.call("heavy 1", "police")
        await d.call("light", "taxation")
        await pauses.over()
        await d.call("heavy 2", "police")
        await pauses.over()
        assert d.source.begun[-2:] == ["heavy 1", "light"]
        await d.end("light")
        assert d.gate.allowed == 2
        assert d.source.begun[-1] == "heavy 2"


async def test_tries_that_hang_are_no_more_than_calls_may_be(pauses: Pauses) -> None:
    async with desk(2) as d:
        await down(d, too_late)
        begun = len(d.source.begun)
        for name in ("p", "t", "h", "n"):
            await d.call(name, line=name)
            await pauses.over()
        assert d.source.begun[begun:] == ["p", "t"]
        d.calls["p"].cancel()
        await settled()
        await pauses.over()
        assert d.source.begun[begun:] == ["p", "t", "h"]


async def test_closing_ends_the_waiting() -> None:
    d = Desk(1)
    await d.call("a")
    await d.call("b")
    await d.watched.close()
    await settled()
    assert isinstance(d.failure("b"), SourceUnavailable)
    await d.end("a")
    assert d.gate.idle


@pytest.mark.parametrize("begins", [True, False])
async def test_looking_at_the_structure_takes_a_turn_too(begins: bool) -> None:
    async with desk(1) as d:
        if not begins:
            await d.call("a")
        looking: Awaitable[Any] = asyncio.ensure_future(d.watched.introspect())
        await settled()
        assert d.gate.waiting == (0 if begins else 1)
        if not begins:
            await d.end("a")
        assert await looking == []


async def test_refusals_leave_no_cycles() -> None:
    """Many at once would stop the event loop while the collector looks for them."""
    async with desk(1, 5) as d:
        await d.call("a")
        for number in range(20):
            await d.call(f"late {number}", timeout=0.01)
        await asyncio.wait([task for name, task in d.calls.items() if name != "a"], timeout=10)
        gc.collect()
        errors = [d.failure(name) for name in d.calls if name != "a"]
        assert {type(error) for error in errors} == {SourceBusy, SourceTimeout}
        gc.disable()
        try:
            errors.clear()
            d.calls = {"a": d.calls["a"]}
            await settled()
            left = [found for found in gc.get_objects() if isinstance(found, SourceBusy | SourceTimeout)]
            assert [error for error in left if error.extensions["source"] == "b"] == []
        finally:
            gc.enable()
        await d.end("a")
