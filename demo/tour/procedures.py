"""In charge of the tour's second part: the law's work, each line an act or a question of somebody in a role.

A remedy is followed by machine; a reply opens a part; a refusal goes through consultation and coordination; a deadline
is missed and counted; a suspended grant is denied at once.
"""

from collections.abc import Mapping
from typing import Any

from demo.data.world import World
from demo.tour.expectations import Delivered, Denied, Such, tree
from demo.tour.running import Kept, Line

TEXT = Such("a text", lambda value: isinstance(value, str) and bool(value))
NUMBER = Such("a number", lambda value: isinstance(value, int))
ERRORS = """... on ActError { code message article } ... on InvalidAct { problems { field code message } }
  ... on NotPermitted { roles ownAct }"""
ASSISTING, TAXING = "SOCIAL-ASSISTANCE", "TAX-COLLECTION"


def procedure_lines(world: World) -> list[Line]:
    return [*_application(world), *_dispute(world), *_deadlines(), *_suspension(world)]


def done(name: str, fields: str) -> str:
    """The selection of an act's result: `fields` of the matter, or what kept it from being done."""
    return f"{{ __typename ... on {name} {{ {fields} }} {ERRORS} }}"


def act(name: str, call: str, fields: str, variables: str = "$id: ID!, $version: Int!") -> str:
    return f"mutation ({variables}) {{ done: {call} {done(name, fields)} }}"


def matter(name: str, **fields: Any) -> Delivered:
    return Delivered({"done": {"__typename": name, **fields}})


ADDRESS = "query ($id: String!) { data { population { resident(idNumber: $id) { name phone currentAddress } } } }"
TAX: dict[str, Any] = {"department": "taxation", "person": "tax clerk"}
TAX_ASKS: dict[str, Any] = {**TAX, "query": ADDRESS, "purposes": (TAXING,)}
REVIEWER: dict[str, Any] = {"department": "public-security", "person": "police reviewer", "roles": ("reviewer",)}


