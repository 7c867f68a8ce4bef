"""In charge of the inbox as GraphQL types: what waits for me, by due date, and what I am told."""

import json
from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any

import strawberry

from schema.fixed.ids import global_id
from schema.fixed.paging import After, Before, Connection, First, Last, Window
from schema.fixed.resolved import Info, resolved
from schema.fixed.resources import Resource, find_resource
from schema.fixed.stored_pages import Span, stored_connection
from schema.fixed.workflow.matters import ROLES, Matter, find_matter, node
from tanglai.catalogue.quotas import day_of
from tanglai.storage.workflow import calendar, notices, reading


@strawberry.type(description="A matter that waits for somebody of the department.")
class Task:
    role: str = strawberry.field(description="Role of whom it waits for.")
    since: datetime = strawberry.field(description="Since when it waits.")
    due_on: date | None = strawberry.field(description="Until when, day of Asia/Shanghai; null where no rule says.")
    overdue: bool = strawberry.field(description="Whether that is over.")
    _task: strawberry.Private[reading.Task]

    @resolved("The matter.")
    def matter(self) -> Matter:
        return node(self._task.matter)

    @resolved("Working days that are left, today not counted: 0 on the last day, below 0 when it is missed.")
    async def working_days_left(self, info: Info) -> int | None:
        if self.due_on is None:
            return None
        desk, today = info.context.office, day_of(info.context.now)

        async def load(_: Any) -> Mapping[str, Any]:
            return {"": await desk.read(calendar.load)}

        days = await info.context.batched("calendar", "", load)
        if self.due_on < today:
            return -int(days.elapsed(self.due_on, today))
        return int(days.elapsed(today, self.due_on))


@strawberry.type(description="Something that the department is told and need not answer.")
class Notice:
    id: strawberry.ID = strawberry.field(description="Its id.")
    kind: str = strawberry.field(description="What it is about, as a code.")
    at: datetime = strawberry.field(description="When it was sent.")
    role: str | None = strawberry.field(description="Role that it is for; null for everybody of the department.")
    read_at: datetime | None = strawberry.field(description="When somebody first marked it read.")
    grant_id: strawberry.ID | None = strawberry.field(description="Id of the grant that it is about.")
    _notice: strawberry.Private[notices.Notice]

    @resolved("It in words of the request's language.")
    def words(self, info: Info) -> str:
        return notices.words(self._notice, info.context.language)

    @resolved("More about it, as JSON.")
    def details(self) -> str:
        return json.dumps(self._notice.document, ensure_ascii=False)

    @resolved("The matter that it is about.")
    async def matter(self, info: Info) -> Matter | None:
        if self._notice.matter is None:
            return None
        found = await find_matter(info, None, self._notice.matter)
        return node(found) if found is not None else None

    @resolved("The resource that it is about; null where there is none, or it is not published.")
    def resource(self, info: Info) -> Resource | None:
        return find_resource(info, self._notice.resource) if self._notice.resource is not None else None


@strawberry.type(description="What waits for the requester of this request, by department and roles.")
class Inbox:
    id: strawberry.ID = strawberry.field(description="The same for the same department and roles.")
    waiting: int = strawberry.field(description="Tasks.")
    overdue: int = strawberry.field(description="Tasks whose due date is over.")
    next_due: date | None = strawberry.field(description="The earliest due date.")
    unread: int = strawberry.field(description="Notices that nobody has marked read.")

    @resolved("Tasks by due date, those without one last.")
    async def tasks(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[Task]:
        department, held, desk = info.context.principal.department.code, roles(info), info.context.office
        today = day_of(info.context.now)

        async def fetch(span: Span) -> list[reading.Task]:
            return await desk.read(
                lambda connection: reading.tasks(
                    connection,
                    department,
                    held,
                    after=span.after,
                    before=span.before,
                    limit=span.limit,
                    last=span.last,
                )
            )

        async def count() -> int:
            return self.waiting

        def made(task: reading.Task) -> Task:
            overdue = task.due_on is not None and task.due_on < today
            return Task(role=task.role, since=task.since, due_on=task.due_on, overdue=overdue, _task=task)

        return await stored_connection(Window(first, after, last, before), fetch, lambda task: task.key, made, count)

    @resolved("Notices, the oldest first; `last` gives the newest.")
    async def notices(
        self,
        info: Info,
        unread: Annotated[bool, strawberry.argument(description="Only those that nobody has marked read.")] = False,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Notice]:
        department, held, desk = info.context.principal.department.code, roles(info), info.context.office

        async def fetch(span: Span) -> list[notices.Notice]:
            return await desk.read(
                lambda connection: notices.page(
                    connection,
                    department,
                    held,
                    unread=unread,
                    after=span.after,
                    before=span.before,
                    limit=span.limit,
                    last=span.last,
                )
            )

        async def count() -> int:
            return await desk.read(lambda connection: notices.count(connection, department, held, unread=unread))

        return await stored_connection(Window(first, after, last, before), fetch, lambda it: it.key, _notice, count)


def roles(info: Info) -> list[str]:
    """Roles of the law's work that the requester holds."""
    return sorted(role for role in ROLES if role in info.context.principal.roles)


async def inbox(info: Info) -> Inbox:
    """The inbox as it is now."""
    department, held = info.context.principal.department.code, roles(info)
    today = day_of(info.context.now)
    found = await info.context.office.read(lambda connection: reading.waiting(connection, department, held, today))
    return Inbox(
        id=strawberry.ID(global_id("Inbox", f"{department} {' '.join(held)}")),
        waiting=found.tasks,
        overdue=found.overdue,
        next_due=found.next_due,
        unread=found.unread,
    )


def _notice(found: notices.Notice) -> Notice:
    return Notice(
        id=strawberry.ID(str(found.id)),
        kind=found.kind,
        at=found.at,
        role=found.role,
        read_at=found.read_at,
        grant_id=strawberry.ID(found.grant) if found.grant is not None else None,
        _notice=found,
    )


@strawberry.type
class InboxQueries:
    @resolved("What waits for me, and what I am told, by department and roles.")
    async def inbox(self, info: Info) -> Inbox:
        return await inbox(info)


@strawberry.type
class InboxMutations:
    @resolved("Marks notices of the department as read; gives the inbox as it is then.")
    async def mark_notices_read(
        self, info: Info, ids: Annotated[list[strawberry.ID], strawberry.argument(description="Ids of notices.")]
    ) -> Inbox:
        await notices.mark_read(info.context.office, info.context.acting, roles(info), ids)
        return await inbox(info)
