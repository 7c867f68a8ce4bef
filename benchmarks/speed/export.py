"""In charge of the case `export`: 1,000,000 rows in each format, and what a node's memory does meanwhile.

Bar: 64 MB of resident memory at most above what the idle node has. Linux tells the memory (proc(5)).
"""

import http.client
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.speed.contract import RESIDENT_FIELDS, Draw
from benchmarks.speed.data import RESIDENTS, STATE, Servers
from benchmarks.speed.load import LoadError
from benchmarks.speed.platform import PURPOSE, Platform
from benchmarks.speed.processes import Running, cpu_seconds
from benchmarks.speed.subjects import ours

BAR_MB = 64.0
FORMATS = ("ndjson", "csv", "parquet", "arrow")
SLOW = "ndjson_slow_reader"
"""NDJSON for a client that pauses: what it has not taken may not pile up in the node."""

_QUERY = f"{{ data {{ population {{ residents {{ nodes {{ {' '.join(RESIDENT_FIELDS)} }} }} }} }} }}"
_CHUNK = 1 << 18
_PAUSE_SECONDS, _PAUSES = 1.0, 3
_SAMPLE_SECONDS = 0.05
_WARM_QUERIES = 20
_MB = 1 << 20


class ExportError(LoadError):
    """An export was refused, broke off or gave another number of rows; the message says which."""


def run(state: Path | None = None, *, rows: int = RESIDENTS) -> dict[str, Any]:
    """For each format, over a node of its own: rows and MB per second, the peak of memory above idle, its drift.

    CPU time is the node's, without that of PostgreSQL. The drift is how much the middle of the last quarter's memory
    lies above that of the second's.
    """
    with Servers(state or Path(os.environ.get("BENCH_STATE") or STATE), residents=rows) as servers:
        platform, database = Platform(servers), f"export_{os.getpid()}"
        try:
            platform.prepare(database)
            found = {name: _measure(servers, platform, database, name, rows) for name in (*FORMATS, SLOW)}
        finally:
            platform.drop(database)
    return {
        "rows": rows,
        "fields": len(RESIDENT_FIELDS),
        **found,
        "bar_mb": BAR_MB,
        "met": all(one["peak_mb"] <= BAR_MB for one in found.values()),
    }


def _measure(servers: Servers, platform: Platform, database: str, name: str, rows: int) -> dict[str, float]:
    (asker, *_), _ = platform.tokens()
    draw = Draw("list_1", 1, "64", "", asker.area, asker.key, asker.tokens[0])
    logs = servers.state / "load"
    logs.mkdir(exist_ok=True)
    subject = ours.subject("export", platform.environment(database))
    with Running(subject, servers.environment(), logs) as node, tempfile.TemporaryFile(dir=servers.state) as file:
        node.wait(draw)
        for _ in range(_WARM_QUERIES):
            node.rows(draw)
        node.settle()
        with Memory(node.pid) as memory:
            began, worked = time.monotonic(), cpu_seconds(node.pid) or 0.0
            size, first, paused = 0, 0.0, 0.0
            for chunk in _chunks(node.url, name.partition("_")[0], draw.token):
                first = first or time.monotonic() - began
                if name == SLOW and paused < _PAUSES * _PAUSE_SECONDS and size > (paused + 1) * 16 * _MB:
                    time.sleep(_PAUSE_SECONDS)
                    paused += _PAUSE_SECONDS
                size += len(chunk)
                file.write(chunk)
            seconds, worked = time.monotonic() - began - paused, (cpu_seconds(node.pid) or 0.0) - worked
        file.seek(0)
        counted = COUNTS[name.partition("_")[0]](file)
    if counted != rows:
        raise ExportError(f"`{name}` gave {counted} rows, not {rows}")
    return {
        "rows_per_second": round(rows / seconds),
        "mb_per_second": round(size / _MB / seconds, 1),
        "cpu_us_per_row": round(worked * 1e6 / rows, 1),
        "first_byte_ms": round(first * 1_000, 1),
        "idle_mb": round(memory.idle / _MB, 1),
        "peak_mb": round((memory.peak - memory.idle) / _MB, 1),
        "drift_mb": round(memory.drift() / _MB, 1),
    }


def _chunks(url: str, format_: str, token: str) -> Iterator[bytes]:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=120)
    headers = {"Authorization": f"Bearer {token}", "Purpose": PURPOSE, "Content-Type": "application/json"}
    try:
        connection.request("POST", f"/export?format={format_}", json.dumps({"query": _QUERY}), headers)
        response = connection.getresponse()
        if response.status != 200:
            raise ExportError(f"the export was answered {response.status}: {response.read().decode(errors='replace')}")
        while chunk := response.read(_CHUNK):
            yield chunk
    except http.client.HTTPException as error:
        raise ExportError(f"the export broke off: {error!r}") from error
    finally:
        connection.close()


def _lines(file: Any) -> int:
    return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(_CHUNK), b""))


def _records(file: Any) -> int:
    # No text of these rows has a line end, and the header is a line.
    return _lines(file) - 1


def _parquet(file: Any) -> int:
    from pyarrow import parquet

    return int(parquet.ParquetFile(file).metadata.num_rows)


def _arrow(file: Any) -> int:
    from pyarrow import ipc

    with ipc.open_stream(file) as reader:
        return sum(batch.num_rows for batch in reader)


COUNTS: dict[str, Callable[[Any], int]] = {"ndjson": _lines, "csv": _records, "parquet": _parquet, "arrow": _arrow}
"""How many rows a file of each format has."""


@dataclass
class Memory:
    """Resident memory in bytes of a process and its children, from entry to exit: `idle` at entry, then `peak`.

    The peak is the one that the kernel keeps, and so misses nothing; `drift` comes from samples.
    """

    pid: int
    idle: int = 0
    peak: int = 0
    samples: list[int] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._over = threading.Event()
        for pid in self._tree():
            Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak is now what there is
        self.idle = self._total("VmRSS")
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        if kind is None:
            self.peak = self._total("VmHWM")

    def drift(self) -> float:
        """Bytes; 0 where it took too short to tell."""
        quarter = len(self.samples) // 4
        if not quarter:
            return 0.0
        second, last = (sorted(self.samples[n * quarter : (n + 1) * quarter])[quarter // 2] for n in (1, 3))
        return float(last - second)

    def _watch(self) -> None:
        while not self._over.wait(_SAMPLE_SECONDS):
            self.samples.append(self._total("VmRSS"))

    def _total(self, figure: str) -> int:
        return sum(_kilobytes(pid, figure) for pid in self._tree()) * 1_024

    def _tree(self) -> list[int]:
        found = [self.pid]
        for pid in found:
            try:
                found += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
            except OSError:
                continue
        return found


def _kilobytes(pid: int, figure: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:  # it has ended
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{figure}:")), 0)
