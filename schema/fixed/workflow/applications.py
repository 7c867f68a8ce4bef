"""In charge of applications as GraphQL types: what is asked for, the acts of both sides, and the reply."""

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, TypeAlias

import strawberry

from schema.fixed.grants import Grant, Statistics, grant_by_id, statistics_in
from schema.fixed.registers import Purpose, purpose
from schema.fixed.resolved import Info, resolved
from schema.fixed.workflow.listings import IdArgument, matters_of, one_matter
from schema.fixed.workflow.matters import Matter, act_result, history, number_of, of_kind
from schema.fixed.workflow.results import Conflict, InvalidAct, NotFound, NotPermitted, WrongState, told
from tanglai.catalogue import model
from tanglai.catalogue.scalars import ScalarType, to_json
from tanglai.catalogue.workflow import errors
from tanglai.catalogue.workflow.application import MissingPoint, RefusalReason
from tanglai.catalogue.workflow.errors import Problem, ProblemCode
from tanglai.catalogue.workflow.machines import MatterKind
from tanglai.storage.workflow import applications, matters

APPLICATION = MatterKind.APPLICATION
VersionArgument = Annotated[int, strawberry.argument(description="The version that the decision was made on.")]
KeyArgument = Annotated[
    str | None,
    strawberry.argument(description="A name for this request: one that is sent again under it opens nothing new."),
]
ReasonArgument = Annotated[str, strawberry.argument(description="Why, in words; kept for good.")]
NoteArgument = Annotated[str | None, strawberry.argument(description="A note in words; kept for good.")]


@strawberry.input(description="The cube that is asked for where single rows are not.")
class StatisticsInput:
    dimensions: list[str] = strawberry.field(description="Names of items with code lists, to group by.")
    measures: list[str] | None = strawberry.field(default=None, description="Names of numeric items, to sum.")
    period: model.Period = strawberry.field(description="How often it is published.")
    minimum_cell: int = strawberry.field(description="Cells of fewer rows are left out; 3 at least.")
    base: int = strawberry.field(description="Counts are rounded to a multiple of it.")
    sum_base: Decimal | None = strawberry.field(default=None, description="Sums are rounded to a multiple of it.")

    def document(self) -> dict[str, Any]:
        """As in a grant's document."""
        return {
            "dimensions": self.dimensions,
            "measures": self.measures or [],
            "period": self.period.value,
            "minimumCell": self.minimum_cell,
            "base": self.base,
            "sumBase": str(self.sum_base if self.sum_base is not None else 1),
        }


@strawberry.input(description="Amounts per day of Asia/Shanghai; what is not given has no bound.")
class QuotaInput:
    rows: int | None = strawberry.field(default=None, description="Rows delivered.")
    requests: int | None = strawberry.field(default=None, description="Operations.")
    subjects: int | None = strawberry.field(default=None, description="Distinct subjects.")

    def document(self) -> dict[str, Any]:
        """As in a grant's document."""
        pairs = {"rows": self.rows, "requests": self.requests, "subjects": self.subjects}
        return {name: value for name, value in pairs.items() if value is not None}


@strawberry.input(description="The mask that an item is shown under.")
class MaskInput:
    item: str = strawberry.field(description="Name of the item.")
    mask: str = strawberry.field(description="Name of one of its masks.")


