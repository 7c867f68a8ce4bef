"""In charge of lists of matters: of one department by kind and state, and what waits for it, by keyset."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from tanglai.catalogue.errors import BadInput
from tanglai.catalogue.workflow.machines import MatterKind, machine
from tanglai.catalogue.workflow.parties import Party
from tanglai.storage.workflow.matters import COLUMNS, VISIBLE, Matter, matter_of

_SIDES = (Party.REQUESTER, Party.PROVIDER, Party.COORDINATOR)
_NEVER = date.max  # how asyncpg gives and takes the date infinity


@dataclass(frozen=True, slots=True)
class MatterFilter:
    """Which matters of a kind: those in which the department is `side`, in one of `states`, of one resource.

    Raises BAD_INPUT for a side that no department is, and for a state that the kind does not have.
    """

    kind: MatterKind
    side: Party | None = None
    states: tuple[str, ...] | None = None
    resource: str | None = None

    def __post_init__(self) -> None:
        if self.side is not None and self.side not in _SIDES:
            raise BadInput(
                f"no department is `{self.side.name}`: `side` is " + " or ".join(f"`{it.name}`" for it in _SIDES)
            )
        known = machine(self.kind).states
        for state in self.states or ():
            if state not in known:
                raise BadInput(f"no state `{state}`: `states` are of " + ", ".join(f"`{it}`" for it in known))


def _where(found: MatterFilter, side: Party) -> str:
    """The condition for one side, so that each side's own index serves. `$2` kind, `$3` states, `$4` resource."""
    known = machine(found.kind).states
    open_only = found.states is not None and not any(known[state].final for state in found.states)
    return (
        f"m.{side.value} = $1 AND m.kind = $2 AND ($3::text[] IS NULL OR m.state = ANY($3)) "
        f"AND ($4::text IS NULL OR m.resource = $4) AND {VISIBLE}" + (" AND NOT m.closed" if open_only else "")
    )


def _arguments(department: str, found: MatterFilter) -> list[Any]:
    states = list(found.states) if found.states is not None else None
    return [department, found.kind.value, states, found.resource]


async def page(
    connection: Any,
    department: str,
    found: MatterFilter,
    *,
    after: str | None,
    before: str | None,
    limit: int,
    last: bool,
) -> list[Matter]:
    """The first (or last) `limit` matters by id that `department` may read, ids between `after` and `before`."""
    order = "DESC" if last else "ASC"
    parts = [
        f"(SELECT {COLUMNS} FROM matter m WHERE {_where(found, side)} AND ($5::text IS NULL OR m.id > $5) "
        f"AND ($6::text IS NULL OR m.id < $6) ORDER BY m.id {order} LIMIT $7)"
        for side in _SIDES
        if found.side in (None, side)
    ]
    rows = await connection.fetch(
        f"SELECT DISTINCT ON (id) * FROM ({' UNION ALL '.join(parts)}) sides ORDER BY id {order} LIMIT $7",
        *_arguments(department, found),
        after,
        before,
        limit,
    )
    matters = [matter_of(row) for row in rows]
    return matters[::-1] if last else matters


async def count(connection: Any, department: str, found: MatterFilter) -> int:
    """How many matters `page` goes through in all."""
    parts = [f"SELECT m.id FROM matter m WHERE {_where(found, side)}" for side in _SIDES if found.side in (None, side)]
    number: int = await connection.fetchval(
        f"SELECT count(*) FROM ({' UNION '.join(parts)}) sides", *_arguments(department, found)
    )
    return number


async def visible(connection: Any, department: str, ids: Sequence[str]) -> dict[str, Matter]:
    """Those of the matters `ids` that `department` may read."""
    rows = await connection.fetch(
        f"SELECT {COLUMNS} FROM matter m WHERE m.id = ANY($2) AND {VISIBLE}", department, list(ids)
    )
    return {row["id"]: matter_of(row) for row in rows}


@dataclass(frozen=True, slots=True)
class Task:
    """What a matter waits for: somebody of `role`; `due_on` None: no rule says until when."""

    matter: Matter
    role: str
    since: datetime
    due_on: date | None

    @property
    def key(self) -> str:
        """Sorts by due date, then by matter and role."""
        return f"{(self.due_on or _NEVER).isoformat()} {self.matter.id} {self.role}"


@dataclass(frozen=True, slots=True)
class Waiting:
    """How much waits for a department: `overdue` of it, the earliest due date, and notices nobody has read."""

    tasks: int
    overdue: int
    next_due: date | None
    unread: int


_DUE = "coalesce(t.due_on, 'infinity'::date)"


async def tasks(
    connection: Any,
    department: str,
    roles: Sequence[str],
    *,
    after: str | None,
    before: str | None,
    limit: int,
    last: bool,
) -> list[Task]:
    """What waits for people of `department` with one of `roles`, by due date; keys as `Task.key`."""
    order = "DESC" if last else "ASC"
    rows = await connection.fetch(
        f"SELECT {COLUMNS}, t.role, t.since, t.due_on FROM matter_task t JOIN matter m ON m.id = t.matter "
        "WHERE t.department = $1 AND t.role = ANY($2) "
        f"AND ($3::date IS NULL OR ({_DUE}, t.matter, t.role) > ($3, $4::text, $5::text)) "
        f"AND ($6::date IS NULL OR ({_DUE}, t.matter, t.role) < ($6, $7::text, $8::text)) "
        f"ORDER BY {_DUE} {order}, t.matter {order}, t.role {order} LIMIT $9",
        department,
        list(roles),
        *_place(after),
        *_place(before),
        limit,
    )
    found = [Task(matter_of(row), row["role"], row["since"], row["due_on"]) for row in rows]
    return found[::-1] if last else found


def _place(key: str | None) -> tuple[date | None, str | None, str | None]:
    """The parts of a key; what is no key is before everything."""
    if key is None:
        return None, None, None
    day, _, rest = key.partition(" ")
    matter, _, role = rest.partition(" ")
    try:
        return date.fromisoformat(day), matter, role
    except ValueError:
        return date.min, "", ""


_WAITING = """
SELECT count(*) AS tasks, count(*) FILTER (WHERE due_on < $3) AS overdue, min(due_on) AS next_due,
       (SELECT count(*) FROM notice n WHERE n.department = $1 AND n.read_at IS NULL
        AND (n.role IS NULL OR n.role = ANY($2))) AS unread
FROM matter_task WHERE department = $1 AND role = ANY($2)
"""


async def waiting(connection: Any, department: str, roles: Sequence[str], today: date) -> Waiting:
    """How much waits for people of `department` with one of `roles`."""
    row = await connection.fetchrow(_WAITING, department, list(roles), today)
    return Waiting(row["tasks"], row["overdue"], row["next_due"], row["unread"])
