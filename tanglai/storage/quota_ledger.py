"""In charge of one worker's part of the quotas: taken from the platform database in blocks, spent in memory.

reservation = ledger.reservation(day)
short = await reservation.cover({"G-1": Need(quota, Counts(rows=50, requests=1))})
...                                         # what is not short may be asked of the sources
reservation.settle({"G-1": Spent(rows=7)})  # always, also after a failure
"""

import asyncio
import hmac
import logging
from collections.abc import Collection, Coroutine, Mapping, Sequence
from contextlib import suppress
from contextvars import Context
from datetime import date
from math import inf
from time import monotonic
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self, TypeVar

from tanglai.catalogue.model import Quota
from tanglai.catalogue.quotas import Counts
from tanglai.storage.errors import PolicyUnavailable

T = TypeVar("T")
_log = logging.getLogger(__name__)

AHEAD = 128
"""A block covers at most so many operations like the one that takes it,"""
SHARE = 16
"""and at most this part of what is left, so that workers do not hold much from each other when little is left."""
IDLE_SECONDS = 1.0
SOON_SECONDS = 0.05
FORGET_SECONDS = 60.0
_CLOSE_SECONDS = 5.0
_TICK_SECONDS = 0.002  # so much too early a timer may be
_HASH_BYTES = 16
_READINGS = 4  # of what is used, until nothing moved meanwhile
_TAKEN, _SHORT, _AGAIN = "taken", "short", "again"


class QuotaStore(Protocol):
    """Where all workers take from; `PlatformDatabase` is one. All raise PolicyUnavailable."""

    async def take_quota(self, grant: str, day: date, wanted: Counts, quota: Quota) -> Counts | None:
        """Takes `wanted` and tells what is taken with it; None, and nothing taken, where `quota` does not cover it."""

    async def return_quota(self, returns: Sequence[tuple[str, date, Counts]]) -> None:
        """Gives back what was taken: grant, day, counts."""

    async def count_subjects(self, grant: str, day: date, subjects: Collection[bytes]) -> int:
        """How many of `subjects` are new on that day."""

    async def quota_key(self, day: date) -> bytes:
        """The secret under which subjects of that day are hashed."""

    async def used_quotas(self, grants: Sequence[str], day: date) -> Mapping[str, Counts]:
        """What is taken, by grant."""

    async def forget_subjects(self) -> int:
        """Deletes the subjects of former days."""


class Need(NamedTuple):
    """The most that one operation can use of a grant. Only what `quota` bounds counts."""

    quota: Quota
    counts: Counts


class Spent(NamedTuple):
    """What an operation delivered under a grant.

    `subjects` name those whom the rows were about, `unnamed` counts rows of which nobody can tell: each is taken for
    somebody new. Both matter where the quota bounds subjects.
    """

    rows: int = 0
    subjects: Collection[str] = ()
    unnamed: int = 0


_NOTHING = Spent()


