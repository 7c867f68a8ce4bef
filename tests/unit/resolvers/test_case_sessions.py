"""Case 42 of docs/cases.md on a real database: one connection and its prepared statements serve everybody."""

import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest

from connectors.pool import SourcePool
from tanglai.catalogue.expressions import Attribute, Compare, CompareOp, ItemRef
from tanglai.catalogue.model import Source, Zone
from tanglai.catalogue.scalars import ScalarType
from tanglai.storage.embedded import EmbeddedPostgres
from tests.cases import case
from tests.catalogues import (
    CONDITIONAL,
    DATA_OFFICE,
    MARKET_REGULATION,
    PUBLIC_SECURITY,
    YINCHUAN,
    make_item,
    make_resource,
    make_snapshot,
)
from tests.gateways import World, make_grant, requester

PERSONS = "query($n: Int) { data { population { persons(first: $n) { nodes { name phone } totalCount } } } }"
YIN, MARKET, NOBODY = requester(), requester(department=MARKET_REGULATION), requester(department=DATA_OFFICE)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    settings = {"fsync": "off", "log_statement": "all", "log_min_duration_statement": "-1"}
    with EmbeddedPostgres(tmp_path_factory.mktemp("sessions"), settings=settings) as server:
        yield server


@pytest.fixture
async def world(server: EmbeddedPostgres) -> AsyncIterator[World]:
    """Rows that each name the department which may see them; a source with one connection."""
    admin = await asyncpg.connect(server.url())
    await admin.execute(
        "DROP TABLE IF EXISTS person; CREATE TABLE person (handle bigint, name text, phone text, seen text)"
    )
    await admin.executemany(
        "INSERT INTO person VALUES ($1, $2, $3, $4)",
        [(n, f"n{n}", f"138{n}", (YINCHUAN if n % 2 else MARKET_REGULATION).code) for n in range(1, 8)],
    )
    await admin.close()
    items = [make_item(name, share_class=CONDITIONAL) for name in ("name", "phone", "seen")]
    person = make_resource("person", items, code="P/1", namespace="public")
    options: dict[str, Any] = {"dsn": server.url(), "pool": {"max": 1}}
    source = Source("main", "人口", PUBLIC_SECURITY.code, "postgresql", Zone.EXTRANET, options)
    scope = Compare(CompareOp.EQ, ItemRef("seen", ScalarType.TEXT), Attribute("department.code"))
    grants = [
        make_grant("P/1", "name phone", "g", scope=scope, requester=one.code) for one in (YINCHUAN, MARKET_REGULATION)
    ]
    world = World(make_snapshot([person], sources=[source]), {}, grants)
    pool = SourcePool({})
    world.gateway._sources = pool
    yield world
    await pool.close()


async def seen(world: World, who: Any, number: int = 100) -> list[str]:
    answer = await world.ask(PERSONS, {"n": number}, who=who)
    found = answer.data["data"]["population"]["persons"]
    assert found["totalCount"] == {YIN: 4, MARKET: 3, NOBODY: 0}[who]
    return [node["name"] for node in found["nodes"]]


@case(42)
async def test_statements_on_one_connection_hold_no_state_of_who_asked_before(
    world: World, server: EmbeddedPostgres
) -> None:
    """Turn by turn on one session: each gets its own rows, by the same texts, in which nobody is named."""
    log = server.data_dir / "server.log"
    before = log.stat().st_size
    for number in (100, 2):
        for who in (YIN, MARKET, NOBODY, YIN, NOBODY, MARKET, MARKET, YIN):
            names = {YIN: ["n1", "n3", "n5", "n7"], MARKET: ["n2", "n4", "n6"], NOBODY: []}[who]
            assert await seen(world, who, number) == names[:number]
    entries = re.split(r"^\d{4}-\d\d-\d\d [^ ]+ UTC ", log.read_bytes()[before:].decode(), flags=re.MULTILINE)
    logged = [re.match(r"\[(\d+)\] LOG:  (?:execute [^:]+|statement): (.*)", entry, re.DOTALL) for entry in entries]
    statements = [(match[1], match[2].strip()) for match in logged if match]
    reading = [(process, text) for process, text in statements if 'FROM "public"."person"' in text]
    assert len({process for process, _ in reading}) == 1
    assert len(reading) == 24  # twelve questions of those with a grant, rows and count
    assert len({text for _, text in reading}) == 3  # a page of many rows is one text, of few it is rows; and the count
    for _, text in statements:
        assert YINCHUAN.code not in text
        assert MARKET_REGULATION.code not in text
        assert "set_config" not in text
        assert "current_setting" not in text
        assert not re.match(r"(SET|RESET|DISCARD|CREATE|INSERT|UPDATE|PREPARE|DECLARE)\b(?! statement_timeout)", text)


@case(42, twin=True)
async def test_who_asks_again_on_the_same_connection_gets_the_same(world: World) -> None:
    first = await seen(world, YIN)
    assert first == ["n1", "n3", "n5", "n7"]
    assert [await seen(world, YIN) for _ in range(8)] == [first] * 8  # prepared by now
