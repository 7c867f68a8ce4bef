"""In charge of what a draft is checked against: the catalogue as it would be once the draft is published."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Protocol

from tanglai.catalogue.checks_base import Severity
from tanglai.catalogue.checks_draft import Draft
from tanglai.catalogue.documents_base import Path
from tanglai.catalogue.model import (
    Category,
    Department,
    Division,
    OrganisationKind,
    Purpose,
    Resource,
    Snapshot,
    Source,
    Zone,
)
from tanglai.catalogue.scalars import ScalarType

DEFAULT_RULE_SET = "ningxia-measures"
"""The rule set of a node that has published nothing yet."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule broken at `path` of the entry that was looked at."""

    rule: str
    path: Path
    message: str
    severity: Severity = Severity.ERROR


class ColumnStructure(Protocol):
    """A column as its source describes it (connectors/protocol.py). `type` is None where no scalar type fits."""

    @property
    def name(self) -> str: ...
    @property
    def native(self) -> str: ...
    @property
    def type(self) -> ScalarType | None: ...
    @property
    def nullable(self) -> bool: ...
    @property
    def unique(self) -> bool: ...
    @property
    def collated(self) -> bool: ...


class TableStructure(Protocol):
    """A table, view, file or endpoint as its source describes it."""

    @property
    def namespace(self) -> str | None: ...
    @property
    def name(self) -> str: ...
    @property
    def columns(self) -> Sequence[ColumnStructure]: ...


@dataclass(frozen=True)
class World:
    """The existing catalogue with the draft laid over it, on a day. `structures`: source key -> its tables."""

    departments: Mapping[str, Department]
    divisions: Mapping[str, Division]
    purposes: Mapping[str, Purpose]
    categories: Mapping[str, Category]
    sources: Mapping[str, Source]
    resources: Mapping[str, Resource]
    structures: Mapping[str, Sequence[TableStructure]] | None
    reserved: frozenset[str]
    rule_set: str
    today: date

    @cached_property
    def claims(self) -> Mapping[str, Mapping[str, str]]:
        """Data element -> provider -> a resource in which the provider claims it."""
        claims: dict[str, dict[str, str]] = defaultdict(dict)
        for resource in self.resources.values():
            for item in resource.items:
                if item.data_element is not None:
                    claims[item.data_element].setdefault(resource.provider, resource.code)
        return claims

    @cached_property
    def keys(self) -> Mapping[str, Sequence[str]]:
        """Department key -> credit codes of the departments that have it."""
        keys: dict[str, list[str]] = defaultdict(list)
        for department in self.departments.values():
            keys[department.key].append(department.code)
        return keys

    @cached_property
    def snapshot(self) -> Snapshot:
        """The world as a snapshot, for rules that have their home there."""
        return Snapshot(
            0,
            Zone.EXTRANET,
            self.rule_set,
            self.departments,
            self.divisions,
            self.purposes,
            self.categories,
            self.sources,
            self.resources,
        )

    def department_faults(self, code: str, path: Path) -> Iterator[Finding]:
        """What keeps the department from providing, compiling or requesting: unknown, not active."""
        department = self.departments.get(code)
        if department is None:
            yield Finding("reference", path, f"unknown department `{code}`")
        elif not department.active:
            yield Finding("active", path, f"department `{department.key}` is not active")

    def division_faults(self, code: str, path: Path) -> Iterator[Finding]:
        """What keeps the division from being one of today."""
        division = self.divisions.get(code)
        if division is None:
            yield Finding("division", path, f"unknown division `{code}`")
        elif self.today < division.valid_from:
            yield Finding("division", path, f"division `{code}` is valid from {division.valid_from} only")
        elif division.valid_to is not None and self.today >= division.valid_to:
            after = f", its successor is `{division.successor}`" if division.successor else ""
            yield Finding("division", path, f"division `{code}` ended on {division.valid_to}{after}")

    def is_enterprise(self, code: str) -> bool:
        department = self.departments.get(code)
        return department is not None and department.kind is OrganisationKind.PUBLIC_SERVICE_ENTERPRISE


def world_of(
    draft: Draft,
    existing: Snapshot | None,
    structures: Mapping[str, Sequence[TableStructure]] | None,
    reserved: frozenset[str],
    today: date,
) -> World:
    """The catalogue as it would be after publication of `draft`."""
    return World(
        departments={**(existing.departments if existing else {}), **{d.code: d for d in draft.departments}},
        divisions={**(existing.divisions if existing else {}), **{d.code: d for d in draft.divisions}},
        purposes={**(existing.purposes if existing else {}), **{p.code: p for p in draft.purposes}},
        categories={**(existing.categories if existing else {}), **{c.code: c for c in draft.categories}},
        sources={**(existing.sources if existing else {}), **{s.key: s for s in draft.sources}},
        resources={**(existing.resources if existing else {}), **{r.code: r for r in draft.resources}},
        structures=structures,
        reserved=reserved,
        rule_set=existing.rule_set if existing else DEFAULT_RULE_SET,
        today=today,
    )
