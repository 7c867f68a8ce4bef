"""In charge of the case `start`: a fresh clone to the first answer of `make demo`, and the start of an installed one.

Bars: 180 s with an empty home and package cache, installation included; 20 s installed.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
FRESH_SECONDS = 180.0
INSTALLED_SECONDS = 20.0
ROUNDS = 3
QUERY = "{ data { population { residents(first: 1) { nodes { name idNumber } } } } }"


def run() -> dict[str, Any]:
    """Seconds from the command to the first answer; the installed start is the median of three."""
    with tempfile.TemporaryDirectory(prefix="tanglai-start-") as scratch:
        clone = Path(scratch) / "tanglai"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        home = Path(scratch) / "home"
        home.mkdir()
        environment = {
            **{k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH", "XDG_CACHE_HOME")},
            "HOME": str(home),
            "PIP_CACHE_DIR": str(home / "pip"),
        }
        fresh = _measure(clone, environment)
        installed = sorted(_measure(clone, environment) for _ in range(ROUNDS))
    median = installed[ROUNDS // 2]
    return {
        "fresh_seconds": round(fresh, 1),
        "installed_seconds": round(median, 1),
        "installed_range": [round(installed[0], 1), round(installed[-1], 1)],
        "met": fresh <= FRESH_SECONDS and median <= INSTALLED_SECONDS,
    }


def _measure(clone: Path, environment: Mapping[str, str]) -> float:
    port = free_port()
    began = time.monotonic()
    with _demo(clone, environment, port) as process:
        _wait_ready(process, port)
        first_answer(f"http://127.0.0.1:{port}")
        return time.monotonic() - began


@contextlib.contextmanager
def _demo(clone: Path, environment: Mapping[str, str], port: int) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        ["make", "demo", f"PORT={port}"],
        cwd=clone,
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_ready(process: subprocess.Popen[str], port: int) -> None:
    assert process.stdout is not None
    seen: list[str] = []
    for line in process.stdout:
        seen.append(line)
        if f"ready http://127.0.0.1:{port}" in line:
            return
    raise RuntimeError("the demo did not start:\n" + "".join(seen[-20:]))


def first_answer(url: str) -> None:
    """Does what the workbench does first: fetch a token, run a query. Raises RuntimeError for a wrong answer."""
    session = _request(f"{url}/demo/session")
    token = _request(f"{url}/demo/token", session["default"])["token"]
    answer = _request(f"{url}/graphql", {"query": QUERY}, token)
    if not answer["data"]["data"]["population"]["residents"]["nodes"]:
        raise RuntimeError(f"the first answer is empty: {answer}")


def _request(url: str, body: Any = None, token: str | None = None) -> Any:
    headers = {"Accept": "application/json"}
    if body is not None:
        headers["Content-Type"] = "application/json"
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    data = json.dumps(body).encode() if body is not None else None
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=30) as response:
        return json.load(response)


def free_port() -> int:
    """A port of 127.0.0.1 that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
