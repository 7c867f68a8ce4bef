"""Generated types: their shape, their meaning for the planner, and that nothing but the planner answers them."""

from collections.abc import Iterator
from typing import Any

import pytest
from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    execute_sync,
    get_introspection_query,
    parse,
    validate,
    validate_schema,
)
from hypothesis import HealthCheck, given, settings

from schema.fields import (
    AggregateField,
    FunctionField,
    GroupField,
    GroupId,
    ItemField,
    ListField,
    LookupField,
    Part,
    PartField,
    RelationField,
    RootField,
    RowId,
    WhereItem,
    WhereLogic,
    WhereRelation,
    meaning,
)
from schema.unified import UnifiedSchema, build
from tanglai.catalogue.errors import ErrorCode, TanglaiError
from tanglai.catalogue.expressions import AggregateFunction
from tanglai.catalogue.model import Snapshot
from tanglai.catalogue.scalars import ScalarType
from tests.catalogues import make_item, make_resource, make_snapshot, population
from tests.unit.schema.strategies import snapshots

SNAPSHOT = population()
UNIFIED = build(SNAPSHOT)


def object_type(name: str, unified: UnifiedSchema = UNIFIED) -> GraphQLObjectType:
    found = unified.graphql.type_map[name]
    assert isinstance(found, GraphQLObjectType)
    return found


def input_type(name: str, unified: UnifiedSchema = UNIFIED) -> GraphQLInputObjectType:
    found = unified.graphql.type_map[name]
    assert isinstance(found, GraphQLInputObjectType)
    return found


def shape(kind: GraphQLObjectType | GraphQLInputObjectType) -> dict[str, str]:
    fields: dict[str, Any] = dict(kind.fields)
    return {name: str(field.type) for name, field in fields.items()}


def test_object_type() -> None:
    assert shape(object_type("Resident")) == {
        "id": "ID!",
        "name": "String",
        "idNumber": "String",
        "passport": "String",
        "birthDate": "Date",
        "sex": "String",
        "phone": "String",
        "height": "Int",
        "serial": "Long",
        "income": "Decimal",
        "score": "Float",
        "married": "Boolean",
        "wakes": "Time",
        "updated": "DateTime",
        "home": "GeoJSON",
        "file": "String",
        "householdId": "String",
        "vehicles": "VehicleConnection",
        "household": "Household",
    }
    assert [interface.name for interface in object_type("Resident").interfaces] == ["Node"]


def test_a_resource_without_a_handle_has_no_id_and_is_no_node() -> None:
    inspection = object_type("Inspection")
    assert shape(inspection) == {"site": "GeoJSON"}
    assert inspection.interfaces == ()


def test_connection() -> None:
    assert shape(object_type("ResidentConnection")) == {
        "edges": "[ResidentEdge!]!",
        "nodes": "[Resident!]!",
        "pageInfo": "PageInfo!",
        "totalCount": "Int",
    }
    assert shape(object_type("ResidentEdge")) == {"node": "Resident!", "cursor": "String"}


def test_where_and_order() -> None:
    where = shape(input_type("ResidentWhere"))
    assert where["name"] == "TextFilter"
    assert where["home"] == "GeometryFilter"
    assert where["vehicles"] == "VehicleRelationFilter"
    assert where["household"] == "HouseholdRelationFilter"
    assert (where["and"], where["or"], where["not"]) == ("[ResidentWhere!]", "[ResidentWhere!]", "ResidentWhere")
    assert shape(input_type("VehicleRelationFilter")) == dict.fromkeys(("some", "none", "every"), "VehicleWhere")
    order = shape(input_type("ResidentOrder"))
    assert set(order.values()) == {"OrderDirection"}
    assert "home" not in order
    assert len(order) == 15


