"""In charge of what the database itself holds on to, whoever asks it to forget."""

import asyncpg
import pytest

from tanglai.storage.database import PlatformDatabase
from tests.unit.storage.sample import HEALTH, RESIDENTS, change, epochs, grant

AUDIT = """
INSERT INTO audit_record (request_id, at, department, client, operation_hash, document_kind, paths, items, grants, rows,
                          outcome, codes, duration_us, node)
VALUES ('r', now(), 'd', 'c', 'h', 'query', '{data}', '{}', '{}', '{}', 'ALLOWED', '{}', 1, 'n')
"""


@pytest.fixture
async def filled(platform: PlatformDatabase) -> PlatformDatabase:
    await platform.publish(change())
    await platform.put_grants([grant()])
    await platform.pool.execute(AUDIT)
    return platform


@pytest.mark.parametrize(
    "table",
    [
        "division",
        "department",
        "purpose",
        "category",
        "source",
        "resource",
        "resource_version",
        "data_grant",
        "grant_transition",
        "department_epoch",
        "epoch",
        "audit_record",
    ],
)
@pytest.mark.parametrize("statement", ["DELETE FROM {}", "TRUNCATE {} CASCADE"])
async def test_rows_are_never_deleted(filled: PlatformDatabase, table: str, statement: str) -> None:
    before = await filled.pool.fetchval(f"SELECT count(*) FROM {table}")
    assert before > 0
    with pytest.raises(asyncpg.PostgresError, match="are kept as they are"):
        await filled.pool.execute(statement.format(table))
    assert await filled.pool.fetchval(f"SELECT count(*) FROM {table}") == before


@pytest.mark.parametrize(
    ("table", "assignment"),
    [
        ("audit_record", "outcome = 'DENIED'"),
        ("audit_record", "chain = '\\x00'"),
        ("grant_transition", "reason = 'other'"),
        ("epoch", "value = value - 1"),
        ("epoch", "value = value"),
    ],
)
async def test_rows_are_never_rewritten(filled: PlatformDatabase, table: str, assignment: str) -> None:
    with pytest.raises(asyncpg.PostgresError, match="are kept as they are"):
        await filled.pool.execute(f"UPDATE {table} SET {assignment}")


@pytest.mark.parametrize(
    "assignment",
    [
        "document = '{}'",
        "title = 'other'",
        "version = 7",
        "note = 'other'",
        "published_at = now()",
        "published_by = 'somebody'",
        "share_class = 'UNCONDITIONAL', retired_at = clock_timestamp(), retired_by = 'x', retired_note = ''",
        "retired_note = NULL",
    ],
)
async def test_a_published_version_cannot_change(filled: PlatformDatabase, assignment: str) -> None:
    with pytest.raises(asyncpg.PostgresError, match=f"of resource `{RESIDENTS}` is published and cannot change"):
        await filled.pool.execute(f"UPDATE resource_version SET {assignment}")


async def test_a_version_retires_once(filled: PlatformDatabase) -> None:
    retire = "UPDATE resource_version SET retired_at = clock_timestamp(), retired_by = 'x', retired_note = ''"
    await filled.pool.execute(retire)
    with pytest.raises(asyncpg.PostgresError, match="cannot change"):
        await filled.pool.execute(retire)
    with pytest.raises(asyncpg.PostgresError, match="cannot change"):
        await filled.pool.execute("UPDATE resource_version SET retired_at = NULL, retired_by = NULL")


async def test_changes_by_hand_are_seen_by_replicas_too(filled: PlatformDatabase) -> None:
    before = await epochs(filled.pool)
    await filled.pool.execute("UPDATE data_grant SET state = 'SUSPENDED'")
    await filled.pool.execute("UPDATE department SET document = document || '{\"active\": false}'")
    after = await filled.confirm(since=before["grants"])
    assert after.catalogue > before["catalogue"]
    assert after.grants > before["grants"]
    assert after.changed == {HEALTH: after.grants}
    history = await filled.grant_history("g1")
    assert (history[-1].after, history[-1].reason) == ("SUSPENDED", "changed in the database")
    assert history[-1].by == await filled.pool.fetchval("SELECT session_user")


async def test_a_statement_that_changes_no_row_is_no_change(filled: PlatformDatabase) -> None:
    before = await epochs(filled.pool)
    await filled.pool.execute("UPDATE data_grant SET state = 'SUSPENDED' WHERE id = 'none'")
    await filled.pool.execute("UPDATE department SET key = key WHERE code = 'none'")
    assert await epochs(filled.pool) == before
