"""In charge of what a worker knows: fresh within a second, shared, never older than what a confirmation told."""

import asyncio
import gc
import logging
import weakref
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import asyncpg
import pytest

from tanglai.catalogue.errors import ErrorCode
from tanglai.catalogue.model import GrantState, Snapshot, Zone
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.errors import PolicyUnavailable
from tanglai.storage.replica import Replica, steady_clock
from tests.cases import case
from tests.unit.storage.gates import Clock, WatchedDatabase, watched
from tests.unit.storage.sample import DEPARTMENTS, HEALTH, RESIDENTS, TAX, VEHICLES, change, grant, resource, until


@pytest.fixture
async def published(platform: PlatformDatabase) -> PlatformDatabase:
    """The other replica's database: what is changed, is changed here."""
    await platform.publish(change(resource(), resource(VEHICLES)))
    await platform.put_grants([grant("a"), grant("b", TAX)])
    return platform


@pytest.fixture
async def here(published: PlatformDatabase, url: str) -> AsyncIterator[WatchedDatabase]:
    """A pool of this replica's own."""
    async with await watched(url) as database:
        yield database


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def replica(here: WatchedDatabase, clock: Clock) -> AsyncIterator[Replica]:
    """A replica that nobody notifies: what it knows comes from confirmations alone."""
    replica = Replica(here, Zone.INTRANET, clock=clock)
    await replica.confirm()
    yield replica
    await replica.close()


async def states(replica: Replica, department: str = HEALTH) -> list[GrantState]:
    moment = await replica.confirm()
    return [held.state for held in await replica.grants(department, moment.snapshot)]


async def test_a_fresh_confirmation_costs_nothing(replica: Replica, here: WatchedDatabase, clock: Clock) -> None:
    first = await replica.confirm()
    clock.value += 0.999
    second = await replica.confirm()
    assert here.confirms.asked == 1
    assert second.snapshot is first.snapshot
    clock.value += 0.001
    await replica.confirm()
    assert here.confirms.asked == 2
    assert here.snapshots.asked == 1


@case(33)
async def test_a_suspended_grant_is_gone_one_second_later(
    replica: Replica, published: PlatformDatabase, clock: Clock
) -> None:
    assert await states(replica) == [GrantState.ACTIVE]
    await published.set_grant_state("a", GrantState.SUSPENDED, by="office", reason="misuse")
    clock.value += 1.0
    assert await states(replica) == [GrantState.SUSPENDED]
    await published.set_grant_state("a", GrantState.ENDED, by="office", reason="misuse")
    clock.value += 1.0
    assert await states(replica) == [GrantState.ENDED]


async def test_two_replicas_on_two_pools(published: PlatformDatabase, url: str, clock: Clock) -> None:
    async with await PlatformDatabase.open(url) as other:
        one = Replica(published, Zone.INTRANET, clock=clock)
        two = Replica(other, Zone.EXTRANET, clock=clock)
        assert await states(one) == await states(two) == [GrantState.ACTIVE]
        await published.set_grant_state("a", GrantState.SUSPENDED, by="office", reason="misuse")
        await other.put_grants([grant("c")])
        clock.value += 1.0
        expected = [GrantState.SUSPENDED, GrantState.ACTIVE]
        assert await states(one) == await states(two) == expected
        assert (await one.confirm()).grants_epoch == (await two.confirm()).grants_epoch
        assert (await two.confirm()).snapshot.zone is Zone.EXTRANET
        await one.close()
        await two.close()


@case(41, twin=True)
async def test_a_publication_is_there_after_the_next_confirmation(
    replica: Replica, published: PlatformDatabase, clock: Clock
) -> None:
    before = await replica.confirm()
    report = await published.publish(change(resource(title="new"), resource(VEHICLES)))
    assert (await replica.confirm()).snapshot is before.snapshot
    clock.value += 1.0
    after = await replica.confirm()
    assert after.snapshot.number == report.number
    assert after.snapshot.resources[RESIDENTS].title == "new"
    assert before.snapshot.resources[RESIDENTS].title == "居民"
    assert after.snapshot.resources[VEHICLES] is before.snapshot.resources[VEHICLES]
    assert after.snapshot == await published.load_snapshot(Zone.INTRANET)


async def test_a_replaced_snapshot_is_let_go(replica: Replica, published: PlatformDatabase, clock: Clock) -> None:
    moment = await replica.confirm()
    await replica.grants(HEALTH, moment.snapshot)
    old = weakref.ref(moment.snapshot)
    del moment
    await published.publish(change(resource(title="new"), resource(VEHICLES)))
    clock.value += 1.0
    await replica.confirm()
    gc.collect()
    assert old() is None


