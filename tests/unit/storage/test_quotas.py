"""Quotas on real PostgreSQL: workers take at the same time, crash, lose their database; nobody ever gets too much."""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import asyncpg
import pytest

from tanglai.catalogue.model import Quota
from tanglai.catalogue.quotas import Counts
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.errors import PolicyUnavailable, Refused
from tanglai.storage.quota_ledger import Need, QuotaLedger, QuotaStore, Spent, _Block
from tests.cases import case
from tests.conftest import MASTER
from tests.quotas import MemoryQuotas
from tests.unit.storage.gates import Line
from tests.unit.storage.sample import change, grant, until

DAY = date(2026, 5, 6)
ROWS = Quota(rows=100)
HANG = 60


@pytest.fixture
async def store(platform: PlatformDatabase) -> PlatformDatabase:
    """The platform database with three grants."""
    await platform.publish(change())
    await platform.put_grants([grant(id) for id in ("g1", "g2", "g3")])
    return platform


@pytest.fixture
async def other(store: PlatformDatabase, url: str) -> AsyncIterator[PlatformDatabase]:
    """The same database as another process has it, with a pool of its own."""
    async with await PlatformDatabase.open(url, master_key=MASTER) as platform:
        yield platform


def rows(number: int, quota: Quota = ROWS, id: str = "g1") -> dict[str, Need]:
    """A need of one operation of at most `number` rows, each of a subject."""
    return {id: Need(quota, Counts(number, 1, number))}


async def taken(store: QuotaStore, day: date = DAY, id: str = "g1") -> Counts:
    return (await store.used_quotas([id], day)).get(id, Counts())


async def run(ledger: QuotaLedger, bound: int, delivered: int, quota: Quota = ROWS, day: date = DAY) -> int:
    """One operation; how many rows it delivered."""
    reservation = ledger.reservation(day)
    try:
        if await reservation.cover(rows(bound, quota)):
            return 0
        await asyncio.sleep(0)
        return delivered
    finally:
        reservation.settle({"g1": Spent(delivered)})


@pytest.mark.parametrize("kind", ["database", "memory"])
async def test_taking_is_all_or_nothing(store: PlatformDatabase, kind: str) -> None:
    """The store in memory, on which other tests rely, agrees with the database."""
    tried: QuotaStore = store if kind == "database" else MemoryQuotas()
    quota = Quota(rows=10, requests=3)
    assert await tried.take_quota("g1", DAY, Counts(11, 1), quota) is None
    assert await taken(tried) == Counts()
    assert await tried.take_quota("g1", DAY, Counts(10, 1), quota) == Counts(10, 1)
    assert await tried.take_quota("g1", DAY, Counts(1, 1), quota) is None
    assert await tried.take_quota("g1", DAY, Counts(0, 2), quota) == Counts(10, 3)
    assert await tried.take_quota("g1", DAY, Counts(0, 1), quota) is None
    assert await tried.take_quota("g2", DAY, Counts(7, 1), quota) == Counts(7, 1)
    assert await tried.take_quota("g1", DAY + timedelta(1), Counts(10, 1), quota) == Counts(10, 1)
    await tried.return_quota([("g1", DAY, Counts(4, 1)), ("g2", DAY, Counts(7, 0))])
    assert await tried.used_quotas(["g1", "g2", "g3"], DAY) == {"g1": Counts(6, 2), "g2": Counts(0, 1)}
    # A narrower quota takes nothing back, and stops only what adds to what it bounds.
    assert await tried.take_quota("g1", DAY, Counts(1, 1), Quota(rows=5, requests=9)) is None
    assert await tried.take_quota("g1", DAY, Counts(0, 1), Quota(rows=5, requests=9)) == Counts(6, 3)
    assert await tried.take_quota("g3", DAY, Counts(subjects=2**40), Quota(rows=1)) == Counts(subjects=2**40)
    assert await tried.count_subjects("g1", DAY, {b"a", b"b"}) == 2
    assert await tried.count_subjects("g1", DAY, {b"b", b"c"}) == 1
    assert await tried.count_subjects("g2", DAY, {b"b"}) == 1
    assert await tried.count_subjects("g1", DAY + timedelta(1), {b"b"}) == 1


async def test_there_is_no_quota_of_an_unknown_grant(store: PlatformDatabase) -> None:
    with pytest.raises(Refused):
        await store.take_quota("nobody", DAY, Counts(1), ROWS)


