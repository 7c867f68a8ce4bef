"""In charge of the system's side of the embedded PostgreSQL: users, processes, and what must not outlive us."""

import os
import pwd
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import IO

_LAUNCHER = Path(__file__).with_name("embedded_launch.py")

LINUX = sys.platform == "linux" and Path("/proc/self/cwd").exists()
"""Whether there are parent-death signals and `/proc`; elsewhere (macOS) a watchdog and plain paths take their place."""

SERVER_UID = 60711
"""User and group id of servers that root starts. PostgreSQL refuses to run as root; this number belongs to nobody: it
lies in 60578 to 61183, which neither distributions (accounts up to 60000) nor systemd (homes, containers, dynamic
users) hand out, so no other service can signal the server or read its data, and no account has to be made."""


class EmbeddedPostgresError(RuntimeError):
    """The embedded PostgreSQL cannot do what was asked; the message says why, for a person at a terminal."""


class DataFolderInUse(EmbeddedPostgresError):
    """Another running server, of this process or another, has the data folder."""


@dataclass(frozen=True)
class User:
    """A user and group id that a program is to run under."""

    uid: int
    gid: int


def server_user(cluster: Path) -> User | None:
    """The user that the server of data folder `cluster` runs under.

    For root it is the folder's owner where that is somebody else, else `SERVER_UID`; an ordinary user runs it
    themselves: None.
    """
    if os.geteuid() != 0:
        return None
    try:
        status = cluster.stat()
    except FileNotFoundError:
        return User(SERVER_UID, SERVER_UID)
    return User(status.st_uid, status.st_gid) if status.st_uid != 0 else User(SERVER_UID, SERVER_UID)


def setup_user() -> User | None:
    """The user that `initdb` runs under: it asks for one that has an account, so root borrows `nobody`'s or another."""
    if os.geteuid() != 0:
        return None
    try:
        account = pwd.getpwnam("nobody")
    except KeyError:
        others = [entry for entry in pwd.getpwall() if entry.pw_uid != 0]
        if not others:
            raise EmbeddedPostgresError(
                "this system has no account besides root, and PostgreSQL refuses to run as root"
            ) from None
        account = others[0]
    return User(account.pw_uid, account.pw_gid)


def give(tree: Path, user: User) -> None:
    """Make `user` the owner of `tree` and everything in it."""
    for folder, folders, files in os.walk(tree):
        for name in (*folders, *files):
            os.lchown(os.path.join(folder, name), user.uid, user.gid)
    os.lchown(tree, user.uid, user.gid)


def launch(
    program: Sequence[str | Path],
    *,
    folder: Path,
    user: User | None,
    death_signal: signal.Signals,
    stdin: int | IO[bytes],
    output: int | IO[bytes],
) -> subprocess.Popen[bytes]:
    """Start `program` in `folder` as `user`, in a session of its own; on Linux it gets `death_signal` when we die.

    `output` takes standard output and error. May be called from any thread, also one that ends before the program.
    """
    identity = (-1, -1) if user is None else (user.uid, user.gid)
    arguments = (os.getpid(), int(death_signal) if LINUX else 0, *identity, *program)
    command = [sys.executable, "-I", "-S", str(_LAUNCHER), *map(str, arguments)]

    def spawn() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            cwd=folder,
            env={"PATH": os.defpath, "LC_ALL": "C"},  # nobody's PG* variables; messages in English
            stdin=stdin,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is ours to handle: the gateway drains before the database stops
        )

    return _in_lasting_thread(spawn)


def run(
    program: Sequence[str | Path], *, folder: Path, user: User | None, stdin: bytes = b"", seconds: float = 120.0
) -> tuple[int, str]:
    """Run `program` as `launch` does, to its end: exit status, and standard output with error.

    `stdin` is at most 4 KiB. `EmbeddedPostgresError` where the program takes longer than `seconds`.
    """
    reading, writing = os.pipe()
    try:
        if user is not None:
            os.fchown(reading, user.uid, user.gid)  # initdb opens /dev/stdin anew, which asks for the right to
        os.write(writing, stdin)
        os.close(writing)
        process = launch(
            program, folder=folder, user=user, death_signal=signal.SIGTERM, stdin=reading, output=subprocess.PIPE
        )
    finally:
        os.close(reading)
    with process:
        try:
            output, _ = process.communicate(timeout=seconds)
        except BaseException as error:
            process.kill()
            if isinstance(error, subprocess.TimeoutExpired):
                raise EmbeddedPostgresError(f"`{program[0]}` did not end within {seconds:.0f} s") from None
            raise
    return process.returncode, output.decode(errors="replace")


