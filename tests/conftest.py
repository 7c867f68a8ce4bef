"""In charge of what tests of every folder share: a PostgreSQL server, fresh databases in it, the law's work on them."""

from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import asyncpg
import pytest

from tanglai.storage.database import PlatformDatabase
from tanglai.storage.embedded import EmbeddedPostgres
from tanglai.storage.keys import MasterKey
from tanglai.storage.migrate import upgrade
from tests.office import Office

MASTER = MasterKey(bytes(range(32)))
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
"""Server settings for data that may be lost when the machine crashes; a crash of the server alone loses nothing."""


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A running embedded PostgreSQL for the whole session, without fsync; one for each worker under pytest-xdist.

    For a database of one's own see `database`. Tests that stop or kill a server start one themselves.
    """
    with EmbeddedPostgres(tmp_path_factory.mktemp("postgres"), settings=FAST) as server:
        yield server


@pytest.fixture
def database(postgres: EmbeddedPostgres) -> Iterator[str]:
    """URL of a fresh, empty database (UTF-8, builtin locale C.UTF-8), dropped after the test with its sessions."""
    name = f"test_{uuid4().hex}"
    postgres.create_database(name)
    yield postgres.url(name)
    postgres.drop_database(name)


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


@pytest.fixture
async def office(platform: PlatformDatabase) -> Office:
    """Under the Measures, with one resource of the police."""
    return await Office.open(platform)


@pytest.fixture
async def order(platform: PlatformDatabase) -> Office:
    """The same under Order 809."""
    return await Office.open(platform, rules="order-809")
