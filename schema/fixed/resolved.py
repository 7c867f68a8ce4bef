"""In charge of typed decoration: a Strawberry field with a resolver, for strict type checking."""

from collections.abc import Callable
from typing import Any, TypeAlias

import strawberry
from strawberry.types.field import StrawberryField

from schema.context import RequestContext

Info: TypeAlias = strawberry.Info[RequestContext, None]


def resolved(description: str) -> Callable[[Callable[..., Any]], StrawberryField]:
    """Decorates a method as the resolver of the field of its name."""

    def decorate(method: Callable[..., Any]) -> StrawberryField:
        field: StrawberryField = strawberry.field(method, description=description)
        return field

    return decorate
