"""A warm request costs the same however many grants and departments there are; a cold department costs one statement.

Real PostgreSQL under the replica; the source is in memory, for every call to it is the same by construction.
"""

import gc
import tracemalloc
from contextlib import aclosing
from dataclasses import replace
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from authz.decide import MaskKey
from authz.principal import Principal
from benchmarks import scale_data
from benchmarks.scale_data import PURPOSE
from resolvers.gateway import Gateway
from resolvers.requests import GraphQLRequest
from resolvers.seals import SealKey, Seals
from tanglai.catalogue.model import Zone
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.publishing import CatalogueChange
from tanglai.storage.quota_ledger import QuotaLedger
from tanglai.storage.replica import Replica
from tests.gateways import Answer, ListedAudit
from tests.memory import MemoryConnector
from tests.quotas import MemoryQuotas

DEPARTMENTS, GRANTS, RESOURCES = 500, 100_000, 4
REQUESTER, OWN = 1, 10
REQUESTS = 100
CONFIRMATION_EVERY = 10
QUERY = "{ data { group2 { things2(first: 20) { nodes { item1 item5 item9 } } } } }"


class Sources:
    """One source with one table, whatever the catalogue calls it."""

    def __init__(self) -> None:
        row = {"handle": 1} | {f"item{place}": None for place in range(scale_data.ITEMS)}
        self.connector_ = MemoryConnector(
            {("public", "thing"): [row | {"handle": n, "item0": f"k{n}", "item5": f"v{n}"} for n in range(20)]}
        )

    def connector(self, _: Any) -> MemoryConnector:
        return self.connector_


