"""In charge of random grants: of every kind and state, overlapping, with masks, published cubes and quotas."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from tanglai.catalogue.expressions import FALSE, Attribute, Compare, CompareOp, Expression, ItemRef
from tanglai.catalogue.model import (
    Department,
    Grant,
    GrantBasis,
    GrantState,
    Item,
    Period,
    Quota,
    Relation,
    Resource,
    ShareClass,
    Statistics,
    Usage,
)
from tanglai.catalogue.predicates import predicate_from_document
from tanglai.catalogue.scalars import ScalarType, to_json
from tests.catalogues import (
    PUBLIC_SECURITY,
    YINCHUAN,
)
from tests.gateways import NOW, PURPOSE
from tests.oracle.dice import Dice
from tests.oracle.pools import ASKING, DAY, DIVISIONS_BY_CODE, operands
from tests.oracle.predicates import Truth, truth
from tests.oracle.sight import Rows


def some_grants(dice: Dice, resources: Sequence[Resource], rows: Rows) -> tuple[Grant, ...]:
    """Up to nine grants on `resources`, and some to follow relations and to publish statistics."""
    requesters = [YINCHUAN] * 7 + [PUBLIC_SECURITY] if dice.chance(3, 4) else [YINCHUAN, dice.pick(ASKING[1:])]
    grants: list[Grant] = []
    for number in range(dice.pick((3, 6, 9, 4, 7, 8, 1, 0))):
        resource = dice.pick(resources)
        grants.append(_grant(dice, resource, number, grants, rows, dice.pick(requesters)))
    for resource in resources:
        for relation in resource.relations:
            if dice.chance(3, 4):
                grants.append(_opening(dice, resource, relation, f"r{len(grants)}", rows, dice.pick(requesters)))
        grants += _publications(dice, resource, rows, dice.pick(requesters))
    return tuple(_with_quotas(dice, grants))


_STATES = (GrantState.SUSPENDED, GrantState.ENDED, GrantState.EXPIRED, GrantState.DISPOSED)
_BASES = (GrantBasis.CONSULTATION, GrantBasis.APPLICATION, GrantBasis.COORDINATION)


def _grant(
    dice: Dice, resource: Resource, number: int, before: Sequence[Grant], rows: Rows, requester: Department
) -> Grant:
    """A grant like any; sometimes one that overlaps an earlier one in all but rows and masks."""
    twin = dice.pick(before) if before and dice.chance(1, 3) else None
    if twin is not None and twin.resource == resource.code:
        scope = _scope(dice, resource, rows)
        if number % 3 == 1:  # the same rows under another mask
            scope = twin.scope
        return replace(twin, id=f"g{9 - number}", scope=scope, masks=_masks(dice, resource, twin.items))
    relations = [relation.name for relation in resource.relations]
    if relations and dice.chance(1, 3):  # to be followed, and nothing else: makes no row visible
        items: list[str] = []
    else:
        items = _granted(dice, resource)
        relations = [name for name in relations if dice.chance(1, 2)]
    odd = dice.number(0, 11)  # most grants are usable
    begins, ends = NOW - DAY, dice.pick((None, NOW + DAY))
    if odd == 11:
        begins, ends = dice.pick(((NOW + DAY, None), (NOW - DAY, NOW), (NOW, NOW + timedelta(microseconds=1))))
    return Grant(
        id=f"g{9 - number}",
        requester=requester.code,
        resource=resource.code,
        items=frozenset(items),
        relations=frozenset(relations),
        purpose="licensing" if odd == 10 else PURPOSE,
        valid_from=begins,
        valid_to=ends,
        basis=dice.pick(_BASES),
        state=dice.pick(_STATES) if odd == 9 else GrantState.ACTIVE,
        usage=Usage.STATISTICS if odd == 8 else Usage.READ,
        scope=_scope(dice, resource, rows),
        masks=_masks(dice, resource, items),
    )


def _granted(dice: Dice, resource: Resource) -> list[str]:
    """Items of a grant for reading; of those that figures may be published of, few."""
    maskable = [item.name for item in resource.items if item.masks]
    closed = all(item.share_class is not ShareClass.UNCONDITIONAL for item in resource.items)
    if maskable and dice.chance(1, 3 if closed else 8):
        return dice.some(maskable, 1)  # so that some rows are shown by masked cells alone
    coded = dice.chance(1, 4)
    return dice.some([item.name for item in resource.items if coded or not (item.codes or item.graphql == "amount")], 1)


def _opening(dice: Dice, resource: Resource, relation: Relation, id: str, rows: Rows, requester: Department) -> Grant:
    """A usable grant to follow one end of a relation, from all rows or some."""
    scope = predicate_from_document({}, resource) if dice.chance(1, 3) else _scope(dice, resource, rows)
    return Grant(
        id=id,
        requester=requester.code,
        resource=resource.code,
        items=frozenset(),
        relations=frozenset({relation.name}),
        purpose=PURPOSE,
        valid_from=NOW - DAY,
        valid_to=None,
        basis=GrantBasis.CONSULTATION,
        scope=scope,
    )


def _publications(dice: Dice, resource: Resource, rows: Rows, requester: Department) -> list[Grant]:
    """One or two grants for statistics on the coded items of a resource, which share no item."""
    coded = [item.name for item in resource.items if item.codes]
    if not coded or dice.chance(1, 4):
        return []
    numbers = [item.name for item in resource.items if item.type.numeric and not item.codes]
    cut = dice.number(1, len(coded))
    parts = [(coded[:cut], dice.some(numbers, 0, 2)), (coded[cut:], [])]
    odd = dice.number(0, 11)  # most can be used
    grants: list[Grant] = []
    for number, (dimensions, measures) in enumerate(parts):
        if not dimensions:
            continue
        statistics = Statistics(
            tuple(dice.shuffled(dimensions)),
            tuple(measures),
            dice.pick(list(Period)),
            dice.pick((3, 3, 4, 5)),
            dice.pick((1, 1, 2, 3, 5)),
            dice.pick((Decimal(1), Decimal(10), Decimal("0.5"), Decimal("0.001"))),
        )
        grants.append(
            Grant(
                id=f"s{number}{resource.code[1]}",
                requester=requester.code,
                resource=resource.code,
                items=statistics.items,
                purpose="licensing" if odd == 10 else PURPOSE,
                valid_from=NOW - DAY if odd != 11 else NOW + DAY,
                valid_to=None,
                basis=GrantBasis.CONSULTATION if dice.chance(2, 3) else GrantBasis.APPLICATION,
                state=dice.pick(_STATES) if odd == 9 else GrantState.ACTIVE,
                usage=Usage.STATISTICS,
                scope=predicate_from_document({}, resource) if dice.chance(2, 3) else _scope(dice, resource, rows),
                statistics=statistics,
            )
        )
    return grants


def _with_quotas(dice: Dice, grants: Sequence[Grant]) -> list[Grant]:
    """In some worlds the grants have quotas, from ones that are short at once to ones that never are."""
    if not dice.chance(1, 3):
        return list(grants)

    def bound(sizes: Sequence[int]) -> int | None:
        return dice.pick(sizes) if dice.chance(1, 2) else None

    def limited(grant: Grant) -> Grant:
        if dice.chance(1, 2):
            return grant
        few = dice.chance(1, 5)
        rows = bound((3, 10, 0, 1) if few else (10**6, 60, 1_000, 12, 10**6, 200, 25_000))
        requests = bound((300, 12, 40, 8, 10**4, 3, 1, 0))
        subjects = bound((4, 8, 1) if few else (10**6, 55, 200, 10**6))
        return replace(grant, quota=Quota(rows, requests, subjects))

    return [limited(grant) for grant in grants]


def _masks(dice: Dice, resource: Resource, items: Collection[str]) -> dict[str, str]:
    """Masks for some of the granted items, or for all; seldom one that the item does not declare any more."""
    wholly = dice.chance(1, 3)
    return {
        item.name: dice.pick(item.masks).name if dice.chance(14, 15) else "gone"
        for item in resource.items
        if item.name in items and item.masks and (wholly or dice.chance(3, 5))
    }


def _scope(dice: Dice, resource: Resource, rows: Rows) -> Expression:
    """Rows of a grant: all, or such as some but not all rows of the table are, if luck has it."""
    if dice.chance(1, 4):
        return predicate_from_document({}, resource)
    odd = dice.number(0, 30)
    if odd == 30:
        return FALSE
    if odd == 29:  # names an attribute that does not exist
        code = resource.item_by_name["i_code"]
        return Compare(CompareOp.EQ, ItemRef(code.name, code.type), Attribute("department.colour"))
    unknown = dice.chance(1, 2)  # on some row it is neither true nor false, if luck has it
    table = rows[resource.binding.source][resource.binding.table]
    for _ in range(4):
        scope = predicate_from_document(_predicate(dice, resource, 2), resource)
        found = {holds(scope, resource, row) for row in table}
        if len(found) > 1 and True in found and (None in found or not unknown):
            break
    return scope


def holds(scope: Expression, resource: Resource, row: Mapping[str, Any]) -> Truth:
    """What a scope is on a row, for the department that mostly asks."""
    known = {"department.code": YINCHUAN.code, "department.division": YINCHUAN.division}
    return truth(scope, {i.name: row[i.column.name] for i in resource.items}, known, DIVISIONS_BY_CODE)


def _predicate(dice: Dice, resource: Resource, depth: int) -> dict[str, Any]:
    form = dice.number(0, 6) if depth else 0
    if form == 6:
        return {"not": _predicate(dice, resource, depth - 1)}
    if form >= 4:
        parts = [_predicate(dice, resource, depth - 1) for _ in range(dice.number(1, 2))]
        return {"and" if form == 4 else "or": parts}
    item = dice.pick(resource.items)
    return {item.name: _test(dice, item)}


def _test(dice: Dice, item: Item) -> dict[str, Any]:
    if not item.type.comparable or dice.chance(1, 6):
        return {"isNull": dice.chance(1, 2)}
    if item.type is ScalarType.TEXT and dice.chance(1, 6):
        return dice.pick(
            (
                {"within": {"attribute": "department.division"}},
                {"within": "640105"},
                {"within": "640000"},
                {"eq": {"attribute": "department.code"}},
                {"ne": {"attribute": "department.division"}},
                {"eq": {"attribute": "department.division"}},
            )
        )
    values = [to_json(item.type, value) for value in operands(item)]
    operator = dice.pick(
        ("ne", "eq", "in", "notIn", "lt", "gte", *(("contains",) if item.type is ScalarType.TEXT else ()))
    )
    if operator in ("in", "notIn"):
        return {operator: [dice.pick(values) for _ in range(dice.number(0, 3))]}
    return {operator: dice.pick(values)}
