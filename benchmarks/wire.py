"""In charge of a network that hangs: a wire to a server that takes connections and bytes and passes nothing on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit


class Wire:
    """Passes TCP connections on to `host`:`port`, but for the time that it hangs."""

    def __init__(self, host: str, port: int) -> None:
        self._to = host, port
        self._open = asyncio.Event()
        self._open.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.connections = 0
        """Those that a client holds now."""
        self.most = 0
        """The most that clients held at once."""

    def hang(self) -> None:
        self._open.clear()

    def go_on(self) -> None:
        """Everything that was held up goes on."""
        self._open.set()

    @asynccontextmanager
    async def to(self, url: str) -> AsyncIterator[str]:
        """`url`, but through this wire."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        parts = urlsplit(url)
        user, at, _ = parts.netloc.rpartition("@")
        try:
            yield urlunsplit(parts._replace(netloc=f"{user}{at}127.0.0.1:{port}"))
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.most = max(self.most, self.connections)
        beyond: asyncio.StreamWriter | None = None
        back: asyncio.Task[None] | None = None
        try:
            while data := await reader.read(65536):
                await self._open.wait()
                if beyond is None:
                    answers, beyond = await asyncio.open_connection(*self._to)
                    back = asyncio.create_task(self._pass(answers, writer))
                beyond.write(data)
        except ConnectionError:
            pass
        finally:
            self.connections -= 1
            if back is not None:
                back.cancel()
            for end in (writer, beyond):
                if end is not None:
                    end.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self._open.wait()
            writer.write(data)
        writer.close()


@asynccontextmanager
async def wire(url: str) -> AsyncIterator[tuple[Wire, str]]:
    """A wire to the host of `url`, and the URL that leads through it."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    made = Wire(parts.hostname, parts.port)
    async with made.to(url) as through:
        yield made, through
