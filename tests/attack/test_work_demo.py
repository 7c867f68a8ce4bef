"""The law's work of the running demo, over real connections."""

import base64
import http.client
import json
import re
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from tests.attack.book import Book
from tests.attack.running_demo import Demo, Reply
from tests.spreadsheets import workbook

book = Book(__name__, "The law's work of the running demo")
row = book.row

RESIDENTS = "1010101/1"
ROLES = ("applicant", "reviewer", "head", "cataloguer", "coordinator", "supervisor", "auditor", "client-administrator")
REQUEST_ID = re.compile(rb'"requestId":"[^"]*"')
OPEN = 'mutation ($k: String) { createApplication(key: $k, input: {resource: "1010101/1"}) { __typename } }'
COUNT = "{ applications { totalCount } }"


def count(demo: Demo, department: str = "market-regulation") -> int:
    answer = demo.ask(COUNT, demo.token(department, roles=ROLES)).body
    return int(answer["data"]["applications"]["totalCount"])


def listened(demo: Demo, query: str, token: str, events: int = 1, **variables: Any) -> tuple[int, bytes]:
    """Status and the first events of a subscription."""
    host = urlsplit(demo.url)
    connection = http.client.HTTPConnection(host.hostname or "", host.port or 0, timeout=30)
    body = json.dumps({"query": query, "variables": variables})
    headers = {"Content-Type": "application/json", "Accept": "text/event-stream", "Authorization": f"Bearer {token}"}
    try:
        connection.request("POST", "/graphql", body, headers)
        response = connection.getresponse()
        heard = b""
        while heard.count(b"\n\n") < events and (line := response.readline()):
            heard += line
        return response.status, heard
    finally:
        connection.close()


def test_who_may_does(demo: Demo) -> None:
    """Positive twin of those that open nothing."""
    before = count(demo)
    reply = demo.ask(OPEN, demo.token("market-regulation", roles=("applicant",)))
    assert reply.body["data"] == {"createApplication": {"__typename": "Application"}}
    assert count(demo) == before + 1


@book.attempt(1211, "A mutation by GET, in the address and by another method", "POST")
def test_mutations_by_get(demo: Demo) -> None:
    before = count(demo)
    token = demo.token("market-regulation", roles=ROLES)
    headers = [("Authorization", f"Bearer {token}"), ("Accept", "application/graphql-response+json")]
    for method in ("GET", "HEAD", "PUT", "DELETE"):
        reply = demo.send(method, f"/graphql?query={quote(OPEN)}", headers)
        assert reply.status in (404, 405), method
        assert b"createApplication" not in reply.raw
    assert count(demo) == before


@book.attempt(1212, "Mutations inside a batch, or behind a query of one document", "one operation, named by itself")
def test_mutations_in_company(demo: Demo) -> None:
    before = count(demo)
    token = demo.token("market-regulation", roles=ROLES)
    for body in (
        json.dumps([{"query": OPEN}, {"query": OPEN}]),
        json.dumps({"query": f"query a {{ __typename }} {OPEN.replace('mutation', 'mutation b')}"}),
        json.dumps({"query": f"{{ __typename }} {OPEN}"}),
    ):
        reply = demo.post(body.encode(), token)
        assert reply.status in (400, 415)
    chosen = demo.ask(f"query a {{ __typename }} {OPEN.replace('mutation', 'mutation b')}", token, operationName="a")
    assert "createApplication" not in str(chosen.body)
    assert count(demo) == before


@book.attempt(1213, "One mutation 65 times under other names", "64 roots, and 64 repeats of a field")
def test_aliased_mutations(demo: Demo) -> None:
    before = count(demo)
    token = demo.token("market-regulation", roles=ROLES)
    many = " ".join(f'm{n}: createApplication(input: {{resource: "{RESIDENTS}"}}) {{ __typename }}' for n in range(65))
    reply = demo.ask(f"mutation {{ {many} }}", token)
    assert "LIMIT_EXCEEDED" in reply.codes
    assert count(demo) == before


