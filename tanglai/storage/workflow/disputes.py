"""In charge of what consultation and coordination share: who is told, and the grant that comes of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from tanglai.catalogue.model import Grant
from tanglai.catalogue.workflow.parties import Party, Role
from tanglai.storage.workflow.matters import Matter
from tanglai.storage.workflow.work import Work

ROLES: Mapping[Party, Role] = {
    Party.REQUESTER: Role.APPLICANT,
    Party.PROVIDER: Role.REVIEWER,
    Party.COORDINATOR: Role.COORDINATOR,
}
"""Who speaks for a party to a dispute."""


async def tell_others(
    work: Work,
    matter: Matter,
    kind: str,
    *,
    but: Sequence[Party] = (),
    document: Mapping[str, Any] | None = None,
) -> None:
    """A notice to each party of a dispute that is not the actor, and not in `but`."""
    for party, role in ROLES.items():
        department = matter.department(party)
        if department is not None and department != work.acting.department and party not in but:
            await work.notify(
                department,
                kind,
                role=role,
                matter=matter.id,
                grant=matter.grant,
                resource=matter.resource,
                document=document,
            )


async def grant_on(work: Work, matter: Matter, grant: Grant) -> Matter:
    """`matter` with `grant`, which rests on it and holds from the commit on; the act holds Lock.GRANTS."""
    await work.record_grant(matter, grant, reason=f"{matter.id}: {matter.standing.title_en}")
    await work.connection.execute("UPDATE matter SET grant_id = $2 WHERE id = $1", matter.id, grant.id)
    return replace(matter, grant=grant.id)


async def commit_time(work: Work) -> datetime:
    """From when a grant holds. The request's own moment may run ahead a little of that of whoever asks next."""
    now: datetime = await work.connection.fetchval("SELECT clock_timestamp()")
    return min(now, work.acting.now)
