"""In charge of operations as data: what is asked, free of GraphQL's text, for the oracle and the renderer alike.

A filter is a dict as in GraphQL, keyed by GraphQL names; scalars are Python values (scalars.py) or a `Var` of one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, TypeAlias

Where: TypeAlias = "dict[str, Any]"


class Missing(Enum):
    """What is not given: an argument that is left out, a variable without value."""

    ABSENT = "absent"


ABSENT = Missing.ABSENT


@dataclass(frozen=True)
class Var:
    """A value that comes as a variable of the document; ABSENT: the variable is declared, but not given."""

    value: Any


@dataclass(frozen=True)
class Pick:
    """A cursor still to be had: that of the row at `place` (from the front) of the list as it is without cursors."""

    place: int


@dataclass(frozen=True)
class Place:
    """A cursor: the gateway's token, and the row (its index in the table) that it stands for; None: forged."""

    token: str
    row: int | None


@dataclass(frozen=True)
class Listing:
    """Arguments of a list. None is an explicit null. `order` holds (GraphQL name, ASC or DESC)."""

    where: Any = ABSENT
    order: Any = ABSENT
    search: Any = ABSENT
    first: Any = ABSENT
    last: Any = ABSENT
    after: "Pick | Place | Missing | None" = ABSENT
    before: "Pick | Place | Missing | None" = ABSENT


@dataclass(frozen=True)
class ByKey:
    """Arguments of a look-up: GraphQL name -> scalar or Var."""

    values: Mapping[str, Any]


@dataclass(frozen=True)
class ById:
    """Argument of `node`: a row of `resource` by its index in the table; `token` is filled in before it is asked."""

    resource: str
    row: int
    token: str = ""


@dataclass(frozen=True)
class Figures:
    """Arguments of an aggregate; `group` holds GraphQL names."""

    where: Any = ABSENT
    group: Any = ABSENT


@dataclass(frozen=True)
class Representation:
    """What names a row from outside, as JSON. `values` are what it says of the key (item -> scalar); None: broken."""

    json: Mapping[str, Any]
    resource: str = ""
    key: tuple[str, ...] = ()
    values: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Entities:
    """Argument of `_entities`, as a literal or a variable."""

    representations: tuple[Representation, ...]
    variable: bool


Arguments: TypeAlias = Listing | ByKey | ById | Figures | Entities


@dataclass(frozen=True)
class Only:
    """A directive: `include` or `skip`, with its flag, as a literal or a variable."""

    directive: str
    flag: bool
    variable: bool

    @property
    def kept(self) -> bool:
        return self.flag is (self.directive == "include")


@dataclass(frozen=True)
class Field:
    name: str
    alias: str | None = None
    arguments: Arguments | None = None
    selections: "tuple[Selection, ...]" = ()
    only: tuple[Only, ...] = ()

    @property
    def key(self) -> str:
        return self.alias or self.name


@dataclass(frozen=True)
class Inline:
    """An inline fragment; without `condition` it is of the type around it."""

    condition: str | None
    selections: "tuple[Selection, ...]"
    only: tuple[Only, ...] = ()


@dataclass(frozen=True)
class Spread:
    fragment: str
    only: tuple[Only, ...] = ()


Selection: TypeAlias = Field | Inline | Spread


@dataclass(frozen=True)
class Fragment:
    condition: str
    selections: tuple[Selection, ...]


@dataclass(frozen=True)
class Operation:
    """A query. `refuse`: asked with `extensions.onDenied: "REFUSE"`."""

    selections: tuple[Selection, ...]
    fragments: Mapping[str, Fragment] = field(default_factory=dict)
    refuse: bool = False


@dataclass(frozen=True)
class Walk:
    """A list to be read page by page, `size` rows each, from either end."""

    resource: str
    where: Any
    order: Any
    selections: tuple[Selection, ...]
    fragments: Mapping[str, Fragment]
    size: int


def value_of(value: Any) -> Any:
    """An argument's value: what a variable holds, else the value itself."""
    return value.value if isinstance(value, Var) else value


def spelled_out(value: Any) -> Any:
    """`value` with what its variables hold in their place."""
    if isinstance(value, Var):
        return spelled_out(value.value)
    if isinstance(value, dict):
        return {name: spelled_out(part) for name, part in value.items()}
    return [spelled_out(part) for part in value] if isinstance(value, list) else value


def change(operation: Operation, alter: Callable[[Field], Field]) -> Operation:
    """`operation` with every field replaced by `alter(field)`, inner fields first."""

    def within(selections: tuple[Selection, ...]) -> tuple[Selection, ...]:
        return tuple(one(selection) for selection in selections)

    def one(selection: Selection) -> Selection:
        if isinstance(selection, Spread):
            return selection
        altered = replace(selection, selections=within(selection.selections))
        return alter(altered) if isinstance(altered, Field) else altered

    fragments = {
        name: replace(fragment, selections=within(fragment.selections))
        for name, fragment in operation.fragments.items()
    }
    return replace(operation, selections=within(operation.selections), fragments=fragments)


def fields(operation: Operation) -> list[Field]:
    """Every field of the document, in no order that matters."""
    found: list[Field] = []

    def keep(seen: Field) -> Field:
        found.append(seen)
        return seen

    change(operation, keep)
    return found
