"""Everything beside `/graphql`: schema, health, the workbench's files, the demo's session."""

import base64
import gzip
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tanglai.catalogue.errors import ErrorCode, TanglaiError
from tanglai.catalogue.model import Purpose
from tanglai.server.app import build_app
from tanglai.server.demo_session import DemoExample, DemoRoutes, DemoSession
from tanglai.server.identity import Entrance, TokenVerifier
from tanglai.server.issuer import ISSUER, DemoIssuer
from tanglai.server.keys import FixedKeys
from tanglai.server.pages import Pages
from tanglai.server.settings import Settings
from tests.http.platform import Platform, TinyGateway, running
from tests.unit.server import samples

SCRIPT = "console.log('唐徕');\n" * 200


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A built page with a secret beside it."""
    root = tmp_path_factory.mktemp("site")
    (root / "secret.txt").write_text("secret")
    page = root / "workbench"
    (page / "assets" / "deeper").mkdir(parents=True)
    (page / "index.html").write_text("<!doctype html><title>唐徕</title>")
    (page / "licenses.md").write_text("licenses")
    (page / "assets" / "index-Ab3_-x9Z.js").write_text(SCRIPT)
    (page / "assets" / "plain.svg").write_text("<svg/>")
    (page / "assets" / "font-DCmgc_ay.ttf").write_bytes(b"\x00" * 10)
    (page / "assets" / "deeper" / "x.js").write_text("deeper")
    return page


@pytest.fixture(scope="module")
def platform(folder: Path) -> Iterator[Platform]:
    with running(pages=Pages(folder)) as server:
        yield server


class TestSchema:
    def test_for_departments(self, platform: Platform) -> None:
        answer = platform.send("GET", "/schema.graphql", headers={"Authorization": f"Bearer {platform.token()}"})
        assert answer.status == 200
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert b"type Query {" in answer.body

    @pytest.mark.parametrize("authorization", ["", "Bearer nonsense"])
    def test_for_nobody_else(self, platform: Platform, authorization: str) -> None:
        answer = platform.send("GET", "/schema.graphql", headers={"Authorization": authorization})
        assert (answer.status, answer.code, answer.headers["www-authenticate"]) == (401, "UNAUTHENTICATED", "Bearer")
        closed = {"Authorization": f"Bearer {platform.token(dept=samples.CLOSED)}"}
        assert platform.send("GET", "/schema.graphql", headers=closed).status == 403


class TestHealth:
    def test_alive(self, platform: Platform) -> None:
        answer = platform.send("GET", "/healthz")
        assert (answer.status, answer.body) == (200, b"ok\n")

    def test_ready(self) -> None:
        with running() as platform:
            assert [platform.send("GET", "/readyz").status for _ in range(5)] == [200] * 5
            assert platform.gateway.ready_calls == 1

    @pytest.mark.parametrize(
        ("states", "status"),
        [
            ({"platform database": "down: connection refused by db.internal"}, 503),
            ({"platform database": "up", "source residents": "down: no route"}, 200),
            ({}, 503),
        ],
        ids=["database", "a source", "nothing"],
    )
    def test_states(self, states: dict[str, str], status: int) -> None:
        gateway = TinyGateway()
        gateway.states = states
        with running(gateway) as platform:
            answer = platform.send("GET", "/readyz")
        assert answer.status == status
        assert answer.body in (b"ready\n", b"not ready\n")

    def test_a_gateway_that_cannot_say(self) -> None:
        class Failing(TinyGateway):
            async def ready(self) -> dict[str, str]:
                raise TanglaiError(ErrorCode.POLICY_UNAVAILABLE, "down")

        with running(Failing()) as platform:
            assert platform.send("GET", "/readyz").status == 503


def directives(answer_headers: dict[str, str]) -> dict[str, str]:
    parts = answer_headers["content-security-policy"].split(";")
    return {part.split()[0]: " ".join(part.split()[1:]) for part in parts}


class TestWorkbench:
    def test_the_page(self, platform: Platform) -> None:
        answer = platform.send("GET", "/")
        assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert "唐徕" in answer.body.decode()
        assert answer.headers["cache-control"] == "no-cache"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert answer.headers["x-frame-options"] == "DENY"

    def test_the_policy_is_strict(self, platform: Platform) -> None:
        policy = directives(platform.send("GET", "/").headers)
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == "'self'"
        assert policy["connect-src"] == "'self'"
        assert policy["frame-ancestors"] == "'none'"
        assert policy["base-uri"] == "'none'"
        assert not any("://" in sources or "*" in sources for sources in policy.values())
        assert "unsafe" not in policy["script-src"] + policy["style-src"]

    def test_assets(self, platform: Platform) -> None:
        script = platform.send("GET", "/assets/index-Ab3_-x9Z.js")
        assert (script.status, script.body.decode()) == (200, SCRIPT)
        assert script.headers["content-type"] == "text/javascript; charset=utf-8"
        assert script.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert script.headers["x-content-type-options"] == "nosniff"
        picture = platform.send("GET", "/assets/plain.svg")
        assert (picture.headers["content-type"], picture.headers["cache-control"]) == ("image/svg+xml", "no-cache")
        assert platform.send("GET", "/assets/font-DCmgc_ay.ttf").headers["content-type"] == "font/ttf"

    def test_compressed(self, platform: Platform) -> None:
        for _ in range(2):
            script = platform.send("GET", "/assets/index-Ab3_-x9Z.js", headers={"Accept-Encoding": "gzip"})
            assert (script.headers["content-encoding"], script.headers["vary"]) == ("gzip", "Accept-Encoding")
            assert gzip.decompress(script.body).decode() == SCRIPT
        assert "content-encoding" not in platform.send("GET", "/", headers={"Accept-Encoding": "gzip"}).headers

    def test_not_modified(self, platform: Platform) -> None:
        tag = platform.send("GET", "/").headers["etag"]
        answer = platform.send("GET", "/", headers={"If-None-Match": tag})
        assert (answer.status, answer.body) == (304, b"")
        assert platform.send("GET", "/", headers={"If-None-Match": 'W/"other"'}).status == 200

    @pytest.mark.parametrize(
        "path",
        [
            "/assets/../index.html",
            "/assets/../../secret.txt",
            "/assets/..%2f..%2fsecret.txt",
            "/assets/%2e%2e/%2e%2e/secret.txt",
            "/assets/..%5c..%5csecret.txt",
            "/assets//etc/passwd",
            "/assets/%2fetc%2fpasswd",
            "/assets/deeper/x.js",
            "/assets/deeper%2fx.js",
            "/assets/index-Ab3_-x9Z.js%00.svg",
            "/assets/",
            "/assets",
            "/assets/.",
            "/index.html",
            "/licenses.md",
            "/../secret.txt",
            "/secret.txt",
            "/nothing",
            "/metrics",
            "/docs",
        ],
    )
    def test_nothing_else(self, platform: Platform, path: str) -> None:
        with socket.create_connection(platform.address, timeout=10) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            received = b""
            while part := connection.recv(4096):
                received += part
        assert received.startswith(b"HTTP/1.1 404 ")
        assert b"secret" not in received.partition(b"\r\n\r\n")[2]

    def test_other_methods(self, platform: Platform) -> None:
        for path in ("/", "/assets/plain.svg", "/healthz", "/schema.graphql"):
            assert platform.send("POST", path).status == 405

    def test_without_a_build(self, tmp_path: Path) -> None:
        with running(pages=Pages(tmp_path)) as platform:
            answer = platform.send("GET", "/")
        assert (answer.status, b"not built" in answer.body) == (200, True)


def test_the_committed_build_is_whole() -> None:
    pages = Pages()
    names = set(re.findall(r'(?:src|href)="\./assets/([^"]+)"', pages._index.body.decode()))
    assert names
    assert names <= set(pages._assets)


SESSION = DemoSession(
    departments=(samples.department(samples.POLICE, "public-security", name="公安厅", name_en="Public Security"),),
    purposes=(Purpose("verify", "核验", "Verification"), Purpose("other", "其他", "Other")),
    department="public-security",
    purpose="verify",
    examples=(DemoExample("你好", "Hello", "public-security", "verify", "{ hello }", {"a": 1}),),
    roles={"public-security": frozenset({"data.own"})},
)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    settings = Settings(state_dir=tmp_path_factory.mktemp("state"), demo_issuer=True)
    issuer = DemoIssuer.open(settings)
    routes = DemoRoutes(SESSION, issuer)
    with running(keys=FixedKeys(issuer.jwks), issuer=ISSUER, demo=routes, demo_issuer=True) as server:
        yield server


def asked(demo: Platform, body: Any, **headers: str) -> Any:
    return demo.send("POST", "/demo/token", json.dumps(body), {"Content-Type": "application/json", **headers})


class TestDemo:
    def test_the_session(self, demo: Platform) -> None:
        answer = demo.send("GET", "/demo/session")
        assert answer.status == 200
        assert answer.json == {
            "departments": [
                {"key": "public-security", "code": samples.POLICE, "name": "公安厅", "nameEn": "Public Security"}
            ],
            "purposes": [
                {"code": "verify", "title": "核验", "titleEn": "Verification"},
                {"code": "other", "title": "其他", "titleEn": "Other"},
            ],
            "default": {"department": "public-security", "purpose": "verify"},
            "examples": [
                {
                    "title": "你好",
                    "titleEn": "Hello",
                    "department": "public-security",
                    "purpose": "verify",
                    "query": "{ hello }",
                    "variables": {"a": 1},
                }
            ],
        }

    def test_a_token_that_works(self, demo: Platform) -> None:
        answer = asked(demo, {"department": "public-security", "purpose": "other"}, Origin=demo.url)
        assert (answer.status, answer.headers["cache-control"]) == (200, "no-store")
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", answer.json["expiresAt"])
        token = answer.json["token"]
        assert demo.ask("{ asks }", headers={"Authorization": f"Bearer {token}"}).json == {
            "data": {"asks": "public-security/workbench"}
        }
        principal = demo.gateway.requests[-1].principal
        assert (set(principal.purposes), set(principal.roles)) == ({"other"}, {"data.own"})

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"department": "taxation"},
            {"department": samples.POLICE},
            {"department": 1},
            {"department": "public-security", "purpose": "espionage"},
            {"department": "public-security", "purpose": ["verify"]},
            [],
            "public-security",
            None,
        ],
        ids=str,
    )
    def test_others_cannot_be_played(self, demo: Platform, body: Any) -> None:
        answer = asked(demo, body)
        assert (answer.status, answer.code) == (400, "BAD_INPUT")

    @pytest.mark.parametrize(
        "headers",
        [
            {"Origin": "https://evil.example.invalid"},
            {"Origin": "null"},
            {"Origin": "http://127.0.0.1:1"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Host": "evil.example.invalid"},
            {"Host": "evil.example.invalid:8000", "Origin": "http://evil.example.invalid:8000"},
            {"Host": "127.0.0.1.evil.example.invalid"},
            {"Host": "localhost@evil.example.invalid"},
            {"Host": "[::1"},
            {"Host": ""},
        ],
        ids=str,
    )
    def test_other_pages_get_nothing(self, demo: Platform, headers: dict[str, str]) -> None:
        assert asked(demo, {"department": "public-security"}, **headers).status == 403
        assert demo.send("GET", "/demo/session", headers=headers).status == 403

    def test_simple_requests_get_nothing(self, demo: Platform) -> None:
        for content_type in ("text/plain", "application/x-www-form-urlencoded", ""):
            assert asked(demo, {"department": "public-security"}, **{"Content-Type": content_type}).status == 415
        assert demo.send("GET", "/demo/token").status == 405

    def test_large_bodies(self, demo: Platform) -> None:
        assert asked(demo, {"department": "x" * 5000}).status == 413

    def test_tokens_of_others_are_refused(self, demo: Platform) -> None:
        assert demo.ask().status == 401  # signed by another key

    def test_off_unless_switched_on(self, platform: Platform, tmp_path: Path) -> None:
        answer = platform.send("GET", "/demo/session")
        assert (answer.status, answer.body) == (204, b"")
        assert asked(platform, {"department": "public-security", "purpose": "verify"}).status == 404
        issuer = DemoIssuer.open(Settings(state_dir=tmp_path, demo_issuer=True))
        verifier = TokenVerifier(FixedKeys(issuer.jwks), issuer=ISSUER, audience="tanglai")

        async def nothing() -> Any:
            raise AssertionError

        with pytest.raises(ValueError, match="need the setting"):
            build_app(Settings(), TinyGateway(), Entrance(verifier, nothing), demo=DemoRoutes(SESSION, issuer))


def test_the_key_that_signs_is_nowhere_to_be_had(demo: Platform) -> None:
    for path in ("/demo/jwks", "/.well-known/jwks.json", "/demo-issuer.json", "/demo/key", "/demo"):
        assert demo.send("GET", path).status == 404
    token = asked(demo, {"department": "public-security"}).json["token"]
    head = json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))
    assert set(head) == {"alg", "kid", "typ"}
