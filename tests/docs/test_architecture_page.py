"""docs/architecture.md: its plan, states, layers and folders are those of the code."""

import json
import re
import tomllib
from datetime import UTC, datetime
from typing import Any

from graphql import OperationType

from authz.decide import Asking, MaskKey
from authz.principal import Principal
from demo.region import CATALOGUE
from resolvers.caches import Decisions
from resolvers.document import Documents, coerce_variables
from resolvers.limits import Limits
from resolvers.plan import Plan
from resolvers.planner import Planning
from resolvers.roots import plan_operation
from resolvers.selection import Collector
from resolvers.text import explain
from resolvers.values import Slotter
from schema.unified import UnifiedSchema
from tanglai.catalogue.checks_draft import load_draft
from tanglai.catalogue.errors import ErrorCode
from tanglai.catalogue.rules import rule_set
from tanglai.storage.transitions import GRANT_TRANSITIONS
from tests.docs.documents import DOCS, ROOT, Block, blocks, read, section, table

PAGE = DOCS / "architecture.md"
NOW = datetime(2026, 11, 2, tzinfo=UTC)


def test_the_plan_is_what_the_planner_says(demo_schema: UnifiedSchema) -> None:
    query, variables, printed = (b for b in blocks(PAGE) if b.note.startswith(("as: ", "variables", "plan")))
    assert printed.text == explain(plan_of(demo_schema, query, json.loads(variables.text))) + "\n"


def plan_of(schema: UnifiedSchema, query: Block, variables: dict[str, Any]) -> Plan:
    """The plan of a document for a department and a purpose of the demo, under the demo's grants."""
    snapshot, limits = schema.snapshot, Limits()
    _, key, purpose = query.note.split(" ")
    department = snapshot.department_by_key[key]
    principal = Principal(department=department, client="docs", purposes=frozenset({purpose}))
    document = Documents(schema.graphql, limits).document(query.text)
    operation = document.operation(None)
    slotted = Slotter(_no_id, limits.list_values).slot(
        operation.types, coerce_variables(schema.graphql, operation, variables)
    )
    grants = tuple(grant for grant in load_draft([CATALOGUE], None)[0].grants if grant.requester == department.code)
    rules = rule_set(snapshot.rule_set)
    visible = Decisions(100).visible(Asking(snapshot, rules, principal, purpose, grants, NOW, MaskKey("m", b"secret")))
    collector = Collector(schema.graphql, document.fragments, slotted.values)
    planning = Planning(snapshot, schema.graphql, limits, slotted.values, collector, visible, _no_id)
    root = schema.graphql.get_root_type(OperationType.QUERY)
    assert root is not None
    return plan_operation(planning, root, collector.fields(root, [operation.node.selection_set]))


def _no_id(_: str) -> str:
    return "catalogue"


def test_states_are_those_of_the_table() -> None:
    (diagram,) = (b.text for b in blocks(PAGE) if b.language == "mermaid")
    drawn = {(a, b): event for a, b, event in re.findall(r"^ +(\w+) --> (\w+): (\w+)$", diagram, re.MULTILINE)}
    assert drawn == {(a.value, b.value): event.value for (a, b), event in GRANT_TRANSITIONS.items()}


def test_layers_are_those_of_the_contract() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contract = next(c for c in project["tool"]["importlinter"]["contracts"] if c["type"] == "layers")
    layers = next(b.text for b in blocks(PAGE) if b.text.startswith("benchmarks\n"))
    assert layers.splitlines() == contract["layers"]


def test_every_folder_of_code_is_told() -> None:
    told = {row[0].rstrip("/") for row in table(section(PAGE, "Folders"))}
    packages = {"schema", "resolvers", "authz", "connectors", "demo", "benchmarks", "workbench", "tests"}
    parts = {f"tanglai/{p.name}" for p in (ROOT / "tanglai").iterdir() if (p / "__init__.py").exists()}
    assert told == packages | parts


def test_stages_reject_with_codes_that_exist() -> None:
    stages = table(read(PAGE).partition("\n## ")[0])
    codes = {code for row in stages for code in re.findall(r"\b[A-Z]+_[A-Z_]+\b|UNAUTHENTICATED", row[2])}
    assert codes <= {code.value for code in ErrorCode}
    assert len(codes) >= 10


def test_caches_are_as_large_as_told() -> None:
    limits = Limits()
    text = section(PAGE, "What is kept between requests, and under which key")
    assert f"the least used of {limits.documents_cached:,}" in text
    assert f"{limits.documents_cached_bytes // 1_000_000} MB of text" in text
    assert f"the least used of {limits.plans_cached:,}" in text
