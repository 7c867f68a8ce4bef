"""In charge of documents: parsed, bounded and validated once per text and schema, then kept."""

import hashlib
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLBoolean,
    GraphQLError,
    GraphQLID,
    GraphQLInputType,
    GraphQLInt,
    GraphQLNonNull,
    GraphQLSchema,
    GraphQLString,
    InlineFragmentNode,
    NoFragmentCyclesRule,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    VariableDefinitionNode,
    parse,
    specified_rules,
    type_from_ast,
    validate,
)
from graphql.execution.values import get_variable_values

from resolvers.caches import Recent
from resolvers.limits import Limits
from tanglai.catalogue.errors import BadInput, ErrorCode, TanglaiError

SHAPES = 16
"""Shapes of variables of one operation whose root fields are kept."""


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """One operation of a validated document.

    `roots` are its root fields by the shape of its variables, of which `@skip` and `@include` are a part. They hold the
    document, so they go with it.
    """

    node: OperationDefinitionNode
    name: str | None
    types: Mapping[str, GraphQLInputType]
    roots: "Recent[tuple[Any, ...], Any]" = field(default_factory=lambda: Recent(SHAPES))

    @property
    def kind(self) -> OperationType:
        return self.node.operation


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """A validated document. `hash` is the SHA-256 of its text, in hexadecimal digits, `size` that text's bytes."""

    hash: str
    size: int
    node: DocumentNode
    operations: Mapping[str | None, Operation]
    fragments: Mapping[str, FragmentDefinitionNode]

    def operation(self, name: str | None) -> Operation:
        """The operation `name`, or the only one. Raises BAD_INPUT when there is none, or no telling which."""
        if name is not None:
            found = self.operations.get(name)
            if found is None:
                raise BadInput("the document has no operation of that name")
            return found
        if len(self.operations) != 1:
            raise BadInput("name the operation: the document has several" if self.operations else "no operation")
        return next(iter(self.operations.values()))


class InvalidDocument(TanglaiError):
    """The document does not parse or validate; `errors` are graphql-core's.

    Its suggestions name what the schema shows to every department (authorization.md, case 30).
    """

    def __init__(self, errors: list[GraphQLError]) -> None:
        super().__init__(ErrorCode.BAD_INPUT, errors[0].message)
        self.errors = errors


class Documents:
    """Documents of one schema, the least recently used dropped first: beyond a number of them, and of bytes of text.

    The tree of a document takes a hundred times its text.
    """

    def __init__(self, schema: GraphQLSchema, limits: Limits) -> None:
        self._schema = schema
        self._limits = limits
        self._kept: OrderedDict[str, Document] = OrderedDict()
        self._size = 0

    def document(self, text: str) -> Document:
        """The validated document of `text`. Raises InvalidDocument or LIMIT_EXCEEDED."""
        found = self._kept.get(text)
        if found is not None:
            self._kept.move_to_end(text)
            return found
        document = self._read(text)
        self._kept[text] = document
        self._size += document.size
        while len(self._kept) > self._limits.documents_cached or (
            self._size > self._limits.documents_cached_bytes and len(self._kept) > 1
        ):
            self._size -= self._kept.popitem(last=False)[1].size
        return document

    def _read(self, text: str) -> Document:
        try:
            encoded = text.encode()
        except UnicodeEncodeError:
            raise BadInput("the document holds a lone surrogate") from None
        if len(encoded) > self._limits.document_bytes:
            raise exceeded(f"the document has more than {self._limits.document_bytes} bytes")
        try:
            node = parse(text, max_tokens=self._limits.tokens, allow_empty_selection_sets=False)
        except GraphQLError as error:
            if "Parsing aborted" in error.message or "deep" in error.message:
                raise exceeded(
                    f"the document has more than {self._limits.tokens} tokens or is nested too deeply"
                ) from None
            raise InvalidDocument([error]) from None
        except RecursionError:
            raise exceeded("the document is nested too deeply") from None
        fragments = {d.name.value: d for d in node.definitions if isinstance(d, FragmentDefinitionNode)}
        if len(fragments) > MAX_FRAGMENTS:
            raise exceeded(f"the document has more than {MAX_FRAGMENTS} fragments")
        try:
            _measure(node, fragments, self._limits)
            # Without cycles the measure is that of the expanded document, which is walked below.
            cycles = validate(self._schema, node, [NoFragmentCyclesRule], max_errors=20) if fragments else []
            if cycles:
                raise InvalidDocument(cycles)
            for definition in node.definitions:
                if isinstance(definition, OperationDefinitionNode | FragmentDefinitionNode):
                    _bound_pairs(definition.selection_set, fragments)
        except RecursionError:
            raise exceeded("the document is nested too deeply") from None
        errors = validate(self._schema, node, specified_rules, max_errors=20)
        if errors:
            raise InvalidDocument(errors)
        operations: dict[str | None, Operation] = {}
        for definition in node.definitions:
            if isinstance(definition, OperationDefinitionNode):
                name = definition.name.value if definition.name else None
                operations[name] = Operation(definition, name, self._types(definition))
        return Document(hashlib.sha256(encoded).hexdigest(), len(encoded), node, operations, fragments)

    def _types(self, operation: OperationDefinitionNode) -> dict[str, GraphQLInputType]:
        types: dict[str, GraphQLInputType] = {}
        for definition in operation.variable_definitions or ():
            kind: Any = type_from_ast(self._schema, definition.type)
            types[definition.variable.name.value] = kind
        return types


def exceeded(message: str) -> TanglaiError:
    return TanglaiError(ErrorCode.LIMIT_EXCEEDED, message)


