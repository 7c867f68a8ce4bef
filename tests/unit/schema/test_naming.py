"""Names: what a resource takes, what is refused, and that the reserved list is the schema's."""

from dataclasses import replace

import pytest

from schema.filters import FILTERS
from schema.fixed.query import fixed_part
from schema.scalars import SCALARS
from schema.unified import build
from tanglai.catalogue.model import Key, Names
from tanglai.catalogue.naming import (
    RESERVED_TYPES,
    enum_value_name,
    generated_type_names,
    group_field_names,
    is_type_name,
    name_clashes,
    name_problems,
)
from tests.catalogues import make_item, make_relation, make_resource, make_snapshot, population
from tests.reserved_types import LIST, names


def test_the_list_of_reserved_names_is_up_to_date() -> None:
    assert LIST.read_text(encoding="ascii") == names(), "write it: python -m tests.reserved_types"


def test_reserved_names_are_those_of_the_fixed_part() -> None:
    used = {kind.name for kind in (*fixed_part().types, *SCALARS.values(), *FILTERS.values())}
    assert used | {"Query", "Data", "FieldSet", "OrderDirection"} <= RESERVED_TYPES


def test_only_reserved_and_generated_names_are_in_the_schema() -> None:
    snapshot = population()
    generated = {name for resource in snapshot.served for name in generated_type_names(resource.names)}
    found = {name for name in build(snapshot).graphql.type_map if is_type_name(name)}
    assert found - generated - RESERVED_TYPES == {"PopulationData", "TransportData"}


@pytest.mark.parametrize(
    ("name", "value"),
    [("name", "NAME"), ("idNumber", "ID_NUMBER"), ("aBC", "A_BC"), ("line2", "LINE2"), ("in2020Total", "IN2020_TOTAL")],
)
def test_enum_value_names(name: str, value: str) -> None:
    assert enum_value_name(name) == value


def test_group_field_names() -> None:
    resource = make_resource("car", [make_item("plate"), make_item("vin")], keys=[["plate"], ["plate", "vin"]])
    assert group_field_names(resource) == ("cars", "car", "carByPlateAndVin", "carsAggregate")


GOOD = make_resource("car", [make_item("plate"), make_item("owner")], keys=[["plate"]])


def test_good_names_have_no_problem() -> None:
    assert name_problems(GOOD) == []


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (Names("cars", "cars", "car", "car"), "`car` is no type name"),
        (Names("cars", "cars", "car", "Resource"), "`Resource` is reserved"),
        (Names("cars", "cars", "car", "Search"), "`SearchConnection` is reserved"),
        (Names("Cars", "cars", "car", "Car"), "`Cars` is no group name"),
        (Names("cars", "car_s", "car", "Car"), "`car_s` is no list name"),
        (Names("cars", "cars", "車", "Car"), "`車` is no one name"),
        (Names("cars", "id", "car", "Car"), "`id` is a reserved name"),
        (Names("cars", "car", "car", "Car"), "2 fields of group `cars` have the name `car`"),
        (Names("cars", "c" * 101, "car", "Car"), "is no list name"),
    ],
)
def test_bad_resource_names(names: Names, problem: str) -> None:
    found = name_problems(replace(GOOD, names=names))
    assert any(problem in text for text in found), found


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("id", "`id` is a reserved name"),
        ("not", "`not` is a reserved name"),
        ("__typename", "`__typename` is no GraphQL name"),
        ("号牌", "`号牌` is no GraphQL name"),
        ("PLATE", "`PLATE` is no GraphQL name"),
        ("owneR", "2 items or relations have the GraphQL name `owner`"),
    ],
)
def test_bad_item_names(name: str, problem: str) -> None:
    resource = make_resource("car", [make_item("plate", graphql=name), make_item("owner")])
    assert any(problem in text for text in name_problems(resource))


def test_items_and_relations_share_names() -> None:
    relation = make_relation("keeper", "12/1", ["plate"], inverse="cars", graphql="owner")
    assert len(name_problems(replace(GOOD, relations=(relation,)))) == 1


def test_clashes_between_resources() -> None:
    other = make_resource("carGroup", [make_item("plate")])
    assert name_clashes([GOOD, other]) == [f"type `CarGroup` of `{other.code}` is also one of `{GOOD.code}`"]
    twin = replace(GOOD, code="99/1", names=Names("population", "cars", "vehicle", "Vehicle"))
    assert any("field `cars` of `99/1`" in clash for clash in name_clashes([GOOD, twin]))
    data = make_resource("populationData", [make_item("plate")])
    assert any("is the type of group `population`" in clash for clash in name_clashes([GOOD, data]))


@pytest.mark.parametrize(
    "resources",
    [
        [GOOD, make_resource("carGroup", [make_item("plate")])],
        [GOOD, replace(GOOD, code="99/1", names=Names("population", "cars", "vehicle", "Vehicle"))],
        [replace(GOOD, names=Names("population", "cars", "car", "Resource"))],
        [replace(GOOD, names=Names("population", "cars", "id", "Car"))],
        [replace(GOOD, names=Names("pop-ulation", "cars", "car", "Car"))],
        [replace(GOOD, names=Names("population", "cars", "car", "__Car"))],
        [make_resource("car", [make_item("plate", graphql="号牌")])],
        [make_resource("car", [make_item("plate"), make_item("other", graphql="plate")])],
        [replace(GOOD, keys=(Key(("plate",)), Key(("plate",))), names=Names("g", "carByPlate", "car", "Car"))],
    ],
    ids=lambda resources: "+".join(str(resource.names.type) for resource in resources),
)
def test_no_schema_is_built_of_bad_names(resources: list[object]) -> None:
    with pytest.raises(ValueError, match="`"):
        build(make_snapshot(resources))  # type: ignore[arg-type]
