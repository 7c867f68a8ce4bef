"""In charge of the tables that files make: which files a binding means, when they changed, and DuckDB's view of them.

A CSV file is read into memory once per change, every field as text; a Parquet file stays where it is. Nothing here
fails on a value: bytes that are no text of the encoding are replaced, short rows are filled with nulls, surplus fields
fall away.
"""

import codecs
import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import Any, Literal, TypeAlias

import duckdb
from pydantic import Field, field_validator

from connectors.options import Options
from connectors.protocol import ColumnStructure, TableStructure
from connectors.sql.dialect import Native, StructureMismatch, TableFacts
from tanglai.catalogue.scalars import ScalarType

Fingerprint: TypeAlias = tuple[tuple[str, int, int, int], ...]
"""Path, inode, size and time of change of every file of a table."""

_PIECE = 1 << 20
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")
_SUFFIXES: Mapping[str, Literal["csv", "parquet"]] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".parquet": "parquet",
}
_SCALARS = {
    "VARCHAR": ScalarType.TEXT,
    "UUID": ScalarType.TEXT,
    "BOOLEAN": ScalarType.BOOLEAN,
    "TINYINT": ScalarType.INTEGER,
    "SMALLINT": ScalarType.INTEGER,
    "INTEGER": ScalarType.INTEGER,
    "UTINYINT": ScalarType.INTEGER,
    "USMALLINT": ScalarType.INTEGER,
    "BIGINT": ScalarType.LONG,
    "UINTEGER": ScalarType.LONG,
    "UBIGINT": ScalarType.DECIMAL,
    "HUGEINT": ScalarType.DECIMAL,
    "DECIMAL": ScalarType.DECIMAL,
    "FLOAT": ScalarType.FLOAT,
    "DOUBLE": ScalarType.FLOAT,
    "DATE": ScalarType.DATE,
    "TIME": ScalarType.TIME,
    "TIMESTAMP": ScalarType.DATETIME,
    "TIMESTAMP_S": ScalarType.DATETIME,
    "TIMESTAMP_MS": ScalarType.DATETIME,
    "TIMESTAMP_NS": ScalarType.DATETIME,
    "TIMESTAMP WITH TIME ZONE": ScalarType.DATETIME,
    "JSON": ScalarType.GEOMETRY,
}


class FileOptions(Options):
    """How the files of one table are read. All but `format` is for CSV.

    `format` follows from the file's suffix where it is not given. `header`: the first row names the columns, else
    `columns` does. `decimals` is the number of digits after the point of a decimal column; such a column's values are
    always shown with that many, others without trailing zeros.
    """

    format: Literal["csv", "parquet"] | None = None
    encoding: str = "utf-8"
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    quote: str = Field(default='"', min_length=1, max_length=1)
    header: bool = True
    columns: tuple[str, ...] = ()
    decimals: dict[str, int] = Field(default_factory=dict)

    @field_validator("encoding")
    @classmethod
    def _is_known(cls, encoding: str) -> str:
        try:
            return codecs.lookup(encoding).name
        except LookupError:
            raise ValueError(f"`{encoding}` is no encoding") from None

    @field_validator("decimals")
    @classmethod
    def _are_digits(cls, decimals: dict[str, int]) -> dict[str, int]:
        if any(not 0 <= digits <= 20 for digits in decimals.values()):
            raise ValueError("between 0 and 20 digits are possible")
        return decimals


@dataclass(frozen=True, slots=True)
class Loaded:
    """A table at DuckDB's side: what `TableFacts` says about it, made from files with `fingerprint`."""

    fingerprint: Fingerprint
    facts: TableFacts


