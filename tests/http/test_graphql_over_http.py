"""`/graphql` as the specification GraphQL over HTTP and architecture.md have it, through a real server."""

import contextlib
import gzip
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from tanglai.catalogue.errors import ErrorCode, TanglaiError
from tests.cases import case
from tests.http.platform import Platform, TinyGateway, running
from tests.unit.server import samples

GRAPHQL = "application/graphql-response+json; charset=utf-8"
JSON = "application/json; charset=utf-8"


@pytest.fixture(scope="module")
def shared() -> Iterator[Platform]:
    with running(max_body_bytes=65_536, max_variables_bytes=16_384) as server:
        yield server


@pytest.fixture
def platform(shared: Platform) -> Platform:
    shared.gateway.requests.clear()
    shared.gateway.failure = None
    shared.policy_failure.clear()
    return shared


def authorized(platform: Platform, **more: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {platform.token()}", **more}


@case(48, twin=True)
def test_a_query(platform: Platform) -> None:
    answer = platform.ask("query Q($t: String) { echo(text: $t) asks }", variables={"t": "银川"}, operationName="Q")
    assert answer.status == 200
    assert answer.json == {"data": {"echo": "银川", "asks": "public-security/desk"}}
    assert answer.headers["content-type"] == GRAPHQL
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_gateway_gets_everything(platform: Platform) -> None:
    platform.ask(
        "query Q { hello }",
        operationName="Q",
        variables={"a": [1, 2.5, None, {"b": 12345678901234567890123}]},
        extensions={"purpose": "verify", "onDenied": "REFUSE"},
        headers={"Purpose": " verify ", "Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8", "X-Request-Id": "abc-12345"},
    )
    (request,) = platform.gateway.requests
    assert (request.query, request.operation_name, request.read_only) == ("query Q { hello }", "Q", False)
    assert request.variables == {"a": [1, 2.5, None, {"b": 12345678901234567890123}]}
    assert request.extensions == {"purpose": "verify", "onDenied": "REFUSE"}
    assert (request.purpose, request.language, request.request_id) == ("verify", "zh", "abc-12345")
    assert request.principal.department.code == samples.POLICE
    assert request.principal.purposes == {"verify"}


@pytest.mark.parametrize("missing", [{}, {"variables": None, "operationName": None, "extensions": None}], ids=str)
def test_what_is_not_given(platform: Platform, missing: dict[str, Any]) -> None:
    platform.ask("{ hello }", **missing)
    (request,) = platform.gateway.requests
    assert (request.operation_name, request.variables, request.extensions) == (None, {}, {})
    assert (request.purpose, request.language) == (None, "en")


@case(48)
@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        ("application/json", JSON),
        ("application/graphql-response+json", GRAPHQL),
        ("application/graphql-response+json, application/json;q=0.9", GRAPHQL),
        ("application/json, application/graphql-response+json", GRAPHQL),
        ("application/json, application/graphql-response+json;q=0.5", JSON),
        ("application/graphql-response+json;charset=UTF-8", GRAPHQL),
        ("APPLICATION/JSON", JSON),
        ("text/html, */*;q=0.1", JSON),
        ("application/json;q=0, */*", GRAPHQL),
        ("application/graphql-response+json;charset=utf-16, application/json", JSON),
        ("text/html", None),
        ("application/json;q=0", None),
        ("application/json;q=wrong", None),
        ("image/*", None),
        ("x" * 2000, None),
    ],
)
def test_accept(platform: Platform, accept: str | None, content_type: str | None) -> None:
    answer = platform.ask(accept=accept)
    if content_type is None:
        assert (answer.status, answer.code) == (406, "BAD_INPUT")
        assert not platform.gateway.requests
    else:
        assert (answer.status, answer.headers["content-type"]) == (200, content_type)


@case(48)
@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ('application/json; charset="UTF-8"', 200),
        ("APPLICATION/JSON;charset=utf8", 200),
        ("application/json; charset=gb18030", 415),
        ("text/plain", 415),
        ("text/plain; application/json", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("application/graphql", 415),
        ("application/jsonp", 415),
        ("application/json, text/plain", 415),
        ("", 415),
    ],
)
def test_content_type(platform: Platform, content_type: str, status: int) -> None:
    assert platform.ask(headers={"Content-Type": content_type}).status == status