_calls: SimpleQueue[tuple[Future[subprocess.Popen[bytes]], Callable[[], subprocess.Popen[bytes]]]] = SimpleQueue()
_calls_process = 0
_calls_lock = threading.Lock()


def _in_lasting_thread(spawn: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
    # The parent-death signal fires at the end of the *thread* that spawned, so a caller on a pool's or monitor's thread
    # would take the server along: such calls go to a thread that lives as long as the process.
    global _calls, _calls_process
    if threading.current_thread() is threading.main_thread():
        return spawn()
    future: Future[subprocess.Popen[bytes]] = Future()
    with _calls_lock:
        if (
            _calls_process != os.getpid()
        ):  # first use, or first use after a fork, which keeps no thread but the caller's
            _calls, _calls_process = SimpleQueue(), os.getpid()
            threading.Thread(target=_serve_calls, args=(_calls,), name="embedded-postgres-spawner", daemon=True).start()
        _calls.put((future, spawn))
    return future.result()


def _serve_calls(
    calls: SimpleQueue[tuple[Future[subprocess.Popen[bytes]], Callable[[], subprocess.Popen[bytes]]]],
) -> None:
    while True:
        future, spawn = calls.get()
        try:
            future.set_result(spawn())
        except BaseException as error:
            future.set_exception(error)


class Watchdog:
    """A shell on a pipe from us, which runs `line` (`$0` is `argument`) once this process is gone, even by SIGKILL."""

    def __init__(self, line: str, argument: str) -> None:
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", f"read -r end; {line}", argument],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"PATH": os.defpath},
            start_new_session=True,
        )

    def fire(self) -> None:
        """Have the line run now, and wait for its end."""
        with self._shell:
            pass

    def dismiss(self) -> None:
        """Have it never run."""
        self._shell.kill()
        self.fire()


def occupants(cluster: Path) -> set[int]:
    """Ids of the living PostgreSQL processes that work in data folder `cluster`; none where there is no `/proc`."""
    if not LINUX:
        return set()
    wanted = cluster.stat()
    found: set[int] = set()
    for entry in os.scandir("/proc"):
        if not entry.name.isdecimal():
            continue
        try:
            status = os.stat(f"{entry.path}/cwd")
            program = os.readlink(f"{entry.path}/exe").removesuffix(" (deleted)")
        except OSError:  # gone meanwhile, or another user's
            continue
        if (status.st_dev, status.st_ino) == (wanted.st_dev, wanted.st_ino) and program.endswith("/postgres"):
            found.add(int(entry.name))
    return found


def clear_leftovers(cluster: Path, *, seconds: float) -> None:
    """Remove what a dead server left in `cluster`; the caller holds the data folder's lock, so no supervisor lives.

    A server whose supervisor died is given `seconds` to finish its shutdown; `DataFolderInUse` where it stays. Backends
    whose server is dead are killed: one that computes would notice only at its next wait, and blocks a new server until
    then. Then the process id file is removed: its number may be any other process's by now, which PostgreSQL would take
    for a server.
    """
    if not LINUX:
        return  # PostgreSQL's own interlock decides, by shared memory
    deadline = time.monotonic() + seconds
    pid_file = cluster / "postmaster.pid"
    while processes := occupants(cluster):
        try:
            server = abs(int(pid_file.read_text().split("\n", 1)[0]))  # negative: in single-user mode
        except (FileNotFoundError, ValueError):
            server = 0
        if server not in processes:
            for process in processes:
                _kill(process)
        elif time.monotonic() > deadline:
            raise DataFolderInUse(
                f"data folder `{cluster.parent}` is in use by another running server (process {server})"
            )
        time.sleep(0.005)
    pid_file.unlink(missing_ok=True)


def _kill(process: int) -> None:
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return
