"""Subscriptions over HTTP: events of GraphQL over SSE, Apollo's parts, who gets which, and how they end."""

import http.client
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tanglai.catalogue.errors import ErrorCode, TanglaiError
from tanglai.server import events
from tanglai.server.identity import LEEWAY_SECONDS
from tests.http.platform import Platform, StreamingGateway, running
from tests.unit.server import samples
from tests.unit.server.test_identity import ChangingKeys

EVENTS = "text/event-stream"
PARTS = "multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/graphql-response+json,application/json;q=0.9"
COUNT = "subscription { count(to: 3) }"
FOREVER = "subscription { forever }"


@pytest.fixture(scope="module")
def shared() -> Iterator[Platform]:
    with running(StreamingGateway(), max_concurrent=1) as server:
        yield server


@pytest.fixture
def platform(shared: Platform) -> Platform:
    shared.gateway.requests.clear()
    shared.gateway.failure = None
    shared.gateway.cancelled = 0
    shared.gateway.started.clear()
    shared.policy_failure.clear()
    return shared


@contextmanager
def listening(
    platform: Platform, query: str = FOREVER, accept: str = EVENTS, token: str | None = None
) -> Iterator[http.client.HTTPResponse]:
    """A subscription that is under way; the connection is closed at the end of the block."""
    connection = http.client.HTTPConnection(*platform.address, timeout=10)
    headers = {
        "Content-Type": "application/json",
        "Accept": accept,
        "Authorization": f"Bearer {token or platform.token()}",
    }
    connection.request("POST", "/graphql", json.dumps({"query": query}), headers)
    response = connection.getresponse()
    try:
        yield response
    finally:
        response.close()
        connection.close()


def event(response: http.client.HTTPResponse) -> tuple[str, str]:
    """Name and data of the next event; heartbeats are passed over."""
    name, data = "", ""
    for line in iter(response.readline, b""):
        text = line.decode().removesuffix("\n")
        if text.startswith("event: "):
            name = text.removeprefix("event: ")
        elif text.startswith("data:"):
            data = text.removeprefix("data:").strip()
        elif not text and name:
            return name, data
    return "", ""


def code(data: str) -> str:
    return str(json.loads(data)["errors"][0]["extensions"]["code"])


def test_a_subscription_byte_for_byte(platform: Platform) -> None:
    answer = platform.ask(COUNT, accept=EVENTS)
    assert answer.status == 200
    assert answer.headers["content-type"] == EVENTS
    assert (answer.headers["cache-control"], answer.headers["x-accel-buffering"]) == ("no-store", "no")
    nexts = b"".join(b'event: next\ndata: {"data":{"count":%d}}\n\n' % n for n in range(3))
    assert answer.body == nexts + b"event: complete\ndata:\n\n"


def test_a_subscription_in_parts_byte_for_byte(platform: Platform) -> None:
    answer = platform.ask(COUNT, accept=PARTS)
    assert answer.headers["content-type"] == 'multipart/mixed; boundary="graphql"; subscriptionSpec=1.0'
    part = b'\r\ncontent-type: application/json\r\n\r\n{"payload":{"data":{"count":%d}}}\r\n--graphql'
    assert answer.body == b"\r\n--graphql" + b"".join(part % n for n in range(3)) + b"--\r\n"


@pytest.mark.parametrize(
    ("accept", "query", "media"),
    [
        ("application/json, text/event-stream", COUNT, EVENTS),
        ("application/graphql-response+json, application/json, text/event-stream, multipart/mixed", COUNT, EVENTS),
        ("text/event-stream;q=0.5, multipart/mixed;subscriptionSpec=1.0;q=0.4", COUNT, EVENTS),
        ("text/event-stream;q=0.4, multipart/mixed;subscriptionSpec=1.0;q=0.5", COUNT, "multipart/mixed"),
        ("text/event-stream;q=0, application/json", COUNT, "application/json"),
        ("multipart/mixed, application/json", COUNT, "application/json"),
        ("*/*", COUNT, "application/json"),
        ("text/*, application/json", COUNT, "application/json"),
        # Clients that could read events too get JSON for what has one answer.
        ("application/json, text/event-stream", "{ hello }", "application/json"),
        ("text/event-stream, application/json;q=0.1", "{ hello }", "application/json"),
        ("text/event-stream, application/json", "mutation { touch }", "application/json"),
        (PARTS, "{ hello }", "application/graphql-response+json"),
        (EVENTS, "{ hello }", EVENTS),
        (EVENTS, "{ unknown }", EVENTS),
    ],
)
def test_who_gets_what(platform: Platform, accept: str, query: str, media: str) -> None:
    answer = platform.ask(query, accept=accept)
    assert answer.headers["content-type"].partition(";")[0] == media
    assert answer.status == 200


@pytest.mark.parametrize("query", ["{ hello }", "{ unknown }", "{ fail }"])
def test_one_answer_as_an_event(platform: Platform, query: str) -> None:
    plain = platform.ask(query, accept="application/json")
    answer = platform.ask(query, accept=EVENTS)
    assert answer.body == b"event: next\ndata: " + plain.body + b"\n\nevent: complete\ndata:\n\n"


