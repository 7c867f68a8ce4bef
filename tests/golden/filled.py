"""In charge of the golden catalogue on PostgreSQL: filled tables, and a server that tells what reached them."""

import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import asyncpg

from connectors.pool import SourcePool
from tanglai.catalogue.model import Grant, Snapshot
from tanglai.storage.embedded import EmbeddedPostgres
from tests.catalogues import population
from tests.gateways import World

RESIDENTS, HOUSEHOLDS, VEHICLES = 30_000, 10_000, 15_000
TABLES = {
    "main": f"""
        CREATE TABLE household (handle bigint PRIMARY KEY, number text UNIQUE, address text);
        INSERT INTO household SELECT n, 'h' || n, 'street ' || n FROM generate_series(1, {HOUSEHOLDS}) n;
        CREATE TABLE resident (
            handle bigint PRIMARY KEY, name text, id_number text UNIQUE, passport text, birth_date date, sex text,
            phone text, height integer, serial bigint, income numeric(12, 2), score double precision, married boolean,
            wakes time, updated timestamptz, home jsonb, file text, household_id text
        );
        INSERT INTO resident SELECT n, 'name ' || n % 6000, 'id' || n, 'secret' || n,
            date '1930-01-01' + n * 7919 % 33000, (1 + n / 7 % 2)::text, (13800000000 + n * 7919 % 999983)::text,
            120 + n * 7919 % 90, n * 1000000000000, (n * 7919 % 100000) / 7.0, n * 7919 % 1000 / 7.0, n % 3 = 0,
            time '04:00' + n % 40000 * interval '1 s', timestamptz '2026-01-01 00:00+00' - n * interval '1 h',
            NULL, 'f' || n, 'h' || n % {HOUSEHOLDS} FROM generate_series(1, {RESIDENTS}) n;
        CREATE INDEX resident_name ON resident (name, birth_date);
        CREATE INDEX resident_birth_date ON resident (birth_date);
        CREATE INDEX resident_phone ON resident (phone);
        CREATE INDEX resident_height ON resident (height);
        CREATE INDEX resident_income ON resident (income);
        CREATE INDEX resident_updated ON resident (updated);
        CREATE INDEX resident_household ON resident (household_id);
        CREATE INDEX resident_serial ON resident (serial);
        CREATE INDEX resident_score ON resident (score);
        CREATE TABLE inspection (site jsonb);
        INSERT INTO inspection SELECT '{{"type": "Point", "coordinates": [1, 2]}}' FROM generate_series(1, 10);
        VACUUM ANALYZE
    """,
    "traffic": f"""
        CREATE TABLE vehicle (handle bigint PRIMARY KEY, plate text UNIQUE, owner text);
        INSERT INTO vehicle SELECT n, 'P' || n, 'id' || n * 7919 % {RESIDENTS} FROM generate_series(1, {VEHICLES}) n;
        CREATE INDEX vehicle_owner ON vehicle (owner);
        VACUUM ANALYZE
    """,
}

_UNTIL_SETTLED = 6


@dataclass(frozen=True)
class Ran:
    """A statement as it reached a database, and its parameters as literals."""

    database: str
    text: str
    parameters: tuple[str, ...]


@dataclass(frozen=True)
class Looked:
    """What PostgreSQL thinks of a statement: its estimate of the cost, and the nodes of its plan."""

    cost: float
    nodes: list[dict[str, Any]]

    @property
    def scanned(self) -> set[str]:
        """Tables that are read from end to end."""
        return {node["Relation Name"] for node in self.nodes if node["Node Type"] == "Seq Scan"}

    @property
    def touched(self) -> int:
        """Rows of tables that were looked at, those included that did not pass; of a statement that was run."""
        reads = [node for node in self.nodes if "Relation Name" in node and "Actual Rows" in node]
        removed = ("Rows Removed by Filter", "Rows Removed by Index Recheck")
        return sum(
            int(node["Actual Loops"] * (node["Actual Rows"] + sum(node.get(name, 0) for name in removed)))
            for node in reads
        )

    @property
    def indexes(self) -> set[str]:
        return {node["Index Name"] for node in self.nodes if "Index Name" in node}


