"""Competitors of the benchmark of speed: what they are asked, what their answers say, why one cannot be had."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from graphql import build_schema, parse, validate
from pyarrow import parquet

from benchmarks.speed import export
from benchmarks.speed.contract import RESIDENT_FIELDS, VEHICLE_FIELDS, Draw
from benchmarks.speed.subjects import postgraphile, stock

LISTED = Draw("list_100", 100, "64010419800101", "", "64", "region-1", "t")
JOINED = Draw("join_100", 100, "64010419800101", "", "64", "region-1", "t")
VEHICLE = dict.fromkeys(VEHICLE_FIELDS, "v")
RESIDENT = dict.fromkeys(RESIDENT_FIELDS, "r")


@pytest.mark.parametrize("draw", [LISTED, JOINED])
def test_strawberry_is_asked_what_its_schema_has(draw: Draw) -> None:
    body = json.loads(stock.SUBJECT.call(draw).body)
    assert not validate(build_schema(stock.schema().as_str()), parse(body["query"]))
    assert body["variables"] == {"start": draw.start, "first": draw.count}
    for name in RESIDENT_FIELDS:
        assert name in body["query"]
    assert ("plate" in body["query"]) == (draw is JOINED)


def test_postgraphile_is_asked_for_the_same() -> None:
    listed, joined = (json.loads(postgraphile.SUBJECT.call(draw).body)["query"] for draw in (LISTED, JOINED))
    assert [len(parse(query).definitions) for query in (listed, joined)] == [1, 1]
    assert " ".join(RESIDENT_FIELDS) in listed
    assert " ".join(VEHICLE_FIELDS) in joined
    assert " ".join(VEHICLE_FIELDS) not in listed


def test_rows_are_where_the_subjects_put_them() -> None:
    joined = {**RESIDENT, "vehicles": [VEHICLE]}
    assert stock.SUBJECT.rows("join_100", {"data": {"residents": [joined]}}) == [joined]
    nodes = [{**RESIDENT, "vehicles": {"nodes": [VEHICLE]}}]
    assert postgraphile.SUBJECT.rows("join_100", {"data": {"allResidents": {"nodes": nodes}}}) == [joined]
    assert postgraphile.SUBJECT.rows("list_1", {"data": {"allResidents": {"nodes": [RESIDENT]}}}) == [RESIDENT]


@pytest.mark.parametrize("subject", [stock.SUBJECT, postgraphile.SUBJECT])
def test_errors_are_no_rows(subject: Any) -> None:
    with pytest.raises(ValueError, match="no such field"):
        subject.rows("list_1", {"data": None, "errors": [{"message": "no such field"}]})


def test_what_npm_said_is_the_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho 'npm error code ENOTFOUND' >&2\necho 'npm error no network' >&2\nexit 7\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(postgraphile, "_FOLDER", tmp_path / "packages")
    assert postgraphile.unavailable() == "npm could not install PostGraphile: code ENOTFOUND; no network"
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert postgraphile.unavailable() == "npm could not install PostGraphile: there is no `npm`"


def test_a_node_that_is_too_old_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    node = tmp_path / "node"
    node.write_text("#!/bin/sh\necho v20.20.2\n")
    node.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(postgraphile, "_FOLDER", tmp_path / "packages")
    assert postgraphile.node() is None
    node.write_text("#!/bin/sh\necho v22.3.0\n")
    assert postgraphile.node() == str(node)


def test_packages_are_pinned_and_name_no_registry() -> None:
    folder = Path(postgraphile.__file__).parent
    wanted = json.loads((folder / "package.json").read_text())
    locked = json.loads((folder / "package-lock.json").read_text())["packages"]
    for name, version in {**wanted["dependencies"], **wanted["optionalDependencies"]}.items():
        assert locked[f"node_modules/{name}"]["version"] == version
    assert not [name for name, entry in locked.items() if "resolved" in entry or (name and "integrity" not in entry)]


def _parquet(rows: int) -> bytes:
    file = BytesIO()
    parquet.write_table(pa.table({"a": list(range(rows))}), file)
    return file.getvalue()


def _arrow(rows: int) -> bytes:
    file = BytesIO()
    batch = pa.record_batch({"a": list(range(rows))})
    with pa.ipc.new_stream(file, batch.schema) as writer:
        writer.write_batch(batch)
        writer.write_batch(batch.slice(0, 0))
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("ndjson", lambda rows: b'{"a":1}\n' * rows),
        ("csv", lambda rows: b"a\r\n" + b"1\r\n" * rows),
        ("parquet", _parquet),
        ("arrow", _arrow),
    ],
)
def test_rows_of_an_export_are_counted(name: str, made: Callable[[int], bytes]) -> None:
    assert [export.COUNTS[name](BytesIO(made(rows))) for rows in (3, 0)] == [3, 0]


def test_memory_is_that_above_idle_and_its_peak_is_not_missed() -> None:
    held = 48 << 20
    work = f"for line in sys.stdin:\n held = b'x' * {held}\n del held\n print('done', flush=True)"
    program = f"import sys\nprint('ready', flush=True)\n{work}"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        with export.Memory(process.pid) as memory:
            process.stdin.write("go\n")
            process.stdin.flush()
            assert process.stdout.readline() == "done\n"
    assert abs(memory.peak - memory.idle - held) < 4 << 20  # the kernel counts pages in batches


def test_memory_that_grows_drifts() -> None:
    memory = export.Memory(os.getpid())
    memory.samples = [100, 100, 200, 200, 300, 300, 400, 400]
    assert memory.drift() == 200
    memory.samples = [100, 500, 100]
    assert memory.drift() == 0
