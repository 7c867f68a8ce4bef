"""Consultation: what may be consulted on, positions and documents, terms proposed and accepted, escalation."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from tanglai.catalogue.model import GrantBasis, GrantState
from tanglai.catalogue.workflow.application import RefusalReason
from tanglai.catalogue.workflow.attachments import MOST_ATTACHMENTS, MOST_BYTES, Attached
from tanglai.catalogue.workflow.errors import Conflict, InvalidAct, NotFound, NotPermitted, ProblemCode, WrongState
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.workflow import applications, attachments, consultations
from tanglai.storage.workflow.matters import Matter
from tests.disputes import (
    CITY_AID,
    CITY_OFFICE,
    CITY_TRAFFIC,
    COUNTY_AID,
    GUYUAN_AID,
    REGION_OFFICE,
    ROADS,
    Government,
    wanted,
)
from tests.unit.storage.sample import HEALTH, POLICE

RULE_SETS = ("ningxia-measures", "order-809")
PAPER = Attached("依据.pdf", "application/pdf", b"%PDF-1.7 article 27")


@pytest.fixture
async def government(platform: PlatformDatabase) -> Government:
    return await Government.of(platform)


@pytest.fixture(params=RULE_SETS)
async def either(platform: PlatformDatabase, request: pytest.FixtureRequest) -> Government:
    return await Government.of(platform, request.param)


async def opened(here: Government, **more: Any) -> Matter:
    return await consultations.open_consultation(here.desk, here.applicant(), wanted() | more)


def speaks(here: Government) -> Any:
    """Who proposes for the provider."""
    return here.head() if here.snapshot.rule_set == "order-809" else here.reviewer()


async def application(here: Government, *, approve: dict[str, Any] | None = None, **more: Any) -> Matter:
    """An answered application for phone and division: approved as `approve` says, by default refused."""
    document = wanted("phone division", **more)
    matter = await applications.create(here.desk, here.applicant(), document)
    if here.snapshot.rule_set == "order-809":
        matter = await applications.consent(here.desk, here.head(HEALTH), matter.id, matter.version)
    matter = await applications.submit(here.desk, here.applicant(), matter.id, matter.version)
    reviewer = here.reviewer()
    if approve is None:
        reason = RefusalReason.NO_DUTY
        matter = await applications.refuse(here.desk, reviewer, matter.id, matter.version, reason, "no need is seen")
    else:
        matter = await applications.approve(here.desk, reviewer, matter.id, matter.version, approve)
    if here.snapshot.rule_set == "order-809":
        matter = await applications.confirm(here.desk, here.head(), matter.id, matter.version)
    return matter


def problems(error: pytest.ExceptionInfo[InvalidAct]) -> set[tuple[tuple[str, ...], ProblemCode]]:
    return {(problem.field, problem.code) for problem in error.value.problems}


# --- what may be consulted on -----------------------------------------------------------------------------------------


async def test_not_shared_is_agreed_and_granted(either: Government) -> None:
    """The whole way: need, position with a document, proposal for less, decline, another one, accepted."""
    here = either
    matter = await consultations.open_consultation(
        here.desk, here.applicant(), wanted("illness phone", application=(await application(here)).id), attached=[PAPER]
    )
    assert (matter.state, matter.requester, matter.provider, matter.coordinator) == ("OPEN", HEALTH, POLICE, None)
    assert await here.tasks(matter.id) == {(POLICE, "reviewer")}
    matter = await consultations.state_position(
        here.desk, here.reviewer(), matter.id, matter.version, "only in emergencies", [PAPER, PAPER]
    )
    assert matter.state == "OPEN"
    assert "POSITION_STATED" in await here.notices(HEALTH)
    narrow = {"items": ["illness"], "scope": {"division": {"eq": "640100"}}}
    matter = await consultations.propose(
        here.desk, speaks(here), matter.id, matter.version, narrow, confirmed=["division"], reason="the city alone"
    )
    assert (matter.state, await here.tasks(matter.id)) == ("PROPOSED", {(HEALTH, "applicant")})
    matter = await consultations.decline(here.desk, here.applicant(), matter.id, matter.version, "all patients")
    assert (matter.state, "proposal" in matter.document) == ("OPEN", False)
    terms = {"items": ["illness"], "quota": {"requests": 100}}
    matter = await consultations.propose(here.desk, speaks(here), matter.id, matter.version, terms)
    before = set(await here.grants())
    matter = await consultations.accept(here.desk, here.applicant(), matter.id, matter.version)
    assert matter.state == "AGREED"
    grants = await here.grants()
    assert set(grants) - before == {matter.grant}
    grant = grants[matter.grant or ""]
    assert (grant.items, grant.basis, grant.state) == ({"illness"}, GrantBasis.CONSULTATION, GrantState.ACTIVE)
    assert grant.quota is not None
    assert (grant.quota.requests, grant.valid_from <= datetime.now(UTC)) == (100, True)
    basis = await here.rows("SELECT matter FROM grant_basis WHERE grant_id = $1", grant.id)
    assert [row["matter"] for row in basis] == [matter.id]
    assert await here.tasks(matter.id) == set()
    assert "CONSULTATION_AGREED" in await here.notices(POLICE)
    kept = (await here.desk.read(lambda c: attachments.attachments(c, [matter.id])))[matter.id]
    assert [(it.department, it.number, it.version) for it in kept] == [(HEALTH, 1, 1), (POLICE, 1, 2), (POLICE, 2, 2)]


async def test_what_cannot_be_consulted_on(government: Government) -> None:
    not_allowed, missing, unknown = ProblemCode.NOT_ALLOWED, ProblemCode.MISSING, ProblemCode.UNKNOWN
    cases: list[tuple[dict[str, Any], dict[str, ProblemCode]]] = [
        ({"items": ["phone"]}, {"items": not_allowed}),
        ({"items": ["illness", "name"]}, {"items": not_allowed}),
        ({"need": " ", "duty": None, "purpose": "x"}, {"need": missing, "duty": missing, "purpose": unknown}),
        ({"items": ["height"]}, {"items": not_allowed}),
        ({"resource": "9/9"}, {"resource": unknown}),
        ({"resource": None}, {"resource": missing}),
        ({"application": "A-2026-999999"}, {"application": unknown}),
        ({"need": "x" * 4_001}, {"need": ProblemCode.MALFORMED}),
    ]
    for changes, expected in cases:
        with pytest.raises(InvalidAct) as error:
            await opened(government, **changes)
        assert problems(error) == {((field,), code) for field, code in expected.items()}, changes
    assert await government.rows("SELECT id FROM matter") == []


async def test_order_809_wants_the_time_limit_too(platform: PlatformDatabase) -> None:
    here = await Government.of(platform, "order-809")
    with pytest.raises(InvalidAct) as error:
        await opened(here, validTo=None, items=["illness", "name"])
    assert problems(error) == {(("validTo",), ProblemCode.MISSING), (("items",), ProblemCode.NOT_ALLOWED)}
    assert {problem.article for problem in error.value.problems} == {"Order 809 Art. 20", "Order 809 Art. 21"}


async def test_a_refused_application_says_what_is_not_said(either: Government) -> None:
    here = either
    refused = await application(here, masks={"phone": "tail"}, scope={"division": {"eq": "640100"}})
    only = {"application": refused.id, "need": "patients are to be called"}
    matter = await consultations.open_consultation(here.desk, here.applicant(), only)
    document = matter.document
    assert (document["items"], document["masks"], document["duty"]) == (
        ["division", "phone"],
        {"phone": "tail"},
        "urgent medical aid",
    )
    assert (matter.parent, matter.resource) == (refused.id, refused.resource)


async def test_of_an_approval_in_part_what_was_not_granted_or_on_other_rows_or_masked(government: Government) -> None:
    here = government
    part = await application(here, approve={"items": ["division"]})
    assert part.state == "PARTLY_APPROVED"
    matter = await opened(here, application=part.id, items=None)
    assert matter.document["items"] == ["phone"]
    with pytest.raises(InvalidAct) as error:
        await opened(here, application=part.id, items=["division"])
    assert problems(error) == {(("items",), ProblemCode.NOT_ALLOWED)}
    rows = await application(here, approve={"scope": {"division": {"eq": "640100"}}})
    assert (await opened(here, application=rows.id, items=None)).document["items"] == ["division", "phone"]
    masked = await application(here, approve={"masks": {"phone": "tail"}})
    assert (await opened(here, application=masked.id, items=None)).document["items"] == ["phone"]


async def test_applications_that_were_not_refused_or_are_others(government: Government) -> None:
    here = government
    whole = await application(here, approve={})
    with pytest.raises(InvalidAct) as error:
        await opened(here, application=whole.id)
    assert problems(error) == {(("application",), ProblemCode.NOT_ALLOWED)}
    refused = await application(here)
    with pytest.raises(InvalidAct) as error:
        await consultations.open_consultation(here.desk, here.applicant(CITY_AID), wanted(application=refused.id))
    assert problems(error) == {(("application",), ProblemCode.UNKNOWN)}
    with pytest.raises(InvalidAct) as error:  # the provider sees it, and has no need of its own data
        await consultations.open_consultation(here.desk, here.applicant(POLICE), wanted(application=refused.id))
    assert problems(error) == {(("application",), ProblemCode.UNKNOWN)}


async def test_the_same_request_opens_once(government: Government) -> None:
    here = government
    first, second = await asyncio.gather(
        *(
            consultations.open_consultation(here.desk, here.applicant(), wanted(), attached=[PAPER], key="k")
            for _ in range(2)
        )
    )
    assert first.id == second.id
    assert len(await here.rows("SELECT 1 FROM deadline")) == 1
    assert len(await here.rows("SELECT 1 FROM matter_attachment")) == 1


# --- who, and when ---------------------------------------------------------------------------------------------------


async def test_roles_and_parties(government: Government) -> None:
    here = government
    with pytest.raises(NotPermitted):
        await consultations.open_consultation(here.desk, here.reviewer(HEALTH), wanted())
    matter = await opened(here)
    for stranger in (here.applicant(CITY_AID), here.coordinator()):
        with pytest.raises(NotFound):
            await consultations.state_position(here.desk, stranger, matter.id, 1, "we too")
    for wrong in (here.applicant(POLICE), here.head(POLICE), here.applicant()):
        with pytest.raises(NotPermitted):
            await consultations.propose(here.desk, wrong, matter.id, 1, {})
    with pytest.raises(WrongState):
        await consultations.accept(here.desk, here.applicant(), matter.id, 1)
    with pytest.raises(InvalidAct):
        await consultations.state_position(here.desk, here.applicant(), matter.id, 1, "  ")
    matter = await consultations.propose(here.desk, here.reviewer(), matter.id, 1, {})
    with pytest.raises(NotPermitted):  # who proposes does not accept
        await consultations.accept(here.desk, here.reviewer(), matter.id, matter.version)


async def test_under_the_order_the_head_proposes(platform: PlatformDatabase) -> None:
    here = await Government.of(platform, "order-809")
    matter = await opened(here)
    with pytest.raises(NotPermitted):
        await consultations.propose(here.desk, here.reviewer(), matter.id, 1, {})
    assert (await consultations.propose(here.desk, here.head(), matter.id, 1, {})).state == "PROPOSED"


async def test_a_race_has_one_winner(government: Government) -> None:
    here = government
    matter = await opened(here)
    matter = await consultations.propose(here.desk, here.reviewer(), matter.id, 1, {})
    outcomes = await asyncio.gather(
        consultations.accept(here.desk, here.applicant(), matter.id, matter.version),
        consultations.decline(here.desk, here.applicant(person="b"), matter.id, matter.version, "no"),
        return_exceptions=True,
    )
    assert [type(it) for it in outcomes].count(Conflict) == 1
    assert len(await here.grants()) == ((await here.rows("SELECT state FROM matter"))[0]["state"] == "AGREED")


async def test_a_scope_that_discloses_is_confirmed(government: Government) -> None:
    """By item, and by whoever would grant it; the requester's acceptance needs no confirmation of its own."""
    here = government
    matter = await opened(here, scope={"and": [{"division": {"eq": "640100"}}, {"illness": {"isNull": False}}]})
    for confirmed in ([], ["illness"]):
        with pytest.raises(InvalidAct) as error:
            await consultations.propose(here.desk, here.reviewer(), matter.id, 1, {}, confirmed=confirmed)
        assert problems(error) == {(("confirmDisclosure",), ProblemCode.MISSING)}
    matter = await consultations.propose(here.desk, here.reviewer(), matter.id, 1, {}, confirmed=["division"])
    matter = await consultations.accept(here.desk, here.applicant(), matter.id, matter.version)
    assert (await here.grants())[matter.grant or ""].basis is GrantBasis.CONSULTATION


