"""Two contents of the sources with equal visible relations give equal answers, byte for byte, and equal calls."""

import asyncio
from dataclasses import replace

from hypothesis import HealthCheck, given, settings

from connectors.pool import SourcePool
from tanglai.storage.embedded import EmbeddedPostgres
from tests.gateways import World
from tests.oracle.grounds import LIMITS
from tests.oracle.on_postgresql import on_postgresql
from tests.oracle.twins import Pair, Twins, twins
from tests.oracle.worlds import Bounds

SETTINGS = settings(
    deadline=None, derandomize=True, database=None, print_blob=True, suppress_health_check=list(HealthCheck)
)


async def in_memory(twins: Twins, *, calls: bool) -> None:
    one, other = (
        World(twins.drawn.snapshot, rows, twins.drawn.grants, limits=LIMITS) for rows in (twins.drawn.rows, twins.other)
    )
    try:
        await Pair(twins, one, other, calls).look_alike()
    finally:  # a block's timer may be due while the loop closes
        for world in (one, other):
            await world.ledger.close()


@settings(SETTINGS, max_examples=500)
@given(twins(keys=True))
def test_hidden_values_change_neither_answers_nor_calls(twins: Twins) -> None:
    asyncio.run(in_memory(twins, calls=True))


@settings(SETTINGS, max_examples=200)
@given(twins(keys=False))
def test_keys_that_are_read_for_relations_change_no_answer(twins: Twins) -> None:
    asyncio.run(in_memory(twins, calls=False))


def test_hidden_values_change_neither_answers_nor_rows_of_postgresql(postgres: EmbeddedPostgres) -> None:
    postgres.create_database("hidden")
    url = postgres.url("hidden")
    with asyncio.Runner() as runner:
        pool = SourcePool({})

        async def compare(twins: Twins) -> None:
            hidden = replace(twins.drawn, rows=twins.other)
            async with (
                on_postgresql(twins.drawn, url, pool) as (_, one),
                on_postgresql(hidden, url, pool) as (_, other),
            ):
                await Pair(twins, one, other, True).look_alike()

        @settings(SETTINGS, max_examples=60)
        @given(twins(keys=True, bounds=Bounds(pageable=True), broken=False))
        def hold(twins: Twins) -> None:
            runner.run(compare(twins))

        try:
            hold()
        finally:
            runner.run(pool.close())
    postgres.drop_database("hidden")
