"""Catalogue entries on a real database, under both rule sets: what is published, when, by whom, and what it breaks."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from tanglai.catalogue.expressions import Compare, CompareOp, ItemRef, Value
from tanglai.catalogue.model import Category, Grant, GrantBasis, Resource, ShareClass, Source
from tanglai.catalogue.scalars import ScalarType
from tanglai.catalogue.workflow.entry import entry_draft
from tanglai.catalogue.workflow.errors import (
    Conflict,
    InvalidAct,
    NotFound,
    NotPermitted,
    Problem,
    ProblemCode,
    WrongState,
)
from tanglai.catalogue.workflow.versions import Loss
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.publishing import CatalogueChange
from tanglai.storage.workflow import applications, entries, impact, matters, obligations
from tanglai.storage.workflow.entries import EntryInput
from tanglai.storage.workflow.matters import Matter
from tanglai.storage.workflow.obligations import LegalChange
from tanglai.storage.workflow.usage import roll_up
from tests.catalogues import make_item, make_relation
from tests.entries import draft, register, without
from tests.office import CITY_OFFICE, CITY_POLICE, COUNTY, HEALTH, OFFICE, OTHER_CITY, POLICE, Office

REGISTER = register()


@pytest.fixture
async def office(platform: PlatformDatabase) -> Office:
    return await Office.open(platform, [REGISTER])


@pytest.fixture
async def order(platform: PlatformDatabase) -> Office:
    return await Office.open(platform, [REGISTER], rules="order-809")


async def create(office: Office, given: EntryInput, department: str = POLICE, **more: Any) -> Matter:
    return await entries.create(office.desk, await office.acting(department, "cataloguer"), given, **more)


async def revise(office: Office, **changes: Any) -> Matter:
    return await create(office, EntryInput(draft(REGISTER, **changes)))


async def publish(office: Office, matter: Matter, **more: Any) -> Matter:
    return await entries.publish(
        office.desk, await office.acting(POLICE, "cataloguer"), matter.id, matter.version, **more
    )


async def approve(office: Office, matter: Matter, department: str = POLICE) -> Matter:
    return await entries.approve(office.desk, await office.acting(department, "head"), matter.id, matter.version)


async def submit(office: Office, matter: Matter, department: str = POLICE) -> Matter:
    acting = await office.acting(department, "cataloguer")
    return await entries.submit(office.desk, acting, matter.id, matter.version)


async def audit(office: Office, matter: Matter, department: str = OFFICE, **more: Any) -> Matter:
    acting = await office.acting(department, "coordinator")
    return await entries.publish(office.desk, acting, matter.id, matter.version, **more)


async def problems(act: Any) -> list[tuple[str, ProblemCode]]:
    return [(".".join(problem.field), problem.code) for problem in await refused(act)]


async def refused(act: Any) -> tuple[Problem, ...]:
    with pytest.raises(InvalidAct) as caught:
        await act
    return caught.value.problems


async def published(office: Office, code: str = "301/1") -> Resource | None:
    return (await office.snapshot()).resources.get(code)


async def notices(office: Office, department: str) -> list[tuple[str, str | None, str | None, Any]]:
    rows = await office.platform.pool.fetch(
        "SELECT kind, resource, grant_id, document FROM notice WHERE department = $1 ORDER BY id", department
    )
    return [tuple(row) for row in rows]


async def deadlines(office: Office, matter: Matter) -> list[matters.Deadline]:
    return (await office.desk.read(lambda connection: matters.deadlines(connection, [matter.id])))[matter.id]


def grant(office: Office, **changes: Any) -> Grant:
    base = Grant(
        "g-1",
        HEALTH,
        "301/1",
        frozenset({"phone"}),
        "care",
        datetime(2026, 1, 1, tzinfo=UTC),
        datetime(2027, 1, 1, tzinfo=UTC),
        GrantBasis.APPLICATION,
    )
    return replace(base, **changes)


# --- under the Measures: a department keeps its own catalogue (Art. 8) ----------------------------------------------


async def test_a_revision_is_published_by_its_department_and_seen_at_once(office: Office) -> None:
    before = await office.snapshot()
    matter = await revise(office, title="许可登记")
    assert (matter.state, matter.provider, matter.resource) == ("DRAFT", POLICE, "301/1")
    assert (await published(office)).title == REGISTER.title  # type: ignore[union-attr]
    matter = await publish(office, matter)
    assert (matter.state, matter.closed, matter.coordinator) == ("PUBLISHED", True, OFFICE)
    after = await office.snapshot()
    found = after.resources["301/1"]
    assert (found.version, found.title, after.number > before.number) == (2, "许可登记", True)
    assert [(it.version, it.retired_at is None) for it in after.history["301/1"]] == [(1, False), (2, True)]
    (former,) = await office.platform.load_versions([("301/1", 1)])
    assert former is not None
    assert former.title == REGISTER.title
    (audited,) = await office.platform.pool.fetch(
        "SELECT paths, items FROM audit_record WHERE operation_name = 'PUBLISH'"
    )
    assert audited["paths"] == [f"ENTRY/{matter.id}/PUBLISH/PUBLISHED"]


async def test_a_new_entry_takes_the_next_number_of_its_category(office: Office) -> None:
    first = register(code="301/2", word="licence")
    matter = await create(office, EntryInput(draft(first, code=None, provider=None, branch=None)))
    again = await create(office, EntryInput(draft(first, code=None, graphql=None)))
    assert (matter.resource, again.resource) == ("301/2", "301/3")
    matter = await publish(office, matter)
    found = await published(office, "301/2")
    assert found is not None
    assert (found.version, found.provider) == (1, POLICE)
    assert await problems(create(office, EntryInput({"title": "x"}))) == [("document.category", ProblemCode.MISSING)]


async def test_a_draft_may_be_incomplete_but_is_not_published_so(office: Office) -> None:
    matter = await create(office, EntryInput({"code": "301/9", "title": "半成品"}))
    told = await refused(publish(office, matter))
    assert {".".join(it.field) for it in told if it.code is ProblemCode.MISSING} >= {
        "document.items",
        "document.shareClass",
        "document.source",
        "document.graphql",
    }
    assert await published(office, "301/9") is None
    assert (await office.desk.read(lambda c: matters.find(c, matter.id))).version == 1  # type: ignore[union-attr]


async def test_form_and_law_are_told_together(office: Office) -> None:
    document = draft(REGISTER, condition=None, title="")
    document["items"][1]["dataElement"] = "no such token!"
    told = await refused(publish(office, await create(office, EntryInput(document))))
    assert [(".".join(it.field), it.code, it.article) for it in told] == [
        ("document.title", ProblemCode.MALFORMED, None),
        ("document.items.1.dataElement", ProblemCode.MALFORMED, None),
        ("document.items.2.condition", ProblemCode.MISSING, "Art. 9(2)"),
        ("document.items.3.condition", ProblemCode.MISSING, "Art. 9(2)"),
    ]


@pytest.mark.parametrize("flag", ["secrecy", "密级"])
async def test_a_secrecy_flag_is_not_even_drafted(office: Office, flag: str) -> None:
    told = await refused(create(office, EntryInput(draft(REGISTER) | {flag: "机密"})))
    assert [(it.code, it.article) for it in told] == [(ProblemCode.NOT_ALLOWED, "Order 809 Art. 3")]
    assert await office.platform.pool.fetchval("SELECT count(*) FROM matter") == 0


async def test_a_revision_that_changes_nothing_is_none(office: Office) -> None:
    matter = await create(office, EntryInput(), code="301/1")
    assert await problems(publish(office, matter)) == [("document", ProblemCode.NOT_ALLOWED)]


async def test_one_open_entry_for_each_resource(office: Office) -> None:
    first, second = await asyncio.gather(revise(office, title="甲"), revise(office, title="乙"), return_exceptions=True)
    told = [it for it in (first, second) if isinstance(it, InvalidAct)]
    assert [problem.code for it in told for problem in it.problems] == [ProblemCode.TAKEN]
    (opened,) = [it for it in (first, second) if isinstance(it, Matter)]
    await entries.withdraw(office.desk, await office.acting(POLICE, "cataloguer"), opened.id, 1)
    assert (await revise(office, title="乙")).state == "DRAFT"


async def test_a_request_that_is_sent_again_opens_nothing_new(office: Office) -> None:
    given = EntryInput(draft(REGISTER, title="甲"))
    first = await create(office, given, key="r1")
    assert (await create(office, given, key="r1")).id == first.id


async def test_the_loser_of_two_amendments_is_told(office: Office) -> None:
    matter = await revise(office, title="甲")
    acting = await office.acting(POLICE, "cataloguer", person="li")
    await entries.amend(office.desk, acting, matter.id, 1, EntryInput(draft(REGISTER, title="乙")))
    with pytest.raises(Conflict) as caught:
        await publish(office, matter)
    assert (caught.value.version, caught.value.changed_by) == (2, "li")


async def test_a_draft_of_an_older_version_is_amended_onto_the_newer(office: Office) -> None:
    matter = await revise(office, title="甲")
    newer = replace(REGISTER, summary="另一个说明")
    await office.platform.publish(CatalogueChange(by="operator", resources=(newer,)))
    assert await problems(publish(office, matter)) == [("basedOn", ProblemCode.NOT_ALLOWED)]
    acting = await office.acting(POLICE, "cataloguer")
    matter = await entries.amend(office.desk, acting, matter.id, 1, EntryInput(draft(newer, title="甲"), based_on=2))
    assert (await publish(office, matter)).state == "PUBLISHED"
    found = await published(office)
    assert found is not None
    assert (found.version, found.title, found.summary) == (3, "甲", "另一个说明")


async def test_what_is_checked_is_what_is_committed(office: Office) -> None:
    """Somebody publishes between the request's snapshot and the act."""
    matter = await revise(office, title="甲")
    acting = await office.acting(POLICE, "cataloguer")
    await office.platform.publish(CatalogueChange(by="operator", resources=(replace(REGISTER, summary="x"),)))
    assert await problems(entries.publish(office.desk, acting, matter.id, 1)) == [("basedOn", ProblemCode.NOT_ALLOWED)]


