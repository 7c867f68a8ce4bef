"""In charge of deciding cells by planning alone: there is no source, no server and no request, only the plan."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from graphql import GraphQLObjectType, GraphQLSchema

from authz.decide import Asking, MaskKey, decide
from authz.visible import VisibleRelation
from connectors.protocol import JsonOutput, RawOutput, SourceQuery
from resolvers.cells import Refused
from resolvers.document import Document, Documents, coerce_variables
from resolvers.limits import Limits
from resolvers.metering import exhausted
from resolvers.plan import Answer, CubeCall, ObjectShape, Plan, RowsCall, calls
from resolvers.planner import Planning
from resolvers.roots import plan_operation
from resolvers.selection import Collector
from resolvers.values import SlottedVariables, Slotter
from schema import unified
from tanglai.catalogue.errors import TanglaiError
from tanglai.catalogue.expressions import FALSE, Case, Column, Exists, Expression, IsNull, IsTrue, Masked, Not, Or
from tanglai.catalogue.model import Resource, Snapshot
from tanglai.catalogue.rules import rule_set
from tests.matrix.rules import NO_ROWS, NULL, PUBLISHED, REFUSED, SKIPPED, Cell, Verdict
from tests.matrix.states import Sight
from tests.matrix.steps import Step, Usage, Way
from tests.matrix.worlds import Asked, Askers, scope_item

NOW = datetime(2026, 5, 6, 4, 0, tzinfo=UTC)
_KEY = MaskKey("matrix", b"matrix")


@dataclass(frozen=True)
class Read:
    """An operation, ready to be planned for whomever."""

    document: Document
    slotted: SlottedVariables


class Plans:
    """Plans operations over one snapshot."""

    def __init__(self, snapshot: Snapshot, like: "Plans | None" = None) -> None:
        self.snapshot = snapshot
        self.schema: GraphQLSchema = like.schema if like is not None else unified.build(snapshot).graphql
        self.limits = Limits(documents_cached=100_000, documents_cached_bytes=1_000_000_000)
        self.documents: Documents = like.documents if like is not None else Documents(self.schema, self.limits)
        self.askers = Askers(snapshot, NOW)
        self._slotter = Slotter(_id_kind, self.limits.list_values)
        self._decided: dict[tuple[Any, ...], VisibleRelation] = {}
        root = self.schema.query_type
        assert root is not None
        self._root: GraphQLObjectType = root

    def read(self, way: Way) -> Read:
        """The operation parsed, validated and with its variables coerced. Raises InvalidDocument."""
        document = self.documents.document(way.text)
        operation = document.operation(None)
        return Read(
            document, self._slotter.slot(operation.types, coerce_variables(self.schema, operation, way.variables))
        )

    def visible(self, cell: Cell, asked: Asked) -> "_Visible":
        return _Visible(self, cell, asked)

    def verdict(self, cell: Cell, way: Way, read: Read, visible: "_Visible") -> tuple[Verdict, Plan | None]:
        """What planning says of `cell` reached by `way`."""
        collector = Collector(self.schema, read.document.fragments, read.slotted.values)
        planning = Planning(
            self.snapshot,
            self.schema,
            self.limits,
            read.slotted.values,
            collector,
            visible.short,
            _id_kind,
        )
        node = read.document.operation(None).node
        try:
            plan = plan_operation(planning, self._root, collector.fields(self._root, [node.selection_set]))
        except Refused as refused:
            denial = refused.denial
            return Verdict(REFUSED, denial.code, (denial.resource, denial.item)), None
        except TanglaiError as error:
            return Verdict("error", error.code), None
        if plan.errors:
            (told,) = plan.errors
            denial = told.denial
            return Verdict(NULL, denial.code, (denial.resource, denial.item), told.at.whole), plan
        try:
            return _Reading(cell, way, plan).verdict(), plan
        except AssertionError as fault:
            return Verdict(f"fault: {fault}"), plan

    def decided(self, asked: Asked, resource: Resource, key: tuple[Any, ...]) -> VisibleRelation:
        if key not in self._decided:
            self._decided[key] = self.decide(asked, resource)
        return self._decided[key]

    def decide(self, asked: Asked, resource: Resource) -> VisibleRelation:
        rules = rule_set(self.snapshot.rule_set)
        asking = Asking(self.snapshot, rules, asked.principal, asked.purpose, asked.grants, NOW, _KEY)
        return decide(asking, resource)


class _Visible:
    """The decisions of one cell; those on other resources are shared with the cells of equal askers."""

    def __init__(self, plans: Plans, cell: Cell, asked: Asked) -> None:
        self._plans, self._cell, self._asked = plans, cell, asked
        self._own: dict[str, VisibleRelation] = {}
        self.short = exhausted(self, asked.spent, plans.snapshot)

    def __call__(self, resource: Resource) -> VisibleRelation:
        if resource.code not in self._own:
            self._own[resource.code] = self._find(resource)
        return self._own[resource.code]

    def _find(self, resource: Resource) -> VisibleRelation:
        asked, principal = self._asked, self._asked.principal
        grants = tuple(grant for grant in asked.grants if grant.resource == resource.code)
        scopes = frozenset(s for s in principal.scopes or () if s.resource == resource.code)
        key = (
            resource.code,
            principal.department.code,
            principal.roles,
            None if principal.scopes is None else scopes,
            asked.purpose,
            tuple(id(grant) for grant in grants),
        )
        if resource.code == self._cell.home.code:
            return self._plans.decide(asked, resource)
        return self._plans.decided(asked, resource, key)


def _id_kind(value: str) -> str:
    return value if value.startswith("row:") else "catalogue"


class _Reading:
    """What a plan without errors does with the subject."""

    def __init__(self, cell: Cell, way: Way, plan: Plan) -> None:
        self.cell, self.way, self.plan = cell, way, plan

    def verdict(self) -> Verdict:
        step = self.way.subject
        roots = [answer for _, answer in self.plan.roots]
        if step is None:
            return Verdict(Sight.CLEAR)
        if any(isinstance(call, CubeCall) for call in _all(roots)):
            return Verdict(PUBLISHED)
        if step.usage is Usage.SELECT:
            return Verdict(self._selected(step, roots))
        if step.usage in (Usage.FOLLOW, Usage.THROUGH):
            return Verdict(self._followed(step, roots))
        if step.usage is Usage.ROWS:
            return Verdict(self._rows(step, roots))
        return Verdict(self._compared(step, roots))

    def _column(self, step: Step) -> Column:
        resource = self.cell.snapshot.resources[step.resource]
        return next(item.column for item in resource.items if item.name == step.name)

    def _scope(self) -> Expression:
        """How the scope of a grant for some rows stands in a plan."""
        return IsTrue(Not(IsNull(scope_item(self.cell.home, self.cell.subject).column)))

    def _selected(self, step: Step, roots: list[Answer]) -> str:
        """How the shown cell is made: the column, a mask of it, both by cases."""
        cells = [leaf for call in _all(roots) for leaf in _leaves(call, step.at)]
        assert cells, f"nothing is shown at {'.'.join(step.at)}"
        (sight,) = {_sight(cell, self._column(step)) for cell in cells}
        told = ".".join(step.at) in self.plan.masked
        assert told == (sight in (Sight.MASKED, Sight.MIXED)), "what is masked is told, and nothing else"
        return sight

    def _compared(self, step: Step, roots: list[Answer]) -> str:
        """Whether the compare cell is used, and whether the scope stands beside it."""
        column, used, guarded = self._column(step), False, False
        scope = self._scope()
        for call in _all(roots):
            expressions = list(_compared(call, step.usage))
            apart = step.usage in (Usage.KEY, Usage.ENTITY)  # the key is a link there, its condition a filter
            for found in [_parts_of(expressions)] if apart else [_parts_of([one]) for one in expressions]:
                used = used or column in found
                guarded = guarded or (column in found and scope in found)
        if not used:
            return SKIPPED
        return Sight.PARTLY if guarded else Sight.CLEAR

    def _followed(self, step: Step, roots: list[Answer]) -> str:
        """Whether all links are followed, or those of the rows in scope."""
        scope = self._scope()
        for call in _all(roots):
            queries = [call.query, *(keyset.query for keyset in getattr(call, "keysets", ()))]
            for query in queries:
                expressions = [
                    query.visible,
                    query.where,
                    *(o.expression for o in query.outputs if isinstance(o, RawOutput)),
                ]
                if scope in _parts_of(expressions):
                    return Sight.PARTLY
        return Sight.CLEAR

    def _rows(self, step: Step, roots: list[Answer]) -> str:
        """Which rows the call on the resource reads."""
        found = [call for call in _all(roots) if call.resource.code == step.resource]
        assert found, "no call reads the rows"
        call = found[-1]
        if call.query.visible == FALSE:
            assert call.query.empty, "no row is visible and the source is asked"
            return NO_ROWS
        scope = self._scope()
        return Sight.PARTLY if scope in _parts_of([call.query.visible]) else Sight.CLEAR


def _all(roots: list[Answer]) -> Iterator[Any]:
    """Every call of a plan, cubes and calls beyond relations included, parents first."""
    for root in roots:
        yield from calls(root)
        yield from _cubes(root)


def _cubes(answer: Answer) -> Iterator[CubeCall]:
    if isinstance(answer, CubeCall):
        yield answer
    elif isinstance(answer, ObjectShape):
        for _, part in answer.fields:
            yield from _cubes(part)


def _leaves(call: Any, at: tuple[str, ...]) -> Iterator[Any]:
    """The JSON leaves of a call at the response field `at`."""
    if not isinstance(call, RowsCall):
        return
    for output in call.query.outputs:
        if isinstance(output, JsonOutput):
            yield from (node for key, node in output.object.fields if key == at[-1])


def _compared(call: Any, usage: Usage) -> Iterator[Expression]:
    """The expressions of a call in which compare cells stand."""
    for keyset in getattr(call, "keysets", ()):
        yield from (keyset.query.where, *(o.expression for o in keyset.query.outputs if isinstance(o, RawOutput)))
    query: SourceQuery = call.query
    yield from _parts(query.where) if usage is Usage.SEARCH else (query.where,)
    if usage in (Usage.KEY, Usage.ENTITY):
        yield query.visible
        yield from query.links
    if usage is Usage.ORDER:
        yield from (order.expression for order in query.order)
    if usage in (Usage.GROUP, Usage.AGGREGATE):
        yield from query.group_by or ()
        yield from (output.expression for output in query.outputs if isinstance(output, RawOutput))


def _parts(where: Expression) -> Iterator[Expression]:
    """The alternatives of a filter: a search is one for every text."""
    if isinstance(where, Or):
        for part in where.parts:
            yield from _parts(part)
    else:
        yield where


def _parts_of(expressions: Collection[Expression]) -> set[Expression]:
    """The columns and the scopes that stand in what is compared; no mask does."""
    found: set[Expression] = set()
    for expression in expressions:
        _walk(expression, found)
    return found


def _walk(node: Any, found: set[Expression]) -> None:
    """Adds the columns and the two-valued conditions of an expression to `found`."""
    if isinstance(node, tuple):
        for part in node:
            _walk(part, found)
    elif isinstance(node, Column):
        found.add(node)
    elif is_dataclass(node):
        assert not isinstance(node, Masked), "a masked value is compared"
        if isinstance(node, IsTrue):
            found.add(node)
        kind: Any = type(node)
        for name in ("where",) if isinstance(node, Exists) else _fields(kind):  # links are no compare cells
            _walk(getattr(node, name), found)


@cache
def _fields(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def _sight(cell: Any, column: Column) -> Sight:
    branches = [value for _, value in cell.branches] if isinstance(cell, Case) else [cell]
    clear = any(value == column for value in branches)
    masked = any(isinstance(value, Masked) and value.operand == column for value in branches)
    assert clear or masked, f"neither the column nor a mask of it: {cell}"
    if clear and masked:
        return Sight.MIXED
    if masked:
        return Sight.MASKED
    return Sight.PARTLY if isinstance(cell, Case) else Sight.CLEAR
