"""In charge of the lines on rows: areas of a city and a county, what is not shared, relations."""

import re
from collections import Counter
from decimal import Decimal
from typing import Any

from demo.data.world import World
from demo.tour.expectations import Delivered, Denied, Such, Unordered, tree
from demo.tour.items import SUPERVISING, TAXING
from demo.tour.running import Line

APPLIED_FOR_DIAGNOSIS = "G-TOUR-001"
"""A grant on an application that names a not-shared item. The check before import refuses such a grant, so the tour
records it past the check, to see that the decision refuses it too."""

ASSISTING: dict[str, Any] = {"purposes": ("SOCIAL-ASSISTANCE",)}
YINCHUAN = ("640104", "640105", "640106", "640121", "640122", "640181", "640382")
"""Codes of Yinchuan's districts and counties, with the one that Lingwu had before it came to Yinchuan."""
PSEUDONYM = Such("a pseudonym of 32 digits", lambda v: isinstance(v, str) and bool(re.fullmatch("[0-9a-f]{32}", v)))

CASE = "query ($no: String!) { data { health { diseaseCase(caseNumber: $no) { %s } } } }"


def row_lines(world: World) -> list[Line]:
    return [*_levels(world), *_not_shared(world), *_relations(world)]


def _levels(world: World) -> list[Line]:
    cases = world.allowances
    ours = [case for case in cases if case.division in YINCHUAN]
    total = sum((case.monthly_amount for case in ours), Decimal(0))
    near, far = cases[0], next(case for case in cases if case.division == "640522")
    counts = Counter(case.division for case in ours)
    path = "data.civilAffairs.allowances.nodes."
    return [
        Line(
            "a city's department sees the subsistence allowances of its own area only, Art. 9(2), 11(3)",
            "yinchuan-civil-affairs",
            query="{ data { civilAffairs { allowancesAggregate(groupBy: [DIVISION]) { key { division } count } } } }",
            expected=Delivered(
                tree(
                    "civilAffairs.allowancesAggregate",
                    Unordered([{"key": {"division": code}, "count": count} for code, count in counts.items()]),
                ),
                extensions={"grants": ["G-2026-041"]},
            ),
            **ASSISTING,
        ),
        Line(
            "its counts and sums are of its own area too, Art. 11(3)",
            "yinchuan-civil-affairs",
            query="{ data { civilAffairs { allowances(first: 0) { totalCount } "
            "allowancesAggregate { count sum { monthlyAmount } } } } }",
            expected=Delivered(
                tree(
                    "civilAffairs",
                    {
                        "allowances": {"totalCount": len(ours)},
                        "allowancesAggregate": [{"count": len(ours), "sum": {"monthlyAmount": str(total)}}],
                    },
                )
            ),
            **ASSISTING,
        ),
        Line(
            "a case elsewhere is as if it were not there, Art. 11(3)",
            "yinchuan-civil-affairs",
            query="query ($near: String!, $far: String!) { data { civilAffairs { "
            "near: allowance(caseNumber: $near) { applicantName } far: allowance(caseNumber: $far) { applicantName } "
            'none: allowance(caseNumber: "DB0") { applicantName } } } }',
            variables={"near": near.case_number, "far": far.case_number},
            expected=Delivered(
                tree("civilAffairs", {"near": {"applicantName": near.applicant_name}, "far": None, "none": None})
            ),
            **ASSISTING,
        ),
        Line(
            "a county sees its own cases, names and accounts masked, Art. 9(2), 11(3)",
            "county-helan-social-assistance",
            query="query ($no: String!) { data { civilAffairs { allowance(caseNumber: $no) "
            "{ applicantName bankAccount monthlyAmount } allowances(first: 0) { totalCount } } } }",
            variables={"no": near.case_number},
            expected=Delivered(
                tree(
                    "civilAffairs",
                    {
                        "allowance": {
                            "applicantName": near.applicant_name[0] + "**",
                            "bankAccount": "***************" + str(near.bank_account)[-4:],
                            "monthlyAmount": str(near.monthly_amount),
                        },
                        "allowances": {"totalCount": sum(case.division == "640122" for case in cases)},
                    },
                )
            ),
            **ASSISTING,
        ),
        Line(
            "who has no grant sees no row where all items are conditional, Art. 11(3)",
            query="{ data { civilAffairs { allowances(first: 5) "
            "{ totalCount nodes { caseNumber monthlyAmount } } } } }",
            expected=Delivered(
                tree("civilAffairs.allowances", {"totalCount": 0, "nodes": []}),
                tuple(
                    Denied(path + item, "GRANT_REQUIRED", "Art. 11(3)", {"departmentKey": "civil-affairs"})
                    for item in ("caseNumber", "monthlyAmount")
                ),
            ),
            **TAXING,
        ),
        Line(
            "the provider reads all of its own data through the platform, Art. 7",
            "civil-affairs",
            query="{ data { civilAffairs { allowances(first: 0) { totalCount } "
            "adoptions(first: 0) { totalCount } } } }",
            roles=("data.own",),
            expected=Delivered(
                tree(
                    "civilAffairs",
                    {
                        "allowances": {"totalCount": len(cases)},
                        "adoptions": {"totalCount": len(world.adoptions)},
                    },
                )
            ),
        ),
    ]


