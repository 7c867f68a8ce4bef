"""In charge of the lines on what a grant has become, and on who asks from where."""

from typing import Any

from demo.data.world import World
from demo.tour.expectations import Delivered, Denied, Refused, tree
from demo.tour.items import PHONE, SUPERVISING, TAXING
from demo.tour.running import Line

LETTERS = """query ($ids: [String!]!) { data { population {
  residents(where: {idNumber: {in: $ids}}, orderBy: [{idNumber: ASC}], first: 3) {
    nodes { name currentAddress } } } } }"""


def state_lines(world: World) -> list[Line]:
    return [*_states(world), *_quotas(world), *_edges(world)]


def _states(world: World) -> list[Line]:
    owner, company = world.person("owner"), world.companies[0]
    asked: dict[str, Any] = {"query": PHONE, "variables": {"id": owner.id_number}}
    without = tree("population.resident", {"name": owner.name, "phone": None})
    path = "data.population.resident.phone"
    police = {"departmentKey": "public-security"}
    return [
        Line(
            "an expired grant opens nothing; it can be renewed, Art. 11(3)",
            "natural-resources",
            purposes=("REAL-ESTATE-REGISTRATION",),
            expected=Delivered(without, (Denied(path, "GRANT_EXPIRED", "Art. 11(3)", {"action": "RENEW", **police}),)),
            **asked,
        ),
        Line(
            "a suspended grant opens nothing, Art. 11(3)",
            "health",
            purposes=("DISEASE-CONTROL",),
            expected=Delivered(
                without, (Denied(path, "GRANT_SUSPENDED", "Art. 11(3)", {"action": "CONTACT_PROVIDER", **police}),)
            ),
            **asked,
        ),
        Line(
            "an ended grant opens nothing, and its source is not asked, Art. 11(3)",
            query="query ($no: String!) { data { transport { vehicle(plate: $no) { brand } } } }",
            variables={"no": world.vehicles[0].plate},
            expected=Refused("GRANT_ENDED", "Art. 11(3)"),
            untouched=True,
            **SUPERVISING,
        ),
        Line(
            "a grant of the future opens nothing today, Art. 11(3)",
            "civil-affairs",
            query="query ($code: String!) { data { legalPersons { company(creditCode: $code) "
            "{ name annualRevenue } } } }",
            variables={"code": company.credit_code},
            purposes=("SOCIAL-ASSISTANCE",),
            expected=Delivered(
                tree("legalPersons.company", {"name": company.name, "annualRevenue": None}),
                (Denied("data.legalPersons.company.annualRevenue", "GRANT_NOT_YET_VALID", "Art. 11(3)"),),
            ),
        ),
        Line(
            "a grant for statistics shows no single person's item, Art. 11(3)",
            "data-office",
            query="query ($id: String!) { data { population { resident(idNumber: $id) { name ethnicity } } } }",
            variables={"id": owner.id_number},
            purposes=("POPULATION-ANALYSIS",),
            expected=Delivered(
                tree("population.resident", {"name": owner.name, "ethnicity": None}),
                (Denied("data.population.resident.ethnicity", "STATISTICS_ONLY", "Art. 11(3)"),),
            ),
        ),
    ]


def _quotas(world: World) -> list[Line]:
    people = sorted((world.person(name) for name in ("owner", "husband", "lingwu")), key=lambda who: who.id_number)
    asked: dict[str, Any] = {
        "query": LETTERS,
        "variables": {"ids": [who.id_number for who in people]},
        "department": "natural-resources",
        "purposes": ("REAL-ESTATE-REGISTRATION",),
    }
    nodes = "population.residents.nodes"
    return [
        Line(
            "a grant of three rows a day gives three rows, Art. 11(3)",
            expected=Delivered(
                tree(nodes, [{"name": who.name, "currentAddress": who.current_address} for who in people]),
                extensions={"grants": ["G-2026-053"]},
            ),
            **asked,
        ),
        Line(
            "and no fourth one: null, with the reason and whom to ask; open items stay answered, Art. 11(2), 11(3)",
            expected=Delivered(
                tree(nodes, [{"name": who.name, "currentAddress": None} for who in people]),
                (
                    Denied(
                        f"data.{nodes}.currentAddress",
                        "QUOTA_EXCEEDED",
                        "Art. 11(3)",
                        {"action": "CONTACT_PROVIDER", "departmentKey": "public-security", "items": ["currentAddress"]},
                    ),
                ),
                {"grants": []},
            ),
            **asked,
        ),
    ]


def _edges(world: World) -> list[Line]:
    owner = world.person("owner")
    phone = {"action": "APPLY", "replyWithin": 10, "department": {"key": "public-security"}}
    return [
        Line(
            "a token narrower than its department stays narrower, Art. 11(1)",
            query="query ($id: String!) { data { population { resident(idNumber: $id) { name } } } }",
            variables={"id": owner.id_number},
            scopes=("1020101/1",),
            expected=Delivered(
                tree("population.resident", None),
                (Denied("data.population.resident", "SCOPE_EXCEEDED", "Art. 11(1)", {"action": "USE_OTHER_TOKEN"}),),
            ),
            **TAXING,
        ),
        Line(
            "what stands on the intranet is listed here and served there, Art. 5",
            query='{ catalogue { resource(code: "301030/1") { title zone served } } '
            'explainAccess(resource: "301030/1") { denial { code article remedy { action } } } }',
            expected=Delivered(
                {
                    "catalogue": {"resource": {"title": "出入境证件信息", "zone": "INTRANET", "served": False}},
                    "explainAccess": {
                        "denial": {
                            "code": "OUT_OF_ZONE",
                            "article": "Art. 5",
                            "remedy": {"action": "USE_OTHER_NODE"},
                        }
                    },
                }
            ),
            **TAXING,
        ),
        Line(
            "the dry run says the same before anybody asks, Art. 11(2), 11(3)",
            query='{ explainAccess(resource: "1010101/1", items: ["name", "phone"], purpose: "TAX-COLLECTION") '
            "{ items { name shareClass article "
            "denial { code remedy { action replyWithin department { key } } } } } }",
            expected=Delivered(
                {
                    "explainAccess": {
                        "items": [
                            {"name": "name", "shareClass": "UNCONDITIONAL", "article": "Art. 11(2)", "denial": None},
                            {
                                "name": "phone",
                                "shareClass": "CONDITIONAL",
                                "article": "Art. 11(3)",
                                "denial": {"code": "GRANT_REQUIRED", "remedy": phone},
                            },
                        ]
                    }
                }
            ),
            **TAXING,
        ),
        Line(
            "without a token there is nothing, not even the catalogue, Art. 7",
            "taxation",
            query="{ catalogue { departments { key } } }",
            expected=Refused("UNAUTHENTICATED", None, 401),
            token=False,
        ),
    ]
