"""In charge of a simple model of the law's work: what is open, whom it waits for, until when, and what comes of it.

An act of the model is a function of an `Attempt`: it says what stands against the act, and what it does if nothing.
"""

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from tests.property.workflows import law
from tests.property.workflows.law import AUTHORS, DAYS, DRAFTED, ORDER, Step, due, overseer, passed, steps, waits

Given = dict[str, Any]
ITEMS = ("name", "phone", "address", "division", "note")
NOT_SHARED = {"note"}
UNCONDITIONAL = {"name"}
RUNNING = ("ACTIVE", "SUSPENDED")
_TOLD = {
    "SUSPENDED": "GRANT_SUSPENDED",
    "ACTIVE": "GRANT_RESUMED",
    "ENDED": "GRANT_ENDED",
    "EXPIRED": "GRANT_EXPIRED",
}


@dataclass(frozen=True)
class Person:
    """Somebody of a department; the platform itself is of none."""

    department: str
    name: str
    roles: frozenset[str]


@dataclass(eq=False)
class Clock:
    kind: str
    department: str
    started: date
    days: int
    extended: int = 0
    paused_on: date | None = None
    paused: int = 0
    met: bool | None = None
    flagged: bool = False
    reminded: int | None = None

    @property
    def due(self) -> date:
        return due(self.started, self.days + self.extended + self.paused)

    @property
    def runs(self) -> bool:
        return self.met is None


@dataclass(eq=False)
class Matter:
    kind: str
    rules: str
    requester: str | None = None
    provider: str | None = None
    coordinator: str | None = None
    resource: str | None = None
    parent: "Matter | None" = None
    grant: "Grant | None" = None
    doc: Given = field(default_factory=dict)
    id: str | None = None
    state: str = ""
    version: int = 0
    events: list[tuple[str, str, str, str | None, str | None]] = field(default_factory=list)
    clocks: list[Clock] = field(default_factory=list)

    @property
    def closed(self) -> bool:
        return self.version > 0 and waits(self.kind, self.state) is None

    @property
    def parties(self) -> set[str]:
        return {one for one in (self.requester, self.provider, self.coordinator) if one is not None}

    def department(self, party: str) -> str | None:
        return {"requester": self.requester, "provider": self.provider, "coordinator": self.coordinator}.get(party)

    def readable(self, department: str) -> bool:
        author = AUTHORS.get(self.kind)
        unsent = self.state == "WITHDRAWN" and not any(event[0] == "SUBMIT" for event in self.events)
        if author is not None and (unsent or self.state in DRAFTED[self.kind]):
            return department == self.department(author)
        return department in self.parties

    def clock(self, kind: str) -> Clock | None:
        return next((one for one in self.clocks if one.kind == kind and one.runs), None)

    def did(self, events: Iterable[str], who: Person) -> bool:
        return any(e[0] in events and (e[3], e[4]) == (who.department, who.name) for e in self.events)

    def task(self) -> tuple[str, str, date | None] | None:
        """Department and role that it waits for, and until when."""
        found = waits(self.kind, self.state)
        department = self.department(found[0]) if found is not None else None
        if found is None or department is None:
            return None
        dues = [one.due for one in self.clocks if one.runs and one.paused_on is None and one.department == department]
        return department, found[1], min(dues, default=None)


@dataclass(eq=False)
class Grant:
    requester: str
    provider: str
    resource: str
    items: frozenset[str]
    basis: Matter
    state: str = "ACTIVE"
    id: str | None = None

    @property
    def by_application(self) -> bool:
        return self.basis.kind == "APPLICATION"


@dataclass(eq=False)
class Published:
    """A resource of the catalogue; all have the items of `ITEMS`."""

    provider: str
    title: str
    version: int = 1
    retired: bool = False


@dataclass(eq=False)
class World:
    """All that there is. `rules` are those in force; what is open keeps its own."""

    rules: str
    day: date
    resources: dict[str, Published]
    matters: list[Matter] = field(default_factory=list)
    grants: list[Grant] = field(default_factory=list)
    notices: list[tuple[Matter | Grant | str, str, str]] = field(default_factory=list)
    news: list[tuple[Grant, str]] = field(default_factory=list)
    keys: dict[tuple[str, str], Matter] = field(default_factory=dict)

    def copy(self) -> "World":
        return copy.deepcopy(self)

    def matter(self, id: Any) -> Matter | None:
        return next((one for one in self.matters if one.id == id), None) if id is not None else None

    def grant(self, id: Any) -> Grant | None:
        return next((one for one in self.grants if one.id == id), None) if id is not None else None

    def running(self) -> list[Grant]:
        return [grant for grant in self.grants if grant.state in RUNNING]

    def open(self, kind: str | None = None) -> list[Matter]:
        return [one for one in self.matters if not one.closed and kind in (None, one.kind)]

    def published(self, code: str | None) -> bool:
        return code in self.resources and not self.resources[code or ""].retired

    def grantable(self, code: str | None, requester: str | None, items: Iterable[str], *, hidden: bool) -> bool:
        """Whether such a grant can be: of another's published data, and of what is not shared only if `hidden`."""
        found = set(items)
        return (
            self.published(code)
            and self.resources[code or ""].provider != requester
            and bool(found)
            and found <= set(ITEMS)
            and (hidden or not found & NOT_SHARED)
        )


