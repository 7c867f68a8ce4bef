"""In charge of putting rows together as text: the source has built the JSON, here it is only joined and spliced.

Response keys are names of GraphQL: letters, digits and `_`, so that they stand between quotes as they are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import Any

import orjson

from resolvers.plan import (
    AggregateObject,
    AggregateValue,
    ConnectionShape,
    EdgeShape,
    IdPiece,
    JsonPiece,
    NodesShape,
    Page,
    PageInfoShape,
    Piece,
    RelationPiece,
    RowShape,
)
from resolvers.seals import CURSOR, ROW, Seals, pack
from schema.fields import Part
from tanglai.catalogue.scalars import ScalarType, to_json

AVERAGE_SCALE = Decimal("0.000001")
"""Scale of averages, rounded half-even (authorization.md, Aggregates)."""

Beyond = Mapping[int, Mapping[Any, str]]
"""Texts beyond relations: by identity of the piece, then by link key; key None is what an unlinked row gets."""


def quoted(value: Any) -> str:
    return orjson.dumps(value).decode()


@dataclass(frozen=True, slots=True)
class PageBinding:
    """One page of one request: its size, whether cursors were given, and what seals its cursors."""

    size: int
    after: tuple[Any, ...] | None
    before: tuple[Any, ...] | None
    context: bytes


class Renderer:
    """Renders rows of one call. `offset` is the number of link values that precede the outputs in a row."""

    def __init__(self, seals: Seals, offset: int, beyond: Beyond) -> None:
        self._seals = seals
        self._offset = offset
        self._beyond = beyond

    def object(self, shape: RowShape, row: Sequence[Any]) -> str:
        """The JSON object of one row."""
        plain = shape.plain
        if plain is not None:
            text: str = row[self._offset + plain]
            return text
        return "{" + ",".join(filter(None, [self._piece(piece, row) for piece in shape.pieces])) + "}"

    def _piece(self, piece: Piece, row: Sequence[Any]) -> str:
        match piece:
            case JsonPiece(output):
                text: str = row[self._offset + output]
                return text[1:-1]
            case IdPiece(key, output, resource, kind):
                value = row[self._offset + output]
                return f'"{key}":"{self._seals.seal(ROW, b"", [resource, pack(kind, value)])}"'
            case RelationPiece(key, _, _):
                return f'"{key}":{self._beyond[id(piece)][link_key(piece, row, self._offset)]}'

    def objects(self, shape: RowShape, rows: Sequence[Sequence[Any]]) -> str:
        """A JSON array of the rows' objects."""
        plain, relation = shape.plain, shape.relation
        if plain is not None:
            at = self._offset + plain
            return "[" + ",".join([row[at] for row in rows]) + "]"
        if relation is not None and rows:
            own, (key, link), piece = relation
            at, link = self._offset + own, self._offset + link
            beyond = self._beyond[id(piece)]
            return "[" + ",".join([f'{row[at][:-1]},"{key}":{beyond[row[link]]}}}' for row in rows]) + "]"
        return "[" + ",".join([self.object(shape, row) for row in rows]) + "]"

    def connection(
        self,
        shape: ConnectionShape,
        page: Page,
        binding: PageBinding,
        rows: Sequence[Sequence[Any]],
        more: bool,
        total: int | None,
    ) -> str:
        """A connection's JSON; `rows` are in page order, `more` whether the page cut some off in its direction."""
        parts: list[str] = []
        for key, part in shape.fields:
            match part:
                case NodesShape(row):
                    value = self.objects(row, rows)
                case EdgeShape():
                    value = "[" + ",".join([self._edge(part, page, binding, row) for row in rows]) + "]"
                case PageInfoShape():
                    value = self._page_info(part, page, binding, rows, more)
                case Part():
                    value = "null" if total is None else str(total)
                case _:
                    value = part
            parts.append(f'"{key}":{value}')
        return "{" + ",".join(parts) + "}"

    def _edge(self, shape: EdgeShape, page: Page, binding: PageBinding, row: Sequence[Any]) -> str:
        parts: list[str] = []
        for key, part in shape.fields:
            if isinstance(part, RowShape):
                value = self.object(part, row)
            elif isinstance(part, Part):
                value = self._cursor(page, binding, row)
            else:
                value = part
            parts.append(f'"{key}":{value}')
        return "{" + ",".join(parts) + "}"

    def _page_info(
        self, shape: PageInfoShape, page: Page, binding: PageBinding, rows: Sequence[Sequence[Any]], more: bool
    ) -> str:
        parts: list[str] = []
        for key, part in shape.fields:
            match part:
                case Part.HAS_NEXT_PAGE:
                    value = _bool(binding.before is not None if page.backward else more)
                case Part.HAS_PREVIOUS_PAGE:
                    value = _bool(more if page.backward else binding.after is not None)
                case Part.START_CURSOR:
                    value = self._cursor(page, binding, rows[0]) if rows else "null"
                case Part.END_CURSOR:
                    value = self._cursor(page, binding, rows[-1]) if rows else "null"
                case _:
                    value = str(part)
            parts.append(f'"{key}":{value}')
        return "{" + ",".join(parts) + "}"

    def _cursor(self, page: Page, binding: PageBinding, row: Sequence[Any]) -> str:
        """The sealed sort values of a row: compare cells and the handle, nothing that the requester may not read."""
        if not page.columns:
            return "null"
        values = [pack(c.type, row[self._offset + c.output]) for c in page.columns if c.output is not None]
        return f'"{self._seals.seal(CURSOR, binding.context, values)}"'


def _bool(value: bool) -> str:
    return "true" if value else "false"


def link_key(piece: RelationPiece, row: Sequence[Any], offset: int) -> Any:
    """The key by which `row` is linked: a value, a tuple of several, or None where there is no link."""
    if len(piece.outputs) == 1:
        return row[offset + piece.outputs[0]]
    values = tuple(row[offset + output] for output in piece.outputs)
    return None if None in values else values


def aggregate(shape: AggregateObject, row: Sequence[Any]) -> str:
    """The JSON of one group."""
    parts: list[str] = []
    for key, part in shape.fields:
        if isinstance(part, AggregateObject):
            value = aggregate(part, row)
        elif isinstance(part, AggregateValue):
            value = quoted(to_json(part.type, _aggregated(part, row)))
        else:
            value = part
        parts.append(f'"{key}":{value}')
    return "{" + ",".join(parts) + "}"


def _aggregated(value: AggregateValue, row: Sequence[Any]) -> Any:
    if value.count is None:
        return row[value.output]
    total, count = row[value.output], row[value.count]
    if total is None or not count:
        return None
    if value.type is ScalarType.FLOAT:
        return float(total) / count
    with localcontext() as context:
        context.prec = 120
        return (Decimal(total) / Decimal(count)).quantize(AVERAGE_SCALE, rounding=ROUND_HALF_EVEN)
