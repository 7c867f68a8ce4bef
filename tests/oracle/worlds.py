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
    Department,
    Grant,
    GrantBasis,
    GrantState,
    Item,
    Level,
    NamedMask,
    Period,
    Quota,
    Relation,
    Resource,
    ShareClass,
    Snapshot,
    Source,
    Statistics,
    Usage,
    Zone,
)
from tanglai.catalogue.predicates import predicate_from_document
from tanglai.catalogue.scalars import ScalarType, parse, to_json
from tests.catalogues import (
    DEPARTMENTS,
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
from tests.oracle.predicates import Truth, truth
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
NUMERIC = (ScalarType.DECIMAL, ScalarType.INTEGER, ScalarType.FLOAT, ScalarType.LONG)
CLASSES = (*(ShareClass.CONDITIONAL, ShareClass.UNCONDITIONAL) * 4, ShareClass.NOT_SHARED)
SOURCES = {"main": PUBLIC_SECURITY, "traffic": MARKET_REGULATION}
INNER = "inner"
"""A source of the other zone."""
XIXIA = Department("11640105MB1A00006N", "xixia-data", "西夏区数据局", "Xixia", Level.COUNTY, "640105")
ASKING = (YINCHUAN, PUBLIC_SECURITY, XIXIA, MARKET_REGULATION)
OF_DEPARTMENTS = (YINCHUAN.code, XIXIA.code, YINCHUAN.division, XIXIA.division, "640121001")
"""Texts that scopes may compare with an attribute of who asks."""
DAY = timedelta(days=1)
MIDNIGHT = NOW.replace(hour=16)
"""The end of a day of Asia/Shanghai."""
MOMENTS = (NOW, NOW - DAY, NOW + DAY, NOW + timedelta(microseconds=1), MIDNIGHT, MIDNIGHT - timedelta(microseconds=1))


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

    rows: int = 16
    pageable: bool = False
    kind: str = "postgresql"


USUAL = Bounds()


def world(dice: Dice, bounds: Bounds = USUAL) -> Drawn:
    """One to three resources with relations in one or two sources, `bounds.rows` rows each, and up to nine grants."""
    resources = {word: _resource(dice, word, bounds) for word in WORDS[: dice.number(1, 3)]}
    for number in range(dice.pick((1, 2, 3, 0))):
        _relate(dice, resources, number)
    sources = [Source(key, f"系统{key}", owner.code, bounds.kind, Zone.EXTRANET, {}) for key, owner in SOURCES.items()]
    if dice.chance(1, 6):
        resources["dossier"] = _elsewhere(dice, bounds)
        sources.append(Source(INNER, "内网系统", PUBLIC_SECURITY.code, bounds.kind, Zone.INTRANET, {}))
    snapshot = make_snapshot(
        resources.values(),
        sources=sources,
        departments=(*DEPARTMENTS, XIXIA),
        rule_set="order-809" if dice.chance(1, 6) else "ningxia-measures",
    )
    rows: dict[str, dict[str, list[dict[str, Any]]]] = {source.key: {} for source in sources}
    for resource in resources.values():
        rows[resource.binding.source][resource.binding.table] = _rows(dice, resource, bounds)
    requesters = [YINCHUAN] * 7 + [PUBLIC_SECURITY] if dice.chance(3, 4) else [YINCHUAN, dice.pick(ASKING[1:])]
    grants: list[Grant] = []
    for number in range(dice.pick((3, 6, 9, 4, 7, 8, 1, 0))):
        resource = dice.pick(list(resources.values()))
        grants.append(_grant(dice, resource, number, grants, rows, dice.pick(requesters)))
    for resource in resources.values():
        for relation in resource.relations:
            if dice.chance(2, 3):
                grants.append(_opening(dice, resource, relation, f"r{len(grants)}", rows, dice.pick(requesters)))
        grants += _publications(dice, resource, rows, dice.pick(requesters))
    return Drawn(snapshot, rows, tuple(_with_quotas(dice, grants)))


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
    if dice.chance(1, 2):  # to publish figures of; few of them can be read
        kept = ShareClass.CONDITIONAL if dice.chance(3, 4) else share_class()
        items += [_coded(dice, name, kept) for name in ("kind", "grade")[: dice.number(1, 2)]]
        if dice.chance(2, 3):
            items.append(_item(dice, "amount", dice.pick(NUMERIC), kept))
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
        code=f"1{(*WORDS, 'dossier').index(word)}/1",
        compiler=dice.pick((None, None, YINCHUAN.code, PUBLIC_SECURITY.code)),
    )
    return replace(resource, binding=replace(resource.binding, handle=handle))


