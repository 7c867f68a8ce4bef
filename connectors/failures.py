"""In charge of what is logged when a source fails: what went wrong, without any value that the source holds."""

import re

import structlog

# What is left open, by the driver or by the cut, is taken to its end: linear, and no value slips through.
_LITERALS = re.compile(r"\"[^\"]*(?:\"|$)|'[^']*(?:'|$)|`[^`]*(?:`|$)|\(.*\)|\(.*|\d+", re.DOTALL)
_LONGEST = 2_000

_log = structlog.get_logger("tanglai.connectors")


class Fault(Exception):
    """A failure whose text is the program's own: names from the catalogue, codes, but no value and no address."""


def redacted(text: str) -> str:
    """`text` of a driver with everything that may be a value, a name or an address replaced by `?`."""
    return _LITERALS.sub("?", text[:_LONGEST])[:300]


def log_failure(source: str, error: BaseException, **facts: str | None) -> None:
    """Logs that a call to `source` failed; `facts` are codes and names that hold no values."""
    detail = str(error) if isinstance(error, Fault) else redacted(str(error))
    _log.warning("source call failed", source=source, error=type(error).__name__, detail=detail, **facts)
