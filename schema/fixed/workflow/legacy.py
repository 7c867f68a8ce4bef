"""In charge of old cross-department exchange interfaces (Art. 6) as GraphQL types: their plans, and who uses them."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import strawberry

from schema.fixed.registers import Department, department
from schema.fixed.resolved import Info, resolved
from schema.fixed.resources import Resource, find_resource, resource_node
from schema.fixed.workflow.longs import Long
from tanglai.catalogue import model
from tanglai.catalogue.quotas import day_of
from tanglai.catalogue.workflow.parties import Role, competent_department
from tanglai.storage.workflow import usage

REMAINING_DAYS = 90
"""Days that use is looked at for: who asked within them still uses the interface."""


@strawberry.type(description="A client that still uses an old interface.")
class InterfaceClient:
    client: str = strawberry.field(description="The client program.")
    requests: Long = strawberry.field(description="Its requests in the period.")
    last_use: datetime = strawberry.field(description="The last of them.")
    _department: strawberry.Private[str]

    @resolved("The department that it acts for; null where the register does not have it.")
    def department(self, info: Info) -> Department | None:
        return department(info, self._department)


@strawberry.type(description="What is left of the use of an old interface.")
class InterfaceUse:
    since: date = strawberry.field(description="First day that is counted, 90 days ago.")
    as_of: datetime | None = strawberry.field(description="Up to when use is counted; null: not yet.")
    requests: Long = strawberry.field(description="Requests for resources that come from it.")
    last_use: datetime | None = strawberry.field(description="The last of them; null: none in the period.")
    clients: list[InterfaceClient] = strawberry.field(description="Who asks, by department and client.")


@strawberry.type(description="An old cross-department exchange interface and its retirement plan (Art. 6).")
class LegacyInterface:
    source: str = strawberry.field(description="Key of the source.")
    title: str = strawberry.field(description="Its title.")
    retirement: date = strawberry.field(description="When it is to be out of use.")
    overdue: bool = strawberry.field(description="Whether that day has come.")
    successor: str | None = strawberry.field(description="Key of the source, or code of the resource, in its place.")
    note: str | None = strawberry.field(description="A note for those who still use it.")
    _source: strawberry.Private[model.Source]

    @resolved("The department whose interface it is.")
    def department(self, info: Info) -> Department | None:
        return department(info, self._source.department)

    @resolved("The resource that takes its place; null where a source does, or nothing is named.")
    def successor_resource(self, info: Info) -> Resource | None:
        return find_resource(info, self.successor) if self.successor is not None else None

    @resolved("The resources that come from it, by code.")
    def resources(self, info: Info) -> list[Resource]:
        return [resource_node(found) for found in _resources(info, self.source)]

    @resolved("Its remaining use; for its own department, its competent department, and each user of its own use.")
    async def use(self, info: Info) -> InterfaceUse:
        since = day_of(info.context.now) - timedelta(days=REMAINING_DAYS)
        found: _Use = await info.context.batched("legacy-use", self.source, _loader(info, since))
        clients = found.clients if _sees_all(info, self._source) else _own(info, found.clients)
        return InterfaceUse(
            since=since,
            as_of=found.as_of,
            requests=Long(sum(it.requests for it in clients)),
            last_use=max((it.last_use for it in clients), default=None),
            clients=[
                InterfaceClient(
                    client=it.client, requests=Long(it.requests), last_use=it.last_use, _department=it.department
                )
                for it in clients
            ],
        )


class _Use:
    """What clients made of the resources of one source."""

    def __init__(self, clients: list[usage.ClientTotal], as_of: datetime | None) -> None:
        self.clients = clients
        self.as_of = as_of


def legacy_interfaces(info: Info) -> list[LegacyInterface]:
    """The old interfaces of the snapshot, by retirement date and key."""
    today = day_of(info.context.now)
    found = [it for it in info.context.snapshot.sources.values() if it.retirement is not None]
    return [
        LegacyInterface(
            source=it.key,
            title=it.title,
            retirement=it.retirement,
            overdue=it.retirement <= today,
            successor=it.successor,
            note=it.retirement_note,
            _source=it,
        )
        for it in sorted(found, key=lambda it: (it.retirement or date.max, it.key))
        if it.retirement is not None
    ]


def _resources(info: Info, source: str) -> list[model.Resource]:
    found = (it for _, it in sorted(info.context.snapshot.resources.items()))
    return [it for it in found if it.binding.source == source]


def _loader(info: Info, since: date) -> Any:
    desk = info.context.office

    async def load(sources: Sequence[str]) -> Mapping[str, _Use]:
        codes = {key: [it.code for it in _resources(info, key)] for key in sources}
        every = [code for found in codes.values() for code in found]

        async def read(connection: Any) -> tuple[dict[str, list[usage.ClientTotal]], datetime | None]:
            return await usage.clients_of(connection, every, since), await usage.as_of(connection)

        totals, as_of = await desk.read(read)
        return {key: _Use(_together([it for c in codes[key] for it in totals[c]]), as_of) for key in sources}

    return load


def _together(totals: Sequence[usage.ClientTotal]) -> list[usage.ClientTotal]:
    """One total for each client, by department and client."""
    found: dict[tuple[str, str], usage.ClientTotal] = {}
    for it in totals:
        key = (it.department, it.client)
        old = found.get(key)
        requests = it.requests + (old.requests if old else 0)
        last = max(it.last_use, old.last_use) if old else it.last_use
        found[key] = usage.ClientTotal(it.department, it.client, requests, last)
    return [found[key] for key in sorted(found)]


def _sees_all(info: Info, source: model.Source) -> bool:
    """Whether the requester works for the interface's department, or for the competent one of its level."""
    own = info.context.principal.department.code
    if not any(role.value in info.context.principal.roles for role in Role):
        return False
    above = competent_department(info.context.snapshot, source.department)
    return own in (source.department, above.code if above is not None else "")


def _own(info: Info, clients: Sequence[usage.ClientTotal]) -> list[usage.ClientTotal]:
    own = info.context.principal.department.code
    return [it for it in clients if it.department == own]