def test_a_body_without_a_type(platform: Platform) -> None:
    assert platform.send("POST", "/graphql", b'{"query":"{hello}"}', authorized(platform)).status == 415


def test_a_compressed_body_is_not_read(platform: Platform) -> None:
    headers = authorized(platform, **{"Content-Type": "application/json", "Content-Encoding": "gzip"})
    assert platform.send("POST", "/graphql", gzip.compress(b'{"query":"{hello}"}'), headers).status == 415


@case(48)
@pytest.mark.parametrize("media", ["application/json", "application/graphql-response+json"])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b"null",
        b'"query"',
        b"42",
        b"[]",
        b'[{"query":"{hello}"}]',
        b"{}",
        b'{"query":null}',
        b'{"query":1}',
        b'{"query":["{hello}"]}',
        b'{"qeury":"{hello}"}',
        b'{"query":"{hello}","operationName":1}',
        b'{"query":"{hello}","variables":[]}',
        b'{"query":"{hello}","variables":"{}"}',
        b'{"query":"{hello}","variables":0}',
        b'{"query":"{hello}","extensions":[]}',
        b'{"query":"{hello}","extensions":false}',
        b'{"query":"{hello}","query":"{asks}"}',
        b'{"query":"{hello}","variables":{"a":{"b":1,"b":2}}}',
        b'{"query":"{hello}","variables":{"a":NaN}}',
        b'{"query":"{hello}","variables":{"a":Infinity}}',
        b'{"query":"{hello}","variables":{"a":1e999}}',
        b'{"query":"{hello}","variables":{"a":"\\ud800"}}',
        b'{"query":"{hello\xff}"}',
        b'\xef\xbb\xbf{"query":"{hello}"}',
        b'{"query":"{hello}"} trailing',
        b'{"query":"{hello}","variables":{"a":' + b"[" * 5000 + b"]" * 5000 + b"}}",
        b'{"query":"{hello}","variables":{"a":' + b"[" * 120 + b"]" * 120 + b"}}",
        b'{"query":"{hello}","variables":{"a":' + b"9" * 5000 + b"}}",
        '{"query":"{hello}"}'.encode("utf-16"),
    ],
    ids=lambda body: body[:40].decode("latin-1") if isinstance(body, bytes) else body,
)
def test_bodies_that_are_refused(platform: Platform, body: bytes, media: str) -> None:
    headers = authorized(platform, **{"Content-Type": "application/json", "Accept": media})
    answer = platform.send("POST", "/graphql", body, headers)
    assert (answer.status, answer.code) == (400, "BAD_INPUT")
    assert "data" not in answer.json
    assert answer.headers["content-type"].startswith(media)
    assert answer.json["errors"][0]["extensions"]["requestId"] == answer.headers["x-request-id"]
    assert not platform.gateway.requests


@case(35)
def test_batches_are_named(platform: Platform) -> None:
    headers = authorized(platform, **{"Content-Type": "application/json"})
    answer = platform.send("POST", "/graphql", b'[{"query":"{hello}"}]', headers)
    assert "batches are not supported" in answer.json["errors"][0]["message"]


@case(48)
@pytest.mark.parametrize(
    ("accept", "status"), [("application/json", 200), ("application/graphql-response+json", 400)], ids=["json", "new"]
)
@pytest.mark.parametrize("query", ["{", "", "{ unknown }", "query A { hello } query B { hello }"])
def test_request_errors_of_graphql(platform: Platform, query: str, accept: str, status: int) -> None:
    answer = platform.ask(query, accept=accept)
    assert answer.status == status
    assert "data" not in answer.json


@pytest.mark.parametrize("accept", ["application/json", "application/graphql-response+json"])
def test_a_field_error_is_an_answer(platform: Platform, accept: str) -> None:
    answer = platform.ask("{ hello fail }", accept=accept)
    assert (answer.status, answer.json["data"]) == (200, {"hello": "world", "fail": None})


