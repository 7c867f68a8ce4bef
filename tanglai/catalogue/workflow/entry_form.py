"""In charge of reading a draft that is not whole: what is wrong with its form, and a resource of what can be read.

What cannot be read is put aside and something neutral put in its place, so that the law's checks can go over the rest
in the same round; findings that rest on what was put in are dropped.
"""

import re
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from tanglai.catalogue.checks_base import RULES, Violation
from tanglai.catalogue.checks_draft import is_secrecy
from tanglai.catalogue.documents import DocumentError, resource_from_document
from tanglai.catalogue.documents_base import Path
from tanglai.catalogue.documents_base import Problem as FormProblem
from tanglai.catalogue.model import Resource
from tanglai.catalogue.workflow.errors import Problem, ProblemCode

_ITEM = {"name": "placeholder", "title": "-", "type": "TEXT", "column": "placeholder", "condition": "-"}
_NAMES = {"group": "placeholder", "list": "placeholders", "one": "placeholder", "type": "Placeholder"}
_NEUTRAL: Mapping[str, Any] = {
    "code": "0/0",
    "title": "-",
    "branch": "DEPARTMENTAL",
    "category": "0",
    "provider": "placeholder",
    "shareClass": "CONDITIONAL",
    "condition": "-",
    "updateCycle": "IRREGULAR",
    "zone": "EXTRANET",
    "graphql": _NAMES,
    "source": "placeholder",
    "table": "placeholder",
    "items": [_ITEM],
}
_RESTS_ON: Mapping[str, frozenset[str]] = {
    "code": frozenset({"category"}),
    "branch": frozenset({"category", "lead-department", "theme-department", "basic-item", "business-item"}),
    "category": frozenset({"category", "lead-department", "theme-department"}),
    "provider": frozenset(
        {"source-department", "organisation", "one-authority", "lead-department", "theme-department"}
    ),
    "compiler": frozenset({"source-department", "organisation", "lead-department", "theme-department"}),
    "shareClass": frozenset({"share-class", "condition", "not-shared-basis", "basic-item"}),
    "condition": frozenset({"condition"}),
    "legalBasis": frozenset({"not-shared-basis"}),
    "zone": frozenset({"zone", "graphql-name", "relation"}),
    "graphql": frozenset({"graphql-name"}),
    "items": frozenset({"share-class", "key", "relation", "handle", "business-item", "item"}),
    "relations": frozenset({"relation"}),
}
"""Part that was put aside -> rules whose findings may come from what is missing."""


_ROUNDS = 20
"""After so many attempts to put aside what cannot be read, all of the draft is."""


@dataclass(frozen=True, slots=True)
class Form:
    """A draft read: `problems` of its form, and the resource of what can be read. `whole`: nothing was put aside.

    `aside` are the parts at the top that were, `kept` the original places of list entries that were not.
    """

    resource: Resource
    problems: tuple[Problem, ...]
    aside: frozenset[str]
    kept: Mapping[str, tuple[int, ...]]

    @property
    def whole(self) -> bool:
        return not self.problems

    def place(self, violation: Violation) -> tuple[str, ...] | None:
        """Where in the draft as written a finding of the law's checks is; None: it rests on what was put in."""
        if any(violation.rule in _RESTS_ON.get(part, ()) for part in self.aside):
            return None
        path = _steps(violation.path)
        if path and path[0] in self.aside and (path[0] not in self.kept or len(path) < 2):
            return None
        if len(path) > 1 and path[0] in self.kept:
            places = self.kept[path[0]]
            at = int(path[1])
            if at >= len(places):
                return None
            path = (path[0], str(places[at]), *path[2:])
        return path


def formed(document: Mapping[str, Any], code: str | None = None) -> Form:
    """Reads a draft. `code` is that of its entry, which the draft cannot change."""
    whole = {"kind": "resource", **({"code": code} if code else {}), **document}
    problems = [_told(problem) for problem in _problems(whole)]
    if code is not None and whole.get("code") != code:
        message = f"the entry is that of `{code}`, and stays so"
        problems.append(Problem(("document", "code"), ProblemCode.NOT_ALLOWED, message))
        whole["code"] = code
    repaired, aside, kept = _repaired(whole)
    return Form(resource_from_document(repaired), tuple(problems), frozenset(aside), kept)


def _problems(document: Mapping[str, Any]) -> tuple[FormProblem, ...]:
    try:
        resource_from_document(document)
    except DocumentError as error:
        return error.problems
    return ()


def _told(problem: FormProblem) -> Problem:
    code = ProblemCode.MISSING if problem.kind == "missing" else ProblemCode.MALFORMED
    if is_secrecy(problem):
        message = f"`{problem.path[-1]}`: state and work secrets are not government data and are not registered"
        return Problem(_field(problem.path), ProblemCode.NOT_ALLOWED, message, RULES["state-secret"].article)
    return Problem(_field(problem.path), code, problem.message)


def _repaired(document: Mapping[str, Any]) -> tuple[dict[str, Any], set[str], dict[str, tuple[int, ...]]]:
    """The draft with neutral parts where it cannot be read, the names of those, and the list entries that are left."""
    repaired: dict[str, Any] = deepcopy(dict(document))
    aside: set[str] = set()
    kept: dict[str, list[int]] = {}
    for name in ("items", "relations"):
        if isinstance(repaired.get(name), list):
            kept[name] = list(range(len(repaired[name])))
    for _ in range(_ROUNDS):
        problems = _problems(repaired)
        if not problems:
            return repaired, aside, {name: tuple(places) for name, places in kept.items()}
        entries: dict[str, set[int]] = {}
        for problem in problems:
            top = str(problem.path[0]) if problem.path else ""
            if top in kept and len(problem.path) > 1 and isinstance(problem.path[1], int):
                entries.setdefault(top, set()).add(problem.path[1])
                continue
            aside.add(top)
            kept.pop(top, None)
            if top in _NEUTRAL:
                repaired[top] = deepcopy(_NEUTRAL[top])
            else:
                repaired.pop(top, None)
        for name, bad in entries.items():
            aside.add(name)
            repaired[name] = [entry for at, entry in enumerate(repaired[name]) if at not in bad]
            kept[name] = [place for at, place in enumerate(kept[name]) if at not in bad]
    return deepcopy(dict(_NEUTRAL)), {*document, *_NEUTRAL}, {}


_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


def _steps(path: str) -> tuple[str, ...]:
    """The steps of a violation's path, `items[3].masks[0].name`; none for the whole document."""
    return () if path == "(document)" else tuple(found[1] or found[2] for found in _STEP.finditer(path))


def _field(path: Path) -> tuple[str, ...]:
    return ("document", *(str(step) for step in path))