def coerce_variables(schema: GraphQLSchema, operation: Operation, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Variables as graphql-core coerces them; raises InvalidDocument with what is wrong.

    Values that every coercion leaves as they are need none: texts, identifiers, flags and integers of 32 bits, given
    for each variable.
    """
    definitions: tuple[VariableDefinitionNode, ...] = tuple(operation.node.variable_definitions or ())
    if not definitions:
        return {}
    plain: dict[str, Any] = {}
    for name, kind in operation.types.items():
        value = inputs.get(name)
        if not _is_plain(kind, value):
            break
        plain[name] = value
    else:
        return plain
    result = get_variable_values(schema, definitions, dict(inputs), max_errors=10)
    if isinstance(result, list):
        raise InvalidDocument(result)
    return dict(result.coerced)


def _is_plain(kind: GraphQLInputType, value: Any) -> bool:
    if type(kind) is GraphQLNonNull:
        kind = kind.of_type
    expected = type(value)
    if kind is GraphQLString or kind is GraphQLID:
        return expected is str
    if kind is GraphQLInt:
        return expected is int and -(2**31) <= value < 2**31
    return kind is GraphQLBoolean and expected is bool


MAX_REPEATS = 64
MAX_PAIRS = 8_000
"""Pairs of fields of one response path in an operation or a fragment: each costs validation some 20 µs."""
MAX_FRAGMENTS = 200
"""Validation compares the fragments of a document pairwise."""


def _measure(node: DocumentNode, fragments: Mapping[str, FragmentDefinitionNode], limits: Limits) -> None:
    """Bounds work before validation: fields as executed (fragments expanded), depth, repeats of one response key.

    Linear in the document: each fragment is measured once. Validation compares the fields of one response key pairwise,
    across fragments too, so the repeats of a key in one object are bounded.
    """
    measures: dict[str, _Measure] = {}
    open_fragments: set[str] = set()

    def selections(selection_set: SelectionSetNode | None) -> _Measure:
        measure = _Measure(0, 0, Counter())
        for selection in selection_set.selections if selection_set is not None else ():
            if isinstance(selection, FieldNode):
                below = selections(selection.selection_set)
                key = selection.alias.value if selection.alias else selection.name.value
                inner = _Measure(below.fields + 1, below.depth + 1, Counter((key,)))
            elif isinstance(selection, InlineFragmentNode):
                inner = selections(selection.selection_set)
            elif isinstance(selection, FragmentSpreadNode):
                inner = fragment(selection.name.value)
            else:
                continue
            measure.fields += inner.fields
            measure.depth = max(measure.depth, inner.depth)
            measure.keys.update(inner.keys)
            if measure.fields > limits.fields:
                raise exceeded(f"the operation has more than {limits.fields} fields")
            if measure.depth > limits.depth:
                raise exceeded(f"the operation is nested more than {limits.depth} deep")
            if any(measure.keys[key] > MAX_REPEATS for key in inner.keys):
                raise exceeded(f"a response key is selected more than {MAX_REPEATS} times in one object")
        return measure

    def fragment(name: str) -> _Measure:
        definition = fragments.get(name)
        if definition is None or name in open_fragments:
            return _Measure(0, 0, Counter())  # validation names the unknown fragment, or the cycle
        if name not in measures:
            open_fragments.add(name)
            measures[name] = selections(definition.selection_set)
            open_fragments.discard(name)
        return measures[name]

    total = 0
    for definition in node.definitions:
        if isinstance(definition, FragmentDefinitionNode):
            total += fragment(definition.name.value).fields
        elif isinstance(definition, OperationDefinitionNode):
            total += selections(definition.selection_set).fields
        if total > 2 * limits.fields:
            raise exceeded(f"the document has more than {2 * limits.fields} fields")


def _bound_pairs(selection_set: SelectionSetNode, fragments: Mapping[str, FragmentDefinitionNode]) -> None:
    """Bounds the pairs of fields that share a response path, which validation compares one by one.

    The repeats of a key multiply with depth (`a { b b } a { b b }` has four of `a.b`), so those of one object bound
    nothing. Runs on a measured document without cycles: at most `limits.fields` fields are walked.
    """
    pairs = 0
    layer: list[list[SelectionSetNode]] = [[selection_set]]
    while layer:
        below: list[list[SelectionSetNode]] = []
        for sets in layer:
            keys: Counter[str] = Counter()
            inner: dict[str, list[SelectionSetNode]] = {}
            for node in (node for one in sets for node in _fields(one, fragments)):
                key = node.alias.value if node.alias else node.name.value
                keys[key] += 1
                if node.selection_set is not None:
                    inner.setdefault(key, []).append(node.selection_set)
            pairs += sum(count * (count - 1) // 2 for count in keys.values())
            if pairs > MAX_PAIRS:
                raise exceeded("the document selects the same response keys too often")
            below += inner.values()
        layer = below


def _fields(selection_set: SelectionSetNode, fragments: Mapping[str, FragmentDefinitionNode]) -> Iterator[FieldNode]:
    """The fields of one object, fragments expanded; a fragment that is not there is left to validation."""
    for selection in selection_set.selections:
        if isinstance(selection, FieldNode):
            yield selection
        elif isinstance(selection, InlineFragmentNode):
            yield from _fields(selection.selection_set, fragments)
        elif isinstance(selection, FragmentSpreadNode):
            definition = fragments.get(selection.name.value)
            if definition is not None:
                yield from _fields(definition.selection_set, fragments)


@dataclass(slots=True)
class _Measure:
    fields: int
    depth: int
    keys: Counter[str]
