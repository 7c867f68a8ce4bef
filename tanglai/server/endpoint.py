"""In charge of `/graphql` over HTTP: the specification GraphQL over HTTP, one operation per request, bytes out.

INVARIANT: identity comes from the `Authorization` header alone, never from a cookie, a parameter or a network address.
A page of another site cannot make a browser send that header without a preflight, so a request that it can forge
(a GET, a form, text/plain) is always an anonymous one and is refused before anything is read.
"""

import asyncio
import contextlib
import gzip
import re
import secrets
import time
import zlib
from collections.abc import AsyncGenerator, Callable, Iterator
from functools import partial

from starlette.types import Receive, Scope, Send

from authz.principal import Principal
from connectors.loops import KeptLoop
from resolvers.requests import LongResponse
from tanglai.catalogue.errors import ErrorCode, TanglaiError
from tanglai.server import parameters
from tanglai.server.bodies import read_body
from tanglai.server.events import EventStream, EventStreams, Framing
from tanglai.server.gateway import Gateway, GraphQLRequest, GraphQLResponse, SubscribingGateway
from tanglai.server.identity import Claims, Entrance, bearer
from tanglai.server.media import Media, is_json_body, language, response_framing, response_media, takes_gzip
from tanglai.server.observations import Observations
from tanglai.server.refusals import Headers, Refusal, busy, error_body, headers_of, internal, status_of
from tanglai.server.settings import Settings
from tanglai.server.supervision import ClientLeft, Shares, Slots, TooLate, Watch

CLIENT_LEFT = 499
MAX_PURPOSE = 128

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{8,64}")
_ALLOW = ((b"allow", b"GET, POST, OPTIONS"),)
_ALLOW_POST = ((b"allow", b"POST"),)
_ONCE = frozenset({b"authorization", b"content-type", b"content-length", b"purpose"})
_COMMON = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
_CORS_METHODS = b"GET, POST"
_CORS_HEADERS = b"Authorization, Content-Type, Purpose, X-Request-Id"
_CORS_EXPOSED = b"X-Request-Id, Retry-After"


