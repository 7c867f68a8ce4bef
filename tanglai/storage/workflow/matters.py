"""In charge of matters as rows: what one is, and reading them with their events and deadlines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from tanglai.catalogue.workflow.machines import Machine, MatterKind, State, machine
from tanglai.catalogue.workflow.parties import Acting, Party
from tanglai.storage.rows import decode


@dataclass(frozen=True, slots=True)
class Matter:
    """One matter as a row. Departments are credit codes; `document` holds what was given, in the form of its kind."""

    id: str
    kind: MatterKind
    rule_set: str
    rule_version: int
    state: str
    version: int
    closed: bool
    requester: str | None
    provider: str | None
    coordinator: str | None
    resource: str | None
    grant: str | None
    parent: str | None
    opened_at: datetime
    changed_at: datetime
    document: Mapping[str, Any]

    @property
    def machine(self) -> Machine:
        return machine(self.kind)

    @property
    def standing(self) -> State:
        return self.machine.states[self.state]

    def department(self, party: Party) -> str | None:
        """Credit code of a party; None where there is none, and for the platform."""
        parties = {
            Party.REQUESTER: self.requester,
            Party.PROVIDER: self.provider,
            Party.COORDINATOR: self.coordinator,
        }
        return parties.get(party)


@dataclass(frozen=True, slots=True)
class MatterEvent:
    """One step of a matter: who, when, why, and what was given. `department` None: the platform itself."""

    matter: str
    version: int
    event: str
    before: str
    after: str
    party: Party
    role: str
    department: str | None
    client: str
    person: str | None
    at: datetime
    reason: str
    given: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Deadline:
    """One deadline of a matter. `days` counts working days; `ended` None: it runs; `met`: what was due was done."""

    matter: str
    kind: str
    department: str
    rule_set: str
    rule_version: int
    days: int
    extended_days: int
    started_on: date
    paused_on: date | None
    due_on: date
    provisional: bool
    ended_on: date | None
    met: bool | None
    flagged_at: datetime | None

    def overdue(self, today: date) -> bool:
        """Whether it was missed: over before what was due was done."""
        if self.ended_on is None:
            return self.paused_on is None and self.due_on < today
        return bool(self.met) and self.due_on < self.ended_on


COLUMNS = (
    "m.id, m.kind, m.rule_set, m.rule_version, m.state, m.version, m.closed, m.requester, m.provider, m.coordinator, "
    "m.resource, m.grant_id, m.parent, m.opened_at, m.changed_at, m.document"
)


def matter_of(row: Any) -> Matter:
    """The matter in a row with `COLUMNS`."""
    return Matter(
        row["id"],
        MatterKind(row["kind"]),
        row["rule_set"],
        row["rule_version"],
        row["state"],
        row["version"],
        row["closed"],
        row["requester"],
        row["provider"],
        row["coordinator"],
        row["resource"],
        row["grant_id"],
        row["parent"],
        row["opened_at"],
        row["changed_at"],
        decode(row["document"]),
    )


def event_of(row: Any) -> MatterEvent:
    return MatterEvent(
        row["matter"],
        row["version"],
        row["event"],
        row["from_state"],
        row["to_state"],
        Party(row["party"]),
        row["role"],
        row["department"],
        row["client"],
        row["person"],
        row["at"],
        row["reason"],
        decode(row["document"]),
    )


def deadline_of(row: Any) -> Deadline:
    return Deadline(
        row["matter"],
        row["kind"],
        row["department"],
        row["rule_set"],
        row["rule_version"],
        row["days"],
        row["extended_days"],
        row["started_on"],
        row["paused_on"],
        row["due_on"],
        row["provisional"],
        row["ended_on"],
        row["met"],
        row["flagged_at"],
    )


async def find(connection: Any, id: str) -> Matter | None:
    """The matter `id`, whoever asks."""
    row = await connection.fetchrow(f"SELECT {COLUMNS} FROM matter m WHERE m.id = $1", id)
    return matter_of(row) if row is not None else None


async def events(connection: Any, ids: Sequence[str]) -> dict[str, list[MatterEvent]]:
    """Every step of each of the matters `ids`, the oldest first."""
    rows = await connection.fetch("SELECT * FROM matter_event WHERE matter = ANY($1) ORDER BY matter, version", ids)
    return _by_matter(ids, [event_of(row) for row in rows])


async def deadlines(connection: Any, ids: Sequence[str]) -> dict[str, list[Deadline]]:
    """The deadlines of each of the matters `ids`, the oldest first."""
    rows = await connection.fetch("SELECT * FROM deadline WHERE matter = ANY($1) ORDER BY matter, id", ids)
    return _by_matter(ids, [deadline_of(row) for row in rows])


async def children(connection: Any, ids: Sequence[str], kind: MatterKind) -> dict[str, list[Matter]]:
    """The matters of `kind` that came of each of the matters `ids`, the oldest first."""
    rows = await connection.fetch(
        f"SELECT {COLUMNS} FROM matter m WHERE m.parent = ANY($1) AND m.kind = $2 ORDER BY m.id", list(ids), kind.value
    )
    found: dict[str, list[Matter]] = {id: [] for id in ids}
    for row in rows:
        found[row["parent"]].append(matter_of(row))
    return found


def steps_for(matter: Matter, acting: Acting, taken: Sequence[MatterEvent]) -> tuple[str, ...]:
    """The steps that the actor may take on `matter` now, whose events so far are `taken`.

    By party, role and table; without those that are kept apart from the actor's own acts, those that are taken once,
    and answers to what nobody asked for. What else must hold is told when the step is tried.
    """
    names = {event.event for event in taken}
    own = {
        event.event
        for event in taken
        if event.department == acting.department and acting.is_same(event.client, event.person)
    }
    return tuple(
        dict.fromkeys(
            step.event
            for step in matter.machine.under(matter.rule_set)
            if step.source == matter.state
            and any(matter.department(by.party) == acting.department and acting.holds(by.role) for by in step.by)
            and not own.intersection(step.apart_from)
            and not ("once" in step.guards and step.event in names)
            and not ("asked for" in step.guards and "TELL_MISSING" not in names)
        )
    )


def _by_matter(ids: Sequence[str], found: Sequence[Any]) -> dict[str, list[Any]]:
    grouped: dict[str, list[Any]] = {id: [] for id in ids}
    for entry in found:
        grouped[entry.matter].append(entry)
    return grouped


def visible_to(matter: Matter, department: str) -> bool:
    """Whether `department` may read the matter: its parties, and what was drafted and not sent its author alone."""
    author = matter.requester if matter.kind is MatterKind.APPLICATION else matter.provider
    if matter.state in _DRAFTED.get(matter.kind, ()) or (matter.state == "WITHDRAWN" and UNSENT in matter.document):
        return department == author
    return department in (matter.requester, matter.provider, matter.coordinator)


UNSENT = "unsent"
"""Member of the document of what was withdrawn before anybody else was shown it."""
_DRAFTED = {
    MatterKind.APPLICATION: frozenset({"DRAFT", "CONSENTED"}),
    MatterKind.ENTRY: frozenset({"DRAFT", "APPROVED"}),
}
VISIBLE = f"""(m.requester = $1 OR m.provider = $1 OR m.coordinator = $1)
AND NOT (m.kind = 'APPLICATION' AND m.requester <> $1
         AND (m.state IN ('DRAFT', 'CONSENTED') OR m.state = 'WITHDRAWN' AND m.document ? '{UNSENT}'))
AND NOT (m.kind = 'ENTRY' AND m.provider <> $1
         AND (m.state IN ('DRAFT', 'APPROVED') OR m.state = 'WITHDRAWN' AND m.document ? '{UNSENT}'))"""
"""The same as a condition on rows of `matter m`, `$1` the department; a test holds the two together."""
