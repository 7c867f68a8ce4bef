"""What a node that dies, two nodes at once, or a lost answer leave of an act."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import asyncpg
import pytest

from tanglai.catalogue.model import GrantState
from tanglai.catalogue.workflow.errors import Conflict, WorkflowError
from tanglai.catalogue.workflow.grant_life import SuspensionReason
from tanglai.catalogue.workflow.parties import by_platform
from tanglai.catalogue.workflow.webhooks import AllowedHosts, DeliveryState
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.errors import PolicyUnavailable
from tanglai.storage.workflow import applications, grant_endings, imports, suspensions, webhooks
from tanglai.storage.workflow.desk import Desk, Lock
from tanglai.storage.workflow.matters import Matter
from tanglai.storage.workflow.webhooks import Hooks
from tests.attack.book import Book
from tests.conftest import MASTER
from tests.granted import granted, of_kind, over_soon, rows, state
from tests.office import HEALTH, POLICE, Office
from tests.spreadsheets import resource_rows
from tests.unit.storage.workflow.test_applications import ASKED, submitted
from tests.unit.storage.workflow.test_imports import claimed, expire, started, worked

book = Book(__name__, "An act is done once, or not at all")


class Died(BaseException):
    """The node is gone."""


async def everything(office: Office) -> list[Any]:
    """What an act may leave: steps, tasks, deadlines, notices, grants, records."""
    tables = (
        "matter",
        "matter_event",
        "matter_task",
        "deadline",
        "notice",
        "data_grant",
        "grant_basis",
        "audit_record",
    )
    return [await rows(office, f"SELECT to_jsonb(t)::text FROM {table} t ORDER BY 1") for table in tables]


async def lives(statements: int, act: Coroutine[Any, Any, Matter], patch: pytest.MonkeyPatch) -> bool:
    """Whether `act` comes to its end on a node that dies after so many writing statements."""
    execute, left, task = asyncpg.Connection.execute, statements, asyncio.current_task()

    async def dying(self: Any, *arguments: Any, **more: Any) -> Any:
        nonlocal left
        if asyncio.current_task() is task:  # the pool puts its connections in order by tasks of its own
            if left == 0:
                raise Died
            left -= 1
        return await execute(self, *arguments, **more)

    with patch.context() as inner:
        inner.setattr(asyncpg.Connection, "execute", dying)
        try:
            await act
        except Died:
            return False
    return True


@book.attempt(1231, "A node that dies at any writing statement of an approval", "one transaction")
async def test_a_node_that_dies_in_an_act(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    matter = await submitted(office)
    reviewer = await office.acting(POLICE, "reviewer")
    before = await everything(office)
    statements = 0
    while not await lives(
        statements, applications.approve(office.desk, reviewer, matter.id, matter.version, {}), monkeypatch
    ):
        assert await everything(office) == before, statements
        statements += 1
    assert statements > 5
    assert len(await office.platform.load_grants(HEALTH)) == 1


@book.attempt(1232, "Two nodes that answer one application at once", "its version")
async def test_two_nodes(office: Office, url: str) -> None:
    matter = await submitted(office)
    reviewer = await office.acting(POLICE, "reviewer")
    async with await PlatformDatabase.open(url, master_key=MASTER) as other:
        done = await asyncio.gather(
            *(
                applications.approve(desk, reviewer, matter.id, matter.version, {})
                for desk in (office.desk, Desk(other), office.desk, Desk(other))
            ),
            return_exceptions=True,
        )
    assert sum(isinstance(it, Conflict) for it in done) == 3
    assert len(await office.platform.load_grants(HEALTH)) == 1


@book.attempt(1233, "An answer that was lost, and the same request again, at once and on another node", "its name")
async def test_lost_answers(office: Office, url: str) -> None:
    acting = await office.acting(HEALTH, "applicant")
    async with await PlatformDatabase.open(url, master_key=MASTER) as other:
        done = await asyncio.gather(
            *(applications.apply(desk, acting, ASKED, key="once") for desk in (office.desk, Desk(other)) * 4)
        )
    assert len({it.id for it in done}) == 1
    assert await rows(office, "SELECT id FROM matter") == [(done[0].id,)]
    assert len(await rows(office, "SELECT id FROM deadline")) == 1


@book.attempt(1234, "The platform database goes away in the middle of an act", "nothing of it is kept")
async def test_lost_connections(office: Office, url: str) -> None:
    matter = await submitted(office)
    reviewer = await office.acting(POLICE, "reviewer")
    before = await everything(office)
    with pytest.raises((PolicyUnavailable, WorkflowError)):
        await _cut_off(office, reviewer, matter.id)
    assert await everything(office) == before
    done = await applications.approve(office.desk, reviewer, matter.id, matter.version, {})
    assert done.state == "APPROVED"


async def _cut_off(office: Office, reviewer: Any, id: str) -> None:
    async with office.desk.work(reviewer, Lock.GRANTS) as work:
        matter = await work.matter(None, id)
        await work.take(matter, "REPLY", target="REFUSED", reason="r")
        pid = await work.connection.fetchval("SELECT pg_backend_pid()")
        async with office.platform.session() as killer:
            await killer.execute("SELECT pg_terminate_backend($1)", pid)


@book.attempt(1235, "A node that dies between two batches of an import, while another takes it over",
              "each batch once")  # fmt: skip
async def test_imports(office: Office) -> None:
    lines = [line for n in range(10, 14) for line in resource_rows(f"301/{n}", f"登记{n}", "姓名")]
    it, content = await started(office, *lines)
    first = await claimed(office, "a")
    await worked(office, first, content, batches=1)
    await expire(office, it.id)
    second = await claimed(office, "b")
    with pytest.raises(imports.Lost):
        await worked(office, first, content)
    await worked(office, second, content)
    await imports.finish(office.platform, second)
    entries = await rows(office, "SELECT resource, count(*) FROM matter WHERE kind = 'ENTRY' GROUP BY 1 ORDER BY 1")
    assert [tuple(row) for row in entries] == [(f"301/{n}", 1) for n in range(10, 14)]


@book.attempt(1236, "A delivery that two nodes take on at once, and one whose node died", "one lease at a time")
async def test_deliveries(office: Office, url: str) -> None:
    hooks = Hooks(office.platform, AllowedHosts.read(["hooks.example.org"]))
    administrator = await office.acting(POLICE, "client-administrator")
    await webhooks.register(office.desk, administrator, hooks, "https://hooks.example.org/", [])
    await submitted(office)
    async with await PlatformDatabase.open(url, master_key=MASTER) as other:
        taken = await asyncio.gather(*(webhooks.take(it, 10, {}) for it in (office.platform, other) * 3))
        ids = [attempt.delivery.id for attempts in taken for attempt in attempts]
        assert len(ids) == len(set(ids)) == 1
        async with office.platform.session() as connection:  # as if its lease were over
            await connection.execute("UPDATE webhook_delivery SET next_attempt_at = clock_timestamp()")
        (again,) = await webhooks.take(other, 10, {})
        assert again.delivery.id == ids[0]
        assert await webhooks.settle(other, again, 204, None) is DeliveryState.DELIVERED
        assert await webhooks.take(office.platform, 10, {}) == []


@book.attempt(1237, "Grants that run out while two nodes look, and while one is suspended", "told once, by one state")
async def test_endings(office: Office, url: str) -> None:
    await over_soon(office, "g1")
    await granted(office, "g2")
    acting = by_platform(await office.snapshot(), office.now, "r")
    reviewer = await office.acting(POLICE, "reviewer")
    async with await PlatformDatabase.open(url, master_key=MASTER) as other:
        done = await asyncio.gather(
            grant_endings.expire_due(office.desk, acting),
            grant_endings.expire_due(Desk(other), acting),
            suspensions.suspend(office.desk, reviewer, "g2", SuspensionReason.OTHER, "r", days=5),
            suspensions.suspend(Desk(other), reviewer, "g2", SuspensionReason.OTHER, "r", days=5),
            return_exceptions=True,
        )
    assert sum(isinstance(it, WorkflowError) for it in done) == 1
    assert await state(office, "g1") is GrantState.EXPIRED
    assert await state(office, "g2") is GrantState.SUSPENDED
    assert len(await of_kind(office, "SUSPENSION", "g2")) == 1
    told = await rows(office, "SELECT department, count(*) FROM notice WHERE grant_id = 'g1' GROUP BY 1")
    assert {row["count"] for row in told} == {1}


@book.attempt(1238, "Steps, grants and notices taken back by hand in the database", "triggers keep what was done")
async def test_history_stays(office: Office) -> None:
    matter = await submitted(office)
    reviewer = await office.acting(POLICE, "reviewer")
    await applications.approve(office.desk, reviewer, matter.id, matter.version, {})
    before = await everything(office)
    for statement in (
        "UPDATE matter SET state = 'SUBMITTED', closed = false",
        "UPDATE matter SET rule_set = 'order-809'",
        "DELETE FROM matter_event",
        "UPDATE matter_event SET person = 'another'",
        "UPDATE matter_event SET reason = ''",
        "DELETE FROM notice",
        "TRUNCATE deadline CASCADE",
        "DELETE FROM matter",
        "UPDATE grant_basis SET matter = ''",
        "DELETE FROM audit_record",
        f"INSERT INTO matter_task VALUES ('{matter.id}', '{POLICE}', 'reviewer', now(), NULL); "
        f"INSERT INTO matter_event VALUES ('{matter.id}', 4, 'REPLY', 'APPROVED', 'REFUSED', 'provider', 'reviewer', "
        f"'{POLICE}', 'c', 'p', now(), '', '{{}}', 'r')",
    ):
        async with office.platform.session() as connection:
            with pytest.raises(asyncpg.PostgresError):
                await _whole(connection, statement)
    assert await everything(office) == before


async def _whole(connection: Any, statement: str) -> None:
    async with connection.transaction():
        await connection.execute(statement)
