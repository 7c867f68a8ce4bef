"""In charge of publication: whole or not at all, idempotent, one after the other, versions immutable."""

import asyncio
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import asyncpg
import pytest

from tanglai.catalogue.errors import ErrorCode
from tanglai.catalogue.model import Category, Department, Level, PublishedVersion, ShareClass, Snapshot, Zone
from tanglai.catalogue.scalars import ScalarType
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.errors import Refused
from tests.unit.storage.sample import (
    CATEGORIES,
    DEPARTMENTS,
    DIVISIONS,
    PURPOSES,
    RESIDENTS,
    SOURCES,
    TAX,
    VEHICLES,
    blocked,
    change,
    epochs,
    grant,
    item,
    related,
    resource,
)


async def load(platform: PlatformDatabase) -> Snapshot:
    return await platform.load_snapshot(Zone.INTRANET)


async def test_what_was_published_is_what_is_loaded(platform: PlatformDatabase) -> None:
    report = await platform.publish(change(resource(), resource(VEHICLES, "车辆"), note="first"))
    assert report.versions == {RESIDENTS: 1, VEHICLES: 1}
    snapshot = await load(platform)
    assert snapshot.number == report.number > 0
    assert (snapshot.zone, snapshot.rule_set) == (Zone.INTRANET, "ningxia-measures")
    assert tuple(snapshot.departments.values()) == DEPARTMENTS
    assert tuple(snapshot.divisions.values()) == DIVISIONS
    assert tuple(snapshot.categories.values()) == CATEGORIES
    assert tuple(snapshot.sources.values()) == SOURCES
    assert set(snapshot.purposes.values()) == set(PURPOSES)
    loaded = snapshot.resources[RESIDENTS]
    assert loaded.published_at is not None
    assert loaded == replace(resource(), published_at=loaded.published_at)
    assert snapshot.history[RESIDENTS] == (
        PublishedVersion(RESIDENTS, 1, "居民", ShareClass.CONDITIONAL, loaded.published_at, None, "first"),
    )


async def test_publishing_twice_changes_nothing(platform: PlatformDatabase) -> None:
    await platform.publish(change())
    before = await platform.confirm()
    again = await platform.publish(change(resource(version=9)))
    assert again.empty
    after = await platform.confirm()
    assert (after.catalogue, after.grants) == (before.catalogue, before.grants)
    assert len((await load(platform)).history[RESIDENTS]) == 1


async def test_a_different_document_is_a_new_version(platform: PlatformDatabase) -> None:
    await platform.publish(change(resource(), resource(VEHICLES)))
    old = await load(platform)
    report = await platform.publish(change(resource(title="常住居民"), resource(VEHICLES), note="new title"))
    assert report.versions == {RESIDENTS: 2}
    assert report.changed == {}
    new = await load(platform)
    assert new.number == report.number > old.number
    assert (new.resources[RESIDENTS].title, new.resources[RESIDENTS].version) == ("常住居民", 2)
    first, second = new.history[RESIDENTS]
    assert first.retired_at is not None
    assert first.retired_at >= first.published_at
    assert (second.version, second.retired_at, second.note) == (2, None, "new title")
    assert old.resources[RESIDENTS].title == "居民"


async def test_registers_are_replaced_only_where_different(platform: PlatformDatabase) -> None:
    await platform.publish(change())
    renamed = replace(DEPARTMENTS[0], name="公安厅（新）")
    report = await platform.publish(change(departments=(renamed, *DEPARTMENTS[1:])))
    assert report.changed == {"department": (renamed.code,)}
    assert report.versions == {}
    assert (await load(platform)).departments[renamed.code] == renamed


async def test_a_retired_resource_is_gone_and_its_versions_stay(platform: PlatformDatabase) -> None:
    await platform.publish(change(resource(), resource(VEHICLES)))
    number = await platform.retire(VEHICLES, by="steward", note="merged")
    snapshot = await load(platform)
    assert snapshot.number == number
    assert list(snapshot.resources) == [RESIDENTS]
    assert snapshot.history[VEHICLES][0].retired_at is not None
    with pytest.raises(Refused, match=f"resource `{VEHICLES}` is not published"):
        await platform.retire(VEHICLES, by="steward")
    report = await platform.publish(change(resource(VEHICLES)))
    assert report.versions == {VEHICLES: 2}
    assert (await load(platform)).resources[VEHICLES].version == 2


