"""In charge of the model's counterpart: a real database with people who act, and what of it is compared."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, time, timedelta
from itertools import permutations
from typing import Any, Self
from uuid import uuid4

import asyncpg

from tanglai.catalogue.model import GrantState
from tanglai.catalogue.workflow.errors import WorkflowError
from tanglai.catalogue.workflow.parties import Acting, by_platform
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.embedded import EmbeddedPostgres
from tanglai.storage.errors import PolicyUnavailable
from tanglai.storage.migrate import upgrade
from tanglai.storage.rows import decode
from tanglai.storage.workflow import clerk, grant_endings, reading
from tanglai.storage.workflow.desk import Desk
from tanglai.storage.workflow.matters import Matter as Row
from tests import office
from tests.office import Office
from tests.property.workflows import law
from tests.property.workflows.catalogue import RESOURCES
from tests.property.workflows.model import (
    DONE,
    Command,
    Grant,
    Matter,
    Published,
    World,
)

START = office.NOW.date()
Picture = dict[str, Any]
OUTAGE = "PolicyUnavailable"


def new_world() -> World:
    resources = {it.code: Published(it.provider, it.title) for it in RESOURCES}
    return World(law.MEASURES, START, resources)


class Copies:
    """Fresh databases of a server, each a copy of one with the catalogue of the plays."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        self.server = server
        self.made = f"stage_{uuid4().hex}"

    async def prepare(self) -> None:
        await asyncio.to_thread(self.server.create_database, self.made)
        await upgrade(self.server.url(self.made))
        async with await PlatformDatabase.open(self.server.url(self.made)) as platform:
            await Office.open(platform, RESOURCES)

    async def fresh(self) -> str:
        name = f"play_{uuid4().hex}"
        await self._admin(f"CREATE DATABASE {name} TEMPLATE {self.made} STRATEGY FILE_COPY")
        return self.server.url(name)

    async def drop(self, url: str) -> None:
        await self._admin(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")

    async def close(self) -> None:
        await self.drop(self.server.url(self.made))

    async def _admin(self, sql: str) -> None:
        connection = await asyncpg.connect(self.server.url("postgres"))
        try:
            await connection.execute(sql)
        finally:
            await connection.close()


class Stage:
    """Workers over one database, each with a pool of its own. Their clocks show noon of the world's day."""

    def __init__(self, workers: list[Office]) -> None:
        self.workers = workers

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, workers: int = 1) -> AsyncIterator[Self]:
        async with AsyncExitStack() as stack:
            offices = []
            for _ in range(workers):
                platform = await stack.enter_async_context(await PlatformDatabase.open(url, max_size=4))
                offices.append(Office(platform, Desk(platform)))
            yield cls(offices)

    def show(self, world: World) -> None:
        """Sets the workers' clocks and rules to those of the world."""
        for worker in self.workers:
            worker.rules = world.rules
            worker.now = datetime.combine(world.day, time(4, 0), UTC)

    async def perform(self, command: Command, worker: int = 0) -> tuple[str, Row | None]:
        """What came of a command: `DONE` with the matter, or the name of the error."""
        by = self.workers[worker % len(self.workers)]
        who = command.who
        try:
            acting = await by.acting(who.department, *who.roles, person=who.name)
            if command.act.opens:
                return DONE, await command.act.run(by.desk, acting, command.given, command.key)
            return DONE, await command.act.run(by.desk, acting, command.id, command.version, command.given)
        except (WorkflowError, PolicyUnavailable) as error:
            return type(error).__name__, None

    async def _platform(self) -> tuple[Desk, Acting]:
        by = self.workers[0]
        return by.desk, by_platform(await by.snapshot(), by.now, f"request-{next(by.requests)}")

    async def look_after(self) -> None:
        desk, acting = await self._platform()
        await clerk.flag_missed(desk, acting)
        await clerk.remind(desk, acting)
        await grant_endings.expire_due(desk, acting)

    async def expire(self, grant: str) -> None:
        """The end of the grant's validity comes."""
        async with self.workers[0].platform.session() as connection:
            await connection.execute("UPDATE data_grant SET valid_to = clock_timestamp() WHERE id = $1", grant)
        await grant_endings.expire_due(*(await self._platform()))

    async def set_state(self, grant: str, state: str) -> None:
        await self.workers[0].platform.set_grant_state(grant, GrantState(state), by="operator", reason="test")

    async def observe(self) -> Picture:
        return await self.workers[0].desk.read(_observe)

    async def readable(self, ids: list[str]) -> dict[str, set[str]]:
        """Which of the matters each department may read."""

        async def read(connection: Any) -> dict[str, set[str]]:
            return {one: set(await reading.visible(connection, one, ids)) for one in law.DEPARTMENTS}

        return await self.workers[0].desk.read(read)


