"""Orders without a row handle, and what is told about grants: found by random operations against the oracle."""

from typing import Any

import pytest

from tanglai.catalogue.expressions import FALSE, Compare, CompareOp, Expression, ItemRef, Value
from tanglai.catalogue.model import Snapshot
from tanglai.catalogue.scalars import ScalarType
from tests.catalogues import CONDITIONAL, keep, make_item, make_resource, make_snapshot, resource_code
from tests.gateways import World, make_grant

NOTE = resource_code("note")
ROWS: dict[str, dict[str, list[dict[str, Any]]]] = {
    "main": {
        "note": [
            {"code": None, "grade": 1, "text": "a"},
            {"code": "n2", "grade": 3, "text": "b"},
            {"code": None, "grade": 2, "text": "c"},
            {"code": "n1", "grade": None, "text": "d"},
        ]
    }
}


def notes(share_class: Any = None, *, nullable: bool = True) -> Snapshot:
    """A resource without a row handle; `share_class` is of its key and of `grade`."""
    closed = {} if share_class is None else {"share_class": share_class}
    items = [
        make_item("grade", ScalarType.INTEGER, **closed),
        make_item("code", nullable=nullable, **closed),
        make_item("text", masks=[keep("first", 1, 0)], **closed),
    ]
    return make_snapshot([make_resource("note", items, keys=[("code",)], handle=None)])


def only(item: str, value: str) -> Expression:
    return Compare(CompareOp.EQ, ItemRef(item, ScalarType.TEXT), Value(value, ScalarType.TEXT))


async def texts(world: World, arguments: str) -> list[str]:
    answer = await world.ask(f"{{ data {{ population {{ notes({arguments}) {{ nodes {{ text }} }} }} }} }}")
    return [node["text"] for node in answer.data["data"]["population"]["notes"]["nodes"]]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("{grade: ASC}", "acbd"),
        ("{grade: DESC}", "dbca"),
        ("{text: DESC}", "dcba"),
        ("{code: DESC}, {text: ASC}", "acbd"),
    ],
)
async def test_order_by_holds_where_nothing_breaks_ties(order: str, expected: str) -> None:
    assert await texts(World(notes(), ROWS), f"orderBy: [{order}]") == list(expected)


async def test_a_key_with_nulls_breaks_no_ties() -> None:
    """Pages that continue after a null key would lose the other rows without one."""
    query = "{ data { population { notes(first: 1) { pageInfo { hasNextPage endCursor } } } } }"
    info = (await World(notes(), ROWS).ask(query)).data["data"]["population"]["notes"]["pageInfo"]
    assert info == {"hasNextPage": True, "endCursor": None}
    assert (await World(notes(), ROWS).ask(query.replace("first: 1", "last: 1"))).codes == ["CAPABILITY_MISSING"]
    whole = {"main": {"note": [row | {"code": f"n{n}"} for n, row in enumerate(ROWS["main"]["note"])]}}
    info = (await World(notes(nullable=False), whole).ask(query)).data["data"]["population"]["notes"]["pageInfo"]
    assert info["endCursor"] is not None


async def test_the_order_of_grants_decides_nothing() -> None:
    """Two scopes open the key, the same two in another order open `grade`: the key is clear wherever a row is."""
    whole = {"main": {"note": [row | {"code": f"n{n}"} for n, row in enumerate(ROWS["main"]["note"])]}}
    grants = [
        make_grant(NOTE, "grade", "g1", scope=only("text", "a")),
        make_grant(NOTE, "code", "g2", scope=only("text", "b")),
        make_grant(NOTE, "code", "g3", scope=only("text", "a")),
    ]
    world = World(notes(CONDITIONAL, nullable=False), whole, grants)
    answer = await world.ask(
        "{ data { population { notes(first: 1) { nodes { code } pageInfo { endCursor } } "
        "notesAggregate { countValues { code grade } } } } }"
    )
    assert answer.data["data"]["population"]["notes"]["pageInfo"]["endCursor"] is not None
    assert answer.data["data"]["population"]["notesAggregate"] == [{"countValues": {"code": 2, "grade": 1}}]
    assert answer.extensions["partial"] == ["data.population.notesAggregate.countValues.grade"]


async def test_a_grant_that_opens_nothing_is_not_told() -> None:
    grants = [
        make_grant(NOTE, "text", "g1"),
        make_grant(NOTE, "text", "g2", scope=FALSE),
        make_grant(NOTE, "text", "g3", masks={"text": "gone"}),
    ]
    answer = await World(notes(CONDITIONAL), ROWS, grants).ask("{ data { population { notes { nodes { text } } } } }")
    assert answer.extensions["grants"] == ["g1"]


