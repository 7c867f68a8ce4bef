"""In charge of freshness as a requester meets it: whole requests to two workers, a clock moved by hand, real storage.

What a replica knows when is tested in `test_storage_freshness.py`; here the caches of decisions and plans are between
it and the answer, warm unless a test says otherwise.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from authz.decide import MaskKey
from authz.principal import Principal
from resolvers.gateway import Gateway
from resolvers.requests import GraphQLRequest
from resolvers.seals import SealKey, Seals
from tanglai.catalogue.expressions import TRUE
from tanglai.catalogue.model import Grant, GrantBasis, GrantState, ShareClass, Zone
from tanglai.catalogue.quotas import day_of
from tanglai.storage.embedded import EmbeddedPostgres
from tanglai.storage.epochs import Epochs
from tanglai.storage.errors import PolicyUnavailable
from tanglai.storage.grants import DepartmentGrants
from tanglai.storage.migrate import upgrade
from tanglai.storage.replica import Replica
from tanglai.storage.rule_periods import switch
from tests.gateways import Answer, ListedAudit
from tests.memory import MemorySources
from tests.property.test_storage_freshness import Truth
from tests.unit.storage.gates import Clock, Gate, WatchedDatabase
from tests.unit.storage.sample import (
    DEPARTMENTS,
    HEALTH,
    change,
    grant,
    item,
    resource,
    until,
)

ROWS = {
    "police-db": {
        "resident": [
            {"handle": n, "name": f"n{n}", "phone": f"1380000000{n}", "division": "640100"} for n in range(1, 5)
        ]
    }
}
OPEN, SHUT = ShareClass.UNCONDITIONAL, ShareClass.CONDITIONAL
FIELD = resource().names.list
PHONES = f"{{ data {{ population {{ {FIELD}(first: 2) {{ nodes {{ phone }} }} }} }} }}"
NAMES = PHONES.replace("phone", "name")
PAGE = (
    f"query ($c: String) {{ data {{ population {{ {FIELD}(first: 2, after: $c) "
    "{ nodes { phone } pageInfo { endCursor } } } } }"
)
CATALOGUE = "{ me { client } catalogue { resources(first: 1) { nodes { code } } } }"
FIRST = [{"phone": "13800000001"}, {"phone": "13800000002"}]
FOREVER = 10.0**6  # seconds: the clock of such a replica moves and nothing else is confirmed
KNOWN = Principal(DEPARTMENTS[1], "app", purposes=frozenset({"care"}))
assert KNOWN.department.code == HEALTH


class FailingDatabase(WatchedDatabase):
    """The platform database of one worker. `blind`: its epoch cannot be read; `mute`: nor can grants be."""

    blind = False
    mute = False

    async def confirm(self, since: int | None = None) -> Epochs:
        if self.blind:
            raise PolicyUnavailable
        return await super().confirm(since)

    async def load_department(self, department: str, resources: Any = None) -> DepartmentGrants:
        if self.mute:
            raise PolicyUnavailable
        return await super().load_department(department, resources)


@dataclass
class Worker:
    """One worker: its own pool, replica and gateway, over sources of its own."""

    database: FailingDatabase
    replica: Replica
    sources: MemorySources = field(default_factory=lambda: MemorySources(ROWS))
    audit: ListedAudit = field(default_factory=ListedAudit)

    def __post_init__(self) -> None:
        self.gateway = Gateway(
            self.replica,
            self.sources,  # type: ignore[arg-type]
            self.audit,  # type: ignore[arg-type]
            Seals((SealKey(1, bytes(range(64))),)),
            MaskKey("m1", b"mask secret"),
        )

    async def ask(self, query: str = PHONES, **variables: Any) -> Answer:
        self.sources.forget()
        request = GraphQLRequest(query, None, variables, {}, KNOWN, None, "en", uuid4().hex, False)
        return Answer(await self.gateway.execute(request))

    async def rows(self, query: str = PHONES, **variables: Any) -> Any:
        return rows_of(await self.ask(query, **variables))

    @property
    def plans(self) -> int:
        """How many plans are kept."""
        assert self.gateway._served is not None
        return len(self.gateway._served.plans._plans)


def rows_of(answer: Answer) -> Any:
    return answer.data["data"]["population"][FIELD]["nodes"]


def open_grant(id: str = "a", **changes: Any) -> Grant:
    """A grant on phones of all rows."""
    return grant(id, HEALTH, scope=TRUE, masks={}, quota=None, **changes)


def people(name: ShareClass = SHUT) -> Any:
    """The sample's residents, names of class `name`."""
    items = (item("name", name), item("phone"), item("division"))
    return resource(items=items, keys=(), binding=replace(resource().binding, namespace=None))


