"""In charge of reading grants as both sides may: given ones by keyset, and by batches what is known of each."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tanglai.catalogue.model import Grant, GrantState, Resource, Snapshot
from tanglai.catalogue.workflow.grant_life import overseer
from tanglai.catalogue.workflow.parties import competent_department
from tanglai.storage.grants import GrantTransition, newest_resources, of_rows
from tanglai.storage.workflow.matters import COLUMNS, Matter, matter_of

# Codes of published resources come from the catalogue in memory; of those that are retired the newest version tells.
_CODES = """
WITH codes AS (
    SELECT unnest($1::text[]) AS code
    UNION
    SELECT r.code FROM resource r CROSS JOIN LATERAL (
        SELECT provider FROM resource_version v WHERE v.code = r.code ORDER BY version DESC LIMIT 1) v
    WHERE r.version IS NULL AND v.provider = ANY($2) AND ($3::text IS NULL OR r.code = $3)
)
"""
_WHERE = "($4::text IS NULL OR g.requester = $4) AND ($5::text[] IS NULL OR g.state = ANY($5))"
_COUNT = f"{_CODES} SELECT count(*) FROM codes JOIN data_grant g ON g.resource = codes.code WHERE {_WHERE}"
_BY_ID = "SELECT id, resource, state, document FROM data_grant WHERE id = ANY($1)"
_PROVIDERS = """
SELECT DISTINCT ON (code) code, provider FROM resource_version WHERE code = ANY($1) ORDER BY code, version DESC
"""
_BASIS = f"""
SELECT b.grant_id AS of_grant, {COLUMNS} FROM grant_basis b JOIN matter m ON m.id = b.matter WHERE b.grant_id = ANY($1)
"""
_ABOUT = f"""
SELECT m.grant_id AS of_grant, {COLUMNS} FROM matter m
WHERE m.grant_id = ANY($1) AND ((m.kind IN ('SUSPENSION', 'SERVICE_CHANGE') AND NOT m.closed) OR m.kind = 'DISPOSAL')
ORDER BY m.id
"""
_HISTORY = """
SELECT grant_id, from_state, to_state, by, at, reason FROM grant_transition
WHERE grant_id = ANY($1) ORDER BY grant_id, id
"""


@dataclass(frozen=True, slots=True)
class GivenFilter:
    """Which grants: on resources of one of `providers` (credit codes), of one resource, requester, some states."""

    providers: frozenset[str]
    resource: str | None = None
    requester: str | None = None
    states: tuple[GrantState, ...] | None = None


def supervised(snapshot: Snapshot, department: str) -> frozenset[str]:
    """Departments whose competent department `department` is (Art. 4, 8), itself included where it is one."""
    return frozenset(
        code
        for code in snapshot.departments
        if (found := competent_department(snapshot, code)) is not None and found.code == department
    )


def sees(snapshot: Snapshot, grant: Grant, provider: str, department: str) -> bool:
    """Whether `department` may read a grant: its parties, and the competent department of the provider's level."""
    if department in (grant.requester, provider):
        return True
    above = overseer(snapshot, provider, grant.requester)
    return above is not None and above.code == department


async def page(
    connection: Any,
    snapshot: Snapshot,
    found: GivenFilter,
    *,
    after: str | None,
    before: str | None,
    limit: int,
    last: bool,
) -> list[Grant]:
    """The first (or last) `limit` grants by id, ids between `after` and `before`.

    Of each resource at most `limit` rows are read, by its index.
    """
    order = "DESC" if last else "ASC"
    rows = await connection.fetch(
        f"{_CODES} SELECT g.id, g.resource, g.state, g.document FROM codes CROSS JOIN LATERAL ("
        f"SELECT * FROM data_grant g WHERE g.resource = codes.code AND {_WHERE} AND ($6::text IS NULL OR g.id > $6) "
        f"AND ($7::text IS NULL OR g.id < $7) ORDER BY g.id {order} LIMIT $8) g ORDER BY g.id {order} LIMIT $8",
        *_arguments(snapshot, found),
        after,
        before,
        limit,
    )
    grants = list((await _read(connection, snapshot, rows)).values())
    return grants[::-1] if last else grants


async def count(connection: Any, snapshot: Snapshot, found: GivenFilter) -> int:
    """How many grants `page` goes through in all."""
    number: int = await connection.fetchval(_COUNT, *_arguments(snapshot, found))
    return number


async def by_id(connection: Any, snapshot: Snapshot, ids: Sequence[str]) -> dict[str, Grant]:
    """The grants `ids` as they are now, whoever's they are."""
    return await _read(connection, snapshot, await connection.fetch(_BY_ID, list(ids)))


async def providers(connection: Any, codes: Sequence[str]) -> dict[str, str]:
    """The provider of each resource by its newest version, published or retired."""
    return {row["code"]: row["provider"] for row in await connection.fetch(_PROVIDERS, list(codes))}


async def basis(connection: Any, ids: Sequence[str]) -> dict[str, Matter | None]:
    """The matter that each grant rests on; None where it was recorded without one."""
    rows = await connection.fetch(_BASIS, list(ids))
    return dict.fromkeys(ids) | {row["of_grant"]: matter_of(row) for row in rows}


async def about(connection: Any, ids: Sequence[str]) -> dict[str, list[Matter]]:
    """What is open about each grant, suspension and service change, and its disposal, also a stated one."""
    found: dict[str, list[Matter]] = {id: [] for id in ids}
    for row in await connection.fetch(_ABOUT, list(ids)):
        found[row["of_grant"]].append(matter_of(row))
    return found


async def histories(connection: Any, ids: Sequence[str]) -> dict[str, list[GrantTransition]]:
    """Every step of each grant, the oldest first."""
    found: dict[str, list[GrantTransition]] = {id: [] for id in ids}
    for row in await connection.fetch(_HISTORY, list(ids)):
        before = GrantState(row["from_state"]) if row["from_state"] else None
        step = GrantTransition(
            row["grant_id"], before, GrantState(row["to_state"]), row["by"], row["at"], row["reason"]
        )
        found[row["grant_id"]].append(step)
    return found


def _arguments(snapshot: Snapshot, found: GivenFilter) -> list[Any]:
    codes = [
        resource.code
        for resource in snapshot.resources.values()
        if resource.provider in found.providers and found.resource in (None, resource.code)
    ]
    states = [state.value for state in found.states] if found.states is not None else None
    return [codes, sorted(found.providers), found.resource, found.requester, states]


async def _read(connection: Any, snapshot: Snapshot, rows: Sequence[Any]) -> dict[str, Grant]:
    codes = {row["resource"] for row in rows}
    resources: Mapping[str, Resource] = {code: snapshot.resources[code] for code in codes if code in snapshot.resources}
    if len(resources) < len(codes):
        resources = {**resources, **await newest_resources(connection, codes - resources.keys())}
    read = await asyncio.to_thread(of_rows, rows, resources)
    return {grant.id: grant for grant in read}
