"""docs/how-to/webhooks.md: its operations are valid, its verification works, its figures are those of the program."""

import hashlib
import hmac
from datetime import UTC, date, datetime
from typing import Any

import orjson
from graphql import parse, validate

from connectors.webhooks import SEND_SECONDS, signature
from schema.unified import UnifiedSchema
from tanglai.catalogue.workflow.machines import MatterKind
from tanglai.catalogue.workflow.webhooks import KEPT_DAYS, MAX_ATTEMPTS, MOST_WEBHOOKS, DeliveryState, wait_after
from tanglai.server.courier import body
from tanglai.storage.workflow.webhooks import Attempt, Delivery
from tests.docs.documents import HOW_TO, blocks

PAGE = HOW_TO / "webhooks.md"
FRONTEND = HOW_TO / "query-as-a-frontend-developer.md"


def test_operations_are_valid(demo_schema: UnifiedSchema) -> None:
    found = [block for page in (PAGE, FRONTEND) for block in blocks(page) if block.language == "text"]
    operations = [one for one in found if one.text.startswith(("mutation", "query", "subscription"))]
    assert len(operations) == 5
    for block in operations:
        assert [error.message for error in validate(demo_schema.graphql, parse(block.text))] == [], str(block)


def test_the_body_is_the_one_that_is_sent() -> None:
    (example,) = (orjson.loads(block.text) for block in blocks(PAGE) if block.language == "json")
    at = datetime(2026, 3, 2, 4, tzinfo=UTC)
    delivery = Delivery(
        example["id"],
        "W-1",
        "task.APPLICATION",
        "A-2026-000001",
        None,
        "reviewer",
        date(2026, 3, 16),
        at,
        DeliveryState.PENDING,
        1,
        at,
        at,
        None,
        None,
    )
    sent = body(Attempt(delivery, example["department"], "https://x", "secret", MatterKind.APPLICATION))
    assert orjson.loads(sent) == example


def test_the_verification_of_the_page_works() -> None:
    (code,) = (block.text for block in blocks(PAGE) if block.language == "python")
    names: dict[str, Any] = {}
    exec(compile(code, str(PAGE), "exec"), names)
    is_genuine = names["is_genuine"]
    headers = {"tanglai-timestamp": "1700000000", "tanglai-signature": signature("secret", 1_700_000_000, b"{}")}
    assert is_genuine(headers, b"{}", "secret", 1_700_000_299)
    assert not is_genuine(headers, b"{}", "secret", 1_700_000_301)
    assert not is_genuine(headers, b"{ }", "secret", 1_700_000_000)
    assert not is_genuine(headers, b"{}", "other", 1_700_000_000)
    assert not is_genuine({**headers, "tanglai-timestamp": "1700000001"}, b"{}", "secret", 1_700_000_000)
    assert headers["tanglai-signature"] == "v1=" + hmac.new(b"secret", b"1700000000.{}", hashlib.sha256).hexdigest()


def test_figures() -> None:
    text = PAGE.read_text(encoding="utf-8").replace("\n", " ")
    hours = sum(wait_after(attempt, 1) for attempt in range(1, MAX_ATTEMPTS)) / 3600
    assert f"There are {MAX_ATTEMPTS} of them" in text
    assert f"some {hours / 2:.0f} to {hours:.0f} hours in all" in text
    assert f"at most {MOST_WEBHOOKS} webhooks" in text
    assert f"within {SEND_SECONDS:g} seconds" in text
    assert f"forgotten after {KEPT_DAYS} days" in text
