"""Two contents of the sources with equal visible relations give equal answers, byte for byte, and equal calls."""

import asyncio
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import HealthCheck, currently_in_test_context, event, given, settings
from hypothesis import strategies as st

from connectors.pool import SourcePool
from tanglai.storage.embedded import EmbeddedPostgres
from tests.gateways import World
from tests.oracle.comparing import Duel
from tests.oracle.dice import Dice, by_dice
from tests.oracle.examples import Asked, Readable, example, told
from tests.oracle.grounds import LIMITS
from tests.oracle.hidden import Change, Veil
from tests.oracle.language import Operation
from tests.oracle.on_postgresql import HeardSources, on_postgresql
from tests.oracle.standing import give_standing
from tests.oracle.worlds import USUAL, Bounds, Drawn

SETTINGS = settings(
    deadline=None, derandomize=True, database=None, print_blob=True, suppress_health_check=list(HealthCheck)
)


@dataclass(frozen=True)
class Twins(Readable):
    """A world, what one asker asks in it, and other contents that look the same to the asker."""

    drawn: Drawn
    asked: Asked
    other: Change

    def __repr__(self) -> str:
        lines = [*told(self.drawn), *self.asked.told(self.drawn), "other contents:"]
        return "\n".join(["", *lines, *told(replace(self.drawn, rows=self.other))])


def twins(*, keys: bool, bounds: Bounds = USUAL) -> st.SearchStrategy[Twins]:
    def build(dice: Dice) -> Twins:
        one = example(dice, bounds, principals=1, each=5)
        veil = Veil(one.drawn, one.asked[0].asker, keys)
        return Twins(one.drawn, one.asked[0], veil.changed(dice))

    return by_dice(build)


async def ask(world: World, twins: Twins, operation: Operation) -> tuple[bytes, list[Any]]:
    """Body and source calls, each with its query, its arguments and the rows that came back."""
    heard = HeardSources(world.sources)
    world.gateway._sources = heard  # type: ignore[assignment]
    duel = Duel.of(twins.drawn, twins.asked.asker, world)
    body = (await duel.ask(operation)).response.body
    return body, [_of_cube(*call) for call in heard.heard]


def _of_cube(query: str, arguments: dict[str, Any], rows: list[Any]) -> Any:
    """A call; what comes back for a published cube depends on all rows, what is published of it does not."""
    is_cube = "group_by=(Case(" in query and " limit=None" in query and " links=()" in query
    return query, arguments, None if is_cube else rows


async def look_alike(twins: Twins, one: World, other: World, *, calls: bool) -> None:
    """Asks both worlds the same."""
    if currently_in_test_context():  # `make fuzz` asks without hypothesis
        event("the contents differ" if twins.other != twins.drawn.rows else "the contents are the same")
    duel = Duel.of(twins.drawn, twins.asked.asker, one)
    for operation in twins.asked.operations:
        completed = await duel.complete(operation)
        await give_standing(one, other)
        first, second = await ask(one, twins, completed), await ask(other, twins, completed)
        assert first[0] == second[0], f"answers tell of what is hidden: {completed}"
        if calls:
            assert first[1] == second[1], f"source calls tell of what is hidden: {completed}"


async def in_memory(twins: Twins, *, calls: bool) -> None:
    one, other = (World(twins.drawn.snapshot, rows, twins.drawn.grants, limits=LIMITS)
                  for rows in (twins.drawn.rows, twins.other))  # fmt: skip
    await look_alike(twins, one, other, calls=calls)


@settings(SETTINGS, max_examples=90)
@given(twins(keys=True))
def test_hidden_values_change_neither_answers_nor_calls(twins: Twins) -> None:
    asyncio.run(in_memory(twins, calls=True))


@settings(SETTINGS, max_examples=50)
@given(twins(keys=False))
def test_keys_that_are_read_for_relations_change_no_answer(twins: Twins) -> None:
    asyncio.run(in_memory(twins, calls=False))


def test_hidden_values_change_no_answer_over_postgresql(postgres: EmbeddedPostgres) -> None:
    postgres.create_database("hidden")
    url = postgres.url("hidden")
    with asyncio.Runner() as runner:
        pool = SourcePool({})

        async def compare(twins: Twins) -> None:
            hidden = replace(twins.drawn, rows=twins.other)
            async with (
                on_postgresql(twins.drawn, url, pool) as (_, one),
                on_postgresql(hidden, url, pool) as (_, other),
            ):
                await look_alike(twins, one, other, calls=False)

        @settings(SETTINGS, max_examples=20)
        @given(twins(keys=False, bounds=Bounds(pageable=True)))
        def hold(twins: Twins) -> None:
            runner.run(compare(twins))

        try:
            hold()
        finally:
            runner.run(pool.close())
    postgres.drop_database("hidden")
