"""In charge of whole examples before gateway and oracle."""

from dataclasses import replace
from typing import Any

from connectors.pool import SourcePool
from resolvers.caches import Plans
from resolvers.gateway import Gateway
from resolvers.limits import Limits
from resolvers.planner import Planning
from tanglai.catalogue.model import Snapshot
from tests.gateways import World
from tests.oracle.comparing import TALLY, Duel
from tests.oracle.examples import Example
from tests.oracle.on_postgresql import on_postgresql

LIMITS = Limits(rows=10**9)
"""Bounds of one request are no matter here."""


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
            self._served = replace(served, plans=Plans(LIMITS.plans_cached))
        return self._served


def unsimplified(world: World) -> World:
    """The same world before a gateway of its own that optimises nothing."""
    other = World(world.replica.snapshot, {}, (), limits=LIMITS)
    other.replica.held, other.sources = world.replica.held, world.sources
    gateway = other.gateway
    plain = Unsimplified(
        gateway._replica, world.gateway._sources, gateway._audit, gateway._seals, gateway._mask_key, LIMITS
    )
    plain.like, other.gateway = world.gateway, plain
    return other


async def fight(example: Example) -> None:
    """One gateway answers all askers of the example as the oracle does, and another one byte for byte the same."""
    drawn = example.drawn
    await _fight(example, World(drawn.snapshot, drawn.rows, drawn.grants, limits=LIMITS))


async def fight_on_postgresql(example: Example, url: str, pool: SourcePool) -> None:
    """The same over tables in the database at `url`."""
    async with on_postgresql(example.drawn, url, pool) as (drawn, world):
        await _fight(Example(drawn, example.asked), world)


async def _fight(example: Example, world: World) -> None:
    TALLY.examples += 1
    plain = unsimplified(world)
    for asked in example.asked:
        duel = Duel.of(example.drawn, asked.asker, world)
        for operation in asked.operations:
            completed = await duel.complete(operation)
            answer = await duel.compare(completed)
            same = await Duel(example.drawn, asked.asker, plain, duel.oracle).ask(completed)
            assert same.response.body == answer.response.body, "the optimised plan answers otherwise"
        if asked.walk is not None:
            await duel.walk(asked.walk)
