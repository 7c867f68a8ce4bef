"""In charge of consultations as GraphQL types: what is needed, positions, terms proposed, and what comes of it."""

from datetime import datetime
from typing import Annotated, Any, TypeAlias

import strawberry

from schema.fixed.grants import Grant, grant_by_id
from schema.fixed.resolved import Info, resolved
from schema.fixed.workflow.applications import (
    Application,
    Asking,
    KeyArgument,
    NoteArgument,
    ReasonArgument,
    StatisticsInput,
    TermsInput,
    VersionArgument,
    moment_text,
    read_scope,
)
from schema.fixed.workflow.coordinations import Coordination
from schema.fixed.workflow.listings import IdArgument, matters_of, one_matter
from schema.fixed.workflow.matters import act_result, find_matter, history, number_of, of_kind, typed
from schema.fixed.workflow.positions import (
    DocumentsArgument,
    ProposedTerms,
    StatedPosition,
    positions,
    proposed_terms,
    with_documents,
)
from schema.fixed.workflow.results import Conflict, InvalidAct, NotFound, NotPermitted, WrongState, told
from tanglai.catalogue import model
from tanglai.catalogue.workflow.machines import MatterKind
from tanglai.storage.workflow import consultations

CONSULTATION = MatterKind.CONSULTATION

DisclosureArgument: TypeAlias = Annotated[
    list[str] | None,
    strawberry.argument(description="Items that the row scope discloses, each confirmed by naming it."),
]
TextArgument: TypeAlias = Annotated[str, strawberry.argument(description="The position in words; kept for good.")]


@strawberry.input(
    description="What is really needed though it is not shared or was refused. With `application`, what is not said is "
    "as it was applied for."
)
class ConsultationInput:
    application: strawberry.ID | None = strawberry.field(
        default=None, description="The application that was refused, in whole or in part."
    )
    resource: str | None = strawberry.field(default=None, description="Code of the resource.")
    items: list[str] | None = strawberry.field(default=None, description="Names of items.")
    relations: list[str] | None = strawberry.field(default=None, description="Names of relations.")
    scope: str | None = strawberry.field(
        default=None, description="The rows, as JSON in the form of a grant's row scope; by default all."
    )
    usage: model.Usage | None = strawberry.field(default=None, description="Whether rows or statistics; READ.")
    statistics: StatisticsInput | None = strawberry.field(default=None, description="The cube, for STATISTICS.")
    purpose: str | None = strawberry.field(default=None, description="Code of the purpose.")
    need: str = strawberry.field(description="Why duties really cannot be done without it (Art. 11(4)).")
    duty: str | None = strawberry.field(default=None, description="The duty that it is needed for.")
    legal_basis: str | None = strawberry.field(default=None, description="The legal basis of that duty.")
    scenario: str | None = strawberry.field(default=None, description="How the data will be used.")
    method: str | None = strawberry.field(default=None, description="How the data will be taken.")
    valid_from: datetime | None = strawberry.field(default=None, description="First moment; by default the grant's.")
    valid_to: datetime | None = strawberry.field(default=None, description="The time limit.")

    def document(self) -> dict[str, Any]:
        """As the matter keeps it. Raises InvalidAct for a scope that is no JSON object."""
        return {
            "application": number_of(self.application) if self.application is not None else None,
            "resource": self.resource,
            "items": self.items,
            "relations": self.relations,
            "scope": read_scope(self.scope),
            "usage": self.usage.value if self.usage is not None else None,
            "statistics": self.statistics.document() if self.statistics is not None else None,
            "purpose": self.purpose,
            "need": self.need,
            "duty": self.duty,
            "legalBasis": self.legal_basis,
            "scenario": self.scenario,
            "method": self.method,
            "validFrom": moment_text(self.valid_from),
            "validTo": moment_text(self.valid_to),
        }


@of_kind(CONSULTATION)
@strawberry.type(description="Requester and provider consult on data not shared or refused (Art. 11(4)).")
class Consultation(Asking):
    @resolved("Why duties really cannot be done without it.")
    def need(self) -> str:
        return str(self._said("need"))

    @resolved("The duty that it is needed for.")
    def duty(self) -> str:
        return str(self._said("duty"))

    @resolved("The legal basis of that duty.")
    def legal_basis(self) -> str:
        return str(self._said("legalBasis"))

    @resolved("The application that was refused; null where the data are not shared with anybody.")
    async def application(self, info: Info) -> Application | None:
        id = self._said("application")
        found = await find_matter(info, MatterKind.APPLICATION, id) if id is not None else None
        return typed(Application, found) if found is not None else None

    @resolved("Everything that was said, with its documents, the oldest first.")
    async def positions(self, info: Info) -> list[StatedPosition]:
        return await positions(info, self._matter)

    @resolved("The terms that the provider proposes, until they are declined; null where there are none.")
    def proposal(self) -> ProposedTerms | None:
        found = self._said("proposal")
        return proposed_terms(found["terms"]) if found is not None else None

    @resolved("The grant that was agreed on; null where there is none.")
    async def grant(self, info: Info) -> Grant | None:
        return await grant_by_id(info, self._matter.grant) if self._matter.grant is not None else None

    @resolved("The coordination that it was brought to; null where it was not.")
    async def coordination(self, info: Info) -> Coordination | None:
        if self._matter.state != "ESCALATED":
            return None
        events = await history(info, self._matter)
        found = await find_matter(info, MatterKind.COORDINATION, events[-1].given["coordination"])
        return typed(Coordination, found) if found is not None else None


