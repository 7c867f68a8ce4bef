"""What an export writes is read back by the programs that read such files, to the last value."""

import csv
import io
import json
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resolvers import export_arrow
from resolvers.export_columns import ExportColumn
from resolvers.export_formats import FORMULA, Format
from tanglai.catalogue.scalars import ScalarType, to_json

COLUMNS = [
    *(ExportColumn(kind.lower(), (kind.lower(),), kind) for kind in ScalarType),
    ExportColumn("home.street", ("home", "street"), ScalarType.TEXT),
    ExportColumn("home.flat.floor", ("home", "flat", "floor"), ScalarType.INTEGER),
    ExportColumn("cars", ("cars", "nodes"), None),
]
POINT = {"type": "Point", "coordinates": [106.25, 38.5]}


def row(**values: Any) -> str:
    """A row's JSON as a source builds it."""
    made: dict[str, Any] = {kind.lower(): to_json(kind, values.get(kind.lower())) for kind in ScalarType}
    made |= {"home": values.get("home"), "cars": values.get("cars")}
    return orjson.dumps(made).decode()


FULL: dict[str, Any] = {
    "text": '张三 "Zhang", =1+1\r\n𠮷 \u2028 é',
    "boolean": True,
    "integer": -(2**31),
    "long": 2**63 - 1,
    "decimal": Decimal("-0.10"),
    "float": 0.1,
    "date": date(1, 1, 1),
    "time": time(23, 59, 59, 999_999),
    "datetime": datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC),
    "geometry": POINT,
    "home": {"street": "中山街", "flat": {"floor": 3}},
    "cars": {"nodes": [{"plate": "宁A·12345"}, {"plate": None}]},
}
OTHER: dict[str, Any] = {
    "text": "",
    "boolean": False,
    "integer": 2**31 - 1,
    "long": -(2**63),
    "decimal": Decimal("9" * 99 + ".5"),
    "float": 1e300,
    "date": date(9999, 12, 31),
    "time": time(0),
    "datetime": datetime(1, 1, 1, tzinfo=UTC),
    "home": {"street": "", "flat": None},
    "cars": {"nodes": []},
}
ROWS = [row(**FULL), row(), row(**OTHER)]


def written(form: Format, parts: Sequence[Sequence[str]], **options: Any) -> bytes:
    encoder = form.encoder(COLUMNS, {"purpose": "assistance"}, **options)
    return encoder.begin() + b"".join([encoder.rows(part) for part in parts]) + encoder.end()


def table(form: Format, data: bytes) -> Any:
    return pa.ipc.open_stream(data).read_all() if form is Format.ARROW else pq.read_table(io.BytesIO(data))


@pytest.mark.parametrize("form", [Format.ARROW, Format.PARQUET])
def test_columns_have_the_types_of_the_catalogue(form: Format) -> None:
    found = table(form, written(form, [ROWS[:2], ROWS[2:]]))
    assert [str(field.type) for field in found.schema] == [
        *("string", "bool", "int32", "int64", "string", "double", "date32[day]", "time64[us]"),
        *("timestamp[us, tz=UTC]", "string", "string", "int32", "string"),
    ]
    assert json.loads(found.schema.metadata[b"tanglai"]) == {"purpose": "assistance"}
    assert found.schema.field("decimal").metadata[b"tanglai.type"] == b"DECIMAL"
    assert found.schema.field("cars").metadata[b"tanglai.type"] == b"JSON"
    first, empty, last = found.to_pylist()
    for read, given_ in ((first, FULL), (last, OTHER)):
        for name in ("text", "boolean", "integer", "long", "float", "date", "time", "datetime"):
            assert read[name] == given_[name], name
        assert Decimal(read["decimal"]) == given_["decimal"]
    assert json.loads(first["geometry"]) == POINT
    assert (first["home.street"], first["home.flat.floor"]) == ("中山街", 3)
    assert (last["home.street"], last["home.flat.floor"]) == ("", None)
    assert json.loads(first["cars"]) == FULL["cars"]["nodes"]
    assert last["cars"] == "[]"
    assert set(empty.values()) == {None}


@pytest.mark.parametrize("form", list(Format))
def test_a_list_without_rows_is_a_whole_file(form: Format) -> None:
    data = written(form, [])
    if form in (Format.ARROW, Format.PARQUET):
        found = table(form, data)
        assert (found.num_rows, found.num_columns) == (0, len(COLUMNS))
    else:
        assert data.count(b"\n") == (form is Format.CSV)


