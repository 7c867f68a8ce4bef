"""In charge of the case `scale`: 5,000 resources of 20 items, 100,000 grants, 500 departments, two nodes.

Bars (performance.md): the schema within 3 x the bare graphql-core build; one more resource is queryable on both nodes
within 3 s (1 s at 100 resources), no event loop held over 50 ms; memory flat over 1,000 publications; the first request
of a cold department within 20 ms over a warm one.
"""

import asyncio
import contextlib
import gc
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
from graphql import validate_schema

from benchmarks import scale_bare, scale_data
from schema.unified import build
from tanglai.catalogue.model import Snapshot, Zone
from tanglai.server.issuer import DemoIssuer
from tanglai.server.settings import Settings
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.embedded import EmbeddedPostgres
from tanglai.storage.migrate import upgrade
from tanglai.storage.publishing import CatalogueChange

SMALL = 100
MEMORY_RESOURCES, MEMORY_PUBLICATIONS = 200, 1_000
PUBLICATIONS = 20
COLD = 30
INTROSPECTION = (
    "{ __schema { types { kind name description fields(includeDeprecated: true) { name description args { name "
    "description type { ...R } defaultValue } type { ...R } } inputFields { name description type { ...R } } "
    "interfaces { ...R } enumValues { name description } possibleTypes { ...R } } } } "
    "fragment R on __Type { kind name ofType { kind name ofType { kind name ofType { kind name } } } }"
)
OUTLINE = "query WorkbenchOutline { __schema { types { name } } }"
SEARCH = '{ catalogue { search(text: "事项 %d", first: 20) { totalCount nodes { code title provider { name } } } } }'
FILTER = '{ catalogue { resources(filter: {text: "信息%d"}) { totalCount nodes { code shareClass } } } }'


def run() -> dict[str, Any]:
    """Every figure of the case; see the module."""
    figures: dict[str, Any] = {"schema": _schema()}
    with _Platform(resources=SMALL, grants=1_000, departments=50) as platform, platform.nodes(2) as nodes:
        figures["publication_small"] = _publications(platform, nodes, PUBLICATIONS)
    with _Platform(resources=MEMORY_RESOURCES, grants=0, departments=50) as platform, platform.nodes(1) as nodes:
        figures["memory_small"] = _memory(platform, nodes[0], MEMORY_PUBLICATIONS)
    with _Platform() as platform:
        began = time.monotonic()
        with platform.nodes(1) as (node,):
            figures["start_seconds"] = round(time.monotonic() - began, 2)
            figures["start_rss_mb"] = node.report()["rss_mb"]
            figures["cold_department"] = _cold(platform, node)
        with platform.nodes(2) as nodes:
            figures["publication"] = _publications(platform, nodes, PUBLICATIONS)
            figures["search_ms"] = _asked(nodes[0], [SEARCH % (n * 37 % 5_000) for n in range(40)])
            figures["filter_ms"] = _asked(nodes[0], [FILTER % (n * 37 % 5_000) for n in range(40)])
            figures["outline"] = _large(nodes[0], OUTLINE)
            figures["introspection"] = _large(nodes[0], INTROSPECTION)
            figures["sdl"] = _large(nodes[0], None)
            figures["publication_after"] = _publications(platform, nodes[:1], 5)
    figures["met"] = _met(figures)
    return figures


def _met(figures: Mapping[str, Any]) -> bool:
    held = [figures[name]["held_ms"] for name in ("publication_small", "publication", "publication_after")]
    held += [figures[name]["held_ms"] for name in ("search_ms", "filter_ms", "outline", "introspection", "sdl")]
    return bool(
        figures["schema"]["ratio"] <= 3
        and figures["publication_small"]["worst_seconds"] <= 1
        and figures["publication"]["worst_seconds"] <= 3
        and max(held) <= 50
        and figures["memory_small"]["growth"] <= 0.05
        and figures["cold_department"]["over_warm_ms"] <= 20
    )


# --- the schema in this process ------------------------------------------------------------------------------------


