"""Cases 43, 44 and 47 of docs/cases.md: bounded work, counted once; failures open nothing; masks in any nesting."""

from dataclasses import replace
from typing import Any

import pytest

from connectors.protocol import SourceTimeout, SourceUnavailable
from resolvers.document import MAX_REPEATS
from tanglai.catalogue.errors import TanglaiError
from tanglai.catalogue.masks import Mask, MaskKind
from tanglai.catalogue.model import NamedMask
from tests.attack.worlds import row_id
from tests.cases import case, hole
from tests.catalogues import (
    CONDITIONAL,
    keep,
    make_item,
    make_relation,
    make_resource,
    make_snapshot,
    population,
    resource_code,
)
from tests.gateways import World, make_grant
from tests.unit.resolvers.asking import aggregate, listed, opened, residents
from tests.unit.resolvers.conftest import RESIDENT, follow_all, rows

ONE = '{ data { population { resident(idNumber: "id1") { %s } } } }'


def aliases(number: int, field: str) -> str:
    return " ".join(f"a{n}: {field}" for n in range(number))


# --- 43 and 44: abuse ----------------------------------------------------------------------------------------------

INVALID = {
    "unknown fields": ONE % aliases(1900, "nam"),
    "unknown roots": "{ " + aliases(60, "dta { id }") + " }",
    "unknown arguments": ONE % aliases(1000, "name(x: 1)"),
    "unknown fragments": ONE % " ".join(f"...F{n}" for n in range(1900)),
    "unknown directives": ONE % " ".join(f"a{n}: name @d{n}" for n in range(900)),
    "unknown variables": "{ data { population { " + aliases(60, "residents(first: $n) { totalCount }") + " } } }",
    "unused variables": "query(" + " ".join(f"$v{n}: Int" for n in range(1900)) + ") { __typename }",
    "values of other types": residents(f"where: {{or: [{'{name: {eq: 1}} ' * 900}]}}"),
    "clashing names": ONE % ("x: name x: sex " * 30),
    "unused fragments": ONE % "name" + " ".join(f" fragment F{n} on Resident {{ nam }}" for n in range(190)),
}


@case(43)
@pytest.mark.parametrize("document", INVALID.values(), ids=INVALID)
async def test_thousands_of_invalid_selections_give_few_errors_and_no_source_call(document: str) -> None:
    world = World(population(), rows(), follow_all())
    answer = await world.ask(document)
    assert "data" not in answer.body
    assert set(answer.codes) <= {"BAD_INPUT", "LIMIT_EXCEEDED"}
    assert len(answer.errors) <= 21
    assert len(answer.response.body) < 32 * 1024
    assert world.sources.calls == []


@case(43, twin=True)
async def test_repeats_and_aliases_within_the_bounds_are_answered(linked: World) -> None:
    answer = await linked.ask(ONE % ("name " * MAX_REPEATS))
    assert answer.data["data"]["population"]["resident"] == {"name": "n1"}
    answer = await linked.ask(ONE % aliases(1900, "name"))
    assert len(answer.data["data"]["population"]["resident"]) == 1900
    assert len(linked.sources.calls) == 1


@case(44)
async def test_equal_roots_under_aliases_and_in_fragments_run_once(linked: World) -> None:
    part = "{ nodes { name household { address } } totalCount }"
    roots = " ".join(f"a{n}: residents(first: 3, where: {{sex: {{eq: $s}}}}) {part}" for n in range(10))
    query = f"query($s: String) {{ data {{ population {{ {roots} ...F ... {{ y: residents(where: {{sex: {{eq: $s}}}}, "
    query += f"first: 3) {part} }} }} }} }} fragment F on PopulationData {{ "
    query += f"z: residents(first: 3, where: {{sex: {{eq: $s}}}}) {part} }}"
    answer = await linked.ask(query, {"s": "1"})
    assert answer.errors == []
    assert len({str(found) for found in answer.data["data"]["population"].values()}) == 1
    assert len(answer.data["data"]["population"]) == 12
    assert len(linked.sources.calls) == 3  # rows, count, households


@case(44, twin=True)
async def test_roots_that_differ_run_each_for_itself(world: World) -> None:
    answer = await world.ask(
        '{ data { population { a: resident(idNumber: "id1") { name } b: resident(idNumber: "id2") { name } '
        "c: residents(first: 1) { nodes { name } } d: residents(first: 2) { nodes { name } } } } }"
    )
    assert len(world.sources.calls) == 4
    found = answer.data["data"]["population"]
    assert (found["a"], found["b"]) == ({"name": "n1"}, {"name": "n2"})
    assert (len(found["c"]["nodes"]), len(found["d"]["nodes"])) == (1, 2)


# --- 47: failures --------------------------------------------------------------------------------------------------

FAILING = {
    "list": residents("", "nodes { name passport }"),
    "filter": residents('where: {passport: {eq: "secret1"}}', "nodes { name } totalCount"),
    "negated filter through a relation": residents("where: {not: {vehicles: {some: {}}}}", "totalCount nodes { name }"),
    "none of a relation": residents("where: {vehicles: {none: {}}}", "nodes { name }"),
    "every of a relation": residents('where: {vehicles: {every: {plate: {eq: "P1"}}}}', "nodes { name }"),
    "key": ONE % "name",
    "figures": aggregate("", "count max { name }"),
    "node": f'{{ node(id: "{row_id(1)}") {{ id ... on Resident {{ name }} }} }}',
    "entities": '{ _entities(representations: [{__typename: "Resident", idNumber: "id1"}]) '
    "{ ... on Resident { name } } }",
    "relation": '{ data { transport { vehicle(plate: "P1") { plate keeper { name } } } } }',
}
THROUGH = {key for key in FAILING if "relation" in key and key != "relation"}


