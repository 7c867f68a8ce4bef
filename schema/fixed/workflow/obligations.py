"""In charge of obligations to update a catalogue as GraphQL types: the change of law or functions behind them."""

from datetime import date
from typing import Annotated, TypeAlias

import strawberry

from schema.fixed.paging import After, Before, Connection, First, Last, Window
from schema.fixed.resolved import Info, resolved
from schema.fixed.resources import Resource, find_resource
from schema.fixed.workflow.applications import KeyArgument, ReasonArgument, VersionArgument
from schema.fixed.workflow.listings import IdArgument, one_matter
from schema.fixed.workflow.matters import (
    Matter,
    act_result,
    history,
    matters_page,
    number_of,
    of_kind,
    typed,
)
from schema.fixed.workflow.results import Conflict, InvalidAct, NotFound, NotPermitted, WrongState, acted
from tanglai.catalogue.workflow.machines import MatterKind
from tanglai.catalogue.workflow.parties import Party
from tanglai.storage.workflow import obligations
from tanglai.storage.workflow.obligations import LegalChange

OBLIGATION = MatterKind.OBLIGATION


@strawberry.input(description="A change of law or functions that makes departments bring their catalogues up to date.")
class LegalChangeInput:
    title: str = strawberry.field(description="What changed.")
    changed_on: date = strawberry.field(
        description="Day of the change, of Asia/Shanghai; working days count from the next one, whenever it is told."
    )
    departments: list[str] = strawberry.field(description="Credit codes or keys of the departments that it touches.")
    article: str | None = strawberry.field(default=None, description="Where it stands.")
    resources: list[str] | None = strawberry.field(
        default=None, description="Codes of their resources that are to be looked at."
    )
    note: str | None = strawberry.field(default=None, description="What is to be done, in words.")

    def change(self) -> LegalChange:
        return LegalChange(
            title=self.title,
            changed_on=self.changed_on,
            departments=tuple(self.departments),
            article=self.article or "",
            resources=tuple(self.resources or ()),
            note=self.note or "",
        )


@of_kind(OBLIGATION)
@strawberry.type(
    description="What a change of law or functions obliges a department to: its catalogue up to date in time (Art. 8)."
)
class Obligation(Matter):
    @resolved("What changed.")
    def title(self) -> str:
        return str(self._matter.document["title"])

    @resolved("Where the change stands; empty where nothing was said.")
    def changed_article(self) -> str:
        return str(self._matter.document["article"])

    @resolved("Day of the change, from which the working days count.")
    def changed_on(self) -> date:
        return date.fromisoformat(self._matter.document["changedOn"])

    @resolved("What is to be done, in words.")
    def note(self) -> str:
        return str(self._matter.document["note"])

    @resolved("The department's resources that are to be looked at; retired ones are left out.")
    def resources(self, info: Info) -> list[Resource]:
        codes = self._matter.document["resources"]
        return [found for code in codes if (found := find_resource(info, code)) is not None]

    @resolved("Number of the entry that met it; null while none did.")
    async def met_by(self, info: Info) -> str | None:
        found = await history(info, self._matter)
        return next((event.given.get("entry") for event in found if event.event == "MEET"), None)


@strawberry.type(description="The obligations that were opened, one for each department.")
class OpenedObligations:
    obligations: list[Obligation] = strawberry.field(description="In the order of the departments given.")


OpenResult: TypeAlias = Annotated[
    OpenedObligations | InvalidAct | NotFound | NotPermitted | WrongState | Conflict,
    strawberry.union("OpenObligationsResult", description="The obligations, or why none was opened."),
]
ObligationResult: TypeAlias = Annotated[
    Obligation | InvalidAct | NotFound | NotPermitted | WrongState | Conflict,
    strawberry.union("ObligationResult", description="The obligation after the act, or why it was not done."),
]


@strawberry.type
class ObligationQueries:
    obligation = one_matter(
        Obligation, OBLIGATION, "An obligation by id or number; null where there is none for this department."
    )

    @resolved("The department's obligations, its own or those that it supervises, by number.")
    async def obligations(
        self,
        info: Info,
        side: Annotated[
            Party | None,
            strawberry.argument(description="Only its own (PROVIDER), or only those it supervises (COORDINATOR)."),
        ] = None,
        states: Annotated[
            list[str] | None, strawberry.argument(description="Only those in one of these states.")
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Obligation]:
        window = Window(first, after, last, before)
        return await matters_page(info, Obligation, OBLIGATION, side, states, None, window)


@strawberry.type
class ObligationMutations:
    @resolved(
        "Opens an obligation for each department that a change of law or functions touches, due by the day of the "
        "change; it may open overdue (Art. 8). Role `supervisor` of the competent department, for the departments of "
        "its level and area; role `cataloguer`, for the own department."
    )
    async def open_obligations(
        self,
        info: Info,
        change: Annotated[LegalChangeInput, strawberry.argument(description="The change.")],
        key: KeyArgument = None,
    ) -> OpenResult:
        desk, acting = info.context.office, info.context.acting
        done = await acted(obligations.open_all(desk, acting, change.change(), key=key))
        return OpenedObligations(obligations=[typed(Obligation, it) for it in done]) if isinstance(done, list) else done

    @resolved("Takes an obligation away, with reasons. Role `supervisor` of the competent department.")
    async def cancel_obligation(
        self, info: Info, id: IdArgument, version: VersionArgument, reason: ReasonArgument
    ) -> ObligationResult:
        desk, acting = info.context.office, info.context.acting
        return await act_result(Obligation, obligations.cancel(desk, acting, number_of(id), version, reason))
