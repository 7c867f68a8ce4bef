"""In charge of planning: what an operation selects becomes a Plan. No I/O; `authz` decides each use of each item.

Passes, in order: names are qualified by the schema's metadata; every item becomes a cell of its visible relation; cells
in filters are simplified where that changes nothing (passes.py); filters, order and page go into the source's query;
relations become batched calls.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import GraphQLField, GraphQLObjectType, GraphQLSchema, get_named_type

from authz.denial import Denial
from authz.visible import Use, VisibleRelation
from connectors.protocol import (
    Output,
    RawOutput,
    SourceQuery,
)
from connectors.registry import KINDS
from resolvers.cells import Link, Refused, bind
from resolvers.limits import Limits
from resolvers.plan import (
    Answer,
    At,
    Plan,
    PlannedError,
)
from resolvers.selection import Collector, Selected
from resolvers.values import arguments_of
from tanglai.catalogue.errors import ErrorCode, TanglaiError
from tanglai.catalogue.expressions import (
    Expression,
)
from tanglai.catalogue.model import Item, Quota, Relation, Resource, Snapshot


@dataclass(slots=True)
class Outputs:
    """The columns of one source query while it is planned."""

    columns: list[Output] = field(default_factory=list)

    def add(self, output: Output) -> int:
        if isinstance(output, RawOutput) and output in self.columns:
            return self.columns.index(output)
        self.columns.append(output)
        return len(self.columns) - 1

    def raw(self, expression: Expression) -> int:
        return self.add(RawOutput(expression))


@dataclass(slots=True)
class Planning:
    """One operation being planned for one principal. Collects errors, uses and what the extensions tell."""

    snapshot: Snapshot
    schema: GraphQLSchema
    limits: Limits
    variables: Mapping[str, Any]
    collector: Collector
    visible: Callable[[Resource], VisibleRelation]
    id_kind: Callable[[str], str]
    errors: dict[PlannedError, None] = field(default_factory=dict)
    uses: dict[str, set[str]] = field(default_factory=dict)
    grants: dict[str, None] = field(default_factory=dict)
    masked: dict[str, None] = field(default_factory=dict)
    partial: dict[str, None] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    quotas: dict[str, Quota] = field(default_factory=dict)
    metered: dict[str, Quota] = field(default_factory=dict)
    needles: list[tuple[str, At]] = field(default_factory=list)
    calls: int = 0
    terms: int = 0
    simplify: bool = True

    # --- decisions -------------------------------------------------------------------------------------------------

    def relation_of(self, resource: Resource) -> VisibleRelation:
        self.uses.setdefault(resource.code, set())
        relation = self.visible(resource)
        self.quotas.update(relation.quotas)
        return relation

    def cell(self, resource: Resource, item: Item, use: Use, at: At) -> Expression:
        """The compare cell of `item` over columns. Raises Refused when it is denied or masked only."""
        relation = self.relation_of(resource)
        cell = relation.resolve(item.name, use)
        self.uses[resource.code].add(item.name)
        if isinstance(cell, Denial):
            raise Refused(cell, at)
        self.told(relation.items[item.name].grants)
        return bind(cell, resource)

    def link(self, resource: Resource, relation: Relation) -> Link | Denial:
        """Both ends of a relation, or the denial of the first end that does not hold."""
        target = self.snapshot.resources[relation.target]
        here, there = self.relation_of(resource), self.relation_of(target)
        self.uses[resource.code].add(relation.name)
        near, far = here.follow(relation.name), there.follow(relation.inverse)
        if isinstance(near, Denial):
            return near
        if isinstance(far, Denial):
            return far
        self.told(near.grants)
        return Link(
            relation,
            target,
            bind(near.rows, resource),
            bind(far.rows, target),
            bind(there.row, target),
            far.grants,
        )

    def told(self, grants: Iterable[str]) -> None:
        """What the call that is being planned uses rests on `grants`."""
        for grant in grants:
            self.grants[grant] = None
            self.used.add(grant)

    def charged(self) -> tuple[str, ...]:
        """The grants with a quota that the call uses whose planning began when `used` was empty."""
        charged = tuple(sorted(grant for grant in self.used if grant in self.quotas))
        self.metered.update((grant, self.quotas[grant]) for grant in charged)
        return charged

    def deny(self, denial: Denial, at: At) -> None:
        """Tells a denied response field, once however often it is planned (`_entities`: once per key of a type)."""
        self.errors[PlannedError(denial, at)] = None

    def denied_whole(self, resource: Resource, at: At) -> bool:
        """Whether the principal has no relation at all to `resource`; if so, the field `at` is told denied."""
        denial = self.relation_of(resource).denial
        if denial is not None:
            self.deny(denial, at)
        return denial is not None

    # --- bounds ----------------------------------------------------------------------------------------------------

    def count_call(self) -> None:
        self.calls += 1
        if self.calls > self.limits.data_calls:
            raise TanglaiError(
                ErrorCode.LIMIT_EXCEEDED, f"the operation needs more than {self.limits.data_calls} source calls"
            )

    def count_term(self) -> None:
        self.terms += 1
        if self.terms > self.limits.where_terms:
            raise TanglaiError(
                ErrorCode.LIMIT_EXCEEDED, f"the operation's filters have more than {self.limits.where_terms} terms"
            )

    def admit(self, query: SourceQuery, resource: Resource, at: At) -> SourceQuery:
        """`query`, if a source of this kind can run it, else CAPABILITY_MISSING; decided from catalogue data alone."""
        if query.empty:
            return query
        self.count_call()
        kind = KINDS.get(self.snapshot.sources[resource.binding.source].kind)
        refusal = kind.refusal(query) if kind is not None else None  # an unknown kind is an unavailable source
        if refusal is not None:
            raise TanglaiError(
                ErrorCode.CAPABILITY_MISSING,
                f"the source of `{resource.code}` cannot {refusal}",
                resource=resource.code,
                fieldPath=str(at),
            )
        return query

    def arguments(self, definition: GraphQLField, selected: Selected) -> dict[str, Any]:
        return arguments_of(definition.args, selected.node, self.variables)

    def plan(self, roots: Iterable[tuple[str, Answer]]) -> Plan:
        return Plan(
            tuple(roots),
            tuple(self.errors),
            {code: frozenset(names) for code, names in self.uses.items()},
            tuple(self.grants),
            tuple(self.masked),
            tuple(self.partial),
            tuple(self.uses),
            tuple(self.needles),
            self.metered,
        )


def object_type(definition: GraphQLField) -> GraphQLObjectType:
    """The object type of a field, lists and non-null taken off."""
    kind = get_named_type(definition.type)
    assert isinstance(kind, GraphQLObjectType)
    return kind


def quoted(value: str) -> str:
    """The JSON text of a name."""
    return f'"{value}"'
