"""In charge of running on with random seeds: `python -m tests.oracle.fuzz SECONDS [--postgresql] [--seed N]`.

Prints each seed and what it has tried. A failure is shrunk and written to a file, with the seed that finds it again.
"""

import argparse
import asyncio
import secrets
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from connectors.pool import SourcePool
from tanglai.storage.embedded import EmbeddedPostgres
from tests.oracle.comparing import TALLY
from tests.oracle.duels import fight, fight_on_postgresql
from tests.oracle.examples import Example, examples
from tests.oracle.test_noninterference import Twins, in_memory, twins
from tests.oracle.worlds import USUAL, Bounds

BATCH = 100
"""Examples per seed."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.oracle.fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("seconds", type=float, help="how long to go on")
    parser.add_argument("--postgresql", action="store_true", help="over real tables instead of rows in memory")
    parser.add_argument("--seed", type=int, help="this seed alone, once")
    parser.add_argument("--failures", type=Path, default=Path(".hypothesis/oracle"), help="where failures are written")
    options = parser.parse_args()
    ends, failed = time.monotonic() + options.seconds, 0
    with fighter(options.postgresql) as fights:
        while time.monotonic() < ends:
            number = options.seed if options.seed is not None else secrets.randbelow(2**48)
            failed += not batch(number, fights, options)
            counts = ", ".join(f"{count} {name}" for name, count in asdict(TALLY).items())
            print(f"seed {number}: {counts}, {failed} failed seeds", flush=True)
            if options.seed is not None:
                break
    return 1 if failed else 0


def batch(number: int, fights: Callable[[Example], None], options: argparse.Namespace) -> bool:
    """Whether all examples of one seed hold."""
    bounds = Bounds(pageable=True) if options.postgresql else USUAL
    usual = settings(
        max_examples=BATCH,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )

    @seed(number)
    @usual
    @given(examples(bounds))
    def agree(example: Example) -> None:
        fights(example)

    @seed(number)
    @settings(usual, max_examples=BATCH // 4)
    @given(twins(keys=True))
    def hide(twins: Twins) -> None:
        asyncio.run(in_memory(twins, calls=True))

    for test in (agree, *(() if options.postgresql else (hide,))):
        try:
            test()
        except Exception as error:
            options.failures.mkdir(parents=True, exist_ok=True)
            place: Path = options.failures / f"{number}.txt"
            place.write_text(f"seed {number}\n{''.join(traceback.format_exception(error))}", encoding="utf-8")
            print(f"seed {number} failed, see {place}", flush=True)
            return False
    return True


@contextmanager
def fighter(postgresql: bool) -> Iterator[Callable[[Example], None]]:
    """What holds gateway and oracle together on an example."""
    with asyncio.Runner() as runner:

        def run(work: Coroutine[Any, Any, None]) -> None:
            runner.run(work)

        if not postgresql:
            yield lambda example: run(fight(example))
            return
        with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder) / "postgres") as server:
            server.create_database("oracle")
            url, pool = server.url("oracle"), SourcePool({})
            try:
                yield lambda example: run(fight_on_postgresql(example, url, pool))
            finally:
                run(pool.close())


if __name__ == "__main__":
    sys.exit(main())
