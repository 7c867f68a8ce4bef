"""Catalogue life as a frontend meets it: drafts, what stands against them, what breaks, local catalogues."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from connectors.protocol import ColumnStructure, TableStructure
from tanglai.catalogue.model import Grant, GrantBasis
from tanglai.catalogue.scalars import ScalarType
from tanglai.storage.database import PlatformDatabase
from tests.catalogues import make_item
from tests.entries import draft, register, without
from tests.office import CITY_POLICE, DEPARTMENTS, HEALTH, OFFICE, POLICE, Office

REGISTER = register()
ENTRY = """__typename
... on Entry { id number state stateWords version change resourceCode basedOn title note mySteps together
  resource { code version } provider { key } coordinator { key }
  problems { field code article } remarks { field }
  differences { part name title change attributes { name before after } }
  impact { mark harmless breaks { severity resourceCode coordinate words parts }
    grants { grant requester { key } lost { loss name } } clients { client department { key } }
    operations { name client } }
  obligations { number state title }
  deadlines { kind dueOn overdue department { key } } events { event by } }
... on ActError { code message article }
... on InvalidAct { problems { field code message article } }
... on NotPermitted { roles ownAct }
... on Conflict { version changedBy }"""
FACTS = "problems { code } differences { attributes { name } }"
CREATE = """mutation ($input: EntryInput!, $code: String) { done: createEntry(input: $input, code: $code) { %s } }"""
ACT = """mutation ($id: ID!, $version: Int!) { done: %a(id: $id, version: $version) { %s } }"""
PUBLISH = """mutation ($id: ID!, $version: Int!, $mark: String) {
  done: publishEntry(id: $id, version: $version, acceptBreaking: $mark, note: "据实") { %s } }"""


@pytest.fixture
async def office(platform: PlatformDatabase) -> Office:
    return await Office.open(platform, [REGISTER])


@pytest.fixture
async def order(platform: PlatformDatabase) -> Office:
    return await Office.open(platform, [REGISTER], rules="order-809")


async def act(office: Office, text: str, roles: str = "cataloguer", department: str = POLICE, **variables: Any) -> Any:
    data = await office.ask(department, text.replace("%s", ENTRY), roles=roles, **variables)
    return data["done"]


async def create(office: Office, document: Any = None, **given: Any) -> Any:
    if document is not None:
        given["document"] = json.dumps(document, ensure_ascii=False)
    code = given.pop("code", None)
    return await act(office, CREATE, input=given, code=code)


async def step(office: Office, name: str, done: Any, roles: str = "cataloguer", department: str = POLICE) -> Any:
    text = ACT.replace("%a", name)
    return await act(office, text, roles, department, id=done["id"], version=done["version"])


async def test_an_entry_is_of_something(office: Office) -> None:
    for given, field, code in (
        ({}, "document", "MISSING"),
        ({"patch": "{}"}, "document", "MISSING"),
        ({"code": "999/1"}, "code", "UNKNOWN"),
    ):
        done = await create(office, **given)
        assert [(it["field"], it["code"]) for it in done["problems"]] == [([field], code)]


async def test_a_patch_of_what_is_published(office: Office) -> None:
    done = await create(office, code="301/1", patch='{"title": "许可登记", "summary": null}', note="更名")
    assert (done["__typename"], done["state"], done["stateWords"]) == ("Entry", "DRAFT", "draft")
    assert (done["change"], done["resourceCode"], done["basedOn"], done["title"]) == (
        "REVISION",
        "301/1",
        1,
        "许可登记",
    )
    assert done["mySteps"] == ["AMEND", "PUBLISH", "WITHDRAW"]
    assert done["problems"] == []
    assert done["differences"] == [
        {
            "part": "RESOURCE",
            "name": "",
            "title": "许可登记",
            "change": "CHANGED",
            "attributes": [
                {"name": "title", "before": '"permit信息"', "after": '"许可登记"'},
                {"name": "summary", "before": '"permit 的数据"', "after": None},
            ],
        }
    ]
    assert done["impact"]["harmless"]
    done = await act(office, PUBLISH, id=done["number"], version=1)
    assert (done["state"], done["resource"], done["impact"]) == ("PUBLISHED", {"code": "301/1", "version": 1}, None)
    found = await office.ask(
        POLICE, "query ($id: ID!) { entry(id: $id) { " + FACTS + " } }", roles="auditor", id=done["id"]
    )
    assert found["entry"]["problems"] == []
    assert [at["name"] for it in found["entry"]["differences"] for at in it["attributes"]] == ["title", "summary"]
    text = '{ catalogue { resource(code: "301/1") { version title versions { version note retiredAt } } } }'
    found = (await office.ask(HEALTH, text))["catalogue"]["resource"]
    assert (found["version"], found["title"]) == (2, "许可登记")
    assert [(it["version"], it["note"], it["retiredAt"] is None) for it in found["versions"]] == [
        (2, "据实", True),
        (1, "", False),
    ]


async def test_everything_that_stands_against_it_is_told_at_once(office: Office) -> None:
    document = draft(REGISTER, condition=None)
    del document["title"]
    done = await create(office, document)
    assert [(it["field"], it["code"], it["article"]) for it in done["problems"]] == [
        (["document", "title"], "MISSING", None),
        (["document", "items", "2", "condition"], "MISSING", "Art. 9(2)"),
        (["document", "items", "3", "condition"], "MISSING", "Art. 9(2)"),
    ]
    assert (done["differences"], done["impact"], done["title"]) == (None, None, REGISTER.title)
    refused = await act(office, PUBLISH, id=done["id"], version=1)
    assert (refused["__typename"], refused["code"], len(refused["problems"])) == ("InvalidAct", "INVALID", 3)


@pytest.mark.parametrize(
    ("given", "field", "word"),
    [
        ({"document": "[1]"}, ["document"], "not an object"),
        ({"document": '{"title": "1", "title": "2"}'}, ["document"], "twice"),
        ({"document": '{"title": NaN}'}, ["document"], "no number"),
        ({"document": '{"a": ' * 65 + "1" + "}" * 65}, ["document"], "deeper"),
        ({"document": '{"a": ' * 100_000}, ["document"], "no JSON"),
        ({"patch": "{"}, ["patch"], "no JSON"),
        ({"patch": '{"涉密": true}'}, ["document", "涉密"], "state and work secrets"),
        ({"document": '{"code": "301/1", "kind": "source"}'}, ["document", "kind"], "kind"),
    ],
)
async def test_what_could_never_be_a_draft(office: Office, given: Any, field: list[str], word: str) -> None:
    done = await act(office, CREATE, input=given, code="301/1")
    assert (done["__typename"], [it["field"] for it in done["problems"]]) == ("InvalidAct", [field])
    assert word in done["message"]


async def test_what_breaks_is_shown_and_accepted_by_its_mark(office: Office) -> None:
    await office.platform.put_grants([_grant()])
    done = await create(office, without(draft(REGISTER), "phone"))
    impact = done["impact"]
    assert (impact["harmless"], impact["breaks"]) == (
        False,
        [
            {
                "severity": "BREAKING",
                "resourceCode": "301/1",
                "coordinate": "Permit.phone",
                "words": "item `phone` of `Permit` is gone",
                "parts": ["phone"],
            }
        ],
    )
    assert impact["grants"] == [
        {"grant": "g-1", "requester": {"key": "health"}, "lost": [{"loss": "ITEM", "name": "phone"}]}
    ]
    refused = await act(office, PUBLISH, id=done["id"], version=1)
    assert [(it["field"], it["code"]) for it in refused["problems"]] == [(["acceptBreaking"], "MISSING")]
    done = await act(office, PUBLISH, id=done["id"], version=1, mark=impact["mark"])
    assert done["state"] == "PUBLISHED"
    text = "{ inbox { notices { nodes { kind words } } } }"
    found = (await office.ask(HEALTH, text, roles="applicant"))["inbox"]["notices"]["nodes"]
    assert found == [{"kind": "RESOURCE_CHANGED", "words": "a resource that you hold a grant on changes"}]


async def test_what_is_catalogued_is_what_the_source_has(office: Office) -> None:
    asked: list[tuple[str, ...]] = []

    async def describe(keys: Sequence[str]) -> dict[str, Sequence[TableStructure]]:
        asked.append(tuple(keys))
        names = ("number", "name", "phone", "division")
        columns = [ColumnStructure(it, "text", ScalarType.TEXT, it != "number", it == "number") for it in names]
        columns.append(ColumnStructure("handle", "bigint", ScalarType.LONG, False, True))
        return {"main": (TableStructure(None, "permit", tuple(columns)),)}

    office.describe = describe
    document = draft(REGISTER)
    document["items"][2]["column"] = "mobile"
    done = await create(office, document)
    assert [(it["field"], it["article"]) for it in done["problems"]] == [
        (["document", "items", "2", "column"], "Art. 7")
    ]
    refused = await act(office, PUBLISH, id=done["id"], version=1)
    assert [it["field"] for it in refused["problems"]] == [["document", "items", "2", "column"]]
    assert asked == [("main",), ("main",)]  # once in each request
    text = """mutation ($id: ID!, $patch: String) {
      done: amendEntry(id: $id, version: 1, input: {patch: $patch}) { %s } }"""
    done = await act(office, text, id=done["id"], patch='{"source": "of-somebody-else"}')
    assert len(asked) == 2
    assert [it["field"] for it in done["problems"]] == [["document", "source"]]


async def test_audit_by_the_competent_department(order: Office) -> None:
    done = await create(order, draft(REGISTER, title="甲"))
    assert done["mySteps"] == ["AMEND", "WITHDRAW"]
    assert await order.ask(OFFICE, "{ entries { totalCount } }", roles="coordinator") == {"entries": {"totalCount": 0}}
    done = await step(order, "approveEntry", done, "head")
    done = await step(order, "submitEntry", done)
    assert (done["state"], done["coordinator"]) == ("SUBMITTED", {"key": "data-office"})
    (clock,) = done["deadlines"]
    assert (clock["kind"], clock["dueOn"], clock["department"]) == ("AUDIT", "2026-09-21", {"key": "data-office"})
    text = """{ inbox { tasks { nodes { role dueOn matter { ... on Entry { number title problems { code }
      differences { name } impact { harmless } } } } } } }"""
    (task,) = (await order.ask(OFFICE, text, roles="coordinator"))["inbox"]["tasks"]["nodes"]
    assert (task["role"], task["matter"]["number"], task["matter"]["title"]) == ("coordinator", done["number"], "甲")
    text = """mutation ($id: ID!, $version: Int!) {
      done: returnEntry(id: $id, version: $version, reason: "名称不规范") { %s } }"""
    done = await act(order, text, "coordinator", OFFICE, id=done["id"], version=done["version"])
    assert (done["state"], done["events"][-1]) == ("RETURNED", {"event": "RETURN", "by": "coordinator"})


async def test_obligations_from_a_change_of_law(office: Office) -> None:
    text = """mutation ($change: LegalChangeInput!) { done: openObligations(change: $change) { __typename
      ... on OpenedObligations { obligations { id number state title changedOn metBy provider { key }
        resources { code } deadlines { dueOn overdue article } } }
      ... on ActError { code } ... on InvalidAct { problems { field code } } } }"""
    change = {
        "title": "《许可法》修订",
        "changedOn": "2026-07-01",
        "departments": ["public-security", "health"],
        "resources": ["301/1"],
    }
    refused = (await office.ask(POLICE, text, roles="cataloguer", change=change))["done"]
    assert refused == {"__typename": "NotPermitted", "code": "NOT_PERMITTED"}
    opened = (await office.ask(OFFICE, text, roles="supervisor", change=change))["done"]["obligations"]
    assert [(it["provider"]["key"], it["changedOn"], [r["code"] for r in it["resources"]]) for it in opened] == [
        ("public-security", "2026-07-01", ["301/1"]),
        ("health", "2026-07-01", []),
    ]
    assert opened[0]["deadlines"] == [{"dueOn": "2026-07-22", "overdue": True, "article": "Art. 8"}]
    done = await create(office, draft(REGISTER, title="甲"), obligations=[opened[0]["id"]])
    assert done["obligations"] == [{"number": opened[0]["number"], "state": "OPEN", "title": "《许可法》修订"}]
    assert (await act(office, PUBLISH, id=done["id"], version=1))["obligations"][0]["state"] == "MET"
    text = "query ($id: ID!) { obligation(id: $id) { state metBy } node(id: $id) { ... on Obligation { number } } }"
    found = await office.ask(OFFICE, text, roles="supervisor", id=opened[0]["id"])
    assert found == {
        "obligation": {"state": "MET", "metBy": done["number"]},
        "node": {"number": opened[0]["number"]},
    }
    text = '{ obligations(side: COORDINATOR, states: ["OPEN"]) { totalCount nodes { number } } }'
    found = await office.ask(OFFICE, text, roles="supervisor")
    assert found == {"obligations": {"totalCount": 1, "nodes": [{"number": opened[1]["number"]}]}}
    text = """mutation ($id: ID!) { done: cancelObligation(id: $id, version: 1, reason: "不涉及") { __typename
      ... on Obligation { state } } }"""
    found = await office.ask(OFFICE, text, roles="supervisor", id=opened[1]["id"])
    assert found["done"] == {"__typename": "Obligation", "state": "CANCELLED"}


async def test_a_resource_is_retired(office: Office) -> None:
    text = """mutation { done: retireResource(code: "301/1", reason: "职能划转") { %s } }"""
    done = await act(office, text)
    assert (done["change"], done["note"], done["problems"]) == ("RETIREMENT", "职能划转", [])
    assert [(it["part"], it["change"]) for it in done["differences"]][:2] == [
        ("RESOURCE", "REMOVED"),
        ("KEY", "REMOVED"),
    ]
    assert [it["words"] for it in done["impact"]["breaks"]] == ["resource `301/1` (`Permit`) is gone"]
    done = await act(office, PUBLISH, id=done["id"], version=1, mark=done["impact"]["mark"])
    assert (done["state"], done["stateWords"]) == ("RETIRED", "the resource is retired")
    assert await office.ask(HEALTH, '{ catalogue { resource(code: "301/1") { code } } }') == {
        "catalogue": {"resource": None}
    }


async def test_who_lost_is_told(office: Office) -> None:
    done = await create(office, draft(REGISTER, title="甲"))
    text = """mutation ($id: ID!, $patch: String) {
      done: amendEntry(id: $id, version: 1, input: {patch: $patch}) { %s } }"""
    assert (await act(office, text, id=done["id"], patch='{"title": "乙"}'))["title"] == "乙"
    lost = await act(office, text, id=done["id"], patch='{"title": "丙"}')
    assert (lost["__typename"], lost["version"], lost["changedBy"]) == ("Conflict", 2, "cataloguer")


# --- local catalogues ------------------------------------------------------------------------------------------------

LOCAL = """id level division { code } competentDepartment { key } version updatedAt
  resources { totalCount nodes { code } } byClass { shareClass count } byBranch { branch count }
  byProvider { provider { key } count } connectedTo { id } connected { division { code } level }"""


async def test_the_catalogue_of_a_government(platform: PlatformDatabase) -> None:
    city = register(
        make_item("colour"),
        code="301/7",
        word="plate",
        group="plates",
        source="city",
        provider=next(it for it in DEPARTMENTS if it.code == CITY_POLICE),
    )
    office = await Office.open(platform, [REGISTER, city])
    text = """query ($d: String, $l: Level, $c: String) {
      it: localCatalogue(department: $d, level: $l, division: $c) { %s } }""".replace("%s", LOCAL)
    region = (await office.ask(HEALTH, text))["it"]
    assert (region["level"], region["division"], region["competentDepartment"]) == (
        "REGION",
        {"code": "640000"},
        {"key": "data-office"},
    )
    assert [it["code"] for it in region["resources"]["nodes"]] == ["301/1"]
    assert region["byProvider"] == [{"provider": {"key": "public-security"}, "count": 1}]
    assert {it["shareClass"]: it["count"] for it in region["byClass"]} == {
        "UNCONDITIONAL": 0,
        "CONDITIONAL": 1,
        "NOT_SHARED": 0,
    }
    assert [it["division"]["code"] for it in region["connected"]] == ["640100", "640200", "640104"]
    assert region["connectedTo"] is None
    (of_city, by_place) = (
        (await office.ask(HEALTH, text, d="city-police"))["it"],
        (await office.ask(HEALTH, text, l="CITY", c="640100"))["it"],
    )
    assert of_city == by_place
    assert [it["code"] for it in of_city["resources"]["nodes"]] == ["301/7"]
    assert (of_city["connectedTo"], of_city["connected"]) == ({"id": region["id"]}, [])
    empty = (await office.ask(HEALTH, text, l="COUNTY", c="640104"))["it"]
    assert (empty["version"], empty["updatedAt"], empty["competentDepartment"]) == (0, None, {"key": "city-data"})
    assert (await office.ask(HEALTH, text, l="CITY", c="649999"))["it"] is None
    # what the region publishes changes the region's catalogue and no other
    done = await create(office, draft(REGISTER, title="甲"))
    await act(office, PUBLISH, id=done["id"], version=1)
    after = (await office.ask(HEALTH, text))["it"]
    assert after["version"] > region["version"]
    assert (await office.ask(HEALTH, text, d="city-police"))["it"] == of_city
    found = await office.ask(
        HEALTH, "query ($id: ID!) { node(id: $id) { ... on LocalCatalogue { level } } }", id=of_city["id"]
    )
    assert found["node"] == {"level": "CITY"}
    assert len((await office.ask(HEALTH, "{ localCatalogues { id } }"))["localCatalogues"]) == 4


def _grant() -> Grant:
    start, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
    return Grant("g-1", HEALTH, "301/1", frozenset({"phone"}), "care", start, end, GrantBasis.APPLICATION)
