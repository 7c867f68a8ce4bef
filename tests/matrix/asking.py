"""In charge of asking a node over each transport, and of what its sources were asked meanwhile."""

import http.client
import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

from graphql import FieldNode, OperationDefinitionNode, parse
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol


@dataclass(frozen=True)
class Reply:
    """The bytes that came back and what they say: `data` is absent from the body of a refusal."""

    raw: bytes
    body: Mapping[str, Any]


@dataclass
class Client:
    """Asks one node; connections are kept until the end of the block, WebSockets one for each token and purpose."""

    url: str
    _http: http.client.HTTPConnection | None = None
    _sockets: dict[tuple[str, str | None], ClientConnection] = field(default_factory=dict)
    _open: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def ask(self, transport: str, token: str, purpose: str | None, query: str, variables: Mapping[str, Any]) -> Reply:
        if transport == "WebSocket":
            return self._subscribe(token, purpose, query, variables)
        if transport == "export":
            return self._export(token, purpose, query, variables)
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/graphql-response+json"}
        if purpose is not None:
            headers["Purpose"] = purpose
        if transport == "GET":
            return self._request(f"/graphql?{urlencode({'query': query, 'variables': json.dumps(variables)})}", headers)
        body = json.dumps({"query": query, "variables": variables}).encode()
        return self._request("/graphql", {**headers, "Content-Type": "application/json"}, body)

    def _export(self, token: str, purpose: str | None, query: str, variables: Mapping[str, Any]) -> Reply:
        """An export put back together as the list that it is: rows as nodes, what was denied as errors."""
        path = exported(query)
        assert path is not None
        extensions = {"onDenied": "NULL", "export": {"rows": 100}}
        body = json.dumps({"query": query, "variables": variables, "extensions": extensions}).encode()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        if purpose is not None:
            headers["Purpose"] = purpose
        http_client = self._connection()
        http_client.request("POST", "/export?format=ndjson", body, headers)
        response = http_client.getresponse()
        raw, status, terms = response.read(), response.status, response.getheader("Export-Terms") or "{}"
        if status != 200:
            refusal = json.loads(raw)
            (error,) = refusal["errors"]
            if error["extensions"].get("fieldPath") != ".".join(path[:-1]):
                return Reply(raw, refusal)
            return Reply(raw, {"data": _nested(path[:-1], None), "errors": [error]})  # the list itself is denied
        told = json.loads(terms)
        rows = [json.loads(line) for line in raw.splitlines()]
        answer: dict[str, Any] = {"data": _nested(path, rows), "extensions": told}
        if told["denied"]:
            answer["errors"] = [{"extensions": denied} for denied in told["denied"]]
        return Reply(raw + terms.encode(), answer)

    def _connection(self) -> http.client.HTTPConnection:
        if self._http is None:
            self._http = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=30)
            self._open.callback(self._http.close)
        return self._http

    def _request(self, path: str, headers: dict[str, str], body: bytes | None = None) -> Reply:
        connection = self._connection()
        connection.request("POST" if body is not None else "GET", path, body, headers)
        raw = connection.getresponse().read()
        return Reply(raw, json.loads(raw))

    def _subscribe(self, token: str, purpose: str | None, query: str, variables: Mapping[str, Any]) -> Reply:
        socket = self._socket(token, purpose)
        payload = {"query": query, "variables": dict(variables)}
        socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
        raw = _bytes(socket.recv(timeout=30))
        message = json.loads(raw)
        if message["type"] == "error":
            return Reply(raw, {"errors": message["payload"]})
        assert json.loads(socket.recv(timeout=30)) == {"id": "1", "type": "complete"}
        return Reply(raw, message["payload"])

    def _socket(self, token: str, purpose: str | None) -> ClientConnection:
        if (token, purpose) not in self._sockets:
            opening = connect(
                f"{self.url.replace('http://', 'ws://')}/graphql",
                subprotocols=[Subprotocol("graphql-transport-ws")],
                additional_headers={"Purpose": purpose} if purpose is not None else {},
                compression=None,
                proxy=None,
            )
            socket = self._open.enter_context(opening)
            socket.send(json.dumps({"type": "connection_init", "payload": {"Authorization": f"Bearer {token}"}}))
            assert json.loads(socket.recv(timeout=30)) == {"type": "connection_ack"}
            self._sockets[token, purpose] = socket
        return self._sockets[token, purpose]


def exported(query: str) -> tuple[str, ...] | None:
    """The response path of the nodes that `/export` gives of `query`; None where it is no query for one list's."""
    operation = parse(query).definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    path: list[str] = []
    name = ""
    within = operation.selection_set
    while len(path) < 4:
        if len(within.selections) != 1 or not isinstance(field_ := within.selections[0], FieldNode):
            return None
        if field_.selection_set is None or any(a.name.value in _PAGING for a in field_.arguments or ()):
            return None
        path.append((field_.alias or field_.name).value)
        within, name = field_.selection_set, field_.name.value
    return tuple(path) if path[0] == "data" and name == "nodes" else None


_PAGING = ("first", "last", "after", "before")


def _nested(path: tuple[str, ...], value: Any) -> Any:
    for name in reversed(path):
        value = {name: value}
    return value


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


@dataclass
class Statements:
    """What a PostgreSQL server that logs its statements was asked about tables named `matrix_…`."""

    log: Path
    _read: int = 0

    def asked(self) -> list[str]:
        """The statements since the last call."""
        with self.log.open("rb") as log:
            log.seek(self._read)
            new = log.read()
        self._read += len(new)
        return [line for line in new.decode(errors="replace").splitlines() if "matrix_" in line]
