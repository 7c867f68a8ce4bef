"""In charge of how responses leave: the head with the first bytes of the body, in one packet.


uvicorn writes one after the other, and each write is a packet of its own: twice the work for both ends.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

JOINED_BYTES = 65_536
"""Copying a body of so many bytes to its head costs less than writing twice."""

_HEAD = b"HTTP/1."


class JoiningProtocol(HttpToolsProtocol):
    """HTTP/1.1 over httptools."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._plain, self._joining = transport, JoiningTransport(transport, self.loop)
        super().connection_made(self._joining)  # type: ignore[arg-type]

    def handle_websocket_upgrade(self) -> None:
        # A response to the request before may still be on its way: nothing of it may come after what comes now.
        self._joining.stop()
        self.transport = self._plain
        super().handle_websocket_upgrade()


class JoiningTransport:
    """A transport that holds the head of a response until more is written, or the event loop has come round once."""

    __slots__ = ("_head", "_joins", "_loop", "_write", "inner")

    def __init__(self, inner: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self.inner, self._loop, self._write = inner, loop, inner.write
        self._head: bytes | None = None
        self._joins = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def write(self, data: bytes) -> None:
        """Writes `data` at once, unless it is a head."""
        head = self._head
        if head is not None:
            self._head = None
            if len(data) <= JOINED_BYTES:
                self._write(head + data)
            else:
                self._write(head)
                self._write(data)
        elif self._joins and data.startswith(_HEAD):
            self._head = data
            self._loop.call_soon(self._came_round)
        else:
            self._write(data)

    def close(self) -> None:
        """Closes once everything is written."""
        self._flush()
        self.inner.close()

    def stop(self) -> None:
        """Writes everything at once from now on."""
        self._joins = False
        self._flush()

    def _came_round(self) -> None:
        if self.inner.is_closing():  # the client is gone
            self._head = None
        self._flush()

    def _flush(self) -> None:
        head, self._head = self._head, None
        if head is not None:
            self._write(head)
