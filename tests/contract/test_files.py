"""What is the files' own: encodings, ragged rows, changes, the folder's limits, interruption."""

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

import duckdb
import pytest
import pytest_asyncio

from connectors.files import FilesConnector, FilesKind
from connectors.protocol import Order, RawOutput, SourceQuery, SourceTimeout, SourceUnavailable
from tanglai.catalogue.expressions import (
    TRUE,
    Aggregate,
    AggregateFunction,
    Column,
    Compare,
    CompareOp,
    Exists,
    Expression,
    Masked,
    Value,
)
from tanglai.catalogue.masks import Mask, MaskKind
from tanglai.catalogue.scalars import ScalarType
from tests.capture import captured_logs
from tests.contract.dataset import CARS, CARS_COLUMNS
from tests.contract.subjects import csv_text, write_parquet

A, B = Column("a", ScalarType.TEXT), Column("b", ScalarType.TEXT)
SECONDS = 20.0


@pytest_asyncio.fixture(loop_scope="session")
async def source(tmp_path: Path) -> AsyncIterator[FilesConnector]:
    connector = FilesKind().open("files", {"folder": str(tmp_path), "workers": 2}, {})
    yield connector
    await connector.close()


def reading(table: str, *columns: Column, where: Expression = TRUE, **options: Any) -> SourceQuery:
    outputs = tuple(RawOutput(column) for column in columns)
    return SourceQuery("files", None, table, outputs, where=where, options=MappingProxyType(options))


async def rows(source: FilesConnector, table: str, *columns: Column, **options: Any) -> list[Any]:
    return await source.fetch(reading(table, *columns, **options), {}, timeout=SECONDS)


@pytest.mark.parametrize(
    ("content", "options"),
    [
        ("a,b\n张,1\n", {}),
        ("\ufeffa,b\r\n张,1\r\n", {}),
        ('"a";"b"\n"张";"1"\n', {"delimiter": ";"}),
        ("a\tb\n张\t1", {"delimiter": "\t"}),
        ("a,b\n'张',1\n", {"quote": "'"}),
        ("张,1\n", {"header": False, "columns": ["a", "b"]}),
        ("b,x,a\n1,2,张\n", {}),
        ("A,b,a\n", None),
    ],
)
async def test_forms_of_csv(
    source: FilesConnector, tmp_path: Path, content: str, options: dict[str, Any] | None
) -> None:
    for encoding in ("utf-8", "gb18030", "utf-16"):
        text = content.removeprefix("\ufeff") if encoding == "utf-16" else content
        (tmp_path / f"{encoding}.csv").write_bytes(text.encode(encoding))
        given = {"encoding": encoding, **(options or {})}
        if options is None:  # two columns that only case tells apart
            with pytest.raises(SourceUnavailable):
                await rows(source, f"{encoding}.csv", A, **given)
        else:
            assert await rows(source, f"{encoding}.csv", A, B, **given) == [("张", "1")]


async def test_rows_that_do_not_fit_fail_nothing(source: FilesConnector, tmp_path: Path) -> None:
    content = b'a,b\n1\n1,2,3,4\n\xff\xfe,"x\ny"\n"",\n"q""q","open\n'
    (tmp_path / "t.csv").write_bytes(content)
    found = await rows(source, "t.csv", A, B)
    assert found[:4] == [("1", None), ("1", "2"), ("\ufffd\ufffd", "x\ny"), ("", None)]
    assert len(found) == 5


TEXTS: dict[ScalarType, dict[str, Any]] = {
    ScalarType.BOOLEAN: {"true": True, "T": True, "0": False, "f": False, "yes": None, "": None},
    ScalarType.INTEGER: {"5": 5, "+7": 7, "-2147483648": -(2**31), "2147483648": None, "1.5": None, "0x10": None,
                         "1_000": None, " 5": None, "1e3": None},
    ScalarType.LONG: {"9223372036854775807": 2**63 - 1, "9223372036854775808": None, "-1": -1},
    ScalarType.DECIMAL: {"1.50": Decimal("1.5"), ".5": Decimal("0.5"), "5.": Decimal(5), "1.12345678901": None,
                         "1.12345678900": Decimal("1.123456789"), "999999999999999999": Decimal(10**18 - 1),
                         "1000000000000000000": None, "-0": Decimal(0), "NaN": None, "1,5": None},
    ScalarType.FLOAT: {"1e3": 1000.0, "-.5": -0.5, "1e999": None, "nan": None, "inf": None, "0.1": 0.1, "1_0": None},
    ScalarType.DATE: {"2024-02-29": date(2024, 2, 29), "2023-02-29": None, "2024-2-9": None, "0000-01-01": None,
                      "infinity": None, "9999-12-31": date.max, "2024-02-29 10:00:00": None},
    ScalarType.TIME: {"08:30:00": time(8, 30), "23:59:59.999999": time.max, "24:00:00": None, "8:30": None,
                      "25:00:00": None},
    ScalarType.DATETIME: {"2024-02-29T08:00:00+08:00": datetime(2024, 2, 29, tzinfo=UTC),
                          "2024-02-29 08:00:00": datetime(2024, 2, 29, tzinfo=UTC),
                          "2024-02-29T00:00:00Z": datetime(2024, 2, 29, tzinfo=UTC),
                          "2024-02-29": datetime(2024, 2, 28, 16, tzinfo=UTC), "0001-01-01 00:00:00": None,
                          "9999-12-31T23:59:59.999999-01:00": None, "2024-02-30T00:00:00Z": None, "now": None},
    ScalarType.GEOMETRY: {'{"type": "Point"}': {"type": "Point"}, '{"type": 1}': None, "[1]": None, "{": None},
    ScalarType.TEXT: {"a": "a", "a\0b": None, "": ""},
}  # fmt: skip


