"""The platform database on PostgreSQL 15, the oldest that is promised (Debian's package)."""

import asyncio
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from tanglai.audit.log import AuditLog
from tanglai.audit.records import AuditRecord, Outcome
from tanglai.catalogue.model import Grant, GrantBasis, GrantState, Quota, Zone
from tanglai.catalogue.quotas import Counts
from tanglai.storage import migrate
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.keys import MasterKey
from tanglai.storage.publishing import CatalogueChange
from tanglai.storage.replica import Replica
from tests.catalogues import YINCHUAN, population, resource_code

BINARIES = Path("/usr/lib/postgresql/15/bin")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    if not (BINARIES / "initdb").exists():
        if os.environ.get("CI") == "true":
            pytest.fail("Debian's package postgresql-15 is missing")
        pytest.skip("install Debian's package postgresql-15")
    folder = Path(tempfile.mkdtemp(prefix="tanglai-pg15-"))
    as_user: dict[str, str] = {}
    if os.geteuid() == 0:
        user = pwd.getpwnam("nobody")
        os.chown(folder, user.pw_uid, user.pw_gid)
        as_user = {"user": "nobody"}
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    data = folder / "data"
    initdb = [BINARIES / "initdb", "-D", data, "--auth=trust", "--username=tanglai", "--locale=C.UTF-8", "-E", "UTF8"]
    subprocess.run(initdb, cwd=folder, check=True, capture_output=True, **as_user)  # type: ignore[call-overload]
    command = [BINARIES / "postgres", "-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", ""]
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL, **as_user)  # type: ignore[call-overload]
    found = f"postgresql://tanglai@127.0.0.1:{port}/postgres"
    try:
        asyncio.run(_wait(found))
        yield found
    finally:
        process.terminate()
        process.wait(timeout=30)
        shutil.rmtree(folder)


async def _wait(url: str) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            await (await asyncpg.connect(url)).close()
            return
        except (OSError, asyncpg.PostgresError):
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)


async def test_everything_that_the_platform_asks_of_its_database(url: str) -> None:
    await migrate.upgrade(url)
    now = datetime.now(UTC)
    catalogue = population()
    resident = resource_code("resident")
    async with await PlatformDatabase.open(url, master_key=MasterKey(bytes(32))) as database:
        await database.publish(
            CatalogueChange(
                by="test",
                divisions=tuple(catalogue.divisions.values()),
                departments=tuple(catalogue.departments.values()),
                purposes=tuple(catalogue.purposes.values()),
                categories=tuple(catalogue.categories.values()),
                sources=tuple(catalogue.sources.values()),
                resources=tuple(catalogue.resources.values()),
            )
        )
        grant = Grant(
            "g1",
            YINCHUAN.code,
            resident,
            frozenset({"phone"}),
            "assistance",
            now - timedelta(days=1),
            now + timedelta(days=1),
            GrantBasis.APPLICATION,
        )
        await database.put_grants([grant])
        assert len((await database.keys("seal"))[0].secret) == 32
        day, quota = date(2020, 5, 6), Quota(rows=10)
        assert await database.take_quota("g1", day, Counts(10), quota) == Counts(10)
        assert await database.take_quota("g1", day, Counts(1), quota) is None
        await database.return_quota([("g1", day, Counts(4))])
        assert await database.used_quotas(["g1"], day) == {"g1": Counts(6)}
        assert await database.count_subjects("g1", day, {b"a", b"b"}) == 2
        assert len(await database.quota_key(day)) == 32
        assert await database.forget_subjects() == 2
        async with Replica(database, Zone.EXTRANET) as replica:
            moment = await replica.confirm()
            assert set(moment.snapshot.resources) == set(catalogue.resources)
            assert [g.state for g in await replica.grants(YINCHUAN.code)] == [GrantState.ACTIVE]
            await database.set_grant_state("g1", GrantState.SUSPENDED, by="test", reason="test")
            await database.confirm(moment.grants_epoch)
        assert [g.state for g in await database.load_grants(YINCHUAN.code)] == [GrantState.SUSPENDED]
        log = AuditLog(database.pool)
        await log.append(
            AuditRecord(
                "r",
                now,
                YINCHUAN.code,
                "c",
                None,
                None,
                None,
                "0" * 64,
                "text",
                (),
                {},
                (),
                {},
                Outcome.ALLOWED,
                (),
                1,
                "n",
            )
        )
        await log.close()
        assert await database.pool.fetchval("SELECT count(*) FROM audit_record WHERE document_kind = 'text'") == 1
