"""In charge of the types of one resource: object, connection, where, order and aggregate types as graphql-core types.

Every field carries its meaning (`schema/fields.py`); none is ever resolved by graphql-core.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from types import MappingProxyType
from typing import Any, Never, cast

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLEnumValue,
    GraphQLField,
    GraphQLID,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInt,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLString,
    resolve_thunk,
)

from schema.descriptions import ResourceWords, capitalized, describe_item, describe_relation, describe_resource
from schema.fields import (
    EXTENSION,
    AggregateField,
    FieldMeaning,
    FunctionField,
    ItemField,
    ListField,
    LookupField,
    Part,
    PartField,
    RelationField,
    RowId,
    WhereItem,
    WhereLogic,
    WhereRelation,
)
from schema.filters import FILTERS, ORDER_DIRECTION
from schema.scalars import COMPARABLE, EXTREMES, NUMERIC, SCALARS, sum_type
from tanglai.catalogue.errors import ErrorCode, TanglaiError
from tanglai.catalogue.expressions import AggregateFunction
from tanglai.catalogue.model import Item, Relation, Resource, ShareClass
from tanglai.catalogue.naming import (
    aggregate_field_name,
    enum_value_name,
    is_field_name,
    is_type_name,
    lookup_field_name,
)

PAGE_DEFAULT = 50
PAGE_MAXIMUM = 1_000

_FIELD_ID: GraphQLNonNull[Any] = GraphQLNonNull(GraphQLID)


def refuse(*_: Any, **__: Any) -> Never:
    """Resolver of every data field.

    INVARIANT: data is read through the planner alone; an executor that comes here finds an error, never a row.
    """
    raise TanglaiError(ErrorCode.INTERNAL, "the planner answers this field")


def data_field(
    type_: GraphQLOutputType, meaning: FieldMeaning, description: str, args: dict[str, GraphQLArgument] | None = None
) -> GraphQLField:
    """A field that the planner answers. `args`, of checked names, is taken as it is and may be shared."""
    field = GraphQLField(type_, None, refuse, description=description, extensions={EXTENSION: meaning})
    if args is not None:
        field.args = args
    return field


class _ObjectType(GraphQLObjectType):
    """An object type whose field names were checked with the resource's names, not once more character by character."""

    @cached_property
    def fields(self) -> dict[str, GraphQLField]:
        self._fields = fields = resolve_thunk(self._fields)  # lets go of the builder
        return cast("dict[str, GraphQLField]", fields)


class _InputObjectType(GraphQLInputObjectType):
    """An input type whose field names were checked with the resource's names."""

    @cached_property
    def fields(self) -> dict[str, GraphQLInputField]:
        self._fields = fields = resolve_thunk(self._fields)
        return cast("dict[str, GraphQLInputField]", fields)


def _group_values(resource: Resource) -> dict[str, GraphQLEnumValue]:
    """Built when a document or an introspection first asks for them."""
    return {
        enum_value_name(item.graphql): GraphQLEnumValue(
            item.name, capitalized(item.title), extensions={EXTENSION: ItemField(resource, item)}
        )
        for item in resource.items
        if item.type in COMPARABLE
    }


_PAGING = {
    "first": GraphQLArgument(
        GraphQLInt,
        description=f"At most so many rows from the start: 0 to {PAGE_MAXIMUM:,}, by default {PAGE_DEFAULT}.",
    ),
    "after": GraphQLArgument(GraphQLString, description="Only rows after this cursor."),
    "last": GraphQLArgument(
        GraphQLInt, description=f"At most so many rows from the end: 0 to {PAGE_MAXIMUM:,}. Not together with `first`."
    ),
    "before": GraphQLArgument(GraphQLString, description="Only rows before this cursor."),
}
_TOTAL_COUNT = data_field(
    GraphQLInt,
    PartField(Part.TOTAL_COUNT),
    "Number of all rows of the list, whatever the page; counted when asked for.",
)
_CURSOR = data_field(
    GraphQLString, PartField(Part.CURSOR), "Place of the row in this list, for `after` and `before`; null where none."
)
_ROW_COUNT = data_field(GraphQLInt, PartField(Part.ROW_COUNT), "Number of rows in the group.")


