"""One open source of each kind, all with the same rows, as the suite asks them."""

import asyncio
import csv
import io
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import duckdb

from connectors import local
from connectors.evaluate import Record, Tables
from connectors.files import FilesKind
from connectors.http import HttpKind
from connectors.postgresql import PostgreSQLKind
from connectors.protocol import (
    Arguments,
    Bounds,
    Capabilities,
    Connector,
    JsonNode,
    JsonObject,
    JsonOutput,
    JsonRows,
    JsonText,
    Order,
    Output,
    RawOutput,
    Row,
    SourceQuery,
    TableStructure,
)
from tanglai.catalogue.expressions import Column, Exists, Expression, rewrite
from tanglai.catalogue.scalars import ScalarType, to_json
from tests.contract.dataset import AMOUNT, CARS, CARS_COLUMNS, PEOPLE, PEOPLE_COLUMNS, PRICE, SHAPE

TABLES: Mapping[str, tuple[Sequence[Column], Sequence[Record]]] = {
    "people": (PEOPLE_COLUMNS, PEOPLE),
    "cars": (CARS_COLUMNS, CARS),
}
REFERENCE: Tables = {(None, name): rows for name, (_, rows) in TABLES.items()}
SECONDS = 20.0


@dataclass(frozen=True)
class Subject:
    """A source under test. `tables` maps the suite's table names to the source's own."""

    kind: str
    connector: Connector
    namespace: str | None = None
    tables: Mapping[str, str] = field(default_factory=lambda: {name: name for name in TABLES})
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def nested(self) -> bool:
        return self.connector.capabilities.nested

    async def fetch(self, query: SourceQuery, arguments: Arguments | None = None) -> list[Row]:
        """The answer of `query`, which names tables as the suite does."""
        return await self.connector.fetch(self.own(query), arguments or {}, timeout=SECONDS)

    def own(self, query: SourceQuery) -> SourceQuery:
        """`query` with the source's own table names."""
        return replace(
            query,
            namespace=self.namespace,
            table=self.tables[query.table],
            outputs=tuple(self._output(output) for output in query.outputs),
            visible=self._expression(query.visible),
            where=self._expression(query.where),
            order=tuple(self._order(entry) for entry in query.order),
            group_by=None if query.group_by is None else tuple(self._expression(key) for key in query.group_by),
            options=MappingProxyType(dict(self.options.get(query.table, {}))),
            max_rows=1000,
        )

    def _expression(self, expression: Expression) -> Expression:
        def change(node: Expression) -> Expression | None:
            if not isinstance(node, Exists):
                return None
            own = self._expression(node.where)
            return replace(node, namespace=self.namespace, table=self.tables[node.table], where=own)

        return rewrite(expression, change)

    def _order(self, entry: Order) -> Order:
        return Order(self._expression(entry.expression), entry.descending)

    def _output(self, output: Output) -> Output:
        if isinstance(output, RawOutput):
            return RawOutput(self._expression(output.expression))
        own = self._node(output.object)
        assert isinstance(own, JsonObject)
        return JsonOutput(own)

    def _node(self, node: JsonNode) -> JsonNode:
        if isinstance(node, JsonText):
            return node
        if isinstance(node, JsonObject):
            return JsonObject(tuple((name, self._node(part)) for name, part in node.fields))
        if isinstance(node, JsonRows):
            return replace(
                node,
                namespace=self.namespace,
                table=self.tables[node.table],
                visible=self._expression(node.visible),
                where=self._expression(node.where),
                order=tuple(self._order(entry) for entry in node.order),
                element=self._node(node.element),
                guard=self._expression(node.guard),
            )
        return self._expression(node)


class MemoryConnector:
    """The reference evaluator as a source."""

    bounds = Bounds(8)
    capabilities = Capabilities(predicates=True, nested=True)

    async def fetch(self, query: SourceQuery, arguments: Arguments, *, timeout: float) -> list[Row]:
        return local.run(query, REFERENCE[query.namespace, query.table], arguments, REFERENCE)

    async def introspect(self) -> list[TableStructure]:
        return []

    async def close(self) -> None:
        return None


