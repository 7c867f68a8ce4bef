"""In charge of suspensions as GraphQL types: misuse, a correction period, and whether the grant resumes or ends."""

from datetime import date
from typing import Annotated, TypeAlias

import strawberry

from schema.fixed.enums import described
from schema.fixed.grants import Grant, grant_by_id
from schema.fixed.resolved import Info, resolved
from schema.fixed.workflow.applications import KeyArgument, NoteArgument, ReasonArgument, VersionArgument
from schema.fixed.workflow.listings import IdArgument, matters_of, one_matter
from schema.fixed.workflow.matters import Matter, act_result, history, number_of, of_kind
from schema.fixed.workflow.results import Conflict, InvalidAct, NotFound, NotPermitted, WrongState
from tanglai.catalogue.workflow.grant_life import MOST_DAYS, SuspensionReason
from tanglai.catalogue.workflow.machines import MatterKind
from tanglai.catalogue.workflow.parties import Party
from tanglai.storage.workflow import suspensions

SUSPENSION = MatterKind.SUSPENSION
described(
    SuspensionReason,
    "Why a grant is suspended (Order 809 Art. 25, 27).",
    {
        "OTHER_PURPOSE": "The data were used for another purpose.",
        "PASSED_ON": "They were passed on to somebody else.",
        "OVERUSE": "More was used than the purpose needs.",
        "INSECURE": "They were not kept safe.",
        "NO_RECORDS": "The records of their use are missing.",
        "OTHER": "Another reason, given in words.",
    },
)
GrantArgument = Annotated[strawberry.ID, strawberry.argument(description="Id of the grant.")]
DaysArgument = Annotated[
    int | None, strawberry.argument(description=f"Correction period in working days, 1 to {MOST_DAYS}.")
]
UntilArgument = Annotated[
    date | None,
    strawberry.argument(description="Or its last day, of Asia/Shanghai; a day of rest means the next working day."),
]


@of_kind(SUSPENSION)
@strawberry.type(description="A grant is suspended for misuse until it is put right (Order 809 Art. 25, 27).")
class Suspension(Matter):
    @resolved("The grant, as it is now.")
    async def grant(self, info: Info) -> Grant | None:
        return await grant_by_id(info, self._matter.grant or "", self._matter.version)

    @resolved("Why, as a code.")
    def reason(self) -> SuspensionReason:
        return SuspensionReason(self._matter.document["reason"])

    @resolved("Why, in words.")
    async def reason_words(self, info: Info) -> str:
        return (await self._said(info, "SUSPEND")) or ""

    @resolved("Who suspended it and judges it: the provider, or the competent department.")
    def suspended_by(self) -> Party:
        return Party.COORDINATOR if self._matter.document["above"] else Party.PROVIDER

    @resolved("What the requester reports to have put right; null while nothing is.")
    async def report(self, info: Info) -> str | None:
        return await self._said(info, "REPORT_COMPLIANCE")

    async def _said(self, info: Info, event: str) -> str | None:
        found = await history(info, self._matter)
        return next((it.reason for it in reversed(found) if it.event == event), None)


SuspensionResult: TypeAlias = Annotated[
    Suspension | InvalidAct | NotFound | NotPermitted | WrongState | Conflict,
    strawberry.union("SuspensionResult", description="The suspension after the act, or why it was not done."),
]


@strawberry.type
class SuspensionQueries:
    suspension = one_matter(
        Suspension, SUSPENSION, "A suspension by id or number; null where there is none for this department."
    )
    suspensions = matters_of(Suspension, SUSPENSION, "The suspensions that the department is a party to, by number.")


@strawberry.type
class SuspensionMutations:
    @resolved(
        "Suspends an active grant from the next request on, and sets a correction period. Role `reviewer` of the "
        "provider, or `coordinator` of its competent department."
    )
    async def suspend_grant(
        self,
        info: Info,
        grant: GrantArgument,
        code: Annotated[SuspensionReason, strawberry.argument(description="Why, as a code.")],
        reason: ReasonArgument,
        correction_days: DaysArgument = None,
        correct_until: UntilArgument = None,
        key: KeyArgument = None,
    ) -> SuspensionResult:
        desk, acting = info.context.office, info.context.acting
        act = suspensions.suspend(desk, acting, grant, code, reason, days=correction_days, until=correct_until, key=key)
        return await act_result(Suspension, act)

    @resolved("Reports what was put right; whoever suspended the grant judges it. Role `applicant`.")
    async def report_compliance(
        self,
        info: Info,
        id: IdArgument,
        version: VersionArgument,
        text: Annotated[str, strawberry.argument(description="What was put right; kept for good.")],
    ) -> SuspensionResult:
        desk, acting = info.context.office, info.context.acting
        act = suspensions.report_compliance(desk, acting, number_of(id), version, text)
        return await act_result(Suspension, act)

    @resolved("It is not put right: another correction period runs. Role `reviewer` or `coordinator`.")
    async def send_back_compliance(
        self,
        info: Info,
        id: IdArgument,
        version: VersionArgument,
        reason: ReasonArgument,
        correction_days: DaysArgument = None,
        correct_until: UntilArgument = None,
    ) -> SuspensionResult:
        desk, acting = info.context.office, info.context.acting
        act = suspensions.send_back(
            desk, acting, number_of(id), version, reason, days=correction_days, until=correct_until
        )
        return await act_result(Suspension, act)

    @resolved("The grant holds again from the next request on. Role `reviewer` or `coordinator`.")
    async def resume_grant(
        self, info: Info, id: IdArgument, version: VersionArgument, note: NoteArgument = None
    ) -> SuspensionResult:
        desk, acting = info.context.office, info.context.acting
        return await act_result(Suspension, suspensions.resume(desk, acting, number_of(id), version, note or ""))

    @resolved("The suspended grant ends for good. Role `reviewer` or `coordinator`.")
    async def end_suspended_grant(
        self, info: Info, id: IdArgument, version: VersionArgument, reason: ReasonArgument
    ) -> SuspensionResult:
        desk, acting = info.context.office, info.context.acting
        return await act_result(Suspension, suspensions.end(desk, acting, number_of(id), version, reason))
