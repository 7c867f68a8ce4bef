"""In charge of Public Security's vehicle interface: an HTTP service of its own, as departments have them.

`python -m demo.interface --data FILE --key-file FILE [--port PORT]` serves on loopback and prints `ready URL`.

`GET /vehicles` takes `plate` or `ownerIdNumber` (up to 200 values, separated by commas), `page` (from 1) and `size` (up
to 200), and answers `{"synthetic": true, "total", "page", "size", "items": [...]}`, ordered by plate. `GET /structure`
tells the fields. A request without `Authorization: Bearer KEY` gets 401, a parameter that is not understood 400.
`GET /healthz` tells without a key how many searches were answered.
"""

import argparse
import asyncio
import hmac
import os
import socket
import sys
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

MAX_BATCH = 200
MAX_SIZE = 200
PARAMETERS = frozenset({"plate", "ownerIdNumber", "page", "size"})
STRUCTURE = {
    "recordId": "long",
    "plate": "string",
    "vin": "string",
    "ownerIdNumber": "string",
    "ownerName": "string",
    "brand": "string",
    "model": "string",
    "vehicleType": "string",
    "energy": "string",
    "displacement": "decimal",
    "registeredOn": "date",
    "inspectionValidTo": "date",
    "status": "string",
    "mileage": "integer",
}
"""Fields of a record and their types; decimals and dates are texts."""

Record = Mapping[str, Any]


class Vehicles:
    """All records in memory, found by plate and by owner."""

    def __init__(self, records: Sequence[Record]) -> None:
        self.all = sorted(records, key=lambda record: str(record["plate"]))
        self._by_plate = {record["plate"]: [record] for record in self.all}
        self._by_owner: dict[str, list[Record]] = defaultdict(list)
        for record in self.all:
            self._by_owner[record["ownerIdNumber"]].append(record)

    @classmethod
    def read(cls, path: Path) -> "Vehicles":
        """The records of a file of JSON lines."""
        with path.open("rb") as file:
            return cls([orjson.loads(line) for line in file])

    def find(self, plates: Sequence[str] | None, owners: Sequence[str] | None) -> list[Record]:
        """Records with one of `plates` and of one of `owners`, in the order of plates; None asks for nothing."""
        if plates is None and owners is None:
            return self.all
        if plates is None:
            found = [record for owner in dict.fromkeys(owners or ()) for record in self._by_owner.get(owner, ())]
        else:
            found = [record for plate in dict.fromkeys(plates) for record in self._by_plate.get(plate, ())]
            if owners is not None:
                found = [record for record in found if record["ownerIdNumber"] in owners]
        return sorted(found, key=lambda record: str(record["plate"]))


class _Refused(ValueError):
    """A request that is not understood; the text goes to the caller."""


def application(vehicles: Vehicles, key: str) -> Starlette:
    """The interface as an ASGI application that takes `key` as bearer."""

    searches = 0

    def guarded(answer: Callable[[Request], Any]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            scheme, _, given = request.headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not hmac.compare_digest(given.encode(), key.encode()):
                return _json({"error": "a valid key is needed"}, 401, {"WWW-Authenticate": "Bearer"})
            try:
                return _json(answer(request))
            except _Refused as error:
                return _json({"error": str(error)}, 400)

        return endpoint

    def search(request: Request) -> Any:
        nonlocal searches
        searches += 1
        unknown = set(request.query_params) - PARAMETERS
        if unknown:
            raise _Refused(f"unknown parameter `{min(unknown)}`")
        page, size = _number(request, "page", 1, 10**6), _number(request, "size", MAX_SIZE, MAX_SIZE)
        found = vehicles.find(_values(request, "plate"), _values(request, "ownerIdNumber"))
        start = (page - 1) * size
        rows = found[start : start + size]
        return {"synthetic": True, "total": len(found), "page": page, "size": size, "items": rows}

    async def health(request: Request) -> Response:
        return _json({"status": "ok", "searches": searches})

    return Starlette(
        routes=[
            Route("/vehicles", guarded(search), methods=["GET"]),
            Route("/structure", guarded(lambda _: {"vehicles": STRUCTURE}), methods=["GET"]),
            Route("/healthz", health, methods=["GET"]),
        ]
    )


def _values(request: Request, name: str) -> list[str] | None:
    given = request.query_params.getlist(name)
    if not given:
        return None
    values = [value for text in given for value in text.split(",") if value]
    if len(values) > MAX_BATCH:
        raise _Refused(f"`{name}` takes at most {MAX_BATCH} values")
    return values


def _number(request: Request, name: str, default: int, most: int) -> int:
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and 1 <= int(text) <= most):
        raise _Refused(f"`{name}` is a number from 1 to {most}")
    return int(text)


def _json(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(content), status, dict(headers or {}), "application/json")


async def _serve(app: Starlette, port: int, *, until_input_ends: bool) -> None:
    listener = socket.create_server(("127.0.0.1", port))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off"))
    if until_input_ends:
        loop = asyncio.get_running_loop()

        def ended() -> None:
            if not os.read(sys.stdin.fileno(), 4096):
                loop.remove_reader(sys.stdin.fileno())
                server.should_exit = True

        loop.add_reader(sys.stdin.fileno(), ended)
    print(f"ready http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    await server.serve(sockets=[listener])


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; returns when the service was stopped."""
    parser = argparse.ArgumentParser(prog="python -m demo.interface", description="Public Security's vehicle interface")
    parser.add_argument("--data", type=Path, required=True, help="JSON lines, one vehicle each")
    parser.add_argument("--key-file", type=Path, required=True, help="file with the bearer key")
    parser.add_argument("--port", type=int, default=0, help="port on loopback; 0 takes a free one")
    parser.add_argument(
        "--until-input-ends",
        action="store_true",
        help="stop when standard input ends, which is a pipe from the parent",
    )
    options = parser.parse_args(arguments)
    app = application(Vehicles.read(options.data), options.key_file.read_text().strip())
    asyncio.run(_serve(app, options.port, until_input_ends=options.until_input_ends))


if __name__ == "__main__":
    main()
