"""In charge of what the resolvers of the fixed part get to know of a request: `info.context`."""

from asyncio import shield
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, TypeAlias, TypeVar

from aiodataloader import DataLoader

from authz.explain import AccessReport
from authz.principal import Principal
from authz.words import Language
from tanglai.catalogue.checks import TableStructure
from tanglai.catalogue.errors import ErrorCode, TanglaiError
from tanglai.catalogue.model import Grant, Resource, Snapshot
from tanglai.catalogue.quotas import Counts
from tanglai.catalogue.workflow.parties import Acting
from tanglai.storage.errors import PolicyUnavailable
from tanglai.storage.workflow.corrections import Sees
from tanglai.storage.workflow.desk import Desk
from tanglai.storage.workflow.webhooks import Hooks

T = TypeVar("T")

Explain: TypeAlias = Callable[[Resource, str | None], AccessReport]
"""The dry run for a resource and a purpose (None: none stated)."""

LoadUsed: TypeAlias = Callable[[Sequence[str]], Awaitable[Mapping[str, Counts]]]
"""What was used of grants today, by id."""

Describe: TypeAlias = Callable[[Sequence[str]], Awaitable[Mapping[str, Sequence[TableStructure]]]]
"""What sources say of themselves, by key; those that do not answer are left out."""

MOST_TOLD = 4_000_000
"""Characters in which one request may be told rows of grants, in words and as predicates."""

MOST_CARRIED = 8 * 1024 * 1024
"""Bytes of attached documents that one request may be given."""

LoadVersions: TypeAlias = Callable[[Sequence[tuple[str, int]]], Awaitable[Sequence[Resource | None]]]
"""Resources by code and version, in the order of the keys, None for those that are not kept."""


def resources_of(principal: Principal) -> frozenset[str] | None:
    """The resources that the token names as a whole, by code; None where it narrows nothing."""
    scopes = principal.scopes
    return None if scopes is None else frozenset(scope.resource for scope in scopes if scope.item is None)


class Stream(Protocol):
    """What the field of a subscription says besides its answer."""

    def follow(self, key: str) -> None:
        """There is another event once `key` has changed (tanglai/storage/workflow/feed.py). Said before reading."""

    def finish(self) -> None:
        """This event is the last one."""


@dataclass(eq=False)
class RequestContext:
    """One request, seen by the fixed part. Lives within one request and one event loop.

    `purpose` is the request's own, `now` the moment of its decision. `grants` are all of the requester's, by id.
    `load_versions` reads former versions of resources from the platform database, `load_used` what was used of quotas;
    None where it cannot be asked. `stream` is that of a subscription, None in other operations. `desk` is where the
    law's work is done, `hooks` what webhooks need besides; `sees` tells whether the requester is shown an item on a
    data row, `describe` what sources say of their columns. `told` counts the characters of rows in words and
    predicates, `carried` the bytes of attached documents.
    """

    snapshot: Snapshot
    principal: Principal
    purpose: str | None
    language: Language
    now: datetime
    explain: Explain
    load_versions: LoadVersions | None = None
    grants: tuple[Grant, ...] = ()
    load_used: LoadUsed | None = None
    stream: Stream | None = None
    desk: Desk | None = None
    hooks: Hooks | None = None
    sees: Sees | None = None
    describe: Describe | None = None
    request_id: str = ""
    node: str = "tanglai"
    told: int = 0
    carried: int = 0
    _reports: dict[tuple[str, str | None], AccessReport] = field(default_factory=dict, repr=False)
    _versions: "DataLoader[tuple[str, int], Resource | None] | None" = field(default=None, repr=False)
    _used: "DataLoader[str, Counts] | None" = field(default=None, repr=False)
    _batches: dict[str, "DataLoader[str, Any]"] = field(default_factory=dict, repr=False)

    @property
    def office(self) -> Desk:
        """The desk. Raises POLICY_UNAVAILABLE where there is none."""
        if self.desk is None:
            raise PolicyUnavailable
        return self.desk

    @property
    def acting(self) -> Acting:
        """The requester as somebody who acts."""
        who = self.principal
        return Acting(
            who.department.code,
            who.client,
            who.person,
            who.roles,
            self.now,
            self.snapshot,
            self.request_id,
            self.node,
            resources_of(who),
        )

    async def batched(self, name: str, key: str, load: Callable[[Sequence[str]], Awaitable[Mapping[str, T]]]) -> T:
        """What `load` gives for `key`, in one batch with all that the request asks for by the same `name`."""
        loader = self._batches.get(name)
        if loader is None:

            async def batch(keys: list[str]) -> list[T]:
                found = await load(keys)
                return [found[key] for key in keys]

            loader = self._batches[name] = DataLoader(batch)
        found: T = await shield(loader.load(key))
        return found

    def access(self, resource: Resource, purpose: str | None) -> AccessReport:
        """The dry run for all of `resource`, made once per request and purpose."""
        key = (resource.code, purpose)
        if key not in self._reports:
            self._reports[key] = self.explain(resource, purpose)
        return self._reports[key]

    def tell(self, text: str) -> str:
        """`text`, counted: the rows of a grant are told once for each item. Raises LIMIT_EXCEEDED beyond MOST_TOLD."""
        self.told += len(text)
        if self.told > MOST_TOLD:
            raise TanglaiError(
                ErrorCode.LIMIT_EXCEEDED,
                f"rows would be told in more than {MOST_TOLD:,} characters: ask for fewer items",
            )
        return text

    def carry(self, size: int) -> None:
        """Counts `size` bytes of a document that is given. Raises LIMIT_EXCEEDED beyond MOST_CARRIED."""
        self.carried += size
        if self.carried > MOST_CARRIED:
            raise TanglaiError(
                ErrorCode.LIMIT_EXCEEDED,
                f"more than {MOST_CARRIED:,} bytes of documents: ask for some of them in another request",
            )

    async def used(self, grant: str) -> Counts | None:
        """What was used of a grant today, in one batch with all others that the request asks for."""
        if self.load_used is None:
            return None
        if self._used is None:
            load = self.load_used

            async def batch(ids: list[str]) -> list[Counts]:
                used = await load(ids)
                return [used.get(id, Counts()) for id in ids]

            self._used = DataLoader(batch)
        return await shield(self._used.load(grant))

    async def version(self, code: str, number: int) -> Resource | None:
        """Version `number` of resource `code` in one batch with all others that the request asks for."""
        current = self.snapshot.resources.get(code)
        if current is not None and current.version == number:
            return current
        if self.load_versions is None:
            return None
        if self._versions is None:
            load = self.load_versions

            async def batch(keys: list[tuple[str, int]]) -> list[Resource | None]:
                return list(await load(keys))

            self._versions = DataLoader(batch)
        return await shield(
            self._versions.load((code, number))
        )  # a cancelled waiter would cancel the others of its key
