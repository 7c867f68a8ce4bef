"""In charge of applications and the inbox as a frontend meets them: one query, one mutation, typed results."""

from dataclasses import replace
from typing import Any

from tanglai.catalogue.errors import BadInput
from tanglai.catalogue.model import ShareClass
from tanglai.catalogue.scalars import ScalarType
from tanglai.storage.database import PlatformDatabase
from tests.catalogues import make_item
from tests.office import HEALTH, POLICE, Office, permits

FIELDS = """__typename
... on Application { id number state stateWords version resourceCode items scope duty mySteps validTo
  provider { key } requester { key } purpose { code } grant { id items state } missing refusal replyWords
  deadlines { kind dueOn workingDays provisional overdue met articleWords department { key } }
  myMutations waitsFor { party role department { key } }
  events { event before after party role by reason department { key } } }
... on ActError { code message article }
... on InvalidAct { problems { field code message article articleWords } }
... on NotPermitted { roles ownAct }
... on WrongState { currentState steps }
... on NotFound { subject }
... on Conflict { version changedBy }"""
APPLY = "mutation ($input: ApplicationInput!, $key: String) { done: apply(input: $input, key: $key) { %s } }".replace(
    "%s", FIELDS
)
APPROVE = """mutation ($id: ID!, $version: Int!, $terms: TermsInput) {
  done: approveApplication(id: $id, version: $version, terms: $terms) { %s } }""".replace("%s", FIELDS)
REFUSE = """mutation ($id: ID!, $version: Int!) {
  done: refuseApplication(id: $id, version: $version, code: OTHER_SOURCE, reason: "ask the courts") { %s } }""".replace(
    "%s", FIELDS
)
INBOX = """{ inbox { waiting overdue nextDue unread
  tasks { totalCount pageInfo { hasNextPage } nodes { role dueOn overdue workingDaysLeft
    matter { __typename number stateWords ... on Application { duty } } } }
  notices { totalCount nodes { id kind words readAt matter { number } } } } }"""
INPUT: dict[str, Any] = {
    "resource": "301/1",
    "items": ["phone", "address"],
    "scope": '{"name": {"startsWith": "马"}}',
    "purpose": "care",
    "duty": "medical aid",
    "legalBasis": "Art. 3",
}


async def applied(office: Office, **changes: Any) -> Any:
    data = await office.ask(HEALTH, APPLY, roles="applicant", input=INPUT | changes)
    return data["done"]


async def test_from_application_to_grant(office: Office) -> None:
    done = await applied(office)
    assert (done["state"], done["stateWords"], done["version"], done["mySteps"]) == (
        "SUBMITTED",
        "submitted",
        2,
        ["WITHDRAW"],
    )
    assert done["myMutations"] == ["withdrawApplication"]
    assert done["waitsFor"] == [{"party": "PROVIDER", "role": "reviewer", "department": {"key": "public-security"}}]
    assert done["deadlines"] == [
        {
            "kind": "REPLY",
            "dueOn": "2026-10-09",
            "workingDays": 10,
            "provisional": False,
            "overdue": False,
            "met": None,
            "articleWords": done["deadlines"][0]["articleWords"],
            "department": {"key": "public-security"},
        }
    ]
    assert "11(3)" in done["deadlines"][0]["articleWords"]
    box = (await office.ask(POLICE, INBOX, roles="reviewer"))["inbox"]
    assert (box["waiting"], box["overdue"], box["nextDue"]) == (1, 0, "2026-10-09")
    (task,) = box["tasks"]["nodes"]
    assert (task["role"], task["workingDaysLeft"]) == ("reviewer", 10)
    assert task["matter"] == {
        "__typename": "Application",
        "number": done["number"],
        "stateWords": "submitted",
        "duty": "medical aid",
    }
    terms = {"items": ["phone"]}
    answered = (
        await office.ask(POLICE, APPROVE, roles="reviewer", id=done["id"], version=done["version"], terms=terms)
    )["done"]
    assert (answered["state"], answered["grant"]["items"], answered["grant"]["state"]) == (
        "PARTLY_APPROVED",
        ["phone"],
        "ACTIVE",
    )
    assert [(event["event"], event["party"], event["by"]) for event in answered["events"]] == [
        ("CREATE", "REQUESTER", "applicant"),
        ("SUBMIT", "REQUESTER", "applicant"),
        ("REPLY", "PROVIDER", "reviewer"),
    ]
    told = (await office.ask(HEALTH, INBOX, roles="applicant"))["inbox"]
    assert (told["waiting"], told["unread"]) == (0, 1)
    (notice,) = told["notices"]["nodes"]
    assert (notice["kind"], notice["words"]) == ("APPLICATION_ANSWERED", "your application was answered")
    marked = await office.ask(
        HEALTH,
        "mutation ($ids: [ID!]!) { markNoticesRead(ids: $ids) { unread } }",
        roles="applicant",
        ids=[notice["id"], "no number"],
    )
    assert marked == {"markNoticesRead": {"unread": 0}}


