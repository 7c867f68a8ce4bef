"""In charge of `/graphql` over WebSocket: the protocol graphql-transport-ws, its close codes and its bounds."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

import orjson
from starlette.types import Message, Receive, Scope, Send

from authz.principal import Principal
from tanglai.catalogue.errors import ErrorCode, TanglaiError
from tanglai.server import parameters
from tanglai.server.endpoint import CLIENT_LEFT, purpose, read_headers, request_id, too_late
from tanglai.server.gateway import Gateway, GraphQLRequest, GraphQLResponse, SubscribingGateway
from tanglai.server.identity import Claims, Entrance, bearer, unauthenticated
from tanglai.server.media import language
from tanglai.server.observations import Observations
from tanglai.server.parameters import Parameters
from tanglai.server.refusals import Refusal, busy, error_body, error_entry, internal, status_of
from tanglai.server.settings import Settings
from tanglai.server.supervision import Slots

SUBPROTOCOL = "graphql-transport-ws"
MAX_OPERATION_ID = 128
SLOW_CLIENT_SECONDS = 30.0
CLOSE_SECONDS = 5.0
MAX_TIMER_SECONDS = 30 * 86_400.0

INTERNAL_ERROR = 4500
BAD_REQUEST = 4400
UNAUTHORIZED = 4401
FORBIDDEN = 4403
SUBPROTOCOL_NOT_ACCEPTABLE = 4406
INIT_TIMEOUT = 4408
SUBSCRIBER_EXISTS = 4409
TOO_MANY_INITS = 4429


class WebSocketEndpoint:
    """The ASGI application of `/graphql` for WebSocket."""

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
        self.gateway, self.entrance, self.settings = gateway, entrance, settings
        self.slots, self.subscriptions = slots, subscriptions
        self.observations, self.clock = observations, clock
        self.connections = Slots(settings.max_websockets)
        self._origins = frozenset(settings.allowed_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (await receive())["type"] != "websocket.connect":
            return
        headers, _ = read_headers(scope)
        if not self._origin_allowed(headers):
            await _reject(send, Refusal(403, "this origin may not connect"))
            return
        if self.connections.full:
            await _reject(send, busy())
            return
        connection = _Connection(self, headers, receive, send)
        del headers  # an idle connection keeps what it needs of them
        with self.connections:
            if SUBPROTOCOL not in scope["subprotocols"]:
                await send({"type": "websocket.accept"})
                await send(_close(SUBPROTOCOL_NOT_ACCEPTABLE, "Subprotocol not acceptable"))
                return
            await send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL})
            await connection.run()

    def _origin_allowed(self, headers: Mapping[bytes, bytes]) -> bool:
        """Browsers always send `Origin`: it must be this server's own or one that the settings name."""
        origin = headers.get(b"origin")
        if origin is None:
            return True
        text = origin.decode("latin-1")
        host = headers.get(b"host", b"").decode("latin-1")
        return text in self._origins or (
            bool(host) and text.lower() in (f"http://{host}".lower(), f"https://{host}".lower())
        )


