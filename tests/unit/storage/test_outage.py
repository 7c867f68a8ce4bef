"""In charge of the platform database going away: refused soon, nothing half written, back to work by itself."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from tanglai.catalogue.model import GrantState, Snapshot, Zone
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.embedded import EmbeddedPostgres
from tanglai.storage.errors import PolicyUnavailable
from tanglai.storage.migrate import upgrade
from tanglai.storage.replica import Replica
from tests.cases import case
from tests.unit.storage.gates import Clock, Line
from tests.unit.storage.sample import HEALTH, RESIDENTS, TAX, blocked, change, grant, resource, until

HANG = 60  # seconds after which a test that hangs is given up; what is bounded is bounded far below


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(tmp_path / "server") as server:
        yield server


@case(47)
@case(47, twin=True)
async def test_a_killed_database_refuses_and_comes_back(server: EmbeddedPostgres) -> None:
    await upgrade(server.url())
    clock = Clock()
    seen: list[Snapshot] = []
    async with asyncio.timeout(HANG), await PlatformDatabase.open(server.url()) as database:
        await database.publish(change())
        await database.put_grants([grant()])
        replica = Replica(database, Zone.INTRANET, clock=clock)
        replica.watch(seen.append)
        async with replica:
            await replica.grants(HEALTH)
            server.kill()
            # A confirmation that is fresh still holds; what is not held cannot be had.
            assert (await replica.confirm()).snapshot.number == seen[-1].number
            with pytest.raises(PolicyUnavailable):
                await replica.grants(TAX)
            clock.value += 1.0
            for _ in range(3):
                with pytest.raises(PolicyUnavailable) as caught:
                    await replica.confirm()
                assert caught.value.message == "the platform database is unavailable"
            for attempt in (
                database.confirm(),
                database.load_grants(HEALTH),
                database.load_snapshot(Zone.INTRANET),
                database.publish(change()),
                database.put_grants([grant("b")]),
                database.set_grant_state("g1", GrantState.ENDED, by="office", reason="test"),
            ):
                with pytest.raises(PolicyUnavailable):
                    await attempt
            server.ensure_running()
            assert (await replica.confirm()).snapshot.number == seen[-1].number
            await database.set_grant_state("g1", GrantState.SUSPENDED, by="office", reason="misuse")
            report = await database.publish(change(resource(title="new")))
            # The listener is back too: nobody asks, and the snapshot comes.
            await until(lambda: reached(seen, report.number))
            clock.value += 1.0
            assert [held.state for held in await replica.grants(HEALTH)] == [GrantState.SUSPENDED]


async def reached(seen: list[Snapshot], number: int) -> bool:
    return seen[-1].number == number


async def test_a_worker_can_start_before_its_database_is_back(server: EmbeddedPostgres) -> None:
    await upgrade(server.url())
    async with asyncio.timeout(HANG), await PlatformDatabase.open(server.url()) as database:
        replica = Replica(database, Zone.INTRANET)
        server.kill()
        with pytest.raises(PolicyUnavailable):
            await replica.start()
        server.ensure_running()
        await replica.start()
        assert (await replica.confirm()).snapshot.number == 0
        await replica.close()


async def test_a_crash_in_the_middle_of_a_publication_leaves_nothing(server: EmbeddedPostgres) -> None:
    await upgrade(server.url())
    async with asyncio.timeout(HANG), await PlatformDatabase.open(server.url()) as database:
        await database.publish(change())
        before = await database.load_snapshot(Zone.INTRANET)
        blocker = await asyncpg.connect(server.url())
        await blocker.execute("BEGIN; LOCK TABLE resource_version IN SHARE MODE")
        others = {"purposes": ()}
        publication = asyncio.create_task(database.publish(change(resource(title="new"), **others)))
        await blocked(blocker)
        server.kill()
        with pytest.raises(PolicyUnavailable):
            await publication
        server.ensure_running()
        assert await database.load_snapshot(Zone.INTRANET) == before
        assert (await database.publish(change(resource(title="new")))).versions == {RESIDENTS: 2}
        blocker.terminate()


async def test_committed_grants_survive_a_crash(server: EmbeddedPostgres) -> None:
    await upgrade(server.url())
    async with asyncio.timeout(HANG), await PlatformDatabase.open(server.url()) as database:
        await database.publish(change())
        await database.put_grants([grant()])
        number = await database.set_grant_state("g1", GrantState.SUSPENDED, by="office", reason="misuse")
        server.kill()
        server.ensure_running()
        assert (await database.confirm()).grants == number
        assert (await database.load_grants(HEALTH))[0].state is GrantState.SUSPENDED
        assert len(await database.grant_history("g1")) == 2


async def test_commits_are_durable_whatever_the_servers_default(url: str) -> None:
    plain = await asyncpg.connect(url)
    assert await plain.fetchval("SHOW synchronous_commit") == "off"  # the test server's
    await plain.close()
    async with await PlatformDatabase.open(url, min_size=2) as database:
        for _ in range(4):
            assert await database.pool.fetchval("SHOW synchronous_commit") == "on"
    strict = f"{url}?options=-c%20synchronous_commit%3Dremote_apply"
    async with await PlatformDatabase.open(strict) as database:
        assert await database.pool.fetchval("SHOW synchronous_commit") == "remote_apply"


async def test_a_dead_network_refuses_and_comes_back(url: str) -> None:
    line = Line(url)
    clock = Clock()
    async with asyncio.timeout(HANG), line.open() as through, await PlatformDatabase.open(through) as database:
        await database.publish(change())
        await database.put_grants([grant()])
        replica = Replica(database, Zone.INTRANET, clock=clock)
        await replica.start()
        line.freeze()
        clock.value += 1.0
        answers = await asyncio.gather(*(replica.confirm() for _ in range(20)), return_exceptions=True)
        assert {type(answer) for answer in answers} == {PolicyUnavailable}
        with pytest.raises(PolicyUnavailable):
            await replica.grants(HEALTH)
        line.thaw()
        await replica.confirm()
        assert [held.id for held in await replica.grants(HEALTH)] == ["g1"]
        await replica.close()


async def test_confirming_does_not_wait_for_the_pool(url: str) -> None:
    async with await PlatformDatabase.open(url, max_size=1) as database, database.pool.acquire():
        assert (await database.confirm()).catalogue == 0
        with pytest.raises(PolicyUnavailable):
            await database.load_grants(HEALTH)


async def test_a_pooled_connection_that_died_is_not_noticed_by_a_reader(url: str) -> None:
    async with await PlatformDatabase.open(url) as database:
        await database.publish(change())
        await database.confirm()
        other = await asyncpg.connect(url)
        await other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
            "AND datname = current_database()"
        )
        await other.close()
        assert (await database.confirm()).catalogue > 0
        assert await database.load_grants(HEALTH) == ()
        assert (await database.load_snapshot(Zone.INTRANET)).number > 0
