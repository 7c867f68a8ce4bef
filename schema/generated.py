"""In charge of the types of one resource: object, connection, where, order and aggregate types as graphql-core types.

Every field carries its meaning (`schema/fields.py`); none is ever resolved by graphql-core.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Never, cast

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
from tanglai.catalogue.scalars import ScalarType

PAGE_DEFAULT = 50
PAGE_MAXIMUM = 1_000

_ROW_ID: GraphQLOutputType = GraphQLNonNull(GraphQLID)


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


if TYPE_CHECKING:
    from functools import cached_property as built
else:

    class built:
        """A cached property without `functools`' lock, for which a request would wait while a thread writes texts.

        Where two threads build at once, what one of them built stays.
        """

        def __init__(self, build: Callable[[Any], Any]) -> None:
            self._build, self._name = build, build.__name__

        def __get__(self, thing: Any, _: type) -> Any:
            return vars(thing).setdefault(self._name, self._build(thing))


class ObjectType(GraphQLObjectType):
    """An object type whose field names were checked with the resource's names, not once more character by character."""

    @built
    def fields(self) -> dict[str, GraphQLField]:
        return cast("dict[str, GraphQLField]", resolve_thunk(self._fields))


class InputObjectType(GraphQLInputObjectType):
    """An input type whose field names were checked with the resource's names."""

    @built
    def fields(self) -> dict[str, GraphQLInputField]:
        return cast("dict[str, GraphQLInputField]", resolve_thunk(self._fields))


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


_BUILT = frozenset({"fields", "values", "_value_lookup"})
"""Where graphql-core's types and ours keep what is built from their shell."""


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
        self.groups: dict[str, GraphQLEnumValue] = {}
        for item in resource.items:
            self._add(resource, item)

    def _add(self, resource: Resource, item: Item) -> None:
        name, kind, title = item.graphql, item.type, capitalized(item.title)
        meaning: dict[str, Any] = {EXTENSION: ItemField(resource, item)}
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
        self.groups[enum_value_name(name)] = GraphQLEnumValue(item.name, title, extensions=meaning)


