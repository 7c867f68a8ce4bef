"""In charge of applications on a real database: every step under both rule sets, and what must be impossible."""

import asyncio
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from tanglai.catalogue.model import GrantBasis, GrantState
from tanglai.catalogue.workflow.application import MissingPoint, RefusalReason
from tanglai.catalogue.workflow.errors import (
    Conflict,
    InvalidAct,
    NotFound,
    NotPermitted,
    ProblemCode,
    WorkflowError,
    WrongState,
)
from tanglai.storage.workflow import applications, matters, reading
from tanglai.storage.workflow.matters import Matter
from tests.office import CITY_POLICE, HEALTH, POLICE, Office

ASKED: dict[str, Any] = {
    "resource": "301/1",
    "items": ["phone", "address"],
    "purpose": "care",
    "duty": "medical aid to the poor",
    "legalBasis": "Social Assistance Measures Art. 3",
}
WHOLE = ASKED | {"scenario": "check of entitlement", "method": "query", "validTo": "2027-09-18T00:00:00Z"}


async def submitted(office: Office, **changes: Any) -> Matter:
    """An application of the health commission at the police."""
    applicant = await office.acting(HEALTH, "applicant")
    matter = await applications.create(
        office.desk, applicant, (WHOLE if office.rules == "order-809" else ASKED) | changes
    )
    if office.rules == "order-809":
        head = await office.acting(HEALTH, "head")
        matter = await applications.consent(office.desk, head, matter.id, matter.version)
    return await applications.submit(office.desk, applicant, matter.id, matter.version)


async def problems(act: Any) -> list[tuple[str, ProblemCode]]:
    with pytest.raises(InvalidAct) as caught:
        await act
    return [(".".join(problem.field), problem.code) for problem in caught.value.problems]


async def deadline(office: Office, matter: Matter) -> matters.Deadline:
    found = await office.desk.read(lambda connection: matters.deadlines(connection, [matter.id]))
    return found[matter.id][-1]


async def inbox(office: Office, department: str, *roles: str) -> list[tuple[str, str, date | None]]:
    tasks = await office.desk.read(
        lambda connection: reading.tasks(connection, department, roles, after=None, before=None, limit=50, last=False)
    )
    return [(task.matter.id, task.role, task.due_on) for task in tasks]


async def test_an_approval_creates_the_grant(office: Office) -> None:
    matter = await submitted(office)
    assert (matter.state, matter.provider) == ("SUBMITTED", POLICE)
    assert await inbox(office, POLICE, "reviewer") == [(matter.id, "reviewer", date(2026, 10, 9))]
    assert await inbox(office, POLICE, "applicant") == []
    reviewer = await office.acting(POLICE, "reviewer")
    matter = await applications.approve(office.desk, reviewer, matter.id, matter.version, {})
    assert matter.state == "APPROVED"
    grant, *others = await office.platform.load_grants(HEALTH)
    assert others == []
    assert (grant.id, set(grant.items), grant.state) == (matter.grant, {"phone", "address"}, GrantState.ACTIVE)
    assert (grant.purpose, grant.basis, grant.valid_to) == ("care", GrantBasis.APPLICATION, None)
    assert grant.valid_from <= office.now
    assert await inbox(office, POLICE, "reviewer") == []
    found = await deadline(office, matter)
    assert (found.met, found.ended_on, found.overdue(date(2027, 1, 1))) == (True, date(2026, 9, 18), False)


async def test_a_part_is_approved_and_nothing_is_added(office: Office) -> None:
    matter = await submitted(office, scope={"division": {"eq": "640100"}})
    reviewer = await office.acting(POLICE, "reviewer")

    async def approve(**terms: Any) -> Matter:
        return await applications.approve(office.desk, reviewer, matter.id, matter.version, terms)

    assert await problems(approve(items=["phone", "note"])) == [("terms.items", ProblemCode.TOO_WIDE)]
    assert await problems(approve(purpose="audit")) == [("terms.purpose", ProblemCode.NOT_ALLOWED)]
    assert await problems(approve(validFrom="2026-01-01T00:00:00Z", items=["phone"])) == [
        ("confirmDisclosure", ProblemCode.MISSING)
    ]
    assert await problems(approve(validTo="2020-01-01T00:00:00Z")) == [
        ("terms.validTo", ProblemCode.NOT_ALLOWED),
        ("terms.validTo", ProblemCode.TOO_LATE),
    ]
    done = await applications.approve(
        office.desk,
        reviewer,
        matter.id,
        matter.version,
        {"items": ["phone"], "scope": {"name": {"startsWith": "马"}}},
        confirmed=["division"],
    )
    assert done.state == "PARTLY_APPROVED"
    (grant,) = await office.platform.load_grants(HEALTH)
    assert grant.items == {"phone"}
    assert "and" in str(grant.scope).lower()


