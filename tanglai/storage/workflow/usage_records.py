"""In charge of the usage records of resources (Order 809 Art. 29): pages of audit records for whose data it was."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from tanglai.catalogue.documents_grant import SHANGHAI


@dataclass(frozen=True, slots=True)
class RecordFilter:
    """Which records: of one resource or grant (then of its resource), else of all resources of `providers`.

    `requester` is a credit code; `since` a day of Asia/Shanghai, included. What is not counted yet is not found.
    """

    providers: tuple[str, ...]
    resource: str | None = None
    grant: str | None = None
    requester: str | None = None
    since: date | None = None


@dataclass(frozen=True, slots=True)
class UsageRecord:
    """What one operation did with one resource; of other resources that it named, nothing.

    `rows` of an export that has not ended, or broke off, are the most that it may have delivered.
    """

    record: int
    resource: str
    request_id: str
    at: datetime
    department: str
    client: str
    person: str | None
    purpose: str | None
    operation_name: str | None
    operation_hash: str
    document_kind: str
    outcome: str
    codes: tuple[str, ...]
    items: tuple[str, ...]
    grants: tuple[str, ...]
    rows: int

    @property
    def key(self) -> str:
        return f"{self.record} {self.resource}"


_TOLD = """
SELECT e.record, e.resource, a.request_id, a.at, a.department, a.client, a.person, a.purpose, a.operation_name,
       a.operation_hash, a.document_kind, a.outcome, a.codes,
       ARRAY(SELECT jsonb_array_elements_text(coalesce(a.items -> e.resource, '[]'))) AS items,
       ARRAY(SELECT g.id FROM data_grant g WHERE g.id = ANY(a.grants) AND g.resource = e.resource ORDER BY 1) AS grants,
       CASE WHEN d.rows IS NULL THEN coalesce((a.rows ->> e.resource)::bigint, 0)
            ELSE coalesce((d.rows ->> e.resource)::bigint, 0) END AS rows
FROM ({entries}) e JOIN audit_record a ON a.id = e.record
LEFT JOIN LATERAL (
    SELECT b.rows FROM audit_record b
    WHERE b.export = a.export AND b.document_kind = 'export-end' AND a.document_kind = 'export' LIMIT 1) d ON true
ORDER BY e.record {order}, e.resource {order}
"""
_FIRST = "SELECT coalesce(min(first_record), 9223372036854775807) FROM record_day WHERE day >= $1"
_OWNER = """
SELECT v.code, v.provider, g.requester FROM resource_version v
LEFT JOIN data_grant g ON g.id = $2 AND g.resource = v.code
WHERE v.code = coalesce($1, (SELECT resource FROM data_grant WHERE id = $2)) ORDER BY v.version DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Subject:
    """A resource with its provider, and the requester of the grant that was named with it."""

    resource: str
    provider: str
    requester: str | None


async def subject(connection: Any, resource: str | None, grant: str | None) -> Subject | None:
    """The resource named by its code or by a grant on it, published or retired; None where there is none."""
    row = await connection.fetchrow(_OWNER, resource, grant)
    if row is None or (grant is not None and row["requester"] is None):
        return None
    return Subject(row["code"], row["provider"], row["requester"])


async def page(
    connection: Any, wanted: RecordFilter, *, after: str | None, before: str | None, limit: int, last: bool
) -> list[UsageRecord]:
    """The records of a span, the newest first: the first `limit`, or the last; keys as `UsageRecord.key`."""
    query = await _Query.of(connection, wanted)
    order = "ASC" if last else "DESC"
    if after is not None:
        query.where(f"(e.record, e.resource) < ({query.add(_record(after))}, {query.add(_resource(after))})")
    if before is not None:
        query.where(f"(e.record, e.resource) > ({query.add(_record(before))}, {query.add(_resource(before))})")
    entries = query.entries(f"ORDER BY e.record {order}, e.resource {order} LIMIT {int(limit)}")
    rows = await connection.fetch(_TOLD.format(entries=entries, order=order), *query.arguments)
    found = [_read(row) for row in rows]
    return found[::-1] if last else found


async def count(connection: Any, wanted: RecordFilter) -> int:
    """How many records `page` goes through in all."""
    query = await _Query.of(connection, wanted)
    number: int = await connection.fetchval(f"SELECT count(*) FROM ({query.entries('')}) e", *query.arguments)
    return number


def _read(row: Any) -> UsageRecord:
    values: dict[str, Any] = {name: tuple(it) if isinstance(it, list) else it for name, it in row.items()}
    return UsageRecord(**values)


class _Query:
    """The entries of a filter as SQL: a range of one index for each requester, merged."""

    def __init__(self, wanted: RecordFilter) -> None:
        self._wanted = wanted
        self._conditions: list[str] = []
        self.arguments: list[Any] = []

    @classmethod
    async def of(cls, connection: Any, wanted: RecordFilter) -> "_Query":
        query = cls(wanted)
        if wanted.since is not None:
            first = await connection.fetchval(_FIRST, wanted.since)
            moment = datetime.combine(wanted.since, datetime.min.time(), SHANGHAI)
            query.where(f"e.record >= {query.add(first, 'bigint')}")
            # Around midnight a later id may be of the day before.
            query.where(f"(SELECT at FROM audit_record a WHERE a.id = e.record) >= {query.add(moment)}")
        return query

    def add(self, value: Any, kind: str = "") -> str:
        self.arguments.append(value)
        return f"${len(self.arguments)}" + (f"::{kind}" if kind else "")

    def where(self, condition: str) -> None:
        self._conditions.append(condition)

    def entries(self, order: str) -> str:
        wanted = self._wanted
        base = "SELECT e.record, e.resource FROM usage_entry e WHERE "
        if wanted.resource is not None:
            own = f"e.resource = {self.add(wanted.resource)}"
        elif len(wanted.providers) == 1:
            own = f"e.provider = {self.add(wanted.providers[0])}"
        else:
            own = f"e.provider = ANY({self.add(list(wanted.providers), 'text[]')})"
        conditions = " AND ".join([own, *self._conditions])
        if wanted.grant is not None:
            named = f"u.grant_id = {self.add(wanted.grant)} AND u.record = e.record"
            conditions = f"{conditions} AND EXISTS (SELECT FROM grant_entry u WHERE {named})"
        if wanted.requester is not None:
            return f"{base} e.department = {self.add(wanted.requester)} AND {conditions} {order}"
        if wanted.resource is None and len(wanted.providers) > 1:
            return f"{base} {conditions} {order}"  # most records are of a whole level: by their ids
        each = f"{base} e.department = d.code AND {conditions} {order}"
        return f"SELECT e.record, e.resource FROM department d CROSS JOIN LATERAL ({each}) e {order}"


def _record(key: str) -> int:
    """The record of a key; what is no key stands before everything."""
    number = key.partition(" ")[0]
    return int(number) if number.isascii() and number.isdigit() and len(number) < 19 else 2**63 - 1


def _resource(key: str) -> str:
    return key.partition(" ")[2]
