"""A node's rule set changes at a recorded moment, by the database's clock, and the use before goes on."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from authz.decide import Asking, MaskKey, decide
from authz.denial import Denial
from authz.principal import Principal
from authz.visible import Use
from tanglai.audit.log import AuditLog
from tanglai.audit.records import AuditRecord, Outcome
from tanglai.catalogue.errors import ErrorCode
from tanglai.catalogue.model import Grant, GrantBasis, GrantState, OrganisationKind, ShareClass, Zone
from tanglai.catalogue.quotas import day_of
from tanglai.catalogue.rules import rule_set
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.errors import PolicyUnavailable, Refused
from tanglai.storage.replica import Replica
from tanglai.storage.rule_periods import (
    ContinueReport,
    Continuing,
    SwitchReport,
    continue_use,
    in_force,
    periods,
    switch,
)
from tests.unit.storage.gates import Clock, watched
from tests.unit.storage.sample import (
    DEPARTMENTS,
    HEALTH,
    POLICE,
    PURPOSES,
    RESIDENTS,
    TAX,
    VEHICLES,
    change,
    item,
    related,
    resource,
    until,
)

MEASURES, ORDER = "ningxia-measures", "order-809"
OPEN, SHUT = ShareClass.UNCONDITIONAL, ShareClass.CONDITIONAL
ENTERPRISE = replace(
    DEPARTMENTS[0], code="11640000010000003D", key="water", kind=OrganisationKind.PUBLIC_SERVICE_ENTERPRISE
)
MARCH = date(2099, 3, 1)
DAY_ONE = datetime.fromisoformat("2099-03-01T00:00:00+08:00")
DAY = timedelta(days=1)


def joined(code: str, target: str, name: str, inverse: str) -> Any:
    """A resource with open items `name`, `plate`, a conditional one, and an open relation to `target`."""
    ends = replace(related(True, target, inverse, name), share_class=OPEN)
    return resource(
        code, items=(item("name", OPEN), item("plate", OPEN), item("phone"), item("division")), relations=(ends,)
    )


@pytest.fixture
async def office(platform: PlatformDatabase) -> PlatformDatabase:
    """Two related resources of the police, from whom the health commission and the tax office take data."""
    await platform.publish(
        change(
            joined(RESIDENTS, VEHICLES, "vehicles", "owner"),
            joined(VEHICLES, RESIDENTS, "owner", "vehicles"),
            departments=(*DEPARTMENTS, ENTERPRISE),
        )
    )
    return platform


@pytest.fixture
async def log(office: PlatformDatabase) -> AsyncIterator[AuditLog]:
    audit = AuditLog(office.pool)
    yield audit
    await audit.close()


async def used(log: AuditLog, department: str, items: dict[str, tuple[str, ...]], **more: Any) -> None:
    values: dict[str, Any] = {
        "request_id": "r",
        "at": datetime.now(UTC) - DAY,
        "department": department,
        "client": "portal",
        "person": None,
        "purpose": "care",
        "operation_name": None,
        "operation_hash": "0" * 64,
        "document_kind": "text",
        "paths": (),
        "items": items,
        "grants": (),
        "rows": {},
        "outcome": Outcome.ALLOWED,
        "codes": (),
        "duration_us": 5,
        "node": "n1",
    }
    await log.append(AuditRecord(**values | more))


async def switched(
    database: PlatformDatabase, to: str = ORDER, day: date | None = MARCH, zone: Zone = Zone.INTRANET, **more: Any
) -> SwitchReport:
    given = {"by": "office", "reason": "the region follows the Order", "default": MEASURES} | more
    return await switch(database, zone, to, day or await today(database), **given)


async def today(database: PlatformDatabase) -> date:
    return day_of(await database.pool.fetchval("SELECT clock_timestamp()"))


async def now_in_force(database: PlatformDatabase, zone: Zone = Zone.INTRANET) -> str:
    async with database.session() as connection:
        return await in_force(connection, zone, "the setting")


async def transitions(database: PlatformDatabase, department: str = HEALTH) -> dict[tuple[str, str], Grant]:
    grants = await database.load_grants(department)
    return {(g.resource, g.purpose): g for g in grants if g.basis is GrantBasis.TRANSITION}


def continued(report: SwitchReport) -> ContinueReport:
    assert report.continued is not None
    return report.continued


# --- periods -------------------------------------------------------------------------------------------------------


async def test_before_the_first_period_the_setting_holds(office: PlatformDatabase) -> None:
    assert await now_in_force(office) == "the setting"
    assert (await office.confirm()).rule_sets == {}


async def test_a_switch_to_come_changes_nothing_yet(office: PlatformDatabase) -> None:
    report = await switched(office)
    assert (report.period.rule_set, report.period.from_at, report.period.by) == (ORDER, DAY_ONE, "office")
    assert await now_in_force(office) == "the setting"
    async with office.session() as connection:
        assert await periods(connection, Zone.INTRANET) == (report.period,)
        assert await periods(connection, Zone.EXTRANET) == ()


async def test_a_switch_of_today_holds_at_once_in_its_zone(office: PlatformDatabase) -> None:
    await switched(office, day=None)
    assert await now_in_force(office) == ORDER
    assert await now_in_force(office, Zone.EXTRANET) == "the setting"
    assert (await office.confirm()).rule_sets == {Zone.INTRANET: ORDER}
    await switched(office, MEASURES, day=None, zone=Zone.EXTRANET)
    assert (await office.confirm()).rule_sets == {Zone.INTRANET: ORDER, Zone.EXTRANET: MEASURES}


async def test_the_moment_comes_by_the_databases_clock(office: PlatformDatabase) -> None:
    await office.pool.execute(
        "INSERT INTO rule_set_period (zone, rule_set, from_at, by, reason, recorded_at) VALUES "
        "('INTRANET', $1, clock_timestamp() + interval '0.3 s', 'x', 'x', clock_timestamp()), "
        "('INTRANET', $2, clock_timestamp() + interval '100 years', 'x', 'x', clock_timestamp())",
        ORDER,
        MEASURES,
    )

    async def reached() -> bool:
        return (await office.confirm()).rule_sets == {Zone.INTRANET: ORDER}

    assert await until(reached)


async def test_of_two_from_one_moment_the_later_recorded_holds(office: PlatformDatabase) -> None:
    await switched(office)
    assert (await switched(office, MEASURES)).continued is None
    async with office.session() as connection:
        assert [period.rule_set for period in await periods(connection, Zone.INTRANET)] == [ORDER, MEASURES]
    assert await continue_use(office, Zone.INTRANET, by="office", default=MEASURES) is None


async def test_so_it_is_once_the_moment_has_come(office: PlatformDatabase) -> None:
    for name in (ORDER, MEASURES):
        await office.pool.execute(
            "INSERT INTO rule_set_period (zone, rule_set, from_at, by, reason, recorded_at) "
            "VALUES ('INTRANET', $1, '2026-01-01', 'x', 'x', '2026-01-01')",
            name,
        )
    assert await now_in_force(office) == MEASURES
    assert (await office.confirm()).rule_sets == {Zone.INTRANET: MEASURES}


async def test_periods_are_kept_as_they_are(office: PlatformDatabase) -> None:
    await switched(office)
    for statement in ("UPDATE rule_set_period SET rule_set = 'x'", "DELETE FROM rule_set_period"):
        async with office.session() as connection:
            with pytest.raises(Exception, match="are kept as they are"):
                await connection.execute(statement)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"day": date(2026, 1, 1)}, "`2026-01-01` is past"),
        ({"day": date(2025, 7, 31)}, "`order-809` is in force from 2025-08-01 on"),
        ({"reason": ""}, "says who decides it and why"),
        ({"by": ""}, "says who decides it and why"),
        ({"to": "order-810"}, "unknown rule set `order-810`"),
    ],
)
async def test_what_cannot_be_is_refused(office: PlatformDatabase, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises((Refused, ValueError), match=message):
        await switched(office, **wrong)
    assert await office.pool.fetchval("SELECT count(*) FROM rule_set_period") == 0


# --- replicas ------------------------------------------------------------------------------------------------------


async def test_a_replica_follows_within_a_second_and_reads_nothing_again(office: PlatformDatabase, url: str) -> None:
    clock = Clock()
    async with await watched(url) as database:
        replica = Replica(database, Zone.INTRANET, rule_set=MEASURES, clock=clock)
        before = await replica.confirm()
        held = await replica.grants(HEALTH, before.snapshot)
        await switched(office, day=None)
        clock.value += 0.999
        assert (await replica.confirm()).snapshot is before.snapshot
        clock.value += 0.001
        after = await replica.confirm()
        assert (before.snapshot.rule_set, after.snapshot.rule_set) == (MEASURES, ORDER)
        assert after.snapshot.number == before.snapshot.number
        assert after.snapshot.resources is before.snapshot.resources
        assert await replica.grants(HEALTH, after.snapshot) is held
        clock.value += 1.0
        assert (await replica.confirm()).snapshot is after.snapshot
        assert (database.confirms.asked, database.snapshots.asked, database.grants.asked) == (3, 2, 1)
        await replica.close()


async def test_watchers_get_the_snapshot_under_the_other_rules(office: PlatformDatabase) -> None:
    clock = Clock()
    replica = Replica(office, Zone.INTRANET, rule_set=ORDER, clock=clock)
    seen: list[str] = []
    replica.watch(lambda snapshot: seen.append(snapshot.rule_set))
    await replica.confirm()
    await switched(office, MEASURES, day=None)
    clock.value += 1.0
    await replica.confirm()
    assert seen == [ORDER, MEASURES]
    await replica.close()


async def test_rules_that_the_program_does_not_have_decide_nothing(office: PlatformDatabase) -> None:
    clock = Clock()
    replica = Replica(office, Zone.INTRANET, clock=clock)
    await replica.confirm()
    await office.pool.execute(
        "INSERT INTO rule_set_period (zone, rule_set, from_at, by, reason, recorded_at) "
        "VALUES ('INTRANET', 'of-a-newer-program', now(), 'x', 'x', now())"
    )
    clock.value += 1.0
    with pytest.raises(PolicyUnavailable):
        await replica.confirm()
    await replica.close()


# --- use that goes on ----------------------------------------------------------------------------------------------


async def test_unconditional_use_goes_on_under_a_grant_of_transition(office: PlatformDatabase, log: AuditLog) -> None:
    await used(log, HEALTH, {RESIDENTS: ("name", "vehicles", "phone"), VEHICLES: ("name",)})
    await used(log, HEALTH, {RESIDENTS: ("plate",)}, outcome=Outcome.PARTIAL)
    await used(log, HEALTH, {RESIDENTS: ("name",)}, purpose="audit")
    report = await switched(office, continuing=Continuing(valid_days=90))
    found = await transitions(office)
    assert {key: (set(g.items), set(g.relations)) for key, g in found.items()} == {
        (RESIDENTS, "care"): ({"name", "plate"}, {"vehicles"}),
        (RESIDENTS, "audit"): ({"name"}, set()),
        (VEHICLES, "care"): ({"name"}, set()),
    }
    assert set(continued(report).added) == {g.id for g in found.values()}
    for held in found.values():
        assert (held.valid_from, held.valid_to) == (DAY_ONE, DAY_ONE + 90 * DAY)
        assert (held.state, held.masks, held.quota) == (GrantState.ACTIVE, {}, None)
        (step,) = await office.grant_history(held.id)
        assert step.by == "office"
        assert step.reason == (
            "use goes on from 2099-03-01, when an application comes to be needed (Order 809 Art. 21)"
        )


async def test_what_is_no_such_use_is_left_out(office: PlatformDatabase, log: AuditLog) -> None:
    name: dict[str, tuple[str, ...]] = {RESIDENTS: ("name",)}
    await used(log, POLICE, name)  # its own data
    await used(log, ENTERPRISE.code, name)  # provides and does not request
    await used(log, "11640000019999999X", name)  # not in the register
    await used(log, HEALTH, {RESIDENTS: ("phone",), "9/9": ("name",)})  # conditional; not in the catalogue
    await used(log, HEALTH, name, outcome=Outcome.DENIED)
    await used(log, HEALTH, name, at=datetime.now(UTC) - 366 * DAY)  # long ago
    await used(log, TAX, name, purpose=None)
    await used(log, TAX, name, purpose="gone")
    report = continued(await switched(office))
    assert (report.added, report.widened, report.kept) == ((), (), 0)
    assert [(left.department, left.purpose, left.why) for left in report.left_out] == [
        (TAX, None, "no purpose was stated"),
        (TAX, "gone", "the purpose is not registered"),
    ]
    assert await office.pool.fetchval("SELECT count(*) FROM data_grant") == 0


async def test_running_it_again_adds_what_was_used_since(office: PlatformDatabase, log: AuditLog) -> None:
    await used(log, HEALTH, {RESIDENTS: ("name",)})
    await used(log, TAX, {RESIDENTS: ("name",)})
    (first, second) = sorted(continued(await switched(office)).added)
    (of_tax,) = [g.id for g in (await transitions(office, TAX)).values()]
    again = await continue_use(office, Zone.INTRANET, by="office", default=MEASURES)
    assert again == ContinueReport((), (), 2, ())
    await office.set_grant_state(of_tax, GrantState.ENDED, by="office", reason="not needed")
    await used(log, HEALTH, {RESIDENTS: ("plate",), VEHICLES: ("name",)})
    await used(log, TAX, {RESIDENTS: ("plate",)})
    wider = Continuing(valid_days=1)
    report = await continue_use(office, Zone.INTRANET, by="office", default=MEASURES, continuing=wider)
    found = await transitions(office)
    assert report is not None
    assert report.added == (found[VEHICLES, "care"].id,)
    assert report.widened == (found[RESIDENTS, "care"].id,)
    assert found[RESIDENTS, "care"].items == {"name", "plate"}
    assert found[RESIDENTS, "care"].valid_to == DAY_ONE + 365 * DAY
    ended = (await transitions(office, TAX))[RESIDENTS, "care"]
    assert (ended.state, set(ended.items)) == (GrantState.ENDED, {"name"})
    assert {first, second} == {found[RESIDENTS, "care"].id, of_tax}


async def test_a_switch_that_closes_nothing_records_no_grant(office: PlatformDatabase, log: AuditLog) -> None:
    await used(log, HEALTH, {RESIDENTS: ("name",)})
    assert (await switched(office, default=ORDER)).continued is None
    assert (await switched(office, MEASURES, MARCH + DAY)).continued is None
    assert await transitions(office) == {}
    back = await switched(office, ORDER, MARCH + 2 * DAY)
    assert len(continued(back).added) == 1


async def test_after_the_switch_the_grant_opens_and_others_are_asked_to_apply(
    office: PlatformDatabase, log: AuditLog
) -> None:
    await used(log, HEALTH, {RESIDENTS: ("name",)})
    await switched(office, day=None)
    replica = Replica(office, Zone.INTRANET)
    moment = await replica.confirm()
    denials = {}
    for department in DEPARTMENTS[1:]:
        who = Principal(department, "app", purposes=frozenset(p.code for p in PURPOSES))
        held = await replica.grants(department.code, moment.snapshot)
        rules, key = rule_set(moment.snapshot.rule_set), MaskKey("m1", b"secret")
        for purpose in ("care", "audit"):
            asking = Asking(moment.snapshot, rules, who, purpose, held, moment.now, key)
            cell = decide(asking, moment.snapshot.resources[RESIDENTS]).resolve("name", Use.SELECT)
            denials[department.code, purpose] = cell.code if isinstance(cell, Denial) else None
    assert denials == {
        (HEALTH, "care"): None,
        (HEALTH, "audit"): ErrorCode.PURPOSE_MISMATCH,
        (TAX, "care"): ErrorCode.GRANT_REQUIRED,
        (TAX, "audit"): ErrorCode.GRANT_REQUIRED,
    }
    await replica.close()


async def test_a_grant_of_transition_opens_what_is_unconditional_now(office: PlatformDatabase, log: AuditLog) -> None:
    """An item that becomes conditional later needs an application like any other, and the relation over it too."""
    await used(log, HEALTH, {RESIDENTS: ("name", "plate", "vehicles")})
    await switched(office)
    before = await office.load_snapshot(Zone.INTRANET)
    closed = {}
    for code in (RESIDENTS, VEHICLES):
        items = tuple(replace(i, share_class=SHUT) if i.name == "name" else i for i in before.resources[code].items)
        closed[code] = replace(before.resources[code], items=items)
    await office.publish(change(*closed.values(), departments=(*DEPARTMENTS, ENTERPRISE)))
    after = await office.load_snapshot(Zone.INTRANET)
    opened = []
    for snapshot in (before, after):
        (held,) = (await office.load_department(HEALTH, snapshot.resources)).grants
        opened.append((set(held.items), set(held.relations)))
    assert opened == [({"name", "plate"}, {"vehicles"}), ({"plate"}, set())]


async def test_all_or_nothing(office: PlatformDatabase, log: AuditLog) -> None:
    """The switch is not recorded where its grants cannot be."""
    await used(log, HEALTH, {RESIDENTS: ("name",)})
    await office.pool.execute(
        "CREATE FUNCTION refuse_transition() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION 'not today' USING ERRCODE = 'TL001'; END $$"
    )
    await office.pool.execute(
        "CREATE TRIGGER refuse BEFORE INSERT ON data_grant FOR EACH ROW EXECUTE FUNCTION refuse_transition()"
    )
    with pytest.raises(Refused, match="not today"):
        await switched(office)
    assert await office.pool.fetchval("SELECT count(*) FROM rule_set_period") == 0


async def test_a_catalogue_that_changes_meanwhile_is_read_again(
    office: PlatformDatabase, log: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is unconditional is judged by the catalogue under which the grants are recorded."""
    await used(log, HEALTH, {RESIDENTS: ("name", "plate")})
    load = office.load_snapshot
    loads = 0

    async def and_then_changed(*given: Any, **named: Any) -> Any:
        nonlocal loads
        loads += 1
        snapshot = await load(*given, **named)
        if loads == 1:
            closed = snapshot.resources[RESIDENTS]
            items = tuple(replace(i, share_class=SHUT) if i.name == "plate" else i for i in closed.items)
            await office.publish(change(replace(closed, items=items), departments=(*DEPARTMENTS, ENTERPRISE)))
        return snapshot

    monkeypatch.setattr(office, "load_snapshot", and_then_changed)
    await switched(office)
    assert loads == 2
    assert (await transitions(office))[RESIDENTS, "care"].items == {"name"}


def test_continuing_is_bounded() -> None:
    with pytest.raises(ValueError, match="goes on for `1` day or more"):
        Continuing(valid_days=0)
    with pytest.raises(ValueError, match="use of `0` days or more"):
        Continuing(used_days=-1)
