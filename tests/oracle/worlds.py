"""In charge of random worlds: catalogues, the rows of their sources, grants of every kind, and who asks when."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from authz.principal import OWN_DATA_ROLE, Principal, TokenScope
from tanglai.catalogue.expressions import Column
from tanglai.catalogue.model import (
    Grant,
    Item,
    Relation,
    Resource,
    ShareClass,
    Snapshot,
    Source,
    Zone,
)
from tanglai.catalogue.scalars import ScalarType, parse, to_json
from tests.catalogues import (
    DEPARTMENTS,
    MARKET_REGULATION,
    PUBLIC_SECURITY,
    YINCHUAN,
    make_item,
    make_relation,
    make_resource,
    make_snapshot,
)
from tests.gateways import NOW, PURPOSE
from tests.oracle.dice import Dice
from tests.oracle.granting import some_grants
from tests.oracle.pools import ASKING, DAY, JOINED, LINKS, MASKS, MIDNIGHT, OF_DEPARTMENTS, POOLS, XIXIA

WORDS = ("person", "car", "house")
NUMERIC = (ScalarType.DECIMAL, ScalarType.INTEGER, ScalarType.FLOAT, ScalarType.LONG)
CLASSES = (*(ShareClass.CONDITIONAL, ShareClass.UNCONDITIONAL) * 4, ShareClass.NOT_SHARED)
SOURCES = {"main": PUBLIC_SECURITY, "traffic": MARKET_REGULATION}
INNER = "inner"
"""A source of the other zone."""
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
    link = dice.pick(list(JOINED))  # mostly the same, so that relations are over every type
    words = WORDS[: dice.number(1, 3)]
    resources = {
        word: _resource(dice, word, bounds, link if dice.chance(3, 4) else dice.pick(list(JOINED))) for word in words
    }
    for number in range(dice.pick((1, 2, 3, 0))):
        _relate(dice, resources, number)
    sources = [Source(key, f"系统{key}", owner.code, bounds.kind, Zone.EXTRANET, {}) for key, owner in SOURCES.items()]
    if dice.chance(1, 5):
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
    return Drawn(snapshot, rows, some_grants(dice, list(resources.values()), rows))


# --- catalogue -----------------------------------------------------------------------------------------------------


def _resource(dice: Dice, word: str, bounds: Bounds, link: ScalarType) -> Resource:
    usual, closed = dice.pick(CLASSES), dice.chance(1, 3)

    def share_class() -> ShareClass:
        if closed:  # so that rows are visible by grants alone
            return ShareClass.NOT_SHARED if dice.chance(1, 8) else ShareClass.CONDITIONAL
        return usual if dice.chance(2, 3) else dice.pick(CLASSES)

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
    resource = _resource(dice, "dossier", replace(bounds, pageable=True), ScalarType.TEXT)
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
    if ("i_link", "i_link") in pairs and dice.chance(1, 4):  # which may be of any type
        linked = [("i_link", "i_link")]
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
        if rows and dice.chance(1, 6):
            row = dict(dice.pick(rows))  # like another, but for the handle
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
    elif item.codes:  # few, so that cells are not too small; one or two of them may be on no list
        values = [parse(item.type, code.value) for code in item.codes[: dice.number(1, 2)]]
        if dice.chance(2, 5):
            values += dice.some(POOLS[item.type], 1, 2)
    else:
        values = dice.some(POOLS[item.type], 1, 4)
        if item.type is ScalarType.TEXT and dice.chance(1, 6):
            values = dice.some(OF_DEPARTMENTS, 2, 3)
    return values if not item.nullable else [*values, None]


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
