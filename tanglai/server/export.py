"""In charge of `/export`: one list as a file, decided like a query, which leaves as it arrives from its source.

What arrives whole ends as HTTP says; whatever goes wrong after the first byte breaks the transfer off, so that nobody
takes a part for the whole. Errors before it are JSON, as those of `/graphql`.
"""

import asyncio
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope, Send

from authz.principal import Principal
from resolvers.export_formats import Encoder, Format
from resolvers.exporting import Export
from tanglai.catalogue.errors import ErrorCode, TanglaiError
from tanglai.server import parameters
from tanglai.server.bodies import read_body
from tanglai.server.endpoint import purpose, read_headers, request_id
from tanglai.server.gateway import ExportingGateway, Gateway, GraphQLRequest
from tanglai.server.identity import Entrance, bearer
from tanglai.server.media import Media, export_format, is_json_body, language
from tanglai.server.observations import Observations
from tanglai.server.refusals import Headers, Refusal, busy, error_body, headers_of, internal, status_of
from tanglai.server.settings import Settings
from tanglai.server.supervision import ClientLeft, Shares, TooLate, Watch

T = TypeVar("T")

EXPORT_PATH = "/export"
TERMS_BYTES = 3_000
"""Of the header `Export-Terms`; proxies take 4 KB of headers, some of them."""
WRITE_BYTES = 256 << 10
"""The transport keeps what the client has not taken yet, so no more is given to it at a time."""

_CLIENT_LEFT = 499
_ADMIT_SECONDS = 1.0
_ONCE = frozenset({b"authorization", b"content-type", b"content-length", b"purpose", b"accept"})
_COMMON = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
_ALLOW = ((b"allow", b"POST, OPTIONS"),)
_CORS_HEADERS = b"Authorization, Content-Type, Purpose, X-Request-Id"
_CORS_EXPOSED = b"X-Request-Id, Retry-After, Content-Disposition, Export-Terms"


class _Exchange:
    """What is known of one request and its answer so far."""

    __slots__ = ("headers", "method", "principal", "repeated", "request_id", "sent", "started", "token")

    def __init__(self, scope: Scope) -> None:
        self.method: str = scope["method"]
        self.headers, self.repeated = read_headers(scope)
        self.request_id = request_id(self.headers.get(b"x-request-id"))
        self.principal: Principal | None = None
        self.token = ""
        self.started = False
        self.sent = 0


