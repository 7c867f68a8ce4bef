"""In charge of what one audit record says: who asked which items of which resource, when, why and with what outcome."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import orjson

MAX_NAME = 256
EXPORT, EXPORT_END = "export", "export-end"
"""Kinds of document of the records of exports."""
_REPLACEMENT = "\ufffd"


class Outcome(StrEnum):
    """ALLOWED: everything asked; PARTIAL: some of it; DENIED: refused by the rules; FAILED: something broke."""

    ALLOWED = "ALLOWED"
    PARTIAL = "PARTIAL"
    DENIED = "DENIED"
    FAILED = "FAILED"


@dataclass(slots=True)
class AuditRecord:
    """One operation of one requester.

    `at` is aware. `operation_hash` is the SHA-256 of the document in hexadecimal digits; `document_kind` says how the
    document came (`text`, `stored`), or that it is of an export. `paths` are the response paths of the roots, `items`
    the item names asked for by resource code, `rows` the rows delivered by resource code, `grants` the ids used,
    `codes` the error codes told.
    Values of the data, variables and literals are never part of a record.

    An export has two: EXPORT with its bound as `rows`, durable before its first byte, and EXPORT_END with what was
    delivered, after its last. `export` joins them, a random id that no client chooses. Without the second the whole
    bound counts as delivered.
    """

    request_id: str
    at: datetime
    department: str
    client: str
    person: str | None
    purpose: str | None
    operation_name: str | None
    operation_hash: str
    document_kind: str
    paths: tuple[str, ...]
    items: Mapping[str, tuple[str, ...]]
    grants: tuple[str, ...]
    rows: Mapping[str, int]
    outcome: Outcome
    codes: tuple[str, ...]
    duration_us: int
    node: str
    export: str | None = None

    def to_json(self) -> bytes:
        """The columns of table `audit_record` as a JSON object; the database numbers the row.

        Total: texts that came from outside lose what PostgreSQL cannot hold (NUL, lone surrogates).
        Raises ValueError when `at` has no time zone.
        """
        if self.at.tzinfo is None:
            raise ValueError("the time of an audit record has a zone")
        row = {
            "request_id": _clean(self.request_id),
            "at": self.at,
            "department": _clean(self.department),
            "client": _clean(self.client),
            "person": _clean_or_none(self.person),
            "purpose": _clean_or_none(self.purpose),
            "operation_name": _clean_or_none(self.operation_name),
            "operation_hash": self.operation_hash,
            "document_kind": self.document_kind,
            "paths": [_clean(path) for path in self.paths],
            "items": self.items if type(self.items) is dict else dict(self.items),
            "grants": self.grants,
            "rows": self.rows if type(self.rows) is dict else dict(self.rows),
            "outcome": self.outcome,
            "codes": self.codes,
            "duration_us": self.duration_us,
            "node": self.node,
            "export": self.export,
        }
        written: bytes = orjson.dumps(row)
        return written


def _clean(text: str) -> str:
    if len(text) <= MAX_NAME and text.isascii() and "\x00" not in text:
        return text
    text = text[:MAX_NAME]
    if "\x00" in text:
        text = text.replace("\x00", _REPLACEMENT)
    if text.isascii():
        return text
    return text.encode("utf-8", "replace").decode() if _has_surrogate(text) else text


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _clean_or_none(text: str | None) -> str | None:
    return None if text is None else _clean(text)
