"""In charge of the migrations: once only, all or nothing, and never on another program's tables."""

import asyncio
from datetime import date

import asyncpg
import pytest

from tanglai.catalogue.errors import ErrorCode
from tanglai.catalogue.model import Quota
from tanglai.catalogue.quotas import Counts
from tanglai.catalogue.workflow.machines import rows
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.errors import PolicyUnavailable, SchemaMismatch
from tanglai.storage.migrate import head, upgrade
from tanglai.storage.workflow.usage import roll_up


async def test_replicas_that_start_at_once_migrate_once(database: str) -> None:
    assert await asyncio.gather(*(upgrade(database) for _ in range(5))) == [head()] * 5
    connection = await asyncpg.connect(database)
    assert await connection.fetchval("SELECT version_num FROM alembic_version") == head()
    assert await connection.fetchval("SELECT count(*) FROM epoch") == 2
    await connection.close()


async def test_a_second_migration_changes_nothing(url: str) -> None:
    connection = await asyncpg.connect(url)
    before = await connection.fetch("SELECT oid, relname, relfilenode FROM pg_class ORDER BY oid")
    await upgrade(url)
    assert await connection.fetch("SELECT oid, relname, relfilenode FROM pg_class ORDER BY oid") == before
    await connection.close()


async def test_quotas_come_to_a_platform_that_has_grants_already(database: str) -> None:
    await upgrade(database, revision="0001")
    connection = await asyncpg.connect(database)
    for statement in (
        "INSERT INTO division VALUES ('640000', NULL, '{}', 0)",
        "INSERT INTO department VALUES ('D', 'd', '640000', '{}', 0)",
        "INSERT INTO purpose VALUES ('p', '{}', 0)",
        "INSERT INTO resource VALUES ('1/1', NULL, 0)",
        "INSERT INTO data_grant VALUES ('g', 'D', '1/1', 'p', 'ACTIVE', now(), NULL, '{}')",
    ):
        await connection.execute(statement)
    assert await upgrade(database) == head()
    async with await PlatformDatabase.open(database) as platform:
        day, quota = date(2026, 5, 6), Quota(rows=10)
        assert await platform.take_quota("g", day, Counts(10), quota) == Counts(10)
        assert await platform.take_quota("g", day, Counts(1), quota) is None
    assert await connection.fetchval("SELECT state FROM data_grant") == "ACTIVE"
    await connection.close()


async def test_exports_come_to_a_platform_that_has_records_already(database: str) -> None:
    await upgrade(database, revision="0004")
    connection = await asyncpg.connect(database)
    old = (
        "INSERT INTO audit_record (request_id, at, department, client, operation_hash, document_kind, paths, items, "
        "grants, rows, outcome, codes, duration_us, node) VALUES ('r-1', now(), 'D', 'c', 'h', 'text', '{data}', "
        """'{"1/1": ["name"]}', '{g}', '{"1/1": 7}', 'ALLOWED', '{}', 5, 'n')"""
    )
    await connection.execute(old)
    assert await upgrade(database) == head()
    await connection.execute(old)
    rows = await connection.fetch("SELECT request_id, rows::text, export FROM audit_record")
    assert [tuple(row) for row in rows] == [("r-1", '{"1/1": 7}', None)] * 2
    assert await roll_up(connection) == 2
    assert await connection.fetchval("SELECT sum(rows)::int FROM client_use") == 14
    await connection.close()


async def test_a_failing_migration_leaves_nothing(database: str) -> None:
    connection = await asyncpg.connect(database)
    await connection.execute("CREATE TABLE audit_record (id integer)")
    with pytest.raises(Exception, match="already exists"):
        await upgrade(database)
    tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    assert [row["tablename"] for row in tables] == ["audit_record"]
    await connection.execute("DROP TABLE audit_record")
    assert await upgrade(database) == head()
    await connection.close()


async def test_a_newer_schema_is_refused(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaMismatch, match="schema `9999`, which is newer than this program"):
        await upgrade(url)
    with pytest.raises(SchemaMismatch, match="newer than this program"):
        await PlatformDatabase.open(url)
    assert await connection.fetchval("SELECT version_num FROM alembic_version") == "9999"
    await connection.close()


async def test_missing_tables_are_refused_with_the_remedy(database: str) -> None:
    with pytest.raises(SchemaMismatch, match="has no tables yet: run `tanglai migrate`"):
        await PlatformDatabase.open(database)


async def test_a_migration_that_is_not_let_through_gives_up(database: str) -> None:
    connection = await asyncpg.connect(database)
    await connection.execute("SELECT pg_advisory_lock(x'74616E676C6169'::bigint)")
    with pytest.raises(PolicyUnavailable):
        await upgrade(database, patience=0.05)
    await connection.close()
    assert await upgrade(database) == head()


async def test_no_database_is_a_typed_error() -> None:
    nowhere = "postgresql://nobody:secret@127.0.0.1:9/none"
    for attempt in (upgrade(nowhere), PlatformDatabase.open(nowhere)):
        with pytest.raises(PolicyUnavailable) as caught:
            await attempt
        assert caught.value.code is ErrorCode.POLICY_UNAVAILABLE
        assert "127.0.0.1" not in caught.value.message
        assert "secret" not in caught.value.message


async def test_a_url_that_is_none_is_told_apart() -> None:
    with pytest.raises(ValueError, match="not a PostgreSQL URI"):
        await PlatformDatabase.open("mysql://somewhere/else")


async def test_the_database_holds_the_tables_of_all_matters(url: str) -> None:
    connection = await asyncpg.connect(url)
    held = await connection.fetch("SELECT * FROM workflow_step")
    await connection.close()
    assert sorted(tuple(row) for row in held) == sorted(rows()), "a change of a table needs a migration"
