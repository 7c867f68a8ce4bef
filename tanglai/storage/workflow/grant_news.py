"""In charge of what follows from a grant's change: who is told, and the disposal that is owed once it is over."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tanglai.catalogue.model import Grant, GrantState, Snapshot
from tanglai.catalogue.rules import rule_set
from tanglai.catalogue.workflow.errors import NotFound
from tanglai.catalogue.workflow.grant_life import disposal_owed, overseer
from tanglai.catalogue.workflow.machines import MatterKind
from tanglai.catalogue.workflow.parties import Role
from tanglai.storage.workflow.matters import COLUMNS, Matter, matter_of
from tanglai.storage.workflow.work import Work

BATCH = 50
"""Grants of one transaction: whoever suspends one waits for it."""

_NEWS = """
DELETE FROM grant_news WHERE id IN (
    SELECT id FROM grant_news WHERE ($1::text IS NULL OR grant_id = $1) ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED)
RETURNING id, grant_id, to_state, by, reason, at
"""
_PARTIES = """
SELECT g.id, g.requester, g.resource, g.state, v.provider,
       EXISTS (SELECT FROM matter m WHERE m.grant_id = g.id AND m.kind = 'DISPOSAL') AS disposal
FROM data_grant g CROSS JOIN LATERAL (
    SELECT provider FROM resource_version v WHERE v.code = g.resource ORDER BY version DESC LIMIT 1) v
WHERE g.id = ANY($1)
"""
_OF_GRANT = f"SELECT {COLUMNS} FROM matter m WHERE m.grant_id = $1 AND m.kind = $2 AND NOT m.closed"
_KINDS = {
    GrantState.SUSPENDED: "GRANT_SUSPENDED",
    GrantState.ACTIVE: "GRANT_RESUMED",
    GrantState.ENDED: "GRANT_ENDED",
    GrantState.EXPIRED: "GRANT_EXPIRED",
}
"""Kinds of the notices of a state."""


@dataclass(frozen=True, slots=True)
class Held:
    """A grant with its parties: `coordinator` is whom the provider's department answers to, None where nobody is."""

    grant: Grant
    provider: str
    coordinator: str | None


async def held(work: Work, id: str) -> Held:
    """The grant `id` as one of its parties may know it; the act holds Lock.GRANTS. Raises NotFound."""
    grant = await work.grant(id)
    resource = await work.resource(grant.resource) if grant is not None else None
    if grant is None or resource is None:
        raise NotFound("grant", id)
    above = overseer(work.acting.snapshot, resource.provider, grant.requester)
    found = Held(grant, resource.provider, above.code if above is not None else None)
    if work.acting.department not in (grant.requester, found.provider, found.coordinator):
        raise NotFound("grant", id)
    return found


async def open_of(work: Work, grant: str, kind: MatterKind) -> Matter | None:
    """The open matter of `kind` about a grant."""
    row = await work.connection.fetchrow(_OF_GRANT, grant, kind.value)
    return matter_of(row) if row is not None else None


async def tell(work: Work, grant: str | None = None, *, matter: str | None = None, limit: int = BATCH) -> int:
    """Tells both departments of what changed with `grant`, by default with any; how many changes those were.

    Where it is over and the rule set has it so, the disposal that the requester owes is opened (Order 809 Art. 25). The
    act holds Lock.GRANTS. Of changes that another transaction is telling nothing is told here.
    """
    rows = sorted(await work.connection.fetch(_NEWS, grant, limit), key=lambda row: row["id"])
    known = await work.connection.fetch(_PARTIES, list({row["grant_id"] for row in rows})) if rows else []
    parties = {row["id"]: row for row in known}
    disposed = {id for id, row in parties.items() if row["disposal"]}
    for row in rows:
        of = parties[row["grant_id"]]
        if of["state"] in ("ENDED", "EXPIRED") and row["to_state"] == of["state"] and of["id"] not in disposed:
            disposed.add(of["id"])
            await _owe(work, of)
        document = {"state": row["to_state"], "by": row["by"], "reason": row["reason"], "at": _text(row["at"])}
        told = dict.fromkeys(((of["requester"], Role.APPLICANT), (of["provider"], Role.REVIEWER)))
        for department, role in told:
            if department != work.acting.department:
                await work.notify(
                    department,
                    _KINDS[GrantState(row["to_state"])],
                    role=role,
                    matter=matter,
                    grant=of["id"],
                    resource=of["resource"],
                    document=document,
                )
    return len(rows)


async def _owe(work: Work, of: Any) -> None:
    acting = work.acting
    if not disposal_owed(rule_set(acting.snapshot.rule_set)):
        return
    await work.open(
        MatterKind.DISPOSAL,
        "OPEN",
        requester=of["requester"],
        provider=of["provider"],
        coordinator=_above(acting.snapshot, of) if acting.department not in (of["requester"], of["provider"]) else None,
        resource=of["resource"],
        grant=of["id"],
        brought_about=True,  # whoever may end the grant may open what is owed by it
    )


def _above(snapshot: Snapshot, of: Any) -> str | None:
    found = overseer(snapshot, of["provider"], of["requester"])
    return found.code if found is not None else None


def _text(moment: datetime) -> str:
    return moment.isoformat()
