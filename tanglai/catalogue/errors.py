"""In charge of the error codes that a client can meet and of the exception that carries one."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any


class ErrorCode(StrEnum):
    """Every code that may stand in `extensions.code`; docs/errors.md has one heading for each."""

    UNAUTHENTICATED = "UNAUTHENTICATED"
    NOT_A_DEPARTMENT = "NOT_A_DEPARTMENT"
    OUT_OF_ZONE = "OUT_OF_ZONE"
    SCOPE_EXCEEDED = "SCOPE_EXCEEDED"
    QUOTA_EXCEEDED = "QUOTA_EXCEEDED"
    GRANT_SUSPENDED = "GRANT_SUSPENDED"
    GRANT_NOT_YET_VALID = "GRANT_NOT_YET_VALID"
    GRANT_EXPIRED = "GRANT_EXPIRED"
    GRANT_ENDED = "GRANT_ENDED"
    PURPOSE_REQUIRED = "PURPOSE_REQUIRED"
    PURPOSE_MISMATCH = "PURPOSE_MISMATCH"
    STATISTICS_ONLY = "STATISTICS_ONLY"
    NOT_SHARED = "NOT_SHARED"
    GRANT_REQUIRED = "GRANT_REQUIRED"
    MASKED_USE = "MASKED_USE"
    CAPABILITY_MISSING = "CAPABILITY_MISSING"
    BAD_CURSOR = "BAD_CURSOR"
    BAD_INPUT = "BAD_INPUT"
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED"
    SOURCE_UNAVAILABLE = "SOURCE_UNAVAILABLE"
    SOURCE_TIMEOUT = "SOURCE_TIMEOUT"
    POLICY_UNAVAILABLE = "POLICY_UNAVAILABLE"
    AUDIT_UNAVAILABLE = "AUDIT_UNAVAILABLE"
    INTERNAL = "INTERNAL"


class TanglaiError(Exception):
    """A failure that the client is told about.

    `message` is English, lower case, without a final period and free of driver text, SQL, hosts and row values;
    `extensions` adds what the code promises in docs/errors.md.
    """

    def __init__(self, code: ErrorCode, message: str, **extensions: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.extensions: Mapping[str, Any] = extensions


class BadInput(TanglaiError):
    """The request is malformed: a value out of its type, a page out of its limits, an unknown name."""

    def __init__(self, message: str, **extensions: Any) -> None:
        super().__init__(ErrorCode.BAD_INPUT, message, **extensions)