def test_aggregates() -> None:
    assert shape(object_type("ResidentAggregate")) == {
        "key": "ResidentGroupKey",
        "count": "Int",
        "countValues": "ResidentCounts",
        "countDistinct": "ResidentCounts",
        "min": "ResidentExtremes",
        "max": "ResidentExtremes",
        "sum": "ResidentSums",
        "avg": "ResidentSums",
    }
    assert shape(object_type("ResidentSums")) == {
        "height": "Decimal",
        "serial": "Decimal",
        "income": "Decimal",
        "score": "Float",
    }
    extremes = shape(object_type("ResidentExtremes"))
    assert extremes["birthDate"] == "Date"
    assert not {"married", "home"} & extremes.keys()
    assert set(shape(object_type("ResidentCounts")).values()) == {"Int"}
    group = UNIFIED.graphql.type_map["ResidentGroup"]
    assert isinstance(group, GraphQLEnumType)
    assert group.values["ID_NUMBER"].value == "id_number"
    assert "HOME" not in group.values


def test_what_no_item_allows_is_not_there() -> None:
    assert shape(object_type("InspectionAggregate")) == {"count": "Int"}
    assert {name for name in UNIFIED.graphql.type_map if name.startswith("Inspection")} == {
        "Inspection",
        "InspectionConnection",
        "InspectionEdge",
        "InspectionWhere",
        "InspectionAggregate",
    }
    transport = object_type("TransportData")
    assert list(transport.fields["inspections"].args) == ["where", "first", "after", "last", "before"]
    assert list(transport.fields["inspectionsAggregate"].args) == ["where"]


def test_group_fields() -> None:
    fields = object_type("PopulationData").fields
    assert {name: str(field.type) for name, field in fields.items()} == {
        "id": "ID!",
        "residents": "ResidentConnection",
        "resident": "Resident",
        "residentByNameAndBirthDate": "Resident",
        "residentsAggregate": "[ResidentAggregate!]",
        "households": "HouseholdConnection",
        "household": "Household",
        "householdsAggregate": "[HouseholdAggregate!]",
    }
    arguments = {name: str(argument.type) for name, argument in fields["residents"].args.items()}
    assert arguments == {
        "where": "ResidentWhere",
        "search": "String",
        "orderBy": "[ResidentOrder!]",
        "first": "Int",
        "after": "String",
        "last": "Int",
        "before": "String",
    }
    assert fields["residents"].args == object_type("Household").fields["members"].args
    lookup = fields["residentByNameAndBirthDate"].args
    assert {name: str(argument.type) for name, argument in lookup.items()} == {"name": "String!", "birthDate": "Date!"}
    assert list(fields["residentsAggregate"].args) == ["where", "groupBy"]


def test_the_other_zone_is_not_in_the_schema() -> None:
    assert not [name for name in UNIFIED.graphql.type_map if name.startswith("Dossier")]
    assert "dossiers" not in object_type("PopulationData").fields


def test_a_relation_into_the_other_zone_is_not_in_the_schema() -> None:
    resources = [r for r in population().resources.values() if r.names.type != "Household"]
    snapshot = make_snapshot(resources)
    unified = build(snapshot)
    assert "household" not in object_type("Resident", unified).fields


def test_meanings_of_fields() -> None:
    resident = SNAPSHOT.resources[next(c for c, r in SNAPSHOT.resources.items() if r.names.type == "Resident")]
    fields = object_type("Resident").fields
    assert object_type("Resident").extensions["tanglai"] is resident
    assert meaning(fields["id"]) == RowId(resident)
    assert meaning(fields["phone"]) == ItemField(resident, resident.item_by_name["phone"])
    assert meaning(fields["vehicles"]) == RelationField(resident, resident.relation_by_name["vehicles"])
    group = object_type("PopulationData").fields
    assert meaning(group["id"]) == GroupId("population")
    assert meaning(group["residents"]) == ListField(resident)
    assert meaning(group["residentByNameAndBirthDate"]) == LookupField(resident, resident.keys[1])
    assert meaning(group["residentsAggregate"]) == AggregateField(resident)
    birth_date = group["residentByNameAndBirthDate"].args["birthDate"]
    assert meaning(birth_date) == ItemField(resident, resident.item_by_name["birth_date"])
    aggregate = object_type("ResidentAggregate").fields
    assert meaning(aggregate["key"]) == PartField(Part.GROUP_KEY)
    assert meaning(aggregate["avg"]) == FunctionField(None)
    assert meaning(aggregate["countDistinct"]) == FunctionField(AggregateFunction.COUNT_DISTINCT)
    for kind in ("GroupKey", "Counts", "Extremes"):
        found = meaning(object_type(f"Resident{kind}").fields["idNumber"])
        assert found == ItemField(resident, resident.item_by_name["id_number"])
    where = input_type("ResidentWhere").fields
    assert meaning(where["idNumber"]) == WhereItem(resident.item_by_name["id_number"])
    assert meaning(where["household"]) == WhereRelation(resident.relation_by_name["household"])
    assert meaning(where["or"]) is WhereLogic.OR
    assert meaning(input_type("ResidentOrder").fields["name"]) == ItemField(resident, resident.item_by_name["name"])
    roots = object_type("Query").fields
    assert {name: meaning(field) for name, field in roots.items() if meaning(field)} == {
        "data": RootField.DATA,
        "node": RootField.NODE,
        "_entities": RootField.ENTITIES,
    }
    assert meaning(object_type("Data").fields["population"]) == GroupField("population")
    assert meaning(object_type("Data").fields["id"]) == GroupId("")
    assert {name: meaning(field) for name, field in object_type("PageInfo").fields.items()} == {
        part.value: PartField(part)
        for part in (Part.HAS_NEXT_PAGE, Part.HAS_PREVIOUS_PAGE, Part.START_CURSOR, Part.END_CURSOR)
    }


