"""In charge of load: Debian's `wrk` with a script that varies token and variables from request to request."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.speed.contract import Call

SCRIPT = Path(__file__).with_name("load.lua")
_TIMEOUT = "30s"


class LoadError(RuntimeError):
    """Load could not be driven, or requests failed under it; the message says why, for a person at a terminal."""


class TooShort(LoadError):
    """No request came to its end in the given time."""


@dataclass(frozen=True, slots=True)
class Cpu:
    """CPU milliseconds per request: of the subject's process, of its sources' server, of the platform's database."""

    subject: float = 0.0
    sources: float = 0.0
    platform: float = 0.0

    @property
    def total(self) -> float:
        """All of it; what the load generator used is left out."""
        return self.subject + self.sources + self.platform


@dataclass(frozen=True, slots=True)
class Figures:
    """What one round of load gave; times in milliseconds."""

    requests: int
    rps: float
    p50_ms: float
    p99_ms: float
    cpu_ms: Cpu = Cpu()


def wrk() -> str:
    """The program. Raises LoadError with the package to install."""
    program = shutil.which("wrk")
    if program is None:
        raise LoadError("the load generator `wrk` is missing: install the Debian package `wrk` (apt-get install wrk)")
    return program


def command(url: str, table: Path, *, connections: int, seconds: float) -> list[str]:
    """The command that sends the calls of `table` to `url`."""
    threads = min(2, connections)
    options = [f"-t{threads}", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", _TIMEOUT]
    return [wrk(), *options, "-s", str(SCRIPT), url, "--", str(table)]


def drive(url: str, table: Path, *, connections: int, seconds: float) -> Figures:
    """One round. Raises TooShort, LoadError where a response was no success or a connection broke."""
    given = command(url, table, connections=connections, seconds=seconds)
    done = subprocess.run(given, capture_output=True, text=True, check=False)
    return read_figures(done.stdout + done.stderr)


def read_figures(output: str) -> Figures:
    """The figures in what the script printed. Raises LoadError."""
    found = re.search(r"^figures (\{.*\})$", output, re.MULTILINE)
    if found is None:
        raise LoadError(f"`wrk` gave no figures: {output.strip()}")
    told = json.loads(found[1])
    if not (told["requests"] or told["refused"] or told["broken"]):
        raise TooShort("no request came to its end in time")
    if told["refused"] or told["broken"]:
        raise LoadError(
            f"of {told['requests']} requests {told['refused']} were refused and {told['broken']} connections broke"
        )
    return Figures(told["requests"], told["requests"] / told["seconds"], told["p50_ms"], told["p99_ms"])


def write_table(calls: Iterable[Call], path: Path) -> None:
    """`calls` as a table in Lua."""
    entries = (
        f"{{path={_quoted(call.path)},headers={{"
        + ",".join(f"[{_quoted(name)}]={_quoted(value)}" for name, value in call.headers.items())
        + f"}},body={_quoted(call.body)}}}"
        for call in calls
    )
    path.write_text("return {\n" + ",\n".join(entries) + "\n}\n", encoding="utf-8")


def _quoted(text: str) -> str:
    # Decimal escapes for what a Lua string cannot hold as it is.
    return '"' + re.sub(r'[\x00-\x1f"\\]', lambda found: f"\\{ord(found[0]):03d}", text) + '"'
