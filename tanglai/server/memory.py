"""In charge of what could hold the event loop: the cycle collector, and threads that compute beside it.

Looking through the catalogue, the schema and the grants of a region takes most of a second, and everything stands still
meanwhile. What is kept for long has no cycles or breaks them itself (`schema.data.Component`), so it needs no search.
"""

import gc
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_log = logging.getLogger(__name__)

SLOW_SECONDS = 0.01
"""A full collection that takes longer sets what it has looked through aside."""

SWITCH_SECONDS = 0.0005
"""A thread that computes gives way to one that waits after so long: schemas are built while requests are answered."""

GROWTH, ROOM = 2, 2_000_000
"""So many times, plus so many, of what was in use at the last look may be set aside before all of it is looked at."""


class Keeper:
    """Sets aside (`gc.freeze`) what survives, so that no collection takes long.

    INVARIANT: memory stays bounded whatever makes cycles: where what is set aside has more than doubled, the next full
    collection looks through all of it once, and everything waits for that one.
    """

    def __init__(self) -> None:
        self._began = 0.0
        self._used = 0

    def settle(self) -> None:
        """The start is over: look through everything, set it aside, and begin to collect."""
        gc.collect()
        gc.freeze()
        gc.enable()
        self._used = gc.get_freeze_count()

    def collected(self, phase: str, told: dict[str, Any]) -> None:
        """Called by the collector before and after each collection."""
        if told["generation"] < 2:
            return
        now = time.perf_counter()
        if phase == "start":
            self._began = now
        elif now - self._began > SLOW_SECONDS:
            self._set_aside()

    def _set_aside(self) -> None:
        before = gc.get_freeze_count()
        gc.freeze()
        count = gc.get_freeze_count()
        if before == 0:
            self._used = count  # this collection has looked through everything
        elif count > GROWTH * self._used + ROOM:
            _log.info("%d objects are looked through, %d were in use at the last look", count, self._used)
            gc.unfreeze()


@contextmanager
def kept_still() -> Iterator[Keeper]:
    """Threads and collections as a node needs them: no collection while it starts, short ones from `settle` on."""
    keeper = Keeper()
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.disable()
    gc.callbacks.append(keeper.collected)
    try:
        yield keeper
    finally:
        gc.callbacks.remove(keeper.collected)
        gc.enable()
        gc.unfreeze()  # else what is in a cycle outlives the interpreter, and DuckDB's modules complain of it
