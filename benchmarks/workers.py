"""In charge of the case `workers`: one worker against two in paired rounds, and a worker killed under load.

Load generator, sources and platform database share the machine's cores with the workers, so a ratio says how far these
cores go. What further cores would give follows from the CPU seconds per thousand requests: a worker is bound to one
core, so each brings `1000 / worker` requests per second until sources or platform database have no core left.

Bar: no request fails, and no answer that a client has is without its audit record when its worker was killed.
"""

import asyncio
import http.client
import json
import os
import random
import resource
import signal
import statistics
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg

from benchmarks.speed.cases import CASES, Case
from benchmarks.speed.contract import Call
from benchmarks.speed.data import STATE, Servers
from benchmarks.speed.draws import draws
from benchmarks.speed.figures import interval
from benchmarks.speed.load import Figures, drive, write_table
from benchmarks.speed.platform import Platform
from benchmarks.speed.processes import Running, cpu_seconds
from benchmarks.speed.subjects import ours

MEASURED = ("list_1", "list_100")
ROUNDS, ROUND_SECONDS, WARM_UP_SECONDS, REST_SECONDS = 6, 3.0, 2.0, 0.5
CLIENTS, KILLS, BETWEEN_SECONDS = 16, 4, 1.5
WORKERS = {"one": 1, "two": 2}


@dataclass(frozen=True, slots=True)
class Round:
    """`cpu`: CPU seconds per thousand requests of workers, sources, platform database and load generator."""

    figures: Figures
    cpu: Mapping[str, float]


def run() -> dict[str, Any]:
    """Figures of both, their ratio, and what became of answers while workers were killed."""
    with ExitStack() as stack:
        servers = stack.enter_context(Servers(Path(os.environ.get("BENCH_STATE") or STATE)))
        platform = Platform(servers)
        database = f"workers_{os.getpid()}"
        stack.callback(platform.drop, database)
        platform.prepare(database)
        folder = servers.state / "load"
        folder.mkdir(exist_ok=True)
        region, _ = platform.tokens()
        nodes: dict[str, Running] = {}
        for name, count in WORKERS.items():
            environment = {**platform.environment(database), "TANGLAI_WORKERS": str(count)}
            subject = ours.subject(f"workers-{name}", environment)
            nodes[name] = stack.enter_context(Running(subject, servers.environment(), folder))
        told: dict[str, Any] = {}
        for case in (CASES[name] for name in MEASURED):
            asked = draws(case, region)
            table = folder / f"workers-{case.name}.lua"
            write_table(map(ours.call, asked), table)
            for node in nodes.values():
                node.wait(asked[0])
            told[case.name] = _compare(case, nodes, table, servers)
        calls = [ours.call(draw) for draw in draws(CASES["list_1"], region)]
        told["killed"] = _kill(nodes["two"], calls, servers.platform.url(database))
    told["cores"] = os.cpu_count()
    told["rounds"] = ROUNDS
    told["met"] = not told["killed"]["without_record"] and not told["killed"]["refused"]
    return told


def _compare(case: Case, nodes: Mapping[str, Running], table: Path, servers: Servers) -> dict[str, Any]:
    def load(name: str, seconds: float) -> Round:
        node = nodes[name]
        before = _used(node, servers)
        figures = drive(node.url, table, connections=case.connections, seconds=seconds)
        after = _used(node, servers)
        time.sleep(REST_SECONDS)
        return Round(figures, {part: (after[part] - before[part]) * 1e3 / figures.requests for part in before})

    for name in nodes:
        load(name, WARM_UP_SECONDS)
    rounds: list[dict[str, Round]] = []
    for _ in range(ROUNDS):
        rounds.append({name: load(name, ROUND_SECONDS) for name in random.sample(list(nodes), len(nodes))})
        one, two = (rounds[-1][name].figures.rps for name in ("one", "two"))
        print(f"  {case.name}: {one:,.0f} requests/s with one worker, {two:,.0f} with two", flush=True)
    ratios = sorted(each["two"].figures.rps / each["one"].figures.rps for each in rounds)
    place, _ = interval(len(ratios))
    result: dict[str, Any] = {name: _middle([each[name] for each in rounds]) for name in nodes}
    cpu, cores = result["two"]["cpu_seconds_per_1000"], os.cpu_count() or 1
    return result | {
        "ratio": round(statistics.median(ratios), 3),
        "ratio_interval": [round(ratios[place], 3), round(ratios[-1 - place], 3)],
        # One worker is bound by its core or by all of them, two by all of them: everything else takes its part, too.
        "ratio_these_cores_allow": round(max(1.0, min(2.0, cores * cpu["workers"] / sum(cpu.values()))), 3),
    }


