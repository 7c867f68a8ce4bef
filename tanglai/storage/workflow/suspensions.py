"""In charge of suspensions: misuse stops a grant at once; put right in time it resumes, else it ends (O25, O27)."""

from datetime import date

from tanglai.catalogue.model import GrantState
from tanglai.catalogue.rules import DeadlineKind, rule_set
from tanglai.catalogue.workflow.errors import NotPermitted, WrongState
from tanglai.catalogue.workflow.grant_life import ARTICLES, SuspensionReason, correction_days, require_running, said
from tanglai.catalogue.workflow.machines import MatterKind
from tanglai.catalogue.workflow.parties import Acting, Role
from tanglai.storage.workflow.desk import Desk, Lock
from tanglai.storage.workflow.grant_news import held, tell
from tanglai.storage.workflow.matters import Matter
from tanglai.storage.workflow.work import Work

SUSPENSION = MatterKind.SUSPENSION


async def suspend(
    desk: Desk,
    acting: Acting,
    grant: str,
    code: SuspensionReason,
    reason: str,
    *,
    days: int | None = None,
    until: date | None = None,
    key: str | None = None,
) -> Matter:
    """Suspends an active grant from the commit on and sets a correction period: `days` working days, or its last day.

    By the provider's reviewer, or the coordinator of the competent department. Raises InvalidAct, NotFound,
    NotPermitted, and WrongState for a grant that is not active.
    """
    async with desk.work(acting, Lock.GRANTS) as work:
        earlier = await work.earlier(SUSPENSION, key)
        if earlier is not None:
            return earlier
        found = await held(work, grant)
        above = found.coordinator == acting.department and not (
            found.provider == acting.department and acting.holds(Role.REVIEWER)
        )
        articles = ARTICLES[acting.snapshot.rule_set]
        if acting.department in (found.provider, found.coordinator):
            require_running(found.grant, "SUSPEND", (GrantState.ACTIVE,))
            reason = said(reason, "reason", what="say what was misused, and how", article=articles["misuse"])
        period = 0
        if acting.department != found.grant.requester:
            period = correction_days(work.calendar, work.today, days, until, article=articles["period"])
        given = {"reason": code.value, "days": period, "above": above}
        matter = await work.open(
            SUSPENSION,
            "SUSPEND",
            requester=found.grant.requester,
            provider=found.provider,
            coordinator=found.coordinator,
            resource=found.grant.resource,
            grant=grant,
            document=given,
            reason=reason,
            given=given,
            key=key,
        )
        await work.start_deadline(matter, DeadlineKind.COMPLIANCE, found.grant.requester, days=period)
        await work.set_grant_state(grant, GrantState.SUSPENDED, reason=f"{matter.id}: {reason}")
        await tell(work, grant, matter=matter.id)
        return matter


async def report_compliance(desk: Desk, acting: Acting, id: str, version: int, text: str) -> Matter:
    """The requester says what it has put right; whoever suspended the grant judges it."""
    text = said(text, "text", what="say what was put right")
    async with desk.work(acting) as work:
        matter = await work.matter(SUSPENSION, id, version)
        above = bool(matter.document["above"])
        target = "REPORTED_ABOVE" if above else "REPORTED"
        matter = await work.take(matter, "REPORT_COMPLIANCE", target=target, reason=text)
        await work.end_deadline(matter, DeadlineKind.COMPLIANCE, met=True)
        judge, role = (matter.coordinator, Role.COORDINATOR) if above else (matter.provider, Role.REVIEWER)
        if judge is not None:
            await work.notify(judge, "COMPLIANCE_REPORTED", role=role, matter=id, grant=matter.grant)
        return matter


async def send_back(
    desk: Desk,
    acting: Acting,
    id: str,
    version: int,
    reason: str,
    *,
    days: int | None = None,
    until: date | None = None,
) -> Matter:
    """It is not put right yet: another correction period runs, and the grant stays suspended."""
    async with desk.work(acting) as work:
        matter = await work.matter(SUSPENSION, id, version)
        articles = ARTICLES[matter.rule_set]
        reason = said(reason, "reason", what="say what is not put right")
        period = correction_days(work.calendar, work.today, days, until, article=articles["period"])
        matter = await work.take(matter, "SEND_BACK", reason=reason, given={"days": period})
        assert matter.requester is not None
        await work.start_deadline(matter, DeadlineKind.COMPLIANCE, matter.requester, days=period)
        await work.notify(
            matter.requester,
            "COMPLIANCE_SENT_BACK",
            role=Role.APPLICANT,
            matter=id,
            grant=matter.grant,
            document={"reason": reason},
        )
        return matter


async def resume(desk: Desk, acting: Acting, id: str, version: int, reason: str = "") -> Matter:
    """The grant holds again from the commit on. Raises WrongState where its validity is over meanwhile."""
    async with desk.work(acting, Lock.GRANTS) as work:
        matter = await work.matter(SUSPENSION, id, version)
        _judge(work, matter)
        grant = await work.grant(matter.grant or "")
        if grant is not None and grant.valid_to is not None and grant.valid_to <= acting.now:
            message = f"the validity of grant `{grant.id}` is over: it can only end"
            article = rule_set(matter.rule_set).articles["GRANT_EXPIRED"]
            raise WrongState(message, state=matter.state, events=("END",), article=article)
        return await _settle(work, matter, "RESUME", GrantState.ACTIVE, reason.strip())


async def end(desk: Desk, acting: Acting, id: str, version: int, reason: str) -> Matter:
    """The grant ends for good: the one way in which a provider ends a running grant without the requester's consent."""
    async with desk.work(acting, Lock.GRANTS) as work:
        matter = await work.matter(SUSPENSION, id, version)
        _judge(work, matter)
        reason = said(reason, "reason", what="say why it ends", article=ARTICLES[matter.rule_set]["misuse"])
        return await _settle(work, matter, "END", GrantState.ENDED, reason)


async def _settle(work: Work, matter: Matter, event: str, state: GrantState, reason: str) -> Matter:
    grant = matter.grant
    assert grant is not None
    met = matter.state == "OPEN" and event == "RESUME"  # put right without a report
    matter = await work.take(matter, event, reason=reason)
    if met:
        await work.end_deadline(matter, DeadlineKind.COMPLIANCE, met=True)
    words = reason or "what was misused is put right"
    await work.set_grant_state(grant, state, reason=f"{matter.id}: {words}")
    await tell(work, grant, matter=matter.id)
    return matter


def _judge(work: Work, matter: Matter) -> None:
    """What the competent department suspended it judges itself. Raises NotPermitted."""
    acting = work.acting
    if (
        matter.document["above"]
        and acting.department == matter.provider
        and not (acting.department == matter.coordinator and acting.holds(Role.COORDINATOR))
    ):
        raise NotPermitted(
            "the competent department suspended this grant: it lets it resume or end",
            roles=(Role.COORDINATOR,),
            article=ARTICLES[matter.rule_set]["misuse"],
        )
