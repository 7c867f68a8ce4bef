"""In charge of whole examples: a world, who asks in it, and what."""

from dataclasses import dataclass

from hypothesis import strategies as st

from tests.oracle.comparing import situation
from tests.oracle.language import Operation
from tests.oracle.operations import operations
from tests.oracle.sight import see
from tests.oracle.worlds import USUAL, Asker, Bounds, Drawn, askers, worlds


@dataclass(frozen=True)
class Example:
    drawn: Drawn
    asked: tuple[tuple[Asker, tuple[Operation, ...]], ...]


@st.composite
def examples(draw: st.DrawFn, bounds: Bounds = USUAL, principals: int = 3, each: int = 3) -> Example:
    """A world with up to `principals` askers of up to `each` operations."""
    drawn = draw(worlds(bounds))
    asked: list[tuple[Asker, tuple[Operation, ...]]] = []
    who = [draw(askers(drawn)) for _ in range(draw(st.integers(1, principals)))]
    for asker in sorted(who, key=lambda asker: asker.now):  # the platform's clock never goes back
        whole = situation(drawn, asker)
        sights = {code: see(whole, resource) for code, resource in drawn.snapshot.resources.items()}
        count = draw(st.integers(1, each))
        asked.append((asker, tuple(draw(operations(sights)) for _ in range(count))))
    return Example(drawn, tuple(asked))
