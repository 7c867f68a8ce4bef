"""The end of grants: expiry told once, reminders before it, disposal statements owed or of one's own accord."""

import asyncio
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from tanglai.catalogue.model import GrantState
from tanglai.catalogue.workflow.errors import NotFound, NotPermitted, ProblemCode, WrongState
from tanglai.catalogue.workflow.grant_life import ServiceChangeKind, SuspensionReason
from tanglai.catalogue.workflow.parties import Acting, by_platform
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.errors import Refused
from tanglai.storage.workflow import applications, disposals, grant_endings, service_changes, suspensions
from tanglai.storage.workflow.desk import Desk
from tanglai.storage.workflow.matters import Matter
from tests import granted as those
from tests.granted import RULE_SETS, granted, notices, of_kind, over_soon, problems, rows, state, tasks
from tests.office import CITY_POLICE, HEALTH, POLICE, Office
from tests.unit.storage.sample import blocked

EXPIRED, DISPOSED = GrantState.EXPIRED, GrantState.DISPOSED
STATEMENT: dict[str, Any] = {
    "method": "tables dropped, backups overwritten",
    "disposedOn": date(2026, 9, 18),
    "kept": [{"what": "the decisions", "legalBasis": "Archives Law Art. 13"}],
}


@pytest.fixture(params=RULE_SETS)
async def here(platform: PlatformDatabase, request: pytest.FixtureRequest) -> Office:
    """Under either rule set."""
    return await Office.open(platform, rules=request.param)


async def clerk(office: Office) -> Acting:
    """The platform itself."""
    return by_platform(await office.snapshot(), office.now, "r")


async def dispose(office: Office, grant: str = "g1", department: str = HEALTH, **changes: Any) -> Matter:
    acting = await office.acting(department, "applicant")
    return await disposals.dispose(office.desk, acting, grant, STATEMENT | changes)


async def test_expiry_is_told_and_disposal_owed(here: Office) -> None:
    await granted(here)
    await over_soon(here, "g2")
    reviewer = await here.acting(POLICE, "reviewer")
    given = (here.desk, reviewer, "g2")
    changing = await service_changes.propose(*given, ServiceChangeKind.END, "the register moves")
    suspended = await suspensions.suspend(*given, SuspensionReason.OVERUSE, "too much", days=5)
    assert await grant_endings.expire_due(here.desk, await clerk(here)) == 1
    assert (await state(here, "g2"), await state(here)) == (EXPIRED, GrantState.ACTIVE)
    assert (await those.matter(here, suspended.id)).state == "ENDED"
    assert (await those.matter(here, changing.id)).state == "WITHDRAWN"
    owed = await of_kind(here, "DISPOSAL", "g2")
    assert bool(owed) is (here.rules == "order-809")
    if owed:
        assert await tasks(here, owed[0]) == [(HEALTH, "applicant")]
        assert (await rows(here, "SELECT client FROM matter_event WHERE matter = $1", owed[0].id))[0][
            "client"
        ] == "platform"
    assert (await notices(here, HEALTH))[-1] == (await notices(here, POLICE))[-1] == "GRANT_EXPIRED"
    told = await rows(here, "SELECT count(*) FROM notice")
    assert await grant_endings.expire_due(here.desk, await clerk(here)) == 0
    assert await rows(here, "SELECT count(*) FROM notice") == told


async def test_an_operators_change_is_told_afterwards(here: Office) -> None:
    await granted(here)
    for after in (GrantState.SUSPENDED, GrantState.ACTIVE, GrantState.ENDED):
        await here.platform.set_grant_state("g1", after, by="wang", reason="by telephone")
    await grant_endings.expire_due(here.desk, await clerk(here))
    expected = ["GRANT_SUSPENDED", "GRANT_RESUMED", "GRANT_ENDED"]
    assert await notices(here, HEALTH) == await notices(here, POLICE) == expected
    (row,) = await rows(here, "SELECT document FROM notice WHERE department = $1 AND kind = 'GRANT_ENDED'", HEALTH)
    assert '"by": "wang"' in row["document"]
    assert len(await of_kind(here, "DISPOSAL")) == (1 if here.rules == "order-809" else 0)


