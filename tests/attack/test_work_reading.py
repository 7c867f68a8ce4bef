"""Reading matters, grants, documents and figures of the law's work that are none of one's business."""

from typing import Any

import pytest

from schema.fixed.ids import cursor, global_id
from tanglai.catalogue.workflow.application import MissingPoint
from tanglai.catalogue.workflow.attachments import Attached
from tanglai.catalogue.workflow.errors import NotFound
from tanglai.storage.workflow import applications, attachments, consultations, entries, imports
from tanglai.storage.workflow.entries import EntryInput
from tanglai.storage.workflow.matters import Matter
from tests.attack.book import Book
from tests.entries import draft, register
from tests.granted import granted
from tests.office import CITY_OFFICE, COUNTY, HEALTH, OFFICE, OTHER_CITY, POLICE, Office
from tests.spreadsheets import workbook
from tests.unit.storage.workflow.test_applications import ASKED, WHOLE, submitted

book = Book(__name__, "Matters, grants and documents are for their parties")
row = book.row

EVERY = "applicant reviewer head cataloguer coordinator supervisor auditor client-administrator operator"
SECRET = "fourteen names on a list"
KINDS = ("application", "consultation", "coordination", "correction", "entry", "obligation", "suspension",
         "serviceChange", "disposal", "extension")  # fmt: skip
LISTS = ("applications", "consultations", "coordinations", "corrections", "entries", "obligations", "suspensions",
         "serviceChanges", "disposals", "extensions")  # fmt: skip


async def consulted(office: Office) -> Matter:
    """A consultation of the health commission on what the police do not share, with a document."""
    asked = {"resource": "301/1", "items": ["note"], "purpose": "care", "duty": "d", "legalBasis": "l", "need": SECRET}
    document = Attached("list.txt", "text/plain", SECRET.encode())
    acting = await office.acting(HEALTH, "applicant")
    return await consultations.open_consultation(office.desk, acting, asked, attached=[document])


@pytest.mark.parametrize("department", [
    row(1101, "A matter of two others, by every query, id, number and `node`", "null, as for none", HEALTH + "!"),
    row(1102, "The same by the competent department, which takes no part", "null, as for none", OFFICE),
    row(1103, "The same by a department below, with every role", "null, as for none", COUNTY),
])  # fmt: skip
async def test_others_matters(office: Office, department: str) -> None:
    matter = await submitted(office, duty=SECRET)
    asker = OTHER_CITY if department.endswith("!") else department
    ids = [matter.id, global_id("Application", matter.id)]
    unknown = ["A-2026-999999", global_id("Application", "A-2026-999999")]
    told = []
    for given in (ids, unknown):
        found = []
        for id in given:
            by_kind = " ".join(f"{kind}(id: $id) {{ number events {{ reason }} }}" for kind in KINDS)
            query = f"query ($id: ID!) {{ {by_kind} node(id: $id) {{ id }} }}"
            found.append(await office.ask(asker, query, roles=EVERY, id=id))
        told.append(found)
    assert told[0] == told[1]
    assert not any(any(answer.values()) for answer in told[0])
    lists = " ".join(f"{name} {{ totalCount nodes {{ number }} }}" for name in LISTS)
    answer = await office.ask(asker, f"{{ {lists} inbox {{ waiting unread }} }}", roles=EVERY)
    assert all(answer[name] == {"totalCount": 0, "nodes": []} for name in LISTS)
    assert answer["inbox"] == {"waiting": 0, "unread": 0}
    own = await office.ask(POLICE, "query ($id: ID!) { application(id: $id) { duty } }", roles="auditor", id=matter.id)
    assert own["application"]["duty"] == SECRET


@book.attempt(1104, "One's own matters with a token that has no role of the work", "a role is needed")
async def test_without_a_role(office: Office) -> None:
    matter = await submitted(office)
    query = "query ($id: ID!) { application(id: $id) { number } node(id: $id) { id } }"
    for roles in ("", "data.own APPLICANT Reviewer"):
        found = await office.ask(HEALTH, query, roles=roles, id=global_id("Application", matter.id))
        assert found == {"application": None, "node": None}
        assert (await office.run(HEALTH, "{ applications { totalCount } }", roles=roles)).errors
        assert (await office.run(POLICE, "{ grantsGiven { totalCount } }", roles=roles)).errors
        assert (await office.ask(POLICE, "{ inbox { waiting } }", roles=roles))["inbox"]["waiting"] == 0


