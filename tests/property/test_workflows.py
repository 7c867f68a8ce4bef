"""In charge of the promise that no sequence of acts leads where the law does not, whoever acts, in whichever order.

Longer than here, with other plays each time: `make workflows SECONDS=600`.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tanglai.catalogue.rules import rule_set
from tanglai.storage.embedded import EmbeddedPostgres
from tests.conftest import FAST
from tests.property.workflows.kinds import ACTS
from tests.property.workflows.law import BOTH, REMINDERS, STEPS
from tests.property.workflows.play import Play, Theatre
from tests.property.workflows.race import Race
from tests.property.workflows.stage import OUTAGE

SETTINGS = settings(
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.generate,),  # a play takes a second: to make one shorter takes many minutes
    suppress_health_check=list(HealthCheck),
)
BROUGHT_ABOUT = {
    ("COORDINATION", "OPEN"),
    ("SUSPENSION", "LAPSE"),
    ("SERVICE_CHANGE", "LAPSE"),
    ("EXTENSION", "LAPSE"),
    ("APPLICATION", "EXTEND"),
    ("OBLIGATION", "EXTEND"),
    ("OBLIGATION", "MEET"),
}
"""Steps that no act takes by itself: another matter brings them about, or a grant's end."""


@pytest.fixture(scope="module")
def theatre(postgres: EmbeddedPostgres) -> Iterator[Theatre]:
    with Theatre(postgres) as theatre:
        yield theatre


@pytest.fixture
def race(tmp_path: Path) -> Iterator[Theatre]:
    """On a server of its own, which may crash."""
    with EmbeddedPostgres(tmp_path / "server", settings=FAST) as server, Theatre(server, workers=2) as theatre:
        yield theatre


def kinds_done(tally: Counter[str]) -> set[str]:
    return {name.partition(".")[0] for name in tally if name.endswith(" done")}


def test_every_act_comes_to_what_the_law_says(theatre: Theatre) -> None:
    plays = settings(SETTINGS, max_examples=15, stateful_step_count=50)
    run_state_machine_as_test(type("Plays", (Play,), {"theatre": theatre}), settings=plays)
    assert len(set(STEPS) - kinds_done(theatre.tally)) <= 2  # chance: which kinds, the seed decides


def test_two_workers_and_a_database_that_crashes(race: Theatre) -> None:
    races = settings(SETTINGS, max_examples=10, stateful_step_count=20)
    run_state_machine_as_test(type("Races", (Race,), {"theatre": race}), settings=races)
    assert any(name.endswith(f" {OUTAGE}") for name in race.tally)
    assert len(kinds_done(race.tally)) > 4


def test_every_step_of_the_law_is_played() -> None:
    played = {(act.kind, event) for act in ACTS for event in act.events}
    opened = {act.kind for act in ACTS if act.opens}
    for kind, steps in STEPS.items():
        for step in steps:
            done = kind in opened if not step.source else (kind, step.event) in played
            assert done or (kind, step.event) in BROUGHT_ABOUT, (kind, step)


def test_reminders_are_where_the_rules_have_them() -> None:
    assert {rule_set(rules).reminders for rules in BOTH} == {REMINDERS}
