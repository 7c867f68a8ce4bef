"""In charge of coordination: the competent department decides what two departments could not settle (Art. 11; O28)."""

from collections.abc import Mapping, Sequence
from typing import Any

from tanglai.catalogue.model import GrantBasis, GrantState
from tanglai.catalogue.workflow.application import answered
from tanglai.catalogue.workflow.attachments import Attached, Uploaded
from tanglai.catalogue.workflow.dispute import (
    OVER_DATA,
    OVER_SERVICE,
    Decision,
    article,
    coordinator_between,
    said,
)
from tanglai.catalogue.workflow.errors import InvalidAct, NotPermitted, Problem, ProblemCode
from tanglai.catalogue.workflow.grant_life import CHANGEABLE, RUNNING, changed_terms, terms_of
from tanglai.catalogue.workflow.machines import MatterKind
from tanglai.catalogue.workflow.parties import Acting, Party
from tanglai.storage.workflow.attachments import attach
from tanglai.storage.workflow.desk import Desk, Lock
from tanglai.storage.workflow.disputes import tell_others
from tanglai.storage.workflow.grant_news import tell
from tanglai.storage.workflow.matters import Matter
from tanglai.storage.workflow.work import Work

COORDINATION = MatterKind.COORDINATION


async def open_coordination(
    work: Work,
    *,
    parent: Matter,
    requester: str,
    provider: str,
    resource: str,
    grant: str | None,
    terms: Mapping[str, Any] | None,
    reason: str,
) -> Matter:
    """The coordination that `parent`, a consultation or a service change, is brought to, by the actor of `work`.

    `terms`: those asked for, or those to which the running `grant` shall change; None: it shall end. The coordinator is
    that of the level, the common superior one across levels. Whoever calls takes ESCALATE on `parent` with
    `coordinator=` that of the answer, by which the coordinator may read it. Raises InvalidAct where there is none above
    both, NotPermitted.
    """
    coordinator = coordinator_between(work.acting.snapshot, requester, provider)
    matter = await work.open(
        COORDINATION,
        "OPEN",
        rules=parent.rule_set,
        requester=requester,
        provider=provider,
        coordinator=coordinator.code,
        resource=resource,
        grant=grant,
        parent=parent.id,
        document={"over": parent.kind.value, "terms": dict(terms) if terms is not None else None},
        reason=reason,
    )
    await tell_others(work, matter, "COORDINATION_OPENED", but=(Party.COORDINATOR,))
    return matter


async def state_position(
    desk: Desk, acting: Acting, id: str, version: int, text: str, attached: Sequence[Attached | Uploaded] = ()
) -> Matter:
    """What a party has to say, with documents; the others are told."""
    text = said(text, "text")
    async with desk.work(acting) as work:
        matter = await work.matter(COORDINATION, id, version)
        matter = await work.take(matter, "STATE_POSITION", reason=text)
        await attach(work, matter, attached)
        await tell_others(work, matter, "POSITION_STATED")
        return matter


async def decide(
    desk: Desk,
    acting: Acting,
    id: str,
    version: int,
    decision: Decision,
    reason: str,
    *,
    terms: Mapping[str, Any] | None = None,
    confirmed: Sequence[str] = (),
    attached: Sequence[Attached | Uploaded] = (),
) -> Matter:
    """The decision, with reasons, recorded and carried out at once; both sides are told.

    SHARE grants what was asked for, or the part that `terms` leaves; CHANGE gives the running grant `terms` in place of
    its own, by default what the provider wished. `confirmed`: items that the row scope may disclose. Raises InvalidAct.
    """
    async with desk.work(acting, Lock.GRANTS) as work:
        matter = await work.matter(COORDINATION, id, version)
        reason = said(reason, article=article(matter.rule_set))
        allowed = OVER_SERVICE if matter.document["over"] == MatterKind.SERVICE_CHANGE else OVER_DATA
        if decision not in allowed:
            message = f"it is about {' or '.join(f'`{it}`' for it in allowed)}"
            raise InvalidAct([Problem(("decision",), ProblemCode.NOT_ALLOWED, message)])
        given: dict[str, Any] = {"decision": decision.value, "terms": dict(terms or {}), "confirmed": list(confirmed)}
        if decision is Decision.SHARE:
            matter = await _share(work, matter, reason, given)
        else:
            target = "CLOSED" if decision in (Decision.CLOSE, Decision.END) else "GRANTED"
            matter = await work.take(matter, "DECIDE", target=target, reason=reason, given=given)
            if decision in OVER_SERVICE:
                await _carry_out(work, matter, decision, reason, given["terms"], confirmed)
        await attach(work, matter, attached)
        await tell_others(work, matter, "COORDINATION_DECIDED", document={"decision": decision.value})
        return matter


