"""docs/supervision.md says of weights, deductions and violations what the program holds."""

import re

from tanglai.catalogue.workflow.evaluation import CriterionCode, ViolationCode, scheme
from tests.docs.documents import DOCS, read

PAGE = DOCS / "supervision.md"
RULE_SETS = ("ningxia-measures", "order-809")


def table(first: str) -> dict[str, list[str]]:
    """Cells by the code in the first column, of the table whose first heading is `first`."""
    lines = read(PAGE).splitlines()
    start = next(n for n, line in enumerate(lines) if re.match(rf"\| {first} +\|", line))
    rows = {}
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        code, *cells = [cell.strip() for cell in line.strip("|").split("|")]
        rows[code.strip("`")] = cells
    return rows


def test_weights() -> None:
    told = table("criterion")
    assert list(told) == [code.value for code in CriterionCode]
    for place, name in enumerate(RULE_SETS, start=1):
        weights = {criterion.code.value: str(criterion.weight) for criterion in scheme(name).criteria}
        assert {code: cells[place] for code, cells in told.items() if cells[place]} == weights


def test_deductions() -> None:
    told = table("deduction")
    for place, name in enumerate(RULE_SETS):
        points = {it.violation.value: f"{it.points}, at most {it.most}" for it in scheme(name).deductions}
        assert {code: cells[place] for code, cells in told.items() if cells[place]} == points


def test_violations() -> None:
    told = table("code")
    assert [(code, cells[0]) for code, cells in told.items()] == [(it.value, it.side.value) for it in ViolationCode]
