"""In charge of the lines on single items: open ones, denied ones, scopes, purposes, masks."""

import json
from typing import Any

from demo.data.people import Resident
from demo.data.world import World
from demo.tour.expectations import Delivered, Denied, Refused, Unordered, tree
from demo.tour.running import Line

APPLY_TO_POLICE = {"action": "APPLY", "departmentKey": "public-security", "replyWithinWorkingDays": 10}
TAXING: dict[str, Any] = {"department": "taxation", "purposes": ("TAX-COLLECTION",)}
VERIFYING: dict[str, Any] = {"department": "social-security", "purposes": ("PENSION-VERIFICATION",)}
SUPERVISING: dict[str, Any] = {"department": "market-regulation", "purposes": ("ENTERPRISE-SUPERVISION",)}

PHONE = "query ($id: String!) { data { population { resident(idNumber: $id) { name phone } } } }"
PEOPLE = """query ($ids: [String!]!) { data { population {
  residents(where: {idNumber: {in: $ids}}, orderBy: [{idNumber: ASC}]) { nodes { %s } } } } }"""
COMPANY_AND_LICENCES = """query ($code: String!) { data { legalPersons { company(creditCode: $code) {
  name licences(orderBy: [{licenceNumber: ASC}]) { nodes { licenceNumber licenceType validTo } } } } } }"""


def item_lines(world: World) -> list[Line]:
    return [*_open(world), *_denied(world), *_scopes(world), *_purposes(world), *_masks(world)]


def _people(world: World, *names: str) -> list[Resident]:
    """People of the cast, in the order of their numbers."""
    return sorted((world.person(name) for name in names), key=lambda resident: resident.id_number)


def _numbers(people: list[Resident]) -> dict[str, Any]:
    return {"ids": [who.id_number for who in people]}


def _open(world: World) -> list[Line]:
    people = _people(world, "owner", "haiyuan", "lingwu")
    basics = [
        {
            "name": who.name,
            "idNumber": who.id_number,
            "gender": who.gender,
            "birthDate": who.birth_date.isoformat(),
            "division": who.division,
        }
        for who in people
    ]
    company, parcel = world.companies[0], world.parcels[0]
    licences = [
        {
            "licenceNumber": one.licence_number,
            "licenceType": one.licence_type,
            "validTo": one.valid_to and one.valid_to.isoformat(),
        }
        for one in sorted(world.licences, key=lambda one: one.licence_number)
        if one.holder_code == company.credit_code
    ]
    assert parcel.geometry is not None
    land = {"area": str(parcel.area), "division": parcel.division, "geometry": json.loads(parcel.geometry)}
    return [
        Line(
            "taxation reads names and identity numbers, basic items, without any grant, Art. 10(2), 11(2)",
            query=PEOPLE % "name idNumber gender birthDate division",
            variables=_numbers(people),
            expected=Delivered(tree("population.residents.nodes", basics), extensions={"grants": []}),
            **TAXING,
        ),
        Line(
            "of every resident, whoever asks, for no stated purpose, Art. 11(2)",
            "county-helan-social-assistance",
            query="{ data { population { residents(first: 0) { totalCount } } } }",
            expected=Delivered(tree("population.residents.totalCount", len(world.residents))),
        ),
        Line(
            "outline and area of a parcel are for all, decimals exact, Art. 10(2)",
            "health",
            query="query ($no: String!) { data { naturalResources { parcel(parcelNumber: $no) "
            "{ area division geometry } } } }",
            variables={"no": parcel.parcel_number},
            expected=Delivered(tree("naturalResources.parcel", land)),
        ),
        Line(
            "a company and its licences, two sources, by an unconditional relation, Art. 11(2)",
            "yinchuan-civil-affairs",
            query=COMPANY_AND_LICENCES,
            variables={"code": company.credit_code},
            expected=Delivered(
                tree("legalPersons.company", {"name": company.name, "licences": {"nodes": licences}}),
                extensions={"grants": []},
            ),
        ),
    ]


