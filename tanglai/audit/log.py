"""In charge of durable audit records: appended by group commit, so that nothing leaves before its record is on disk."""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from tanglai.audit.records import AuditRecord
from tanglai.catalogue.errors import ErrorCode, TanglaiError

_logger = logging.getLogger(__name__)

QUEUE = 10_000
BATCH = 1_000
PATIENCE_SECONDS = 10.0

_COLUMNS = (
    "request_id text, at timestamptz, department text, client text, person text, purpose text, operation_name text, "
    "operation_hash text, document_kind text, paths text[], items jsonb, grants text[], rows jsonb, outcome text, "
    "codes text[], duration_us bigint, node text, export text"
)
_NAMES = ", ".join(column.split(" ", 1)[0] for column in _COLUMNS.split(", "))
_INSERT = f"INSERT INTO audit_record ({_NAMES}) SELECT {_NAMES} FROM json_to_recordset($1::json) AS r({_COLUMNS})"
# A commit that does not wait for the disk is no durable record, whatever the database's default is.
_DURABLE = "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"

# The database took the statement and refused a value: nothing was written, and the other records are innocent.
_REFUSED = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError)


class AuditUnavailable(TanglaiError):
    """The record could not be made durable, so nothing may be answered."""

    def __init__(self) -> None:
        super().__init__(ErrorCode.AUDIT_UNAVAILABLE, "the audit log cannot be written")


@dataclass(slots=True)
class _Entry:
    row: bytes
    written: asyncio.Future[None]


class AuditLog:
    """Writes records through one connection of `pool` that it keeps; what waits is written in one statement.

    To be made inside the event loop.
    At most `queue` records wait; further callers wait for room. `patience` in seconds bounds the wait for room, for a
    connection and for a statement. `written`, `refused` and `waiting` count records, for the metrics.
    """

    def __init__(
        self, pool: asyncpg.Pool, *, queue: int = QUEUE, batch: int = BATCH, patience: float = PATIENCE_SECONDS
    ) -> None:
        self._pool, self._batch, self._patience = pool, batch, patience
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Semaphore(queue)
        self._entries: deque[_Entry] = deque()
        self._writer: asyncio.Task[None] | None = None
        self._connection: Any = None
        self._closed = False
        self.written = 0
        self.refused = 0

    @property
    def waiting(self) -> int:
        return len(self._entries)

    async def append(self, record: AuditRecord) -> None:
        """Return when `record` is durable; raises AuditUnavailable when it is not, or nobody knows.

        INVARIANT: a record that has room is written even when its caller is cancelled. After AuditUnavailable the
        record may still be there: the log may say more than was answered, never less.
        """
        if self._closed:
            raise AuditUnavailable
        row = record.to_json()
        if self._room.locked():
            await self._wait_for_room()
        else:
            await self._room.acquire()
        entry = _Entry(row, self._loop.create_future())
        self._entries.append(entry)
        if self._writer is None:
            self._writer = self._loop.create_task(self._write_all(), name="audit-writer")
        await entry.written

    async def _wait_for_room(self) -> None:
        try:
            await asyncio.wait_for(self._room.acquire(), self._patience)
        except TimeoutError:
            self.refused += 1
            raise AuditUnavailable from None

    async def close(self) -> None:
        """Write what waits, give the connection back, refuse what comes later."""
        self._closed = True
        if self._writer is not None:
            await asyncio.wait([self._writer])
        await self._drop(broken=False)

    async def _write_all(self) -> None:
        try:
            while self._entries:
                batch = [self._entries.popleft() for _ in range(min(len(self._entries), self._batch))]
                try:
                    await self._write(batch)
                finally:
                    for entry in batch:
                        self._room.release()
                        _settle(entry, failed=True)  # those that are not settled yet
        finally:
            self._writer = None

    async def _write(self, batch: Sequence[_Entry]) -> None:
        try:
            await self._insert(batch)
        except _REFUSED:
            if len(batch) > 1:
                for entry in batch:
                    await self._write([entry])
                return
            self.refused += 1
        except Exception as error:
            # Whatever went wrong, the answers stay here and the next batch gets a new connection. The driver's words
            # may quote a value, so only the kind of failure is logged.
            _logger.error("%d audit records could not be written: %s", len(batch), type(error).__name__)
            self.refused += len(batch)
            await self._drop(broken=True)
        else:
            self.written += len(batch)
            for entry in batch:
                _settle(entry, failed=False)

    async def _insert(self, batch: Sequence[_Entry]) -> None:
        if self._connection is not None and _lost(self._connection):
            await self._drop(broken=True)
        if self._connection is None:
            connection = await self._pool.acquire(timeout=self._patience)
            self._connection = connection
            await connection.execute(_DURABLE, timeout=self._patience)
        rows = b"[" + b",".join(entry.row for entry in batch) + b"]"
        await self._connection.execute(_INSERT, rows.decode(), timeout=self._patience)

    async def _drop(self, *, broken: bool) -> None:
        """Give the connection back: the pool resets its session, and makes a new one for a broken one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            if broken and not _lost(connection):
                connection.terminate()
            await self._pool.release(connection)


def _lost(connection: Any) -> bool:
    try:
        return bool(connection.is_closed())
    except asyncpg.InterfaceError:  # the pool took it back when the server went away
        return True


def _settle(entry: _Entry, *, failed: bool) -> None:
    if entry.written.done():
        return  # the caller was cancelled, or it is settled
    if failed:
        entry.written.set_exception(AuditUnavailable())
    else:
        entry.written.set_result(None)
