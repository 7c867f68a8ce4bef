"""In charge of a platform database of its own for each storage test."""

from collections.abc import AsyncIterator

import pytest

from tanglai.storage.database import PlatformDatabase
from tanglai.storage.keys import MasterKey
from tanglai.storage.migrate import upgrade

MASTER = MasterKey(bytes(range(32)))


@pytest.fixture
async def url(database: str) -> str:
    """URL of a fresh database with the platform's tables."""
    await upgrade(database)
    return database


@pytest.fixture
async def platform(url: str) -> AsyncIterator[PlatformDatabase]:
    """The platform database, empty, with a master key."""
    async with await PlatformDatabase.open(url, master_key=MASTER) as platform:
        yield platform
