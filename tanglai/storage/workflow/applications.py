"""In charge of applications: from a draft to a reply that creates the grant in its own transaction (Art. 11)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from tanglai.catalogue.documents import grant_to_document
from tanglai.catalogue.model import Grant, OrganisationKind, Resource, Usage
from tanglai.catalogue.quotas import day_of
from tanglai.catalogue.rules import DeadlineKind, RuleSet, rule_set
from tanglai.catalogue.workflow.application import (
    REQUIRED,
    MissingPoint,
    RefusalReason,
    answered,
    asked_for,
    drafted,
    strictest,
)
from tanglai.catalogue.workflow.errors import InvalidAct, NotPermitted, Problem, ProblemCode
from tanglai.catalogue.workflow.machines import MatterKind
from tanglai.catalogue.workflow.parties import Acting, Role
from tanglai.storage.workflow import matters
from tanglai.storage.workflow.desk import Desk, Lock
from tanglai.storage.workflow.matters import UNSENT, Matter
from tanglai.storage.workflow.work import Work

APPLICATION = MatterKind.APPLICATION


async def create(desk: Desk, acting: Acting, document: Mapping[str, Any], *, key: str | None = None) -> Matter:
    """A draft in the name of the actor's department, addressed to the provider of its resource.

    Raises InvalidAct for an unknown resource or grant to renew, NotPermitted for an organisation that may not request.
    """
    async with desk.work(acting) as work:
        return await _create(work, document, key)


async def apply(desk: Desk, acting: Acting, document: Mapping[str, Any], *, key: str | None = None) -> Matter:
    """`create` and `submit` in one act, where the rule set wants no consent in between."""
    async with desk.work(acting) as work:
        matter = await _create(work, document, key)
        return matter if matter.version > 1 else await _submit(work, matter)


async def _create(work: Work, document: Mapping[str, Any], key: str | None) -> Matter:
    earlier = await work.earlier(APPLICATION, key)
    if earlier is not None:
        return earlier
    _require_requester(work.acting)
    document = await _renewed(work, drafted(document))
    resource = _resource(work, document)
    return await work.open(
        APPLICATION,
        "CREATE",
        requester=work.acting.department,
        provider=resource.provider,
        resource=resource.code,
        document=document,
        key=key,
    )


async def amend(desk: Desk, acting: Acting, id: str, version: int, document: Mapping[str, Any]) -> Matter:
    """The draft with another document; an unset field is gone. The resource stays."""
    async with desk.work(acting) as work:
        matter = await work.matter(APPLICATION, id, version)
        new = drafted({**document, "resource": matter.resource, "renews": matter.document.get("renews")})
        return await work.take(matter, "AMEND", document=new)


async def consent(desk: Desk, acting: Acting, id: str, version: int, reason: str = "") -> Matter:
    """The requester's head consents to what was drafted by somebody else (Order 809 Art. 20)."""
    async with desk.work(acting) as work:
        matter = await work.matter(APPLICATION, id, version)
        _complete(work, matter)
        return await work.take(matter, "CONSENT", reason=reason)


async def submit(desk: Desk, acting: Acting, id: str, version: int) -> Matter:
    """To the provider; its clock starts. Raises InvalidAct with everything that is missing."""
    async with desk.work(acting) as work:
        return await _submit(work, await work.matter(APPLICATION, id, version))


async def _submit(work: Work, matter: Matter) -> Matter:
    grant = _complete(work, matter)
    matter = await work.take(matter, "SUBMIT")
    assert matter.provider is not None
    await work.start_deadline(
        matter, DeadlineKind.REPLY, matter.provider, share_class=strictest(grant, work.acting.snapshot)
    )
    return matter


async def tell_missing(
    desk: Desk, acting: Acting, id: str, version: int, points: Sequence[MissingPoint], text: str
) -> Matter:
    """One notice of everything that is missing, once (Order 809 Art. 21). Under the Measures the clock runs on."""
    if not points:
        raise InvalidAct([Problem(("points",), ProblemCode.MISSING, "say what is missing", "Order 809 Art. 21")])
    async with desk.work(acting) as work:
        matter = await work.matter(APPLICATION, id, version)
        if any(event.event == "TELL_MISSING" for event in (await matters.events(work.connection, [id]))[id]):
            message = "what is missing is told once, all of it together"
            raise InvalidAct([Problem(("points",), ProblemCode.TAKEN, message, "Order 809 Art. 21")])
        given = {"points": [point.value for point in dict.fromkeys(points)]}
        matter = await work.take(matter, "TELL_MISSING", reason=text, given=given)
        await work.pause_deadline(matter, DeadlineKind.REPLY)
        assert matter.requester is not None
        await work.notify(
            matter.requester, "APPLICATION_INCOMPLETE", role=Role.APPLICANT, matter=id, document={**given, "text": text}
        )
        return matter


