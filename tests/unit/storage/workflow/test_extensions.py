"""Extensions of deadlines under Order 809: asked for before it is due, once, decided by the competent department."""

import asyncio
from datetime import date
from typing import Any

import pytest

from tanglai.catalogue.workflow.application import RefusalReason
from tanglai.catalogue.workflow.errors import Conflict, NotFound, NotPermitted, ProblemCode, WrongState
from tanglai.storage.workflow import applications, extensions, matters, obligations
from tanglai.storage.workflow.matters import Matter
from tests import granted as those
from tests.granted import deadlines, notices, problems, tasks
from tests.office import CITY_POLICE, HEALTH, OFFICE, POLICE, Office
from tests.unit.storage.workflow.test_applications import submitted


async def request(office: Office, parent: Matter, days: int = 10, *, by: str = POLICE, **more: Any) -> Matter:
    acting = await office.acting(by, more.pop("role", "reviewer"))
    reason = more.pop("reason", "the registers are on paper")
    return await extensions.request(office.desk, acting, parent.id, days, reason, **more)


async def decide(
    office: Office, matter: Matter, granted: bool, *, by: str = OFFICE, role: str = "coordinator"
) -> Matter:
    acting = await office.acting(by, role)
    return await extensions.decide(office.desk, acting, matter.id, matter.version, granted, "seen")


async def test_a_reply_takes_longer(order: Office) -> None:
    parent = await submitted(order)
    assert [it.due_on for it in await deadlines(order, parent)] == [date(2026, 10, 9)]
    matter = await request(order, parent)
    assert (matter.state, await tasks(order, matter)) == ("REQUESTED", [(OFFICE, "coordinator")])
    assert (await those.matter(order, parent.id)).version == parent.version
    assert await problems(request(order, parent)) == [("id", ProblemCode.TAKEN)]
    matter = await decide(order, matter, True)
    assert (matter.state, matter.closed) == ("GRANTED", True)
    (clock,) = await deadlines(order, parent)
    # 9 October and ten working days more, one of them the Saturday worked for the holiday
    assert (clock.extended_days, clock.due_on) == (10, date(2026, 10, 22))
    assert "DEADLINE_EXTENDED" in await notices(order, HEALTH)
    assert (await notices(order, POLICE))[-1] == "EXTENSION_DECIDED"
    last = (await order.desk.read(lambda connection: matters.events(connection, [parent.id])))[parent.id][-1]
    assert (last.event, last.department, last.after) == ("EXTEND", OFFICE, "SUBMITTED")
    found = await order.desk.read(
        lambda connection: connection.fetchval("SELECT due_on FROM matter_task WHERE matter = $1", parent.id)
    )
    assert found == clock.due_on
    assert await problems(request(order, parent)) == [("", ProblemCode.NOT_ALLOWED)]


async def test_it_is_denied_and_may_be_asked_for_again(order: Office) -> None:
    parent = await submitted(order)
    matter = await decide(order, await request(order, parent), False)
    assert (matter.state, [it.extended_days for it in await deadlines(order, parent)]) == ("DENIED", [0])
    assert (await notices(order, POLICE))[-1] == "EXTENSION_DECIDED"
    assert "DEADLINE_EXTENDED" not in await notices(order, HEALTH)
    again = await request(order, parent, 3, key="k")
    assert await request(order, parent, 3, key="k") == again
    reviewer = await order.acting(POLICE, "reviewer")
    assert (await extensions.withdraw(order.desk, reviewer, again.id, again.version)).state == "WITHDRAWN"


async def test_what_may_not_be_asked_for(order: Office) -> None:
    parent = await submitted(order)
    assert await problems(request(order, parent, 11)) == [("days", ProblemCode.TOO_LATE)]
    assert await problems(request(order, parent, 0)) == [("days", ProblemCode.TOO_LATE)]
    assert await problems(request(order, parent, reason=" ")) == [("reason", ProblemCode.MISSING)]
    for by, role, error in (
        (HEALTH, "applicant", NotPermitted),
        (POLICE, "cataloguer", NotPermitted),
        (CITY_POLICE, "reviewer", NotFound),
    ):
        with pytest.raises(error):
            await request(order, parent, by=by, role=role)
    order.pass_days(22)  # 10 October: the day after the last
    assert await problems(request(order, parent)) == [("", ProblemCode.TOO_LATE)]


async def test_the_measures_know_no_extension(office: Office) -> None:
    parent = await submitted(office)
    with pytest.raises(WrongState):
        await request(office, parent)


async def test_nobody_decides_on_their_own_request(order: Office) -> None:
    """The region's competent department has nobody above it: somebody else of it decides."""
    matter = await request(order, await submitted(order))
    with pytest.raises(NotPermitted):
        await decide(order, matter, True, by=POLICE)
    supervisor = await order.acting(OFFICE, "supervisor", person="wang")
    change = obligations.LegalChange("the law", date(2026, 9, 17), (OFFICE,))
    (own,) = await obligations.open_all(order.desk, supervisor, change)
    wang = await order.acting(OFFICE, "cataloguer", "coordinator", person="wang")
    asked = await extensions.request(order.desk, wang, own.id, 5, "much of it")
    with pytest.raises(NotPermitted) as caught:
        await extensions.decide(order.desk, wang, asked.id, asked.version, True, "yes")
    assert caught.value.own_act
    assert (await decide(order, asked, True)).state == "GRANTED"
    assert [it.extended_days for it in await deadlines(order, own)] == [5]


async def test_it_lapses_with_what_it_is_about(order: Office) -> None:
    parent = await submitted(order)
    matter = await request(order, parent)
    reviewer, head = await order.acting(POLICE, "reviewer"), await order.acting(POLICE, "head")
    reason = RefusalReason.NOT_HELD
    proposed = await applications.refuse(order.desk, reviewer, parent.id, parent.version, reason, "there are none")
    assert (await those.matter(order, matter.id)).state == "REQUESTED"
    await applications.confirm(order.desk, head, parent.id, proposed.version)
    found = await those.matter(order, matter.id)
    assert (found.state, found.closed, await tasks(order, found)) == ("WITHDRAWN", True, [])
    with pytest.raises(Conflict):
        await decide(order, matter, True)


async def test_a_decision_against_a_withdrawal_at_once(order: Office) -> None:
    """The application goes, or its clock runs longer and it goes then; no deadlock, nothing left open."""
    parent = await submitted(order)
    matter = await request(order, parent)
    applicant = await order.acting(HEALTH, "applicant")
    done = await asyncio.gather(
        decide(order, matter, True),
        applications.withdraw(order.desk, applicant, parent.id, parent.version),
        return_exceptions=True,
    )
    assert sorted(type(it).__name__ for it in done) == ["Conflict", "Matter"]
    open_ones = await those.rows(order, "SELECT id FROM matter WHERE NOT closed AND kind = 'EXTENSION'")
    assert open_ones == []
