"""The committed build is that of the committed source, and the server sends it as the source's README says."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tanglai.server.pages import CONTENT_POLICY, WORKBENCH

SOURCE = Path(__file__).resolve().parents[2] / "workbench"


def test_the_build_is_the_sources() -> None:
    """Without a rebuild as long as the recorded hashes hold."""
    done = subprocess.run([SOURCE / "check.sh"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    if "skipped" in done.stdout:
        assert os.environ.get("CI") != "true"
        pytest.skip(done.stdout.strip())


def test_the_lock_names_no_registry() -> None:
    lock = (SOURCE / "package-lock.json").read_text()
    assert '"resolved"' not in lock
    assert '"integrity"' in lock


def test_the_server_sends_the_policy_that_the_page_needs() -> None:
    found = re.search(r"```http\nContent-Security-Policy: (.+?)\n```", (SOURCE / "README.md").read_text())
    assert found
    assert found[1] == CONTENT_POLICY


def test_every_asset_has_a_hashed_name_and_nothing_is_inline() -> None:
    page = (WORKBENCH / "index.html").read_text()
    assert "<script>" not in page
    assert "<style" not in page
    assert "style=" not in page
    names = [path.name for path in (WORKBENCH / "assets").iterdir()]
    assert [name for name in names if not re.fullmatch(r"\w[\w.-]*-[\w-]{8}\.(js|css|svg|ttf)", name)] == []
    assert len(names) > 10
