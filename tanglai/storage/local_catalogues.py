"""In charge of version numbers of local catalogues: the catalogue epoch at the last change of one of their entries."""

from collections.abc import Mapping, Sequence
from typing import Any

_VERSIONS = """
SELECT p.key, coalesce(max(r.changed), 0) AS version, max(greatest(v.published_at, v.retired_at)) AS at
FROM unnest($1::text[], $2::text[]) AS p (key, department)
LEFT JOIN resource_version v ON v.provider = p.department
LEFT JOIN resource r ON r.code = v.code
GROUP BY p.key
"""


async def versions(connection: Any, departments: Mapping[str, Sequence[str]]) -> dict[str, tuple[int, Any]]:
    """Key -> version and moment of the last change of any entry that one of its departments provides or once provided.

    `departments` maps keys to credit codes. Version 0 and None before the first entry. A retirement is a change too.
    """
    keys = [key for key, codes in departments.items() for _ in codes]
    codes = [code for of_key in departments.values() for code in of_key]
    rows = await connection.fetch(_VERSIONS, keys, codes)
    found = {row["key"]: (row["version"], row["at"]) for row in rows}
    return {key: found.get(key, (0, None)) for key in departments}
