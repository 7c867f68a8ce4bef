"""In charge of the promise that reading what changed since a snapshot gives what reading everything gives."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tanglai.catalogue.model import Resource, Zone
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.embedded import EmbeddedPostgres
from tanglai.storage.errors import Refused
from tanglai.storage.migrate import upgrade
from tests.unit.storage.sample import DEPARTMENTS, POLICE, PURPOSES, change, resource

CODES = ("1/1", "1/2")
Step = tuple[str, Any]

names = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=8)
titles = st.sampled_from(["a", "b", "c"]) | names
publish = st.tuples(st.just("publish"), st.dictionaries(st.sampled_from(CODES), titles, min_size=1))
steps = st.lists(
    st.one_of(
        publish,
        publish,
        publish,
        st.tuples(st.just("retire"), st.sampled_from(CODES)),
        st.tuples(st.just("rename"), titles),
        st.tuples(st.just("purpose"), st.sampled_from(["new-1", "new-2"])),
        st.tuples(st.just("refused"), titles),
    ),
    min_size=5,
    max_size=15,
)


@asynccontextmanager
async def fresh(postgres: EmbeddedPostgres) -> AsyncIterator[PlatformDatabase]:
    name = f"property_{uuid4().hex}"
    postgres.create_database(name)
    try:
        await upgrade(postgres.url(name))
        async with await PlatformDatabase.open(postgres.url(name), max_size=2) as database:
            yield database
    finally:
        postgres.drop_database(name)


class Expected:
    """What the catalogue holds by the rules of publication, kept in plain dictionaries."""

    def __init__(self) -> None:
        self.published: dict[str, str] = {}
        self.versions: dict[str, list[tuple[str, bool]]] = {}  # (title, retired)
        self.name = DEPARTMENTS[0].name
        self.purposes = {purpose.code for purpose in PURPOSES}

    def publish(self, titles: dict[str, str]) -> bool:
        new = {code: title for code, title in titles.items() if self.published.get(code) != title}
        for code, title in new.items():
            past = self.versions.setdefault(code, [])
            past[:] = [(old, True) for old, _ in past] + [(title, False)]
        self.published |= new
        return bool(new)

    def retire(self, code: str) -> bool:
        if code not in self.published:
            return False
        del self.published[code]
        self.versions[code][-1] = (self.versions[code][-1][0], True)
        return True


async def take(database: PlatformDatabase, expected: Expected, step: Step) -> bool:
    """Do `step` to both; whether something changed."""
    match step:
        case "publish", titles:
            resources = tuple(resource(code, title) for code, title in titles.items())
            report = await database.publish(change(*resources, departments=(), purposes=()))
            assert bool(report.versions) == expected.publish(titles)
            return bool(report.versions)
        case "retire", code:
            try:
                await database.retire(code, by="steward")
            except Refused:
                return expected.retire(code)
            assert expected.retire(code)
            return True
        case "rename", name:
            renamed = (replace(DEPARTMENTS[0], name=name),)
            report = await database.publish(change(departments=renamed, resources=(), purposes=()))
            changed = bool(name != expected.name)
            expected.name = name
            assert report.empty != changed
            return changed
        case "purpose", code:
            added = (replace(PURPOSES[0], code=code),)
            await database.publish(change(purposes=added, departments=(), resources=()))
            changed = code not in expected.purposes
            expected.purposes.add(code)
            return changed
        case "refused", title:
            bad: tuple[Resource, ...] = (resource("1/1", title), resource("1/2", title, provider="1" * 18))
            try:
                await database.publish(change(resources=bad))
            except Refused:
                return False
    raise AssertionError(step)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps)
async def test_by_difference_and_whole_are_the_same(postgres: EmbeddedPostgres, steps: list[Step]) -> None:
    async with fresh(postgres) as database:
        await database.publish(change(resources=()))
        expected = Expected()
        known = await database.load_snapshot(Zone.INTRANET)
        for step in steps:
            changed = await take(database, expected, step)
            before = known
            known = await database.load_snapshot(Zone.INTRANET, previous=before)
            whole = await database.load_snapshot(Zone.INTRANET)
            assert known == whole
            assert list(known.resources) == list(whole.resources)
            assert (known.number > before.number) == changed
            assert {code: held.title for code, held in known.resources.items()} == expected.published
            assert {code: held.version for code, held in known.resources.items()} == {
                code: len(expected.versions[code]) for code in expected.published
            }
            assert {
                code: [(past.title, past.retired_at is not None) for past in history]
                for code, history in known.history.items()
            } == expected.versions
            assert known.departments[POLICE].name == expected.name
            assert set(known.purposes) == expected.purposes
            for code, held in known.resources.items():
                same = before.resources.get(code)
                if same is not None and same.version == held.version:
                    assert held is same
