"""In charge of the embedded PostgreSQL: a server in one folder, for a laptop, the demo, the tests, the benchmarks."""

import fcntl
import json
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from tanglai.storage import embedded_process
from tanglai.storage.embedded_binaries import Binaries, PrivateCopy, reachable, wheel_binaries
from tanglai.storage.embedded_process import (
    SERVER_UID,
    DataFolderInUse,
    EmbeddedPostgresError,
    User,
    Watchdog,
    clear_leftovers,
    give,
    launch,
    run,
    server_user,
    setup_user,
)

__all__ = ["DEFAULT_DATABASE", "SERVER_UID", "DataFolderInUse", "EmbeddedPostgres", "EmbeddedPostgresError"]

DEFAULT_DATABASE = "tanglai"
"""The database that exists in every embedded server."""

_HOST = "127.0.0.1"
# Below the ranges from which Linux and macOS number outgoing connections: while a server is down, a client that keeps
# trying a port in such a range may be given that very port and connect to itself, and the server cannot come back on
# it.
_PORTS = range(15432, 32768)
_PORT_TRIES = 20
_NAME_BYTES = 63
_LOG_BYTES = 8 << 20
_READY_SECONDS = 120.0
_STOP_SECONDS = 60.0
_LEFTOVER_SECONDS = 8.0  # a server whose supervisor died kills its backends after 5
_DEFAULTS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "timezone": "UTC",  # else initdb takes the machine's, and the same data print differently elsewhere
    "log_timezone": "UTC",
}
_OURS = {"listen_addresses": _HOST, "unix_socket_directories": "", "logging_collector": "off"}
_FORBIDDEN = frozenset({*_OURS, "port", "data_directory", "config_file", "hba_file", "external_pid_file"})
_PORT_TAKEN = "Address already in use"
_LEFTOVER = ('lock file "postmaster.pid" already exists', "pre-existing shared memory block")


@dataclass(frozen=True)
class _Connection:
    """What `connection.json` keeps; `port` is None until the first start is complete, default database included."""

    superuser: str
    password: str
    port: int | None = None


