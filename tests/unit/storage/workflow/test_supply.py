"""In charge of supply after an approval (Order 809 Art. 22): a grant that starts later starts in time."""

from typing import Any

import pytest

from tanglai.catalogue.workflow.errors import InvalidAct, ProblemCode
from tanglai.storage.workflow import applications
from tanglai.storage.workflow.matters import Matter
from tests.office import HEALTH, POLICE, Office

ASKED: dict[str, Any] = {
    "resource": "301/1",
    "items": ["phone"],
    "purpose": "care",
    "duty": "medical aid to the poor",
    "legalBasis": "Social Assistance Measures Art. 3",
    "scenario": "check of entitlement",
    "method": "query",
    "validTo": "2027-09-18T00:00:00Z",
}


async def replied(office: Office, start: str) -> Matter:
    """An application of the health commission, to which a reviewer would reply with a grant from `start` on."""
    applicant = await office.acting(HEALTH, "applicant")
    matter = await applications.create(office.desk, applicant, ASKED)
    if office.rules == "order-809":
        head = await office.acting(HEALTH, "head")
        matter = await applications.consent(office.desk, head, matter.id, matter.version)
    matter = await applications.submit(office.desk, applicant, matter.id, matter.version)
    reviewer = await office.acting(POLICE, "reviewer")
    return await applications.approve(office.desk, reviewer, matter.id, matter.version, {"validFrom": start})


async def test_data_are_supplied_in_time(order: Office) -> None:
    """Approved on 2026-09-18: the twentieth working day after it is 2026-10-22, over two make-up days and a holiday."""
    with pytest.raises(InvalidAct) as caught:
        await replied(order, "2026-10-23T00:00:00+08:00")
    (problem,) = caught.value.problems
    assert (problem.field, problem.code, problem.article) == (
        ("terms", "validFrom"),
        ProblemCode.TOO_LATE,
        "Order 809 Art. 22",
    )
    assert (await replied(order, "2026-10-22T00:00:00+08:00")).state == "REPLY_PROPOSED"


async def test_the_measures_set_no_time(office: Office) -> None:
    assert (await replied(office, "2027-01-01T00:00:00+08:00")).state == "PARTLY_APPROVED"
