"""In charge of what the server tells its operators about requests: metrics and one log line each."""

import os
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable
from itertools import accumulate

import structlog
from prometheus_client import CollectorRegistry, Gauge, start_http_server
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from authz.principal import Principal
from tanglai.server import logs

QUIET_ENTRY = "rest"
"""Files and health checks: counted, and in the log at level debug only."""

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
_BOUNDS = (*(str(float(bound)) for bound in _SECONDS), "+Inf")
_TELL_CREATED = os.environ.get("PROMETHEUS_DISABLE_CREATED_SERIES", "").lower() not in ("true", "1", "t")
"""prometheus_client's own switch of the series `_created`."""


class _Count:
    """A number that grows, and since when."""

    __slots__ = ("created", "value")

    def __init__(self) -> None:
        self.value, self.created = 0, time.time()


class _Entry:
    """What is counted of a route: how many answers took how long, and their bytes."""

    __slots__ = ("buckets", "bytes", "created", "seconds")

    def __init__(self) -> None:
        self.buckets = [0] * len(_BOUNDS)
        self.seconds, self.bytes, self.created = 0.0, 0, time.time()


class _Tallies(Collector):
    """The numbers of requests, given out as prometheus_client's Counter and Histogram would, whose calls cost more.

    INVARIANT: one thread counts; any may collect. What is copied here, is copied in one step of the interpreter.
    """

    def __init__(self) -> None:
        self._requests: dict[tuple[str, int], tuple[_Count, _Entry]] = {}
        self._entries: dict[str, _Entry] = {}
        self._refusals: dict[str, _Count] = {}

    def answered(self, entry: str, status: int, seconds: float, size: int) -> None:
        known = self._requests.get((entry, status))
        if known is None:
            known = self._requests[entry, status] = _Count(), self._entries.setdefault(entry, _Entry())
        requests, of_entry = known
        requests.value += 1
        of_entry.seconds += seconds
        of_entry.buckets[bisect_left(_SECONDS, seconds)] += 1
        of_entry.bytes += size

    def refused(self, code: str) -> None:
        known = self._refusals.get(code)
        if known is None:
            known = self._refusals[code] = _Count()
        known.value += 1

    def describe(self) -> Iterable[Metric]:
        return self._families()

    def collect(self) -> Iterable[Metric]:
        requests, seconds, sent, refusals = families = self._families()
        for (entry, status), (count, _) in self._requests.copy().items():
            requests.add_metric((entry, str(status)), count.value, _told(count.created))
        for entry, tally in self._entries.copy().items():
            buckets = list(zip(_BOUNDS, accumulate(tally.buckets.copy()), strict=True))
            seconds.add_metric((entry,), buckets, tally.seconds)
            if (created := _told(tally.created)) is not None:
                seconds.samples.append(Sample(f"{seconds.name}_created", {"entry": entry}, created))
            sent.add_metric((entry,), tally.bytes, _told(tally.created))
        for code, count in self._refusals.copy().items():
            refusals.add_metric((code,), count.value, _told(count.created))
        return families

    def _families(self) -> tuple[CounterMetricFamily, HistogramMetricFamily, CounterMetricFamily, CounterMetricFamily]:
        return (
            CounterMetricFamily("tanglai_requests", "Requests answered", labels=("entry", "status")),
            HistogramMetricFamily("tanglai_request_seconds", "Time to answer", labels=("entry",)),
            CounterMetricFamily("tanglai_response_bytes", "Bytes of response bodies", labels=("entry",)),
            CounterMetricFamily("tanglai_refusals", "Requests refused before the gateway", labels=("code",)),
        )


def _told(created: float) -> float | None:
    return created if _TELL_CREATED else None


class Observations:
    """Metrics in a registry of their own, and the request log. Labels come from closed lists, never from a client.

    Requests are told on one thread, the event loop's.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._tallies = _Tallies()
        self.registry.register(self._tallies)
        self._log = structlog.get_logger().bind()
        self._tell = logs.request_log()

    def answered(
        self,
        entry: str,
        *,
        status: int,
        seconds: float,
        size: int,
        request_id: str,
        method: str,
        principal: Principal | None = None,
        code: str | None = None,
    ) -> None:
        """One request is over; `entry` names the route, `size` is bytes of the body, `code` why it was refused."""
        self._tallies.answered(entry, status, seconds, size)
        if code is not None:
            self._tallies.refused(code)
        self._tell(
            entry == QUIET_ENTRY,
            {
                "entry": entry,
                "method": method,
                "status": status,
                "ms": round(seconds * 1000, 2),
                "bytes": size,
                "request_id": request_id,
                "department": principal.department.key if principal is not None else None,
                "client": principal.client if principal is not None else None,
                "code": code,
            },
        )

    def failed(self, entry: str, request_id: str, error: BaseException) -> None:
        """Something unforeseen; the client sees the request id only."""
        self._log.error("failure", entry=entry, request_id=request_id, exc_info=error)

    def watch(self, name: str, help_text: str, value: Callable[[], float]) -> None:
        """A gauge that reads `value` when it is asked for, such as the operations that run."""
        Gauge(name, help_text, registry=self.registry).set_function(value)

    def serve(self, host: str, port: int) -> Callable[[], None]:
        """Serve `/metrics` from a thread; returns what stops it. Raises OSError when the port is taken."""
        server, thread = start_http_server(port, addr=host, registry=self.registry)

        def stop() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        return stop
