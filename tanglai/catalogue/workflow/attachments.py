"""In charge of documents that a party attaches to what it states: their form and bounds."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tanglai.catalogue.workflow.errors import InvalidAct, Problem, ProblemCode

MOST_BYTES = 2 * 1024 * 1024
"""The largest document, in bytes."""
MOST_ATTACHMENTS = 10
"""Documents of one party in one matter. Each party has its own, so that none can keep the other from being heard."""
MOST_UPLOADS = 20
"""Documents of one department that wait to be attached."""
MOST_NAME = 200

_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")


@dataclass(frozen=True, slots=True)
class Attached:
    """One document as it is given: a file name, a media type like `application/pdf`, and its bytes."""

    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Uploaded:
    """A document that was sent before, by the id that it got."""

    id: str


def check_attachments(attached: Sequence[Attached], *, before: int = 0, at: tuple[str, ...] = ("documents",)) -> None:
    """Nothing, where all may be kept besides the `before` that the party has attached already. Raises InvalidAct."""
    problems: list[Problem] = []
    if before + len(attached) > MOST_ATTACHMENTS:
        message = f"a party attaches at most {MOST_ATTACHMENTS} documents to one matter"
        problems.append(Problem(at, ProblemCode.NOT_ALLOWED, message))
    for number, it in enumerate(attached):
        here = (*at, str(number))
        if not it.name.strip() or len(it.name) > MOST_NAME or not it.name.isprintable() or set(it.name) & set("/\\"):
            message = f"a file name of 1 to {MOST_NAME} printable characters, without a folder"
            problems.append(Problem((*here, "name"), ProblemCode.MALFORMED, message))
        if not _MEDIA_TYPE.fullmatch(it.media_type):
            message = "a media type like `application/pdf`, without parameters"
            problems.append(Problem((*here, "mediaType"), ProblemCode.MALFORMED, message))
        if not it.content:
            problems.append(Problem((*here, "content"), ProblemCode.MISSING, "the document is empty"))
        elif len(it.content) > MOST_BYTES:
            message = f"a document has at most {MOST_BYTES:,} bytes, this one has {len(it.content):,}"
            problems.append(Problem((*here, "content"), ProblemCode.NOT_ALLOWED, message))
    if problems:
        raise InvalidAct(problems)
