"""In charge of the case `subscriptions`: what a thousand of them cost a node while nothing happens.

Bar: 20 kB of resident memory each: as event streams, which have a connection each, over WebSocket with all that a
client has on one connection, and over a WebSocket each.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.client import connect

from benchmarks.start import free_port
from demo.region import CATALOGUE, DemoRegion

NUMBER = 1_000
WARM_UP = 50
BAR_BYTES = 20_000
DEPARTMENTS = ("social-security", "public-security", "health", "taxation", "civil-affairs")
QUERY = "subscription { inboxChanged { waiting unread } }"
SETTLE_SECONDS = 2.0

SHARED = 20
"""Subscriptions of one client of WebSocket."""

Open = Callable[[str, str, AsyncExitStack], Awaitable[None]]
"""Opens one connection with a token."""


def run() -> dict[str, Any]:
    """Bytes of one idle subscription by kind of connection: growth of the node's resident memory, by a thousand."""
    found: dict[str, Any] = {"number": NUMBER, "bar_bytes": BAR_BYTES}
    with tempfile.TemporaryDirectory(prefix="tanglai-subscriptions-") as scratch, DemoRegion(Path(scratch)) as region:
        environment = {**os.environ, **region.environment(), "TANGLAI_DEMO_ISSUER": "1"}
        environment["TANGLAI_MAX_WEBSOCKETS"] = str(NUMBER + WARM_UP)
        tanglai = str(Path(sys.executable).parent / "tanglai")
        subprocess.run(
            [tanglai, "catalogue", "import", str(CATALOGUE)], env=environment, check=True, capture_output=True
        )
        tokens = [
            subprocess.run(
                [tanglai, "token", "--department", department],
                env=environment,
                check=True,
                capture_output=True,
                text=True,
            ).stdout.strip()
            for department in DEPARTMENTS
        ]
        kinds: Sequence[tuple[str, Open, int]] = (
            ("event_stream", _event_stream, 1),
            ("websocket", partial(_websocket, SHARED), SHARED),
            ("websocket_alone", partial(_websocket, 1), 1),
        )
        for name, opened, each in kinds:
            # A node of its own for each: memory that was used and given back is used again before more is taken.
            port = free_port()
            with subprocess.Popen(
                [tanglai, "serve", "--port", str(port)],
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            ) as node:
                try:
                    url = f"http://127.0.0.1:{port}"
                    _wait(url)
                    found[f"{name}_bytes"] = round(asyncio.run(_grown(url, tokens, opened, each, node.pid)) / NUMBER)
                finally:
                    node.terminate()
    found["met"] = max(found[f"{name}_bytes"] for name, _, _ in kinds) <= BAR_BYTES
    return found


async def _grown(url: str, tokens: Sequence[str], opened: Open, each: int, pid: int) -> int:
    """By how many bytes the node grows for NUMBER subscriptions that wait, `each` on a connection."""
    async with AsyncExitStack() as stack:
        for number in range(WARM_UP):
            await opened(url, tokens[number % len(tokens)], stack)
        await asyncio.sleep(SETTLE_SECONDS)
        before = resident(pid)
        for number in range(NUMBER // each):
            await opened(url, tokens[number % len(tokens)], stack)
        await asyncio.sleep(SETTLE_SECONDS)
        return resident(pid) - before


def resident(pid: int) -> int:
    """Resident memory of a process, in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _wait(url: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=5):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


async def _event_stream(url: str, token: str, stack: AsyncExitStack) -> None:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    stack.callback(writer.close)
    body = json.dumps({"query": QUERY}).encode()
    writer.write(
        f"POST /graphql HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nAccept: text/event-stream\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        + body
    )
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), head
    assert b"text/event-stream" in head, head
    event = await reader.readuntil(b"\n\n")
    assert b'"data"' in event, event


async def _websocket(number: int, url: str, token: str, stack: AsyncExitStack) -> None:
    address = url.replace("http", "ws", 1) + "/graphql"
    connection = await stack.enter_async_context(
        connect(address, subprotocols=["graphql-transport-ws"], compression=None, ping_interval=None)  # type: ignore[list-item]
    )
    await connection.send(json.dumps({"type": "connection_init", "payload": {"Authorization": f"Bearer {token}"}}))
    assert json.loads(await connection.recv())["type"] == "connection_ack"
    for index in range(number):
        await connection.send(json.dumps({"type": "subscribe", "id": f"{index}", "payload": {"query": QUERY}}))
        answer = json.loads(await connection.recv())
        assert answer["type"] == "next", answer
        assert "errors" not in answer["payload"], answer
