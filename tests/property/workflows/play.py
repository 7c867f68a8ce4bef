"""In charge of the stateful test itself: random people act through all workflows, and the model knows what comes."""

import asyncio
from collections import Counter
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import date
from itertools import count
from typing import Self, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tanglai.storage.embedded import EmbeddedPostgres
from tests.property.workflows import law
from tests.property.workflows.clockwork import PLATFORM, look_after, tell_all
from tests.property.workflows.kinds import ACTS
from tests.property.workflows.law import DEPARTMENTS
from tests.property.workflows.model import (
    DONE,
    Act,
    Attempt,
    Command,
    Draw,
    Matter,
    Person,
    World,
    foresee,
)
from tests.property.workflows.stage import Copies, Picture, Stage, days, new_world, settle

T = TypeVar("T")
LAST = date(2026, 10, 30)
"""Days pass until here, so that what is due stays within the year."""

ROLES = ("applicant", "reviewer", "head", "cataloguer", "coordinator", "supervisor")
CAST = {
    "ma": frozenset({"applicant", "cataloguer"}),
    "wang": frozenset({"reviewer"}),
    "li": frozenset({"head"}),
    "zhao": frozenset({"coordinator", "supervisor"}),
    "shi": frozenset(ROLES),
    "bai": frozenset[str](),
}
"""People of every department: with one duty each, with all (who may not pass their own act), and with none."""

OPENERS = tuple(act for act in ACTS if act.opens)
APPLY = next(act for act in ACTS if act.name == "apply")
APPROVE = next(act for act in ACTS if act.kind == "APPLICATION" and act.name == "approve")
MOVERS = tuple(act for act in ACTS if not act.opens)


class Theatre:
    """Where plays take place: one event loop, and fresh databases. `tally` counts what came of acts, over all plays."""

    def __init__(self, server: EmbeddedPostgres, workers: int = 1) -> None:
        self.server, self.workers = server, workers
        # Its own loop, which is not set as that of the thread: the other tests have theirs.
        self.runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self.copies = Copies(server)
        self.tally: Counter[str] = Counter()
        self.run(self.copies.prepare())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.run(self.copies.close())
        self.runner.close()

    def run(self, awaitable: Awaitable[T]) -> T:
        async def wait() -> T:
            return await awaitable

        return self.runner.run(wait())


def suitable(d: Draw, department: str, role: str) -> Person:
    name = d(st.sampled_from([name for name, roles in CAST.items() if role in roles]))
    return Person(department, name, CAST[name])


def anybody(d: Draw) -> Person:
    name = d(st.sampled_from(tuple(CAST)))
    return Person(d(st.sampled_from(DEPARTMENTS)), name, CAST[name])


class Deviser:
    """Makes up commands: mostly such as could be done, and any others."""

    def __init__(self) -> None:
        self.numbers = count(1)

    def opening(self, d: Draw, world: World) -> Command:
        usual = [act for act in OPENERS if not act.rare or not d(st.integers(0, 7))]
        act: Act = d(st.sampled_from([act for act in usual if act.apt(world) or not d(st.integers(0, 15))]))
        given = act.draw(d, world)
        assert act.suits is not None
        return self._named(Command(act, suitable(d, *act.suits(d, world, given)), given))

    def _named(self, command: Command) -> Command:
        return replace(command, key=f"k{next(self.numbers)}") if command.act.keyed else command

    def likely(self, d: Draw, world: World) -> Command:
        """A step that an open matter has, by somebody whose it is."""
        found = world.open()
        if not found:
            return self.opening(d, world)
        return self.on(d, world, d(st.sampled_from(found[-8:])))

    def on(self, d: Draw, world: World, matter: Matter) -> Command:
        acts = [act for act in MOVERS if act.kind == matter.kind and self._by(act, matter)]
        if d(st.integers(0, 7)):
            acts = [act for act in acts if not act.rare]
        if not acts:
            return self.opening(d, world)
        act: Act = d(st.sampled_from(acts))
        party, role = d(st.sampled_from(self._by(act, matter)))
        department = matter.department(party) or law.OFFICE
        return Command(act, suitable(d, department, role), act.draw(d, world), matter.id, matter.version)

    def _by(self, act: Act, matter: Matter) -> list[tuple[str, str]]:
        found = law.steps(matter.kind, matter.rules, matter.state)
        pairs = [pair for s in found if s.event in act.events for pair in s.by if pair[0] != "platform"]
        return list(dict.fromkeys(pairs))

    def stray(self, d: Draw, world: World) -> Command:
        """Anything by anybody: other departments, closed matters, ids of nothing, versions that are past."""
        act: Act = d(st.sampled_from(ACTS))
        given = act.draw(d, world)
        if act.opens:
            return self._named(Command(act, anybody(d), given))
        known = [one for one in world.matters if one.kind == act.kind] or world.matters
        matter: Matter | None = d(st.sampled_from(known)) if known else None
        if matter is None or not d(st.integers(0, 9)):
            return Command(act, anybody(d), given, "A-2026-999999", 1)
        who = anybody(d)
        if d(st.booleans()):  # of a party, with whichever roles
            who = Person(d(st.sampled_from(sorted(matter.parties))), who.name, who.roles)
        stale = d(st.sampled_from((0, 0, 0, 0, -1, 1)))
        return Command(act, who, given, matter.id, matter.version + stale)

    def intrusion(self, d: Draw, world: World) -> Command:
        """What could be done, with one thing wrong: the same by another department, somebody else, or too late."""
        command = self.likely(d, world)
        who, matter = command.who, world.matter(command.id)
        match d(st.sampled_from(("department", "department", "party", "person", "own", "version"))):
            case "department":
                return replace(command, who=replace(who, department=d(st.sampled_from(DEPARTMENTS))))
            case "party" if matter is not None:
                return replace(command, who=replace(who, department=d(st.sampled_from(sorted(matter.parties)))))
            case "own" if matter is not None:
                return replace(command, who=Person(who.department, "shi", CAST["shi"]))
            case "version" if matter is not None:
                return replace(command, version=command.version - 1)
        name = d(st.sampled_from(tuple(CAST)))
        return replace(command, who=Person(who.department, name, CAST[name]))

    def any(self, d: Draw, world: World) -> Command:
        how = (self.likely, self.likely, self.opening, self.stray, self.intrusion)
        command: Command = d(st.sampled_from(how))(d, world)
        return command


