"""In charge of what a report of doubted data says, and what the provider may answer (Order 809 Art. 26)."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from tanglai.catalogue.model import Resource, Snapshot
from tanglai.catalogue.workflow.application import MOST_CHARACTERS
from tanglai.catalogue.workflow.errors import InvalidAct, Problem, ProblemCode

ARTICLE = "Order 809 Art. 26"
MOST_ROW = 8_192
"""Characters of a row's id."""

REPORTED = ("item", "row", "doubt", "proposed", "purpose")
"""Members of a report: an item's name, the id of a data row, why it is doubted, what is right, the purpose of use."""


class CorrectionAnswer(StrEnum):
    """What came of the provider's check; the state of the matter has the same name."""

    CORRECTED = "CORRECTED"
    DISMISSED = "DISMISSED"


def reported(
    code: str, document: Mapping[str, Any], *, reporter: str, snapshot: Snapshot
) -> tuple[Resource, dict[str, Any]]:
    """The resource of a report and the report as it is kept. Raises InvalidAct with everything that is wrong.

    Whether the reporter sees the item on that row is not known here.
    """
    problems = [
        Problem((name,), ProblemCode.MISSING, f"`{name}` is missing", ARTICLE)
        for name in ("item", "row", "doubt")
        if not str(document.get(name) or "").strip()
    ]
    for name, most in (("doubt", MOST_CHARACTERS), ("proposed", MOST_CHARACTERS), ("row", MOST_ROW)):
        if len(document.get(name) or "") > most:
            problems.append(Problem((name,), ProblemCode.MALFORMED, f"longer than {most:,} characters"))
    resource = snapshot.resources.get(code)
    if resource is None:
        problems.append(Problem(("resource",), ProblemCode.UNKNOWN, f"unknown resource `{code}`", "Art. 7"))
        raise InvalidAct(problems)
    if document.get("item") and document["item"] not in resource.item_by_name:
        message = f"resource `{code}` has no item `{document['item']}`"
        problems.append(Problem(("item",), ProblemCode.UNKNOWN, message))
    if resource.zone is not snapshot.zone:
        message = f"resource `{code}` is served by the {resource.zone.value.lower()} platform: report there"
        problems.append(Problem(("resource",), ProblemCode.NOT_ALLOWED, message, "Art. 5"))
    if resource.provider == reporter:
        message = "the data are the department's own: correct them where they are kept"
        problems.append(Problem(("resource",), ProblemCode.NOT_ALLOWED, message, "Art. 7"))
    if problems:
        raise InvalidAct(problems)
    return resource, {name: document[name] for name in REPORTED if document.get(name)}


def not_seen() -> InvalidAct:
    """What is told of a row that is absent, not of the resource, or on which the item is not shown: always the same."""
    message = "the item is not shown on that row: what one does not see one cannot doubt"
    return InvalidAct([Problem(("row",), ProblemCode.NOT_ALLOWED, message, ARTICLE)])
