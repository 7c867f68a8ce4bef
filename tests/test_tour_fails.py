"""A rule broken on purpose in a scratch copy makes the tour fail: the tour can say no."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("authz", "connectors", "demo", "resolvers", "schema", "tanglai")
FAULTS = {
    "masks are forgotten": (
        "authz/decide.py",
        "if item.name not in g.masks))",
        "))",
    ),
    "scopes are forgotten": (
        "authz/decide.py",
        "return scope if scope in (TRUE, FALSE) else IsTrue(scope)",
        "return TRUE",
    ),
    "filters see hidden cells": (
        "authz/visible.py",
        "return _guarded(self.item, [(self.clear, self.raw)] if self.clear != FALSE else [])",
        "return self.raw",
    ),
    "quotas are not counted": (
        "tanglai/catalogue/quotas.py",
        "return quota is not None and not (",
        "return False and not (",
    ),
    "an application opens what is not shared": (
        "authz/grants.py",
        "return share_class is not ShareClass.NOT_SHARED or grant.basis in (",
        "return True or grant.basis in (",
    ),
}


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The region's data are the same for every fault, and generated once."""
    return tmp_path_factory.mktemp("region")


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_broken_rule_fails_the_tour(fault: str, tmp_path: Path, state: Path) -> None:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    name, right, wrong = FAULTS[fault]
    text = (tmp_path / name).read_text(encoding="utf-8")
    assert text.count(right) == 1, f"{name} has changed: plant the fault anew"
    (tmp_path / name).write_text(text.replace(right, wrong), encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "demo",
        "--state",
        str(state),
        "tour",
    ]  # imports from its folder first
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode != 0, result.stdout
    assert "✗" in result.stdout, result.stdout + result.stderr
    assert "as the law says" in result.stdout
