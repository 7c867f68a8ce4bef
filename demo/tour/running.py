"""In charge of running the tour: lines asked of a running node over HTTP, each held to what it expects."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from demo.tour.expectations import Answer, Delivered, Refused, difference

_SECONDS = 60.0
_PAUSE = 0.2


class Tokens(Protocol):
    """Gives a token of the demo issuer for a department's key."""

    def __call__(
        self,
        department: str,
        *,
        purposes: Sequence[str],
        roles: Sequence[str],
        scopes: Sequence[str] | None,
        person: str | None,
    ) -> str: ...


@dataclass(frozen=True, slots=True)
class Kept:
    """A value of an earlier answer, by the name that its line kept it under."""

    name: str


@dataclass(frozen=True, slots=True)
class Line:
    """One stop of the tour. `purposes` are the token's; `header` is the stated purpose, needed where it has several.

    `untouched`: the vehicle interface must not be asked meanwhile. `token` False sends none. `keep` names values of the
    answer, by their path (`data.apply.id`), for queries and variables of later lines. `patience`: seconds for which the
    question is asked again while its answer is not the one that is expected.
    """

    title: str
    department: str
    query: str | Callable[[Mapping[str, Any]], str]
    expected: Delivered | Refused
    purposes: tuple[str, ...] = ()
    header: str | None = None
    roles: tuple[str, ...] = ()
    scopes: tuple[str, ...] | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    extensions: Mapping[str, Any] = field(default_factory=dict)
    untouched: bool = False
    token: bool = True
    person: str | None = None
    keep: Mapping[str, str] = field(default_factory=dict)
    patience: float = 0


class Tour:
    """Runs lines against the node at `url`; `interface_url` is the vehicle interface's, which counts its searches."""

    def __init__(self, url: str, tokens: Tokens, interface_url: str) -> None:
        self._url = url.rstrip("/") + "/graphql"
        self._tokens = tokens
        self._interface_url = interface_url
        self._kept: dict[str, Any] = {}

    def run(self, lines: Sequence[Line], tell: Callable[[str], None] = print) -> bool:
        """Tells one sentence per line and a last one; whether all of them are as the law says."""
        good = 0
        for number, line in enumerate(lines, 1):
            trouble = self.check(line)
            good += trouble is None
            tell(f"✓ {number:02d} {line.title}" if trouble is None else f"✗ {number:02d} {line.title}: {trouble}")
        tell(f"{good} of {len(lines)} as the law says")
        return good == len(lines)

    def check(self, line: Line) -> str | None:
        """None where the answer is as expected, else `expected … got …`."""
        try:
            before = self._searches() if line.untouched else 0
            answer = self.ask(line)
            end = time.monotonic() + line.patience
            while (trouble := difference(line.expected, answer)) is not None and time.monotonic() < end:
                time.sleep(_PAUSE)
                answer = self.ask(line)
            if line.untouched and self._searches() != before:
                return "expected no call to the source got one"
            if trouble is None:
                self._kept.update((name, _at(answer.body, path)) for name, path in line.keep.items())
        except (OSError, ValueError, KeyError) as error:
            return f"expected an answer got {error!r}"
        return trouble

    def ask(self, line: Line) -> Answer:
        """The node's answer to the line's operation."""
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/graphql-response+json",
            "Accept-Language": "en",
        }
        if line.token:
            token = self._tokens(
                line.department, purposes=line.purposes, roles=line.roles, scopes=line.scopes, person=line.person
            )
            headers["Authorization"] = f"Bearer {token}"
        if line.header is not None:
            headers["Purpose"] = line.header
        query = line.query if isinstance(line.query, str) else line.query(self._kept)
        body: dict[str, Any] = {"query": query}
        if line.variables:
            body["variables"] = self._filled(line.variables)
        if line.extensions:
            body["extensions"] = dict(line.extensions)
        request = urllib.request.Request(self._url, json.dumps(body).encode(), headers)
        try:
            with _open(request) as response:
                return Answer(response.status, json.load(response))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, json.load(error))

    def _filled(self, value: Any) -> Any:
        """`value` with what earlier lines kept in the place of `Kept`. Raises KeyError."""
        match value:
            case Kept(name):
                return self._kept[name]
            case Mapping():
                return {name: self._filled(part) for name, part in value.items()}
            case list() | tuple():
                return [self._filled(part) for part in value]
        return value

    def _searches(self) -> int:
        with _open(urllib.request.Request(self._interface_url + "/healthz")) as response:
            count: int = json.load(response)["searches"]
            return count


def _at(body: Any, path: str) -> Any:
    """The value at a path of names and indices: `data.inbox.tasks.nodes.0.matter.id`."""
    for step in path.split("."):
        body = body[int(step)] if isinstance(body, list) else body[step]
    return body


# No proxy of the machine's environment stands between us and loopback.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _open(request: urllib.request.Request) -> Any:
    return _opener.open(request, timeout=_SECONDS)
