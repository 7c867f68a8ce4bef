"""In charge of random worlds: catalogues, the rows of their sources, grants of every kind, and who asks when."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from authz.principal import OWN_DATA_ROLE, Principal, TokenScope
from tanglai.catalogue.expressions import FALSE, Attribute, Column, Compare, CompareOp, Expression, ItemRef
from tanglai.catalogue.masks import Mask, MaskKind
from tanglai.catalogue.model import (
    Grant,
    GrantBasis,
    GrantState,
    Item,
    NamedMask,
    Relation,
    Resource,
    ShareClass,
    Snapshot,
    Source,
    Usage,
    Zone,
)
from tanglai.catalogue.predicates import predicate_from_document
from tanglai.catalogue.scalars import ScalarType, to_json
from tests.catalogues import (
    DIVISIONS,
    MARKET_REGULATION,
    PUBLIC_SECURITY,
    YINCHUAN,
    keep,
    make_item,
    make_relation,
    make_resource,
    make_snapshot,
)
from tests.gateways import NOW, PURPOSE
from tests.oracle.dice import Dice
from tests.oracle.predicates import truth
from tests.oracle.sight import Rows

TEXTS = ("k1", "", "k", "K1", "张三", "张", "k1 ", "é", "e\u0301", "👨‍👩‍👧", "𠀀", "～", "640105", "640121001",
         "640199", "%_", "*", "a@b@c.cn", "13800000001", "'\"\\\n", "k1\u2028x" * 9)  # fmt: skip
LINKS = ("code", "ref", "link")
JOINED = {
    ScalarType.TEXT: ("k1", "k2", "张三", "", "é", "k3", "K1", "k1 ", "👨‍👩‍👧"),
    ScalarType.INTEGER: (1, 2, -1, 2**31 - 1),
    ScalarType.LONG: (1, 2, 2**53 + 1, -(2**63)),
    ScalarType.DECIMAL: (Decimal("1.0"), Decimal("2.5")),
    ScalarType.DATE: (date(2024, 2, 29), date(1, 1, 1)),
    ScalarType.FLOAT: (0.0, -0.0, 0.1, 1e21),
    ScalarType.TIME: (time(8, 30), time(0, 0, 0, 1)),
    ScalarType.DATETIME: (datetime(2024, 2, 29, 8, tzinfo=UTC), datetime(1, 1, 3, tzinfo=UTC)),
    ScalarType.BOOLEAN: (True, False),
}
"""Values of link columns: few, so that rows do meet."""
POOLS: Mapping[ScalarType, Sequence[Any]] = {
    ScalarType.TEXT: TEXTS,
    ScalarType.BOOLEAN: (True, False),
    ScalarType.INTEGER: (0, 1, -1, 7, 2**31 - 1, -(2**31)),
    ScalarType.LONG: (0, 1, -1, 2**53, 2**53 + 1, 2**63 - 1, -(2**63)),
    ScalarType.DECIMAL: tuple(
        map(
            Decimal, ("0", "1.5", "-1.50000", "0.1", "99999999999999999999.99", "1E-20", "0.3", "0.000001", "-0.000003")
        )
    ),
    ScalarType.FLOAT: (0.0, -0.0, 1.5, -1.5, 0.1, 1 / 3, 1.7e308, -1e300, 5e-324, 2.0**53, 1e21),
    ScalarType.DATE: (date(2024, 2, 29), date(1, 1, 1), date(9999, 12, 31), date(1900, 2, 28)),
    ScalarType.TIME: (time(8, 30), time(0, 0), time(23, 59, 59, 999999), time(0, 0, 0, 1)),
    ScalarType.DATETIME: (
        datetime(2024, 2, 29, 8, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(1, 1, 3, tzinfo=UTC),
        datetime(9999, 12, 30, 23, 59, 59, 999999, tzinfo=UTC),
    ),
    ScalarType.GEOMETRY: ({"type": "Point", "coordinates": [106.23, 38.48]}, {"type": "Point", "coordinates": []}),
}
MASKS = (
    keep("middle", 1, 1),
    NamedMask("first", Mask(MaskKind.FIRST)),
    NamedMask("domain", Mask(MaskKind.DOMAIN)),
    NamedMask("region", Mask(MaskKind.REGION, 2)),
    NamedMask("alias", Mask(MaskKind.PSEUDONYM)),
    NamedMask("none", Mask(MaskKind.REDACT)),
)
DIVISIONS_BY_CODE = {division.code: division for division in DIVISIONS}
WORDS = ("person", "car", "house")
CLASSES = (*(ShareClass.CONDITIONAL, ShareClass.UNCONDITIONAL) * 4, ShareClass.NOT_SHARED)
SOURCES = {"main": PUBLIC_SECURITY, "traffic": MARKET_REGULATION}
DAY = timedelta(days=1)
MOMENTS = (NOW, NOW - DAY, NOW + DAY, NOW + timedelta(microseconds=1))


@dataclass(frozen=True)
class Drawn:
    """A world: a catalogue, the rows of its sources (source -> table -> rows), grants."""

    snapshot: Snapshot
    rows: dict[str, dict[str, list[dict[str, Any]]]]
    grants: tuple[Grant, ...]


@dataclass(frozen=True)
class Asker:
    """Who asks, when, and for which purpose (`header`: the Purpose header, `extension`: extensions.purpose)."""

    principal: Principal
    now: datetime
    header: str | None
    extension: str | None


@dataclass(frozen=True)
class Bounds:
    """What the sources of a world can hold. `pageable`: every resource has a handle, so that every order is total."""

    rows: int = 10
    pageable: bool = False
    kind: str = "postgresql"


USUAL = Bounds()


def world(dice: Dice, bounds: Bounds = USUAL) -> Drawn:
    """One to three resources with relations in one or two sources, `bounds.rows` rows each, and up to nine grants."""
    resources = {word: _resource(dice, word, bounds) for word in WORDS[: dice.number(1, 3)]}
    for number in range(dice.pick((1, 2, 3, 0))):
        _relate(dice, resources, number)
    sources = [Source(key, f"系统{key}", owner.code, bounds.kind, Zone.EXTRANET, {}) for key, owner in SOURCES.items()]
    snapshot = make_snapshot(
        resources.values(),
        sources=sources,
        rule_set="order-809" if dice.chance(1, 6) else "ningxia-measures",
    )
    rows: dict[str, dict[str, list[dict[str, Any]]]] = {key: {} for key in SOURCES}
    for resource in resources.values():
        rows[resource.binding.source][resource.binding.table] = _rows(dice, resource, bounds)
    grants: list[Grant] = []
    for number in range(dice.pick((3, 6, 9, 4, 7, 8, 1, 0))):
        grants.append(_grant(dice, dice.pick(list(resources.values())), number, grants, rows))
    for resource in resources.values():
        for relation in resource.relations:
            if dice.chance(2, 3):
                grants.append(_opening(dice, resource, relation, f"r{len(grants)}", rows))
    return Drawn(snapshot, rows, tuple(grants))


# --- catalogue -----------------------------------------------------------------------------------------------------


def _resource(dice: Dice, word: str, bounds: Bounds) -> Resource:
    usual, closed = dice.pick(CLASSES), dice.chance(1, 3)

    def share_class() -> ShareClass:
        if closed:  # so that rows are visible by grants alone
            return ShareClass.NOT_SHARED if dice.chance(1, 8) else ShareClass.CONDITIONAL
        return usual if dice.chance(2, 3) else dice.pick(CLASSES)

    link = dice.pick(list(JOINED))
    items = [
        _item(dice, "code", ScalarType.TEXT, share_class()),
        _item(dice, "ref", ScalarType.TEXT, share_class()),
        _item(dice, "link", link, share_class()),
    ]
    kinds = list(ScalarType)
    items += [_item(dice, name, dice.pick(kinds), share_class()) for name in "abcd"[: dice.number(1, 4)]]
    items = dice.shuffled(items)
    keys: list[tuple[str, ...]] = []
    for key in (("i_code",), ("i_link", "i_code"), ("i_ref", "i_a")):
        if dice.chance(2, 3) and all(item.type.comparable for item in items if item.name in key):
            keys.append(key)
    handle = None
    if bounds.pageable or dice.chance(3, 4):
        handle = Column("the handle", dice.pick((ScalarType.LONG, ScalarType.TEXT, ScalarType.INTEGER)))
        if dice.chance(1, 8):
            items.append(replace(_item(dice, "serial", handle.type, ShareClass.UNCONDITIONAL), column=handle, masks=()))
    resource = make_resource(
        word,
        items,
        group=dice.pick(("population", "transport")),
        keys=keys,
        source=dice.pick(tuple(SOURCES)),
        provider=dice.pick((PUBLIC_SECURITY, MARKET_REGULATION)),
        code=f"1{WORDS.index(word)}/1",
    )
    return replace(resource, binding=replace(resource.binding, handle=handle))


def _item(dice: Dice, name: str, kind: ScalarType, share_class: ShareClass) -> Item:
    masks = dice.shuffled(dice.some(MASKS, 1, 3)) if kind is ScalarType.TEXT and dice.chance(1, 2) else []
    return make_item(
        f"i_{name}",
        kind,
        share_class=share_class,
        graphql=name,
        column=f"列 {name}",
        masks=masks,
        nullable=dice.chance(2, 3),
    )


def _relate(dice: Dice, resources: dict[str, Resource], number: int) -> None:
    """One more relation, both ends, where items of equal type can be found."""
    left, right = (dice.pick(list(resources)) for _ in range(2))
    here, there = resources[left], resources[right]
    pairs = [
        (mine, its)
        for mine in ("i_ref", "i_code", "i_link")
        for its in ("i_code", "i_ref", "i_link")
        if here.item_by_name[mine].type is there.item_by_name[its].type
    ]
    linked = [pairs[0] if dice.chance(1, 2) else dice.pick(pairs)]
    if dice.chance(1, 5):
        more = [pair for pair in pairs if pair[0] != linked[0][0] and pair[1] != linked[0][1]]
        linked += [dice.pick(more)] if more else []
    mine, its = [pair[0] for pair in linked], [pair[1] for pair in linked]
    name, inverse = f"r_to{number}", f"r_from{number}"
    classes = [ShareClass.CONDITIONAL, ShareClass.CONDITIONAL, ShareClass.UNCONDITIONAL]
    for word, other, own, far, called, back in (
        (left, there, mine, its, name, inverse),
        (right, here, its, mine, inverse, name),
    ):
        many, share_class = _many(dice, other, far), dice.pick(classes)
        end = make_relation(
            called, other, own, far, inverse=back, many=many, share_class=share_class, graphql=called.removeprefix("r_")
        )
        resources[word] = replace(resources[word], relations=(*resources[word].relations, end))


def _many(dice: Dice, target: Resource, items: Sequence[str]) -> bool:
    """A relation may lead to one row only where a key of the target is among the linked items."""
    if not any(set(key.items) <= set(items) for key in target.keys):
        return True
    return dice.chance(1, 3)


# --- rows ----------------------------------------------------------------------------------------------------------


def _rows(dice: Dice, resource: Resource, bounds: Bounds) -> list[dict[str, Any]]:
    columns = {item.column.name: _column(dice, item) for item in resource.items}
    rows: list[dict[str, Any]] = []
    for number in range(min(bounds.rows, dice.pick((3, 8, 10, 6, 9, 7, 10, 1, 0)))):
        row = {name: dice.pick(values) for name, values in columns.items()}
        if resource.binding.handle is not None:  # not in the order of the table
            row[resource.binding.handle.name] = handle_value(resource.binding.handle, (number * 7 + 3) % 31)
        rows.append(row)
        if not lawful(resource, rows):
            rows.pop()
    return rows


def handle_value(handle: Column, number: int) -> Any:
    """The value of a row handle; of a text, its order is not that of the numbers."""
    return f"h{number}" if handle.type is ScalarType.TEXT else number


def lawful(resource: Resource, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the contents are as the catalogue declares them: handles and keys are unique."""
    columns = [[resource.item_by_name[name].column.name for name in key.items] for key in resource.keys]
    if resource.binding.handle is not None:
        columns.append([resource.binding.handle.name])
    for key in columns:
        whole = [values for values in ([row[name] for name in key] for row in rows) if None not in values]
        if len({tuple(values) for values in whole}) < len(whole):
            return False
    return True