async def test_groups_have_the_ids_that_the_schema_says() -> None:
    answer = await World(notes(), ROWS).ask("{ data { id population { id } } }")
    assert answer.data == {"data": {"id": "data:", "population": {"id": "data:population"}}}


async def test_an_empty_search_is_refused_however_it_comes() -> None:
    query = "query($s: String) { data { population { notes(search: $s) { nodes { text } } } } }"
    world = World(notes(), ROWS)
    for _ in range(2):  # also by a plan that is known already
        assert len((await world.ask(query, {"s": "a"})).data["data"]["population"]["notes"]["nodes"]) == 1
        answer = await world.ask(query, {"s": ""})
        assert answer.codes == ["BAD_INPUT"]
        assert answer.errors[0]["extensions"]["fieldPath"] == "data.population.notes.search"
        assert world.sources.calls == []
    assert len((await world.ask(query, {"s": None})).data["data"]["population"]["notes"]["nodes"]) == 4


async def test_a_broken_representation_is_told_where_the_response_has_it() -> None:
    answer = await World(notes(), ROWS).ask("{ x: _entities(representations: [{}]) { __typename } }")
    assert answer.data == {"x": [None]}
    assert answer.errors[0]["path"] == ["x"]
    assert answer.errors[0]["extensions"]["fieldPath"] == "x"


async def test_a_row_named_by_several_keys_tells_a_denial_once() -> None:
    items = [
        make_item("code"),
        make_item("number", ScalarType.INTEGER),
        make_item("text", share_class=CONDITIONAL),
        make_item("grade", ScalarType.INTEGER, share_class=CONDITIONAL),
    ]
    keys = [("code",), ("number",), ("number", "grade")]
    snapshot = make_snapshot([make_resource("note", items, keys=keys)])
    contents = {"main": {"note": [{"handle": 1, "code": "a", "number": 1, "text": "t", "grade": 1}]}}
    query = (
        '{ _entities(representations: [{__typename: "Note", code: "a"}, {__typename: "Note", number: 1}, '
        '{__typename: "Note", number: 1, grade: 1}]) { ... on Note { text } } }'
    )
    answer = await World(snapshot, contents, [make_grant(NOTE, "grade")]).ask(query)
    assert answer.data == {"_entities": [{"text": None}] * 3}
    assert [error["extensions"]["fieldPath"] for error in answer.errors] == ["_entities.text"]
    assert answer.extensions["grants"] == ["g1"]
    answer = await World(snapshot, contents).ask(query)
    assert answer.data == {"_entities": [{"text": None}, {"text": None}, None]}
    assert sorted(error["extensions"]["item"] for error in answer.errors) == ["grade", "text"]


async def test_a_cursor_belongs_to_a_filter_however_it_is_written() -> None:
    """A literal, a variable of any name and a whole filter in a variable are one and the same filter."""
    contents = {"main": {"note": [row | {"handle": number} for number, row in enumerate(ROWS["main"]["note"])]}}
    items = [make_item("text"), make_item("grade", ScalarType.INTEGER)]
    world = World(make_snapshot([make_resource("note", items)]), contents)
    asked: list[tuple[str, str, dict[str, Any]]] = [
        ("", 'where: {grade: {gte: 1, in: [1, 2, 3]}, text: {ne: "b"}}, orderBy: []', {}),
        ("$g: Int", 'where: {text: {ne: "b"}, grade: {in: [1, 2, 3], gte: $g}}', {"g": 1}),
        ("$l: [Int!], $t: String", "where: {grade: {gte: 1, in: $l}, text: {ne: $t}}", {"l": [1, 2, 3], "t": "b"}),
        ("$w: NoteWhere", "where: $w", {"w": {"grade": {"gte": 1, "in": [1, 2, 3]}, "text": {"ne": "b"}}}),
    ]
    cursors: list[str] = []
    for declared, arguments, variables in asked:
        query = (
            f"query({declared}, $c: String) {{ data {{ population {{ notes(first: 1, after: $c, {arguments}) "
            "{ nodes { text } pageInfo { endCursor } } } } }"
        ).replace("(, ", "(")
        for cursor in (None, *cursors):
            answer = await world.ask(query, {**variables, "c": cursor})
            found = answer.data["data"]["population"]["notes"]
            assert found["nodes"] == [{"text": "c" if cursor else "a"}]
            if cursor is None:
                cursors.append(found["pageInfo"]["endCursor"])
    assert len(set(cursors)) == 1
    other = query.replace("$w)", "$w, orderBy: [{grade: ASC}])")
    assert (await world.ask(other, {**variables, "c": cursors[0]})).codes == ["BAD_CURSOR"]
    variables["w"]["text"]["ne"] = "c"
    assert (await world.ask(query, {**variables, "c": cursors[0]})).codes == ["BAD_CURSOR"]