class Attempt:
    """One act on a copy of the world. `faults` is what stands against it; `form`: that is seen without reading."""

    def __init__(self, world: World, who: Person, matter: Matter | None = None) -> None:
        self.world, self.who, self.main = world, who, matter
        self.faults: set[str] = set()
        self.form = False
        self.others: list[Matter] = []

    def wrong(self, when: bool, why: str = "InvalidAct") -> None:
        if when:
            self.faults.add(why)

    def malformed(self, when: bool) -> None:
        self.wrong(when)
        self.form |= when

    def require(self, department: str | None, role: str) -> None:
        self.wrong(department != self.who.department or role not in self.who.roles, "NotPermitted")

    # --- steps ---

    def step(self, matter: Matter, event: str, target: str | None = None, *, brought_about: bool = False) -> None:
        found = [s for s in steps(matter.kind, matter.rules, matter.state, event) if target in (None, s.target)]
        if not found:
            self.faults.add("WrongState")
            anywhere = [s for s in law.STEPS[matter.kind] if s.event == event]
            self.wrong(not brought_about and not any(self._may(matter, s) for s in anywhere), "NotPermitted")
            return
        one = found[0]
        if not brought_about and not self._may(matter, one):
            self.faults.add("NotPermitted")
        if not self.faults:
            self.record(matter, event, one.target, self.who)

    def _may(self, matter: Matter, step: Step) -> bool:
        allowed = any(
            matter.department(party) == self.who.department and role in self.who.roles for party, role in step.by
        )
        return allowed and not matter.did(step.apart, self.who)

    def record(self, matter: Matter, event: str, target: str, who: Person | None) -> None:
        """The step, without asking; `who` None: the platform."""
        name = (who.department, who.name) if who is not None and who.department else (None, None)
        matter.events.append((event, matter.state, target, *name))
        matter.state, matter.version = target, matter.version + 1
        if matter.closed:
            for clock in matter.clocks:
                clock.met = clock.met if clock.met is not None else False
                clock.paused_on = None
            for one in self.world.matters:
                if one.kind == "EXTENSION" and one.parent is matter and not one.closed:
                    self.record(one, "LAPSE", "WITHDRAWN", None)

    def open(self, kind: str, event: str, *, asked: bool = True, main: bool = True, **more: Any) -> Matter:
        """A new matter, by the rules in force; without `asked` whoever acts may."""
        new = Matter(kind, more.pop("rules", self.world.rules), **more)
        if asked:
            self.step(new, event)
        elif not self.faults:
            self.record(new, event, "OPEN", self.who)
        if not self.faults:
            self.world.matters.append(new)
        if main:
            self.main = new
        return new

    # --- clocks, notices, grants ---

    def start(
        self, matter: Matter, kind: str, department: str | None, days: int | None = None, since: date | None = None
    ) -> None:
        days = days if days is not None else DAYS.get((matter.rules, kind))
        if days is not None and not self.faults:
            matter.clocks.append(Clock(kind, department or "", since or self.world.day, days))

    def done(self, matter: Matter, kind: str) -> None:
        """What was due is done."""
        clock = matter.clock(kind)
        if clock is not None and not self.faults:
            clock.met = True

    def met(self, matter: Matter, kind: str) -> None:
        """The same where the step closed the matter, and its clocks with it."""
        for clock in matter.clocks:
            if clock.kind == kind and clock.met is False and not self.faults:
                clock.met = True

    def tell(self, department: str | None, kind: str, about: Matter | Grant | str) -> None:
        if department is not None and not self.faults:
            self.world.notices.append((about, department, kind))

    def tell_others(self, matter: Matter, kind: str, *, but: str | None = None) -> None:
        for department in (matter.requester, matter.provider, matter.coordinator):
            if department not in (self.who.department, but):
                self.tell(department, kind, matter)

    def give(self, matter: Matter, items: Iterable[str]) -> None:
        if not self.faults:
            assert matter.requester is not None
            assert matter.provider is not None
            assert matter.resource is not None
            new = Grant(matter.requester, matter.provider, matter.resource, frozenset(items), matter)
            self.world.grants.append(new)
            matter.grant = new

    def become(self, grant: Grant, state: str) -> None:
        """The grant's new state, and what lapses by it."""
        if self.faults:
            return
        grant.state = state
        if state != "DISPOSED":
            self.world.news.append((grant, state))
        for one in self.world.open():
            if one.grant is grant and one.kind == "SUSPENSION" and state != "SUSPENDED":
                self.record(one, "LAPSE", "RESUMED" if state == "ACTIVE" else "ENDED", None)
            elif one.grant is grant and one.kind == "SERVICE_CHANGE" and state not in RUNNING:
                self.record(one, "LAPSE", "WITHDRAWN", None)

    def spread(self, grant: Grant, about: Matter | None = None) -> None:
        """Both departments are told of the grant's new states; what disposal is owed is opened (O25)."""
        if self.faults:
            return
        for one, state in [news for news in self.world.news if news[0] is grant]:
            owed = self.world.rules == ORDER and grant.state == state and state in ("ENDED", "EXPIRED")
            if owed and not any(m.kind == "DISPOSAL" and m.grant is grant for m in self.world.matters):
                parties = (grant.requester, grant.provider)
                above = overseer(grant.provider, grant.requester) if self.who.department not in parties else None
                self.open(
                    "DISPOSAL",
                    "OPEN",
                    asked=False,
                    main=False,
                    requester=grant.requester,
                    provider=grant.provider,
                    coordinator=above,
                    resource=grant.resource,
                    grant=grant,
                )
            for department in {one.requester, one.provider} - {self.who.department}:
                self.tell(department, _TOLD[state], about or grant)
        self.world.news = [news for news in self.world.news if news[0] is not grant]


