"""Documents and data classes say the same, both ways."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given

from tanglai.catalogue.documents import (
    DocumentError,
    category_from_document,
    category_to_document,
    department_from_document,
    department_to_document,
    division_from_document,
    division_to_document,
    grant_from_document,
    grant_to_document,
    path_text,
    purpose_from_document,
    purpose_to_document,
    resource_from_document,
    resource_to_document,
    source_from_document,
    source_to_document,
)
from tanglai.catalogue.expressions import TRUE, Column
from tanglai.catalogue.masks import Mask, MaskKind
from tanglai.catalogue.model import (
    Category,
    Department,
    Division,
    Grant,
    Purpose,
    Resource,
    ShareClass,
    Source,
)
from tanglai.catalogue.scalars import ScalarType
from tests.unit.catalogue import strategies

RESOURCE: dict[str, Any] = {
    "kind": "resource",
    "code": "1010101/1",
    "title": "常住人口基本信息",
    "branch": "BASIC",
    "category": "1010101",
    "provider": "public-security",
    "shareClass": "CONDITIONAL",
    "updateCycle": "DAILY",
    "zone": "EXTRANET",
    "graphql": {"group": "population", "list": "residents", "one": "resident", "type": "Resident"},
    "source": "public-security-residents",
    "table": "population.resident",
    "items": [
        {"name": "idNumber", "title": "公民身份号码", "type": "TEXT", "column": "id_number"},
        {"name": "age", "title": "年龄", "type": "INTEGER", "column": "age", "shareClass": "NOT_SHARED"},
    ],
}


def as_json(document: dict[str, Any]) -> Any:
    """What a JSON store gives back."""
    return json.loads(json.dumps(document, allow_nan=False))


@strategies.UNHURRIED
@given(strategies.resources())
def test_resources_survive(resource: Resource) -> None:
    document = resource_to_document(resource)
    assert resource_from_document(as_json(document)) == resource
    assert resource_to_document(resource_from_document(document)) == document


@strategies.UNHURRIED
@given(strategies.departments)
def test_departments_survive(department: Department) -> None:
    assert department_from_document(as_json(department_to_document(department))) == department


@strategies.UNHURRIED
@given(strategies.divisions)
def test_divisions_survive(division: Division) -> None:
    assert division_from_document(as_json(division_to_document(division))) == division


@strategies.UNHURRIED
@given(strategies.purposes)
def test_purposes_survive(purpose: Purpose) -> None:
    assert purpose_from_document(as_json(purpose_to_document(purpose))) == purpose


@strategies.UNHURRIED
@given(strategies.categories)
def test_categories_survive(category: Category) -> None:
    assert category_from_document(as_json(category_to_document(category))) == category


@strategies.UNHURRIED
@given(strategies.sources)
def test_sources_survive(source: Source) -> None:
    assert source_from_document(as_json(source_to_document(source))) == source


@strategies.UNHURRIED
@given(strategies.grants())
def test_grants_survive(pair: tuple[Grant, Resource]) -> None:
    grant, resource = pair
    document = grant_to_document(grant)
    assert grant_from_document(as_json(document), {resource.code: resource}) == grant
    assert grant_to_document(grant_from_document(document, {resource.code: resource})) == document


def test_items_take_class_and_graphql_name_by_default() -> None:
    first, second = resource_from_document(RESOURCE).items
    assert first.share_class is ShareClass.CONDITIONAL
    assert first.graphql == "idNumber"
    assert first.column == Column("id_number", ScalarType.TEXT)
    assert second.share_class is ShareClass.NOT_SHARED


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("population.resident", ("population", "resident")),
        ("resident", (None, "resident")),
        ("licences.parquet", (None, "licences.parquet")),
        ("licences/2025.CSV", (None, "licences/2025.CSV")),
        ("licence.2025/part.parquet", (None, "licence.2025/part.parquet")),
        ("/vehicles", (None, "/vehicles")),
        ({"name": "licences.data"}, (None, "licences.data")),
        ({"namespace": "odd.space", "name": "csv"}, ("odd.space", "csv")),
    ],
)
def test_tables(table: Any, expected: tuple[str | None, str]) -> None:
    binding = resource_from_document({**RESOURCE, "table": table}).binding
    assert (binding.namespace, binding.table) == expected


def test_an_unstamped_document_is_the_same_in_every_version() -> None:
    first = resource_from_document({**RESOURCE, "version": 1, "publishedAt": "2025-08-01T00:00:00Z"})
    second = resource_from_document({**RESOURCE, "version": 2})
    assert first.published_at == datetime(2025, 8, 1, tzinfo=UTC)
    assert resource_to_document(first) != resource_to_document(second)
    assert resource_to_document(first, stamped=False) == resource_to_document(second, stamped=False)


@pytest.mark.parametrize(
    ("mask", "kind", "prefix", "suffix"),
    [
        ({"keep": {"prefix": 3, "suffix": 4}}, MaskKind.KEEP, 3, 4),
        ({"first": True}, MaskKind.FIRST, 0, 0),
        ({"domain": True}, MaskKind.DOMAIN, 0, 0),
        ({"region": {"prefix": 9}}, MaskKind.REGION, 9, 0),
        ({"pseudonym": True}, MaskKind.PSEUDONYM, 0, 0),
        ({"redact": True}, MaskKind.REDACT, 0, 0),
    ],
)
def test_masks(mask: dict[str, Any], kind: MaskKind, prefix: int, suffix: int) -> None:
    document = {**RESOURCE, "items": [{**RESOURCE["items"][0], "masks": [{"name": "m", **mask}]}]}
    resource = resource_from_document(document)
    assert resource.items[0].mask("m") == Mask(kind, prefix, suffix)
    assert resource_to_document(resource)["items"][0]["masks"] == [{"name": "m", **mask}]


def test_days_of_grants_are_days_of_shanghai() -> None:
    resource = resource_from_document(RESOURCE)
    document = {
        "id": "g",
        "requester": "taxation",
        "resource": resource.code,
        "items": ["idNumber"],
        "purpose": "p",
        "validFrom": "2025-01-01",
        "validTo": "2025-06-01T08:00:00+08:00",
        "basis": "APPLICATION",
    }
    grant = grant_from_document(document, {resource.code: resource})
    assert grant.valid_from == datetime(2024, 12, 31, 16, tzinfo=UTC)
    assert grant.valid_to == datetime(2025, 6, 1, tzinfo=UTC)
    assert grant.scope == TRUE


def problems(document: dict[str, Any]) -> set[tuple[str, str]]:
    with pytest.raises(DocumentError) as caught:
        resource_from_document(document)
    return {(path_text(p.path), p.message) for p in caught.value.problems}


def test_every_problem_is_told_with_its_place() -> None:
    item = {**RESOURCE["items"][0], "type": "STRING", "column": {"nam": "x"}, "masks": [{"name": "m"}]}
    document: dict[str, Any] = {**RESOURCE, "items": [item], "category": 1010101, "colour": "red"}
    del document["zone"]
    assert problems(document) == {
        ("category", "`1010101` is a number or boolean here; put it in quotes"),
        ("zone", "`zone` is missing"),
        ("colour", "unknown field `colour`"),
        (
            "items[0].type",
            "not one of `TEXT`, `BOOLEAN`, `INTEGER`, `LONG`, `DECIMAL`, `FLOAT`, `DATE`, `TIME`, `DATETIME`, "
            "`GEOMETRY`",
        ),
        ("items[0].column.name", "`name` is missing"),
        ("items[0].column.nam", "unknown field `nam`"),
        ("items[0].masks[0]", "a mask is exactly one of keep, first, domain, region, pseudonym, redact"),
    }


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"items": []}, "items"),
        ({"items": {}}, "items"),
        ({"title": "abc\u202edef"}, "title"),
        ({"title": "two\nlines"}, "title"),
        ({"title": ""}, "title"),
        ({"title": "x" * 501}, "title"),
        ({"title": "\ud800"}, "title"),
        ({"summary": "nul\0"}, "summary"),
        ({"summary": "zero\u200bwidth"}, "summary"),
        ({"code": "1010101"}, "code"),
        ({"code": "1010101/1\n"}, "code"),
        ({"zone": "extranet"}, "zone"),
        ({"maxRows": 0}, "maxRows"),
        ({"maxRows": "10"}, "maxRows"),
        ({"share_class": "CONDITIONAL"}, "share_class"),
        ({"kind": "departments"}, "kind"),
        ({"table": ["a"]}, "table"),
        ({"graphql": {**RESOURCE["graphql"], "type": "居民"}}, "graphql.type"),
        ({"graphql": {**RESOURCE["graphql"], "one": "a-b"}}, "graphql.one"),
        ({"publishedAt": "2025-08-01T00:00:00"}, "publishedAt"),
        ({"options": {"x": float}}, "options.x"),
    ],
)
def test_wrong_documents_are_refused(change: dict[str, Any], path: str) -> None:
    assert path in {where for where, _ in problems({**RESOURCE, **change})}


@pytest.mark.parametrize("document", [None, [], "resource", 7])
def test_what_is_no_object_is_refused(document: Any) -> None:
    with pytest.raises(DocumentError, match=r"\(document\): not an object"):
        resource_from_document(document)


def test_a_key_never_reaches_a_document() -> None:
    document = {**RESOURCE, "items": [{**RESOURCE["items"][0], "masks": [{"name": "m", "pseudonym": True}]}]}
    resource = resource_from_document(document)
    item = resource.items[0]
    keyed = replace(item, masks=(replace(item.masks[0], mask=Mask(MaskKind.PSEUDONYM, key=b"k" * 32)),))
    with pytest.raises(DocumentError, match="holds no key"):
        resource_to_document(replace(resource, items=(keyed,)))


def test_a_grant_over_what_is_not_there_is_refused() -> None:
    resource = resource_from_document(RESOURCE)
    document: dict[str, Any] = {
        "id": "g",
        "requester": "taxation",
        "resource": "9/9",
        "items": ["idNumber"],
        "purpose": "p",
        "validFrom": "2025-01-01",
        "basis": "APPLICATION",
    }
    with pytest.raises(DocumentError, match="resource: unknown resource `9/9`"):
        grant_from_document(document, {resource.code: resource})
    document |= {"resource": resource.code, "scope": {"and": [{"gone": {"eq": "x"}}]}}
    with pytest.raises(DocumentError, match=r"scope.and\[0\].gone: resource `1010101/1` has no item `gone`"):
        grant_from_document(document, {resource.code: resource})
