"""In charge of `python -m demo`: serve the region, run the tour over it, forget it."""

import argparse
import asyncio
import os
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from demo.data.world import World
from demo.matters import open_matters
from demo.publication import application_for_diagnosis, catalogue_version, publish, put_past_the_check, read_catalogue
from demo.region import DemoRegion, DemoRegionError
from demo.session import DEFAULT_PURPOSE, demo_session
from demo.tour.items import item_lines
from demo.tour.procedures import procedure_lines
from demo.tour.publishing import publication_lines
from demo.tour.rows import APPLIED_FOR_DIAGNOSIS, row_lines
from demo.tour.running import Tour
from demo.tour.states import state_lines
from demo.tour.statistics import statistics_lines
from tanglai.catalogue.checks import Draft
from tanglai.server.compose import compose, run_node
from tanglai.server.issuer import DemoIssuer, IssuerError
from tanglai.server.serve import Server, StartError
from tanglai.server.settings import Settings, SettingsError, load
from tanglai.storage.embedded import DataFolderInUse

STATE = Path(".demo")
_SUPERVISE_SECONDS = 1.0


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 when everything went well, for the tour when every line is as the law says."""
    parser = argparse.ArgumentParser(prog="python -m demo", description="The demo region.")
    parser.add_argument("--state", type=Path, default=STATE, help="folder for everything it keeps (default: .demo)")
    commands = parser.add_subparsers(dest="command", required=True)
    serving = commands.add_parser("serve", help="start the region and a node of it")
    serving.add_argument("--port", type=int, default=8000, help="port of the node; 0 takes a free one")
    serving.add_argument("--log-level", default="warning", choices=("debug", "info", "warning", "error"))
    commands.add_parser("tour", help="run the tour on free ports")
    commands.add_parser("reset", help="forget everything that the region keeps")
    given = parser.parse_args(arguments)
    # From here on there is something to put away, in order: after Ctrl-C, and after a plain `kill` the same.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        if given.command == "serve":
            return _serve(given.state, given.port, given.log_level)
        if given.command == "tour":
            return _tour(given.state)
        DemoRegion(given.state).reset()
        return 0
    except KeyboardInterrupt:
        return 130
    except (DemoRegionError, StartError, SettingsError, IssuerError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _serve(state: Path, port: int, log_level: str) -> int:
    _require_free(port)
    with _running(state) as region:
        draft = read_catalogue()
        _publish_once(region, draft)
        settings = _settings(region, port=port, log_level=log_level, log_format="console")

        # In this folder commands find the state of the demo by themselves, elsewhere they have to be told.
        told = "" if state == STATE else f"set -a; . {state}/env; set +a; "
        program, purpose = os.path.relpath(Path(sys.executable).parent / "tanglai"), f"--purpose {DEFAULT_PURPOSE}"

        def ready(url: str) -> None:
            print(f"ready {url}")
            print(f"  workbench    {url}/")
            print(f"  GraphQL      {url}/graphql   schema: {url}/schema.graphql")
            print(f"  tokens       {told}{program} token --department taxation {purpose}")
            print("  all data are synthetic; Ctrl-C stops everything", flush=True)

        session = demo_session(draft.departments, draft.purposes)
        # The caller's own variables too: a source registered beside the demo names one of them.
        run_node(settings, {**os.environ, **region.environment()}, session, on_ready=ready)
    return 0


def _require_free(port: int) -> None:
    """Raises DemoRegionError where the port is taken: better now than after the data were made."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OverflowError:
        raise DemoRegionError(f"`{port}` is no port") from None
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise DemoRegionError(f"port `{port}` of this machine: {reason}; choose another with PORT=") from error


def _tour(state: Path) -> int:
    try:
        with _running(state / "tour") as region:
            return _run_tour(region)
    except DemoRegionError as error:
        if not isinstance(error.__cause__, DataFolderInUse):
            raise
    # Another tour is on its way there.
    with tempfile.TemporaryDirectory(prefix="tanglai-tour-") as folder, _running(Path(folder)) as region:
        return _run_tour(region)


def _run_tour(region: DemoRegion) -> int:
    draft, world = read_catalogue(), World()
    region.renew_platform()
    asyncio.run(publish(region.platform_url, draft))
    asyncio.run(put_past_the_check(region.platform_url, [application_for_diagnosis(draft, APPLIED_FOR_DIAGNOSIS)]))
    lines = [
        *item_lines(world),
        *row_lines(world),
        *state_lines(world),
        *statistics_lines(world),
        *procedure_lines(world),
        *publication_lines(world),
    ]
    settings = _settings(region, port=0, log_level="error")
    good: list[bool] = []

    def tour(url: str) -> None:
        good.append(Tour(url, _tokens(settings, draft), region.interface_url).run(lines, _say))

    _serve_for(settings, region.environment(), tour)
    return 0 if good == [True] else 1


def _say(line: str) -> None:
    print(line, flush=True)


def _serve_for(settings: Settings, environment: Mapping[str, str], work: Callable[[str], None]) -> None:
    """Serve a node as long as `work`, given its URL, runs in a thread of its own."""
    from tanglai.server import logs

    logs.configure(settings)
    app, _ = compose(settings, environment)
    done = threading.Event()

    def run(url: str) -> None:
        try:
            work(url)
        finally:
            done.set()
            server.should_exit = True

    server = Server(app, settings, on_ready=lambda url: threading.Thread(target=run, args=(url,), daemon=True).start())
    try:
        server.run()
    except SystemExit as error:
        raise StartError("the node did not start, see the log") from error
    if not done.is_set():
        raise KeyboardInterrupt


def _tokens(settings: Settings, draft: Draft) -> Callable[..., str]:
    issuer = DemoIssuer.open(settings)
    codes = {department.key: department.code for department in draft.departments}

    def token(
        department: str,
        *,
        purposes: Sequence[str],
        roles: Sequence[str],
        scopes: Sequence[str] | None,
        person: str | None,
    ) -> str:
        return issuer.issue(
            codes[department], client="tour", person=person, purposes=purposes, roles=roles, scopes=scopes
        )

    return token


def _settings(region: DemoRegion, *, port: int, **more: str) -> Settings:
    """The settings of a node of the region, before those of the caller's environment."""
    names = {name: value for name, value in region.environment().items() if name.startswith("TANGLAI_")}
    given = {name.removeprefix("TANGLAI_").lower(): value for name, value in names.items()}
    return load(**given, port=port, **more)


def _publish_once(region: DemoRegion, draft: Draft) -> None:
    """Publish the catalogue where it is new here, so that what was changed by hand since stays."""
    mark = region.state_dir / "catalogue-version"
    version = catalogue_version()
    if not mark.exists() or mark.read_text() != version:
        asyncio.run(publish(region.platform_url, draft))
        asyncio.run(open_matters(region.platform_url, datetime.now(UTC)))
        mark.write_text(version)


@contextmanager
def _running(state: Path) -> Iterator[DemoRegion]:
    """The region, started and supervised; stopped at the end."""
    region = DemoRegion(state)
    ended = threading.Event()

    def supervise() -> None:
        while not ended.wait(_SUPERVISE_SECONDS):
            for part in region.supervise():
                print(f"{part} had died and was started again", file=sys.stderr, flush=True)

    with region:
        watcher = threading.Thread(target=supervise, name="demo-supervisor", daemon=True)
        watcher.start()
        try:
            yield region
        finally:
            ended.set()
            watcher.join()
