"""In charge of the running event loop, for which asking costs a system call on Python 3.11."""

import asyncio


class KeptLoop:
    """The event loop that runs, for an object that belongs to one loop at a time."""

    __slots__ = ("_loop",)

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    def get(self) -> asyncio.AbstractEventLoop:
        """Raises RuntimeError outside an event loop."""
        loop = self._loop
        if loop is None or not loop.is_running():
            loop = self._loop = asyncio.get_running_loop()
        return loop