@case(35)
async def test_many_operations_of_two_workers_never_overshoot(store: PlatformDatabase, other: PlatformDatabase) -> None:
    dice = random.Random(35)
    quota = Quota(rows=1_000, requests=200)
    async with QuotaLedger(store) as one, QuotaLedger(other) as two:
        given: list[int] = []
        requests = 0

        async def operation(ledger: QuotaLedger) -> None:
            nonlocal requests
            await asyncio.sleep(dice.random() / 10)
            bound = dice.randint(1, 40)
            reservation = ledger.reservation(DAY)
            short = await reservation.cover(rows(bound, quota))
            # At no moment is more delivered or reserved than there is.
            assert (await taken(store)).rows <= 1_000
            if not short:
                requests += 1
                given.append(dice.choice((0, 1, bound, bound)))
                reservation.settle({"g1": Spent(given[-1])})

        await asyncio.gather(*(operation(ledger) for ledger in (one, two) for _ in range(200)))
        assert sum(given) <= 1_000
        assert requests <= 200
        assert sum(given) > 800  # and what there is can be used
    assert await taken(store) == Counts(sum(given), requests)


@case(35, twin=True)
async def test_exactly_what_there_is_can_be_used_one_after_the_other(
    store: PlatformDatabase, other: PlatformDatabase
) -> None:
    async with QuotaLedger(store, idle=0.02, soon=0.01) as one, QuotaLedger(other, idle=0.02, soon=0.01) as two:
        given = []
        for turn in range(24):
            ledger = (one, two)[turn % 2]
            given.append(await run(ledger, 10, 5))
            await until(lambda: _at_rest(one, two))
        assert given == [5] * 19 + [0] * 5  # 19 * 5 rows are gone, so that a page of 10 does not fit any more
        assert await run(one, 5, 5) == 5
        assert await run(two, 1, 1) == 0
    assert await taken(store) == Counts(rows=100)


async def _at_rest(*ledgers: QuotaLedger) -> bool:
    spare = any(block.spare for ledger in ledgers for block in ledger._blocks.values())
    return not spare and not any(ledger._tasks for ledger in ledgers)


@case(35)
async def test_what_a_crashed_worker_holds_counts_as_used(store: PlatformDatabase, other: PlatformDatabase) -> None:
    crashed, alive = QuotaLedger(store), QuotaLedger(other)
    for _ in range(5):
        assert await run(crashed, 10, 1, Quota(rows=1_000)) == 1
    assert not await crashed.reservation(DAY).cover(rows(20, Quota(rows=1_000)))
    lost = sum(block.spare.rows for block in crashed._blocks.values()) + 20
    for block in crashed._blocks.values():  # the process is gone, and its timers with it
        assert block.timer is not None
        block.timer.cancel()
    given = 0
    while delivered := await run(alive, 1, 1, Quota(rows=1_000)):
        given += delivered
    assert given + 5 + lost == 1_000
    await alive.close()
    assert (await taken(store)).rows == 1_000
    # Another day begins with everything.
    async with QuotaLedger(other) as later:
        assert await run(later, 1_000, 1, Quota(rows=1_000), DAY + timedelta(1)) == 1


async def test_an_operation_counts_for_the_day_in_which_it_began(store: PlatformDatabase) -> None:
    ledger = QuotaLedger(store)
    late = ledger.reservation(DAY)
    assert not await late.cover(rows(60))
    assert await ledger.reservation(DAY).cover(rows(60)) == {"g1"}
    early = ledger.reservation(DAY + timedelta(1))
    assert not await early.cover(rows(100))
    late.settle({"g1": Spent(50)})
    early.settle({"g1": Spent(1)})
    await until(lambda: _counted(store, DAY, 50))
    await ledger.close()
    assert await taken(store, DAY + timedelta(1)) == Counts(rows=1)


async def _counted(store: PlatformDatabase, day: date, number: int) -> bool:
    return (await taken(store, day)).rows == number


async def test_blocks_save_statements_where_there_is_plenty() -> None:
    store = MemoryQuotas()
    quota = Quota(rows=1_000_000, requests=10_000)
    async with QuotaLedger(store) as ledger:
        for _ in range(300):
            assert await run(ledger, 50, 50, quota) == 50
        assert store.statements.count("take") <= 12
        # Pages that are not filled leave their reservation for the next ones.
        before = store.statements.count("take")
        for _ in range(300):
            assert await run(ledger, 50, 0, quota) == 0
        assert store.statements.count("take") <= before + 12
    assert store.taken["g1", DAY] == Counts(300 * 50, 600)