@dataclass(frozen=True, slots=True)
class Shared:
    """What generated types take from the fixed part."""

    node: GraphQLInterfaceType
    page_info: GraphQLObjectType


@dataclass(frozen=True, slots=True, eq=False)
class ResourceTypes:
    """The generated types of one resource and the fields that it adds to its group."""

    resource: Resource
    object: GraphQLObjectType
    types: tuple[GraphQLNamedType, ...]
    fields: Mapping[str, GraphQLField]


@dataclass(frozen=True, slots=True)
class Linked:
    """A relation that the schema shows, with its target and the class that holds at both ends."""

    relation: Relation
    target: Resource
    share_class: ShareClass


class _Items:
    """Fields that several types of a resource build from its items, by GraphQL name."""

    def __init__(self, resource: Resource) -> None:
        self.leaves: dict[str, GraphQLField] = {}
        self.extremes: dict[str, GraphQLField] = {}
        self.counts: dict[str, GraphQLField] = {}
        self.sums: dict[str, GraphQLField] = {}
        self.order: dict[str, GraphQLInputField] = {}
        self.meanings: dict[str, dict[str, Any]] = {}
        for item in resource.items:
            self._add(resource, item)

    def _add(self, resource: Resource, item: Item) -> None:
        name, kind, title = item.graphql, item.type, capitalized(item.title)
        meaning: dict[str, Any] = {EXTENSION: ItemField(resource, item)}
        self.meanings[item.name] = meaning
        if kind not in COMPARABLE:
            return
        leaf = GraphQLField(SCALARS[kind], None, refuse, description=title, extensions=meaning)
        self.leaves[name] = leaf
        if kind in EXTREMES:
            self.extremes[name] = leaf
        self.counts[name] = GraphQLField(GraphQLInt, None, refuse, description=title, extensions=meaning)
        if kind in NUMERIC:
            total = SCALARS[sum_type(kind)]
            self.sums[name] = GraphQLField(total, None, refuse, description=title, extensions=meaning)
        self.order[name] = GraphQLInputField(ORDER_DIRECTION, description=title, extensions=meaning)


