"""In charge of what a department can read of one person: over all its grants and purposes, and across resources."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

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
from tanglai.catalogue.mask_people import ItemKey, People, Person
from tanglai.catalogue.masks import Mask, MaskKind
from tanglai.catalogue.model import Content, Grant, Relation, Resource, ShareClass, Snapshot

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


@dataclass(frozen=True, slots=True, eq=False)
class Circle:
    """What tells of one person: `items` with a content, ordered. What two starts have in common is one object."""

    items: tuple[ItemKey, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Equals:
    """Items of which two equal values are of one person, each with whom it tells of: at least one person.

    `clear`: by what they show, on some rows, so that the masked item under judgement is none of them; else by equal
    pseudonyms.
    """

    clear: bool
    members: tuple[tuple[ItemKey, Sequence[Person]], ...]


class Sight:
    """What `grants`, live and of one requester, open together, with what is unconditional and the requester's own.

    Purposes and times are left aside, and so are the rows of scopes: what is read for one purpose is known for the
    next, and no two scopes are known to be of different people. Unconditional items count under every rule set: Order
    809 asks for an application that is not refused. `scopes`: what scopes tell of an item.
    """

    def __init__(self, grants: Sequence[Grant], catalogue: Snapshot, people: People) -> None:
        self.requester = grants[0].requester
        self.resources = catalogue.resources
        self.catalogue = catalogue
        self.people = people
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
        self._equals: dict[Content, Sequence[_Equals]] = {}
        self._linked: dict[Person, Sequence[tuple[frozenset[ItemKey], Person]]] = {}
        self._all: dict[Person, frozenset[Person]] = {}
        self._circles: dict[frozenset[Person], Circle] = {}

    def always_clear(self, key: ItemKey) -> bool:
        """Whether the item is clear without any grant: unconditional, or the requester's own (authorization.md)."""
        resource = self.resources[key[0]]
        return self._own(resource) or resource.item_by_name[key[1]].share_class is ShareClass.UNCONDITIONAL

    def clear(self, key: ItemKey) -> bool:
        """Whether the item is clear on some rows."""
        return key in self._clear or self.always_clear(key)

    def joined(self, start: ItemKey) -> Circle:
        """The items with a content that tell of a person of whom item `start` tells, wherever that is.

        Rows of one resource are joined by their handles. Rows of two are joined by relations that are open to the
        requester or whose keys are clear to it at both ends, by equal numbers that identify a person, and by equal
        pseudonyms. A mask is judged where it holds: what joins rows by the masked item in clear does not count.
        """
        persons = self.people.of(start)
        if self.clear(start):
            reached = self._reach(persons, start)
        else:  # it joins nothing in clear anyway
            reached = frozenset[Person]().union(*map(self._everywhere, persons))
        if reached not in self._circles:
            found = {key for person in reached for key in self.people.about(person)}
            self._circles[reached] = Circle(tuple(sorted(found)))
        return self._circles[reached]

    def _everywhere(self, person: Person) -> frozenset[Person]:
        # INVARIANT: who is the same as somebody is so in both directions (`_open` asks for both ends of a relation), so
        # all of them are found from any of them.
        if person not in self._all:
            together = self._reach([person], None)
            self._all.update(dict.fromkeys(together, together))
        return self._all[person]

    def _reach(self, persons: Sequence[Person], start: ItemKey | None) -> frozenset[Person]:
        """`persons` and who is the same as one of them without item `start` in clear."""
        seen, open_ = set(persons), list(persons)
        done: set[_Equals] = set()
        while open_:
            person = open_.pop()
            for needed, other in self._links(person):
                if start not in needed and other not in seen:
                    seen.add(other)
                    open_.append(other)
            for key in self.people.about(person):
                for equals in self._equal(key):
                    if equals in done or (equals.clear and key == start):
                        continue
                    done.add(equals)  # whoever comes first brings all the others
                    members = [of for member, of in equals.members if not (equals.clear and member == start)]
                    if len(members) > 1:
                        others = {other for of in members for other in of} - seen
                        seen |= others
                        open_ += others
        return frozenset(seen)

    def _own(self, resource: Resource) -> bool:
        source = self.catalogue.sources.get(resource.binding.source)
        return source is not None and source.department == self.requester

    def _links(self, person: Person) -> Sequence[tuple[frozenset[ItemKey], Person]]:
        """Who is the same by relations, with the items that must be clear for it."""
        if person not in self._linked:
            resource = self.resources[person[0]]
            found: dict[tuple[frozenset[ItemKey], Person], None] = {}
            for relation in resource.relations:
                inverse = self._inverse(resource, relation)
                needed = self._open(resource, relation, inverse) if inverse is not None else None
                if inverse is not None and needed is not None:
                    across = self.people.across(person, resource, relation, inverse)
                    found.update(dict.fromkeys((needed, other) for other in across))
            self._linked[person] = tuple(found)
        return self._linked[person]

    def _equal(self, key: ItemKey) -> Iterator[_Equals]:
        """The groups that `key` is in."""
        content = self.people.content(key)
        if content not in _IDENTIFYING:
            return
        if content not in self._equals:
            keys = [(other, self.people.of(other)) for other in self.people.contents[content]]
            self._equals[content] = [
                _Equals(True, tuple((other, of) for other, of in keys if of and self.clear(other))),
                _Equals(False, tuple((other, of) for other, of in keys if of and self._pseudonym(other))),
            ]
        for equals in self._equals[content]:
            if self.clear(key) if equals.clear else self._pseudonym(key):
                yield equals

    def _pseudonym(self, key: ItemKey) -> bool:
        return any(mask.kind is MaskKind.PSEUDONYM for mask in self.masks.get(key, ()))

    def _inverse(self, resource: Resource, relation: Relation) -> Relation | None:
        """The other end; None where the two do not mirror each other, of which rule `relation` tells."""
        target = self.resources.get(relation.target)
        inverse = target.relation_by_name.get(relation.inverse) if target else None
        if inverse is None or (inverse.target, inverse.inverse) != (resource.code, relation.name):
            return None
        pairs = set(zip(relation.items, relation.target_items, strict=False))
        return inverse if pairs == set(zip(inverse.target_items, inverse.items, strict=False)) else None

    def _open(self, resource: Resource, relation: Relation, inverse: Relation) -> frozenset[ItemKey] | None:
        """The items whose clear values join the rows; none of them where a relation is open. None: nothing does."""
        target = self.resources[relation.target]
        try:
            if self.catalogue.relation_class(resource, relation) is ShareClass.UNCONDITIONAL:
                return frozenset()
        except KeyError:  # a key item that is not there; rule `relation` tells of it
            return None
        ends = (resource, relation.name), (target, inverse.name)
        granted = [self._purposes.get((end.code, name), set()) for end, name in ends if not self._own(end)]
        if not granted or set.intersection(*granted):
            return frozenset()
        keys = [(resource.code, name) for name in relation.items] + [(target.code, n) for n in relation.target_items]
        return frozenset(keys) if all(map(self.clear, keys)) else None


def _told(scope: Expression) -> Iterator[tuple[str, Told]]:
    """The items that a scope is over, each with what it tells. That something is null tells nothing of a person."""
    for test in leaves(scope, Compare) + leaves(scope, In) + leaves(scope, Match) + leaves(scope, Within):
        value = isinstance(test, In) or (isinstance(test, Compare) and test.op is CompareOp.EQ)
        needle = test.needle if isinstance(test, Match) else None
        start = len(needle.value) if isinstance(needle, Value) else None
        for reference in leaves(test, ItemRef):
            yield reference.name, Told(value, start)