@book.attempt(1105, "A matter under the type name of another kind", "type and kind go together")
async def test_type_confusion(office: Office) -> None:
    matter = await submitted(office)
    for name in ("Entry", "Consultation", "Matter", "Inbox", "application"):
        query = "query ($id: ID!) { node(id: $id) { __typename } }"
        assert (await office.ask(HEALTH, query, roles=EVERY, id=global_id(name, matter.id)))["node"] is None
    query = "query ($id: ID!) { entry(id: $id) { document } consultation(id: $id) { need } }"
    assert await office.ask(HEALTH, query, roles=EVERY, id=matter.id) == {"entry": None, "consultation": None}


@pytest.mark.parametrize("rules", [
    row(1106, "A draft of the other side, while it is one and after it was given up unsent",
        "unsent is its author's for good", "ningxia-measures", found=True),
    row(1107, "The same under Order 809, with the head's consent", "unsent is its author's for good", "order-809",
        found=True),
])  # fmt: skip
async def test_drafts_of_the_other_side(platform: Any, rules: str) -> None:
    office = await Office.open(platform, rules=rules)
    acting = await office.acting(HEALTH, "applicant")
    query = "query ($id: ID!) { application(id: $id) { duty } applications { totalCount nodes { duty } } }"
    matter = await applications.create(office.desk, acting, WHOLE | {"duty": SECRET})
    steps = [matter]
    if rules == "order-809":
        steps.append(await applications.consent(office.desk, await office.acting(HEALTH, "head"), matter.id, 1))
    steps.append(await applications.withdraw(office.desk, acting, matter.id, steps[-1].version))
    nothing = {"application": None, "applications": {"totalCount": 0, "nodes": []}}
    assert await office.ask(POLICE, query, roles=EVERY, id=matter.id) == nothing
    assert steps[-1].state == "WITHDRAWN"
    reviewer = await office.acting(POLICE, "reviewer")
    with pytest.raises(NotFound):
        await applications.approve(office.desk, reviewer, matter.id, steps[-1].version, {})
    open_ = await applications.create(office.desk, acting, WHOLE)
    with pytest.raises(NotFound):
        await applications.approve(office.desk, reviewer, open_.id, open_.version, {})
    sent = await submitted(office, duty=SECRET)
    await applications.withdraw(office.desk, acting, sent.id, sent.version)
    found = await office.ask(POLICE, query, roles=EVERY, id=sent.id)
    assert (found["application"]["duty"], found["applications"]["totalCount"]) == (SECRET, 1)


@book.attempt(1108, "An entry of a department, approved inside it or given up there, by the competent department",
              "the coordinator reads what was submitted", found=True)  # fmt: skip
async def test_entries_inside_a_department(order: Office) -> None:
    office = order
    cataloguer, head = await office.acting(POLICE, "cataloguer"), await office.acting(POLICE, "head")
    given = EntryInput(draft(register(code="301/9", word="visit"), title=SECRET))
    matter = await entries.create(office.desk, cataloguer, given)
    query = "query ($id: ID!) { entry(id: $id) { document } entries { totalCount } }"
    nothing = {"entry": None, "entries": {"totalCount": 0}}
    # As an import opens it: the competent department is named from the beginning.
    async with office.platform.session() as connection:
        await connection.execute("UPDATE matter SET coordinator = $2 WHERE id = $1", matter.id, OFFICE)
    assert await office.ask(OFFICE, query, roles=EVERY, id=matter.id) == nothing
    matter = await entries.approve(office.desk, head, matter.id, matter.version)
    assert await office.ask(OFFICE, query, roles=EVERY, id=matter.id) == nothing
    matter = await entries.withdraw(office.desk, cataloguer, matter.id, matter.version)
    assert matter.state == "WITHDRAWN"
    assert await office.ask(OFFICE, query, roles=EVERY, id=matter.id) == nothing


@book.attempt(1109, "A reply that the provider's head has not signed yet, from the steps of the application",
              "what is said inside a department stays there", found=True)  # fmt: skip
async def test_unsigned_replies(order: Office) -> None:
    matter = await submitted(order)
    reviewer, head = await order.acting(POLICE, "reviewer"), await order.acting(POLICE, "head")
    matter = await applications.approve(order.desk, reviewer, matter.id, matter.version, {"items": ["phone"]},
                                        reason=SECRET)  # fmt: skip
    await applications.send_back(order.desk, head, matter.id, matter.version, SECRET)
    query = "query ($id: ID!) { application(id: $id) { events { event reason given } } }"
    theirs = await order.ask(HEALTH, query, roles=EVERY, id=matter.id)
    told = {event["event"]: (event["reason"], event["given"]) for event in theirs["application"]["events"]}
    assert told["PROPOSE_REPLY"] == told["SEND_BACK"] == ("", "{}")
    own = await order.ask(POLICE, query, roles=EVERY, id=matter.id)
    assert [event["reason"] for event in own["application"]["events"][-2:]] == [SECRET, SECRET]