async def test_a_proposal_adds_nothing(government: Government) -> None:
    here = government
    matter = await opened(here)
    for terms in ({"items": ["illness", "phone"]}, {"purpose": "audit"}, {"validTo": "2127-01-01"}):
        with pytest.raises(InvalidAct):
            await consultations.propose(here.desk, here.reviewer(), matter.id, 1, terms)
    assert await here.tasks(matter.id) == {(POLICE, "reviewer")}


async def test_withdrawn(government: Government) -> None:
    here = government
    matter = await opened(here)
    with pytest.raises(NotPermitted):
        await consultations.withdraw(here.desk, here.reviewer(), matter.id, 1)
    matter = await consultations.withdraw(here.desk, here.applicant(), matter.id, 1, "not needed any more")
    assert (matter.state, await here.notices(POLICE)) == ("WITHDRAWN", ["CONSULTATION_WITHDRAWN"])
    deadline = (await here.rows("SELECT met FROM deadline"))[0]
    assert deadline["met"] is False


# --- documents -------------------------------------------------------------------------------------------------------


async def test_documents_are_read_by_the_parties_alone(government: Government) -> None:
    here = government
    matter = await consultations.open_consultation(here.desk, here.applicant(), wanted(), attached=[PAPER])
    id = f"{matter.id}/{HEALTH}/1"
    for party in (HEALTH, POLICE):
        found, content = await attachments.content(here.desk, party, id)
        assert (found.name, found.size, content) == (PAPER.name, len(PAPER.content), PAPER.content)
    for stranger in (CITY_AID, REGION_OFFICE):
        with pytest.raises(NotFound):
            await attachments.content(here.desk, stranger, id)
    for unknown in (f"{matter.id}/{POLICE}/1", f"{matter.id}/{HEALTH}/²", f"{matter.id}", "", f"{id}\0", "\0"):
        with pytest.raises(NotFound):
            await attachments.content(here.desk, HEALTH, unknown)


