"""In charge of consultation between requester and provider on data not shared or refused (Art. 11 paragraph 4)."""

from collections.abc import Mapping, Sequence
from typing import Any

from tanglai.catalogue.model import Grant, GrantBasis
from tanglai.catalogue.rules import DeadlineKind, rule_set
from tanglai.catalogue.workflow.application import STATEMENTS, answered
from tanglai.catalogue.workflow.attachments import Attached, Uploaded
from tanglai.catalogue.workflow.dispute import CONSULTED, article, consulted, refused_parts, said
from tanglai.catalogue.workflow.errors import InvalidAct, NotFound, Problem, ProblemCode
from tanglai.catalogue.workflow.machines import MatterKind
from tanglai.catalogue.workflow.parties import Acting, Party
from tanglai.catalogue.workflow.terms import FIELDS
from tanglai.storage.workflow import matters
from tanglai.storage.workflow.attachments import attach
from tanglai.storage.workflow.coordinations import open_coordination
from tanglai.storage.workflow.desk import Desk, Lock
from tanglai.storage.workflow.disputes import tell_others
from tanglai.storage.workflow.matters import Matter
from tanglai.storage.workflow.work import Work

CONSULTATION = MatterKind.CONSULTATION

_Parts = tuple[set[str], set[str]]


async def open_consultation(
    desk: Desk,
    acting: Acting,
    document: Mapping[str, Any],
    *,
    attached: Sequence[Attached | Uploaded] = (),
    key: str | None = None,
) -> Matter:
    """A consultation on what is not shared, or on what `application` was refused, which then says what is not said.

    The need that it states is the requester's position; the clock of the provider's starts. Raises InvalidAct.
    """
    given = {name: document[name] for name in CONSULTED if document.get(name) not in (None, [], "")}
    async with desk.work(acting) as work:
        earlier = await work.earlier(CONSULTATION, key)
        if earlier is not None:
            return earlier
        refused: _Parts = (set(), set())
        if "application" in given:
            given, refused = await _refused(work, given)
        grant = consulted(
            given,
            refused,
            requester=acting.department,
            rules=rule_set(acting.snapshot.rule_set),
            snapshot=acting.snapshot,
            now=acting.now,
        )
        provider = acting.snapshot.resources[grant.resource].provider
        matter = await work.open(
            CONSULTATION,
            "OPEN",
            requester=acting.department,
            provider=provider,
            resource=grant.resource,
            parent=given.get("application"),
            document=given,
            reason=given["need"],
            key=key,
        )
        await work.start_deadline(matter, DeadlineKind.CONSULTATION, provider)
        await attach(work, matter, attached)
        return matter


async def state_position(
    desk: Desk, acting: Acting, id: str, version: int, text: str, attached: Sequence[Attached | Uploaded] = ()
) -> Matter:
    """What one side has to say, with documents; the other is told. The provider's stops its clock."""
    text = said(text, "text")
    async with desk.work(acting) as work:
        matter = await work.matter(CONSULTATION, id, version)
        matter = await work.take(matter, "STATE_POSITION", reason=text)
        await attach(work, matter, attached)
        await _provider_heard(work, matter)
        await tell_others(work, matter, "POSITION_STATED")
        return matter


async def propose(
    desk: Desk,
    acting: Acting,
    id: str,
    version: int,
    terms: Mapping[str, Any],
    *,
    confirmed: Sequence[str] = (),
    reason: str = "",
    attached: Sequence[Attached | Uploaded] = (),
) -> Matter:
    """The provider would grant what is asked for, or the part that `terms` leaves; the requester accepts or declines.

    `confirmed`: items that the row scope may disclose. Raises InvalidAct for terms that could not be granted.
    """
    async with desk.work(acting) as work:
        matter = await work.matter(CONSULTATION, id, version)
        proposal = {"terms": dict(terms), "confirmed": list(confirmed)}
        document = {**matter.document, "proposal": proposal}
        matter = await work.take(matter, "PROPOSE", reason=reason.strip(), given=proposal, document=document)
        await _agreed(work, matter, "proposed")
        await attach(work, matter, attached)
        await _provider_heard(work, matter)
        return matter


async def accept(desk: Desk, acting: Acting, id: str, version: int, reason: str = "") -> Matter:
    """The requester agrees: the grant is recorded with it, and holds from the commit on."""
    async with desk.work(acting, Lock.GRANTS) as work:
        matter = await work.matter(CONSULTATION, id, version)
        grant_id = await work.grant_id()
        matter = await work.take(matter, "ACCEPT", reason=reason.strip(), given={"grant": grant_id})
        grant = await _agreed(work, matter, grant_id)
        matter = await work.record_grant(matter, grant, reason=f"{matter.id}: {matter.standing.title_en}")
        await tell_others(work, matter, "CONSULTATION_AGREED")
        return matter


