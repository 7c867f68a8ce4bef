"""A real node over a real database: injection, headers, errors, logs, pages."""

import asyncio
import base64
import http.client
import json
import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlsplit

import asyncpg
import pytest

from tanglai.storage.embedded import EmbeddedPostgres
from tests.attack.book import Book
from tests.cases import case
from tests.http.nodes import REGISTERS, RESOURCE, Node, Platform, make_source

book = Book(__name__, "Over HTTP, on a real node with a real database")
row = book.row

SECRET = "1380000"
SCOPED = REGISTERS["grants"].replace("basis: APPLICATION}", 'basis: APPLICATION, scope: {number: {startsWith: "N00"}}}')
PERSONS = "query($w: PersonWhere) { data { people { persons(where: $w, first: 100) { nodes { number phone } } } } }"


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("attacked")
    with EmbeddedPostgres(folder / "database", settings={"fsync": "off"}) as database:
        asyncio.run(make_source(database))
        platform = Platform(folder, database)
        platform.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("TANGLAI_")},
            "TANGLAI_DATABASE_URL": database.url(),
            "TANGLAI_KEY": base64.b64encode(os.urandom(32)).decode(),
            "TANGLAI_STATE_DIR": str(folder / "state"),
            "TANGLAI_DEMO_ISSUER": "1",
            "PEOPLE_DSN": database.url("people"),
        }
        for name, text in {**REGISTERS, "grants": SCOPED}.items():
            platform.write(name, text)
        platform.write("persons", RESOURCE.format(code="301/1", plural="persons", one="person", type="Person"))
        platform.tanglai("catalogue", "import", str(folder / "catalogue"))
        yield platform


@pytest.fixture(scope="module")
def node(platform: Platform) -> Iterator[Node]:
    with platform.node() as running:
        yield running


def phones(node: Node, platform: Platform, where: Any) -> list[str]:
    body = node.ask(PERSONS, platform.token(), {"w": where}).body
    assert "errors" not in body, body
    return [one["phone"] for one in body["data"]["data"]["people"]["persons"]["nodes"] if one["phone"]]


@case(16, twin=True)
def test_the_scope_holds(node: Node, platform: Platform) -> None:
    """Positive twin: nine phones of fifty are clear."""
    assert phones(node, platform, {}) == [f"{SECRET}{n:04}" for n in range(1, 10)]


@book.attempt(801, "`not`, `notIn`, `isNull` and order over hidden cells in SQL", "guards are not simplified away")
def test_negations_in_sql(node: Node, platform: Platform) -> None:
    nothing = {"phone": {"eq": f"{SECRET}0001"}}
    for where, rows in (
        ({"not": nothing}, 8),
        ({"not": {"not": nothing}}, 1),
        ({"phone": {"notIn": [f"{SECRET}0020"]}}, 9),
        ({"phone": {"gte": ""}}, 9),
        ({"phone": {"contains": "002"}}, 1),
        ({"not": {"phone": {"isNull": False}}}, 41),
        ({"or": [nothing, {"not": nothing}]}, 9),
    ):
        found = node.ask(PERSONS, platform.token(), {"w": where}).body["data"]["data"]["people"]["persons"]["nodes"]
        assert len(found) == rows, where


INJECTED = [
    row(802, "SQL in a value", "bound parameters", "' OR '1'='1"),
    row(803, "SQL that ends the statement", "bound parameters", "'; DROP TABLE person; --"),
    row(804, "A union with another table", "bound parameters", "' UNION SELECT phone FROM person --"),
    row(805, "Backslashes and quotes", "bound parameters", "\\' OR 1=1 --"),
    row(806, "Wildcards of LIKE", "escaped", "%"),
    row(807, "A wildcard for one letter", "escaped", "N0_1"),
    row(808, "A backslash at the end of a pattern", "escaped", "N001\\"),
    row(809, "A placeholder of the driver", "bound parameters", "$1"),
    row(810, "A dollar quote", "bound parameters", "$$ OR true $$"),
    row(811, "Full-width quotes", "bound parameters", "＇ OR ＇1＇=＇1"),
]  # fmt: skip


@case(16)
@pytest.mark.parametrize("value", INJECTED)
def test_no_value_is_read_as_sql(node: Node, platform: Platform, value: str) -> None:
    for operator in ("eq", "startsWith", "contains"):
        assert phones(node, platform, {"number": {operator: value}}) == []
    assert phones(node, platform, {"number": {"in": [value]}}) == []
    key = node.ask(
        "query($k: String!) { data { people { person(number: $k) { name } } } }", platform.token(), {"k": value}
    )
    assert key.body["data"] == {"data": {"people": {"person": None}}}
    assert len(phones(node, platform, {})) == 9


