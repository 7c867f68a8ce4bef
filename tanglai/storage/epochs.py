"""In charge of what a confirmation asks: the epochs, by which a replica knows whether what it holds still holds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tanglai.catalogue.model import Zone

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

RULE_SETS = """
SELECT DISTINCT ON (zone) zone, rule_set, from_at FROM rule_set_period WHERE from_at <= clock_timestamp()
ORDER BY zone, from_at DESC, id DESC
"""
"""The period that holds now in each zone that has one; of two from one moment the later recorded."""

_CONFIRM = f"""
SELECT (SELECT value FROM epoch WHERE name = 'catalogue') AS catalogue,
       (SELECT value FROM epoch WHERE name = 'grants') AS grants,
       clock_timestamp() AS now,
       coalesce((SELECT array_agg(department) FROM department_epoch WHERE value > $1), '{{}}') AS departments,
       coalesce((SELECT array_agg(value) FROM department_epoch WHERE value > $1), '{{}}') AS numbers,
       (SELECT array_agg(ARRAY[zone, rule_set]) FROM ({RULE_SETS}) period) AS rule_sets
"""
_NOTHING_SINCE = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Epochs:
    """What one statement saw. `changed`: departments whose grants changed since the asked epoch -> epoch of the change.

    `now` is the database's clock, aware. `rule_sets`: the rule set that is in force by that clock, for each zone where
    one was recorded.
    """

    catalogue: int
    grants: int
    changed: Mapping[str, int]
    now: datetime
    rule_sets: Mapping[Zone, str] = field(default_factory=dict)


async def confirm(connection: Any, since: int | None) -> Epochs:
    """The epochs as committed now, in one statement. `since` None: `changed` is empty."""
    row = await connection.fetchrow(_CONFIRM, _NOTHING_SINCE if since is None else since)
    return Epochs(
        row["catalogue"],
        row["grants"],
        dict(zip(row["departments"], row["numbers"], strict=True)),
        row["now"],
        {Zone(zone): name for zone, name in row["rule_sets"] or ()},
    )
