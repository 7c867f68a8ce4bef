"""In charge of running a whole source query over rows in memory, for sources that take no predicates.

It is also the reference that the contract suite holds every other connector to.
"""

from collections.abc import Callable, Iterable, Sequence
from decimal import Context, Decimal, localcontext
from typing import Any, TypeAlias

import orjson

from connectors.evaluate import Evaluator, Record, Tables, evaluator, type_of
from connectors.groups import finished, grouping
from connectors.protocol import (
    KEYS,
    Arguments,
    JsonNode,
    JsonObject,
    JsonOutput,
    JsonRows,
    JsonText,
    Order,
    Output,
    Row,
    SourceQuery,
)
from tanglai.catalogue.expressions import Aggregate, AggregateFunction, Expression, Slot
from tanglai.catalogue.scalars import to_json

_EXACT = Context(prec=2000)

_Reader: TypeAlias = Callable[[Record], Any]


def run(query: SourceQuery, rows: Iterable[Record], arguments: Arguments, tables: Tables | None = None) -> list[Row]:
    """The answer of `query`, as `Connector.fetch` gives it, where its table holds `rows`.

    A row is column name -> Python value for every column that the query names. `tables` are what nested rows and
    `Exists` look into; without them a query that has any is a TypeError.
    """
    kept = _visible(rows, query.visible, query.where, arguments, tables)
    names = [link.name for link in query.links]
    if names:
        batch = {key if isinstance(key, tuple) else (key,) for key in arguments[KEYS]}
        kept = [row for row in kept if tuple(row[name] for name in names) in batch]
    if query.group_by is not None:
        return _grouped(query, kept, arguments, tables)
    kept = sort(kept, query.order, arguments, tables)
    limit = bound(query.limit, arguments)
    if names:
        by_key: dict[Row, list[Record]] = {}
        for row in kept if query.per_key else kept[:limit]:
            by_key.setdefault(tuple(row[name] for name in names), []).append(row)
        kept = [row for group in by_key.values() for row in (group[:limit] if query.per_key else group)]
    else:
        kept = kept[:limit]
    readers = [_reader(output, arguments, tables) for output in query.outputs]
    answer: list[Row] = [(*(row[name] for name in names), *(read(row) for read in readers)) for row in kept]
    return joined(answer, len(names)) if query.joined else answer


def joined(rows: Sequence[Row], links: int) -> list[Row]:
    """`rows`, each of so many link values and one text, as a `joined` query answers them."""
    if not links:
        return [(",".join([text for (text,) in rows]).encode() if rows else None, len(rows))]
    by_key: dict[Row, list[str]] = {}
    for row in rows:
        by_key.setdefault(row[:links], []).append(row[links])
    return [(*key, ",".join(texts), len(texts)) for key, texts in by_key.items()]


def sort(
    rows: Iterable[Record], order: Sequence[Order], arguments: Arguments, tables: Tables | None = None
) -> list[Record]:
    """`rows` in `order`; equal ones stay as they came."""
    kept = list(rows)
    for entry in reversed(order):
        kept.sort(key=_sort_key(evaluator(entry.expression, arguments, tables)), reverse=entry.descending)
    return kept


def bound(limit: int | Slot | None, arguments: Arguments) -> int | None:
    """The number that `limit` stands for."""
    return int(arguments[limit.path]) if isinstance(limit, Slot) else limit


def output_values(outputs: Sequence[Output], rows: Iterable[Record], arguments: Arguments) -> list[Row]:
    """The `outputs` of each row."""
    readers = [_reader(output, arguments, None) for output in outputs]
    return [tuple(read(row) for read in readers) for row in rows]


def _visible(
    rows: Iterable[Record], visible: Expression, where: Expression, arguments: Arguments, tables: Tables | None
) -> list[Record]:
    seen, wanted = evaluator(visible, arguments, tables), evaluator(where, arguments, tables)
    return [row for row in rows if seen(row) is True and wanted(row) is True]


def _sort_key(value_of: Evaluator) -> Callable[[Record], tuple[bool, Any]]:
    def key(row: Record) -> tuple[bool, Any]:
        value = value_of(row)
        return value is None, value

    return key


