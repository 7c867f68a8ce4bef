"""Exports: decided like a query, bounded before the first row, broken off when anything changes."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from authz.principal import Principal, TokenScope
from connectors.protocol import SourceUnavailable
from resolvers import export_run
from resolvers.exporting import Export
from resolvers.limits import Limits
from resolvers.requests import GraphQLRequest, GraphQLResponse
from tanglai.audit.log import AuditUnavailable
from tanglai.catalogue.errors import TanglaiError
from tanglai.catalogue.expressions import TRUE, Expression
from tanglai.catalogue.model import GrantState, Quota
from tanglai.catalogue.quotas import Counts, day_of
from tests.cases import case
from tests.catalogues import population
from tests.gateways import NOW, Answer, World, make_grant, requester
from tests.unit.resolvers.asking import ODD, residents
from tests.unit.resolvers.conftest import HOUSEHOLD, RESIDENT, VEHICLE, follow_all, rows

DAY = day_of(NOW)
Given = Mapping[str, Any]


async def export(
    world: World,
    query: str,
    given: Given | None = None,
    *,
    who: Principal | None = None,
    variables: Given | None = None,
    on_denied: str | None = None,
    purpose: str | None = None,
) -> Export | Answer:
    """The export, begun, or its refusal; `given` is `extensions.export`."""
    world.sources.forget()
    extensions: dict[str, Any] = {} if given is None else {"export": given}
    if on_denied is not None:
        extensions["onDenied"] = on_denied
    request = GraphQLRequest(query, None, variables or {}, extensions, who or requester(), purpose, "en", "r1", False)
    found = await world.gateway.export(request)
    return Answer(found) if isinstance(found, GraphQLResponse) else found


async def begun(world: World, query: str, given: Given | None = None, **more: Any) -> Export:
    found = await export(world, query, given, **more)
    assert isinstance(found, Export), found.body
    return found


async def delivered(world: World, query: str, given: Given | None = None, **more: Any) -> list[Any]:
    """The rows of an export that ends well."""
    async with await begun(world, query, given, **more) as running:
        found = [json.loads(text) async for part in running.parts() for text in part]
        await running.finish()
    return found


async def refused(world: World, query: str, given: Given | None = None, **more: Any) -> list[str]:
    found = await export(world, query, given, **more)
    assert isinstance(found, Answer), "it was not refused"
    assert "data" not in found.body
    assert all(record.rows == {} and record.export is None for record in world.audit.records)
    return found.codes


def used(world: World, id: str = "g1") -> Counts:
    taken = world.quotas.taken.get((id, DAY), Counts())
    block = world.ledger._blocks.get(id)
    return taken - block.spare if block is not None else taken


async def settled(world: World) -> None:
    while world.ledger._tasks:
        await asyncio.gather(*world.ledger._tasks)


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_run, "PART_ROWS", 2)


def wide(scope: Expression = TRUE) -> World:
    """Every relation may be followed, every item is clear, those of residents on the rows in `scope`."""
    known = population()
    grants = follow_all()
    for code, of in known.resources.items():
        where = scope if code == RESIDENT else TRUE
        grants.append(make_grant(code, " ".join(item.name for item in of.items), f"w{len(grants)}", scope=where))
    return World(known, rows(), grants)


# --- the same as a query ----------------------------------------------------------------------------------------------


@case(29, twin=True)
@pytest.mark.parametrize(
    "query",
    [
        residents(fields="nodes { name phone birthDate score income married wakes updated serial home }"),
        residents(fields="nodes { id __typename n: name m: name ...F ... on Resident { height } }")
        + " fragment F on Resident { phone }",
        residents('where: {sex: {eq: "1"}}, orderBy: [{name: DESC}]', "nodes { name }"),
        residents('search: "n3"', "nodes { name }"),
        residents("where: {vehicles: {some: {}}}", "nodes { name }"),
        residents(fields="nodes { name vehicles(first: 1) { nodes { plate keeper { name } } totalCount } }"),
        residents(fields="nodes { household { number members(first: 2) { nodes { name } } } }"),
        residents("where: {or: []}", "nodes { name }"),
        "{ x: data { y: population { z: residents { w: nodes { name } } } } }",
    ],
)
@pytest.mark.usefixtures("small_parts")
async def test_rows_are_those_of_the_query(query: str) -> None:
    world = wide(ODD)
    value = (await world.ask(query)).body["data"]
    while not isinstance(value, list):
        ((_, value),) = value.items()
    assert await delivered(world, query) == value


async def test_columns_are_the_same_whatever_is_denied() -> None:
    query = residents(
        fields="nodes { id name a: phone household { number who: members { list: nodes { name } } } "
        "vehicles { totalCount nodes { plate } } }"
    )
    expected = ["id", "name", "a", "household.number", "household.who", "vehicles"]
    for world in (wide(), World(population(), rows())):
        async with await begun(world, query, {"rows": 9}, on_denied="NULL") as running:
            assert [column.name for column in running.list.columns] == expected
            assert [column.type for column in running.list.columns] == ["TEXT"] * 4 + [None, None]
            assert running.list.columns[4].path == ("household", "who", "list")
            assert running.list.columns[5].path == ("vehicles",)


@case(29)
@pytest.mark.parametrize("on_denied", [None, "REFUSE"])
async def test_a_denied_item_refuses(world: World, on_denied: str | None) -> None:
    query = residents(fields="nodes { name phone }")
    assert await refused(world, query, on_denied=on_denied) == ["GRANT_REQUIRED"]
    assert world.sources.calls == []
    (record,) = world.audit.records
    assert (record.document_kind, record.outcome, record.items) == ("export", "DENIED", {RESIDENT: ("name", "phone")})


@case(29)
async def test_denied_items_may_be_left_null(world: World) -> None:
    query = residents(fields="nodes { name phone vehicles { nodes { plate } } }")
    async with await begun(world, query, on_denied="NULL") as running:
        found = [json.loads(text) async for part in running.parts() for text in part]
        await running.finish()
        assert [one["item"] for one in running.told["denied"]] == ["phone", "vehicles"]
        assert running.told["denied"][0] == {
            "code": "GRANT_REQUIRED",
            "resource": RESIDENT,
            "item": "phone",
            "fieldPath": "data.population.residents.nodes.phone",
        }
    assert found[0] == {"name": "n1", "phone": None, "vehicles": None}
    assert [record.outcome for record in world.audit.records] == ["PARTIAL", "PARTIAL"]


@case(29)
async def test_a_denied_use_and_a_denied_list_refuse_always(world: World) -> None:
    for on_denied in (None, "NULL"):
        asked = residents('where: {phone: {eq: "1"}}')
        assert await refused(world, asked, on_denied=on_denied) == ["GRANT_REQUIRED"]
        narrow = requester(scopes=frozenset({TokenScope(VEHICLE, None)}))
        assert await refused(world, residents(), on_denied=on_denied, who=narrow) == ["SCOPE_EXCEEDED"]
        assert world.sources.calls == []


# --- one list, and nothing else ---------------------------------------------------------------------------------------

ONE_LIST = "data { population { residents { nodes { name } } } }"


@pytest.mark.parametrize(
    "query",
    [
        f"{{ {ONE_LIST} me {{ client }} }}",
        f"{{ {ONE_LIST} other: {ONE_LIST} }}",
        f"{{ {ONE_LIST} __typename }}",
        f"{{ {ONE_LIST} __schema {{ types {{ name }} }} }}",
        "{ data { __typename population { residents { nodes { name } } } } }",
        "{ data { id population { residents { nodes { name } } } } }",
        "{ data { population { residents { nodes { name } } vehicles: residents { nodes { name } } } } }",
        "{ data { population { a: residents { nodes { name } } b: residents { nodes { name } } } } }",
        "{ data { a: population { residents { nodes { name } } } b: population { residents { nodes { name } } } } }",
        "{ data { population { residents { nodes { name } totalCount } } } }",
        "{ data { population { residents { nodes { name } pageInfo { endCursor } } } } }",
        "{ data { population { residents { edges { node { name } } } } } }",
        "{ data { population { residents { a: nodes { name } b: nodes { phone } } } } }",
        "{ data { population { residents { totalCount } } } }",
        "{ data { population { residents { __typename } } } }",
        '{ data { population { resident(idNumber: "id1") { name } } } }',
        "{ data { population { residentsAggregate { count } } } }",
        "{ data { population { id } } }",
        '{ node(id: "x") { id } }',
        "{ me { client } }",
        "{ __schema { types { name } } }",
        "{ _entities(representations: []) { __typename } }",
        "{ data { population { residents { nodes { name } } } } me @skip(if: false) { client } }",
    ],
)
async def test_whatever_is_not_one_list_is_refused(world: World, query: str) -> None:
    assert await refused(world, query) == ["BAD_INPUT"]
    assert world.sources.calls == []


@pytest.mark.parametrize("query", ["mutation { __typename }", "subscription { __typename }", "{ nothing }"])
async def test_no_other_kind_of_operation_runs(world: World, query: str) -> None:
    assert await refused(world, query) == ["BAD_INPUT"]


@pytest.mark.parametrize("paging", ["first: 5", "last: 5", 'after: "c.x"', 'before: "c.x"', "first: $n", "first: null"])
async def test_an_export_has_no_pages(world: World, paging: str) -> None:
    assert await refused(world, residents(paging, declared="($n: Int)" if "$" in paging else "")) == ["BAD_INPUT"]


@pytest.mark.parametrize(
    "given",
    [
        {"rows": 0},
        {"rows": -5},
        {"rows": 1_000_001},
        {"rows": "10"},
        {"rows": 10.0},
        {"rows": True},
        {"rows": [10]},
        {"spreadsheet": 1},
        {"limit": 5},
        {"rows": 5, "partial": True},
        [],
        "all",
    ],
)
async def test_a_bound_is_never_clamped(world: World, given: Any) -> None:
    assert await refused(world, residents(), given) == ["BAD_INPUT"]
    assert world.sources.calls == []


async def test_rows_that_are_asked_for_are_the_first_ones(world: World) -> None:
    assert [row["name"] for row in await delivered(world, residents(), {"rows": 3})] == ["n1", "n2", "n3"]
    assert len(await delivered(world, residents(), {"rows": 7})) == 7


@pytest.mark.usefixtures("small_parts")
async def test_a_whole_list_is_never_a_part_of_one() -> None:
    world = World(population(), rows(), limits=Limits(export_rows=6, export_bound=100))
    async with await begun(world, residents()) as running:
        with pytest.raises(TanglaiError, match="the list has more than 6 rows"):
            async for _ in running.parts():
                pass
    assert [record.document_kind for record in world.audit.records] == ["export"]
    assert len(await delivered(world, residents(), {"rows": 6})) == 6


async def test_what_lies_beyond_relations_is_bounded() -> None:
    world = World(population(), rows(), follow_all(), limits=Limits(export_bound=1_000))
    query = residents(fields="nodes { name vehicles(first: 10) { nodes { plate } } }")
    assert await refused(world, query, {"rows": 91}) == ["LIMIT_EXCEEDED"]
    assert len(await delivered(world, query, {"rows": 90})) == 7


# --- records ----------------------------------------------------------------------------------------------------------


async def test_the_bound_is_recorded_before_the_first_row_and_the_rows_after_the_last() -> None:
    world = wide()
    query = residents(fields="nodes { name phone household { number } vehicles(first: 3) { nodes { plate } } }")
    async with await begun(world, query, {"rows": 100}) as running:
        (intent,) = world.audit.records
        assert intent.rows == {RESIDENT: 100, HOUSEHOLD: 100, VEHICLE: 300}
        assert (intent.document_kind, intent.outcome) == ("export", "ALLOWED")
        assert set(intent.items) == {RESIDENT, HOUSEHOLD, VEHICLE}
        assert intent.items[RESIDENT] == ("household", "name", "phone", "vehicles")
        assert len(intent.grants) > 3
        assert [part async for part in running.parts()]
        assert len(world.audit.records) == 1
        await running.finish()
    _, end = world.audit.records
    assert (end.document_kind, end.rows) == ("export-end", {RESIDENT: 7, HOUSEHOLD: 3, VEHICLE: 3})
    assert end.export == intent.export
    assert intent.export is not None
    assert len(intent.export) == 32
    assert (end.items, end.grants) == (intent.items, intent.grants)
    again = await delivered(world, query, {"rows": 100})
    assert len(again) == 7
    assert world.audit.records[2].export != intent.export


async def test_without_a_record_no_row_leaves() -> None:
    world = World(population(), rows(), [make_grant(RESIDENT, "phone", quota=Quota(rows=10))])
    world.audit.down = True
    query = residents(fields="nodes { phone }")
    assert await refused(world, query, {"rows": 10}) == ["AUDIT_UNAVAILABLE"]
    assert used(world).rows == 0
    world.audit.down = False
    async with await begun(world, query, {"rows": 10}) as running:
        assert [part async for part in running.parts()]
        world.audit.down = True
        with pytest.raises(AuditUnavailable):
            await running.finish()
    assert used(world).rows == 10


# --- quotas -----------------------------------------------------------------------------------------------------------

PHONES = residents(fields="nodes { phone }")


def limited(**quota: int) -> World:
    return World(population(), rows(), [make_grant(RESIDENT, "phone", quota=Quota(**quota))])


@case(35, twin=True)
async def test_what_is_not_delivered_comes_back() -> None:
    world = limited(rows=20, requests=3)
    assert len(await delivered(world, PHONES, {"rows": 20})) == 7
    assert used(world) == Counts(rows=7, requests=1)
    assert len(await delivered(world, PHONES, {"rows": 13})) == 7
    assert used(world) == Counts(rows=14, requests=2)


@case(35)
async def test_a_bound_that_the_quota_does_not_cover_refuses() -> None:
    world = limited(rows=20)
    assert await refused(world, PHONES) == ["QUOTA_EXCEEDED"]
    assert await refused(world, PHONES, {"rows": 21}) == ["QUOTA_EXCEEDED"]
    assert used(world) == Counts()
    found = await delivered(world, residents(fields="nodes { name phone }"), {"rows": 21}, on_denied="NULL")
    assert found[0] == {"name": "n1", "phone": None}


@case(35)
@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("read", [0, 1, 4])
async def test_an_export_that_breaks_off_counts_with_its_whole_bound(read: int) -> None:
    """Also right before its end: all parts read, and gone before `finish`."""
    world = limited(rows=100, requests=9, subjects=100)
    async with await begun(world, PHONES, {"rows": 30}) as running:
        parts = running.parts()
        for _ in range(read):
            await anext(parts)
        await parts.aclose()
    await settled(world)
    assert used(world) == Counts(rows=30, requests=1, subjects=30)
    assert [record.document_kind for record in world.audit.records] == ["export"]


@case(35)
async def test_many_exports_at_once_do_not_overshoot() -> None:
    world = limited(rows=30)
    found = await asyncio.gather(*(export(world, PHONES, {"rows": 10}) for _ in range(8)))
    running = [one for one in found if isinstance(one, Export)]
    assert len(running) == 3
    for one in running:
        await one.close()
    assert used(world) == Counts(rows=30)


@case(35)
@pytest.mark.usefixtures("small_parts")
async def test_subjects_are_counted_as_they_go() -> None:
    """Each once a day, though no export keeps those of former parts."""
    world = limited(subjects=40)
    for _ in range(3):
        async with await begun(world, PHONES, {"rows": 20}) as running:
            async for _ in running.parts():
                meter = running._prepared.execution.meter
                assert all(len(subjects) <= 2 for subjects in meter._subjects.values())
            await running.finish()
        await settled(world)
        assert used(world) == Counts(subjects=7)


@case(35)
@pytest.mark.usefixtures("small_parts")
async def test_subjects_that_cannot_be_counted_count_as_new() -> None:
    world = limited(subjects=40)
    await delivered(world, PHONES, {"rows": 20})
    async with await begun(world, PHONES, {"rows": 20}) as running:
        async for _ in running.parts():
            world.quotas.down = True
        world.quotas.down = False
        await running.finish()
    await settled(world)
    assert used(world).subjects > 7


# --- what changes meanwhile -------------------------------------------------------------------------------------------


async def changing(world: World, query: str = PHONES, **more: Any) -> AsyncIterator[int]:
    """The sizes of an export's parts; what the test does between two of them happens between two of them."""
    async with await begun(world, query, {"rows": 50}, **more) as running:
        async for part in running.parts():
            yield len(part)
        await running.finish()