async def test_whoever_answers_sees_the_cube_that_is_asked_for(platform: PlatformDatabase) -> None:
    items = (
        make_item("name"),
        make_item("kind", share_class=ShareClass.CONDITIONAL, codes=("A", "B")),
        make_item("fee", ScalarType.INTEGER, share_class=ShareClass.CONDITIONAL),
    )
    office = await Office.open(platform, [replace(permits(), items=items)])
    cube = {
        "dimensions": ["kind"],
        "measures": ["fee"],
        "period": "MONTH",
        "minimumCell": 5,
        "base": 10,
        "sumBase": "1",
    }
    done = await applied(office, items=None, scope=None, usage="STATISTICS", statistics=cube)
    asked = "usage statistics { dimensions measures period minimumCell base sumBase }"
    seen = f"query ($id: ID!) {{ application(id: $id) {{ {asked} }} }}"
    found = await office.ask(POLICE, seen, roles="reviewer", id=done["id"])
    assert found["application"] == {"usage": "STATISTICS", "statistics": cube}
    await office.ask(POLICE, APPROVE, roles="reviewer", id=done["id"], version=done["version"])
    held = await office.ask(HEALTH, f"{{ me {{ grants {{ nodes {{ {asked} }} }} }} }}")
    assert held["me"]["grants"]["nodes"] == [{"usage": "STATISTICS", "statistics": cube}]


async def test_errors_are_types_with_fields_and_articles(office: Office) -> None:
    done = await applied(office, items=["note"], duty=None)
    assert (done["__typename"], done["code"], done["article"]) == ("InvalidAct", "INVALID", "Art. 11(1)")
    assert "11(1)" in done["problems"][0]["articleWords"]
    assert [(it["field"], it["code"], it["article"]) for it in done["problems"]] == [
        (["duty"], "MISSING", "Art. 11(1)"),
        (["items"], "NOT_ALLOWED", "Art. 11(4)"),
    ]
    done = await applied(office)
    named: dict[str, Any] = {"id": done["number"], "version": done["version"]}
    refused = (await office.ask(POLICE, APPROVE, roles="applicant", **named))["done"]
    assert (refused["__typename"], refused["roles"], refused["ownAct"]) == ("NotPermitted", ["reviewer"], False)
    stale = (await office.ask(POLICE, APPROVE, roles="reviewer", id=done["id"], version=1))["done"]
    assert (stale["__typename"], stale["version"], stale["changedBy"]) == ("Conflict", 2, "applicant")
    unknown = (await office.ask(POLICE, APPROVE, roles="reviewer", id="A-2026-999999", version=1))["done"]
    assert (unknown["__typename"], unknown["subject"]) == ("NotFound", "A-2026-999999")
    assert (await office.ask(POLICE, REFUSE, roles="reviewer", **named))["done"]["refusal"] == "OTHER_SOURCE"
    over = (await office.ask(POLICE, APPROVE, roles="reviewer", id=done["id"], version=3))["done"]
    assert (over["__typename"], over["currentState"], over["steps"]) == ("WrongState", "REFUSED", [])