async def test_two_nodes_at_once(order: Office, url: str) -> None:
    """Every grant expires once, is told of once and owes one statement, whoever takes it."""
    for n in range(30):
        await over_soon(order, f"e{n:02}")
    async with await PlatformDatabase.open(url) as other:
        acting = await clerk(order)
        desks = (order.desk, Desk(other), order.desk, Desk(other))
        done = await asyncio.gather(*(grant_endings.expire_due(desk, acting, batch=4) for desk in desks))
    assert sum(done) == 30
    assert Counter(await notices(order, HEALTH)) == Counter(GRANT_EXPIRED=30)
    assert Counter(await notices(order, POLICE)) == Counter(GRANT_EXPIRED=30)
    (found,) = await rows(order, "SELECT count(*) AS n, count(DISTINCT grant_id) AS grants FROM matter")
    assert (found["n"], found["grants"]) == (30, 30)
    assert await rows(order, "SELECT FROM grant_news") == []


async def test_reminders_come_once_at_their_points(office: Office) -> None:
    """Thirty and ten working days before the end; a reminder names what would renew the grant."""
    end = datetime(2026, 11, 30, 16, tzinfo=UTC)  # 1 December in Shanghai
    await granted(office, "g1", valid_to=end)
    await granted(office, "short", valid_to=office.now + timedelta(days=2))
    await granted(office, "long")
    await office.platform.set_grant_state("long", GrantState.SUSPENDED, by="test", reason="test")
    sent: dict[str, list[date]] = {}
    while office.now < end:
        if await grant_endings.remind_expiry(office.desk, await clerk(office)):
            for row in await rows(office, "SELECT DISTINCT grant_id FROM notice WHERE at = $1", office.now):
                sent.setdefault(row["grant_id"], []).append(office.now.date())
        assert await grant_endings.remind_expiry(office.desk, await clerk(office)) == 0
        office.pass_days(1)
    # 30 and 10 working days before 1 December
    assert sent == {"short": [date(2026, 9, 18)], "g1": [date(2026, 10, 20), date(2026, 11, 17)]}
    assert set(await notices(office, HEALTH)) == {"GRANT_EXPIRES"}
    (last, *_) = await rows(office, "SELECT document FROM notice WHERE grant_id = 'g1' ORDER BY id DESC")
    assert '"renews": "g1"' in last["document"]
    assert '"workingDaysLeft": 10' in last["document"]


async def test_a_reminder_names_the_renewal_under_way(office: Office) -> None:
    await granted(office, valid_to=office.now + timedelta(days=5))
    applicant = await office.acting(HEALTH, "applicant")
    renewal = await applications.create(office.desk, applicant, {"resource": "301/1", "renews": "g1"})
    assert await grant_endings.remind_expiry(office.desk, await clerk(office)) == 1
    (row,) = await rows(office, "SELECT document FROM notice WHERE kind = 'GRANT_EXPIRES'")
    assert f'"application": "{renewal.id}"' in row["document"]


async def test_two_nodes_remind_once(office: Office, url: str) -> None:
    """The other node has sent the reminder and not committed it yet: this one waits, and sends none."""
    grant = await granted(office, valid_to=office.now + timedelta(days=5))
    other = await asyncpg.connect(url)
    async with office.platform.session() as watching:
        sending = other.transaction()
        await sending.start()
        await other.execute("INSERT INTO grant_reminder SELECT 'g1', $1, unnest(ARRAY[30, 10]), now()", grant.valid_to)
        mine = asyncio.create_task(grant_endings.remind_expiry(office.desk, await clerk(office)))
        await blocked(watching)
        await sending.commit()
        assert await mine == 0
    await other.close()
    assert await notices(office, HEALTH) == []