class _Closed(Exception):
    """The connection ends with this code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code, self.reason = code, reason


_LATE = _Closed(INIT_TIMEOUT, "Connection initialisation timeout")
_EXPIRED = _Closed(UNAUTHORIZED, "Unauthorized")
_HEADERS = (b"authorization", b"purpose", b"accept-language")


class _Gone(Exception):
    """The client is not there any more."""


class _Connection:
    """One connection: nobody until `connection_init`, then one token until it expires.

    One task reads, under one time limit: for the init message, then for the token. To end it is to let that run out.
    """

    __slots__ = (
        "_claims",
        "_closed",
        "_endpoint",
        "_headers",
        "_inits",
        "_limit",
        "_operations",
        "_receive",
        "_send",
        "_token",
    )

    def __init__(
        self, endpoint: WebSocketEndpoint, headers: Mapping[bytes, bytes], receive: Receive, send: Send
    ) -> None:
        self._endpoint, self._receive, self._send = endpoint, receive, send
        self._headers = {name: headers[name] for name in _HEADERS if name in headers}
        self._token = ""
        self._claims: Claims | None = None
        self._operations: dict[str, asyncio.Task[None]] = {}
        self._inits = 0
        self._closed: _Closed | None = None
        self._limit: asyncio.Timeout | None = None  # while it reads

    async def run(self) -> None:
        stopped: list[asyncio.Task[None]] = []
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._endpoint.settings.websocket_init_seconds) as self._limit:
                    if not await self._read():
                        return
            closed = self._closed or (_LATE if self._claims is None else _EXPIRED)
            stopped = self._stop()  # what a slow client has not taken yet would stand before the close
            with contextlib.suppress(OSError):  # the client is gone, or takes nothing any more
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self._send(_close(closed.code, closed.reason))
        finally:
            self._limit = None
            await asyncio.gather(*(stopped or self._stop()), return_exceptions=True)

    def _stop(self) -> list[asyncio.Task[None]]:
        """Cancels every operation that runs. To be called once: what ends them may take a while."""
        running = list(self._operations.values())
        for task in running:
            task.cancel()
        return running

    def _end(self, closed: _Closed) -> None:
        """Soon, by any task; the first reason counts."""
        if self._closed is None:
            self._closed = closed
            self._last(0)

    def _last(self, seconds: float) -> None:
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(asyncio.get_running_loop().time() + seconds)

    async def _read(self) -> bool:
        """Whether there is somebody to tell how it ended."""
        try:
            while True:
                message = await self._receive()
                if message["type"] == "websocket.disconnect":
                    return False
                text = message.get("text")
                if text is None:
                    raise _Closed(BAD_REQUEST, "Invalid message")
                await self._take(_parsed(text), len(text))
        except _Closed as closed:
            self._end(closed)
        except _Gone:
            return self._closed is not None
        except Exception as error:
            self._endpoint.observations.failed("websocket", "", error)
            self._end(_Closed(INTERNAL_ERROR, "Internal error"))
        return True

    async def _take(self, message: Mapping[str, Any], size: int) -> None:
        match message.get("type"):
            case "connection_init":
                await self._init(message.get("payload"))
            case "ping":
                _payload(message)
                await self._tell({"type": "pong"})
            case "pong":
                _payload(message)
            case "subscribe":
                await self._subscribe(_operation_id(message), message.get("payload"), size)
            case "complete":
                task = self._operations.pop(_operation_id(message), None)
                if task is not None:
                    task.cancel()
            case _:
                raise _Closed(BAD_REQUEST, "Invalid message type")

    async def _init(self, payload: Any) -> None:
        self._inits += 1
        if self._inits > 1:
            raise _Closed(TOO_MANY_INITS, "Too many initialisation requests")
        if payload is not None and not isinstance(payload, dict):
            raise _Closed(BAD_REQUEST, "Invalid payload")
        try:
            token = self._given_token(payload or {})
            _, claims = await self._endpoint.entrance.admit(token)
        except TanglaiError as error:
            if error.code in (ErrorCode.UNAUTHENTICATED, ErrorCode.NOT_A_DEPARTMENT):
                raise _Closed(FORBIDDEN, "Forbidden") from None
            raise _Closed(INTERNAL_ERROR, error.code.value) from None
        self._token, self._claims = token, claims
        if self._closed is None:
            self._last(min(max(claims.dead_at - self._endpoint.clock(), 0), MAX_TIMER_SECONDS))
        await self._tell({"type": "connection_ack"})

    def _given_token(self, payload: Mapping[str, Any]) -> str:
        """The token of the init message, else that of the upgrade request's header."""
        values = [value for name, value in payload.items() if name.lower() == "authorization"]
        if not values and b"authorization" in self._headers:
            values = [self._headers[b"authorization"].decode("latin-1")]
        if not all(isinstance(value, str) for value in values):
            raise unauthenticated()
        return bearer(values)

    async def _subscribe(self, key: str, payload: Any, size: int) -> None:
        if self._claims is None:
            raise _Closed(UNAUTHORIZED, "Unauthorized")
        if key in self._operations:
            raise _Closed(SUBSCRIBER_EXISTS, f"Subscriber for {key} already exists"[:120])
        if not isinstance(payload, dict):
            raise _Closed(BAD_REQUEST, "Invalid payload")
        if len(self._operations) >= self._endpoint.settings.max_operations:
            refusal = Refusal(429, "too many operations on one connection", code=ErrorCode.LIMIT_EXCEEDED)
            await self._tell({"id": key, "type": "error", "payload": [error_entry(refusal, request_id(None))]})
            return
        try:
            limit = self._endpoint.settings.max_variables_bytes
            asked = parameters.from_members(payload, size=size, max_variables=limit)
        except Refusal as refusal:
            raise _Closed(BAD_REQUEST, refusal.message) from None
        self._operations[key] = asyncio.create_task(self._operate(key, asked))

    async def _operate(self, key: str, asked: Parameters) -> None:
        started = time.perf_counter()
        number = request_id(None)
        status, size, code, principal = 200, 0, None, None
        try:
            principal = await self._principal()
            async with contextlib.aclosing(self._responses(self._request(asked, principal, number))) as responses:
                async for response in responses:
                    if size:  # a later event is for whoever may still hear it
                        await self._principal()
                    size += len(response.body)
                    if not response.executed:
                        status = response.status
                        await self._fail(key, orjson.loads(response.body)["errors"])
                        return
                    await self._say(b'{"id":%b,"type":"next","payload":%b}' % (orjson.dumps(key), response.body))
                    del response  # an idle subscription holds none
            await self._tell_last({"id": key, "type": "complete"})
        except TanglaiError as error:
            status, code = status_of(error), error.code.value
            await self._fail(key, [error_entry(error, number)])
        except (_Gone, asyncio.CancelledError) as error:
            status = CLIENT_LEFT
            if isinstance(error, asyncio.CancelledError):
                raise
        except Exception as error:
            status, code = 500, ErrorCode.INTERNAL.value
            self._endpoint.observations.failed("websocket", number, error)
            await self._fail(key, [error_entry(internal(), number)])
        finally:
            if self._operations.get(key) is asyncio.current_task():
                del self._operations[key]
            self._endpoint.observations.answered(
                "websocket",
                status=status,
                seconds=time.perf_counter() - started,
                size=size,
                request_id=number,
                method="SUBSCRIBE",
                principal=principal,
                code=code,
            )

    def _request(self, asked: Parameters, principal: Principal, number: str) -> GraphQLRequest:
        return GraphQLRequest(
            query=asked.query,
            operation_name=asked.operation_name,
            variables=asked.variables,
            extensions=asked.extensions,
            principal=principal,
            purpose=purpose(self._headers.get(b"purpose")),
            language=language(self._headers.get(b"accept-language")),
            request_id=number,
            read_only=False,
        )

    async def _principal(self) -> Principal:
        """Who asks, as of now: the connection ends where the key was withdrawn or the department closed."""
        try:
            principal, _ = await self._endpoint.entrance.admit(self._token)
        except TanglaiError as error:
            if error.code in (ErrorCode.UNAUTHENTICATED, ErrorCode.NOT_A_DEPARTMENT):
                self._end(_Closed(UNAUTHORIZED, "Unauthorized"))
            raise
        return principal

    async def _responses(self, request: GraphQLRequest) -> AsyncGenerator[GraphQLResponse, None]:
        """The events of a subscription; else one response, within the time limit and the slots of the process."""
        gateway = self._endpoint.gateway
        if isinstance(gateway, SubscribingGateway) and gateway.streams(request):
            with self._endpoint.subscriptions:
                async with contextlib.aclosing(gateway.subscribe(request)) as events:
                    async for response in events:
                        yield response
                        del response
            return
        with self._endpoint.slots:
            try:
                async with asyncio.timeout(self._endpoint.settings.request_seconds):
                    response = await gateway.execute(request)
            except TimeoutError:
                raise too_late() from None
        yield response

    async def _fail(self, key: str, errors: list[Any]) -> None:
        with contextlib.suppress(_Gone):
            await self._tell_last({"id": key, "type": "error", "payload": errors})

    async def _tell_last(self, message: Mapping[str, Any]) -> None:
        """The last message of the operation that runs here; its id is free once the client can know."""
        key, task = message["id"], asyncio.current_task()
        if self._operations.get(key) is task:
            await self._tell(message)
            if self._operations.get(key) is task:
                del self._operations[key]

    async def _tell(self, message: Mapping[str, Any]) -> None:
        await self._say(orjson.dumps(message))

    async def _say(self, text: bytes) -> None:
        try:
            async with asyncio.timeout(SLOW_CLIENT_SECONDS):
                await self._send({"type": "websocket.send", "text": text.decode()})
        except TimeoutError:
            self._end(_Closed(INTERNAL_ERROR, "The client takes no messages"))
            raise _Gone from None
        except OSError:  # what an ASGI server raises once the client has gone
            raise _Gone from None


def _parsed(text: str) -> Mapping[str, Any]:
    try:
        parsed = parameters.strict_json(text.encode(), "the message")
    except (Refusal, UnicodeEncodeError):
        raise _Closed(BAD_REQUEST, "Invalid message") from None
    if not isinstance(parsed, dict):
        raise _Closed(BAD_REQUEST, "Invalid message")
    return parsed


def _payload(message: Mapping[str, Any]) -> None:
    if not isinstance(message.get("payload"), dict | None):
        raise _Closed(BAD_REQUEST, "Invalid payload")


def _operation_id(message: Mapping[str, Any]) -> str:
    key = message.get("id")
    if not isinstance(key, str) or not 0 < len(key) <= MAX_OPERATION_ID:
        raise _Closed(BAD_REQUEST, "Invalid operation id")
    return key


def _close(code: int, reason: str) -> Message:
    return {"type": "websocket.close", "code": code, "reason": reason}


async def _reject(send: Send, refusal: Refusal) -> None:
    """Answer the upgrade request with a plain HTTP response (ASGI extension `websocket.http.response`)."""
    body = error_body(refusal, request_id(None))
    headers = [(b"content-type", b"application/json; charset=utf-8"), *refusal.headers]
    await send({"type": "websocket.http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})
