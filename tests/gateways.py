"""In charge of gateways for tests: the real pipeline on sources in memory, a still clock, a list for an audit log."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from authz.decide import MaskKey
from authz.principal import Principal
from resolvers.gateway import Gateway
from resolvers.limits import Limits
from resolvers.requests import GraphQLRequest, GraphQLResponse
from resolvers.seals import SealKey, Seals
from tanglai.audit.log import AuditUnavailable
from tanglai.audit.records import AuditRecord
from tanglai.catalogue.model import Grant, GrantBasis, Snapshot
from tanglai.storage.errors import PolicyUnavailable
from tanglai.storage.quota_ledger import QuotaLedger
from tanglai.storage.replica import Moment
from tests.catalogues import YINCHUAN
from tests.memory import MemorySources, Record
from tests.quotas import MemoryQuotas

NOW = datetime(2026, 5, 6, 4, 0, tzinfo=UTC)
PURPOSE = "assistance"


@dataclass
class StillReplica:
    """Knows one snapshot and the grants that the test gives it."""

    snapshot: Snapshot
    held: dict[str, tuple[Grant, ...]]
    now: datetime = NOW
    down: bool = False

    async def confirm(self) -> Moment:
        if self.down:
            raise PolicyUnavailable
        return Moment(self.snapshot, 1, self.now)

    async def grants(self, department: str, snapshot: Snapshot | None = None) -> tuple[Grant, ...]:
        if self.down:
            raise PolicyUnavailable
        return self.held.setdefault(department, ())


@dataclass
class ListedAudit:
    records: list[AuditRecord] = field(default_factory=list)
    down: bool = False

    async def append(self, record: AuditRecord) -> None:
        if self.down:
            raise AuditUnavailable
        record.to_json()
        self.records.append(record)


@dataclass
class ListedCubes:
    """Published cubes by grant, terms and period."""

    kept: dict[tuple[str, str, str], str] = field(default_factory=dict)
    down: bool = False

    async def load_cube(self, grant: str, terms: str, period: str) -> str | None:
        if self.down:
            raise PolicyUnavailable
        return self.kept.get((grant, terms, period))

    async def publish_cube(self, grant: str, terms: str, period: str, cells: str) -> str:
        if self.down:
            raise PolicyUnavailable
        return self.kept.setdefault((grant, terms, period), cells)


@dataclass
class Answer:
    """A response, read."""

    response: GraphQLResponse

    @property
    def body(self) -> dict[str, Any]:
        return dict(json.loads(self.response.body))

    @property
    def data(self) -> Any:
        assert "data" in self.body, self.body
        return self.body["data"]

    @property
    def errors(self) -> list[dict[str, Any]]:
        return list(self.body.get("errors", []))

    @property
    def codes(self) -> list[str]:
        return [error["extensions"]["code"] for error in self.errors]

    @property
    def extensions(self) -> dict[str, Any]:
        return dict(self.body["extensions"])


class World:
    """A catalogue, rows and grants, with a gateway over them."""

    def __init__(
        self,
        snapshot: Snapshot,
        rows: Mapping[str, Mapping[str, Sequence[Record]]],
        grants: Sequence[Grant] = (),
        *,
        limits: Limits | None = None,
    ) -> None:
        held: dict[str, tuple[Grant, ...]] = {}
        for grant in grants:
            held[grant.requester] = (*held.get(grant.requester, ()), grant)
        self.sources = MemorySources(rows)
        self.audit = ListedAudit()
        self.cubes = ListedCubes()
        self.quotas = MemoryQuotas()
        self.ledger = QuotaLedger(self.quotas)
        self.replica = StillReplica(snapshot, held)
        self.gateway = Gateway(
            self.replica,  # type: ignore[arg-type]  # the two methods that the gateway calls
            self.sources,  # type: ignore[arg-type]
            self.audit,  # type: ignore[arg-type]
            Seals((SealKey(1, bytes(range(64))),)),
            MaskKey("m1", b"mask secret"),
            limits,
            cubes=self.cubes,
            quotas=self.ledger,
        )

    async def ask(
        self,
        query: str,
        variables: Mapping[str, Any] | None = None,
        *,
        who: Principal | None = None,
        purpose: str | None = None,
        extensions: Mapping[str, Any] | None = None,
        operation: str | None = None,
        language: str = "en",
        read_only: bool = False,
    ) -> Answer:
        """The answer to `query`; the calls that it made are in `sources.calls`."""
        self.sources.forget()
        request = GraphQLRequest(
            query, operation, variables or {}, extensions or {}, who or requester(), purpose, language, "r1", read_only
        )
        return Answer(await self.gateway.execute(request))


def requester(**more: Any) -> Principal:
    """A client of Yinchuan with one purpose."""
    defaults: dict[str, Any] = {"department": YINCHUAN, "client": "app", "purposes": frozenset({PURPOSE})}
    return Principal(**defaults | more)


def make_grant(resource: str, items: str = "", id: str = "g1", **more: Any) -> Grant:
    """A usable grant of Yinchuan; `items` are names with spaces between."""
    defaults: dict[str, Any] = {
        "requester": YINCHUAN.code,
        "purpose": PURPOSE,
        "valid_from": NOW - timedelta(days=1),
        "valid_to": NOW + timedelta(days=1),
        "basis": GrantBasis.APPLICATION,
    }
    return Grant(id=id, resource=resource, items=frozenset(items.split()), **defaults | more)
