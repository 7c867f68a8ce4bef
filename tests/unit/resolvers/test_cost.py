"""Authorization costs no Python per row: calls counted for the same query over 10 rows and over 1,000.

What does grow with the rows is told function by function: putting ids, cursors and relations into the bytes that the
source has built. Nothing of it decides anything.
"""

import csv
import inspect
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import asyncpg
import pytest

from connectors.pool import SourcePool
from resolvers.caches import Decisions
from resolvers.limits import Limits
from tanglai.catalogue.expressions import Compare, CompareOp, ItemRef, Value
from tanglai.catalogue.model import Quota, Source, Zone
from tanglai.catalogue.scalars import ScalarType
from tanglai.storage.embedded import EmbeddedPostgres
from tests.catalogues import (
    CONDITIONAL,
    MARKET_REGULATION,
    PUBLIC_SECURITY,
    keep,
    make_item,
    make_relation,
    make_resource,
    make_snapshot,
)
from tests.gateways import World, make_grant

FEW, MANY = 10, 1_000
ROOT = Path(__file__).parents[3]
PEOPLE = [
    {
        "handle": n,
        "number": f"N{n}",
        "name": f"name {n}",
        "sex": str(n % 2),
        "phone": f"139{n:08}",
        "income": n,
        "email": "a@b.cn",
    }
    for n in range(1, MANY + 1)
]
CARS = [{"handle": n, "plate": f"P{n}", "owner": f"N{n}"} for n in range(1, MANY + 1)]
SEX = ItemRef("sex", ScalarType.TEXT)
MEN = Compare(CompareOp.EQ, SEX, Value("1", ScalarType.TEXT))
PHONES = Compare(CompareOp.NE, SEX, Value("9", ScalarType.TEXT))

Calls = Counter[str]


class Counting:
    """Counts the calls of Python functions of `authz/` and `resolvers/` while it is entered.

    A coroutine counts when it starts, not each time it goes on: how often it waits is the driver's business.
    """

    def __init__(self) -> None:
        self.authz: Calls = Counter()
        self.resolvers: Calls = Counter()
        self._kept: dict[str, Calls | None] = {}

    def __enter__(self) -> "Counting":
        sys.setprofile(self._heard)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _heard(self, frame: FrameType, event: str, _: Any) -> None:
        if event != "call":
            return
        code = frame.f_code
        calls = self._of(code.co_filename)
        if calls is not None and not (code.co_flags & inspect.CO_COROUTINE and frame.f_lasti > 0):
            calls[f"{Path(code.co_filename).stem}.{code.co_qualname}"] += 1

    def _of(self, file: str) -> Calls | None:
        if file not in self._kept:
            path = Path(file)
            part = path.relative_to(ROOT).parts[0] if path.is_relative_to(ROOT) else ""
            self._kept[file] = {"authz": self.authz, "resolvers": self.resolvers}.get(part)
        return self._kept[file]


