"""In charge of putting a node together: platform database, replica, sources, audit log, gateway, application."""

import asyncio
import base64
import hashlib
import logging
import secrets
import signal
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

from starlette.applications import Starlette

from authz.decide import MaskKey
from connectors.gate import Room
from connectors.pool import SourcePool
from connectors.webhooks import WebhookClient
from resolvers.exporting import Export
from resolvers.gateway import Gateway
from resolvers.limits import Limits
from resolvers.requests import GraphQLRequest, GraphQLResponse
from resolvers.seals import SealKey, Seals
from tanglai.audit.log import AuditLog
from tanglai.catalogue.errors import ErrorCode, TanglaiError
from tanglai.catalogue.model import Snapshot
from tanglai.catalogue.workflow.webhooks import AllowedHosts
from tanglai.server import logs
from tanglai.server.app import Application, build_app
from tanglai.server.courier import Courier
from tanglai.server.demo_session import DemoRoutes, DemoSession
from tanglai.server.documents import DocumentRoutes
from tanglai.server.housekeeping import Housekeeping
from tanglai.server.identity import Entrance, TokenVerifier
from tanglai.server.importing import Importer
from tanglai.server.issuer import ISSUER, DemoIssuer, IssuerError
from tanglai.server.kept import KeptSecretError, kept_secret
from tanglai.server.keys import FixedKeys, Keys, file_keys, url_keys
from tanglai.server.memory import kept_still
from tanglai.server.observations import Observations
from tanglai.server.serve import StartError, serve
from tanglai.server.settings import Settings
from tanglai.server.spreadsheets import SpreadsheetRoutes
from tanglai.server.workers import Line, Port, Supervisor
from tanglai.storage import migrate
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.embedded import EmbeddedPostgres, EmbeddedPostgresError
from tanglai.storage.errors import SchemaMismatch
from tanglai.storage.keys import KEY_BYTES, KeyRecord, KeyStoreError, MasterKey
from tanglai.storage.quota_ledger import QuotaLedger
from tanglai.storage.replica import Moment, Replica
from tanglai.storage.workflow.desk import Desk
from tanglai.storage.workflow.feed import Feed
from tanglai.storage.workflow.sources import SourceWatch
from tanglai.storage.workflow.webhooks import Hooks

_log = logging.getLogger(__name__)

KEY_FILE = "platform.key"
POOL = 16
SUPERVISE_SECONDS = 0.5


