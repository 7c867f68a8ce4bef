"""In charge of the promise that no sequence of acts leads where the law does not, whoever acts, in whichever order."""

import asyncio
from collections.abc import Iterator
from uuid import uuid4

import asyncpg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tanglai.storage.database import PlatformDatabase
from tanglai.storage.embedded import EmbeddedPostgres
from tanglai.storage.migrate import upgrade
from tests.property.workflows.play import Play, Theatre
from tests.property.workflows.stage import furnish

SETTINGS = settings(
    max_examples=12,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def theatre(postgres: EmbeddedPostgres) -> Iterator[Theatre]:
    """Plays on databases that are copies of one with a catalogue."""
    made = f"stage_{uuid4().hex}"
    postgres.create_database(made)

    async def prepare() -> None:
        await upgrade(postgres.url(made))
        async with await PlatformDatabase.open(postgres.url(made)) as platform:
            await furnish(platform)

    async def admin(sql: str) -> None:
        connection = await asyncpg.connect(postgres.url("postgres"))
        try:
            await connection.execute(sql)
        finally:
            await connection.close()

    def fresh() -> str:
        name = f"play_{uuid4().hex}"
        theatre.run(admin(f"CREATE DATABASE {name} TEMPLATE {made} STRATEGY FILE_COPY"))
        return postgres.url(name)

    def drop(url: str) -> None:
        theatre.run(admin(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)"))

    theatre = Theatre(fresh, drop)
    theatre.run(prepare())
    yield theatre
    theatre.runner.close()
    postgres.drop_database(made)


def test_every_act_comes_to_what_the_law_says(theatre: Theatre) -> None:
    run_state_machine_as_test(type("Plays", (Play,), {"theatre": theatre}), settings=SETTINGS)
