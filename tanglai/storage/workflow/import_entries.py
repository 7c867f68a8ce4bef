"""In charge of making one draft of a spreadsheet an entry: created, amended, left alone or refused."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import orjson

from tanglai.catalogue.checks_base import Severity
from tanglai.catalogue.documents import resource_to_document
from tanglai.catalogue.guide.merging import merged
from tanglai.catalogue.guide.reading import Draft
from tanglai.catalogue.guide.remarks import OWN_CATALOGUE, Remark
from tanglai.catalogue.workflow.entry import EntryChange, EntryDraft, drafted, entry_draft, require_author
from tanglai.catalogue.workflow.errors import InvalidAct, NotPermitted
from tanglai.catalogue.workflow.machines import MatterKind
from tanglai.catalogue.workflow.parties import competent_department
from tanglai.storage.workflow import entries
from tanglai.storage.workflow.matters import COLUMNS, Matter, matter_of
from tanglai.storage.workflow.work import Work


class Outcome(StrEnum):
    """What became of a resource of the file, in the order of the counts of an import."""

    CREATED = "CREATED"  # a new entry, or a revision of what is published
    AMENDED = "AMENDED"  # the open draft of the resource
    UNCHANGED = "UNCHANGED"
    REFUSED = "REFUSED"


@dataclass(frozen=True, slots=True)
class Put:
    """What became of a draft. `matter` is the number of its entry, `remark` why it was refused."""

    outcome: Outcome
    matter: str | None = None
    remark: Remark | None = None


_OPEN = f"SELECT {COLUMNS} FROM matter m WHERE m.kind = 'ENTRY' AND m.resource = $1 AND NOT m.closed FOR UPDATE"
_SAID = """
SELECT g.digest, g.matter, m.state FROM guide_row g JOIN matter m ON m.id = g.matter
WHERE g.department = $1 AND g.code = $2
"""
_SAY = """
INSERT INTO guide_row (department, code, digest, matter) VALUES ($1, $2, $3, $4)
ON CONFLICT (department, code) DO UPDATE SET digest = excluded.digest, matter = excluded.matter
"""


async def put_entry(work: Work, draft: Draft) -> Put:
    """Makes `draft` an entry of the acting department.

    What the file says is laid over the resource's open draft, else over what is published, else over nothing. A file
    that says of the resource what the department's last one said leaves it alone, whatever was done to the draft since,
    unless that was withdrawn.
    """
    acting, code = work.acting, draft.code
    await entries.hold(work, code)
    row = await work.connection.fetchrow(_OPEN, code)
    entry = matter_of(row) if row is not None else None
    published = acting.snapshot.resources.get(code)
    digest = _digest(draft)
    said = await work.connection.fetchrow(_SAID, acting.department, code)
    if said is not None and said["digest"] == digest and (entry is None or entry.id == said["matter"]):
        if entry is not None:
            return Put(Outcome.UNCHANGED, entry.id)
        if published is not None and said["state"] != "WITHDRAWN":
            return Put(Outcome.UNCHANGED)
    try:
        require_author(acting.department, draft.document, published, acting.snapshot)
        if entry is not None:
            put = await _amend(work, draft, entry)
        else:
            put = await _create(work, draft)
    except NotPermitted as error:
        return _refused(draft, error.message, "该信息资源属于其他部门的目录", OWN_CATALOGUE.id)
    except InvalidAct as error:
        return _refused(draft, error.message, "不符合登记要求", "document")
    if put.matter is not None:
        await work.connection.execute(_SAY, acting.department, code, digest, put.matter)
    return put


async def _amend(work: Work, draft: Draft, entry: Matter) -> Put:
    if entry.provider != work.acting.department:
        return _refused(
            draft, "another department drafts an entry of this code", "其他部门正在起草该代码的条目", OWN_CATALOGUE.id
        )
    before = entry_draft(entry.document)
    if before.change is EntryChange.RETIREMENT:
        message = f"`{entry.id}` retires the resource: withdraw it first"
        return _refused(draft, message, f"`{entry.id}` 正在下线该资源，请先撤回", "duplicate")
    if "AMEND" not in entry.machine.events(entry.rule_set, entry.state):
        message = f"entry `{entry.id}` of the resource is `{entry.state}`: withdraw it first, or wait"
        return _refused(draft, message, f"该资源的条目 `{entry.id}` 正在审核，请先撤回或等待", "duplicate")
    resource = drafted(merged(before.resource, draft.proposal))
    if resource == dict(before.resource):
        return Put(Outcome.UNCHANGED, entry.id)
    document = replace(before, resource=resource).document()
    after = await work.take(entry, "AMEND", document=document, given=_given(draft))
    return Put(Outcome.AMENDED, after.id)


async def _create(work: Work, draft: Draft) -> Put:
    acting = work.acting
    published = acting.snapshot.resources.get(draft.code)
    former = resource_to_document(published, stamped=False) if published is not None else None
    resource = drafted(merged(former, draft.proposal))
    if former is not None and resource == drafted(former):
        return Put(Outcome.UNCHANGED)
    change = EntryChange.NEW if published is None else EntryChange.REVISION
    base = published.version if published is not None else None
    competent = competent_department(acting.snapshot, acting.department)
    entry = await work.open(
        MatterKind.ENTRY,
        "CREATE",
        provider=acting.department,
        coordinator=competent.code if competent is not None else None,
        resource=draft.code,
        document=EntryDraft(change, draft.code, base, resource).document(),
        given=_given(draft),
    )
    return Put(Outcome.CREATED, entry.id)


def _given(draft: Draft) -> dict[str, Any]:
    return {"sheet": draft.proposal.sheet, "row": draft.proposal.row}


def _refused(draft: Draft, message: str, message_zh: str, rule: str) -> Put:
    proposal = draft.proposal
    remark = Remark(proposal.sheet, proposal.row, "", Severity.ERROR, rule, message, message_zh, draft.code)
    return Put(Outcome.REFUSED, None, remark)


def _digest(draft: Draft) -> str:
    """Of what the file says of the resource, whichever row and sheet it stands in."""
    proposal = draft.proposal
    said: Mapping[str, Any] = {
        "document": dict(proposal.document),
        "covered": sorted(proposal.covered),
        "items": sorted(proposal.covered_items),
        "classes": proposal.own_classes,
    }
    return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()
