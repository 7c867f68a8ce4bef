"""In charge of saying no: why, by which article, and how to ask."""

from dataclasses import dataclass
from enum import StrEnum

from tanglai.catalogue.errors import ErrorCode


class RemedyAction(StrEnum):
    APPLY = "APPLY"  # to the provider, Art. 11 paragraph 3
    CONSULT = "CONSULT"  # with the provider, Art. 11 paragraph 4
    COORDINATE = "COORDINATE"  # by the competent department, Art. 11 paragraph 4
    STATE_PURPOSE = "STATE_PURPOSE"
    RENEW = "RENEW"
    CONTACT_PROVIDER = "CONTACT_PROVIDER"
    USE_OTHER_TOKEN = "USE_OTHER_TOKEN"
    USE_OTHER_NODE = "USE_OTHER_NODE"
    SELECT_ONLY = "SELECT_ONLY"


@dataclass(frozen=True, slots=True)
class Remedy:
    """What the requester can do next, machine-readable. `reply_within` counts working days (Art. 11)."""

    action: RemedyAction
    department: str | None = None
    resource: str | None = None
    items: tuple[str, ...] = ()
    relations: tuple[str, ...] = ()
    reply_within: int | None = None


@dataclass(frozen=True, slots=True)
class Denial:
    """A decision against one use of an item, a relation or a resource.

    `reason` and the words of `remedy` are rendered per language by `authz.words`.
    """

    code: ErrorCode
    article: str
    resource: str
    item: str | None
    remedy: Remedy | None
    grants: tuple[str, ...] = ()
