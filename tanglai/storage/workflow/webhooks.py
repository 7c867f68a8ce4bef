"""In charge of webhooks: who registered which, and the deliveries that several nodes take on between them."""

import random
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from tanglai.catalogue.workflow.errors import InvalidAct, NotFound, NotPermitted, Problem, ProblemCode, WrongState
from tanglai.catalogue.workflow.machines import MatterKind
from tanglai.catalogue.workflow.parties import Acting, Role
from tanglai.catalogue.workflow.webhooks import (
    KEPT_DAYS,
    LEASE_SECONDS,
    MAX_ATTEMPTS,
    MOST_WEBHOOKS,
    AllowedHosts,
    DeliveryState,
    kind_problems,
    wait_after,
)
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.keys import KeyStoreError, MasterKey
from tanglai.storage.workflow.desk import Desk
from tanglai.storage.workflow.work import Work

KEY_NAME = "webhook"
"""The key of the key store under which secrets are sealed."""
WAKE_KEY = "webhooks"
"""The feed's key: there are new deliveries."""
SECRET_BYTES = 32
ADMINISTRATOR = Role.CLIENT_ADMINISTRATOR


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where a department is told. `kinds` empty: all events; `removed_at` None: it is active."""

    id: str
    department: str
    url: str
    kinds: tuple[str, ...]
    created_at: datetime
    created_by: str
    removed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event for one webhook. `last_status` is HTTP's, None where no answer came; then `last_problem` says why."""

    id: str
    webhook: str
    event: str
    matter: str | None
    notice: int | None
    role: str | None
    due_on: date | None
    at: datetime
    state: DeliveryState
    attempts: int
    next_attempt_at: datetime | None
    last_attempt_at: datetime | None
    last_status: int | None
    last_problem: str | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """A delivery that this node has taken on, with where it goes and what signs it (hexadecimal text, as shown)."""

    delivery: Delivery
    department: str
    url: str
    secret: str
    matter_kind: MatterKind | None = None


_WEBHOOK = "w.id, w.department, w.url, w.kinds, w.created_at, w.created_by, w.removed_at"
_DELIVERY = (
    "d.id, d.webhook, d.event, d.matter, d.notice, d.role, d.due_on, d.at, d.state, d.attempts, d.next_attempt_at, "
    "d.last_attempt_at, d.last_status, d.last_problem"
)
_ACT = """
INSERT INTO audit_record (request_id, at, department, client, person, purpose, operation_name, operation_hash,
                          document_kind, paths, items, grants, rows, outcome, codes, duration_us, node)
VALUES ($1, $2, $3, $4, $5, NULL, $6, '', 'act', $7, '{}', '{}', '{}', 'ALLOWED', '{}', 0, $8)
"""


# --- acts ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hooks:
    """What webhooks need besides a desk: the database, whose key store seals their secrets, and where they may go."""

    database: PlatformDatabase
    hosts: AllowedHosts


async def register(desk: Desk, acting: Acting, hooks: Hooks, url: str, kinds: Sequence[str]) -> tuple[Webhook, str]:
    """A new webhook of the actor's department, and its secret, which is never shown again.

    Raises NotPermitted without the role client-administrator, InvalidAct for an address that the operator does not
    allow, unknown events, and one webhook too many.
    """
    key = (await hooks.database.keys(KEY_NAME))[0]  # before the act: nobody holds one connection and waits for another
    async with desk.work(acting) as work:
        _require(work)
        problems = kind_problems(kinds)
        refusal = hooks.hosts.refusal(url)
        if refusal is not None:
            problems.insert(0, Problem(("url",), ProblemCode.NOT_ALLOWED, refusal))
        if problems:
            raise InvalidAct(problems)
        # Two registrations at once: the second waits here, so that the number holds.
        lock = f"webhook/{acting.department}"
        await work.connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", lock)
        held = await work.connection.fetchval(
            "SELECT count(*) FROM webhook WHERE department = $1 AND removed_at IS NULL", acting.department
        )
        if held >= MOST_WEBHOOKS:
            message = f"a department has at most {MOST_WEBHOOKS} webhooks: remove one"
            raise InvalidAct([Problem((), ProblemCode.NOT_ALLOWED, message)])
        id, secret = f"W-{secrets.token_hex(8)}", secrets.token_hex(SECRET_BYTES)
        webhook = Webhook(id, acting.department, url, tuple(dict.fromkeys(kinds)), acting.now, acting.name, None)
        await work.connection.execute(
            "INSERT INTO webhook (id, department, url, kinds, sealed, sealed_under, created_at, created_by) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            id,
            webhook.department,
            url,
            list(webhook.kinds),
            MasterKey(key.secret).seal(id, secret.encode()),
            key.id,
            webhook.created_at,
            webhook.created_by,
        )
        await _recorded(work, "REGISTER_WEBHOOK", id)
        return webhook, secret


