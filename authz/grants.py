"""In charge of one question about one grant: may it be used now, for this purpose, and if not, why."""

from datetime import datetime

from tanglai.catalogue.errors import ErrorCode
from tanglai.catalogue.model import Grant, GrantBasis, GrantState, ShareClass, Usage

PRECEDENCE = (
    ErrorCode.QUOTA_EXCEEDED,
    ErrorCode.GRANT_SUSPENDED,
    ErrorCode.GRANT_NOT_YET_VALID,
    ErrorCode.GRANT_EXPIRED,
    ErrorCode.GRANT_ENDED,
    ErrorCode.PURPOSE_REQUIRED,
    ErrorCode.PURPOSE_MISMATCH,
    ErrorCode.STATISTICS_ONLY,
)
"""Which code is told when several grants cover an item and none is usable (authorization.md, Exact semantics)."""

_STATES = {
    GrantState.SUSPENDED: ErrorCode.GRANT_SUSPENDED,
    GrantState.EXPIRED: ErrorCode.GRANT_EXPIRED,
    GrantState.ENDED: ErrorCode.GRANT_ENDED,
    GrantState.DISPOSED: ErrorCode.GRANT_ENDED,
}


def obstacle(grant: Grant, purpose: str | None, now: datetime) -> ErrorCode | None:
    """Why `grant` cannot be used to read at `now` for `purpose`, or None. Valid in `valid_from <= now < valid_to`."""
    if grant.state is not GrantState.ACTIVE:
        return _STATES[grant.state]
    if now < grant.valid_from:
        return ErrorCode.GRANT_NOT_YET_VALID
    if grant.valid_to is not None and now >= grant.valid_to:
        return ErrorCode.GRANT_EXPIRED
    if purpose is None:
        return ErrorCode.PURPOSE_REQUIRED
    if purpose != grant.purpose:
        return ErrorCode.PURPOSE_MISMATCH
    if grant.usage is Usage.STATISTICS:
        return ErrorCode.STATISTICS_ONLY
    return None


def admits(grant: Grant, share_class: ShareClass) -> bool:
    """Whether the basis of `grant` can open an item of `share_class`.

    A not-shared item is opened by consultation or coordination only (Art. 11(4)).
    """
    return share_class is not ShareClass.NOT_SHARED or grant.basis in (
        GrantBasis.CONSULTATION,
        GrantBasis.COORDINATION,
    )


def next_change(grants: tuple[Grant, ...], now: datetime) -> datetime | None:
    """The earliest moment after `now` at which one of `grants` starts or ends by the clock; None if there is none."""
    moments = [
        moment
        for grant in grants
        if grant.state is GrantState.ACTIVE
        for moment in (grant.valid_from, grant.valid_to)
        if moment is not None and moment > now
    ]
    return min(moments, default=None)
