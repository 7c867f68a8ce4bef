"""In charge of catalogue entries: drafted, approved, submitted, and published or retired in one transaction (Art. 8).

Under the Measures a department publishes its own; under Order 809 (Art. 13, 16, 17) its head approves, it is submitted,
and the competent department audits and publishes it or returns it with reasons. An obligation that an entry names is
met by the submission, under the Measures by the publication; it stays met where the entry is returned, which is why an
entry that met one is not withdrawn after that.
"""

import asyncio
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tanglai.catalogue.checks import TableStructure
from tanglai.catalogue.documents import resource_to_document
from tanglai.catalogue.model import Resource, Snapshot
from tanglai.catalogue.quotas import day_of
from tanglai.catalogue.rules import DeadlineKind
from tanglai.catalogue.workflow.entry import (
    MOST_CHARACTERS,
    MOST_NAMED,
    EntryChange,
    EntryDraft,
    Examined,
    code_of,
    completed,
    drafted,
    entry_draft,
    examined,
    merged,
    next_code,
    require_author,
    unchanged,
)
from tanglai.catalogue.workflow.errors import InvalidAct, NotFound, Problem, ProblemCode
from tanglai.catalogue.workflow.machines import MatterKind, machine
from tanglai.catalogue.workflow.parties import Acting, Role, competent_department
from tanglai.catalogue.workflow.versions import Loss
from tanglai.storage import publishing, snapshots
from tanglai.storage.publishing import CatalogueChange
from tanglai.storage.workflow import obligations
from tanglai.storage.workflow.desk import Desk, Lock
from tanglai.storage.workflow.impact import Impact, impact
from tanglai.storage.workflow.matters import UNSENT, Matter, find, visible_to
from tanglai.storage.workflow.work import Work

ENTRY = MatterKind.ENTRY
_NUMBER = re.compile(r"E-[0-9]{4}-[0-9]{6,9}")


@dataclass(frozen=True, slots=True)
class EntryInput:
    """What a cataloguer gives. None: as it was, in a new entry as it follows.

    `document` is a catalogue file of kind `resource`, parts of which may be absent; `patch` is laid over it, or over
    what the draft says (JSON Merge Patch, RFC 7396). `based_on` is the published version that it was drafted from;
    `obligations` and `together` are ids (see EntryDraft).
    """

    document: Mapping[str, Any] | None = None
    patch: Mapping[str, Any] | None = None
    based_on: int | None = None
    note: str | None = None
    obligations: tuple[str, ...] | None = None
    together: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Checks:
    """What the law's checks are told besides the catalogue: see `tanglai.catalogue.checks.check`."""

    reserved: frozenset[str] = frozenset()
    structures: Mapping[str, Sequence[TableStructure]] | None = None


NO_MORE = Checks()


async def create(
    desk: Desk,
    acting: Acting,
    given: EntryInput,
    *,
    code: str | None = None,
    retire: bool = False,
    key: str | None = None,
) -> Matter:
    """A draft: of a new resource, of the next version of the one with `code`, or of its retirement.

    A revision without a document starts from what is published. A new one without a code gets the next number of its
    category. Raises InvalidAct, also where another entry of the resource is open, and NotPermitted.
    """
    snapshot = acting.snapshot
    document = drafted(given.document) if given.document is not None else None
    named = code or (code_of(document) if document is not None else None)
    published = snapshot.resources.get(named) if named is not None else None
    if document is None and given.patch is not None and published is not None:
        document = _as_published(published)
    if document is not None and given.patch is not None:
        document = drafted(merged(document, given.patch))
    async with desk.work(acting) as work:
        earlier = await work.earlier(ENTRY, key)
        if earlier is not None:
            return earlier
        if named is None and document is None:
            raise InvalidAct([Problem(("document",), ProblemCode.MISSING, "neither `document` nor `code` is given")])
        if published is None and (retire or document is None):
            raise InvalidAct([Problem(("code",), ProblemCode.UNKNOWN, f"no published resource `{named}`", "Art. 8")])
        if named is None:
            assert document is not None
            named = await _numbered(work, document)
        if retire:
            document, change = {}, EntryChange.RETIREMENT
        elif published is None:
            assert document is not None
            document, change = completed(document, named, acting.department, snapshot), EntryChange.NEW
        else:
            document = document if document is not None else _as_published(published)
            change = EntryChange.REVISION
        require_author(acting.department, None if retire else document, published, snapshot)
        base = given.based_on if given.based_on is not None else published.version if published is not None else None
        draft = await _with(
            work, EntryDraft(change, named, base, document), replace(given, document=None, patch=None), ""
        )
        await _require_alone(work, named, key)
        return await work.open(
            ENTRY,
            "CREATE",
            provider=acting.department,
            resource=named,
            document=draft.document(),
            key=key,
        )


