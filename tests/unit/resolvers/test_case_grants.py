"""Cases 32 to 41 of docs/cases.md: grants, purposes, moments; nothing is shared between those who see differently."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from authz.principal import OWN_DATA_ROLE
from connectors.protocol import Arguments, Row, SourceQuery
from tanglai.catalogue.expressions import TRUE, Attribute, Compare, CompareOp, ItemRef, Not, Value
from tanglai.catalogue.model import Grant, GrantState, Quota, Snapshot
from tests.attack.worlds import row_id
from tests.cases import case, hole
from tests.catalogues import MARKET_REGULATION, PUBLIC_SECURITY, YINCHUAN, population
from tests.gateways import NOW, Answer, StillReplica, World, make_grant, requester
from tests.memory import MemoryConnector
from tests.unit.resolvers.asking import ODD, TEXT, aggregate, closed, listed, refused, residents, scoped
from tests.unit.resolvers.conftest import HOUSEHOLD, RESIDENT, follow_all, rows

BOTH = residents("", "nodes { name height income } totalCount")


# --- 32: two grants ------------------------------------------------------------------------------------------------


@case(32)
async def test_the_items_of_one_grant_are_not_read_on_the_rows_of_another() -> None:
    """Selected, filtered, ordered and in figures; in whatever order the grants are held."""
    held = [
        make_grant(RESIDENT, "name height", "a", scope=ODD),
        make_grant(RESIDENT, "name income", "b", scope=Not(ODD)),
    ]
    for grants in (held, held[::-1]):
        world = World(closed(), rows(), grants)
        nodes = listed(await world.ask(BOTH))
        assert len(nodes) == 7
        assert all((node["height"] is None) != (node["income"] is None) for node in nodes)
        assert listed(await world.ask(residents("where: {height: {gt: 0}, income: {gt: 0}}"))) == []
        ordered = listed(await world.ask(residents("orderBy: [{height: DESC}]", "nodes { height income }")))
        seen = [(node["height"], node["income"]) for node in ordered if node["height"] is not None]
        assert seen == [(177, None), (175, None), (173, None), (171, None)]
        figures = aggregate("where: {height: {isNull: false}}", "count countValues { height income } sum { income }")
        assert (await world.ask(figures)).data["data"]["population"]["residentsAggregate"] == [
            {"count": 4, "countValues": {"height": 4, "income": 0}, "sum": {"income": None}}
        ]


@case(32, twin=True)
async def test_two_grants_add_their_rows_item_by_item() -> None:
    held = [
        make_grant(RESIDENT, "name height income", "a", scope=ODD),
        make_grant(RESIDENT, "name income", "b", scope=Not(ODD)),
    ]
    nodes = listed(await World(closed(), rows(), held).ask(BOTH))
    assert [node["height"] for node in nodes] == [171, None, 173, None, 175, None, 177]
    assert [node["income"] for node in nodes] == ["0.5", "1", "1.5", "2", "2.5", "3", "3.5"]


# --- 33: states and moments ----------------------------------------------------------------------------------------

FIELDS = "nodes { name height } pageInfo { endCursor } totalCount"
PAGE = residents("first: 2, after: $c, orderBy: [{name: ASC}]", FIELDS, "($c: String)")
PLAIN = residents("first: 2, after: $c", FIELDS, "($c: String)")
BY_ITEM = residents(
    "first: 2, after: $c, orderBy: [{height: DESC}]", "nodes { height } pageInfo { endCursor }", "($c: String)"
)
HELD = make_grant(RESIDENT, "name height", valid_to=NOW + timedelta(hours=1))
AFTERWARDS: dict[str, tuple[Grant | None, timedelta, str]] = {
    "suspended": (replace(HELD, state=GrantState.SUSPENDED), timedelta(), "GRANT_SUSPENDED"),
    "ended": (replace(HELD, state=GrantState.ENDED), timedelta(), "GRANT_ENDED"),
    "taken away": (None, timedelta(), "GRANT_REQUIRED"),
    "over": (HELD, timedelta(hours=1), "GRANT_EXPIRED"),
    "not yet": (replace(HELD, valid_from=NOW + timedelta(minutes=1)), timedelta(), "GRANT_NOT_YET_VALID"),
    "narrowed": (replace(HELD, items=frozenset({"name"})), timedelta(), "GRANT_REQUIRED"),
    "of another purpose": (replace(HELD, purpose="statistics"), timedelta(), "PURPOSE_MISMATCH"),
}


async def first_page(world: World, query: str, **more: Any) -> str:
    page = (await world.ask(query, **more)).data["data"]["population"]["residents"]
    return str(page["pageInfo"]["endCursor"])


@case(33)
@pytest.mark.parametrize("change", AFTERWARDS)
async def test_an_old_cursor_opens_nothing_after_the_grant_has_changed(change: str) -> None:
    """The page goes on without the item, or with no row where nothing else is open; an order by the item is refused."""
    grant, later, code = AFTERWARDS[change]
    everything_closed = closed()
    for snapshot, query in ((population(), PAGE), (population(), PLAIN), (everything_closed, PLAIN)):
        world = World(snapshot, rows(), [HELD])
        cursor, by_item = await first_page(world, query), await first_page(world, BY_ITEM)
        if grant is not HELD:  # else nothing but the time changes
            world.replica.held[YINCHUAN.code] = () if grant is None else (grant,)
        world.replica.now = NOW + later
        answer = await world.ask(query, {"c": cursor})
        assert set(answer.codes) == {code}
        if snapshot is everything_closed and change != "narrowed":
            assert listed(answer) == []
            assert world.sources.calls == []
        else:
            assert listed(answer) == [{"name": "n3", "height": None}, {"name": "n4", "height": None}]
        await refused(world, BY_ITEM, {"c": by_item}, code)


@case(33, twin=True)
async def test_a_cursor_goes_on_while_the_grant_is_good() -> None:
    for snapshot in (population(), closed()):
        world = World(snapshot, rows(), [HELD])
        cursor = await first_page(world, PAGE)
        world.replica.now = NOW + timedelta(minutes=59)
        assert listed(await world.ask(PAGE, {"c": cursor})) == [
            {"name": "n3", "height": 173},
            {"name": "n4", "height": 174},
        ]


# --- 34: purposes --------------------------------------------------------------------------------------------------

TWO = requester(purposes=frozenset({"assistance", "statistics"}))
PURPOSES = [
    make_grant(RESIDENT, "height", "a"),
    make_grant(RESIDENT, "income", "s", purpose="statistics"),
]


@case(34)
@pytest.mark.parametrize(
    ("given", "codes"),
    [
        ({}, {"PURPOSE_REQUIRED"}),
        ({"purpose": "licensing"}, {"PURPOSE_MISMATCH"}),
        ({"purpose": "nonsense"}, {"PURPOSE_MISMATCH"}),
        ({"extensions": {"purpose": "licensing"}}, {"PURPOSE_MISMATCH"}),
        ({"purpose": "statistics", "extensions": {"purpose": "assistance"}}, {"BAD_INPUT"}),
    ],
    ids=str,
)
async def test_a_missing_wrong_or_ambiguous_purpose_opens_nothing(given: dict[str, Any], codes: set[str]) -> None:
    answer = await World(population(), rows(), PURPOSES).ask(BOTH, who=TWO, **given)
    assert set(answer.codes) == codes
    assert b"17" not in answer.response.body
    assert b"3.5" not in answer.response.body


@case(34)
async def test_swapped_purposes_share_nothing_in_warm_caches() -> None:
    world = World(population(), rows(), PURPOSES)
    cursors = {}
    for purpose, shown, hidden in (("assistance", "height", "income"), ("statistics", "income", "height")) * 2:
        answer = await world.ask(BOTH, who=TWO, purpose=purpose)
        assert all(node[shown] is not None and node[hidden] is None for node in listed(answer))
        cursors[purpose] = await first_page(world, PAGE, who=TWO, purpose=purpose)
    own = await world.ask(PAGE, {"c": cursors["assistance"]}, who=TWO, purpose="assistance")
    assert [node["name"] for node in listed(own)] == ["n3", "n4"]
    swapped = await world.ask(PAGE, {"c": cursors["statistics"]}, who=TWO, purpose="assistance")
    assert swapped.codes == ["BAD_CURSOR"]


@case(34, twin=True)
async def test_the_right_purpose_opens_its_grant_by_header_body_or_token() -> None:
    world = World(population(), rows(), PURPOSES)
    alone = requester(purposes=frozenset({"statistics"}))
    for answer in (
        await world.ask(BOTH, who=TWO, purpose="statistics"),
        await world.ask(BOTH, who=TWO, extensions={"purpose": "statistics"}),
        await world.ask(BOTH, who=TWO, purpose="statistics", extensions={"purpose": "statistics"}),
        await world.ask(BOTH, who=alone),
    ):
        assert [node["income"] for node in listed(answer)][:2] == ["0.5", "1"]
        assert answer.extensions["purpose"] == "statistics"


# --- 35: quotas in one operation -----------------------------------------------------------------------------------


@case(35)
async def test_no_mixture_of_aliases_pages_batches_and_retries_gets_more_than_the_quota() -> None:
    """Seven rows of people are asked for under ten of quota in every way at once, until nothing more comes."""
    world = World(population(), rows(), [make_grant(RESIDENT, "phone", quota=Quota(rows=10)), *follow_all()])
    entity = ", ".join(f'{{__typename: "Resident", idNumber: "id{n}"}}' for n in (1, 2))
    ways = [
        "{ data { population { a: residents(first: 2) { nodes { phone } } "
        "b: residents(last: 1) { nodes { phone } } } } }",
        residents("first: 3", "nodes { phone }"),
        residents("first: 2", "edges { node { phone } }"),
        f"{{ _entities(representations: [{entity}]) {{ ... on Resident {{ phone }} }} }}",
        f'{{ node(id: "{row_id(3)}") {{ ... on Resident {{ phone }} }} }}',
        "{ data { population { households(first: 1) { nodes { members(first: 2) { nodes { phone } } } } } } }",
        '{ data { transport { vehicle(plate: "P1") { keeper { phone } } } } }',
    ]
    got = 0
    for _ in range(4):
        answers: list[Answer] = await asyncio.gather(*(world.ask(query) for query in ways))
        got += sum(answer.response.body.count(b"138000000") for answer in answers)
    assert got <= 10
    while not (answer := await world.ask(residents("first: 1", "nodes { phone }"))).errors:
        got += 1
    assert answer.codes == ["QUOTA_EXCEEDED"]
    assert got == 10


# --- 36: existence -------------------------------------------------------------------------------------------------

ORACLES = [
    ('{ data { population { resident(idNumber: "%s") { name } } } }', "id2", "id9", "id1"),
    ("{ node(id: \"%s\") { id ... on Resident { name } } }", row_id(2), row_id(9), row_id(1)),
    ('{ _entities(representations: [{__typename: "Resident", idNumber: "%s"}]) { ... on Resident { name } } }',
     "id2", "id9", "id1"),
    (residents('where: {idNumber: {eq: "%s"}}', "nodes { name } totalCount pageInfo { hasNextPage endCursor }"),
     "id2", "id9", "id1"),
    (residents('search: "%s"', "totalCount"), "id2", "id9", "id1"),
    (aggregate('where: {idNumber: {eq: "%s"}}', "count max { height }"), "id2", "id9", "id1"),
    ('{ data { transport { vehicles(where: {keeper: {some: {idNumber: {eq: "%s"}}}}) { totalCount } } } }',
     "id2", "id9", "id1"),
    ('{ data { transport { vehicle(plate: "%s") { keeper { name } } } } }', "P3", "P4", "P1"),
]  # fmt: skip


@case(36)
@pytest.mark.parametrize(("query", "hidden", "absent", "visible"), ORACLES)
async def test_a_hidden_row_and_one_that_does_not_exist_are_the_same(
    query: str, hidden: str, absent: str, visible: str
) -> None:
    """The same bytes. (P4 has no keeper, P3 a hidden one.)"""
    world = scoped(ODD)
    bodies = {(await world.ask(query % value)).response.body for value in (hidden, absent)}
    assert len(bodies) == 1


@case(36, twin=True)
@pytest.mark.parametrize(("query", "hidden", "absent", "visible"), ORACLES)
async def test_a_visible_row_is_not_the_same_as_one_that_does_not_exist(
    query: str, hidden: str, absent: str, visible: str
) -> None:
    for world, value in ((scoped(ODD), visible), (scoped(TRUE), hidden)):
        found, nothing = await world.ask(query % value), await world.ask(query % absent)
        assert found.errors == []
        assert found.response.body != nothing.response.body


# --- 38: who asks --------------------------------------------------------------------------------------------------

OWN = residents("", "nodes { passport }")
OWNER = requester(department=PUBLIC_SECURITY, roles=frozenset({OWN_DATA_ROLE}))


@case(38)
@pytest.mark.parametrize(
    "who",
    [
        requester(roles=frozenset({OWN_DATA_ROLE})),
        requester(roles=frozenset({"admin", "public-security", PUBLIC_SECURITY.code})),
        requester(department=PUBLIC_SECURITY),
        requester(department=PUBLIC_SECURITY, roles=frozenset({"DATA.OWN", "data.own ", "data.*"})),
        requester(client=PUBLIC_SECURITY.code, person=PUBLIC_SECURITY.code),
    ],
    ids=["role of another", "roles by name", "no role", "spelling", "client by name"],
)
async def test_a_role_or_a_name_alone_makes_nobody_the_owner(who: Any) -> None:
    extensions = {"role": OWN_DATA_ROLE, "department": PUBLIC_SECURITY.code, "principal": {"dept": "x"}}
    world = World(population(), rows())
    assert (await world.ask(OWN, who=OWNER)).errors == []  # it is in the caches
    answer = await world.ask(OWN, who=who, extensions=extensions)
    assert answer.codes == ["GRANT_REQUIRED"]
    assert b"secret" not in answer.response.body


@case(38, twin=True)
async def test_the_department_of_the_source_with_the_role_reads_its_own_data() -> None:
    answer = await World(population(), rows()).ask(OWN, who=OWNER)
    assert answer.errors == []
    assert [node["passport"] for node in listed(answer)] == [f"secret{n}" for n in range(1, 8)]


# --- 39 to 41: what is shared --------------------------------------------------------------------------------------

MARKET = requester(department=MARKET_REGULATION)
DIVISION = Compare(CompareOp.EQ, ItemRef("household_id", TEXT), Attribute("department.code"))


def by_department() -> World:
    """One grant to each of two departments, of equal text: each sees the rows that name it."""
    contents = rows()
    for row in contents["main"]["resident"]:
        row["household_id"] = (YINCHUAN if row["sex"] == "1" else MARKET_REGULATION).code
    grants = [make_grant(RESIDENT, "name passport", "g", scope=DIVISION, requester=one) for one in
              (YINCHUAN.code, MARKET_REGULATION.code)]  # fmt: skip
    return World(closed(), contents, grants)


@dataclass
class _Gated(MemoryConnector):
    """Answers nobody before `everyone` has asked, so that all are in flight at once."""

    everyone: asyncio.Barrier | None = None

    async def fetch(self, query: SourceQuery, arguments: Arguments, *, timeout: float) -> list[Row]:
        assert self.everyone is not None
        async with asyncio.timeout(30):
            await self.everyone.wait()
        return await super().fetch(query, arguments, timeout=timeout)


def gate(world: World, number: int) -> None:
    tables = world.sources.connectors["main"].tables
    world.sources.connectors["main"] = _Gated(tables, everyone=asyncio.Barrier(number))


@case(39)
async def test_two_departments_with_grants_of_equal_text_in_flight_together_get_their_own_rows() -> None:
    world = by_department()
    gate(world, 8)
    query = residents("", "nodes { passport } totalCount")
    people = [requester(), MARKET] * 4
    answers = await asyncio.gather(*(world.ask(query, who=who) for who in people))
    for who, answer in zip(people, answers, strict=True):
        expected = [1, 3, 5, 7] if who is not MARKET else [2, 4, 6]
        assert [node["passport"] for node in listed(answer)] == [f"secret{n}" for n in expected]


@case(39, twin=True)
async def test_two_clients_of_one_department_in_flight_together_get_the_same() -> None:
    world = by_department()
    gate(world, 4)
    query = residents("", "nodes { passport } totalCount")
    answers = await asyncio.gather(*(world.ask(query, who=requester(client=f"app {n}")) for n in range(4)))
    assert len({answer.response.body for answer in answers}) == 1
    assert len(listed(answers[0])) == 4


KEYED = "query($k: String!, $n: Int) { data { population { resident(idNumber: $k) { name passport } "
KEYED += "residents(where: {idNumber: {eq: $k}}, first: $n) { nodes { passport } } } } }"


@hole("cosmo-flight")
@case(40)
async def test_equal_documents_with_other_variables_in_flight_together_get_their_own_answers() -> None:
    """Cold and warm: the plan is kept after the first round, and one flight is never shared between requests."""
    world = World(population(), rows(), [make_grant(RESIDENT, "passport")])
    numbers = [1, 2, 3, 2, 1, 99, 7, 1]
    for _ in range(3):
        gate(world, 2 * len(numbers))
        answers = await asyncio.gather(*(world.ask(KEYED, {"k": f"id{n}", "n": n % 3}) for n in numbers))
        for n, answer in zip(numbers, answers, strict=True):
            found = answer.data["data"]["population"]
            known = n < 8
            assert found["resident"] == ({"name": f"n{n}", "passport": f"secret{n}"} if known else None)
            assert found["residents"]["nodes"] == ([{"passport": f"secret{n}"}] if known and n % 3 else [])


@case(40, twin=True)
async def test_the_same_variables_get_the_same_answer_from_a_warm_cache() -> None:
    world = World(population(), rows(), [make_grant(RESIDENT, "passport")])
    bodies = {(await world.ask(KEYED, {"k": "id1", "n": 1})).response.body for _ in range(3)}
    assert len(bodies) == 1
    assert len(world.gateway._served.plans._plans) == 1  # type: ignore[union-attr]


class _Held(StillReplica):
    """Lets a test change the policy while a request holds what it read: `wait` is entered between reading and using."""

    wait: Callable[[], Awaitable[None]] | None = None

    async def grants(self, department: str, snapshot: Snapshot | None = None) -> tuple[Grant, ...]:
        read = await super().grants(department, snapshot)
        wait, self.wait = self.wait, None
        if wait is not None:
            await wait()
        return read


PASSPORT = '{ data { population { resident(idNumber: "id1") { passport } } } }'


def held(*grants: Grant) -> tuple[World, _Held]:
    world = World(population(), rows())
    replica = _Held(world.replica.snapshot, {YINCHUAN.code: grants})
    world.replica = replica
    world.gateway._replica = replica  # type: ignore[assignment]  # the two methods that the gateway calls
    return world, replica


async def race(world: World, replica: _Held, change: Callable[[], None]) -> tuple[Answer, Answer]:
    """A request reads the policy and waits; the policy changes; another request is answered; the first goes on.

    Returns the second request's answer, and that of a third, after the first has put what it decided into the caches.
    """
    read, go = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        read.set()
        await go.wait()

    replica.wait = wait
    first = asyncio.create_task(world.ask(PASSPORT))
    await read.wait()
    change()
    second = await world.ask(PASSPORT)
    go.set()
    await first
    return second, await world.ask(PASSPORT)


@case(41)
@pytest.mark.parametrize("warm", [True, False])
async def test_what_is_decided_by_an_old_policy_is_not_used_after_it_changed(warm: bool) -> None:
    """The late insert of a decision or plan by a revoked grant, a narrowed scope, another class."""
    grant = make_grant(RESIDENT, "passport")
    none = Compare(CompareOp.EQ, ItemRef("name", TEXT), Value("nobody", TEXT))
    for after in ((), (replace(grant, state=GrantState.SUSPENDED),), (replace(grant, scope=none),)):
        world, replica = held(grant)
        if warm:
            assert b"secret1" in (await world.ask(PASSPORT)).response.body

        def change(after: tuple[Grant, ...] = after, replica: _Held = replica) -> None:
            replica.held[YINCHUAN.code] = after

        for answer in await race(world, replica, change):
            assert b"secret1" not in answer.response.body
    opened = population()
    items = tuple(replace(item, share_class=opened.resources[HOUSEHOLD].items[1].share_class) if item.name == "passport"
                  else item for item in opened.resources[RESIDENT].items)  # fmt: skip
    before = replace(opened, resources={**opened.resources, RESIDENT: replace(opened.resources[RESIDENT], items=items)})
    world, replica = held()
    replica.snapshot = before
    if warm:
        assert b"secret1" in (await world.ask(PASSPORT)).response.body

    def close() -> None:
        replica.snapshot = replace(opened, number=2)

    for answer in await race(world, replica, close):
        assert answer.codes == ["GRANT_REQUIRED"]
        assert b"secret1" not in answer.response.body


@case(41, twin=True)
async def test_a_new_grant_opens_for_the_next_request_whatever_was_on_its_way() -> None:
    world, replica = held()

    def change() -> None:
        replica.held[YINCHUAN.code] = (make_grant(RESIDENT, "passport"),)

    for answer in await race(world, replica, change):
        assert answer.data["data"]["population"]["resident"] == {"passport": "secret1"}
