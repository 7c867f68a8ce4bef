"""In charge of the log: JSON lines on standard error, without tokens, passwords, literals or anybody's data."""

import logging
import re
import sys
import traceback
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TextIO

import orjson
import structlog

from tanglai.catalogue.errors import TanglaiError
from tanglai.server.settings import Settings

HIDDEN = "[redacted]"
MAX_FRAMES = 30

_SECRET_NAMES = re.compile(r"authorization|cookie|token|password|secret|api_?key|^key$|dsn|database_url", re.IGNORECASE)
_DATA_NAMES = frozenset(
    {"query", "document", "variables", "body", "row", "rows", "values", "parameters", "query_string"}
)
_TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]*\.[\w-]*|[Bb]earer\s+\S+")
_CREDENTIALS = re.compile(r"(\w://)[^/@\s]+@")

Event = MutableMapping[str, Any]


def redact(_: Any, __: str, event: Event) -> Event:
    """Hide values by their names and by their looks."""
    for name, value in event.items():
        if _is_hidden(name):
            event[name] = HIDDEN
        elif isinstance(value, str):
            event[name] = redact_text(value)
    return event


@lru_cache(maxsize=1024)
def _is_hidden(name: str) -> bool:
    return name in _DATA_NAMES or _SECRET_NAMES.search(name) is not None


def redact_text(text: str) -> str:
    """`text` without tokens and without the credentials of URLs."""
    if not _may_hold_secrets(text):
        return text
    return _CREDENTIALS.sub(rf"\1{HIDDEN}@", _TOKEN.sub(HIDDEN, text))


def _may_hold_secrets(text: str) -> bool:
    return "eyJ" in text or "earer" in text or "://" in text


_STRING = re.compile(r'"""(?:[^"\\]|\\.|"(?!""))*"""|"(?:[^"\\\n]|\\.)*"')
_NUMBER = re.compile(r"(?<![\w$])-?\d[\w.+-]*")


def redact_document(document: str) -> str:
    """A GraphQL document with every literal replaced, for a log of its shape."""
    return _NUMBER.sub("0", _STRING.sub('"…"', document))


def describe(error: BaseException) -> dict[str, Any]:
    """What may be told of an exception: the kinds in its chain, the places, and our own messages.

    Messages of drivers and libraries are left out, since they quote values; those of TanglaiError hold none.
    """
    chain: list[str] = []
    places: list[str] = []
    current: BaseException | None = error
    while current is not None and len(chain) < 8:
        kind = f"{type(current).__module__}.{type(current).__qualname__}".removeprefix("builtins.")
        chain.append(f"{kind}: {current.message}" if isinstance(current, TanglaiError) else kind)
        if not places:
            frames = traceback.extract_tb(current.__traceback__)[-MAX_FRAMES:]
            places = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return {"error": chain, "at": places}


def _failures(_: Any, __: str, event: Event) -> Event:
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    error = info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        event.update(describe(error))
    return event


class _From:
    """The step that says which process of the node a line comes from."""

    def __init__(self, worker: int) -> None:
        self.worker = worker

    def __call__(self, _: Any, __: str, event: Event) -> Event:
        event["worker"] = self.worker
        return event


def _json(_: Any, __: str, event: Event) -> str:
    return orjson.dumps(event, default=repr).decode()


def configure(settings: Settings, stream: TextIO | None = None, *, worker: int | None = None) -> None:
    """Set up structlog and the standard library's loggers to write to `stream` (standard error).

    With `worker`, a number, every line says which process of the node it comes from.
    """
    out = stream if stream is not None else sys.stderr
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    steps: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _failures,
        redact,
    ]
    if worker is not None:
        steps.append(_From(worker))
    render: structlog.typing.Processor = (
        _json if settings.log_format == "json" else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[*steps, render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(out),  # a line is one write: workers share the stream
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *steps],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.INFO))
    # These two write request lines with query strings, in which a client may have put anything.
    for name in ("uvicorn", "uvicorn.error", "websockets"):
        logger = logging.getLogger(name)
        logger.setLevel(max(level, logging.WARNING))
        logger.handlers[:] = []  # a server that was configured before ours writes nothing past the redaction
        logger.propagate = True


RequestLog = Callable[[bool, dict[str, Any]], None]
"""Writes the line of a request, given whether it is a quiet one, for level debug only, and the line's members."""


def request_log() -> RequestLog:
    """What writes the lines of requests, by how the log is configured now."""
    log = structlog.get_logger().bind()
    config = structlog.get_config()
    steps = config["processors"]
    if steps and steps[-1] is _json:
        worker = next((step.worker for step in steps if isinstance(step, _From)), None)
        told = log.is_enabled_for(logging.INFO), log.is_enabled_for(logging.DEBUG)
        return _DirectLog(config["logger_factory"]().msg, told, worker)

    def tell(quiet: bool, members: dict[str, Any]) -> None:
        (log.debug if quiet else log.info)("request", **members)

    return tell


class _DirectLog:
    """Makes a request's JSON line at once, byte for byte what the steps of `configure` make of it at a higher cost.

    INVARIANT: the members' names are none that `redact` hides.
    """

    def __init__(self, write: Callable[[str], None], told: tuple[bool, bool], worker: int | None) -> None:
        self._write, self._told, self._worker = write, told, worker

    def __call__(self, quiet: bool, members: dict[str, Any]) -> None:
        if not self._told[quiet]:
            return
        members["event"] = "request"
        members["level"] = "debug" if quiet else "info"
        members["timestamp"] = datetime.now(UTC)
        if self._worker is not None:
            members["worker"] = self._worker
        line = orjson.dumps(members, repr, orjson.OPT_UTC_Z).decode()
        if _may_hold_secrets(line):
            line = orjson.dumps(redact(None, "", members), repr, orjson.OPT_UTC_Z).decode()
        self._write(line)
