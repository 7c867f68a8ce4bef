"""Differences between two snapshots' schemas, held to graphql-core's own comparison."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from graphql.utilities import find_breaking_changes
from hypothesis import HealthCheck, event, given, settings

from schema.unified import build
from tanglai.catalogue.client_changes import Impact, SchemaChange, schema_changes
from tanglai.catalogue.model import Key, Names, Resource, Snapshot, Zone
from tanglai.catalogue.scalars import ScalarType
from tests.catalogues import CONDITIONAL, make_item, make_relation, make_resource, make_snapshot, population
from tests.unit.schema.strategies import snapshots

BREAKING, RESTRICTING, SAFE = Impact.BREAKING, Impact.RESTRICTING, Impact.SAFE

CAR = make_resource(
    "car",
    [make_item("plate"), make_item("seats", ScalarType.INTEGER)],
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


def changes(edit: Callable[[Resource], Resource]) -> list[tuple[Impact, str]]:
    old, new = make_snapshot([CAR, SHOP]), make_snapshot([edit(CAR), SHOP], number=2)
    found = schema_changes(old, new)
    assert all(change.words == change.words[0].lower() + change.words[1:].rstrip(".") for change in found)
    check(old, new, found)
    return [(change.impact, change.coordinate) for change in found]


def check(old: Snapshot, new: Snapshot, found: tuple[SchemaChange, ...]) -> None:
    """Ours says breaking exactly where graphql-core finds a breaking change."""
    theirs = find_breaking_changes(build(old).graphql, build(new).graphql)
    ours = [change for change in found if change.impact is BREAKING]
    assert bool(ours) == bool(theirs), (ours, theirs)


def items(*names: str, **types: ScalarType) -> Callable[[Resource], Resource]:
    def edit(resource: Resource) -> Resource:
        known = {item.name: item for item in resource.items}
        kept = [known.get(name, make_item(name)) for name in names]
        return replace(
            resource, items=tuple(replace(item, type=types.get(item.name, item.type)) for item in kept), version=2
        )

    return edit


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (lambda r: r, []),
        (lambda r: replace(r, title="另名", summary="x", version=2), []),
        (items("plate", "seats", "colour"), [(SAFE, "Car.colour")]),
        (items("plate"), [(BREAKING, "Car.seats")]),
        (items("plate", "seats", seats=ScalarType.LONG), [(BREAKING, "Car.seats")]),
        (
            items("plate", "seats", plate=ScalarType.LONG),
            [(BREAKING, "PopulationData.car"), (BREAKING, "Car.plate")],
        ),
        (lambda r: replace(r, keys=()), [(BREAKING, "PopulationData.car")]),
        (
            lambda r: replace(r, keys=(*r.keys, Key(("seats",)))),
            [(SAFE, "PopulationData.carBySeats")],
        ),
        (lambda r: replace(r, keys=(Key(("seats",)),)), [(BREAKING, "PopulationData.car")]),
        (lambda r: replace(r, binding=replace(r.binding, handle=None)), [(BREAKING, "Car.id")]),
        (
            lambda r: replace(r, names=replace(r.names, list="autos")),
            [
                (BREAKING, "PopulationData.cars"),
                (BREAKING, "PopulationData.carsAggregate"),
                (SAFE, "PopulationData.autos"),
                (SAFE, "PopulationData.autosAggregate"),
            ],
        ),
        (
            lambda r: replace(r, relations=(replace(r.relations[0], many=True),)),
            [(BREAKING, "Car.shop")],
        ),
        (
            lambda r: replace(r, relations=(replace(r.relations[0], graphql="store"),)),
            [(BREAKING, "Car.shop"), (SAFE, "Car.store")],
        ),
    ],
)
def test_edits_of_one_resource(edit: Callable[[Resource], Resource], expected: list[tuple[Impact, str]]) -> None:
    assert changes(edit) == expected


def test_a_renamed_type_breaks_both_ends_of_its_relations() -> None:
    found = changes(lambda r: replace(r, names=Names("population", "cars", "car", "Auto")))
    assert found == [(BREAKING, "Car"), (BREAKING, "Shop.cars")]


def test_another_group() -> None:
    found = changes(lambda r: replace(r, names=replace(r.names, group="transport")))
    assert found == [
        (BREAKING, "PopulationData.cars"),
        (BREAKING, "PopulationData.car"),
        (BREAKING, "PopulationData.carsAggregate"),
        (SAFE, "TransportData.cars"),
        (SAFE, "TransportData.car"),
        (SAFE, "TransportData.carsAggregate"),
    ]


def test_a_stricter_class_restricts_and_a_more_open_one_is_safe() -> None:
    def stricter(resource: Resource) -> Resource:
        return replace(resource, items=tuple(replace(i, share_class=CONDITIONAL) for i in resource.items))

    old, new = make_snapshot([CAR]), make_snapshot([stricter(CAR)])
    forward, backward = schema_changes(old, new), schema_changes(new, old)
    assert [(c.impact, c.coordinate) for c in forward] == [(RESTRICTING, "Car.plate"), (RESTRICTING, "Car.seats")]
    assert {change.impact for change in backward} == {SAFE}
    assert forward[0].words == "`Car.plate` is CONDITIONAL now, not UNCONDITIONAL"
    linked = schema_changes(make_snapshot([CAR, SHOP]), make_snapshot([stricter(CAR), SHOP]))
    assert (RESTRICTING, "Shop.cars") in [(change.impact, change.coordinate) for change in linked]


def test_resources_that_come_and_go() -> None:
    old, new = make_snapshot([CAR, SHOP]), make_snapshot([CAR])
    gone = schema_changes(old, new)
    check(old, new, gone)
    assert [(change.impact, change.words) for change in gone] == [
        (BREAKING, "relation `shop` of `Car` is gone"),
        (BREAKING, "resource `2/1` (`Shop`) is gone"),
    ]
    come = schema_changes(new, old)
    check(new, old, come)
    assert {change.impact for change in come} == {SAFE}
    moved = make_snapshot([CAR, replace(SHOP, zone=Zone.INTRANET)])
    assert schema_changes(old, moved) == gone


def test_an_unchanged_catalogue_has_no_difference() -> None:
    assert schema_changes(population(), population()) == ()


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(snapshots(), snapshots())
def test_breaking_is_what_graphql_finds_breaking(old: Snapshot, new: Snapshot) -> None:
    found = schema_changes(old, new)
    event("breaking" if any(change.impact is BREAKING for change in found) else "not breaking")
    check(old, new, found)
    mentioned = {change.resource for change in found}
    for code in old.resources.keys() & new.resources.keys():
        was, now = old.resources[code], new.resources[code]
        if {was.zone, now.zone} == {Zone.EXTRANET} and code not in mentioned:
            assert [(i.graphql, i.type, i.share_class) for i in sorted(was.items, key=lambda i: i.name)] == [
                (i.graphql, i.type, i.share_class) for i in sorted(now.items, key=lambda i: i.name)
            ]
