"""In charge of what a department can read of one person: over all its grants and purposes, and across resources."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tanglai.catalogue.expressions import (
    Compare,
    CompareOp,
    Expression,
    In,
    ItemRef,
    Match,
    Value,
    Within,
    leaves,
)
from tanglai.catalogue.masks import Mask, MaskKind
from tanglai.catalogue.model import Content, Grant, Item, Relation, Resource, ShareClass, Snapshot

ItemKey: TypeAlias = tuple[str, str]
"""Code of a resource, name of an item."""

_Person: TypeAlias = tuple[str, str | None]
"""Somebody whom rows of a resource are about: its code, and the identity number among its items, if it has any."""

_IDENTIFYING = (Content.IDENTITY_NUMBER, Content.MOBILE, Content.EMAIL, Content.BANK_ACCOUNT)
"""Contents of which two equal values are of one person."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a scope tells of an item on the rows that it opens, taken for the worst: behind a NOT it tells less.

    `value`: that it is one of some values, not only in an order or like a part. `start`: of a text, how many of its
    first characters, None for all.
    """

    value: bool
    start: int | None


def contents(catalogue: Snapshot) -> Mapping[Content, Sequence[ItemKey]]:
    """Content -> all items that have it."""
    found: dict[Content, list[ItemKey]] = defaultdict(list)
    for code, resource in sorted(catalogue.resources.items()):
        for item in resource.items:
            if item.content is not None:
                found[item.content].append((code, item.name))
    return found


class Sight:
    """What `grants`, live and of one requester, open together, with what is unconditional and the requester's own.

    Purposes and times are left aside, and so are the rows of scopes: what is read for one purpose is known for the
    next, and no two scopes are known to be of different people. Unconditional items count under every rule set: Order
    809 asks for an application that is not refused. `scopes`: what scopes tell of an item.
    """

    def __init__(
        self, grants: Sequence[Grant], catalogue: Snapshot, contents: Mapping[Content, Sequence[ItemKey]]
    ) -> None:
        self.requester = grants[0].requester
        self.resources = catalogue.resources
        self.catalogue = catalogue
        self.contents = contents
        self.scopes: dict[ItemKey, list[Told]] = defaultdict(list)
        masks: dict[ItemKey, list[Mask]] = defaultdict(list)
        self._clear: set[ItemKey] = set()
        self._purposes: dict[tuple[str, str], set[str]] = defaultdict(set)
        for grant in grants:
            resource = self.resources.get(grant.resource)
            if resource is None:
                continue
            for name in grant.items & resource.item_by_name.keys():
                if name not in grant.masks:
                    self._clear.add((resource.code, name))
                    continue
                mask = resource.item_by_name[name].mask(grant.masks[name])
                if mask is not None and mask not in masks[resource.code, name]:
                    masks[resource.code, name].append(mask)
            for name in grant.relations:
                self._purposes[resource.code, name].add(grant.purpose)
            for name, told in _told(grant.scope):
                self.scopes[resource.code, name].append(told)
        self.masks: Mapping[ItemKey, Sequence[Mask]] = {key: found for key, found in masks.items() if found}

    def always_clear(self, key: ItemKey) -> bool:
        """Whether the item is clear without any grant: unconditional, or the requester's own (authorization.md)."""
        resource = self.resources[key[0]]
        return self._own(resource) or resource.item_by_name[key[1]].share_class is ShareClass.UNCONDITIONAL

    def clear(self, key: ItemKey) -> bool:
        """Whether the item is clear on some rows."""
        return key in self._clear or self.always_clear(key)

    def joined(self, start: ItemKey) -> Sequence[ItemKey]:
        """The items with a content that tell of a person of whom item `start` tells, wherever that is.

        Rows of one resource are joined by their handles. Rows of two are joined by relations that are open to the
        requester or whose keys are clear to it at both ends, by equal numbers that identify a person, and by equal
        pseudonyms. A mask is judged where it holds: what joins rows by the masked item in clear does not count.
        """
        found: dict[ItemKey, None] = {}
        first = self._persons_of(start)
        seen, open_ = set(first), list(first)
        while open_:
            person = open_.pop()
            for key in self._about(person):
                found.setdefault(key)
            for other in self._beside(person, start):
                if other not in seen:
                    seen.add(other)
                    open_.append(other)
        return sorted(found)

    def _own(self, resource: Resource) -> bool:
        source = self.catalogue.sources.get(resource.binding.source)
        return source is not None and source.department == self.requester

    def _persons(self, resource: Resource) -> Sequence[_Person]:
        numbers = [item.name for item in resource.items if item.content is Content.IDENTITY_NUMBER]
        return [(resource.code, name) for name in numbers] or [(resource.code, None)]

    def _persons_of(self, key: ItemKey) -> Sequence[_Person]:
        resource = self.resources[key[0]]
        return [p for p in self._persons(resource) if _tells_of(resource.item_by_name[key[1]], p[1])]

    def _about(self, person: _Person) -> Iterator[ItemKey]:
        resource = self.resources[person[0]]
        for item in resource.items:
            if item.content is not None and _tells_of(item, person[1]):
                yield resource.code, item.name

    def _beside(self, person: _Person, start: ItemKey) -> Iterator[_Person]:
        resource = self.resources[person[0]]
        for relation in resource.relations:
            target = self.resources.get(relation.target)
            if target is not None and self._open(resource, relation, target, start):
                yield from self._across(person, resource, relation, target)
        for key in self._about(person):
            content = resource.item_by_name[key[1]].content
            if content not in _IDENTIFYING:
                continue
            clear, pseudonym = key != start and self.clear(key), self._pseudonym(key)
            for other in self.contents[content]:
                alike = (clear and other != start and self.clear(other)) or (pseudonym and self._pseudonym(other))
                if other != key and alike:
                    yield from self._persons_of(other)

    def _across(self, person: _Person, resource: Resource, relation: Relation, target: Resource) -> Iterator[_Person]:
        """Who at the other end of an open relation is the same person."""
        persons = self._persons(target)
        for item, target_item in zip(relation.items, relation.target_items, strict=False):
            if item == person[1]:
                yield from (other for other in persons if other[1] in (target_item, None))
            elif person[1] is None and (target.code, target_item) in persons:
                yield target.code, target_item
        inverse = target.relation_by_name.get(relation.inverse)
        same = resource.subject is not None and resource.subject == target.subject and resource.code != target.code
        if same and inverse is not None and len(persons) == len(self._persons(resource)) == 1:
            one_to_one = not (relation.many or inverse.many)
            if one_to_one or None in (person[1], persons[0][1]):
                yield persons[0]

    def _pseudonym(self, key: ItemKey) -> bool:
        return any(mask.kind is MaskKind.PSEUDONYM for mask in self.masks.get(key, ()))

    def _open(self, resource: Resource, relation: Relation, target: Resource, start: ItemKey) -> bool:
        inverse = target.relation_by_name.get(relation.inverse)
        if inverse is None:
            return False
        try:
            if self.catalogue.relation_class(resource, relation) is ShareClass.UNCONDITIONAL:
                return True
        except KeyError:  # a key item that is not there; rule `relation` tells of it
            return False
        ends = (resource, relation.name), (target, inverse.name)
        granted = [self._purposes.get((end.code, name), set()) for end, name in ends if not self._own(end)]
        if not granted or set.intersection(*granted):
            return True
        keys = [(resource.code, name) for name in relation.items] + [(target.code, n) for n in relation.target_items]
        return all(key != start and self.clear(key) for key in keys)


def _told(scope: Expression) -> Iterator[tuple[str, Told]]:
    """The items that a scope is over, each with what it tells. That something is null tells nothing of a person."""
    for test in leaves(scope, Compare) + leaves(scope, In) + leaves(scope, Match) + leaves(scope, Within):
        value = isinstance(test, In) or (isinstance(test, Compare) and test.op is CompareOp.EQ)
        needle = test.needle if isinstance(test, Match) else None
        start = len(needle.value) if isinstance(needle, Value) else None
        for reference in leaves(test, ItemRef):
            yield reference.name, Told(value, start)


def _tells_of(item: Item, number: str | None) -> bool:
    if item.content is Content.IDENTITY_NUMBER:
        return item.name == number
    return item.of is None or item.of == number