async def test_the_target_of_a_relation_cannot_retire(platform: PlatformDatabase) -> None:
    owners = resource(relations=(related(True, VEHICLES, "owner", "vehicles"),))
    vehicles = resource(VEHICLES, relations=(related(False, RESIDENTS, "vehicles", "owner"),))
    await platform.publish(change(owners, vehicles))
    with pytest.raises(Refused, match=f"resource `{RESIDENTS}` has a relation to `{VEHICLES}`"):
        await platform.retire(VEHICLES, by="steward")
    await platform.publish(change(resource(), resource(VEHICLES)))
    await platform.retire(VEHICLES, by="steward")


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"departments": (replace(DEPARTMENTS[0], division="999999"),)}, "a department names a division `999999`"),
        ({"sources": (replace(SOURCES[0], department=TAX[:-1] + "Z"),)}, "a source names a department"),
        ({"categories": (Category("102", "x", "x", "9"),)}, "a category names a parent `9`"),
        ({"resources": (resource(category="77"),)}, "a resource names a category `77`"),
        ({"resources": (resource(provider="11640000010000009Z"),)}, "a resource names a provider"),
        (
            {"resources": (resource(binding=replace(resource().binding, source="none")),)},
            "a resource names a source `none` that does not exist",
        ),
        ({"resources": (resource(), resource())}, f"resource `{RESIDENTS}` is given twice"),
        ({"purposes": PURPOSES + PURPOSES}, "purpose `care` is given twice"),
        (
            {"departments": (Department(TAX[:-1] + "9", "health", "x", "x", Level.REGION, "640000"),)},
            "a department with this key `health` exists already",
        ),
        ({"by": ""}, "says who publishes"),
    ],
)
async def test_a_publication_that_cannot_be_leaves_nothing(
    platform: PlatformDatabase, others: dict[str, Any], message: str
) -> None:
    await platform.publish(change())
    before = await load(platform)
    extra = (Division640300,)
    with pytest.raises(Refused, match=message) as caught:
        await platform.publish(change(divisions=DIVISIONS + extra, **others))
    assert caught.value.code is ErrorCode.BAD_INPUT
    assert await load(platform) == before


Division640300 = replace(DIVISIONS[1], code="640300", name="吴忠市")


@pytest.mark.parametrize(
    "others",
    [
        {"resources": (resource(title="a\x00b"),)},
        {"resources": (resource(summary="a\x00b"),)},
        {"resources": (resource(summary="lone \ud800 surrogate"),)},
        {"resources": (resource(code="1\x00/1"),)},
        {"resources": (resource(binding=replace(resource().binding, options={"a": ["\x00"]})),)},
        {"resources": (resource(binding=replace(resource().binding, options={"\x00": 1})),)},
        {"resources": (resource(binding=replace(resource().binding, options={"n": 2**70})),)},
        {"sources": (replace(SOURCES[0], options=MappingProxyType({"password": "\x00"})),)},
        {"sources": (replace(SOURCES[0], options=MappingProxyType({"a": object()})),)},
        {"departments": (replace(DEPARTMENTS[0], name="\x00"),)},
        {"departments": (replace(DEPARTMENTS[0], code="'; DROP TABLE epoch; --"),)},
        {"purposes": (replace(PURPOSES[0], title="\u202egrant"),)},
        {"divisions": (replace(DIVISIONS[0], code="\ud800"),)},
        {"by": "a\x00b"},
        {"note": "a\x00b"},
        {"by": "\ud800"},
    ],
)
async def test_hostile_texts_are_refused_with_a_typed_error(platform: PlatformDatabase, others: dict[str, Any]) -> None:
    with pytest.raises(Refused) as caught:
        await platform.publish(change(**others))
    assert "\x00" not in caught.value.message
    caught.value.message.encode()
    assert (await load(platform)).number == 0


