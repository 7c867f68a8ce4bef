"""In charge of notice files: the State Council's yearly notice as TOML or YAML, read strictly.

year: 2027
issued: 2026-11-04
reference: 国办发明电〔2026〕7号
rest: [{from: 2027-01-01, to: 2027-01-03}, 2027-04-05]
make_up: [2026-12-27]
"""

import tomllib
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, Discriminator, Field, StrictInt, Tag

from tanglai.catalogue.calendar import Notice, belongs
from tanglai.catalogue.documents_base import Document, DocumentError, Line, Path, Problem, validated
from tanglai.catalogue.files import FileProblem, decoded, parse_yaml
from tanglai.catalogue.scalars import ScalarType, parse

MAX_RANGE = 31
"""Days that one range may span; a longer one is a slip of the pen."""

_FIXED = ((1, 1, "New Year"), (5, 1, "Labour Day"), (10, 1, "National Day"))
_TOML_ENDING = ".toml"


def _date(value: Any) -> Any:
    return parse(ScalarType.DATE, value)


Day = Annotated[date, BeforeValidator(_date)]


class _Range(Document):
    first: Annotated[Day, Field(alias="from")]
    last: Annotated[Day, Field(alias="to")]


def _tag(value: Any) -> str:
    return "~range" if isinstance(value, dict) else "~day"


_Days = Annotated[
    tuple[Annotated[Annotated[_Range, Tag("~range")] | Annotated[Day, Tag("~day")], Discriminator(_tag)], ...],
    Field(max_length=200),
]


class _NoticeDocument(Document):
    year: Annotated[StrictInt, Field(ge=1950, le=9998)]
    issued: Day
    reference: Line
    rest: _Days
    make_up: Annotated[_Days, Field(alias="make_up")]


def read_notice(name: str, content: bytes) -> Notice:
    """The notice in a file called `name`: TOML where it ends in `.toml`, otherwise YAML, of which JSON is a part.

    Raises FileProblem for what is neither, DocumentError with all that is wrong with the document: also for a notice
    that lacks a holiday that every year has, since a part of a notice would pass for the year's.
    """
    text = decoded(content)
    document = validated(_NoticeDocument, _from_toml(text) if name.endswith(_TOML_ENDING) else parse_yaml(text)[0])
    problems: list[Problem] = []
    rest = _collected(document, "rest", document.rest, problems)
    make_up = _collected(document, "make_up", document.make_up, problems)
    problems += _doubts(document, rest, make_up)
    if problems:
        raise DocumentError(tuple(problems))
    return Notice(document.year, document.issued, document.reference, frozenset(rest), frozenset(make_up))


def _from_toml(text: str) -> Any:
    try:
        return _plain(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        raise FileProblem(f"not TOML: {message[:1].lower()}{message[1:]}") from None


def _plain(value: Any) -> Any:
    """TOML's own dates and times as texts, like those of YAML."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return value.isoformat() if hasattr(value, "isoformat") else value


def _collected(
    document: _NoticeDocument, name: str, entries: tuple[_Range | date, ...], problems: list[Problem]
) -> set[date]:
    """The days of `entries`; what is wrong with one of them is added to `problems`."""
    found: set[date] = set()
    for index, entry in enumerate(entries):
        path: Path = (name, index)
        days = list(_spread(entry))
        if not days:
            problems.append(Problem(path, "`from` is after `to`", "range"))
        elif len(days) > MAX_RANGE:
            problems.append(Problem(path, f"more than {MAX_RANGE} days", "range"))
            continue
        for day in days:
            if not belongs(day, document.year):
                text = f"`{day}` is neither of {document.year} nor of the December before"
                problems.append(Problem(path, text, "range"))
            elif day in found:
                problems.append(Problem(path, f"`{day}` stands twice", "range"))
            elif name == "make_up" and day.weekday() < 5:
                problems.append(Problem(path, f"`{day}` is no weekend day, it makes up for nothing", "range"))
            found.add(day)
    return found


def _spread(entry: _Range | date) -> Iterator[date]:
    """The days of an entry, up to one more than a range may have."""
    if isinstance(entry, date):
        yield entry
        return
    for n in range(min((entry.last - entry.first).days, MAX_RANGE) + 1):
        yield entry.first + timedelta(days=n)


def _doubts(document: _NoticeDocument, rest: set[date], make_up: set[date]) -> Iterator[Problem]:
    for day in sorted(rest & make_up):
        yield Problem(("make_up",), f"`{day}` is among `rest` too", "range")
    for month, number, holiday in _FIXED:
        day = date(document.year, month, number)
        if day not in rest:
            yield Problem(("rest",), f"`{day}` ({holiday}) is not among them, a notice is of the whole year", "range")
    if document.issued.year not in (document.year - 1, document.year):
        yield Problem(("issued",), f"`{document.issued}` is neither in {document.year} nor the year before", "range")
