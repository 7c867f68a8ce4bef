"""In charge of the whole statement of a source query: one SELECT that returns its rows in its order.

A JSON object is built as text, piece by piece, by the database: no limit on fields, no spaces, and every scalar in its
canonical form. Groups come back as plain columns; their outputs are made in Python, since there are few.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import count
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.sql.selectable import FromClause, Select

from connectors.columns import output_columns, own_columns, tables
from connectors.evaluate import Record, type_of
from connectors.groups import Grouping, finished, grouping
from connectors.local import bound, joined, output_values, sort
from connectors.protocol import (
    Arguments,
    JsonNode,
    JsonObject,
    JsonOutput,
    JsonRows,
    JsonText,
    Order,
    Output,
    RawOutput,
    Row,
    SourceQuery,
)
from connectors.sql.dialect import (
    Concat,
    Native,
    Reading,
    Sql,
    SqlDialect,
    TableFacts,
    constant,
    literal,
    quoted_literal,
)
from connectors.sql.expressions import ExpressionWriter, Facts, Scope, TableScope, read
from connectors.sql.known import admits_null, bounds, conjuncts, guarded_column, guessed, unguarded, valued, where_null
from connectors.sql.parameters import Convert, Source
from tanglai.catalogue.expressions import (
    TRUE,
    Aggregate,
    AggregateFunction,
    And,
    Column,
    Compare,
    Expression,
    IsNull,
    Or,
    Slot,
    conjunction,
)
from tanglai.catalogue.scalars import ScalarType

_Finish: TypeAlias = Callable[[Sequence[Sequence[Any]], Arguments], list[Row]]

_Select: TypeAlias = Select[Any]

_TELLING = frozenset({AggregateFunction.SUM, AggregateFunction.MAX})
"""Aggregates that are NaN where one of the values is: see `Reading.telling`."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A source query in one dialect, ready to run any number of times."""

    text: str
    sources: tuple[Source, ...]
    finish: _Finish
    telling: tuple[int, ...] = ()
    """Columns of the text, any of which is NaN where the text did not compute the answer."""

    def parameters(self, arguments: Arguments) -> list[Any]:
        """The values for `$1`, `$2`, … of the text."""
        return [source(arguments) for source in self.sources]

    def answers(self, fetched: Sequence[Sequence[Any]]) -> bool:
        """Whether what the driver gave for the text is the answer; if not, that of the exact statement is."""
        return not self.telling or not any(
            (value := row[place]) is not None and value.is_nan() for place in self.telling for row in fetched
        )

    def rows(self, fetched: Sequence[Sequence[Any]], arguments: Arguments) -> list[Row]:
        """The answer, from the rows that the driver gave for the text."""
        return self.finish(fetched, arguments)


def compile_query(
    query: SourceQuery,
    dialect: SqlDialect,
    facts: Facts | None = None,
    *,
    cap: int | None = None,
    exact: bool = True,
) -> Statement:
    """`query` in `dialect`.

    `facts` are those of every table it names; without them the columns are taken to be as the catalogue says (to show a
    statement without asking the source). `cap`: what the caller knows the limit to be at most. Not `exact`: a statement
    that may be faster, and `answers` tells whether it was right. Raises StructureMismatch.
    """
    writer = ExpressionWriter(dialect, assumed_facts(query) if facts is None else facts)
    query = valued(unguarded(query))
    builder = _StatementBuilder(query, writer, cap, exact=exact)
    select, finish = builder.grouped() if query.group_by is not None else builder.listed()
    if query.joined:
        select, finish = builder.joined(select, finish)
    compiled = select.compile(dialect=dialect.sqlalchemy)
    names = getattr(compiled, "positiontup", None) or ()
    return Statement(str(compiled), writer.parameters.sources(names), finish, tuple(builder.telling))


PAGE_CAP = 1001
SMALL_PAGE_CAPS = (11, 101)


def page_caps(query: SourceQuery) -> tuple[int, ...]:
    """What a page's limit, not known when a statement is written, is worth telling to be at most; ascending.

    A database that plans a statement once for all calls takes a tenth of the cap for the page. So near to it, it uses
    that plan instead of making one for each call. Where the rows are chosen by other columns than that of their order,
    only a plan for the values at hand tells which index to use, and the caps are not so near.
    """
    leading = query.order[0].expression if query.order else None
    if guessed(query):
        return ()
    chosen = {column for part in (query.visible, query.where) for column in own_columns(part)}
    return (*SMALL_PAGE_CAPS, PAGE_CAP) if chosen <= {leading} else (PAGE_CAP,)