def _elsewhere(dice: Dice, bounds: Bounds) -> Resource:
    """A resource of the other zone: listed in the catalogue, and no field of `data`."""
    resource = _resource(dice, "dossier", replace(bounds, pageable=True))
    return replace(resource, zone=Zone.INTRANET, binding=replace(resource.binding, source=INNER))


def _coded(dice: Dice, name: str, share_class: ShareClass) -> Item:
    """An item with a code list, which its column does not always keep to."""
    kind = dice.pick((ScalarType.TEXT, ScalarType.INTEGER, ScalarType.DATE, ScalarType.LONG))
    codes = [str(to_json(kind, value)) for value in dice.some(POOLS[kind][:6], 1, 3)]
    return make_item(
        f"i_{name}", kind, share_class=share_class, graphql=name, column=f"列 {name}", codes=codes,
        nullable=dice.chance(1, 2),
    )  # fmt: skip


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
    sizes = (8, 14, 12, 16, 10) if any(item.codes for item in resource.items) else (3, 8, 10, 6, 9, 7, 10, 1, 0)
    for number in range(min(bounds.rows, dice.pick(sizes))):
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
    elif item.codes:  # few, so that cells are not too small; one of them may be on no list
        values = [parse(item.type, code.value) for code in item.codes[: dice.number(1, 2)]]
        if dice.chance(1, 3):
            values.append(dice.pick(POOLS[item.type]))
    else:
        values = dice.some(POOLS[item.type], 1, 4)
        if item.type is ScalarType.TEXT and dice.chance(1, 6):
            values = dice.some(OF_DEPARTMENTS, 2, 3)
    return values if not item.nullable else [*values, None]


# --- grants --------------------------------------------------------------------------------------------------------

_STATES = (GrantState.SUSPENDED, GrantState.ENDED, GrantState.EXPIRED, GrantState.DISPOSED)
_BASES = (GrantBasis.CONSULTATION, GrantBasis.APPLICATION, GrantBasis.COORDINATION)


def _grant(
    dice: Dice, resource: Resource, number: int, before: Sequence[Grant], rows: Rows, requester: Department
) -> Grant:
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


def _opening(dice: Dice, resource: Resource, relation: Relation, id: str, rows: Rows, requester: Department) -> Grant:
    """A usable grant to follow one end of a relation, from all rows or some."""
    scope = predicate_from_document({}, resource) if dice.chance(1, 2) else _scope(dice, resource, rows)
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
    if not dice.chance(1, 4):
        return list(grants)

    def bound(sizes: Sequence[int]) -> int | None:
        return dice.pick(sizes) if dice.chance(1, 2) else None

    def limited(grant: Grant) -> Grant:
        if dice.chance(1, 2):
            return grant
        few = dice.chance(1, 3)
        rows = bound((3, 10, 0, 1) if few else (60, 200, 120, 10**6, 25_000))
        requests = bound((3, 2, 6, 1, 0))
        subjects = bound((4, 8, 1) if few else (55, 100, 10**6))
        return replace(grant, quota=Quota(rows, requests, subjects))

    return [limited(grant) for grant in grants]


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
    granted = [d for d in ASKING for grant in drawn.grants if grant.requester == d.code]
    usual = Principal(dice.pick(granted or ASKING), "app", purposes=frozenset({PURPOSE}))
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
            others = [department for department in ASKING if department != principal.department]
            department = dice.pick(others[:3]) if principal.department == YINCHUAN else YINCHUAN
            return replace(asker, principal=replace(principal, department=department))
        case 2:
            if principal.department == YINCHUAN and dice.chance(3, 4):
                principal = replace(principal, department=dice.pick((PUBLIC_SECURITY, MARKET_REGULATION)))
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