def reachable(start: GraphQLNamedType) -> Iterator[GraphQLNamedType]:
    """Types that graphql-core's own collection finds from `start`."""
    schema = GraphQLSchema(GraphQLObjectType("Start", {"start": GraphQLField(start)}))  # type: ignore[arg-type]
    return iter(kind for name, kind in schema.type_map.items() if not name.startswith("__") and name != "Start")


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(snapshots())
def test_any_catalogue_gives_a_valid_schema(snapshot: Snapshot) -> None:
    unified = build(snapshot)
    query = unified.graphql.query_type
    assert query is not None
    collected = GraphQLSchema(
        query,
        types=[kind for kind in unified.graphql.type_map.values() if isinstance(kind, GraphQLInterfaceType)]
        + [kind for kind in unified.graphql.type_map.values() if isinstance(kind, GraphQLObjectType)],
        directives=unified.graphql.directives,
        description=unified.graphql.description,
    )
    assert validate_schema(collected) == []
    assert collected.type_map == unified.graphql.type_map
    node = unified.graphql.type_map["Node"]
    assert isinstance(node, GraphQLInterfaceType)
    assert {kind.name for kind in collected.get_possible_types(node)} == {
        kind.name for kind in unified.graphql.get_possible_types(node)
    }
    roots = (query, unified.graphql.mutation_type, unified.graphql.subscription_type)
    found = {kind.name for root in roots if root is not None for kind in reachable(root)}
    assert found >= unified.graphql.type_map.keys() - {"FieldSet"} - {
        n for n in unified.graphql.type_map if n[:2] == "__"
    }
    for _, part in everything(unified):
        assert part.description, part


def everything(unified: UnifiedSchema) -> Iterator[tuple[str, Any]]:
    """Every type, field, argument, enum value of the schema but introspection's, with its coordinate."""
    for name, kind in unified.graphql.type_map.items():
        if name.startswith("__"):
            continue
        yield name, kind
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
            for field_name, field in kind.fields.items():
                yield f"{name}.{field_name}", field
                for argument_name, argument in getattr(field, "args", {}).items():
                    yield f"{name}.{field_name}({argument_name}:)", argument
        elif isinstance(kind, GraphQLEnumType):
            for value_name, value in kind.values.items():
                yield f"{name}.{value_name}", value
    for directive in unified.graphql.directives:
        yield f"@{directive.name}", directive
        for argument_name, argument in directive.args.items():
            yield f"@{directive.name}({argument_name}:)", argument


def test_descriptions_begin_with_a_capital_and_inputs_have_no_null_default() -> None:
    for coordinate, part in everything(UNIFIED):
        assert part.description, coordinate
        assert part.description[0] == part.description[0].upper(), coordinate
        if isinstance(part, GraphQLArgument | GraphQLInputField):
            assert part.default is None or part.default.value is not None, coordinate
            assert part.default_value is not None, coordinate


