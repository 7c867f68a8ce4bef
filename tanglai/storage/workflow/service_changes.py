"""In charge of changes of a running service: the provider consults the requester, files and carries them out (O27)."""

from collections.abc import Mapping, Sequence
from typing import Any

from tanglai.catalogue.model import Grant, GrantState
from tanglai.catalogue.workflow.errors import InvalidAct, Problem, ProblemCode
from tanglai.catalogue.workflow.grant_life import (
    ARTICLES,
    ServiceChangeKind,
    changed_terms,
    overseer,
    require_running,
    said,
    terms_of,
)
from tanglai.catalogue.workflow.machines import MatterKind
from tanglai.catalogue.workflow.parties import Acting, Role
from tanglai.storage import grants
from tanglai.storage.workflow.coordinations import open_coordination
from tanglai.storage.workflow.desk import Desk, Lock
from tanglai.storage.workflow.grant_news import held, open_of, tell
from tanglai.storage.workflow.matters import Matter
from tanglai.storage.workflow.work import Work

SERVICE_CHANGE = MatterKind.SERVICE_CHANGE


async def propose(
    desk: Desk,
    acting: Acting,
    grant: str,
    change: ServiceChangeKind,
    reason: str,
    *,
    terms: Mapping[str, Any] | None = None,
    confirmed: Sequence[str] = (),
    key: str | None = None,
) -> Matter:
    """The provider wants a running grant to end, or to have new `terms` (those given replace those that are).

    Nothing changes before the requester consents and the change is filed. Raises InvalidAct, NotFound, NotPermitted,
    WrongState for a grant that is over.
    """
    async with desk.work(acting, Lock.GRANTS) as work:
        earlier = await work.earlier(SERVICE_CHANGE, key)
        if earlier is not None:
            return earlier
        found = await held(work, grant)
        article = ARTICLES[acting.snapshot.rule_set]["service"]
        work.require(found.provider, Role.REVIEWER, article)
        require_running(found.grant, "PROPOSE")
        reason = said(reason, "reason", what="say why the service shall change", article=article)
        if await open_of(work, grant, SERVICE_CHANGE) is not None:
            message = "a change of this grant is under way: withdraw it first"
            raise InvalidAct([Problem(("grant",), ProblemCode.TAKEN, message)])
        document = await _document(work, found.grant, change, terms, confirmed)
        matter = await work.open(
            SERVICE_CHANGE,
            "PROPOSE",
            requester=found.grant.requester,
            provider=found.provider,
            resource=found.grant.resource,
            grant=grant,
            document=document,
            reason=reason,
            key=key,
        )
        await _tell(work, matter, matter.requester, Role.APPLICANT, "SERVICE_CHANGE_PROPOSED")
        return matter


async def consent(desk: Desk, acting: Acting, id: str, version: int, reason: str = "") -> Matter:
    """The requester agrees; the provider may file it now."""
    async with desk.work(acting) as work:
        matter = await work.matter(SERVICE_CHANGE, id, version)
        matter = await work.take(matter, "CONSENT", reason=reason.strip())
        await _tell(work, matter, matter.provider, Role.REVIEWER, "SERVICE_CHANGE_AGREED")
        return matter


async def object_to(desk: Desk, acting: Acting, id: str, version: int, reason: str) -> Matter:
    """The requester does not agree, and says why: the provider gives it up or brings it to coordination."""
    reason = said(reason, "reason", what="say why you object")
    async with desk.work(acting) as work:
        matter = await work.matter(SERVICE_CHANGE, id, version)
        matter = await work.take(matter, "OBJECT", reason=reason)
        await _tell(work, matter, matter.provider, Role.REVIEWER, "SERVICE_CHANGE_OBJECTED")
        return matter