async def test_whose_entry_it_is(office: Office) -> None:
    with pytest.raises(NotPermitted) as caught:
        await create(office, EntryInput(draft(REGISTER, title="x")), HEALTH)
    assert caught.value.article == "Art. 8"
    with pytest.raises(NotPermitted):
        await create(office, EntryInput(draft(REGISTER, provider=HEALTH)), POLICE)
    with pytest.raises(NotPermitted):
        await entries.create(office.desk, await office.acting(POLICE, "reviewer"), EntryInput(), code="301/1")
    matter = await revise(office, title="甲")
    with pytest.raises(NotFound):  # a draft is its department's
        await entries.publish(office.desk, await office.acting(OFFICE, "coordinator"), matter.id, 1)
    with pytest.raises(NotPermitted):
        await entries.publish(office.desk, await office.acting(POLICE, "head"), matter.id, 1)
    with pytest.raises(WrongState):
        await submit(office, matter)


async def test_basic_and_thematic_resources_are_their_leads(office: Office) -> None:
    led = (Category("2", "主题", "themes"), Category("201", "健康", "health", "2", (HEALTH,)))
    await office.platform.publish(CatalogueChange(by="test", categories=led))
    told = {"code": "201/1", "title": "健康"}
    with pytest.raises(NotPermitted) as caught:
        await create(office, EntryInput(told), POLICE)
    assert (caught.value.article, "`health`" in caught.value.message) == ("Art. 10(3)", True)
    matter = await create(office, EntryInput(told | {"provider": "public-security"}), HEALTH)
    assert matter.document["resource"] | told == matter.document["resource"]
    assert matter.document["resource"]["compiler"] == HEALTH
    city = await create(office, EntryInput(told | {"code": "201/2"}), CITY_POLICE)  # no lead in that government
    assert city.document["resource"]["compiler"] == CITY_POLICE


