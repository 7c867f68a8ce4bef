"""In charge of the law's work in tests: a region of departments on a real database, and people who act in roles.

    office = await Office.open(platform, resources=(...))
    done = await office.ask(HEALTH, "mutation ($input: ApplicationInput!) { ... }", roles="applicant", input={...})
    matter = await applications.submit(office.desk, office.acting(HEALTH, "applicant"), id, 1)

Time stands still at `office.now` until a test moves it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any, Self

from graphql import ExecutionResult, parse, validate

from authz.decide import Asking, MaskKey
from authz.explain import AccessReport, explain
from authz.principal import Principal
from authz.words import Language
from schema.context import Describe, RequestContext
from schema.execution import execute_fixed
from schema.unified import UnifiedSchema, build
from tanglai.catalogue.model import (
    Branch,
    Category,
    Department,
    Division,
    Level,
    Purpose,
    Resource,
    ShareClass,
    Snapshot,
    Source,
    Zone,
)
from tanglai.catalogue.rules import rule_set
from tanglai.catalogue.workflow.parties import Acting, Role
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.publishing import CatalogueChange
from tanglai.storage.workflow.desk import Desk
from tests.catalogues import make_item, make_resource

OFFICE = "11640000MB1A00001X"  # the region's competent department
POLICE = "11640000MB1A000021"
HEALTH = "11640000MB1A000034"
CITY_OFFICE = "11640100MB1A00005Q"
CITY_POLICE = "11640100MB1A000064"
OTHER_CITY = "11640200MB1A00007X"
COUNTY = "11640104MB1A000085"  # of the first city; without a competent department of its own

DEPARTMENTS = (
    Department(OFFICE, "data-office", "数据局", "Data Office", Level.REGION, "640000", competent=True),
    Department(POLICE, "public-security", "公安厅", "Public Security", Level.REGION, "640000"),
    Department(HEALTH, "health", "卫生健康委员会", "Health Commission", Level.REGION, "640000"),
    Department(CITY_OFFICE, "city-data", "银川市数据局", "Yinchuan Data", Level.CITY, "640100", competent=True),
    Department(CITY_POLICE, "city-police", "银川市公安局", "Yinchuan Police", Level.CITY, "640100"),
    Department(OTHER_CITY, "other-city", "石嘴山市民政局", "Shizuishan Civil Affairs", Level.CITY, "640200"),
    Department(COUNTY, "county", "兴庆区民政局", "Xingqing Civil Affairs", Level.COUNTY, "640104"),
)
DIVISIONS = (
    Division("640000", "宁夏回族自治区", "Ningxia", date(1958, 10, 25)),
    Division("640100", "银川市", "Yinchuan", date(1958, 10, 25)),
    Division("640104", "兴庆区", "Xingqing", date(2002, 10, 1)),
    Division("640200", "石嘴山市", "Shizuishan", date(1960, 1, 1)),
)
PURPOSES = (Purpose("care", "医疗救助", "medical aid"), Purpose("audit", "审计", "audit"))
CATEGORIES = (Category("3", "部门", "departmental"), Category("301", "公安", "public security", "3"))
NOW = datetime(2026, 9, 18, 2, 0, tzinfo=UTC)  # a Friday before a make-up day and a long holiday


def permits(code: str = "301/1", word: str = "permit", **changes: Any) -> Resource:
    """A resource of the police: `name` unconditional, `phone` and `address` conditional, `note` not shared."""
    items = (
        make_item("name", share_class=ShareClass.UNCONDITIONAL),
        make_item("phone", share_class=ShareClass.CONDITIONAL),
        make_item("address", share_class=ShareClass.CONDITIONAL),
        make_item("division", share_class=ShareClass.CONDITIONAL),
        make_item("note", share_class=ShareClass.NOT_SHARED),
    )
    made: dict[str, Any] = {"code": code, "category": "301", "provider": DEPARTMENTS[1], "branch": Branch.DEPARTMENTAL}
    return make_resource(word, items, **(made | changes))


@dataclass
class Office:
    """A platform database with departments, a catalogue and a desk; whoever acts, acts at `now`."""

    platform: PlatformDatabase
    desk: Desk
    rules: str = "ningxia-measures"
    now: datetime = NOW
    language: Language = "en"
    zone: Zone = Zone.EXTRANET
    requests: Any = field(default_factory=lambda: count(1))
    describe: Describe | None = None
    _snapshot: Snapshot | None = None
    _schema: UnifiedSchema | None = None

    @classmethod
    async def open(
        cls, platform: PlatformDatabase, resources: Iterable[Resource] | None = None, *, rules: str = "ningxia-measures"
    ) -> Self:
        """The region with `resources`, by default one of the police and one of the city's police."""
        given = tuple(resources) if resources is not None else (permits(),)
        sources = {resource.binding.source for resource in given}
        await platform.publish(
            CatalogueChange(
                by="test",
                divisions=DIVISIONS,
                departments=DEPARTMENTS,
                purposes=PURPOSES,
                categories=CATEGORIES,
                sources=tuple(
                    Source(
                        key,
                        key,
                        next(it.provider for it in given if it.binding.source == key),
                        "postgresql",
                        Zone.EXTRANET,
                        {"url": {"env": "SOURCE"}},
                    )
                    for key in sorted(sources)
                ),
                resources=given,
            )
        )
        return cls(platform, Desk(platform), rules)

    def pass_days(self, days: int) -> None:
        """Lets calendar days pass."""
        self.now += timedelta(days=days)

    async def snapshot(self) -> Snapshot:
        """The catalogue as published now."""
        self._snapshot = await self.platform.load_snapshot(self.zone, rule_set=self.rules, previous=self._snapshot)
        return self._snapshot

    async def acting(self, department: str, *roles: str, person: str | None = None) -> Acting:
        """Somebody of `department`; without `person` one who is named after the roles."""
        name = person or "-".join(roles) or "nobody"
        return Acting(
            department,
            "portal",
            name,
            frozenset(Role(role).value for role in roles),
            self.now,
            await self.snapshot(),
            f"request-{next(self.requests)}",
        )

    async def run(
        self,
        department: str,
        text: str,
        *,
        roles: str = "",
        person: str | None = None,
        **variables: Any,
    ) -> ExecutionResult:
        """One operation of the fixed part as somebody of `department` with `roles`, separated by spaces."""
        snapshot = await self.snapshot()
        if self._schema is None or self._schema.snapshot is not snapshot:
            self._schema = build(snapshot)
        held = frozenset(roles.split())
        principal = Principal(
            snapshot.departments[department],
            "portal",
            person or "-".join(sorted(held)) or "nobody",
            roles=held,
            purposes=frozenset(purpose.code for purpose in PURPOSES),
        )
        grants = await self.platform.load_grants(department)
        asking = Asking(
            snapshot, rule_set(snapshot.rule_set), principal, "care", grants, self.now, MaskKey("k1", bytes(32))
        )

        def access(resource: Resource, purpose: str | None) -> AccessReport:
            return explain(asking, resource, self.language)

        document = parse(text)
        errors = validate(self._schema.graphql, document)
        if errors:
            return ExecutionResult(None, errors)
        context = RequestContext(
            snapshot=snapshot,
            principal=principal,
            purpose="care",
            language=self.language,
            now=self.now,
            explain=access,
            load_versions=self.platform.load_versions,
            grants=grants,
            desk=self.desk,
            describe=self.describe,
            request_id=f"request-{next(self.requests)}",
        )
        return await execute_fixed(self._schema.graphql, document, context, variables)

    async def ask(
        self,
        department: str,
        text: str,
        *,
        roles: str = "",
        person: str | None = None,
        **variables: Any,
    ) -> Any:
        """The data of an operation's answer, which has no errors."""
        result = await self.run(department, text, roles=roles, person=person, **variables)
        assert result.errors is None, result.errors
        return result.data
