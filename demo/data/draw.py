"""In charge of chance that is the same on every machine: whole columns drawn from a seed."""

from collections.abc import Sequence
from datetime import date, timedelta
from itertools import accumulate
from random import Random
from typing import TypeVar

T = TypeVar("T")


class Draw:
    """Columns of pseudo-random values.

    INVARIANT: only `random()` of the generator is used, the one method whose sequence Python promises to keep between
    versions, so the demo region's rows never change unless this package does.
    """

    def __init__(self, seed: str) -> None:
        self._next = Random(seed).random

    def integers(self, count: int, low: int, high: int) -> list[int]:
        """`count` whole numbers in `low <= n <= high`."""
        span, step = high - low + 1, self._next
        return [low + int(step() * span) for _ in range(count)]

    def choices(self, pool: Sequence[T], count: int) -> list[T]:
        """`count` elements of `pool`, each equally likely."""
        size, step = len(pool), self._next
        return [pool[int(step() * size)] for _ in range(count)]

    def weighted(self, weights: dict[T, int], count: int) -> list[T]:
        """`count` keys of `weights`, each as likely as its whole weight says."""
        total = list(accumulate(weights.values()))
        wheel: list[T] = []
        for (key, _), low, high in zip(weights.items(), [0, *total], total, strict=False):
            wheel += [key] * (high - low)
        return self.choices(wheel, count)

    def chances(self, probability: float, count: int) -> list[bool]:
        """`count` booleans, TRUE with `probability`."""
        step = self._next
        return [step() < probability for _ in range(count)]

    def dates(self, count: int, first: date, last: date) -> list[date]:
        """`count` days in `first <= day <= last`."""
        days = [first + timedelta(n) for n in range((last - first).days + 1)]
        return self.choices(days, count)

    def sample(self, pool: Sequence[T], count: int) -> list[T]:
        """`count` different positions of `pool`, in random order. Raises ValueError when it has fewer."""
        if count > len(pool):
            raise ValueError(f"cannot draw {count} of {len(pool)}")
        rest, step = list(pool), self._next
        for position in range(count):
            other = position + int(step() * (len(rest) - position))
            rest[position], rest[other] = rest[other], rest[position]
        return rest[:count]


def handle(position: int) -> int:
    """The row handle of the row at `position`: unique below 2^48, without the row's order or content."""
    mixed = position * 0x9E3779B97F4B + 0x5851F42D4C95 & _MASK
    mixed ^= mixed >> 23
    mixed = mixed * 0xD6E8FEB86659 & _MASK
    return mixed ^ mixed >> 29


_MASK = (1 << 48) - 1