async def test_one_finds_ones_own_and_no_others(office: Office) -> None:
    done = await applied(office)
    one = "query ($id: ID!) { application(id: $id) { number } node(id: $id) { __typename id } }"
    for department, roles, seen in ((HEALTH, "applicant", True), (POLICE, "head", True), (POLICE, "", False)):
        found = await office.ask(department, one, roles=roles, id=done["id"])
        assert (found["application"] is not None) == seen
        assert (found["node"] is not None) == seen
    listed = """query ($side: Party, $states: [String!]) {
      applications(side: $side, states: $states, first: 1) { totalCount nodes { number } pageInfo { hasNextPage } } }"""
    await applied(office)
    for department, side, states, count in (
        (HEALTH, None, None, 2),
        (HEALTH, "REQUESTER", ["SUBMITTED"], 2),
        (HEALTH, "PROVIDER", None, 0),
        (POLICE, "PROVIDER", ["SUBMITTED", "APPROVED"], 2),
        (POLICE, None, ["APPROVED"], 0),
    ):
        found = await office.ask(department, listed, roles="auditor", side=side, states=states)
        page = found["applications"]
        assert (page["totalCount"], len(page["nodes"]), page["pageInfo"]["hasNextPage"]) == (
            count,
            min(count, 1),
            count > 1,
        )


async def test_an_application_names_its_resource(office: Office) -> None:
    for code, problem in ((None, "MISSING"), ("", "MISSING"), ("999/1", "UNKNOWN")):
        done = await applied(office, resource=code)
        assert [(it["field"], it["code"]) for it in done["problems"]] == [(["resource"], problem)]


async def test_a_filter_that_nothing_could_pass_is_told(office: Office) -> None:
    listed = "query ($side: Party, $states: [String!]) { applications(side: $side, states: $states) { totalCount } }"
    for filters, message in (
        ({"side": "PLATFORM"}, "no department is `PLATFORM`: `side` is `REQUESTER` or `PROVIDER` or `COORDINATOR`"),
        ({"states": ["SUBMITTED", "SUBMITED"]}, "no state `SUBMITED`: `states` are of `DRAFT`, `CONSENTED`, "),
    ):
        result = await office.run(HEALTH, listed, roles="auditor", **filters)
        assert result.errors is not None
        (error,) = result.errors
        assert isinstance(error.original_error, BadInput)
        assert error.message.startswith(message)


async def test_a_scope_that_cannot_be_read_is_a_typed_problem(office: Office) -> None:
    for mutation, field in (
        ("apply(input: {scope: $scope})", ["scope"]),
        ("createApplication(input: {scope: $scope})", ["scope"]),
        ('amendApplication(id: "1", version: 1, input: {scope: $scope})', ["scope"]),
        ('supplementApplication(id: "1", version: 1, input: {scope: $scope})', ["scope"]),
        ('approveApplication(id: "1", version: 1, terms: {scope: $scope})', ["terms", "scope"]),
        ('openConsultation(input: {need: "n", scope: $scope})', ["scope"]),
        ('proposeTerms(id: "1", version: 1, terms: {scope: $scope})', ["terms", "scope"]),
        (
            'decideCoordination(id: "1", version: 1, decision: SHARE, reason: "r", terms: {scope: $scope})',
            ["terms", "scope"],
        ),
        ('proposeServiceChange(grant: "1", change: CHANGE, reason: "r", terms: {scope: $scope})', ["terms", "scope"]),
    ):
        text = (
            f"mutation ($scope: String!) {{ done: {mutation} {{ ... on InvalidAct {{ problems {{ field code }} }} }} }}"
        )
        for scope in ("{", "[]", "[" * 100_000):
            done = (await office.ask(HEALTH, text, roles="applicant", scope=scope))["done"]
            assert done == {"problems": [{"field": field, "code": "MALFORMED"}]}, mutation