async def test_now_is_the_databases_clock_and_the_time_since(
    replica: Replica, published: PlatformDatabase, clock: Clock
) -> None:
    clock.value += 1.0
    before = await published.pool.fetchval("SELECT clock_timestamp()")
    first = await replica.confirm()
    after = await published.pool.fetchval("SELECT clock_timestamp()")
    assert before <= first.now <= after
    clock.value += 0.25
    assert (await replica.confirm()).now == first.now + timedelta(seconds=0.25)


async def test_a_hundred_callers_are_one_statement(replica: Replica, here: WatchedDatabase, clock: Clock) -> None:
    clock.value += 1.0
    here.confirms.shut()
    callers = [asyncio.create_task(replica.confirm()) for _ in range(100)]
    await here.confirms.held.wait()
    callers[0].cancel()  # the one that began it
    callers[50].cancel()
    with suppress(asyncio.CancelledError):
        await callers[0]
    here.confirms.open()
    answers = await asyncio.gather(*callers, return_exceptions=True)
    assert here.confirms.asked == 2  # the fixture's was the first
    assert [isinstance(answer, asyncio.CancelledError) for answer in answers] == [n in (0, 50) for n in range(100)]


async def test_work_goes_on_when_every_caller_is_gone(replica: Replica, here: WatchedDatabase, clock: Clock) -> None:
    clock.value += 1.0
    here.confirms.shut()
    caller = asyncio.create_task(replica.confirm())
    await here.confirms.held.wait()
    caller.cancel()
    with suppress(asyncio.CancelledError):
        await caller
    here.confirms.open()
    await replica.confirm()
    assert here.confirms.asked == 2


@case(41)
async def test_a_confirmation_that_began_too_early_is_not_used(
    replica: Replica, here: WatchedDatabase, published: PlatformDatabase, clock: Clock
) -> None:
    clock.value += 1.0
    here.confirms.shut()
    early = asyncio.create_task(replica.confirm())
    await here.confirms.held.wait()  # answered by the database, and on its way
    await published.set_grant_state("a", GrantState.SUSPENDED, by="office", reason="misuse")
    clock.value += 1.0
    late = asyncio.create_task(states(replica))
    await asyncio.sleep(0)
    here.confirms.open()
    await early
    assert await late == [GrantState.SUSPENDED]
    assert here.confirms.asked == 3


@case(41)
async def test_grants_read_before_a_change_are_not_used_after_it(
    replica: Replica, here: WatchedDatabase, published: PlatformDatabase, clock: Clock
) -> None:
    here.grants.shut()
    early = asyncio.create_task(replica.grants(HEALTH))
    await here.grants.held.wait()  # read as ACTIVE, and on its way
    await published.set_grant_state("a", GrantState.SUSPENDED, by="office", reason="misuse")
    clock.value += 1.0
    await replica.confirm()
    late = asyncio.create_task(states(replica))
    await asyncio.sleep(0)
    here.grants.open()
    assert [held.state for held in await early] == [GrantState.SUSPENDED]
    assert await late == [GrantState.SUSPENDED]
    assert await states(replica) == [GrantState.SUSPENDED]


async def test_a_hundred_requests_of_a_cold_department_are_one_statement(
    replica: Replica, here: WatchedDatabase
) -> None:
    here.grants.shut()
    callers = [asyncio.create_task(replica.grants(HEALTH)) for _ in range(100)]
    await here.grants.held.wait()
    callers[0].cancel()
    here.grants.open()
    answers = await asyncio.gather(*callers, return_exceptions=True)
    assert here.grants.asked == 1
    assert isinstance(answers[0], asyncio.CancelledError)
    assert len({id(answer) for answer in answers[1:]}) == 1


async def test_only_the_changed_requester_is_read_again(
    replica: Replica, here: WatchedDatabase, published: PlatformDatabase, clock: Clock
) -> None:
    health, tax = await replica.grants(HEALTH), await replica.grants(TAX)
    epoch = (await replica.department_grants(HEALTH)).epoch
    await published.set_grant_state("b", GrantState.SUSPENDED, by="office", reason="misuse")
    clock.value += 1.0
    await replica.confirm()
    assert await replica.grants(HEALTH) is health
    assert (await replica.department_grants(HEALTH)).epoch == epoch
    assert await replica.grants(TAX) is not tax
    assert here.grants.asked == 3