class Asking:
    """A gateway over a replica whose clock the test moves."""

    def __init__(self, platform: PlatformDatabase) -> None:
        self.now = 0.0
        self.replica = Replica(platform, Zone.EXTRANET, clock=lambda: self.now, timer=3_600.0)
        self.sources = Sources()
        self.gateway = Gateway(
            self.replica,
            self.sources,  # type: ignore[arg-type]
            ListedAudit(),  # type: ignore[arg-type]
            Seals((SealKey(1, bytes(range(64))),)),
            MaskKey("m1", b"mask secret"),
            quotas=QuotaLedger(MemoryQuotas()),
        )

    async def aclose(self) -> None:
        await self.replica.close()

    async def ask(self, department: int) -> Answer:
        who = Principal(scale_data.department(department), "app", purposes=frozenset({PURPOSE}))
        return Answer(await self.gateway.execute(GraphQLRequest(QUERY, None, {}, {}, who, None, "en", "r1", False)))


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every statement with arguments that any connection of this process is given."""
    seen: list[str] = []
    execute = asyncpg.Connection._do_execute

    async def noted(self: Any, query: str, *arguments: Any, **more: Any) -> Any:
        seen.append(query)
        return await execute(self, query, *arguments, **more)

    monkeypatch.setattr(asyncpg.Connection, "_do_execute", noted)
    return seen


@pytest.fixture
async def region(platform: PlatformDatabase) -> PlatformDatabase:
    """500 departments and 10 grants, all of one requester."""
    await scale_data.fill(platform, resources=RESOURCES, departments=DEPARTMENTS, grants=0)
    own = [
        replace(
            scale_data.grant(0, resources=RESOURCES),
            id=f"O-{n}",
            requester=scale_data.department(REQUESTER).code,
            resource=scale_data.code(2),
            valid_from=scale_data.SINCE + timedelta(days=n),
        )
        for n in range(OWN)
    ]
    await platform.put_grants(own, by="test")
    return platform


async def _crowd(platform: PlatformDatabase) -> None:
    """As many grants of all other departments as there are to be, recorded past the triggers, which take a minute."""
    async with platform.session() as connection, connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute(
            """
            INSERT INTO data_grant (id, requester, resource, purpose, state, valid_from, valid_to, document)
            SELECT 'G-' || n, who, resource, purpose, state, valid_from, valid_to,
                   document || jsonb_build_object('id', 'G-' || n, 'requester', who)
            FROM data_grant, generate_series(1, $1::int) n,
                 LATERAL (SELECT $2[1 + n % cardinality($2)] AS who) made
            WHERE id = 'O-0'
            """.replace("$2", "($2::text[])"),
            GRANTS - OWN,
            [scale_data.department(n).code for n in range(DEPARTMENTS) if n != REQUESTER],
        )
        await connection.execute("UPDATE epoch SET value = value + 1 WHERE name = 'grants'")
        await connection.execute(
            "INSERT INTO department_epoch SELECT DISTINCT requester, (SELECT value FROM epoch WHERE name = 'grants') "
            "FROM data_grant WHERE requester <> $1",
            scale_data.department(REQUESTER).code,
        )
    async with platform.session() as connection:
        await connection.execute("ANALYZE data_grant")


async def _cost(asking: Asking, statements: list[str]) -> tuple[int, list[str], int]:
    """Of 100 warm requests, ten of which need a confirmation: bytes allocated, statements, calls to the source."""
    for _ in range(20):
        assert (await asking.ask(REQUESTER)).errors == []
    allocated = 0
    calls = len(asking.sources.connector_.calls)
    statements.clear()
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        for n in range(REQUESTS):
            if n % CONFIRMATION_EVERY == 0:
                asking.now += 2.0
            tracemalloc.reset_peak()
            before, _ = tracemalloc.get_traced_memory()
            await asking.ask(REQUESTER)
            allocated += tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
        gc.enable()
    return allocated, list(statements), len(asking.sources.connector_.calls) - calls


async def test_a_warm_request_costs_the_same_with_10_and_with_100_000_grants(
    region: PlatformDatabase, statements: list[str]
) -> None:
    asking = Asking(region)
    async with aclosing(asking):  # not started: nothing asks but the requests
        few = await _cost(asking, statements)
        await _crowd(region)
        asking.now += 2.0
        for department in range(2, 12):  # a worker that has met others too
            assert (await asking.ask(department)).errors == []
        many = await _cost(asking, statements)
        await _one_statement(asking, region, statements)
    assert len(few[1]) == REQUESTS // CONFIRMATION_EVERY
    assert many[1] == few[1]
    assert many[2] == few[2] == REQUESTS
    assert abs(many[0] - few[0]) <= 0.01 * few[0], (few[0], many[0])


async def _one_statement(asking: Asking, platform: PlatformDatabase, statements: list[str]) -> None:
    """The first request of a department reads its grants by one statement, which an index answers; the next by none."""
    cold = scale_data.department(123)
    statements.clear()
    answer = await asking.ask(123)
    assert answer.errors == []
    assert answer.extensions["grants"] != []
    assert (await asking.ask(123)).errors == []
    (statement,) = statements
    held = (await asking.replica.department_grants(cold.code)).grants
    assert len(held) in (GRANTS // (DEPARTMENTS - 1), GRANTS // (DEPARTMENTS - 1) + 1)
    async with platform.session() as connection:
        lines = "\n".join([row[0] for row in await connection.fetch(f"EXPLAIN {statement}", cold.code)])
    assert "on data_grant_requester" in lines or "using data_grant_requester" in lines
    assert "Seq Scan on data_grant" not in lines


@pytest.mark.parametrize("resources", [8, 40])
async def test_a_publication_is_read_by_as_many_rows_however_many_resources_there_are(
    platform: PlatformDatabase, resources: int, statements: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await scale_data.fill(platform, resources=resources, departments=4, grants=0)
    before = await platform.load_snapshot(Zone.EXTRANET)
    await platform.publish(
        CatalogueChange(by="test", resources=(replace(before.resources[scale_data.code(3)], title="新"),))
    )
    rows = 0
    fetch = asyncpg.Connection.fetch

    async def counted(self: Any, query: str, *arguments: Any, **more: Any) -> Any:
        nonlocal rows
        found = await fetch(self, query, *arguments, **more)
        rows += len(found)
        return found

    monkeypatch.setattr(asyncpg.Connection, "fetch", counted)
    statements.clear()
    after = await platform.load_snapshot(Zone.EXTRANET, previous=before)
    assert after.resources[scale_data.code(3)].title == "新"
    assert rows == 3  # the resource and the two versions of its history
    assert len(statements) == 8  # the number, five registers, resources, history
    same = [code for code, resource in after.resources.items() if resource is before.resources[code]]
    assert len(same) == resources - 1
