"""Guards that a query's own filter holds, and pages in an index's order: written otherwise, answered the same."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.evaluate import type_of
from connectors.protocol import JsonObject, JsonOutput, Order, RawOutput, SourceQuery
from connectors.sql.dialect import Native, TableFacts
from connectors.sql.expressions import Facts
from connectors.sql.known import bounds, conjuncts, unguarded, valued
from connectors.sql.postgresql import PostgreSQLDialect
from connectors.sql.statement import compile_query, page_caps
from resolvers.plan import AFTER, BEFORE, KeysetColumn, Page, keyset
from tanglai.catalogue.expressions import (
    FALSE,
    TRUE,
    Aggregate,
    AggregateFunction,
    And,
    Case,
    Column,
    Compare,
    CompareOp,
    Exists,
    Expression,
    IsNull,
    IsTrue,
    Match,
    MatchOp,
    Not,
    Or,
    Slot,
    Value,
    conjunction,
    disjunction,
)
from tanglai.catalogue.scalars import ScalarType
from tests.contract.dataset import AGE, AMOUNT, BORN, CODE, ID, NAME, PEOPLE_COLUMNS, PLATE, SCORE
from tests.contract.strategies import _COMPARED, Arguments, Drawing, Drawn, values
from tests.contract.subjects import Subject
from tests.contract.test_agreement import _SETTINGS, agrees

KINDS = ("postgresql", "parquet")
SORTED = tuple(column for column in PEOPLE_COLUMNS if column.type.comparable)
COUNTED = Aggregate(AggregateFunction.COUNT_ROWS, None, ScalarType.LONG)
GROWN = IsTrue(Compare(CompareOp.GTE, AGE, Value(18, ScalarType.INTEGER)))
NAMED = IsTrue(Not(IsNull(NAME)))


class Guards:
    """Two conditions, of which visible rows and the guards of cells are made."""

    def __init__(self, drawing: Drawing) -> None:
        self.drawing = drawing
        first, second = (IsTrue(drawing.predicate(1)) for _ in range(2))
        self.conditions: tuple[Expression, ...] = (TRUE, first, second, disjunction(first, second))

    def rows(self) -> Expression:
        return conjunction(*(self.drawing.pick(self.conditions) for _ in range(2)))

    def cell(self, column: Column) -> Expression:
        guard = self.drawing.pick(self.conditions)
        return column if guard == TRUE else Case(((guard, column),), column.type)

    def test(self) -> Expression:
        """A test of a cell, maybe negated, maybe with its guard beside it."""
        column: Column = self.drawing.pick(SORTED)
        cell = self.cell(column)
        op = self.drawing.pick(tuple(CompareOp))
        test: Expression = Compare(op, cell, self.drawing.operand(column.type))
        if self.drawing.yes():
            test = Not(test)
        return conjunction(self.drawing.pick(self.conditions), test) if self.drawing.yes() else test


def beyond(drawing: Drawing, order: list[Order], name: str) -> Expression:
    """Rows beyond a cursor, as the planner says it, and the values of the cursor."""
    columns = tuple(
        KeysetColumn(entry.expression, None, type_of(entry.expression), entry.descending, entry.expression != ID)
        for entry in order
    )
    cursor = [drawing.draw(values(column.type)) for column in columns]
    cursor = [
        None if c.nullable and drawing.draw(st.integers(0, 3)) == 0 else v for c, v in zip(columns, cursor, strict=True)
    ]
    drawing.arguments.values.update((f"{name}.{index}", value) for index, value in enumerate(cursor))
    return keyset(Page(1, False, None, None, columns, "", None), tuple(cursor), name)


@st.composite
def pages(draw: st.DrawFn) -> Drawn:
    """A page of a list under guards."""
    drawing = Drawing(draw, Arguments(), _COMPARED, nested=False)
    guards = Guards(drawing)
    order = [Order(guards.cell(drawing.pick(SORTED)), drawing.yes()) for _ in range(drawing.pick((1, 1, 2)))]
    order.append(Order(ID, False))
    where = [guards.test() for _ in range(drawing.pick((0, 1, 2)))]
    where += [beyond(drawing, order, name) for name in drawing.pick(((), (), (AFTER,), (BEFORE,), (AFTER, BEFORE)))]
    number = draw(st.integers(0, 6))
    fields = tuple((column.name, guards.cell(column)) for column in (NAME, CODE, AMOUNT))
    query = SourceQuery(
        "s",
        None,
        "people",
        outputs=(JsonOutput(JsonObject(fields)), RawOutput(order[0].expression), RawOutput(ID)),
        visible=guards.rows(),
        where=conjunction(*where),
        order=tuple(order),
        limit=drawing.arguments.slot(ScalarType.INTEGER, number) if drawing.yes() else number,
    )
    return Drawn(query, drawing.arguments.values)


@st.composite
def figures(draw: st.DrawFn) -> Drawn:
    """Figures of one cell, or of two, under guards."""
    drawing = Drawing(draw, Arguments(), _COMPARED, nested=False)
    guards = Guards(drawing)
    cells = [guards.cell(drawing.pick(SORTED)) for _ in range(drawing.pick((1, 1, 2)))]
    functions = (
        AggregateFunction.MIN,
        AggregateFunction.MAX,
        AggregateFunction.COUNT,
        AggregateFunction.COUNT_DISTINCT,
    )
    aggregates: list[Aggregate] = [COUNTED] if drawing.pick((False, False, True)) else []
    for cell in cells:
        for function in draw(st.sets(st.sampled_from(functions), min_size=1)):
            counts = function in (AggregateFunction.COUNT, AggregateFunction.COUNT_DISTINCT)
            aggregates.append(Aggregate(function, cell, ScalarType.LONG if counts else type_of(cell)))
    keys = (guards.cell(CODE),) if drawing.pick((False, False, True)) else ()
    query = SourceQuery(
        "s",
        None,
        "people",
        outputs=tuple(RawOutput(part) for part in (*keys, *aggregates)),
        visible=guards.rows(),
        where=guards.test() if drawing.yes() else TRUE,
        order=tuple(Order(key) for key in keys),
        group_by=keys,
    )
    return Drawn(query, drawing.arguments.values)


@pytest.mark.parametrize("strategy", [pages, figures], ids=["pages", "figures"])
@pytest.mark.parametrize("kind", KINDS)
async def test_the_answers_stay(kind: str, strategy: object, all_subjects: dict[str, Subject]) -> None:
    subject, loop = all_subjects[kind], asyncio.get_running_loop()
    assert callable(strategy)

    @settings(_SETTINGS, max_examples=150)
    @given(strategy())
    def run(drawn: Drawn) -> None:
        asyncio.run_coroutine_threadsafe(agrees(subject, drawn), loop).result()

    await asyncio.to_thread(run)


def listing(**more: object) -> SourceQuery:
    given: dict[str, object] = {"outputs": (RawOutput(Case(((GROWN, NAME),), NAME.type)),), "limit": 5, **more}
    return SourceQuery("s", None, "people", **given)  # type: ignore[arg-type]


GUARDED = Case(((GROWN, AMOUNT),), AMOUNT.type)
EITHER = Case(((Or((NAMED, GROWN)), AMOUNT),), AMOUNT.type)
TEN = Value(10, AMOUNT.type)


def test_a_guard_that_the_filter_holds_is_not_written_again() -> None:
    for visible, where in ((GROWN, TRUE), (TRUE, GROWN), (And((NAMED, GROWN)), TRUE), (GROWN, GROWN)):
        query = unguarded(listing(visible=visible, where=where, order=(Order(GUARDED), Order(EITHER, True))))
        assert query.outputs == (RawOutput(NAME),)
        assert query.order == (Order(AMOUNT), Order(AMOUNT, True))
        assert (query.visible, query.where) == (visible, TRUE if visible == GROWN else where)


@pytest.mark.parametrize(
    "where",
    [TRUE, NAMED, Or((GROWN, NAMED)), Not(GROWN), Or((And((GROWN, NAMED)), NAMED)), IsTrue(GROWN)],
    ids=["none", "another", "one of two", "negated", "in an alternative", "another form"],
)
def test_a_guard_that_it_does_not_hold_stays(where: Expression) -> None:
    query = listing(where=where, order=(Order(GUARDED),))
    assert unguarded(query).outputs == query.outputs
    assert unguarded(query).order == query.order


def test_a_negated_test_on_a_cell_keeps_its_guard_unless_the_row_passed_it() -> None:
    hidden = Not(Compare(CompareOp.EQ, GUARDED, TEN))
    assert unguarded(listing(where=hidden)).where == hidden
    bare = Not(Compare(CompareOp.EQ, AMOUNT, TEN))
    assert unguarded(listing(visible=GROWN, where=hidden)).where == bare
    assert unguarded(listing(where=And((GROWN, hidden)))).where == And((GROWN, bare))


def test_a_guard_of_this_table_is_none_of_another() -> None:
    inner = Exists(
        None, "cars", ((ID, ID),), Compare(CompareOp.EQ, Case(((GROWN, PLATE),), PLATE.type), Value("a", CODE.type))
    )
    assert unguarded(listing(visible=GROWN, where=inner)).where == inner
    own = Exists(None, "cars", inner.links, And((GROWN, inner.where)))
    bare = Compare(CompareOp.EQ, PLATE, Value("a", CODE.type))
    assert unguarded(listing(visible=NAMED, where=own)).where == Exists(None, "cars", inner.links, And((GROWN, bare)))


def test_figures_of_one_cell_alone_leave_rows_out() -> None:
    least, most = (Aggregate(f, GUARDED, AMOUNT.type) for f in (AggregateFunction.MIN, AggregateFunction.MAX))
    other = Aggregate(AggregateFunction.MAX, SCORE, SCORE.type)

    def figures(*aggregates: Aggregate, by: tuple[Expression, ...] = ()) -> SourceQuery:
        return valued(listing(outputs=tuple(map(RawOutput, aggregates)), group_by=by, limit=None))

    assert figures(least, most).where == GROWN
    for left in (
        figures(least, COUNTED),
        figures(least, other),
        figures(other),
        figures(COUNTED),
        figures(least, by=(CODE,)),
    ):
        assert left.where == TRUE


def test_which_pages_an_optimiser_would_guess_too_well_of() -> None:
    number = Slot("n", ScalarType.INTEGER)
    over, prefix = Compare(CompareOp.GT, AGE, number), Match(MatchOp.STARTS_WITH, NAME, Slot("s", ScalarType.TEXT))
    by_age = (Order(AGE), Order(ID))
    caps = {
        "nothing chosen": page_caps(listing(order=by_age)),
        "an open range": page_caps(listing(where=over, order=(Order(ID),))),
        "in an alternative": page_caps(listing(where=Or((over, prefix)), order=(Order(ID),))),
        "of what rows are visible": page_caps(listing(visible=IsTrue(over), order=(Order(ID),))),
        "of the order": page_caps(listing(where=Or((over, Compare(CompareOp.GT, ID, number))), order=by_age)),
        "a prefix": page_caps(listing(where=prefix, order=(Order(ID),))),
    }
    assert caps == {
        "nothing chosen": (11, 101, 1001),
        "an open range": (),
        "in an alternative": (),
        "of what rows are visible": (),
        "of the order": (1001,),
        "a prefix": (1001,),
    }


def test_where_a_page_begins() -> None:
    first, second = Slot("a", BORN.type), Slot("b", ID.type)
    after = Or(
        (
            Compare(CompareOp.GT, BORN, first),
            IsNull(BORN),
            And((Compare(CompareOp.EQ, BORN, first), Compare(CompareOp.GT, ID, second))),
        )
    )
    assert bounds(after, BORN) == [(CompareOp.GTE, first)]
    assert bounds(after, ID) == []
    assert bounds(Or((after, Compare(CompareOp.LT, BORN, first))), BORN) == []
    assert bounds(Or((after, Compare(CompareOp.GT, BORN, second))), BORN) == []
    assert bounds(Not(after), BORN) == bounds(FALSE, BORN) == bounds(Compare(CompareOp.NE, BORN, first), BORN) == []
    assert bounds(IsNull(BORN), BORN) is None
    assert conjuncts(TRUE, And((GROWN, NAMED)), GROWN) == (GROWN, NAMED)


def test_rows_without_a_value_are_looked_for_where_there_may_be_some() -> None:
    after = Or((Compare(CompareOp.GT, CODE, Slot("c", CODE.type)), IsNull(CODE)))

    any_text, key = (Native("text", indexed=True, unique=unique) for unique in (False, True))

    def written(where: Expression, native: Native = any_text) -> str:
        facts: Facts = {(None, "people"): TableFacts("public", "people", {"code": native})}
        query = listing(outputs=(RawOutput(CODE),), where=where, order=(Order(CODE),))
        return compile_query(query, PostgreSQLDialect(), facts).text

    later = Compare(CompareOp.GT, CODE, Value("a", CODE.type))
    for text in (written(TRUE), written(after, key), written(later)):
        assert "UNION" not in text
    assert "UNION" in written(after)
    assert ">= CAST" in written(after)
    assert ">= CAST" in written(after, key)
