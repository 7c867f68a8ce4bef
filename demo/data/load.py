"""In charge of putting the generated rows where departments keep them: databases, Parquet, CSV, an interface."""

import asyncio
import csv
import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

import asyncpg
import duckdb
import orjson

from demo.data.world import World

CSV_ENCODING = "gb18030"
VACCINATIONS_CSV = "vaccinations.csv"
LICENCES_PARQUET = "licences.parquet"
VEHICLES_JSON = "vehicles.jsonl"
_AFTER_LOADING = "-- after loading\n"


@dataclass(frozen=True, slots=True)
class Database:
    """A department's database: its SQL is `sql/<name>.sql`; `tables` maps a table to the world's rows for it."""

    name: str
    namespace: str
    tables: Mapping[str, str]

    @property
    def reader(self) -> str:
        """The role under which the platform reads it, which can do nothing else."""
        return f"{self.name}_reader"


DATABASES = (
    Database("population", "population", {"household": "households", "resident": "residents"}),
    Database("market", "market", {"company": "companies"}),
    Database("social_security", "insurance", {"contribution": "contributions"}),
    Database(
        "civil_affairs",
        "civil",
        {
            "marriage": "marriages",
            "allowance": "allowances",
            "adoption": "adoptions",
            "social_organisation": "social_organisations",
        },
    ),
    Database("taxation", "tax", {"tax_record": "tax_records"}),
    Database("natural_resources", "land", {"parcel": "parcels"}),
    Database("health", "health", {"disease_case": "disease_cases"}),
)


def version() -> str:
    """A digest of everything that makes the data: other data are loaded where it changes."""
    total = sha256()
    folder = Path(__file__).parent
    for path in sorted([*folder.glob("*.py"), *folder.glob("sql/*.sql")]):
        total.update(path.name.encode() + path.read_bytes())
    return total.hexdigest()


def load_all(world: World, url: str, passwords: Mapping[str, str], folder: Path) -> None:
    """Everything: the databases in the server at `url` (a superuser's URL, any database), the files below `folder`.

    `passwords` gives one to each database's reader. Databases that exist are dropped first.
    """
    with _no_garbage_collection():
        asyncio.run(_load_databases(world, url, passwords))
        write_files(world, folder)


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    # A million new tuples, none of them garbage: the collector would walk all of them again and again.
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


async def _load_databases(world: World, url: str, passwords: Mapping[str, str]) -> None:
    # The server creates databases and builds indexes while rows are generated here.
    created = [asyncio.create_task(_create(url, each, passwords[each.name])) for each in DATABASES]
    finished: list[asyncio.Task[None]] = []
    try:
        for database, ready in zip(DATABASES, created, strict=True):
            rows = {table: await asyncio.to_thread(world.rows, name) for table, name in database.tables.items()}
            await ready
            connection = await asyncpg.connect(url, database=database.name)
            before, after = _sql(database)
            await connection.execute(before)
            for table, records in rows.items():
                await connection.copy_records_to_table(table, schema_name=database.namespace, records=records)
            finished.append(asyncio.create_task(_finish(connection, database, after)))
        await asyncio.gather(*finished)
    finally:
        for task in (*created, *finished):
            task.cancel()


def _sql(database: Database) -> tuple[str, str]:
    text = files("demo.data").joinpath(f"sql/{database.name}.sql").read_text(encoding="utf-8")
    before, _, after = text.partition(_AFTER_LOADING)
    return before, after


async def _create(url: str, database: Database, password: str) -> None:
    name, reader = database.name, database.reader
    administrator = await asyncpg.connect(url)
    try:
        literal = await administrator.fetchval("SELECT quote_literal($1::text)", password)
        for statement in (
            f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)',
            f'DROP ROLE IF EXISTS "{reader}"',
            f'CREATE ROLE "{reader}" LOGIN PASSWORD {literal}',
            f'CREATE DATABASE "{name}" TEMPLATE template0 STRATEGY file_copy',
            f'REVOKE ALL ON DATABASE "{name}" FROM PUBLIC',
            f'GRANT CONNECT ON DATABASE "{name}" TO "{reader}"',
            f'ALTER ROLE "{reader}" SET default_transaction_read_only = on',
        ):
            await administrator.execute(statement)
    finally:
        await administrator.close()


async def _finish(connection: "asyncpg.Connection[Any]", database: Database, after: str) -> None:
    tables = ", ".join(f"{database.namespace}.{table}" for table in database.tables)
    try:
        await connection.execute(after)
        await connection.execute(
            f'GRANT USAGE ON SCHEMA {database.namespace} TO "{database.reader}";'
            f'GRANT SELECT ON ALL TABLES IN SCHEMA {database.namespace} TO "{database.reader}"'
        )
        await connection.execute(f"ANALYZE {tables}")
    finally:
        await connection.close()


def write_files(world: World, folder: Path) -> None:
    """`health/vaccinations.csv` (GB18030), `market-regulation/licences.parquet`, `public-security/vehicles.jsonl`."""
    health, market, police = (folder / name for name in ("health", "market-regulation", "public-security"))
    for place in (health, market, police):
        place.mkdir(parents=True, exist_ok=True)
    _write_csv(health / VACCINATIONS_CSV, world.vaccinations, CSV_ENCODING)
    _write_parquet(market / LICENCES_PARQUET, world.licences)
    (police / VEHICLES_JSON).write_bytes(b"".join(orjson.dumps(camel(v)) + b"\n" for v in world.vehicles))


def _write_csv(path: Path, rows: Sequence[Any], encoding: str) -> None:
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file)
        writer.writerow(rows[0]._fields)
        writer.writerows(rows)


def _write_parquet(path: Path, rows: Sequence[Any]) -> None:
    """By way of a CSV, which DuckDB reads with the types of the Licence rows."""
    plain = path.with_suffix(".csv")
    _write_csv(plain, rows, "utf-8")
    types = "{'row_handle': 'BIGINT', 'issued_on': 'DATE', 'valid_to': 'DATE'}"
    read = f"SELECT * FROM read_csv($source, header = true, all_varchar = false, types = {types}, nullstr = '')"
    with duckdb.connect() as database:
        database.execute(
            f"COPY ({read}) TO $target (FORMAT parquet, KV_METADATA {{synthetic: 'true', note: '合成数据，仅供演示'}})",
            {"source": str(plain), "target": str(path)},
        )
    plain.unlink()


def camel(row: Any) -> dict[str, Any]:
    """A row as a JSON object: keys in camel case, decimals and dates as texts."""
    return {_camel(name): _json(value) for name, value in zip(row._fields, row, strict=True)}


@cache
def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def _json(value: Any) -> Any:
    return str(value) if isinstance(value, Decimal | date) else value
