"""In charge of refusing grants whose masks would give away what they hide, or what an earlier mask hides."""

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from tanglai.catalogue.checks_masks import mask_findings
from tanglai.catalogue.documents import DocumentError, grant_from_document, resource_from_document
from tanglai.catalogue.model import Grant, Resource, Snapshot, Zone
from tanglai.storage.errors import Refused
from tanglai.storage.rows import DIVISIONS, SOURCES, Register, decode

_log = logging.getLogger(__name__)

_WITH_MASKS = """
SELECT DISTINCT requester FROM data_grant
WHERE requester = ANY($1) AND state IN ('ACTIVE', 'SUSPENDED') AND (valid_to IS NULL OR valid_to > clock_timestamp())
AND document ? 'masks'
"""
_LIVE = """
SELECT id, state, document, clock_timestamp() AS now FROM data_grant
WHERE requester = ANY($1) AND state IN ('ACTIVE', 'SUSPENDED') AND (valid_to IS NULL OR valid_to > clock_timestamp())
AND document ->> 'usage' = 'READ' ORDER BY id
"""
_RESOURCES = """
SELECT v.code, v.document FROM resource r JOIN resource_version v USING (code, version)
WHERE v.document @? '$.items[*].content'
UNION ALL
SELECT code, document FROM (
    SELECT DISTINCT ON (code) code, document FROM resource_version WHERE code = ANY($1) ORDER BY code, version DESC
) newest
"""


async def refuse_disclosures(connection: Any, grants: Sequence[Grant], written: Collection[str]) -> None:
    """Nothing, where the masks of each requester hide what they should; else Refused.

    Runs after `grants` are written, within their transaction and under the lock on all grants. `written` are the ids
    of those that are new or have new terms; what is wrong without them is left to those who look after it. All of them
    are judged at once; the refusal names the first in the order of `grants` by which something is given away.
    """
    new = [grant.id for grant in grants if grant.id in written]
    requesters = sorted({grant.requester for grant in grants if grant.id in written})
    masked = [row["requester"] for row in await connection.fetch(_WITH_MASKS, requesters)] if requesters else []
    if not masked:
        return
    rows = await connection.fetch(_LIVE, masked)
    if not rows:
        return
    documents = [decode(row["document"]) | {"state": row["state"]} for row in rows]
    resources = await connection.fetch(_RESOURCES, sorted({document["resource"] for document in documents}))
    registers = [await _register(connection, register) for register in (DIVISIONS, SOURCES)]
    await asyncio.to_thread(_judge, documents, resources, registers, new, rows[0]["now"])


async def _register(connection: Any, register: Register[Any]) -> Mapping[str, Any]:
    rows = await connection.fetch(f"SELECT {register.key}, document FROM {register.table}")
    return {row[0]: register.read(decode(row[1])) for row in rows}


def _judge(
    documents: Sequence[dict[str, Any]],
    rows: Sequence[Any],
    registers: Sequence[Mapping[str, Any]],
    written: Sequence[str],
    now: datetime,
) -> None:
    resources: dict[str, Resource] = {row["code"]: resource_from_document(decode(row["document"])) for row in rows}
    grants: dict[str, Grant] = {}
    for document in documents:
        try:
            grants[document["id"]] = grant_from_document(document, resources)
        except DocumentError as error:
            _log.warning("grant %s cannot be read and opens nothing: %s", document["id"], error)
    divisions, sources = registers
    catalogue = Snapshot(0, Zone.EXTRANET, "", {}, divisions, {}, {}, sources, resources)
    new = [grants.pop(id) for id in written if id in grants]
    for id, finding in mask_findings(new, grants.values(), catalogue, now, notices=False):
        raise Refused(f"grant `{id}`: {finding.message}")
