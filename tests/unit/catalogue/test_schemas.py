"""The JSON Schemas for editors are current, accept what the documents accept, and refuse what is plainly wrong."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from tanglai.catalogue.documents import grant_to_document, resource_to_document
from tanglai.catalogue.model import Grant, Resource
from tanglai.catalogue.schemas import render, text
from tests.unit.catalogue import region, strategies

FOLDER = Path(__file__).parents[3] / "docs" / "schemas"
SCHEMAS = render()
REGISTRY: Registry[Any] = Registry().with_resources(
    (name, DRAFT202012.create_resource(schema)) for name, schema in SCHEMAS.items()
)
ANY_FILE = Draft202012Validator(SCHEMAS["catalogue-file.json"], registry=REGISTRY)
RESOURCE = Draft202012Validator(SCHEMAS["resource.json"])
GRANTS = Draft202012Validator(SCHEMAS["grants.json"])


def test_they_are_current() -> None:
    written = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}
    assert written == {name: text(schema) for name, schema in SCHEMAS.items()}, (
        "run `python -m tanglai.catalogue.schemas docs/schemas`"
    )


@pytest.mark.parametrize("name", SCHEMAS)
def test_they_are_schemas(name: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[name])


@pytest.mark.parametrize("name", region.REGION)
def test_the_region_fits(name: str) -> None:
    ANY_FILE.validate(region.REGION[name])


@strategies.UNHURRIED
@given(strategies.resources())
def test_resources_fit(resource: Resource) -> None:
    RESOURCE.validate(json.loads(json.dumps(resource_to_document(resource))))


@strategies.UNHURRIED
@given(strategies.grants())
def test_grants_fit(pair: tuple[Grant, Resource]) -> None:
    GRANTS.validate({"kind": "grants", "grants": [json.loads(json.dumps(grant_to_document(pair[0])))]})


@pytest.mark.parametrize(
    ("file", "path", "value"),
    [
        ("resident", "kind", "residents"),
        ("resident", "colour", "red"),
        ("resident", "zone", "extranet"),
        ("resident", "category", 1010101),
        ("resident", "title", "a\u202eb"),
        ("resident", "items", []),
        ("resident", "items/0/type", "STRING"),
        ("resident", "items/0/masks/0/redact", True),
        ("resident", "items/0/column", {"colum": "x"}),
        ("departments", "purposes", []),
        ("departments", "departments/0/level", "TOWN"),
        ("grants", "grants/0/scope", {"division": "640100"}),
        ("grants", "grants/0/scope", {"division": {"like": "64%"}}),
        ("grants", "grants/0/scope", {"and": {"division": {"eq": "640100"}}}),
        ("grants", "grants/0/scope", {"or": [{"division": {"eq": None}}]}),
        ("grants", "grants/0/scope", {"division": {"within": {"attribute": "department.code"}}}),
    ],
)
def test_what_is_plainly_wrong_does_not_fit(file: str, path: str, value: Any) -> None:
    document = deepcopy(region.REGION[file])
    *steps, last = [int(step) if step.isdigit() else step for step in path.split("/")]
    here: Any = document
    for step in steps:
        here = here[step]
    here[last] = value
    assert not ANY_FILE.is_valid(document)
