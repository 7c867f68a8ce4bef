"""In charge of what all catalogue documents share: constrained text types, the base model, and errors with a path."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

Path: TypeAlias = tuple[str | int, ...]
"""Where a value stands in a document: keys and list indices from the top."""

HOSTILE = r"\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb"
"""Characters that no text of the catalogue may hold, as the inside of a character class: controls (but tab and line
feed), bidirectional overrides and invisible characters, which make a text look like another one."""

Line = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=rf"^[^\t\n{HOSTILE}]+$")]
Prose = Annotated[str, StringConstraints(max_length=20_000, pattern=rf"^[^{HOSTILE}]*$")]
PhysicalName = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=rf"^[^\t\n{HOSTILE}]+$")]
Name = Annotated[str, StringConstraints(max_length=100, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Key = Annotated[str, StringConstraints(max_length=64, pattern=r"^[a-z][a-z0-9-]*$")]
Token = Annotated[str, StringConstraints(max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*$")]
CreditCode = Annotated[str, StringConstraints(pattern=r"^[0-9A-Z]{18}$")]
DepartmentRef = Annotated[str, StringConstraints(max_length=64, pattern=r"^([0-9A-Z]{18}|[a-z][a-z0-9-]*)$")]
DivisionCode = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{5}$")]
CategoryCode = Annotated[str, StringConstraints(max_length=32, pattern=r"^[0-9]+$")]
ResourceCode = Annotated[str, StringConstraints(max_length=48, pattern=r"^[0-9]+/[0-9]+$")]

_TAG = "~"
"""First character of union tags, which pydantic mixes into the path of an error."""


class Document(BaseModel):
    """A piece of a catalogue document. Keys are the camel case of the field names; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a document. `kind` is a pydantic error type or `predicate`."""

    path: Path
    message: str
    kind: str


class DocumentError(ValueError):
    """A document that is not of its form. `problems` names each place."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(f"{path_text(p.path)}: {p.message}" for p in problems))
        self.problems = problems

    @classmethod
    def at(cls, path: Path, message: str, kind: str = "predicate") -> "DocumentError":
        return cls((Problem(path, message, kind),))

    def under(self, prefix: Path) -> "DocumentError":
        """The same problems in a document that stands at `prefix` of a larger one."""
        return DocumentError(tuple(Problem(prefix + p.path, p.message, p.kind) for p in self.problems))


def path_text(path: Path) -> str:
    """A JSON path for people: `items[3].masks[0].name`; `(document)` for the top."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}" if text else step
    return text or "(document)"


_Model = TypeVar("_Model", bound=Document)


def validated(model: type[_Model], document: Any) -> _Model:
    """`document` as `model`. Raises DocumentError."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        problems = tuple(_problem(details) for details in error.errors(include_url=False))
    within = {p.path[:depth] for p in problems for depth in range(len(p.path))}
    # pydantic does not count the entries that are wrong themselves, so such a list is too short only for it
    raise DocumentError(tuple(p for p in problems if p.kind != "too_short" or p.path not in within))


def tagged(value: Any) -> str:
    """Union tag of values that are written short, as a text, or long, as an object."""
    return _TAG + ("text" if isinstance(value, str) else "object")


def _problem(details: ErrorDetails) -> Problem:
    path = tuple(step for step in details["loc"] if not (isinstance(step, str) and step.startswith(_TAG)))
    kind = details["type"]
    message = _MESSAGES[kind](details) if kind in _MESSAGES else details["msg"][:1].lower() + details["msg"][1:]
    return Problem(path, message.replace("'", "`"), kind)


def _last(details: ErrorDetails) -> str:
    return str(details["loc"][-1]) if details["loc"] else "document"


def _not_text(details: ErrorDetails) -> str:
    if isinstance(details["input"], bool | int | float):
        return f"`{details['input']}` is a number or boolean here; put it in quotes"
    return "not a text"


def _pattern(details: ErrorDetails) -> str:
    if HOSTILE in str(details.get("ctx", {}).get("pattern", "")):
        return "empty, or with line breaks or control, bidirectional or invisible characters"
    return f"not of the form `{details.get('ctx', {}).get('pattern')}`"


_MESSAGES: Mapping[str, Callable[[ErrorDetails], str]] = {
    "missing": lambda d: f"`{_last(d)}` is missing",
    "extra_forbidden": lambda d: f"unknown field `{_last(d)[:100]}`",
    "string_type": _not_text,
    "string_pattern_mismatch": _pattern,
    "string_too_long": lambda d: f"longer than {d.get('ctx', {}).get('max_length')} characters",
    "string_too_short": lambda d: "empty",
    "model_type": lambda d: "not an object",
    "dict_type": lambda d: "not an object",
    "tuple_type": lambda d: "not a list",
    "too_long": lambda d: f"more than {d.get('ctx', {}).get('max_length')} entries",
    "too_short": lambda d: f"fewer than {d.get('ctx', {}).get('min_length')} entries",
    "enum": lambda d: f"not one of {str(d.get('ctx', {}).get('expected')).replace(' or ', ', ')}",
    "value_error": lambda d: str(d.get("ctx", {}).get("error", d["msg"])),
}


def trimmed(document: Mapping[str, Any]) -> dict[str, Any]:
    """`document` without the fields that are None or empty, which are those at their defaults."""
    return {key: value for key, value in document.items() if value is not None and value != [] and value != {}}
