"""In charge of differences between two versions of a resource as GraphQL types."""

import strawberry

from schema.fixed.enums import described
from tanglai.catalogue import model
from tanglai.catalogue.workflow import versions
from tanglai.catalogue.workflow.versions import Part, PartChange

described(
    Part,
    "What of a resource differs.",
    {
        "RESOURCE": "Attributes of the resource itself.",
        "ITEM": "An item.",
        "RELATION": "A relation.",
        "KEY": "A key.",
    },
    "ResourcePart",
)


@strawberry.type(description="An attribute that differs between two versions.")
class AttributeChange:
    name: str = strawberry.field(description="Its name in catalogue files.")
    before: str | None = strawberry.field(description="Its value before, as JSON; null where it was not given.")
    after: str | None = strawberry.field(description="Its value after, as JSON; null where it is not given.")


@strawberry.type(description="A part that differs between two versions of a resource.")
class VersionDifference:
    part: Part = strawberry.field(description="What it is.")
    name: str = strawberry.field(
        description="Name of the item or relation, of a key its items joined by commas; empty for the resource itself."
    )
    title: str = strawberry.field(description="Its title; of a removed one the former.")
    change: PartChange = strawberry.field(description="What happened.")
    attributes: list[AttributeChange] = strawberry.field(description="Attributes that differ, of a changed part.")


def differences(old: model.Resource | None, new: model.Resource | None) -> list[VersionDifference]:
    """What differs between two versions."""
    return [
        VersionDifference(
            part=it.part,
            name=it.name,
            title=it.title,
            change=it.change,
            attributes=[AttributeChange(name=at.name, before=at.before, after=at.after) for at in it.attributes],
        )
        for it in versions.differences(old, new)
    ]
