"""Running plans: how many calls, what failures do, what a cancelled request leaves behind. Nothing."""

import asyncio
from typing import Any

import pytest

from connectors.protocol import Arguments, Row, SourceQuery, SourceTimeout, SourceUnavailable
from tests.cases import case
from tests.catalogues import population
from tests.gateways import World
from tests.memory import MemoryConnector
from tests.unit.resolvers.conftest import follow_all, rows

LINKED = """{ data { population { residents(first: 7) { nodes {
  name sex birthDate serial score married wakes updated idNumber
  vehicles { nodes { plate keeper { name } } } household { address members { nodes { name } } } } } } } }"""


async def test_one_call_per_relation_field_whatever_the_rows(linked: World) -> None:
    for first in (1, 7):
        answer = await linked.ask(LINKED.replace("first: 7", f"first: {first}"))
        assert answer.errors == []
        calls = sorted(query.table for query, _ in linked.sources.calls)
        # no call where no parent is linked, else one: residents, their vehicles' keepers, their households' members
        assert calls == ["household", "resident", "resident", "resident", "vehicle"]


async def test_the_same_relation_under_two_roots_is_one_batch(linked: World) -> None:
    part = "{ nodes { vehicles { nodes { plate } } } }"
    query = f"{{ data {{ population {{ a: residents(first: 2) {part} b: residents(last: 2) {part} }} }} }}"
    answer = await linked.ask(query)
    assert answer.errors == []
    assert [query.table for query, _ in linked.sources.calls].count("vehicle") == 1


async def test_rows_delivered_are_counted_per_resource_in_the_record(linked: World) -> None:
    await linked.ask(LINKED)
    (record,) = linked.audit.records
    counts = {linked.replica.snapshot.resources[code].names.type: count for code, count in record.rows.items()}
    assert counts["Vehicle"] == 3
    assert counts["Household"] == 3
    assert counts["Resident"] == 7 + 2 + 7
    assert record.outcome == "ALLOWED"
    assert set(record.grants) == {"r1", "r2", "r3"}


@case(47)
@pytest.mark.parametrize("fault", [SourceUnavailable("traffic"), SourceTimeout("traffic")], ids=["down", "slow"])
async def test_a_failing_source_nulls_its_fields_and_no_others(linked: World, fault: Any) -> None:
    linked.sources.connectors["traffic"].fault = fault
    answer = await linked.ask(
        "{ data { population { residents(first: 2) { nodes { name vehicles { totalCount } } } } "
        'transport { vehicle(plate: "P1") { plate } vehicles { nodes { plate } } } } }'
    )
    assert answer.data["data"] == {
        "population": {"residents": {"nodes": [{"name": "n1", "vehicles": None}, {"name": "n2", "vehicles": None}]}},
        "transport": {"vehicle": None, "vehicles": None},
    }
    assert answer.codes == [fault.code.value] * 3
    assert {tuple(error["path"]) for error in answer.errors} == {
        ("data", "population", "residents", "nodes"),
        ("data", "transport", "vehicle"),
        ("data", "transport", "vehicles"),
    }
    assert linked.audit.records[-1].outcome == "PARTIAL"


@case(47)
async def test_no_record_no_data(linked: World) -> None:
    linked.audit.down = True
    answer = await linked.ask(LINKED)
    assert answer.codes == ["AUDIT_UNAVAILABLE"]
    assert "data" not in answer.body
    assert answer.response.status == 503


@case(47)
async def test_no_policy_no_data(linked: World) -> None:
    linked.replica.down = True
    answer = await linked.ask(LINKED)
    assert answer.codes == ["POLICY_UNAVAILABLE"]
    assert linked.sources.calls == []


async def test_the_catalogue_alone_needs_no_record(linked: World) -> None:
    answer = await linked.ask("{ catalogue { resources(first: 1) { nodes { code } } } __typename }")
    assert answer.errors == []
    assert linked.audit.records == []


class _Hanging(MemoryConnector):
    """Answers never; counts what was begun and what was cancelled."""

    def __init__(self, expected: int) -> None:
        super().__init__({})
        self.expected = expected
        self.begun = self.cancelled = 0
        self.all_begun = asyncio.Event()

    async def fetch(self, query: SourceQuery, arguments: Arguments, *, timeout: float) -> list[Row]:
        self.begun += 1
        if self.begun == self.expected:
            self.all_begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return []


async def test_a_cancelled_request_cancels_every_source_call() -> None:
    world = World(population(), rows(), follow_all())
    hanging = _Hanging(3)
    world.sources.connectors["traffic"] = hanging
    query = (
        "{ data { population { residents { nodes { vehicles { nodes { plate } } } } } "
        'transport { vehicles { nodes { plate } } vehicle(plate: "P1") { plate } } } }'
    )
    task = asyncio.create_task(world.ask(query))
    await asyncio.wait_for(hanging.all_begun.wait(), 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0)
    assert hanging.cancelled == hanging.begun == 3


async def test_plans_are_kept_by_shape_not_by_value(linked: World) -> None:
    """A repeated operation is not planned again; another shape, another grant set is."""
    query = (
        "query($w: ResidentWhere, $n: Int) "
        "{ data { population { residents(where: $w, first: $n) { nodes { name } } } } }"
    )
    seen = set()
    for where, size in (({"name": {"eq": "n1"}}, 1), ({"name": {"eq": "n2"}}, 5), ({"name": {"in": ["n1"]}}, 1)):
        answer = await linked.ask(query, {"w": where, "n": size})
        assert answer.errors == []
        seen.add(linked.sources.calls[0][0])
    assert len(seen) == 2
