"""In charge of telling how the calls to a source end, so that supervision knows which sources are down."""

from collections.abc import Callable

from connectors.protocol import (
    Arguments,
    Capabilities,
    Connector,
    Row,
    SourceQuery,
    SourceTimeout,
    SourceUnavailable,
    TableStructure,
)


class Watched:
    """A connector whose calls are told to `seen`: the source's key, and an error code where the source did not answer.

    A call that is cancelled, or that the source could never answer, tells nothing of how the source is doing.
    """

    __slots__ = ("_connector", "_key", "_seen")

    def __init__(self, connector: Connector, key: str, seen: Callable[[str, str | None], None]) -> None:
        self._connector = connector
        self._key = key
        self._seen = seen

    @property
    def capabilities(self) -> Capabilities:
        return self._connector.capabilities

    async def fetch(self, query: SourceQuery, arguments: Arguments, *, timeout: float) -> list[Row]:
        try:
            rows = await self._connector.fetch(query, arguments, timeout=timeout)
        except (SourceUnavailable, SourceTimeout) as error:
            self._seen(self._key, error.code.value)
            raise
        self._seen(self._key, None)
        return rows

    async def introspect(self) -> list[TableStructure]:
        return await self._connector.introspect()

    async def close(self) -> None:
        await self._connector.close()
