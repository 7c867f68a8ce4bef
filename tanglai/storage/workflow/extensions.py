"""In charge of extensions: a deadline runs longer once, with the competent department's consent (O17, O21)."""

from datetime import date
from typing import Any

from tanglai.catalogue.model import Snapshot
from tanglai.catalogue.rules import DeadlineKind, DeadlineRule, rule_set
from tanglai.catalogue.workflow.errors import InvalidAct, NotPermitted, Problem, ProblemCode, WrongState
from tanglai.catalogue.workflow.grant_life import said
from tanglai.catalogue.workflow.machines import MatterKind
from tanglai.catalogue.workflow.parties import Acting, Role, common_superior, competent_department
from tanglai.storage.workflow.desk import Desk
from tanglai.storage.workflow.matters import Matter, deadline_of
from tanglai.storage.workflow.work import Work

EXTENSION = MatterKind.EXTENSION
EXTENDABLE = {
    MatterKind.APPLICATION: (DeadlineKind.REPLY, Role.REVIEWER),
    MatterKind.OBLIGATION: (DeadlineKind.OBLIGATION, Role.CATALOGUER),
}
"""Which deadline of which matter may run longer, and who of the department asks for it."""

_RUNNING = "SELECT * FROM deadline WHERE matter = $1 AND kind = $2 AND ended_on IS NULL"
_OPEN = "SELECT id FROM matter WHERE parent = $1 AND kind = 'EXTENSION' AND NOT closed"


async def request(desk: Desk, acting: Acting, parent: str, days: int, reason: str, *, key: str | None = None) -> Matter:
    """Asks that the deadline of the application or obligation `parent` runs `days` working days longer.

    By the department whose deadline it is, before it is due, at most as long as the rule has it. Raises InvalidAct,
    NotFound, NotPermitted, and WrongState where the rule set or the state of `parent` has no extension.
    """
    async with desk.work(acting) as work:
        earlier = await work.earlier(EXTENSION, key)
        if earlier is not None:
            return earlier
        about = await work.matter(None, parent)
        if about.kind not in EXTENDABLE:
            message = f"a {about.machine.title_en} has no deadline that runs longer"
            raise InvalidAct([Problem(("id",), ProblemCode.NOT_ALLOWED, message)])
        kind, role = EXTENDABLE[about.kind]
        rule = _rule(about, kind)
        work.require(about.provider, role, rule.article)
        reason = said(reason, "reason", what="say why it takes longer", article=rule.article)
        due = await _checked(work, about, rule, days)
        taken = await work.connection.fetchval(_OPEN, parent)
        if taken is not None:
            raise InvalidAct([Problem(("id",), ProblemCode.TAKEN, f"`{taken}` asks for it already", rule.article)])
        given = {"days": days, "deadline": kind.value, "dueOn": due.isoformat()}
        return await work.open(
            EXTENSION,
            "REQUEST",
            rules=about.rule_set,
            requester=about.requester,
            provider=about.provider,
            coordinator=_above(acting.snapshot, about),
            resource=about.resource,
            parent=parent,
            document=given,
            reason=reason,
            given=given,
            key=key,
        )


async def decide(desk: Desk, acting: Acting, id: str, version: int, granted: bool, reason: str) -> Matter:
    """The competent department consents, and the clock runs longer from the commit on; or it does not.

    The requester of an application is told of a longer time (Order 809 Art. 21).
    """
    reason = said(reason, "reason", what="say why")
    async with desk.work(acting) as work:
        # INVARIANT: what an extension is about is locked before it, as by those who end it.
        parent = await work.connection.fetchval("SELECT parent FROM matter WHERE id = $1 AND kind = 'EXTENSION'", id)
        about = await work.other(parent) if parent is not None else None
        matter = await work.matter(EXTENSION, id, version)
        assert about is not None
        state = "GRANTED" if granted else "DENIED"
        matter = await work.take(matter, "DECIDE", target=state, reason=reason)
        kind, role = EXTENDABLE[about.kind]
        document: dict[str, Any] = {"state": state, "days": matter.document["days"], "reason": reason}
        if granted:
            await _once(work, about, kind, _rule(about, kind))
            await work.take(about, "EXTEND", reason=f"{id}: {reason}", given=document, brought_about=True)
            await work.extend_deadline(about, kind, matter.document["days"])
            if about.requester is not None and about.requester != about.provider:
                await work.notify(
                    about.requester, "DEADLINE_EXTENDED", role=Role.APPLICANT, matter=about.id, document=document
                )
        assert about.provider is not None
        await work.notify(about.provider, "EXTENSION_DECIDED", role=role, matter=about.id, document=document)
        return matter


async def withdraw(desk: Desk, acting: Acting, id: str, version: int) -> Matter:
    """Whoever asked for it needs it no more."""
    async with desk.work(acting) as work:
        return await work.take(await work.matter(EXTENSION, id, version), "WITHDRAW")


def _rule(about: Matter, kind: DeadlineKind) -> DeadlineRule:
    rule = rule_set(about.rule_set).deadlines.get(kind)
    if rule is None or rule.extension is None:
        raise WrongState(f"`{about.rule_set}` has no extension of this deadline", state=about.state)
    if about.machine.step(about.rule_set, about.state, "EXTEND") is None:
        raise WrongState(f"`{about.id}` is `{about.state}`: no deadline runs", state=about.state, article=rule.article)
    return rule


async def _checked(work: Work, about: Matter, rule: DeadlineRule, days: int) -> date:
    """The due date of a deadline that can run `days` longer. Raises InvalidAct."""
    due = await _once(work, about, rule.kind, rule)
    assert rule.extension is not None
    problems = []
    if not 1 <= days <= rule.extension:
        message = f"a deadline runs 1 to {rule.extension} working days longer"
        problems.append(Problem(("days",), ProblemCode.TOO_LATE, message, rule.article))
    if due < work.today:
        message = f"it was due on {due}: an extension is asked for before"
        problems.append(Problem((), ProblemCode.TOO_LATE, message, rule.article))
    if problems:
        raise InvalidAct(problems)
    return due


async def _once(work: Work, about: Matter, kind: DeadlineKind, rule: DeadlineRule) -> date:
    """The due date of the running deadline, which was not extended yet. Raises InvalidAct, WrongState."""
    row = await work.connection.fetchrow(_RUNNING, about.id, kind.value)
    if row is None:
        raise WrongState(f"no deadline of `{about.id}` runs", state=about.state, article=rule.article)
    found = deadline_of(row)
    if found.extended_days:
        message = "a deadline is extended once"
        raise InvalidAct([Problem((), ProblemCode.NOT_ALLOWED, message, rule.article)])
    return found.due_on


def _above(snapshot: Snapshot, about: Matter) -> str:
    """The competent department of the obliged one's level; one that is a party leaves it to the one above.

    Where there is none above, it decides itself, by somebody else than who asked. Raises NotPermitted without any.
    """
    own = competent_department(snapshot, about.provider or "")
    if own is not None and own.code not in (about.provider, about.requester):
        return own.code
    found = common_superior(snapshot, [code for code in (about.provider, about.requester) if code is not None]) or own
    if found is None:
        raise NotPermitted("no competent department of this level is on the platform", roles=(Role.COORDINATOR,))
    return found.code
