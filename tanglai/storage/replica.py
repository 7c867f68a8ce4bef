"""In charge of what one worker knows of the platform: the catalogue, grants, and since when it is known to hold."""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from contextvars import Context
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self, TypeVar

from tanglai.catalogue.model import Grant, Snapshot, Zone
from tanglai.catalogue.rules import rule_set as known_rule_set
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.epochs import Epochs
from tanglai.storage.errors import PolicyUnavailable
from tanglai.storage.grant_cache import GrantCache
from tanglai.storage.grants import DepartmentGrants
from tanglai.storage.snapshots import DEFAULT_RULE_SET

T = TypeVar("T")
Clock = Callable[[], float]

FRESH_SECONDS = 1.0
"""How old a confirmation may be when a decision begins (authorization.md, Freshness)."""

_log = logging.getLogger(__name__)
_TIMER_SECONDS = 5.0


def steady_clock() -> float:
    """Seconds on a clock that only goes forward and, where the system has one, goes on while the machine sleeps."""
    return _STEADY()


# CLOCK_MONOTONIC stands still while a virtual machine is suspended; a worker would wake up trusting old grants.
_STEADY: Clock = (
    (lambda: time.clock_gettime(time.CLOCK_BOOTTIME)) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic
)


@dataclass(slots=True)
class Moment:
    """What a request decides by. `now`, aware: the database's clock at the last confirmation plus the time since.

    Ahead of the database's clock by at most the time that the confirmation took, never behind it.
    """

    snapshot: Snapshot
    grants_epoch: int
    now: datetime


@dataclass(frozen=True, slots=True)
class _Confirmed:
    began: float  # on the injected clock, before the statement was sent
    now: datetime  # of the database, at some point after `began`
    grants: int
    snapshot: Snapshot


