"""In charge of catalogue entries as GraphQL types: drafts, what stands against them, what they change and break."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, TypeAlias

import strawberry

from schema.fixed.enums import described
from schema.fixed.paging import After, Before, Connection, First, Last, Window
from schema.fixed.resolved import Info, resolved
from schema.fixed.resources import Resource, find_resource
from schema.fixed.versions import VersionDifference, differences
from schema.fixed.workflow.applications import (
    KeyArgument,
    NoteArgument,
    ReasonArgument,
    VersionArgument,
)
from schema.fixed.workflow.impacts import EntryImpact, entry_impact
from schema.fixed.workflow.listings import IdArgument, one_matter
from schema.fixed.workflow.matters import (
    Matter,
    act_result,
    find_matter,
    history,
    matters_page,
    number_of,
    of_kind,
    typed,
)
from schema.fixed.workflow.obligations import Obligation
from schema.fixed.workflow.results import Conflict, FieldProblem, InvalidAct, NotFound, NotPermitted, WrongState
from tanglai.catalogue import model
from tanglai.catalogue.checks import TableStructure
from tanglai.catalogue.errors import ErrorCode, TanglaiError
from tanglai.catalogue.workflow import entry
from tanglai.catalogue.workflow.entry import EntryChange, Examined, entry_draft, parsed
from tanglai.catalogue.workflow.errors import Problem
from tanglai.catalogue.workflow.machines import MatterKind
from tanglai.catalogue.workflow.parties import Party
from tanglai.storage.workflow import entries, impact, matters, reading
from tanglai.storage.workflow.entries import Checks

ENTRY = MatterKind.ENTRY
MOST_EXAMINED = 20
"""Entries that one operation has held to the law, which goes over all of the catalogue for each."""

described(
    EntryChange,
    "What an entry does to the catalogue.",
    {
        "NEW": "A new resource.",
        "REVISION": "The next version of a resource.",
        "RETIREMENT": "Takes a resource out of the catalogue.",
    },
)


@strawberry.input(description="A draft, or what changes in one; what is not given stays.")
class EntryInput:
    document: str | None = strawberry.field(
        default=None,
        description="The entry as JSON, in the form of a catalogue file of kind `resource`; parts may be absent. By "
        "default what is published.",
    )
    patch: str | None = strawberry.field(
        default=None,
        description="A JSON Merge Patch (RFC 7396) over the document: null takes a part out, lists are replaced.",
    )
    based_on: int | None = strawberry.field(
        default=None, description="The published version that it was drafted from; by default that of now."
    )
    note: str | None = strawberry.field(
        default=None, description="What stands beside the version; of a retirement, why (it is told to grantees)."
    )
    obligations: list[strawberry.ID] | None = strawberry.field(
        default=None, description="Ids or numbers of the department's open obligations that it meets."
    )
    together: list[strawberry.ID] | None = strawberry.field(
        default=None,
        description="Ids or numbers of entries that it is published together with or not at all; each names the other.",
    )

    def given(self) -> entries.EntryInput:
        """As acts take it. Raises InvalidAct for what is no JSON object."""
        return entries.EntryInput(
            document=parsed(self.document) if self.document is not None else None,
            patch=parsed(self.patch, "patch") if self.patch is not None else None,
            based_on=self.based_on,
            note=self.note,
            obligations=tuple(map(number_of, self.obligations)) if self.obligations is not None else None,
            together=tuple(map(number_of, self.together)) if self.together is not None else None,
        )


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was found in an entry, and the resources that it would publish with those that go together with it."""

    examined: Examined
    new: dict[str, model.Resource | None] | None


