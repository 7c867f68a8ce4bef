"""In charge of worlds whose sources are CSV or Parquet files, and of rows that such files can hold."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import duckdb

from connectors.pool import SourcePool
from tanglai.catalogue.expressions import Column
from tanglai.catalogue.model import Resource
from tanglai.catalogue.scalars import ScalarType
from tests.contract.subjects import csv_text
from tests.oracle.grounds import Ground, Table
from tests.oracle.on_postgresql import columns_of, over
from tests.oracle.worlds import Drawn

DIGITS = 6
"""Digits behind the point of every decimal column: declared, since a file's decimals are shown alike on every row."""
TYPES = {
    ScalarType.TEXT: "VARCHAR",
    ScalarType.BOOLEAN: "BOOLEAN",
    ScalarType.INTEGER: "INTEGER",
    ScalarType.LONG: "BIGINT",
    ScalarType.DECIMAL: f"DECIMAL(30,{DIGITS})",
    ScalarType.FLOAT: "DOUBLE",
    ScalarType.DATE: "DATE",
    ScalarType.TIME: "TIME",
    ScalarType.DATETIME: "TIMESTAMPTZ",
    ScalarType.GEOMETRY: "VARCHAR",
}
_NUMBERS = count(1)
_WIDE, _NARROW = Decimal("99999999999999999999.99"), Decimal("1E-20")


def fit(kind: ScalarType, value: Any) -> Any:
    """What a file can hold instead of `value`: decimals of DIGITS behind the point and, in a text, 17 before it."""
    if kind is not ScalarType.DECIMAL or value is None:
        return value
    known = {_WIDE: Decimal("99999999999999999.99"), _NARROW: Decimal("0.000002")}
    return known.get(value, value).quantize(Decimal(1).scaleb(-DIGITS))


def fitted(drawn: Drawn) -> Drawn:
    """`drawn` with rows that its sources can hold; what differs still differs."""
    rows: dict[str, dict[str, list[dict[str, Any]]]] = {key: {} for key in drawn.rows}
    for resource in drawn.snapshot.resources.values():
        source, table = resource.binding.source, resource.binding.table
        columns = columns_of(resource)
        rows[source][table] = [
            {name: fit(columns[name], value) for name, value in row.items()} for row in drawn.rows[source][table]
        ]
    return replace(drawn, rows=rows)


@dataclass
class FilesGround(Ground):
    folder: Path

    async def refill(self, resource: Resource, rows: Table) -> None:
        write(self.folder / resource.binding.table, resource, rows)


@asynccontextmanager
async def on_files(drawn: Drawn, folder: Path, suffix: str, pool: SourcePool) -> AsyncIterator[Ground]:
    """`drawn` with its resources bound to files in `folder`, `suffix` being `.csv` or `.parquet`."""
    number = next(_NUMBERS)
    tables = {code: f"x{number} {r.binding.table}{suffix}" for code, r in drawn.snapshot.resources.items()}
    resources = {
        code: replace(r, binding=replace(r.binding, table=tables[code], options=_options(r, suffix)))
        for code, r in drawn.snapshot.resources.items()
    }
    sources = {
        key: replace(source, kind="files", options={"folder": str(folder), "workers": 1, "threads": 1})
        for key, source in drawn.snapshot.sources.items()
    }
    rows: dict[str, dict[str, list[dict[str, Any]]]] = {key: {} for key in drawn.rows}
    for code, resource in drawn.snapshot.resources.items():
        source, table = resource.binding.source, resource.binding.table
        rows[source][tables[code]] = drawn.rows[source][table]
        write(folder / tables[code], resources[code], drawn.rows[source][table])
    snapshot = replace(drawn.snapshot, resources=resources, sources=sources)
    there = replace(drawn, snapshot=snapshot, rows=rows)
    try:
        yield FilesGround(there, over(there, pool), folder)
    finally:
        for table in tables.values():
            (folder / table).unlink(missing_ok=True)


def _options(resource: Resource, suffix: str) -> Mapping[str, Any]:
    decimals = [name for name, kind in columns_of(resource).items() if kind is ScalarType.DECIMAL]
    return {"decimals": dict.fromkeys(decimals, DIGITS)} if suffix == ".csv" else {}


def write(path: Path, resource: Resource, rows: Table) -> None:
    """Writes the file of a resource beside the old one and puts it in its place."""
    columns = [Column(name, kind) for name, kind in columns_of(resource).items()]
    beside = path.with_suffix(".new")
    if path.suffix == ".csv":
        beside.write_bytes(csv_text(columns, rows).encode())
    else:
        _parquet(beside, columns, rows)
    beside.rename(path)


def _parquet(path: Path, columns: Sequence[Column], rows: Table) -> None:
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        defined = ", ".join(f'"{column.name}" {TYPES[column.type]}' for column in columns)
        connection.execute(f"CREATE TABLE t ({defined})")
        places = ", ".join(f"CAST(? AS {TYPES[column.type]})" for column in columns)
        for row in rows:
            connection.execute(f"INSERT INTO t VALUES ({places})", [_sent(c.type, row[c.name]) for c in columns])
        connection.execute(f"COPY t TO '{path}' (FORMAT parquet)")


def _sent(kind: ScalarType, value: Any) -> Any:
    if value is None:
        return None
    if kind is ScalarType.DATETIME:
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f+00").rjust(29, "0")
    return json.dumps(value) if kind is ScalarType.GEOMETRY else value