@asynccontextmanager
async def memory() -> AsyncIterator[Subject]:
    yield Subject("memory", MemoryConnector())


@asynccontextmanager
async def postgresql(url: str) -> AsyncIterator[Subject]:
    connection = await asyncpg.connect(url)
    await without_infinity(connection)
    try:
        for name, (columns, rows) in TABLES.items():
            await postgresql_table(connection, name, columns, rows)
    finally:
        await connection.close()
    connector = PostgreSQLKind().open("pg", {"dsn": url, "pool": {"max": 3}}, {})
    try:
        yield Subject("postgresql", connector, namespace="registry")
    finally:
        await connector.close()


_POSTGRESQL_TYPES = {
    ScalarType.TEXT: "text",
    ScalarType.BOOLEAN: "boolean",
    ScalarType.INTEGER: "integer",
    ScalarType.LONG: "bigint",
    ScalarType.DECIMAL: "numeric(12,2)",
    ScalarType.FLOAT: "double precision",
    ScalarType.DATE: "date",
    ScalarType.TIME: "time",
    ScalarType.DATETIME: "timestamptz",
    ScalarType.GEOMETRY: "jsonb",
}


@asynccontextmanager
async def csv_files(folder: Path) -> AsyncIterator[Subject]:
    options: dict[str, Mapping[str, Any]] = {}
    for name, (columns, rows) in TABLES.items():
        (folder / f"{name}.csv").write_bytes(csv_text(columns, rows).encode("gb18030"))
        options[name] = {"encoding": "gb18030", "decimals": DECIMALS[name]}
    connector = FilesKind().open("csv", {"folder": str(folder)}, {})
    try:
        yield Subject("csv", connector, tables={name: f"{name}.csv" for name in TABLES}, options=options)
    finally:
        await connector.close()


@asynccontextmanager
async def parquet_files(folder: Path) -> AsyncIterator[Subject]:
    for name, (columns, rows) in TABLES.items():
        half = len(rows) // 2
        write_parquet(folder / f"{name}-1.parquet", columns, rows[:half])
        write_parquet(folder / f"{name}-2.parquet", columns, rows[half:])
    connector = FilesKind().open("parquet", {"folder": str(folder)}, {})
    try:
        yield Subject("parquet", connector, tables={name: f"{name}-*.parquet" for name in TABLES})
    finally:
        await connector.close()


@asynccontextmanager
async def interface(folder: Path) -> AsyncIterator[str]:
    """The URL of `tests/contract/endpoint.py`, running as a process of its own."""
    data = folder / "tables.json"
    tables = {
        name: [{column.name: _http_value(column, row[column.name]) for column in columns} for row in rows]
        for name, (columns, rows) in TABLES.items()
    }
    data.write_text(json.dumps(tables))
    program = Path(__file__).with_name("endpoint.py")
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(program), str(data), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(await process.stdout.readline())}"
    finally:
        process.stdin.close()
        await process.wait()


def _http_value(column: Column, value: Any) -> Any:
    if value is not None and column.timezone is not None:
        return local_time(column, value).isoformat()
    return to_json(column.type, value)


@asynccontextmanager
async def http(url: str) -> AsyncIterator[Subject]:
    paging = {"kind": "page", "size": 5, "total": "total"}
    filters = {"id": {"parameter": "ids", "op": "in", "most": 2}, "name": {"parameter": "name"}}
    options = {
        "people": {"path": "paged/people", "items": "data.items", "paging": paging, "filters": filters},
        "cars": {"path": "cursor/cars", "items": "items", "paging": {"kind": "cursor", "next": "page.next"}},
    }
    connector = HttpKind().open("http", {"url": url, "token": "right"}, {})
    try:
        yield Subject("http", connector, options=options)
    finally:
        await connector.close()


async def without_infinity(connection: Any) -> None:
    """Makes the driver send the last day and moment as what they are, in texts, not as infinity."""
    for name in ("date", "timestamp", "timestamptz"):
        await connection.set_type_codec(name, schema="pg_catalog", encoder=str, decoder=str, format="text")


