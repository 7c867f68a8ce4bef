"""In charge of the ASGI application: which path is answered by what, and what runs beside the requests."""

import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, nullcontext

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from tanglai.catalogue.errors import TanglaiError
from tanglai.server.demo_session import DemoRoutes
from tanglai.server.documents import DocumentRoutes
from tanglai.server.endpoint import GraphQLEndpoint, read_headers, request_id
from tanglai.server.export import EXPORT_PATH, ExportEndpoint
from tanglai.server.gateway import Gateway
from tanglai.server.identity import Entrance, bearer
from tanglai.server.observations import Observations
from tanglai.server.pages import Pages
from tanglai.server.refusals import Refusal, error_body, headers_of, internal, status_of
from tanglai.server.settings import Settings
from tanglai.server.spreadsheets import SpreadsheetRoutes
from tanglai.server.supervision import Slots
from tanglai.server.websocket import WebSocketEndpoint

GRAPHQL_PATH = "/graphql"
READY_SECONDS = 1.0
PLATFORM_DATABASE = "platform database"
_PLAIN = {"cache-control": "no-store", "x-content-type-options": "nosniff"}

Lifespan = Callable[[Starlette], AbstractAsyncContextManager[None]]


class Application:
    """`/graphql` at once, everything else through Starlette."""

    def __init__(
        self,
        http: GraphQLEndpoint,
        websocket: WebSocketEndpoint,
        export: ExportEndpoint,
        rest: Starlette,
        observations: Observations,
        lifespan: Lifespan | None,
    ) -> None:
        self._http, self._websocket, self._rest, self._observations = http, websocket, rest, observations
        self._export = export
        self._lifespan = lifespan
        self.failure: Exception | None = None
        """Why the lifespan did not begin, or did not end well."""

    def stop(self) -> None:
        """End what would never end by itself: the process stops."""
        self._http.streams.stop()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["path"] == GRAPHQL_PATH:
            await (self._http if scope["type"] == "http" else self._websocket)(scope, receive, send)
        elif scope["path"] == EXPORT_PATH and scope["type"] == "http":
            await self._export(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close"})
        else:
            await self._observed(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        phase = "startup"
        await receive()
        try:
            async with self._lifespan(self._rest) if self._lifespan is not None else nullcontext():
                await send({"type": "lifespan.startup.complete"})
                phase = "shutdown"
                await receive()
        except Exception as error:
            self.failure = error
            self._observations.failed("lifespan", "", error)
            await send({"type": f"lifespan.{phase}.failed", "message": ""})
        else:
            await send({"type": "lifespan.shutdown.complete"})

    async def _observed(self, scope: Scope, receive: Receive, send: Send) -> None:
        started, status, size = time.perf_counter(), 0, 0

        async def sending(message: Message) -> None:
            nonlocal status, size
            status = message.get("status", status)
            size += len(message.get("body", b""))
            await send(message)

        await self._rest(scope, receive, sending)
        self._observations.answered(
            "rest",
            status=status,
            seconds=time.perf_counter() - started,
            size=size,
            request_id=request_id(None),
            method=scope["method"],
        )


def build_app(
    settings: Settings,
    gateway: Gateway,
    entrance: Entrance,
    *,
    observations: Observations | None = None,
    demo: DemoRoutes | None = None,
    pages: Pages | None = None,
    spreadsheets: SpreadsheetRoutes | None = None,
    documents: DocumentRoutes | None = None,
    lifespan: Lifespan | None = None,
    clock: Callable[[], float] = time.time,
) -> Application:
    """The application of a node around `gateway`; `demo` only where the demo issuer is on.

    `lifespan` opens and closes what the gateway uses. Raises ValueError for demo routes without the setting.
    """
    if demo is not None and not settings.demo_issuer:
        raise ValueError("demo routes need the setting `demo_issuer`")
    observations = observations or Observations()
    slots = Slots(settings.max_concurrent)
    subscriptions = Slots(settings.max_subscriptions)
    http = GraphQLEndpoint(gateway, entrance, settings, slots, subscriptions, observations, clock)
    websocket = WebSocketEndpoint(gateway, entrance, settings, slots, subscriptions, observations, clock)
    observations.watch("tanglai_operations_running", "Operations in the gateway", lambda: slots.running)
    export = ExportEndpoint(gateway, entrance, settings, observations)
    observations.watch("tanglai_exports", "Exports", lambda: export.slots.running)
    observations.watch("tanglai_subscriptions", "Subscriptions", lambda: subscriptions.running)
    observations.watch("tanglai_websockets", "WebSocket connections", lambda: websocket.connections.running)
    status = StatusRoutes(gateway, entrance)
    routes = [*status.routes(), *(pages or Pages()).routes()]
    routes += spreadsheets.routes() if spreadsheets is not None else []
    routes += documents.routes() if documents is not None else []
    routes += demo.routes() if demo is not None else [Route("/demo/session", _no_demo, methods=["GET"])]

    async def failed(request: Request, error: Exception) -> Response:
        number = request_id(read_headers(request.scope)[0].get(b"x-request-id"))
        if isinstance(error, HTTPException):
            error = Refusal(error.status_code, error.detail.lower())
        if not isinstance(error, TanglaiError):
            observations.failed("rest", number, error)
            error = internal()
        headers = {name.decode(): value.decode() for name, value in headers_of(error)}
        return Response(
            error_body(error, number),
            status_of(error),
            {**_PLAIN, **headers, "x-request-id": number},
            media_type="application/json",
        )

    handlers = {TanglaiError: failed, HTTPException: failed, Exception: failed}
    rest = Starlette(routes=routes, exception_handlers=handlers)
    return Application(http, websocket, export, rest, observations, lifespan)


async def _no_demo(_: Request) -> Response:
    """Says to the workbench that there is no demo; 204, so that no failed request stands in the browser's console."""
    return Response(status_code=204, headers=_PLAIN)


async def _each(parts: Iterable[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


class StatusRoutes:
    """`/schema.graphql` for departments; `/healthz` and `/readyz` for load balancers, which learn next to nothing."""

    def __init__(
        self, gateway: Gateway, entrance: Entrance, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._gateway, self._entrance, self._monotonic = gateway, entrance, monotonic
        self._ready: tuple[float, bool] | None = None

    def routes(self) -> list[Route]:
        return [
            Route("/schema.graphql", self._schema, methods=["GET"]),
            Route("/healthz", self._health, methods=["GET"]),
            Route("/readyz", self._readiness, methods=["GET"]),
        ]

    async def _schema(self, request: Request) -> Response:
        await self._entrance.admit(bearer(request.headers.getlist("authorization")))
        text = await self._gateway.sdl()
        headers = {**_PLAIN, "content-length": str(sum(map(len, text)))}
        return StreamingResponse(_each(text), media_type="text/plain", headers=headers)

    async def _health(self, _: Request) -> Response:
        return PlainTextResponse("ok\n", headers=_PLAIN)

    async def _readiness(self, _: Request) -> Response:
        if await self._is_ready():
            return PlainTextResponse("ready\n", headers=_PLAIN)
        return PlainTextResponse("not ready\n", 503, headers={**_PLAIN, "retry-after": "5"})

    async def _is_ready(self) -> bool:
        """Asked by anybody, so the gateway is asked once in READY_SECONDS at most."""
        now = self._monotonic()
        if self._ready is None or now - self._ready[0] >= READY_SECONDS:
            try:
                states = await self._gateway.ready()
                good = states.get(PLATFORM_DATABASE) == "up"  # without one source the others still answer
            except TanglaiError:
                good = False
            self._ready = (now, good)
        return self._ready[1]
