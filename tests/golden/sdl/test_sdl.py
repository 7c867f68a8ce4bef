"""The schema as text: one small catalogue in full, and what holds for the text of any catalogue.

Lines that begin with `##` in the golden file are assertions: each must stand in the text. `UPDATE_GOLDEN=1 pytest
tests/golden` writes the rest of the file anew and leaves them.
"""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from graphql import (
    GraphQLObjectType,
    ObjectTypeDefinitionNode,
    build_schema,
    execute_sync,
    parse,
    validate_schema,
)
from graphql.utilities import find_schema_changes
from hypothesis import HealthCheck, given, settings

from schema.unified import UnifiedSchema, build
from tanglai.catalogue.model import Snapshot
from tests.catalogues import make_item, make_resource, make_snapshot, population
from tests.unit.schema.strategies import snapshots

GOLDEN = Path(__file__).with_name("population.graphql")


def assertions(text: str) -> list[str]:
    return [line.removeprefix("##").removeprefix(" ") for line in text.splitlines() if line.startswith("##")]


def test_the_small_catalogue() -> None:
    golden = GOLDEN.read_text(encoding="utf-8")
    expected = assertions(golden)
    sdl = build(population()).sdl
    if os.environ.get("UPDATE_GOLDEN"):
        header = "".join(f"## {line}\n" for line in expected)
        GOLDEN.write_text(f"{header}\n{sdl}", encoding="utf-8")
        golden = GOLDEN.read_text(encoding="utf-8")
    lines = set(sdl.splitlines())
    assert len(expected) > 10
    for line in expected:
        assert line in lines or any(found.startswith(line) for found in lines), line
    assert golden.partition("\n\n")[2] == sdl


def definitions(text: str) -> dict[str, ObjectTypeDefinitionNode]:
    return {node.name.value: node for node in parse(text).definitions if isinstance(node, ObjectTypeDefinitionNode)}


def same_but_machinery(unified: UnifiedSchema, text: str) -> None:
    """The text says what the schema is, less federation's machinery."""
    read = build_schema(text)
    assert validate_schema(read) == []
    changes = [str(change.description) for change in find_schema_changes(read, unified.graphql)]
    allowed = ("_Any was added.", "_Entity was added.", "_Service was added.")
    roots = ("Field Query._entities was added.", "Field Query._service was added.")
    assert set(changes) <= {*allowed, *roots}


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(snapshots())
def test_the_text_of_any_catalogue_reads_back(snapshot: Snapshot) -> None:
    unified = build(snapshot)
    same_but_machinery(unified, unified.sdl)
    again = make_snapshot(reversed(list(snapshot.resources.values())), rule_set=snapshot.rule_set)
    assert build(again).sdl == unified.sdl
    found = definitions(unified.federation_sdl)
    for resource in snapshot.served:
        directives = [directive.name.value for directive in found[resource.names.type].directives or ()]
        assert directives == ["key"] * len(resource.keys) + ["resource"]


def test_applied_directives_are_those_of_the_catalogue() -> None:
    resident = definitions(build(population()).sdl)["Resident"]
    classes = {}
    for field in resident.fields or ():
        for directive in field.directives or ():
            assert directive.name.value == "share"
            arguments = {a.name.value: getattr(a.value, "value", None) for a in directive.arguments or ()}
            classes[field.name.value] = arguments["class"]
    assert classes == {
        "name": "UNCONDITIONAL",
        "idNumber": "UNCONDITIONAL",
        "passport": "CONDITIONAL",
        "birthDate": "UNCONDITIONAL",
        "sex": "UNCONDITIONAL",
        "phone": "CONDITIONAL",
        "height": "CONDITIONAL",
        "serial": "UNCONDITIONAL",
        "income": "CONDITIONAL",
        "score": "UNCONDITIONAL",
        "married": "UNCONDITIONAL",
        "wakes": "UNCONDITIONAL",
        "updated": "UNCONDITIONAL",
        "home": "CONDITIONAL",
        "file": "NOT_SHARED",
        "householdId": "CONDITIONAL",
        "vehicles": "CONDITIONAL",
        "household": "CONDITIONAL",
    }


def test_titles_with_quotes_and_backslashes_read_back() -> None:
    title = 'a"b"""c\\d\n{e}'
    snapshot = make_snapshot([make_resource("car", [make_item("plate", title=title)], title=title, summary="\n x\n")])
    unified = build(snapshot)
    read = build_schema(unified.sdl)
    car, own = read.type_map["Car"], unified.graphql.type_map["Car"]
    assert car.description == own.description
    assert title in (own.description or "")
    assert isinstance(car, GraphQLObjectType)
    assert title in (car.fields["plate"].description or "")


def test_the_subgraph_text() -> None:
    unified = build(population())
    text = unified.federation_sdl
    head, _, rest = text.partition("\n\n")
    assert head == (
        'extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@key", "@shareable"])'
    )
    document = parse(text)
    names = [node.name.value for node in document.definitions if hasattr(node, "name")]
    assert not {"_Any", "_Entity", "_Service", "FieldSet", "key", "link"} & set(names)
    assert {"share", "resource", "Resident", "Query", "Mutation", "Subscription"} <= set(names)
    assert "_entities" not in text
    assert "_service" not in text
    shareable = [
        name
        for name, node in definitions(text).items()
        if any(directive.name.value == "shareable" for directive in node.directives or ())
    ]
    assert shareable == ["PageInfo"]
    assert rest.endswith("}\n")


def test_service_answers_the_subgraph_text() -> None:
    unified = build(population())
    result = execute_sync(unified.graphql, parse("{ _service { sdl } }"))
    assert result.errors is None
    assert result.data == {"_service": {"sdl": unified.federation_sdl}}


@pytest.mark.parametrize("seed", ["0", "1", "77"])
def test_the_text_does_not_depend_on_hash_order(seed: str) -> None:
    imports = "from schema.unified import build; from tests.catalogues import population"
    code = f"{imports}; print(build(population()).sdl, end='')"
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        check=True,
    )
    assert result.stdout.decode() == build(population()).sdl


def test_versions_do_not_move_types() -> None:
    old = population()
    first = next(iter(old.resources.values()))
    new = make_snapshot([*list(old.resources.values())[1:], replace(first, version=2)])
    before, after = build(old).sdl.splitlines(), build(new).sdl.splitlines()
    different = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
    assert len(different) == 1
    assert "version 2" in different[0][1]
