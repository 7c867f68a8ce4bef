"""In charge of the demo region as running parts: the departments' systems, their data, and the platform's database."""

import base64
import contextlib
import json
import os
import random
import secrets
import shlex
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from demo.data import load
from demo.data.world import World
from tanglai.storage.embedded import DEFAULT_DATABASE, DataFolderInUse, EmbeddedPostgres, EmbeddedPostgresError

CATALOGUE = Path(__file__).parent / "catalogue"
"""Folder of the region's catalogue: departments, divisions, purposes, categories, sources, resources, grants."""

ENVIRONMENT_FILE = "env"
"""File of the state folder with the environment for commands, one `NAME=value` a line, quoted for a shell."""

_INTERFACE_SECONDS = 60.0
# The data are generated: after a crash of the machine they are generated again (`make demo-reset`).
_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass(frozen=True)
class _Secrets:
    """What is drawn once per state folder and kept there (mode 0600)."""

    platform_key: str
    interface_key: str
    readers: Mapping[str, str]

    @classmethod
    def draw(cls) -> "_Secrets":
        return cls(
            base64.b64encode(secrets.token_bytes(32)).decode(),
            secrets.token_urlsafe(24),
            {database.name: secrets.token_urlsafe(24) for database in load.DATABASES},
        )


class DemoRegionError(RuntimeError):
    """The demo region cannot run; the message says why, for a person at a terminal."""


