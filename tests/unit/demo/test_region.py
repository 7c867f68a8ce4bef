"""The demo region runs: real databases, files and an interface, restarted when they die, gone when it stops."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg
import duckdb
import pytest

from connectors.pool import SourcePool
from demo.data import load
from demo.data.world import World
from demo.region import CATALOGUE, DemoRegion, DemoRegionError
from tanglai.catalogue.checks import Severity, check, load_draft
from tanglai.catalogue.model import Zone


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoRegion]:
    with DemoRegion(tmp_path_factory.mktemp("demo") / "with space") as running:
        yield running


def ask(region: DemoRegion, path: str, key: str | None = None) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {key or region.environment()['DEMO_VEHICLES_KEY']}"}
    request = urllib.request.Request(region.interface_url + path, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


async def test_every_database_holds_its_rows_for_its_reader(region: DemoRegion, world: World) -> None:
    environment = region.environment()
    for database in load.DATABASES:
        connection = await asyncpg.connect(environment[f"DEMO_{database.name.upper()}_URL"])
        try:
            for table, rows in database.tables.items():
                count = await connection.fetchval(f"SELECT count(*) FROM {database.namespace}.{table}")
                assert count == len(world.rows(rows))
        finally:
            await connection.close()


async def test_rows_are_those_that_were_generated(region: DemoRegion, world: World) -> None:
    connection = await asyncpg.connect(region.environment()["DEMO_POPULATION_URL"])
    try:
        owner = world.person("owner")
        row = await connection.fetchrow("SELECT * FROM population.resident WHERE id_number = $1", owner.id_number)
        assert tuple(row.values()) == tuple(owner)
    finally:
        await connection.close()


async def test_a_reader_writes_nothing_and_reads_no_other_database(region: DemoRegion) -> None:
    environment = region.environment()
    connection = await asyncpg.connect(environment["DEMO_POPULATION_URL"])
    try:
        await connection.execute("SET default_transaction_read_only = off")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("DELETE FROM population.resident")
    finally:
        await connection.close()
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await asyncpg.connect(environment["DEMO_POPULATION_URL"], database="market")


def test_files_hold_their_rows(region: DemoRegion, world: World) -> None:
    environment = region.environment()
    licences = Path(environment["DEMO_FILES_MARKET_REGULATION"]) / load.LICENCES_PARQUET
    with duckdb.connect() as database:
        database.execute("SELECT * FROM read_parquet($1) ORDER BY licence_number", [str(licences)])
        rows = database.fetchall()
    assert rows == sorted((tuple(row) for row in world.licences), key=lambda row: str(row[1]))
    text = (Path(environment["DEMO_FILES_HEALTH"]) / load.VACCINATIONS_CSV).read_bytes().decode("gb18030")
    assert len(text.splitlines()) == len(world.vaccinations) + 1
    assert world.vaccinations[0].clinic in text


def test_the_interface_finds_by_plate_and_owner_in_pages(region: DemoRegion, world: World) -> None:
    owner = world.person("owner").id_number
    mine = sorted((v for v in world.vehicles if v.owner_id_number == owner), key=lambda v: v.plate)
    status, answer = ask(region, f"/vehicles?ownerIdNumber={owner},64010419000101000X&size=1")
    assert (status, answer["total"], answer["page"], answer["synthetic"]) == (200, 2, 1, True)
    assert [v["plate"] for v in answer["items"]] == [mine[0].plate]
    assert answer["items"][0] == load.camel(mine[0])
    assert ask(region, f"/vehicles?ownerIdNumber={owner}&size=1&page=2")[1]["items"][0]["plate"] == mine[1].plate
    assert ask(region, f"/vehicles?ownerIdNumber={owner}&size=1&page=3")[1]["items"] == []
    plate = quote(mine[0].plate)
    assert ask(region, f"/vehicles?plate={plate}")[1]["total"] == 1
    assert ask(region, f"/vehicles?plate={plate}&ownerIdNumber=x")[1]["total"] == 0
    assert ask(region, "/vehicles")[1]["total"] == len(world.vehicles)


@pytest.mark.parametrize(
    "query",
    [
        "page=0",
        "size=201",
        "size=x",
        "page=-1",
        "owner=1",
        "ownerIdNumber=" + ",".join(str(n) for n in range(201)),
    ],
)
def test_the_interface_refuses_what_it_does_not_understand(region: DemoRegion, query: str) -> None:
    assert ask(region, f"/vehicles?{query}")[0] == 400


def test_the_interface_wants_its_key(region: DemoRegion) -> None:
    assert ask(region, "/vehicles", "wrong")[0] == 401
    assert ask(region, "/structure", "wrong")[0] == 401


async def test_the_catalogue_binds_what_the_sources_have(region: DemoRegion) -> None:
    """Art. 7: every catalogued column exists in its source, with a type that its item can have."""
    draft, _ = load_draft([CATALOGUE], None)
    pool = SourcePool(region.environment())
    try:
        sources = [source for source in draft.sources if source.zone is Zone.EXTRANET]
        structures = {source.key: await pool.connector(source).introspect() for source in sources}
    finally:
        await pool.close()
    told = [violation for violation in check(draft, None, structures) if violation.path != "source"]
    # Files and interfaces cannot say that a column is unique, and a CSV has texts only.
    assert {Path(violation.file).name for violation in told} <= {"vaccinations.yaml", "licences.yaml", "vehicles.yaml"}
    assert {violation.severity for violation in told} == {Severity.NOTICE}


def test_data_are_kept_and_made_anew_when_their_generators_change(region: DemoRegion) -> None:
    assert region.prepare() is False
    mark = region.state_dir / "data-version"
    good = mark.read_text()
    mark.write_text("another")
    assert region.prepare() is True
    assert mark.read_text() == good
    assert region.prepare() is False


async def test_parts_that_die_are_started_again_at_the_same_address(region: DemoRegion) -> None:
    before = region.environment()
    assert region.supervise() == []
    region.departments.kill()
    region.platform.kill()
    assert region._interface is not None
    region._interface.kill()
    region._interface.wait()
    assert sorted(region.supervise()) == ["departments", "interface", "platform"]
    assert region.environment() == before
    assert ask(region, "/structure")[0] == 200
    connection = await asyncpg.connect(before["DEMO_CIVIL_AFFAIRS_URL"])
    await connection.close()
    assert region.supervise() == []


def test_secrets_are_the_owners_to_read(region: DemoRegion) -> None:
    for name in ("secrets.json", "interface.key", "env"):
        assert (region.state_dir / name).stat().st_mode & 0o077 == 0


def test_a_region_in_use_is_neither_started_twice_nor_forgotten(region: DemoRegion) -> None:
    other = DemoRegion(region.state_dir)
    with pytest.raises(DemoRegionError, match="running already"):
        other.start()
    with pytest.raises(DemoRegionError, match="stop it first"):
        other.reset()
    assert ask(region, "/structure")[0] == 200


CHILD = """
import sys, time
from pathlib import Path
from demo.region import DemoRegion
region = DemoRegion(Path(sys.argv[1]))
region.start()
print(region.departments.pid, region.platform.pid, region._interface.pid, flush=True)
time.sleep(600)
"""


def test_nothing_outlives_a_process_that_is_killed(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path / "demo")], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        parts = [int(number) for number in child.stdout.readline().split()]
        assert len(parts) == 3
    finally:
        child.send_signal(signal.SIGKILL)
        child.communicate()
    deadline = time.monotonic() + 60
    while any(alive(part) for part in parts) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [part for part in parts if alive(part)] == []


def alive(process: int) -> bool:
    """Whether the process runs; one that nobody has reaped yet does not."""
    try:
        os.kill(process, 0)
        return open_stat(process).rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def open_stat(process: int) -> str:
    """The process's state line; where there is no /proc, that of a running one."""
    return Path(f"/proc/{process}/stat").read_text() if Path("/proc/self/stat").exists() else ") R"
