"""docs/errors.md: every code has its row with the status that is really sent, and a heading."""

import re
from pathlib import Path

import pytest

from resolvers.messages import STATUS
from tanglai.catalogue.errors import ErrorCode
from tanglai.server import websocket

TEXT = (Path(__file__).parents[2] / "docs" / "errors.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| `([A-Z_]+)` +\|[^|]+\| (\d{3}) +\|$", TEXT, re.MULTILINE))
HEADINGS = re.findall(r"^### ([A-Z_]+)$", TEXT, re.MULTILINE)


@pytest.mark.parametrize("code", ErrorCode)
def test_a_row_with_its_status(code: ErrorCode) -> None:
    assert ROWS.get(code.value) == str(STATUS[code])


@pytest.mark.parametrize("code", ErrorCode)
def test_a_heading_with_words(code: ErrorCode) -> None:
    section = TEXT.partition(f"\n### {code.value}\n")[2].partition("\n### ")[0]
    assert len(section.strip()) > 40


def test_nothing_else() -> None:
    assert list(ROWS) == HEADINGS == [code.value for code in ErrorCode]


def test_close_codes() -> None:
    told = {int(code) for code in re.findall(r"^\| (4\d{3}) \|", TEXT, re.MULTILINE)}
    used = {value for value in vars(websocket).values() if isinstance(value, int) and 4000 <= value < 5000}
    assert told == used
