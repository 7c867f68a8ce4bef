"""The catalogue as GraphQL: entries of both zones, registers, versions, changes, paging, and nodes by id."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.fixed.ids import cursor, global_id, read_cursor, read_global_id
from schema.fixed.paging import Window, page
from tanglai.catalogue.errors import BadInput, ErrorCode, TanglaiError
from tanglai.catalogue.model import PublishedVersion, Resource, ShareClass, Zone
from tests.catalogues import (
    CATEGORIES,
    PUBLIC_SECURITY,
    PUBLISHED,
    make_item,
    make_resource,
    make_snapshot,
    population,
    resource_code,
)
from tests.unit.schema.asking import Asker, field_of

RESIDENT, VEHICLE, DOSSIER = (resource_code(word) for word in ("resident", "vehicle", "dossier"))
ASKER = Asker(population())


async def test_snapshot_zone_and_rule_set() -> None:
    assert await ASKER.ask("{ catalogue { id snapshot zone ruleSet } }") == {
        "catalogue": {
            "id": global_id("Catalogue", ""),
            "snapshot": 1,
            "zone": "EXTRANET",
            "ruleSet": "ningxia-measures",
        }
    }


async def test_a_resource_with_all_that_the_catalogue_says() -> None:
    text = """query ($code: String!) { catalogue { resource(code: $code) {
      id code version title summary branch category { code title parent { code } children { code } }
      provider { key name level kind competent active division { code name } } compiler { code }
      shareClass condition legalBasis { title } updateCycle zone served sourceTitle publishedAt
      names { group list lookups aggregate type }
      keys { lookup items { name } }
      relations { name fieldName title many shareClass inverse target { title } items { name } targetItems { name } }
      item(name: "idNumber") { name title type shareClass basic masks { name kind prefix suffix } }
      versions { version title shareClass publishedAt retiredAt note }
      related { code }
    } } }"""
    found = (await ASKER.ask(text, code=RESIDENT))["catalogue"]["resource"]
    assert found["id"] == global_id("Resource", RESIDENT)
    assert (found["title"], found["version"], found["branch"]) == ("居民", 1, "BASIC")
    assert found["category"] == {"code": "101", "title": "人口", "parent": {"code": "1"}, "children": []}
    assert found["provider"] == {
        "key": "public-security",
        "name": "公安厅",
        "level": "REGION",
        "kind": "DEPARTMENT",
        "competent": False,
        "active": True,
        "division": {"code": "640000", "name": "宁夏回族自治区"},
    }
    assert found["compiler"] is None
    assert (found["shareClass"], found["condition"], found["legalBasis"]) == ("CONDITIONAL", "经提供部门同意", None)
    assert (found["updateCycle"], found["zone"], found["served"]) == ("DAILY", "EXTRANET", True)
    assert (found["sourceTitle"], found["publishedAt"]) == ("系统main", "2026-03-02T08:00:00.000000Z")
    assert found["names"] == {
        "group": "population",
        "list": "residents",
        "lookups": ["resident", "residentByNameAndBirthDate"],
        "aggregate": "residentsAggregate",
        "type": "Resident",
    }
    assert found["keys"] == [
        {"lookup": "resident", "items": [{"name": "id_number"}]},
        {"lookup": "residentByNameAndBirthDate", "items": [{"name": "name"}, {"name": "birth_date"}]},
    ]
    assert found["relations"][0] == {
        "name": "vehicles",
        "fieldName": "vehicles",
        "title": "名下车辆",
        "many": True,
        "shareClass": "CONDITIONAL",
        "inverse": "keeper",
        "target": {"title": "机动车"},
        "items": [{"name": "id_number"}],
        "targetItems": [{"name": "owner"}],
    }
    assert found["item"] == {
        "name": "id_number",
        "title": "公民身份号码",
        "type": "TEXT",
        "shareClass": "UNCONDITIONAL",
        "basic": True,
        "masks": [{"name": "short", "kind": "KEEP", "prefix": 1, "suffix": 2}],
    }
    assert found["versions"] == [
        {
            "version": 1,
            "title": "居民",
            "shareClass": "CONDITIONAL",
            "publishedAt": "2026-03-02T08:00:00.000000Z",
            "retiredAt": None,
            "note": "",
        }
    ]
    assert found["related"] == []


async def test_items() -> None:
    text = """query ($code: String!) { catalogue { resource(code: $code) { items {
      name fieldName type description businessReason condition legalBasis { type title article } dataElement nullable
      codes { value title } resource { code } } } } }"""
    items = (await ASKER.ask(text, code=RESIDENT))["catalogue"]["resource"]["items"]
    by_name = {item["name"]: item for item in items}
    assert [item["name"] for item in items] == [item.name for item in ASKER.snapshot.resources[RESIDENT].items]
    assert by_name["birth_date"]["fieldName"] == "birthDate"
    assert by_name["sex"]["codes"] == [{"value": "1", "title": "〔1〕"}, {"value": "2", "title": "〔2〕"}]
    assert by_name["phone"]["businessReason"] == "随业务办理采集"
    assert by_name["passport"]["condition"] == "限出入境管理使用"
    assert by_name["file"]["legalBasis"] == {"type": "LAW", "title": "治安管理处罚法", "article": "第八十条"}
    assert {item["resource"]["code"] for item in items} == {RESIDENT}


async def test_a_resource_of_the_other_zone_is_listed_and_marked() -> None:
    text = "query ($code: String!) { catalogue { resource(code: $code) { zone served names { type } } } }"
    assert (await ASKER.ask(text, code=DOSSIER))["catalogue"]["resource"] == {
        "zone": "INTRANET",
        "served": False,
        "names": None,
    }


async def test_what_is_not_there_is_null() -> None:
    text = '{ catalogue { resource(code: "9/9") { id } department(code: "x") { id } division(code: "1") { id } } }'
    assert (await ASKER.ask(text))["catalogue"] == {"resource": None, "department": None, "division": None}


async def filtered(condition: str) -> set[str]:
    text = f"{{ catalogue {{ resources(filter: {condition}) {{ nodes {{ title }} totalCount }} }} }}"
    found = (await ASKER.ask(text))["catalogue"]["resources"]
    assert found["totalCount"] == len(found["nodes"])
    return set(field_of(found["nodes"], "title"))


@pytest.mark.parametrize(
    ("condition", "titles"),
    [
        ("{}", {"居民", "户籍", "机动车", "检查点", "卷宗"}),
        ("{shareClass: [UNCONDITIONAL]}", {"检查点", "卷宗"}),
        ("{shareClass: []}", set()),
        ('{provider: "market-regulation"}', {"检查点"}),
        ('{provider: "11640000MB1A000034"}', {"检查点"}),
        ("{branch: [THEMATIC]}", {"检查点"}),
        ('{category: "1"}', {"居民", "户籍", "机动车", "卷宗"}),
        ('{category: "101"}', {"居民", "户籍", "机动车", "卷宗"}),
        ('{category: "3"}', set()),
        ("{zone: INTRANET}", {"卷宗"}),
        ('{text: "身份"}', {"居民", "机动车"}),
        ('{text: "身份", branch: [BASIC], provider: "market-regulation"}', set()),
        ("{shareClass: null, provider: null}", {"居民", "户籍", "机动车", "检查点", "卷宗"}),
    ],
)
async def test_filters(condition: str, titles: set[str]) -> None:
    assert await filtered(condition) == titles


@pytest.mark.parametrize("condition", ['{provider: "nobody"}', '{category: "9"}', '{text: " "}'])
async def test_filters_on_nothing_known_are_refused(condition: str) -> None:
    errors = await ASKER.refused(f"{{ catalogue {{ resources(filter: {condition}) {{ totalCount }} }} }}")
    assert [type(error) for error in errors] == [BadInput]


async def test_registers() -> None:
    text = """{ catalogue {
      departments { code key division { code successor { code } } } department(code: "yinchuan-data") { nameEn level }
      purposes { code title titleEn }
      divisions { code successor { code } }
      now: divisions(at: "2026-01-01") { code } then: divisions(at: "1990-01-01") { code }
      division(code: "640199") { validFrom validTo successor { name } }
      categories { code children { code } } category(code: "101") { titleEn parent { title } }
    } }"""
    found = (await ASKER.ask(text))["catalogue"]
    assert field_of(found["departments"], "code") == sorted(ASKER.snapshot.departments)
    assert found["department"] == {"nameEn": "Yinchuan", "level": "CITY"}
    assert field_of(found["purposes"], "code") == ["assistance", "licensing", "statistics"]
    assert field_of(found["divisions"], "code") == ["640000", "640100", "640105", "640121", "640199"]
    assert field_of(found["now"], "code") == ["640000", "640100", "640105", "640121"]
    assert field_of(found["then"], "code") == ["640000", "640100", "640121", "640199"]
    assert found["division"] == {
        "validFrom": "1958-10-25",
        "validTo": "2002-10-01",
        "successor": {"name": "西夏区"},
    }
    assert found["categories"] == [
        {"code": "1", "children": [{"code": "101"}]},
        {"code": "2", "children": []},
        {"code": "3", "children": []},
    ]
    assert found["category"] == {"titleEn": "Population", "parent": {"title": "基础信息资源"}}


def version(number: int, days: int, retired: int | None = None, title: str = "旧") -> PublishedVersion:
    at = PUBLISHED + timedelta(days=days)
    gone = None if retired is None else PUBLISHED + timedelta(days=retired)
    return PublishedVersion("5/1", number, title, ShareClass.UNCONDITIONAL, at, gone, f"n{number}")


CAR = make_resource("car", [make_item("plate"), make_item("colour"), make_item("seats")], code="5/1", version=3)
HISTORY = {
    "5/1": (version(1, 0, 5), version(2, 5, 7), version(3, 10)),
    "6/1": (PublishedVersion("6/1", 1, "丙", ShareClass.NOT_SHARED, PUBLISHED, PUBLISHED + timedelta(days=20)),),
}
CHANGED = make_snapshot([CAR], history=HISTORY)


async def test_changes_since() -> None:
    text = """query ($since: DateTime!, $first: Int, $after: String) {
      catalogue { changes(since: $since, first: $first, after: $after) {
        nodes { id kind at version { version title note resourceCode } resource { code } }
        pageInfo { endCursor hasNextPage } totalCount } } }"""
    asker = Asker(CHANGED)
    found = (await asker.ask(text, since="2026-03-02T16:00:00+08:00"))["catalogue"]["changes"]
    assert [
        (n["kind"], n["version"]["resourceCode"], n["version"]["version"], n["at"][:10]) for n in found["nodes"]
    ] == [
        ("UPDATED", "5/1", 2, "2026-03-07"),
        ("RETIRED", "5/1", 2, "2026-03-09"),
        ("UPDATED", "5/1", 3, "2026-03-12"),
        ("RETIRED", "6/1", 1, "2026-03-22"),
    ]
    assert [node["resource"] for node in found["nodes"]] == [{"code": "5/1"}] * 3 + [None]
    everything = (await asker.ask(text, since="2000-01-01T00:00:00Z"))["catalogue"]["changes"]["nodes"]
    assert field_of(everything, "kind") == ["PUBLISHED", "PUBLISHED", "UPDATED", "RETIRED", "UPDATED", "RETIRED"]
    first = (await asker.ask(text, since="2000-01-01T00:00:00Z", first=4))["catalogue"]["changes"]
    after = first["pageInfo"]["endCursor"]
    rest = (await asker.ask(text, since="2000-01-01T00:00:00Z", after=after))["catalogue"]["changes"]
    assert first["pageInfo"]["hasNextPage"]
    assert first["nodes"] + rest["nodes"] == everything
    for node in everything:
        again = await asker.ask("query ($id: ID!) { node(id: $id) { __typename id } }", id=node["id"])
        assert again["node"] == {"__typename": "ResourceChange", "id": node["id"]}


async def test_versions_come_newest_first() -> None:
    text = '{ catalogue { resource(code: "5/1") { versions { id version retiredAt } } } }'
    versions = (await Asker(CHANGED).ask(text))["catalogue"]["resource"]["versions"]
    assert field_of(versions, "version") == [3, 2, 1]
    assert versions[0]["retiredAt"] is None


class Shelf:
    """Former versions; remembers which keys were asked for together."""

    def __init__(self, *resources: Resource) -> None:
        self.kept = {(resource.code, resource.version): resource for resource in resources}
        self.calls: list[list[tuple[str, int]]] = []

    async def load(self, keys: Sequence[tuple[str, int]]) -> list[Resource | None]:
        self.calls.append(list(keys))
        return [self.kept.get(key) for key in keys]


OLD = replace(
    CAR,
    version=1,
    items=(make_item("plate", title="牌"), make_item("colour"), make_item("wheels", title="轮")),
)
ITEM_CHANGES = """query ($since: Int!, $until: Int) { catalogue { resource(code: "5/1") {
  itemChanges(since: $since, until: $until) { name title kind attributes } } } }"""


async def test_item_changes_between_versions() -> None:
    shelf = Shelf(OLD, replace(OLD, version=2))
    asker = Asker(CHANGED, load_versions=shelf.load)
    found = await asker.ask(ITEM_CHANGES, since=1)
    assert found["catalogue"]["resource"]["itemChanges"] == [
        {"name": "plate", "title": "项plate", "kind": "CHANGED", "attributes": ["title"]},
        {"name": "seats", "title": "项seats", "kind": "ADDED", "attributes": []},
        {"name": "wheels", "title": "轮", "kind": "REMOVED", "attributes": []},
    ]
    assert (await asker.ask(ITEM_CHANGES, since=1, until=2))["catalogue"]["resource"]["itemChanges"] == []
    assert (await asker.ask(ITEM_CHANGES, since=9))["catalogue"]["resource"]["itemChanges"] is None
    assert (await Asker(CHANGED).ask(ITEM_CHANGES, since=1))["catalogue"]["resource"]["itemChanges"] is None


async def test_all_that_differs_between_versions() -> None:
    text = """query ($since: Int!) { catalogue { resource(code: "5/1") {
      differences(since: $since) { part name change attributes { name before after } } } } }"""
    shelf = Shelf(OLD, replace(OLD, version=2))
    found = (await Asker(CHANGED, load_versions=shelf.load).ask(text, since=1))["catalogue"]["resource"]["differences"]
    assert [(it["part"], it["name"], it["change"]) for it in found if it["part"] == "ITEM"] == [
        ("ITEM", "plate", "CHANGED"),
        ("ITEM", "seats", "ADDED"),
        ("ITEM", "wheels", "REMOVED"),
    ]
    (plate,) = (it for it in found if it["name"] == "plate")
    assert [it["name"] for it in plate["attributes"]] == ["title"]
    found = await Asker(CHANGED, load_versions=shelf.load).ask(text, since=9)
    assert found["catalogue"]["resource"]["differences"] is None


async def test_lead_departments_of_a_category() -> None:
    led = replace(CATEGORIES[1], leads=(PUBLIC_SECURITY.code, "nobody"))
    asker = Asker(make_snapshot(categories=[CATEGORIES[0], led]))
    text = '{ catalogue { category(code: "101") { leads { key } } other: category(code: "1") { leads { key } } } }'
    assert (await asker.ask(text))["catalogue"] == {
        "category": {"leads": [{"key": "public-security"}]},
        "other": {"leads": []},
    }


async def test_former_versions_are_loaded_in_one_batch() -> None:
    shelf = Shelf(OLD, replace(OLD, version=2))
    text = """{ catalogue { resource(code: "5/1") {
      a: itemChanges(since: 1) { name } b: itemChanges(since: 2) { name } c: itemChanges(since: 1) { kind } } } }"""
    await Asker(CHANGED, load_versions=shelf.load).ask(text)
    assert shelf.calls == [[("5/1", 1), ("5/1", 2)]]


async def test_nodes_by_id() -> None:
    text = """query ($code: String!) { catalogue {
      resource(code: $code) {
        id category { id } provider { id division { id } } items { id } relations { id } versions { id } }
      purposes { id } } }"""
    found = (await ASKER.ask(text, code=RESIDENT))["catalogue"]
    resource = found["resource"]
    ids = {
        "Resource": [resource["id"]],
        "Category": [resource["category"]["id"]],
        "Department": [resource["provider"]["id"]],
        "Division": [resource["provider"]["division"]["id"]],
        "Item": field_of(resource["items"], "id"),
        "Relation": field_of(resource["relations"], "id"),
        "ResourceVersion": field_of(resource["versions"], "id"),
        "Purpose": field_of(found["purposes"], "id"),
    }
    for kind, known in ids.items():
        for id in known:
            assert "." not in id
            answer = await ASKER.ask("query ($id: ID!) { node(id: $id) { __typename id } }", id=id)
            assert answer["node"] == {"__typename": kind, "id": id}


@pytest.mark.parametrize(
    "id",
    [
        "",
        "r.AAAA",
        "x",
        "é",
        "A" * 1000,
        "_" * 3,
        global_id("Resource", "9/9"),
        global_id("Item", f"{RESIDENT}#nothing"),
        global_id("Item", "9/9#name"),
        global_id("Relation", f"{RESIDENT}#name"),
        global_id("ResourceVersion", f"{RESIDENT}#2"),
        global_id("ResourceVersion", "9/9#1"),
        global_id("ResourceChange", f"{RESIDENT}#1RETIRED"),
        global_id("Query", "x"),
        global_id("Resident", "1"),
        global_id("Resource", RESIDENT) + "=",
    ],
)
async def test_what_is_no_node_is_null_without_an_error(id: str) -> None:
    assert await ASKER.ask("query ($id: ID!) { node(id: $id) { id } }", id=id) == {"node": None}


async def test_a_page_of_resources() -> None:
    text = """query ($first: Int, $after: String, $last: Int, $before: String) {
      catalogue { resources(first: $first, after: $after, last: $last, before: $before) {
        edges { cursor node { code } } nodes { code } totalCount
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } } }"""
    codes = sorted(ASKER.snapshot.resources)
    found = (await ASKER.ask(text, first=2))["catalogue"]["resources"]
    assert field_of(found["nodes"], "code") == codes[:2] == [edge["node"]["code"] for edge in found["edges"]]
    assert found["totalCount"] == 5
    assert found["pageInfo"]["startCursor"] == found["edges"][0]["cursor"]
    second = (await ASKER.ask(text, first=2, after=found["pageInfo"]["endCursor"]))["catalogue"]["resources"]
    assert field_of(second["nodes"], "code") == codes[2:4]
    assert second["pageInfo"]["hasNextPage"]
    assert second["pageInfo"]["hasPreviousPage"]
    back = (await ASKER.ask(text, last=1, before=second["edges"][0]["cursor"]))["catalogue"]["resources"]
    assert field_of(back["nodes"], "code") == codes[1:2]


@pytest.mark.parametrize(
    ("window", "code"),
    [
        (Window(first=-1), ErrorCode.BAD_INPUT),
        (Window(first=1001), ErrorCode.BAD_INPUT),
        (Window(last=1001), ErrorCode.BAD_INPUT),
        (Window(first=1, last=1), ErrorCode.BAD_INPUT),
        (Window(after="x"), ErrorCode.BAD_CURSOR),
        (Window(before=""), ErrorCode.BAD_CURSOR),
        (Window(after=global_id("Resource", "1/1")), ErrorCode.BAD_CURSOR),
    ],
)
def test_pages_that_are_refused(window: Window, code: ErrorCode) -> None:
    with pytest.raises(TanglaiError) as caught:
        page(["a"], str, window)
    assert caught.value.code is code


def test_a_cursor_stays_good_when_its_entry_is_gone() -> None:
    assert page(["a", "c"], str, Window(after=cursor("b"))).entries == ["c"]
    assert page(["a", "c"], str, Window(before=cursor("b"))).entries == ["a"]


keys = st.lists(st.text("abc", max_size=3), unique=True).map(sorted)


@given(keys, st.integers(1, 4), st.booleans())
def test_pages_together_are_the_list(entries: list[str], size: int, forward: bool) -> None:
    collected: list[str] = []
    place: str | None = None
    while True:
        window = Window(first=size, after=place) if forward else Window(last=size, before=place)
        part = page(entries, str, window)
        assert part.total == len(entries)
        assert len(part.entries) <= size
        collected = [*collected, *part.entries] if forward else [*part.entries, *collected]
        if not (part.info.has_next_page if forward else part.info.has_previous_page):
            break
        place = part.info.end_cursor if forward else part.info.start_cursor
    assert collected == entries


@given(st.text(), st.text(max_size=3))
def test_ids_and_cursors_round_trip(key: str, noise: str) -> None:
    try:
        key.encode()
    except UnicodeEncodeError:
        return
    assert read_global_id(global_id("Resource", key)) == ("Resource", key)
    assert read_cursor(cursor(key)) == key
    assert set(global_id("Resource", key)) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
    read_global_id(noise)


async def test_a_resource_of_a_department_that_is_not_registered() -> None:
    snapshot = make_snapshot([make_resource("car", [make_item("plate")], code="5/1", category="7")], departments=())
    text = '{ catalogue { resource(code: "5/1") { provider { code } category { code } title } } }'
    found: Any = await Asker(snapshot).ask(text)
    assert found["catalogue"]["resource"] == {"provider": None, "category": None, "title": "car信息"}


async def test_zone_of_a_moved_resource() -> None:
    moved = make_snapshot([replace(CAR, zone=Zone.INTRANET)], zone=Zone.INTRANET)
    text = '{ catalogue { zone resource(code: "5/1") { served } } }'
    assert (await Asker(moved).ask(text))["catalogue"] == {"zone": "INTRANET", "resource": {"served": True}}
