"""In charge of reading the catalogue into a snapshot: all of it, or what changed since an earlier snapshot."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from tanglai.catalogue.model import PublishedVersion, ShareClass, Snapshot, Zone
from tanglai.storage.epochs import CATALOGUE
from tanglai.storage.grants import resource_of
from tanglai.storage.rows import CATEGORIES, DEPARTMENTS, DIVISIONS, PURPOSES, SOURCES, Register, decode

DEFAULT_RULE_SET = "ningxia-measures"
_INLINE = 20  # more changed resources than these are converted in a thread
_REGISTERS: tuple[Register[Any], ...] = (DEPARTMENTS, DIVISIONS, PURPOSES, CATEGORIES, SOURCES)
_RESOURCES = """
SELECT r.code, r.version, v.published_at, v.document
FROM resource r LEFT JOIN resource_version v USING (code, version) WHERE r.changed > $1
"""
_HISTORY = """
SELECT code, version, title, share_class, published_at, retired_at, note FROM resource_version
WHERE code IN (SELECT code FROM resource WHERE changed > $1) ORDER BY code, version
"""


@dataclass(frozen=True, slots=True)
class _Rows:
    number: int
    registers: Mapping[str, list[Any]]
    resources: list[Any]
    history: list[Any]


async def load(connection: Any, zone: Zone, rule_set: str, previous: Snapshot | None) -> Snapshot:
    """The catalogue as committed now, read in one transaction with its number. `connection` is in no transaction.

    With `previous` only what changed since is read and converted; entries that did not change are the same objects.
    """
    if previous is not None and previous.zone is not zone:
        previous = None
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        number = await connection.fetchval(CATALOGUE)
        if previous is not None and number < previous.number:
            previous = None  # another past: the database was restored from an older copy
        if previous is not None and number == previous.number:
            return previous if previous.rule_set == rule_set else replace(previous, rule_set=rule_set)
        rows = await _changed(connection, number, previous)
    return await _built(rows, zone, rule_set, previous)


async def held(connection: Any, previous: Snapshot) -> Snapshot:
    """The catalogue as it is now, by way of a snapshot that may be older, under the same rule set.

    `connection` is in a transaction that holds the catalogue (epochs.py), so that nothing changes between statements.
    """
    number = await connection.fetchval(CATALOGUE)
    if number == previous.number:
        return previous
    known = previous if number > previous.number else None
    return await _built(await _changed(connection, number, known), previous.zone, previous.rule_set, known)


async def _changed(connection: Any, number: int, previous: Snapshot | None) -> _Rows:
    since = previous.number if previous else -1
    return _Rows(
        number,
        {
            register.table: await connection.fetch(
                f"SELECT {register.key}, document FROM {register.table} WHERE changed > $1", since
            )
            for register in _REGISTERS
        },
        await connection.fetch(_RESOURCES, since),
        await connection.fetch(_HISTORY, since),
    )


async def _built(rows: _Rows, zone: Zone, rule_set: str, previous: Snapshot | None) -> Snapshot:
    if len(rows.resources) > _INLINE:
        return await asyncio.to_thread(_build, rows, zone, rule_set, previous)
    return _build(rows, zone, rule_set, previous)


def _build(rows: _Rows, zone: Zone, rule_set: str, previous: Snapshot | None) -> Snapshot:
    registers: dict[str, Mapping[str, Any]] = {}
    for register, old in zip(_REGISTERS, _old_registers(previous), strict=True):
        fresh = {row[0]: register.read(decode(row[1])) for row in rows.registers[register.table]}
        registers[register.table] = _merged(old, fresh)
    versions = {row["code"]: resource_of(row) if row["version"] else None for row in rows.resources}
    history: dict[str, list[PublishedVersion]] = {}
    for row in rows.history:
        history.setdefault(row["code"], []).append(
            PublishedVersion(
                row["code"],
                row["version"],
                row["title"],
                ShareClass(row["share_class"]),
                row["published_at"],
                row["retired_at"],
                row["note"],
            )
        )
    return Snapshot(
        number=rows.number,
        zone=zone,
        rule_set=rule_set,
        departments=registers["department"],
        divisions=registers["division"],
        purposes=registers["purpose"],
        categories=registers["category"],
        sources=registers["source"],
        resources=_merged(previous.resources if previous else {}, versions),
        history=_merged(previous.history if previous else {}, {code: tuple(past) for code, past in history.items()}),
    )


def _old_registers(previous: Snapshot | None) -> tuple[Mapping[str, Any], ...]:
    if previous is None:
        return ({},) * len(_REGISTERS)
    return (previous.departments, previous.divisions, previous.purposes, previous.categories, previous.sources)


def _merged(old: Mapping[str, Any], fresh: Mapping[str, Any]) -> Mapping[str, Any]:
    if not fresh and isinstance(old, MappingProxyType):
        return old
    merged = {key: value for key, value in {**old, **fresh}.items() if value is not None}
    return MappingProxyType(dict(sorted(merged.items())))
