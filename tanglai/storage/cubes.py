"""In charge of published cubes as rows, and of refusing grants that would publish the same figures twice."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from tanglai.catalogue.documents import DocumentError, grant_from_document
from tanglai.catalogue.model import Grant, Resource, Usage
from tanglai.catalogue.statistics import overlap
from tanglai.storage.errors import Refused
from tanglai.storage.rows import decode

_log = logging.getLogger(__name__)

_LOAD = "SELECT cells::text FROM published_cube WHERE grant_id = $1 AND terms = $2 AND period = $3"
_PUBLISH = """
INSERT INTO published_cube (grant_id, terms, period, cells) VALUES ($1, $2, $3, $4::jsonb)
ON CONFLICT (grant_id, terms, period) DO NOTHING
"""
_LIVE = """
SELECT state, document FROM data_grant
WHERE requester = $1 AND resource = $2 AND state IN ('ACTIVE', 'SUSPENDED') AND document ->> 'usage' = 'STATISTICS'
ORDER BY id
"""


async def load(connection: Any, grant: str, terms: str, period: str) -> str | None:
    """See `PlatformDatabase.load_cube`."""
    cells: str | None = await connection.fetchval(_LOAD, grant, terms, period)
    return cells


async def publish(connection: Any, grant: str, terms: str, period: str, cells: str) -> str:
    """See `PlatformDatabase.publish_cube`. `connection` is in no transaction."""
    await connection.execute(_PUBLISH, grant, terms, period, cells)
    # INVARIANT: read back by a statement of its own, which sees what another replica has committed first.
    published = await load(connection, grant, terms, period)
    assert published is not None
    return published


async def refuse_overlaps(connection: Any, grants: Iterable[Grant], resources: Mapping[str, Resource]) -> None:
    """Nothing, where no two live statistics grants of one requester and resource publish the same; else Refused.

    Runs after `grants` are written, within their transaction and under the lock on all grants.
    """
    places = {(grant.requester, grant.resource) for grant in grants if grant.usage is Usage.STATISTICS}
    for requester, resource in sorted(places):
        live: list[Grant] = []
        for row in await connection.fetch(_LIVE, requester, resource):
            try:
                live.append(grant_from_document(decode(row["document"]) | {"state": row["state"]}, resources))
            except DocumentError as error:
                _log.warning("a statistics grant on %s cannot be read and opens nothing: %s", resource, error)
        for number, one in enumerate(live):
            for other in live[:number]:
                shared = overlap(one, other)
                if shared:
                    listed = ", ".join(f"`{name}`" for name in shared)
                    raise Refused(f"grants `{other.id}` and `{one.id}` publish statistics of {listed} at the same time")