@book.attempt(1110, "Acts on a matter of others: what is refused tells whether there is one", "both are not found")
async def test_acts_tell_nothing(office: Office) -> None:
    matter = await submitted(office)
    told = []
    for id in (matter.id, "A-2026-000099"):
        for version in (1, 2, 99):
            text = (
                "mutation ($id: ID!, $v: Int!) { "
                "a: withdrawApplication(id: $id, version: $v) { __typename ... on NotFound { message } } "
                'b: refuseApplication(id: $id, version: $v, code: OTHER, reason: "r") { __typename } '
                "c: approveApplication(id: $id, version: $v) { __typename } "
                'd: requestExtension(about: $id, days: 1, reason: "r") { __typename } }'
            )
            answer = await office.ask(OTHER_CITY, text, roles=EVERY, id=id, v=version)
            told.append(str(answer).replace(id, "X"))
    assert len(set(told)) == 1
    assert "NotFound" in told[0]
    assert "NotPermitted" not in told[0]


@book.attempt(1111, "Acts on a grant of others", "both are not found")
async def test_acts_on_grants_tell_nothing(office: Office) -> None:
    await granted(office)
    text = (
        "mutation ($id: ID!) { "
        'a: suspendGrant(grant: $id, code: OTHER, reason: "r", correctionDays: 5) { ...told } '
        'b: proposeServiceChange(grant: $id, change: END, reason: "r") { ...told } '
        'c: disposeOfGrant(grant: $id, input: {disposedOn: "2026-09-01", method: "m"}) '
        "{ ...told } } fragment told on NotFound { __typename message }"
    )
    told = [str(await office.ask(OTHER_CITY, text, roles=EVERY, id=id)).replace(id, "X") for id in ("g1", "g9")]
    assert told[0] == told[1]
    assert told[0].count("'NotFound'") == 3


@book.attempt(1112, "Grants of others, by id and in lists with every filter", "for holder, giver and overseer")
async def test_others_grants(office: Office) -> None:
    await granted(office)
    query = (
        'query { grant(id: "g1") { id } grantsGiven { totalCount } above: grantsGiven(supervised: true) { totalCount } '
        f'by: grantsGiven(requester: "{HEALTH}", resource: "301/1") {{ totalCount nodes {{ id scope }} }} '
        f'both: grantsGiven(requester: "{HEALTH}", supervised: true) {{ totalCount }} }}'
    )
    for department in (OTHER_CITY, CITY_OFFICE, COUNTY):
        answer = await office.ask(department, query, roles=EVERY)
        assert answer.pop("grant") is None
        assert all(part["totalCount"] == 0 for part in answer.values()), department
    for department, counts in ((POLICE, (1, 0, 1, 0)), (OFFICE, (0, 1, 0, 1))):
        answer = await office.ask(department, query, roles=EVERY)
        assert answer.pop("grant") == {"id": "g1"}
        assert tuple(part["totalCount"] for part in answer.values()) == counts


@book.attempt(1113, "Forged cursors: other keys, no keys, characters that no key has", "a place, never a right")
async def test_forged_cursors(office: Office) -> None:
    await submitted(office)
    await granted(office)
    keys = (
        "",
        "A",
        "' OR 1=1 --",
        "9999-12-31 A z",
        "infinity x y",
        "\x00",
        "1 301/1",
        "-1",
        "１２",
        "0" * 400,
        "\uffff",
    )
    query = (
        "query ($a: String!) { applications(after: $a) { nodes { number } } entries(before: $a) { nodes { number } } "
        "inbox { tasks(after: $a) { nodes { role } } notices(before: $a) { nodes { kind } } } "
        "grantsGiven(after: $a) { nodes { id } } catalogueImports(before: $a) { nodes { id } } "
        "usageRecords(after: $a) { __typename ... on UsageRecords { records { nodes { rows } } } } }"
    )
    for key in keys:
        answer = await office.run(OTHER_CITY, query, roles=EVERY, a=cursor(key))
        if answer.errors is None:
            assert "'nodes': [{" not in str(answer.data), key
        else:
            assert all("BAD" in str(getattr(error.original_error, "code", "")) for error in answer.errors), key
    for text in ("", "x", "é", cursor("A") + "=="):
        answer = await office.run(HEALTH, query, roles=EVERY, a=text)
        assert answer.errors is not None
        assert answer.errors[0].message == "the cursor is none of this list"


