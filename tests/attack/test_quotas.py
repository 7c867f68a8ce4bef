"""More than a quota allows, or something about hidden rows by what is left of it."""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from authz.principal import TokenScope
from connectors.protocol import Arguments, Row, SourceQuery, SourceUnavailable
from tanglai.catalogue.expressions import Compare, CompareOp, ItemRef, Value
from tanglai.catalogue.model import Grant, GrantState, Quota
from tanglai.catalogue.quotas import Counts, day_of
from tanglai.catalogue.scalars import ScalarType
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.errors import PolicyUnavailable
from tanglai.storage.keys import MasterKey
from tanglai.storage.migrate import upgrade
from tanglai.storage.quota_ledger import QuotaLedger
from tests.attack import worlds
from tests.attack.book import Book
from tests.attack.worlds import ODD, Pair, row_id
from tests.catalogues import CONDITIONAL, YINCHUAN, make_item, make_resource, make_snapshot, population
from tests.gateways import NOW, Answer, World, make_grant, requester
from tests.memory import MemoryConnector
from tests.unit.resolvers.conftest import RESIDENT, VEHICLE, follow_all, rows
from tests.unit.storage import sample

book = Book(__name__, "Quotas are not overshot, and tell nothing")
row = book.row

DAY = day_of(NOW)
PAGES = "query($n: Int) { data { population { residents(first: $n) { nodes { phone } } } } }"


def limited(items: str = "phone", id: str = "g1", resource: str = RESIDENT, **quota: int) -> Grant:
    return make_grant(resource, items, id, quota=Quota(**quota))


def world_of(*grants: Grant) -> World:
    return World(population(), rows(), grants)


def phones(answer: Answer) -> int:
    """How often a clear phone stands in an answer, wherever it is."""
    return answer.response.body.count(b'"1380000000')


def taken(world: World, id: str = "g1", day: date = DAY) -> Counts:
    return world.quotas.taken.get((id, day), Counts())


async def settled(*all_worlds: World) -> None:
    """Waits until subjects are counted and blocks that lie idle went back."""
    for world in all_worlds:
        while world.ledger._tasks:
            await asyncio.gather(*world.ledger._tasks)


def used(world: World, id: str = "g1") -> Counts:
    block = world.ledger._blocks.get(id)
    return taken(world, id) - (block.spare if block is not None else Counts())


# --- sizes -------------------------------------------------------------------------------------------------------

SIZES = [
    row(901, "A large page under the plan of a small one: the size comes from a variable", "bound per execution",
        PAGES, [{"n": 1}, {"n": 7}], 1),
    row(902, "No size where the plan was made with one: null", "the default page is reserved",
        PAGES, [{"n": 1}, {"n": None}], 1),
    row(903, "No size at all: the variable is left out", "the default page is reserved", PAGES, [{"n": 1}, {}], 1),
    row(904, "Pages of no row, then the rows all the same", "each page by its own size",
        PAGES, [{"n": 0}, {"n": 0}, {"n": 4}], 0),
    row(905, "`last` where `first` was small", "the size that is used",
        "query($n: Int, $m: Int) { data { population { residents(first: $n, last: $m) { nodes { phone } } } } }",
        [{"n": 1}, {"m": 7}], 1),
    row(906, "A default of the variable instead of the value", "coerced before it is reserved",
        PAGES.replace("$n: Int", "$n: Int = 7"), [{"n": 1}, {}], 1),
    row(907, "The same page by aliases of different variables of one value", "each is a call of its own",
        "query($n: Int, $m: Int) { data { population { a: residents(first: $n) { nodes { phone } } "
        "b: residents(first: $m) { nodes { phone } } } } }", [{"n": 2, "m": 2}], 0),
    row(908, "The counted field switched on by a variable after a plan without it", "its value is in the plan's key",
        "query($on: Boolean!) { data { population { residents(first: 7) { nodes { name phone @include(if: $on) } } } "
        "} }",
        [{"on": False}, {"on": True}], 0),
    row(909, "The same with `@skip` on a fragment", "its value is in the plan's key",
        "query($off: Boolean!) { data { population { residents(first: 7) { nodes { name ...F @skip(if: $off) } } } } } "
        "fragment F on Resident { phone }", [{"off": True}, {"off": False}], 0),
    row(910, "Lists of one operation that fit each alone", "what one operation can deliver adds up",
        "{ data { population { residents(first: 2) { nodes { phone } } more: residents(last: 2) { nodes { phone } } } "
        "} }",
        [{}], 0),
    row(911, "The same list in `data` twice, other fields in each", "fields merge, calls add up",
        "{ one: data { population { residents(first: 2) { nodes { phone } } } } "
        "two: data { population { residents(first: 2) { nodes { phone name } } } } }", [{}], 0),
    row(912, "Look-ups of four people by aliases", "each look-up is a row",
        "{ data { population {" + " ".join(f'r{n}: resident(idNumber: "id{n}") {{ phone }}' for n in range(1, 5))
        + "} } }", [{}], 0),
    row(913, "Four ids by `node`", "each is a row",
        "{" + " ".join(f'r{n}: node(id: "{row_id(n)}") {{ ... on Resident {{ phone }} }}' for n in range(1, 5)) + "}",
        [{}], 0),
    row(914, "Four people by `_entities`, two under each of two aliases", "each representation is a row",
        "{" + " ".join(
            f'e{a}: _entities(representations: [{{__typename: "Resident", idNumber: "id{a}"}}, '
            f'{{__typename: "Resident", idNumber: "id{a + 1}"}}]) {{ ... on Resident {{ phone }} }}' for a in (1, 3))
        + "}", [{}], 0),
    row(915, "A field of `edges` and of `nodes` at once, under many aliases", "one call, and its page",
        "{ data { population { residents(first: 4) { " + " ".join(
            f"e{n}: edges {{ node {{ p{n}: phone }} }} n{n}: nodes {{ p{n}: phone }}" for n in range(8)) + " } } } }",
        [{}], 0),
    row(916, "Rows of a relation, few parents and large pages", "page sizes multiply",
        '{ data { population { resident(idNumber: "id1") { household { members(first: 4) { nodes { phone } } } } } } }',
        [{}], 0),
]  # fmt: skip


