"""In charge of one JSON document by HTTP: bounded in time and size, retried where that is safe, to one host only."""

import asyncio
import json
import logging
import re
import ssl
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import stamina

from connectors.failures import Fault

_REDIRECTS = 3
_ATTEMPTS = 4
_THREAD_BYTES = 200_000
_RETRIED = frozenset({429, 502, 503, 504})
logging.getLogger("httpx").setLevel(logging.WARNING)  # below that it writes URLs, and with them values

_EXPONENT = re.compile(r"[eE]([+-]?\d+)")


class HttpFault(Fault):
    """The endpoint did not answer as it should."""


class NoAnswer(HttpFault):
    """There was no answer, or one that asks to come again: it may be there later."""

    def __init__(self, text: str, after: float | None = None) -> None:
        super().__init__(text)
        self.after = after


class JsonClient:
    """Reads JSON documents below one URL."""

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        executor: Executor,
        *,
        connections: int,
        max_bytes: int,
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        self._url = httpx.URL(url.rstrip("/") + "/")
        self._executor = executor  # of this source: one that sends much holds up no other
        self._max_bytes = max_bytes
        self._client = httpx.AsyncClient(
            headers={"accept": "application/json", **headers},
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            follow_redirects=False,
            trust_env=False,
            verify=verify,
        )

    async def get(
        self, path: str, parameters: Sequence[tuple[str, str]], *, deadline: float, not_found_is_none: bool = False
    ) -> Any:
        """The document at `path`, with floats as Decimal. `deadline` is in the event loop's time.

        Raises HttpFault, TimeoutError.
        """
        loop = asyncio.get_running_loop()

        def again(error: Exception) -> bool | float:
            left = deadline - loop.time()
            if not isinstance(error, NoAnswer) or left <= 0 or (error.after or 0.0) >= left:
                return False
            return True if error.after is None else error.after

        left = max(deadline - loop.time(), 0.001)
        retrying = stamina.retry_context(
            on=again, attempts=_ATTEMPTS, timeout=left, wait_initial=0.05, wait_max=1.0, wait_jitter=0.05
        )
        async for attempt in retrying:
            with attempt:
                body = await self._body(path, parameters, deadline, not_found_is_none=not_found_is_none)
                if body is None:
                    return None
                try:
                    if len(body) <= _THREAD_BYTES:
                        return _parsed(body)
                    return await loop.run_in_executor(self._executor, _parsed, body)
                except (ValueError, RecursionError):
                    raise HttpFault("the response is no JSON") from None
        raise AssertionError

    async def close(self) -> None:
        await self._client.aclose()

    async def _body(
        self, path: str, parameters: Sequence[tuple[str, str]], deadline: float, *, not_found_is_none: bool
    ) -> bytes | None:
        url = self._url.join(path.lstrip("/")).copy_merge_params(list(parameters))
        left = max(deadline - asyncio.get_running_loop().time(), 0.001)
        try:
            for _ in range(_REDIRECTS + 1):
                async with self._client.stream("GET", url, timeout=left) as response:
                    if response.is_redirect:
                        url = self._same_origin(response)
                        continue
                    if response.status_code == 404 and not_found_is_none:
                        return None
                    if response.status_code in _RETRIED:
                        raise NoAnswer(f"status {response.status_code}", _retry_after(response))
                    if response.status_code != 200:
                        raise HttpFault(f"status {response.status_code}")
                    return await self._bounded(response)
        except httpx.TimeoutException:
            raise TimeoutError from None
        except httpx.TransportError as error:
            raise NoAnswer(type(error).__name__) from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise HttpFault(type(error).__name__) from None
        raise HttpFault("too many redirects")

    def _same_origin(self, response: httpx.Response) -> httpx.URL:
        target = response.url.join(response.headers.get("location", ""))
        if (target.scheme, target.host, target.port) != (self._url.scheme, self._url.host, self._url.port):
            raise HttpFault("a redirect to another host")
        return target

    async def _bounded(self, response: httpx.Response) -> bytes:
        pieces: list[bytes] = []
        size = 0
        async for piece in response.aiter_bytes():
            size += len(piece)
            if size > self._max_bytes:
                raise HttpFault("the response is too large")
            pieces.append(piece)
        return b"".join(pieces)


def _retry_after(response: httpx.Response) -> float | None:
    value = response.headers.get("retry-after", "").strip()
    if value.isascii() and value.isdecimal():
        return float(value[:6])
    try:
        return max((parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds(), 0.0)
    except (TypeError, ValueError):
        return None


def _parsed(body: bytes) -> Any:
    # Numbers are total too: one that is too long to compute with is null, like any other value that does not fit.
    return json.loads(
        body,
        parse_int=lambda text: int(text) if len(text) <= 400 else None,
        parse_float=_decimal,
        parse_constant=lambda text: None,
    )


def _decimal(text: str) -> Decimal | None:
    exponent = _EXPONENT.search(text)
    if len(text) > 400 or (exponent is not None and len(exponent[1]) > 4):
        return None
    return Decimal(text)
