"""In charge of filters: `where` arguments become predicates over compare cells, relations included."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from graphql import GraphQLInputObjectType, GraphQLInputType, GraphQLList, GraphQLNonNull

from authz.denial import Denial
from authz.visible import Use
from connectors.protocol import RawOutput, SourceQuery, keyset_path
from connectors.registry import KINDS
from resolvers.plan import At, KeySet
from schema.fields import WhereItem, WhereLogic, WhereRelation, meaning
from tanglai.catalogue.errors import BadInput, ErrorCode, TanglaiError
from tanglai.catalogue.expressions import (
    FALSE,
    Column,
    Compare,
    CompareOp,
    Exists,
    Expression,
    In,
    IsNull,
    IsTrue,
    ItemRef,
    Match,
    MatchOp,
    Not,
    Slot,
    Value,
    conjunction,
    disjunction,
    rewrite,
)
from tanglai.catalogue.model import Item, Relation, Resource
from tanglai.catalogue.scalars import ScalarType

if TYPE_CHECKING:
    from resolvers.planner import Planning


class Refused(Exception):
    """A denied use outside selection: the whole operation is refused before any source is touched."""

    def __init__(self, denial: Denial, at: At) -> None:
        super().__init__(denial.code)
        self.denial = denial
        self.at = at


def bind(expression: Expression, resource: Resource) -> Expression:
    """`expression` over items, as an expression over the columns that `resource` binds them to."""

    def column(node: Expression) -> Expression | None:
        return resource.item_by_name[node.name].column if isinstance(node, ItemRef) else None

    return rewrite(expression, column)


def constant(value: Any, kind: ScalarType) -> Value | Slot:
    """A literal as a value, a variable as a slot, typed by the item (never guessed from the value)."""
    return replace(value, type=kind) if isinstance(value, Slot) else Value(value, kind)


def link_columns(resource: Resource, items: tuple[str, ...]) -> tuple[Column, ...]:
    return tuple(resource.item_by_name[name].column for name in items)


_COMPARE = {op.value: op for op in CompareOp}
_MATCH = {op.value: op for op in MatchOp}


@dataclass(slots=True)
class Filter:
    """One `where` being planned. `keysets` collects the calls that must run before, in order."""

    planning: "Planning"
    keysets: list[KeySet]
    name: str

    def predicate(self, resource: Resource, kind: GraphQLInputType, value: Mapping[str, Any], at: At) -> Expression:
        """The predicate of `value`, a slotted where of `resource`, over its columns. `{}` is TRUE.

        Raises Refused for a denied item or relation, BAD_INPUT for an explicit null and for what makes no sense.
        """
        fields = _input_object(kind).fields
        parts: list[Expression] = []
        for name, operand in value.items():
            self.planning.count_term()
            here = at.child(name)
            if operand is None:
                raise BadInput(f"`{name}` may not be null in a filter", fieldPath=str(here))
            what = meaning(fields[name])
            if isinstance(what, WhereItem):
                parts.append(self._item(resource, what.item, operand, here))
            elif isinstance(what, WhereRelation):
                parts.append(self._relation(resource, what.relation, fields[name].type, operand, here))
            elif what is WhereLogic.NOT:
                parts.append(Not(self.predicate(resource, kind, operand, here)))
            else:
                inner = [self._part(resource, kind, part, here) for part in operand]
                parts.append(conjunction(*inner) if what is WhereLogic.AND else disjunction(*inner))
        return conjunction(*parts)

    def _part(self, resource: Resource, kind: GraphQLInputType, part: Any, at: At) -> Expression:
        if part is None:
            raise BadInput("a filter's list may not hold null", fieldPath=str(at))
        return self.predicate(resource, kind, part, at)

    def _item(self, resource: Resource, item: Item, operators: Mapping[str, Any], at: At) -> Expression:
        cell = self.planning.cell(resource, item, Use.WHERE, at)
        parts: list[Expression] = []
        for operator, operand in operators.items():
            self.planning.count_term()
            if operand is None:
                raise BadInput(f"`{operator}` may not be null", fieldPath=str(at.child(operator)))
            parts.append(_operation(cell, item.type, operator, operand))
        return conjunction(*parts)

    def _relation(
        self,
        resource: Resource,
        relation: Relation,
        kind: GraphQLInputType,
        quantifiers: Mapping[str, Any],
        at: At,
    ) -> Expression:
        fields = _input_object(kind).fields
        link = self.planning.link(resource, relation)
        if isinstance(link, Denial):
            raise Refused(link, at)
        self.planning.told(link.far)
        parts: list[Expression] = []
        for quantifier, operand in quantifiers.items():
            where = at.child(quantifier)
            if operand is None:
                raise BadInput(f"`{quantifier}` may not be null", fieldPath=str(where))
            inner = self.predicate(link.target, fields[quantifier].type, operand, where)
            if quantifier == "every":
                parts.append(Not(self._exists(resource, link, Not(IsTrue(inner)), where)))
            elif quantifier == "none":
                parts.append(Not(self._exists(resource, link, inner, where)))
            else:
                parts.append(self._exists(resource, link, inner, where))
        return conjunction(*parts)

    def _exists(self, resource: Resource, link: "Link", inner: Expression, at: At) -> Expression:
        """Whether a visible link leads to a row that passes `inner`; two-valued."""
        here, there = link_columns(resource, link.relation.items), link_columns(link.target, link.relation.target_items)
        kind = KINDS.get(self.planning.snapshot.sources[resource.binding.source].kind)
        nested = kind is not None and kind.capabilities.nested
        visible = conjunction(link.target_row, link.target_rows)
        if nested and link.target.binding.source == resource.binding.source:
            exists: Expression = Exists(
                link.target.binding.namespace,
                link.target.binding.table,
                tuple(zip(here, there, strict=True)),
                conjunction(visible, inner),
            )
            return conjunction(link.rows, exists)
        if len(there) != 1:
            raise TanglaiError(
                ErrorCode.CAPABILITY_MISSING,
                "a filter through a relation of several key items stays inside one source",
                fieldPath=str(at),
            )
        slot = keyset_path(self.name, len(self.keysets))
        query = self.planning.admit(
            SourceQuery(
                source=link.target.binding.source,
                namespace=link.target.binding.namespace,
                table=link.target.binding.table,
                outputs=(RawOutput(there[0]),),
                visible=conjunction(visible, Not(IsNull(there[0]))),
                where=inner,
                limit=self.planning.limits.link_keys + 1,
                group_by=(there[0],),
                options=link.target.binding.options,
                max_rows=link.target.binding.max_rows,
            ),
            link.target,
            at,
        )
        self.keysets.append(KeySet(slot, query))
        return conjunction(link.rows, IsTrue(In(here[0], (Slot(slot, here[0].type, many=True),))))


@dataclass(frozen=True, slots=True)
class Link:
    """A relation that may be followed: the rows of either end that link, and the target's visible rows.

    All expressions are over columns, two-valued. `far` are the grants that the rule of the target's end rests on.
    """

    relation: Relation
    target: Resource
    rows: Expression
    target_rows: Expression
    target_row: Expression
    far: tuple[str, ...]


def _operation(cell: Expression, kind: ScalarType, operator: str, operand: Any) -> Expression:
    if operator == "isNull":
        return IsNull(cell) if operand else Not(IsNull(cell))
    if operator in _COMPARE:
        return Compare(_COMPARE[operator], cell, constant(operand, kind))
    if operator in _MATCH:
        return Match(_MATCH[operator], cell, constant(operand, kind))
    values = operand if isinstance(operand, list) else [operand]
    if None in values:
        raise BadInput(f"`{operator}` may not hold null")
    member: Expression = In(cell, tuple(constant(value, kind) for value in values)) if values else FALSE
    return Not(member) if operator == "notIn" else member


def _input_object(kind: GraphQLInputType) -> GraphQLInputObjectType:
    while isinstance(kind, GraphQLNonNull | GraphQLList):
        kind = kind.of_type
    assert isinstance(kind, GraphQLInputObjectType)
    return kind
