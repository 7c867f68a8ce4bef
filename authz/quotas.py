"""In charge of quotas that are used up: what rests on such a grant is denied, and nothing else changes."""

import hashlib
from dataclasses import replace

from authz.cubes import CubeRule
from authz.denial import Denial, Remedy, RemedyAction
from authz.visible import ItemRule, RelationRule, VisibleRelation
from tanglai.catalogue.errors import ErrorCode
from tanglai.catalogue.rules import RuleSet


def without(relation: VisibleRelation, spent: frozenset[str], rules: RuleSet) -> VisibleRelation:
    """`relation` for an operation that the quotas of the grants `spent` do not cover.

    INVARIANT: the rows stay as they are, with their order and number: a quota is no part of V. An item that rests on a
    spent grant is denied wherever it is used, also where another grant covers it too, so that what is answered never
    depends on how much is left of which grant.
    """
    used_up = spent & relation.quotas.keys()
    if not used_up:
        return relation
    exhausted = _Exhausted(relation, used_up, rules)
    return replace(
        relation,
        items={name: exhausted.item(rule) for name, rule in relation.items.items()},
        relations={name: exhausted.relation(rule) for name, rule in relation.relations.items()},
        cubes=tuple(exhausted.cube(cube) for cube in relation.cubes),
        fingerprint=hashlib.sha256("\x1f".join((relation.fingerprint, *sorted(used_up))).encode()).hexdigest(),
    )


class _Exhausted:
    def __init__(self, relation: VisibleRelation, used_up: frozenset[str], rules: RuleSet) -> None:
        self.resource = relation.resource
        self.used_up = used_up
        self.article = rules.articles[ErrorCode.QUOTA_EXCEEDED]

    def item(self, rule: ItemRule) -> ItemRule:
        name = rule.item.name
        return replace(rule, denial=rule.denial or self._denial(name, rule.grants, items=(name,)))

    def relation(self, rule: RelationRule) -> RelationRule:
        name = rule.relation.name
        return replace(rule, denial=rule.denial or self._denial(name, rule.grants, relations=(name,)))

    def cube(self, cube: CubeRule) -> CubeRule:
        return replace(cube, denial=self._denial(None, (cube.grant,), items=tuple(sorted(cube.items))))

    def _denial(
        self, name: str | None, grants: tuple[str, ...], items: tuple[str, ...] = (), relations: tuple[str, ...] = ()
    ) -> Denial | None:
        grants = tuple(id for id in grants if id in self.used_up)
        if not grants:
            return None
        resource = self.resource
        remedy = Remedy(RemedyAction.CONTACT_PROVIDER, resource.provider, resource.code, items, relations)
        return Denial(ErrorCode.QUOTA_EXCEEDED, self.article, resource.code, name, remedy, grants)