async def test_a_scope_over_hidden_items_is_confirmed_by_name(office: Office) -> None:
    matter = await submitted(office, scope={"division": {"eq": "640100"}})
    reviewer = await office.acting(POLICE, "reviewer")
    refused = applications.approve(office.desk, reviewer, matter.id, matter.version, {})
    assert await problems(refused) == [("confirmDisclosure", ProblemCode.MISSING)]
    await applications.approve(office.desk, reviewer, matter.id, matter.version, {}, confirmed=["division"])


async def test_a_refusal_has_a_reason(office: Office) -> None:
    matter = await submitted(office)
    reviewer = await office.acting(POLICE, "reviewer")
    empty = applications.refuse(office.desk, reviewer, matter.id, matter.version, RefusalReason.NO_DUTY, " ")
    assert await problems(empty) == [("reason", ProblemCode.MISSING)]
    done = await applications.refuse(
        office.desk, reviewer, matter.id, matter.version, RefusalReason.NO_DUTY, "the duty is another department's"
    )
    assert done.state == "REFUSED"
    assert await office.platform.load_grants(HEALTH) == ()
    (event,) = [
        event
        for event in (await office.desk.read(lambda c: matters.events(c, [matter.id])))[matter.id]
        if event.event == "REPLY"
    ]
    assert (event.given["reason"], event.reason, event.person) == (
        "NO_DUTY",
        "the duty is another department's",
        "reviewer",
    )


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"items": ["note"]}, [("items", ProblemCode.NOT_ALLOWED)]),
        ({"items": ["name"]}, [("items", ProblemCode.NOT_ALLOWED)]),
        ({"items": ["nothing"]}, [("items", ProblemCode.NOT_ALLOWED)]),
        ({"items": []}, [("items", ProblemCode.NOT_ALLOWED)]),
        ({"purpose": "fun"}, [("purpose", ProblemCode.UNKNOWN)]),
        ({"purpose": None, "duty": " "}, [("duty", ProblemCode.MISSING), ("purpose", ProblemCode.MISSING)]),
        ({"scope": {"phone": {"like": "1"}}}, [("scope.phone.like", ProblemCode.MALFORMED)]),
        ({"scope": {"note": {"eq": "1"}}}, [("scope", ProblemCode.NOT_ALLOWED)]),
        (
            {"validTo": "2020-01-01T00:00:00Z"},
            [("validTo", ProblemCode.NOT_ALLOWED), ("validTo", ProblemCode.TOO_LATE)],
        ),
    ],
)
async def test_everything_that_is_wrong_is_told_at_once(
    office: Office, change: dict[str, Any], expected: list[tuple[str, ProblemCode]]
) -> None:
    assert await problems(submitted(office, **change)) == expected
    assert await office.desk.read(lambda c: c.fetchval("SELECT count(*) FROM matter WHERE state = 'SUBMITTED'")) == 0


async def test_silence_grants_nothing_and_counts(office: Office) -> None:
    matter = await submitted(office)
    office.pass_days(60)
    assert (await deadline(office, matter)).overdue(office.now.date())
    assert await office.platform.load_grants(HEALTH) == ()
    reviewer = await office.acting(POLICE, "reviewer")
    matter = await applications.approve(office.desk, reviewer, matter.id, matter.version, {})
    assert (await deadline(office, matter)).overdue(office.now.date())