@pytest.mark.parametrize(("query", "asked", "shown"), SIZES)
async def test_three_rows_are_three_rows(query: str, asked: list[dict[str, Any]], shown: int) -> None:
    """A grant of three rows a day. The last operation asks for more than is left and gets none of it."""
    world = world_of(limited(rows=3), *follow_all())
    for number, variables in enumerate(asked):
        answer = await world.ask(query, variables)
        last = number == len(asked) - 1
        assert phones(answer) == (0 if last else sum(variables.get(name) or 0 for name in ("n",) if shown))
        assert ("QUOTA_EXCEEDED" in answer.codes) == last, answer.body
    assert used(world) == Counts(rows=shown)
    whole = World(population(), rows(), [limited(rows=1_000), *follow_all()])
    for variables in asked:
        answer = await whole.ask(query, variables)
    assert answer.codes == []
    assert phones(answer) > 3 or "mem" in query  # positive twin: with enough left, it does come


ODD_SIZES = [
    row(917, "A negative page", "0 to 1000, never clamped", -1),
    row(918, "A page beyond 32 bits", "GraphQL's Int", 2**40),
    row(919, "A page of true", "GraphQL's Int", True),
    row(920, "A page of a fraction", "GraphQL's Int", 1.5),
    row(921, "A page as a text", "GraphQL's Int", "7"),
    row(922, "A page of 1001", "0 to 1000, never clamped", 1001),
]  # fmt: skip


@pytest.mark.parametrize("size", ODD_SIZES)
async def test_odd_sizes_cost_and_give_nothing(size: Any) -> None:
    world = world_of(limited(rows=3))
    answer = await world.ask(PAGES, {"n": size})
    assert "data" not in answer.body
    assert world.sources.calls == []
    assert world.quotas.statements == []


@book.attempt(923, "Pages within pages until their product is no number any more", "the product is bounded first")
async def test_products_do_not_overflow() -> None:
    world = world_of(limited(rows=2**62), *follow_all())
    inner = "phone"
    for _ in range(4):
        inner = f"household {{ members(first: 1000) {{ nodes {{ {inner} }} }} }}"
    answer = await world.ask(f"{{ data {{ population {{ residents(first: 1000) {{ nodes {{ {inner} }} }} }} }} }}")
    assert answer.codes == ["LIMIT_EXCEEDED"]
    assert world.quotas.statements == []


