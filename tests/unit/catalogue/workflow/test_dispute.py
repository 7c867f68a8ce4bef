"""What may be consulted on: not shared, or refused, by item and by relation; who coordinates."""

from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import pytest

from tanglai.catalogue.expressions import TRUE, Compare, CompareOp, Expression, ItemRef, Value
from tanglai.catalogue.model import Grant, GrantBasis, Resource
from tanglai.catalogue.rules import rule_set
from tanglai.catalogue.scalars import ScalarType
from tanglai.catalogue.workflow.dispute import consulted, coordinator_between, refused_parts, said
from tanglai.catalogue.workflow.errors import InvalidAct
from tests.catalogues import (
    CONDITIONAL,
    DATA_OFFICE,
    MARKET_REGULATION,
    NOT_SHARED,
    PUBLIC_SECURITY,
    YINCHUAN,
    keep,
    make_item,
    make_relation,
    make_resource,
    make_snapshot,
)

NOW = datetime(2026, 5, 6, 4, 0, tzinfo=UTC)
NOTHING: tuple[set[str], set[str]] = (set(), set())


def car() -> Resource:
    items = [
        make_item("plate"),
        make_item("colour", share_class=CONDITIONAL, masks=[keep("first", 1, 0)], codes=["red"]),
        make_item("route", share_class=NOT_SHARED),
    ]
    relations = [
        make_relation("open", "9/1", ["plate"], inverse="cars"),
        make_relation("keepers", "9/1", ["plate"], inverse="keeps", share_class=CONDITIONAL),
        make_relation("trips", "9/1", ["plate"], inverse="trip", share_class=NOT_SHARED),
    ]
    return make_resource("car", items, relations=relations, provider=PUBLIC_SECURITY, code="8/1")


def other() -> Resource:
    relations = [
        make_relation("cars", "8/1", ["plate"], inverse="open"),
        make_relation("keeps", "8/1", ["plate"], inverse="keepers", share_class=CONDITIONAL),
        make_relation("trip", "8/1", ["plate"], inverse="trips", share_class=NOT_SHARED),
    ]
    return make_resource("other", [make_item("plate")], relations=relations, provider=PUBLIC_SECURITY, code="9/1")


SNAPSHOT = make_snapshot([car(), other()])


def granted(items: str = "", relations: str = "", scope: Expression = TRUE, **masks: str) -> Grant:
    return Grant(
        id="g",
        requester=YINCHUAN.code,
        resource="8/1",
        items=frozenset(items.split()),
        purpose="assistance",
        valid_from=NOW,
        valid_to=NOW + timedelta(days=1),
        basis=GrantBasis.APPLICATION,
        relations=frozenset(relations.split()),
        scope=scope,
        masks=MappingProxyType(masks),
    )


RED = {"colour": {"eq": "red"}}
IS_RED = Compare(CompareOp.EQ, ItemRef("colour", ScalarType.TEXT), Value("red", ScalarType.TEXT))


@pytest.mark.parametrize(
    ("asked", "grant", "items", "relations"),
    [
        ({}, None, "colour route", "keepers trips"),
        ({}, granted("colour", "keepers trips"), "route", ""),
        ({}, granted("colour route", "trips"), "", "keepers"),
        ({}, granted("colour route", "keepers trips", IS_RED), "colour route", "keepers trips"),
        ({"scope": RED}, granted("colour route", "keepers trips", IS_RED), "", ""),
        ({"scope": {"gone": {"eq": "x"}}}, granted("colour route", "keepers trips"), "colour route", "keepers trips"),
        ({}, granted("colour route", "keepers trips", colour="first"), "colour", ""),
        ({"masks": {"colour": "first"}}, granted("colour route", "keepers trips", colour="first"), "", ""),
        ({"items": [], "statistics": {"dimensions": ["colour"]}}, None, "colour", "keepers trips"),
    ],
)
def test_what_of_an_application_was_refused(
    asked: dict[str, Any], grant: Grant | None, items: str, relations: str
) -> None:
    document = {"items": ["colour", "route"], "relations": ["keepers", "trips"]} | asked
    assert refused_parts(document, grant, car()) == (set(items.split()), set(relations.split()))


def wanted(**more: Any) -> dict[str, Any]:
    return {
        "resource": "8/1",
        "purpose": "assistance",
        "duty": "d",
        "legalBasis": "l",
        "scenario": "s",
        "method": "m",
        "validTo": "2027-01-01",
        "need": "n",
    } | more


def ask(
    document: dict[str, Any], refused: tuple[set[str], set[str]] = NOTHING, rules: str = "ningxia-measures"
) -> Grant:
    return consulted(document, refused, requester=YINCHUAN.code, rules=rule_set(rules), snapshot=SNAPSHOT, now=NOW)


def test_relations_by_their_class_or_refused() -> None:
    assert ask(wanted(relations=["trips"])).relations == {"trips"}
    with pytest.raises(InvalidAct, match="`keepers` was not refused") as error:
        ask(wanted(relations=["keepers", "trips"]))
    assert [problem.article for problem in error.value.problems] == ["Art. 11(3)"]
    assert ask(wanted(relations=["keepers", "trips"]), (set(), {"keepers"})).relations == {"keepers", "trips"}


def test_what_is_taken_directly_is_not_consulted_on() -> None:
    for given in ({"items": ["plate"]}, {"relations": ["open"]}):
        with pytest.raises(InvalidAct, match="is shared unconditionally"):
            ask(wanted(**given))
        # Under the Order it takes an application first.
        with pytest.raises(InvalidAct, match="was not refused"):
            ask(wanted(**given), rules="order-809")
        assert ask(wanted(**given), ({"plate"}, {"open"}), "order-809").basis is GrantBasis.CONSULTATION


def test_everything_wrong_at_once() -> None:
    with pytest.raises(InvalidAct) as error:
        ask(wanted(need=None, items=["route", "plate"], relations=["keepers"]))
    assert [problem.field for problem in error.value.problems] == [("need",), ("items",), ("relations",)]


def test_who_coordinates_or_nobody() -> None:
    assert coordinator_between(SNAPSHOT, YINCHUAN.code, MARKET_REGULATION.code) is DATA_OFFICE
    with pytest.raises(InvalidAct) as error:
        coordinator_between(SNAPSHOT, DATA_OFFICE.code, MARKET_REGULATION.code)
    assert error.value.article == "Art. 11(4)"


def test_reasons_are_given_and_bounded() -> None:
    assert said("  why\n") == "why"
    for text in ("", " \n", "x" * 4_001):
        with pytest.raises(InvalidAct):
            said(text)
