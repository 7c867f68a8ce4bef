"""What a platform keeps between operations: cubes for their period whatever the rows become, and what quotas have left.

Each test has random worlds that hold what it is about, and counts how often it met it.
"""

import random
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

from tanglai.catalogue.model import Grant, GrantState, Quota, Resource
from tanglai.catalogue.naming import aggregate_field_name
from tests.gateways import NOW, requester
from tests.oracle.books import day_of
from tests.oracle.comparing import Duel
from tests.oracle.dice import Dice
from tests.oracle.grounds import Ground
from tests.oracle.language import Field, Figures, Listing, Operation
from tests.oracle.operations import Writer
from tests.oracle.pools import DAY
from tests.oracle.standing import books_of
from tests.oracle.worlds import USUAL, Asker, Drawn, world

BEFORE, LATER = NOW, NOW + timedelta(minutes=5)


def worlds(seed: int, number: int) -> list[tuple[Dice, Drawn]]:
    dice = Dice(random.Random(seed).randint)
    return [(dice, world(dice, USUAL)) for _ in range(number)]


def figures_of(resource: Resource, grant: Grant) -> Operation:
    """The finest figures of a cube."""
    statistics = grant.statistics
    assert statistics is not None
    names = {name: resource.item_by_name[name].graphql for name in statistics.dimensions + statistics.measures}
    groups = [names[name] for name in statistics.dimensions]
    measures = tuple(Field(names[name]) for name in statistics.measures)
    parts = [Field("key", selections=tuple(Field(name) for name in groups)), Field("count")]
    parts += [Field(function, selections=measures) for function in ("sum", "avg") if measures]
    asked = Field(aggregate_field_name(resource.names), None, Figures(group=groups), tuple(parts))
    return of(resource, asked)


def of(resource: Resource, *asked: Field) -> Operation:
    return Operation((Field("data", selections=(Field(resource.names.group, selections=asked),)),))


def altered(dice: Dice, drawn: Drawn, resource: Resource) -> Drawn:
    """Other rows of one table: half of them gone."""
    binding = resource.binding
    rows = drawn.rows[binding.source][binding.table]
    fewer = dice.some(rows, len(rows) // 2, len(rows) // 2)
    return replace(drawn, rows={**drawn.rows, binding.source: {**drawn.rows[binding.source], binding.table: fewer}})


async def test_a_cube_is_kept_for_its_period_whatever_the_rows_become() -> None:
    met: Counter[str] = Counter()
    for dice, drawn in worlds(31, 60):
        for grant in drawn.grants:
            resource = drawn.snapshot.resources[grant.resource]
            if grant.statistics is None or grant.state is not GrantState.ACTIVE or grant.quota is not None:
                continue
            if resource.zone is not drawn.snapshot.zone:
                continue  # has no field
            department = drawn.snapshot.departments[grant.requester]
            asker = Asker(requester(department=department), BEFORE, None, None)
            ground, asked = Ground.in_memory(drawn), figures_of(resource, grant)
            before = await Duel.of(ground.drawn, asker, ground.world).compare(asked)
            assert before is not None
            if before.body.get("extensions", {}).get("grants") != [grant.id]:
                continue  # not usable, or reading comes first
            await ground.become(altered(dice, drawn, resource))
            for now in (LATER, NOW + DAY, NOW + 400 * DAY):
                later = await Duel.of(ground.drawn, replace(asker, now=now), ground.world).compare(asked)
                assert later is not None
                same = later.body == before.body
                if now == LATER:
                    assert same
                    met["kept"] += 1
                met[f"another, {(now - NOW).days} days later"] += not same
    assert met["kept"] >= 10
    assert met["another, 1 days later"] >= 1
    assert met["another, 400 days later"] >= 5


async def test_a_sequence_is_denied_first_where_the_oracle_says_and_leaves_what_it_says() -> None:
    """One list over and over, under quotas that a few of them use up; on the next day it begins anew."""
    met: Counter[str] = Counter()
    for dice, drawn in worlds(35, 40):
        quota = dice.pick((Quota(rows=9), Quota(requests=3), Quota(rows=12, subjects=7), Quota(rows=10, requests=4)))
        drawn = replace(drawn, grants=tuple(replace(grant, quota=quota) for grant in drawn.grants))
        ground = Ground.in_memory(drawn)
        resource = dice.pick([r for r in drawn.snapshot.resources.values() if r.zone is drawn.snapshot.zone])
        departments = [drawn.snapshot.departments[grant.requester] for grant in drawn.grants]
        asker = Asker(requester(**{"department": departments[0]} if departments else {}), BEFORE, None, None)
        items = [Field(item.graphql) for item in dice.some(resource.items, 1, 3)]
        codes: list[Any] = []
        for number in range(7):
            asker = replace(asker, now=BEFORE if number < 6 else BEFORE + DAY)
            duel = Duel.of(ground.drawn, asker, ground.world)
            listed = Field(resource.names.list, None, Listing(first=3), (Field("nodes", selections=tuple(items)),))
            answer = await duel.compare(of(resource, listed))
            assert answer is not None
            codes.append("QUOTA_EXCEEDED" in answer.codes)
            operation = Writer(dice, duel.oracle.whole_sights).operation()
            met["other operations"] += await duel.compare(operation) is not None
        met["used up"] += codes[0] is False and True in codes
        met["begins anew"] += codes[5] is True and codes[6] is False
        books = books_of(ground.world)
        accounts = [books.accounts.get((grant.id, day_of(BEFORE))) for grant in drawn.grants]
        met["counted"] += any(account is not None and account.requests + account.rows > 0 for account in accounts)
    assert met["used up"] >= 5
    assert met["begins anew"] >= 3
    assert met["counted"] >= 10
    assert met["other operations"] >= 150
