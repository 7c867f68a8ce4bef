"""In charge of the border between HTTP and GraphQL: what the server hands to the gateway and what it gets back."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from authz.principal import Principal


@dataclass(frozen=True, slots=True)
class GraphQLRequest:
    """One operation of one principal. `purpose` is the header's, `language` is `zh` or `en`.

    `read_only` (GET): only queries may run.
    """

    query: str
    operation_name: str | None
    variables: Mapping[str, Any]
    extensions: Mapping[str, Any]
    principal: Principal
    purpose: str | None
    language: str
    request_id: str
    read_only: bool


@dataclass(frozen=True, slots=True)
class GraphQLResponse:
    """A complete JSON body; `executed` False is a request error (no `data`).

    `status` is the HTTP status under application/graphql-response+json.
    """

    body: bytes
    executed: bool
    status: int


class Gateway(Protocol):
    """What the server needs to answer operations."""

    async def execute(self, request: GraphQLRequest) -> GraphQLResponse: ...

    def sdl(self) -> str: ...

    async def ready(self) -> Mapping[str, str]: ...


@runtime_checkable
class SubscribingGateway(Gateway, Protocol):
    """A gateway that also runs subscriptions."""

    def streams(self, request: GraphQLRequest) -> bool:
        """Whether the operation is a subscription; False for a document that cannot be read. Does no I/O."""

    def subscribe(self, request: GraphQLRequest) -> AsyncGenerator[GraphQLResponse, None]:
        """One response per event; a request error is one response with `executed` False."""
