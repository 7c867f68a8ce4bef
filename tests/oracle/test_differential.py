"""Random operations over random worlds: the gateway answers as the oracle does, and however its plan is optimised."""

import asyncio

from hypothesis import HealthCheck, given, settings

from connectors.pool import SourcePool
from tanglai.storage.embedded import EmbeddedPostgres
from tests.oracle.duels import fight, fight_on_postgresql
from tests.oracle.examples import Example, examples
from tests.oracle.worlds import Bounds

SETTINGS = settings(
    deadline=None, derandomize=True, database=None, print_blob=True, suppress_health_check=list(HealthCheck)
)
PAGEABLE = Bounds(pageable=True)


@settings(SETTINGS, max_examples=450)
@given(examples())
def test_gateway_and_oracle_agree(example: Example) -> None:
    asyncio.run(fight(example))


def test_they_agree_over_postgresql(postgres: EmbeddedPostgres) -> None:
    postgres.create_database("oracle")
    url = postgres.url("oracle")
    with asyncio.Runner() as runner:
        pool = SourcePool({})

        @settings(SETTINGS, max_examples=60)
        @given(examples(PAGEABLE))
        def hold(example: Example) -> None:
            runner.run(fight_on_postgresql(example, url, pool))

        try:
            hold()
        finally:
            runner.run(pool.close())
    postgres.drop_database("oracle")
