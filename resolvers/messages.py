"""In charge of errors in responses: one boundary, an allow-list of what may be told."""

from collections.abc import Mapping
from typing import Any

from graphql import GraphQLError

from authz.denial import Denial, Remedy
from authz.words import Language, article_words, reason, remedy_words
from resolvers.execution import FieldFailure
from resolvers.plan import At
from schema.remedies import mutation_for
from tanglai.catalogue.errors import ErrorCode, TanglaiError
from tanglai.catalogue.model import Snapshot
from tanglai.catalogue.rules import rule_set

STATUS: Mapping[ErrorCode, int] = {
    ErrorCode.UNAUTHENTICATED: 401,
    ErrorCode.NOT_A_DEPARTMENT: 403,
    ErrorCode.OUT_OF_ZONE: 403,
    ErrorCode.SCOPE_EXCEEDED: 403,
    ErrorCode.QUOTA_EXCEEDED: 429,
    ErrorCode.GRANT_SUSPENDED: 403,
    ErrorCode.GRANT_NOT_YET_VALID: 403,
    ErrorCode.GRANT_EXPIRED: 403,
    ErrorCode.GRANT_ENDED: 403,
    ErrorCode.PURPOSE_REQUIRED: 403,
    ErrorCode.PURPOSE_MISMATCH: 403,
    ErrorCode.STATISTICS_ONLY: 403,
    ErrorCode.NOT_SHARED: 403,
    ErrorCode.GRANT_REQUIRED: 403,
    ErrorCode.MASKED_USE: 403,
    ErrorCode.CAPABILITY_MISSING: 400,
    ErrorCode.BAD_CURSOR: 400,
    ErrorCode.BAD_INPUT: 400,
    ErrorCode.LIMIT_EXCEEDED: 400,
    ErrorCode.SOURCE_UNAVAILABLE: 502,
    ErrorCode.SOURCE_TIMEOUT: 504,
    ErrorCode.POLICY_UNAVAILABLE: 503,
    ErrorCode.AUDIT_UNAVAILABLE: 503,
    ErrorCode.INTERNAL: 500,
}
"""HTTP status of a response without `data`, by the code of its first error (docs/errors.md)."""


class Messages:
    """Writes errors for one request: its snapshot's names, its language, its id."""

    def __init__(self, snapshot: Snapshot, language: Language, request_id: str) -> None:
        self._snapshot = snapshot
        self._language = language
        self._request_id = request_id

    def denial(self, denial: Denial, at: At, *, path: bool = True) -> dict[str, Any]:
        """A denied field; without `path` for a request error."""
        words = reason(denial, self._snapshot, "en")
        name = f"`{denial.item}` of `{denial.resource}`" if denial.item else f"`{denial.resource}`"
        error: dict[str, Any] = {"message": f"{name}: {words}"}
        if path:
            error["path"] = list(at.path)
        error["extensions"] = {
            "code": denial.code.value,
            "article": denial.article,
            "articleWords": article_words(denial.article, rule_set(self._snapshot.rule_set), self._language),
            "resource": denial.resource,
            "item": denial.item,
            "fieldPath": str(at),
            "reason": reason(denial, self._snapshot, self._language),
            "remedy": self._remedy(denial, denial.remedy),
            "grants": list(denial.grants),
            "requestId": self._request_id,
        }
        return error

    def _remedy(self, denial: Denial, remedy: Remedy | None) -> dict[str, Any] | None:
        if remedy is None:
            return None
        department = self._snapshot.departments.get(remedy.department or "")
        return {
            "action": remedy.action.value,
            "department": remedy.department,
            "departmentName": department.name if department else None,
            "departmentKey": department.key if department else None,
            "resource": remedy.resource,
            "items": list(remedy.items),
            "relations": list(remedy.relations),
            "mutation": mutation_for(remedy.action, rule_set(self._snapshot.rule_set)),
            "replyWithinWorkingDays": remedy.reply_within,
            "words": remedy_words(denial, self._snapshot, self._language),
        }

    def failure(self, failure: FieldFailure) -> dict[str, Any]:
        """A field that could not be answered."""
        error = self.error(failure.error)
        error["path"] = list(failure.at.path)
        error["extensions"]["fieldPath"] = str(failure.at)
        return error

    def error(self, error: TanglaiError) -> dict[str, Any]:
        """A typed error. Its message and extensions were written for the client."""
        extensions = {"code": error.code.value, **error.extensions, "requestId": self._request_id}
        return {"message": error.message, "extensions": extensions}

    def invalid(self, error: GraphQLError) -> dict[str, Any]:
        """An error of parsing, validation or variable coercion; graphql-core's message names the client's own input."""
        formatted: dict[str, Any] = {"message": error.message}
        if error.locations:
            formatted["locations"] = [{"line": place.line, "column": place.column} for place in error.locations]
        formatted["extensions"] = {"code": ErrorCode.BAD_INPUT.value, "requestId": self._request_id}
        return formatted

    def fixed(self, error: GraphQLError) -> dict[str, Any]:
        """An error of the fixed part. What is not typed is INTERNAL, and its text stays here."""
        original = error.original_error
        if isinstance(original, TanglaiError):
            formatted = self.error(original)
        elif original is None:
            formatted = self.invalid(error)
        else:
            formatted = self.error(TanglaiError(ErrorCode.INTERNAL, "internal error"))
        if error.path:
            formatted["path"] = error.path
        return formatted