@book.attempt(924, "One person forty times in `_entities`, by both keys", "equal keys are one row, other keys another")
async def test_representations_of_one_row() -> None:
    world = world_of(limited(rows=80))
    one = '{__typename: "Resident", idNumber: "id1"}'
    other = '{__typename: "Resident", name: "n1", birthDate: "2000-01-01"}'
    query = "{ _entities(representations: [%s]) { ... on Resident { phone } } }"
    answer = await world.ask(query % ", ".join([one, other] * 40))
    assert answer.codes == ["QUOTA_EXCEEDED"] * len(answer.codes)
    assert answer.codes  # 80 of each key are reserved: nobody knows yet that they are one
    world = world_of(limited(rows=160))
    answer = await world.ask(query % ", ".join([one, other] * 40))
    assert answer.codes == []
    assert used(world) == Counts(rows=2)


@book.attempt(925, "A second operation of the same document, planned as the first one", "the name is in the plan's key")
async def test_operations_of_one_document() -> None:
    world = world_of(limited(rows=3))
    document = (
        "query A { data { population { residents(first: 7) { nodes { name } } } } } "
        "query B { data { population { residents(first: 7) { nodes { name phone } } } } }"
    )
    assert (await world.ask(document, operation="A")).codes == []
    answer = await world.ask(document, operation="B")
    assert (answer.codes, phones(answer)) == (["QUOTA_EXCEEDED"], 0)


# --- what is left as an oracle -----------------------------------------------------------------------------------

LEFT = "{ me { grants { nodes { id usedToday { rows requests subjects remaining { rows requests subjects } } } } } }"
PROBES = [
    '{ data { population { resident(idNumber: "id%s") { income } } } }',
    '{ data { population { residents(where: {idNumber: {eq: "id%s"}}) { totalCount nodes { income } } } } }',
    '{ data { population { residents(where: {not: {idNumber: {eq: "id%s"}}}) { pageInfo { hasNextPage } } } } }',
    '{ _entities(representations: [{__typename: "Resident", idNumber: "id%s"}]) { ... on Resident { income } } }',
    '{ data { population { residentsAggregate(where: {idNumber: {eq: "id%s"}}) { max { income } } } } }',
    '{ data { transport { vehicles(where: {keeper: {some: {idNumber: {eq: "id%s"}}}}) { nodes { plate } } } } }',
]


def counted_pair(**quota: int) -> Pair:
    return Pair([replace(grant, quota=Quota(**quota)) for grant in worlds.grants()])


async def probe(pair: Pair) -> list[Answer]:
    """Asks for every row there could be, by every way, and what is left after each."""
    told: list[Answer] = []
    for number in (1, 2, 5, 8, 10, 14):
        for query in PROBES:
            told.append(await pair.alike(query % number))
        told.append(await pair.alike(f'{{ node(id: "{row_id(number)}") {{ ... on Resident {{ income phone }} }} }}'))
        await settled(*pair.worlds)
        told.append(await pair.alike(LEFT))
    told.append(await pair.alike("{ data { transport { vehicles { nodes { plate keeper { income } } } } } }"))
    told.append(await pair.alike("{ data { population { residentsAggregate(groupBy: [SEX]) { count } } } }"))
    await settled(*pair.worlds)
    told.append(await pair.alike(LEFT))
    return told


@book.attempt(926, "Read from `me { grants }` whether look-ups of hidden rows hit", "what is used counts V only")
async def test_what_is_used_tells_nothing() -> None:
    pair = counted_pair(rows=10_000, requests=10_000, subjects=10_000)
    told = await probe(pair)
    assert len({answer.response.body for answer in told}) > 20  # the figures do move, with what is visible
    for grant in worlds.grants():
        one, other = (used(world, grant.id) for world in pair.worlds)
        assert one == other


EXHAUSTED = [
    row(927, "Wait for the moment at which the rows run out", "hidden rows use none", {"rows": 12}),
    row(928, "Wait for the moment at which the requests run out", "hits and misses are requests", {"requests": 14}),
    row(929, "Wait for the moment at which the subjects run out", "hidden rows are nobody", {"subjects": 9}),
]  # fmt: skip


@pytest.mark.parametrize("quota", EXHAUSTED)
async def test_running_out_tells_nothing(quota: dict[str, int]) -> None:
    pair = counted_pair(**quota)
    told = await probe(pair)
    assert any("QUOTA_EXCEEDED" in answer.codes for answer in told)
    assert any(answer.codes == [] for answer in told)


@book.attempt(930, "Count the statements that look-ups of hidden and absent rows cost", "the same for both")
async def test_statements_tell_nothing() -> None:
    pair = counted_pair(rows=500, subjects=500)
    await probe(pair)
    one, other = (world.quotas.statements.count("count") for world in pair.worlds)
    assert one == other


