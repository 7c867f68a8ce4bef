"""In charge of what the workbench gets while the demo issuer is on: who may be played, examples, tokens."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tanglai.catalogue.model import Department, Purpose
from tanglai.server.endpoint import read_headers
from tanglai.server.issuer import DemoIssuer
from tanglai.server.media import is_json_body
from tanglai.server.parameters import strict_json
from tanglai.server.refusals import Refusal
from tanglai.server.settings import is_loopback

CLIENT = "workbench"
LIFETIME = 3600
MAX_BODY = 4096
_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff", "referrer-policy": "no-referrer"}


@dataclass(frozen=True, slots=True)
class DemoExample:
    """One example operation: asked as `department` (its key) for `purpose` (its code)."""

    title: str
    title_en: str
    department: str
    purpose: str
    query: str
    variables: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class DemoSession:
    """What a demo region offers in the workbench; `roles` are those of the workbench's tokens, by department key."""

    departments: tuple[Department, ...]
    purposes: tuple[Purpose, ...]
    department: str
    purpose: str
    examples: tuple[DemoExample, ...] = ()
    roles: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))

    def document(self) -> dict[str, Any]:
        """The answer of `GET /demo/session`."""
        return {
            "departments": [
                {"key": one.key, "code": one.code, "name": one.name, "nameEn": one.name_en} for one in self.departments
            ],
            "purposes": [{"code": one.code, "title": one.title, "titleEn": one.title_en} for one in self.purposes],
            "default": {"department": self.department, "purpose": self.purpose},
            "examples": [
                {
                    "title": one.title,
                    "titleEn": one.title_en,
                    "department": one.department,
                    "purpose": one.purpose,
                    "query": one.query,
                    "variables": dict(one.variables),
                }
                for one in self.examples
            ],
        }


class DemoRoutes:
    """`/demo/session` and `/demo/token`, for pages of this very server on this very machine."""

    def __init__(self, session: DemoSession, issuer: DemoIssuer) -> None:
        self._session, self._issuer = session, issuer
        self._document = orjson.dumps(session.document())
        self._departments = {one.key: one for one in session.departments}
        self._purposes = {one.code for one in session.purposes}

    def routes(self) -> list[Route]:
        return [
            Route("/demo/session", self._serve_session, methods=["GET"]),
            Route("/demo/token", self._serve_token, methods=["POST"]),
        ]

    async def _serve_session(self, request: Request) -> Response:
        require_own_page(request)
        return Response(self._document, media_type="application/json", headers=_HEADERS)

    async def _serve_token(self, request: Request) -> Response:
        require_own_page(request)
        headers, _ = read_headers(request.scope)
        if not is_json_body(headers.get(b"content-type", b"")):
            raise Refusal(415, "the body is application/json in UTF-8")
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > MAX_BODY:
                raise Refusal(413, f"the body has more than {MAX_BODY} bytes")
        asked = strict_json(body, "the body")
        if not isinstance(asked, dict):
            raise Refusal(400, "the body is not a JSON object")
        key, purpose = asked.get("department"), asked.get("purpose")
        department = self._departments.get(key) if isinstance(key, str) else None
        if department is None:
            raise Refusal(400, "`department` is no department of the demo")
        if purpose is not None and (not isinstance(purpose, str) or purpose not in self._purposes):
            raise Refusal(400, "`purpose` is no purpose of the demo")
        expires = datetime.now(UTC) + timedelta(seconds=LIFETIME)
        token = self._issuer.issue(
            department.code,
            client=CLIENT,
            purposes=[purpose] if purpose else [],
            roles=self._session.roles.get(department.key, frozenset()),
            lifetime=LIFETIME,
        )
        answer = {"token": token, "expiresAt": expires.replace(microsecond=0).isoformat()}
        return Response(orjson.dumps(answer), media_type="application/json", headers=_HEADERS)


def require_own_page(request: Request) -> None:
    """Raises Refusal 403 unless the request comes from a page of this server, or from no page at all.

    `Host` must name this machine: a foreign name that was made to resolve to it (DNS rebinding) is turned away.
    """
    host = request.headers.get("host", "")
    if not is_loopback(_hostname(host)) or request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        raise Refusal(403, "the demo answers pages of this server only")
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
        raise Refusal(403, "the demo answers pages of this server only")


def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
