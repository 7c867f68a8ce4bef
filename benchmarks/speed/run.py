"""In charge of a run: answers compared, then rounds in which every subject takes its turn, in shuffled order."""

import os
import platform
import random
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.speed import answers, figures, report
from benchmarks.speed.cases import CASES, Case
from benchmarks.speed.field import Field
from benchmarks.speed.load import Cpu, Figures, LoadError, TooShort, drive, wrk
from benchmarks.speed.platform import ROOT
from benchmarks.speed.processes import SubjectError

ROUNDS, SECONDS = 6, 3.0
WARM_UP_SECONDS = 2.0
_ROUND_LATENCIES = 8
"""A round is at least so many times as long as its subject's latency: what is under way at its end is not counted."""
_LONGEST_WARM_UP = 20.0
_COMPARED = 5


@dataclass(frozen=True, slots=True)
class Options:
    """`rounds` of `seconds` for each subject; `compare`: a commit whose program is measured beside, alone with ours."""

    rounds: int = ROUNDS
    seconds: float = SECONDS
    subjects: tuple[str, ...] | None = None
    compare: str | None = None
    state: Path | None = None


def run(names: Sequence[str], options: Options) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each case's name and results, as they come. Raises LoadError, SubjectError, PlatformError."""
    if not names:
        return
    wrk()
    cases = [CASES[name] for name in names]
    with _checkout(options.compare) as tree:
        subjects = options.subjects or (("ours",) if tree is not None else None)
        if tree is not None:
            cases = [case for case in cases if case.subject == "ours"]
        with Field(cases, subjects=subjects, reference=tree, state=options.state) as field:
            for case in cases:
                yield case.name, _measure(field, case, options)


def _measure(field: Field, case: Case, options: Options) -> dict[str, Any]:
    names = [name for name, running in field.running.items() if takes_part(case, name, running.subject.cases)]
    if case.subject not in names:
        raise LoadError(f"`{case.name}` measures `{case.subject}`, which does not run")
    print(f"{case.name}: measuring {', '.join(names)}", flush=True)
    tables = {name: field.table(case, name) for name in names}
    check(field, case, names)

    def load(name: str, seconds: float) -> Figures:
        running = field.running[name]
        before = field.cpu_seconds(name)
        try:
            found = drive(running.url, tables[name], connections=case.connections, seconds=seconds)
        except LoadError as error:
            running.settle()
            raise type(error)(f"`{name}` in `{case.name}`: {error}") from error
        # Before it settles: what it still does for requests that were given up is nothing that those counted took.
        used = [after - start for after, start in zip(field.cpu_seconds(name), before, strict=True)]
        running.settle()
        return replace(found, cpu_ms=Cpu(*(seconds * 1_000 / found.requests for seconds in used)))

    def warmed(name: str) -> Figures:
        seconds = WARM_UP_SECONDS * case.stretch
        while True:
            try:
                return load(name, seconds)
            except TooShort:
                if seconds > _LONGEST_WARM_UP:
                    raise
                seconds *= 2

    warm = {name: warmed(name) for name in names}
    seconds = {name: max(options.seconds * case.stretch, _ROUND_LATENCIES * warm[name].p50_ms / 1e3) for name in names}
    rounds: list[dict[str, Figures]] = []
    for _ in range(options.rounds):
        order = random.sample(names, len(names))
        rounds.append({name: load(name, seconds[name]) for name in order})
    check(field, case, names)
    missing = {name: reason for name, reason in field.missing.items() if name in case.bars}
    result = figures.summary(case, rounds, missing)
    print(report.table(case, result), flush=True)
    return result


def takes_part(case: Case, name: str, known: frozenset[str]) -> bool:
    """Whether the subject `name`, which answers the cases `known`, is measured in `case`."""
    return case.name in known and (name in case.bars or name in (case.subject, "reference"))


def check(field: Field, case: Case, names: Iterable[str]) -> None:
    """Every subject answers the same draws with the same rows. Raises SubjectError for one that does not."""
    for draw in field.draws(case, count=_COMPARED):
        expected = field.running[case.subject].rows(draw)
        if not expected or (case.count and len(expected) != case.count):
            raise SubjectError(f"`{case.name}` gave {len(expected)} rows, not {case.count or 'some'}")
        for name in names:
            if name != case.subject:
                difference = answers.difference(expected, field.running[name].rows(draw))
                if difference:
                    raise SubjectError(f"`{case.subject}` and `{name}` differ in `{case.name}`: {difference}")


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    model = platform.processor()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_at_end": round(os.getloadavg()[0], 2),
    }


@contextmanager
def _checkout(commit: str | None) -> Iterator[Path | None]:
    """The tree of `commit` in a folder of its own, None without one."""
    if commit is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="tanglai-reference-") as folder:
        archive = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=False)
        if archive.returncode:
            raise LoadError(f"there is no commit `{commit}`: {archive.stderr.decode().strip()}")
        subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
        yield Path(folder)
