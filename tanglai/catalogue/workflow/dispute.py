"""In charge of what a consultation and a coordination need and what may come of them (Art. 11 paragraph 4; O28)."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from tanglai.catalogue.documents import DocumentError
from tanglai.catalogue.model import Department, Grant, GrantBasis, Resource, ShareClass, Snapshot
from tanglai.catalogue.predicates import predicate_from_document
from tanglai.catalogue.rules import RuleSet
from tanglai.catalogue.workflow.application import MOST_CHARACTERS, REQUIRED, STATEMENTS
from tanglai.catalogue.workflow.errors import InvalidAct, Problem, ProblemCode
from tanglai.catalogue.workflow.parties import common_superior
from tanglai.catalogue.workflow.terms import FIELDS, grant_of

CONSULTED = (*FIELDS, *STATEMENTS, "need", "application")
"""Members of a consultation's document: what an application says, why the data are really needed, what was refused."""

_ARTICLE = {"ningxia-measures": "Art. 11(4)", "order-809": "Order 809 Art. 28"}


class Decision(StrEnum):
    """What a coordinator decides: of data that were not shared, or of a change of a running service."""

    SHARE = "SHARE"  # the data are granted
    CLOSE = "CLOSE"  # they are not
    KEEP = "KEEP"  # the running grant stays as it is
    CHANGE = "CHANGE"  # it gets other terms
    END = "END"  # it ends


OVER_DATA = (Decision.SHARE, Decision.CLOSE)
OVER_SERVICE = (Decision.KEEP, Decision.CHANGE, Decision.END)


def article(rules: str) -> str:
    """The article that consultation and coordination rest on, under the rule set `rules`."""
    return _ARTICLE[rules]


def said(text: str, field: str = "reason", article: str | None = None) -> str:
    """`text` without space around it. Raises InvalidAct where there is none, or too much."""
    text = text.strip()
    if not text:
        raise InvalidAct([Problem((field,), ProblemCode.MISSING, "say why", article)])
    if len(text) > MOST_CHARACTERS:
        message = f"longer than {MOST_CHARACTERS:,} characters"
        raise InvalidAct([Problem((field,), ProblemCode.MALFORMED, message)])
    return text


def refused_parts(asked: Mapping[str, Any], granted: Grant | None, resource: Resource) -> tuple[set[str], set[str]]:
    """Items and relations that an answered application asked for and did not get.

    `granted` None: it was refused as a whole. Of an approval in part: what is left out, what is masked though it was
    not asked for masked, and everything where rows were left out.
    """
    statistics = asked.get("statistics") or {}
    items = {*asked.get("items", ()), *statistics.get("dimensions", ()), *statistics.get("measures", ())}
    relations = set(asked.get("relations", ()))
    if granted is None:
        return items, relations
    try:
        if predicate_from_document(asked.get("scope") or {}, resource) != granted.scope:
            return items, relations
    except DocumentError:  # over items that there are no more: whatever was granted is not the same
        return items, relations
    masked = {name for name, mask in granted.masks.items() if (asked.get("masks") or {}).get(name) != mask}
    return items - (granted.items - masked), relations - granted.relations


def consulted(
    document: Mapping[str, Any],
    refused: tuple[set[str], set[str]],
    *,
    requester: str,
    rules: RuleSet,
    snapshot: Snapshot,
    now: datetime,
) -> Grant:
    """The grant that a consultation asks for, all of it not shared or `refused` (items, relations).

    Raises InvalidAct with everything that is missing or wrong.
    """
    required = (*REQUIRED[rules.id], ("need", article(rules.id)))
    problems = [
        Problem((name,), ProblemCode.MISSING, f"`{name}` is missing", why)
        for name, why in (*required, ("resource", None), ("purpose", "Art. 11(1)"))
        if not str(document.get(name) or "").strip()
    ]
    problems += [
        Problem((name,), ProblemCode.MALFORMED, f"longer than {MOST_CHARACTERS:,} characters")
        for name in (*STATEMENTS, "need")
        if len(document.get(name) or "") > MOST_CHARACTERS
    ]
    if not document.get("resource") or not document.get("purpose"):
        raise InvalidAct(problems)
    try:
        grant = grant_of(
            document, id="asked", requester=requester, basis=GrantBasis.CONSULTATION, snapshot=snapshot, now=now
        )
    except InvalidAct as error:
        raise InvalidAct([*problems, *error.problems]) from error
    problems += _not_for_consultation(grant, refused, rules, snapshot)
    if problems:
        raise InvalidAct(problems)
    return grant


def _not_for_consultation(
    grant: Grant, refused: tuple[set[str], set[str]], rules: RuleSet, snapshot: Snapshot
) -> list[Problem]:
    resource = snapshot.resources[grant.resource]
    asked = [("items", name, resource.item_by_name[name].share_class) for name in sorted(grant.items - refused[0])]
    for name in sorted(grant.relations - refused[1]):
        asked.append(("relations", name, snapshot.relation_class(resource, resource.relation_by_name[name])))
    problems = []
    for field, name, share_class in asked:
        if share_class is ShareClass.NOT_SHARED:
            continue
        if share_class is ShareClass.UNCONDITIONAL and rules.unconditional_is_direct:
            message = f"`{name}` is shared unconditionally: take it without being granted it"
            why = rules.articles["ALLOWED_UNCONDITIONAL"]
        else:
            message = f"`{name}` was not refused: apply for it first, or name the application that was refused"
            why = rules.articles["ALLOWED_CONDITIONAL"]
        problems.append(Problem((field,), ProblemCode.NOT_ALLOWED, message, why))
    return problems


def coordinator_between(snapshot: Snapshot, requester: str, provider: str) -> Department:
    """Who coordinates between the two (parties.py). Raises InvalidAct where the platform knows nobody."""
    found = common_superior(snapshot, (requester, provider))
    if found is None:
        message = "no competent department on this platform stands above both departments and is no party itself"
        raise InvalidAct([Problem((), ProblemCode.NOT_ALLOWED, message, article(snapshot.rule_set))])
    return found
