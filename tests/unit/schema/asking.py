"""In charge of requests against the fixed part: graphql-core on the unified schema, with the real decisions."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from graphql import ExecutionResult, parse, validate

from authz.decide import Asking, MaskKey
from authz.explain import AccessReport, explain
from authz.principal import Principal, TokenScope
from authz.words import Language
from schema.context import LoadUsed, LoadVersions, RequestContext
from schema.execution import MAX_FIELDS, execute_fixed
from schema.unified import UnifiedSchema, build
from tanglai.catalogue.model import Grant, Resource, Snapshot
from tanglai.catalogue.rules import rule_set
from tests.catalogues import YINCHUAN

NOW = datetime(2026, 5, 6, 4, 0, tzinfo=UTC)


@dataclass
class Asker:
    """Who asks a snapshot, for what; `ask` answers one document with plain data. Counts the dry runs it makes."""

    snapshot: Snapshot
    purpose: str | None = "assistance"
    language: Language = "en"
    grants: tuple[Grant, ...] = ()
    purposes: frozenset[str] = frozenset({"assistance", "licensing"})
    roles: frozenset[str] = frozenset({"data.read"})
    scopes: frozenset[TokenScope] | None = None
    load_versions: LoadVersions | None = None
    load_used: LoadUsed | None = None
    max_fields: int = MAX_FIELDS
    explained: int = 0

    def __post_init__(self) -> None:
        self.schema: UnifiedSchema = build(self.snapshot)

    def context(self) -> RequestContext:
        principal = Principal(YINCHUAN, "portal", None, roles=self.roles, scopes=self.scopes, purposes=self.purposes)

        def access(resource: Resource, purpose: str | None) -> AccessReport:
            self.explained += 1
            asking = Asking(
                self.snapshot,
                rule_set(self.snapshot.rule_set),
                principal,
                purpose,
                self.grants,
                NOW,
                MaskKey("k1", bytes(32)),
            )
            return explain(asking, resource, self.language)

        return RequestContext(
            snapshot=self.snapshot,
            principal=principal,
            purpose=self.purpose,
            language=self.language,
            now=NOW,
            explain=access,
            load_versions=self.load_versions,
            grants=self.grants,
            load_used=self.load_used,
        )

    async def run(self, text: str, /, **variables: Any) -> ExecutionResult:
        document = parse(text)
        errors = validate(self.schema.graphql, document)
        if errors:
            return ExecutionResult(None, errors)
        return await execute_fixed(self.schema.graphql, document, self.context(), variables, max_fields=self.max_fields)

    async def ask(self, text: str, /, **variables: Any) -> Any:
        """The data of an answer without errors."""
        result = await self.run(text, **variables)
        assert result.errors is None, result.errors
        return result.data

    async def refused(self, text: str, /, **variables: Any) -> list[BaseException]:
        """The original errors of an answer that has some."""
        result = await self.run(text, **variables)
        assert result.errors
        return [error.original_error or error for error in result.errors]


def field_of(nodes: Iterable[dict[str, Any]], name: str) -> list[Any]:
    """One field of each object in a list."""
    return [node[name] for node in nodes]
