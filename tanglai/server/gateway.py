"""In charge of the border between HTTP and GraphQL: what the server hands to the gateway and what it gets back."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Protocol, runtime_checkable

from resolvers.exporting import Export
from resolvers.requests import GraphQLRequest, GraphQLResponse

__all__ = ["ExportingGateway", "Gateway", "GraphQLRequest", "GraphQLResponse", "SubscribingGateway"]


class Gateway(Protocol):
    """What the server needs to answer operations."""

    async def execute(self, request: GraphQLRequest) -> GraphQLResponse: ...

    async def sdl(self) -> Sequence[bytes]: ...

    async def ready(self) -> Mapping[str, str]: ...


@runtime_checkable
class ExportingGateway(Gateway, Protocol):
    """A gateway that also exports lists."""

    async def export(self, request: GraphQLRequest) -> Export | GraphQLResponse:
        """The export, begun, to be closed by the caller; or the response that refuses it."""


@runtime_checkable
class SubscribingGateway(Gateway, Protocol):
    """A gateway that also runs subscriptions."""

    def streams(self, request: GraphQLRequest) -> bool:
        """Whether the operation is a subscription; False for a document that cannot be read. Does no I/O."""

    def subscribe(self, request: GraphQLRequest) -> AsyncGenerator[GraphQLResponse, None]:
        """One response per event; a request error is one response with `executed` False. Raises TanglaiError."""
