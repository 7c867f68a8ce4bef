"""In charge of what the server tells its operators about requests: metrics and one log line each."""

from collections.abc import Callable

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from authz.principal import Principal

QUIET_ENTRY = "rest"
"""Files and health checks: counted, and in the log at level debug only."""

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)


class Observations:
    """Metrics in a registry of their own, and the request log. Labels come from closed lists, never from a client."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter("tanglai_requests", "Requests answered", ("entry", "status"), registry=self.registry)
        self._seconds = Histogram(
            "tanglai_request_seconds", "Time to answer", ("entry",), buckets=_SECONDS, registry=self.registry
        )
        self._bytes = Counter("tanglai_response_bytes", "Bytes of response bodies", ("entry",), registry=self.registry)
        self._refusals = Counter(
            "tanglai_refusals", "Requests refused before the gateway", ("code",), registry=self.registry
        )
        self._children: dict[tuple[str, int], tuple[Counter, Histogram, Counter]] = {}
        self._log = structlog.get_logger().bind()

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
        requests, duration, sent = self._of(entry, status)
        requests.inc()
        duration.observe(seconds)
        sent.inc(size)
        if code is not None:
            self._refusals.labels(code).inc()
        tell = self._log.debug if entry == QUIET_ENTRY else self._log.info
        tell(
            "request",
            entry=entry,
            method=method,
            status=status,
            ms=round(seconds * 1000, 2),
            bytes=size,
            request_id=request_id,
            department=principal.department.key if principal is not None else None,
            client=principal.client if principal is not None else None,
            code=code,
        )

    def _of(self, entry: str, status: int) -> tuple[Counter, Histogram, Counter]:
        known = self._children.get((entry, status))
        if known is None:
            known = (
                self._requests.labels(entry, str(status)),
                self._seconds.labels(entry),
                self._bytes.labels(entry),
            )
            self._children[entry, status] = known
        return known

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
