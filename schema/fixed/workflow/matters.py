"""In charge of what all matters have in common as GraphQL types: parties, state, events, deadlines, next steps."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date, datetime
from functools import partial
from typing import Any, TypeVar

import strawberry
from graphql import OperationType

from authz.words import article_words
from schema.fixed.ids import global_id, read_global_id
from schema.fixed.paging import Connection, Window
from schema.fixed.registers import Department, Node, department
from schema.fixed.resolved import Info, resolved
from schema.fixed.resources import Resource, find_resource
from schema.fixed.stored_pages import Span, stored_connection
from schema.fixed.workflow.results import ActFailure, acted
from schema.fixed.workflow.steps import mutations_of
from tanglai.catalogue.errors import BadInput
from tanglai.catalogue.quotas import day_of
from tanglai.catalogue.rules import DeadlineKind, rule_set
from tanglai.catalogue.workflow.machines import MatterKind
from tanglai.catalogue.workflow.parties import Party, Role
from tanglai.storage.workflow import matters, reading

M = TypeVar("M", bound="Matter")
ROLES = tuple(role.value for role in Role)


@strawberry.type(description="One step of a matter: who, when, why.")
class MatterEvent:
    event: str = strawberry.field(description="The step.")
    before: str = strawberry.field(description="State before; empty where the step opened the matter.")
    after: str = strawberry.field(description="State after.")
    version: int = strawberry.field(description="The matter's version after it.")
    party: Party = strawberry.field(description="As which party it was taken.")
    role: str = strawberry.field(description="In which role.")
    by: str = strawberry.field(description="Who took it: a person, or else a client program.")
    at: datetime = strawberry.field(description="When.")
    reason: str = strawberry.field(description="Why, in the words of whoever took it.")
    _department: strawberry.Private[str | None]
    _given: strawberry.Private[Mapping[str, Any]]

    @resolved("Of which department; null for the platform itself.")
    def department(self, info: Info) -> Department | None:
        return department(info, self._department)

    @resolved("What was given with it, as JSON.")
    def given(self) -> str:
        return json.dumps(self._given, ensure_ascii=False)


@strawberry.type(description="A due date, counted in working days by the rule that it started under.")
class Deadline:
    kind: DeadlineKind = strawberry.field(description="What is due.")
    started_on: date = strawberry.field(description="Day of what started it; it is not counted.")
    working_days: int = strawberry.field(description="Working days that the rule gives, with extensions.")
    due_on: date = strawberry.field(description="Last day, of Asia/Shanghai.")
    provisional: bool = strawberry.field(
        description="Whether the count reaches into a year whose rest days are not announced yet."
    )
    paused: bool = strawberry.field(description="Whether the clock stands.")
    ended_on: date | None = strawberry.field(description="Day on which the clock stopped; null while it runs.")
    met: bool | None = strawberry.field(description="Whether what was due was done; null while the clock runs.")
    overdue: bool = strawberry.field(description="Whether it was missed.")
    rule_set: str = strawberry.field(description="The rule set that it follows, whatever holds now.")
    _department: strawberry.Private[str]

    @resolved("Whose deadline it is.")
    def department(self, info: Info) -> Department | None:
        return department(info, self._department)

    @resolved("The article that it rests on.")
    def article(self) -> str | None:
        rule = rule_set(self.rule_set).deadlines.get(self.kind)
        return rule.article if rule is not None else None

    @resolved("The article in words of the request's language.")
    def article_words(self, info: Info) -> str | None:
        rules = rule_set(self.rule_set)
        rule = rules.deadlines.get(self.kind)
        return article_words(rule.article, rules, info.context.language) if rule is not None else None


@strawberry.type(description="Somebody whom a matter waits for.")
class Awaited:
    party: Party = strawberry.field(description="Which party.")
    role: str = strawberry.field(description="Its people of this role.")
    _department: strawberry.Private[str | None]

    @resolved("The department that is this party.")
    def department(self, info: Info) -> Department | None:
        return department(info, self._department)


@strawberry.interface(description="Something that the law wants done, with its parties, state, steps and deadlines.")
class Matter(Node):
    number: str = strawberry.field(description="Its number, for people.")
    kind: MatterKind = strawberry.field(description="What it is.")
    state: str = strawberry.field(description="Where it stands.")
    version: int = strawberry.field(description="Goes up with each step; mutations name the one they decided on.")
    closed: bool = strawberry.field(description="Whether it is over.")
    opened_at: datetime = strawberry.field(description="When it was opened.")
    changed_at: datetime = strawberry.field(description="When it last changed.")
    rule_set: str = strawberry.field(description="The rule set that it follows, whatever holds now.")
    _matter: strawberry.Private[matters.Matter]

    @resolved("Where it stands, in words of the request's language.")
    def state_words(self, info: Info) -> str:
        state = self._matter.standing
        return state.title if info.context.language == "zh" else state.title_en

    @resolved("The department that wants the data, or has them; null where there is none.")
    def requester(self, info: Info) -> Department | None:
        return department(info, self._matter.requester)

    @resolved("The department whose data or catalogue it is about; null where there is none.")
    def provider(self, info: Info) -> Department | None:
        return department(info, self._matter.provider)

    @resolved("The competent department, where it takes part.")
    def coordinator(self, info: Info) -> Department | None:
        return department(info, self._matter.coordinator)

    @resolved("The resource that it is about; null where there is none, or it is not published.")
    def resource(self, info: Info) -> Resource | None:
        return find_resource(info, self._matter.resource) if self._matter.resource is not None else None

    @resolved("Every step so far, the oldest first.")
    async def events(self, info: Info) -> list[MatterEvent]:
        found = await history(info, self._matter)
        own = info.context.principal.department.code
        return [_event(event, shown=_is_shown(self._matter, event, own)) for event in found]

    @resolved("Its deadlines, the oldest first.")
    async def deadlines(self, info: Info) -> list[Deadline]:
        desk = info.context.office

        async def load(ids: Sequence[str]) -> Mapping[str, list[matters.Deadline]]:
            return await desk.read(partial(matters.deadlines, ids=ids))

        found = await _as_of(info, "deadlines", self._matter, load)
        today = day_of(info.context.now)
        return [_deadline(deadline, today) for deadline in found]

    @resolved("Whom it waits for; nobody when it is over.")
    def waits_for(self) -> list[Awaited]:
        return [
            Awaited(party=waits.party, role=waits.role.value, _department=self._matter.department(waits.party))
            for waits in self._matter.standing.waits
            if self._matter.department(waits.party) is not None
        ]

    @resolved("Steps that the requester of this request may take now, by department, role and what was done before.")
    async def my_steps(self, info: Info) -> list[str]:
        return list(await self._my_steps(info))

    @resolved("Mutations that take these steps; each by `id` and `version`.")
    async def my_mutations(self, info: Info) -> list[str]:
        it = self._matter
        taking = [name for event in await self._my_steps(info) for name in mutations_of(it.kind, event, it.state)]
        return list(dict.fromkeys(taking))

    async def _my_steps(self, info: Info) -> tuple[str, ...]:
        if self.closed:
            return ()
        it = self._matter
        steps = matters.steps_for(it, info.context.acting, await history(info, it))
        return tuple(event for event in steps if mutations_of(it.kind, event, it.state))


async def history(info: Info, matter: matters.Matter) -> list[matters.MatterEvent]:
    """Every step of `matter` up to the version that is shown, in one batch with all that the request asks for."""
    desk = info.context.office

    async def load(ids: Sequence[str]) -> Mapping[str, list[matters.MatterEvent]]:
        return await desk.read(partial(matters.events, ids=ids))

    found = await _as_of(info, "events", matter, load)
    return [event for event in found if event.version <= matter.version]


async def _as_of(info: Info, name: str, matter: matters.Matter, load: Callable[[Sequence[str]], Any]) -> Any:
    """What `load` gives for the matter's id. Read anew for another version: mutations of one request follow."""

    async def loaded(keys: Sequence[str]) -> Mapping[str, Any]:
        ids = {key: key.partition("@")[0] for key in keys}
        found = await load(list(dict.fromkeys(ids.values())))
        return {key: found[id] for key, id in ids.items()}

    return await info.context.batched(name, f"{matter.id}@{matter.version}", loaded)


