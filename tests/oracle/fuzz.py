"""In charge of running on: `python -m tests.oracle.fuzz SECONDS [--start N] [--jobs N]`, or `--seed N` alone.

Seeds are taken one after the other from the first one, so that a range says what was tried; each seed is one catalogue
(batches.py). Prints a line for each, and at the end one line of JSON. Failures are made small and
stored as golden cases.
"""

import argparse
import asyncio
import json
import logging
import multiprocessing
import queue
import secrets
import signal
import sys
import time
import traceback
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from tests.oracle.batches import SHARES, SHRINK_SECONDS, Batch, fight_batch
from tests.oracle.kinds import Grounds
from tests.oracle.stored import GOLDEN

REOPENED = 100
"""After so many seeds a process opens its sources anew, so that what they keep of former worlds goes."""


@dataclass
class Totals:
    """What a run has tried."""

    first: int
    began: float = field(default_factory=time.monotonic)
    seeds: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    catalogues: Counter[str] = field(default_factory=Counter)
    operations: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def add(self, batch: Batch) -> None:
        self.seeds += 1
        self.counts.update(batch.counts)
        self.catalogues[batch.kind] += 1
        self.operations[batch.kind] += batch.counts["operations"]
        if batch.failure is not None:
            self.failures.append(batch.failure)

    def document(self) -> dict[str, Any]:
        """For machines: the seeds are `first` and the `seeds` - 1 after it; `by_kind` has catalogues and operations."""
        kinds = [kind for kind in SHARES if kind in self.catalogues]
        return {
            "first": self.first,
            "seeds": self.seeds,
            "seconds": round(time.monotonic() - self.began, 1),
            **{name: count for name, count in self.counts.items() if name != "examples"},
            "catalogues": self.counts["examples"],
            "by_kind": {kind: {"seeds": self.catalogues[kind], "operations": self.operations[kind]} for kind in kinds},
            "failures": self.failures,
        }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.oracle.fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("seconds", type=float, nargs="?", help="how long to begin new seeds")
    parser.add_argument("--start", type=int, help="the first seed (else any)")
    parser.add_argument("--seed", type=int, help="this seed alone, as in every run before")
    parser.add_argument("--operations", type=int, help="ends as soon as so many operations are tried")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--shrink", type=float, default=SHRINK_SECONDS, help="seconds to make a failure small")
    parser.add_argument("--failures", type=Path, default=GOLDEN, help="where failures are stored")
    options = parser.parse_args()
    if (options.seconds is None) is (options.seed is None):
        parser.error("give SECONDS or --seed")
    if options.seed is not None:
        options.start, options.seconds, options.jobs = options.seed, 0.0, 1
    if options.start is None:
        options.start = secrets.randbelow(10**9)
    signal.signal(
        signal.SIGTERM, signal.default_int_handler
    )  # what was tried until then is told, nobody is left behind
    totals = run(options)
    print(json.dumps(totals.document(), ensure_ascii=False), flush=True)
    return 1 if totals.failures or totals.seeds == 0 else 0


def run(options: argparse.Namespace) -> Totals:
    """Processes that take one seed after the other; every seed between the first and the last is carried out."""
    context = multiprocessing.get_context("spawn")
    following, done = context.Value("q", options.start), context.Queue()
    stop = context.Event()
    ends = time.monotonic() + options.seconds
    settings = (options.shrink, options.failures, options.seed is not None)
    workers = [context.Process(target=work, args=(following, stop, done, *settings)) for _ in range(options.jobs)]
    totals = Totals(options.start)
    for worker in workers:
        worker.start()
    try:
        left = len(workers)
        while left:
            try:
                batch = done.get(timeout=0.5)
            except queue.Empty:
                batch = None
                if not any(worker.is_alive() for worker in workers) and done.empty():
                    break
            if isinstance(batch, Batch):
                totals.add(batch)
                print(line(batch), flush=True)
            elif batch is not None:
                left -= 1
            enough = options.operations is not None and totals.counts["operations"] >= options.operations
            if enough or time.monotonic() > ends:
                stop.set()
    except KeyboardInterrupt:
        pass
    finally:
        stop.set()
        while any(worker.is_alive() for worker in workers):
            with suppress(queue.Empty):
                batch = done.get(timeout=0.5)
                if isinstance(batch, Batch):
                    totals.add(batch)
                    print(line(batch), flush=True)
    if any(worker.exitcode for worker in workers):
        totals.failures.append("a process died")
    return totals


def line(batch: Batch) -> str:
    """A batch in one line, for people."""
    counts = batch.counts
    text = (
        f"seed {batch.seed} {batch.kind}: {counts['operations']} operations, {counts['refused']} refused, "
        f"{counts['reused']} old cursors, {batch.seconds:.1f} s"
    )
    return text if batch.failure is None else f"{text}\nFAILED, see {batch.failure}: {batch.why}"


def work(following: Any, stop: Any, done: Any, shrink: float, failures: Path, once: bool) -> None:
    """One process: seeds until it is told to stop, the first one in any case."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with suppress(KeyboardInterrupt):
        asyncio.run(_work(following, stop, done, shrink, failures, once))
    done.put("end")


async def _work(following: Any, stop: Any, done: Any, shrink: float, failures: Path, once: bool) -> None:
    first = True
    while first or not (once or stop.is_set()):
        async with Grounds() as grounds:
            for _ in range(REOPENED):
                if not first and (once or stop.is_set()):
                    return
                first = False
                with following.get_lock():
                    seed = following.value
                    following.value += 1
                try:
                    done.put(await fight_batch(grounds, seed, folder=failures, shrink_seconds=shrink))
                except Exception:
                    print(f"seed {seed} could not be carried out\n{traceback.format_exc()}", file=sys.stderr)
                    raise


if __name__ == "__main__":
    sys.exit(main())
