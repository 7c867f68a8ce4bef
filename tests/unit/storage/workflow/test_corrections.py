"""Corrections: reported by who sees the data, checked and answered by the provider, in the rule set's time."""

from collections.abc import Callable
from typing import Any

import pytest

from tanglai.catalogue.model import Resource
from tanglai.catalogue.workflow.attachments import Attached
from tanglai.catalogue.workflow.correction import CorrectionAnswer, not_seen
from tanglai.catalogue.workflow.errors import InvalidAct, NotFound, NotPermitted, ProblemCode, WrongState
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.workflow import attachments, corrections
from tanglai.storage.workflow.matters import Matter
from tests.disputes import CITY_AID, RESIDENTS, Government
from tests.unit.storage.sample import HEALTH, POLICE

SECRET = "13800001111"
DOUBT = {"item": "phone", "row": "r.sealed", "doubt": "nobody answers", "proposed": SECRET, "purpose": "care"}


@pytest.fixture
async def government(platform: PlatformDatabase) -> Government:
    return await Government.of(platform)


@pytest.fixture(params=("ningxia-measures", "order-809"))
async def either(platform: PlatformDatabase, request: pytest.FixtureRequest) -> Government:
    return await Government.of(platform, request.param)


def eyes(seen: bool) -> tuple[Callable[..., Any], list[tuple[Any, ...]]]:
    """What tells whether the reporter sees something, and what it was asked."""
    asked: list[tuple[Any, ...]] = []

    async def sees(resource: Resource, item: str, row: str, purpose: str | None) -> bool:
        asked.append((resource.code, item, row, purpose))
        return seen

    return sees, asked


async def reported(here: Government, **more: Any) -> Matter:
    sees, _ = eyes(True)
    return await corrections.report(here.desk, here.applicant(), RESIDENTS, DOUBT | more, sees)


async def test_reported_checked_and_corrected(either: Government) -> None:
    here = either
    sees, asked = eyes(True)
    paper = Attached("户口簿.png", "image/png", b"\x89PNG")
    matter = await corrections.report(here.desk, here.applicant(), RESIDENTS, DOUBT, sees, attached=[paper], key="once")
    assert asked == [(RESIDENTS, "phone", "r.sealed", "care")]
    again = await corrections.report(here.desk, here.applicant(), RESIDENTS, DOUBT, sees, attached=[paper], key="once")
    assert again.id == matter.id
    assert (matter.requester, matter.provider, matter.coordinator) == (HEALTH, POLICE, None)
    assert await here.tasks(matter.id) == {(POLICE, "reviewer")}
    deadlines = await here.rows("SELECT days, department FROM deadline")
    expected = [(10, POLICE)] if here.snapshot.rule_set == "order-809" else []
    assert [(row["days"], row["department"]) for row in deadlines] == expected
    assert (await attachments.content(here.desk, POLICE, f"{matter.id}/{HEALTH}/1"))[1] == paper.content
    matter = await corrections.verify(here.desk, here.reviewer(), matter.id, 1)
    assert (matter.state, await here.notices(HEALTH)) == ("VERIFYING", ["CORRECTION_BEGUN"])
    matter = await corrections.answer(
        here.desk, here.reviewer(), matter.id, 2, CorrectionAnswer.CORRECTED, "the number was old"
    )
    assert (matter.state, (await here.notices(HEALTH))[-1]) == ("CORRECTED", "CORRECTION_ANSWERED")
    assert await here.rows("SELECT 1 FROM deadline WHERE met IS NOT TRUE") == []


async def test_a_late_answer_counts(platform: PlatformDatabase) -> None:
    here = await Government.of(platform, "order-809")
    matter = await reported(here)
    late = here.reviewer(days=60)
    await corrections.answer(here.desk, late, matter.id, 1, CorrectionAnswer.DISMISSED, "it is right")
    row = (await here.rows("SELECT due_on, ended_on, met FROM deadline"))[0]
    assert row["met"]
    assert row["ended_on"] > row["due_on"]


async def test_what_is_not_seen_is_not_doubted(government: Government) -> None:
    here = government
    sees, _ = eyes(False)
    with pytest.raises(InvalidAct) as error:
        await corrections.report(here.desk, here.applicant(), RESIDENTS, DOUBT, sees)
    assert error.value.problems == not_seen().problems
    assert await here.rows("SELECT 1 FROM matter") == []


async def test_what_a_report_says(government: Government) -> None:
    """Nothing is looked up for a report that could not be kept, or by one who may not report."""
    here = government
    sees, asked = eyes(True)
    cases: list[tuple[str, dict[str, Any], set[tuple[str, ProblemCode]]]] = [
        (RESIDENTS, {"item": None, "doubt": " "}, {("item", ProblemCode.MISSING), ("doubt", ProblemCode.MISSING)}),
        (RESIDENTS, {"item": "height"}, {("item", ProblemCode.UNKNOWN)}),
        (RESIDENTS, {"row": "r" * 8_193}, {("row", ProblemCode.MALFORMED)}),
        ("9/9", {}, {("resource", ProblemCode.UNKNOWN)}),
    ]
    for resource, more, expected in cases:
        with pytest.raises(InvalidAct) as error:
            await corrections.report(here.desk, here.applicant(), resource, DOUBT | more, sees)
        assert {(problem.field[0], problem.code) for problem in error.value.problems} == expected
    with pytest.raises(InvalidAct):  # one's own data
        await corrections.report(here.desk, here.applicant(POLICE), RESIDENTS, DOUBT, sees)
    with pytest.raises(NotPermitted):
        await corrections.report(here.desk, here.reviewer(HEALTH), RESIDENTS, DOUBT, sees)
    assert asked == []


async def test_who_answers(government: Government) -> None:
    here = government
    matter = await reported(here)
    answer, why = CorrectionAnswer.DISMISSED, "it is right"
    for wrong in (here.applicant(), here.head(), here.applicant(POLICE)):
        with pytest.raises(NotPermitted):
            await corrections.answer(here.desk, wrong, matter.id, 1, answer, why)
    for stranger in (here.reviewer(CITY_AID), here.coordinator()):
        with pytest.raises(NotFound):
            await corrections.answer(here.desk, stranger, matter.id, 1, answer, why)
    with pytest.raises(InvalidAct):
        await corrections.answer(here.desk, here.reviewer(), matter.id, 1, answer, "\n")
    matter = await corrections.withdraw(here.desk, here.applicant(), matter.id, 1)
    assert await here.notices(POLICE) == ["CORRECTION_WITHDRAWN"]
    with pytest.raises(WrongState):
        await corrections.answer(here.desk, here.reviewer(), matter.id, matter.version, answer, why)


async def test_values_stay_out_of_the_log(government: Government) -> None:
    here = government
    matter = await reported(here)
    await corrections.answer(here.desk, here.reviewer(), matter.id, 1, CorrectionAnswer.CORRECTED, "done")
    for table in ("audit_record", "notice", "matter_event"):
        rows = await here.rows(f"SELECT t::text AS text FROM {table} t")
        assert rows or table == "notice"
        assert not any(SECRET in row["text"] for row in rows)
