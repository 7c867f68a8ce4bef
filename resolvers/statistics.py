"""In charge of aggregate fields: whether a published cube answers one, and the one call that makes the cube.

What a cube does not answer goes on to the planning of aggregates over visible rows, which tells the denial.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from graphql import GraphQLField, GraphQLInputObjectType, GraphQLInputType, GraphQLObjectType, get_named_type

from authz.cubes import CubeRule
from connectors.protocol import RawOutput, SourceQuery
from resolvers.aggregates import Shapes, aggregate_call
from resolvers.cells import Refused, bind, constant
from resolvers.entry_paths import group_path
from resolvers.metering import group_bound
from resolvers.plan import AggregateObject, AggregateValue, Answer, At, CubeCall
from resolvers.planner import Planning
from resolvers.selection import Selected
from schema.fields import AggregateField, ItemField, WhereItem, WhereLogic, meaning
from schema.scalars import sum_type
from tanglai.catalogue.expressions import (
    Aggregate,
    AggregateFunction,
    Case,
    Expression,
    In,
    Slot,
    Value,
)
from tanglai.catalogue.model import Item, Resource
from tanglai.catalogue.scalars import ScalarType
from tanglai.catalogue.statistics import code_values


class _Unfit(Exception):
    """A use that no cube answers."""


@group_path(AggregateField)
def plan_figures(
    planning: Planning, what: AggregateField, definition: GraphQLField, selected: Selected, at: At
) -> Answer:
    """Figures from one published cube where it answers them all, else over the visible rows."""
    given = planning.arguments(definition, selected)
    cube = cube_call(planning, what.resource, definition, selected, given, at)
    return cube or aggregate_call(planning, what.resource, definition, selected, given, at)


def cube_call(
    planning: Planning,
    resource: Resource,
    definition: GraphQLField,
    selected: Selected,
    given: Mapping[str, Any],
    at: At,
) -> CubeCall | None:
    """The answer of an aggregate field from exactly one cube; None, with nothing done, where none answers it.

    A cube is grouped by its dimensions, filtered on them with `eq`, `in` and `and` of those, and has `count`, `sum` and
    `avg` of its measures (authorization.md, statistics-only grants).
    """
    relation = planning.relation_of(resource)
    if not relation.cubes:
        return None
    kind = get_named_type(definition.type)
    assert isinstance(kind, GraphQLObjectType)
    terms = planning.terms
    try:
        groups = _groups(resource, given.get("groupBy"))
        filter_ = _Conditions(planning, _input_object(definition.args["where"].type))
        filter_.read(given.get("where"))
        shapes = _CubeShapes(planning, resource, {item.name: n for n, item in enumerate(groups)}, [])
        used = [item.name for item in [*groups, *filter_.items, *shapes.measures(kind, selected, at)]]
        rule = relation.cube(used)
        if rule is None:
            raise _Unfit
        by = tuple(_position(rule.dimensions, item) for item in groups)
        for item in filter_.items:
            _position(rule.dimensions, item)
        conditions = tuple((_position(rule.dimensions, item), allowed) for item, allowed in filter_.found)
        shapes.rule = rule
        shape = shapes.shape(kind, selected, at.rows())
    except _Unfit:
        planning.terms = terms
        return None
    planning.uses[resource.code].update(used)
    if rule.denial is not None:
        raise Refused(rule.denial, at)
    planning.told((rule.grant,))
    query = planning.admit(finest(rule, resource), resource, at)
    signature = repr((rule.grant, rule.terms, by, conditions, shape))
    bound = group_bound(groups, planning.limits.groups)
    return CubeCall(resource, rule, query, by, conditions, shape, signature, at, planning.charged(), bound)


def finest(rule: CubeRule, resource: Resource) -> SourceQuery:
    """The one call that a cube is made by: rows, sums and numbers of values by all dimensions, on raw columns.

    A value that is not on its code list counts as none, so the code lists bound the groups.
    """
    keys: list[Expression] = []
    for item in rule.dimensions:
        codes = tuple(Value(value, item.type) for value in code_values(item))
        keys.append(Case(((In(item.column, codes), item.column),), item.type))
    outputs = [*keys, Aggregate(AggregateFunction.COUNT_ROWS, None, ScalarType.LONG)]
    for item in rule.measures:
        outputs.append(Aggregate(AggregateFunction.SUM, item.column, sum_type(item.type)))
        outputs.append(Aggregate(AggregateFunction.COUNT, item.column, ScalarType.LONG))
    return SourceQuery(
        source=resource.binding.source,
        namespace=resource.binding.namespace,
        table=resource.binding.table,
        outputs=tuple(RawOutput(output) for output in outputs),
        visible=bind(rule.rows, resource),
        group_by=tuple(keys),
        options=resource.binding.options,
        max_rows=resource.binding.max_rows,
    )


def _position(items: Sequence[Item], item: Item) -> int:
    if item not in items:
        raise _Unfit  # a measure is no dimension
    return items.index(item)


def _groups(resource: Resource, names: Any) -> list[Item]:
    groups: list[Item] = []
    for name in names or ():
        if name is None or isinstance(name, Slot):
            raise _Unfit
        item = resource.item_by_name[name]
        if item not in groups:
            groups.append(item)
    return groups


def _input_object(kind: GraphQLInputType) -> GraphQLInputObjectType:
    named = get_named_type(kind)
    assert isinstance(named, GraphQLInputObjectType)
    return named


class _Conditions:
    """The conditions of one `where` of `eq`, `in` and `and`, which must all hold, and the items that it names."""

    def __init__(self, planning: Planning, kind: GraphQLInputObjectType) -> None:
        self.planning = planning
        self.kind = kind
        self.items: list[Item] = []
        self.found: list[tuple[Item, tuple[Value | Slot, ...]]] = []

    def read(self, where: Any) -> None:
        if where is None:
            return
        for name, operand in where.items():
            self.planning.count_term()
            what = meaning(self.kind.fields[name])
            if operand is None:
                raise _Unfit
            if isinstance(what, WhereItem):
                self.items.append(what.item)
                for operator, value in operand.items():
                    self.planning.count_term()
                    self.found.append((what.item, _allowed(what.item, operator, value)))
            elif what is WhereLogic.AND:
                for part in operand:
                    if part is None:
                        raise _Unfit
                    self.read(part)
            else:
                raise _Unfit


def _allowed(item: Item, operator: str, value: Any) -> tuple[Value | Slot, ...]:
    if value is None or operator not in ("eq", "in"):
        raise _Unfit
    values = value if isinstance(value, list) and operator == "in" else [value]
    if None in values:
        raise _Unfit
    return tuple(constant(part, item.type) for part in values)


class _CubeShapes(Shapes):
    """Shapes over a row of `authz.cubes.answer`: key, number of rows, then per measure its sum and number of values."""

    rule: CubeRule | None = None

    def measures(self, kind: GraphQLObjectType, selected: Selected, at: At) -> list[Item]:
        """The items whose figures are selected."""
        self._found: list[Item] = []
        self.shape(kind, selected, at)
        return self._found

    def _add(self, aggregate: Aggregate) -> int:
        assert aggregate.function is AggregateFunction.COUNT_ROWS
        return len(self.groups)

    def _function(
        self, function: AggregateFunction | None, kind: GraphQLObjectType, selected: Selected, at: At
    ) -> AggregateObject:
        if function not in (None, AggregateFunction.SUM):
            raise _Unfit
        fields: list[tuple[str, AggregateValue | AggregateObject | str]] = []
        for inner in self.planning.collector.fields(kind, selected.selection_sets):
            definition = kind.fields.get(inner.name)
            if definition is None:
                fields.append((inner.key, f'"{kind.name}"'))
                continue
            what = meaning(definition)
            assert isinstance(what, ItemField)
            fields.append((inner.key, self._figure(function, what.item)))
        return AggregateObject(tuple(fields))

    def _figure(self, function: AggregateFunction | None, item: Item) -> AggregateValue:
        if self.rule is None:
            self._found.append(item)
            return AggregateValue(0, item.type)
        total = len(self.groups) + 1 + 2 * _position(self.rule.measures, item)
        return AggregateValue(total, sum_type(item.type), total + 1 if function is None else None)
