"""In charge of the case `freshness`: a grant suspended in one process, and when four nodes under load stop using it.

Bar (authorization.md, Freshness): a request that starts one second after the suspension was committed gets no row.
"""

import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.start import free_port
from demo.region import CATALOGUE, DemoRegion
from tanglai.catalogue.model import GrantState
from tanglai.storage.database import PlatformDatabase

GRANT = "G-2026-011"
DEPARTMENT, PURPOSE = "social-security", "PENSION-VERIFICATION"
QUERY = (
    """{ data { population { residents(first: 20, where: {division: {startsWith: "6401"}}) { nodes { phone } } } } }"""
)
NODES = 4
ROUNDS = 10
BAR_SECONDS = 1.0


def run() -> dict[str, Any]:
    """For each suspension: how long after its commit the last request began that still got a phone number."""
    with tempfile.TemporaryDirectory(prefix="tanglai-freshness-") as scratch, DemoRegion(Path(scratch)) as region:
        environment = {**os.environ, **region.environment(), "TANGLAI_DEMO_ISSUER": "1"}
        tanglai = str(Path(sys.executable).parent / "tanglai")
        subprocess.run(
            [tanglai, "catalogue", "import", str(CATALOGUE)], env=environment, check=True, capture_output=True
        )
        command = [tanglai, "token", "--department", DEPARTMENT, "--purpose", PURPOSE]
        token = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()
        ports = [free_port() for _ in range(NODES)]
        servers = [
            subprocess.Popen(
                [tanglai, "serve", "--port", str(port)],
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for port in ports
        ]
        try:
            clients = [_Client(f"http://127.0.0.1:{port}/graphql", token) for port in ports]
            for client in clients:
                client.wait()
            lags = asyncio.run(_rounds(region.platform_url, clients))
        finally:
            for server in servers:
                server.terminate()
            for server in servers:
                server.wait(timeout=30)
    return {
        "nodes": NODES,
        "suspensions_seen": len(lags),
        "median_seconds": round(statistics.median(lags), 3),
        "worst_seconds": round(max(lags), 3),
        "bar_seconds": BAR_SECONDS,
        "met": max(lags) < BAR_SECONDS,
    }


async def _rounds(url: str, clients: "list[_Client]") -> list[float]:
    lags: list[float] = []
    async with await PlatformDatabase.open(url) as database:
        for _ in range(ROUNDS):
            with contextlib.ExitStack() as stack:
                for client in clients:
                    stack.enter_context(client)
                await asyncio.sleep(0.5)
                await database.set_grant_state(GRANT, GrantState.SUSPENDED, by="bench", reason="freshness")
                committed = time.monotonic()
                await asyncio.sleep(1.6)
            for client in clients:
                delivered = [began for began, got in client.asked if got]
                assert delivered, "the grant delivered nothing before the suspension"
                assert not client.asked[-1][1], "the grant still delivers"
                lags.append(max(0.0, max(delivered) - committed))
            await database.set_grant_state(GRANT, GrantState.ACTIVE, by="bench", reason="freshness")
            await asyncio.sleep(1.2)
    return lags


class _Client:
    """Asks again and again from a thread while it is entered; `asked` holds (start, whether a phone came)."""

    def __init__(self, url: str, token: str) -> None:
        self._request = (url, json.dumps({"query": QUERY}).encode(), token)
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self.asked: list[tuple[float, bool]] = []

    def ask(self) -> Mapping[str, Any]:
        url, body, token = self._request
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=10) as response:
            answer: Mapping[str, Any] = json.load(response)
            return answer

    def wait(self) -> None:
        """Until the server answers."""
        deadline = time.monotonic() + 30
        while True:
            try:
                self.ask()
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def _loop(self) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            nodes = self.ask()["data"]["data"]["population"]["residents"]["nodes"]
            self.asked.append((began, any(node["phone"] is not None for node in nodes)))

    def __enter__(self) -> "_Client":
        self.asked = []
        self._stop.clear()
        self._threads = [threading.Thread(target=self._loop) for _ in range(1)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self.asked.sort()
