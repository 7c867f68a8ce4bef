"""In charge of the kinds of sources that random worlds stand on, each opened when it is first needed."""

import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from connectors.pool import SourcePool
from tanglai.storage.embedded import EmbeddedPostgres
from tests.oracle.grounds import Ground
from tests.oracle.on_files import fitted, on_files
from tests.oracle.on_interface import Interface, on_interface
from tests.oracle.on_postgresql import ground_on_postgresql
from tests.oracle.on_server import Served, serving
from tests.oracle.worlds import USUAL, Bounds, Drawn

FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "jit": "off"}
PAGEABLE = Bounds(pageable=True)


def _as_it_is(drawn: Drawn) -> Drawn:
    return drawn


@dataclass(frozen=True)
class Kind:
    """`bounds` of its worlds; `fit` makes their rows such as the sources can hold."""

    name: str
    bounds: Bounds = PAGEABLE
    fit: Callable[[Drawn], Drawn] = _as_it_is


KINDS = {
    kind.name: kind
    for kind in (
        Kind("memory", USUAL),
        Kind("postgresql"),
        Kind("csv", fit=fitted),
        Kind("parquet", fit=fitted),
        Kind("interface"),
        Kind("server", USUAL),
    )
}
"""memory: rows in this process. postgresql: tables. csv, parquet: files. interface: JSON over HTTP. server: rows in
this process, asked through the platform's own server over a socket.

Without a row handle or another total order the rows of a source come in any order: only memory may do without.
"""


class Grounds:
    """Worlds on any kind of source, for one event loop. `database` gives the URL of an empty database when asked."""

    def __init__(self, database: Callable[[], str] | None = None) -> None:
        self._database = database
        self._url: str | None = None
        self._interface: Interface | None = None
        self._served: Served | None = None
        self._folder: Path | None = None

    async def __aenter__(self) -> "Grounds":
        self._stack = AsyncExitStack()
        self._pool = SourcePool({})
        self._stack.push_async_callback(self._pool.close)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @asynccontextmanager
    async def on(self, kind: str, drawn: Drawn) -> AsyncIterator[Ground]:
        """`drawn` on sources of `kind`, until the end of the block."""
        match kind:
            case "memory":
                yield Ground.in_memory(drawn)
            case "postgresql":
                async with ground_on_postgresql(drawn, self._database_url(), self._pool) as ground:
                    yield ground
            case "csv" | "parquet":
                if self._folder is None:
                    self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
                async with on_files(drawn, self._folder, f".{kind}", self._pool) as ground:
                    yield ground
            case "interface":
                if self._interface is None:
                    self._interface = await self._stack.enter_async_context(Interface())
                async with on_interface(drawn, self._interface, self._pool) as ground:
                    yield ground
            case "server":
                if self._served is None:
                    self._served = self._stack.enter_context(serving())
                yield self._served.ground(drawn)
            case _:
                raise ValueError(f"`{kind}` is no kind of source")

    def _database_url(self) -> str:
        if self._url is None:
            if self._database is None:
                folder = self._stack.enter_context(tempfile.TemporaryDirectory())
                server = self._stack.enter_context(EmbeddedPostgres(Path(folder) / "postgres", settings=FAST))
                server.create_database("oracle")
                self._url = server.url("oracle")
            else:
                self._url = self._database()
        return self._url
