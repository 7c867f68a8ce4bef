"""In charge of reading the body of a request, within a size and a time."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext

from starlette.types import Receive

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
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            message = await receive()
            if message["type"] == "http.request" and not message.get("more_body", False):
                body: bytes = message.get("body", b"")
                if len(body) > most:
                    raise _too_long(most)
                return body
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


def _too_long(most: int) -> Refusal:
    return Refusal(413, f"the body has more than {most} bytes", code=ErrorCode.LIMIT_EXCEEDED, headers=_CLOSE)
