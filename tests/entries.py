"""In charge of lawful catalogue entries for tests: resources of the police's catalogue, and drafts of them."""

from typing import Any

from tanglai.catalogue.documents import resource_to_document
from tanglai.catalogue.model import Branch, Item, Resource, ShareClass
from tests.catalogues import make_item, make_resource
from tests.office import DEPARTMENTS, POLICE

CONDITION = "履行职责需要的，经提供部门同意"


def register(*more: Item, code: str = "301/1", word: str = "permit", **changes: Any) -> Resource:
    """A lawful resource of the police: `number` and `name` unconditional, `phone` and `division` conditional."""
    items = (
        make_item("number", nullable=False),
        make_item("name"),
        make_item("phone", share_class=ShareClass.CONDITIONAL),
        make_item("division", share_class=ShareClass.CONDITIONAL),
        *more,
    )
    made: dict[str, Any] = {
        "code": code,
        "category": "301",
        "provider": next(it for it in DEPARTMENTS if it.code == POLICE),
        "branch": Branch.DEPARTMENTAL,
        "condition": CONDITION,
        "keys": [["number"]],
        "group": "permits",
    }
    return make_resource(word, changes.pop("items", items), **(made | changes))


def draft(resource: Resource, **changes: Any) -> dict[str, Any]:
    """`resource` as the document of a draft; None takes a part out."""
    document = resource_to_document(resource, stamped=False) | changes
    return {name: value for name, value in document.items() if value is not None}


def without(document: dict[str, Any], *names: str) -> dict[str, Any]:
    """The draft without the items `names`."""
    return document | {"items": [item for item in document["items"] if item["name"] not in names]}
