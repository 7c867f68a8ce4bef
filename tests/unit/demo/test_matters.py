"""In charge of what waits in the demo's inboxes: opened once, by the law's own rules, some of it late."""

from datetime import UTC, datetime

from demo.matters import APPLICATIONS, CHANGES, open_matters
from demo.publication import publish, read_catalogue
from tanglai.storage.database import PlatformDatabase


async def test_matters_are_opened_once(url: str) -> None:
    await publish(url, read_catalogue())
    now = datetime(2026, 11, 23, 4, tzinfo=UTC)
    for _ in range(2):
        await open_matters(url, now)
    async with await PlatformDatabase.open(url) as database, database.session() as connection:
        found = dict(await connection.fetch("SELECT kind, count(*) FROM matter WHERE NOT closed GROUP BY kind"))
        late = await connection.fetchval("SELECT count(*) FROM deadline WHERE due_on < $1", now.date())
    assert found == {"APPLICATION": len(APPLICATIONS), "OBLIGATION": sum(len(change[2]) for change in CHANGES)}
    assert late == 3