class ResourceTypes:
    """The generated types of one resource, and the fields that it adds to its group.

    The types are empty shells until their fields are first asked for: a document pays for the resources that it names.
    `siblings` holds the types of all resources that relations link with this one; complete before any field is asked
    for. Raises ValueError for names that are no GraphQL names; publication refuses them long before.
    """

    def __init__(
        self,
        resource: Resource,
        words: ResourceWords,
        relations: tuple[Linked, ...],
        shared: Shared,
        siblings: Mapping[str, "ResourceTypes"],
    ) -> None:
        _check_names(resource, relations)
        self.resource = resource
        self.words = words
        self.relations = relations
        self.shared = shared
        self.siblings = siblings
        name, title = resource.names.type, resource.title
        handle = resource.binding.handle is not None
        self.object = ObjectType(
            name,
            self._object_fields,
            interfaces=(shared.node,) if handle else None,
            extensions={EXTENSION: resource},
            description=describe_resource(resource, words),
        )
        self.connection = ObjectType(
            name + "Connection", self._connection_fields, description=f"A page of {title} (Relay cursor connection)."
        )
        self.edge = ObjectType(
            name + "Edge", self._edge_fields, description=f"One row of {title} with its place in the list."
        )
        self.where = InputObjectType(
            name + "Where", self._where_fields, description=f"Conditions on rows of {title}; all of them must hold."
        )
        self.relation_filter = InputObjectType(
            name + "RelationFilter",
            self._relation_filter_fields,
            description=f"Conditions on the linked rows of {title}; all of them must hold.",
        )
        self.aggregate = ObjectType(
            name + "Aggregate",
            self._aggregate_fields,
            description=f"Figures over a group of rows of {title}, or over all of them.",
        )
        kinds = {item.type for item in resource.items}
        self.order: GraphQLInputObjectType | None = None
        self.group: GraphQLEnumType | None = None
        self.group_key: GraphQLObjectType | None = None
        self.counts: GraphQLObjectType | None = None
        self.extremes: GraphQLObjectType | None = None
        self.sums: GraphQLObjectType | None = None
        if kinds & COMPARABLE:
            self.order = InputObjectType(
                name + "Order",
                lambda: self.items.order,
                description=f"One sort key of {title}: exactly one item with its direction.",
            )
            self.group = GraphQLEnumType(
                name + "Group",
                lambda: self.items.groups,
                description=f"Items by which rows of {title} can be grouped.",
            )
            self.group_key = ObjectType(
                name + "GroupKey",
                lambda: self.items.leaves,
                description=f"Values that the rows of a group of {title} share.",
            )
            self.counts = ObjectType(
                name + "Counts", lambda: self.items.counts, description=f"Numbers of values per item of {title}."
            )
        if kinds & EXTREMES:
            self.extremes = ObjectType(
                name + "Extremes",
                lambda: self.items.extremes,
                description=f"Smallest or largest values per item of {title}.",
            )
        if kinds & NUMERIC:
            self.sums = ObjectType(
                name + "Sums", lambda: self.items.sums, description=f"Sums or averages per numeric item of {title}."
            )

    def types(self, *, targeted: bool) -> Iterator[GraphQLNamedType]:
        """Its types that a document can come to. `targeted`: whether a relation of a served resource leads here."""
        yield from (self.object, self.connection, self.edge, self.where, self.aggregate)
        if targeted:
            yield self.relation_filter
        for kind in (self.order, self.group, self.group_key, self.counts, self.extremes, self.sums):
            if kind is not None:
                yield kind

    def dissolve(self) -> None:
        """Ends it: its types lose everything, so that nothing refers to itself any more."""
        for kind in self._own_types():
            vars(kind).clear()
        vars(self).clear()

    def unfolded(self) -> bool:
        """Whether fields of its types are built."""
        return any(not _BUILT.isdisjoint(vars(kind)) for kind in self._own_types())

    def fold(self) -> None:
        """Lets go of all fields; they are built again, equal, when they are asked for."""
        for kind in self._own_types():
            for name in _BUILT & vars(kind).keys():
                vars(kind).pop(name, None)
        for name in ("items", "arguments", "group_fields"):
            vars(self).pop(name, None)

    def _own_types(self) -> list[GraphQLNamedType]:
        return [part for part in list(vars(self).values()) if isinstance(part, GraphQLNamedType)]

    @built
    def items(self) -> _Items:
        return _Items(self.resource)

    @built
    def arguments(self) -> dict[str, GraphQLArgument]:
        """The arguments of every list of this resource, shared by all of them."""
        arguments = {"where": GraphQLArgument(self.where, description="Only rows that match.")}
        if any(item.type is ScalarType.TEXT for item in self.resource.items):
            arguments["search"] = GraphQLArgument(
                GraphQLString, description="Only rows in which a text that the requester may read holds this."
            )
        if self.order is not None:
            arguments["orderBy"] = GraphQLArgument(
                GraphQLList(GraphQLNonNull(self.order)),
                description="Sort keys, the first one first; the platform breaks ties, so that pages never overlap.",
            )
        return arguments | _PAGING

    @built
    def group_fields(self) -> Mapping[str, GraphQLField]:
        """List, look-ups and aggregate, named as `naming.group_field_names` says."""
        resource = self.resource
        title, names = f"**{resource.title}**", resource.names
        fields = {
            names.list: data_field(
                self.connection, ListField(resource), f"{title}: rows, page by page.", self.arguments
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
                        extensions={EXTENSION: ItemField(resource, item)},
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
            GraphQLList(GraphQLNonNull(self.aggregate)),
            AggregateField(resource),
            f"{title}: counts, sums and extremes over the visible rows.",
            arguments,
        )
        return MappingProxyType(fields)

    def _object_fields(self) -> dict[str, GraphQLField]:
        resource, words = self.resource, self.words
        fields: dict[str, GraphQLField] = {}
        if resource.binding.handle is not None:
            fields["id"] = data_field(_ROW_ID, RowId(resource), "Identity of the row in this platform; opaque.")
        for item in resource.items:
            fields[item.graphql] = GraphQLField(
                SCALARS[item.type],
                None,
                refuse,
                description=describe_item(item, resource, words),
                extensions={EXTENSION: ItemField(resource, item)},
            )
        for linked in self.relations:
            relation, target = linked.relation, self.siblings[linked.target.code]
            fields[relation.graphql] = data_field(
                target.connection if relation.many else target.object,
                RelationField(resource, relation),
                describe_relation(relation, linked.target, linked.share_class, words),
                target.arguments if relation.many else None,
            )
        return fields

    def _connection_fields(self) -> dict[str, GraphQLField]:
        edges: GraphQLOutputType = GraphQLNonNull(GraphQLList(GraphQLNonNull(self.edge)))
        rows: GraphQLOutputType = GraphQLNonNull(GraphQLList(GraphQLNonNull(self.object)))
        page_info: GraphQLOutputType = GraphQLNonNull(self.shared.page_info)
        return {
            "edges": data_field(edges, PartField(Part.EDGES), "The rows of the page with their places."),
            "nodes": data_field(rows, PartField(Part.NODES), "The rows of the page alone."),
            "pageInfo": data_field(page_info, PartField(Part.PAGE_INFO), "Whether and where the list goes on."),
            "totalCount": _TOTAL_COUNT,
        }

    def _edge_fields(self) -> dict[str, GraphQLField]:
        return {
            "node": data_field(GraphQLNonNull(self.object), PartField(Part.NODE), "The row."),
            "cursor": _CURSOR,
        }

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

    def _relation_filter_fields(self) -> dict[str, GraphQLInputField]:
        return {
            "some": GraphQLInputField(self.where, description="At least one visible linked row matches."),
            "none": GraphQLInputField(self.where, description="No visible linked row matches."),
            "every": GraphQLInputField(
                self.where, description="Every visible linked row matches, also where there is none."
            ),
        }

    def _aggregate_fields(self) -> dict[str, GraphQLField]:
        fields: dict[str, GraphQLField] = {}
        if self.group_key is not None:
            fields["key"] = data_field(
                self.group_key,
                PartField(Part.GROUP_KEY),
                "Values that the rows of the group share; null without `groupBy`.",
            )
        fields["count"] = _ROW_COUNT
        functions = (
            ("countValues", self.counts, AggregateFunction.COUNT, "Number of values that are not null."),
            ("countDistinct", self.counts, AggregateFunction.COUNT_DISTINCT, "Number of different values."),
            ("min", self.extremes, AggregateFunction.MIN, "Smallest value; null where there is none."),
            ("max", self.extremes, AggregateFunction.MAX, "Largest value; null where there is none."),
            ("sum", self.sums, AggregateFunction.SUM, "Sum of the values; null where there is none."),
            ("avg", self.sums, None, "Average of the values; null where there is none."),
        )
        for name, kind, function, description in functions:
            if kind is not None:
                fields[name] = data_field(kind, FunctionField(function), description)
        return fields


def _check_names(resource: Resource, relations: tuple[Linked, ...]) -> None:
    names = resource.names
    parts = [item.graphql for item in resource.items] + [linked.relation.graphql for linked in relations]
    for name in (names.group, names.list, names.one, *parts):
        if not is_field_name(name):
            raise ValueError(f"`{name}` of resource `{resource.code}` is no GraphQL name")
    if not is_type_name(names.type):
        raise ValueError(f"`{names.type}` of resource `{resource.code}` is no GraphQL type name")
    if len(set(parts)) < len(parts):
        raise ValueError(f"a GraphQL name of resource `{resource.code}` is used twice")
