"""In charge of the subject `raw`: what a good engineer writes by hand for one query, and the limit of this stack.

A Starlette handler for each case, uvicorn with uvloop and httptools, one prepared statement whose JSON the database
makes, its text sent as it comes. No token, no purpose, no decision, no quota, no audit.
"""

import argparse
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import asyncpg
import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.speed.cases import MASK_PREFIX, MASK_SUFFIX
from benchmarks.speed.contract import Call, Draw, Subject

_COLUMNS = (
    'id_number AS "idNumber", name, sex, birth_date AS "birthDate", division, address, {phone} AS phone, '
    'household_number AS "householdNumber", registered_at AS "registeredAt", income'
)
_MASKED = (
    f"CASE WHEN char_length(phone) > {MASK_PREFIX + MASK_SUFFIX} THEN left(phone, {MASK_PREFIX}) || "
    f"repeat('*', char_length(phone) - {MASK_PREFIX + MASK_SUFFIX}) || right(phone, {MASK_SUFFIX}) "
    "ELSE repeat('*', char_length(phone)) END"
)
_PAGE = "FROM population.residents WHERE id_number >= $1 {scope}ORDER BY id_number LIMIT $2"
_ARRAY = "SELECT coalesce(json_agg(row_to_json(page)), '[]')::text FROM (SELECT {columns} {page}) AS page"

LIST = _ARRAY.format(columns=_COLUMNS.format(phone="phone"), page=_PAGE.format(scope=""))
SCOPED = _ARRAY.format(columns=_COLUMNS.format(phone=_MASKED), page=_PAGE.format(scope="AND division LIKE $3 "))
PARENTS = "SELECT {key}, row_to_json(page)::text FROM (SELECT {columns} {page}) AS page".format(
    key='"idNumber"', columns=_COLUMNS.format(phone="phone"), page=_PAGE.format(scope="")
)
CHILDREN = """
SELECT owner_id_number, json_agg(json_build_object('plate', plate, 'brand', brand, 'model', model, 'kind', kind,
    'registeredOn', registered_on) ORDER BY plate)::text
FROM traffic.vehicles WHERE owner_id_number = ANY($1) GROUP BY owner_id_number
"""
AGGREGATE = """
SELECT json_agg(json_build_object('division', division, 'sex', sex, 'count', count, 'sum', sum, 'max', max)
    ORDER BY division, sex)::text
FROM (SELECT division, sex, count(*) AS count, sum(income) AS sum, max(income) AS max
    FROM population.residents WHERE registered_at >= $1 GROUP BY division, sex) AS groups
"""
_HEADERS = {"content-type": "application/json"}


class Handlers:
    """One method for each path, over a pool for each database."""

    def __init__(self) -> None:
        self._left: asyncpg.Pool[Any]
        self._right: asyncpg.Pool[Any]

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Opens the pools."""
        size = int(os.environ["BENCH_POOL"])
        # The pool's reset between two uses is left out: nothing here changes a session.
        options: dict[str, Any] = {"min_size": size, "max_size": size, "reset": _nothing}
        async with (
            asyncpg.create_pool(os.environ["BENCH_LEFT"], **options) as self._left,
            asyncpg.create_pool(os.environ["BENCH_RIGHT"], **options) as self._right,
        ):
            yield

    async def list(self, request: Request) -> Response:
        """The window of residents."""
        asked = orjson.loads(await request.body())
        async with self._left.acquire() as connection:
            return Response(await connection.fetchval(LIST, asked["start"], asked["count"]), headers=_HEADERS)

    async def scoped(self, request: Request) -> Response:
        """The window of those of one area, phones masked."""
        asked = orjson.loads(await request.body())
        async with self._left.acquire() as connection:
            text = await connection.fetchval(SCOPED, asked["start"], asked["count"], asked["area"] + "%")
        return Response(text, headers=_HEADERS)

    async def join(self, request: Request) -> Response:
        """The window with vehicles from the other database, stitched as text."""
        asked = orjson.loads(await request.body())
        async with self._left.acquire() as connection:
            parents = await connection.fetch(PARENTS, asked["start"], asked["count"])
        async with self._right.acquire() as connection:
            children = dict(await connection.fetch(CHILDREN, [key for key, _ in parents]))
        parts = [f'{text[:-1]},"vehicles":{children.get(key, "[]")}}}' for key, text in parents]
        return Response(f"[{','.join(parts)}]", headers=_HEADERS)

    async def aggregate(self, request: Request) -> Response:
        """Groups of residents."""
        asked = orjson.loads(await request.body())
        async with self._left.acquire() as connection:
            text = await connection.fetchval(AGGREGATE, datetime.fromisoformat(asked["since"]))
        return Response(text, headers=_HEADERS)


async def _nothing(_: Any) -> None:
    pass


def application() -> Starlette:
    """The handlers by their paths."""
    handlers = Handlers()
    paths: dict[str, Callable[[Request], Awaitable[Response]]] = {
        "/list": handlers.list,
        "/scoped": handlers.scoped,
        "/join": handlers.join,
        "/aggregate": handlers.aggregate,
    }
    return Starlette(
        routes=[Route(path, handler, methods=["POST"]) for path, handler in paths.items()], lifespan=handlers.lifespan
    )


_PATHS = {"join_100": "/join", "aggregate": "/aggregate", "scoped_100": "/scoped"}


def call(draw: Draw) -> Call:
    """The draw's variables alone."""
    window = {"start": draw.start, "count": draw.count}
    asked = {"aggregate": {"since": draw.since}, "scoped_100": {**window, "area": draw.area}}.get(draw.case, window)
    return Call(_PATHS.get(draw.case, "/list"), orjson.dumps(asked).decode())


def rows(case: str, answer: Any) -> list[dict[str, Any]]:
    """See `Subject`: the answer is the rows."""
    return list(answer)


SUBJECT = Subject(
    name="raw",
    cases=frozenset({"list_1", "list_100", "list_1000", "join_100", "aggregate", "scoped_100"}),
    command=lambda port: [sys.executable, "-m", "benchmarks.speed.subjects.raw", "--port", str(port)],
    call=call,
    rows=rows,
)


def main() -> None:
    """Serves until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    uvicorn.run(application(), port=port, loop="uvloop", http="httptools", access_log=False, log_level="warning")


if __name__ == "__main__":
    main()