@strawberry.input(description="What is asked for, and why. A draft may leave out anything but the resource.")
class ApplicationInput:
    resource: str | None = strawberry.field(default=None, description="Code of the resource.")
    items: list[str] | None = strawberry.field(default=None, description="Names of items.")
    relations: list[str] | None = strawberry.field(default=None, description="Names of relations.")
    scope: str | None = strawberry.field(
        default=None, description="The rows, as JSON in the form of a grant's row scope; by default all."
    )
    usage: model.Usage | None = strawberry.field(default=None, description="Whether rows or statistics; READ.")
    statistics: StatisticsInput | None = strawberry.field(default=None, description="The cube, for STATISTICS.")
    purpose: str | None = strawberry.field(default=None, description="Code of the purpose.")
    duty: str | None = strawberry.field(default=None, description="The duty that it is needed for (Art. 11(1)).")
    legal_basis: str | None = strawberry.field(default=None, description="The legal basis of that duty.")
    scenario: str | None = strawberry.field(default=None, description="How the data will be used.")
    method: str | None = strawberry.field(default=None, description="How the data will be taken.")
    valid_from: datetime | None = strawberry.field(default=None, description="First moment; by default the reply.")
    valid_to: datetime | None = strawberry.field(default=None, description="The time limit.")
    renews: strawberry.ID | None = strawberry.field(
        default=None, description="Id of a grant of the requester's that this would renew; its terms are taken over."
    )

    def document(self) -> dict[str, Any]:
        """As the matter keeps it. Raises InvalidAct for a scope that is no JSON object."""
        return {
            "resource": self.resource,
            "items": self.items,
            "relations": self.relations,
            "scope": read_scope(self.scope),
            "usage": self.usage.value if self.usage is not None else None,
            "statistics": self.statistics.document() if self.statistics is not None else None,
            "purpose": self.purpose,
            "duty": self.duty,
            "legalBasis": self.legal_basis,
            "scenario": self.scenario,
            "method": self.method,
            "validFrom": moment_text(self.valid_from),
            "validTo": moment_text(self.valid_to),
            "renews": self.renews,
        }


@strawberry.input(description="What is left of what was asked for; what is not said is as asked. It adds nothing.")
class TermsInput:
    items: list[str] | None = strawberry.field(default=None, description="Names of the items that are granted.")
    relations: list[str] | None = strawberry.field(default=None, description="Names of the relations granted.")
    scope: str | None = strawberry.field(
        default=None, description="Rows, as JSON in the form of a row scope: only those among the rows asked for."
    )
    masks: list[MaskInput] | None = strawberry.field(default=None, description="Items that are shown in part.")
    quota: QuotaInput | None = strawberry.field(default=None, description="Amounts per day.")
    valid_from: datetime | None = strawberry.field(default=None, description="First moment, not before that asked.")
    valid_to: datetime | None = strawberry.field(default=None, description="End, not after that asked for.")

    def document(self) -> dict[str, Any]:
        """As in a grant's document, what is not given left out. Raises InvalidAct for a scope that cannot be read."""
        pairs = {
            "items": self.items,
            "relations": self.relations,
            "scope": read_scope(self.scope, "terms"),
            "masks": {it.item: it.mask for it in self.masks} if self.masks else None,
            "quota": self.quota.document() if self.quota is not None else None,
            "validFrom": moment_text(self.valid_from),
            "validTo": moment_text(self.valid_to),
        }
        return {name: value for name, value in pairs.items() if value is not None}


def read_scope(text: str | None, *at: str) -> dict[str, Any] | None:
    """A row scope that was given as JSON text in the input `at`. Raises InvalidAct where it is no JSON object."""
    if text is None:
        return None
    try:
        scope = json.loads(text)
    except (ValueError, RecursionError):
        scope = None
    if not isinstance(scope, dict):
        raise errors.InvalidAct([Problem((*at, "scope"), ProblemCode.MALFORMED, "`scope` is no JSON object")])
    return scope


def moment_text(moment: datetime | None) -> str | None:
    """A moment as documents have it."""
    return to_json(ScalarType.DATETIME, moment) if moment is not None else None


@strawberry.type
class Asking(Matter):
    """What an application and a consultation have in common: the terms that are asked for."""

    @resolved("Code of the resource.")
    def resource_code(self) -> str:
        return str(self._matter.resource)

    @resolved("Names of the items asked for.")
    def items(self) -> list[str]:
        return list(self._said("items") or ())

    @resolved("Names of the relations asked for.")
    def relations(self) -> list[str]:
        return list(self._said("relations") or ())

    @resolved("The rows asked for, as JSON in the form of a row scope; `{}` is all rows.")
    def scope(self) -> str:
        return json.dumps(self._said("scope") or {}, ensure_ascii=False)

    @resolved("Whether rows are asked for or statistics.")
    def usage(self) -> model.Usage:
        return model.Usage(self._said("usage") or model.Usage.READ)

    @resolved("The cube that is asked for; null where rows are.")
    def statistics(self) -> Statistics | None:
        return statistics_in(self._matter.document)

    @resolved("The purpose; null while it is not said.")
    def purpose(self, info: Info) -> Purpose | None:
        return purpose(info, self._said("purpose"))

    def _said(self, name: str) -> Any:
        return self._matter.document.get(name)


