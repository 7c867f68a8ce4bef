"""What an act holds does not hold up what only refers to it: else the clerk and an act could wait for each other."""

import asyncio

from tanglai.catalogue.rules import DeadlineKind
from tanglai.catalogue.workflow.machines import MatterKind
from tanglai.catalogue.workflow.parties import by_platform
from tanglai.storage.workflow import clerk
from tests.granted import deadlines, notices
from tests.office import POLICE, Office
from tests.unit.storage.workflow.test_applications import submitted


async def test_the_clerk_does_not_wait_for_an_act_under_way(office: Office) -> None:
    """It holds the deadline and tells of its matter; the act holds the matter and ends the deadline."""
    matter = await submitted(office)
    office.pass_days(30)
    reviewer = await office.acting(POLICE, "reviewer")
    acting = by_platform(await office.snapshot(), office.now, "r")
    async with office.desk.work(reviewer) as work:
        held = await work.matter(MatterKind.APPLICATION, matter.id, matter.version)
        async with asyncio.timeout(20):
            assert await clerk.flag_missed(office.desk, acting) == 1
        await work.end_deadline(held, DeadlineKind.REPLY, met=True)
    assert "DEADLINE_MISSED" in await notices(office, POLICE)
    (clock,) = await deadlines(office, matter)
    assert (clock.met, clock.flagged_at) == (True, office.now)
