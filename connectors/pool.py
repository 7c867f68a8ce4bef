"""In charge of the open connectors of one worker: opened on first use, closed when nothing uses them any more."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import orjson

from connectors.failures import Fault, log_failure
from connectors.gate import Gate, Room
from connectors.loops import KeptLoop
from connectors.protocol import Connector, ConnectorKind, SourceUnavailable
from connectors.registry import KINDS
from connectors.watched import Watched
from tanglai.catalogue.errors import ErrorCode
from tanglai.catalogue.model import Source

IDLE_SECONDS = 600.0
"""After so long without use a connector is closed. Longer than any call, so that none is closed under a call."""

_SWEEP_SECONDS = 30.0

Seen: TypeAlias = Callable[[str, str | None], None]
"""Told after each call to a source: its key, and the error code that the call ended with; None: it was answered."""


@dataclass(slots=True)
class _Open:
    connector: Connector
    gate: Gate
    used: float


class SourcePool:
    """Connectors by source and options, for one event loop. `environment` is what `{"env": NAME}` options read.

    `seen` is told how each call to a source ended, and of sources that cannot be opened. Calls of all sources together
    wait in `room`.
    A snapshot in which a source's options changed gets a connector of its own, while requests on an older snapshot keep
    theirs.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        kinds: Mapping[str, ConnectorKind] = KINDS,
        seen: Seen | None = None,
        room: Room | None = None,
    ) -> None:
        self._environment = environment
        self._kinds = kinds
        self._seen = seen
        self._room = room or Room()
        self._by_options: dict[tuple[str, str, bytes], _Open] = {}
        self._latest: dict[str, tuple[Source, _Open]] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._swept = 0.0
        self._loop = KeptLoop()

    def connector(self, source: Source) -> Connector:
        """The open connector of `source`; for use now, not for keeping. Call it inside the event loop.

        Raises SourceUnavailable where the source's options cannot be, or its kind does not exist.
        """
        now = self._loop.get().time()
        known = self._latest.get(source.key)
        if known is not None and known[0] is source:
            known[1].used = now
            return known[1].connector
        identity = (source.key, source.kind, _canonical(source.options))
        entry = self._by_options.get(identity)
        if entry is None:
            entry = self._by_options[identity] = self._open(source, now)
        entry.used = now
        self._latest[source.key] = source, entry
        if now - self._swept > _SWEEP_SECONDS:
            self._swept = now
            self._sweep(now)
        return entry.connector

    @property
    def waiting(self) -> int:
        """How many operations wait for a source."""
        return self._room.waiting

    async def close(self) -> None:
        """Closes every connector."""
        entries = list(self._by_options.values())
        self._by_options.clear()
        self._latest.clear()
        await asyncio.gather(*(entry.connector.close() for entry in entries), *self._closing)

    def _open(self, source: Source, now: float) -> _Open:
        kind = self._kinds.get(source.kind)
        try:
            if kind is None:
                raise ValueError(f"there is no connector of kind `{source.kind}`")
            connector = kind.open(source.key, source.options, self._environment)
        except ValueError as error:
            log_failure(source.key, Fault(str(error)))
            if self._seen is not None:
                self._seen(source.key, ErrorCode.SOURCE_UNAVAILABLE.value)
            raise SourceUnavailable(source.key) from None
        gate = Gate(source.key, connector.bounds.calls, connector.bounds.waiting, self._room)
        return _Open(Watched(connector, source.key, gate, self._seen), gate, now)

    def _sweep(self, now: float) -> None:
        for identity, entry in list(self._by_options.items()):
            if now - entry.used > IDLE_SECONDS and entry.gate.idle:
                del self._by_options[identity]
                latest = self._latest.get(identity[0])
                if latest is not None and latest[1] is entry:
                    del self._latest[identity[0]]
                task = asyncio.create_task(entry.connector.close())
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)


def _canonical(options: Any) -> bytes:
    return orjson.dumps(options, default=dict, option=orjson.OPT_SORT_KEYS)
