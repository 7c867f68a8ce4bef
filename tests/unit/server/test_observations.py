"""Metrics and the lines of requests: what is made at once is what prometheus_client and structlog would make."""

import io
import itertools
import json
import logging
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client import metrics as client_metrics
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from structlog.testing import capture_logs

from authz.principal import Principal
from tanglai.server import logs, observations
from tanglai.server.observations import Observations
from tanglai.server.settings import Settings
from tests.unit.server import samples

TOKEN = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln"
NOW = 1_790_000_000.25
BOUNDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)


class Reference:
    """The metrics as prometheus_client counts them."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter("tanglai_requests", "Requests answered", ("entry", "status"), registry=registry)
        self.seconds = Histogram(
            "tanglai_request_seconds", "Time to answer", ("entry",), buckets=BOUNDS, registry=registry
        )
        self.bytes = Counter("tanglai_response_bytes", "Bytes of response bodies", ("entry",), registry=registry)
        self.refusals = Counter("tanglai_refusals", "Requests refused before the gateway", ("code",), registry=registry)

    def answered(self, entry: str, *, status: int, seconds: float, size: int, code: str | None, **_: Any) -> None:
        self.requests.labels(entry, status).inc()
        self.seconds.labels(entry).observe(seconds)
        self.bytes.labels(entry).inc(size)
        if code is not None:
            self.refusals.labels(code).inc()


@contextmanager
def configured(out: io.StringIO, worker: int | None = None, **settings: Any) -> Iterator[None]:
    """The log configured to write to `out`, and what was before put back."""
    names = ("", "uvicorn", "uvicorn.error", "websockets")
    loggers = [logging.getLogger(name) for name in names]
    before = [(logger, logger.handlers[:], logger.level, logger.propagate) for logger in loggers]
    try:
        logs.configure(Settings(**settings), out, worker=worker)
        yield
    finally:
        for logger, handlers, level, propagate in before:
            logger.handlers[:], logger.propagate = handlers, propagate
            logger.setLevel(level)
        structlog.reset_defaults()


def through_structlog() -> None:
    """From here on nothing is made at once: the steps are the configured ones, the last in a disguise."""
    *steps, render = structlog.get_config()["processors"]

    def disguised(logger: Any, name: str, event: Any) -> Any:
        return render(logger, name, event)

    structlog.configure(processors=[*steps, disguised])


def quiet() -> Observations:
    with capture_logs():
        return Observations()


WORDS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        [
            TOKEN,
            f"Bearer {TOKEN}",
            "bearer opaque",
            "Bearer",
            "postgresql://me:hunter2@db/x",
            'a "quoted\\ text\n\t\x00\x7f://u:p@h',
            f"({TOKEN}) http://me:hunter2@db/{TOKEN}",
            "http://host/without/credentials",
            "eyJ",
            "公安厅",
            "\u2028😀",
        ]
    ),
)
REQUESTS = st.fixed_dictionaries(
    {
        "entry": st.sampled_from(["graphql", "websocket", "export", observations.QUIET_ENTRY]),
        "status": st.sampled_from([200, 204, 400, 401, 429, 503]),
        "seconds": st.one_of(st.floats(0, 40), st.sampled_from([0.0, *BOUNDS])),
        "size": st.integers(0, 2**40),
        "request_id": WORDS,
        "method": st.one_of(st.sampled_from(["GET", "POST", "SUBSCRIBE"]), WORDS),
        "principal": st.one_of(
            st.none(),
            st.builds(
                lambda key, client: Principal(samples.department(samples.POLICE, key), client), key=WORDS, client=WORDS
            ),
        ),
        "code": st.one_of(st.none(), st.sampled_from(["UNAUTHENTICATED", "BUSY"])),
    }
)
REQUEST: dict[str, Any] = {
    "entry": "graphql",
    "status": 200,
    "seconds": 0.0012345,
    "size": 532,
    "request_id": "0123456789abcdef",
    "method": "POST",
}


def expositions(registry: CollectorRegistry) -> list[str]:
    restricted: Any = registry.restricted_registry(["tanglai_request_seconds_bucket", "tanglai_requests_created"])
    openmetrics: Any = generate_openmetrics
    texts = [generate_latest(registry), openmetrics(registry)]
    return [text.decode() for text in texts] + ["".join(sorted(generate_latest(restricted).decode().splitlines(True)))]


@given(st.lists(REQUESTS, max_size=12))
def test_metrics_are_as_their_library_tells_them(requests: list[dict[str, Any]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: NOW)
        ours, reference = quiet(), Reference()
        for request in requests:
            ours.answered(**request)
            reference.answered(**request)
        assert expositions(ours.registry) == expositions(reference.registry)


@pytest.mark.parametrize("told", [True, False])
def test_since_when_a_series_counts(monkeypatch: pytest.MonkeyPatch, told: bool) -> None:
    monkeypatch.setattr(client_metrics, "_use_created", told)
    monkeypatch.setattr(observations, "_TELL_CREATED", told)
    ours, reference = quiet(), Reference()
    changed: tuple[dict[str, Any], ...] = ({}, {"status": 503}, {"entry": "rest"}, {"code": "BUSY"}, {"code": "BUSY"})
    for moment, changes in enumerate(changed):
        monkeypatch.setattr(time, "time", lambda at=NOW + moment: at)
        ours.answered(**{"code": None, **REQUEST, **changes})
        reference.answered(**{"code": None, **REQUEST, **changes})
    assert expositions(ours.registry) == expositions(reference.registry)
    assert ("_created" in generate_latest(ours.registry).decode()) is told


def test_a_name_is_taken_once() -> None:
    ours = quiet()
    for name in ("tanglai_requests_total", "tanglai_request_seconds_bucket", "tanglai_refusals_created"):
        with pytest.raises(ValueError, match="Duplicated timeseries"):
            ours.watch(name, "", lambda: 0.0)


def test_metrics_are_read_while_requests_are_counted() -> None:
    ours, over = quiet(), threading.Event()
    ours._tell = lambda quiet, members: None

    def count() -> None:
        for number in itertools.count():
            if over.is_set():
                return
            ours.answered(**{**REQUEST, "status": number % 300, "seconds": number % 35, "code": str(number % 300)})

    thread = threading.Thread(target=count)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    thread.start()
    try:
        last = [0.0] * (len(BOUNDS) + 2)
        for _ in range(100):
            (family,) = (one for one in ours.registry.collect() if one.name == "tanglai_request_seconds")
            told = [one.value for one in family.samples if one.name.endswith(("_bucket", "_count"))]
            if told:
                assert told == sorted(told)
                assert told[-1] == told[-2]
                assert all(now >= before for now, before in zip(told, last, strict=True))
                last = told
    finally:
        over.set()
        thread.join()
        sys.setswitchinterval(interval)


def lines(configure: Callable[[io.StringIO], Any], requests: list[dict[str, Any]], disguise: bool) -> list[str]:
    out = io.StringIO()
    with configure(out):
        if disguise:
            through_structlog()
        ours = Observations()
        assert isinstance(ours._tell, logs._DirectLog) is not disguise
        for request in requests:
            ours.answered(**request)
    *told, end = out.getvalue().split("\n")
    assert end == ""
    return told


STAMP = re.compile(r'"timestamp":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{6})?Z)"')


@given(
    st.lists(REQUESTS, min_size=1, max_size=6),
    st.none() | st.integers(1, 9),
    st.sampled_from(["debug", "info", "error"]),
)
def test_a_line_is_as_structlog_makes_it(requests: list[dict[str, Any]], worker: int | None, level: str) -> None:
    def configure(out: io.StringIO) -> Any:
        return configured(out, worker, log_level=level)

    direct, chained = lines(configure, requests, False), lines(configure, requests, True)
    assert [STAMP.sub("", line) for line in direct] == [STAMP.sub("", line) for line in chained]
    for line in direct:
        (stamp,) = STAMP.findall(line)
        assert abs((datetime.now(UTC) - datetime.fromisoformat(stamp)).total_seconds()) < 60
        assert "hunter2" not in line
        assert TOKEN not in line


@pytest.mark.parametrize("microsecond", [0, 7, 120_000])
def test_the_moment_is_written_as_structlog_writes_it(monkeypatch: pytest.MonkeyPatch, microsecond: int) -> None:
    moment = datetime(2026, 3, 1, 4, 5, 6, microsecond, tzinfo=UTC)
    monkeypatch.setattr(logs, "datetime", SimpleNamespace(now=lambda zone: moment.astimezone(zone)))
    (line,) = lines(configured, [REQUEST], False)
    assert STAMP.findall(line) == [moment.isoformat().replace("+00:00", "Z")]


class Sink(io.StringIO):
    """Keeps what each write wrote, and how often it was flushed."""

    def __init__(self) -> None:
        super().__init__()
        self.writes, self.flushes = list[str](), 0

    def write(self, text: str) -> int:
        self.writes.append(text)
        return super().write(text)

    def flush(self) -> None:
        self.flushes += 1


def test_a_line_is_one_write() -> None:
    out = Sink()
    with configured(out, worker=3):
        ours = Observations()
        ours.answered(**REQUEST)
        ours.answered(**{**REQUEST, "entry": observations.QUIET_ENTRY})
    (line,) = out.writes
    assert line.endswith("}\n")
    assert out.flushes == 1
    assert list(json.loads(line).items())[:-2] == [
        ("entry", "graphql"),
        ("method", "POST"),
        ("status", 200),
        ("ms", 1.23),
        ("bytes", 532),
        ("request_id", "0123456789abcdef"),
        ("department", None),
        ("client", None),
        ("code", None),
        ("event", "request"),
        ("level", "info"),
    ]
    assert list(json.loads(line))[-2:] == ["timestamp", "worker"]


def test_the_console_has_the_line_too() -> None:
    out = io.StringIO()
    with configured(out, log_format="console"):
        Observations().answered(**{**REQUEST, "method": f"Bearer {TOKEN}"})
    assert re.search(r"\[info *\] request .*request_id=0123456789abcdef", out.getvalue())
    assert TOKEN not in out.getvalue()


def test_what_structlog_is_told_holds() -> None:
    out = io.StringIO()
    with configured(out):
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
        Observations().answered(**REQUEST)
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
        with capture_logs() as captured:
            Observations().answered(**REQUEST)
    assert out.getvalue() == ""
    assert [line["request_id"] for line in captured] == ["0123456789abcdef"]
