"""Coordination: the decision of the competent department, recorded and carried out at once."""

import asyncio
from typing import Any

import pytest

from tanglai.catalogue.model import GrantBasis, GrantState
from tanglai.catalogue.workflow.attachments import Attached
from tanglai.catalogue.workflow.dispute import Decision
from tanglai.catalogue.workflow.errors import Conflict, InvalidAct, NotFound, NotPermitted, ProblemCode, WrongState
from tanglai.catalogue.workflow.grant_life import ServiceChangeKind
from tanglai.catalogue.workflow.parties import Role
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.workflow import applications, attachments, consultations, coordinations, service_changes
from tanglai.storage.workflow.matters import Matter
from tests.disputes import CITY_OFFICE, REGION_OFFICE, Government, wanted
from tests.unit.storage.sample import HEALTH, POLICE

PAPER = Attached("意见.txt", "text/plain", "不同意".encode())


@pytest.fixture
async def government(platform: PlatformDatabase) -> Government:
    return await Government.of(platform)


@pytest.fixture(params=("ningxia-measures", "order-809"))
async def either(platform: PlatformDatabase, request: pytest.FixtureRequest) -> Government:
    return await Government.of(platform, request.param)


async def coordination(here: Government, parent: Matter) -> Matter:
    """The coordination that `parent` was brought to."""
    id = (await here.rows("SELECT id FROM matter WHERE parent = $1", parent.id))[0]["id"]
    async with here.desk.work(here.coordinator()) as work:
        return await work.other(id)


async def over_data(here: Government, **more: Any) -> Matter:
    """A coordination on what was consulted on in vain."""
    matter = await consultations.open_consultation(here.desk, here.applicant(), wanted() | more)
    matter = await consultations.state_position(here.desk, here.reviewer(), matter.id, 1, "no", [PAPER])
    matter = await consultations.escalate(here.desk, here.applicant(), matter.id, matter.version, "it is needed")
    return await coordination(here, matter)


async def over_service(here: Government, terms: dict[str, Any] | None = None) -> tuple[Matter, str]:
    """A coordination on the end of a running grant, or on its change to `terms`; and the grant."""
    document = wanted("phone division")
    matter = await applications.create(here.desk, here.applicant(), document)
    if here.snapshot.rule_set == "order-809":
        matter = await applications.consent(here.desk, here.head(HEALTH), matter.id, matter.version)
    matter = await applications.submit(here.desk, here.applicant(), matter.id, matter.version)
    matter = await applications.approve(here.desk, here.reviewer(), matter.id, matter.version, {})
    if here.snapshot.rule_set == "order-809":
        matter = await applications.confirm(here.desk, here.head(), matter.id, matter.version)
    grant = matter.grant or ""
    kind = ServiceChangeKind.END if terms is None else ServiceChangeKind.CHANGE
    change = await service_changes.propose(here.desk, here.reviewer(), grant, kind, "costs", terms=terms)
    change = await service_changes.object_to(here.desk, here.applicant(), change.id, change.version, "still needed")
    change = await service_changes.escalate(here.desk, here.reviewer(), change.id, change.version, "decide it")
    return await coordination(here, change), grant


async def decided(here: Government, matter: Matter, decision: Decision, **more: Any) -> Matter:
    return await coordinations.decide(
        here.desk, here.coordinator(), matter.id, matter.version, decision, "weighed against each other", **more
    )


def problems(error: pytest.ExceptionInfo[InvalidAct]) -> set[tuple[tuple[str, ...], ProblemCode]]:
    return {(problem.field, problem.code) for problem in error.value.problems}


# --- data that were not shared or refused -----------------------------------------------------------------------------


