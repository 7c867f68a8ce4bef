"""In charge of coordinations as GraphQL types: positions of both sides, and the competent department's decision."""

from typing import Annotated, TypeAlias

import strawberry

from schema.fixed.grants import Grant, grant_by_id
from schema.fixed.resolved import Info, resolved
from schema.fixed.workflow.applications import (
    NoteArgument,
    ReasonArgument,
    TermsInput,
    VersionArgument,
)
from schema.fixed.workflow.listings import IdArgument, matters_of, one_matter
from schema.fixed.workflow.matters import (
    Matter,
    act_result,
    find_matter,
    history,
    node,
    number_of,
    of_kind,
)
from schema.fixed.workflow.positions import (
    DocumentsArgument,
    ProposedTerms,
    StatedPosition,
    positions,
    proposed_terms,
    with_documents,
)
from schema.fixed.workflow.results import Conflict, InvalidAct, NotFound, NotPermitted, WrongState, told
from tanglai.catalogue.workflow.dispute import Decision
from tanglai.catalogue.workflow.machines import MatterKind
from tanglai.storage.workflow import coordinations, matters

COORDINATION = MatterKind.COORDINATION


@of_kind(COORDINATION)
@strawberry.type(
    description="The competent department coordinates between two departments, across levels the common superior one "
    "(Art. 11(4); Order 809 Art. 28)."
)
class Coordination(Matter):
    @resolved("Code of the resource.")
    def resource_code(self) -> str:
        return str(self._matter.resource)

    @resolved("What could not be settled: a consultation, or the change of a running service.")
    async def over(self, info: Info) -> Matter | None:
        found = await find_matter(info, None, self._matter.parent or "")
        return node(found) if found is not None else None

    @resolved("What is asked for, or what a running grant shall change to; null where it shall end.")
    def terms(self) -> ProposedTerms | None:
        terms = self._matter.document["terms"]
        return proposed_terms(terms) if terms is not None else None

    @resolved("Everything that was said here, with its documents, the oldest first.")
    async def positions(self, info: Info) -> list[StatedPosition]:
        return await positions(info, self._matter)

    @resolved("What was decided; null while nothing is.")
    async def decision(self, info: Info) -> Decision | None:
        event = await self._decided(info)
        return Decision(event.given["decision"]) if event is not None else None

    @resolved("The reasons of the decision; null while there is none.")
    async def decision_reason(self, info: Info) -> str | None:
        event = await self._decided(info)
        return event.reason if event is not None else None

    @resolved("The grant that came of it, or that it is about; null where there is none.")
    async def grant(self, info: Info) -> Grant | None:
        return await grant_by_id(info, self._matter.grant) if self._matter.grant is not None else None

    async def _decided(self, info: Info) -> matters.MatterEvent | None:
        events = await history(info, self._matter)
        return next((event for event in events if event.event == "DECIDE"), None)


CoordinationResult: TypeAlias = Annotated[
    Coordination | InvalidAct | NotFound | NotPermitted | WrongState | Conflict,
    strawberry.union("CoordinationResult", description="The coordination after the act, or why it was not done."),
]


@strawberry.type
class CoordinationQueries:
    coordination = one_matter(
        Coordination, COORDINATION, "A coordination by id or number; null where there is none for this department."
    )
    coordinations = matters_of(
        Coordination, COORDINATION, "The coordinations that the department is a party to, or decides, by number."
    )


@strawberry.type
class CoordinationMutations:
    @resolved("States a position, with documents. Role `applicant`, `reviewer` or `coordinator`.")
    async def state_coordination_position(
        self,
        info: Info,
        id: IdArgument,
        version: VersionArgument,
        text: Annotated[str, strawberry.argument(description="The position in words; kept for good.")],
        documents: DocumentsArgument = None,
    ) -> CoordinationResult:
        desk, acting, number = info.context.office, info.context.acting, number_of(id)
        return await act_result(
            Coordination,
            with_documents(
                documents, lambda them: coordinations.state_position(desk, acting, number, version, text, them)
            ),
        )

    @resolved(
        "Decides, with the reason; it is carried out at once. What was not shared or refused: SHARE, all of it or the "
        "part that `terms` leaves, or CLOSE. A running service: KEEP, CHANGE to `terms` (by default to what the "
        "provider wished), or END. Role `coordinator`, and nobody who stated a position there."
    )
    @told
    async def decide_coordination(
        self,
        info: Info,
        id: IdArgument,
        version: VersionArgument,
        decision: Annotated[Decision, strawberry.argument(description="The decision.")],
        reason: ReasonArgument,
        terms: Annotated[TermsInput | None, strawberry.argument(description="For SHARE and CHANGE.")] = None,
        confirm_disclosure: Annotated[
            list[str] | None,
            strawberry.argument(description="Items that the row scope discloses, each confirmed by naming it."),
        ] = None,
        documents: DocumentsArgument = None,
    ) -> CoordinationResult:
        desk, acting, number = info.context.office, info.context.acting, number_of(id)
        given = terms.document() if terms is not None else None
        return await act_result(
            Coordination,
            with_documents(
                documents,
                lambda them: coordinations.decide(
                    desk,
                    acting,
                    number,
                    version,
                    decision,
                    reason,
                    terms=given,
                    confirmed=confirm_disclosure or (),
                    attached=them,
                ),
            ),
        )

    @resolved("Takes it back: the requester of data, or the provider who wants a service changed.")
    async def withdraw_coordination(
        self, info: Info, id: IdArgument, version: VersionArgument, note: NoteArgument = None
    ) -> CoordinationResult:
        desk, acting = info.context.office, info.context.acting
        return await act_result(Coordination, coordinations.withdraw(desk, acting, number_of(id), version, note or ""))
