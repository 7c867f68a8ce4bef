"""In charge of docs/workflow.md: it says what the tables say, and so does the platform database."""

from tanglai.catalogue.workflow.machines import RULE_SETS, machines
from tests.workflow_page import PAGE, page


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "write it: python -m tests.workflow_page"


def test_every_state_is_reached_and_left_unless_it_is_final() -> None:
    for machine in machines():
        for rules in RULE_SETS:
            steps = machine.under(rules)
            reached = {step.target for step in steps}
            for name in reached:
                state, left = machine.states[name], any(step.source == name for step in steps)
                assert left != state.final, (machine.kind, rules, name)
                assert bool(state.waits) != state.final, (machine.kind, name)
        used = {step.target for step in machine.steps}
        assert used == set(machine.states), machine.kind
