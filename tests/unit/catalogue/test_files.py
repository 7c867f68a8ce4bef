"""Catalogue files: what is read how, where every value stands, and what is refused on which line."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tanglai.catalogue.files import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_NODES,
    FileProblem,
    decoded,
    parse_file,
    parse_yaml,
    read_files,
    to_yaml,
)
from tests.unit.catalogue.strategies import UNHURRIED


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a", "a"),
        ("1010101/1", "1010101/1"),
        ("640000", 640000),
        ('"640000"', "640000"),
        ("0101", "0101"),
        ("-7", -7),
        ("1" * 18, int("1" * 18)),
        ("1" * 19, "1" * 19),
        ("1.50", 1.5),
        ("-.5e3", -500.0),
        ("1e999", "1e999"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("1_000", "1_000"),
        ("0x1F", "0x1F"),
        ("12:30:00", "12:30:00"),
        ("2025-08-01", "2025-08-01"),
        ("yes", "yes"),
        ("on", "on"),
        ("true", True),
        ("False", False),
        ("'true'", "true"),
        ("null", None),
        ("~", None),
        ("{a: }", {"a": None}),
        ("{1: a, null: b, on: c}", {"1": "a", "null": "b", "on": "c"}),
        ("[a, [b, {}], {c: d}]", ["a", ["b", {}], {"c": "d"}]),
        ('{"json": ["1", 2, true, null, "\\u4e00"]}', {"json": ["1", 2, True, None, "一"]}),
        ("a: |\n  two\n  lines\n", {"a": "two\nlines\n"}),
        ("a: &m [x]\nb: *m\n", {"a": ["x"], "b": ["x"]}),
    ],
)
def test_values(text: str, value: Any) -> None:
    read = parse_yaml(text)[0]
    assert read == value
    assert type(read) is type(value)


def test_every_value_has_its_line() -> None:
    text = (
        "kind: resource\n\nitems:\n  - name: a\n    masks:\n    - {name: m,\n       keep: {prefix: 1}}\n  - name: b\n"
    )
    place = parse_yaml(text)[1]
    assert place.line_of(()) == 1
    assert place.line_of(("kind",)) == 1
    assert place.line_of(("items",)) == 3
    assert place.line_of(("items", 0, "name")) == 4
    assert place.line_of(("items", 0, "masks", 0)) == 6
    assert place.line_of(("items", 0, "masks", 0, "keep", "prefix")) == 7
    assert place.line_of(("items", 1)) == 8
    assert place.line_of(("items", 1, "title")) == 8  # what is missing: where it should stand
    assert place.line_of(("items", 7, "title")) == 3


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 0, "empty"),
        ("# only a comment\n", 0, "empty"),
        ("a: 1\nb: 2\na: 3\n", 3, "key `a` stands twice"),
        ("{1: a, '1': b}", 1, "key `1` stands twice"),
        ("a: 1\n---\nb: 2\n", 2, "one document"),
        ("a: [1\nb: 2\n", 2, "not YAML"),
        ("a: 'x\n", 2, "not YAML"),
        ("\ta: 1\n", 1, "not YAML"),
        ("a: !!python/object/apply:os.system ['true']\n", 1, "tags are not supported"),
        ("a:\n  - !!str 1\n", 2, "tags are not supported"),
        ("? [a]\n: 1\n", 1, "a key is a text"),
        ("a: &k x\n*k : y\n", 2, "a key is a text"),
        ("a: &m {x: 1}\nb:\n  <<: *m\n", 3, "merge keys"),
        ("a: *nowhere\n", 1, "unknown anchor"),
        ("a: &a [*a]\n", 1, "within itself"),
        ("a: &a {b: {c: *a}}\n", 1, "within itself"),
        ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), 1, "deeper than"),
        ("[" * 200_000, 1, "deeper than"),
        ("- " * 200_000, 1, "deeper than"),
        ("\n".join(["- a"] * (MAX_NODES + 1)), MAX_NODES, "values"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_refusals(text: str, line: int, message: str) -> None:
    with pytest.raises(FileProblem) as caught:
        parse_yaml(text)
    assert message in caught.value.message
    assert caught.value.line == line


def test_an_alias_bomb_is_bounded() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
    with pytest.raises(FileProblem, match="values"):
        parse_yaml(bomb)


def test_deep_but_allowed() -> None:
    value, _ = parse_yaml("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    for _ in range(MAX_DEPTH - 1):
        (value,) = value
    assert value == []


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        ("a: 1\ntitle: 居民\n".encode("gb18030"), 2, "may be GB18030"),
        (b"a: 1\nb: \x81\n", 2, "not UTF-8; save"),
        ("a: 1\n".encode("utf-16"), 0, "UTF-16"),
        ("a: 1\n# x\u202ey\n".encode(), 2, "U+202E"),
        ("a: \u200bb\n".encode(), 1, "U+200B"),
        ("a: b\U000e0041\n".encode(), 1, "U+E0041"),
        (b"a: \x07\n", 1, "U+0007"),
        (b"a: \x00\n", 1, "U+0000"),
        ("a: 1\x85b: 2\n".encode(), 1, "U+0085"),
        (b"a: 1\rb: 2\n", 1, "U+000D"),
        (b"#" * (MAX_BYTES + 1), 0, "bytes"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_encodings_and_hostile_characters(content: bytes, line: int, message: str) -> None:
    with pytest.raises(FileProblem) as caught:
        decoded(content)
    assert message in caught.value.message
    assert caught.value.line == line


@pytest.mark.parametrize("content", ["a: 居民\r\nb: 1\r\n".encode("utf-8-sig"), "a: 居民\nb: 1\n".encode()])
def test_byte_order_mark_and_windows_line_ends_are_tolerated(content: bytes) -> None:
    file = parse_file("x.yaml", content)
    assert file.document == {"a": "居民", "b": 1}
    assert file.place.line_of(("b",)) == 2


def test_folders(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text("b: 1")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "z.yml").write_text("z: 1")
    (tmp_path / "a" / "y.json").write_text('{"y": 1}')
    (tmp_path / "a" / "notes.txt").write_text("{")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "x.yaml").write_text("{")
    (tmp_path / "bad.yaml").write_text("a: 1\na: 2\n")
    (tmp_path / "loop").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe.yaml")
    files, violations = read_files([tmp_path, tmp_path / "missing.yaml"])
    assert [file.document for file in files] == [{"b": 1}, {"y": 1}, {"z": 1}]
    assert [(Path(v.file).name, v.line, v.rule, v.message) for v in violations] == [
        ("bad.yaml", 2, "file", "key `a` stands twice"),
        ("pipe.yaml", 0, "file", "not a file"),
        ("missing.yaml", 0, "file", "cannot be read: no such file or directory"),
    ]


texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cf", "Zl", "Zp", "Co", "Cn"]), max_size=8)
odd = st.sampled_from(
    ["1e5", "0101", "on", "~", "<<", "1" * 30, "1.5", "-1", " a ", "a: b", "2025-01-01", "=", "1:30", ""]
)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.floats(allow_nan=False, allow_infinity=False)
    | texts | odd,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts.filter(lambda t: t != "<<"), inner, max_size=4),
    max_leaves=10,
)  # fmt: skip


@UNHURRIED
@given(st.dictionaries(texts | odd.filter(lambda t: t != "<<"), plain))
def test_what_is_written_is_read_back(document: dict[str, Any]) -> None:
    read, _ = parse_yaml(to_yaml(document))
    assert read == document
    assert repr(read) == repr(document)  # 1 is no 1.0 and no True


@UNHURRIED
@given(st.text(st.sampled_from("ab01:- []{}&*!|>'\"#%@`,?\n\t~<=."), max_size=60))
def test_no_text_fails_but_by_a_file_problem(text: str) -> None:
    with suppress(FileProblem):
        parse_yaml(text)


@UNHURRIED
@given(st.binary(max_size=60))
def test_no_bytes_fail_but_by_a_file_problem(content: bytes) -> None:
    with suppress(FileProblem):
        parse_file("x", content)
