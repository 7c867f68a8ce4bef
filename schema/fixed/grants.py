"""In charge of grants as GraphQL types: what a department was granted, and what it used of each today."""

from collections.abc import Sequence
from datetime import date, datetime

import strawberry

from schema.fixed.paging import Connection, Window, connection
from schema.fixed.registers import Purpose, purpose
from schema.fixed.resolved import Info, resolved
from schema.fixed.resources import Resource, find_resource
from tanglai.catalogue import model
from tanglai.catalogue.quotas import Counts, bounded, day_of
from tanglai.storage import grants


@strawberry.type(description="Amounts per day of Asia/Shanghai; null where there is no bound.")
class Quota:
    rows: int | None = strawberry.field(description="Rows delivered; a group of figures is a row.")
    requests: int | None = strawberry.field(description="Operations that use the grant.")
    subjects: int | None = strawberry.field(description="Distinct subjects that the rows are about.")


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


async def grant_by_id(info: Info, id: str) -> Grant | None:
    """A grant that the department has, or that is on a resource of its own; else None."""
    own = next((grant for grant in info.context.grants if grant.id == id), None)
    if own is not None:
        return _node(own)
    resources, department = info.context.snapshot.resources, info.context.principal.department.code
    found = await info.context.office.read(lambda connection: grants.find(connection, id, resources))
    provider = resources[found.resource].provider if found is not None and found.resource in resources else None
    return _node(found) if found is not None and provider == department else None


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
    return connection(entries, lambda grant: grant.id, window, _node)


def _quota(quota: model.Quota) -> Quota:
    return Quota(rows=quota.rows, requests=quota.requests, subjects=quota.subjects)


def _node(grant: model.Grant) -> Grant:
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
