"""Strict JSON, quickly read; parameters from bodies and query strings are tested over HTTP."""

import json
import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tanglai.server.parameters import MAX_NESTING, from_body, strict_json
from tanglai.server.refusals import Refusal

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(['":', '" :', "a", "b", "\\"])
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
separators = st.sampled_from([(",", ":"), (", ", ": "), (" , ", " : "), (",\n", "\t:")])


@given(values, separators, st.booleans())
@example({"a": 2**64}, (",", ":"), True)
@example({"a": 10**25}, (",", ":"), True)
@example({'":': {'":': 1}}, (",", ":"), True)
def test_every_value_comes_back(value: Any, separator: tuple[str, str], ascii_only: bool) -> None:
    text = json.dumps(value, separators=separator, ensure_ascii=ascii_only)
    assert exact(strict_json(text.encode(), "it")) == exact(value)


def exact(value: Any) -> Any:
    """Tells 1 from 1.0 and from true."""
    if isinstance(value, dict):
        return {name: exact(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [exact(inner) for inner in value]
    return (type(value), math.copysign(1, value) if isinstance(value, float) else 0, value)


class Twice(dict[str, Any]):
    """An object that writes one of its members twice."""


@given(st.dictionaries(texts, values, min_size=1, max_size=4), st.data(), separators)
def test_no_name_stands_twice(value: dict[str, Any], data: st.DataObject, separator: tuple[str, str]) -> None:
    name = data.draw(st.sampled_from(sorted(value)))
    members = [*value.items(), (name, data.draw(values))]
    order = data.draw(st.permutations(members))
    comma, colon = separator
    written = comma.join(
        # The second writing of a name may be escaped otherwise.
        f"{json.dumps(key, ensure_ascii=bool(index % 2))}{colon}{json.dumps(inner, separators=separator)}"
        for index, (key, inner) in enumerate(order)
    )
    wrapped = data.draw(st.sampled_from(["{%s}", '[{"x":{%s}}]', '{"a":"\\":","b":{%s}}']))
    with pytest.raises(Refusal, match="twice"):
        strict_json((wrapped % written).encode(), "it")


@given(st.binary(max_size=60) | st.text('{}[]":,0123456789.eE+-truefalsn \\u', max_size=60).map(str.encode))
def test_what_is_no_json_is_refused_in_one_way(text: bytes) -> None:
    try:
        value = strict_json(text, "it")
    except Refusal:
        return
    assert exact(json.loads(text)) == exact(value)


@pytest.mark.parametrize("depth", [MAX_NESTING, MAX_NESTING + 1, 900, 5000, 200_000])
@pytest.mark.parametrize("pair", [("[", "]"), ('{"a":', "}")], ids=["lists", "objects"])
def test_nesting(depth: int, pair: tuple[str, str]) -> None:
    text = (pair[0] * depth + "1" + pair[1] * depth).encode()
    if depth <= MAX_NESTING:
        strict_json(text, "it")
        return
    with pytest.raises(Refusal):
        strict_json(text, "it")


def test_wide_is_not_deep() -> None:
    text = json.dumps([[number] for number in range(5000)]).encode()
    assert len(strict_json(text, "it")) == 5000


def test_variables_of_any_number_are_measured() -> None:
    body = json.dumps({"query": "{a}", "variables": {"a": [10**40] * 30}}).encode()
    assert from_body(body, max_variables=10_000).variables["a"][0] == 10**40
    with pytest.raises(Refusal) as caught:
        from_body(body, max_variables=1000)
    assert caught.value.status == 413
    long = json.dumps({"query": "{a}" + "#" * 5000, "variables": {"a": 1}}).encode()
    assert from_body(long, max_variables=10).variables == {"a": 1}
