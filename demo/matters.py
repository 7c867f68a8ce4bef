"""In charge of what waits in the demo region's inboxes: matters that a newcomer finds open, some of them late."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from demo.publication import BY
from tanglai.catalogue.model import Snapshot, Zone
from tanglai.catalogue.quotas import day_of
from tanglai.catalogue.workflow.parties import Acting, Role
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.workflow import applications, obligations
from tanglai.storage.workflow.desk import Desk
from tanglai.storage.workflow.obligations import LegalChange

APPLICATIONS: tuple[tuple[str, int, Mapping[str, Any]], ...] = (
    (
        "health",
        25,
        {
            "resource": "1010101/1",
            "items": ["currentAddress"],
            "purpose": "DISEASE-CONTROL",
            "duty": "传染病个案流行病学调查 (tracing of infectious diseases)",
            "legalBasis": "传染病防治法 (Law on Infectious Diseases) Art. 18",
        },
    ),
    (
        "social-security",
        9,
        {
            "resource": "1010101/1",
            "items": ["phone"],
            "scope": {"division": {"within": "640300"}},
            "purpose": "PENSION-VERIFICATION",
            "duty": "养老待遇资格核验 (verification of pension entitlement)",
            "legalBasis": "社会保险法 (Social Insurance Law) Art. 8",
        },
    ),
    (
        "taxation",
        2,
        {
            "resource": "202010/1",
            "items": ["base", "month"],
            "purpose": "TAX-COLLECTION",
            "duty": "个人所得税扣除核对 (check of deductions from income tax)",
            "legalBasis": "个人所得税法 (Individual Income Tax Law) Art. 15",
        },
    ),
)
"""Requester's key, days ago, and what is asked for."""

CHANGES = (
    (40, "税收征管规定修订 (rules on tax collection revised)", ("taxation", "natural-resources")),
    (6, "部门职能调整 (functions of departments changed)", ("market-regulation", "health")),
)
"""Days ago, what changed, and whom it obliges to update its catalogue."""


async def open_matters(url: str, now: datetime) -> None:
    """Opens them in the platform's database at `url`, as of days before `now`; once, however often it is called."""
    async with await PlatformDatabase.open(url) as database:
        snapshot = await database.load_snapshot(Zone.EXTRANET)
        desk = Desk(database)
        for number, (key, days, document) in enumerate(APPLICATIONS, 1):
            then = now - timedelta(days=days)
            acting = _acting(snapshot, key, Role.APPLICANT, then)
            await applications.apply(desk, acting, document, key=f"demo application {number}")
        for number, (days, title, departments) in enumerate(CHANGES, 1):
            change = LegalChange(title=title, changed_on=_day(now, days), departments=departments)
            acting = _acting(snapshot, "data-office", Role.SUPERVISOR, now - timedelta(days=days))
            await obligations.open_all(desk, acting, change, key=f"demo change {number}")


def _day(now: datetime, days: int) -> date:
    return day_of(now - timedelta(days=days))


def _acting(snapshot: Snapshot, key: str, role: Role, now: datetime) -> Acting:
    department = snapshot.department_by_key[key]
    return Acting(department.code, BY, None, frozenset({role.value}), now, snapshot, BY)
