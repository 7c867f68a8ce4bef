"""docs/errors.md: every code has its row with the status that is really sent, and a heading, results of acts too."""

import re
from pathlib import Path

import pytest
from graphql import GraphQLInterfaceType, parse, validate

from resolvers.messages import STATUS
from schema.unified import UnifiedSchema
from tanglai.catalogue.errors import ErrorCode
from tanglai.catalogue.workflow.errors import ProblemCode
from tanglai.server import websocket
from tests.docs.documents import DOCS, blocks, section

TEXT = (Path(__file__).parents[2] / "docs" / "errors.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| `([A-Z_]+)` +\|[^|]+\| (\d{3}) +\|$", TEXT, re.MULTILINE))
HEADINGS = re.findall(r"^### ([A-Z_]+)$", TEXT, re.MULTILINE)


@pytest.mark.parametrize("code", ErrorCode)
def test_a_row_with_its_status(code: ErrorCode) -> None:
    assert ROWS.get(code.value) == str(STATUS[code])


@pytest.mark.parametrize("code", ErrorCode)
def test_a_heading_with_words(code: ErrorCode) -> None:
    section = TEXT.partition(f"\n### {code.value}\n")[2].partition("\n### ")[0]
    assert len(section.strip()) > 40


def test_nothing_else() -> None:
    assert list(ROWS) == HEADINGS == [code.value for code in ErrorCode]


def test_close_codes() -> None:
    told = {int(code) for code in re.findall(r"^\| (4\d{3}) \|", TEXT, re.MULTILINE)}
    used = {value for value in vars(websocket).values() if isinstance(value, int) and 4000 <= value < 5000}
    assert told == used


def test_results_of_acts(demo_schema: UnifiedSchema) -> None:
    """Each type has its row with its code, a heading, and words on every field that it has of its own."""
    error = demo_schema.graphql.type_map["ActError"]
    assert isinstance(error, GraphQLInterfaceType)
    results = {it.name: it for it in demo_schema.graphql.get_implementations(error).objects}
    acts = section(DOCS / "errors.md", "Results of acts")
    assert set(re.findall(r"^### ([A-Z]\w+[a-z]\w*)$", acts, re.MULTILINE)) == set(results)
    rows = dict(re.findall(r"^\| `([A-Z]\w+)` +\| `([A-Z_]+)` +\|", acts, re.MULTILINE))
    codes = demo_schema.graphql.type_map["ActErrorCode"].values  # type: ignore[attr-defined]
    assert rows == {name: re.sub(r"(?<!^)([A-Z])", r"_\1", name).upper().removesuffix("_ACT") for name in results}
    assert set(rows.values()) == set(codes)
    for name, result in results.items():
        words = section(DOCS / "errors.md", name)
        assert [field for field in set(result.fields) - set(error.fields) if f"`{field}`" not in words] == []


def test_codes_of_problems() -> None:
    """Each has its heading, in the order of the code, with words below."""
    codes = section(DOCS / "errors.md", "Codes of problems")
    told = re.findall(r"^#### ([A-Z_]+)\n\n(.+)$", codes, re.MULTILINE)
    assert [code for code, _ in told] == [code.value for code in ProblemCode]
    assert all(len(words) > 30 for _, words in told)


def test_the_mutation_is_valid(demo_schema: UnifiedSchema) -> None:
    (block,) = (it for it in blocks(DOCS / "errors.md") if it.text.startswith("mutation"))
    assert [error.message for error in validate(demo_schema.graphql, parse(block.text))] == []
