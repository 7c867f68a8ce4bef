"""In charge of sources of kind `files`: CSV and Parquet files in one folder, read by DuckDB."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Lock, local
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import duckdb
from pydantic import Field

from connectors.columns import reads_other_tables
from connectors.failures import Fault, log_failure
from connectors.files_tables import FileOptions, FileTables, Loaded
from connectors.options import Options, WaitingOptions, read, validated
from connectors.protocol import (
    KEYS,
    Arguments,
    Bounds,
    Capabilities,
    CapabilityMissing,
    Row,
    SourceQuery,
    SourceTimeout,
    SourceUnavailable,
    TableStructure,
)
from connectors.sql.dialect import StructureMismatch, TableFacts
from connectors.sql.duckdb import DuckDBDialect
from connectors.sql.statement import Statement, compile_query
from connectors.streams import FIRST_ROWS, next_size

_T = TypeVar("_T")

_STRUCTURE_SECONDS = 60.0
_INTERRUPT_SECONDS = (0.02, 1.0)  # the first pause between two interrupts, and the longest
_CLOSE_SECONDS = 5.0
_FAILURES = (duckdb.Error, OSError, StructureMismatch, ValueError)


class FilesOptions(Options):
    """`folder` holds the files. `workers` calls run at a time, on `threads` threads of DuckDB together.

    `memory` bounds what DuckDB takes, as `1GB`; beyond it, work and CSV tables go to a private temporary folder.
    """

    folder: Path
    workers: int = Field(default=4, ge=1, le=64)
    threads: int = Field(default=2, ge=1, le=64)
    memory: str = Field(default="1GB", pattern=r"^\d+(\.\d+)?\s?[KMGT]i?B$")
    pool: WaitingOptions = WaitingOptions()


class _Job:
    """Work in a worker thread that can be stopped."""

    def __init__(self) -> None:
        self._mutex = Lock()
        self._cursor: duckdb.DuckDBPyConnection | None = None
        self._stopped = False

    def run(self, cursor: duckdb.DuckDBPyConnection, work: Callable[[duckdb.DuckDBPyConnection], _T]) -> _T:
        with self._mutex:
            if self._stopped:
                raise duckdb.InterruptException("stopped before it began")
            self._cursor = cursor
        try:
            return work(cursor)
        finally:
            with self._mutex:
                self._cursor = None

    def stop(self) -> None:
        with self._mutex:
            self._stopped = True
            if self._cursor is not None:
                self._cursor.interrupt()


class FilesConnector:
    """See `Connector`. Files that changed are read anew by the next call.

    A file system may hang, and no interrupt ends that. So work is given to a thread that is free, or waits here, where
    it can be cancelled; and the threads are the source's own, so that nothing else waits for them.
    """

    capabilities = Capabilities(predicates=True, nested=False)

    def __init__(self, key: str, options: FilesOptions) -> None:
        self._key = key
        self._options = options
        self.bounds = Bounds(options.workers, options.pool.waiting)
        self._dialect = DuckDBDialect()
        self._executor = ThreadPoolExecutor(options.workers, thread_name_prefix=f"files-{key}")
        self._free = asyncio.Semaphore(options.workers)
        self._running: set[asyncio.Future[Any]] = set()
        self._closed = False
        self._opening = Lock()
        self._database: duckdb.DuckDBPyConnection | None = None
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self._tables: FileTables | None = None
        self._thread = local()
        self._statements: WeakKeyDictionary[SourceQuery, tuple[TableFacts, Statement]] = WeakKeyDictionary()
        self._file_options: WeakKeyDictionary[SourceQuery, FileOptions] = WeakKeyDictionary()
        self._loading: dict[tuple[str, str], asyncio.Task[Loaded]] = {}

    async def fetch(self, query: SourceQuery, arguments: Arguments, *, timeout: float) -> list[Row]:
        if reads_other_tables(query):
            raise CapabilityMissing(self._key, _OTHER_TABLES)
        if query.links and not arguments[KEYS]:
            return []
        try:
            async with asyncio.timeout(timeout):
                return await self._fetch(query, arguments)
        except TimeoutError:
            raise SourceTimeout(self._key) from None
        except _FAILURES as error:
            log_failure(self._key, error)
            raise SourceUnavailable(self._key, reached=True) from None

    async def stream(
        self, query: SourceQuery, arguments: Arguments, *, size: int, timeout: float
    ) -> AsyncGenerator[list[Row], None]:
        """See `Streaming`. DuckDB sorts within its own bound of memory and gives the rows from there."""
        if reads_other_tables(query):
            raise CapabilityMissing(self._key, _OTHER_TABLES)
        try:
            async with asyncio.timeout(timeout):
                loaded = await self._loaded(query.table, self._options_of(query))
                statement = self._statement(query, loaded)
                parameters = statement.parameters(arguments)
                # A cursor of its own: between two parts its worker reads for others.
                own = await self._in_worker(lambda cursor: cursor.cursor())
                await self._in_worker(lambda cursor: cursor.execute(statement.text, parameters), own)
                fetched = await self._in_worker(partial(_more, min(size, FIRST_ROWS)), own)
            while fetched:
                rows = statement.rows(fetched, arguments)
                count = next_size(rows, size)
                yield rows
                del rows, fetched
                async with asyncio.timeout(timeout):
                    fetched = await self._in_worker(partial(_more, count), own)
        except TimeoutError:
            raise SourceTimeout(self._key) from None
        except _FAILURES as error:
            log_failure(self._key, error)
            raise SourceUnavailable(self._key) from None

    async def introspect(self) -> list[TableStructure]:
        try:
            async with asyncio.timeout(_STRUCTURE_SECONDS):
                return await self._in_worker(lambda cursor: self._known_tables().structures(cursor))
        except TimeoutError:
            raise SourceTimeout(self._key) from None
        except _FAILURES as error:
            log_failure(self._key, error)
            raise SourceUnavailable(self._key, reached=True) from None

    async def close(self) -> None:
        loading = list(self._loading.values())
        for task in loading:
            task.cancel()
        await asyncio.gather(*loading, return_exceptions=True)
        if self._running:
            await asyncio.wait(self._running, timeout=_CLOSE_SECONDS)
        self._closed = True
        if self._running:  # what threads still work on stays open until they let go of it
            log_failure(self._key, Fault("a read has not ended"))
            self._executor.shutdown(wait=False)
        else:
            self._dispose()

    def _dispose(self) -> None:
        self._executor.shutdown()
        if self._database is not None:
            self._database.close()
        if self._scratch is not None:
            self._scratch.cleanup()

    async def _fetch(self, query: SourceQuery, arguments: Arguments) -> list[Row]:
        options = self._options_of(query)
        loaded = await self._loaded(query.table, options)
        try:
            return await self._rows(query, loaded, arguments)
        except duckdb.Error:
            again = await self._loaded(query.table, options)
            if again is loaded:
                raise
            return await self._rows(query, again, arguments)  # the files changed under the first try

    def _options_of(self, query: SourceQuery) -> FileOptions:
        options = self._file_options.get(query)
        if options is None:
            options = self._file_options[query] = validated(FileOptions, dict(query.options))
        return options

    async def _rows(self, query: SourceQuery, loaded: Loaded, arguments: Arguments) -> list[Row]:
        statement = self._statement(query, loaded)
        parameters = statement.parameters(arguments)

        def run(cursor: duckdb.DuckDBPyConnection) -> list[Row]:
            return statement.rows(cursor.execute(statement.text, parameters).fetchall(), arguments)

        return await self._in_worker(run)

    def _statement(self, query: SourceQuery, loaded: Loaded) -> Statement:
        known = self._statements.get(query)
        if known is None or known[0] is not loaded.facts:
            facts = {(query.namespace, query.table): loaded.facts}
            known = loaded.facts, compile_query(query, self._dialect, facts)
            self._statements[query] = known
        return known[1]

    async def _loaded(self, pattern: str, options: FileOptions) -> Loaded:
        loaded = await self._in_worker(lambda cursor: self._known_tables().current(pattern, options))
        if loaded is not None:
            return loaded
        # Reading a large file may take longer than this call may: it goes on for the calls to come.
        key = (pattern, options.model_dump_json())
        task = self._loading.get(key)
        if task is None:
            work = self._in_worker(lambda cursor: self._known_tables().load(cursor, pattern, options))
            task = self._loading[key] = asyncio.create_task(work)
            task.add_done_callback(lambda done: self._loading_done(key, done))
        return await asyncio.shield(task)

    def _loading_done(self, key: tuple[str, str], task: "asyncio.Task[Loaded]") -> None:
        del self._loading[key]
        if not task.cancelled():
            task.exception()  # who waited has it

    async def _in_worker(
        self, work: Callable[[duckdb.DuckDBPyConnection], _T], cursor: duckdb.DuckDBPyConnection | None = None
    ) -> _T:
        job = _Job()
        loop = asyncio.get_running_loop()
        await self._free.acquire()
        future = loop.run_in_executor(self._executor, lambda: job.run(cursor or self._cursor(), work))
        self._running.add(future)
        future.add_done_callback(self._ended)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            future.add_done_callback(lambda done: done.cancelled() or done.exception())

            def stop(pause: float, longest: float) -> None:
                # An interrupt that comes between two statements is lost, so it is repeated until the work has ended.
                if not future.done():
                    job.stop()
                    loop.call_later(pause, stop, min(2 * pause, longest), longest)

            stop(*_INTERRUPT_SECONDS)
            raise

    def _ended(self, future: "asyncio.Future[Any]") -> None:
        self._running.discard(future)
        self._free.release()
        if self._closed and not self._running:
            self._dispose()

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        cursor: duckdb.DuckDBPyConnection | None = getattr(self._thread, "cursor", None)
        if cursor is None:
            with self._opening:
                if self._database is None:
                    self._open()
            assert self._database is not None
            cursor = self._thread.cursor = self._database.cursor()
        return cursor

    def _known_tables(self) -> FileTables:
        assert self._tables is not None
        return self._tables

    def _open(self) -> None:
        folder = self._options.folder.resolve(strict=True)
        self._scratch = tempfile.TemporaryDirectory(prefix="tanglai-files-")
        scratch = Path(self._scratch.name).resolve()
        database = duckdb.connect(
            ":memory:",
            config={
                "threads": self._options.threads,
                "memory_limit": self._options.memory,
                "temp_directory": str(scratch / "spill"),
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                "allow_community_extensions": False,
            },
        )
        database.execute("SET GLOBAL TimeZone = 'UTC'")
        # This pass may replace an expression by what it says of the columns within, past the guard of a cell.
        database.execute("SET GLOBAL disabled_optimizers = 'statistics_propagation'")
        # In this order: what may be read, then nothing else, then no way back.
        allowed = ", ".join("'" + f"{path}/".replace("'", "''") + "'" for path in (folder, scratch))
        database.execute(f"SET allowed_directories = [{allowed}]")
        database.execute("SET enable_external_access = false")
        database.execute("SET lock_configuration = true")
        self._tables = FileTables(folder, scratch)
        self._database = database


def _more(count: int, cursor: duckdb.DuckDBPyConnection) -> list[Any]:
    rows: list[Any] = cursor.fetchmany(count)
    return rows


_OTHER_TABLES = "look into several files in one call"


class FilesKind:
    """See `ConnectorKind`."""

    capabilities = Capabilities(predicates=True, nested=False)

    def refusal(self, query: SourceQuery) -> str | None:
        return _OTHER_TABLES if reads_other_tables(query) else None

    def open(self, key: str, options: Mapping[str, Any], environment: Mapping[str, str]) -> FilesConnector:
        return FilesConnector(key, read(FilesOptions, options, environment))
