"""In charge of what one seed stands for: a kind of source, a catalogue, and a batch of operations over it."""

import random
import time
from collections.abc import Awaitable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.oracle.comparing import TALLY, Apart
from tests.oracle.dice import ByDice, Dice
from tests.oracle.duels import fight_on
from tests.oracle.examples import Example, long_example
from tests.oracle.kinds import KINDS, Grounds
from tests.oracle.shrinking import shrink
from tests.oracle.stored import GOLDEN, save
from tests.oracle.test_noninterference import in_memory
from tests.oracle.twins import Twins, alike, twins

LEAST = 200
"""Operations per catalogue at least."""
PAIRS = 20
"""Pairs of contents that look alike, per seed of the kind `twins`."""
SHARES: Mapping[str, int] = {
    "memory": 75,
    "postgresql": 8,
    "csv": 3,
    "parquet": 3,
    "interface": 3,
    "server": 5,
    "twins": 3,
}
"""Of a hundred seeds in a row. `twins` asks pairs of worlds; of that only questions for cursors count as operations."""
SHRINK_SECONDS = 180.0

assert sum(SHARES.values()) == 100
_KIND_BY_PLACE = [kind for kind, share in SHARES.items() for _ in range(share)]


def kind_of(seed: int) -> str:
    """The kind of a seed; kinds are spread over any hundred seeds in a row."""
    return _KIND_BY_PLACE[seed * 37 % 100]


@dataclass(frozen=True)
class Batch:
    """What became of a seed. `counts` are those of `Tally`; `failure` is the file that a failure was stored in."""

    seed: int
    kind: str
    seconds: float
    counts: Mapping[str, int]
    failure: str | None = None
    why: str = ""


Case = Example | Twins


def drawn(seed: int, kind: str) -> list[Case]:
    """The cases of a seed, the same ones always."""
    dice = Dice(random.Random(seed).randint)
    if kind == "twins":
        strategy = twins(keys=True)
        assert isinstance(strategy, ByDice)
        return [strategy.build(dice) for _ in range(PAIRS)]
    known = KINDS[kind]
    return [long_example(dice, known.bounds, LEAST, known.fit)]


async def hold(grounds: Grounds, kind: str, case: Case) -> None:
    """Asks what is to be asked; raises where gateway and oracle are apart, or answers tell of what is hidden."""
    if isinstance(case, Twins):
        if not alike(case, keys=True):
            raise ValueError("the contents do not look alike")
        await in_memory(case, calls=True)
        return
    async with grounds.on(kind, case.drawn) as ground:
        await fight_on(ground, case)


async def fight_batch(
    grounds: Grounds, seed: int, *, folder: Path = GOLDEN, shrink_seconds: float = SHRINK_SECONDS
) -> Batch:
    """Carries out a seed. A failure is made small and stored in `folder`."""
    kind, began, before = kind_of(seed), time.monotonic(), asdict(TALLY)

    def check(case: Any) -> Awaitable[None]:
        return hold(grounds, kind, case)

    failure, why = None, ""
    counts: Mapping[str, int] | None = None
    for case in drawn(seed, kind):
        try:
            await check(case)
        except Exception as error:
            counts = _since(before)
            small, failed = await shrink(case, check, error, shrink_seconds)
            failure = str(save(f"{kind}-{seed}", small, told(kind, seed, failed), folder))
            why = next(iter(str(failed).splitlines()), repr(failed))
            break
    return Batch(seed, kind, time.monotonic() - began, counts or _since(before), failure, why)


def told(kind: str, seed: int, error: BaseException) -> dict[str, Any]:
    """What a file of a failure says of it."""
    parts = error.parts if isinstance(error, Apart) else {"why": f"{type(error).__name__}: {error}"}
    return {"kind": kind, "seed": seed, **parts}


def _since(before: Mapping[str, int]) -> dict[str, int]:
    return {name: count - before[name] for name, count in asdict(TALLY).items()}
