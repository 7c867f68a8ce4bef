"""In charge of which columns and tables a source query names."""

from collections.abc import Iterator

from connectors.protocol import JsonNode, JsonObject, JsonOutput, JsonRows, JsonText, SourceQuery
from tanglai.catalogue.expressions import Column, Exists, Expression, leaves, rewrite


def own_columns(node: JsonNode) -> list[Column]:
    """The columns of the enclosing row in `node`, in order of appearance; those of inner tables are left out."""
    if isinstance(node, Column):
        return [node]
    found: dict[Column, None] = {}

    def visit(expression: Expression) -> Expression | None:
        if isinstance(expression, Column):
            found.setdefault(expression)
        elif isinstance(expression, Exists):
            found.update(dict.fromkeys(outer for outer, _ in expression.links))
            return expression
        return None

    def walk(part: JsonNode) -> None:
        if isinstance(part, JsonObject):
            for _, inner in part.fields:
                walk(inner)
        elif isinstance(part, JsonRows):
            found.update(dict.fromkeys(outer for outer, _ in part.links))
            rewrite(part.guard, visit)
        elif not isinstance(part, JsonText):
            rewrite(part, visit)

    walk(node)
    return list(found)


def output_columns(query: SourceQuery) -> list[Column]:
    """The columns of the query's own table that its outputs name."""
    found: dict[Column, None] = {}
    for output in query.outputs:
        found.update(dict.fromkeys(own_columns(output.object if isinstance(output, JsonOutput) else output.expression)))
    return list(found)


def query_columns(query: SourceQuery) -> list[Column]:
    """Every column of the query's own table that it names."""
    found = dict.fromkeys(query.links)
    expressions = (query.visible, query.where, *(query.group_by or ()), *(entry.expression for entry in query.order))
    for expression in expressions:
        found.update(dict.fromkeys(own_columns(expression)))
    found.update(dict.fromkeys(output_columns(query)))
    return list(found)


def tables(query: SourceQuery) -> set[tuple[str | None, str]]:
    """Namespace and name of every table that the query reads."""
    return {(query.namespace, query.table), *_inner_tables(query)}


def reads_other_tables(query: SourceQuery) -> bool:
    """Whether the query has nested rows or `Exists`."""
    return next(_inner_tables(query), None) is not None


def _inner_tables(query: SourceQuery) -> Iterator[tuple[str | None, str]]:
    def within(node: JsonNode) -> Iterator[tuple[str | None, str]]:
        if isinstance(node, JsonObject):
            for _, part in node.fields:
                yield from within(part)
        elif isinstance(node, JsonRows):
            yield node.namespace, node.table
            for part in (node.guard, node.visible, node.where, node.element):
                yield from within(part)
            for entry in node.order:
                yield from within(entry.expression)
        elif not isinstance(node, JsonText):
            for exists in leaves(node, Exists):
                yield exists.namespace, exists.table

    for output in query.outputs:
        yield from within(output.object if isinstance(output, JsonOutput) else output.expression)
    for expression in (query.visible, query.where, *(query.group_by or ())):
        yield from within(expression)
    for entry in query.order:
        yield from within(entry.expression)
