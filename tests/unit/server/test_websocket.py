"""A WebSocket whose client takes nothing: what is still said to it, and that nothing runs on."""

import asyncio
import json
from typing import Any

import pytest

from tanglai.catalogue.model import Snapshot
from tanglai.server.identity import Entrance, TokenVerifier
from tanglai.server.keys import FixedKeys
from tanglai.server.observations import Observations
from tanglai.server.protocol import Gate, Mailbox
from tanglai.server.settings import Settings
from tanglai.server.supervision import Slots
from tanglai.server.websocket import SUBPROTOCOL, WebSocketEndpoint
from tests.http.platform import KEYS, StreamingGateway
from tests.unit.server import samples

HANG = 20


class Client:
    """The other side of the ASGI application: `gate` is closed while it takes nothing, and after each if `slow`."""

    slow = False

    def __init__(self) -> None:
        self.said, self.gate, self.heard = Mailbox(), Gate(), list[dict[str, Any]]()
        self.news = asyncio.Event()
        self.said.put_nowait({"type": "websocket.connect"})

    async def hear(self, message: Any) -> None:
        await self.gate.wait()
        self.heard.append(message)
        self.news.set()
        if self.slow:
            self.gate.clear()

    def say(self, **message: Any) -> None:
        self.said.put_nowait({"type": "websocket.receive", "text": json.dumps(message)})

    def start(self, endpoint: WebSocketEndpoint) -> "asyncio.Task[None]":
        """Connects and introduces itself."""
        scope = {"type": "websocket", "headers": [], "subprotocols": [SUBPROTOCOL]}
        token = samples.token(samples.claims())
        self.say(type="connection_init", payload={"Authorization": f"Bearer {token}"})
        return asyncio.ensure_future(endpoint(scope, self.said.get, self.hear))

    async def until(self, number: int) -> None:
        """Until so many messages were heard."""
        async with asyncio.timeout(HANG):
            while len(self.heard) < number:
                self.news.clear()
                await self.news.wait()


@pytest.fixture
def endpoint() -> WebSocketEndpoint:
    async def snapshot() -> Snapshot:
        return samples.snapshot()

    verifier = TokenVerifier(FixedKeys(KEYS), issuer=samples.ISSUER, audience=samples.AUDIENCE)
    entrance, settings = Entrance(verifier, snapshot), Settings(port=0)
    return WebSocketEndpoint(StreamingGateway(), entrance, settings, Slots(9), Slots(9), Observations())


async def test_what_was_not_taken_does_not_stand_before_the_close(endpoint: WebSocketEndpoint) -> None:
    client = Client()
    running = client.start(endpoint)
    await client.until(2)
    client.slow = True
    client.gate.clear()
    for key in range(5):
        client.say(id=str(key), type="subscribe", payload={"query": "{ long }"})
    for _ in range(50):
        await asyncio.sleep(0)
    client.say(type="nonsense")
    for _ in range(50):
        await asyncio.sleep(0)
    client.gate.set()
    async with asyncio.timeout(HANG):
        await running
    assert [message["type"] for message in client.heard] == ["websocket.accept", "websocket.send", "websocket.close"]
    assert client.heard[-1]["code"] == 4400


@pytest.mark.parametrize("query", ["{ hello }", "{ nonsense }", "subscription { count(to: 0) }"])
async def test_nothing_runs_on_that_waits_to_say_its_last_word(endpoint: WebSocketEndpoint, query: str) -> None:
    client = Client()
    before = asyncio.all_tasks()
    running = client.start(endpoint)
    await client.until(2)
    client.gate.clear()
    client.say(id="1", type="subscribe", payload={"query": query})
    for _ in range(50):
        await asyncio.sleep(0)
    client.said.put_nowait({"type": "websocket.disconnect"})
    async with asyncio.timeout(HANG):
        await running
    assert asyncio.all_tasks() == before


async def test_an_id_is_free_once_its_last_word_is_said(endpoint: WebSocketEndpoint) -> None:
    client = Client()
    running = client.start(endpoint)
    await client.until(2)
    for number in range(1, 4):
        client.say(id="1", type="subscribe", payload={"query": "{ nonsense }"})
        await client.until(2 + number)
        assert json.loads(client.heard[-1]["text"])["type"] == "error"
    client.said.put_nowait({"type": "websocket.disconnect"})
    await running
