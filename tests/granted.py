"""In charge of grants in tests of the law's work: recorded ones, and what became of them and of whom they concern."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tanglai.catalogue.model import Grant, GrantState
from tanglai.catalogue.workflow.errors import InvalidAct, ProblemCode
from tanglai.storage.workflow import matters
from tanglai.storage.workflow.matters import Matter
from tests.gateways import make_grant
from tests.office import HEALTH, Office

START = datetime(2026, 1, 1, tzinfo=UTC)
END = datetime(2126, 1, 1, tzinfo=UTC)
RULE_SETS = ("ningxia-measures", "order-809")


async def granted(office: Office, id: str = "g1", items: str = "phone address", **more: Any) -> Grant:
    """A running grant of the health commission on the permits of the police."""
    terms: dict[str, Any] = {"requester": HEALTH, "purpose": "care", "valid_from": START, "valid_to": END}
    grant = make_grant("301/1", items, id, **terms | more)
    await office.platform.put_grants([grant], by="import", reason="recorded")
    return grant


async def over_soon(office: Office, id: str, **more: Any) -> Grant:
    """A grant whose validity is over as soon as it is recorded."""
    return await granted(office, id, valid_to=datetime.now(UTC) - timedelta(days=1), **more)


async def state(office: Office, id: str = "g1") -> GrantState:
    grants = {grant.id: grant for grant in await office.platform.load_grants(HEALTH)}
    return grants[id].state


async def rows(office: Office, sql: str, *arguments: Any) -> list[Any]:
    return await office.desk.read(lambda connection: connection.fetch(sql, *arguments))


async def matter(office: Office, id: str) -> Matter:
    found = await office.desk.read(lambda connection: matters.find(connection, id))
    assert found is not None
    return found


async def of_kind(office: Office, kind: str, grant: str = "g1") -> list[Matter]:
    """The matters of `kind` about a grant, the oldest first."""
    ids = await rows(office, "SELECT id FROM matter WHERE kind = $1 AND grant_id = $2 ORDER BY id", kind, grant)
    return [await matter(office, row["id"]) for row in ids]


async def tasks(office: Office, matter: Matter) -> list[tuple[str, str]]:
    """Whom it waits for: department and role."""
    found = await rows(office, "SELECT department, role FROM matter_task WHERE matter = $1", matter.id)
    return [(row["department"], row["role"]) for row in found]


async def notices(office: Office, department: str) -> list[str]:
    """Kinds of the notices of a department, the oldest first."""
    found = await rows(office, "SELECT kind FROM notice WHERE department = $1 ORDER BY id", department)
    return [row["kind"] for row in found]


async def deadlines(office: Office, matter: Matter) -> list[matters.Deadline]:
    return (await office.desk.read(lambda connection: matters.deadlines(connection, [matter.id])))[matter.id]


async def problems(act: Any) -> list[tuple[str, ProblemCode]]:
    """What is wrong with which field, as `act` is told."""
    with pytest.raises(InvalidAct) as caught:
        await act
    return [(".".join(problem.field), problem.code) for problem in caught.value.problems]
