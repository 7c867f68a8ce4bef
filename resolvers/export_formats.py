"""In charge of how rows leave: the formats of an export, each an encoder that holds a part of the rows at most."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

import orjson

from resolvers.export_columns import ExportColumn, values
from tanglai.catalogue.scalars import ScalarType

FORMULA = "=+-@\t\r\n＝＋－＠"
"""What programs for spreadsheets take for a formula where a text begins with it; the wide forms too."""


class Encoder(Protocol):
    """Turns rows, each the JSON text of an object, into bytes. `begin`, then `rows` in order, then `end`.

    `slow`: a call may take long enough to be made in a thread.
    """

    slow: bool

    def begin(self) -> bytes: ...

    def rows(self, texts: Sequence[str]) -> bytes: ...

    def end(self) -> bytes: ...


class LinesEncoder:
    """NDJSON: the objects as they are in a GraphQL answer, a line each, in UTF-8."""

    slow = False

    def begin(self) -> bytes:
        return b""

    def rows(self, texts: Sequence[str]) -> bytes:
        lines = "\n".join(texts)
        if lines.count("\n") >= len(texts) or "\r" in lines:
            # A line end within JSON stands between its tokens, where a space does as well.
            lines = "\n".join([text.replace("\r", " ").replace("\n", " ") for text in texts])
        return lines.encode() + b"\n" if texts else b""

    def end(self) -> bytes:
        return b""


class CsvEncoder:
    """CSV (RFC 4180) in UTF-8 with a header. Texts stand in quotes, so an empty one is `""` and null is nothing.

    `spreadsheet`: a text that a program for spreadsheets would take for a formula gets an apostrophe in front, and the
    file begins with the mark by which such programs know UTF-8. Otherwise texts are what they are.
    """

    slow = False

    def __init__(self, columns: Sequence[ExportColumn], *, spreadsheet: bool = False) -> None:
        self._columns = [(column, _CELLS.get(column.type, _plain)) for column in columns]
        if spreadsheet:
            self._columns = [(column, _harmless if cells is _texts else cells) for column, cells in self._columns]
        self._mark = "\ufeff" if spreadsheet else ""

    def begin(self) -> bytes:
        return (self._mark + ",".join(column.name for column, _ in self._columns) + "\r\n").encode()

    def rows(self, texts: Sequence[str]) -> bytes:
        rows = parsed(texts)
        cells = [write(values(rows, column)) for column, write in self._columns]
        return "".join([",".join(row) + "\r\n" for row in zip(*cells, strict=True)]).encode()

    def end(self) -> bytes:
        return b""


def parsed(texts: Sequence[str]) -> list[Any]:
    """The objects of rows."""
    rows: list[Any] = orjson.loads("[" + ",".join(texts) + "]")
    return rows


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _texts(found: list[Any]) -> list[str]:
    return ["" if value is None else _quoted(value) for value in found]


def _harmless(found: list[Any]) -> list[str]:
    return _texts([f"'{value}" if value and value[0] in FORMULA else value for value in found])


def _plain(found: list[Any]) -> list[str]:
    return ["" if value is None else str(value) for value in found]


def _booleans(found: list[Any]) -> list[str]:
    return ["" if value is None else "true" if value else "false" for value in found]


def json_texts(found: list[Any]) -> list[str | None]:
    """The JSON of structured values; null where there is none."""
    return [None if value is None else orjson.dumps(value).decode() for value in found]


_CELLS: Mapping[ScalarType | None, Callable[[list[Any]], list[str]]] = {
    ScalarType.TEXT: _texts,
    ScalarType.BOOLEAN: _booleans,
    ScalarType.GEOMETRY: lambda found: _texts(json_texts(found)),
    None: lambda found: _texts(json_texts(found)),
}


@dataclass(frozen=True, slots=True)
class FormatName:
    """`word` is its name in `?format=` and the suffix of its files."""

    word: str
    media: str


class Format(Enum):
    """The formats that there are."""

    NDJSON = FormatName("ndjson", "application/x-ndjson")
    CSV = FormatName("csv", "text/csv")
    PARQUET = FormatName("parquet", "application/vnd.apache.parquet")
    ARROW = FormatName("arrow", "application/vnd.apache.arrow.stream")

    @property
    def content_type(self) -> str:
        if self is Format.CSV:
            return "text/csv; charset=utf-8; header=present"
        return str(self.value.media)

    def encoder(
        self, columns: Sequence[ExportColumn], told: Mapping[str, Any], *, spreadsheet: bool = False
    ) -> Encoder:
        """An encoder for one export; `told` is what the file says of itself, where its format has a place for that."""
        if self is Format.NDJSON:
            return LinesEncoder()
        if self is Format.CSV:
            return CsvEncoder(columns, spreadsheet=spreadsheet)
        from resolvers import export_arrow  # what it loads weighs 40 MB, and most nodes never need it

        return export_arrow.encoder(columns, told, parquet=self is Format.PARQUET)