async def remove(desk: Desk, acting: Acting, id: str) -> Webhook:
    """The webhook `id` of the actor's department, removed; what was to be delivered to it is dead.

    Raises NotPermitted, NotFound.
    """
    async with desk.work(acting) as work:
        _require(work)
        row = await work.connection.fetchrow(
            "UPDATE webhook w SET removed_at = $3, removed_by = $4 WHERE w.id = $1 AND w.department = $2 "
            f"AND w.removed_at IS NULL RETURNING {_WEBHOOK}",
            id,
            acting.department,
            acting.now,
            acting.name,
        )
        if row is None:
            raise NotFound("webhook", id)
        await work.connection.execute(
            "UPDATE webhook_delivery SET state = 'DEAD', next_attempt_at = NULL, "
            "last_problem = 'the webhook was removed' WHERE webhook = $1 AND state = 'PENDING'",
            id,
        )
        await _recorded(work, "REMOVE_WEBHOOK", id)
        return _webhook_of(row)


async def retry(desk: Desk, acting: Acting, id: str) -> Delivery:
    """The dead delivery `id` of the actor's department, to be tried again from the start.

    Raises NotPermitted, NotFound (also where its webhook was removed), WrongState where it is not dead.
    """
    async with desk.work(acting) as work:
        _require(work)
        row = await work.connection.fetchrow(
            "SELECT d.state FROM webhook_delivery d JOIN webhook w ON w.id = d.webhook WHERE d.id = $1 "
            "AND w.department = $2 AND w.removed_at IS NULL FOR UPDATE OF d",
            id,
            acting.department,
        )
        if row is None:
            raise NotFound("delivery", id)
        if row["state"] != DeliveryState.DEAD:
            raise WrongState(f"the delivery `{id}` is `{row['state']}`: the dead are retried", state=row["state"])
        row = await work.connection.fetchrow(
            "UPDATE webhook_delivery d SET state = 'PENDING', attempts = 0, next_attempt_at = clock_timestamp() "
            f"WHERE id = $1 RETURNING {_DELIVERY}",
            id,
        )
        await work.connection.execute("SELECT pg_notify('tanglai_work', $1)", WAKE_KEY)
        await _recorded(work, "RETRY_WEBHOOK_DELIVERY", id)
        return _delivery_of(row)


def _require(work: Work) -> None:
    """Nothing, for an administrator whose token is not narrowed: a webhook tells of all resources."""
    work.require(work.acting.department, ADMINISTRATOR)
    if not work.acting.covers(None):
        raise NotPermitted("the token is narrowed to some resources", article="Art. 11(1)")


async def _recorded(work: Work, event: str, id: str) -> None:
    acting = work.acting
    await work.connection.execute(
        _ACT,
        acting.request_id,
        acting.now,
        acting.department,
        acting.client,
        acting.person,
        event,
        [f"webhook/{id}/{event}"],
        acting.node,
    )


# --- reading -------------------------------------------------------------------------------------------------------


