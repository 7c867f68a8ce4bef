"""In charge of what a schema tells of itself: without graphql-core's executor, at length off the event loop, as bytes.

A large catalogue has tens of thousands of types. The executor takes minutes for all of them and holds the loop; here
the selection is compiled once and the resolvers of graphql-core's introspection are called directly.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any, TypeAlias

import orjson
from graphql import (
    ExecutionResult,
    FieldNode,
    GraphQLError,
    GraphQLLeafType,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    SelectionSetNode,
    introspection_types,
    is_leaf_type,
    is_list_type,
)
from graphql.execution.values import VariableValues, get_argument_values

from resolvers.document import Document, Operation, coerce_variables
from resolvers.selection import Collector, Selected
from schema.execution import FIELDS_PER_TYPE
from schema.unified import UnifiedSchema
from tanglai.catalogue.errors import ErrorCode, TanglaiError

SCHEMA_FIELDS = frozenset({"__schema", "__type", "_service"})
"""Root fields that tell of the schema; they are the same for everybody."""

AT_ONCE = 5_000
"""Fields that are answered on the event loop; beyond, a thread begins anew."""

KEPT_BYTES = 128 * 1024 * 1024
"""Of long answers, per schema."""

PIECE = 1_000_000
"""Characters of a text that are written at once."""

PART_BYTES = 1_000_000
"""Of JSON that is sent at once."""

Json: TypeAlias = bytes | tuple[bytes, ...]
"""JSON, in parts where it is long."""

Complete: TypeAlias = Callable[[Any], Any]
Key: TypeAlias = tuple[str, str | None, str]

# One thread for all: whoever asks for everything again and again makes the others of the kind wait, not the node.
_WORKER = ThreadPoolExecutor(1, "tanglai-schema")


async def sdl_parts(schema: UnifiedSchema) -> tuple[bytes, ...]:
    """The schema's text as UTF-8 in parts, printed once, beside the event loop."""
    return await asyncio.get_running_loop().run_in_executor(_WORKER, lambda: schema.sdl_parts)


class SchemaAnswers:
    """Answers about one schema; long ones are kept. Used within one event loop."""

    def __init__(self, schema: UnifiedSchema) -> None:
        self._schema = schema
        self._kept: OrderedDict[Key, Future[dict[str, Json]]] = OrderedDict()

    async def answer(
        self, document: Document, operation: Operation, inputs: Mapping[str, Any], selections: Sequence[Selected]
    ) -> ExecutionResult:
        """The answer to root fields of SCHEMA_FIELDS, each as JSON; `inputs` are variables as sent.

        An operation beyond the bound has no data and one error LIMIT_EXCEEDED; one whose variables do not fit an
        argument has none and BAD_INPUT.
        """
        schema = self._schema.graphql
        variables = coerce_variables(schema, operation, inputs)
        collector = Collector(schema, document.fragments, variables)
        try:
            found = await self._found(
                (document.hash, operation.name, repr(variables)), collector, variables, selections
            )
        except _TooMany:
            return _failed(selections[0], ErrorCode.LIMIT_EXCEEDED, "the operation resolves too many fields")
        except GraphQLError as error:  # null in a variable for an argument that takes none: validation allows it
            return _failed(selections[0], ErrorCode.BAD_INPUT, error.message)
        return ExecutionResult(dict(found), None)

    async def _found(
        self, key: Key, collector: Collector, variables: Mapping[str, Any], selections: Sequence[Selected]
    ) -> dict[str, Json]:
        kept = self._kept.get(key)
        if kept is None:
            if not any(selected.name == "_service" for selected in selections):
                try:
                    return _Walk(self._schema, collector, variables, AT_ONCE).roots(selections)
                except _TooMany:
                    pass
            bound = FIELDS_PER_TYPE * len(self._schema.graphql.type_map)
            kept = _WORKER.submit(_Walk(self._schema, collector, variables, bound).roots, selections)
            self._kept[key] = kept
        self._kept.move_to_end(key)
        try:
            return await asyncio.shield(asyncio.wrap_future(kept))
        except BaseException:
            if kept.done() and kept.exception() is not None:
                self._kept.pop(key, None)
            raise
        finally:
            self._evict()

    def _evict(self) -> None:
        """Keeps the newest answers, as far as they have room."""
        size = 0
        for key, future in reversed(list(self._kept.items())):
            if future.done():
                size += sum(map(_size, future.result().values())) if future.exception() is None else 0
                if size > KEPT_BYTES:
                    del self._kept[key]


def together(told: ExecutionResult | None, rest: ExecutionResult) -> ExecutionResult:
    """Both parts of one answer; an operation that went beyond the bound has no data."""
    if told is None:
        return rest
    data = None if told.data is None or rest.data is None else {**rest.data, **told.data}
    return ExecutionResult(data, [*(told.errors or ()), *(rest.errors or ())])


def _failed(first: Selected, code: ErrorCode, message: str) -> ExecutionResult:
    error = GraphQLError(message, first.nodes, path=[first.key], original_error=TanglaiError(code, message))
    return ExecutionResult(None, [error])


class _TooMany(Exception):
    pass


@dataclass(frozen=True, slots=True)
class _Field:
    key: str
    resolve: Callable[..., Any]
    arguments: Mapping[str, Any]
    complete: Complete
    each: Complete | None
    """Where it is a list: what completes one of its entries."""

    def value(self, source: Any, info: Any) -> Any:
        return self.resolve(source, info, **self.arguments)


