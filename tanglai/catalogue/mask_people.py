"""In charge of whom the rows and items of a catalogue are about, whoever reads them."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from tanglai.catalogue.model import Content, Item, Relation, Resource

ItemKey: TypeAlias = tuple[str, str]
"""Code of a resource, name of an item."""

Person: TypeAlias = tuple[str, str | None]
"""Somebody whom rows of a resource are about: its code, and the identity number among its items, if it has any."""


class People:
    """All persons of `resources`. `contents`: content -> all items that have it, ordered."""

    def __init__(self, resources: Mapping[str, Resource]) -> None:
        self.resources = resources
        contents: dict[Content, list[ItemKey]] = defaultdict(list)
        self._persons: dict[str, tuple[Person, ...]] = {}
        self._of: dict[ItemKey, tuple[Person, ...]] = {}
        self._about: dict[Person, list[ItemKey]] = defaultdict(list)
        for code, resource in sorted(resources.items()):
            numbers = [item.name for item in resource.items if item.content is Content.IDENTITY_NUMBER]
            self._persons[code] = tuple((code, name) for name in numbers) or ((code, None),)
            for item in resource.items:
                if item.content is None:
                    continue
                key = code, item.name
                contents[item.content].append(key)
                self._of[key] = tuple(p for p in self._persons[code] if _tells_of(item, p[1]))
                for person in self._of[key]:
                    self._about[person].append(key)
        self.contents: Mapping[Content, Sequence[ItemKey]] = contents

    def content(self, key: ItemKey) -> Content | None:
        """What item `key` tells of somebody."""
        return self.resources[key[0]].item_by_name[key[1]].content

    def of(self, key: ItemKey) -> Sequence[Person]:
        """Whom item `key` tells of: several where it does not say whom; nobody where it has no content."""
        return self._of.get(key, ())

    def about(self, person: Person) -> Sequence[ItemKey]:
        """The items with a content that tell of `person`."""
        return self._about.get(person, ())

    def across(self, person: Person, resource: Resource, relation: Relation, inverse: Relation) -> Iterator[Person]:
        """Who at the other end of `relation` of `resource` is the same person as `person` of that resource."""
        target = self.resources[relation.target]
        persons = self._persons[target.code]
        for item, target_item in zip(relation.items, relation.target_items, strict=False):
            if item == person[1]:
                yield from (other for other in persons if other[1] in (target_item, None))
            elif person[1] is None and (target.code, target_item) in persons:
                yield target.code, target_item
        same = resource.subject is not None and resource.subject == target.subject and resource.code != target.code
        if same and len(persons) == len(self._persons[resource.code]) == 1:
            one_to_one = not (relation.many or inverse.many)
            if one_to_one or None in (person[1], persons[0][1]):
                yield persons[0]


def _tells_of(item: Item, number: str | None) -> bool:
    if item.content is Content.IDENTITY_NUMBER:
        return item.name == number
    return item.of is None or item.of == number
