"""In charge of the rules on GraphQL names: those of one resource, and those that resources of one zone claim."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from tanglai.catalogue.checks_world import Finding
from tanglai.catalogue.model import Resource, Zone
from tanglai.catalogue.naming import generated_type_names, group_type_name, located_name_clashes, name_problems

_NAMES = ("graphql",)


def name_findings(resource: Resource, reserved: frozenset[str]) -> Iterator[Finding]:
    """Names that are not valid or taken within the resource or by the fixed schema, whose type names are `reserved`."""
    for message in name_problems(_safe(resource)):
        yield Finding("graphql-name", _NAMES, message)
    for name in (*generated_type_names(resource.names), group_type_name(resource.names.group)):
        if name in reserved:
            yield Finding("graphql-name", _NAMES, f"type `{name}` is one of the fixed schema")


def name_clash_findings(resources: Iterable[Resource]) -> Iterator[tuple[str, Finding]]:
    """Names that several of `resources` claim: the code of the later one, and what it claims."""
    by_zone: dict[Zone, list[Resource]] = {}
    for resource in resources:
        by_zone.setdefault(resource.zone, []).append(_safe(resource))
    for served in by_zone.values():
        for resource, message in located_name_clashes(served):
            yield resource.code, Finding("graphql-name", _NAMES, message)


def _safe(resource: Resource) -> Resource:
    """The resource without keys that name items which it does not have; another rule tells of them."""
    known = tuple(key for key in resource.keys if all(name in resource.item_by_name for name in key.items))
    return resource if len(known) == len(resource.keys) else replace(resource, keys=known)