@case(47)
@pytest.mark.parametrize("fault", [SourceUnavailable("x"), SourceTimeout("x")], ids=["down", "slow"])
@pytest.mark.parametrize("path", FAILING)
async def test_when_a_source_fails_no_row_comes_and_no_filter_is_dropped(path: str, fault: TanglaiError) -> None:
    """A filter whose other end is down does not turn into none, also not under `not`, `none` and `every`."""
    world = opened("passport")
    for name in ("traffic",) if path in THROUGH else ("main",):
        world.sources.connectors[name].fault = fault
    answer = await world.ask(FAILING[path])
    assert set(answer.codes) == {fault.code.value}
    assert b'"n1"' not in answer.response.body
    assert b'"n3"' not in answer.response.body
    assert b"secret" not in answer.response.body


@case(47)
@pytest.mark.parametrize("path", FAILING)
async def test_when_the_policy_store_or_the_audit_log_fails_no_data_comes(path: str) -> None:
    world = opened("passport")
    assert (await world.ask(FAILING[path])).errors == []  # all is in the caches
    world.replica.down = True
    answer = await world.ask(FAILING[path])
    assert (answer.codes, answer.response.status) == (["POLICY_UNAVAILABLE"], 503)
    assert "data" not in answer.body
    assert world.sources.calls == []
    world.replica.down, world.audit.down = False, True
    answer = await world.ask(FAILING[path])
    assert (answer.codes, answer.response.status) == (["AUDIT_UNAVAILABLE"], 503)
    assert "data" not in answer.body


@case(47, twin=True)
@pytest.mark.parametrize("path", FAILING)
async def test_when_all_is_back_the_same_operation_answers(path: str) -> None:
    world = opened("passport")
    for connector in world.sources.connectors.values():
        connector.fault = SourceUnavailable("x")
    world.replica.down = world.audit.down = True
    assert "data" not in (await world.ask(FAILING[path])).body
    for connector in world.sources.connectors.values():
        connector.fault = None
    world.replica.down = world.audit.down = False
    answer = await world.ask(FAILING[path])
    assert answer.errors == []
    assert b"n" in answer.response.body


# --- masks in any nesting ------------------------------------------------------------------------------------------

NESTED = [
    residents("", "nodes { phone }"),
    residents("", "edges { node { phone } }"),
    ONE % "phone",
    ONE % "household { members { nodes { phone household { members { nodes { phone } } } } } }",
    "{ data { transport { vehicles { nodes { keeper { phone } } } } } }",
    f'{{ node(id: "{row_id(1)}") {{ ... on Resident {{ phone household {{ members {{ nodes {{ phone }} }} }} }} }} }}',
    '{ _entities(representations: [{__typename: "Resident", idNumber: "id1"}]) { ... on Resident { phone } } }',
]


@hole("trino-nested", "directus-alias")
@pytest.mark.parametrize("query", NESTED)
async def test_a_mask_holds_on_every_path_and_in_every_nesting(query: str) -> None:
    masked = make_grant(RESIDENT, "phone", masks={"phone": "middle"})
    answer = await World(population(), rows(), [*follow_all(), masked]).ask(query)
    assert answer.errors == []
    assert b"138****000" in answer.response.body
    assert b"1380000" not in answer.response.body
    assert answer.extensions["masked"]


@hole("trino-nested")
async def test_a_mask_is_computed_from_its_own_raw_value_whatever_stands_beside_it() -> None:
    """Several masked items of one row, in both orders of selection, nested and not."""
    items = [
        make_item("a", masks=[keep("m", 1, 1)]),
        make_item("b", masks=[NamedMask("m", Mask(MaskKind.REDACT))]),
        make_item("c", masks=[keep("m", 2, 0)]),
    ]
    closed = [replace(item, share_class=CONDITIONAL) for item in items]
    code = resource_code("note")
    relation = make_relation("peers", code, ["a"], ["a"], inverse="peers", many=True)
    snapshot = make_snapshot([make_resource("note", closed, relations=[relation])])
    contents: Any = {"main": {"note": [{"handle": 1, "a": "alpha", "b": "beta", "c": "gamma"}]}}
    grant = make_grant(code, "a b c", masks={"a": "m", "b": "m", "c": "m"}, relations=frozenset({"peers"}))
    world = World(snapshot, contents, [grant])
    shown = {"a": "a***a", "b": "***", "c": "ga***"}
    for fields in ("a b c", "c b a", "b a c"):
        query = f"{{ data {{ population {{ notes {{ nodes {{ {fields} peers {{ nodes {{ {fields} }} }} }} }} }} }} }}"
        (node,) = (await world.ask(query)).data["data"]["population"]["notes"]["nodes"]
        assert node.pop("peers") == {"nodes": [shown]}
        assert node == shown


@hole("trino-nested")
async def test_a_masked_item_is_masked_for_who_also_filters_by_the_rows_it_is_on() -> None:
    """The mask is not lost where the row is reached by clear items of the same row."""
    masked = make_grant(RESIDENT, "phone", masks={"phone": "middle"})
    world = World(population(), rows(), [*follow_all(), masked])
    answer = await world.ask(residents('where: {name: {eq: "n1"}}, orderBy: [{idNumber: ASC}]', "nodes { phone name }"))
    assert listed(answer) == [{"phone": "138****0001", "name": "n1"}]
