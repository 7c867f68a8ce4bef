"""In charge of grants as GraphQL types: what a department was granted, and what it used of each today."""

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any

import strawberry

from authz.scope_words import describe_rows
from schema.fixed.paging import Connection, Window, connection
from schema.fixed.registers import Department, Purpose, department, purpose
from schema.fixed.resolved import Info, resolved
from schema.fixed.resources import Resource, find_resource
from schema.fixed.workflow.matters import Matter, node
from tanglai.catalogue import model
from tanglai.catalogue.documents import grant_to_document
from tanglai.catalogue.quotas import Counts, bounded, day_of
from tanglai.catalogue.workflow.machines import MatterKind
from tanglai.storage.workflow import grants_view, matters, usage


@strawberry.type(description="Amounts per day of Asia/Shanghai; null where there is no bound.")
class Quota:
    rows: int | None = strawberry.field(description="Rows delivered; a group of figures is a row.")
    requests: int | None = strawberry.field(description="Operations that use the grant.")
    subjects: int | None = strawberry.field(description="Distinct subjects that the rows are about.")


@strawberry.type(description="The cube that is published where single rows are not.")
class Statistics:
    dimensions: list[str] = strawberry.field(description="Names of items with code lists, to group by.")
    measures: list[str] = strawberry.field(description="Names of numeric items, to sum.")
    period: model.Period = strawberry.field(description="How often it is published.")
    minimum_cell: int = strawberry.field(description="Cells of fewer rows are left out.")
    base: int = strawberry.field(description="Counts are rounded to a multiple of it.")
    sum_base: Decimal = strawberry.field(description="Sums are rounded to a multiple of it.")


def statistics_in(document: Mapping[str, Any]) -> Statistics | None:
    """The cube in the document of a grant or of what asks for one; None where it has none."""
    found = document.get("statistics")
    if not found:
        return None
    return Statistics(
        dimensions=list(found["dimensions"]),
        measures=list(found.get("measures") or ()),
        period=model.Period(found["period"]),
        minimum_cell=found["minimumCell"],
        base=found["base"],
        sum_base=Decimal(found.get("sumBase") or 1),
    )


@strawberry.type(
    description="What was used of a grant in one day. Operations under way, and what other nodes hold unused for a "
    "moment, count as used; what is not bounded is not counted: null."
)
class GrantUse:
    grant: strawberry.ID = strawberry.field(description="Id of the grant.")
    day: date = strawberry.field(description="The day, of Asia/Shanghai.")
    rows: int | None = strawberry.field(description="Rows delivered.")
    requests: int | None = strawberry.field(description="Operations that used the grant.")
    subjects: int | None = strawberry.field(description="Distinct subjects that the rows were about.")
    limits: Quota = strawberry.field(description="What there is for the day.")
    remaining: Quota = strawberry.field(description="What is left of the day.")


@strawberry.type(description="An item that is shown under a mask.")
class MaskedItem:
    item: str = strawberry.field(description="Name of the item.")
    mask: str = strawberry.field(description="Name of its mask.")


@strawberry.type(description="One step of a grant: who changed it, when and why.")
class GrantStep:
    before: model.GrantState | None = strawberry.field(description="State before; null where it was recorded.")
    after: model.GrantState = strawberry.field(description="State after; the same where its terms changed.")
    by: str = strawberry.field(
        description="Who: a department's code with a person or client program, `platform`, or an operator."
    )
    at: datetime = strawberry.field(description="When.")
    reason: str = strawberry.field(description="Why.")


@strawberry.type(description="What was used of a grant, counted from the audit log.")
class GrantTotals:
    requests: int = strawberry.field(description="Operations that used it.")
    rows: int = strawberry.field(description="Rows of its resource that they delivered.")
    last_use: datetime | None = strawberry.field(description="The last of them; null where there was none.")
    _grant: strawberry.Private[model.Grant]

    @resolved("Up to when use is counted; null: not yet at all.")
    async def as_of(self, info: Info) -> datetime | None:
        desk = info.context.office

        async def load(_: Any) -> Mapping[str, datetime | None]:
            return {"": await desk.read(usage.as_of)}

        return await info.context.batched("use as of", "", load)

    @resolved("What is left of today's quota; null where it bounds nothing.")
    async def remaining_quota(self, info: Info) -> Quota | None:
        used = await use_of(info, self._grant)
        return used.remaining if used is not None else None