@asynccontextmanager
async def over(kind: str, options: Mapping[str, Any], suffix: str) -> AsyncIterator[World]:
    """Residents with scopes and masks, and their vehicles in another source, over real sources of `kind`."""
    resident = make_resource(
        "resident",
        [
            make_item("name"),
            make_item("number"),
            make_item("sex"),
            make_item("phone", share_class=CONDITIONAL, masks=[keep("middle", 3, 4)]),
            make_item("income", ScalarType.INTEGER, share_class=CONDITIONAL),
            make_item("email", share_class=CONDITIONAL),
        ],
        code="R/1",
        keys=[["number"]],
        table=f"resident{suffix}",
        relations=[make_relation("vehicles", "V/1", ["number"], ["owner"], inverse="keeper", many=True)],
    )
    vehicle = make_resource(
        "vehicle",
        [make_item("plate"), make_item("owner", share_class=CONDITIONAL)],
        code="V/1",
        source="cars",
        provider=MARKET_REGULATION,
        table=f"vehicle{suffix}",
        relations=[make_relation("keeper", "R/1", ["owner"], ["number"], inverse="vehicles")],
    )
    sources = [
        Source("main", "人口", PUBLIC_SECURITY.code, kind, Zone.EXTRANET, options),
        Source("cars", "车辆", MARKET_REGULATION.code, kind, Zone.EXTRANET, options),
    ]
    grants = [
        make_grant("R/1", "phone", id="clear", scope=MEN),
        make_grant("R/1", "phone", id="masked", scope=PHONES, masks={"phone": "middle"}),
        make_grant("R/1", "income", id="some", scope=MEN),
        make_grant("R/1", "email", id="bounded", scope=MEN, quota=Quota(rows=10**9, subjects=10**9)),
        make_grant("R/1", "income", id="other", scope=Compare(CompareOp.EQ, SEX, Value("7", ScalarType.TEXT))),
        make_grant("R/1", id="near", relations=frozenset({"vehicles"}), scope=PHONES),
        make_grant("V/1", id="far", relations=frozenset({"keeper"})),
    ]
    world = World(make_snapshot([resident, vehicle], sources=sources), {}, grants, limits=Limits(rows=10**9))
    pool = SourcePool({})
    world.gateway._sources = pool
    try:
        yield world
    finally:
        await pool.close()


@pytest.fixture(scope="module", params=["postgresql", "files"])
async def world(
    request: pytest.FixtureRequest, postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[World]:
    if request.param == "files":
        folder = tmp_path_factory.mktemp("cost")
        options = {"folder": str(folder), "workers": 1, "threads": 1}
        for name, rows in (("resident", PEOPLE), ("vehicle", CARS)):
            with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, list(rows[0]))
                writer.writeheader()
                writer.writerows(rows)
        async with over("files", options, ".csv") as world:
            yield world
        return
    postgres.create_database("cost")
    connection = await asyncpg.connect(postgres.url("cost"))
    await connection.execute(
        "CREATE TABLE resident (handle bigint PRIMARY KEY, number text, name text, sex text, phone text, income int, "
        "email text); CREATE TABLE vehicle (handle bigint PRIMARY KEY, plate text, owner text)"
    )
    await connection.copy_records_to_table("resident", records=[tuple(row.values()) for row in PEOPLE])
    await connection.copy_records_to_table("vehicle", records=[tuple(row.values()) for row in CARS])
    await connection.close()
    async with over("postgresql", {"dsn": postgres.url("cost")}, "") as world:
        yield world
    postgres.drop_database("cost")


async def counted(world: World, query: str, rows: int) -> Counting:
    """The calls of one request for `rows` rows; decisions, plan and connections are warm."""
    await asked(world, query, rows)
    return await asked(world, query, rows)


async def asked(world: World, query: str, rows: int) -> Counting:
    document = f"query($n: Int) {{ data {{ population {{ {query} }} }} }}"
    with Counting() as counting:
        answer = await world.ask(document, {"n": rows})
    assert answer.errors == []
    listed = answer.data["data"]["population"]["residents"]
    assert len(listed.get("nodes") or listed["edges"]) == rows
    return counting


@dataclass(frozen=True)
class Case:
    """A query, and how often each function of `resolvers/` is called per row of it, beyond what it costs without."""

    name: str
    query: str
    per_row: Mapping[str, int]


