"""In charge of what is known of every row that passes a filter: which guards hold on it, where a cell's value lies.

INVARIANT: a row is in an answer only where each conjunct of `visible` and `where` is TRUE. So a cell whose guard is one
of them is its bare column on every row that counts, and writing it so adds no row and shows no value: the conjunct
itself stays. Rows that fail it may be computed, and are dropped; nothing that is computed can fail.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

from connectors.groups import grouping
from connectors.protocol import JsonNode, JsonObject, JsonOutput, JsonRows, JsonText, Order, Output, SourceQuery
from tanglai.catalogue.expressions import (
    FALSE,
    TRUE,
    And,
    Case,
    Column,
    Compare,
    CompareOp,
    Exists,
    Expression,
    IsNull,
    Not,
    Or,
    Slot,
    Value,
    conjunction,
    disjunction,
    leaves,
    rewrite,
)

Bound: TypeAlias = tuple[CompareOp, Value | Slot]
"""GTE or LTE, and what with."""

_OPEN = frozenset({CompareOp.GT, CompareOp.GTE, CompareOp.LT, CompareOp.LTE})
_LOWER = {CompareOp.GT, CompareOp.GTE, CompareOp.EQ}
_UPPER = {CompareOp.LT, CompareOp.LTE, CompareOp.EQ}


def conjuncts(*expressions: Expression) -> tuple[Expression, ...]:
    """What must be TRUE for all of `expressions` to be; each once."""
    whole = conjunction(*expressions)
    if whole == TRUE:
        return ()
    return whole.parts if isinstance(whole, And) else (whole,)


def unguarded(query: SourceQuery) -> SourceQuery:
    """An equal query, whose cells are bare columns where its own filter holds their guards; no test stands twice."""
    visible = conjuncts(query.visible)
    where = [part for part in conjuncts(query.where) if part not in visible]
    facts = [*visible, *where]
    if not facts or FALSE in facts:
        return query
    return replace(
        query,
        where=conjunction(*(_under(part, facts) for part in where)),
        outputs=tuple(_output(output, facts) for output in query.outputs),
        order=tuple(Order(_under(entry.expression, facts), entry.descending) for entry in query.order),
        group_by=None if query.group_by is None else tuple(_under(key, facts) for key in query.group_by),
    )


def valued(query: SourceQuery) -> SourceQuery:
    """An equal query for figures of one cell over all rows: those on which it is hidden add nothing to them."""
    if query.group_by != () or query.links:
        return query
    operands = {aggregate.operand: None for aggregate in grouping(query).aggregates}
    found = guarded_column(next(iter(operands)) or TRUE) if len(operands) == 1 else None
    if found is None or found[0] == TRUE:
        return query
    return unguarded(replace(query, where=conjunction(query.where, found[0])))


def guarded_column(cell: Expression) -> tuple[Expression, Column] | None:
    """The guard and the column of a cell: TRUE for a bare column, None for what is no single guarded column."""
    match cell:
        case Column():
            return TRUE, cell
        case Case(branches=((guard, Column() as column),)):
            return guard, column
    return None


def bounds(part: Expression, cell: Expression) -> list[Bound] | None:
    """Comparisons that hold wherever `part` is TRUE and `cell` is not null; None where `part` is TRUE on no such row.

    Of the filter of a page, which says `cell > v or cell = v and …`, it is `cell >= v`: where in an index it begins.
    """
    match part:
        case Compare(op, left, Value() | Slot() as right) if left == cell:
            lower: list[Bound] = [(CompareOp.GTE, right)] if op in _LOWER else []
            return lower + ([(CompareOp.LTE, right)] if op in _UPPER else [])
        case IsNull(operand) if operand == cell:
            return None
        case And(parts):
            found = [bounds(inner, cell) for inner in parts]
            return None if None in found else [bound for some in found for bound in some or ()]
        case Or(parts):
            alternatives = [some for some in (bounds(inner, cell) for inner in parts) if some is not None]
            if not alternatives:
                return None
            return [bound for bound in alternatives[0] if all(bound in some for some in alternatives[1:])]
    return []


def guessed(query: SourceQuery) -> bool:
    """Whether an optimiser that does not know the values must take many rows to pass where there may be none.

    Of an open range (`a > v`) it guesses a third. Those of sort keys mislead it to nothing: it begins there anyway.
    """
    keys = [entry.expression for entry in query.order]
    return any(
        test.op in _OPEN and isinstance(test.right, Value | Slot) and test.left not in keys
        for part in (query.visible, query.where)
        for test in leaves(part, Compare)
    )


def where_null(part: Expression, cell: Expression) -> Expression:
    """What `part` says where `cell` is null: the alternatives that may be TRUE there."""
    if isinstance(part, Or):
        return disjunction(*(inner for inner in part.parts if admits_null(inner, cell)))
    return part


def admits_null(part: Expression, cell: Expression) -> bool:
    """Whether `part` may be TRUE where `cell` is null."""
    match part:
        case Compare(left=left):
            return left != cell
        case Not(IsNull(operand)):
            return operand != cell
        case And(parts):
            return all(admits_null(inner, cell) for inner in parts)
        case Or(parts):
            return any(admits_null(inner, cell) for inner in parts)
    return True


def _under(expression: Expression, facts: Sequence[Expression]) -> Expression:
    # INVARIANT: no fact is rewritten by itself, since none contains itself, nor by one that it rewrites in turn: then
    # each would contain the other.
    def change(node: Expression) -> Expression | None:
        if isinstance(node, Exists):  # its columns are another table's, even where they are called alike
            inner = conjuncts(node.where)
            return replace(node, where=conjunction(*(_under(part, inner) for part in inner)))
        if isinstance(node, Case) and node.branches and _holds(node.branches[0][0], facts):
            return _under(node.branches[0][1], facts)
        return None

    return rewrite(expression, change)


def _holds(guard: Expression, facts: Sequence[Expression]) -> bool:
    """Whether one of the facts is the guard, or leaves less to choose from."""
    alternatives = guard.parts if isinstance(guard, Or) else (guard,)
    return any(
        all(part in alternatives for part in (fact.parts if isinstance(fact, Or) else (fact,))) for fact in facts
    )


def _output(output: Output, facts: Sequence[Expression]) -> Output:
    if isinstance(output, JsonOutput):
        return JsonOutput(JsonObject(tuple((name, _node(part, facts)) for name, part in output.object.fields)))
    return replace(output, expression=_under(output.expression, facts))


def _node(node: JsonNode, facts: Sequence[Expression]) -> JsonNode:
    if isinstance(node, JsonObject):
        return JsonObject(tuple((name, _node(part, facts)) for name, part in node.fields))
    return node if isinstance(node, JsonText | JsonRows) else _under(node, facts)