@strawberry.type(description="What a positive answer to an application, a consultation or a coordination opened.")
class Grant:
    id: strawberry.ID = strawberry.field(description="Its id, as in `extensions.grants` of an answer.")
    resource_code: str = strawberry.field(description="Code of the resource that it opens.")
    items: list[str] = strawberry.field(description="Names of the items that it opens.")
    relations: list[str] = strawberry.field(description="Names of the relations that it opens at this end.")
    purpose_code: str = strawberry.field(description="Code of the purpose that it serves.")
    usage: model.Usage = strawberry.field(description="Whether it is for reading or for statistics.")
    basis: model.GrantBasis = strawberry.field(description="What it came from.")
    state: model.GrantState = strawberry.field(description="Its state.")
    valid_from: datetime = strawberry.field(description="First moment at which it is valid.")
    valid_to: datetime | None = strawberry.field(description="First moment at which it is not any more.")
    quota: Quota | None = strawberry.field(description="What it allows per day; null where it bounds nothing.")
    _grant: strawberry.Private[model.Grant]

    @resolved("The resource that it opens; null while it is not published.")
    def resource(self, info: Info) -> Resource | None:
        return find_resource(info, self.resource_code)

    @resolved("The purpose that it serves.")
    def purpose(self, info: Info) -> Purpose | None:
        return purpose(info, self.purpose_code)

    @resolved("What was used of it today; null where it bounds nothing.")
    async def used_today(self, info: Info) -> GrantUse | None:
        return await use_of(info, self._grant)

    @resolved("The department that has it.")
    def requester(self, info: Info) -> Department | None:
        return department(info, self._grant.requester)

    @resolved("The department whose data it opens.")
    async def provider(self, info: Info) -> Department | None:
        return department(info, await provider_of(info, self.resource_code))

    @resolved("The cube that it publishes; null where it opens rows.")
    def statistics(self) -> Statistics | None:
        return statistics_in(grant_to_document(self._grant))

    @resolved("The rows that it opens, as JSON in the form of a row scope; `{}` is all rows.")
    def scope(self, info: Info) -> str:
        return info.context.tell(json.dumps(grant_to_document(self._grant).get("scope") or {}, ensure_ascii=False))

    @resolved("The same in words of the request's language; null where its resource is not published.")
    def scope_words(self, info: Info) -> str | None:
        snapshot = info.context.snapshot
        resource = snapshot.resources.get(self.resource_code)
        requester = snapshot.departments.get(self._grant.requester)
        if resource is None or requester is None:
            return None
        return info.context.tell(
            describe_rows([self._grant.scope], resource, snapshot, requester, info.context.language)
        )

    @resolved("Items that it shows under a mask.")
    def masks(self) -> list[MaskedItem]:
        return [MaskedItem(item=item, mask=mask) for item, mask in sorted(self._grant.masks.items())]

    @resolved(
        "The application, consultation or coordination that it rests on; null where it was recorded without one, or "
        "this department is no party to that."
    )
    async def basis_matter(self, info: Info) -> Matter | None:
        desk = info.context.office
        found = await info.context.batched(
            "grants' basis", self.id, lambda ids: desk.read(lambda connection: grants_view.basis(connection, ids))
        )
        return _visible(info, found)

    @resolved("Every step of it, the oldest first.")
    async def history(self, info: Info) -> list[GrantStep]:
        desk = info.context.office
        found = await info.context.batched(
            "grants' history", self.id, lambda ids: desk.read(lambda connection: grants_view.histories(connection, ids))
        )
        return [GrantStep(before=it.before, after=it.after, by=it.by, at=it.at, reason=it.reason) for it in found]

    @resolved("What was used of it in all, or in a period.")
    async def use(
        self,
        info: Info,
        since: Annotated[date | None, strawberry.argument(description="First day, of Asia/Shanghai.")] = None,
        until: Annotated[date | None, strawberry.argument(description="Last day.")] = None,
    ) -> GrantTotals:
        desk = info.context.office
        total = await info.context.batched(
            f"grants' use {since} {until}",
            self.id,
            lambda ids: desk.read(lambda connection: usage.grants_used(connection, ids, since, until)),
        )
        return GrantTotals(requests=total.requests, rows=total.rows, last_use=total.last_use, _grant=self._grant)

    @resolved("The suspension that is open about it; null where none is, and where an operator suspended it.")
    async def open_suspension(self, info: Info) -> Matter | None:
        return await self._about(info, MatterKind.SUSPENSION)

    @resolved("The change or end of the service that is proposed; null where none is.")
    async def open_service_change(self, info: Info) -> Matter | None:
        return await self._about(info, MatterKind.SERVICE_CHANGE)

    @resolved("The statement of what became of the data, owed or made; null where there is none.")
    async def disposal(self, info: Info) -> Matter | None:
        return await self._about(info, MatterKind.DISPOSAL)

    async def _about(self, info: Info, kind: MatterKind) -> Matter | None:
        desk = info.context.office
        found = await info.context.batched(
            "grants' matters", self.id, lambda ids: desk.read(lambda connection: grants_view.about(connection, ids))
        )
        return _visible(info, next((it for it in found if it.kind is kind), None))


