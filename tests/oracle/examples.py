"""In charge of whole examples: a world, who asks in it, and what."""

from dataclasses import dataclass

from hypothesis import strategies as st

from tests.oracle.comparing import situation
from tests.oracle.language import Operation, Walk
from tests.oracle.operations import operations, walks
from tests.oracle.sight import see
from tests.oracle.worlds import USUAL, Asker, Bounds, Drawn, askers, worlds


@dataclass(frozen=True)
class Asked:
    """What one asker asks."""

    asker: Asker
    operations: tuple[Operation, ...]
    walk: Walk | None


@dataclass(frozen=True)
class Example:
    drawn: Drawn
    asked: tuple[Asked, ...]


@st.composite
def examples(draw: st.DrawFn, bounds: Bounds = USUAL, principals: int = 3, each: int = 4) -> Example:
    """A world with up to `principals` askers of up to `each` operations."""
    drawn = draw(worlds(bounds))
    asked: list[Asked] = []
    who = [draw(askers(drawn)) for _ in range(draw(st.integers(1, principals)))]
    for asker in sorted(who, key=lambda asker: asker.now):  # the platform's clock never goes back
        whole = situation(drawn, asker)
        sights = {code: see(whole, resource) for code, resource in drawn.snapshot.resources.items()}
        count = draw(st.integers(1, each))
        walk = draw(walks(sights)) if draw(st.integers(0, 3)) == 3 else None
        asked.append(Asked(asker, tuple(draw(operations(sights)) for _ in range(count)), walk))
    return Example(drawn, tuple(asked))