@of_kind(ENTRY)
@strawberry.type(
    description="A catalogue entry under way: a new resource, its next version, or its retirement (Art. 8)."
)
class Entry(Matter):
    @resolved("What it does to the catalogue.")
    def change(self) -> EntryChange:
        return self._draft.change

    @resolved("Code of the resource.")
    def resource_code(self) -> str:
        return self._draft.code

    @resolved("The published version that it was drafted from; null where there was none.")
    def based_on(self) -> int | None:
        return self._draft.base

    @resolved("The draft as JSON, in the form of a catalogue file of kind `resource`; empty for a retirement.")
    def document(self) -> str:
        return json.dumps(dict(self._draft.resource), ensure_ascii=False)

    @resolved("Title of the draft, or of what is published; null while it has none.")
    def title(self, info: Info) -> str | None:
        title = self._draft.resource.get("title")
        if isinstance(title, str):
            return title
        published = info.context.snapshot.resources.get(self._draft.code)
        return published.title if published is not None else None

    @resolved("What stands beside the version.")
    def note(self) -> str:
        return self._draft.note

    @resolved("The obligations that it meets.")
    async def obligations(self, info: Info) -> list[Obligation]:
        ids, mine = self._draft.obligations, info.context.principal.department.code
        found = await info.context.office.read(lambda connection: reading.visible(connection, mine, ids))
        return [typed(Obligation, found[id]) for id in ids if id in found]

    @resolved("Numbers of the entries that it is published together with or not at all.")
    def together(self) -> list[str]:
        return list(self._draft.together)

    @resolved("Everything that stands against its publication, of form and law, at once.")
    async def problems(self, info: Info) -> list[FieldProblem]:
        return [_problem(it) for it in (await self._seen(info)).examined.problems]

    @resolved("What the law's checks remark and publication does not wait for.")
    async def remarks(self, info: Info) -> list[FieldProblem]:
        return [_problem(it) for it in (await self._seen(info)).examined.notices]

    @resolved(
        "How it differs from what is published; of a published entry, from the version before. Null while the draft "
        "cannot be read, and where it was withdrawn."
    )
    async def differences(self, info: Info) -> list[VersionDifference] | None:
        draft, context = self._draft, info.context
        if self.closed:
            return await self._published_differences(info)
        seen = (await self._seen(info)).examined
        if seen.resource is None and draft.change is not EntryChange.RETIREMENT:
            return None
        return differences(context.snapshot.resources.get(draft.code), seen.resource)

    @resolved("What its publication breaks; null while the draft cannot be read, and when the entry is over.")
    async def impact(self, info: Info) -> EntryImpact | None:
        new = (await self._seen(info)).new
        if new is None or self.closed:
            return None
        snapshot = info.context.snapshot
        found = await info.context.office.read(lambda connection: impact.impact(connection, snapshot, new))
        return entry_impact(found)

    @resolved("The published resource of its code; null where none is published.")
    def published(self, info: Info) -> Resource | None:
        return find_resource(info, self._draft.code)

    async def _published_differences(self, info: Info) -> list[VersionDifference] | None:
        draft, context = self._draft, info.context
        found = await history(info, self._matter)
        event = next((it for it in found if it.event == "PUBLISH"), None)
        if event is None:
            return None
        number = event.given.get("version")
        old = await context.version(draft.code, draft.base) if draft.base is not None else None
        new = await context.version(draft.code, number) if number is not None else None
        return differences(old, new)

    @property
    def _draft(self) -> entry.EntryDraft:
        return entry_draft(self._matter.document)

    async def _seen(self, info: Info) -> _Seen:
        if self.closed:
            return _NOTHING
        return await info.context.batched("examined", self._matter.id, _examine(info))


def _problem(problem: Problem) -> FieldProblem:
    return FieldProblem(field=list(problem.field), code=problem.code, message=problem.message, article=problem.article)


