"""Reuse between snapshots: types stay the same objects where nothing they refer to has changed, and only there."""

from dataclasses import replace

from graphql import GraphQLSchema, validate_schema
from hypothesis import HealthCheck, given, settings

from schema.unified import build
from tanglai.catalogue.model import Resource, Snapshot, Zone
from tests.catalogues import DEPARTMENTS, PUBLIC_SECURITY, make_item, make_resource, make_snapshot, population
from tests.unit.schema.strategies import snapshots


def by_type(snapshot: Snapshot) -> dict[str, Resource]:
    return {resource.names.type: resource for resource in snapshot.resources.values()}


def changed(snapshot: Snapshot, *resources: Resource) -> Snapshot:
    return make_snapshot(
        {**snapshot.resources, **{resource.code: resource for resource in resources}}.values(),
        number=snapshot.number + 1,
    )


def test_an_equal_snapshot_has_the_same_types() -> None:
    first = build(population())
    second = build(population(), reuse=first)
    generated = {"Resident", "VehicleWhere", "HouseholdConnection", "InspectionEdge", "ResidentGroup"}
    for name in generated:
        assert first.graphql.type_map[name] is second.graphql.type_map[name]
    assert first.graphql is not second.graphql
    assert first.sdl == second.sdl


def test_a_change_renews_the_resources_that_relations_link_with_it_and_no_other() -> None:
    old = population()
    vehicle = by_type(old)["Vehicle"]
    new = changed(old, replace(vehicle, version=2, items=(*vehicle.items, make_item("colour"))))
    first = build(old)
    second = build(new, reuse=first)
    for name in ("Vehicle", "Resident", "Household", "HouseholdWhere", "VehicleConnection"):
        assert first.graphql.type_map[name] is not second.graphql.type_map[name]
    assert first.graphql.type_map["Inspection"] is second.graphql.type_map["Inspection"]
    assert "colour" in second.sdl
    assert second.sdl == build(new).sdl


def test_a_change_of_words_renews_what_says_them() -> None:
    renamed = [replace(d, name="公安局") if d is PUBLIC_SECURITY else d for d in DEPARTMENTS]
    old = population()
    new = make_snapshot(old.resources.values(), number=2, departments=renamed)
    first = build(old)
    second = build(new, reuse=first)
    assert "公安局" in second.sdl
    assert second.sdl == build(new).sdl
    assert first.graphql.type_map["Inspection"] is second.graphql.type_map["Inspection"]
    rules = make_snapshot(old.resources.values(), number=3, rule_set="order-809")
    assert build(rules, reuse=first).sdl == build(rules).sdl


def test_a_resource_that_moves_to_the_other_zone_takes_its_relations_along() -> None:
    old = population()
    new = changed(old, replace(by_type(old)["Household"], zone=Zone.INTRANET))
    first = build(old)
    second = build(new, reuse=first)
    assert "household" not in second.sdl.partition("type Resident ")[2].partition("\n}")[0].split()
    assert second.sdl == build(new).sdl
    third = build(old, reuse=second)
    assert third.sdl == first.sdl


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(snapshots(), snapshots())
def test_reuse_never_shows(old: Snapshot, new: Snapshot) -> None:
    first = build(old)
    assert first.sdl
    fresh, reused = build(new), build(new, reuse=first)
    assert reused.sdl == fresh.sdl
    assert reused.federation_sdl == fresh.federation_sdl
    query = reused.graphql.query_type
    collected = GraphQLSchema(query, types=list(reused.graphql.type_map.values()), directives=reused.graphql.directives)
    assert validate_schema(collected) == []
    assert collected.type_map.keys() == reused.graphql.type_map.keys()
    for name, kind in collected.type_map.items():
        assert reused.graphql.type_map[name] is kind


def test_fields_are_built_when_they_are_asked_for() -> None:
    unified = build(make_snapshot([make_resource(f"thing{letter}", [make_item("name")]) for letter in "abc"]))
    built = [code for code, member in unified.data.resources.items() if "items" in vars(member)]
    assert built == []
    first = unified.data.resources[unified.snapshot.served[0].code]
    assert list(first.object.fields) == ["id", "name"]
    assert [code for code, member in unified.data.resources.items() if "items" in vars(member)] == [first.resource.code]


def test_components_are_named_by_their_first_member() -> None:
    components = build(population()).data.components
    sizes = sorted(len(part.members) for part in components.values())
    assert sizes == [1, 3]
    for code, part in components.items():
        assert code == part.members[0].resource.code == min(member.resource.code for member in part.members)
