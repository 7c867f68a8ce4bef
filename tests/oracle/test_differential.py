"""Random operations over random worlds: the gateway answers as the oracle does, and however its plan is optimised."""

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings

from tanglai.storage.embedded import EmbeddedPostgres
from tests.oracle.batches import drawn, hold
from tests.oracle.comparing import TALLY
from tests.oracle.duels import fight
from tests.oracle.examples import Example, examples
from tests.oracle.kinds import KINDS, Grounds
from tests.oracle.stored import GOLDEN, load

SETTINGS = settings(
    deadline=None, derandomize=True, database=None, print_blob=True, suppress_health_check=list(HealthCheck)
)
SEEDS = {
    "memory": range(12),
    "postgresql": (13, 40),
    "csv": (5,),
    "parquet": (24,),
    "interface": (43,),
    "server": (8, 16),
}
"""Catalogues on each kind of source, at least 200 operations each; `make fuzz` goes on with any seeds."""


@settings(SETTINGS, max_examples=300)
@given(examples())
def test_gateway_and_oracle_agree(example: Example) -> None:
    asyncio.run(fight(example))


@pytest.fixture(scope="module")
def url(postgres: EmbeddedPostgres) -> Iterator[str]:
    """A database of its own."""
    postgres.create_database("oracle")
    yield postgres.url("oracle")
    postgres.drop_database("oracle")


@pytest.mark.parametrize("kind", KINDS)
async def test_they_agree_over_every_kind_of_source(kind: str, url: str) -> None:
    async with Grounds(lambda: url) as grounds:
        for seed in SEEDS[kind]:
            before = TALLY.operations
            for case in drawn(seed, kind):
                await hold(grounds, kind, case)
            assert TALLY.operations - before >= 200


@pytest.mark.parametrize("name", sorted(place.stem for place in GOLDEN.glob("*.json")))
async def test_stored_cases(name: str, url: str) -> None:
    """What failed once holds now."""
    case, told = load(GOLDEN / f"{name}.json")
    async with Grounds(lambda: url) as grounds:
        await hold(grounds, told["kind"], case)