@pytest.fixture
async def url(database: str) -> str:
    """A platform database of its own."""
    await upgrade(database)
    return database


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def worker(stack: AsyncExitStack, url: str, clock: Clock, *, deaf: bool = True, fresh: float = 1.0) -> Worker:
    """A worker that follows changes; deaf: every notification is lost."""
    database = await stack.enter_async_context(await FailingDatabase.open(url))
    database.confirms, database.snapshots, database.grants = Gate(), Gate(), Gate()
    database.deaf = deaf
    replica = Replica(database, Zone.INTRANET, clock=clock, fresh=fresh, timer=3600)
    return Worker(database, replica)


@asynccontextmanager
async def workers(url: str, clock: Clock, *grants: Grant, **how: Any) -> AsyncIterator[tuple[Worker, Worker]]:
    """Two workers on one catalogue; the requester holds `grants`, by default one of all phones. Nobody asked yet."""
    async with AsyncExitStack() as stack:
        one, two = [await worker(stack, url, clock, **how) for _ in range(2)]
        await one.database.publish(change(people()))
        await one.database.put_grants(grants or [open_grant()])
        for each in (one, two):
            await stack.enter_async_context(each.replica)
        yield one, two


async def suspend(by: Worker, id: str = "a") -> None:
    await by.database.set_grant_state(id, GrantState.SUSPENDED, by="office", reason="misuse")


# --- revocation ----------------------------------------------------------------------------------------------------


async def test_a_second_after_a_revocation_no_worker_answers(url: str, clock: Clock) -> None:
    """Notifications are lost, decisions and plans are warm: the next request of either worker gets no row."""
    async with workers(url, clock) as both:
        for one in both:
            assert await one.rows() == await one.rows() == FIRST
            assert one.plans == 1
        await suspend(both[0])
        clock.value += 1.0
        for one in both:
            answer = await one.ask()
            assert rows_of(answer) == []
            assert answer.codes == ["GRANT_SUSPENDED"]
            assert one.sources.calls == []
            assert one.audit.records[-1].codes == ("GRANT_SUSPENDED",)
        await both[1].database.set_grant_state("a", GrantState.ACTIVE, by="office", reason="cleared")
        clock.value += 1.0
        for one in both:
            assert await one.rows() == FIRST


async def test_less_than_a_second_is_what_a_worker_may_not_know(url: str, clock: Clock) -> None:
    """The bound is used, not undercut: without a notification a fresh worker asks nobody."""
    async with workers(url, clock) as both:
        for one in both:
            assert await one.rows() == FIRST
        asked = [one.database.confirms.asked for one in both]
        await suspend(both[0])
        clock.value += 0.999
        for one in both:
            assert await one.rows() == FIRST
        assert [one.database.confirms.asked for one in both] == asked
        clock.value += 0.001
        for one in both:
            assert await one.rows() == []


async def test_a_second_after_a_switch_of_the_rule_set_every_worker_follows_it(url: str, clock: Clock) -> None:
    """Decisions and plans are warm; the catalogue is the same, and so is its number."""
    async with workers(url, clock) as both:
        await both[0].database.publish(change(people(OPEN)))
        clock.value += 1.0
        named = [{"name": "n1"}, {"name": "n2"}]
        for one in both:
            assert await one.rows(NAMES) == await one.rows(NAMES) == named
        database = both[0].database
        day = day_of(await database.pool.fetchval("SELECT clock_timestamp()"))
        await switch(database, Zone.INTRANET, "order-809", day, by="x", reason="x", default="ningxia-measures")
        clock.value += 0.999
        for one in both:
            assert await one.rows(NAMES) == named
        clock.value += 0.001
        for one in both:
            answer = await one.ask(NAMES)
            assert rows_of(answer) == [{"name": None}, {"name": None}]
            assert answer.codes == ["GRANT_REQUIRED"]
            assert answer.errors[0]["extensions"]["article"] == "Order 809 Art. 21"
            assert await one.rows() == FIRST
        transition = open_grant("t", items=frozenset({"name"}), basis=GrantBasis.TRANSITION)
        await database.put_grants([transition])
        clock.value += 1.0
        for one in both:
            assert await one.rows(NAMES) == named


async def test_a_notification_is_sooner(url: str, clock: Clock) -> None:
    """With notifications the clock need not move at all."""
    async with workers(url, clock, deaf=False) as both:
        for one in both:
            assert await one.rows() == FIRST
        await suspend(both[0])
        for one in both:

            async def refused(one: Worker = one) -> bool:
                return (await one.ask()).codes == ["GRANT_SUSPENDED"]

            await until(refused)


async def test_a_worker_that_lost_its_listener_still_knows_after_a_second(url: str, clock: Clock) -> None:
    async with workers(url, clock, deaf=False) as both:
        for one in both:
            assert await one.rows() == FIRST
        await both[0].database.pool.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tanglai listen' "
            "AND datname = current_database()"
        )
        await suspend(both[0])
        clock.value += 1.0
        for one in both:
            assert (await one.ask()).codes == ["GRANT_SUSPENDED"]


