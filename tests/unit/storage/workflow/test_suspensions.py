"""Suspensions on a real database: the correction period, who judges it, and that no matter contradicts its grant."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from tanglai.catalogue.model import GrantState
from tanglai.catalogue.workflow.errors import Conflict, InvalidAct, NotFound, NotPermitted, ProblemCode, WrongState
from tanglai.catalogue.workflow.grant_life import SuspensionReason
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.errors import Refused
from tanglai.storage.workflow import matters, suspensions
from tanglai.storage.workflow.matters import Matter
from tests import granted as those
from tests.granted import RULE_SETS, deadlines, granted, notices, of_kind, problems, rows, state, tasks
from tests.office import CITY_POLICE, HEALTH, OFFICE, POLICE, Office

ACTIVE, SUSPENDED, ENDED = GrantState.ACTIVE, GrantState.SUSPENDED, GrantState.ENDED


@pytest.fixture(params=RULE_SETS)
async def here(platform: PlatformDatabase, request: pytest.FixtureRequest) -> Office:
    """With one grant, under either rule set."""
    office = await Office.open(platform, rules=request.param)
    await granted(office)
    return office


@pytest.fixture
async def one(office: Office) -> Office:
    await granted(office)
    return office


async def suspend(office: Office, department: str = POLICE, role: str = "reviewer", **more: Any) -> Matter:
    given: dict[str, Any] = {"days": 10} | more
    acting = await office.acting(department, role)
    grant = given.pop("grant", "g1")
    code, reason = SuspensionReason.PASSED_ON, given.pop("reason", "sold to a broker")
    return await suspensions.suspend(office.desk, acting, grant, code, reason, **given)


async def report(office: Office, matter: Matter, text: str = "contract ended, copies deleted") -> Matter:
    acting = await office.acting(HEALTH, "applicant")
    return await suspensions.report_compliance(office.desk, acting, matter.id, matter.version, text)


async def judge(office: Office, act: Any, matter: Matter, *more: Any, by: str = POLICE, **named: Any) -> Matter:
    acting = await office.acting(by, "coordinator" if by == OFFICE else "reviewer")
    result: Matter = await act(office.desk, acting, matter.id, matter.version, *more, **named)
    return result


async def test_the_whole_way_back(here: Office) -> None:
    matter = await suspend(here)
    assert (matter.state, matter.requester, matter.provider, matter.coordinator) == ("OPEN", HEALTH, POLICE, OFFICE)
    assert await state(here) is SUSPENDED
    assert await tasks(here, matter) == [(HEALTH, "applicant")]
    assert await notices(here, HEALTH) == ["GRANT_SUSPENDED"]
    (clock,) = await deadlines(here, matter)
    assert (clock.kind, clock.department, clock.days, clock.due_on) == ("COMPLIANCE", HEALTH, 10, date(2026, 10, 9))
    assert clock.rule_set == here.rules
    matter = await report(here, matter)
    assert (matter.state, await tasks(here, matter)) == ("REPORTED", [(POLICE, "reviewer")])
    assert (await deadlines(here, matter))[0].met is True
    matter = await judge(here, suspensions.send_back, matter, "the copies are still there", days=3)
    assert (matter.state, await state(here)) == ("OPEN", SUSPENDED)
    assert [(it.days, it.met) for it in await deadlines(here, matter)] == [(10, True), (3, None)]
    matter = await judge(here, suspensions.resume, await report(here, matter))
    assert (matter.state, matter.closed, await state(here), await tasks(here, matter)) == ("RESUMED", True, ACTIVE, [])
    assert await notices(here, HEALTH) == ["GRANT_SUSPENDED", "COMPLIANCE_SENT_BACK", "GRANT_RESUMED"]
    assert await notices(here, POLICE) == ["COMPLIANCE_REPORTED", "COMPLIANCE_REPORTED"]
    history = await here.platform.grant_history("g1")
    assert [(step.after, step.by) for step in history[1:]] == [
        (SUSPENDED, f"{POLICE}/reviewer"),
        (ACTIVE, f"{POLICE}/reviewer"),
    ]
    assert await rows(here, "SELECT FROM grant_news") == []
    audited = await rows(here, "SELECT grants, paths FROM audit_record WHERE document_kind = 'act' ORDER BY id")
    assert [row["paths"][0].split("/")[2] for row in audited] == [
        "SUSPEND",
        "REPORT_COMPLIANCE",
        "SEND_BACK",
        "REPORT_COMPLIANCE",
        "RESUME",
    ]
    assert {tuple(row["grants"]) for row in audited} == {("g1",)}


async def test_it_ends_for_good(here: Office) -> None:
    matter = await suspend(here)
    with pytest.raises(InvalidAct):
        await judge(here, suspensions.end, matter, " ")
    matter = await judge(here, suspensions.end, matter, "nothing was put right")
    assert (matter.state, await state(here)) == ("ENDED", ENDED)
    assert [it.met for it in await deadlines(here, matter)] == [False]
    owed = await of_kind(here, "DISPOSAL")
    assert [(it.state, it.requester) for it in owed] == ([("OPEN", HEALTH)] if here.rules == "order-809" else [])
    with pytest.raises(WrongState):
        await judge(here, suspensions.resume, matter)
    with pytest.raises(WrongState):
        await suspend(here)


async def test_what_the_competent_department_suspends_it_judges(here: Office) -> None:
    matter = await suspend(here, OFFICE, "coordinator")
    assert sorted(await notices(here, HEALTH) + await notices(here, POLICE)) == ["GRANT_SUSPENDED"] * 2
    with pytest.raises(NotPermitted):
        await judge(here, suspensions.resume, matter)
    matter = await report(here, matter)
    assert (matter.state, await tasks(here, matter)) == ("REPORTED_ABOVE", [(OFFICE, "coordinator")])
    with pytest.raises(NotPermitted):
        await judge(here, suspensions.end, matter, "no")
    with pytest.raises(NotPermitted):
        await judge(here, suspensions.send_back, matter, "no", days=1)
    with pytest.raises(NotPermitted):
        await judge(here, suspensions.resume, matter)
    assert await state(here) is SUSPENDED
    matter = await judge(here, suspensions.resume, matter, by=OFFICE)
    assert (matter.state, await state(here)) == ("RESUMED", ACTIVE)


async def test_the_competent_department_may_judge_what_a_provider_suspended(one: Office) -> None:
    matter = await judge(one, suspensions.end, await report(one, await suspend(one)), "it goes on", by=OFFICE)
    assert (matter.state, await state(one)) == ("ENDED", ENDED)


async def test_who_may_not_suspend(one: Office) -> None:
    for department, role, error in (
        (POLICE, "applicant", NotPermitted),
        (HEALTH, "reviewer", NotPermitted),
        (OFFICE, "supervisor", NotPermitted),
        (CITY_POLICE, "reviewer", NotFound),
    ):
        with pytest.raises(error):
            await suspend(one, department, role)
    with pytest.raises(NotFound):
        await suspend(one, grant="none")
    assert await state(one) is ACTIVE
    assert await rows(one, "SELECT FROM matter") == []


async def test_a_requester_that_is_the_competent_department_does_not_judge_itself(office: Office) -> None:
    """Nobody above it is on the platform: the provider alone suspends and judges."""
    await granted(office, requester=OFFICE)
    with pytest.raises(NotPermitted):
        await suspend(office, OFFICE, "coordinator")
    assert (await suspend(office)).coordinator is None


async def test_the_requester_reports_and_nobody_else(one: Office) -> None:
    matter = await suspend(one)
    for department, role in ((HEALTH, "reviewer"), (POLICE, "applicant")):
        acting = await one.acting(department, role)
        with pytest.raises(NotPermitted):
            await suspensions.report_compliance(one.desk, acting, matter.id, matter.version, "done")
    stranger = await one.acting(CITY_POLICE, "applicant")
    with pytest.raises(NotFound):
        await suspensions.report_compliance(one.desk, stranger, matter.id, matter.version, "done")
    for act, *more in ((suspensions.resume,), (suspensions.end, "no")):
        acting = await one.acting(HEALTH, "reviewer", "applicant")
        with pytest.raises(NotPermitted):
            await act(one.desk, acting, matter.id, matter.version, *more)


FAULTS: list[tuple[dict[str, Any], str, ProblemCode]] = [
    ({"days": None}, "correctionDays", ProblemCode.MISSING),
    ({"days": 5, "until": date(2026, 10, 9)}, "correctionDays", ProblemCode.MISSING),
    ({"days": 0}, "correctionDays", ProblemCode.NOT_ALLOWED),
    ({"days": 121}, "correctionDays", ProblemCode.NOT_ALLOWED),
    ({"days": None, "until": date(2026, 9, 18)}, "correctUntil", ProblemCode.TOO_LATE),
    ({"days": None, "until": date(2028, 9, 18)}, "correctUntil", ProblemCode.NOT_ALLOWED),
    ({"reason": "  "}, "reason", ProblemCode.MISSING),
    ({"reason": "x" * 4_001}, "reason", ProblemCode.MALFORMED),
]


async def test_what_a_suspension_must_say(one: Office) -> None:
    for given, field, code in FAULTS:
        assert await problems(suspend(one, **given)) == [(field, code)], given
    assert await state(one) is ACTIVE


async def test_a_period_until_a_day(office: Office) -> None:
    for n, (until, due) in enumerate(
        (
            (date(2026, 9, 20), date(2026, 9, 20)),  # a Sunday on which one works
            (date(2026, 9, 19), date(2026, 9, 20)),  # a Saturday
            (date(2026, 10, 1), date(2026, 10, 8)),  # within the long holiday
            (date(2026, 9, 22), date(2026, 9, 22)),
        )
    ):
        await granted(office, f"p{n}")
        (clock,) = await deadlines(office, await suspend(office, grant=f"p{n}", days=None, until=until))
        assert clock.due_on == due


async def test_a_repeated_request_suspends_once(one: Office) -> None:
    first = await suspend(one, key="k")
    assert await suspend(one, key="k") == first
    assert len(await of_kind(one, "SUSPENSION")) == 1
    with pytest.raises(WrongState) as caught:
        await suspend(one)
    assert caught.value.state == "SUSPENDED"


async def test_two_who_judge_at_once(one: Office) -> None:
    """Suspender and competent department: one settles it, the other is told."""
    matter = await report(one, await suspend(one))
    done = await asyncio.gather(
        judge(one, suspensions.resume, matter),
        judge(one, suspensions.end, matter, "no", by=OFFICE),
        return_exceptions=True,
    )
    (lost,) = [it for it in done if isinstance(it, BaseException)]
    (won,) = [it for it in done if isinstance(it, Matter)]
    assert isinstance(lost, Conflict)
    assert await state(one) is (ACTIVE if won.state == "RESUMED" else ENDED)


async def test_suspending_against_ending_at_once(one: Office) -> None:
    """Whichever comes first: an open suspension is of a suspended grant, and of an ended one there is none open."""
    for n in range(4):
        await granted(one, f"r{n}")
    acts = [suspend(one, grant=f"r{n}") for n in range(4)]
    ends = [one.platform.set_grant_state(f"r{n}", ENDED, by="operator", reason="test") for n in range(4)]
    await asyncio.gather(*(pair[i] for pair in zip(acts, ends, strict=True) for i in (0, 1)), return_exceptions=True)
    assert {await state(one, f"r{n}") for n in range(4)} == {ENDED}
    assert await rows(one, "SELECT FROM matter WHERE NOT closed") == []


@pytest.mark.parametrize(("after", "settled"), [(ACTIVE, "RESUMED"), (ENDED, "ENDED")])
async def test_an_operator_at_the_command_line_settles_it(here: Office, after: GrantState, settled: str) -> None:
    matter = await suspend(here)
    await here.platform.set_grant_state("g1", after, by="wang", reason="by telephone")
    matter = await those.matter(here, matter.id)
    assert (matter.state, matter.closed, await tasks(here, matter)) == (settled, True, [])
    assert [it.met for it in await deadlines(here, matter)] == [False]
    found = await here.desk.read(lambda connection: matters.events(connection, [matter.id]))
    last = found[matter.id][-1]
    assert (last.event, last.party, last.department, last.client, last.reason) == (
        "LAPSE",
        "platform",
        None,
        "wang",
        "by telephone",
    )
    (audited,) = await rows(here, "SELECT * FROM audit_record WHERE operation_name = 'LAPSE'")
    assert (audited["client"], audited["grants"]) == ("wang", ["g1"])
    with pytest.raises(WrongState):
        await judge(here, suspensions.resume, matter)


async def test_a_grant_that_an_operator_suspended_has_no_period(one: Office) -> None:
    await one.platform.set_grant_state("g1", SUSPENDED, by="operator", reason="test")
    with pytest.raises(WrongState):
        await suspend(one)


async def test_what_is_over_is_not_resumed(one: Office) -> None:
    await granted(one, "g2", valid_to=one.now + timedelta(days=30))
    matter = await suspend(one, grant="g2")
    one.pass_days(31)
    with pytest.raises(WrongState):
        await judge(one, suspensions.resume, matter)
    assert (await judge(one, suspensions.end, matter, "over")).state == "ENDED"


EVENT = """
INSERT INTO matter_event (matter, version, event, from_state, to_state, party, role, client, at, reason, document,
                          request_id)
