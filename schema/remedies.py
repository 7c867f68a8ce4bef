"""In charge of which mutation takes the step that a denial's remedy names."""

from authz.denial import RemedyAction
from tanglai.catalogue.rules import RuleSet
from tanglai.catalogue.workflow.machines import MatterKind, machine


def mutation_for(action: RemedyAction, rules: RuleSet) -> str | None:
    """Name of the mutation for `action` under `rules`; None where the step is not taken on the platform.

    An application is filed at once where the requester's head need not consent to it before (Order 809 Art. 20).
    """
    match action:
        case RemedyAction.APPLY | RemedyAction.RENEW:
            at_once = machine(MatterKind.APPLICATION).step(rules.id, "DRAFT", "SUBMIT")
            return "apply" if at_once is not None else "createApplication"
        case RemedyAction.CONSULT:
            return "openConsultation"
        case RemedyAction.COORDINATE:
            return "escalateConsultation"
        case _:
            return None