def _schema() -> dict[str, Any]:
    """CPU seconds of the bare build (median of 3) and of ours: from nothing, all fields built, by difference."""
    resources = {scale_data.code(n): scale_data.resource(n) for n in range(scale_data.RESOURCES)}
    gc.collect()
    gc.freeze()
    try:
        bare = statistics.median(_seconds(lambda: scale_bare.build(resources.values()))[0] for _ in range(3))
        validated = _seconds(lambda: validate_schema(scale_bare.build(resources.values())))[0]
        first, schema = _seconds(lambda: build(_snapshot(1, resources)))
        again = statistics.median(_seconds(lambda: build(_snapshot(2, resources)))[0] for _ in range(3))
        changes = []
        for n in range(5):
            resources = {**resources, scale_data.code(n): scale_data.resource(n, title=f"改{n}")}
            seconds, schema = _seconds(lambda: build(_snapshot(3 + n, resources), reuse=schema))  # noqa: B023
            changes.append(seconds)
        fields = _seconds(lambda: [getattr(kind, "fields", None) for kind in schema.graphql.type_map.values()])[0]
    finally:
        gc.unfreeze()
    return {
        "bare_seconds": round(bare, 2),
        "bare_validated_seconds": round(validated, 2),
        "first_seconds": round(first, 2),
        "again_seconds": round(again, 2),
        "all_fields_seconds": round(fields, 2),
        "difference_seconds": round(statistics.median(changes), 3),
        "ratio": round(first / bare, 2),
        "ratio_all_fields": round((again + fields) / bare, 2),
    }


def _seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    gc.collect()
    began = time.process_time()
    result = work()
    return time.process_time() - began, result


def _snapshot(number: int, resources: Mapping[str, Any]) -> Snapshot:
    known = scale_data.registers()
    return Snapshot(
        number=number,
        zone=Zone.EXTRANET,
        rule_set="ningxia-measures",
        departments={it.code: it for it in known.departments},
        divisions={it.code: it for it in known.divisions},
        purposes={it.code: it for it in known.purposes},
        categories={it.code: it for it in known.categories},
        sources={it.key: it for it in known.sources},
        resources=resources,
    )


# --- nodes ---------------------------------------------------------------------------------------------------------


class _Platform:
    """A filled platform database with a source, and nodes on it; entered once."""

    def __init__(
        self,
        *,
        resources: int = scale_data.RESOURCES,
        departments: int = scale_data.DEPARTMENTS,
        grants: int = scale_data.GRANTS,
    ) -> None:
        self.resources, self.departments, self.grants = resources, departments, grants
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> "_Platform":
        scratch = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="tanglai-scale-")))
        server = self._stack.enter_context(EmbeddedPostgres(scratch / "platform"))
        server.create_database("bench")
        server.create_database("things")
        self.url = server.url("bench")
        self._environment = {
            **os.environ,
            "TANGLAI_DATABASE_URL": self.url,
            "TANGLAI_KEY": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
            "TANGLAI_STATE_DIR": str(scratch / "state"),
            "TANGLAI_DEMO_ISSUER": "1",
            "TANGLAI_LOG_LEVEL": "warning",
            "TANGLAI_PORT": "0",
            scale_data.DSN: server.url("things"),
        }
        (scratch / "state").mkdir()
        self._issuer = DemoIssuer.open(Settings(state_dir=scratch / "state", demo_issuer=True))
        asyncio.run(self._fill(server.url("things")))
        return self

    def __exit__(self, *raised: Any) -> None:
        self._stack.__exit__(*raised)

    async def _fill(self, things: str) -> None:
        connection = await asyncpg.connect(things)
        await scale_data.fill_source(connection)
        await connection.close()
        await upgrade(self.url)
        async with await PlatformDatabase.open(self.url) as database:
            await scale_data.fill(database, resources=self.resources, departments=self.departments, grants=self.grants)

    def token(self, department: int) -> str:
        return self._issuer.issue(scale_data.department(department).code, client="bench", purposes=[scale_data.PURPOSE])

    @contextlib.contextmanager
    def nodes(self, count: int) -> Iterator[list["_Node"]]:
        """Ready nodes, each in a process of its own."""
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", "benchmarks.scale_node"],
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(count)
        ]
        try:
            yield [_Node(process, self.token(1)) for process in processes]
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(timeout=60)
                for stream in (process.stdin, process.stdout):
                    assert stream is not None
                    stream.close()


