"""In charge of the life of grants as a frontend meets it: suspension, service changes, disposal, extension."""

from typing import Any

from tests.granted import granted
from tests.office import CITY_POLICE, HEALTH, OFFICE, POLICE, Office
from tests.unit.schema.workflow.test_applications import INPUT

ERRORS = """
... on ActError { code message article articleWords }
... on InvalidAct { problems { field code } }
... on NotPermitted { roles ownAct }
... on WrongState { currentState steps }
... on NotFound { subject }
... on Conflict { version changedBy }"""
SUSPENSION = """__typename ... on Suspension { id number state stateWords version mySteps reason reasonWords suspendedBy
  report grant { id state openSuspension { number } history { before after by reason } }
  deadlines { kind dueOn workingDays articleWords department { key } } provider { key } coordinator { key } }
%s""".replace("%s", ERRORS)
CHANGE = """__typename ... on ServiceChange { id number state version mySteps change proposal objection
  before { items scope masks { item mask } quota { rows } validTo } terms { items quota { rows } validTo }
  grant { id state items quota { rows } openServiceChange { number } } coordination { number state }
  coordinator { key } }
%s""".replace("%s", ERRORS)
DISPOSAL = """__typename ... on Disposal { id number state version method disposedOn kept { what legalBasis }
  grant { id state disposal { number state } } }
%s""".replace("%s", ERRORS)
EXTENSION = """__typename ... on Extension { id number state version days deadline dueOn reason aboutNumber mySteps
  about { number ... on Application { deadlines { dueOn workingDays } } } }
%s""".replace("%s", ERRORS)


async def act(office: Office, department: str, role: str, mutation: str, fields: str, **variables: Any) -> Any:
    data = await office.ask(department, "mutation " + mutation.replace("%s", fields), roles=role, **variables)
    return data["done"]


SUSPEND = """($grant: ID!, $days: Int) { done: suspendGrant(grant: $grant, code: PASSED_ON,
  reason: "sold to a broker", correctionDays: $days, key: "k") { %s } }"""


async def test_suspended_and_resumed(office: Office) -> None:
    await granted(office)
    done = await act(office, POLICE, "reviewer", SUSPEND, SUSPENSION, grant="g1", days=10)
    assert (done["state"], done["stateWords"], done["reason"], done["suspendedBy"]) == (
        "OPEN",
        "correction period",
        "PASSED_ON",
        "PROVIDER",
    )
    assert (done["reasonWords"], done["report"], done["coordinator"]) == (
        "sold to a broker",
        None,
        {"key": "data-office"},
    )
    assert done["grant"]["state"] == "SUSPENDED"
    assert done["grant"]["openSuspension"] == {"number": done["number"]}
    assert done["grant"]["history"][-1]["by"] == f"{POLICE}/reviewer"
    (clock,) = done["deadlines"]
    assert (clock["kind"], clock["dueOn"], clock["workingDays"], clock["department"]) == (
        "COMPLIANCE",
        "2026-10-09",
        10,
        {"key": "health"},
    )
    assert await act(office, POLICE, "reviewer", SUSPEND, SUSPENSION, grant="g1", days=10) == done
    inbox = await office.ask(
        HEALTH, "{ inbox { tasks { nodes { dueOn matter { number mySteps } } } } }", roles="applicant"
    )
    assert inbox["inbox"]["tasks"]["nodes"] == [
        {"dueOn": "2026-10-09", "matter": {"number": done["number"], "mySteps": ["REPORT_COMPLIANCE"]}}
    ]
    report = """($id: ID!, $version: Int!) {
      done: reportCompliance(id: $id, version: $version, text: "deleted") { %s } }"""
    reported = await act(office, HEALTH, "applicant", report, SUSPENSION, id=done["id"], version=1)
    assert (reported["state"], reported["report"]) == ("REPORTED", "deleted")
    late = await act(office, HEALTH, "applicant", report, SUSPENSION, id=done["id"], version=1)
    assert (late["__typename"], late["version"], late["changedBy"]) == ("Conflict", 2, "applicant")
    resume = "($id: ID!, $version: Int!) { done: resumeGrant(id: $id, version: $version) { %s } }"
    denied = await act(office, HEALTH, "reviewer", resume, SUSPENSION, id=done["id"], version=2)
    assert (denied["__typename"], denied["roles"]) == ("NotPermitted", ["reviewer", "coordinator"])
    resumed = await act(office, POLICE, "reviewer", resume, SUSPENSION, id=done["number"], version=2)
    assert (resumed["state"], resumed["grant"]["state"], resumed["grant"]["openSuspension"]) == (
        "RESUMED",
        "ACTIVE",
        None,
    )


