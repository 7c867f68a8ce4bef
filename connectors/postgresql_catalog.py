"""In charge of reading what PostgreSQL's own catalogue says about tables and columns."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

from connectors.protocol import ColumnStructure, TableStructure
from connectors.sql.dialect import Native, StructureMismatch, TableFacts
from tanglai.catalogue.scalars import ScalarType

Run: TypeAlias = Callable[..., Awaitable[Sequence[Any]]]
"""Runs a statement with its parameters."""

_BUILTIN = "b"
_BYTEWISE = frozenset({"C", "POSIX"})
_DEFAULT_COLLATION = 100

# Columns that changed over the versions (collation provider, locale of the database) are looked up by way of JSON.
_COLUMNS = """
WITH RECURSIVE base(oid, type) AS (
    SELECT oid, oid FROM pg_type WHERE typtype <> 'd'
    UNION ALL
    SELECT d.oid, b.type FROM pg_type d JOIN base b ON b.oid = d.typbasetype WHERE d.typtype = 'd'
)
SELECT n.nspname AS namespace, c.relname AS table, c.relkind::text AS kind, a.attname AS column,
    t.typname AS type, t.typtype::text AS type_kind, format_type(a.atttypid, a.atttypmod) AS native,
    a.attnotnull AS not_null,
    CASE WHEN t.oid = a.atttypid THEN a.atttypmod ELSE -1 END AS modifier,
    a.attcollation AS collation, col.collcollate AS collate,
    to_jsonb(col) ->> 'collprovider' AS provider, coalesce(col.collisdeterministic, true) AS deterministic,
    db.datcollate AS database_collate, coalesce(to_jsonb(db) ->> 'datlocprovider', 'c') AS database_provider,
    pg_encoding_to_char(db.encoding) AS encoding,
    a.attnum = ANY (
        SELECT i.indkey[0] FROM pg_index i
        WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indnkeyatts = 1
            AND i.indpred IS NULL AND i.indexprs IS NULL
    ) AND (c.relkind = 'p' OR NOT EXISTS (SELECT FROM pg_inherits h WHERE h.inhparent = c.oid)) AS single,
    a.attnum = ANY (
        SELECT i.indkey[0] FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am m ON m.oid = x.relam
        WHERE i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL AND m.amname = 'btree'
    ) AS indexed
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN base ON base.oid = a.atttypid
JOIN pg_type t ON t.oid = base.type
LEFT JOIN pg_collation col ON col.oid = a.attcollation
CROSS JOIN (SELECT * FROM pg_database WHERE datname = current_database()) db
WHERE c.relkind IN ('r', 'v', 'm', 'p', 'f') AND NOT c.relispartition
    AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_toast%'
    AND n.nspname NOT LIKE 'pg\\_temp%'
"""
_ONE_TABLE = f"{_COLUMNS} AND c.relname = $2 AND ($1::text IS NULL OR n.nspname = $1)"
_READABLE = f"{_COLUMNS} AND has_column_privilege(c.oid, a.attnum, 'SELECT') ORDER BY n.nspname, c.relname, a.attnum"
_SCALARS = {
    "text": ScalarType.TEXT,
    "varchar": ScalarType.TEXT,
    "bpchar": ScalarType.TEXT,
    "char": ScalarType.TEXT,
    "name": ScalarType.TEXT,
    "uuid": ScalarType.TEXT,
    "citext": ScalarType.TEXT,
    "bool": ScalarType.BOOLEAN,
    "int2": ScalarType.INTEGER,
    "int4": ScalarType.INTEGER,
    "int8": ScalarType.LONG,
    "numeric": ScalarType.DECIMAL,
    "float4": ScalarType.FLOAT,
    "float8": ScalarType.FLOAT,
    "date": ScalarType.DATE,
    "time": ScalarType.TIME,
    "timestamp": ScalarType.DATETIME,
    "timestamptz": ScalarType.DATETIME,
    "json": ScalarType.GEOMETRY,
    "jsonb": ScalarType.GEOMETRY,
}


async def table_facts(run: Run, namespace: str | None, name: str) -> TableFacts:
    """Facts of a table, view, materialized or foreign table.

    Without a namespace the one in `public`, else the only one of that name. Raises StructureMismatch where there is
    none, or the database is not in UTF-8.
    """
    rows = await run(_ONE_TABLE, namespace, name)
    found = {row["namespace"] for row in rows}
    chosen = "public" if "public" in found else next(iter(found), None)
    if chosen is None or (len(found) > 1 and chosen != "public"):
        raise StructureMismatch(f"{'several tables are' if found else 'no table is'} called `{name}`")
    if rows[0]["encoding"] != "UTF8":
        raise StructureMismatch(f"the database is in `{rows[0]['encoding']}`, not in UTF8")
    return TableFacts(chosen, name, {row["column"]: _native(row) for row in rows if row["namespace"] == chosen})


async def introspect(run: Run) -> list[TableStructure]:
    """Every table that the session may read, by namespace and name, columns in their order."""
    grouped: dict[tuple[str, str], list[ColumnStructure]] = {}
    for row in await run(_READABLE):
        kind = ScalarType.TEXT if row["type_kind"] == "e" else _SCALARS.get(row["type"])
        column = ColumnStructure(
            name=row["column"],
            native=row["native"],
            type=kind,
            nullable=not row["not_null"],
            unique=row["single"],
            collated=kind is not ScalarType.TEXT or _native(row).codepoint,
        )
        grouped.setdefault((row["namespace"], row["table"]), []).append(column)
    return [TableStructure(namespace, name, tuple(columns)) for (namespace, name), columns in grouped.items()]


def _native(row: Any) -> Native:
    collation = row["collation"]
    provider, collate = row["provider"], row["collate"]
    if collation in (0, _DEFAULT_COLLATION):  # texts made of other types are in the database's own
        provider, collate = row["database_provider"], row["database_collate"]
    codepoint = provider == _BUILTIN or (provider == "c" and collate in _BYTEWISE)
    return Native(
        row["type"],
        codepoint=codepoint,
        deterministic=row["deterministic"],
        collation=str(collation or _DEFAULT_COLLATION),
        precision=(row["modifier"] - 4) >> 16 if row["type"] == "numeric" and row["modifier"] >= 0 else None,
        indexed=row["indexed"],
        unique=row["single"] and row["not_null"],
    )
