"""In charge of the rules on a resource by itself: share classes (Art. 9), compilation (Art. 10), items, masks, keys."""

from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tanglai.catalogue.checks_base import Severity
from tanglai.catalogue.checks_content import content_findings
from tanglai.catalogue.checks_register import BRANCH_DIGITS, plain_secrets
from tanglai.catalogue.checks_world import Finding, World
from tanglai.catalogue.documents_base import Path
from tanglai.catalogue.expressions import Column
from tanglai.catalogue.model import Branch, Resource, ShareClass, lead_of
from tanglai.catalogue.predicates import LOGIC
from tanglai.catalogue.scalars import ScalarType


def resource_findings(resource: Resource, world: World) -> Iterator[Finding]:
    yield from _share_classes(resource)
    yield from _basic_items(resource)
    yield from _departments(resource, world)
    yield from _category(resource, world)
    yield from _source(resource, world)
    yield from _authority(resource, world)
    yield from _items(resource, world)
    yield from _keys(resource)
    yield from _handle(resource)
    for index, code in enumerate(resource.related):
        if code not in world.resources:
            yield Finding("reference", ("related", index), f"unknown resource `{code}`")


def following_class(resource: Resource) -> ShareClass:
    """The class that follows from the items: theirs where they have one, else CONDITIONAL (Art. 9(2))."""
    classes = {item.share_class for item in resource.items}
    return classes.pop() if len(classes) == 1 else ShareClass.CONDITIONAL


def _share_classes(resource: Resource) -> Iterator[Finding]:
    follows = following_class(resource)
    if resource.share_class is not follows:
        message = f"`{resource.share_class}` is declared, `{follows}` follows from the items"
        yield Finding("share-class", ("shareClass",), message)
    conditional = [item for item in resource.items if item.share_class is ShareClass.CONDITIONAL]
    if follows is ShareClass.CONDITIONAL and not conditional and _blank(resource.condition):
        yield Finding("condition", ("condition",), "a conditional resource says its condition")
    for index, item in enumerate(resource.items):
        path: Path = ("items", index)
        if item.share_class is ShareClass.CONDITIONAL and _blank(item.condition) and _blank(resource.condition):
            message = f"neither conditional item `{item.name}` nor the resource says a condition"
            yield Finding("condition", (*path, "condition"), message)
        if item.share_class is ShareClass.NOT_SHARED and (item.legal_basis or resource.legal_basis) is None:
            message = (
                f"item `{item.name}` is not shared, but neither it nor the resource names a law, an administrative "
                "regulation or a policy of the Party Central Committee and the State Council"
            )
            yield Finding("not-shared-basis", (*path, "legalBasis"), message)


def _basic_items(resource: Resource) -> Iterator[Finding]:
    if resource.branch is not Branch.BASIC:
        for index, item in enumerate(resource.items):
            if not item.basic or item.business_reason is not None:
                message = f"only base libraries have basic and business items, `{item.name}` is in none"
                yield Finding("business-item", ("items", index, "basic"), message, Severity.NOTICE)
        return
    for index, item in enumerate(resource.items):
        if item.basic and item.share_class is not ShareClass.UNCONDITIONAL:
            message = f"basic item `{item.name}` of a base library is `{item.share_class}`, not `UNCONDITIONAL`"
            yield Finding("basic-item", ("items", index, "shareClass"), message)
        if not item.basic and _blank(item.business_reason):
            message = f"`{item.name}` is no basic item, but `businessReason` does not say why"
            yield Finding("business-item", ("items", index, "businessReason"), message)
        if item.basic and not _blank(item.business_reason):
            message = f"`{item.name}` has a `businessReason`, but is a basic item"
            yield Finding("business-item", ("items", index, "businessReason"), message)
    if not any(item.basic for item in resource.items):
        message = "a resource of a base library has no basic item at all"
        yield Finding("business-item", ("items",), message, Severity.NOTICE)


def _departments(resource: Resource, world: World) -> Iterator[Finding]:
    yield from world.department_faults(resource.provider, ("provider",))
    if resource.compiler is not None:
        yield from world.department_faults(resource.compiler, ("compiler",))
        if world.is_enterprise(resource.compiler):
            message = f"`{resource.compiler}` is a public-service enterprise and compiles nothing"
            yield Finding("organisation", ("compiler",), message)
        yield from _lead(resource, world)
    elif resource.branch is Branch.BASIC:
        yield Finding("lead-department", ("compiler",), "a basic resource names the lead department that compiles it")
    elif resource.branch is Branch.THEMATIC:
        message = "a thematic resource names the lead department that compiles it"
        yield Finding("theme-department", ("compiler",), message)
    elif world.is_enterprise(resource.provider):
        message = (
            f"`{resource.provider}` is a public-service enterprise: `compiler` names the department it shares through"
        )
        yield Finding("organisation", ("compiler",), message)


def _lead(resource: Resource, world: World) -> Iterator[Finding]:
    """The registered lead department of the base library or theme compiles it (Art. 10(2), 10(3))."""
    if resource.branch is Branch.DEPARTMENTAL:
        return
    lead = lead_of(world.categories, world.departments, resource.category, resource.provider)
    if lead is not None and lead != resource.compiler:
        basic = resource.branch is Branch.BASIC
        rule, what = ("lead-department", "base library") if basic else ("theme-department", "theme")
        yield Finding(rule, ("compiler",), f"the {what} of category `{resource.category}` is led by `{lead}`")


