"""Statistics-only grants: rows or small groups out of a published cube, or a second cube in one period."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product
from typing import Any

import pytest

from authz.principal import TokenScope
from connectors.protocol import Arguments, Row, SourceQuery, SourceUnavailable
from tanglai.catalogue.expressions import TRUE, Attribute, Compare, CompareOp, ItemRef
from tanglai.catalogue.model import Code, Grant, GrantState, Period, Quota, Statistics, Usage
from tanglai.catalogue.scalars import ScalarType
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.errors import Refused
from tanglai.storage.migrate import upgrade
from tests.attack.book import Book
from tests.attack.worlds import row_id
from tests.catalogues import (
    CONDITIONAL,
    MARKET_REGULATION,
    YINCHUAN,
    make_item,
    make_relation,
    make_resource,
    make_snapshot,
)
from tests.gateways import NOW, PURPOSE, Answer, ListedCubes, World, make_grant, requester
from tests.memory import MemoryConnector
from tests.unit.storage import sample
from tests.unit.storage.sample import HEALTH

book = Book(__name__, "Statistics tell nothing but what is published")
row = book.row

PERSON = make_resource(
    "person",
    [
        make_item("name", share_class=CONDITIONAL),
        make_item("sex", codes=["1", "2"], share_class=CONDITIONAL),
        make_item("nation", codes=["汉", "回"], share_class=CONDITIONAL),
        make_item("area", codes=["640100", "640500"], share_class=CONDITIONAL),
        make_item("income", ScalarType.DECIMAL, share_class=CONDITIONAL),
        make_item("pension", ScalarType.DECIMAL, share_class=CONDITIONAL),
        make_item("score", ScalarType.FLOAT, share_class=CONDITIONAL),
    ],
    code="P/1",
    keys=[("name",)],
    relations=[make_relation("cars", "C/1", ["name"], ["owner"], inverse="keeper", many=True)],
)
CAR = make_resource(
    "car",
    [make_item("owner", share_class=CONDITIONAL)],
    code="C/1",
    relations=[make_relation("keeper", "P/1", ["owner"], ["name"], inverse="cars")],
)
SNAPSHOT = make_snapshot([PERSON, CAR])
MEASURES = ("income", "pension", "score")


def terms(**more: Any) -> Statistics:
    defaults: dict[str, Any] = {
        "dimensions": ("nation", "sex"),
        "measures": MEASURES,
        "period": Period.MONTH,
        "minimum_cell": 3,
        "base": 1,
        "sum_base": Decimal(1),
    }
    return Statistics(**defaults | more)


def figures(id: str = "s1", statistics: Statistics | None = None, **more: Any) -> Grant:
    statistics = statistics or terms()
    return make_grant("P/1", " ".join(statistics.items), id, usage=Usage.STATISTICS, statistics=statistics, **more)


def people(*groups: tuple[Any, Any, Sequence[Any]], **more: Any) -> list[dict[str, Any]]:
    """Rows of (nation, sex, incomes); what else they have is `more`."""
    found: list[dict[str, Any]] = []
    for nation, sex, incomes in groups:
        for income in incomes:
            number = len(found)
            money = None if income is None else Decimal(income)
            one = {"handle": number, "name": f"n{number}", "sex": sex, "nation": nation, "area": "640100"}
            found.append(one | {"income": money, "pension": money, "score": 1.0, **more})
    return found


LARGE = (("汉", "1", [10, 20, 30]), ("汉", "2", [40, 40, 41, 5]), (None, "1", [7, 8, 9]))


def world(*grants: Grant, rows: Sequence[Mapping[str, Any]] | None = None) -> World:
    given: list[Mapping[str, Any]] = list(people(*LARGE) if rows is None else rows)
    tables: dict[str, list[Mapping[str, Any]]] = {"person": given, "car": [{"handle": 1, "owner": "n0"}]}
    return World(SNAPSHOT, {"main": tables}, grants or (figures(),))


def figure(arguments: str = "", selection: str = "{ count sum { income } avg { income } }", name: str = "f") -> str:
    return f"{name}: personsAggregate{arguments} {selection}"


def query(*fields: str) -> str:
    return f"{{ data {{ population {{ {' '.join(fields)} }} }} }}"


FULL = "{ key { nation sex } count sum { income pension } avg { income pension } }"


def groups(answer: Answer, name: str = "f") -> list[Any]:
    assert answer.errors == [], answer.errors
    return list(answer.data["data"]["population"][name])


async def alike(one: World, other: World, *fields: str, **more: Any) -> Answer:
    """The answer, which must be the same bytes in both worlds."""
    first, second = await one.ask(query(*fields), **more), await other.ask(query(*fields), **more)
    assert first.response == second.response, (first.body, second.body)
    return first


class _Gate(MemoryConnector):
    """Holds every answer back until it is let go, then gives what there is at that moment."""

    def __init__(self, inner: MemoryConnector) -> None:
        super().__init__(inner.tables)
        self.asked = asyncio.Event()
        self.go = asyncio.Event()
        self.reads = 0

    async def fetch(self, query: SourceQuery, arguments: Arguments, *, timeout: float) -> list[Row]:
        self.reads += 1
        self.asked.set()
        await self.go.wait()
        return await super().fetch(query, arguments, timeout=timeout)


def hold(over: World) -> _Gate:
    gate = over.sources.connectors["main"] = _Gate(over.sources.connectors["main"])
    return gate


# --- small groups ------------------------------------------------------------------------------------------------

GROUPED = ["", "groupBy: NATION", "groupBy: SEX", "groupBy: [SEX, NATION]"]
NATIONS = ["", 'nation: {eq: "汉"}', 'nation: {eq: "回"}', 'nation: {in: ["汉", "回"]}', 'nation: {in: ["壮"]}']
SEXES = ["", 'sex: {eq: "1"}', 'sex: {in: ["2"]}', 'sex: {in: ["1", "2"], eq: "2"}', "and: [{sex: {in: []}}]"]


def every_question() -> list[str]:
    asked = []
    for number, (by, nation, sex) in enumerate(product(GROUPED, NATIONS, SEXES)):
        where = f"where: {{{', '.join(filter(None, (nation, sex)))}}}"
        asked.append(figure(f"({by}{', ' if by else ''}{where})", FULL, f"f{number}"))
    return asked


async def all_alike(one: World, other: World) -> list[Answer]:
    asked = every_question()
    return [await alike(one, other, *asked[start : start + 50]) for start in range(0, len(asked), 50)]


SMALL = [
    row(961, "Two people, by every grouping and every `eq` and `in` there is", "all are sums of published cells",
        [("回", "1", [900, 950])]),
    row(962, "One person in each of two small groups, as the difference of their sum", "neither is in any sum",
        [("回", "1", [900]), ("回", "2", [70])]),
    row(963, "Two of a value off the code list, who would fill up the unknown", "none of them is a cell of its own",
        [("壮", "2", [900, 901])]),
    row(964, "One of no value at all", "the unknown is a cell like others", [(None, "2", [900])]),
    row(965, "One who has no income among those who have: a group of one by the number of values", "the number of rows",
        [("回", "1", [900]), ("回", "2", [None, None])]),
]  # fmt: skip


@pytest.mark.parametrize("few", SMALL)
async def test_small_groups_change_no_byte(few: list[tuple[Any, Any, Sequence[Any]]]) -> None:
    """A hundred questions, told alike with the few and without them."""
    one, other = world(), world(rows=people(*LARGE, *few))
    told = await all_alike(one, other)
    assert sum(len(answer.data["data"]["population"]) for answer in told) == 100
    assert one.cubes.kept == other.cubes.kept
    # Positive twin: a third person makes a cell.
    more = world(rows=people(*LARGE, *((nation, sex, [*incomes, 1, 2, 3]) for nation, sex, incomes in few)))
    await more.ask(query(figure()))
    assert more.cubes.kept != one.cubes.kept


TWINS = [
    row(966, "One of thirty has no income: count less sum ÷ average", "a few without a value count as having one",
        [5] * 29 + [0], [5] * 29 + [None], True),
    row(967, "One of five has no income: the same in a small group", "the figure is left out",
        [5] * 3 + [None], [5] * 3 + [None, None], False),
    row(968, "All of five have a pension, one has no income: two measures compared", "each figure for itself",
        [5, 5, 5, 5, None], [5, 5, 5, None, None], False),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other", "same_rows"), TWINS)
@book.attempt(969, "The same, by an alias, by token and by group", "the numbers are those of the cells", found=True)
async def test_who_has_no_value(one: list[int | None], other: list[int | None], same_rows: bool) -> None:
    """Where one or a few have none, count less number of values is zero, or there is no number."""
    for incomes in (one, other):
        given = people(("汉", "1", incomes), pension=Decimal(1))
        answer = await world(rows=given).ask(query(figure("", "{ count sum { income pension } avg { income } }")))
        (group,) = groups(answer)
        assert group["sum"]["pension"] == str(len(incomes))
        total, average = group["sum"]["income"], group["avg"]["income"]
        assert (total is None) == (average is None) == (not same_rows)
        if total is not None:
            assert round(Decimal(total) / Decimal(average)) == group["count"]
    if same_rows:
        await all_alike(world(rows=people(("汉", "1", one))), world(rows=people(("汉", "1", other))))


@book.attempt(970, "Sums of either sign that round alike", "rounded half-even, by exact numbers")
async def test_rounded_sums() -> None:
    by_hundreds = figures(statistics=terms(sum_base=Decimal(100)))
    for one, other in (([149, 0, 0], [51, 0, 0]), ([-149, 0, 0], [-51, 0, 0]), ([50, 0, 0], [-50, 0, 0])):
        pair = [world(by_hundreds, rows=people(("汉", "1", incomes))) for incomes in (one, other)]
        await all_alike(*pair)


@book.attempt(971, "Measures whose sum is no number any more, to see it in an error", "the figure is left out")
async def test_numbers_that_are_none() -> None:
    for enormous in (1.7e308, -1.7e308):
        rows = people(*LARGE)
        for one in rows[:3]:
            one |= {"score": enormous, "income": Decimal("9e100") * int(enormous > 0)}
        asked = query(figure("(groupBy: [NATION, SEX])", "{ count sum { score income } avg { score income } }"))
        answer = await world(rows=rows).ask(asked)
        assert [group["sum"]["score"] for group in groups(answer)] == [None, 4.0, 3.0]
        assert [group["count"] for group in groups(answer)] == [3, 4, 3]
        assert (groups(answer)[0]["sum"]["income"] is None) == (enormous > 0)


# --- ways in -----------------------------------------------------------------------------------------------------

WAYS = [
    row(972, "The largest income, by a variable that is false in the kept plan", "its value is in the plan's key",
        "query($v: Boolean!) { data { population { personsAggregate { sum { income } max @include(if: $v) { income } } "
        "} } }",
        {"v": True}, {"v": False}),
    row(973, "The same in a fragment on the interface's type", "fragments are expanded",
        "query($v: Boolean!) { data { population { personsAggregate { sum { income } ...F @skip(if: $v) } } } } "
        "fragment F on PersonAggregate { ... on PersonAggregate { min { income } } }", {"v": False}, {"v": True}),
    row(974, "Another operator by a variable of the same type", "the operators are in the plan's key",
        "query($v: PersonWhere) { data { population { personsAggregate(where: $v) { sum { income } } } } }",
        {"v": {"nation": {"ne": "汉"}}}, {"v": {"nation": {"eq": "汉"}}}),
    row(975, "`not` deep in a variable", "only `and` of `eq` and `in`",
        "query($v: PersonWhere) { data { population { personsAggregate(where: $v) { sum { income } } } } }",
        {"v": {"and": [{"and": [{"not": {"nation": {"eq": "汉"}}}]}]}}, {"v": {"and": [{"and": []}]}}),
    row(976, "Rows without a value: null among the values", "never null",
        "query($v: [String]) { data { population { personsAggregate(where: {nation: {in: $v}}) { count } } } }",
        {"v": ["汉", None]}, None),
    row(977, "Rows without a value: `isNull`", "only `and` of `eq` and `in`",
        "{ data { population { personsAggregate(where: {nation: {isNull: true}}) { sum { income } } } } }", {}, None),
    row(978, "One person by name", "dimensions only",
        '{ data { population { personsAggregate(where: {name: {eq: "n0"}}) { sum { income } } } } }', {}, None),
    row(979, "One person by income, which is a measure", "dimensions only",
        '{ data { population { personsAggregate(where: {income: {eq: "10"}}) { sum { income } } } } }', {}, None),
    row(980, "Groups by a measure", "dimensions only",
        "{ data { population { personsAggregate(groupBy: [INCOME]) { key { income } count } } } }", {}, None),
    row(981, "How many have a value, exactly", "`count`, `sum` and `avg`",
        "{ data { population { personsAggregate { countValues { income } } } } }", {}, None),
    row(982, "How many different values there are", "`count`, `sum` and `avg`",
        "{ data { population { personsAggregate { countDistinct { income } } } } }", {}, None),
    row(983, "A dimension outside of the cube", "one cube answers all of it",
        '{ data { population { personsAggregate(where: {area: {eq: "640100"}}) { count } } } }', {}, None),
    row(984, "Filter people by their figures' items", "no item is opened",
        '{ data { population { persons(where: {nation: {eq: "汉"}}) { totalCount } } } }', {}, None),
    row(985, "Order people by a measure", "no item is opened",
        "{ data { population { persons(orderBy: [{income: DESC}]) { nodes { id } } } } }", {}, None),
    row(986, "A filter through a relation", "dimensions only",
        '{ data { population { personsAggregate(where: {cars: {some: {owner: {eq: "n0"}}}}) { count } } } }', {}, None),
    row(987, "Figures in the same field from the cube and by reading", "never merged",
        '{ data { population { personsAggregate(groupBy: [NATION]) { sum { income } min { name } } } } }', {}, None),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "variables", "harmless"), WAYS)
async def test_refused_before_any_source(
    asked: str, variables: dict[str, Any], harmless: dict[str, Any] | None
) -> None:
    over = world(figures(), make_grant("C/1", "owner", "c1"))
    if harmless is not None:
        assert (await over.ask(asked, harmless)).errors == []
    answer = await over.ask(asked, variables)
    assert set(answer.codes) <= {"STATISTICS_ONLY", "GRANT_REQUIRED", "BAD_INPUT"}, answer.body
    assert "data" not in answer.body
    assert over.sources.calls == []


@book.attempt(
    988, "Rows, look-ups, counts and ids of a resource of which only figures are granted", "no row is visible"
)
async def test_no_row_by_any_way() -> None:
    one, other = world(), world(rows=people(("回", "2", [1])))
    ways = (
        "{ data { population { persons { totalCount nodes { id nation income } pageInfo { hasNextPage } } } } }",
        f'{{ node(id: "{row_id(0, "P/1")}") {{ ... on Person {{ nation }} }} }}',
        '{ data { population { person(name: "n0") { nation } } } }',
        '{ _entities(representations: [{__typename: "Person", name: "n0"}]) { ... on Person { nation } } }',
        "{ data { population { cars { totalCount nodes { keeper { nation } } } } } }",
        '{ data { population { persons(search: "n") { totalCount } } } }',
    )
    for way in ways:
        first, second = await one.ask(way), await other.ask(way)
        assert first.response == second.response
        assert "汉".encode() not in first.response.body
        assert b'"totalCount":0' in first.response.body or "totalCount" not in way or first.codes


@book.attempt(989, "Narrower and narrower tokens, and the differences of what they get", "the cube is the same")
async def test_tokens_that_narrow() -> None:
    over = world(rows=people(*LARGE, ("回", "1", [900]), ("回", "2", [70, 71])))
    whole = groups(await over.ask(query(figure("(groupBy: NATION)"))))
    for names in (("nation", "income"), ("nation", "income", "sex"), ("nation", "income", "sex", "pension")):
        who = requester(scopes=frozenset(TokenScope("P/1", name) for name in names))
        assert groups(await over.ask(query(figure("(groupBy: NATION)")), who=who)) == whole
        refused = await over.ask(query(figure("", "{ sum { score } }")), who=who)
        assert refused.codes == ["SCOPE_EXCEEDED"]
    nobody = requester(scopes=frozenset())
    assert (await over.ask(query(figure()), who=nobody)).data["data"]["population"]["f"] is None
    assert len(over.cubes.kept) == 1


@book.attempt(990, "Another purpose, or none, or one of a longer list", "the grant's own, compared exactly")
async def test_other_purposes() -> None:
    over = world()
    for purposes, chosen, code in (
        ({"licensing"}, None, "PURPOSE_MISMATCH"),
        (set(), None, "PURPOSE_REQUIRED"),
        ({PURPOSE, "licensing"}, None, "PURPOSE_REQUIRED"),
        ({PURPOSE, "licensing"}, "licensing", "PURPOSE_MISMATCH"),
    ):
        who = requester(purposes=frozenset(purposes))
        answer = await over.ask(query(figure()), who=who, purpose=chosen)
        assert answer.codes == [code]
        assert "data" not in answer.body
    assert over.sources.calls == []
    assert over.cubes.kept == {}


# --- one cube in a period ----------------------------------------------------------------------------------------


@book.attempt(991, "Ask three nodes at once while the data change", "one of the readings is published, for all")
async def test_three_nodes_one_cube() -> None:
    contents = [people(*LARGE, ("回", "1", [100] * n)) for n in (3, 4, 5)]
    store = ListedCubes()
    nodes = [world(rows=content) for content in contents]
    for node in nodes:
        node.gateway._publications._store = store
    asked = query(figure("(groupBy: [NATION, SEX])", FULL))
    gates = [hold(node) for node in nodes]
    tasks = [asyncio.create_task(nodes[n % 3].ask(asked)) for n in range(9)]
    for gate in gates:  # all three read, and none has published
        await gate.asked.wait()
    for gate in gates:
        gate.go.set()
    answers = await asyncio.gather(*tasks)
    assert len({answer.response.body for answer in answers}) == 1
    assert len(store.kept) == 1


@book.attempt(992, "Leave while the cube is made, and have it made again from other data", "the making goes on alone")
async def test_leaving_while_it_is_made() -> None:
    over = world()
    gate = hold(over)
    first = asyncio.create_task(over.ask(query(figure())))
    await gate.asked.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    second = asyncio.create_task(over.ask(query(figure())))
    for _ in range(20):
        await asyncio.sleep(0)
    gate.go.set()
    answer = await second
    assert (len(over.cubes.kept), gate.reads) == (1, 1)
    over.sources.connectors["main"].tables[None, "person"].extend(people(("回", "1", [1] * 9)))  # type: ignore[attr-defined]
    assert (await over.ask(query(figure()))).body["data"] == answer.body["data"]


@book.attempt(
    993, "Have the grant suspended while its cube is made, and ask again", "a cube answers for a live grant only"
)
async def test_suspended_while_it_is_made() -> None:
    over = world()
    gate = hold(over)
    task = asyncio.create_task(over.ask(query(figure())))
    await gate.asked.wait()
    over.replica.held[YINCHUAN.code] = (figures(state=GrantState.SUSPENDED),)
    gate.go.set()
    assert groups(await task)
    assert len(over.cubes.kept) == 1
    refused = await over.ask(query(figure()))
    assert (refused.codes, "data" in refused.body) == (["GRANT_SUSPENDED"], False)


@book.attempt(994, "Other terms and back again, to have the first cube made anew", "what is published stays")
async def test_terms_there_and_back() -> None:
    over = world()
    before = await over.ask(query(figure("(groupBy: [NATION, SEX])", FULL)))
    over.sources.connectors["main"].tables[None, "person"].extend(people(("回", "1", [1] * 9)))  # type: ignore[attr-defined]
    over.replica.held[YINCHUAN.code] = (figures(statistics=terms(base=2)),)
    assert groups(await over.ask(query(figure()))) != groups(before)
    for same in (figures(), figures(valid_to=None), figures(quota=Quota(rows=1000)), figures(basis="COORDINATION")):
        over.replica.held[YINCHUAN.code] = (same,)
        after = await over.ask(query(figure("(groupBy: [NATION, SEX])", FULL)))
        assert after.body["data"] == before.body["data"]
    assert len(over.cubes.kept) == 2


@book.attempt(995, "Name a period, of now or long ago, in an extension", "there is none to name")
async def test_no_period_can_be_named() -> None:
    over = world()
    first = await over.ask(query(figure()))
    over.replica.held[YINCHUAN.code] = (figures(valid_to=None),)
    over.replica.now = NOW + timedelta(days=40)
    over.sources.connectors["main"].tables[None, "person"].extend(people(("回", "1", [1] * 9)))  # type: ignore[attr-defined]
    now = await over.ask(query(figure()))
    assert groups(now) != groups(first)
    for extensions in ({"period": "2026-05"}, {"terms": "x"}, {"cube": {"period": "2026-05"}}, {"now": "2026-05-06"}):
        assert (await over.ask(query(figure()), extensions=extensions)).body == now.body


@book.attempt(
    996, "Two departments, one document, grants of the same terms over their own areas", "a cube of each grant"
)
async def test_cubes_of_two_departments() -> None:
    own = Compare(CompareOp.EQ, ItemRef("area", ScalarType.TEXT), Attribute("department.division"))
    other = replace(MARKET_REGULATION, division="640500")
    snapshot = make_snapshot([PERSON, CAR], departments=(YINCHUAN, other))
    rows = [*people(*LARGE), *people(("汉", "1", [1000, 2000, 3000, 4000]), area="640500")]
    for number, one in enumerate(rows):
        one["handle"] = number
    grants = [figures("a", scope=own), figures("b", scope=own, requester=other.code)]
    for order in ((YINCHUAN, other), (other, YINCHUAN)):
        over = World(snapshot, {"main": {"person": rows, "car": []}}, grants)
        told = {}
        for department in (*order, *order):
            answer = await over.ask(query(figure()), who=requester(department=department))
            told[department.key] = (groups(answer)[0]["sum"]["income"], answer.extensions["grants"])
        assert told == {YINCHUAN.key: ("210", ["a"]), other.key: ("10000", ["b"])}
        assert len(over.cubes.kept) == 2


@book.attempt(997, "Have the cube made by asking what it would tell", "the dry run touches no source")
async def test_explaining_makes_no_cube() -> None:
    one, other = world(), world(rows=people(("回", "2", [1] * 4)))
    asked = (
        '{ explainAccess(resource: "P/1") { items { name verdict rows '
        "statistics { grant minimumCell base sumBase period rows dimensions measures } } } }"
    )
    first, second = await one.ask(asked), await other.ask(asked)
    assert (first.response, first.errors) == (second.response, [])
    assert one.sources.calls == []
    assert one.cubes.kept == {}
    assert b"STATISTICS" in first.response.body


@book.attempt(998, "Choose the moment of a cube without the means to ask for it", "quotas come before the source")
async def test_quota_before_the_cube() -> None:
    over = world(figures(quota=Quota(rows=0)))
    for _ in range(3):
        answer = await over.ask(query(figure()))
        assert (answer.codes, answer.response.status) == (["QUOTA_EXCEEDED"], 429)
    assert over.sources.calls == []
    assert over.cubes.kept == {}


@book.attempt(999, "Read from what is left of the quota how many groups were left out", "published groups are counted")
async def test_what_is_left_tells_published_groups() -> None:
    left = "{ me { grants { nodes { usedToday { rows requests } } } } }"
    pair = [
        world(figures(quota=Quota(rows=50, requests=50)), rows=rows)
        for rows in (people(*LARGE), people(*LARGE, ("回", "1", [1, 2]), ("壮", "2", [1])))
    ]
    for by in GROUPED:
        told = [await over.ask(query(figure(f"({by})" if by else ""))) for over in pair]
        told += [await over.ask(left) for over in pair]
        assert told[0].response == told[1].response
        assert told[2].response == told[3].response


@book.attempt(1000, "Make the source fail at the right moment, and read the error", "typed, and nothing is published")
async def test_a_failing_source() -> None:
    over = world()
    over.sources.connectors["main"].fault = SourceUnavailable("main")
    answer = await over.ask(query(figure("(groupBy: NATION)")))
    assert (answer.codes, over.cubes.kept) == (["SOURCE_UNAVAILABLE"], {})
    over.sources.connectors["main"].fault = None
    assert groups(await over.ask(query(figure("(groupBy: NATION)"))))


# --- overlapping grants, in the database -------------------------------------------------------------------------

LATER = datetime(2026, 7, 1, tzinfo=UTC)
ITEMS = (
    sample.item("name"),
    sample.item("phone"),
    sample.item("division", codes=(Code("640100", "银川市"), Code("640300", "吴忠市"))),
    sample.item("kind", codes=(Code("a", "甲"),)),
)


def published(id: str, *dimensions: str, requester: str = HEALTH, **changes: Any) -> Grant:
    statistics = Statistics(dimensions, (), Period.MONTH, 3, 1)
    defaults: dict[str, Any] = {"relations": frozenset(), "masks": {}, "scope": TRUE, "valid_to": LATER}
    return sample.grant(
        id, requester, usage=Usage.STATISTICS, items=statistics.items, statistics=statistics, **defaults | changes
    )


@pytest.fixture
async def stores(database: str) -> AsyncIterator[tuple[PlatformDatabase, PlatformDatabase]]:
    """The platform database as two processes have it."""
    await upgrade(database)
    async with await PlatformDatabase.open(database) as one, await PlatformDatabase.open(database) as other:
        await one.publish(sample.change(sample.resource(items=ITEMS), sample.resource(sample.VEHICLES, items=ITEMS)))
        yield one, other


async def live(store: PlatformDatabase) -> list[Grant]:
    return [one for one in await store.load_grants(HEALTH) if one.state in (GrantState.ACTIVE, GrantState.SUSPENDED)]


@book.attempt(1001, "Two grants over the same figures, recorded at the same moment", "one transaction after the other")
async def test_overlaps_at_once(stores: tuple[PlatformDatabase, PlatformDatabase]) -> None:
    for round in range(8):
        a, b = (published(f"{round}-{purpose}", "division", purpose=purpose) for purpose in ("care", "audit"))
        done = await asyncio.gather(stores[0].put_grants([a]), stores[1].put_grants([b]), return_exceptions=True)
        assert sorted(isinstance(one, Refused) for one in done) == [False, True]
        (kept,) = await live(stores[0])
        await stores[0].set_grant_state(kept.id, GrantState.ENDED, by="reviewer", reason="next round")


@book.attempt(1002, "Two grants that are widened to the same figures at the same moment", "what is live is looked at")
async def test_widened_at_once(stores: tuple[PlatformDatabase, PlatformDatabase]) -> None:
    await stores[0].put_grants([published("a", "division"), published("b", "kind")])
    done = await asyncio.gather(
        stores[0].put_grants([published("a", "division", "kind")]),
        stores[1].put_grants([published("b", "division", "kind")]),
        return_exceptions=True,
    )
    assert all(isinstance(one, Refused) for one in done)  # each would overlap what the other one is already
    assert [len(one.items) for one in await live(stores[0])] == [1, 1]


MOVES = [
    row(1003, "A grant of another resource, moved to this one", "terms are looked at whenever they change",
        published("b", "division", resource=sample.VEHICLES)),
    row(1004, "A grant of another requester, made over to this one", "terms are looked at whenever they change",
        published("b", "division", requester=sample.TAX)),
    row(1005, "A grant for later, brought forward", "validity is a term",
        published("b", "division", valid_from=LATER, valid_to=None)),
    row(1006, "A grant for reading, made one for statistics", "usage is a term",
        replace(published("b", "division"), usage=Usage.READ, statistics=None)),
]  # fmt: skip


@pytest.mark.parametrize("before", MOVES)
async def test_moved_into_an_overlap(stores: tuple[PlatformDatabase, PlatformDatabase], before: Grant) -> None:
    await stores[0].put_grants([published("a", "division", "kind"), before])
    with pytest.raises(Refused, match=r"statistics of `division` at the same time|belongs to another requester"):
        await stores[1].put_grants([published("b", "division")])
    assert before in await stores[0].load_grants(before.requester)


@book.attempt(1007, "Suspend one, record its double, resume the first", "a suspended one still counts")
async def test_suspended_ones_count(stores: tuple[PlatformDatabase, PlatformDatabase]) -> None:
    await stores[0].put_grants([published("a", "division")])
    await stores[0].set_grant_state("a", GrantState.SUSPENDED, by="reviewer", reason="looked into")
    outcomes = await asyncio.gather(
        stores[0].set_grant_state("a", GrantState.ACTIVE, by="reviewer", reason="put right"),
        stores[1].put_grants([published("b", "division")]),
        return_exceptions=True,
    )
    assert isinstance(outcomes[1], Refused)
    assert [one.id for one in await live(stores[0])] == ["a"]


@book.attempt(
    1008, "A file that calls the first one ended, so that its double looks alone", "the state is the platform's"
)
async def test_states_of_a_file_do_not_count(stores: tuple[PlatformDatabase, PlatformDatabase]) -> None:
    await stores[0].put_grants([published("a", "division")])
    with pytest.raises(Refused, match="publish statistics"):
        await stores[1].put_grants([published("a", "division", state=GrantState.ENDED), published("b", "division")])
    assert [one.id for one in await live(stores[0])] == ["a"]


@book.attempt(1009, "Publish a second cube straight away, under the key of the first", "the first one stays")
async def test_published_once(stores: tuple[PlatformDatabase, PlatformDatabase]) -> None:
    await stores[0].put_grants([published("a", "division")])
    cells = await asyncio.gather(*(stores[n % 2].publish_cube("a", "t", "2026-05", f"[{n}]") for n in range(8)))
    assert len(set(cells)) == 1
    assert await stores[1].load_cube("a", "t", "2026-05") == cells[0]
