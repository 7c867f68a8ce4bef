"""docs/how-to/keep-a-catalogue.md, worked through from top to bottom by the departments that it names."""

import re
from typing import Any

from graphql import parse, validate

from schema.unified import UnifiedSchema
from tanglai.catalogue.model import Category
from tanglai.catalogue.rules import DeadlineKind, rule_set
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.publishing import CatalogueChange
from tanglai.storage.workflow.impact import LOOK_BACK
from tests.docs.documents import HOW_TO, blocks, read
from tests.entries import register
from tests.office import CATEGORIES, Office

PAGE = HOW_TO / "keep-a-catalogue.md"


async def test_the_page_works(platform: PlatformDatabase, demo_schema: UnifiedSchema) -> None:
    vehicles = Category("301020", "机动车管理", "vehicles", "301")
    await platform.publish(CatalogueChange(by="test", categories=(*CATEGORIES, vehicles)))
    office = await Office.open(platform, [register(code="301020/1", category="301020", word="vehicle")])
    known: dict[str, Any] = {}
    told = []
    for block in (it for it in blocks(PAGE) if it.language == "graphql"):
        assert [error.message for error in validate(demo_schema.graphql, parse(block.text))] == [], str(block)
        by, department, role = block.note.split(" ")
        assert by == "by:"
        code = (await office.snapshot()).department_by_key[department].code
        given = {name: known[name] for name in re.findall(r"\$(\w+):", block.text)}
        (answer,) = (await office.ask(code, block.text, roles=role, **given)).values()
        told.append(answer)
        known |= {name: answer[name] for name in ("id", "version") if name in answer}
        if answer.get("impact"):
            known["mark"] = answer["impact"]["mark"]
    drafted, amended, published, opened, local = told
    assert [problem["field"][1:] for problem in drafted["problems"]] == [
        ["items", "2", "condition"],
        ["items", "3", "condition"],
    ]
    assert [it["coordinate"] for it in amended["impact"]["breaks"]] == ["PermitsData.vehicle"]
    assert (published["state"], published["closed"]) == ("PUBLISHED", True)
    assert opened["obligations"][0]["deadlines"] == [{"dueOn": "2026-09-21", "overdue": False}]
    assert local["resources"] == {"totalCount": 1, "nodes": [{"code": "301020/1", "title": "机动车"}]}


def test_the_figures_of_the_page_are_the_programs() -> None:
    text = " ".join(read(PAGE).split())
    measures, order = (rule_set(name).deadlines for name in ("ningxia-measures", "order-809"))
    assert f"within {measures[DeadlineKind.OBLIGATION].days} working days (Art. 8)" in text
    assert f"under `order-809` {order[DeadlineKind.OBLIGATION].days} (Art. 17)" in text
    assert f"the competent department has {order[DeadlineKind.AUDIT].days} working days" in text
    assert LOOK_BACK.days == 400  # as the schema says of clients and operations
