"""The endpoint of exports as a server calls it: how a response ends, or does not."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.types import Message

from authz.principal import Principal
from resolvers import export_run
from tanglai.catalogue.errors import ErrorCode, TanglaiError
from tanglai.server import export as endpoint
from tanglai.server.export import TERMS_BYTES, ExportEndpoint, _terms
from tanglai.server.observations import Observations
from tanglai.server.settings import Settings
from tests.catalogues import population
from tests.gateways import World, requester
from tests.unit.resolvers.conftest import rows

LIST = "{ data { population { residents { nodes { name } } } } }"


@dataclass
class Door:
    """Lets everybody in as Yinchuan, so often."""

    times: int = 1_000

    async def admit(self, token: str) -> tuple[Principal, Any]:
        self.times -= 1
        if self.times < 0:
            raise TanglaiError(ErrorCode.UNAUTHENTICATED, "a valid bearer token is needed")
        return requester(), None


@dataclass
class Call:
    """One request to the endpoint. `takes` parts of the body are taken before `stuck` waits for ever or leaves."""

    world: World = field(default_factory=lambda: World(population(), rows()))
    door: Door = field(default_factory=Door)
    settings: dict[str, Any] = field(default_factory=dict)
    takes: int = 1_000
    leaves: bool = False
    sent: list[Message] = field(default_factory=list)
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, **members: Any) -> None:
        settings = Settings(port=0, **self.settings)
        served: Any = self.world.gateway
        door: Any = self.door
        application = ExportEndpoint(served, door, settings, Observations())
        body = json.dumps({"query": LIST, **members}).encode()
        messages: Iterator[Message] = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def receive() -> Message:
            for message in messages:
                return message
            await self.gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            self.sent.append(message)
            if message["type"] == "http.response.body" and message.get("body"):
                self.takes -= 1
                if self.takes < 0:
                    if self.leaves:
                        self.gone.set()
                    await asyncio.Event().wait()

        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "POST",
            "path": "/export",
            "query_string": b"",
            "headers": [(b"authorization", b"Bearer x"), (b"content-type", b"application/json")],
        }
        await application(scope, receive, send)
        assert application.slots.running == 0
        assert not application.slots._by_department

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def ended(self) -> bool:
        """Whether the response has an end."""
        return not self.sent[-1].get("more_body", False) and self.sent[-1]["type"] == "http.response.body"

    @property
    def kinds(self) -> list[str]:
        return [record.document_kind for record in self.world.audit.records]


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_run, "PART_ROWS", 2)


async def test_a_whole_file_ends() -> None:
    call = Call()
    await call.run()
    assert (call.status, call.ended) == (200, True)
    body = b"".join(message.get("body", b"") for message in call.sent)
    assert body == b"".join(b'{"name":"n%d"}\n' % n for n in range(1, 8))
    assert call.kinds == ["export", "export-end"]


async def test_the_end_is_recorded_before_it_is_sent() -> None:
    call = Call(takes=4)
    call.world.audit.down = False
    running = asyncio.ensure_future(call.run())
    await running
    assert call.kinds == ["export", "export-end"]
    broken = Call()
    append = broken.world.audit.append

    async def once(record: Any) -> None:
        await append(record)
        broken.world.audit.down = True

    broken.world.audit.append = once  # type: ignore[method-assign]
    await broken.run()
    assert (broken.status, broken.ended) == (200, False)


async def test_a_token_that_is_over_ends_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "_ADMIT_SECONDS", 0.0)
    call = Call(door=Door(3))
    await call.run()
    assert (call.status, call.ended) == (200, False)
    assert sum(message.get("body", b"").count(b"\n") for message in call.sent) == 4
    assert call.kinds == ["export"]


@pytest.mark.parametrize("takes", [0, 1, 3])
async def test_a_client_that_leaves(takes: int) -> None:
    call = Call(takes=takes, leaves=True)
    await call.run()
    assert (call.status, call.ended) == (200, False)
    assert call.kinds == ["export"]


async def test_a_client_that_takes_nothing() -> None:
    call = Call(takes=1, settings={"export_idle_seconds": 0.05})
    await call.run()
    assert (call.status, call.ended) == (200, False)
    assert call.kinds == ["export"]


async def test_an_export_that_takes_too_long() -> None:
    call = Call(takes=1, settings={"export_seconds": 0.1})
    await call.run()
    assert (call.status, call.ended) == (200, False)
    assert call.kinds == ["export"]


async def test_a_process_that_stops() -> None:
    call = Call(takes=1)
    running = asyncio.ensure_future(call.run())
    async with asyncio.timeout(10):
        while call.takes >= 0:  # noqa: ASYNC110
            await asyncio.sleep(0)
    running.cancel()
    await running
    assert (call.status, call.ended) == (200, False)
    assert call.kinds == ["export"]


async def test_without_places_there_are_none() -> None:
    call = Call(settings={"max_exports": 0})
    await call.run()
    assert (call.status, call.ended) == (503, True)
    assert call.kinds == []


async def test_a_refusal_is_json() -> None:
    call = Call()
    await call.run(extensions={"export": {"rows": -1}})
    assert call.status == 400
    headers = dict(call.sent[0]["headers"])
    assert headers[b"content-type"] == b"application/json; charset=utf-8"
    assert b"content-disposition" not in headers
    assert json.loads(call.sent[1]["body"])["errors"][0]["extensions"]["code"] == "BAD_INPUT"


def test_terms_fit_into_a_header() -> None:
    told: dict[str, Any] = {
        "requestId": "r",
        "purpose": "社",
        "grants": ["g"],
        "masked": [],
        "partial": [],
        "denied": [],
    }
    assert json.loads(_terms(told)) == told
    assert _terms(told).isascii()
    names = [f"data.population.residents.nodes.item{n}" for n in range(300)]
    long = _terms(told | {"masked": names, "denied": [{"fieldPath": name} for name in names[:20]]})
    assert len(long) <= TERMS_BYTES
    assert json.loads(long)["masked"] == 300
    assert json.loads(long)["denied"][19] == {"fieldPath": names[19]}
    assert json.loads(_terms(told | {"denied": names}))["denied"] == 300