async def test_a_late_answer_about_the_past_is_not_believed(url: str, clock: Clock) -> None:
    """A confirmation that began before the revocation comes back a second after it: the request asks once more."""
    async with workers(url, clock) as (one, two):
        assert await one.rows() == FIRST
        clock.value += 1.0
        one.database.confirms.shut()
        early = asyncio.create_task(one.ask())
        await one.database.confirms.held.wait()
        await suspend(two)
        clock.value += 1.0
        late = asyncio.create_task(one.ask())
        await asyncio.sleep(0)
        one.database.confirms.open()
        assert rows_of(await early) in (FIRST, [])  # it came before the second was over
        assert rows_of(await late) == []


async def test_an_old_cursor_decides_anew_on_another_worker(url: str, clock: Clock) -> None:
    async with workers(url, clock) as (one, two):
        first = (await one.ask(PAGE)).data["data"]["population"][FIELD]
        assert first["nodes"] == FIRST
        cursor = first["pageInfo"]["endCursor"]
        assert await two.rows(PAGE, c=cursor) == [{"phone": "13800000003"}, {"phone": "13800000004"}]
        await suspend(one)
        clock.value += 1.0
        for each in (one, two):
            answer = await each.ask(PAGE, c=cursor)
            assert (rows_of(answer), answer.codes, each.sources.calls) == ([], ["GRANT_SUSPENDED"], [])


async def test_a_stricter_class_is_known_a_second_later(url: str, clock: Clock) -> None:
    """What is shared comes with the catalogue, whose epoch is confirmed by the same statement."""
    async with workers(url, clock) as both:
        await both[0].database.publish(change(people(OPEN)))
        clock.value += 1.0
        for one in both:
            assert await one.rows(NAMES) == await one.rows(NAMES) == [{"name": "n1"}, {"name": "n2"}]
        await both[0].database.publish(change(people(SHUT)))
        clock.value += 1.0
        for one in both:
            answer = await one.ask(NAMES)
            assert (rows_of(answer), answer.codes) == ([{"name": None}] * 2, ["GRANT_REQUIRED"])


# --- what cannot be confirmed --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query", [PHONES, NAMES, CATALOGUE, "{ __typename }"], ids=["granted", "open", "fixed", "none"]
)
async def test_without_the_epoch_everything_is_refused(url: str, clock: Clock, query: str) -> None:
    """docs/decisions/0010: unconditional data too, for whether it is unconditional is not known either."""
    async with workers(url, clock) as (one, two):
        await one.database.publish(change(people(OPEN)))
        clock.value += 1.0
        for each in (one, two):
            assert (await each.ask(query)).errors == []
        one.database.blind = True
        clock.value += 0.999
        assert (await one.ask(query)).errors == []  # what was confirmed within the second holds
        clock.value += 0.001
        for _ in range(2):
            answer = await one.ask(query)
            assert answer.codes == ["POLICY_UNAVAILABLE"]
            assert answer.response.status == 503
            assert "data" not in answer.body
            assert one.sources.calls == []
        assert (await two.ask(query)).errors == []  # the other worker can still see
        one.database.blind = False
        assert (await one.ask(query)).errors == []


async def test_a_worker_that_cannot_read_grants_refuses(url: str, clock: Clock) -> None:
    """The epoch is confirmed, but what the department holds is not known: no data, open or not."""
    async with workers(url, clock) as (one, _):
        one.database.mute = True
        for query in (PHONES, NAMES):
            answer = await one.ask(query)
            assert (answer.codes, answer.response.status) == (["POLICY_UNAVAILABLE"], 503)
            assert one.sources.calls == []
        one.database.mute = False
        assert await one.rows() == FIRST


async def test_what_was_revoked_while_a_worker_was_blind_is_gone_when_it_sees(url: str, clock: Clock) -> None:
    async with workers(url, clock) as (one, two):
        assert await one.rows() == FIRST
        one.database.blind = True
        await suspend(two)
        clock.value += 1.0
        assert (await one.ask()).codes == ["POLICY_UNAVAILABLE"]
        one.database.blind = False
        assert (await one.ask()).codes == ["GRANT_SUSPENDED"]


# --- by the clock alone --------------------------------------------------------------------------------------------


TICK = timedelta(microseconds=1)