@book.attempt(931, "With the quota used up, look up a key that exists, is hidden, or is not there", "refused alike")
async def test_refusals_do_not_depend_on_rows() -> None:
    world = World(worlds.snapshot(), rows(), [replace(grant, quota=Quota(rows=0)) for grant in worlds.grants()])
    bodies = set()
    for number in (1, 2, 99):
        answer = await world.ask('query($k: String!) { data { population { resident(idNumber: $k) { name } } } }',
                                 {"k": f"id{number}"})  # fmt: skip
        assert (answer.codes, answer.response.status) == (["QUOTA_EXCEEDED"], 429)
        assert world.sources.calls == []
        bodies.add(answer.response.body)
    assert len(bodies) == 1


# --- what stays usable once it is used up ------------------------------------------------------------------------

SPENT = [
    row(932, "Go on with a cursor of an order by the item", "a sort key is a use",
        "query($after: String) { data { population { residents(first: 1, after: $after, orderBy: [{phone: ASC}]) "
        "{ nodes { name } pageInfo { endCursor } } } } }"),
    row(933, "Search in what may no longer be read", "`search` is refused",
        'query($after: String) { data { population { residents(first: 1, after: $after, search: "1380") '
        "{ nodes { name } pageInfo { endCursor } } } } }"),
    row(934, "Filter by what may no longer be read, through a relation and back", "a filter is a use",
        "query($after: String) { data { population { residents(first: 1, after: $after, where: {household: {some: "
        '{members: {some: {phone: {startsWith: "1380"}}}}}}) { nodes { name } pageInfo { endCursor } } } } }'),
    row(935, "Filter by it in a branch that is always true", "a filter is a use",
        "query($after: String) { data { population { residents(first: 1, after: $after, where: {or: [{and: []}, "
        '{phone: {eq: "x"}}]}) { nodes { name } pageInfo { endCursor } } } } }'),
]  # fmt: skip


@pytest.mark.parametrize("query", SPENT)
async def test_refused_once_it_is_used_up(query: str) -> None:
    world = world_of(limited(rows=2), *follow_all())
    after = None
    for _ in range(2):
        answer = await world.ask(query, {"after": after})
        assert answer.codes == []
        after = answer.data["data"]["population"]["residents"]["pageInfo"]["endCursor"]
    answer = await world.ask(query, {"after": after})
    assert (answer.codes, answer.response.status) == (["QUOTA_EXCEEDED"], 429)
    assert world.sources.calls == []


@book.attempt(
    936, "Have all or nothing refused again and again, for rows or for free", "nothing came, nothing is taken"
)
async def test_refusing_gives_nothing() -> None:
    world = world_of(limited(rows=5, requests=2), limited("height", "g2", rows=3))
    query = "{ data { population { residents(first: 4) { nodes { phone height } } } } }"
    for _ in range(10):
        answer = await world.ask(query, extensions={"onDenied": "REFUSE"})
        assert answer.codes == ["QUOTA_EXCEEDED"]
        assert world.sources.calls == []
    assert (used(world), used(world, "g2")) == (Counts(), Counts())


@book.attempt(937, "Cover one item by two grants, one of them used up", "all that cover it must have something left")
async def test_two_grants_over_one_item() -> None:
    even = Compare(CompareOp.NE, ItemRef("sex", ScalarType.TEXT), Value("1", ScalarType.TEXT))
    for order in (("a", "b"), ("b", "a")):
        small, large = (
            make_grant(RESIDENT, "phone", id, scope=scope, quota=Quota(rows=number))
            for id, scope, number in zip(order, (ODD, even), (3, 1_000), strict=True)
        )
        world = world_of(small, large)
        assert phones(await world.ask(PAGES, {"n": 3})) == 3
        answer = await world.ask(PAGES, {"n": 1})
        assert (answer.codes, phones(answer)) == (["QUOTA_EXCEEDED"], 0)
        assert (used(world, small.id), used(world, large.id)) == (Counts(rows=3), Counts(rows=3))


@book.attempt(938, "Suspend the grant while an answer is on its way, and get its rows back", "what was delivered stays")
async def test_suspended_in_flight() -> None:
    world = world_of(limited(rows=7))
    gate = hold(world)
    task = asyncio.create_task(world.ask(PAGES, {"n": 5}))
    await gate.asked.wait()
    world.replica.held[YINCHUAN.code] = (replace(limited(rows=7), state=GrantState.SUSPENDED),)
    gate.go.set()
    assert phones(await task) == 5  # it was decided before
    assert (await world.ask(PAGES, {"n": 1})).codes == ["GRANT_SUSPENDED"]
    world.replica.held[YINCHUAN.code] = (limited(rows=7),)
    assert (await world.ask(PAGES, {"n": 3})).codes == ["QUOTA_EXCEEDED"]
    assert used(world) == Counts(rows=5)


