"""In charge of connections: edges, nodes, page information and the total, in response order."""

from collections.abc import Callable
from dataclasses import dataclass

from graphql import GraphQLObjectType, SelectionSetNode

from resolvers.plan import At, ConnectionField, ConnectionShape, EdgeShape, NodesShape, PageInfoShape, RowShape
from resolvers.planner import Planning, object_type, quoted
from resolvers.selection import Selected
from schema.fields import Part, PartField, meaning

RowShaper = Callable[[GraphQLObjectType, list[SelectionSetNode], At], RowShape]
"""The shape of a row for an object type, its selections and their place."""


@dataclass(slots=True)
class Wants:
    """What a connection needs besides its rows."""

    cursors: bool = False
    total: bool = False


def connection_shape(
    planning: Planning,
    kind: GraphQLObjectType,
    sets: list[SelectionSetNode],
    row: RowShaper,
    at: At,
    wants: Wants,
) -> ConnectionShape:
    """What is selected of a connection, in response order; `row` shapes its rows."""
    fields: list[tuple[str, ConnectionField]] = []
    for selected in planning.collector.fields(kind, sets):
        here = at.child(selected.key)
        definition = kind.fields.get(selected.name)
        what = meaning(definition) if definition is not None else None
        part: ConnectionField
        if definition is None:
            part = quoted(kind.name)
        elif what == PartField(Part.NODES):
            part = NodesShape(row(object_type(definition), selected.selection_sets, here.rows()))
        elif what == PartField(Part.EDGES):
            part = _edge(planning, object_type(definition), selected, row, here.rows(), wants)
        elif what == PartField(Part.PAGE_INFO):
            part = _page_info(planning, object_type(definition), selected, wants)
        else:
            wants.total = True
            part = Part.TOTAL_COUNT
        fields.append((selected.key, part))
    return ConnectionShape(tuple(fields))


def _edge(
    planning: Planning,
    kind: GraphQLObjectType,
    edge: Selected,
    row: RowShaper,
    at: At,
    wants: Wants,
) -> EdgeShape:
    fields: list[tuple[str, RowShape | Part | str]] = []
    for selected in planning.collector.fields(kind, edge.selection_sets):
        definition = kind.fields.get(selected.name)
        if definition is None:
            fields.append((selected.key, quoted(kind.name)))
        elif meaning(definition) == PartField(Part.CURSOR):
            wants.cursors = True
            fields.append((selected.key, Part.CURSOR))
        else:
            shape = row(object_type(definition), selected.selection_sets, at.child(selected.key))
            fields.append((selected.key, shape))
    return EdgeShape(tuple(fields))


def _page_info(planning: Planning, kind: GraphQLObjectType, info: Selected, wants: Wants) -> PageInfoShape:
    fields: list[tuple[str, Part | str]] = []
    for selected in planning.collector.fields(kind, info.selection_sets):
        if selected.name == "__typename":
            fields.append((selected.key, quoted(kind.name)))
            continue
        part = Part(selected.name)
        wants.cursors = wants.cursors or part in (Part.START_CURSOR, Part.END_CURSOR)
        fields.append((selected.key, part))
    return PageInfoShape(tuple(fields))
