"""In charge of docs/workflow.md: it says what the tables say, and so does the platform database."""

from schema.fixed.query import fixed_part
from schema.fixed.workflow.steps import mutations_of
from tanglai.catalogue.workflow.machines import RULE_SETS, machines
from tanglai.catalogue.workflow.parties import Party
from tests.workflow_page import ELSEWHERE, OPENING, PAGE, page


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


def test_every_step_of_a_department_has_its_mutations_and_every_mutation_its_step() -> None:
    fields = fixed_part().mutation.fields
    named = {name for names in OPENING.values() for name in names}
    for machine in machines():
        for step in machine.steps:
            if not step.source:
                continue
            taking = mutations_of(machine.kind, step.event, step.source)
            if any(by.party is not Party.PLATFORM for by in step.by):
                assert taking or step.event in ELSEWHERE, (machine.kind, step.event)
            else:
                assert not taking, (machine.kind, step.event)
            for name in taking:
                assert {"id", "version"} <= fields[name].args.keys(), name
            named |= set(taking)
    others = {"markNoticesRead", "registerWebhook", "removeWebhook", "retryWebhookDelivery"}
    assert named | others == fields.keys()
