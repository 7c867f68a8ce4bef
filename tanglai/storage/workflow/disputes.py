"""In charge of what consultation and coordination share: who is told, and the grant that comes of them."""

from collections.abc import Mapping, Sequence
from typing import Any

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
