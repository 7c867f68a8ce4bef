"""The check before publication: the decision table of cases.yaml, and what does not fit into a table."""

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tanglai.catalogue.checks import RULES, Draft, Severity, check, draft_from_files, load_draft
from tanglai.catalogue.expressions import IsNull, ItemRef
from tanglai.catalogue.files import parse_file, to_yaml
from tanglai.catalogue.model import Period, Statistics
from tanglai.catalogue.scalars import ScalarType
from tanglai.catalogue.statistics import statistics_faults
from tests.catalogues import make_item, make_resource
from tests.unit.catalogue import region
from tests.unit.catalogue.region import TODAY, Docs, violations

CASES: list[dict[str, Any]] = parse_file("cases.yaml", Path(__file__).with_name("cases.yaml").read_bytes()).document


def changed(changes: dict[str, Any]) -> Docs:
    docs = region.region()
    for path, value in changes.items():
        *steps, last = [int(step) if step.isdigit() else step for step in path.split("/")]
        here: Any = docs
        for step in steps:
            here = here[step]
        if last == "+":
            here.append(deepcopy(value))
        elif value is None:
            del here[last]
        else:
            here[last] = deepcopy(value)
    return docs


def case_id(case: dict[str, Any]) -> str:
    return f"{case['rule']}: {', '.join(case['change'])}"


def test_the_region_is_lawful() -> None:
    assert violations(region.region()) == []
    assert violations(region.region(), structures=region.structures()) == []
    assert violations({}, region.published(region.region())) == []
    assert violations(region.region(), region.published(region.region())) == []


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_case(case: dict[str, Any]) -> None:
    severity = Severity(case.get("severity", "ERROR"))
    file, path = case["at"].split(" ", 1)
    told = {(v.rule, v.file, v.path, v.severity) for v in violations(changed(case["change"]))}
    assert (case["rule"], f"{file}.yaml", path, severity) in told
    if "lawful" in case:
        assert [v for v in violations(changed(case["lawful"])) if v.severity is Severity.ERROR] == []
        assert case["rule"] not in {v.rule for v in violations(changed(case["lawful"]))}


def test_every_rule_is_broken_by_some_test() -> None:
    elsewhere = {"file", "duplicate", "binding", "time-limit"}
    assert {case["rule"] for case in CASES} | elsewhere == set(RULES)


def test_a_violation_names_file_line_path_rule_and_article(tmp_path: Path) -> None:
    for name, document in changed({"resident/items/2/shareClass": "CONDITIONAL"}).items():
        (tmp_path / f"{name}.yaml").write_text(to_yaml(document), encoding="utf-8")
    draft, unread = load_draft([tmp_path], None)
    assert unread == ()
    (violation,) = [v for v in check(draft, None, today=TODAY) if v.severity is Severity.ERROR]
    file = tmp_path / "resident.yaml"
    line = file.read_text(encoding="utf-8").splitlines().index("  shareClass: CONDITIONAL") + 1
    assert (violation.file, violation.line) == (str(file), line)
    assert str(violation) == (
        f"{file}:{line}: items[2].shareClass: basic item `division` of a base library is `CONDITIONAL`, not "
        "`UNCONDITIONAL` [basic-item, Art. 10(2)]"
    )


def test_two_files_of_one_resource() -> None:
    docs = region.region()
    docs["copy"] = docs["vehicle"]
    told = {(v.rule, v.file) for v in violations(docs)}
    assert told >= {("duplicate", "vehicle.yaml"), ("duplicate", "copy.yaml")}


@pytest.mark.parametrize("document", ["text", ["a", "list"], {"kind": ["resource"]}, {}, {"kind": "resource"}])
def test_files_of_another_kind(document: Any) -> None:
    docs = region.region()
    docs["odd"] = document
    told = violations(docs)
    assert told
    assert {(v.rule, v.file) for v in told} == {("document", "odd.yaml")}


def test_an_entry_without_a_file_has_no_place() -> None:
    resource = region.published(region.region()).resources["3010203/1"]
    told = check(Draft(resources=(replace(resource, provider="nobody"),)), None, today=TODAY)
    assert {(v.file, v.line, v.path) for v in told if v.rule == "reference"} >= {("", 0, "provider"), ("", 0, "source")}


def test_grants_that_are_not_of_a_file() -> None:
    docs = changed({"grants/grants/0/relations": ["vehicles"]})
    draft = draft_from_files(region.files(docs), None)[0]
    existing = region.published(changed({"vehicle/relations": None}))
    (grant,) = draft.grants
    told = check(Draft(grants=(grant,)), existing, today=TODAY)
    assert told == []  # the missing end of the relation is no fault of the grant
    told = check(Draft(grants=(replace(grant, resource="9/9"),)), existing, today=TODAY)
    assert [(v.rule, v.path) for v in told] == [("reference", "resource")]
    gone = replace(grant, scope=IsNull(ItemRef("gone", ScalarType.TEXT)))
    told = check(Draft(grants=(gone,)), existing, today=TODAY)
    assert [(v.rule, v.path) for v in told] == [("grant", "scope")]


