"""Reuse between snapshots: types stay the same objects where nothing they refer to has changed, and only there."""

import gc
import weakref
from dataclasses import replace

import pytest
from graphql import GraphQLSchema, parse, validate, validate_schema
from hypothesis import HealthCheck, given, settings

from schema.fixed.search import prepare, search
from schema.sdl import print_sdl
from schema.unified import UnifiedSchema, build
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


def unfolded(schema: UnifiedSchema) -> list[str]:
    return [code for code, member in schema.data.resources.items() if member.unfolded()]


def things(count: int) -> Snapshot:
    """Resources without relations, all of one group, each found by a key."""
    return make_snapshot(
        [make_resource(f"thing{chr(97 + n)}", [make_item("name"), make_item("n")], keys=[["n"]]) for n in range(count)]
    )


def test_fields_are_built_when_they_are_asked_for() -> None:
    schema = build(things(3))
    assert unfolded(schema) == []
    document = parse('{ data { population { thinga(n: "1") { name } things: thingas { nodes { id } } } } }')
    assert validate(schema.graphql, document) == []
    named = schema.data.resources[schema.snapshot.served[0].code]
    assert named.resource.names.type == "Thinga"
    assert unfolded(schema) == [named.resource.code]
    assert list(named.object.fields) == ["id", "name", "n"]


def test_fields_that_were_let_go_are_built_again_as_they_were() -> None:
    schema = build(population())
    before = schema.sdl
    assert unfolded(schema) == []
    for member in schema.data.resources.values():
        assert len(member.group_fields) + len(member.object.fields) + len(member.where.fields) > 5
        assert member.unfolded()
        member.fold()
        assert not member.unfolded()
        assert vars(member).keys().isdisjoint({"items", "arguments", "group_fields"})
    resident = next(member for member in schema.data.resources.values() if member.resource.names.type == "Resident")
    fields = resident.object.fields
    assert "".join(print_sdl(schema.graphql, schema.snapshot, schema.rules, schema.data)) == before
    assert unfolded(schema) == [resident.resource.code]
    assert resident.object.fields is fields


def new_types(old: UnifiedSchema, new: UnifiedSchema) -> set[str]:
    former = old.graphql.type_map
    return {name for name, kind in new.graphql.type_map.items() if former.get(name) is not kind}


@pytest.mark.parametrize("count", [4, 26])
def test_a_change_makes_as_many_types_however_many_resources_there_are(count: int) -> None:
    old = things(count)
    resource = by_type(old)["Thinga"]
    first = build(old)
    second = build(changed(old, replace(resource, version=2, title="新")), reuse=first)
    own = {f"Thinga{part}" for part in ("", "Connection", "Edge", "Where", "Aggregate")}
    own |= {f"Thinga{part}" for part in ("Order", "Group", "GroupKey", "Counts", "Extremes")}
    assert new_types(first, second) == own | {"Query", "Data", "PopulationData", "_Service", "_Entity"}


def test_an_untouched_group_and_its_words_to_search_are_taken_over() -> None:
    old = population()
    inspection = by_type(old)["Inspection"]
    new = changed(old, replace(inspection, version=2, title="新"))
    first = build(old)
    second = build(new, reuse=first)
    groups = {name for name, group in second.data.groups.items() if group is first.data.groups.get(name)}
    assert groups == set(first.data.groups) - {inspection.names.group}
    kept = [code for code, entry in prepare(new).items() if entry is prepare(old)[code]]
    assert kept == [code for code in sorted(new.resources) if code != inspection.code]
    assert search(new, "新")[0].resource.code == inspection.code


def test_a_schema_that_nobody_uses_leaves_nothing_for_the_cycle_collector() -> None:
    old = population()
    resident = by_type(old)["Resident"]
    schema = build(old)
    gc.collect()
    gc.disable()
    try:
        for number in range(3):
            assert schema.sdl
            assert schema.federation_sdl
            old = changed(old, replace(resident, version=number, title=f"第{number}版"))
            schema = build(old, reuse=schema)
        types = [weakref.ref(kind) for kind in schema.data.types if kind.name.startswith("Resident")]
        assert all(kind() is not None for kind in types)
        schema = build(population())
        assert [kind for kind in types if kind() is not None] == []
    finally:
        gc.enable()


def test_components_are_named_by_their_first_member() -> None:
    components = build(population()).data.components
    sizes = sorted(len(part.members) for part in components.values())
    assert sizes == [1, 3]
    for code, part in components.items():
        assert code == part.members[0].resource.code == min(member.resource.code for member in part.members)
