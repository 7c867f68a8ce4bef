"""In charge of grants as rows: reading a requester's, recording new ones, and their states with who, when and why."""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from tanglai.catalogue.documents import DocumentError, grant_from_document, grant_to_document, resource_from_document
from tanglai.catalogue.model import Grant, GrantBasis, GrantState, Resource, ShareClass
from tanglai.storage.cubes import refuse_overlaps
from tanglai.storage.epochs import GRANTS, LOCK_GRANTS, SHARE_CATALOGUE
from tanglai.storage.errors import Refused
from tanglai.storage.masks import refuse_disclosures
from tanglai.storage.rows import decode, encode, readable
from tanglai.storage.transitions import GRANT_TRANSITIONS

_log = logging.getLogger(__name__)
_BATCH = 5_000
_READ_SECONDS = 5.0
_INLINE = 500  # more rows than these, at 15 µs each, are converted in a thread


@dataclass(frozen=True, slots=True)
class DepartmentGrants:
    """All grants of one requester, in every state, ordered by id, as one statement saw them.

    `epoch`: the grants epoch at the last change of one of them, 0 before the first; `as_of`: the grants epoch when they
    were read. `resources`: resource code -> the given resource that scopes were read against, None where none was
    given.
    """

    department: str
    epoch: int
    as_of: int
    grants: tuple[Grant, ...]
    resources: Mapping[str, Resource | None]


@dataclass(frozen=True, slots=True)
class PutReport:
    """`number`: the grants epoch afterwards. `kept`: known grants whose state here is not the given one, left alone."""

    number: int
    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GrantTransition:
    """One step in a grant's history. `before` None: it was recorded; equal to `after`: its terms changed."""

    grant: str
    before: GrantState | None
    after: GrantState
    by: str
    at: datetime
    reason: str


_OF_DEPARTMENT = """
SELECT e.value AS as_of, coalesce(d.value, 0) AS epoch, g.id, g.resource, g.state, g.document
FROM epoch e
LEFT JOIN department_epoch d ON d.department = $1
LEFT JOIN data_grant g ON g.requester = $1
WHERE e.name = 'grants' ORDER BY g.id
"""
_NEWEST = """
SELECT DISTINCT ON (code) code, version, published_at, document FROM resource_version
WHERE code = ANY($1) ORDER BY code, version DESC
"""


async def load(connection: Any, department: str, resources: Mapping[str, Resource]) -> DepartmentGrants:
    """The grants of the requester with credit code `department`, scopes read against `resources`.

    Where a resource is not among them, its newest version serves, published or not.
    """
    rows = await connection.fetch(_OF_DEPARTMENT, department, timeout=_READ_SECONDS)
    as_of, epoch = rows[0]["as_of"], rows[0]["epoch"]
    rows = [row for row in rows if row["id"] is not None]
    given = {code: resources.get(code) for code in {row["resource"] for row in rows}}
    known = {code: resource for code, resource in given.items() if resource is not None}
    if len(known) < len(given):
        known |= await newest_resources(connection, given.keys() - known.keys())
    grants = await asyncio.to_thread(of_rows, rows, known) if len(rows) > _INLINE else of_rows(rows, known)
    return DepartmentGrants(department, epoch, as_of, grants, given)


async def find(connection: Any, id: str, resources: Mapping[str, Resource]) -> Grant | None:
    """The grant `id`, whoever's it is, read as `load` reads; None for an unknown one, or one that cannot be read."""
    row = await connection.fetchrow("SELECT id, resource, state, document FROM data_grant WHERE id = $1", id)
    if row is None:
        return None
    known = {row["resource"]: resources[row["resource"]]} if row["resource"] in resources else {}
    found = of_rows([row], known or await newest_resources(connection, [row["resource"]]))
    return found[0] if found else None


async def newest_resources(connection: Any, codes: Iterable[str]) -> dict[str, Resource]:
    """The newest version of each resource, retired ones included; unknown codes are left out."""
    codes = list(codes)
    rows = await connection.fetch(_NEWEST, codes, timeout=_READ_SECONDS) if codes else []
    return await asyncio.to_thread(lambda: {row["code"]: resource_of(row) for row in rows}) if rows else {}


def resource_of(row: Any) -> Resource:
    """The resource in a row with version, published_at and document."""
    resource = resource_from_document(decode(row["document"]))
    return replace(resource, version=row["version"], published_at=row["published_at"])


def of_rows(rows: Sequence[Any], resources: Mapping[str, Resource]) -> tuple[Grant, ...]:
    """The grants in rows with id, resource, state and document, scopes read against `resources`, by code."""
    grants = []
    for row in rows:
        try:
            grant = grant_from_document(decode(row["document"]) | {"state": row["state"]}, resources)
            grants.append(_within_basis(grant, resources[grant.resource]))
        except DocumentError as error:
            # INVARIANT: a grant that cannot be read opens nothing. Publication and recording prevent it; what is left
            # is a database written by a newer program.
            _log.error("grant %s cannot be read and opens nothing: %s", row["id"], error)
    return tuple(grants)


def _within_basis(grant: Grant, resource: Resource) -> Grant:
    """`grant` as its basis lets it hold.

    INVARIANT: a grant of transition opens what is unconditional in the catalogue that it is read against; an item that
    has become conditional since needs an application like any other.
    """
    if grant.basis is not GrantBasis.TRANSITION:
        return grant
    items = {item.name for item in resource.items if item.share_class is ShareClass.UNCONDITIONAL}
    relations = {
        relation.name
        for relation in resource.relations
        if relation.share_class is ShareClass.UNCONDITIONAL and items.issuperset(relation.items)
    }
    return replace(grant, items=grant.items & items, relations=grant.relations & relations)


