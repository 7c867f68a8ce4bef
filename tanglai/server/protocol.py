"""In charge of what this server does otherwise than uvicorn on a connection.

HTTP: the head of a response leaves with the first bytes of its body. uvicorn writes one after the other, and each write
is a packet of its own: twice the work for both ends.

Both: a connection that waits holds little. A deque takes 760 bytes however little is in it, and asyncio's events and
queues are made of them.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

JOINED_BYTES = 65_536
"""Copying a body of so many bytes to its head costs less than writing twice."""

_HEAD = b"HTTP/1."


class JoiningProtocol(HttpToolsProtocol):
    """HTTP/1.1 over httptools."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._plain, self._joining = transport, JoiningTransport(transport, self.loop)
        super().connection_made(self._joining)  # type: ignore[arg-type]
        self.flow = _Flow(self.transport)

    def handle_websocket_upgrade(self) -> None:
        # A response to the request before may still be on its way: nothing of it may come after what comes now.
        self._joining.stop()
        self.transport = self._plain
        super().handle_websocket_upgrade()


class _Flow(FlowControl):
    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.read_paused = self.write_paused = False
        self._is_writable_event = Gate()  # type: ignore[assignment]


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


class IdleWebSocketProtocol(WebSocketsSansIOProtocol):
    """WebSocket that holds nothing of its handshake afterwards, the headers in the ASGI scope included."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.queue, self.writable = Mailbox(), Gate()  # type: ignore[assignment]

    def start_keepalive(self) -> None:
        # The handshake is complete: the application has read what it needs.
        self.scope["headers"] = ()
        self.request.headers.clear()  # `conn` still has the request
        del self.request, self.response
        super().start_keepalive()


class Mailbox:
    """What uvicorn uses of `asyncio.Queue`, for one reader. Next to never is there more than one message in it."""

    __slots__ = ("_filled", "_messages")

    def __init__(self) -> None:
        self._messages: list[Any] = []
        self._filled = Gate()
        self._filled.clear()

    def empty(self) -> bool:
        return not self._messages

    def put_nowait(self, message: Any) -> None:
        self._messages.append(message)
        self._filled.set()

    async def get(self) -> Any:
        await self._filled.wait()
        message = self._messages.pop(0)
        if not self._messages:
            self._filled.clear()
        return message


class Gate:
    """What uvicorn uses of `asyncio.Event`: open at first."""

    __slots__ = ("_opening",)

    def __init__(self) -> None:
        self._opening: asyncio.Future[None] | None = None  # while it is closed

    def clear(self) -> None:
        if self._opening is None:
            self._opening = asyncio.get_running_loop().create_future()

    def set(self) -> None:
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.set_result(None)

    async def wait(self) -> None:
        while self._opening is not None:
            await asyncio.shield(self._opening)  # several wait: one that is cancelled takes nothing from the others
