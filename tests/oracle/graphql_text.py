"""In charge of writing an operation as GraphQL text with its variables."""

import json
from collections.abc import Mapping
from typing import Any

from tanglai.catalogue.model import Item, Resource, Snapshot
from tanglai.catalogue.naming import enum_value_name
from tanglai.catalogue.scalars import ScalarType, to_json
from tests.oracle.language import (
    ABSENT,
    ById,
    ByKey,
    Entities,
    Field,
    Figures,
    Fragment,
    Inline,
    Listing,
    Only,
    Operation,
    Pick,
    Place,
    Selection,
    Spread,
    Var,
)

SCALARS = {
    ScalarType.TEXT: "String",
    ScalarType.BOOLEAN: "Boolean",
    ScalarType.INTEGER: "Int",
    ScalarType.LONG: "Long",
    ScalarType.DECIMAL: "Decimal",
    ScalarType.FLOAT: "Float",
    ScalarType.DATE: "Date",
    ScalarType.TIME: "Time",
    ScalarType.DATETIME: "DateTime",
}


def write(operation: Operation, snapshot: Snapshot) -> tuple[str, dict[str, Any]]:
    """The document and its variables. A variable's name depends on what stands before it, cursors apart."""
    return _Text(snapshot).document(operation)


class _Text:
    def __init__(self, snapshot: Snapshot) -> None:
        self.by_list: dict[tuple[str, str], Resource] = {}
        self.resources = snapshot.resources
        self.types = {resource.names.type: resource for resource in snapshot.resources.values()}
        self.declared: list[str] = []
        self.variables: dict[str, Any] = {}
        self.counts: dict[str, int] = {}

    def document(self, operation: Operation) -> tuple[str, dict[str, Any]]:
        body = self.selections(operation.selections, None)
        fragments = [self.fragment(name, fragment) for name, fragment in operation.fragments.items()]
        head = f"query({', '.join(self.declared)}) " if self.declared else ""
        return " ".join([head + body, *fragments]), self.variables

    def fragment(self, name: str, fragment: Fragment) -> str:
        inner = self.selections(fragment.selections, self.types.get(fragment.condition))
        return f"fragment {name} on {fragment.condition} {inner}"

    def variable(self, kind: str, type_: str, value: Any) -> str:
        """Declares a variable and gives its name; ABSENT is declared and not given."""
        number = self.counts[kind] = self.counts.get(kind, 0) + 1
        name = f"{kind}{number}"
        self.declared.append(f"${name}: {type_}")
        if value is not ABSENT:
            self.variables[name] = value
        return f"${name}"

    # --- selections ------------------------------------------------------------------------------------------------

    def selections(self, selections: tuple[Selection, ...], resource: Resource | None) -> str:
        return "{ " + " ".join(self.selection(selection, resource) for selection in selections) + " }"

    def selection(self, selection: Selection, resource: Resource | None) -> str:
        only = "".join(self.only(one) for one in selection.only)
        if isinstance(selection, Spread):
            return f"...{selection.fragment}{only}"
        if isinstance(selection, Inline):
            inside = resource if selection.condition is None else self.types.get(selection.condition, resource)
            condition = f" on {selection.condition}" if selection.condition else ""
            return f"...{condition}{only} {self.selections(selection.selections, inside)}"
        alias = f"{selection.alias}: " if selection.alias else ""
        below = self.below(selection, resource)
        text = f"{alias}{selection.name}{self.arguments(selection, below)}{only}"
        return text + (" " + self.selections(selection.selections, below) if selection.selections else "")

    def below(self, selected: Field, resource: Resource | None) -> Resource | None:
        """The resource that a field's selections are about."""
        if resource is None:
            for candidate in self.resources.values():
                if selected.name.startswith((candidate.names.list, candidate.names.one)):
                    return candidate
            return None
        for relation in resource.relations:
            if relation.graphql == selected.name:
                return self.resources[relation.target]
        return resource

    def only(self, only: Only) -> str:
        flag = self.variable("i", "Boolean!", only.flag) if only.variable else json.dumps(only.flag)
        return f" @{only.directive}(if: {flag})"

    # --- arguments -------------------------------------------------------------------------------------------------

    def arguments(self, selected: Field, resource: Resource | None) -> str:
        match selected.arguments:
            case None:
                return ""
            case ById(token=token):
                return f"(id: {json.dumps(token)})"
            case Entities(representations, variable):
                given = [dict(one.json) for one in representations]
                text = self.variable("e", "[_Any!]!", given) if variable else _literal(given)
                return f"(representations: {text})"
            case ByKey(values):
                assert resource is not None
                parts = [
                    f"{name}: {self.scalar(value, _item(resource, name), 'k', '!')}" for name, value in values.items()
                ]
            case Listing():
                assert resource is not None
                parts = self.listing(selected.arguments, resource)
            case Figures(where, group):
                assert resource is not None
                parts = self.where_argument(where, resource)
                if group is not ABSENT:
                    names = [enum_value_name(name) for name in (group.value if isinstance(group, Var) else group)]
                    text = f"[{', '.join(names)}]"
                    if isinstance(group, Var):
                        text = self.variable("g", f"[{resource.names.type}Group!]", names)
                    parts.append(f"groupBy: {text}")
        return f"({', '.join(parts)})" if parts else ""

    def listing(self, listing: Listing, resource: Resource) -> list[str]:
        parts = self.where_argument(listing.where, resource)
        if isinstance(listing.search, Var):
            parts.append(f"search: {self.variable('s', 'String', listing.search.value)}")
        elif listing.search is not ABSENT:
            parts.append(f"search: {json.dumps(listing.search, ensure_ascii=False)}")
        if listing.order is not ABSENT:
            if isinstance(listing.order, Var):
                entries = listing.order.value
                value = [{name: way} for name, way in entries] if isinstance(entries, list) else entries
                text = self.variable("o", f"[{resource.names.type}Order!]", value)
            else:
                text = "[" + ", ".join(f"{{{name}: {way}}}" for name, way in listing.order) + "]"
            parts.append(f"orderBy: {text}")
        for name, size in (("first", listing.first), ("last", listing.last)):
            if size is not ABSENT:
                text = self.variable("p", "Int", size.value) if isinstance(size, Var) else json.dumps(size)
                parts.append(f"{name}: {text}")
        for name, cursor in (("after", listing.after), ("before", listing.before)):
            if cursor is None:
                parts.append(f"{name}: null")
            elif isinstance(cursor, Place):
                token = self.variable("c", "String", cursor.token) if name == "after" else json.dumps(cursor.token)
                parts.append(f"{name}: {token}")
            elif isinstance(cursor, Pick):  # a cursor that is still to be had
                parts.append(f'{name}: "the row at {cursor.place}"')
        return parts

    def where_argument(self, where: Any, resource: Resource) -> list[str]:
        if where is ABSENT:
            return []
        if isinstance(where, Var):
            value = where.value
            if isinstance(value, dict):
                value = self.plain(value, resource)
            return [f"where: {self.variable('w', resource.names.type + 'Where', value)}"]
        return [f"where: {'null' if where is None else self.where(where, resource)}"]

    def where(self, where: Mapping[str, Any], resource: Resource) -> str:
        parts: list[str] = []
        for name, operand in where.items():
            if name == "not":
                text = self.where(operand, resource)
            elif name in ("and", "or"):
                text = "[" + ", ".join(self.where(part, resource) for part in operand) + "]"
            elif (item := _find(resource, name)) is not None:
                text = "{" + ", ".join(f"{op}: {self.operand(op, value, item)}" for op, value in operand.items()) + "}"
            else:
                target = self.target(resource, name)
                text = (
                    "{"
                    + ", ".join(f"{quantifier}: {self.where(inner, target)}" for quantifier, inner in operand.items())
                    + "}"
                )
            parts.append(f"{name}: {text}")
        return "{" + ", ".join(parts) + "}"

    def target(self, resource: Resource, name: str) -> Resource:
        return self.resources[next(r.target for r in resource.relations if r.graphql == name)]

    def operand(self, operator: str, value: Any, item: Item) -> str:
        if operator == "isNull":
            return json.dumps(value)
        if isinstance(value, Var) and isinstance(value.value, list):
            return self.variable("v", f"[{SCALARS[item.type]}!]", [_json(item.type, one) for one in value.value])
        if isinstance(value, list):
            return "[" + ", ".join(self.scalar(one, item, "v", "!") for one in value) + "]"
        return self.scalar(value, item, "v", "")

    def scalar(self, value: Any, item: Item, prefix: str, required: str) -> str:
        if isinstance(value, Var):
            given = value.value if value.value is ABSENT else _json(item.type, value.value)
            return self.variable(prefix, SCALARS[item.type] + required, given)
        return json.dumps(_json(item.type, value), ensure_ascii=False)

    def plain(self, where: Mapping[str, Any], resource: Resource) -> dict[str, Any]:
        """A filter as the JSON value of a variable."""
        whole: dict[str, Any] = {}
        for name, operand in where.items():
            if name == "not":
                whole[name] = self.plain(operand, resource)
            elif name in ("and", "or"):
                whole[name] = [self.plain(part, resource) for part in operand]
            elif (item := _find(resource, name)) is not None:
                whole[name] = {
                    op: [_json(item.type, one) for one in value]
                    if isinstance(value, list)
                    else value
                    if op == "isNull"
                    else _json(item.type, value)
                    for op, value in operand.items()
                }
            else:
                target = self.target(resource, name)
                whole[name] = {quantifier: self.plain(inner, target) for quantifier, inner in operand.items()}
        return whole


def _literal(value: Any) -> str:
    """A JSON value as a literal of GraphQL."""
    if isinstance(value, list):
        return "[" + ", ".join(map(_literal, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_literal(part)}" for name, part in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)


def _json(kind: ScalarType, value: Any) -> Any:
    return to_json(kind, value)


def _find(resource: Resource, graphql: str) -> Item | None:
    return next((item for item in resource.items if item.graphql == graphql), None)


def _item(resource: Resource, graphql: str) -> Item:
    found = _find(resource, graphql)
    assert found is not None, graphql
    return found
