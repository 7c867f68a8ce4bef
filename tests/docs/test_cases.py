"""docs/cases.md is what the tests say, every case has its test and its twin, and every test that is named runs."""

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from schema import unified
from tanglai.server.parameters import Parameters
from tests.cases import (
    CASES,
    DEFER,
    DOCUMENT,
    HOLES,
    STORED,
    TESTS,
    Shown,
    case,
    document,
    hole,
    shown,
)
from tests.catalogues import population


@pytest.fixture(scope="module")
def register() -> list[Shown]:
    return shown()


def test_there_are_48_cases() -> None:
    assert list(CASES) == list(range(1, 49))


def test_the_document_is_up_to_date(register: list[Shown]) -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == document(register), "run `python -m tests.cases`"


@pytest.mark.parametrize("number", CASES)
def test_a_case_has_its_test_and_its_twin(register: list[Shown], number: int) -> None:
    of_case = [one for one in register if one.case == number]
    assert any(not one.twin for one in of_case), f"no test shows case {number}"
    assert any(one.twin for one in of_case), f"no test shows the allowed counterpart of case {number}"


@pytest.mark.parametrize("key", HOLES)
def test_a_hole_of_others_has_its_test_or_is_pending_by_name(register: list[Shown], key: str) -> None:
    assert any(one.hole == key for one in register) != bool(HOLES[key].pending)


def test_what_is_pending_is_not_there_yet() -> None:
    """A path that lands makes this fail, so that its cases join."""
    schema = unified.build(population()).graphql
    assert not {"defer", "stream"} & {directive.name for directive in schema.directives}, DEFER
    assert {one.name for one in fields(Parameters)} == {"query", "operation_name", "variables", "extensions"}, STORED


def test_every_named_test_is_collected(register: list[Shown]) -> None:
    """pytest itself says which tests there are."""
    files = sorted({one.file for one in register})
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *files]
    done = subprocess.run(command, cwd=TESTS.parent, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    collected = {line.partition("[")[0] for line in done.stdout.splitlines() if "::" in line}
    assert {one.node for one in register} - collected == set()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("@case(1)\ndef helper(): ...", "no test"),
        ("class Other:\n    @case(1)\n    def test_a(self): ...", "no test"),
        ("def test_a():\n    case(1)(test_a)", "no test"),
        ("@pytest.mark.skip\n@case(1)\ndef test_a(): ...", "skipped"),
        ("@pytest.mark.xfail(strict=True)\n@hole('dab-cursor')\ndef test_a(): ...", "skipped"),
        ("pytestmark = pytest.mark.skipif(True)\n@case(1)\ndef test_a(): ...", "skipped"),
    ],
)
def test_marks_that_would_lie_are_refused(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "test_x.py").write_text(f"from tests.cases import case, hole\n{text}\n")
    with pytest.raises(ValueError, match=problem):
        shown(tmp_path)


def test_marks_are_read_in_classes_and_beside_parameters(tmp_path: Path) -> None:
    text = """
from tests.cases import case, hole

class TestA:
    @case(1, 2, twin=True)
    @pytest.mark.parametrize("x", [1])
    async def test_a(self): ...
"""
    (tmp_path / "test_x.py").write_text(text)
    assert [(one.node, one.case, one.twin) for one in shown(tmp_path)] == [
        ("test_x.py::TestA::test_a", 1, True),
        ("test_x.py::TestA::test_a", 2, True),
    ]


def test_unknown_numbers_and_names_are_refused() -> None:
    for wrong in ((), (0,), (49,), (1, 99)):
        with pytest.raises(ValueError, match="no such case"):
            case(*wrong)
    with pytest.raises(ValueError, match="no such hole"):
        hole("nothing")
