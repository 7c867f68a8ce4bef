"""In charge of the states of a grant: which event leads from which to which (law.md); the database's trigger agrees."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from tanglai.catalogue.model import GrantState


class GrantEvent(StrEnum):
    SUSPEND = "SUSPEND"  # misuse (Order 809 Art. 25) or a dispute
    RESUME = "RESUME"
    END = "END"
    EXPIRE = "EXPIRE"  # only once `valid_to` is reached
    DISPOSE = "DISPOSE"  # the requester's disposal statement (Order 809 Art. 25)


GRANT_TRANSITIONS: Mapping[tuple[GrantState, GrantState], GrantEvent] = MappingProxyType(
    {
        (GrantState.ACTIVE, GrantState.SUSPENDED): GrantEvent.SUSPEND,
        (GrantState.SUSPENDED, GrantState.ACTIVE): GrantEvent.RESUME,
        (GrantState.ACTIVE, GrantState.ENDED): GrantEvent.END,
        (GrantState.SUSPENDED, GrantState.ENDED): GrantEvent.END,
        (GrantState.ACTIVE, GrantState.EXPIRED): GrantEvent.EXPIRE,
        (GrantState.SUSPENDED, GrantState.EXPIRED): GrantEvent.EXPIRE,
        (GrantState.ENDED, GrantState.DISPOSED): GrantEvent.DISPOSE,
        (GrantState.EXPIRED, GrantState.DISPOSED): GrantEvent.DISPOSE,
    }
)
"""(from, to) -> event. What is not here is impossible."""
