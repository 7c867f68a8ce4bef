"""In charge of the axis of grant states: what the requester holds, who it is, and what the rules say of it.

A state is written in words (`Held`), with the verdict next to it, as a person reads both from docs/authorization.md.
`worlds.py` turns the words into grants and principals.
"""

from dataclasses import dataclass
from enum import StrEnum


class Sight(StrEnum):
    """What a grant state lets be seen of an item that needs a grant."""

    CLEAR = "clear"
    PARTLY = "clear on some rows"
    MASKED = "masked"
    MIXED = "clear on some rows, masked on the others"
    SPENT = "quota used up"
    HIDDEN = "hidden"


@dataclass(frozen=True, slots=True)
class Held:
    """One grant, in words. `lasts`: until later, until now (it has just ended) or without end."""

    basis: str = "CONSULTATION"
    state: str = "ACTIVE"
    begins: str = "before"
    lasts: str = "later"
    purpose: str = "asked"
    usage: str = "READ"
    mask: str = ""
    scope: str = ""
    quota: str = ""
    covers: str = "subject"
    requester: str = "asker"


@dataclass(frozen=True, slots=True)
class State:
    """One value of the axis, and its verdict for an item that is conditional.

    `code` is told where it is hidden; empty: GRANT_REQUIRED, or NOT_SHARED for that class. `applied`: what opens rests
    on an application, which opens nothing that is not shared. `cube`: statistics are published. `whole`: it is the
    resource that is denied.
    """

    name: str
    held: tuple[Held, ...]
    sight: Sight
    code: str = ""
    applied: bool = False
    cube: bool = False
    whole: bool = False
    asker: str = "requester"
    role: bool = False
    purpose: str = "asked"
    scopes: str = ""

    @property
    def masks(self) -> bool:
        """Whether it makes sense only for an item that has a mask."""
        return any(held.mask for held in self.held)


_H, _C = Sight.HIDDEN, Sight.CLEAR
_SUSPENDED = Held(state="SUSPENDED")
_FUTURE = Held(begins="later")
_EXPIRED = Held(state="EXPIRED")
_ENDED = Held(state="ENDED")
_OTHER = Held(purpose="other")
_FIGURES = Held(usage="STATISTICS")
_PART = Held(scope="part")
_MASKED = Held(mask="declared")

STATES: tuple[State, ...] = (
    State("no grant", (), _H),
    # --- what opens
    State("active, by application", (Held(basis="APPLICATION"),), _C, applied=True),
    State("active, by consultation", (Held(),), _C),
    State("active, by coordination", (Held(basis="COORDINATION"),), _C),
    State("active without end", (Held(lasts="for ever"),), _C),
    State("active from this moment on", (Held(begins="now"),), _C),
    State("active for some rows", (_PART,), Sight.PARTLY),
    State("masked", (_MASKED,), Sight.MASKED),
    State("masked, by application", (Held(basis="APPLICATION", mask="declared"),), Sight.MASKED, applied=True),
    State("masked, clear for some rows", (_MASKED, _PART), Sight.MIXED),
    State("masked for some rows", (Held(mask="declared", scope="part"),), Sight.MASKED),
    State("masked and clear", (_MASKED, Held()), _C),
    State("masked, and clear but suspended", (_MASKED, _SUSPENDED), Sight.MASKED),
    State("quota left", (Held(quota="left"),), _C),
    # --- what closes
    State("suspended", (_SUSPENDED,), _H, "GRANT_SUSPENDED"),
    State("not yet valid", (_FUTURE,), _H, "GRANT_NOT_YET_VALID"),
    State("expired", (_EXPIRED,), _H, "GRANT_EXPIRED"),
    State("expired at this moment", (Held(lasts="now"),), _H, "GRANT_EXPIRED"),
    State("ended", (_ENDED,), _H, "GRANT_ENDED"),
    State("disposed", (Held(state="DISPOSED"),), _H, "GRANT_ENDED"),
    State("no purpose given", (Held(),), _H, "PURPOSE_REQUIRED", purpose=""),
    State("for another purpose", (_OTHER,), _H, "PURPOSE_MISMATCH"),
    State("for statistics only", (_FIGURES,), _H, "STATISTICS_ONLY", cube=True),
    State("quota used up", (Held(quota="used up"),), Sight.SPENT, "QUOTA_EXCEEDED"),
    State("quota used up, another grant unbounded", (Held(quota="used up"), Held()), Sight.SPENT, "QUOTA_EXCEEDED"),
    State("a mask that is declared no more", (Held(mask="lost"),), _H),
    State("a scope that cannot be read", (Held(scope="broken"),), _H),
    State("a scope of no row", (Held(scope="none"),), _H),
    # --- what covers something else
    State("relations only", (Held(covers="the other kind"),), _H),
    State("another department's", (Held(requester="other"),), _H),
    State("the role data.own elsewhere", (), _H, role=True),
    # --- which code, when several fit
    State("suspended, and not yet valid", (_FUTURE, _SUSPENDED), _H, "GRANT_SUSPENDED"),
    State("not yet valid, and expired", (_EXPIRED, _FUTURE), _H, "GRANT_NOT_YET_VALID"),
    State("expired, and ended", (_ENDED, _EXPIRED), _H, "GRANT_EXPIRED"),
    State("ended, and no purpose given", (Held(), _ENDED), _H, "GRANT_ENDED", purpose=""),
    State("ended, and for another purpose", (_OTHER, _ENDED), _H, "GRANT_ENDED"),
    State("another purpose, and statistics", (_FIGURES, _OTHER), _H, "PURPOSE_MISMATCH", cube=True),
    State("suspended, and active", (_SUSPENDED, Held()), _C),
    # --- who asks
    State("own data with the role", (), _C, asker="owner", role=True),
    State("own data without the role", (), _H, asker="owner"),
    State("a token of the whole resource", (Held(),), _C, scopes="resource"),
    State("a token that names the item", (Held(),), _C, scopes="items"),
    State("a token of the other items", (Held(),), _H, "SCOPE_EXCEEDED", scopes="other items"),
    State("a token of other resources", (Held(),), _H, "SCOPE_EXCEEDED", whole=True, scopes="other resources"),
)
"""The axis. `other zone` is not here: what stands there has no field to be asked by (test_matrix.py)."""
