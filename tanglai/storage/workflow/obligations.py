"""In charge of obligations to bring a catalogue up to date after a change of law or functions (Art. 8; O17)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from tanglai.catalogue.model import Snapshot
from tanglai.catalogue.rules import DeadlineKind
from tanglai.catalogue.workflow.errors import InvalidAct, NotPermitted, Problem, ProblemCode
from tanglai.catalogue.workflow.machines import MatterKind
from tanglai.catalogue.workflow.parties import Acting, Role, competent_department
from tanglai.storage.workflow.desk import Desk
from tanglai.storage.workflow.matters import Matter
from tanglai.storage.workflow.work import Work

OBLIGATION = MatterKind.OBLIGATION
MOST = 500
"""Departments and resources that one change of law names."""

MOST_CHARACTERS = 4_000


@dataclass(frozen=True, slots=True)
class LegalChange:
    """A change of law or functions: what changed, where it stands, on which day, and whom it touches.

    `departments` are credit codes or keys, `resources` codes of what is to be looked at.
    """

    title: str
    changed_on: date
    departments: tuple[str, ...]
    article: str = ""
    resources: tuple[str, ...] = ()
    note: str = ""


async def open_all(desk: Desk, acting: Acting, change: LegalChange, *, key: str | None = None) -> list[Matter]:
    """One obligation for each department that the change touches, due by the day of the change (it may be overdue).

    A supervisor opens them for the departments of its own level and area, a cataloguer for its own department. Raises
    InvalidAct, NotPermitted.
    """
    async with desk.work(acting) as work:
        departments = _departments(change, work)
        return [await _open(work, change, department, key) for department in departments]


async def _open(work: Work, change: LegalChange, department: str, key: str | None) -> Matter:
    competent = competent_department(work.acting.snapshot, department)
    mine = [code for code in change.resources if _concerns(work.acting.snapshot, code, department)]
    matter = await work.open(
        OBLIGATION,
        "OPEN",
        provider=department,
        coordinator=competent.code if competent is not None else None,
        document={
            "title": change.title,
            "article": change.article,
            "changedOn": change.changed_on.isoformat(),
            "resources": mine,
            "note": change.note,
        },
        reason=change.note,
        key=f"{key}/{department}" if key is not None else None,
    )
    if matter.version > 1 or matter.closed or await _clocked(work, matter):
        return matter  # opened by an earlier request of this name
    await work.start_deadline(matter, DeadlineKind.OBLIGATION, department, event_day=change.changed_on)
    late = await work.connection.fetchval(_FLAG, matter.id, work.today, work.acting.now)
    if department != work.acting.department:
        kind = "OBLIGATION_OVERDUE" if late is not None else "OBLIGATION_OPENED"
        await work.notify(department, kind, role=Role.CATALOGUER, matter=matter.id, document={"title": change.title})
    return matter


_FLAG = """
UPDATE deadline SET flagged_at = $3 WHERE matter = $1 AND ended_on IS NULL AND due_on < $2 RETURNING due_on
"""


async def _clocked(work: Work, matter: Matter) -> bool:
    known: bool = await work.connection.fetchval("SELECT EXISTS (SELECT FROM deadline WHERE matter = $1)", matter.id)
    return known


def _concerns(snapshot: Snapshot, code: str, department: str) -> bool:
    resource = snapshot.resources.get(code)
    return resource is not None and department in (resource.provider, resource.compiler)


def _departments(change: LegalChange, work: Work) -> list[str]:
    """The credit codes of those touched, each once. Raises InvalidAct, NotPermitted."""
    acting, snapshot = work.acting, work.acting.snapshot
    problems = list(_problems(change, work))
    codes: dict[str, None] = {}
    for place, named in enumerate(change.departments):
        found = snapshot.department_by_key.get(named) or snapshot.departments.get(named)
        if found is None or not found.active:
            message = f"no active department `{named}`"
            problems.append(Problem(("departments", str(place)), ProblemCode.UNKNOWN, message))
        else:
            codes[found.code] = None
    for place, code in enumerate(change.resources):
        if code not in snapshot.resources:
            problems.append(Problem(("resources", str(place)), ProblemCode.UNKNOWN, f"no resource `{code}`"))
        elif not any(_concerns(snapshot, code, department) for department in codes):
            message = f"resource `{code}` is of none of these departments"
            problems.append(Problem(("resources", str(place)), ProblemCode.NOT_ALLOWED, message))
    if problems:
        raise InvalidAct(problems)
    for code in codes:
        competent = competent_department(snapshot, code)
        supervises = acting.holds(Role.SUPERVISOR) and competent is not None and competent.code == acting.department
        if not supervises and not (acting.holds(Role.CATALOGUER) and code == acting.department):
            message = f"`{snapshot.departments[code].key}` is supervised by the competent department of its level"
            raise NotPermitted(message, roles=(Role.SUPERVISOR, Role.CATALOGUER), article="Art. 8")
    return list(codes)


def _problems(change: LegalChange, work: Work) -> Sequence[Problem]:
    problems = []
    if not change.title.strip():
        problems.append(Problem(("title",), ProblemCode.MISSING, "say what changed", "Art. 8"))
    if not change.departments:
        problems.append(Problem(("departments",), ProblemCode.MISSING, "say whom it touches", "Art. 8"))
    texts: Mapping[str, Any] = {"title": change.title, "article": change.article, "note": change.note}
    for name, text in texts.items():
        if len(text) > MOST_CHARACTERS:
            problems.append(Problem((name,), ProblemCode.MALFORMED, f"longer than {MOST_CHARACTERS:,} characters"))
    for name, given in (("departments", change.departments), ("resources", change.resources)):
        if len(given) > MOST:
            problems.append(Problem((name,), ProblemCode.MALFORMED, f"more than {MOST}"))
    if change.changed_on > work.today:
        problems.append(Problem(("changedOn",), ProblemCode.NOT_ALLOWED, "the change is yet to come", "Art. 8"))
    return problems


async def cancel(desk: Desk, acting: Acting, id: str, version: int, reason: str) -> Matter:
    """It was opened in error, or there is nothing to bring up to date. Raises InvalidAct without a reason."""
    if not reason.strip():
        raise InvalidAct([Problem(("reason",), ProblemCode.MISSING, "say why")])
    async with desk.work(acting) as work:
        matter = await work.matter(OBLIGATION, id, version)
        matter = await work.take(matter, "CANCEL", reason=reason)
        assert matter.provider is not None
        await work.notify(matter.provider, "OBLIGATION_CANCELLED", role=Role.CATALOGUER, matter=id)
        return matter


async def require_open(work: Work, ids: Sequence[str], department: str) -> None:
    """Nothing, where each of `ids` is an open obligation of `department`; else raises InvalidAct."""
    rows = await work.connection.fetch(
        "SELECT id, closed FROM matter WHERE id = ANY($1) AND kind = 'OBLIGATION' AND provider = $2",
        list(ids),
        department,
    )
    closed = {row["id"]: row["closed"] for row in rows}
    problems = []
    for place, id in enumerate(ids):
        if id not in closed:
            message = f"no obligation `{id}`"
            problems.append(Problem(("obligations", str(place)), ProblemCode.UNKNOWN, message))
        elif closed[id]:
            message = f"obligation `{id}` is over"
            problems.append(Problem(("obligations", str(place)), ProblemCode.NOT_ALLOWED, message))
    if problems:
        raise InvalidAct(problems)


async def meet(work: Work, ids: Sequence[str], entry: Matter) -> None:
    """Closes what is still open of the obligations that `entry` names; under whichever rules they were opened."""
    for id in sorted(ids):
        matter = await work.other(id)
        if matter.state == "OPEN" and matter.provider == entry.provider:
            given = {"entry": entry.id, "resource": entry.resource}
            matter = await work.take(matter, "MEET", given=given, brought_about=True)
            await work.end_deadline(matter, DeadlineKind.OBLIGATION, met=True)
