"""Differences between two versions, and what they break: a decision table, held to the schema's own comparison."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings

from tanglai.catalogue.client_changes import Impact, schema_changes
from tanglai.catalogue.expressions import Compare, CompareOp, ItemRef, Value
from tanglai.catalogue.model import Grant, GrantBasis, Key, Resource, Snapshot
from tanglai.catalogue.scalars import ScalarType
from tanglai.catalogue.workflow.versions import (
    Loss,
    Part,
    PartChange,
    breaks,
    differences,
    hits,
    with_versions,
)
from tests.catalogues import CONDITIONAL, keep, make_item, make_relation, make_resource, make_snapshot
from tests.unit.schema.strategies import snapshots

B, R = Impact.BREAKING, Impact.RESTRICTING
CAR = make_resource(
    "car",
    [
        make_item("plate", nullable=False),
        make_item("seats", ScalarType.INTEGER),
        make_item("owner", share_class=CONDITIONAL, masks=[keep("tail", 0, 4)]),
    ],
    code="1/1",
    keys=[["plate"]],
    relations=[make_relation("shop", "2/1", ["plate"], ["name"], inverse="cars")],
)
SHOP = make_resource(
    "shop",
    [make_item("name")],
    code="2/1",
    relations=[make_relation("cars", "1/1", ["name"], ["plate"], inverse="shop", many=True)],
)
Edit = Callable[[Resource], Resource]


def items(*gone: str, **changes: dict[str, Any]) -> Edit:
    def edit(resource: Resource) -> Resource:
        left = (item for item in resource.items if item.name not in gone)
        return replace(resource, items=tuple(replace(item, **changes.get(item.name, {})) for item in left))

    return edit


def names(**changes: str) -> Edit:
    return lambda resource: replace(resource, names=replace(resource.names, **changes))


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (lambda r: replace(r, title="另名", summary="x", condition="y"), []),
        (lambda r: replace(r, items=(*r.items, make_item("colour"))), []),
        (items("seats"), [(B, "Car.seats", ("seats",))]),
        (items(seats={"type": ScalarType.LONG}), [(B, "Car.seats", ("seats",))]),
        (items(seats={"graphql": "places"}), [(B, "Car.seats", ("seats",))]),
        (items(seats={"share_class": CONDITIONAL}), [(R, "Car.seats", ("seats",))]),
        (items(owner={"share_class": make_item("x").share_class}), []),
        (items(plate={"nullable": True}), [(R, "Car.plate", ("plate",))]),
        (items(seats={"nullable": False}), []),
        (items(owner={"masks": ()}), [(R, "Car.owner", ("owner",))]),
        (items(owner={"masks": (keep("tail", 1, 4),)}), [(R, "Car.owner", ("owner",))]),
        (items(owner={"masks": (keep("tail", 0, 4), keep("more", 0, 2))}), []),
        (lambda r: replace(r, keys=()), [(B, "PopulationData.car", ("plate",))]),
        (lambda r: replace(r, keys=(*r.keys, Key(("seats",)))), []),
        (names(list="autos"), [(B, "PopulationData.cars", ()), (B, "PopulationData.carsAggregate", ())]),
        (names(one="auto"), [(B, "PopulationData.car", ("plate",))]),
        (names(type="Auto"), [(B, "Car", ()), (B, "Shop.cars", ("cars",))]),
        (
            lambda r: replace(r, relations=(replace(r.relations[0], graphql="store"),)),
            [(B, "Car.shop", ("shop",))],
        ),
        (
            lambda r: replace(r, relations=(replace(r.relations[0], share_class=CONDITIONAL),)),
            [(R, "Car.shop", ("shop",)), (R, "Shop.cars", ("cars",))],
        ),
        (lambda r: replace(r, binding=replace(r.binding, handle=None)), [(B, "Car.id", ())]),
        (lambda r: None, [(B, "Car", ()), (B, "Shop.cars", ("cars",))]),
    ],
)
def test_what_breaks(edit: Any, expected: list[tuple[Impact, str, tuple[str, ...]]]) -> None:
    old = make_snapshot([CAR, SHOP])
    found = breaks(old, with_versions(old, {"1/1": edit(CAR)}), ["1/1"])
    assert [(it.impact, it.coordinate, it.parts) for it in found] == expected
    assert all(it.words[0] in "`abcdefghijklmnopqrstuvwxyz" for it in found)
    assert not any(it.words.endswith(".") for it in found)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(snapshots(), snapshots())
def test_whatever_breaks_the_schema_is_among_it(old: Snapshot, other: Snapshot) -> None:
    """One resource at a time: nothing that the schemas' comparison finds breaking anywhere is missed."""
    for code in old.resources.keys() | other.resources.keys():
        new = with_versions(old, {code: other.resources.get(code)})
        dangling = [
            relation
            for resource in new.resources.values()
            for relation in resource.relations
            if relation.target not in new.resources
            or relation.inverse not in new.resources[relation.target].relation_by_name
        ]
        if dangling:  # publication refuses that
            event("refused")
            continue
        found = {(it.coordinate, it.words) for it in breaks(old, new, [code])}
        theirs = {(it.coordinate, it.words) for it in schema_changes(old, new) if it.impact is not Impact.SAFE}
        event("breaks" if theirs else "harmless")
        assert theirs <= found


