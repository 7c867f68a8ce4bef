"""In charge of a region of departments on a database of its own for each test of the law's work."""

import pytest

from tanglai.storage.database import PlatformDatabase
from tests.office import Office


@pytest.fixture
async def office(platform: PlatformDatabase) -> Office:
    """Under the Measures, with one resource of the police."""
    return await Office.open(platform)


@pytest.fixture
async def order(platform: PlatformDatabase) -> Office:
    """The same under Order 809."""
    return await Office.open(platform, rules="order-809")
