"""In charge of many changing the platform database at once: in some order, never half, never stuck."""

import asyncio
from collections.abc import Awaitable

from tanglai.catalogue.model import GrantState, Zone
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.errors import Refused
from tests.unit.storage.sample import HEALTH, RESIDENTS, TAX, VEHICLES, change, epochs, grant, resource


async def test_of_two_opposite_steps_each_is_taken_from_what_the_other_left(
    url: str, platform: PlatformDatabase
) -> None:
    await platform.publish(change())
    await platform.put_grants([grant()])
    async with await PlatformDatabase.open(url) as other:
        answers = await asyncio.gather(
            *(
                (platform, other)[n % 2].set_grant_state("g1", GrantState.SUSPENDED, by=f"office {n}", reason="misuse")
                for n in range(6)
            ),
            return_exceptions=True,
        )
    assert sum(isinstance(answer, int) for answer in answers) == 1
    assert sum(isinstance(answer, Refused) for answer in answers) == 5
    assert len(await platform.grant_history("g1")) == 2


async def test_all_kinds_of_changes_at_once_are_all_done(url: str, platform: PlatformDatabase) -> None:
    await platform.publish(change(resource(), resource(VEHICLES)))
    await platform.put_grants([grant(f"g{n}", (HEALTH, TAX)[n % 2]) for n in range(10)])
    before = await epochs(platform.pool)
    async with await PlatformDatabase.open(url) as other:
        work: list[Awaitable[object]] = []
        for n in range(10):
            one, two = (platform, other) if n % 2 else (other, platform)
            work += [
                one.publish(change(resource(title=f"title {n}"), resource(VEHICLES))),
                two.put_grants([grant(f"new{n}", (HEALTH, TAX)[n % 2], resource=(RESIDENTS, VEHICLES)[n % 2])]),
                one.set_grant_state(f"g{n}", GrantState.SUSPENDED, by="office", reason="misuse"),
                two.expire_grants(),
                one.load_snapshot(Zone.INTRANET),
                two.load_grants(HEALTH),
                one.confirm(),
            ]
        await asyncio.gather(*work)
    after = await epochs(platform.pool)
    assert after["grants"] == before["grants"] + 20
    snapshot = await platform.load_snapshot(Zone.INTRANET)
    assert (snapshot.number, snapshot.resources[RESIDENTS].version) == (after["catalogue"], 11)
    held = [*await platform.load_grants(HEALTH), *await platform.load_grants(TAX)]
    assert sorted(one.id for one in held if one.state is GrantState.ACTIVE) == sorted(f"new{n}" for n in range(10))
    assert sorted(one.id for one in held if one.state is GrantState.SUSPENDED) == sorted(f"g{n}" for n in range(10))