def test_differences_of_every_part() -> None:
    def edit(resource: Resource) -> Resource:
        changed = items("owner", seats={"title": "座位数", "share_class": CONDITIONAL})(resource)
        return replace(
            changed,
            title="车辆",
            items=(*changed.items, make_item("colour")),
            keys=(Key(("plate", "seats")),),
            relations=(replace(resource.relations[0], many=True),),
        )

    found = differences(CAR, edit(CAR))
    assert [(it.part, it.name, it.title, it.change, [at.name for at in it.attributes]) for it in found] == [
        (Part.RESOURCE, "", "车辆", PartChange.CHANGED, ["title"]),
        (Part.KEY, "plate,seats", "plate, seats", PartChange.ADDED, []),
        (Part.KEY, "plate", "plate", PartChange.REMOVED, []),
        (Part.ITEM, "seats", "座位数", PartChange.CHANGED, ["title", "shareClass"]),
        (Part.ITEM, "colour", "项colour", PartChange.ADDED, []),
        (Part.ITEM, "owner", "项owner", PartChange.REMOVED, []),
        (Part.RELATION, "shop", "关联shop", PartChange.CHANGED, ["many"]),
    ]
    seats = next(it for it in found if it.name == "seats")
    assert [(at.before, at.after) for at in seats.attributes] == [
        ('"项seats"', '"座位数"'),
        ('"UNCONDITIONAL"', '"CONDITIONAL"'),
    ]


def test_what_is_inherited_is_compared_as_it_holds() -> None:
    """Another class on the resource changes the items that have said none, and no other."""
    inherited = replace(CAR, share_class=CONDITIONAL)
    own = replace(inherited, share_class=make_item("x").share_class)
    assert [(it.part, it.name) for it in differences(inherited, own)] == [(Part.RESOURCE, "")]
    assert differences(CAR, replace(CAR, version=7, published_at=None)) == ()


def test_a_resource_that_comes_or_goes() -> None:
    for old, new, change in ((None, SHOP, PartChange.ADDED), (SHOP, None, PartChange.REMOVED)):
        assert [(it.part, it.name, it.change) for it in differences(old, new)] == [
            (Part.RESOURCE, "", change),
            (Part.ITEM, "name", change),
            (Part.RELATION, "cars", change),
        ]
    assert differences(None, None) == ()


GRANT = Grant(
    "g-1",
    "x",
    "1/1",
    frozenset({"seats", "owner"}),
    "care",
    datetime(2026, 1, 1, tzinfo=UTC),
    None,
    GrantBasis.APPLICATION,
    relations=frozenset({"shop"}),
    masks={"owner": "tail"},
    scope=Compare(CompareOp.EQ, ItemRef("plate", ScalarType.TEXT), Value("宁A", ScalarType.TEXT)),
)


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (lambda r: r, []),
        (lambda r: None, [(Loss.RESOURCE, "")]),
        (items("seats"), [(Loss.ITEM, "seats")]),
        (items("owner"), [(Loss.ITEM, "owner")]),
        (items(owner={"masks": (keep("other", 0, 4),)}), [(Loss.MASK, "owner")]),
        (lambda r: replace(r, relations=()), [(Loss.RELATION, "shop")]),
        (items("plate"), [(Loss.SCOPE, "")]),
        (items(plate={"type": ScalarType.INTEGER}), [(Loss.SCOPE, "")]),
        (items(seats={"type": ScalarType.LONG}), []),
    ],
)
def test_what_a_grant_loses(edit: Any, expected: list[tuple[Loss, str]]) -> None:
    assert [(it.loss, it.name) for it in hits(GRANT, edit(CAR))] == expected