class Play(RuleBasedStateMachine):
    """One play: a database of its own, and the world as the model has it."""

    theatre: Theatre

    def __init__(self) -> None:
        super().__init__()
        self.url = self.run(self.theatre.copies.fresh())
        self.stack = AsyncExitStack()
        self.stage = self.run(self.stack.enter_async_context(Stage.open(self.url, self.theatre.workers)))
        self.world = new_world()
        self.deviser = Deviser()
        self.opened: list[Command] = []
        self.stage.show(self.world)

    def run(self, awaitable: Awaitable[T]) -> T:
        return self.theatre.run(awaitable)

    def teardown(self) -> None:
        try:
            self.check_readers()
        finally:
            self.run(self.stack.aclose())
            self.run(self.theatre.copies.drop(self.url))

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        """Two grants to begin with, one of either provider, by the ordinary way."""
        for provider, requester in ((law.POLICE, law.HEALTH), (law.CITY_POLICE, law.COUNTY)):
            code = next(code for code, it in self.world.resources.items() if it.provider == provider)
            given = {"resource": code, "items": ["phone", "address"], "lacks": None}
            self.do(Command(APPLY, Person(requester, "ma", CAST["ma"]), given))
            matter = self.world.matters[-1]
            reviewer = Person(provider, "wang", CAST["wang"])
            self.do(Command(APPROVE, reviewer, {"items": None}, matter.id, matter.version))
        if data.draw(st.booleans()):
            self.other_rules()

    # --- rules ---

    @rule(data=st.data())
    def act(self, data: st.DataObject) -> None:
        self.do(self.deviser.any(data.draw, self.world))

    @rule(data=st.data())
    def act_in_turn(self, data: st.DataObject) -> None:
        for _ in range(3):
            self.do(self.deviser.intrusion(data.draw, self.world))
            self.do(self.deviser.likely(data.draw, self.world))

    @rule(data=st.data())
    def open_another(self, data: st.DataObject) -> None:
        self.do(self.deviser.opening(data.draw, self.world))

    @rule(data=st.data())
    def ask_again(self, data: st.DataObject) -> None:
        """The same request once more, as after a lost answer."""
        if self.opened:
            self.do(data.draw(st.sampled_from(self.opened)))

    @rule(count=st.integers(1, 9))
    def days_pass(self, count: int) -> None:
        if self.world.day + days(count) <= LAST:
            self.world.day += days(count)
            look_after(self.world)
            tell_all(self.world)
            self.stage.show(self.world)
            self.run(self.stage.look_after())
            self.compare("days passed")

    @rule(data=st.data(), state=st.sampled_from(("ACTIVE", "SUSPENDED", "ENDED")))
    def operator_acts(self, data: st.DataObject, state: str) -> None:
        """At the command line, past all workflows."""
        found = [grant for grant in self.world.running() if grant.state != state]
        if found:
            grant = data.draw(st.sampled_from(found))
            Attempt(self.world, PLATFORM).become(grant, state)
            self.run(self.stage.set_state(str(grant.id), state))
            self.compare(f"{grant.id} was made {state}")

    @rule(data=st.data())
    def validity_ends(self, data: st.DataObject) -> None:
        found = self.world.running()
        if found and not data.draw(st.integers(0, 2)):
            grant = data.draw(st.sampled_from(found))
            Attempt(self.world, PLATFORM).become(grant, "EXPIRED")
            tell_all(self.world)
            self.run(self.stage.expire(str(grant.id)))
            self.compare(f"{grant.id} expired")

    @rule()
    def other_rules(self) -> None:
        """The other rule set comes into force; what is open keeps its own."""
        self.world.rules = law.ORDER if self.world.rules == law.MEASURES else law.MEASURES
        self.stage.show(self.world)

    # --- comparing ---

    def do(self, command: Command) -> None:
        foreseen = foresee(self.world, command)
        outcome, row = self.run(self.stage.perform(command))
        self.theatre.tally[f"{command.act.kind}.{command.act.name} {outcome}"] += 1
        assert outcome in foreseen.allowed, f"{command}: {outcome} came, {sorted(foreseen.allowed)} expected"
        self.world = foreseen.world
        self.compare(str(command))
        if outcome == DONE:
            assert row is not None
            assert foreseen.main is not None
            main = foreseen.main
            assert (row.id, row.state, row.version) == (main.id, main.state, main.version), f"{command} answered {row}"
            if command.key is not None and command not in self.opened:
                self.opened.append(command)

    def compare(self, what: str) -> None:
        different = settle(self.world, self.seen())
        assert not different, f"after {what}:\n" + "\n".join(different)

    def seen(self) -> Picture:
        return self.run(self.stage.observe())

    def check_readers(self) -> None:
        """No matter is lost: its parties read it, and nobody else."""
        check_readers(self.world, self.run(self.stage.readable([str(one.id) for one in self.world.matters])))


def check_readers(world: World, readable: dict[str, set[str]]) -> None:
    for matter in world.matters:
        for department in DEPARTMENTS:
            assert (matter.id in readable[department]) == matter.readable(department), (matter.id, department)