async def test_little_is_not_held_from_others() -> None:
    store = MemoryQuotas()
    async with QuotaLedger(store, soon=0) as ledger:
        for _ in range(3):
            assert await run(ledger, 20, 1) == 1
            await until(lambda: _little(store))
    assert store.taken["g1", DAY] == Counts(rows=3)


async def _little(store: MemoryQuotas) -> bool:
    return store.taken["g1", DAY].rows <= 3 + 100 // 16


def test_there_is_too_much_exactly_where_something_goes_back() -> None:
    dice = random.Random(32)
    ledger, told = QuotaLedger(MemoryQuotas()), []
    for _ in range(5_000):
        limit = dice.choice((5, 40, 1_000))
        block = _Block(ledger, "g1", Quota(rows=limit, requests=dice.choice((None, limit))), DAY)
        taken = Counts(dice.randint(0, limit + 3), dice.randint(0, limit) if block.quota.requests else 0)
        block.taken, block.need = taken, Counts(dice.randint(0, 3), dice.randint(0, 3))
        block.spare = Counts(dice.randint(0, min(taken.rows, 99)), dice.randint(0, min(taken.requests, 9)))
        block._weigh()
        told.append(block._too_much())
        assert told[-1] == bool(block._excess())
    assert 1_000 < sum(told) < 4_500


async def test_an_idle_block_goes_back_and_is_forgotten() -> None:
    store = MemoryQuotas()
    ledger = QuotaLedger(store, idle=0.02, soon=0.01)
    quota = Quota(rows=1_000_000)
    for _ in range(5):
        await run(ledger, 10, 10, quota)
    assert store.taken["g1", DAY].rows > 50
    await until(lambda: _at_rest(ledger))
    await until(lambda: _forgotten(ledger))
    assert store.taken["g1", DAY] == Counts(rows=50)


async def _moving(ledger: QuotaLedger) -> bool:
    return bool(ledger._tasks)


async def _forgotten(ledger: QuotaLedger) -> bool:
    return not ledger._blocks


async def test_a_new_quota_holds_from_the_next_operation_on(store: PlatformDatabase) -> None:
    async with QuotaLedger(store) as ledger:
        for _ in range(4):
            assert await run(ledger, 10, 10, Quota(rows=100_000)) == 10
        assert await ledger.reservation(DAY).cover(rows(61, Quota(rows=100))) == {"g1"}
        await until(lambda: _counted(store, DAY, 40))  # the block under the former quota went back
        assert await run(ledger, 60, 60, Quota(rows=100)) == 60
        assert await run(ledger, 1, 1, Quota(rows=100)) == 0
        assert await run(ledger, 1, 1, Quota(rows=101)) == 1


async def test_what_one_worker_gave_back_it_can_take_again_at_once(store: PlatformDatabase) -> None:
    async with QuotaLedger(store, soon=0) as ledger:
        given: list[int] = []
        for _ in range(60):
            given.append(await run(ledger, 10, 5))
            if not given[-1]:
                await asyncio.sleep(0.02)  # what was given back is on its way
        assert set(given) == {0, 5}
        assert sum(given) == 95  # then a page of 10 does not fit any more


async def test_several_grants_are_covered_each_for_itself() -> None:
    store = MemoryQuotas()
    async with QuotaLedger(store) as ledger:
        reservation = ledger.reservation(DAY)
        small, large = Quota(rows=5), Quota(rows=50)
        needs = rows(10, small, "g1") | rows(10, large, "g2") | rows(10, large, "g3")
        assert await reservation.cover(needs) == {"g1"}
        assert ("g1", DAY) not in store.taken
        # What is left of the plan needs less.
        assert not await reservation.cover(rows(4, large, "g2"))
        reservation.settle({"g2": Spent(3)})
        reservation.settle({"g2": Spent(3)})  # once only
    assert store.taken["g2", DAY] == Counts(rows=3)
    assert store.taken["g3", DAY] == Counts()