SPLICED = {  # an object that is more than the source's own bytes
    "rendering.Renderer.object": 1,
    "plan.RowShape.plain": 1,
    "rendering.Renderer.object.<locals>.<listcomp>": 1,
    "rendering.Renderer._piece": 2,
}
SEALED = {"seals.Seals.seal": 1, "seals.pack": 1}
METERED = {"metering.Meter.rows.<locals>.<listcomp>": 1}  # a quota of subjects: whom each row is about
LINKED = {  # by which key a row is linked, and which text beyond is whose; splicing that in calls nothing
    "execution.Execution._related.<locals>.<genexpr>": 1,
    "rendering.link_key": 1,
    "execution._key_of": 1,
}
PAGED = {  # a connection of its own beyond each row, put together here since there is something beyond it
    "execution.Execution._count": 1,
    "rendering.Renderer.connection": 1,
    "rendering.Renderer.objects": 1,
    "plan.RowShape.plain": 1,
    "plan.RowShape.relation": 1,
    "rendering.Renderer.objects.<locals>.<listcomp>": 1,
}
OBJECT = {"rendering.Renderer.object": 1, "plan.RowShape.plain": 1}  # the source's own bytes
SINGLE = {"execution.Execution._count": 1, **OBJECT}  # one object beyond each row
CASES = (
    Case("cells under scopes and masks", "residents(first: $n) { nodes { name sex income phone } }", {}),
    Case(
        "filters, orders and searches over them, with a count",
        'residents(first: $n, where: {or: [{income: {isNull: true}}, {income: {gt: 0}}, {not: {name: {eq: ""}}}]}, '
        'search: "name", orderBy: [{income: DESC}, {sex: ASC}]) { nodes { income } totalCount pageInfo { endCursor } }',
        METERED,  # `search` looks into what has a quota too
    ),
    Case(
        "a filter through a relation to another source",
        'residents(first: $n, where: {vehicles: {some: {plate: {startsWith: "P"}}}}) { nodes { income } }',
        {},
    ),
    Case("ids", "residents(first: $n) { nodes { id income } }", Counter(SPLICED) + Counter(SEALED)),
    Case(
        "cursors",
        "residents(first: $n, orderBy: [{sex: ASC}]) { edges { cursor node { income } } }",
        Counter(SEALED)
        + Counter(OBJECT)
        + Counter(
            {
                "rendering.Renderer._edge": 1,
                "rendering.Renderer._cursor": 1,
                "rendering.Renderer._cursor.<locals>.<listcomp>": 1,
                "seals.pack": 1,  # a second sort key
            }
        ),
    ),
    Case(
        "relations to several rows of another source",
        "residents(first: $n) { nodes { income vehicles(first: 1) { nodes { plate } } } }",
        LINKED,  # the source joins each page
    ),
    Case(
        "and back to one row",
        "residents(first: $n) { nodes { income vehicles(first: 1) { nodes { plate keeper { income } } } } }",
        Counter(LINKED) + Counter(LINKED) + Counter(PAGED) + Counter(SINGLE),
    ),
    Case("a quota of subjects", "residents(first: $n) { nodes { email } }", METERED),
)


def growth(few: Calls, many: Calls) -> dict[str, int]:
    """Calls per row, by function. Raises AssertionError where they are not proportional."""
    found: dict[str, int] = {}
    for name in few.keys() | many.keys():
        each, rest = divmod(many[name] - few[name], MANY - FEW)
        assert rest == 0, f"{name}: {few[name]} calls for {FEW} rows, {many[name]} for {MANY}"
        if each:
            found[name] = each
    return found


def expected(per_row: Mapping[str, int]) -> dict[str, int]:
    """From Python 3.12 on a comprehension is no call of its own."""
    inlined = sys.version_info >= (3, 12)
    return {name: calls for name, calls in per_row.items() if not (inlined and name.endswith("<listcomp>"))}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_deciding_costs_nothing_per_row(world: World, case: Case) -> None:
    few, many = await counted(world, case.query, FEW), await counted(world, case.query, MANY)
    assert few.authz == many.authz == {"decide.choose_purpose": 1}  # all else is in the caches
    assert growth(few.resolvers, many.resolvers) == expected(case.per_row)


async def test_a_decision_that_is_not_cached_costs_the_same_for_any_number_of_rows(world: World) -> None:
    found: list[Counting] = []
    for rows in (FEW, MANY):
        world.gateway._decisions = Decisions(10)
        world.gateway._served = None
        found.append(await asked(world, CASES[0].query, rows))
    few, many = found
    assert sum(few.authz.values()) > 100  # two resources are decided
    assert few.authz == many.authz
    assert growth(few.resolvers, many.resolvers) == {}
