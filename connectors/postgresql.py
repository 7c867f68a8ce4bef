"""In charge of sources of kind `postgresql`: any PostgreSQL, 13 or newer, whose database is in UTF-8."""

import asyncio
import socket
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import asyncpg
from pydantic import AliasChoices, Field, field_validator

from connectors.columns import tables
from connectors.failures import log_failure
from connectors.local import bound
from connectors.options import Options, read
from connectors.postgresql_catalog import introspect, table_facts
from connectors.protocol import (
    KEYS,
    Arguments,
    Capabilities,
    Row,
    SourceQuery,
    SourceTimeout,
    SourceUnavailable,
    TableStructure,
)
from connectors.sql.dialect import StructureMismatch, TableFacts
from connectors.sql.postgresql import PostgreSQLDialect
from connectors.sql.statement import Statement, compile_query
from tanglai.catalogue.expressions import Slot

_SESSION = {
    "application_name": "tanglai",
    "default_transaction_read_only": "on",
    "search_path": "",
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "iso_8601",
    "extra_float_digits": "1",
    "standard_conforming_strings": "on",
    "jit": "off",
    "tcp_keepalives_idle": "60",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "6",
}
_SECONDS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 3600)
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_DAYS = _EPOCH.toordinal()
_TICK = timedelta(microseconds=1)
_RELEASE_SECONDS = 5.0
_FACTS_SECONDS = 60.0
_STRUCTURE_SECONDS = 60.0
_GONE = (
    asyncpg.ConnectionDoesNotExistError,
    asyncpg.ConnectionFailureError,
    asyncpg.InterfaceError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    OSError,
)
_CHANGED = (asyncpg.SyntaxOrAccessError, asyncpg.InvalidCachedStatementError, StructureMismatch)
_FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, StructureMismatch)


class PoolOptions(Options):
    """`max`: connections at most, of each worker."""

    max: int = Field(default=8, ge=1, le=200)


class PostgreSQLOptions(Options):
    """`dsn` (or `url`): `postgresql://user:password@host:port/database?sslmode=…`."""

    dsn: str = Field(validation_alias=AliasChoices("dsn", "url"))
    pool: PoolOptions = PoolOptions()

    @field_validator("dsn")
    @classmethod
    def _is_postgresql(cls, dsn: str) -> str:
        if urlsplit(dsn).scheme not in ("postgresql", "postgres"):
            raise ValueError("a URL `postgresql://…` is needed")
        return dsn


class _Connection(asyncpg.Connection):  # type: ignore[misc]
    """Keeps its session between calls: nothing in it is ever changed but the bound on time."""

    __slots__ = ("bound",)

    def get_reset_query(self) -> str:
        return ""

    async def bounded_fetch(self, text: str, parameters: list[Any], seconds: float) -> list[Any]:
        """Rows of `text`; the server stops by itself some time after `seconds`, should the client be gone."""
        most = next((step for step in _SECONDS if step >= seconds), _SECONDS[-1])
        if getattr(self, "bound", None) != most:
            await self.execute(f"SET statement_timeout = {most * 1000}")
            self.bound = most
        rows: list[Any] = await self.fetch(text, *parameters)
        return rows


