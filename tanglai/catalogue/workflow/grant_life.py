"""In charge of what the acts on a running grant say: suspension, change of the service, the end and the disposal."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any

from tanglai.catalogue.calendar import WorkingCalendar
from tanglai.catalogue.documents import grant_to_document
from tanglai.catalogue.model import Department, Grant, GrantState, Snapshot
from tanglai.catalogue.quotas import day_of
from tanglai.catalogue.rules import RuleSet
from tanglai.catalogue.workflow.errors import InvalidAct, Problem, ProblemCode, WrongState
from tanglai.catalogue.workflow.machines import MatterKind, machine
from tanglai.catalogue.workflow.parties import Party, common_superior, competent_department
from tanglai.catalogue.workflow.terms import FIELDS, grant_of, unconfirmed

MOST_CHARACTERS = 4_000
MOST_DAYS = 120
"""Working days of the longest correction period; no text sets a bound, and nobody waits for ever."""

RUNNING = (GrantState.ACTIVE, GrantState.SUSPENDED)
CHANGEABLE = ("items", "relations", "scope", "masks", "validTo", "quota", "statistics")
"""Terms of a running grant that may change; its resource, purpose and usage would make it another one."""

ARTICLES: Mapping[str, Mapping[str, str | None]] = {
    "ningxia-measures": {"misuse": "Art. 11(1)", "period": None, "service": "Art. 11(3)", "disposal": None},
    "order-809": {
        "misuse": "Order 809 Art. 25",
        "period": "Order 809 Art. 27",
        "service": "Order 809 Art. 27",
        "disposal": "Order 809 Art. 25",
    },
}
"""What the acts rest on, by rule set. The Measures say only that use is tied to duties and to the reply."""


class SuspensionReason(StrEnum):
    """Why a grant is suspended (Order 809 Art. 25, 27; what Art. 38-41 count against a requester)."""

    OTHER_PURPOSE = "OTHER_PURPOSE"
    PASSED_ON = "PASSED_ON"
    OVERUSE = "OVERUSE"
    INSECURE = "INSECURE"
    NO_RECORDS = "NO_RECORDS"
    OTHER = "OTHER"


class ServiceChangeKind(StrEnum):
    """What a provider wants to do with a running grant."""

    END = "END"
    CHANGE = "CHANGE"


def said(text: str | None, field: str, *, what: str, article: str | None = None) -> str:
    """`text` without blanks around it. Raises InvalidAct where nothing is left of it, or too much."""
    found = (text or "").strip()
    if not found:
        raise InvalidAct([Problem((field,), ProblemCode.MISSING, what, article)])
    if len(found) > MOST_CHARACTERS:
        raise InvalidAct([Problem((field,), ProblemCode.MALFORMED, f"longer than {MOST_CHARACTERS:,} characters")])
    return found


def overseer(snapshot: Snapshot, provider: str, requester: str) -> Department | None:
    """The competent department of the provider's level and area; where that is the requester, the one above both."""
    found = competent_department(snapshot, provider)
    if found is not None and found.code == requester:
        return common_superior(snapshot, (provider, requester))
    return found


def correction_days(
    calendar: WorkingCalendar, today: date, days: int | None, until: date | None, *, article: str | None = None
) -> int:
    """Working days of the correction period that was given as `days` or as its last day. Raises InvalidAct.

    A period until a day of rest ends on the next working day.
    """
    if (days is None) == (until is None):
        message = "give the correction period in working days, or its last day"
        raise InvalidAct([Problem(("correctionDays",), ProblemCode.MISSING, message, article)])
    field = "correctionDays" if until is None else "correctUntil"
    if until is not None:
        if until <= today:
            raise InvalidAct([Problem((field,), ProblemCode.TOO_LATE, "the day is over, or it is today")])
        days = calendar.elapsed(today, until) + (0 if calendar.is_working(until) else 1)
    assert days is not None
    if not 1 <= days <= MOST_DAYS:
        message = f"a correction period lasts 1 to {MOST_DAYS} working days"
        raise InvalidAct([Problem((field,), ProblemCode.NOT_ALLOWED, message)])
    return days


def require_running(grant: Grant, act: str, states: Sequence[GrantState] = RUNNING) -> None:
    """Nothing, where the grant is in one of `states`. Raises WrongState."""
    if grant.state not in states:
        raise WrongState(f"grant `{grant.id}` is `{grant.state}`: `{act}` is no step of it", state=grant.state.value)


