"""In charge of local catalogues as GraphQL types: one for each government, connected to the region's (Art. 8)."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import strawberry

from schema.fixed.ids import global_id
from schema.fixed.paging import After, Before, Connection, First, Last, Window, connection
from schema.fixed.registers import Department, Division, Node, department, division
from schema.fixed.resolved import Info, resolved
from schema.fixed.resources import Resource, resource_node
from tanglai.catalogue import local_catalogues as pure
from tanglai.catalogue import model
from tanglai.catalogue.errors import BadInput
from tanglai.catalogue.local_catalogues import Government, departments_of, resources_of
from tanglai.catalogue.workflow.parties import competent_department
from tanglai.storage import local_catalogues as stored


@strawberry.type(description="Entries of one share class.")
class ClassCount:
    share_class: model.ShareClass = strawberry.field(description="The class.")
    count: int = strawberry.field(description="Number of entries.")


@strawberry.type(description="Entries of one branch.")
class BranchCount:
    branch: model.Branch = strawberry.field(description="The branch.")
    count: int = strawberry.field(description="Number of entries.")


@strawberry.type(description="Entries of one provider.")
class ProviderCount:
    count: int = strawberry.field(description="Number of entries.")
    _provider: strawberry.Private[str]

    @resolved("The department.")
    def provider(self, info: Info) -> Department | None:
        return department(info, self._provider)


@strawberry.type(description="The catalogue of one government: the entries of its departments together (Art. 8).")
class LocalCatalogue(Node):
    level: model.Level = strawberry.field(description="Level of the government.")
    _government: strawberry.Private[Government]

    @resolved("The government's division; null where the register does not have it.")
    def division(self, info: Info) -> Division | None:
        return division(info, self._government.division)

    @resolved("The competent department that supervises it; null where there is none.")
    def competent_department(self, info: Info) -> Department | None:
        members = departments_of(info.context.snapshot, self._government)
        found = competent_department(info.context.snapshot, members[0].code) if members else None
        return department(info, found.code) if found is not None else None

    @resolved("The government's departments, by code.")
    def departments(self, info: Info) -> list[Department]:
        members = departments_of(info.context.snapshot, self._government)
        return [found for it in members if (found := department(info, it.code)) is not None]

    @resolved("Its entries, of both zones, by code.")
    def resources(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[Resource]:
        entries = self._entries(info)
        return connection(entries, lambda it: it.code, Window(first, after, last, before), resource_node)

    @resolved("Number of entries by share class, from open to closed.")
    def by_class(self, info: Info) -> list[ClassCount]:
        counts = Counter(it.share_class for it in self._entries(info))
        return [ClassCount(share_class=it, count=counts[it]) for it in model.ShareClass]

    @resolved("Number of entries by branch.")
    def by_branch(self, info: Info) -> list[BranchCount]:
        counts = Counter(it.branch for it in self._entries(info))
        return [BranchCount(branch=it, count=counts[it]) for it in model.Branch]

    @resolved("Number of entries by provider, of those that have some, by code.")
    def by_provider(self, info: Info) -> list[ProviderCount]:
        counts = Counter(it.provider for it in self._entries(info))
        return [ProviderCount(count=count, _provider=code) for code, count in sorted(counts.items())]

    @resolved("Number of the catalogue's snapshot at the last change of one of its entries; 0 before the first.")
    async def version(self, info: Info) -> int:
        return (await self._changed(info))[0]

    @resolved("When an entry was last published or retired; null before the first.")
    async def updated_at(self, info: Info) -> datetime | None:
        moment: datetime | None = (await self._changed(info))[1]
        return moment

    @resolved("The region's, which it is connected to; null for the region's own.")
    def connected_to(self, info: Info) -> "LocalCatalogue | None":
        found = pure.connected_to(info.context.snapshot, self._government)
        return local_catalogue(found) if found is not None else None

    @resolved("Those of lower levels that are connected to it.")
    def connected(self, info: Info) -> "list[LocalCatalogue]":
        return [local_catalogue(it) for it in pure.connected(info.context.snapshot, self._government)]

    def _entries(self, info: Info) -> list[model.Resource]:
        return resources_of(info.context.snapshot, self._government)

    async def _changed(self, info: Info) -> tuple[int, Any]:
        context = info.context
        known = {it.key: it for it in pure.governments(context.snapshot)}

        async def load(keys: Sequence[str]) -> dict[str, tuple[int, Any]]:
            members = {
                key: [it.code for it in departments_of(context.snapshot, known[key])] for key in keys if key in known
            }
            return await context.office.read(lambda connection: stored.versions(connection, members))

        return await context.batched("local catalogues", self._government.key, load)


def local_catalogue(of: Government) -> LocalCatalogue:
    """The catalogue of a government."""
    id = strawberry.ID(global_id("LocalCatalogue", of.key))
    return LocalCatalogue(id=id, level=of.level, _government=of)


def local_catalogue_by_key(info: Info, key: str) -> LocalCatalogue | None:
    """For `node`: the catalogue that `key` names, or None."""
    return next((local_catalogue(it) for it in pure.governments(info.context.snapshot) if it.key == key), None)


@strawberry.type
class LocalCatalogueQueries:
    @resolved(
        "The catalogue of a government: that of a department's, or of a level and division; by default of one's own."
    )
    def local_catalogue(
        self,
        info: Info,
        department: Annotated[
            str | None, strawberry.argument(description="Credit code or key of a department of the government.")
        ] = None,
        level: Annotated[model.Level | None, strawberry.argument(description="Level, with `division`.")] = None,
        division: Annotated[str | None, strawberry.argument(description="Code of the division, with `level`.")] = None,
    ) -> LocalCatalogue | None:
        snapshot = info.context.snapshot
        if (level is None) != (division is None) or (level is not None and department is not None):
            raise BadInput("give `department`, or both of `level` and `division`")
        if level is not None and division is not None:
            return local_catalogue_by_key(info, Government(level, division).key)
        named = department or info.context.principal.department.code
        found = snapshot.department_by_key.get(named) or snapshot.departments.get(named)
        return local_catalogue(pure.government(found)) if found is not None else None

    @resolved("The catalogues of all governments, the region's first.")
    def local_catalogues(self, info: Info) -> list[LocalCatalogue]:
        return [local_catalogue(it) for it in pure.governments(info.context.snapshot)]
