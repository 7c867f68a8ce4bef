"""Row scopes as documents: what they mean, and what is refused where."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tanglai.catalogue.documents import resource_from_document
from tanglai.catalogue.documents_base import DocumentError, path_text
from tanglai.catalogue.expressions import (
    FALSE,
    TRUE,
    And,
    Attribute,
    Column,
    Compare,
    CompareOp,
    Expression,
    In,
    IsNull,
    IsTrue,
    ItemRef,
    Match,
    MatchOp,
    Not,
    Or,
    Slot,
    Value,
    Within,
)
from tanglai.catalogue.model import Resource
from tanglai.catalogue.predicates import MAX_DEPTH, MAX_NODES, predicate_from_document, predicate_to_document
from tanglai.catalogue.scalars import ScalarType
from tests.unit.catalogue import strategies
from tests.unit.catalogue.test_documents import RESOURCE, as_json

TYPES = {
    "name": "TEXT",
    "age": "INTEGER",
    "income": "DECIMAL",
    "born": "DATE",
    "alive": "BOOLEAN",
    "home": "GEOMETRY",
}
PERSON = resource_from_document(
    {
        **RESOURCE,
        "items": [{"name": n, "title": n, "type": kind, "column": n} for n, kind in TYPES.items()],
    }
)
NAME = ItemRef("name", ScalarType.TEXT)
AGE = ItemRef("age", ScalarType.INTEGER)


def text(value: str) -> Value:
    return Value(value, ScalarType.TEXT)


def number(value: int) -> Value:
    return Value(value, ScalarType.INTEGER)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({}, TRUE),
        ({"and": []}, TRUE),
        ({"or": []}, FALSE),
        ({"not": {}}, FALSE),
        ({"not": {"or": []}}, TRUE),
        ({"name": {}}, TRUE),
        ({"name": {"in": []}}, FALSE),
        ({"name": {"notIn": []}}, TRUE),
        ({"and": [{}, {"or": []}]}, FALSE),
        ({"name": {"eq": "a"}}, Compare(CompareOp.EQ, NAME, text("a"))),
        (
            {"age": {"gte": 18, "lt": 60}},
            And((Compare(CompareOp.GTE, AGE, number(18)), Compare(CompareOp.LT, AGE, number(60)))),
        ),
        (
            {"name": {"ne": "a"}, "age": {"lte": "7"}},
            And((Compare(CompareOp.NE, NAME, text("a")), Compare(CompareOp.LTE, AGE, number(7)))),
        ),
        (
            {"or": [{"name": {"startsWith": "马"}}, {"name": {"contains": "%"}}]},
            Or((Match(MatchOp.STARTS_WITH, NAME, text("马")), Match(MatchOp.CONTAINS, NAME, text("%")))),
        ),
        ({"name": {"in": ["a", "b"]}}, In(NAME, (text("a"), text("b")))),
        ({"age": {"notIn": [1]}}, Not(In(AGE, (number(1),)))),
        ({"home": {"isNull": True}}, IsNull(ItemRef("home", ScalarType.GEOMETRY))),
        ({"name": {"isNull": False}}, Not(IsNull(NAME))),
        ({"not": {"age": {"eq": 1}}}, Not(Compare(CompareOp.EQ, AGE, number(1)))),
        ({"name": {"within": "640100"}}, Within(NAME, "640100")),
        ({"name": {"within": {"attribute": "department.division"}}}, Within(NAME, Attribute("department.division"))),
        ({"name": {"eq": {"attribute": "department.code"}}}, Compare(CompareOp.EQ, NAME, Attribute("department.code"))),
        (
            {"income": {"gt": "0.10"}},
            Compare(CompareOp.GT, ItemRef("income", ScalarType.DECIMAL), Value(Decimal("0.10"), ScalarType.DECIMAL)),
        ),
        (
            {"born": {"lt": "2000-02-29"}},
            Compare(CompareOp.LT, ItemRef("born", ScalarType.DATE), Value(date(2000, 2, 29), ScalarType.DATE)),
        ),
    ],
)
def test_meaning(document: dict[str, Any], expected: Expression) -> None:
    predicate = predicate_from_document(document, PERSON)
    assert predicate == expected
    assert predicate_from_document(as_json(predicate_to_document(predicate)), PERSON) == expected


@pytest.mark.parametrize(
    ("document", "path", "message"),
    [
        (None, "(document)", "a predicate is an object"),
        ([], "(document)", "a predicate is an object"),
        ({"nick": {"eq": "a"}}, "nick", "has no item `nick`"),
        ({1: {"eq": "a"}}, "1", "has no item `1`"),
        ({"name": "a"}, "name", "an object of operators is needed"),
        ({"name": None}, "name", "an object of operators is needed"),
        ({"name": {"like": "a"}}, "name.like", "unknown operator `like`"),
        ({"name": {"EQ": "a"}}, "name.EQ", "unknown operator `EQ`"),
        ({"name": {"eq": None}}, "name.eq", "null is no operand"),
        ({"name": {"in": ["a", None]}}, "name.in[1]", "null is no operand"),
        ({"name": {"in": "a"}}, "name.in", "a list is needed"),
        ({"name": {"in": {"attribute": "department.code"}}}, "name.in", "a list is needed"),
        ({"name": {"isNull": 1}}, "name.isNull", "true or false is needed"),
        ({"name": {"eq": 1}}, "name.eq", "not a text"),
        ({"age": {"eq": "a"}}, "age.eq", "not an integer"),
        ({"age": {"eq": 2**31}}, "age.eq", "not between"),
        ({"age": {"eq": True}}, "age.eq", "not an integer"),
        ({"born": {"eq": "2001-02-29"}}, "born.eq", "item `born` of type DATE"),
        ({"age": {"contains": "1"}}, "age.contains", "`contains` is for texts"),
        ({"age": {"within": "640100"}}, "age.within", "`within` is for texts"),
        ({"age": {"eq": {"attribute": "department.code"}}}, "age.eq", "an attribute is a text"),
        ({"name": {"within": "6401"}}, "name.within", "division code"),
        ({"name": {"within": {"attribute": "department.code"}}}, "name.within.attribute", "unknown attribute"),
        ({"name": {"eq": {"attribute": "person.id"}}}, "name.eq.attribute", "unknown attribute"),
        ({"name": {"eq": {"attribute": "department.code", "x": 1}}}, "name.eq", "not a value"),
        ({"name": {"eq": {"item": "age"}}}, "name.eq", "not a value"),
        ({"name": {"startsWith": {"attribute": "department.code"}}}, "name.startsWith", "not a text"),
        ({"home": {"eq": {"type": "Point"}}}, "home.eq", "`isNull` only"),
        ({"or": [{}, {"and": {"name": {"eq": "a"}}}]}, "or[1].and", "a list is needed"),
        ({"not": [{"name": {"eq": "a"}}]}, "not", "a predicate is an object"),
        ({"name": {"eq": "a\0"}}, "name.eq", "NUL"),
        ({"name": {"eq": "\ud800"}}, "name.eq", "item `name`"),
    ],
)  # fmt: skip
def test_refusals(document: Any, path: str, message: str) -> None:
    with pytest.raises(DocumentError) as caught:
        predicate_from_document(document, PERSON)
    (problem,) = caught.value.problems
    assert path_text(problem.path) == path
    assert message in problem.message


def test_depth_and_size_are_bounded() -> None:
    deep: dict[str, Any] = {}
    for _ in range(MAX_DEPTH):
        deep = {"not": deep}
    assert predicate_from_document(deep, PERSON) in (TRUE, FALSE)
    with pytest.raises(DocumentError, match="deeper than"):
        predicate_from_document({"not": deep}, PERSON)
    assert predicate_from_document({"age": {"in": list(range(MAX_NODES - 2))}}, PERSON) != FALSE
    with pytest.raises(DocumentError, match="more than"):
        predicate_from_document({"age": {"in": list(range(MAX_NODES))}}, PERSON)


@pytest.mark.parametrize(
    "expression",
    [
        NAME,
        IsTrue(TRUE),
        Compare(CompareOp.EQ, Column("c", ScalarType.TEXT), text("a")),
        Compare(CompareOp.EQ, NAME, NAME),
        In(NAME, (Slot("names", ScalarType.TEXT, many=True),)),
    ],
)
def test_what_no_document_says(expression: Expression) -> None:
    with pytest.raises(ValueError, match="no document says"):
        predicate_to_document(expression)


@strategies.UNHURRIED
@given(st.data())
def test_normal_forms_survive(data: st.DataObject) -> None:
    resource: Resource = data.draw(strategies.resources())
    predicate = data.draw(strategies.predicates(resource))
    assert predicate_from_document(as_json(predicate_to_document(predicate)), resource) == predicate
