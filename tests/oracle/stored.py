"""In charge of examples as files: a readable JSON form of catalogues, rows, grants, askers and operations.

A dataclass is an object with its name under `$` and the fields that differ from their defaults; a tuple is an array;
what JSON has no form for has its type under `$`. What every catalogue of the random worlds shares is left out.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import Any

import authz.principal
import tanglai.catalogue.expressions
import tanglai.catalogue.masks
import tanglai.catalogue.model
import tanglai.catalogue.quotas
import tanglai.catalogue.scalars
import tanglai.catalogue.statistics
import tests.oracle.examples
import tests.oracle.language
import tests.oracle.rereading
import tests.oracle.twins
import tests.oracle.worlds
from tanglai.catalogue.model import Snapshot
from tests.catalogues import make_snapshot

GOLDEN = Path(__file__).parent / "golden"
"""Examples that failed once; every one is asked again by `test_stored_cases`."""

_MODULES: tuple[ModuleType, ...] = (
    authz.principal,
    tanglai.catalogue.expressions,
    tanglai.catalogue.masks,
    tanglai.catalogue.model,
    tanglai.catalogue.quotas,
    tanglai.catalogue.scalars,
    tanglai.catalogue.statistics,
    tests.oracle.examples,
    tests.oracle.language,
    tests.oracle.rereading,
    tests.oracle.twins,
    tests.oracle.worlds,
)


def _known() -> dict[str, type]:
    known: dict[str, type] = {}
    for module in _MODULES:
        for name, member in vars(module).items():
            if not isinstance(member, type) or member.__module__ != module.__name__:
                continue
            if is_dataclass(member) or issubclass(member, Enum):
                assert name not in known, f"two classes are called `{name}`"
                known[name] = member
    return known


_KNOWN = _known()
_TEXTS: Mapping[str, tuple[type, Callable[[Any], str], Callable[[str], Any]]] = {
    "datetime": (datetime, datetime.isoformat, datetime.fromisoformat),
    "date": (date, date.isoformat, date.fromisoformat),
    "time": (time, time.isoformat, time.fromisoformat),
    "decimal": (Decimal, str, Decimal),
}
"""Values that are texts in a file, the more special types first: how they are written and read."""


def encode(value: Any) -> Any:
    """`value` as JSON; `decode` gives an equal value. Raises TypeError for what has no form."""
    if isinstance(value, Enum):
        return {"$": type(value).__name__, "is": value.name}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    for name, (kind, write, _) in _TEXTS.items():
        if isinstance(value, kind):
            return {"$": name, "is": write(value)}
    if isinstance(value, tuple):
        return [encode(part) for part in value]
    if isinstance(value, list):
        return {"$": "list", "of": [encode(part) for part in value]}
    if isinstance(value, frozenset):
        return {"$": "set", "of": sorted((encode(part) for part in value), key=json.dumps)}
    if isinstance(value, Mapping):
        assert all(isinstance(name, str) and name != "$" for name in value), value
        return {name: encode(part) for name, part in value.items()}
    if is_dataclass(value) and _KNOWN.get(type(value).__name__) is type(value):
        shared = _shared(value.resources) if isinstance(value, Snapshot) else {}
        written = {"$": type(value).__name__}
        for part in fields(value):
            own = getattr(value, part.name)
            if own != shared.get(part.name, _default(part)):
                written[part.name] = encode(own)
        return written
    raise TypeError(f"`{type(value).__name__}` has no form in a file")


def decode(written: Any) -> Any:
    """What `encode` wrote. Raises KeyError, TypeError or ValueError where nothing could have."""
    if isinstance(written, list):
        return tuple(decode(part) for part in written)
    if not isinstance(written, dict):
        return written
    if "$" not in written:
        return {name: decode(part) for name, part in written.items()}
    name = written["$"]
    if name == "list":
        return [decode(part) for part in written["of"]]
    if name == "set":
        return frozenset(decode(part) for part in written["of"])
    if name in _TEXTS:
        return _TEXTS[name][2](written["is"])
    kind = _KNOWN[name]
    if issubclass(kind, Enum):
        return kind[written["is"]]
    given = {part: decode(value) for part, value in written.items() if part != "$"}
    return kind(**{**_shared(given["resources"]), **given} if kind is Snapshot else given)


def _default(part: "Field[Any]") -> Any:
    if part.default is not MISSING:
        return part.default
    return part.default_factory() if part.default_factory is not MISSING else MISSING


def _shared(resources: Mapping[str, Any]) -> dict[str, Any]:
    """What is the same in every catalogue, and the history that follows from its resources."""
    usual = make_snapshot(resources.values())
    names = ("departments", "divisions", "purposes", "categories", "history")
    return {name: getattr(usual, name) for name in names}


def save(name: str, case: Any, told: Mapping[str, Any], folder: Path = GOLDEN) -> Path:
    """Writes a case beside what is `told` of it for people."""
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / f"{name}.json"
    text = json.dumps({**told, "case": encode(case)}, ensure_ascii=False, indent=1, default=repr)
    place.write_text(text + "\n", encoding="utf-8")
    return place


def load(place: Path) -> tuple[Any, Mapping[str, Any]]:
    """The case of a file, and all that stands in the file."""
    whole = json.loads(place.read_text(encoding="utf-8"))
    return decode(whole["case"]), whole