@pytest.mark.parametrize("kind", TEXTS, ids=str)
async def test_conversions_of_texts_are_total(source: FilesConnector, tmp_path: Path, kind: ScalarType) -> None:
    quoted = "".join('"' + text.replace('"', '""') + '"\n' for text in TEXTS[kind])
    (tmp_path / "t.csv").write_text("a\n" + quoted)
    found = await rows(source, "t.csv", Column("a", kind))
    assert dict(zip(TEXTS[kind], (row[0] for row in found), strict=True)) == TEXTS[kind]


async def test_decimals_show_the_digits_that_the_binding_names(source: FilesConnector, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a\n1.5\n2\n0.125\n100\n")
    amount = Column("a", ScalarType.DECIMAL)
    for decimals, expected in ((None, ["1.5", "2", "0.125", "100"]), (2, ["1.50", "2.00", "None", "100.00"])):
        options = {} if decimals is None else {"decimals": {"a": decimals}}
        assert [str(row[0]) for row in await rows(source, "t.csv", amount, **options)] == expected


async def test_parquet_columns_of_other_types(source: FilesConnector, tmp_path: Path) -> None:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(
            f"""
            COPY (SELECT * FROM (VALUES
                (1::HUGEINT, 1.0::DOUBLE, 'x'::BLOB, 99999999999999999999999999999999999999::DECIMAL(38,0),
                 TIMESTAMP_NS '2024-02-29 08:00:00', DATE 'infinity', 'NaN'::DOUBLE, 1::TINYINT, [1, 2], '5'),
                (2147483648, 1.5, NULL, 5, NULL, DATE '10000-01-01', 'inf', 0, NULL, 'no')
            ) t(h, d, b, n, ts, day, f, flag, list, word)) TO '{tmp_path}/t.parquet' (FORMAT parquet)
            """
        )
    columns = (
        Column("h", ScalarType.INTEGER),
        Column("d", ScalarType.LONG),
        Column("n", ScalarType.DECIMAL),
        Column("ts", ScalarType.DATETIME),
        Column("day", ScalarType.DATE),
        Column("f", ScalarType.FLOAT),
        Column("flag", ScalarType.BOOLEAN),
        Column("word", ScalarType.INTEGER),
        Column("d", ScalarType.DECIMAL),
        Column("list", ScalarType.TEXT),
    )
    moment = datetime(2024, 2, 29, tzinfo=UTC)
    assert await rows(source, "t.parquet", *columns) == [
        (1, 1, None, moment, None, None, True, 5, Decimal(1), "[1, 2]"),
        (None, None, Decimal(5), None, None, None, False, None, Decimal("1.5"), None),
    ]
    with pytest.raises(SourceUnavailable):
        await rows(source, "t.parquet", Column("list", ScalarType.DATE))


async def test_changed_files_are_read_anew(source: FilesConnector, tmp_path: Path) -> None:
    query = reading("t.csv", A)
    both = reading("*.parquet", CARS_COLUMNS[0])
    (tmp_path / "t.csv").write_text("a\n1\n")
    write_parquet(tmp_path / "1.parquet", CARS_COLUMNS, CARS[:1])
    for text, count in (("a\n1\n", 1), ("a\n22\n", 2), ("b,a\n1,3\n", 3), ("a\n4\n", 4)):
        (tmp_path / "t.csv").write_text(text)
        write_parquet(tmp_path / f"{count}.parquet", CARS_COLUMNS, CARS[:count])
        expected = text.split("\n")[1].split(",")[-1]
        assert await source.fetch(query, {}, timeout=SECONDS) == [(expected,)]
        assert len(await source.fetch(both, {}, timeout=SECONDS)) == count * (count + 1) // 2
    (tmp_path / "t.csv").unlink()
    with pytest.raises(SourceUnavailable):
        await source.fetch(query, {}, timeout=SECONDS)


@pytest.mark.parametrize(
    "table",
    [
        "../out.csv",
        "/etc/passwd",
        "sub/../../out.csv",
        "link.csv",
        "linked/out.csv",
        "nowhere.csv",
        "",
        "sub",
        "*.xlsx",
    ],
)
async def test_nothing_outside_the_folder_is_read(tmp_path: Path, table: str) -> None:
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (tmp_path / "out.csv").write_text("a\nsecret\n")
    (folder / "in.csv").write_text("a\n1\n")
    (folder / "link.csv").symlink_to(tmp_path / "out.csv")
    (folder / "linked").symlink_to(tmp_path)
    (folder / "good.csv").symlink_to(folder / "in.csv")
    connector = FilesKind().open("files", {"folder": {"env": "FOLDER"}}, {"FOLDER": str(folder)})
    try:
        assert await rows(connector, "good.csv", A) == [("1",)]
        with pytest.raises(SourceUnavailable):
            await rows(connector, table, A, format="csv")
    finally:
        await connector.close()


async def test_broken_files_are_unavailable(source: FilesConnector, tmp_path: Path) -> None:
    write_parquet(tmp_path / "t.parquet", CARS_COLUMNS, CARS)
    content = (tmp_path / "t.parquet").read_bytes()
    (tmp_path / "t.parquet").write_bytes(content[: len(content) // 2])
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "good.csv").write_text("a\nzh-secret\n")
    with captured_logs() as logs:
        for table, options in (
            ("t.parquet", {}),
            ("empty.csv", {}),
            ("good.csv", {"encoding": "klingon"}),
            ("good.csv", {"unknown": 1}),
            ("good.csv", {"format": "parquet"}),
        ):
            with pytest.raises(SourceUnavailable):
                await rows(source, table, A, **options)
    assert "secret" not in repr(logs)
    assert await rows(source, "good.csv", A) == [("zh-secret",)]


def endless(folder: Path) -> SourceQuery:
    """A query over a thousand million rows, out of links to one small file."""
    with duckdb.connect() as connection:
        connection.execute(f"COPY (SELECT 'x' AS a FROM range(2000000)) TO '{folder}/big.parquet' (FORMAT parquet)")
    for index in range(500):
        os.link(folder / "big.parquet", folder / f"big-{index}.parquet")
    digest = Masked(Mask(MaskKind.PSEUDONYM, key=b"k"), A)
    count = Aggregate(AggregateFunction.COUNT_DISTINCT, digest, ScalarType.LONG)
    return SourceQuery("files", None, "big-*.parquet", (RawOutput(count),), group_by=())


async def test_an_ended_call_frees_its_worker(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a\n1\n")
    connector = FilesKind().open("files", {"folder": str(tmp_path), "workers": 1}, {})
    try:
        query = endless(tmp_path)
        await rows(connector, "big.parquet", A, where=Compare(CompareOp.EQ, A, Value("y", ScalarType.TEXT)))
        with pytest.raises(SourceTimeout):
            await connector.fetch(query, {}, timeout=0.5)
        assert await rows(connector, "t.csv", A) == [("1",)]
        call = asyncio.create_task(connector.fetch(query, {}, timeout=600))
        await asyncio.sleep(0.3)
        waiting = asyncio.create_task(connector.fetch(query, {}, timeout=600))
        await asyncio.sleep(0.05)
        for task in (waiting, call):
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert await rows(connector, "t.csv", A) == [("1",)]
    finally:
        await connector.close()


async def test_calls_at_the_same_time_get_their_own_rows(source: FilesConnector, tmp_path: Path) -> None:
    for index in range(8):
        (tmp_path / f"{index}.csv").write_text("a,b\n" + f"{index},x\n" * 50)
    query = [reading(f"{index}.csv", A, B) for index in range(8)]
    calls = [source.fetch(query[index % 8], {}, timeout=SECONDS) for index in range(80)]
    for index, found in enumerate(await asyncio.gather(*calls)):
        assert found == [(str(index % 8), "x")] * 50


async def test_introspection(source: FilesConnector, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "t.csv").write_bytes(csv_text(CARS_COLUMNS, CARS).encode("gb18030"))
    (tmp_path / "中文.tsv").write_bytes("姓名\t年龄\n".encode("gb18030"))
    (tmp_path / "other.json").write_text("{}")
    write_parquet(tmp_path / "cars.parquet", CARS_COLUMNS, CARS)
    found = {table.name: table.columns for table in await source.introspect()}
    assert sorted(found) == ["cars.parquet", "sub/t.csv", "中文.tsv"]
    assert [column.name for column in found["sub/t.csv"]] == [column.name for column in CARS_COLUMNS]
    assert {column.type for column in found["sub/t.csv"]} == {ScalarType.TEXT}
    assert [column.name for column in found["中文.tsv"]] == ["姓名", "年龄"]
    assert [column.type for column in found["cars.parquet"]] == [column.type for column in CARS_COLUMNS]
    assert [column.native for column in found["cars.parquet"]][-1] == "DECIMAL(12,2)"


def test_refusals_and_options() -> None:
    kind = FilesKind()
    assert kind.refusal(reading("t.csv", A)) is None
    inner = Exists(None, "u.csv", ((A, A),), TRUE)
    assert kind.refusal(reading("t.csv", A, where=inner)) == "look into several files in one call"
    order = SourceQuery("files", None, "t.csv", (RawOutput(A),), order=(Order(inner),))
    assert kind.refusal(order) is not None
    for options, message in (
        ({}, "folder"),
        ({"folder": "/x", "threads": 0}, "threads"),
        ({"folder": {"env": "X"}}, "X"),
    ):
        with pytest.raises(ValueError, match=message):
            kind.open("s", options, {})
