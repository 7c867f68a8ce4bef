"""In charge of rows that leave as they arrive: a source's answer in parts, for lists that no memory should hold."""

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from typing import Protocol, runtime_checkable

from connectors.protocol import Arguments, Connector, Row, SourceQuery

FIRST_ROWS = 16
PART_BYTES = 4 << 20
"""Rows of a part are as many as fit, by what those before weighed."""


@runtime_checkable
class Streaming(Protocol):
    """A connector that gives rows in parts, all of one state of the source."""

    def stream(
        self, query: SourceQuery, arguments: Arguments, *, size: int, timeout: float
    ) -> AsyncGenerator[list[Row], None]:
        """The rows that `fetch` gives, in its order, at most `size` at a time; each part within `timeout` seconds.

        Parts of wide rows are smaller; none is empty. Closing the generator ends the work in the source; so does
        cancelling. Raises as `fetch`. Call it for queries without links and groups.
        """
        ...


async def stream(
    connector: Connector, query: SourceQuery, arguments: Arguments, *, size: int, timeout: float
) -> AsyncGenerator[list[Row], None]:
    """As `Streaming.stream`. A connector that cannot stream reads a bounded number of rows, which come in slices."""
    if isinstance(connector, Streaming):
        async with aclosing(connector.stream(query, arguments, size=size, timeout=timeout)) as parts:
            async for part in parts:
                yield part
        return
    for part in sliced(await connector.fetch(query, arguments, timeout=timeout), size):
        yield part


def next_size(rows: Sequence[Row], size: int) -> int:
    """How many rows to read after the part `rows`, at most `size`."""
    weight = sum([len(value) for row in rows for value in row if isinstance(value, str | bytes)])
    return max(1, min(size, len(rows) * 4, PART_BYTES * len(rows) // max(weight, 1)))


def sliced(rows: Sequence[Row], size: int) -> Iterator[list[Row]]:
    """`rows` in parts of at most `size`, none of them empty."""
    for start in range(0, len(rows), size):
        yield list(rows[start : start + size])
