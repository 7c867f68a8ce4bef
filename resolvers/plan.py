"""In charge of plans: frozen data that says which source calls answer an operation, and how rows are put together.

A plan holds no values of a request: those come as arguments by slot path. `text.explain` prints it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeAlias

import orjson

from authz.cubes import CubeRule
from authz.denial import Denial
from connectors.protocol import SourceQuery
from resolvers.values import AnySlot, IdSlot
from schema.fields import Part
from tanglai.catalogue.errors import BadInput
from tanglai.catalogue.expressions import (
    Compare,
    CompareOp,
    Expression,
    IsNull,
    Not,
    Slot,
    Value,
    conjunction,
    disjunction,
)
from tanglai.catalogue.model import Quota, Resource
from tanglai.catalogue.scalars import ScalarType

FieldPath: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class At:
    """Where a field stands: the whole field path, and how much of it a response path can name (`cut`).

    A response path ends before the first list index; `cut` is None as long as there was no list.
    """

    whole: FieldPath
    cut: FieldPath | None = None

    def child(self, key: str) -> "At":
        return At((*self.whole, key), self.cut)

    def rows(self) -> "At":
        """The place of the elements of the list that stands here."""
        return self if self.cut is not None else At(self.whole, self.whole)

    @property
    def path(self) -> FieldPath:
        return self.whole if self.cut is None else self.cut

    def __str__(self) -> str:
        return ".".join(self.whole)


# --- one row -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class JsonPiece:
    """Fields that the source has built already: the JSON object in output `output`."""

    output: int


@dataclass(frozen=True, slots=True)
class IdPiece:
    """`key: <sealed row handle>`; the handle is output `output`."""

    key: str
    output: int
    resource: str
    type: ScalarType


@dataclass(frozen=True, slots=True)
class RelationPiece:
    """`key: <what lies beyond the relation>`; the link key is in `outputs`, null where there is no link."""

    key: str
    outputs: tuple[int, ...]
    call: "RowsCall"


Piece: TypeAlias = JsonPiece | IdPiece | RelationPiece


@dataclass(frozen=True, slots=True)
class RowShape:
    """How one object is put together from a row's outputs, in response order."""

    pieces: tuple[Piece, ...]

    @property
    def plain(self) -> int | None:
        """The output that is the whole object's JSON, if Python has nothing to add to it."""
        if len(self.pieces) == 1 and isinstance(self.pieces[0], JsonPiece):
            return self.pieces[0].output
        return None

    @property
    def relation(self) -> "tuple[int, tuple[str, int], RelationPiece] | None":
        """The output of the object's JSON, the key of one relation that comes behind, its link's output, the relation.

        None for all other shapes.
        """
        match self.pieces:
            case (JsonPiece(output), RelationPiece(key, (link,), _) as piece):
                return output, (key, link), piece
        return None


# --- a connection --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EdgeShape:
    """Fields of an edge: node rows, cursors, or constant JSON (`__typename`)."""

    fields: tuple[tuple[str, RowShape | Part | str], ...]


@dataclass(frozen=True, slots=True)
class PageInfoShape:
    fields: tuple[tuple[str, Part | str], ...]


@dataclass(frozen=True, slots=True)
class NodesShape:
    row: RowShape


ConnectionField: TypeAlias = NodesShape | EdgeShape | PageInfoShape | Part | str


@dataclass(frozen=True, slots=True)
class ConnectionShape:
    """Fields of a connection. A `Part` is TOTAL_COUNT; a str is constant JSON."""

    fields: tuple[tuple[str, ConnectionField], ...]


@dataclass(frozen=True, slots=True)
class KeysetColumn:
    """One sort key of a page: the expression, the output that carries its value, and its direction."""

    expression: Expression
    output: int | None
    type: ScalarType
    descending: bool
    nullable: bool


@dataclass(frozen=True, slots=True)
class Page:
    """A page by keyset. `size` is rows per page (a number or a slot); cursors are slots, texts or None.

    Cursors belong to `context` and to `filter`, a slotted value. `columns` empty: the resource has nothing to page by,
    so there is a first page only and no cursor.
    """

    size: int | Slot
    backward: bool
    after: "Slot | str | None"
    before: "Slot | str | None"
    columns: tuple[KeysetColumn, ...]
    context: str
    filter: Any


AFTER = ":after"
BEFORE = ":before"
LIMIT = "limit"


def limit_path(size: int | Slot) -> str:
    """Argument that carries `size` plus the one row that tells whether there are more."""
    return f"{LIMIT}:${size.path}" if isinstance(size, Slot) else f"{LIMIT}:{size}"


