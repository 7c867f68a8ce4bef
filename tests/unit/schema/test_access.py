"""Who asks and what they may see: `me`, `explainAccess`, `myAccess`, with the real decisions behind them."""

from datetime import timedelta
from decimal import Decimal

import pytest

from authz.principal import TokenScope
from authz.words import Language
from schema.fixed.ids import global_id
from tanglai.catalogue.errors import BadInput, ErrorCode, TanglaiError
from tanglai.catalogue.expressions import Compare, CompareOp, In, ItemRef, Value
from tanglai.catalogue.model import Grant, GrantBasis, GrantState, Period, Statistics, Usage
from tanglai.catalogue.scalars import ScalarType
from tests.catalogues import YINCHUAN, population, resource_code
from tests.unit.schema.asking import NOW, Asker

RESIDENT, VEHICLE, DOSSIER = (resource_code(word) for word in ("resident", "vehicle", "dossier"))
WOMEN = Compare(CompareOp.EQ, ItemRef("sex", ScalarType.TEXT), Value("2", ScalarType.TEXT))


def grant(id: str, items: set[str], **more: object) -> Grant:
    values: dict[str, object] = {
        "requester": YINCHUAN.code,
        "resource": RESIDENT,
        "items": frozenset(items),
        "purpose": "assistance",
        "valid_from": NOW - timedelta(days=1),
        "valid_to": None,
        "basis": GrantBasis.APPLICATION,
    }
    return Grant(id=id, **values | more)  # type: ignore[arg-type]


GRANTS = (
    grant("G1", {"height"}),
    grant("G2", {"passport"}, scope=WOMEN),
    grant("G3", {"phone"}, masks={"phone": "middle"}),
    grant("G4", {"income"}, state=GrantState.SUSPENDED),
)

EXPLAIN = """query ($resource: ID!, $items: [String!], $purpose: String) {
  explainAccess(resource: $resource, items: $items, purpose: $purpose) {
    resource { title } purpose { code } ruleSet
    items { name shareClass verdict rows masks grants article scopeDiscloses
      denial { code article reason grants
        remedy { action words department { name } resourceCode items relations mutation replyWithin } } }
    relations { name targetCode shareClass verdict rows grants denial { code remedy { relations } } }
    denial { code reason remedy { action words } }
  } }"""


async def test_me() -> None:
    asker = Asker(population(), purposes=frozenset({"licensing", "assistance", "unknown"}))
    text = "{ me { id client person roles scopes department { code name } purposes { code } purpose { title } } }"
    me = (await asker.ask(text))["me"]
    assert me.pop("id") == (await asker.ask("{ me { id } }"))["me"]["id"]
    assert me == {
        "client": "portal",
        "person": None,
        "roles": ["data.read"],
        "scopes": None,
        "department": {"code": YINCHUAN.code, "name": "银川市数据局"},
        "purposes": [{"code": "assistance"}, {"code": "licensing"}],
        "purpose": {"title": "社会救助"},
    }


async def test_me_with_a_narrow_token_and_no_purpose() -> None:
    scopes = frozenset({TokenScope(VEHICLE), TokenScope(RESIDENT, "name")})
    asker = Asker(population(), purpose=None, scopes=scopes)
    me = (await asker.ask("{ me { scopes purpose { code } } }"))["me"]
    assert me == {"scopes": sorted([VEHICLE, f"{RESIDENT}:name"]), "purpose": None}
    assert (await Asker(population(), scopes=frozenset()).ask("{ me { scopes } }"))["me"] == {"scopes": []}


