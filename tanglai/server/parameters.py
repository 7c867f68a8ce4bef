"""In charge of the parameters of a GraphQL request: read strictly from a JSON body or from a query string."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn
from urllib.parse import parse_qsl

import orjson

from tanglai.catalogue.errors import ErrorCode
from tanglai.server.refusals import Refusal

MAX_NESTING = 100
_WIDE = 2.0**63  # integers of 64 bits are read as such, signed or not
_NAMES = frozenset({"query", "operationName", "variables", "extensions"})


@dataclass(slots=True)
class Parameters:
    """What a client asks; `variables` and `extensions` are JSON objects, empty when not given."""

    query: str
    operation_name: str | None
    variables: Mapping[str, Any]
    extensions: Mapping[str, Any]


def from_body(body: bytes, *, max_variables: int) -> Parameters:
    """Parameters of a POST. Raises Refusal 400, or 413 for variables of more than `max_variables` bytes."""
    parsed = strict_json(body, "the body")
    if isinstance(parsed, list):
        raise Refusal(400, "batches are not supported: send one operation per request")
    if not isinstance(parsed, dict):
        raise Refusal(400, "the body is not a JSON object")
    return from_members(parsed, size=len(body), max_variables=max_variables)


def from_members(members: Mapping[str, Any], *, size: int, max_variables: int) -> Parameters:
    """Parameters of a JSON object that came in a text of `size` bytes. Raises Refusal as `from_body`."""
    query = members.get("query")
    if query is None:
        raise Refusal(400, "the request has no `query`")
    if not isinstance(query, str):
        raise Refusal(400, "`query` is not a string")
    name = members.get("operationName")
    if name is not None and not isinstance(name, str):
        raise Refusal(400, "`operationName` is not a string")
    variables = _object(members, "variables")
    extensions = _object(members, "extensions")
    if size > max_variables and _json_bytes(variables) > max_variables:
        _too_long(max_variables)
    return Parameters(query, name, variables, extensions)


def _object(members: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = members.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Refusal(400, f"`{name}` is not an object")
    return value


def _json_bytes(value: Mapping[str, Any]) -> int:
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def _too_long(limit: int) -> NoReturn:
    raise Refusal(413, f"the variables have more than {limit} bytes", code=ErrorCode.LIMIT_EXCEEDED)


def from_query_string(query_string: bytes, *, max_variables: int) -> Parameters:
    """Parameters of a GET, `variables` and `extensions` as JSON texts. Raises Refusal 400 or 413."""
    try:
        pairs = parse_qsl(
            query_string.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=32, separator="&"
        )
    except ValueError:
        raise Refusal(400, "the query string is malformed") from None
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name not in _NAMES:
            continue
        if name in members:
            raise Refusal(400, f"`{name}` is given twice")
        members[name] = value
    if len(members.get("variables", "").encode()) > max_variables:
        _too_long(max_variables)
    for name in ("variables", "extensions"):
        if name in members:
            members[name] = strict_json(members[name].encode(), f"`{name}`") if members[name] else None
    return from_members(members, size=0, max_variables=max_variables)


def strict_json(text: bytes, what: str) -> Any:
    """The JSON value of `text` (RFC 8259 and I-JSON: UTF-8, no NaN, no lone surrogate, no name twice in an object).

    Integers keep all their digits. Raises Refusal 400 naming `what`, without quoting any of it.
    """
    try:
        value = orjson.loads(text)  # stricter than json on encoding, surrogates and numbers
        # INVARIANT: the quick reading stands only where it has as many strings as the text, so that no member was
        # dropped for another of its name, and where no integer became a float.
        if _quotes(text) != 2 * _strings(value):
            value = json.loads(text, object_pairs_hook=_unique, parse_float=_finite)
    except _Twice as error:
        raise Refusal(400, f"{what} holds a name twice in one object") from error
    except (ValueError, RecursionError):
        raise Refusal(400, f"{what} is not valid JSON") from None
    if text.count(b"{") + text.count(b"[") > MAX_NESTING and _nesting(value) > MAX_NESTING:
        raise Refusal(400, f"{what} is nested more than {MAX_NESTING} deep")
    return value


class _Twice(Exception):
    pass


def _strings(value: Any) -> int:
    """How many strings stand in the JSON of `value`, names included; -1 where an integer may have become a float."""
    count, rest = 0, [value]
    while rest:
        one = rest.pop()
        kind = type(one)
        if kind is str:
            count += 1
        elif kind is dict:
            count += len(one)
            rest.extend(one.values())
        elif kind is list:
            rest.extend(one)
        elif kind is float and not -_WIDE < one < _WIDE:
            return -1
    return count


def _quotes(text: bytes) -> int:
    """How many quotation marks begin or end a string in `text`, JSON; -1 where counting does not tell."""
    if b"\\" not in text:
        return text.count(b'"')
    return -1 if b"\\\\" in text else text.count(b'"') - text.count(b'\\"')


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise _Twice
    return value


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError
    return number


def _nesting(value: Any) -> int:
    depth, layer = 0, [value]
    while layer:
        layer = [
            inner
            for one in layer
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        depth += 1
    return depth
