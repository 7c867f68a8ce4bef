"""In charge of worlds that change while they are asked: grants come and go, tables get other rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from resolvers.limits import Limits
from tanglai.catalogue.model import Grant, Resource
from tests.gateways import World
from tests.oracle.worlds import Drawn

LIMITS = Limits(rows=10**9)
"""Bounds of one request are no matter here."""
Table = Sequence[Mapping[str, Any]]


@dataclass
class Ground:
    """A gateway over the sources that hold `drawn`; here, rows in memory."""

    drawn: Drawn
    world: World

    @classmethod
    def in_memory(cls, drawn: Drawn) -> "Ground":
        return cls(drawn, World(drawn.snapshot, drawn.rows, drawn.grants, limits=LIMITS))

    async def become(self, drawn: Drawn) -> None:
        """Other grants and other rows under the same catalogue. Tables that are the same objects are not touched."""
        held: dict[str, tuple[Grant, ...]] = {}
        for grant in drawn.grants:
            held[grant.requester] = (*held.get(grant.requester, ()), grant)
        kept = self.world.replica.held
        for requester in {*held, *kept}:  # what stays equal stays the same object, as in a replica
            if kept.get(requester, ()) != held.get(requester, ()):
                kept[requester] = held.get(requester, ())
        before = self.drawn
        self.drawn = replace(drawn, snapshot=before.snapshot)
        for resource in before.snapshot.resources.values():
            source, table = resource.binding.source, resource.binding.table
            if before.rows[source][table] is not drawn.rows[source][table]:
                await self.refill(resource, drawn.rows[source][table])

    async def refill(self, resource: Resource, rows: Table) -> None:
        """Puts `rows` in the place of those of the resource's table."""
        connector = self.world.sources.connectors[resource.binding.source]
        connector.tables = {**connector.tables, (None, resource.binding.table): rows}