async def decline(desk: Desk, acting: Acting, id: str, version: int, reason: str) -> Matter:
    """The requester cannot do with what is proposed, and says why; the consultation goes on."""
    async with desk.work(acting) as work:
        matter = await work.matter(CONSULTATION, id, version)
        document = {name: value for name, value in matter.document.items() if name != "proposal"}
        return await work.take(matter, "DECLINE", reason=said(reason), document=document)


async def escalate(
    desk: Desk, acting: Acting, id: str, version: int, reason: str, attached: Sequence[Attached | Uploaded] = ()
) -> Matter:
    """The consultation failed: the competent department coordinates, in a matter of its own.

    Both sides must have been heard: the requester has stated its need, the provider a position or terms, unless its
    time for that is over. Raises InvalidAct, also where there is no competent department above both.
    """
    async with desk.work(acting) as work:
        matter = await work.matter(CONSULTATION, id, version)
        assert matter.requester is not None
        assert matter.provider is not None
        assert matter.resource is not None
        reason = said(reason, article=article(matter.rule_set))
        if not await _heard(work, matter):
            message = "the provider has not stated its position yet, and has time to"
            raise InvalidAct([Problem((), ProblemCode.NOT_ALLOWED, message, article(matter.rule_set))])
        coordination = await open_coordination(
            work,
            parent=matter,
            requester=matter.requester,
            provider=matter.provider,
            resource=matter.resource,
            grant=None,
            terms={name: matter.document[name] for name in FIELDS if name in matter.document},
            reason=reason,
        )
        given = {"coordination": coordination.id}
        matter = await work.take(matter, "ESCALATE", reason=reason, given=given, coordinator=coordination.coordinator)
        await attach(work, matter, attached)
        return matter


async def withdraw(desk: Desk, acting: Acting, id: str, version: int, reason: str = "") -> Matter:
    """The requester does not need the data any more; the provider is told."""
    async with desk.work(acting) as work:
        matter = await work.matter(CONSULTATION, id, version)
        matter = await work.take(matter, "WITHDRAW", reason=reason.strip())
        await tell_others(work, matter, "CONSULTATION_WITHDRAWN")
        return matter


async def _agreed(work: Work, matter: Matter, id: str) -> Grant:
    """The grant that the proposal of `matter` comes to. Raises InvalidAct."""
    assert matter.requester is not None
    proposal = matter.document["proposal"]
    grant, _ = answered(
        matter.document,
        proposal["terms"],
        id=id,
        requester=matter.requester,
        snapshot=work.acting.snapshot,
        now=await work.commit_time(),
        confirmed=proposal["confirmed"],
        basis=GrantBasis.CONSULTATION,
    )
    return grant


async def _provider_heard(work: Work, matter: Matter) -> None:
    if work.acting.department == matter.provider:
        await work.end_deadline(matter, DeadlineKind.CONSULTATION, met=True)


async def _heard(work: Work, matter: Matter) -> bool:
    """Whether the provider has said something, or has let its time pass."""
    events = (await matters.events(work.connection, [matter.id]))[matter.id]
    if any(event.party is Party.PROVIDER for event in events):
        return True
    running = (await matters.deadlines(work.connection, [matter.id]))[matter.id]
    return any(it.kind == DeadlineKind.CONSULTATION and it.overdue(work.today) for it in running)


async def _refused(work: Work, given: dict[str, Any]) -> tuple[dict[str, Any], _Parts]:
    """What a consultation on a refused application asks for, and what was refused. Raises InvalidAct."""
    id = given["application"]
    at = ("application",)
    try:
        application = await work.matter(MatterKind.APPLICATION, id)
    except NotFound:
        application = None
    if application is None or application.requester != work.acting.department:
        raise InvalidAct([Problem(at, ProblemCode.UNKNOWN, f"no application `{id}`")])
    resource = work.acting.snapshot.resources.get(application.resource or "")
    if resource is None:
        raise InvalidAct([Problem(at, ProblemCode.NOT_ALLOWED, "its resource is not published any more")])
    if given.get("resource", resource.code) != resource.code:
        message = f"application `{id}` was for resource `{resource.code}`"
        raise InvalidAct([Problem(("resource",), ProblemCode.NOT_ALLOWED, message)])
    if application.state not in ("REFUSED", "PARTLY_APPROVED"):
        message = f"application `{id}` was not refused, in whole or in part: it is `{application.state}`"
        raise InvalidAct([Problem(at, ProblemCode.NOT_ALLOWED, message)])
    granted = await work.grant(application.grant) if application.grant is not None else None
    refused = refused_parts(application.document, granted, resource)
    asked = {n: application.document[n] for n in (*FIELDS, *STATEMENTS) if application.document.get(n) is not None}
    if "statistics" not in asked:
        for name, parts in zip(("items", "relations"), refused, strict=True):
            asked[name] = sorted(parts)
    asked |= given
    if "masks" in asked and "masks" not in given:
        asked["masks"] = {n: mask for n, mask in asked["masks"].items() if n in asked.get("items", ())}
    return {name: value for name, value in asked.items() if value not in ([], {})}, refused
