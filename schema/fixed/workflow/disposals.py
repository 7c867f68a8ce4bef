"""In charge of disposal statements as GraphQL types: what became of the data of a grant that is over."""

from datetime import date
from typing import Annotated, Any, TypeAlias

import strawberry

from schema.fixed.grants import Grant, grant_by_id
from schema.fixed.resolved import Info, resolved
from schema.fixed.workflow.applications import VersionArgument
from schema.fixed.workflow.listings import IdArgument, matters_of, one_matter
from schema.fixed.workflow.matters import Matter, act_result, number_of, of_kind
from schema.fixed.workflow.results import Conflict, InvalidAct, NotFound, NotPermitted, WrongState
from schema.fixed.workflow.suspensions import GrantArgument
from tanglai.catalogue.workflow.machines import MatterKind
from tanglai.storage.workflow import disposals

DISPOSAL = MatterKind.DISPOSAL


@strawberry.input(description="Data that are kept, and why that is lawful.")
class KeptInput:
    what: str = strawberry.field(description="What is kept.")
    legal_basis: str = strawberry.field(description="Law and article by which it is.")


@strawberry.input(description="What became of the data.")
class DisposalInput:
    method: str = strawberry.field(description="How they were disposed of.")
    disposed_on: date = strawberry.field(description="When: a day that is not to come.")
    kept: list[KeptInput] | None = strawberry.field(default=None, description="What of them is kept.")

    def document(self) -> dict[str, Any]:
        """In the form of a statement."""
        kept = [{"what": it.what, "legalBasis": it.legal_basis} for it in self.kept or ()]
        return {"method": self.method, "disposedOn": self.disposed_on, "kept": kept}


@strawberry.type(description="Data that are kept, and why that is lawful.")
class Kept:
    what: str = strawberry.field(description="What is kept.")
    legal_basis: str = strawberry.field(description="Law and article by which it is.")


@of_kind(DISPOSAL)
@strawberry.type(description="The statement of what became of the data of a grant that is over (Order 809 Art. 25).")
class Disposal(Matter):
    @resolved("The grant, as it is now.")
    async def grant(self, info: Info) -> Grant | None:
        return await grant_by_id(info, self._matter.grant or "", self._matter.version)

    @resolved("How the data were disposed of; null while it is not stated.")
    def method(self) -> str | None:
        method: str | None = self._matter.document.get("method")
        return method

    @resolved("When; null while it is not stated.")
    def disposed_on(self) -> date | None:
        day = self._matter.document.get("disposedOn")
        return date.fromisoformat(day) if day is not None else None

    @resolved("What is kept.")
    def kept(self) -> list[Kept]:
        return [Kept(what=it["what"], legal_basis=it["legalBasis"]) for it in self._matter.document.get("kept", ())]


DisposalResult: TypeAlias = Annotated[
    Disposal | InvalidAct | NotFound | NotPermitted | WrongState | Conflict,
    strawberry.union("DisposalResult", description="The statement, or why it was not recorded."),
]
InputArgument = Annotated[DisposalInput, strawberry.argument(description="What became of the data.")]


@strawberry.type
class DisposalQueries:
    disposal = one_matter(
        Disposal, DISPOSAL, "A disposal statement by id or number; null where there is none for this department."
    )
    disposals = matters_of(
        Disposal, DISPOSAL, "The disposal statements, owed and made, that the department is a party to, by number."
    )


@strawberry.type
class DisposalMutations:
    @resolved("States what became of the data of a grant that is over. Role `applicant`.")
    async def state_disposal(
        self, info: Info, id: IdArgument, version: VersionArgument, input: InputArgument
    ) -> DisposalResult:
        desk, acting = info.context.office, info.context.acting
        return await act_result(Disposal, disposals.state(desk, acting, number_of(id), version, input.document()))

    @resolved(
        "The same of one's own accord, also for a running grant whose purpose is fulfilled: it ends. Role `applicant`."
    )
    async def dispose_of_grant(self, info: Info, grant: GrantArgument, input: InputArgument) -> DisposalResult:
        desk, acting = info.context.office, info.context.acting
        return await act_result(Disposal, disposals.dispose(desk, acting, grant, input.document()))
