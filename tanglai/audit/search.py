"""In charge of finding audit records."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

_JSON = ("items", "rows")
_SEARCH = """
SELECT id, request_id, at, department, client, person, purpose, operation_name, operation_hash, document_kind,
       paths, items::text, grants, rows::text, outcome, codes, duration_us, node, export
FROM audit_record
WHERE ($1::text IS NULL OR department = $1)
  AND ($2::text IS NULL OR items ? $2)
  AND ($3::text IS NULL OR grants @> ARRAY[$3])
  AND ($4::text IS NULL OR request_id = $4)
  AND ($5::text IS NULL OR outcome = $5)
  AND ($6::timestamptz IS NULL OR at >= $6)
  AND ($7::timestamptz IS NULL OR at < $7)
ORDER BY id DESC
LIMIT $8
"""


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """What to look for; None matches everything. `since <= at < until`, both aware."""

    department: str | None = None
    resource: str | None = None
    grant: str | None = None
    request: str | None = None
    outcome: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    limit: int = 100


async def search(pool: Any, query: AuditQuery) -> list[dict[str, Any]]:
    """Matching records as dicts of the table's columns, the newest first, at most `query.limit`."""
    rows = await pool.fetch(
        _SEARCH,
        query.department,
        query.resource,
        query.grant,
        query.request,
        query.outcome,
        query.since,
        query.until,
        query.limit,
    )
    return [{name: orjson.loads(v) if name in _JSON else v for name, v in row.items()} for row in rows]
