"""In charge of the cursor connections of the fixed part, over sequences that are in memory already."""

from bisect import bisect_left, bisect_right
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeAlias, TypeVar

import strawberry

from schema.fixed.ids import cursor, read_cursor
from schema.fixed.resolved import resolved
from schema.generated import PAGE_DEFAULT, PAGE_MAXIMUM
from tanglai.catalogue.errors import BadInput

NodeT = TypeVar("NodeT")
EntryT = TypeVar("EntryT")

First: TypeAlias = Annotated[
    int | None,
    strawberry.argument(
        description=f"At most so many entries from the start: 0 to {PAGE_MAXIMUM:,}, by default {PAGE_DEFAULT}."
    ),
]
After: TypeAlias = Annotated[str | None, strawberry.argument(description="Only entries after this cursor.")]
Last: TypeAlias = Annotated[
    int | None,
    strawberry.argument(
        description=f"At most so many entries from the end: 0 to {PAGE_MAXIMUM:,}. Not together with `first`."
    ),
]
Before: TypeAlias = Annotated[str | None, strawberry.argument(description="Only entries before this cursor.")]


@strawberry.type(description="Whether and where a list goes on beyond its page (Relay).")
class PageInfo:
    has_next_page: bool = strawberry.field(description="Whether there are entries after the page.")
    has_previous_page: bool = strawberry.field(description="Whether there are entries before the page.")
    start_cursor: str | None = strawberry.field(
        description="Cursor of the page's first entry; null where there is none."
    )
    end_cursor: str | None = strawberry.field(description="Cursor of the page's last entry; null where there is none.")


@strawberry.type(description="One entry with its place in the list.")
class Edge(Generic[NodeT]):
    node: NodeT = strawberry.field(description="The entry.")
    cursor: str = strawberry.field(description="Its place, for `after` and `before`.")


@strawberry.type(description="A page of a list (Relay cursor connection).")
class Connection(Generic[NodeT]):
    edges: list[Edge[NodeT]] = strawberry.field(description="The entries of the page with their places.")
    nodes: list[NodeT] = strawberry.field(description="The entries of the page alone.")
    page_info: PageInfo = strawberry.field(description="Whether and where the list goes on.")
    _total: strawberry.Private[Callable[[], int | Awaitable[int]]]

    @resolved("Number of all entries of the list, whatever the page.")
    def total_count(self) -> int:
        total: Any = self._total()
        return total  # type: ignore[no-any-return]  # a number, or what will be one


@dataclass(frozen=True, slots=True)
class Window:
    """What a page asks for."""

    first: int | None = None
    after: str | None = None
    last: int | None = None
    before: str | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[EntryT]):
    entries: Sequence[EntryT]
    cursors: Sequence[str]
    info: PageInfo
    total: int


def page(entries: Sequence[EntryT], key: Callable[[EntryT], str], window: Window) -> Page[EntryT]:
    """The part of `entries`, which are sorted by `key` (unique), that `window` asks for.

    A cursor names a place, not an entry: it stays good when its entry is gone. Raises BAD_INPUT for a size out of its
    limits or for both sizes, BAD_CURSOR for what is no cursor.
    """
    for size in (window.first, window.last):
        if size is not None and not 0 <= size <= PAGE_MAXIMUM:
            raise BadInput(f"`first` and `last` lie between 0 and {PAGE_MAXIMUM}")
    if window.first is not None and window.last is not None:
        raise BadInput("give `first` or `last`, not both")
    start, end = 0, len(entries)
    if window.after is not None:
        start = bisect_right(entries, read_cursor(window.after), key=key)
    if window.before is not None:
        end = max(start, bisect_left(entries, read_cursor(window.before), key=key))
    if window.last is not None:
        start = max(start, end - window.last)
    else:
        end = min(end, start + (PAGE_DEFAULT if window.first is None else window.first))
    chosen = entries[start:end]
    cursors = [cursor(key(entry)) for entry in chosen]
    info = PageInfo(
        has_next_page=end < len(entries),
        has_previous_page=start > 0,
        start_cursor=cursors[0] if cursors else None,
        end_cursor=cursors[-1] if cursors else None,
    )
    return Page(chosen, cursors, info, len(entries))


def connection(
    entries: Sequence[EntryT], key: Callable[[EntryT], str], window: Window, node: Callable[[EntryT], NodeT]
) -> Connection[NodeT]:
    """A page of `entries` as a connection of the nodes that `node` makes of them."""
    part = page(entries, key, window)
    nodes = [node(entry) for entry in part.entries]
    return Connection(
        edges=[Edge(node=node, cursor=place) for node, place in zip(nodes, part.cursors, strict=True)],
        nodes=nodes,
        page_info=part.info,
        _total=lambda: part.total,
    )
