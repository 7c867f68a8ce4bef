"""In charge of the platform of a measurement: catalogue, departments, grants, tokens, a database for each node."""

import asyncio
import base64
import json
import os
import secrets
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import asyncpg

from benchmarks.speed.data import Servers
from tanglai.catalogue.identity import credit_check
from tanglai.catalogue.model import Department, Grant, GrantBasis, Level, Purpose
from tanglai.server.issuer import DemoIssuer
from tanglai.server.settings import Settings
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.publishing import CatalogueChange

ROOT = Path(__file__).parent.parent.parent
CATALOGUE = Path(__file__).parent / "catalogue"
PURPOSE = "PUBLIC-SERVICE"
CLIENTS = 4
"""Clients of each department, a token each."""
TOKEN_SECONDS = 48 * 3600
RESIDENTS, FILES, VEHICLES = "1010101/1", "301010/1", "301020/1"
MANY_GRANTS, MANY_DEPARTMENTS, MANY_PURPOSES = 100_000, 500, 40
_SINCE = datetime(2020, 1, 1, tzinfo=UTC)
_BATCH = 10_000
_BUSINESS = ("address", "phone", "householdNumber", "registeredAt", "income")
_FILE = ("idNumber", "name", "sex", "birthDate", "division", *_BUSINESS)
_VEHICLE = ("plate", "brand", "model", "kind", "registeredOn", "ownerIdNumber")
_QUOTA = {"rows": 1_000_000_000, "requests": 100_000_000}
"""Never reached, and counted like any other."""
CITIES = ("6401", "6402", "6403", "6404", "6405")


@dataclass(frozen=True, slots=True)
class Asker:
    """A department that asks: `area` is the start of its rows' division codes, of a department of the region 64."""

    key: str
    code: str
    area: str
    tokens: tuple[str, ...] = ()


class PlatformError(RuntimeError):
    """The platform's database could not be prepared; the message holds what the command said."""


def askers() -> tuple[tuple[Asker, ...], tuple[Asker, ...]]:
    """Eight departments of the region, who read everything, and two of each city, who read their area."""
    region = tuple(Asker(f"region-{n}", _code("640000", n), "64") for n in range(1, 9))
    cities = tuple(Asker(f"city-{area}-{n}", _code(f"{area}00", n), area) for area in CITIES for n in range(1, 3))
    return region, cities


def write_catalogue(folder: Path) -> list[Path]:
    """Writes what the files of CATALOGUE leave out, those who ask and their grants, to `folder`; the files."""
    folder.mkdir(exist_ok=True)
    found = []
    for kind, entries in (("departments", _departments()), ("grants", _grants())):
        found.append(folder / f"{kind}.yaml")
        found[-1].write_text(json.dumps({"kind": kind, kind: entries}, ensure_ascii=False), encoding="utf-8")
    return found


