"""In charge of documents attached to events of a matter: kept as they came, read by the parties alone."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from tanglai.catalogue.workflow.attachments import MOST_UPLOADS, Attached, Uploaded, check_attachments
from tanglai.catalogue.workflow.errors import InvalidAct, NotFound, Problem, ProblemCode
from tanglai.catalogue.workflow.parties import Acting
from tanglai.storage.workflow.desk import Desk
from tanglai.storage.workflow.matters import Matter, find, visible_to
from tanglai.storage.workflow.work import Work

_INSERT = """
INSERT INTO matter_attachment (matter, department, number, version, name, media_type, size, sha256, content)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""
UPLOAD_KEPT = timedelta(days=1)
"""How long what was sent waits to be attached."""
_COLUMNS = "matter, department, number, version, name, media_type, size, sha256"


@dataclass(frozen=True, slots=True)
class Attachment:
    """What is known of a document: `version` is that of the event it came with, `size` in bytes, `sha256` in hex."""

    matter: str
    department: str
    number: int
    version: int
    name: str
    media_type: str
    size: int
    sha256: str

    @property
    def id(self) -> str:
        return f"{self.matter}/{self.department}/{self.number}"


async def attach(work: Work, matter: Matter, given: Sequence[Attached | Uploaded]) -> None:
    """Keeps documents with the last event of `matter`, which the act has just taken. Raises InvalidAct."""
    if not given:
        return
    attached = await _with_uploads(work, given)
    before: int = await work.connection.fetchval(
        "SELECT count(*) FROM matter_attachment WHERE matter = $1 AND department = $2",
        matter.id,
        work.acting.department,
    )
    check_attachments(attached, before=before)
    for number, it in enumerate(attached, start=before + 1):
        await work.connection.execute(
            _INSERT,
            matter.id,
            work.acting.department,
            number,
            matter.version,
            it.name,
            it.media_type,
            len(it.content),
            hashlib.sha256(it.content).hexdigest(),
            it.content,
        )


async def _with_uploads(work: Work, given: Sequence[Attached | Uploaded]) -> list[Attached]:
    """What was sent before in the place of its id; it waits no longer once the act is done."""
    ids = [it.id for it in given if isinstance(it, Uploaded)]
    rows = await work.connection.fetch(
        "DELETE FROM document_upload WHERE id = ANY($1) AND department = $2 AND at >= $3 "
        "RETURNING id, name, media_type, content",
        [id for id in ids if id.isprintable()],
        work.acting.department,
        work.acting.now - UPLOAD_KEPT,
    )
    sent = {row["id"]: Attached(row["name"], row["media_type"], row["content"]) for row in rows}
    unknown = [
        Problem(("documents", str(number), "upload"), ProblemCode.UNKNOWN, f"no document `{it.id}` waits")
        for number, it in enumerate(given)
        if isinstance(it, Uploaded) and it.id not in sent
    ]
    if unknown:
        raise InvalidAct(unknown)
    return [sent[it.id] if isinstance(it, Uploaded) else it for it in given]


async def upload(desk: Desk, acting: Acting, document: Attached) -> str:
    """Keeps a document of the actor's department until it is attached, for UPLOAD_KEPT; its id. Raises InvalidAct."""
    check_attachments([document])
    id = f"U-{secrets.token_urlsafe(16)}"
    async with desk.work(acting) as work:
        await work.connection.execute("DELETE FROM document_upload WHERE at < $1", acting.now - UPLOAD_KEPT)
        # Two uploads of a department count one after the other.
        await work.connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"upload/{acting.department}"
        )
        waiting: int = await work.connection.fetchval(
            "SELECT count(*) FROM document_upload WHERE department = $1", acting.department
        )
        if waiting >= MOST_UPLOADS:
            message = f"{MOST_UPLOADS} documents of the department wait already: attach them first"
            raise InvalidAct([Problem((), ProblemCode.NOT_ALLOWED, message)])
        await work.connection.execute(
            "INSERT INTO document_upload VALUES ($1, $2, $3, $4, $5, $6)",
            id,
            acting.department,
            document.name,
            document.media_type,
            document.content,
            acting.now,
        )
    return id


async def attachments(connection: Any, ids: Sequence[str]) -> dict[str, list[Attachment]]:
    """The documents of each of the matters `ids`, without their contents, the oldest first."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM matter_attachment WHERE matter = ANY($1) ORDER BY matter, version, department, number",
        ids,
    )
    found: dict[str, list[Attachment]] = {id: [] for id in ids}
    for row in rows:
        found[row["matter"]].append(Attachment(*row))
    return found


async def content(desk: Desk, department: str, id: str) -> tuple[Attachment, bytes]:
    """The document `id` with its bytes, for `department`. Raises NotFound, also for those of others' matters."""
    matter, _, rest = id.partition("/")
    owner, _, number = rest.partition("/")

    async def read(connection: Any) -> tuple[Attachment, bytes] | None:
        if not id.isprintable() or not number.isdecimal() or len(number) > 2:
            return None
        held = await find(connection, matter)
        if held is None or not visible_to(held, department):
            return None
        row = await connection.fetchrow(
            f"SELECT {_COLUMNS}, content FROM matter_attachment WHERE matter = $1 AND department = $2 AND number = $3",
            matter,
            owner,
            int(number),
        )
        return (Attachment(*tuple(row)[:-1]), row["content"]) if row is not None else None

    found = await desk.read(read)
    if found is None:
        raise NotFound("document", id)
    return found
