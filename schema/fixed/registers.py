"""In charge of the catalogue's registers as GraphQL types: departments, divisions, purposes, classification."""

from collections.abc import Iterable
from datetime import date

import strawberry

from schema.fixed.ids import global_id
from schema.fixed.resolved import Info, resolved
from tanglai.catalogue import model


@strawberry.interface(description="Anything with a global id, by which `node` finds it again.")
class Node:
    id: strawberry.ID = strawberry.field(description="Global id; opaque.")


@strawberry.type(description="An administrative division (GB/T 2260). Codes change over time.")
class Division(Node):
    code: str = strawberry.field(description="Six digits.")
    name: str = strawberry.field(description="Chinese name.")
    name_en: str = strawberry.field(description="English name.")
    valid_from: date = strawberry.field(description="First day on which the code is valid.")
    valid_to: date | None = strawberry.field(description="First day on which it is not valid any more; null for never.")
    _successor: strawberry.Private[str | None]

    @resolved("The division that a former code went over into.")
    def successor(self, info: Info) -> "Division | None":
        return division(info, self._successor)


@strawberry.type(description="A department or organisation, identified by its unified social credit code.")
class Department(Node):
    code: str = strawberry.field(description="Unified social credit code.")
    key: str = strawberry.field(description="Short handle for people.")
    name: str = strawberry.field(description="Chinese name.")
    name_en: str = strawberry.field(description="English name.")
    level: model.Level = strawberry.field(description="Level of government.")
    kind: model.OrganisationKind = strawberry.field(description="Kind of organisation.")
    competent: bool = strawberry.field(description="Whether it is the competent department for data sharing (Art. 4).")
    active: bool = strawberry.field(description="Whether it takes part at present.")
    _division: strawberry.Private[str]

    @resolved("Its administrative division; null where the register does not have it.")
    def division(self, info: Info) -> Division | None:
        return division(info, self._division)


@strawberry.type(description="What data is used for; named in a grant and in every request that uses it.")
class Purpose(Node):
    code: str = strawberry.field(description="Its code, as in header `Purpose`.")
    title: str = strawberry.field(description="Chinese title.")
    title_en: str = strawberry.field(description="English title.")


@strawberry.type(description="A node of the catalogue's classification tree.")
class Category(Node):
    code: str = strawberry.field(description="Joined digits of 类, 项, 目 and 细目.")
    title: str = strawberry.field(description="Chinese title.")
    title_en: str = strawberry.field(description="English title.")
    _parent: strawberry.Private[str | None]
    _leads: strawberry.Private[tuple[str, ...]]

    @resolved("The departments that lead this base library or theme, one for each government (Art. 10(2), 10(3)).")
    def leads(self, info: Info) -> list[Department]:
        return [found for code in self._leads if (found := department(info, code)) is not None]

    @resolved("The node above; null for a root.")
    def parent(self, info: Info) -> "Category | None":
        return category(info, self._parent)

    @resolved("The nodes below, by code.")
    def children(self, info: Info) -> "list[Category]":
        return categories_below(info, self.code)


def department(info: Info, code: str | None) -> Department | None:
    """The department of a credit code, or None."""
    found = info.context.snapshot.departments.get(code or "")
    if found is None:
        return None
    return Department(
        id=strawberry.ID(global_id("Department", found.code)),
        code=found.code,
        key=found.key,
        name=found.name,
        name_en=found.name_en,
        level=found.level,
        kind=found.kind,
        competent=found.competent,
        active=found.active,
        _division=found.division,
    )


def division(info: Info, code: str | None) -> Division | None:
    """The division of a code, or None."""
    found = info.context.snapshot.divisions.get(code or "")
    if found is None:
        return None
    return Division(
        id=strawberry.ID(global_id("Division", found.code)),
        code=found.code,
        name=found.name,
        name_en=found.name_en,
        valid_from=found.valid_from,
        valid_to=found.valid_to,
        _successor=found.successor,
    )


def purpose(info: Info, code: str | None) -> Purpose | None:
    """The purpose of a code, or None."""
    found = info.context.snapshot.purposes.get(code or "")
    if found is None:
        return None
    return Purpose(
        id=strawberry.ID(global_id("Purpose", found.code)), code=found.code, title=found.title, title_en=found.title_en
    )


def purposes(info: Info, codes: Iterable[str]) -> list[Purpose]:
    """The known ones of `codes`, in their order."""
    return [found for code in codes if (found := purpose(info, code)) is not None]


def category(info: Info, code: str | None) -> Category | None:
    """The category of a code, or None."""
    found = info.context.snapshot.categories.get(code or "")
    if found is None:
        return None
    return Category(
        id=strawberry.ID(global_id("Category", found.code)),
        code=found.code,
        title=found.title,
        title_en=found.title_en,
        _parent=found.parent,
        _leads=found.leads,
    )


def categories_below(info: Info, parent: str | None) -> list[Category]:
    """The categories right below `parent` by code, the roots for None."""
    below = (code for code, node in sorted(info.context.snapshot.categories.items()) if node.parent == parent)
    return [found for code in below if (found := category(info, code)) is not None]
