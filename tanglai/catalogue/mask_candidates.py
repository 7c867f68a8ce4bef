"""In charge of counting how many identity numbers remain for somebody who sees a part of one and knows its holder.

A resident number (GB 11643) is division 6, birth date 8, order 3 of which the last digit is odd for men, check 1. The
check digit alone rules out ten of eleven numbers (ISO 7064, MOD 11-2), which a look at the hidden digits does not tell.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from enum import IntEnum
from functools import lru_cache
from itertools import product
from typing import TypeAlias

LENGTH = 18
FEWEST = 1_000
"""Fewest candidates that a mask must leave: more than somebody tries by hand where a number can be tested. A mask that
shows 6 + 4 passes alone (3,383 numbers) and not beside the birth year (34) or the birth date (1)."""

AGES = 101
"""Numbers are of people born since 1 January of the year so many years ago."""

_MODULUS = 11
_WEIGHTS = tuple(pow(2, LENGTH - 1 - place, _MODULUS) for place in range(LENGTH - 1))

_Residues: TypeAlias = tuple[int, ...]
"""How many of some values have each weighted sum modulo 11."""


class Birth(IntEnum):
    """What is known of the day of birth."""

    NOTHING = 0
    YEAR = 1
    DATE = 2


@dataclass(frozen=True, slots=True)
class Known:
    """What somebody knows of an identity number.

    `prefix`, `suffix`: digits of the number itself that masks show, at its start and end. `division`: first digits of
    the division that are known from elsewhere, 0 to 6.
    """

    prefix: int = 0
    suffix: int = 0
    division: int = 0
    birth: Birth = Birth.NOTHING
    sex: bool = False

    @property
    def unmasked(self) -> "Known":
        """The same where the number itself is not shown at all."""
        return Known(0, 0, self.division, self.birth, self.sex)


@lru_cache(maxsize=256)
def candidates(known: Known, divisions: frozenset[str], today: date) -> int:
    """How many numbers remain, at least: of the number for which it is the fewest.

    `divisions` are the codes that numbers can begin with, those of counties: of others none does. With no such code,
    the division counts as known. `today`: nobody is born later.
    """
    parts = (
        _groups(_divisions(divisions), 0, known, lambda code: code[: known.division]),
        _groups(_days(today), 6, known, lambda day: day[: _BIRTH_DIGITS[known.birth]]),
        _groups(_orders(), 14, known, lambda order: str(int(order) % 2) if known.sex else ""),
    )
    if known.suffix == 0 and known.prefix < LENGTH:
        smallest = 1
        for part in parts:
            smallest *= min(sum(residues) for residues in part)
        return smallest
    orders = {_turned(_sums(one, other)) for one, other in product(parts[0], parts[2])}
    return min(
        count for one, other in product(orders, parts[1]) for count in _sums(one, other) if count
    )  # a residue that no number has is no check digit that anybody sees


_BIRTH_DIGITS = {Birth.NOTHING: 0, Birth.YEAR: 4, Birth.DATE: 8}
_Values: TypeAlias = tuple[tuple[str, int], ...]
"""What can stand at a place of the number, each with its weighted sum modulo 11."""


def _weighed(values: Iterable[str], start: int) -> _Values:
    weights = _WEIGHTS[start:]
    return tuple((v, sum(int(d) * w for d, w in zip(v, weights, strict=False)) % _MODULUS) for v in values)


@lru_cache(maxsize=8)
def _divisions(codes: frozenset[str]) -> _Values:
    counties = sorted(code for code in codes if len(code) == 6 and not code.endswith("00"))
    return _weighed(counties or ["000000"], 0)


@lru_cache(maxsize=4)
def _days(today: date) -> _Values:
    first = date(today.year - AGES, 1, 1)
    days = (first + timedelta(number) for number in range((today - first).days))
    return _weighed((day.isoformat().replace("-", "") for day in days), 6)


@lru_cache(maxsize=1)
def _orders() -> _Values:
    return _weighed((f"{number:03}" for number in range(1, 1_000)), 14)


def _groups(values: _Values, start: int, known: Known, fact: Callable[[str], str]) -> set[_Residues]:
    """The residues of values that look alike to somebody. `fact`: what is known of a value besides the digits shown.

    Groups that differ by an offset are one: it makes no difference to how many numbers have the rarest check digit.
    """
    first, last = max(0, known.prefix - start), max(0, LENGTH - known.suffix - start)
    groups: dict[tuple[str, str, str], list[int]] = {}
    for digits, residue in values:
        seen = digits[:first], digits[last:], fact(digits)
        if seen not in groups:
            groups[seen] = [0] * _MODULUS
        groups[seen][residue] += 1
    return {_turned(residues) for residues in {tuple(residues) for residues in groups.values()}}


def _turned(residues: _Residues) -> _Residues:
    """The first of all rotations."""
    return min(residues[turn:] + residues[:turn] for turn in range(_MODULUS))


def _sums(one: _Residues, other: _Residues) -> _Residues:
    """The residues of each value of `one` beside each of `other`."""
    sums = [0] * _MODULUS
    for left, count in enumerate(one):
        if count:
            for right, times in enumerate(other):
                sums[(left + right) % _MODULUS] += count * times
    return tuple(sums)
