"""Supervision, usage records and old interfaces as GraphQL: who sees which figures, and what they say."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from tanglai.audit.log import AuditLog
from tanglai.audit.records import AuditRecord, Outcome
from tanglai.catalogue.model import Source, Zone
from tanglai.catalogue.workflow.application import MissingPoint, RefusalReason
from tanglai.catalogue.workflow.evaluation_export import BOM, guarded
from tanglai.storage.publishing import CatalogueChange
from tanglai.storage.workflow import applications
from tanglai.storage.workflow.usage import roll_up
from tests.office import CITY_OFFICE, CITY_POLICE, COUNTY, HEALTH, OFFICE, POLICE, Office

ASKED = {
    "resource": "301/1",
    "items": ["phone"],
    "purpose": "care",
    "duty": "medical aid to the poor",
    "legalBasis": "Social Assistance Measures Art. 3",
}
PERIOD = 'from: "2026-09-01", to: "2026-12-31"'
WHO = "__typename ... on Supervision { departments { department { key } } connected { department { key } } }"


async def keys(office: Office, department: str, roles: str, arguments: str = "") -> tuple[list[str], list[str]] | str:
    """Keys of the departments whose figures, and whose catalogue figures, one sees; or the kind of the refusal."""
    data = await office.ask(department, f"{{ it: supervision({PERIOD}{arguments}) {{ {WHO} }} }}", roles=roles)
    if data["it"]["__typename"] != "Supervision":
        return str(data["it"]["__typename"])
    both = [[node["department"]["key"] for node in data["it"][name]] for name in ("departments", "connected")]
    return both[0], both[1]


async def test_who_sees_whom(office: Office) -> None:
    region = (["data-office", "health", "other-city", "public-security"], ["city-data", "city-police", "county"])
    seen = await keys(office, OFFICE, "supervisor")
    assert tuple(sorted(part) for part in seen) == region
    city = await keys(office, CITY_OFFICE, "supervisor")
    assert (sorted(city[0]), city[1]) == (["city-data", "city-police", "county"], [])
    # Without the role, and everybody else: oneself.
    assert await keys(office, OFFICE, "head") == (["data-office"], [])
    assert await keys(office, POLICE, "supervisor") == (["public-security"], [])
    assert await keys(office, POLICE, "applicant") == (["public-security"], [])
    assert await keys(office, POLICE, "data.read") == "NotPermitted"


async def test_one_department_or_one_level(office: Office) -> None:
    assert await keys(office, OFFICE, "supervisor", ', department: "health"') == (["health"], [])
    assert await keys(office, OFFICE, "supervisor", f', department: "{CITY_POLICE}"') == ([], ["city-police"])
    assert await keys(office, OFFICE, "supervisor", ", level: COUNTY") == ([], ["county"])
    assert await keys(office, CITY_OFFICE, "supervisor", ", level: COUNTY") == (["county"], [])
    assert await keys(office, POLICE, "head", f', department: "{POLICE}"') == (["public-security"], [])
    assert await keys(office, POLICE, "head", ', department: "health"') == "NotPermitted"
    assert await keys(office, CITY_OFFICE, "supervisor", ", level: REGION") == "NotPermitted"
    assert await keys(office, CITY_POLICE, "supervisor", ', department: "county"') == "NotPermitted"
    assert await keys(office, OFFICE, "supervisor", ', department: "nobody"') == "NotFound"


@pytest.mark.parametrize(
    ("since", "until", "field"),
    [
        ("2026-09-01", "2026-08-31", "to"),
        ("2026-09-01", "2029-09-08", "to"),
        ("2026-09-01", "9999-12-31", "to"),
        ("2003-12-31", "2004-01-31", "from"),
        ("0001-01-01", "0001-01-02", "from"),
        ("9999-12-30", "9999-12-31", "from"),
    ],
)
async def test_a_period_has_bounds(office: Office, since: str, until: str, field: str) -> None:
    told = "... on InvalidAct { code problems { field } }"
    text = f'{{ it: supervision(from: "{since}", to: "{until}") {{ {told} }} }}'
    data = await office.ask(OFFICE, text, roles="supervisor")
    assert data["it"] == {"code": "INVALID", "problems": [{"field": [field]}]}


async def test_the_longest_and_the_first_period(office: Office) -> None:
    for period in ('from: "2004-01-01", to: "2004-01-01"', 'from: "2026-09-01", to: "2029-09-03"'):
        text = f"{{ it: supervision({period}) {{ {WHO} }} }}"
        assert (await office.ask(OFFICE, text, roles="supervisor"))["it"]["__typename"] == "Supervision"


FIGURES = """... on Supervision {
  from to ruleSet version useAsOf
  weights { code weight article } deductions { violation points most }
  departments {
    department { key } rank points deducted rates { code weight rate }
    deadlines { kind due onTime late overdue running extended medianWorkingDays }
    overdueNow { kind count } refusals { reason count } correctionsReported correctionsAnswered
    grants grantsUnused asked { purposeCode purpose { title } requests rows denied } provided { purposeCode requests }
    resources sources sourcesDown interfaces interfacesOverdue suspensions { reason count }
    disposals disposalsStated violations { code side article count }
  }
  export(format: CSV)
}"""


async def applied(office: Office, department: str = HEALTH) -> Any:
    applicant = await office.acting(department, "applicant")
    matter = await applications.create(office.desk, applicant, ASKED)
    return await applications.submit(office.desk, applicant, matter.id, matter.version)


async def figures(office: Office, department: str = OFFICE, roles: str = "supervisor") -> dict[str, Any]:
    data = await office.ask(department, f"{{ it: supervision({PERIOD}) {{ {FIGURES} }} }}", roles=roles)
    found: dict[str, Any] = data["it"]
    return found


async def test_figures_of_what_was_really_done(office: Office) -> None:
    """Two applications answered, one of them late and refused, one overdue, one running; a refusal downwards."""
    reviewer = await office.acting(POLICE, "reviewer")
    one, two, _ = [await applied(office) for _ in range(3)]
    below = await applied(office, COUNTY)
    await applications.approve(office.desk, reviewer, one.id, one.version, {"items": ["phone"]})
    office.pass_days(40)
    await applied(office)
    late = await office.acting(POLICE, "reviewer")
    for it in (two, below):
        await applications.refuse(office.desk, late, it.id, it.version, RefusalReason.OTHER_SOURCE, "ask the courts")
    found = await figures(office)
    assert (found["from"], found["to"], found["ruleSet"]) == ("2026-09-01", "2026-12-31", "ningxia-measures")
    assert sum(weight["weight"] for weight in found["weights"]) == 100
    police = next(it for it in found["departments"] if it["department"]["key"] == "public-security")
    assert police["deadlines"] == [
        {
            "kind": "REPLY",
            "due": 5,
            "onTime": 1,
            "late": 2,
            "overdue": 1,
            "running": 1,
            "extended": 0,
            "medianWorkingDays": 24.0,
        }
    ]
    assert police["overdueNow"] == [{"kind": "REPLY", "count": 1}]
    assert police["refusals"] == [{"reason": "OTHER_SOURCE", "count": 2}]
    counts = {it["code"]: (it["side"], it["count"]) for it in police["violations"]}
    assert counts["LATE_REPLY"] == ("PROVIDER", 3)
    assert counts["NO_RETURN_FLOW"] == ("PROVIDER", 1)
    assert counts["ADDED_CONDITIONS"] == ("PROVIDER", None)
    assert counts["OVERUSE"] == ("REQUESTER", 0)
    rates = {it["code"]: it["rate"] for it in police["rates"]}
    assert (rates["REPLIES_ON_TIME"], rates["UPDATES_ON_TIME"], rates["SOURCES_UP"]) == ("0.2500", None, "1.0000")
    assert police["points"] == "43.75"  # 30 at a quarter, 10 at 1
    # Health has a grant that is valid for the rest of the period only, so it need not have been used.
    assert (police["rank"], [it["rank"] for it in found["departments"]]) == (2, [1, 2, None, None])
    assert next(it for it in found["departments"] if it["department"]["key"] == "health")["grants"] == 1


async def test_figures_under_order_809(order: Office) -> None:
    """The head's reply is the one that counts; days for which the clock stood are not the provider's."""
    applicant = await order.acting(HEALTH, "applicant")
    whole = ASKED | {"scenario": "check", "method": "query", "validTo": "2027-09-18T00:00:00Z"}
    matter = await applications.create(order.desk, applicant, whole)
    matter = await applications.consent(order.desk, await order.acting(HEALTH, "head"), matter.id, matter.version)
    matter = await applications.submit(order.desk, applicant, matter.id, matter.version)
    order.pass_days(10)  # 2026-09-28, six working days later
    reviewer = await order.acting(POLICE, "reviewer")
    matter = await applications.tell_missing(
        order.desk, reviewer, matter.id, matter.version, [MissingPoint.SCENARIO], "what is checked"
    )
    assert (await police_of(order))["deadlines"][0]["running"] == 1, "the clock stands"
    order.pass_days(30)  # 2026-10-28
    applicant = await order.acting(HEALTH, "applicant")
    matter = await applications.supplement(order.desk, applicant, matter.id, matter.version, {"scenario": "of incomes"})
    reviewer = await order.acting(POLICE, "reviewer")
    matter = await applications.refuse(
        order.desk, reviewer, matter.id, matter.version, RefusalReason.NO_DUTY, "the duty is another's"
    )
    assert (await police_of(order))["refusals"] == [], "it is only proposed"
    await applications.confirm(order.desk, await order.acting(POLICE, "head"), matter.id, matter.version)
    police = await police_of(order)
    assert police["refusals"] == [{"reason": "NO_DUTY", "count": 1}]
    tally = police["deadlines"][0]
    assert (tally["due"], tally["onTime"], tally["medianWorkingDays"]) == (1, 1, 6.0)
    found = await figures(order)
    assert found["ruleSet"] == "order-809"
    assert {it["code"]: it["weight"] for it in found["weights"]}["DISPOSALS_STATED"] == 10
    assert police["points"] == "100.00"


async def police_of(office: Office) -> dict[str, Any]:
    departments = (await figures(office))["departments"]
    return next(it for it in departments if it["department"]["key"] == "public-security")


async def test_the_export_opens_in_a_spreadsheet_program(office: Office) -> None:
    departments = (await office.snapshot()).departments
    await office.platform.publish(
        CatalogueChange(by="test", departments=(replace(departments[HEALTH], name_en='=HYPERLINK("x")', name="卫,健"),))
    )
    text = (await figures(office))["export"]
    assert text.startswith(BOM)
    header, *lines = csv.reader(io.StringIO(text.removeprefix(BOM)))
    assert len(lines) == 4
    assert all(len(line) == len(header) == len(set(header)) for line in lines)
    rows = {line[2]: dict(zip(header, line, strict=True)) for line in lines}
    assert rows[HEALTH]["department"] == '\'=HYPERLINK("x")'
    assert (rows[POLICE]["resources"], rows[POLICE]["replies due"], rows[POLICE]["ADDED_CONDITIONS"]) == ("1", "0", "")
    office.language = "zh"
    chinese = list(csv.reader(io.StringIO((await figures(office))["export"].removeprefix(BOM))))
    assert chinese[0][:4] == ["名次", "得分", "统一社会信用代码", "部门"]
    assert "卫,健" in {line[3] for line in chinese}


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\r=1"])
def test_no_text_is_a_formula(text: str) -> None:
    assert guarded(text) == f"'{text}"
    assert guarded(f"a{text}") == f"a{text}"


# --- usage records ----------------------------------------------------------------------------------------------------


def record(number: int, **changes: Any) -> AuditRecord:
    values: dict[str, Any] = {
        "request_id": f"r-{number}",
        "at": datetime(2026, 9, 10, 4, number, tzinfo=UTC),
        "department": HEALTH,
        "client": "portal",
        "person": "li",
        "purpose": "care",
        "operation_name": "Permits",
        "operation_hash": "ab" * 32,
        "document_kind": "text",
        "paths": ("data.population.permits",),
        "items": {"301/1": ("name",)},
        "grants": (),
        "rows": {"301/1": 3},
        "outcome": Outcome.ALLOWED,
        "codes": (),
        "duration_us": 5,
        "node": "n1",
    }
    return AuditRecord(**values | changes)


async def used(office: Office, *records: AuditRecord) -> None:
    log = AuditLog(office.platform.pool)
    for it in records:
        await log.append(it)
    await log.close()
    async with office.platform.session() as connection:
        await roll_up(connection)


RECORDS = """__typename
... on UsageRecords { asOf records { totalCount pageInfo { hasNextPage hasPreviousPage endCursor startCursor }
  nodes { id requestId at resourceCode client person purposeCode operationName items grants rows outcome codes
          department { key } resource { title } purpose { title } } } }
