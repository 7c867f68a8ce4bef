"""In charge of publication: one transaction from a change of the catalogue to new immutable versions and an epoch."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tanglai.catalogue.documents import DocumentError, grant_from_document, resource_from_document
from tanglai.catalogue.model import Category, Department, Division, Purpose, Resource, Source
from tanglai.storage.epochs import CATALOGUE, LOCK_CATALOGUE
from tanglai.storage.errors import Refused
from tanglai.storage.rows import (
    CATEGORIES,
    DEPARTMENTS,
    DIVISIONS,
    PURPOSES,
    SOURCES,
    Register,
    decode,
    encoded_resource,
)

T = TypeVar("T")
_BATCH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueChange:
    """What is to be published, law checks passed. Departments are named by credit code everywhere.

    `by` is who publishes, `note` what stands beside each new version. Versions and dates in `resources` are not read:
    the platform gives them.
    """

    by: str
    note: str = ""
    divisions: tuple[Division, ...] = ()
    departments: tuple[Department, ...] = ()
    purposes: tuple[Purpose, ...] = ()
    categories: tuple[Category, ...] = ()
    sources: tuple[Source, ...] = ()
    resources: tuple[Resource, ...] = ()


@dataclass(frozen=True, slots=True)
class PublishReport:
    """`number`: the catalogue epoch afterwards. `versions`: resource code -> new version, of those that changed.

    `changed`: table name (`department`, `source`, ...) -> keys of the entries that are new or different.
    """

    number: int
    versions: Mapping[str, int] = field(default_factory=dict)
    changed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """Whether everything was as it should be already."""
        return not self.versions and not self.changed


@dataclass(frozen=True, slots=True)
class _Encoded:
    registers: tuple[tuple[Register[Any], tuple[Any, ...], list[str]], ...]
    resources: list[str]


async def publish(connection: Any, change: CatalogueChange) -> PublishReport:
    """See `PlatformDatabase.publish`. `connection` is in no transaction."""
    if not change.by:
        raise Refused("a publication says who publishes")
    encoded = await asyncio.to_thread(_encode, change)
    async with connection.transaction():
        await connection.fetchval(LOCK_CATALOGUE)
        changed = {}
        for register, things, documents in encoded.registers:
            if keys := await _put(connection, register, things, documents):
                changed[register.table] = tuple(sorted(keys))
        versions = await _put_resources(connection, change, encoded.resources)
        return PublishReport(await connection.fetchval(CATALOGUE), versions, changed)


async def retire(connection: Any, code: str, *, by: str, note: str) -> int:
    """See `PlatformDatabase.retire`. `connection` is in no transaction."""
    if not by:
        raise Refused("a retirement says who retires")
    async with connection.transaction():
        await connection.fetchval(LOCK_CATALOGUE)
        version = await connection.fetchval("SELECT version FROM resource WHERE code = $1", code)
        if version is None:
            raise Refused(f"resource `{code}` is not published")
        other = await connection.fetchval(_RELATED, code)
        if other is not None:
            raise Refused(f"resource `{other}` has a relation to `{code}`: publish it without the relation first")
        await connection.execute(_RETIRE, [code], by, note)
        await connection.execute("UPDATE resource SET version = NULL WHERE code = $1", code)
        number: int = await connection.fetchval(CATALOGUE)
        return number


def _encode(change: CatalogueChange) -> _Encoded:
    registers: tuple[tuple[Register[Any], tuple[Any, ...]], ...] = (
        (DIVISIONS, change.divisions),
        (DEPARTMENTS, change.departments),
        (PURPOSES, change.purposes),
        (CATEGORIES, change.categories),
        (SOURCES, change.sources),
    )
    for register, things in registers:
        _once(register.table, [register.key_of(thing) for thing in things])
    _once("resource", [resource.code for resource in change.resources])
    return _Encoded(
        tuple((register, things, [register.encoded(thing) for thing in things]) for register, things in registers),
        [encoded_resource(resource) for resource in change.resources],
    )


def _once(kind: str, keys: list[str]) -> None:
    twice = [key for key, count in Counter(keys).items() if count > 1]
    if twice:
        raise Refused(f"{kind} `{twice[0]}` is given twice")


async def _put(connection: Any, register: Register[T], things: tuple[T, ...], documents: list[str]) -> list[str]:
    if not things:
        return []
    names = (register.key, *register.columns)
    columns = ", ".join(names)
    rows = await connection.fetch(
        f"INSERT INTO {register.table} AS old ({columns}, document) "
        f"SELECT {columns}, document::jsonb FROM unnest({_texts(len(names) + 1)}) AS new ({columns}, document) "
        f"ON CONFLICT ({register.key}) DO UPDATE SET document = excluded.document"
        + "".join(f", {name} = excluded.{name}" for name in register.columns)
        + f" WHERE old.document <> excluded.document RETURNING {register.key}",
        *([getattr(thing, name) for thing in things] for name in names),
        documents,
    )
    return [row[0] for row in rows]


def _texts(count: int) -> str:
    return ", ".join(f"${n}::text[]" for n in range(1, count + 1))


_DIFFERENT = """
SELECT new.code, coalesce((SELECT max(version) FROM resource_version v WHERE v.code = new.code), 0) AS newest
FROM unnest($1::text[], $2::text[]) AS new (code, document)
LEFT JOIN resource r ON r.code = new.code
LEFT JOIN resource_version v ON v.code = r.code AND v.version = r.version
WHERE v.document IS DISTINCT FROM new.document::jsonb
"""
_RETIRE = """
UPDATE resource_version SET retired_at = greatest(clock_timestamp(), published_at), retired_by = $2, retired_note = $3
WHERE code = ANY($1) AND retired_at IS NULL
"""
_CURRENT = """
INSERT INTO resource (code, version) SELECT * FROM unnest($1::text[], $2::integer[])
ON CONFLICT (code) DO UPDATE SET version = excluded.version
"""
_VERSION = """
INSERT INTO resource_version (code, version, title, share_class, provider, compiler, category, source, document, note,
                              published_by, published_at)