# --- what breaks ---------------------------------------------------------------------------------------------------


async def found_impact(office: Office, matter: Matter) -> impact.Impact:
    snapshot = await office.snapshot()
    told = await entries.look(
        {matter.id: entry_draft(matter.document)}, await office.acting(POLICE), snapshot, entries.NO_MORE
    )
    new = {str(matter.resource): told[matter.id].resource}
    return await office.desk.read(lambda connection: impact.impact(connection, snapshot, new))


async def test_what_breaks_is_accepted_before_it_is_published(office: Office) -> None:
    await office.platform.put_grants([grant(office), grant(office, id="g-2", items=frozenset({"name"}))])
    matter = await create(office, EntryInput(without(draft(REGISTER), "phone")))
    assert await problems(publish(office, matter)) == [("acceptBreaking", ProblemCode.MISSING)]
    found = await found_impact(office, matter)
    assert [(it.coordinate, it.parts) for it in found.breaks] == [("Permit.phone", ("phone",))]
    assert [(it.grant, [(hit.loss, hit.name) for hit in it.hits]) for it in found.grants] == [
        ("g-1", [(Loss.ITEM, "phone")])
    ]
    assert await problems(publish(office, matter, accept_breaking="another")) == [
        ("acceptBreaking", ProblemCode.NOT_ALLOWED)
    ]
    await office.platform.put_grants([grant(office, id="g-3")])  # somebody more is hit than was shown
    assert await problems(publish(office, matter, accept_breaking=found.mark)) == [
        ("acceptBreaking", ProblemCode.NOT_ALLOWED)
    ]
    assert (await published(office)).version == 1  # type: ignore[union-attr]
    found = await found_impact(office, matter)
    matter = await publish(office, matter, accept_breaking=found.mark)
    assert (matter.state, (await published(office)).version) == ("PUBLISHED", 2)  # type: ignore[union-attr]
    told = await notices(office, HEALTH)
    assert [(kind, code, grant) for kind, code, grant, _ in told] == [
        ("RESOURCE_CHANGED", "301/1", "g-1"),
        ("RESOURCE_CHANGED", "301/1", "g-3"),
    ]


