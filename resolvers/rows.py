"""In charge of rows: connections, single objects, what is selected of a row, and what lies beyond its relations."""

import hashlib
from collections.abc import Mapping
from typing import Any

from graphql import GraphQLField, GraphQLObjectType, SelectionSetNode

from authz.denial import Denial
from authz.visible import Use
from connectors.protocol import JsonNode, JsonObject, JsonOutput, JsonText, Order, RawOutput, SourceQuery
from resolvers.cells import Link, bind, link_columns
from resolvers.connections import Wants, connection_shape
from resolvers.entry_paths import group_path
from resolvers.metering import subject_of
from resolvers.pages import clear_order, order_columns, page_of
from resolvers.plan import (
    Answer,
    At,
    IdPiece,
    JsonPiece,
    KeysetColumn,
    Page,
    Piece,
    RelationPiece,
    RowsCall,
    RowShape,
    limit_path,
)
from resolvers.planner import Outputs, Planning, object_type, quoted
from resolvers.search import search_predicate
from resolvers.selection import Selected
from resolvers.where import Filter
from schema.fields import ItemField, ListField, RelationField, RowId, meaning
from tanglai.catalogue.expressions import (
    TRUE,
    Aggregate,
    AggregateFunction,
    Case,
    Column,
    Expression,
    Slot,
    conjunction,
)
from tanglai.catalogue.model import Item, Resource
from tanglai.catalogue.scalars import ScalarType

NULL = JsonText("null")


@group_path(ListField)
def plan_list(planning: Planning, what: ListField, definition: GraphQLField, selected: Selected, at: At) -> Answer:
    """A connection over all visible rows of a resource."""
    given = planning.arguments(definition, selected)
    return list_call(planning, what.resource, definition, selected, given, at)


def object_call(
    planning: Planning,
    resource: Resource,
    kind: GraphQLObjectType,
    sets: list[SelectionSetNode],
    at: At,
    *,
    where: Expression = TRUE,
    extra: Expression = TRUE,
    links: tuple[Column, ...] = (),
    limit: int | None = None,
) -> RowsCall:
    """A call that answers with one object (per link key): look-ups, nodes, entities and to-one relations."""
    relation = planning.relation_of(resource)
    outputs = Outputs()
    shape = row_shape(planning, resource, kind, sets, outputs, at)
    grants = planning.charged()
    subject = subject_of(planning, resource, outputs, grants)
    query = planning.admit(
        SourceQuery(
            source=resource.binding.source,
            namespace=resource.binding.namespace,
            table=resource.binding.table,
            outputs=tuple(outputs.columns),
            visible=conjunction(bind(relation.row, resource), extra),
            where=where,
            order=_handle_order(resource) if limit is not None or links else (),
            limit=limit,
            links=links,
            options=resource.binding.options,
            max_rows=resource.binding.max_rows,
        ),
        resource,
        at,
    )
    return RowsCall(resource, query, shape, None, None, _digest(query, shape, grants), (), at, grants, subject)


def list_call(
    planning: Planning,
    resource: Resource,
    definition: GraphQLField,
    selected: Selected,
    given: Mapping[str, Any],
    at: At,
    *,
    extra: Expression = TRUE,
    links: tuple[Column, ...] = (),
    via: str = "",
) -> RowsCall:
    """A connection over the rows of `resource` (per link key)."""
    relation = planning.relation_of(resource)
    kind = object_type(definition)
    keysets = Filter(planning)
    where = keysets.argument(resource, definition, given, at)
    if given.get("search") is not None:
        where = conjunction(where, search_predicate(planning, resource, given["search"], at))
    outputs = Outputs()
    named = order_columns(planning, resource, given.get("orderBy"), at)
    page = page_of(planning, resource, given, named, at)
    wants = Wants()

    def row(inner: GraphQLObjectType, sets: list[SelectionSetNode], place: At) -> RowShape:
        return row_shape(planning, resource, inner, sets, outputs, place)

    shape = connection_shape(planning, kind, selected.selection_sets, row, at, wants)
    if not wants.cursors:
        columns = tuple(_without_output(c) for c in page.columns)
    else:
        columns = tuple(_with_output(c, outputs) for c in page.columns)
    grants = planning.charged()
    subject = subject_of(planning, resource, outputs, grants)
    page = Page(
        page.size,
        page.backward,
        page.after,
        page.before,
        columns,
        context=_digest(resource.code, via, _order_of(given), len(columns)),
        filter=_filter(given),
    )
    visible = conjunction(bind(relation.row, resource), extra)
    order = tuple(Order(c.expression, c.descending != page.backward) for c in page.columns)
    base = SourceQuery(
        source=resource.binding.source,
        namespace=resource.binding.namespace,
        table=resource.binding.table,
        outputs=tuple(outputs.columns),
        visible=visible,
        where=where,
        order=order or clear_order(planning, resource, named),
        limit=Slot(limit_path(page.size), ScalarType.INTEGER),
        links=links,
        per_key=bool(links),
        options=resource.binding.options,
        max_rows=resource.binding.max_rows,
    )
    query = planning.admit(base, resource, at)
    total = _total(planning, base, resource, at) if wants.total else None
    signature = _digest(query, shape, page, total, tuple(keysets.keysets), grants)
    before = tuple(keysets.keysets)
    return RowsCall(resource, query, shape, page, total, signature, before, at, grants, subject)


