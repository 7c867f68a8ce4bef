"""In charge of webhooks as GraphQL types: where a department is told of its work, and what became of it."""

from datetime import date, datetime
from typing import Annotated, TypeAlias

import strawberry

from schema.fixed.enums import described
from schema.fixed.ids import global_id, read_global_id
from schema.fixed.paging import After, Before, Connection, First, Last, Window
from schema.fixed.resolved import Info, resolved
from schema.fixed.stored_pages import Span, stored_connection
from schema.fixed.workflow.matters import Matter, find_matter, node
from schema.fixed.workflow.results import Conflict, InvalidAct, NotFound, NotPermitted, WrongState, acted
from tanglai.catalogue.errors import BadInput
from tanglai.catalogue.workflow.parties import Role
from tanglai.catalogue.workflow.webhooks import MAX_ATTEMPTS, DeliveryState
from tanglai.storage.errors import PolicyUnavailable
from tanglai.storage.workflow import webhooks
from tanglai.storage.workflow.webhooks import Hooks

described(
    DeliveryState,
    "Where a delivery stands.",
    {
        "PENDING": "It is to be tried, or tried again.",
        "DELIVERED": "The receiver answered with a status of 2xx.",
        "DEAD": f"It failed {MAX_ATTEMPTS} times, or its webhook was removed; it is kept and can be retried.",
    },
    name="WebhookDeliveryState",
)


@strawberry.type(description="One event for one webhook.")
class WebhookDelivery:
    id: strawberry.ID = strawberry.field(description="Its global id.")
    key: str = strawberry.field(
        description="What the receiver knows it by: header `Tanglai-Delivery`, `id` in the body."
    )
    event: str = strawberry.field(description="What happened: `task.APPLICATION`, `notice.GRANT_ENDED` ...")
    at: datetime = strawberry.field(description="When it happened.")
    role: str | None = strawberry.field(description="Role that it is for; null for everybody of the department.")
    due_on: date | None = strawberry.field(description="Due date of the task; null where there is none.")
    notice_id: strawberry.ID | None = strawberry.field(description="Id of the notice; null for a task.")
    state: DeliveryState = strawberry.field(description="Where it stands.")
    attempts: int = strawberry.field(description="Tries so far, since it was last retried.")
    next_attempt_at: datetime | None = strawberry.field(description="When it is tried next; null once that is over.")
    last_attempt_at: datetime | None = strawberry.field(description="When it was last tried.")
    last_status: int | None = strawberry.field(description="HTTP status of the last answer; null where none came.")
    last_problem: str | None = strawberry.field(description="Why no answer came.")
    _matter: strawberry.Private[str | None]

    @resolved("The matter that it is about.")
    async def matter(self, info: Info) -> Matter | None:
        found = await find_matter(info, None, self._matter) if self._matter is not None else None
        return node(found) if found is not None else None


