"""In charge of the rule sets' periods: which one is in force when, and the use that goes on at a switch."""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, TypeVar

from tanglai.catalogue.documents_base import DocumentError
from tanglai.catalogue.documents_grant import SHANGHAI, grant_from_document
from tanglai.catalogue.model import Grant, GrantBasis, GrantState, OrganisationKind, ShareClass, Snapshot, Zone
from tanglai.catalogue.quotas import day_of
from tanglai.catalogue.rules import DeadlineKind, RuleSet, rule_set
from tanglai.storage import grants
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.epochs import RULE_SETS, SHARE_CATALOGUE
from tanglai.storage.errors import Refused
from tanglai.storage.rows import decode

T = TypeVar("T")

_HISTORY = "SELECT * FROM rule_set_period WHERE zone = $1 ORDER BY from_at, id"
_BEFORE = """
SELECT rule_set FROM rule_set_period WHERE zone = $1 AND from_at <= $2 AND id <> $3
ORDER BY from_at DESC, id DESC LIMIT 1
"""
_NOW = "SELECT clock_timestamp()"
_SWITCH = """
INSERT INTO rule_set_period (zone, rule_set, from_at, by, reason, recorded_at) VALUES ($1, $2, $3, $4, $5, $6)
RETURNING *
"""
# One writer at a time, so that each sees the periods of those before.
_ALONE = "LOCK TABLE rule_set_period IN SHARE ROW EXCLUSIVE MODE"
_USED = """
SELECT a.department, r.resource, a.purpose, array_agg(DISTINCT n.name) AS names
FROM audit_record a, jsonb_each(a.items) AS r (resource, names), jsonb_array_elements_text(r.names) AS n (name)
WHERE a.at >= $1 AND a.outcome IN ('ALLOWED', 'PARTIAL')
GROUP BY a.department, r.resource, a.purpose
"""
_USED_SECONDS = 600.0
_KNOWN = "SELECT id, state, document FROM data_grant WHERE id = ANY($1)"
_TRIES = 5
_OPEN_STATES = (GrantState.ACTIVE.value, GrantState.SUSPENDED.value)


@dataclass(frozen=True, slots=True)
class RuleSetPeriod:
    """From `from_at` on, aware, the nodes of `zone` follow `rule_set`, until the next period."""

    id: int
    zone: Zone
    rule_set: str
    from_at: datetime
    by: str
    reason: str
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Use of unconditional items for which no grant could be recorded, and why."""

    department: str
    resource: str
    purpose: str | None
    why: str


@dataclass(frozen=True, slots=True)
class ContinueReport:
    """Ids of grants of transition: recorded now, with more items than before, and as they were."""

    added: tuple[str, ...]
    widened: tuple[str, ...]
    kept: int
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True, slots=True)
class SwitchReport:
    """`continued` None: under the new rule set nothing ends that was taken without asking before."""

    period: RuleSetPeriod
    continued: ContinueReport | None


@dataclass(frozen=True, slots=True)
class Continuing:
    """Which use goes on and for how long: what was used in the last `used_days`, for `valid_days` from the switch."""

    used_days: int = 365
    valid_days: int = 365

    def __post_init__(self) -> None:
        if self.used_days < 0 or self.valid_days < 1:
            raise ValueError("use of `0` days or more goes on for `1` day or more")


class _CatalogueChanged(Exception):
    """The catalogue is not the one any more by which it was judged what is unconditional."""


async def periods(connection: Any, zone: Zone) -> tuple[RuleSetPeriod, ...]:
    """Every period recorded for `zone`, in the order in which they hold; of two from one moment the last holds."""
    return tuple(_period(row) for row in await connection.fetch(_HISTORY, zone.value))


async def in_force(connection: Any, zone: Zone, default: str) -> str:
    """The rule set that is in force in `zone` by the database's clock, `default` where none was recorded."""
    found: dict[str, str] = {row["zone"]: row["rule_set"] for row in await connection.fetch(RULE_SETS)}
    return found.get(zone.value, default)


async def switch(
    database: PlatformDatabase,
    zone: Zone,
    to: str,
    day: date,
    *,
    by: str,
    reason: str,
    default: str,
    continuing: Continuing | None = None,
) -> SwitchReport:
    """The nodes of `zone` follow the rule set `to` from the first moment of `day` (Asia/Shanghai), today: from now on.

    `default` is the rule set before the first period. Deadlines that run keep the rule that they started under. Where
    unconditional items could be taken without asking before and cannot from then on (Order 809 Art. 21), who used them
    gets grants of transition, in the same transaction. Raises ValueError for an unknown rule set, and Refused for a day
    that is past, or before the regulation came into force, and without a reason.
    """
    rules = rule_set(to)
    if not by or not reason:
        raise Refused("a switch of the rule set says who decides it and why")
    if day < rules.effective_from:
        raise Refused(f"`{to}` is in force from {rules.effective_from} on")

    async def record(connection: Any, snapshot: Snapshot) -> SwitchReport:
        now: datetime = await connection.fetchval(_NOW)
        if day < day_of(now):
            raise Refused(f"`{day}` is past: what was decided then stays decided")
        await connection.execute(_ALONE)
        from_at = max(datetime.combine(day, time(), SHANGHAI), now)
        period = _period(await connection.fetchrow(_SWITCH, zone.value, to, from_at, by, reason, now))
        before = rule_set(await connection.fetchval(_BEFORE, zone.value, from_at, period.id) or default)
        if not before.unconditional_is_direct or rules.unconditional_is_direct:
            return SwitchReport(period, None)
        return SwitchReport(period, await _continue(connection, snapshot, period, continuing or Continuing(), by))

    return await _with_catalogue(database, zone, record)