def _category(resource: Resource, world: World) -> Iterator[Finding]:
    if resource.category not in world.categories:
        yield Finding("reference", ("category",), f"unknown category `{resource.category}`")
    if resource.code.partition("/")[0] != resource.category:
        yield Finding("category", ("code",), f"the code is not `{resource.category}/` and a number")
    if not resource.category.startswith(BRANCH_DIGITS[resource.branch]):
        digit = BRANCH_DIGITS[resource.branch]
        yield Finding("category", ("branch",), f"categories of branch `{resource.branch}` begin with {digit}")


def _source(resource: Resource, world: World) -> Iterator[Finding]:
    yield from plain_secrets(resource.binding.options, ("options",))
    source = world.sources.get(resource.binding.source)
    if source is None:
        yield Finding("reference", ("source",), f"unknown source `{resource.binding.source}`")
        return
    if source.zone is not resource.zone:
        message = f"source `{source.key}` stands in zone `{source.zone}`, the resource in `{resource.zone}`"
        yield Finding("zone", ("zone",), message)
    through = resource.compiler if world.is_enterprise(resource.provider) else None
    if source.department not in (resource.provider, through):
        message = f"source `{source.key}` is of department `{source.department}`, not of the provider"
        yield Finding("source-department", ("source",), message)


def _authority(resource: Resource, world: World) -> Iterator[Finding]:
    for index, item in enumerate(resource.items):
        claims = world.claims.get(item.data_element, {}) if item.data_element is not None else {}
        for provider, code in claims.items():
            if provider != resource.provider:
                message = f"data element `{item.data_element}` is claimed by `{provider}` too, in resource `{code}`"
                yield Finding("one-authority", ("items", index, "dataElement"), message)


def _items(resource: Resource, world: World) -> Iterator[Finding]:
    names = Counter([item.name for item in resource.items] + [relation.name for relation in resource.relations])
    for index, item in enumerate(resource.items):
        path: Path = ("items", index)
        if names[item.name] > 1:
            yield Finding("item", (*path, "name"), f"several items or relations have the name `{item.name}`")
        if item.name in LOGIC:
            yield Finding("item", (*path, "name"), f"`{item.name}` is a word of predicates and no name")
        yield from _timezone(item.column, (*path, "column"))
        codes = Counter(code.value for code in item.codes)
        for value, count in codes.items():
            if count > 1:
                yield Finding("item", (*path, "codes"), f"code `{value}` stands {count} times")
        yield from content_findings(resource, item, path, world)
    for index, relation in enumerate(resource.relations):
        if names[relation.name] > 1:
            message = f"several items or relations have the name `{relation.name}`"
            yield Finding("item", ("relations", index, "name"), message)
        if relation.name in LOGIC:
            message = f"`{relation.name}` is a word of predicates and no name"
            yield Finding("item", ("relations", index, "name"), message)


def _keys(resource: Resource) -> Iterator[Finding]:
    seen: set[frozenset[str]] = set()
    for index, key in enumerate(resource.keys):
        path: Path = ("keys", index)
        if len(set(key.items)) < len(key.items):
            yield Finding("key", path, "an item stands twice in the key")
        if frozenset(key.items) in seen:
            yield Finding("key", path, "the same key stands twice")
        seen.add(frozenset(key.items))
        for place, name in enumerate(key.items):
            item = resource.item_by_name.get(name)
            if item is None:
                yield Finding("key", (*path, place), f"the resource has no item `{name}`")
            elif not item.type.comparable:
                yield Finding("key", (*path, place), f"item `{name}` of type {item.type} has no equality")


def _handle(resource: Resource) -> Iterator[Finding]:
    handle = resource.binding.handle
    if handle is None:
        message = "without a row handle there are pages for requesters of a clear key only"
        yield Finding("handle", ("handle",), message, Severity.NOTICE)
        return
    if handle.type in (ScalarType.GEOMETRY, ScalarType.BOOLEAN, ScalarType.FLOAT):
        yield Finding("handle", ("handle", "type"), f"a column of type {handle.type} is no row handle")
    yield from _timezone(handle, ("handle",))
    for item in resource.items:
        if item.column.name == handle.name:
            severity = Severity.NOTICE if item.share_class is ShareClass.UNCONDITIONAL else Severity.ERROR
            message = f"the row handle is the column of item `{item.name}`: the order of rows would tell of it"
            yield Finding("handle", ("handle", "column"), message, severity)


def _timezone(column: Column, path: Path) -> Iterator[Finding]:
    if column.timezone is None:
        return
    if column.type is not ScalarType.DATETIME:
        yield Finding("item", (*path, "timezone"), f"a column of type {column.type} has no time zone")
    elif not _is_timezone(column.timezone):
        yield Finding("item", (*path, "timezone"), f"unknown time zone `{column.timezone}`")


@lru_cache(maxsize=256)
def _is_timezone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _blank(text: str | None) -> bool:
    return text is None or not text.strip()
