"""Open connectors: one for each source and options, closed when nothing uses them."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import structlog

from connectors import pool as pools
from connectors.pool import SourcePool
from connectors.protocol import Arguments, Bounds, Capabilities, Row, SourceQuery, SourceUnavailable, TableStructure
from connectors.registry import KINDS
from tanglai.catalogue.model import Source, Zone
from tests.capture import captured_logs


class Recorded:
    """A connector that knows whether it is closed."""

    bounds = Bounds(8)
    capabilities = Capabilities(predicates=True, nested=True)
    closed = False

    async def fetch(self, query: SourceQuery, arguments: Arguments, *, timeout: float) -> list[Row]:
        return []

    async def introspect(self) -> list[TableStructure]:
        return []

    async def close(self) -> None:
        self.closed = True


class RecordedKind:
    capabilities = Capabilities(predicates=True, nested=True)

    def __init__(self) -> None:
        self.opened: list[Recorded] = []

    def refusal(self, query: SourceQuery) -> str | None:
        return None

    def open(self, key: str, options: Mapping[str, Any], environment: Mapping[str, str]) -> Recorded:
        if "wrong" in options:
            raise ValueError("option `wrong`: no such thing")
        connector = Recorded()
        self.opened.append(connector)
        return connector


SOURCE = Source("people", "People", "dept", "recorded", Zone.EXTRANET, {"a": 1, "b": {"c": [1, 2]}})


async def test_a_source_is_opened_once() -> None:
    kind = RecordedKind()
    pool = SourcePool({}, {"recorded": kind})
    first = pool.connector(SOURCE)
    assert pool.connector(SOURCE) is first
    assert pool.connector(replace(SOURCE, title="Renamed", options={"b": {"c": [1, 2]}, "a": 1})) is first
    assert pool.connector(replace(SOURCE, key="other")) is not first
    await pool.close()
    assert [connector.closed for connector in kind.opened] == [True, True]


async def test_changed_options_open_another_and_old_requests_keep_theirs() -> None:
    pool = SourcePool({}, {"recorded": RecordedKind()})
    changed = replace(SOURCE, options={"a": 2})
    old, new = pool.connector(SOURCE), pool.connector(changed)
    assert old is not new
    assert pool.connector(SOURCE) is old
    assert pool.connector(changed) is new
    await pool.close()


async def test_what_nobody_uses_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)
    kind = RecordedKind()
    pool = SourcePool({}, {"recorded": kind})
    changed = replace(SOURCE, options={"a": 2})
    pool.connector(SOURCE)
    now += pools.IDLE_SECONDS - 1
    pool.connector(changed)
    now += 31
    pool.connector(replace(SOURCE, options={"a": 3}))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert [connector.closed for connector in kind.opened] == [True, False, False]
    assert pool.connector(SOURCE) is not kind.opened[0]
    await pool.close()
    assert all(connector.closed for connector in kind.opened)


async def test_options_that_cannot_be_make_the_source_unavailable() -> None:
    structlog.reset_defaults()  # another test may have left a level that hides warnings
    pool = SourcePool({}, {"recorded": RecordedKind()})
    for source in (replace(SOURCE, kind="telepathy"), replace(SOURCE, options={"wrong": 1})):
        with captured_logs() as logs, pytest.raises(SourceUnavailable):
            pool.connector(source)
        assert "telepathy" in logs[0]["detail"] or "wrong" in logs[0]["detail"]
    await pool.close()


def test_kinds() -> None:
    assert set(KINDS) == {"files", "http", "postgresql"}
    assert {name for name, kind in KINDS.items() if kind.capabilities.predicates} == {"files", "postgresql"}
    assert {name for name, kind in KINDS.items() if kind.capabilities.nested} == {"postgresql"}