async def _observe(connection: Any) -> Picture:
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        matters = await connection.fetch("SELECT * FROM matter")
        events = await connection.fetch("SELECT * FROM matter_event ORDER BY matter, version")
        audit = await connection.fetch("SELECT paths FROM audit_record WHERE document_kind = 'act'")
        tasks = await connection.fetch("SELECT matter, department, role, due_on FROM matter_task")
        clocks = await connection.fetch("SELECT * FROM deadline")
        grants = await connection.fetch("SELECT id, requester, resource, state, document FROM data_grant")
        basis = await connection.fetch("SELECT grant_id, matter FROM grant_basis")
        notices = await connection.fetch("SELECT matter, grant_id, resource, department, kind FROM notice")
        versions = await connection.fetch(
            "SELECT code, version, provider, title FROM resource_version WHERE retired_at IS NULL"
        )
    history: dict[str, list[Any]] = {row["id"]: [] for row in matters}
    for row in events:
        name = (row["department"], row["person"] or row["client"]) if row["department"] else (None, None)
        history[row["matter"]].append((row["version"], row["event"], row["from_state"], row["to_state"], *name))
    return {
        "matters": {
            row["id"]: (
                *(row["kind"], row["rule_set"], row["state"], row["version"], row["closed"]),
                *(row["requester"], row["provider"], row["coordinator"], row["resource"]),
                *(row["grant_id"], row["parent"]),
            )
            for row in matters
        },
        "events": history,
        "audit": Counter(path for row in audit for path in row["paths"]),
        "tasks": Counter((row["matter"], row["department"], row["role"], row["due_on"]) for row in tasks),
        "running": Counter(
            (
                row["matter"],
                row["kind"],
                row["department"],
                row["due_on"],
                row["paused_on"],
                row["flagged_at"] is not None,
            )
            for row in clocks
            if row["ended_on"] is None
        ),
        "ended": Counter((row["matter"], row["kind"], row["met"]) for row in clocks if row["ended_on"] is not None),
        "grants": {
            row["id"]: (
                row["requester"],
                row["resource"],
                row["state"],
                tuple(sorted(decode(row["document"])["items"])),
            )
            for row in grants
        },
        "basis": {row["grant_id"]: row["matter"] for row in basis},
        "notices": Counter(
            (row["matter"] or row["grant_id"] or row["resource"], row["department"], row["kind"]) for row in notices
        ),
        "catalogue": {row["code"]: (row["version"], row["provider"], row["title"]) for row in versions},
    }


def picture(world: World) -> Picture:
    """The same of the model, every matter of which has its id."""
    matters = {one.id: one for one in world.matters}
    clocks = [(id, clock) for id, one in matters.items() for clock in one.clocks]
    return {
        "matters": {
            id: (
                *(one.kind, one.rules, one.state, one.version, one.closed),
                *(one.requester, one.provider, one.coordinator, one.resource),
                one.grant.id if one.grant is not None else None,
                one.parent.id if one.parent is not None else None,
            )
            for id, one in matters.items()
        },
        "events": {id: [(n + 1, *event) for n, event in enumerate(one.events)] for id, one in matters.items()},
        "audit": Counter(f"{m.kind}/{id}/{event[0]}/{event[2]}" for id, m in matters.items() for event in m.events),
        "tasks": Counter((id, *task) for id, one in matters.items() if (task := one.task()) is not None),
        "running": Counter((id, c.kind, c.department, c.due, c.paused_on, c.flagged) for id, c in clocks if c.runs),
        "ended": Counter((id, c.kind, c.met) for id, c in clocks if not c.runs),
        "grants": {g.id: (g.requester, g.resource, g.state, tuple(sorted(g.items))) for g in world.grants},
        "basis": {grant.id: grant.basis.id for grant in world.grants},
        "notices": Counter((_named(about), department, kind) for about, department, kind in world.notices),
        "catalogue": {c: (it.version, it.provider, it.title) for c, it in world.resources.items() if not it.retired},
    }


def _named(about: Matter | Grant | str) -> str | None:
    return about if isinstance(about, str) else about.id


def settle(world: World, seen: Picture) -> list[str]:
    """Gives the ids of `seen` to what is new in the world; where the two then differ, nothing when they are one."""
    best: list[str] | None = None
    for _ in _naming(world, seen):
        found = differences(picture(world), seen)
        if not found:
            return []
        best = found if best is None or len(found) < len(best) else best
    return best if best is not None else [f"new: {_count(world)} expected, {_fresh(world, seen)} came"]


def _count(world: World) -> list[str]:
    return [one.kind for one in world.matters if one.id is None]


def _fresh(world: World, seen: Picture) -> list[str]:
    known = {one.id for one in world.matters}
    return sorted(id for id in seen["matters"] if id not in known)


def _naming(world: World, seen: Picture) -> Iterator[None]:
    new = [one for one in world.matters if one.id is None]
    grants = [one for one in world.grants if one.id is None]
    ids = _fresh(world, seen)
    if len(ids) != len(new):
        return
    for order in permutations(ids):
        if any(seen["matters"][id][0] != one.kind for id, one in zip(order, new, strict=True)):
            continue
        for id, one in zip(order, new, strict=True):
            one.id = id
        for grant in grants:
            grant.id = seen["matters"].get(grant.basis.id, (None,) * 11)[9]
        yield


def differences(expected: Picture, seen: Picture) -> list[str]:
    """Where the two pictures differ, in words for people."""
    found = []
    for name, wanted in expected.items():
        for key in sorted({*wanted, *seen[name]}, key=str):
            left, right = wanted.get(key), seen[name].get(key)
            if left != right:
                found.append(f"{name} {key}: expected {left}, found {right}")
    return found


def days(count: int) -> timedelta:
    return timedelta(days=count)