@dataclass
class _Node:
    process: subprocess.Popen[str]
    token: str

    def __post_init__(self) -> None:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.startswith("ready "):
            raise RuntimeError("a node did not start")
        host, _, port = line.split()[1].removeprefix("http://").partition(":")
        self._address = (host, int(port))
        self._local = threading.local()

    def report(self) -> dict[str, Any]:
        """What the node saw since the last report."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("report\n")
        self.process.stdin.flush()
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        return found

    def send(self, method: str, path: str, body: bytes | None, token: str | None = None) -> bytes:
        """The body of a response with status 200; one connection per thread is kept."""
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = http.client.HTTPConnection(*self._address, timeout=120)
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token or self.token}"}
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return bytes(response.read())

    def ask(self, query: str, token: str | None = None) -> Any:
        return json.loads(self.send("POST", "/graphql", json.dumps({"query": query}).encode(), token))


def _row_query(number: int, places: Iterable[int] = range(5)) -> str:
    fields = " ".join(f"item{place}" for place in places)
    group = f"group{number % scale_data.GROUPS}"
    return f"{{ data {{ {group} {{ things{number}(first: 5) {{ nodes {{ {fields} }} }} }} }} }}"


@contextlib.contextmanager
def _light_load(nodes: list[_Node]) -> Iterator[None]:
    """About 25 requests a second to each node, warm ones."""
    stop = threading.Event()

    def ask(node: _Node) -> None:
        while not stop.is_set():
            node.ask(_row_query(1))
            stop.wait(0.04)

    threads = [threading.Thread(target=ask, args=(node,)) for node in nodes]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _publications(platform: _Platform, nodes: list[_Node], count: int) -> dict[str, Any]:
    """New resources, one after the other: seconds from before the publication to the first row on every node."""
    for node in nodes:
        node.ask(_row_query(1))
        node.report()
    with _light_load(nodes):
        seconds = asyncio.run(_publish(platform, nodes, count))
    reports = [node.report() for node in nodes]
    return {
        "nodes": len(nodes),
        "publications": count,
        "median_seconds": round(statistics.median(seconds), 2),
        "worst_seconds": round(max(seconds), 2),
        "held_ms": max(report["held_ms"] for report in reports),
        "over_20_ms": sum(report["over_20_ms"] for report in reports),
        "collector_ms": max(report["collector_ms"] for report in reports),
        "late_ms": max(report["late_ms"] for report in reports),
        "rss_mb": [report["rss_mb"] for report in reports],
    }


async def _publish(platform: _Platform, nodes: list[_Node], count: int) -> list[float]:
    seconds = []
    async with await PlatformDatabase.open(platform.url) as database:
        for _ in range(count):
            number = platform.resources
            number += 2 - number % 4 if number % 4 < 2 else 0  # one without a relation
            platform.resources = number + 1
            new = scale_data.resource(number, departments=platform.departments)
            began = time.monotonic()
            await database.publish(CatalogueChange(by="bench", resources=(new,)))
            waits = [asyncio.to_thread(_until_served, node, _row_query(number)) for node in nodes]
            await asyncio.gather(*waits)
            seconds.append(time.monotonic() - began)
            await asyncio.sleep(0.2)
    return seconds


def _until_served(node: _Node, query: str) -> None:
    deadline = time.monotonic() + 30
    while True:
        answer = node.ask(query)
        if "errors" not in answer:
            if len(next(iter(next(iter(answer["data"]["data"].values())).values()))["nodes"]) != 5:
                raise RuntimeError(f"the new resource does not answer: {answer}")
            return
        if answer["errors"][0]["extensions"]["code"] != "BAD_INPUT" or time.monotonic() > deadline:
            raise RuntimeError(f"the new resource cannot be asked for: {answer['errors'][0]}")
        time.sleep(0.02)


def _memory(platform: _Platform, node: _Node, count: int) -> dict[str, Any]:
    """Resident memory after 50 publications of one resource and after `count`."""
    node.ask(_row_query(1))
    return asyncio.run(_republish(platform, node, count))


async def _republish(platform: _Platform, node: _Node, count: int) -> dict[str, Any]:
    early = 0.0
    async with await PlatformDatabase.open(platform.url) as database:
        for n in range(count):
            changed = scale_data.resource(6, title=f"事项第{n}版", departments=platform.departments)
            report = await database.publish(CatalogueChange(by="bench", resources=(changed,)))
            await asyncio.to_thread(_until_number, node, report.number)
            node.ask(_row_query(6))
            if n == 49:
                early = node.report()["rss_mb"]
        late = node.report()
    return {
        "publications": count,
        "rss_mb_after_50": early,
        "rss_mb_at_end": late["rss_mb"],
        "growth": round(late["rss_mb"] / early - 1, 4),
        "held_ms": late["held_ms"],
    }


def _until_number(node: _Node, number: int) -> None:
    while node.ask("{ catalogue { snapshot } }")["data"]["catalogue"]["snapshot"] < number:
        time.sleep(0.002)


def _cold(platform: _Platform, node: _Node) -> dict[str, Any]:
    """The first request of departments that this node has not met, paired with a second one."""
    tokens = {n: platform.token(n) for n in range(1, COLD + 1)}
    known = platform.token(COLD + 1)
    queries = {n: _row_query(n, range(10)) for n in tokens}
    for query in queries.values():  # the document and the types are known
        node.ask(query, known)
    node.report()
    cold, warm, computed = [], [], []
    for n, query in queries.items():
        before = node.report()["cpu_seconds"]
        cold.append(_milliseconds(lambda: node.ask(query, tokens[n])))  # noqa: B023
        between = node.report()["cpu_seconds"]
        warm.append(_milliseconds(lambda: node.ask(query, tokens[n])))  # noqa: B023
        computed.append(2 * between - before - node.report()["cpu_seconds"])
    return {
        "cold_ms": round(statistics.median(cold), 1),
        "warm_ms": round(statistics.median(warm), 1),
        "over_warm_ms": round(statistics.median(c - w for c, w in zip(cold, warm, strict=True)), 1),
        "over_warm_cpu_ms": round(statistics.median(computed) * 1_000, 1),
        "held_ms": node.report()["held_ms"],
    }


def _milliseconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    answer = work()
    if isinstance(answer, dict) and "errors" in answer:
        raise RuntimeError(f"it failed: {answer['errors'][0]}")
    return (time.perf_counter() - began) * 1_000


def _asked(node: _Node, queries: list[str]) -> dict[str, Any]:
    node.report()
    times = [_milliseconds(lambda: node.ask(query)) for query in queries]  # noqa: B023
    return {
        "median": round(statistics.median(times), 1),
        "p95": round(statistics.quantiles(times, n=20)[-1], 1),
        **_seen(node),
    }


def _large(node: _Node, query: str | None) -> dict[str, Any]:
    """A large answer twice, under light load: GraphQL, or the schema as text for None."""
    before = node.report()["rss_mb"]
    seconds, size = [], 0
    with _light_load([node]):
        for _ in range(2):
            began = time.monotonic()
            if query is None:
                body = node.send("GET", "/schema.graphql", None)
            else:
                body = node.send("POST", "/graphql", json.dumps({"query": query}).encode())
            seconds.append(round(time.monotonic() - began, 2))
            size = len(body)
            if body.startswith(b'{"errors"'):
                raise RuntimeError(f"it failed: {body[:300]!r}")
    seen = _seen(node)
    return {
        "first_seconds": seconds[0],
        "again_seconds": seconds[1],
        "megabytes": round(size / 1e6, 1),
        **seen,
        "rss_mb_before": before,
    }


def _seen(node: _Node) -> dict[str, Any]:
    report = node.report()
    return {name: report[name] for name in ("held_ms", "collector_ms", "late_ms", "rss_mb")}
