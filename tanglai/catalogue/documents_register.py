"""In charge of the documents of departments, divisions, purposes, categories and sources."""

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, JsonValue, StrictBool

from tanglai.catalogue.documents_base import (
    CategoryCode,
    CreditCode,
    DepartmentRef,
    DivisionCode,
    Document,
    Key,
    Line,
    ResourceCode,
    Token,
    trimmed,
    validated,
)
from tanglai.catalogue.model import (
    Category,
    Department,
    Division,
    Level,
    OrganisationKind,
    Purpose,
    Source,
    Zone,
)
from tanglai.catalogue.scalars import ScalarType, parse


def _day(value: Any) -> Any:
    return None if value is None else parse(ScalarType.DATE, value)


Day = Annotated[date, BeforeValidator(_day)]


class DepartmentDocument(Document):
    """A department; `code` is its unified social credit code, `key` a short handle that files may use instead."""

    code: CreditCode
    key: Key
    name: Line
    name_en: Line
    level: Level
    division: DivisionCode
    kind: OrganisationKind = OrganisationKind.DEPARTMENT
    competent: StrictBool = False
    active: StrictBool = True


class DivisionDocument(Document):
    """An administrative division (GB/T 2260), valid in `validFrom <= day < validTo`."""

    code: DivisionCode
    name: Line
    name_en: Line
    valid_from: Day
    valid_to: Day | None = None
    successor: DivisionCode | None = None


class PurposeDocument(Document):
    code: Token
    title: Line
    title_en: Line


class CategoryDocument(Document):
    """A node of the classification tree. `leads` are the lead departments of a base library or theme."""

    code: CategoryCode
    title: Line
    title_en: Line
    parent: CategoryCode | None = None
    leads: Annotated[tuple[DepartmentRef, ...], Field(max_length=1_000)] = ()


class SourceDocument(Document):
    """A business information system. `kind` names the connector; secrets stand in `options` as `{env: NAME}` only.

    `retirement` is of an old exchange interface (Art. 6), `successor` the source or resource that takes its place.
    """

    key: Key
    title: Line
    department: DepartmentRef
    kind: Key
    zone: Zone
    options: dict[str, JsonValue] = Field(default_factory=dict)
    retirement: Day | None = None
    successor: Key | ResourceCode | None = None
    retirement_note: Line | None = None


def department_from_document(document: Mapping[str, Any]) -> Department:
    """Raises DocumentError."""
    d = validated(DepartmentDocument, document)
    return Department(d.code, d.key, d.name, d.name_en, d.level, d.division, d.kind, d.competent, d.active)


def department_to_document(department: Department) -> dict[str, Any]:
    return {
        "code": department.code,
        "key": department.key,
        "name": department.name,
        "nameEn": department.name_en,
        "level": department.level.value,
        "division": department.division,
        "kind": department.kind.value,
        "competent": department.competent,
        "active": department.active,
    }


def division_from_document(document: Mapping[str, Any]) -> Division:
    """Raises DocumentError."""
    d = validated(DivisionDocument, document)
    return Division(d.code, d.name, d.name_en, d.valid_from, d.valid_to, d.successor)


def division_to_document(division: Division) -> dict[str, Any]:
    return trimmed(
        {
            "code": division.code,
            "name": division.name,
            "nameEn": division.name_en,
            "validFrom": division.valid_from.isoformat(),
            "validTo": division.valid_to and division.valid_to.isoformat(),
            "successor": division.successor,
        }
    )


def purpose_from_document(document: Mapping[str, Any]) -> Purpose:
    """Raises DocumentError."""
    d = validated(PurposeDocument, document)
    return Purpose(d.code, d.title, d.title_en)


def purpose_to_document(purpose: Purpose) -> dict[str, Any]:
    return {"code": purpose.code, "title": purpose.title, "titleEn": purpose.title_en}


def category_from_document(document: Mapping[str, Any]) -> Category:
    """A category whose `leads` are as written, credit codes or keys. Raises DocumentError."""
    d = validated(CategoryDocument, document)
    return Category(d.code, d.title, d.title_en, d.parent, d.leads)


def category_to_document(category: Category) -> dict[str, Any]:
    return trimmed(
        {
            "code": category.code,
            "title": category.title,
            "titleEn": category.title_en,
            "parent": category.parent,
            "leads": list(category.leads),
        }
    )


def source_from_document(document: Mapping[str, Any]) -> Source:
    """A source whose `department` is as written, a credit code or a key. Raises DocumentError."""
    d = validated(SourceDocument, document)
    return Source(
        d.key,
        d.title,
        d.department,
        d.kind,
        d.zone,
        MappingProxyType(d.options),
        d.retirement,
        d.successor,
        d.retirement_note,
    )


def source_to_document(source: Source) -> dict[str, Any]:
    return trimmed(
        {
            "key": source.key,
            "title": source.title,
            "department": source.department,
            "kind": source.kind,
            "zone": source.zone.value,
            "options": dict(source.options),
            "retirement": source.retirement and source.retirement.isoformat(),
            "successor": source.successor,
            "retirementNote": source.retirement_note,
        }
    )