async def test_faults_are_typed(office: Office) -> None:
    await granted(office)
    missing = await act(office, POLICE, "reviewer", SUSPEND, SUSPENSION, grant="g1")
    assert (missing["__typename"], missing["problems"]) == (
        "InvalidAct",
        [{"field": ["correctionDays"], "code": "MISSING"}],
    )
    nothing = await act(office, CITY_POLICE, "reviewer", SUSPEND, SUSPENSION, grant="g1", days=3)
    assert (nothing["__typename"], nothing["subject"]) == ("NotFound", "g1")
    await act(office, OFFICE, "coordinator", SUSPEND, SUSPENSION, grant="g1", days=3)
    twice = await act(office, POLICE, "reviewer", SUSPEND, SUSPENSION, grant="g1", days=3)
    assert (twice["__typename"], twice["currentState"]) == ("WrongState", "SUSPENDED")
    found = await office.ask(
        POLICE, "{ suspensions(side: PROVIDER) { nodes { number suspendedBy mySteps } totalCount } }", roles="reviewer"
    )
    assert [it["suspendedBy"] for it in found["suspensions"]["nodes"]] == ["COORDINATOR"]


PROPOSE = """($change: ServiceChangeKind!, $terms: ServiceTermsInput) { done: proposeServiceChange(grant: "g1",
  change: $change, reason: "the register moves", terms: $terms) { %s } }"""


def step(name: str, more: str = "") -> str:
    return f"($id: ID!, $version: Int!) {{ done: {name}(id: $id, version: $version{more}) {{ %s }} }}"


async def test_a_service_changes_by_agreement(office: Office) -> None:
    await granted(office)
    terms = {"items": ["phone"], "quota": {"rows": 100}, "scope": "{}", "masks": []}
    done = await act(office, POLICE, "reviewer", PROPOSE, CHANGE, change="CHANGE", terms=terms)
    assert (done["state"], done["before"]["items"], done["terms"]["items"]) == (
        "PROPOSED",
        ["address", "phone"],
        ["phone"],
    )
    assert done["grant"]["openServiceChange"] == {"number": done["number"]}
    done = await act(office, HEALTH, "applicant", step("consentToServiceChange"), CHANGE, id=done["id"], version=1)
    assert (done["state"], done["grant"]["items"]) == ("AGREED", ["address", "phone"])
    done = await act(office, POLICE, "reviewer", step("fileServiceChange"), CHANGE, id=done["id"], version=2)
    assert (done["state"], done["coordinator"]) == ("FILED", {"key": "data-office"})
    assert (done["grant"]["items"], done["grant"]["quota"]) == (["phone"], {"rows": 100})


async def test_an_objection_is_coordinated(office: Office) -> None:
    await granted(office)
    done = await act(office, POLICE, "reviewer", PROPOSE, CHANGE, change="END")
    objecting = step("objectToServiceChange", ', reason: "we need them"')
    done = await act(office, HEALTH, "applicant", objecting, CHANGE, id=done["id"], version=1)
    assert (done["state"], done["objection"], done["terms"]) == ("OBJECTED", "we need them", None)
    escalating = step("escalateServiceChange", ', reason: "the law changed"')
    done = await act(office, POLICE, "reviewer", escalating, CHANGE, id=done["id"], version=2)
    assert (done["state"], done["coordination"]["state"], done["grant"]["state"]) == ("ESCALATED", "OPEN", "ACTIVE")
    query = "query ($id: ID!) { coordination(id: $id) { over { number ... on ServiceChange { change objection } } } }"
    found = await office.ask(OFFICE, query, roles="coordinator", id=done["coordination"]["number"])
    assert found["coordination"]["over"] == {"number": done["number"], "change": "END", "objection": "we need them"}


