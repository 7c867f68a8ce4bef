"""In charge of the platform database as the rest of the program sees it: every question and every change."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import date
from types import MappingProxyType, TracebackType
from typing import Any, Self, TypeVar

import asyncpg

from tanglai.catalogue.model import Grant, GrantState, Quota, Resource, Snapshot, Zone
from tanglai.catalogue.quotas import Counts
from tanglai.storage import cubes, epochs, grants, keys, migrate, publishing, quotas, snapshots, versions
from tanglai.storage.control import ControlLine
from tanglai.storage.epochs import Epochs
from tanglai.storage.errors import PolicyUnavailable, translated
from tanglai.storage.grants import DepartmentGrants, GrantTransition, PutReport
from tanglai.storage.keys import KeyRecord, KeyStoreError, MasterKey
from tanglai.storage.listen import Hear, listening
from tanglai.storage.publishing import CatalogueChange, PublishReport

T = TypeVar("T")
CONNECT_SECONDS = 2.0
COMMAND_SECONDS = 30.0
LOAD_SECONDS = 30.0
_NO_RESOURCES: Mapping[str, Resource] = MappingProxyType({})


class PlatformDatabase:
    """The platform database (PostgreSQL >= 15). Safe for concurrent use within one event loop.

    Every method raises PolicyUnavailable where the database cannot be reached within 2 s, and Refused (BAD_INPUT) for
    a change that cannot be. Nothing has to be restarted when the database comes back.
    """

    def __init__(self, url: str, pool: Any, master_key: MasterKey | None) -> None:
        self.pool = pool
        """asyncpg pool; commits on it are durable (synchronous_commit is on)."""
        self._url = url
        self._master_key = master_key
        self._control = ControlLine(self._connect)

    @classmethod
    async def open(cls, url: str, *, min_size: int = 1, max_size: int = 8, master_key: MasterKey | None = None) -> Self:
        """The database at `url`, a PostgreSQL URI, with a pool of `min_size` to `max_size` connections and two more.

        `master_key` opens the key store. Raises SchemaMismatch where the tables are not this program's, ValueError
        where the URI cannot be read, PolicyUnavailable where the database cannot be reached.
        """
        try:
            with translated():
                pool = await asyncpg.create_pool(
                    url,
                    min_size=min_size,
                    max_size=max_size,
                    init=_durable,
                    reset=_reset,
                    **_settings("tanglai", COMMAND_SECONDS),
                )
        except PolicyUnavailable as error:
            if isinstance(error.__cause__, asyncpg.exceptions.ClientConfigurationError):
                raise ValueError("the platform database's URL is not a PostgreSQL URI") from error
            raise
        database = cls(url, pool, master_key)
        try:
            async with database.session() as connection:
                await migrate.require_current(connection)
        except BaseException:
            await database.close()
            raise
        return database

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Gives back every connection; sessions still in use after 5 s are cut."""
        self._control.close()
        try:
            async with asyncio.timeout(5.0):
                await self.pool.close()
        except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            self.pool.terminate()

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Any]:
        """A connection of the pool, with errors told as this package's own."""
        with translated():
            async with self.pool.acquire(timeout=CONNECT_SECONDS) as connection:
                yield connection

    async def confirm(self, since: int | None = None) -> Epochs:
        """The epochs as committed now: one statement on a connection of its own, answered within 2 s.

        With `since`, a grants epoch, `changed` holds the departments whose grants changed after it.
        """
        with translated():
            return await self._control.run(lambda connection: epochs.confirm(connection, since))

    def listening(self, hear: Hear) -> AbstractAsyncContextManager[None]:
        """While open, `hear("catalogue")` and `hear("grants")` are called on the event loop after such a change.

        `hear(None)` means that notifications may have been missed. The connection comes back by itself.
        """
        return listening(lambda: self._connect("tanglai listen"), hear)

    def listening_on(self, channel: str, hear: Hear) -> AbstractAsyncContextManager[None]:
        """As `listening`, for the notifications of another channel, on a connection of its own."""
        return listening(lambda: self._connect(f"tanglai {channel}"), hear, channel)

    # The catalogue

    async def load_snapshot(
        self, zone: Zone, *, rule_set: str = snapshots.DEFAULT_RULE_SET, previous: Snapshot | None = None
    ) -> Snapshot:
        """The whole catalogue with its number, read in one REPEATABLE READ transaction.

        With `previous`, a snapshot of this database, only what changed since is read; the result is the same.
        """
        with translated():
            async with asyncio.timeout(LOAD_SECONDS):
                return await self._reading(lambda connection: snapshots.load(connection, zone, rule_set, previous))

    async def publish(self, change: CatalogueChange) -> PublishReport:
        """Publish `change` as a whole or not at all; publications come one after the other.

        Divisions, departments, purposes, categories and sources are added or replaced. A resource whose document
        differs from its published version becomes the next version, which is immutable (Order 809 Art. 16), and the
        old one is retired; one that does not is left alone, so that publishing twice changes nothing. Where something
        changed, the catalogue epoch goes up and replicas are notified in the same transaction.

        Raises Refused for a reference to nothing, for what cannot be stored, and for a new version against which the
        row scope of an active or suspended grant cannot be read.
        """
        async with self.session() as connection:
            return await publishing.publish(connection, change)

    async def bring_in(
        self, change: CatalogueChange, new: Sequence[Grant], *, reason: str = "recorded"
    ) -> tuple[PublishReport, PutReport | None]:
        """`publish` and `put_grants` together: both or neither. No second report where there are no grants."""
        async with self.session() as connection, connection.transaction():
            published = await publishing.publish(connection, change)
            put = await grants.put(connection, new, by=change.by, reason=reason) if new else None
            return published, put

    async def retire(self, code: str, *, by: str, note: str = "") -> int:
        """Take resource `code` out of the catalogue; its versions are kept. Returns the new catalogue epoch.

        Raises Refused where it is not published, or another published resource has a relation to it.
        """
        async with self.session() as connection:
            return await publishing.retire(connection, code, by=by, note=note)

    async def load_versions(self, keys: Sequence[tuple[str, int]]) -> list[Resource | None]:
        """Resources by code and version, in the order of `keys`, None for a version that never was."""
        return await self._reading(lambda connection: versions.load(connection, keys))

    # Grants

    async def load_grants(self, department: str) -> tuple[Grant, ...]:
        """All grants of the requester with credit code `department`, in every state, ordered by id."""
        return (await self.load_department(department)).grants

    async def load_department(
        self, department: str, resources: Mapping[str, Resource] = _NO_RESOURCES
    ) -> DepartmentGrants:
        """As `load_grants`, with the epochs; scopes are read against `resources`, where a resource is among them."""
        return await self._reading(lambda connection: grants.load(connection, department, resources))

    async def put_grants(self, new: Sequence[Grant], *, by: str = "import", reason: str = "recorded") -> PutReport:
        """Record grants, all or none; one that is known already gets the given terms.

        The state of a known grant is left alone, so that importing a file again resumes nothing: see `kept` of the
        report, and `set_grant_state`. Raises Refused for a reference to nothing, a scope that its resource does not
        carry, another requester or resource under a known id, new terms for a grant that is over, for statistics of
        which the requester has some already from another grant, and for a mask that does not hide what it should from
        somebody who reads all that the requester can.
        """
        async with self.session() as connection:
            return await grants.put(connection, new, by=by, reason=reason)

    async def set_grant_state(self, grant: str, state: GrantState, *, by: str, reason: str) -> int:
        """Take `grant` to `state`, recorded with who, when and why. Returns the new grants epoch.

        From the commit on, a confirmation sees it. Raises Refused for an unknown grant and a step that
        `GRANT_TRANSITIONS` does not have, or has not yet: a grant expires only once its validity is over.
        """
        async with self.session() as connection:
            return await grants.set_state(connection, grant, state, by=by, reason=reason)

    async def expire_grants(self, *, by: str = "platform") -> tuple[str, ...]:
        """Take every grant whose validity is over to EXPIRED; their ids. Decisions do not wait for it."""
        async with self.session() as connection:
            return await grants.expire(connection, by=by)

    async def grant_history(self, grant: str) -> tuple[GrantTransition, ...]:
        """Every step of a grant, the oldest first; empty for an unknown one."""
        return await self._reading(lambda connection: grants.history(connection, grant))

    # Published cubes

    async def load_cube(self, grant: str, terms: str, period: str) -> str | None:
        """The cells that `grant` published under `terms` (a digest) in `period`, as JSON; None where none are yet."""
        return await self._reading(lambda connection: cubes.load(connection, grant, terms, period))

    async def publish_cube(self, grant: str, terms: str, period: str, cells: str) -> str:
        """Publish `cells` (JSON) unless some are published under this key already; what is published, for good.

        Of replicas that publish at once one counts, and all get what that one published. Raises Refused for an unknown
        grant.
        """
        return await self._reading(lambda connection: cubes.publish(connection, grant, terms, period, cells))

    # Quotas: what of a grant is taken on a day of Asia/Shanghai

    async def take_quota(self, grant: str, day: date, wanted: Counts, quota: Quota) -> Counts | None:
        """Take `wanted` and tell what is taken with it; None, and nothing taken, where `quota` does not cover it.

        From the return on it is durable. After PolicyUnavailable it may be taken all the same.
        """
        async with self.session() as connection:
            return await quotas.take(connection, grant, day, wanted, quota)

    async def return_quota(self, returns: Sequence[tuple[str, date, Counts]]) -> None:
        """Give back what was taken and not used: grant, day, counts; a grant's day at most once.

        After PolicyUnavailable it may be given back all the same, so it must not be given back again.
        """
        async with self.session() as connection:
            await quotas.give_back(connection, returns)

    async def count_subjects(self, grant: str, day: date, subjects: Collection[bytes]) -> int:
        """How many of `subjects`, distinct keyed hashes, are new for that grant and day."""
        async with self.session() as connection:
            return await quotas.count_subjects(connection, grant, day, subjects)

    async def quota_key(self, day: date) -> bytes:
        """The secret of 32 bytes under which subjects of `day` are hashed; it goes with them. Raises KeyStoreError."""
        return (await self.keys(f"{quotas.KEY_NAME}{day.isoformat()}"))[0].secret

    async def used_quotas(self, grants: Sequence[str], day: date) -> dict[str, Counts]:
        """What is taken of `grants` on `day`, those left out of which nothing is."""
        return await self._reading(lambda connection: quotas.used(connection, grants, day))

    async def forget_subjects(self) -> int:
        """Delete the subjects of former days, by the database's clock, with the keys they were hashed with."""
        async with self.session() as connection:
            return await quotas.forget(connection)

    # Keys

    async def keys(self, name: str) -> list[KeyRecord]:
        """All generations of the secret `name`, the newest first; the first one is made on first use.

        Seal under the newest that every replica knows; a replica that meets an unknown key id asks again. Raises
        KeyStoreError without a master key, under another one, or for a row that was changed.
        """
        master_key = self._require_master_key()
        return await self._reading(lambda connection: keys.read(connection, master_key, name))

    async def rotate_key(self, name: str) -> list[KeyRecord]:
        """Add a generation of the secret `name`; all, the newest first. Older ones stay, to open what they sealed."""
        master_key = self._require_master_key()
        async with self.session() as connection:
            return await keys.rotate(connection, master_key, name)

    async def reseal_keys(self, former: Sequence[MasterKey]) -> int:
        """Seal every secret that is under one of the `former` master keys under the present one; how many."""
        master_key = self._require_master_key()
        async with self.session() as connection, connection.transaction():
            return await keys.reseal(connection, master_key, former)

    def _require_master_key(self) -> MasterKey:
        if self._master_key is None:
            raise KeyStoreError("no master key is given (`TANGLAI_KEY`)")
        return self._master_key

    async def _connect(self, name: str) -> Any:
        return await asyncpg.connect(self._url, **_settings(name, CONNECT_SECONDS))

    async def _reading(self, read: Callable[[Any], Awaitable[T]]) -> T:
        # A pooled connection may have died unnoticed; a read is tried once more on another.
        try:
            async with self.session() as connection:
                return await read(connection)
        except PolicyUnavailable as error:
            lost = asyncpg.PostgresConnectionError | asyncpg.InternalClientError | ConnectionError
            if not isinstance(error.__cause__, lost):
                raise
        async with self.session() as connection:
            return await read(connection)


_DURABLE = "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"


def _settings(name: str, command_timeout: float) -> dict[str, Any]:
    return {
        "timeout": CONNECT_SECONDS,
        "command_timeout": command_timeout,
        # INVARIANT: epochs are read from the server that takes the writes, never from a standby that lags.
        "target_session_attrs": "read-write",
        "server_settings": {"application_name": name},
    }


async def _durable(connection: Any) -> None:
    # INVARIANT: what was answered is on disk, whatever the server's default is (a stricter one is left).
    await connection.execute(_DURABLE)


async def _reset(connection: Any) -> None:
    # The driver's own reset forgets every setting of the session, that one too.
    await connection.execute(f"{connection.get_reset_query()}\n{_DURABLE}")