class Platform:
    """Databases of the platform's server, one for each node that takes part, and what their nodes need to run.

    `tree` is the checkout whose program makes a database and runs the node over it.
    """

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self.state_dir = servers.state / "node"
        self.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._files = write_catalogue(servers.state / "catalogue")

    def environment(self, database: str, tree: Path = ROOT) -> dict[str, str]:
        """Environment of a node over `database`, and of its commands."""
        return {
            **self._servers.environment(),
            "PYTHONPATH": str(tree),
            "TANGLAI_DATABASE_URL": self._servers.platform.url(database),
            "TANGLAI_KEY": self._key(),
            "TANGLAI_STATE_DIR": str(self.state_dir),
            "TANGLAI_DEMO_ISSUER": "1",
        }

    def prepare(self, database: str, tree: Path = ROOT) -> None:
        """Make `database` anew with the catalogue, and the grants of everyone who asks. Raises PlatformError."""
        asyncio.run(_create(self._servers.platform.url(), database))
        self._import(database, tree)

    def prepare_many(self, database: str) -> None:
        """The same with 100,000 grants of 500 departments, from a template kept between runs."""
        template, mark = "many_grants", self._servers.state / "many-grants-version"
        wanted = _version()
        if not mark.exists() or mark.read_text() != wanted:
            mark.unlink(missing_ok=True)
            print("recording 100,000 grants, once", flush=True)
            self.prepare(template)
            asyncio.run(_fill(self._servers.platform.url(template)))
            mark.write_text(wanted)
        asyncio.run(_create(self._servers.platform.url(), database, template))

    def drop(self, database: str) -> None:
        """Forget `database`."""
        asyncio.run(_drop(self._servers.platform.url(), database))

    def tokens(self) -> tuple[tuple[Asker, ...], tuple[Asker, ...]]:
        """Everyone who asks, with tokens of the demo issuer."""
        issuer = DemoIssuer.open(Settings(state_dir=self.state_dir, demo_issuer=True))

        def with_tokens(asker: Asker) -> Asker:
            tokens = (
                issuer.issue(asker.code, client=f"{asker.key}-{n}", purposes=[PURPOSE], lifetime=TOKEN_SECONDS)
                for n in range(CLIENTS)
            )
            return Asker(asker.key, asker.code, asker.area, tuple(tokens))

        region, cities = askers()
        return tuple(map(with_tokens, region)), tuple(map(with_tokens, cities))

    def _import(self, database: str, tree: Path) -> None:
        environment = {**os.environ, **self.environment(database, tree)}
        program = str(Path(sys.executable).parent / "tanglai")
        for arguments in (["migrate"], ["catalogue", "import", str(CATALOGUE), *map(str, self._files)]):
            done = subprocess.run(
                [program, *arguments], env=environment, cwd=tree, capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise PlatformError(f"`tanglai {arguments[0]}` failed: {(done.stdout + done.stderr).strip()}")

    def _key(self) -> str:
        path = self._servers.state / "key"
        if not path.exists():
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write(base64.b64encode(secrets.token_bytes(32)).decode())
        return path.read_text()


def _code(division: str, number: int) -> str:
    body = f"11{division}BM{number:06d}0"
    return body + credit_check(body)


def _departments() -> list[dict[str, Any]]:
    region, cities = askers()
    provider: dict[str, Any] = {"key": "public-security", "name": "宁夏回族自治区公安厅", "code": _code("640000", 99)}
    known: list[dict[str, Any]] = [
        provider | {"level": "REGION", "division": "640000"},
        {"key": "data-office", "name": "宁夏回族自治区数据局", "code": _code("640000", 98), "level": "REGION"}
        | {"division": "640000", "competent": True},
    ]
    for asker in (*region, *cities):
        level, division = ("REGION", "640000") if asker in region else ("CITY", f"{asker.area}00")
        known.append(
            {"key": asker.key, "name": f"部门 {asker.key}", "code": asker.code, "level": level, "division": division}
        )
    return [{**one, "nameEn": one["key"]} for one in known]


def _grants() -> list[dict[str, Any]]:
    region, cities = askers()
    terms = {"purpose": PURPOSE, "validFrom": "2020-01-01", "basis": "APPLICATION", "quota": _QUOTA}
    found: list[dict[str, Any]] = []
    for asker in region:
        whose = {"requester": asker.key, **terms}
        found += [
            {"id": f"R-{asker.key}", "resource": RESIDENTS, "items": _BUSINESS, "relations": ["vehicles"], **whose},
            {"id": f"V-{asker.key}", "resource": VEHICLES, "items": _VEHICLE, "relations": ["owner"], **whose},
        ]
    scope = {"division": {"within": {"attribute": "department.division"}}}
    for asker in cities:
        whose = {"requester": asker.key, **terms}
        masked = {"scope": scope, "masks": {"phone": "ends"}}
        found.append({"id": f"F-{asker.key}", "resource": FILES, "items": _FILE, **masked, **whose})
    return found


def _version() -> str:
    """A digest of what makes the database with many grants: the catalogue, the tables, this module."""
    total = sha256()
    migrations = ROOT / "tanglai" / "storage" / "migrations" / "versions"
    for path in [*sorted(CATALOGUE.glob("*.yaml")), *sorted(migrations.glob("*.py")), Path(__file__)]:
        total.update(path.name.encode() + path.read_bytes())
    return total.hexdigest()


async def _fill(url: str) -> None:
    """500 departments, the same number of grants for each: other purposes, other items, some of them over."""
    region, _ = askers()
    others = tuple(Asker(f"other-{n}", _code("640000", 1_000 + n), "64") for n in range(MANY_DEPARTMENTS - len(region)))
    purposes = [f"PURPOSE-{n}" for n in range(MANY_PURPOSES)]
    async with await PlatformDatabase.open(url) as database:
        await database.publish(
            CatalogueChange(
                by="bench",
                departments=tuple(
                    Department(a.code, a.key, f"部门 {a.key}", a.key, Level.REGION, "640000") for a in others
                ),
                purposes=tuple(Purpose(code, f"用途 {code}", code) for code in purposes),
            )
        )
        each = MANY_GRANTS // MANY_DEPARTMENTS
        made = [_other_grant(asker, n, purposes) for asker in (*region, *others) for n in range(each)]
        for start in range(0, len(made), _BATCH):
            await database.put_grants(made[start : start + _BATCH], by="bench")


def _other_grant(asker: Asker, number: int, purposes: list[str]) -> Grant:
    resource, items = ((RESIDENTS, _BUSINESS), (VEHICLES, _VEHICLE))[number % 2]
    # Every tenth is for the purpose of the measurement, and over.
    over = number % 10 == 0
    return Grant(
        id=f"M-{asker.key}-{number}",
        requester=asker.code,
        resource=resource,
        items=frozenset(items[: 1 + number % len(items)]),
        purpose=PURPOSE if over else purposes[number % len(purposes)],
        valid_from=_SINCE,
        valid_to=_SINCE.replace(year=2021) if over else None,
        basis=GrantBasis.APPLICATION,
    )


async def _create(url: str, database: str, template: str = "template1") -> None:
    # Not by the embedded server's own means, which only the process that runs it has.
    await _drop(url, database)
    connection: asyncpg.Connection[Any] = await asyncpg.connect(url)
    try:
        await connection.execute(f'CREATE DATABASE "{database}" TEMPLATE "{template}"')
    finally:
        await connection.close()


async def _drop(url: str, database: str) -> None:
    connection: asyncpg.Connection[Any] = await asyncpg.connect(url)
    try:
        await connection.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')
    finally:
        await connection.close()
