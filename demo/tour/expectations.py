"""In charge of what a line of the tour expects, and of saying what differs."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Such:
    """A value that a test holds of, where the very value cannot be known beforehand."""

    words: str
    holds: Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Unordered:
    """A list whose order the query does not ask for."""

    values: Sequence[Any]


@dataclass(frozen=True, slots=True)
class Denied:
    """One denied field: whole field path, code, article, and what must stand in the remedy."""

    field_path: str
    code: str
    article: str
    remedy: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Delivered:
    """The operation ran: exactly this data, exactly these denied fields; extensions as far as given."""

    data: Mapping[str, Any]
    denied: tuple[Denied, ...] = ()
    extensions: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refused:
    """The whole operation was refused: no `data`, this HTTP status, this code and article."""

    code: str
    article: str | None
    status: int = 403


@dataclass(frozen=True, slots=True)
class Answer:
    """What the node said: HTTP status and the JSON body."""

    status: int
    body: Mapping[str, Any]


def tree(path: str, value: Any) -> dict[str, Any]:
    """The data of `value` under `data.` + `path`: `population.resident` gives `{data: {population: {resident: …}}}`."""
    for name in reversed(f"data.{path}".split(".")):
        value = {name: value}
    return dict(value)


def difference(expected: Delivered | Refused, answer: Answer) -> str | None:
    """None, or `expected … got …` for the first thing that differs."""
    errors: Sequence[Mapping[str, Any]] = answer.body.get("errors") or ()
    if isinstance(expected, Refused):
        if "data" in answer.body:
            return _differs(f"a refusal with {expected.code}", answer.body)
        told = [(error.get("extensions") or {}).get("code") for error in errors]
        if told != [expected.code]:
            return _differs(expected.code, told or answer.body)
        article = errors[0]["extensions"].get("article")
        if expected.article is not None and article != expected.article:
            return _differs(expected.article, article)
        return None if answer.status == expected.status else _differs(f"status {expected.status}", answer.status)
    if answer.status != 200 or "data" not in answer.body:
        return _differs("an answer with data", answer.body)
    return (
        _denials(expected.denied, errors)
        or _values(expected.data, answer.body["data"], "data")
        or _extensions(expected.extensions, answer.body.get("extensions") or {})
    )


def _denials(expected: Iterable[Denied], errors: Sequence[Mapping[str, Any]]) -> str | None:
    told = {(error.get("extensions") or {}).get("fieldPath"): error for error in errors}
    wanted = {denied.field_path: denied for denied in expected}
    if len(told) != len(errors) or told.keys() != wanted.keys():
        return _differs(sorted(wanted) or "no error", [_short(error) for error in errors] or "no error")
    for field_path, denied in wanted.items():
        error, extensions = told[field_path], told[field_path]["extensions"]
        got = (extensions.get("code"), extensions.get("article"))
        if got != (denied.code, denied.article):
            return _differs(f"{field_path} {denied.code} {denied.article}", got)
        if not extensions.get("reason") or not extensions.get("requestId"):
            return _differs(f"{field_path} with reason and request id", extensions)
        if not field_path.startswith(".".join(map(str, error.get("path", ())))):
            return _differs(f"a path of {field_path}", error.get("path"))
        remedy = extensions.get("remedy") or {}
        for name, value in denied.remedy.items():
            if remedy.get(name) != value:
                return _differs(f"{field_path} remedy {name} {value}", remedy.get(name))
    return None


def _short(error: Mapping[str, Any]) -> str:
    extensions = error.get("extensions") or {}
    return f"{extensions.get('fieldPath')} {extensions.get('code')} {error.get('message')}"


def _extensions(expected: Mapping[str, Any], got: Mapping[str, Any]) -> str | None:
    for name, value in expected.items():
        if trouble := _values(value, got.get(name), f"extensions.{name}"):
            return trouble
    return None


def _values(expected: Any, got: Any, at: str) -> str | None:
    """None where `got` is `expected`, kinds of JSON values told apart."""
    match expected:
        case Such(words, holds):
            return None if holds(got) else _differs(f"{at} {words}", got)
        case Unordered(values):
            if not isinstance(got, list) or len(got) != len(values):
                return _differs(f"{at} {values}", got)
            return _values(sorted(values, key=_text), sorted(got, key=_text), at)
        case Mapping():
            if not isinstance(got, dict) or list(expected) != list(got):
                return _differs(f"{at} {expected}", got)
            return next((t for name in expected if (t := _values(expected[name], got[name], f"{at}.{name}"))), None)
        case list() | tuple():
            if not isinstance(got, list) or len(got) != len(expected):
                return _differs(f"{at} {expected}", got)
            pairs = enumerate(zip(expected, got, strict=True))
            return next((t for n, (one, other) in pairs if (t := _values(one, other, f"{at}[{n}]"))), None)
        case _:
            same = type(expected) is type(got) and expected == got
            return None if same else _differs(f"{at} {expected!r}", repr(got))


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _differs(expected: Any, got: Any) -> str:
    return f"expected {_cut(expected)} got {_cut(got)}"


def _cut(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 400 else text[:400] + "…"