def _examine(info: Info) -> Callable[[Sequence[str]], Awaitable[dict[str, _Seen]]]:
    context = info.context

    async def look(ids: Sequence[str]) -> dict[str, _Seen]:
        if len(ids) > MOST_EXAMINED:
            message = f"at most {MOST_EXAMINED} entries are held to the law in one operation"
            raise TanglaiError(ErrorCode.LIMIT_EXCEEDED, message)
        mine = context.principal.department.code
        found = await context.office.read(lambda connection: reading.visible(connection, mine, ids))
        return {id: await _seen(info, found[id]) if id in found else _NOTHING for id in ids}

    return look


_NOTHING = _Seen(Examined(None, ()), None)
"""Of an entry that is over, or has become somebody else's draft since it was read."""


async def _seen(info: Info, matter: matters.Matter) -> _Seen:
    context = info.context
    drafts = await context.office.read(lambda connection: entries.companions(connection, matter))
    told = await entries.look(drafts, context.acting, context.snapshot, await _checks(info, matter, drafts))
    new = {
        draft.code: told[id].resource
        for id, draft in drafts.items()
        if told[id].resource is not None or draft.change is EntryChange.RETIREMENT
    }
    return _Seen(told[matter.id], new if len(new) == len(drafts) else None)


async def _checks(info: Info, matter: matters.Matter, drafts: Mapping[str, entry.EntryDraft]) -> Checks:
    """What the sources that the drafts are bound to say of themselves (Art. 7).

    Only sources of the entry's own department, and those that its resource comes from already: nobody learns of another
    one's columns by guessing at them in a draft.
    """
    context, describe = info.context, info.context.describe
    if describe is None:
        return Checks()
    bound = {draft.resource.get("source") for draft in drafts.values()}
    published = [it for draft in drafts.values() if (it := context.snapshot.resources.get(draft.code)) is not None]
    known = {it.binding.source for it in published}
    known |= {key for key, source in context.snapshot.sources.items() if source.department == matter.provider}
    keys = sorted(key for key in bound if isinstance(key, str) and key in known)

    async def load(wanted: Sequence[str]) -> dict[str, Sequence[TableStructure] | None]:
        told = await describe(wanted)
        return {key: told.get(key) for key in wanted}

    found = {key: await context.batched("structures", key, load) for key in keys}
    return Checks(structures={key: tables for key, tables in found.items() if tables is not None})


async def _told(info: Info, id: str) -> Checks:
    """The checks of an act on the entry `id`, asked of its sources before the act begins."""
    matter = await find_matter(info, ENTRY, id)
    if matter is None or matter.closed:
        return Checks()
    drafts = await info.context.office.read(lambda connection: entries.companions(connection, matter))
    return await _checks(info, matter, drafts)


EntryResult: TypeAlias = Annotated[
    Entry | InvalidAct | NotFound | NotPermitted | WrongState | Conflict,
    strawberry.union("EntryResult", description="The entry after the act, or why it was not done."),
]


