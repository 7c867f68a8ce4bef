"""In charge of the list of planted faults."""

from tests.oracle.mutants.decisions import DECISIONS
from tests.oracle.mutants.mutant import Mutant
from tests.oracle.mutants.plans import PLANS
from tests.oracle.mutants.runs import RUNS

MUTANTS: tuple[Mutant, ...] = (*DECISIONS, *PLANS, *RUNS)
