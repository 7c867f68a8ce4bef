"""In charge of subscriptions: an event at once, then one whenever something that its field follows has changed.

An event is the operation executed anew, by the catalogue, the grants and the moment of then: nothing is carried from
one event to the next but what the client sent and what its field follows. Subscriptions lead to no data of sources.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable

from graphql import GraphQLError, OperationType, get_operation_ast, parse

from resolvers.limits import Limits
from resolvers.requests import GraphQLRequest, GraphQLResponse
from schema.context import Stream
from tanglai.catalogue.errors import ErrorCode, TanglaiError
from tanglai.storage.workflow.feed import Feed, Follower

Execute = Callable[[GraphQLRequest, Stream], Awaitable[GraphQLResponse]]
"""Answers one event."""


def is_subscription(request: GraphQLRequest, limits: Limits) -> bool:
    """Whether the operation is a subscription; False for a document that cannot be read. Not validated; no I/O."""
    if "subscription" not in request.query or len(request.query) > limits.document_bytes:
        return False
    try:
        document = parse(request.query, no_location=True, max_tokens=limits.tokens)
    except (GraphQLError, RecursionError):
        return False
    operation = get_operation_ast(document, request.operation_name)
    return operation is not None and operation.operation is OperationType.SUBSCRIPTION


class Subscriptions:
    """The subscriptions of one process: at most `limits.events` events are answered at the same time, others wait."""

    def __init__(self, feed: Feed, limits: Limits, execute: Execute) -> None:
        self._feed, self._limits, self._execute = feed, limits, execute
        self._turns = asyncio.Semaphore(limits.events)

    async def responses(self, request: GraphQLRequest) -> AsyncGenerator[GraphQLResponse, None]:
        """One response per event, `limits.event_pause` seconds apart at least: changes in between make one event.

        It ends after a request error (`executed` False), after the event that its field calls the last one, and where
        the field follows nothing. Raises SOURCE_TIMEOUT for an event that takes more than `limits.event_timeout` s.
        """
        loop = asyncio.get_running_loop()
        stream = _Following(self._feed.follower())
        try:
            while True:
                began = loop.time()
                response = await self._event(request, stream)
                yield response
                if not response.executed or stream.over:
                    return
                del response  # an idle subscription holds none
                await stream.follower.changed()
                await asyncio.sleep(max(0.0, began + self._limits.event_pause - loop.time()))
        finally:
            stream.follower.close()

    async def _event(self, request: GraphQLRequest, stream: Stream) -> GraphQLResponse:
        async with self._turns:
            try:
                async with asyncio.timeout(self._limits.event_timeout):
                    return await self._execute(request, stream)
            except TimeoutError:
                raise TanglaiError(ErrorCode.SOURCE_TIMEOUT, "the event took too long") from None


class _Following:
    """What the field of a subscription says besides its answer."""

    __slots__ = ("_finished", "_follows", "follower")

    def __init__(self, follower: Follower) -> None:
        self.follower = follower
        self._follows = self._finished = False

    def follow(self, key: str) -> None:
        self._follows = True
        self.follower.follow(key)

    def finish(self) -> None:
        self._finished = True

    @property
    def over(self) -> bool:
        """Whether no event can come any more."""
        return self._finished or not self._follows
