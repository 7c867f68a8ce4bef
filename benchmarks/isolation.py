"""In charge of the case `isolation`: a source that hangs under 300 clients, and what queries on another one feel of it.

Bar: the 99th percentile of the latency of queries on source A while source B hangs, by that while nobody asks for B,
is 1.3 at most: the median of paired rounds. A round lasts twice as long as calls to B may: they are under way, wait,
time out, and then B is spared.
"""

import asyncio
import json
import os
import random
import statistics
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.speed.cases import CASES
from benchmarks.speed.contract import Call, graphql_call
from benchmarks.speed.data import STATE, Servers
from benchmarks.speed.draws import draws
from benchmarks.speed.figures import interval
from benchmarks.speed.load import Figures, drive, write_table
from benchmarks.speed.platform import PURPOSE, Asker, Platform
from benchmarks.speed.processes import Running
from benchmarks.speed.subjects import ours
from benchmarks.wire import Wire, wire

PAIRS = 7
ROUND_SECONDS = 6.0
SOURCE_SECONDS = 3.0
CONNECTIONS = 16
"""Clients of A: few enough that the worker is not at its limit, where each further request of anybody slows all."""
WAITING_CLIENTS = 300
ARRIVAL_SECONDS = 2.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 8.0
"""A client that got no rows comes again after a pause, each twice as long as the one before."""
RECOVERY_SECONDS = 30.0
WARM_UP_SECONDS = 2.0
BAR = 1.3
_CASE = CASES["list_100"]
_VEHICLES = "{ data { transport { vehicles(first: 10) { nodes { plate } } } } }"


def run() -> dict[str, Any]:
    """The ratios and the latencies of both, and how the requests for B ended."""
    with ExitStack() as stack:
        servers = stack.enter_context(Servers(Path(os.environ.get("BENCH_STATE") or STATE)))
        return measure(servers, stack)


def measure(servers: Servers, stack: ExitStack, *, pairs: int = PAIRS) -> dict[str, Any]:
    """The case over the sources of `servers`; what it opens is closed with `stack`."""
    platform = Platform(servers)
    database = f"isolation_{os.getpid()}"
    stack.callback(platform.drop, database)
    platform.prepare(database)
    region, _ = platform.tokens()
    environment = servers.environment()
    crowd = stack.enter_context(_crowd(environment["BENCH_RIGHT"], region))
    through = {"BENCH_RIGHT": crowd.url, "TANGLAI_SOURCE_SECONDS": str(SOURCE_SECONDS)}
    subject = ours.subject("ours", {**platform.environment(database), **through})
    folder = servers.state / "load"
    folder.mkdir(exist_ok=True)
    running = stack.enter_context(Running(subject, environment, folder))
    asked = draws(_CASE, region)
    running.wait(asked[0])
    table = folder / "isolation.lua"
    write_table(map(subject.call, asked), table)

    def load(seconds: float) -> Figures:
        return drive(running.url, table, connections=CONNECTIONS, seconds=seconds)

    load(WARM_UP_SECONDS)
    crowd.check(running.url)
    alone: list[Figures] = []
    beside: list[Figures] = []
    for number in range(pairs):
        for hanging in random.sample((False, True), 2):
            if hanging:
                with crowd.hanging(running.url):
                    beside.append(load(ROUND_SECONDS))
                running.settle()
            else:
                alone.append(load(ROUND_SECONDS))
        print(f"  {number + 1}: {alone[-1].p99_ms:.1f} ms alone, {beside[-1].p99_ms:.1f} ms beside it", flush=True)
    crowd.check(running.url)
    return _told(alone, beside, crowd.ended)


