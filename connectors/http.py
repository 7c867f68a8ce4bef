"""In charge of sources of kind `http`: JSON over HTTP, whose rows are gated here, on a bounded number of them."""

import asyncio
import ssl
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary
from zoneinfo import ZoneInfo

import orjson
from pydantic import Field, field_validator

from connectors import local
from connectors.columns import query_columns, reads_other_tables
from connectors.evaluate import Record
from connectors.failures import log_failure
from connectors.http_client import HttpFault, JsonClient, NoAnswer
from connectors.http_endpoint import (
    CursorPaging,
    Endpoint,
    NoPaging,
    OffsetPaging,
    PagePaging,
    Request,
    UnsendableValue,
    at,
    endpoint,
    pushable,
    requests,
)
from connectors.options import Options, WaitingOptions, read
from connectors.protocol import (
    KEYS,
    Arguments,
    Bounds,
    Capabilities,
    CapabilityMissing,
    ColumnStructure,
    Row,
    SourceQuery,
    SourceTimeout,
    SourceUnavailable,
    TableStructure,
)
from connectors.sql.dialect import DEFAULT_TIMEZONE
from tanglai.catalogue.expressions import Column
from tanglai.catalogue.scalars import ScalarType, convert

MAX_ROWS = 10_000
"""Rows at most of one call where the binding names no bound."""

_OTHER_ENDPOINTS = "look into several endpoints in one call"
_STRUCTURE_SECONDS = 60.0
_AT_A_TIME = 4
_THREADS = 2
_THREAD_ROWS = 1000
_NATIVE = {"string": ScalarType.TEXT, "number": ScalarType.FLOAT, **{kind.lower(): kind for kind in ScalarType}}


class HttpOptions(Options):
    """`url` is what the endpoints' paths are relative to; `token` is sent as bearer, `headers` as they are.

    `structure` is the path of a document `{"table": {"column": "type"}}`, types as in the catalogue or as in JSON
    Schema. `ca` is a file of certificates to trust instead of the system's.
    """

    url: str
    token: str | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    connections: int = Field(default=8, ge=1, le=100)
    max_response_bytes: int = Field(default=32 << 20, ge=1)
    structure: str | None = None
    ca: Path | None = None
    pool: WaitingOptions = WaitingOptions()

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("a URL `https://…` is needed")
        return url


class HttpConnector:
    """See `Connector`."""

    capabilities = Capabilities(predicates=False, nested=False)

    def __init__(self, key: str, options: HttpOptions) -> None:
        self._key = key
        self._options = options
        self.bounds = Bounds(options.connections, options.pool.waiting)
        self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix=f"http-{key}")
        self._client: JsonClient | None = None
        self._endpoints: WeakKeyDictionary[SourceQuery, Endpoint] = WeakKeyDictionary()

    async def fetch(self, query: SourceQuery, arguments: Arguments, *, timeout: float) -> list[Row]:
        if reads_other_tables(query):
            raise CapabilityMissing(self._key, _OTHER_ENDPOINTS)
        if query.links and not arguments[KEYS]:
            return []
        try:
            async with asyncio.timeout(timeout):
                return await self._fetch(query, arguments, asyncio.get_running_loop().time() + timeout)
        except TimeoutError:
            raise SourceTimeout(self._key) from None
        except UnsendableValue:
            raise CapabilityMissing(self._key, "look for a text with a comma") from None
        except (HttpFault, ValueError, OSError) as error:
            log_failure(self._key, error)
            raise SourceUnavailable(self._key, reached=not isinstance(error, NoAnswer | OSError)) from None

    async def introspect(self) -> list[TableStructure]:
        if self._options.structure is None:
            raise CapabilityMissing(self._key, "tell its structure")
        try:
            async with asyncio.timeout(_STRUCTURE_SECONDS):
                deadline = asyncio.get_running_loop().time() + _STRUCTURE_SECONDS
                return _structures(await self._opened().get(self._options.structure, [], deadline=deadline))
        except TimeoutError:
            raise SourceTimeout(self._key) from None
        except (HttpFault, OSError) as error:
            log_failure(self._key, error)
            raise SourceUnavailable(self._key, reached=not isinstance(error, NoAnswer | OSError)) from None

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def _fetch(self, query: SourceQuery, arguments: Arguments, deadline: float) -> list[Row]:
        declared = self._endpoints.get(query)
        if declared is None:
            declared = self._endpoints[query] = endpoint(query)
        if query.max_rows is None and not pushable(query, declared):
            raise CapabilityMissing(self._key, _all_rows(query))
        reading = _Reading(self._opened(), query, declared, deadline)
        rows = await reading.rows(requests(query, declared, arguments))
        if len(rows) > _THREAD_ROWS:
            work = partial(local.run, query, rows, arguments)
            return await asyncio.get_running_loop().run_in_executor(self._executor, work)
        return local.run(query, rows, arguments)

    def _opened(self) -> JsonClient:
        if self._client is None:
            options = self._options
            headers = dict(options.headers)
            if options.token is not None:
                headers["authorization"] = f"Bearer {options.token}"
            self._client = JsonClient(
                options.url,
                headers,
                self._executor,
                connections=options.connections,
                max_bytes=options.max_response_bytes,
                verify=True if options.ca is None else ssl.create_default_context(cafile=str(options.ca)),
            )
        return self._client


