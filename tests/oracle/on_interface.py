"""In charge of worlds whose sources are JSON interfaces: a server that filters and pages, and bindings that say how."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import count
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from connectors.pool import SourcePool
from tanglai.catalogue.model import Resource
from tanglai.catalogue.scalars import ScalarType, to_json
from tests.oracle.grounds import Ground, Table
from tests.oracle.on_postgresql import columns_of, over
from tests.oracle.worlds import Drawn

MOST_ROWS = 1000
PAGINGS: tuple[Mapping[str, Any], ...] = (
    {"kind": "none"},
    {"kind": "page", "size": 5, "total": "total"},
    {"kind": "offset", "size": 8},
    {"kind": "cursor", "size": 6, "next": "next", "size_parameter": "limit"},
)
FILTERS: Mapping[str, Mapping[str, Any]] = {
    "列 code": {"parameter": "code", "op": "in", "most": 2, "style": "repeat"},
    "列 ref": {"parameter": "ref"},
}
"""By column; both columns hold texts in every world."""
_NUMBERS = count(1)


class Interface:
    """A server of JSON lists by path, each filtered and paged as its query says. `url` is known inside `async with`."""

    def __init__(self) -> None:
        self.tables: dict[str, list[dict[str, Any]]] = {}
        self.url = ""

    async def __aenter__(self) -> "Interface":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await _head(reader):
                body = json.dumps(self.answer(head.split(b" ")[1].decode())).encode()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
                writer.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    def answer(self, target: str) -> dict[str, Any]:
        """What a GET of `target` gives."""
        parts = urlsplit(target)
        asked = parse_qs(parts.query, keep_blank_values=True)
        rows = self.tables[unquote(parts.path).lstrip("/")]
        for column, filter_ in FILTERS.items():
            if filter_["parameter"] in asked:
                rows = [row for row in rows if row["values"][column] in asked[filter_["parameter"]]]
        size = int(asked["size" if "size" in asked else "limit"][0]) if {"size", "limit"} & set(asked) else len(rows)
        start = int(asked["offset"][0]) if "offset" in asked else int(asked.get("cursor", ["0"])[0])
        start = (int(asked["page"][0]) - 1) * size if "page" in asked else start
        more = start + size < len(rows)
        return {
            "items": rows[start : start + size],
            "total": len(rows),
            "next": str(start + size) if more else None,
        }


async def _head(reader: asyncio.StreamReader) -> bytes:
    """The first line of a request; empty where no request comes any more."""
    try:
        return (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0]
    except asyncio.IncompleteReadError:
        return b""


@dataclass
class InterfaceGround(Ground):
    interface: Interface

    async def refill(self, resource: Resource, rows: Table) -> None:
        self.interface.tables[resource.binding.table] = _items(resource, rows)


def _items(resource: Resource, rows: Table) -> list[dict[str, Any]]:
    columns = columns_of(resource)
    return [{"values": {name: _json(kind, row[name]) for name, kind in columns.items()}} for row in rows]


def _json(kind: ScalarType, value: Any) -> Any:
    return None if value is None else to_json(kind, value)


@asynccontextmanager
async def on_interface(drawn: Drawn, interface: Interface, pool: SourcePool) -> AsyncIterator[Ground]:
    """`drawn` with its resources bound to lists of `interface`, each paged in another way."""
    number = next(_NUMBERS)
    resources: dict[str, Resource] = {}
    rows: dict[str, dict[str, list[dict[str, Any]]]] = {key: {} for key in drawn.rows}
    for place, (code, resource) in enumerate(drawn.snapshot.resources.items()):
        source, table = resource.binding.source, f"x{number}/{resource.binding.table}"
        options = {
            "items": "items",
            "columns": {name: ["values", name] for name in columns_of(resource)},
            "filters": FILTERS,
            "paging": PAGINGS[(number + place) % len(PAGINGS)],
        }
        resources[code] = replace(
            resource, binding=replace(resource.binding, table=table, options=options, max_rows=MOST_ROWS)
        )
        rows[source][table] = drawn.rows[source][resource.binding.table]
        interface.tables[table] = _items(resource, rows[source][table])
    sources = {
        key: replace(source, kind="http", options={"url": interface.url})
        for key, source in drawn.snapshot.sources.items()
    }
    there = replace(drawn, snapshot=replace(drawn.snapshot, resources=resources, sources=sources), rows=rows)
    try:
        yield InterfaceGround(there, over(there, pool), interface)
    finally:
        for resource in resources.values():
            del interface.tables[resource.binding.table]
