"""In charge of the two roots that name a row from outside: `node(id)` and federation's `_entities`."""

from dataclasses import dataclass
from typing import Any

from graphql import GraphQLObjectType

from authz.denial import Denial
from resolvers.cells import link_columns
from resolvers.entry_paths import root_path
from resolvers.lookups import key_cells
from resolvers.plan import Answer, At, EntitiesCall, EntityCall, NodeCall
from resolvers.planner import Planning
from resolvers.rows import object_call
from resolvers.selection import Selected
from resolvers.values import AnySlot, IdSlot, representation_kind
from schema.fields import RootField
from tanglai.catalogue.errors import BadInput
from tanglai.catalogue.model import Key, Resource

ROW_KIND = "row:"
BROKEN_KIND = "broken"


def node_kind(planning: Planning, root: GraphQLObjectType, selected: Selected) -> str:
    """What the `id` of a `node` field names, by its prefix and seal: `row:<resource code>`, `broken`, or other."""
    value = planning.arguments(root.fields[selected.name], selected).get("id")
    if isinstance(value, IdSlot):
        return value.kind
    return planning.id_kind(value) if isinstance(value, str) else BROKEN_KIND


@root_path(RootField.NODE)
def plan_node(planning: Planning, root: GraphQLObjectType, selected: Selected, at: At) -> Answer:
    """`node` of a data row: a look-up by the sealed handle. Hidden, absent and retired answer null alike."""
    kind = node_kind(planning, root, selected)
    if not kind.startswith(ROW_KIND):
        raise BadInput("`id` is not an id of this platform", fieldPath=str(at))
    resource = planning.snapshot.resources.get(kind.removeprefix(ROW_KIND))
    if resource is None or resource.binding.handle is None:
        return "null"
    if planning.denied_whole(resource, at):
        return "null"
    value = planning.arguments(root.fields[selected.name], selected)["id"]
    planning.used = set()
    links = (resource.binding.handle,)
    call = object_call(planning, resource, _type(planning, resource), selected.selection_sets, at, links=links)
    return NodeCall(value, call)


@root_path(RootField.ENTITIES)
def plan_entities(planning: Planning, root: GraphQLObjectType, selected: Selected, at: At) -> Answer:
    """`_entities`: one batched call per type and key that occurs in the representations."""
    source = planning.arguments(root.fields[selected.name], selected)["representations"]
    if isinstance(source, AnySlot):
        kinds = source.kinds
        whence: AnySlot | tuple[Any, ...] = source
    else:
        whence = tuple(source)
        kinds = frozenset(representation_kind(value) for value in whence)
    resources = {resource.names.type: resource for resource in planning.snapshot.served}
    calls: dict[tuple[str, tuple[str, ...]], EntityCall] = {}
    for name, fields in sorted(kinds):
        match = _key(resources.get(name), fields)
        if match is not None:
            calls[name, fields] = _entity(planning, match, selected, at.rows())
    return EntitiesCall(whence, calls, at)


@dataclass(frozen=True, slots=True)
class _Match:
    resource: Resource
    key: Key


def _key(resource: Resource | None, fields: tuple[str, ...]) -> _Match | None:
    """The catalogued key of `resource` whose items are exactly `fields`."""
    for key in resource.keys if resource is not None else ():
        assert resource is not None
        if tuple(sorted(resource.item_by_name[name].graphql for name in key.items)) == fields:
            return _Match(resource, key)
    return None


def _entity(planning: Planning, match: _Match, selected: Selected, at: At) -> EntityCall:
    resource, key = match.resource, match.key
    items = [resource.item_by_name[name] for name in key.items]
    names, types = tuple(item.graphql for item in items), tuple(item.type for item in items)
    planning.used = set()
    denial = planning.relation_of(resource).denial
    where = denial if denial is not None else key_cells(planning, resource, key, at)
    if isinstance(where, Denial):
        planning.deny(where, at)
        return EntityCall(names, types, None)
    call = object_call(
        planning,
        resource,
        _type(planning, resource),
        selected.selection_sets,
        at,
        where=where,
        links=link_columns(resource, key.items),
    )
    return EntityCall(names, types, call)


def _type(planning: Planning, resource: Resource) -> GraphQLObjectType:
    kind = planning.schema.get_type(resource.names.type)
    assert isinstance(kind, GraphQLObjectType)
    return kind
