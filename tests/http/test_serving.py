"""The process around the application: ready when it says so, drains on a signal, metrics on a port of their own."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tanglai.server.observations import Observations
from tanglai.server.serve import StartError, serve
from tanglai.server.settings import Settings
from tests.http.platform import KEYS, running
from tests.unit.server import samples


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def process(**settings: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("TANGLAI_")},
        "TANGLAI_PORT": "0",
        "TANGLAI_ISSUER": KEYS.decode(),
        **{f"TANGLAI_{name.upper()}": value for name, value in settings.items()},
    }
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.http.served"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout is not None
        ready = child.stdout.readline().split()
        assert ready[:1] == ["ready"], child.communicate()[1]
        yield child, ready[1]
    finally:
        child.kill()
        child.communicate()


def post(url: str, query: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=20)
    try:
        headers = {
            "Content-Type": "application/json",
            "Authorization": f"Bearer {samples.token(samples.claims())}",
        }
        connection.request("POST", "/graphql", json.dumps({"query": query}), headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "INT"])
def test_a_signal_lets_requests_end(sent: signal.Signals) -> None:
    answers: list[tuple[int, Any]] = []
    with process() as (child, url):
        thread = threading.Thread(target=lambda: answers.append(post(url, "query slow { hello }")))
        thread.start()
        assert child.stdout is not None
        assert child.stdout.readline() == "begun\n"
        child.send_signal(sent)
        thread.join(20)
        rest, log = child.communicate(timeout=20)
    assert answers == [(200, {"data": {"hello": "world"}})]
    assert rest == "closed\n"
    assert child.returncode == (-signal.SIGTERM if sent is signal.SIGTERM else 0)
    requests = [json.loads(line) for line in log.splitlines()]
    assert [line["status"] for line in requests if line["event"] == "request"] == [200]
    assert not any(line["level"] in ("error", "critical") for line in requests)


def test_draining_is_bounded() -> None:
    answers: list[tuple[int, Any]] = []
    with process(shutdown_seconds="0.2", request_seconds="60") as (child, url):
        thread = threading.Thread(target=lambda: answers.append(post(url, "query slow { wait }")))
        thread.start()
        assert child.stdout is not None
        assert child.stdout.readline() == "begun\n"
        child.send_signal(signal.SIGTERM)
        thread.join(20)
        rest, _ = child.communicate(timeout=20)
    assert rest == "closed\n"
    ((status, body),) = answers
    assert (status, body["errors"][0]["message"]) == (503, "the platform is busy")


def test_metrics() -> None:
    port = free_port()
    with process(metrics_port=str(port)) as (_, url):
        assert post(url, "{ hello }")[0] == 200
        post(url, "{")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
    assert 'tanglai_requests_total{entry="graphql",status="200"} 2.0' in text
    assert 'tanglai_request_seconds_count{entry="graphql"} 2.0' in text
    assert "tanglai_operations_running 0.0" in text
    assert "tanglai_websockets 0.0" in text
    assert "tanglai_subscriptions 0.0" in text
    assert samples.POLICE not in text


def test_metrics_of_refusals() -> None:
    with running() as platform:
        platform.send("POST", "/graphql", b"{}", {"X-Request-Id": "x" * 20})
        platform.send("GET", "/healthz")
        registry = platform.observations.registry
        platform.until(lambda: registry.get_sample_value("tanglai_refusals_total", {"code": "UNAUTHENTICATED"}) == 1)
        labels = {"entry": "rest", "status": "200"}
        platform.until(lambda: registry.get_sample_value("tanglai_requests_total", labels) == 1)


async def nothing(*_: Any) -> None: ...


@pytest.mark.parametrize("what", ["port", "metrics_port"])
def test_a_port_that_is_taken(what: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings = Settings(**{"port": 0, what: taken.getsockname()[1]})
        with pytest.raises(StartError, match="listen on"):
            serve(_Alive(), settings, Observations())


def test_a_lifespan_that_fails() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": ""})

    with pytest.raises(StartError, match="did not start"):
        serve(app, Settings(port=0), Observations())


class _Alive:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        for word in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{word}.complete"})
