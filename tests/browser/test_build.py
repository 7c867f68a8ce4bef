"""The committed build is that of the committed source."""

import os
import subprocess

import pytest

from tests.browser.small_platform import ROOT


def test_the_build_is_the_sources() -> None:
    """Without a rebuild as long as the recorded hashes hold."""
    done = subprocess.run([ROOT / "workbench" / "check.sh"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    if "skipped" in done.stdout:
        assert os.environ.get("CI") != "true"
        pytest.skip(done.stdout.strip())


def test_the_lock_names_no_registry() -> None:
    lock = (ROOT / "workbench" / "package-lock.json").read_text()
    assert '"resolved"' not in lock
    assert '"integrity"' in lock
