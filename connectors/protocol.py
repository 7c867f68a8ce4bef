"""In charge of what planner and connectors agree on: source queries as frozen data, capabilities, and failures."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias

from tanglai.catalogue.errors import ErrorCode, TanglaiError
from tanglai.catalogue.expressions import FALSE, TRUE, Column, Expression, Slot
from tanglai.catalogue.scalars import ScalarType

KEYS = ":keys"
"""Argument under which a key batch comes: a list of values (one link column) or of tuples (several), none null.

INVARIANT: arguments that the gateway makes have names with a colon, which no variable of a request can have.
"""


def keyset_path(number: int) -> str:
    """The argument of a list of link keys that was read from another source, for the filter of the same call."""
    return f"{KEYS}.{number}"


def is_keyset(path: str) -> bool:
    """Whether the argument `path` was read from rows rather than given by the requester."""
    return path.startswith(f"{KEYS}.")


@dataclass(frozen=True, slots=True)
class JsonText:
    """A constant piece of JSON, for example `null` or `"Resident"`."""

    text: str


@dataclass(frozen=True, slots=True)
class JsonObject:
    """A JSON object, its fields in order. A scalar expression takes its canonical JSON form (`scalars.to_json`)."""

    fields: "tuple[tuple[str, JsonNode], ...]"


@dataclass(frozen=True, slots=True)
class JsonRows:
    """Rows of another table of the same source, linked to the enclosing row.

    `many`: an array of `element` in `order`, at most `limit` rows; else the first row's `element`, or null.
    No row where `guard`, over the enclosing row, is not TRUE.
    `links` are pairs (column of the enclosing row, column of the inner table), equal and not null.
    `visible` and `where` as in `SourceQuery`, over the inner table's columns.
    """

    namespace: str | None
    table: str
    links: tuple[tuple[Column, Column], ...]
    visible: Expression
    where: Expression
    order: "tuple[Order, ...]"
    limit: int | Slot
    many: bool
    element: "JsonNode"
    guard: Expression = TRUE


JsonNode: TypeAlias = JsonText | JsonObject | JsonRows | Expression


@dataclass(frozen=True, slots=True)
class Order:
    """One sort key. Nulls come last ascending and first descending, on every source; text by code point."""

    expression: Expression
    descending: bool = False


@dataclass(frozen=True, slots=True)
class JsonOutput:
    """A column of the answer: the object's JSON text from brace to brace, as `str`."""

    object: JsonObject


@dataclass(frozen=True, slots=True)
class RawOutput:
    """A column of the answer: the expression's Python value (scalars.py). For link keys, cursors and aggregates."""

    expression: Expression


Output: TypeAlias = JsonOutput | RawOutput


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class SourceQuery:
    """What one call to one source reads, as frozen data; compared and hashed by identity, so compiled forms are kept.

    A row is read iff `visible` and `where` are TRUE and, where `links` is not empty, the values of its link columns are
    in the batch given as argument `keys`. `visible` is over raw columns; every other expression holds raw columns
    inside the guards of the visible relation only.

    `limit`: at most so many rows, with `per_key` per distinct link key; a negative number never occurs. None: all
    (aggregates, key batches of to-one relations). With `group_by` (maybe empty: one group over all rows) outputs are
    group expressions and aggregates; a group over no row exists only where `group_by` is empty.

    `joined`: the rows come as one: the texts of the only output, a JsonOutput, in order with commas between, in UTF-8
    (None of no row), and how many there are. With `links` one for each key that has rows: its values, the text as
    `str`, the number. Never with `group_by`.
    """

    source: str
    namespace: str | None
    table: str
    outputs: tuple[Output, ...]
    visible: Expression = TRUE
    where: Expression = TRUE
    order: tuple[Order, ...] = ()
    limit: int | Slot | None = None
    links: tuple[Column, ...] = ()
    per_key: bool = False
    group_by: tuple[Expression, ...] | None = None
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    max_rows: int | None = None
    joined: bool = False

    @property
    def empty(self) -> bool:
        """Whether no row can ever pass, so that no call is made."""
        return FALSE in (self.visible, self.where)


