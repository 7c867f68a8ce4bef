"""In charge of all that takes part in one run: servers, platform databases, the subjects' processes."""

import contextlib
import importlib.util
import os
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.speed.cases import CASES, Case
from benchmarks.speed.contract import Draw, Subject
from benchmarks.speed.data import STATE, Servers
from benchmarks.speed.draws import draws
from benchmarks.speed.load import write_table
from benchmarks.speed.platform import ROOT, Asker, Platform
from benchmarks.speed.processes import Running, cpu_seconds
from benchmarks.speed.subjects import ours

OTHERS = {"raw": "raw", "strawberry": "stock", "postgraphile": "postgraphile"}
"""Subjects that are no node of Tanglai, and the module of `benchmarks.speed.subjects` that describes each."""


class Field:
    """What runs for the measurement of `cases`: as a context manager, from entry to exit.

    `subjects`: names, all that the cases need when left out. `reference`: a checkout whose program is measured beside,
    as the subject `reference`. `running` has the processes by name; `missing` says why a subject is not there.
    """

    def __init__(
        self,
        cases: Iterable[Case],
        *,
        subjects: Iterable[str] | None = None,
        reference: Path | None = None,
        state: Path | None = None,
    ) -> None:
        self._cases = tuple(cases)
        self._wanted = self._needed() if subjects is None else frozenset(subjects)
        self._reference = reference
        self._servers = Servers(state or Path(os.environ.get("BENCH_STATE") or STATE))
        self._stack = contextlib.ExitStack()
        self.running: dict[str, Running] = {}
        self.missing: dict[str, str] = {}
        self._askers: tuple[tuple[Asker, ...], tuple[Asker, ...]] = ((), ())

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._servers)
            self._platform = Platform(self._servers)
            self._askers = self._platform.tokens()
            self._tables = self._servers.state / "load"
            self._tables.mkdir(exist_ok=True)
            for subject in self._subjects(stack):
                self.running[subject.name] = stack.enter_context(
                    Running(subject, self._servers.environment(), self._tables)
                )
            for running in self.running.values():
                case = next(case for case in CASES.values() if case.name in running.subject.cases)
                running.wait(self.draws(case, count=1)[0])
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def draws(self, case: Case, count: int | None = None) -> list[Draw]:
        """What is asked in `case`."""
        region, cities = self._askers
        whose = cities if case.name == "scoped_100" else region
        return draws(case, whose) if count is None else draws(case, whose, count=count)

    def table(self, case: Case, name: str) -> Path:
        """The calls of `case` to the subject `name`, as a file for the load generator."""
        path = self._tables / f"{case.name}-{name}.lua"
        subject = self.running[name].subject
        write_table(map(subject.call, self.draws(case)), path)
        return path

    def cpu_seconds(self, name: str) -> tuple[float, float, float]:
        """CPU seconds so far: of the subject `name`, of the sources' server, of the platform's, whoever used them."""
        return cpu_seconds(self.running[name].pid) or 0.0, *self._servers.cpu_seconds()

    def environment(self) -> dict[str, str]:
        """What subjects read, and what a node of the platform does, over a database that is there."""
        found = self._servers.environment()
        return found | dict(self.running["ours"].subject.environment) if "ours" in self.running else found

    def _needed(self) -> frozenset[str]:
        return frozenset({name for case in self._cases for name in (case.subject, *case.bars)})

    def _subjects(self, stack: contextlib.ExitStack) -> list[Subject]:
        found: list[Subject] = []
        for name in sorted(self._wanted):
            if name in ("ours", "open", "many_grants"):
                found.append(self._node(stack, name, ROOT))
                continue
            module = f"benchmarks.speed.subjects.{OTHERS[name]}"
            if importlib.util.find_spec(module) is None:
                self.missing[name] = "it is not part of this checkout"
                continue
            subject: Subject = import_module(module).SUBJECT
            reason = subject.unavailable()
            if reason is None:
                found.append(subject)
            else:
                self.missing[name] = reason
        if self._reference is not None:
            found.append(self._node(stack, "reference", self._reference))
        return found

    def _node(self, stack: contextlib.ExitStack, name: str, tree: Path) -> Subject:
        # Other runs may go on beside: every one has databases of its own.
        database = f"{name}_{os.getpid()}"
        stack.callback(self._platform.drop, database)
        if name == "many_grants":
            self._platform.prepare_many(database)
        else:
            self._platform.prepare(database, tree)
        return ours.subject(name, self._platform.environment(database, tree))
