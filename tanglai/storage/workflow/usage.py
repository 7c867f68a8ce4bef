"""In charge of use counted from the audit log: by grant, purpose, client and operation, each record exactly once.

The tables of use are sums over the audit records up to one id. Ids are given before the commit, so a smaller one may
become visible after a greater one; an id counts as settled once every transaction that could hold it or a smaller one
is over.

An export counts with its whole bound when its first record is counted; its last one, if it comes, takes off what was
not delivered, on the day and from the sums of the first, and is no request of its own.

INVARIANT: whoever writes to the log holds ROW EXCLUSIVE on its table from before its rows get their ids until after its
commit is visible. So if the last id given is read first and the holders of that lock second, every record with an id up
to the first is visible, or never will be, once those holders are gone.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from tanglai.storage.database import PlatformDatabase
from tanglai.storage.errors import PolicyUnavailable

_log = logging.getLogger(__name__)

BATCH = 5_000
"""Ids that one transaction counts."""

KEEP_OPERATIONS_DAYS = 400
"""After so many days without use an operation is forgotten; clients and items are not."""

_LOCK = 0x7573_6167_65  # "usage"
_LAST_ID = (
    "SELECT CASE WHEN is_called THEN last_value ELSE 0 END AS id, clock_timestamp() AS at FROM audit_record_id_seq"
)
_WRITERS = """
SELECT coalesce(array_agg(DISTINCT virtualtransaction), '{}') FROM pg_locks
WHERE locktype = 'relation' AND relation = 'audit_record'::regclass AND mode = 'RowExclusiveLock' AND granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_PROGRESS = "SELECT counted, settled, settled_at, pending, pending_at, writers, as_of FROM usage_progress"
_MOVE = """
UPDATE usage_progress SET counted = $1, settled = $2, settled_at = $3, pending = $4, pending_at = $5, writers = $6,
                          as_of = $7
"""

