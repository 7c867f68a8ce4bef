"""In charge of `Data`: the groups of one snapshot and the reuse of types that a new snapshot leaves as they are."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import is_
from typing import TypeVar

from graphql import GraphQLField, GraphQLID, GraphQLNamedType, GraphQLNonNull, GraphQLObjectType

from schema.descriptions import ResourceWords, resource_words
from schema.fields import GroupField, GroupId
from schema.filters import FILTERS, ORDER_DIRECTION
from schema.generated import Linked, ObjectType, ResourceTypes, Shared, data_field
from schema.scalars import COMPARABLE, NUMERIC, SCALARS, sum_type
from tanglai.catalogue.model import Resource, Snapshot
from tanglai.catalogue.naming import group_field_names, group_type_name
from tanglai.catalogue.rules import RuleSet
from tanglai.catalogue.scalars import ScalarType


@dataclass(frozen=True, slots=True, eq=False)
class Component:
    """Resources that relations link, over however many steps, ordered by code, with their types.

    INVARIANT: the types of a component refer to no type of another one, so that they can be kept together; what uses
    the types holds the component, by way of its schema. Where the last schema lets go of it, the types, which refer to
    each other, come apart at once: a node does not look for cycles among what it keeps for long.
    """

    words: tuple[ResourceWords, ...]
    members: tuple[ResourceTypes, ...]
    types: tuple[GraphQLNamedType, ...]

    def __del__(self) -> None:
        for member in self.members:
            member.dissolve()

    def fits(self, resources: tuple[Resource, ...], words: tuple[ResourceWords, ...]) -> bool:
        """Whether building `resources` with `words` would give these types again."""
        return (
            len(self.members) == len(resources)
            and self.words == words
            and all(
                member.resource is resource or member.resource == resource
                for member, resource in zip(self.members, resources, strict=True)
            )
        )


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """A group under `data` with the members that it is made of."""

    members: tuple[ResourceTypes, ...]
    type: GraphQLObjectType


@dataclass(frozen=True, slots=True, eq=False)
class DataTypes:
    """`data` is the type of `Query.data`; `components` stand under the code of their first member.

    `types` is everything that a document can come to from `data` on, of the generated part.
    """

    data: GraphQLObjectType
    types: tuple[GraphQLNamedType, ...]
    resources: Mapping[str, ResourceTypes]
    components: Mapping[str, Component]
    groups: Mapping[str, Group]


def build_data(snapshot: Snapshot, rules: RuleSet, shared: Shared, kept: DataTypes | None) -> DataTypes:
    """The data types of the resources that `snapshot` serves; what still fits of `kept` is taken over.

    Raises ValueError for names that are no GraphQL names or are claimed twice; publication refuses both.
    """
    served = {resource.code: resource for resource in snapshot.served}
    former: Mapping[str, Component] = kept.components if kept is not None else {}
    spoken: dict[str, ResourceWords] = {}  # they are the same for all resources of a provider
    components: dict[str, Component] = {}
    for resources in _components(served):
        for resource in resources:
            if resource.provider not in spoken:
                spoken[resource.provider] = resource_words(resource, snapshot, rules)
        words = tuple([spoken[resource.provider] for resource in resources])
        code = resources[0].code
        old = former.get(code)
        if old is not None and old.fits(resources, words):
            components[code] = old
        else:
            components[code] = _component(resources, words, snapshot, served, shared)
    members = {member.resource.code: member for part in components.values() for member in part.members}
    groups = _groups([members[code] for code in served], kept.groups if kept is not None else {})
    fields = {"id": _id_field("")} | {
        name: data_field(GraphQLNonNull(group.type), GroupField(name), group.type.description or "")
        for name, group in groups.items()
    }
    data = GraphQLObjectType("Data", fields, description="The data of all groups, as far as the law lets it be seen.")
    own = (kind for part in components.values() for kind in part.types)
    types = (data, *(group.type for group in groups.values()), *own, *_common_types(snapshot.served))
    return DataTypes(data, types, members, components, groups)


K = TypeVar("K", bound=GraphQLNamedType)


def passing(data: DataTypes, kinds: Iterable[K]) -> Iterator[K]:
    """`kinds`, one after the other; fields that are built for one that passes by are let go when the next one comes.

    So a text of everything needs no room for everything. Whoever uses the types meanwhile finds or builds the fields.
    """
    owners = {kind.name: member for member in data.resources.values() for kind in member.types(targeted=True)}
    former: ResourceTypes | None = None
    used = True
    for kind in kinds:
        owner = owners.get(kind.name)
        if owner is not former:
            if former is not None and not used:
                former.fold()
            former, used = owner, owner is None or owner.unfolded()
        yield kind
    if former is not None and not used:
        former.fold()


def _common_types(resources: Iterable[Resource]) -> Iterator[GraphQLNamedType]:
    """The scalars and inputs that the types of `resources` share."""
    kinds = {item.type for resource in resources for item in resource.items}
    if kinds & COMPARABLE:
        yield ORDER_DIRECTION
    for kind in ScalarType:
        if kind in kinds:
            yield FILTERS[kind]
        if kind in kinds | {sum_type(numeric) for numeric in kinds & NUMERIC}:
            yield SCALARS[kind]


def _linked(snapshot: Snapshot, served: Mapping[str, Resource], resource: Resource) -> tuple[Linked, ...]:
    """The relations of `resource` that the schema shows: those to resources that this node serves too."""
    return tuple(
        Linked(relation, served[relation.target], snapshot.relation_class(resource, relation))
        for relation in resource.relations
        if relation.target in served
    )


def _components(served: Mapping[str, Resource]) -> Iterator[tuple[Resource, ...]]:
    """`served` by connected component, both in order of code."""
    neighbours: dict[str, set[str]] = {}
    for code, resource in served.items():
        for relation in resource.relations:
            if relation.target in served:
                neighbours.setdefault(code, set()).add(relation.target)
                neighbours.setdefault(relation.target, set()).add(code)
    seen: set[str] = set()
    for code, resource in served.items():
        if code not in neighbours:
            yield (resource,)
        elif code not in seen:
            found, waiting = {code}, [code]
            while waiting:
                for other in neighbours[waiting.pop()] - found:
                    found.add(other)
                    waiting.append(other)
            seen |= found
            yield tuple(served[member] for member in sorted(found))


def _component(
    resources: tuple[Resource, ...],
    words: tuple[ResourceWords, ...],
    snapshot: Snapshot,
    served: Mapping[str, Resource],
    shared: Shared,
) -> Component:
    siblings: dict[str, ResourceTypes] = {}
    targets: set[str] = set()
    for resource, spoken in zip(resources, words, strict=True):
        links = _linked(snapshot, served, resource)
        targets.update(linked.target.code for linked in links)
        siblings[resource.code] = ResourceTypes(resource, spoken, links, shared, siblings)
    types = (kind for code, member in siblings.items() for kind in member.types(targeted=code in targets))
    return Component(words, tuple(siblings.values()), tuple(types))


def _groups(members: list[ResourceTypes], kept: Mapping[str, Group]) -> dict[str, Group]:
    """By name. A group of the same types as before is taken over."""
    parts: dict[str, list[ResourceTypes]] = {}
    for member in members:
        parts.setdefault(member.resource.names.group, []).append(member)
    groups = {}
    for name in sorted(parts):
        own, old = tuple(parts[name]), kept.get(name)
        same = old is not None and len(old.members) == len(own) and all(map(is_, old.members, own))
        groups[name] = old if same and old is not None else Group(own, _group(name, own))
    return groups


def _group(group: str, members: tuple[ResourceTypes, ...]) -> GraphQLObjectType:
    names = Counter(name for member in members for name in group_field_names(member.resource))
    for name, count in names.items():
        if count > 1 or name == "id":
            raise ValueError(f"field `{name}` of group `{group}` is claimed twice")

    def fields() -> dict[str, GraphQLField]:
        own = {"id": _id_field(group)}
        for member in members:
            own.update(member.group_fields)
        return own

    titles = "、".join(member.resource.title for member in members)
    return ObjectType(group_type_name(group), fields, description=f"Group `{group}`: {titles}")


def _id_field(group: str) -> GraphQLField:
    return data_field(GraphQLNonNull(GraphQLID), GroupId(group), "A constant, so that client caches can merge answers.")
