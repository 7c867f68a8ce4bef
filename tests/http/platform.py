"""In charge of a real server on a free port, in front of a gateway that is plain graphql-core on a tiny schema."""

import asyncio
import contextlib
import http.client
import inspect
import json
import logging
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import structlog
from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLArgument,
    GraphQLError,
    GraphQLField,
    GraphQLInt,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLSchema,
    GraphQLString,
    OperationType,
    get_operation_ast,
    graphql,
    parse,
    print_schema,
    subscribe,
)

from tanglai.catalogue.errors import TanglaiError
from tanglai.catalogue.model import Snapshot
from tanglai.server.app import Application, build_app
from tanglai.server.demo_session import DemoRoutes
from tanglai.server.gateway import GraphQLRequest, GraphQLResponse
from tanglai.server.identity import Entrance, TokenVerifier
from tanglai.server.keys import FixedKeys, Keys
from tanglai.server.observations import Observations
from tanglai.server.pages import Pages
from tanglai.server.serve import Server
from tanglai.server.settings import Settings
from tests.unit.server import samples


class TinyGateway:
    """A gateway with the interface of the real one. It keeps the requests it got and counts what was cancelled."""

    def __init__(self) -> None:
        self.requests: list[GraphQLRequest] = []
        self.cancelled = 0
        self.started = threading.Event()
        self.release: asyncio.Event | None = None
        self.failure: BaseException | None = None
        self.states: Mapping[str, str] = {"platform database": "up"}
        self.ready_calls = 0
        self.schema = _schema(self)

    async def execute(self, request: GraphQLRequest) -> GraphQLResponse:
        self.requests.append(request)
        if self.failure is not None:
            raise self.failure
        document = _parsed(request)
        operation = get_operation_ast(document, request.operation_name) if document is not None else None
        if request.read_only and operation is not None and operation.operation is not OperationType.QUERY:
            return GraphQLResponse(b'{"errors":[{"message":"only queries may be sent by GET"}]}', False, 405)
        try:
            result = await graphql(
                self.schema,
                request.query,
                variable_values=dict(request.variables),
                operation_name=request.operation_name,
                context_value=request,
            )
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return _response(result)

    async def sdl(self) -> Sequence[bytes]:
        return (print_schema(self.schema).encode(),)

    async def ready(self) -> Mapping[str, str]:
        self.ready_calls += 1
        return self.states


class StreamingGateway(TinyGateway):
    """The same with subscriptions."""

    def streams(self, request: GraphQLRequest) -> bool:
        document = _parsed(request)
        operation = get_operation_ast(document, request.operation_name) if document is not None else None
        return operation is not None and operation.operation is OperationType.SUBSCRIPTION

    async def subscribe(self, request: GraphQLRequest) -> AsyncGenerator[GraphQLResponse, None]:
        self.requests.append(request)
        started: Any = subscribe(
            self.schema,
            parse(request.query),
            variable_values=dict(request.variables),
            operation_name=request.operation_name,
        )
        events = await started if inspect.isawaitable(started) else started
        if isinstance(events, ExecutionResult):
            yield _response(events)
            return
        try:
            async for event in events:
                yield _response(event)
        finally:
            self.cancelled += 1
            await events.aclose()


def _parsed(request: GraphQLRequest) -> DocumentNode | None:
    try:
        return parse(request.query)
    except GraphQLError:
        return None


def _response(result: ExecutionResult) -> GraphQLResponse:
    executed = result.data is not None or not result.errors or any(error.path for error in result.errors)
    formatted = dict(result.formatted)
    if not executed:
        formatted.pop("data", None)
    return GraphQLResponse(orjson.dumps(formatted), executed, 200 if executed else 400)