def send(
    node: Node, method: str, path: str, headers: list[tuple[str, str]], body: bytes = b""
) -> tuple[int, bytes, dict[str, str]]:
    """One request with headers as given, repeated ones too."""
    host = urlsplit(node.url)
    connection = http.client.HTTPConnection(host.hostname or "", host.port or 0, timeout=30)
    try:
        connection.putrequest(method, path, skip_host=any(name == "Host" for name, _ in headers))
        for name, value in [*headers, ("Content-Length", str(len(body)))]:
            connection.putheader(name, value)
        connection.endheaders(body)
        response = connection.getresponse()
        return response.status, response.read(), {name.lower(): value for name, value in response.getheaders()}
    finally:
        connection.close()


JSON = ("Content-Type", "application/json")
ASKED = json.dumps({"query": "{ data { people { persons { nodes { phone } } } } }"}).encode()


def bearer(platform: Platform) -> tuple[str, str]:
    return "Authorization", f"Bearer {platform.token()}"


HEADERS = [
    row(812, "Two `Purpose` headers", "a header is given once", [("Purpose", "assistance"), ("Purpose", "x")]),
    row(813, "Two `Authorization` headers", "a header is given once", [("Authorization", "Bearer x")]),
    row(814, "A purpose that is not the token's", "PURPOSE_MISMATCH", [("Purpose", "licensing")]),
    row(815, "Two purposes in one header", "compared exactly", [("Purpose", "assistance, licensing")]),
    row(816, "A purpose of other letters", "printable ASCII", [("Purpose", "assistance\xa0")]),
]  # fmt: skip


@case(34)
@pytest.mark.parametrize("headers", HEADERS)
def test_headers(node: Node, platform: Platform, headers: list[tuple[str, str]]) -> None:
    accept = ("Accept", "application/graphql-response+json")
    status, body, _ = send(node, "POST", "/graphql", [JSON, accept, bearer(platform), *headers], ASKED)
    assert status in (400, 403)
    assert "data" not in json.loads(body)


SPOOFED = [
    ("X-Department", "11640000MB1A000020"),
    ("X-Role", "data.own"),
    ("X-Hasura-Role", "admin"),
    ("X-Forwarded-User", "public-security"),
    ("Cookie", "token=x; department=public-security"),
]


@case(38)
@book.attempt(817, "A department, a role or a user in a header or a cookie", "identity is in the token alone")
def test_no_header_names_who_asks(node: Node, platform: Platform) -> None:
    status, body, _ = send(node, "POST", "/graphql", [JSON, *SPOOFED], ASKED)
    assert (status, b"data" in body) == (401, False)
    _, body, _ = send(node, "POST", "/graphql", [JSON, bearer(platform), *SPOOFED], ASKED)
    assert sum(one["phone"] is not None for one in json.loads(body)["data"]["data"]["people"]["persons"]["nodes"]) == 9


@case(45)
@book.attempt(818, "A query by GET, a form or plain text from another site", "no token, no preflight: refused")
def test_cross_site_requests(node: Node) -> None:
    query = quote("{ data { people { persons { nodes { phone } } } } }")
    for method, path, kind in (
        ("GET", f"/graphql?query={query}", ""),
        ("POST", "/graphql", "application/x-www-form-urlencoded"),
        ("POST", "/graphql", "text/plain"),
        ("POST", "/graphql", "multipart/form-data; boundary=x"),
    ):
        headers = [("Origin", "https://evil.example"), *([("Content-Type", kind)] if kind else [])]
        status, body, answered = send(node, method, path, headers, ASKED if method == "POST" else b"")
        assert status == 401
        assert b'"data"' not in body
        assert "access-control-allow-origin" not in answered


@book.attempt(819, "A token in the query string or the body", "the header alone")
def test_tokens_elsewhere(node: Node, platform: Platform) -> None:
    path = f"/graphql?access_token={platform.token()}"
    body = json.dumps({**json.loads(ASKED), "access_token": platform.token()}).encode()
    assert send(node, "POST", path, [JSON], body)[0] == 401


@book.attempt(820, "A change by GET, a batch, a body that names a member twice", "refused")
def test_odd_bodies(node: Node, platform: Platform) -> None:
    token = bearer(platform)
    assert send(node, "GET", f"/graphql?query={quote('mutation { x }')}", [token])[0] in (200, 400, 405)
    for body in (
        b"[" + ASKED + b"]",
        b'{"query": "{ __typename }", "query": "{ me { client } }"}',
        b"\xff\xfe{}",
        b"null",
    ):
        status, answer, _ = send(node, "POST", "/graphql", [JSON, token], body)
        assert (status, b'"data"' in answer) == (400, False)


