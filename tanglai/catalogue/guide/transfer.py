"""In charge of handing sheets from the process that reads them to the one that uses them, in small pieces."""

import pickle
from collections.abc import Iterable
from dataclasses import replace
from io import BytesIO
from itertools import islice
from typing import BinaryIO

from tanglai.catalogue.guide.workbook import Sheet, WorkbookError

PIECE = 1_000
"""Rows read at a stroke: nothing else in the process runs meanwhile."""


def send(sheets: Iterable[Sheet], stream: BinaryIO) -> None:
    """Writes `sheets` to `stream`: each without its rows, then its rows in pieces."""
    for sheet in sheets:
        _write(replace(sheet, rows={}), stream)
        rows = iter(sheet.rows.items())
        while piece := dict(islice(rows, PIECE)):
            _write(piece, stream)


def send_error(error: WorkbookError, stream: BinaryIO) -> None:
    _write((error.message, error.message_zh), stream)


def receive(content: bytes) -> list[Sheet]:
    """The sheets that were sent. Raises the WorkbookError that was. Takes only what this program has written itself."""
    stream = BytesIO(content)
    sheets: list[Sheet] = []
    while stream.tell() < len(content):
        piece = pickle.load(stream)
        if isinstance(piece, tuple):
            raise WorkbookError(*piece)
        if isinstance(piece, Sheet):
            sheets.append(piece)
        else:
            sheets[-1].rows.update(piece)
    return sheets


def _write(piece: object, stream: BinaryIO) -> None:
    pickle.dump(piece, stream, protocol=pickle.HIGHEST_PROTOCOL)