@strawberry.type
class EntryQueries:
    entry = one_matter(
        Entry, ENTRY, "A catalogue entry under way, by id or number; null where there is none for this department."
    )

    @resolved("The department's catalogue entries, drafted or submitted to it, by number.")
    async def entries(
        self,
        info: Info,
        side: Annotated[
            Party | None,
            strawberry.argument(description="Only its own (PROVIDER), or only those submitted to it (COORDINATOR)."),
        ] = None,
        states: Annotated[
            list[str] | None, strawberry.argument(description="Only those in one of these states.")
        ] = None,
        resource: Annotated[
            str | None, strawberry.argument(description="Only those of the resource of this code.")
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Entry]:
        return await matters_page(info, Entry, ENTRY, side, states, resource, Window(first, after, last, before))


InputArgument = Annotated[EntryInput, strawberry.argument(description="The draft.")]


@strawberry.type
class EntryMutations:
    @resolved(
        "Drafts a new resource of the department's catalogue, or the next version of the one with `code`. A new one "
        "without a code gets the next number of its category. Role `cataloguer`."
    )
    async def create_entry(
        self,
        info: Info,
        input: InputArgument,
        code: Annotated[
            str | None, strawberry.argument(description="Code of the resource; by default the document's.")
        ] = None,
        key: KeyArgument = None,
    ) -> EntryResult:
        desk, acting = info.context.office, info.context.acting
        return await _done(lambda: entries.create(desk, acting, input.given(), code=code, key=key))

    @resolved("Drafts the retirement of a published resource. Role `cataloguer`.")
    async def retire_resource(
        self,
        info: Info,
        code: Annotated[str, strawberry.argument(description="Code of the resource.")],
        reason: ReasonArgument,
        key: KeyArgument = None,
    ) -> EntryResult:
        desk, acting = info.context.office, info.context.acting
        given = entries.EntryInput(note=reason)
        return await _done(lambda: entries.create(desk, acting, given, code=code, retire=True, key=key))

    @resolved("Changes what a draft says; what the head approved has to be approved again. Role `cataloguer`.")
    async def amend_entry(
        self, info: Info, id: IdArgument, version: VersionArgument, input: InputArgument
    ) -> EntryResult:
        desk, acting = info.context.office, info.context.acting
        return await _done(lambda: entries.amend(desk, acting, number_of(id), version, input.given()))

    @resolved("The department's head approves what somebody else drafted (Order 809 Art. 13). Role `head`.")
    async def approve_entry(
        self, info: Info, id: IdArgument, version: VersionArgument, note: NoteArgument = None
    ) -> EntryResult:
        desk, acting = info.context.office, info.context.acting
        checks = await _told(info, id)
        return await _done(lambda: entries.approve(desk, acting, number_of(id), version, note or "", checks))

    @resolved(
        "Submits an approved entry to the competent department; the obligations that it names are met "
        "(Order 809 Art. 17). Role `cataloguer`."
    )
    async def submit_entry(
        self, info: Info, id: IdArgument, version: VersionArgument, note: NoteArgument = None
    ) -> EntryResult:
        desk, acting = info.context.office, info.context.acting
        checks = await _told(info, id)
        return await _done(lambda: entries.submit(desk, acting, number_of(id), version, note or "", checks))

    @resolved(
        "Publishes it, with those that go together with it. Under `ningxia-measures` the department does, role "
        "`cataloguer` (Art. 8); under `order-809` the competent department, role `coordinator` (Order 809 Art. 17)."
    )
    async def publish_entry(
        self,
        info: Info,
        id: IdArgument,
        version: VersionArgument,
        accept_breaking: Annotated[
            str | None,
            strawberry.argument(description="`impact.mark`: what breaks is known and accepted. Needed where it does."),
        ] = None,
        note: NoteArgument = None,
    ) -> EntryResult:
        desk, acting = info.context.office, info.context.acting
        checks = await _told(info, id)
        return await _done(
            lambda: entries.publish(
                desk,
                acting,
                number_of(id),
                version,
                accept_breaking=accept_breaking,
                note=note or "",
                checks=checks,
            )
        )

    @resolved("Sends a submitted entry back with reasons (Order 809 Art. 17). Role `coordinator`.")
    async def return_entry(
        self, info: Info, id: IdArgument, version: VersionArgument, reason: ReasonArgument
    ) -> EntryResult:
        desk, acting = info.context.office, info.context.acting
        return await _done(lambda: entries.return_(desk, acting, number_of(id), version, reason))

    @resolved("Takes it back. Role `cataloguer`.")
    async def withdraw_entry(
        self, info: Info, id: IdArgument, version: VersionArgument, note: NoteArgument = None
    ) -> EntryResult:
        desk, acting = info.context.office, info.context.acting
        return await _done(lambda: entries.withdraw(desk, acting, number_of(id), version, note or ""))


async def _done(act: Callable[[], Awaitable[matters.Matter]]) -> EntryResult:
    async def done() -> matters.Matter:
        return await act()  # what is given is read within, so that what is no JSON is a typed result too

    return await act_result(Entry, done())
