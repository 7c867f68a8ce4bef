"""In charge of what tests of every folder share: a PostgreSQL server and fresh databases in it."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from tanglai.storage.embedded import EmbeddedPostgres

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