class FileTables:
    """The tables of one folder. Used by several threads, each with a cursor of its own.

    `scratch` is a private folder for files that live for a moment.
    """

    def __init__(self, folder: Path, scratch: Path) -> None:
        self._folder = folder.resolve()
        self._scratch = scratch
        self._numbers = count()
        self._loaded: dict[tuple[str, str], Loaded] = {}
        self._old: dict[tuple[str, str], str] = {}
        self._mutex = Lock()

    def fingerprint(self, pattern: str) -> Fingerprint:
        """The files that `pattern`, a name or glob relative to the folder, means now.

        Raises StructureMismatch where there is none, or one lies outside the folder.
        """
        parts = PurePosixPath(pattern)
        if not pattern or parts.is_absolute() or ".." in parts.parts or "\\" in pattern or "\0" in pattern:
            raise StructureMismatch(f"`{pattern}` is no name within the folder")
        files: list[tuple[str, int, int, int]] = []
        for path in sorted(self._folder.glob(pattern)):
            real = path.resolve()
            if not real.is_relative_to(self._folder):
                raise StructureMismatch(f"a file of `{pattern}` lies outside the folder")
            if real.is_file():
                found = real.stat()
                files.append((str(real), found.st_ino, found.st_size, found.st_mtime_ns))
        if not files:
            raise StructureMismatch(f"there is no file `{pattern}`")
        return tuple(files)

    def current(self, pattern: str, options: FileOptions) -> Loaded | None:
        """The table of `pattern` if it is there and its files have not changed, else None: then `load` it."""
        loaded = self._loaded.get((pattern, options.model_dump_json()))
        return loaded if loaded is not None and loaded.fingerprint == self.fingerprint(pattern) else None

    def load(self, cursor: duckdb.DuckDBPyConnection, pattern: str, options: FileOptions) -> Loaded:
        """Makes the table of `pattern` anew. The one before stays for the statements that are reading it."""
        fingerprint = self.fingerprint(pattern)
        paths = [Path(file[0]) for file in fingerprint]
        name = f"table_{next(self._numbers)}"
        kind = options.format or _SUFFIXES.get(paths[0].suffix.lower())
        if kind is None:
            raise StructureMismatch(f"`{paths[0].suffix}` files need a `format`")
        if kind == "parquet":
            files = ", ".join(_quoted(str(path)) for path in paths)
            read = f"read_parquet([{files}], union_by_name = true, hive_partitioning = false)"
            cursor.execute(f"CREATE VIEW {name} AS SELECT * FROM {read}")
        else:
            self._load_csv(cursor, name, paths, options)
        columns: dict[str, Native] = {}
        for column, native, *_ in cursor.execute(f"DESCRIBE {name}").fetchall():
            columns[column] = _native(native, options.decimals.get(column))
        loaded = Loaded(fingerprint, TableFacts(None, name, columns))
        self._keep((pattern, options.model_dump_json()), loaded, cursor, "VIEW" if kind == "parquet" else "TABLE")
        return loaded

    def structures(self, cursor: duckdb.DuckDBPyConnection) -> list[TableStructure]:
        """The CSV and Parquet files of the folder, by name."""
        found: list[TableStructure] = []
        for path in sorted(self._folder.rglob("*")):
            kind = _SUFFIXES.get(path.suffix.lower())
            if kind is None or not path.is_file() or not path.resolve().is_relative_to(self._folder):
                continue
            name = path.relative_to(self._folder).as_posix()
            if kind == "parquet":
                read = f"DESCRIBE SELECT * FROM read_parquet({_quoted(str(path.resolve()))}, hive_partitioning = false)"
                columns = tuple(_column(row[0], row[1]) for row in cursor.execute(read).fetchall())
            else:
                columns = tuple(_column(column, "VARCHAR") for column in _guessed_header(path))
            found.append(TableStructure(None, name, columns))
        return found

    def _keep(self, key: tuple[str, str], loaded: Loaded, cursor: duckdb.DuckDBPyConnection, kind: str) -> None:
        with self._mutex:
            drop, before = self._old.pop(key, None), self._loaded.get(key)
            self._loaded[key] = loaded
            if before is not None:
                self._old[key] = f"{kind} {before.facts.name}"
        if drop is not None:
            cursor.execute(f"DROP {drop}")

    def _load_csv(
        self, cursor: duckdb.DuckDBPyConnection, name: str, paths: Sequence[Path], options: FileOptions
    ) -> None:
        for index, path in enumerate(paths):
            copy = self._scratch / f"{name}_{index}.csv"
            try:
                _transcode(path, copy, options.encoding)
                columns = _header(copy, options) if options.header else options.columns
                if len({column.casefold() for column in columns}) != len(columns) or not all(columns):
                    raise StructureMismatch(f"the columns of `{path.name}` have no names of their own")
                read = _read_csv(copy, columns, options)
                if index == 0:
                    cursor.execute(f"CREATE TABLE {name} AS SELECT * FROM {read}")
                else:
                    cursor.execute(f"INSERT INTO {name} BY NAME SELECT * FROM {read}")
            finally:
                copy.unlink(missing_ok=True)


def _read_csv(path: Path, columns: Sequence[str], options: FileOptions) -> str:
    if not columns:
        raise StructureMismatch(f"`{path.name}` has no columns")
    types = ", ".join(f"{_quoted(column)}: 'VARCHAR'" for column in columns)
    settings = {
        "auto_detect": "false",
        "header": str(options.header).lower(),
        "delim": _quoted(options.delimiter),
        "quote": _quoted(options.quote),
        "escape": _quoted(options.quote),
        "columns": f"{{{types}}}",
        "nullstr": "''",
        "allow_quoted_nulls": "false",
        "null_padding": "true",
        "strict_mode": "false",
        "ignore_errors": "true",
        "parallel": "false",
    }
    given = ", ".join(f"{name} = {value}" for name, value in settings.items())
    return f"read_csv({_quoted(str(path))}, {given})"


def _transcode(path: Path, copy: Path, encoding: str) -> None:
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    with path.open("rb") as source, copy.open("w", encoding="utf-8", newline="") as target:
        start = True
        while piece := source.read(_PIECE):
            text = decoder.decode(piece)
            target.write(text.removeprefix("\ufeff") if start else text)
            start = start and not text
        target.write(decoder.decode(b"", final=True))


def _header(path: Path, options: FileOptions) -> Sequence[str]:
    with path.open(encoding="utf-8", newline="") as file:
        return next(csv.reader(file, delimiter=options.delimiter, quotechar=options.quote), [])


def _guessed_header(path: Path) -> Sequence[str]:
    # Introspection knows no options yet: the encoding is UTF-8 or GB18030, the delimiter the one that divides most.
    with path.open("rb") as file:
        first = file.readline(_PIECE)
    try:
        text = first.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = first.decode("gb18030", errors="replace")
    delimiter = max(",\t;|", key=text.count)
    return next(csv.reader([text.rstrip("\r\n")], delimiter=delimiter), [])


def _native(native: str, decimals: int | None) -> Native:
    decimal = _DECIMAL.fullmatch(native)
    if decimal:
        return Native("DECIMAL", precision=int(decimal[1]), scale=int(decimal[2]))
    return Native("VARCHAR" if native.startswith("ENUM(") else native, scale=decimals)


def _column(name: str, native: str) -> ColumnStructure:
    return ColumnStructure(name, native, _SCALARS.get(_native(native, None).type), nullable=True, unique=False)


def _quoted(text: Any) -> str:
    return "'" + str(text).replace("'", "''") + "'"