def _not_shared(world: World) -> list[Line]:
    case, adoption = world.disease_cases[0], world.adoptions[0]
    consult = {"action": "CONSULT", "departmentKey": "civil-affairs"}
    nodes = "civilAffairs.adoptions.nodes"
    return [
        Line(
            "a diagnosis, not shared, is refused to a grant from an application, Art. 11(4)",
            query=CASE % "diseaseClass diagnosis",
            variables={"no": case.case_number},
            expected=Delivered(
                tree("health.diseaseCase", {"diseaseClass": case.disease_class, "diagnosis": None}),
                (
                    Denied(
                        "data.health.diseaseCase.diagnosis",
                        "NOT_SHARED",
                        "Art. 11(4)",
                        {"action": "CONSULT", "departmentKey": "health"},
                    ),
                ),
                {"grants": Unordered(["G-2026-023", APPLIED_FOR_DIAGNOSIS])},
            ),
            **SUPERVISING,
        ),
        Line(
            "and opened by one from coordination, the patient under a pseudonym, Art. 11(4)",
            "civil-affairs",
            query=CASE % "idNumber diagnosis",
            variables={"no": case.case_number},
            expected=Delivered(
                tree("health.diseaseCase", {"idNumber": PSEUDONYM, "diagnosis": case.diagnosis}),
                extensions={"grants": ["G-2026-035"], "masked": ["data.health.diseaseCase.idNumber"]},
            ),
            **ASSISTING,
        ),
        Line(
            "adoptions are not shared at all: the way is consultation, Art. 9(3), 11(4)",
            "health",
            query="{ data { civilAffairs { adoptions(first: 1) { nodes { registeredOn } } } } }",
            purposes=("DISEASE-CONTROL",),
            expected=Delivered(
                tree(nodes, []), (Denied(f"data.{nodes}.registeredOn", "NOT_SHARED", "Art. 11(4)", consult),)
            ),
        ),
        Line(
            "public security reads by consultation what was agreed, and no more, Art. 11(4)",
            "public-security",
            query="query ($no: String!) { data { civilAffairs { adoptions(where: {registerNumber: {eq: $no}}) "
            "{ nodes { adopteeIdNumber adopterIdNumber } } } } }",
            variables={"no": adoption.register_number},
            purposes=("HOUSEHOLD-REGISTRATION",),
            expected=Delivered(
                tree(nodes, [{"adopteeIdNumber": adoption.adoptee_id_number, "adopterIdNumber": None}]),
                (Denied(f"data.{nodes}.adopterIdNumber", "NOT_SHARED", "Art. 11(4)", consult),),
            ),
        ),
    ]


def _relations(world: World) -> list[Line]:
    owner, husband, company = world.person("owner"), world.person("husband"), world.companies[0]
    vehicles = [
        {
            "plate": one.plate,
            "energy": one.energy,
            "displacement": None if one.displacement is None else str(one.displacement),
        }
        for one in sorted(world.vehicles, key=lambda one: one.plate)
        if one.owner_id_number == owner.id_number
    ]
    licences = [
        {"licenceNumber": one.licence_number, "status": one.status}
        for one in sorted(world.licences, key=lambda one: one.licence_number)
        if one.holder_code == company.credit_code
    ]
    businesses = [{"name": company.name, "annualRevenue": str(company.annual_revenue), "licences": {"nodes": licences}}]
    wedding = world.marriages[0].registered_on.isoformat()
    months = sum(one.id_number == owner.id_number for one in world.contributions)
    parcels = [{"parcelNumber": one.parcel_number} for one in world.parcels if one.owner_code == company.credit_code]
    return [
        Line(
            "a resident with vehicles, company and licences: four sources in one operation, Art. 11(3)",
            query="query ($id: String!) { data { population { resident(idNumber: $id) { name "
            "vehicles(orderBy: [{plate: ASC}]) { nodes { plate energy displacement } } "
            "companies { nodes { name annualRevenue licences(orderBy: [{licenceNumber: ASC}]) "
            "{ nodes { licenceNumber status } } } } } } } }",
            variables={"id": owner.id_number},
            expected=Delivered(
                tree(
                    "population.resident",
                    {"name": owner.name, "vehicles": {"nodes": vehicles}, "companies": {"nodes": businesses}},
                ),
                extensions={"grants": Unordered(["G-2026-001", "G-2026-002", "G-2026-003"])},
            ),
            **TAXING,
        ),
        Line(
            "a family: household, marriage and insurance, of three departments, Art. 7, 11(3)",
            "civil-affairs",
            query="query ($id: String!) { data { population { resident(idNumber: $id) { "
            "household { memberCount members(orderBy: [{birthDate: ASC}]) { nodes { name } } } "
            "marriagesAsHusband { nodes { registeredOn wife { name contributions(first: 0) { totalCount } } } } "
            "} } } }",
            variables={"id": husband.id_number},
            roles=("data.own",),
            expected=Delivered(
                tree(
                    "population.resident",
                    {
                        "household": {
                            "memberCount": 2,
                            "members": {"nodes": [{"name": husband.name}, {"name": owner.name}]},
                        },
                        "marriagesAsHusband": {
                            "nodes": [
                                {
                                    "registeredOn": wedding,
                                    "wife": {"name": owner.name, "contributions": {"totalCount": months}},
                                }
                            ]
                        },
                    },
                )
            ),
            **ASSISTING,
        ),
        Line(
            "a relation is granted at both ends: one is not enough, Art. 11(3)",
            "natural-resources",
            query="query ($code: String!) { data { legalPersons { company(creditCode: $code) { "
            "parcels { nodes { parcelNumber } } taxRecords { nodes { taxYear } } } } } }",
            variables={"code": company.credit_code},
            purposes=("REAL-ESTATE-REGISTRATION",),
            roles=("data.own",),
            expected=Delivered(
                tree("legalPersons.company", {"parcels": {"nodes": parcels}, "taxRecords": None}),
                (
                    Denied(
                        "data.legalPersons.company.taxRecords",
                        "GRANT_REQUIRED",
                        "Art. 11(3)",
                        {"departmentKey": "taxation", "relations": ["taxpayer"]},
                    ),
                ),
            ),
        ),
    ]