@book.attempt(1214, "Acts with a token that has no role, or the data's own", "typed refusal, nothing done")
def test_acts_without_roles(demo: Demo) -> None:
    before = count(demo)
    for roles in ((), ("data.own",), ("Applicant",), ("applicant ",)):
        reply = demo.ask(OPEN, demo.token("market-regulation", roles=roles))
        assert reply.body.get("data") in (None, {"createApplication": {"__typename": "NotPermitted"}}), roles
    assert count(demo) == before


@book.attempt(1215, "Acts with a token narrowed to another resource, to an item or to nothing (it acted on all)",
              "narrow in acts too", found=True)  # fmt: skip
def test_acts_with_narrowed_tokens(demo: Demo) -> None:
    before = count(demo)
    for scopes in (["1020101/1"], [f"{RESIDENTS}:phone"], []):
        token = demo.token("market-regulation", roles=ROLES, scopes=scopes)
        reply = demo.ask(OPEN, token)
        assert reply.body["data"] == {"createApplication": {"__typename": "NotPermitted"}}, scopes
        sent = demo.send(
            "POST", "/catalogue-imports",
            [("Authorization", f"Bearer {token}"), ("Content-Type", "application/octet-stream")], b"PK",
        )  # fmt: skip
        assert sent.status == 403
    assert count(demo) == before
    token = demo.token("market-regulation", roles=ROLES, scopes=[RESIDENTS])
    assert demo.ask(OPEN, token).body["data"] == {"createApplication": {"__typename": "Application"}}


@book.attempt(1216, "Two roots in one subscription, and roots hidden by fragments and `@skip`", "one field")
def test_subscriptions_with_several_roots(demo: Demo) -> None:
    token = demo.token("market-regulation", roles=ROLES)
    for query in (
        'subscription { inboxChanged { waiting } importProgress(id: "I-1") { state } }',
        "subscription { a: inboxChanged { waiting } b: inboxChanged { waiting } }",
        "subscription { ...f a: inboxChanged { waiting } } fragment f on Subscription { inboxChanged { waiting } }",
        "subscription ($s: Boolean = false) { inboxChanged @skip(if: $s) { waiting } b: inboxChanged { unread } }",
    ):
        _, heard = listened(demo, query, token, events=1)
        assert b'"waiting"' not in heard
        assert b'"errors"' in heard


@book.attempt(1217, "Following another department's import, and one that there is not", "null, and the end of both")
def test_others_imports(demo: Demo) -> None:
    query = "subscription ($id: ID!) { importProgress(id: $id) { fileName state } }"
    token = demo.token("market-regulation", roles=ROLES)
    theirs = [("Authorization", f"Bearer {demo.token('public-security', roles=('cataloguer',))}")]
    sent = demo.send("POST", "/catalogue-imports", [*theirs, ("Content-Type", "application/octet-stream")], workbook())
    assert sent.status == 202, sent.raw
    own = listened(demo, query, demo.token("public-security", roles=("cataloguer",)), id=sent.body["id"])[1]
    assert b'"fileName":"catalogue.xlsx"' in own
    told = []
    for id in (sent.body["id"], "I-9999-999999", "import:1", "\u0001"):
        status, heard = listened(demo, query, token, events=2, id=id)
        told.append((status, REQUEST_ID.sub(b"", heard)))
    assert len(set(told)) == 1
    assert b'"importProgress":null' in told[0][1]
    assert b"event: complete" in told[0][1]


@book.attempt(1218, "Another department's inbox by a subscription", "the token's department")
def test_others_inboxes(demo: Demo) -> None:
    query = "subscription { inboxChanged { id waiting tasks { nodes { matter { number } } } } }"
    own = listened(demo, query, demo.token("public-security", roles=("reviewer",)))[1]
    assert b'"A-' in own
    for department, roles in (("market-regulation", ROLES), ("public-security", ()), ("public-security", ("auditor",))):
        heard = listened(demo, query, demo.token(department, roles=roles))[1]
        assert b'"waiting":0' in heard or department == "market-regulation"
        assert not any(number in heard for number in _numbers(own))


def _numbers(heard: bytes) -> list[bytes]:
    return [part.split(b'"')[0] for part in heard.split(b'"number":"')[1:]]


