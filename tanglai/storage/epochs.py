"""In charge of the epochs: the numbers by which a replica knows whether what it holds is still what holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

CHANNEL = "tanglai_epoch"
"""NOTIFY channel of both epochs; the payload is `catalogue` or `grants`."""

LOCK_CATALOGUE = "SELECT value FROM epoch WHERE name = 'catalogue' FOR UPDATE"
"""INVARIANT: the first statement of whoever changes the catalogue; publications come one after the other."""

SHARE_CATALOGUE = "SELECT value FROM epoch WHERE name = 'catalogue' FOR SHARE"
"""First statement of whoever needs the catalogue to stay as it is until its own transaction ends."""

LOCK_GRANTS = "SELECT value FROM epoch WHERE name = 'grants' FOR UPDATE"
"""INVARIANT: taken before any row of a grant, after a lock on the catalogue."""

GRANTS = "SELECT value FROM epoch WHERE name = 'grants'"
CATALOGUE = "SELECT value FROM epoch WHERE name = 'catalogue'"

_CONFIRM = """
SELECT (SELECT value FROM epoch WHERE name = 'catalogue') AS catalogue,
       (SELECT value FROM epoch WHERE name = 'grants') AS grants,
       clock_timestamp() AS now,
       coalesce((SELECT array_agg(department) FROM department_epoch WHERE value > $1), '{}') AS departments,
       coalesce((SELECT array_agg(value) FROM department_epoch WHERE value > $1), '{}') AS numbers
"""
_NOTHING_SINCE = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Epochs:
    """What one statement saw. `changed`: departments whose grants changed since the asked epoch -> epoch of the change.

    `now` is the database's clock, aware.
    """

    catalogue: int
    grants: int
    changed: Mapping[str, int]
    now: datetime


async def confirm(connection: Any, since: int | None) -> Epochs:
    """The epochs as committed now, in one statement. `since` None: `changed` is empty."""
    row = await connection.fetchrow(_CONFIRM, _NOTHING_SINCE if since is None else since)
    return Epochs(
        row["catalogue"], row["grants"], dict(zip(row["departments"], row["numbers"], strict=True)), row["now"]
    )
