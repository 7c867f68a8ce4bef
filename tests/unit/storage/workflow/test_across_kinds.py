"""In charge of what one matter brings about in another, as random plays over all kinds have found it wanting."""

from typing import Any

import pytest

from tanglai.catalogue.workflow.dispute import Decision
from tanglai.catalogue.workflow.grant_life import ServiceChangeKind
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.workflow import applications, clerk, coordinations, corrections, entries, extensions
from tanglai.storage.workflow import service_changes as changes
from tanglai.storage.workflow.entries import EntryInput
from tanglai.storage.workflow.impact import impact
from tanglai.storage.workflow.matters import Matter
from tests.granted import notices, rows
from tests.office import CITY_POLICE, HEALTH, OFFICE, POLICE, Office
from tests.property.workflows.catalogue import CITY_CODE, RESOURCES
from tests.property.workflows.kinds_application import FULL


@pytest.fixture
async def here(platform: PlatformDatabase) -> Office:
    return await Office.open(platform, RESOURCES)


def asked(code: str) -> dict[str, Any]:
    return FULL | {"resource": code, "items": ["phone"]}


async def granted(here: Office, code: str, provider: str) -> str:
    matter = await applications.apply(here.desk, await here.acting(HEALTH, "applicant"), asked(code))
    reviewer = await here.acting(provider, "reviewer")
    matter = await applications.approve(here.desk, reviewer, matter.id, matter.version, {})
    assert matter.grant is not None
    return matter.grant


async def test_who_coordinates_across_levels_ends_a_service_that_another_oversees(here: Office) -> None:
    """The region decides between a city's department and one of its own; the city's office oversees the grant."""
    grant = await granted(here, CITY_CODE, CITY_POLICE)
    here.rules = "order-809"
    reviewer = await here.acting(CITY_POLICE, "reviewer")
    matter = await changes.propose(here.desk, reviewer, grant, ServiceChangeKind.END, "the register closes")
    applicant = await here.acting(HEALTH, "applicant")
    matter = await changes.object_to(here.desk, applicant, matter.id, 1, "still needed")
    matter = await changes.escalate(here.desk, reviewer, matter.id, 2, "no agreement")
    (opened,) = await rows(here, "SELECT id FROM matter WHERE kind = 'COORDINATION'")
    coordinator = await here.acting(OFFICE, "coordinator")
    decided = await coordinations.decide(here.desk, coordinator, opened["id"], 1, Decision.END, "it closes")
    assert decided.state == "CLOSED"
    (owed,) = await rows(here, "SELECT state, requester FROM matter WHERE kind = 'DISPOSAL'")
    assert (owed["state"], owed["requester"]) == ("OPEN", HEALTH)


async def test_a_deadline_that_was_extended_is_reminded_of_anew(here: Office) -> None:
    here.rules = "order-809"
    applicant = await here.acting(HEALTH, "applicant")
    matter = await applications.create(here.desk, applicant, asked("301/1"))
    matter = await applications.consent(here.desk, await here.acting(HEALTH, "head"), matter.id, 1)
    matter = await applications.submit(here.desk, applicant, matter.id, 2)
    here.pass_days(21)  # to the last day, 9 October
    assert await clerk.remind(here.desk, await here.acting("", "operator")) == 1
    reviewer = await here.acting(POLICE, "reviewer")
    asked_for = await extensions.request(here.desk, reviewer, matter.id, 10, "many files")
    coordinator = await here.acting(OFFICE, "coordinator")
    await extensions.decide(here.desk, coordinator, asked_for.id, 1, True, "so be it")
    here.pass_days(7)  # five working days before 23 October
    assert await clerk.remind(here.desk, await here.acting("", "operator")) == 1
    assert (await notices(here, POLICE)).count("DEADLINE_NEAR") == 2


async def test_a_request_sent_again_is_found_though_its_resource_is_gone(here: Office) -> None:
    applicant, cataloguer = await here.acting(HEALTH, "applicant"), await here.acting(POLICE, "cataloguer")

    async def sees(*_: Any) -> bool:
        return True

    async def requests() -> list[Matter]:
        here_now = [await here.acting(HEALTH, "applicant"), await here.acting(POLICE, "cataloguer")]
        doubt = {"item": "phone", "row": "r1", "doubt": "wrong"}
        return [
            await applications.create(here.desk, here_now[0], asked("301/1"), key="a"),
            await corrections.report(here.desk, here_now[0], "301/1", doubt, sees, key="b"),
            await entries.create(
                here.desk, here_now[1], EntryInput(note="no more"), code="301/1", retire=True, key="c"
            ),
        ]

    first = await requests()
    mark = (await here.desk.read(lambda c: impact(c, applicant.snapshot, {"301/1": None}))).mark
    done = await entries.publish(here.desk, cataloguer, first[2].id, 1, accept_breaking=mark)
    assert done.state == "RETIRED"
    assert [it.id for it in await requests()] == [it.id for it in first]
