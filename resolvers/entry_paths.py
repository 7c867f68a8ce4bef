"""In charge of the register of entry paths: every way from an operation to rows, and the only way planning takes one.

A path registers itself where it is planned. What is not registered cannot be planned, and what is registered has a row
in the matrix test (authorization.md, case 29).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeAlias, TypeVar

from graphql import GraphQLField, GraphQLObjectType

from resolvers.plan import Answer, At
from resolvers.planner import Planning
from resolvers.selection import Selected
from schema.fields import AggregateField, ListField, LookupField, RootField

RootPlanner = Callable[[Planning, GraphQLObjectType, Selected, At], Answer]
"""Plans a root field of the operation; the type is that of the root."""
FieldPlanner = Callable[[Planning, Any, GraphQLField, Selected, At], Answer]
"""Plans a member of a group of `data`, given its meaning: an instance of the class that it is registered for."""

GroupMember: TypeAlias = ListField | LookupField | AggregateField
"""What a member of a group of `data` means."""

K = TypeVar("K")
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(slots=True)
class Register(Generic[K, F]):
    """Planners by what they plan."""

    planners: dict[K, F] = field(default_factory=dict)

    def __call__(self, key: K) -> Callable[[F], F]:
        """Decorates the planner of `key`. Raises ValueError where there is one already."""

        def enter(planner: F) -> F:
            if key in self.planners:
                raise ValueError(f"two planners of {key!r}")
            self.planners[key] = planner
            return planner

        return enter


root_path: Register[RootField, RootPlanner] = Register()
group_path: Register[type[GroupMember], FieldPlanner] = Register()
