"""An operation that was asked before: nothing is read, decided, planned or written again, and no Python runs per row.

Calls are counted by the code that runs, whatever it was imported as.
"""

import dis
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from functools import cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import asyncpg
import graphql
import pytest

from authz.decide import decide
from authz.principal import Principal
from connectors.postgresql_catalog import table_facts
from connectors.sql.statement import compile_query
from resolvers.roots import plan_operation
from tanglai.catalogue.model import Grant
from tanglai.storage.embedded import EmbeddedPostgres
from tests.catalogues import DATA_OFFICE, YINCHUAN
from tests.gateways import PURPOSE, World, requester
from tests.unit.resolvers.test_cost import CARS, FEW, MANY, PEOPLE, ROOT, over

STEPS: Mapping[CodeType, str] = {
    graphql.parse.__code__: "parse",
    graphql.validate.__code__: "validate",
    decide.__code__: "decide",
    plan_operation.__code__: "plan",
    compile_query.__code__: "compile",
    table_facts.__code__: "look at a table",
}
RESUME = dis.opmap["RESUME"]
EVERY = set(STEPS.values())
FOLDERS = tuple(str(ROOT / name) + "/" for name in ("authz", "connectors", "resolvers", "schema", "tanglai"))


class Heard:
    """Counts Python calls, by what `name` says of their code, while it is entered; None: not counted."""

    def __init__(self, name: Callable[[CodeType], str | None]) -> None:
        self.calls: Counter[str] = Counter()
        self._name = name

    def __enter__(self) -> Counter[str]:
        threading.setprofile(self._heard)
        sys.setprofile(self._heard)
        return self.calls

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        threading.setprofile(None)

    def _heard(self, frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            name = self._name(frame.f_code)
            if name is not None and _begins(frame.f_code, frame.f_lasti):
                self.calls[name] += 1


@cache
def _begins(code: CodeType, at: int) -> bool:
    """Whether a call that is told at an instruction is a new one: no coroutine or generator that goes on."""
    return at < 0 or (code.co_code[at] == RESUME and code.co_code[at + 1] == 0)


def ours(code: CodeType) -> str | None:
    """Functions of the project."""
    file = code.co_filename
    return f"{Path(file).stem}.{code.co_qualname}" if file.startswith(FOLDERS) else None


@pytest.fixture(scope="module")
async def world(postgres: EmbeddedPostgres) -> AsyncIterator[World]:
    """Residents and vehicles in PostgreSQL, under scopes and masks. The data office holds what Yinchuan holds."""
    postgres.create_database("repeated")
    connection = await asyncpg.connect(postgres.url("repeated"))
    await connection.execute(
        "CREATE TABLE resident (handle bigint PRIMARY KEY, number text, name text, sex text, phone text, income int, "
        "email text); CREATE TABLE vehicle (handle bigint PRIMARY KEY, plate text, owner text); "
        "CREATE INDEX ON resident (income)"
    )
    await connection.copy_records_to_table("resident", records=[tuple(row.values()) for row in PEOPLE])
    await connection.copy_records_to_table("vehicle", records=[tuple(row.values()) for row in CARS])
    await connection.close()
    async with over("postgresql", {"dsn": postgres.url("repeated")}, "") as world:
        world.replica.held[DATA_OFFICE.code] = world.replica.held[YINCHUAN.code]
        yield world
    postgres.drop_database("repeated")


QUERY = """query($n: Int, $of: ResidentWhere, $by: [ResidentOrder!]) { data { population {
  residents(first: $n, where: $of, orderBy: $by) { nodes { name phone vehicles(first: 2) { nodes { plate } } } }
} } }"""
FIRST: dict[str, Any] = {"n": 10, "of": {"income": {"gt": 5}}, "by": [{"income": "ASC"}]}


async def steps(
    world: World, variables: Mapping[str, Any], who: Principal | None = None, query: str = QUERY
) -> set[str]:
    """What the gateway does to answer."""
    with Heard(STEPS.get) as calls:
        answer = await world.ask(query, variables, who=who)
    assert answer.errors == []
    assert answer.data["data"]["population"]["residents"]["nodes"]
    return set(calls)


async def test_a_repeated_operation_is_only_run(world: World) -> None:
    assert await steps(world, FIRST) == EVERY
    assert await steps(world, FIRST) == set()


async def test_values_are_no_part_of_a_plan(world: World) -> None:
    await steps(world, FIRST)
    assert await steps(world, {**FIRST, "of": {"income": {"gt": 900}}}) == set()


async def test_sizes_of_pages_share_a_plan_and_few_statements(world: World) -> None:
    await steps(world, FIRST)
    with Heard(STEPS.get) as calls:
        for size in range(1, 1000, 37):
            await world.ask(QUERY, {**FIRST, "n": size})
    assert set(calls) <= {"compile"}
    assert calls["compile"] <= 6, "a statement for small pages, for usual ones and for the largest, of each list"


async def test_whoever_has_the_same_rights_runs_the_same(world: World) -> None:
    await steps(world, FIRST)
    client = requester(client="another", person="P1", token_id="t9")
    assert await steps(world, FIRST, client) == set()
    department = Principal(DATA_OFFICE, "app", purposes=frozenset({PURPOSE}))
    assert await steps(world, FIRST, department) <= {"decide"}
    assert await steps(world, FIRST, department) == set()


@pytest.mark.parametrize(
    "variables",
    [
        {**FIRST, "of": {"income": {"lt": 500}}},
        {**FIRST, "of": {}},
        {**FIRST, "by": [{"income": "DESC"}]},
        {"n": 10, "by": [{"income": "ASC"}]},
    ],
    ids=["another operator", "no test", "another direction", "an absent variable"],
)
async def test_another_shape_is_planned_once_and_read_never(world: World, variables: Mapping[str, Any]) -> None:
    await steps(world, FIRST)
    assert await steps(world, variables) == {"plan", "compile"}
    assert await steps(world, variables) == set()
    assert await steps(world, FIRST) == set(), "the first shape is kept beside"


async def test_other_rights_are_planned_anew_for_the_document_that_is_known(world: World) -> None:
    query = QUERY.replace("vehicles(first: 2) { nodes { plate } }", "sex")
    await steps(world, FIRST, query=query)
    held: tuple[Grant, ...] = world.replica.held[YINCHUAN.code]
    world.replica.held[YINCHUAN.code] = tuple(grant for grant in held if grant.id != "masked")
    try:
        assert await steps(world, FIRST, query=query) == {"decide", "plan", "compile"}
    finally:
        world.replica.held[YINCHUAN.code] = held


PLAIN = (
    "residents(first: $n) { nodes { name sex income phone } }",
    'residents(first: $n, where: {or: [{income: {gt: 0}}, {income: {isNull: true}}]}, search: "name") '
    "{ nodes { income phone } totalCount pageInfo { endCursor } }",
    "residents(first: $n, orderBy: [{income: DESC}]) { nodes { income } }",
    'residents(first: $n, where: {vehicles: {some: {plate: {startsWith: "P"}}}}) { nodes { income } }',
)


@pytest.mark.parametrize("query", PLAIN, ids=["cells", "filters and search", "an order", "another source"])
async def test_no_python_runs_per_row(world: World, query: str) -> None:
    """None of the whole project, connectors and audit included. (Ids, cursors and relations: see test_cost.py.)"""
    world.replica.held[YINCHUAN.code] = tuple(
        grant for grant in world.replica.held[YINCHUAN.code] if grant.quota is None
    )
    document = f"query($n: Int) {{ data {{ population {{ {query} }} }} }}"
    counted: list[Counter[str]] = []
    for rows in (FEW, MANY):
        least: Counter[str] | None = None
        for _ in range(3):  # the least: what is done once, and what the ledger does now and then beside, is left out
            with Heard(ours) as calls:
                answer = await world.ask(document, {"n": rows})
            assert len(answer.data["data"]["population"]["residents"]["nodes"]) == rows
            least = calls if least is None else least & calls
        counted.append(least or Counter())
    few, many = counted
    assert sum(few.values()) > 50
    assert {name: many[name] - few[name] for name in many if many[name] - few[name] >= 5} == {}
