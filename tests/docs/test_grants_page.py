"""docs/how-to/suspend-and-end-grants.md, worked through from top to bottom by the departments that it names."""

import re
from typing import Any

from graphql import parse, validate

from schema.unified import UnifiedSchema
from tanglai.catalogue.workflow.grant_life import expiry_reminders
from tanglai.server.housekeeping import EVERY_SECONDS
from tests.docs.documents import HOW_TO, blocks, read
from tests.granted import granted
from tests.office import Office

PAGE = HOW_TO / "suspend-and-end-grants.md"
STATES = [None, "OPEN", "REPORTED", "RESUMED", "PROPOSED", "AGREED", "FILED", "STATED"]


async def test_the_page_works(office: Office, demo_schema: UnifiedSchema) -> None:
    await granted(office)
    snapshot = await office.snapshot()
    known: dict[str, Any] = {"grant": "g1"}
    states = []
    for block in blocks(PAGE):
        assert [error.message for error in validate(demo_schema.graphql, parse(block.text))] == [], str(block)
        by, department, role = block.note.split(" ")
        assert by == "by:"
        given = {name: known[name] for name in re.findall(r"\$(\w+):", block.text)}
        data = await office.ask(snapshot.department_by_key[department].code, block.text, roles=role, **given)
        (answer,) = data.values()
        states.append(answer.get("state"))
        known |= {name: answer[name] for name in ("id", "version") if name in answer}
        if "nodes" in answer:
            assert [node["id"] for node in answer["nodes"]] == ["g1"]
    assert states == STATES


def test_the_figures_of_the_page_are_the_programs() -> None:
    text = " ".join(read(PAGE).split())
    first, second = expiry_reminders()
    assert f"{first} and {second} working days before" in text
    assert EVERY_SECONDS <= 30.0
