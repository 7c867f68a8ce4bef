"""In charge of what clients meet in every union of results: no field of one name with two types, and all the errors."""

from itertools import combinations

import pytest
from graphql import GraphQLUnionType

from schema.fixed.query import fixed_part

UNIONS = sorted(
    (kind for kind in fixed_part().types if isinstance(kind, GraphQLUnionType)), key=lambda union: union.name
)


@pytest.mark.parametrize("union", UNIONS, ids=str)
def test_members_are_selected_together_without_aliases(union: GraphQLUnionType) -> None:
    for one, other in combinations(union.types, 2):
        for name in one.fields.keys() & other.fields.keys():
            assert str(one.fields[name].type) == str(other.fields[name].type), f"{one}.{name} and {other}.{name}"


@pytest.mark.parametrize("name", sorted(fixed_part().mutation.fields))
def test_every_act_has_typed_errors(name: str) -> None:
    field = fixed_part().mutation.fields[name]
    if name == "markNoticesRead":  # nothing can be wrong with it
        return
    union = getattr(field.type, "of_type", field.type)
    assert isinstance(union, GraphQLUnionType), name
    errors = {kind.name for kind in union.types if any(it.name == "ActError" for it in kind.interfaces)}
    assert errors >= {"InvalidAct", "NotPermitted"}, name