def _visible(info: Info, found: matters.Matter | None) -> Matter | None:
    if found is None or not matters.visible_to(found, info.context.principal.department.code):
        return None
    return node(found)


async def provider_of(info: Info, code: str) -> str:
    """Credit code of the provider of a resource, published or retired, in one batch with all that is asked for."""
    resource = info.context.snapshot.resources.get(code)
    if resource is not None:
        return resource.provider
    desk = info.context.office
    return await info.context.batched(
        "providers", code, lambda codes: desk.read(lambda connection: grants_view.providers(connection, codes))
    )


async def use_of(info: Info, grant: model.Grant) -> GrantUse | None:
    """What was used of a grant today; None where it bounds nothing, and where nobody counts."""
    limits = grant.quota
    if limits is None or not bounded(limits):
        return None
    used = await info.context.used(grant.id)
    return None if used is None else grant_use(grant.id, day_of(info.context.now), limits, used)


def grant_use(id: str, day: date, limits: model.Quota, used: Counts) -> GrantUse:
    """What is used of `limits` on `day`."""
    pairs = ((limits.rows, used.rows), (limits.requests, used.requests), (limits.subjects, used.subjects))
    counted = [None if limit is None else number for limit, number in pairs]
    left = [None if limit is None else max(0, limit - number) for limit, number in pairs]
    return GrantUse(
        grant=strawberry.ID(id),
        day=day,
        rows=counted[0],
        requests=counted[1],
        subjects=counted[2],
        limits=_quota(limits),
        remaining=Quota(rows=left[0], requests=left[1], subjects=left[2]),
    )


async def grant_by_id(info: Info, id: str, version: int = 0) -> Grant | None:
    """A grant as it is now, that this department has, gives, or supervises as competent department; else None.

    Read in one batch with all that the request asks for; `version` is that of the matter that is told with it, so that
    what an act has changed is read anew.
    """
    context, desk = info.context, info.context.office

    async def load(keys: Sequence[str]) -> Mapping[str, model.Grant | None]:
        ids = {key: key.rpartition("@")[0] for key in keys}
        found = await desk.read(
            lambda connection: grants_view.by_id(connection, context.snapshot, list(set(ids.values())))
        )
        return {key: found.get(id) for key, id in ids.items()}

    grant = await context.batched("grants", f"{id}@{version}", load)
    if grant is None:
        return None
    provider = await provider_of(info, grant.resource)
    seen = grants_view.sees(context.snapshot, grant, provider, context.principal.department.code)
    return grant_node(grant) if seen else None


def grants_page(
    info: Info, resource: str | None, states: Sequence[model.GrantState] | None, window: Window
) -> Connection[Grant]:
    """The requester's grants by id, of one resource and of some states if these are given."""
    entries = sorted(
        (
            grant
            for grant in info.context.grants
            if (resource is None or grant.resource == resource) and (states is None or grant.state in states)
        ),
        key=lambda grant: grant.id,
    )
    return connection(entries, lambda grant: grant.id, window, grant_node)


def _quota(quota: model.Quota) -> Quota:
    return Quota(rows=quota.rows, requests=quota.requests, subjects=quota.subjects)


def grant_node(grant: model.Grant) -> Grant:
    return Grant(
        id=strawberry.ID(grant.id),
        resource_code=grant.resource,
        items=sorted(grant.items),
        relations=sorted(grant.relations),
        purpose_code=grant.purpose,
        usage=grant.usage,
        basis=grant.basis,
        state=grant.state,
        valid_from=grant.valid_from,
        valid_to=grant.valid_to,
        quota=_quota(grant.quota) if grant.quota is not None and bounded(grant.quota) else None,
        _grant=grant,
    )
