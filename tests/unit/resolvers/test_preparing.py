"""A new snapshot is prepared before requests come to it; one that cannot be built harms nobody else."""

from dataclasses import replace
from typing import Any

import pytest

from schema import unified
from tanglai.catalogue.model import Snapshot
from tests.catalogues import make_snapshot, population
from tests.gateways import World

QUERY = "{ catalogue { snapshot } }"


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of the snapshots that schemas were built of."""
    built: list[int] = []
    build = unified.build

    def counted(snapshot: Snapshot, **more: Any) -> unified.UnifiedSchema:
        built.append(snapshot.number)
        return build(snapshot, **more)

    monkeypatch.setattr(unified, "build", counted)
    return built


async def test_a_prepared_snapshot_costs_a_request_nothing(builds: list[int]) -> None:
    old = population()
    world = World(old, {}, [])
    assert (await world.ask(QUERY)).data["catalogue"]["snapshot"] == old.number
    new = replace(old, number=old.number + 1)
    await world.gateway.prepare(new)
    assert (await world.ask(QUERY)).data["catalogue"]["snapshot"] == old.number
    world.replica.snapshot = new
    assert (await world.ask(QUERY)).data["catalogue"]["snapshot"] == new.number
    assert builds == [old.number, new.number]


async def test_a_snapshot_without_a_schema_leaves_the_former_one_alone(builds: list[int]) -> None:
    old = population()
    world = World(old, {}, [])
    resource = old.served[0]
    broken = make_snapshot([replace(resource, names=replace(resource.names, type="no name"))], number=old.number + 1)
    await world.gateway.prepare(broken)
    assert (await world.ask(QUERY)).data["catalogue"]["snapshot"] == old.number
    assert builds == [broken.number, old.number]
