"""In charge of Arrow streams and Parquet files, whose columns have the types of the catalogue's items.

A decimal is a text: an item says neither how many digits its values have nor where the point stands, and a type that
says both would break on the first value beyond.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time
from typing import Any

import orjson
import pyarrow as pa
from pyarrow._parquet import ParquetWriter  # pyarrow.parquet would load clients of four cloud stores, 11 MB more

from resolvers.export_columns import ExportColumn, values
from resolvers.export_formats import Encoder, json_texts, parsed
from tanglai.catalogue.scalars import ScalarType

GROUP_BYTES = 2 << 20
"""A row group of a Parquet file is written once its columns take so much memory."""

_POOL = pa.system_memory_pool()  # gives back what it frees; the others keep it
_TYPES: Mapping[ScalarType | None, Any] = {
    ScalarType.BOOLEAN: pa.bool_(),
    ScalarType.INTEGER: pa.int32(),
    ScalarType.LONG: pa.int64(),
    ScalarType.FLOAT: pa.float64(),
    ScalarType.DATE: pa.date32(),
    ScalarType.TIME: pa.time64("us"),
    ScalarType.DATETIME: pa.timestamp("us", tz="UTC"),
}
_READ: Mapping[ScalarType | None, Callable[[str], Any]] = {
    ScalarType.LONG: int,
    ScalarType.DATE: date.fromisoformat,
    ScalarType.TIME: time.fromisoformat,
    ScalarType.DATETIME: datetime.fromisoformat,
}
"""How Python reads what is a text in JSON and none in Arrow."""
_STRUCTURED = frozenset({None, ScalarType.GEOMETRY})


def encoder(columns: Sequence[ExportColumn], told: Mapping[str, Any], *, parquet: bool) -> Encoder:
    """An encoder of one of both formats; `told` stands in the schema's metadata under `tanglai`, as JSON."""
    return ParquetEncoder(columns, told) if parquet else ArrowEncoder(columns, told)


def schema_of(columns: Sequence[ExportColumn], told: Mapping[str, Any]) -> Any:
    """The Arrow schema; each field says in its metadata which scalar it is, `JSON` for structured values."""
    fields = [
        pa.field(column.name, _TYPES.get(column.type, pa.string()), metadata={"tanglai.type": column.type or "JSON"})
        for column in columns
    ]
    return pa.schema(fields, metadata={"tanglai": orjson.dumps(told)})


class _Sink:
    """A file that is only written; what was written is taken out."""

    closed = False

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: Any) -> int:
        part = bytes(data)
        self._parts.append(part)
        return len(part)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass

    def take(self) -> bytes:
        """What was written since the last call."""
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken


class _Columnar:
    """What both formats share: rows become a batch of columns."""

    slow = True

    def __init__(self, columns: Sequence[ExportColumn], told: Mapping[str, Any]) -> None:
        self._columns = columns
        self._schema = schema_of(columns, told)
        self._sink = _Sink()
        self._file = pa.PythonFile(self._sink, mode="w")

    def _batch(self, texts: Sequence[str]) -> Any:
        rows = parsed(texts)
        arrays = [
            _array(column.type, field.type, values(rows, column))
            for column, field in zip(self._columns, self._schema, strict=True)
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)


def _array(kind: ScalarType | None, target: Any, found: list[Any]) -> Any:
    read = _READ.get(kind)
    if read is not None:
        found = [None if value is None else read(value) for value in found]
    elif kind in _STRUCTURED:
        found = json_texts(found)
    return pa.array(found, target, memory_pool=_POOL)


class ArrowEncoder(_Columnar):
    """Arrow's streaming format: a batch for each part of the rows."""

    def begin(self) -> bytes:
        options = pa.ipc.IpcWriteOptions(allow_64bit=False)
        self._writer = pa.ipc.new_stream(self._file, self._schema, options=options)
        return self._sink.take()

    def rows(self, texts: Sequence[str]) -> bytes:
        self._writer.write_batch(self._batch(texts))
        return self._sink.take()

    def end(self) -> bytes:
        self._writer.close()
        return self._sink.take()


class ParquetEncoder(_Columnar):
    """A Parquet file, a row group for some megabytes of rows; nothing before the end of the file says what is in it."""

    def begin(self) -> bytes:
        self._writer = ParquetWriter(
            self._file,
            self._schema,
            compression="snappy",
            use_dictionary=False,
            version="2.6",
            writer_engine_version="V2",
            data_page_version="1.0",
            write_statistics=True,
            data_page_size=64 << 10,
            store_schema=True,
            memory_pool=_POOL,
        )
        self._waiting: list[Any] = []
        self._bytes = 0
        return self._sink.take()

    def rows(self, texts: Sequence[str]) -> bytes:
        batch = self._batch(texts)
        self._waiting.append(batch)
        self._bytes += batch.nbytes
        if self._bytes >= GROUP_BYTES:
            self._write()
        return self._sink.take()

    def end(self) -> bytes:
        self._write()
        self._writer.close()
        return self._sink.take()

    def _write(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.Table.from_batches(self._waiting, self._schema))
        self._waiting, self._bytes = [], 0
