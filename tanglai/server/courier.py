"""In charge of delivering to webhooks beside the requests: what is due, a few at a time, shared with other nodes."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

import orjson

from connectors.webhooks import WebhookClient
from schema.fixed.workflow.matters import matter_id
from tanglai.catalogue.errors import TanglaiError
from tanglai.catalogue.workflow.webhooks import DeliveryState
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.keys import KeyStoreError
from tanglai.storage.workflow import webhooks
from tanglai.storage.workflow.feed import Feed
from tanglai.storage.workflow.webhooks import Attempt

AT_ONCE = 16
POLL_SECONDS = 15.0
"""Without notifications, what is due is found after so long; also how long it rests where the database is away."""
CLEAN_SECONDS = 3600.0

_log = logging.getLogger(__name__)


class Courier:
    """Delivers while it is open. `clock` gives seconds since 1970, for the timestamp that is signed."""

    def __init__(
        self, database: PlatformDatabase, feed: Feed, client: WebhookClient, clock: Callable[[], float] = time.time
    ) -> None:
        self._database, self._feed, self._client, self._clock = database, feed, client, clock
        self._running: dict[asyncio.Task[None], str] = {}
        self._cleaned = float("-inf")

    async def __aenter__(self) -> Self:
        self._loop = asyncio.create_task(self._work(), name="tanglai-courier")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # What is cut off here is tried again once its lease is over, by whichever node.
        tasks = [self._loop, *self._running]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    async def _work(self) -> None:
        follower = self._feed.follower()
        follower.follow(webhooks.WAKE_KEY)
        changed = asyncio.ensure_future(follower.changed())
        try:
            while True:
                try:
                    left = await self._take()
                except (TanglaiError, KeyStoreError) as error:
                    _log.warning("webhooks cannot be served now: %s", error)
                    left = POLL_SECONDS
                except Exception:
                    _log.exception("webhooks cannot be served now")
                    left = POLL_SECONDS
                await asyncio.wait((changed, *self._running), timeout=left, return_when=asyncio.FIRST_COMPLETED)
                if changed.done():
                    changed = asyncio.ensure_future(follower.changed())
        finally:
            changed.cancel()
            follower.close()

    async def _take(self) -> float:
        """Begins what is due, as far as there is room. Seconds until there may be more to do."""
        free = AT_ONCE - len(self._running)
        if free > 0:
            attempts = await webhooks.take(self._database, free, Counter(self._running.values()))
            for attempt in attempts:
                task = asyncio.create_task(self._deliver(attempt), name=f"tanglai-delivery-{attempt.delivery.id}")
                self._running[task] = attempt.delivery.webhook
                task.add_done_callback(self._running.pop)
            if attempts:
                return 0.0 if len(attempts) < free else POLL_SECONDS
        loop = asyncio.get_running_loop()
        if loop.time() - self._cleaned > CLEAN_SECONDS:
            self._cleaned = loop.time()
            await webhooks.forget_delivered(self._database)
        due = await webhooks.next_due(self._database) if not self._running else POLL_SECONDS
        return POLL_SECONDS if due is None else min(max(due, 0.1), POLL_SECONDS)

    async def _deliver(self, attempt: Attempt) -> None:
        delivery = attempt.delivery
        status, problem = await self._client.send(
            attempt.url,
            body(attempt),
            id=delivery.id,
            secret=attempt.secret,
            timestamp=int(self._clock()),
        )
        with suppress(TanglaiError):  # then its lease ends, and it is tried again
            state = await webhooks.settle(self._database, attempt, status, problem)
            if state is not DeliveryState.DELIVERED:
                _log.info(
                    "webhook %s: try %d of %s came to %s",
                    delivery.webhook,
                    delivery.attempts,
                    delivery.id,
                    status or problem,
                )


def body(attempt: Attempt) -> bytes:
    """What is sent, JSON: what happened and the ids to ask for it by. Nothing about any person, no data."""
    delivery = attempt.delivery
    matter = None
    if delivery.matter is not None and attempt.matter_kind is not None:
        matter = {"id": matter_id(attempt.matter_kind, delivery.matter), "number": delivery.matter}
    return orjson.dumps(
        {
            "id": delivery.id,
            "event": delivery.event,
            "at": delivery.at,
            "department": attempt.department,
            "role": delivery.role,
            "matter": matter,
            "notice": None if delivery.notice is None else str(delivery.notice),
            "dueOn": delivery.due_on,
        },
        option=orjson.OPT_UTC_Z,
    )
