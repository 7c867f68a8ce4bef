"""In charge of what there is in the program, to be compared with the rows of the matrix.

Three things are compared: the registers from which the planner takes its work, every coordinate of the generated schema
below the fields that lead to data, and the ways on which requests come to the gateway. What has no row fails.
"""

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, get_args

from graphql import (
    FieldNode,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    ObjectFieldNode,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    get_named_type,
    parse,
    visit,
)
from starlette.routing import BaseRoute, Route

import tanglai
from authz.visible import Use
from resolvers import where
from resolvers.entry_paths import group_path, root_path
from resolvers.gateway import Gateway
from resolvers.requests import GraphQLRequest
from schema.fields import (
    EXTENSION,
    FieldMeaning,
    FunctionField,
    Part,
    PartField,
    RootField,
    WhereItem,
    WhereLogic,
    WhereRelation,
    meaning,
)
from tanglai.catalogue.expressions import AggregateFunction
from tests.matrix.steps import Usage, Way

ADVICE = "has no row in the matrix: add the way that uses it to tests/matrix/ways.py"

# --- the planner's registers -----------------------------------------------------------------------------------------


def registered() -> set[str]:
    """Everything that the planner dispatches by."""
    found = {f"root path {name.value}" for name in root_path.planners}
    found |= {f"entry path {kind.__name__}" for kind in group_path.planners}
    found |= {f"operator {name}" for name in where.OPERATORS}
    found |= {f"quantifier {name}" for name in where.QUANTIFIERS}
    found |= {f"root field {name.value}" for name in RootField}
    found |= {f"part {part.value}" for part in Part}
    found |= {f"logic {word.value}" for word in WhereLogic}
    found |= {f"function {function.value}" for function in AggregateFunction} - {"function countRows"}
    found |= {f"meaning {kind.__name__}" for kind in get_args(FieldMeaning)}
    return found | {f"use {use.value}" for use in Use}


USES: Mapping[Usage, str] = {
    Usage.SELECT: "SELECT",
    Usage.WHERE: "WHERE",
    Usage.SEARCH: "WHERE",
    Usage.ORDER: "ORDER",
    Usage.GROUP: "GROUP",
    Usage.AGGREGATE: "AGGREGATE",
    Usage.KEY: "KEY",
    Usage.ENTITY: "KEY",
}
"""Which use of an item a step asks `authz` about."""


# --- the schema ------------------------------------------------------------------------------------------------------


@dataclass
class Used:
    """What operations use: coordinates of the schema, and entries of the planner's registers."""

    coordinates: set[str] = field(default_factory=set)
    registered: set[str] = field(default_factory=set)

    def meaning(self, what: Any) -> None:
        """The register entries of a field with this meaning."""
        if what is None:
            return
        self.registered.add(f"meaning {type(what).__name__}")
        self.registered.add(f"entry path {type(what).__name__}")
        if isinstance(what, RootField):
            self.registered |= {f"root path {what.value}", f"root field {what.value}"}
        elif isinstance(what, PartField):
            self.registered.add(f"part {what.part.value}")
        elif isinstance(what, FunctionField) and what.function is not None:
            self.registered.add(f"function {what.function.value}")


class _Reader(Visitor):
    """Notes the coordinates that a document uses (`Type.field`, `Type.field(argument:)`, `Enum.VALUE`)."""

    def __init__(self, info: TypeInfo, used: Used) -> None:
        super().__init__()
        self.info, self.used = info, used

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        parent, definition = self.info.get_parent_type(), self.info.get_field_def()
        if parent is None or definition is None or node.name.value.startswith("__"):
            return
        self.used.coordinates.add(f"{parent.name}.{node.name.value}")
        self.used.meaning(meaning(definition))
        if parent.name == "PageInfo":
            self.used.registered.add(f"part {node.name.value}")
        for argument in node.arguments or ():
            self.used.coordinates.add(f"{parent.name}.{node.name.value}({argument.name.value}:)")

    def enter_object_field(self, node: ObjectFieldNode, *_: Any) -> None:
        holder = get_named_type(self.info.get_parent_input_type())
        if not isinstance(holder, GraphQLInputObjectType):
            return  # a representation: its keys are those of a row's own
        name = node.name.value
        definition = holder.fields[name]
        self.used.coordinates.add(f"{holder.name}.{name}")
        what = meaning(definition)
        inner = [part.name.value for part in getattr(node.value, "fields", ())]
        if isinstance(what, WhereItem):
            self.used.coordinates |= {f"{holder.name}.{name}.{operator}" for operator in inner}
            self.used.registered |= {f"operator {operator}" for operator in inner}
        elif isinstance(what, WhereRelation):
            self.used.registered |= {f"quantifier {quantifier}" for quantifier in inner}
        elif isinstance(what, WhereLogic):
            self.used.registered.add(f"logic {what.value}")

    def enter_enum_value(self, node: Any, *_: Any) -> None:
        kind = get_named_type(self.info.get_input_type())
        if isinstance(kind, GraphQLEnumType):
            self.used.coordinates.add(f"{kind.name}.{node.value}")