class TestGet:
    @case(45, 48, twin=True)
    def test_a_query(self, platform: Platform) -> None:
        parameters = {
            "query": "query Q($t: String) { echo(text: $t) }",
            "operationName": "Q",
            "variables": '{"t": "银 川+"}',
            "extensions": '{"purpose": "p"}',
            "unknown": "x",
        }
        answer = platform.send("GET", f"/graphql?{urlencode(parameters)}", headers=authorized(platform))
        assert (answer.status, answer.json) == (200, {"data": {"echo": "银 川+"}})
        (request,) = platform.gateway.requests
        assert (request.read_only, request.operation_name) == (True, "Q")
        assert request.extensions == {"purpose": "p"}

    @case(45, 48)
    @pytest.mark.parametrize("accept", ["application/json", "application/graphql-response+json"])
    def test_mutations_are_for_post(self, platform: Platform, accept: str) -> None:
        path = f"/graphql?{urlencode({'query': 'mutation { touch }'})}"
        answer = platform.send("GET", path, headers=authorized(platform, Accept=accept))
        assert (answer.status, answer.headers["allow"]) == (405, "POST")

    @pytest.mark.parametrize(
        "query_string",
        [
            "",
            "operationName=Q",
            "query={hello}&query={asks}",
            "query={hello}&variables={}&variables={}",
            "query={hello}&variables=[]",
            "query={hello}&variables=nonsense",
            "query={hello}&variables={%22a%22:1,%22a%22:2}",
            "query={hello}&extensions=1",
            "query=%ff",
            "query={hello}&" + "&".join(f"x{number}=1" for number in range(40)),
        ],
    )
    def test_what_is_refused(self, platform: Platform, query_string: str) -> None:
        answer = platform.send("GET", f"/graphql?{query_string}", headers=authorized(platform))
        assert (answer.status, answer.code) == (400, "BAD_INPUT")
        assert not platform.gateway.requests

    def test_empty_variables_are_none(self, platform: Platform) -> None:
        path = "/graphql?query={hello}&variables=&extensions="
        assert platform.send("GET", path, headers=authorized(platform)).status == 200

    def test_too_long(self, platform: Platform) -> None:
        with running(max_body_bytes=4096) as other:
            answer = other.send("GET", "/graphql?query=" + "x" * 4096, headers=authorized(other))
        assert (answer.status, answer.code) == (414, "LIMIT_EXCEEDED")
        variables = json.dumps({"a": "x" * 17_000})
        path = f"/graphql?{urlencode({'query': '{hello}', 'variables': variables})}"
        assert platform.send("GET", path, headers=authorized(platform)).status == 413


@case(48)
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "HEAD", "TRACE", "QUERY"])
def test_other_methods(platform: Platform, method: str) -> None:
    answer = platform.send(method, "/graphql", headers=authorized(platform))
    assert (answer.status, answer.headers["allow"]) == (405, "GET, POST, OPTIONS")


