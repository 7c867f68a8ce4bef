"""In charge of the workbench's files: read once, served from memory under a strict content policy."""

import asyncio
import gzip
import hashlib
import re
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tanglai.server.media import takes_gzip

WORKBENCH = Path(__file__).parent / "workbench"
MIN_GZIP = 1024

# The hash is that of an empty style sheet, which the editor makes before it fills it through the CSSOM.
CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='; "
    "style-src-attr 'unsafe-inline'; img-src 'self' data:; font-src 'self'; connect-src 'self'; worker-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SECURITY_HEADERS = {
    "content-security-policy": CONTENT_POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}

_HASHED = re.compile(r"-[A-Za-z0-9_-]{8}\.\w+$")
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".ttf": "font/ttf",
    ".woff2": "font/woff2",
}
_COMPRESSED = frozenset({".png", ".woff2"})
_ABSENT = b"<!doctype html><meta charset=utf-8><title>Tanglai</title><p>The workbench is not built here.</p>"


class _Page:
    """One file; its gzip form is made when it is first asked for."""

    def __init__(self, name: str, body: bytes) -> None:
        suffix = Path(name).suffix
        self.body = body
        self.content_type = _TYPES.get(suffix, "application/octet-stream")
        self.tag = f'W/"{hashlib.sha256(body).hexdigest()[:32]}"'
        self.cache = "public, max-age=31536000, immutable" if _HASHED.search(name) else "no-cache"
        self._compressible = suffix not in _COMPRESSED and len(body) >= MIN_GZIP
        self._compressed: bytes | None = None

    async def compressed(self) -> bytes | None:
        if self._compressed is None and self._compressible:
            self._compressed = await asyncio.to_thread(gzip.compress, self.body, 6, mtime=0)
        return self._compressed


class Pages:
    """The built workbench in `folder`: `index.html` and `assets/`.

    Only names found when the folder was read are served, so no path of a request ever reaches the file system.
    """

    def __init__(self, folder: Path = WORKBENCH) -> None:
        index = folder / "index.html"
        self._index = _Page(index.name, index.read_bytes() if index.is_file() else _ABSENT)
        self._assets = {
            path.name: _Page(path.name, path.read_bytes())
            for path in sorted((folder / "assets").glob("*"))
            if path.is_file()
        }

    def routes(self) -> list[Route]:
        return [
            Route("/", self._serve_index, methods=["GET"]),
            Route("/assets/{name}", self._serve_asset, methods=["GET"]),
        ]

    async def _serve_index(self, request: Request) -> Response:
        return await _serve(self._index, request)

    async def _serve_asset(self, request: Request) -> Response:
        page = self._assets.get(request.path_params["name"])
        if page is None:
            return Response(status_code=404, headers=SECURITY_HEADERS)
        return await _serve(page, request)


async def _serve(page: _Page, request: Request) -> Response:
    headers = {**SECURITY_HEADERS, "etag": page.tag, "cache-control": page.cache, "vary": "Accept-Encoding"}
    if page.tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    body = page.body
    encoding = request.headers.get("accept-encoding", "")
    if takes_gzip(encoding.encode("latin-1")) and (compressed := await page.compressed()) is not None:
        body = compressed
        headers["content-encoding"] = "gzip"
    return Response(body, headers={**headers, "content-type": page.content_type})