class _Reading:
    """All rows of one call, from as many requests and pages as it takes, within the bound."""

    def __init__(self, client: JsonClient, query: SourceQuery, declared: Endpoint, deadline: float) -> None:
        self._client = client
        self._declared = declared
        self._path = query.table if declared.path is None else declared.path
        self._deadline = deadline
        self._most = MAX_ROWS if query.max_rows is None else query.max_rows
        self._read = 0
        self._empty = 0
        self._columns = [
            (column.name, declared.columns.get(column.name, (column.name,)), converter(column))
            for column in query_columns(query)
        ]

    async def rows(self, asked: Sequence[Request]) -> list[Record]:
        """The rows of every request, each row once. Raises HttpFault, also where there are too many."""
        turns = asyncio.Semaphore(_AT_A_TIME)

        async def one(request: Request) -> list[Record]:
            async with turns:
                return await self._request(request)

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(request)) for request in asked]
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return [row for task in tasks for row in task.result()]

    async def _request(self, request: Request) -> list[Record]:
        rows: list[Record] = []
        paging = self._declared.paging
        taken, number, cursor = 0, getattr(paging, "first", 0), None
        seen: set[str] = set()
        while True:
            document = await self._client.get(
                self._path,
                [*request.parameters, *_page_parameters(paging, number, taken, cursor)],
                deadline=self._deadline,
                not_found_is_none=self._declared.not_found_is_empty,
            )
            items = [] if document is None else at(document, self._declared.items)
            if not isinstance(items, list):
                raise HttpFault("the response has no array of items")
            self._count(len(items))
            taken, number = taken + len(items), number + 1
            rows += [row for item in items if isinstance(item, dict) and self._counts(row := self._row(item), request)]
            if isinstance(paging, CursorPaging):
                following = at(document, paging.next)
                if following in (None, "", False):
                    return rows
                cursor = str(following)
                if cursor in seen:
                    raise HttpFault("the pages go round in a circle")
                seen.add(cursor)
            elif isinstance(paging, NoPaging) or not items or _complete(paging, document, taken):
                return rows

    def _count(self, number: int) -> None:
        self._read += number
        self._empty += not number
        if self._read > self._most:
            raise HttpFault("more rows than the catalogue allows")
        if self._empty > self._most:
            raise HttpFault("pages without end")

    def _row(self, item: dict[str, Any]) -> Record:
        return {name: convert_(at(item, path)) for name, path, convert_ in self._columns}

    def _counts(self, row: Record, request: Request) -> bool:
        return all(row[name] in values for name, values in request.among.items())


