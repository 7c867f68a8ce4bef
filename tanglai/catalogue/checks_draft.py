"""In charge of drafts: what catalogue files say together, as data classes, each entry with the place it comes from."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import Any

from tanglai.catalogue.checks_base import Severity, Violation, violation
from tanglai.catalogue.documents import (
    DocumentError,
    category_from_document,
    department_from_document,
    division_from_document,
    grant_from_document,
    purpose_from_document,
    resource_from_document,
    source_from_document,
)
from tanglai.catalogue.documents_base import Path, Problem, path_text
from tanglai.catalogue.files import LoadedFile, Place, read_files
from tanglai.catalogue.model import (
    Category,
    Department,
    Division,
    Grant,
    Purpose,
    Resource,
    Snapshot,
    Source,
)

_REGISTERS: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    "departments": department_from_document,
    "divisions": division_from_document,
    "purposes": purpose_from_document,
    "categories": category_from_document,
    "sources": source_from_document,
}
KINDS = ("resource", *_REGISTERS, "grants")
"""What a file can be, named by its `kind`."""

_SECRECY = frozenset({"secrecy", "secret", "confidential", "classified", "statesecret", "worksecret", "密级", "涉密"})


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an entry stands: `path` in `file`, whose places are `place`. Empty for an entry that is not of a file."""

    file: str = ""
    path: Path = ()
    place: Place | None = None

    def violation(self, rule: str, path: Path, message: str, severity: Severity = Severity.ERROR) -> Violation:
        """A violation at `path` of the entry."""
        whole = self.path + path
        line = self.place.line_of(whole) if self.place else 0
        return violation(rule, message, file=self.file, line=line, path=path_text(whole), severity=severity)


@dataclass(frozen=True, slots=True)
class Draft:
    """Entries that somebody wants to publish together. `origins`: field name -> origins in the field's order."""

    departments: tuple[Department, ...] = ()
    divisions: tuple[Division, ...] = ()
    purposes: tuple[Purpose, ...] = ()
    categories: tuple[Category, ...] = ()
    sources: tuple[Source, ...] = ()
    resources: tuple[Resource, ...] = ()
    grants: tuple[Grant, ...] = ()
    origins: Mapping[str, tuple[Origin, ...]] = field(default_factory=dict)

    def entries(self, name: str) -> Iterable[tuple[Any, Origin]]:
        """The entries of field `name`, each with its origin."""
        values = getattr(self, name)
        return zip(values, self.origins.get(name) or (Origin(),) * len(values), strict=True)


def load_draft(paths: Iterable[FilePath], existing: Snapshot | None) -> tuple[Draft, tuple[Violation, ...]]:
    """The draft in the files and folders at `paths`, and what could not be read."""
    files, unread = read_files(paths)
    draft, malformed = draft_from_files(files, existing)
    return draft, unread + malformed


def draft_from_files(files: Iterable[LoadedFile], existing: Snapshot | None) -> tuple[Draft, tuple[Violation, ...]]:
    """The draft that `files` make together, and violations for entries that are not of their form and are left out.

    Departments may be named by key; in the draft they stand by credit code wherever the key is known, in the files or
    in `existing`. The scopes of grants are typed by the items of their resources, in the files or in `existing`.
    """
    reader = _Reader(existing)
    for file in files:
        reader.file(file)
    reader.finish()
    return reader.draft(), tuple(reader.violations)


class _Reader:
    def __init__(self, existing: Snapshot | None) -> None:
        self.existing = existing
        self.found: dict[str, list[tuple[Any, Origin]]] = {name: [] for name in (*_REGISTERS, "resources", "grants")}
        self.grants: list[tuple[Any, Origin]] = []
        self.violations: list[Violation] = []

    def file(self, file: LoadedFile) -> None:
        top = Origin(file.name, (), file.place)
        kind = file.document.get("kind") if isinstance(file.document, dict) else None
        if not isinstance(kind, str) or kind not in KINDS:
            known = ", ".join(f"`{k}`" for k in KINDS)
            self.violations.append(top.violation("document", ("kind",), f"`kind` is not one of {known}"))
        elif kind == "resource":
            self.entry("resources", resource_from_document, file.document, top)
        else:
            self.register(kind, file)

    def register(self, kind: str, file: LoadedFile) -> None:
        top = Origin(file.name, (), file.place)
        for name in file.document:
            if name not in ("kind", kind):
                message = f"unknown field `{name[:100]}`"
                self.violations.append(top.violation("document", (name,), message))
        entries = file.document.get(kind)
        if not isinstance(entries, list):
            self.violations.append(top.violation("document", (kind,), f"`{kind}` is missing or not a list"))
            return
        for index, document in enumerate(entries):
            origin = Origin(file.name, (kind, index), file.place)
            if kind == "grants":
                self.grants.append((document, origin))
            else:
                self.entry(kind, _REGISTERS[kind], document, origin)

    def entry(self, name: str, read: Callable[[Any], Any], document: Any, origin: Origin) -> None:
        try:
            self.found[name].append((read(document), origin))
        except DocumentError as error:
            self.violations += [_of_problem(problem, origin) for problem in error.problems]

    def finish(self) -> None:
        """Names departments by credit code, and reads the grants, which need their resources."""
        departments = list(self.existing.departments.values()) if self.existing else []
        codes = {d.key: d.code for d in departments} | {d.key: d.code for d, _ in self.found["departments"]}
        self.found["sources"] = [
            (replace(source, department=codes.get(source.department, source.department)), origin)
            for source, origin in self.found["sources"]
        ]
        self.found["categories"] = [
            (replace(category, leads=tuple(codes.get(lead, lead) for lead in category.leads)), origin)
            for category, origin in self.found["categories"]
        ]
        self.found["resources"] = [
            (_with_codes(resource, codes), origin) for resource, origin in self.found["resources"]
        ]
        resources = dict(self.existing.resources) if self.existing else {}
        resources |= {resource.code: resource for resource, _ in self.found["resources"]}
        for document, origin in self.grants:
            self.entry("grants", lambda document: grant_from_document(document, resources), document, origin)
        self.found["grants"] = [
            (replace(grant, requester=codes.get(grant.requester, grant.requester)), origin)
            for grant, origin in self.found["grants"]
        ]

    def draft(self) -> Draft:
        values = {name: tuple(value for value, _ in pairs) for name, pairs in self.found.items()}
        origins = {name: tuple(origin for _, origin in pairs) for name, pairs in self.found.items()}
        return Draft(**values, origins=origins)


def _with_codes(resource: Resource, codes: Mapping[str, str]) -> Resource:
    compiler = resource.compiler and codes.get(resource.compiler, resource.compiler)
    return replace(resource, provider=codes.get(resource.provider, resource.provider), compiler=compiler)


def _of_problem(problem: Problem, origin: Origin) -> Violation:
    if is_secrecy(problem):
        message = f"`{problem.path[-1]}`: state and work secrets are not government data and are not registered"
        return origin.violation("state-secret", problem.path, message)
    rule = {"predicate": "grant", "reference": "reference"}.get(problem.kind, "document")
    return origin.violation(rule, problem.path, problem.message)


def is_secrecy(problem: Problem) -> bool:
    """Whether a secrecy flag stands there: such data are refused by law, not only by form (Order 809 Art. 3)."""
    last = str(problem.path[-1]) if problem.path else ""
    return problem.kind == "extra_forbidden" and last.replace("_", "").lower() in _SECRECY
