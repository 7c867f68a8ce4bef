"""In charge of printing expressions and outputs in plans: short, stable, without values of a request."""

from connectors.protocol import JsonNode, JsonObject, JsonOutput, JsonRows, JsonText, Order, Output
from tanglai.catalogue.expressions import (
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


def show(node: Expression) -> str:
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
            return f"{show(left)} {_SIGNS[op]} {show(right)}"
        case In(operand, values):
            return f"{show(operand)} in ({', '.join(show(v) for v in values)})"
        case IsNull(operand):
            return f"{show(operand)} is null"
        case Match(op, operand, needle):
            return f"{show(operand)} {op.value} {show(needle)}"
        case And(parts):
            return " and ".join(f"({show(p)})" if isinstance(p, Or) else show(p) for p in parts)
        case Or(parts):
            return " or ".join(f"({show(p)})" if isinstance(p, And) else show(p) for p in parts)
        case Not(part):
            return f"not ({show(part)})"
        case IsTrue(part):
            return f"true?({show(part)})"
        case Case(branches, _):
            return "{" + "; ".join(f"{show(c)} -> {show(v)}" for c, v in branches) + "}"
        case Masked(mask, operand):
            return f"{mask.kind.lower()}({show(operand)})"
        case Exists(_, table, links, where):
            joined = ", ".join(f"{a.name} = {b.name}" for a, b in links)
            return f"exists({table} on {joined} where {show(where)})"
        case Aggregate(function, operand, _):
            return f"{function.value}({show(operand) if operand is not None else '*'})"


def show_node(node: JsonNode) -> str:
    match node:
        case JsonText(text):
            return text
        case JsonObject(fields):
            return "{" + ", ".join(f"{key}: {show_node(value)}" for key, value in fields) + "}"
        case JsonRows():
            return f"rows({node.table} {show_node(node.element)})"
        case _:
            return show(node)


def show_output(output: Output) -> str:
    return show_node(output.object) if isinstance(output, JsonOutput) else show(output.expression)


def show_order(order: Order) -> str:
    return show(order.expression) + (" desc" if order.descending else "")