@book.attempt(1219, "Documents by paths, with no role, with no token, and those of others", "404, 403, 401")
def test_documents(demo: Demo) -> None:
    token = demo.token("market-regulation", roles=ROLES)
    answers = set()
    for path in ("A-2026-000001/x/1", "../../etc/passwd", "%2e%2e/%2e%2e/etc/passwd", "%00", "a/b/c/d", "..%5c..%5cx",
                 "A-2026-000001/11640000MB1A000021/1", "%F0%9F%98%80/x/1"):  # fmt: skip
        reply = demo.send("GET", f"/documents/{path}", [("Authorization", f"Bearer {token}")])
        assert reply.status == 404, path
        answers.add(reply.bare)
    assert len(answers) <= 2  # the route's own, and that of a path that is none
    without = demo.token("market-regulation")
    assert demo.send("GET", "/documents/A/x/1", [("Authorization", f"Bearer {without}")]).status == 403
    assert demo.send("GET", "/documents/A/x/1").status == 401
    assert demo.send("POST", "/documents?name=a", [("Content-Type", "text/plain")], b"x").status == 401


@book.attempt(1220, "Bodies beyond what is taken: a document, a spreadsheet, an operation", "413 before it is read")
def test_large_bodies(demo: Demo) -> None:
    token = demo.token("market-regulation", roles=ROLES)
    for path, length in (("/documents?name=a", 10**9), ("/catalogue-imports", 10**10), ("/graphql", 10**7)):
        kind = "application/json" if path == "/graphql" else "application/octet-stream"
        head = (
            f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: {kind}\r\n"
            f"Content-Length: {length}\r\nConnection: close\r\n\r\n"
        )
        heard = demo.spoken(head.encode() + b"x" * 10)
        assert heard.startswith(b"HTTP/1.1 413"), path


ODD = [
    row(1221, "NUL in ids, keys, texts and cursors", "told as a fault of the request", "\x00"),
    row(1222, "Characters beyond the basic plane, marks of direction, half a key", "a text like others",
        "\U0001f600\u202e\ufffe"),
]  # fmt: skip


@pytest.mark.parametrize("text", ODD)
def test_odd_texts(demo: Demo, text: str) -> None:
    token = demo.token("market-regulation", roles=ROLES)
    queries = (
        "query ($t: ID!) { application(id: $t) { id } grant(id: $t) { id } catalogueImport(id: $t) { id } "
        "node(id: $t) { id } }",
        "query ($t: String!) { applications(states: [$t], resource: $t) { totalCount } }",
        "query ($t: String!) { applications(after: $t) { totalCount } }",
        "mutation ($t: String!) { createApplication(key: $t, input: {resource: $t, duty: $t}) { __typename } }",
        'mutation ($t: ID!) { suspendGrant(grant: $t, code: OTHER, reason: "r", correctionDays: 3) { __typename } }',
    )
    for query in queries:
        reply = demo.ask(query, token, {"t": text})
        assert reply.status in (200, 400), reply.raw
        assert set(reply.codes) <= {"BAD_INPUT", "BAD_CURSOR"}, reply.raw


@book.attempt(1223, "Stack traces, SQL and names of tables in the answers to broken acts", "words for people")
def test_errors_tell_nothing(demo: Demo) -> None:
    token = demo.token("market-regulation", roles=ROLES)
    replies: list[Reply] = [
        demo.ask(OPEN, token, {"k": "x" * 100_000}),
        demo.ask('mutation { importCatalogue(fileName: "a.xlsx", content: "%%%") { __typename } }', token),
        demo.ask('mutation { registerWebhook(url: "http://127.0.0.1/") { __typename } }', token),
        demo.ask('mutation { createEntry(input: {document: "[]"}) { __typename } }', token),
        demo.ask('mutation { createEntry(input: {document: "{", patch: "1"}) { __typename } }', token),
        demo.ask("mutation ($c: String!) { importCatalogue(fileName: \"\", content: $c) { __typename } }", token,
                 {"c": base64.b64encode(bytes(1000)).decode()}),
    ]  # fmt: skip
    for reply in replies:
        assert "INTERNAL" not in reply.codes, reply.raw
        for word in (b"asyncpg", b"SELECT", b"Traceback", b"matter_", b"psycopg", b".py", b"postgres"):
            assert word not in reply.raw, reply.raw
