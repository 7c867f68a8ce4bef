"""The generated rows, made once for all tests of the demo region."""

import pytest

from demo.data.world import World


@pytest.fixture(scope="session")
def world() -> World:
    return World()