async def test_the_notice_of_what_is_missing_stops_no_clock_under_the_measures(office: Office) -> None:
    matter = await submitted(office)
    reviewer, applicant = await office.acting(POLICE, "reviewer"), await office.acting(HEALTH, "applicant")
    early = applications.supplement(office.desk, applicant, matter.id, matter.version, {"scenario": "all"})
    assert await problems(early) == [("", ProblemCode.NOT_ALLOWED)]
    matter = await applications.tell_missing(
        office.desk, reviewer, matter.id, matter.version, [MissingPoint.SCENARIO], "say how"
    )
    assert matter.state == "SUBMITTED"
    assert (await deadline(office, matter)).due_on == date(2026, 10, 9)
    again = applications.tell_missing(office.desk, reviewer, matter.id, matter.version, [MissingPoint.DUTY], "and why")
    assert await problems(again) == [("points", ProblemCode.TAKEN)]
    matter = await applications.supplement(office.desk, applicant, matter.id, matter.version, {"scenario": "checks"})
    assert (matter.document["scenario"], matter.document["duty"]) == ("checks", ASKED["duty"])


async def test_the_clock_stands_while_something_is_missing_under_order_809(order: Office) -> None:
    matter = await submitted(order)
    assert (await deadline(order, matter)).due_on == date(2026, 10, 9)
    reviewer = await order.acting(POLICE, "reviewer")
    matter = await applications.tell_missing(
        order.desk, reviewer, matter.id, matter.version, [MissingPoint.DOCUMENTS], "the order is missing"
    )
    assert matter.state == "SUPPLEMENT_NEEDED"
    assert await inbox(order, HEALTH, "applicant") == [(matter.id, "applicant", None)]
    order.pass_days(4)  # Tuesday, two working days after the make-up Sunday
    applicant = await order.acting(HEALTH, "applicant")
    matter = await applications.supplement(order.desk, applicant, matter.id, matter.version, {"scenario": "more"})
    assert matter.state == "SUBMITTED"
    assert (await deadline(order, matter)).due_on == date(2026, 10, 13)


async def test_heads_consent_and_nobody_to_their_own_act(order: Office) -> None:
    both = await order.acting(HEALTH, "applicant", "head", person="ma")
    draft = await applications.create(order.desk, both, WHOLE)
    with pytest.raises(NotPermitted) as own:
        await applications.consent(order.desk, both, draft.id, draft.version)
    assert own.value.own_act
    with pytest.raises(WrongState):
        await applications.submit(order.desk, both, draft.id, draft.version)
    head = await order.acting(HEALTH, "head", person="li")
    draft = await applications.consent(order.desk, head, draft.id, draft.version)
    matter = await applications.submit(order.desk, both, draft.id, draft.version)
    reviewer = await order.acting(POLICE, "reviewer", "head", person="wang")
    matter = await applications.approve(order.desk, reviewer, matter.id, matter.version, {"items": ["phone"]})
    assert matter.state == "REPLY_PROPOSED"
    assert await order.platform.load_grants(HEALTH) == ()
    with pytest.raises(NotPermitted) as own:
        await applications.confirm(order.desk, reviewer, matter.id, matter.version)
    assert own.value.own_act
    chief = await order.acting(POLICE, "head", person="zhao")
    matter = await applications.send_back(order.desk, chief, matter.id, matter.version, "all of it")
    matter = await applications.approve(order.desk, reviewer, matter.id, matter.version, {})
    matter = await applications.confirm(order.desk, chief, matter.id, matter.version)
    assert matter.state == "APPROVED"
    (grant,) = await order.platform.load_grants(HEALTH)
    assert grant.items == {"phone", "address"}


async def test_the_database_keeps_duties_apart_by_itself(order: Office) -> None:
    draft = await applications.create(order.desk, await order.acting(HEALTH, "applicant", person="ma"), WHOLE)
    event = (
        "INSERT INTO matter_event VALUES ($1, 2, 'CONSENT', 'DRAFT', $2, 'requester', 'head', $3, 'c', 'ma', now(), '',"
        " '{}', 'r')"
    )
    async with order.platform.session() as connection:
        with pytest.raises(Exception, match="did themselves"):
            await connection.execute(event, draft.id, "CONSENTED", HEALTH)
        with pytest.raises(Exception, match="cannot go from"):
            await connection.execute(event, draft.id, "APPROVED", HEALTH)
        with pytest.raises(Exception, match="by an event"):
            await connection.execute("UPDATE matter SET state = 'APPROVED' WHERE id = $1", draft.id)


