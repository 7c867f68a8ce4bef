"""In charge of the directives that stand on generated types: the share class, the resource, the keys."""

from graphql import (
    DirectiveLocation,
    GraphQLArgument,
    GraphQLDirective,
    GraphQLNonNull,
    GraphQLScalarType,
    GraphQLString,
)

from schema.fixed.query import fixed_part

FIELD_SET = GraphQLScalarType("FieldSet", description="Names of fields, separated by spaces.")

SHARE = GraphQLDirective(
    "share",
    [DirectiveLocation.FIELD_DEFINITION],
    {
        "class": GraphQLArgument(GraphQLNonNull(fixed_part().share_class), description="The share class."),
        "article": GraphQLArgument(GraphQLString, description="The article under which the field is used."),
    },
    description="The share class of an item or a relation (Art. 9).",
)
RESOURCE = GraphQLDirective(
    "resource",
    [DirectiveLocation.OBJECT],
    {
        "code": GraphQLArgument(GraphQLNonNull(GraphQLString), description="Code of the catalogue entry."),
        "provider": GraphQLArgument(GraphQLNonNull(GraphQLString), description="Credit code of the provider."),
        "shareClass": GraphQLArgument(GraphQLNonNull(fixed_part().share_class), description="Its share class."),
    },
    description="The catalogue entry that an object type stands for.",
)
KEY = GraphQLDirective(
    "key",
    [DirectiveLocation.OBJECT, DirectiveLocation.INTERFACE],
    {
        "fields": GraphQLArgument(GraphQLNonNull(FIELD_SET), description="Fields that together name one object."),
    },
    is_repeatable=True,
    description="A catalogued key, by which other graphs refer to the object (Apollo Federation).",
)
