"""In charge of the grants that a department gives, and of those that a competent department looks after."""

from typing import Annotated

import strawberry

from schema.fixed.grants import Grant, grant_by_id, grant_node
from schema.fixed.paging import After, Before, Connection, First, Last, Window
from schema.fixed.resolved import Info, resolved
from schema.fixed.stored_pages import Span, stored_connection
from schema.fixed.workflow.matters import require_role
from tanglai.catalogue import model
from tanglai.storage.workflow import grants_view
from tanglai.storage.workflow.grants_view import GivenFilter
from tanglai.storage.workflow.grants_view import supervised as looked_after


@strawberry.type
class GrantQueries:
    @resolved("A grant that this department has, gives, or looks after as competent department; else null.")
    async def grant(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="Its id.")]
    ) -> Grant | None:
        require_role(info)
        return await grant_by_id(info, id)

    @resolved("Grants on the department's own resources, by id, in every state; takes a role of the law's work.")
    async def grants_given(
        self,
        info: Info,
        resource: Annotated[
            str | None, strawberry.argument(description="Only those on the resource of this code.")
        ] = None,
        requester: Annotated[
            str | None, strawberry.argument(description="Only those of this department: its key or credit code.")
        ] = None,
        states: Annotated[
            list[model.GrantState] | None, strawberry.argument(description="Only those in one of these states.")
        ] = None,
        supervised: Annotated[
            bool,
            strawberry.argument(
                description="Instead those on resources of all departments whose competent department this one is."
            ),
        ] = False,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Grant]:
        require_role(info)
        desk, snapshot, own = info.context.office, info.context.snapshot, info.context.principal.department.code
        asked = snapshot.department_by_key.get(requester or "")
        wanted = GivenFilter(
            providers=looked_after(snapshot, own) if supervised else frozenset({own}),
            resource=resource,
            requester=asked.code if asked is not None else requester,
            states=tuple(states) if states is not None else None,
        )

        async def fetch(span: Span) -> list[model.Grant]:
            return await desk.read(
                lambda connection: grants_view.page(
                    connection,
                    snapshot,
                    wanted,
                    after=span.after,
                    before=span.before,
                    limit=span.limit,
                    last=span.last,
                )
            )

        async def count() -> int:
            return await desk.read(lambda connection: grants_view.count(connection, snapshot, wanted))

        window = Window(first, after, last, before)
        return await stored_connection(window, fetch, lambda grant: grant.id, grant_node, count)
