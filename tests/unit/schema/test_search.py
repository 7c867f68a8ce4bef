"""Search: substrings of titles, items and summaries, ranked, in Chinese without spaces."""

import pytest

from schema.fixed.enums import MatchPlace
from schema.fixed.search import search
from tanglai.catalogue.errors import BadInput
from tanglai.catalogue.model import Zone
from tests.catalogues import make_item, make_resource, make_snapshot
from tests.unit.schema.asking import Asker, field_of

SNAPSHOT = make_snapshot(
    [
        make_resource(
            "resident",
            [make_item("name", title="姓名"), make_item("phone", title="联系电话", description="手机或座机")],
            code="1/1",
            title="人口基本信息",
            summary="常住人口登记",
        ),
        make_resource("car", [make_item("plate", title="号牌")], code="2/1", title="机动车", summary="含车主联系电话"),
        make_resource("shop", [make_item("tel", title="电话")], code="3/1", title="联系电话", summary="ＡＢＣ商户"),
        make_resource("file", [make_item("a", title="人口")], code="4/1", title="卷宗", summary="", zone=Zone.INTRANET),
    ]
)


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("联系电话", ["3/1", "1/1", "2/1"]),
        ("人口", ["1/1", "4/1"]),
        ("人口 电话", ["1/1"]),
        ("电话  人口", ["1/1"]),
        ("手机", ["1/1"]),
        ("abc", ["3/1"]),
        ("ａｂｃ商户", ["3/1"]),
        ("RESIDENTS", ["1/1"]),
        ("2/1", ["2/1"]),
        ("人口\n机动车", []),
        ("%", []),
        ("基本常住", []),
    ],
)
def test_hits_in_order(text: str, codes: list[str]) -> None:
    assert [hit.resource.code for hit in search(SNAPSHOT, text)] == codes


def test_places() -> None:
    places = {hit.resource.code: hit.place for hit in search(SNAPSHOT, "联系电话")}
    assert places == {"3/1": MatchPlace.TITLE, "1/1": MatchPlace.ITEM, "2/1": MatchPlace.SUMMARY}


def test_a_title_that_is_the_text_comes_before_one_that_holds_it() -> None:
    snapshot = make_snapshot(
        [
            make_resource("one", [make_item("a")], code="1/1", title="人口信息"),
            make_resource("two", [make_item("a")], code="2/1", title="人口"),
        ]
    )
    assert [hit.resource.code for hit in search(snapshot, "人口")] == ["2/1", "1/1"]


@pytest.mark.parametrize("text", ["", "  \n", "a" * 201, " ".join("abcdefghijk")])
def test_texts_that_are_refused(text: str) -> None:
    with pytest.raises(BadInput):
        search(SNAPSHOT, text)


async def test_search_in_the_schema() -> None:
    text = """query ($text: String!, $first: Int, $after: String) { catalogue {
      search(text: $text, first: $first, after: $after) {
        edges { cursor place node { code zone } items { name } } nodes { code } totalCount
        pageInfo { hasNextPage endCursor } } } }"""
    asker = Asker(SNAPSHOT)
    found = (await asker.ask(text, text="电话", first=2))["catalogue"]["search"]
    assert field_of(found["nodes"], "code") == ["3/1", "1/1"]
    assert field_of(found["edges"], "place") == ["TITLE", "ITEM"]
    assert [field_of(edge["items"], "name") for edge in found["edges"]] == [["tel"], ["phone"]]
    assert found["totalCount"] == 3
    rest = (await asker.ask(text, text="电话", after=found["pageInfo"]["endCursor"]))["catalogue"]["search"]
    assert field_of(rest["nodes"], "code") == ["2/1"]
    assert not rest["pageInfo"]["hasNextPage"]
    other = (await asker.ask(text, text="卷宗"))["catalogue"]["search"]
    assert other["edges"][0]["node"] == {"code": "4/1", "zone": "INTRANET"}
    assert [type(error) for error in await asker.refused(text, text=" ")] == [BadInput]