# --- time, failure, leaving --------------------------------------------------------------------------------------


class _Gate(MemoryConnector):
    """Holds every answer back until it is let go."""

    def __init__(self, inner: MemoryConnector) -> None:
        super().__init__(inner.tables)
        self.asked = asyncio.Event()
        self.go = asyncio.Event()

    async def fetch(self, query: SourceQuery, arguments: Arguments, *, timeout: float) -> list[Row]:
        self.asked.set()
        await self.go.wait()
        return await super().fetch(query, arguments, timeout=timeout)


def hold(world: World, source: str = "main") -> _Gate:
    gate = world.sources.connectors[source] = _Gate(world.sources.connectors[source])
    return gate


@book.attempt(939, "Leave at any moment, and come back", "an answer that is whole is counted before it goes")
async def test_leaving_at_every_moment() -> None:
    """Cancelled after n turns of the event loop, for every n: what was answered is never more than is counted."""
    world = world_of(limited(rows=400, requests=400))
    await world.ask(PAGES, {"n": 0})  # the schema is built beside the event loop
    delivered = finished = turns = 0
    while finished < 8:
        task = asyncio.create_task(world.ask(PAGES, {"n": 4}))
        for _ in range(turns):
            await asyncio.sleep(0)
        turns += 1
        task.cancel()
        try:
            answer = await task
        except asyncio.CancelledError:
            continue
        finished += 1
        delivered += phones(answer)
        assert delivered <= used(world).rows
    assert turns > 10  # it was left at many moments
    assert delivered == 32
    assert used(world).rows >= 32  # what the source had given to who left counts, too


@book.attempt(940, "A source that fails after the rows of another root came", "what came is counted")
async def test_failing_late() -> None:
    world = world_of(limited(rows=8), limited("owner", "v1", VEHICLE, rows=100))
    world.sources.connectors["traffic"].fault = SourceUnavailable("traffic")
    query = (
        "{ data { population { residents(first: 4) { nodes { phone } } } transport { vehicles { nodes { owner } } } } }"
    )
    for _ in range(2):
        answer = await world.ask(query)
        assert (phones(answer), answer.codes) == (4, ["SOURCE_UNAVAILABLE"])
    assert phones(await world.ask(query)) == 0
    assert (used(world), used(world, "v1")) == (Counts(rows=8), Counts())


@book.attempt(941, "A source that fails beyond a relation, so that the parents are free", "parents came, parents count")
async def test_failing_beyond() -> None:
    world = world_of(limited(rows=8), *follow_all())
    world.sources.connectors["traffic"].fault = SourceUnavailable("traffic")
    query = "{ data { population { residents(first: 4) { nodes { phone vehicles { nodes { plate } } } } } } }"
    for _ in range(2):
        assert phones(await world.ask(query)) == 4
    assert phones(await world.ask(query)) == 0


@book.attempt(942, "Begin just before midnight and end after it, on both days' quota", "the day at which it is decided")
async def test_across_midnight() -> None:
    world = world_of(replace(limited(rows=7), valid_to=NOW + timedelta(days=9)))
    world.replica.now = NOW.replace(hour=15, minute=59, second=59)
    gate = hold(world)
    late = [asyncio.create_task(world.ask(PAGES, {"n": 4})) for _ in range(3)]
    await gate.asked.wait()
    world.replica.now += timedelta(seconds=1)
    early = [asyncio.create_task(world.ask(PAGES, {"n": 4})) for _ in range(3)]
    await asyncio.sleep(0.05)
    gate.go.set()
    before, after = await asyncio.gather(*late), await asyncio.gather(*early)
    assert sum(map(phones, before)) == sum(map(phones, after)) == 4
    await settled(world)
    tomorrow = day_of(world.replica.now)
    assert tomorrow == DAY + timedelta(days=1)
    # At rest, each day has what its own operations delivered; the former day's block is not the new day's.
    assert taken(world).rows <= 7
    assert taken(world, day=tomorrow).rows <= 7


