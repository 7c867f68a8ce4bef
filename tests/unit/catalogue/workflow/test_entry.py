"""Drafts of entries: whose they are, and what form and law find wrong, all at once."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tanglai.catalogue.model import Category, Department, Resource, Snapshot
from tanglai.catalogue.workflow.entry import (
    EntryChange,
    EntryDraft,
    completed,
    drafted,
    entry_draft,
    examined,
    merged,
    next_code,
    require_author,
    unchanged,
)
from tanglai.catalogue.workflow.entry_form import formed
from tanglai.catalogue.workflow.errors import InvalidAct, NotPermitted, ProblemCode
from tests.catalogues import make_snapshot
from tests.entries import draft, register
from tests.office import CATEGORIES, CITY_POLICE, DEPARTMENTS, DIVISIONS, HEALTH, OFFICE, POLICE

TODAY = date(2026, 9, 18)
REGISTER = register()
LED = (
    Category("1", "基础", "basic"),
    Category("101", "人口", "population", "1", (POLICE,)),
    Category("102", "法人", "legal persons", "1"),
    Category("2", "主题", "themes"),
    Category("201", "健康", "health", "2", (HEALTH, CITY_POLICE)),
    Category("20101", "接种", "vaccination", "201"),
)


def catalogue(*resources: Resource, departments: tuple[Department, ...] = DEPARTMENTS) -> Snapshot:
    return make_snapshot(
        resources or (REGISTER,), departments=departments, categories=(*CATEGORIES, *LED), divisions=DIVISIONS
    )


def told(document: dict[str, Any], **more: Any) -> list[tuple[str, ProblemCode]]:
    """What stands against a revision of the register."""
    it = replace(EntryDraft(EntryChange.REVISION, "301/1", 1, document), **more)
    found = examined({"E": it}, catalogue(), today=TODAY)["E"]
    assert all(problem.message and not problem.message.endswith(".") for problem in found.problems)
    return [(".".join(problem.field), problem.code) for problem in found.problems]


def edited(path: str, value: Any) -> dict[str, Any]:
    """The register's draft with another value at `path`; None takes it out."""
    document = draft(REGISTER)
    *steps, last = [int(step) if step.isdigit() else step for step in path.split("/")]
    here: Any = document
    for step in steps:
        here = here[step]
    if value is None:
        del here[last]
    else:
        here[last] = value
    return document


M, F, U, N, T = (
    ProblemCode.MISSING,
    ProblemCode.MALFORMED,
    ProblemCode.UNKNOWN,
    ProblemCode.NOT_ALLOWED,
    ProblemCode.TAKEN,
)


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("title", "许可", []),
        ("title", None, [("document.title", M)]),
        ("title", 7, [("document.title", F)]),
        ("items", [], [("document.items", F)]),
        ("items", None, [("document.items", M)]),
        ("items/1", "text", [("document.items.1", F)]),
        ("items/1/type", "WORD", [("document.items.1.type", F)]),
        ("items/1/name", None, [("document.items.1.name", M)]),
        ("items/1/dataElement", "é", [("document.items.1.dataElement", F)]),
        ("shareClass", None, [("document.shareClass", M)]),
        ("shareClass", "UNCONDITIONAL", []),  # items that say none have the resource's
        (
            "shareClass",
            "NOT_SHARED",
            [("document.shareClass", N), ("document.items.2.legalBasis", M), ("document.items.3.legalBasis", M)],
        ),
        ("source", "nowhere", [("document.source", U)]),
        ("source", None, [("document.source", M)]),
        ("provider", None, [("document.provider", M)]),
        ("provider", "nobody", [("document.provider", U), ("document.source", N)]),
        ("category", "999", [("document.branch", N), ("document.category", U), ("document.code", N)]),
        ("graphql", None, [("document.graphql", M)]),
        ("graphql/type", "Department", [("document.graphql", T)]),
        ("code", "301/2", [("document.code", N)]),
        ("code", 3, [("document.code", F), ("document.code", N)]),
        ("zone", "MOON", [("document.zone", F)]),
        ("zone", "INTRANET", [("document.zone", N)]),
        ("related", ["301/8"], [("document.related.0", U)]),
        ("nonsense", 1, [("document.nonsense", F)]),
        ("options", {"password": "x"}, [("document.options.password", N)]),
        ("keys/0/0", "gone", [("document.keys.0.0", F)]),
        ("branch", "BASIC", [("document.branch", N), ("document.compiler", N)]),
    ],
)
def test_what_stands_against_a_draft(path: str, value: Any, expected: list[tuple[str, ProblemCode]]) -> None:
    found = told(edited(path, value))
    if path == "branch":  # with all that a base library wants of its items
        assert set(expected) <= set(found)
    else:
        assert sorted(found) == sorted(expected)