async def test_a_stricter_class_breaks_access(office: Office) -> None:
    document = draft(REGISTER)
    document["items"][1]["shareClass"] = ShareClass.CONDITIONAL.value
    matter = await create(office, EntryInput(document))
    assert await problems(publish(office, matter)) == [("acceptBreaking", ProblemCode.MISSING)]
    found = await found_impact(office, matter)
    assert [it.words for it in found.breaks] == ["`Permit.name` is CONDITIONAL now, not UNCONDITIONAL"]


async def test_what_only_adds_breaks_nothing(office: Office) -> None:
    added = register(make_item("colour"))
    matter = await publish(office, await create(office, EntryInput(draft(added))))
    assert matter.state == "PUBLISHED"


async def test_the_rows_of_a_live_grant_are_told_by_every_version(office: Office) -> None:
    scope = Compare(CompareOp.EQ, ItemRef("division", ScalarType.TEXT), Value("640100", ScalarType.TEXT))
    await office.platform.put_grants([grant(office, scope=scope)])
    matter = await create(office, EntryInput(without(draft(REGISTER), "division")))
    found = await found_impact(office, matter)
    assert await problems(publish(office, matter, accept_breaking=found.mark)) == [
        ("document.items", ProblemCode.NOT_ALLOWED)
    ]


async def test_clients_and_operations_that_used_what_breaks(office: Office) -> None:
    rows: list[tuple[Mapping[str, list[str]], str, str]] = [
        ({"301/1": ["phone"]}, "portal", "Phones"),
        ({"301/1": ["name"]}, "kiosk", "Names"),
    ]
    async with office.platform.session() as connection:
        for items, client, operation in rows:
            await connection.execute(_AUDIT, office.now, HEALTH, client, operation, json.dumps(items))
        assert await roll_up(connection) == 2
    matter = await create(office, EntryInput(without(draft(REGISTER), "phone")))
    found = await found_impact(office, matter)
    today = date(2026, 9, 18)
    clients = await office.desk.read(lambda connection: impact.clients(connection, found, today))
    assert [(it.department, it.client, it.requests) for it in clients] == [(HEALTH, "portal", 1)]
    used = await office.desk.read(lambda connection: impact.operations(connection, found, today))
    assert [(code, use.operation_name) for code, use in used] == [("301/1", "Phones")]


