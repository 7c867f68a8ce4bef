"""In charge of a small catalogue that the storage tests publish, change and grant on."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import Any, TypeVar

import asyncpg

from tanglai.catalogue.expressions import Column, Compare, CompareOp, ItemRef, Value
from tanglai.catalogue.masks import Mask, MaskKind
from tanglai.catalogue.model import (
    Binding,
    Branch,
    Category,
    Department,
    Division,
    Grant,
    GrantBasis,
    GrantState,
    Item,
    Key,
    Level,
    NamedMask,
    Names,
    Purpose,
    Quota,
    Relation,
    Resource,
    ShareClass,
    Source,
    UpdateCycle,
    Zone,
)
from tanglai.catalogue.scalars import ScalarType
from tanglai.storage.publishing import CatalogueChange

T = TypeVar("T")
POLICE = "11640000010000000A"
HEALTH = "11640000010000001B"
TAX = "11640000010000002C"
RESIDENTS = "1010101/1"
VEHICLES = "1010101/2"
START = datetime(2026, 1, 1, tzinfo=UTC)

DIVISIONS = (
    Division("640000", "宁夏回族自治区", "Ningxia", date(1958, 10, 25)),
    Division("640100", "银川市", "Yinchuan", date(1958, 10, 25)),
)
DEPARTMENTS = (
    Department(POLICE, "public-security", "公安厅", "Public Security", Level.REGION, "640000"),
    Department(HEALTH, "health", "卫生健康委员会", "Health Commission", Level.REGION, "640000"),
    Department(TAX, "taxation", "税务局", "Taxation", Level.REGION, "640000", competent=True),
)
PURPOSES = (Purpose("care", "医疗救助", "medical aid"), Purpose("audit", "审计", "audit"))
CATEGORIES = (Category("1", "基础", "basic"), Category("101", "人口", "population", "1"))
SOURCES = (
    Source(
        "police-db",
        "人口库",
        POLICE,
        "postgresql",
        Zone.INTRANET,
        MappingProxyType({"url": {"env": "POLICE"}, "pool": {"max": 4}, "hosts": ["a", "b"]}),
        date(2030, 1, 1),
    ),
)


def item(name: str, share_class: ShareClass = ShareClass.CONDITIONAL, **changes: Any) -> Item:
    return replace(Item(name, name, ScalarType.TEXT, share_class, name, Column(name, ScalarType.TEXT)), **changes)


def resource(code: str = RESIDENTS, title: str = "居民", **changes: Any) -> Resource:
    type_name = "R" + "".join(c for c in code if c.isalnum())
    base = Resource(
        code=code,
        version=1,
        title=title,
        summary="人口基本信息",
        branch=Branch.BASIC,
        category="101",
        provider=POLICE,
        share_class=ShareClass.CONDITIONAL,
        update_cycle=UpdateCycle.DAILY,
        zone=Zone.INTRANET,
        names=Names("population", f"all{type_name}", f"one{type_name}", type_name),
        binding=Binding("police-db", "population", "resident", Column("handle", ScalarType.LONG)),
        items=(
            item("name", ShareClass.UNCONDITIONAL),
            item("phone", masks=(NamedMask("tail", Mask(MaskKind.KEEP, 3, 4)),)),
            item("division"),
        ),
        keys=(Key(("name",)),),
    )
    return replace(base, **changes)


def related(many: bool, target: str, inverse: str, name: str) -> Relation:
    return Relation(name, name, target, ("name",), ("name",), many, ShareClass.CONDITIONAL, inverse, name)


def change(*resources: Resource, **others: Any) -> CatalogueChange:
    """The whole sample register with `resources`."""
    values: dict[str, Any] = {
        "by": "steward",
        "divisions": DIVISIONS,
        "departments": DEPARTMENTS,
        "purposes": PURPOSES,
        "categories": CATEGORIES,
        "sources": SOURCES,
        "resources": resources or (resource(),),
    }
    return CatalogueChange(**values | others)


def compare(name: str, value: str) -> Compare:
    return Compare(CompareOp.EQ, ItemRef(name, ScalarType.TEXT), Value(value, ScalarType.TEXT))


def grant(identity: str = "g1", requester: str = HEALTH, **changes: Any) -> Grant:
    base = Grant(
        id=identity,
        requester=requester,
        resource=RESIDENTS,
        items=frozenset({"phone"}),
        purpose="care",
        valid_from=START,
        valid_to=datetime(2126, 1, 1, tzinfo=UTC),
        basis=GrantBasis.APPLICATION,
        state=GrantState.ACTIVE,
        scope=compare("division", "640100"),
        masks=MappingProxyType({"phone": "tail"}),
        quota=Quota(rows=1000),
    )
    return replace(base, **changes)


async def until(ask: Callable[[], Awaitable[T]]) -> T:
    """The first true answer of `ask`, asked again and again for at most 20 s."""
    async with asyncio.timeout(20):
        while True:
            answer = await ask()
            if answer:
                return answer
            await asyncio.sleep(0.01)


async def blocked(connection: asyncpg.Connection) -> int:
    """The process id of a session of this database that waits for a lock, once there is one."""
    waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    pid: int = await until(lambda: connection.fetchval(waiting))
    return pid


async def epochs(connection: asyncpg.Connection) -> Mapping[str, int]:
    return dict(await connection.fetch("SELECT name, value FROM epoch"))
