"""In charge of subjects as running processes: started, asked, stopped."""

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.speed.contract import Call, Draw, Subject
from benchmarks.start import free_port

_READY_SECONDS = 60.0
_SETTLE_SECONDS = 30.0
_SLICE, _QUIET = 0.5, 0.1
_TICKS = os.sysconf("SC_CLK_TCK")


class SubjectError(RuntimeError):
    """A subject did not start or did not answer; the message names it and says why."""


class Running:
    """A subject's process; as a context manager it is started on entry and stopped on exit. Raises SubjectError.

    What it prints goes to `<logs>/<name>.log`.
    """

    def __init__(self, subject: Subject, environment: Mapping[str, str], logs: Path) -> None:
        self.subject = subject
        self.url = ""
        self._environment = {**os.environ, **environment, **subject.environment}
        self._log = logs / f"{subject.name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the process that was started."""
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> Self:
        port = free_port()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                list(self.subject.command(port)), env=self._environment, stdout=log, stderr=subprocess.STDOUT
            )
        self.url = f"http://127.0.0.1:{port}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        process = self._process
        if process is not None:
            process.terminate()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def wait(self, draw: Draw) -> None:
        """Until it answers `draw`."""
        deadline = time.monotonic() + _READY_SECONDS
        while True:
            try:
                self.rows(draw)
                return
            except OSError as error:
                assert self._process is not None
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise SubjectError(f"`{self.subject.name}` did not start, see `{self._log}`") from error
                time.sleep(0.1)

    def settle(self) -> None:
        """Until it works no more: a server goes on with requests whose clients went away, at the cost of the next one.

        Half a minute at most. Where processes do not tell what they used, one pause must do.
        """
        used = cpu_seconds(self.pid)
        if used is None:
            time.sleep(_SLICE)
            return
        deadline = time.monotonic() + _SETTLE_SECONDS
        while time.monotonic() < deadline:
            time.sleep(_SLICE)
            before, used = used, cpu_seconds(self.pid)
            if used is None or used - before <= _SLICE * _QUIET:
                return

    def rows(self, draw: Draw) -> list[dict[str, Any]]:
        """Its answer to `draw`."""
        answer = self.ask(self.subject.call(draw))
        try:
            return self.subject.rows(draw.case, answer)
        except (ValueError, KeyError, TypeError) as error:
            raise SubjectError(f"`{self.subject.name}` gave no rows in `{draw.case}`: {error}") from error

    def ask(self, call: Call) -> Any:
        """The parsed body of the response. Raises OSError where nothing listens, SubjectError for a refusal."""
        request = urllib.request.Request(self.url + call.path, call.body.encode(), dict(call.headers))
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            text = error.read().decode(errors="replace")
            raise SubjectError(f"`{self.subject.name}` answered {error.code}: {text}") from None


def cpu_seconds(pid: int, *, ended: bool = False) -> float | None:
    """CPU seconds of a process so far, with `ended` those of its ended children too; None without Linux's /proc."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return sum(map(int, fields[11 : 15 if ended else 13])) / _TICKS
