"""In charge of the unified schema: the fixed part in Strawberry with the generated part of one snapshot grafted on."""

from collections.abc import Iterable, Iterator
from typing import Any

from graphql import (
    GraphQLField,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    specified_directives,
)

from schema.data import DataTypes, build_data, passing
from schema.directives import KEY, RESOURCE, SHARE
from schema.federation import federation_part
from schema.fields import EXTENSION, RootField
from schema.fixed import search
from schema.fixed.query import fixed_part
from schema.generated import Shared, data_field
from schema.sdl import Texts
from tanglai.catalogue.model import Snapshot
from tanglai.catalogue.rules import RuleSet, rule_set


class UnifiedSchema:
    """The schema of one snapshot. Immutable; the texts are printed when they are first asked for.

    `graphql` executes the fixed part with a `RequestContext` as context value; fields under `data`, `_entities` and
    data rows under `node` are answered by the planner and raise INTERNAL here.
    """

    def __init__(
        self, snapshot: Snapshot, rules: RuleSet, graphql: GraphQLSchema, data: DataTypes, texts: Texts
    ) -> None:
        self.snapshot = snapshot
        self.rules = rules
        self.graphql = graphql
        self.data = data
        self._texts = texts

    @property
    def sdl(self) -> str:
        """The schema as text, with the share classes as applied directives; equal for equal snapshots."""
        return b"".join(self.sdl_parts).decode()

    @property
    def sdl_parts(self) -> tuple[bytes, ...]:
        """The same as UTF-8 in parts, printed once; what takes all of a long text at once holds every thread."""
        return self._texts.sdl(self.graphql)

    @property
    def federation_sdl(self) -> str:
        """The text that `_service { sdl }` answers: a subgraph of Apollo Federation 2."""
        return b"".join(self._texts.federation(self.graphql)).decode()

    def passing(self, entries: Iterable[Any]) -> Iterator[Any]:
        """`entries`, types or others, without room for the fields of all of them; see `schema.data.passing`."""
        return passing(self.data, entries)


def build(snapshot: Snapshot, *, reuse: UnifiedSchema | None = None) -> UnifiedSchema:
    """The schema of `snapshot`. Types of resources that `reuse` has with equal content are taken over.

    Pure, so it can run in a thread; takes about 0.1 ms of one core per resource that is not taken over, a fifth of it
    per resource that is.
    Raises ValueError for an unknown rule set and for names that GraphQL has no room for.
    """
    rules = rule_set(snapshot.rule_set)
    fixed = fixed_part()
    shared = Shared(fixed.node, fixed.page_info)
    data = build_data(snapshot, rules, shared, reuse.data if reuse is not None else None)
    known = fixed.query.fields
    node = GraphQLField(**known["node"].to_kwargs())
    node.extensions = {**node.extensions, EXTENSION: RootField.NODE}
    texts = Texts(snapshot, rules, data)
    federation = federation_part(data, texts.federation)
    fields = {
        "me": known["me"],
        "catalogue": known["catalogue"],
        "data": data_field(
            GraphQLNonNull(data.data),
            RootField.DATA,
            "The data of the departments, each field and row as far as the law lets the requester see it.",
        ),
        **{name: field for name, field in known.items() if name not in ("me", "catalogue", "node")},
        "node": node,
        **federation.fields,
    }
    query = GraphQLObjectType(
        "Query",
        fields,
        description="Reads the catalogue, the data and what the department has to do.",
        extensions=fixed.query.extensions,
    )
    graphql = GraphQLSchema(
        fixed.query,
        mutation=fixed.mutation,
        subscription=fixed.subscription,
        types=fixed.types,
        directives=[*specified_directives, KEY, RESOURCE, SHARE],
        description=f"唐徕渠 Tanglai: government data under {rules.title_en}.",
        extensions=fixed.strawberry._schema.extensions,
        assume_valid=True,
    )
    _graft(graphql, query, [*data.types, *federation.types])
    graphql._strawberry_schema = fixed.strawberry  # type: ignore[attr-defined]  # where Strawberry's Info looks for it
    graphql._data_types = data  # type: ignore[attr-defined]  # its types live as long as they (see `Component`)
    search.prepare(snapshot, reuse.snapshot if reuse is not None else None)
    return UnifiedSchema(snapshot, rules, graphql, data, texts)


def _graft(schema: GraphQLSchema, query: GraphQLObjectType, types: Iterable[GraphQLNamedType]) -> None:
    """Puts `query` in the place of the fixed one and adds `types`, which are all that it leads to besides.

    GraphQLSchema would find them by itself, but only by building the fields of every one of them.
    """
    type_map = schema.type_map
    for kind in types:
        if kind.name in type_map and type_map[kind.name] is not kind:
            raise ValueError(f"type `{kind.name}` is claimed twice")
        type_map[kind.name] = kind
        if isinstance(kind, GraphQLObjectType):
            for interface in kind.interfaces:
                schema.get_implementations(interface).objects.append(kind)
    schema.query_type = type_map[query.name] = query
