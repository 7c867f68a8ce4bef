"""In charge of the trails to the rows of a resource: the part of an operation above what it does with an item."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tanglai.catalogue.model import Key, Relation, Resource, Snapshot
from tanglai.catalogue.naming import aggregate_field_name, lookup_field_name
from tests.matrix.steps import Samples, Step, Usage


@dataclass(frozen=True, slots=True)
class Trail:
    """`before` and `after` are the text around the arguments and the selection of the rows; `at` is where those stand.

    `many`: what is selected is a connection, else an object. `main`: all ways go along it, not only a few.
    """

    name: str
    before: str
    after: str
    steps: tuple[Step, ...]
    at: tuple[str, ...]
    many: bool
    main: bool = False
    head: str = ""
    variables: Mapping[str, Any] = field(default_factory=dict)

    def text(self, selection: str, arguments: str = "", head: str = "") -> str:
        """The operation. `head` and the trail's own are variable definitions."""
        heads = ", ".join(filter(None, (self.head, head)))
        given = f"({arguments})" if arguments else ""
        return f"query{f' ({heads})' if heads else ''} {{ {self.before}{given} {{ {selection} }}{self.after} }}"


def inbound(snapshot: Snapshot, resource: Resource) -> list[tuple[Resource, Relation]]:
    """Relations that lead to `resource` from resources that are served, with the resource that they start from."""
    return [
        (start, relation)
        for start in snapshot.served
        for relation in start.relations
        if relation.target == resource.code
    ]


def literal(value: Any) -> str:
    """`value` as GraphQL writes it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {literal(part)}" for name, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(literal(part) for part in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def list_trail(resource: Resource) -> Trail:
    names = resource.names
    at = ("data", names.group, names.list)
    before = f"data {{ {names.group} {{ {names.list}"
    return Trail("list", before, " } }", (Step(Usage.ROOT, resource.code, None, at),), at, True, main=True)


def aggregate_trail(resource: Resource) -> Trail:
    names = resource.names
    name = aggregate_field_name(names)
    at = ("data", names.group, name)
    before = f"data {{ {names.group} {{ {name}"
    return Trail("aggregate", before, " } }", (Step(Usage.ROOT, resource.code, None, at),), at, True, main=True)


def connections(snapshot: Snapshot, resource: Resource, samples: Samples) -> Iterator[Trail]:
    """Every trail to a connection over rows of `resource`."""
    yield list_trail(resource)
    for number, (start, relation) in enumerate(r for r in inbound(snapshot, resource) if r[1].many):
        for trail in starts(start, samples, every=number == 0):
            yield beyond(trail, start, relation, main=number == 0 and trail.name == "list")


def objects(snapshot: Snapshot, resource: Resource, samples: Samples) -> Iterator[Trail]:
    """Every trail to objects of `resource`."""
    for trail in connections(snapshot, resource, samples):
        yield _inside(trail, "nodes")
        if trail.main:
            yield _inside(trail, "edges")
    yield from objects_by_name(resource, samples)
    for number, (start, relation) in enumerate(r for r in inbound(snapshot, resource) if not r[1].many):
        for trail in starts(start, samples, every=number == 0):
            yield beyond(trail, start, relation, main=number == 0 and trail.name == "list")


def starts(resource: Resource, samples: Samples, *, every: bool) -> Iterator[Trail]:
    """Trails to the objects that a relation starts from: the list, or every one."""
    yield _listed(resource)
    if every:
        yield from (trail for trail in objects_by_name(resource, samples) if not trail.variables)


def objects_by_name(resource: Resource, samples: Samples) -> Iterator[Trail]:
    """Trails that name one row: look-ups by key, the row's id, a representation; literals and variables."""
    for number, key in enumerate(resource.keys):
        yield _lookup(resource, key, samples, number, variable=False)
        yield _entity(resource, key, samples, number, variable=False)
    if resource.keys:
        yield _lookup(resource, resource.keys[0], samples, 0, variable=True)
        yield _entity(resource, resource.keys[0], samples, 0, variable=True)
    if resource.binding.handle is not None:
        yield _node(resource, samples, variable=False)
        yield _node(resource, samples, variable=True)


