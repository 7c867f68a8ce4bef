"""In charge of batching relations: several parents, roots and aliases in one source call, within one request."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any

from aiodataloader import DataLoader

Texts = dict[Any, str]


class RelationLoader:
    """Loads what lies beyond one relation for batches of link keys.

    Batches that are asked for in the same turn of the event loop are read by one call. One future per batch, not per
    key, so the cost does not grow with rows. A waiter that is cancelled does not disturb the others: each load is
    shielded, and the request cancels what is left by `cancel`.
    """

    def __init__(self, read: Callable[[list[Any]], Awaitable[Texts]]) -> None:
        self._read = read
        self._tasks: set[asyncio.Task[Any]] = set()
        self._loader: DataLoader[Hashable, Texts] = DataLoader(batch_load_fn=self._batch, cache=False)

    async def load(self, keys: tuple[Any, ...]) -> Texts:
        """Texts by key for at least `keys` (distinct, not null)."""
        return await asyncio.shield(self._loader.load(keys))

    async def _batch(self, batches: list[Hashable]) -> list[Texts]:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            keys: dict[Any, None] = {}
            for batch in batches:
                assert isinstance(batch, tuple)
                keys.update(dict.fromkeys(batch))
            texts = await self._read(list(keys))
        except Exception as error:
            return [error] * len(batches)  # type: ignore[list-item]  # aiodataloader's way to fail single loads
        finally:
            self._tasks.discard(task)
        return [texts] * len(batches)

    def cancel(self) -> None:
        """Cancels the calls that are still under way, and with them the work in the source."""
        for task in self._tasks:
            task.cancel()
