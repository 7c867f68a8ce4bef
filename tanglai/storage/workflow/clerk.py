"""In charge of what the platform does by itself about deadlines: reminders at fixed points, and flags when missed.

Nothing is granted, refused or closed by silence; what is missed is flagged once, told to both sides, and counted.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from tanglai.catalogue.rules import rule_set
from tanglai.catalogue.workflow.machines import RULE_SETS
from tanglai.catalogue.workflow.parties import Acting, Party, Role
from tanglai.storage.workflow.desk import Desk
from tanglai.storage.workflow.matters import COLUMNS, Matter, matter_of
from tanglai.storage.workflow.work import Work

BATCH = 500
"""Deadlines looked after in one act."""

_MISSED = f"""
SELECT d.id AS deadline, d.kind AS deadline_kind, d.department, d.due_on, {COLUMNS}
FROM deadline d JOIN matter m ON m.id = d.matter
WHERE d.ended_on IS NULL AND d.paused_on IS NULL AND d.due_on < $1 AND d.flagged_at IS NULL
ORDER BY d.due_on, d.id LIMIT $2 FOR UPDATE OF d SKIP LOCKED
"""
_NEAR = f"""
SELECT d.id AS deadline, d.kind AS deadline_kind, d.department, d.due_on, {COLUMNS}
FROM deadline d JOIN matter m ON m.id = d.matter
WHERE d.ended_on IS NULL AND d.paused_on IS NULL AND d.rule_set = $1 AND d.due_on BETWEEN $2 AND $3
AND (d.reminded IS NULL OR d.reminded > $4)
ORDER BY d.due_on, d.id LIMIT $5 FOR UPDATE OF d SKIP LOCKED
"""


async def flag_missed(desk: Desk, acting: Acting) -> int:
    """Flags deadlines that were missed, each once, and tells whose they are and whoever waits; how many.

    `acting` is the platform. Safe with several nodes at once: each takes what no other has in hand.
    """
    return await _all(desk, acting, _flag)


async def remind(desk: Desk, acting: Acting) -> int:
    """Reminds at the fixed points of each deadline's rule set, each point once; how many reminders were sent.

    The nearest point first: where several are reached at once, the others are not told any more.
    """
    sent = 0
    for rules in RULE_SETS:
        for point in sorted(rule_set(rules).reminders):
            sent += await _all(desk, acting, partial(_remind, rules=rules, point=point))
    return sent


async def _all(desk: Desk, acting: Acting, once: Callable[[Work], Awaitable[int]]) -> int:
    done = 0
    while True:
        async with desk.work(acting) as work:
            seen = await once(work)
        done += seen
        if seen < BATCH:
            return done


async def _flag(work: Work) -> int:
    rows = await work.connection.fetch(_MISSED, work.today, BATCH)
    for row in rows:
        matter = matter_of(row)
        await work.connection.execute(
            "UPDATE deadline SET flagged_at = $2 WHERE id = $1", row["deadline"], work.acting.now
        )
        told = {"deadline": row["deadline_kind"], "dueOn": row["due_on"].isoformat()}
        await work.notify(
            row["department"],
            "DEADLINE_MISSED",
            role=role_of(matter, row["department"]),
            matter=matter.id,
            resource=matter.resource,
            document=told,
        )
        for other in {matter.requester, matter.coordinator} - {None, row["department"]}:
            assert other is not None
            await work.notify(
                other,
                "DEADLINE_MISSED_BY_OTHER",
                role=role_of(matter, other),
                matter=matter.id,
                resource=matter.resource,
                document={**told, "department": row["department"]},
            )
    return len(rows)


async def _remind(work: Work, *, rules: str, point: int) -> int:
    last = work.calendar.due(work.today, point).day
    rows = await work.connection.fetch(_NEAR, rules, work.today, last, point, BATCH)
    for row in rows:
        matter = matter_of(row)
        await work.connection.execute("UPDATE deadline SET reminded = $2 WHERE id = $1", row["deadline"], point)
        await work.notify(
            row["department"],
            "DEADLINE_NEAR",
            role=role_of(matter, row["department"]),
            matter=matter.id,
            resource=matter.resource,
            document={
                "deadline": row["deadline_kind"],
                "dueOn": row["due_on"].isoformat(),
                "workingDaysLeft": work.calendar.elapsed(work.today, row["due_on"]),
            },
        )
    return len(rows)


def role_of(matter: Matter, department: str) -> Role | None:
    """Who of `department` has to do with the matter where it stands, or else opened it; None: everybody."""
    for waits in matter.standing.waits:
        if matter.department(waits.party) == department:
            return waits.role
    return _ROLES.get(_party(matter, department))


def _party(matter: Matter, department: str) -> Party | None:
    parties = (Party.PROVIDER, Party.REQUESTER, Party.COORDINATOR)
    return next((party for party in parties if matter.department(party) == department), None)


_ROLES: Mapping[Party | None, Role] = {
    Party.REQUESTER: Role.APPLICANT,
    Party.PROVIDER: Role.REVIEWER,
    Party.COORDINATOR: Role.COORDINATOR,
}