async def amend(desk: Desk, acting: Acting, id: str, version: int, given: EntryInput) -> Matter:
    """The draft with what is given in place of what it said. What the head approved has to be approved again."""
    async with desk.work(acting) as work:
        matter = await work.matter(ENTRY, id, version)
        draft = await _with(work, entry_draft(matter.document), given, id)
        published = acting.snapshot.resources.get(draft.code)
        if draft.change is EntryChange.NEW and published is not None and draft.base == published.version:
            draft = replace(draft, change=EntryChange.REVISION)
        if draft.change is not EntryChange.RETIREMENT:
            require_author(acting.department, draft.resource, published, acting.snapshot)
        return await work.take(matter, "AMEND", document=draft.document(), reason=draft.note)


async def approve(
    desk: Desk, acting: Acting, id: str, version: int, note: str = "", checks: Checks = NO_MORE
) -> Matter:
    """The department's head approves what somebody else drafted (Order 809 Art. 13). Raises InvalidAct as `submit`."""
    async with desk.work(acting) as work:
        matter = await work.matter(ENTRY, id, version)
        await work.allow(matter, "APPROVE")
        await _lawful(work, await _group(work, matter, published=False), acting.snapshot, checks)
        return await work.take(matter, "APPROVE", reason=note)


async def submit(desk: Desk, acting: Acting, id: str, version: int, note: str = "", checks: Checks = NO_MORE) -> Matter:
    """To the competent department, whose clock starts; the obligations it names are met (Order 809 Art. 17).

    Raises InvalidAct with everything that form and law find wrong.
    """
    async with desk.work(acting) as work:
        matter = await work.matter(ENTRY, id, version)
        await work.allow(matter, "SUBMIT")
        competent = competent_department(acting.snapshot, matter.provider or "")
        if competent is None:
            message = "there is no competent department of this level and area to audit it"
            raise InvalidAct([Problem((), ProblemCode.UNKNOWN, message, "Order 809 Art. 17")])
        await _lawful(work, await _group(work, matter, published=False), acting.snapshot, checks)
        matter = await work.take(matter, "SUBMIT", reason=note, coordinator=competent.code)
        await work.start_deadline(matter, DeadlineKind.AUDIT, competent.code)
        await obligations.meet(work, entry_draft(matter.document).obligations, matter)
        return matter


async def publish(
    desk: Desk,
    acting: Acting,
    id: str,
    version: int,
    *,
    accept_breaking: str | None = None,
    note: str = "",
    checks: Checks = NO_MORE,
) -> Matter:
    """Publishes the entry, and those that it goes together with: entries, versions and epoch change at once.

    `accept_breaking` is the mark of the impact that was shown; it is needed where something breaks. Who holds a grant
    that loses something is told, of a retirement also who has an open application. Raises InvalidAct.
    """
    async with desk.work(acting, Lock.CATALOGUE) as work:
        matter = await work.matter(ENTRY, id, version)
        await work.allow(matter, "PUBLISH")
        snapshot = await snapshots.held(work.connection, acting.snapshot)
        group = await _group(work, matter, published=True)
        told = await _lawful(work, group, snapshot, checks)
        new = {entry_draft(it.document).code: told[it.id].resource for it in group}
        _require_change(group, new, snapshot)
        found = await impact(work.connection, snapshot, new)
        _require_readable(found)
        if not found.harmless and accept_breaking != found.mark:
            raise InvalidAct([_unaccepted(found, accept_breaking)])
        numbers = await _publish(work, group, new, note)
        done = matter
        for it in group:
            competent = competent_department(snapshot, it.provider or "")
            taken = await work.take(
                it,
                "PUBLISH",
                coordinator=competent.code if competent is not None and it.coordinator is None else None,
                target="RETIRED" if new[entry_draft(it.document).code] is None else "PUBLISHED",
                reason=note,
                given={"version": numbers.get(entry_draft(it.document).code), "impact": found.mark},
                brought_about=it.id != id,
            )
            await work.end_deadline(taken, DeadlineKind.AUDIT, met=True)
            await obligations.meet(work, entry_draft(it.document).obligations, taken)
            if it.provider is not None and it.provider != acting.department:
                await work.notify(it.provider, "ENTRY_PUBLISHED", role=Role.CATALOGUER, matter=it.id)
            done = taken if it.id == id else done
        await _tell(work, group, new, found)
        return done


