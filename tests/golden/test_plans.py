"""Golden cases: an operation, who asks, its plan in words, and its calls.

Each file in `plans/` is a case: a GraphQL document after lines `# grants: …`, `## …` assertions that a regenerated
plan cannot overwrite (`## calls N`, `## plan has TEXT`, `## plan lacks TEXT`), and the plan after `---`. Plans are
written anew with `python -m tests.golden.write`.
"""

from pathlib import Path

import pytest

from tests.golden.cases import CASES, Case, planned


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.path.stem)
async def test_plan(case: Case) -> None:
    plan, calls = await planned(case)
    assert plan == case.plan, f"{case.path.name}: the plan differs; if it should, python -m tests.golden.write"
    for kind, text in case.assertions:
        if kind == "calls":
            assert calls == int(text)
        elif kind == "plan has":
            assert text in plan
        else:
            assert kind == "plan lacks"
            assert text not in plan


def test_every_case_asserts_something() -> None:
    assert len(CASES) >= 8
    for case in CASES:
        assert any(kind == "calls" for kind, _ in case.assertions), case.path.name
        assert isinstance(case.path, Path)
