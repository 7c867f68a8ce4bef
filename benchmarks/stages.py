"""In charge of the case `stages`: where the CPU time of one warm request goes, stage by stage, in microseconds.

The application of a node is called in a process of its own, without a server before it, one request after another. The
callables of each stage are timed while they compute: what they wait for is left out, and so is what other stages do
inside them. The same requests without any of this give the total; the difference is what measuring costs. What no stage
has is the event loop's and the drivers': they read answers of the databases between the steps of a request.
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import uvicorn
import uvloop
from uvicorn.server import ServerState

from benchmarks.speed.cases import CASES
from benchmarks.speed.contract import Call
from benchmarks.speed.data import STATE, Servers
from benchmarks.speed.draws import draws
from benchmarks.speed.load import LoadError
from benchmarks.speed.platform import Platform
from benchmarks.speed.subjects import ours
from connectors.postgresql import PostgreSQLConnector
from resolvers import gateway
from resolvers.caches import Decisions
from resolvers.document import Document, Documents
from resolvers.execution import Execution
from resolvers.gateway import Gateway
from resolvers.metering import Meter
from resolvers.under_way import Prepared
from resolvers.values import Slotter
from tanglai.audit.log import AuditLog
from tanglai.server import endpoint, logs, settings
from tanglai.server.app import Application
from tanglai.server.compose import compose
from tanglai.server.endpoint import GraphQLEndpoint
from tanglai.server.identity import Entrance
from tanglai.server.memory import kept_still
from tanglai.server.observations import Observations
from tanglai.server.protocol import JoiningProtocol
from tanglai.storage.quota_ledger import Reservation
from tanglai.storage.replica import Replica

MEASURED = ("list_1", "list_100")
REQUESTS, WARM = 2_000, 300
_BLOCK, _BLOCK_WARM = 200, 20

WRAPPED: Mapping[str, Sequence[tuple[Any, str]]] = {
    "identity": ((Entrance, "admit"),),
    "request parsing": ((GraphQLEndpoint, "_request"), (endpoint._Exchange, "__init__")),
    "snapshot confirmed": ((Replica, "confirm"),),
    "document": ((Documents, "document"), (Document, "operation")),
    "variables": ((gateway, "coerce_variables"), (Slotter, "slot")),
    "decision": (
        (gateway, "choose_purpose"),
        (Replica, "grants"),
        (Gateway, "_asking"),
        (Decisions, "visible"),
        (Decisions, "_decide"),
    ),
    "plan look-up": ((Gateway, "_read"), (Gateway, "_prepare"), (Gateway, "_plan"), (Execution, "prepare")),
    "quota": (
        (Gateway, "_reservation"),
        (Reservation, "cover"),
        (Prepared, "settle"),
        *((Meter, name) for name in ("__init__", "expect", "needs", "count", "rows")),
    ),
    "source call": ((PostgreSQLConnector, "fetch"),),
    "stitching": ((Execution, "run"),),
    "audit": ((Gateway, "_record"), (AuditLog, "append"), (AuditLog, "_write")),
    "response": ((Gateway, "_respond"), (endpoint._Exchange, "answer"), (GraphQLEndpoint, "_send")),
    "log and metrics": ((Observations, "answered"),),
    "between the stages": ((Application, "__call__"), (GraphQLEndpoint, "__call__"), (Gateway, "_asked")),
}
"""The callables of each stage; of one inside another only its own part counts."""

WAITING = {"source": (PostgreSQLConnector, "fetch"), "audit": (AuditLog, "append")}
"""What a request waits for."""


class Clock:
    """Nanoseconds by stage of what computes, without what other stages compute inside it.

    INVARIANT: `enter` and `leave` stand around code that gives nothing back to the event loop in between.
    """

    def __init__(self, now: Callable[[], int] = time.perf_counter_ns) -> None:
        self._now = now
        self._open: list[tuple[str, int, list[int]]] = []
        self.spent: defaultdict[str, int] = defaultdict(int)
        self.waited: defaultdict[str, int] = defaultdict(int)

    def enter(self, stage: str) -> None:
        self._open.append((stage, self._now(), [0]))

    def leave(self) -> int:
        """Nanoseconds since `enter`, other stages included."""
        stage, began, (inside,) = self._open.pop()
        took = self._now() - began
        self.spent[stage] += took - inside
        if self._open:
            self._open[-1][2][0] += took
        return took

    def taken(self) -> tuple[dict[str, int], dict[str, int]]:
        """What was computed and waited for since the last call."""
        found = dict(self.spent), dict(self.waited)
        self.spent.clear()
        self.waited.clear()
        return found

    def wrap(self, stage: str, work: Callable[..., Any], waits: str | None = None) -> Callable[..., Any]:
        """`work`, timed as a part of `stage`; `waits`: what its waiting counts as."""
        if asyncio.iscoroutinefunction(work):

            @wraps(work)
            async def steps(*args: Any, **kwargs: Any) -> Any:
                return await _Steps(self, stage, work(*args, **kwargs), waits)

            return steps

        @wraps(work)
        def timed(*args: Any, **kwargs: Any) -> Any:
            self.enter(stage)
            try:
                return work(*args, **kwargs)
            finally:
                self.leave()

        return timed

    @contextmanager
    def wrapping(self) -> Iterator[None]:
        """All of WRAPPED, from entry to exit."""
        names = {place: name for name, place in WAITING.items()}
        places = [(stage, owner, name) for stage, found in WRAPPED.items() for owner, name in found]
        originals = [(owner, name, getattr(owner, name)) for _, owner, name in places]
        try:
            for stage, owner, name in places:
                setattr(owner, name, self.wrap(stage, getattr(owner, name), names.get((owner, name))))
            yield
        finally:
            for owner, name, original in originals:
                setattr(owner, name, original)


class _Steps:
    """A coroutine whose steps are timed; what lies between them is waiting."""

    def __init__(self, clock: Clock, stage: str, work: Any, waits: str | None) -> None:
        self._clock, self._stage, self._work, self._waits = clock, stage, work, waits

    def __await__(self) -> Generator[Any, Any, Any]:
        clock, work = self._clock, self._work
        began, computed = time.perf_counter_ns(), 0
        value: Any = None
        failure: BaseException | None = None
        while True:
            clock.enter(self._stage)
            try:
                waited_for = work.send(value) if failure is None else work.throw(failure)
            except StopIteration as over:
                return over.value
            finally:
                computed += clock.leave()
                if self._waits is not None:  # the last step's word stands
                    waited = time.perf_counter_ns() - began - computed
                    clock.waited[self._waits] += waited
                    began += waited
            try:
                value, failure = (yield waited_for), None
            except BaseException as error:
                failure = error


def run(state: Path | None = None, *, requests: int = REQUESTS) -> dict[str, Any]:
    """Microseconds of each stage, of waiting, of the server before the application; CPU time with and without clocks.

    Medians over the requests. Raises LoadError where the application cannot be measured.
    """
    with Servers(state or Path(os.environ.get("BENCH_STATE") or STATE)) as servers:
        platform, database = Platform(servers), f"stages_{os.getpid()}"
        try:
            platform.prepare(database)
            (region, _), asked = platform.tokens(), servers.state / "stages.json"
            calls = {
                name: [[c.path, c.body, dict(c.headers)] for c in map(ours.call, draws(CASES[name], region))]
                for name in MEASURED
            }
            asked.write_text(json.dumps({"requests": requests, "calls": calls}), encoding="utf-8")
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.stages", str(asked)],
                env={**os.environ, **platform.environment(database)},
                capture_output=True,
                text=True,
                check=False,
            )
            asked.unlink()
        finally:
            platform.drop(database)
    if done.returncode:
        raise LoadError(f"the stages could not be measured: {done.stderr[-2_000:].strip()}")
    figures: dict[str, Any] = json.loads(done.stdout)
    return {"requests": requests, **figures, "met": True}


def _main(asked: Path) -> None:
    """In the process of its own: the figures as JSON on standard output."""
    given = json.loads(asked.read_text(encoding="utf-8"))
    with kept_still() as memory, Path(os.devnull).open("w") as nowhere:
        configured = settings.load()
        logs.configure(configured, nowhere)
        app, _ = compose(configured, os.environ)
        figures = uvloop.run(_measured(app, memory.settle, given))
    print(json.dumps(figures))


async def _measured(app: Application, settle: Callable[[], None], given: Mapping[str, Any]) -> dict[str, Any]:
    stop, started = asyncio.Event(), asyncio.Event()
    found: dict[str, Any] = {}

    async def receive() -> dict[str, Any]:
        if not started.is_set():
            return {"type": "lifespan.startup"}
        await stop.wait()
        return {"type": "lifespan.shutdown"}

    async def send(message: Any) -> None:
        started.set()

    life = asyncio.create_task(app({"type": "lifespan"}, receive, send))
    await started.wait()
    if app.failure is not None:
        raise app.failure
    settle()
    try:
        for name in MEASURED:
            calls = [Call(*one) for one in given["calls"][name]]
            found[name] = await _case(app, calls, given["requests"])
    finally:
        stop.set()
        await life
    return found


async def _case(app: Application, calls: Sequence[Call], requests: int) -> dict[str, Any]:
    turns = [calls[n % len(calls)] for n in range(requests)]
    for call in turns[:WARM]:
        size = await _ask(app, call)
    plain, timed = [], []
    clock = Clock()
    # In turns: a machine that slows down meanwhile slows down both.
    for start in range(0, requests, _BLOCK):
        block = turns[start : start + _BLOCK]
        for call in block[:_BLOCK_WARM]:
            await _ask(app, call)
        plain += [await _spent(app, call) for call in block]
        with clock.wrapping():
            for call in block[:_BLOCK_WARM]:
                await _ask(app, call)
            clock.taken()
            for call in block:
                spent = await _spent(app, call)
                timed.append((*spent, *clock.taken()))
    stages = {stage: _middle([spent.get(stage, 0) for *_, spent, _ in timed]) for stage in WRAPPED}
    total, measured = _middle([cpu for _, cpu in plain]), _middle([cpu for _, cpu, *_ in timed])
    return {
        "stages_us": stages,
        "loop_and_drivers_us": round(measured - sum(stages.values()), 1),
        "measured_us": measured,
        "cpu_us": total,
        "wall_us": _middle([wall for wall, _ in plain]),
        "waiting_us": {name: _middle([waited.get(name, 0) for *_, waited in timed]) for name in WAITING},
        "server_us": await _server(turns, size),
    }


def _middle(nanoseconds: Sequence[int]) -> float:
    return round(statistics.median(nanoseconds) / 1_000, 1)


async def _spent(app: Application, call: Call) -> tuple[int, int]:
    """Nanoseconds on the clock, and of this process's CPU."""
    began, worked = time.perf_counter_ns(), time.process_time_ns()
    await _ask(app, call)
    return time.perf_counter_ns() - began, time.process_time_ns() - worked


