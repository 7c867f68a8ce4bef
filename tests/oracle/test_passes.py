"""The simplification pass is compared with plans without it (duels.py): here, that there is something to compare."""

from collections import Counter

import pytest

from resolvers import where
from resolvers.passes import simplify
from tanglai.catalogue.expressions import And, Case, Compare, Expression, Or, conjunction
from tests.oracle.batches import drawn, hold
from tests.oracle.kinds import Grounds

SEED = 8


def careless(expression: Expression) -> Expression:
    """The pass, but without the guard that it must keep."""
    match expression:
        case And(parts):
            return conjunction(*(careless(part) for part in parts))
        case Or(parts):
            return Or(tuple(careless(part) for part in parts))
        case Compare(op, Case(branches), right) if len(branches) == 1:
            return Compare(op, branches[0][1], right)
        case _:
            return expression


async def fight() -> None:
    async with Grounds() as grounds:
        for case in drawn(SEED, "memory"):
            await hold(grounds, "memory", case)


async def test_filters_are_rewritten_on_one_side(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: Counter[bool] = Counter()

    def counted(expression: Expression) -> Expression:
        rewritten = simplify(expression)
        seen[rewritten != expression] += 1
        return rewritten

    monkeypatch.setattr(where, "simplify", counted)
    await fight()
    assert seen[True] >= 40, seen
    assert seen[False] >= 100, seen


async def test_a_careless_pass_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(where, "simplify", careless)
    with pytest.raises(AssertionError):
        await fight()
