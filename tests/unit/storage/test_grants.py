"""In charge of grants as rows: their states, their history, and the epochs that every change moves."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import asyncpg
import pytest

from tanglai.catalogue.expressions import TRUE, Attribute, ItemRef, Within
from tanglai.catalogue.model import Grant, GrantBasis, GrantState, Usage
from tanglai.catalogue.scalars import ScalarType
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.errors import REFUSAL, Refused
from tanglai.storage.transitions import GRANT_TRANSITIONS
from tests.unit.storage.sample import (
    HEALTH,
    POLICE,
    RESIDENTS,
    START,
    TAX,
    VEHICLES,
    change,
    compare,
    epochs,
    grant,
    item,
    resource,
)

PAST = datetime(2026, 2, 1, tzinfo=UTC)
STEPS = list(product(GrantState, GrantState))


@pytest.fixture
async def catalogue(platform: PlatformDatabase) -> PlatformDatabase:
    await platform.publish(change(resource(), resource(VEHICLES)))
    return platform


async def test_what_was_recorded_is_what_is_loaded(catalogue: PlatformDatabase) -> None:
    given = (
        grant("a"),
        grant("b", state=GrantState.SUSPENDED, scope=TRUE, masks={}, quota=None, valid_to=None),
        grant("c", state=GrantState.DISPOSED, usage=Usage.STATISTICS, basis=GrantBasis.COORDINATION),
        grant("d", resource=VEHICLES, relations=frozenset({"owner"}), items=frozenset()),
        grant("e", scope=Within(ItemRef("division", ScalarType.TEXT), Attribute("department.division"))),
    )
    report = await catalogue.put_grants([*given, grant("other", TAX)], by="reviewer", reason="approved")
    assert report.added == ("a", "b", "c", "d", "e", "other")
    assert await catalogue.load_grants(HEALTH) == given
    assert await catalogue.load_grants(TAX) == (grant("other", TAX),)
    assert await catalogue.load_grants("11640000010000009Z") == ()


async def test_each_change_moves_the_epochs_of_its_requester_alone(catalogue: PlatformDatabase) -> None:
    await catalogue.put_grants([grant("a"), grant("b", TAX)])
    before = await catalogue.confirm(since=0)
    assert before.changed == {HEALTH: before.grants, TAX: before.grants}
    number = await catalogue.set_grant_state("b", GrantState.SUSPENDED, by="reviewer", reason="misuse")
    after = await catalogue.confirm(since=before.grants)
    assert after.grants == number > before.grants
    assert after.changed == {TAX: number}
    assert after.catalogue == before.catalogue
    assert (await catalogue.load_department(TAX)).epoch == number
    assert (await catalogue.load_department(HEALTH)).epoch == before.grants
    assert (await catalogue.load_department(HEALTH)).as_of == number
    assert (await catalogue.confirm()).changed == {}
    assert before.now <= after.now


async def test_recording_again_changes_nothing(catalogue: PlatformDatabase) -> None:
    await catalogue.put_grants([grant()])
    before = await epochs(catalogue.pool)
    report = await catalogue.put_grants([grant()])
    assert (report.added, report.changed, report.kept) == ((), (), ())
    assert report.number == before["grants"]
    assert await epochs(catalogue.pool) == before
    assert len(await catalogue.grant_history("g1")) == 1


async def test_recording_again_resumes_nothing(catalogue: PlatformDatabase) -> None:
    await catalogue.put_grants([grant()])
    await catalogue.set_grant_state("g1", GrantState.SUSPENDED, by="reviewer", reason="misuse")
    report = await catalogue.put_grants([grant(items=frozenset({"name"}), masks={})])
    assert (report.changed, report.kept) == (("g1",), ("g1",))
    (held,) = await catalogue.load_grants(HEALTH)
    assert (held.state, held.items) == (GrantState.SUSPENDED, frozenset({"name"}))


async def test_history_says_who_when_and_why(catalogue: PlatformDatabase) -> None:
    began = (await catalogue.confirm()).now
    await catalogue.put_grants([grant()], by="reviewer", reason="approved")
    await catalogue.put_grants([grant(scope=compare("division", "640300"))], by="steward", reason="moved")
    await catalogue.set_grant_state("g1", GrantState.SUSPENDED, by="office", reason="misuse")
    await catalogue.set_grant_state("g1", GrantState.ACTIVE, by="office", reason="corrected")
    history = await catalogue.grant_history("g1")
    assert [(step.before, step.after, step.by, step.reason) for step in history] == [
        (None, GrantState.ACTIVE, "reviewer", "approved"),
        (GrantState.ACTIVE, GrantState.ACTIVE, "steward", "moved"),
        (GrantState.ACTIVE, GrantState.SUSPENDED, "office", "misuse"),
        (GrantState.SUSPENDED, GrantState.ACTIVE, "office", "corrected"),
    ]
    times = [step.at for step in history]
    assert began <= times[0]
    assert times == sorted(times)
    terms = await catalogue.pool.fetch("SELECT previous IS NOT NULL AS kept FROM grant_transition ORDER BY id")
    assert [row["kept"] for row in terms] == [False, True, False, False]
    assert await catalogue.grant_history("none") == ()


def expired(state: GrantState) -> Grant:
    """A grant whose validity is over, so that every step of the table may be taken."""
    return grant(state=state, valid_to=PAST)


@pytest.mark.parametrize(("before", "after"), STEPS, ids=lambda state: state.lower())
async def test_state_table(catalogue: PlatformDatabase, before: GrantState, after: GrantState) -> None:
    await catalogue.put_grants([expired(before)])
    number = (await epochs(catalogue.pool))["grants"]
    if (before, after) in GRANT_TRANSITIONS:
        assert await catalogue.set_grant_state("g1", after, by="office", reason="test") > number
        expected = after
    else:
        with pytest.raises(Refused, match=f"grant `g1` cannot go from state `{before}` to `{after}`"):
            await catalogue.set_grant_state("g1", after, by="office", reason="test")
        expected = before
        assert (await epochs(catalogue.pool))["grants"] == number
    assert [held.state for held in await catalogue.load_grants(HEALTH)] == [expected]


async def test_the_database_holds_the_same_state_table(catalogue: PlatformDatabase) -> None:
    taken = set()
    refused = set()
    for before, after in STEPS:
        identity = f"{before}-{after}"
        await catalogue.put_grants([replace(expired(before), id=identity)])
        try:
            await catalogue.pool.execute("UPDATE data_grant SET state = $2 WHERE id = $1", identity, after.value)
        except asyncpg.PostgresError as error:
            refused.add(error.sqlstate)
        else:
            taken.add((before, after))
    assert refused == {REFUSAL}
    assert taken == GRANT_TRANSITIONS.keys() | {(state, state) for state in GrantState}


@pytest.mark.parametrize("valid_to", [None, datetime(2126, 1, 1, tzinfo=UTC)])
async def test_a_grant_expires_only_when_its_time_is_over(
    catalogue: PlatformDatabase, valid_to: datetime | None
) -> None:
    await catalogue.put_grants([grant(valid_to=valid_to)])
    with pytest.raises(Refused, match="`g1` has not reached the end of its validity"):
        await catalogue.set_grant_state("g1", GrantState.EXPIRED, by="office", reason="test")


async def test_expiry_takes_those_that_are_due(catalogue: PlatformDatabase) -> None:
    await catalogue.put_grants(
        [
            grant("due", valid_to=PAST),
            grant("suspended", valid_to=PAST, state=GrantState.SUSPENDED),
            grant("ended", valid_to=PAST, state=GrantState.ENDED),
            grant("running"),
            grant("endless", valid_to=None),
        ]
    )
    before = await epochs(catalogue.pool)
    assert await catalogue.expire_grants() == ("due", "suspended")
    assert (await epochs(catalogue.pool))["grants"] == before["grants"] + 1
    assert await catalogue.expire_grants() == ()
    assert (await epochs(catalogue.pool))["grants"] == before["grants"] + 1
    states = {held.id: held.state for held in await catalogue.load_grants(HEALTH)}
    assert states["due"] is states["suspended"] is GrantState.EXPIRED
    assert states["ended"] is GrantState.ENDED


@pytest.mark.parametrize("state", [GrantState.ENDED, GrantState.EXPIRED, GrantState.DISPOSED])
async def test_a_grant_that_is_over_gets_no_new_terms(catalogue: PlatformDatabase, state: GrantState) -> None:
    await catalogue.put_grants([grant(state=state)])
    with pytest.raises(Refused, match=f"the terms of grant `g1` in state `{state}` cannot change"):
        await catalogue.put_grants([grant(state=state, items=frozenset({"phone", "name"}))])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"requester": "11640000010000009Z"}, "a grant names a requester `11640000010000009Z` that does not exist"),
        ({"requester": "health"}, "a grant names a requester `health` that does not exist"),
        ({"purpose": "none"}, "a grant names a purpose `none`"),
        ({"resource": "9/9"}, "grant `g1` is not of its form"),
        ({"scope": compare("salary", "1")}, "grant `g1` is not of its form"),
        ({"valid_to": START}, "it is against"),
        ({"id": "a\x00b"}, "holds a NUL character"),
        ({"items": frozenset({"a\x00b"})}, "grant `g1` holds a NUL character"),
        ({"scope": compare("division", "\x00")}, "grant `g1`"),
        ({"scope": compare("division", "\ud800")}, "grant `g1`"),
        ({"masks": {"phone": "x" * 100}}, "grant `g1` is not of its form"),
        ({"id": "'; DROP TABLE data_grant; --"}, "is not of its form"),
    ],
)
async def test_a_grant_that_cannot_be_leaves_nothing(
    catalogue: PlatformDatabase, changes: dict[str, Any], message: str
) -> None:
    before = await epochs(catalogue.pool)
    with pytest.raises(Refused, match=message) as caught:
        await catalogue.put_grants([grant("fine"), grant(**changes)])
    assert "\x00" not in caught.value.message
    assert await epochs(catalogue.pool) == before
    assert await catalogue.load_grants(HEALTH) == ()


@pytest.mark.parametrize("changes", [{"requester": TAX}, {"resource": VEHICLES}])
async def test_a_known_grant_keeps_its_requester_and_resource(
    catalogue: PlatformDatabase, changes: dict[str, Any]
) -> None:
    await catalogue.put_grants([grant()])
    with pytest.raises(Refused, match="belongs to another requester or resource"):
        await catalogue.put_grants([grant(**changes)])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"grant": "none"}, "unknown grant `none`"),
        ({"by": ""}, "says who"),
        ({"reason": ""}, "says why"),
        ({"by": "\x00"}, "cannot hold this"),
        ({"reason": "\ud800"}, "cannot hold this"),
        ({"grant": "\x00"}, "cannot hold this"),
    ],
)
async def test_a_step_without_its_record_is_refused(
    catalogue: PlatformDatabase, arguments: dict[str, str], message: str
) -> None:
    await catalogue.put_grants([grant()])
    given: dict[str, Any] = {"grant": "g1", "state": GrantState.SUSPENDED, "by": "office", "reason": "misuse"}
    with pytest.raises(Refused, match=message):
        await catalogue.set_grant_state(**given | arguments)


async def test_one_grant_given_twice_is_refused(catalogue: PlatformDatabase) -> None:
    with pytest.raises(Refused, match="grant `g1` is given twice"):
        await catalogue.put_grants([grant(), grant()])


async def test_a_grant_on_a_retired_resource_is_still_listed(catalogue: PlatformDatabase) -> None:
    await catalogue.put_grants([grant(resource=VEHICLES)])
    await catalogue.retire(VEHICLES, by="steward")
    assert await catalogue.load_grants(HEALTH) == (grant(resource=VEHICLES),)
    given = await catalogue.load_department(HEALTH, {RESIDENTS: resource()})
    assert given.resources == {VEHICLES: None}


async def test_a_grant_that_cannot_be_read_opens_nothing(
    catalogue: PlatformDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    await catalogue.put_grants([grant("a"), grant("b", scope=TRUE)])
    without = resource(items=(item("name"), item("phone")))
    held = await catalogue.load_department(HEALTH, {RESIDENTS: without})
    assert [one.id for one in held.grants] == ["b"]
    assert "grant a cannot be read and opens nothing" in caplog.text


async def test_many_grants_are_one_change(catalogue: PlatformDatabase) -> None:
    many = [grant(f"g{n:05}", valid_from=START + timedelta(seconds=n)) for n in range(300)]
    before = await epochs(catalogue.pool)
    await catalogue.put_grants(many)
    assert (await epochs(catalogue.pool))["grants"] == before["grants"] + 1
    assert await catalogue.load_grants(HEALTH) == tuple(many)


async def test_a_requesters_grants_are_found_by_index(catalogue: PlatformDatabase) -> None:
    await catalogue.pool.execute(
        """
        INSERT INTO data_grant (id, requester, resource, purpose, state, valid_from, document)
        SELECT 'n' || n, CASE WHEN n % 500 = 0 THEN $1 ELSE $2 END, $3, 'care', 'ACTIVE', now(), '{}'
        FROM generate_series(1, 5000) n
    """,
        HEALTH,
        TAX,
        RESIDENTS,
    )
    await catalogue.pool.execute("ANALYZE data_grant")
    plan = await catalogue.pool.fetch(f"EXPLAIN SELECT * FROM data_grant WHERE requester = '{HEALTH}'")
    assert "data_grant_requester" in "\n".join(row[0] for row in plan)


async def test_every_change_of_state_is_in_the_audit_log(platform: PlatformDatabase) -> None:
    await platform.publish(change())
    await platform.put_grants([grant()])
    await platform.set_grant_state("g1", GrantState.SUSPENDED, by="operator", reason="misuse")
    await platform.set_grant_state("g1", GrantState.ACTIVE, by=f"{POLICE}/wang", reason="settled")
    async with platform.session() as connection:
        rows = await connection.fetch("SELECT department, client, paths, grants, document_kind FROM audit_record")
    assert [tuple(row) for row in rows] == [
        ("", "operator", ["GRANT/g1/ACTIVE/SUSPENDED"], ["g1"], "grant"),
        (POLICE, "wang", ["GRANT/g1/SUSPENDED/ACTIVE"], ["g1"], "grant"),
    ]