class _Walk:
    """One answer. Every type that introspection comes to is an object, a list or a leaf, and no resolver waits."""

    def __init__(self, schema: UnifiedSchema, collector: Collector, variables: Mapping[str, Any], bound: int) -> None:
        self._unified = schema
        self._schema = schema.graphql
        self._collector = collector
        self._variables = VariableValues({}, dict(variables))
        self._left = bound
        self._info = SimpleNamespace(schema=schema.graphql)

    def roots(self, selections: Sequence[Selected]) -> dict[str, Json]:
        """JSON by response key. Raises _TooMany."""
        root = self._schema.query_type
        assert root is not None
        return {selected.key: _parts(self._root(self._field(root, selected), selected)) for selected in selections}

    def _root(self, field: _Field, selected: Selected) -> Iterator[bytes]:
        """In parts: JSON is written in C and would hold every thread for as long as it takes."""
        source = field.value(None, self._info)
        if selected.name != "__schema":
            yield from _written(field.complete(source))
            return
        mark = b"{"
        kind = introspection_types["__Schema"]
        assert isinstance(kind, GraphQLObjectType)
        for part in self._fields(kind, selected.selection_sets):
            yield mark + orjson.dumps(part.key) + b":"
            mark = b","
            value = part.value(source, self._info)
            if part.each is None or value is None:
                yield orjson.dumps(part.complete(value))
                continue
            entries = self._unified.passing(value) if value and self._left > AT_ONCE else value
            between = b"["
            for entry in entries:
                yield between + orjson.dumps(part.each(entry))
                between = b","
            yield b"]" if between == b"," else b"[]"
        yield b"}"

    def _fields(self, kind: GraphQLObjectType, sets: Iterable[SelectionSetNode]) -> list[_Field]:
        return [self._field(kind, selected) for selected in self._collector.fields(kind, sets)]

    def _field(self, parent: GraphQLObjectType, selected: Selected) -> _Field:
        if selected.name == "__typename":
            name = parent.name
            return _Field(selected.key, lambda *_: name, {}, _same, None)
        definition = self._schema.get_field(parent, selected.name)
        assert definition is not None
        resolve = definition.resolve
        assert resolve is not None
        if selected.name == "isOneOf":  # Strawberry puts its own resolver there, which fails for lists and non-nulls
            resolve = partial(_named, resolve)
        node: FieldNode = selected.node
        arguments = get_argument_values(definition, node, self._variables) if definition.args else {}
        kind = _nullable(definition.type)
        each = self._complete(kind.of_type, selected.selection_sets) if is_list_type(kind) else None
        return _Field(
            selected.key,
            resolve,
            arguments,
            self._complete(definition.type, selected.selection_sets) if each is None else _listed(each),
            each,
        )

    def _complete(self, kind: GraphQLOutputType, sets: list[SelectionSetNode]) -> Complete:
        """What makes a value of `kind` into JSON's values."""
        kind = _nullable(kind)
        if is_list_type(kind):
            return _listed(self._complete(kind.of_type, sets))
        if is_leaf_type(kind):
            return _leaf(kind)
        assert isinstance(kind, GraphQLObjectType)
        parts = [(f.key, f.resolve, f.arguments, f.complete) for f in self._fields(kind, sets)]
        count, info = len(parts), self._info

        def complete(source: Any) -> Any:
            if source is None:
                return None
            self._left -= count
            if self._left < 0:
                raise _TooMany
            return {key: finish(resolve(source, info, **given)) for key, resolve, given, finish in parts}

        return complete


def _parts(pieces: Iterable[bytes]) -> Json:
    """`pieces` in parts of about PART_BYTES; bytes where one part is enough."""
    parts: list[bytes] = []
    some: list[bytes] = []
    size = 0
    for piece in pieces:
        some.append(piece)
        size += len(piece)
        if size >= PART_BYTES:
            parts.append(b"".join(some))
            some, size = [], 0
    last = b"".join(some)
    return (*parts, last) if parts else last


def _size(json: Json) -> int:
    return len(json) if isinstance(json, bytes) else sum(map(len, json))


def _written(value: Any) -> Iterator[bytes]:
    """JSON of an object or null, long texts in parts."""
    if value is None:
        yield b"null"
        return
    mark = b"{"
    for key, part in value.items():
        yield mark + orjson.dumps(key) + b":"
        mark = b","
        if isinstance(part, str) and len(part) > PIECE:
            yield b'"'
            yield from (orjson.dumps(part[start : start + PIECE])[1:-1] for start in range(0, len(part), PIECE))
            yield b'"'
        else:
            yield orjson.dumps(part)
    yield b"}"


def _nullable(kind: Any) -> Any:
    return kind.of_type if isinstance(kind, GraphQLNonNull) else kind


def _named(resolve: Callable[..., Any], kind: Any, info: Any) -> Any:
    return resolve(kind, info) if isinstance(kind, GraphQLNamedType) else None


def _same(value: Any) -> Any:
    return value


def _listed(each: Complete) -> Complete:
    return lambda values: None if values is None else [each(value) for value in values]


def _leaf(kind: GraphQLLeafType) -> Complete:
    serialize, plain = kind.serialize, str if kind.name == "String" else type(None)
    return lambda value: value if value is None or type(value) is plain else serialize(value)