_AUDIT = """
INSERT INTO audit_record (request_id, at, department, client, operation_name, operation_hash, document_kind, paths,
                          items, grants, rows, outcome, codes, duration_us, node)
VALUES ('r', $1, $2, $3, $4, repeat('0', 64), 'text', '{}', $5::jsonb, '{}', '{"301/1": 3}', 'ALLOWED', '{}', 5, 'n')
"""


# --- both ends of a relation, retirement -----------------------------------------------------------------------------


def ends() -> tuple[Resource, Resource]:
    """The register with a relation to a second one that leads back."""
    one = register(relations=[make_relation("cars", "301/2", ["number"], ["number"], inverse="permit", many=True)])
    two = register(
        code="301/2",
        word="car",
        relations=[make_relation("permit", "301/1", ["number"], ["number"], inverse="cars")],
    )
    return one, two


async def test_both_ends_of_a_relation_are_published_together(office: Office) -> None:
    one, two = ends()
    first = await create(office, EntryInput(draft(one)))
    assert ("document.relations.0.target", ProblemCode.NOT_ALLOWED) in await problems(publish(office, first))
    second = await create(office, EntryInput(draft(two), together=(first.id,)))
    assert await problems(publish(office, second)) == [("together", ProblemCode.NOT_ALLOWED)]  # the other has to agree
    acting = await office.acting(POLICE, "cataloguer")
    await entries.amend(office.desk, acting, first.id, 1, EntryInput(together=(second.id,)))
    assert (await publish(office, second)).state == "PUBLISHED"
    snapshot = await office.snapshot()
    assert {code: it.version for code, it in snapshot.resources.items()} == {"301/1": 2, "301/2": 1}
    other = await office.desk.read(lambda connection: matters.find(connection, first.id))
    assert other is not None
    assert (other.state, other.closed) == ("PUBLISHED", True)


async def test_departments_that_name_each_others_entries_agree(office: Office) -> None:
    one, two = ends()
    source = Source("clinic", "诊所系统", HEALTH, "postgresql", office.zone, {"url": {"env": "CLINIC"}})
    await office.platform.publish(CatalogueChange(by="test", sources=(source,)))
    theirs = replace(two, provider=HEALTH, binding=replace(two.binding, source="clinic"))
    second = await create(office, EntryInput(draft(theirs)), HEALTH)
    first = await create(office, EntryInput(draft(one), together=(second.id,)))
    assert await problems(publish(office, first)) == [("together", ProblemCode.NOT_ALLOWED)]
    assert (await published(office, "301/2")) is None
    acting = await office.acting(HEALTH, "cataloguer")
    await entries.amend(office.desk, acting, second.id, 1, EntryInput(together=(first.id,)))
    assert (await publish(office, first)).state == "PUBLISHED"
    found = await published(office, "301/2")
    assert found is not None
    assert found.provider == HEALTH
    assert [it[0] for it in await notices(office, HEALTH)] == ["ENTRY_PUBLISHED"]


async def test_a_retirement_with_notice(office: Office) -> None:
    await office.platform.put_grants([grant(office)])
    applicant = await office.acting(COUNTY, "applicant")
    asked = await applications.create(
        office.desk,
        applicant,
        {"resource": "301/1", "items": ["phone"], "purpose": "care", "duty": "x", "legalBasis": "y"},
    )
    asked = await applications.submit(office.desk, applicant, asked.id, asked.version)
    matter = await create(office, EntryInput(), code="301/1", retire=True)
    assert await problems(publish(office, matter)) == [("note", ProblemCode.MISSING)]
    acting = await office.acting(POLICE, "cataloguer")
    matter = await entries.amend(office.desk, acting, matter.id, 1, EntryInput(note="机构改革，职能划转"))
    found = await found_impact(office, matter)
    assert [hit.loss for it in found.grants for hit in it.hits] == [Loss.RESOURCE]
    matter = await publish(office, matter, accept_breaking=found.mark)
    assert matter.state == "RETIRED"
    assert await published(office) is None
    ((kind, code, held, document),) = await notices(office, HEALTH)
    assert (kind, code, held) == ("RESOURCE_RETIRED", "301/1", "g-1")
    assert "机构改革" in document
    assert [it[0] for it in await notices(office, COUNTY)] == ["RESOURCE_RETIRED"]
    still = await office.desk.read(lambda connection: matters.find(connection, asked.id))
    assert still is not None
    assert still.state == "SUBMITTED"
    again = await publish(office, await create(office, EntryInput(draft(REGISTER))))
    assert again.state == "PUBLISHED"
    assert (await published(office)).version == 2  # type: ignore[union-attr]


