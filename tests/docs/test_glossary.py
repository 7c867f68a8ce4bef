"""docs/glossary.md: its words are those of the code and of the schema, and no others are used for the same things."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from schema.unified import UnifiedSchema
from tests.docs.documents import DOCS, ROOT, pages, read, section, table
from tests.docs.test_commands import COMMANDS

PAGE = DOCS / "glossary.md"
UNUSED = "Words that are not used"
PACKAGES = ("schema", "resolvers", "authz", "connectors", "tanglai", "demo", "benchmarks")
WORDS = table(read(PAGE).partition(f"## {UNUSED}")[0])


@cache
def sources() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


@cache
def members() -> frozenset[str]:
    """Every class and function, and `Class.member` of every class, of the packages."""
    found: set[str] = set()
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                found.add(node.name)
            if isinstance(node, ast.ClassDef):
                found.add(node.name)
                for part in node.body:
                    if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
                        found.add(f"{node.name}.{part.target.id}")
                    elif isinstance(part, ast.Assign):
                        found |= {f"{node.name}.{target.id}" for target in part.targets if isinstance(target, ast.Name)}
                    elif isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
                        found.add(f"{node.name}.{part.name}")
    return frozenset(found)


def test_words_are_different_and_have_four_cells() -> None:
    assert all(len(row) == 4 and all(row) for row in WORDS)
    assert len({row[0] for row in WORDS}) == len(WORDS)
    assert len({row[1] for row in WORDS}) == len(WORDS)


@pytest.mark.parametrize("row", WORDS, ids=lambda row: row[0])
def test_a_word_is_in_the_program(row: list[str], demo_schema: UnifiedSchema) -> None:
    place = row[3]
    query = demo_schema.graphql.query_type
    assert query is not None
    assert place in members() or place in COMMANDS or place in query.fields, f"nothing is called `{place}`"


def not_used() -> list[str]:
    return [word for row in table(section(PAGE, UNUSED)) for word in row[0].split(", ")]


@pytest.mark.parametrize("word", not_used())
def test_a_word_that_is_not_used_is_not_used(word: str, demo_schema: UnifiedSchema) -> None:
    pattern = re.compile(rf"(?<![\w-]){re.escape(word)}(e?s)?(?![\w-])", re.IGNORECASE)
    code = [path for path in sources() if pattern.search(path.read_text(encoding="utf-8"))]
    assert code == []
    assert [page.name for page in pages() if page != PAGE and pattern.search(read(page))] == []
    assert pattern.search(demo_schema.sdl) is None


def test_the_words_of_the_three_classes_are_the_schemas(demo_schema: UnifiedSchema) -> None:
    kind = demo_schema.graphql.type_map["ShareClass"]
    values = kind.values  # type: ignore[attr-defined]
    cell = next(row[2] for row in WORDS if row[0] == "share class")
    for name, value in values.items():
        assert f"{name} {value.description.partition(':')[0]}" in cell