class TestIdentity:
    @case(30)
    @pytest.mark.parametrize(
        "authorization",
        [
            None,
            "",
            "Bearer",
            "Bearer ",
            "Bearer nonsense",
            "Bearer a.b.c",
            "Basic dXNlcjpwYXNz",
            "Bearer " + "x" * 9000,
        ],
        ids=lambda value: str(value)[:20],
    )
    def test_outsiders_learn_nothing(self, platform: Platform, authorization: str | None) -> None:
        headers = {} if authorization is None else {"Authorization": authorization}
        bodies = set()
        for method, path, body, content_type in [
            ("POST", "/graphql", b'{"query":"{ __schema { types { name } } }"}', "application/json"),
            ("POST", "/graphql", b'{"query":"{ nonsense"}', "application/json"),
            ("POST", "/graphql", b"nonsense", "text/plain"),
            ("POST", "/graphql", b"query={hello}", "application/x-www-form-urlencoded"),
            ("GET", "/graphql?query={hello}", None, ""),
            ("GET", "/graphql", None, ""),
        ]:
            sent = {**headers, "X-Request-Id": "constant-1"} | ({"Content-Type": content_type} if content_type else {})
            answer = platform.send(method, path, body, sent)
            assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
            bodies.add(answer.body)
        assert bodies == {
            b'{"errors":[{"message":"a valid bearer token is needed",'
            b'"extensions":{"code":"UNAUTHENTICATED","requestId":"constant-1"}}]}'
        }
        assert not platform.gateway.requests

    def test_a_token_elsewhere_is_no_token(self, platform: Platform) -> None:
        token = platform.token()
        bearer = f"Bearer {token}"
        for path, headers in [
            (f"/graphql?query={{hello}}&access_token={token}", {}),
            (f"/graphql?query={{hello}}&Authorization=Bearer+{token}", {}),
            ("/graphql?query={hello}", {"Cookie": f"token={token}; Authorization=Bearer {token}"}),
            (
                "/graphql?query={hello}",
                {"X-Authorization": bearer, "Proxy-Authorization": bearer},
            ),
        ]:
            assert platform.send("GET", path, headers=headers).status == 401

    @case(38)
    @pytest.mark.parametrize(
        "headers",
        [
            {"X-Department": "11640000010083300K", "X-Roles": "data.own", "X-User": "root", "X-Forwarded-User": "root"},
            {"Dept": "11640000010083300K", "Role": "admin", "X-Hasura-Role": "admin", "X-Purpose": "other"},
        ],
        ids=["x", "plain"],
    )
    def test_headers_change_nobody(self, platform: Platform, headers: dict[str, str]) -> None:
        platform.ask("{ asks }")
        platform.ask("{ asks }", headers=headers, extensions={"role": "admin", "department": "x"})
        first, second = platform.gateway.requests
        assert first.principal == second.principal
        assert second.purpose is None

    @case(38)
    def test_two_identities(self, platform: Platform) -> None:
        with socket.create_connection(platform.address, timeout=10) as connection:
            line = f"Authorization: Bearer {platform.token()}\r\n"
            connection.sendall(f"GET /graphql?query={{hello}} HTTP/1.1\r\nHost: x\r\n{line}{line}\r\n".encode())
            assert connection.recv(100).startswith(b"HTTP/1.1 400 ")

    def test_expired(self, platform: Platform) -> None:
        token = samples.token(samples.claims(now=1_000_000_000))
        assert platform.ask(headers={"Authorization": f"Bearer {token}"}).status == 401

    def test_a_closed_department(self, platform: Platform) -> None:
        answer = platform.ask(headers={"Authorization": f"Bearer {platform.token(dept=samples.CLOSED)}"})
        assert (answer.status, answer.code) == (403, "NOT_A_DEPARTMENT")

    def test_a_department_is_closed(self, platform: Platform) -> None:
        before = platform.snapshot[0]
        assert platform.ask().status == 200
        platform.snapshot[0] = samples.snapshot(2, departments={})
        try:
            assert platform.ask().status == 403
        finally:
            platform.snapshot[0] = before

    def test_without_the_platform_database(self, platform: Platform) -> None:
        platform.policy_failure.append(TanglaiError(ErrorCode.POLICY_UNAVAILABLE, "the platform database is down"))
        answer = platform.ask()
        assert (answer.status, answer.code, answer.headers["retry-after"]) == (503, "POLICY_UNAVAILABLE", "5")


class TestForgedRequests:
    """What a page of another site can make a browser send: never with `Authorization` (case 45)."""

    @case(45)
    @pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
    def test_get(self, platform: Platform, site: str) -> None:
        headers = {"Sec-Fetch-Site": site, "Origin": "https://evil.example.invalid", "Cookie": "session=1"}
        assert platform.send("GET", "/graphql?query=mutation{touch}", headers=headers).status == 401
        assert not platform.gateway.requests

    @case(45)
    @pytest.mark.parametrize(
        "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
    )
    def test_simple_posts(self, platform: Platform, content_type: str) -> None:
        body = b'{"query":"mutation{touch}"}'
        assert platform.send("POST", "/graphql", body, {"Content-Type": content_type}).status == 401
        assert (
            platform.send("POST", "/graphql", body, authorized(platform, **{"Content-Type": content_type})).status
            == 415
        )
        assert not platform.gateway.requests

    @case(45)
    def test_preflight_from_elsewhere(self, platform: Platform) -> None:
        headers = {"Origin": "https://evil.example.invalid", "Access-Control-Request-Method": "POST"}
        answer = platform.send("OPTIONS", "/graphql", headers=headers)
        assert answer.status == 204
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_origins_of_the_settings() -> None:
    with running(allowed_origins=("https://app.example.invalid",)) as platform:
        good = {"Origin": "https://app.example.invalid"}
        preflight = platform.send("OPTIONS", "/graphql", headers={**good, "Access-Control-Request-Method": "POST"})
        assert preflight.status == 204
        assert preflight.headers["access-control-allow-origin"] == "https://app.example.invalid"
        assert "Authorization" in preflight.headers["access-control-allow-headers"]
        assert "access-control-allow-credentials" not in preflight.headers
        answer = platform.ask(headers=good)
        assert answer.headers["access-control-allow-origin"] == "https://app.example.invalid"
        assert answer.headers["vary"] == "Origin"
        other = platform.ask(headers={"Origin": "https://app.example.invalid.evil"})
        assert "access-control-allow-origin" not in other.headers
        assert other.headers["vary"] == "Origin"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("0f8fad5b-d9cb-469f-a165-70867728950e", True),
        ("short", False),
        ("x" * 65, False),
        ("with space", False),
        ("a;drop table--", False),
        ("请求编号请求编号", False),
        ("", False),
    ],
)
def test_request_id(platform: Platform, given: str, kept: bool) -> None:
    answer = platform.ask(headers={"X-Request-Id": given.encode().decode("latin-1")})
    got = answer.headers["x-request-id"]
    assert (got == given) is kept
    assert kept or re.fullmatch(r"[0-9a-f]{32}", got)
    assert platform.gateway.requests[0].request_id == got