def _denied(world: World) -> list[Line]:
    owner = world.person("owner")
    refused = Refused("GRANT_REQUIRED", "Art. 11(3)")
    without = tree("population.resident", {"name": owner.name, "phone": None})
    path = "data.population.resident."
    return [
        Line(
            "but not phones: null, with the reason, whom to ask, and 10 working days, Art. 11(3)",
            query=PHONE,
            variables={"id": owner.id_number},
            expected=Delivered(without, (Denied(path + "phone", "GRANT_REQUIRED", "Art. 11(3)", APPLY_TO_POLICE),)),
            **TAXING,
        ),
        Line(
            "an alias or a fragment opens nothing, Art. 11(3)",
            query="query ($id: String!) { data { population { resident(idNumber: $id) { ...R number: idNumber } } } } "
            "fragment R on Resident { name: phone }",
            variables={"id": owner.id_number},
            expected=Delivered(
                tree("population.resident", {"name": None, "number": owner.id_number}),
                (Denied(path + "name", "GRANT_REQUIRED", "Art. 11(3)", APPLY_TO_POLICE),),
            ),
            **TAXING,
        ),
        Line(
            "a denied item filters nothing: the operation is refused, Art. 11(3)",
            query="query ($is: String!) { data { population { residents(where: {phone: {eq: $is}}) "
            "{ nodes { name } } } } }",
            variables={"is": owner.phone},
            expected=refused,
            **TAXING,
        ),
        Line(
            "not through or, not and isNull either, Art. 11(3)",
            query="{ data { population { residents(where: {or: [{not: {phone: {isNull: true}}}]}) { totalCount } } } }",
            expected=refused,
            **TAXING,
        ),
        Line(
            "nor does it sort, Art. 11(3)",
            query="{ data { population { residents(orderBy: [{phone: ASC}], first: 3) { nodes { name } } } } }",
            expected=refused,
            **TAXING,
        ),
        Line(
            "and the source is not even asked, Art. 11(3)",
            query="query ($id: String!) { data { transport { vehicles(where: {ownerIdNumber: {eq: $id}}) "
            "{ nodes { plate } } } } }",
            variables={"id": owner.id_number},
            expected=refused,
            untouched=True,
            **TAXING,
        ),
        Line(
            "a filter two relations away is held to the same, Art. 11(3)",
            query="{ data { legalPersons { companies(where: {representative: {some: {household: {some: "
            "{memberCount: {gt: 2}}}}}}) { totalCount } } } }",
            expected=refused,
            **SUPERVISING,
        ),
        Line(
            "who asks for all or nothing gets nothing, Art. 11(3)",
            query=PHONE,
            variables={"id": owner.id_number},
            extensions={"onDenied": "REFUSE"},
            expected=refused,
            **TAXING,
        ),
    ]


def _scopes(world: World) -> list[Line]:
    owner, lingwu, haiyuan, guyuan = (world.person(name) for name in ("owner", "lingwu", "haiyuan", "guyuan"))
    people = _people(world, "owner", "lingwu", "haiyuan", "guyuan")
    # Lingwu belongs to Yinchuan today, whatever code the row carries.
    phones = {owner: owner.phone, lingwu: lingwu.phone, haiyuan: None, guyuan: None}
    addresses = {owner: None, lingwu: None, haiyuan: haiyuan.current_address, guyuan: None}
    vaccinations = [
        {"vaccine": one.vaccine, "dose": one.dose, "vaccinatedOn": one.vaccinated_on.isoformat()}
        for one in sorted(world.vaccinations, key=lambda one: one.dose)
        if one.id_number == haiyuan.id_number
    ]
    rows = "population.residents.nodes"
    return [
        Line(
            "social security reads phones in its area, null elsewhere, former division codes included, Art. 11(3)",
            query=PEOPLE % "name phone",
            variables=_numbers(people),
            expected=Delivered(
                tree(rows, [{"name": who.name, "phone": phones[who]} for who in people]),
                extensions={"grants": ["G-2026-011"]},
            ),
            **VERIFYING,
        ),
        Line(
            "two grants never multiply: phones here, addresses there, Art. 11(3)",
            query=PEOPLE % "phone currentAddress",
            variables=_numbers(people),
            expected=Delivered(
                tree(rows, [{"phone": phones[who], "currentAddress": addresses[who]} for who in people]),
                extensions={"grants": Unordered(["G-2026-011", "G-2026-012"])},
            ),
            **VERIFYING,
        ),
        Line(
            "a filter sees what the requester sees: a hidden phone equals nothing, Art. 11(3)",
            query="query ($is: String!) { data { population { residents(where: {phone: {eq: $is}}) "
            "{ totalCount nodes { name } } } } }",
            variables={"is": haiyuan.phone},
            expected=Delivered(tree("population.residents", {"totalCount": 0, "nodes": []})),
            **VERIFYING,
        ),
        Line(
            "a hidden phone is null to it, Art. 11(3)",
            query="query ($ids: [String!]!) { data { population { residents("
            "where: {idNumber: {in: $ids}, phone: {isNull: true}}) { nodes { name } } } } }",
            variables=_numbers([owner, haiyuan]),
            expected=Delivered(tree(rows, [{"name": haiyuan.name}])),
            **VERIFYING,
        ),
        Line(
            "vaccinations from a file in GB18030, by a relation that both ends granted, Art. 11(3)",
            query="query ($id: String!) { data { population { resident(idNumber: $id) { "
            "vaccinations(orderBy: [{dose: ASC}]) { nodes { vaccine dose vaccinatedOn } } } } } }",
            variables={"id": haiyuan.id_number},
            expected=Delivered(
                tree("population.resident.vaccinations.nodes", vaccinations),
                extensions={"grants": Unordered(["G-2026-013", "G-2026-014"])},
            ),
            **VERIFYING,
        ),
    ]


