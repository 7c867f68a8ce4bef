"""In charge of sources of kind `postgresql`: any PostgreSQL, 13 or newer, whose database is in UTF-8."""

import asyncio
import socket
from bisect import bisect_left
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import asyncpg
from pydantic import AliasChoices, Field, field_validator

from connectors.columns import tables
from connectors.deadline import Deadline
from connectors.failures import log_failure
from connectors.loops import KeptLoop
from connectors.options import Options, WaitingOptions, read
from connectors.postgresql_catalog import introspect, table_facts
from connectors.postgresql_pool import ConnectionPool
from connectors.protocol import (
    KEYS,
    Arguments,
    Bounds,
    Capabilities,
    Row,
    SourceQuery,
    SourceTimeout,
    SourceUnavailable,
    TableStructure,
)
from connectors.sql.dialect import StructureMismatch, TableFacts
from connectors.sql.expressions import Facts
from connectors.sql.postgresql import PostgreSQLDialect
from connectors.sql.statement import Statement, compile_query, page_caps
from connectors.streams import FIRST_ROWS, next_size
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
_FACTS_SECONDS = 60.0
_STRUCTURE_SECONDS = 60.0
_END_SECONDS = 5.0
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


class PoolOptions(WaitingOptions):
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


class PostgreSQLConnector:
    """See `Connector`. Statements are compiled once per query and prepared once per connection."""

    capabilities = Capabilities(predicates=True, nested=True)

    def __init__(self, key: str, options: PostgreSQLOptions) -> None:
        self._key = key
        self._options = options
        self.bounds = Bounds(options.pool.max, options.pool.waiting)
        self._dialect = PostgreSQLDialect()
        self._pool = ConnectionPool(self._connect, options.pool.max)
        self._loop = KeptLoop()
        self._bounds: WeakKeyDictionary[Any, int] = WeakKeyDictionary()
        self._ending: set[asyncio.Task[None]] = set()
        self._facts: dict[tuple[str | None, str], tuple[float, TableFacts]] = {}
        self._compiled: WeakKeyDictionary[SourceQuery, _Compiled] = WeakKeyDictionary()

    async def fetch(self, query: SourceQuery, arguments: Arguments, *, timeout: float) -> list[Row]:
        if query.links and not arguments[KEYS]:
            return []
        try:
            with Deadline(timeout, self._loop.get()):
                try:
                    return await self._fetch(query, arguments, timeout)
                except _CHANGED:  # the table may have changed since it was looked at
                    self._forget()
                    return await self._fetch(query, arguments, timeout)
                except _GONE as error:  # the server may be back already
                    if isinstance(error, ValueError):  # a parameter that the driver does not take
                        raise
                    self._forget()
                    self._pool.expire()
                    return await self._fetch(query, arguments, timeout)
        except (TimeoutError, asyncpg.QueryCanceledError):
            raise SourceTimeout(self._key) from None
        except _FAILURES as error:
            log_failure(self._key, error, sqlstate=getattr(error, "sqlstate", None))
            raise SourceUnavailable(self._key, reached=_reached(error)) from None

    async def introspect(self) -> list[TableStructure]:
        try:
            async with asyncio.timeout(_STRUCTURE_SECONDS):
                return await introspect(lambda text, *given: self._run(text, list(given), _STRUCTURE_SECONDS))
        except (TimeoutError, asyncpg.QueryCanceledError):
            raise SourceTimeout(self._key) from None
        except _FAILURES as error:
            log_failure(self._key, error, sqlstate=getattr(error, "sqlstate", None))
            raise SourceUnavailable(self._key, reached=_reached(error)) from None

    async def stream(
        self, query: SourceQuery, arguments: Arguments, *, size: int, timeout: float
    ) -> AsyncGenerator[list[Row], None]:
        """See `Streaming`. One transaction, which sees one state of the database, and one statement read in parts."""
        reading: _Reading | None = None
        try:
            async with asyncio.timeout(timeout):
                try:
                    reading, fetched = await self._begun(query, arguments, size, timeout)
                except _CHANGED:
                    self._forget()
                    reading, fetched = await self._begun(query, arguments, size, timeout)
                except (*_GONE, asyncpg.InternalClientError) as error:  # the driver loses count where a session ends
                    if isinstance(error, ValueError):
                        raise
                    self._forget()
                    self._pool.expire()
                    reading, fetched = await self._begun(query, arguments, size, timeout)
            while fetched:
                rows = reading.statement.rows(fetched, arguments)
                count = next_size(rows, size)
                yield rows
                del rows, fetched
                async with asyncio.timeout(timeout):
                    fetched = await reading.cursor.fetch(count)
        except (TimeoutError, asyncpg.QueryCanceledError):
            raise SourceTimeout(self._key) from None
        except _FAILURES as error:
            log_failure(self._key, error, sqlstate=getattr(error, "sqlstate", None))
            raise SourceUnavailable(self._key, reached=_reached(error)) from None
        finally:
            if reading is not None:
                self._end(reading.connection)

    async def _begun(
        self, query: SourceQuery, arguments: Arguments, size: int, timeout: float
    ) -> tuple["_Reading", list[Any]]:
        statement = await self._statement(query, arguments, timeout, exact=True)
        connection = await self._pool.acquire()
        try:
            await connection.execute(_begin(timeout))
            cursor = await connection.cursor(statement.text, *statement.parameters(arguments))
            fetched: list[Any] = await cursor.fetch(min(size, FIRST_ROWS))
        except BaseException:
            self._end(connection)
            raise
        return _Reading(connection, statement, cursor), fetched

    def _end(self, connection: Any) -> None:
        # A task, for whoever closes or cancels a stream does not wait.
        task = asyncio.get_running_loop().create_task(self._ended(connection))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _ended(self, connection: Any) -> None:
        """Gives back the connection of a stream, once its transaction is over."""
        try:
            async with asyncio.timeout(_END_SECONDS):
                await connection.execute("ROLLBACK")
        except Exception:
            connection.terminate()
        finally:
            self._pool.release(connection)

    async def close(self) -> None:
        if self._ending:
            await asyncio.wait(self._ending, timeout=_END_SECONDS)
        await self._pool.close()

    async def _fetch(self, query: SourceQuery, arguments: Arguments, timeout: float) -> list[Row]:
        statement = await self._statement(query, arguments, timeout)
        fetched = await self._run(statement.text, statement.parameters(arguments), timeout)
        if not statement.answers(fetched):
            statement = await self._statement(query, arguments, timeout, exact=True)
            fetched = await self._run(statement.text, statement.parameters(arguments), timeout)
        return statement.rows(fetched, arguments)

    async def _statement(
        self, query: SourceQuery, arguments: Arguments, timeout: float, *, exact: bool = False
    ) -> Statement:
        # Where the exact statement was needed once it is kept: it would be needed again.
        compiled = self._compiled.get(query)
        now = self._loop.get().time()
        if compiled is None or compiled.valid_until < now:
            compiled = await self._looked_at(query, compiled, timeout, now)
        limit, cap = query.limit, None
        if isinstance(limit, Slot):
            size = arguments[limit.path]
            cap = next((cap for cap in compiled.caps if size <= cap), None)
        statement = compiled.statements.get(cap)
        if statement is None or (exact and statement.telling):
            statement = compile_query(query, self._dialect, compiled.facts, cap=cap, exact=exact)
            compiled.statements[cap] = statement
        return statement

    async def _looked_at(self, query: SourceQuery, old: "_Compiled | None", timeout: float, now: float) -> "_Compiled":
        # What the tables are like is asked again from time to time, and statements are compiled anew if it changed.
        facts: dict[tuple[str | None, str], TableFacts] = {}
        until = now + _FACTS_SECONDS
        for table in sorted(tables(query), key=str):
            known = self._facts.get(table)
            if known is None or known[0] < now:
                asked = await table_facts(lambda text, *given: self._run(text, list(given), timeout), *table)
                known = self._facts[table] = (now + _FACTS_SECONDS, asked)
            facts[table] = known[1]
            until = min(until, known[0])
        statements = old.statements if old is not None and old.facts == facts else {}
        compiled = self._compiled[query] = _Compiled(until, facts, page_caps(query), statements)
        return compiled

    async def _run(self, text: str, parameters: list[Any], timeout: float) -> list[Any]:
        pool = self._pool
        connection = await pool.acquire()
        try:
            # The server ends the statement by itself some time after its time, should this process be gone.
            seconds = _SECONDS[min(bisect_left(_SECONDS, timeout), len(_SECONDS) - 1)]
            if self._bounds.get(connection) != seconds:
                await connection.execute(f"SET statement_timeout = {seconds * 1000}")
                self._bounds[connection] = seconds
            rows: list[Any] = await connection.fetch(text, *parameters)
        except BaseException:
            pool.recover(connection)
            raise
        pool.release(connection)
        return rows

    async def _connect(self) -> Any:
        connection = await asyncpg.connect(
            self._options.dsn,
            server_settings=_SESSION,
            statement_cache_size=512,
            max_cached_statement_lifetime=0,
            max_cacheable_statement_size=0,
        )
        try:
            await _set_up(connection)
        except BaseException:
            connection.terminate()
            raise
        return connection

    def _forget(self) -> None:
        self._facts.clear()
        self._compiled.clear()


def _begin(timeout: float) -> str:
    # The server ends the transaction by itself, should this process stand still or be gone.
    return (
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; "
        f"SET LOCAL statement_timeout = {int(timeout * 2000)}; "
        f"SET LOCAL idle_in_transaction_session_timeout = {int(timeout * 4000)}"
    )


@dataclass(frozen=True, slots=True)
class _Reading:
    """A statement that is read in parts."""

    connection: Any
    statement: Statement
    cursor: Any


@dataclass(frozen=True, slots=True)
class _Compiled:
    """Statements of a query, by what their limit is at most, as long as its tables are like `facts`."""

    valid_until: float
    facts: Facts
    caps: tuple[int, ...]
    statements: dict[int | None, Statement]


def _reached(error: BaseException) -> bool:
    # Whether the server answered. What the driver does not take, a ValueError, was never sent: it says nothing ill.
    return isinstance(error, ValueError) or not isinstance(error, (*_GONE, asyncpg.TooManyConnectionsError))


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
