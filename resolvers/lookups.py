"""In charge of look-ups by a catalogued key."""

from typing import Any

from graphql import GraphQLField

from authz.denial import Denial
from authz.visible import Use
from resolvers.cells import Refused, bind, constant, link_columns
from resolvers.entry_paths import group_path
from resolvers.plan import Answer, At, LookupCall
from resolvers.planner import Planning, object_type
from resolvers.rows import object_call
from resolvers.selection import Selected
from schema.fields import LookupField
from tanglai.catalogue.errors import BadInput
from tanglai.catalogue.expressions import Compare, CompareOp, Expression, conjunction
from tanglai.catalogue.model import Key, Resource


@group_path(LookupField)
def plan_lookup(planning: Planning, what: LookupField, definition: GraphQLField, selected: Selected, at: At) -> Answer:
    """The row of a catalogued key: one call. Raises Refused where an item of the key is clear nowhere."""
    resource = what.resource
    given = planning.arguments(definition, selected)
    values: list[Any] = []
    for name in what.key.items:
        item = resource.item_by_name[name]
        value = given.get(item.graphql)
        if value is None:
            raise BadInput(f"`{item.graphql}` may not be null", fieldPath=str(at))
        values.append(constant(value, item.type))
    where = key_cells(planning, resource, what.key, at)
    if isinstance(where, Denial):
        raise Refused(where, at)
    columns = link_columns(resource, what.key.items)
    match = conjunction(*(Compare(CompareOp.EQ, c, v) for c, v in zip(columns, values, strict=True)))
    call = object_call(
        planning,
        resource,
        object_type(definition),
        selected.selection_sets,
        at,
        where=conjunction(where, match),
        limit=1,
    )
    return LookupCall((), call)


def key_cells(planning: Planning, resource: Resource, key: Key, at: At) -> Expression | Denial:
    """Where all items of `key` are clear: there, their compare cells are the raw columns. Or why none may be used.

    A key look-up is a filter on compare cells, so that out of scope, absent and null answer alike.
    """
    relation = planning.relation_of(resource)
    planning.uses[resource.code].update(key.items)
    for name in key.items:
        cell = relation.resolve(name, Use.KEY)
        if isinstance(cell, Denial):
            return cell
    rules = [relation.items[name] for name in key.items]
    for rule in rules:
        planning.told(rule.grants)
    return conjunction(*(bind(rule.clear, resource) for rule in rules))
