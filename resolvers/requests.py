"""In charge of requests and responses as the gateway takes and gives them, whatever carried them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from authz.principal import Principal
from tanglai.catalogue.errors import BadInput, ErrorCode, TanglaiError
from tanglai.catalogue.model import Snapshot


@dataclass(slots=True)
class GraphQLRequest:
    """One operation as it came in, its principal verified. `purpose` is the `Purpose` header."""

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
    """`body` is the complete JSON. `executed` is False for a request error: no `data` entry. `status` is HTTP's."""

    body: bytes
    executed: bool
    status: int


class LongResponse(GraphQLResponse):
    """A response whose JSON is long: `parts` of it, to be sent one after the other; `body` puts them together."""

    __slots__ = ("parts",)
    parts: tuple[bytes, ...]

    def __init__(self, parts: tuple[bytes, ...], executed: bool, status: int) -> None:
        for name, value in (("parts", parts), ("executed", executed), ("status", status)):
            object.__setattr__(self, name, value)

    @property
    def body(self) -> bytes:
        return b"".join(self.parts)


def as_of(snapshot: Snapshot, principal: Principal) -> Principal:
    """`principal` with its department as `snapshot` has it. Raises NOT_A_DEPARTMENT where it has none of that code.

    INVARIANT: decisions are kept per snapshot, so they may hold no attribute of a department from another one. Who asks
    was established a moment before, maybe by an older snapshot.
    """
    department = snapshot.departments.get(principal.department.code)
    if department is None or not department.active:
        raise TanglaiError(ErrorCode.NOT_A_DEPARTMENT, "the token names no active department of this platform")
    return principal if department is principal.department else replace(principal, department=department)


def text_extension(extensions: Mapping[str, Any], name: str) -> str | None:
    """A text among the request's extensions, or None. Raises BAD_INPUT for anything else."""
    value = extensions.get(name)
    if value is not None and not isinstance(value, str):
        raise BadInput(f"`extensions.{name}` is a text")
    return value


def refuses_denials(extensions: Mapping[str, Any]) -> bool:
    """Whether a denial refuses the operation (`extensions.onDenied`). Raises BAD_INPUT for an unknown value."""
    value = text_extension(extensions, "onDenied")
    if value not in (None, "NULL", "REFUSE"):
        raise BadInput('`extensions.onDenied` is "NULL" or "REFUSE"')
    return value == "REFUSE"