async def test_what_was_never_run_costs_nothing() -> None:
    store = MemoryQuotas()
    quota = Quota(rows=10, requests=1)
    async with QuotaLedger(store) as ledger:
        refused = ledger.reservation(DAY)
        assert not await refused.cover(rows(10, quota))
        assert await ledger.reservation(DAY).cover(rows(1, quota)) == {"g1"}
        refused.settle()
        failed = ledger.reservation(DAY)
        assert not await failed.cover(rows(10, quota))
        failed.settle({})  # run, and nothing delivered
    assert store.taken["g1", DAY] == Counts(requests=1)


@pytest.mark.parametrize("turns", range(8))
async def test_a_cancelled_operation_loses_nothing(turns: int) -> None:
    store = MemoryQuotas()
    async with QuotaLedger(store) as ledger:
        reservation = ledger.reservation(DAY)
        needs = rows(60) | rows(60, ROWS, "g2")
        task = asyncio.create_task(reservation.cover(needs))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        reservation.settle()
        assert await run(ledger, 100, 100) == 100
    assert store.taken["g1", DAY] == Counts(rows=100)
    assert store.taken.get(("g2", DAY), Counts()) == Counts()


async def test_who_waits_gets_what_another_gives_back() -> None:
    store = MemoryQuotas()
    async with QuotaLedger(store) as ledger:
        assert sorted(await asyncio.gather(*(run(ledger, 100, 1) for _ in range(3)))) == [0, 0, 1]
        assert sorted(await asyncio.gather(*(run(ledger, 30, 1) for _ in range(3)))) == [1, 1, 1]


class _Late(MemoryQuotas):
    """Says late that there is too little: what it knows is old by then."""

    async def take_quota(self, grant: str, day: date, wanted: Counts, quota: Quota) -> Counts | None:
        taken = await super().take_quota(grant, day, wanted, quota)
        for _ in range(6 if taken is None else 0):
            await asyncio.sleep(0)
        return taken


@pytest.mark.parametrize("turns", range(8))
async def test_what_is_on_its_way_back_is_not_missing(turns: int) -> None:
    """However the giving back and the next taking meet: an operation alone gets all that is left."""
    async with QuotaLedger(_Late(), soon=0) as ledger:
        assert await run(ledger, 60, 1) == 1
        for _ in range(turns):
            await asyncio.sleep(0)
        assert await run(ledger, 99, 99) == 99


class _Slow(MemoryQuotas):
    """Gives back and lends after `turns` turns of the loop."""

    def __init__(self, turns: int) -> None:
        super().__init__()
        self.turns = turns

    async def take_quota(self, grant: str, day: date, wanted: Counts, quota: Quota) -> Counts | None:
        taken = await super().take_quota(grant, day, wanted, quota)
        await self._wait()
        return taken

    async def return_quota(self, returns: Sequence[tuple[str, date, Counts]]) -> None:
        await self._wait()
        await super().return_quota(returns)

    async def _wait(self) -> None:
        for _ in range(self.turns):
            await asyncio.sleep(0)


@pytest.mark.parametrize("turns", range(8))
async def test_what_is_on_its_way_is_not_told_as_used(turns: int) -> None:
    async with QuotaLedger(_Slow(turns), soon=0) as ledger:
        for delivered in range(1, 6):
            assert await run(ledger, 60, 1) == 1  # most of what it takes goes back at once
            for _ in range(delivered):
                await asyncio.sleep(0)
            assert (await ledger.used(["g1", "g2"], DAY)) == {"g1": Counts(rows=delivered), "g2": Counts()}
        taking = asyncio.create_task(run(ledger, 95, 0))
        for _ in range(turns):
            await asyncio.sleep(0)
        assert (await ledger.used(["g1"], DAY))["g1"] in (Counts(rows=5), Counts(rows=100))  # held, or not
        assert await taking == 0
        assert await ledger.used(["g1"], DAY) == {"g1": Counts(rows=5)}


async def test_what_never_rests_is_told_as_used() -> None:
    """A block that takes more whenever the store is asked: what came after its answer is not taken off."""
    store = MemoryQuotas()
    quota, delivered, told = Quota(rows=10**12), 10, store.used_quotas

    async def busy(grants: Sequence[str], day: date) -> Mapping[str, Counts]:
        nonlocal delivered
        answer = await told(grants, day)
        delivered += await run(ledger, ledger._blocks["g1"].spare.rows + 1, 1, quota)
        return answer

    async with QuotaLedger(store) as ledger:
        for _ in range(10):
            assert await run(ledger, 10, 1, quota) == 1
        store.used_quotas = busy  # type: ignore[method-assign]
        assert (await ledger.used(["g1"], DAY))["g1"].rows >= 10
    assert delivered == 14  # as often as it was asked