async def test_documents_of_no_form(government: Government) -> None:
    here = government
    cases = [
        (Attached("../etc/passwd", "text/plain", b"x"), "name"),
        (Attached("a\nb", "text/plain", b"x"), "name"),
        (Attached("a", "text", b"x"), "mediaType"),
        (Attached("a", "text/html\r\nX: y", b"x"), "mediaType"),
        (Attached("a", "text/plain", b""), "content"),
        (Attached("a", "text/plain", bytes(MOST_BYTES + 1)), "content"),
    ]
    for paper, field in cases:
        with pytest.raises(InvalidAct) as error:
            await consultations.open_consultation(here.desk, here.applicant(), wanted(), attached=[PAPER, paper])
        assert [problem.field for problem in error.value.problems] == [("documents", "1", field)]
    assert await here.rows("SELECT 1 FROM matter") == []


async def test_each_party_has_its_own_number_of_documents(government: Government) -> None:
    here = government
    many = [Attached("a", "text/plain", bytes(MOST_BYTES)), *[PAPER] * (MOST_ATTACHMENTS - 1)]
    matter = await consultations.open_consultation(here.desk, here.applicant(), wanted(), attached=many)
    with pytest.raises(InvalidAct):
        await consultations.state_position(here.desk, here.applicant(), matter.id, 1, "one more", [PAPER])
    matter = await consultations.state_position(here.desk, here.reviewer(), matter.id, 1, "we answer", [PAPER])
    assert len(await here.rows("SELECT 1 FROM matter_attachment")) == MOST_ATTACHMENTS + 1


