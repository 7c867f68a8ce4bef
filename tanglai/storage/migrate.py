"""In charge of the platform database's tables: bringing them to this program's version, and refusing others."""

from pathlib import Path
from typing import Any

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from tanglai.storage.errors import PolicyUnavailable, SchemaMismatch, translated, unreachable

_LOCK = 0x7461_6E67_6C61_69  # "tanglai"
_SCRIPTS = Path(__file__).parent / "migrations"


def head() -> str:
    """The revision that this program was written for."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    assert revision is not None
    return revision


async def upgrade(url: str, *, patience: float = 300.0, connect_timeout: float = 10.0, revision: str = "head") -> str:
    """Bring the tables of the database at `url` (a PostgreSQL URI) to this program's revision, and return that.

    An older `revision` is for tests of what comes after it.

    All in one transaction: a failure leaves everything as it was. Safe when several replicas start at once: one
    migrates, the others wait for it, at most `patience` seconds, and find nothing to do. Raises SchemaMismatch where
    the database is newer than this program, PolicyUnavailable where it cannot be reached or the wait was too long.
    """

    async def connect() -> Any:
        return await asyncpg.connect(url, timeout=connect_timeout, target_session_attrs="read-write")

    # The driver reads the URI itself, so that every one that the pool takes (hosts, sslmode) is taken here too.
    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    try:
        with translated():
            async with engine.begin() as connection:
                await connection.run_sync(_upgrade, patience, revision)
    except DBAPIError as error:
        if error.orig is not None and unreachable(error.orig.__cause__ or error.orig):
            raise PolicyUnavailable from error
        raise
    finally:
        await engine.dispose()
    return head()


def _upgrade(connection: Connection, patience: float, target: str) -> None:
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = {int(patience * 1000)}")
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
    config = _config()
    script = ScriptDirectory.from_config(config)
    for revision in MigrationContext.configure(connection).get_current_heads():
        _require_known(script, revision)
    config.attributes["connection"] = connection
    command.upgrade(config, target)


async def require_current(connection: Any) -> None:
    """Nothing, where the tables seen by `connection` (asyncpg) are this program's; else raises SchemaMismatch."""
    try:
        revision = await connection.fetchval("SELECT version_num FROM alembic_version")
    except asyncpg.UndefinedTableError:
        revision = None
    if revision == head():
        return
    if revision is not None:
        _require_known(ScriptDirectory.from_config(_config()), revision)
    state = "has no tables yet" if revision is None else f"has schema `{revision}`, this program needs `{head()}`"
    raise SchemaMismatch(f"the platform database {state}: run `tanglai migrate`")


def _require_known(script: ScriptDirectory, revision: str) -> None:
    if revision not in {known.revision for known in script.walk_revisions()}:
        raise SchemaMismatch(
            f"the platform database has schema `{revision}`, which is newer than this program (`{head()}`): "
            "run the newer program"
        )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    return config
