"""In charge of whom entries would hit: what they break, and the grants, clients and operations that rest on it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from tanglai.catalogue.documents import DocumentError, grant_from_document
from tanglai.catalogue.documents_grant import SHANGHAI
from tanglai.catalogue.model import Grant, Resource, Snapshot
from tanglai.catalogue.quotas import day_of
from tanglai.catalogue.workflow.versions import Break, Hit, breaks, hits, with_versions
from tanglai.storage.rows import decode
from tanglai.storage.workflow import usage
from tanglai.storage.workflow.usage import OperationUse

LOOK_BACK = timedelta(days=400)
"""Clients and operations that used nothing of it for longer are not counted."""

MOST_OPERATIONS = 1_000


@dataclass(frozen=True, slots=True)
class GrantHit:
    grant: str
    requester: str
    resource: str
    hits: tuple[Hit, ...]


@dataclass(frozen=True, slots=True)
class ClientHit:
    """A client of a department (credit code) that used what breaks of a resource. `requests`: all it ever made."""

    resource: str
    department: str
    client: str
    requests: int
    last_use: datetime


@dataclass(frozen=True, slots=True)
class Impact:
    """What publication breaks. `mark` names it: it changes with what breaks and the grants hit, not with mere use.

    `operations` stand by resource; of those that the platform remembers the latest come first.
    """

    mark: str
    breaks: tuple[Break, ...]
    grants: tuple[GrantHit, ...]

    @property
    def harmless(self) -> bool:
        return not self.breaks and not self.grants


_LIVE = """
SELECT requester, state, document FROM data_grant
WHERE resource = ANY($1) AND state IN ('ACTIVE', 'SUSPENDED') ORDER BY id
"""


async def impact(connection: Any, snapshot: Snapshot, new: Mapping[str, Resource | None]) -> Impact:
    """What it breaks that the resources `new` (by code; None: retired) are published over `snapshot`."""
    after = with_versions(snapshot, new)
    changed = [code for code in sorted(new) if code in snapshot.resources]
    found = breaks(snapshot, after, changed)
    hit = [
        GrantHit(grant.id, grant.requester, grant.resource, lost)
        for grant in await _live(connection, snapshot, changed)
        if (lost := hits(grant, new[grant.resource]))
    ]
    return Impact(_mark(found, hit), found, tuple(hit))


async def _live(connection: Any, snapshot: Snapshot, codes: Sequence[str]) -> list[Grant]:
    grants = []
    for row in await connection.fetch(_LIVE, list(codes)) if codes else []:
        try:
            grants.append(grant_from_document(decode(row["document"]) | {"state": row["state"]}, snapshot.resources))
        except DocumentError:
            continue  # it opens nothing already, see grants.py
    return grants


def _mark(found: Sequence[Break], hit: Sequence[GrantHit]) -> str:
    text = json.dumps(
        [
            sorted([it.impact.value, it.resource, it.coordinate, it.words] for it in found),
            sorted([it.grant, [[lost.loss.value, lost.name] for lost in it.hits]] for it in hit),
        ],
        ensure_ascii=False,
    )
    return hashlib.sha256(text.encode()).hexdigest()[:16]


async def clients(connection: Any, found: Impact, today: date) -> list[ClientHit]:
    """Clients that used what breaks, by resource, department and client."""
    since = _since(today)
    merged: dict[tuple[str, str, str], ClientHit] = {}
    for resource, parts in _used(found).items():
        if parts is None:
            totals = (await usage.clients_of(connection, [resource], day_of(since)))[resource]
        else:
            by_item = await usage.item_clients(connection, resource, parts, since)
            totals = [total for of_item in by_item.values() for total in of_item]
        for total in totals:
            key = (resource, total.department, total.client)
            known = merged.get(key)
            requests, last_use = total.requests, total.last_use
            if known is not None:
                requests, last_use = max(requests, known.requests), max(last_use, known.last_use)
            merged[key] = ClientHit(*key, requests, last_use)
    return [merged[key] for key in sorted(merged)]


async def operations(connection: Any, found: Impact, today: date) -> list[tuple[str, OperationUse]]:
    """Operations that used what breaks, each with its resource, the latest of each resource first."""
    since = _since(today)
    told: list[tuple[str, OperationUse]] = []
    for resource, parts in _used(found).items():
        uses = await usage.operations_of(connection, resource, since, parts, limit=MOST_OPERATIONS)
        told += [(resource, use) for use in uses]
    return told


def _since(today: date) -> datetime:
    return datetime.combine(today, datetime.min.time(), SHANGHAI) - LOOK_BACK


def _used(found: Impact) -> dict[str, list[str] | None]:
    """Resource -> the parts whose use is hit; None: any use."""
    parts: dict[str, set[str] | None] = {}
    for it in found.breaks:
        known = parts.setdefault(it.resource, set())
        parts[it.resource] = None if known is None or not it.parts else known | set(it.parts)
    return {resource: None if names is None else sorted(names) for resource, names in sorted(parts.items())}
