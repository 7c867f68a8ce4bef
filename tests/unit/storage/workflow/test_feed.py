"""The feed: followers are told of their keys, once however much happened, and after every gap of the connection."""

import asyncio
import tracemalloc

import asyncpg

from tanglai.storage.database import PlatformDatabase
from tanglai.storage.workflow.feed import CHANNEL, Feed, Follower, import_key
from tests.unit.storage.sample import HEALTH, POLICE, change

WAIT = 10


async def told(follower: Follower) -> None:
    async with asyncio.timeout(WAIT):
        await follower.changed()


async def nothing(follower: Follower) -> None:
    """Nothing is told, as far as the event loop knows by now."""
    waiting = asyncio.create_task(follower.changed())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()
    await asyncio.wait((waiting,))


async def listened(feed: Feed) -> None:
    """Once the connection listens, everybody is told for the first time."""
    first = feed.follower()
    first.follow("first")
    await told(first)
    first.close()


async def test_followers_hear_of_their_keys_alone(platform: PlatformDatabase) -> None:
    async with Feed(platform) as feed:
        await listened(feed)
        one, other, importing = feed.follower(), feed.follower(), feed.follower()
        one.follow("A")
        one.follow("A")
        other.follow("B")
        other.follow("A")
        importing.follow(import_key("7"))
        async with platform.session() as connection:
            await connection.execute("SELECT pg_notify($1, 'A')", CHANNEL)
        await told(one)
        await told(other)
        await nothing(one)
        await nothing(importing)
        async with platform.session() as connection:
            await connection.execute(
                "SELECT pg_notify($1, 'B'), pg_notify($1, 'import:7'), pg_notify($1, 'X')", CHANNEL
            )
        await told(other)
        await told(importing)
        await nothing(one)
        for follower in (one, other, importing):
            follower.close()
            follower.close()
        assert feed.followers == {}


async def test_many_changes_are_one(platform: PlatformDatabase) -> None:
    feed = Feed(platform)
    follower = feed.follower()
    follower.follow("A")
    for _ in range(1000):
        feed.hear("A")
    await told(follower)
    await nothing(follower)


async def test_what_changes_while_one_reads_is_told_afterwards(platform: PlatformDatabase) -> None:
    feed = Feed(platform)
    follower = feed.follower()
    follower.follow("A")
    feed.hear("A")
    await told(follower)
    feed.hear("A")  # the reader has begun
    await told(follower)


async def test_who_gives_up_waiting_loses_nothing(platform: PlatformDatabase) -> None:
    feed = Feed(platform)
    follower = feed.follower()
    follower.follow("A")
    await nothing(follower)
    feed.hear("A")
    await told(follower)


async def test_a_gap_of_the_connection_is_told(platform: PlatformDatabase, url: str) -> None:
    async with Feed(platform) as feed:
        await listened(feed)
        follower = feed.follower()
        follower.follow("A")
        connection = await asyncpg.connect(url)
        ended = await connection.fetchval(
            "SELECT count(*) FROM (SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'tanglai tanglai_work' AND datname = current_database()) x"
        )
        assert ended == 1
        await told(follower)
        await connection.execute("SELECT pg_notify('tanglai_work', 'A')")
        await told(follower)
        await connection.close()


NOTICE = "INSERT INTO notice (department, kind, at, document) VALUES ($1, 'TEST', now(), '{}')"


async def test_the_database_tells_of_notices_when_they_are_committed(platform: PlatformDatabase) -> None:
    await platform.publish(change())
    async with Feed(platform) as feed:
        await listened(feed)
        police, health = feed.follower(), feed.follower()
        police.follow(POLICE)
        health.follow(HEALTH)
        async with platform.session() as connection:
            undone = connection.transaction()
            await undone.start()
            await connection.execute(NOTICE, HEALTH)
            await undone.rollback()
            await connection.execute(NOTICE, POLICE)
        await told(police)
        await nothing(health)


async def test_an_idle_follower_costs_little(platform: PlatformDatabase) -> None:
    feed, number = Feed(platform), 1000
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        followers = [feed.follower() for _ in range(number)]
        for index, follower in enumerate(followers):
            follower.follow(f"department-{index % 50}")
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (after - before) / number < 1024
