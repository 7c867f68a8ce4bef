"""In charge of how commands show tables: no cell is cut, neither in a terminal nor in a pipe."""

import sys

from rich.console import Console
from rich.table import Table


def show(table: Table, console: Console | None = None) -> None:
    """Prints `table`: in a terminal folded to its width, elsewhere as wide as what it holds, a line for each row."""
    console = console or Console(markup=False, emoji=False)
    for column in table.columns:
        column.overflow = "fold"
    if not console.is_terminal:
        # A table measures itself no wider than the console, so it is measured for one without an edge.
        unbounded = console.options.update(max_width=sys.maxsize)
        console.width = max(console.width, console.measure(table, options=unbounded).maximum)
    console.print(table)