Row: TypeAlias = tuple[Any, ...]
Arguments: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a kind of source can do itself.

    `predicates`: takes `visible` and `where`, so that hidden rows never reach the gateway; otherwise they are applied
    inside the connector on a bounded number of rows. `nested`: JsonRows and Exists.
    """

    predicates: bool
    nested: bool


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much a source is asked at once: `calls` at most; `waiting` operations wait for their turn, at most.

    `waiting` None: as many as the worker has room for.
    """

    calls: int
    waiting: int | None = None


@dataclass(frozen=True, slots=True)
class ColumnStructure:
    """A column as the source describes it. `type` is None where no scalar type fits."""

    name: str
    native: str
    type: ScalarType | None
    nullable: bool
    unique: bool
    collated: bool = True


@dataclass(frozen=True, slots=True)
class TableStructure:
    namespace: str | None
    name: str
    columns: tuple[ColumnStructure, ...]


class SourceUnavailable(TanglaiError):
    """The source cannot be reached or answered against its declaration. Driver text stays in the log.

    `reached`: it did answer, though not as it should; calls for other data may well be answered. `retry_after`: seconds
    after which to try again.
    """

    def __init__(self, source: str, *, reached: bool = False, retry_after: int | None = None) -> None:
        hint = {} if retry_after is None else {"retryAfter": retry_after}
        super().__init__(ErrorCode.SOURCE_UNAVAILABLE, f"source `{source}` is unavailable", source=source, **hint)
        self.reached = reached


class SourceBusy(TanglaiError):
    """More wait for the source than may, so the call was not made."""

    def __init__(self, source: str) -> None:
        message = f"source `{source}` has more to do than it can"
        super().__init__(ErrorCode.SOURCE_UNAVAILABLE, message, source=source, retryAfter=1)


class SourceTimeout(TanglaiError):
    """The source did not answer within the call's time."""

    def __init__(self, source: str) -> None:
        super().__init__(ErrorCode.SOURCE_TIMEOUT, f"source `{source}` did not answer in time", source=source)


class CapabilityMissing(TanglaiError):
    """The source cannot do what the query needs, decided from catalogue data alone."""

    def __init__(self, source: str, what: str) -> None:
        super().__init__(ErrorCode.CAPABILITY_MISSING, f"source `{source}` cannot {what}", source=source)


class Connector(Protocol):
    """One open source. Safe for concurrent use within one event loop.

    A cancelled call cancels the work in the source. Raises SourceUnavailable, SourceTimeout and CapabilityMissing only.
    Whoever calls keeps to `bounds` (connectors/pool.py does).
    """

    @property
    def capabilities(self) -> Capabilities: ...

    @property
    def bounds(self) -> Bounds: ...

    async def fetch(self, query: SourceQuery, arguments: Arguments, *, timeout: float) -> list[Row]:
        """Rows of `query` within `timeout` seconds, in its order; a tuple of outputs each.

        With `links` each row starts with the values of its link columns, one each, before the outputs, and rows of one
        key stand together in `order`.
        """
        ...

    async def introspect(self) -> list[TableStructure]:
        """The structure of the tables, views, files or endpoints that the source shows."""
        ...

    async def close(self) -> None:
        """Gives back every connection, task and handle."""
        ...


class ConnectorKind(Protocol):
    """One kind of source, by the name that stands in `Source.kind`."""

    @property
    def capabilities(self) -> Capabilities: ...

    def refusal(self, query: SourceQuery) -> str | None:
        """Why no source of this kind could run `query` (`read all rows of ...`), or None. Pure: asked when planning."""
        ...

    def open(self, key: str, options: Mapping[str, Any], environment: Mapping[str, str]) -> Connector:
        """A connector for source `key`; opens no connection yet. Raises ValueError for options that cannot be."""
        ...
