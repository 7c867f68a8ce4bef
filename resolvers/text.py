"""In charge of printing plans: short, stable, without values of a request."""

from connectors.protocol import JsonNode, JsonObject, JsonOutput, JsonRows, JsonText, Order, Output, SourceQuery
from resolvers.plan import (
    AggregateCall,
    Answer,
    CubeCall,
    EntitiesCall,
    LookupCall,
    NodeCall,
    ObjectShape,
    Plan,
    RowsCall,
)
from tanglai.catalogue.expressions import (
    TRUE,
    Aggregate,
    And,
    Attribute,
    Boolean,
    Case,
    Column,
    Compare,
    CompareOp,
    Exists,
    Expression,
    In,
    IsNull,
    IsTrue,
    ItemRef,
    Masked,
    Match,
    Not,
    Null,
    Or,
    Slot,
    Value,
    Within,
)
from tanglai.catalogue.scalars import to_json

_SIGNS = {
    CompareOp.EQ: "=",
    CompareOp.NE: "<>",
    CompareOp.LT: "<",
    CompareOp.LTE: "<=",
    CompareOp.GT: ">",
    CompareOp.GTE: ">=",
}


def explain(plan: Plan) -> str:
    """The plan in lines, for golden cases and for people."""
    lines: list[str] = []
    for key, answer in plan.roots:
        _explain(key, answer, 0, lines)
    for error in plan.errors:
        lines.append(f"error {error.denial.code} at {error.at}")
    return "\n".join(lines)


def _explain(key: str, answer: Answer, depth: int, lines: list[str]) -> None:
    pad = "  " * depth
    match answer:
        case str():
            lines.append(f"{pad}{key}: {answer}")
        case ObjectShape(fields):
            lines.append(f"{pad}{key}:")
            for name, part in fields:
                _explain(name, part, depth + 1, lines)
        case LookupCall(call=call) | NodeCall(call=call):
            _explain(key, call, depth, lines)
        case EntitiesCall(calls=entities):
            lines.append(f"{pad}{key}: entities")
            for (name, names), entity in sorted(entities.items()):
                if entity.call is not None:
                    _explain(f"{name}({','.join(names)})", entity.call, depth + 1, lines)
        case CubeCall(rule=rule):
            lines.append(f"{pad}{key}: cube of {rule.grant} by {list(answer.by)} where {_allowed(answer.where)}")
            lines.append(f"{pad}  before: {_describe(answer.query)}")
        case RowsCall() | AggregateCall():
            lines.append(f"{pad}{key}: {_describe(answer.query)}")
            for keyset_ in answer.keysets:
                lines.append(f"{pad}  before: {keyset_.path} = {_describe(keyset_.query)}")
            if isinstance(answer, RowsCall):
                if answer.total is not None:
                    lines.append(f"{pad}  total: {_describe(answer.total)}")
                for child in answer.children:
                    _explain(child.at.whole[-1], child, depth + 1, lines)


def _allowed(where: tuple[tuple[int, tuple[Value | Slot, ...]], ...]) -> str:
    return str([(position, [_show(value) for value in values]) for position, values in where])


def _describe(query: SourceQuery) -> str:
    parts = [f"{query.source}:{query.table}", "[" + ", ".join(_show_output(o) for o in query.outputs) + "]"]
    if query.empty:
        parts.append("empty")
    if query.links:
        parts.append("by " + ", ".join(column.name for column in query.links))
    if query.visible != TRUE:
        parts.append(f"visible {_show(query.visible)}")
    if query.where != TRUE:
        parts.append(f"where {_show(query.where)}")
    if query.group_by is not None:
        parts.append("group by (" + ", ".join(_show(e) for e in query.group_by) + ")")
    if query.order:
        parts.append("order " + ", ".join(_show_order(o) for o in query.order))
    if query.limit is not None:
        parts.append(f"limit {_show(query.limit) if isinstance(query.limit, Slot) else query.limit}")
    return " ".join(parts)


def _show(node: Expression) -> str:
    """One line for `node`."""
    match node:
        case ItemRef(name, _) | Column(name=name) | Attribute(name):
            return name
        case Within(item, division):
            return f"{item.name} within {division}"
        case Value(value, kind):
            return repr(to_json(kind, value))
        case Slot(path, _, many):
            return f"${path}[]" if many else f"${path}"
        case Boolean(value):
            return "TRUE" if value else "FALSE"
        case Null():
            return "null"
        case Compare(op, left, right):
            return f"{_show(left)} {_SIGNS[op]} {_show(right)}"
        case In(operand, values):
            return f"{_show(operand)} in ({', '.join(_show(v) for v in values)})"
        case IsNull(operand):
            return f"{_show(operand)} is null"
        case Match(op, operand, needle):
            return f"{_show(operand)} {op.value} {_show(needle)}"
        case And(parts):
            return " and ".join(f"({_show(p)})" if isinstance(p, Or) else _show(p) for p in parts)
        case Or(parts):
            return " or ".join(f"({_show(p)})" if isinstance(p, And) else _show(p) for p in parts)
        case Not(part):
            return f"not ({_show(part)})"
        case IsTrue(part):
            return f"true?({_show(part)})"
        case Case(branches, _):
            return "{" + "; ".join(f"{_show(c)} -> {_show(v)}" for c, v in branches) + "}"
        case Masked(mask, operand):
            return f"{mask.kind.lower()}({_show(operand)})"
        case Exists(_, table, links, where):
            joined = ", ".join(f"{a.name} = {b.name}" for a, b in links)
            return f"exists({table} on {joined} where {_show(where)})"
        case Aggregate(function, operand, _):
            return f"{function.value}({_show(operand) if operand is not None else '*'})"


def _show_node(node: JsonNode) -> str:
    match node:
        case JsonText(text):
            return text
        case JsonObject(fields):
            return "{" + ", ".join(f"{key}: {_show_node(value)}" for key, value in fields) + "}"
        case JsonRows():
            return f"rows({node.table} {_show_node(node.element)})"
        case _:
            return _show(node)


def _show_output(output: Output) -> str:
    return _show_node(output.object) if isinstance(output, JsonOutput) else _show(output.expression)


def _show_order(order: Order) -> str:
    return _show(order.expression) + (" desc" if order.descending else "")
