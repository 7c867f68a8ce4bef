"""In charge of the cases: what is asked, over how many connections, and which bars hold."""

from collections.abc import Mapping
from dataclasses import dataclass

CONNECTIONS = 64

MASK_PREFIX, MASK_SUFFIX = 3, 4
"""`scoped_100`: of a phone the first and last characters, a star for each between; one no longer than that is stars."""

AGGREGATE_SINCE = ("1990-01-01T00:00:00Z", "1990-02-01T00:00:00Z")
"""Draws of `aggregate` begin between these; rows were registered from 1990 to 2024, one each 18 minutes."""


@dataclass(frozen=True, slots=True)
class Case:
    """`bars`: by the name of another subject the least ratio to it, in requests per second, of `subject`.

    Rounds last `stretch` times as long as those of other cases.
    """

    name: str
    count: int
    bars: Mapping[str, float]
    subject: str = "ours"
    connections: int = CONNECTIONS
    stretch: float = 1.0


CASES: Mapping[str, Case] = {
    case.name: case
    for case in (
        Case("list_1", 1, {"raw": 0.5, "strawberry": 2.0, "postgraphile": 0.7}),
        Case("list_100", 100, {"raw": 0.7, "strawberry": 8.0, "postgraphile": 1.4}),
        Case("list_1000", 1_000, {"raw": 0.8, "strawberry": 15.0, "postgraphile": 1.5}),
        Case("join_100", 100, {"raw": 0.65, "strawberry": 8.0, "postgraphile": 1.2}),
        # The database is busy with one request for most of a second: more connections would only wait.
        Case("aggregate", 0, {"raw": 0.9}, connections=4, stretch=4.0),
        Case("scoped_100", 100, {"raw": 0.9, "open": 0.9}),
        Case("grants_100k", 100, {"ours": 0.9}, subject="many_grants"),
    )
}
"""By name. `open` is a node like `ours` that is asked for an open resource: the client filters, nothing is masked.
`many_grants` is a node like `ours` whose platform database holds 100,000 grants of 500 departments."""
