"""What outlives a request, and for how long."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from authz.visible import VisibleRelation
from resolvers.caches import Chosen
from resolvers.document import SHAPES, Documents
from resolvers.limits import Limits
from resolvers.plan import Plan
from schema import unified
from tanglai.catalogue.model import Resource, Snapshot
from tests.catalogues import population
from tests.gateways import World

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
PLAN = Plan((), (), {}, (), (), (), ())


@pytest.fixture(scope="module")
def catalogue() -> Snapshot:
    return population()


def ending(*ends: datetime | None) -> tuple[Plan, dict[str, Any], Any]:
    """A plan that rests on decisions which hold until then."""
    codes = tuple(str(number) for number in range(len(ends)))
    relations = dict(zip(codes, ends, strict=True))

    def visible(resource: Resource) -> VisibleRelation:
        found: Any = type("Relation", (), {"valid_until": relations[str(resource)]})
        return found  # type: ignore[no-any-return]

    resources: dict[str, Any] = {code: code for code in codes}
    return replace(PLAN, resources=codes), resources, visible


@pytest.mark.parametrize(
    ("ends", "until"),
    [((), None), ((None,), None), ((NOW + 2 * HOUR, NOW + HOUR, None), NOW + HOUR)],
    ids=["nothing decided", "no end", "the first end"],
)
def test_a_choice_ends_with_the_first_decision(ends: tuple[datetime | None, ...], until: datetime | None) -> None:
    plan, resources, visible = ending(*ends)
    chosen, grants = Chosen(10), ()
    chosen.put("who", plan, grants, NOW, resources, visible)
    assert chosen.get("who", grants, NOW) is plan
    assert chosen.get("who", grants, NOW - timedelta(microseconds=1)) is None, "the clock went back"
    if until is None:
        assert chosen.get("who", grants, NOW + 1000 * HOUR) is plan
    else:
        assert chosen.get("who", grants, until - timedelta(microseconds=1)) is plan
        assert chosen.get("who", grants, until) is None


def test_a_choice_is_for_the_very_grants() -> None:
    plan, resources, visible = ending()
    held: Any = [object()]
    very, same = tuple(held), tuple(held)
    chosen = Chosen(10)
    chosen.put("who", plan, very, NOW, resources, visible)
    assert chosen.get("who", very, NOW) is plan
    assert very == same
    assert chosen.get("who", same, NOW) is None
    assert chosen.get("another", very, NOW) is None


def documents(catalogue: Snapshot, **limits: int) -> Documents:
    return Documents(unified.build(catalogue).graphql, replace(Limits(), **limits))


def text(number: int, size: int = 0) -> str:
    return f"{{ a{number}: __typename }} # {'x' * size}"


def test_documents_are_kept_by_number(catalogue: Snapshot) -> None:
    kept = documents(catalogue, documents_cached=2)
    first, second = kept.document(text(1)), kept.document(text(2))
    assert kept.document(text(1)) is first
    kept.document(text(3))
    assert kept.document(text(1)) is first
    assert kept.document(text(2)) is not second


def test_documents_are_kept_by_size(catalogue: Snapshot) -> None:
    """Ten that are long push out all before them; one that is longer than all of the room is kept alone."""
    kept = documents(catalogue, documents_cached_bytes=10_000)
    small = kept.document(text(0))
    for number in range(1, 10):
        kept.document(text(number, 900))
    assert kept.document(text(0)) is small
    for number in range(10, 20):
        kept.document(text(number, 900))
    again = kept.document(text(0))
    assert again is small, "it was used in between"
    long = kept.document(text(30, 20_000))
    assert kept.document(text(30, 20_000)) is long
    assert kept.document(text(0)) is not small
    assert kept.document(text(30, 20_000)) is not long


async def test_what_is_known_of_an_operation_goes_with_its_document(catalogue: Snapshot) -> None:
    world = World(catalogue, {}, ())
    query = "query($a: Boolean!, $b: Boolean!, $c: Boolean!, $d: Boolean!, $e: Boolean!) { me { client } " + " ".join(
        f"{name}: me @include(if: ${name}) {{ client }}" for name in "abcde"
    )
    for number in range(32):
        variables = {name: bool(number >> bit & 1) for bit, name in enumerate("abcde")}
        answer = await world.ask(f"{query} }}", variables)
        assert answer.errors == []
    served = world.gateway._served
    assert served is not None
    (operation,) = served.documents.document(f"{query} }}").operations.values()
    assert len(operation.roots) == SHAPES