async def test_decided_to_share(either: Government) -> None:
    """Positions of both, the coordinator reads what was exchanged before, decides, and the grant is there."""
    here = either
    matter = await over_data(here)
    matter = await coordinations.state_position(
        here.desk, here.applicant(), matter.id, 1, "lives depend on it", [PAPER]
    )
    matter = await coordinations.state_position(here.desk, here.reviewer(), matter.id, matter.version, "privacy")
    assert (await here.notices(REGION_OFFICE)).count("POSITION_STATED") == 2
    paper, content = await attachments.content(here.desk, REGION_OFFICE, f"{matter.parent}/{POLICE}/1")
    assert (paper.name, content) == (PAPER.name, PAPER.content)
    terms = {"quota": {"requests": 10, "rows": 10}}
    matter = await decided(here, matter, Decision.SHARE, terms=terms, attached=[PAPER])
    assert (matter.state, await here.tasks(matter.id)) == ("GRANTED", set())
    grant = (await here.grants())[matter.grant or ""]
    assert (grant.items, grant.basis, grant.state) == ({"illness"}, GrantBasis.COORDINATION, GrantState.ACTIVE)
    basis = await here.rows("SELECT matter FROM grant_basis WHERE grant_id = $1", grant.id)
    assert [row["matter"] for row in basis] == [matter.id]
    for party in (HEALTH, POLICE):
        assert (await here.notices(party))[-1] == "COORDINATION_DECIDED"
    audited = await here.rows("SELECT paths FROM audit_record WHERE paths[1] LIKE $1", f"COORDINATION/{matter.id}/%")
    assert [row["paths"][0].rsplit("/", 2)[1] for row in audited] == [
        "OPEN",
        "STATE_POSITION",
        "STATE_POSITION",
        "DECIDE",
    ]


async def test_decided_not_to_share(either: Government) -> None:
    here = either
    matter = await decided(here, await over_data(here), Decision.CLOSE)
    assert (matter.state, matter.grant, await here.grants()) == ("CLOSED", None, {})
    assert (await here.notices(HEALTH))[-1] == "COORDINATION_DECIDED"
    with pytest.raises(WrongState):
        await decided(here, matter, Decision.SHARE)


async def test_who_decides(government: Government) -> None:
    here = government
    matter = await over_data(here)
    deciding = (here.desk, matter.id, 1, Decision.SHARE, "so be it")
    for wrong in (here.applicant(), here.reviewer(), here.coordinator(POLICE), here.by(REGION_OFFICE, Role.SUPERVISOR)):
        with pytest.raises(NotPermitted):
            await coordinations.decide(deciding[0], wrong, *deciding[1:])
    with pytest.raises(NotFound):  # another competent department
        await coordinations.decide(deciding[0], here.coordinator(CITY_OFFICE), *deciding[1:])
    # Nobody decides on what they argued for themselves.
    matter = await coordinations.state_position(here.desk, here.coordinator(person="a"), matter.id, 1, "to be shared")
    with pytest.raises(NotPermitted) as error:
        await coordinations.decide(here.desk, here.coordinator(person="a"), matter.id, 2, Decision.SHARE, "so be it")
    assert error.value.own_act
    matter = await coordinations.decide(here.desk, here.coordinator(person="b"), matter.id, 2, Decision.SHARE, "yes")
    assert matter.state == "GRANTED"


async def test_what_a_decision_says(government: Government) -> None:
    here = government
    matter = await over_data(here, scope={"division": {"eq": "640100"}})
    cases: list[tuple[dict[str, Any], Decision, tuple[str, ...], ProblemCode]] = [
        ({"reason": " "}, Decision.SHARE, ("reason",), ProblemCode.MISSING),
        ({}, Decision.KEEP, ("decision",), ProblemCode.NOT_ALLOWED),
        ({}, Decision.END, ("decision",), ProblemCode.NOT_ALLOWED),
        ({"terms": {"items": ["phone"]}}, Decision.SHARE, ("terms", "items"), ProblemCode.TOO_WIDE),
        ({}, Decision.SHARE, ("confirmDisclosure",), ProblemCode.MISSING),
    ]
    for more, decision, field, code in cases:
        given = {"reason": "because"} | more
        with pytest.raises(InvalidAct) as error:
            await coordinations.decide(here.desk, here.coordinator(), matter.id, 1, decision, **given)
        assert problems(error) == {(field, code)}, more
    assert (await here.grants(), await here.tasks(matter.id)) == ({}, {(REGION_OFFICE, "coordinator")})
    matter = await decided(here, matter, Decision.SHARE, confirmed=["division"])
    assert matter.state == "GRANTED"


