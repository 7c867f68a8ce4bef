"""In charge of what the parties to a dispute say, and the documents that they attach, as GraphQL types."""

import binascii
import json
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, TypeAlias, TypeVar

import strawberry

from schema.fixed.grants import MaskedItem, Quota
from schema.fixed.registers import Department, department
from schema.fixed.resolved import Info, resolved
from schema.fixed.workflow.matters import history
from tanglai.catalogue.workflow.attachments import MOST_ATTACHMENTS, Attached, Uploaded
from tanglai.catalogue.workflow.errors import InvalidAct, Problem, ProblemCode
from tanglai.catalogue.workflow.parties import Party
from tanglai.storage.workflow import attachments, matters

T = TypeVar("T")


@strawberry.input(description="A document that goes with what is said: sent before, or given here.")
class DocumentInput:
    upload: strawberry.ID | None = strawberry.field(
        default=None, description="What `/documents` answered when it was sent there; then nothing else is given."
    )
    name: str | None = strawberry.field(default=None, description="File name, without a folder.")
    media_type: str | None = strawberry.field(default=None, description="Like `application/pdf`.")
    content: str | None = strawberry.field(
        default=None,
        description="The bytes in base64: of small documents, since variables are bounded; any may be sent before.",
    )


DocumentsArgument: TypeAlias = Annotated[
    list[DocumentInput] | None,
    strawberry.argument(description=f"Documents; at most {MOST_ATTACHMENTS} of each party in one matter."),
]


@strawberry.type(description="A document that a party attached; read by the parties alone.")
class AttachedDocument:
    path: str = strawberry.field(description="Path of the bytes on this platform, for holders of a token.")
    name: str = strawberry.field(description="File name.")
    media_type: str = strawberry.field(description="Media type, as it was given.")
    size: int = strawberry.field(description="Bytes.")
    sha256: str = strawberry.field(description="SHA-256 of the bytes, in hexadecimal digits.")
    _attachment: strawberry.Private[attachments.Attachment]

    @resolved("Of which department.")
    def department(self, info: Info) -> Department | None:
        return department(info, self._attachment.department)

    @resolved("The bytes in base64; a few megabytes in one request.")
    async def content(self, info: Info) -> str:
        context = info.context
        context.carry(self._attachment.size)
        _, content = await attachments.content(context.office, context.principal.department.code, self._attachment.id)
        return b64encode(content).decode("ascii")


@strawberry.type(description="What a party said, with what it attached.")
class StatedPosition:
    event: str = strawberry.field(description="The step that it was said with.")
    party: Party = strawberry.field(description="Which party.")
    by: str = strawberry.field(description="Who: a person, or else a client program.")
    at: datetime = strawberry.field(description="When.")
    text: str = strawberry.field(description="In their words.")
    documents: list[AttachedDocument] = strawberry.field(description="What was attached.")
    _department: strawberry.Private[str | None]

    @resolved("Of which department.")
    def department(self, info: Info) -> Department | None:
        return department(info, self._department)


@strawberry.type(description="What is left of what was asked for: what is null is as asked.")
class ProposedTerms:
    items: list[str] | None = strawberry.field(description="Names of items.")
    relations: list[str] | None = strawberry.field(description="Names of relations.")
    scope: str | None = strawberry.field(description="Rows, as JSON, among those asked for.")
    masks: list[MaskedItem] | None = strawberry.field(description="Items that are shown in part.")
    quota: Quota | None = strawberry.field(description="Amounts per day.")
    valid_from: datetime | None = strawberry.field(description="First moment.")
    valid_to: datetime | None = strawberry.field(description="End.")


def proposed_terms(terms: Mapping[str, Any]) -> ProposedTerms:
    """Terms as they are kept."""
    quota, masks = terms.get("quota"), terms.get("masks")
    return ProposedTerms(
        items=terms.get("items"),
        relations=terms.get("relations"),
        scope=json.dumps(terms["scope"], ensure_ascii=False) if terms.get("scope") is not None else None,
        masks=[MaskedItem(item=item, mask=mask) for item, mask in masks.items()] if masks is not None else None,
        quota=Quota(rows=quota.get("rows"), requests=quota.get("requests"), subjects=quota.get("subjects"))
        if quota is not None
        else None,
        valid_from=_moment(terms.get("validFrom")),
        valid_to=_moment(terms.get("validTo")),
    )


async def positions(info: Info, matter: matters.Matter) -> list[StatedPosition]:
    """Everything that was said in a matter, or attached, the oldest first."""
    desk, context = info.context.office, info.context
    events = await history(info, matter)
    attached = await context.batched(
        "attachments", matter.id, lambda ids: desk.read(lambda connection: attachments.attachments(connection, ids))
    )
    said = []
    for event in events:
        documents = [_document(it) for it in attached if it.version == event.version]
        if event.reason or documents:
            said.append(
                StatedPosition(
                    event=event.event,
                    party=event.party,
                    by=event.person or event.client,
                    at=event.at,
                    text=event.reason,
                    documents=documents,
                    _department=event.department,
                )
            )
    return said


async def with_documents(
    given: Sequence[DocumentInput] | None, act: Callable[[Sequence[Attached | Uploaded]], Awaitable[T]]
) -> T:
    """What `act` makes of the documents. Raises InvalidAct for what is neither sent before nor given whole."""
    read: list[Attached | Uploaded] = []
    problems = []
    for number, it in enumerate(given or ()):
        at, whole = ("documents", str(number)), (it.name, it.media_type, it.content)
        if it.upload is not None and whole == (None, None, None):
            read.append(Uploaded(it.upload))
        elif it.upload is not None or it.name is None or it.media_type is None or it.content is None:
            message = "give `upload`, or else `name`, `mediaType` and `content`"
            problems.append(Problem(at, ProblemCode.MISSING, message))
        else:
            try:
                read.append(Attached(it.name, it.media_type, b64decode(it.content, validate=True)))
            except (binascii.Error, ValueError):
                problems.append(Problem((*at, "content"), ProblemCode.MALFORMED, "not base64"))
    if problems:
        raise InvalidAct(problems)
    return await act(read)


def _document(attachment: attachments.Attachment) -> AttachedDocument:
    return AttachedDocument(
        path=f"/documents/{attachment.id}",
        name=attachment.name,
        media_type=attachment.media_type,
        size=attachment.size,
        sha256=attachment.sha256,
        _attachment=attachment,
    )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text is not None else None
