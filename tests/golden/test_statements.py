"""Golden cases over filled tables: how many statements reach PostgreSQL, what they cost, which indexes serve them.

Assertions of a case (see cases.py): `## cost N`, what each of its statements may cost at most by PostgreSQL's own
estimate; `## index NAME`, one that serves it; `## reads TABLE`, one that it may read from end to end, and no other.
"""

from collections.abc import AsyncIterator, Iterator

import pytest
from graphql import GraphQLSchema

from schema import unified
from tests.golden.cases import CASES, Case
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
    plans = [await tables.server.looked_at(one) for one in ran]
    costs = [plan.cost for plan in plans]
    assert max(costs) <= float(case.told("cost")[0]), costs
    assert {name for plan in plans for name in plan.scanned} == set(case.told("reads"))
    assert set(case.told("index")) <= {name for plan in plans for name in plan.indexes}