# What a draft does to what is published already


def test_a_draft_leans_on_what_is_published() -> None:
    existing = region.published(region.region())
    assert violations({"vehicle": region.region()["vehicle"], "grants": region.region()["grants"]}, existing) == []


def test_a_draft_that_breaks_the_other_end_of_a_relation() -> None:
    existing = region.published(region.region())
    vehicle = changed({"vehicle/relations": None})["vehicle"]
    told = [(v.rule, v.file, v.path) for v in violations({"vehicle": vehicle}, existing)]
    assert told == [("relation", "vehicle.yaml", "(document)")]


def test_a_draft_that_takes_a_published_name() -> None:
    existing = region.published(region.region())
    diagnosis = changed({"diagnosis/graphql/type": "Vehicle"})["diagnosis"]
    told = {(v.rule, v.file, v.path) for v in violations({"diagnosis": diagnosis}, existing)}
    assert told == {("graphql-name", "diagnosis.yaml", "graphql")}


def test_names_of_the_two_zones_are_apart() -> None:
    twin = {
        **changed({"diagnosis/graphql": region.REGION["vehicle"]["graphql"], "diagnosis/zone": "INTRANET"}),
        "sources": changed({"sources/sources/1/zone": "INTRANET"})["sources"],
    }
    assert violations(twin) == []


def test_names_of_the_fixed_schema_are_reserved() -> None:
    told = violations(region.region(), reserved=frozenset({"VehicleEdge", "PopulationData", "Other"}))
    assert {(v.rule, v.file, v.path) for v in told} == {
        ("graphql-name", "vehicle.yaml", "graphql"),
        ("graphql-name", "resident.yaml", "graphql"),
    }


def test_a_published_provider_of_the_same_data_element() -> None:
    existing = region.published(region.region())
    diagnosis = changed({"diagnosis/items/0/dataElement": "DE001"})["diagnosis"]
    told = [(v.rule, v.path) for v in violations({"diagnosis": diagnosis}, existing)]
    assert told == [("one-authority", "items[0].dataElement")]


def test_a_time_limit_is_asked_for_by_order_809_only() -> None:
    grants = {"grants": changed({"grants/grants/0/validTo": None})["grants"]}
    measures = region.published(region.region())
    order = region.published(region.region(), "order-809")
    assert violations(grants, measures) == []
    assert [(v.rule, v.severity) for v in violations(grants, order)] == [("time-limit", Severity.NOTICE)]


# What the sources have

BINDINGS: list[tuple[dict[str, Any], str, Severity]] = [
    ({"table": "population.person"}, "table", Severity.ERROR),
    ({"table": "traffic.resident"}, "table", Severity.ERROR),
    ({"items/3/column": "mobile"}, "items[3].column", Severity.ERROR),
    ({"items/4/column": "photo"}, "items[4].column", Severity.ERROR),
    ({"items/3/column": "photo"}, "items[3].column", Severity.NOTICE),
    ({"items/4/type": "TEXT"}, "items[4].column", Severity.NOTICE),
    ({"items/4/type": "DATE"}, "items[4].column", Severity.ERROR),
    ({"items/3/type": "LONG", "items/3/masks": None}, "items[3].column", Severity.ERROR),
    ({"handle/column": "rowid"}, "handle.column", Severity.ERROR),
    ({"handle/type": "DATE"}, "handle.type", Severity.ERROR),
    ({"handle/type": "INTEGER"}, "handle.type", Severity.NOTICE),
    ({"items/3/nullable": False}, "items[3].nullable", Severity.NOTICE),
    ({"items/3/column": {"name": "phone", "collated": False}}, "items[3].column", Severity.NOTICE),
    ({"keys/+": ["birthDate"]}, "keys[1]", Severity.NOTICE),
]


@pytest.mark.parametrize(("change", "path", "severity"), BINDINGS, ids=[", ".join(b[0]) for b in BINDINGS])
def test_bindings(change: dict[str, Any], path: str, severity: Severity) -> None:
    docs = changed({f"resident/{key}": value for key, value in change.items()})
    docs.pop("grants")
    told = {(v.rule, v.path, v.severity) for v in violations(docs, structures=region.structures())}
    assert ("binding", path, severity) in told
    assert "binding" not in {v.rule for v in violations(docs)}


def column(**changes: Any) -> dict[str, list[region.Table]]:
    """The structures with the column `phone` of residents changed."""
    structures = region.structures()
    table = structures["residents-db"][0]
    columns = tuple(replace(c, **changes) if c.name == "phone" else c for c in table.columns)
    structures["residents-db"][0] = replace(table, columns=columns)
    return structures


