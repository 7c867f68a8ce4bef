"""In charge of the mutation check: `python -m tests.oracle.mutants [NAME...] [--jobs N]`.

Plants each fault of the list into a copy of the project and runs the fixed-seed share of the oracle's tests over it, as
`make test` does but for shrinking. The unchanged copy must pass first. Exit code 1 when a fault is not caught.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.oracle.mutants.listed import MUTANTS
from tests.oracle.mutants.mutant import Mutant

ROOT = Path(__file__).resolve().parents[3]
TREES = ("authz", "connectors", "resolvers", "schema", "tanglai", "tests/oracle")
FILES = ("pyproject.toml", *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "tests").glob("*.py"))))
DIFFERENTIAL, HIDDEN = "tests/oracle/test_differential.py", "tests/oracle/test_noninterference.py"
PATIENCE = 1200
"""Seconds after which a trial is given up: a fault may make something run for ever."""


@dataclass(frozen=True)
class Verdict:
    """What a trial showed. `outcome`: passed, compared (a comparison failed), crashed, or hung."""

    outcome: str
    test: str
    message: str
    seconds: float

    def caught(self, mutant: Mutant) -> bool:
        return self.outcome == "compared" and (not mutant.leak or self.test.startswith(HIDDEN))

    def word(self, mutant: Mutant) -> str:
        if self.caught(mutant):
            return "caught"
        return {"passed": "SURVIVED", "compared": "NOT SEEN AS A LEAK"}.get(self.outcome, self.outcome.upper())


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.oracle.mutants", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="these faults alone; without any, all")
    parser.add_argument("--jobs", type=int, default=1, help="how many trials run at once")
    parser.add_argument("--unchecked", action="store_true", help="take it that the unchanged project passes")
    parser.add_argument("--list", action="store_true", help="only tell which faults there are")
    options = parser.parse_args()
    known = {mutant.name: mutant for mutant in MUTANTS}
    if strange := sorted(set(options.names) - known.keys()):
        parser.error(f"no such fault: {', '.join(strange)}")
    chosen = [known[name] for name in options.names] or list(MUTANTS)
    if options.list:
        for mutant in chosen:
            print(f"{mutant.name}{' (leak)' if mutant.leak else ''}: {mutant.breaks}")
        return 0
    return run(chosen, options.jobs, unchecked=options.unchecked)


def run(chosen: Sequence[Mutant], jobs: int, *, unchecked: bool) -> int:
    with tempfile.TemporaryDirectory(prefix="mutants") as folder:
        whole = Path(folder) / "unchanged"
        copy(ROOT, whole)
        if not unchecked:
            verdict = trial(whole, (DIFFERENTIAL, HIDDEN))
            print(f"unchanged: {verdict.outcome} in {verdict.seconds:.0f} s {verdict.message}", flush=True)
            if verdict.outcome != "passed":
                return 1

        def attempt(mutant: Mutant) -> bool:
            place = Path(folder) / mutant.name
            copy(whole, place)
            mutant.plant(place)
            verdict = trial(place, (HIDDEN, DIFFERENTIAL) if mutant.leak else (DIFFERENTIAL, HIDDEN))
            shutil.rmtree(place)
            told = f"{verdict.test.rpartition('::')[2]}: {verdict.message}" if verdict.test else verdict.message
            print(f"{mutant.name}: {verdict.word(mutant)} in {verdict.seconds:.0f} s {told[:200]}", flush=True)
            return verdict.caught(mutant)

        with ThreadPoolExecutor(jobs) as threads:
            caught = list(threads.map(attempt, chosen))
    print(f"{sum(caught)} of {len(caught)} faults caught")
    return 0 if all(caught) else 1


def copy(source: Path, target: Path) -> None:
    """The part of the tree at `source` that the tests of the oracle need."""
    for tree in TREES:
        shutil.copytree(source / tree, target / tree)
    for name in FILES:
        shutil.copy2(source / name, target / name)


def trial(place: Path, files: Sequence[str]) -> Verdict:
    """Runs the tests in `files` over the tree at `place`, the project's own packages being those of that tree."""
    began = time.monotonic()
    command = [sys.executable, "-m", "tests.oracle.mutants.trial", *files]
    try:
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        return Verdict("hung", "", f"given up after {PATIENCE} s", time.monotonic() - began)
    seconds = time.monotonic() - began
    for line in reversed(done.stdout.splitlines()):
        if line.startswith("{"):
            told = json.loads(line)
            return Verdict(told["outcome"], told["test"], told["message"], seconds)
    return Verdict("crashed", "", " ".join(done.stderr.split())[-300:], seconds)


if __name__ == "__main__":
    sys.exit(main())
