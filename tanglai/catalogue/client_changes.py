"""In charge of what a new snapshot changes for clients of the schema, in the catalogue's words.

Worked out from the catalogue, not from the types, so that one resource among five thousand costs what it costs alone;
the tests hold it to graphql-core's own comparison of the two schemas.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from tanglai.catalogue.model import Item, Relation, Resource, ShareClass, Snapshot
from tanglai.catalogue.naming import aggregate_field_name, group_type_name, lookup_field_name


class Impact(StrEnum):
    BREAKING = "BREAKING"  # operations that were valid may not be any more
    RESTRICTING = "RESTRICTING"  # operations stay valid, but a stricter share class shows less
    SAFE = "SAFE"


@dataclass(frozen=True, slots=True)
class SchemaChange:
    """One change. `coordinate` names the type or field (`Resident.phone`) that it is about, `words` says it.

    `parts` are the items and relations of the old version, by catalogue name, of which an operation used one that it
    breaks; empty: any operation that used the resource.
    """

    impact: Impact
    resource: str
    coordinate: str
    words: str
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Linked:
    """A relation that the schema shows, with its target and the class that holds at both ends."""

    relation: Relation
    target: Resource
    share_class: ShareClass


def schema_changes(old: Snapshot, new: Snapshot, codes: Collection[str] | None = None) -> tuple[SchemaChange, ...]:
    """What clients of `old` find changed in `new`, by resource: what is gone, what differs, what is new.

    Titles and other words of descriptions do not count. `codes`: only of these resources; by default of all.
    """
    return tuple(_changes(old, new, old.resources.keys() | new.resources.keys() if codes is None else codes))


def _served(snapshot: Snapshot, code: str) -> Resource | None:
    found = snapshot.resources.get(code)
    return found if found is not None and found.zone is snapshot.zone else None


def _linked(snapshot: Snapshot, resource: Resource) -> tuple[_Linked, ...]:
    return tuple(
        _Linked(relation, target, snapshot.relation_class(resource, relation))
        for relation in resource.relations
        if (target := _served(snapshot, relation.target)) is not None
    )


def _changes(old: Snapshot, new: Snapshot, codes: Collection[str]) -> Iterator[SchemaChange]:
    for code in sorted(codes):
        was, now = _served(old, code), _served(new, code)
        if was is not None and now is not None:
            yield from _resource_changes(was, now, _linked(old, was), _linked(new, now))
        elif was is not None:
            yield SchemaChange(Impact.BREAKING, code, was.names.type, f"resource {_named(was)} is gone")
        elif now is not None:
            yield SchemaChange(Impact.SAFE, code, now.names.type, f"resource {_named(now)} is new")


def _named(resource: Resource) -> str:
    return f"`{resource.code}` (`{resource.names.type}`)"


def _resource_changes(
    was: Resource, now: Resource, old_links: tuple[_Linked, ...], new_links: tuple[_Linked, ...]
) -> Iterator[SchemaChange]:
    code, kind = now.code, now.names.type
    if was.names.type != kind:
        words = f"type `{was.names.type}` is called `{kind}` now, and so are its connection, where and order types"
        yield SchemaChange(Impact.BREAKING, code, was.names.type, words)
    yield from _group_changes(was, now)
    if was.binding.handle is not None and now.binding.handle is None:
        yield SchemaChange(Impact.BREAKING, code, f"{kind}.id", f"rows of `{kind}` have no `id` any more")
    elif was.binding.handle is None and now.binding.handle is not None:
        yield SchemaChange(Impact.SAFE, code, f"{kind}.id", f"rows of `{kind}` have an `id` now")
    yield from _item_changes(was, now)
    yield from _relation_changes(now, old_links, new_links)


def _group_changes(was: Resource, now: Resource) -> Iterator[SchemaChange]:
    """Fields under `data`: the list, the look-ups with their arguments, the aggregate."""
    old_group, new_group = group_type_name(was.names.group), group_type_name(now.names.group)
    old_fields, new_fields = _root_fields(was), _root_fields(now)
    keys = {lookup_field_name(was, key): key.items for key in was.keys}
    for name, arguments in old_fields.items():
        coordinate = f"{old_group}.{name}"
        if old_group != new_group or name not in new_fields:
            words = f"field `{coordinate}` is gone"
            yield SchemaChange(Impact.BREAKING, now.code, coordinate, words, keys.get(name, ()))
        elif arguments != new_fields[name]:
            words = f"field `{coordinate}` takes other arguments"
            yield SchemaChange(Impact.BREAKING, now.code, coordinate, words, keys.get(name, ()))
    for name in new_fields:
        if old_group != new_group or name not in old_fields:
            coordinate = f"{new_group}.{name}"
            yield SchemaChange(Impact.SAFE, now.code, coordinate, f"field `{coordinate}` is new")


def _root_fields(resource: Resource) -> Mapping[str, tuple[tuple[str, str], ...]]:
    """Name -> arguments that depend on the catalogue, with their types."""
    fields: dict[str, tuple[tuple[str, str], ...]] = {resource.names.list: ()}
    for key in resource.keys:
        items = [resource.item_by_name[name] for name in key.items]
        fields[lookup_field_name(resource, key)] = tuple(sorted((item.graphql, _type(item)) for item in items))
    return fields | {aggregate_field_name(resource.names): ()}


def _type(item: Item) -> str:
    return item.type.value


def _item_changes(was: Resource, now: Resource) -> Iterator[SchemaChange]:
    code, kind = now.code, now.names.type
    before = {item.graphql: item for item in was.items}
    after = {item.graphql: item for item in now.items}
    for name, item in before.items():
        if name not in after:
            words = f"item `{name}` of `{kind}` is gone"
            yield SchemaChange(Impact.BREAKING, code, f"{kind}.{name}", words, (item.name,))
        elif _type(item) != _type(after[name]):
            words = f"item `{name}` of `{kind}` is a `{_type(after[name])}` now, not a `{_type(item)}`"
            yield SchemaChange(Impact.BREAKING, code, f"{kind}.{name}", words, (item.name,))
        yield from _class_changes(code, f"{kind}.{name}", item.name, item, after.get(name))
    for name in after:
        if name not in before:
            yield SchemaChange(Impact.SAFE, code, f"{kind}.{name}", f"item `{name}` of `{kind}` is new")


def _class_changes(
    code: str, coordinate: str, part: str, was: Item | _Linked, now: Item | _Linked | None
) -> Iterator[SchemaChange]:
    if now is not None and was.share_class is not now.share_class:
        impact = Impact.RESTRICTING if now.share_class.strictness > was.share_class.strictness else Impact.SAFE
        words = f"`{coordinate}` is {now.share_class.value} now, not {was.share_class.value}"
        yield SchemaChange(impact, code, coordinate, words, (part,))


def _relation_changes(now: Resource, old: tuple[_Linked, ...], new: tuple[_Linked, ...]) -> Iterator[SchemaChange]:
    code, kind = now.code, now.names.type
    before = {linked.relation.graphql: linked for linked in old}
    after = {linked.relation.graphql: linked for linked in new}
    for name, linked in before.items():
        coordinate = f"{kind}.{name}"
        if name not in after:
            words, part = f"relation `{name}` of `{kind}` is gone", linked.relation.name
            yield SchemaChange(Impact.BREAKING, code, coordinate, words, (part,))
        elif _leads(linked) != _leads(after[name]):
            words = f"relation `{name}` of `{kind}` leads to {_words(after[name])} now, not to {_words(linked)}"
            yield SchemaChange(Impact.BREAKING, code, coordinate, words, (linked.relation.name,))
        yield from _class_changes(code, coordinate, linked.relation.name, linked, after.get(name))
    for name in after:
        if name not in before:
            yield SchemaChange(Impact.SAFE, code, f"{kind}.{name}", f"relation `{name}` of `{kind}` is new")


def _leads(linked: _Linked) -> tuple[str, bool]:
    return linked.target.names.type, linked.relation.many


def _words(linked: _Linked) -> str:
    return f"{'many' if linked.relation.many else 'one'} `{linked.target.names.type}`"
