"""In charge of the rules on relations: two ends in one zone that mirror each other."""

from collections.abc import Iterator

from tanglai.catalogue.checks_world import Finding, World
from tanglai.catalogue.documents_base import Path
from tanglai.catalogue.model import Relation, Resource


def relation_findings(resource: Resource, world: World) -> Iterator[Finding]:
    """What is wrong with the relations of `resource`, by the path in its document."""
    for index, relation in enumerate(resource.relations):
        path: Path = ("relations", index)
        target = world.resources.get(relation.target)
        if target is None:
            yield Finding("relation", (*path, "target"), f"unknown resource `{relation.target}`")
            continue
        if target.zone is not resource.zone:
            message = f"resource `{target.code}` stands in zone `{target.zone}`, this one in `{resource.zone}`"
            yield Finding("zone", (*path, "target"), message)
        yield from _links(resource, relation, target, path)
        yield from _inverse(resource, relation, target, path)


def _links(resource: Resource, relation: Relation, target: Resource, path: Path) -> Iterator[Finding]:
    if len(relation.items) != len(relation.target_items):
        yield Finding("relation", (*path, "targetItems"), "`items` and `targetItems` are not of one length")
        return
    for place, (here, there) in enumerate(zip(relation.items, relation.target_items, strict=True)):
        own, other = resource.item_by_name.get(here), target.item_by_name.get(there)
        if own is None:
            yield Finding("relation", (*path, "items", place), f"the resource has no item `{here}`")
        if other is None:
            message = f"resource `{target.code}` has no item `{there}`"
            yield Finding("relation", (*path, "targetItems", place), message)
        if own is None or other is None:
            continue
        if own.type is not other.type:
            message = f"`{here}` is of type {own.type}, `{there}` of type {other.type}"
            yield Finding("relation", (*path, "targetItems", place), message)
        elif not own.type.comparable:
            yield Finding("relation", (*path, "items", place), f"item `{here}` of type {own.type} has no equality")
    if not relation.many and not any(set(key.items) <= set(relation.target_items) for key in target.keys):
        message = f"`{relation.name}` leads to one row, but no key of `{target.code}` is among `targetItems`"
        yield Finding("relation", (*path, "many"), message)


def _inverse(resource: Resource, relation: Relation, target: Resource, path: Path) -> Iterator[Finding]:
    inverse = target.relation_by_name.get(relation.inverse)
    if inverse is None:
        message = f"resource `{target.code}` has no relation `{relation.inverse}`"
        yield Finding("relation", (*path, "inverse"), message)
        return
    if inverse.target != resource.code or inverse.inverse != relation.name:
        message = f"`{relation.inverse}` of resource `{target.code}` is not the other end of `{relation.name}`"
        yield Finding("relation", (*path, "inverse"), message)
    elif set(_pairs(relation)) != {(here, there) for there, here in _pairs(inverse)}:
        message = f"`{relation.inverse}` of resource `{target.code}` links other items than `{relation.name}`"
        yield Finding("relation", (*path, "items"), message)


def _pairs(relation: Relation) -> list[tuple[str, str]]:
    return list(zip(relation.items, relation.target_items, strict=False))