... on ActError { code article }"""


async def read(office: Office, department: str, roles: str, arguments: str = "") -> Any:
    call = f"usageRecords({arguments})" if arguments else "usageRecords"
    return (await office.ask(department, f"{{ it: {call} {{ {RECORDS} }} }}", roles=roles))["it"]


def requests(found: Mapping[str, Any]) -> Sequence[str]:
    return [node["requestId"] for node in found["records"]["nodes"]]


async def test_the_provider_reads_the_use_of_its_own_resources(office: Office) -> None:
    other = "302/1"
    await used(
        office,
        record(1, items={"301/1": ("name", "phone"), other: ("secret",)}, rows={"301/1": 3, other: 8}),
        record(2, department=COUNTY, purpose=None, outcome=Outcome.DENIED, codes=("GRANT_REQUIRED",), rows={}),
        record(3, items={other: ("secret",)}, rows={}),
    )
    found = await read(office, POLICE, "auditor")
    assert requests(found) == ["r-2", "r-1"]
    assert found["asOf"] is not None
    newest, oldest = found["records"]["nodes"]
    assert (oldest["items"], oldest["rows"], oldest["department"]["key"]) == (["name", "phone"], "3", "health")
    assert (newest["codes"], newest["rows"], newest["purpose"]) == (["GRANT_REQUIRED"], "0", None)
    assert "secret" not in str(found)
    assert await read(office, POLICE, "reviewer", 'resource: "301/1"') == found


async def test_the_competent_department_reads_those_of_its_level(office: Office) -> None:
    await used(office, record(1), record(2))
    for roles in ("auditor", "supervisor"):
        assert requests(await read(office, OFFICE, roles)) == ["r-2", "r-1"]
        assert requests(await read(office, OFFICE, roles, 'resource: "301/1"')) == ["r-2", "r-1"]
    refused = {"__typename": "NotPermitted", "code": "NOT_PERMITTED", "article": "Order 809 Art. 29"}
    assert await read(office, OFFICE, "coordinator") == refused
    assert await read(office, POLICE, "applicant") == refused
    assert await read(office, HEALTH, "auditor", 'resource: "301/1"') == refused
    assert await read(office, CITY_OFFICE, "supervisor", 'resource: "301/1"') == refused
    assert requests(await read(office, CITY_OFFICE, "supervisor")) == []
    assert requests(await read(office, HEALTH, "auditor")) == []
    assert (await read(office, OFFICE, "auditor", 'resource: "9/9"'))["__typename"] == "NotFound"
    assert (await read(office, OFFICE, "auditor", 'requester: "nobody"'))["__typename"] == "NotFound"


async def test_records_by_grant_requester_and_day(office: Office) -> None:
    reviewer = await office.acting(POLICE, "reviewer")
    grants = []
    for department in (HEALTH, COUNTY):
        matter = await applied(office, department)
        grants.append((await applications.approve(office.desk, reviewer, matter.id, matter.version, {})).grant)
    next_day = datetime(2026, 9, 10, 16, 0, tzinfo=UTC)
    await used(
        office,
        record(1, at=next_day, grants=(grants[0], "gone")),
        record(2, at=next_day - timedelta(microseconds=1)),  # of the day before, though it comes later
        record(3, at=next_day, department=COUNTY, grants=(grants[1],)),
        record(4, at=next_day),
    )
    by_grant = await read(office, POLICE, "auditor", f'grant: "{grants[0]}"')
    assert requests(by_grant) == ["r-1"]
    assert by_grant["records"]["nodes"][0]["grants"] == [grants[0]]
    assert requests(await read(office, POLICE, "auditor", 'requester: "county"')) == ["r-3"]
    assert requests(await read(office, OFFICE, "auditor", f'requester: "{HEALTH}"')) == ["r-4", "r-2", "r-1"]
    assert requests(await read(office, POLICE, "auditor", 'since: "2026-09-11"')) == ["r-4", "r-3", "r-1"]
    assert requests(await read(office, OFFICE, "auditor", 'since: "2026-09-11", requester: "health"')) == ["r-4", "r-1"]
    assert requests(await read(office, OFFICE, "auditor", 'since: "2026-09-12"')) == []
    assert requests(await read(office, OFFICE, "auditor", 'since: "9999-12-31"')) == []
    assert len(requests(await read(office, POLICE, "auditor", 'since: "0001-01-01"'))) == 4
    assert (await read(office, HEALTH, "auditor", f'grant: "{grants[0]}"'))["__typename"] == "NotFound"
    elsewhere = f'grant: "{grants[0]}", requester: "county"'
    assert (await read(office, POLICE, "auditor", elsewhere))["__typename"] == "NotFound"


@pytest.mark.parametrize(("department", "arguments"), [(POLICE, ""), (OFFICE, ""), (POLICE, 'resource: "301/1"')])
async def test_pages_go_through_all_records_both_ways(office: Office, department: str, arguments: str) -> None:
    await used(office, *(record(n, department=(HEALTH, COUNTY, CITY_POLICE)[n % 3]) for n in range(7)))
    every = [f"r-{n}" for n in reversed(range(7))]
    forward: list[str] = []
    place = ""
    while True:
        found = await read(office, department, "auditor", f"{arguments} first: 3{place}")
        forward += requests(found)
        assert found["records"]["totalCount"] == 7
        if not found["records"]["pageInfo"]["hasNextPage"]:
            break
        place = f', after: "{found["records"]["pageInfo"]["endCursor"]}"'
    assert forward == every
    last = await read(office, department, "auditor", f"{arguments} last: 2")
    assert requests(last) == every[-2:]
    before = f'{arguments} last: 3, before: "{last["records"]["pageInfo"]["startCursor"]}"'
    assert requests(await read(office, department, "auditor", before)) == every[2:5]


# --- old interfaces ---------------------------------------------------------------------------------------------------

INTERFACES = """{ catalogue { legacyInterfaces { source title retirement overdue successor note
  successorResource { code } department { key } resources { code }
  use { since asOf requests lastUse clients { department { key } client requests lastUse } } } } }"""


async def retiring(office: Office, on: date = date(2026, 9, 18)) -> None:
    """The police's source becomes an old interface, beside one without a user."""
    key = (await office.snapshot()).resources["301/1"].binding.source
    options = {"url": {"env": "SOURCE"}}
    plan = (on, "301/1", "请改用平台")
    await office.platform.publish(
        CatalogueChange(
            by="test",
            sources=(
                Source(key, "旧接口", POLICE, "http", Zone.EXTRANET, options, *plan),
                Source("unused", "旧库", POLICE, "http", Zone.EXTRANET, options, date(2027, 1, 1)),
            ),
        )
    )