def test_places_are_those_of_the_draft_as_written() -> None:
    """An item that cannot be read is put aside: what the law says of later ones is told where they stand."""
    document = edited("condition", None)
    document["items"][0] = {"name": "broken"}
    assert set(told(document)) == {
        ("document.items.0.title", M),
        ("document.items.0.type", M),
        ("document.items.0.column", M),
        ("document.items.2.condition", M),
        ("document.items.3.condition", M),
    }


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_draft_is_too_broken_to_be_told_about(data: st.DataObject) -> None:
    junk = st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2)
    document = draft(REGISTER)
    for name in data.draw(st.lists(st.sampled_from(sorted(document)), max_size=8, unique=True)):
        document[name] = data.draw(junk | st.dictionaries(st.text(max_size=3), junk, max_size=2))
    for at in data.draw(st.lists(st.integers(0, 3), max_size=3)):
        if isinstance(document["items"], list) and at < len(document["items"]):
            document["items"][at] = data.draw(junk | st.just({"name": "phone"}))
    form = formed(document, "301/1")
    found = examined({"E": EntryDraft(EntryChange.REVISION, "301/1", 1, document)}, catalogue(), today=TODAY)["E"]
    assert form.whole == (found.resource is not None)
    assert form.whole or found.problems


def test_what_is_wrong_with_the_entry_itself() -> None:
    document = draft(REGISTER)
    assert told(document, base=2) == [("basedOn", N)]
    assert told(document, change=EntryChange.NEW, base=None) == [("basedOn", T)]
    assert told({}, change=EntryChange.RETIREMENT) == [("note", M)]
    assert told({}, change=EntryChange.RETIREMENT, note="职能划转") == []
    gone = examined({"E": EntryDraft(EntryChange.REVISION, "301/4", 1, document)}, catalogue(), today=TODAY)["E"]
    assert ("basedOn",) in [problem.field for problem in gone.problems]


def test_a_document_survives_its_matter() -> None:
    it = EntryDraft(EntryChange.NEW, "301/2", None, {"title": "x"}, "note", ("O-1",), ("E-1",))
    assert entry_draft(it.document()) == it


def test_unchanged_but_for_what_the_platform_gives() -> None:
    assert unchanged(replace(REGISTER, version=9, published_at=None), REGISTER)
    assert not unchanged(replace(REGISTER, title="x"), REGISTER)
    assert not unchanged(REGISTER, None)


@pytest.mark.parametrize("flag", ["secrecy", "state_secret", "密级", "涉密"])
def test_secrecy_is_refused_wherever_it_stands(flag: str) -> None:
    for document in (draft(REGISTER) | {flag: 1}, edited(f"items/2/{flag}", "机密"), {flag: None}):
        with pytest.raises(InvalidAct) as caught:
            drafted(document)
        assert {problem.article for problem in caught.value.problems} == {"Order 809 Art. 3"}


def test_what_the_platform_gives_is_left_out() -> None:
    assert drafted({"kind": "resource", "version": 3, "publishedAt": "x", "title": "y"}) == {"title": "y"}