async def withdraw(desk: Desk, acting: Acting, id: str, version: int, reason: str = "") -> Matter:
    """Whoever wanted something does not want it any more: the requester data, the provider a change."""
    async with desk.work(acting) as work:
        matter = await work.matter(COORDINATION, id, version)
        by_provider = matter.document["over"] == MatterKind.SERVICE_CHANGE
        wanted = matter.provider if by_provider else matter.requester
        if acting.department in (matter.requester, matter.provider) and acting.department != wanted:
            raise NotPermitted("`WITHDRAW` is for the department that wants something decided")
        matter = await work.take(matter, "WITHDRAW", reason=reason.strip())
        await tell_others(work, matter, "COORDINATION_WITHDRAWN")
        return matter


async def _share(work: Work, matter: Matter, reason: str, given: dict[str, Any]) -> Matter:
    id = await work.grant_id()
    matter = await work.take(matter, "DECIDE", target="GRANTED", reason=reason, given={**given, "grant": id})
    assert matter.requester is not None
    grant, _ = answered(
        matter.document["terms"],
        given["terms"],
        id=id,
        requester=matter.requester,
        snapshot=work.acting.snapshot,
        now=await work.commit_time(),
        confirmed=given["confirmed"],
        basis=GrantBasis.COORDINATION,
    )
    return await work.record_grant(matter, grant, reason=f"{matter.id}: {matter.standing.title_en}")


async def _carry_out(
    work: Work, matter: Matter, decision: Decision, reason: str, terms: Mapping[str, Any], confirmed: Sequence[str]
) -> None:
    """What becomes of the running grant."""
    grant = await work.grant(matter.grant or "")
    running = grant is not None and grant.state in RUNNING
    if decision is Decision.KEEP or (decision is Decision.END and not running):
        return
    if grant is None or not running:
        raise InvalidAct([Problem(("decision",), ProblemCode.NOT_ALLOWED, "the grant is over already")])
    if decision is Decision.END:
        await work.set_grant_state(grant.id, GrantState.ENDED, reason=f"{matter.id}: {reason}")
        await tell(work, grant.id, matter=matter.id)
        return
    given = terms or _differences(terms_of(grant), matter.document["terms"])
    new = changed_terms(grant, given, confirmed, snapshot=work.acting.snapshot, now=await work.commit_time())
    await work.record_grant(matter, new, reason=f"{matter.id}: changed by the coordinator's decision")


def _differences(before: Mapping[str, Any], wanted: Mapping[str, Any] | None) -> dict[str, Any]:
    """What a provider wished to be other than `before`. Raises InvalidAct where it wished the end."""
    if wanted is None:
        message = "the provider wishes the end: say what changes instead"
        raise InvalidAct([Problem(("terms",), ProblemCode.MISSING, message)])
    changed = [name for name in CHANGEABLE if wanted.get(name) != before.get(name)]
    return {name: wanted.get(name, _NOTHING.get(name)) for name in changed}


_NOTHING: Mapping[str, Any] = {"items": [], "relations": [], "scope": {}, "masks": {}, "quota": {}}
"""How a term is given that shall be no more."""
