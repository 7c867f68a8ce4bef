"""The cycle collector of a node: nothing is looked through for long, and nothing is kept for ever."""

import gc
import sys
import weakref
from collections.abc import Iterator

import pytest

from tanglai.server import memory
from tanglai.server.memory import Keeper, kept_still


class Cycle:
    def __init__(self) -> None:
        self.own = self


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    interval = sys.getswitchinterval()
    with kept_still() as keeper:
        assert not gc.isenabled()
        assert sys.getswitchinterval() < interval
        yield keeper
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0
    assert sys.getswitchinterval() == interval


def test_what_a_node_starts_with_is_set_aside(keeper: Keeper) -> None:
    kept = [[number] for number in range(1_000)]
    keeper.settle()
    assert gc.isenabled()
    assert gc.get_freeze_count() > len(kept)
    assert len(gc.get_objects(generation=2)) < len(kept)


def test_what_survives_a_slow_collection_is_set_aside(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    keeper.settle()
    kept = [[number] for number in range(1_000)]
    cycle = weakref.ref(Cycle())
    gc.collect()
    assert cycle() is None
    assert len(gc.get_objects(generation=2)) >= len(kept)
    monkeypatch.setattr(memory, "SLOW_SECONDS", -1.0)
    gc.collect()
    assert len(gc.get_objects(generation=2)) < len(kept)


def test_cycles_that_were_set_aside_are_found_in_the_end(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    keeper.settle()
    monkeypatch.setattr(memory, "SLOW_SECONDS", -1.0)
    thing = Cycle()
    cycle = weakref.ref(thing)
    gc.collect()
    del thing
    gc.collect()
    assert cycle() is not None
    keeper._aside = keeper._room  # as much was set aside meanwhile as may be
    kept = [[number] for number in range(1_000)]
    gc.collect()  # one list more, and everything comes back
    assert gc.get_freeze_count() == 0
    gc.collect()
    assert cycle() is None
    assert gc.get_freeze_count() > len(kept)
