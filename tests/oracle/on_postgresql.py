"""In charge of worlds whose sources are PostgreSQL: tables for a random catalogue, and a gateway that reads them."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import count
from math import isfinite
from typing import Any

import asyncpg

from connectors.pool import SourcePool
from connectors.protocol import Arguments, Connector, Row, SourceQuery
from tanglai.catalogue.model import Resource, Source
from tanglai.catalogue.scalars import ScalarType, to_json
from tests.gateways import World
from tests.oracle.grounds import LIMITS, Ground, Table
from tests.oracle.worlds import Drawn

TYPES = {
    ScalarType.TEXT: "text",
    ScalarType.BOOLEAN: "boolean",
    ScalarType.INTEGER: "integer",
    ScalarType.LONG: "bigint",
    ScalarType.DECIMAL: "numeric",
    ScalarType.FLOAT: "double precision",
    ScalarType.DATE: "date",
    ScalarType.TIME: "time",
    ScalarType.DATETIME: "timestamptz",
    ScalarType.GEOMETRY: "jsonb",
}
_NUMBERS = count(1)


@dataclass
class Heard:
    """A connector whose calls are written down, with the rows that came back."""

    connector: Connector
    heard: list[tuple[str, dict[str, Any], list[Row]]]

    async def fetch(self, query: SourceQuery, arguments: Arguments, *, timeout: float) -> list[Row]:
        rows = await self.connector.fetch(query, arguments, timeout=timeout)
        self.heard.append((repr(query), dict(arguments), rows))
        return rows


@dataclass
class HeardSources:
    """Stands where a SourcePool stands, in front of one, or of sources in memory."""

    pool: Any
    heard: list[tuple[str, dict[str, Any], list[Row]]] = field(default_factory=list)

    @property
    def calls(self) -> list[Any]:
        return self.heard

    def connector(self, source: Source) -> Heard:
        return Heard(self.pool.connector(source), self.heard)

    def forget(self) -> None:
        self.heard.clear()


@dataclass
class PostgreSQLGround(Ground):
    connection: Any

    async def refill(self, resource: Resource, rows: Table) -> None:
        await self.connection.execute(f'TRUNCATE "{resource.binding.namespace}"."{resource.binding.table}"')
        await _insert(self.connection, resource, rows)


@asynccontextmanager
async def ground_on_postgresql(drawn: Drawn, url: str, pool: SourcePool) -> AsyncIterator[Ground]:
    """`drawn` with its resources bound to tables that hold its rows, and the world over them; dropped afterwards.

    The tables of every other world have an index on each column: statements are written otherwise for them.
    """
    number = next(_NUMBERS)
    namespaces = {key: f"x{number} {key}" for key in drawn.snapshot.sources}
    resources = {
        code: replace(r, binding=replace(r.binding, namespace=namespaces[r.binding.source]))
        for code, r in drawn.snapshot.resources.items()
    }
    sources = {key: replace(source, options={"dsn": url}) for key, source in drawn.snapshot.sources.items()}
    drawn = replace(drawn, snapshot=replace(drawn.snapshot, resources=resources, sources=sources))
    connection = await asyncpg.connect(url)
    try:
        for namespace in namespaces.values():
            await connection.execute(f'CREATE SCHEMA "{namespace}"')
        for resource in resources.values():
            await _create(connection, resource, indexed=number % 2 == 1)
            await _insert(connection, resource, drawn.rows[resource.binding.source][resource.binding.table])
        yield PostgreSQLGround(drawn, over(drawn, pool), connection)
    finally:
        for namespace in namespaces.values():
            await connection.execute(f'DROP SCHEMA IF EXISTS "{namespace}" CASCADE')
        await connection.close()


@asynccontextmanager
async def on_postgresql(drawn: Drawn, url: str, pool: SourcePool) -> AsyncIterator[tuple[Drawn, World]]:
    """`ground_on_postgresql` for those who change nothing."""
    async with ground_on_postgresql(drawn, url, pool) as ground:
        yield ground.drawn, ground.world


def over(drawn: Drawn, pool: SourcePool) -> World:
    """A world whose gateway reads real sources, each call written down."""
    world = World(drawn.snapshot, drawn.rows, drawn.grants, limits=LIMITS)
    heard = HeardSources(pool)
    world.sources = heard  # type: ignore[assignment]
    world.gateway._sources = heard  # type: ignore[assignment]
    return world


def columns_of(resource: Resource) -> dict[str, ScalarType]:
    """The columns of a resource's table, the handle's last."""
    columns = {item.column.name: item.type for item in resource.items}
    if resource.binding.handle is not None:
        columns[resource.binding.handle.name] = resource.binding.handle.type
    return columns


async def _create(connection: Any, resource: Resource, *, indexed: bool) -> None:
    columns = columns_of(resource)
    table = f'"{resource.binding.namespace}"."{resource.binding.table}"'
    declared = ", ".join(f'"{name}" {TYPES[kind]}' for name, kind in columns.items())
    statements = [f"CREATE TABLE {table} ({declared})"]
    if indexed:
        statements += [f'CREATE INDEX ON {table} ("{name}")' for name, kind in columns.items() if kind.comparable]
    await connection.execute("; ".join(statements))


async def _insert(connection: Any, resource: Resource, rows: Table) -> None:
    columns = columns_of(resource)
    values = ", ".join(f"${number}::text::{TYPES[kind]}" for number, kind in enumerate(columns.values(), start=1))
    texts = [[_text(kind, row[name]) for name, kind in columns.items()] for row in rows]
    table = f'"{resource.binding.namespace}"."{resource.binding.table}"'
    await connection.executemany(f"INSERT INTO {table} VALUES ({values})", texts)


def _text(kind: ScalarType, value: Any) -> str | None:
    if value is None:
        return None
    if kind is ScalarType.TEXT or (isinstance(value, float | Decimal) and not isfinite(value)):
        return str(value)
    plain = to_json(kind, value)
    text: str = plain if isinstance(plain, str) else json.dumps(plain)
    return text
