"""In charge of `Catalogue`: lists, look-ups, search and changes over the snapshot of the request."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Annotated

import strawberry

from schema.fixed import changes, search
from schema.fixed.enums import MatchPlace
from schema.fixed.paging import After, Before, Connection, First, Last, PageInfo, Window, connection, page
from schema.fixed.registers import (
    Category,
    Department,
    Division,
    Purpose,
    categories_below,
    category,
    department,
    division,
    purposes,
)
from schema.fixed.resolved import Info, resolved
from schema.fixed.resources import Item, Resource, ResourceChange, change_node, find_resource, item_node, resource_node
from schema.fixed.workflow.legacy import LegacyInterface, legacy_interfaces
from tanglai.catalogue import model
from tanglai.catalogue.errors import BadInput


@strawberry.input(description="Conditions on resources; all of those given must hold.")
class ResourceFilter:
    share_class: list[model.ShareClass] | None = strawberry.field(
        default=None, description="Its share class is one of these."
    )
    provider: str | None = strawberry.field(default=None, description="Credit code or key of its provider.")
    branch: list[model.Branch] | None = strawberry.field(default=None, description="Its branch is one of these.")
    category: str | None = strawberry.field(default=None, description="It stands at this category or below.")
    zone: model.Zone | None = strawberry.field(default=None, description="The platform that serves its data.")
    text: str | None = strawberry.field(
        default=None, description="All these words occur in its titles, items or summary."
    )


@strawberry.type(description="A resource that a search found, with its place in the list.")
class SearchEdge:
    node: Resource = strawberry.field(description="The resource.")
    cursor: str = strawberry.field(description="Its place, for `after` and `before`.")
    place: MatchPlace = strawberry.field(description="The best place where a word occurs.")
    items: list[Item] = strawberry.field(description="The items in which words occur.")


@strawberry.type(description="A page of a search's results, the best first (Relay cursor connection).")
class SearchConnection:
    edges: list[SearchEdge] = strawberry.field(description="The results of the page with their places.")
    nodes: list[Resource] = strawberry.field(description="The resources of the page alone.")
    page_info: PageInfo = strawberry.field(description="Whether and where the list goes on.")
    total_count: int = strawberry.field(description="Number of all results.")


CodeArgument = Annotated[str, strawberry.argument(description="Its code.")]


@strawberry.type(description="All entries of the catalogue, of both zones, with its registers; one snapshot.")
class Catalogue:
    id: strawberry.ID = strawberry.field(description="A constant, so that client caches can merge answers.")

    @resolved("Number of the snapshot; a higher one is newer.")
    def snapshot(self, info: Info) -> int:
        return info.context.snapshot.number

    @resolved("The zone of this platform.")
    def zone(self, info: Info) -> model.Zone:
        return info.context.snapshot.zone

    @resolved("The rule set that decisions follow.")
    def rule_set(self, info: Info) -> str:
        return info.context.snapshot.rule_set

    @resolved("Resources by code.")
    def resources(
        self,
        info: Info,
        filter: Annotated[ResourceFilter | None, strawberry.argument(description="Only resources that match.")] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Resource]:
        accepted = _accepts(info.context.snapshot, filter or ResourceFilter())
        entries = [found for _, found in sorted(info.context.snapshot.resources.items()) if accepted(found)]
        return connection(entries, lambda found: found.code, Window(first, after, last, before), resource_node)

    @resolved("The resource of a code, or null.")
    def resource(self, info: Info, code: CodeArgument) -> Resource | None:
        return find_resource(info, code)

    @resolved("All departments, by code.")
    def departments(self, info: Info) -> list[Department]:
        codes = sorted(info.context.snapshot.departments)
        return [found for code in codes if (found := department(info, code)) is not None]

    @resolved("The department of a credit code or key, or null.")
    def department(
        self, info: Info, code: Annotated[str, strawberry.argument(description="Its credit code or key.")]
    ) -> Department | None:
        return department(info, _credit_code(info.context.snapshot, code))

    @resolved("Purposes that the platform knows, by code.")
    def purposes(self, info: Info) -> list[Purpose]:
        return purposes(info, sorted(info.context.snapshot.purposes))

    @resolved("Administrative divisions, by code.")
    def divisions(
        self,
        info: Info,
        at: Annotated[
            date | None,
            strawberry.argument(description="Only codes valid on this day; by default all, former ones too."),
        ] = None,
    ) -> list[Division]:
        known = sorted(info.context.snapshot.divisions.items())
        codes = (code for code, found in known if at is None or _valid(found, at))
        return [found for code in codes if (found := division(info, code)) is not None]

    @resolved("The division of a code, or null.")
    def division(self, info: Info, code: CodeArgument) -> Division | None:
        return division(info, code)

    @resolved("The roots of the classification tree, by code.")
    def categories(self, info: Info) -> list[Category]:
        return categories_below(info, None)

    @resolved("The category of a code, or null.")
    def category(self, info: Info, code: CodeArgument) -> Category | None:
        return category(info, code)

    @resolved("Old cross-department exchange interfaces, the next to retire first (Art. 6).")
    def legacy_interfaces(self, info: Info) -> list[LegacyInterface]:
        return legacy_interfaces(info)

    @resolved("What was published or retired after a moment, the oldest first.")
    def changes(
        self,
        info: Info,
        since: Annotated[datetime, strawberry.argument(description="The moment.")],
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[ResourceChange]:
        entries = changes.events(info.context.snapshot, since)
        return connection(entries, lambda event: event.key, Window(first, after, last, before), change_node)

    @resolved("Resources in which all words of a text occur, the best first.")
    def search(
        self,
        info: Info,
        text: Annotated[str, strawberry.argument(description="Words; Chinese needs no spaces between them.")],
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> SearchConnection:
        words = search.search_words(text)
        hits = search.search(info.context.snapshot, text)
        part = page(hits, lambda hit: hit.key, Window(first, after, last, before))
        edges = [
            SearchEdge(
                node=resource_node(hit.resource),
                cursor=place,
                place=hit.place,
                items=[item_node(hit.resource, item) for item in search.matching_items(hit.resource, words)],
            )
            for hit, place in zip(part.entries, part.cursors, strict=True)
        ]
        return SearchConnection(
            edges=edges, nodes=[edge.node for edge in edges], page_info=part.info, total_count=part.total
        )


def _accepts(snapshot: model.Snapshot, filter: ResourceFilter) -> Callable[[model.Resource], bool]:
    """The test for `filter`. Raises BAD_INPUT for a department or category that does not exist."""
    provider = None
    if filter.provider is not None:
        provider = _credit_code(snapshot, filter.provider)
        if provider not in snapshot.departments:
            raise BadInput(f"no department `{filter.provider}`")
    categories = _subtree(snapshot, filter.category) if filter.category is not None else None
    found = None
    if filter.text is not None:
        found = {hit.resource.code for hit in search.search(snapshot, filter.text)}

    def accepts(resource: model.Resource) -> bool:
        return (
            (filter.share_class is None or resource.share_class in filter.share_class)
            and (provider is None or resource.provider == provider)
            and (filter.branch is None or resource.branch in filter.branch)
            and (categories is None or resource.category in categories)
            and (filter.zone is None or resource.zone is filter.zone)
            and (found is None or resource.code in found)
        )

    return accepts


def _credit_code(snapshot: model.Snapshot, code: str) -> str:
    by_key = snapshot.department_by_key.get(code)
    return by_key.code if by_key else code


def _subtree(snapshot: model.Snapshot, root: str) -> set[str]:
    if root not in snapshot.categories:
        raise BadInput(f"no category `{root}`")
    below: dict[str | None, list[str]] = {}
    for code, found in snapshot.categories.items():
        below.setdefault(found.parent, []).append(code)
    tree, waiting = {root}, [root]
    while waiting:
        for code in below.get(waiting.pop(), ()):
            if code not in tree:
                tree.add(code)
                waiting.append(code)
    return tree


def _valid(found: model.Division, day: date) -> bool:
    return found.valid_from <= day and (found.valid_to is None or day < found.valid_to)