async def test_old_interfaces_and_who_still_uses_them(office: Office) -> None:
    await retiring(office)
    old = datetime(2026, 6, 1, tzinfo=UTC)
    await used(
        office,
        record(1),
        record(2, purpose=None),
        record(3, department=COUNTY, client="desk"),
        record(4, at=old, department=CITY_POLICE),
        record(5, outcome=Outcome.DENIED, rows={}, department=CITY_POLICE),
    )
    for department in (POLICE, OFFICE):
        first, second = (await office.ask(department, INTERFACES, roles="reviewer"))["catalogue"]["legacyInterfaces"]
        assert (first["retirement"], first["overdue"], first["note"]) == ("2026-09-18", True, "请改用平台")
        assert (first["successorResource"], first["resources"]) == ({"code": "301/1"}, [{"code": "301/1"}])
        assert (first["use"]["since"], first["use"]["requests"]) == ("2026-06-20", "3")
        assert first["use"]["lastUse"] == "2026-09-10T04:03:00.000000Z"
        assert [(it["department"]["key"], it["client"], it["requests"]) for it in first["use"]["clients"]] == [
            ("health", "portal", "2"),
            ("county", "desk", "1"),
        ]
        assert (second["source"], second["overdue"], second["use"]["requests"]) == ("unused", False, "0")
        assert second["use"]["lastUse"] is None
    # Whoever uses it sees its own use, others none; the plan is for everybody.
    (own, _) = (await office.ask(HEALTH, INTERFACES, roles="applicant"))["catalogue"]["legacyInterfaces"]
    assert [it["department"]["key"] for it in own["use"]["clients"]] == ["health"]
    assert own["use"]["requests"] == "2"
    (none, _) = (await office.ask(CITY_POLICE, INTERFACES, roles="head"))["catalogue"]["legacyInterfaces"]
    assert (none["use"]["clients"], none["overdue"]) == ([], True)
    (plain, _) = (await office.ask(POLICE, INTERFACES, roles="data.read"))["catalogue"]["legacyInterfaces"]
    assert plain["use"]["clients"] == []


async def test_an_overdue_interface_counts_in_the_evaluation(office: Office) -> None:
    await retiring(office)
    police = await police_of(office)
    assert (police["sources"], police["interfaces"], police["interfacesOverdue"]) == (2, 2, 1)
    assert {it["code"]: it["rate"] for it in police["rates"]}["INTERFACES_RETIRED"] == "0.5000"
    office.pass_days(-1)
    assert (await figures(office, POLICE, "head"))["departments"][0]["interfacesOverdue"] == 0
