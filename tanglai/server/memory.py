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
"""A full collection that computes longer sets what it has looked through aside."""

SWITCH_SECONDS = 0.0005
"""A thread that computes gives way to one that waits after so long: schemas are built while requests are answered."""

YOUNG = 2_500
"""So many new objects are looked through at once: the interpreter's 700 are made by a few requests under way."""

ROOM = 2_000_000
"""So many objects, and as many again as at the start, may be set aside before all of them are looked through."""


class Keeper:
    """Sets aside (`gc.freeze`) what survives, so that no collection takes long.

    INVARIANT: memory stays bounded whatever makes cycles: from time to time, counted by what was set aside, a full
    collection looks through everything, and everything waits for that one.
    """

    def __init__(self) -> None:
        self._began = 0.0
        self._room = 0
        self._aside = 0

    def settle(self) -> None:
        """The start is over: look through everything, set it aside, and begin to collect."""
        gc.collect()
        self._room = ROOM + self._set_aside()
        gc.collect()  # the next full collection comes when a quarter of what this one finds has been added
        gc.set_threshold(YOUNG, *gc.get_threshold()[1:])
        gc.enable()

    def collected(self, phase: str, told: dict[str, Any]) -> None:
        """Called by the collector before and after each collection."""
        if told["generation"] < 2:
            return
        now = time.thread_time()
        if phase == "start":
            self._began = now
        elif now - self._began > SLOW_SECONDS:
            self._aside += self._set_aside()
            if self._aside > self._room:
                _log.info("%d objects were set aside since all were looked through", self._aside)
                self._aside = -self._room  # the next collection sets everything aside once more
                gc.unfreeze()

    def _set_aside(self) -> int:
        """How many; to ask how many there are aside already would take as long as a collection."""
        count = len(gc.get_objects(generation=2))
        gc.freeze()
        return count


@contextmanager
def kept_still() -> Iterator[Keeper]:
    """Threads and collections as a node needs them: no collection while it starts, short ones from `settle` on."""
    keeper, interval, thresholds = Keeper(), sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.disable()
    gc.callbacks.append(keeper.collected)
    try:
        yield keeper
    finally:
        gc.callbacks.remove(keeper.collected)
        sys.setswitchinterval(interval)
        gc.set_threshold(*thresholds)
        gc.enable()
        gc.unfreeze()  # else what is in a cycle outlives the interpreter, and DuckDB's modules complain of it
