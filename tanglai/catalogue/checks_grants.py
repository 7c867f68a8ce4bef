"""In charge of the rules on grants: over what the resource has, on a basis that fits, and what a scope discloses."""

from collections.abc import Iterator, Sequence

from tanglai.catalogue.checks_base import Severity
from tanglai.catalogue.checks_world import Finding, World
from tanglai.catalogue.documents_base import Path
from tanglai.catalogue.expressions import FALSE, ItemRef, Within, leaves
from tanglai.catalogue.model import Grant, GrantBasis, Relation, Resource, ShareClass, Usage
from tanglai.catalogue.scalars import ScalarType
from tanglai.catalogue.statistics import overlap, statistics_faults


def grant_findings(grant: Grant, world: World) -> Iterator[Finding]:
    yield from _requester(grant, world)
    if grant.purpose not in world.purposes:
        yield Finding("reference", ("purpose",), f"unknown purpose `{grant.purpose}`")
    if grant.valid_to is None:
        if world.rule_set == "order-809":
            yield Finding("time-limit", ("validTo",), "a grant without an end", Severity.NOTICE)
    elif grant.valid_to <= grant.valid_from:
        yield Finding("grant-validity", ("validTo",), "`validTo` is not after `validFrom`")
    resource = world.resources.get(grant.resource)
    if resource is None:
        yield Finding("reference", ("resource",), f"unknown resource `{grant.resource}`")
        return
    if grant.requester == resource.provider:
        message = "the requester is the provider itself"
        yield Finding("grant", ("requester",), message, Severity.NOTICE)
    yield from _extent(grant, resource)
    yield from _basis(grant, resource, world)
    yield from _masks(grant, resource)
    yield from _scope(grant, resource, world)
    yield from _quota(grant, resource)
    yield from _statistics(grant, resource)


def overlap_findings(grants: Sequence[Grant]) -> Iterator[tuple[str, Finding]]:
    """For each grant that publishes statistics of an earlier one of `grants`, its id and what is wrong."""
    earlier: dict[tuple[str, str], list[Grant]] = {}
    for grant in grants:
        if grant.statistics is None:
            continue
        before = earlier.setdefault((grant.requester, grant.resource), [])
        for other in before:
            shared = overlap(other, grant)
            if shared:
                listed = ", ".join(f"`{name}`" for name in shared)
                message = f"grant `{other.id}` publishes statistics of {listed} at the same time"
                yield grant.id, Finding("statistics", ("statistics",), message)
        before.append(grant)


def _requester(grant: Grant, world: World) -> Iterator[Finding]:
    yield from world.department_faults(grant.requester, ("requester",))
    if world.is_enterprise(grant.requester):
        message = f"`{grant.requester}` is a public-service enterprise, which provides and does not request"
        yield Finding("organisation", ("requester",), message)


def _extent(grant: Grant, resource: Resource) -> Iterator[Finding]:
    if not grant.items and not grant.relations:
        yield Finding("grant", ("items",), "a grant of no item and no relation")
    for name in sorted(grant.items - resource.item_by_name.keys()):
        yield Finding("grant", ("items",), f"resource `{resource.code}` has no item `{name}`")
    for name in sorted(grant.relations - resource.relation_by_name.keys()):
        yield Finding("grant", ("relations",), f"resource `{resource.code}` has no relation `{name}`")


_OPENS = {GrantBasis.APPLICATION: ShareClass.CONDITIONAL, GrantBasis.TRANSITION: ShareClass.UNCONDITIONAL}
"""The strictest class that a basis opens; those not named open every class."""
_CLASS_WORDS = {ShareClass.CONDITIONAL: "conditional", ShareClass.NOT_SHARED: "not shared"}
_BASIS_WORDS = {GrantBasis.APPLICATION: "an application", GrantBasis.TRANSITION: "a transition"}


def _beyond(basis: GrantBasis, share_class: ShareClass) -> bool:
    """Whether `basis` does not open `share_class`."""
    return share_class.strictness > _OPENS.get(basis, ShareClass.NOT_SHARED).strictness


