"""In charge of former versions of resources."""

from collections.abc import Sequence
from typing import Any

from tanglai.catalogue.model import Resource
from tanglai.storage.grants import resource_of

_READ = """
SELECT v.code, v.version, v.published_at, v.document
FROM resource_version v JOIN unnest($1::text[], $2::int[]) AS wanted(code, version) USING (code, version)
"""


async def load(connection: Any, keys: Sequence[tuple[str, int]]) -> list[Resource | None]:
    """The resources at `keys` (code, version), in their order, None for a version that never was."""
    rows = await connection.fetch(_READ, [code for code, _ in keys], [version for _, version in keys])
    found = {(row["code"], row["version"]): resource_of(row) for row in rows}
    return [found.get(key) for key in keys]