def _reader(output: Output, arguments: Arguments, tables: Tables | None) -> _Reader:
    if not isinstance(output, JsonOutput):
        return evaluator(output.expression, arguments, tables)
    build = _json(output.object, arguments, tables)
    return lambda row: orjson.dumps(build(row)).decode()


def _json(node: JsonNode, arguments: Arguments, tables: Tables | None) -> _Reader:
    if isinstance(node, JsonText):
        fragment = orjson.Fragment(node.text)
        return lambda row: fragment
    if isinstance(node, JsonObject):
        fields = [(name, _json(part, arguments, tables)) for name, part in node.fields]
        return lambda row: {name: build(row) for name, build in fields}
    if isinstance(node, JsonRows):
        return _json_rows(node, arguments, tables)
    kind, value_of = type_of(node), evaluator(node, arguments, tables)
    return lambda row: to_json(kind, value_of(row))


def _json_rows(node: JsonRows, arguments: Arguments, tables: Tables | None) -> _Reader:
    if tables is None:
        raise TypeError(f"table `{node.table}` is not at hand")
    kept = _visible(tables[node.namespace, node.table], node.visible, node.where, arguments, tables)
    by_key: dict[Row, list[Record]] = {}
    for row in sort(kept, node.order, arguments, tables):
        by_key.setdefault(tuple(row[inner.name] for _, inner in node.links), []).append(row)
    guard, build = evaluator(node.guard, arguments, tables), _json(node.element, arguments, tables)
    names, limit = [outer.name for outer, _ in node.links], bound(node.limit, arguments)

    def read(row: Record) -> Any:
        key = tuple(row[name] for name in names)
        linked = by_key.get(key, []) if guard(row) is True and None not in key else []
        if node.many:
            return [build(one) for one in linked[:limit]]
        return build(linked[0]) if linked else None

    return read


def _grouped(query: SourceQuery, rows: list[Record], arguments: Arguments, tables: Tables | None) -> list[Row]:
    shape = grouping(query)
    key_of = [evaluator(key, arguments, tables) for key in shape.keys]
    members: dict[Row, list[Record]] = {} if shape.keys else {(): []}
    shown: dict[Row, Row] = {}
    for row in rows:
        key = tuple(value_of(row) for value_of in key_of)
        members.setdefault(key, []).append(row)
        shown[key] = tuple(map(_representative, shown[key], key)) if key in shown else key
    operands = [
        None if aggregate.operand is None else evaluator(aggregate.operand, arguments, tables)
        for aggregate in shape.aggregates
    ]
    records: list[Record] = []
    for key, group in members.items():
        values = [
            finished(aggregate, _aggregate(aggregate, operand, group))
            for aggregate, operand in zip(shape.aggregates, operands, strict=True)
        ]
        records.append(dict(zip(shape.names, (*shown.get(key, ()), *values), strict=True)))
    records = sort(records, shape.order, arguments)[: bound(query.limit, arguments)]
    links = shape.key_names[: len(query.links)]
    answers = output_values(shape.outputs, records, arguments)
    return [(*(r[name] for name in links), *answer) for r, answer in zip(records, answers, strict=True)]


def _representative(old: Any, new: Any) -> Any:
    # Equal decimals of different scale stand in one group: the longest form names it, whatever the order of the rows.
    if isinstance(old, Decimal):
        return min(old, new, key=lambda value: value.as_tuple().exponent)
    return old


def _aggregate(aggregate: Aggregate, operand: Evaluator | None, rows: list[Record]) -> Any:
    if operand is None:
        return len(rows)
    values = [value for row in rows if (value := operand(row)) is not None]
    match aggregate.function:
        case AggregateFunction.COUNT_DISTINCT:
            return len(set(values))
        case AggregateFunction.COUNT | AggregateFunction.COUNT_ROWS:
            return len(values)
        case AggregateFunction.MIN:
            return min(values, default=None)
        case AggregateFunction.MAX:
            return max(values, default=None)
        case AggregateFunction.SUM:
            return _sum(values)


def _sum(values: list[Any]) -> Decimal | None:
    if not values:
        return None
    with localcontext(_EXACT):
        return sum((Decimal(repr(value) if isinstance(value, float) else value) for value in values), Decimal(0))


__all__ = ["bound", "joined", "output_values", "run", "sort"]