# One statement, so that a batch is counted in all tables or in none; every table is written in the order of its key.
_COUNT = """
WITH batch AS MATERIALIZED (
    SELECT a.id, a.at, (coalesce(i.at, a.at) AT TIME ZONE 'Asia/Shanghai')::date AS day, a.department, a.client,
           coalesce(a.purpose, '') AS purpose, a.operation_hash, coalesce(a.operation_name, '') AS operation_name,
           a.document_kind, a.items, a.grants, a.rows, coalesce(i.rows, '{}') AS counted,
           a.outcome = 'DENIED' AS denied, a.outcome IN ('ALLOWED', 'PARTIAL') AS used,
           a.document_kind <> 'export-end' AS asked
    FROM audit_record a
    LEFT JOIN LATERAL (
        SELECT b.at, b.rows FROM audit_record b
        WHERE b.export = a.export AND b.document_kind = 'export' AND a.document_kind = 'export-end' LIMIT 1) i ON true
    WHERE a.id > $1 AND a.id <= $2 AND a.document_kind NOT IN ('act', 'grant')
), touched AS MATERIALIZED (
    SELECT b.id, b.at, b.day, b.department, b.client, b.purpose, b.operation_hash, b.operation_name, b.document_kind,
           b.denied, b.used, b.asked, r.code AS resource, p.provider,
           coalesce((b.rows ->> r.code)::bigint, 0) - coalesce((b.counted ->> r.code)::bigint, 0) AS rows,
           coalesce(b.items -> r.code, '[]') AS items
    FROM batch b
    CROSS JOIN LATERAL (SELECT jsonb_object_keys(b.items) UNION SELECT jsonb_object_keys(b.rows)) AS r (code)
    LEFT JOIN LATERAL (
        SELECT provider FROM resource_version v WHERE v.code = r.code ORDER BY version DESC LIMIT 1) p ON true
), by_grant AS (
    INSERT INTO grant_use AS held (grant_id, day, requests, rows, last_use)
    SELECT g.id, b.day, count(*) FILTER (WHERE b.asked),
           sum(coalesce((b.rows ->> g.resource)::bigint, 0) - coalesce((b.counted ->> g.resource)::bigint, 0)),
           max(b.at)
    FROM batch b CROSS JOIN LATERAL (SELECT DISTINCT unnest(b.grants)) AS named (id)
    JOIN data_grant g ON g.id = named.id
    WHERE b.used GROUP BY 1, 2 ORDER BY 1, 2
    ON CONFLICT (grant_id, day) DO UPDATE SET requests = held.requests + excluded.requests,
        rows = held.rows + excluded.rows, last_use = greatest(held.last_use, excluded.last_use)
), by_purpose AS (
    INSERT INTO purpose_use AS held (side, department, purpose, day, requests, rows, denied)
    SELECT side, department, purpose, day, count(*) FILTER (WHERE asked), sum(rows), count(*) FILTER (WHERE denied)
    FROM (
        SELECT 'REQUESTER' AS side, id, department, purpose, day, denied, asked, sum(rows) AS rows
        FROM touched GROUP BY id, department, purpose, day, denied, asked
        UNION ALL
        SELECT 'PROVIDER', id, provider, purpose, day, denied, asked, sum(rows)
        FROM touched WHERE provider IS NOT NULL GROUP BY id, provider, purpose, day, denied, asked) AS sides
    GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
    ON CONFLICT (side, department, purpose, day) DO UPDATE SET requests = held.requests + excluded.requests,
        rows = held.rows + excluded.rows, denied = held.denied + excluded.denied
), by_client AS (
    INSERT INTO client_use AS held (resource, department, client, purpose, day, requests, rows, denied, last_use)
    SELECT resource, department, client, purpose, day, count(*) FILTER (WHERE asked), sum(rows),
           count(*) FILTER (WHERE denied), max(at)
    FROM touched GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
    ON CONFLICT (resource, department, client, purpose, day) DO UPDATE SET
        requests = held.requests + excluded.requests, rows = held.rows + excluded.rows,
        denied = held.denied + excluded.denied, last_use = greatest(held.last_use, excluded.last_use)
), by_item AS (
    INSERT INTO item_use AS held (resource, item, department, client, requests, last_use)
    SELECT resource, item, department, client, count(*), max(at)
    FROM touched CROSS JOIN LATERAL jsonb_array_elements_text(items) AS item
    WHERE asked AND NOT denied GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
    ON CONFLICT (resource, item, department, client) DO UPDATE SET
        requests = held.requests + excluded.requests, last_use = greatest(held.last_use, excluded.last_use)
), by_operation AS (
    INSERT INTO operation_use AS held (
        resource, department, client, operation_hash, operation_name, document_kind, items, requests, last_use)
    SELECT t.resource, t.department, t.client, t.operation_hash, t.operation_name, max(t.document_kind),
           coalesce(array_agg(DISTINCT item ORDER BY item) FILTER (WHERE item IS NOT NULL), '{}'),
           count(DISTINCT t.id), max(t.at)
    FROM touched t LEFT JOIN LATERAL jsonb_array_elements_text(t.items) AS item ON true
    WHERE asked AND NOT denied GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
    ON CONFLICT (resource, department, client, operation_hash, operation_name) DO UPDATE SET
        requests = held.requests + excluded.requests, last_use = greatest(held.last_use, excluded.last_use),
        document_kind = excluded.document_kind,
        items = CASE WHEN held.items @> excluded.items THEN held.items ELSE
            ARRAY(SELECT DISTINCT unnest(held.items || excluded.items) ORDER BY 1) END
), entries AS (
    INSERT INTO usage_entry (record, resource, provider, department)
    SELECT id, resource, provider, department FROM touched WHERE asked AND provider IS NOT NULL
), grant_entries AS (
    INSERT INTO grant_entry (grant_id, record) SELECT DISTINCT unnest(grants), id FROM batch WHERE asked
), days AS (
    INSERT INTO record_day AS held (day, first_record) SELECT day, min(id) FROM batch WHERE asked GROUP BY day
    ON CONFLICT (day) DO UPDATE SET first_record = least(held.first_record, excluded.first_record)
)
SELECT count(*) FROM batch
"""
_FORGET = "DELETE FROM operation_use WHERE last_use < now() - make_interval(days => $1)"


@dataclass(frozen=True, slots=True)
class _Progress:
    counted: int
    settled: int
    settled_at: datetime | None
    pending: int | None
    pending_at: datetime | None
    writers: tuple[str, ...]
    as_of: datetime | None


