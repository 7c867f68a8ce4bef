"""In charge of the two sources: a PostgreSQL server with the databases `left` and `right`, kept between runs."""

import asyncio
import contextlib
import json
import os
import secrets
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import asyncpg

from benchmarks.speed.contract import POOL
from benchmarks.speed.processes import cpu_seconds
from tanglai.storage.embedded import DataFolderInUse, EmbeddedPostgres

STATE = Path(".bench")
"""Folder, ignored by git, of what is kept between runs."""

RESIDENTS, VEHICLES = 1_000_000, 1_500_000
READER = "bench_reader"
_ROWS = Path(__file__).with_name("rows.sql")
_VEHICLES_MARK = "-- vehicles\n"
_RESIDENTS_MARK = "-- residents\n"
# Generated rows that are only read: nothing of them has to survive a crash. No plan depends on how busy the machine is.
_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "shared_buffers": "1GB",
    "work_mem": "32MB",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "4GB",
    "max_connections": "200",
    "max_parallel_workers_per_gather": "0",
}
_PLATFORM_SETTINGS = {"max_connections": "200"}


LINKED = """
ALTER TABLE traffic.vehicles
    ADD FOREIGN KEY (owner_id_number) REFERENCES population.residents (id_number)
"""
"""What one database with both tables has beside: the relation, as a foreign key."""


def statements(residents: int, vehicles: int) -> tuple[str, str, str]:
    """SQL of the functions that make rows, of so many residents, of so many vehicles."""
    text = _ROWS.read_text().replace(":residents", str(residents)).replace(":vehicles", str(vehicles))
    base, _, rest = text.partition(_RESIDENTS_MARK)
    first, _, second = rest.partition(_VEHICLES_MARK)
    return base, first, second


class Servers:
    """The server of the sources and the one of the platform, below `state`; rows are made where they are not there.

    The platform's commits are durable: `fsync` and `synchronous_commit` are on, its data lie on disk. Raises
    EmbeddedPostgresError.
    """

    def __init__(self, state: Path = STATE, *, residents: int = RESIDENTS, vehicles: int = VEHICLES) -> None:
        self.state = state.absolute()
        self.residents, self.vehicles = residents, vehicles
        self.sources = EmbeddedPostgres(self.state / "sources", settings=_SETTINGS)
        self.platform = EmbeddedPostgres(self.state / "platform", settings=_PLATFORM_SETTINGS)

    def __enter__(self) -> Self:
        self.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            for server in (self.sources, self.platform):
                # Where another process holds them (`benchmarks.speed.hold`), they are used as they are.
                with contextlib.suppress(DataFolderInUse):
                    server.start()
            self._fill()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop both servers."""
        self.platform.stop()
        self.sources.stop()

    def reader_url(self, database: str) -> str:
        """URL of `left` or `right` for a role that reads its tables and can do nothing else."""
        place = self.sources.url(database).rpartition("@")[2]
        return f"postgresql://{READER}:{quote(self._password(), safe='')}@{place}"

    def environment(self) -> dict[str, str]:
        """What every subject reads: BENCH_LEFT, BENCH_RIGHT and BENCH_POOL."""
        return {
            "BENCH_LEFT": self.reader_url("left"),
            "BENCH_RIGHT": self.reader_url("right"),
            "BENCH_POOL": str(POOL),
        }

    def cpu_seconds(self) -> tuple[float, float]:
        """CPU seconds so far of the sources' server and of the platform's, their sessions' included."""
        return _tree_seconds(self.sources), _tree_seconds(self.platform)

    def _password(self) -> str:
        path = self.state / "reader.json"
        if not path.exists():
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                json.dump(secrets.token_urlsafe(24), file)
        return str(json.loads(path.read_text()))

    def _fill(self) -> None:
        mark, wanted = self.state / "rows-version", self._version()
        if mark.exists() and mark.read_text() == wanted:
            return
        mark.unlink(missing_ok=True)
        print("making the rows of the sources, once", flush=True)
        asyncio.run(self._make())
        mark.write_text(wanted)

    def _version(self) -> str:
        parts = (_ROWS.read_text(), LINKED, str(self.residents), str(self.vehicles))
        return sha256("\0".join(parts).encode()).hexdigest()

    async def _make(self) -> None:
        base, residents, vehicles = statements(self.residents, self.vehicles)
        server = await asyncpg.connect(self.sources.url())
        try:
            password = await server.fetchval("SELECT quote_literal($1::text)", self._password())
            for database in ("left", "right"):
                await server.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')
            await server.execute(f'DROP ROLE IF EXISTS "{READER}"')
            await server.execute(f'CREATE ROLE "{READER}" LOGIN PASSWORD {password}')
            await server.execute(f'ALTER ROLE "{READER}" SET default_transaction_read_only = on')
            for database in ("left", "right"):
                await server.execute(f'CREATE DATABASE "{database}" TEMPLATE template0 STRATEGY file_copy')
        finally:
            await server.close()
        await asyncio.gather(self._load("left", base, residents, vehicles, LINKED), self._load("right", base, vehicles))

    async def _load(self, database: str, *statements: str) -> None:
        connection: asyncpg.Connection[Any] = await asyncpg.connect(self.sources.url(database))
        try:
            for text in statements:
                await connection.execute(text)
            for schema in ("population", "traffic"):
                if await connection.fetchval("SELECT to_regnamespace($1) IS NOT NULL", schema):
                    await connection.execute(f'GRANT USAGE ON SCHEMA {schema} TO "{READER}"')
                    await connection.execute(f'GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO "{READER}"')
            await connection.execute("DROP SCHEMA made CASCADE")
            # Also sets the visibility map, as autovacuum would soon, in the middle of a measurement.
            await connection.execute("VACUUM ANALYZE")
        finally:
            await connection.close()


def _tree_seconds(server: EmbeddedPostgres) -> float:
    """0 where Linux's /proc is not there. What ended sessions used is its supervisor's, so that nothing gets lost."""
    try:
        supervisor = int((server.data_dir / "cluster" / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    except (OSError, ValueError, IndexError):
        return 0.0
    used = (cpu_seconds(pid, ended=pid == supervisor) for pid in (supervisor, *map(int, children)))
    return sum(seconds or 0.0 for seconds in used)
