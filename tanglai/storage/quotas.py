"""In charge of quotas as rows: what of a grant is taken per day, and whom the day's answers were about."""

from collections.abc import Collection, Sequence
from datetime import date
from typing import Any

from tanglai.catalogue.model import Quota
from tanglai.catalogue.quotas import Counts

_UNBOUNDED = 2**63 - 1
_SECONDS = 5.0  # a request waits for it

# INVARIANT: one statement decides and takes, on the row as committed last; whoever comes at the same time waits for it.
# What a bound no longer allows stays taken, and hinders only takings that add to it. Where there is plainly not enough
# nothing is locked or written, so that asking in vain is cheap.
_TAKE = """
INSERT INTO quota_use AS held (grant_id, day, rows, requests, subjects)
SELECT $1, $2, $3::bigint, $4::bigint, $5::bigint
WHERE $3 <= $6::bigint AND $4 <= $7::bigint AND $5 <= $8::bigint
  AND NOT EXISTS (
      SELECT FROM quota_use WHERE grant_id = $1 AND day = $2
      AND ($3 > 0 AND rows + $3 > $6 OR $4 > 0 AND requests + $4 > $7 OR $5 > 0 AND subjects + $5 > $8)
  )
ON CONFLICT (grant_id, day) DO UPDATE
SET rows = held.rows + excluded.rows, requests = held.requests + excluded.requests,
    subjects = held.subjects + excluded.subjects
WHERE (excluded.rows = 0 OR held.rows + excluded.rows <= $6)
  AND (excluded.requests = 0 OR held.requests + excluded.requests <= $7)
  AND (excluded.subjects = 0 OR held.subjects + excluded.subjects <= $8)
RETURNING rows, requests, subjects
"""


async def take(connection: Any, grant: str, day: date, wanted: Counts, quota: Quota) -> Counts | None:
    """What is taken of `grant` on `day` with `wanted`; None where `quota` does not cover that, and nothing is taken."""
    row = await connection.fetchrow(
        _TAKE,
        grant,
        day,
        wanted.rows,
        wanted.requests,
        wanted.subjects,
        _UNBOUNDED if quota.rows is None else quota.rows,
        _UNBOUNDED if quota.requests is None else quota.requests,
        _UNBOUNDED if quota.subjects is None else quota.subjects,
        timeout=_SECONDS,
    )
    return None if row is None else Counts(row["rows"], row["requests"], row["subjects"])


# Rows are locked in one order, so that two that give back do not wait for each other.
_GIVE_BACK = """
WITH given AS (
    SELECT * FROM unnest($1::text[], $2::date[], $3::bigint[], $4::bigint[], $5::bigint[])
        AS given (grant_id, day, rows, requests, subjects)
), locked AS (
    SELECT held.grant_id, held.day FROM quota_use held JOIN given USING (grant_id, day)
    ORDER BY held.grant_id, held.day FOR UPDATE OF held
)
UPDATE quota_use held
SET rows = held.rows - given.rows, requests = held.requests - given.requests, subjects = held.subjects - given.subjects
FROM given JOIN locked USING (grant_id, day)
WHERE held.grant_id = given.grant_id AND held.day = given.day
"""


async def give_back(connection: Any, returns: Sequence[tuple[str, date, Counts]]) -> None:
    """Give back what was taken and not used: grant, day, counts; a grant's day at most once.

    INVARIANT: of a statement whose end nobody knows, nothing is sent again; what is lost counts as used.
    """
    await connection.execute(
        _GIVE_BACK,
        [grant for grant, _, _ in returns],
        [day for _, day, _ in returns],
        [counts.rows for _, _, counts in returns],
        [counts.requests for _, _, counts in returns],
        [counts.subjects for _, _, counts in returns],
    )


_COUNT = """
WITH fresh AS (
    INSERT INTO quota_subject (grant_id, day, subject) SELECT $1, $2, unnest($3::bytea[])
    ON CONFLICT DO NOTHING RETURNING 1
)
SELECT count(*) FROM fresh
"""


async def count_subjects(connection: Any, grant: str, day: date, subjects: Collection[bytes]) -> int:
    """How many of `subjects`, distinct keyed hashes, the answers of `day` under `grant` were not about before."""
    new: int = await connection.fetchval(_COUNT, grant, day, sorted(subjects))
    return new


async def used(connection: Any, grants: Sequence[str], day: date) -> dict[str, Counts]:
    """What is taken of `grants` on `day`, those left out of which nothing is."""
    rows = await connection.fetch(
        "SELECT grant_id, rows, requests, subjects FROM quota_use WHERE grant_id = ANY($1) AND day = $2",
        list(grants),
        day,
    )
    return {row["grant_id"]: Counts(row["rows"], row["requests"], row["subjects"]) for row in rows}


KEY_NAME = "quota/"
"""The key of a day is named `quota/2026-05-06`."""

_FORGET = """
WITH today AS (SELECT (clock_timestamp() AT TIME ZONE interval '8 hours')::date AS day),
     keys AS (
         DELETE FROM key_store USING today
         WHERE starts_with(name, $1) AND name COLLATE "C" < $1 || to_char(today.day, 'YYYY-MM-DD') RETURNING 1
     ),
     subjects AS (DELETE FROM quota_subject USING today WHERE quota_subject.day < today.day RETURNING 1)
SELECT count(*) FROM subjects
"""


async def forget(connection: Any) -> int:
    """Delete the subjects of former days and the keys they were hashed with; how many subjects."""
    forgotten: int = await connection.fetchval(_FORGET, KEY_NAME)
    return forgotten
