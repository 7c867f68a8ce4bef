"""In charge of a small government for tests of disputes: three levels, their competent departments, data of two."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tanglai.catalogue.expressions import Column
from tanglai.catalogue.model import (
    BasisType,
    Binding,
    Department,
    Division,
    LegalBasis,
    Level,
    Resource,
    ShareClass,
    Zone,
)
from tanglai.catalogue.scalars import ScalarType
from tanglai.catalogue.workflow.parties import Acting, Role
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.workflow.desk import Desk
from tests.unit.storage.sample import CATEGORIES, DEPARTMENTS, DIVISIONS, HEALTH, POLICE, TAX, change, item, resource

REGION_OFFICE = TAX
"""The competent department of the region."""
CITY_OFFICE = "11640100010000003X"
CITY_TRAFFIC = "11640100010000004Y"
CITY_AID = "11640100010000005Q"
COUNTY_AID = "11640121010000006N"
GUYUAN_AID = "11640400010000007M"
RESIDENTS, ROADS = "1010101/1", "3010101/1"

BASIS = LegalBasis(BasisType.LAW, "个人信息保护法", "第二十八条")


def _department(code: str, key: str, level: Level, division: str, *, competent: bool = False) -> Department:
    return Department(code, key, key, key, level, division, competent=competent)


REGISTER = (
    *DEPARTMENTS,
    _department(CITY_OFFICE, "city-office", Level.CITY, "640100", competent=True),
    _department(CITY_TRAFFIC, "city-traffic", Level.CITY, "640100"),
    _department(CITY_AID, "city-aid", Level.CITY, "640100"),
    _department(COUNTY_AID, "county-aid", Level.COUNTY, "640121"),
    _department(GUYUAN_AID, "guyuan-aid", Level.CITY, "640400"),
)
PLACES = (
    *DIVISIONS,
    Division("640121", "永宁县", "Yongning", DIVISIONS[0].valid_from),
    Division("640400", "固原市", "Guyuan", DIVISIONS[0].valid_from),
)


def _table(name: str) -> Binding:
    return Binding("police-db", None, name, Column("handle", ScalarType.LONG))


def residents() -> Resource:
    """Of the region's police: name unconditional, phone and division conditional, illness not shared."""
    base = resource(RESIDENTS, binding=_table("residents"))
    return replace(base, items=(*base.items, item("illness", ShareClass.NOT_SHARED, legal_basis=BASIS)))


def roads() -> Resource:
    """Of the city's traffic department: plan is not shared."""
    items = (item("name", ShareClass.CONDITIONAL), item("plan", ShareClass.NOT_SHARED, legal_basis=BASIS))
    return resource(ROADS, "道路", binding=_table("roads"), provider=CITY_TRAFFIC, category="3", items=items, keys=())


@dataclass
class Government:
    """A desk over a platform database with the catalogue of this module; `now` is the moment of all acts."""

    platform: PlatformDatabase
    desk: Desk
    snapshot: Any
    now: datetime

    @classmethod
    async def of(cls, platform: PlatformDatabase, rule_set: str = "ningxia-measures") -> "Government":
        categories = (*CATEGORIES, replace(CATEGORIES[0], code="3"))
        await platform.publish(
            change(residents(), roads(), departments=REGISTER, divisions=PLACES, categories=categories)
        )
        snapshot = await platform.load_snapshot(Zone.INTRANET, rule_set=rule_set)
        return cls(platform, Desk(platform), snapshot, datetime.now(UTC))

    def by(self, department: str, role: Role, person: str | None = None, *, days: int = 0) -> Acting:
        """Somebody of `department` who holds `role`, `days` after now; by default one person for each role."""
        return Acting(
            department,
            "portal",
            person or role.value,
            frozenset({role.value}),
            self.now + timedelta(days=days),
            self.snapshot,
            "r1",
        )

    def applicant(self, department: str = HEALTH, **more: Any) -> Acting:
        return self.by(department, Role.APPLICANT, **more)

    def reviewer(self, department: str = POLICE, **more: Any) -> Acting:
        return self.by(department, Role.REVIEWER, **more)

    def head(self, department: str = POLICE, **more: Any) -> Acting:
        return self.by(department, Role.HEAD, **more)

    def coordinator(self, department: str = REGION_OFFICE, **more: Any) -> Acting:
        return self.by(department, Role.COORDINATOR, **more)

    async def rows(self, query: str, *arguments: Any) -> list[Any]:
        async with self.platform.session() as connection:
            return list(await connection.fetch(query, *arguments))

    async def notices(self, department: str) -> list[str]:
        """Kinds of what the department was told, the oldest first."""
        rows = await self.rows("SELECT kind FROM notice WHERE department = $1 ORDER BY id", department)
        return [row["kind"] for row in rows]

    async def tasks(self, matter: str) -> set[tuple[str, str]]:
        """Department and role of whomever `matter` waits for."""
        rows = await self.rows("SELECT department, role FROM matter_task WHERE matter = $1", matter)
        return {(row["department"], row["role"]) for row in rows}

    async def grants(self, department: str = HEALTH) -> dict[str, Any]:
        """The department's grants by id, as requests decide by them."""
        return {grant.id: grant for grant in await self.platform.load_grants(department)}


def wanted(items: str = "illness", resource: str = RESIDENTS, **more: Any) -> dict[str, Any]:
    """A complete consultation by both rule sets; `items` are names with spaces between."""
    return {
        "resource": resource,
        "items": items.split(),
        "purpose": "care",
        "duty": "urgent medical aid",
        "legalBasis": "Law on Basic Medical and Health Care, Art. 27",
        "scenario": "admission to hospital",
        "method": "query",
        "validTo": "2126-01-01",
        "need": "treatment depends on earlier illnesses",
    } | more