async def return_(desk: Desk, acting: Acting, id: str, version: int, reason: str) -> Matter:
    """The competent department sends it back with its reasons (Order 809 Art. 17)."""
    if not reason.strip():
        message = "an entry is returned with reasons"
        raise InvalidAct([Problem(("reason",), ProblemCode.MISSING, message, "Order 809 Art. 17")])
    async with desk.work(acting) as work:
        matter = await work.matter(ENTRY, id, version)
        matter = await work.take(matter, "RETURN", reason=reason)
        await work.end_deadline(matter, DeadlineKind.AUDIT, met=True)
        assert matter.provider is not None
        await work.notify(
            matter.provider, "ENTRY_RETURNED", role=Role.CATALOGUER, matter=id, document={"reason": reason}
        )
        return matter


async def withdraw(desk: Desk, acting: Acting, id: str, version: int, reason: str = "") -> Matter:
    """The department does not want it any more. Raises InvalidAct where it met an obligation already."""
    async with desk.work(acting) as work:
        matter = await work.matter(ENTRY, id, version)
        met = await work.connection.fetch(_MET_BY, id)
        if met:
            message = f"it met obligation `{met[0]['matter']}`: amend it and submit it again"
            raise InvalidAct([Problem((), ProblemCode.NOT_ALLOWED, message, "Order 809 Art. 17")])
        submitted = matter.state == "SUBMITTED"
        sent = await work.connection.fetchval(_SENT, id)
        document = matter.document if sent else {**matter.document, UNSENT: True}
        matter = await work.take(matter, "WITHDRAW", reason=reason, document=document)
        if submitted and matter.coordinator is not None:
            await work.notify(matter.coordinator, "ENTRY_WITHDRAWN", role=Role.COORDINATOR, matter=id)
        return matter


_SENT = "SELECT EXISTS (SELECT FROM matter_event WHERE matter = $1 AND event = 'SUBMIT')"
_MET_BY = """
SELECT matter FROM matter_event WHERE event = 'MEET' AND document ->> 'entry' = $1 ORDER BY matter LIMIT 1
"""


# --- drafting ---------------------------------------------------------------------------------------------------------


async def _numbered(work: Work, document: Mapping[str, Any]) -> str:
    """The next code of the draft's category, of the published ones, those once published, and open entries."""
    category = document.get("category")
    if not isinstance(category, str) or category not in work.acting.snapshot.categories:
        message = "a new entry has a code, or a category that gives it one"
        raise InvalidAct([Problem(("document", "category"), ProblemCode.MISSING, message, "Guide 2017")])
    await _lock(work, f"category {category}")
    rows = await work.connection.fetch(
        "SELECT code FROM resource WHERE starts_with(code, $1) UNION ALL "
        "SELECT resource FROM matter WHERE kind = 'ENTRY' AND starts_with(resource, $1)",
        f"{category}/",
    )
    return next_code(category, (row["code"] for row in rows))


def _as_published(resource: Resource) -> dict[str, Any]:
    document = resource_to_document(resource, stamped=False)
    document.pop("kind")
    return document


