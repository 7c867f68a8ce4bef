"""In charge of what a grouped source query computes: its keys, its aggregates, and outputs and order over the two."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from connectors.evaluate import type_of
from connectors.protocol import JsonNode, JsonObject, JsonOutput, JsonRows, JsonText, Order, Output, SourceQuery
from tanglai.catalogue.expressions import Aggregate, AggregateFunction, Column, Expression, leaves, rewrite
from tanglai.catalogue.scalars import ScalarType, convert


@dataclass(frozen=True, slots=True)
class Grouping:
    """A grouped query taken apart.

    A source computes `keys` (the query's links, then its group expressions) and `aggregates`; `outputs` and `order` are
    over columns `g0`, `g1`, … (a key each) and `a0`, `a1`, … (an aggregate each) of what comes back. With links there
    is a group per link key and group, and none for a key without rows.
    """

    keys: tuple[Expression, ...]
    aggregates: tuple[Aggregate, ...]
    outputs: tuple[Output, ...]
    order: tuple[Order, ...]

    @property
    def key_names(self) -> tuple[str, ...]:
        return tuple(f"g{i}" for i in range(len(self.keys)))

    @property
    def aggregate_names(self) -> tuple[str, ...]:
        return tuple(f"a{i}" for i in range(len(self.aggregates)))

    @property
    def names(self) -> tuple[str, ...]:
        return self.key_names + self.aggregate_names


def grouping(query: SourceQuery) -> Grouping:
    """What `query`, which has `group_by`, computes. TypeError where it has nested rows, which no group has."""
    assert query.group_by is not None
    keys = (*query.links, *query.group_by)
    aggregates: dict[Aggregate, int] = {}
    for expression in _expressions(query):
        for aggregate in leaves(expression, Aggregate):
            aggregates.setdefault(aggregate, len(aggregates))

    def change(node: Expression) -> Expression | None:
        if isinstance(node, Aggregate):
            return Column(f"a{aggregates[node]}", node.type)
        return Column(f"g{keys.index(node)}", type_of(node)) if node in keys else None

    def bound(node: JsonNode) -> JsonNode:
        if isinstance(node, JsonObject):
            return JsonObject(tuple((name, bound(part)) for name, part in node.fields))
        return node if isinstance(node, JsonText | JsonRows) else rewrite(node, change)

    outputs: list[Output] = []
    for output in query.outputs:
        if isinstance(output, JsonOutput):
            outputs.append(JsonOutput(JsonObject(tuple((name, bound(part)) for name, part in output.object.fields))))
        else:
            outputs.append(type(output)(rewrite(output.expression, change)))
    order = tuple(Order(rewrite(entry.expression, change), entry.descending) for entry in query.order)
    return Grouping(keys, tuple(aggregates), tuple(outputs), order)


def finished(aggregate: Aggregate, value: Any) -> Any:
    """The Python value of `aggregate.type` for what a source computed; what does not fit is None.

    A sum of floats is the exact sum of their shortest decimal forms, without trailing zeros, so that neither order nor
    source changes it.
    """
    if value is not None and aggregate.function is AggregateFunction.SUM:
        assert aggregate.operand is not None
        if type_of(aggregate.operand) is ScalarType.FLOAT:
            value = trimmed(value)
    return convert(aggregate.type, value)


def trimmed(value: Decimal) -> Decimal:
    """`value` without trailing zeros after the point."""
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    kept = list(digits)
    while exponent < 0 and kept and kept[-1] == 0:
        kept.pop()
        exponent += 1
    return Decimal((sign, kept, exponent)) if kept else Decimal(0)


def _expressions(query: SourceQuery) -> Iterator[Expression]:
    def within(node: JsonNode) -> Iterator[Expression]:
        if isinstance(node, JsonObject):
            for _, part in node.fields:
                yield from within(part)
        elif isinstance(node, JsonRows):
            raise TypeError("a grouped query has no nested rows")
        elif not isinstance(node, JsonText):
            yield node

    for output in query.outputs:
        yield from within(output.object if isinstance(output, JsonOutput) else output.expression)
    for entry in query.order:
        yield entry.expression
