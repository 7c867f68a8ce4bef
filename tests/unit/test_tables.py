"""Tables of commands cut no cell."""

from io import StringIO

import pytest
from rich.console import Console
from rich.table import Table

from tanglai.cli.tables import show

ITEMS = ", ".join(f"representativeIdNumber{n}" for n in range(12))
CODE = "91640104DM0000005R" * 6


def shown(console: Console) -> str:
    table = Table("id", "items, relations")
    table.add_row(CODE, ITEMS)
    show(table, console)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_in_a_pipe_a_row_is_one_line() -> None:
    text = shown(Console(file=StringIO(), width=80))
    assert any(CODE in line and ITEMS in line for line in text.splitlines())


def test_in_a_terminal_it_folds() -> None:
    text = shown(Console(file=StringIO(), width=60, force_terminal=True, color_system=None))
    assert max(map(len, text.splitlines())) == 60
    rows = [line.split("│")[1:3] for line in text.splitlines() if line.startswith("│")]
    assert "".join(cell.strip() for cell, _ in rows) == CODE
    assert " ".join(cell.strip() for _, cell in rows if cell.strip()).split() == ITEMS.split()


def test_what_stands_in_a_cell_is_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("title")
    table.add_row("[red]:star:")
    show(table)
    assert "[red]:star:" in capsys.readouterr().out
