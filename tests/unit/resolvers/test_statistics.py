"""Figures from published cubes, through the whole pipeline: what is answered, from what, and what is refused.

Case 37: minimum cell, differencing pair, sum ÷ avg.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.protocol import SourceUnavailable
from resolvers.limits import Limits
from resolvers.publications import Publications
from tanglai.catalogue.expressions import Compare, CompareOp, ItemRef, Value
from tanglai.catalogue.model import Grant, Period, Statistics, Usage
from tanglai.catalogue.scalars import ScalarType
from tests.cases import case
from tests.catalogues import CONDITIONAL, YINCHUAN, make_item, make_relation, make_resource, make_snapshot
from tests.gateways import NOW, Answer, World, make_grant

PERSON = make_resource(
    "person",
    [
        make_item("name"),
        make_item("sex", codes=["1", "2"], share_class=CONDITIONAL),
        make_item("nation", codes=["汉", "回"], share_class=CONDITIONAL),
        make_item("income", ScalarType.DECIMAL, share_class=CONDITIONAL),
        make_item("rooms", ScalarType.INTEGER, codes=["1", "2"], share_class=CONDITIONAL),
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
CLOSED = make_resource("case", [make_item("kind", codes=["a", "b"], share_class=CONDITIONAL)], code="K/1")
SNAPSHOT = make_snapshot([PERSON, CAR, CLOSED])


def terms(**more: Any) -> Statistics:
    defaults: dict[str, Any] = {
        "dimensions": ("nation", "sex"),
        "measures": ("income",),
        "period": Period.MONTH,
        "minimum_cell": 3,
        "base": 1,
    }
    return Statistics(**defaults | more)


def figures(id: str = "s1", resource: str = "P/1", statistics: Statistics | None = None, **more: Any) -> Grant:
    statistics = statistics or terms()
    return make_grant(resource, " ".join(statistics.items), id, usage=Usage.STATISTICS, statistics=statistics, **more)


def people(*groups: tuple[str | None, str, Sequence[int | None]]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for nation, sex, incomes in groups:
        for income in incomes:
            number = len(rows)
            rows.append(
                {
                    "handle": number,
                    "name": f"n{number}",
                    "sex": sex,
                    "nation": nation,
                    "income": None if income is None else Decimal(income),
                    "rooms": 1 + number % 2,
                }
            )
    return rows


SEEN = (
    ("汉", "1", [10, 20, 30, None, None, None]),
    ("汉", "2", [40, 40, 41]),
    ("回", "1", [7, 8, 9]),
    ("回", "2", [1000, 2000]),
)


def world(*grants: Grant, rows: Sequence[dict[str, Any]] | None = None, **more: Any) -> World:
    tables = {"person": people(*SEEN) if rows is None else list(rows), "car": [], "case": [{"handle": 1, "kind": "a"}]}
    return World(SNAPSHOT, {"main": tables}, grants or (figures(),), **more)


async def ask(over: World, selection: str, arguments: str = "", **more: Any) -> Answer:
    return await over.ask(
        f"query Q {{ data {{ population {{ f: personsAggregate{arguments} {selection} }} }} }}", **more
    )


def groups(answer: Answer) -> Any:
    assert answer.errors == [], answer.errors
    return answer.data["data"]["population"]["f"]


BY_NATION = "{ key { nation } count }"
NOTHING = [{"sum": {"income": None}, "avg": {"income": None}}]
FULL = "{ key { nation sex } count sum { income } avg { income } }"


async def test_the_finest_cube_and_what_is_left_of_it() -> None:
    """The two people of the last group are nowhere, not even as a suppressed cell; averages are sum ÷ number."""
    over = world()
    answer = await ask(over, FULL, "(groupBy: [SEX, NATION])")
    assert groups(answer) == [
        {"key": {"nation": "回", "sex": "1"}, "count": 3, "sum": {"income": "24"}, "avg": {"income": "8.000000"}},
        {"key": {"nation": "汉", "sex": "1"}, "count": 6, "sum": {"income": "60"}, "avg": {"income": "20.000000"}},
        {"key": {"nation": "汉", "sex": "2"}, "count": 3, "sum": {"income": "121"}, "avg": {"income": "40.333333"}},
    ]
    assert answer.extensions["grants"] == ["s1"]
    (record,) = over.audit.records
    assert (record.grants, record.outcome) == (("s1",), "ALLOWED")
    assert record.items == {"P/1": ("income", "nation", "sex")}


@case(37, twin=True)
@pytest.mark.parametrize(
    ("arguments", "selection", "expected"),
    [
        ("", "{ count sum { income } }", [{"count": 12, "sum": {"income": "205"}}]),
        ("", "{ sum { income } avg { income } }", [{"sum": {"income": "205"}, "avg": {"income": "22.777778"}}]),
        ("(groupBy: NATION)", BY_NATION, [["回", 3], ["汉", 9]]),
        ("(groupBy: [NATION, NATION])", BY_NATION, [["回", 3], ["汉", 9]]),
        ('(groupBy: NATION, where: {sex: {eq: "2"}})', BY_NATION, [["汉", 3]]),
        ('(groupBy: NATION, where: {sex: {in: ["1", "2"], eq: "1"}})', BY_NATION, [["回", 3], ["汉", 6]]),
        ('(groupBy: NATION, where: {and: [{sex: {eq: "1"}}, {nation: {in: ["回"]}}]})', BY_NATION, [["回", 3]]),
        ("(groupBy: NATION, where: {and: [], sex: {in: []}})", BY_NATION, []),
        ('(where: {nation: {eq: "壮"}})', "{ count }", [{"count": 0}]),
        ('(where: {nation: {eq: "壮"}})', "{ sum { income } avg { income } }", NOTHING),
        (
            "(groupBy: NATION)",
            "{ t: __typename key { sex nation k: __typename } }",
            [
                {"t": "PersonAggregate", "key": {"sex": None, "nation": "回", "k": "PersonGroupKey"}},
                {"t": "PersonAggregate", "key": {"sex": None, "nation": "汉", "k": "PersonGroupKey"}},
            ],
        ),
        (
            "(groupBy: SEX)",
            "{ key { sex } ...F @include(if: false) count @skip(if: true) }",
            [{"key": {"sex": "1"}}, {"key": {"sex": "2"}}],
        ),
    ],
)
async def test_what_a_cube_answers(arguments: str, selection: str, expected: Any) -> None:
    over = world()
    query = f"query Q {{ data {{ population {{ f: personsAggregate{arguments} {selection} }} }} }}"
    if "...F" in selection:
        query += " fragment F on PersonAggregate { max { name } }"
    answer = await over.ask(query)
    found = groups(answer)
    if expected and isinstance(expected[0], list):
        found = [[group["key"]["nation"], group["count"]] for group in found]
    assert found == expected


async def test_variables() -> None:
    query = (
        "query Q($by: [PersonGroup!], $n: [String!]!, $s: String!, $where: PersonWhere) { data { population { "
        "f: personsAggregate(groupBy: $by, where: {nation: {in: $n}, sex: {eq: $s}}) { key { nation } sum { income } } "
        "g: personsAggregate(where: $where) { sum { income } } } } }"
    )
    over = world()
    for nations, sex, expected in ((["汉", "回"], "1", ["24", "60"]), (["汉"], "2", ["121"]), ([], "1", [])):
        where = {"nation": {"in": nations}, "and": [{"sex": {"eq": sex}}]}
        answer = await over.ask(query, {"by": ["NATION"], "n": nations, "s": sex, "where": where})
        assert answer.errors == []
        data = answer.data["data"]["population"]
        assert [group["sum"]["income"] for group in data["f"]] == expected
        total = sum(map(int, expected))
        assert data["g"] == [{"sum": {"income": str(total) if expected else None}}]


@case(37)
@pytest.mark.parametrize(
    "call",
    [
        "(groupBy: NATION) { max { income } }",
        "(groupBy: NATION) { min { name } }",
        "(groupBy: NATION) { countDistinct { sex } }",
        "(groupBy: NATION) { countValues { income } }",
        "(groupBy: INCOME) { count }",
        "(groupBy: [NATION, NAME]) { count }",
        "(groupBy: [NATION, ROOMS]) { count }",
        '(where: {nation: {ne: "汉"}}) { count }',
        '(where: {nation: {notIn: ["汉"]}}) { count }',
        '(where: {nation: {gt: "汉"}}) { count }',
        '(where: {nation: {startsWith: "汉"}}) { count }',
        "(where: {nation: {isNull: true}}) { count }",
        '(where: {not: {nation: {eq: "汉"}}}) { count }',
        '(where: {or: [{nation: {eq: "汉"}}, {sex: {eq: "1"}}]}) { count }',
        '(where: {or: [{nation: {eq: "汉"}}]}) { count }',
        '(where: {nation: {eq: "汉"}, name: {eq: "n1"}}) { count }',
        '(where: {income: {eq: "10"}}) { count }',
        '(where: {income: {in: ["10"]}}) { sum { income } }',
        '(where: {nation: {}, and: [{name: {startsWith: "n"}}]}) { count }',
    ],
)
async def test_anything_else_is_refused_before_any_source_is_touched(call: str) -> None:
    over = world(figures(), figures("s2", statistics=terms(dimensions=("rooms",), measures=())))
    answer = await over.ask(f"{{ data {{ population {{ personsAggregate{call} }} }} }}")
    assert set(answer.codes) == {"STATISTICS_ONLY"}
    assert "data" not in answer.body
    assert answer.response.status == 403
    assert over.sources.calls == []
    assert over.cubes.kept == {}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("(where: {nation: null})", "BAD_INPUT"),
        ("(where: {nation: {eq: null}})", "STATISTICS_ONLY"),
        ("(where: {and: null})", "BAD_INPUT"),
    ],
)
async def test_an_explicit_null_is_an_error(arguments: str, code: str) -> None:
    over = world()
    answer = await ask(over, "{ sum { income } }", arguments)
    assert answer.codes == [code]
    assert over.sources.calls == []


async def test_names_of_types_are_told() -> None:
    answer = await ask(world(), "{ sum { t: __typename income } }", "(where: null, groupBy: null)")
    assert groups(answer) == [{"sum": {"t": "PersonSums", "income": "205"}}]


async def test_without_a_place_to_keep_cubes_nothing_is_published() -> None:
    over = world()
    over.gateway._publications = Publications(None)
    assert (await ask(over, "{ sum { income } }")).codes == ["POLICY_UNAVAILABLE"]
    assert over.sources.calls == []


async def test_a_relation_in_the_filter_is_refused() -> None:
    over = world(
        figures(),
        make_grant("P/1", id="r1", relations=frozenset({"cars"})),
        make_grant("C/1", "owner", id="r2", relations=frozenset({"keeper"})),
    )
    answer = await ask(over, "{ count }", '(groupBy: NATION, where: {cars: {some: {owner: {eq: "n1"}}}})')
    assert answer.codes == ["STATISTICS_ONLY"]
    assert over.sources.calls == []


async def test_rows_stay_out_of_sight() -> None:
    over = world()
    answer = await over.ask("{ data { population { persons { nodes { name nation } } } } }")
    assert answer.codes == ["STATISTICS_ONLY"]
    assert all(row["nation"] is None for row in answer.data["data"]["population"]["persons"]["nodes"])
    for where in ('{nation: {eq: "汉"}}', "{income: {gt: 1}}"):
        refused = await over.ask(f"{{ data {{ population {{ persons(where: {where}) {{ totalCount }} }} }} }}")
        assert refused.codes == ["STATISTICS_ONLY"]
        assert "data" not in refused.body


async def test_where_no_row_is_visible_a_count_is_the_cubes() -> None:
    """The one row there is makes no cell, so the count is 0; without the grant there is nothing to count either."""
    cases = [{"handle": number, "kind": "b" if number else "a"} for number in range(5)]
    over = World(
        SNAPSHOT,
        {"main": {"case": cases}},
        [figures(resource="K/1", statistics=terms(dimensions=("kind",), measures=()))],
    )
    query = "{ data { population { casesAggregate { count } } } }"
    answer = await over.ask(query)
    assert answer.data["data"]["population"]["casesAggregate"] == [{"count": 4}]
    assert answer.extensions["grants"] == ["s1"]
    other = await over.ask('{ data { population { casesAggregate(where: {kind: {eq: "a"}}) { count } } } }')
    assert other.data["data"]["population"]["casesAggregate"] == [{"count": 0}]


async def test_the_scope_of_the_grant_is_over_raw_columns() -> None:
    rich = Compare(CompareOp.GT, ItemRef("income", ScalarType.DECIMAL), Value(Decimal(9), ScalarType.DECIMAL))
    answer = await ask(world(figures(scope=rich)), "{ key { nation } count }", "(groupBy: NATION)")
    assert groups(answer) == [{"key": {"nation": "汉"}, "count": 6}]


async def test_reading_is_never_merged_with_a_cube() -> None:
    """What may be read exactly is read; with one item more, all of it comes from the cube."""
    over = world(figures(), make_grant("P/1", "nation", id="r1"))
    exact = await ask(over, "{ key { nation } count }", "(groupBy: NATION)")
    assert [group["count"] for group in groups(exact)] == [5, 9]
    assert exact.extensions["grants"] == ["r1"]
    cube = await ask(over, "{ key { nation } count sum { income } }", "(groupBy: NATION)")
    assert [group["count"] for group in groups(cube)] == [3, 9]
    assert cube.extensions["grants"] == ["s1"]


# --- one cube per period -------------------------------------------------------------------------------------------


async def test_one_source_call_per_period() -> None:
    over = world()
    first = await ask(over, FULL, "(groupBy: [NATION, SEX])")
    assert len(over.sources.calls) == 1
    over.sources.connectors["main"].tables[None, "person"][0]["income"] = Decimal(10**6)  # type: ignore[index]
    other = await ask(over, "{ avg { income } }")
    assert over.sources.calls == []
    assert groups(other) == [{"avg": {"income": "22.777778"}}]
    assert (await ask(over, FULL, "(groupBy: [NATION, SEX])")).body["data"] == first.body["data"]
    over.replica.now = NOW + timedelta(days=26)
    over.replica.held[YINCHUAN.code] = (figures(valid_to=None),)
    assert len(groups(await ask(over, FULL, "(groupBy: [NATION, SEX])"))) == 3
    assert len(over.sources.calls) == 1
    assert [period for _, _, period in over.cubes.kept] == ["2026-05", "2026-06"]


async def test_what_is_published_already_is_what_is_answered() -> None:
    """Another replica was first: its cube counts, not what this one has just read."""
    first, second = world(), world(rows=people(("汉", "1", [1, 2, 3, 4, 5])))
    before = await ask(first, FULL, "(groupBy: [NATION, SEX])")
    load, second.cubes.kept = second.cubes.load_cube, first.cubes.kept

    async def too_early(grant: str, terms: str, period: str) -> str | None:
        await load(grant, terms, period)
        return None

    second.cubes.load_cube = too_early  # type: ignore[method-assign]  # it looked just before the other published
    after = await ask(second, FULL, "(groupBy: [NATION, SEX])")
    assert len(second.sources.calls) == 1
    assert after.body["data"] == before.body["data"]


async def test_requests_at_once_make_one_call() -> None:
    over = world()
    answers = await asyncio.gather(
        *(ask(over, "{ sum { income } }", f'(where: {{sex: {{eq: "{n}"}}}})') for n in "12121")
    )
    assert [groups(answer)[0]["sum"]["income"] for answer in answers] == ["84", "121", "84", "121", "84"]
    assert len(over.cubes.kept) == 1
    assert len(over.sources.calls) <= 1


async def test_other_terms_are_another_cube() -> None:
    over = world()
    await ask(over, "{ sum { income } }")
    over.replica.held[YINCHUAN.code] = (figures(statistics=terms(minimum_cell=4)),)
    assert groups(await ask(over, "{ sum { income } }")) == [{"sum": {"income": None}}]
    assert len(over.cubes.kept) == 2


async def test_a_suspended_grant_answers_nothing_from_its_cube() -> None:
    over = world()
    await ask(over, "{ sum { income } }")
    over.replica.held[YINCHUAN.code] = ()
    refused = await ask(over, "{ sum { income } }")
    assert refused.codes == ["GRANT_REQUIRED"]
    assert "data" not in refused.body


async def test_failures_are_told_and_publish_nothing() -> None:
    over = world()
    over.sources.connectors["main"].fault = SourceUnavailable("main")
    answer = await ask(over, "{ sum { income } }")
    assert (answer.codes, answer.data["data"]["population"]["f"]) == (["SOURCE_UNAVAILABLE"], None)
    over.sources.connectors["main"].fault = None
    over.cubes.down = True
    assert (await ask(over, "{ sum { income } }")).codes == ["POLICY_UNAVAILABLE"]
    over.cubes.down = False
    assert over.cubes.kept == {}
    assert groups(await ask(over, "{ sum { income } }")) == [{"sum": {"income": "205"}}]
    broken = world()
    broken.cubes.kept = dict.fromkeys(over.cubes.kept, "[[1]]")
    assert (await ask(broken, "{ sum { income } }")).codes == ["INTERNAL"]


async def test_terms_of_a_filter_are_counted() -> None:
    over = world(limits=Limits(where_terms=20))
    many = ", ".join('{sex: {eq: "1"}}' for _ in range(11))
    assert (await ask(over, "{ sum { income } }", f"(where: {{and: [{many}]}})")).codes == ["LIMIT_EXCEEDED"]


# --- case 37 -------------------------------------------------------------------------------------------------------


@case(37)
async def test_case_37_minimum_cell() -> None:
    """Two people or none: the answers are the same bytes. Three people are a cell."""
    asked = [
        (FULL, "(groupBy: [NATION, SEX])"),
        ("{ count sum { income } avg { income } }", '(where: {nation: {eq: "回"}, sex: {eq: "2"}})'),
        ("{ key { sex } count }", '(groupBy: SEX, where: {nation: {in: ["回"]}})'),
    ]
    two, none, three = (
        world(rows=people(*SEEN[:3], ("回", "2", incomes))) for incomes in ([1000, 2000], [], [1000, 2000, 3])
    )
    for selection, arguments in asked:
        bodies = [(await ask(over, selection, arguments)).response.body for over in (two, none, three)]
        assert bodies[0] == bodies[1]
        assert bodies[0] != bodies[2]


@case(37)
async def test_case_37_differencing_pair() -> None:
    """All, less all but a group: the difference is what is published of that group, which is nothing of two people."""
    over = world()
    total = groups(await ask(over, "{ sum { income } }"))[0]["sum"]["income"]
    parts = [
        groups(await ask(over, "{ sum { income } }", f'(where: {{nation: {{eq: "{n}"}}}})'))[0]["sum"]["income"]
        for n in ("汉", "回")
    ]
    assert int(total) == sum(map(int, parts))
    assert "1000" not in str(parts)
    without = groups(await ask(over, "{ sum { income } }", '(where: {nation: {eq: "回"}, sex: {eq: "1"}})'))
    assert without[0]["sum"]["income"] == parts[1]  # so 回, 2 has 0


@case(37)
async def test_case_37_a_pair_over_time_within_the_period() -> None:
    over = world()
    before = await ask(over, FULL, "(groupBy: [NATION, SEX])")
    over.sources.connectors["main"].tables[None, "person"].append(  # type: ignore[attr-defined]
        {"handle": 99, "name": "new", "sex": "2", "nation": "回", "income": Decimal(1), "rooms": 1}
    )
    over.replica.now = NOW + timedelta(hours=20)
    assert (await ask(over, FULL, "(groupBy: [NATION, SEX])")).body["data"] == before.body["data"]


@case(37)
async def test_case_37_sum_by_average() -> None:
    """Of a sum whose values are too few there is no sum, no average, and so no number of values either."""
    rows = people(("汉", "1", [500, 700, None, None]), ("汉", "2", [1, 2, 3]))
    answer = await ask(world(rows=rows), FULL, "(groupBy: [NATION, SEX])")
    first, second = groups(answer)
    assert (first["count"], first["sum"], first["avg"]) == (4, {"income": None}, {"income": None})
    assert (second["sum"], second["avg"]) == ({"income": "6"}, {"income": "2.000000"})
    rounded = world(figures(statistics=terms(base=5)), rows=people(("汉", "1", [100] * 7)))
    (group,) = groups(await ask(rounded, "{ sum { income } avg { income } }"))
    assert (group["sum"]["income"], group["avg"]["income"]) == ("700", "140.000000")  # 700 by 5, not by 7


@pytest.mark.parametrize(
    ("lacking", "average"),
    [(0, "10.000000"), (1, "9.677419"), (3, "9.090909"), (4, None), (9, None), (10, "10.000000"), (30, "10.000000")],
)
async def test_case_37_number_of_rows_less_number_of_values(lacking: int, average: str | None) -> None:
    """Thirty have an income. Of fewer than ten who have none nothing tells: all are counted, or the figure goes."""
    rows = people(("汉", "1", [10] * 30 + [None] * lacking))
    (group,) = groups(await ask(world(figures(statistics=terms(minimum_cell=10)), rows=rows), FULL, "(groupBy: SEX)"))
    assert group["count"] == 30 + lacking
    assert (group["sum"], group["avg"]) == ({"income": average and "300"}, {"income": average})


# --- non-interference ----------------------------------------------------------------------------------------------

_SMALL = st.lists(st.integers(-100, 5000) | st.none(), max_size=2)
_LARGE = st.lists(st.integers(-100, 5000) | st.none(), min_size=3, max_size=6)
_CELLS = st.sampled_from([(nation, sex) for nation in ("汉", "回") for sex in ("1", "2")])
_BY = st.lists(st.sampled_from(["NATION", "SEX"]), max_size=2)
_WHERE = st.lists(
    st.sampled_from(
        ['nation: {eq: "汉"}', 'nation: {in: ["回", "满"]}', 'sex: {in: ["2"]}', 'and: [{sex: {eq: "1"}}]']
    ),
    max_size=2,
    unique_by=lambda text: text.split(":")[0],
)


@given(
    st.dictionaries(_CELLS, _LARGE, max_size=3),
    st.dictionaries(_CELLS, _SMALL, max_size=4),
    st.dictionaries(_CELLS, _SMALL, max_size=4),
    _BY,
    _WHERE,
)
@settings(max_examples=30, deadline=None)
def test_what_is_not_published_changes_no_byte(
    large: dict[Any, Any], few: dict[Any, Any], others: dict[Any, Any], by: list[str], where: list[str]
) -> None:
    """Two contents of the source with equal published cubes; they differ in the cells that are too small."""

    def content(small: dict[Any, Any]) -> list[dict[str, Any]]:
        return people(*((*cell, incomes) for cell, incomes in {**small, **large}.items()))

    async def both() -> None:
        one, two = world(rows=content(few)), world(rows=content(others))
        arguments = f"(groupBy: [{', '.join(by)}], where: {{{', '.join(where)}}})"
        bodies = [(await ask(over, FULL, arguments)).response.body for over in (one, two)]
        assert one.cubes.kept == two.cubes.kept
        assert len(one.cubes.kept) == 1
        assert bodies[0] == bodies[1]

    asyncio.run(both())