@case(30)
@book.attempt(821, "The schema, suggestions and types without a token", "nothing to outsiders")
def test_outsiders_learn_nothing(node: Node) -> None:
    for query in ("{ __schema { types { name } } }", "{ __typename }", "{ pepole }", "{"):
        status, body, _ = send(node, "POST", "/graphql", [JSON], json.dumps({"query": query}).encode())
        assert status == 401
        assert b"erson" not in body
    assert send(node, "GET", "/schema.graphql", [])[0] == 401
    for path in ("/metrics", "/docs", "/openapi.json", "/.env", "/assets/../index.html", "/assets/%2e%2e/index.html"):
        assert send(node, "GET", path, [])[0] == 404, path


@case(46)
@book.attempt(
    822, "Read names of tables, hosts, columns or values in errors of a source that is broken", "typed errors"
)
def test_errors_of_the_source_tell_nothing(node: Node, platform: Platform) -> None:
    async def run(statement: str) -> None:
        connection = await asyncpg.connect(platform.environment["PEOPLE_DSN"])
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(run("ALTER TABLE person RENAME COLUMN phone TO phone_hidden"))
    try:
        reply = node.ask("{ data { people { persons { nodes { phone } } } } }", platform.token())
        assert reply.codes == ["SOURCE_UNAVAILABLE"]
        for told in (b"SELECT", b"column", b"phone_hidden", b"127.0.0.1", b"public.person", b"postgres", b"Traceback"):
            assert told not in reply.raw
    finally:
        asyncio.run(run("ALTER TABLE person RENAME COLUMN phone_hidden TO phone"))
    assert len(phones(node, platform, {})) == 9


@case(30)
@book.attempt(823, "Suggestions of hidden names in errors of validation", "they name what the schema shows anyway")
def test_suggestions(node: Node, platform: Platform) -> None:
    query = "{ data { people { persons { nodes { phon handl } } } } }"
    reply = node.ask(query, platform.token())
    assert b"Did you mean" in reply.raw
    assert b"handle" not in reply.raw  # a column, not an item
    outsider = node.ask(query, "")
    assert outsider.codes == ["UNAUTHENTICATED"]
    assert b"phone" not in outsider.raw


@case(46)
@book.attempt(824, "Read values, queries or tokens in the log", "neither is logged")
def test_the_log_holds_no_values(node: Node, platform: Platform) -> None:
    marker = f"{SECRET}0042"
    node.ask(PERSONS, platform.token(), {"w": {"phone": {"eq": marker}}})
    node.ask(
        f'{{ data {{ people {{ persons(where: {{phone: {{eq: "{marker}"}}}}) {{ nodes {{ x }} }} }} }} }}',
        platform.token(),
    )
    text = "".join(path.read_text() for path in platform.folder.glob("node-*.log"))
    assert text
    assert SECRET not in text
    assert "eyJ" not in text
    assert "persons(" not in text


@book.attempt(
    825, "A line of one's own in the log by `X-Request-Id`, and in the response's headers", "8 to 64 plain letters"
)
def test_request_ids(node: Node, platform: Platform) -> None:
    for given in ("x", "a" * 65, 'aaaaaaaa","level":"critical', "aaaaaaaa bbbb", "aaaaaaaa\xe9"):
        _, _, headers = send(node, "POST", "/graphql", [JSON, bearer(platform), ("X-Request-Id", given)], ASKED)
        assert headers["x-request-id"] != given
        assert len(headers["x-request-id"]) == 32


@book.attempt(826, "Get a demo token from another site, by another name of the machine, or by a form", "own pages only")
def test_demo_tokens(node: Node) -> None:
    body = b'{"department": "public-security"}'
    for headers in (
        [JSON, ("Host", "evil.example")],
        [JSON, ("Host", "127.0.0.1.evil.example")],
        [JSON, ("Host", "localhost.evil.example:8000")],
        [JSON, ("Origin", "https://evil.example")],
        [JSON, ("Origin", "null")],
        [JSON, ("Sec-Fetch-Site", "cross-site")],
        [("Content-Type", "text/plain")],
        [("Content-Type", "application/x-www-form-urlencoded")],
    ):
        status, answer, _ = send(node, "POST", "/demo/token", headers, body)
        assert status in (403, 404, 405, 415), headers
        assert b"eyJ" not in answer
    assert send(node, "GET", "/demo/token?department=public-security", [])[0] in (404, 405)


@book.attempt(827, "Frame the workbench, or run a script or load a file of another site in it", "content policy")
def test_the_page_is_closed(node: Node) -> None:
    status, _, headers = send(node, "GET", "/", [])
    assert status == 200
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe-eval" not in policy
    assert headers["x-content-type-options"] == "nosniff"


@book.attempt(828, "Have markup in a value rendered by opening an answer as a page", "JSON, nosniff, not stored")
def test_answers_are_no_pages(node: Node, platform: Platform) -> None:
    query = quote('{ data { people { person(number: "<script>alert(1)</script>") { name } } } }')
    _, _, headers = send(node, "GET", f"/graphql?query={query}", [bearer(platform), ("Accept", "*/*")])
    assert headers["content-type"].split(";")[0] in ("application/json", "application/graphql-response+json")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