async def test_two_decide_at_once(government: Government) -> None:
    here = government
    matter = await over_data(here)
    outcomes = await asyncio.gather(
        *(
            coordinations.decide(here.desk, here.coordinator(person=name), matter.id, 1, decision, "because")
            for name, decision in (("a", Decision.SHARE), ("b", Decision.CLOSE))
        ),
        return_exceptions=True,
    )
    assert [type(it) for it in outcomes].count(Conflict) == 1
    state = (await here.rows("SELECT state FROM matter WHERE id = $1", matter.id))[0]["state"]
    assert len(await here.grants()) == (state == "GRANTED")


async def test_withdrawn_by_whom_it_serves(government: Government) -> None:
    here = government
    matter = await over_data(here)
    with pytest.raises(NotPermitted):
        await coordinations.withdraw(here.desk, here.reviewer(), matter.id, 1)
    matter = await coordinations.withdraw(here.desk, here.applicant(), matter.id, 1, "found elsewhere")
    assert (matter.state, (await here.notices(REGION_OFFICE))[-1]) == ("WITHDRAWN", "COORDINATION_WITHDRAWN")
    service, _ = await over_service(here)
    with pytest.raises(NotPermitted):
        await coordinations.withdraw(here.desk, here.applicant(), service.id, 1)
    assert (await coordinations.withdraw(here.desk, here.reviewer(), service.id, 1)).state == "WITHDRAWN"


# --- a running service ------------------------------------------------------------------------------------------------


async def test_a_service_goes_on(either: Government) -> None:
    here = either
    matter, grant = await over_service(here)
    with pytest.raises(InvalidAct):
        await decided(here, matter, Decision.SHARE)
    assert (await decided(here, matter, Decision.KEEP)).state == "GRANTED"
    assert (await here.grants())[grant].state is GrantState.ACTIVE


async def test_a_service_ends(either: Government) -> None:
    """And what follows from an end follows: both are told, the disposal is owed where the rule set has it so."""
    here = either
    matter, grant = await over_service(here)
    with pytest.raises(InvalidAct) as error:
        await decided(here, matter, Decision.CHANGE)
    assert problems(error) == {(("terms",), ProblemCode.MISSING)}
    assert (await decided(here, matter, Decision.END)).state == "CLOSED"
    assert (await here.grants())[grant].state is GrantState.ENDED
    for party in (HEALTH, POLICE):
        assert {"GRANT_ENDED", "COORDINATION_DECIDED"} <= set(await here.notices(party))
    owed = await here.rows("SELECT state FROM matter WHERE kind = 'DISPOSAL' AND grant_id = $1", grant)
    assert len(owed) == (here.snapshot.rule_set == "order-809")


async def test_a_service_changes(government: Government) -> None:
    here = government
    matter, grant = await over_service(here, {"items": ["division"], "quota": {"requests": 5}})
    assert (await decided(here, matter, Decision.CHANGE)).state == "GRANTED"
    changed = (await here.grants())[grant]
    assert (changed.items, changed.basis, changed.state) == ({"division"}, GrantBasis.APPLICATION, GrantState.ACTIVE)
    assert changed.quota is not None
    assert changed.quota.requests == 5


async def test_a_service_changes_otherwise_than_wished(government: Government) -> None:
    here = government
    matter, grant = await over_service(here, {"items": ["division"]})
    matter = await decided(here, matter, Decision.CHANGE, terms={"masks": {"phone": "tail"}})
    changed = (await here.grants())[grant]
    assert (changed.items, dict(changed.masks)) == ({"division", "phone"}, {"phone": "tail"})


async def test_a_service_that_is_over_already(government: Government) -> None:
    here = government
    matter, grant = await over_service(here, {"items": ["division"]})
    await here.platform.set_grant_state(grant, GrantState.ENDED, by="x", reason="y")
    with pytest.raises(InvalidAct):
        await decided(here, matter, Decision.CHANGE)
    assert (await decided(here, matter, Decision.END)).state == "CLOSED"
