"""The demo region's catalogue: it passes the law's checks, shows every class and kind of grant, and fits the data."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from demo.data.load import DATABASES
from demo.data.places import COUNTIES, FORMER
from demo.data.world import World
from demo.region import CATALOGUE
from tanglai.catalogue.checks import Draft, check, load_draft
from tanglai.catalogue.divisions import division_prefixes
from tanglai.catalogue.model import Branch, GrantBasis, GrantState, Level, ShareClass, Usage, Zone

TODAY = date(2026, 11, 1)


@pytest.fixture(scope="module")
def draft() -> Draft:
    found, violations = load_draft([CATALOGUE], None)
    assert [str(violation) for violation in violations] == []
    return found


def test_the_law_has_nothing_to_say(draft: Draft) -> None:
    assert [str(violation) for violation in check(draft, None, today=TODAY)] == []


def test_departments_have_the_keys_that_commands_and_documents_name(draft: Draft) -> None:
    keys = {department.key: department for department in draft.departments}
    assert set(keys) >= {
        "data-office",
        "public-security",
        "market-regulation",
        "natural-resources",
        "social-security",
        "civil-affairs",
        "health",
        "taxation",
        "yinchuan-civil-affairs",
        "county-helan-social-assistance",
    }
    assert keys["data-office"].competent
    prefixes = {Level.REGION: "11640000", Level.CITY: "116401", Level.COUNTY: "116401"}
    for department in draft.departments:
        assert department.code.startswith(prefixes[department.level])
        assert (department.level is Level.REGION) == (department.division == "640000")


def test_catalogue_shows_every_branch_class_zone_and_kind_of_source(draft: Draft) -> None:
    extranet = [resource for resource in draft.resources if resource.zone is Zone.EXTRANET]
    assert len(extranet) >= 10
    assert {resource.branch for resource in extranet} == set(Branch)
    assert {resource.share_class for resource in extranet} == set(ShareClass)
    assert [resource.code for resource in draft.resources if resource.zone is Zone.INTRANET] == ["301030/1"]
    kinds = {source.key: source.kind for source in draft.sources}
    assert {kinds[resource.binding.source] for resource in extranet} == {"postgresql", "files", "http"}


def test_population_shares_basic_items_and_keeps_business_items(draft: Draft) -> None:
    """Art. 10(2): basic items of a base library are unconditional, business items may differ."""
    residents = next(resource for resource in draft.resources if resource.code == "1010101/1")
    open_items = {item.name for item in residents.items if item.share_class is ShareClass.UNCONDITIONAL}
    assert open_items == {"name", "idNumber", "gender", "birthDate", "division"}
    assert {"phone", "currentAddress", "householdNumber"} <= {item.name for item in residents.items} - open_items


def test_grants_are_of_every_kind_and_state(draft: Draft) -> None:
    grants = draft.grants
    assert {grant.basis for grant in grants} == set(GrantBasis) - {GrantBasis.TRANSITION}
    assert {grant.state for grant in grants} >= {
        GrantState.ACTIVE,
        GrantState.SUSPENDED,
        GrantState.ENDED,
        GrantState.EXPIRED,
    }
    assert any(grant.valid_from.date() > TODAY for grant in grants)
    assert any(grant.masks for grant in grants)
    assert any(grant.relations and not grant.items for grant in grants)
    assert any(grant.usage is Usage.STATISTICS for grant in grants)


def test_an_application_does_not_open_the_diagnosis(draft: Draft) -> None:
    """Art. 11(4): what is not shared is opened by consultation or coordination only."""
    coordinated = next(grant for grant in draft.grants if grant.id == "G-2026-035")
    assert coordinated.basis is GrantBasis.COORDINATION
    asked = Draft(grants=(replace(coordinated, id="G-X", basis=GrantBasis.APPLICATION),))
    everything = replace(draft, grants=asked.grants, origins={})
    violations = check(everything, None, today=TODAY)
    assert [violation.rule for violation in violations] == ["grant-basis"]
    assert "`diagnosis`" in violations[0].message


def test_every_sensitive_item_has_an_order_of_masks(draft: Draft) -> None:
    sensitive = ("phone", "idnumber", "account", "address", "ownername", "vin")
    for resource in draft.resources:
        if resource.zone is Zone.INTRANET:
            continue
        for item in resource.items:
            if item.share_class is ShareClass.CONDITIONAL and any(word in item.name.lower() for word in sensitive):
                assert len(item.masks) >= 2, f"{resource.code} {item.name}"


def test_rows_lie_in_registered_divisions(draft: Draft) -> None:
    codes = {division.code for division in draft.divisions}
    assert set(COUNTIES) | set(FORMER.values()) <= codes
    ended = {division.code: division.successor for division in draft.divisions if division.valid_to}
    assert ended == {old: new for new, old in FORMER.items()}


def test_yinchuan_takes_in_the_former_code_of_lingwu_and_wuzhong_does_not(draft: Draft) -> None:
    divisions = {division.code: division for division in draft.divisions}
    assert "640382".startswith(division_prefixes("640100", divisions))
    assert not "640382".startswith(division_prefixes("640300", divisions))


def test_tables_of_the_catalogue_are_those_that_are_loaded_but_one(draft: Draft) -> None:
    """Social organisations are left for whoever tries the way from a spreadsheet to publication."""
    loaded = {f"{database.namespace}.{table}" for database in DATABASES for table in database.tables}
    bound = {
        f"{resource.binding.namespace}.{resource.binding.table}"
        for resource in draft.resources
        if resource.binding.namespace is not None and resource.zone is Zone.EXTRANET
    }
    assert bound == loaded - {"civil.social_organisation"}


def test_columns_of_the_catalogue_are_those_of_the_rows(draft: Draft, world: World) -> None:
    tables = {table: rows for database in DATABASES for table, rows in database.tables.items()}
    files = {"licences.parquet": "licences", "vaccinations.csv": "vaccinations"}
    for resource in draft.resources:
        table = tables.get(resource.binding.table) or files.get(resource.binding.table)
        if table is None:
            continue  # the interface's and the intranet's
        columns = set(type(world.rows(table)[0])._fields)  # type: ignore[attr-defined]
        assert {item.column.name for item in resource.items} <= columns, resource.code
        assert resource.binding.handle is not None
        assert resource.binding.handle.name in columns
        for item in resource.items:
            values = {getattr(row, item.column.name) for row in world.rows(table)}
            if item.codes:
                assert values - {None} <= {code.value for code in item.codes}, (resource.code, item.name)
            if not item.nullable:
                assert None not in values, (resource.code, item.name)


def test_files_are_named_by_what_is_in_them() -> None:
    names = {path.name for path in Path(CATALOGUE).glob("*.yaml")}
    assert {
        "departments.yaml",
        "divisions.yaml",
        "purposes.yaml",
        "categories.yaml",
        "sources.yaml",
        "grants.yaml",
    } < names