class ResourceBuilder:
    """Builds the types of one resource. `siblings` are the builders of all resources that relations link it with.

    Raises ValueError for a name that GraphQL has no room for; publication refuses it long before.
    """

    def __init__(
        self,
        resource: Resource,
        words: ResourceWords,
        relations: tuple[Linked, ...],
        shared: Shared,
        siblings: Mapping[str, "ResourceBuilder"],
    ) -> None:
        self.resource = resource
        self.words = words
        self.relations = relations
        self.siblings = siblings
        names = resource.names
        parts = [item.graphql for item in resource.items] + [linked.relation.graphql for linked in relations]
        for name in (names.group, names.list, names.one, *parts):
            if not is_field_name(name):
                raise ValueError(f"`{name}` of resource `{resource.code}` is no GraphQL name")
        if not is_type_name(names.type):
            raise ValueError(f"`{names.type}` of resource `{resource.code}` is no GraphQL type name")
        self.items = _Items(resource)
        handle = resource.binding.handle is not None
        self.object = _ObjectType(
            names.type,
            self._object_fields,
            interfaces=(shared.node,) if handle else None,
            extensions={EXTENSION: resource},
            description=describe_resource(resource, words),
        )
        self.where = _InputObjectType(
            names.type + "Where",
            self._where_fields,
            description=f"Conditions on rows of {resource.title}; all of them must hold.",
        )
        self.relation_filter = self._relation_filter()
        self.order = self._order()
        self.connection = self._connection(shared.page_info)
        self.group = self._group()
        self.arguments = self._arguments()

    def types(self, *, targeted: bool) -> ResourceTypes:
        """The finished types. `targeted`: whether a relation of a served resource leads here."""
        aggregates = self._aggregates()
        filters = [self.relation_filter] if targeted else []
        optional = [kind for kind in (self.order, self.group) if kind is not None]
        types = (self.object, *self.connection, self.where, *filters, *optional, *aggregates)
        return ResourceTypes(self.resource, self.object, types, self._group_fields(aggregates[0]))

    def _object_fields(self) -> dict[str, GraphQLField]:
        resource, words, meanings = self.resource, self.words, self.items.meanings
        fields: dict[str, GraphQLField] = {}
        if resource.binding.handle is not None:
            fields["id"] = data_field(_FIELD_ID, RowId(resource), "Identity of the row in this platform; opaque.")
        for item in resource.items:
            fields[item.graphql] = GraphQLField(
                SCALARS[item.type],
                None,
                refuse,
                description=describe_item(item, resource, words),
                extensions=meanings[item.name],
            )
        for linked in self.relations:
            relation, target = linked.relation, self.siblings[linked.target.code]
            fields[relation.graphql] = data_field(
                target.connection[0] if relation.many else target.object,
                RelationField(resource, relation),
                describe_relation(relation, linked.target, linked.share_class, words),
                target.arguments if relation.many else None,
            )
        return fields

    def _where_fields(self) -> dict[str, GraphQLInputField]:
        fields = {
            item.graphql: GraphQLInputField(
                FILTERS[item.type],
                description=capitalized(item.title),
                extensions={EXTENSION: WhereItem(item)},
            )
            for item in self.resource.items
        }
        for linked in self.relations:
            fields[linked.relation.graphql] = GraphQLInputField(
                self.siblings[linked.target.code].relation_filter,
                description=capitalized(linked.relation.title),
                extensions={EXTENSION: WhereRelation(linked.relation)},
            )
        several = GraphQLList(GraphQLNonNull(self.where))
        logic: tuple[tuple[WhereLogic, Any, str], ...] = (
            (WhereLogic.AND, several, "All of these hold; of an empty list, true."),
            (WhereLogic.OR, several, "At least one of these holds; of an empty list, false."),
            (WhereLogic.NOT, self.where, "This does not hold; unknown where it is unknown."),
        )
        for word, kind, description in logic:
            fields[word.value] = GraphQLInputField(kind, description=description, extensions={EXTENSION: word})
        return fields

    def _relation_filter(self) -> GraphQLInputObjectType:
        title = self.resource.title
        return _InputObjectType(
            self.resource.names.type + "RelationFilter",
            {
                "some": GraphQLInputField(self.where, description="At least one visible linked row matches."),
                "none": GraphQLInputField(self.where, description="No visible linked row matches."),
                "every": GraphQLInputField(
                    self.where, description="Every visible linked row matches, also where there is none."
                ),
            },
            description=f"Conditions on the linked rows of {title}; all of them must hold.",
        )

    def _order(self) -> GraphQLInputObjectType | None:
        if not self.items.order:
            return None
        return _InputObjectType(
            self.resource.names.type + "Order",
            self.items.order,
            description=f"One sort key of {self.resource.title}: exactly one item with its direction.",
        )

    def _connection(self, page_info: GraphQLObjectType) -> tuple[GraphQLObjectType, GraphQLObjectType]:
        name, title = self.resource.names.type, self.resource.title
        row: GraphQLNonNull[Any] = GraphQLNonNull(self.object)
        edge = _ObjectType(
            name + "Edge",
            {
                "node": data_field(row, PartField(Part.NODE), "The row."),
                "cursor": _CURSOR,
            },
            description=f"One row of {title} with its place in the list.",
        )
        connection = _ObjectType(
            name + "Connection",
            {
                "edges": data_field(
                    GraphQLNonNull(GraphQLList(GraphQLNonNull(edge))),
                    PartField(Part.EDGES),
                    "The rows of the page with their places.",
                ),
                "nodes": data_field(
                    GraphQLNonNull(GraphQLList(row)), PartField(Part.NODES), "The rows of the page alone."
                ),
                "pageInfo": data_field(
                    GraphQLNonNull(page_info), PartField(Part.PAGE_INFO), "Whether and where the list goes on."
                ),
                "totalCount": _TOTAL_COUNT,
            },
            description=f"A page of {title} (Relay cursor connection).",
        )
        return connection, edge

    def _group(self) -> GraphQLEnumType | None:
        if not self.items.leaves:
            return None
        return GraphQLEnumType(
            self.resource.names.type + "Group",
            partial(_group_values, self.resource),
            description=f"Items by which rows of {self.resource.title} can be grouped.",
        )

    def _aggregates(self) -> tuple[GraphQLObjectType, ...]:
        """The aggregate type first, then the types of its parts."""
        name, title, items = self.resource.names.type, self.resource.title, self.items
        fields: dict[str, GraphQLField] = {}
        parts: list[GraphQLObjectType] = []

        def part(suffix: str, leaves: dict[str, GraphQLField], description: str) -> GraphQLObjectType:
            kind = _ObjectType(name + suffix, leaves, description=description)
            parts.append(kind)
            return kind

        def function(field: str, kind: GraphQLObjectType, function: AggregateFunction | None, description: str) -> None:
            fields[field] = data_field(kind, FunctionField(function), description)

        if items.leaves:
            keys = part("GroupKey", items.leaves, f"Values that the rows of a group of {title} share.")
            fields["key"] = data_field(
                keys, PartField(Part.GROUP_KEY), "Values that the rows of the group share; null without `groupBy`."
            )
        fields["count"] = _ROW_COUNT
        if items.counts:
            counts = part("Counts", items.counts, f"Numbers of values per item of {title}.")
            function("countValues", counts, AggregateFunction.COUNT, "Number of values that are not null.")
            function("countDistinct", counts, AggregateFunction.COUNT_DISTINCT, "Number of different values.")
        if items.extremes:
            extremes = part("Extremes", items.extremes, f"Smallest or largest values per item of {title}.")
            function("min", extremes, AggregateFunction.MIN, "Smallest value; null where there is none.")
            function("max", extremes, AggregateFunction.MAX, "Largest value; null where there is none.")
        if items.sums:
            sums = part("Sums", items.sums, f"Sums or averages per numeric item of {title}.")
            function("sum", sums, AggregateFunction.SUM, "Sum of the values; null where there is none.")
            function("avg", sums, None, "Average of the values; null where there is none.")
        aggregate = _ObjectType(
            name + "Aggregate", fields, description=f"Figures over a group of rows of {title}, or over all of them."
        )
        return (aggregate, *parts)

    def _arguments(self) -> dict[str, GraphQLArgument]:
        arguments = {"where": GraphQLArgument(self.where, description="Only rows that match.")}
        if self.order is not None:
            arguments["orderBy"] = GraphQLArgument(
                GraphQLList(GraphQLNonNull(self.order)),
                description="Sort keys, the first one first; the platform breaks ties, so that pages never overlap.",
            )
        return arguments | _PAGING

    def _group_fields(self, aggregate: GraphQLObjectType) -> Mapping[str, GraphQLField]:
        resource = self.resource
        title, names = f"**{resource.title}**", resource.names
        fields = {
            names.list: data_field(
                self.connection[0], ListField(resource), f"{title}: rows, page by page.", self.arguments
            )
        }
        for key in resource.keys:
            items = [resource.item_by_name[name] for name in key.items]
            fields[lookup_field_name(resource, key)] = data_field(
                self.object,
                LookupField(resource, key),
                f"{title}: the row with this {' and '.join(item.title for item in items)}, or null.",
                {
                    item.graphql: GraphQLArgument(
                        GraphQLNonNull(SCALARS[item.type]),
                        description=capitalized(item.title),
                        extensions=self.items.meanings[item.name],
                    )
                    for item in items
                },
            )
        arguments = {"where": self.arguments["where"]}
        if self.group is not None:
            arguments["groupBy"] = GraphQLArgument(
                GraphQLList(GraphQLNonNull(self.group)),
                description="Items whose values make a group; without it all rows are one group.",
            )
        fields[aggregate_field_name(names)] = data_field(
            GraphQLList(GraphQLNonNull(aggregate)),
            AggregateField(resource),
            f"{title}: counts, sums and extremes over the visible rows.",
            arguments,
        )
        return MappingProxyType(fields)
