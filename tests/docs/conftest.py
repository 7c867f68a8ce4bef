"""What the documentation's tests share: the demo's schema, and a desk on which the demo runs as a reader has it."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from demo.region import CATALOGUE
from schema import unified
from schema.unified import UnifiedSchema
from tanglai.catalogue.checks_draft import load_draft
from tanglai.catalogue.model import Snapshot, Zone
from tanglai.server.issuer import DemoIssuer
from tanglai.server.settings import load
from tests.docs.documents import ROOT

START_SECONDS = 300
STOP_SECONDS = 60


@cache
def demo_snapshot() -> Snapshot:
    """The demo's catalogue as a node of the extranet serves it."""
    draft, violations = load_draft([CATALOGUE], None)
    assert violations == ()
    return Snapshot(
        number=1,
        zone=Zone.EXTRANET,
        rule_set="ningxia-measures",
        departments={d.code: d for d in draft.departments},
        divisions={d.code: d for d in draft.divisions},
        purposes={p.code: p for p in draft.purposes},
        categories={c.code: c for c in draft.categories},
        sources={s.key: s for s in draft.sources},
        resources={r.code: r for r in draft.resources},
    )


@pytest.fixture(scope="session")
def demo_schema() -> UnifiedSchema:
    return unified.build(demo_snapshot())


@dataclass(frozen=True)
class Desk:
    """A folder in which `make demo` runs: `.demo` is its state, `.venv` the environment, the node at `url`."""

    folder: Path
    url: str
    environment: Mapping[str, str]

    def run(self, script: str, **more: str) -> subprocess.CompletedProcess[str]:
        """What bash makes of `script` at this desk; it ends at the first command that fails."""
        return subprocess.run(
            ["bash", "-eu", "-o", "pipefail", "-c", script],
            cwd=self.folder,
            env={**self.environment, **more},
            capture_output=True,
            text=True,
            timeout=300,
        )

    def token(self, department: str, purpose: str, *roles: str) -> str:
        """A token of the demo's issuer, as the workbench gets it; with roles of the law's work."""
        settings = load(state_dir=self.folder / ".demo", demo_issuer=True)
        code = demo_snapshot().department_by_key[department].code
        return DemoIssuer.open(settings).issue(code, purposes=[purpose], roles=roles)


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("desk")
    (folder / ".venv").symlink_to(sys.prefix)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TANGLAI_", "DEMO_"))}
    environment = {**kept, "PYTHONPATH": str(ROOT), "COLUMNS": "100"}
    with (folder / "demo.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "demo", "serve", "--port", "0"],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    timer = threading.Timer(START_SECONDS, process.kill)
    timer.start()
    assert process.stdout is not None
    try:
        ready = process.stdout.readline().split()
        timer.cancel()
        assert ready[:1] == ["ready"], (folder / "demo.log").read_text()
        yield Desk(folder, ready[1], environment)
    finally:
        timer.cancel()
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_SECONDS)
        finally:
            process.kill()
            process.stdout.close()
    # Ctrl-C ends everything without a word, DuckDB's modules included.
    assert "leaked" not in (folder / "demo.log").read_text()
