"""In charge of what planning says of items and relations: cells over columns, links, typed constants, refusals."""

from dataclasses import dataclass, replace
from typing import Any

from authz.denial import Denial
from resolvers.plan import At
from tanglai.catalogue.expressions import Column, Expression, ItemRef, Slot, Value, rewrite
from tanglai.catalogue.model import Relation, Resource
from tanglai.catalogue.scalars import ScalarType


class Refused(Exception):
    """A denied use outside selection: the whole operation is refused before any source is touched."""

    def __init__(self, denial: Denial, at: At) -> None:
        super().__init__(denial.code)
        self.denial = denial
        self.at = at


def bind(expression: Expression, resource: Resource) -> Expression:
    """`expression` over items, as an expression over the columns that `resource` binds them to."""

    def column(node: Expression) -> Expression | None:
        return resource.item_by_name[node.name].column if isinstance(node, ItemRef) else None

    return rewrite(expression, column)


def constant(value: Any, kind: ScalarType) -> Value | Slot:
    """A literal as a value, a variable as a slot, typed by the item (never guessed from the value)."""
    return replace(value, type=kind) if isinstance(value, Slot) else Value(value, kind)


def link_columns(resource: Resource, items: tuple[str, ...]) -> tuple[Column, ...]:
    return tuple(resource.item_by_name[name].column for name in items)


@dataclass(frozen=True, slots=True)
class Link:
    """A relation that may be followed: the rows of either end that link, and the target's visible rows.

    All expressions are over columns, two-valued. `far` are the grants that the rule of the target's end rests on.
    """

    relation: Relation
    target: Resource
    rows: Expression
    target_rows: Expression
    target_row: Expression
    far: tuple[str, ...]
