"""In charge of covering arrays: few of many combinations, such that every pair of values that occurs occurs in one."""

from collections.abc import Hashable, Iterator, Sequence
from itertools import combinations
from typing import TypeVar

T = TypeVar("T", bound=Sequence[Hashable])

Pair = tuple[int, Hashable, int, Hashable]


def pairs(row: Sequence[Hashable]) -> Iterator[Pair]:
    """Every pair of values of a combination, with the axes that they are of."""
    for (one, first), (other, second) in combinations(enumerate(row), 2):
        yield one, first, other, second


def covering(rows: Sequence[T], scatter: int = 7919) -> list[T]:
    """Some of `rows`, which together hold every pair that `rows` hold; always the same ones for the same rows.

    Greedy: first those with many new pairs, then those with fewer. `scatter` is a prime that mixes the order.
    """
    size = len(rows)
    step = scatter if size % scatter else scatter + 2
    order = [rows[(index * step) % size] for index in range(size)]
    assert len({id(row) for row in order}) == size, "the order leaves rows out"
    width = len(rows[0]) if rows else 0
    seen: set[Pair] = set()
    chosen: list[T] = []
    for enough in range(width * (width - 1) // 2, 0, -1):
        rest: list[T] = []
        for row in order:
            new = [pair for pair in pairs(row) if pair not in seen]
            if len(new) >= enough:
                seen.update(new)
                chosen.append(row)
            elif new:
                rest.append(row)
        order = rest
    return chosen
