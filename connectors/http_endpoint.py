"""In charge of what a binding declares about an HTTP endpoint, and of which tests of a query it can take.

`Endpoint.model_json_schema()` is the declaration's JSON Schema.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field

from connectors.options import Options, validated
from connectors.protocol import KEYS, Arguments, SourceQuery, is_keyset
from tanglai.catalogue.expressions import And, Case, Column, Compare, CompareOp, Expression, In, IsTrue, Or, Slot, Value
from tanglai.catalogue.scalars import ScalarType, to_json

Path: TypeAlias = str | tuple[str, ...]
"""A place in a JSON document: names joined by dots, or a list of names where they hold dots; numbers index arrays."""


class Filter(Options):
    """A query parameter that keeps the items whose column equals a value, or with `in` one of at most `most` values.

    Several values are joined by commas, or the parameter is repeated. The endpoint may return too much, never too
    little.
    """

    parameter: str
    op: Literal["eq", "in"] = "eq"
    style: Literal["comma", "repeat"] = "comma"
    most: int = Field(default=100, ge=1, le=10_000)


class NoPaging(Options):
    """The response holds all items."""

    kind: Literal["none"] = "none"


class PagePaging(Options):
    """Numbered pages. Reading ends at an empty page, or where `total` items are read (`total`: its path)."""

    kind: Literal["page"]
    page: str = "page"
    size_parameter: str | None = "size"
    size: int = Field(default=100, ge=1)
    first: int = 1
    total: Path | None = None


class OffsetPaging(Options):
    """Like numbered pages, by the number of items to skip."""

    kind: Literal["offset"]
    offset: str = "offset"
    size_parameter: str | None = "limit"
    size: int = Field(default=100, ge=1)
    total: Path | None = None


class CursorPaging(Options):
    """Each response names the next page at `next`; null, empty or missing ends."""

    kind: Literal["cursor"]
    cursor: str = "cursor"
    next: Path
    size_parameter: str | None = None
    size: int = Field(default=100, ge=1)


Paging: TypeAlias = Annotated[NoPaging | PagePaging | OffsetPaging | CursorPaging, Field(discriminator="kind")]


class Endpoint(Options):
    """A JSON endpoint read by GET.

    `path` is relative to the source's URL; where it is not given, the binding's table. `parameters` are sent with every
    request. `items` is where the array of items stands in the response, the response itself where not given. A column
    stands in an item at the path in `columns`, else under its own name.
    """

    path: str | None = None
    method: Literal["GET"] = "GET"
    parameters: dict[str, str] = Field(default_factory=dict)
    items: Path = ()
    columns: dict[str, Path] = Field(default_factory=dict)
    filters: dict[str, Filter] = Field(default_factory=dict)
    paging: Paging = NoPaging()
    not_found_is_empty: bool = False


def endpoint(query: SourceQuery) -> Endpoint:
    """The declaration that comes with `query`. Raises ValueError."""
    return validated(Endpoint, dict(query.options))


def at(document: Any, path: Path) -> Any:
    """What stands in `document` at `path`; None where nothing does."""
    for name in path.split(".") if isinstance(path, str) and path else path:
        if isinstance(document, dict):
            document = document.get(name)
        elif isinstance(document, list) and name.isascii() and name.isdecimal() and int(name) < len(document):
            document = document[int(name)]
        else:
            return None
    return document


def pushable(query: SourceQuery, declared: Endpoint) -> bool:
    """Whether a key batch or an equality of `query` reaches the endpoint, so that it need not give everything."""
    if any(link.name in declared.filters for link in query.links):
        return True
    return any(column.name in declared.filters for column in _implied(query))


@dataclass(frozen=True, slots=True)
class Request:
    """The query parameters of one request. A row counts only if each column in `among` has one of its values."""

    parameters: tuple[tuple[str, str], ...]
    among: Mapping[str, frozenset[Any]]


class UnsendableValue(Exception):
    """A value that the endpoint's own notation cannot carry."""


def requests(query: SourceQuery, declared: Endpoint, arguments: Arguments) -> list[Request]:
    """The requests that together give every row that can pass; none where none can pass.

    INVARIANT: the parameters come from the query and its arguments alone, never from what this source answered.
    INVARIANT: link keys may be hidden from the requester, so none of them makes the call fail: one that the endpoint's
    notation cannot carry is left out, as if nothing had it.
    """
    wanted = _wanted(query, declared, arguments)
    if any(not values for values in wanted.values()):
        return []
    constant = tuple(declared.parameters.items())
    sent: dict[str, list[Any]] = {}
    driver: tuple[str, list[Any]] | None = None
    for name, values in sorted(wanted.items(), key=lambda entry: len(entry[1])):
        filter_ = declared.filters[name]
        if len(values) <= (filter_.most if filter_.op == "in" else 1):
            sent[name] = values
        elif driver is None:
            driver = name, values
    if driver is None or (sent and declared.filters[driver[0]].op == "eq"):
        return [_request(query, declared, constant, sent)]
    name, values = driver
    step = declared.filters[name].most if declared.filters[name].op == "in" else 1
    return [
        _request(query, declared, constant, {**sent, name: values[start : start + step]})
        for start in range(0, len(values), step)
    ]