async def test_a_grant_ends_to_the_microsecond_without_any_event(url: str, clock: Clock) -> None:
    """Decision and plan are warm until the last microsecond; no statement is made in between."""
    async with workers(url, clock, fresh=FOREVER) as both:
        ends = (await both[0].replica.confirm()).now + timedelta(seconds=10)
        await both[0].database.put_grants([open_grant(valid_to=ends)])
        for one in both:
            await at(clock, one, ends - TICK)
            assert await one.rows() == await one.rows() == FIRST
            asked, plans = one.database.confirms.asked, one.plans
            assert await one.rows() == FIRST
            assert one.plans == plans == 1
            await at(clock, one, ends)
            answer = await one.ask()
            assert (rows_of(answer), answer.codes) == ([], ["GRANT_EXPIRED"])
            assert one.sources.calls == []
            assert one.database.confirms.asked == asked


async def test_a_grant_begins_to_the_microsecond_with_warm_caches(url: str, clock: Clock) -> None:
    async with workers(url, clock, fresh=FOREVER) as both:
        begins = (await both[0].replica.confirm()).now + timedelta(seconds=10)
        await both[0].database.put_grants([open_grant(valid_from=begins)])
        for one in both:
            await at(clock, one, begins - TICK)
            for _ in range(2):
                answer = await one.ask()
                assert (rows_of(answer), answer.codes) == ([], ["GRANT_NOT_YET_VALID"])
            assert one.plans == 1
            await at(clock, one, begins)
            assert await one.rows() == FIRST


async def test_one_grant_takes_over_from_another_in_the_same_microsecond(url: str, clock: Clock) -> None:
    """At no moment is there a gap, and at none do both count."""
    async with workers(url, clock, fresh=FOREVER) as (one, _):
        turn = (await one.replica.confirm()).now + timedelta(seconds=10)
        await one.database.put_grants([open_grant(valid_to=turn), open_grant("b", valid_from=turn)])
        for moment, id in ((turn - TICK, "a"), (turn, "b")):
            await at(clock, one, moment)
            for _ in range(2):
                answer = await one.ask()
                assert (rows_of(answer), answer.extensions["grants"]) == (FIRST, [id])


async def at(clock: Clock, one: Worker, moment: datetime) -> None:
    """Moves the clock until `one` decides by `moment`."""
    clock.value += (moment - (await one.replica.confirm()).now).total_seconds()
    assert (await one.replica.confirm()).now == moment


# --- whatever comes in which order ---------------------------------------------------------------------------------


which = st.sampled_from((0, 1))
steps = st.lists(
    st.one_of(
        st.tuples(st.just("pass"), st.sampled_from((0.5, 0.999, 1.0))),
        st.tuples(st.just("toggle"), which),
        st.tuples(st.just("publish"), which),
        st.tuples(st.just("ask"), which),
        st.tuples(st.just("ask"), which),
        st.tuples(st.just("blind"), which),
    ),
    max_size=16,
)


@pytest.fixture(scope="module")
async def kept(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    """A platform database for all examples; each begins with what the one before left."""
    name = f"freshness_{uuid4().hex}"
    postgres.create_database(name)
    await upgrade(postgres.url(name))
    yield postgres.url(name)
    postgres.drop_database(name)


BOTH = f"{{ data {{ population {{ {FIELD}(first: 1) {{ nodes {{ name phone }} }} }} }} }}"


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps)
async def test_no_answer_shows_what_was_closed_a_second_before(kept: str, steps: list[tuple[str, Any]]) -> None:
    """Grants and classes change on either worker, either goes blind and sees again, no notification arrives."""
    clock, truth = Clock(), Truth()
    async with workers(kept, clock) as both:
        held = (await both[0].database.load_grants(HEALTH))[0]
        truth.commit("phone", held.state, clock())
        truth.commit("name", SHUT, clock())
        for step, argument in steps:
            match step:
                case "pass":
                    clock.value += argument
                case "toggle":
                    active = truth.newest("phone") == GrantState.ACTIVE
                    state = GrantState.SUSPENDED if active else GrantState.ACTIVE
                    await both[argument].database.set_grant_state("a", state, by="office", reason="test")
                    truth.commit("phone", state, clock())
                case "publish":
                    share_class = SHUT if truth.newest("name") == OPEN else OPEN
                    await both[argument].database.publish(change(people(share_class)))
                    truth.commit("name", share_class, clock())
                case "blind":
                    both[argument].database.blind = not both[argument].database.blind
                case "ask":
                    told(await both[argument].ask(BOTH), truth, clock(), both[argument].database.blind)


def told(answer: Answer, truth: Truth, came: float, blind: bool) -> None:
    """An answer shows nothing but what was open at some time within the last second."""
    if answer.codes == ["POLICY_UNAVAILABLE"]:
        assert blind
        return
    node = (rows_of(answer) or [{"name": None, "phone": None}])[0]
    shown = {"phone": GrantState.ACTIVE, "name": OPEN}
    for name, opened in shown.items():
        allowed = truth.allowed(name, came)
        assert opened in allowed if node[name] is not None else allowed != {opened}
