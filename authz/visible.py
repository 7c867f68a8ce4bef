"""In charge of the visible relation: what one resource looks like to one principal, purpose and moment.

Every part of a query runs on it. `VisibleRelation.resolve` is the one choke point: nothing reaches a physical column
except through it (authorization.md).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from authz.cubes import CubeRule
from authz.denial import Denial
from tanglai.catalogue.errors import ErrorCode
from tanglai.catalogue.expressions import FALSE, TRUE, Case, Expression, ItemRef, Masked, Null, Or
from tanglai.catalogue.model import Item, NamedMask, Quota, Relation, Resource


class Use(StrEnum):
    """What an operation does with an item. All but SELECT see the compare cell."""

    SELECT = "SELECT"
    WHERE = "WHERE"
    ORDER = "ORDER"
    GROUP = "GROUP"
    AGGREGATE = "AGGREGATE"
    KEY = "KEY"


@dataclass(frozen=True, slots=True)
class ItemRule:
    """The rule of one item: on which rows it is clear, on which only masked (weakest mask first), else hidden.

    Conditions are two-valued expressions over items. `denial` is set iff the item is shown on no row, or (by
    `authz.quotas`) rests on a grant whose quota is used up.
    """

    item: Item
    clear: Expression
    masked: tuple[tuple[NamedMask, Expression], ...]
    grants: tuple[str, ...]
    allowance: str
    denial: Denial | None
    masked_use: Denial | None = None

    @property
    def raw(self) -> ItemRef:
        return ItemRef(self.item.name, self.item.type)

    @property
    def rows(self) -> tuple[Expression, ...]:
        """The conditions under which the item is shown, clear or masked."""
        return (self.clear, *(condition for _, condition in self.masked))

    @property
    def shown(self) -> Expression:
        """The shown cell: clear value, else the weakest live mask's rendering, else null."""
        branches: list[tuple[Expression, Expression]] = []
        if self.clear != FALSE:
            branches.append((self.clear, self.raw))
        branches += [(condition, Masked(named.mask, self.raw)) for named, condition in self.masked]
        return _guarded(self.item, branches)

    @property
    def compare(self) -> Expression:
        """The compare cell: the raw value where a clear rule holds, else null."""
        return _guarded(self.item, [(self.clear, self.raw)] if self.clear != FALSE else [])


def _alternatives(condition: Expression) -> set[Expression]:
    """The conditions of which one must hold, whatever their order."""
    return set(condition.parts) if isinstance(condition, Or) else {condition}


def _guarded(item: Item, branches: list[tuple[Expression, Expression]]) -> Expression:
    if not branches:
        return Null(item.type)
    if branches[0][0] == TRUE:
        return branches[0][1]
    return Case(tuple(branches), item.type)


@dataclass(frozen=True, slots=True)
class RelationRule:
    """The rule of one end of a relation: the rows of this resource from which it may be followed."""

    relation: Relation
    rows: Expression
    grants: tuple[str, ...]
    denial: Denial | None


@dataclass(frozen=True)
class VisibleRelation:
    """V of authorization.md for one resource. Immutable; `fingerprint` names everything that shapes it.

    `denial` is set iff there is no relation at all (not in the token's scope, other zone). `row` is the condition under
    which a row is visible. The decision holds for `now < valid_until` (None: until an epoch changes). `cubes` are the
    usable grants for statistics, by id; they make no row visible. `quotas` are those of the grants that something rests
    on, by id; they are no part of V.
    """

    resource: Resource
    items: Mapping[str, ItemRule]
    relations: Mapping[str, RelationRule]
    row: Expression
    fingerprint: str
    valid_until: datetime | None
    denial: Denial | None = None
    cubes: tuple[CubeRule, ...] = ()
    quotas: Mapping[str, Quota] = field(default_factory=dict)

    def resolve(self, item: str, use: Use) -> Expression | Denial:
        """The cell of `item` for `use`, over items of the resource, or why not.

        INVARIANT: the only way from an item to its column. Selection gets the shown cell, all else the compare cell; a
        masked-only item can be selected, nothing more.
        """
        if self.denial is not None:
            return self.denial
        rule = self.items[item]
        if rule.denial is not None:
            return rule.denial
        if use is Use.SELECT:
            return rule.shown
        if rule.masked_use is not None:
            return rule.masked_use
        return rule.compare

    def cube(self, items: Collection[str]) -> CubeRule | None:
        """The one published cube that answers figures of `items`: none where reading answers them, or nothing does.

        Reading answers where a row is visible and every item is clear on some row. A cube answers all of the items or
        none: it is never merged with reading, nor with another cube.
        """
        if self.row != FALSE and all(self.items[name].clear != FALSE for name in items):
            return None
        return next((cube for cube in self.cubes if cube.items.issuperset(items)), None)

    def follow(self, relation: str) -> RelationRule | Denial:
        """The rule of this end of `relation`, or why it cannot be followed."""
        if self.denial is not None:
            return self.denial
        rule = self.relations[relation]
        return rule.denial if rule.denial is not None else rule

    def masked_only(self, item: str) -> bool:
        """Whether `item` is shown masked on some row and clear on none."""
        rule = self.items[item]
        return rule.masked_use is not None and rule.masked_use.code is ErrorCode.MASKED_USE

    def partial(self, item: str) -> bool:
        """Whether `item` is clear on some of the visible rows only, as far as the rules tell."""
        clear = self.items[item].clear
        return clear != TRUE and not (_alternatives(self.row) <= _alternatives(clear))