def _request(
    query: SourceQuery, declared: Endpoint, constant: tuple[tuple[str, str], ...], sent: Mapping[str, list[Any]]
) -> Request:
    parameters = list(constant)
    kinds = {column.name: column.type for column in (*query.links, *_implied(query))}
    for name, values in sent.items():
        filter_ = declared.filters[name]
        texts = [parameter_text(kinds[name], value) for value in values]
        if filter_.op == "in" and filter_.style == "comma":
            if any("," in text for text in texts):
                raise UnsendableValue
            parameters.append((filter_.parameter, ",".join(texts)))
        else:
            parameters += [(filter_.parameter, text) for text in texts]
    return Request(parameters=tuple(parameters), among={name: frozenset(values) for name, values in sent.items()})


def parameter_text(kind: ScalarType, value: Any) -> str:
    """A value in a query string: its canonical JSON form, texts and dates without quotes."""
    form = to_json(kind, value)
    if isinstance(form, bool):
        return "true" if form else "false"
    return form if isinstance(form, str) else repr(form)


def _wanted(query: SourceQuery, declared: Endpoint, arguments: Arguments) -> dict[str, list[Any]]:
    # Per column with a filter: the values one of which every row that can pass has there.
    wanted: dict[str, list[Any]] = {}
    for column, nodes in _implied(query).items():
        if column.name in declared.filters:
            wanted[column.name] = _values(nodes, arguments, declared.filters[column.name])
    for index, link in enumerate(query.links):
        if link.name in declared.filters:
            keys = (key[index] if len(query.links) > 1 else key for key in arguments[KEYS])
            values = [key for key in dict.fromkeys(keys) if _sendable(key, declared.filters[link.name])]
            known = wanted.get(link.name)
            wanted[link.name] = values if known is None else [value for value in values if value in known]
    return wanted


def _sendable(key: Any, filter_: Filter) -> bool:
    """Whether a list of keys can carry `key`."""
    return not (isinstance(key, str) and "," in key and filter_.op == "in" and filter_.style == "comma")


def _values(nodes: Sequence[Value | Slot], arguments: Arguments, filter_: Filter) -> list[Any]:
    values: list[Any] = []
    for node in nodes:
        if isinstance(node, Value):
            values.append(node.value)
        elif node.many and is_keyset(node.path):
            values.extend(key for key in arguments[node.path] if _sendable(key, filter_))
        elif node.many:
            values.extend(arguments[node.path])
        else:
            values.append(arguments[node.path])
    return [value for value in dict.fromkeys(values) if value is not None]


def _implied(query: SourceQuery) -> dict[Column, Sequence[Value | Slot]]:
    return implied(And((query.visible, query.where)))


def implied(test: Expression) -> dict[Column, Sequence[Value | Slot]]:
    """Columns of which `test`, where it is TRUE, says that they have one of some values.

    `CASE WHEN p THEN a END = x` is TRUE only where a = x: sound since only TRUE counts here (authorization.md,
    Simplification).
    """
    match test:
        case Compare(op=CompareOp.EQ, left=left, right=Value() | Slot() as node):
            column = _column(left)
            return {} if column is None else {column: (node,)}
        case Compare(op=CompareOp.EQ, left=Value() | Slot() as node, right=right):
            column = _column(right)
            return {} if column is None else {column: (node,)}
        case In(operand=operand, values=values):
            column = _column(operand)
            return {} if column is None else {column: values}
        case IsTrue(part=part):
            return implied(part)
        case And(parts=parts):
            found: dict[Column, Sequence[Value | Slot]] = {}
            for part in parts:
                for column, nodes in implied(part).items():
                    found.setdefault(column, nodes)
            return found
        case Or(parts=parts) if parts:
            first, *others = [implied(part) for part in parts]
            shared = [column for column in first if all(column in other for other in others)]
            return {column: [node for side in (first, *others) for node in side[column]] for column in shared}
    return {}


def _column(cell: Expression) -> Column | None:
    if isinstance(cell, Column):
        return cell
    if isinstance(cell, Case) and cell.branches:
        columns = {value for _, value in cell.branches}
        only = columns.pop() if len(columns) == 1 else None
        return only if isinstance(only, Column) else None
    return None