def data_types(unified: UnifiedSchema) -> Iterator[GraphQLObjectType]:
    for kind in unified.data.types:
        if isinstance(kind, GraphQLObjectType):
            yield kind


def test_every_data_field_means_something_and_refuses_to_be_executed() -> None:
    seen = 0
    for kind in data_types(UNIFIED):
        for name, field in kind.fields.items():
            assert meaning(field) is not None, f"{kind.name}.{name}"
            assert field.resolve is not None
            with pytest.raises(TanglaiError) as caught:
                field.resolve(None, None)
            assert caught.value.code is ErrorCode.INTERNAL
            seen += 1
    assert seen >= 150


@pytest.mark.parametrize("text", ["{ data { id } }", "{ _entities(representations: []) { __typename } }"])
def test_graphql_core_never_answers_data(text: str) -> None:
    document = parse(text)
    assert validate(UNIFIED.graphql, document) == []
    result = execute_sync(UNIFIED.graphql, document)
    assert result.data is None
    assert result.errors is not None
    error = result.errors[0].original_error
    assert isinstance(error, TanglaiError)
    assert error.code is ErrorCode.INTERNAL


def test_no_resource_still_makes_a_schema() -> None:
    unified = build(make_snapshot())
    assert shape(object_type("Data", unified)) == {"id": "ID!"}
    query = object_type("Query", unified)
    assert list(query.fields)[:3] == ["me", "catalogue", "data"]
    assert list(query.fields)[-2:] == ["node", "_service"]
    assert "_Entity" not in unified.graphql.type_map
    collected = GraphQLSchema(query, directives=unified.graphql.directives)
    assert validate_schema(collected) == []


def test_entities_are_the_resources_with_a_key() -> None:
    union = UNIFIED.graphql.type_map["_Entity"]
    assert isinstance(union, GraphQLUnionType)
    assert {kind.name for kind in union.types} == {"Resident", "Household", "Vehicle"}


def test_introspection_runs() -> None:
    result = execute_sync(UNIFIED.graphql, parse(get_introspection_query(specified_by_url=True)))
    assert result.errors is None


def test_scalars_have_specifications() -> None:
    urls = {
        name: kind.specified_by_url
        for name, kind in UNIFIED.graphql.type_map.items()
        if name in ("Date", "Time", "DateTime", "GeoJSON") and hasattr(kind, "specified_by_url")
    }
    assert all(urls.values())
    assert len(urls) == 4


def test_descriptions_say_class_provider_condition_and_way() -> None:
    resident = object_type("Resident")
    assert resident.description is not None
    for words in ("居民", "有条件共享 `CONDITIONAL`", "公安厅", "每日 `DAILY`", "经提供部门同意", "10 working days"):
        assert words in resident.description
    passport = resident.fields["passport"].description or ""
    assert "限出入境管理使用" in passport
    assert "经提供部门同意" not in passport
    assert "Art. 11(3)" in passport
    phone = resident.fields["phone"].description or ""
    assert "经提供部门同意" in phone
    assert "`middle`, `none`" in phone
    file = resident.fields["file"].description or ""
    assert "《治安管理处罚法》第八十条" in file
    assert "only by consultation" in file
    name = resident.fields["name"].description or ""
    assert "without an application" in name
    assert "Condition" not in name


def test_descriptions_follow_the_rule_set() -> None:
    snapshot = make_snapshot([make_resource("car", [make_item("plate")])], rule_set="order-809")
    unified = build(snapshot)
    description = object_type("Car", unified).fields["plate"].description or ""
    assert "reply due in 1 working day " in description
    assert "Order 809 Art. 21" in description


def test_an_unknown_rule_set_makes_no_schema() -> None:
    with pytest.raises(ValueError, match="unknown rule set `x`"):
        build(make_snapshot(rule_set="x"))


def test_scalars_that_no_item_has_are_not_in_the_schema() -> None:
    names = build(make_snapshot([make_resource("car", [make_item("plate")])])).graphql.type_map
    assert not {"Time", "GeoJSON", "LongFilter", "DecimalFilter"} & names.keys()
    names = build(make_snapshot([make_resource("car", [make_item("at", ScalarType.TIME)])])).graphql.type_map
    assert "Time" in names
    assert "GeoJSON" not in names