@strawberry.type(description="An address of the department that is told of its tasks and notices, signed.")
class Webhook:
    id: strawberry.ID = strawberry.field(description="Its global id.")
    url: str = strawberry.field(description="Where it is.")
    kinds: list[str] = strawberry.field(description="Events that it hears; empty for all.")
    created_at: datetime = strawberry.field(description="When it was registered.")
    created_by: str = strawberry.field(description="By whom.")
    _key: strawberry.Private[str]

    @resolved("Its deliveries, the oldest first; `last` gives the newest. Delivered ones are kept for 30 days.")
    async def deliveries(
        self,
        info: Info,
        states: Annotated[
            list[DeliveryState] | None, strawberry.argument(description="Only those in one of these states.")
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[WebhookDelivery]:
        desk, key = info.context.office, self._key

        async def fetch(span: Span) -> list[webhooks.Delivery]:
            return await desk.read(
                lambda connection: webhooks.deliveries(
                    connection,
                    key,
                    states,
                    after=span.after,
                    before=span.before,
                    limit=span.limit,
                    last=span.last,
                )
            )

        async def count() -> int:
            return await desk.read(lambda connection: webhooks.count(connection, key, states))

        window = Window(first, after, last, before)
        return await stored_connection(window, fetch, webhooks.delivery_key, _delivery, count)


@strawberry.type(description="A webhook that was just registered.")
class RegisteredWebhook:
    webhook: Webhook = strawberry.field(description="It.")
    secret: str = strawberry.field(description="What signs its deliveries. It is never shown again.")


RegisterResult: TypeAlias = Annotated[
    RegisteredWebhook | InvalidAct | NotFound | NotPermitted | WrongState | Conflict,
    strawberry.union("RegisterWebhookResult", description="The webhook and its secret, or why there is none."),
]
RemoveResult: TypeAlias = Annotated[
    Webhook | InvalidAct | NotFound | NotPermitted | WrongState | Conflict,
    strawberry.union("RemoveWebhookResult", description="The webhook that is gone, or why it is not."),
]
RetryResult: TypeAlias = Annotated[
    WebhookDelivery | InvalidAct | NotFound | NotPermitted | WrongState | Conflict,
    strawberry.union("RetryWebhookDeliveryResult", description="The delivery to be tried, or why it is not."),
]


@strawberry.type
class WebhookQueries:
    @resolved("The department's webhooks. Role `client-administrator`.")
    async def webhooks(self, info: Info) -> list[Webhook]:
        acting = info.context.acting
        if not acting.holds(Role.CLIENT_ADMINISTRATOR):
            raise BadInput(f"this takes the role `{Role.CLIENT_ADMINISTRATOR.value}`")
        found = await info.context.office.read(lambda connection: webhooks.webhooks(connection, acting.department))
        return [_webhook(one) for one in found]


@strawberry.type
class WebhookMutations:
    @resolved("Has the department told of its tasks and notices at `url`. Role `client-administrator`.")
    async def register_webhook(
        self,
        info: Info,
        url: Annotated[str, strawberry.argument(description="An https address, of a host that the operator allows.")],
        kinds: Annotated[
            list[str] | None,
            strawberry.argument(
                description="Events to hear: `task`, `notice`, or some of them, `task.APPLICATION`; by default all."
            ),
        ] = None,
    ) -> RegisterResult:
        desk, acting, hooks = info.context.office, info.context.acting, _hooks(info)
        done = await acted(webhooks.register(desk, acting, hooks, url, kinds or []))
        if not isinstance(done, tuple):
            return done
        return RegisteredWebhook(webhook=_webhook(done[0]), secret=done[1])

    @resolved("Tells the webhook nothing any more. Role `client-administrator`.")
    async def remove_webhook(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="Id of the webhook.")]
    ) -> RemoveResult:
        done = await acted(webhooks.remove(info.context.office, info.context.acting, _key(id, "Webhook")))
        return _webhook(done) if isinstance(done, webhooks.Webhook) else done

    @resolved("Tries a dead delivery again, from its first try on. Role `client-administrator`.")
    async def retry_webhook_delivery(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="Id of the delivery, or its key.")],
    ) -> RetryResult:
        done = await acted(webhooks.retry(info.context.office, info.context.acting, _key(id, "WebhookDelivery")))
        return _delivery(done) if isinstance(done, webhooks.Delivery) else done


def _hooks(info: Info) -> Hooks:
    hooks = info.context.hooks
    if hooks is None:
        raise PolicyUnavailable
    return hooks


def _key(id: str, kind: str) -> str:
    """The key that a global id of `kind` names; any other text is a key itself."""
    found = read_global_id(id)
    return found[1] if found is not None and found[0] == kind else id


def _webhook(found: webhooks.Webhook) -> Webhook:
    return Webhook(
        id=strawberry.ID(global_id("Webhook", found.id)),
        url=found.url,
        kinds=list(found.kinds),
        created_at=found.created_at,
        created_by=found.created_by,
        _key=found.id,
    )


def _delivery(found: webhooks.Delivery) -> WebhookDelivery:
    return WebhookDelivery(
        id=strawberry.ID(global_id("WebhookDelivery", found.id)),
        key=found.id,
        event=found.event,
        at=found.at,
        role=found.role,
        due_on=found.due_on,
        notice_id=strawberry.ID(str(found.notice)) if found.notice is not None else None,
        state=found.state,
        attempts=found.attempts,
        next_attempt_at=found.next_attempt_at,
        last_attempt_at=found.last_attempt_at,
        last_status=found.last_status,
        last_problem=found.last_problem,
        _matter=found.matter,
    )
