"""In charge of answers that are not the gateway's: which HTTP status a code has and what its body says."""

from collections.abc import Sequence
from typing import Any

import orjson

from resolvers.messages import STATUS
from tanglai.catalogue.errors import ErrorCode, TanglaiError

Headers = Sequence[tuple[bytes, bytes]]


class Refusal(TanglaiError):
    """A request refused by the HTTP layer itself, with the status and headers that HTTP asks for."""

    def __init__(
        self, status: int, message: str, *, code: ErrorCode = ErrorCode.BAD_INPUT, headers: Headers = ()
    ) -> None:
        super().__init__(code, message)
        self.status = status
        self.headers = headers


def busy() -> Refusal:
    """The answer where more is running than this process takes on; the same request may be sent again."""
    return Refusal(503, "the platform is busy", code=ErrorCode.LIMIT_EXCEEDED, headers=((b"retry-after", b"1"),))


def status_of(error: TanglaiError) -> int:
    """HTTP status of an error that refuses the whole request."""
    return error.status if isinstance(error, Refusal) else STATUS[error.code]


def headers_of(error: TanglaiError) -> Headers:
    """The headers that RFC 9110 asks for beside the status."""
    if isinstance(error, Refusal):
        return error.headers
    if error.code is ErrorCode.UNAUTHENTICATED:
        return ((b"www-authenticate", b"Bearer"),)
    if status_of(error) == 503:
        return ((b"retry-after", b"5"),)
    return ()


def error_entry(error: TanglaiError, request_id: str) -> dict[str, Any]:
    """The GraphQL error of `error`."""
    return {
        "message": error.message,
        "extensions": {"code": error.code.value, **error.extensions, "requestId": request_id},
    }


def error_body(error: TanglaiError, request_id: str) -> bytes:
    """A response body without `data`."""
    return orjson.dumps({"errors": [error_entry(error, request_id)]})


def internal() -> TanglaiError:
    """The one answer to everything unforeseen; what happened stands in the log under the request id."""
    return TanglaiError(ErrorCode.INTERNAL, "an internal error")
