"""Subscriptions: an event at once and one per change, each decided anew; request errors; what they cost and lead to."""

import asyncio
import tracemalloc
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from authz.decide import MaskKey
from authz.principal import Principal
from resolvers.gateway import Gateway
from resolvers.limits import Limits
from resolvers.requests import GraphQLRequest, GraphQLResponse
from resolvers.seals import SealKey, Seals
from schema import unified
from tanglai.catalogue.errors import TanglaiError
from tanglai.catalogue.model import Zone
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.errors import PolicyUnavailable
from tanglai.storage.keys import MasterKey
from tanglai.storage.migrate import upgrade
from tanglai.storage.replica import Replica
from tanglai.storage.workflow.desk import Desk
from tanglai.storage.workflow.feed import Feed
from tanglai.storage.workflow.reading import Waiting
from tests.cases import case, hole
from tests.catalogues import YINCHUAN, population
from tests.gateways import Answer, ListedAudit, World, requester
from tests.matrix.registers import leads_to_rows
from tests.memory import MemorySources
from tests.unit.resolvers.conftest import rows
from tests.unit.storage.sample import DEPARTMENTS, HEALTH, POLICE, change, until

INBOX = "subscription { inboxChanged { waiting unread } }"
FAST = Limits(event_pause=0.01)
WAIT = 10
NOTICE = "INSERT INTO notice (department, kind, at, document) VALUES ($1, 'TEST', now(), '{}')"


def asked(query: str = INBOX, who: Principal | None = None, **changes: Any) -> GraphQLRequest:
    request = GraphQLRequest(query, None, {}, {}, who or requester(), None, "en", "request-1", False)
    return replace(request, **changes)


async def heard(events: AsyncGenerator[GraphQLResponse, None]) -> Answer:
    async with asyncio.timeout(WAIT):
        return Answer(await anext(events))


async def over(events: AsyncGenerator[GraphQLResponse, None]) -> bool:
    async with asyncio.timeout(WAIT):
        return await anext(events, None) is None


async def settled() -> None:
    """Whatever the event loop can do by itself is done."""
    for _ in range(20):
        await asyncio.sleep(0)


@dataclass
class Office:
    """A desk that tells what a test wants, and counts who asks at the same time."""

    unread: int = 0
    failure: TanglaiError | None = None
    gate: asyncio.Event | None = None
    asking: int = 0
    most: int = 0
    asked: int = 0

    async def read(self, read: Callable[[Any], Awaitable[Any]]) -> Waiting:
        self.asked += 1
        self.asking += 1
        self.most = max(self.most, self.asking)
        try:
            if self.gate is not None:
                await self.gate.wait()
            if self.failure is not None:
                raise self.failure
            return Waiting(0, 0, None, self.unread)
        finally:
            self.asking -= 1


@dataclass
class Watched:
    """The gateway of a small world with a desk and a feed that the test holds in its hands."""

    limits: Limits = FAST
    world: World = field(default_factory=lambda: World(population(), rows()))
    office: Office = field(default_factory=Office)
    feed: Feed = field(default_factory=lambda: Feed(None))  # type: ignore[arg-type]  # it never listens

    def __post_init__(self) -> None:
        world = self.world
        self.gateway = gateway(world.replica, world.sources, self.office, self.feed, self.limits)

    def tell(self, key: str = YINCHUAN.code) -> None:
        self.feed.hear(key)


def gateway(replica: Any, sources: Any, desk: Any, feed: Feed | None, limits: Limits) -> Gateway:
    audit: Any = ListedAudit()
    seals = Seals((SealKey(1, bytes(range(64))),))
    return Gateway(replica, sources, audit, seals, MaskKey("m1", b"mask"), limits, desk=desk, feed=feed)


@asynccontextmanager
async def stored(url: str) -> AsyncIterator[tuple[PlatformDatabase, Gateway]]:
    """A gateway over a real platform database with the sample catalogue."""
    await upgrade(url)
    async with await PlatformDatabase.open(url, master_key=MasterKey(bytes(32))) as platform:
        await platform.publish(change())
        async with Replica(platform, Zone.INTRANET, fresh=0.0) as replica, Feed(platform) as feed:
            yield platform, gateway(replica, MemorySources({}), Desk(platform), feed, FAST)


async def test_an_event_at_once_and_one_when_something_changes(database: str) -> None:
    async with stored(database) as (platform, gateway):
        police, health = requester(department=DEPARTMENTS[0]), requester(department=DEPARTMENTS[1])
        async with (
            aclosing(gateway.subscribe(asked(who=police))) as mine,
            aclosing(gateway.subscribe(asked(who=health))) as other,
        ):
            for events in (mine, other):
                answer = await heard(events)
                assert answer.data == {"inboxChanged": {"waiting": 0, "unread": 0}}
                assert answer.extensions == {"requestId": "request-1"}
            async with platform.session() as connection:
                await connection.execute(NOTICE, POLICE)
            while (await heard(mine)).data["inboxChanged"]["unread"] != 1:
                pass  # the first listening tells everybody once
            for _ in range(50):
                async with platform.session() as connection:
                    await connection.execute(NOTICE, POLICE)
            seen = 0
            while (await heard(mine)).data["inboxChanged"]["unread"] != 51:
                seen += 1
            assert seen < 50
            async with platform.session() as connection:
                await connection.execute(
                    "UPDATE notice SET read_at = now(), read_by = 'x' WHERE department = $1", POLICE
                )
            while (await heard(mine)).data["inboxChanged"]["unread"] != 0:
                pass
            async with platform.session() as connection:
                await connection.execute(NOTICE, HEALTH)
            while (await heard(other)).data["inboxChanged"]["unread"] != 1:
                pass


