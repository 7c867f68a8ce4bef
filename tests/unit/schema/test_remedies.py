"""In charge of the mutations that remedies name: each is in the schema, under every rule set."""

import pytest

from authz.denial import RemedyAction
from schema.fixed.query import fixed_part
from schema.remedies import mutation_for
from tanglai.catalogue.rules import rule_set
from tanglai.catalogue.workflow.machines import RULE_SETS

A = RemedyAction
TAKEN = {A.APPLY, A.RENEW, A.CONSULT, A.COORDINATE}


@pytest.mark.parametrize("rules", RULE_SETS)
@pytest.mark.parametrize("action", RemedyAction)
def test_the_step_is_a_mutation(action: RemedyAction, rules: str) -> None:
    name = mutation_for(action, rule_set(rules))
    assert (name is not None) == (action in TAKEN)
    assert name is None or name in fixed_part().mutation.fields


def test_consent_comes_before_an_application_under_order_809() -> None:
    assert mutation_for(A.APPLY, rule_set("ningxia-measures")) == "apply"
    assert mutation_for(A.APPLY, rule_set("order-809")) == "createApplication"
