"""In charge of what is asked: many draws of a case, by many clients, the same for all subjects."""

import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

from benchmarks.speed.cases import AGGREGATE_SINCE, Case
from benchmarks.speed.contract import Draw
from benchmarks.speed.platform import Asker

DRAWS = 2_000
# Not from the last counties of the register, so that a full window follows.
_COUNTIES = ("640104", "640106", "640122", "640202", "640302", "640323", "640402", "640422", "640424", "640502")
_FIRST_BIRTH, _DAYS = date(1935, 1, 1), 31_000


def draws(case: Case, askers: Sequence[Asker], *, count: int = DRAWS, seed: int = 1) -> list[Draw]:
    """`count` draws, each with another start, client and, by chance, department. The same for the same seed."""
    chance = random.Random(f"{case.name} {seed}")
    low, high = (datetime.fromisoformat(moment) for moment in AGGREGATE_SINCE)
    found = []
    for _ in range(count):
        asker = chance.choice(askers)
        born = _FIRST_BIRTH + timedelta(days=chance.randrange(_DAYS))
        since = low + timedelta(seconds=chance.randrange(int((high - low).total_seconds())))
        found.append(
            Draw(
                case=case.name,
                count=case.count,
                start=f"{chance.choice(_COUNTIES)}{born:%Y%m%d}",
                since=since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                area=asker.area,
                department=asker.key,
                token=chance.choice(asker.tokens),
            )
        )
    return found