def _each(world: World, **changes: Any) -> None:
    held = world.replica.held
    world.replica.held = {code: tuple(replace(grant, **changes) for grant in held[code]) for code in held}


def _suspend(world: World) -> None:
    _each(world, state=GrantState.SUSPENDED)


def _narrow(world: World) -> None:
    _each(world, scope=ODD)


def _expire(world: World) -> None:
    world.replica.now += timedelta(days=2)


def _down(world: World) -> None:
    world.replica.down = True


def _retire(world: World) -> None:
    known = world.replica.snapshot
    left = {code: resource for code, resource in known.resources.items() if code != RESIDENT}
    world.replica.snapshot = replace(known, number=2, resources=left)


def _rebind(world: World) -> None:
    known = world.replica.snapshot
    of = known.resources[RESIDENT]
    bound = replace(of, binding=replace(of.binding, table="household"))
    world.replica.snapshot = replace(known, number=2, resources={**known.resources, RESIDENT: bound})


def _close_department(world: World) -> None:
    known = world.replica.snapshot
    code = requester().department.code
    closed = replace(known.departments[code], active=False)
    world.replica.snapshot = replace(known, number=2, departments={**known.departments, code: closed})


@case(33)
@case(41)
@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("change", [_suspend, _narrow, _expire, _down, _retire, _rebind, _close_department])
async def test_a_change_ends_an_export(change: Any) -> None:
    world = limited(rows=100)
    seen = 0

    async def run() -> None:
        nonlocal seen
        async for size in changing(world):
            seen += size
            if seen == 4:
                change(world)

    with pytest.raises(TanglaiError) as caught:
        await run()
    assert seen == 4
    assert caught.value.code in ("POLICY_UNAVAILABLE", "NOT_A_DEPARTMENT")
    assert [record.document_kind for record in world.audit.records] == ["export"]
    world.replica.down = False
    assert used(world).rows == 50


