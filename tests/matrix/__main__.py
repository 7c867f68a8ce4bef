"""In charge of the whole matrix by hand: `python -m tests.matrix` decides every cell and writes docs/matrix.md anew.

Nothing is written where a cell differs; the differences are printed, and the exit status is 1.
"""

import sys

from tests.matrix.catalogues import catalogues
from tests.matrix.matrix import Matrix
from tests.matrix.summary import DOCUMENT, rendered


def main() -> int:
    matrices: dict[str, Matrix] = {}
    wrong = 0
    for name, snapshot in catalogues().items():
        matrices[name] = Matrix(snapshot, matrices.get("demo") if name.startswith("demo") else None)
        tally = matrices[name].run()
        print(
            f"{name}: {tally.cells:,} cells of {tally.operations:,} operations, {len(tally.different)} differ, "
            f"{tally.unable:,} beyond the source, {tally.seconds:.0f} s",
            flush=True,
        )
        for difference in tally.different[:20]:
            print(difference)
        wrong += len(tally.different)
    if wrong == 0:
        DOCUMENT.write_text(rendered(), encoding="utf-8")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