def used_by(schema: GraphQLSchema, ways: Iterable[Way]) -> Used:
    """What the operations of `ways` use of `schema`."""
    used = Used()
    for way in ways:
        info = TypeInfo(schema)
        visit(parse(way.text), TypeInfoVisitor(info, _Reader(info, used)))
        used.registered |= {f"use {USES[step.usage]}" for step in way.steps if step.usage in USES}
    return used


def coordinates(schema: GraphQLSchema) -> set[str]:
    """Every coordinate that an operation can come to from the fields that lead to data."""
    query = schema.query_type
    assert query is not None
    found: set[str] = set()
    seen: set[str] = set()
    waiting: list[Any] = []
    for name, definition in query.fields.items():
        if meaning(definition) is not None:
            found.add(f"Query.{name}")
            found |= {f"Query.{name}({argument}:)" for argument in definition.args}
            waiting.append(get_named_type(definition.type))
    while waiting:
        kind = waiting.pop()
        if kind.name in seen:
            continue
        seen.add(kind.name)
        if isinstance(kind, GraphQLUnionType | GraphQLInterfaceType):
            waiting += [member for member in schema.get_possible_types(kind) if meaning(member) is not None]
        elif isinstance(kind, GraphQLObjectType):
            for name, definition in kind.fields.items():
                found.add(f"{kind.name}.{name}")
                found |= {f"{kind.name}.{name}({argument}:)" for argument in definition.args}
                waiting.append(get_named_type(definition.type))
                waiting += [get_named_type(argument.type) for argument in definition.args.values()]
        elif isinstance(kind, GraphQLInputObjectType):
            found |= set(_inputs(kind, waiting))
        elif isinstance(kind, GraphQLEnumType):
            found |= {f"{kind.name}.{value}" for value in kind.values}
    return found


def _inputs(kind: GraphQLInputObjectType, waiting: list[Any]) -> Iterator[str]:
    for name, definition in kind.fields.items():
        yield f"{kind.name}.{name}"
        inner = get_named_type(definition.type)
        if isinstance(meaning(definition), WhereItem):  # the operators of each item, not only those of its type
            yield from (f"{kind.name}.{name}.{operator}" for operator in inner.fields)
        else:
            waiting.append(inner)


def meaningless(schema: GraphQLSchema) -> set[str]:
    """Fields below `data` that the planner has no meaning of: nobody would decide on them."""
    query = schema.query_type
    assert query is not None
    found: set[str] = set()
    seen: set[str] = set()
    waiting = [get_named_type(query.fields["data"].type)]
    while waiting:
        kind = waiting.pop()
        if not isinstance(kind, GraphQLObjectType) or kind.name in seen or kind.name == "PageInfo":
            continue
        seen.add(kind.name)
        for name, definition in kind.fields.items():
            if meaning(definition) is None:
                found.add(f"{kind.name}.{name}")
            waiting.append(get_named_type(definition.type))
    return found


def missing(schema: GraphQLSchema, used: Used) -> list[str]:
    """What the program has and no row of the matrix uses, each with what to do."""
    found = [f"`{entry}` is registered and {ADVICE}" for entry in sorted(registered() - used.registered)]
    found += [f"`{name}` of the schema {ADVICE}" for name in sorted(coordinates(schema) - used.coordinates)]
    found += [f"`{name}` of the schema has no meaning (schema/fields.py)" for name in sorted(meaningless(schema))]
    return found


def leads_to_rows(schema: GraphQLSchema, kind: GraphQLNamedType) -> set[str]:
    """Types of the data, which the planner answers, that can be reached from `kind`."""
    found: set[str] = set()
    seen: set[str] = set()
    waiting = [kind]
    while waiting:
        kind = waiting.pop()
        if kind.name in seen:
            continue
        seen.add(kind.name)
        if EXTENSION in kind.extensions:
            found.add(kind.name)
        if isinstance(kind, GraphQLUnionType):
            waiting += kind.types
        if isinstance(kind, GraphQLInterfaceType):
            waiting += schema.get_possible_types(kind)
        if isinstance(kind, GraphQLObjectType):
            if kind.name != "PageInfo" and any(EXTENSION in field.extensions for field in kind.fields.values()):
                found.add(kind.name)
            waiting += [get_named_type(field.type) for field in kind.fields.values()]
    return found


# --- what leads to the gateway ----------------------------------------------------------------------------------------

