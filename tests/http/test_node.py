"""A node put together: real platform database, replica, audit log, gateway, tokens; asked over HTTP."""

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tanglai.server.compose import KEY_FILE, compose
from tanglai.server.issuer import DemoIssuer
from tanglai.server.serve import Server, StartError, serve
from tanglai.server.settings import Settings
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.embedded import EmbeddedPostgres
from tanglai.storage.migrate import upgrade
from tanglai.storage.publishing import CatalogueChange
from tests.catalogues import CATEGORIES, DEPARTMENTS, DIVISIONS, PUBLIC_SECURITY, PURPOSES

KEY = base64.b64encode(bytes(range(32))).decode()


async def publish(url: str) -> None:
    await upgrade(url)
    async with await PlatformDatabase.open(url) as database:
        await database.publish(
            CatalogueChange(
                by="test",
                divisions=DIVISIONS,
                departments=DEPARTMENTS,
                purposes=PURPOSES,
                categories=CATEGORIES,
            )
        )


class Asker:
    def __init__(self, url: str, token: str) -> None:
        self.url, self.token = url, token

    def get(self, path: str, **headers: str) -> tuple[int, bytes]:
        request = urllib.request.Request(self.url + path, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=20) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def ask(self, query: str) -> Any:
        request = urllib.request.Request(
            self.url + "/graphql",
            json.dumps({"query": query}).encode(),
            {"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"},
        )
        with urllib.request.urlopen(request, timeout=20) as response:
            return json.loads(response.read())


@contextmanager
def node(settings: Settings) -> Iterator[Asker]:
    app, _ = compose(settings, {})
    urls: list[str] = []
    started = threading.Event()

    def ready(url: str) -> None:
        urls.append(url)
        started.set()

    server = Server(app, settings, on_ready=ready)

    def run() -> None:
        try:
            server.run()
        finally:
            started.set()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert started.wait(60)
        token = DemoIssuer.open(settings).issue(PUBLIC_SECURITY.code, client="desk", purposes=["assistance"])
        yield Asker(urls[0], token)
    finally:
        server.should_exit = True
        thread.join(30)


async def test_a_node_answers(database: str, tmp_path: Path) -> None:
    await publish(database)
    settings = Settings(port=0, database_url=database, key=KEY, state_dir=tmp_path, demo_issuer=True)

    def work() -> None:
        with node(settings) as asker:
            answer = asker.ask("{ me { department { key } client } }")
            assert answer["data"] == {"me": {"department": {"key": "public-security"}, "client": "desk"}}
            assert "errors" not in answer
            assert asker.get("/readyz")[0] == 200
            status, sdl = asker.get("/schema.graphql", Authorization=f"Bearer {asker.token}")
            assert (status, b"type Query {" in sdl) == (200, True)
            assert asker.get("/schema.graphql")[0] == 401

    await asyncio.to_thread(work)


async def test_keys_outlive_a_restart(database: str, tmp_path: Path) -> None:
    """The keys of cursors are in the database, sealed under the node's key."""
    await publish(database)
    settings = Settings(port=0, database_url=database, key=KEY, state_dir=tmp_path, demo_issuer=True)
    for _ in range(2):
        assert await asyncio.to_thread(_visit, settings) == 200
    connection = await asyncpg.connect(database)
    try:
        assert await connection.fetchval("SELECT count(DISTINCT name) FROM key_store") == 2
        assert await connection.fetchval("SELECT count(*) FROM key_store") == 2
    finally:
        await connection.close()


def _visit(settings: Settings) -> int:
    with node(settings) as asker:
        return asker.get("/readyz")[0]


def serving(settings: Settings) -> None:
    app, observations = compose(settings, {})
    serve(app, settings, observations)


async def test_another_key_does_not_start(database: str, tmp_path: Path) -> None:
    await publish(database)
    first = Settings(port=0, database_url=database, key=KEY, state_dir=tmp_path, demo_issuer=True)
    assert await asyncio.to_thread(_visit, first) == 200
    other = base64.b64encode(bytes(32)).decode()
    second = Settings(port=0, database_url=database, key=other, state_dir=tmp_path, demo_issuer=True)
    with pytest.raises(StartError, match="sealed under another master key"):
        await asyncio.to_thread(serving, second)


async def test_no_database(tmp_path: Path) -> None:
    url = "postgresql://nobody:hidden@127.0.0.1:1/nothing"
    settings = Settings(port=0, database_url=url, key=KEY, state_dir=tmp_path, demo_issuer=True)
    with pytest.raises(StartError, match="the platform database") as caught:
        await asyncio.to_thread(serving, settings)
    assert "hidden" not in str(caught.value)


def test_who_asks_must_be_known(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="TANGLAI_JWKS"):
        compose(Settings(state_dir=tmp_path, key=KEY), {})
    with pytest.raises(StartError, match="TANGLAI_KEY"):
        compose(Settings(state_dir=tmp_path, database_url="postgresql://db/x", demo_issuer=True), {})
    compose(Settings(state_dir=tmp_path, key=KEY, jwks=str(tmp_path / "jwks.json"), issuer="x"), {})


def _pid(postmaster: Path) -> int | None:
    try:
        return int(postmaster.read_text().split()[0])
    except (OSError, IndexError, ValueError):  # not there, or being written
        return None


def test_the_embedded_database(tmp_path: Path) -> None:
    """One process with nothing given; its database is started again when it dies, and ends with it."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("TANGLAI_")},
        "TANGLAI_STATE_DIR": str(tmp_path / "state"),
        "TANGLAI_PORT": "0",
        "TANGLAI_DEMO_ISSUER": "1",
    }
    child = subprocess.Popen(
        [sys.executable, "-c", "from tanglai.cli import app; app()", "serve"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout is not None
        ready = child.stdout.readline().split()
        assert ready[:1] == ["ready"], child.communicate()[1]
        asker = Asker(ready[1], "")
        assert asker.get("/readyz")[0] == 200
        assert (tmp_path / "state" / KEY_FILE).stat().st_mode & 0o777 == 0o600
        postmaster = tmp_path / "state" / "platform" / "cluster" / "postmaster.pid"
        first = _pid(postmaster)
        assert first is not None
        os.kill(first, signal.SIGKILL)
        for _ in range(400):
            if _pid(postmaster) not in (None, first) and asker.get("/readyz")[0] == 200:
                break
            time.sleep(0.05)
        assert _pid(postmaster) != first
        assert asker.get("/readyz")[0] == 200
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=30)
    finally:
        child.kill()
        child.communicate()
    with EmbeddedPostgres(tmp_path / "state" / "platform") as again:  # the folder was given back
        assert again.alive()