def test_what_is_refused_before_it_begins(platform: Platform) -> None:
    invalid = platform.ask("subscription { unknown }", accept=EVENTS)
    assert invalid.status == 200
    assert invalid.body.startswith(b'event: next\ndata: {"errors":')
    assert invalid.body.endswith(b"event: complete\ndata:\n\n")
    assert platform.ask(COUNT, accept=EVENTS, headers={"Authorization": "Bearer nonsense"}).status == 401
    assert platform.ask(COUNT, accept="image/png").status == 406
    platform.policy_failure.append(TanglaiError(ErrorCode.POLICY_UNAVAILABLE, "down"))
    assert platform.ask(COUNT, accept=EVENTS).status == 503
    platform.policy_failure.clear()
    headers = {"Accept": EVENTS, "Authorization": f"Bearer {platform.token()}"}
    answer = platform.send("GET", "/graphql?query=subscription%7Bcount(to:1)%7D", headers=headers)
    assert (answer.status, answer.headers["content-type"].partition(";")[0]) == (405, "application/json")


def test_an_idle_stream_holds_no_slot_and_its_client_may_leave(platform: Platform) -> None:
    with listening(platform) as response:  # the server runs one operation at a time
        assert event(response)[0] == "next"
        assert platform.ask().status == 200
        assert platform.gateway.cancelled == 0
    platform.until(lambda: platform.gateway.cancelled == 1)


def test_the_bound_of_the_process() -> None:
    with running(StreamingGateway(), max_subscriptions=1) as platform, listening(platform) as response:
        assert event(response)[0] == "next"
        refused = platform.ask(COUNT, accept=EVENTS)
        assert (refused.status, refused.code, refused.headers["retry-after"]) == (503, "LIMIT_EXCEEDED", "1")


def test_heartbeats_while_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.02)
    with running(StreamingGateway()) as platform:
        with listening(platform, "subscription { never }") as response:
            assert event(response) == ("next", '{"data":{"never":0}}')
            assert [response.readline() for _ in range(4)] == [b":\n", b"\n", b":\n", b"\n"]
        with listening(platform, "subscription { never }", PARTS) as response:
            text = b"".join(response.readline() for _ in range(10))
            assert text.count(b"\r\n\r\n{}\r\n--graphql\r\n") == 1


def test_the_token_ends() -> None:
    now = [time.time()]
    with running(StreamingGateway(), clock=lambda: now[0]) as platform:
        token = platform.token(iat=None, exp=now[0] - LEEWAY_SECONDS + 0.5)
        with listening(platform, "subscription { never }", token=token) as response:
            assert event(response)[1] == '{"data":{"never":0}}'
            name, data = event(response)
            assert (name, code(data)) == ("next", "UNAUTHENTICATED")
            assert event(response) == ("complete", "")
        assert platform.gateway.cancelled == 1


def test_whoever_may_not_hear_any_more_does_not() -> None:
    """The key is withdrawn, then the department is closed; both while events come."""
    keys = ChangingKeys(samples.jwks(("a", samples.EC)))
    with running(StreamingGateway(), keys=keys) as platform:
        with listening(platform) as response:
            assert event(response)[0] == "next"
            platform.call(lambda: platform.snapshot.__setitem__(0, samples.snapshot(2, departments={})))
            while "errors" not in (heard := event(response))[1]:
                assert heard[0] == "next"
            assert code(heard[1]) == "NOT_A_DEPARTMENT"
            assert event(response) == ("complete", "")
        platform.snapshot[0] = samples.snapshot()
        with listening(platform) as response:
            assert event(response)[0] == "next"
            platform.call(lambda: keys.rotate(samples.jwks(("a", samples.OTHER_EC))))
            while "errors" not in (heard := event(response))[1]:
                assert heard[0] == "next"
            assert code(heard[1]) == "UNAUTHENTICATED"
        platform.until(lambda: platform.gateway.cancelled == 2)


def test_what_is_unforeseen_stays_inside(platform: Platform) -> None:
    with listening(platform, "subscription { breaks }") as response:
        assert event(response)[1] == '{"data":{"breaks":0}}'
        name, data = event(response)
        error: dict[str, Any] = json.loads(data)["errors"][0]
        assert (name, error["message"], error["extensions"]["code"]) == ("next", "an internal error", "INTERNAL")
        assert event(response) == ("", "")  # broken off: the client may come back


def test_without_the_platform_database_it_breaks_off(platform: Platform) -> None:
    with listening(platform) as response:
        assert event(response)[0] == "next"
        platform.policy_failure.append(TanglaiError(ErrorCode.POLICY_UNAVAILABLE, "down"))
        while "errors" not in (heard := event(response))[1]:
            assert heard[0] == "next"
        assert code(heard[1]) == "POLICY_UNAVAILABLE"
        assert event(response) == ("", "")


def test_the_process_stops_without_complete() -> None:
    """So that the client comes back, to another node."""
    with running(StreamingGateway(), shutdown_seconds=20) as platform:
        with listening(platform, "subscription { never }") as response:
            assert event(response)[0] == "next"
            platform.server.should_exit = True
            assert event(response) == ("", "")
        platform.until(lambda: platform.gateway.cancelled == 1)


def test_other_origins_read_events_where_the_settings_name_them() -> None:
    origin = "https://portal.example.invalid"
    with running(StreamingGateway(), allowed_origins=(origin,)) as platform:
        answer = platform.ask(COUNT, accept=EVENTS, headers={"Origin": origin})
        assert answer.headers["access-control-allow-origin"] == origin
        assert "access-control-allow-origin" not in platform.ask(COUNT, accept=EVENTS).headers