async def roll_up(connection: Any, *, batch: int = BATCH) -> int:
    """Count every settled audit record that is not counted yet, each exactly once; how many they were.

    `connection` is in no transaction. One at a time over all nodes: 0 where another one is at it. A transaction counts
    at most `batch` ids; what is counted stays counted if a later one fails. A record that a transaction still under
    way might come before waits for it, and for a later call.
    """
    total, settle = 0, True
    while True:
        async with connection.transaction(isolation="read_committed"):
            if not await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", _LOCK):
                return total
            row = await connection.fetchrow(_PROGRESS)
            held = _Progress(*row.values())
            at = await _settled(connection, held) if settle else held
            settle = False
            end = min(at.counted + batch, at.settled)
            if end > at.counted:
                total += await connection.fetchval(_COUNT, at.counted, end)
            as_of = at.settled_at if end == at.settled else at.as_of
            now = _Progress(end, at.settled, at.settled_at, at.pending, at.pending_at, at.writers, as_of)
            if now != held:
                await connection.execute(
                    _MOVE,
                    now.counted,
                    now.settled,
                    now.settled_at,
                    now.pending,
                    now.pending_at,
                    list(now.writers),
                    now.as_of,
                )
        if end == at.settled:
            return total


async def _settled(connection: Any, at: _Progress) -> _Progress:
    """`at`, with ids settled as far as they are by now. The order of the two questions is what makes it true."""
    last = await connection.fetchrow(_LAST_ID)
    writers = tuple(await connection.fetchval(_WRITERS))
    settled, settled_at, pending, pending_at, waited = (
        at.settled,
        at.settled_at,
        at.pending,
        at.pending_at,
        at.writers,
    )
    if pending is not None and not set(waited) & set(writers):
        settled, settled_at, pending, pending_at, waited = pending, pending_at, None, None, ()
    if not writers:
        settled, settled_at, pending, pending_at, waited = last["id"], last["at"], None, None, ()
    elif pending is None:
        pending, pending_at, waited = last["id"], last["at"], writers
    return _Progress(at.counted, settled, settled_at, pending, pending_at, waited, at.as_of)


async def forget_operations(connection: Any, days: int = KEEP_OPERATIONS_DAYS) -> int:
    """Forget operations that nobody ran for `days` days; how many."""
    status: str = await connection.execute(_FORGET, days)
    return int(status.rpartition(" ")[2])


async def keep_books(database: PlatformDatabase, *, every: float = 5.0) -> None:
    """Counts use until it is cancelled, every `every` seconds; the platform database may come and go."""
    rounds = 0
    while True:
        try:
            async with database.session() as connection:
                await roll_up(connection)
                if rounds % 1_000 == 0:
                    await forget_operations(connection)
            rounds += 1
        except PolicyUnavailable:
            pass  # what is not counted now is counted later
        except Exception:
            # Nothing else looks after the task; the next round may be better.
            _log.exception("use could not be counted")
        await asyncio.sleep(every)


# --- reading ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class GrantTotal:
    """Use of one grant in a period: answered requests, rows of its resource in their answers, the last of them."""

    requests: int = 0
    rows: int = 0
    last_use: datetime | None = None


@dataclass(frozen=True, slots=True)
class PurposeTotal:
    """Requests that named resources, by purpose (empty: none stated); `denied` are among `requests`."""

    purpose: str
    requests: int
    rows: int
    denied: int


@dataclass(frozen=True, slots=True)
class ClientTotal:
    """A client of a department (credit code) that used a resource or some of its items."""

    department: str
    client: str
    requests: int
    last_use: datetime


@dataclass(frozen=True, slots=True)
class OperationUse:
    """An operation, by the SHA-256 of its document and its name; `items` are those of the resource it asked for."""

    department: str
    client: str
    operation_hash: str
    operation_name: str | None
    document_kind: str
    items: tuple[str, ...]
    requests: int
    last_use: datetime


