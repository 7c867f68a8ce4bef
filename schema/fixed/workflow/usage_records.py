"""In charge of usage records as GraphQL types, for the provider of the data and the competent department (O29)."""

from datetime import date, datetime
from typing import Annotated, TypeAlias

import strawberry

from schema.fixed.ids import global_id
from schema.fixed.paging import After, Before, Connection, First, Last, Window
from schema.fixed.registers import Department, Purpose, department, purpose
from schema.fixed.resolved import Info, resolved
from schema.fixed.resources import Resource, find_resource
from schema.fixed.stored_pages import Span, stored_connection
from schema.fixed.workflow.longs import Long
from schema.fixed.workflow.results import NotFound, NotPermitted, failure
from tanglai.catalogue.workflow import errors, evaluation
from tanglai.catalogue.workflow.parties import Role, competent_department
from tanglai.storage.workflow import usage, usage_records
from tanglai.storage.workflow.usage_records import RecordFilter, Subject

OWN_ROLES = (Role.AUDITOR, Role.REVIEWER, Role.HEAD)
"""Roles of a provider's people that read the records of its resources."""

ABOVE_ROLES = (Role.AUDITOR, Role.SUPERVISOR)
"""Roles of a competent department's people that read those of its level."""

_ARTICLE = "Order 809 Art. 29"
_EPOCH = date(1970, 1, 1)


@strawberry.type(description="What one operation did with one resource. Values of the data are never part of it.")
class UsageRecord:
    id: strawberry.ID = strawberry.field(description="Its id; opaque.")
    request_id: str = strawberry.field(description="Id of the request, as in its answer's headers.")
    at: datetime = strawberry.field(description="When it was decided.")
    resource_code: str = strawberry.field(description="Code of the resource.")
    client: str = strawberry.field(description="The client program.")
    person: str | None = strawberry.field(description="The person behind it, if the token named one.")
    purpose_code: str | None = strawberry.field(description="Code of the purpose that was stated.")
    operation_name: str | None = strawberry.field(description="Name of the operation.")
    operation_hash: str = strawberry.field(description="SHA-256 of its document, hexadecimal.")
    document_kind: str = strawberry.field(description="How the document came: `text`, `stored`, `export`.")
    outcome: str = strawberry.field(description="ALLOWED, PARTIAL, DENIED or FAILED; of the whole operation.")
    codes: list[str] = strawberry.field(description="Codes of the errors that were told.")
    items: list[str] = strawberry.field(description="Names of the items that it asked for.")
    grants: list[strawberry.ID] = strawberry.field(description="Ids of the grants on the resource that it used.")
    rows: Long = strawberry.field(description="Rows that were delivered; of an export that did not end, at most.")
    _department: strawberry.Private[str]

    @resolved("The department that asked; null where the register does not have it.")
    def department(self, info: Info) -> Department | None:
        return department(info, self._department)

    @resolved("The purpose; null where none was stated, or the register does not have it.")
    def purpose(self, info: Info) -> Purpose | None:
        return purpose(info, self.purpose_code)

    @resolved("The resource; null while it is not published.")
    def resource(self, info: Info) -> Resource | None:
        return find_resource(info, self.resource_code)


@strawberry.type(description="Usage records, the newest first.")
class UsageRecords:
    as_of: datetime | None = strawberry.field(description="Up to when there are records here; null: not yet.")
    records: Connection[UsageRecord] = strawberry.field(description="The page.")


UsageRecordsResult: TypeAlias = Annotated[
    UsageRecords | NotFound | NotPermitted,
    strawberry.union("UsageRecordsResult", description="The records, or why they are not for the requester."),
]