@pytest.mark.parametrize("text", [
    row(1114, "SQL in states, codes, sides and names of filters", "values are arguments", "' OR true --"),
    row(1115, "Wildcards of LIKE and of regular expressions in them", "nothing is a pattern", "%"),
    row(1116, "A backslash, a quote and a brace", "values are arguments", "\\'{\""),
])  # fmt: skip
async def test_injection(office: Office, text: str) -> None:
    await submitted(office)
    await granted(office)
    query = (
        "query ($t: String!) { applications(resource: $t) { totalCount } "
        "grantsGiven(resource: $t) { totalCount } d: grantsGiven(requester: $t) { totalCount } "
        "usageRecords(resource: $t) { __typename } }"
    )
    answer = await office.ask(POLICE, query, roles=EVERY, t=text)
    assert answer.pop("usageRecords") == {"__typename": "NotFound"}
    stated = await office.run(
        POLICE, "query ($t: String!) { applications(states: [$t]) { totalCount } }", roles=EVERY, t=text
    )
    assert stated.data in (None, {"applications": {"totalCount": 0}})
    assert all(part == {"totalCount": 0} for part in answer.values())


@book.attempt(1117, "A document of others' matter by its id, and ids that try paths and numbers", "parties alone")
async def test_others_documents(office: Office) -> None:
    matter = await consulted(office)
    id = f"{matter.id}/{HEALTH}/1"
    assert (await attachments.content(office.desk, POLICE, id))[1] == SECRET.encode()
    for department in (OTHER_CITY, OFFICE, COUNTY, ""):
        with pytest.raises(NotFound):
            await attachments.content(office.desk, department, id)
    tail = f"{matter.id}/{HEALTH}"
    forged = (f"{id}/..", f"{matter.id}/{POLICE}/1", f"{matter.id}/%/1", f"{id}\x00", f"{matter.id}//1", f"../{id}")
    for text in (*forged, f"{tail}/-1", f"{id}1", ""):
        with pytest.raises(NotFound):
            await attachments.content(office.desk, POLICE, text)


@book.attempt(1118, "A document that another department has sent and not attached yet", "it waits for its sender")
async def test_others_uploads(office: Office) -> None:
    sent = await attachments.upload(
        office.desk, await office.acting(POLICE, "reviewer"), Attached("a.txt", "text/plain", SECRET.encode())
    )
    text = (
        'mutation ($u: ID!) { openConsultation(documents: [{upload: $u}], input: {resource: "301/1", '
        'items: ["note"], purpose: "care", duty: "d", legalBasis: "l", need: "n"}) '
        "{ __typename ... on InvalidAct { problems { message } } } }"
    )
    answers = [await office.ask(HEALTH, text, roles="applicant", u=id) for id in (sent, "U-none")]
    assert str(answers[0]).replace(sent, "X") == str(answers[1]).replace("U-none", "X")
    assert answers[0]["openConsultation"]["__typename"] == "InvalidAct"


@book.attempt(1119, "Notices of others, and marking them read", "by department and role")
async def test_others_notices(office: Office) -> None:
    matter = await submitted(office)
    reviewer = await office.acting(POLICE, "reviewer")
    await applications.approve(office.desk, reviewer, matter.id, matter.version, {})
    query = "{ inbox { unread notices { nodes { id kind } } } }"
    (told,) = (await office.ask(HEALTH, query, roles="applicant"))["inbox"]["notices"]["nodes"]
    text = "mutation ($ids: [ID!]!) { markNoticesRead(ids: $ids) { unread } }"
    ids = [told["id"], "1 OR 1=1", "-1", "９", "9" * 30, "\x00"]
    for department in (OTHER_CITY, POLICE, OFFICE):
        assert (await office.ask(department, text, roles=EVERY, ids=ids))["markNoticesRead"]["unread"] == 0
    assert (await office.ask(HEALTH, query, roles="applicant"))["inbox"]["unread"] == 1
    assert (await office.ask(HEALTH, text, roles="applicant", ids=ids))["markNoticesRead"]["unread"] == 0


@book.attempt(1120, "An import of others, its report and its resources, by id", "for its department")
async def test_others_imports(office: Office) -> None:
    it = await imports.start(office.desk, await office.acting(POLICE, "cataloguer"), "a.xlsx", workbook())
    query = "query ($id: ID!) { catalogueImport(id: $id) { fileName } catalogueImports { totalCount } }"
    for department in (HEALTH, OFFICE, CITY_OFFICE):
        answer = await office.ask(department, query, roles=EVERY, id=it.id)
        assert answer == {"catalogueImport": None, "catalogueImports": {"totalCount": 0}}
    assert (await office.ask(POLICE, query, roles="cataloguer", id=it.id))["catalogueImport"]["fileName"] == "a.xlsx"
    assert (await office.ask(POLICE, query.replace("catalogueImports { totalCount }", ""), id=it.id)) == {
        "catalogueImport": None
    }