@pytest.mark.parametrize("purpose", ["社会救助", "a\tb", "x" * 200, "caf\xe9"])
def test_what_is_no_purpose(platform: Platform, purpose: str) -> None:
    answer = platform.ask(headers={"Purpose": purpose.encode().decode("latin-1")})
    assert (answer.status, answer.code) == (400, "BAD_INPUT")


def test_too_much_body(platform: Platform) -> None:
    answer = platform.ask("{ hello }", variables={"a": "x" * 70_000})
    assert (answer.status, answer.code) == (413, "LIMIT_EXCEEDED")
    assert platform.ask("{ hello } #" + "x" * 60_000, variables={"a": 1}).status == 200
    assert platform.ask("{ hello }", variables={"a": "x" * 17_000}).status == 413
    assert not [request for request in platform.gateway.requests if request.variables.get("a") != 1]


def test_too_much_body_in_chunks(platform: Platform) -> None:
    with socket.create_connection(platform.address, timeout=10) as connection:
        head = (
            "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
            f"Authorization: Bearer {platform.token()}\r\n\r\n"
        )
        connection.sendall(head.encode())
        chunk = b"8000\r\n" + b" " * 0x8000 + b"\r\n"
        connection.sendall(chunk * 3)
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_a_body_that_does_not_come() -> None:
    with running(body_seconds=0.05) as platform, socket.create_connection(platform.address, timeout=10) as connection:
        head = (
            "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n"
            f"Authorization: Bearer {platform.token()}\r\n\r\n"
        )
        connection.sendall(head.encode() + b'{"query":')
        assert connection.recv(100).startswith(b"HTTP/1.1 408 ")


def test_several_requests_on_one_connection(platform: Platform) -> None:
    body = b'{"query":"{ hello }"}'
    request = (
        f"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        f"Authorization: Bearer {platform.token()}\r\n\r\n"
    ).encode() + body
    with socket.create_connection(platform.address, timeout=10) as connection:
        connection.sendall(request * 3)
        received = b""
        while received.count(b'{"data":{"hello":"world"}}') < 3:
            received += connection.recv(4096)
    assert received.count(b"HTTP/1.1 200 ") == 3


class TestFailures:
    @case(46)
    def test_what_is_unforeseen_stays_inside(self, platform: Platform, capsys: pytest.CaptureFixture[str]) -> None:
        platform.gateway.failure = RuntimeError("SELECT secret FROM t WHERE host = 'db.internal'")
        answer = platform.ask(headers={"X-Request-Id": "failure-17"})
        assert answer.status == 500
        assert answer.json == {
            "errors": [{"message": "an internal error", "extensions": {"code": "INTERNAL", "requestId": "failure-17"}}]
        }

    @pytest.mark.parametrize(
        ("code", "status"),
        [(ErrorCode.AUDIT_UNAVAILABLE, 503), (ErrorCode.LIMIT_EXCEEDED, 400), (ErrorCode.GRANT_REQUIRED, 403)],
    )
    def test_typed_errors(self, platform: Platform, code: ErrorCode, status: int) -> None:
        platform.gateway.failure = TanglaiError(code, "told", resource="1010101/1")
        answer = platform.ask()
        assert (answer.status, answer.code) == (status, code.value)
        assert answer.json["errors"][0]["extensions"]["resource"] == "1010101/1"


def test_a_client_that_leaves() -> None:
    with running() as platform:
        body = b'{"query":"{ wait }"}'
        head = (
            f"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            f"Authorization: Bearer {platform.token()}\r\n\r\n"
        )
        with socket.create_connection(platform.address, timeout=10) as connection:
            connection.sendall(head.encode() + body)
            assert platform.gateway.started.wait(10)
        platform.until(lambda: platform.gateway.cancelled == 1)
        assert platform.ask().status == 200


