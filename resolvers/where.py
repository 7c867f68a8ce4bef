"""In charge of filters: `where` arguments become predicates over compare cells, relations included."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from graphql import GraphQLField, GraphQLInputObjectType, GraphQLInputType, GraphQLList, GraphQLNonNull

from authz.denial import Denial
from authz.visible import Use
from connectors.protocol import RawOutput, SourceQuery, keyset_path
from connectors.registry import KINDS
from resolvers.cells import Link, Refused, constant, link_columns
from resolvers.passes import simplify
from resolvers.plan import At, KeySet
from resolvers.planner import Planning
from schema.fields import WhereItem, WhereLogic, WhereRelation, meaning
from tanglai.catalogue.errors import BadInput, ErrorCode, TanglaiError
from tanglai.catalogue.expressions import (
    FALSE,
    TRUE,
    Compare,
    CompareOp,
    Exists,
    Expression,
    In,
    IsNull,
    IsTrue,
    Match,
    MatchOp,
    Not,
    Slot,
    conjunction,
    disjunction,
)
from tanglai.catalogue.model import Item, Relation, Resource
from tanglai.catalogue.scalars import ScalarType


@dataclass(slots=True)
class Filter:
    """One `where` being planned. `keysets` collects the calls that must run before, in order."""

    planning: Planning
    keysets: list[KeySet] = field(default_factory=list)

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

    def argument(self, resource: Resource, definition: GraphQLField, given: Mapping[str, Any], at: At) -> Expression:
        """The predicate of the argument `where` of the field `at`, simplified; TRUE where it is not given."""
        value = given.get("where")
        if value is None:
            return TRUE
        where = self.predicate(resource, definition.args["where"].type, value, at.child("where"))
        return simplify(where) if self.planning.simplify else where

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
            parts.append(OPERATORS[operator](cell, item.type, operand))
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
            parts.append(QUANTIFIERS[quantifier](partial(self._exists, resource, link, at=where), inner))
        return conjunction(*parts)

    def _exists(self, resource: Resource, link: Link, inner: Expression, *, at: At) -> Expression:
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
        slot = keyset_path(len(self.keysets))
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


Operation = Callable[[Expression, ScalarType, Any], Expression]
"""The predicate of an operator on a cell of a type, given its operand."""


def _compare(op: CompareOp) -> Operation:
    return lambda cell, kind, operand: Compare(op, cell, constant(operand, kind))


def _match(op: MatchOp) -> Operation:
    return lambda cell, kind, operand: Match(op, cell, constant(operand, kind))


def _is_null(cell: Expression, kind: ScalarType, operand: Any) -> Expression:
    return IsNull(cell) if operand else Not(IsNull(cell))


def _in(cell: Expression, kind: ScalarType, operand: Any) -> Expression:
    values = operand if isinstance(operand, list) else [operand]
    if None in values:
        raise BadInput("a list of operands may not hold null")
    return In(cell, tuple(constant(value, kind) for value in values)) if values else FALSE


OPERATORS: Mapping[str, Operation] = {
    **{op.value: _compare(op) for op in CompareOp},
    **{op.value: _match(op) for op in MatchOp},
    "isNull": _is_null,
    "in": _in,
    "notIn": lambda cell, kind, operand: Not(_in(cell, kind, operand)),
}
"""Every operator of a `where`. Each has rows in the matrix test."""


Exist = Callable[[Expression], Expression]
"""Whether a visible link leads to a row on which a predicate is true; two-valued."""
QUANTIFIERS: Mapping[str, Callable[[Exist, Expression], Expression]] = {
    "some": lambda exists, inner: exists(inner),
    "none": lambda exists, inner: Not(exists(inner)),
    "every": lambda exists, inner: Not(exists(Not(IsTrue(inner)))),
}
"""Every quantifier of a `where` through a relation. Each has rows in the matrix test."""


def _input_object(kind: GraphQLInputType) -> GraphQLInputObjectType:
    while isinstance(kind, GraphQLNonNull | GraphQLList):
        kind = kind.of_type
    assert isinstance(kind, GraphQLInputObjectType)
    return kind