class GraphQLEndpoint:
    """The ASGI application of `/graphql` for HTTP."""

    def __init__(
        self,
        gateway: Gateway,
        entrance: Entrance,
        settings: Settings,
        slots: Slots,
        subscriptions: Slots,
        observations: Observations,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._gateway, self._entrance, self._settings = gateway, entrance, settings
        self._slots, self._subscriptions, self._observations = slots, subscriptions, observations
        self.streams = EventStreams(clock)
        self._loop = KeptLoop()
        self._bodies = Shares(settings.max_concurrent)  # those that arrive in pieces: a slow client holds one
        self._origins = frozenset(origin.encode() for origin in settings.allowed_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        exchange = _Exchange(scope)
        status, body = 500, b""
        extra: Headers = ()
        code: str | None = None
        try:
            request = await self._request(exchange, receive)
            response = await self._respond(exchange, request, receive, send)
            status, body = exchange.answer(response) if response is not None else (200, b"")
            extra = _ALLOW_POST if status == 405 else ()
        except Preflight:
            status = 204
        except ClientLeft:
            status, code = CLIENT_LEFT, "CLIENT_LEFT"
        except TooLate:
            status, body, extra, code = _refused(too_late(), exchange)
        except asyncio.CancelledError:  # the process stops and waits no longer
            status, body, extra, code = _refused(busy(), exchange)
        except TanglaiError as error:
            status, body, extra, code = _refused(error, exchange)
        except Exception as error:
            self._observations.failed("graphql", exchange.request_id, error)
            status, body, extra, code = _refused(internal(), exchange)
        if status != CLIENT_LEFT and exchange.stream is None:
            if exchange.parts:
                await self._send_long(send, exchange)
            else:
                await self._send(send, exchange, status, body, extra)
        self._observations.answered(
            "graphql",
            status=status,
            seconds=time.perf_counter() - started,
            size=len(body) + sum(map(len, exchange.parts)) if exchange.stream is None else exchange.stream.sent,
            request_id=exchange.request_id,
            method=scope["method"],
            principal=exchange.principal,
            code=code,
        )

    async def _request(self, exchange: "_Exchange", receive: Receive) -> GraphQLRequest:
        """What is asked, and who asks. Raises TanglaiError, Preflight, ClientLeft."""
        method, headers = exchange.method, exchange.headers
        if method == "OPTIONS":
            raise Preflight
        if method not in ("POST", "GET"):
            raise Refusal(405, "use POST, or GET for queries", headers=_ALLOW)
        media = response_media(headers.get(b"accept"))
        exchange.framing = response_framing(headers.get(b"accept"))
        if media is None and exchange.framing is None:
            raise Refusal(406, "the answer is application/graphql-response+json or application/json")
        exchange.only_events = media is None
        exchange.media = media or Media.JSON
        exchange.content_type = exchange.media.value
        if exchange.repeated & _ONCE:
            raise Refusal(400, "a header is given twice")
        authorization = headers.get(b"authorization")
        exchange.token = bearer([authorization.decode("latin-1")] if authorization is not None else [])
        principal, exchange.claims = await self._entrance.admit(exchange.token)
        exchange.principal = principal
        limits = self._settings
        if method == "POST":
            if not is_json_body(headers.get(b"content-type", b"")):
                raise Refusal(415, "the body is application/json in UTF-8")
            if headers.get(b"content-encoding", b"identity").lower() != b"identity":
                raise Refusal(415, "the body is not compressed")
            body = await read_body(
                headers,
                receive,
                most=limits.max_body_bytes,
                seconds=limits.body_seconds,
                pieces=partial(self._bodies.of, principal.department.code),
            )
            asked = parameters.from_body(body, max_variables=limits.max_variables_bytes)
        else:
            if len(exchange.query_string) > limits.max_body_bytes:
                raise Refusal(414, "the query string is too long", code=ErrorCode.LIMIT_EXCEEDED)
            asked = parameters.from_query_string(exchange.query_string, max_variables=limits.max_variables_bytes)
        return GraphQLRequest(
            query=asked.query,
            operation_name=asked.operation_name,
            variables=asked.variables,
            extensions=asked.extensions,
            principal=principal,
            purpose=purpose(headers.get(b"purpose")),
            language=language(headers.get(b"accept-language")),
            request_id=exchange.request_id,
            read_only=method == "GET",
        )

    async def _respond(
        self, exchange: "_Exchange", request: GraphQLRequest, receive: Receive, send: Send
    ) -> GraphQLResponse | None:
        """The response, or None where the events of a subscription were it.

        They are for a client that names how it reads events, in a POST; a range such as `*/*` names nothing.
        """
        gateway = self._gateway
        if exchange.framing is None or request.read_only or not isinstance(gateway, SubscribingGateway):
            streams = False
        else:
            streams = gateway.streams(request)
        if streams:
            return await self._stream(exchange, request, receive, send)
        with self._slots, Watch(receive, self._settings.request_seconds, loop=self._loop.get()):
            return await gateway.execute(request)

    async def _stream(
        self, exchange: "_Exchange", request: GraphQLRequest, receive: Receive, send: Send
    ) -> GraphQLResponse | None:
        """A subscription as one long response, which holds no slot: the gateway bounds what events it answers.

        Where it cannot begin for the platform's own reasons, that is the response.
        """
        framing, claims = exchange.framing, exchange.claims
        assert framing is not None
        assert claims is not None
        with self._subscriptions:
            async with contextlib.aclosing(self._events(exchange, request)) as responses:
                with Watch(receive, self._settings.request_seconds):
                    first = await anext(responses)
                if first.status >= 500:
                    return first
                headers = [*self._headers(exchange), (b"content-type", framing.media), (b"x-accel-buffering", b"no")]
                stream = exchange.stream = EventStream(framing, send, exchange.request_id)
                run = stream.run(first, responses, partial(self._entrance.admit, exchange.token), headers)
                del first, headers  # an idle stream holds neither response nor headers
                exchange.forget_headers()
                with self.streams.running(stream, claims, receive):
                    await run
        return None

    async def _events(self, exchange: "_Exchange", request: GraphQLRequest) -> AsyncGenerator[GraphQLResponse, None]:
        gateway = self._gateway
        assert isinstance(gateway, SubscribingGateway)
        try:
            async with contextlib.aclosing(gateway.subscribe(request)) as responses:
                async for response in responses:
                    yield response
                    del response
        except TanglaiError:
            raise
        except Exception as error:
            self._observations.failed("graphql", exchange.request_id, error)
            raise internal() from None

    async def _send(self, send: Send, exchange: "_Exchange", status: int, body: bytes, extra: Headers) -> None:
        headers = [*self._headers(exchange), *extra]
        if body:
            headers.append((b"content-type", exchange.content_type))
        threshold = self._settings.compress_from_bytes
        if threshold and len(body) >= threshold:
            headers.append((b"vary", b"Accept-Encoding"))
            if takes_gzip(exchange.headers.get(b"accept-encoding")):
                body = await asyncio.to_thread(gzip.compress, body, 5)
                headers.append((b"content-encoding", b"gzip"))
        if status != 204:
            headers.append((b"content-length", b"%d" % len(body)))
        if status == 204 and not self._origins:
            headers += _ALLOW
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _send_long(self, send: Send, exchange: "_Exchange") -> None:
        """A long answer, part by part: what handles all of it at once would hold everybody else."""
        headers = [*self._headers(exchange), (b"content-type", exchange.content_type), (b"vary", b"Accept-Encoding")]
        packer = None
        if self._settings.compress_from_bytes and takes_gzip(exchange.headers.get(b"accept-encoding")):
            packer = zlib.compressobj(5, wbits=31)
            headers.append((b"content-encoding", b"gzip"))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for part in exchange.parts:
            sent = part if packer is None else await asyncio.to_thread(packer.compress, part)
            await send({"type": "http.response.body", "body": sent, "more_body": True})
        await send({"type": "http.response.body", "body": b"" if packer is None else packer.flush()})

    def _headers(self, exchange: "_Exchange") -> list[tuple[bytes, bytes]]:
        """Those of every response."""
        headers = [*_COMMON, (b"x-request-id", exchange.request_id.encode())]
        return [*headers, *self._cors(exchange)] if self._origins else headers

    def _cors(self, exchange: "_Exchange") -> Headers:
        """Cross-origin headers (Fetch standard) for origins that the settings name; no credentials, no wildcard."""
        origin = exchange.headers.get(b"origin")
        if origin not in self._origins:
            return ((b"vary", b"Origin"), *(_ALLOW if exchange.method == "OPTIONS" else ()))
        allowed = ((b"vary", b"Origin"), (b"access-control-allow-origin", origin))
        if exchange.method != "OPTIONS":
            return (*allowed, (b"access-control-expose-headers", _CORS_EXPOSED))
        return (
            *allowed,
            (b"access-control-allow-methods", _CORS_METHODS),
            (b"access-control-allow-headers", _CORS_HEADERS),
            (b"access-control-max-age", b"600"),
        )


class Preflight(Exception):
    """An OPTIONS request: nothing is executed."""


class _Exchange:
    """What is known of one request and its answer so far."""

    __slots__ = (
        "_given",
        "claims",
        "content_type",
        "framing",
        "headers",
        "media",
        "method",
        "only_events",
        "parts",
        "principal",
        "query_string",
        "repeated",
        "request_id",
        "stream",
        "token",
    )

    def __init__(self, scope: Scope) -> None:
        self.method: str = scope["method"]
        self.query_string: bytes = scope["query_string"]
        self._given: list[tuple[bytes, bytes]] = scope["headers"]
        self.headers, self.repeated = read_headers(scope)
        self.request_id = request_id(self.headers.get(b"x-request-id"))
        self.media = Media.JSON
        self.content_type = Media.JSON.value
        self.framing: Framing | None = None
        self.only_events = False
        self.principal: Principal | None = None
        self.claims: Claims | None = None
        self.token = ""
        self.stream: EventStream | None = None
        self.parts: tuple[bytes, ...] = ()

    def forget_headers(self) -> None:
        """Those of the request were read: for a long time nothing needs them any more, the server included."""
        self.headers.clear()
        self._given.clear()

    def answer(self, response: GraphQLResponse) -> tuple[int, bytes]:
        """Status and body of `response`: under application/json a well-formed request has status 200, whatever GraphQL
        says of it, and so it has as the one event of a client that takes nothing but events.
        """
        if response.status == 405 or response.status >= 500:
            return response.status, response.body
        if self.only_events and self.framing is not None:
            self.content_type = self.framing.media
            return 200, self.framing.whole(response.body)
        if isinstance(response, LongResponse):
            self.parts = response.parts
            return 200, b""
        return response.status if self.media is Media.GRAPHQL else 200, response.body


def read_headers(scope: Scope) -> tuple[dict[bytes, bytes], set[bytes]]:
    """Headers by lower-case name, several of one name joined by a comma, and the names that came several times."""
    headers: dict[bytes, bytes] = {}
    repeated: set[bytes] = set()
    for name, value in scope["headers"]:
        if name in headers:
            repeated.add(name)
            headers[name] += b", " + value
        else:
            headers[name] = value
    return headers, repeated


def too_late() -> TanglaiError:
    """The answer where the time limit of a request ended it."""
    return TanglaiError(ErrorCode.SOURCE_TIMEOUT, "the request took too long")


def request_id(given: bytes | None) -> str:
    """The client's `X-Request-Id` when it is 8 to 64 plain characters, else a new one."""
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given.decode("ascii")
    return next(_NEW_IDS)


def _random_ids() -> Iterator[str]:
    # The system is asked for the randomness of many at once; from the first one on, which is after any fork.
    while True:
        digits = secrets.token_hex(16 * 256)
        yield from (digits[start : start + 32] for start in range(0, len(digits), 32))


_NEW_IDS = _random_ids()


def purpose(given: bytes | None) -> str | None:
    """The code in the `Purpose` header; None when there is none. Raises Refusal 400 for what cannot be a code."""
    if given is None:
        return None
    text = given.strip().decode("latin-1")
    if not text:
        return None
    if len(text) > MAX_PURPOSE or not text.isascii() or not text.isprintable():
        raise Refusal(400, "the header `Purpose` holds no purpose code")
    return text


def _refused(error: TanglaiError, exchange: _Exchange) -> tuple[int, bytes, Headers, str]:
    return status_of(error), error_body(error, exchange.request_id), headers_of(error), error.code.value