ConsultationResult: TypeAlias = Annotated[
    Consultation | InvalidAct | NotFound | NotPermitted | WrongState | Conflict,
    strawberry.union("ConsultationResult", description="The consultation after the act, or why it was not done."),
]


@strawberry.type
class ConsultationQueries:
    consultation = one_matter(
        Consultation, CONSULTATION, "A consultation by id or number; null where there is none for this department."
    )
    consultations = matters_of(
        Consultation, CONSULTATION, "The department's consultations, opened or received, by number."
    )


@strawberry.type
class ConsultationMutations:
    @resolved("Consults the provider on data that are not shared or were refused (Art. 11(4)). Role `applicant`.")
    @told
    async def open_consultation(
        self,
        info: Info,
        input: Annotated[ConsultationInput, strawberry.argument(description="What is needed, and why.")],
        documents: DocumentsArgument = None,
        key: KeyArgument = None,
    ) -> ConsultationResult:
        desk, acting, document = info.context.office, info.context.acting, input.document()
        return await act_result(
            Consultation,
            with_documents(
                documents, lambda them: consultations.open_consultation(desk, acting, document, attached=them, key=key)
            ),
        )

    @resolved("States the position of one side, with documents. Role `applicant` or `reviewer`.")
    async def state_consultation_position(
        self,
        info: Info,
        id: IdArgument,
        version: VersionArgument,
        text: TextArgument,
        documents: DocumentsArgument = None,
    ) -> ConsultationResult:
        desk, acting, number = info.context.office, info.context.acting, number_of(id)
        return await act_result(
            Consultation,
            with_documents(
                documents, lambda them: consultations.state_position(desk, acting, number, version, text, them)
            ),
        )

    @resolved(
        "Proposes to grant what is asked for, or the part that `terms` leaves. Role `reviewer`, under `order-809` "
        "`head`."
    )
    @told
    async def propose_terms(
        self,
        info: Info,
        id: IdArgument,
        version: VersionArgument,
        terms: Annotated[
            TermsInput | None, strawberry.argument(description="What would be granted; by default all of it.")
        ] = None,
        confirm_disclosure: DisclosureArgument = None,
        note: NoteArgument = None,
        documents: DocumentsArgument = None,
    ) -> ConsultationResult:
        desk, acting, number = info.context.office, info.context.acting, number_of(id)
        given = terms.document() if terms is not None else {}
        return await act_result(
            Consultation,
            with_documents(
                documents,
                lambda them: consultations.propose(
                    desk,
                    acting,
                    number,
                    version,
                    given,
                    confirmed=confirm_disclosure or (),
                    reason=note or "",
                    attached=them,
                ),
            ),
        )

    @resolved("Accepts the terms: the grant holds from the next request on. Role `applicant`.")
    async def accept_terms(
        self, info: Info, id: IdArgument, version: VersionArgument, note: NoteArgument = None
    ) -> ConsultationResult:
        desk, acting = info.context.office, info.context.acting
        return await act_result(Consultation, consultations.accept(desk, acting, number_of(id), version, note or ""))

    @resolved("Declines the terms, with the reason; the consultation goes on. Role `applicant`.")
    async def decline_terms(
        self, info: Info, id: IdArgument, version: VersionArgument, reason: ReasonArgument
    ) -> ConsultationResult:
        desk, acting = info.context.office, info.context.acting
        return await act_result(Consultation, consultations.decline(desk, acting, number_of(id), version, reason))

    @resolved(
        "Brings a consultation that failed to the competent department, across levels to the common superior one. Both "
        "sides must have been heard, or the provider's time for that be over. Role `applicant` or `reviewer`."
    )
    async def escalate_consultation(
        self,
        info: Info,
        id: IdArgument,
        version: VersionArgument,
        reason: ReasonArgument,
        documents: DocumentsArgument = None,
    ) -> ConsultationResult:
        desk, acting, number = info.context.office, info.context.acting, number_of(id)
        return await act_result(
            Consultation,
            with_documents(documents, lambda them: consultations.escalate(desk, acting, number, version, reason, them)),
        )

    @resolved("Takes it back. Role `applicant`.")
    async def withdraw_consultation(
        self, info: Info, id: IdArgument, version: VersionArgument, note: NoteArgument = None
    ) -> ConsultationResult:
        desk, acting = info.context.office, info.context.acting
        return await act_result(Consultation, consultations.withdraw(desk, acting, number_of(id), version, note or ""))
