"""In charge of catalogue files: YAML read into plain data, with the line of every value and bounds on everything.

The dialect is YAML 1.2's core schema without tags and merge keys: `yes`, `on` and dates are texts, keys are always
texts, and so are whole numbers with a leading zero or more than 18 digits, which are codes. JSON is a part of it.
"""

import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from stat import S_ISREG
from typing import Any, TypeAlias

import yaml

from tanglai.catalogue.checks_base import Violation, violation
from tanglai.catalogue.documents_base import HOSTILE, Path

MAX_BYTES = 4 * 1024 * 1024
MAX_NODES = 250_000
MAX_DEPTH = 64
MAX_FILES = 50_000
MAX_HOSTILE_TOLD = 10
ENDINGS = (".yaml", ".yml", ".json")

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_HOSTILE = re.compile(f"[{HOSTILE}\U000e0000-\U000e007f]")
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_FRACTION = re.compile(r"[.eE]")
_CONSTANTS: Mapping[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value starts in its file, and its parts by key or index. Lines count from 1."""

    line: int
    parts: "Mapping[str | int, Place]" = field(default_factory=dict)

    def line_of(self, path: Path) -> int:
        """The line of the value at `path`, or of the nearest value around it."""
        place = self
        for step in path:
            if step not in place.parts:
                break
            place = place.parts[step]
        return place.line


@dataclass(frozen=True, slots=True)
class LoadedFile:
    """A file's content as plain data: dict, list, str, int, float, bool, None."""

    name: str
    document: Any
    place: Place


class FileProblem(ValueError):
    """A text that is no catalogue file. `line` counts from 1, 0 for the whole file."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


def read_files(paths: Iterable[FilePath]) -> tuple[tuple[LoadedFile, ...], tuple[Violation, ...]]:
    """The catalogue files at `paths`, folders with all that is in them, in order of their names.

    A file that cannot be read is a violation of rule `file` and left out.
    """
    loaded: list[LoadedFile] = []
    violations: list[Violation] = []
    for path in paths:
        for name in _catalogue_files(path):
            if len(loaded) + len(violations) >= MAX_FILES:
                violations.append(violation("file", f"more than {MAX_FILES} files", file=str(path)))
                return tuple(loaded), tuple(violations)
            try:
                loaded.append(parse_file(str(name), _bytes(name)))
            except FileProblem as problem:
                violations.append(violation("file", problem.message, file=str(name), line=problem.line))
    return tuple(loaded), tuple(violations)


def parse_file(name: str, content: bytes) -> LoadedFile:
    """The content of a file named `name`. Raises FileProblem."""
    document, place = parse_yaml(decoded(content))
    return LoadedFile(name, document, place)


def decoded(content: bytes) -> str:
    """The text of a file, line ends as line feeds. Raises FileProblem for another encoding than UTF-8, for hostile
    characters (controls, bidirectional overrides, invisible ones) and for more than MAX_BYTES bytes.
    """
    if len(content) > MAX_BYTES:
        raise FileProblem(f"more than {MAX_BYTES} bytes")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise FileProblem("the file is UTF-16; save it as UTF-8")
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise FileProblem(f"the file is not UTF-8{_guess(content)}; save it as UTF-8", line) from None
    if match := _HOSTILE.search(text):
        line = text.count("\n", 0, match.start()) + 1
        raise FileProblem(f"control, bidirectional or invisible character U+{ord(match[0]):04X}", line)
    return text


def parse_yaml(text: str) -> tuple[Any, Place]:
    """The one document in `text`, and where its parts stand. Raises FileProblem."""
    try:
        return _Builder().build(yaml.parse(text, Loader=_LOADER))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise FileProblem(f"not YAML: {error.problem or error.context}", mark.line + 1 if mark else 0) from None
    except yaml.YAMLError:
        raise FileProblem("not YAML") from None


def to_yaml(document: Mapping[str, Any]) -> str:
    """A document as YAML that `parse_yaml`, and any reader of YAML 1.1 or 1.2, reads back."""
    return yaml.dump(document, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=120)


def _bytes(path: FilePath) -> bytes:
    try:
        if not S_ISREG(path.stat().st_mode):
            raise FileProblem("not a file")
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise FileProblem(f"cannot be read: {(error.strerror or 'unknown reason').lower()}") from None


def _catalogue_files(path: FilePath) -> Iterator[FilePath]:
    """`path` itself, or the catalogue files in the folder, hidden ones left out; links to folders are not followed."""
    if not path.is_dir():
        yield path
        return
    for folder, subfolders, names in os.walk(path):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in sorted(names):
            if name.endswith(ENDINGS) and not name.startswith("."):
                yield FilePath(folder, name)


def _guess(content: bytes) -> str:
    try:
        content.decode("gb18030")
    except UnicodeDecodeError:
        return ""
    return " (it may be GB18030)"


_Built: TypeAlias = tuple[Any, Place, int]
"""A value, its place, and of how many values it is made."""


@dataclass(slots=True)
class _Open:
    """A mapping or sequence that is being read. `key` is the mapping's key that waits for its value."""

    value: dict[str, Any] | list[Any]
    parts: dict[str | int, Place]
    line: int
    anchor: str | None
    size: int = 1
    key: str | None = None
    key_line: int = 0


class _Builder:
    """Plain data from YAML events, without recursion and with bounds."""

    def __init__(self) -> None:
        self.stack: list[_Open] = []
        self.anchors: dict[str, _Built | None] = {}
        self.total = 0
        self.result: _Built | None = None

    def build(self, events: Iterable[yaml.Event]) -> tuple[Any, Place]:
        for event in events:
            line = event.start_mark.line + 1 if event.start_mark else 0
            match event:
                case yaml.ScalarEvent():
                    self.scalar(event, line)
                case yaml.CollectionStartEvent():
                    self.start(event, line)
                case yaml.CollectionEndEvent():
                    done = self.stack.pop()
                    built = (done.value, Place(done.line, done.parts), done.size)
                    self.remember(done.anchor, built)
                    self.add(built)
                case yaml.AliasEvent():
                    self.alias(event, line)
                case yaml.DocumentStartEvent() if self.result is not None:
                    raise FileProblem("a file holds one document", line)
        if self.result is None:
            raise FileProblem("an empty file")
        return self.result[0], self.result[1]

    def scalar(self, event: yaml.ScalarEvent, line: int) -> None:
        self.refuse_tag(event, line)
        if self.takes_key:
            self.take_key(event, line)
            return
        built = (_resolved(event), Place(line), 1)
        self.count(1, line)
        self.remember(event.anchor, built)
        self.add(built)

    def start(self, event: yaml.CollectionStartEvent, line: int) -> None:
        self.refuse_tag(event, line)
        if self.takes_key:
            raise FileProblem("a key is a text", line)
        if len(self.stack) >= MAX_DEPTH:
            raise FileProblem(f"deeper than {MAX_DEPTH}", line)
        self.count(1, line)
        self.remember(event.anchor, None)
        value: dict[str, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
        self.stack.append(_Open(value, {}, line, event.anchor))

    def alias(self, event: yaml.AliasEvent, line: int) -> None:
        if self.takes_key:
            raise FileProblem("a key is a text", line)
        if event.anchor not in self.anchors:
            raise FileProblem(f"unknown anchor `{event.anchor}`", line)
        built = self.anchors[event.anchor]
        if built is None:
            raise FileProblem(f"`*{event.anchor}` stands within itself", line)
        self.count(built[2], line)
        self.add(built)

    @property
    def takes_key(self) -> bool:
        return bool(self.stack) and isinstance(self.stack[-1].value, dict) and self.stack[-1].key is None

    def take_key(self, event: yaml.ScalarEvent, line: int) -> None:
        above = self.stack[-1]
        if event.anchor is not None:
            raise FileProblem("a key has no anchor", line)
        if event.value == "<<" and event.implicit[0]:
            raise FileProblem("merge keys are not supported", line)
        if event.value in above.value:
            raise FileProblem(f"key `{event.value[:100]}` stands twice", line)
        above.key, above.key_line = event.value, line

    def add(self, built: _Built) -> None:
        if not self.stack:
            self.result = built
            return
        above = self.stack[-1]
        value, place, size = built
        above.size += size
        if isinstance(above.value, list):
            above.parts[len(above.value)] = place
            above.value.append(value)
        else:
            assert above.key is not None
            above.parts[above.key] = Place(above.key_line, place.parts)
            above.value[above.key] = value
            above.key = None

    def count(self, size: int, line: int) -> None:
        self.total += size
        if self.total > MAX_NODES:
            raise FileProblem(f"more than {MAX_NODES} values", line)

    def remember(self, anchor: str | None, built: _Built | None) -> None:
        if anchor is not None:
            self.anchors[anchor] = built

    def refuse_tag(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent, line: int) -> None:
        if event.tag is not None:
            raise FileProblem(f"tags are not supported: `{event.tag[:100]}`", line)


def _resolved(event: yaml.ScalarEvent) -> Any:
    text: str = event.value
    if not event.implicit[0]:  # quoted or a block
        return text
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FRACTION.search(text) and _FLOAT.fullmatch(text):
        number = float(text)
        return number if math.isfinite(number) else text
    return text


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Quotes whatever one of the dialects would not read as a text."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+.0123456789"))