async def test_explain_access_per_item() -> None:
    asker = Asker(population(), grants=GRANTS)
    found = (await asker.ask(EXPLAIN, resource=RESIDENT))["explainAccess"]
    assert found["resource"] == {"title": "居民"}
    assert (found["purpose"], found["ruleSet"]) == ({"code": "assistance"}, "ningxia-measures")
    items = {item["name"]: item for item in found["items"]}
    assert list(items) == [item.name for item in asker.snapshot.resources[RESIDENT].items]
    assert {name: item["verdict"] for name, item in items.items() if item["verdict"] != "ALL"} == {
        "passport": "SOME_ROWS",
        "phone": "MASKED",
        "income": "NONE",
        "home": "NONE",
        "file": "NONE",
        "household_id": "NONE",
    }
    assert items["name"]["article"] == "Art. 11(2)"
    assert (items["height"]["grants"], items["height"]["article"]) == (["G1"], "Art. 11(3)")
    assert items["passport"]["rows"] == '`sex` is "2" (〔2〕)'
    assert items["phone"]["masks"] == ["middle"]
    assert items["income"]["denial"]["code"] == "GRANT_SUSPENDED"
    assert items["home"]["denial"] == {
        "code": "GRANT_REQUIRED",
        "article": "Art. 11(3)",
        "reason": "the item is shared conditionally and needs a grant",
        "grants": [],
        "remedy": {
            "action": "APPLY",
            "words": "apply to Public Security, reply due in 10 working days",
            "department": {"name": "公安厅"},
            "resourceCode": RESIDENT,
            "items": ["home"],
            "relations": [],
            "mutation": "apply",
            "replyWithin": 10,
        },
    }
    assert items["file"]["denial"]["code"] == "NOT_SHARED"
    assert items["file"]["denial"]["remedy"]["action"] == "CONSULT"
    assert {relation["name"] for relation in found["relations"]} == {"vehicles", "household"}
    assert {relation["verdict"] for relation in found["relations"]} == {"NONE"}


async def test_the_words_follow_the_language() -> None:
    asker = Asker(population(), grants=GRANTS, language="zh")
    found = (await asker.ask(EXPLAIN, resource=RESIDENT, items=["home", "passport"]))["explainAccess"]
    home, passport = found["items"]
    assert home["denial"]["reason"] == "该信息项有条件共享，须经提供部门同意"
    assert home["denial"]["remedy"]["words"] == "向公安厅提出申请，10个工作日内答复"
    assert passport["rows"] == "“性别”为“2”（〔2〕）"


async def test_explain_access_takes_ids_codes_and_both_kinds_of_names() -> None:
    asker = Asker(population(), grants=GRANTS)
    names = ["idNumber", "id_number", "vehicles"]
    by_code = await asker.ask(EXPLAIN, resource=RESIDENT, items=names)
    by_id = await asker.ask(EXPLAIN, resource=global_id("Resource", RESIDENT), items=names)
    assert by_code == by_id
    assert [item["name"] for item in by_code["explainAccess"]["items"]] == ["id_number"]
    assert [relation["name"] for relation in by_code["explainAccess"]["relations"]] == ["vehicles"]
    nothing = await asker.ask(EXPLAIN, resource=RESIDENT, items=[])
    assert nothing["explainAccess"]["items"] == nothing["explainAccess"]["relations"] == []


async def test_another_purpose_can_be_tried() -> None:
    asker = Asker(population(), grants=GRANTS)
    found = (await asker.ask(EXPLAIN, resource=RESIDENT, items=["height"], purpose="licensing"))["explainAccess"]
    assert found["purpose"] == {"code": "licensing"}
    assert found["items"][0]["denial"]["code"] == "PURPOSE_MISMATCH"
    without = Asker(population(), grants=GRANTS, purpose=None)
    found = (await without.ask(EXPLAIN, resource=RESIDENT, items=["height"]))["explainAccess"]
    assert found["purpose"] is None
    assert found["items"][0]["denial"]["code"] == "PURPOSE_REQUIRED"


async def test_a_resource_of_the_other_zone_is_denied_as_a_whole() -> None:
    found = (await Asker(population()).ask(EXPLAIN, resource=DOSSIER))["explainAccess"]
    assert found["denial"]["code"] == "OUT_OF_ZONE"
    assert found["denial"]["remedy"]["action"] == "USE_OTHER_NODE"
    assert {item["denial"]["code"] for item in found["items"]} == {"OUT_OF_ZONE"}


async def test_a_resource_outside_the_token_is_denied_as_a_whole() -> None:
    asker = Asker(population(), scopes=frozenset({TokenScope(VEHICLE)}))
    found = (await asker.ask(EXPLAIN, resource=RESIDENT))["explainAccess"]
    assert found["denial"]["code"] == "SCOPE_EXCEEDED"


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"resource": "9/9"}, "no resource `9/9`"),
        ({"resource": global_id("Department", YINCHUAN.code)}, "no resource"),
        ({"resource": RESIDENT, "items": ["nothing"]}, "has no item or relation `nothing`"),
        ({"resource": RESIDENT, "purpose": "fun"}, "no purpose `fun`"),
    ],
)
async def test_explain_access_refuses_what_is_not_there(variables: dict[str, object], message: str) -> None:
    errors = await Asker(population()).refused(EXPLAIN, **variables)
    assert [type(error) for error in errors] == [BadInput]
    assert message in str(errors[0])


