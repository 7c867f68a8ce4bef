"""Published cubes as rows, on a real PostgreSQL: one per key for good, and no figures under two grants."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import asyncpg
import pytest

from authz.cubes import cube_rule
from resolvers.publications import Publications
from tanglai.catalogue.expressions import TRUE, Column
from tanglai.catalogue.model import Code, Grant, GrantState, Period, Statistics, Usage
from tanglai.catalogue.scalars import ScalarType
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.errors import PolicyUnavailable, Refused
from tests.cases import case
from tests.unit.storage.sample import HEALTH, START, TAX, VEHICLES, change, grant, item, resource

LATER = datetime(2026, 7, 1, tzinfo=UTC)
NOW = datetime(2026, 5, 6, 4, tzinfo=UTC)
ITEMS = (
    item("name"),
    item("phone"),
    item("division", codes=(Code("640100", "银川市"), Code("640300", "吴忠市"))),
    item("kind", codes=(Code("a", "甲"),)),
    item("income", type=ScalarType.DECIMAL, column=Column("income", ScalarType.DECIMAL)),
)
TERMS = Statistics(("division",), ("income",), Period.MONTH, 3, 1, Decimal("0.1"))


def figures(id: str, requester: str = HEALTH, statistics: Statistics = TERMS, **changes: Any) -> Grant:
    defaults: dict[str, Any] = {
        "usage": Usage.STATISTICS,
        "items": statistics.items,
        "statistics": statistics,
        "relations": frozenset(),
        "masks": {},
        "scope": TRUE,
    }
    return grant(id, requester, **defaults | changes)


@pytest.fixture
async def catalogue(platform: PlatformDatabase) -> PlatformDatabase:
    await platform.publish(change(resource(items=ITEMS), resource(VEHICLES, items=ITEMS)))
    return platform


@pytest.fixture
async def second(catalogue: PlatformDatabase, url: str) -> AsyncIterator[PlatformDatabase]:
    """Another replica of the same node."""
    async with await PlatformDatabase.open(url) as other:
        yield other


async def test_terms_are_kept_with_the_grant(catalogue: PlatformDatabase) -> None:
    given = (figures("a"), figures("b", statistics=replace(TERMS, dimensions=("kind",), measures=(), base=5)))
    await catalogue.put_grants(given)
    assert await catalogue.load_grants(HEALTH) == given
    changed = figures("a", statistics=replace(TERMS, minimum_cell=10))
    assert (await catalogue.put_grants([changed])).changed == ("a",)
    assert await catalogue.load_grants(HEALTH) == (changed, given[1])


async def test_the_first_publication_counts(catalogue: PlatformDatabase, second: PlatformDatabase) -> None:
    await catalogue.put_grants([figures("a")])
    assert await catalogue.load_cube("a", "t", "2026-05") is None
    first = await catalogue.publish_cube("a", "t", "2026-05", '[[["640100"], 3, [["0.30", 3]]], [[null], 4, [null]]]')
    assert json.loads(first) == [[["640100"], 3, [["0.30", 3]]], [[None], 4, [None]]]
    assert await second.publish_cube("a", "t", "2026-05", "[]") == first
    assert await second.load_cube("a", "t", "2026-05") == first
    for key in (("a", "t", "2026-06"), ("a", "u", "2026-05")):
        assert await second.publish_cube(*key, "[]") == "[]"


async def test_replicas_that_publish_at_once_publish_one(catalogue: PlatformDatabase, second: PlatformDatabase) -> None:
    await catalogue.put_grants([figures("a")])
    for round in range(20):
        published = await asyncio.gather(
            *(
                (catalogue, second)[number % 2].publish_cube("a", "t", f"day {round}", f"[[[null], {number}, []]]")
                for number in range(6)
            )
        )
        assert len(set(published)) == 1


@case(37)
async def test_two_replicas_answer_from_one_cube(catalogue: PlatformDatabase, second: PlatformDatabase) -> None:
    """Both read the source, at moments between which it changed; both answer what one of them published."""
    await catalogue.put_grants([figures("a")])
    rule = cube_rule(figures("a"), resource(items=ITEMS), TRUE, TERMS.items)
    assert rule is not None
    both, reads = asyncio.Barrier(2), 0

    async def read() -> list[tuple[Any, ...]]:
        nonlocal reads
        reads += 1
        count = 10 * reads
        await both.wait()  # neither has published
        return [("640100", count, Decimal(count), count)]

    one, two = Publications(catalogue), Publications(second)
    cubes = await asyncio.gather(one.cube(rule, NOW, read), two.cube(rule, NOW, read))
    assert reads == 2
    assert cubes[0] == cubes[1]

    async def never() -> list[tuple[Any, ...]]:
        raise AssertionError("read again")

    for publications in (one, two, Publications(second)):
        assert await publications.cube(rule, NOW, never) == cubes[0]


async def test_what_is_published_cannot_be_changed(catalogue: PlatformDatabase, url: str) -> None:
    await catalogue.put_grants([figures("a")])
    await catalogue.publish_cube("a", "t", "2026", "[]")
    connection = await asyncpg.connect(url)
    for statement in (
        "UPDATE published_cube SET cells = '[1]'",
        "DELETE FROM published_cube",
        "TRUNCATE published_cube",
    ):
        with pytest.raises(asyncpg.PostgresError, match="rows of `published_cube` are kept as they are"):
            await connection.execute(statement)
    await connection.close()


async def test_no_cube_of_an_unknown_grant(catalogue: PlatformDatabase) -> None:
    with pytest.raises(Refused, match="names a grant_id `nobody` that does not exist"):
        await catalogue.publish_cube("nobody", "t", "2026", "[]")


async def test_no_cube_without_a_database(catalogue: PlatformDatabase) -> None:
    await catalogue.close()
    with pytest.raises(PolicyUnavailable):
        await catalogue.load_cube("a", "t", "2026")


# --- overlapping grants --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "allowed"),
    [
        ({}, False),
        ({"purpose": "audit"}, False),
        ({"state": GrantState.SUSPENDED}, False),
        ({"statistics": replace(TERMS, dimensions=(), base=10)}, False),  # a shared measure
        ({"statistics": replace(TERMS, dimensions=("division", "kind"), measures=())}, False),  # a shared dimension
        ({"valid_from": START, "valid_to": None}, False),
        ({"statistics": replace(TERMS, dimensions=("kind",), measures=())}, True),
        ({"requester": TAX}, True),
        ({"resource": VEHICLES}, True),
        ({"state": GrantState.ENDED}, True),
        ({"valid_from": LATER, "valid_to": None}, True),
        ({"usage": Usage.READ, "statistics": None, "items": frozenset({"income"})}, True),
    ],
)
async def test_overlapping_grants_are_refused(
    catalogue: PlatformDatabase, other: dict[str, Any], allowed: bool
) -> None:
    first = figures("a", valid_to=LATER)
    if other.get("statistics", TERMS) is None:
        second = replace(figures("b"), **other)
    else:
        second = figures("b", **other)
    await catalogue.put_grants([first])
    if allowed:
        await catalogue.put_grants([second])
    else:
        with pytest.raises(Refused, match="grants `a` and `b` publish statistics of"):
            await catalogue.put_grants([second])
        both = [replace(first, id="c", requester=TAX), replace(second, id="d", requester=TAX)]
        with pytest.raises(Refused, match="grants `c` and `d` publish statistics of"):
            await catalogue.put_grants(both)
    loaded = await catalogue.load_grants(HEALTH)
    assert ("b" in {one.id for one in loaded}) == (allowed and other.get("requester", HEALTH) == HEALTH)


async def test_an_import_again_is_no_overlap_with_itself(catalogue: PlatformDatabase) -> None:
    await catalogue.put_grants([figures("a"), figures("z", resource=VEHICLES)])
    assert (await catalogue.put_grants([figures("a")])).changed == ()


async def test_new_terms_are_looked_at(catalogue: PlatformDatabase) -> None:
    await catalogue.put_grants(
        [figures("a"), figures("b", statistics=replace(TERMS, dimensions=("kind",), measures=()))]
    )
    with pytest.raises(Refused, match="grants `a` and `b` publish statistics of `income`"):
        await catalogue.put_grants([figures("b", statistics=replace(TERMS, dimensions=("kind",)))])
    assert (await catalogue.load_grants(HEALTH))[1].statistics == replace(TERMS, dimensions=("kind",), measures=())


async def test_an_ended_grant_makes_room(catalogue: PlatformDatabase) -> None:
    await catalogue.put_grants([figures("a")])
    await catalogue.set_grant_state("a", GrantState.ENDED, by="reviewer", reason="done")
    assert (await catalogue.put_grants([figures("b")])).added == ("b",)
