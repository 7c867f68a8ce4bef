"""What reaches real databases: statements counted in their own logs, plans looked at with their own EXPLAIN."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from connectors.pool import SourcePool
from tanglai.catalogue.model import Source, Zone
from tanglai.catalogue.scalars import ScalarType
from tanglai.storage.embedded import EmbeddedPostgres
from tests.catalogues import MARKET_REGULATION, PUBLIC_SECURITY, make_item, make_relation, make_resource, make_snapshot
from tests.gateways import World

PEOPLE = 5_000
FIELDS = ["name", "number", "sex", "birth", "a", "b", "c", "d", "e", "f"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    settings = {"fsync": "off", "log_statement": "all", "log_min_duration_statement": "-1"}
    with EmbeddedPostgres(tmp_path_factory.mktemp("counted"), settings=settings) as server:
        server.create_database("people")
        server.create_database("cars")
        yield server


@pytest.fixture(scope="module")
async def world(server: EmbeddedPostgres) -> AsyncIterator[World]:
    people = await asyncpg.connect(server.url("people"))
    await people.execute(
        "CREATE TABLE resident (handle bigint PRIMARY KEY, name text, number text UNIQUE, sex text, birth date, "
        "a text, b text, c text, d text, e numeric, f bigint)"
    )
    await people.execute(
        "INSERT INTO resident SELECT n, 'name ' || n, 'N' || n, (n % 2)::text, date '2000-01-01' + n % 9000, "
        "'a', 'b', 'c', 'd', n / 7.0, n * 1000000000000 FROM generate_series(1, $1::int) n",
        PEOPLE,
    )
    await people.execute("ANALYZE")
    await people.close()
    cars = await asyncpg.connect(server.url("cars"))
    await cars.execute("CREATE TABLE vehicle (handle bigint PRIMARY KEY, plate text UNIQUE, owner text)")
    await cars.execute("CREATE INDEX ON vehicle (owner)")
    await cars.execute("INSERT INTO vehicle SELECT n, 'P' || n, 'N' || n % 500 FROM generate_series(1, 2000) n")
    await cars.close()
    types = {"birth": ScalarType.DATE, "e": ScalarType.DECIMAL, "f": ScalarType.LONG}
    resident = make_resource(
        "resident",
        [make_item(name, types.get(name, ScalarType.TEXT)) for name in FIELDS],
        code="R/1",
        keys=[["number"]],
        namespace="public",
        relations=[make_relation("vehicles", "V/1", ["number"], ["owner"], inverse="keeper", many=True)],
    )
    vehicle = make_resource(
        "vehicle",
        [make_item("plate"), make_item("owner")],
        code="V/1",
        source="cars",
        namespace="public",
        provider=MARKET_REGULATION,
        relations=[make_relation("keeper", "R/1", ["owner"], ["number"], inverse="vehicles")],
    )
    sources = [
        Source("main", "人口", PUBLIC_SECURITY.code, "postgresql", Zone.EXTRANET, {"dsn": server.url("people")}),
        Source("cars", "车辆", MARKET_REGULATION.code, "postgresql", Zone.EXTRANET, {"dsn": server.url("cars")}),
    ]
    world = World(make_snapshot([resident, vehicle], sources=sources), {})
    pool = SourcePool({})
    world.gateway._sources = pool
    yield world
    await pool.close()


def statements(server: EmbeddedPostgres, since: int) -> list[str]:
    """The statements that the server logged after byte `since` of its log and that read tables of ours."""
    log = (server.data_dir / "server.log").read_bytes()[since:].decode()
    entries = re.split(r"^\d{4}-\d\d-\d\d [^ ]+ UTC \[\d+\] ", log, flags=re.MULTILINE)
    found = [re.match(r"LOG:  (?:execute [^:]+|statement): (.*)", entry, re.DOTALL) for entry in entries]
    return [match[1] for match in found if match and re.search(r'FROM\s+"public"\.', match[1])]


async def ask(world: World, query: str, variables: dict[str, Any] | None = None) -> Any:
    answer = await world.ask(query, variables)
    assert answer.errors == []
    return answer.data


def size(server: EmbeddedPostgres) -> int:
    return Path(server.data_dir / "server.log").stat().st_size


async def test_100_residents_with_10_items_are_one_statement(world: World, server: EmbeddedPostgres) -> None:
    fields = " ".join(FIELDS)
    query = f"query($n: Int) {{ data {{ population {{ residents(first: $n) {{ nodes {{ {fields} }} }} }} }} }}"
    for n in (1, 100):
        before = size(server)
        data = await ask(world, query, {"n": n})
        assert len(data["data"]["population"]["residents"]["nodes"]) == n
        assert len(statements(server, before)) == 1


async def test_with_vehicles_of_another_source_two_statements(world: World, server: EmbeddedPostgres) -> None:
    query = "{ data { population { residents(first: 100) { nodes { name vehicles { nodes { plate } } } } } } }"
    before = size(server)
    data = await ask(world, query)
    nodes = data["data"]["population"]["residents"]["nodes"]
    assert [len(node["vehicles"]["nodes"]) for node in nodes] == [4] * 100
    assert len(statements(server, before)) == 2


async def test_values_never_stand_in_the_statement(world: World, server: EmbeddedPostgres) -> None:
    before = size(server)
    query = "query($v: String!) { data { population { residents(where: {name: {eq: $v}}) { nodes { name } } } } }"
    await ask(world, query, {"v": "a value of a request"})
    found = statements(server, before)
    assert len(found) == 1
    assert "a value of a request" not in found[0]


@pytest.mark.parametrize(
    ("query", "ceiling"),
    [
        ("{ data { population { residents(first: 20) { nodes { name } } } } }", 10.0),
        ('{ data { population { resident(number: "N7") { name } } } }', 20.0),
        ('{ data { population { residents(where: {number: {eq: "N7"}}) { nodes { name } } } } }', 20.0),
        ("{ data { population { residents(first: 20, orderBy: []) { nodes { name } } } } }", 10.0),
    ],
    ids=["first page", "look-up", "filter on a key", "no order"],
)
async def test_cost_ceilings(world: World, server: EmbeddedPostgres, query: str, ceiling: float) -> None:
    """The database's own estimate stays far below that of reading the whole table (about 150)."""
    before = size(server)
    await ask(world, query)
    (statement,) = statements(server, before)
    connection = await asyncpg.connect(server.url("people"))
    try:
        await connection.execute("SET plan_cache_mode = force_generic_plan")
        await connection.execute(f"PREPARE counted AS {statement}")
        nulls = ", ".join(["NULL"] * len(set(re.findall(r"\$\d+", statement))))
        plan = await connection.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE counted{f'({nulls})' if nulls else ''}")
    finally:
        await connection.close()
    cost = json.loads(plan)[0]["Plan"]["Total Cost"]
    assert cost <= ceiling, (cost, statement)
