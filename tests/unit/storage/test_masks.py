"""Masks judged where grants are recorded, on a real PostgreSQL: against the other grants of the same requester."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tanglai.catalogue.expressions import TRUE, Column
from tanglai.catalogue.masks import Mask, MaskKind
from tanglai.catalogue.model import Content, Division, Grant, GrantState, NamedMask, ShareClass
from tanglai.catalogue.scalars import ScalarType
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.errors import Refused
from tests.unit.storage.sample import DIVISIONS, HEALTH, TAX, VEHICLES, change, grant, item, related, resource

NUMBER_MASKS = (
    NamedMask("ten", Mask(MaskKind.KEEP, 10, 0)),
    NamedMask("wide", Mask(MaskKind.KEEP, 6, 4)),
    NamedMask("token", Mask(MaskKind.PSEUDONYM)),
    NamedMask("hidden", Mask(MaskKind.REDACT)),
)
NUMBER = item("number", masks=NUMBER_MASKS, content=Content.IDENTITY_NUMBER)
BORN = item("born", type=ScalarType.DATE, column=Column("born", ScalarType.DATE), content=Content.BIRTH_DATE)
LIVES = item("lives", content=Content.DIVISION)
COUNTIES = tuple(Division(f"6401{n:02}", f"县{n}", f"County {n}", DIVISIONS[0].valid_from) for n in range(1, 30))
OVER = datetime.now(UTC) - timedelta(days=1)


def reading(id: str, *items: str, mask: str | None = None, **more: Any) -> Grant:
    """A grant on items; `mask` is of `number`."""
    masks = {"number": mask} if mask else {}
    defaults: dict[str, Any] = {"items": frozenset(items), "masks": masks, "scope": TRUE, "quota": None}
    return grant(id, **defaults | more)


@pytest.fixture
async def catalogue(platform: PlatformDatabase) -> PlatformDatabase:
    people = resource(
        items=(item("name"), NUMBER, BORN, LIVES),
        relations=(replace(related(True, VEHICLES, "owner", "cars"), items=("number",), target_items=("number",)),),
    )
    vehicles = resource(
        VEHICLES,
        items=(item("name"), NUMBER, item("plate")),
        relations=(replace(related(False, people.code, "cars", "owner"), items=("number",), target_items=("number",)),),
    )
    await platform.publish(change(people, vehicles, divisions=(*DIVISIONS, *COUNTIES)))
    return platform


@pytest.fixture
async def second(catalogue: PlatformDatabase, url: str) -> AsyncIterator[PlatformDatabase]:
    """Another replica of the same node."""
    async with await PlatformDatabase.open(url) as other:
        yield other


WIDE = reading("wide", "number", mask="wide")
BIRTH = reading("birth", "born")
CARS = reading("cars", "number", mask="wide", resource=VEHICLES, relations=frozenset({"owner"}))
OWNERS = reading("owners", "born", relations=frozenset({"cars"}))


@pytest.mark.parametrize(
    ("first", "later"),
    [
        (WIDE, BIRTH),
        (BIRTH, WIDE),
        (WIDE, replace(BIRTH, purpose="audit")),
        (replace(WIDE, state=GrantState.SUSPENDED), BIRTH),
        (WIDE, replace(BIRTH, valid_from=datetime.now(UTC) + timedelta(days=30))),
        (CARS, OWNERS),
        (OWNERS, CARS),
    ],
)
async def test_what_gives_a_number_away_is_refused(catalogue: PlatformDatabase, first: Grant, later: Grant) -> None:
    await catalogue.put_grants([first])
    with pytest.raises(Refused, match=f"grant `{later.id}`: `number` of .* leaves 1 number, fewer than 1,000"):
        await catalogue.put_grants([later])
    assert await catalogue.load_grants(HEALTH) == (first,)
    with pytest.raises(Refused, match="fewer than 1,000"):
        await catalogue.put_grants([reading("together", "number", "born", mask="wide")])


@pytest.mark.parametrize(
    ("first", "later"),
    [
        (WIDE, replace(BIRTH, requester=TAX)),
        (replace(WIDE, masks={"number": "token"}), BIRTH),
        (replace(WIDE, state=GrantState.ENDED), BIRTH),
        (replace(WIDE, valid_from=OVER - timedelta(days=9), valid_to=OVER), BIRTH),
        (CARS, BIRTH),
        (WIDE, reading("plates", "plate", resource=VEHICLES)),
    ],
)
async def test_what_gives_nothing_away_is_recorded(catalogue: PlatformDatabase, first: Grant, later: Grant) -> None:
    await catalogue.put_grants([first])
    assert (await catalogue.put_grants([later])).added == (later.id,)


async def test_masks_that_cannot_be_compared(catalogue: PlatformDatabase) -> None:
    await catalogue.put_grants([WIDE])
    with pytest.raises(Refused, match=r"grant `token`: pseudonym cannot be compared with keep 6 \+ 4 of grant `wide`"):
        await catalogue.put_grants([reading("token", "number", mask="token", purpose="audit")])
    await catalogue.put_grants([reading("hidden", "number", mask="hidden", purpose="audit")])


async def test_new_terms_are_judged_and_old_ones_left(catalogue: PlatformDatabase) -> None:
    hidden = replace(WIDE, masks={"number": "hidden"})
    await catalogue.put_grants([hidden, BIRTH])
    with pytest.raises(Refused, match="grant `wide`"):
        await catalogue.put_grants([WIDE])
    assert (await catalogue.put_grants([hidden, BIRTH])).changed == ()
    await catalogue.publish(change(resource(items=(item("name"), NUMBER, replace(BORN, content=None)))))
    await catalogue.put_grants([WIDE])  # the catalogue did not say what `born` tells
    await catalogue.publish(change(resource(items=(item("name"), NUMBER, BORN))))
    assert (await catalogue.put_grants([WIDE, BIRTH])).changed == ()  # importing once more changes nothing
    assert (await catalogue.put_grants([reading("other", "name")])).added == ("other",)


async def test_what_comes_at_once_is_judged_by_what_there_is_in_the_end(catalogue: PlatformDatabase) -> None:
    """Ten digits leave 999 numbers beside the birth date; where the division is clear as well, they add nothing."""
    shows, clear = reading("a", "number", "born", mask="ten"), reading("b", "lives")
    with pytest.raises(Refused, match=r"grant `a`: .* leaves 999 numbers"):
        await catalogue.put_grants([shows])
    assert (await catalogue.put_grants([shows, clear])).added == ("a", "b")
    assert (await catalogue.put_grants([shows])).changed == ()


@pytest.mark.parametrize(("order", "named"), [((WIDE, BIRTH), "birth"), ((BIRTH, WIDE), "wide")])
async def test_the_refusal_names_the_grant_that_comes_later(
    catalogue: PlatformDatabase, order: tuple[Grant, ...], named: str
) -> None:
    with pytest.raises(Refused, match=f"grant `{named}`"):
        await catalogue.put_grants([*order, reading("more", "name")])
    assert await catalogue.load_grants(HEALTH) == ()


async def test_what_is_open_to_all_needs_no_grant(catalogue: PlatformDatabase) -> None:
    open_to_all = replace(BORN, share_class=ShareClass.UNCONDITIONAL)
    await catalogue.publish(change(resource(items=(item("name"), NUMBER, open_to_all))))
    with pytest.raises(Refused, match="beside `born`"):
        await catalogue.put_grants([WIDE])


async def test_two_replicas_that_record_at_once(catalogue: PlatformDatabase, second: PlatformDatabase) -> None:
    done = await asyncio.gather(catalogue.put_grants([WIDE]), second.put_grants([BIRTH]), return_exceptions=True)
    assert sum(isinstance(result, Refused) for result in done) == 1
    assert len(await catalogue.load_grants(HEALTH)) == 1
