"""In charge of filters that probe what is hidden: cells and links that some visible rows have and others have not.

A filter at random seldom meets a row on which the answer turns; these are made where there is one.
"""

from collections.abc import Mapping
from typing import Any

from tanglai.catalogue.model import Item, Relation, Resource
from tanglai.catalogue.scalars import ScalarType
from tests.oracle.dice import Dice
from tests.oracle.language import Var
from tests.oracle.pools import operands
from tests.oracle.sight import Sight

Sights = Mapping[str, Sight]


def torn_items(sight: Sight) -> list[Item]:
    """Items that are clear on some visible rows, and on others not although they have a value there."""
    found: list[Item] = []
    for item in sight.resource.items:
        if sight.gone is not None or sight.use(item.name) is not None or not item.type.comparable:
            continue
        cells = [
            (clear, row[item.column.name] is not None)
            for clear, row, visible in zip(sight.clear[item.name], sight.rows, sight.visible, strict=True)
            if visible
        ]
        if (False, True) in cells and (True, True) in cells:
            found.append(item)
    return found


def torn_link(sights: Sights, resource: Resource, relation: Relation) -> bool:
    """Whether some visible rows link by this relation, and others would, but for a rule at one of its ends."""
    here, there = sights[resource.code], sights[relation.target]
    near = [follows for follows, seen in zip(here.follows[relation.name], here.visible, strict=True) if seen]
    far = [follows for follows, seen in zip(there.follows[relation.inverse], there.visible, strict=True) if seen]
    return any(near) and any(far) and not (all(near) and all(far))


def followed(sights: Sights, resource: Resource, relation: Relation) -> bool:
    here, there = sights[resource.code], sights[relation.target]
    return here.not_followed[relation.name] is None and there.not_followed[relation.inverse] is None


def probing(dice: Dice, sights: Sights, resource: Resource, literal: bool) -> dict[str, Any]:
    """A filter on something torn, mostly under NOT or a quantifier that denies; {} where nothing is torn."""
    probes: list[dict[str, Any]] = []
    for item in torn_items(sights[resource.code]):
        test = {item.graphql: _test(dice, sights[resource.code], item, literal)}
        probes += [{"not": test}, {"not": test}, {"or": [test, {"not": test}]}, test]
    for relation in resource.relations:
        if not followed(sights, resource, relation):
            continue
        if torn_link(sights, resource, relation):
            wanted = dice.pick(("none", "some", "every"))
            probe: dict[str, Any] = {relation.graphql: {wanted: {} if wanted != "every" else {"or": []}}}
            probes += [probe, {"not": probe}]
        follows = sights[resource.code].follows[relation.name]
        if {True, False} <= {f for f, seen in zip(follows, sights[resource.code].visible, strict=True) if seen}:
            # Where a rule is not TRUE there is no link, whether it is FALSE or unknown.
            probes += [{relation.graphql: {"none": {}}}, {"not": {relation.graphql: {"some": {}}}}] * 3
        there = sights[relation.target]
        if torn := torn_items(there):
            item = dice.pick(torn)
            inner = {item.graphql: _test(dice, there, item, literal)}
            probes.append({relation.graphql: {dice.pick(("every", "every", "none", "some")): inner}})
            probes.append({relation.graphql: {dice.pick(("every", "none", "some")): {"not": inner}}})
    return dice.pick(probes) if probes else {}


def _test(dice: Dice, sight: Sight, item: Item, literal: bool) -> dict[str, Any]:
    """A test that a hidden value would change: with one of them, or with one that no row has."""
    rows = zip(sight.rows, sight.clear[item.name], strict=True)
    hidden = [row[item.column.name] for row, clear in rows if not clear and row[item.column.name] is not None]
    value = dice.pick(hidden) if hidden and dice.chance(2, 3) else dice.pick(operands(item))
    operators = ["ne", "eq", "in", "notIn"]
    if item.type is not ScalarType.BOOLEAN:
        operators += ["lt", "gte"]
    if item.type is ScalarType.TEXT:
        operators.append("contains")
    operator = dice.pick(operators)
    given = value if literal or dice.chance(1, 2) else Var(value)
    return {operator: [given] if operator in ("in", "notIn") else given}