def assumed_facts(query: SourceQuery) -> Facts:
    """Facts as the catalogue has them."""
    return {key: TableFacts(*key, None) for key in tables(query)}


class _StatementBuilder:
    def __init__(self, query: SourceQuery, writer: ExpressionWriter, cap: int | None, *, exact: bool = True) -> None:
        self._query = query
        self._writer = writer
        self._dialect = writer.dialect
        self._cap = cap
        self._exact = exact
        self._names = count()
        self.telling: list[int] = []

    def listed(self) -> tuple[_Select, _Finish]:
        """Rows as they are."""
        query = self._query
        scope = self._writer.table(query.namespace, query.table)
        if not query.links and query.limit is not None:
            split = self._split(scope, query.limit)
            if split is not None:
                return split
        conditions = self._conditions(scope)
        source: FromClause = scope.source
        if query.links and query.limit is not None:
            source, conditions = self._numbered(scope, conditions, query.limit)
        columns, readers = self._columns(scope)
        select: _Select = sa.select(*columns).select_from(source).where(*conditions)
        by_key = [self._writer.comparable(link, scope, ordered=True) for link in query.links]
        select = select.order_by(*by_key, *self._order(query.order, scope))
        if not query.links and query.limit is not None:
            select = self._paged(select, query.limit)
        return select, _row_finisher(readers)

    def joined(self, select: _Select, finish: _Finish) -> tuple[_Select, _Finish]:
        """The rows of `select` as one, by the database where it joins texts in the order of a subquery."""
        query, links = self._query, len(self._query.links)
        scope = self._writer.table(query.namespace, query.table)
        exact = all(scope.reading(link).native.deterministic for link in query.links)
        if not self._dialect.joins_in_order or not exact or (links and finish is not _as_tuples):
            return select, lambda fetched, arguments: joined(finish(fetched, arguments), links)
        rows = select.subquery("j")
        keys: list[Sql] = [rows.c[f"o{index}"] for index in range(links)]
        text = self._dialect.joined(rows.c[f"o{links}"], [])
        columns = [*keys, text if links else self._dialect.encoded(text), sa.func.count()]
        labelled: list[Sql] = [column.label(f"o{index}") for index, column in enumerate(columns)]
        return sa.select(*labelled).select_from(rows).group_by(*keys), _as_tuples

    def grouped(self) -> tuple[_Select, _Finish]:
        """Groups and their aggregates."""
        query, dialect, shape = self._query, self._dialect, grouping(self._query)
        scope = self._writer.table(query.namespace, query.table)
        inner: list[Sql] = [
            self._writer.comparable(key, scope, ordered=True).label(name)
            for key, name in zip(shape.keys, shape.key_names, strict=True)
        ]
        conditions = self._conditions(scope)
        known, bare = self._known(shape, scope), self._bare(shape, scope)
        if known is not None and not bare:
            conditions += _inside(known)
        for aggregate, name in zip(shape.aggregates, shape.aggregate_names, strict=True):
            if aggregate.operand in bare:
                inner.append(bare[aggregate.operand].label(name))
            elif known is not None and known.plain is not None:
                inner.append(known.plain.label(name))
            elif aggregate.operand is not None:
                inner.append(self._writer.comparable(aggregate.operand, scope, ordered=True).label(name))
        source = sa.select(*inner or [_number(1)]).select_from(scope.source).where(*conditions)
        rows = source.subquery("r")
        keys = [rows.c[name] for name in shape.key_names]
        columns: list[Sql] = []
        readings: dict[str, Reading] = {}
        for key, name, column in zip(shape.keys, shape.key_names, keys, strict=True):
            columns.append(dialect.group_value(type_of(key), column).label(name))
            readings[name] = Reading.exact(column, Native(""))
        parts: list[int] = []
        scales = [
            None if aggregate.operand is None else self._writer.scale(aggregate.operand, scope)
            for aggregate in shape.aggregates
        ]
        for aggregate, name in zip(shape.aggregates, shape.aggregate_names, strict=True):
            computed = self._aggregate(aggregate, rows.c[name] if aggregate.operand is not None else None)
            if aggregate.operand in bare and aggregate.function in _TELLING:
                self.telling.append(len(columns))
            columns += [part.label(f"{name}{suffix}") for suffix, part in computed.items()]
            parts.append(len(computed))
            if aggregate.function is not AggregateFunction.SUM:  # sums are finished in Python, and ordered there
                readings[name] = Reading.exact(computed[""], Native(""))
        select = sa.select(*columns or [sa.func.count()]).select_from(rows).group_by(*keys)
        ordered = all(column.name in readings for entry in shape.order for column in own_columns(entry.expression))
        if ordered:
            select = select.order_by(*self._order(shape.order, _GroupScope(readings)))
            if query.limit is not None:
                select = select.limit(self._limit(query.limit))
        readers = [dialect.reader(type_of(key), self._writer.scale(key, scope)) for key in shape.keys]
        finishers = [
            _aggregate_reader(aggregate, dialect, scale)
            for aggregate, scale in zip(shape.aggregates, scales, strict=True)
        ]
        return select, _group_finisher(query, shape, readers, parts, finishers, ordered=ordered)

    def _known(self, shape: Grouping, scope: TableScope) -> Reading | None:
        # Figures of one column over all rows: those where it holds a value that we do not know add nothing to them, so
        # they may be left out, and an index finds the least and the greatest of the others.
        operands = {aggregate.operand: None for aggregate in shape.aggregates}
        column = next(iter(operands)) if len(operands) == 1 and not shape.keys else None
        if not isinstance(column, Column):
            return None
        reading = scope.reading(column)
        return reading if reading.plain is not None and _inside(reading) else None

    def _bare(self, shape: Grouping, scope: TableScope) -> dict[Expression | None, Sql]:
        # Cells whose values are not tested one by one, since a figure of theirs tells where one should have been. Not
        # where an order by figures chooses the groups, nor where an index finds the greatest value of all.
        sums = any(aggregate.function is AggregateFunction.SUM for aggregate in shape.aggregates)
        if self._exact or (self._known(shape, scope) is not None and not sums):
            return {}
        ordering = {column.name for entry in shape.order for column in own_columns(entry.expression)}
        if self._query.limit is not None and not ordering.isdisjoint(shape.aggregate_names):
            return {}
        bare: dict[Expression | None, Sql] = {}
        for aggregate in shape.aggregates:
            found = guarded_column(aggregate.operand or TRUE) if aggregate.function in _TELLING else None
            if found is None or aggregate.operand in bare:
                continue
            guard, reading = found[0], scope.reading(found[1])
            if reading.telling and reading.plain is not None:
                cell = reading.plain if guard == TRUE else sa.case((self._writer.test(guard, scope), reading.plain))
                bare[aggregate.operand] = cell
        return bare

    def _conditions(self, scope: TableScope) -> list[Sql]:
        tests = [self._writer.test(part, scope) for part in (self._query.visible, self._query.where) if part != TRUE]
        if self._query.links:
            tests.append(self._writer.in_batch(self._query.links, scope))
        return tests

    def _numbered(self, scope: TableScope, conditions: list[Sql], limit: int | Slot) -> tuple[FromClause, list[Sql]]:
        # The table's own columns under its own alias, numbered, so that what is outside reads them as if nothing was.
        query = self._query
        names = dict.fromkeys(column.name for column in [*query.links, *output_columns(query)])
        for entry in query.order:
            names.update(dict.fromkeys(column.name for column in own_columns(entry.expression)))
        number = "row number"
        while number in names:
            number += " "
        partition = [self._writer.comparable(link, scope) for link in query.links] if query.per_key else None
        numbering = sa.func.row_number().over(partition_by=partition, order_by=self._order(query.order, scope) or None)
        inner = sa.select(*(scope.raw_name(name).label(name) for name in names), numbering.label(number))
        rows = inner.select_from(scope.source).where(*conditions).subquery(scope.alias)
        return rows, [scope.raw_name(number) <= self._limit(limit)]

    def _paged(self, select: _Select, limit: int | Slot) -> _Select:
        # For a limit that it does not know the optimiser plans a tenth of the table: it is told the most it can be.
        if self._cap is not None and isinstance(limit, Slot):
            page = select.limit(_number(self._cap)).subquery(f"s{next(self._names)}")
            select = sa.select(*page.c).select_from(page)
        return select.limit(self._limit(limit))

    def _split(self, scope: TableScope, limit: int | Slot) -> tuple[_Select, _Finish] | None:
        # An index on a column does not serve the order by its cell: rows that the guard hides, and values that we do
        # not know (infinity, NaN), are null to us but stand among the others. So first the rows whose cell has a value,
        # in the index's order, and then the others, which are looked for only where those do not fill the page.
        query = self._query
        places = [index for index, entry in enumerate(query.order) if own_columns(entry.expression)]
        cell = query.order[places[0]].expression if places else TRUE
        found = guarded_column(cell)
        if found is None:
            return None
        guard, column = found
        reading = scope.reading(column)
        if reading.plain is None or not reading.native.indexed:
            return None
        if column.type is ScalarType.TEXT and not reading.native.codepoint:
            return None
        shown = query if guard == TRUE else unguarded(replace(query, where=conjunction(query.where, guard)))
        inside = self._bounded(column, conjuncts(shown.where), scope)
        if guard == TRUE and not inside and not _inside(reading):
            return None  # the order is the index's own
        inside += _inside(reading)
        if not inside:
            inside.append(reading.plain.is_not(None))  # those without a value are among the others
        directions = [query.order[index] for index in places]
        builder = _StatementBuilder(shown, self._writer, self._cap)
        columns, readers = builder._columns(scope)
        keys = [
            reading.plain,
            *(self._writer.comparable(shown.order[index].expression, scope, ordered=True) for index in places[1:]),
        ]
        rows: _Select = sa.select(*columns).select_from(scope.source).where(*builder._conditions(scope), *inside)
        rows = rows.order_by(*map(_directed, keys, directions))
        known = guard == TRUE and _tells_apart(reading)  # and is never null
        if known or not all(admits_null(part, cell) for part in conjuncts(query.visible, query.where)):
            return self._paged(rows, limit), _row_finisher(readers)
        rows = rows.add_columns(*(key.label(f"k{index}") for index, key in enumerate(keys)))
        keys[0] = self._dialect.null(column.type)
        keys[1:] = [self._writer.comparable(query.order[index].expression, scope, ordered=True) for index in places[1:]]
        # In parentheses, which SQLAlchemy leaves out around NOT: `NOT x IS NOT true` negates `x IS NOT true`.
        hidden: list[Sql] = [] if guard == TRUE else [sa.Grouping(self._writer.test(guard, scope)).is_not(sa.true())]
        hidden.append(self._writer.test(IsNull(column), scope))
        others: _Select = sa.select(*self._columns(scope)[0], *(key.label(f"k{i}") for i, key in enumerate(keys)))
        others = others.select_from(scope.source).where(*self._conditions(scope), sa.or_(*hidden))
        following = query.order[places[1]].expression if places[1:] else TRUE
        parts = [where_null(part, cell) for part in conjuncts(query.where)]
        if isinstance(following, Column) and not all(admits_null(part, following) for part in parts):
            others = others.where(*self._bounded(following, parts, scope))
        others = others.order_by(*map(_directed, keys[1:], directions[1:]))
        first, second = (others, rows) if directions[0].descending else (rows, others)
        before = self._paged(first, limit).cte(f"s{next(self._names)}")
        missing = sa.select(sa.func.count()).select_from(before).scalar_subquery() < self._limit(limit)
        after = self._paged(second, limit).subquery(f"s{next(self._names)}")
        both = sa.union_all(sa.select(*before.c), sa.select(*after.c).where(missing)).subquery("both")
        page = sa.select(*(both.c[f"o{index}"] for index in range(len(columns))))
        page = page.order_by(*(_directed(both.c[f"k{index}"], entry) for index, entry in enumerate(directions)))
        return page.limit(self._limit(limit)), _row_finisher(readers)

    def _bounded(self, column: Column, parts: Sequence[Expression], scope: TableScope) -> list[Sql]:
        # Where a page begins in an index of `column`: its filter says so in alternatives, which no index serves.
        known = [bounds(part, column) or () for part in parts if isinstance(part, And | Or)]
        return [self._writer.test(Compare(op, column, value), scope) for some in known for op, value in some]

    def _columns(self, scope: TableScope) -> tuple[list[Sql], list[Convert | None]]:
        columns: list[Sql] = []
        readers: list[Convert | None] = []
        outputs: list[Output] = [*(RawOutput(link) for link in self._query.links), *self._query.outputs]
        for index, output in enumerate(outputs):
            if isinstance(output, JsonOutput):
                column, reader = self._text(output.object, scope), None
            else:
                kind = type_of(output.expression)
                column = self._writer.value(output.expression, scope)
                reader = self._dialect.reader(kind, self._writer.scale(output.expression, scope))
            columns.append(column.label(f"o{index}"))
            readers.append(reader)
        if not columns:  # rows of nothing, which not every SQL can select
            columns.append(_number(1).label("o0"))
        return columns, readers

    def _order(self, order: Sequence[Order], scope: Scope) -> list[Sql]:
        keys: list[Sql] = []
        for entry in order:
            if own_columns(entry.expression):  # others have the same value on every row
                key = self._writer.comparable(entry.expression, scope, ordered=True)
                keys.append(_directed(key, entry))
                if isinstance(entry.expression, Column) and _tells_apart(scope.reading(entry.expression)):
                    break  # what comes behind decides nothing
        return keys

    def _limit(self, limit: int | Slot) -> Sql:
        return self._writer.parameters.operand(limit, sa.BigInteger()) if isinstance(limit, Slot) else _number(limit)

    def _aggregate(self, aggregate: Aggregate, operand: Sql | None) -> dict[str, Sql]:
        if operand is None:
            return {"": sa.func.count()}
        assert aggregate.operand is not None
        kind = type_of(aggregate.operand)
        match aggregate.function:
            case AggregateFunction.COUNT | AggregateFunction.COUNT_ROWS:
                return {"": sa.func.count(operand)}
            case AggregateFunction.COUNT_DISTINCT:
                return {"": sa.func.count(sa.distinct(operand))}
            case AggregateFunction.MIN:
                return {"": self._dialect.least(kind, operand)}
            case AggregateFunction.MAX:
                return {"": self._dialect.greatest(kind, operand)}
            case AggregateFunction.SUM:
                return self._dialect.sum(kind, operand)

    def _text(self, node: JsonNode, scope: TableScope) -> Sql:
        parts: list[Sql] = []
        written: list[str] = []  # SQL of the parts since the last one that has parameters
        pending = ""

        def flush(*, whole: bool) -> None:
            nonlocal pending
            if pending:
                written.append(quoted_literal(pending))
                pending = ""
            if whole and written:
                parts.append(constant(" || ".join(written), sa.Text()))
                written.clear()

        for piece in self._pieces(node, scope):
            if isinstance(piece, str):
                pending += piece
            elif isinstance(piece, _Written):
                flush(whole=False)
                written.append(piece.sql)
            else:
                flush(whole=True)
                parts.append(piece)
        if not (parts or written or pending):
            return literal("")
        flush(whole=True)
        return Concat(*parts)

    def _pieces(self, node: JsonNode, scope: TableScope) -> Iterator["str | _Written | Sql"]:
        if isinstance(node, JsonText):
            yield node.text
        elif isinstance(node, JsonObject):
            yield "{"
            for index, (name, part) in enumerate(node.fields):
                yield ("," if index else "") + json.dumps(name, ensure_ascii=False) + ":"
                yield from self._pieces(part, scope)
            yield "}"
        elif isinstance(node, JsonRows):
            yield self._rows_text(node, scope)
        elif isinstance(node, Column):
            yield _column_text(self._dialect, node, scope.native(node), scope.alias)
        else:
            kind = type_of(node)
            value = self._dialect.json(kind, self._writer.value(node, scope), self._writer.scale(node, scope))
            yield sa.func.coalesce(value, literal("null"))

    def _rows_text(self, node: JsonRows, scope: TableScope) -> Sql:
        writer = self._writer
        inner = writer.table(node.namespace, node.table)
        conditions = [writer.equal(scope.reading(outer), inner.reading(own), own) for outer, own in node.links]
        conditions += [writer.test(part, inner) for part in (node.visible, node.where) if part != TRUE]
        element = self._text(node.element, inner)
        if node.many:
            keys = [
                (writer.comparable(entry.expression, inner, ordered=True), entry)
                for entry in node.order
                if own_columns(entry.expression)
            ]
            labelled = [key.label(f"k{index}") for index, (key, _) in enumerate(keys)]
            select: _Select = sa.select(element.label("j"), *labelled).select_from(inner.source).where(*conditions)
            select = select.order_by(*(_directed(key, entry) for key, entry in keys)).limit(self._limit(node.limit))
            rows = select.subquery(f"s{next(self._names)}")
            order = [_directed(rows.c[f"k{index}"], entry) for index, (_, entry) in enumerate(keys)]
            joined = sa.select(self._dialect.joined(rows.c.j, order)).select_from(rows).scalar_subquery()
            text: Sql = Concat(literal("["), sa.func.coalesce(joined, literal("")), literal("]"))
            nothing = literal("[]")
        else:
            select = sa.select(element.label("j")).select_from(inner.source).where(*conditions)
            select = select.order_by(*self._order(node.order, inner)).limit(_number(1))
            nothing = literal("null")
            text = sa.func.coalesce(select.scalar_subquery(), nothing)
        return text if node.guard == TRUE else sa.case((writer.test(node.guard, scope), text), else_=nothing)