def _told(alone: Sequence[Figures], beside: Sequence[Figures], ended: Counter[str]) -> dict[str, Any]:
    ratios = sorted(one.p99_ms / other.p99_ms for one, other in zip(beside, alone, strict=True))
    place, confidence = interval(len(ratios))
    median = statistics.median(ratios)

    def middle(figures: Sequence[Figures]) -> dict[str, float]:
        return {
            name: round(statistics.median(getattr(one, name) for one in figures), 2)
            for name in ("rps", "p50_ms", "p99_ms")
        }

    return {
        "p99_ratio": round(median, 3),
        "p99_ratio_interval": [round(ratios[place], 3), round(ratios[-1 - place], 3)],
        "confidence": round(confidence, 4),
        "bar": BAR,
        "alone": middle(alone),
        "beside": middle(beside),
        "rounds": len(ratios),
        "connections": CONNECTIONS,
        "waiting_clients": WAITING_CLIENTS,
        "hanging_source_answers": dict(sorted(ended.items())),
        "met": median <= BAR,
    }


class _Crowd:
    """Clients that ask for what lies behind a wire to B. They live in an event loop of a thread of their own."""

    def __init__(self, line: Wire, url: str, askers: Sequence[Asker], loop: asyncio.AbstractEventLoop) -> None:
        self.url = url
        self.ended: Counter[str] = Counter()
        self._line = line
        self._loop = loop
        tokens = [token for asker in askers for token in asker.tokens]
        self._calls = [
            graphql_call(_VEHICLES, {}, {"Authorization": f"Bearer {token}", "Purpose": PURPOSE}) for token in tokens
        ]

    def check(self, url: str) -> None:
        """Wait until B answers, as it soon does when it does not hang. Raises AssertionError."""

        async def once() -> str:
            async with _connection(url) as ask:
                return (await ask(self._calls[0]))[0]

        deadline = time.monotonic() + RECOVERY_SECONDS
        while (code := self._do(once())) != "answered":
            assert time.monotonic() < deadline, code
            time.sleep(0.5)

    @contextmanager
    def hanging(self, url: str) -> Iterator[None]:
        """B hangs, and its clients ask for it: all of them have begun before the block, and go on to its end."""
        self._loop.call_soon_threadsafe(self._line.hang)
        clients = asyncio.run_coroutine_threadsafe(self._clients(url), self._loop)
        self._do(asyncio.sleep(ARRIVAL_SECONDS))
        try:
            yield
        finally:
            clients.cancel()
            self._loop.call_soon_threadsafe(self._line.go_on)
            self.check(url)

    async def _clients(self, url: str) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(WAITING_CLIENTS):
                group.create_task(self._client(url, self._calls[number % len(self._calls)]))

    async def _client(self, url: str, call: Call) -> None:
        await asyncio.sleep(random.random() * ARRIVAL_SECONDS)
        async with _connection(url) as ask:
            pause = FIRST_PAUSE_SECONDS
            while True:
                code, least = await ask(call)
                self.ended[code] += 1
                await asyncio.sleep(max(pause, least) * (1 + random.random()))
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


@contextmanager
def _crowd(url: str, askers: Sequence[Asker]) -> Iterator[_Crowd]:
    """A crowd for the source at `url`."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    stack = AsyncExitStack()
    try:
        entering = asyncio.run_coroutine_threadsafe(stack.enter_async_context(wire(url)), loop)
        line, through = entering.result()
        yield _Crowd(line, through, askers, loop)
    finally:
        asyncio.run_coroutine_threadsafe(stack.aclose(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@asynccontextmanager
async def _connection(url: str) -> AsyncIterator[Callable[[Call], Awaitable[tuple[str, int]]]]:
    """A connection kept open; inside, a call gives how it ended, `answered` or a code, and when to come again."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)

    async def ask(call: Call) -> tuple[str, int]:
        body = call.body.encode()
        headers = {**call.headers, "Host": parts.netloc, "Content-Length": str(len(body))}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"POST {call.path} HTTP/1.1\r\n{lines}\r\n".encode() + body)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        errors = json.loads(await reader.readexactly(length)).get("errors")
        if not errors:
            return "answered", 0
        told = errors[0]["extensions"]
        again = told.get("retryAfter", 0)
        return f"{told['code']}, again after {again}" if again else str(told["code"]), again

    try:
        yield ask
    finally:
        writer.close()
