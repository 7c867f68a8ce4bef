"""In charge of the promise that no sequence of acts leads where the law does not, whoever acts, in whichever order."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tanglai.storage.embedded import EmbeddedPostgres
from tests.property.workflows.play import Play, Theatre

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
    theatre = Theatre(postgres)
    yield theatre
    theatre.runner.close()
    postgres.drop_database(theatre.copies.made)


def test_every_act_comes_to_what_the_law_says(theatre: Theatre) -> None:
    run_state_machine_as_test(type("Plays", (Play,), {"theatre": theatre}), settings=SETTINGS)