@of_kind(APPLICATION)
@strawberry.type(description="A request for conditional data, addressed to their provider (Art. 11(3)).")
class Application(Asking):
    @resolved("The duty that it is needed for.")
    def duty(self) -> str | None:
        return self._text("duty")

    @resolved("The legal basis of that duty.")
    def legal_basis(self) -> str | None:
        return self._text("legalBasis")

    @resolved("How the data will be used.")
    def scenario(self) -> str | None:
        return self._text("scenario")

    @resolved("How the data will be taken.")
    def method(self) -> str | None:
        return self._text("method")

    @resolved("First moment asked for; null for the reply's.")
    def valid_from(self) -> datetime | None:
        return self._moment("validFrom")

    @resolved("The time limit asked for.")
    def valid_to(self) -> datetime | None:
        return self._moment("validTo")

    @resolved("Id of the grant that it would renew.")
    def renews(self) -> strawberry.ID | None:
        return self._said("renews")  # type: ignore[no-any-return]

    @resolved("The grant that the reply created; null where there is none.")
    async def grant(self, info: Info) -> Grant | None:
        return await grant_by_id(info, self._matter.grant) if self._matter.grant is not None else None

    @resolved("What the reviewer found missing, if anything.")
    async def missing(self, info: Info) -> list[MissingPoint]:
        event = await self._last(info, "TELL_MISSING")
        return [MissingPoint(point) for point in event.given["points"]] if event is not None else []

    @resolved("Why it was refused; null where it was not.")
    async def refusal(self, info: Info) -> RefusalReason | None:
        event = await self._last(info, "REPLY") if self._matter.state == "REFUSED" else None
        return RefusalReason(event.given["reason"]) if event is not None else None

    @resolved("The words of the reply; null while there is none.")
    async def reply_words(self, info: Info) -> str | None:
        event = await self._last(info, "REPLY")
        return event.reason if event is not None else None

    def _text(self, name: str) -> str | None:
        text: str | None = self._matter.document.get(name)
        return text

    def _moment(self, name: str) -> datetime | None:
        text = self._matter.document.get(name)
        return datetime.fromisoformat(text) if text is not None else None

    async def _last(self, info: Info, event: str) -> matters.MatterEvent | None:
        found = await history(info, self._matter)
        return next((it for it in reversed(found) if it.event == event), None)


ApplicationResult: TypeAlias = Annotated[
    Application | InvalidAct | NotFound | NotPermitted | WrongState | Conflict,
    strawberry.union("ApplicationResult", description="The application after the act, or why it was not done."),
]


@strawberry.type
class ApplicationQueries:
    application = one_matter(
        Application, APPLICATION, "An application by id or number; null where there is none for this department."
    )
    applications = matters_of(Application, APPLICATION, "The department's applications, filed or received, by number.")


InputArgument = Annotated[ApplicationInput, strawberry.argument(description="What is asked for.")]


