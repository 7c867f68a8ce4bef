"""In charge of the GraphQL names that a resource takes: one home for the checks at publication and for the schema."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from importlib.resources import files

from tanglai.catalogue.model import Key, Names, Resource

MAX_NAME_LENGTH = 100
_CAMEL = re.compile(r"[a-z][a-zA-Z0-9]*", re.ASCII)
_PASCAL = re.compile(r"[A-Z][a-zA-Z0-9]*", re.ASCII)
_BOUNDARY = re.compile(r"(?<=[a-z0-9])(?=[A-Z])", re.ASCII)

TYPE_SUFFIXES = (
    "",
    "Connection",
    "Edge",
    "Where",
    "Order",
    "Group",
    "Aggregate",
    "GroupKey",
    "Counts",
    "Extremes",
    "Sums",
    "RelationFilter",
)
"""What follows a resource's type name in the names of its generated types."""

RESERVED_FIELDS = frozenset({"id", "and", "or", "not"})
"""Names that no item or relation may take: the row's `id` and the logic of `where`."""

RESERVED_TYPES = frozenset(
    {
        # GraphQL and scalars
        *("Query", "Mutation", "Subscription", "String", "Int", "Float", "Boolean", "ID"),
        *("Date", "Time", "DateTime", "Decimal", "Long", "GeoJSON", "FieldSet", "OrderDirection"),
        *("TextFilter", "IntFilter", "LongFilter", "DecimalFilter", "FloatFilter", "BooleanFilter"),
        *("DateFilter", "TimeFilter", "DateTimeFilter", "GeometryFilter"),
        # the product's words that it will use
        *("Data", "Source", "Key", "AuditRecord", "Usage", "ItemUse"),
    }
) | frozenset(files("tanglai.catalogue").joinpath("reserved_types.txt").read_text(encoding="ascii").split())
"""Type names of the fixed part, which no resource may take; the file is written by `python -m tests.reserved_types`."""


def generated_type_names(names: Names) -> tuple[str, ...]:
    """Names of all types that a resource with `names` may have, besides the type of its group."""
    return tuple(names.type + suffix for suffix in TYPE_SUFFIXES)


def group_type_name(group: str) -> str:
    """Name of the object type of a group under `data`: `population` gives `PopulationData`."""
    return pascal(group) + "Data"


def aggregate_field_name(names: Names) -> str:
    """Name of the field that aggregates over the resource, beside its list field."""
    return names.list + "Aggregate"


def lookup_field_name(resource: Resource, key: Key) -> str:
    """Name of the look-up by `key`: the first key's is `names.one`, a further one's `names.one` + `By` + its items."""
    if key == resource.keys[0]:
        return resource.names.one
    return resource.names.one + "By" + "And".join(pascal(resource.item_by_name[name].graphql) for name in key.items)


def group_field_names(resource: Resource) -> tuple[str, ...]:
    """Names of the fields that the resource adds to its group's type: list, look-ups, aggregate."""
    lookups = [lookup_field_name(resource, key) for key in resource.keys]
    return (resource.names.list, *lookups, aggregate_field_name(resource.names))


def enum_value_name(field: str) -> str:
    """Name of the enum value for a camel case name: `idNumber` gives `ID_NUMBER`.

    Names that differ in more than their case give different values.
    """
    return _BOUNDARY.sub("_", field).upper()


def pascal(name: str) -> str:
    """`idNumber` gives `IdNumber`."""
    return name[:1].upper() + name[1:]


def is_field_name(name: str) -> bool:
    """Whether `name` can name a group, a field, an item or a relation: ASCII camel case."""
    return len(name) <= MAX_NAME_LENGTH and _CAMEL.fullmatch(name) is not None


def is_type_name(name: str) -> bool:
    """Whether `name` can name a resource's type: ASCII pascal case."""
    return len(name) <= MAX_NAME_LENGTH and _PASCAL.fullmatch(name) is not None


def name_problems(resource: Resource) -> list[str]:
    """What is wrong with the GraphQL names of one resource, one sentence each; empty where nothing is."""
    return list(_name_problems(resource))


def _name_problems(resource: Resource) -> Iterator[str]:
    names = resource.names
    for what, name in (("group", names.group), ("list", names.list), ("one", names.one)):
        if not is_field_name(name):
            yield f"`{name}` is no {what} name: camel case of at most {MAX_NAME_LENGTH} ASCII letters and digits"
    if not is_type_name(names.type):
        yield f"`{names.type}` is no type name: pascal case of at most {MAX_NAME_LENGTH} ASCII letters and digits"
    for name in (*group_field_names(resource), names.group):
        if name == "id":
            yield "`id` is a reserved name"
    for name in generated_type_names(names):
        if name in RESERVED_TYPES:
            yield f"`{names.type}` is no type name: `{name}` is reserved"
    parts = [item.graphql for item in resource.items] + [relation.graphql for relation in resource.relations]
    for name in parts:
        if not is_field_name(name):
            yield f"`{name}` is no GraphQL name: camel case of at most {MAX_NAME_LENGTH} ASCII letters and digits"
        elif name in RESERVED_FIELDS:
            yield f"`{name}` is a reserved name"
    for folded, count in Counter(name.lower() for name in parts).items():
        if count > 1:
            yield f"{count} items or relations have the GraphQL name `{folded}` (names must differ in more than case)"
    for name, count in Counter(group_field_names(resource)).items():
        if count > 1:
            yield f"{count} fields of group `{names.group}` have the name `{name}`"


def name_clashes(resources: Iterable[Resource]) -> list[str]:
    """Names that several of `resources` (those that one node serves together) claim, one sentence each."""
    return [clash for _, clash in located_name_clashes(resources)]


def located_name_clashes(resources: Iterable[Resource]) -> Iterator[tuple[Resource, str]]:
    """The sentences of `name_clashes`, each with the resource that claims a name which an earlier one has already."""
    types: dict[str, str] = {}
    fields: dict[tuple[str, str], str] = {}
    groups: dict[str, str] = {}
    served = list(resources)
    for resource in served:
        group, kind = resource.names.group, group_type_name(resource.names.group)
        if groups.setdefault(kind, group) != group:
            yield resource, f"groups `{groups[kind]}` and `{group}` have the same type `{kind}`"
        elif kind in RESERVED_TYPES:
            yield resource, f"the type of group `{group}`, `{kind}`, is reserved"
    for resource in served:
        for name in generated_type_names(resource.names):
            if name in groups:
                yield resource, f"type `{name}` of `{resource.code}` is the type of group `{groups[name]}`"
            other = types.setdefault(name, resource.code)
            if other != resource.code:
                yield resource, f"type `{name}` of `{resource.code}` is also one of `{other}`"
        for name in group_field_names(resource):
            other = fields.setdefault((resource.names.group, name), resource.code)
            if other != resource.code:
                yield (
                    resource,
                    f"field `{name}` of `{resource.code}` in group `{resource.names.group}` is also `{other}`'s",
                )