@dataclass(frozen=True, slots=True)
class _Written:
    """SQL without parameters."""

    sql: str


@lru_cache(maxsize=4096)
def _column_text(dialect: SqlDialect, column: Column, native: Native, alias: str) -> _Written:
    # Most of what is selected are bare columns, and to write them is most of the work: each is written once.
    reading = read(dialect, column, native, alias)
    scale = native.scale if column.type is ScalarType.DECIMAL else None
    text = sa.func.coalesce(dialect.json(column.type, reading.value, scale), literal("null"))
    return _Written(str(text.compile(dialect=dialect.sqlalchemy)))


class _GroupScope:
    """Keys and aggregates by the names that `Grouping` gives them."""

    def __init__(self, readings: Mapping[str, Reading]) -> None:
        self._readings = readings

    def reading(self, column: Column) -> Reading:
        return self._readings[column.name]


def _directed(key: Sql, entry: Order) -> Sql:
    return key.desc().nulls_first() if entry.descending else key.asc().nulls_last()


def _inside(reading: Reading) -> list[Sql]:
    """Tests that a plain value is one that we know; none where each is."""
    plain, tests = reading.plain, []
    if plain is not None and reading.low is not None:
        tests.append(plain > reading.low)
    if plain is not None and reading.high is not None:
        tests.append(plain < reading.high)
    return tests


