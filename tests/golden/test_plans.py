"""Golden cases: an operation, who asks, its plan in words, and its calls.

Each file in `plans/` is a case: a GraphQL document after lines `# grants: …`, `## …` assertions that a regenerated
plan cannot overwrite (`## calls N`, `## plan has TEXT`, `## plan lacks TEXT`, and those of test_statements.py), and
the plan after `---`. Plans are written anew with `python -m tests.golden.write`.
"""

import pytest

from tests.golden.cases import CASES, Case, planned


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.path.stem)
async def test_plan(case: Case) -> None:
    plan, calls = await planned(case)
    assert plan == case.plan, f"{case.path.name}: the plan differs; if it should, python -m tests.golden.write"
    assert [str(calls)] == case.told("calls")
    assert all(text in plan for text in case.told("plan has"))
    assert not any(text in plan for text in case.told("plan lacks"))


def test_every_case_asserts_something() -> None:
    assert len(CASES) >= 8
    for case in CASES:
        assert len(case.told("calls")) == len(case.told("cost")) == len(case.told("touches")) == 1, case.path.name
