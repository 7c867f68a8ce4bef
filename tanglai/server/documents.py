"""In charge of attached documents over HTTP: sent before they are attached, and read by the parties to their matter."""

import asyncio
from math import ceil
from urllib.parse import quote

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from authz.principal import Principal
from schema.context import resources_of
from tanglai.catalogue.workflow.attachments import MOST_BYTES, Attached
from tanglai.catalogue.workflow.errors import InvalidAct, NotFound
from tanglai.catalogue.workflow.parties import Acting, Role
from tanglai.server.endpoint import read_headers, request_id
from tanglai.server.identity import Entrance, bearer
from tanglai.server.refusals import Refusal
from tanglai.server.settings import Settings
from tanglai.server.spreadsheets import Office
from tanglai.server.supervision import Slots
from tanglai.storage.workflow import attachments

MAX_AT_ONCE = 8
"""Documents that a process takes in or gives at once: each is held in memory."""
_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


class DocumentRoutes:
    """`POST /documents` and `GET /documents/<matter>/<department>/<number>`, for holders of a token with a role."""

    def __init__(self, office: Office, entrance: Entrance, settings: Settings) -> None:
        self._office, self._entrance, self._settings = office, entrance, settings
        self._slots = Slots(MAX_AT_ONCE)

    def routes(self) -> list[Route]:
        return [
            Route("/documents", self._upload, methods=["POST"]),
            Route("/documents/{id:path}", self._download, methods=["GET"]),
        ]

    async def _upload(self, request: Request) -> Response:
        """Answers 201 with the id by which `documents: [{upload}]` of a mutation attaches it, once, within a day."""
        principal = await self._principal(request)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        with self._slots:
            content = await self._body(request)
            moment = await self._office.moment()
            acting = Acting(
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
            document = Attached(request.query_params.get("name", ""), kind, content)
            try:
                id = await attachments.upload(self._office.desk, acting, document)
            except InvalidAct as error:
                raise Refusal(422, "; ".join(problem.message for problem in error.problems)) from error
        return Response(orjson.dumps({"upload": id}), 201, _HEADERS, media_type="application/json")

    async def _download(self, request: Request) -> Response:
        principal = await self._principal(request)
        with self._slots:
            try:
                found, content = await attachments.content(
                    self._office.desk, principal.department.code, request.path_params["id"]
                )
            except NotFound:
                raise Refusal(404, "no such document") from None
        # What a party sent is never shown as a page of this platform.
        headers = {
            **_HEADERS,
            "content-disposition": f"attachment; filename*=UTF-8''{quote(found.name, safe='')}",
            "content-security-policy": "sandbox",
        }
        return Response(content, headers=headers, media_type=found.media_type)

    async def _principal(self, request: Request) -> Principal:
        principal, _ = await self._entrance.admit(bearer(request.headers.getlist("authorization")))
        if not principal.roles & {role.value for role in Role}:
            raise Refusal(403, "documents are for people with a role of the law's work")
        return principal

    async def _body(self, request: Request) -> bytes:
        announced = request.headers.get("content-length")
        if announced is not None and (not announced.isdigit() or int(announced) > MOST_BYTES):
            raise _too_long()
        body = bytearray()
        try:
            async with asyncio.timeout(self._settings.body_seconds * ceil(MOST_BYTES / 2**20)):
                async for part in request.stream():
                    body += part
                    if len(body) > MOST_BYTES:
                        raise _too_long()
        except TimeoutError:
            raise Refusal(408, "the body did not arrive in time", headers=((b"connection", b"close"),)) from None
        except ClientDisconnect:
            raise Refusal(400, "the body did not arrive whole") from None
        return bytes(body)


def _too_long() -> Refusal:
    return Refusal(413, f"a document has at most {MOST_BYTES} bytes")
