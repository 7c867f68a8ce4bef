"""In charge of small choices for the strategies: one way to draw each, cheap in entropy."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from hypothesis import strategies as st

T = TypeVar("T")


class Dice:
    """Choices drawn by hypothesis. Each shrinks towards the first option, no, and zero."""

    def __init__(self, draw: Callable[[int, int], int]) -> None:
        self.draw = draw

    def pick(self, options: Sequence[T]) -> T:
        if len(options) == 1:
            return options[0]
        return options[self.draw(0, len(options) - 1)]

    def number(self, low: int, high: int) -> int:
        return self.draw(low, high) if low < high else low

    def chance(self, times: int, of: int) -> bool:
        """True `times` times in `of`."""
        return self.draw(0, of - 1) >= of - times

    def some(self, options: Sequence[T], low: int = 0, high: int | None = None) -> list[T]:
        """Between `low` and `high` different options, in their own order."""
        most = min(len(options), len(options) if high is None else high)
        count = self.number(min(low, most), most)
        taken: set[int] = set()
        for _ in range(count):
            left = [index for index in range(len(options)) if index not in taken]
            taken.add(self.pick(left))
        return [option for index, option in enumerate(options) if index in taken]

    def shuffled(self, options: Sequence[Any]) -> list[Any]:
        left = list(options)
        return [left.pop(self.number(0, len(left) - 1)) for _ in options]


class ByDice(st.SearchStrategy[T]):
    """`build` makes an example of dice, those of hypothesis or others."""

    # A composite strategy would do, but for one thing: hypothesis copies draws from inner strategies over others of
    # their kind for the next examples, and two thirds of those would repeat what was tried before.

    def __init__(self, build: Callable[[Dice], T]) -> None:
        super().__init__()
        self.build = build

    def do_draw(self, data: Any) -> T:
        return self.build(Dice(data.draw_integer))


def by_dice(build: Callable[[Dice], T]) -> ByDice[T]:
    """The strategy of what `build` makes of its choices; `build` itself is for dice of another hand."""
    return ByDice(build)
