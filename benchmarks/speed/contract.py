"""In charge of what the runner and its subjects agree on: draws, calls, subjects."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

POOL = 8
"""Connections that a subject opens to each database at most: the default of Tanglai's PostgreSQL connector."""

RESIDENT_FIELDS = (
    "idNumber",
    "name",
    "sex",
    "birthDate",
    "division",
    "address",
    "phone",
    "householdNumber",
    "registeredAt",
    "income",
)
"""What every list asks of a resident. Columns have the same names in snake case."""

VEHICLE_FIELDS = ("plate", "brand", "model", "kind", "registeredOn")
"""What `join_100` asks of a vehicle, beside."""


@dataclass(frozen=True, slots=True)
class Draw:
    """The variables of one request of `case`.

    - lists, join_100, scoped_100, grants_100k: the first `count` residents with `idNumber >= start`, ordered by
      `idNumber`; `join_100`: each with its vehicles, ordered by `plate`.
    - scoped_100: of those only the ones whose `division` begins with `area` (four digits: a city), and `phone` masked
      (see `cases.MASK_PREFIX`).
    - aggregate: residents with `registeredAt >= since` (a moment before which nearly nobody was registered), grouped by
      `division` and `sex`, ordered by both, each with the number of rows and the sum and maximum of `income`.

    `token` is the bearer token of a client of `department`; subjects without authorization ignore both.
    """

    case: str
    count: int
    start: str
    since: str
    area: str
    department: str
    token: str


@dataclass(frozen=True, slots=True)
class Call:
    """A POST of `body` (JSON) to `path`."""

    path: str
    body: str
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})


@dataclass(frozen=True, slots=True)
class Subject:
    """A server that takes part.

    - `command(port)`: the process; it listens on 127.0.0.1:`port` and works until SIGTERM.
    - `call(draw)`: the request that asks for a draw.
    - `rows(case, answer)`: of a parsed answer the rows, in order, as `answers` compares them: objects with
      RESIDENT_FIELDS, for `join_100` also `vehicles`, a list of objects with VEHICLE_FIELDS; for `aggregate` objects
      with `division`, `sex`, `count`, `sum`, `max`. Raises for an answer that is an error. Numbers may be texts, and
      moments in any form of ISO 8601 with an offset.
    - `unavailable()`: why it cannot run on this machine, None when it can. May install what it needs.
    - `environment`: variables beside those of the contract.
    """

    name: str
    cases: frozenset[str]
    command: Callable[[int], Sequence[str]]
    call: Callable[[Draw], Call]
    rows: Callable[[str, Any], list[dict[str, Any]]]
    unavailable: Callable[[], str | None] = lambda: None
    environment: Mapping[str, str] = field(default_factory=dict)


def graphql_call(query: str, variables: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Call:
    """A POST to /graphql, written without spaces, as clients do."""
    body = json.dumps({"query": query, "variables": variables}, ensure_ascii=False, separators=(",", ":"))
    return Call("/graphql", body, {"Content-Type": "application/json", **(headers or {})})
