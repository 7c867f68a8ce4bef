"""In charge of long plays: `python -m tests.property.workflows SECONDS [SEED]` acts at random until time is up."""

import sys
import tempfile
import time
from pathlib import Path

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tanglai.storage.embedded import EmbeddedPostgres
from tests.conftest import FAST
from tests.property.workflows.play import Play, Theatre
from tests.property.workflows.race import Race

KINDS = (Play, Race)
"""Of play, in turn by seed: by one worker, and by two with crashes in between."""

PLAYS, STEPS = 10, 60
"""Plays of one seed, and rules of one play."""


def main(seconds: float, first: int) -> None:
    end = time.monotonic() + seconds
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedPostgres(Path(folder), settings=FAST) as server,
        Theatre(server, workers=2) as theatre,
    ):
        number = first
        try:
            while time.monotonic() < end:
                plays = seed(number)(type("Plays", (KINDS[number % len(KINDS)],), {"theatre": theatre}))
                run_state_machine_as_test(
                    plays,
                    settings=settings(
                        max_examples=PLAYS,
                        stateful_step_count=STEPS,
                        deadline=None,
                        database=None,
                        phases=(Phase.generate,),
                        suppress_health_check=list(HealthCheck),
                    ),
                )
                number += 1
        except BaseException:
            print(f"seed {number}", file=sys.stderr)
            raise
        finally:
            for name, times in sorted(theatre.tally.items()):
                print(f"{times:7,} {name}")
            print(f"{theatre.tally.total():,} acts, seeds {first} to {number}")


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