async def webhooks(connection: Any, department: str) -> list[Webhook]:
    """The active webhooks of `department`, by id."""
    rows = await connection.fetch(
        f"SELECT {_WEBHOOK} FROM webhook w WHERE department = $1 AND removed_at IS NULL ORDER BY id", department
    )
    return [_webhook_of(row) for row in rows]


def delivery_key(delivery: Delivery) -> str:
    """Sorts by time, then by id."""
    return f"{delivery.at.isoformat()} {delivery.id}"


async def deliveries(
    connection: Any,
    webhook: str,
    states: Sequence[DeliveryState] | None,
    *,
    after: str | None,
    before: str | None,
    limit: int,
    last: bool,
) -> list[Delivery]:
    """The first (or last) `limit` deliveries of `webhook`, in one of `states`, by `delivery_key`."""
    order = "DESC" if last else "ASC"
    rows = await connection.fetch(
        f"SELECT {_DELIVERY} FROM webhook_delivery d WHERE d.webhook = $1 "
        "AND ($2::text[] IS NULL OR d.state = ANY($2)) "
        "AND ($3::timestamptz IS NULL OR (d.at, d.id) > ($3, $4::text)) "
        "AND ($5::timestamptz IS NULL OR (d.at, d.id) < ($5, $6::text)) "
        f"ORDER BY d.at {order}, d.id {order} LIMIT $7",
        webhook,
        _states(states),
        *_place(after),
        *_place(before),
        limit,
    )
    found = [_delivery_of(row) for row in rows]
    return found[::-1] if last else found


async def count(connection: Any, webhook: str, states: Sequence[DeliveryState] | None) -> int:
    """How many deliveries `deliveries` goes through in all."""
    number: int = await connection.fetchval(
        "SELECT count(*) FROM webhook_delivery WHERE webhook = $1 AND ($2::text[] IS NULL OR state = ANY($2))",
        webhook,
        _states(states),
    )
    return number


def _states(states: Sequence[DeliveryState] | None) -> list[str] | None:
    return None if states is None else [state.value for state in states]


def _place(key: str | None) -> tuple[datetime | None, str]:
    """The parts of a key; what is no key is before everything."""
    if key is None:
        return None, ""
    moment, _, id = key.partition(" ")
    try:
        at = datetime.fromisoformat(moment)
    except ValueError:
        at = None
    return (at, id) if at is not None and at.tzinfo is not None else (_BEGINNING, "")


_BEGINNING = datetime.fromisoformat("0001-01-02T00:00:00+00:00")


# --- delivering ----------------------------------------------------------------------------------------------------

# Of each webhook a few at most, so that one that does not answer leaves room for the others.
_TAKE = f"""
UPDATE webhook_delivery t
SET attempts = t.attempts + 1, last_attempt_at = clock_timestamp(), next_attempt_at = clock_timestamp() + $3::interval
FROM (
    SELECT due.id, w.department, w.url, w.sealed, w.sealed_under FROM webhook w CROSS JOIN LATERAL (
        SELECT d.id FROM webhook_delivery d
        WHERE d.webhook = w.id AND d.state = 'PENDING' AND d.next_attempt_at <= clock_timestamp()
        ORDER BY d.next_attempt_at
        LIMIT greatest($2 - coalesce((SELECT b.count FROM unnest($4::text[], $5::integer[]) b (id, count)
                                      WHERE b.id = w.id), 0), 0)
        FOR UPDATE SKIP LOCKED
    ) due WHERE w.removed_at IS NULL LIMIT $1
) taken WHERE t.id = taken.id
RETURNING {_DELIVERY.replace("d.", "t.")}, taken.department, taken.url, taken.sealed, taken.sealed_under,
          (SELECT m.kind FROM matter m WHERE m.id = t.matter) AS matter_kind
"""
PER_WEBHOOK = 4


