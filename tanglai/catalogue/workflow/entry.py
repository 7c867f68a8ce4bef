"""In charge of a catalogue entry under way: its draft, who may draft it, and everything that the law finds wrong in it.

A draft is a catalogue file of kind `resource` (docs/catalogue-files.md) of which parts may be absent until it is
submitted or published. The matter keeps it with what goes with it, see `EntryDraft`.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from typing import Any

from tanglai.catalogue.checks import RULES, Draft, Origin, Severity, TableStructure, check
from tanglai.catalogue.checks_register import BRANCH_DIGITS
from tanglai.catalogue.model import Branch, Resource, Snapshot
from tanglai.catalogue.workflow.entry_form import formed
from tanglai.catalogue.workflow.errors import InvalidAct, NotPermitted, Problem, ProblemCode
from tanglai.catalogue.workflow.versions import with_versions

MOST_CHARACTERS = 2_000_000
"""Of a draft as JSON text."""

MOST_DEEP = 64
"""Levels of a draft; as in catalogue files."""

MOST_NAMED = 100
"""Obligations that an entry closes, and entries that it is published together with."""


class EntryChange(StrEnum):
    """What an entry does to the catalogue."""

    NEW = "NEW"
    REVISION = "REVISION"
    RETIREMENT = "RETIREMENT"


@dataclass(frozen=True, slots=True)
class EntryDraft:
    """What the matter of an entry keeps.

    `base` is the published version that it was drafted from, None where there was none. `obligations` are the ids of
    those that it closes, `together` those of entries that it is published with or not at all (both ends of a relation).
    """

    change: EntryChange
    code: str
    base: int | None = None
    resource: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    obligations: tuple[str, ...] = ()
    together: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        return {
            "change": self.change.value,
            "code": self.code,
            "base": self.base,
            "resource": dict(self.resource),
            "note": self.note,
            "obligations": list(self.obligations),
            "together": list(self.together),
        }


def entry_draft(document: Mapping[str, Any]) -> EntryDraft:
    """The draft in the document of a matter."""
    return EntryDraft(
        EntryChange(document["change"]),
        document["code"],
        document["base"],
        document["resource"],
        document["note"],
        tuple(document["obligations"]),
        tuple(document["together"]),
    )


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found in drafts: `problems` stand against publication, `notices` are for somebody to look at.

    `resource` is the version that the draft would be published as; None where it cannot be read, and for a retirement.
    """

    resource: Resource | None
    problems: tuple[Problem, ...]
    notices: tuple[Problem, ...] = ()


