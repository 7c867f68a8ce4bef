"""In charge of the schema as text: SDL with its applied directives, for people, tools and routers.

graphql-core prints no applied directives, so object types are printed here; all else is its own printing.
"""

from collections.abc import Iterable, Iterator

from graphql import (
    GraphQLDirective,
    GraphQLField,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    is_specified_directive,
    print_type,
)
from graphql.language.print_string import print_string
from graphql.utilities.print_schema import (
    is_defined_type,
    print_args,
    print_deprecated,
    print_description,
    print_directive,
    print_implemented_interfaces,
    print_schema_definition,
)

from schema.data import DataTypes, passing
from schema.descriptions import article
from schema.directives import FIELD_SET, KEY
from schema.federation import FEDERATION_URL, MACHINERY, key_fields
from schema.fields import EXTENSION, ItemField, RelationField
from tanglai.catalogue.model import Resource, Snapshot
from tanglai.catalogue.rules import RuleSet

_SHAREABLE = frozenset({"PageInfo"})
"""Object types that all graphs of this kind have alike."""


PART_CHARACTERS = 500_000


class Texts:
    """Both texts of one schema, printed when they are first asked for.

    The schema is handed in and not held, so that it does not refer to itself.
    """

    def __init__(self, snapshot: Snapshot, rules: RuleSet, data: DataTypes) -> None:
        self._snapshot = snapshot
        self._rules = rules
        self._data = data
        self._sdl: tuple[bytes, ...] = ()
        self._federation: tuple[bytes, ...] = ()

    def sdl(self, schema: GraphQLSchema) -> tuple[bytes, ...]:
        """The text for clients as UTF-8, in parts of about PART_CHARACTERS."""
        if not self._sdl:
            self._sdl = _in_parts(print_sdl(schema, self._snapshot, self._rules, self._data))
        return self._sdl

    def federation(self, schema: GraphQLSchema) -> tuple[bytes, ...]:
        """The subgraph's text in the same form."""
        if not self._federation:
            self._federation = _in_parts(federation_sdl(schema, self._snapshot, self._rules, self._data))
        return self._federation


def _in_parts(pieces: Iterable[str]) -> tuple[bytes, ...]:
    parts: list[bytes] = []
    some: list[str] = []
    size = 0
    for piece in pieces:
        some.append(piece)
        size += len(piece)
        if size >= PART_CHARACTERS:
            parts.append("".join(some).encode())
            some, size = [], 0
    return (*parts, "".join(some).encode())


def print_sdl(schema: GraphQLSchema, snapshot: Snapshot, rules: RuleSet, data: DataTypes) -> Iterator[str]:
    """The schema for clients: directives, then types by name, fields in the order of the catalogue.

    Federation's machinery (`_entities`, `_service`) is left out, as in the texts of other subgraphs.
    """
    definition = print_schema_definition(schema)
    printer = _Printer(snapshot, rules)
    head = [definition] if definition else []
    yield "\n\n".join([*head, *_directives(schema)])
    for kind in passing(data, _types(schema)):
        yield f"\n\n{printer.type(kind)}"
    yield "\n"


def federation_sdl(schema: GraphQLSchema, snapshot: Snapshot, rules: RuleSet, data: DataTypes) -> Iterator[str]:
    """The schema as a subgraph of Apollo Federation 2: what its `_service { sdl }` answers."""
    printer = _Printer(snapshot, rules, subgraph=True)
    head = f'extend schema @link(url: "{FEDERATION_URL}", import: ["@key", "@shareable"])'
    yield "\n\n".join([head, *_directives(schema, without=KEY)])
    for kind in passing(data, _types(schema)):
        if kind is not FIELD_SET:
            yield f"\n\n{printer.type(kind)}"
    yield "\n"


def _types(schema: GraphQLSchema) -> list[GraphQLNamedType]:
    """Types by name, without what is built in and without Federation's machinery."""
    return [kind for name, kind in sorted(schema.type_map.items()) if is_defined_type(kind) and name not in MACHINERY]


def _directives(schema: GraphQLSchema, without: GraphQLDirective | None = None) -> list[str]:
    own = (d for d in schema.directives if not is_specified_directive(d) and d is not without)
    return [print_directive(directive) for directive in sorted(own, key=lambda directive: directive.name)]


class _Printer:
    def __init__(self, snapshot: Snapshot, rules: RuleSet, *, subgraph: bool = False) -> None:
        self.snapshot = snapshot
        self.rules = rules
        self.subgraph = subgraph

    def type(self, kind: GraphQLNamedType) -> str:
        if not isinstance(kind, GraphQLObjectType):
            return print_type(kind)
        resource = kind.extensions.get(EXTENSION)
        applied = _resource_directives(resource) if isinstance(resource, Resource) else ""
        if self.subgraph and kind.name in _SHAREABLE:
            applied += " @shareable"
        fields: list[str] = []
        for name, field in kind.fields.items():
            if name in MACHINERY:
                continue
            fields.append(
                print_description(field, "  ", not fields)
                + f"  {name}{print_args(field.args, '  ')}: {field.type}"
                + print_deprecated(field.deprecation_reason)
                + (self._share(field) if isinstance(resource, Resource) else "")
            )
        body = "\n".join(fields)
        interfaces = print_implemented_interfaces(kind)
        return f"{print_description(kind)}type {kind.name}{interfaces}{applied} {{\n{body}\n}}"

    def _share(self, field: GraphQLField) -> str:
        meaning = field.extensions.get(EXTENSION)
        if isinstance(meaning, ItemField):
            share_class = meaning.item.share_class
        elif isinstance(meaning, RelationField):
            share_class = self.snapshot.relation_class(meaning.resource, meaning.relation)
        else:
            return ""
        return f" @share(class: {share_class.value}, article: {print_string(article(self.rules, share_class))})"


def _resource_directives(resource: Resource) -> str:
    code = print_string(resource.code)
    provider = print_string(resource.provider)
    applied = "".join(f" @key(fields: {print_string(fields)})" for fields in key_fields(resource))
    return f"{applied} @resource(code: {code}, provider: {provider}, shareClass: {resource.share_class.value})"
