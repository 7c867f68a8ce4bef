"""In charge of what an operation asks of the sources, as far as quotas count it: its calls, and which are the same."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

from tanglai.catalogue.model import Item, Relation, Resource
from tanglai.catalogue.scalars import ScalarType
from tests.oracle.language import (
    ABSENT,
    ByKey,
    Field,
    Figures,
    Listing,
    Pick,
    Place,
    Selection,
    Var,
    spelled_out,
    value_of,
)

MOST_GROUPS = 10_000
DEFAULT_PAGE = 50

Collect = Callable[[Iterable[Selection]], list[Field]]


@dataclass
class Call:
    """Rows or groups of one resource that an operation asks for in one place.

    `kind`: list, one, figures, cube, node or entities. `most`: rows for each row that it starts from, or groups in
    all. `grants` are those that it uses. `children` lie beyond relations of its rows.
    """

    kind: str
    resource: Resource
    at: str
    asked: Field
    most: int
    grants: set[str] = field(default_factory=set)
    children: "list[Call]" = field(default_factory=list)
    relation: Relation | None = None
    key: tuple[str, ...] = ()

    def all(self) -> "list[Call]":
        return [self, *(call for child in self.children for call in child.all())]


def most_groups(items: Iterable[Item]) -> int:
    """How many groups the code lists allow, with none for each."""
    return min(MOST_GROUPS, prod(_values(item) for item in items))


def _values(item: Item) -> int:
    if item.type is ScalarType.BOOLEAN:
        return 3
    return len(item.codes) + 1 if item.codes else MOST_GROUPS


def page_size(listing: Listing) -> int:
    """The rows of a page at most; of no size, 50."""
    for size in (listing.last, listing.first):
        if value_of(size) not in (None, ABSENT):
            return int(value_of(size))
    return DEFAULT_PAGE


def exactly(asked: Field, collect: Collect) -> Any:
    """What a field asks, response key apart; equal ones are one call. One with variables is like no other."""
    return _arguments(asked), tuple((one.key, exactly(one, collect)) for one in collect(asked.selections))


def roughly(asked: Field, collect: Collect) -> Any:
    """The same for all fields that may be one call, or not: what is filtered by is left out of it."""
    arguments: Any = asked.arguments
    if isinstance(arguments, Listing):
        rest = (arguments.order, arguments.search, arguments.first, arguments.last, arguments.after, arguments.before)
        arguments = repr(tuple(spelled_out(part) for part in rest))
    else:
        arguments = None
    return asked.name, arguments, tuple((one.key, roughly(one, collect)) for one in collect(asked.selections))


def _arguments(asked: Field) -> Any:
    arguments = asked.arguments
    if arguments is None:
        return asked.name, None
    parts: list[Any] = list(vars(arguments).values())
    if isinstance(arguments, ByKey):
        parts = list(arguments.values.values())
    assert isinstance(arguments, Listing | ByKey | Figures)
    if any(has_variable(part) for part in parts):
        return asked.name, object()
    return asked.name, repr(parts)


def has_variable(value: Any) -> bool:
    """Whether a variable stands anywhere in an argument."""
    if isinstance(value, Mapping):
        return any(has_variable(part) for part in value.values())
    if isinstance(value, list | tuple):
        return any(has_variable(part) for part in value)
    return isinstance(value, Var | Place | Pick)  # a cursor is given as a variable