async def test_each_event_is_decided_anew(database: str) -> None:
    """The department is closed while its subscription waits: the next event refuses, and is the last."""
    async with (
        stored(database) as (platform, gateway),
        aclosing(gateway.subscribe(asked(who=requester(department=DEPARTMENTS[1])))) as events,
    ):
        assert (await heard(events)).data["inboxChanged"]["unread"] == 0
        closed = tuple(replace(one, active=one.code != HEALTH) for one in DEPARTMENTS)
        await platform.publish(change(departments=closed))
        async with platform.session() as connection:
            await connection.execute(NOTICE, HEALTH)
        while "data" in (answer := await heard(events)).body:
            pass
        assert answer.codes == ["NOT_A_DEPARTMENT"]
        assert not answer.response.executed
        assert await over(events)


async def test_changes_while_nobody_reads_are_one_event() -> None:
    watched = Watched()
    async with aclosing(watched.gateway.subscribe(asked())) as events:
        assert (await heard(events)).data["inboxChanged"]["unread"] == 0
        for number in range(1, 1001):
            watched.office.unread = number
            watched.tell()
        assert (await heard(events)).data["inboxChanged"]["unread"] == 1000
        assert watched.office.asked == 2
        watched.tell("somebody else")
        waiting = asyncio.ensure_future(anext(events))
        await settled()
        assert not waiting.done()
        watched.feed.hear(None)  # a gap of the connection
        assert Answer(await waiting).data["inboxChanged"]["unread"] == 1000


async def test_what_changes_while_an_event_is_answered_makes_another() -> None:
    watched = Watched()
    watched.office.gate = asyncio.Event()
    await watched.gateway.schema()  # built off the event loop
    async with aclosing(watched.gateway.subscribe(asked())) as events:
        first = asyncio.ensure_future(anext(events))
        await settled()
        assert watched.office.asking == 1
        watched.tell()
        watched.office.gate.set()
        await first
        watched.office.unread = 7
        assert (await heard(events)).data["inboxChanged"]["unread"] == 7


async def test_an_event_that_fails_is_an_event() -> None:
    watched = Watched()
    async with aclosing(watched.gateway.subscribe(asked())) as events:
        watched.office.failure = PolicyUnavailable()
        answer = await heard(events)
        assert (answer.data, answer.codes) == (None, ["POLICY_UNAVAILABLE"])
        assert answer.errors[0]["path"] == ["inboxChanged"]
        watched.office.failure = None
        watched.tell()
        assert (await heard(events)).data["inboxChanged"]["unread"] == 0


async def test_without_the_platform_database_it_ends() -> None:
    watched = Watched()
    async with aclosing(watched.gateway.subscribe(asked())) as events:
        assert (await heard(events)).data
        watched.world.replica.down = True
        watched.tell()
        answer = await heard(events)
        assert (answer.codes, answer.response.executed, answer.response.status) == (["POLICY_UNAVAILABLE"], False, 503)
        assert await over(events)
    assert watched.feed.followers == {}


@pytest.mark.parametrize(
    "query",
    [
        "subscription { unknown }",
        "subscription { inboxChanged { waiting } again: inboxChanged { waiting } }",
        "subscription { __typename }",
        "subscription { __schema { description } }",
        "subscription { inboxChanged { waiting } ... @include(if: true) { inboxChanged { waiting } } }",
        "subscription ($on: Boolean!) { inboxChanged @include(if: $on) { waiting } }",
        "subscription ($first: Int!) { inboxChanged { tasks(first: $first) { totalCount } } }",
        "subscription { inboxChanged }",
        "subscription { inboxChanged { data } }",
    ],
)
async def test_request_errors(query: str) -> None:
    watched = Watched()
    assert watched.gateway.streams(asked(query))
    async with aclosing(watched.gateway.subscribe(asked(query))) as events:
        answer = await heard(events)
        assert set(answer.codes) == {"BAD_INPUT"}
        assert "data" not in answer.body
        assert not answer.response.executed
        assert await over(events)
    assert watched.office.asked == 0
    assert watched.feed.followers == {}


