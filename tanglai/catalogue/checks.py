"""In charge of the check before publication: a draft against the law, the existing catalogue, and the sources."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from itertools import chain
from typing import Any

from tanglai.catalogue.checks_base import RULES, Rule, Severity, Violation
from tanglai.catalogue.checks_binding import binding_findings
from tanglai.catalogue.checks_draft import KINDS, Draft, Origin, draft_from_files, load_draft
from tanglai.catalogue.checks_grants import grant_findings, overlap_findings
from tanglai.catalogue.checks_masks import mask_findings
from tanglai.catalogue.checks_names import name_clash_findings, name_findings
from tanglai.catalogue.checks_register import (
    category_findings,
    department_findings,
    division_findings,
    source_findings,
)
from tanglai.catalogue.checks_relations import relation_findings
from tanglai.catalogue.checks_resource import resource_findings
from tanglai.catalogue.checks_world import ColumnStructure, Finding, TableStructure, World, world_of
from tanglai.catalogue.documents_grant import SHANGHAI
from tanglai.catalogue.model import Resource, Snapshot

__all__ = [
    "KINDS",
    "RULES",
    "ColumnStructure",
    "Draft",
    "Origin",
    "Rule",
    "Severity",
    "TableStructure",
    "Violation",
    "check",
    "draft_from_files",
    "load_draft",
]

_IDENTITY: Mapping[str, Callable[[Any], str]] = {
    "departments": lambda department: department.code,
    "divisions": lambda division: division.code,
    "purposes": lambda purpose: purpose.code,
    "categories": lambda category: category.code,
    "sources": lambda source: source.key,
    "resources": lambda resource: resource.code,
    "grants": lambda grant: grant.id,
}

_CHECKS: tuple[tuple[str, Callable[[Any, World], Iterable[Finding]]], ...] = (
    ("departments", department_findings),
    ("divisions", division_findings),
    ("categories", category_findings),
    ("sources", source_findings),
    ("resources", resource_findings),
    ("resources", relation_findings),
    ("resources", binding_findings),
    ("resources", lambda resource, world: name_findings(resource, world.reserved)),
    ("grants", grant_findings),
)


def check(
    draft: Draft,
    existing: Snapshot | None,
    structures: Mapping[str, Sequence[TableStructure]] | None = None,
    *,
    reserved: frozenset[str] = frozenset(),
    today: date | None = None,
) -> list[Violation]:
    """Every violation of the draft, in order of file and line; publication needs that none is an error.

    `existing` is the catalogue that the draft would change, None for the first publication. `structures` holds what
    sources say of themselves by source key; None checks no columns. `reserved` are type names of the fixed schema
    besides those of `tanglai.catalogue.naming`. `today` is by default the day of Asia/Shanghai.
    """
    day = today or datetime.now(SHANGHAI).date()
    world = world_of(draft, existing, structures, reserved, day)
    violations = list(_duplicates(draft))
    for name, findings in _CHECKS:
        for entry, origin in draft.entries(name):
            violations += [_violation(finding, origin) for finding in findings(entry, world)]
    violations += _between_resources(draft, existing, world)
    violations += _between_grants(draft, world)
    return sorted(violations, key=lambda v: (v.file, v.line, v.path, v.rule))


def _violation(finding: Finding, origin: Origin) -> Violation:
    return origin.violation(finding.rule, finding.path, finding.message, finding.severity)


def _duplicates(draft: Draft) -> Iterator[Violation]:
    for name, identity in _IDENTITY.items():
        counts = Counter(identity(entry) for entry, _ in draft.entries(name))
        for entry, origin in draft.entries(name):
            if counts[identity(entry)] > 1:
                message = f"{counts[identity(entry)]} {name} of the draft are `{identity(entry)}`"
                yield origin.violation("duplicate", (), message)


def _between_grants(draft: Draft, world: World) -> Iterator[Violation]:
    """What grants do together; those that the platform has already are looked at where grants are recorded."""
    origins: dict[str, Origin] = {grant.id: origin for grant, origin in draft.entries("grants")}
    grants = tuple({grant.id: grant for grant, _ in draft.entries("grants")}.values())
    midnight = datetime.combine(world.today, datetime.min.time(), SHANGHAI)
    for id, finding in chain(overlap_findings(grants), mask_findings(grants, (), world.snapshot, midnight)):
        yield _violation(finding, origins[id])


def _between_resources(draft: Draft, existing: Snapshot | None, world: World) -> Iterator[Violation]:
    """What the draft does to names and to relations of resources that it does not hold itself."""
    origins: dict[str, Origin] = {resource.code: origin for resource, origin in draft.entries("resources")}
    others: list[Resource] = []
    if existing is not None:
        others = [resource for code, resource in sorted(existing.resources.items()) if code not in origins]
    for code, clash in name_clash_findings([*others, *(world.resources[code] for code in origins)]):
        yield _violation(clash, origins.get(code, Origin()))
    for resource in others:
        for finding in relation_findings(resource, world):
            target = resource.relations[int(finding.path[1])].target
            if target in origins:
                message = f"relation `{resource.relations[int(finding.path[1])].name}` of `{resource.code}` breaks: "
                yield origins[target].violation(finding.rule, (), message + finding.message, finding.severity)
