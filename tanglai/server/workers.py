"""In charge of several workers that are one node: processes on one port, started again when they die, ended together.

The supervisor is a process with one thread and no event loop, so that it can fork: a worker has everything imported
when it begins, and shares that memory with the others.
"""

import gc
import json
import logging
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import NoReturn, Self

from tanglai.server.starting import StartError, url_of

EVERY_SECONDS = 0.5
STEADY_SECONDS = 10.0
"""A worker that lived so long began well: its next one starts at once."""
FIRST_DELAY, LONGEST_DELAY = 0.1, 10.0
ATTEMPTS = 5
"""So many starts in a row that came to nothing, with no other worker serving, are the end."""
HUNG_SECONDS = 30.0
"""A worker whose event loop stood still for so long is killed: nobody outside could tell it from the others."""
CLOSING_SECONDS = 15.0
"""What a worker may take beyond the requests that it lets end, for closing its connections."""

_BALANCED = sys.platform == "linux"

_log = logging.getLogger(__name__)


class Port:
    """Addresses that are this node's, for each worker to listen on.

    On Linux each worker has a socket of its own there (SO_REUSEPORT): the kernel spreads connections over those that
    listen. With one socket for all, whoever wakes up first takes all that came at once: of 64 connections one of two
    workers often gets none. Other systems do not spread, so there all share one.
    """

    def __init__(self, held: Sequence[socket.socket]) -> None:
        self._held = held  # bound and, on Linux, never listening: it keeps the number, connections pass it by

    @classmethod
    def take(cls, host: str, port: int) -> Self:
        """The port of all addresses of `host`; 0 is any that is free. Raises StartError where it is taken."""
        held: list[socket.socket] = []
        try:
            found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            for family, _, _, _, address in dict.fromkeys(found):
                place = (address[0], port, *address[2:])
                if _BALANCED and port:
                    _bound(family, place).close()  # another program's sockets may allow ours beside them
                held.append(_bound(family, place, shared=_BALANCED))
                port = port or held[0].getsockname()[1]
        except OSError:
            for one in held:
                one.close()
            raise StartError(f"cannot listen on `{host}` port {port}") from None
        return cls(held)

    @property
    def url(self) -> str:
        """`http://host:port` of the first address."""
        return url_of(self._held[0])

    def sockets(self) -> list[socket.socket]:
        """Sockets that one worker is to listen on, in its process."""
        if not _BALANCED:
            return list(self._held)
        return [_bound(one.family, one.getsockname(), shared=True) for one in self._held]

    def close(self) -> None:
        """Lets go of it; workers that listen go on."""
        for one in self._held:
            one.close()


def _bound(family: int, address: object, *, shared: bool = False) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(address)  # type: ignore[arg-type]
    except BaseException:
        made.close()
        raise
    return made


class Line:
    """What a worker tells its supervisor."""

    def __init__(self, writing: int) -> None:
        self._writing = writing

    def ready(self) -> None:
        """It serves."""
        self._say("ready")

    async def alive(self) -> None:
        """Its event loop turns; to be told about once a second."""
        self._say("alive")

    def failed(self, why: str) -> None:
        """It cannot start, for the given reason."""
        self._say(json.dumps(why))

    def _say(self, line: str) -> None:
        with suppress(OSError):  # the supervisor is away, or has not listened for thousands of lines
            os.write(self._writing, f"{line}\n".encode())


Work = Callable[[int, Line], None]
"""What a worker does, in its own process: given its number, from 1, until SIGTERM. May raise StartError."""


@dataclass(slots=True)
class _Worker:
    number: int
    pid: int = 0
    line: int = -1
    rest: bytes = b""
    began: float = 0.0
    silent: float = 0.0
    ready: bool = False
    failures: int = 0
    """Lives in a row that were short."""
    due: float = 0.0
    problem: str = ""