async def test_an_idle_block_on_its_way_back_is_not_told_as_used() -> None:
    store = _Slow(0)
    async with QuotaLedger(store, idle=0.01, soon=0.01) as ledger:
        for _ in range(2):
            assert await run(ledger, 10, 1, Quota(rows=1_000_000)) == 1
        assert ledger._blocks["g1"].spare.rows > 1
        store.turns = 2_000
        await until(lambda: _moving(ledger))
        assert await ledger.used(["g1"], DAY) == {"g1": Counts(rows=2)}
        await until(lambda: _forgotten(ledger))
        assert await ledger.used(["g1"], DAY) == {"g1": Counts(rows=2)}


async def test_a_block_of_the_former_quota_on_its_way_back_is_not_told_as_used() -> None:
    async with QuotaLedger(_Slow(50)) as ledger:
        for _ in range(2):
            assert await run(ledger, 10, 1, Quota(rows=1_000_000)) == 1
        held = ledger.block("g1", Quota(rows=1_000_001), DAY)
        assert held.returning
        assert await ledger.used(["g1"], DAY) == {"g1": Counts(rows=2)}


async def test_no_database_no_reservation_and_nothing_is_taken_twice() -> None:
    store = MemoryQuotas()
    async with QuotaLedger(store, idle=0.01, soon=0.01) as ledger:
        store.down = True
        with pytest.raises(PolicyUnavailable):
            await ledger.reservation(DAY).cover(rows(10))
        store.down = False
        assert await run(ledger, 10, 1) == 1
        # The answer to giving back gets lost: it is not sent again.
        store.lost = True
        await until(lambda: _at_rest(ledger))
        await until(lambda: _sent(store, "return"))
        store.lost = False
        # The answer to taking gets lost: it counts as used.
        store.lost = True
        with pytest.raises(PolicyUnavailable):
            await ledger.reservation(DAY).cover(rows(20))
        store.lost = False
        assert await run(ledger, 80, 79) == 0
        assert await run(ledger, 79, 79) == 79
    assert store.taken["g1", DAY].rows == 100


async def _sent(store: MemoryQuotas, name: str) -> bool:
    return name in store.statements


async def test_a_dead_network_refuses_and_comes_back(url: str, store: PlatformDatabase) -> None:
    line = Line(url)
    async with (
        asyncio.timeout(HANG),
        line.open() as through,
        await PlatformDatabase.open(through) as database,
        QuotaLedger(database) as ledger,
    ):
        assert await run(ledger, 10, 10) == 10
        line.freeze()
        with pytest.raises(PolicyUnavailable):
            await ledger.reservation(DAY).cover(rows(10))
        line.thaw()
        given = 10
        while delivered := await run(ledger, 5, 5):
            given += delivered
        assert given in (85, 100)  # the lost statement, for 10 and 5 more, may arrive late: then it counts as used


async def test_a_closed_worker_takes_nothing(store: PlatformDatabase) -> None:
    ledger = QuotaLedger(store)
    held = ledger.reservation(DAY)
    assert not await held.cover(rows(30))
    await ledger.close()
    held.settle({"g1": Spent(1)})
    with pytest.raises(PolicyUnavailable):
        await ledger.reservation(DAY).cover(rows(1))
    assert await taken(store) == Counts(rows=30)


SUBJECTS = Quota(subjects=10)


async def about(ledger: QuotaLedger, *names: str, bound: int | None = None, unnamed: int = 0) -> bool:
    """One operation about these subjects; whether it was let through. Returns once they are counted."""
    reservation = ledger.reservation(DAY)
    number = len(names) + unnamed if bound is None else bound
    short = await reservation.cover(rows(number, SUBJECTS))
    reservation.settle(None if short else {"g1": Spent(len(names) + unnamed, set(names), unnamed)})
    while ledger._tasks:
        await asyncio.gather(*ledger._tasks)
    return not short