# --- escalation ------------------------------------------------------------------------------------------------------


async def test_escalated_once_both_were_heard(either: Government) -> None:
    here = either
    matter = await opened(here)
    with pytest.raises(InvalidAct):
        await consultations.escalate(here.desk, here.applicant(days=1), matter.id, 1, "no answer")
    matter = await consultations.state_position(here.desk, here.reviewer(), matter.id, 1, "no")
    with pytest.raises(InvalidAct):
        await consultations.escalate(here.desk, here.applicant(), matter.id, matter.version, " ")
    matter = await consultations.escalate(here.desk, here.applicant(), matter.id, matter.version, "it is needed")
    assert (matter.state, matter.coordinator) == ("ESCALATED", REGION_OFFICE)
    child = (await here.rows("SELECT * FROM matter WHERE parent = $1", matter.id))[0]
    assert (child["kind"], child["state"], child["coordinator"]) == ("COORDINATION", "OPEN", REGION_OFFICE)
    assert child["rule_set"] == here.snapshot.rule_set
    assert await here.tasks(child["id"]) == {(REGION_OFFICE, "coordinator")}
    assert (await here.notices(POLICE))[-1] == "COORDINATION_OPENED"


async def test_a_provider_that_does_not_answer_is_not_waited_for(government: Government) -> None:
    here = government
    matter = await opened(here)
    due = (await here.rows("SELECT due_on, days FROM deadline"))[0]
    assert due["days"] == 10
    last = (due["due_on"] - here.now.date()).days
    with pytest.raises(InvalidAct):
        await consultations.escalate(here.desk, here.applicant(days=last - 1), matter.id, 1, "no answer")
    matter = await consultations.escalate(here.desk, here.applicant(days=last + 2), matter.id, 1, "no answer")
    assert matter.state == "ESCALATED"


