"""In charge of a node that tells how long its event loop was held: one process of the case `scale`.

Commands come as lines on standard input, each is answered by a line of JSON: `report` tells what was seen since the
last one.
"""

import asyncio
import gc
import json
import os
import sys
import threading
import time
from dataclasses import dataclass
from typing import Any

from tanglai.server.compose import run_node
from tanglai.server.settings import load

TICK = 0.002


class Watch:
    """Measures the loop that it is started in: each tick should come `TICK` seconds after the one before.

    A tick that is late counts by what this process computed meanwhile, in any thread: while it computed nothing, the
    machine was busy with others.
    """

    def __init__(self) -> None:
        self._seen = _Seen()
        self._began = 0.0
        self._task: asyncio.Task[None] | None = None

    def collected(self, phase: str, _: object) -> None:
        """Of the cycle collector; it holds every thread."""
        if phase == "start":
            self._began = time.perf_counter()
        else:
            self._seen.collecting = max(self._seen.collecting, time.perf_counter() - self._began)

    def start(self) -> None:
        gc.callbacks.insert(0, self.collected)
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        while True:
            wall, cpu = time.perf_counter(), time.process_time()
            await asyncio.sleep(TICK)
            late = time.perf_counter() - wall - TICK
            held, seen = min(late, time.process_time() - cpu), self._seen
            seen.late, seen.held = max(seen.late, late), max(seen.held, held)
            seen.long += held > 0.02

    def report(self) -> dict[str, Any]:
        seen, self._seen = self._seen, _Seen()
        return {
            "held_ms": round(seen.held * 1_000, 1),
            "over_20_ms": seen.long,
            "late_ms": round(seen.late * 1_000, 1),
            "collector_ms": round(seen.collecting * 1_000, 1),
            "rss_mb": resident_megabytes(),
            "cpu_seconds": round(time.process_time(), 4),
        }


@dataclass(slots=True)
class _Seen:
    """The longest of each, in seconds, since the last report."""

    held: float = 0.0
    late: float = 0.0
    collecting: float = 0.0
    long: int = 0


def resident_megabytes() -> float:
    """Resident memory of this process."""
    with open("/proc/self/statm") as statm:
        pages = int(statm.read().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1_048_576, 1)


def _answer(watch: Watch) -> None:
    for _ in sys.stdin:
        print(json.dumps(watch.report()), flush=True)


def main() -> None:
    watch = Watch()

    def ready(url: str) -> None:
        watch.start()
        threading.Thread(target=_answer, args=(watch,), daemon=True).start()
        print(f"ready {url}", flush=True)

    run_node(load(), os.environ, on_ready=ready)


if __name__ == "__main__":
    main()
