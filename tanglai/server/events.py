"""In charge of subscriptions over HTTP: one response per subscription, its events framed as the client can read them.

Server-sent events are those of GraphQL over SSE, distinct connections mode; parts are Apollo's multipart subscriptions.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from enum import Enum

from starlette.types import Receive, Send

from tanglai.catalogue.errors import TanglaiError
from tanglai.server.gateway import GraphQLResponse
from tanglai.server.identity import Claims, unauthenticated
from tanglai.server.refusals import Headers, error_body, status_of
from tanglai.server.supervision import ClientLeft

HEARTBEAT_SECONDS = 12.0
"""A proxy that sees nothing for longer takes the connection for dead, commonly after 15 s or more."""
SLOW_CLIENT_SECONDS = 30.0
MAX_TIMER_SECONDS = 30 * 86_400.0

_BOUNDARY = b"\r\n--graphql"


@dataclass(frozen=True, slots=True)
class Framing:
    """How events become bytes. `before` and `after` stand around the JSON of each."""

    media: bytes
    opening: bytes
    before: bytes
    after: bytes
    heartbeat: bytes
    end: bytes

    def event(self, body: bytes) -> bytes:
        """The event of the response `body`, which is JSON: a line end in it can only stand between its tokens."""
        return self.before + body.replace(b"\r", b" ").replace(b"\n", b" ") + self.after

    def whole(self, body: bytes) -> bytes:
        """A response of one event."""
        return self.opening + self.event(body) + self.end


class Framings(Enum):
    """The framings that there are."""

    EVENTS = Framing(
        media=b"text/event-stream",
        opening=b"",
        before=b"event: next\ndata: ",
        after=b"\n\n",
        heartbeat=b":\n\n",
        end=b"event: complete\ndata:\n\n",
    )
    PARTS = Framing(
        media=b'multipart/mixed; boundary="graphql"; subscriptionSpec=1.0',
        opening=_BOUNDARY,  # a part is read once the boundary after it has come, so each part brings that along
        before=b'\r\ncontent-type: application/json\r\n\r\n{"payload":',
        after=b"}" + _BOUNDARY,
        heartbeat=b"\r\ncontent-type: application/json\r\n\r\n{}" + _BOUNDARY,
        end=b"--\r\n",
    )


class _Ending(Enum):
    """Why a stream ends before its subscription does."""

    CLIENT_LEFT = 0
    TOKEN_OVER = 1
    STOPPED = 2


class EventStream:
    """One response. `sent` counts the bytes of its body."""

    __slots__ = ("__weakref__", "_ending", "_framing", "_request_id", "_send", "sent")

    def __init__(self, framing: Framing, send: Send, request_id: str) -> None:
        self._framing, self._send, self._request_id = framing, send, request_id
        self._ending: asyncio.Future[_Ending] = asyncio.get_running_loop().create_future()
        self.sent = 0

    def end(self, ending: _Ending) -> None:
        """End it soon; the first reason counts."""
        if not self._ending.done():
            self._ending.set_result(ending)

    async def run(
        self,
        first: GraphQLResponse,
        responses: AsyncGenerator[GraphQLResponse, None],
        admit: Callable[[], Awaitable[object]],
        headers: Headers,
    ) -> None:
        """Send `first` and what follows; headers go out first. `admit` raises TanglaiError once nobody may hear more.

        A stream that ends, well or with an error, says so with its end. Where the process stops, or what it needs is
        away, it breaks off without, so that the client comes back. Raises ClientLeft.
        """
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        del headers
        response: GraphQLResponse | None = first
        del first
        end = self._framing.end
        await self._write(self._framing.opening)
        try:
            while response is not None:
                await self._write(self._framing.event(response.body))
                end = b"" if response.status >= 500 else self._framing.end
                del response  # an idle stream holds none
                response = await self._next(responses)
                if response is not None:
                    await admit()
        except TanglaiError as error:
            await self._write(self._framing.event(error_body(error, self._request_id)))
            end = b"" if status_of(error) >= 500 else self._framing.end
        except _Broken as broken:
            if broken.ending is _Ending.CLIENT_LEFT:
                raise ClientLeft from None
            end = b""
            if broken.ending is _Ending.TOKEN_OVER:
                await self._write(self._framing.event(error_body(unauthenticated(), self._request_id)))
                end = self._framing.end
        self.sent += len(end)
        await self._send({"type": "http.response.body", "body": end})

    async def _next(self, responses: AsyncGenerator[GraphQLResponse, None]) -> GraphQLResponse | None:
        """The next response, None where there is none any more; the client hears a heartbeat meanwhile."""
        coming = asyncio.ensure_future(anext(responses, None))
        try:
            while not coming.done():
                await asyncio.wait(
                    (coming, self._ending), timeout=HEARTBEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED
                )
                if self._ending.done():
                    raise _Broken(self._ending.result())
                if not coming.done():
                    await self._write(self._framing.heartbeat)
            return coming.result()
        finally:
            if not coming.done():
                coming.cancel()
                await asyncio.wait((coming,))  # a generator is closed by one task at a time

    async def _write(self, text: bytes) -> None:
        self.sent += len(text)
        try:
            async with asyncio.timeout(SLOW_CLIENT_SECONDS):
                await self._send({"type": "http.response.body", "body": text, "more_body": True})
        except (TimeoutError, OSError):
            raise ClientLeft from None


class _Broken(Exception):
    def __init__(self, ending: _Ending) -> None:
        super().__init__(ending)
        self.ending = ending


class EventStreams:
    """The streams of one process."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._running: set[EventStream] = set()

    @contextlib.contextmanager
    def running(self, stream: EventStream, claims: Claims, receive: Receive) -> Iterator[None]:
        """While open, `stream` is ended when its client leaves, its token is over or the process stops."""
        loop = asyncio.get_running_loop()
        left = min(max(claims.dead_at - self._clock(), 0), MAX_TIMER_SECONDS)
        timer = loop.call_later(left, stream.end, _Ending.TOKEN_OVER)
        watcher = loop.create_task(_watch(stream, receive))
        self._running.add(stream)
        try:
            yield
        finally:
            self._running.discard(stream)
            timer.cancel()
            watcher.cancel()

    def stop(self) -> None:
        """End them all: the process stops."""
        for stream in self._running:
            stream.end(_Ending.STOPPED)


async def _watch(stream: EventStream, receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    stream.end(_Ending.CLIENT_LEFT)
