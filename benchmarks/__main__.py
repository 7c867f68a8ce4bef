"""In charge of `make bench`: runs cases, prints their figures, writes benchmarks/results/latest.json and the pages."""

import argparse
import json
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import cold, freshness, isolation, scale, stages, start, subscriptions, workers, workflow
from benchmarks.speed import export
from benchmarks.speed import run as speed
from benchmarks.speed.cases import CASES as SPEED
from benchmarks.speed.load import LoadError
from benchmarks.speed.pages import RESULTS, rewrite
from benchmarks.speed.platform import PlatformError
from benchmarks.speed.processes import SubjectError
from tanglai.storage.embedded import EmbeddedPostgresError

CASES: dict[str, Callable[[], dict[str, Any]]] = {
    "start": start.run,
    "cold_plan": cold.run,
    "freshness": freshness.run,
    "isolation": isolation.run,
    "subscriptions": subscriptions.run,
    "workflow": workflow.run,
    "scale": scale.run,
    "stages": stages.run,
    "workers": workers.run,
    "export": export.run,
}
"""Cases that stand alone; those of `benchmarks.speed.cases` share what they are measured with."""


def main() -> int:
    """Runs the named case, or all. Exit code 1 when a bar is missed, 2 when something could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measures Tanglai on this machine.")
    parser.add_argument("--case", choices=sorted({*CASES, *SPEED}), help="one case; all when left out")
    parser.add_argument(
        "--rounds", type=int, default=speed.ROUNDS, help="rounds of the cases of speed; of fewer nothing is kept"
    )
    parser.add_argument("--seconds", type=float, default=speed.SECONDS, help="of load on each subject, each round")
    parser.add_argument("--compare", metavar="REF", help="measure this commit beside, and nothing else")
    parser.add_argument("--subjects", help="names separated by commas: these alone, and no results are written")
    parser.add_argument("--state", type=Path, help="folder of the data of the cases of speed; `.bench` by default")
    arguments = parser.parse_args()
    options = speed.Options(
        rounds=arguments.rounds,
        seconds=arguments.seconds,
        subjects=tuple(arguments.subjects.split(",")) if arguments.subjects else None,
        compare=arguments.compare,
        state=arguments.state,
    )
    wanted = [arguments.case] if arguments.case else [*SPEED, *sorted(CASES)]
    # Subjects are stopped on the way out, whoever asks for it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    code = 0
    for measured in (speed.run([name for name in wanted if name in SPEED], options), _alone(wanted, options)):
        try:
            for name, figures in measured:
                if not figures["met"]:
                    code = max(code, 1)
                if options.subjects is None and options.compare is None and options.rounds >= speed.ROUNDS:
                    _keep(name, figures)
        except (LoadError, PlatformError, SubjectError, EmbeddedPostgresError) as error:
            print(f"error: {error}", file=sys.stderr)
            code = 2
    return code


def _alone(wanted: Sequence[str], options: speed.Options) -> Iterator[tuple[str, dict[str, Any]]]:
    for name in wanted:
        if name in CASES and options.compare is None:
            print(f"{name}: measuring", flush=True)
            figures = CASES[name]()
            for key, value in figures.items():
                print(f"  {key}: {value}")
            yield name, figures


def _keep(name: str, figures: dict[str, Any]) -> None:
    # Read again each time: another case may be measured beside.
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"cases": {}}
    results["cases"][name] = figures
    if name in SPEED:
        results["machine"] = speed.machine()
    RESULTS.parent.mkdir(exist_ok=True)
    fresh = RESULTS.with_suffix(".tmp")
    fresh.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n")
    fresh.replace(RESULTS)
    rewrite(results)


if __name__ == "__main__":
    raise SystemExit(main())
