"""docs/connectors.md: every option of every kind with its default, and nothing else; the examples are read."""

import re
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from connectors.files import FilesOptions
from connectors.files_tables import FileOptions
from connectors.gate import FAILURES, PAUSE_SECONDS
from connectors.http import HttpOptions
from connectors.http_endpoint import Endpoint, Filter, Paging
from connectors.options import validated
from connectors.pool import IDLE_SECONDS
from connectors.postgresql import PostgreSQLOptions
from connectors.registry import KINDS
from connectors.watched import STREAM_SHARE
from tanglai.catalogue.checks_draft import draft_from_files
from tanglai.catalogue.errors import ErrorCode
from tanglai.catalogue.files import parse_file
from tests.docs.conftest import demo_snapshot
from tests.docs.documents import DOCS, blocks, headings, read, section, table

PAGE = DOCS / "connectors.md"
OPTIONS: dict[str, list[type[BaseModel]]] = {
    "postgresql": [PostgreSQLOptions],
    "files": [FilesOptions, FileOptions],
    "http": [HttpOptions, Endpoint, Filter],
}


def test_one_heading_for_each_kind() -> None:
    assert headings(PAGE, 2) == [
        *_in_order_of_the_page(),
        "How much a source is asked at once",
        "When something goes wrong",
    ]
    assert set(OPTIONS) == set(KINDS)


def _in_order_of_the_page() -> list[str]:
    return [row[0] for row in table(read(PAGE).partition("\n## ")[0])]


@pytest.mark.parametrize("kind", KINDS)
def test_capabilities_are_those_of_the_code(kind: str) -> None:
    rows = {row[0]: row for row in table(read(PAGE).partition("\n## ")[0])}
    assert (rows[kind][3] == "yes") == KINDS[kind].capabilities.nested
    sentence = re.search(r"Where a source takes predicates \((.+?)\)", read(PAGE))
    assert sentence is not None
    assert (f"`{kind}`" in sentence[1]) == KINDS[kind].capabilities.predicates


@pytest.mark.parametrize("kind", OPTIONS)
def test_every_option_has_its_row_with_its_default(kind: str) -> None:
    rows = [row for row in table(section(PAGE, kind)) if len(row) == 3]
    wanted = [row for model in OPTIONS[kind] for row in described(model)]
    assert [(row[0], row[1]) for row in rows] == wanted


def described(model: type[BaseModel], above: str = "") -> Iterator[tuple[str, str]]:
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from described(inner, f"{above}{name}.")
        else:
            yield above + name, default_of(field)


def default_of(field: FieldInfo) -> str:
    if field.is_required():
        return "needed"
    default: Any = field.get_default(call_default_factory=True)
    if isinstance(default, BaseModel):
        return str(getattr(default, "kind", default))
    if isinstance(default, bool):
        return str(default).lower()
    return "–" if default in (None, (), {}, "") else str(default)


def test_every_way_to_turn_pages_has_its_rows() -> None:
    rows = [(row[0], row[1], row[2]) for row in table(section(PAGE, "http")) if len(row) == 4]
    wanted: list[tuple[str, str, str]] = []
    for model in get_args(get_args(Paging)[0]):
        kind = model.model_fields["kind"]
        options = [(n, d) for n, d in described(model) if n != "kind"] or [("–", "–")]
        wanted += [(get_args(kind.annotation)[0], name, default) for name, default in options]
    assert rows == wanted


def test_the_examples_are_read() -> None:
    source, files, http = (b for b in blocks(PAGE) if b.language == "yaml")
    draft, violations = draft_from_files([parse_file("sources.yaml", source.text.encode())], demo_snapshot())
    assert list(violations) == []
    assert [source.kind for source in draft.sources] == ["postgresql"]
    KINDS["postgresql"].open("population", draft.sources[0].options, {"POPULATION_URL": "postgresql://a@127.0.0.1/b"})
    validated(FileOptions, parse_file("files", files.text.encode()).document["options"])
    given = parse_file("http", http.text.encode()).document
    assert validated(Endpoint, given["options"]).filters.keys() == {"plate", "ownerIdNumber"}
    vehicles = demo_snapshot().resources["301020/1"].binding
    assert validated(Endpoint, dict(vehicles.options)) == validated(Endpoint, {"path": "vehicles", **given["options"]})


def test_faults_name_codes() -> None:
    told = {row[1] for row in table(section(PAGE, "When something goes wrong"))} - {"–", "null"}
    assert told == {ErrorCode.SOURCE_UNAVAILABLE, ErrorCode.SOURCE_TIMEOUT, ErrorCode.CAPABILITY_MISSING}
    assert IDLE_SECONDS == 600


def test_the_gate_is_as_it_is_told() -> None:
    told = section(PAGE, "How much a source is asked at once")
    assert f"After {FAILURES} calls in a row" in told
    assert (PAUSE_SECONDS, STREAM_SHARE) == (1, 4)
