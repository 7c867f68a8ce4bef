"""Changes of a running service: proposed, agreed and filed, or objected to and brought to coordination."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tanglai.catalogue.model import GrantState, Quota
from tanglai.catalogue.workflow.dispute import Decision
from tanglai.catalogue.workflow.errors import Conflict, NotFound, NotPermitted, ProblemCode, WrongState
from tanglai.catalogue.workflow.grant_life import ServiceChangeKind, SuspensionReason
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.workflow import coordinations, service_changes, suspensions
from tanglai.storage.workflow.matters import Matter
from tests import granted as those
from tests.granted import RULE_SETS, granted, notices, of_kind, problems, rows, state, tasks
from tests.office import CITY_POLICE, HEALTH, OFFICE, POLICE, Office
from tests.unit.storage.sample import compare

END, CHANGE = ServiceChangeKind.END, ServiceChangeKind.CHANGE


@pytest.fixture(params=RULE_SETS)
async def here(platform: PlatformDatabase, request: pytest.FixtureRequest) -> Office:
    """With one grant, under either rule set."""
    office = await Office.open(platform, rules=request.param)
    await granted(office)
    return office


@pytest.fixture
async def one(office: Office) -> Office:
    await granted(office)
    return office


async def propose(office: Office, change: ServiceChangeKind = END, terms: Any = None, **more: Any) -> Matter:
    acting = await office.acting(more.pop("by", POLICE), more.pop("role", "reviewer"))
    grant, reason = more.pop("grant", "g1"), more.pop("reason", "the register moves")
    return await service_changes.propose(office.desk, acting, grant, change, reason, terms=terms, **more)


async def as_requester(office: Office, act: Any, matter: Matter, *more: Any) -> Matter:
    acting = await office.acting(HEALTH, "applicant")
    result: Matter = await act(office.desk, acting, matter.id, matter.version, *more)
    return result


async def as_provider(office: Office, act: Any, matter: Matter, *more: Any) -> Matter:
    acting = await office.acting(POLICE, "reviewer")
    result: Matter = await act(office.desk, acting, matter.id, matter.version, *more)
    return result


async def test_an_end_that_is_agreed_is_filed_and_carried_out(here: Office) -> None:
    matter = await propose(here)
    assert (matter.state, matter.coordinator, await tasks(here, matter)) == (
        "PROPOSED",
        None,
        [(HEALTH, "applicant")],
    )
    with pytest.raises(WrongState):
        await as_provider(here, service_changes.file, matter)
    assert await state(here) is GrantState.ACTIVE
    matter = await as_requester(here, service_changes.consent, matter)
    assert (matter.state, await tasks(here, matter)) == ("AGREED", [(POLICE, "reviewer")])
    assert await state(here) is GrantState.ACTIVE
    matter = await as_provider(here, service_changes.file, matter)
    assert (matter.state, matter.coordinator, await state(here)) == ("FILED", OFFICE, GrantState.ENDED)
    assert await notices(here, OFFICE) == ["SERVICE_CHANGE_FILED"]
    assert await notices(here, HEALTH) == ["SERVICE_CHANGE_PROPOSED", "GRANT_ENDED", "SERVICE_CHANGE_FILED"]
    owed = await of_kind(here, "DISPOSAL")
    assert [it.state for it in owed] == (["OPEN"] if here.rules == "order-809" else [])
    assert (await here.platform.grant_history("g1"))[-1].reason == f"{matter.id}: agreed and filed"


async def test_new_terms_hold_from_the_filing_on(here: Office) -> None:
    """Narrower in items and amounts, wider in rows: both agree, and what is published bounds it."""
    await granted(here, "g2", items="phone address", scope=compare("division", "640100"))
    given = {"items": ["phone"], "scope": {}, "quota": {"rows": 100}, "validTo": "2027-01-01"}
    matter = await propose(here, CHANGE, given, grant="g2")
    assert (matter.document["before"]["items"], matter.document["terms"]["items"]) == (["address", "phone"], ["phone"])
    matter = await as_provider(here, service_changes.file, await as_requester(here, service_changes.consent, matter))
    assert matter.state == "FILED"
    (grant,) = [grant for grant in await here.platform.load_grants(HEALTH) if grant.id == "g2"]
    assert (set(grant.items), grant.quota, grant.state) == ({"phone"}, Quota(rows=100), GrantState.ACTIVE)
    assert grant.valid_to == datetime(2026, 12, 31, 16, tzinfo=UTC)
    (kept,) = await rows(here, "SELECT by, previous FROM grant_transition WHERE previous IS NOT NULL")
    assert kept["by"] == f"{POLICE}/reviewer"
    assert '"address"' in kept["previous"]
    assert await rows(here, "SELECT FROM grant_basis") == []


FAULTS: list[tuple[ServiceChangeKind, Any, str, ProblemCode]] = [
    (CHANGE, {}, "terms", ProblemCode.MISSING),
    (CHANGE, {"items": ["address", "phone"]}, "terms", ProblemCode.MISSING),
    (CHANGE, {"purpose": "audit"}, "terms.purpose", ProblemCode.NOT_ALLOWED),
    (CHANGE, {"items": ["phone", "smell"]}, "terms.items", ProblemCode.NOT_ALLOWED),
    (CHANGE, {"items": ["phone", "note"]}, "terms.items", ProblemCode.NOT_ALLOWED),
    (CHANGE, {"scope": {"division": {"eq": "640100"}}}, "confirmDisclosure", ProblemCode.MISSING),
    (CHANGE, {"validTo": "2026-09-01"}, "terms.validTo", ProblemCode.TOO_LATE),
    (END, {"items": ["phone"]}, "terms", ProblemCode.NOT_ALLOWED),
]


async def test_terms_that_cannot_be_granted(one: Office) -> None:
    for change, terms, field, code in FAULTS:
        assert (await problems(propose(one, change, terms)))[0] == (field, code), terms
    assert await problems(propose(one, reason="")) == [("reason", ProblemCode.MISSING)]
    done = await propose(one, CHANGE, {"scope": {"division": {"eq": "640100"}}}, confirmed=["division"])
    assert done.state == "PROPOSED"
    assert await problems(propose(one)) == [("grant", ProblemCode.TAKEN)]


async def test_who_may_not(one: Office) -> None:
    for by, role, error in (
        (POLICE, "applicant", NotPermitted),
        (HEALTH, "reviewer", NotPermitted),
        (OFFICE, "coordinator", NotPermitted),
        (CITY_POLICE, "reviewer", NotFound),
    ):
        with pytest.raises(error):
            await propose(one, by=by, role=role)
    matter = await propose(one)
    for act in (service_changes.consent, service_changes.file, service_changes.withdraw):
        acting = await one.acting(HEALTH if act is not service_changes.consent else POLICE, "reviewer", "applicant")
        with pytest.raises((NotPermitted, WrongState)):
            await act(one.desk, acting, matter.id, matter.version)
    assert (await those.matter(one, matter.id)).version == 1


async def test_an_objection_is_brought_to_coordination(here: Office) -> None:
    matter = await propose(here, CHANGE, {"items": ["phone"]})
    matter = await as_requester(here, service_changes.object_to, matter, "we need the address too")
    assert (matter.state, await tasks(here, matter)) == ("OBJECTED", [(POLICE, "reviewer")])
    with pytest.raises(WrongState):
        await as_provider(here, service_changes.file, matter)
    matter = await as_provider(here, service_changes.escalate, matter, "addresses are wrong")
    assert (matter.state, matter.closed, matter.coordinator) == ("ESCALATED", True, OFFICE)
    (dispute,) = await of_kind(here, "COORDINATION")
    assert (dispute.parent, dispute.coordinator, await state(here)) == (matter.id, OFFICE, GrantState.ACTIVE)
    coordinator = await here.acting(OFFICE, "coordinator")
    await coordinations.decide(
        here.desk, coordinator, dispute.id, dispute.version, Decision.CHANGE, "the address is not needed"
    )
    (grant,) = await here.platform.load_grants(HEALTH)
    assert (set(grant.items), grant.state) == ({"phone"}, GrantState.ACTIVE)


async def test_coordination_over_an_end(one: Office) -> None:
    matter = await as_requester(one, service_changes.object_to, await propose(one), "no")
    with pytest.raises(NotPermitted):
        await as_requester(one, service_changes.escalate, matter, "no")
    assert await of_kind(one, "COORDINATION") == []
    await as_provider(one, service_changes.escalate, matter, "it must be")
    (dispute,) = await of_kind(one, "COORDINATION")
    coordinator = await one.acting(OFFICE, "coordinator")
    await coordinations.decide(one.desk, coordinator, dispute.id, dispute.version, Decision.END, "the law changed")
    assert await state(one) is GrantState.ENDED


async def test_it_is_given_up(one: Office) -> None:
    matter = await as_provider(one, service_changes.withdraw, await propose(one))
    assert (matter.state, await state(one)) == ("WITHDRAWN", GrantState.ACTIVE)
    assert (await propose(one, key="again")).state == "PROPOSED"
    assert (await propose(one, key="again")).version == 1


async def test_terms_that_changed_meanwhile(one: Office) -> None:
    """What is filed is what the requester agreed to."""
    matter = await propose(one, CHANGE, {"items": ["phone"]})
    matter = await as_requester(one, service_changes.consent, matter)
    await granted(one, quota=Quota(rows=7))
    assert await problems(as_provider(one, service_changes.file, matter)) == [("", ProblemCode.NOT_ALLOWED)]
    (grant,) = await one.platform.load_grants(HEALTH)
    assert grant.items == {"phone", "address"}


async def test_it_lapses_with_the_grant(here: Office) -> None:
    """Whoever ends the grant: an operator, or who suspended it; and nobody can file it afterwards."""
    by_operator = await propose(here)
    await granted(here, "g2")
    by_suspension = await as_requester(here, service_changes.consent, await propose(here, grant="g2"))
    await here.platform.set_grant_state("g1", GrantState.ENDED, by="operator", reason="test")
    reviewer = await here.acting(POLICE, "reviewer")
    matter = await suspensions.suspend(
        here.desk, reviewer, "g2", SuspensionReason.OVERUSE, "too much", until=(here.now + timedelta(days=4)).date()
    )
    assert (await those.matter(here, by_suspension.id)).state == "AGREED"
    await suspensions.end(here.desk, reviewer, matter.id, matter.version, "it goes on")
    for lapsed in (by_operator, by_suspension):
        found = await those.matter(here, lapsed.id)
        assert (found.state, found.closed, await tasks(here, found)) == ("WITHDRAWN", True, [])
    with pytest.raises(Conflict):
        await as_provider(here, service_changes.file, by_suspension)
    with pytest.raises(WrongState):
        await propose(here)


async def test_consent_against_withdrawal_at_once(one: Office) -> None:
    matter = await propose(one)
    done = await asyncio.gather(
        as_requester(one, service_changes.consent, matter),
        as_provider(one, service_changes.withdraw, matter),
        return_exceptions=True,
    )
    assert sorted(type(it).__name__ for it in done) == ["Conflict", "Matter"]
