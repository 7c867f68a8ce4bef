"""In charge of what an application says, what it lacks, and what a reply may say (Art. 11; Order 809 Art. 20-22)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from tanglai.catalogue.model import Grant, GrantBasis, ShareClass, Snapshot
from tanglai.catalogue.rules import RuleSet
from tanglai.catalogue.workflow.errors import InvalidAct, Problem, ProblemCode
from tanglai.catalogue.workflow.terms import FIELDS, grant_of, narrowed, unconfirmed

STATEMENTS = ("duty", "legalBasis", "scenario", "method")
"""Texts in which the requester says why, for what, and how (M11; O20). Up to 4,000 characters each."""

MOST_CHARACTERS = 4_000
REQUIRED: Mapping[str, tuple[tuple[str, str], ...]] = {
    "ningxia-measures": (("duty", "Art. 11(1)"), ("legalBasis", "Art. 11(1)")),
    "order-809": (
        ("duty", "Order 809 Art. 20"),
        ("legalBasis", "Order 809 Art. 20"),
        ("scenario", "Order 809 Art. 20"),
        ("method", "Order 809 Art. 20"),
        ("validTo", "Order 809 Art. 20"),
    ),
}
"""What a complete application says besides resource, items and purpose, with the article, by rule set."""


class RefusalReason(StrEnum):
    """Why a provider does not share. That something was missing is no reason (Order 809 Art. 21)."""

    NO_DUTY = "NO_DUTY"  # the duty stated does not need the data (Art. 11 paragraph 1)
    NO_LEGAL_BASIS = "NO_LEGAL_BASIS"
    AGAINST_CONDITION = "AGAINST_CONDITION"  # outside of the condition that the catalogue publishes
    OTHER_SOURCE = "OTHER_SOURCE"  # another department is the authority for it
    NOT_HELD = "NOT_HELD"  # the data do not exist
    SECURITY = "SECURITY"  # earlier use was not as granted
    OTHER = "OTHER"


class MissingPoint(StrEnum):
    """What a reviewer may find missing in an application."""

    DUTY = "DUTY"
    LEGAL_BASIS = "LEGAL_BASIS"
    SCENARIO = "SCENARIO"
    METHOD = "METHOD"
    SCOPE = "SCOPE"
    TIME_LIMIT = "TIME_LIMIT"
    DOCUMENTS = "DOCUMENTS"
    OTHER = "OTHER"


def drafted(document: Mapping[str, Any]) -> dict[str, Any]:
    """An application as it may be kept while it is drafted. Raises InvalidAct for what could never be one."""
    problems = []
    for name in STATEMENTS:
        text = document.get(name)
        if text is not None and len(text) > MOST_CHARACTERS:
            message = f"longer than {MOST_CHARACTERS:,} characters"
            problems.append(Problem((name,), ProblemCode.MALFORMED, message))
    if problems:
        raise InvalidAct(problems)
    return {
        name: value
        for name in (*FIELDS, *STATEMENTS, "renews")
        if (value := document.get(name)) is not None and value != [] and value != ""
    }


def asked_for(
    document: Mapping[str, Any], *, requester: str, rules: RuleSet, snapshot: Snapshot, now: datetime
) -> Grant:
    """The grant that a complete application asks for. Raises InvalidAct with everything that is missing or wrong."""
    problems = [
        Problem((name,), ProblemCode.MISSING, f"`{name}` is missing", article)
        for name, article in REQUIRED[rules.id]
        if not str(document.get(name) or "").strip()
    ]
    for name in ("resource", "purpose"):
        if not document.get(name):
            problems.append(Problem((name,), ProblemCode.MISSING, f"`{name}` is missing", REQUIRED[rules.id][0][1]))
    try:
        if not any(problem.field in (("resource",), ("purpose",)) for problem in problems):
            grant = grant_of(
                document, id="asked", requester=requester, basis=GrantBasis.APPLICATION, snapshot=snapshot, now=now
            )
            problems += _needless(grant, rules, snapshot)
    except InvalidAct as error:
        problems += error.problems
    if problems:
        raise InvalidAct(problems)
    return grant


def _needless(grant: Grant, rules: RuleSet, snapshot: Snapshot) -> list[Problem]:
    """Items that are taken without an application, where the rule set has it so (Art. 11 paragraph 2)."""
    if not rules.unconditional_is_direct:
        return []
    resource = snapshot.resources[grant.resource]
    return [
        Problem(
            ("items",),
            ProblemCode.NOT_ALLOWED,
            f"item `{name}` is shared unconditionally: take it without an application",
            rules.articles["ALLOWED_UNCONDITIONAL"],
        )
        for name in sorted(grant.items)
        if resource.item_by_name[name].share_class is ShareClass.UNCONDITIONAL
    ]


def strictest(grant: Grant, snapshot: Snapshot) -> ShareClass:
    """The strictest class among what is asked for: by it the reply is due (Order 809 Art. 21)."""
    resource = snapshot.resources[grant.resource]
    classes = [resource.item_by_name[name].share_class for name in grant.items]
    classes += [snapshot.relation_class(resource, resource.relation_by_name[name]) for name in grant.relations]
    return max(classes, key=lambda found: found.strictness)


def answered(
    document: Mapping[str, Any],
    given: Mapping[str, Any],
    *,
    id: str,
    requester: str,
    snapshot: Snapshot,
    now: datetime,
    confirmed: Sequence[str] = (),
    basis: GrantBasis = GrantBasis.APPLICATION,
) -> tuple[Grant, bool]:
    """The grant that a positive reply creates, and whether it is less than was asked for.

    `given` narrows (terms.py); `confirmed` are the items that the reviewer knows the row scope to disclose. Valid from
    `now` at the earliest. Raises InvalidAct.
    """
    at = ("terms",)
    terms, less = narrowed(document, given, at=at)
    grant = grant_of(terms, id=id, requester=requester, basis=basis, snapshot=snapshot, now=now, at=at)
    if grant.valid_from < now:  # the reply opens nothing for the past
        terms.pop("validFrom")
        grant = grant_of(terms, id=id, requester=requester, basis=basis, snapshot=snapshot, now=now, at=at)
    problems = unconfirmed(grant, snapshot.resources[grant.resource], confirmed, ("confirmDisclosure",))
    problems += _beyond(document, terms, grant, snapshot=snapshot, now=now)
    if problems:
        raise InvalidAct(problems)
    return grant, less


def _beyond(
    document: Mapping[str, Any], terms: Mapping[str, Any], grant: Grant, *, snapshot: Snapshot, now: datetime
) -> list[Problem]:
    """A validity that starts before or ends after the one asked for."""
    # Not all that was asked for: what of it is shared no more may be what the reply leaves out.
    asked_when = {**terms, "validFrom": document.get("validFrom"), "validTo": document.get("validTo")}
    asked = grant_of(asked_when, id="asked", requester=grant.requester, basis=grant.basis, snapshot=snapshot, now=now)
    problems = []
    if grant.valid_from < asked.valid_from:
        problems.append(Problem(("terms", "validFrom"), ProblemCode.TOO_WIDE, "earlier than asked for"))
    if asked.valid_to is not None and (grant.valid_to is None or grant.valid_to > asked.valid_to):
        problems.append(Problem(("terms", "validTo"), ProblemCode.TOO_WIDE, "later than asked for"))
    return problems
