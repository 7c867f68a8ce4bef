"""In charge of a source's calls: each goes through the source's gate, and how it ends is told to whoever watches."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from connectors.gate import Gate
from connectors.protocol import (
    Arguments,
    Bounds,
    Capabilities,
    Connector,
    Row,
    SourceBusy,
    SourceQuery,
    SourceTimeout,
    SourceUnavailable,
    TableStructure,
)
from connectors.streams import Streaming, sliced

STRUCTURE_SECONDS = 60.0
"""How long a look at the structure waits for its turn, at most."""

STREAM_SHARE = 4
"""Of so many calls that may run at once one may be a stream, so that queries always have some."""


class Watched:
    """A connector behind `gate` whose calls are told to `seen`: the source's key, and an error code where it failed.

    A call that is cancelled, that got no turn, or that the source could never answer, tells nothing of how the source
    is doing.
    """

    __slots__ = ("_connector", "_gate", "_key", "_seen", "_streams")

    def __init__(
        self, connector: Connector, key: str, gate: Gate, seen: Callable[[str, str | None], None] | None
    ) -> None:
        self._connector = connector
        self._key = key
        self._gate = gate
        self._seen = seen
        self._streams = 0

    @property
    def capabilities(self) -> Capabilities:
        return self._connector.capabilities

    @property
    def bounds(self) -> Bounds:
        return self._connector.bounds

    async def fetch(self, query: SourceQuery, arguments: Arguments, *, timeout: float) -> list[Row]:
        gate, left = self._gate, timeout
        if gate.running < gate.allowed:
            gate.running += 1
        else:
            left = await gate.turn(timeout)
        try:
            rows = await self._connector.fetch(query, arguments, timeout=left)
        except (SourceUnavailable, SourceTimeout) as error:
            # A call that waited for most of its time says nothing of a source that did not answer in the rest.
            if isinstance(error, SourceUnavailable) or left > timeout / 2:
                self._failed(error)
            raise
        else:
            if gate.failures:
                gate.answered()
        finally:
            gate.leave()
        if self._seen is not None:
            self._seen(self._key, None)
        return rows

    async def stream(
        self, query: SourceQuery, arguments: Arguments, *, size: int, timeout: float
    ) -> AsyncGenerator[list[Row], None]:
        """See `Streaming`. A stream holds its place in the gate until it ends. Raises SourceBusy."""
        gate, most = self._gate, self.bounds.calls
        if not isinstance(self._connector, Streaming):
            for part in sliced(await self.fetch(query, arguments, timeout=timeout), size):
                yield part
            return
        if self._streams >= max(most // STREAM_SHARE, min(most - 1, 1)):
            raise SourceBusy(self._key)
        self._streams += 1
        try:
            async with gate.passing(timeout):
                parts = self._connector.stream(query, arguments, size=size, timeout=timeout)
                async with aclosing(parts):
                    async for part in parts:
                        yield part
        except (SourceUnavailable, SourceTimeout) as error:
            self._failed(error)
            raise
        finally:
            self._streams -= 1
        if gate.failures:
            gate.answered()
        if self._seen is not None:
            self._seen(self._key, None)

    def _failed(self, error: SourceUnavailable | SourceTimeout) -> None:
        if isinstance(error, SourceUnavailable) and error.reached:
            self._gate.answered()
        else:
            self._gate.missed(refused=isinstance(error, SourceUnavailable))
        if self._seen is not None:
            self._seen(self._key, error.code.value)

    async def introspect(self) -> list[TableStructure]:
        async with self._gate.passing(STRUCTURE_SECONDS):
            return await self._connector.introspect()

    async def close(self) -> None:
        self._gate.close()
        await self._connector.close()
