"""In charge of whole examples before gateway and oracle."""

from dataclasses import replace
from typing import Any

from connectors.pool import SourcePool
from resolvers.caches import Chosen, Plans
from resolvers.gateway import Gateway
from resolvers.planner import Planning
from tanglai.catalogue.model import Snapshot
from tests.gateways import World
from tests.oracle.comparing import TALLY, Duel
from tests.oracle.examples import Example
from tests.oracle.grounds import LIMITS, Ground
from tests.oracle.on_postgresql import ground_on_postgresql
from tests.oracle.rereading import reread


class Unsimplified(Gateway):
    """A gateway that leaves filters as they are planned. It has the validated documents of the gateway `like`."""

    like: Gateway

    def _planning(self, *arguments: object) -> Planning:
        planning = super()._planning(*arguments)  # type: ignore[arg-type]
        planning.simplify = False
        return planning

    async def _serve(self, snapshot: Snapshot) -> Any:
        if self._served is None:
            served = await self.like._serve(snapshot)
            kept = LIMITS.plans_cached
            self._served = replace(served, plans=Plans(kept), chosen=Chosen(kept))
        return self._served


def unsimplified(world: World) -> World:
    """The same world before a gateway of its own that optimises nothing."""
    other = World(world.replica.snapshot, {}, (), limits=LIMITS)
    other.replica.held, other.sources = world.replica.held, world.sources
    gateway = other.gateway
    plain = Unsimplified(
        gateway._replica,
        world.gateway._sources,
        gateway._audit,
        gateway._seals,
        gateway._mask_key,
        LIMITS,
        cubes=other.cubes,
        quotas=other.ledger,
    )
    plain.like, other.gateway = world.gateway, plain
    return other


async def fight(example: Example) -> None:
    """One gateway answers all askers of the example as the oracle does, and another one byte for byte the same."""
    ground = Ground.in_memory(example.drawn)
    plain = unsimplified(ground.world)
    try:
        await fight_on(ground, example, plain)
    finally:  # a block that goes back by itself would outlive the loop
        await ground.world.ledger.close()
        await plain.ledger.close()


async def fight_on_postgresql(example: Example, url: str, pool: SourcePool) -> None:
    """The same over tables in the database at `url`."""
    async with ground_on_postgresql(example.drawn, url, pool) as ground:
        await fight_on(ground, example)


async def fight_on(ground: Ground, example: Example, plain: World | None = None) -> None:
    """The same over what holds the example's world; `plain` is that world, unsimplified."""
    TALLY.examples += 1
    world = ground.world
    plain = plain or unsimplified(world)
    texts: set[str] = set()
    for asked in example.asked:
        duel = Duel.of(ground.drawn, asked.asker, world)
        duel.plain, duel.texts = plain, texts
        for operation in asked.operations:
            await duel.compare(operation)
        if asked.walk is not None:
            await duel.walk(asked.walk)
        if asked.reading is not None:
            await reread(duel, asked.reading, ground)
    TALLY.documents += len(texts)