_GRANTS = """
SELECT grant_id, sum(requests)::bigint AS requests, sum(rows)::bigint AS rows, max(last_use) AS last_use
FROM grant_use WHERE grant_id = ANY($1)
  AND day BETWEEN coalesce($2, '-infinity'::date) AND coalesce($3, 'infinity'::date)
GROUP BY grant_id
"""
_PURPOSES = """
SELECT department, purpose, sum(requests)::bigint AS requests, sum(rows)::bigint AS rows, sum(denied)::bigint AS denied
FROM purpose_use WHERE side = $1 AND department = ANY($2) AND day BETWEEN $3 AND $4
GROUP BY department, purpose ORDER BY department, purpose
"""
_CLIENTS = """
SELECT resource, department, client, sum(requests - denied)::bigint AS requests, max(last_use) AS last_use
FROM client_use WHERE resource = ANY($1) AND day >= $2 AND requests > denied
GROUP BY resource, department, client ORDER BY resource, department, client
"""
_ITEM_CLIENTS = """
SELECT item, department, client, requests, last_use FROM item_use
WHERE resource = $1 AND item = ANY($2) AND last_use >= $3 ORDER BY item, department, client
"""
_OPERATIONS = """
SELECT department, client, operation_hash, nullif(operation_name, '') AS operation_name, document_kind, items, requests,
       last_use
FROM operation_use WHERE resource = $1 AND last_use >= $2 AND ($3::text[] IS NULL OR items && $3)
ORDER BY last_use DESC, department, client, operation_hash, operation_name LIMIT $4
"""
_UNUSED = """
SELECT g.id FROM data_grant g
WHERE g.state = 'ACTIVE' AND ($1::text[] IS NULL OR g.requester = ANY($1)) AND g.valid_from <= $2
  AND NOT EXISTS (SELECT FROM grant_use u WHERE u.grant_id = g.id AND u.day >= $3)
ORDER BY g.id
"""


async def as_of(connection: Any) -> datetime | None:
    """The moment up to which use is counted; None: not yet at all."""
    moment: datetime | None = await connection.fetchval("SELECT as_of FROM usage_progress")
    return moment


async def grants_used(
    connection: Any, ids: Sequence[str], since: date | None = None, until: date | None = None
) -> dict[str, GrantTotal]:
    """Use of each grant of `ids`, from `since` to `until`, both days included; what is not counted yet is left out."""
    rows = await connection.fetch(_GRANTS, list(ids), since, until)
    found = {row["grant_id"]: GrantTotal(row["requests"], row["rows"], row["last_use"]) for row in rows}
    return {id: found.get(id, GrantTotal()) for id in ids}


async def used_by_purpose(
    connection: Any, departments: Sequence[str], since: date, until: date, *, provided: bool = False
) -> dict[str, list[PurposeTotal]]:
    """What each of `departments` asked for from `since` to `until`, or with `provided` what was asked of it."""
    side = "PROVIDER" if provided else "REQUESTER"
    totals: dict[str, list[PurposeTotal]] = {code: [] for code in departments}
    for row in await connection.fetch(_PURPOSES, side, list(departments), since, until):
        totals[row["department"]].append(PurposeTotal(row["purpose"], row["requests"], row["rows"], row["denied"]))
    return totals


async def clients_of(connection: Any, resources: Sequence[str], since: date) -> dict[str, list[ClientTotal]]:
    """The clients to which a request for each of `resources` since a day was not denied."""
    totals: dict[str, list[ClientTotal]] = {code: [] for code in resources}
    for row in await connection.fetch(_CLIENTS, list(resources), since):
        totals[row["resource"]].append(ClientTotal(row["department"], row["client"], row["requests"], row["last_use"]))
    return totals


async def item_clients(
    connection: Any, resource: str, items: Sequence[str], since: datetime
) -> Mapping[str, list[ClientTotal]]:
    """The clients that asked for each of `items` since a moment; `requests` counts all that they ever made."""
    totals: dict[str, list[ClientTotal]] = {item: [] for item in items}
    for row in await connection.fetch(_ITEM_CLIENTS, resource, list(items), since):
        totals[row["item"]].append(ClientTotal(row["department"], row["client"], row["requests"], row["last_use"]))
    return totals


async def operations_of(
    connection: Any, resource: str, since: datetime, items: Sequence[str] | None = None, *, limit: int = 1_000
) -> list[OperationUse]:
    """Operations that asked since a moment for some of `items` (None: for anything) of `resource`, the latest first."""
    rows = await connection.fetch(_OPERATIONS, resource, since, list(items) if items is not None else None, limit)
    return [
        OperationUse(
            row["department"],
            row["client"],
            row["operation_hash"],
            row["operation_name"],
            row["document_kind"],
            tuple(row["items"]),
            row["requests"],
            row["last_use"],
        )
        for row in rows
    ]


async def unused_grants(
    connection: Any, since: datetime, day: date, requesters: Sequence[str] | None = None
) -> list[str]:
    """Ids of active grants, valid since `since` at least, that no answered request used on `day` or later."""
    rows = await connection.fetch(_UNUSED, list(requesters) if requesters is not None else None, since, day)
    return [row["id"] for row in rows]
