"""In charge of the resources of the plays: each has the same items, of every share class."""

from typing import Any

from tanglai.catalogue.model import BasisType, Branch, Department, LegalBasis, Resource, ShareClass
from tests.catalogues import make_item, make_resource
from tests.entries import CONDITION
from tests.office import DEPARTMENTS

CITY_CODE = "301/2"
_BASIS = LegalBasis(BasisType.LAW, "个人信息保护法", "第二十八条")


def _lawful(code: str, word: str, provider: Department, source: str) -> Resource:
    items = (
        make_item("name", nullable=False),
        *(make_item(name, share_class=ShareClass.CONDITIONAL) for name in ("phone", "address", "division")),
        make_item("note", share_class=ShareClass.NOT_SHARED, legal_basis=_BASIS),
    )
    more: dict[str, Any] = {"category": "301", "branch": Branch.DEPARTMENTAL, "condition": CONDITION}
    return make_resource(
        word, items, code=code, provider=provider, source=source, keys=[["name"]], group="permits", **more
    )


RESOURCES = (
    _lawful("301/1", "permit", DEPARTMENTS[1], "main"),
    _lawful(CITY_CODE, "citypermit", DEPARTMENTS[4], "city"),
)


def register(title: str) -> Resource:
    """A new resource of the police that is like no other."""
    return _lawful("301/999", f"register{title.removeprefix('许可')}", DEPARTMENTS[1], "main")
