"""Audit records as rows: total on what came from outside."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tanglai.audit.records import MAX_NAME, AuditRecord, Outcome


def make_record(**changes: Any) -> AuditRecord:
    values: dict[str, Any] = {
        "request_id": "r-1",
        "at": datetime(2026, 3, 2, 8, 0, tzinfo=UTC),
        "department": "11640000MB1A000021",
        "client": "desk",
        "person": "officer-7",
        "purpose": "assistance",
        "operation_name": "Residents",
        "operation_hash": "0" * 64,
        "document_kind": "text",
        "paths": ("data.population.residents",),
        "items": {"1010101/1": ("name", "phone")},
        "grants": ("G-1", "G-2"),
        "rows": {"1010101/1": 50},
        "outcome": Outcome.PARTIAL,
        "codes": ("GRANT_REQUIRED",),
        "duration_us": 1234,
        "node": "node",
    }
    return AuditRecord(**{**values, **changes})


def test_a_row() -> None:
    row = orjson.loads(make_record(at=datetime(2026, 3, 2, 16, 0, tzinfo=timezone(timedelta(hours=8)))).to_json())
    assert row["at"] == "2026-03-02T16:00:00+08:00"
    assert row["items"] == {"1010101/1": ["name", "phone"]}
    assert row["outcome"] == "PARTIAL"
    assert set(row) == set(AuditRecord.__slots__)


def test_a_time_has_a_zone() -> None:
    with pytest.raises(ValueError, match="zone"):
        make_record(at=datetime(2026, 3, 2)).to_json()


@given(st.text(st.characters(), max_size=2 * MAX_NAME))
def test_any_text_can_be_kept(text: str) -> None:
    row = make_record(operation_name=text, person=text, paths=(text,)).to_json()
    kept = orjson.loads(row)["operation_name"]
    assert "\x00" not in kept
    assert len(kept) <= MAX_NAME
    if text.isprintable():
        assert kept == text[:MAX_NAME]