class Node:
    """A gateway that exists once the application has started, and everything that it uses.

    It is the server's gateway from the beginning; before the start and after the end it answers POLICY_UNAVAILABLE.
    """

    def __init__(self, settings: Settings, environment: Mapping[str, str], keys: Keys) -> None:
        self._settings = settings
        self._keys = keys
        self._environment = environment
        self._gateway: Gateway | None = None
        self._replica: Replica | None = None
        self._desk: Desk | None = None
        self.audit: AuditLog | None = None
        self.sources: SourcePool | None = None

    async def execute(self, request: GraphQLRequest) -> GraphQLResponse:
        return await self._started().execute(request)

    def streams(self, request: GraphQLRequest) -> bool:
        return self._gateway is not None and self._gateway.streams(request)

    def subscribe(self, request: GraphQLRequest) -> AsyncGenerator[GraphQLResponse, None]:
        return self._started().subscribe(request)

    async def export(self, request: GraphQLRequest) -> Export | GraphQLResponse:
        return await self._started().export(request)

    async def sdl(self) -> Sequence[bytes]:
        return await self._started().sdl()

    async def ready(self) -> Mapping[str, str]:
        return await self._started().ready()

    async def snapshot(self) -> Snapshot:
        """The confirmed snapshot, for identity."""
        if self._replica is None:
            raise _not_started()
        return await self._replica.snapshot()

    async def moment(self) -> Moment:
        """What a request decides by now."""
        if self._replica is None:
            raise _not_started()
        return await self._replica.confirm()

    @property
    def desk(self) -> Desk:
        """Where the law's work is done."""
        if self._desk is None:
            raise _not_started()
        return self._desk

    def _started(self) -> Gateway:
        if self._gateway is None:
            raise _not_started()
        return self._gateway

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Opens everything, in order, and closes it in reverse when the application ends. Raises StartError."""
        async with AsyncExitStack() as stack:
            try:
                await self._open(stack)
            except (EmbeddedPostgresError, KeyStoreError, SchemaMismatch, TanglaiError) as error:
                raise StartError(f"the platform database cannot be used: {error}") from error
            try:
                yield
            finally:
                self._gateway = self._replica = self._desk = None

    async def _open(self, stack: AsyncExitStack) -> None:
        settings = self._settings
        url = settings.database_url or await self._embedded(stack)
        await migrate.upgrade(url)
        key = settings.key_bytes or kept_key(settings)
        database = await PlatformDatabase.open(url, max_size=POOL, master_key=MasterKey(key))
        stack.push_async_callback(database.close)
        watch = SourceWatch(settings.node)
        await stack.enter_async_context(watch.keeping(database))
        room = Room((settings.max_concurrent + 1) // 2)  # whatever hangs, half of what may run is for other sources
        sources = self.sources = SourcePool(self._environment, seen=watch.saw, room=room)
        stack.push_async_callback(sources.close)
        self.audit = AuditLog(database.pool, queue=settings.audit_queue, patience=settings.audit_seconds)
        stack.push_async_callback(self.audit.close)
        replica = Replica(database, settings.zone, rule_set=settings.rule_set)
        await replica.start()
        stack.push_async_callback(replica.close)
        self._replica = replica
        quotas = await stack.enter_async_context(QuotaLedger(database))
        desk = self._desk = Desk(database, changed=replica.doubt)
        feed = await stack.enter_async_context(Feed(database))
        hosts = AllowedHosts.read(settings.webhook_hosts)
        self._gateway = Gateway(
            replica,
            sources,
            self.audit,
            seals_of(await database.keys("seal")),
            mask_key_of(await database.keys("mask")),
            limits_of(settings),
            node=settings.node,
            load_versions=database.load_versions,
            cubes=database,
            quotas=quotas,
            desk=desk,
            hooks=Hooks(database, hosts),
            feed=feed,
        )
        await self._gateway.schema()
        replica.prepare(self._gateway.prepare)
        if hosts:
            client = WebhookClient(hosts)
            stack.push_async_callback(client.close)
            await stack.enter_async_context(Courier(database, feed, client))
        await stack.enter_async_context(Housekeeping(database, replica, desk, settings.node))
        await stack.enter_async_context(Importer(database, desk, replica.confirm, feed, node=settings.node))
        try:
            await self._keys.fresh()
        except TanglaiError as error:  # the issuer may come later, the node need not wait for it
            _log.warning("nobody can be told who asks yet: %s", error.message)

    async def _embedded(self, stack: AsyncExitStack) -> str:
        """URL of the embedded server, started and started again whenever it dies."""
        server = EmbeddedPostgres(self._settings.state_dir / "platform")
        await asyncio.to_thread(server.start)
        stack.callback(server.stop)
        keeper = asyncio.create_task(_keep(server))
        stack.callback(keeper.cancel)
        return server.url()


async def _keep(server: EmbeddedPostgres) -> None:
    while True:
        await asyncio.sleep(SUPERVISE_SECONDS)
        if not server.alive():
            await asyncio.to_thread(_revive, server)


def _not_started() -> TanglaiError:
    return TanglaiError(ErrorCode.POLICY_UNAVAILABLE, "the node has not started")


def kept_key(settings: Settings) -> bytes:
    """The master key of a node with an embedded database, kept in its state folder (0600), made on first use.

    Raises StartError where the platform database is an outer one: then `TANGLAI_KEY` must be given.
    """
    if settings.database_url:
        raise StartError("`TANGLAI_KEY` is needed with `TANGLAI_DATABASE_URL`: 32 random bytes in base64")
    try:
        return kept_secret(settings.state_dir / KEY_FILE, lambda: secrets.token_bytes(KEY_BYTES))
    except KeptSecretError as error:
        raise StartError(str(error)) from None


def seals_of(records: list[KeyRecord]) -> Seals:
    """Seals by generation; records come newest first. AES-SIV takes 64 bytes, derived from the 32 that are kept."""
    oldest_first = list(reversed(records))
    return Seals(
        tuple(
            SealKey(number % 256, hashlib.sha512(b"tanglai row ids and cursors\0" + record.secret).digest())
            for number, record in enumerate(oldest_first[-256:], start=max(0, len(oldest_first) - 256))
        )
    )


def mask_key_of(records: list[KeyRecord]) -> MaskKey:
    """The newest secret for pseudonyms."""
    return MaskKey(records[0].id, records[0].secret)


def limits_of(settings: Settings) -> Limits:
    """What one request may ask for, as the settings have it."""
    return Limits(
        document_bytes=settings.max_document_bytes,
        tokens=settings.max_tokens,
        depth=settings.max_depth,
        fields=settings.max_fields,
        roots=settings.max_roots,
        page=settings.max_page,
        source_timeout=settings.source_seconds,
        event_timeout=settings.request_seconds,
        export_rows=settings.max_export_rows,
        export_bound=16 * settings.max_export_rows,
        export_timeout=settings.export_idle_seconds,
    )


def token_keys(settings: Settings, issuer: DemoIssuer | None) -> tuple[Keys, str]:
    """The keys that tokens are verified with, and the issuer that they name. Raises StartError without any."""
    if issuer is not None:
        return FixedKeys(issuer.jwks), ISSUER
    if not settings.jwks:
        raise StartError(
            "`TANGLAI_JWKS` and `TANGLAI_ISSUER` are needed: where the keys that sign tokens are published"
        )
    if settings.jwks.startswith(("http://", "https://")):
        outage, every = settings.jwks_outage_seconds, settings.jwks_refresh_seconds
        return url_keys(settings.jwks, every=every, outage=outage), settings.issuer
    return file_keys(Path(settings.jwks), outage=settings.jwks_outage_seconds), settings.issuer


def compose(
    settings: Settings, environment: Mapping[str, str], session: DemoSession | None = None
) -> tuple[Application, Observations]:
    """The application of a node that reads its sources' secrets from `environment`.

    `session` is what the workbench offers while the demo issuer is on. Raises StartError.
    """
    issuer = DemoIssuer.open(settings) if settings.demo_issuer else None
    keys, issuer_name = token_keys(settings, issuer)
    if settings.key_bytes is None:
        kept_key(settings)
    node = Node(settings, environment, keys)
    observations = Observations()
    for name, text, value in (
        ("waiting", "Audit records that wait", lambda audit: audit.waiting),
        ("written", "Audit records written since the start", lambda audit: audit.written),
        ("refused", "Audit records that could not be written", lambda audit: audit.refused),
    ):
        observations.watch(f"tanglai_audit_{name}", text, partial(_of_audit, node, value))
    observations.watch(
        "tanglai_sources_waiting",
        "Operations that wait for a source",
        lambda: node.sources.waiting if node.sources is not None else 0,
    )
    demo = DemoRoutes(session, issuer) if session is not None and issuer is not None else None
    entrance = Entrance(TokenVerifier(keys, issuer=issuer_name, audience=settings.audience), node.snapshot)
    spreadsheets = SpreadsheetRoutes(node, entrance, settings)
    app = build_app(
        settings,
        node,
        entrance,
        observations=observations,
        demo=demo,
        spreadsheets=spreadsheets,
        documents=DocumentRoutes(node, entrance, settings),
        lifespan=node.lifespan,
    )
    return app, observations


def _of_audit(node: Node, value: Callable[[AuditLog], int]) -> int:
    return value(node.audit) if node.audit is not None else 0


def run_node(
    settings: Settings,
    environment: Mapping[str, str],
    session: DemoSession | None = None,
    *,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serves a node until SIGINT or SIGTERM, with as many workers as the settings say. Raises StartError."""
    logs.configure(settings)
    if settings.workers > 1:
        _run_workers(settings, environment, session, on_ready)
    else:
        _run(settings, environment, session, on_ready)