class DemoRegion:
    """The departments' systems and the platform's database, all below `state_dir`, all on loopback.

    `start` makes what is missing and returns when every part takes connections; `stop` stops them all. `supervise`
    starts a part that died again, at the same address. Parts die with this process, whichever way it dies. Data are
    kept between starts and generated anew where their generators changed; the platform's database is never touched
    here. As a context manager it is started on entry and stopped on exit. Raises DemoRegionError.
    """

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir.absolute()
        self.files_dir = self.state_dir / "files"
        self.platform = EmbeddedPostgres(self.state_dir / "platform")
        self.departments = EmbeddedPostgres(self.state_dir / "departments", settings=_FAST)
        self._secrets: _Secrets | None = None
        self._interface: subprocess.Popen[bytes] | None = None
        self._interface_port = 0
        self._running = False
        self._mutex = threading.RLock()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def platform_url(self) -> str:
        """URL of the platform's database, for TANGLAI_DATABASE_URL."""
        return self.platform.url()

    @property
    def interface_url(self) -> str:
        """Address of the vehicle interface."""
        return f"http://127.0.0.1:{self._interface_port}"

    def prepare(self) -> bool:
        """Bring the departments' data to what this code generates; True where they had to be made.

        Starts the departments' database server. A load that was interrupted is begun again.
        """
        with self._mutex:
            try:
                self.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
                secret = self._load_secrets()
                self.departments.start()
                mark = self.state_dir / "data-version"
                wanted = load.version()
                if mark.exists() and mark.read_text() == wanted:
                    return False
                mark.unlink(missing_ok=True)
                load.load_all(World(), self.departments.url(), secret.readers, self.files_dir)
                _write(mark, wanted)
            except DataFolderInUse as error:
                raise DemoRegionError(f"the demo region of `{self.state_dir}` is running already") from error
            except (OSError, EmbeddedPostgresError) as error:
                raise DemoRegionError(f"cannot prepare the demo region: {error}") from error
            return True

    def start(self) -> None:
        """Start every part, data first; nothing happens to parts that run."""
        with self._mutex:
            self._running = True
            try:
                # The platform's server makes its cluster while the data are generated.
                with ThreadPoolExecutor(1) as pool:
                    starting = pool.submit(self.platform.start)
                    self.prepare()
                    starting.result()
                self._start_interface()
                self._write_environment()
            except EmbeddedPostgresError as error:
                self.stop()
                raise DemoRegionError(f"cannot start the platform's database: {error}") from error
            except BaseException:
                self.stop()
                raise

    def environment(self) -> dict[str, str]:
        """Environment of a server of this region, after `start`: its database and key, and access to every source."""
        secret = self._load_secrets()
        environment = {
            "TANGLAI_DATABASE_URL": self.platform_url,
            "TANGLAI_KEY": secret.platform_key,
            "TANGLAI_STATE_DIR": str(self.state_dir),
            "TANGLAI_DEMO_ISSUER": "1",
            "DEMO_FILES_HEALTH": str(self.files_dir / "health"),
            "DEMO_FILES_MARKET_REGULATION": str(self.files_dir / "market-regulation"),
            "DEMO_VEHICLES_URL": self.interface_url,
            "DEMO_VEHICLES_KEY": secret.interface_key,
        }
        place = self.departments.url().rpartition("@")[2].partition("/")[0]
        for database in load.DATABASES:
            password = quote(secret.readers[database.name], safe="")
            url = f"postgresql://{database.reader}:{password}@{place}/{database.name}"
            environment[f"DEMO_{database.name.upper()}_URL"] = url
        return environment

    def renew_platform(self) -> None:
        """Forget the catalogue, the grants and the log: an empty platform database. The region runs."""
        self.platform.drop_database(DEFAULT_DATABASE)
        self.platform.create_database(DEFAULT_DATABASE)

    def supervise(self) -> list[str]:
        """Start again what died; the names of the parts that had to be (`platform`, `departments`, `interface`).

        To be called every second or so, from any thread, while the region runs.
        """
        with self._mutex:
            if not self._running:
                return []
            restarted: list[str] = []
            for name, server in (("platform", self.platform), ("departments", self.departments)):
                with contextlib.suppress(EmbeddedPostgresError):  # the next call tries again
                    if server.ensure_running():
                        restarted.append(name)
            if self._interface is None or self._interface.poll() is not None:
                with contextlib.suppress(DemoRegionError):
                    self._start_interface()
                    restarted.append("interface")
            return restarted

    def stop(self) -> None:
        """Stop every part; afterwards nothing of the region runs."""
        with self._mutex:
            self._running = False
            self._stop_interface()
            self.departments.stop()
            self.platform.stop()

    def reset(self) -> None:
        """Stop and forget everything: data, secrets, the platform's database. Refused while another process runs it."""
        with self._mutex:
            self.stop()
            for folder in (self.state_dir, self.state_dir / "tour"):
                if (folder / "departments").exists():
                    server = EmbeddedPostgres(folder / "departments", settings=_FAST)
                    try:
                        server.start()
                    except DataFolderInUse as error:
                        raise DemoRegionError(f"the demo region of `{folder}` is running: stop it first") from error
                    except EmbeddedPostgresError:
                        pass  # broken, which is why somebody resets it
                    finally:
                        server.stop()
            shutil.rmtree(self.state_dir, ignore_errors=True)
            self._secrets = None

    def _write_environment(self) -> None:
        # For `tanglai` commands beside the demo; they find the embedded database by its folder, running or not.
        environment = self.environment()
        del environment["TANGLAI_DATABASE_URL"]
        lines = [f"{name}={shlex.quote(value)}\n" for name, value in environment.items()]
        _write(self.state_dir / ENVIRONMENT_FILE, "".join(lines))

    def _load_secrets(self) -> _Secrets:
        if self._secrets is None:
            path = self.state_dir / "secrets.json"
            if path.exists():
                self._secrets = _Secrets(**json.loads(path.read_text()))
            if self._secrets is None or set(self._secrets.readers) != {database.name for database in load.DATABASES}:
                drawn = _Secrets.draw()
                kept = self._secrets or drawn  # the platform's key seals what its database holds: it outlives the rest
                self._secrets = _Secrets(kept.platform_key, kept.interface_key, drawn.readers)
                _write(path, json.dumps(asdict(self._secrets)))
                (self.state_dir / "data-version").unlink(missing_ok=True)
            _write(self.state_dir / "interface.key", self._secrets.interface_key)
        return self._secrets

    def _start_interface(self) -> None:
        if self._interface is not None and self._interface.poll() is None:
            return
        self._stop_interface()
        self._interface_port = self._interface_port or _free_port()
        command = [sys.executable, "-m", "demo.interface", "--until-input-ends"]
        command += ["--data", str(self.files_dir / "public-security" / load.VEHICLES_JSON)]
        command += ["--key-file", str(self.state_dir / "interface.key"), "--port", str(self._interface_port)]
        log = (self.state_dir / "interface.log").open("ab")
        with log:
            process = subprocess.Popen(
                command,
                cwd=Path(__file__).parent.parent,
                stdin=subprocess.PIPE,  # ends with this process, and the interface with it
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the server, which drains first
            )
        self._interface = process
        assert process.stdout is not None
        timer = threading.Timer(_INTERFACE_SECONDS, process.kill)
        timer.start()
        try:
            ready = process.stdout.readline()
        finally:
            timer.cancel()
        if not ready.startswith(b"ready "):
            self._stop_interface()
            raise DemoRegionError(f"the vehicle interface did not start, see `{self.state_dir / 'interface.log'}`")

    def _stop_interface(self) -> None:
        process = self._interface
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
        self._interface = None


def _free_port() -> int:
    # Below the range from which outgoing connections are numbered, so that a restart finds it free again.
    for _ in range(100):
        port = random.randrange(15432, 32768)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise DemoRegionError("no port of 127.0.0.1 is free")


def _write(path: Path, text: str) -> None:
    """Replace the file at once, readable by its owner only."""
    fresh = path.with_name(path.name + ".new")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    fresh.replace(path)
