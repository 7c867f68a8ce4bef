"""In charge of what an export is asked for: one list, and the columns that its rows make in a table.

The columns come from the document and the schema alone, so that they are the same whatever is denied.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLObjectType, SelectionSetNode

from resolvers.planner import object_type
from resolvers.selection import Collector, Selected
from resolvers.under_way import Read
from schema.fields import GroupField, ItemField, ListField, Part, PartField, RelationField, RootField, meaning
from tanglai.catalogue.errors import BadInput
from tanglai.catalogue.scalars import ScalarType

_PAGING = frozenset({"first", "last", "after", "before"})


@dataclass(frozen=True, slots=True)
class ExportColumn:
    """One column. `name` joins the response keys down to it by dots, `path` is where its value is in a row's object.

    `type` None: the JSON of what lies beyond a to-many relation.
    """

    name: str
    path: tuple[str, ...]
    type: ScalarType | None


@dataclass(frozen=True, slots=True)
class ExportedList:
    """The list that an export gives. `name` is its response key, `nodes` the field path of its rows."""

    name: str
    nodes: tuple[str, ...]
    columns: tuple[ExportColumn, ...]


def exported_list(read: Read, query: GraphQLObjectType) -> ExportedList:
    """What `read` asks an export for. Raises BAD_INPUT unless it is the nodes of one list of `data`, all pages."""
    collector = read.collector
    if read.roots.fixed or len(read.roots.planned) != 1 or read.roots.planned[0].name != RootField.DATA:
        raise _no_list()
    data = read.roots.planned[0]
    kind = object_type(query.fields[data.name])
    group, what, kind = _only(collector, kind, data.selection_sets)
    if not isinstance(what, GroupField):
        raise _no_list()
    listed, what, kind = _only(collector, kind, group.selection_sets)
    if not isinstance(what, ListField):
        raise _no_list()
    if any(argument.name.value in _PAGING for argument in listed.node.arguments or ()):
        raise BadInput("an export has no pages: give the most rows as `extensions.export.rows`", fieldPath=listed.key)
    nodes, what, kind = _only(collector, kind, listed.selection_sets)
    if what != PartField(Part.NODES):
        raise _no_list()
    columns = tuple(_columns(collector, kind, nodes.selection_sets, (), ()))
    return ExportedList(listed.key, (data.key, group.key, listed.key, nodes.key), columns)


def _no_list() -> BadInput:
    return BadInput("an export is a query for the `nodes` of one list of `data`, and for nothing else")


def _only(
    collector: Collector, kind: GraphQLObjectType, sets: Sequence[SelectionSetNode]
) -> tuple[Selected, Any, GraphQLObjectType]:
    """The only field that is selected of `kind`, its meaning and its type."""
    fields = collector.fields(kind, sets)
    definition = kind.fields.get(fields[0].name) if len(fields) == 1 else None
    if definition is None or not fields[0].selection_sets:
        raise _no_list()
    return fields[0], meaning(definition), object_type(definition)


def _columns(
    collector: Collector,
    kind: GraphQLObjectType,
    sets: Sequence[SelectionSetNode],
    names: tuple[str, ...],
    path: tuple[str, ...],
) -> Iterator[ExportColumn]:
    for selected in collector.fields(kind, sets):
        here, at = (*names, selected.key), (*path, selected.key)
        definition = kind.fields.get(selected.name)
        what = meaning(definition) if definition is not None else None
        if isinstance(what, ItemField):
            yield ExportColumn(".".join(here), at, what.item.type)
        elif isinstance(what, RelationField):
            assert definition is not None
            beyond = object_type(definition)
            if not what.relation.many:
                yield from _columns(collector, beyond, selected.selection_sets, here, at)
                continue
            inner = collector.fields(beyond, selected.selection_sets)
            nodes = len(inner) == 1 and inner[0].name == Part.NODES
            yield ExportColumn(".".join(here), (*at, inner[0].key) if nodes else at, None)
        else:  # an id, or the name of a type
            yield ExportColumn(".".join(here), at, ScalarType.TEXT)


def values(rows: Sequence[Any], column: ExportColumn) -> list[Any]:
    """The values of a column in rows that are read from JSON; below what is null there is null."""
    first, *more = column.path
    found = [row[first] for row in rows]
    for name in more:
        found = [None if value is None else value[name] for value in found]
    return found