async def test_a_later_end_is_reminded_anew(office: Office) -> None:
    await granted(office, valid_to=office.now + timedelta(days=5))
    assert await grant_endings.remind_expiry(office.desk, await clerk(office)) == 1
    await granted(office, valid_to=office.now + timedelta(days=6))
    assert await grant_endings.remind_expiry(office.desk, await clerk(office)) == 1


async def test_a_statement_that_is_owed(order: Office) -> None:
    await over_soon(order, "g1")
    await grant_endings.expire_due(order.desk, await clerk(order))
    (matter,) = await of_kind(order, "DISPOSAL")
    reviewer = await order.acting(HEALTH, "reviewer")
    with pytest.raises(NotPermitted):
        await disposals.state(order.desk, reviewer, matter.id, 1, STATEMENT)
    with pytest.raises(Refused, match="states the disposal"):
        await order.platform.set_grant_state("g1", DISPOSED, by="operator", reason="passed by")
    applicant = await order.acting(HEALTH, "applicant")
    matter = await disposals.state(order.desk, applicant, matter.id, 1, STATEMENT)
    assert (matter.state, await state(order), await tasks(order, matter)) == ("STATED", DISPOSED, [])
    assert matter.document["disposedOn"] == "2026-09-18"
    assert (await notices(order, POLICE))[-1] == "GRANT_DISPOSED"
    with pytest.raises(WrongState):
        await dispose(order)


async def test_a_statement_of_ones_own_accord(here: Office) -> None:
    """What is needed no more is given up: the grant ends and is disposed of in one act."""
    await granted(here)
    matter = await dispose(here)
    assert (matter.state, await state(here)) == ("STATED", DISPOSED)
    assert [step.after for step in (await here.platform.grant_history("g1"))[1:]] == [GrantState.ENDED, DISPOSED]
    assert len(await of_kind(here, "DISPOSAL")) == 1
    assert await notices(here, POLICE) == ["GRANT_ENDED", "GRANT_DISPOSED"]
    await over_soon(here, "g2")
    await grant_endings.expire_due(here.desk, await clerk(here))
    assert (await dispose(here, "g2")).state == "STATED"
    assert await rows(here, "SELECT FROM grant_news") == []


async def test_what_a_statement_says(office: Office) -> None:
    await granted(office)
    kept = [{"what": "a list", "legalBasis": ""}]
    for changes, expected in (
        ({"method": " "}, ("method", ProblemCode.MISSING)),
        ({"disposedOn": None}, ("disposedOn", ProblemCode.MISSING)),
        ({"disposedOn": date(2026, 9, 19)}, ("disposedOn", ProblemCode.NOT_ALLOWED)),
        ({"disposedOn": date(2025, 9, 19)}, ("disposedOn", ProblemCode.NOT_ALLOWED)),
        ({"kept": kept}, ("kept.0.legalBasis", ProblemCode.MISSING)),
        ({"method": "x" * 4_001}, ("method", ProblemCode.MALFORMED)),
    ):
        assert await problems(dispose(office, **changes)) == [expected]
    assert len(await problems(dispose(office, method="", disposedOn=None, kept=kept))) == 3
    with pytest.raises(NotPermitted):
        await dispose(office, department=POLICE)
    with pytest.raises(NotFound):
        await dispose(office, department=CITY_POLICE)
    with pytest.raises(NotFound):
        await dispose(office, "none")
    assert await state(office) is GrantState.ACTIVE


async def test_giving_up_against_suspending_at_once(order: Office) -> None:
    await granted(order)
    reviewer = await order.acting(POLICE, "reviewer")
    suspend = suspensions.suspend(order.desk, reviewer, "g1", SuspensionReason.OVERUSE, "too much", days=5)
    await asyncio.gather(dispose(order), suspend, return_exceptions=True)
    assert await state(order) is DISPOSED
    assert await rows(order, "SELECT FROM matter WHERE NOT closed") == []