async def _with(work: Work, draft: EntryDraft, given: EntryInput, id: str) -> EntryDraft:
    """The draft with what is given. Raises InvalidAct."""
    problems = []
    if given.note is not None and len(given.note) > MOST_CHARACTERS // 100:
        message = f"longer than {MOST_CHARACTERS // 100:,} characters"
        problems.append(Problem(("note",), ProblemCode.MALFORMED, message))
    for name, ids in (("obligations", given.obligations), ("together", given.together)):
        if ids is not None and len(ids) > MOST_NAMED:
            problems.append(Problem((name,), ProblemCode.MALFORMED, f"more than {MOST_NAMED}"))
    if (given.document is not None or given.patch is not None) and draft.change is EntryChange.RETIREMENT:
        message = "a retirement has no document"
        problems.append(Problem(("document",), ProblemCode.NOT_ALLOWED, message))
    if given.together is not None and id in given.together:
        problems.append(Problem(("together",), ProblemCode.NOT_ALLOWED, "the entry itself"))
    if problems:
        raise InvalidAct(problems)
    if given.obligations:
        await obligations.require_open(work, given.obligations, work.acting.department)
    for place, other in enumerate(given.together or ()):
        found = await find(work.connection, other)
        if found is None or not visible_to(found, work.acting.department):
            known = _NUMBER.fullmatch(other) is not None  # of another department perhaps: that it exists is not told
        else:
            known = found.kind is ENTRY and not found.closed
        if not known:
            raise InvalidAct([Problem(("together", str(place)), ProblemCode.UNKNOWN, f"no open entry `{other}`")])
    resource = given.document if given.document is not None else draft.resource
    if given.patch is not None:
        resource = merged(resource, given.patch)
    return replace(
        draft,
        resource=drafted(resource) if draft.change is not EntryChange.RETIREMENT else draft.resource,
        base=given.based_on if given.based_on is not None else draft.base,
        note=given.note if given.note is not None else draft.note,
        obligations=tuple(dict.fromkeys(given.obligations)) if given.obligations is not None else draft.obligations,
        together=tuple(dict.fromkeys(given.together)) if given.together is not None else draft.together,
    )


async def _require_alone(work: Work, code: str, key: str | None) -> None:
    """Nothing, where no other entry of the resource is open; one that this request opened before does not count."""
    await hold(work, code)
    other = await work.connection.fetchrow(
        "SELECT id, provider FROM matter WHERE resource = $1 AND kind = 'ENTRY' AND NOT closed "
        "AND ($2::text IS NULL OR request_key IS DISTINCT FROM $2)",
        code,
        f"{work.acting.department}/{work.acting.client}/{key}" if key is not None else None,
    )
    if other is not None:
        named = f"`{other['id']}`" if other["provider"] == work.acting.department else "of another department"
        message = f"an entry of resource `{code}` is open already: {named}"
        raise InvalidAct([Problem(("code",), ProblemCode.TAKEN, message)])


async def hold(work: Work, code: str) -> None:
    """Until the act ends, nobody else opens an entry of the resource `code`."""
    await _lock(work, f"entry {code}")


async def _lock(work: Work, name: str) -> None:
    await work.connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 1))", name)


# --- publishing -------------------------------------------------------------------------------------------------------


async def _group(work: Work, matter: Matter, *, published: bool) -> list[Matter]:
    """The entry with those that it is published together with, each of which names it too. Raises InvalidAct.

    With `published` they have to stand where they can be published, and before the same competent department.
    """
    ids = entry_draft(matter.document).together
    group = [matter]
    problems = []
    for id in sorted(ids):
        try:
            # Locked for publication alone: of two that are submitted at once neither waits for the other.
            other = await work.other(id) if published else await find(work.connection, id)
        except NotFound:
            other = None
        if other is None or other.kind is not ENTRY or matter.id not in entry_draft(other.document).together:
            message = f"entry `{id}` does not name `{matter.id}`: both have to"
        elif other.rule_set != matter.rule_set or (published and other.state != matter.state):
            message = f"entry `{id}` does not stand where it can be published together with `{matter.id}`"
        elif published and matter.state == "SUBMITTED" and other.coordinator != matter.coordinator:
            message = f"entry `{id}` is audited by another competent department"
        elif other.closed:
            message = f"entry `{id}` is over"
        else:
            group.append(other)
            continue
        problems.append(Problem(("together",), ProblemCode.NOT_ALLOWED, message))
    if problems:
        raise InvalidAct(problems)
    return group


async def look(
    drafts: Mapping[str, EntryDraft], acting: Acting, snapshot: Snapshot, checks: Checks
) -> dict[str, Examined]:
    """What form and law find in drafts, off the event loop: it goes over all of the catalogue."""
    return await asyncio.to_thread(
        examined,
        drafts,
        snapshot,
        today=day_of(acting.now),
        reserved=checks.reserved,
        structures=checks.structures,
    )


async def _lawful(work: Work, group: Sequence[Matter], snapshot: Snapshot, checks: Checks) -> dict[str, Examined]:
    """What was found in the entries, which stands against none of them. Raises InvalidAct with all that does."""
    told = await look({it.id: entry_draft(it.document) for it in group}, work.acting, snapshot, checks)
    problems = list(told[group[0].id].problems)
    for it in group[1:]:
        problems += [replace(p, field=("together", it.id, *p.field)) for p in told[it.id].problems]
    if problems:
        raise InvalidAct(problems)
    return told


