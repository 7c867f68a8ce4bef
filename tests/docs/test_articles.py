"""docs/articles.md: what it names is there: fields of the schema, commands, tests, lines of the tour, every article."""

import ast
import re
from functools import cache

import pytest
from graphql import GraphQLInterfaceType, GraphQLObjectType

from schema.unified import UnifiedSchema
from tests.docs.documents import DOCS, ROOT, section, table
from tests.docs.test_commands import COMMANDS

PAGE = DOCS / "articles.md"
HEADER = ["article", "asks that", "carried out by", "shown by", "in the tour"]
MEASURES, ORDER = table(section(PAGE, "The Measures")), table(section(PAGE, "Order 809"))
ROWS = [
    pytest.param(row, id=f"{name} {row[0]} {n}")
    for name, rows in (("M", MEASURES), ("O", ORDER))
    for n, row in enumerate(rows)
]
NOT_HERE = "not on the platform: "
NONE = "–"
WANTED = [*map(str, range(1, 12))]
"""Articles of the Measures that the project has the text of; below, their paragraphs and items."""
PARAGRAPHS = {
    *("2 ¶1", "2 ¶2", "4 ¶1", "4 ¶2", "4 ¶3", "5 ¶1", "5 ¶2", "5 ¶3", "8 ¶1", "8 ¶2", "8 ¶3"),
    *("9 (1)", "9 (2)", "9 (3)", "10 (1)", "10 (2)", "10 (3)", "11 ¶1", "11 ¶2", "11 ¶3", "11 ¶4"),
}
RULES = ["3", *map(str, range(13, 18)), *map(str, range(19, 23)), *map(str, range(24, 30)), "38–41"]
"""Articles of Order 809 whose rules the platform has."""


@cache
def named_in(path: str) -> frozenset[str]:
    """The tests of a file, of classes in it too."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(node.name for node in functions if node.name.startswith("test_"))


@cache
def lines_of_the_tour() -> frozenset[str]:
    """What stands first in each `Line(...)`."""
    calls = (
        node
        for path in sorted((ROOT / "demo" / "tour").glob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Line" and node.args
    )
    return frozenset(str(first.value) for call in calls if isinstance(first := call.args[0], ast.Constant))


@pytest.mark.parametrize("row", ROWS)
def test_no_cell_is_empty(row: list[str]) -> None:
    assert len(row) == len(HEADER)
    assert all(row)
    _, asks, carried, shown, tour = row
    assert len(asks) > 10
    if NOT_HERE in carried:
        assert (shown, tour) == (NONE, NONE)
        assert len(carried.partition(NOT_HERE)[2]) > 20, "a reason"
    else:
        assert NONE not in (carried, shown)


@pytest.mark.parametrize("row", ROWS)
def test_what_carries_it_out_exists(row: list[str], demo_schema: UnifiedSchema) -> None:
    carried = f"`{row[2]}`" if "`" not in row[2] and " " not in row[2] else row[2]
    named = re.findall(r"`([^`]+)`", carried)
    assert named or NOT_HERE in carried
    unknown = [name for name in named if not is_there(name, demo_schema)]
    assert unknown == []


def is_there(name: str, schema: UnifiedSchema) -> bool:
    """Whether `name` is a command, a root field, or `Type.field` of an object or an interface."""
    if name.startswith("tanglai "):
        return name in COMMANDS
    types = schema.graphql.type_map
    owner, _, field = name.rpartition(".")
    owners = [owner] if owner else ["Query", "Mutation", "Subscription"]
    found = (types.get(one) for one in owners)
    return any(isinstance(it, GraphQLObjectType | GraphQLInterfaceType) and field in it.fields for it in found)


@pytest.mark.parametrize("row", ROWS)
def test_what_shows_it_exists(row: list[str]) -> None:
    if row[3] == NONE:
        return
    named = re.findall(r"(tests/[\w/]+\.py)::(test_\w+)", row[3])
    assert named
    assert [f"{path}::{test}" for path, test in named if test not in named_in(path)] == []


@pytest.mark.parametrize("row", ROWS)
def test_lines_of_the_tour_are_in_the_tour(row: list[str]) -> None:
    titles = re.findall(r'"([^"]+)"', row[4])
    assert row[4] == NONE or titles
    assert set(titles) <= lines_of_the_tour()


def test_every_article_has_a_row() -> None:
    told = [row[0] for row in MEASURES]
    assert list(dict.fromkeys(article.split(" ")[0] for article in told)) == WANTED
    parts = {f"{article.split(' ')[0]} {part}" for article in told for part in re.findall(r"¶\d|\(\d\)", article)}
    assert parts == PARAGRAPHS
    assert list(dict.fromkeys(row[0] for row in ORDER)) == RULES