def _basis(grant: Grant, resource: Resource, world: World) -> Iterator[Finding]:
    for name in sorted(grant.items & resource.item_by_name.keys()):
        share_class = resource.item_by_name[name].share_class
        if _beyond(grant.basis, share_class):
            message = f"item `{name}` is {_CLASS_WORDS[share_class]}: {_BASIS_WORDS[grant.basis]} does not open it"
            yield Finding("grant-basis", ("items",), message)
    for name in sorted(grant.relations & resource.relation_by_name.keys()):
        related = _relation_class(resource, resource.relation_by_name[name], world)
        if related is not None and _beyond(grant.basis, related):
            message = f"relation `{name}` is {_CLASS_WORDS[related]}: {_BASIS_WORDS[grant.basis]} does not open it"
            yield Finding("grant-basis", ("relations",), message)


def _relation_class(resource: Resource, relation: Relation, world: World) -> ShareClass | None:
    try:
        return world.snapshot.relation_class(resource, relation)
    except KeyError:  # an end that is not there; rule `relation` tells of it
        return None


def _masks(grant: Grant, resource: Resource) -> Iterator[Finding]:
    for name, mask in sorted(grant.masks.items()):
        path: Path = ("masks", name)
        item = resource.item_by_name.get(name)
        if name not in grant.items:
            yield Finding("grant", path, f"`{name}` is masked, but not among the granted items")
        if item is None:
            continue
        if item.type is not ScalarType.TEXT:
            yield Finding("mask", path, f"masks are of texts, `{name}` is of type {item.type}")
        elif item.mask(mask) is None:
            yield Finding("grant", path, f"item `{name}` has no mask `{mask}`")


def _scope(grant: Grant, resource: Resource, world: World) -> Iterator[Finding]:
    path: Path = ("scope",)
    if grant.scope == FALSE:
        yield Finding("grant", path, "a scope of no row at all", Severity.NOTICE)
    for division in sorted({w.division for w in leaves(grant.scope, Within) if isinstance(w.division, str)}):
        if division not in world.divisions:
            yield Finding("division", path, f"unknown division `{division}`")
    for name in sorted({reference.name for reference in leaves(grant.scope, ItemRef)}):
        item = resource.item_by_name.get(name)
        if item is None:
            yield Finding("grant", path, f"resource `{resource.code}` has no item `{name}`")
        elif _beyond(grant.basis, item.share_class):
            words, basis = _CLASS_WORDS[item.share_class], _BASIS_WORDS[grant.basis]
            message = f"the scope would disclose item `{name}`, which is {words}, on {basis}"
            yield Finding("grant-basis", path, message)
        elif item.share_class is not ShareClass.UNCONDITIONAL and (name not in grant.items or name in grant.masks):
            message = f"the scope is over item `{name}`, which is not granted clear: it discloses that predicate"
            yield Finding("scope-discloses", path, message, Severity.NOTICE)


def _quota(grant: Grant, resource: Resource) -> Iterator[Finding]:
    if grant.quota is None:
        return
    if grant.quota.requests is None and (grant.quota.rows is not None or grant.quota.subjects is not None):
        message = "requests are not bounded: totals, page flags and look-ups in vain use no row and no subject"
        yield Finding("grant", ("quota", "requests"), message, Severity.NOTICE)
    if grant.quota.subjects is None or resource.binding.handle is not None:
        return
    clear = {
        item.name
        for item in resource.items
        if item.share_class is ShareClass.UNCONDITIONAL or (item.name in grant.items and item.name not in grant.masks)
    }
    if not any(clear.issuperset(key.items) for key in resource.keys):
        message = "subjects are counted by handle or clear key; there is neither, so each row counts as another one"
        yield Finding("grant", ("quota", "subjects"), message, Severity.NOTICE)


def _statistics(grant: Grant, resource: Resource) -> Iterator[Finding]:
    path: Path = ("statistics",)
    if grant.usage is Usage.READ:
        if grant.statistics is not None:
            yield Finding("statistics", path, "a grant for reading publishes no statistics")
        return
    if grant.statistics is None:
        yield Finding("statistics", path, "a grant for statistics says which: `statistics` is missing")
        return
    for step, message in statistics_faults(grant.statistics, resource):
        yield Finding("statistics", (*path, *step), message)
    for name in sorted(grant.items - grant.statistics.items):
        yield Finding("statistics", ("items",), f"`{name}` is neither a dimension nor a measure")
    for name in sorted(grant.masks):
        yield Finding("statistics", ("masks", name), "statistics have no masks")
    for name in sorted(grant.relations):
        yield Finding("statistics", ("relations",), f"statistics follow no relation: `{name}`")
