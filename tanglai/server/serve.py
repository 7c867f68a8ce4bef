"""In charge of running the application: the listening socket, graceful shutdown, the metrics beside it."""

import socket
from collections.abc import Awaitable, Callable, Sequence
from math import ceil

import uvicorn
from starlette.types import ASGIApp

from tanglai.server.app import Application
from tanglai.server.observations import Observations
from tanglai.server.protocol import IdleWebSocketProtocol, JoiningProtocol
from tanglai.server.settings import Settings
from tanglai.server.starting import StartError as StartError
from tanglai.server.starting import url_of

BACKLOG = 2048
KEEP_ALIVE_SECONDS = 65  # longer than a load balancer's, so that it never meets a connection that was just closed


class Server(uvicorn.Server):
    """A server of `app`; `on_ready` is called with its URL once it takes connections and the lifespan has begun.

    `alive` is awaited about once a second until it stops.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings,
        *,
        on_ready: Callable[[str], None] | None = None,
        alive: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=settings.host,
                port=settings.port,
                http=JoiningProtocol,
                ws=IdleWebSocketProtocol,
                ws_max_size=settings.max_body_bytes,
                ws_per_message_deflate=False,
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                backlog=BACKLOG,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=ceil(settings.shutdown_seconds),
                callback_notify=alive,
                timeout_notify=0,
            )
        )
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and not self.should_exit and self._on_ready is not None:
            self._on_ready(self.url)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if isinstance(self.config.app, Application):
            self.config.app.stop()
        await super().shutdown(sockets)

    @property
    def url(self) -> str:
        """`http://host:port` of the socket that listens, also when the settings asked for port 0."""
        return url_of(self.servers[0].sockets[0])


def serve(
    app: ASGIApp,
    settings: Settings,
    observations: Observations,
    *,
    on_ready: Callable[[str], None] | None = None,
    alive: Callable[[], Awaitable[None]] | None = None,
    sockets: Sequence[socket.socket] | None = None,
) -> None:
    """Serve `app` until SIGINT or SIGTERM, then let running requests end, `shutdown_seconds` at most.

    With `sockets`, bound ones, it listens there and not where the settings say. `on_ready`, `alive`: see `Server`.
    Everything that has to be closed belongs into the application's lifespan: after SIGTERM this call does not return.
    Raises StartError.
    """
    stop_metrics = None
    if settings.metrics_port:
        try:
            stop_metrics = observations.serve(settings.metrics_host, settings.metrics_port)
        except OSError as error:
            raise StartError(f"metrics cannot listen on port {settings.metrics_port}: {error.strerror}") from None
    server = Server(app, settings, on_ready=on_ready, alive=alive)
    try:
        server.run(list(sockets) if sockets is not None else None)
    except KeyboardInterrupt:
        pass
    except SystemExit:  # uvicorn's way to say that it did not start
        failure = getattr(app, "failure", None)
        if isinstance(failure, StartError):
            raise failure from None
        if server.lifespan.should_exit:
            raise StartError("the application did not start, see the log") from failure
        raise StartError(f"cannot listen on `{settings.host}` port {settings.port}") from None
    finally:
        if stop_metrics is not None:
            stop_metrics()