def _page_parameters(
    paging: NoPaging | PagePaging | OffsetPaging | CursorPaging, number: int, taken: int, cursor: str | None
) -> list[tuple[str, str]]:
    parameters: list[tuple[str, str]] = []
    if isinstance(paging, NoPaging):
        return parameters
    if paging.size_parameter is not None:
        parameters.append((paging.size_parameter, str(paging.size)))
    if isinstance(paging, PagePaging):
        parameters.append((paging.page, str(number)))
    elif isinstance(paging, OffsetPaging):
        parameters.append((paging.offset, str(taken)))
    elif cursor is not None:
        parameters.append((paging.cursor, cursor))
    return parameters


def _complete(paging: PagePaging | OffsetPaging, document: Any, taken: int) -> bool:
    total = None if paging.total is None else convert(ScalarType.LONG, at(document, paging.total))
    return total is not None and taken >= total


def converter(column: Column) -> Callable[[Any], Any]:
    """The total conversion of a JSON value to the column's Python value; times without offset are the zone's."""
    kind = column.type
    if kind is ScalarType.GEOMETRY:
        return _geometry
    if kind is not ScalarType.DATETIME:
        return lambda value: convert(kind, value)
    zone = ZoneInfo(column.timezone or DEFAULT_TIMEZONE)

    def moment(value: Any) -> datetime | None:
        try:
            read = datetime.fromisoformat(value) if isinstance(value, str) else None
            if read is not None and read.tzinfo is None:
                value = _in_zone(read, zone)
        except (ValueError, OverflowError):
            return None
        result: datetime | None = convert(kind, value)
        return result

    return moment


def _in_zone(local_time: datetime, zone: ZoneInfo) -> datetime:
    # An hour that the clocks showed twice is its second showing, as in PostgreSQL.
    first, second = (local_time.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    before, after = first.utcoffset(), second.utcoffset()
    return second if before is not None and after is not None and after < before else first


def _geometry(value: Any) -> Any:
    # The reader's exact numbers become floats again; what no JSON writer takes is null.
    try:
        shape = convert(ScalarType.GEOMETRY, _with_floats(value))
        orjson.dumps(shape)
    except (ValueError, OverflowError, RecursionError, TypeError):
        return None
    return shape


def _with_floats(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _with_floats(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_with_floats(part) for part in value]
    return float(value) if isinstance(value, Decimal) else value


def _structures(document: Any) -> list[TableStructure]:
    if not isinstance(document, dict):
        raise HttpFault("the structure is no object")
    tables: list[TableStructure] = []
    for name, fields in document.items():
        if not isinstance(fields, dict) or not all(isinstance(kind, str) for kind in fields.values()):
            raise HttpFault("the structure is not of the form table, column, type")
        columns = (
            ColumnStructure(field, kind, _NATIVE.get(kind.lower()), nullable=True, unique=False)
            for field, kind in fields.items()
        )
        tables.append(TableStructure(None, name, tuple(columns)))
    return tables


def _all_rows(query: SourceQuery) -> str:
    return f"read all rows of `{query.table}`"


class HttpKind:
    """See `ConnectorKind`."""

    capabilities = Capabilities(predicates=False, nested=False)

    def refusal(self, query: SourceQuery) -> str | None:
        if reads_other_tables(query):
            return _OTHER_ENDPOINTS
        try:
            declared = endpoint(query)
        except ValueError as error:
            return f"read `{query.table}` as its binding says: {error}"
        return None if query.max_rows is not None or pushable(query, declared) else _all_rows(query)

    def open(self, key: str, options: Mapping[str, Any], environment: Mapping[str, str]) -> HttpConnector:
        return HttpConnector(key, read(HttpOptions, options, environment))
