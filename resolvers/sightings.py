"""In charge of whether a requester is shown an item on a row: decided by a look-up as the requester's own would be."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import orjson

from authz.principal import Principal, TokenScope
from resolvers.requests import GraphQLRequest, GraphQLResponse
from tanglai.catalogue.errors import ErrorCode, TanglaiError
from tanglai.catalogue.model import Resource
from tanglai.storage.workflow.corrections import Sees

_NOT_SHOWN = frozenset(
    {
        ErrorCode.BAD_INPUT,  # no id of this platform, or of a resource that is not published any more
        ErrorCode.OUT_OF_ZONE,
        ErrorCode.SCOPE_EXCEEDED,
        ErrorCode.GRANT_SUSPENDED,
        ErrorCode.GRANT_NOT_YET_VALID,
        ErrorCode.GRANT_EXPIRED,
        ErrorCode.GRANT_ENDED,
        ErrorCode.PURPOSE_REQUIRED,
        ErrorCode.PURPOSE_MISMATCH,
        ErrorCode.STATISTICS_ONLY,
        ErrorCode.NOT_SHARED,
        ErrorCode.GRANT_REQUIRED,
    }
)


def sightings(
    execute: Callable[[GraphQLRequest], Awaitable[GraphQLResponse]], request: GraphQLRequest, purpose: str | None
) -> Sees:
    """Answers for the requester of `request`: whether an item of a resource is shown, clear or masked, on a row.

    Each answer is an operation of its own by `execute`: decided, counted and recorded like any look-up. What keeps it
    from being answered (a quota, a source that is down) is raised as TanglaiError.
    """

    async def sees(resource: Resource, item: str, row: str, stated: str | None) -> bool:
        narrowed = _narrowed(request.principal, resource, item)
        if narrowed is None:
            return False
        kind, field = resource.names.type, resource.item_by_name[item].graphql
        look = replace(
            request,
            query=f"query Sighting($row: ID!) {{ node(id: $row) {{ ... on {kind} {{ shown: {field} }} }} }}",
            operation_name=None,
            variables={"row": row},
            extensions={},
            principal=narrowed,
            purpose=stated or purpose,
            read_only=True,
        )
        answer = orjson.loads((await execute(look)).body)
        for error in answer.get("errors", ()):
            code = ErrorCode(error["extensions"]["code"])
            if code not in _NOT_SHOWN:
                raise TanglaiError(code, error["message"])
            return False
        return "shown" in (answer["data"]["node"] or {})

    return sees


def _narrowed(principal: Principal, resource: Resource, item: str) -> Principal | None:
    """`principal` with a token for the one item; None where its token does not allow that.

    INVARIANT: a row is visible where some item of it is shown, so by this token it is where this item is. A value that
    is shown may be null, so the value does not tell.
    """
    allowed = {TokenScope(resource.code), TokenScope(resource.code, item)}
    if principal.scopes is not None and not principal.scopes & allowed:
        return None
    return replace(principal, scopes=frozenset({TokenScope(resource.code, item)}))
