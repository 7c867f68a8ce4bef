"""In charge of corrections: a requester doubts data that it sees, the provider checks and answers (O26)."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from tanglai.catalogue.model import Resource
from tanglai.catalogue.rules import DeadlineKind
from tanglai.catalogue.workflow.attachments import Attached, Uploaded
from tanglai.catalogue.workflow.correction import ARTICLE, CorrectionAnswer, not_seen, reported
from tanglai.catalogue.workflow.dispute import said
from tanglai.catalogue.workflow.errors import NotPermitted
from tanglai.catalogue.workflow.machines import MatterKind
from tanglai.catalogue.workflow.parties import Acting, Role
from tanglai.storage.workflow.attachments import attach
from tanglai.storage.workflow.desk import Desk
from tanglai.storage.workflow.disputes import tell_others
from tanglai.storage.workflow.matters import Matter

CORRECTION = MatterKind.CORRECTION

Sees = Callable[[Resource, str, str, str | None], Awaitable[bool]]
"""Whether the reporter is shown an item of a resource on the row of an id, under a purpose."""


async def report(
    desk: Desk,
    acting: Acting,
    resource: str,
    document: Mapping[str, Any],
    sees: Sees,
    *,
    attached: Sequence[Attached | Uploaded] = (),
    key: str | None = None,
) -> Matter:
    """A report to the provider, whose clock starts where the rule set has one.

    Raises InvalidAct, also where the reporter does not see what it doubts, and NotPermitted.
    """
    if not acting.holds(Role.APPLICANT):
        raise NotPermitted(f"`REPORT` takes the role `{Role.APPLICANT}`", roles=(Role.APPLICANT,))
    if key is not None:  # before what has changed since then stands in its way
        async with desk.work(acting) as work:
            earlier = await work.earlier(CORRECTION, key)
        if earlier is not None:
            return earlier
    found, document = reported(resource, document, reporter=acting.department, snapshot=acting.snapshot)
    if not await sees(found, document["item"], document["row"], document.get("purpose")):
        raise not_seen()
    async with desk.work(acting) as work:
        earlier = await work.earlier(CORRECTION, key)
        if earlier is not None:
            return earlier
        matter = await work.open(
            CORRECTION,
            "REPORT",
            requester=acting.department,
            provider=found.provider,
            resource=found.code,
            document={**document, "version": found.version},
            reason=document["doubt"],
            key=key,
        )
        await work.start_deadline(matter, DeadlineKind.CORRECTION, found.provider)
        await attach(work, matter, attached)
        return matter


async def verify(desk: Desk, acting: Acting, id: str, version: int) -> Matter:
    """The provider has begun to check; the reporter is told."""
    async with desk.work(acting) as work:
        matter = await work.matter(CORRECTION, id, version)
        matter = await work.take(matter, "VERIFY")
        await tell_others(work, matter, "CORRECTION_BEGUN")
        return matter


async def answer(
    desk: Desk,
    acting: Acting,
    id: str,
    version: int,
    answer: CorrectionAnswer,
    explanation: str,
    attached: Sequence[Attached | Uploaded] = (),
) -> Matter:
    """What the check gave, explained; the reporter is told. It ends the clock, however late."""
    explanation = said(explanation, "explanation", ARTICLE)
    async with desk.work(acting) as work:
        matter = await work.matter(CORRECTION, id, version)
        matter = await work.take(matter, "ANSWER", target=answer.value, reason=explanation)
        await work.end_deadline(matter, DeadlineKind.CORRECTION, met=True)
        await attach(work, matter, attached)
        await tell_others(work, matter, "CORRECTION_ANSWERED", document={"state": answer.value})
        return matter


async def withdraw(desk: Desk, acting: Acting, id: str, version: int, reason: str = "") -> Matter:
    """The reporter doubts no longer; the provider is told."""
    async with desk.work(acting) as work:
        matter = await work.matter(CORRECTION, id, version)
        matter = await work.take(matter, "WITHDRAW", reason=reason.strip())
        await tell_others(work, matter, "CORRECTION_WITHDRAWN")
        return matter
