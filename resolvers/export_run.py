"""In charge of running the plan of an export: its list in parts, and for each part what lies beyond relations."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from connectors.protocol import Row
from connectors.streams import stream
from resolvers.execution import Execution
from resolvers.plan import Answer, ConnectionShape, NodesShape, ObjectShape, Page, RowsCall, limit_path
from resolvers.rendering import PageBinding, Renderer
from tanglai.catalogue.errors import ErrorCode, TanglaiError

PART_ROWS = 1_000
"""Rows of a part at most,"""
PART_BEYOND = 20_000
"""and rows that lie beyond relations of a part, as far as their pages tell."""


@dataclass(slots=True)
class ExportExecution(Execution):
    """The run of an export. `most` rows of its list are given; `whole`: and no list that has more.

    `call` is the list, None where it is denied.
    """

    most: int = 0
    whole: bool = False
    call: RowsCall | None = field(init=False)

    def __post_init__(self) -> None:
        Execution.__post_init__(self)
        self.limits = replace(self.limits, rows=self.limits.export_bound)
        answer: Answer = self.plan.roots[0][1]
        while isinstance(answer, ObjectShape):
            answer = answer.fields[0][1]
        self.call = answer if isinstance(answer, RowsCall) else None

    def _page(self, call: RowsCall, page: Page) -> PageBinding:
        if call is self.call:
            return PageBinding(self.most, None, None, b"")
        return Execution._page(self, call, page)

    def bounds(self) -> dict[str, int]:
        """The most rows that are delivered, by resource."""
        bounds: dict[str, int] = {}

        def add(call: RowsCall, parents: int) -> None:
            own = parents * (self._pages[id(call)].size if call.page is not None else 1)
            bounds[call.resource.code] = bounds.get(call.resource.code, 0) + own
            for child in call.children:
                add(child, own)

        assert self.call is not None
        add(self.call, 1)
        return bounds

    async def parts(self) -> AsyncGenerator[list[str], None]:
        """The JSON texts of the rows, in the list's order. Raises TanglaiError for whatever a query answers with null.

        Raises LIMIT_EXCEEDED where the `whole` list was to be given and has more than `most` rows.
        """
        call = self.call
        assert call is not None
        assert call.page is not None
        if call.query.empty:
            return
        arguments = await self._keysets(call.keysets)
        arguments[limit_path(call.page.size)] = self.most + self.whole
        beyond = sum(self.bounds().values()) // self.most - 1
        size = max(1, min(PART_ROWS, PART_BEYOND // max(beyond, 1)))
        source = self.snapshot.sources[call.query.source]
        left = self.most
        self.made += 1
        async with aclosing(
            stream(
                self.sources.connector(source),
                call.query,
                arguments,
                size=size,
                timeout=self.limits.export_timeout,
            )
        ) as parts:
            async for rows in parts:
                left -= len(rows)
                if left < 0:
                    raise TanglaiError(
                        ErrorCode.LIMIT_EXCEEDED,
                        f"the list has more than {self.most} rows: export parts, or give `extensions.export.rows`",
                    )
                yield await self._rendered(call, rows)

    async def _rendered(self, call: RowsCall, rows: list[Row]) -> list[str]:
        beyond = await self._beyond(call, {None: (rows, False)}, 0)
        if self.failures:
            raise self.failures[0].error
        self._count(call.resource.code, len(rows))
        if call.grants:
            self.meter.rows(call, rows, 0)
        assert isinstance(call.shape, ConnectionShape)
        ((_, nodes),) = call.shape.fields
        assert isinstance(nodes, NodesShape)
        renderer = Renderer(self.seals, 0, beyond)
        return [renderer.object(nodes.row, row) for row in rows]

    def stop(self) -> None:
        """Cancels what is under way beyond relations."""
        for loader in self._loaders.values():
            loader.cancel()