async def test_a_scope_follows_its_resource(
    replica: Replica, here: WatchedDatabase, published: PlatformDatabase, clock: Clock
) -> None:
    before = await replica.confirm()
    held = await replica.grants(HEALTH, before.snapshot)
    await published.publish(change(resource(), resource(VEHICLES, "new")))
    clock.value += 1.0
    assert await replica.grants(HEALTH, (await replica.confirm()).snapshot) is held
    await published.publish(change(resource(title="new"), resource(VEHICLES, "new")))
    clock.value += 1.0
    after = await replica.confirm()
    assert (await replica.department_grants(HEALTH, before.snapshot)).resources[RESIDENTS] is before.snapshot.resources[
        RESIDENTS
    ]
    assert (await replica.department_grants(HEALTH, after.snapshot)).resources[RESIDENTS] is after.snapshot.resources[
        RESIDENTS
    ]


async def test_grants_on_a_retired_resource_are_held_too(
    replica: Replica, here: WatchedDatabase, published: PlatformDatabase, clock: Clock
) -> None:
    await published.put_grants([grant("c", resource=VEHICLES)])
    await published.retire(VEHICLES, by="steward")
    clock.value += 1.0
    await replica.confirm()
    assert [held.id for held in await replica.grants(HEALTH)] == ["a", "c"]
    asked = here.grants.asked
    assert [held.id for held in await replica.grants(HEALTH)] == ["a", "c"]
    assert here.grants.asked == asked


async def test_what_is_held_is_bounded(here: WatchedDatabase, published: PlatformDatabase, clock: Clock) -> None:
    await published.put_grants([grant(f"many{n}") for n in range(10)])
    small = Replica(here, Zone.INTRANET, clock=clock, max_grants=5)
    await small.confirm()
    for _ in range(2):
        assert await small.grants("nobody") == ()
        assert len(await small.grants(TAX)) == 1
    assert here.grants.asked == 2
    for _ in range(2):
        assert len(await small.grants(HEALTH)) == 11
    assert here.grants.asked == 3  # more than the bound, held alone
    await small.grants(TAX)
    await small.grants(HEALTH)
    assert here.grants.asked == 5
    await small.close()


async def test_a_notification_brings_a_new_snapshot_before_anybody_asks(
    here: WatchedDatabase, published: PlatformDatabase, clock: Clock
) -> None:
    seen: list[Snapshot] = []
    replica = Replica(here, Zone.INTRANET, clock=clock, timer=3_600)
    replica.watch(seen.append)
    replica.watch(broken)
    async with replica:
        await until(lambda: listeners(published))
        report = await published.publish(change(resource(title="new"), resource(VEHICLES)))
        await until(lambda: reached(seen, report.number))
        assert (await replica.confirm()).snapshot is seen[-1]
    assert seen[-1].resources[RESIDENTS].title == "new"


async def test_a_lost_notification_heals_by_the_timer(
    here: WatchedDatabase, published: PlatformDatabase, clock: Clock
) -> None:
    here.deaf = True
    seen: list[Snapshot] = []
    replica = Replica(here, Zone.INTRANET, clock=clock, timer=0.02)
    replica.watch(seen.append)
    async with replica:
        report = await published.publish(change(resource(title="new"), resource(VEHICLES)))
        await until(lambda: reached(seen, report.number))


async def test_a_lost_listener_comes_back_and_looks_at_once(
    here: WatchedDatabase, published: PlatformDatabase, clock: Clock
) -> None:
    seen: list[Snapshot] = []
    replica = Replica(here, Zone.INTRANET, clock=clock, timer=3_600)
    replica.watch(seen.append)
    async with replica:
        await until(lambda: listeners(published))
        await published.pool.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tanglai listen' "
            "AND datname = current_database()"
        )
        report = await published.publish(change(resource(title="new"), resource(VEHICLES)))
        await until(lambda: reached(seen, report.number))
        await until(lambda: listeners(published))
        report = await published.publish(change(resource(title="newer"), resource(VEHICLES)))
        await until(lambda: reached(seen, report.number))


def broken(snapshot: Snapshot) -> None:
    raise RuntimeError(f"cannot take {snapshot.number}")


async def reached(seen: list[Snapshot], number: int) -> bool:
    return bool(seen) and seen[-1].number == number