@case(33, twin=True)
@pytest.mark.usefixtures("small_parts")
async def test_changes_of_what_it_does_not_read_end_nothing() -> None:
    world = limited(rows=100)
    async for _ in changing(world):
        known = world.replica.snapshot
        fresh = {**known.resources, VEHICLE: replace(known.resources[VEHICLE], title="其他")}
        world.replica.snapshot = replace(known, number=known.number + 1, resources=fresh)
        held = world.replica.held
        world.replica.held = {code: (*grants, make_grant(VEHICLE, id="other")) for code, grants in held.items()}
    assert [record.document_kind for record in world.audit.records] == ["export", "export-end"]


# --- sources ----------------------------------------------------------------------------------------------------------


async def test_a_source_that_fails_at_once_refuses() -> None:
    world = limited(rows=100)
    world.sources.connectors["main"].fault = SourceUnavailable("main")
    assert await refused(world, PHONES, {"rows": 50}) == ["SOURCE_UNAVAILABLE"]
    assert used(world).rows == 0


@case(47)
@pytest.mark.usefixtures("small_parts")
async def test_a_source_beyond_that_fails_in_the_middle_breaks_the_export_off(linked: World) -> None:
    """A query answers null with an error; a file has no place for one."""
    query = residents(fields="nodes { name vehicles { nodes { plate } } }")

    async def run() -> None:
        async for _ in changing(linked, query):
            linked.sources.connectors["traffic"].fault = SourceUnavailable("traffic")

    with pytest.raises(SourceUnavailable):
        await run()
    assert [record.document_kind for record in linked.audit.records] == ["export"]


async def test_purposes_are_those_of_a_query() -> None:
    world = limited(rows=100)
    two = requester(purposes=frozenset({"assistance", "licensing"}))
    assert await refused(world, PHONES, {"rows": 9}, who=two) == ["PURPOSE_REQUIRED"]
    assert await refused(world, PHONES, {"rows": 9}, who=two, purpose="licensing") == ["PURPOSE_MISMATCH"]
    assert await refused(world, PHONES, {"rows": 9}, purpose="licensing") == ["PURPOSE_MISMATCH"]
    assert len(await delivered(world, PHONES, {"rows": 9}, who=two, purpose="assistance")) == 7


async def test_a_replica_that_is_down_is_told() -> None:
    world = limited(rows=100)
    world.replica.down = True
    found = await export(world, PHONES)
    assert isinstance(found, Answer)
    assert found.codes == ["POLICY_UNAVAILABLE"]
