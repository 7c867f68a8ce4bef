"""In charge of changes of running services as GraphQL types: proposed, agreed or objected to, filed, coordinated."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, TypeAlias

import strawberry

from schema.fixed.enums import described
from schema.fixed.grants import Grant, MaskedItem, Quota, grant_by_id
from schema.fixed.resolved import Info, resolved
from schema.fixed.workflow.applications import (
    KeyArgument,
    MaskInput,
    NoteArgument,
    QuotaInput,
    ReasonArgument,
    VersionArgument,
    moment_text,
    read_scope,
)
from schema.fixed.workflow.listings import IdArgument, matters_of, one_matter
from schema.fixed.workflow.matters import Matter, act_result, history, node, number_of, of_kind
from schema.fixed.workflow.results import Conflict, InvalidAct, NotFound, NotPermitted, WrongState, told
from schema.fixed.workflow.suspensions import GrantArgument
from tanglai.catalogue.workflow.grant_life import ServiceChangeKind
from tanglai.catalogue.workflow.machines import MatterKind
from tanglai.storage.workflow import matters, service_changes

SERVICE_CHANGE = MatterKind.SERVICE_CHANGE
described(
    ServiceChangeKind,
    "What a provider wants to do with a running grant.",
    {"END": "End it.", "CHANGE": "Give it other terms."},
)


@strawberry.input(description="New terms of a running grant; what is not given stays as it is.")
class ServiceTermsInput:
    items: list[str] | None = strawberry.field(default=None, description="Names of all items that it shall open.")
    relations: list[str] | None = strawberry.field(default=None, description="Names of all its relations.")
    scope: str | None = strawberry.field(
        default=None, description="All its rows, as JSON in the form of a row scope; `{}` is all of the resource."
    )
    masks: list[MaskInput] | None = strawberry.field(
        default=None, description="All items that it shall show under a mask; an empty list: none."
    )
    quota: QuotaInput | None = strawberry.field(default=None, description="Amounts per day.")
    valid_to: datetime | None = strawberry.field(default=None, description="First moment at which it holds no more.")

    def document(self) -> dict[str, Any]:
        """As in a grant's document, what is not given left out. Raises InvalidAct for a scope that cannot be read."""
        pairs = {
            "items": self.items,
            "relations": self.relations,
            "scope": read_scope(self.scope, "terms"),
            "masks": {it.item: it.mask for it in self.masks} if self.masks is not None else None,
            "quota": self.quota.document() if self.quota is not None else None,
            "validTo": moment_text(self.valid_to),
        }
        return {name: value for name, value in pairs.items() if value is not None}


@strawberry.type(description="The terms of a grant that may change while it runs.")
class ServiceTerms:
    items: list[str] = strawberry.field(description="Names of items.")
    relations: list[str] = strawberry.field(description="Names of relations.")
    scope: str = strawberry.field(description="Rows, as JSON in the form of a row scope; `{}` is all.")
    masks: list[MaskedItem] = strawberry.field(description="Items that are shown under a mask.")
    quota: Quota | None = strawberry.field(description="Amounts per day; null where nothing is bounded.")
    valid_to: datetime | None = strawberry.field(description="First moment at which it holds no more.")


def _terms(document: Mapping[str, Any]) -> ServiceTerms:
    quota, end = document.get("quota"), document.get("validTo")
    return ServiceTerms(
        items=list(document.get("items") or ()),
        relations=list(document.get("relations") or ()),
        scope=json.dumps(document.get("scope") or {}, ensure_ascii=False),
        masks=[MaskedItem(item=item, mask=mask) for item, mask in (document.get("masks") or {}).items()],
        quota=Quota(rows=quota.get("rows"), requests=quota.get("requests"), subjects=quota.get("subjects"))
        if quota
        else None,
        valid_to=datetime.fromisoformat(end) if end is not None else None,
    )


