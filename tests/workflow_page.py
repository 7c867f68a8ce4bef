"""In charge of docs/workflow.md: the states and steps of every kind of matter, written from their tables.

`python -m tests.workflow_page` writes the page; a test holds it to the tables.
"""

from collections.abc import Mapping
from pathlib import Path

from schema.fixed.workflow.steps import mutations_of
from tanglai.catalogue.rules import rule_set
from tanglai.catalogue.workflow.machines import RULE_SETS, Machine, MatterKind, Step, machines

PAGE = Path(__file__).parent.parent / "docs" / "workflow.md"
_SHORT = {"ningxia-measures": "Measures", "order-809": "Order 809"}

_HEAD = """# The law's work

Everything that the law wants done is a **matter**: an application, a catalogue entry, an obligation, a consultation,
a coordination, a correction, a suspension, a change of a service, an extension, a disposal. A matter has parties
(requester, provider, competent department), a state, a version, and an **event** for each of its steps that says who,
when and why. Whom it waits for has a **task** in the inbox; what is due has a **deadline**, counted in working days
by the rule set that the matter was opened under, whatever holds later. What somebody is told and need not answer is a
**notice**.

- A step that is not in the tables below is impossible: the program has no way to take it, and the platform database
  refuses it by itself (`workflow_step`, trigger `take_step`).
- Steps are taken by a department in a role that the token names. **Nobody approves their own act**: a step that is
  kept apart from others is refused to whoever took one of those on the same matter, by the program and by the
  database.
- A matter tells whom it waits for (`waitsFor`), which steps the token could take (`mySteps`), and by which mutations
  (`myMutations`): by department, role and what was done before. What else must hold is told when it is tried.
- Mutations name the version that the decision was made on. Of two at once the second is told `Conflict`, with who was
  faster.
- Results are typed: the changed matter, or `InvalidAct` (every problem at once, with field, code and article),
  `NotPermitted`, `WrongState`, `NotFound`, `Conflict`. What went wrong changed nothing.
- Creating mutations take a `key`: a request that is sent again under its key opens nothing new and gives the first
  one's matter.
- Each event writes its record into the audit log in the same transaction (`document_kind` is `act`).
- Silence grants nothing. A missed deadline is flagged, told to both sides, and counted in
  [supervision](supervision.md).

The diagrams and tables are written from `tanglai/catalogue/workflow/tables/` by `python -m tests.workflow_page`.
"""


def page() -> str:
    """The page's text."""
    return "\n".join([_HEAD, *(_section(machine) for machine in machines())])


def _section(machine: Machine) -> str:
    parts = [f"## {machine.title} · {machine.title_en}\n", f"Kind `{machine.kind}`, numbers `{machine.prefix}-…`.\n"]
    known = [rules for rules in RULE_SETS if machine.under(rules)]
    tables = {rules: _edges(machine, rules) for rules in known}
    if len(set(tables.values())) == 1:
        title = "Under both rule sets" if len(known) == len(RULE_SETS) else f"Under {_SHORT[known[0]]} only"
        parts.append(f"{title}:\n\n{_diagram(machine, known[0])}")
    else:
        parts += [f"Under {rule_set(rules).title_en}:\n\n{_diagram(machine, rules)}" for rules in known]
    parts.append(_table(machine))
    return "\n".join(parts)


def _edges(machine: Machine, rules: str) -> tuple[tuple[str, str, str], ...]:
    return tuple((step.source, step.event, step.target) for step in machine.under(rules))


def _diagram(machine: Machine, rules: str) -> str:
    lines = ["```mermaid", "stateDiagram-v2"]
    used = dict.fromkeys(state for source, _, target in _edges(machine, rules) for state in (source, target) if state)
    lines += [f"    {name} : {machine.states[name].title} {name}" for name in used]
    lines += [f"    {source or '[*]'} --> {target} : {event}" for source, event, target in _edges(machine, rules)]
    lines += [f"    {name} --> [*]" for name in used if machine.states[name].final]
    return "\n".join([*lines, "```\n"])


def _table(machine: Machine) -> str:
    lines = [
        "| event | from | to | by | rule set | what must hold | mutation |",
        "| ----- | ---- | -- | -- | -------- | -------------- | -------- |",
    ]
    rows: dict[tuple[str, str, str, str, str, str], list[list[str]]] = {}
    for step in machine.steps:
        names = ", ".join(f"`{name}`" for name in _taking(machine, step)) or "–"
        key = (
            step.event,
            _by(step),
            _rules(step),
            _guards(step),
            names,
            step.target if step.source != step.target else "",
        )
        sources, targets = rows.setdefault(key, [[], []])
        for listed, name in ((sources, step.source or "–"), (targets, step.target)):
            if name not in listed:
                listed.append(name)
    for (event, by, rules, guards, taking, _), (sources, targets) in rows.items():
        same = sources == targets and len(sources) > 1
        to = "the same" if same else _listed(targets)
        lines.append(f"| `{event}` | {_listed(sources)} | {to} | {by} | {rules} | {guards} | {taking} |")
    return "\n".join([*lines, ""])


OPENING: Mapping[MatterKind, tuple[str, ...]] = {
    MatterKind.APPLICATION: ("createApplication", "apply"),
    MatterKind.ENTRY: ("createEntry", "retireResource", "importCatalogue"),
    MatterKind.OBLIGATION: ("openObligations",),
    MatterKind.CONSULTATION: ("openConsultation",),
    MatterKind.COORDINATION: ("escalateConsultation", "escalateServiceChange"),
    MatterKind.CORRECTION: ("reportCorrection",),
    MatterKind.SUSPENSION: ("suspendGrant",),
    MatterKind.SERVICE_CHANGE: ("proposeServiceChange",),
    MatterKind.EXTENSION: ("requestExtension",),
    MatterKind.DISPOSAL: ("disposeOfGrant",),
}
"""Mutations that open a matter of the kind."""
ELSEWHERE: Mapping[str, tuple[str, ...]] = {"MEET": ("publishEntry", "submitEntry"), "EXTEND": ("decideExtension",)}
"""Mutations of another matter that take a step of this one."""


def _taking(machine: Machine, step: Step) -> tuple[str, ...]:
    if not step.source:
        return OPENING[machine.kind]
    return mutations_of(machine.kind, step.event, step.source) or ELSEWHERE.get(step.event, ())


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" if name != "–" else name for name in names)


def _by(step: Step) -> str:
    return " or ".join(f"{waits.party}, `{waits.role}`" for waits in step.by)


def _rules(step: Step) -> str:
    return "both" if set(step.rule_sets) == set(RULE_SETS) else ", ".join(_SHORT[rules] for rules in step.rule_sets)


def _guards(step: Step) -> str:
    held = list(step.guards)
    if step.apart_from:
        held.append("by somebody else than " + ", ".join(f"`{event}`" for event in step.apart_from))
    return "; ".join(held) or "–"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