class ExportEndpoint:
    """The ASGI application of `/export`."""

    def __init__(self, gateway: Gateway, entrance: Entrance, settings: Settings, observations: Observations) -> None:
        self._gateway, self._entrance, self._settings = gateway, entrance, settings
        self._observations = observations
        self.slots = Shares(settings.max_exports)
        self._bodies = Shares(settings.max_concurrent)
        # One for all: the memory that each thread keeps for itself would be many times that of the rows.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="export")
        self._origins = frozenset(origin.encode() for origin in settings.allowed_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        exchange = _Exchange(scope)
        status, body = 200, b""
        extra: Headers = ()
        code: str | None = None
        try:
            status, body, extra = await self._answer(exchange, scope, receive, send)
        except ClientLeft:
            status, code = _CLIENT_LEFT, "CLIENT_LEFT"
        except TooLate:
            error = TanglaiError(ErrorCode.SOURCE_TIMEOUT, "the export took too long")
            status, body, extra, code = _refused(error, exchange)
        except asyncio.CancelledError:  # the process stops and waits no longer
            status, body, extra, code = _refused(busy(), exchange)
        except TanglaiError as error:
            status, body, extra, code = _refused(error, exchange)
        except Exception as error:
            self._observations.failed("export", exchange.request_id, error)
            status, body, extra, code = _refused(internal(), exchange)
        if status != _CLIENT_LEFT and not exchange.started:
            await self._send(send, exchange, status, body, extra)
        # INVARIANT: of a file that has begun nothing more is sent here. The server closes a connection whose response
        # was not ended, which shows in the framing of HTTP.
        self._observations.answered(
            "export",
            status=status,
            seconds=time.perf_counter() - began,
            size=exchange.sent if exchange.started else len(body),
            request_id=exchange.request_id,
            method=exchange.method,
            principal=exchange.principal,
            code=code,
        )

    async def _answer(
        self, exchange: _Exchange, scope: Scope, receive: Receive, send: Send
    ) -> tuple[int, bytes, Headers]:
        if exchange.method == "OPTIONS":
            return 204, b"", () if self._origins else _ALLOW
        format_, request = await self._request(exchange, scope, receive)
        gateway = self._gateway
        if not isinstance(gateway, ExportingGateway):
            raise Refusal(404, "not found")
        with self.slots.of(request.principal.department.code), Watch(receive, self._settings.export_seconds, after=0):
            export = await gateway.export(request)
            if not isinstance(export, Export):
                return export.status, export.body, ()
            async with export:
                await self._give(exchange, export, format_, send)
        return 200, b"", ()

    async def _request(self, exchange: _Exchange, scope: Scope, receive: Receive) -> tuple[Format, GraphQLRequest]:
        """What is asked, and who asks. Raises TanglaiError, ClientLeft."""
        headers, settings = exchange.headers, self._settings
        if exchange.method != "POST":
            raise Refusal(405, "use POST", headers=_ALLOW)
        if scope["http_version"] == "1.0":
            raise Refusal(505, "an export needs HTTP/1.1, in which the end of a file shows")
        if exchange.repeated & _ONCE:
            raise Refusal(400, "a header is given twice")
        authorization = headers.get(b"authorization")
        exchange.token = bearer([authorization.decode("latin-1")] if authorization is not None else [])
        exchange.principal, _ = await self._entrance.admit(exchange.token)
        format_ = _format(scope["query_string"], headers.get(b"accept"))
        if not is_json_body(headers.get(b"content-type", b"")):
            raise Refusal(415, "the body is application/json in UTF-8")
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            raise Refusal(415, "the body is not compressed")
        with self._bodies.of(exchange.principal.department.code):
            body = await read_body(headers, receive, most=settings.max_body_bytes, seconds=settings.body_seconds)
        asked = parameters.from_body(body, max_variables=settings.max_variables_bytes)
        return format_, GraphQLRequest(
            query=asked.query,
            operation_name=asked.operation_name,
            variables=asked.variables,
            extensions=asked.extensions,
            principal=exchange.principal,
            purpose=purpose(headers.get(b"purpose")),
            language=language(headers.get(b"accept-language")),
            request_id=exchange.request_id,
            read_only=False,
        )

    async def _give(self, exchange: _Exchange, export: Export, format_: Format, send: Send) -> None:
        """Sends the file. Raises what breaks it off."""
        columns, spreadsheet = export.list.columns, export.wanted.spreadsheet
        encoder = await self._in_thread(partial(format_.encoder, columns, export.told, spreadsheet=spreadsheet))
        opening = await self._encoded(encoder, encoder.begin)
        headers = [
            *self._headers(exchange),
            (b"content-type", format_.content_type.encode()),
            (b"content-disposition", f'attachment; filename="{export.list.name}.{format_.value.word}"'.encode()),
            (b"export-terms", _terms(export.told)),
            (b"x-accel-buffering", b"no"),
        ]
        exchange.started = True
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._write(exchange, opening, send)
        admitted = time.monotonic()
        async for part in export.parts():
            if time.monotonic() - admitted >= _ADMIT_SECONDS:
                await self._entrance.admit(exchange.token)
                admitted = time.monotonic()
            data = await self._encoded(encoder, encoder.rows, part)
            del part
            await self._write(exchange, data, send)
            del data
        await self._write(exchange, await self._encoded(encoder, encoder.end), send)
        await export.finish()
        await send({"type": "http.response.body", "body": b""})

    async def _encoded(self, encoder: Encoder, step: Callable[..., bytes], *given: Any) -> bytes:
        return await self._in_thread(step, *given) if encoder.slow else step(*given)

    async def _in_thread(self, work: Callable[..., T], *given: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *given)

    async def _write(self, exchange: _Exchange, data: bytes, send: Send) -> None:
        for start in range(0, len(data), WRITE_BYTES):
            piece = data[start : start + WRITE_BYTES]
            exchange.sent += len(piece)
            try:
                async with asyncio.timeout(self._settings.export_idle_seconds):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
            except (TimeoutError, OSError):
                raise ClientLeft from None

    async def _send(self, send: Send, exchange: _Exchange, status: int, body: bytes, extra: Headers) -> None:
        headers = [*self._headers(exchange), *extra]
        if body:
            headers.append((b"content-type", Media.JSON.value))
        if status != 204:
            headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _headers(self, exchange: _Exchange) -> list[tuple[bytes, bytes]]:
        """Those of every response; cross-origin ones (Fetch standard) for origins that the settings name."""
        headers = [*_COMMON, (b"x-request-id", exchange.request_id.encode())]
        if not self._origins:
            return headers
        headers.append((b"vary", b"Origin"))
        origin = exchange.headers.get(b"origin")
        if origin is None or origin not in self._origins:
            return [*headers, *(_ALLOW if exchange.method == "OPTIONS" else ())]
        headers.append((b"access-control-allow-origin", origin))
        if exchange.method != "OPTIONS":
            return [*headers, (b"access-control-expose-headers", _CORS_EXPOSED)]
        return [
            *headers,
            (b"access-control-allow-methods", b"POST"),
            (b"access-control-allow-headers", _CORS_HEADERS),
            (b"access-control-max-age", b"600"),
        ]


def _format(query_string: bytes, accept: bytes | None) -> Format:
    """What `?format=` names, else what `Accept` takes. Raises Refusal 400 or 406."""
    try:
        pairs = parse_qsl(query_string.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=4)
    except ValueError:
        raise Refusal(400, "the query string is malformed") from None
    if any(name != "format" for name, _ in pairs) or len(pairs) > 1:
        raise Refusal(400, "the query string holds `format`, once, and nothing else")
    if pairs:
        found = next((one for one in Format if one.value.word == pairs[0][1]), None)
        if found is None:
            raise Refusal(400, f"`format` is one of {', '.join(one.value.word for one in Format)}")
        return found
    chosen = export_format(accept)
    if chosen is None:
        raise Refusal(406, f"an export is one of {', '.join(one.value.media for one in Format)}")
    return chosen


def _terms(told: dict[str, Any]) -> bytes:
    """What is told of an export, as JSON in ASCII. A list that does not fit is replaced by how long it is."""
    told = dict(told)
    for name in ("masked", "partial", "grants", "denied", ""):
        text = json.dumps(told, separators=(",", ":")).encode("ascii")
        if len(text) <= TERMS_BYTES or not name:
            break
        told[name] = len(told[name])
    return text


def _refused(error: TanglaiError, exchange: _Exchange) -> tuple[int, bytes, Headers, str]:
    return status_of(error), error_body(error, exchange.request_id), headers_of(error), error.code.value
