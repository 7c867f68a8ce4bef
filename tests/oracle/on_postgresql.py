"""In charge of worlds whose sources are PostgreSQL: tables for a random catalogue, and a gateway that reads them."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import asyncpg

from connectors.pool import SourcePool
from connectors.protocol import Arguments, Connector, Row, SourceQuery
from resolvers.limits import Limits
from tanglai.catalogue.model import Resource, Source
from tanglai.catalogue.scalars import ScalarType, to_json
from tests.gateways import World
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


@asynccontextmanager
async def on_postgresql(drawn: Drawn, url: str, pool: SourcePool) -> AsyncIterator[tuple[Drawn, World]]:
    """`drawn` with its resources bound to tables that hold its rows, and the world over them; dropped afterwards."""
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
            rows = drawn.rows[resource.binding.source][resource.binding.table]
            await _fill(connection, resource, rows)
        world = World(drawn.snapshot, drawn.rows, drawn.grants, limits=Limits(rows=10**9))
        heard = HeardSources(pool)
        world.sources = heard  # type: ignore[assignment]
        world.gateway._sources = heard  # type: ignore[assignment]
        yield drawn, world
    finally:
        for namespace in namespaces.values():
            await connection.execute(f'DROP SCHEMA IF EXISTS "{namespace}" CASCADE')
        await connection.close()


async def _fill(connection: Any, resource: Resource, rows: list[Mapping[str, Any]] | list[dict[str, Any]]) -> None:
    columns = {item.column.name: item.type for item in resource.items}
    if resource.binding.handle is not None:
        columns[resource.binding.handle.name] = resource.binding.handle.type
    table = f'"{resource.binding.namespace}"."{resource.binding.table}"'
    declared = ", ".join(f'"{name}" {TYPES[kind]}' for name, kind in columns.items())
    await connection.execute(f"CREATE TABLE {table} ({declared})")
    values = ", ".join(f"${number}::text::{TYPES[kind]}" for number, kind in enumerate(columns.values(), start=1))
    for row in rows:
        texts = [_text(kind, row[name]) for name, kind in columns.items()]
        await connection.execute(f"INSERT INTO {table} VALUES ({values})", *texts)


def _text(kind: ScalarType, value: Any) -> str | None:
    if value is None:
        return None
    if kind is ScalarType.TEXT:
        return str(value)
    plain = to_json(kind, value)
    text: str = plain if isinstance(plain, str) else json.dumps(plain)
    return text
