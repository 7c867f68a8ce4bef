"""In charge of the case `cold_plan`: what a document costs that was never asked before, over the demo's own sources.

Bars: 5 ms after parsing and validation for one statement, 2 ms more for each further one. Times are those of this
process's CPU: the first request with a document less a second one with the same; decisions are in the caches, as they
are for all but the first request of a department.
"""

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from authz.principal import Principal
from connectors.pool import SourcePool
from demo.region import CATALOGUE, DemoRegion
from resolvers.document import Documents
from resolvers.gateway import Gateway
from resolvers.limits import Limits
from resolvers.requests import GraphQLRequest
from tanglai.audit.log import AuditLog
from tanglai.catalogue.model import Zone
from tanglai.server.compose import mask_key_of, seals_of
from tanglai.storage.database import PlatformDatabase
from tanglai.storage.keys import MasterKey
from tanglai.storage.migrate import upgrade
from tanglai.storage.replica import Replica

DEPARTMENT, PURPOSE = "social-security", "PENSION-VERIFICATION"
ITEMS = "name idNumber gender birthDate division phone currentAddress __typename"
"""Five unconditional items, one under each of two scopes, and the name of the type."""
STATEMENTS = (1, 2, 5)
DOCUMENTS, WARM = 40, 5
FIRST_MS, FURTHER_MS = 5.0, 2.0


def run() -> dict[str, Any]:
    """Medians in milliseconds: reading a document (parsing and validation), then planning it, by statements."""
    with tempfile.TemporaryDirectory(prefix="tanglai-cold-") as scratch, DemoRegion(Path(scratch)) as region:
        environment = {**os.environ, **region.environment()}
        tanglai = str(Path(sys.executable).parent / "tanglai")
        subprocess.run(
            [tanglai, "catalogue", "import", str(CATALOGUE)], env=environment, check=True, capture_output=True
        )
        figures = asyncio.run(_measured(environment))
    missed = [n for n in STATEMENTS if figures[f"plan_{n}_ms"] > FIRST_MS + FURTHER_MS * (n - 1)]
    return {**figures, "met": not missed}


def documents(statements: int) -> Iterator[str]:
    """Documents of so many source calls, each with response keys that no other has."""
    where = "{division: {startsWith: $in}, birthDate: {lt: $day}}"
    for number in range(DOCUMENTS + WARM):
        lists = (
            f"l{part}x{number}: residents(first: 10, where: {where}, orderBy: [{{birthDate: DESC}}]) "
            f"{{ nodes {{ {_renamed(number, part)} }} }}"
            for part in range(statements)
        )
        yield f"query($in: String!, $day: Date!) {{ data {{ population {{ {' '.join(lists)} }} }} }}"


def _renamed(number: int, part: int) -> str:
    return " ".join(f"{item}{part}x{number}: {item}" for item in ITEMS.split())


async def _measured(environment: dict[str, str]) -> dict[str, Any]:
    async with AsyncExitStack() as stack:
        url = environment["TANGLAI_DATABASE_URL"]
        await upgrade(url)
        database = await PlatformDatabase.open(url, master_key=MasterKey(b64decode(environment["TANGLAI_KEY"])))
        stack.push_async_callback(database.close)
        sources = SourcePool(environment)
        stack.push_async_callback(sources.close)
        audit = AuditLog(database.pool)
        stack.push_async_callback(audit.close)
        replica = Replica(database, Zone.EXTRANET)
        await replica.start()
        stack.push_async_callback(replica.close)
        seals, mask = seals_of(await database.keys("seal")), mask_key_of(await database.keys("mask"))
        gateway = Gateway(replica, sources, audit, seals, mask)
        snapshot = (await replica.confirm()).snapshot
        department = snapshot.department_by_key[DEPARTMENT]
        asker = Principal(department, "bench", purposes=frozenset({PURPOSE}))
        read = Documents((await gateway.schema()).graphql, Limits())
        figures: dict[str, Any] = {}
        for statements in STATEMENTS:
            reading: list[float] = []
            planning: list[float] = []
            for text in documents(statements):
                began = time.process_time()
                read.document(text)
                known = time.process_time()
                first = await _asked(gateway, text, asker)
                again = await _asked(gateway, text, asker)
                reading.append(known - began)
                planning.append(first - (known - began) - again)
            figures[f"read_{statements}_ms"] = _median_ms(reading)
            figures[f"plan_{statements}_ms"] = _median_ms(planning)
        return figures


async def _asked(gateway: Gateway, text: str, asker: Principal) -> float:
    """CPU seconds of this process for one answer. Raises RuntimeError for a wrong one."""
    given = {"in": "6401", "day": "2000-01-01"}
    request = GraphQLRequest(text, None, given, {}, asker, None, "en", "bench", False)
    began = time.process_time()
    response = await gateway.execute(request)
    spent = time.process_time() - began
    if response.status != 200 or b'"errors"' in response.body:
        raise RuntimeError(f"a wrong answer: {response.body[:500]!r}")
    return spent


def _median_ms(seconds: list[float]) -> float:
    return round(statistics.median(seconds[WARM:]) * 1000, 2)
