"""In charge of spreadsheets over HTTP: template and own catalogue to download, files too large for `/graphql`."""

import asyncio
from collections.abc import Awaitable, Callable
from math import ceil
from typing import Any, Protocol

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from authz.principal import Principal
from schema.context import resources_of
from tanglai.catalogue.errors import ErrorCode
from tanglai.catalogue.guide.writing import template, write_guide
from tanglai.catalogue.workflow.errors import InvalidAct, NotPermitted, ProblemCode, WorkflowError
from tanglai.catalogue.workflow.parties import Acting
from tanglai.server.endpoint import read_headers, request_id
from tanglai.server.identity import Entrance, bearer
from tanglai.server.refusals import Refusal
from tanglai.server.settings import Settings
from tanglai.server.supervision import Slots
from tanglai.storage.replica import Moment
from tanglai.storage.workflow import imports
from tanglai.storage.workflow.desk import Desk

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MAX_AT_ONCE = 4
"""Spreadsheets that a process takes in or makes at once: each is held in memory."""
_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


class Office(Protocol):
    """What a node has once it has started. Raises TanglaiError POLICY_UNAVAILABLE before."""

    @property
    def desk(self) -> Desk: ...

    async def moment(self) -> Moment: ...


class SpreadsheetRoutes:
    """`/catalogue-template.xlsx`, `/catalogue.xlsx` and `/catalogue-imports`, each for holders of a token."""

    def __init__(self, office: Office, entrance: Entrance, settings: Settings) -> None:
        self._office, self._entrance, self._settings = office, entrance, settings
        self._slots = Slots(MAX_AT_ONCE)

    def routes(self) -> list[Route]:
        return [
            Route("/catalogue-template.xlsx", self._template, methods=["GET"]),
            Route("/catalogue.xlsx", self._catalogue, methods=["GET"]),
            Route("/catalogue-imports", self._import, methods=["POST"]),
        ]

    async def _principal(self, request: Request) -> Principal:
        principal, _ = await self._entrance.admit(bearer(request.headers.getlist("authorization")))
        return principal

    async def _template(self, request: Request) -> Response:
        await self._principal(request)
        moment = await self._office.moment()
        return await self._file("catalogue-template.xlsx", lambda: template(moment.snapshot))

    async def _catalogue(self, request: Request) -> Response:
        """What the department has published, in both zones, as the spreadsheet that it would import."""
        own = (await self._principal(request)).department.code
        snapshot = (await self._office.moment()).snapshot
        resources = [it for _, it in sorted(snapshot.resources.items()) if own == (it.compiler or it.provider)]
        return await self._file("catalogue.xlsx", lambda: write_guide(snapshot, resources))

    async def _file(self, name: str, make: Callable[[], bytes]) -> Response:
        with self._slots:
            content = await asyncio.to_thread(make)
        return Response(
            content, headers={**_HEADERS, "content-disposition": f'attachment; filename="{name}"'}, media_type=XLSX
        )

    async def _import(self, request: Request) -> Response:
        principal = await self._principal(request)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in (XLSX, "application/octet-stream"):
            raise Refusal(415, f"the body is an XLSX file: `{XLSX}`")
        with self._slots:
            content = await self._body(request)
            name = request.query_params.get("fileName", "catalogue.xlsx")
            acting = self._acting(principal, request, await self._office.moment())
            return await _answered(imports.start(self._office.desk, acting, name, content))

    async def _body(self, request: Request) -> bytes:
        limit = self._settings.max_import_bytes
        announced = request.headers.get("content-length")
        if announced is not None and (not announced.isdigit() or int(announced) > limit):
            raise _too_long(limit)
        body = bytearray()
        try:
            async with asyncio.timeout(self._settings.body_seconds * ceil(limit / 2**20)):
                async for part in request.stream():
                    body += part
                    if len(body) > limit:
                        raise _too_long(limit)
        except TimeoutError:
            raise Refusal(408, "the body did not arrive in time", headers=((b"connection", b"close"),)) from None
        except ClientDisconnect:
            raise Refusal(400, "the body did not arrive whole") from None
        return bytes(body)

    def _acting(self, principal: Principal, request: Request, moment: Moment) -> Acting:
        return Acting(
            principal.department.code,
            principal.client,
            principal.person,
            principal.roles,
            moment.now,
            moment.snapshot,
            request_id(read_headers(request.scope)[0].get(b"x-request-id")),
            self._settings.node,
            resources_of(principal),
        )


async def _answered(starting: Awaitable[imports.Import]) -> Response:
    try:
        it = await starting
    except WorkflowError as error:
        return _json(_status(error), {"errors": [_told(error)]})
    return _json(202, {"id": it.id})


def _status(error: WorkflowError) -> int:
    if isinstance(error, NotPermitted):
        return 403
    taken = isinstance(error, InvalidAct) and any(it.code is ProblemCode.TAKEN for it in error.problems)
    return 409 if taken else 422


def _told(error: WorkflowError) -> dict[str, Any]:
    """The typed result of `importCatalogue`, as an error of HTTP."""
    extensions: dict[str, Any] = {"code": "NOT_PERMITTED" if isinstance(error, NotPermitted) else "INVALID"}
    if error.article is not None:
        extensions["article"] = error.article
    if isinstance(error, InvalidAct):
        extensions["problems"] = [
            {"field": list(it.field), "code": it.code.value, "message": it.message} for it in error.problems
        ]
    return {"message": error.message, "extensions": extensions}


def _json(status: int, document: dict[str, Any]) -> Response:
    return Response(orjson.dumps(document), status, _HEADERS, media_type="application/json")


def _too_long(limit: int) -> Refusal:
    return Refusal(413, f"the body is longer than {limit} bytes", code=ErrorCode.LIMIT_EXCEEDED)
