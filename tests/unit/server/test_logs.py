"""The log: JSON lines in which nobody finds a token, a password, a literal or a row."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from tanglai.catalogue.errors import BadInput
from tanglai.server import logs
from tanglai.server.settings import Settings
from tests.cases import case
from tests.unit.server import samples

TOKEN = samples.token(samples.claims())


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    out = io.StringIO()
    logs.configure(Settings(log_level="info"), out)
    yield out
    root.handlers[:], root.level = before
    structlog.reset_defaults()


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


@case(46, twin=True)
def test_one_json_line_each(stream: io.StringIO) -> None:
    structlog.get_logger().info("request", status=200, department="公安厅")
    structlog.get_logger().debug("not at this level")
    (line,) = lines(stream)
    assert (line["event"], line["status"], line["department"], line["level"]) == ("request", 200, "公安厅", "info")
    assert line["timestamp"].endswith("Z")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("authorization", f"Bearer {TOKEN}"),
        ("Authorization", "x"),
        ("token", TOKEN),
        ("access_token", "opaque"),
        ("header", f"Bearer {TOKEN}"),
        ("note", f"it sent {TOKEN} twice"),
        ("note", "bearer opaque-token-17"),
        ("note", f"url={TOKEN}&a_{TOKEN}"),
        ("note", "xBearer opaque-token-17"),
        ("password", "hunter2"),
        ("database_url", "postgresql://me:hunter2@db/x"),
        ("url", "postgresql://me:hunter2@db/x"),
        ("key", "AAAA"),
        ("variables", {"idNumber": "640102199001011234"}),
        ("query", '{ residents(where: {name: {eq: "张三"}}) }'),
        ("rows", [["张三"]]),
        ("cookie", "a=b"),
    ],
    ids=lambda value: str(value).replace(TOKEN, "a-token"),  # signed anew in each process
)
def test_secrets_are_hidden(stream: io.StringIO, name: str, value: Any) -> None:
    structlog.get_logger().info("event", **{name: value})
    text = stream.getvalue()
    assert logs.HIDDEN in text
    for secret in (TOKEN, "hunter2", "opaque", "640102199001011234", "张三", "AAAA", "a=b"):
        assert secret not in text


def test_loggers_of_libraries(stream: io.StringIO) -> None:
    logging.getLogger("some.library").warning("refused %s at %s", f"Bearer {TOKEN}", "postgresql://me:hunter2@db/x")
    (line,) = lines(stream)
    assert line["logger"] == "some.library"
    assert TOKEN not in line["event"]
    assert "hunter2" not in line["event"]
    logging.getLogger("uvicorn.error").info('127.0.0.1 - "WebSocket /graphql?token=x" [accepted]')
    assert len(lines(stream)) == 1


def fail() -> None:
    try:
        raise KeyError("640102199001011234")
    except KeyError as error:
        raise RuntimeError("SELECT * FROM residents WHERE name = '张三'") from error


@case(46)
@pytest.mark.parametrize("library", [False, True], ids=["ours", "a library's"])
def test_failures_are_told_by_kind_and_place(stream: io.StringIO, library: bool) -> None:
    try:
        fail()
    except RuntimeError as error:
        if library:
            logging.getLogger("uvicorn.error").error("Exception in ASGI application", exc_info=error)
        else:
            structlog.get_logger().error("failure", exc_info=error)
    (line,) = lines(stream)
    assert line["error"] == ["RuntimeError", "KeyError"]
    assert any("test_logs.py" in place and place.endswith(" fail") for place in line["at"])
    assert "640102199001011234" not in stream.getvalue()
    assert "张三" not in stream.getvalue()


def test_our_own_messages_are_told() -> None:
    told = logs.describe(BadInput("`first` is at most 1000"))
    assert told["error"] == ["tanglai.catalogue.errors.BadInput: `first` is at most 1000"]


@case(46)
@pytest.mark.parametrize(
    ("document", "shape"),
    [
        ('{ r(where: {name: {eq: "张\\"三"}}) { name } }', '{ r(where: {name: {eq: "…"}}) { name } }'),
        ('{ r(id: """block "quoted" text""") }', '{ r(id: "…") }'),
        (
            "{ r(first: 10, x: -1.5e-3, y: [640102, 7]) { a1 b2: c3 } }",
            "{ r(first: 0, x: 0, y: [0, 0]) { a1 b2: c3 } }",
        ),
        ("query Q1($v2: Int = 640102) { a }", "query Q1($v2: Int = 0) { a }"),
    ],
    ids=["string", "block string", "numbers", "default"],
)
def test_a_document_without_its_literals(document: str, shape: str) -> None:
    assert logs.redact_document(document) == shape


@case(46)
@given(st.text(min_size=1, max_size=30).filter(lambda text: "\\" not in text and '"' not in text and "\n" not in text))
def test_no_string_literal_survives(text: str) -> None:
    assert logs.redact_document(f'{{ a(b: "{text}") }}') == '{ a(b: "…") }'


def test_console(capsys: pytest.CaptureFixture[str]) -> None:
    out = io.StringIO()
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        logs.configure(Settings(log_format="console"), out)
        structlog.get_logger().info("request", token=TOKEN)
    finally:
        root.handlers[:], root.level = before
        structlog.reset_defaults()
    assert "request" in out.getvalue()
    assert TOKEN not in out.getvalue()
    assert capsys.readouterr() == ("", "")
