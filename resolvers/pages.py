"""In charge of order and pages: what a list is sorted by, where a page begins, and what breaks ties."""

from collections.abc import Mapping
from typing import Any

from authz.visible import Use
from connectors.protocol import Order
from resolvers.cells import bind, constant
from resolvers.limits import Limits, page_size_error
from resolvers.plan import At, KeysetColumn, Page
from resolvers.planner import Planning
from tanglai.catalogue.errors import BadInput, ErrorCode, TanglaiError
from tanglai.catalogue.expressions import FALSE, Column, Slot
from tanglai.catalogue.model import Resource
from tanglai.catalogue.scalars import ScalarType


def page_of(
    planning: Planning,
    resource: Resource,
    given: Mapping[str, Any],
    named: list[KeysetColumn],
    at: At,
) -> Page:
    """The page that a list is asked for. `named` are the columns of its order.

    Raises BAD_INPUT for a size that is not allowed, CAPABILITY_MISSING where pages cannot continue.
    """
    first, last = given.get("first"), given.get("last")
    after, before = given.get("after"), given.get("before")
    if first is not None and last is not None:
        raise BadInput("give `first` or `last`, not both", fieldPath=str(at))
    size = last if last is not None else first if first is not None else planning.limits.default_page
    if isinstance(size, Slot):
        size = constant(size, ScalarType.INTEGER)
        assert isinstance(size, Slot)
    else:
        check_page(size, planning.limits, at)
    breaks = tie(planning, resource)
    columns: list[KeysetColumn] = []
    if breaks:
        # The handle stands in every cursor, also where it is sorted by: what a cursor holds does not depend on grants.
        known = [] if resource.binding.handle is not None else [column.expression for column in named]
        columns = named + [column for column in breaks if column.expression not in known]
    else:
        if after is not None or before is not None or last is not None:
            raise TanglaiError(
                ErrorCode.CAPABILITY_MISSING,
                f"`{resource.code}` has no key that pages could continue from",
                resource=resource.code,
                fieldPath=str(at),
            )
    return Page(size, last is not None, after, before, tuple(columns), "", None)


def order_columns(planning: Planning, resource: Resource, entries: Any, at: At) -> list[KeysetColumn]:
    """The columns that `orderBy` names, each once.

    Raises Refused for a denied item, BAD_INPUT for an entry that does not name exactly one.
    """
    columns: list[KeysetColumn] = []
    by_graphql = {item.graphql: item for item in resource.items}
    for entry in entries or ():
        planning.count_term()
        if entry is None or len(entry) != 1 or None in entry.values():
            raise BadInput("each entry of `orderBy` names exactly one item", fieldPath=str(at.child("orderBy")))
        ((name, direction),) = entry.items()
        item = by_graphql[name]
        cell = planning.cell(resource, item, Use.ORDER, at.child("orderBy").child(name))
        if any(column.expression == cell for column in columns):
            continue
        nullable = item.nullable or not isinstance(cell, Column)
        columns.append(KeysetColumn(cell, None, item.type, str(direction).upper().endswith("DESC"), nullable))
    return columns


def tie(planning: Planning, resource: Resource) -> list[KeysetColumn]:
    """The row handle, else a key without nulls that is clear wherever a row is visible, else nothing."""
    handle = resource.binding.handle
    if handle is not None:
        return [KeysetColumn(handle, None, handle.type, False, False)]
    relation = planning.relation_of(resource)
    for key in resource.keys:
        rules = [relation.items[name] for name in key.items]
        if all(
            rule.clear != FALSE and not relation.partial(rule.item.name) and not rule.item.nullable for rule in rules
        ):
            return [KeysetColumn(rule.item.column, None, rule.item.type, False, False) for rule in rules]
    return []


def clear_order(planning: Planning, resource: Resource, named: list[KeysetColumn]) -> tuple[Order, ...]:
    """The order of a resource without anything to page by: the named cells, then all clear ones, free of charge."""
    rules = [r for r in planning.relation_of(resource).items.values() if r.clear != FALSE and r.item.type.comparable]
    planning.uses[resource.code].update(rule.item.name for rule in rules)
    cells = [bind(rule.compare, resource) for rule in rules]
    known = [column.expression for column in named]
    return (
        *(Order(column.expression, column.descending) for column in named),
        *(Order(cell) for cell in cells if cell not in known),
    )


def check_page(size: Any, limits: Limits, at: At) -> None:
    """Raises BAD_INPUT for a page size outside 0..limits.page; it is never clamped."""
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= limits.page:
        raise page_size_error(limits, at)
