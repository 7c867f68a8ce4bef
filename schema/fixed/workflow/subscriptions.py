"""In charge of the root fields of subscriptions: each says what it follows, then answers as of now.

A field is answered anew for every event (resolvers/subscriptions.py), by the requester, the catalogue and the moment
of then. INVARIANT: what it follows is said before anything is read, so that no change falls in between.
"""

from typing import Annotated

import strawberry

from schema.context import Stream
from schema.fixed.resolved import Info, resolved
from schema.fixed.workflow.imports import CatalogueImport, catalogue_import_of, find_import
from schema.fixed.workflow.inbox import Inbox, inbox
from tanglai.catalogue.errors import BadInput
from tanglai.storage.workflow.feed import import_key


def stream_of(info: Info) -> Stream:
    """The stream that the operation is an event of."""
    stream = info.context.stream
    if stream is None:
        raise BadInput("this field is for subscriptions")
    return stream


@strawberry.type(
    description="What changes while one watches: each field has one event at once, then one per change. Changes that "
    "come close together are one event."
)
class Subscription:
    @resolved("The inbox of the requester, whenever tasks or notices of the department change.")
    async def inbox_changed(self, info: Info) -> Inbox:
        stream_of(info).follow(info.context.principal.department.code)
        return await inbox(info)

    @resolved(
        "An import of the department while it goes on; the last event is its end. Null, and no more, where there is "
        "none of this number."
    )
    async def import_progress(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="Its number.")]
    ) -> CatalogueImport | None:
        stream = stream_of(info)
        stream.follow(import_key(str(id)))
        it = await find_import(info, str(id))
        if it is None or it.over:
            stream.finish()
        return catalogue_import_of(info, it) if it is not None else None