async def test_distinct_subjects_are_counted_over_all_workers(store: PlatformDatabase, other: PlatformDatabase) -> None:
    one, two = QuotaLedger(store, soon=0), QuotaLedger(other, soon=0)
    assert await about(one, "a", "b", "c", bound=10)
    assert await about(two, "b", "c", "d")
    assert await about(one, "a", "b", "c", "d")  # nobody new, so it costs nothing
    await until(lambda: _subjects(store, 4))
    assert await about(two, unnamed=3)  # who cannot be told is somebody new
    await until(lambda: _subjects(store, 7))
    assert not await about(one, "a", "b", "c", "d")  # they might be four new ones
    assert await about(one, "a", "e", "f")
    await one.close()
    await two.close()
    assert await taken(store) == Counts(subjects=9)


async def _subjects(store: PlatformDatabase, number: int) -> bool:
    return (await taken(store)).subjects == number


async def test_subjects_at_the_same_time_never_overshoot(store: PlatformDatabase, other: PlatformDatabase) -> None:
    dice = random.Random(36)
    seen: set[str] = set()

    async def operation(ledger: QuotaLedger) -> None:
        names = {f"person {dice.randrange(14)}" for _ in range(3)}
        await asyncio.sleep(dice.random() / 20)
        reservation = ledger.reservation(DAY)
        if not await reservation.cover(rows(len(names), SUBJECTS)):
            seen.update(names)
            await asyncio.sleep(dice.random() / 50)
            reservation.settle({"g1": Spent(len(names), names)})

    async with QuotaLedger(store, soon=0) as one, QuotaLedger(other, soon=0) as two:
        await asyncio.gather(*(operation(ledger) for ledger in (one, two) for _ in range(100)))
    assert 7 <= len(seen) <= 10
    assert (await taken(store)).subjects == len(seen)


async def test_subjects_that_cannot_be_counted_count_as_new() -> None:
    store = MemoryQuotas()
    async with QuotaLedger(store) as ledger:
        reservation = ledger.reservation(DAY)
        assert not await reservation.cover(rows(6, SUBJECTS))
        store.down = True
        reservation.settle({"g1": Spent(1, {"a"})})
        while ledger._tasks:
            await asyncio.gather(*ledger._tasks)
        store.down = False
        assert await about(ledger, "b", "c", "d", "e")
        assert not await about(ledger, "f")


async def test_subjects_are_hashes_that_go_when_the_day_is_over(store: PlatformDatabase, url: str) -> None:
    connection = await asyncpg.connect(url)
    today = await connection.fetchval("SELECT (now() AT TIME ZONE 'Asia/Shanghai')::date")
    try:
        ledger = QuotaLedger(store)
        for day, id in ((today - timedelta(1), "g1"), (today, "g1"), (today, "g2")):
            reservation = ledger.reservation(day)
            assert not await reservation.cover(rows(1, SUBJECTS, id))
            reservation.settle({id: Spent(1, {"640104198503121282"})})
        await ledger.close()
        kept: list[Any] = await connection.fetch("SELECT * FROM quota_subject ORDER BY day, grant_id")
        hashes = {bytes(row["subject"]) for row in kept}
        assert len(hashes) == 3  # one person's, unlinkable between days and grants
        assert all(len(one) == 16 and b"6401" not in one for one in hashes)
        keys = "SELECT name FROM key_store WHERE name LIKE 'quota/%'"
        assert len(await connection.fetch(keys)) == 2
        assert await store.forget_subjects() == 1
        assert [row["day"] for row in await connection.fetch("SELECT day FROM quota_subject")] == [today, today]
        assert [row["name"] for row in await connection.fetch(keys)] == [f"quota/{today}"]
        assert await store.forget_subjects() == 0
        assert (await taken(store, today - timedelta(1))).subjects == 1  # the number stays
    finally:
        await connection.close()


async def test_a_running_worker_deletes_the_subjects_of_former_days() -> None:
    store = MemoryQuotas()
    store.subjects["g1", DAY] = {b"x"}
    store.today = DAY + timedelta(1)
    async with QuotaLedger(store):
        await until(lambda: _sent(store, "forget"))
        await asyncio.sleep(0)
        assert not store.subjects


async def test_what_is_used_leaves_out_what_lies_here_unused() -> None:
    store = MemoryQuotas()
    async with QuotaLedger(store) as ledger:
        quota = Quota(rows=100_000)
        for _ in range(3):
            await run(ledger, 10, 7, quota)
        assert store.taken["g1", DAY].rows > 21
        assert await ledger.used(["g1", "g2"], DAY) == {"g1": Counts(rows=21), "g2": Counts()}
        assert await ledger.used(["g1"], DAY - timedelta(1)) == {"g1": Counts()}