def _total(planning: Planning, base: SourceQuery, resource: Resource, at: At) -> SourceQuery:
    count = Aggregate(AggregateFunction.COUNT_ROWS, None, ScalarType.LONG)
    query = SourceQuery(
        source=base.source,
        namespace=base.namespace,
        table=base.table,
        outputs=(RawOutput(count),),
        visible=base.visible,
        where=base.where,
        links=base.links,
        group_by=base.links,
        options=base.options,
        max_rows=base.max_rows,
    )
    return planning.admit(query, resource, at)


def row_shape(
    planning: Planning,
    resource: Resource,
    kind: GraphQLObjectType,
    sets: list[SelectionSetNode],
    outputs: Outputs,
    at: At,
) -> RowShape:
    """The object of one row. A denied item is null with one error; it never nulls its siblings."""
    pieces: list[Piece] = []
    pending: list[tuple[str, JsonNode]] = []

    def flush() -> None:
        if pending:
            pieces.append(JsonPiece(outputs.add(JsonOutput(JsonObject(tuple(pending))))))
            pending.clear()

    for selected in planning.collector.fields(kind, sets):
        here = at.child(selected.key)
        definition = kind.fields.get(selected.name)
        what = meaning(definition) if definition is not None else None
        if definition is None:
            pending.append((selected.key, JsonText(quoted(kind.name))))
        elif isinstance(what, ItemField):
            pending.append((selected.key, _item(planning, resource, what.item, here)))
        elif isinstance(what, RowId):
            flush()
            handle = resource.binding.handle
            assert handle is not None
            pieces.append(IdPiece(selected.key, outputs.raw(handle), resource.code, handle.type))
        elif isinstance(what, RelationField):
            link = planning.link(resource, what.relation)
            if isinstance(link, Denial):
                planning.deny(link, here)
                pending.append((selected.key, NULL))
                continue
            flush()
            keys = tuple(
                outputs.raw(_where_linked(link.rows, column)) for column in link_columns(resource, what.relation.items)
            )
            pieces.append(RelationPiece(selected.key, keys, _beyond(planning, link, definition, selected, here)))
        else:
            raise AssertionError(f"no meaning for {kind.name}.{selected.name}")
    flush()
    return RowShape(tuple(pieces))


def _item(planning: Planning, resource: Resource, item: Item, at: At) -> JsonNode:
    relation = planning.relation_of(resource)
    cell = relation.resolve(item.name, Use.SELECT)
    planning.uses[resource.code].add(item.name)
    if isinstance(cell, Denial):
        planning.deny(cell, at)
        return NULL
    rule = relation.items[item.name]
    planning.told(rule.grants)
    if rule.masked:
        planning.masked[str(at)] = None
    return bind(cell, resource)


def _beyond(planning: Planning, link: Link, definition: GraphQLField, selected: Selected, at: At) -> RowsCall:
    """What lies beyond a relation. The grants of the far end count its rows, those of the near end the parents."""
    used, planning.used = planning.used, set()
    planning.told(link.far)
    call = _linked(planning, link, definition, selected, at)
    planning.used = used
    return call


def _linked(planning: Planning, link: Link, definition: GraphQLField, selected: Selected, at: At) -> RowsCall:
    columns = link_columns(link.target, link.relation.target_items)
    if link.relation.many:
        given = planning.arguments(definition, selected)
        return list_call(
            planning,
            link.target,
            definition,
            selected,
            given,
            at,
            extra=link.target_rows,
            links=columns,
            via=link.relation.inverse,
        )
    kind = object_type(definition)
    return object_call(planning, link.target, kind, selected.selection_sets, at, extra=link.target_rows, links=columns)


def _handle_order(resource: Resource) -> tuple[Order, ...]:
    return (Order(resource.binding.handle),) if resource.binding.handle is not None else ()


def _where_linked(rows: Expression, column: Column) -> Expression:
    return column if rows == TRUE else Case(((rows, column),), column.type)


def _with_output(column: KeysetColumn, outputs: Outputs) -> KeysetColumn:
    output = outputs.raw(column.expression)
    return KeysetColumn(column.expression, output, column.type, column.descending, column.nullable)


def _without_output(column: KeysetColumn) -> KeysetColumn:
    return KeysetColumn(column.expression, None, column.type, column.descending, column.nullable)


def _filter(given: Mapping[str, Any]) -> list[Any]:
    """What a list is filtered by, which its cursors belong to."""
    return [given.get("where"), given.get("search")]


def _order_of(given: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a list is ordered by, which its cursors belong to; its entries are checked already."""
    return [(name, str(way)) for entry in given.get("orderBy") or () for name, way in entry.items()]


def _digest(*parts: Any) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()