class Supervisor:
    """Runs `work` in `workers` processes. To be used by a process of one thread, from that thread.

    `on_ready` is called with the URL once all serve. `beside` is called about twice a second. Workers have
    `stop_seconds` to end, and CLOSING_SECONDS more. They end when this process ends, whichever way that does.
    """

    def __init__(
        self,
        work: Work,
        workers: int,
        port: Port,
        *,
        stop_seconds: float,
        on_ready: Callable[[str], None] | None = None,
        beside: Callable[[], None] = lambda: None,
        hung_seconds: float = HUNG_SECONDS,
    ) -> None:
        self._work, self._port, self._beside = work, port, beside
        self._on_ready = on_ready
        self._patience = stop_seconds + CLOSING_SECONDS
        self._hung_seconds = hung_seconds
        self._workers = [_Worker(number) for number in range(1, workers + 1)]
        self._announced = False
        self._stop: signal.Signals | None = None
        self._life = (-1, -1)
        self._wake = (-1, -1)

    def run(self) -> signal.Signals:
        """Until SIGINT or SIGTERM, which is returned once all workers have ended.

        Raises StartError where a worker cannot start before all have served once, and later where none serves and one
        failed ATTEMPTS times in a row.
        """
        gc.collect()
        gc.freeze()  # a collection in a worker would else write to, and so copy, all the memory that they share
        self._life = os.pipe()
        try:
            with self._signals():
                try:
                    while self._stop is None:
                        self._round()
                    return self._stop
                finally:
                    self._end()
        finally:
            gc.unfreeze()
            for end in self._life:
                os.close(end)

    def _round(self) -> None:
        now = time.monotonic()
        for worker in self._workers:
            if not worker.pid and now >= worker.due:
                self._start(worker)
        lines = [worker.line for worker in self._workers if worker.line >= 0]
        heard, _, _ = select.select([self._wake[0], *lines], [], [], self._pause(now))
        if self._wake[0] in heard:
            os.read(self._wake[0], 4096)
        if self._stop is not None:
            return
        # A supervisor that was itself stopped for a while blames nobody for it.
        passed = min(time.monotonic() - now, 2 * EVERY_SECONDS)
        for worker in self._workers:
            worker.silent += passed
            self._hear(worker)
            if worker.pid and os.waitpid(worker.pid, os.WNOHANG)[0]:
                self._hear(worker)
                self._buried(worker)
            elif worker.ready and worker.silent > self._hung_seconds:
                _log.error("worker %d (process %d) hangs and is killed", worker.number, worker.pid)
                os.kill(worker.pid, signal.SIGKILL)
        if not self._announced and all(worker.ready for worker in self._workers):
            self._announced = True
            if self._on_ready is not None:
                self._on_ready(self._port.url)
        self._beside()

    def _pause(self, now: float) -> float:
        waits = (worker.due - now for worker in self._workers if not worker.pid)
        return max(0.0, min(EVERY_SECONDS, *waits, EVERY_SECONDS))

    def _hear(self, worker: _Worker) -> None:
        try:
            while worker.line >= 0 and (heard := os.read(worker.line, 65536)):
                worker.silent = 0.0
                *lines, worker.rest = (worker.rest + heard).split(b"\n")
                for line in lines:
                    if line == b"ready":
                        worker.ready = True
                        _log.info("worker %d (process %d) serves", worker.number, worker.pid)
                    elif line != b"alive":
                        worker.problem = json.loads(line)
        except BlockingIOError:
            pass

    def _buried(self, worker: _Worker) -> None:
        """What follows from a worker's death."""
        served, worker.ready = worker.ready, False
        was, worker.pid = worker.pid, 0
        os.close(worker.line)
        worker.line, worker.rest = -1, b""
        now = time.monotonic()
        worker.failures = 0 if served and now - worker.began >= STEADY_SECONDS else worker.failures + 1
        why = worker.problem or "see the log"
        if not served and not self._announced and worker.problem:
            raise StartError(worker.problem)
        if not served and worker.failures >= ATTEMPTS and not any(other.ready for other in self._workers):
            raise StartError(worker.problem or f"workers died {worker.failures} times in a row before they served")
        worker.due = now + min(LONGEST_DELAY, FIRST_DELAY * 2 ** (worker.failures - 1)) if worker.failures else now
        if served:
            _log.error("worker %d (process %d) died and is started again", worker.number, was)
        else:
            _log.error("worker %d (process %d) did not start and is tried again: %s", worker.number, was, why)

    def _start(self, worker: _Worker) -> None:
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        os.set_blocking(writing, False)
        sys.stdout.flush()
        sys.stderr.flush()
        # INVARIANT: a signal for the new process finds either no handler or its own, never this process's.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
        try:
            pid = os.fork()
            if pid == 0:
                os.close(reading)
                self._become(worker.number, Line(writing), before)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(writing)
        worker.pid, worker.line, worker.began = pid, reading, time.monotonic()
        worker.silent, worker.problem = 0.0, ""

    def _become(self, number: int, line: Line, mask: set[signal.Signals | int]) -> NoReturn:
        """The life of a worker, in its process."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for one in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
                signal.signal(one, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            for end in (self._life[1], *self._wake, *(other.line for other in self._workers if other.line >= 0)):
                os.close(end)
            threading.Thread(target=self._follow, name="tanglai-follow", daemon=True).start()
            self._work(number, line)
            code = 0
        except StartError as error:
            line.failed(str(error))
        except BaseException:
            _log.exception("worker %d failed", number)
        finally:
            # Not by the interpreter's ways: whatever the supervisor would put away at its end is not this process's.
            with suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def _follow(self) -> None:
        """Ends this worker when the supervisor is gone, which then wrote nothing, so that this is the pipe's end."""
        os.read(self._life[0], 1)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(self._patience)
        os.kill(os.getpid(), signal.SIGKILL)

    def _end(self) -> None:
        self._port.close()
        deadline = time.monotonic() + self._patience
        left = {worker.pid for worker in self._workers if worker.pid}
        for pid in left:
            os.kill(pid, signal.SIGTERM)
        while left and time.monotonic() < deadline:
            left = {pid for pid in left if not os.waitpid(pid, os.WNOHANG)[0]}
            if left:
                time.sleep(0.02)
        for pid in left:
            _log.error("process %d did not end in time and is killed", pid)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        for worker in self._workers:
            if worker.line >= 0:
                os.close(worker.line)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        def stop(number: int, _: FrameType | None) -> None:
            self._stop = self._stop or signal.Signals(number)

        def nothing(_: int, __: FrameType | None) -> None: ...

        self._wake = os.pipe()
        for end in self._wake:
            os.set_blocking(end, False)
        former_fd = signal.set_wakeup_fd(self._wake[1], warn_on_full_buffer=False)
        handlers = {signal.SIGINT: stop, signal.SIGTERM: stop, signal.SIGCHLD: nothing}
        former = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(former_fd)
            for end in self._wake:
                os.close(end)