def _column(dice: Dice, item: Item) -> list[Any]:
    """The values that a column takes: few, often null, so that rows are alike."""
    if item.graphql in LINKS:
        values = list(JOINED[item.type][: None if item.graphql == "code" else 4])
        if item.type is ScalarType.TEXT and dice.chance(1, 4):
            values += ["640105", "640199"]
    else:
        values = dice.some(POOLS[item.type], 1, 4)
    return values if not item.nullable else [*values, None]


# --- grants --------------------------------------------------------------------------------------------------------

_STATES = (GrantState.SUSPENDED, GrantState.ENDED, GrantState.EXPIRED, GrantState.DISPOSED)
_BASES = (GrantBasis.CONSULTATION, GrantBasis.APPLICATION, GrantBasis.COORDINATION)


def _grant(dice: Dice, resource: Resource, number: int, before: Sequence[Grant], rows: Rows) -> Grant:
    """A grant like any; sometimes one that overlaps an earlier one in all but rows and masks."""
    twin = dice.pick(before) if before and dice.chance(1, 3) else None
    if twin is not None and twin.resource == resource.code:
        return replace(
            twin, id=f"g{9 - number}", scope=_scope(dice, resource, rows), masks=_masks(dice, resource, twin.items)
        )
    relations = [relation.name for relation in resource.relations]
    if relations and dice.chance(1, 3):  # to be followed, and nothing else: makes no row visible
        items: list[str] = []
    else:
        items = dice.some([item.name for item in resource.items], 1)
        relations = [name for name in relations if dice.chance(1, 2)]
    odd = dice.number(0, 11)  # most grants are usable
    begins, ends = NOW - DAY, dice.pick((None, NOW + DAY))
    if odd == 11:
        begins, ends = dice.pick(((NOW + DAY, None), (NOW - DAY, NOW), (NOW, NOW + timedelta(microseconds=1))))
    return Grant(
        id=f"g{9 - number}",
        requester=YINCHUAN.code if dice.chance(7, 8) else PUBLIC_SECURITY.code,
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


def _opening(dice: Dice, resource: Resource, relation: Relation, id: str, rows: Rows) -> Grant:
    """A usable grant to follow one end of a relation, from all rows or some."""
    scope = predicate_from_document({}, resource) if dice.chance(1, 2) else _scope(dice, resource, rows)
    return Grant(
        id=id,
        requester=YINCHUAN.code,
        resource=resource.code,
        items=frozenset(),
        relations=frozenset({relation.name}),
        purpose=PURPOSE,
        valid_from=NOW - DAY,
        valid_to=None,
        basis=GrantBasis.CONSULTATION,
        scope=scope,
    )


def _masks(dice: Dice, resource: Resource, items: Collection[str]) -> dict[str, str]:
    """Masks for some of the granted items; seldom one that the item does not declare any more."""
    return {
        item.name: dice.pick(item.masks).name if dice.chance(14, 15) else "gone"
        for item in resource.items
        if item.name in items and item.masks and dice.chance(3, 5)
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
    for _ in range(3):
        scope = predicate_from_document(_predicate(dice, resource, 2), resource)
        table = rows[resource.binding.source][resource.binding.table]
        if len({_holds(scope, resource, row) for row in table}) == 2:
            break
    return scope


def _holds(scope: Expression, resource: Resource, row: Mapping[str, Any]) -> bool:
    known = {"department.code": YINCHUAN.code, "department.division": YINCHUAN.division}
    return truth(scope, {i.name: row[i.column.name] for i in resource.items}, known, DIVISIONS_BY_CODE) is True


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
            )
        )
    values = [to_json(item.type, value) for value in operands(item)]
    operator = dice.pick(
        ("ne", "eq", "in", "notIn", "lt", "gte", *(("contains",) if item.type is ScalarType.TEXT else ()))
    )
    if operator in ("in", "notIn"):
        return {operator: [dice.pick(values) for _ in range(dice.number(0, 3))]}
    return {operator: dice.pick(values)}


