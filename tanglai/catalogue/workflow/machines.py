"""In charge of the table state x event x guard x rule set of every kind of matter (law.md), read from data files."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from tanglai.catalogue.workflow.parties import Party, Role

RULE_SETS = ("ningxia-measures", "order-809")


class MatterKind(StrEnum):
    APPLICATION = "APPLICATION"
    ENTRY = "ENTRY"
    OBLIGATION = "OBLIGATION"
    CONSULTATION = "CONSULTATION"
    COORDINATION = "COORDINATION"
    CORRECTION = "CORRECTION"
    SUSPENSION = "SUSPENSION"
    SERVICE_CHANGE = "SERVICE_CHANGE"
    EXTENSION = "EXTENSION"
    DISPOSAL = "DISPOSAL"


@dataclass(frozen=True, slots=True)
class Waits:
    """Somebody that a state waits for, or that may take a step."""

    party: Party
    role: Role


@dataclass(frozen=True, slots=True)
class State:
    """A state of a matter. A final one waits for nobody and is never left."""

    name: str
    title: str
    title_en: str
    waits: tuple[Waits, ...] = ()
    final: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One row of the table. `source` empty: the step opens the matter.

    `apart_from` are events whose actors may not take it: nobody approves their own act. `guards` name, in words, what
    must hold besides; they are for people, the code of the kind holds them.
    """

    event: str
    source: str
    target: str
    by: tuple[Waits, ...]
    rule_sets: tuple[str, ...]
    apart_from: tuple[str, ...] = ()
    guards: tuple[str, ...] = ()


@dataclass(frozen=True)
class Machine:
    """All states and steps of one kind of matter."""

    kind: MatterKind
    prefix: str
    title: str
    title_en: str
    states: Mapping[str, State]
    steps: tuple[Step, ...]

    def under(self, rule_set: str) -> tuple[Step, ...]:
        """The steps that a matter can come to under `rule_set`, in the order of the file."""
        steps = [step for step in self.steps if rule_set in step.rule_sets]
        reached, waiting = {""}, [""]
        while waiting:
            source = waiting.pop()
            for step in steps:
                if step.source == source and step.target not in reached:
                    reached.add(step.target)
                    waiting.append(step.target)
        return tuple(step for step in steps if step.source in reached)

    def step(self, rule_set: str, source: str, event: str, target: str | None = None) -> Step | None:
        """The row for `event` in `source` under `rule_set`, to `target` where one is given; None: impossible."""
        found = (s for s in self.steps if s.source == source and s.event == event and rule_set in s.rule_sets)
        return next((step for step in found if target is None or step.target == target), None)

    def events(self, rule_set: str, source: str) -> tuple[str, ...]:
        """Events that `source` has under `rule_set`, in the order of the file."""
        return tuple(dict.fromkeys(s.event for s in self.steps if s.source == source and rule_set in s.rule_sets))


@cache
def machine(kind: MatterKind) -> Machine:
    """The machine of `kind`."""
    text = (files("tanglai.catalogue.workflow.tables") / f"{kind.value.lower()}.toml").read_text(encoding="utf-8")
    return _read(tomllib.loads(text))


def machines() -> tuple[Machine, ...]:
    """All machines, in the order of `MatterKind`."""
    return tuple(machine(kind) for kind in MatterKind)


def rows() -> Iterator[tuple[str, str, str, str, str, bool, list[str]]]:
    """The table as the platform database holds it: kind, rule set, from, event, to, final, apart from."""
    for found in machines():
        for rule_set in RULE_SETS:
            for step in found.under(rule_set):
                final = found.states[step.target].final
                yield found.kind.value, rule_set, step.source, step.event, step.target, final, list(step.apart_from)


def _read(data: dict[str, Any]) -> Machine:
    states = {
        name: State(name, it["title"], it["title_en"], _waits(it.get("waits", ())), it.get("final", False))
        for name, it in data["states"].items()
    }
    steps = []
    for it in data["steps"]:
        for source in it["from"]:
            for target in it["to"]:
                step = Step(
                    it["event"],
                    source,
                    source if target == "SAME" else target,
                    _waits(it["by"]),
                    tuple(it.get("rule_sets", RULE_SETS)),
                    tuple(it.get("apart_from", ())),
                    tuple(it.get("guards", ())),
                )
                if (step.source and step.source not in states) or step.target not in states:
                    raise ValueError(f"{data['kind']}: {step.event} leads from or to an unknown state")
                steps.append(step)
    return Machine(
        MatterKind(data["kind"]),
        data["prefix"],
        data["title"],
        data["title_en"],
        MappingProxyType(states),
        tuple(steps),
    )


def _waits(texts: Any) -> tuple[Waits, ...]:
    pairs = (text.split("/") for text in texts)
    return tuple(Waits(Party(party), Role(role)) for party, role in pairs)