@book.attempt(943, "Have the quota changed during the day and begin anew", "what is taken stays, whatever the bound")
async def test_changes_do_not_begin_anew() -> None:
    world = world_of(limited(rows=4))
    held = world.replica.held
    assert phones(await world.ask(PAGES, {"n": 4})) == 4
    got = 4
    for bound in (2, 4, 3, 5, 4, 7, 1, 7, 6, 7):
        held[YINCHUAN.code] = (limited(rows=bound),)
        for _ in range(3):
            got += phones(await world.ask(PAGES, {"n": 1}))
        assert got <= 7
    assert got == 7


@book.attempt(944, "Ask a worker that has heard of the new bound and one that has not", "both take from one number")
async def test_workers_of_two_minds() -> None:
    one, other = world_of(limited(rows=50)), world_of(limited(rows=20))
    other.ledger.store = one.quotas
    got = 0
    for number in range(60):
        got += phones(await (one, other)[number % 2].ask(PAGES, {"n": 3}))
        assert got <= 50
    await one.ledger.close()
    await other.ledger.close()
    assert one.quotas.taken["g1", DAY] == Counts(rows=got)


@book.attempt(945, "Have the answer of the ledger lost, and ask again", "what may be taken is taken")
async def test_lost_answers() -> None:
    world = world_of(limited(rows=12))
    world.quotas.lost = True
    assert (await world.ask(PAGES, {"n": 4})).codes == ["POLICY_UNAVAILABLE"]
    assert world.sources.calls == []
    world.quotas.lost = False
    got = sum([phones(await world.ask(PAGES, {"n": 4})) for _ in range(4)])
    assert got == 8
    assert taken(world).rows == 12


# --- subjects ----------------------------------------------------------------------------------------------------


@book.attempt(946, "Reach more people by reaching each by another way", "a row is one subject, whatever the way")
async def test_one_person_by_many_ways() -> None:
    world = world_of(limited("phone household_id", subjects=100), *follow_all())
    ways = [
        '{ data { population { resident(idNumber: "id1") { phone } } } }',
        '{ data { population { residentByNameAndBirthDate(name: "n1", birthDate: "2000-01-01") { phone } } } }',
        '{ data { population { residents(where: {name: {eq: "n1"}}) { edges { node { phone } } } } } }',
        f'{{ node(id: "{row_id(1)}") {{ ... on Resident {{ phone }} }} }}',
        '{ _entities(representations: [{__typename: "Resident", idNumber: "id1"}]) { ... on Resident { phone } } }',
        '{ data { transport { vehicles(where: {plate: {eq: "P1"}}) { nodes { keeper { phone } } } } } }',
    ]
    for way in ways:
        answer = await world.ask(way)
        assert (phones(answer), answer.codes) == (1, [])
        await settled(world)
    assert used(world) == Counts(subjects=1)
    assert phones(await world.ask(PAGES, {"n": 7})) == 7
    await settled(world)
    assert used(world) == Counts(subjects=7)


@book.attempt(
    947,
    "Without a handle: hide the first key by the token's scope, so that another key's value names somebody",
    "a key's value names a row with the key's name",
    found=True,
)
async def test_keys_of_one_value_are_not_one_person() -> None:
    """Each row's `left` is the next one's `right`: told apart by the value alone, six people were three."""
    items = [make_item(name, share_class=CONDITIONAL) for name in ("left", "right", "wage")]
    snapshot = make_snapshot([make_resource("pair", items, keys=[("left",), ("right",)], handle=None)])
    code = next(iter(snapshot.resources))
    data = {"main": {"pair": [{"left": f"k{n}", "right": f"k{n - 3}", "wage": f"w{n}"} for n in range(6)]}}
    world = World(snapshot, data, [make_grant(code, "left right wage", quota=Quota(subjects=4))])
    query = "query($k: String!) { data { population { pairs(first: 1, where: {%s: {eq: $k}}) { nodes { wage } } } } }"
    narrow = requester(scopes=frozenset({TokenScope(code, "right"), TokenScope(code, "wage")}))
    seen: set[bytes] = set()
    for number in range(3):  # rows 0 to 2, named by `left`: k0 to k2
        answer = await world.ask(query % "left", {"k": f"k{number}"})
        seen.update(answer.data["data"]["population"]["pairs"]["nodes"][0].values())
        await settled(world)
    for number in range(3):  # rows 3 to 5, named by `right`: k0 to k2
        answer = await world.ask(query % "right", {"k": f"k{number}"}, who=narrow)
        if answer.codes == []:
            seen.update(answer.data["data"]["population"]["pairs"]["nodes"][0].values())
        await settled(world)
    assert len(seen) == 4
    assert used(world) == Counts(subjects=4)


