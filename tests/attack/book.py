"""In charge of the list of attempts: each test here says which it makes, and docs/attacks.md is that list.

`python -m tests.attack.book` writes the document anew.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pytest

F = TypeVar("F", bound=Callable[..., Any])

FOLDER = Path(__file__).parent
DOCUMENT = FOLDER.parents[1] / "docs" / "attacks.md"
_HEAD = """# Attempts to see what is hidden, and to do what is for others

What was tried to get a forbidden value, or one bit about a hidden value or row, out of the platform, or to act in the
law's work where somebody else decides, and what stood in the way. Each attempt is a test that fails if the way is open;
the list is written by `python -m tests.attack.book` and held complete by `tests/attack/test_book.py`. Numbers stay: a
new attempt gets the next one of its part.

{every} attempts; {found} of them once got through and are marked **Found**. V is the visible relation: which rows and
cells of a resource a requester is shown ([authorization.md](authorization.md#the-visible-relation)).
"""


@dataclass(frozen=True, slots=True)
class Attempt:
    """`number` is unique in the book; `protects` says in a few words what stands in the way."""

    number: int
    what: str
    protects: str
    module: str
    found: bool


class Book:
    """The attempts of one module, and of all modules that have been imported."""

    every: ClassVar[dict[int, Attempt]] = {}
    parts: ClassVar[dict[str, str]] = {}

    def __init__(self, module: str, part: str) -> None:
        self._module = module.rpartition(".")[2]
        Book.parts[self._module] = part

    def attempt(self, number: int, what: str, protects: str, *, found: bool = False) -> Callable[[F], F]:
        """Decorates the one test that makes an attempt."""
        self._enter(Attempt(number, what, protects, self._module, found))
        return lambda test: test

    def row(self, number: int, what: str, protects: str, *values: Any, found: bool = False) -> Any:
        """A row of `pytest.mark.parametrize` that is an attempt; its id is the number."""
        self._enter(Attempt(number, what, protects, self._module, found))
        return pytest.param(*values, id=str(number))

    def _enter(self, attempt: Attempt) -> None:
        if Book.every.setdefault(attempt.number, attempt) != attempt:
            raise ValueError(f"two attempts have the number {attempt.number}")


def document() -> str:
    """docs/attacks.md as the tests have it."""
    for path in sorted(FOLDER.glob("test_*.py")):
        if path.stem != "test_book":
            importlib.import_module(f"tests.attack.{path.stem}")
    found = sum(attempt.found for attempt in Book.every.values())
    lines = [_HEAD.format(every=len(Book.every), found=found)]
    by_module: dict[str, list[Attempt]] = {}
    for _, attempt in sorted(Book.every.items()):
        by_module.setdefault(attempt.module, []).append(attempt)
    for module, attempts in by_module.items():
        lines.append(f"## {Book.parts[module]}\n\nTests: [`tests/attack/{module}.py`](../tests/attack/{module}.py).\n")
        for one in attempts:
            mark = " **Found.**" if one.found else ""
            lines.append(f"- {one.number}: {one.what}. *{one.protects}.*{mark}")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    # Under its own name: as __main__ this module is another one than the tests import.
    DOCUMENT.write_text(importlib.import_module("tests.attack.book").document(), encoding="utf-8")