_WITHIN = {(MatterKind.APPLICATION, "PROPOSE_REPLY"), (MatterKind.APPLICATION, "SEND_BACK")}
"""Steps between two people of one department: what they say is not said to the other side."""


def _is_shown(matter: matters.Matter, event: matters.MatterEvent, department: str) -> bool:
    return (matter.kind, event.event) not in _WITHIN or matter.department(event.party) == department


def _event(event: matters.MatterEvent, *, shown: bool) -> MatterEvent:
    return MatterEvent(
        event=event.event,
        before=event.before,
        after=event.after,
        version=event.version,
        party=event.party,
        role=event.role,
        by=event.person or event.client,
        at=event.at,
        reason=event.reason if shown else "",
        _department=event.department,
        _given=event.given if shown else {},
    )


def _deadline(found: matters.Deadline, today: date) -> Deadline:
    return Deadline(
        kind=DeadlineKind(found.kind),
        started_on=found.started_on,
        working_days=found.days + found.extended_days,
        due_on=found.due_on,
        provisional=found.provisional,
        paused=found.paused_on is not None,
        ended_on=found.ended_on,
        met=found.met,
        overdue=found.overdue(today),
        rule_set=found.rule_set,
        _department=found.department,
    )


_TYPES: dict[MatterKind, type[Matter]] = {}
"""GraphQL type of each kind."""


