"""In charge of what rounds say: medians, ratios of paired rounds with an interval, bars met or missed."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb
from typing import Any

from benchmarks.speed.cases import Case
from benchmarks.speed.load import Figures

CONFIDENCE = 0.95
REFERENCE_BAR = 0.9
"""Against an earlier state: slower than this, and certainly slower at all, is a failure."""

Round = Mapping[str, Figures]
"""The figures of one round by subject."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """`low` to `high` holds the median of all rounds there could be with probability `confidence`."""

    median: float
    low: float
    high: float
    confidence: float


def interval(count: int, confidence: float = CONFIDENCE) -> tuple[int, float]:
    """Of `count` sorted values the one from each end (0 the outermost) between which the median lies, and how surely.

    By order statistics: the number of values below the median is binomial. Where `count` is too small for `confidence`
    the outermost values are taken, and the returned probability says what they give.
    """
    outside = 0.0
    found = 0, max(0.0, 1 - 2 / 2**count)
    for place in range((count + 1) // 2):
        outside += comb(count, place) / 2**count
        if 1 - 2 * outside >= confidence:
            found = place, 1 - 2 * outside
    return found


def ratio(rounds: Sequence[Round], subject: str, other: str) -> Ratio:
    """Requests per second of `subject` by those of `other`, round by round."""
    found = sorted(each[subject].rps / each[other].rps for each in rounds)
    place, sure = interval(len(found))
    return Ratio(statistics.median(found), found[place], found[-1 - place], sure)


def summary(case: Case, rounds: Sequence[Round], missing: Mapping[str, str]) -> dict[str, Any]:
    """What stands in the results for `case`: ratios, or null with the reason, figures of subjects, bars, `met`."""
    result: dict[str, Any] = {}
    met = True
    for other, bar in case.bars.items():
        if other in missing:
            result[f"vs_{other}"] = None
            result[f"vs_{other}_reason"] = missing[other]
            continue
        if other not in rounds[0]:
            continue
        found = ratio(rounds, case.subject, other)
        result |= _told(f"vs_{other}", found)
        result[f"vs_{other}_cpu"] = _by_cpu(rounds, case.subject, other)
        met = met and found.median >= bar
    if "reference" in rounds[0]:
        found = ratio(rounds, case.subject, "reference")
        result |= _told("vs_reference", found)
        result["vs_reference_cpu"] = _by_cpu(rounds, case.subject, "reference")
        result["slower"] = found.median < REFERENCE_BAR and found.high < 1
        met = met and not result["slower"]
    result["confidence"] = round(interval(len(rounds))[1], 4)
    result["rounds"] = len(rounds)
    result["connections"] = case.connections
    result["subjects"] = {name: _middle([each[name] for each in rounds]) for name in sorted(rounds[0])}
    result["bars"] = dict(case.bars)
    result["met"] = met
    return result


def _told(key: str, found: Ratio) -> dict[str, Any]:
    return {key: round(found.median, 3), f"{key}_interval": [round(found.low, 3), round(found.high, 3)]}


def _by_cpu(rounds: Sequence[Round], subject: str, other: str) -> float | None:
    """The ratio that CPU time alone would give, which a busy machine disturbs less; None where it was not told."""
    if not all(each[name].cpu_ms.total for each in rounds for name in (subject, other)):
        return None
    return round(statistics.median(each[other].cpu_ms.total / each[subject].cpu_ms.total for each in rounds), 3)


def _middle(figures: Sequence[Figures]) -> dict[str, Any]:
    return {
        "rps": round(statistics.median(one.rps for one in figures), 1),
        "p50_ms": round(statistics.median(one.p50_ms for one in figures), 2),
        "p99_ms": round(statistics.median(one.p99_ms for one in figures), 2),
        "cpu_ms": {
            part: round(statistics.median(getattr(one.cpu_ms, part) for one in figures), 3)
            for part in ("subject", "sources", "platform", "total")
        },
    }