@book.attempt(948, "Rows whose key is hidden or null, again and again", "who cannot be told is somebody new")
async def test_nobody_is_somebody_new() -> None:
    items = [make_item("number", share_class=CONDITIONAL), make_item("wage", share_class=CONDITIONAL)]
    snapshot = make_snapshot([make_resource("worker", items, keys=[("number",)], handle=None)])
    code = next(iter(snapshot.resources))
    some = Compare(CompareOp.EQ, ItemRef("number", ScalarType.TEXT), Value("k0", ScalarType.TEXT))
    data = {"main": {"worker": [{"number": None if n > 3 else f"k{n}", "wage": f"w{n}"} for n in range(6)]}}
    world = World(
        snapshot,
        data,
        [make_grant(code, "number", "key", scope=some), make_grant(code, "wage", quota=Quota(subjects=13))],
    )
    query = "{ data { population { workers(first: 6) { nodes { wage } } } } }"
    for expected in (6, 11):  # one is known, five are new each time
        assert (await world.ask(query)).codes == []
        await settled(world)
        assert used(world) == Counts(subjects=expected)
    assert (await world.ask(query)).codes == ["QUOTA_EXCEEDED"]


@book.attempt(949, "Ask about the same few people at once, while nobody has counted them", "reserved until counted")
async def test_people_at_once() -> None:
    world = world_of(limited(subjects=5))
    gate = hold(world)
    tasks = [
        asyncio.create_task(world.ask(f'{{ data {{ population {{ resident(idNumber: "id{n}") {{ phone }} }} }} }}'))
        for n in range(1, 8)
    ]
    await gate.asked.wait()
    await asyncio.sleep(0.02)
    gate.go.set()
    answers = await asyncio.gather(*tasks)
    assert sum(map(phones, answers)) == 5
    await settled(world)
    assert used(world) == Counts(subjects=5)


@book.attempt(950, "A figure per person instead of the person, under forty aliases", "each question is a subject")
async def test_figures_of_one_person_each() -> None:
    world = world_of(limited("income", subjects=6))
    ask = " ".join(
        f'a{n}: residentsAggregate(where: {{idNumber: {{eq: "id{n}"}}}}) {{ max {{ income }} }}' for n in range(1, 8)
    )
    answer = await world.ask(f"{{ data {{ population {{ {ask} }} }} }}")
    assert set(answer.codes) == {"QUOTA_EXCEEDED"}
    assert "data" not in answer.body


@book.attempt(
    954,
    "The same figure again and again while people come and go: the largest is another one's each time",
    "the same question and the same answer",
    found=True,
)
async def test_figures_of_whoever_came_last() -> None:
    world = world_of(limited("income", subjects=3))
    people: Any = world.sources.connectors["main"].tables[None, "resident"]
    seen = set()
    for number in range(8):
        people[0]["income"] = Decimal(1000 + number)
        for _ in range(2):
            answer = await world.ask("{ data { population { residentsAggregate { max { income } } } } }")
            if answer.codes == []:
                seen.add(answer.data["data"]["population"]["residentsAggregate"][0]["max"]["income"])
            await settled(world)
    assert len(seen) == 3
    assert used(world) == Counts(subjects=3)


@book.attempt(
    955,
    "Have it on record that a grant was used which gave nothing, or the other way round",
    "the record names the grants of what was run",
    found=True,
)
async def test_what_is_on_record() -> None:
    world = world_of(limited(rows=3, requests=9), make_grant(RESIDENT, "height", "g2"))
    asked = [
        ("residents(first: 3) { nodes { phone height } }", ("g1", "g2"), "ALLOWED"),
        ("residents(first: 3) { nodes { phone height } }", ("g2",), "PARTIAL"),
        ('residents(first: 3, where: {phone: {eq: "x"}}) { nodes { height } }', (), "DENIED"),
        ("residents(first: 3, orderBy: [{height: ASC}, {phone: ASC}]) { nodes { height } }", (), "DENIED"),
        ("residents(first: 3) { nodes { height } }", ("g2",), "ALLOWED"),
        ('residents(first: 3, after: "x") { nodes { height } }', (), "FAILED"),
        ("all: residents(first: 3) { nodes { phone height } }", (), "DENIED"),
    ]
    for fields, grants, outcome in asked:
        extensions = {"onDenied": "REFUSE"} if fields.startswith("all") else {}
        await world.ask(f"{{ data {{ population {{ {fields} }} }} }}", extensions=extensions)
        record = world.audit.records[-1]
        assert (record.grants, record.outcome) == (grants, outcome), fields
        assert record.rows == ({RESIDENT: 3} if grants else {})