@of_kind(SERVICE_CHANGE)
@strawberry.type(
    description="A provider wants to end or change a running grant: it asks the requester first and files what is "
    "agreed (Order 809 Art. 27)."
)
class ServiceChange(Matter):
    @resolved("The grant, as it is now.")
    async def grant(self, info: Info) -> Grant | None:
        return await grant_by_id(info, self._matter.grant or "", self._matter.version)

    @resolved("What is wanted.")
    def change(self) -> ServiceChangeKind:
        return ServiceChangeKind(self._matter.document["change"])

    @resolved("The grant's terms when it was proposed.")
    def before(self) -> ServiceTerms:
        return _terms(self._matter.document["before"])

    @resolved("Its terms once the change is filed; null where it shall end.")
    def terms(self) -> ServiceTerms | None:
        terms = self._matter.document.get("terms")
        return _terms(terms) if terms is not None else None

    @resolved("Why the provider wants it.")
    async def proposal(self, info: Info) -> str:
        return await self._said(info, "PROPOSE") or ""

    @resolved("Why the requester objects; null where it does not.")
    async def objection(self, info: Info) -> str | None:
        return await self._said(info, "OBJECT")

    @resolved("The coordination that it was brought to; null where it was not.")
    async def coordination(self, info: Info) -> Matter | None:
        if self._matter.state != "ESCALATED":
            return None
        desk, department = info.context.office, info.context.principal.department.code
        found = await info.context.batched(
            "coordinations of",
            self._matter.id,
            lambda ids: desk.read(lambda connection: matters.children(connection, ids, MatterKind.COORDINATION)),
        )
        return next((node(it) for it in found if matters.visible_to(it, department)), None)

    async def _said(self, info: Info, event: str) -> str | None:
        found = await history(info, self._matter)
        return next((it.reason for it in reversed(found) if it.event == event), None)


ServiceChangeResult: TypeAlias = Annotated[
    ServiceChange | InvalidAct | NotFound | NotPermitted | WrongState | Conflict,
    strawberry.union("ServiceChangeResult", description="The change after the act, or why it was not done."),
]


@strawberry.type
class ServiceChangeQueries:
    service_change = one_matter(
        ServiceChange,
        SERVICE_CHANGE,
        "A change of a running service by id or number; null where there is none for this department.",
    )
    service_changes = matters_of(
        ServiceChange, SERVICE_CHANGE, "The changes of running services that the department is a party to, by number."
    )


@strawberry.type
class ServiceChangeMutations:
    @resolved("Proposes to end a running grant, or to give it other terms; nothing changes yet. Role `reviewer`.")
    @told
    async def propose_service_change(
        self,
        info: Info,
        grant: GrantArgument,
        change: Annotated[ServiceChangeKind, strawberry.argument(description="What is wanted.")],
        reason: ReasonArgument,
        terms: Annotated[ServiceTermsInput | None, strawberry.argument(description="What changes, for CHANGE.")] = None,
        confirm_disclosure: Annotated[
            list[str] | None,
            strawberry.argument(description="Items that the row scope discloses, each confirmed by naming it."),
        ] = None,
        key: KeyArgument = None,
    ) -> ServiceChangeResult:
        desk, acting = info.context.office, info.context.acting
        act = service_changes.propose(
            desk,
            acting,
            grant,
            change,
            reason,
            terms=terms.document() if terms is not None else None,
            confirmed=confirm_disclosure or (),
            key=key,
        )
        return await act_result(ServiceChange, act)

    @resolved("Agrees; the provider may file the change now. Role `applicant`.")
    async def consent_to_service_change(
        self, info: Info, id: IdArgument, version: VersionArgument, note: NoteArgument = None
    ) -> ServiceChangeResult:
        desk, acting = info.context.office, info.context.acting
        act = service_changes.consent(desk, acting, number_of(id), version, note or "")
        return await act_result(ServiceChange, act)

    @resolved("Does not agree. Role `applicant`.")
    async def object_to_service_change(
        self, info: Info, id: IdArgument, version: VersionArgument, reason: ReasonArgument
    ) -> ServiceChangeResult:
        desk, acting = info.context.office, info.context.acting
        act = service_changes.object_to(desk, acting, number_of(id), version, reason)
        return await act_result(ServiceChange, act)

    @resolved("Files what is agreed with the competent department; it holds from the next request on. Role `reviewer`.")
    async def file_service_change(
        self, info: Info, id: IdArgument, version: VersionArgument, note: NoteArgument = None
    ) -> ServiceChangeResult:
        desk, acting = info.context.office, info.context.acting
        return await act_result(ServiceChange, service_changes.file(desk, acting, number_of(id), version, note or ""))

    @resolved("Brings what the requester objects to before the competent department. Role `reviewer`.")
    async def escalate_service_change(
        self, info: Info, id: IdArgument, version: VersionArgument, reason: ReasonArgument
    ) -> ServiceChangeResult:
        desk, acting = info.context.office, info.context.acting
        return await act_result(ServiceChange, service_changes.escalate(desk, acting, number_of(id), version, reason))

    @resolved("Gives it up: the grant stays as it is. Role `reviewer`.")
    async def withdraw_service_change(
        self, info: Info, id: IdArgument, version: VersionArgument, note: NoteArgument = None
    ) -> ServiceChangeResult:
        desk, acting = info.context.office, info.context.acting
        act = service_changes.withdraw(desk, acting, number_of(id), version, note or "")
        return await act_result(ServiceChange, act)
