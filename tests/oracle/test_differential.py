"""Random operations over random worlds: the gateway answers as the oracle does."""

import asyncio

from hypothesis import HealthCheck, given, settings

from resolvers.limits import Limits
from tests.gateways import World
from tests.oracle.comparing import TALLY, Duel
from tests.oracle.examples import Example, examples

SETTINGS = settings(
    max_examples=300, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


async def hold(example: Example) -> None:
    """One gateway answers all askers of the example as the oracle does."""
    drawn = example.drawn
    world = World(drawn.snapshot, drawn.rows, drawn.grants, limits=Limits(rows=10**9))
    TALLY.examples += 1
    for asker, operations in example.asked:
        duel = Duel(drawn, asker, world)
        for operation in operations:
            await duel.compare(operation)


@SETTINGS
@given(examples())
def test_gateway_and_oracle_agree(example: Example) -> None:
    asyncio.run(hold(example))