async def test_my_access_asks_once_for_all_items() -> None:
    text = """query ($code: String!) { catalogue { resource(code: $code) {
      items { name myAccess { name verdict grants } other: myAccess(purpose: "licensing") { verdict } }
      relations { name myAccess { verdict denial { code } } } } } }"""
    asker = Asker(population(), grants=GRANTS)
    found = (await asker.ask(text, code=RESIDENT))["catalogue"]["resource"]
    items = {item["name"]: item for item in found["items"]}
    assert {item["myAccess"]["name"] for item in items.values()} == items.keys()
    assert items["height"]["myAccess"] == {"name": "height", "verdict": "ALL", "grants": ["G1"]}
    assert items["height"]["other"] == {"verdict": "NONE"}
    assert found["relations"][0]["myAccess"]["verdict"] == "NONE"
    assert asker.explained == 2
    refused = await asker.refused(text.replace("licensing", "fun"), code=RESIDENT)
    assert {type(error) for error in refused} == {BadInput}


async def test_a_request_decides_once_on_a_resource_however_often_it_asks() -> None:
    asker = Asker(population(), grants=GRANTS)
    one = f'explainAccess(resource: "{RESIDENT}", items: ["height"]) {{ items {{ name verdict }} }}'
    found = await asker.ask(f"{{ a: {one} b: {one} c: {one.replace('height', 'name')} }}")
    assert found["a"] == found["b"] == {"items": [{"name": "height", "verdict": "ALL"}]}
    assert found["c"] == {"items": [{"name": "name", "verdict": "ALL"}]}
    assert asker.explained == 1


async def test_rows_are_told_in_a_bounded_number_of_characters() -> None:
    numbers = tuple(Value(f"{number:018}", ScalarType.TEXT) for number in range(5_000))
    scope = In(ItemRef("id_number", ScalarType.TEXT), numbers)
    asker = Asker(population(), grants=(grant("G1", {"height", "passport", "phone", "income"}, scope=scope),))
    text = '{ explainAccess(resource: "%s") { items { verdict %s } } }'
    found = await asker.ask(text % (RESIDENT, "rows"))  # once for each of the four items
    assert sum(len(item["rows"]) for item in found["explainAccess"]["items"]) > 400_000
    aliases = " ".join(f"r{number}: rows clear {{ w{number}: where }}" for number in range(8))
    (error,) = await asker.refused(text % (RESIDENT, aliases))
    assert isinstance(error, TanglaiError)
    assert error.code is ErrorCode.LIMIT_EXCEEDED
    assert await asker.ask(text % (RESIDENT, ""))  # what is not asked for is not counted


async def test_statistics_are_told_with_their_terms() -> None:
    terms = Statistics(("sex",), ("income",), Period.QUARTER, 10, 5, Decimal("0.50"))
    counted = grant("S1", {"sex", "income"}, usage=Usage.STATISTICS, statistics=terms, scope=WOMEN)
    text = """query ($resource: ID!) {
      explainAccess(resource: $resource, items: ["sex", "income"], purpose: "assistance") {
        items { name verdict grants rows denial { code }
          statistics { grant dimensions measures minimumCell base sumBase period rows } } } }"""
    told: dict[Language, tuple[str, str]] = {
        "en": ("published once a quarter (Beijing time)", '`sex` is "2" (〔2〕)'),
        "zh": ("每季度发布一次（北京时间）", "“性别”为“2”（〔2〕）"),
    }
    for language, (period, rows) in told.items():
        asker = Asker(population(), grants=(counted,), language=language)
        sex, income = (await asker.ask(text, resource=RESIDENT))["explainAccess"]["items"]
        assert (sex["verdict"], sex["statistics"]) == ("ALL", None)
        assert income == {
            "name": "income",
            "verdict": "STATISTICS",
            "grants": ["S1"],
            "rows": rows,
            "denial": {"code": "STATISTICS_ONLY"},
            "statistics": {
                "grant": "S1",
                "dimensions": ["sex"],
                "measures": ["income"],
                "minimumCell": 10,
                "base": 5,
                "sumBase": "0.50",
                "period": period,
                "rows": rows,
            },
        }