def parsed(text: str, name: str = "document") -> dict[str, Any]:
    """The object in a JSON text, which was given as `name`. Raises InvalidAct."""
    if len(text) > MOST_CHARACTERS:
        message = f"longer than {MOST_CHARACTERS:,} characters"
        raise InvalidAct([Problem((name,), ProblemCode.MALFORMED, message)])
    try:
        document = json.loads(text, parse_constant=_no_number, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise InvalidAct([Problem((name,), ProblemCode.MALFORMED, f"no JSON: {error}")]) from error
    if not isinstance(document, dict):
        raise InvalidAct([Problem((name,), ProblemCode.MALFORMED, "not an object")])
    if _deep(document):
        raise InvalidAct([Problem((name,), ProblemCode.MALFORMED, f"deeper than {MOST_DEEP}")])
    return document


def _deep(document: Any) -> bool:
    level: list[Any] = [document]
    for _ in range(MOST_DEEP):
        level = [
            part
            for each in level
            for part in (each.values() if isinstance(each, dict) else each)
            if isinstance(part, dict | list)
        ]
        if not level:
            return False
    return True


def drafted(document: Any) -> dict[str, Any]:
    """A draft as it is kept: what the platform gives is left out. Raises InvalidAct for what could never be one.

    A flag of secrecy is refused at once: such data are not registered, not even in a draft (Order 809 Art. 3).
    """
    if not isinstance(document, dict):
        raise _invalid(ProblemCode.MALFORMED, "not an object")
    kept = {name: value for name, value in document.items() if name not in ("kind", "version", "publishedAt")}
    if document.get("kind", "resource") != "resource":
        raise _invalid(ProblemCode.MALFORMED, "not of kind `resource`", "kind")
    secret = [problem for problem in formed(kept).problems if problem.article == RULES["state-secret"].article]
    if secret:
        raise InvalidAct(secret)
    return kept


def merged(document: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """`document` with a JSON Merge Patch (RFC 7396) laid over it: null takes out, lists are replaced as a whole."""
    result = dict(document)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, Mapping):
            below = result.get(name)
            result[name] = merged(below if isinstance(below, Mapping) else {}, value)
        else:
            result[name] = value
    return result


def _no_number(text: str) -> Any:
    raise ValueError(f"`{text}` is no number of JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice")
    return found


def _invalid(code: ProblemCode, message: str, *path: str) -> InvalidAct:
    return InvalidAct([Problem(("document", *path), code, message)])


def code_of(document: Mapping[str, Any]) -> str | None:
    """The code that a draft names; None where it leaves it to the platform."""
    code = document.get("code")
    return code if isinstance(code, str) and code else None


def next_code(category: str, taken: Iterable[str]) -> str:
    """The first free number after all `taken` codes of a category (CATALOGCODE/SEQ of the guide of 2017)."""
    numbers = [
        int(number)
        for code in taken
        for found, _, number in [code.partition("/")]
        if found == category and number.isdecimal()
    ]
    return f"{category}/{max(numbers, default=0) + 1}"


# --- who may draft ---------------------------------------------------------------------------------------------------


def completed(document: Mapping[str, Any], code: str, author: str, snapshot: Snapshot) -> dict[str, Any]:
    """A new draft with what follows from its code and its author, where it does not say itself."""
    category = document.get("category") or code.partition("/")[0]
    branch = document.get("branch") or _branch_of(category)
    known = {"code": code, "category": category, "branch": branch, "provider": author, "zone": snapshot.zone.value}
    if branch in (Branch.BASIC.value, Branch.THEMATIC.value):
        known["compiler"] = snapshot.lead(category, author) or author
    return {**{name: value for name, value in known.items() if value is not None}, **document}


def _branch_of(category: Any) -> str | None:
    digits = {digit: branch.value for branch, digit in BRANCH_DIGITS.items()}
    return digits.get(str(category)[:1])


def require_author(
    author: str, document: Mapping[str, Any] | None, published: Resource | None, snapshot: Snapshot
) -> None:
    """Nothing, where the department `author` may draft the entry; else raises NotPermitted.

    A department keeps its own catalogue (Art. 8): what it provides, and what it compiles. Basic and thematic resources
    are their lead department's (Art. 10(2), 10(3)): the registered one, or where none is the one that compiles. What a
    department leaves behind that takes part no more is for whoever takes it over. `document` None: a retirement.
    """
    owners = frozenset[str]()
    if published is not None:
        owners = _drafters(published.branch.value, published.category, published.provider, published.compiler, snapshot)
        left = not any(code in snapshot.departments and snapshot.departments[code].active for code in owners)
        if author not in owners and not (left and document is not None):
            raise _not_its_own(owners, published.branch.value, snapshot)
    if document is not None:
        provider, compiler = (_credit_code(document.get(name), snapshot) for name in ("provider", "compiler"))
        category = str(document.get("category") or "")
        mine = _drafters(str(document.get("branch")), category, provider, compiler, snapshot)
        if mine and author not in mine:
            raise _not_its_own(mine, str(document.get("branch")), snapshot)


def _drafters(
    branch: str, category: str, provider: str | None, compiler: str | None, snapshot: Snapshot
) -> frozenset[str]:
    if branch in (Branch.BASIC.value, Branch.THEMATIC.value):
        lead = snapshot.lead(category, provider or compiler or "")
        led = lead or compiler or provider
        return frozenset() if led is None else frozenset({led})
    return frozenset(code for code in (provider, compiler) if code is not None)


def _not_its_own(owners: Iterable[str], branch: str, snapshot: Snapshot) -> NotPermitted:
    keys = ", ".join(f"`{snapshot.departments[o].key if o in snapshot.departments else o}`" for o in sorted(owners))
    match branch:
        case Branch.BASIC.value:
            return NotPermitted(f"a resource of this base library is compiled by {keys}", article="Art. 10(2)")
        case Branch.THEMATIC.value:
            return NotPermitted(f"a resource of this theme is compiled by {keys}", article="Art. 10(3)")
    return NotPermitted(f"this is in the catalogue of {keys}", article="Art. 8")


def _credit_code(named: Any, snapshot: Snapshot) -> str | None:
    if not isinstance(named, str) or not named:
        return None
    found = snapshot.department_by_key.get(named)
    return found.code if found is not None else named


# --- what the law finds wrong ----------------------------------------------------------------------------------------


def examined(
    drafts: Mapping[str, EntryDraft],
    snapshot: Snapshot,
    *,
    today: date,
    reserved: frozenset[str] = frozenset(),
    structures: Mapping[str, Sequence[TableStructure]] | None = None,
) -> dict[str, Examined]:
    """What is wrong with each of the drafts (by the id of its entry), published together over `snapshot`.

    Form and law are told at once: a part that cannot be read is left aside while the rest is held to the law.
    `reserved` and `structures` are as in `check`.
    """
    forms = {
        id: formed(_with_codes(draft.resource, snapshot), code=draft.code)
        for id, draft in drafts.items()
        if draft.change is not EntryChange.RETIREMENT
    }
    gone: dict[str, Resource | None] = {
        draft.code: None for draft in drafts.values() if draft.change is EntryChange.RETIREMENT
    }
    existing = with_versions(snapshot, gone)
    order = list(forms)
    found = check(
        Draft(
            resources=tuple(forms[id].resource for id in order),
            origins={"resources": tuple(Origin(id) for id in order)},
        ),
        existing,
        structures,
        reserved=reserved,
        today=today,
    )
    told: dict[str, Examined] = {}
    after = {resource.code: resource for resource in existing.resources.values()} | {
        form.resource.code: form.resource for form in forms.values()
    }
    for id, draft in drafts.items():
        problems = list(_of_matter(draft, snapshot))
        notices: list[Problem] = []
        form = forms.get(id)
        if form is None:
            problems += _still_related(draft.code, after.values())
            told[id] = Examined(None, tuple(problems))
            continue
        problems += form.problems
        for violation in found:
            path = form.place(violation) if violation.file == id else None
            if path is None:
                continue
            problem = Problem(
                ("document", *path),
                _CODES.get(violation.rule, ProblemCode.NOT_ALLOWED),
                violation.message,
                violation.article or None,
            )
            (problems if violation.severity is Severity.ERROR else notices).append(problem)
        told[id] = Examined(form.resource if form.whole else None, tuple(problems), tuple(notices))
    return told


_CODES: Mapping[str, ProblemCode] = {
    "reference": ProblemCode.UNKNOWN,
    "division": ProblemCode.UNKNOWN,
    "duplicate": ProblemCode.TAKEN,
    "graphql-name": ProblemCode.TAKEN,
    "one-authority": ProblemCode.TAKEN,
    "condition": ProblemCode.MISSING,
    "not-shared-basis": ProblemCode.MISSING,
    "document": ProblemCode.MALFORMED,
    "item": ProblemCode.MALFORMED,
    "key": ProblemCode.MALFORMED,
}


def _with_codes(document: Mapping[str, Any], snapshot: Snapshot) -> dict[str, Any]:
    named = {
        name: _credit_code(document[name], snapshot)
        for name in ("provider", "compiler")
        if isinstance(document.get(name), str)
    }
    return {**document, **named}


def _of_matter(draft: EntryDraft, snapshot: Snapshot) -> Iterable[Problem]:
    """What is wrong with the entry besides its document."""
    published = snapshot.resources.get(draft.code)
    version = published.version if published is not None else None
    if draft.change is EntryChange.NEW:
        if version is not None:
            message = f"resource `{draft.code}` is published already: amend the draft onto version {version}"
            yield Problem(("basedOn",), ProblemCode.TAKEN, message)
    elif version is None:
        yield Problem(("basedOn",), ProblemCode.UNKNOWN, f"resource `{draft.code}` is not published any more")
    elif version != draft.base:
        message = f"drafted from version {draft.base}, but version {version} is published: amend the draft onto it"
        yield Problem(("basedOn",), ProblemCode.NOT_ALLOWED, message)
    if draft.change is EntryChange.RETIREMENT and not draft.note.strip():
        yield Problem(("note",), ProblemCode.MISSING, "a retirement says why", "Art. 8")


def _still_related(code: str, resources: Iterable[Resource]) -> Iterable[Problem]:
    for resource in sorted(resources, key=lambda found: found.code):
        if resource.code != code and any(relation.target == code for relation in resource.relations):
            message = f"resource `{resource.code}` has a relation to it: publish a version without, before or together"
            yield Problem(("together",), ProblemCode.NOT_ALLOWED, message)


def unchanged(resource: Resource, published: Resource | None) -> bool:
    """Whether a draft says what is published already, but for what the platform gives."""
    if published is None:
        return False
    return replace(published, version=resource.version, published_at=resource.published_at) == resource
