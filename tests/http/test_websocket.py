"""graphql-transport-ws on `/graphql`: the protocol's close codes, identity, bounds."""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tanglai.catalogue.errors import ErrorCode, TanglaiError
from tanglai.server.identity import LEEWAY_SECONDS
from tanglai.server.protocol import IdleWebSocketProtocol
from tests.cases import case
from tests.http.platform import Platform, StreamingGateway, running
from tests.unit.server import samples
from tests.unit.server.test_identity import ChangingKeys

PROTOCOL = "graphql-transport-ws"


@pytest.fixture(scope="module")
def shared() -> Iterator[Platform]:
    with running(StreamingGateway(), websocket_init_seconds=5, max_operations=4, max_body_bytes=4096) as server:
        yield server


@pytest.fixture
def platform(shared: Platform) -> Platform:
    shared.gateway.requests.clear()
    shared.gateway.failure = None
    shared.gateway.cancelled = 0
    shared.gateway.started.clear()
    shared.policy_failure.clear()
    return shared


class Socket:
    """A client that speaks JSON."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    def say(self, **message: Any) -> None:
        self.connection.send(json.dumps(message))

    def hear(self) -> dict[str, Any]:
        heard: dict[str, Any] = json.loads(self.connection.recv(timeout=10))
        return heard

    def closed(self) -> int:
        """The code that the server closes with; what it says before is dropped."""
        try:
            while True:
                self.connection.recv(timeout=10)
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd is not None else 0


@contextmanager
def raw(
    platform: Platform, protocol: str | None = PROTOCOL, origin: str | None = None, **headers: str
) -> Iterator[Socket]:
    url = platform.url.replace("http://", "ws://") + "/graphql"
    with connect(
        url,
        subprotocols=[Subprotocol(protocol)] if protocol else None,
        additional_headers=headers | ({"Origin": origin} if origin else {}),
        compression=None,
        proxy=None,
    ) as connection:
        yield Socket(connection)


@contextmanager
def opened(platform: Platform, token: str | None = None, **headers: str) -> Iterator[Socket]:
    """A connection that is acknowledged."""
    with raw(platform, **headers) as client:
        client.say(type="connection_init", payload={"Authorization": f"Bearer {token or platform.token()}"})
        assert client.hear() == {"type": "connection_ack"}
        yield client


@case(31, twin=True)
def test_a_query(platform: Platform) -> None:
    with opened(platform, **{"Accept-Language": "zh"}) as client:
        client.say(
            id="1",
            type="subscribe",
            payload={"query": "query Q($t: String) { echo(text: $t) asks }", "variables": {"t": "银川"}},
        )
        assert client.hear() == {
            "id": "1",
            "type": "next",
            "payload": {"data": {"echo": "银川", "asks": "public-security/desk"}},
        }
        assert client.hear() == {"id": "1", "type": "complete"}
        (request,) = platform.gateway.requests
        assert (request.language, request.read_only, request.principal.client) == ("zh", False, "desk")
        client.say(id="1", type="subscribe", payload={"query": "mutation { touch }"})  # an id may be used again
        assert client.hear()["payload"] == {"data": {"touch": "touched"}}


def test_an_operation_that_is_refused(platform: Platform) -> None:
    with opened(platform) as client:
        client.say(id="1", type="subscribe", payload={"query": "{ unknown }"})
        error = client.hear()
        assert (error["id"], error["type"]) == ("1", "error")
        assert isinstance(error["payload"], list)
        client.say(id="2", type="subscribe", payload={"query": "{ fail }"})
        assert client.hear()["payload"]["data"] == {"fail": None}


def test_a_subscription(platform: Platform) -> None:
    with opened(platform) as client:
        client.say(id="s", type="subscribe", payload={"query": "subscription { count(to: 3) }"})
        assert [client.hear()["payload"]["data"]["count"] for _ in range(3)] == [0, 1, 2]
        assert client.hear() == {"id": "s", "type": "complete"}
        client.say(id="t", type="subscribe", payload={"query": "subscription { unknown }"})
        assert client.hear()["type"] == "error"


def test_leaving_a_subscription(platform: Platform) -> None:
    with opened(platform) as client:
        client.say(id="s", type="subscribe", payload={"query": "subscription { forever }"})
        assert client.hear()["type"] == "next"
        client.say(id="s", type="complete")
        client.say(id="no such", type="complete")  # both sides may end it at the same time
        platform.until(lambda: platform.gateway.cancelled == 1)
        client.say(type="ping")
        while (heard := client.hear())["type"] == "next":
            pass
        assert heard == {"type": "pong"}


def test_closing_ends_what_runs(platform: Platform) -> None:
    with opened(platform) as client:
        client.say(id="s", type="subscribe", payload={"query": "subscription { forever }"})
        assert client.hear()["type"] == "next"
        client.say(id="q", type="subscribe", payload={"query": "{ wait }"})
        platform.until(lambda: len(platform.gateway.requests) == 2)
    platform.until(lambda: platform.gateway.cancelled == 2)


def test_ping_and_pong(platform: Platform) -> None:
    with raw(platform) as client:  # also before the acknowledgement
        client.say(type="ping", payload={"a": 1})
        assert client.hear() == {"type": "pong"}
        client.say(type="pong")
        client.say(type="pong", payload={})
        client.say(type="ping")
        assert client.hear() == {"type": "pong"}


class TestCloseCodes:
    @case(31)
    def test_subscribing_before_the_acknowledgement(self, platform: Platform) -> None:
        with raw(platform, Authorization=f"Bearer {platform.token()}") as client:
            client.say(id="1", type="subscribe", payload={"query": "{ hello }"})
            assert client.closed() == 4401
        assert not platform.gateway.requests

    def test_a_second_init(self, platform: Platform) -> None:
        with opened(platform) as client:
            client.say(type="connection_init", payload={"Authorization": f"Bearer {platform.token()}"})
            assert client.closed() == 4429

    def test_two_operations_of_one_id(self, platform: Platform) -> None:
        with opened(platform) as client:
            client.say(id="1", type="subscribe", payload={"query": "{ wait }"})
            client.say(id="1", type="subscribe", payload={"query": "{ hello }"})
            assert client.closed() == 4409

    @pytest.mark.parametrize(
        "message",
        [
            "nonsense",
            "{nonsense",
            "[]",
            "null",
            '"ping"',
            "{}",
            '{"type":1}',
            '{"type":"nonsense"}',
            '{"type":"connection_ack"}',
            '{"type":"next","id":"1","payload":{}}',
            '{"type":"start","id":"1","payload":{"query":"{hello}"}}',
            '{"type":"ping","payload":"x"}',
            '{"type":"pong","payload":[]}',
            '{"type":"subscribe","payload":{"query":"{hello}"}}',
            '{"type":"subscribe","id":"","payload":{"query":"{hello}"}}',
            '{"type":"subscribe","id":1,"payload":{"query":"{hello}"}}',
            '{"type":"subscribe","id":"1"}',
            '{"type":"subscribe","id":"1","payload":[]}',
            '{"type":"subscribe","id":"1","payload":{}}',
            '{"type":"subscribe","id":"1","payload":{"query":1}}',
            '{"type":"subscribe","id":"1","payload":{"query":"{hello}","variables":[]}}',
            '{"type":"subscribe","id":"1","payload":{"query":"{hello}","query":"{asks}"}}',
            '{"type":"subscribe","id":"' + "x" * 200 + '","payload":{"query":"{hello}"}}',
            '{"type":"complete"}',
            '{"type":"ping","type":"pong"}',
            '{"type":"ping","payload":{"a":NaN}}',
        ],
        ids=lambda message: message[:60],
    )
    def test_what_is_no_message(self, platform: Platform, message: str) -> None:
        with opened(platform) as client:
            client.connection.send(message)
            assert client.closed() == 4400
        assert not platform.gateway.requests

    def test_bytes(self, platform: Platform) -> None:
        with opened(platform) as client:
            client.connection.send(b'{"type":"ping"}')
            assert client.closed() == 4400

    def test_an_odd_init(self, platform: Platform) -> None:
        with raw(platform) as client:
            client.say(type="connection_init", payload=[])
            assert client.closed() == 4400

    @case(31)
    def test_no_init(self) -> None:
        with running(websocket_init_seconds=0.05) as platform, raw(platform) as client:
            assert client.closed() == 4408

    @case(31, twin=True)
    def test_an_acknowledged_connection_stays(self) -> None:
        with running(websocket_init_seconds=0.05) as platform, opened(platform) as client:
            time.sleep(0.15)
            client.say(type="ping")
            assert client.hear() == {"type": "pong"}

    def test_too_long_a_message(self, platform: Platform) -> None:
        with opened(platform) as client:
            client.say(type="ping", payload={"a": "x" * 5000})
            assert client.closed() == 1009


class TestIdentity:
    @case(31)
    @pytest.mark.parametrize(
        "payload",
        [
            None,
            {},
            {"Authorization": ""},
            {"Authorization": "Bearer nonsense"},
            {"Authorization": None},
            {"Authorization": 7},
            {"Authorization": ["Bearer x"]},
            {"token": "x"},
        ],
        ids=str,
    )
    def test_outsiders(self, platform: Platform, payload: Any) -> None:
        with raw(platform) as client:
            client.say(type="connection_init", payload=payload)
            assert client.closed() == 4403

    def test_the_token_may_stand_in_the_header(self, platform: Platform) -> None:
        with raw(platform, Authorization=f"Bearer {platform.token()}") as client:
            client.say(type="connection_init")
            assert client.hear() == {"type": "connection_ack"}

    def test_the_payload_comes_first(self, platform: Platform) -> None:
        with raw(platform, Authorization=f"Bearer {platform.token()}") as client:
            client.say(type="connection_init", payload={"authorization": "Bearer nonsense"})
            assert client.closed() == 4403

    def test_two_names_for_one_token(self, platform: Platform) -> None:
        with raw(platform) as client:
            token = f"Bearer {platform.token()}"
            client.say(type="connection_init", payload={"authorization": token, "Authorization": token})
            assert client.closed() == 4403

    def test_a_closed_department(self, platform: Platform) -> None:
        with raw(platform) as client:
            token = platform.token(dept=samples.CLOSED)
            client.say(type="connection_init", payload={"Authorization": f"Bearer {token}"})
            assert client.closed() == 4403

    @case(31)
    def test_the_token_ends(self) -> None:
        now = [time.time()]
        with running(clock=lambda: now[0]) as platform:
            token = platform.token(iat=None, exp=now[0] - LEEWAY_SECONDS + 0.5)
            with opened(platform, token) as client:
                client.say(id="1", type="subscribe", payload={"query": "{ wait }"})
                assert client.closed() == 4401
            assert platform.gateway.cancelled == 1

    @case(31)
    def test_the_token_ends_under_a_subscription(self) -> None:
        now = [time.time()]
        with running(StreamingGateway(), clock=lambda: now[0]) as platform:
            token = platform.token(iat=None, exp=now[0] - LEEWAY_SECONDS + 0.5)
            with opened(platform, token) as client:
                client.say(id="1", type="subscribe", payload={"query": "subscription { never }"})
                assert client.hear()["payload"] == {"data": {"never": 0}}
                assert client.closed() == 4401
            assert platform.gateway.cancelled == 1

    @case(31)
    def test_the_key_is_withdrawn_under_a_subscription(self) -> None:
        """What comes later is for whoever may still hear it."""
        keys = ChangingKeys(samples.jwks(("a", samples.EC)))
        with running(StreamingGateway(), keys=keys) as platform, opened(platform) as client:
            client.say(id="1", type="subscribe", payload={"query": "subscription { forever }"})
            assert client.hear()["type"] == "next"
            platform.call(lambda: keys.rotate(samples.jwks(("a", samples.OTHER_EC))))
            assert client.closed() == 4401

    @case(31)
    def test_the_key_is_withdrawn(self) -> None:
        keys = ChangingKeys(samples.jwks(("a", samples.EC)))
        with running(keys=keys) as platform, opened(platform) as client:
            keys.rotate(samples.jwks(("a", samples.OTHER_EC)))
            client.say(id="1", type="subscribe", payload={"query": "{ hello }"})
            assert client.closed() == 4401
            assert not platform.gateway.requests

    def test_the_department_is_closed(self, platform: Platform) -> None:
        before = platform.snapshot[0]
        try:
            with opened(platform) as client:
                platform.snapshot[0] = samples.snapshot(2, departments={})
                client.say(id="1", type="subscribe", payload={"query": "{ hello }"})
                assert client.closed() == 4401
        finally:
            platform.snapshot[0] = before
        assert not platform.gateway.requests

    def test_without_the_platform_database(self, platform: Platform) -> None:
        with opened(platform) as client:
            platform.policy_failure.append(TanglaiError(ErrorCode.POLICY_UNAVAILABLE, "down"))
            client.say(id="1", type="subscribe", payload={"query": "{ hello }"})
            assert client.hear()["payload"][0]["extensions"]["code"] == "POLICY_UNAVAILABLE"
            platform.policy_failure.clear()
            client.say(id="1", type="subscribe", payload={"query": "{ hello }"})
            assert client.hear()["type"] == "next"


class TestHandshake:
    @case(31)
    @pytest.mark.parametrize("protocol", ["graphql-ws", "nonsense", None])
    def test_other_protocols(self, platform: Platform, protocol: str | None) -> None:
        if protocol is None:
            with raw(platform, protocol) as client:
                assert client.closed() == 4406
            return
        with raw(platform, protocol) as client:
            assert client.connection.subprotocol is None
            assert client.closed() == 4406

    @case(31)
    @pytest.mark.parametrize("origin", ["https://evil.example.invalid", "null", "http://127.0.0.1:1", "file://"])
    def test_foreign_origins(self, platform: Platform, origin: str) -> None:
        with pytest.raises(InvalidStatus) as caught, raw(platform, origin=origin):
            pass
        assert caught.value.response.status_code == 403

    @case(31, twin=True)
    def test_own_origin(self, platform: Platform) -> None:
        with raw(platform, origin=platform.url) as client:
            client.say(type="ping")
            assert client.hear() == {"type": "pong"}

    def test_origins_of_the_settings(self) -> None:
        with (
            running(allowed_origins=("https://app.example.invalid",)) as platform,
            raw(platform, origin="https://app.example.invalid") as client,
        ):
            client.say(type="ping")
            assert client.hear() == {"type": "pong"}

    def test_elsewhere(self, platform: Platform) -> None:
        url = platform.url.replace("http://", "ws://")
        for path in ("/", "/healthz", "/graphql/"):
            with pytest.raises(InvalidStatus) as caught, connect(url + path, proxy=None):
                pass
            assert caught.value.response.status_code == 403

    @case(31)
    def test_too_many_connections(self) -> None:
        with running(max_websockets=1) as platform, opened(platform):
            with pytest.raises(InvalidStatus) as caught, raw(platform):
                pass
            assert caught.value.response.status_code == 503
            assert caught.value.response.headers["retry-after"] == "1"


class TestBounds:
    def test_a_connection_keeps_of_its_handshake_what_operations_need(self) -> None:
        names = {"X-Long": "x" * 100, "Purpose": "registration", "Accept-Language": "en"}
        with running(StreamingGateway()) as platform, opened(platform, **names) as client:
            client.say(id="1", type="subscribe", payload={"query": "subscription { never }"})
            assert client.hear()["type"] == "next"
            [protocol] = platform.server.server_state.connections
            assert isinstance(protocol, IdleWebSocketProtocol)
            assert protocol.scope["headers"] == ()
            assert not hasattr(protocol, "request")
            assert not hasattr(protocol, "response")
            [request] = platform.gateway.requests
            assert (request.purpose, request.language) == ("registration", "en")

    def test_an_idle_subscription_is_two_tasks(self) -> None:
        """One reads what the client says, one follows."""
        with running(StreamingGateway()) as platform:
            before = asyncio.all_tasks(platform.loop)
            with opened(platform) as client:
                client.say(id="1", type="subscribe", payload={"query": "subscription { never }"})
                assert client.hear()["type"] == "next"
                assert len(asyncio.all_tasks(platform.loop) - before) == 2

    @case(31)
    def test_operations_of_a_connection(self, platform: Platform) -> None:
        with opened(platform) as client:
            for number in range(4):
                client.say(id=str(number), type="subscribe", payload={"query": "{ wait }"})
            client.say(id="too many", type="subscribe", payload={"query": "{ hello }"})
            heard = client.hear()
            assert (heard["id"], heard["type"]) == ("too many", "error")
            assert heard["payload"][0]["extensions"]["code"] == "LIMIT_EXCEEDED"
            client.say(id="0", type="complete")
            client.say(id="now", type="subscribe", payload={"query": "{ hello }"})
            assert client.hear()["id"] == "now"

    @case(31)
    def test_operations_of_the_process(self) -> None:
        with running(max_concurrent=1) as platform, opened(platform) as client:
            client.say(id="1", type="subscribe", payload={"query": "{ wait }"})
            assert platform.gateway.started.wait(10)
            client.say(id="2", type="subscribe", payload={"query": "{ hello }"})
            assert client.hear()["payload"][0]["extensions"]["code"] == "LIMIT_EXCEEDED"
            assert platform.ask().status == 503

    @case(31)
    def test_subscriptions_of_the_process(self) -> None:
        """They hold none of the operations that run at once, and have a bound of their own."""
        with running(StreamingGateway(), max_concurrent=1, max_subscriptions=2) as platform, opened(platform) as client:
            for key in "ab":
                client.say(id=key, type="subscribe", payload={"query": "subscription { never }"})
                assert client.hear()["type"] == "next"
            client.say(id="c", type="subscribe", payload={"query": "subscription { never }"})
            assert client.hear()["payload"][0]["extensions"]["code"] == "LIMIT_EXCEEDED"
            assert platform.ask().status == 200
            client.say(id="a", type="complete")
            platform.until(lambda: platform.gateway.cancelled == 1)
            client.say(id="c", type="subscribe", payload={"query": "subscription { never }"})
            assert client.hear()["type"] == "next"

    def test_the_time_limit(self) -> None:
        with running(request_seconds=0.1) as platform, opened(platform) as client:
            client.say(id="1", type="subscribe", payload={"query": "{ wait }"})
            assert client.hear()["payload"][0]["extensions"]["code"] == "SOURCE_TIMEOUT"
            assert platform.gateway.cancelled == 1

    def test_what_is_unforeseen_stays_inside(self, platform: Platform) -> None:
        with opened(platform) as client:
            platform.gateway.failure = OSError("db.internal refused")
            client.say(id="1", type="subscribe", payload={"query": "{ hello }"})
            (error,) = client.hear()["payload"]
            assert (error["message"], error["extensions"]["code"]) == ("an internal error", "INTERNAL")
            platform.gateway.failure = None
            client.say(id="1", type="subscribe", payload={"query": "{ hello }"})
            assert client.hear()["type"] == "next"


def test_shutting_down_says_goodbye() -> None:
    with running() as platform, opened(platform) as client:
        platform.server.should_exit = True
        assert client.closed() == 1012