def operands(item: Item) -> Sequence[Any]:
    """Values to compare an item with: mostly such as its column has."""
    return JOINED[item.type] if item.graphql in LINKS else POOLS[item.type]


# --- who asks ------------------------------------------------------------------------------------------------------


def some_asker(dice: Dice, drawn: Drawn, before: Sequence[Asker] = ()) -> Asker:
    """Mostly a client of Yinchuan under the grants' purpose; often one who asked before, but in one respect.

    `before`: who asks the same gateway too.
    """
    if before and dice.chance(1, 2):
        return _altered(dice, drawn, dice.pick(before))
    usual = Principal(YINCHUAN, "app", purposes=frozenset({PURPOSE}))
    asker = Asker(usual, NOW, None, None)
    for _ in range(dice.pick((0, 0, 1, 2))):
        asker = _altered(dice, drawn, asker)
    return asker


def _altered(dice: Dice, drawn: Drawn, asker: Asker) -> Asker:
    """The same asker but in one respect."""
    principal = asker.principal
    match dice.number(0, 4):
        case 0:
            return replace(asker, now=dice.pick(MOMENTS))
        case 1:
            department = PUBLIC_SECURITY if principal.department == YINCHUAN else YINCHUAN
            return replace(asker, principal=replace(principal, department=department))
        case 2:
            if principal.department == YINCHUAN and dice.chance(3, 4):
                principal = replace(principal, department=PUBLIC_SECURITY)
            return replace(asker, principal=replace(principal, roles=principal.roles ^ {OWN_DATA_ROLE}))
        case 3:
            scopes = None if principal.scopes is not None else frozenset(_scopes(dice, drawn.snapshot))
            return replace(asker, principal=replace(principal, scopes=scopes))
        case _:
            purposes = dice.pick((*[frozenset({PURPOSE, "licensing"})] * 3, frozenset[str](), frozenset({"nothing"})))
            principal = replace(principal, purposes=purposes)
            asked = dice.pick((None, PURPOSE, "licensing")) if PURPOSE in purposes or dice.chance(1, 6) else None
            header, extension = dice.pick(
                ((asked, None), (None, asked), (asked, asked), (asked, None), (asked, PURPOSE))
            )
            return Asker(principal, asker.now, header, extension)


def _scopes(dice: Dice, snapshot: Snapshot) -> list[TokenScope]:
    scopes: list[TokenScope] = []
    for resource in snapshot.resources.values():
        names: list[str] = [item.name for item in resource.items]
        names += [relation.name for relation in resource.relations]
        form = dice.number(0, 2)
        if form == 1:
            scopes.append(TokenScope(resource.code))
        elif form == 2:
            scopes += [TokenScope(resource.code, name) for name in dice.some(names, 1)]
    return scopes


def every_relation(drawn: Drawn) -> list[tuple[Resource, Relation]]:
    return [(r, relation) for r in drawn.snapshot.resources.values() for relation in r.relations]