async def postgresql_table(connection: Any, name: str, columns: Sequence[Column], rows: Sequence[Record]) -> None:
    """Makes and fills table `registry.<name>`."""
    types = ["timestamp" if column.timezone is not None else _POSTGRESQL_TYPES[column.type] for column in columns]
    defined = ", ".join(f'"{column.name}" {kind}' for column, kind in zip(columns, types, strict=True))
    await connection.execute(f'CREATE SCHEMA IF NOT EXISTS registry; CREATE TABLE registry."{name}" ({defined})')
    places = ", ".join(f"${index + 1}" for index in range(len(columns)))
    values = [tuple(_sent(column, row[column.name]) for column in columns) for row in rows]
    await connection.executemany(f'INSERT INTO registry."{name}" VALUES ({places})', values)
    for column in columns:
        if column.type.comparable:
            await connection.execute(f'CREATE INDEX ON registry."{name}" ("{column.name}")')


def _sent(column: Column, value: Any) -> Any:
    if value is None:
        return None
    if column.type is ScalarType.GEOMETRY:
        return json.dumps(value)
    return local_time(column, value) if column.timezone is not None else value


def local_time(column: Column, value: datetime) -> datetime:
    """`value` as the clocks of the column's zone showed it."""
    assert column.timezone is not None
    return value.astimezone(ZoneInfo(column.timezone)).replace(tzinfo=None)


def csv_text(columns: Sequence[Column], rows: Sequence[Record]) -> str:
    """The rows as a CSV file: texts quoted, so that an empty one is not null."""
    file = io.StringIO()
    csv.writer(file).writerow([column.name for column in columns])
    for row in rows:
        file.write(",".join(_csv_field(column, row[column.name]) for column in columns) + "\r\n")
    return file.getvalue()


def _csv_field(column: Column, value: Any) -> str:
    if value is None:
        return ""
    if column.timezone is not None:
        value = local_time(column, value).strftime("%Y-%m-%d %H:%M:%S.%f").rjust(26, "0")
    elif column.type is ScalarType.GEOMETRY:
        value = json.dumps(value)
    else:
        value = to_json(column.type, value)
    return '"' + str(value).replace('"', '""') + '"'


def write_parquet(path: Path, columns: Sequence[Column], rows: Sequence[Record]) -> None:
    """The rows as a typed Parquet file."""
    types = [_DUCKDB_TYPES[column.type] if column.timezone is None else "TIMESTAMP" for column in columns]
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        defined = ", ".join(f'"{column.name}" {kind}' for column, kind in zip(columns, types, strict=True))
        connection.execute(f"CREATE TABLE t ({defined})")
        places = ", ".join(f"CAST(? AS {kind})" for kind in types)
        for row in rows:
            values = [_parquet_value(column, row[column.name]) for column in columns]
            connection.execute(f"INSERT INTO t VALUES ({places})", values)
        connection.execute(f"COPY t TO '{path}' (FORMAT parquet)")


_DUCKDB_TYPES = {
    ScalarType.TEXT: "VARCHAR",
    ScalarType.BOOLEAN: "BOOLEAN",
    ScalarType.INTEGER: "INTEGER",
    ScalarType.LONG: "BIGINT",
    ScalarType.DECIMAL: "DECIMAL(12,2)",
    ScalarType.FLOAT: "DOUBLE",
    ScalarType.DATE: "DATE",
    ScalarType.TIME: "TIME",
    ScalarType.DATETIME: "TIMESTAMPTZ",
    ScalarType.GEOMETRY: "VARCHAR",
}


def _parquet_value(column: Column, value: Any) -> Any:
    if value is None:
        return None
    if column.timezone is not None:
        return local_time(column, value)
    if column.type is ScalarType.DATETIME:
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f+00").rjust(29, "0")
    return json.dumps(value) if column.type is ScalarType.GEOMETRY else value


Make = Callable[..., Any]
DECIMALS = {"people": {AMOUNT.name: 2}, "cars": {PRICE.name: 2}}
SHAPELESS = tuple(column for column in PEOPLE_COLUMNS if column is not SHAPE)
