"""In charge of the impact of entries as GraphQL types: what breaks, and the grants, clients and operations it hits."""

from datetime import datetime

import strawberry

from schema.fixed.enums import described
from schema.fixed.registers import Department, department
from schema.fixed.resolved import Info, resolved
from tanglai.catalogue import client_changes
from tanglai.catalogue.quotas import day_of
from tanglai.catalogue.workflow.versions import Loss
from tanglai.storage.workflow import impact

described(
    client_changes.Impact,
    "How a change hits clients.",
    {
        "BREAKING": "Operations that were valid may not be any more.",
        "RESTRICTING": "Operations stay valid, but show less.",
        "SAFE": "Nothing is lost.",
    },
    "BreakSeverity",
)
described(
    Loss,
    "What a grant loses with a new version of its resource.",
    {
        "RESOURCE": "Everything: the resource is retired.",
        "ITEM": "An item is gone.",
        "RELATION": "A relation is gone.",
        "MASK": "The mask under which an item is shown is gone, and the item with it.",
        "SCOPE": "Its rows could not be told any more; such a version is not published.",
    },
    "GrantLoss",
)


@strawberry.type(description="Something that clients will miss.")
class BreakingChange:
    severity: client_changes.Impact = strawberry.field(description="How it hits them.")
    resource_code: str = strawberry.field(description="Code of the resource whose clients miss it.")
    coordinate: str = strawberry.field(description="The type or field of the schema that it is about.")
    words: str = strawberry.field(description="What happens, in English, for developers.")
    parts: list[str] = strawberry.field(
        description="Names of the items and relations whose users are hit; empty: every user of the resource."
    )


@strawberry.type(description="What a grant loses.")
class LostPart:
    loss: Loss = strawberry.field(description="What it is.")
    name: str = strawberry.field(description="Name of the item or relation; empty for the whole.")


@strawberry.type(description="A live grant that loses something.")
class GrantHit:
    grant: str = strawberry.field(description="Its id.")
    resource_code: str = strawberry.field(description="Code of its resource.")
    lost: list[LostPart] = strawberry.field(description="What it loses.")
    _requester: strawberry.Private[str]

    @resolved("The department that holds it.")
    def requester(self, info: Info) -> Department | None:
        return department(info, self._requester)


@strawberry.type(description="A client program that used what breaks.")
class ClientHit:
    resource_code: str = strawberry.field(description="Code of the resource.")
    client: str = strawberry.field(description="The client program.")
    requests: int = strawberry.field(description="Requests that it made.")
    last_use: datetime = strawberry.field(description="The last of them.")
    _department: strawberry.Private[str]

    @resolved("Its department.")
    def department(self, info: Info) -> Department | None:
        return department(info, self._department)


@strawberry.type(description="An operation that used what breaks.")
class OperationHit:
    resource_code: str = strawberry.field(description="Code of the resource.")
    name: str | None = strawberry.field(description="Its name; null where it has none.")
    hash: str = strawberry.field(description="SHA-256 of its document.")
    client: str = strawberry.field(description="The client program that sent it.")
    items: list[str] = strawberry.field(description="Names of the items and relations of the resource that it uses.")
    last_use: datetime = strawberry.field(description="When it was last sent.")
    _department: strawberry.Private[str]

    @resolved("The client's department.")
    def department(self, info: Info) -> Department | None:
        return department(info, self._department)


@strawberry.type(
    description="What publication of an entry, with those that go together with it, breaks. Who publishes accepts it "
    "by its mark."
)
class EntryImpact:
    mark: str = strawberry.field(description="Names what is shown here; another one as soon as it changes.")
    harmless: bool = strawberry.field(description="Whether nothing breaks: then nothing has to be accepted.")
    breaks: list[BreakingChange] = strawberry.field(description="What clients will miss.")
    grants: list[GrantHit] = strawberry.field(description="Live grants that lose something, by id.")
    _impact: strawberry.Private[impact.Impact]

    @resolved("Clients that used what breaks within 400 days, as far as use is counted.")
    async def clients(self, info: Info) -> list[ClientHit]:
        today = day_of(info.context.now)
        found = await info.context.office.read(lambda connection: impact.clients(connection, self._impact, today))
        return [
            ClientHit(
                resource_code=it.resource,
                client=it.client,
                requests=it.requests,
                last_use=it.last_use,
                _department=it.department,
            )
            for it in found
        ]

    @resolved("Operations that used what breaks within 400 days, the latest of each resource first; at most 1,000.")
    async def operations(self, info: Info) -> list[OperationHit]:
        today = day_of(info.context.now)
        found = await info.context.office.read(lambda connection: impact.operations(connection, self._impact, today))
        return [
            OperationHit(
                resource_code=code,
                name=it.operation_name,
                hash=it.operation_hash,
                client=it.client,
                items=list(it.items),
                last_use=it.last_use,
                _department=it.department,
            )
            for code, it in found
        ]


def entry_impact(found: impact.Impact) -> EntryImpact:
    """An impact as its GraphQL type."""
    return EntryImpact(
        mark=found.mark,
        harmless=found.harmless,
        breaks=[
            BreakingChange(
                severity=it.impact,
                resource_code=it.resource,
                coordinate=it.coordinate,
                words=it.words,
                parts=list(it.parts),
            )
            for it in found.breaks
        ],
        grants=[
            GrantHit(
                grant=it.grant,
                resource_code=it.resource,
                lost=[LostPart(loss=hit.loss, name=hit.name) for hit in it.hits],
                _requester=it.requester,
            )
            for it in found.grants
        ],
        _impact=found,
    )
