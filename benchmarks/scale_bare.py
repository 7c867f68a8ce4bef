"""In charge of what the schema is measured against: the same types built directly from graphql-core's, without meaning.

One object, connection, edge, where, order and aggregate type per resource, with its list and look-up.
"""

from collections.abc import Iterable

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInt,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLString,
)

from tanglai.catalogue.model import Resource

_DIRECTION = GraphQLEnumType("OrderDirection", {"ASC": None, "DESC": None})
_FILTER = GraphQLInputObjectType(
    "TextFilter", {name: GraphQLInputField(GraphQLString) for name in ("eq", "ne", "lt", "lte", "gt", "gte")}
)


def build(resources: Iterable[Resource]) -> GraphQLSchema:
    """The schema of `resources`, all items texts."""
    groups: dict[str, dict[str, GraphQLField]] = {}
    for resource in resources:
        groups.setdefault(resource.names.group, {}).update(_fields(resource))
    data = GraphQLObjectType(
        "Data",
        {name: GraphQLField(GraphQLObjectType(f"{name}Data", fields)) for name, fields in groups.items()},
    )
    return GraphQLSchema(GraphQLObjectType("Query", {"data": GraphQLField(data)}))


def _fields(resource: Resource) -> dict[str, GraphQLField]:
    name, items = resource.names.type, [item.graphql for item in resource.items]
    row = GraphQLObjectType(name, {item: GraphQLField(GraphQLString) for item in items})
    edge = GraphQLObjectType(
        f"{name}Edge", {"node": GraphQLField(GraphQLNonNull(row)), "cursor": GraphQLField(GraphQLString)}
    )
    page = GraphQLObjectType(
        f"{name}Connection",
        {
            "edges": GraphQLField(GraphQLList(edge)),
            "nodes": GraphQLField(GraphQLList(row)),
            "totalCount": GraphQLField(GraphQLInt),
        },
    )
    where = GraphQLInputObjectType(f"{name}Where", {item: GraphQLInputField(_FILTER) for item in items})
    order = GraphQLInputObjectType(f"{name}Order", {item: GraphQLInputField(_DIRECTION) for item in items})
    aggregate = GraphQLObjectType(f"{name}Aggregate", {item: GraphQLField(GraphQLInt) for item in items})
    return {
        resource.names.list: GraphQLField(
            page,
            {
                "where": GraphQLArgument(where),
                "orderBy": GraphQLArgument(GraphQLList(GraphQLNonNull(order))),
                "first": GraphQLArgument(GraphQLInt),
                "after": GraphQLArgument(GraphQLString),
            },
        ),
        resource.names.one: GraphQLField(row, {items[0]: GraphQLArgument(GraphQLNonNull(GraphQLString))}),
        f"{resource.names.list}Aggregate": GraphQLField(GraphQLList(aggregate), {"where": GraphQLArgument(where)}),
    }