async def test_what_others_lead_to_is_not_retired_alone(platform: PlatformDatabase) -> None:
    one, two = ends()
    office = await Office.open(platform, [one, two])
    gone = await create(office, EntryInput(note="x"), code="301/2", retire=True)
    assert await problems(publish(office, gone)) == [("together", ProblemCode.NOT_ALLOWED)]
    kept = await create(office, EntryInput(draft(REGISTER), together=(gone.id,)))
    acting = await office.acting(POLICE, "cataloguer")
    gone = await entries.amend(office.desk, acting, gone.id, 1, EntryInput(together=(kept.id,)))
    snapshot = await office.snapshot()
    found = await office.desk.read(lambda c: impact.impact(c, snapshot, {"301/1": REGISTER, "301/2": None}))
    assert {it.coordinate for it in found.breaks} == {"Permit.cars", "Car"}
    assert (await publish(office, gone, accept_breaking=found.mark)).state == "RETIRED"
    assert set((await office.snapshot()).resources) == {"301/1"}


# --- under Order 809 -----------------------------------------------------------------------------------------------


async def test_approved_submitted_audited_and_published(order: Office) -> None:
    matter = await revise(order, title="许可登记")
    with pytest.raises(WrongState):
        await publish(order, matter)
    with pytest.raises(WrongState):
        await submit(order, matter)
    matter = await submit(order, await approve(order, matter))
    assert (matter.state, matter.coordinator) == ("SUBMITTED", OFFICE)
    (clock,) = await deadlines(order, matter)
    assert (clock.kind, clock.department, clock.days, clock.due_on) == ("AUDIT", OFFICE, 2, date(2026, 9, 21))
    for department in (CITY_OFFICE, OTHER_CITY):
        with pytest.raises(NotFound):
            await audit(order, matter, department)
    matter = await audit(order, matter)
    assert matter.state == "PUBLISHED"
    assert (await published(order)).title == "许可登记"  # type: ignore[union-attr]
    assert [(it.met, it.ended_on) for it in await deadlines(order, matter)] == [(True, date(2026, 9, 18))]
    assert [it[0] for it in await notices(order, POLICE)] == ["ENTRY_PUBLISHED"]


async def test_returned_with_reasons_and_approved_again(order: Office) -> None:
    matter = await submit(order, await approve(order, await revise(order, title="甲")))
    coordinator = await order.acting(OFFICE, "coordinator")
    assert await problems(entries.return_(order.desk, coordinator, matter.id, matter.version, " ")) == [
        ("reason", ProblemCode.MISSING)
    ]
    matter = await entries.return_(order.desk, coordinator, matter.id, matter.version, "名称不规范")
    assert matter.state == "RETURNED"
    assert [it[0] for it in await notices(order, POLICE)] == ["ENTRY_RETURNED"]
    with pytest.raises(WrongState):
        await audit(order, matter)
    cataloguer = await order.acting(POLICE, "cataloguer")
    given = EntryInput(draft(REGISTER, title="乙"))
    matter = await entries.amend(order.desk, cataloguer, matter.id, matter.version, given)
    with pytest.raises(WrongState):
        await submit(order, matter)
    matter = await audit(order, await submit(order, await approve(order, matter)))
    assert (await published(order)).title == "乙"  # type: ignore[union-attr]


