"""The shape of the code: imports go downwards, nobody else claims our names, only two places read the environment."""

import ast
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("schema", "resolvers", "authz", "connectors", "tanglai")


def test_import_contracts_hold() -> None:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("package", PACKAGES)
def test_no_other_distribution_claims_our_names(package: str) -> None:
    assert set(packages_distributions().get(package, [])) <= {"tanglai"}, (
        f"another installed distribution provides `{package}`: use an environment of its own"
    )
    imported = __import__(package)
    assert imported.__file__ is not None
    assert Path(imported.__file__).parent == ROOT / package


@pytest.mark.parametrize("module", sorted(p for package in PACKAGES for p in (ROOT / package).rglob("*.py")), ids=str)
def test_only_server_and_command_line_read_the_environment(module: Path) -> None:
    relative = module.relative_to(ROOT).as_posix()
    if relative.startswith(("tanglai/server/", "tanglai/cli/")):
        return
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv"):
            read = isinstance(node.value, ast.Name) and node.value.id == "os"
            assert not read, f"{relative}:{node.lineno} reads the environment"