def keyset(page: Page, values: tuple[Any, ...], name: str) -> Expression:
    """Rows strictly beyond the cursor `values` (AFTER: behind it in page order; BEFORE: ahead of it).

    Depends on which values are null, not on the values; those are slots `<name>.<n>`. Nulls are last ascending, first
    descending.
    """
    alternatives: list[Expression] = []
    equal: list[Expression] = []
    for index, (column, value) in enumerate(zip(page.columns, values, strict=True)):
        slot = Slot(f"{name}.{index}", column.type)
        ascending = column.descending == (name == BEFORE)  # whether "beyond" means greater, nulls greatest
        beyond: Expression | None
        if ascending:
            beyond = None if value is None else Compare(CompareOp.GT, column.expression, slot)
            if beyond is not None and column.nullable:
                beyond = disjunction(beyond, IsNull(column.expression))
        else:
            beyond = Compare(CompareOp.LT, column.expression, slot)
            if value is None:
                beyond = Not(IsNull(column.expression))
        if beyond is not None:
            alternatives.append(conjunction(*equal, beyond))
        equal.append(IsNull(column.expression) if value is None else Compare(CompareOp.EQ, column.expression, slot))
    return disjunction(*alternatives)


# --- calls ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class KeySet:
    """Link keys read before a call whose filter quantifies over rows of another source; they fill slot `path`."""

    path: str
    query: SourceQuery


@dataclass(frozen=True, slots=True)
class Subject:
    """The outputs that tell whom a row is about, none of them null; without any, nobody can tell.

    They are the row handle, or the items of the key `key`.
    """

    outputs: tuple[int, ...]
    key: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class RowsCall:
    """Rows of one resource by one source query: a connection, a look-up, or what lies beyond a relation.

    `shape`: a connection, or the one row's object. With `query.links` it is called with a batch of link keys and
    answers per key. `total` is the second statement, for `totalCount`. `signature` names the call's structure: calls of
    equal signature in one request run once. `grants` with a quota count its rows; `subject` tells whom they are about.
    """

    resource: Resource
    query: SourceQuery
    shape: ConnectionShape | RowShape
    page: Page | None
    total: SourceQuery | None
    signature: str
    keysets: tuple[KeySet, ...] = ()
    at: At = field(default=At(()), repr=False)
    grants: tuple[str, ...] = ()
    subject: Subject | None = None
    _variants: dict[Any, SourceQuery] = field(default_factory=dict, repr=False)

    def variant(
        self, after: tuple[Any, ...] | None, before: tuple[Any, ...] | None, *, joined: bool = False
    ) -> SourceQuery:
        """The query of one page: kept per pattern of nulls in the cursors. `joined`: its rows as one text."""
        query = self.joined if joined else self.query
        assert query is not None
        if after is None and before is None:
            return query
        pattern = (joined, *(None if c is None else tuple(v is None for v in c) for c in (after, before)))
        found = self._variants.get(pattern)
        if found is None:
            assert self.page is not None
            parts = [query.where]
            if after is not None:
                parts.append(keyset(self.page, after, AFTER))
            if before is not None:
                parts.append(keyset(self.page, before, BEFORE))
            found = replace(query, where=conjunction(*parts))
            self._variants[pattern] = found
        return found

    @cached_property
    def joined(self) -> SourceQuery | None:
        """The query whose rows come as one text, where they are asked as nodes alone and the source builds all of each.

        None where Python looks at single rows: for edges, cursors, page flags, ids, relations, subjects of quotas.
        """
        shape, query = self.shape, self.query
        if isinstance(shape, RowShape) or self.page is None or self.page.backward:
            return None
        nodes = [part for _, part in shape.fields if isinstance(part, NodesShape)]
        others = [part for _, part in shape.fields if isinstance(part, EdgeShape | PageInfoShape)]
        if not nodes or others or any(part.row.plain is None for part in nodes):
            return None
        if self.subject is not None or len(query.outputs) != 1:
            return None
        if query.links and (self.total is not None or not query.per_key or len(nodes) != 1):
            return None
        return replace(query, joined=True)

    @cached_property
    def framed(self) -> tuple[bytes | Part, ...]:
        """The JSON of a `joined` connection: constants, NODES where the rows' text stands, TOTAL_COUNT the total."""
        assert isinstance(self.shape, ConnectionShape)
        pieces: list[bytes | Part] = []
        text = "{"
        for index, (key, part) in enumerate(self.shape.fields):
            text += f'{"," if index else ""}"{key}":'
            if isinstance(part, NodesShape):
                pieces += ((text + "[").encode(), Part.NODES)
                text = "]"
            elif isinstance(part, Part):
                pieces += (text.encode(), part)
                text = ""
            else:
                text += str(part)
        return (*pieces, (text + "}").encode())

    @cached_property
    def sealed(self) -> bool:
        """Whether cursors are answered."""
        if isinstance(self.shape, RowShape):
            return False
        return any(
            isinstance(inner, Part)
            for _, part in self.shape.fields
            if isinstance(part, EdgeShape | PageInfoShape)
            for _, inner in part.fields
        )

    @cached_property
    def delivers(self) -> bool:
        """Whether rows are answered at all: a total and page flags alone are none."""
        shape = self.shape
        return isinstance(shape, RowShape) or any(isinstance(part, NodesShape | EdgeShape) for _, part in shape.fields)

    @cached_property
    def relations(self) -> "tuple[RelationPiece, ...]":
        """Where its rows go on to another call."""
        pieces = [piece for row in shapes(self.shape) for piece in row.pieces]
        return tuple(piece for piece in pieces if isinstance(piece, RelationPiece))

    @cached_property
    def children(self) -> "tuple[RowsCall, ...]":
        return tuple(piece.call for piece in self.relations)


