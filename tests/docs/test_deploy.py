"""docs/deploy: its files name settings, ports and paths that exist, and fit each other; nginx runs in tests/http."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tanglai.catalogue.workflow.attachments import MOST_BYTES
from tanglai.server.compose import POOL
from tanglai.server.events import HEARTBEAT_SECONDS
from tanglai.server.export import EXPORT_PATH
from tanglai.server.serve import KEEP_ALIVE_SECONDS
from tanglai.server.settings import PREFIX, Settings
from tanglai.server.workers import CLOSING_SECONDS, FIRST_DELAY, HUNG_SECONDS, LONGEST_DELAY, STEADY_SECONDS
from tests.docs.documents import DOCS, HOW_TO, blocks, read

FOLDER = DOCS / "deploy"
NAMES = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
NGINX = (FOLDER / "nginx.conf").read_text(encoding="utf-8")
UNIT = (FOLDER / "tanglai@.service").read_text(encoding="utf-8")
ENVIRONMENT = dict(
    line.split("=", 1) for line in (FOLDER / "tanglai.env").read_text(encoding="utf-8").splitlines() if line[0] != "#"
)
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("file", sorted(FOLDER.iterdir()), ids=lambda file: file.name)
def test_settings_that_are_named_exist(file: Path) -> None:
    assert set(re.findall(r"TANGLAI_[A-Z_]+", file.read_text(encoding="utf-8"))) <= NAMES


def test_the_page_leads_to_every_file() -> None:
    page = read(FOLDER / "README.md")
    assert all(f"]({file.name})" in page for file in FOLDER.iterdir() if file.name != "README.md")


def test_the_environment_is_that_of_a_node() -> None:
    values: dict[str, Any] = {name.removeprefix(PREFIX).lower(): value for name, value in ENVIRONMENT.items()}
    assert values.pop("key") == "THE_KEY"
    settings = Settings(**values, key="A" * 43)
    assert settings.workers > 1
    assert not settings.demo_issuer


def test_the_proxy_allows_what_a_node_allows() -> None:
    settings = Settings()
    sizes = {
        path or "/": size
        for path, size in re.findall(r"(?:location (?:= )?(\S+) \{[^}]*?)?client_max_body_size (\w+);", NGINX)
    }
    assert {path: _bytes(size) for path, size in sizes.items()} == {
        "/": settings.max_body_bytes,
        "/catalogue-imports": settings.max_import_bytes,
        "/documents": MOST_BYTES,
    }
    assert f"location {EXPORT_PATH} " in NGINX
    seconds = {name: float(value) for name, value in re.findall(r"(\w+_timeout) (\d+)s;", NGINX)}
    assert seconds["keepalive_timeout"] < KEEP_ALIVE_SECONDS
    assert seconds["proxy_read_timeout"] > max(settings.request_seconds, 2 * HEARTBEAT_SECONDS)
    assert seconds["client_body_timeout"] == settings.body_seconds
    assert "non_idempotent;" not in NGINX


def _bytes(size: str) -> int:
    return int(size[:-1]) * {"k": 1024, "m": 1024**2}[size[-1]]


def test_units_wait_for_a_node_to_end() -> None:
    longest = Settings().shutdown_seconds + CLOSING_SECONDS
    assert float(re.findall(r"^TimeoutStopSec=(\d+)$", UNIT, re.MULTILINE)[0]) > longest
    assert float(COMPOSE["services"]["replica-1"]["stop_grace_period"].rstrip("s")) > longest


def test_replicas_are_where_the_proxy_looks_for_them() -> None:
    services = COMPOSE["services"]
    replicas = [service for name, service in services.items() if name.startswith("replica-")]
    places = {f"{one['networks']['inside']['ipv4_address']}:{one['environment']['TANGLAI_PORT']}" for one in replicas}
    assert places == set(re.findall(r"^    server (\S+) ", NGINX, re.MULTILINE))
    assert len({one["environment"]["TANGLAI_NODE"] for one in replicas}) == len(replicas) == 2
    mounted = {volume.split(":")[1] for volume in services["proxy"]["volumes"]}
    assert set(re.findall(r"/etc/nginx/[\w./]+(?=;|$)", NGINX, re.MULTILINE)) <= mounted


def test_each_version_has_a_folder_and_the_path_that_serves_is_a_link() -> None:
    """`ln` would put the link into a folder that has its name."""
    for page in (FOLDER / "README.md", HOW_TO / "run-in-production.md"):
        shell = "".join(block.text for block in blocks(page) if block.language == "sh")
        assert re.search(r"^ln -sfn /opt/tanglai-[\d.]+ /opt/tanglai$", shell, re.MULTILINE)
        assert not re.search(r"venv /opt/tanglai$", shell, re.MULTILINE)
    assert "ExecStart=/opt/tanglai/bin/" in UNIT


def test_names_and_metrics_of_replicas() -> None:
    """A name in the shared file would be that of all; in a container loopback would be out of Prometheus' reach."""
    assert "TANGLAI_NODE" not in ENVIRONMENT
    for name in ("replica-1", "replica-2"):
        environment = COMPOSE["services"][name]["environment"]
        assert (environment["TANGLAI_NODE"], environment["TANGLAI_METRICS_HOST"]) == (name, "0.0.0.0")
        assert int(environment["TANGLAI_METRICS_PORT"]) > 0


def test_figures_that_are_told_hold() -> None:
    page = " ".join(read(FOLDER / "README.md").split())
    assert (STEADY_SECONDS, HUNG_SECONDS, FIRST_DELAY, LONGEST_DELAY) == (10, 30, 0.1, 10)
    assert f"after {FIRST_DELAY} s, doubling up to {LONGEST_DELAY:g} s" in page
    assert f"stood still for {HUNG_SECONDS:g} seconds" in page
    assert f"up to {POOL + 3} connections" in page  # the pool, the line of confirmations, two that listen


def test_the_how_to_leads_here() -> None:
    page = HOW_TO / "run-in-production.md"
    assert "(../deploy/README.md)" in read(page)
    assert "(../deploy/README.md#one-node-behind-nginx)" in read(page)
    assert not [block for block in blocks(page) if "nginx" in block.note]
