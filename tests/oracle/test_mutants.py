"""The list of planted faults fits the code, so that the mutation check does not rot."""

from pathlib import Path

import pytest

from tests.oracle.mutants.listed import MUTANTS
from tests.oracle.mutants.mutant import Mutant
from tests.oracle.mutants.trial import Watch

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_fault_can_be_planted(mutant: Mutant) -> None:
    text = (ROOT / mutant.file).read_text(encoding="utf-8")
    mutated = mutant.mutated(text)
    assert mutated != text
    compile(mutated, mutant.file, "exec")


def test_there_are_enough_faults_and_each_has_a_name() -> None:
    names = [mutant.name for mutant in MUTANTS]
    assert len(set(names)) == len(names) >= 25
    assert any(mutant.leak for mutant in MUTANTS)


def test_a_fault_that_is_nowhere_or_twice_cannot_be_planted() -> None:
    mutant = Mutant("gone", "nothing", "no file", "a == b", "a != b")
    for text in ("a < b", "a == b or a == b"):
        with pytest.raises(ValueError, match="times in `no file`"):
            mutant.mutated(text)


def _raised(file: str, text: str) -> BaseException:
    """The exception of `text`, as raised in `file`."""
    try:
        exec(compile(text, file, "exec"), {})
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def test_only_a_comparison_of_the_oracle_catches_a_fault() -> None:
    oracle, gateway = "/project/tests/oracle/comparing.py", "/project/resolvers/gateway.py"
    outcomes = []
    for error in (
        _raised(oracle, "raise AssertionError('answers differ')"),
        _raised(oracle, "raise ExceptionGroup('', [AssertionError('flaky'), ValueError()])"),
        _raised(oracle, "raise AssertionError('too many INTERNAL')"),
        _raised(gateway, "raise AssertionError('no meaning')"),
        _raised(oracle, "{}['gone']"),
    ):
        watch = Watch(Path("/project"))
        watch.failed("tests/oracle/test_differential.py::test_it", error)
        outcomes.append(watch.outcome)
    assert outcomes == ["compared", "crashed", "crashed", "crashed", "crashed"]
