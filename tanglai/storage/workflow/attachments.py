"""In charge of documents attached to events of a matter: kept as they came, read by the parties alone."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tanglai.catalogue.workflow.attachments import Attached, check_attachments
from tanglai.catalogue.workflow.errors import NotFound
from tanglai.storage.workflow.desk import Desk
from tanglai.storage.workflow.matters import Matter, find, visible_to
from tanglai.storage.workflow.work import Work

_INSERT = """
INSERT INTO matter_attachment (matter, department, number, version, name, media_type, size, sha256, content)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""
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


async def attach(work: Work, matter: Matter, attached: Sequence[Attached]) -> None:
    """Keeps documents with the last event of `matter`, which the act has just taken. Raises InvalidAct."""
    if not attached:
        return
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