def _application(world: World) -> list[Line]:
    owner = world.person("owner")
    asked: dict[str, Any] = {**TAX_ASKS, "variables": {"id": owner.id_number}}
    path = "data.population.resident."
    remedy = {"action": "APPLY", "departmentKey": "public-security", "mutation": "apply", "replyWithinWorkingDays": 10}
    denied = [Denied(path + item, "GRANT_REQUIRED", "Art. 11(3)", remedy) for item in ("phone", "currentAddress")]
    named = {"id": Kept("application"), "version": Kept("application version")}
    return [
        Line(
            "a denial names the mutation that asks for the data, Art. 11(3)",
            expected=Delivered(
                tree("population.resident", {"name": owner.name, "phone": None, "currentAddress": None}),
                tuple(denied),
            ),
            keep={
                "mutation": "errors.0.extensions.remedy.mutation",
                "resource": "errors.0.extensions.remedy.resource",
                "phone": "errors.0.extensions.remedy.items.0",
                "address": "errors.1.extensions.remedy.items.0",
            },
            **asked,
        ),
        Line(
            "without duty and legal basis an application is told all that it lacks, Art. 11(1)",
            query=lambda kept: act(
                "Application", f"{kept['mutation']}(input: $input)", "state", "$input: ApplicationInput!"
            ),
            variables={
                "input": {"resource": Kept("resource"), "items": [Kept("phone")], "purpose": TAXING},
            },
            roles=("applicant",),
            expected=matter(
                "InvalidAct",
                code="INVALID",
                message=TEXT,
                article="Art. 11(1)",
                problems=[
                    {"field": ["duty"], "code": "MISSING", "message": TEXT},
                    {"field": ["legalBasis"], "code": "MISSING", "message": TEXT},
                ],
            ),
            **TAX,
        ),
        Line(
            "the remedy followed by machine: an application to the provider, reply due in 10 working days, Art. 11(3)",
            query=lambda kept: act(
                "Application",
                f"{kept['mutation']}(input: $input)",
                "id version state provider { key } deadlines { kind workingDays overdue }",
                "$input: ApplicationInput!",
            ),
            variables={
                "input": {
                    "resource": Kept("resource"),
                    "items": [Kept("phone"), Kept("address")],
                    "purpose": TAXING,
                    "duty": "送达税务文书 (service of tax documents)",
                    "legalBasis": "税收征收管理法实施细则第一百零一条 (Rules on Tax Collection Art. 101)",
                }
            },
            roles=("applicant",),
            expected=matter(
                "Application",
                id=TEXT,
                version=2,
                state="SUBMITTED",
                provider={"key": "public-security"},
                deadlines=[{"kind": "REPLY", "workingDays": 10, "overdue": False}],
            ),
            keep={"application": "data.done.id", "application version": "data.done.version"},
            **TAX,
        ),
        Line(
            "it waits in the provider's inbox with ten working days left, Art. 11(3)",
            query="{ inbox { waiting tasks { nodes { role workingDaysLeft matter { id kind } } } } }",
            expected=Delivered(
                {
                    "inbox": {
                        "waiting": 1,
                        "tasks": {
                            "nodes": [
                                {
                                    "role": "reviewer",
                                    "workingDaysLeft": 10,
                                    "matter": {"id": TEXT, "kind": "APPLICATION"},
                                }
                            ]
                        },
                    }
                }
            ),
            **REVIEWER,
        ),
        Line(
            "who asks does not answer: the reply is the provider's, Art. 11(3)",
            query=act("Application", "approveApplication(id: $id, version: $version)", "state"),
            variables=named,
            roles=("applicant", "reviewer", "head"),
            expected=matter(
                "NotPermitted", code="NOT_PERMITTED", message=TEXT, article=None, roles=["reviewer"], ownAct=False
            ),
            **TAX,
        ),
        Line(
            "the provider shares a part: the phone, not the address, Art. 11(3)",
            query=act(
                "Application",
                'approveApplication(id: $id, version: $version, terms: {items: ["phone"]}, note: "地址不必提供")',
                "state grant { id items } deadlines { met overdue }",
            ),
            variables=named,
            expected=matter(
                "Application",
                state="PARTLY_APPROVED",
                grant={"id": TEXT, "items": ["phone"]},
                deadlines=[{"met": True, "overdue": False}],
            ),
            keep={"grant": "data.done.grant.id"},
            **REVIEWER,
        ),
        Line(
            "the same query is now answered in part, Art. 11(3)",
            expected=Delivered(
                tree("population.resident", {"name": owner.name, "phone": owner.phone, "currentAddress": None}),
                tuple(denied[1:]),
            ),
            **asked,
        ),
    ]


COUNTY: dict[str, Any] = {"department": "county-helan-social-assistance", "person": "county clerk"}
INSURER: dict[str, Any] = {"department": "social-security", "person": "insurance reviewer", "roles": ("reviewer",)}
OFFICE: dict[str, Any] = {"department": "data-office"}