@pytest.mark.parametrize(
    ("query", "name", "streams"),
    [
        (INBOX, None, True),
        ("query A { me { id } } subscription B { inboxChanged { waiting } }", "B", True),
        ("query A { me { id } } subscription B { inboxChanged { waiting } }", "A", False),
        ("query A { me { id } } subscription B { inboxChanged { waiting } }", None, False),
        ("query subscription { me { id } }", None, False),
        ("subscription {", None, False),
        ("", None, False),
        ("subscription { a }" + "#" * 70_000, None, False),
        ("subscription " + "{ a " * 3000 + "}" * 3000, None, False),
    ],
)
async def test_which_requests_are_subscriptions(query: str, name: str | None, streams: bool) -> None:
    watched = Watched()
    assert watched.gateway.streams(asked(query, operation_name=name)) is streams


async def test_a_subscription_needs_a_connection_that_can_carry_it() -> None:
    watched = Watched()
    answer = Answer(await watched.gateway.execute(asked()))
    assert answer.codes == ["BAD_INPUT"]
    assert watched.office.asked == 0
    without_feed = gateway(watched.world.replica, watched.world.sources, watched.office, None, FAST)
    assert not without_feed.streams(asked())
    assert Answer(await without_feed.execute(asked())).codes == ["BAD_INPUT"]


async def test_an_event_has_its_time() -> None:
    watched = Watched(Limits(event_timeout=0.01))
    watched.office.gate = asyncio.Event()
    async with aclosing(watched.gateway.subscribe(asked())) as events:
        with pytest.raises(TanglaiError, match="too long"):
            await heard(events)
    assert watched.office.asking == 0
    assert watched.feed.followers == {}


async def test_events_are_answered_a_few_at_a_time() -> None:
    watched = Watched(Limits(event_pause=0, events=3))
    await watched.gateway.schema()  # built off the event loop
    watched.office.gate = asyncio.Event()
    running = [watched.gateway.subscribe(asked()) for _ in range(10)]
    coming = [asyncio.ensure_future(anext(events)) for events in running]
    await settled()
    assert watched.office.asking == 3
    watched.office.gate.set()
    for answer in await asyncio.gather(*coming):
        assert Answer(answer).data["inboxChanged"]
    assert watched.office.most == 3
    for events in running:
        await events.aclose()


async def test_a_client_that_leaves_leaves_nothing() -> None:
    """While it waits for a change, and in the middle of an event."""
    watched = Watched()
    events = watched.gateway.subscribe(asked())
    await heard(events)
    waiting = asyncio.ensure_future(anext(events))
    await settled()
    assert watched.feed.followers.keys() == {YINCHUAN.code}
    waiting.cancel()
    await asyncio.wait((waiting,))
    assert watched.feed.followers == {}
    watched.office.gate = asyncio.Event()
    coming = asyncio.ensure_future(anext(watched.gateway.subscribe(asked())))
    await settled()
    assert (watched.office.asking, len(watched.feed.followers)) == (1, 1)
    coming.cancel()
    await asyncio.wait((coming,))
    assert (watched.office.asking, watched.feed.followers) == (0, {})


async def test_a_thousand_that_wait() -> None:
    """What one costs while nothing happens: the task that waits, its request, its following."""
    watched, number = Watched(), 1000

    async def follow(index: int) -> None:
        # Each has a text and a principal of its own, as from as many clients.
        request = asked(f"{INBOX} # {index % 20}", requester(client=f"client-{index}"), request_id=f"request-{index}")
        async with aclosing(watched.gateway.subscribe(request)) as events:
            async for response in events:
                del response

    async def waiting() -> bool:
        idle = watched.office.asked == number + 1 and watched.office.asking == 0
        return idle and len(watched.feed.followers[YINCHUAN.code]) == number

    async with aclosing(watched.gateway.subscribe(asked())) as events:
        await heard(events)  # schema and decisions are built
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        following = [asyncio.create_task(follow(index)) for index in range(number)]
        await until(waiting)
        await settled()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    for task in following:
        task.cancel()
    await asyncio.wait(following)
    assert (after - before) / number < 20_000
    print(f"a subscription that waits: {(after - before) / number:,.0f} bytes")


@case(29)
@hole("fraiseql-subscriptions")
async def test_subscriptions_lead_to_no_rows() -> None:
    """No type that a subscription can reach belongs to the data, so no row can come by it, whoever asks."""
    schema = unified.build(population()).graphql
    assert schema.subscription_type is not None
    assert schema.query_type is not None
    assert leads_to_rows(schema, schema.subscription_type) == set()
    assert "Resident" in leads_to_rows(schema, schema.query_type)
    watched = Watched()
    for query in (
        "subscription { data { population { residents { nodes { name } } } } }",
        "subscription { node(id: 1) }",
    ):
        async with aclosing(watched.gateway.subscribe(asked(query))) as events:
            answer = await heard(events)
            assert (answer.codes[0], "data" in answer.body) == ("BAD_INPUT", False)
    assert watched.world.sources.calls == []


@case(29, twin=True)
async def test_a_query_beside_it_gets_its_rows() -> None:
    watched = Watched()
    answer = await watched.world.ask("{ data { population { residents { nodes { name } } } } }")
    assert len(answer.data["data"]["population"]["residents"]["nodes"]) == 7
