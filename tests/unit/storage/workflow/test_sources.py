"""How sources are doing: told by every node alike, kept while the platform database is away."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from connectors.pool import SourcePool
from connectors.protocol import (
    Arguments,
    Bounds,
    Capabilities,
    CapabilityMissing,
    Row,
    SourceQuery,
    SourceTimeout,
    SourceUnavailable,
    TableStructure,
)
from tanglai.catalogue.model import Source, Zone
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.workflow.sources import SourceWatch, outages
from tanglai.storage.workflow.supervision import Period, observe
from tests.office import NOW, POLICE, Office
from tests.unit.storage.sample import until

QUERY = SourceQuery("people", None, "resident", ())


class Shaky:
    """A connector that fails as it is told to."""

    bounds = Bounds(8)
    capabilities = Capabilities(predicates=True, nested=True)
    fault: BaseException | None = None

    async def fetch(self, query: SourceQuery, arguments: Arguments, *, timeout: float) -> list[Row]:
        if self.fault is not None:
            raise self.fault
        return [("row",)]

    async def introspect(self) -> list[TableStructure]:
        return []

    async def close(self) -> None:
        pass


class ShakyKind:
    capabilities = Capabilities(predicates=True, nested=True)

    def __init__(self) -> None:
        self.opened = Shaky()

    def refusal(self, query: SourceQuery) -> str | None:
        return None

    def open(self, key: str, options: Mapping[str, Any], environment: Mapping[str, str]) -> Shaky:
        if "wrong" in options:
            raise ValueError("option `wrong`: no such thing")
        return self.opened


def source(key: str = "people", **options: Any) -> Source:
    return Source(key, "People", POLICE, "shaky", Zone.EXTRANET, options)


async def call(pool: SourcePool, of: Source) -> list[Row]:
    return await pool.connector(of).fetch(QUERY, {}, timeout=1)


async def test_each_call_is_seen() -> None:
    kind, seen = ShakyKind(), []
    pool = SourcePool({}, {"shaky": kind}, lambda key, fault: seen.append((key, fault)))
    assert await call(pool, source()) == [("row",)]
    assert pool.connector(source()).capabilities is kind.opened.capabilities
    for fault in (SourceUnavailable("people"), SourceTimeout("people")):
        kind.opened.fault = fault
        with pytest.raises(type(fault)):
            await call(pool, source())
    with pytest.raises(SourceUnavailable):
        await call(pool, source("other", wrong=1))
    # These say nothing of how the source is doing.
    for silent in (CapabilityMissing("people", "join"), asyncio.CancelledError()):
        kind.opened.fault = silent
        with pytest.raises(type(silent)):
            await call(pool, source())
    assert await pool.connector(source()).introspect() == []
    assert seen == [
        ("people", None),
        ("people", "SOURCE_UNAVAILABLE"),
        ("people", "SOURCE_TIMEOUT"),
        ("other", "SOURCE_UNAVAILABLE"),
    ]
    await pool.close()


async def write(platform: PlatformDatabase, watch: SourceWatch) -> int:
    async with platform.session() as connection:
        return await watch.write(connection)


async def down(platform: PlatformDatabase) -> list[tuple[str, str]]:
    async with platform.session() as connection:
        return [(it.source, it.fault) for it in await outages(connection)]


async def test_the_last_call_of_any_node_counts(platform: PlatformDatabase) -> None:
    one, two = SourceWatch("one"), SourceWatch("two")
    one.saw("a", "SOURCE_TIMEOUT")
    one.saw("b", None)
    one.saw("b", "SOURCE_UNAVAILABLE")
    one.saw("c", "SOURCE_UNAVAILABLE")
    one.saw("c", None)
    assert await write(platform, one) == 3
    assert await write(platform, one) == 0
    assert await down(platform) == [("a", "SOURCE_TIMEOUT"), ("b", "SOURCE_UNAVAILABLE")]
    two.saw("b", None)
    await write(platform, two)
    assert await down(platform) == [("a", "SOURCE_TIMEOUT")]
    one.saw("b", "SOURCE_TIMEOUT")
    await write(platform, one)
    assert ("b", "SOURCE_TIMEOUT") in await down(platform)
    days = await platform.pool.fetch("SELECT source, sum(calls)::int, sum(failures)::int FROM source_day GROUP BY 1")
    assert {tuple(row) for row in days} == {("a", 1, 1), ("b", 4, 2), ("c", 2, 1)}


async def test_what_cannot_be_written_is_kept(platform: PlatformDatabase) -> None:
    watch = SourceWatch("one")
    watch.saw("a", "SOURCE_TIMEOUT")
    watch.saw("b", "SOURCE_TIMEOUT")
    await platform.pool.execute("ALTER TABLE source_day RENAME TO elsewhere")
    with pytest.raises(Exception, match="source_day"):
        await write(platform, watch)
    await platform.pool.execute("ALTER TABLE elsewhere RENAME TO source_day")
    watch.saw("a", None)
    assert await write(platform, watch) == 2
    assert await down(platform) == [("b", "SOURCE_TIMEOUT")]
    assert await platform.pool.fetchval("SELECT sum(calls) FROM source_day") == 3


async def test_it_is_written_by_itself_and_at_the_end(platform: PlatformDatabase) -> None:
    watch = SourceWatch("one")
    async with watch.keeping(platform, every=0.01):
        watch.saw("a", "SOURCE_TIMEOUT")
        assert await until(lambda: down(platform)) == [("a", "SOURCE_TIMEOUT")]
    async with watch.keeping(platform, every=100):
        watch.saw("b", "SOURCE_TIMEOUT")
    assert await down(platform) == [("a", "SOURCE_TIMEOUT"), ("b", "SOURCE_TIMEOUT")]


async def test_supervision_tells_which_are_down(office: Office) -> None:
    snapshot = await office.snapshot()
    key = snapshot.resources["301/1"].binding.source
    watch = SourceWatch("one")
    watch.saw(key, "SOURCE_UNAVAILABLE")
    watch.saw("not-in-the-catalogue", "SOURCE_UNAVAILABLE")
    await write(office.platform, watch)
    async with office.platform.session() as connection:
        observed = await observe(connection, snapshot, [POLICE], Period(NOW.date(), NOW.date()), NOW.date())
    assert (observed.figures[0].sources, observed.figures[0].sources_down) == (1, (key,))
