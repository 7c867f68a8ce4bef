"""In charge of time and of failures in the storage tests: a clock moved by hand, held answers, a frozen line."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

from tanglai.catalogue.model import Resource, Snapshot, Zone
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.epochs import Epochs
from tanglai.storage.grants import DepartmentGrants
from tanglai.storage.listen import Hear
from tanglai.storage.snapshots import DEFAULT_RULE_SET


class Clock:
    """A steady clock that stands still unless it is moved."""

    def __init__(self) -> None:
        self.value = 1_000.0

    def __call__(self) -> float:
        return self.value


class Gate:
    """Counts what passes; while shut, what has been answered is held back."""

    def __init__(self) -> None:
        self.asked = 0
        self.held = asyncio.Event()
        self._open = asyncio.Event()
        self._open.set()

    def shut(self) -> None:
        self._open.clear()

    def open(self) -> None:
        self._open.set()
        self.held.clear()

    async def passed(self) -> None:
        if not self._open.is_set():
            self.held.set()
            await self._open.wait()


class WatchedDatabase(PlatformDatabase):
    """The real platform database, its answers counted and, if wanted, held back on the way to the replica."""

    confirms: Gate
    snapshots: Gate
    grants: Gate
    deaf = False

    async def confirm(self, since: int | None = None) -> Epochs:
        self.confirms.asked += 1
        answer = await super().confirm(since)
        await self.confirms.passed()
        return answer

    async def load_snapshot(
        self, zone: Zone, *, rule_set: str = DEFAULT_RULE_SET, previous: Snapshot | None = None
    ) -> Snapshot:
        self.snapshots.asked += 1
        answer = await super().load_snapshot(zone, rule_set=rule_set, previous=previous)
        await self.snapshots.passed()
        return answer

    async def load_department(
        self, department: str, resources: Mapping[str, Resource] | None = None
    ) -> DepartmentGrants:
        self.grants.asked += 1
        answer = await super().load_department(department, resources or {})
        await self.grants.passed()
        return answer

    def listening(self, hear: Hear) -> AbstractAsyncContextManager[None]:
        return _nothing() if self.deaf else super().listening(hear)


@asynccontextmanager
async def _nothing() -> AsyncIterator[None]:
    yield


async def watched(url: str) -> WatchedDatabase:
    database = await WatchedDatabase.open(url)
    database.confirms, database.snapshots, database.grants = Gate(), Gate(), Gate()
    return database


class Line:
    """A TCP relay before a server. Frozen, it takes connections and bytes and passes nothing on, as a dead network."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname, parts.port)
        self._parts = parts
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        """URL of the same database through this line."""
        server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        host = f"{self._parts.username}:{self._parts.password}@127.0.0.1:{port}"
        try:
            yield urlunsplit(self._parts._replace(netloc=host))
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def freeze(self) -> None:
        self._flowing.clear()

    def thaw(self) -> None:
        self._flowing.set()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._flowing.wait()
        there, back = await asyncio.open_connection(*self._target)
        self._tasks |= {
            asyncio.create_task(self._pump(reader, back)),
            asyncio.create_task(self._pump(there, writer)),
        }

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()
