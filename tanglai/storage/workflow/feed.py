"""In charge of telling whoever follows a department's work, or an import, that it has changed: never what has."""

import asyncio
from collections.abc import Iterable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from tanglai.storage.database import PlatformDatabase

CHANNEL = "tanglai_work"
"""NOTIFY channel; the payload is a key: the code of a department whose tasks or notices changed, or `import:<id>`."""


def import_key(id: str) -> str:
    """The key of the import `id`."""
    return f"import:{id}"


class Follower:
    """One who waits for changes of the keys that it follows. One task waits at a time; `close` ends the following.

    What is kept of changes that came meanwhile is one flag, so a slow follower costs no more than a fast one.
    """

    __slots__ = ("_changed", "_feed", "_keys", "_waiter")

    def __init__(self, feed: "Feed") -> None:
        self._feed = feed
        self._keys: tuple[str, ...] = ()
        self._changed = False
        self._waiter: asyncio.Future[None] | None = None

    def follow(self, key: str) -> None:
        """Follow `key` too. What is read after this call is told to be old once it is."""
        if key not in self._keys:
            self._keys = (*self._keys, key)
            self._feed.followers.setdefault(key, set()).add(self)

    async def changed(self) -> None:
        """Returns once something has changed since the last return, at once where it has already."""
        if not self._changed:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        # INVARIANT: forgotten before the caller reads, so that a change during its reading is told afterwards.
        self._changed = False

    def tell(self) -> None:
        """Something changed."""
        self._changed = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def close(self) -> None:
        """Follow nothing any more."""
        for key in self._keys:
            followers = self._feed.followers[key]
            followers.discard(self)
            if not followers:
                del self._feed.followers[key]
        self._keys = ()


class Feed:
    """All followers of one process, on one connection that listens. Lives within one event loop."""

    def __init__(self, database: PlatformDatabase) -> None:
        self._database = database
        self._open = AsyncExitStack()
        self.followers: dict[str, set[Follower]] = {}

    async def __aenter__(self) -> Self:
        await self._open.enter_async_context(self._database.listening_on(CHANNEL, self.hear))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._open.aclose()

    def follower(self) -> Follower:
        """A new one, which follows nothing yet; whoever asked for it closes it."""
        return Follower(self)

    def hear(self, key: str | None) -> None:
        """`key` changed; None: notifications may have been missed, so everybody is told."""
        told: Iterable[set[Follower]] = self.followers.values() if key is None else (self.followers.get(key, set()),)
        for followers in told:
            for follower in followers:
                follower.tell()