async def test_a_text_that_only_looks_like_an_escape_is_stored(platform: PlatformDatabase) -> None:
    options = MappingProxyType({"pattern": r"\u0000", "other": "'; DROP TABLE epoch; -- $1 %s :x"})
    odd = resource(binding=replace(resource().binding, options=options), summary=r"\u0000 100% :name $1")
    await platform.publish(change(odd))
    loaded = (await load(platform)).resources[RESIDENTS]
    assert (loaded.binding.options, loaded.summary) == (options, odd.summary)


async def test_concurrent_publications_come_one_after_the_other(url: str, platform: PlatformDatabase) -> None:
    await platform.publish(change())
    async with await PlatformDatabase.open(url) as other:
        reports = await asyncio.gather(
            *((platform, other)[n % 2].publish(change(resource(title=f"title {n}"))) for n in range(8))
        )
    assert sorted(report.versions[RESIDENTS] for report in reports) == list(range(2, 10))
    assert len({report.number for report in reports}) == 8
    last = max(reports, key=lambda report: report.number)
    snapshot = await load(platform)
    assert snapshot.number == last.number
    assert snapshot.resources[RESIDENTS].version == last.versions[RESIDENTS] == 9
    assert [past.version for past in snapshot.history[RESIDENTS] if past.retired_at is None] == [9]


async def test_a_publication_cut_off_in_the_middle_leaves_nothing(url: str, platform: PlatformDatabase) -> None:
    await platform.publish(change())
    before = await load(platform)
    blocker = await asyncpg.connect(url)
    async with blocker.transaction():
        await blocker.execute("LOCK TABLE resource_version IN SHARE MODE")
        renamed = replace(DEPARTMENTS[0], name="公安厅（新）")
        publication = asyncio.create_task(
            platform.publish(change(resource(title="new"), departments=(renamed, *DEPARTMENTS[1:])))
        )
        # It has written the department and the resource, and waits to write the version.
        await blocker.execute("SELECT pg_terminate_backend($1)", await blocked(blocker))
        with pytest.raises(Exception, match="unavailable"):
            await publication
    await blocker.close()
    assert await load(platform) == before
    report = await platform.publish(change(resource(title="new"), departments=(renamed, *DEPARTMENTS[1:])))
    assert (report.versions, report.changed) == ({RESIDENTS: 2}, {"department": (renamed.code,)})


async def test_a_cancelled_publication_leaves_nothing(url: str, platform: PlatformDatabase) -> None:
    await platform.publish(change())
    before = await load(platform)
    blocker = await asyncpg.connect(url)
    async with blocker.transaction():
        await blocker.execute("LOCK TABLE resource_version IN SHARE MODE")
        publication = asyncio.create_task(platform.publish(change(resource(title="new"))))
        await blocked(blocker)
        publication.cancel()
        with pytest.raises(asyncio.CancelledError):
            await publication
    await blocker.close()
    assert await load(platform) == before


async def test_a_version_that_a_live_grant_cannot_be_read_against_is_refused(platform: PlatformDatabase) -> None:
    await platform.publish(change())
    await platform.put_grants([grant()])
    narrower = resource(items=(item("name", ShareClass.UNCONDITIONAL), item("phone")))
    with pytest.raises(Refused, match=f"new version of resource `{RESIDENTS}` does not fit grant `g1`"):
        await platform.publish(change(narrower))
    before = await epochs(platform.pool)
    await platform.set_grant_state("g1", grant().state.ENDED, by="reviewer", reason="done")
    await platform.publish(change(narrower))
    assert (await epochs(platform.pool))["catalogue"] > before["catalogue"]


async def test_a_new_item_type_reaches_the_scope_of_a_live_grant(platform: PlatformDatabase) -> None:
    await platform.publish(change())
    await platform.put_grants([grant()])
    number = item("division", type=ScalarType.LONG, column=replace(item("division").column, type=ScalarType.LONG))
    await platform.publish(change(resource(items=(*resource().items[:2], number))))
    (held,) = await platform.load_grants(grant().requester)
    assert "LONG" in repr(held.scope)
