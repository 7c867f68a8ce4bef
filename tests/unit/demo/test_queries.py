"""The demo's examples and tour are queries of the schema that the catalogue makes, and say what they show."""

import re

import pytest
from graphql import GraphQLSchema, parse, validate

from demo.data.world import World
from demo.region import CATALOGUE
from demo.session import EXAMPLES, OWNER, demo_session
from demo.tour.expectations import Answer, Delivered, Denied, Refused, Such, Unordered, difference, tree
from demo.tour.items import item_lines
from demo.tour.procedures import procedure_lines
from demo.tour.publishing import publication_lines
from demo.tour.rows import row_lines
from demo.tour.running import Line
from demo.tour.states import state_lines
from demo.tour.statistics import statistics_lines
from schema import unified
from tanglai.catalogue.checks import Draft, load_draft
from tanglai.catalogue.model import Snapshot, Zone


@pytest.fixture(scope="module")
def draft() -> Draft:
    return load_draft([CATALOGUE], None)[0]


@pytest.fixture(scope="module")
def schema(draft: Draft) -> GraphQLSchema:
    snapshot = Snapshot(
        number=1,
        zone=Zone.EXTRANET,
        rule_set="ningxia-measures",
        departments={d.code: d for d in draft.departments},
        divisions={d.code: d for d in draft.divisions},
        purposes={p.code: p for p in draft.purposes},
        categories={c.code: c for c in draft.categories},
        sources={s.key: s for s in draft.sources},
        resources={r.code: r for r in draft.resources},
    )
    return unified.build(snapshot).graphql


@pytest.fixture(scope="module")
def lines(world: World) -> list[Line]:
    return [
        *item_lines(world),
        *row_lines(world),
        *state_lines(world),
        *statistics_lines(world),
        *procedure_lines(world),
        *(line for line in publication_lines(world) if "socialOrganisations" not in str(line.query)),
    ]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title_en[:30])
def test_an_example_is_a_query_of_the_schema(example: object, schema: GraphQLSchema) -> None:
    query = example.query  # type: ignore[attr-defined]
    assert [error.message for error in validate(schema, parse(query))] == []


def test_examples_are_asked_by_departments_for_purposes_of_the_catalogue(draft: Draft) -> None:
    session = demo_session(draft.departments, draft.purposes)
    keys, purposes = {d.key for d in session.departments}, {p.code for p in session.purposes}
    assert 6 <= len(session.examples) <= 10
    for example in session.examples:
        assert example.department in keys
        assert example.purpose in purposes
    assert session.departments[0].key == session.department == "taxation"
    assert session.purpose in purposes
    assert set(session.roles) <= keys


def test_the_person_of_the_examples_lives_in_the_region(world: World) -> None:
    assert world.person("owner").id_number == OWNER


def test_the_tour_is_long_enough_and_every_line_names_its_article(lines: list[Line]) -> None:
    assert len(lines) >= 20
    assert len({line.title for line in lines}) == len(lines)
    for line in lines:
        assert re.search(r", (Order 809 )?Art\. \d+", line.title), line.title


def test_every_line_is_a_query_of_the_schema(lines: list[Line], schema: GraphQLSchema, draft: Draft) -> None:
    keys = {d.key for d in draft.departments}
    for line in lines:
        query = line.query if isinstance(line.query, str) else line.query({"mutation": "apply"})
        assert [error.message for error in validate(schema, parse(query))] == [], line.title
        assert line.department in keys


def test_the_tour_shows_every_code_that_a_decision_has(lines: list[Line]) -> None:
    shown = {line.expected.code for line in lines if isinstance(line.expected, Refused)}
    shown |= {d.code for line in lines if isinstance(line.expected, Delivered) for d in line.expected.denied}
    assert shown >= {
        "GRANT_REQUIRED",
        "NOT_SHARED",
        "MASKED_USE",
        "PURPOSE_REQUIRED",
        "PURPOSE_MISMATCH",
        "GRANT_SUSPENDED",
        "GRANT_EXPIRED",
        "GRANT_ENDED",
        "GRANT_NOT_YET_VALID",
        "STATISTICS_ONLY",
        "SCOPE_EXCEEDED",
        "UNAUTHENTICATED",
    }


DATA = tree("g.r", {"a": "1", "b": None})
DENIED = Denied("data.g.r.b", "GRANT_REQUIRED", "Art. 11(3)", {"action": "APPLY"})
ERROR = {
    "message": "no",
    "path": ["data", "g", "r", "b"],
    "extensions": {
        "code": "GRANT_REQUIRED",
        "article": "Art. 11(3)",
        "fieldPath": "data.g.r.b",
        "reason": "why",
        "requestId": "1",
        "remedy": {"action": "APPLY"},
    },
}
GOOD = {"data": DATA, "errors": [ERROR], "extensions": {"grants": ["G2", "G1"]}}
EXPECTED = Delivered(DATA, (DENIED,), {"grants": Unordered(["G1", "G2"])})


def test_an_answer_as_expected_differs_in_nothing() -> None:
    assert difference(EXPECTED, Answer(200, GOOD)) is None
    refusal = {"errors": [ERROR]}
    assert difference(Refused("GRANT_REQUIRED", "Art. 11(3)"), Answer(403, refusal)) is None
    assert (
        difference(Delivered({"x": Such("a text", lambda v: isinstance(v, str))}), Answer(200, {"data": {"x": "y"}}))
        is None
    )


def changed(**extensions: object) -> dict[str, object]:
    return {**ERROR, "extensions": {**ERROR["extensions"], **extensions}}  # type: ignore[dict-item]


@pytest.mark.parametrize(
    "body",
    [
        {**GOOD, "data": tree("g.r", {"a": 1, "b": None})},
        {**GOOD, "data": tree("g.r", {"b": None, "a": "1"})},
        {**GOOD, "data": tree("g.r", {"a": "1", "b": "leak"})},
        {**GOOD, "data": tree("g.r", {"a": "1", "b": None, "c": 1})},
        {**GOOD, "errors": []},
        {**GOOD, "errors": [ERROR, ERROR]},
        {**GOOD, "errors": [changed(code="NOT_SHARED")]},
        {**GOOD, "errors": [changed(article="Art. 11(4)")]},
        {**GOOD, "errors": [changed(remedy=None)]},
        {**GOOD, "errors": [changed(reason="")]},
        {**GOOD, "errors": [{**ERROR, "path": ["data", "x"]}]},
        {**GOOD, "extensions": {"grants": ["G1"]}},
        {"errors": [ERROR]},
    ],
)
def test_another_answer_is_told(body: dict[str, object]) -> None:
    told = difference(EXPECTED, Answer(200, body))
    assert told is not None
    assert re.match(r"expected .* got ", told, re.DOTALL)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, {"errors": [ERROR]}),
        (403, {"data": None, "errors": [ERROR]}),
        (403, {"errors": [changed(code="MASKED_USE")]}),
        (403, {"errors": [changed(article="Art. 9(2)")]}),
        (403, {"errors": [ERROR, ERROR]}),
    ],
)
def test_another_refusal_is_told(status: int, body: dict[str, object]) -> None:
    assert difference(Refused("GRANT_REQUIRED", "Art. 11(3)"), Answer(status, body)) is not None