SELECT code, version, title, share_class, provider, compiler, category, source, document::jsonb, $10, $11,
       clock_timestamp()
FROM unnest($1::text[], $2::integer[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
            $9::text[]) AS new (code, version, title, share_class, provider, compiler, category, source, document)
"""
_LIVE = """
SELECT id, resource, state, document FROM data_grant
WHERE resource = ANY($1) AND state IN ('ACTIVE', 'SUSPENDED') AND document ? 'scope' ORDER BY id
"""
_RELATED = """
SELECT v.code FROM resource r JOIN resource_version v USING (code, version)
WHERE v.code <> $1
  AND jsonb_path_exists(v.document, '$.relations[*].target ? (@ == $code)', jsonb_build_object('code', $1::text))
ORDER BY v.code LIMIT 1
"""


async def _put_resources(connection: Any, change: CatalogueChange, documents: list[str]) -> dict[str, int]:
    versions: dict[str, int] = {}
    pairs = list(zip(change.resources, documents, strict=True))
    for start in range(0, len(pairs), _BATCH):
        batch = pairs[start : start + _BATCH]
        rows = await connection.fetch(
            _DIFFERENT, [resource.code for resource, _ in batch], [document for _, document in batch]
        )
        new = {row["code"]: row["newest"] + 1 for row in rows}
        if new:
            fresh = [(resource, document) for resource, document in batch if resource.code in new]
            await _require_fit(connection, [document for _, document in fresh])
            await _insert(connection, change, fresh, new)
            versions |= new
    return versions


async def _insert(
    connection: Any, change: CatalogueChange, fresh: list[tuple[Resource, str]], versions: Mapping[str, int]
) -> None:
    resources = [resource for resource, _ in fresh]
    codes = [resource.code for resource in resources]
    numbers = [versions[code] for code in codes]
    await connection.execute(_RETIRE, codes, change.by, "")
    await connection.execute(_CURRENT, codes, numbers)
    await connection.execute(
        _VERSION,
        codes,
        numbers,
        [resource.title for resource in resources],
        [resource.share_class.value for resource in resources],
        [resource.provider for resource in resources],
        [resource.compiler for resource in resources],
        [resource.category for resource in resources],
        [resource.binding.source for resource in resources],
        [document for _, document in fresh],
        change.note,
        change.by,
    )


async def _require_fit(connection: Any, documents: list[str]) -> None:
    # INVARIANT: the row scope of a live grant can be read against the published version of its resource.
    codes = [decode(document)["code"] for document in documents]
    rows = await connection.fetch(_LIVE, codes)
    if rows:
        await asyncio.to_thread(_read_grants, rows, dict(zip(codes, documents, strict=True)))


def _read_grants(rows: list[Any], documents: Mapping[str, str]) -> None:
    resources = {code: resource_from_document(decode(documents[code])) for code in {row["resource"] for row in rows}}
    for row in rows:
        try:
            grant_from_document(decode(row["document"]) | {"state": row["state"]}, resources)
        except DocumentError as error:
            raise Refused(
                f"the new version of resource `{row['resource']}` does not fit grant `{row['id']}`: {error}"
            ) from error
