"""Webhooks in the platform database: who may register what, what is delivered when, and to nobody twice at once."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from tanglai.catalogue.model import Zone
from tanglai.catalogue.workflow.errors import InvalidAct, NotFound, NotPermitted, ProblemCode, WrongState
from tanglai.catalogue.workflow.parties import Acting, Role
from tanglai.catalogue.workflow.webhooks import (
    MAX_ATTEMPTS,
    MOST_WEBHOOKS,
    AllowedHosts,
    DeliveryState,
    kind_problems,
    wait_after,
)
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.keys import KeyStoreError
from tanglai.storage.replica import Replica
from tanglai.storage.workflow import applications, webhooks
from tanglai.storage.workflow.desk import Desk
from tanglai.storage.workflow.webhooks import Attempt, Delivery, Hooks, Webhook
from tests.unit.storage.sample import HEALTH, POLICE, RESIDENTS, change

HOSTS = AllowedHosts.read(["hooks.example.org", "other.example.org:8443"])
URL = "https://hooks.example.org/tanglai?of=health"
NOTICE = "INSERT INTO notice (department, kind, at, document) VALUES ($1, $2, clock_timestamp(), '{}')"


class Office:
    """A desk with the sample catalogue, and who acts there."""

    def __init__(self, platform: PlatformDatabase, replica: Replica, hosts: AllowedHosts) -> None:
        self.platform, self.replica = platform, replica
        self.desk, self.hooks = Desk(platform), Hooks(platform, hosts)

    async def acting(self, department: str = HEALTH, *roles: Role) -> Acting:
        moment = await self.replica.confirm()
        named = frozenset(role.value for role in roles or (Role.CLIENT_ADMINISTRATOR,))
        return Acting(department, "portal", "li", named, moment.now, moment.snapshot, "request-1")

    async def register(self, url: str = URL, *kinds: str, department: str = HEALTH) -> tuple[Webhook, str]:
        return await webhooks.register(self.desk, await self.acting(department), self.hooks, url, kinds)

    async def notify(self, kind: str = "TEST", department: str = HEALTH) -> None:
        async with self.platform.session() as connection:
            await connection.execute(NOTICE, department, kind)

    async def deliveries(self, webhook: Webhook, *states: DeliveryState) -> list[Delivery]:
        return await self.desk.read(
            lambda connection: webhooks.deliveries(
                connection, webhook.id, states or None, after=None, before=None, limit=100, last=False
            )
        )

    async def make_due(self) -> None:
        """As if the time had passed."""
        async with self.platform.session() as connection:
            await connection.execute(
                "UPDATE webhook_delivery SET next_attempt_at = clock_timestamp() WHERE state = 'PENDING'"
            )

    async def audited(self) -> list[tuple[str, str]]:
        async with self.platform.session() as connection:
            rows = await connection.fetch("SELECT operation_name, paths FROM audit_record ORDER BY id")
        return [(row["operation_name"], row["paths"][0]) for row in rows]


@pytest.fixture
async def office(platform: PlatformDatabase) -> Any:
    await platform.publish(change())
    async with Replica(platform, Zone.INTRANET) as replica:
        yield Office(platform, replica, HOSTS)


async def test_registering(office: Office) -> None:
    webhook, secret = await office.register(URL, "task", "notice.GRANT_ENDED", "task")
    assert (webhook.url, webhook.kinds, webhook.created_by) == (URL, ("task", "notice.GRANT_ENDED"), "li")
    assert len(bytes.fromhex(secret)) == 32
    assert (await office.register())[1] != secret
    read = await office.desk.read(lambda connection: webhooks.webhooks(connection, HEALTH))
    assert webhook in read
    assert await office.desk.read(lambda connection: webhooks.webhooks(connection, POLICE)) == []
    async with office.platform.session() as connection:
        kept = await connection.fetch("SELECT * FROM webhook")
    assert all(secret not in str(value) and bytes.fromhex(secret) not in row["sealed"] for row in kept for value in row)
    assert ("REGISTER_WEBHOOK", f"webhook/{webhook.id}/REGISTER_WEBHOOK") in await office.audited()


@pytest.mark.parametrize(
    ("url", "kinds", "field"),
    [
        ("http://hooks.example.org/", [], "url"),
        ("https://hooks.example.org:444/", [], "url"),
        ("https://hooks.example.org.evil.example/", [], "url"),
        ("https://evil.example#hooks.example.org", [], "url"),
        ("https://hooks.example.org@evil.example/", [], "url"),
        ("https://hooks.example.org\\@evil.example/", [], "url"),
        ("https://u:p@hooks.example.org/", [], "url"),
        ("https://hooks.example.org/#x", [], "url"),
        ("https://127.0.0.1/", [], "url"),
        ("https://[::1]/", [], "url"),
        ("https://[/", [], "url"),
        ("https://hooks.example.org:x/", [], "url"),
        ("https://hooks.example.org/ x", [], "url"),
        ("https://hooks.example.org/\n", [], "url"),
        ("https://hooks.exämple.org/", [], "url"),
        ("file:///etc/passwd", [], "url"),
        ("", [], "url"),
        ("https://hooks.example.org/" + "x" * 1000, [], "url"),
        (URL, ["task.NOTHING"], "kinds"),
        (URL, ["everything"], "kinds"),
        (URL, ["notice."], "kinds"),
        (URL, ["notice.x;y"], "kinds"),
    ],
)
async def test_what_is_refused(url: str, kinds: list[str], field: str) -> None:
    refusal = HOSTS.refusal(url)
    problems = kind_problems(kinds)
    assert (refusal is not None) == (field == "url")
    assert [problem.code for problem in problems] == [ProblemCode.UNKNOWN] * (field == "kinds")


async def test_who_may_not(office: Office) -> None:
    webhook, _ = await office.register()
    reviewer = await office.acting(HEALTH, Role.REVIEWER, Role.HEAD)
    for act in (
        webhooks.register(office.desk, reviewer, office.hooks, URL, []),
        webhooks.remove(office.desk, reviewer, webhook.id),
        webhooks.retry(office.desk, reviewer, "x"),
    ):
        with pytest.raises(NotPermitted):
            await act
    stranger = await office.acting(POLICE)
    with pytest.raises(NotFound):
        await webhooks.remove(office.desk, stranger, webhook.id)
    with pytest.raises(InvalidAct) as caught:
        await office.register("https://evil.example/", "nonsense")
    assert [problem.field for problem in caught.value.problems] == [("url",), ("kinds", "0")]
    for _ in range(MOST_WEBHOOKS - 1):
        await office.register()
    with pytest.raises(InvalidAct, match="at most"):
        await office.register()
    await webhooks.remove(office.desk, await office.acting(), webhook.id)
    await office.register()


async def test_nobody_is_told_where_the_operator_allows_none(platform: PlatformDatabase) -> None:
    assert AllowedHosts().refusal(URL) is not None


async def test_notices_and_tasks_are_enqueued_in_their_own_act(office: Office) -> None:
    everything, _ = await office.register()
    tasks, _ = await office.register(URL, "task.APPLICATION")
    some, _ = await office.register(URL, "notice.WANTED")
    police, _ = await office.register(department=POLICE)
    await office.notify("OTHER")
    await office.notify("WANTED")
    acting = await office.acting(HEALTH, Role.APPLICANT)
    matter = await applications.create(office.desk, acting, {"resource": RESIDENTS})

    def events(found: list[Delivery]) -> list[tuple[str, str | None, str | None]]:
        return [(one.event, one.matter, one.role) for one in found]

    task = ("task.APPLICATION", matter.id, "applicant")
    other, wanted = ("notice.OTHER", None, None), ("notice.WANTED", None, None)
    assert sorted(events(await office.deliveries(everything))) == sorted([other, wanted, task])
    assert events(await office.deliveries(tasks)) == [task]
    assert events(await office.deliveries(some)) == [wanted]
    assert await office.deliveries(police) == []
    # An act that is undone enqueues nothing.
    async with office.platform.session() as connection:
        undone = connection.transaction()
        await undone.start()
        await connection.execute(NOTICE, POLICE, "TEST")
        await undone.rollback()
    assert await office.deliveries(police) == []


async def test_a_delivery_that_comes_through(office: Office) -> None:
    webhook, secret = await office.register()
    await office.notify()
    (attempt,) = await webhooks.take(office.platform, 10)
    assert (attempt.url, attempt.secret, attempt.department) == (URL, secret, HEALTH)
    assert await webhooks.take(office.platform, 10) == []  # it is being tried
    assert await webhooks.settle(office.platform, attempt, 204, None) is DeliveryState.DELIVERED
    (found,) = await office.deliveries(webhook)
    assert (found.state, found.attempts, found.last_status, found.next_attempt_at) == ("DELIVERED", 1, 204, None)
    assert await webhooks.next_due(office.platform) is None
    assert await webhooks.forget_delivered(office.platform) == 0
    async with office.platform.session() as connection:
        await connection.execute(
            "UPDATE webhook_delivery SET last_attempt_at = last_attempt_at - $1::interval", timedelta(days=31)
        )
    assert await webhooks.forget_delivered(office.platform) == 1


@pytest.mark.parametrize("status", [None, 199, 301, 404, 500])
async def test_a_delivery_that_does_not(office: Office, status: int | None) -> None:
    webhook, _ = await office.register()
    await office.notify()
    for number in range(1, MAX_ATTEMPTS + 1):
        (attempt,) = await webhooks.take(office.platform, 10)
        state = await webhooks.settle(office.platform, attempt, status, "no answer" if status is None else None)
        assert state is (DeliveryState.PENDING if number < MAX_ATTEMPTS else DeliveryState.DEAD)
        assert await webhooks.take(office.platform, 10) == []  # not before its time
        await office.make_due()
    (dead,) = await office.deliveries(webhook)
    assert (dead.state, dead.attempts, dead.last_status) == (DeliveryState.DEAD, MAX_ATTEMPTS, status)
    assert await webhooks.forget_delivered(office.platform) == 0  # the dead are kept
    acting = await office.acting()
    with pytest.raises(NotFound):
        await webhooks.retry(office.desk, await office.acting(POLICE), dead.id)
    again = await webhooks.retry(office.desk, acting, dead.id)
    assert (again.state, again.attempts) == (DeliveryState.PENDING, 0)
    with pytest.raises(WrongState):
        await webhooks.retry(office.desk, acting, dead.id)
    (attempt,) = await webhooks.take(office.platform, 10)
    assert attempt.delivery.id == dead.id
    assert await webhooks.settle(office.platform, attempt, 200, None) is DeliveryState.DELIVERED


async def test_nodes_share_the_work(office: Office, url: str) -> None:
    """Every delivery is taken once, however many take at the same time."""
    for _ in range(3):
        await office.register()
    for _ in range(20):
        await office.notify()
    taken: list[Attempt] = []

    async def node() -> None:
        while attempts := await webhooks.take(office.platform, 5):
            taken.extend(attempts)

    await asyncio.gather(*(node() for _ in range(6)))
    ids = [attempt.delivery.id for attempt in taken]
    assert len(ids) == len(set(ids)) == 60


async def test_nobody_waits_for_what_another_is_taking(office: Office) -> None:
    await office.register()
    for _ in range(3):
        await office.notify()
    async with office.platform.session() as connection:
        taking = connection.transaction()
        await taking.start()
        mine = await connection.fetch(webhooks._TAKE, 2, 2, timedelta(minutes=1), [], [])
        async with asyncio.timeout(10):
            others = await webhooks.take(office.platform, 10)
        await taking.commit()
    assert (len(mine), len(others)) == (2, 1)
    assert {row["id"] for row in mine}.isdisjoint({attempt.delivery.id for attempt in others})


async def test_one_webhook_leaves_room_for_the_others(office: Office) -> None:
    busy, _ = await office.register(URL, "notice.MANY")
    calm, _ = await office.register(URL, "notice.ONE")
    for _ in range(50):
        await office.notify("MANY")
    await office.notify("ONE")
    taken = await webhooks.take(office.platform, 16)
    assert sorted(attempt.delivery.webhook for attempt in taken) == sorted([busy.id] * webhooks.PER_WEBHOOK + [calm.id])
    assert await webhooks.take(office.platform, 16, {busy.id: webhooks.PER_WEBHOOK}) == []


async def test_a_node_that_died_leaves_its_deliveries_to_others(office: Office) -> None:
    webhook, _ = await office.register()
    await office.notify()
    (lost,) = await webhooks.take(office.platform, 10)
    await office.make_due()  # its lease is over
    (attempt,) = await webhooks.take(office.platform, 10)
    assert (attempt.delivery.id, attempt.delivery.attempts) == (lost.delivery.id, 2)
    await webhooks.settle(office.platform, lost, 200, None)  # it comes back, too late: the try is not its own
    (found,) = await office.deliveries(webhook)
    assert found.state is DeliveryState.PENDING
    await webhooks.settle(office.platform, attempt, 200, None)
    (found,) = await office.deliveries(webhook)
    assert found.state is DeliveryState.DELIVERED


async def test_what_was_to_go_to_a_removed_webhook_is_dead(office: Office) -> None:
    webhook, _ = await office.register()
    await office.notify()
    (attempt,) = await webhooks.take(office.platform, 10)
    await office.notify()
    await webhooks.remove(office.desk, await office.acting(), webhook.id)
    await webhooks.settle(office.platform, attempt, 500, None)
    assert [one.state for one in await office.deliveries(webhook)] == [DeliveryState.DEAD] * 2
    await office.notify()
    assert len(await office.deliveries(webhook)) == 2
    with pytest.raises(NotFound):
        await webhooks.remove(office.desk, await office.acting(), webhook.id)
    with pytest.raises(NotFound):
        await webhooks.retry(office.desk, await office.acting(), attempt.delivery.id)


async def test_secrets_open_under_their_own_key_alone(office: Office) -> None:
    await office.register()
    await office.platform.rotate_key(webhooks.KEY_NAME)
    second, _ = await office.register()
    await office.notify()
    assert len(await webhooks.take(office.platform, 10)) == 2  # both generations are kept
    await office.make_due()
    async with office.platform.session() as connection:  # a secret that is put in another's place
        await connection.execute(
            "UPDATE webhook SET sealed = (SELECT sealed FROM webhook WHERE id <> $1), "
            "sealed_under = (SELECT sealed_under FROM webhook WHERE id <> $1) WHERE id = $1",
            second.id,
        )
    with pytest.raises(KeyStoreError):
        await webhooks.take(office.platform, 10)


async def test_pages_of_deliveries(office: Office) -> None:
    webhook, _ = await office.register()
    for _ in range(5):
        await office.notify()
    everything = await office.deliveries(webhook)
    keys = [webhooks.delivery_key(one) for one in everything]
    assert keys == sorted(keys)

    def page(**more: Any) -> Callable[[Any], Awaitable[list[Delivery]]]:
        wanted: dict[str, Any] = {"after": None, "before": None, "limit": 2, "last": False, **more}
        return lambda connection: webhooks.deliveries(connection, webhook.id, None, **wanted)

    assert await office.desk.read(page()) == everything[:2]
    assert await office.desk.read(page(after=keys[1])) == everything[2:4]
    assert await office.desk.read(page(last=True)) == everything[3:]
    assert await office.desk.read(page(last=True, before=keys[3])) == everything[1:3]
    assert await office.desk.read(page(after="nonsense")) == everything[:2]
    counted = await office.desk.read(lambda connection: webhooks.count(connection, webhook.id, [DeliveryState.DEAD]))
    assert counted == 0


def test_waits_grow_and_spread() -> None:
    longest = [wait_after(attempt, 1) for attempt in range(1, MAX_ATTEMPTS)]
    assert longest == [10, 30, 90, 270, 810, 2430, 7290, 21600, 21600]
    assert [wait_after(attempt, 0) for attempt in range(1, MAX_ATTEMPTS)] == [wait / 2 for wait in longest]
    assert 7 * 3600 < sum(longest) / 2 < sum(longest) < 16 * 3600


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "*",
        "*.example.org",
        "http://hooks.example.org",
        "https://a/b",
        "ftp://a",
        "a:x",
        "u@a",
        "a?b",
        "http://10.0.0.1",
    ],
)
def test_what_is_no_host(entry: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        AllowedHosts.read([entry])


def test_hosts_of_this_machine_may_be_without_tls() -> None:
    hosts = AllowedHosts.read(["http://127.0.0.1:9000", "HOOKS.example.org", "[2001:db8::1]:8443"])
    assert hosts.refusal("http://127.0.0.1:9000/x") is None
    assert hosts.refusal("http://127.0.0.1/x") is not None
    assert hosts.refusal("https://127.0.0.1:9000/x") is not None
    assert hosts.refusal("https://Hooks.Example.org/x") is None
    assert hosts.refusal("https://[2001:db8::1]:8443/x") is None
