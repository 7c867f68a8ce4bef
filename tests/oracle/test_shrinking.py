"""The search itself: a planted fault is found, made small, stored and replayed, and gone when the fault is gone."""

import json
import os
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tanglai.catalogue.model import Grant, ShareClass, Snapshot
from tests.gateways import StillReplica
from tests.oracle.batches import LEAST, SHARES, Batch, drawn, fight_batch, hold, kind_of
from tests.oracle.comparing import TALLY, Apart
from tests.oracle.dice import Dice
from tests.oracle.examples import Example, example, long_example
from tests.oracle.fuzz import Totals, line
from tests.oracle.kinds import KINDS, PAGEABLE, Grounds
from tests.oracle.language import Walk
from tests.oracle.shrinking import shrink, way_of
from tests.oracle.stored import decode, encode, load, save
from tests.oracle.twins import Twins
from tests.oracle.worlds import USUAL

SECONDS = 60.0
"""More than shrinking takes: what is found depends on no clock."""


def plant(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault: relations are open to all, whatever their key items and ends say."""
    monkeypatch.setattr(Snapshot, "relation_class", lambda *_: ShareClass.UNCONDITIONAL)


def dice(seed: int) -> Dice:
    return Dice(random.Random(seed).randint)


@pytest.mark.parametrize("kind", KINDS)
def test_a_case_is_read_back_as_it_was_written(kind: str) -> None:
    known = KINDS[kind]
    for seed in range(3):
        case = long_example(dice(seed), known.bounds, 40, known.fit)
        text = json.dumps(encode(case))
        back = decode(json.loads(text))
        assert back == case
        assert json.dumps(encode(back)) == text


def test_pairs_of_worlds_are_cases_too() -> None:
    (case, *_) = drawn(next(seed for seed in range(100) if kind_of(seed) == "twins"), "twins")
    assert isinstance(case, Twins)
    text = json.dumps(encode(case))
    assert json.dumps(encode(decode(json.loads(text)))) == text  # a number that is none is not equal to itself


def test_what_has_no_form_is_not_written() -> None:
    with pytest.raises(TypeError, match="`object` has no form in a file"):
        encode((object(),))


async def test_a_fault_is_found_made_small_stored_and_replayed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    plant(monkeypatch)
    async with Grounds() as grounds:
        seeds = (seed for seed in range(100) if kind_of(seed) == "memory")
        for seed in seeds:
            batch = await fight_batch(grounds, seed, folder=tmp_path, shrink_seconds=SECONDS)
            if batch.failure is not None:
                break
        assert batch.failure is not None
        case, told = load(Path(batch.failure))
        assert isinstance(case, Example)
        # Small: one asker with one operation about one relation, no row and no grant more than that needs.
        (asked,) = case.asked
        assert len(asked.operations) == 1
        assert asked.walk is None
        assert asked.reading is None
        assert sum(len(resource.relations) for resource in case.drawn.snapshot.resources.values()) == 2
        assert len(case.drawn.grants) <= 2
        assert (told["kind"], told["seed"]) == ("memory", seed)
        assert told["document"].lstrip("query").lstrip().startswith(("{", "("))
        assert {"why", "variables", "expected", "got"} <= set(told)
        with pytest.raises(Apart):
            await hold(grounds, "memory", case)
        monkeypatch.undo()
        await hold(grounds, "memory", case)


async def test_a_case_that_fails_in_another_way_is_not_taken() -> None:
    """The smaller cases fail too, but elsewhere."""
    case = example(dice(5), USUAL, 3, 3)

    async def check(one: Any) -> None:
        if len(one.asked) < len(case.asked):
            raise RuntimeError("another way")
        raise RuntimeError("this way")

    with pytest.raises(RuntimeError) as caught:
        await check(case)
    small, failed = await shrink(case, check, caught.value, SECONDS)
    assert way_of(failed) == way_of(caught.value)
    assert len(small.asked) == len(case.asked)
    assert not any(asked.operations for asked in small.asked)


async def test_what_changes_between_pages_is_held_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """A replica that notices no change of a grant is found out by the cursors that are used again."""

    async def stale(self: StillReplica, department: str, snapshot: Snapshot | None = None) -> tuple[Grant, ...]:
        known: dict[str, tuple[Grant, ...]] = self.__dict__.setdefault("known", {})
        return known.setdefault(department, self.held.get(department, ()))

    monkeypatch.setattr(StillReplica, "grants", stale)
    async with Grounds() as grounds:
        for seed in range(50):
            case = long_example(dice(seed), PAGEABLE, 1)
            readings = Example(case.drawn, tuple(replace(asked, operations=(), walk=None) for asked in case.asked))
            before = TALLY.reused
            try:
                await hold(grounds, "memory", readings)
            except Apart:
                break
        else:
            raise AssertionError("nobody noticed")
        assert TALLY.reused > before
        monkeypatch.undo()
        await hold(grounds, "memory", readings)


def test_kinds_are_spread_and_seeds_mean_the_same_always() -> None:
    for start in (0, 7, 12345):
        kinds = [kind_of(seed) for seed in range(start, start + 100)]
        assert {kind: kinds.count(kind) for kind in SHARES} == SHARES
    assert encode(drawn(11, "csv")[0]) == encode(drawn(11, "csv")[0])
    case = drawn(11, "memory")[0]
    assert isinstance(case, Example)
    assert sum(len(asked.operations) for asked in case.asked) >= LEAST
    assert any(isinstance(asked.walk, Walk) for asked in case.asked)


def test_a_seed_means_the_same_in_every_process() -> None:
    """Nothing is drawn in the order of a set of texts, which differs from process to process."""
    program = (
        "import json, sys; from tests.oracle.batches import drawn; from tests.oracle.stored import encode;"
        "print(json.dumps([encode(case) for seed in range(2) for case in drawn(seed, 'memory')]))"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": number},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            check=True,
        ).stdout
        for number in ("1", "2")
    }
    assert len(texts) == 1


def test_totals_say_which_seeds_were_tried() -> None:
    totals = Totals(7)
    counts = {"examples": 1, "operations": 210, "refused": 3, "reused": 2}
    totals.add(Batch(7, "memory", 1.0, counts))
    totals.add(Batch(8, "csv", 1.0, {**counts, "operations": 200}, "golden/csv-8.json", "apart"))
    told = totals.document()
    assert (told["first"], told["seeds"], told["catalogues"], told["operations"]) == (7, 2, 2, 410)
    assert told["by_kind"] == {
        "memory": {"seeds": 1, "operations": 210},
        "csv": {"seeds": 1, "operations": 200},
    }
    assert told["failures"] == ["golden/csv-8.json"]
    assert "FAILED, see golden/csv-8.json: apart" in line(Batch(8, "csv", 1.0, counts, "golden/csv-8.json", "apart"))


def test_a_stored_case_is_read_from_its_file(tmp_path: Path) -> None:
    case = example(dice(1), USUAL, 2, 2)
    place = save("one", case, {"kind": "memory", "why": "by hand"}, tmp_path)
    assert load(place)[0] == case
    assert load(place)[1]["why"] == "by hand"