@strawberry.type
class ApplicationMutations:
    @resolved("Drafts an application in the name of the department. Role `applicant`.")
    @told
    async def create_application(self, info: Info, input: InputArgument, key: KeyArgument = None) -> ApplicationResult:
        context = info.context
        return await act_result(
            Application, applications.create(context.office, context.acting, input.document(), key=key)
        )

    @resolved("Drafts and submits an application in one go, where no consent is needed. Role `applicant`.")
    @told
    async def apply(self, info: Info, input: InputArgument, key: KeyArgument = None) -> ApplicationResult:
        context = info.context
        return await act_result(
            Application, applications.apply(context.office, context.acting, input.document(), key=key)
        )

    @resolved("Replaces what a draft says. Role `applicant`.")
    @told
    async def amend_application(
        self, info: Info, id: IdArgument, version: VersionArgument, input: InputArgument
    ) -> ApplicationResult:
        desk, acting = info.context.office, info.context.acting
        return await act_result(Application, applications.amend(desk, acting, number_of(id), version, input.document()))

    @resolved("The head of the requester consents to what somebody else drafted (Order 809 Art. 20). Role `head`.")
    async def consent_to_application(
        self, info: Info, id: IdArgument, version: VersionArgument, note: NoteArgument = None
    ) -> ApplicationResult:
        desk, acting = info.context.office, info.context.acting
        return await act_result(Application, applications.consent(desk, acting, number_of(id), version, note or ""))

    @resolved("Sends it to the provider, whose working days begin to run (Art. 11(3)). Role `applicant`.")
    async def submit_application(self, info: Info, id: IdArgument, version: VersionArgument) -> ApplicationResult:
        desk, acting = info.context.office, info.context.acting
        return await act_result(Application, applications.submit(desk, acting, number_of(id), version))

    @resolved("Takes it back. Role `applicant`.")
    async def withdraw_application(
        self, info: Info, id: IdArgument, version: VersionArgument, note: NoteArgument = None
    ) -> ApplicationResult:
        desk, acting = info.context.office, info.context.acting
        return await act_result(Application, applications.withdraw(desk, acting, number_of(id), version, note or ""))

    @resolved("Tells once, and all together, what is missing (Order 809 Art. 21). Role `reviewer`.")
    async def tell_missing(
        self,
        info: Info,
        id: IdArgument,
        version: VersionArgument,
        points: Annotated[list[MissingPoint], strawberry.argument(description="Everything that is missing.")],
        text: Annotated[str, strawberry.argument(description="The same in words.")],
    ) -> ApplicationResult:
        desk, acting = info.context.office, info.context.acting
        return await act_result(
            Application, applications.tell_missing(desk, acting, number_of(id), version, points, text)
        )

    @resolved("Gives what was missing; fields that are not given stay. Role `applicant`.")
    @told
    async def supplement_application(
        self, info: Info, id: IdArgument, version: VersionArgument, input: InputArgument
    ) -> ApplicationResult:
        desk, acting = info.context.office, info.context.acting
        return await act_result(
            Application, applications.supplement(desk, acting, number_of(id), version, input.document())
        )

    @resolved(
        "Shares all of it, or the part that `terms` leaves: the grant holds from the next request on. Under "
        "`order-809` the head confirms it first. Role `reviewer`."
    )
    @told
    async def approve_application(
        self,
        info: Info,
        id: IdArgument,
        version: VersionArgument,
        terms: Annotated[
            TermsInput | None, strawberry.argument(description="What is granted; by default all of it.")
        ] = None,
        confirm_disclosure: Annotated[
            list[str] | None,
            strawberry.argument(description="Items that the row scope discloses, each confirmed by naming it."),
        ] = None,
        note: NoteArgument = None,
    ) -> ApplicationResult:
        desk, acting = info.context.office, info.context.acting
        given: Mapping[str, Any] = terms.document() if terms is not None else {}
        return await act_result(
            Application,
            applications.approve(
                desk,
                acting,
                number_of(id),
                version,
                given,
                confirmed=confirm_disclosure or (),
                reason=note or "",
            ),
        )

    @resolved("Does not share, with the reason (Art. 11(3)). Role `reviewer`.")
    async def refuse_application(
        self,
        info: Info,
        id: IdArgument,
        version: VersionArgument,
        code: Annotated[RefusalReason, strawberry.argument(description="The reason.")],
        reason: ReasonArgument,
    ) -> ApplicationResult:
        desk, acting = info.context.office, info.context.acting
        return await act_result(Application, applications.refuse(desk, acting, number_of(id), version, code, reason))

    @resolved("Sends the reply that a reviewer proposed (Order 809 Art. 20). Role `head`.")
    async def confirm_reply(
        self, info: Info, id: IdArgument, version: VersionArgument, note: NoteArgument = None
    ) -> ApplicationResult:
        desk, acting = info.context.office, info.context.acting
        return await act_result(Application, applications.confirm(desk, acting, number_of(id), version, note or ""))

    @resolved("Sends a proposed reply back to the reviewer (Order 809 Art. 20). Role `head`.")
    async def send_back_reply(
        self, info: Info, id: IdArgument, version: VersionArgument, reason: ReasonArgument
    ) -> ApplicationResult:
        desk, acting = info.context.office, info.context.acting
        return await act_result(Application, applications.send_back(desk, acting, number_of(id), version, reason))