def test_the_time_limit() -> None:
    with running(request_seconds=0.1) as platform:
        answer = platform.ask("{ wait }")
        assert (answer.status, answer.code) == (504, "SOURCE_TIMEOUT")
        assert platform.gateway.cancelled == 1
        assert platform.ask().status == 200


def test_a_slow_answer_in_time() -> None:
    with running(gateway := TinyGateway()) as platform:

        def release() -> None:
            assert gateway.release is not None
            gateway.release.set()

        def later() -> None:
            gateway.started.wait(10)
            time.sleep(0.15)  # the watch over the client has begun
            platform.call(release)

        helper = threading.Thread(target=later)
        helper.start()
        assert platform.ask("{ wait }").json == {"data": {"wait": "released"}}
        helper.join()


def test_too_many_at_once() -> None:
    with running(max_concurrent=1) as platform:
        answers = []
        thread = threading.Thread(target=lambda: answers.append(platform.ask("{ wait }")))
        thread.start()
        assert platform.gateway.started.wait(10)
        refused = platform.ask()
        assert (refused.status, refused.code, refused.headers["retry-after"]) == (503, "LIMIT_EXCEEDED", "1")

        def release() -> None:
            assert platform.gateway.release is not None
            platform.gateway.release.set()

        platform.call(release)
        thread.join(10)
        assert answers[0].status == 200
        assert platform.ask().status == 200


def test_bodies_that_come_in_pieces_are_bounded() -> None:
    """A slow client holds a place, not a slot: what is whole is answered, and another body in pieces is refused."""
    with running(max_concurrent=1) as platform:
        body = json.dumps({"query": "{ hello }"}).encode()
        head = (
            f"POST /graphql HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            f"Authorization: Bearer {platform.token()}\r\n\r\n"
        ).encode()
        with (
            socket.create_connection(platform.address, timeout=10) as slow,
            socket.create_connection(platform.address, timeout=10) as other,
        ):
            slow.sendall(head + body[:4])
            platform.until(lambda: platform.reading == 1)
            assert platform.ask().status == 200
            other.sendall(head + body[:4])
            refused = other.recv(2000)
            assert refused.startswith(b"HTTP/1.1 503 ")
            assert b"retry-after: 1" in refused
            slow.sendall(body[4:])
            assert slow.recv(2000).startswith(b"HTTP/1.1 200 ")
            platform.until(lambda: platform.reading == 0)


def test_slow_bodies_of_one_department_leave_places_to_others() -> None:
    with running(max_concurrent=2) as platform, contextlib.ExitStack() as stack:
        departments = [samples.department(code, code) for code in (samples.POLICE, samples.CLOSED)]
        platform.snapshot[0] = samples.snapshot(2, departments={one.code: one for one in departments})
        body = json.dumps({"query": "{ hello }"}).encode()

        def slow(**claims: Any) -> socket.socket:
            one = stack.enter_context(socket.create_connection(platform.address, timeout=10))
            head = (
                f"POST /graphql HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\nAuthorization: Bearer {platform.token(**claims)}\r\n\r\n"
            )
            one.sendall(head.encode() + body[:4])
            return one

        slow()
        platform.until(lambda: platform.reading == 1)
        assert slow().recv(2000).startswith(b"HTTP/1.1 503 ")
        other = slow(dept=samples.CLOSED)
        platform.until(lambda: platform.reading == 2)
        other.sendall(body[4:])
        assert other.recv(2000).startswith(b"HTTP/1.1 200 ")


def test_compressed_answers() -> None:
    with running(compress_from_bytes=1000) as platform:
        plain = platform.ask("{ long }")
        assert "content-encoding" not in plain.headers
        small = platform.ask("{ hello }", headers={"Accept-Encoding": "gzip"})
        assert "content-encoding" not in small.headers
        large = platform.ask("{ long }", headers={"Accept-Encoding": "br, gzip;q=0.5"})
        assert (large.headers["content-encoding"], large.headers["vary"]) == ("gzip", "Accept-Encoding")
        assert gzip.decompress(large.body) == plain.body
        assert "content-encoding" not in platform.ask("{ long }", headers={"Accept-Encoding": "gzip;q=0"}).headers
