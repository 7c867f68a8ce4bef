"""docs/catalogue-files.md: its example is lawful and whole, its tables are those of the code."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tanglai.catalogue.checks import KINDS, RULES, check, draft_from_files
from tanglai.catalogue.documents_grant import GrantDocument
from tanglai.catalogue.documents_register import (
    CategoryDocument,
    DepartmentDocument,
    DivisionDocument,
    PurposeDocument,
    SourceDocument,
)
from tanglai.catalogue.documents_resource import (
    ItemDocument,
    MaskDocument,
    RelationDocument,
    ResourceDocument,
)
from tanglai.catalogue.files import LoadedFile, parse_file
from tanglai.catalogue.predicates import ATTRIBUTES, LOGIC, OPERATORS
from tests.unit.catalogue.region import TODAY

TEXT = (Path(__file__).parents[3] / "docs" / "catalogue-files.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```yaml\n# (\S+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
FILES = [parse_file(name, content.encode()) for name, content in BLOCKS]


def test_the_example_is_lawful() -> None:
    draft, malformed = draft_from_files(FILES, None)
    assert list(malformed) == []
    assert check(draft, None, today=TODAY) == []
    assert (len(draft.resources), len(draft.grants), len(draft.departments)) == (2, 2, 3)


def test_the_example_has_every_kind() -> None:
    assert {file.document["kind"] for file in FILES} == set(KINDS)
    assert all(f"| `{kind}`" in TEXT for kind in KINDS)


def named(files: list[LoadedFile], kind: str, part: str | None) -> Iterator[Any]:
    for file in files:
        if file.document["kind"] == kind:
            yield from [file.document] if part is None else file.document.get(part, [])


@pytest.mark.parametrize(
    ("kind", "part", "model", "besides"),
    [
        ("resource", None, ResourceDocument, {"version", "publishedAt", "legalBasis"}),
        ("resource", "items", ItemDocument, set()),
        ("resource", "relations", RelationDocument, set()),
        ("departments", "departments", DepartmentDocument, set()),
        ("divisions", "divisions", DivisionDocument, set()),
        ("purposes", "purposes", PurposeDocument, set()),
        ("categories", "categories", CategoryDocument, set()),
        ("sources", "sources", SourceDocument, set()),
        ("grants", "grants", GrantDocument, set()),
    ],
)
def test_the_example_shows_every_field(kind: str, part: str | None, model: Any, besides: set[str]) -> None:
    shown = {name for entry in named(FILES, kind, part) for name in entry}
    assert {field.alias for field in model.model_fields.values()} - besides == shown


def test_every_rule_stands_in_the_table_with_its_article() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` +\| (.*?) *\| .+\|$", TEXT.split("## Rules")[1], re.MULTILINE)
    assert rows == [(rule.id, rule.article) for rule in RULES.values()]


def test_every_mask_and_operator_is_told() -> None:
    masks = TEXT.split("## Masks")[1].split("## Row scopes")[0]
    assert set(re.findall(r"^\| `(\w+):", masks, re.MULTILINE)) == set(MaskDocument.model_fields) - {"name"}
    scopes = TEXT.split("## Row scopes")[1].split("## Rules")[0]
    told = {name for row in re.findall(r"^\| (`.+?) +\|", scopes, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert told == {*OPERATORS, *LOGIC}
    assert all(f"`{name}`" in scopes or f"attribute: {name}" in scopes for name in ATTRIBUTES)