async def file(desk: Desk, acting: Acting, id: str, version: int, reason: str = "") -> Matter:
    """Files the agreed change with the competent department, and carries it out in the same transaction.

    Raises InvalidAct where the terms that the requester agreed to a change of are not those of the grant any more.
    """
    async with desk.work(acting, Lock.GRANTS) as work:
        matter = await work.matter(SERVICE_CHANGE, id, version)
        above = overseer(acting.snapshot, matter.provider or "", matter.requester or "")
        matter = await work.take(
            matter, "FILE", reason=reason.strip(), coordinator=above.code if above is not None else None
        )
        await _carry_out(work, matter)
        await _tell(work, matter, matter.requester, Role.APPLICANT, "SERVICE_CHANGE_FILED")
        if matter.coordinator not in (None, matter.requester, matter.provider):
            await _tell(work, matter, matter.coordinator, Role.COORDINATOR, "SERVICE_CHANGE_FILED")
        return matter


async def escalate(desk: Desk, acting: Acting, id: str, version: int, reason: str) -> Matter:
    """Brings what the requester objects to before the competent department, whose decision is carried out (Art. 11)."""
    reason = said(reason, "reason", what="say why it must be all the same")
    async with desk.work(acting) as work:
        matter = await work.matter(SERVICE_CHANGE, id, version)
        assert matter.requester is not None
        assert matter.provider is not None
        assert matter.resource is not None
        opened = await open_coordination(
            work,
            parent=matter,
            requester=matter.requester,
            provider=matter.provider,
            resource=matter.resource,
            grant=matter.grant,
            terms=matter.document.get("terms"),
            reason=reason,
        )
        return await work.take(matter, "ESCALATE", reason=reason, coordinator=opened.coordinator)


async def withdraw(desk: Desk, acting: Acting, id: str, version: int, reason: str = "") -> Matter:
    """The provider gives it up: the grant stays as it is."""
    async with desk.work(acting) as work:
        matter = await work.matter(SERVICE_CHANGE, id, version)
        matter = await work.take(matter, "WITHDRAW", reason=reason.strip())
        await _tell(work, matter, matter.requester, Role.APPLICANT, "SERVICE_CHANGE_WITHDRAWN")
        return matter


async def _document(
    work: Work, grant: Grant, change: ServiceChangeKind, terms: Mapping[str, Any] | None, confirmed: Sequence[str]
) -> dict[str, Any]:
    """The matter's document: the terms `before`, and those `after` of a CHANGE as `terms`."""
    document: dict[str, Any] = {"change": change.value, "before": terms_of(grant)}
    if change is ServiceChangeKind.END:
        if terms:
            message = "what shall end gets no new terms"
            raise InvalidAct([Problem(("terms",), ProblemCode.NOT_ALLOWED, message)])
        return document
    new = changed_terms(grant, terms or {}, confirmed, snapshot=work.acting.snapshot, now=work.acting.now)
    return {**document, "terms": terms_of(new), "confirmed": list(confirmed)}


async def _carry_out(work: Work, matter: Matter) -> None:
    grant = await work.grant(matter.grant or "")
    assert grant is not None
    if matter.document["change"] == ServiceChangeKind.END:
        await work.set_grant_state(grant.id, GrantState.ENDED, reason=f"{matter.id}: agreed and filed")
        await tell(work, grant.id, matter=matter.id)
        return
    if terms_of(grant) != matter.document["before"]:
        message = "the grant has got other terms since the change was proposed: propose it anew"
        raise InvalidAct([Problem((), ProblemCode.NOT_ALLOWED, message)])
    acting, before, terms = work.acting, matter.document["before"], matter.document["terms"]
    given = {name: value for name, value in terms.items() if before.get(name) != value}
    given |= {name: _NOTHING[name] for name in before if name not in terms}
    new = changed_terms(grant, given, matter.document["confirmed"], snapshot=acting.snapshot, now=acting.now)
    by = f"{acting.department}/{acting.name}"
    await grants.put(work.connection, [new], by=by, reason=f"{matter.id}: agreed and filed")


_NOTHING: Mapping[str, Any] = {"items": [], "relations": [], "scope": {}, "masks": {}, "quota": {}}
"""How a term is given that shall be no more."""


async def _tell(work: Work, matter: Matter, department: str | None, role: Role, kind: str) -> None:
    if department is not None:
        document = {"change": matter.document["change"]}
        await work.notify(
            department,
            kind,
            role=role,
            matter=matter.id,
            grant=matter.grant,
            resource=matter.resource,
            document=document,
        )