async def take(database: PlatformDatabase, limit: int, under_way: Mapping[str, int] | None = None) -> list[Attempt]:
    """Up to `limit` deliveries that are due, for this node alone until LEASE_SECONDS have passed.

    At most PER_WEBHOOK of each webhook, those included that are `under_way`: their number by webhook.
    A node that dies in between leaves them to another one: an event may come twice, with the same id, and is never
    lost. Raises KeyStoreError where a secret cannot be opened.
    """
    busy = under_way or {}
    async with database.session() as connection:
        rows = await connection.fetch(
            _TAKE, limit, PER_WEBHOOK, timedelta(seconds=LEASE_SECONDS), list(busy), list(busy.values())
        )
    if not rows:
        return []
    keys = {record.id: MasterKey(record.secret) for record in await database.keys(KEY_NAME)}
    attempts = []
    for row in rows:
        key = keys.get(row["sealed_under"])
        if key is None:
            raise KeyStoreError(f"the secret of webhook `{row['webhook']}` is sealed under a key that is not kept")
        secret = key.open(row["webhook"], row["sealed"]).decode()
        kind = MatterKind(row["matter_kind"]) if row["matter_kind"] is not None else None
        attempts.append(Attempt(_delivery_of(row), row["department"], row["url"], secret, kind))
    return attempts


async def settle(
    database: PlatformDatabase, attempt: Attempt, status: int | None, problem: str | None
) -> DeliveryState:
    """What came of an attempt: a status of 2xx delivers it; else it is tried again later, or dead after the last try.

    Nothing changes where the attempt is not this node's any more.
    """
    delivery = attempt.delivery
    if status is not None and 200 <= status < 300:
        state, wait = DeliveryState.DELIVERED, None
    elif delivery.attempts >= MAX_ATTEMPTS:
        state, wait = DeliveryState.DEAD, None
    else:
        state, wait = DeliveryState.PENDING, timedelta(seconds=wait_after(delivery.attempts, random.random()))
    async with database.session() as connection:
        await connection.execute(
            "UPDATE webhook_delivery SET state = $3, next_attempt_at = clock_timestamp() + $4::interval, "
            "last_status = $5, last_problem = $6 WHERE id = $1 AND attempts = $2 AND state = 'PENDING'",
            delivery.id,
            delivery.attempts,
            state.value,
            wait,
            status,
            problem,
        )
    return state


async def next_due(database: PlatformDatabase) -> float | None:
    """Seconds until the next delivery is due, 0 where one is; None where none is pending."""
    async with database.session() as connection:
        left: float | None = await connection.fetchval(
            "SELECT extract(epoch FROM min(due.at) - clock_timestamp())::float8 FROM webhook w CROSS JOIN LATERAL ("
            "SELECT min(d.next_attempt_at) AS at FROM webhook_delivery d WHERE d.webhook = w.id AND d.state = 'PENDING'"
            ") due WHERE w.removed_at IS NULL"
        )
    return None if left is None else max(left, 0.0)


async def forget_delivered(database: PlatformDatabase) -> int:
    """Deletes what was delivered more than KEPT_DAYS ago; how many."""
    async with database.session() as connection:
        done: str = await connection.execute(
            "DELETE FROM webhook_delivery "
            "WHERE state = 'DELIVERED' AND last_attempt_at < clock_timestamp() - $1::interval",
            timedelta(days=KEPT_DAYS),
        )
    return int(done.rpartition(" ")[2])


def _webhook_of(row: Any) -> Webhook:
    return Webhook(
        row["id"],
        row["department"],
        row["url"],
        tuple(row["kinds"]),
        row["created_at"],
        row["created_by"],
        row["removed_at"],
    )


def _delivery_of(row: Any) -> Delivery:
    return Delivery(
        row["id"],
        row["webhook"],
        row["event"],
        row["matter"],
        row["notice"],
        row["role"],
        row["due_on"],
        row["at"],
        DeliveryState(row["state"]),
        row["attempts"],
        row["next_attempt_at"],
        row["last_attempt_at"],
        row["last_status"],
        row["last_problem"],
    )
