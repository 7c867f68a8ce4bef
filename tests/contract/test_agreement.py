"""Random queries: every source answers as the reference evaluator does."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from connectors import local
from connectors.protocol import JsonOutput, Row, SourceQuery
from tests.contract import strategies
from tests.contract.strategies import Drawn
from tests.contract.subjects import REFERENCE, Subject

_SETTINGS = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)


def comparable(query: SourceQuery, rows: list[Row]) -> list[tuple[Any, ...]]:
    """Rows whose JSON texts are read, so that spaces and number forms do not matter."""
    skipped = len(query.links)
    texts = {skipped + i for i, output in enumerate(query.outputs) if isinstance(output, JsonOutput)}
    return [tuple(json.loads(v) if i in texts else v for i, v in enumerate(row)) for row in rows]


def by_key(query: SourceQuery, rows: list[tuple[Any, ...]]) -> dict[tuple[Any, ...], list[tuple[Any, ...]]]:
    """Rows by link key, since the order of keys is the source's own; without links all under one."""
    grouped: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
    for row in rows:
        grouped.setdefault(row[: len(query.links)], []).append(row)
    return grouped


async def agrees(subject: Subject, drawn: Drawn) -> None:
    query = drawn.query
    expected = local.run(query, REFERENCE[None, query.table], drawn.arguments, REFERENCE)
    answer = await subject.fetch(query, drawn.arguments)
    assert by_key(query, comparable(query, answer)) == by_key(query, comparable(query, expected))
    keys = [row[: len(query.links)] for row in answer]
    assert len(set(keys)) == sum(1 for i, key in enumerate(keys) if i == 0 or keys[i - 1] != key), "keys are scattered"


@pytest.mark.parametrize("kind", ["postgresql", "csv", "parquet", "http"])
async def test_lists(kind: str, all_subjects: dict[str, Subject]) -> None:
    subject = all_subjects[kind]
    loop = asyncio.get_running_loop()

    @_SETTINGS
    @given(strategies.lists(nested=subject.nested))
    def run(drawn: Drawn) -> None:
        asyncio.run_coroutine_threadsafe(agrees(subject, drawn), loop).result()

    await asyncio.to_thread(run)


@pytest.mark.parametrize("kind", ["postgresql", "csv", "parquet", "http"])
async def test_groups(kind: str, all_subjects: dict[str, Subject]) -> None:
    subject = all_subjects[kind]
    loop = asyncio.get_running_loop()

    @_SETTINGS
    @given(strategies.groups())
    def run(drawn: Drawn) -> None:
        asyncio.run_coroutine_threadsafe(agrees(subject, drawn), loop).result()

    await asyncio.to_thread(run)