VALUES ($1, $2, $3, $4, $5, 'provider', 'reviewer', 'x', now(), '', '{}', 'r')
"""
OPENED = """
INSERT INTO matter (id, kind, rule_set, rule_version, state, version, closed, requester, grant_id, opened_at,
                    changed_at, document)
VALUES ('S-9', 'SUSPENSION', 'ningxia-measures', 1, '', 0, false, $1, $2, now(), now(), '{}')
"""


async def run(office: Office, *statements: tuple[Any, ...]) -> None:
    """Statements past the program, in one transaction."""
    async with office.platform.session() as connection, connection.transaction():
        for statement in statements:
            await connection.execute(*statement)


async def test_the_database_refuses_a_contradiction(one: Office) -> None:
    """A settled suspension of a grant that stays suspended, an open one of a grant that runs, two open ones."""
    matter = await suspend(one)
    for after in (("RESUME", "OPEN", "RESUMED"), ("END", "OPEN", "ENDED")):
        with pytest.raises(Refused, match="contradicts its grant in state `SUSPENDED`"):
            await run(one, ("DELETE FROM matter_task",), (EVENT, matter.id, 2, *after))
    assert (await those.matter(one, matter.id)).state == "OPEN"
    with pytest.raises(Refused, match="exists already"):
        await run(one, (OPENED, HEALTH, "g1"))
    await granted(one, "g2")
    with pytest.raises(Refused, match="`S-9` in state `OPEN` contradicts its grant in state `ACTIVE`"):
        await run(one, (OPENED, HEALTH, "g2"), (EVENT, "S-9", 1, "SUSPEND", "", "OPEN"))


def test_the_moment_of_the_tests_is_before_now() -> None:
    """Grants of these tests are valid by the database's clock and by that of the acts."""
    assert those.START < datetime.now(UTC) < those.END