def _dispute(world: World) -> list[Line]:
    local = [row for row in world.contributions if row.division == "640122"]
    months = sorted({row.month.isoformat() for row in local})[:1]
    application = {
        "resource": "202010/1",
        "items": ["month", "base", "division"],
        "purpose": ASSISTING,
        "duty": "核对救助申请家庭的收入 (income of those who ask for assistance)",
        "legalBasis": "社会救助暂行办法 (Interim Measures on Social Assistance) Art. 3",
    }

    def named(what: str) -> dict[str, Any]:
        return {"id": Kept(what), "version": Kept(f"{what} version")}

    def kept(what: str) -> Mapping[str, str]:
        return {what: "data.done.id", f"{what} version": "data.done.version"}

    return [
        Line(
            "a county asks the region for insurance data, Art. 11(3)",
            query=act("Application", "apply(input: $input)", "id version state", "$input: ApplicationInput!"),
            variables={"input": application},
            roles=("applicant",),
            expected=matter("Application", id=TEXT, version=2, state="SUBMITTED"),
            keep=kept("refused"),
            **COUNTY,
        ),
        Line(
            "a refusal gives its reasons, Art. 11(3)",
            query=act(
                "Application",
                "refuseApplication(id: $id, version: $version, code: NO_DUTY, "
                'reason: "民政厅已有授权，由其核对 (Civil Affairs has a grant and checks)")',
                "state refusal replyWords",
            ),
            variables=named("refused"),
            expected=matter("Application", state="REFUSED", refusal="NO_DUTY", replyWords=TEXT),
            **INSURER,
        ),
        Line(
            "what was refused and is really needed is consulted upon, Art. 11(4)",
            query=act(
                "Consultation",
                "openConsultation(input: $input)",
                "id version state provider { key }",
                "$input: ConsultationInput!",
            ),
            variables={
                "input": {"application": Kept("refused"), "need": "本县受理、当日核对 (the county decides on the spot)"}
            },
            roles=("applicant",),
            expected=matter("Consultation", id=TEXT, version=NUMBER, state="OPEN", provider={"key": "social-security"}),
            keep=kept("consultation"),
            **COUNTY,
        ),
        Line(
            "the provider keeps to its position, Art. 11(4)",
            query=act(
                "Consultation",
                'stateConsultationPosition(id: $id, version: $version, text: "不宜逐级开放 (not for every level)")',
                "id version state",
            ),
            variables=named("consultation"),
            expected=matter("Consultation", id=TEXT, version=NUMBER, state="OPEN"),
            keep=kept("consultation"),
            **INSURER,
        ),
        Line(
            "it fails, and goes to the common competent department of both levels, Art. 11(4)",
            query=act(
                "Consultation",
                'escalateConsultation(id: $id, version: $version, reason: "协商不成 (no agreement)")',
                "state coordination { id version state coordinator { key } }",
            ),
            variables=named("consultation"),
            roles=("applicant",),
            expected=matter(
                "Consultation",
                state="ESCALATED",
                coordination={
                    "id": TEXT,
                    "version": NUMBER,
                    "state": "OPEN",
                    "coordinator": {"key": "data-office"},
                },
            ),
            keep={
                "coordination": "data.done.coordination.id",
                "coordination version": "data.done.coordination.version",
            },
            **COUNTY,
        ),
        Line(
            "which decides, with reasons: the county's own rows, Art. 11(4)",
            query=act(
                "Coordination",
                "decideCoordination(id: $id, version: $version, decision: SHARE, "
                'reason: "本行政区域数据应予回流 (data of its own area flow back)", '
                'terms: {scope: "{\\"division\\": {\\"eq\\": \\"640122\\"}}"})',
                "state grant { basis items }",
            ),
            variables=named("coordination"),
            roles=("coordinator",),
            person="coordinator",
            expected=matter(
                "Coordination",
                state="GRANTED",
                grant={"basis": "COORDINATION", "items": ["base", "division", "month"]},
            ),
            **OFFICE,
        ),
        Line(
            "the decision is carried out: its rows and no others, Art. 11(4)",
            query="{ data { socialSecurity { contributions(first: 1, orderBy: [{month: ASC}]) { totalCount "
            "nodes { month division } } } } }",
            purposes=(ASSISTING,),
            expected=Delivered(
                tree(
                    "socialSecurity.contributions",
                    {"totalCount": len(local), "nodes": [{"month": months[0], "division": "640122"}]},
                )
            ),
            **COUNTY,
        ),
    ]


FIGURES = """{ supervision(from: "2026-01-01", to: "2026-12-31", department: "taxation") { __typename
  ... on Supervision { departments { department { key } overdueNow { kind count }
    deadlines { kind due onTime late overdue } } } } }"""