class PostgreSQLConnector:
    """See `Connector`. Statements are compiled once per query and prepared once per connection."""

    capabilities = Capabilities(predicates=True, nested=True)

    def __init__(self, key: str, options: PostgreSQLOptions) -> None:
        self._key = key
        self._options = options
        self._dialect = PostgreSQLDialect()
        self._pool: asyncpg.Pool | None = None
        self._opening = asyncio.Lock()
        self._facts: dict[tuple[str | None, str], tuple[float, TableFacts]] = {}
        self._statements: WeakKeyDictionary[SourceQuery, dict[bool, Statement]] = WeakKeyDictionary()
        self._background: set[asyncio.Task[None]] = set()

    async def fetch(self, query: SourceQuery, arguments: Arguments, *, timeout: float) -> list[Row]:
        if query.links and not arguments[KEYS]:
            return []
        try:
            async with asyncio.timeout(timeout):
                try:
                    return await self._fetch(query, arguments, timeout)
                except _CHANGED:  # the table may have changed since it was looked at
                    self._forget()
                    return await self._fetch(query, arguments, timeout)
                except _GONE as error:  # the server may be back already
                    if isinstance(error, ValueError):  # a parameter that the driver does not take
                        raise
                    await self._expire()
                    return await self._fetch(query, arguments, timeout)
        except (TimeoutError, asyncpg.QueryCanceledError):
            raise SourceTimeout(self._key) from None
        except _FAILURES as error:
            log_failure(self._key, error, sqlstate=getattr(error, "sqlstate", None))
            raise SourceUnavailable(self._key) from None

    async def introspect(self) -> list[TableStructure]:
        try:
            async with asyncio.timeout(_STRUCTURE_SECONDS):
                return await introspect(lambda text, *given: self._run(text, list(given), _STRUCTURE_SECONDS))
        except (TimeoutError, asyncpg.QueryCanceledError):
            raise SourceTimeout(self._key) from None
        except _FAILURES as error:
            log_failure(self._key, error, sqlstate=getattr(error, "sqlstate", None))
            raise SourceUnavailable(self._key) from None

    async def close(self) -> None:
        pool, self._pool = self._pool, None
        if self._background:
            await asyncio.wait(self._background, timeout=_RELEASE_SECONDS)
        if pool is not None:
            try:
                await asyncio.wait_for(pool.close(), _RELEASE_SECONDS)
            except (TimeoutError, *_FAILURES):
                pool.terminate()

    async def _fetch(self, query: SourceQuery, arguments: Arguments, timeout: float) -> list[Row]:
        statement = await self._statement(query, arguments, timeout)
        fetched = await self._run(statement.text, statement.parameters(arguments), timeout)
        return statement.rows(fetched, arguments)

    async def _statement(self, query: SourceQuery, arguments: Arguments, timeout: float) -> Statement:
        facts = {}
        now = asyncio.get_running_loop().time()
        for table in tables(query):
            known = self._facts.get(table)
            if known is None or known[0] < now:
                known = await self._look_at(table, timeout, None if known is None else known[1])
            facts[table] = known[1]
        statements = self._statements.setdefault(query, {})
        cap = self._dialect.page_cap
        limit = bound(query.limit, arguments) if isinstance(query.limit, Slot) else None
        capped = cap is not None and limit is not None and limit <= cap
        if capped not in statements:
            statements[capped] = compile_query(query, self._dialect, facts, capped=capped)
        return statements[capped]

    async def _look_at(
        self, table: tuple[str | None, str], timeout: float, old: TableFacts | None
    ) -> tuple[float, TableFacts]:
        facts = await table_facts(lambda text, *given: self._run(text, list(given), timeout), *table)
        if old is not None and facts != old:
            self._statements.clear()
        entry = self._facts[table] = (asyncio.get_running_loop().time() + _FACTS_SECONDS, facts)
        return entry

    async def _run(self, text: str, parameters: list[Any], timeout: float) -> list[Any]:
        pool = await self._opened()
        connection = await pool.acquire()
        try:
            rows: list[Any] = await connection.bounded_fetch(text, parameters, timeout)
        except BaseException:
            # A cancelled statement is being cancelled in the server; the caller does not wait for that.
            task = asyncio.create_task(self._release(pool, connection))
            self._background.add(task)
            task.add_done_callback(self._background.discard)
            raise
        await pool.release(connection)
        return rows

    async def _opened(self) -> "asyncpg.Pool":
        if self._pool is None:
            async with self._opening:
                if self._pool is None:
                    self._pool = await asyncpg.create_pool(
                        self._options.dsn,
                        min_size=0,
                        max_size=self._options.pool.max,
                        max_queries=1_000_000,
                        max_inactive_connection_lifetime=300.0,
                        connection_class=_Connection,
                        server_settings=_SESSION,
                        statement_cache_size=512,
                        max_cached_statement_lifetime=0,
                        max_cacheable_statement_size=0,
                        init=_set_up,
                    )
        return self._pool

    async def _expire(self) -> None:
        self._forget()
        if self._pool is not None:
            await self._pool.expire_connections()

    def _forget(self) -> None:
        self._facts.clear()
        self._statements.clear()

    async def _release(self, pool: "asyncpg.Pool", connection: Any) -> None:
        try:
            await pool.release(connection, timeout=_RELEASE_SECONDS)
        except (TimeoutError, *_FAILURES) as error:
            log_failure(self._key, error)


async def _set_up(connection: Any) -> None:
    # The driver's own codecs send the first and last moment of Python's calendar as infinity.
    for name, encode, decode in (
        ("date", lambda day: (day.toordinal() - _DAYS,), lambda days: date.fromordinal(days[0] + _DAYS)),
        ("timestamptz", lambda moment: ((moment - _EPOCH) // _TICK,), lambda ticks: _EPOCH + ticks[0] * _TICK),
    ):
        await connection.set_type_codec(name, schema="pg_catalog", encoder=encode, decoder=decode, format="tuple")
    peer = connection._transport.get_extra_info("socket")
    if peer is not None and peer.family in (socket.AF_INET, socket.AF_INET6):
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


class PostgreSQLKind:
    """See `ConnectorKind`."""

    capabilities = Capabilities(predicates=True, nested=True)

    def refusal(self, query: SourceQuery) -> str | None:
        return None

    def open(self, key: str, options: Mapping[str, Any], environment: Mapping[str, str]) -> PostgreSQLConnector:
        return PostgreSQLConnector(key, read(PostgreSQLOptions, options, environment))