async def test_the_provider_may_bring_it_to_coordination_after_its_position(government: Government) -> None:
    here = government
    matter = await opened(here)
    with pytest.raises(InvalidAct):
        await consultations.escalate(here.desk, here.reviewer(), matter.id, 1, "decide it")
    matter = await consultations.propose(here.desk, here.reviewer(), matter.id, 1, {})
    matter = await consultations.escalate(here.desk, here.reviewer(), matter.id, matter.version, "decide it")
    assert (matter.state, (await here.notices(HEALTH))[-1]) == ("ESCALATED", "COORDINATION_OPENED")


async def test_who_coordinates(government: Government) -> None:
    here = government
    cases = [
        (CITY_AID, ROADS, CITY_TRAFFIC, CITY_OFFICE),  # one city
        (COUNTY_AID, ROADS, CITY_TRAFFIC, CITY_OFFICE),  # a county of it, which has no competent department
        (GUYUAN_AID, ROADS, CITY_TRAFFIC, REGION_OFFICE),  # two cities
        (CITY_OFFICE, ROADS, CITY_TRAFFIC, REGION_OFFICE),  # a competent department is a party
        (CITY_AID, "1010101/1", POLICE, REGION_OFFICE),  # city and region
    ]
    for requester, resource, provider, coordinator in cases:
        document = wanted("plan" if resource == ROADS else "illness", resource)
        matter = await consultations.open_consultation(here.desk, here.applicant(requester), document)
        assert matter.provider == provider
        matter = await consultations.state_position(here.desk, here.reviewer(provider), matter.id, 1, "no")
        matter = await consultations.escalate(here.desk, here.applicant(requester), matter.id, matter.version, "needed")
        assert matter.coordinator == coordinator


async def test_nobody_stands_above_the_regions_own_competent_department(government: Government) -> None:
    here = government
    matter = await consultations.open_consultation(here.desk, here.applicant(REGION_OFFICE), wanted())
    matter = await consultations.state_position(here.desk, here.reviewer(), matter.id, 1, "no")
    with pytest.raises(InvalidAct, match="no competent department on this platform") as error:
        await consultations.escalate(here.desk, here.applicant(REGION_OFFICE), matter.id, matter.version, "needed")
    assert error.value.article == "Art. 11(4)"
    assert len(await here.rows("SELECT 1 FROM matter")) == 1
