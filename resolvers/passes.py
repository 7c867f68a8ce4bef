"""In charge of rewriting a filter into an equal one that a source's index can serve."""

from tanglai.catalogue.expressions import (
    And,
    Case,
    Compare,
    Expression,
    In,
    Match,
    Or,
    conjunction,
    disjunction,
)


def simplify(where: Expression) -> Expression:
    """`CASE WHEN p THEN a END op x` becomes `p AND a op x` where only TRUE counts.

    INVARIANT: only as a conjunct or disjunct of the filter itself, under no NOT and inside no two-valued reading, and
    only for tests that a null fails. (`NOT (p AND a = 1)` would tell about the hidden a.) `p` is two-valued, so where p
    does not hold neither form is TRUE.
    """
    match where:
        case And(parts):
            return conjunction(*(simplify(part) for part in parts))
        case Or(parts):
            return disjunction(*(simplify(part) for part in parts))
        case Compare(op, Case(branches), right) if len(branches) == 1:
            ((condition, cell),) = branches
            return conjunction(condition, Compare(op, cell, right))
        case In(Case(branches), values) if len(branches) == 1:
            ((condition, cell),) = branches
            return conjunction(condition, In(cell, values))
        case Match(op, Case(branches), needle) if len(branches) == 1:
            ((condition, cell),) = branches
            return conjunction(condition, Match(op, cell, needle))
        case _:
            return where