class QuotaLedger:
    """One worker's blocks of all quotas. Safe for concurrent use within one event loop.

    INVARIANT: what the workers deliver under a grant in a day never exceeds its quota. Everything is taken in the
    database before it is used and given back at most once, after it is known not to be; a crashed worker's blocks count
    as used. A block that nobody used for `idle` seconds goes back.
    """

    def __init__(self, store: QuotaStore, *, idle: float = IDLE_SECONDS, soon: float = SOON_SECONDS) -> None:
        self.store = store
        self.idle = idle
        self.soon = soon
        self._blocks: dict[str, _Block] = {}
        self._keys: dict[date, bytes] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._keeper: asyncio.Task[None] | None = None
        self.closed = False

    async def __aenter__(self) -> Self:
        """Also deletes the subjects of former days from now on."""
        self._keeper = asyncio.create_task(self._forget(), name="tanglai-quotas")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Gives back every block; what cannot be given back in 5 s counts as used."""
        self.closed = True
        if self._keeper is not None:
            self._keeper.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                while self._tasks:
                    await asyncio.gather(*self._tasks, return_exceptions=True)
                returns = [(b.grant, b.day, spare) for b in self._blocks.values() if (spare := b.empty())]
                if returns:
                    await self._give_back(returns)

    def reservation(self, day: date) -> "Reservation":
        """A reservation for one operation, which `day` of Asia/Shanghai counts."""
        return Reservation(self, day)

    async def used(self, grants: Sequence[str], day: date) -> dict[str, Counts]:
        """What of each grant is delivered or reserved today, as far as known: other workers' blocks count as used.

        What is on its way from or to the store while it is asked is waited for, a few times; then it counts as used.
        """
        used: dict[str, Counts] = {}
        left = list(grants)
        for _ in range(_READINGS):
            before = {grant: block for grant in left if (block := self._block_of(grant, day)) is not None}
            for block in before.values():
                await block.rest()
            marks = {grant: (block.mark(), block.spare) for grant, block in before.items()}
            taken = await self.store.used_quotas(left, day)
            moved: list[str] = []
            for grant in left:
                used[grant] = taken.get(grant, Counts())
                block = self._block_of(grant, day)
                if block is None and grant not in before:
                    continue
                if block is not None and block is before.get(grant):
                    mark, spare = marks[grant]
                    used[grant] -= spare.least(block.spare)  # what came since was not taken when the store told
                    if block.mark() == mark is not None:
                        continue
                moved.append(grant)
            if not moved:
                break
            left = moved
        return used

    def _block_of(self, grant: str, day: date) -> "_Block | None":
        block = self._blocks.get(grant)
        return block if block is not None and block.day == day else None

    def block(self, grant: str, quota: Quota, day: date) -> "_Block":
        """The block of a grant's day. One that was taken under another quota goes back. Raises PolicyUnavailable."""
        if self.closed:
            raise PolicyUnavailable("this worker is shutting down")
        block = self._blocks.get(grant)
        if block is None or block.day != day or (block.quota is not quota and block.quota != quota):
            former, block = block, _Block(self, grant, quota, day)
            if former is not None:
                block.returning = former.returning
                former.retire()
            self._blocks[grant] = block
        return block

    def forget_block(self, block: "_Block") -> None:
        if self._blocks.get(block.grant) is block:
            del self._blocks[block.grant]

    def send_back(self, block: "_Block", counts: Counts) -> "asyncio.Task[None]":
        """Gives `counts` of `block` back."""
        return self.spawn(self._give_back([(block.grant, block.day, counts)]))

    async def _give_back(self, returns: Sequence[tuple[str, date, Counts]]) -> None:
        # INVARIANT: not tried again, for the first try may have arrived.
        try:
            await self.store.return_quota(returns)
        except Exception as error:
            grants = ", ".join(grant for grant, _, _ in returns)
            _log.warning("blocks of grants %s could not be given back and count as used: %s", grants, error)

    def count(self, block: "_Block", reserved: int, spent: Spent) -> None:
        """Counts whom an operation was about, and gives back what it reserved for more of them."""
        self.spawn(self._count(block, reserved, spent))

    async def _count(self, block: "_Block", reserved: int, spent: Spent) -> None:
        new = reserved
        try:
            new = spent.unnamed + await self._new(block.grant, block.day, spent.subjects)
        except Exception as error:
            _log.warning("subjects of grant %s could not be counted and count as new: %s", block.grant, error)
        finally:
            block.put(0, 0, max(0, reserved - new))
            block.users -= 1

    async def _new(self, grant: str, day: date, subjects: Collection[str]) -> int:
        """How many of `subjects` are new on that day; afterwards none of them is."""
        key = await self._key(day)
        prefix = f"{grant}\0"
        hashes = {hmac.digest(key, (prefix + name).encode(), "sha256")[:_HASH_BYTES] for name in subjects}
        return await self.store.count_subjects(grant, day, hashes)

    async def new_subjects(self, grant: str, day: date, subjects: Collection[str]) -> int:
        """As many of `subjects` as are new on that day, all of them where nobody can tell."""
        try:
            return await self._new(grant, day, subjects)
        except Exception as error:
            _log.warning("subjects of grant %s could not be counted and count as new: %s", grant, error)
            return len(subjects)

    async def _key(self, day: date) -> bytes:
        key = self._keys.get(day)
        if key is None:
            key = await self.store.quota_key(day)
            self._keys = {known: secret for known, secret in self._keys.items() if abs((day - known).days) <= 1}
            self._keys[day] = key
        return key

    def spawn(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """A task that outlives the request; `close` waits for it."""
        task = asyncio.get_running_loop().create_task(work, name="tanglai-quota", context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _forget(self) -> None:
        while True:
            try:
                await self.store.forget_subjects()
            except Exception as error:
                _log.warning("subjects of former days cannot be deleted at the moment: %s", error)
            await asyncio.sleep(FORGET_SECONDS)


class _Block:
    """What this worker holds of one grant's day: `spare` is free, the rest is held by `users` reservations.

    Every request takes and puts here: `rows`, `requests` and `subjects` are what is spare, the three of `most` what of
    each may be spare before there is too much of it.
    """

    __slots__ = (
        "day",
        "grant",
        "leasing",
        "ledger",
        "lock",
        "most_requests",
        "most_rows",
        "most_subjects",
        "need",
        "quota",
        "requests",
        "returned",
        "returning",
        "rows",
        "sent",
        "subjects",
        "taken",
        "timer",
        "touched",
        "users",
        "wakes",
    )

    def __init__(self, ledger: QuotaLedger, grant: str, quota: Quota, day: date) -> None:
        self.ledger = ledger
        self.grant = grant
        self.quota = quota
        self.day = day
        self.rows = self.requests = self.subjects = 0
        self.most_rows = self.most_requests = self.most_subjects = 0
        self.taken: Counts | None = None  # by all workers, when this one took last
        self.need = Counts()
        self.users = 0
        self.returning: set[asyncio.Task[None]] = set()
        self.returned = 0
        self.leasing: set[asyncio.Task[Any]] = set()
        self.sent = 0  # statements, of either kind
        self.lock = asyncio.Lock()
        self.timer: asyncio.TimerHandle | None = None
        self.wakes = inf  # when `timer` is due
        self.touched = 0.0

    @property
    def spare(self) -> Counts:
        return Counts(self.rows, self.requests, self.subjects)

    @spare.setter
    def spare(self, counts: Counts) -> None:
        self.rows, self.requests, self.subjects = counts.rows, counts.requests, counts.subjects

    def take(self, rows: int, requests: int, subjects: int) -> bool:
        """Takes from what is spare, without a statement."""
        if self.rows < rows or self.requests < requests or self.subjects < subjects:
            return False
        self.rows -= rows
        self.requests -= requests
        self.subjects -= subjects
        self.users += 1
        return True

    def put(self, rows: int, requests: int, subjects: int) -> None:
        """Takes back what an operation did not use; what is too much to keep goes back soon."""
        self.rows += rows
        self.requests += requests
        self.subjects += subjects
        ledger = self.ledger
        if ledger.closed:
            return
        self.touched = now = monotonic()
        delay = ledger.soon if self._too_much() else ledger.idle
        if self.wakes > now + delay:
            self._arm(now, delay)

    async def rest(self) -> None:
        """Waits for the statements that are on their way."""
        if moving := self.returning | self.leasing:
            await asyncio.wait(moving)

    def mark(self) -> int | None:
        """Another one after every statement, None while one is on its way: between two that are equal nothing moved."""
        return None if self.returning or self.leasing else self.sent

    async def draw(self, wanted: Counts) -> bool:
        """As `take`, with a statement where that does not do. Cancelling it loses nothing. Raises PolicyUnavailable."""
        former = self.need
        self.need = Counts(
            max(wanted.rows, former.rows // 2),
            max(wanted.requests, former.requests // 2),
            max(wanted.subjects, former.subjects // 2),
        )
        self._weigh()
        while True:
            returned = self.returned
            async with self.lock:
                if self.take(wanted.rows, wanted.requests, wanted.subjects):
                    return True
                lease = self._sent(self.ledger.spawn(self._lease(wanted)), self.leasing)
                try:
                    done = await asyncio.shield(lease)
                except asyncio.CancelledError:
                    lease.add_done_callback(lambda task: self._abandoned(task, wanted))
                    raise
            if isinstance(done, PolicyUnavailable):
                raise done
            if done is _TAKEN:
                return True
            if done is _SHORT and self.take(wanted.rows, wanted.requests, wanted.subjects):
                return True  # another put back meanwhile
            if done is not _SHORT:
                continue
            # What is on its way back may be what is missing, and what came back since the store was asked.
            if self.returning:
                await asyncio.wait(self.returning)
            elif self.returned == returned:
                return False

    def _abandoned(self, lease: "asyncio.Task[str | PolicyUnavailable]", wanted: Counts) -> None:
        """Whoever waited for `lease` is gone."""
        if not lease.cancelled() and lease.result() is _TAKEN:
            self.users -= 1
            self.put(wanted.rows, wanted.requests, wanted.subjects)

    async def _lease(self, wanted: Counts) -> str | PolicyUnavailable:
        """Takes `wanted` with a statement, and makes more spare if there is plenty."""
        missing = wanted - self.spare
        if not missing:
            return _AGAIN
        granted = missing
        if self.taken is not None:
            granted += self._share(missing) - (self.spare - wanted)
        try:
            taken = await self.ledger.store.take_quota(self.grant, self.day, granted, self.quota)
            if taken is None and granted != missing:
                granted = missing
                taken = await self.ledger.store.take_quota(self.grant, self.day, missing, self.quota)
        except PolicyUnavailable as error:
            return error
        except Exception as error:
            # INVARIANT: whatever went wrong, nothing is answered that might not be counted.
            _log.exception("the quota of grant %s cannot be taken from", self.grant)
            unavailable = PolicyUnavailable()
            unavailable.__cause__ = error
            return unavailable
        if taken is None:
            return _SHORT
        self.taken = taken
        self._weigh()
        self.spare += granted
        # What was spare may have been taken meanwhile.
        done = _TAKEN if self.take(wanted.rows, wanted.requests, wanted.subjects) else _AGAIN
        self.put(0, 0, 0)
        return done

    def _weigh(self) -> None:
        """Tells anew how much may be spare: after every change of `taken` and `need`."""
        taken, quota, need = self.taken, self.quota, self.need
        if taken is not None:
            self.most_rows = _most(quota.rows, taken.rows, need.rows)
            self.most_requests = _most(quota.requests, taken.requests, need.requests)
            self.most_subjects = _most(quota.subjects, taken.subjects, need.subjects)

    def _too_much(self) -> bool:
        """Whether there is an `_excess`."""
        return self.rows > self.most_rows or self.requests > self.most_requests or self.subjects > self.most_subjects

    def _excess(self) -> Counts:
        """What is spare beyond what may lie here unused."""
        return self.spare if self.taken is None else self.spare - self._share(Counts())

    def _share(self, missing: Counts) -> Counts:
        """What may lie here unused: a part of what nobody has used once `missing` is taken, as far as known."""
        assert self.taken is not None
        taken, quota, need = self.taken - self.spare + missing, self.quota, self.need
        return Counts(
            _part(quota.rows, taken.rows, need.rows),
            _part(quota.requests, taken.requests, need.requests),
            _part(quota.subjects, taken.subjects, need.subjects),
        )

    def _arm(self, now: float, delay: float) -> None:
        if self.timer is not None:
            self.timer.cancel()
        self.timer = asyncio.get_running_loop().call_later(delay, self._due)
        self.wakes = now + delay

    def _due(self) -> None:
        self.timer, self.wakes = None, inf
        now = monotonic()
        left = self.touched + self.ledger.idle - now
        if left < _TICK_SECONDS:
            left = 0.0
        back = self._excess() if left > 0 else self.spare
        if back:
            self._send_back(back)
        if self.spare:
            self._arm(now, left)
        elif left <= 0 and not (self.users or self.lock.locked() or self.returning):
            self.ledger.forget_block(self)
        elif not self.users:
            self._arm(now, max(left, self.ledger.idle))

    def retire(self) -> None:
        """Gives back what is spare: the day or the quota is another."""
        if self.spare:
            self._send_back(self.spare)

    def empty(self) -> Counts:
        """What is spare, taken out to be given back."""
        if self.timer is not None:
            self.timer.cancel()
        spare, self.spare = self.spare, Counts()
        return spare

    def _send_back(self, counts: Counts) -> None:
        self.spare -= counts
        if self.taken is not None:
            self.taken -= counts
            self._weigh()
        self._sent(self.ledger.send_back(self, counts), self.returning).add_done_callback(self._is_back)

    def _sent(self, task: "asyncio.Task[T]", among: "set[asyncio.Task[T]]") -> "asyncio.Task[T]":
        self.sent += 1
        among.add(task)
        task.add_done_callback(among.discard)
        return task

    def _is_back(self, task: "asyncio.Task[None]") -> None:
        self.returned += 1


def _part(limit: int | None, taken: int, need: int) -> int:
    return 0 if limit is None else max(0, min(AHEAD * need, (limit - taken) // SHARE))


def _most(limit: int | None, taken: int, need: int) -> int:
    """The most that is a `_part` of itself and what nobody has taken: s <= (free + s) // SHARE."""
    return 0 if limit is None else max(0, min(AHEAD * need, (limit - taken) // (SHARE - 1)))


class Reservation:
    """What one operation holds of the quotas of its grants."""

    __slots__ = ("_day", "_held", "_ledger")

    def __init__(self, ledger: QuotaLedger, day: date) -> None:
        self._ledger = ledger
        self._day = day
        self._held: dict[str, tuple[_Block, int, int, int]] = {}  # rows, requests, subjects

    async def cover(self, needs: Mapping[str, Need]) -> frozenset[str]:
        """Holds exactly what `needs` says, by grant, and returns the grants that are short; of those it holds nothing.

        A statement is made only where the worker's block does not do. Raises PolicyUnavailable.
        """
        if self._held:
            self.settle()
        missing: list[tuple[str, _Block, Counts]] = []
        for grant, (quota, counts) in needs.items():
            block = self._ledger.block(grant, quota, self._day)
            rows = 0 if quota.rows is None else counts.rows
            requests = 0 if quota.requests is None else counts.requests
            subjects = 0 if quota.subjects is None else counts.subjects
            if block.take(rows, requests, subjects):
                self._held[grant] = (block, rows, requests, subjects)
            else:
                missing.append((grant, block, Counts(rows, requests, subjects)))
        if not missing:
            return frozenset()
        # One at a time would add up; whatever fails, all are done before anything is decided.
        results = await asyncio.gather(*(self._draw(*one) for one in missing), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return frozenset(grant for grant, _, _ in missing if grant not in self._held)

    async def _draw(self, grant: str, block: _Block, wanted: Counts) -> None:
        if await block.draw(wanted):
            self._held[grant] = (block, wanted.rows, wanted.requests, wanted.subjects)

    async def new_subjects(self, grant: str, subjects: Collection[str]) -> int:
        """Counts `subjects` of an operation that still runs: how many are new today, to be spent as `unnamed`."""
        return await self._ledger.new_subjects(grant, self._day, subjects)

    def settle(self, spent: Mapping[str, Spent] | None = None) -> None:
        """Gives back what was held and not spent; the request itself counts unless `spent` is None: nothing was run.

        Returns at once; subjects are counted in the background. Afterwards nothing is held.
        """
        held = self._held
        for grant in list(held):
            block, rows, requests, subjects = held.pop(grant)
            if spent is None:
                block.users -= 1
                block.put(rows, requests, subjects)
                continue
            delivered, about, unnamed = used = spent.get(grant, _NOTHING)
            if delivered > rows:
                if block.quota.rows is not None:
                    _log.error(
                        "an operation delivered %d rows under grant %s, reserved were %d", delivered, grant, rows
                    )
                delivered = rows
            if subjects and (about or unnamed):
                self._ledger.count(block, subjects, used)
                subjects = 0
            else:
                block.users -= 1
            block.put(rows - delivered, requests - 1 if requests else 0, subjects)
