"""In charge of `Data`: the groups of one snapshot and the reuse of types that a new snapshot leaves as they are."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from graphql import GraphQLField, GraphQLID, GraphQLNamedType, GraphQLNonNull, GraphQLObjectType

from schema.descriptions import ResourceWords, resource_words
from schema.fields import GroupField, GroupId
from schema.filters import FILTERS, ORDER_DIRECTION
from schema.generated import Linked, ResourceTypes, Shared, data_field
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
class DataTypes:
    """`data` is the type of `Query.data`; `components` stand under the code of their first member.

    `types` is everything that a document can come to from `data` on, of the generated part.
    """

    data: GraphQLObjectType
    types: tuple[GraphQLNamedType, ...]
    resources: Mapping[str, ResourceTypes]
    components: Mapping[str, Component]


def build_data(snapshot: Snapshot, rules: RuleSet, shared: Shared, kept: Mapping[str, Component]) -> DataTypes:
    """The data types of the resources that `snapshot` serves; components of `kept` that still fit are taken over.

    Raises ValueError for names that are no GraphQL names or are claimed twice; publication refuses both.
    """
    relations = linked_relations(snapshot)
    components: dict[str, Component] = {}
    for resources in _components(snapshot.served, relations):
        words = tuple(resource_words(resource, snapshot, rules) for resource in resources)
        old = kept.get(resources[0].code)
        if old is not None and old.fits(resources, words):
            components[resources[0].code] = old
        else:
            components[resources[0].code] = _component(resources, words, relations, shared)
    members = {member.resource.code: member for part in components.values() for member in part.members}
    groups = _groups([members[resource.code] for resource in snapshot.served])
    fields = {"id": _id_field("")} | {
        group: data_field(GraphQLNonNull(kind), GroupField(group), kind.description or "")
        for group, kind in groups.items()
    }
    data = GraphQLObjectType("Data", fields, description="The data of all groups, as far as the law lets it be seen.")
    own = (kind for part in components.values() for kind in part.types)
    types = (data, *groups.values(), *own, *_common_types(snapshot.served))
    return DataTypes(data, types, members, components)


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


def linked_relations(snapshot: Snapshot) -> Mapping[str, tuple[Linked, ...]]:
    """The relations that the schema shows, per resource: those between two resources that this node serves."""
    served = {resource.code: resource for resource in snapshot.served}
    return {
        code: tuple(
            Linked(relation, served[relation.target], snapshot.relation_class(resource, relation))
            for relation in resource.relations
            if relation.target in served
        )
        for code, resource in served.items()
    }


def _components(
    resources: Iterable[Resource], relations: Mapping[str, tuple[Linked, ...]]
) -> Iterable[tuple[Resource, ...]]:
    """`resources` by connected component, both in order of code."""
    neighbours: dict[str, set[str]] = {code: set() for code in relations}
    for code, links in relations.items():
        for linked in links:
            neighbours[code].add(linked.target.code)
            neighbours[linked.target.code].add(code)
    by_code = {resource.code: resource for resource in resources}
    seen: set[str] = set()
    for code in by_code:
        if code in seen:
            continue
        found, waiting = {code}, [code]
        while waiting:
            for other in neighbours[waiting.pop()] - found:
                found.add(other)
                waiting.append(other)
        seen |= found
        yield tuple(by_code[member] for member in sorted(found))


def _component(
    resources: tuple[Resource, ...],
    words: tuple[ResourceWords, ...],
    relations: Mapping[str, tuple[Linked, ...]],
    shared: Shared,
) -> Component:
    siblings: dict[str, ResourceTypes] = {}
    for resource, spoken in zip(resources, words, strict=True):
        links = relations[resource.code]
        siblings[resource.code] = ResourceTypes(resource, spoken, links, shared, siblings)
    targets = {linked.target.code for resource in resources for linked in relations[resource.code]}
    types = (kind for code, member in siblings.items() for kind in member.types(targeted=code in targets))
    return Component(words, tuple(siblings.values()), tuple(types))


def _groups(members: list[ResourceTypes]) -> dict[str, GraphQLObjectType]:
    parts: dict[str, list[ResourceTypes]] = {}
    for member in members:
        parts.setdefault(member.resource.names.group, []).append(member)
    return {group: _group(group, parts[group]) for group in sorted(parts)}


def _group(group: str, members: list[ResourceTypes]) -> GraphQLObjectType:
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
    return GraphQLObjectType(group_type_name(group), fields, description=f"Group `{group}`: {titles}")


def _id_field(group: str) -> GraphQLField:
    return data_field(GraphQLNonNull(GraphQLID), GroupId(group), "A constant, so that client caches can merge answers.")