async def test_pages_go_both_ways(office: Office) -> None:
    numbers = [(await applied(office))["number"] for _ in range(5)]
    page = """query ($first: Int, $after: String, $last: Int, $before: String) {
      applications(first: $first, after: $after, last: $last, before: $before) {
        nodes { number } pageInfo { startCursor endCursor hasNextPage hasPreviousPage } } }"""
    seen, after = [], None
    while True:
        found = (await office.ask(HEALTH, page, roles="head", first=2, after=after))["applications"]
        seen += [node["number"] for node in found["nodes"]]
        after = found["pageInfo"]["endCursor"]
        if not found["pageInfo"]["hasNextPage"]:
            break
    assert seen == numbers
    seen, before = [], None
    while True:
        found = (await office.ask(HEALTH, page, roles="head", last=2, before=before))["applications"]
        seen = [node["number"] for node in found["nodes"]] + seen
        before = found["pageInfo"]["startCursor"]
        if not found["pageInfo"]["hasPreviousPage"]:
            break
    assert seen == numbers
    tasks = """query ($first: Int, $after: String) { inbox { tasks(first: $first, after: $after) {
      nodes { matter { number } } pageInfo { endCursor hasNextPage } } } }"""
    seen, after = [], None
    while True:
        found = (await office.ask(POLICE, tasks, roles="reviewer", first=2, after=after))["inbox"]["tasks"]
        seen += [node["matter"]["number"] for node in found["nodes"]]
        after = found["pageInfo"]["endCursor"]
        if not found["pageInfo"]["hasNextPage"]:
            break
    assert seen == numbers


async def test_a_page_of_fifty_takes_a_handful_of_statements(office: Office) -> None:
    for _ in range(12):
        await applied(office)
    counted: list[str] = []
    read = office.desk.read

    async def counting(question: Any) -> Any:
        counted.append("read")
        return await read(question)

    office.desk.read = counting  # type: ignore[method-assign, assignment]
    query = """{ inbox { waiting tasks { nodes { dueOn workingDaysLeft matter { number events { event }
      deadlines { dueOn } requester { name } } } } } }"""
    found = await office.ask(POLICE, query, roles="reviewer")
    assert len(found["inbox"]["tasks"]["nodes"]) == 12
    assert len(counted) == 5


async def test_steps_that_are_offered_can_be_taken(order: Office) -> None:
    """Nobody is offered to consent to their own draft, to answer what nobody asked, or what is done once."""
    whole = INPUT | {"scenario": "checks", "method": "query", "validTo": "2027-09-18T00:00:00Z"}
    create = APPLY.replace("apply(input: $input, key: $key)", "createApplication(input: $input, key: $key)")
    both = {"roles": "applicant head", "person": "ma"}
    done = (await order.ask(HEALTH, create, input=whole, **both))["done"]
    assert done["mySteps"] == ["AMEND", "WITHDRAW"]
    one = "query ($id: ID!) { application(id: $id) { mySteps myMutations } }"
    head = (await order.ask(HEALTH, one, roles="head", person="li", id=done["id"]))["application"]
    assert head == {"mySteps": ["CONSENT"], "myMutations": ["consentToApplication"]}


async def test_mutations_of_one_request_each_show_their_own_step(office: Office) -> None:
    done = await applied(office)
    both = """mutation ($id: ID!) {
      told: tellMissing(id: $id, version: 2, points: [SCENARIO], text: "how") { ...Steps }
      no: refuseApplication(id: $id, version: 3, code: OTHER, reason: "no") { ...Steps } }
    fragment Steps on ApplicationResult { ... on Application { events { event } } }"""
    found = await office.ask(POLICE, both, roles="reviewer", id=done["id"])
    assert [[event["event"] for event in found[name]["events"]] for name in ("told", "no")] == [
        ["CREATE", "SUBMIT", "TELL_MISSING"],
        ["CREATE", "SUBMIT", "TELL_MISSING", "REPLY"],
    ]