async def _ask(app: Callable[..., Awaitable[None]], call: Call) -> int:
    """Bytes of the answer. Raises RuntimeError for one that is an error."""
    body, status, sent = call.body.encode(), 0, b""
    left = asyncio.get_running_loop().create_future()
    scope = {
        "type": "http",
        "method": "POST",
        "path": call.path,
        "query_string": b"",
        "headers": [
            (b"content-length", b"%d" % len(body)),
            *((name.lower().encode(), value.encode()) for name, value in call.headers.items()),
        ],
    }
    given = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> Any:
        return next(given, None) or await left

    async def send(message: Any) -> None:
        nonlocal status, sent
        status, sent = message.get("status", status), message.get("body", b"")

    await app(scope, receive, send)
    if status != 200 or b'"errors"' in sent:
        raise RuntimeError(f"a wrong answer: {status} {sent[:300]!r}")
    return len(sent)


async def _server(calls: Sequence[Call], size: int) -> float:
    """CPU microseconds of the server for one request: its bytes to the application, the answer to the socket.

    The application behind it reads the body and sends `size` bytes.
    """
    answer, done, loop = b"x" * size, asyncio.Event(), asyncio.get_running_loop()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % size)]})
        await send({"type": "http.response.body", "body": answer})
        done.set()

    config = uvicorn.Config(app, http="httptools", ws="none", lifespan="off", log_config=None, access_log=False)
    config.load()
    protocol = JoiningProtocol(config, ServerState(), {}, loop)
    protocol.connection_made(_Nowhere())
    took = []
    for call in calls:
        body = call.body.encode()
        lines = "".join(f"{name}: {value}\r\n" for name, value in call.headers.items())
        text = f"POST {call.path} HTTP/1.1\r\nHost: localhost\r\n{lines}Content-Length: {len(body)}\r\n\r\n"
        done.clear()
        began = time.process_time_ns()
        protocol.data_received(text.encode() + body)
        await done.wait()
        took.append(time.process_time_ns() - began)
    protocol.connection_lost(None)
    return _middle(took)


class _Nowhere(asyncio.Transport):
    """A connection whose client takes everything at once."""

    def write(self, data: Any) -> None:
        pass

    def writelines(self, list_of_data: Any) -> None:
        pass

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        pass

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
