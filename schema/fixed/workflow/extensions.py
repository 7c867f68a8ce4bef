"""In charge of extensions of deadlines as GraphQL types: asked for in time, decided by the competent department."""

from datetime import date
from typing import Annotated, TypeAlias

import strawberry

from schema.fixed.resolved import Info, resolved
from schema.fixed.workflow.applications import KeyArgument, ReasonArgument, VersionArgument
from schema.fixed.workflow.listings import IdArgument, matters_of, one_matter
from schema.fixed.workflow.matters import Matter, act_result, find_matter, history, node, number_of, of_kind
from schema.fixed.workflow.results import Conflict, InvalidAct, NotFound, NotPermitted, WrongState
from tanglai.catalogue.rules import DeadlineKind
from tanglai.catalogue.workflow.machines import MatterKind
from tanglai.storage.workflow import extensions

EXTENSION = MatterKind.EXTENSION


@of_kind(EXTENSION)
@strawberry.type(
    description="A deadline shall run longer, once, with the competent department's consent (Order 809 Art. 17, 21)."
)
class Extension(Matter):
    @resolved("The application or obligation that it is about; null where the department is no party to it.")
    async def about(self, info: Info) -> Matter | None:
        found = await find_matter(info, None, self._matter.parent or "")
        return node(found) if found is not None else None

    @resolved("Number of the application or obligation that it is about.")
    def about_number(self) -> str:
        return str(self._matter.parent)

    @resolved("Which deadline.")
    def deadline(self) -> DeadlineKind:
        return DeadlineKind(self._matter.document["deadline"])

    @resolved("When it was due as it was asked for.")
    def due_on(self) -> date:
        return date.fromisoformat(self._matter.document["dueOn"])

    @resolved("Why more time is asked for.")
    async def reason(self, info: Info) -> str:
        found = await history(info, self._matter)
        return next(it.reason for it in found if it.event == "REQUEST")

    @resolved("Working days that are asked for.")
    def days(self) -> int:
        return int(self._matter.document["days"])


ExtensionResult: TypeAlias = Annotated[
    Extension | InvalidAct | NotFound | NotPermitted | WrongState | Conflict,
    strawberry.union("ExtensionResult", description="The extension after the act, or why it was not done."),
]


@strawberry.type
class ExtensionQueries:
    extension = one_matter(
        Extension, EXTENSION, "An extension by id or number; null where there is none for this department."
    )
    extensions = matters_of(
        Extension, EXTENSION, "The extensions that the department asked for, decides, or is concerned by, by number."
    )


@strawberry.type
class ExtensionMutations:
    @resolved(
        "Asks for more time, before it is due. Role `reviewer` for the reply to an application, `cataloguer` for an "
        "obligation."
    )
    async def request_extension(
        self,
        info: Info,
        about: Annotated[
            strawberry.ID, strawberry.argument(description="Global id or number of the application or obligation.")
        ],
        days: Annotated[int, strawberry.argument(description="Working days more.")],
        reason: ReasonArgument,
        key: KeyArgument = None,
    ) -> ExtensionResult:
        desk, acting = info.context.office, info.context.acting
        return await act_result(Extension, extensions.request(desk, acting, number_of(about), days, reason, key=key))

    @resolved("Consents, and the deadline runs longer at once; or does not. Role `coordinator`.")
    async def decide_extension(
        self,
        info: Info,
        id: IdArgument,
        version: VersionArgument,
        granted: Annotated[bool, strawberry.argument(description="Whether the deadline runs longer.")],
        reason: ReasonArgument,
    ) -> ExtensionResult:
        desk, acting = info.context.office, info.context.acting
        return await act_result(Extension, extensions.decide(desk, acting, number_of(id), version, granted, reason))

    @resolved("Needs it no more. Role `reviewer` or `cataloguer`.")
    async def withdraw_extension(self, info: Info, id: IdArgument, version: VersionArgument) -> ExtensionResult:
        desk, acting = info.context.office, info.context.acting
        return await act_result(Extension, extensions.withdraw(desk, acting, number_of(id), version))