async def continue_use(
    database: PlatformDatabase, zone: Zone, *, by: str, default: str, continuing: Continuing | None = None
) -> ContinueReport | None:
    """Grants of transition for what was used since the switch was recorded; running it again changes nothing.

    It is of the last recorded switch of `zone` to a rule set that asks for an application, in force or to come; None
    where there is none. A grant that is known gets the items that were used since; one that is over stays so.
    """

    async def record(connection: Any, snapshot: Snapshot) -> ContinueReport | None:
        await connection.execute(_ALONE)
        found: RuleSetPeriod | None = None
        before = rule_set(default)
        for period in await periods(connection, zone):
            after = rule_set(period.rule_set)
            if before.unconditional_is_direct and not after.unconditional_is_direct:
                found = period
            elif after.unconditional_is_direct:
                found = None
            before = after
        if found is None:
            return None
        return await _continue(connection, snapshot, found, continuing or Continuing(), by)

    return await _with_catalogue(database, zone, record)


async def _with_catalogue(database: PlatformDatabase, zone: Zone, record: Callable[[Any, Snapshot], Awaitable[T]]) -> T:
    """What `record` does in one transaction, with the catalogue that holds until it ends."""
    snapshot: Snapshot | None = None
    for _ in range(_TRIES):
        snapshot = await database.load_snapshot(zone, previous=snapshot)
        try:
            async with database.session() as connection, connection.transaction():
                return await record(connection, snapshot)
        except _CatalogueChanged:
            continue
    raise Refused("the catalogue changes all the time: try again")


async def _continue(
    connection: Any, snapshot: Snapshot, period: RuleSetPeriod, continuing: Continuing, by: str
) -> ContinueReport:
    since = await connection.fetchval(_NOW) - timedelta(days=continuing.used_days)
    used = await connection.fetch(_USED, since, timeout=_USED_SECONDS)
    if await connection.fetchval(SHARE_CATALOGUE) != snapshot.number:
        raise _CatalogueChanged
    wanted, left_out = _wanted(used, snapshot, period, continuing)
    known = {row["id"]: row for row in await connection.fetch(_KNOWN, [grant.id for grant in wanted])}
    new = []
    for grant in wanted:
        row = known.get(grant.id)
        if row is None:
            new.append(grant)
        elif row["state"] in _OPEN_STATES:
            new += _widened(row, grant, snapshot)
    if not new:
        return ContinueReport((), (), len(wanted), left_out)
    rules = rule_set(period.rule_set)
    reason = f"use goes on from {day_of(period.from_at)}, when an application comes to be needed ({_article(rules)})"
    report = await grants.put(connection, new, by=by, reason=reason)
    return ContinueReport(report.added, report.changed, len(wanted) - len(new), left_out)


def _widened(row: Any, grant: Grant, snapshot: Snapshot) -> list[Grant]:
    """The known grant in `row` with what `grant` has more; none where that is nothing or it cannot be read any more."""
    try:
        held = grant_from_document(decode(row["document"]) | {"state": row["state"]}, snapshot.resources)
    except DocumentError:
        return []
    wider = replace(held, items=held.items | grant.items, relations=held.relations | grant.relations)
    return [wider] if (wider.items, wider.relations) != (held.items, held.relations) else []


def _article(rules: RuleSet) -> str:
    return rules.deadlines[DeadlineKind.REPLY].article


def _wanted(
    used: Sequence[Any], snapshot: Snapshot, period: RuleSetPeriod, continuing: Continuing
) -> tuple[list[Grant], tuple[LeftOut, ...]]:
    """A grant of all rows per department, resource and purpose, of the unconditional items and relations used."""
    found: list[Grant] = []
    left_out: list[LeftOut] = []
    for row in sorted(used, key=lambda row: (row["department"], row["resource"], row["purpose"] or "")):
        department, resource = snapshot.departments.get(row["department"]), snapshot.resources.get(row["resource"])
        if department is None or resource is None or resource.zone is not snapshot.zone:
            continue
        if department.code == resource.provider or department.kind is OrganisationKind.PUBLIC_SERVICE_ENTERPRISE:
            continue
        names = set(row["names"])
        items = frozenset(
            item.name for item in resource.items if item.name in names and item.share_class is ShareClass.UNCONDITIONAL
        )
        relations = frozenset(
            relation.name
            for relation in resource.relations
            if relation.name in names and snapshot.relation_class(resource, relation) is ShareClass.UNCONDITIONAL
        )
        if not items and not relations:
            continue
        purpose = row["purpose"]
        if purpose is None or purpose not in snapshot.purposes:
            why = "no purpose was stated" if purpose is None else "the purpose is not registered"
            left_out.append(LeftOut(department.code, resource.code, purpose, why))
            continue
        found.append(
            Grant(
                id=_id(period, department.code, resource.code, purpose),
                requester=department.code,
                resource=resource.code,
                items=items,
                relations=relations,
                purpose=purpose,
                valid_from=period.from_at.astimezone(UTC),
                valid_to=(period.from_at + timedelta(days=continuing.valid_days)).astimezone(UTC),
                basis=GrantBasis.TRANSITION,
            )
        )
    return found, tuple(left_out)


def _id(period: RuleSetPeriod, department: str, resource: str, purpose: str) -> str:
    """The same for each run of one switch."""
    text = "\n".join((period.zone.value, str(period.id), department, resource, purpose))
    return f"T-{day_of(period.from_at):%Y%m%d}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _period(row: Any) -> RuleSetPeriod:
    return RuleSetPeriod(
        row["id"], Zone(row["zone"]), row["rule_set"], row["from_at"], row["by"], row["reason"], row["recorded_at"]
    )