def _middle(rounds: Sequence[Round]) -> dict[str, Any]:
    def median(of: Callable[[Round], float], digits: int) -> float:
        return round(statistics.median(map(of, rounds)), digits)

    return {
        "rps": median(lambda one: one.figures.rps, 1),
        "p50_ms": median(lambda one: one.figures.p50_ms, 2),
        "p99_ms": median(lambda one: one.figures.p99_ms, 2),
        "cpu_seconds_per_1000": {part: median(lambda one, part=part: one.cpu[part], 3) for part in rounds[0].cpu},  # type: ignore[misc]
    }


def _used(node: Running, servers: Servers) -> dict[str, float]:
    """CPU seconds so far; `load` is that of ended children of this process, of which the load generator is one."""
    sources, platform = servers.cpu_seconds()
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "workers": sum(cpu_seconds(pid) or 0.0 for pid in (node.pid, *workers_of(node))),
        "sources": sources,
        "platform": platform,
        "load": children.ru_utime + children.ru_stime,
    }


def workers_of(node: Running) -> list[int]:
    """Process ids of a node's children."""
    return [int(pid) for pid in Path(f"/proc/{node.pid}/task/{node.pid}/children").read_text().split()]


class _Client(threading.Thread):
    """Asks on one connection, and anew on another where that breaks, until it is told to stop."""

    def __init__(self, url: str, calls: Sequence[Call], stop: threading.Event) -> None:
        super().__init__()
        self._place, self._calls, self._ended = urlsplit(url).netloc, calls, stop
        self.answered: list[tuple[float, str]] = []
        self.broken = 0
        self.refused: list[int] = []

    def run(self) -> None:
        connection = http.client.HTTPConnection(self._place, timeout=30)
        while not self._ended.is_set():
            call = random.choice(self._calls)
            try:
                connection.request("POST", call.path, call.body.encode(), dict(call.headers))
                response = connection.getresponse()
                body = response.read()
            except (OSError, http.client.HTTPException):
                self.broken += 1
                connection.close()
                continue
            if response.status == 200:
                self.answered.append((time.monotonic(), json.loads(body)["extensions"]["requestId"]))
            else:
                self.refused.append(response.status)
        connection.close()


def _kill(node: Running, calls: Sequence[Call], url: str) -> dict[str, Any]:
    """Kills workers under load; clients ask again where a connection broke. A silence: nobody got an answer."""
    stop = threading.Event()
    clients = [_Client(node.url, calls, stop) for _ in range(CLIENTS)]
    kills: list[float] = []
    back: list[float] = []
    for client in clients:
        client.start()
    try:
        for _ in range(KILLS):
            time.sleep(BETWEEN_SECONDS)
            before = workers_of(node)
            os.kill(random.choice(before), signal.SIGKILL)
            kills.append(time.monotonic())
            while len(set(workers_of(node)) - set(before)) < 1:
                time.sleep(0.005)
            back.append(time.monotonic() - kills[-1])
        time.sleep(BETWEEN_SECONDS)
    finally:
        stop.set()
        for client in clients:
            client.join()
    answered = sorted(one for client in clients for one in client.answered)
    silences = [(since, until - since) for (since, _), (until, _) in pairwise(answered)]

    def longest(after_a_kill: bool) -> float:
        near = (any(since + length > kill > since - 1.0 for kill in kills) for since, length in silences)
        return round(max(length for (_, length), one in zip(silences, near, strict=True) if one == after_a_kill), 3)

    without = {number for _, number in answered} - asyncio.run(_recorded(url, [number for _, number in answered]))
    return {
        "kills": KILLS,
        "clients": CLIENTS,
        "answers": len(answered),
        "without_record": len(without),
        "refused": sum(len(client.refused) for client in clients),
        "broken_connections": sum(client.broken for client in clients),
        "longest_silence_seconds": {"after_a_kill": longest(True), "otherwise": longest(False)},
        "forked_again_seconds": round(max(back), 3),
    }


async def _recorded(url: str, numbers: list[str]) -> set[str]:
    connection: asyncpg.Connection[Any] = await asyncpg.connect(url)
    try:
        found = await connection.fetch(
            "SELECT request_id FROM audit_record WHERE request_id = ANY($1::text[])", numbers
        )
        return {row["request_id"] for row in found}
    finally:
        await connection.close()
