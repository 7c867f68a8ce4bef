"""In charge of sources in memory: whole source queries over lists of rows, every call written down.

The connector is the reference evaluator itself, so that planner and gateway can be tested without any server.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from connectors import local
from connectors.protocol import Arguments, Capabilities, Row, SourceQuery, TableStructure
from tanglai.catalogue.errors import TanglaiError
from tanglai.catalogue.model import Source

Record = Mapping[str, Any]


@dataclass
class MemoryConnector:
    """One source. `fault` is raised by every call while it is set."""

    tables: Mapping[tuple[str | None, str], Sequence[Record]]
    calls: list[tuple[SourceQuery, dict[str, Any]]] = field(default_factory=list)
    fault: TanglaiError | None = None
    capabilities: Capabilities = field(default_factory=lambda: Capabilities(predicates=True, nested=True))

    async def fetch(self, query: SourceQuery, arguments: Arguments, *, timeout: float) -> list[Row]:
        self.calls.append((query, dict(arguments)))
        if self.fault is not None:
            raise self.fault
        return local.run(query, self.tables[query.namespace, query.table], arguments, self.tables)

    async def introspect(self) -> list[TableStructure]:
        return []

    async def close(self) -> None:
        return None


class MemorySources:
    """Stands where a SourcePool stands. `rows` is source key -> table -> rows."""

    def __init__(self, rows: Mapping[str, Mapping[str, Sequence[Record]]]) -> None:
        self.connectors = {
            source: MemoryConnector({(None, table): kept for table, kept in tables.items()})
            for source, tables in rows.items()
        }

    def connector(self, source: Source) -> MemoryConnector:
        return self.connectors[source.key]

    @property
    def calls(self) -> list[tuple[SourceQuery, dict[str, Any]]]:
        """Every call so far, by source."""
        return [call for connector in self.connectors.values() for call in connector.calls]

    def forget(self) -> None:
        for connector in self.connectors.values():
            connector.calls.clear()