async def test_roles_and_departments(office: Office) -> None:
    matter = await submitted(office)
    for department, role, kind in (
        (POLICE, "applicant", NotPermitted),
        (HEALTH, "reviewer", NotPermitted),
        (CITY_POLICE, "reviewer", NotFound),
    ):
        acting = await office.acting(department, role)
        with pytest.raises(kind):
            await applications.approve(office.desk, acting, matter.id, matter.version, {})
    draft = await applications.create(office.desk, await office.acting(HEALTH, "applicant"), ASKED)
    with pytest.raises(NotFound):  # what is being drafted is nobody else's business
        await applications.withdraw(office.desk, await office.acting(POLICE, "reviewer"), draft.id, draft.version)


async def test_the_second_of_two_editors_is_told(office: Office) -> None:
    matter = await submitted(office)
    reviewer = await office.acting(POLICE, "reviewer", person="wang")
    results = await asyncio.gather(
        applications.approve(office.desk, reviewer, matter.id, matter.version, {}),
        applications.refuse(office.desk, reviewer, matter.id, matter.version, RefusalReason.OTHER, "no"),
        return_exceptions=True,
    )
    (lost,) = [result for result in results if isinstance(result, WorkflowError)]
    assert isinstance(lost, Conflict)
    assert (lost.version, lost.changed_by) == (3, "wang")


async def test_a_request_that_is_sent_again_opens_nothing(office: Office) -> None:
    applicant = await office.acting(HEALTH, "applicant")
    first, second = await asyncio.gather(
        applications.apply(office.desk, applicant, ASKED, key="k1"),
        applications.apply(office.desk, applicant, ASKED, key="k1"),
    )
    assert first.id == second.id
    assert first.state == "SUBMITTED"


async def test_a_renewal_takes_over_the_terms(office: Office) -> None:
    matter = await submitted(office, validTo="2026-12-31T16:00:00Z", scope={"name": {"startsWith": "马"}})
    reviewer = await office.acting(POLICE, "reviewer")
    matter = await applications.approve(office.desk, reviewer, matter.id, matter.version, {})
    renewal = {"renews": matter.grant, "duty": "still", "legalBasis": "the same", "validTo": "2027-12-31T16:00:00Z"}
    again = await applications.apply(office.desk, await office.acting(HEALTH, "applicant"), renewal)
    assert (again.document["items"], again.document["scope"]) == (["address", "phone"], {"name": {"startsWith": "马"}})
    stranger = applications.apply(office.desk, await office.acting(CITY_POLICE, "applicant"), renewal)
    assert await problems(stranger) == [("renews", ProblemCode.UNKNOWN)]


async def test_every_step_is_in_the_audit_log(office: Office) -> None:
    matter = await submitted(office)
    rows = await office.desk.read(
        lambda c: c.fetch("SELECT paths, department, person, document_kind FROM audit_record ORDER BY id")
    )
    assert [(*row["paths"], row["department"], row["person"], row["document_kind"]) for row in rows] == [
        (f"APPLICATION/{matter.id}/CREATE/DRAFT", HEALTH, "applicant", "act"),
        (f"APPLICATION/{matter.id}/SUBMIT/SUBMITTED", HEALTH, "applicant", "act"),
    ]


async def test_the_record_of_a_reply_names_the_grant(office: Office) -> None:
    matter = await submitted(office)
    reviewer = await office.acting(POLICE, "reviewer")
    matter = await applications.approve(office.desk, reviewer, matter.id, matter.version, {})
    found = await office.desk.read(
        lambda c: c.fetchval("SELECT grants FROM audit_record WHERE operation_name = 'REPLY'")
    )
    assert found == [matter.grant]


async def test_a_person_and_their_own_program_are_no_two(order: Office) -> None:
    applicant = replace(await order.acting(HEALTH, "applicant"), person=None)
    draft = await applications.create(order.desk, applicant, WHOLE)
    head = await order.acting(HEALTH, "head", person="ma")
    with pytest.raises(NotPermitted) as own:
        await applications.consent(order.desk, head, draft.id, draft.version)
    assert own.value.own_act
    elsewhere = replace(head, client="office suite")
    assert (await applications.consent(order.desk, elsewhere, draft.id, draft.version)).state == "CONSENTED"