@book.attempt(
    951,
    "Link the people of two grants, days and departments by what is kept of them",
    "a key per day, the grant in the hash",
)
async def test_hashes_are_unlinkable() -> None:
    other = replace(limited("phone", "g2", subjects=9), requester=population().resources[VEHICLE].provider)
    world = world_of(replace(limited(subjects=9), valid_to=NOW + timedelta(days=9)), other)
    provider = population().departments[other.requester]
    for who in (None, requester(department=provider)):
        assert phones(await world.ask(PAGES, {"n": 7}, who=who)) == 7
    world.replica.now += timedelta(days=1)
    assert phones(await world.ask(PAGES, {"n": 7})) == 7
    await settled(world)
    kept = list(world.quotas.subjects.values())
    assert [len(hashes) for hashes in kept] == [7, 7, 7]
    assert len(set().union(*kept)) == 21


# --- several nodes over one database -----------------------------------------------------------------------------


@pytest.fixture
async def nodes(database: str) -> AsyncIterator[list[World]]:
    """Three gateways, each with a ledger and connections of its own, over one platform database."""
    await upgrade(database)
    key = MasterKey(bytes(range(32)))
    found = [world_of(limited(rows=150, requests=60, subjects=120)) for _ in range(3)]
    stores = [await PlatformDatabase.open(database, master_key=key) for _ in found]
    await stores[0].publish(sample.change())
    await stores[0].put_grants([sample.grant("g1")])
    for world, store in zip(found, stores, strict=True):
        world.ledger = world.gateway._quotas = QuotaLedger(store, soon=0.01, idle=0.05)
    try:
        yield found
    finally:
        for world, store in zip(found, stores, strict=True):
            await world.ledger.close()
            await store.close()


async def stored(world: World) -> Mapping[str, Counts]:
    return await world.ledger.store.used_quotas(["g1"], DAY)


@book.attempt(952, "Ask three nodes at once, leave some answers, break some sources", "one number in the database")
async def test_three_nodes(nodes: list[World]) -> None:
    dice = random.Random(952)
    rows_delivered = requests = 0

    async def one(number: int) -> None:
        nonlocal rows_delivered, requests
        world = nodes[number % 3]
        await asyncio.sleep(dice.random() / 5)
        task = asyncio.create_task(world.ask(PAGES, {"n": dice.randint(0, 7)}))
        if dice.random() < 0.25:
            await asyncio.sleep(dice.random() / 50)
            task.cancel()
        try:
            answer = await task
        except asyncio.CancelledError:
            return
        rows_delivered += phones(answer)
        requests += answer.codes == []

    nodes[2].sources.connectors["main"].fault = SourceUnavailable("main")
    asyncio.get_running_loop().call_later(0.1, lambda: setattr(nodes[2].sources.connectors["main"], "fault", None))
    await asyncio.gather(*(one(number) for number in range(150)))
    for world in nodes:
        await world.ledger.close()
    assert 60 < rows_delivered <= 150
    assert requests <= 60
    told = (await stored(nodes[0]))["g1"]
    assert rows_delivered <= told.rows <= 150
    assert requests <= told.requests <= 60
    assert told.subjects <= 120


@book.attempt(953, "A node that dies with what it had reserved, and one that goes on", "what nobody gives back is used")
async def test_a_node_dies(nodes: list[World]) -> None:
    dead, alive, _ = nodes
    gate = hold(dead)
    tasks = [asyncio.create_task(dead.ask(PAGES, {"n": 7})) for _ in range(3)]
    await gate.asked.wait()
    await asyncio.sleep(0.1)
    pool = dead.ledger.store.pool  # type: ignore[attr-defined]  # a PlatformDatabase
    pool.terminate()  # nothing of it arrives any more: no giving back, no counting
    gate.go.set()
    before = sum(map(phones, await asyncio.gather(*tasks)))
    assert before == 21
    after = 0
    for _ in range(60):
        after += phones(await alive.ask(PAGES, {"n": 3}))
    assert before + after <= 150
    assert after > 0
    with pytest.raises(PolicyUnavailable):
        await stored(dead)
    assert (await dead.ask(PAGES, {"n": 1})).codes == ["POLICY_UNAVAILABLE"]
    assert (await stored(alive))["g1"].rows <= 150
