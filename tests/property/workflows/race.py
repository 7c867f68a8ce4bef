"""In charge of the same plays by two workers at once, over a database that crashes and comes back in between."""

import asyncio
from collections.abc import Iterator
from itertools import permutations, product

from hypothesis import strategies as st
from hypothesis.stateful import rule

from tanglai.storage.workflow.matters import Matter as Answer
from tests.property.workflows.model import DONE, Command, World, foresee
from tests.property.workflows.play import Play
from tests.property.workflows.stage import OUTAGE, Picture, settle

Result = tuple[str, Answer | None]


class Race(Play):
    """Two workers, with pools of their own. What two acts at once come to is what they come to one after the other."""

    @rule(data=st.data())
    def act_at_once(self, data: st.DataObject) -> None:
        for _ in range(3):
            self.both(self.two(data))

    @rule(data=st.data())
    def act_and_crash(self, data: st.DataObject) -> None:
        self.both(self.two(data))
        self.crash_during(self.two(data), 0)

    @rule(data=st.data(), milliseconds=st.sampled_from((5, 10, 20, 30)))
    def crash(self, data: st.DataObject, milliseconds: int) -> None:
        """The server is killed while two act; who got no answer asks again."""
        self.crash_during(self.two(data), milliseconds)

    def crash_during(self, commands: list[Command], milliseconds: int) -> None:
        results = self.run(self._through_a_crash(commands, milliseconds))
        seen = self.seen()
        self.settled(commands, results, seen)
        for command, (outcome, _) in zip(commands, results, strict=True):
            if outcome == OUTAGE:
                self.do(command)

    def two(self, data: st.DataObject) -> list[Command]:
        """Two commands: any, the same twice, or on one matter."""
        first = self.deviser.any(data.draw, self.world)
        how = data.draw(st.sampled_from(("any", "any", "same", "matter", "matter")))
        if how == "same" and (first.key is not None or not first.act.opens):
            return [first, first]
        matter = self.world.matter(first.id)
        if how == "matter" and matter is not None and not matter.closed:
            return [first, self.deviser.on(data.draw, self.world, matter)]
        return [first, self.deviser.any(data.draw, self.world)]

    def both(self, commands: list[Command]) -> None:
        async def at_once() -> list[Result]:
            return await asyncio.gather(*(self.stage.perform(one, n) for n, one in enumerate(commands)))

        results = self.run(at_once())
        assert all(outcome != OUTAGE for outcome, _ in results), f"{commands}: the database was there: {results}"
        self.settled(commands, results, self.seen())

    async def _through_a_crash(self, commands: list[Command], milliseconds: int) -> list[Result]:
        async def crash() -> None:
            if milliseconds:
                await asyncio.sleep(milliseconds / 1000)
            await asyncio.to_thread(self.theatre.server.kill)

        acts = (self.stage.perform(one, n) for n, one in enumerate(commands))
        _, *results = await asyncio.gather(crash(), *acts)
        await asyncio.to_thread(self.theatre.server.ensure_running)
        return [result for result in results if result is not None]

    def settled(self, commands: list[Command], results: list[Result], seen: Picture) -> None:
        """Takes the world to what explains all answers and the database; fails where nothing does."""
        closest: list[str] | None = None
        for command, (outcome, _) in zip(commands, results, strict=True):
            self.theatre.tally[f"{command.act.kind}.{command.act.name} {outcome}"] += 1
        for world, ids in self._outcomes(commands, results):
            different = settle(world, seen)
            for id, main in ids:
                named = world.matters[main].id
                if id != named:
                    different = [*different, f"the answer was {id}, not {named}"]
            if not different:
                self.world = world
                self._remember(commands, results)
                return
            closest = different if closest is None or len(different) < len(closest) else closest
        told = "\n".join(closest) if closest is not None else "no order of the two explains the answers"
        raise AssertionError(f"{commands}\n{[(outcome, answer) for outcome, answer in results]}\n{told}")

    def _outcomes(
        self, commands: list[Command], results: list[Result]
    ) -> Iterator[tuple[World, list[tuple[str, int]]]]:
        """Every world that the answers allow: one after the other, what got no answer done or not."""
        unknown = [n for n, (outcome, _) in enumerate(results) if outcome == OUTAGE]
        for done in product((True, False), repeat=len(unknown)):
            lost = {n for n, it in zip(unknown, done, strict=True) if not it}
            for order in permutations(range(len(commands))):
                world, ids = self.world, []
                for n in order:
                    if n in lost:
                        continue
                    foreseen = foresee(world, commands[n])
                    outcome, answer = results[n]
                    if (DONE if n in unknown else outcome) not in foreseen.allowed:
                        break
                    world = foreseen.world
                    if answer is not None and foreseen.main is not None:
                        ids.append((answer.id, world.matters.index(foreseen.main)))
                else:
                    yield world.copy(), ids

    def _remember(self, commands: list[Command], results: list[Result]) -> None:
        for command, (outcome, _) in zip(commands, results, strict=True):
            if command.key is not None and outcome == DONE and command not in self.opened:
                self.opened.append(command)