def of_kind(kind: MatterKind) -> Callable[[type[M]], type[M]]:
    """Decorates the GraphQL type of a kind of matter; its own fields resolve from `_matter`."""

    def decorate(cls: type[M]) -> type[M]:
        _TYPES[kind] = cls
        return cls

    return decorate


def node(matter: matters.Matter) -> Matter:
    """A matter as the GraphQL type of its kind."""
    return typed(_TYPES[matter.kind], matter)


def typed(cls: type[M], matter: matters.Matter) -> M:
    """A matter as `cls`."""
    return cls(
        id=strawberry.ID(global_id(cls.__name__, matter.id)),
        number=matter.id,
        kind=matter.kind,
        state=matter.state,
        version=matter.version,
        closed=matter.closed,
        opened_at=matter.opened_at,
        changed_at=matter.changed_at,
        rule_set=matter.rule_set,
        _matter=matter,
    )


def matter_id(kind: MatterKind, number: str) -> str:
    """The global id of a matter."""
    return global_id(_TYPES[kind].__name__ if kind in _TYPES else "Matter", number)


def number_of(id: str) -> str:
    """The number of a matter that is named by its global id, or by its number."""
    found = read_global_id(id)
    return found[1] if found is not None and found[0] in _names() else id


def _names() -> set[str]:
    return {cls.__name__ for cls in _TYPES.values()}


async def find_matter(info: Info, kind: MatterKind | None, id: str) -> matters.Matter | None:
    """The matter, if the requester's department may read it and a role of its work is held."""
    if not any(role in info.context.principal.roles for role in ROLES):
        return None
    number, department = number_of(id), info.context.principal.department.code
    if not number.isprintable():
        return None

    async def load(numbers: Sequence[str]) -> dict[str, matters.Matter | None]:
        found = await info.context.office.read(lambda connection: reading.visible(connection, department, numbers))
        return {number: found.get(number) for number in numbers}

    # One statement for all that a list leads to; a mutation reads what the one before it has changed.
    if info.operation.operation is OperationType.MUTATION:
        matter = (await load([number]))[number]
    else:
        matter = await info.context.batched("matters", number, load)
    return matter if matter is not None and kind in (None, matter.kind) else None


def is_matter(kind: str) -> bool:
    """Whether a global id with this type name is a matter's."""
    return kind in _names()


async def matter_node(info: Info, kind: str, key: str) -> Matter | None:
    """For `node`: the matter of a global id's type name and key."""
    matter = await find_matter(info, None, key)
    return node(matter) if matter is not None and _TYPES[matter.kind].__name__ == kind else None


def require_role(info: Info) -> None:
    """Nothing, where the token has a role of the law's work. Raises BAD_INPUT."""
    if not any(role in info.context.principal.roles for role in ROLES):
        listed = ", ".join(f"`{role}`" for role in ROLES)
        raise BadInput(f"this takes a role of {listed}")


async def matters_page(
    info: Info,
    cls: type[M],
    kind: MatterKind,
    side: Party | None,
    states: Sequence[str] | None,
    resource: str | None,
    window: Window,
) -> Connection[M]:
    """The department's matters of one kind, by number."""
    require_role(info)
    wanted = reading.MatterFilter(kind, side, tuple(states) if states is not None else None, resource)
    department, desk = info.context.principal.department.code, info.context.office

    async def fetch(span: Span) -> list[matters.Matter]:
        return await desk.read(
            lambda connection: reading.page(
                connection,
                department,
                wanted,
                after=span.after,
                before=span.before,
                limit=span.limit,
                last=span.last,
            )
        )

    async def count() -> int:
        return await desk.read(lambda connection: reading.count(connection, department, wanted))

    return await stored_connection(window, fetch, lambda matter: matter.id, lambda it: typed(cls, it), count)


async def act_result(cls: type[M], act: Awaitable[matters.Matter]) -> M | ActFailure:
    """What an act made of its matter, or the typed result of what kept it from being done."""
    done = await acted(act)
    return typed(cls, done) if isinstance(done, matters.Matter) else done
