"""Variables that widen an answer, change its plan, or stand for what the gateway keeps for itself."""

from typing import Any

import pytest

from tests.attack.book import Book
from tests.attack.worlds import Pair, grants
from tests.cases import case
from tests.catalogues import population
from tests.gateways import World
from tests.unit.resolvers.conftest import follow_all, rows

book = Book(__name__, "Variables neither widen an answer nor reach the gateway's own arguments")
row = book.row

RESIDENTS = "query(%s) { data { population { residents(%s) { totalCount } } } }"
COERCED = "graphql-core coerces strictly"
NULL = "an explicit null operand is refused"
ABSENT = "a variable without value never removes a filter"


@book.attempt(
    201,
    "Name a variable like the argument that carries hidden link keys (`$keys`), so that a filter compares "
    "visible items with them",
    "arguments of the gateway have a colon in their names",
    found=True,
)
@pytest.mark.parametrize("name", ["keys", "after", "before", "limit", "plate"])
async def test_a_variable_never_stands_for_an_argument_of_the_gateway(name: str) -> None:
    held = rows()
    held["traffic"]["vehicle"][0]["plate"] = "id1"  # what the hidden link key of its owner is
    query = f"query(${name}: [String!]) {{ data {{ population {{ residents {{ nodes {{ vehicles(where: "
    query += f"{{plate: {{in: ${name}}}}}) {{ totalCount nodes {{ plate }} }} }} }} }} }} }}"
    answer = await World(population(), held, follow_all()).ask(query, {name: ["zzz"]})
    found = [node["vehicles"] for node in answer.data["data"]["population"]["residents"]["nodes"]]
    assert found == [{"totalCount": 0, "nodes": []}] * 7
    answer = await World(population(), held, follow_all()).ask(query, {name: ["id1"]})
    found = [node["vehicles"] for node in answer.data["data"]["population"]["residents"]["nodes"]]
    assert found == [{"totalCount": 1, "nodes": [{"plate": "id1"}]}] + [{"totalCount": 0, "nodes": []}] * 6


@book.attempt(202, "The same with one text (`$keys: String`)", "arguments of the gateway have a colon", found=True)
async def test_a_single_value_called_keys_works() -> None:
    query = "query($keys: String) { data { population { residents { nodes { vehicles(where: {plate: {eq: $keys}}) "
    answer = await World(population(), rows(), follow_all()).ask(
        query + "{ nodes { plate } } } } } } }", {"keys": "P3"}
    )
    nodes = answer.data["data"]["population"]["residents"]["nodes"]
    assert [node["vehicles"]["nodes"] for node in nodes[:2]] == [[], [{"plate": "P3"}]]


REFUSED = [
    row(203, "Leave out the value of a variable inside `where`", ABSENT,
        RESIDENTS % ("$p: String", "where: {name: {eq: $p}}"), {}),
    row(204, "Leave out the value of a list of alternatives", ABSENT,
        RESIDENTS % ("$p: [ResidentWhere!]", "where: {or: $p}"), {}),
    row(205, "Give null for an operand", NULL, RESIDENTS % ("$p: String", "where: {name: {eq: $p}}"), {"p": None}),
    row(206, "Give null for `not`", NULL, RESIDENTS % ("$w: ResidentWhere", "where: $w"), {"w": {"not": None}}),
    row(207, "Give null for a list", NULL, RESIDENTS % ("$l: [String!]", "where: {name: {in: $l}}"), {"l": None}),
    row(208, "Give a null among alternatives", COERCED,
        RESIDENTS % ("$w: ResidentWhere", "where: $w"), {"w": {"or": [None, {"name": {"eq": "n1"}}]}}),
    row(209, "Give an object for a text", COERCED,
        RESIDENTS % ("$p: String", "where: {name: {eq: $p}}"), {"p": {"startsWith": ""}}),
    row(210, "Give a list for a text", COERCED, RESIDENTS % ("$p: String", "where: {name: {eq: $p}}"), {"p": ["n1"]}),
    row(211, "Give a number for a boolean", COERCED,
        RESIDENTS % ("$b: Boolean", "where: {name: {isNull: $b}}"), {"b": 1}),
    row(212, "Name an item that is none in a variable", COERCED,
        RESIDENTS % ("$w: ResidentWhere", "where: $w"), {"w": {"pass port": {"eq": 1}}}),
    row(213, "Name an operator that is none", COERCED,
        RESIDENTS % ("$w: ResidentWhere", "where: $w"), {"w": {"name": {"regex": ".*"}}}),
    row(214, "Smuggle an operator into a value", COERCED,
        RESIDENTS % ("$w: ResidentWhere", "where: $w"), {"w": {"name": {"eq": {"ne": ""}}}}),
    row(215, "Two items in one entry of `orderBy`", "exactly one item",
        RESIDENTS % ("$o: [ResidentOrder!]", "orderBy: $o"), {"o": [{"name": "ASC", "sex": "ASC"}]}),
    row(216, "An order that is none", COERCED,
        RESIDENTS % ("$o: [ResidentOrder!]", "orderBy: $o"), {"o": [{"name": "ASC; DROP TABLE resident"}]}),
    row(217, "A negative page", "0 to 1,000", RESIDENTS % ("$n: Int", "first: $n"), {"n": -1}),
    row(218, "A page of a million rows", "0 to 1,000", RESIDENTS % ("$n: Int", "first: $n"), {"n": 1_000_000}),
    row(219, "A page size beyond 32 bits", COERCED, RESIDENTS % ("$n: Int", "first: $n"), {"n": 2**40}),
    row(220, "First and last at once", "not both",
        RESIDENTS % ("$n: Int", "first: $n, last: $n"), {"n": 1}),
    row(221, "A text with a NUL", "no database can hold it",
        RESIDENTS % ("$p: String", "where: {name: {eq: $p}}"), {"p": "n1\x00"}),
    row(222, "A lone surrogate", "no database can hold it",
        RESIDENTS % ("$p: String", "where: {name: {eq: $p}}"), {"p": "\ud800"}),
    row(223, "A decimal of a million digits", "bounded in digits and exponent",
        RESIDENTS % ("$d: Decimal", "where: {income: {eq: $d}}"), {"d": "1e999999"}),
    row(224, "A denied item in a variable", "items in variables are part of the plan",
        RESIDENTS % ("$w: ResidentWhere", "where: $w"), {"w": {"passport": {"eq": "secret1"}}}),
    row(225, "A denied item in the default of a variable", "items in variables are part of the plan",
        RESIDENTS % ('$w: ResidentWhere = {passport: {eq: "secret1"}}', "where: $w"), {}),
    row(226, "A denied item in an `orderBy` variable", "items in variables are part of the plan",
        RESIDENTS % ("$o: [ResidentOrder!]", "orderBy: $o"), {"o": [{"passport": "DESC"}]}),
    row(227, "A denied item in a `groupBy` variable", "items in variables are part of the plan",
        "query($g: [ResidentGroup!]) { data { population { residentsAggregate(groupBy: $g) { count } } } }",
        {"g": ["PASSPORT"]}),
    row(228, "A list of ten thousand values", "1,000 at most",
        RESIDENTS % ("$l: [String!]", "where: {name: {in: $l}}"), {"l": ["n1"] * 10_000}),
    row(229, "A variable that is not declared", "validation",
        "{ data { population { residents(where: {name: {eq: $p}}) { totalCount } } } }", {"p": "n1"}),
    row(230, "A key that is null", "a key may not be null",
        "query($k: String!) { data { population { resident(idNumber: $k) { name } } } }", {"k": None}),
    row(231, "An id that is an object", COERCED, "query($i: ID!) { node(id: $i) { id } }", {"i": {"r": 1}}),
]  # fmt: skip