def _require_change(group: Sequence[Matter], new: Mapping[str, Resource | None], snapshot: Snapshot) -> None:
    for it in group:
        code = entry_draft(it.document).code
        resource = new[code]
        if resource is not None and unchanged(resource, snapshot.resources.get(code)):
            message = f"`{it.id}` says what is published already"
            raise InvalidAct([Problem(("document",), ProblemCode.NOT_ALLOWED, message)])


def _require_readable(found: Impact) -> None:
    """A live grant's rows have to be told by the new version too: no acceptance helps."""
    problems = [
        Problem(
            ("document", "items"),
            ProblemCode.NOT_ALLOWED,
            f"the row scope of grant `{it.grant}` names items of `{it.resource}` that would be gone or of another type",
            "Order 809 Art. 27",
        )
        for it in found.grants
        if any(hit.loss is Loss.SCOPE for hit in it.hits)
    ]
    if problems:
        raise InvalidAct(problems)


def _unaccepted(found: Impact, given: str | None) -> Problem:
    field = ("acceptBreaking",)
    if given is None:
        first = found.breaks[0].words if found.breaks else f"grant `{found.grants[0].grant}` loses something"
        message = f"it breaks what is in use: {first}; accept the impact by its mark"
        return Problem(field, ProblemCode.MISSING, message, "Order 809 Art. 27")
    message = "what it breaks has changed since that mark was given: look at the impact again"
    return Problem(field, ProblemCode.NOT_ALLOWED, message)


async def _publish(
    work: Work, group: Sequence[Matter], new: Mapping[str, Resource | None], note: str
) -> dict[str, int]:
    """The new versions' numbers by code. Raises Refused."""
    acting = work.acting
    by = f"{acting.department}/{acting.name}"
    notes = {entry_draft(it.document).code: note or entry_draft(it.document).note for it in group}
    numbers: dict[str, int] = {}
    resources = tuple(resource for _, resource in sorted(new.items()) if resource is not None)
    if resources:
        told = "; ".join(dict.fromkeys(text for it in resources if (text := notes[it.code])))
        report = await publishing.publish(work.connection, CatalogueChange(by=by, note=told, resources=resources))
        numbers |= report.versions
    for code in sorted(code for code, resource in new.items() if resource is None):
        await publishing.retire(work.connection, code, by=by, note=notes[code])
    return numbers


async def _tell(work: Work, group: Sequence[Matter], new: Mapping[str, Resource | None], found: Impact) -> None:
    """Tells the holders of grants that lose something, and of a retirement those with open applications."""
    entries = {entry_draft(it.document).code: it for it in group}
    for hit in found.grants:
        draft = entry_draft(entries[hit.resource].document)
        kind = "RESOURCE_RETIRED" if new[hit.resource] is None else "RESOURCE_CHANGED"
        lost = [{"loss": it.loss.value, "name": it.name} for it in hit.hits]
        await work.notify(
            hit.requester,
            kind,
            grant=hit.grant,
            resource=hit.resource,
            document={"lost": lost, "note": draft.note},
        )
    retired = [code for code, resource in new.items() if resource is None]
    waiting: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in await work.connection.fetch(_APPLICATIONS, retired) if retired else ():
        waiting[row["requester"], row["resource"]].append(row["id"])
    for (requester, code), ids in sorted(waiting.items()):
        document = {"applications": ids, "note": entry_draft(entries[code].document).note}
        await work.notify(
            requester, "RESOURCE_RETIRED", role=Role.APPLICANT, matter=ids[0], resource=code, document=document
        )


_APPLICATIONS = """
SELECT id, requester, resource FROM matter
WHERE resource = ANY($1) AND kind = 'APPLICATION' AND NOT closed ORDER BY id
"""


# --- reading ----------------------------------------------------------------------------------------------------------


async def companions(connection: Any, matter: Matter) -> dict[str, EntryDraft]:
    """The drafts that the entry is published together with, and its own, by id: as far as each names the other."""
    found = {matter.id: entry_draft(matter.document)}
    for id in found[matter.id].together:
        other = await find(connection, id)
        if other is not None and other.kind is ENTRY and not other.closed:
            draft = entry_draft(other.document)
            if matter.id in draft.together:
                found[id] = draft
    return found


def states() -> tuple[str, ...]:
    """The states of an entry, in the order of its table."""
    return tuple(machine(ENTRY).states)