_PUT = """
INSERT INTO data_grant AS old (id, requester, resource, purpose, state, valid_from, valid_to, document)
SELECT id, requester, resource, purpose, state, valid_from, valid_to, document::jsonb
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::timestamptz[],
            $8::text[]) AS new (id, requester, resource, purpose, state, valid_from, valid_to, document)
ON CONFLICT (id) DO UPDATE
SET requester = excluded.requester, resource = excluded.resource, purpose = excluded.purpose,
    valid_from = excluded.valid_from, valid_to = excluded.valid_to, document = excluded.document
WHERE old.document <> excluded.document
RETURNING id
"""


async def put(connection: Any, grants: Sequence[Grant], *, by: str, reason: str) -> PutReport:
    """See `PlatformDatabase.put_grants`. `connection` is in no transaction."""
    twice = [key for key, count in Counter(grant.id for grant in grants).items() if count > 1]
    if twice:
        raise Refused(f"grant `{twice[0]}` is given twice")
    added: list[str] = []
    changed: list[str] = []
    kept: list[str] = []
    resources: dict[str, Resource] = {}
    async with connection.transaction():
        await connection.fetchval(SHARE_CATALOGUE)
        await connection.fetchval(LOCK_GRANTS)
        await _say(connection, by, reason)
        for start in range(0, len(grants), _BATCH):
            batch = grants[start : start + _BATCH]
            resources |= await newest_resources(connection, {grant.resource for grant in batch} - resources.keys())
            documents = await asyncio.to_thread(_encode, batch, resources)
            ids = [grant.id for grant in batch]
            states = dict(await connection.fetch("SELECT id, state FROM data_grant WHERE id = ANY($1)", ids))
            written = await connection.fetch(
                _PUT,
                ids,
                [grant.requester for grant in batch],
                [grant.resource for grant in batch],
                [grant.purpose for grant in batch],
                [grant.state.value for grant in batch],
                [grant.valid_from for grant in batch],
                [grant.valid_to for grant in batch],
                documents,
            )
            for row in written:
                (changed if row["id"] in states else added).append(row["id"])
            kept += [grant.id for grant in batch if states.get(grant.id, grant.state.value) != grant.state.value]
        await refuse_overlaps(connection, grants, resources)
        await refuse_disclosures(connection, grants, {*added, *changed})
        return PutReport(await connection.fetchval(GRANTS), tuple(added), tuple(changed), tuple(kept))


def _encode(grants: Sequence[Grant], resources: Mapping[str, Resource]) -> list[str]:
    documents = []
    for grant in grants:
        try:
            document = grant_to_document(grant)
        except DocumentError as error:
            raise Refused(f"grant `{grant.id}` is not of its form: {error}") from error
        del document["state"]
        text = encode("grant", grant.id, document)
        readable("grant", grant.id, text, lambda d: grant_from_document(d, resources))
        documents.append(text)
    return documents


async def set_state(connection: Any, grant: str, state: GrantState, *, by: str, reason: str) -> int:
    """See `PlatformDatabase.set_grant_state`. `connection` is in no transaction."""
    if not reason:
        raise Refused("a change of a grant's state says why")
    async with connection.transaction():
        await connection.fetchval(LOCK_GRANTS)
        await _say(connection, by, reason)
        old = await connection.fetchval("SELECT state FROM data_grant WHERE id = $1", grant)
        if old is None:
            raise Refused(f"unknown grant `{grant}`")
        if (GrantState(old), state) not in GRANT_TRANSITIONS:
            raise Refused(f"grant `{grant}` cannot go from state `{old}` to `{state}`")
        await connection.execute("UPDATE data_grant SET state = $2 WHERE id = $1", grant, state.value)
        number: int = await connection.fetchval(GRANTS)
        return number


_EXPIRE = """
UPDATE data_grant SET state = 'EXPIRED'
WHERE state IN ('ACTIVE', 'SUSPENDED') AND valid_to <= clock_timestamp() RETURNING id
"""


async def expire(connection: Any, *, by: str) -> tuple[str, ...]:
    """See `PlatformDatabase.expire_grants`. `connection` is in no transaction."""
    async with connection.transaction():
        await connection.fetchval(LOCK_GRANTS)
        await _say(connection, by, "the end of its validity is reached")
        return tuple(sorted(row["id"] for row in await connection.fetch(_EXPIRE)))


async def history(connection: Any, grant: str) -> tuple[GrantTransition, ...]:
    """Every step of a grant, the oldest first; empty for an unknown one."""
    rows = await connection.fetch(
        "SELECT from_state, to_state, by, at, reason FROM grant_transition WHERE grant_id = $1 ORDER BY id", grant
    )
    return tuple(
        GrantTransition(
            grant,
            GrantState(row["from_state"]) if row["from_state"] else None,
            GrantState(row["to_state"]),
            row["by"],
            row["at"],
            row["reason"],
        )
        for row in rows
    )


async def _say(connection: Any, by: str, reason: str) -> None:
    # Read by the trigger that writes the history.
    if not by:
        raise Refused("a change of a grant says who makes it")
    await connection.execute(
        "SELECT set_config('tanglai.by', $1, true), set_config('tanglai.reason', $2, true)", by, reason
    )