@book.attempt(1121, "Usage records of others' resources and grants", "of one's own, and of one's level")
async def test_others_usage(office: Office) -> None:
    await granted(office)
    query = (
        'query { a: usageRecords(resource: "301/1") { __typename } b: usageRecords(grant: "g1") { __typename } '
        'c: usageRecords(grant: "g9") { __typename } d: usageRecords(requester: "police") { __typename } }'
    )
    mine = await office.ask(HEALTH, query, roles="auditor reviewer head")
    assert (mine["a"]["__typename"], mine["b"], mine["b"]) == ("NotPermitted", mine["c"], {"__typename": "NotFound"})
    above = await office.ask(CITY_OFFICE, query, roles=EVERY)
    assert (above["a"]["__typename"], above["b"]) == ("NotPermitted", {"__typename": "NotFound"})
    region = await office.ask(OFFICE, query, roles="supervisor")
    assert region["a"] == region["b"] == {"__typename": "UsageRecords"}
    for roles in ("", "applicant cataloguer", "supervisor"):
        refused = await office.ask(HEALTH, query, roles=roles)
        assert {part["__typename"] for part in refused.values()} == {"NotPermitted"}


@book.attempt(1122, "Figures of departments that are not below one", "the competent department of their level")
async def test_others_figures(office: Office) -> None:
    query = (
        'query ($d: String) { supervision(from: "2026-09-01", to: "2026-09-10", department: $d) '
        "{ __typename ... on Supervision { departments { department { key } } } } }"
    )
    for department, named, roles in (
        (HEALTH, "public-security", EVERY),
        (CITY_OFFICE, "public-security", "supervisor"),
        (OTHER_CITY, "city-police", EVERY),
    ):
        answer = (await office.ask(department, query, roles=roles, d=named))["supervision"]
        assert answer["__typename"] in ("NotPermitted", "NotFound"), department
    own = (await office.ask(HEALTH, query, roles="applicant"))["supervision"]
    assert [it["department"]["key"] for it in own.get("departments", [])] in ([], ["health"])
    city = (await office.ask(CITY_OFFICE, query, roles="supervisor"))["supervision"]
    assert "public-security" not in str(city)


@book.attempt(1123, "An application that one's grant rests on, after it went to a dispute of others",
              "each matter asks anew")  # fmt: skip
async def test_matters_through_other_matters(office: Office) -> None:
    matter = await submitted(office, duty=SECRET)
    reviewer = await office.acting(POLICE, "reviewer")
    await applications.approve(office.desk, reviewer, matter.id, matter.version, {})
    query = "{ grantsGiven(supervised: true) { nodes { id basisMatter { number } } } }"
    (seen,) = (await office.ask(OFFICE, query, roles=EVERY))["grantsGiven"]["nodes"]
    assert seen["basisMatter"] is None
    (own,) = (await office.ask(POLICE, query.replace("(supervised: true)", ""), roles=EVERY))["grantsGiven"]["nodes"]
    assert own["basisMatter"] == {"number": matter.id}


@book.attempt(1124, "Naming another's grant as the one to renew, at once or in a supplement", "the first stays",
              found=True)  # fmt: skip
async def test_renewing_others_grants(office: Office) -> None:
    await granted(office, "g2", requester=OTHER_CITY)
    text = (
        "mutation ($i: ApplicationInput!) { createApplication(input: $i) "
        "{ __typename ... on InvalidAct { problems { message } } } }"
    )
    told = []
    for id in ("g2", "g9"):
        answer = await office.ask(HEALTH, text, roles="applicant", i={"resource": "301/1", "renews": id})
        told.append(str(answer).replace(id, "X"))
    assert told[0] == told[1]
    assert "InvalidAct" in told[0]
    matter = await submitted(office)
    point = MissingPoint.DUTY
    reviewer = await office.acting(POLICE, "reviewer")
    matter = await applications.tell_missing(office.desk, reviewer, matter.id, matter.version, [point], "t")
    applicant = await office.acting(HEALTH, "applicant")
    given = {**ASKED, "renews": "g2", "duty": "another"}
    matter = await applications.supplement(office.desk, applicant, matter.id, matter.version, given)
    assert matter.document["duty"] == "another"
    assert "renews" not in matter.document