async def listeners(database: PlatformDatabase) -> bool:
    count = await database.pool.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tanglai listen' "
        "AND datname = current_database() AND query LIKE 'LISTEN%' AND state = 'idle'"
    )
    return bool(count)


async def test_closing_ends_everything(here: WatchedDatabase, clock: Clock) -> None:
    before = asyncio.all_tasks()
    replica = Replica(here, Zone.INTRANET, clock=clock)
    await replica.start()
    clock.value += 1.0
    here.confirms.shut()
    here.grants.shut()
    waiting = [asyncio.create_task(replica.grants(HEALTH)), asyncio.create_task(replica.confirm())]
    await here.confirms.held.wait()
    await here.grants.held.wait()
    await replica.close()
    for answer in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(answer, PolicyUnavailable)
    for ask in (replica.confirm, lambda: replica.grants(TAX)):
        with pytest.raises(PolicyUnavailable, match="shutting down"):
            await ask()
    assert asyncio.all_tasks() <= before


async def test_a_catalogue_that_cannot_be_read_refuses_until_it_can(
    replica: Replica, url: str, published: PlatformDatabase, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    hand = await asyncpg.connect(url)
    await hand.execute('UPDATE department SET document = document || \'{"level": "MOON"}\' WHERE code = $1', HEALTH)
    clock.value += 1.0
    with caplog.at_level(logging.ERROR), pytest.raises(PolicyUnavailable) as caught:
        await replica.confirm()
    assert caught.value.code is ErrorCode.POLICY_UNAVAILABLE
    assert "MOON" not in caught.value.message
    assert "cannot be read" in caplog.text
    await published.publish(change(resource(), resource(VEHICLES)))
    assert (await replica.confirm()).snapshot.departments[HEALTH] == DEPARTMENTS[1]
    await hand.close()


async def test_a_database_with_another_past_is_read_anew(
    replica: Replica, url: str, published: PlatformDatabase, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    before = await replica.confirm()
    assert await states(replica) == [GrantState.ACTIVE]
    hand = await asyncpg.connect(url)
    async with hand.transaction():  # what restoring an older copy looks like
        await hand.execute("SET LOCAL session_replication_role = 'replica'")
        await hand.execute("UPDATE epoch SET value = 1")
        await hand.execute("UPDATE resource SET changed = 1")
        await hand.execute('UPDATE resource_version SET document = document || \'{"title": "older"}\'')
        await hand.execute("UPDATE data_grant SET state = 'ENDED'")
        await hand.execute("UPDATE department_epoch SET value = 1")
    await hand.close()
    clock.value += 1.0
    after = await replica.confirm()
    assert (after.snapshot.number, after.snapshot.resources[RESIDENTS].title) == (1, "older")
    assert before.snapshot.number > 1
    assert await states(replica) == [GrantState.ENDED]
    assert "went back in time" in caplog.text


async def test_a_change_of_a_department_reaches_the_next_confirmation(
    replica: Replica, published: PlatformDatabase, clock: Clock
) -> None:
    closed = replace(DEPARTMENTS[1], active=False)
    await published.publish(change(resource(), resource(VEHICLES), departments=(closed,)))
    clock.value += 1.0
    assert not (await replica.confirm()).snapshot.departments[HEALTH].active


def test_the_clock_goes_forward() -> None:
    times = [steady_clock() for _ in range(1_000)]
    assert times == sorted(times)


async def test_requests_go_on_while_a_new_snapshot_is_prepared(
    here: WatchedDatabase, published: PlatformDatabase, clock: Clock
) -> None:
    begun, ready = asyncio.Event(), asyncio.Event()
    prepared: list[int] = []

    async def preparation(snapshot: Snapshot) -> None:
        begun.set()
        await ready.wait()
        prepared.append(snapshot.number)

    replica = Replica(here, Zone.INTRANET, clock=clock, timer=3_600)
    async with replica:
        await until(lambda: listeners(published))
        old = (await replica.confirm()).snapshot
        replica.prepare(preparation)
        clock.value += 0.5
        report = await published.publish(change(resource(title="新")))
        await asyncio.wait_for(begun.wait(), 10)  # the notification began it
        assert (await replica.confirm()).snapshot is old
        clock.value += 0.4
        assert (await replica.confirm()).snapshot is old
        clock.value += 0.2  # what is known is not fresh any more
        waiting = asyncio.create_task(replica.confirm())
        await asyncio.sleep(0.05)
        assert not waiting.done()
        ready.set()
        assert (await waiting).snapshot.number == report.number
        assert prepared == [report.number]