class Logged:
    """A PostgreSQL server whose log has every statement: what it was really asked, whoever asked and however."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        self.server = server
        self._log = Path(server.data_dir / "server.log")
        self._read = 0

    def forget(self) -> None:
        """What came until now is not told any more."""
        self._read = self._log.stat().st_size

    def ran(self) -> list[Ran]:
        """The statements since then that read tables of schema `public`, in their order."""
        with self._log.open("rb") as log:
            log.seek(self._read)
            entries = re.split(r"^~", log.read().decode(), flags=re.MULTILINE)
        found: list[Ran] = []
        for entry, detail in zip(entries, [*entries[1:], ""], strict=True):
            executed = re.match(r"(\w+) LOG:  (?:execute [^:]+|statement): (.*)", entry, re.DOTALL)
            if executed is None or re.search(r'FROM\s+"public"\.', executed[2]) is None:
                continue
            given = re.match(r"\w+ DETAIL:  Parameters: (.*)", detail, re.DOTALL)
            literals = tuple(re.findall(r"\$\d+ = (NULL|'(?:[^']|'')*')", given[1])) if given is not None else ()
            found.append(Ran(executed[1], executed[2].strip(), literals))
        return found

    async def looked_at(self, ran: Ran, *, run: bool = False) -> Looked:
        """The plan that a connection has for a statement once it ran it often enough to settle for one.

        `run`: it is run too, so that the nodes tell how many rows they had.
        """
        connection = await asyncpg.connect(self.server.url(ran.database))
        try:
            await connection.execute("SET log_statement = none; SET jit = off; SET DateStyle = 'ISO, YMD'")
            await connection.execute(f"PREPARE counted AS {ran.text}")
            given = ", ".join(ran.parameters)
            execute = f"EXECUTE counted({given})" if given else "EXECUTE counted"
            for _ in range(_UNTIL_SETTLED):
                await connection.execute(f"EXPLAIN {execute}")
            options = "ANALYZE, TIMING OFF, FORMAT JSON" if run else "FORMAT JSON"
            (plan,) = json.loads(await connection.fetchval(f"EXPLAIN ({options}) {execute}"))
        finally:
            await connection.close()
        return Looked(plan["Plan"]["Total Cost"], list(_nodes(plan["Plan"])))


def _nodes(plan: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    yield dict(plan)
    for inner in plan.get("Plans", ()):
        yield from _nodes(inner)


@contextmanager
def logged(folder: Path) -> Iterator[Logged]:
    """A server of its own in `folder`."""
    settings = {
        "fsync": "off",
        "log_statement": "all",
        "log_min_duration_statement": "-1",
        "log_line_prefix": "~%d ",
        "log_parameter_max_length": "-1",
    }
    with EmbeddedPostgres(folder, settings=settings) as server:
        yield Logged(server)


class Filled:
    """The golden catalogue over filled tables."""

    def __init__(self, server: Logged, snapshot: Snapshot, pool: SourcePool) -> None:
        self.server = server
        self.snapshot = snapshot
        self._pool = pool

    def world(self, grants: Sequence[Grant]) -> World:
        """The catalogue under `grants`."""
        world = World(self.snapshot, {}, grants)
        world.gateway._sources = self._pool
        return world


@asynccontextmanager
async def filled(server: Logged) -> AsyncIterator[Filled]:
    """The tables of both sources, each in a database of its own."""
    snapshot = population()
    sources = dict(snapshot.sources)
    for key, tables in TABLES.items():
        server.server.create_database(key)
        url = server.server.url(key)
        connection = await asyncpg.connect(url)
        await connection.execute("SET log_statement = none")
        for statement in tables.split(";"):
            await connection.execute(statement)
        await connection.close()
        sources[key] = replace(sources[key], kind="postgresql", options={"dsn": url})
    pool = SourcePool({})
    try:
        yield Filled(server, replace(snapshot, sources=sources), pool)
    finally:
        await pool.close()