def shapes(shape: ConnectionShape | RowShape) -> Iterator[RowShape]:
    """Every row object of a call's shape."""
    if isinstance(shape, RowShape):
        yield shape
        return
    for _, part in shape.fields:
        if isinstance(part, NodesShape):
            yield part.row
        elif isinstance(part, EdgeShape):
            yield from (row for _, row in part.fields if isinstance(row, RowShape))


@dataclass(frozen=True, slots=True)
class AggregateValue:
    """A leaf of an aggregate row: output `output` as `type`; with `count`, their quotient (average)."""

    output: int
    type: ScalarType
    count: int | None = None


@dataclass(frozen=True, slots=True)
class AggregateObject:
    fields: "tuple[tuple[str, AggregateValue | AggregateObject | str], ...]"


@dataclass(frozen=True, eq=False)
class AggregateCall:
    """Aggregates of one resource: few rows, put together in Python.

    `grants` with a quota count its rows, of which there are at most `bound`.
    """

    resource: Resource
    query: SourceQuery
    shape: AggregateObject
    signature: str
    keysets: tuple[KeySet, ...] = ()
    at: At = field(default=At(()), repr=False)
    grants: tuple[str, ...] = ()
    bound: int = 1


@dataclass(frozen=True, eq=False)
class CubeCall:
    """Figures from one published cube: groups by the dimensions at `by` of the cells that pass `where`.

    `query` is the call that makes the cube where the period has none yet; it depends on the grant alone. `grants` and
    `bound` as of an AggregateCall.
    """

    resource: Resource
    rule: CubeRule
    query: SourceQuery
    by: tuple[int, ...]
    where: tuple[tuple[int, tuple[Value | Slot, ...]], ...]
    shape: AggregateObject
    signature: str
    at: At = field(default=At(()), repr=False)
    grants: tuple[str, ...] = ()
    bound: int = 1


@dataclass(frozen=True, slots=True)
class NodeCall:
    """`node(id)` of a data row; `id` is opened when executing and fills the call's one link key."""

    id: "IdSlot | str"
    call: RowsCall


@dataclass(frozen=True, slots=True)
class LookupCall:
    """A look-up by key; `keys` are the key's values, one call with one key."""

    keys: tuple[Any, ...]
    call: RowsCall


@dataclass(frozen=True, slots=True)
class EntitiesCall:
    """`_entities`: per (type name, key names) one batched call; `source` is where the representations come from."""

    source: "AnySlot | tuple[Any, ...]"
    calls: Mapping[tuple[str, tuple[str, ...]], "EntityCall"]
    at: At


@dataclass(frozen=True, slots=True)
class EntityCall:
    """`names` and `types` are the representation's key fields in link order; `call` None: nothing is visible."""

    names: tuple[str, ...]
    types: tuple[ScalarType, ...]
    call: RowsCall | None


@dataclass(frozen=True, slots=True)
class ObjectShape:
    """An object that holds no row itself: `data` and its groups."""

    fields: "tuple[tuple[str, Answer], ...]"


Top: TypeAlias = RowsCall | AggregateCall | CubeCall
Paged: TypeAlias = tuple[tuple[RowsCall, Page], ...]
Called: TypeAlias = RowsCall | LookupCall | AggregateCall | CubeCall | NodeCall | EntitiesCall
"""What takes a source call, or several."""

Answer: TypeAlias = ObjectShape | Called | str
"""What a field's value is made of; a str is constant JSON."""


