"""In charge of what time does to grants: validities that run out, and being told of that in time (jobs of the node)."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from tanglai.catalogue.quotas import day_of
from tanglai.catalogue.workflow.grant_life import expiry_reminders
from tanglai.catalogue.workflow.parties import Acting, Role
from tanglai.storage.workflow.desk import Desk, Lock
from tanglai.storage.workflow.grant_news import BATCH, tell
from tanglai.storage.workflow.work import PLATFORM, Work

_DUE = "SELECT EXISTS (SELECT FROM data_grant WHERE state IN ('ACTIVE', 'SUSPENDED') AND valid_to <= clock_timestamp())"
_NEWS = "SELECT EXISTS (SELECT FROM grant_news)"
_SAY = "SELECT set_config('tanglai.by', $1, true), set_config('tanglai.reason', $2, true)"
# What suspensions and service changes there are of them lapse by the database's trigger.
_EXPIRE = """
UPDATE data_grant SET state = 'EXPIRED' WHERE id IN (
    SELECT id FROM data_grant WHERE state IN ('ACTIVE', 'SUSPENDED') AND valid_to <= clock_timestamp()
    ORDER BY valid_to, id LIMIT $1)
"""
_ENDING = """
SELECT g.id, g.requester, g.resource, g.valid_to,
       coalesce(array_agg(r.days) FILTER (WHERE r.days IS NOT NULL), '{}') AS reminded
FROM data_grant g LEFT JOIN grant_reminder r ON r.grant_id = g.id AND r.valid_to = g.valid_to
WHERE g.state IN ('ACTIVE', 'SUSPENDED') AND g.valid_to > $1 AND g.valid_to < $2
GROUP BY g.id ORDER BY g.valid_to, g.id
"""
_REMIND = """
INSERT INTO grant_reminder (grant_id, valid_to, days, at) SELECT $1, $2, unnest($3::integer[]), $4
ON CONFLICT DO NOTHING RETURNING days
"""
_RENEWALS = """
SELECT document ->> 'renews' AS renews, max(id) AS id FROM matter
WHERE kind = 'APPLICATION' AND requester = ANY($2) AND document ->> 'renews' = ANY($1)
  AND state NOT IN ('REFUSED', 'WITHDRAWN')
GROUP BY 1
"""


async def expire_due(desk: Desk, acting: Acting, *, batch: int = BATCH) -> int:
    """Takes every grant whose validity is over to EXPIRED, and tells whoever is not told yet of any grant's change.

    Both departments get a notice, and what disposal is owed is opened. `acting` is the platform. In transactions of at
    most `batch` grants; at once on two nodes they wait for each other, and each grant is told of once. How many grants
    expired here.
    """
    count = 0
    while await desk.read(lambda connection: connection.fetchval(_DUE)):
        async with desk.work(acting, Lock.GRANTS) as work:
            await work.connection.execute(_SAY, PLATFORM, "the end of its validity is reached")
            done = await work.connection.execute(_EXPIRE, batch)
            count += int(done.split()[-1])
    while await desk.read(lambda connection: connection.fetchval(_NEWS)):
        async with desk.work(acting, Lock.GRANTS) as work:
            if not await tell(work, limit=batch):
                break  # another node is telling the rest
    return count


async def remind_expiry(desk: Desk, acting: Acting) -> int:
    """Reminds requesters of grants that end soon, once at each of `expiry_reminders`; how many reminders were sent.

    A notice GRANT_EXPIRES holds the working days left, `renews`, the id that an application names to renew the grant,
    and such an application where there is one.
    """
    points = expiry_reminders()
    async with desk.work(acting) as work:
        far = work.calendar.due(work.today, points[0]).day
        until = datetime.combine(far, datetime.min.time(), acting.now.tzinfo) + timedelta(days=2)
        due: list[tuple[Any, int, list[int]]] = []
        for row in await work.connection.fetch(_ENDING, acting.now, until):
            left = work.calendar.elapsed(work.today, day_of(row["valid_to"]))
            reached = [days for days in points if left <= days]
            if reached and not set(row["reminded"]) & {min(reached)}:
                due.append((row, left, reached))
        ids, requesters = [row["id"] for row, _, _ in due], list({row["requester"] for row, _, _ in due})
        rows = await work.connection.fetch(_RENEWALS, ids, requesters) if due else []
        renewals = {row["renews"]: row["id"] for row in rows}
        return sum([await _remind(work, *found, renewals) for found in due])


async def _remind(work: Work, row: Any, left: int, reached: list[int], renewals: Mapping[str, str]) -> int:
    # A point that was passed unseen, as by a short grant, is not told of afterwards.
    sent = await work.connection.fetch(_REMIND, row["id"], row["valid_to"], reached, work.acting.now)
    if min(reached) not in {found["days"] for found in sent}:
        return 0
    document = {"validTo": row["valid_to"].isoformat(), "workingDaysLeft": left, "renews": row["id"]}
    if row["id"] in renewals:
        document["application"] = renewals[row["id"]]
    await work.notify(
        row["requester"],
        "GRANT_EXPIRES",
        role=Role.APPLICANT,
        grant=row["id"],
        resource=row["resource"],
        document=document,
    )
    return 1
