"""The sources under test, one of each kind, opened once."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from tanglai.storage.embedded import EmbeddedPostgres
from tests.contract import subjects
from tests.contract.subjects import Subject

KINDS = ("memory", "postgresql", "csv", "parquet", "http")
NESTING = ("memory", "postgresql")
"""Kinds that look into several tables in one call."""


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def interface_url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """Where the suite's HTTP interface runs."""
    async with subjects.interface(tmp_path_factory.mktemp("interface")) as url:
        yield url


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def all_subjects(
    postgres: EmbeddedPostgres, interface_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[dict[str, Subject]]:
    """Every source under test by kind."""
    postgres.create_database("contract")
    async with AsyncExitStack() as stack:
        opened = [
            await stack.enter_async_context(subjects.memory()),
            await stack.enter_async_context(subjects.postgresql(postgres.url("contract"))),
            await stack.enter_async_context(subjects.csv_files(tmp_path_factory.mktemp("csv"))),
            await stack.enter_async_context(subjects.parquet_files(tmp_path_factory.mktemp("parquet"))),
            await stack.enter_async_context(subjects.http(interface_url)),
        ]
        yield {subject.kind: subject for subject in opened}
    postgres.drop_database("contract")


@pytest.fixture(params=KINDS)
def subject(request: pytest.FixtureRequest, all_subjects: dict[str, Subject]) -> Subject:
    """One source under test."""
    return all_subjects[request.param]
