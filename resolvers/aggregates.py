"""In charge of aggregate fields: groups and functions over compare cells, few rows put together by the gateway."""

from collections.abc import Mapping
from typing import Any

from graphql import GraphQLField, GraphQLObjectType, get_named_type

from authz.visible import Use
from connectors.protocol import Order, RawOutput, SourceQuery
from resolvers.cells import bind
from resolvers.metering import group_bound
from resolvers.plan import AggregateCall, AggregateObject, AggregateValue, At
from resolvers.planner import Planning
from resolvers.selection import Selected
from resolvers.where import Filter
from schema.fields import FunctionField, ItemField, Part, PartField, meaning
from schema.scalars import sum_type
from tanglai.catalogue.errors import BadInput
from tanglai.catalogue.expressions import Aggregate, AggregateFunction, Expression, Slot
from tanglai.catalogue.model import Item, Resource
from tanglai.catalogue.scalars import ScalarType

_COUNT = Aggregate(AggregateFunction.COUNT_ROWS, None, ScalarType.LONG)
_COUNTS = (AggregateFunction.COUNT, AggregateFunction.COUNT_DISTINCT)


def aggregate_call(
    planning: Planning,
    resource: Resource,
    definition: GraphQLField,
    selected: Selected,
    given: Mapping[str, Any],
    at: At,
) -> AggregateCall:
    """The call of an aggregate field. Raises Refused for a denied group, argument or filter."""
    filter_ = Filter(planning)
    where = filter_.argument(resource, definition, given, at)
    groups = _groups(planning, resource, given.get("groupBy"), at)
    outputs: list[RawOutput] = [RawOutput(cell) for _, cell in groups]
    builder = Shapes(planning, resource, {item.name: index for index, (item, _) in enumerate(groups)}, outputs)
    kind = get_named_type(definition.type)
    assert isinstance(kind, GraphQLObjectType)
    shape = builder.shape(kind, selected, at.rows())
    if not outputs:
        outputs.append(RawOutput(_COUNT))
    query = planning.admit(
        SourceQuery(
            source=resource.binding.source,
            namespace=resource.binding.namespace,
            table=resource.binding.table,
            outputs=tuple(outputs),
            visible=bind(planning.relation_of(resource).row, resource),
            where=where,
            order=tuple(Order(cell) for _, cell in groups),
            limit=planning.limits.groups + 1,
            group_by=tuple(cell for _, cell in groups),
            options=resource.binding.options,
            max_rows=resource.binding.max_rows,
        ),
        resource,
        at,
    )
    grants = planning.charged()
    signature = repr((query, shape, filter_.keysets, grants))
    bound = group_bound([item for item, _ in groups], planning.limits.groups)
    return AggregateCall(resource, query, shape, signature, tuple(filter_.keysets), at, grants, bound)


def _groups(planning: Planning, resource: Resource, names: Any, at: At) -> list[tuple[Item, Expression]]:
    groups: list[tuple[Item, Expression]] = []
    for name in names or ():
        if name is None or isinstance(name, Slot):
            raise BadInput("`groupBy` may not hold null", fieldPath=str(at.child("groupBy")))
        item = resource.item_by_name[name]
        if any(item is known for known, _ in groups):
            continue
        cell = planning.cell(resource, item, Use.GROUP, at.child("groupBy").child(item.graphql))
        _tell_partial(planning, resource, item, at.child("groupBy").child(item.graphql))
        groups.append((item, cell))
    return groups


def _tell_partial(planning: Planning, resource: Resource, item: Item, at: At) -> None:
    if planning.relation_of(resource).partial(item.name):
        planning.partial[str(at)] = None


class Shapes:
    """What is selected of an aggregate, in response order, over the outputs of one row; `groups` are key outputs."""

    def __init__(
        self, planning: Planning, resource: Resource, groups: Mapping[str, int], outputs: list[RawOutput]
    ) -> None:
        self.planning = planning
        self.resource = resource
        self.groups = groups
        self.outputs = outputs

    def shape(self, kind: GraphQLObjectType, selected: Selected, at: At) -> AggregateObject:
        fields: list[tuple[str, AggregateValue | AggregateObject | str]] = []
        for inner in self.planning.collector.fields(kind, selected.selection_sets):
            definition = kind.fields.get(inner.name)
            here = at.child(inner.key)
            if definition is None:
                fields.append((inner.key, f'"{kind.name}"'))
                continue
            what = meaning(definition)
            below = get_named_type(definition.type)
            if what == PartField(Part.ROW_COUNT):
                fields.append((inner.key, AggregateValue(self._add(_COUNT), ScalarType.INTEGER)))
            elif what == PartField(Part.GROUP_KEY):
                assert isinstance(below, GraphQLObjectType)
                fields.append((inner.key, self._key(below, inner)))
            else:
                assert isinstance(what, FunctionField)
                assert isinstance(below, GraphQLObjectType)
                fields.append((inner.key, self._function(what.function, below, inner, here)))
        return AggregateObject(tuple(fields))

    def _key(self, kind: GraphQLObjectType, selected: Selected) -> AggregateObject:
        """Values of the group; an item that is not grouped by is null."""
        fields: list[tuple[str, AggregateValue | AggregateObject | str]] = []
        for inner in self.planning.collector.fields(kind, selected.selection_sets):
            definition = kind.fields.get(inner.name)
            if definition is None:
                fields.append((inner.key, f'"{kind.name}"'))
                continue
            what = meaning(definition)
            assert isinstance(what, ItemField)
            output = self.groups.get(what.item.name)
            fields.append((inner.key, "null" if output is None else AggregateValue(output, what.item.type)))
        return AggregateObject(tuple(fields))

    def _function(
        self, function: AggregateFunction | None, kind: GraphQLObjectType, selected: Selected, at: At
    ) -> AggregateObject:
        fields: list[tuple[str, AggregateValue | AggregateObject | str]] = []
        for inner in self.planning.collector.fields(kind, selected.selection_sets):
            definition = kind.fields.get(inner.name)
            if definition is None:
                fields.append((inner.key, f'"{kind.name}"'))
                continue
            what = meaning(definition)
            assert isinstance(what, ItemField)
            here = at.child(inner.key)
            cell = self.planning.cell(self.resource, what.item, Use.AGGREGATE, here)
            _tell_partial(self.planning, self.resource, what.item, here)
            fields.append((inner.key, self._value(function, what.item, cell)))
        return AggregateObject(tuple(fields))

    def _value(self, function: AggregateFunction | None, item: Item, cell: Expression) -> AggregateValue:
        if function is None:
            kind = sum_type(item.type)
            total = self._add(Aggregate(AggregateFunction.SUM, cell, kind))
            count = self._add(Aggregate(AggregateFunction.COUNT, cell, ScalarType.LONG))
            return AggregateValue(total, kind, count)
        if function in _COUNTS:
            return AggregateValue(self._add(Aggregate(function, cell, ScalarType.LONG)), ScalarType.INTEGER)
        kind = sum_type(item.type) if function is AggregateFunction.SUM else item.type
        return AggregateValue(self._add(Aggregate(function, cell, kind)), kind)

    def _add(self, aggregate: Aggregate) -> int:
        output = RawOutput(aggregate)
        if output not in self.outputs:
            self.outputs.append(output)
        return self.outputs.index(output)