ROOTS: Mapping[str, str] = {
    "data": "rows",
    "node": "rows",
    "_entities": "rows",
    "me": "the requester itself and its grants",
    "catalogue": "the catalogue, public to every department",
    "explainAccess": "the dry run: rules, no rows",
    "_service": "the schema's text",
}
"""Root fields of `Query`: a row of the matrix, or what it tells instead of rows. Those of the law's work are not
listed: they, mutations and subscriptions lead to no type that has rows."""

DOORS: Mapping[str, str] = {
    "tanglai.server.endpoint: execute": "POST and GET",
    "tanglai.server.websocket: execute": "WebSocket",
    "tanglai.server.export: export": "export",
    "tanglai.server.websocket: streams": "whether it is a subscription",
    "tanglai.server.websocket: subscribe": "subscriptions, which lead to no rows",
    "tanglai.server.endpoint: streams": "whether it is a subscription",
    "tanglai.server.endpoint: subscribe": "subscriptions, which lead to no rows",
    "tanglai.server.compose: streams": "whether it is a subscription",
    "tanglai.server.compose: schema": "building the schema before the first request",
    "tanglai.server.compose: prepare": "building the schema of a new catalogue before requests get it",
    "tanglai.server.app: sdl": "the schema's text",
    "tanglai.server.app: ready": "whether the platform database is there",
}
"""Who calls the gateway, and what for."""

TRANSPORTS = ("POST", "GET", "WebSocket", "export")
"""The axis of the end-to-end part; of one list's nodes also `/export`, which decides what denies like a list."""

METHODS = ("GET", "POST", "OPTIONS")
"""HTTP methods of `/graphql`; OPTIONS executes nothing."""

ROUTES: Mapping[str, str] = {
    "/schema.graphql": "the schema's text",
    "/healthz": "alive",
    "/readyz": "ready",
    "/demo/session": "whether there is a demo",
    "/catalogue-template.xlsx": "the spreadsheet to fill in, of the catalogue",
    "/catalogue.xlsx": "the department's own entries of the catalogue",
    "/catalogue-imports": "takes a spreadsheet of the department's own entries",
    "/documents": "takes a document of a dispute",
    "/documents/{id:path}": "a document of a dispute, for its parties",
}
"""Other routes of a node, and what they tell; none comes to rows. Those of the workbench are files."""

GATEWAY = frozenset({"execute", "export", "prepare", "streams", "subscribe", "schema", "sdl", "ready"})
"""What the gateway answers. `export` is a list by another name.

`subscribe` runs what `execute` runs, on the root type of subscriptions.
"""

REQUEST = frozenset(
    {
        "query",
        "operation_name",
        "variables",
        "extensions",
        "principal",
        "purpose",
        "language",
        "request_id",
        "read_only",
    }
)
"""What a request consists of: its document is a text."""


def doors() -> set[str]:
    """`module: method` of every call of a gateway in the server."""
    found: set[str] = set()
    folder = Path(tanglai.__file__).parent
    for path in sorted(folder.rglob("*.py")):
        module = ".".join(("tanglai", *path.relative_to(folder).with_suffix("").parts))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and _is_gateway(node.value):
                found.add(f"{module}: {node.attr}")
    return found


def _is_gateway(node: ast.expr) -> bool:
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return name in ("gateway", "_gateway")


def routes(found: Iterable[BaseRoute]) -> set[str]:
    """The paths of routes that are answered by code."""
    return {route.path for route in found if isinstance(route, Route)}


def answers() -> set[str]:
    """The public methods of the gateway."""
    return {name for name in vars(Gateway) if not name.startswith("_")}


def request_fields() -> set[str]:
    return {entry.name for entry in fields(GraphQLRequest)}


# --- what is to come --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pending:
    """A path that a later issue brings. `landed` says what there is of it already; then it joins the matrix."""

    name: str
    landed: Callable[[GraphQLSchema], set[str]]


def _words(schema: GraphQLSchema, *words: str) -> set[str]:
    """Root fields, gateway methods, request fields and server modules that are named like it."""
    found: set[str] = set()
    for root in (schema.query_type, schema.mutation_type, schema.subscription_type):
        found |= {f"{root.name}.{name}" for name in root.fields} if root is not None else set()
    found |= {f"Gateway.{name}" for name in answers()} | {f"GraphQLRequest.{name}" for name in request_fields()}
    found |= {f"root path {name}" for name in root_path.planners}
    folder = Path(tanglai.__file__).parent / "server"
    found |= {f"tanglai.server.{path.stem}" for path in folder.glob("*.py")}
    return {name for name in found if any(word in name.rpartition(".")[2].lower() for word in words)}


PENDING = (
    Pending("stored documents", lambda schema: _words(schema, "stored", "persisted", "document_id", "documentid")),
)
"""Paths of later issues, by name."""