STATEMENT = {"method": "dropped", "disposedOn": "2026-09-18", "kept": [{"what": "files", "legalBasis": "Archives Law"}]}


async def test_given_up_and_disposed_of(order: Office) -> None:
    await granted(order)
    dispose = """($grant: ID!, $input: DisposalInput!) {
      done: disposeOfGrant(grant: $grant, input: $input) { %s } }"""
    later = STATEMENT | {"disposedOn": "2026-09-19"}
    done = await act(order, HEALTH, "applicant", dispose, DISPOSAL, grant="g1", input=later)
    assert done["problems"] == [{"field": ["disposedOn"], "code": "NOT_ALLOWED"}]
    done = await act(order, HEALTH, "applicant", dispose, DISPOSAL, grant="g1", input=STATEMENT)
    assert (done["state"], done["method"], done["disposedOn"], done["kept"]) == (
        "STATED",
        "dropped",
        "2026-09-18",
        [{"what": "files", "legalBasis": "Archives Law"}],
    )
    assert (done["grant"]["state"], done["grant"]["disposal"]["number"]) == ("DISPOSED", done["number"])


async def test_a_statement_that_is_owed(order: Office) -> None:
    await granted(order)
    done = await act(order, POLICE, "reviewer", SUSPEND, SUSPENSION, grant="g1", days=1)
    ending = step("endSuspendedGrant", ', reason: "it goes on"')
    await act(order, POLICE, "reviewer", ending, SUSPENSION, id=done["id"], version=1)
    (owed,) = (await order.ask(HEALTH, '{ disposals(states: ["OPEN"]) { nodes { id version } } }', roles="applicant"))[
        "disposals"
    ]["nodes"]
    stating = "($id: ID!, $input: DisposalInput!) { done: stateDisposal(id: $id, version: 1, input: $input) { %s } }"
    done = await act(order, HEALTH, "applicant", stating, DISPOSAL, id=owed["id"], input=STATEMENT)
    assert (done["state"], done["grant"]["state"]) == ("STATED", "DISPOSED")


async def test_more_time_for_a_reply(order: Office) -> None:
    create = """($input: ApplicationInput!) { done: createApplication(input: $input) {
      ... on Application { id version } } }"""
    whole = INPUT | {"scenario": "checks", "method": "query", "validTo": "2027-09-18T00:00:00Z"}
    drafted = await act(order, HEALTH, "applicant", create, "", input=whole)
    version = "{ ... on Application { id number version } ... on ActError { message } }"
    for role, name in (("head", "consentToApplication"), ("applicant", "submitApplication")):
        mutation = f"($id: ID!, $version: Int!) {{ done: {name}(id: $id, version: $version) {version} }}"
        drafted = await act(order, HEALTH, role, mutation, "", id=drafted["id"], version=drafted["version"])
    request = '($about: ID!) { done: requestExtension(about: $about, days: 5, reason: "on paper") { %s } }'
    asked = await act(order, POLICE, "reviewer", request, EXTENSION, about=drafted["id"])
    assert (asked["dueOn"], asked["reason"]) == ("2026-10-09", "on paper")
    assert (asked["state"], asked["days"], asked["deadline"], asked["aboutNumber"], asked["mySteps"]) == (
        "REQUESTED",
        5,
        "REPLY",
        drafted["number"],
        ["WITHDRAW"],
    )
    decide = step("decideExtension", ', granted: true, reason: "agreed"')
    done = await act(order, OFFICE, "coordinator", decide, EXTENSION, id=asked["id"], version=1)
    assert (done["state"], done["about"]) == ("GRANTED", None)  # the application is none of the office's
    query = "query ($id: ID!) { application(id: $id) { deadlines { dueOn workingDays } } }"
    found = await order.ask(HEALTH, query, roles="applicant", id=drafted["id"])
    assert found["application"]["deadlines"] == [{"dueOn": "2026-10-15", "workingDays": 15}]
