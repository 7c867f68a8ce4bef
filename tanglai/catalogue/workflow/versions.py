"""In charge of differences between two versions of a resource, and of what they break for grants and clients."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from tanglai.catalogue.client_changes import Impact, schema_changes
from tanglai.catalogue.documents import DocumentError, grant_from_document, grant_to_document, resource_to_document
from tanglai.catalogue.model import Grant, Resource, Snapshot


class Part(StrEnum):
    """What of a resource differs."""

    RESOURCE = "RESOURCE"
    ITEM = "ITEM"
    RELATION = "RELATION"
    KEY = "KEY"


class PartChange(StrEnum):
    ADDED = "ADDED"
    CHANGED = "CHANGED"
    REMOVED = "REMOVED"


@dataclass(frozen=True, slots=True)
class AttributeChange:
    """An attribute by its name in catalogue files. Values are JSON as there; None: it is not given."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Difference:
    """A part that differs. `name`: of an item or relation its own, of a key its items, joined by commas, else empty."""

    part: Part
    name: str
    title: str
    change: PartChange
    attributes: tuple[AttributeChange, ...] = ()


@dataclass(frozen=True, slots=True)
class Break:
    """Something that clients will miss. `coordinate` names the type or field of the schema, `words` say it.

    `parts` are items and relations of the old version by name: who used none of them is not hit; empty hits every user.
    """

    impact: Impact
    resource: str
    coordinate: str
    words: str
    parts: tuple[str, ...] = ()


class Loss(StrEnum):
    """How a grant is hit by a new version of its resource."""

    RESOURCE = "RESOURCE"  # the resource is retired
    ITEM = "ITEM"
    RELATION = "RELATION"
    MASK = "MASK"  # the mask under which an item is shown; the item is not shown any more
    SCOPE = "SCOPE"  # the rows can no longer be told: publication is refused


@dataclass(frozen=True, slots=True)
class Hit:
    """What a grant loses. `name` is that of the item or relation, empty for the whole resource."""

    loss: Loss
    name: str


def differences(old: Resource | None, new: Resource | None) -> tuple[Difference, ...]:
    """What differs between two versions: attributes of the resource, its keys, items and relations.

    Parts of `new` in its order, then those of `old` that are gone. None: there is no such version; what is then new or
    gone as a whole is told part by part too.
    """
    before, after = _document(old), _document(new)
    found: list[Difference] = []
    attributes = tuple(_attributes(_plain(before), _plain(after)))
    if attributes:
        change = PartChange.CHANGED if before and after else PartChange.ADDED if after else PartChange.REMOVED
        found.append(Difference(Part.RESOURCE, "", str((after or before)["title"]), change, attributes))
    found += _of(Part.KEY, _keys(before), _keys(after))
    found += _of(Part.ITEM, _named(before, "items"), _named(after, "items"))
    found += _of(Part.RELATION, _named(before, "relations"), _named(after, "relations"))
    return tuple(found)


def _document(resource: Resource | None) -> dict[str, Any]:
    """The document with what items and relations inherit written out, so that it is compared as it holds."""
    if resource is None:
        return {}
    document = resource_to_document(resource, stamped=False)
    for item, entry in zip(resource.items, document["items"], strict=True):
        entry["shareClass"], entry["graphql"] = item.share_class.value, item.graphql
    for relation, entry in zip(resource.relations, document.get("relations", ()), strict=True):
        entry["shareClass"], entry["graphql"] = relation.share_class.value, relation.graphql
    return document


def _plain(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in ("kind", "keys", "items", "relations")}


def _named(document: Mapping[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    return {entry["name"]: entry for entry in document.get(kind, ())}


def _keys(document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {",".join(items): {"title": ", ".join(items)} for items in document.get("keys", ())}


def _of(part: Part, before: Mapping[str, dict[str, Any]], after: Mapping[str, dict[str, Any]]) -> Iterator[Difference]:
    for name, entry in after.items():
        was = before.get(name)
        if was is None:
            yield Difference(part, name, entry["title"], PartChange.ADDED)
        elif was != entry:
            yield Difference(part, name, entry["title"], PartChange.CHANGED, tuple(_attributes(was, entry)))
    for name, entry in before.items():
        if name not in after:
            yield Difference(part, name, entry["title"], PartChange.REMOVED)


def _attributes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[AttributeChange]:
    for name in dict.fromkeys([*after, *before]):
        if before.get(name) != after.get(name):
            yield AttributeChange(name, _text(before, name), _text(after, name))


def _text(document: Mapping[str, Any], name: str) -> str | None:
    return json.dumps(document[name], ensure_ascii=False) if name in document else None


def with_versions(snapshot: Snapshot, new: Mapping[str, Resource | None]) -> Snapshot:
    """`snapshot` as it would be with the resources `new`, by code; None: retired."""
    resources = {code: found for code, found in (dict(snapshot.resources) | dict(new)).items() if found is not None}
    return replace(snapshot, resources=resources)


def breaks(old: Snapshot, new: Snapshot, codes: Sequence[str]) -> tuple[Break, ...]:
    """What clients of `old` will miss in `new` of the resources `codes` and of those that relations link with them.

    BREAKING: operations that were valid are not any more; RESTRICTING: they show less.
    """
    around = set(codes)
    for snapshot in (old, new):
        for code in codes:
            resource = snapshot.resources.get(code)
            around |= {relation.target for relation in resource.relations} if resource is not None else set()
    found = [
        Break(change.impact, change.resource, change.coordinate, change.words, change.parts)
        for change in schema_changes(old, new, around)
        if change.impact is not Impact.SAFE
    ]
    for code in codes:
        was, now = old.resources.get(code), new.resources.get(code)
        if was is not None and now is not None and was.zone is now.zone is old.zone:
            found += _less(was, now)
    return tuple(found)


def _less(was: Resource, now: Resource) -> Iterator[Break]:
    """What operations notice not in the schema but in the answers: values that may be absent, masks that are gone."""
    for item in now.items:
        before, coordinate = was.item_by_name.get(item.name), f"{now.names.type}.{item.graphql}"
        if before is None:
            continue
        if item.nullable and not before.nullable:
            words = f"`{coordinate}` may be without a value now"
            yield Break(Impact.RESTRICTING, now.code, coordinate, words, (item.name,))
        for named in before.masks:
            if item.mask(named.name) != named.mask:
                words = f"mask `{named.name}` of `{coordinate}` is gone or another one"
                yield Break(Impact.RESTRICTING, now.code, coordinate, words, (item.name,))


def hits(grant: Grant, now: Resource | None) -> tuple[Hit, ...]:
    """What `grant` loses with the version `now` of its resource; None: the resource is retired."""
    if now is None:
        return (Hit(Loss.RESOURCE, ""),)
    found = [Hit(Loss.ITEM, name) for name in sorted(grant.items) if name not in now.item_by_name]
    found += [Hit(Loss.RELATION, name) for name in sorted(grant.relations) if name not in now.relation_by_name]
    for name, mask in sorted(grant.masks.items()):
        item = now.item_by_name.get(name)
        if item is not None and item.mask(mask) is None:
            found.append(Hit(Loss.MASK, name))
    try:
        grant_from_document(grant_to_document(grant), {now.code: now})
    except DocumentError:
        found.append(Hit(Loss.SCOPE, ""))
    return tuple(found)