def test_a_collation_that_the_binding_conceals_is_told() -> None:
    told = violations(region.region(), structures=column(collated=False))
    assert [(v.rule, v.path, v.severity) for v in told] == [("binding", "items[3].column", Severity.NOTICE)]
    docs = changed({"resident/items/3/column": {"name": "phone", "collated": False}})
    assert violations(docs, structures=column(collated=False)) == []


def test_a_lost_index_of_a_key_is_told() -> None:
    docs = changed({"resident/items/3/column": {"name": "phone", "collated": False}, "resident/keys/+": ["phone"]})
    told = violations(docs, structures=column(collated=False, unique=True))
    assert [(v.rule, v.path, v.severity) for v in told] == [("binding", "items[3].column", Severity.NOTICE)]


@pytest.mark.parametrize(
    ("native", "kind", "severity", "in_files"),
    [
        (ScalarType.INTEGER, "LONG", None, None),
        (ScalarType.INTEGER, "DECIMAL", None, None),
        (ScalarType.LONG, "DECIMAL", None, None),
        (ScalarType.LONG, "INTEGER", Severity.NOTICE, Severity.NOTICE),
        (ScalarType.DECIMAL, "FLOAT", Severity.NOTICE, Severity.NOTICE),
        (ScalarType.LONG, "BOOLEAN", Severity.NOTICE, Severity.NOTICE),
        (ScalarType.TEXT, "BOOLEAN", Severity.NOTICE, Severity.NOTICE),
        (ScalarType.DATE, "TEXT", Severity.NOTICE, Severity.NOTICE),
        (ScalarType.DATETIME, "DATE", Severity.ERROR, Severity.ERROR),
        (ScalarType.TEXT, "DATE", Severity.ERROR, Severity.NOTICE),
        (ScalarType.BOOLEAN, "INTEGER", Severity.ERROR, Severity.ERROR),
        (None, "LONG", Severity.ERROR, Severity.ERROR),
    ],
)
def test_types(native: ScalarType | None, kind: str, severity: Severity | None, in_files: Severity | None) -> None:
    change: dict[str, Any] = {"resident/items/3/type": kind, "resident/items/3/masks": None, "grants/grants": []}
    for docs, expected in (
        (changed(change), severity),
        (changed(change | {"sources/sources/0/kind": "files"}), in_files),
    ):
        told = [v.severity for v in violations(docs, structures=column(type=native))]
        assert told == ([] if expected is None else [expected])


def test_a_handle_that_the_source_does_not_promise() -> None:
    structures = region.structures()
    table = structures["health-db"][0]
    structures["health-db"][0] = replace(
        table, columns=tuple(replace(c, unique=False) if c.name == "handle" else c for c in table.columns)
    )
    told = violations(region.region(), structures=structures)
    assert [(v.rule, v.file, v.severity) for v in told] == [("handle", "diagnosis.yaml", Severity.NOTICE)]


def test_a_source_that_was_not_read() -> None:
    structures = region.structures()
    del structures["health-db"]
    told = violations(region.region(), structures=structures)
    assert [(v.rule, v.file, v.severity) for v in told] == [("binding", "diagnosis.yaml", Severity.NOTICE)]


def test_a_table_without_a_namespace() -> None:
    structures = region.structures()
    diagnosis = structures["health-db"][0]
    structures["health-db"] = [replace(diagnosis, namespace="a"), replace(diagnosis, namespace="b")]
    assert [v.path for v in violations(region.region(), structures=structures)] == ["table"]
    structures["health-db"].append(replace(diagnosis, namespace="public"))
    assert violations(region.region(), structures=structures) == []


def test_files_of_one_pattern() -> None:
    structures = region.structures()
    diagnosis = structures["health-db"][0]
    structures["health-db"] = [replace(diagnosis, namespace=None, name=f"d/{year}.parquet") for year in (2024, 2025)]
    assert violations(changed({"diagnosis/table": "d/*.parquet"}), structures=structures) == []
    assert [v.path for v in violations(changed({"diagnosis/table": "e/*.parquet"}), structures=structures)] == ["table"]


@pytest.mark.parametrize(
    ("codes", "kind", "count", "message"),
    [
        (["x"], ScalarType.INTEGER, 1, "does not fit its type INTEGER"),
        ([str(n) for n in range(99)], ScalarType.INTEGER, 2, None),
        ([str(n) for n in range(100)], ScalarType.INTEGER, 2, "make 10201 cells, more than 10000"),
    ],
)
def test_the_code_lists_bound_a_cube(codes: list[str], kind: ScalarType, count: int, message: str | None) -> None:
    items = [make_item(f"d{n}", kind, codes=codes) for n in range(count)]
    terms = Statistics(tuple(item.name for item in items), (), Period.YEAR, 3, 1)
    faults = [text for _, text in statistics_faults(terms, make_resource("thing", items))]
    assert len(faults) == (message is not None)
    assert all(message in fault for fault in faults if message)
