"""In charge of the terms of a grant that does not exist yet: what is asked for, proposed or decided, and its faults.

Terms are a part of a grant's document (docs/catalogue-files.md): `resource`, `items`, `relations`, `scope`, `masks`,
`usage`, `purpose`, `validFrom`, `validTo`, `quota`, `statistics`.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from tanglai.catalogue.checks import RULES, Draft, Severity
from tanglai.catalogue.checks_grants import grant_findings
from tanglai.catalogue.checks_world import world_of
from tanglai.catalogue.documents import DocumentError, grant_from_document
from tanglai.catalogue.documents_base import Path
from tanglai.catalogue.expressions import ItemRef, leaves
from tanglai.catalogue.model import Grant, GrantBasis, Resource, ShareClass, Snapshot
from tanglai.catalogue.quotas import day_of
from tanglai.catalogue.scalars import ScalarType, to_json
from tanglai.catalogue.workflow.errors import InvalidAct, Problem, ProblemCode

FIELDS = (
    "resource",
    "items",
    "relations",
    "scope",
    "masks",
    "usage",
    "purpose",
    "validFrom",
    "validTo",
    "quota",
    "statistics",
)
"""Members of terms, named as in a grant's document."""

_CODES = {"reference": ProblemCode.UNKNOWN, "missing": ProblemCode.MISSING, "grant-basis": ProblemCode.NOT_ALLOWED}


def grant_of(
    terms: Mapping[str, Any],
    *,
    id: str,
    requester: str,
    basis: GrantBasis,
    snapshot: Snapshot,
    now: datetime,
    at: tuple[str, ...] = (),
) -> Grant:
    """The grant that `terms` describe, valid from `now` where they do not say, checked as one that is recorded.

    Raises InvalidAct with everything that is wrong, fields below `at`.
    """
    document = {name: terms[name] for name in FIELDS if terms.get(name) is not None}
    document.setdefault("validFrom", to_json(ScalarType.DATETIME, now))
    document |= {"id": id, "requester": requester, "basis": basis.value}
    try:
        grant = grant_from_document(document, snapshot.resources)
    except DocumentError as error:
        raise InvalidAct(
            Problem(at + _field(it.path), _CODES.get(it.kind, ProblemCode.MALFORMED), it.message)
            for it in error.problems
        ) from error
    world = world_of(Draft(), snapshot, None, frozenset(), day_of(now))
    problems = [
        Problem(
            at + _field(finding.path),
            _CODES.get(finding.rule, ProblemCode.NOT_ALLOWED),
            finding.message,
            RULES[finding.rule].article or None,
        )
        for finding in grant_findings(grant, world)
        if finding.severity is Severity.ERROR
    ]
    if grant.valid_to is not None and grant.valid_to <= now:
        problems.append(Problem((*at, "validTo"), ProblemCode.TOO_LATE, "`validTo` is over already"))
    resource = snapshot.resources[grant.resource]
    if resource.zone is not snapshot.zone:
        message = f"resource `{resource.code}` is served by the {resource.zone.value.lower()} platform: ask there"
        problems.append(Problem((*at, "resource"), ProblemCode.NOT_ALLOWED, message, "Art. 5"))
    if grant.requester == resource.provider:
        message = "the data are the department's own"
        problems.append(Problem((*at, "resource"), ProblemCode.NOT_ALLOWED, message, "Art. 7"))
    if problems:
        raise InvalidAct(problems)
    return grant


def disclosed(grant: Grant, resource: Resource) -> tuple[str, ...]:
    """Items that the row scope tests though the grant does not show them clear: they are disclosed by who is in it.

    Whoever answers confirms each of them (authorization.md, Row scope).
    """
    names = dict.fromkeys(reference.name for reference in leaves(grant.scope, ItemRef))
    return tuple(
        name
        for name in names
        if resource.item_by_name[name].share_class is not ShareClass.UNCONDITIONAL
        and (name not in grant.items or name in grant.masks)
    )


def unconfirmed(grant: Grant, resource: Resource, confirmed: Iterable[str], at: tuple[str, ...]) -> list[Problem]:
    """A problem for each disclosed item that nobody has confirmed."""
    known = set(confirmed)
    return [
        Problem(
            at,
            ProblemCode.MISSING,
            f"the row scope discloses item `{name}`: confirm it, or answer with another scope",
            RULES["scope-discloses"].article,
        )
        for name in disclosed(grant, resource)
        if name not in known
    ]


def narrowed(asked: Mapping[str, Any], given: Mapping[str, Any], *, at: tuple[str, ...]) -> tuple[dict[str, Any], bool]:
    """The terms that `given` leaves of those `asked` for, and whether they are less.

    `given` may leave out items and relations, narrow the rows (its scope holds besides the asked one), name masks,
    bound amounts, and start later or end earlier; what it does not say is as asked. It adds nothing of its own
    (Order 809 Art. 15, 22). Raises InvalidAct.
    """
    problems: list[Problem] = []
    terms = {name: asked[name] for name in FIELDS if asked.get(name) is not None}
    less = False
    for name in given:
        if name not in ("items", "relations", "scope", "masks", "quota", "validFrom", "validTo"):
            message = f"`{name}` is as it was asked for"
            problems.append(Problem((*at, name), ProblemCode.NOT_ALLOWED, message))
    for name in ("items", "relations"):
        if given.get(name) is not None:
            for extra in sorted(set(given[name]) - set(asked.get(name) or ())):
                problems.append(Problem((*at, name), ProblemCode.TOO_WIDE, f"`{extra}` was not asked for"))
            less |= set(given[name]) != set(asked.get(name) or ())
            terms[name] = list(given[name])
    if given.get("scope"):
        both = [scope for scope in (asked.get("scope"), given["scope"]) if scope]
        terms["scope"] = both[0] if len(both) == 1 else {"and": both}
        less |= given["scope"] != asked.get("scope")
    if given.get("masks"):
        wished = asked.get("masks") or {}
        for item in sorted(name for name, mask in given["masks"].items() if wished.get(name, mask) != mask):
            message = f"`{item}` was asked for under the mask `{wished[item]}`"
            problems.append(Problem((*at, "masks"), ProblemCode.TOO_WIDE, message))
        terms["masks"] = {**wished, **given["masks"]}
        less = True
    if given.get("quota"):
        wished = asked.get("quota") or {}
        for name in sorted(name for name, amount in given["quota"].items() if amount > wished.get(name, amount)):
            message = f"more {name} than the {wished[name]} that were asked for"
            problems.append(Problem((*at, "quota"), ProblemCode.TOO_WIDE, message))
        terms["quota"] = {**wished, **given["quota"]}
        less = True
    if terms.get("masks"):  # what is left out needs no mask any more
        masks, left = terms["masks"], set(terms.get("items") or ()) | set(given.get("masks") or ())
        terms["masks"] = {item: mask for item, mask in masks.items() if item in left}
    # Moments are compared as grants once they are read: `earlier` of application.py.
    for name in ("validFrom", "validTo"):
        if given.get(name) is not None:
            less |= given[name] != asked.get(name)
            terms[name] = given[name]
    if problems:
        raise InvalidAct(problems)
    return terms, less


def _field(path: Path) -> tuple[str, ...]:
    return tuple(str(step) for step in path)