class EmbeddedPostgres:
    """A PostgreSQL server, supervised by this process, whose data, log and password lie in `data_dir` and nowhere else.

    `data_dir` is made where missing. It holds `cluster/` (PostgreSQL's data folder), `connection.json` (mode 0600:
    superuser, password, port), `server.log` and `lock`. Started by root, the server and `cluster/` belong to the owner
    of `cluster/`, at first `SERVER_UID`; folders above need not be open to that user.

    The server listens on loopback TCP only, passwords are checked by SCRAM, text is UTF-8 in the builtin locale
    C.UTF-8. It dies with this process, whichever way that dies. Commits are durable unless `settings` say otherwise
    (`settings` are server parameters by name; those that the supervisor needs for itself are refused).

    `port` 0 takes the port of the last start where it is still free, else any free one. Every method may be called from
    any thread; all errors are `EmbeddedPostgresError`. A stopped server can be started again. As a context manager it
    is started on entry and stopped on exit.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int = 0,
        superuser: str = "tanglai",
        settings: Mapping[str, str] | None = None,
    ) -> None:
        refused = sorted(_FORBIDDEN & {name.lower() for name in settings or {}})
        if refused:
            raise EmbeddedPostgresError(f"setting `{refused[0]}` of the embedded server belongs to its supervisor")
        self.data_dir = data_dir.absolute()
        self._cluster = self.data_dir / "cluster"
        self._wanted_port = port
        self._superuser = superuser
        self._settings = _DEFAULTS | {name.lower(): value for name, value in (settings or {}).items()}
        self._mutex = threading.RLock()
        self._lock: int | None = None
        self._user: User | None = None
        self._binaries: Binaries | None = None
        self._major = 0
        self._copy: PrivateCopy | None = None
        self._connection: _Connection | None = None
        self._server: subprocess.Popen[bytes] | None = None
        self._watchdog: Watchdog | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int | None:
        """The server's process id; None when it does not run."""
        server = self._server
        return server.pid if server is not None and server.poll() is None else None

    @property
    def port(self) -> int:
        """The TCP port of the server that runs, or ran last, in this folder, this object's or another process's."""
        connection = self._connection or self._read_connection()
        if connection is None or connection.port is None:
            raise EmbeddedPostgresError(f"no server was ever started in data folder `{self.data_dir}`")
        return connection.port

    def url(self, database: str = DEFAULT_DATABASE) -> str:
        """`postgresql://user:password@127.0.0.1:port/database` of the server that runs, or ran last, in this folder.

        It changes only where `start` or `ensure_running` found the port taken.
        """
        port = self.port
        connection = self._connection or self._read_connection()
        assert connection is not None
        credentials = f"{quote(connection.superuser, safe='')}:{quote(connection.password, safe='')}"
        return f"postgresql://{credentials}@{_HOST}:{port}/{quote(database, safe='')}"

    def alive(self) -> bool:
        """Whether the server process of this object runs; a dead one is reaped."""
        return self.pid is not None

    def start(self) -> None:
        """Start the server, making its data first where there are none, and return when it takes connections.

        Nothing happens where it runs already. Raises `DataFolderInUse` where another server has the folder, and
        `EmbeddedPostgresError` where the programs do not exist here, the given port is taken, the data come from
        another major version, or disk or permissions do not allow it.
        """
        with self._mutex:
            if self.alive():
                return
            if sys.platform == "win32":
                raise EmbeddedPostgresError(
                    "the embedded server does not run on Windows: use PostgreSQL in WSL or a container"
                )
            try:
                self._take_folder()
                connection = self._prepare()
                self._serve(self._wanted_port or connection.port, may_move=not self._wanted_port)
                if connection.port is None:
                    self.create_database(DEFAULT_DATABASE)
                self._write_connection()
            except OSError as error:
                self.stop()
                place = f" (`{error.filename}`)" if error.filename else ""
                raise EmbeddedPostgresError(
                    f"cannot use data folder `{self.data_dir}`: {error.strerror or error}{place}"
                ) from error
            except BaseException:
                self.stop()
                raise

    def ensure_running(self) -> bool:
        """Start the server again where it died, on the same port, so that URLs stay valid; True where that was needed.

        Where the port was taken meanwhile it moves to another, and `url` says so. Backends that the dead server left
        are ended; committed data are there. Raises as `start`; may be called again after an error.
        """
        with self._mutex:
            if self.alive():
                return False
            if self._server is None or self._lock is None:
                self.start()
                return True
            try:
                self._serve(self.port, may_move=True)
                self._write_connection()
            except OSError as error:
                raise EmbeddedPostgresError(
                    f"the server could not be started again: {error.strerror or error}"
                ) from error
            return True

    def stop(self) -> None:
        """Stop the server, ending its sessions and saving its data; afterwards nothing of it is left but `data_dir`."""
        with self._mutex:
            if self._server is not None:
                self._end(self._server, signal.SIGINT)
                if self._server.returncode < 0:
                    self._settle()
                self._server = None
            self._connection = None
            if self._copy is not None:
                self._copy.close()
                self._copy = None
            if self._lock is not None:
                os.close(self._lock)
                self._lock = None

    def leave_to_parent(self) -> None:
        """In a process forked from this one: let go of the folder, which with the server stays the parent's."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def kill(self) -> None:
        """Kill the server as a crash would (SIGKILL) and reap it; for tests."""
        with self._mutex:
            if self._server is not None:
                self._end(self._server, signal.SIGKILL)

    def create_database(self, name: str) -> None:
        """Make database `name` (at most 63 bytes) where it does not exist."""
        if not 0 < len(name.encode()) <= _NAME_BYTES or "\0" in name:
            raise EmbeddedPostgresError(f"a database name has 1 to {_NAME_BYTES} bytes: `{name}`")
        exists = "SELECT FROM pg_database WHERE datname = :'name'"
        error = self._sql(f"SELECT format('CREATE DATABASE %I', :'name') WHERE NOT EXISTS ({exists}) \\gexec", name)
        # Another session may have made it between the question and the answer.
        if error and self._sql(f"SELECT 1 / count(*) FROM ({exists}) found", name):
            raise EmbeddedPostgresError(f"cannot make database `{name}`: {error}")

    def drop_database(self, name: str) -> None:
        """Remove database `name` where it exists, ending the sessions that use it."""
        if error := self._sql('DROP DATABASE IF EXISTS :"name" WITH (FORCE)', name):
            raise EmbeddedPostgresError(f"cannot drop database `{name}`: {error}")

    def _sql(self, statement: str, name: str) -> str | None:
        # By psql, so that a caller needs no event loop. None, or what went wrong.
        connection = self._connection
        if connection is None or not self.alive():
            raise EmbeddedPostgresError("the server does not run")
        done = subprocess.run(
            [
                wheel_binaries().program("psql"),
                "-X",
                "-q",
                "-A",
                "-t",
                "-w",
                "-v",
                "ON_ERROR_STOP=1",
                "-v",
                f"name={name}",
            ],
            input=statement.encode(),
            capture_output=True,
            env={
                "PATH": os.defpath,
                "LC_ALL": "C",
                "PGHOST": _HOST,
                "PGPORT": str(self.port),
                "PGUSER": connection.superuser,
                "PGPASSWORD": connection.password,
                "PGDATABASE": "postgres",
                "PGSSLMODE": "disable",
                "PGCLIENTENCODING": "UTF8",
            },
        )
        return done.stderr.decode(errors="replace").strip() or "psql failed" if done.returncode else None

    def _take_folder(self) -> None:
        if self._lock is not None:
            return
        self.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        if os.geteuid() == 0 and not embedded_process.LINUX:
            self.data_dir.chmod(0o711)  # no /proc: the server's user has to walk to its folder
        lock = self._open("lock", os.O_RDWR)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(lock, 32).decode(errors="replace").strip()
            os.close(lock)
            raise DataFolderInUse(
                f"data folder `{self.data_dir}` is in use by another running server (of process {holder or 'unknown'})"
            ) from None
        os.ftruncate(lock, 0)
        os.write(lock, f"{os.getpid()}\n".encode())
        self._lock = lock

    def _prepare(self) -> _Connection:
        self._user = server_user(self._cluster)
        if self._copy is None:
            self._binaries, self._major, self._copy = reachable(self._user)
        connection = self._read_connection()
        if not self._cluster.exists():
            connection = self._make_cluster()
        found = (self._cluster / "PG_VERSION").read_text().strip()
        if found != str(self._major):
            raise EmbeddedPostgresError(
                f"data folder `{self.data_dir}` was made by PostgreSQL {found}, the programs here are PostgreSQL "
                f"{self._major}: dump it with {found} and load it into a new folder, or empty it"
            )
        if connection is None:
            raise EmbeddedPostgresError(f"the password of data folder `{self.data_dir}` is gone (`connection.json`)")
        if connection.superuser != self._superuser:
            raise EmbeddedPostgresError(
                f"data folder `{self.data_dir}` has superuser `{connection.superuser}`, not `{self._superuser}`"
            )
        if self._user is not None and self._cluster.stat().st_uid != self._user.uid:
            give(self._cluster, self._user)
        self._connection = connection
        return connection

    def _make_cluster(self) -> _Connection:
        # Made aside and renamed when complete, so that a start that was interrupted leaves nothing half made.
        assert self._binaries is not None
        unfinished = self.data_dir / "cluster.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        connection = _Connection(self._superuser, secrets.token_urlsafe(24))
        maker = setup_user()
        if maker is not None:
            give(unfinished, maker)
        status, output = run(
            [
                self._binaries.program("initdb"),
                *("-D", _data_argument(unfinished)),
                *("--username", self._superuser),
                *("--auth", "scram-sha-256", "--pwfile", "/dev/stdin"),
                # lc-ctype still decides what pg_trgm and text search take for a letter; macOS has no C.UTF-8.
                *("--encoding", "UTF8", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
                *("--locale", "C", "--lc-ctype", "en_US.UTF-8" if sys.platform == "darwin" else "C.UTF-8"),
                "--no-instructions",
                *(["--no-sync"] if self._settings["fsync"] == "off" else []),
            ],
            folder=unfinished,
            user=maker,
            stdin=f"{connection.password}\n".encode(),
        )
        if status != 0:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise EmbeddedPostgresError(f"cannot make a database in `{self.data_dir}`: {_summary(output)}")
        if self._user is not None:
            give(unfinished, self._user)
        self._connection = connection
        self._write_connection()
        unfinished.rename(self._cluster)
        return connection

    def _serve(self, port: int | None, *, may_move: bool) -> None:
        deadline = time.monotonic() + _LEFTOVER_SECONDS
        port = port or _free_port()
        for _ in range(_PORT_TRIES):
            trouble = self._try_port(port, deadline)
            if trouble is None:
                assert self._connection is not None
                self._connection = replace(self._connection, port=port)
                return
            if _PORT_TAKEN not in trouble:
                raise EmbeddedPostgresError(f"the server did not start: {trouble}")
            if not may_move:
                raise EmbeddedPostgresError(f"port `{port}` of {_HOST} is taken")
            port = _free_port()
        raise EmbeddedPostgresError(f"every port of {_HOST} that was tried is taken")

    def _try_port(self, port: int, deadline: float) -> str | None:
        # None when the server is ready, else what it said. What a dead server left is gone by the deadline.
        while True:
            clear_leftovers(self._cluster, seconds=deadline - time.monotonic())
            trouble = self._spawn(port)
            if trouble is None or not any(sign in trouble for sign in _LEFTOVER):
                return trouble
            if time.monotonic() > deadline:
                raise DataFolderInUse(f"data folder `{self.data_dir}` is in use by another running server: {trouble}")
            time.sleep(0.1)

    def _spawn(self, port: int) -> str | None:
        log_path = self.data_dir / "server.log"
        if log_path.exists() and log_path.stat().st_size > _LOG_BYTES:
            log_path.replace(self.data_dir / "server.log.1")
        with open(self._open("server.log", os.O_RDWR | os.O_APPEND), "r+b", buffering=0) as log:
            before = log.seek(0, os.SEEK_END)
            server = launch(
                self._command(port),
                folder=self._cluster,
                user=self._user,
                death_signal=signal.SIGQUIT,
                stdin=subprocess.DEVNULL,
                output=log,
            )
            try:
                self._server = server
                if not embedded_process.LINUX:
                    self._watchdog = Watchdog('kill -QUIT "$0"', str(server.pid))
                if self._wait_ready(server):
                    return None
            except BaseException:
                self._end(server, signal.SIGQUIT)
                raise
            self._end(server, signal.SIGQUIT)
            log.seek(before)
            return _summary(log.read().decode(errors="replace"))

    def _wait_ready(self, server: subprocess.Popen[bytes]) -> bool:
        deadline = time.monotonic() + _READY_SECONDS
        pid_file = self._cluster / "postmaster.pid"
        while server.poll() is None:
            try:
                lines = pid_file.read_text().splitlines()
            except FileNotFoundError:
                lines = []
            if len(lines) > 7 and lines[0] == str(server.pid) and lines[7].strip() == "ready":
                return True
            if time.monotonic() > deadline:
                raise EmbeddedPostgresError(
                    f"the server was not ready within {_READY_SECONDS:.0f} s, see `{self.data_dir / 'server.log'}`"
                )
            time.sleep(0.005)
        return False

    def _end(self, server: subprocess.Popen[bytes], how: signal.Signals) -> None:
        server.send_signal(how)
        if self._watchdog is not None:
            # INVARIANT: before the server is reaped, while its number cannot be another process's.
            self._watchdog.dismiss()
            self._watchdog = None
        for harder in (signal.SIGQUIT, signal.SIGKILL):
            try:
                server.wait(_STOP_SECONDS)
                return
            except subprocess.TimeoutExpired:
                server.send_signal(harder)
        server.wait()

    def _settle(self) -> None:
        # A killed server leaves shared memory behind, which the next start finds and frees: so do one, and end it well.
        try:
            self._serve(None, may_move=True)
        except (OSError, EmbeddedPostgresError):
            return  # the data are as the crash left them; the next start recovers them, or says why not
        assert self._server is not None
        self._end(self._server, signal.SIGINT)

    def _command(self, port: int) -> list[str | Path]:
        assert self._binaries is not None
        title = {"cluster_name": self.data_dir.name}  # tells several servers apart in ps
        settings = title | self._settings | _OURS | {"port": str(port)}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [self._binaries.program("postgres"), "-D", _data_argument(self._cluster), *options]

    def _open(self, name: str, flags: int) -> int:
        descriptor = os.open(self.data_dir / name, flags | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        if os.geteuid() == 0:
            # An ordinary user's folder stays theirs to use when root has started the server once.
            owner = self.data_dir.stat()
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        return descriptor

    def _read_connection(self) -> _Connection | None:
        path = self.data_dir / "connection.json"
        try:
            return _Connection(**json.loads(path.read_text()))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise EmbeddedPostgresError(f"cannot read `{path}`: {error.strerror}") from error
        except (TypeError, ValueError) as error:
            raise EmbeddedPostgresError(f"`{path}` is not what this program wrote") from error

    def _write_connection(self) -> None:
        assert self._connection is not None
        with open(self._open("connection.json.new", os.O_WRONLY | os.O_TRUNC), "w") as file:
            json.dump(asdict(self._connection), file)
            file.flush()
            os.fsync(file.fileno())
        (self.data_dir / "connection.json.new").replace(self.data_dir / "connection.json")


def _data_argument(cluster: Path) -> str:
    # The server works in its data folder, where it was put by whoever may enter the folders above; by this name it
    # reaches the folder without walking through those, and no character of their names can disturb it.
    return "/proc/self/cwd" if embedded_process.LINUX else str(cluster)


def _free_port() -> int:
    for _ in range(100):
        port = random.SystemRandom().choice(_PORTS)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((_HOST, port))
            except OSError:
                continue
            return port
    raise EmbeddedPostgresError(f"no free port on {_HOST}")


def _summary(output: str) -> str:
    # The lines that say why, without dates; all of it where no line looks like that.
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    telling = [
        line[position:]
        for line in lines
        for sign in ("PANIC:", "FATAL:", "ERROR:", "DETAIL:", "HINT:", "could not bind", "error:", "cannot ")
        if (position := line.find(sign)) >= 0
    ]
    return "; ".join(dict.fromkeys(telling or lines[-3:])) or "no message"
