"""Golden cases over filled tables: how many statements reach PostgreSQL, what they cost, which indexes serve them.

Assertions of a case (see cases.py): `## cost N …`, what its statements may cost at most by PostgreSQL's own estimate,
the cheapest first; `## touches N`, how many rows of tables they look at together; `## index NAME`, one that serves it;
`## reads TABLE`, one that it may read from end to end, and no other. To read `resident` so costs more than 700.
"""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from graphql import GraphQLSchema

from schema import unified
from tests.golden.cases import CASES, GRANTS, Case
from tests.golden.counted import most_calls
from tests.golden.filled import Filled, Logged, filled, logged


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Logged]:
    with logged(tmp_path_factory.mktemp("golden")) as server:
        yield server


@pytest.fixture(scope="module")
async def tables(server: Logged) -> AsyncIterator[Filled]:
    async with filled(server) as tables:
        yield tables


@pytest.fixture(scope="module")
def schema(tables: Filled) -> GraphQLSchema:
    return unified.build(tables.snapshot).graphql


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.path.stem)
async def test_statements(tables: Filled, schema: GraphQLSchema, case: Case) -> None:
    world = tables.world(case.grants)
    tables.server.forget()
    answer = await world.ask(case.query)
    assert "data" in answer.body, answer.body
    ran = tables.server.ran()
    assert [str(len(ran))] == case.told("calls"), "as many as source calls, however many rows there are"
    assert len(ran) <= most_calls(case.query, schema, tables.snapshot)
    plans = [await tables.server.looked_at(one, run=True) for one in ran]
    costs = sorted(plan.cost for plan in plans)
    ceilings = [float(number) for number in case.told("cost")[0].split()]
    assert len(costs) == len(ceilings)
    assert all(cost <= ceiling for cost, ceiling in zip(costs, ceilings, strict=True)), (costs, ceilings)
    assert sum(plan.touched for plan in plans) <= int(case.told("touches")[0])
    assert {name for plan in plans for name in plan.scanned} == set(case.told("reads"))
    assert set(case.told("index")) <= {name for plan in plans for name in plan.indexes}


@pytest.mark.parametrize("grants", ["none", "all heights", "height of men", "three grants"])
@pytest.mark.parametrize("order", ["ASC", "DESC"])
async def test_a_page_far_on_touches_as_few_rows_as_the_first(tables: Filled, grants: str, order: str) -> None:
    """The page of 20 after the 29,500th row, among the nulls of a cell as among its values."""
    world = tables.world(GRANTS[grants])
    item = "birthDate" if grants == "none" else "height"
    page = "residents({page}, orderBy: [{{{item}: {order}}}]) {{ nodes {{ name }} pageInfo {{ startCursor }} }}"

    async def read(which: str) -> Any:
        query = page.format(page=which, item=item, order=order)
        tables.server.forget()
        answer = await world.ask(f"{{ data {{ population {{ {query} }} }} }}")
        return answer.data["data"]["population"]["residents"]

    cursor = (await read("last: 500"))["pageInfo"]["startCursor"]
    for which in ("first: 20", f'first: 20, after: "{cursor}"'):
        assert len((await read(which))["nodes"]) == 20
        (ran,) = tables.server.ran()
        plan = await tables.server.looked_at(ran, run=True)
        assert plan.touched <= 1_500, plan.nodes