def _deadlines() -> list[Line]:
    return [
        Line(
            "a change of law obliges departments within 15 working days of the change, Art. 8",
            query=act(
                "OpenedObligations",
                "openObligations(change: $change)",
                "obligations { id version state provider { key } deadlines { kind startedOn dueOn overdue } }",
                "$change: LegalChangeInput!",
            ),
            variables={
                "change": {
                    "title": "税收征管法修订 (the law on tax collection is revised)",
                    "changedOn": "2026-01-05",
                    "departments": ["taxation", "civil-affairs"],
                }
            },
            roles=("supervisor",),
            person="supervisor",
            expected=matter(
                "OpenedObligations",
                obligations=[
                    {
                        "id": TEXT,
                        "version": 1,
                        "state": "OPEN",
                        "provider": {"key": key},
                        "deadlines": [
                            {"kind": "OBLIGATION", "startedOn": "2026-01-05", "dueOn": "2026-01-26", "overdue": True}
                        ],
                    }
                    for key in ("taxation", "civil-affairs")
                ],
            ),
            keep={"obligation": "data.done.obligations.1.id"},
            **OFFICE,
        ),
        Line(
            "it was over when it was recorded: missed, and counted against the department, Art. 8",
            query=FIGURES,
            roles=("supervisor",),
            person="supervisor",
            expected=Delivered(
                {
                    "supervision": {
                        "__typename": "Supervision",
                        "departments": [
                            {
                                "department": {"key": "taxation"},
                                "overdueNow": [{"kind": "OBLIGATION", "count": 1}],
                                "deadlines": [{"kind": "OBLIGATION", "due": 1, "onTime": 0, "late": 0, "overdue": 1}],
                            }
                        ],
                    }
                }
            ),
            **OFFICE,
        ),
        Line(
            "one department does not look into another's figures, Art. 8",
            query=FIGURES,
            roles=("supervisor",),
            expected=Delivered({"supervision": {"__typename": "NotPermitted"}}),
            department="health",
        ),
    ]


def _suspension(world: World) -> list[Line]:
    owner = world.person("owner")
    query = "query ($id: String!) { data { population { resident(idNumber: $id) { name phone } } } }"
    asked: dict[str, Any] = {**TAX_ASKS, "query": query, "variables": {"id": owner.id_number}}
    open_again = tree("population.resident", {"name": owner.name, "phone": owner.phone})
    return [
        Line(
            "misuse: the provider suspends the grant and sets a correction period, Order 809 Art. 27",
            query=act(
                "Suspension",
                "suspendGrant(grant: $grant, code: OTHER_PURPOSE, correctionDays: 5, "
                'reason: "用于他途 (used for something else)")',
                "id version state deadlines { kind workingDays }",
                "$grant: ID!",
            ),
            variables={"grant": Kept("grant")},
            expected=matter(
                "Suspension",
                id=TEXT,
                version=1,
                state="OPEN",
                deadlines=[{"kind": "COMPLIANCE", "workingDays": 5}],
            ),
            keep={"suspension": "data.done.id"},
            **REVIEWER,
        ),
        Line(
            "the very next request is denied, Art. 11(3)",
            expected=Delivered(
                tree("population.resident", {"name": owner.name, "phone": None}),
                (
                    Denied(
                        "data.population.resident.phone",
                        "GRANT_SUSPENDED",
                        "Art. 11(3)",
                        {"action": "CONTACT_PROVIDER", "departmentKey": "public-security"},
                    ),
                ),
            ),
            **asked,
        ),
        Line(
            "what was put right is reported, Order 809 Art. 27",
            query=act(
                "Suspension",
                'reportCompliance(id: $id, version: 1, text: "已清理 (cleaned up)")',
                "state version",
                "$id: ID!",
            ),
            variables={"id": Kept("suspension")},
            roles=("applicant",),
            expected=matter("Suspension", state="REPORTED", version=2),
            **TAX,
        ),
        Line(
            "and the grant is resumed, Order 809 Art. 27",
            query=act("Suspension", "resumeGrant(id: $id, version: 2)", "state grant { state }", "$id: ID!"),
            variables={"id": Kept("suspension")},
            expected=matter("Suspension", state="RESUMED", grant={"state": "ACTIVE"}),
            **REVIEWER,
        ),
        Line("the next request is answered again, Art. 11(3)", expected=Delivered(open_again), **asked),
    ]
