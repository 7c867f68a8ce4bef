"""In charge of the promise that no answer of a replica is older than one second, whatever comes in which order."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tanglai.catalogue.model import GrantState, Zone
from tanglai.storage.embedded import EmbeddedPostgres
from tanglai.storage.migrate import upgrade
from tanglai.storage.replica import Replica
from tests.unit.storage.gates import Clock, Gate, WatchedDatabase, watched
from tests.unit.storage.sample import HEALTH, TAX, change, grant, resource, until

OWNERS = {"h1": HEALTH, "h2": HEALTH, "t1": TAX}
TITLE = "title"
Step = tuple[Any, ...]

which = st.sampled_from((0, 1))
gates = st.sampled_from(("confirms", "snapshots", "grants"))
single = st.one_of(
    st.tuples(st.just("pass"), st.sampled_from((0.5, 1.0, 1.0))),
    st.tuples(st.just("toggle"), which, st.sampled_from(sorted(OWNERS))),
    st.tuples(st.just("publish"), which),
    st.tuples(st.just("ask"), which, st.sampled_from((HEALTH, TAX))),
    st.tuples(st.just("ask"), st.just(0), st.just(HEALTH)),
    st.tuples(st.just("toggle"), st.just(1), st.just("h1")),
    st.tuples(st.just("hold"), which, gates),
    st.just(("release",)),
    st.just(("release",)),
)


@st.composite
def overtaken(draw: st.DrawFn) -> list[Step]:
    """An answer is on its way to a replica while what it says changes and a second passes."""
    n, gate = draw(which), draw(gates)
    changed = draw(st.sampled_from((("toggle", 1 - n, "h1"), ("publish", 1 - n))))
    question = ("ask", n, HEALTH)
    steps = [
        ("release",),
        changed,
        ("pass", 1.0),
        ("hold", n, gate),
        question,
        changed,
        ("pass", draw(st.sampled_from((0.5, 1.0)))),
    ]
    return [*steps, *draw(st.sampled_from(([question], []))), ("release",), question]


steps = st.lists(st.one_of(single.map(lambda step: [step]), overtaken()), max_size=20).map(
    lambda pieces: [step for piece in pieces for step in piece]
)


class Truth:
    """Every value that was committed, with the time of its commit."""

    def __init__(self) -> None:
        self.past: dict[str, list[tuple[float, str]]] = defaultdict(list)

    def commit(self, name: str, value: str, at: float) -> None:
        self.past[name].append((at, value))

    def newest(self, name: str) -> str:
        return self.past[name][-1][1]

    def allowed(self, name: str, came: float) -> set[str]:
        """What a request that came at `came` may see: nothing that was replaced a second or more before."""
        past = self.past[name]
        oldest = max(n for n, (at, _) in enumerate(past) if n == 0 or at <= came - 1.0)
        return {value for _, value in past[oldest:]}


def gates_of(databases: list[WatchedDatabase]) -> list[Gate]:
    return [gate for database in databases for gate in (database.confirms, database.snapshots, database.grants)]


def release(databases: list[WatchedDatabase]) -> None:
    for gate in gates_of(databases):
        gate.open()


async def settle(tasks: list[asyncio.Task[Any]], databases: list[WatchedDatabase]) -> None:
    """Until every request is answered, or an answer is held back and the others had time to come as far as they can."""
    held = [gate.held for gate in gates_of(databases)]

    async def reached() -> bool:
        return all(task.done() for task in tasks) or any(event.is_set() for event in held)

    await until(reached)
    if any(event.is_set() for event in held):
        await asyncio.sleep(0.02)


async def ask(replica: Replica, department: str) -> dict[str, str]:
    moment = await replica.confirm()
    seen: dict[str, str] = {one.id: one.state for one in await replica.grants(department, moment.snapshot)}
    return seen | {TITLE: moment.snapshot.resources[resource().code].title}


@pytest.fixture(scope="module")
async def databases(postgres: EmbeddedPostgres) -> AsyncIterator[list[WatchedDatabase]]:
    """Two pools on one database, for all examples; each begins with what the one before left."""
    name = f"property_{uuid4().hex}"
    postgres.create_database(name)
    await upgrade(postgres.url(name))
    async with AsyncExitStack() as stack:
        both = [await stack.enter_async_context(await watched(postgres.url(name))) for _ in range(2)]
        await both[0].publish(change(resource(title="0")))
        await both[0].put_grants([grant(identity, owner) for identity, owner in OWNERS.items()])
        yield both
    postgres.drop_database(name)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps)
async def test_no_answer_is_older_than_a_second(databases: list[WatchedDatabase], steps: list[Step]) -> None:
    clock = Clock()
    truth = Truth()
    snapshot = await databases[0].load_snapshot(Zone.INTRANET)
    truth.commit(TITLE, snapshot.resources[resource().code].title, clock())
    for owner in set(OWNERS.values()):
        for one in await databases[0].load_grants(owner):
            truth.commit(one.id, one.state, clock())
    replicas = [Replica(database, Zone.INTRANET, clock=clock) for database in databases]
    asked: list[tuple[float, asyncio.Task[dict[str, str]]]] = []
    for step in steps:
        match step:
            case "pass", seconds:
                clock.value += seconds
            case "toggle", n, identity:
                suspended = truth.newest(identity) == GrantState.SUSPENDED
                state = GrantState.ACTIVE if suspended else GrantState.SUSPENDED
                await databases[n].set_grant_state(identity, state, by="office", reason="test")
                truth.commit(identity, state, clock())
            case "publish", n:
                title = str(int(truth.newest(TITLE)) + 1)
                await databases[n].publish(change(resource(title=title)))
                truth.commit(TITLE, title, clock())
            case "ask", n, department:
                asked.append((clock(), asyncio.create_task(ask(replicas[n], department))))
                await settle([task for _, task in asked], databases)
            case "hold", n, gate:
                held: Gate = getattr(databases[n], gate)
                held.shut()
            case ("release",):
                release(databases)
    release(databases)
    for came, task in asked:
        for seen, value in (await task).items():
            assert value in truth.allowed(seen, came)
    for replica in replicas:
        await replica.close()
