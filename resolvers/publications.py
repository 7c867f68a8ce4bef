"""In charge of published cubes at run time: one per grant, terms and period, made once, the same for every replica."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from datetime import datetime
from typing import Any, Protocol, TypeAlias

from authz.cubes import Cube, CubeRule, cube_from_json, cube_to_json, period_of, publish
from resolvers.caches import Recent
from tanglai.catalogue.errors import ErrorCode, TanglaiError

_log = logging.getLogger(__name__)
_CACHED = 256

Read: TypeAlias = Callable[[], Awaitable[Sequence[Sequence[Any]]]]
"""The groups of the finest cube, as the source has them now."""


class CubeStore(Protocol):
    """Where published cubes are kept (the platform database). Raises PolicyUnavailable where it cannot be asked."""

    async def load_cube(self, grant: str, terms: str, period: str) -> str | None:
        """The cells published under this key, as text; None before the first publication."""
        ...

    async def publish_cube(self, grant: str, terms: str, period: str, cells: str) -> str:
        """Publish `cells`, unless others are published already; what is published."""
        ...


class Publications:
    """The cubes of one worker. Safe for concurrent use within one event loop."""

    def __init__(self, store: CubeStore | None) -> None:
        self._store = store
        self._known: Recent[tuple[str, str, str], Cube] = Recent(_CACHED)
        self._making: dict[tuple[str, str, str], asyncio.Task[Cube]] = {}

    async def cube(self, rule: CubeRule, now: datetime, read: Read) -> Cube:
        """The cube of `rule` in the period of `now`, made by one `read` where there is none yet.

        INVARIANT: what is answered from is what the store says is published, never what this worker has just read, so
        that no two answers of a period come from two readings. Raises what reading the source and the store raise.
        """
        key = (rule.grant, rule.terms, period_of(rule.statistics.period, now))
        found = self._known.get(key)
        if found is not None:
            return found
        task = self._making.get(key)
        if task is None:
            # In an empty context: the work is not the first caller's alone, and goes on when that one is cancelled.
            task = asyncio.get_running_loop().create_task(self._publish(rule, key, read), context=Context())
            self._making[key] = task
            task.add_done_callback(lambda _: self._making.pop(key, None))
        return await asyncio.shield(task)

    async def _publish(self, rule: CubeRule, key: tuple[str, str, str], read: Read) -> Cube:
        if self._store is None:
            raise TanglaiError(ErrorCode.POLICY_UNAVAILABLE, "published statistics are kept nowhere")
        text = await self._store.load_cube(*key)
        if text is None:
            text = await self._store.publish_cube(*key, cube_to_json(rule, publish(rule, await read())))
        try:
            cube = cube_from_json(rule, text)
        except ValueError:
            _log.exception("the cube of grant %s for %s cannot be read", rule.grant, key[2])
            raise TanglaiError(ErrorCode.INTERNAL, "internal error") from None
        self._known.put(key, cube)
        return cube
