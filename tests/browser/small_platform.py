"""In charge of a small platform for the browser tests: the workbench as the server serves it, tokens, `/graphql`."""

import asyncio
import json
import re
import socket
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import uvicorn
from graphql import GraphQLSchema, graphql
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tanglai.server.pages import Pages
from tests.browser.region import DEPARTMENTS, EXAMPLES, PURPOSES, Answer, resolve


@dataclass
class Seen:
    """One request to `/graphql`, with the department of its token."""

    department: str
    purpose: str | None
    language: str
    body: dict[str, Any]

    @property
    def operation(self) -> str:
        """Name of the operation as its text has it."""
        found = re.search(r"(?:query|mutation|subscription)\s+(\w+)", self.body["query"])
        return found[1] if found else ""


@dataclass
class Platform:
    """A server on a free port of the loopback interface, for one test.

    `demo` serves `/demo/session` and `/demo/token`, whose tokens live `token_life` seconds; `tokens` are accepted
    besides, each standing for a department; the next `refuse_next` operations are answered 401.
    """

    schema: GraphQLSchema
    demo: bool = True
    token_life: float = 600.0
    tokens: dict[str, str] = field(default_factory=dict)
    requests: list[Seen] = field(default_factory=list)
    issued: list[dict[str, str]] = field(default_factory=list)
    refuse_next: int = 0

    def __post_init__(self) -> None:
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/"
        routes = [
            *Pages().routes(),
            Route("/demo/session", self._session),
            Route("/demo/token", self._token, methods=["POST"]),
            Route("/graphql", self._graphql, methods=["POST"]),
        ]
        config = uvicorn.Config(Starlette(routes=routes), log_level="warning", ws="none", lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True)

    def __enter__(self) -> "Platform":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join()
        self._socket.close()

    def operations(self) -> list[str]:
        """Names of the operations received so far."""
        return [seen.operation for seen in self.requests]

    async def _session(self, request: Request) -> Response:
        if not self.demo:
            return Response(status_code=404)
        default = {"department": "taxation", "purpose": "tax-assessment"}
        return JSONResponse(
            {"departments": DEPARTMENTS, "purposes": PURPOSES, "default": default, "examples": EXAMPLES}
        )

    async def _token(self, request: Request) -> Response:
        who = await request.json()
        self.issued.append(who)
        token = f"demo-{len(self.issued)}"
        self.tokens[token] = who["department"]
        expires = datetime.now(UTC) + timedelta(seconds=self.token_life)
        return JSONResponse({"token": token, "expiresAt": expires.isoformat()})

    async def _graphql(self, request: Request) -> Response:
        body = await request.json()
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        department = self.tokens.get(token)
        if department is None or self.refuse_next > 0:
            self.refuse_next -= 1
            error = {"message": "no valid token", "extensions": {"code": "UNAUTHENTICATED"}}
            return JSONResponse({"errors": [error]}, 401)
        purpose = request.headers.get("Purpose")
        self.requests.append(Seen(department, purpose, request.headers.get("Accept-Language", ""), body))
        if "text/event-stream" in request.headers["Accept"]:
            return StreamingResponse(self._ticks(body), media_type="text/event-stream")
        answer = Answer(department, request.headers.get("Accept-Language", ""))
        result = await graphql(
            self.schema,
            body["query"],
            context_value=answer,
            variable_values=body.get("variables"),
            operation_name=body.get("operationName"),
            field_resolver=resolve,
        )
        formatted: dict[str, Any] = dict(result.formatted)
        errors = [*formatted.get("errors", []), *answer.errors]
        if errors:
            formatted["errors"] = errors
        if answer.extensions:
            formatted["extensions"] = answer.extensions
        return JSONResponse(formatted, media_type="application/graphql-response+json")

    async def _ticks(self, body: dict[str, Any]) -> AsyncIterator[str]:
        # CRLF and comment lines, as some servers send
        yield ":\r\n\r\n"
        for number in range(3):
            yield f"event: next\r\ndata: {json.dumps({'data': {'ticks': number}})}\r\n\r\n"
            await asyncio.sleep(0)
        yield "event: complete\r\ndata:\r\n\r\n"
