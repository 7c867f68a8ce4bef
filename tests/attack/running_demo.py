"""In charge of the demo as an attacker finds it: its own process on a free port, spoken to byte by byte."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from demo.data.world import World
from demo.publication import read_catalogue
from tanglai.server.issuer import DemoIssuer
from tanglai.server.settings import load

ROOT = Path(__file__).parents[2]
START_SECONDS, STOP_SECONDS = 300, 60
JSON = ("Content-Type", "application/json")
_ACCEPT = ("Accept", "application/graphql-response+json")
_REQUEST_ID = re.compile(rb'"requestId":"[^"]*"')


@dataclass
class Reply:
    status: int
    raw: bytes
    headers: dict[str, str]

    @property
    def body(self) -> dict[str, Any]:
        return dict(json.loads(self.raw))

    @property
    def codes(self) -> list[str]:
        return [error["extensions"]["code"] for error in self.body.get("errors", [])]

    @property
    def bare(self) -> bytes:
        """The body without the request's id."""
        return _REQUEST_ID.sub(b"", self.raw)


@dataclass
class Demo:
    """The running demo; `world` is what its databases hold."""

    url: str
    issuer: DemoIssuer
    codes: Mapping[str, str]
    world: World
    _tokens: dict[Any, str] = field(default_factory=dict)

    def token(
        self,
        department: str,
        *purposes: str,
        roles: Iterable[str] = (),
        scopes: Iterable[str] | None = None,
    ) -> str:
        """A token that the demo's issuer signed; `department` is a key, or what stands in the claim."""
        key = (department, purposes, tuple(roles), None if scopes is None else tuple(scopes))
        if key not in self._tokens:
            code = self.codes.get(department, department)
            self._tokens[key] = self.issuer.issue(code, purposes=purposes, roles=key[2], scopes=key[3])
        return self._tokens[key]

    def send(self, method: str, path: str, headers: Iterable[tuple[str, str | bytes]] = (), body: bytes = b"") -> Reply:
        """One request with its headers as given."""
        host = urlsplit(self.url)
        connection = http.client.HTTPConnection(host.hostname or "", host.port or 0, timeout=60)
        try:
            connection.putrequest(method, path)
            for name, value in [*headers, ("Content-Length", str(len(body)))]:
                connection.putheader(name, value)
            connection.endheaders(body)
            response = connection.getresponse()
            return Reply(response.status, response.read(), {k.lower(): v for k, v in response.getheaders()})
        finally:
            connection.close()

    def ask(
        self,
        query: str,
        token: str,
        variables: Mapping[str, Any] | None = None,
        *headers: tuple[str, str | bytes],
        **members: Any,
    ) -> Reply:
        """One operation; `members` are further members of the body."""
        body = json.dumps({"query": query, "variables": variables or {}, **members}).encode()
        return self.post(body, token, *headers)

    def post(self, body: bytes, token: str, *headers: tuple[str, str | bytes]) -> Reply:
        return self.send("POST", "/graphql", [JSON, _ACCEPT, ("Authorization", f"Bearer {token}"), *headers], body)

    def spoken(self, text: bytes, seconds: float = 5) -> bytes:
        """Everything that comes back on one connection for `text`, until the other side is silent or gone."""
        host = urlsplit(self.url)
        with socket.create_connection((host.hostname or "", host.port or 0), timeout=seconds) as line:
            line.sendall(text)
            heard = b""
            while True:
                try:
                    part = line.recv(65_536)
                except (TimeoutError, ConnectionError):
                    return heard
                if not part:
                    return heard
                heard += part

    @contextmanager
    def socket(self, **headers: str) -> Iterator[ClientConnection]:
        url = self.url.replace("http://", "ws://") + "/graphql"
        with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")], additional_headers=headers) as line:
            yield line


@contextmanager
def running_demo(folder: Path) -> Iterator[Demo]:
    """The demo, started in `folder` and stopped at the end."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TANGLAI_", "DEMO_"))}
    with (folder / "demo.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "demo", "serve", "--port", "0"],
            cwd=folder,
            env={**kept, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    timer = threading.Timer(START_SECONDS, process.kill)
    timer.start()
    assert process.stdout is not None
    try:
        ready = process.stdout.readline().split()
        timer.cancel()
        assert ready[:1] == ["ready"], (folder / "demo.log").read_text()
        issuer = DemoIssuer.open(load(state_dir=folder / ".demo", demo_issuer=True))
        codes = {department.key: department.code for department in read_catalogue().departments}
        yield Demo(ready[1], issuer, codes, World())
    finally:
        timer.cancel()
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_SECONDS)
        finally:
            process.kill()
            process.stdout.close()
