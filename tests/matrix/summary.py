"""In charge of docs/matrix.md: how many values each axis has, how many cells that makes, and what is to come."""

from collections import Counter
from pathlib import Path

from tests.matrix.catalogues import catalogues
from tests.matrix.matrix import Matrix
from tests.matrix.registers import PENDING, TRANSPORTS
from tests.matrix.states import STATES

DOCUMENT = Path(__file__).parents[2] / "docs" / "matrix.md"

_HEAD = """# The matrix

What a department may see of an item must not depend on how it asks. So every item, every relation (at both ends) and
the mere rows of every resource are asked for in every way that the program has, in every state of grants, and the
verdict is compared with a table that is written from [authorization.md](authorization.md) alone
(`tests/matrix/rules.py`, `tests/matrix/states.py`). `python -m tests.matrix` decides every cell by planning alone,
tells how many differ, and writes this page where none does. `make test` decides all cells of the synthetic catalogue
and a fixed share of the demo's, and a covering array of them end to end, against a node with PostgreSQL
(`tests/matrix/test_over_http.py`).

A new entry path, argument, operator, quantifier, function, part of a connection, root field, route or caller of the
gateway that no operation of the matrix uses fails `tests/matrix/test_registers.py`.
"""


def rendered() -> str:
    """The page, from the axes alone."""
    lines = [
        _HEAD,
        "## Cells",
        "",
        "| catalogue | subjects | operations | states | cells |",
        "| --- | --- | --- | --- | --- |",
    ]
    ways: dict[str, Counter[str]] = {}
    total = 0
    for name, snapshot in catalogues().items():
        matrix = Matrix(snapshot)
        subjects = operations = 0
        for _, _, kind, found in matrix.listed():
            subjects += 2 if kind == "relation" else 1
            operations += len(found)
            for way in found:
                use, _, path = way.name.partition(" / ")
                ways.setdefault(path, Counter())[use] += 1
        cells = matrix.cells()
        total += cells
        lines.append(f"| {name} | {subjects:,} | {operations:,} | {len(STATES)} | {cells:,} |")
    lines += [
        f"| together | | | | **{total:,}** |",
        "",
        "By `order-809` the demo's sources count as databases, so that no cell is left to what a source cannot do.",
        "",
        "## Ways",
        "",
        "| path | uses |",
        "| --- | --- |",
    ]
    lines += [f"| {path} | {', '.join(sorted(uses))} |" for path, uses in sorted(ways.items())]
    lines += ["", f"End to end also: {', '.join(TRANSPORTS)}.", "", "## States", ""]
    lines += [f"- {state.name}" for state in STATES]
    lines += ["- the other zone", "", "## To come", ""]
    lines += [f"- {pending.name}: there is no such path yet; a test fails when there is" for pending in PENDING]
    return "\n".join(lines) + "\n"