# --- whose it is ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("author", "document", "article"),
    [
        (POLICE, {"branch": "DEPARTMENTAL", "provider": POLICE}, None),
        (POLICE, {"branch": "DEPARTMENTAL", "provider": "public-security"}, None),
        (POLICE, {"branch": "DEPARTMENTAL", "provider": HEALTH}, "Art. 8"),
        (OFFICE, {"branch": "DEPARTMENTAL", "provider": HEALTH}, "Art. 8"),
        (POLICE, {"branch": "DEPARTMENTAL", "provider": HEALTH, "compiler": POLICE}, None),
        (POLICE, {"branch": "BASIC", "category": "101", "provider": HEALTH}, None),
        (HEALTH, {"branch": "BASIC", "category": "101", "provider": HEALTH}, "Art. 10(2)"),
        (HEALTH, {"branch": "BASIC", "category": "101", "provider": HEALTH, "compiler": HEALTH}, "Art. 10(2)"),
        (HEALTH, {"branch": "BASIC", "category": "102", "provider": POLICE, "compiler": HEALTH}, None),
        (POLICE, {"branch": "BASIC", "category": "102", "provider": POLICE, "compiler": HEALTH}, "Art. 10(2)"),
        (POLICE, {"branch": "THEMATIC", "category": "20101", "provider": POLICE}, "Art. 10(3)"),
        (HEALTH, {"branch": "THEMATIC", "category": "20101", "provider": POLICE}, None),
        (CITY_POLICE, {"branch": "THEMATIC", "category": "20101", "provider": CITY_POLICE}, None),
        (HEALTH, {}, None),  # nothing that could be somebody else's is said yet
    ],
)
def test_who_drafts(author: str, document: dict[str, Any], article: str | None) -> None:
    if article is None:
        require_author(author, document, None, catalogue())
        return
    with pytest.raises(NotPermitted) as caught:
        require_author(author, document, None, catalogue())
    assert caught.value.article == article


def test_what_is_published_is_its_departments() -> None:
    with pytest.raises(NotPermitted):
        require_author(HEALTH, draft(REGISTER, provider=HEALTH), REGISTER, catalogue())
    with pytest.raises(NotPermitted):
        require_author(POLICE, draft(REGISTER, provider=HEALTH), REGISTER, catalogue())
    with pytest.raises(NotPermitted):
        require_author(HEALTH, None, REGISTER, catalogue())
    require_author(POLICE, None, REGISTER, catalogue())
    merger = tuple(replace(it, active=it.code != POLICE) for it in DEPARTMENTS)  # its functions go to another one
    require_author(HEALTH, draft(REGISTER, provider=HEALTH), REGISTER, catalogue(departments=merger))
    with pytest.raises(NotPermitted):
        require_author(HEALTH, draft(REGISTER), REGISTER, catalogue(departments=merger))


@pytest.mark.parametrize(
    ("code", "author", "document", "expected"),
    [
        ("301/2", POLICE, {}, {"branch": "DEPARTMENTAL", "provider": POLICE, "compiler": None}),
        ("101/2", POLICE, {}, {"branch": "BASIC", "compiler": POLICE}),
        ("201/2", HEALTH, {"provider": POLICE}, {"branch": "THEMATIC", "provider": POLICE, "compiler": HEALTH}),
        ("102/2", HEALTH, {}, {"branch": "BASIC", "compiler": HEALTH}),
        ("301/2", POLICE, {"branch": "BASIC", "zone": "INTRANET"}, {"branch": "BASIC", "zone": "INTRANET"}),
    ],
)
def test_what_follows_from_code_and_author(
    code: str, author: str, document: dict[str, Any], expected: dict[str, Any]
) -> None:
    found = completed(document, code, author, catalogue())
    assert {name: found.get(name) for name in expected} == expected
    assert (found["code"], found["category"]) == (code, code.partition("/")[0])


@pytest.mark.parametrize(
    ("taken", "expected"),
    [([], "301/1"), (["301/1", "301/12", "3010/99"], "301/13"), (["301/x", "302/5"], "301/1")],
)
def test_the_next_number(taken: list[str], expected: str) -> None:
    assert next_code("301", taken) == expected


@pytest.mark.parametrize(
    ("document", "patch", "expected"),
    [
        ({"a": 1, "b": 2}, {"a": 3}, {"a": 3, "b": 2}),
        ({"a": 1, "b": 2}, {"a": None}, {"b": 2}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": None, "d": 3}}, {"a": {"c": 2, "d": 3}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": "x"}, {"a": {"b": None, "c": 1}}, {"a": {"c": 1}}),
        ({}, {"x": None}, {}),
    ],
)
def test_a_merge_patch(document: dict[str, Any], patch: dict[str, Any], expected: dict[str, Any]) -> None:
    """RFC 7396, whose examples these follow."""
    assert merged(document, patch) == expected