async def supplement(desk: Desk, acting: Acting, id: str, version: int, document: Mapping[str, Any]) -> Matter:
    """What was missing; the clock goes on where it stood."""
    async with desk.work(acting) as work:
        matter = await work.matter(APPLICATION, id, version)
        events = (await matters.events(work.connection, [id]))[id]
        if not any(event.event == "TELL_MISSING" for event in events):
            message = "nothing was found missing: withdraw the application and file another one"
            raise InvalidAct([Problem((), ProblemCode.NOT_ALLOWED, message)])
        given = {name: value for name, value in document.items() if value is not None}
        kept = {"resource": matter.resource, "renews": matter.document.get("renews")}
        new = drafted({**matter.document, **given, **kept})
        asked_for(new, requester=_requester(matter), rules=_rules(matter), snapshot=acting.snapshot, now=acting.now)
        matter = await work.take(matter, "SUPPLEMENT", document=new)
        await work.resume_deadline(matter, DeadlineKind.REPLY)
        return matter


async def withdraw(desk: Desk, acting: Acting, id: str, version: int, reason: str = "") -> Matter:
    """The requester does not want it any more; who was asked is told."""
    async with desk.work(acting) as work:
        matter = await work.matter(APPLICATION, id, version)
        asked = matter.state not in ("DRAFT", "CONSENTED")
        document = matter.document if asked else {**matter.document, UNSENT: True}
        matter = await work.take(matter, "WITHDRAW", reason=reason, document=document)
        if asked and matter.provider is not None:
            await work.notify(matter.provider, "APPLICATION_WITHDRAWN", role=Role.REVIEWER, matter=id)
        return matter


async def approve(
    desk: Desk,
    acting: Acting,
    id: str,
    version: int,
    terms: Mapping[str, Any],
    *,
    confirmed: Sequence[str] = (),
    reason: str = "",
) -> Matter:
    """All of it, or the part that `terms` leaves; the grant holds from the commit on (Art. 11 paragraph 3).

    Under Order 809 this proposes the reply to the provider's head, see `confirm`.
    """
    async with desk.work(acting, Lock.GRANTS) as work:
        matter = await work.matter(APPLICATION, id, version)
        await work.allow(matter, "PROPOSE_REPLY" if _by_head(matter) else "REPLY")
        given = {"terms": dict(terms), "confirmed": list(confirmed)}
        grant, less = await _grant(work, matter, given)
        if _by_head(matter):
            return await work.take(matter, "PROPOSE_REPLY", reason=reason, given={**given, "approve": True})
        return await _approve(work, matter, grant, less, reason, given)


async def refuse(desk: Desk, acting: Acting, id: str, version: int, code: RefusalReason, text: str) -> Matter:
    """Not shared, with the reason (Art. 11 paragraph 3). Under Order 809 this proposes the reply to the head."""
    if not text.strip():
        message = "a refusal gives its reasons"
        raise InvalidAct([Problem(("reason",), ProblemCode.MISSING, message, "Art. 11(3)")])
    async with desk.work(acting) as work:
        matter = await work.matter(APPLICATION, id, version)
        given = {"reason": code.value}
        if _by_head(matter):
            return await work.take(matter, "PROPOSE_REPLY", reason=text, given={**given, "approve": False})
        return await _refuse(work, matter, text, given)


async def confirm(desk: Desk, acting: Acting, id: str, version: int, reason: str = "") -> Matter:
    """The provider's head sends the reply that a reviewer proposed (Order 809 Art. 20)."""
    async with desk.work(acting, Lock.GRANTS) as work:
        matter = await work.matter(APPLICATION, id, version)
        await work.allow(matter, "REPLY")
        proposal = await _proposal(work, matter)
        given = dict(proposal.given)
        if given.pop("approve", False):
            grant, less = await _grant(work, matter, given)
            return await _approve(work, matter, grant, less, reason or proposal.reason, given)
        return await _refuse(work, matter, reason or proposal.reason, given)


async def send_back(desk: Desk, acting: Acting, id: str, version: int, reason: str) -> Matter:
    """The provider's head wants another reply; the clock runs on."""
    if not reason.strip():
        raise InvalidAct([Problem(("reason",), ProblemCode.MISSING, "say what is wrong with the reply")])
    async with desk.work(acting) as work:
        matter = await work.matter(APPLICATION, id, version)
        return await work.take(matter, "SEND_BACK", reason=reason)


def _by_head(matter: Matter) -> bool:
    """Whether a reviewer's reply waits for the head: the rule set's table has no direct one."""
    return matter.machine.step(matter.rule_set, "SUBMITTED", "REPLY") is None


