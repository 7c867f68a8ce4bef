"""In charge of a platform database of its own for each storage test."""

from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import pytest

from tanglai.storage.database import PlatformDatabase
from tanglai.storage.embedded import EmbeddedPostgres
from tanglai.storage.keys import MasterKey
from tanglai.storage.migrate import upgrade

MASTER = MasterKey(bytes(range(32)))


@pytest.fixture(scope="session")
async def tables(postgres: EmbeddedPostgres) -> str:
    """Name of a database with the platform's tables, to be copied: making them takes many times as long."""
    name = f"tables_{uuid4().hex}"
    postgres.create_database(name)
    await upgrade(postgres.url(name))
    return name


@pytest.fixture
async def url(postgres: EmbeddedPostgres, tables: str) -> AsyncIterator[str]:
    """URL of a fresh database with the platform's tables."""
    name = f"test_{uuid4().hex}"
    connection = await asyncpg.connect(postgres.url("postgres"))
    try:
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {tables} STRATEGY FILE_COPY")
        yield postgres.url(name)
        await connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    finally:
        await connection.close()


@pytest.fixture
async def platform(url: str) -> AsyncIterator[PlatformDatabase]:
    """The platform database, empty, with a master key."""
    async with await PlatformDatabase.open(url, master_key=MASTER) as platform:
        yield platform
