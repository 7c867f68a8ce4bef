"""In charge of planning: what an operation selects becomes a Plan. No I/O; `authz` decides each use of each item.

Passes, in order: names are qualified by the schema's metadata; every item becomes a cell of its visible relation; cells
in filters are simplified where that changes nothing (passes.py); filters, order and page go into the source's query;
relations become batched calls.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import GraphQLField, GraphQLObjectType, GraphQLSchema, SelectionSetNode, get_named_type

from authz.denial import Denial
from authz.visible import Use, VisibleRelation
from connectors.protocol import (
    JsonNode,
    JsonObject,
    JsonOutput,
    JsonText,
    Order,
    Output,
    RawOutput,
    SourceQuery,
)
from connectors.registry import KINDS
from resolvers.aggregates import aggregate_call
from resolvers.limits import Limits, page_size_error
from resolvers.metering import subject_of
from resolvers.passes import simplify
from resolvers.plan import (
    Answer,
    At,
    ConnectionField,
    ConnectionShape,
    EdgeShape,
    IdPiece,
    JsonPiece,
    KeysetColumn,
    LookupCall,
    NodesShape,
    ObjectShape,
    Page,
    PageInfoShape,
    Piece,
    Plan,
    PlannedError,
    RelationPiece,
    RowsCall,
    RowShape,
    limit_path,
)
from resolvers.search import search_predicate
from resolvers.selection import Collector, Selected
from resolvers.statistics import cube_call
from resolvers.values import arguments_of
from resolvers.where import Filter, Link, Refused, bind, constant, link_columns
from schema.fields import (
    AggregateField,
    GroupField,
    GroupId,
    ItemField,
    ListField,
    LookupField,
    Part,
    PartField,
    RelationField,
    RootField,
    RowId,
    meaning,
)
from tanglai.catalogue.errors import BadInput, ErrorCode, TanglaiError
from tanglai.catalogue.expressions import (
    FALSE,
    TRUE,
    Aggregate,
    AggregateFunction,
    Case,
    Column,
    Compare,
    CompareOp,
    Expression,
    Slot,
    conjunction,
)
from tanglai.catalogue.model import Item, Key, Quota, Relation, Resource, Snapshot
from tanglai.catalogue.scalars import ScalarType

NULL = JsonText("null")


@dataclass(slots=True)
class Outputs:
    """The columns of one source query while it is planned."""

    columns: list[Output] = field(default_factory=list)

    def add(self, output: Output) -> int:
        if isinstance(output, RawOutput) and output in self.columns:
            return self.columns.index(output)
        self.columns.append(output)
        return len(self.columns) - 1

    def raw(self, expression: Expression) -> int:
        return self.add(RawOutput(expression))


@dataclass(slots=True)
class Planning:
    """One operation being planned for one principal. Collects errors, uses and what the extensions tell."""

    snapshot: Snapshot
    schema: GraphQLSchema
    limits: Limits
    variables: Mapping[str, Any]
    collector: Collector
    visible: Callable[[Resource], VisibleRelation]
    id_kind: Callable[[str], str]
    errors: dict[PlannedError, None] = field(default_factory=dict)
    uses: dict[str, set[str]] = field(default_factory=dict)
    grants: dict[str, None] = field(default_factory=dict)
    masked: dict[str, None] = field(default_factory=dict)
    partial: dict[str, None] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    quotas: dict[str, Quota] = field(default_factory=dict)
    metered: dict[str, Quota] = field(default_factory=dict)
    needles: list[tuple[str, At]] = field(default_factory=list)
    calls: int = 0
    terms: int = 0
    simplify: bool = True

    # --- decisions -------------------------------------------------------------------------------------------------

    def relation_of(self, resource: Resource) -> VisibleRelation:
        self.uses.setdefault(resource.code, set())
        relation = self.visible(resource)
        self.quotas.update(relation.quotas)
        return relation

    def cell(self, resource: Resource, item: Item, use: Use, at: At) -> Expression:
        """The compare cell of `item` over columns. Raises Refused when it is denied or masked only."""
        relation = self.relation_of(resource)
        cell = relation.resolve(item.name, use)
        self.uses[resource.code].add(item.name)
        if isinstance(cell, Denial):
            raise Refused(cell, at)
        self.told(relation.items[item.name].grants)
        return bind(cell, resource)

    def link(self, resource: Resource, relation: Relation) -> Link | Denial:
        """Both ends of a relation, or the denial of the first end that does not hold."""
        target = self.snapshot.resources[relation.target]
        here, there = self.relation_of(resource), self.relation_of(target)
        self.uses[resource.code].add(relation.name)
        near, far = here.follow(relation.name), there.follow(relation.inverse)
        if isinstance(near, Denial):
            return near
        if isinstance(far, Denial):
            return far
        self.told(near.grants)
        return Link(
            relation,
            target,
            bind(near.rows, resource),
            bind(far.rows, target),
            bind(there.row, target),
            far.grants,
        )

    def told(self, grants: Iterable[str]) -> None:
        """What the call that is being planned uses rests on `grants`."""
        for grant in grants:
            self.grants[grant] = None
            self.used.add(grant)

    def charged(self) -> tuple[str, ...]:
        """The grants with a quota that the call uses whose planning began when `used` was empty."""
        charged = tuple(sorted(grant for grant in self.used if grant in self.quotas))
        self.metered.update((grant, self.quotas[grant]) for grant in charged)
        return charged

    def deny(self, denial: Denial, at: At) -> None:
        """Tells a denied response field, once however often it is planned (`_entities`: once per key of a type)."""
        self.errors[PlannedError(denial, at)] = None

    # --- bounds ----------------------------------------------------------------------------------------------------

    def count_call(self) -> None:
        self.calls += 1
        if self.calls > self.limits.data_calls:
            raise TanglaiError(
                ErrorCode.LIMIT_EXCEEDED, f"the operation needs more than {self.limits.data_calls} source calls"
            )

    def count_term(self) -> None:
        self.terms += 1
        if self.terms > self.limits.where_terms:
            raise TanglaiError(
                ErrorCode.LIMIT_EXCEEDED, f"the operation's filters have more than {self.limits.where_terms} terms"
            )

    def admit(self, query: SourceQuery, resource: Resource, at: At) -> SourceQuery:
        """`query`, if a source of this kind can run it, else CAPABILITY_MISSING; decided from catalogue data alone."""
        if query.empty:
            return query
        self.count_call()
        kind = KINDS.get(self.snapshot.sources[resource.binding.source].kind)
        refusal = kind.refusal(query) if kind is not None else None  # an unknown kind is an unavailable source
        if refusal is not None:
            raise TanglaiError(
                ErrorCode.CAPABILITY_MISSING,
                f"the source of `{resource.code}` cannot {refusal}",
                resource=resource.code,
                fieldPath=str(at),
            )
        return query

    # --- roots -----------------------------------------------------------------------------------------------------

    def arguments(self, definition: GraphQLField, selected: Selected) -> dict[str, Any]:
        return arguments_of(definition.args, selected.node, self.variables)

    def data(self, root: GraphQLObjectType, selected: Selected, at: At) -> Answer:
        """`data` and its groups."""
        kind = _object(root.fields[selected.name])
        groups: list[tuple[str, Answer]] = []
        for group in self.collector.fields(kind, selected.selection_sets):
            definition = kind.fields.get(group.name)
            what = meaning(definition) if definition is not None else None
            if group.name == "__typename":
                groups.append((group.key, _text(kind.name)))
            elif isinstance(what, GroupField):
                assert definition is not None
                groups.append((group.key, self._group(_object(definition), group, at.child(group.key))))
            elif isinstance(what, GroupId):
                groups.append((group.key, _text(what.id)))
        return ObjectShape(tuple(groups))

    def _group(self, kind: GraphQLObjectType, group: Selected, at: At) -> Answer:
        fields: list[tuple[str, Answer]] = []
        for selected in self.collector.fields(kind, group.selection_sets):
            here = at.child(selected.key)
            definition = kind.fields.get(selected.name)
            what = meaning(definition) if definition is not None else None
            self.used = set()
            answer: Answer
            if definition is None:
                answer = _text(kind.name)
            elif isinstance(what, GroupId):
                answer = _text(what.id)
            elif isinstance(what, ListField):
                answer = self._root(what.resource, here) or self.rows(
                    what.resource, definition, selected, self.arguments(definition, selected), here
                )
            elif isinstance(what, LookupField):
                answer = self._root(what.resource, here) or self._lookup(what, definition, selected, here)
            elif isinstance(what, AggregateField):
                given = self.arguments(definition, selected)
                answer = (
                    self._root(what.resource, here)
                    or cube_call(self, what.resource, definition, selected, given, here)
                    or aggregate_call(self, what.resource, definition, selected, given, here)
                )
            else:
                raise AssertionError(f"no meaning for {kind.name}.{selected.name}")
            fields.append((selected.key, answer))
        return ObjectShape(tuple(fields))

    def _root(self, resource: Resource, at: At) -> str | None:
        """`null` with its error when the principal has no relation at all to the resource."""
        denial = self.relation_of(resource).denial
        if denial is None:
            return None
        self.deny(denial, at)
        return "null"

    def _lookup(self, what: LookupField, definition: GraphQLField, selected: Selected, at: At) -> Answer:
        resource = what.resource
        given = self.arguments(definition, selected)
        values: list[Any] = []
        for name in what.key.items:
            item = resource.item_by_name[name]
            value = given.get(item.graphql)
            if value is None:
                raise BadInput(f"`{item.graphql}` may not be null", fieldPath=str(at))
            values.append(constant(value, item.type))
        where = self.key_cells(resource, what.key, at)
        if isinstance(where, Denial):
            raise Refused(where, at)
        columns = link_columns(resource, what.key.items)
        match = conjunction(*(Compare(CompareOp.EQ, c, v) for c, v in zip(columns, values, strict=True)))
        call = self.one(
            resource, _object(definition), selected.selection_sets, at, where=conjunction(where, match), limit=1
        )
        return LookupCall((), call)

    def key_cells(self, resource: Resource, key: Key, at: At) -> Expression | Denial:
        """Where all items of `key` are clear: there, their compare cells are the raw columns. Or why none may be used.

        A key look-up is a filter on compare cells, so that out of scope, absent and null answer alike.
        """
        relation = self.relation_of(resource)
        self.uses[resource.code].update(key.items)
        for name in key.items:
            cell = relation.resolve(name, Use.KEY)
            if isinstance(cell, Denial):
                return cell
        rules = [relation.items[name] for name in key.items]
        for rule in rules:
            self.told(rule.grants)
        return conjunction(*(bind(rule.clear, resource) for rule in rules))

    # --- rows ------------------------------------------------------------------------------------------------------

    def one(
        self,
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
        relation = self.relation_of(resource)
        outputs = Outputs()
        shape = self.row(resource, kind, sets, outputs, at)
        grants = self.charged()
        subject = subject_of(self, resource, outputs, grants)
        query = self.admit(
            SourceQuery(
                source=resource.binding.source,
                namespace=resource.binding.namespace,
                table=resource.binding.table,
                outputs=tuple(outputs.columns),
                visible=conjunction(bind(relation.row, resource), extra),
                where=where,
                order=self._handle_order(resource) if limit is not None or links else (),
                limit=limit,
                links=links,
                options=resource.binding.options,
                max_rows=resource.binding.max_rows,
            ),
            resource,
            at,
        )
        return RowsCall(resource, query, shape, None, None, _signature(query, shape, grants), (), at, grants, subject)

    def _handle_order(self, resource: Resource) -> tuple[Order, ...]:
        return (Order(resource.binding.handle),) if resource.binding.handle is not None else ()

    def rows(
        self,
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
        relation = self.relation_of(resource)
        kind = _object(definition)
        keysets = Filter(self, [], str(at))
        where = self._where(resource, definition, given, keysets, at)
        if given.get("search") is not None:
            where = conjunction(where, search_predicate(self, resource, given["search"], at))
        outputs = Outputs()
        named = self._order(resource, given.get("orderBy"), at)
        page = self._page(resource, given, named, at)
        wants = _Wants()
        shape = self._connection(resource, kind, selected.selection_sets, outputs, at, wants)
        if not wants.cursors:
            columns = tuple(_without_output(c) for c in page.columns)
        else:
            columns = tuple(_with_output(c, outputs) for c in page.columns)
        grants = self.charged()
        subject = subject_of(self, resource, outputs, grants)
        page = Page(
            page.size,
            page.backward,
            page.after,
            page.before,
            columns,
            context=_digest((resource.code, via, _order_of(given), len(columns))),
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
            order=order or self._clear_order(resource, named),
            limit=Slot(limit_path(page.size), ScalarType.INTEGER),
            links=links,
            per_key=bool(links),
            options=resource.binding.options,
            max_rows=resource.binding.max_rows,
        )
        query = self.admit(base, resource, at)
        total = self._total(base, resource, at) if wants.total else None
        signature = _signature(query, shape, page, total, tuple(keysets.keysets), grants)
        before = tuple(keysets.keysets)
        return RowsCall(resource, query, shape, page, total, signature, before, at, grants, subject)

    def _total(self, base: SourceQuery, resource: Resource, at: At) -> SourceQuery:
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
        return self.admit(query, resource, at)

    def _where(
        self,
        resource: Resource,
        definition: GraphQLField,
        given: Mapping[str, Any],
        filter_: Filter,
        at: At,
    ) -> Expression:
        value = given.get("where")
        if value is None:
            return TRUE
        where = filter_.predicate(resource, definition.args["where"].type, value, at.child("where"))
        return simplify(where) if self.simplify else where

    def _page(
        self,
        resource: Resource,
        given: Mapping[str, Any],
        named: list[KeysetColumn],
        at: At,
    ) -> Page:
        first, last = given.get("first"), given.get("last")
        after, before = given.get("after"), given.get("before")
        if first is not None and last is not None:
            raise BadInput("give `first` or `last`, not both", fieldPath=str(at))
        size = last if last is not None else first if first is not None else self.limits.default_page
        if isinstance(size, Slot):
            size = constant(size, ScalarType.INTEGER)
            assert isinstance(size, Slot)
        else:
            check_page(size, self.limits, at)
        tie = self._tie(resource)
        columns: list[KeysetColumn] = []
        if tie:
            columns = named + [c for c in tie if c.expression not in [known.expression for known in named]]
        else:
            if after is not None or before is not None or last is not None:
                raise TanglaiError(
                    ErrorCode.CAPABILITY_MISSING,
                    f"`{resource.code}` has no key that pages could continue from",
                    resource=resource.code,
                    fieldPath=str(at),
                )
        return Page(size, last is not None, after, before, tuple(columns), "", None)

    def _order(self, resource: Resource, entries: Any, at: At) -> list[KeysetColumn]:
        columns: list[KeysetColumn] = []
        by_graphql = {item.graphql: item for item in resource.items}
        for entry in entries or ():
            self.count_term()
            if entry is None or len(entry) != 1 or None in entry.values():
                raise BadInput("each entry of `orderBy` names exactly one item", fieldPath=str(at.child("orderBy")))
            ((name, direction),) = entry.items()
            item = by_graphql[name]
            cell = self.cell(resource, item, Use.ORDER, at.child("orderBy").child(name))
            if any(column.expression == cell for column in columns):
                continue
            nullable = item.nullable or not isinstance(cell, Column)
            columns.append(KeysetColumn(cell, None, item.type, str(direction).upper().endswith("DESC"), nullable))
        return columns

    def _tie(self, resource: Resource) -> list[KeysetColumn]:
        """The row handle, else a key without nulls that is clear wherever a row is visible, else nothing."""
        handle = resource.binding.handle
        if handle is not None:
            return [KeysetColumn(handle, None, handle.type, False, False)]
        relation = self.relation_of(resource)
        for key in resource.keys:
            rules = [relation.items[name] for name in key.items]
            if all(
                rule.clear != FALSE and not relation.partial(rule.item.name) and not rule.item.nullable
                for rule in rules
            ):
                return [KeysetColumn(rule.item.column, None, rule.item.type, False, False) for rule in rules]
        return []

    def _clear_order(self, resource: Resource, named: list[KeysetColumn]) -> tuple[Order, ...]:
        """The order of a resource without anything to page by: the named cells, then all clear ones."""
        relation = self.relation_of(resource)
        cells = [
            bind(rule.compare, resource)
            for rule in relation.items.values()
            if rule.clear != FALSE and rule.item.type.comparable
        ]
        known = [column.expression for column in named]
        return (
            *(Order(column.expression, column.descending) for column in named),
            *(Order(cell) for cell in cells if cell not in known),
        )

    # --- shapes ----------------------------------------------------------------------------------------------------

    def _connection(
        self,
        resource: Resource,
        kind: GraphQLObjectType,
        sets: list[SelectionSetNode],
        outputs: Outputs,
        at: At,
        wants: "_Wants",
    ) -> ConnectionShape:
        fields: list[tuple[str, ConnectionField]] = []
        for selected in self.collector.fields(kind, sets):
            here = at.child(selected.key)
            definition = kind.fields.get(selected.name)
            what = meaning(definition) if definition is not None else None
            part: ConnectionField
            if definition is None:
                part = _text(kind.name)
            elif what == PartField(Part.NODES):
                inner = selected.selection_sets
                part = NodesShape(self.row(resource, _object(definition), inner, outputs, here.rows()))
            elif what == PartField(Part.EDGES):
                part = self._edge(resource, _object(definition), selected, outputs, here.rows(), wants)
            elif what == PartField(Part.PAGE_INFO):
                part = self._page_info(_object(definition), selected, wants)
            else:
                wants.total = True
                part = Part.TOTAL_COUNT
            fields.append((selected.key, part))
        return ConnectionShape(tuple(fields))

    def _edge(
        self,
        resource: Resource,
        kind: GraphQLObjectType,
        edge: Selected,
        outputs: Outputs,
        at: At,
        wants: "_Wants",
    ) -> EdgeShape:
        fields: list[tuple[str, RowShape | Part | str]] = []
        for selected in self.collector.fields(kind, edge.selection_sets):
            definition = kind.fields.get(selected.name)
            if definition is None:
                fields.append((selected.key, _text(kind.name)))
            elif meaning(definition) == PartField(Part.CURSOR):
                wants.cursors = True
                fields.append((selected.key, Part.CURSOR))
            else:
                node = at.child(selected.key)
                shape = self.row(resource, _object(definition), selected.selection_sets, outputs, node)
                fields.append((selected.key, shape))
        return EdgeShape(tuple(fields))

    def _page_info(self, kind: GraphQLObjectType, info: Selected, wants: "_Wants") -> PageInfoShape:
        fields: list[tuple[str, Part | str]] = []
        for selected in self.collector.fields(kind, info.selection_sets):
            if selected.name == "__typename":
                fields.append((selected.key, _text(kind.name)))
                continue
            part = Part(selected.name)
            wants.cursors = wants.cursors or part in (Part.START_CURSOR, Part.END_CURSOR)
            fields.append((selected.key, part))
        return PageInfoShape(tuple(fields))

    def row(
        self,
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

        for selected in self.collector.fields(kind, sets):
            here = at.child(selected.key)
            definition = kind.fields.get(selected.name)
            what = meaning(definition) if definition is not None else None
            if definition is None:
                pending.append((selected.key, JsonText(_text(kind.name))))
            elif isinstance(what, ItemField):
                pending.append((selected.key, self._item(resource, what.item, here)))
            elif isinstance(what, RowId):
                flush()
                handle = resource.binding.handle
                assert handle is not None
                pieces.append(IdPiece(selected.key, outputs.raw(handle), resource.code, handle.type))
            elif isinstance(what, RelationField):
                link = self.link(resource, what.relation)
                if isinstance(link, Denial):
                    self.deny(link, here)
                    pending.append((selected.key, NULL))
                    continue
                flush()
                keys = tuple(
                    outputs.raw(_where_linked(link.rows, column))
                    for column in link_columns(resource, what.relation.items)
                )
                pieces.append(RelationPiece(selected.key, keys, self._beyond(link, definition, selected, here)))
            else:
                raise AssertionError(f"no meaning for {kind.name}.{selected.name}")
        flush()
        return RowShape(tuple(pieces))

    def _item(self, resource: Resource, item: Item, at: At) -> JsonNode:
        relation = self.relation_of(resource)
        cell = relation.resolve(item.name, Use.SELECT)
        self.uses[resource.code].add(item.name)
        if isinstance(cell, Denial):
            self.deny(cell, at)
            return NULL
        rule = relation.items[item.name]
        self.told(rule.grants)
        if rule.masked:
            self.masked[str(at)] = None
        return bind(cell, resource)

    def _beyond(self, link: Link, definition: GraphQLField, selected: Selected, at: At) -> RowsCall:
        """What lies beyond a relation. The grants of the far end count its rows, those of the near end the parents."""
        used, self.used = self.used, set()
        self.told(link.far)
        call = self._linked(link, definition, selected, at)
        self.used = used
        return call

    def _linked(self, link: Link, definition: GraphQLField, selected: Selected, at: At) -> RowsCall:
        columns = link_columns(link.target, link.relation.target_items)
        if link.relation.many:
            given = self.arguments(definition, selected)
            return self.rows(
                link.target,
                definition,
                selected,
                given,
                at,
                extra=link.target_rows,
                links=columns,
                via=link.relation.inverse,
            )
        kind = _object(definition)
        return self.one(link.target, kind, selected.selection_sets, at, extra=link.target_rows, links=columns)

    # --- the end ---------------------------------------------------------------------------------------------------

    def plan(self, roots: Iterable[tuple[str, Answer]]) -> Plan:
        return Plan(
            tuple(roots),
            tuple(self.errors),
            {code: frozenset(names) for code, names in self.uses.items()},
            tuple(self.grants),
            tuple(self.masked),
            tuple(self.partial),
            tuple(self.uses),
            tuple(self.needles),
            self.metered,
        )


@dataclass(slots=True)
class _Wants:
    cursors: bool = False
    total: bool = False


def _everywhere(relation: VisibleRelation, item: Item) -> bool:
    """Whether `item` is clear wherever a row is visible, as far as the rules tell."""
    return relation.items[item.name].clear != FALSE and not relation.partial(item.name)


def check_page(size: Any, limits: Limits, at: At) -> None:
    """Raises BAD_INPUT for a page size outside 0..limits.page; it is never clamped."""
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= limits.page:
        raise page_size_error(limits, at)


def _where_linked(rows: Expression, column: Column) -> Expression:
    return column if rows == TRUE else Case(((rows, column),), column.type)


def _with_output(column: KeysetColumn, outputs: Outputs) -> KeysetColumn:
    output = outputs.raw(column.expression)
    return KeysetColumn(column.expression, output, column.type, column.descending, column.nullable)


def _without_output(column: KeysetColumn) -> KeysetColumn:
    return KeysetColumn(column.expression, None, column.type, column.descending, column.nullable)


def _object(definition: GraphQLField) -> GraphQLObjectType:
    kind = get_named_type(definition.type)
    assert isinstance(kind, GraphQLObjectType)
    return kind


def _text(value: str) -> str:
    return f'"{value}"'


def _filter(given: Mapping[str, Any]) -> list[Any]:
    """What a list is filtered by, which its cursors belong to."""
    return [given.get("where"), given.get("search")]


def _order_of(given: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a list is ordered by, which its cursors belong to; its entries are checked already."""
    return [(name, str(way)) for entry in given.get("orderBy") or () for name, way in entry.items()]


def _digest(parts: Any) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _signature(*parts: Any) -> str:
    return _digest(parts)


ROOTS = frozenset(root.value for root in RootField)