async def test_what_was_approved_is_what_is_submitted(order: Office) -> None:
    matter = await approve(order, await revise(order, title="甲"))
    cataloguer = await order.acting(POLICE, "cataloguer")
    given = EntryInput(draft(REGISTER, title="乙"))
    matter = await entries.amend(order.desk, cataloguer, matter.id, matter.version, given)
    assert matter.state == "DRAFT"


async def test_nobody_approves_or_audits_their_own(order: Office) -> None:
    wang = await order.acting(POLICE, "cataloguer", "head", person="wang")
    matter = await entries.create(order.desk, wang, EntryInput(draft(REGISTER, title="甲")))
    with pytest.raises(NotPermitted) as caught:
        await entries.approve(order.desk, wang, matter.id, matter.version)
    assert caught.value.own_act
    # the competent department's own catalogue: audited by somebody who had no hand in it
    chen = await order.acting(OFFICE, "cataloguer", "coordinator", person="chen")
    source = Source("office", "数据局系统", OFFICE, "postgresql", order.zone, {"url": {"env": "OFFICE"}})
    await order.platform.publish(CatalogueChange(by="test", sources=(source,)))
    bulletin = register(code="301/5", word="bulletin", group="bulletins", source="office")
    chen = replace(chen, snapshot=await order.snapshot())
    own = await entries.create(order.desk, chen, EntryInput(draft(bulletin, provider=OFFICE)))
    own = await submit(order, await approve(order, own, OFFICE), OFFICE)
    with pytest.raises(NotPermitted) as caught:
        await entries.publish(order.desk, chen, own.id, own.version)
    assert caught.value.own_act
    assert (await audit(order, own)).state == "PUBLISHED"


async def test_an_incomplete_draft_is_neither_approved_nor_submitted(order: Office) -> None:
    matter = await create(order, EntryInput({"code": "301/9", "title": "半成品"}))
    assert ("document.items", ProblemCode.MISSING) in await problems(approve(order, matter))


# --- obligations -----------------------------------------------------------------------------------------------------


def law(*departments: str, changed_on: date = date(2026, 9, 1), **more: Any) -> LegalChange:
    return LegalChange("《许可法》修订", changed_on, departments or ("public-security",), **more)


async def oblige(
    office: Office, change: LegalChange, department: str = OFFICE, role: str = "supervisor"
) -> list[Matter]:
    return await obligations.open_all(office.desk, await office.acting(department, role), change)


async def test_one_obligation_for_each_department_from_the_day_of_the_change(office: Office) -> None:
    found = await oblige(office, law(POLICE, "health", "public-security", resources=("301/1",), article="第五条"))
    assert [(it.provider, it.coordinator, it.state) for it in found] == [
        (POLICE, OFFICE, "OPEN"),
        (HEALTH, OFFICE, "OPEN"),
    ]
    assert [it.document["resources"] for it in found] == [["301/1"], []]
    (clock,) = await deadlines(office, found[0])
    assert (clock.kind, clock.department, clock.days, clock.started_on) == ("OBLIGATION", POLICE, 15, date(2026, 9, 1))
    assert (clock.due_on, clock.flagged_at) == (date(2026, 9, 21), None)  # the Sunday before is worked
    assert [it[0] for it in await notices(office, HEALTH)] == ["OBLIGATION_OPENED"]


async def test_it_may_open_overdue_and_is_flagged_at_once(office: Office) -> None:
    (found,) = await oblige(office, law(changed_on=date(2026, 7, 1)))
    (clock,) = await deadlines(office, found)
    assert (clock.due_on, clock.flagged_at, clock.overdue(date(2026, 9, 18))) == (date(2026, 7, 22), office.now, True)
    assert [it[0] for it in await notices(office, POLICE)] == ["OBLIGATION_OVERDUE"]


