"""In charge of what makes the schema a subgraph of Apollo Federation 2: `_entities` and `_service`."""

from collections.abc import Callable
from dataclasses import dataclass

from graphql import (
    GraphQLArgument,
    GraphQLField,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLString,
    GraphQLUnionType,
)

from schema.data import DataTypes
from schema.fields import RootField
from schema.generated import data_field
from tanglai.catalogue.model import Resource

FEDERATION_URL = "https://specs.apollo.dev/federation/v2.9"

MACHINERY = frozenset({"_Any", "_Entity", "_Service", "_entities", "_service"})
"""Types and root fields that a subgraph's text leaves out."""

ANY = GraphQLScalarType("_Any", description="An object of the fields of one key, with its `__typename`.")


def key_fields(resource: Resource) -> tuple[str, ...]:
    """The field sets of the resource's keys, for `@key`."""
    return tuple(" ".join(resource.item_by_name[name].graphql for name in key.items) for key in resource.keys)


@dataclass(frozen=True, slots=True)
class FederationPart:
    """Root fields of a subgraph, and their types."""

    fields: dict[str, GraphQLField]
    types: tuple[GraphQLNamedType, ...]


def federation_part(data: DataTypes, sdl: Callable[[GraphQLSchema], tuple[bytes, ...]]) -> FederationPart:
    """`_service`, and where some resource has a key, `_entities`."""
    service = GraphQLObjectType(
        "_Service",
        {
            "sdl": GraphQLField(
                GraphQLNonNull(GraphQLString),
                resolve=lambda _, info: b"".join(sdl(info.schema)).decode(),
                description="The text of the subgraph.",
            )
        },
        description="What a router needs to know of this graph.",
    )
    fields = {
        "_service": GraphQLField(
            GraphQLNonNull(service), resolve=lambda *_: {}, description="This graph as a subgraph (Apollo Federation)."
        )
    }
    entities = [member.object for _, member in sorted(data.resources.items()) if member.resource.keys]
    if not entities:
        return FederationPart(fields, (service,))
    union = GraphQLUnionType("_Entity", entities, description="Rows that other graphs can refer to by a key.")
    representations = GraphQLArgument(
        GraphQLNonNull(GraphQLList(GraphQLNonNull(ANY))), description="The keys, each with its type."
    )
    fields["_entities"] = data_field(
        GraphQLNonNull(GraphQLList(union)),
        RootField.ENTITIES,
        "Rows by their keys, in the order asked for; null where there is none.",
        {"representations": representations},
    )
    return FederationPart(fields, (service, union, ANY))
