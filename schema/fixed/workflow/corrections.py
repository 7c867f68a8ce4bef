"""In charge of corrections as GraphQL types: doubted data, the provider's check and its answer (Order 809 Art. 26)."""

from typing import Annotated, TypeAlias

import strawberry

from schema.fixed.ids import read_global_id
from schema.fixed.registers import Purpose, purpose
from schema.fixed.resolved import Info, resolved
from schema.fixed.workflow.applications import KeyArgument, NoteArgument, VersionArgument
from schema.fixed.workflow.listings import IdArgument, matters_of, one_matter
from schema.fixed.workflow.matters import Matter, act_result, number_of, of_kind
from schema.fixed.workflow.positions import DocumentsArgument, StatedPosition, positions, with_documents
from schema.fixed.workflow.results import Conflict, InvalidAct, NotFound, NotPermitted, WrongState
from tanglai.catalogue.workflow.correction import CorrectionAnswer
from tanglai.catalogue.workflow.machines import MatterKind
from tanglai.storage.errors import PolicyUnavailable
from tanglai.storage.workflow import corrections

CORRECTION = MatterKind.CORRECTION


@strawberry.input(description="What is doubted, and why.")
class CorrectionInput:
    resource: str = strawberry.field(description="Code or global id of the resource.")
    item: str = strawberry.field(description="Name of the item.")
    row: strawberry.ID = strawberry.field(description="Id of the data row, as a query gave it.")
    doubt: str = strawberry.field(description="Why it is doubted.")
    proposed: str | None = strawberry.field(default=None, description="What it should say.")
    purpose: str | None = strawberry.field(
        default=None, description="The purpose under which the row is read; by default the request's."
    )


@of_kind(CORRECTION)
@strawberry.type(description="A requester doubts a value that it sees; the provider checks it (Order 809 Art. 26).")
class Correction(Matter):
    @resolved("Code of the resource.")
    def resource_code(self) -> str:
        return str(self._matter.resource)

    @resolved("Name of the item.")
    def item(self) -> str:
        return str(self._matter.document["item"])

    @resolved("Id of the data row: the provider finds it by `node`, with the role `data.own`.")
    def row(self) -> strawberry.ID:
        return strawberry.ID(self._matter.document["row"])

    @resolved("Version of the resource at which it was reported.")
    def resource_version(self) -> int:
        return int(self._matter.document["version"])

    @resolved("Why it is doubted.")
    def doubt(self) -> str:
        return str(self._matter.document["doubt"])

    @resolved("What it should say, as the reporter thinks; null where it does not know.")
    def proposed(self) -> str | None:
        text: str | None = self._matter.document.get("proposed")
        return text

    @resolved("The purpose under which the reporter read it.")
    def purpose(self, info: Info) -> Purpose | None:
        return purpose(info, self._matter.document.get("purpose"))

    @resolved("What was said, the answer too, with its documents, the oldest first.")
    async def positions(self, info: Info) -> list[StatedPosition]:
        return await positions(info, self._matter)

    @resolved("What came of the check; null while nothing has.")
    def answer(self) -> CorrectionAnswer | None:
        state = self._matter.state
        return CorrectionAnswer(state) if state in CorrectionAnswer.__members__ else None


CorrectionResult: TypeAlias = Annotated[
    Correction | InvalidAct | NotFound | NotPermitted | WrongState | Conflict,
    strawberry.union("CorrectionResult", description="The correction after the act, or why it was not done."),
]


@strawberry.type
class CorrectionQueries:
    correction = one_matter(
        Correction, CORRECTION, "A correction by id or number; null where there is none for this department."
    )
    corrections = matters_of(Correction, CORRECTION, "The department's corrections, reported or received, by number.")


@strawberry.type
class CorrectionMutations:
    @resolved(
        "Reports a value that the requester is shown, clear or masked, and doubts. Whether it is shown is decided by a "
        "look-up like any other: it is recorded, and counts against quotas. Role `applicant`."
    )
    async def report_correction(
        self,
        info: Info,
        input: Annotated[CorrectionInput, strawberry.argument(description="What is doubted, and why.")],
        documents: DocumentsArgument = None,
        key: KeyArgument = None,
    ) -> CorrectionResult:
        context = info.context
        desk, acting, sees = context.office, context.acting, context.sees
        if sees is None:
            raise PolicyUnavailable
        named = read_global_id(input.resource)
        resource = named[1] if named is not None and named[0] == "Resource" else input.resource
        document = {
            "item": input.item,
            "row": input.row,
            "doubt": input.doubt,
            "proposed": input.proposed,
            "purpose": input.purpose or context.purpose,
        }
        return await act_result(
            Correction,
            with_documents(
                documents,
                lambda them: corrections.report(desk, acting, resource, document, sees, attached=them, key=key),
            ),
        )

    @resolved("Says that the check has begun. Role `reviewer`.")
    async def begin_correction(self, info: Info, id: IdArgument, version: VersionArgument) -> CorrectionResult:
        desk, acting = info.context.office, info.context.acting
        return await act_result(Correction, corrections.verify(desk, acting, number_of(id), version))

    @resolved("Answers: the value was corrected, or it is right. Role `reviewer`.")
    async def answer_correction(
        self,
        info: Info,
        id: IdArgument,
        version: VersionArgument,
        answer: Annotated[CorrectionAnswer, strawberry.argument(description="What came of the check.")],
        explanation: Annotated[str, strawberry.argument(description="In words; kept for good.")],
        documents: DocumentsArgument = None,
    ) -> CorrectionResult:
        desk, acting, number = info.context.office, info.context.acting, number_of(id)
        return await act_result(
            Correction,
            with_documents(
                documents, lambda them: corrections.answer(desk, acting, number, version, answer, explanation, them)
            ),
        )

    @resolved("Takes it back. Role `applicant`.")
    async def withdraw_correction(
        self, info: Info, id: IdArgument, version: VersionArgument, note: NoteArgument = None
    ) -> CorrectionResult:
        desk, acting = info.context.office, info.context.acting
        return await act_result(Correction, corrections.withdraw(desk, acting, number_of(id), version, note or ""))
