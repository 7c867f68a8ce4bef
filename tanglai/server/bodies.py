"""In charge of reading the body of a request, within a size and a time."""

import asyncio
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from starlette.types import Message, Receive

from tanglai.catalogue.errors import ErrorCode
from tanglai.server.refusals import Refusal
from tanglai.server.supervision import ClientLeft

_CLOSE = ((b"connection", b"close"),)


async def read_body(
    headers: Mapping[bytes, bytes],
    receive: Receive,
    *,
    most: int,
    seconds: float,
    pieces: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> bytes:
    """The body; `pieces` is held while one that comes in pieces does.

    Raises Refusal 413 for more than `most` bytes, 408 for one that takes longer; ClientLeft.
    """
    announced = headers.get(b"content-length")
    if announced is not None and (not announced.isdigit() or int(announced) > most):
        raise _too_long(most)
    first = _Begun(receive())
    if first.message is not None and _is_whole(first.message):  # it came with the headers: no timer is needed
        return _bounded(first.message, most)
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            message = await first
            if _is_whole(message):
                return _bounded(message, most)
            with pieces():
                while True:
                    if message["type"] != "http.request":
                        raise ClientLeft
                    part = message.get("body", b"")
                    size += len(part)
                    if size > most:
                        raise _too_long(most)
                    parts.append(part)
                    if not message.get("more_body", False):
                        return b"".join(parts)
                    message = await receive()
    except TimeoutError:
        raise Refusal(408, "the body did not arrive in time", headers=_CLOSE) from None


class _Begun:
    """An awaitable that has taken its first step. `message` is its result if that was the last one, else None."""

    def __init__(self, work: Awaitable[Message]) -> None:
        self._steps: Generator[Any, Any, Message] = work.__await__()
        self._waits_for: Any = None
        self.message: Message | None = None
        try:
            self._waits_for = next(self._steps)
        except StopIteration as over:
            self.message = over.value

    def __await__(self) -> Generator[Any, Any, Message]:
        if self.message is not None:
            return self.message
        waits_for = self._waits_for
        while True:
            failure: BaseException | None = None
            try:
                yield waits_for
            except BaseException as error:
                failure = error
            try:
                waits_for = next(self._steps) if failure is None else self._steps.throw(failure)
            except StopIteration as over:
                message: Message = over.value
                return message


def _is_whole(message: Message) -> bool:
    return message["type"] == "http.request" and not message.get("more_body", False)


def _bounded(message: Message, most: int) -> bytes:
    body: bytes = message.get("body", b"")
    if len(body) > most:
        raise _too_long(most)
    return body


def _too_long(most: int) -> Refusal:
    return Refusal(413, f"the body has more than {most} bytes", code=ErrorCode.LIMIT_EXCEEDED, headers=_CLOSE)