def _tells_apart(reading: Reading) -> bool:
    return reading.native.unique and reading.plain is not None and reading.low is None and reading.high is None


def _number(number: int) -> Sql:
    return sa.literal_column(str(int(number)), sa.BigInteger())


def _as_tuples(fetched: Sequence[Sequence[Any]], arguments: Arguments) -> list[Row]:
    return list(map(tuple, fetched))


def _row_finisher(readers: Sequence[Convert | None]) -> _Finish:
    if not readers:
        return lambda fetched, arguments: [() for _ in fetched]
    if not any(readers):
        return _as_tuples

    def finish(fetched: Sequence[Sequence[Any]], arguments: Arguments) -> list[Row]:
        return [
            tuple(
                value if value is None or read is None else read(value)
                for value, read in zip(row, readers, strict=True)
            )
            for row in fetched
        ]

    return finish


def _aggregate_reader(aggregate: Aggregate, dialect: SqlDialect, scale: int | None) -> Callable[[Sequence[Any]], Any]:
    if aggregate.operand is None:
        return lambda parts: finished(aggregate, parts[0])
    kind = type_of(aggregate.operand)
    if aggregate.function is AggregateFunction.SUM:
        return lambda parts: finished(aggregate, dialect.total(kind, list(parts), scale))
    read = dialect.reader(kind, scale)
    if read is None or aggregate.function not in (AggregateFunction.MIN, AggregateFunction.MAX):
        return lambda parts: finished(aggregate, parts[0])
    return lambda parts: finished(aggregate, None if parts[0] is None else read(parts[0]))


def _group_finisher(
    query: SourceQuery,
    shape: Grouping,
    readers: Sequence[Convert | None],
    widths: Sequence[int],
    finishers: Sequence[Callable[[Sequence[Any]], Any]],
    *,
    ordered: bool,
) -> _Finish:
    def finish(fetched: Sequence[Sequence[Any]], arguments: Arguments) -> list[Row]:
        records: list[Record] = []
        for row in fetched:
            values = [
                value if value is None or read is None else read(value)
                for value, read in zip(row[: len(readers)], readers, strict=True)
            ]
            at = len(readers)
            for width, finisher in zip(widths, finishers, strict=True):
                values.append(finisher(row[at : at + width]))
                at += width
            records.append(dict(zip(shape.names, values, strict=True)))
        if not ordered:
            records = sort(records, shape.order, arguments)[: bound(query.limit, arguments)]
        links = shape.key_names[: len(query.links)]
        answers = output_values(shape.outputs, records, arguments)
        return [(*(r[name] for name in links), *answer) for r, answer in zip(records, answers, strict=True)]

    return finish