async def test_who_opens_obligations(office: Office) -> None:
    for department, role, named in (
        (OFFICE, "supervisor", "city-police"),  # another level's
        (CITY_OFFICE, "supervisor", "public-security"),
        (CITY_OFFICE, "supervisor", "other-city"),
        (POLICE, "supervisor", "public-security"),
        (OFFICE, "coordinator", "public-security"),
        (POLICE, "cataloguer", "health"),
    ):
        with pytest.raises(NotPermitted):
            await oblige(office, law(named), department, role)
    assert len(await oblige(office, law("city-police"), CITY_OFFICE)) == 1
    assert len(await oblige(office, law(), POLICE, "cataloguer")) == 1
    told = await problems(oblige(office, law("nobody", changed_on=date(2026, 9, 19), resources=("9/9",))))
    assert told == [
        ("changedOn", ProblemCode.NOT_ALLOWED),
        ("departments.0", ProblemCode.UNKNOWN),
        ("resources.0", ProblemCode.UNKNOWN),
    ]


async def test_the_same_request_again_obliges_nobody_twice(office: Office) -> None:
    acting = await office.acting(OFFICE, "supervisor")
    first = await obligations.open_all(office.desk, acting, law(POLICE, HEALTH), key="k")
    again = await obligations.open_all(office.desk, acting, law(POLICE, HEALTH), key="k")
    assert [it.id for it in first] == [it.id for it in again]
    assert len(await deadlines(office, first[0])) == 1
    assert len(await notices(office, HEALTH)) == 1


async def test_under_the_measures_publication_meets_it(office: Office) -> None:
    one, two = await oblige(office, law()), await oblige(office, law(changed_on=date(2026, 7, 1)))
    ids = (one[0].id, two[0].id)
    matter = await create(office, EntryInput(draft(REGISTER, title="甲"), obligations=ids))
    office.pass_days(3)
    await publish(office, matter)
    found = await office.desk.read(lambda connection: matters.events(connection, ids))
    assert [[(it.event, it.given.get("entry")) for it in found[id]][-1] for id in ids] == [("MEET", matter.id)] * 2
    clocks = [(await deadlines(office, it))[0] for it in (*one, *two)]
    assert [(it.met, it.ended_on, it.overdue(date(2027, 1, 1))) for it in clocks] == [
        (True, date(2026, 9, 21), False),
        (True, date(2026, 9, 21), True),
    ]


async def test_under_the_order_the_submission_meets_it_for_good(order: Office) -> None:
    (due,) = await oblige(order, law())
    assert (await deadlines(order, due))[0].days == 10
    matter = await create(order, EntryInput(draft(REGISTER, title="甲"), obligations=(due.id,)))
    matter = await approve(order, matter)
    assert (await order.desk.read(lambda c: matters.find(c, due.id))).state == "OPEN"  # type: ignore[union-attr]
    matter = await submit(order, matter)
    assert (await order.desk.read(lambda c: matters.find(c, due.id))).state == "MET"  # type: ignore[union-attr]
    coordinator = await order.acting(OFFICE, "coordinator")
    matter = await entries.return_(order.desk, coordinator, matter.id, matter.version, "名称不规范")
    assert (await order.desk.read(lambda c: matters.find(c, due.id))).state == "MET"  # type: ignore[union-attr]
    cataloguer = await order.acting(POLICE, "cataloguer")
    told = await problems(entries.withdraw(order.desk, cataloguer, matter.id, matter.version))
    assert told == [("", ProblemCode.NOT_ALLOWED)]


async def test_an_entry_names_open_obligations_of_its_own_department(office: Office) -> None:
    found = await oblige(office, law(POLICE, HEALTH))
    told = await problems(create(office, EntryInput(draft(REGISTER), obligations=(found[1].id, "O-1"))))
    assert told == [("obligations.0", ProblemCode.UNKNOWN), ("obligations.1", ProblemCode.UNKNOWN)]
    supervisor = await office.acting(OFFICE, "supervisor")
    assert await problems(obligations.cancel(office.desk, supervisor, found[0].id, 1, "")) == [
        ("reason", ProblemCode.MISSING)
    ]
    with pytest.raises(NotPermitted):
        await obligations.cancel(office.desk, await office.acting(POLICE, "cataloguer"), found[0].id, 1, "不涉及")
    await obligations.cancel(office.desk, supervisor, found[0].id, 1, "不涉及")
    told = await problems(create(office, EntryInput(draft(REGISTER), obligations=(found[0].id,))))
    assert told == [("obligations.0", ProblemCode.NOT_ALLOWED)]
