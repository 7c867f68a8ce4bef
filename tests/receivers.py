"""In charge of receivers of webhooks for tests: a real HTTP server on this machine that keeps what it is sent."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Sent:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """Answers with `answer`, bytes of a whole HTTP response; None: it never does."""

    url: str = ""
    answer: bytes | None = b"HTTP/1.1 204 No Content\r\n\r\n"
    endless: bool = False
    requests: "asyncio.Queue[Sent]" = field(default_factory=asyncio.Queue)

    @property
    def host(self) -> str:
        """As an entry of the allowed hosts."""
        return self.url

    async def heard(self) -> Sent:
        async with asyncio.timeout(15):
            return await self.requests.get()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").splitlines()
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            self.requests.put_nowait(Sent(head[0].split(" ")[1], headers, body))
            if self.answer is None:
                await reader.read()
                return
            writer.write(self.answer)
            while self.endless:
                writer.write(b"x" * 65_536)
                await writer.drain()
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def receiving(**options: Any) -> AsyncIterator[Receiver]:
    """A receiver on a free port until the end of the block; `ssl` as for asyncio.start_server."""
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, **options)
    scheme = "https" if options.get("ssl") is not None else "http"
    receiver.url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield receiver
    finally:
        server.close()