async def _approve(
    work: Work, matter: Matter, grant: Grant, less: bool, reason: str, given: Mapping[str, Any]
) -> Matter:
    state = "PARTLY_APPROVED" if less else "APPROVED"
    matter = await work.take(matter, "REPLY", target=state, reason=reason, given={**given, "grant": grant.id})
    matter = await work.record_grant(matter, grant, reason=f"{matter.id}: {state.lower().replace('_', ' ')}")
    await work.end_deadline(matter, DeadlineKind.REPLY, met=True)
    await work.notify(
        _requester(matter), "APPLICATION_ANSWERED", matter=matter.id, grant=grant.id, document={"state": state}
    )
    return matter


async def _refuse(work: Work, matter: Matter, reason: str, given: Mapping[str, Any]) -> Matter:
    matter = await work.take(matter, "REPLY", target="REFUSED", reason=reason, given=given)
    await work.end_deadline(matter, DeadlineKind.REPLY, met=True)
    await work.notify(_requester(matter), "APPLICATION_ANSWERED", matter=matter.id, document={"state": "REFUSED"})
    return matter


async def _grant(work: Work, matter: Matter, given: Mapping[str, Any]) -> tuple[Grant, bool]:
    now = await work.commit_time()
    grant, less = answered(
        matter.document,
        given["terms"],
        id=await work.grant_id(),
        requester=_requester(matter),
        snapshot=work.acting.snapshot,
        now=now,
        confirmed=given["confirmed"],
    )
    _supplied_in_time(work, matter, grant, now)
    return grant, less


def _supplied_in_time(work: Work, matter: Matter, grant: Grant, now: datetime) -> None:
    """Data are supplied within the rule's time after an approval (Order 809 Art. 22)."""
    rule = rule_set(matter.rule_set).deadlines.get(DeadlineKind.SUPPLY)
    days = rule.working_days() if rule is not None else None
    if rule is None or days is None or matter.document.get("validFrom"):
        return
    if day_of(grant.valid_from) > work.calendar.due(day_of(now), days).day:
        message = f"data are supplied within {days} working days of the approval"
        raise InvalidAct([Problem(("terms", "validFrom"), ProblemCode.TOO_LATE, message, rule.article)])


async def _proposal(work: Work, matter: Matter) -> matters.MatterEvent:
    events = (await matters.events(work.connection, [matter.id]))[matter.id]
    proposals = [event for event in events if event.event == "PROPOSE_REPLY"]
    if not proposals or matter.state != "REPLY_PROPOSED":
        message = "no reply is proposed"
        raise InvalidAct([Problem((), ProblemCode.NOT_ALLOWED, message)])
    return proposals[-1]


def _complete(work: Work, matter: Matter) -> Grant:
    return asked_for(
        matter.document,
        requester=_requester(matter),
        rules=_rules(matter),
        snapshot=work.acting.snapshot,
        now=work.acting.now,
    )


def _rules(matter: Matter) -> RuleSet:
    return rule_set(matter.rule_set)


def _requester(matter: Matter) -> str:
    assert matter.requester is not None
    return matter.requester


def _resource(work: Work, document: Mapping[str, Any]) -> Resource:
    code = document.get("resource")
    if not code:
        article = REQUIRED[work.acting.snapshot.rule_set][0][1]
        raise InvalidAct([Problem(("resource",), ProblemCode.MISSING, "`resource` is missing", article)])
    resource = work.acting.snapshot.resources.get(str(code))
    if resource is None:
        raise InvalidAct([Problem(("resource",), ProblemCode.UNKNOWN, f"unknown resource `{code}`", "Art. 7")])
    return resource


def _require_requester(acting: Acting) -> None:
    department = acting.snapshot.departments.get(acting.department)
    if department is not None and department.kind is OrganisationKind.PUBLIC_SERVICE_ENTERPRISE:
        raise NotPermitted(
            "a public-service enterprise provides through its department and does not request", article="Art. 4(3)"
        )


async def _renewed(work: Work, document: dict[str, Any]) -> dict[str, Any]:
    """With `renews`, a grant of the requester's: its terms where the document does not say, from its end on."""
    id = document.get("renews")
    if id is None:
        return document
    grant = await work.grant(id)
    if grant is None or grant.requester != work.acting.department:
        raise InvalidAct([Problem(("renews",), ProblemCode.UNKNOWN, f"no grant `{id}`")])
    return {**renewal_terms(grant, work.acting.now), **document, "resource": grant.resource}


def renewal_terms(grant: Grant, now: datetime) -> dict[str, Any]:
    """The terms of an application that would renew `grant`: as they are, from its end on."""
    terms = grant_to_document(grant)
    for name in ("id", "requester", "basis", "state", "validFrom", "validTo"):
        terms.pop(name, None)
    if grant.valid_to is not None and grant.valid_to > now and grant.usage is Usage.STATISTICS:
        terms["validFrom"] = grant_to_document(grant)["validTo"]  # two cubes of one period would be refused
    return terms
