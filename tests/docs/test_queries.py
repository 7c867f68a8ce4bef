"""Queries of the documentation are valid against the schema of the demo's catalogue, and stand where tests run them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from graphql import (
    FieldNode,
    OperationDefinitionNode,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    build_schema,
    parse,
    validate,
    visit,
)

from schema import unified
from schema.unified import UnifiedSchema
from tanglai.catalogue.checks import check
from tanglai.catalogue.checks_base import Severity
from tanglai.catalogue.checks_draft import draft_from_files
from tanglai.catalogue.files import parse_file
from tanglai.catalogue.workflow.parties import Role
from tests.docs.documents import HOW_TO, Block, blocks, pages

BLOCKS = [block for page in pages() for block in blocks(page)]
QUERIES = [b for b in BLOCKS if b.language == "graphql" and not b.note.startswith("subgraph:")]
OPERATIONS = [b for b in BLOCKS if b.language == "text" and b.text.startswith(("query ", "mutation ", "subscription "))]
"""Operations that are no query to be run as it stands."""
LANGUAGES = {"sh", "graphql", "json", "yaml", "text", "csv", "python", "ini", "nginx", "sql", "mermaid", ""}


@pytest.mark.parametrize("block", QUERIES, ids=str)
def test_a_query_is_one_of_the_demos_schema(block: Block, demo_schema: UnifiedSchema) -> None:
    schema = with_resources_of(block.file, demo_schema)
    assert [error.message for error in validate(schema.graphql, parse(block.text))] == []


@pytest.mark.parametrize("block", OPERATIONS, ids=str)
def test_an_operation_is_one_of_the_demos_schema(block: Block, demo_schema: UnifiedSchema) -> None:
    assert [error.message for error in validate(demo_schema.graphql, parse(block.text))] == []


def with_resources_of(page: Path, schema: UnifiedSchema) -> UnifiedSchema:
    """The schema with what the page's own catalogue files publish; the law has nothing against them."""
    files = [b for b in blocks(page) if b.language == "yaml" and b.text.startswith("# ") and page.parent == HOW_TO]
    if not files:
        return schema
    snapshot = schema.snapshot
    loaded = [parse_file(b.text.partition("\n")[0].removeprefix("# "), b.text.encode()) for b in files]
    draft, unread = draft_from_files(loaded, snapshot)
    errors = [v for v in (*unread, *check(draft, snapshot, None)) if v.severity is Severity.ERROR]
    assert errors == []
    resources = {**snapshot.resources, **{r.code: r for r in draft.resources}}
    return unified.build(replace(snapshot, resources=resources), reuse=schema)


@pytest.mark.parametrize("block", QUERIES, ids=str)
def test_who_asks_is_a_department_for_a_purpose_of_the_demo(block: Block, demo_schema: UnifiedSchema) -> None:
    word, department, *more = block.note.split(" ")
    assert department in demo_schema.snapshot.department_by_key
    assert word in ("as:", "by:")
    if word == "as:":
        assert more.pop(0) in demo_schema.snapshot.purposes
    else:  # by somebody in a role, on a page that a test of its own works through
        assert more
    assert set(more) <= set(Role)


def test_how_tos_have_queries_that_show_what_they_say(demo_schema: UnifiedSchema) -> None:
    """Lists, look-ups, aggregates, entities, the dry run: each is shown by some query."""
    fields: set[str] = set()
    for block in QUERIES:
        if block.file.parent == HOW_TO:
            info = TypeInfo(demo_schema.graphql)
            visit(parse(block.text), TypeInfoVisitor(info, _Fields(info, fields)))
    assert {"Data", "Query.me", "Query.explainAccess", "Query._entities", "Catalogue.search"} <= fields
    assert {"Connection.nodes", "Connection.totalCount", "Aggregate.count", "PageInfo.endCursor"} <= fields


class _Fields(Visitor):
    """Collects `Type.field`; connections and aggregates by the ends of their names, and that `data` was asked."""

    def __init__(self, info: TypeInfo, fields: set[str]) -> None:
        super().__init__()
        self.info, self.fields = info, fields

    def enter_field(self, node: FieldNode, *_: object) -> None:
        parent = self.info.get_parent_type()
        if parent is None:  # a resource that only this page's own catalogue has
            return
        kind = next((end for end in ("Connection", "Aggregate") if parent.name.endswith(end)), parent.name)
        self.fields |= {f"{kind}.{node.name.value}", parent.name}


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.note.startswith("subgraph:")], ids=str)
def test_another_graphs_text_refers_to_keys_of_the_demo(block: Block, demo_schema: UnifiedSchema) -> None:
    """Every type that it does not resolve is an entity here, with that key."""
    ours = demo_schema.federation_sdl
    prelude = "directive @link(url: String, import: [String]) on SCHEMA\nscalar FieldSet\n"
    prelude += "directive @key(fields: FieldSet!, resolvable: Boolean) repeatable on OBJECT\n"
    theirs = build_schema(prelude + block.text.replace("extend schema", "#"))
    referred = 0
    for name, kind in theirs.type_map.items():
        for directive in (kind.ast_node and kind.ast_node.directives) or ():
            given = {a.name.value: getattr(a.value, "value", None) for a in directive.arguments or ()}
            if directive.name.value == "key" and given.get("resolvable") is False:
                head = next(line for line in ours.splitlines() if line.startswith(f"type {name} "))
                assert f'@key(fields: "{given["fields"]}")' in head
                referred += 1
    assert referred


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_a_block_is_well_formed(block: Block) -> None:
    assert block.language in LANGUAGES
    match block.language:
        case "json":
            json.loads(block.text)
        case "yaml":
            parse_file(str(block), block.text.encode())
        case "python":
            compile(block.text, str(block), "exec")


def test_an_operation_with_variables_has_them_below() -> None:
    for page in {block.file for block in QUERIES}:
        known = blocks(page)
        for block, following in zip(known, [*known[1:], None], strict=True):
            if block in QUERIES and block.note.startswith("as: ") and _has_variables(block):
                assert following is not None
                assert following.note == "variables", str(block)


def _has_variables(block: Block) -> bool:
    operations = [d for d in parse(block.text).definitions if isinstance(d, OperationDefinitionNode)]
    return any(operation.variable_definitions for operation in operations)


def test_there_are_pages_to_test() -> None:
    assert {path.name for path in HOW_TO.glob("*.md")} >= {
        "connect-a-source.md",
        "query-as-a-frontend-developer.md",
        "integrate-a-department-app.md",
        "run-in-production.md",
        "federate.md",
        "apply-for-data.md",
    }
    assert len(QUERIES) > 10
    assert all(isinstance(block.file, Path) for block in BLOCKS)