@case(14)
@pytest.mark.parametrize(("query", "variables"), REFUSED)
async def test_refused_before_any_source(query: str, variables: dict[str, Any]) -> None:
    world = Pair().worlds[0]
    answer = await world.ask(query, variables)
    assert "data" not in answer.body
    assert set(answer.codes) <= {"BAD_INPUT", "GRANT_REQUIRED", "LIMIT_EXCEEDED"}
    assert world.sources.calls == []


ALIKE = [
    row(232, "Lists that are empty in variables", "`in: []` and `or: []` are false",
        RESIDENTS % ("$w: ResidentWhere", "where: $w"), {"w": {"or": []}}, 0),
    row(233, "An empty list under `not`", "`in: []` is false",
        RESIDENTS % ("$w: ResidentWhere", "where: $w"), {"w": {"not": {"name": {"in": []}}}}, 4),
    row(234, "`$where` left out as a whole", "an absent argument is none; V holds all the same",
        RESIDENTS % ("$w: ResidentWhere", "where: $w"), {}, 4),
    row(235, "A value for a variable that nobody declared", "it is not looked at",
        RESIDENTS % ("$w: ResidentWhere", "where: $w"), {"w": {"name": {"eq": "n1"}}, "keys": ["n2"]}, 1),
    row(236, "`LIKE` wildcards in a prefix", "wildcards are escaped",
        RESIDENTS % ("$p: String", "where: {name: {startsWith: $p}}"), {"p": "%"}, 0),
    row(237, "SQL in a value", "values are bound parameters",
        RESIDENTS % ("$p: String", "where: {name: {eq: $p}}"), {"p": "' OR '1'='1"}, 0),
]  # fmt: skip


@case(14, 15)
@pytest.mark.parametrize(("query", "variables", "expected"), ALIKE)
async def test_never_more_rows_than_are_visible(query: str, variables: dict[str, Any], expected: int) -> None:
    answer = await Pair().alike(query, variables)
    assert answer.data["data"]["population"]["residents"]["totalCount"] == expected


@book.attempt(238, "One text with other definitions of its variables", "the text is part of the plan's key")
async def test_definitions_are_part_of_the_text() -> None:
    world = World(population(), rows(), grants())
    for default, count in (("true", 0), ("false", 7), ("true", 0)):
        query = RESIDENTS % (f"$b: Boolean = {default}", "where: {name: {isNull: $b}}")
        answer = await world.ask(query)
        assert answer.data["data"]["population"]["residents"]["totalCount"] == count


@book.attempt(239, "Null for a boolean with a default in `@skip` and `@include`", "nothing but `true` includes")
async def test_a_null_directive_shows_nothing_denied() -> None:
    world = Pair().worlds[0]
    query = (
        "query($b: Boolean = true) { data { population { residents { nodes { name passport @include(if: $b) } } } } }"
    )
    for given in ({"b": None}, {"b": True}, {"b": False}, {}):
        answer = await world.ask(query, given)
        assert all(node.get("passport") is None for node in answer.data["data"]["population"]["residents"]["nodes"])
