"""In charge of what the platform does by itself about deadlines: reminders at fixed points, flags, nothing granted."""

import asyncio
from datetime import timedelta
from typing import Any

from tanglai.catalogue.workflow.parties import by_platform
from tanglai.storage.workflow import applications, clerk, notices
from tests.office import HEALTH, POLICE, Office

ASKED: dict[str, Any] = {
    "resource": "301/1",
    "items": ["phone"],
    "purpose": "care",
    "duty": "medical aid",
    "legalBasis": "Art. 3",
}


async def round_of(office: Office) -> tuple[int, int]:
    platform = by_platform(await office.snapshot(), office.now, "round")
    return await clerk.remind(office.desk, platform), await clerk.flag_missed(office.desk, platform)


async def told(office: Office, department: str, role: str) -> list[tuple[str, Any]]:
    found = await office.desk.read(
        lambda connection: notices.page(
            connection, department, [role], unread=True, after=None, before=None, limit=50, last=False
        )
    )
    return [(it.kind, it.document.get("workingDaysLeft")) for it in found]


async def test_reminders_at_fixed_points_and_one_flag(office: Office) -> None:
    """Received on 2026-09-18: the Sunday 09-20 is worked, 09-25 to 09-27 and 10-01 to 10-07 are not; due on 10-09."""
    applicant = await office.acting(HEALTH, "applicant")
    matter = await applications.apply(office.desk, applicant, ASKED)
    rounds = []
    for _ in range(28):
        rounds.append(await round_of(office))
        assert await round_of(office) == (0, 0)
        office.now += timedelta(days=1)
    assert [day for day, (reminders, _) in enumerate(rounds) if reminders] == [6, 12, 21]
    assert [day for day, (_, flags) in enumerate(rounds) if flags] == [22]
    assert await told(office, POLICE, "reviewer") == [
        ("DEADLINE_NEAR", 5),
        ("DEADLINE_NEAR", 2),
        ("DEADLINE_NEAR", 0),
        ("DEADLINE_MISSED", None),
    ]
    assert await told(office, HEALTH, "applicant") == [("DEADLINE_MISSED_BY_OTHER", None)]
    state = await office.desk.read(lambda c: c.fetchval("SELECT state FROM matter WHERE id = $1", matter.id))
    assert (state, await office.platform.load_grants(HEALTH)) == ("SUBMITTED", ())


async def test_two_nodes_flag_each_deadline_once(office: Office) -> None:
    applicant = await office.acting(HEALTH, "applicant")
    for _ in range(5):
        await applications.apply(office.desk, applicant, ASKED)
    office.pass_days(60)
    platform = by_platform(await office.snapshot(), office.now, "round")
    flagged = await asyncio.gather(*(clerk.flag_missed(office.desk, platform) for _ in range(4)))
    assert sum(flagged) == 5
    assert await told(office, POLICE, "reviewer") == [("DEADLINE_MISSED", None)] * 5