def _schema(gateway: TinyGateway) -> GraphQLSchema:
    async def wait(*_: Any) -> str:
        gateway.release = asyncio.Event()
        gateway.started.set()
        await gateway.release.wait()
        return "released"

    def asks(_: Any, info: GraphQLResolveInfo[Any]) -> str:
        request: GraphQLRequest = info.context
        return f"{request.principal.department.key}/{request.principal.client}"

    def fail(*_: Any) -> str:
        raise GraphQLError("this field fails")

    async def count(_: Any, __: Any, to: int) -> AsyncGenerator[int, None]:
        for number in range(to):
            await asyncio.sleep(0)
            yield number

    async def forever(*_: Any) -> AsyncGenerator[int, None]:
        number = 0
        while True:
            gateway.started.set()
            yield number
            number += 1
            await asyncio.sleep(0.005)

    async def never(*_: Any) -> AsyncGenerator[int, None]:
        yield 0
        await asyncio.Event().wait()

    async def breaks(*_: Any) -> AsyncGenerator[int, None]:
        yield 0
        raise OSError("db.internal refused")

    query = GraphQLObjectType(
        "Query",
        {
            "hello": GraphQLField(GraphQLString, resolve=lambda *_: "world"),
            "asks": GraphQLField(GraphQLString, resolve=asks),
            "echo": GraphQLField(
                GraphQLString, args={"text": GraphQLArgument(GraphQLString)}, resolve=lambda *_, text=None: text
            ),
            "wait": GraphQLField(GraphQLString, resolve=wait),
            "fail": GraphQLField(GraphQLString, resolve=fail),
            "long": GraphQLField(GraphQLString, resolve=lambda *_: "长" * 20_000),
        },
    )
    mutation = GraphQLObjectType("Mutation", {"touch": GraphQLField(GraphQLString, resolve=lambda *_: "touched")})
    to = {"to": GraphQLArgument(GraphQLNonNull(GraphQLInt))}
    subscription = GraphQLObjectType(
        "Subscription",
        {
            "count": GraphQLField(GraphQLInt, args=to, subscribe=count, resolve=lambda event, *_, **__: event),
            "forever": GraphQLField(GraphQLInt, subscribe=forever, resolve=lambda event, *_: event),
            "never": GraphQLField(GraphQLInt, subscribe=never, resolve=lambda event, *_: event),
            "breaks": GraphQLField(GraphQLInt, subscribe=breaks, resolve=lambda event, *_: event),
        },
    )
    return GraphQLSchema(query, mutation, subscription)


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json["errors"][0]["extensions"]["code"])


@dataclass
class Platform:
    """A running server, and what a test may want to look at or change while it runs."""

    url: str
    gateway: TinyGateway
    observations: Observations
    loop: asyncio.AbstractEventLoop
    server: Server
    snapshot: list[Snapshot]
    policy_failure: list[TanglaiError] = field(default_factory=list)

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.url.removeprefix("http://").rpartition(":")
        return host, int(port)

    @property
    def reading(self) -> int:
        """How many bodies arrive in pieces now."""
        app = self.server.config.app
        assert isinstance(app, Application)
        return app._http._bodies.running

    def token(self, **changes: Any) -> str:
        return samples.token(samples.claims(**changes))

    def send(
        self, method: str, path: str, body: bytes | str | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One request on a connection of its own, with exactly these headers."""
        connection = http.client.HTTPConnection(*self.address, timeout=20)
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def ask(
        self,
        query: Any = "{ hello }",
        *,
        accept: str | None = "application/graphql-response+json",
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> Answer:
        """A POST as a good client sends it."""
        given = {"Content-Type": "application/json", "Authorization": f"Bearer {self.token()}", **(headers or {})}
        if accept is not None:
            given["Accept"] = accept
        return self.send("POST", "/graphql", json.dumps({"query": query, **members}), given)

    def call(self, function: Callable[[], Any]) -> None:
        """Run `function` in the server's event loop."""
        done = threading.Event()

        def run() -> None:
            function()
            done.set()

        self.loop.call_soon_threadsafe(run)
        assert done.wait(10)

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for what the server does in its own thread."""
        for _ in range(2000):
            if condition():
                return
            time.sleep(0.005)
        raise AssertionError("it does not happen")


KEYS = samples.jwks(("a", samples.EC))


@contextlib.contextmanager
def running(
    gateway: TinyGateway | None = None,
    *,
    keys: Keys | None = None,
    demo: DemoRoutes | None = None,
    pages: Pages | None = None,
    clock: Callable[[], float] = time.time,
    **settings: Any,
) -> Iterator[Platform]:
    """A server on a free port until the end of the block; errors of its thread come out here."""
    gateway = gateway or TinyGateway()
    configured = Settings(**{"port": 0, "shutdown_seconds": 5, **settings})
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    observations = Observations()
    snapshot, failures = [samples.snapshot()], list[TanglaiError]()

    async def current() -> Snapshot:
        if failures:
            raise failures[0]
        return snapshot[0]

    verifier = TokenVerifier(
        keys or FixedKeys(KEYS), issuer=configured.issuer or samples.ISSUER, audience=samples.AUDIENCE, clock=clock
    )
    app = build_app(
        configured,
        gateway,
        Entrance(verifier, current),
        observations=observations,
        demo=demo,
        pages=pages,
        clock=clock,
    )
    ready: list[str] = []
    started = threading.Event()

    def on_ready(url: str) -> None:
        ready.append(url)
        loops.append(asyncio.get_running_loop())
        started.set()

    loops: list[asyncio.AbstractEventLoop] = []
    server = Server(app, configured, on_ready=on_ready)

    def run() -> None:
        try:
            server.run()
        finally:
            started.set()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert started.wait(20)
        assert ready, "the server did not start"
        yield Platform(ready[0], gateway, observations, loops[0], server, snapshot, failures)
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()
