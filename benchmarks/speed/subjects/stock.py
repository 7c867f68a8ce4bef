"""In charge of the subject `strawberry`: stock Strawberry as a good engineer writes it, no authorization, no audit.

Its ASGI view with the caches of parsed and validated documents and orjson; asynchronous resolvers over asyncpg's pools,
whose statements are constants and so prepared once a connection; aiodataloader for the second source; uvicorn with
uvloop and httptools.
"""

import argparse
import contextlib
import gc
import os
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import asyncpg
import orjson
import strawberry
import uvicorn
from aiodataloader import DataLoader
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.extensions import ParserCache, ValidationCache

from benchmarks.speed.contract import POOL, RESIDENT_FIELDS, VEHICLE_FIELDS, Call, Draw, Subject, graphql_call

_RESIDENTS = """
SELECT id_number, name, sex, birth_date, division, ethnicity, address, phone, household_number, station, education,
    registered_at, income, active
FROM population.residents WHERE id_number >= $1 ORDER BY id_number LIMIT $2
"""
_VEHICLES = """
SELECT owner_id_number, plate, brand, model, kind, color, energy, registered_on, status
FROM traffic.vehicles WHERE owner_id_number = ANY($1::text[]) ORDER BY plate
"""


@strawberry.type
class Vehicle:
    """A row of the second source."""

    owner_id_number: str
    plate: str
    brand: str
    model: str
    kind: str
    color: str
    energy: str
    registered_on: date
    status: str


@strawberry.type
class Resident:
    """A row of the first source."""

    id_number: str
    name: str
    sex: str
    birth_date: date
    division: str
    ethnicity: str
    address: str
    phone: str | None
    household_number: str
    station: str
    education: str | None
    registered_at: datetime
    income: Decimal | None
    active: bool

    @strawberry.field
    async def vehicles(self, info: strawberry.Info[dict[str, Any], None]) -> list[Vehicle]:
        """Of the second source, by `plate`; one statement for all residents of the list."""
        found: list[Vehicle] = await info.context["vehicles"].load(self.id_number)
        return found


@strawberry.type
class Query:
    """The lists."""

    @strawberry.field
    async def residents(
        self, info: strawberry.Info[dict[str, Any], None], id_number_from: str, first: int
    ) -> list[Resident]:
        """The first residents from an identity number on, in its order."""
        rows = await info.context["left"].fetch(_RESIDENTS, id_number_from, first)
        return [Resident(**row) for row in rows]


class _View(GraphQL[dict[str, Any], None]):
    """Strawberry's view with this application's pools, a loader for each request, and orjson, as its manual says."""

    left: Any
    right: Any

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> dict[str, Any]:
        async def load(owners: list[str]) -> list[list[Vehicle]]:
            vehicles = defaultdict(list)
            for row in await self.right.fetch(_VEHICLES, owners):
                vehicles[row["owner_id_number"]].append(Vehicle(**row))
            return [vehicles[owner] for owner in owners]

        return {"left": self.left, "vehicles": DataLoader(load)}

    def encode_json(self, data: object) -> bytes:
        return orjson.dumps(data)


def schema() -> strawberry.Schema:
    """Resolvers and caches."""
    return strawberry.Schema(Query, extensions=[ParserCache, ValidationCache])


def application() -> Starlette:
    """The ASGI application; its pools are open while it runs."""
    view = _View(schema(), graphql_ide=None)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with _pool("BENCH_LEFT") as view.left, _pool("BENCH_RIGHT") as view.right:
            gc.freeze()
            yield

    return Starlette(routes=[Route("/graphql", view)], lifespan=lifespan)


def _pool(variable: str) -> Any:
    # No session is ever changed here: nothing need be reset after each use.
    size = int(os.environ.get("BENCH_POOL", POOL))
    return asyncpg.create_pool(os.environ[variable], min_size=size, max_size=size, reset=_keep)


async def _keep(_: Any) -> None:
    """Leaves a session as it is."""


_FIELDS = " ".join(RESIDENT_FIELDS)
_LIST = (
    f"query List($start: String!, $first: Int!) {{ residents(idNumberFrom: $start, first: $first) {{ {_FIELDS} }} }}"
)
_JOIN = _LIST.replace(_FIELDS, f"{_FIELDS} vehicles {{ {' '.join(VEHICLE_FIELDS)} }}")


def _call(draw: Draw) -> Call:
    query = _JOIN if draw.case == "join_100" else _LIST
    return graphql_call(query, {"start": draw.start, "first": draw.count})


def _rows(case: str, answer: Any) -> list[dict[str, Any]]:
    if answer.get("errors"):
        raise ValueError(f"strawberry answered with errors: {answer['errors']}")
    rows: list[dict[str, Any]] = answer["data"]["residents"]
    return rows


def _command(port: int) -> Sequence[str]:
    return [sys.executable, "-m", "benchmarks.speed.subjects.stock", "--port", str(port)]


SUBJECT = Subject(
    name="strawberry",
    cases=frozenset({"list_1", "list_100", "list_1000", "join_100"}),
    command=_command,
    call=_call,
    rows=_rows,
)


def main() -> None:
    """Serves until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    uvicorn.run(application(), port=port, loop="uvloop", http="httptools", access_log=False, log_level="warning")


if __name__ == "__main__":
    main()
