"""In charge of the subject `postgraphile`: PostGraphile 5 over one database, without authorization and audit.

Its packages, a Node of version 22 or later among them, come from npm as `package-lock.json` pins them, once, into
`.bench/postgraphile`. No package's own scripts run.
"""

import hashlib
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.speed.contract import RESIDENT_FIELDS, VEHICLE_FIELDS, Call, Draw, Subject, graphql_call
from benchmarks.speed.data import STATE

_HERE = Path(__file__).parent
_FOLDER = STATE.absolute() / "postgraphile"
_FILES = ("package.json", "package-lock.json", ".npmrc")
_NODE = 22
_INSTALL_SECONDS = 900.0


def unavailable() -> str | None:
    """Why it cannot run on this machine, None when it can. Installs what it needs, the first time."""
    try:
        _install()
    except (OSError, subprocess.SubprocessError) as error:
        return f"npm could not install PostGraphile: {_words(error)}"
    return None if node() else f"there is no Node {_NODE} or later, and npm has none for this machine"


def _install() -> None:
    pinned = hashlib.sha256(b"\0".join((_HERE / name).read_bytes() for name in _FILES)).hexdigest()
    mark = _FOLDER / "installed"
    if not (mark.exists() and mark.read_text() == pinned):
        npm = shutil.which("npm")
        if npm is None:
            raise FileNotFoundError("there is no `npm`")
        _FOLDER.mkdir(parents=True, exist_ok=True)
        mark.unlink(missing_ok=True)
        for name in _FILES:
            shutil.copyfile(_HERE / name, _FOLDER / name)
        print("installing PostGraphile from npm, once", flush=True)
        subprocess.run([npm, "ci"], cwd=_FOLDER, check=True, capture_output=True, text=True, timeout=_INSTALL_SECONDS)
        mark.write_text(pinned)
    # A module finds its packages from where it lies.
    shutil.copyfile(_HERE / "server.mjs", _FOLDER / "server.mjs")


def _words(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        # npm's last line names its log, those before it the reason.
        told = [line for line in str(error.stderr).splitlines() if line.startswith("npm error")]
        return "; ".join(line.removeprefix("npm error").strip() for line in told[:3]) or f"exit code {error.returncode}"
    return str(error)


def node() -> str | None:
    """The pinned Node where npm has it for this machine, else the machine's own if it is new enough."""
    own = [str(path) for path in sorted((_FOLDER / "node_modules").glob("node-*/bin/node"))]
    for program in [*own, shutil.which("node")]:
        if program is None:
            continue
        try:
            told = subprocess.run([program, "--version"], check=True, capture_output=True, text=True, timeout=30).stdout
        except (OSError, subprocess.SubprocessError):
            continue
        if int(told.removeprefix("v").partition(".")[0]) >= _NODE:
            return program
    return None


_FIELDS = " ".join(RESIDENT_FIELDS)
_VEHICLES = f"trafficVehiclesByOwnerIdNumber(orderBy: [PLATE_ASC]) {{ nodes {{ {' '.join(VEHICLE_FIELDS)} }} }}"
_LIST = (
    "query List($start: String!, $first: Int!) { allResidents(first: $first, orderBy: [ID_NUMBER_ASC], "
    f"filter: {{idNumber: {{greaterThanOrEqualTo: $start}}}}) {{ nodes {{ {_FIELDS} }} }} }}"
)
_JOIN = _LIST.replace(_FIELDS, f"{_FIELDS} vehicles: {_VEHICLES}")


def _call(draw: Draw) -> Call:
    return graphql_call(_JOIN if draw.case == "join_100" else _LIST, {"start": draw.start, "first": draw.count})


def _rows(case: str, answer: Any) -> list[dict[str, Any]]:
    if answer.get("errors"):
        raise ValueError(f"postgraphile answered with errors: {answer['errors']}")
    rows: list[dict[str, Any]] = answer["data"]["allResidents"]["nodes"]
    if case == "join_100":
        return [{**row, "vehicles": row["vehicles"]["nodes"]} for row in rows]
    return rows


def _command(port: int) -> Sequence[str]:
    program = node()
    if program is None:
        raise RuntimeError(f"there is no Node {_NODE} or later")
    return [program, str(_FOLDER / "server.mjs"), str(port)]


SUBJECT = Subject(
    name="postgraphile",
    cases=frozenset({"list_1", "list_100", "list_1000", "join_100"}),
    command=_command,
    call=_call,
    rows=_rows,
    unavailable=unavailable,
    environment={"NODE_ENV": "production", "GRAPHILE_ENV": "production"},
)