def _run(
    settings: Settings,
    environment: Mapping[str, str],
    session: DemoSession | None,
    on_ready: Callable[[str], None] | None,
    alive: Callable[[], Awaitable[None]] | None = None,
    sockets: Sequence[socket.socket] | None = None,
) -> None:
    with kept_still() as memory:
        app, observations = compose(settings, environment, session)

        def ready(url: str) -> None:
            memory.settle()
            if on_ready is not None:
                on_ready(url)

        serve(app, settings, observations, on_ready=ready, alive=alive, sockets=sockets)


def _run_workers(
    settings: Settings,
    environment: Mapping[str, str],
    session: DemoSession | None,
    on_ready: Callable[[str], None] | None,
) -> None:
    """What there is once for all workers is begun here: the port, the embedded database, the tables."""
    key = settings.key_bytes or kept_key(settings)
    server = None if settings.database_url else EmbeddedPostgres(settings.state_dir / "platform")
    port = Port.take(settings.host, settings.port)
    with ExitStack() as stack:
        stack.callback(port.close)
        try:
            if server is not None:
                server.start()
                stack.callback(server.stop)
            url = settings.database_url if server is None else server.url()
            asyncio.run(migrate.upgrade(url))
        except (EmbeddedPostgresError, SchemaMismatch, TanglaiError) as error:
            raise StartError(f"the platform database cannot be used: {error}") from error

        def work(number: int, line: Line) -> None:
            if server is not None:
                server.leave_to_parent()
            logs.configure(settings, worker=number)
            given = {**settings.model_dump(), "database_url": url, "key": base64.b64encode(key).decode()}
            if settings.metrics_port:
                given["metrics_port"] = settings.metrics_port + number - 1
            own = Settings(**given)
            try:
                _run(own, environment, session, lambda _: line.ready(), line.alive, port.sockets())
            except IssuerError as error:
                raise StartError(str(error)) from None

        beside = partial(_revive, server) if server is not None else lambda: None
        stopped = Supervisor(
            work,
            settings.workers,
            port,
            stop_seconds=settings.shutdown_seconds,
            on_ready=on_ready,
            beside=beside,
        ).run()
    if stopped is not signal.SIGINT:
        signal.signal(stopped, signal.SIG_DFL)  # as one process ends
        signal.raise_signal(stopped)


def _revive(server: EmbeddedPostgres) -> None:
    if server.alive():
        return
    try:
        server.ensure_running()
        _log.warning("the embedded database died and was started again")
    except EmbeddedPostgresError as error:
        _log.error("the embedded database cannot be started again: %s", error)