def _purposes(world: World) -> list[Line]:
    owner = world.person("owner")
    asked: dict[str, Any] = {"department": "social-security", "query": PHONE, "variables": {"id": owner.id_number}}
    without = tree("population.resident", {"name": owner.name, "phone": None})
    path, remedy = "data.population.resident.phone", {"action": "STATE_PURPOSE"}
    return [
        Line(
            "no purpose, no conditional item, Art. 11(1)",
            expected=Delivered(without, (Denied(path, "PURPOSE_REQUIRED", "Art. 11(1)", remedy),)),
            **asked,
        ),
        Line(
            "a grant for one purpose serves no other, Art. 11(1)",
            purposes=("SOCIAL-ASSISTANCE",),
            expected=Delivered(without, (Denied(path, "PURPOSE_MISMATCH", "Art. 11(1)", remedy),)),
            **asked,
        ),
        Line(
            "the stated purpose picks among the token's, Art. 11(1)",
            purposes=("SOCIAL-ASSISTANCE", "PENSION-VERIFICATION"),
            header="PENSION-VERIFICATION",
            expected=Delivered(
                tree("population.resident", {"name": owner.name, "phone": owner.phone}),
                extensions={"purpose": "PENSION-VERIFICATION"},
            ),
            **asked,
        ),
        Line(
            "and never one that the token does not allow, Art. 11(1)",
            purposes=("SOCIAL-ASSISTANCE",),
            header="PENSION-VERIFICATION",
            expected=Refused("PURPOSE_MISMATCH", None),
            **asked,
        ),
    ]


def _masks(world: World) -> list[Line]:
    owner = world.person("owner")
    assert owner.phone is not None
    masked = owner.phone[:3] + "****" + owner.phone[7:]
    return [
        Line(
            "market regulation reads phones masked and is told so, Art. 9(2)",
            query=PHONE,
            variables={"id": owner.id_number},
            expected=Delivered(
                tree("population.resident", {"name": owner.name, "phone": masked}),
                extensions={"masked": ["data.population.resident.phone"], "grants": ["G-2026-021"]},
            ),
            **SUPERVISING,
        ),
        Line(
            "a masked item filters nothing, Art. 9(2)",
            query="query ($is: String!) { data { population { residents(where: {phone: {startsWith: $is}}) "
            "{ totalCount } } } }",
            variables={"is": owner.phone[:3]},
            expected=Refused("MASKED_USE", "Art. 9(2)"),
            **SUPERVISING,
        ),
        Line(
            "nor does it group, Art. 9(2)",
            query="{ data { population { residentsAggregate(groupBy: [PHONE]) { count } } } }",
            expected=Refused("MASKED_USE", "Art. 9(2)"),
            **SUPERVISING,
        ),
    ]
