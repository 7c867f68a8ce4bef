"""Doing in the law's work what is for somebody else: another side, role, person, resource, or wider than asked for."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from tanglai.catalogue.model import GrantState, Quota, ShareClass
from tanglai.catalogue.workflow.application import MissingPoint, RefusalReason
from tanglai.catalogue.workflow.dispute import Decision
from tanglai.catalogue.workflow.entry import entry_draft
from tanglai.catalogue.workflow.errors import (
    Conflict,
    InvalidAct,
    NotFound,
    NotPermitted,
    ProblemCode,
    WorkflowError,
    WrongState,
)
from tanglai.catalogue.workflow.grant_life import ServiceChangeKind, SuspensionReason
from tanglai.storage.publishing import CatalogueChange
from tanglai.storage.workflow import (
    applications,
    consultations,
    coordinations,
    entries,
    extensions,
    imports,
    obligations,
    service_changes,
    suspensions,
    webhooks,
)
from tanglai.storage.workflow.entries import NO_MORE, EntryInput, look
from tanglai.storage.workflow.impact import impact
from tanglai.storage.workflow.obligations import LegalChange
from tests.attack.book import Book
from tests.catalogues import make_item
from tests.entries import draft, register, without
from tests.granted import granted, problems, state
from tests.office import CITY_OFFICE, CITY_POLICE, HEALTH, OFFICE, OTHER_CITY, POLICE, Office, permits
from tests.spreadsheets import workbook
from tests.unit.storage.workflow.test_applications import ASKED, WHOLE, submitted

book = Book(__name__, "Acts are for who may take them, and give no more than was asked for")
row = book.row

EVERY = ("applicant", "reviewer", "head", "cataloguer", "coordinator", "supervisor", "auditor", "operator")


@book.attempt(1131, "The head of the requester consents to what the same person drafted through another program",
              "a person is one, whichever program")  # fmt: skip
async def test_one_person_in_two_programs(order: Office) -> None:
    drafter = await order.acting(HEALTH, *EVERY, person="li")
    matter = await applications.create(order.desk, drafter, WHOLE)
    other = replace(await order.acting(HEALTH, *EVERY, person="li"), client="another-program")
    with pytest.raises(NotPermitted) as refused:
        await applications.consent(order.desk, other, matter.id, matter.version)
    assert refused.value.own_act


@pytest.mark.parametrize(("first", "second"), [
    row(1132, "A program that drafts and consents without a person", "a program is one too",
        ("portal", None), ("portal", None)),
    row(1133, "A person with the name of the program that drafted", "names are compared, whatever bears them",
        ("portal", None), ("another", "portal")),
    row(1134, "A program with the name of the person who drafted", "names are compared, whatever bears them",
        ("another", "portal"), ("portal", None)),
])  # fmt: skip
async def test_names_of_programs_and_people(
    order: Office, first: tuple[str, str | None], second: tuple[str, str | None]
) -> None:
    acting = await order.acting(HEALTH, *EVERY)
    matter = await applications.create(order.desk, replace(acting, client=first[0], person=first[1]), WHOLE)
    other = replace(acting, client=second[0], person=second[1])
    with pytest.raises(NotPermitted):
        await applications.consent(order.desk, other, matter.id, matter.version)
    # Neither does the database let it, whatever the program says.
    async with order.platform.session() as connection:
        with pytest.raises(Exception, match="nobody takes"):
            await connection.execute(
                "INSERT INTO matter_event VALUES ($1, 2, 'CONSENT', 'DRAFT', 'CONSENTED', 'requester', 'head', $2, $3, "
                "$4, now(), '', '{}', 'r')",
                matter.id,
                HEALTH,
                *second,
            )


@pytest.mark.parametrize("role", [
    row(1135, "A role in capitals", "roles are words", "REVIEWER"),
    row(1136, "Roles with blanks, lists and wildcards in one claim", "roles are words", "reviewer head *"),
    row(1137, "Every role but the one", "each step names its role", ""),
])  # fmt: skip
async def test_role_spoofing(office: Office, role: str) -> None:
    matter = await submitted(office)
    roles = frozenset({role}) if role else frozenset(EVERY) - {"reviewer"}
    acting = replace(await office.acting(POLICE), roles=roles)
    for act in (
        applications.approve(office.desk, acting, matter.id, matter.version, {}),
        applications.refuse(office.desk, acting, matter.id, matter.version, RefusalReason.OTHER, "r"),
        applications.tell_missing(office.desk, acting, matter.id, matter.version, [MissingPoint.DUTY], "t"),
    ):
        with pytest.raises(NotPermitted):
            await act
    assert await office.platform.load_grants(HEALTH) == ()


@book.attempt(1138, "The requester answers its own application, with every role", "the provider answers")
async def test_the_wrong_side(order: Office) -> None:
    matter = await submitted(order)
    acting = await order.acting(HEALTH, *EVERY, person="wang")
    with pytest.raises(NotPermitted):
        await applications.approve(order.desk, acting, matter.id, matter.version, {})
    reviewer = await order.acting(POLICE, "reviewer")
    proposed = await applications.approve(order.desk, reviewer, matter.id, matter.version, {})
    for department, roles in ((HEALTH, EVERY), (OFFICE, EVERY), (POLICE, ("reviewer",))):
        acting = await order.acting(department, *roles, person="zhao")
        with pytest.raises(NotFound if department == OFFICE else NotPermitted):
            await applications.confirm(order.desk, acting, proposed.id, proposed.version)
    assert await order.platform.load_grants(HEALTH) == ()


@book.attempt(1139, "The reviewer signs the proposed reply as head", "apart from who proposed it")
async def test_signing_ones_own_reply(order: Office) -> None:
    matter = await submitted(order)
    both = await order.acting(POLICE, "reviewer", "head", person="sun")
    matter = await applications.approve(order.desk, both, matter.id, matter.version, {})
    with pytest.raises(NotPermitted) as refused:
        await applications.confirm(order.desk, both, matter.id, matter.version)
    assert refused.value.own_act


@pytest.mark.parametrize("changed", [
    row(1140, "Another resource in an amendment", "the resource stays", {"resource": "301/2"}),
    row(1141, "Another's grant to renew in an amendment", "what it renews stays", {"renews": "g1"}),
])  # fmt: skip
async def test_amending(platform: Any, changed: dict[str, Any]) -> None:
    office = await Office.open(platform, (permits(), permits("301/2", "visit")))
    await granted(office, requester=OTHER_CITY)
    acting = await office.acting(HEALTH, "applicant")
    matter = await applications.create(office.desk, acting, ASKED)
    matter = await applications.amend(office.desk, acting, matter.id, 1, {**ASKED, **changed})
    assert (matter.resource, matter.document["resource"]) == ("301/1", "301/1")
    assert "renews" not in matter.document


WIDER = [
    row(1142, "Items that were not asked for, in a reply", "a reply narrows", {"items": ["phone", "division"]}),
    row(1143, "Items that are not shared, in a reply", "a reply narrows", {"items": ["note"]}),
    row(1144, "An end after the one asked for", "a reply narrows", {"validTo": "2030-01-01T00:00:00Z"}),
    row(1145, "A beginning before the one asked for", "a reply narrows", {"validFrom": "2026-10-02T00:00:00Z"}),
    row(1146, "A scope over an item that is not shared", "it would disclose it", {"scope": {"note": {"eq": "x"}}}),
    row(1147, "Another usage, purpose, resource or cube in the terms", "they are as asked",
        {"usage": "STATISTICS", "purpose": "audit", "resource": "301/2", "statistics": {}}),
    row(1148, "A relation that was not asked for", "a reply narrows", {"relations": ["owner"]}),
    row(1149, "A mask of an item that is not granted, or of no name", "masks are the item's", {"masks": {"note": "x"}}),
    row(1150, "A negative quota", "amounts are not negative", {"quota": {"rows": -1}}),
]  # fmt: skip


@pytest.mark.parametrize("terms", WIDER)
async def test_wider_terms(office: Office, terms: dict[str, Any]) -> None:
    matter = await submitted(office, validFrom="2026-11-02T00:00:00Z", validTo="2027-01-01T00:00:00Z")
    acting = await office.acting(POLICE, "reviewer")
    with pytest.raises(InvalidAct) as refused:
        await applications.approve(office.desk, acting, matter.id, matter.version, terms)
    assert all(problem.field[0] == "terms" for problem in refused.value.problems)
    assert await office.platform.load_grants(HEALTH) == ()


@pytest.mark.parametrize("scope", [
    row(1151, "`or` of nothing, `not` of all: a scope that ends the asked one", "it holds besides the asked one",
        {"not": {"name": {"eq": "nobody"}}}),
    row(1152, "An empty `and` and an empty object in the place of the asked scope", "it holds besides the asked one",
        {"and": []}),
    row(1153, "`or` with all rows", "it holds besides the asked one", {"or": [{}, {"name": {"eq": "a"}}]}),
])  # fmt: skip
async def test_scopes_that_would_widen(office: Office, scope: dict[str, Any]) -> None:
    asked = {"name": {"eq": "li"}}
    matter = await submitted(office, scope=asked)
    acting = await office.acting(POLICE, "reviewer")
    await applications.approve(office.desk, acting, matter.id, matter.version, {"scope": scope})
    (grant,) = await office.platform.load_grants(HEALTH)
    assert "name" in str(grant.scope)
    assert "li" in str(grant.scope)


@book.attempt(1154, "A larger quota than the renewed grant's, or a quota without one of its bounds", "a reply narrows",
              found=True)  # fmt: skip
async def test_quotas_of_a_renewal(office: Office) -> None:

    await granted(office, quota=Quota(rows=10, requests=5))
    acting, reviewer = await office.acting(HEALTH, "applicant"), await office.acting(POLICE, "reviewer")
    given = {"resource": "301/1", "renews": "g1", "duty": "d", "legalBasis": "l", "validFrom": None, "validTo": None}
    matter = await applications.apply(office.desk, acting, given)
    assert await problems(
        applications.approve(office.desk, reviewer, matter.id, matter.version, {"quota": {"rows": 1_000_000}})
    ) == [("terms.quota", ProblemCode.TOO_WIDE)]
    matter = await applications.approve(office.desk, reviewer, matter.id, matter.version, {"quota": {"rows": 9}})
    renewed = next(it for it in await office.platform.load_grants(HEALTH) if it.id == matter.grant)
    assert renewed.quota == Quota(rows=9, requests=5)


@book.attempt(1155, "Confirming the disclosure of other items than the scope discloses", "each by its name")
async def test_confirming_the_wrong_item(office: Office) -> None:
    matter = await submitted(office)
    acting = await office.acting(POLICE, "reviewer")
    terms = {"items": ["phone"], "scope": {"division": {"eq": "x"}}}
    for confirmed in ([], ["phone"], ["DIVISION", "division ", "*"]):
        act = applications.approve(office.desk, acting, matter.id, matter.version, terms, confirmed=confirmed)
        assert await problems(act) == [("confirmDisclosure", ProblemCode.MISSING)]
    done = await applications.approve(office.desk, acting, matter.id, matter.version, terms, confirmed=["division"])
    assert done.state == "PARTLY_APPROVED"


@book.attempt(1156, "Replies to two versions at once, and to one that is answered", "one version, one reply")
async def test_parallel_replies(office: Office) -> None:
    matter = await submitted(office)
    acting = await office.acting(POLICE, "reviewer")
    done = await asyncio.gather(
        *(applications.approve(office.desk, acting, matter.id, matter.version, {}) for _ in range(4)),
        applications.refuse(office.desk, acting, matter.id, matter.version, RefusalReason.OTHER, "r"),
        return_exceptions=True,
    )
    assert sum(isinstance(it, Conflict) for it in done) == 4
    assert len(await office.platform.load_grants(HEALTH)) <= 1
    with pytest.raises(WrongState):
        await applications.approve(office.desk, acting, matter.id, matter.version + 1, {})


@book.attempt(1157, "An item that became NOT_SHARED between the application and the reply", "read when answered")
async def test_a_class_that_changed(office: Office) -> None:

    matter = await submitted(office)
    now = permits()
    items = tuple(
        make_item("phone", share_class=ShareClass.NOT_SHARED) if item.name == "phone" else item for item in now.items
    )
    await office.platform.publish(CatalogueChange(by="t", resources=(replace(now, items=items),)))
    acting = await office.acting(POLICE, "reviewer")
    with pytest.raises(InvalidAct):
        await applications.approve(office.desk, acting, matter.id, matter.version, {})
    assert await office.platform.load_grants(HEALTH) == ()
    done = await applications.approve(office.desk, acting, matter.id, matter.version, {"items": ["address"]})
    assert done.state == "PARTLY_APPROVED"


@book.attempt(1158, "A reply of one reviewer after the rules were switched to those that want a head's signature",
              "a matter keeps its rule set")  # fmt: skip
async def test_switched_rules(order: Office) -> None:
    matter = await submitted(order)
    order.rules = "ningxia-measures"
    acting = await order.acting(POLICE, "reviewer", "head", person="sun")
    matter = await applications.approve(order.desk, acting, matter.id, matter.version, {})
    assert (matter.rule_set, matter.state) == ("order-809", "REPLY_PROPOSED")
    with pytest.raises(NotPermitted):
        await applications.confirm(order.desk, acting, matter.id, matter.version)


NAMED = "mutation ($k: String, $i: ApplicationInput!) { createApplication(key: $k, input: $i) "
NAMED += "{ __typename ... on Application { number } ... on InvalidAct { problems { field code } } } }"


@book.attempt(1159, "The name of a request once more for another mutation (it answered with a matter of another kind, "
              "or broke)", "a name is for one kind", found=True)  # fmt: skip
async def test_names_of_requests(office: Office) -> None:
    first = await office.ask(HEALTH, NAMED, roles="applicant", k="k1", i={"resource": "301/1"})
    again = await office.ask(HEALTH, NAMED, roles="applicant", person="another", k="k1", i={"resource": "none"})
    assert first == again
    text = (
        "mutation ($k: String) { "
        'a: openConsultation(key: $k, input: {resource: "301/1", items: ["note"], need: "n", purpose: "care", '
        'duty: "d", legalBasis: "l"}) { ...told } '
        'b: suspendGrant(key: $k, grant: "g", code: OTHER, reason: "r", correctionDays: 5) { ...told } '
        'c: createEntry(key: $k, input: {}, code: "301/1") { ...told } '
        'd: requestExtension(key: $k, about: "A", days: 1, reason: "r") { ...told } '
        'e: proposeServiceChange(key: $k, grant: "g", change: END, reason: "r") { ...told } '
        "} "
        "fragment told on InvalidAct { __typename problems { field code } }"
    )
    answer = await office.ask(HEALTH, text, roles=" ".join(EVERY), k="k1")
    assert all(it["problems"] == [{"field": ["key"], "code": "TAKEN"}] for it in answer.values())
    matters = await office.desk.read(lambda connection: connection.fetchval("SELECT count(*) FROM matter"))
    assert matters == 1


@book.attempt(1160, "The name of a request of a colleague with a role that may not have sent it, or with none",
              "who repeats it could have sent it", found=True)  # fmt: skip
async def test_names_without_a_role(office: Office) -> None:
    await office.ask(HEALTH, NAMED, roles="applicant", k="k1", i={"resource": "301/1"})
    for roles in ("", "head auditor"):
        answer = await office.ask(HEALTH, NAMED, roles=roles, k="k1", i={"resource": "301/1"})
        assert answer["createApplication"]["__typename"] == "NotPermitted"
    other = await office.ask(OTHER_CITY, NAMED, roles="applicant", k="k1", i={"resource": "301/1"})
    assert other["createApplication"]["number"] != "A-2026-000001"


@book.attempt(1161, "Obligations of others, named in an entry", "its own alone")
async def test_others_obligations(office: Office) -> None:
    supervisor = await office.acting(OFFICE, "supervisor")
    change = LegalChange("t", office.now.date(), (HEALTH,))
    (owed,) = await obligations.open_all(office.desk, supervisor, change)
    acting = await office.acting(POLICE, "cataloguer")
    told = []
    for id in (owed.id, "O-2026-999999"):
        given = EntryInput(draft(register(code="301/9", word="visit")), obligations=(id,))
        with pytest.raises(InvalidAct) as refused:
            await entries.create(office.desk, acting, given)
        told.append(str(refused.value.problems).replace(id, "X"))
    assert told[0] == told[1]


@pytest.mark.parametrize("department", [
    row(1162, "Another's resource: revised, retired, or its code taken", "an entry is its provider's", HEALTH),
    row(1163, "The same by the competent department", "an entry is its provider's", OFFICE),
    row(1164, "The same by a city's department of the same name", "an entry is its provider's", CITY_POLICE),
])  # fmt: skip
async def test_others_resources(office: Office, department: str) -> None:
    acting = await office.acting(department, *EVERY)
    for act in (
        entries.create(office.desk, acting, EntryInput(), code="301/1"),
        entries.create(office.desk, acting, EntryInput(), code="301/1", retire=True),
        entries.create(office.desk, acting, EntryInput(draft(register()))),
        entries.create(office.desk, acting, EntryInput(draft(register(code="301/7", word="visit")))),
    ):
        with pytest.raises((NotPermitted, InvalidAct)):
            await act
    assert await office.desk.read(lambda connection: connection.fetchval("SELECT count(*) FROM matter")) == 0


@book.attempt(1165, "Whether a department drafts an entry, by naming its number in one's own (`together`)",
              "told only once each names the other", found=True)  # fmt: skip
async def test_naming_others_drafts(office: Office) -> None:
    theirs = await entries.create(
        office.desk, await office.acting(POLICE, "cataloguer"), EntryInput(draft(register(code="301/9", word="visit")))
    )
    over = await entries.create(
        office.desk, await office.acting(POLICE, "cataloguer"), EntryInput(draft(register(code="301/8", word="stay")))
    )
    await entries.withdraw(office.desk, await office.acting(POLICE, "cataloguer"), over.id, over.version)
    told = []
    for id in (theirs.id, over.id, "E-2026-999999"):
        acting = await office.acting(HEALTH, "cataloguer")
        document = draft(register(code="3/1", word="clinic"), category="3", provider=HEALTH, group="clinics")
        document.pop("compiler", None)
        mine = await entries.create(office.desk, acting, EntryInput(document, together=(id,)))
        with pytest.raises(InvalidAct) as refused:
            await entries.publish(office.desk, acting, mine.id, mine.version)
        named = [str(it).replace(id, "X").replace(mine.id, "Y") for it in refused.value.problems]
        told.append(named)
        await entries.withdraw(office.desk, acting, mine.id, mine.version)
    assert told[0] == told[1] == told[2]
    assert "together" in told[0][0]
    with pytest.raises(InvalidAct):
        await entries.create(office.desk, acting, EntryInput(document, together=("A-2026-000001",)))


@book.attempt(1166, "Suspending and ending others' grants; resuming what the competent department suspended",
              "who suspended it judges it")  # fmt: skip
async def test_others_suspensions(office: Office) -> None:
    await granted(office)
    reason = SuspensionReason.OTHER
    for department in (OTHER_CITY, CITY_OFFICE, CITY_POLICE):
        acting = await office.acting(department, *EVERY)
        with pytest.raises(NotFound):
            await suspensions.suspend(office.desk, acting, "g1", reason, "r", days=5)
    with pytest.raises(NotPermitted):
        await suspensions.suspend(office.desk, await office.acting(HEALTH, *EVERY), "g1", reason, "r", days=5)
    above = await office.acting(OFFICE, "coordinator")
    matter = await suspensions.suspend(office.desk, above, "g1", reason, "r", days=5)
    for department in (POLICE, HEALTH):
        acting = await office.acting(department, *EVERY)
        with pytest.raises(NotPermitted):
            await suspensions.resume(office.desk, acting, matter.id, matter.version)
        with pytest.raises(NotPermitted):
            await suspensions.end(office.desk, acting, matter.id, matter.version, "r")
    assert await state(office) is GrantState.SUSPENDED


@book.attempt(1167, "Changing a running service to what is not published, or consenting for the requester",
              "the requester consents")  # fmt: skip
async def test_service_changes(office: Office) -> None:
    await granted(office)
    provider = await office.acting(POLICE, *EVERY)
    act = service_changes.propose(
        office.desk, provider, "g1", ServiceChangeKind.CHANGE, "r", terms={"items": ["phone", "note"]}
    )
    assert ("terms.items", ProblemCode.NOT_ALLOWED) in await problems(act)
    matter = await service_changes.propose(office.desk, provider, "g1", ServiceChangeKind.END, "r")
    with pytest.raises(NotPermitted):
        await service_changes.consent(office.desk, provider, matter.id, matter.version)
    with pytest.raises(WrongState):
        await service_changes.file(office.desk, provider, matter.id, matter.version)
    assert await state(office) is GrantState.ACTIVE


@book.attempt(1168, "A consultation on what was never refused, or on one's own data, or on another's application",
              "not shared, or refused to oneself")  # fmt: skip
async def test_consultations(office: Office) -> None:
    asked = {"resource": "301/1", "items": ["phone"], "purpose": "care", "duty": "d", "legalBasis": "l", "need": "n"}
    matter = await submitted(office)
    reviewer = await office.acting(POLICE, "reviewer")
    refused = await applications.refuse(office.desk, reviewer, matter.id, matter.version, RefusalReason.OTHER, "r")
    for department, given in (
        (HEALTH, asked),
        (POLICE, {**asked, "items": ["note"]}),
        (OTHER_CITY, {"need": "n", "application": refused.id}),
        (POLICE, {"need": "n", "application": refused.id}),
        (HEALTH, {"need": "n", "application": refused.id, "items": ["division"]}),
        (HEALTH, {"need": "n", "application": refused.id, "resource": "301/2"}),
    ):
        acting = await office.acting(department, "applicant")
        with pytest.raises(WorkflowError):
            await consultations.open_consultation(office.desk, acting, given)


@book.attempt(1169, "A coordination decided by a party, by the other area's office, or by who stated a position in it",
              "the office above both, by somebody else")  # fmt: skip
async def test_coordinations(office: Office) -> None:
    asked = {"resource": "301/1", "items": ["note"], "purpose": "care", "duty": "d", "legalBasis": "l", "need": "n"}
    acting = await office.acting(OFFICE, *EVERY)  # the region's competent department wants the data itself
    matter = await consultations.open_consultation(office.desk, acting, asked)
    provider = await office.acting(POLICE, "reviewer")
    matter = await consultations.state_position(office.desk, provider, matter.id, matter.version, "no")
    with pytest.raises(InvalidAct):  # nobody stands above both
        await consultations.escalate(office.desk, acting, matter.id, matter.version, "r")
    mine = await consultations.open_consultation(office.desk, await office.acting(HEALTH, "applicant"), asked)
    mine = await consultations.state_position(office.desk, provider, mine.id, mine.version, "no")
    mine = await consultations.escalate(office.desk, provider, mine.id, mine.version, "r")
    (row_,) = await office.desk.read(
        lambda connection: connection.fetch("SELECT id FROM matter WHERE kind = 'COORDINATION'")
    )
    heard = await office.acting(OFFICE, "coordinator", person="zhou")
    over = await coordinations.state_position(office.desk, heard, row_["id"], 1, "we think")
    share = Decision.SHARE
    for department, person in ((HEALTH, "a"), (POLICE, "a"), (OFFICE, "zhou"), (CITY_OFFICE, "a")):
        who = await office.acting(department, *EVERY, person=person)
        with pytest.raises(NotFound if department == CITY_OFFICE else NotPermitted):
            await coordinations.decide(office.desk, who, over.id, over.version, share, "r")
    assert await office.platform.load_grants(HEALTH) == ()


@book.attempt(1170, "More time granted to oneself, or asked for by the other side", "the competent department decides")
async def test_extensions(order: Office) -> None:
    matter = await submitted(order)
    with pytest.raises(NotPermitted):
        await extensions.request(order.desk, await order.acting(HEALTH, *EVERY), matter.id, 5, "r")
    asked = await extensions.request(order.desk, await order.acting(POLICE, "reviewer"), matter.id, 5, "r")
    for department in (POLICE, HEALTH):
        acting = await order.acting(department, *EVERY, person="b")
        with pytest.raises(NotPermitted):
            await extensions.decide(order.desk, acting, asked.id, asked.version, True, "r")
    acting = await order.acting(CITY_OFFICE, *EVERY)
    with pytest.raises(NotFound):
        await extensions.decide(order.desk, acting, asked.id, asked.version, True, "r")


@book.attempt(1171, "Obligations for departments of another level or area, by its office or by a colleague",
              "of one's own level and area")  # fmt: skip
async def test_obligations_elsewhere(office: Office) -> None:
    for department, roles, named in (
        (CITY_OFFICE, ("supervisor",), POLICE),
        (CITY_OFFICE, ("supervisor",), OTHER_CITY),
        (OFFICE, ("supervisor",), CITY_POLICE),
        (OFFICE, ("coordinator", "head"), POLICE),
        (HEALTH, EVERY, POLICE),
    ):
        acting = await office.acting(department, *roles)
        with pytest.raises(NotPermitted):
            await obligations.open_all(office.desk, acting, LegalChange("t", office.now.date(), (named,)))
    assert await office.desk.read(lambda connection: connection.fetchval("SELECT count(*) FROM matter")) == 0


@book.attempt(1172, "Acts with a token that is narrowed to another resource, or to one item", "narrow in acts too",
              found=True)  # fmt: skip
async def test_narrowed_tokens(office: Office) -> None:
    applicant = await office.acting(HEALTH, "applicant")
    matter = await submitted(office)
    for within in (frozenset[str](), frozenset({"301/2"})):
        for act in (
            applications.create(office.desk, replace(applicant, within=within), ASKED),
            applications.withdraw(office.desk, replace(applicant, within=within), matter.id, matter.version),
            applications.approve(
                office.desk, replace(await office.acting(POLICE, *EVERY), within=within), matter.id, matter.version, {}
            ),
            entries.create(
                office.desk, replace(await office.acting(POLICE, *EVERY), within=within), EntryInput(), code="301/1"
            ),
        ):
            with pytest.raises(NotPermitted, match="narrowed"):
                await act
    within = frozenset({"301/1"})
    done = await applications.withdraw(office.desk, replace(applicant, within=within), matter.id, matter.version)
    assert done.state == "WITHDRAWN"


@book.attempt(1173, "What is about the whole department, with a narrowed token: imports, webhooks, obligations",
              "a token for all of it is needed", found=True)  # fmt: skip
async def test_narrowed_tokens_about_everything(office: Office) -> None:
    acting = replace(await office.acting(POLICE, *EVERY, "client-administrator"), within=frozenset({"301/1"}))
    for act in (
        imports.start(office.desk, acting, "a.xlsx", workbook()),
        webhooks.remove(office.desk, acting, "W-1"),
        obligations.open_all(office.desk, acting, LegalChange("t", office.now.date(), (POLICE,))),
    ):
        with pytest.raises(NotPermitted, match="narrowed"):
            await act


@book.attempt(1174, "The mark of an impact, used for what breaks more since", "the mark is of what was shown")
async def test_marks_are_not_replayed(office: Office) -> None:

    held = register(make_item("email", share_class=ShareClass.CONDITIONAL))
    await office.platform.publish(CatalogueChange(by="t", resources=(held,)))
    await granted(office, items="phone division")
    acting = await office.acting(POLICE, "cataloguer")
    given = EntryInput(without(draft(held), "phone"))
    matter = await entries.create(office.desk, acting, given)
    with pytest.raises(InvalidAct) as refused:
        await entries.publish(office.desk, acting, matter.id, matter.version)
    assert refused.value.problems[0].field == ("acceptBreaking",)

    snapshot = await office.snapshot()

    told = await look({matter.id: entry_draft(matter.document)}, acting, snapshot, NO_MORE)
    async with office.platform.session() as connection:
        mark = (await impact(connection, snapshot, {"301/1": told[matter.id].resource})).mark
    matter = await entries.amend(
        office.desk, acting, matter.id, matter.version, EntryInput(without(draft(held), "phone", "division"))
    )
    for given_mark in (mark, "", mark.upper(), mark[:-1]):
        with pytest.raises(InvalidAct) as refused:
            await entries.publish(office.desk, acting, matter.id, matter.version, accept_breaking=given_mark)
        assert [it.field for it in refused.value.problems] == [("acceptBreaking",)]
    published = (await office.snapshot()).resources["301/1"]
    assert {"phone", "division"} <= set(published.item_by_name)
