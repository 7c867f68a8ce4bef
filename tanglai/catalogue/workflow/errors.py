"""In charge of what may go wrong in the law's work: results of an act, typed, with codes, fields and articles."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from tanglai.catalogue.workflow.parties import Role


class ProblemCode(StrEnum):
    """What is wrong with one field of what was given; docs/errors.md has one heading for each."""

    MISSING = "MISSING"  # the law wants it
    MALFORMED = "MALFORMED"  # not of its form
    UNKNOWN = "UNKNOWN"  # names nothing
    NOT_ALLOWED = "NOT_ALLOWED"  # exists, and may not stand here
    TOO_WIDE = "TOO_WIDE"  # more than was asked for or is published
    TOO_LATE = "TOO_LATE"  # a time that is over, or beyond what the rule allows
    TAKEN = "TAKEN"  # something open does this already


@dataclass(frozen=True, slots=True)
class Problem:
    """`field` is the path in the input, in GraphQL names; `article` that of the rule behind it, if there is one."""

    field: tuple[str, ...]
    code: ProblemCode
    message: str
    article: str | None = None


class WorkflowError(Exception):
    """An act that is not done; nothing has changed."""

    def __init__(self, message: str, *, article: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.article = article


class InvalidAct(WorkflowError):
    """What was given is incomplete or against a rule: all of it, told at once."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        first = self.problems[0]
        more = f" (and {len(self.problems) - 1} more)" if len(self.problems) > 1 else ""
        super().__init__(f"{first.message}{more}", article=first.article)


class NotFound(WorkflowError):
    """There is no such thing, or it is none of the department's business: the two look the same."""

    def __init__(self, what: str, id: str) -> None:
        super().__init__(f"no {what} `{id}`")
        self.id = id


class NotPermitted(WorkflowError):
    """The department is not the one, or the token lacks the role, or duties must be kept apart."""

    def __init__(
        self, message: str, *, roles: Iterable[Role] = (), article: str | None = None, own_act: bool = False
    ) -> None:
        super().__init__(message, article=article)
        self.roles = tuple(roles)
        self.own_act = own_act


class WrongState(WorkflowError):
    """The matter has no such step where it stands; `events` are those that it has, for whoever may take them."""

    def __init__(self, message: str, *, state: str, events: Iterable[str] = (), article: str | None = None) -> None:
        super().__init__(message, article=article)
        self.state = state
        self.events = tuple(events)


class Conflict(WorkflowError):
    """Somebody else changed it meanwhile; read it again and decide anew."""

    def __init__(self, id: str, *, given: int, version: int, changed_by: str, changed_at: datetime) -> None:
        super().__init__(f"`{id}` is at version {version}, not {given}: it was changed by `{changed_by}`")
        self.id = id
        self.version = version
        self.changed_by = changed_by
        self.changed_at = changed_at