@strawberry.type
class UsageRecordQueries:
    @resolved(
        "Records of the use of the department's resources (roles `auditor`, `reviewer`, `head`), or for a competent "
        "department of those of its level (`auditor`, `supervisor`); the newest first (Order 809 Art. 29)."
    )
    async def usage_records(
        self,
        info: Info,
        resource: Annotated[str | None, strawberry.argument(description="Code; only of this resource.")] = None,
        grant: Annotated[strawberry.ID | None, strawberry.argument(description="Only uses of this grant.")] = None,
        requester: Annotated[
            str | None, strawberry.argument(description="Credit code or key; only uses by this department.")
        ] = None,
        since: Annotated[
            date | None, strawberry.argument(description="Only uses on this day of Asia/Shanghai or later.")
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> UsageRecordsResult:
        try:
            wanted = await _wanted(info, resource, grant, requester, since)
        except errors.WorkflowError as error:
            return failure(error)  # type: ignore[return-value]  # one of those that are raised there
        desk = info.context.office

        async def fetch(span: Span) -> list[usage_records.UsageRecord]:
            return await desk.read(
                lambda connection: usage_records.page(
                    connection, wanted, after=span.after, before=span.before, limit=span.limit, last=span.last
                )
            )

        async def count() -> int:
            return await desk.read(lambda connection: usage_records.count(connection, wanted))

        as_of = await desk.read(usage.as_of)
        window = Window(first, after, last, before)
        return UsageRecords(
            as_of=as_of, records=await stored_connection(window, fetch, lambda it: it.key, _node, count)
        )


async def _wanted(
    info: Info, resource: str | None, grant: str | None, requester: str | None, since: date | None
) -> RecordFilter:
    """What the requester may read of what it asks for. Raises NotFound and NotPermitted."""
    snapshot, principal = info.context.snapshot, info.context.principal
    own = principal.department.code
    provides = any(role.value in principal.roles for role in OWN_ROLES)
    above = any(evaluation.supervises(snapshot, own, principal.roles, role) for role in ABOVE_ROLES)
    if not provides and not above:
        message = "usage records are for those whose data it was, and for the competent department"
        raise errors.NotPermitted(message, roles=OWN_ROLES + ABOVE_ROLES[1:], article=_ARTICLE)
    since = max(since, _EPOCH) if since is not None else None
    by = None
    if requester is not None:
        found = snapshot.department_by_key.get(requester) or snapshot.departments.get(requester)
        if found is None:
            raise errors.NotFound("department", requester)
        by = found.code
    if resource is None and grant is None:
        codes = [it.code for it in evaluation.supervised(snapshot, own)] if above else []
        return RecordFilter(tuple(dict.fromkeys([*codes, own])), requester=by, since=since)
    subject: Subject | None = await info.context.office.read(
        lambda connection: usage_records.subject(connection, resource, grant)
    )
    named = f"{grant or resource}"
    kind = "grant" if grant is not None else "resource"
    if subject is None:
        raise errors.NotFound(kind, named)
    competent = competent_department(snapshot, subject.provider)
    if not (provides and subject.provider == own) and not (above and competent is not None and competent.code == own):
        if grant is not None:
            raise errors.NotFound(kind, named)  # that there is such a grant is not for everybody
        raise errors.NotPermitted(
            "the resource is another department's", roles=OWN_ROLES + ABOVE_ROLES[1:], article=_ARTICLE
        )
    if grant is not None and by is not None and by != subject.requester:
        raise errors.NotFound(kind, named)
    return RecordFilter((subject.provider,), subject.resource, grant, by or subject.requester, since)


def _node(it: usage_records.UsageRecord) -> UsageRecord:
    return UsageRecord(
        id=strawberry.ID(global_id("UsageRecord", it.key)),
        request_id=it.request_id,
        at=it.at,
        resource_code=it.resource,
        client=it.client,
        person=it.person,
        purpose_code=it.purpose,
        operation_name=it.operation_name,
        operation_hash=it.operation_hash,
        document_kind=it.document_kind,
        outcome=it.outcome,
        codes=list(it.codes),
        items=list(it.items),
        grants=[strawberry.ID(grant) for grant in it.grants],
        rows=Long(it.rows),
        _department=it.department,
    )