def test_row_groups_are_written_as_they_fill(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_arrow, "GROUP_BYTES", 2_000)
    encoder = Format.PARQUET.encoder(COLUMNS, {})
    data = encoder.begin()
    sizes = [len(encoder.rows(ROWS)) for _ in range(20)]
    assert 0 < sum(size > 0 for size in sizes) < 20, "neither a group for each part nor one for all"
    assert data == b"PAR1"


def test_a_parquet_file_that_breaks_off_is_none() -> None:
    encoder = Format.PARQUET.encoder(COLUMNS, {})
    with pytest.raises(pa.ArrowInvalid):
        pq.read_table(io.BytesIO(encoder.begin() + encoder.rows(ROWS)))


# --- CSV --------------------------------------------------------------------------------------------------------------


def cells(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode(), newline=""), strict=True))


def test_csv() -> None:
    data = written(Format.CSV, [ROWS])
    header, first, empty, last = cells(data)
    assert header == [column.name for column in COLUMNS]
    assert first[:9] == [
        FULL["text"],
        *("true", "-2147483648", "9223372036854775807", "-0.10", "0.1", "0001-01-01", "23:59:59.999999"),
        "9999-12-31T23:59:59.999999Z",
    ]
    assert json.loads(first[9]) == POINT
    assert json.loads(first[12]) == FULL["cars"]["nodes"]
    assert empty == [""] * len(COLUMNS)
    assert last[0] == ""
    assert last[4] == "9" * 99 + ".5"
    lines = data.split(b"\r\n")
    assert lines[-1] == b""
    assert lines[-3] == b"," * (len(COLUMNS) - 1), "null is nothing"
    assert lines[-2].startswith(b'"",false,'), "an empty text is none"


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), min_size=1, max_size=4))
def test_any_text_comes_back(texts: list[str]) -> None:
    columns = [ExportColumn("t", ("t",), ScalarType.TEXT)]
    rows = [orjson.dumps({"t": text}).decode() for text in texts]
    encoder = Format.CSV.encoder(columns, {})
    assert cells(encoder.begin() + encoder.rows(rows)) == [["t"], *([text] for text in texts)]
    lines = Format.NDJSON.encoder(columns, {}).rows(rows).decode()
    assert lines.endswith("\n")
    assert [json.loads(line) for line in lines[:-1].split("\n")] == [{"t": text} for text in texts]


@pytest.mark.parametrize("sign", list(FORMULA))
def test_formulas_are_data_unless_the_file_is_for_a_spreadsheet(sign: str) -> None:
    text = f"{sign}HYPERLINK(1)"
    rows = [row(text=text, decimal=Decimal(-5), home={"street": text, "flat": None})]
    plain, marked = (written(Format.CSV, [rows], spreadsheet=given_) for given_ in (False, True))
    assert cells(plain)[1][0] == text
    assert marked.startswith(b"\xef\xbb\xbftext,boolean,")
    assert cells(marked)[1][0] == f"'{text}"
    assert cells(marked)[1][10] == f"'{text}"
    assert cells(marked)[1][4] == "-5", "a number is no text"


# --- NDJSON -----------------------------------------------------------------------------------------------------------


def test_lines_are_objects() -> None:
    data = written(Format.NDJSON, [ROWS[:1], ROWS[1:]])
    assert data.decode().split("\n") == [*ROWS, ""]


def test_a_line_end_within_an_object_ends_no_line() -> None:
    """A source may hand on JSON with white space between its tokens; within a text a line end is `\\n`."""
    encoder = Format.NDJSON.encoder(COLUMNS, {})
    lines = encoder.rows(['{"a":{\n"type":"Point"}}', '{"a":"x\\ny"}', '{"a":\r1}']).decode().splitlines()
    assert [json.loads(line) for line in lines] == [{"a": {"type": "Point"}}, {"a": "x\ny"}, {"a": 1}]


def test_what_arrow_needs_is_not_loaded_before() -> None:
    script = "import sys, tanglai.server.compose; print([name for name in sys.modules if name.startswith('pyarrow')])"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert loaded.splitlines()[0] == "[]"
