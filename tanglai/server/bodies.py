"""In charge of reading the body of a request, within a size and a time."""

import asyncio
from collections.abc import Mapping

from starlette.types import Receive

from tanglai.catalogue.errors import ErrorCode
from tanglai.server.refusals import Refusal
from tanglai.server.supervision import ClientLeft

_CLOSE = ((b"connection", b"close"),)


async def read_body(headers: Mapping[bytes, bytes], receive: Receive, *, most: int, seconds: float) -> bytes:
    """The body. Raises Refusal 413 for more than `most` bytes, 408 for one that takes longer; ClientLeft."""
    announced = headers.get(b"content-length")
    if announced is not None and (not announced.isdigit() or int(announced) > most):
        raise _too_long(most)
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    raise ClientLeft
                part = message.get("body", b"")
                size += len(part)
                if size > most:
                    raise _too_long(most)
                parts.append(part)
                if not message.get("more_body", False):
                    return b"".join(parts)
    except TimeoutError:
        raise Refusal(408, "the body did not arrive in time", headers=_CLOSE) from None


def _too_long(most: int) -> Refusal:
    return Refusal(413, f"the body has more than {most} bytes", code=ErrorCode.LIMIT_EXCEEDED, headers=_CLOSE)