def _listed(resource: Resource) -> Trail:
    """The objects of the first page."""
    trail = list_trail(resource)
    at = (*trail.at, "nodes")
    return Trail("list", f"{trail.before} {{ nodes", " }" + trail.after, trail.steps, at, False)


def _inside(trail: Trail, part: str) -> Trail:
    inner, ends = ("nodes", " }") if part == "nodes" else ("edges { node", " } }")
    at = (*trail.at, *inner.replace(" {", "").split())
    return Trail(
        f"{trail.name} {part}",
        f"{trail.before} {{ {inner}",
        ends + trail.after,
        trail.steps,
        at,
        False,
        trail.main and part == "nodes",
        trail.head,
        trail.variables,
    )


def beyond(trail: Trail, start: Resource, relation: Relation, *, main: bool = False) -> Trail:
    """What lies beyond `relation` of the objects of `trail`."""
    at = (*trail.at, relation.graphql)
    kind = "many" if relation.many else "one"
    return Trail(
        f"to {kind} below {trail.name}",
        f"{trail.before} {{ {relation.graphql}",
        " }" + trail.after,
        (*trail.steps, Step(Usage.FOLLOW, start.code, relation.name, at)),
        at,
        relation.many,
        main,
        trail.head,
        trail.variables,
    )


def _lookup(resource: Resource, key: Key, samples: Samples, number: int, *, variable: bool) -> Trail:
    name = lookup_field_name(resource, key)
    at = ("data", resource.names.group, name)
    items = [resource.item_by_name[part] for part in key.items]
    values = {item.graphql: samples.value(resource, item) for item in items}
    written = {n: f"$k{i}" if variable else literal(v) for i, (n, v) in enumerate(values.items())}
    arguments = ", ".join(f"{n}: {text}" for n, text in written.items())
    return Trail(
        f"look-up{' by a further key' if number else ''}{' with variables' if variable else ''}",
        f"data {{ {resource.names.group} {{ {name}({arguments})",
        " } }",
        (Step(Usage.ROOT, resource.code, None, at), *(Step(Usage.KEY, resource.code, i.name, at) for i in items)),
        at,
        False,
        number == 0 and not variable,
        ", ".join(f"$k{i}: {SCALAR_NAMES[item.type.value]}!" for i, item in enumerate(items)) if variable else "",
        {f"k{i}": v for i, v in enumerate(values.values())} if variable else {},
    )


def _node(resource: Resource, samples: Samples, *, variable: bool) -> Trail:
    at = ("node",)
    value = samples.row_id(resource)
    return Trail(
        f"node{' with variables' if variable else ''}",
        f"node(id: {'$id' if variable else literal(value)}) {{ ... on {resource.names.type}",
        " }",
        (Step(Usage.ROOT, resource.code, None, at),),
        at,
        False,
        not variable,
        "$id: ID!" if variable else "",
        {"id": value} if variable else {},
    )


def _entity(resource: Resource, key: Key, samples: Samples, number: int, *, variable: bool) -> Trail:
    at = ("_entities",)
    items = [resource.item_by_name[part] for part in key.items]
    values = {"__typename": resource.names.type} | {i.graphql: samples.value(resource, i) for i in items}
    return Trail(
        f"_entities{' by a further key' if number else ''}{' with variables' if variable else ''}",
        f"_entities(representations: {'$keys' if variable else literal([values])}) {{ ... on {resource.names.type}",
        " }",
        (
            Step(Usage.ENTITY, resource.code, None, at),
            *(Step(Usage.ENTITY, resource.code, item.name, at) for item in items),
        ),
        at,
        False,
        number == 0 and not variable,
        "$keys: [_Any!]!" if variable else "",
        {"keys": [values]} if variable else {},
    )


SCALAR_NAMES = {
    "TEXT": "String",
    "BOOLEAN": "Boolean",
    "INTEGER": "Int",
    "LONG": "Long",
    "DECIMAL": "Decimal",
    "FLOAT": "Float",
    "DATE": "Date",
    "TIME": "Time",
    "DATETIME": "DateTime",
}
"""The GraphQL name of each type that can be an operand."""
