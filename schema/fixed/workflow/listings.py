"""In charge of the two questions that every kind of matter has: one by its id, and a department's by number."""

from typing import Annotated, Any

import strawberry
from strawberry.types.field import StrawberryField

from schema.fixed.paging import After, Before, Connection, First, Last, Window
from schema.fixed.resolved import Info
from schema.fixed.workflow.matters import Matter, find_matter, matters_page, typed
from tanglai.catalogue.workflow.machines import MatterKind
from tanglai.catalogue.workflow.parties import Party

IdArgument = Annotated[strawberry.ID, strawberry.argument(description="Global id or number.")]
SideArgument = Annotated[
    Party | None, strawberry.argument(description="Only those in which the department is this party.")
]
StatesArgument = Annotated[list[str] | None, strawberry.argument(description="Only those in one of these states.")]
ResourceArgument = Annotated[str | None, strawberry.argument(description="Only those on the resource of this code.")]


def one_matter(cls: type[Matter], kind: MatterKind, description: str) -> StrawberryField:
    """The field of one matter of `kind`, as `cls`."""

    async def resolve(info: Info, id: IdArgument) -> Any:
        found = await find_matter(info, kind, id)
        return typed(cls, found) if found is not None else None

    field: StrawberryField = strawberry.field(resolver=resolve, graphql_type=cls | None, description=description)
    return field


def matters_of(cls: type[Matter], kind: MatterKind, description: str) -> StrawberryField:
    """The field of the department's matters of `kind`, as `cls`, by number."""

    async def resolve(
        info: Info,
        side: SideArgument = None,
        states: StatesArgument = None,
        resource: ResourceArgument = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Any:
        return await matters_page(info, cls, kind, side, states, resource, Window(first, after, last, before))

    field: StrawberryField = strawberry.field(
        resolver=resolve,
        graphql_type=Connection[cls],  # type: ignore[valid-type]
        description=description,
    )
    return field