class Replica:
    """One worker's knowledge. Safe for concurrent use within one event loop; `clock` gives seconds, steadily.

    INVARIANT: a change committed before a confirmation began is seen by every decision after that confirmation, and no
    request decides by a confirmation that began `fresh` seconds or more before the request came. Notifications and the
    timer only make changes known earlier.

    The rule set is the one that is in force in `zone` by the database's clock, `rule_set` where none was recorded; it
    belongs to what a confirmation tells, and the snapshot carries it.
    """

    def __init__(
        self,
        database: PlatformDatabase,
        zone: Zone,
        *,
        rule_set: str = DEFAULT_RULE_SET,
        clock: Clock = steady_clock,
        fresh: float = FRESH_SECONDS,
        timer: float = _TIMER_SECONDS,
        max_grants: int = 200_000,
    ) -> None:
        self._database = database
        self._zone = zone
        self._rule_set = rule_set
        self._clock = clock
        self._fresh = fresh
        self._timer = timer
        self._confirmed: _Confirmed | None = None
        self._confirming: asyncio.Task[_Confirmed | Exception] | None = None
        self._cache = GrantCache(max_grants)
        self._loading: dict[tuple[str, int], asyncio.Task[DepartmentGrants | Exception]] = {}
        self._stale = asyncio.Event()
        self._running: AsyncExitStack | None = None
        self._watchers: list[Callable[[Snapshot], None]] = []
        self._preparations: list[Callable[[Snapshot], Awaitable[None]]] = []
        self._closed = False
        self._doubted = -math.inf

    async def start(self) -> None:
        """Load the catalogue and begin to follow changes. Raises PolicyUnavailable; may then be called again."""
        await self.confirm()
        if self._running is None:
            running = AsyncExitStack()
            await running.enter_async_context(self._database.listening(lambda _: self._stale.set()))
            follower = _task(self._follow(), "tanglai-follow")
            running.push_async_callback(_end, follower)
            self._running = running

    async def close(self) -> None:
        """Ends following and what is being loaded; whoever waits gets PolicyUnavailable."""
        self._closed = True
        if self._running is not None:
            await self._running.aclose()
            self._running = None
        for task in [self._confirming, *self._loading.values()]:
            if task is not None:
                await _end(task)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def watch(self, seen: Callable[[Snapshot], None]) -> None:
        """`seen` is called with each new snapshot once requests get it; on the event loop, so it returns at once."""
        self._watchers.append(seen)

    def prepare(self, preparation: Callable[[Snapshot], Awaitable[None]]) -> None:
        """`preparation` is awaited with each new snapshot before requests get it.

        Meanwhile they go on with the former one, as long as what confirmed it is fresh, and only then wait.
        """
        self._preparations.append(preparation)

    async def confirm(self) -> Moment:
        """What holds now, for one request.

        At once where the last confirmation began less than `fresh` seconds before this call; otherwise one statement,
        shared by all who wait for it, and the reading of a newer catalogue. Cancelling a caller cancels nothing for
        others. Raises PolicyUnavailable, within about 3 s, where the database cannot be asked.
        """
        confirmed = self._confirmed_at(came := self._clock())
        while confirmed is None:
            # One that is under way may have begun too early for this request; then it is asked again.
            await self._confirm_shared()
            confirmed = self._confirmed_at(came)
        passed = timedelta(seconds=self._clock() - confirmed.began)
        return Moment(confirmed.snapshot, confirmed.grants, confirmed.now + passed)

    async def snapshot(self) -> Snapshot:
        """The catalogue alone, confirmed as by `confirm`."""
        confirmed = self._confirmed_at(self._clock())
        return confirmed.snapshot if confirmed is not None else (await self.confirm()).snapshot

    def _confirmed_at(self, came: float) -> "_Confirmed | None":
        """The last confirmation, where a request that came at `came` may be decided by it."""
        confirmed = self._confirmed
        if confirmed is None or confirmed.began <= came - self._fresh or confirmed.began < self._doubted:
            return None
        return confirmed

    def doubt(self) -> None:
        """Decide nothing more by what is known now: this worker has just changed something itself."""
        self._doubted = self._clock()

    async def grants(self, department: str, snapshot: Snapshot | None = None) -> tuple[Grant, ...]:
        """All grants of the requester with credit code `department`, as of the last confirmation or later.

        Row scopes are read against `snapshot`, which a request takes from its Moment; None: the newest. The same tuple
        is returned as long as nothing changed. Raises PolicyUnavailable.
        """
        return (await self.department_grants(department, snapshot)).grants

    async def department_grants(self, department: str, snapshot: Snapshot | None = None) -> DepartmentGrants:
        """As `grants`, with the requester's own epoch, which changes only with that requester's grants."""
        if self._confirmed is None:
            await self.confirm()
        while True:
            assert self._confirmed is not None
            catalogue = snapshot or self._confirmed.snapshot
            held = self._cache.get(department, catalogue.resources)
            if held is not None:
                return held
            loaded = await self._load_shared(department, catalogue)
            if self._cache.holds(loaded):
                return loaded

    async def _confirm_shared(self) -> None:
        if self._closed:
            raise PolicyUnavailable("this worker is shutting down")
        if self._confirming is None or self._confirming.done():
            self._confirming = _task(_caught(self._confirm()), "tanglai-confirm")
        await _joined(self._confirming)

    async def _confirm(self) -> _Confirmed:
        before = self._confirmed
        began = self._clock()
        epochs = await self._database.confirm(before.grants if before else None)
        snapshot = before.snapshot if before else None
        rules = self._rules_of(epochs)
        if snapshot is None or epochs.catalogue != snapshot.number or rules != snapshot.rule_set:
            snapshot = await self._database.load_snapshot(self._zone, rule_set=rules, previous=snapshot)
            for preparation in self._preparations:
                await preparation(snapshot)
        if before is not None and (epochs.grants < before.grants or epochs.catalogue < before.snapshot.number):
            _log.error("the platform database went back in time; everything is read anew")
            self._cache.forget()
        self._cache.changed(epochs.changed)
        self._confirmed = confirmed = _Confirmed(began, epochs.now, epochs.grants, snapshot)
        if before is None or before.snapshot is not snapshot:
            self._tell(snapshot)
        return confirmed

    def _rules_of(self, epochs: Epochs) -> str:
        """The rule set in force. Raises ValueError for one that this program does not have: nothing is decided then."""
        recorded = epochs.rule_sets.get(self._zone)
        return known_rule_set(recorded).id if recorded is not None else self._rule_set

    def _tell(self, snapshot: Snapshot) -> None:
        for seen in self._watchers:
            try:
                seen(snapshot)
            except Exception:
                _log.exception("a watcher of snapshots failed")

    async def _load_shared(self, department: str, snapshot: Snapshot) -> DepartmentGrants:
        if self._closed:
            raise PolicyUnavailable("this worker is shutting down")
        key = (department, snapshot.number)
        task = self._loading.get(key)
        if task is None:
            task = self._loading[key] = _task(_caught(self._load(department, snapshot)), "tanglai-grants")
            task.add_done_callback(lambda _: self._loading.pop(key, None))
        return await _joined(task)

    async def _load(self, department: str, snapshot: Snapshot) -> DepartmentGrants:
        while True:
            past = self._cache.past
            loaded = await self._database.load_department(department, snapshot.resources)
            if past == self._cache.past:
                break
        # Those of a request that still has an older catalogue are not kept.
        if self._confirmed is not None and snapshot is self._confirmed.snapshot:
            self._cache.put(loaded)
        return loaded

    async def _follow(self) -> None:
        healthy = True
        while True:
            try:
                async with asyncio.timeout(self._timer):
                    await self._stale.wait()
            except TimeoutError:
                pass
            self._stale.clear()
            try:
                # What is under way may have begun before the notification.
                if self._confirming is not None and not self._confirming.done():
                    await _joined(self._confirming)
                await self._confirm_shared()
                healthy = True
            except PolicyUnavailable as error:
                if healthy:
                    _log.warning("the platform database cannot be asked: %r", error.__cause__)
                healthy = False


async def _caught(work: Coroutine[Any, Any, T]) -> T | Exception:
    try:
        return await work
    except PolicyUnavailable as error:
        return error
    except Exception as error:
        _log.exception("the platform's state cannot be read")
        return error


async def _joined(task: "asyncio.Task[T | Exception]") -> T:
    """The result of shared work; cancelling the wait leaves the work alone.

    INVARIANT: whatever went wrong, PolicyUnavailable is raised, so that nobody decides by what may no longer hold.
    """
    await asyncio.wait((task,))
    if task.cancelled():
        raise PolicyUnavailable("this worker is shutting down")
    result = task.result()
    if isinstance(result, Exception):
        raise PolicyUnavailable from result
    return result


def _task(work: Coroutine[Any, Any, T], name: str) -> "asyncio.Task[T]":
    # In an empty context: the work is not the first caller's alone, nor is what it logs.
    return asyncio.get_running_loop().create_task(work, name=name, context=Context())


async def _end(task: "asyncio.Task[Any]") -> None:
    task.cancel()
    await asyncio.wait((task,))
