"""In charge of the cursor connections of the fixed part over rows of the platform database, by keyset."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from schema.fixed.ids import cursor, read_cursor
from schema.fixed.paging import Connection, Edge, PageInfo, Window
from schema.generated import PAGE_DEFAULT, PAGE_MAXIMUM
from tanglai.catalogue.errors import BadInput

NodeT = TypeVar("NodeT")
EntryT = TypeVar("EntryT")


@dataclass(frozen=True, slots=True)
class Span:
    """Entries whose key lies between `after` and `before`, both excluded: the first `limit`, or the last."""

    after: str | None
    before: str | None
    limit: int
    last: bool


Fetch: TypeAlias = Callable[[Span], Awaitable[Sequence[EntryT]]]
"""The entries of a span in the order of their keys."""


async def stored_connection(
    window: Window,
    fetch: Fetch[EntryT],
    key: Callable[[EntryT], str],
    node: Callable[[EntryT], NodeT],
    count: Callable[[], Awaitable[int]],
) -> Connection[NodeT]:
    """A page of the entries that `fetch` reads; one more than the page, to tell whether the list goes on.

    `count` runs only where `totalCount` is asked for. Raises BAD_INPUT and BAD_CURSOR as `paging.page` does.
    """
    for size in (window.first, window.last):
        if size is not None and not 0 <= size <= PAGE_MAXIMUM:
            raise BadInput(f"`first` and `last` lie between 0 and {PAGE_MAXIMUM}")
    if window.first is not None and window.last is not None:
        raise BadInput("give `first` or `last`, not both")
    after = read_cursor(window.after) if window.after is not None else None
    before = read_cursor(window.before) if window.before is not None else None
    backward = window.last is not None
    size = window.last if window.last is not None else PAGE_DEFAULT if window.first is None else window.first
    found = list(await fetch(Span(after, before, size + 1, backward)))
    more = len(found) > size
    if more:
        found = found[1:] if backward else found[:size]
    nodes = [node(entry) for entry in found]
    places = [cursor(key(entry)) for entry in found]
    return Connection(
        edges=[Edge(node=node, cursor=place) for node, place in zip(nodes, places, strict=True)],
        nodes=nodes,
        page_info=PageInfo(
            has_next_page=before is not None if backward else more,
            has_previous_page=more if backward else after is not None,
            start_cursor=places[0] if places else None,
            end_cursor=places[-1] if places else None,
        ),
        _total=count,
    )