# --- the plan ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PlannedError:
    """A denial that every execution of the plan tells."""

    denial: Denial
    at: At


@dataclass(frozen=True)
class Plan:
    """How the planned root fields of one operation are answered, for everybody of equal fingerprints.

    `roots` are in response order; `uses` are the items and relations of each resource that the operation touches, for
    the audit record; `grants`, `masked` and `partial` go into the response's extensions. `needles` are the slots of
    texts that are searched for, with the place of the list: none may be empty. `quotas` are those of the grants that
    its calls use.
    """

    roots: tuple[tuple[str, Answer], ...]
    errors: tuple[PlannedError, ...]
    uses: Mapping[str, frozenset[str]]
    grants: tuple[str, ...]
    masked: tuple[str, ...]
    partial: tuple[str, ...]
    resources: tuple[str, ...]
    needles: tuple[tuple[str, At], ...] = ()
    quotas: Mapping[str, Quota] = field(default_factory=dict)

    @cached_property
    def pieces(self) -> tuple[tuple[str, tuple[bytes | Called, ...]], ...]:
        """Of each root its response key, and its value as constant JSON with calls in between."""
        return tuple((key, tuple(_pieces(answer))) for key, answer in self.roots)

    @cached_property
    def called(self) -> tuple[Called, ...]:
        """Every call that hangs below no other, in response order."""
        return tuple(piece for _, pieces in self.pieces for piece in pieces if not isinstance(piece, bytes))

    @cached_property
    def tops(self) -> tuple[tuple[Called, tuple[tuple[Top, Paged], ...]], ...]:
        """Of each of `called` the calls that it may make first, each with every call from there on that has a page."""
        return tuple((answer, tuple((top, tuple(_paged(top))) for top in _top(answer))) for answer in self.called)

    @cached_property
    def used(self) -> Mapping[str, tuple[str, ...]]:
        """`uses` with the names in order."""
        return {code: tuple(sorted(names)) for code, names in self.uses.items()}

    @cached_property
    def told(self) -> bytes:
        """What every response tells of it: the last members of `extensions`, as JSON."""
        told: bytes = orjson.dumps({"grants": self.grants, "masked": self.masked, "partial": self.partial})
        return told[1:]


def _top(answer: Called) -> Sequence[Top]:
    """The calls of an answer that hang below no other call."""
    match answer:
        case RowsCall() | AggregateCall() | CubeCall():
            return (answer,)
        case LookupCall(call=call) | NodeCall(call=call):
            return (call,)
        case EntitiesCall(calls=entities):
            return [entity.call for entity in entities.values() if entity.call is not None]


def _paged(top: Top) -> Iterator[tuple[RowsCall, Page]]:
    for call in calls(top):
        if isinstance(call, RowsCall) and call.page is not None:
            yield call, call.page


def check_needle(needle: str, at: At) -> None:
    """Raises BAD_INPUT for an empty text, which every text holds."""
    if needle == "":
        raise BadInput("`search` may not be empty", fieldPath=str(at))


def filled(value: Any, arguments: Mapping[str, Any]) -> Any:
    """A slotted value with the request's values in it: the same for literals and variables, in any order of keys."""
    if isinstance(value, Slot):
        return arguments[value.path]
    if isinstance(value, list):
        return [filled(part, arguments) for part in value]
    if isinstance(value, dict):
        return sorted((name, filled(part, arguments)) for name, part in value.items())
    return value


def calls(answer: Answer) -> Iterator[RowsCall | AggregateCall]:
    """Every call below `answer`, parents first."""
    match answer:
        case ObjectShape(fields):
            for _, part in fields:
                yield from calls(part)
        case RowsCall():
            yield answer
            for child in answer.children:
                yield from calls(child)
        case LookupCall(call=call) | NodeCall(call=call):
            yield from calls(call)
        case AggregateCall():
            yield answer
        case EntitiesCall(calls=entities):
            for entity in entities.values():
                if entity.call is not None:
                    yield from calls(entity.call)


def _pieces(answer: Answer) -> list[bytes | Called]:
    if isinstance(answer, str):
        return [answer.encode()]
    if not isinstance(answer, ObjectShape):
        return [answer]
    pieces: list[bytes | Called] = [b"{"]
    for index, (key, part) in enumerate(answer.fields):
        for piece in (f'{"," if index else ""}"{key}":'.encode(), *_pieces(part)):
            last = pieces[-1]
            if isinstance(piece, bytes) and isinstance(last, bytes):
                pieces[-1] = last + piece
            else:
                pieces.append(piece)
    last = pieces[-1]
    return [*pieces[:-1], last + b"}"] if isinstance(last, bytes) else [*pieces, b"}"]