def pause(clock: Clock | None, day: date) -> None:
    if clock is not None:
        clock.paused_on = day


def resume(clock: Clock | None, day: date) -> None:
    if clock is not None and clock.paused_on is not None:
        clock.paused += passed(clock.paused_on, day)
        clock.paused_on = None


# --- acts ------------------------------------------------------------------------------------------------------------

Draw = Callable[[Any], Any]
"""Takes a hypothesis strategy, gives a value."""


@dataclass(frozen=True)
class Act:
    """One line of a kind's table: the model's act beside the program's.

    `draw` makes what is given, `suits` for an act that opens (`events` empty) whom it suits: department and role.
    `keyed`: a request of one name opens once. `rare` acts end much and lead nowhere;
    `apt` says whether there is something to open a matter about.
    """

    kind: str
    name: str
    events: tuple[str, ...]
    model: Callable[[Attempt, Any, Given], None]
    run: Callable[..., Any]
    draw: Callable[[Draw, World], Given] = lambda d, world: {}
    suits: Callable[[Draw, World, Given], tuple[str, str]] | None = None
    keyed: bool = True
    rare: bool = False
    apt: Callable[[World], bool] = lambda world: True

    @property
    def opens(self) -> bool:
        return self.suits is not None


@dataclass(frozen=True)
class Command:
    """An act by somebody; `id` and `version` are of the matter, where it is on one."""

    act: Act
    who: Person
    given: Given
    id: str | None = None
    version: int = 0
    key: str | None = None

    def __repr__(self) -> str:
        at = f" on {self.id} v{self.version}" if self.id is not None else ""
        return f"{self.act.kind}.{self.act.name}{at} by {self.who.name} of {self.who.department[-6:]} {self.given}"


@dataclass(frozen=True)
class Foreseen:
    """What may come of a command: one of `allowed` names, where `DONE` stands for the act done; the world after it."""

    allowed: frozenset[str]
    world: World
    main: Matter | None

    @property
    def done(self) -> bool:
        return self.allowed == {DONE}


DONE = "done"
_ANY_DOC: Given = {"items": [], "lacks": None, "reply": None, "before": frozenset[str](), "days": 0}
"""What the model reads of a matter that is not there, to say what is malformed all the same."""


def foresee(world: World, command: Command) -> Foreseen:
    """What the model says of `command`. A fault leaves the world as it is."""
    after = world.copy()
    who = command.who
    if command.act.opens:
        named = (who.department, command.key) if command.key is not None else None
        if named is not None and named in after.keys:
            return Foreseen(frozenset({DONE}), after, after.keys[named])
        attempt = Attempt(after, who)
        command.act.model(attempt, None, command.given)
        if named is not None and not attempt.faults and attempt.main is not None:
            after.keys[named] = attempt.main
    else:
        matter = after.matter(command.id)
        if matter is None or matter.kind != command.act.kind or not matter.readable(who.department):
            stranger = Matter(command.act.kind, world.rules, doc=dict(_ANY_DOC))
            attempt = Attempt(after, who, stranger)
            command.act.model(attempt, stranger, command.given)
            return Foreseen(frozenset({"NotFound"} | ({"InvalidAct"} if attempt.form else set())), world, None)
        attempt = Attempt(after, who, matter)
        version = matter.version
        command.act.model(attempt, matter, command.given)
        if command.version != version:
            return Foreseen(frozenset({"Conflict"} | ({"InvalidAct"} if attempt.form else set())), world, None)
    if attempt.faults:
        return Foreseen(frozenset(attempt.faults), world, None)
    return Foreseen(frozenset({DONE}), after, attempt.main)
