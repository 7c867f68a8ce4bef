"""In charge of the matrix: every subject of a catalogue, by every way, in every state, expected and as planned."""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tanglai.catalogue.model import Resource, Snapshot
from tests.matrix.plans import Plans, Read
from tests.matrix.rules import Cell, Verdict, applies, expected
from tests.matrix.states import STATES, State
from tests.matrix.steps import Way
from tests.matrix.ways import Ways
from tests.matrix.worlds import publishes

UNABLE = Verdict("error", "CAPABILITY_MISSING")
"""What a source of this kind cannot do.

It depends on the catalogue alone: it is told only where it would be told of the same operation with everything granted,
and never in the place of a refusal.
"""
OPEN = next(state for state in STATES if state.name == "active, by consultation")


@dataclass(frozen=True)
class Subject:
    """What a cell is about, and the ways to it. `far`: of a relation, the grants at its other end vary."""

    resource: Resource
    name: str | None
    kind: str
    ways: tuple[tuple[Way, Read], ...]
    far: bool = False


@dataclass
class Tally:
    """What the run of a catalogue counted, and every cell whose verdict differs."""

    subjects: Counter[str] = field(default_factory=Counter)
    ways: set[str] = field(default_factory=set)
    states: set[str] = field(default_factory=set)
    verdicts: Counter[str] = field(default_factory=Counter)
    different: list[str] = field(default_factory=list)
    unable: int = 0
    operations: int = 0
    cells: int = 0
    seconds: float = 0.0


class Matrix:
    """The matrix of one snapshot."""

    def __init__(self, snapshot: Snapshot, like: "Matrix | None" = None) -> None:
        """`like`: another matrix over the same resources, whose schema and operations are taken over."""
        self.snapshot = snapshot
        self.plans: Plans = Plans(snapshot, like.plans if like is not None else None)
        self.ways = Ways(snapshot)

    def subjects(self, share: int = 1) -> Iterator[Subject]:
        """Items, both ends of relations, and rows, of every resource that is served, with their operations read."""
        for number, (resource, name, kind, ways) in enumerate(self.listed()):
            read = tuple((way, self.plans.read(way)) for way in ways[number % share :: share])
            yield Subject(resource, name, kind, read)
            if kind == "relation":
                yield Subject(resource, name, "relation, far end", read, far=True)

    def listed(self) -> Iterator[tuple[Resource, str | None, str, list[Way]]]:
        """The subjects with their kinds and ways; of relations the near end alone."""
        served = {resource.code for resource in self.snapshot.served}
        for resource in self.snapshot.served:
            for item in resource.items:
                kind = f"item {item.type.value} {item.share_class.value}"
                yield resource, item.name, kind, list(self.ways.of_item(resource, item))
            for relation in resource.relations:
                if relation.target in served:
                    yield resource, relation.name, "relation", list(self.ways.of_relation(resource, relation))
            yield resource, None, "rows", list(self.ways.of_rows(resource))

    def cells(self) -> int:
        """The number of all cells, without deciding any."""
        return sum(
            len(ways) * applies(Cell(self.snapshot, resource, name, state, far))
            for resource, name, kind, ways in self.listed()
            for far in ((False, True) if kind == "relation" else (False,))
            for state in STATES
        )

    def run(self, share: int = 1) -> Tally:
        """Decides every cell; of a `share` above 1 those of each so manieth way, other ways of the next subject."""
        tally = Tally()
        began = time.perf_counter()
        for subject in self.subjects(share):
            tally.subjects[subject.kind] += 1
            tally.operations += len(subject.ways)
            tally.ways.update(way.name for way, _ in subject.ways)
            unable = self._unable(subject)
            for state in STATES:
                self._decide(subject, state, unable, tally)
        tally.seconds = time.perf_counter() - began
        return tally

    def _unable(self, subject: Subject) -> frozenset[str]:
        """The operations that the sources cannot answer though everything is granted."""
        cell = Cell(self.snapshot, subject.resource, subject.name, OPEN, subject.far)
        visible = self.plans.visible(cell, self.plans.askers.asked_in(cell))
        found = {way.text: self.plans.verdict(cell, way, read, visible)[0] for way, read in subject.ways}
        return frozenset(text for text, verdict in found.items() if verdict == UNABLE)

    def _decide(self, subject: Subject, state: State, unable: frozenset[str], tally: Tally) -> None:
        cell = Cell(self.snapshot, subject.resource, subject.name, state, subject.far)
        if not applies(cell):
            return
        asked = self.plans.askers.asked_in(cell)
        visible = self.plans.visible(cell, asked)
        usable = frozenset(grant.id for grant in asked.grants)
        tally.states.add(state.name)
        for way, read in subject.ways:
            wanted = expected(cell, way, publishes)
            found, plan = self.plans.verdict(cell, way, read, visible)
            tally.cells += 1
            tally.verdicts[str(wanted)] += 1
            if found == wanted and (plan is None or usable.issuperset(plan.grants)):
                continue
            if found == UNABLE and wanted.outcome != "refused" and way.text in unable:
                tally.unable += 1
                continue
            tally.different.append(
                f"{subject.resource.names.type}.{subject.name or '*'}{' (far end)' if subject.far else ''}, "
                f"{state.name}, "
                f"{way.name}: expected {wanted}{_where(wanted)}, planned {found}{_where(found)}\n    {way.text}"
            )


def _where(verdict: Verdict) -> str:
    about = f" for {verdict.about[1]} of {verdict.about[0]}" if verdict.about else ""
    return f"{about}{' at ' + '.'.join(verdict.at) if verdict.at else ''}"