def changed_terms(
    grant: Grant,
    given: Mapping[str, Any],
    confirmed: Sequence[str],
    *,
    snapshot: Snapshot,
    now: datetime,
) -> Grant:
    """The running `grant` with the terms that `given` replaces, narrower or wider, checked as one that is recorded.

    What is published bounds it (Order 809 Art. 15, 22), and its basis what is not shared. `confirmed` are the items
    that the row scope may disclose. Raises InvalidAct.
    """
    problems = [
        Problem(("terms", name), ProblemCode.NOT_ALLOWED, f"`{name}` of a running grant does not change")
        for name in given
        if name not in CHANGEABLE
    ]
    if problems:
        raise InvalidAct(problems)
    if grant.resource not in snapshot.resources:
        message = f"resource `{grant.resource}` is not published: the grant can only end"
        raise InvalidAct([Problem(("terms",), ProblemCode.NOT_ALLOWED, message, "Art. 7")])
    terms = terms_of(grant)
    wanted = {**terms, **{name: value for name, value in given.items() if value is not None}}
    if given.get("masks") is None and "masks" in terms:
        wanted["masks"] = {name: mask for name, mask in terms["masks"].items() if name in wanted.get("items", ())}
    new = grant_of(
        wanted,
        id=grant.id,
        requester=grant.requester,
        basis=grant.basis,
        snapshot=snapshot,
        now=now,
        at=("terms",),
    )
    if terms_of(new) == terms:
        raise InvalidAct([Problem(("terms",), ProblemCode.MISSING, "nothing changes: say what does")])
    problems = unconfirmed(new, snapshot.resources[new.resource], confirmed, ("confirmDisclosure",))
    if problems:
        raise InvalidAct(problems)
    return replace(new, state=grant.state)


def terms_of(grant: Grant) -> dict[str, Any]:
    """The terms of a grant as a part of its document."""
    document = grant_to_document(grant)
    return {name: document[name] for name in FIELDS if name in document}


def disposal_owed(rules: RuleSet) -> bool:
    """Whether the requester of a grant that is over owes a statement: then the platform opens the matter itself."""
    step = machine(MatterKind.DISPOSAL).step(rules.id, "", "OPEN")
    return step is not None and any(waits.party is Party.PLATFORM for waits in step.by)


def disposal_statement(
    document: Mapping[str, Any], grant: Grant, *, today: date, article: str | None = None
) -> dict[str, Any]:
    """A disposal statement: how the data were disposed of, when, and what is kept by which legal basis (Art. 25).

    `document` has `method`, `disposedOn` (a date) and `kept`, a list of `what` and `legalBasis`. Raises InvalidAct with
    everything that is missing or wrong.
    """
    problems = []
    method = str(document.get("method") or "").strip()
    if not method:
        problems.append(Problem(("method",), ProblemCode.MISSING, "say how the data were disposed of", article))
    day = document.get("disposedOn")
    if day is None:
        problems.append(Problem(("disposedOn",), ProblemCode.MISSING, "say when", article))
    elif day > today:
        message = "a statement is of what has been done: the day is still to come"
        problems.append(Problem(("disposedOn",), ProblemCode.NOT_ALLOWED, message))
    elif day < day_of(grant.valid_from):
        problems.append(Problem(("disposedOn",), ProblemCode.NOT_ALLOWED, f"grant `{grant.id}` was not valid yet"))
    kept = []
    for n, entry in enumerate(document.get("kept") or ()):
        found = {name: str(entry.get(name) or "").strip() for name in ("what", "legalBasis")}
        for name, text in found.items():
            if not text:
                message = "say what is kept, and by which legal basis"
                problems.append(Problem(("kept", str(n), name), ProblemCode.MISSING, message, article))
        kept.append(found)
    texts: list[tuple[tuple[str, ...], str]] = [(("method",), method)]
    texts += [(("kept", str(n), name), text) for n, entry in enumerate(kept) for name, text in entry.items()]
    problems += [
        Problem(field, ProblemCode.MALFORMED, f"longer than {MOST_CHARACTERS:,} characters")
        for field, text in texts
        if len(text) > MOST_CHARACTERS
    ]
    if problems:
        raise InvalidAct(problems)
    assert day is not None
    return {"method": method, "disposedOn": day.isoformat(), "kept": kept}


@cache
def expiry_reminders() -> tuple[int, ...]:
    """Working days before the end of a validity at which the requester is reminded, in descending order."""
    text = (files("tanglai.catalogue.workflow.tables") / "expiry.toml").read_text(encoding="utf-8")
    return tuple(sorted(tomllib.loads(text)["reminders"], reverse=True))
