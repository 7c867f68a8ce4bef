"""The running demo, over real connections: what it makes of tokens, headers and bytes."""

import base64
import json
import re
from itertools import product
from typing import Any

import orjson
import pytest

from demo.session import EVERYBODY, OWN_DATA
from tests.attack.book import Book
from tests.attack.running_demo import JSON, Demo, Reply
from tests.unit.server.samples import EC, claims
from tests.unit.server.samples import token as signed

book = Book(__name__, "The running demo")
row = book.row

PHONE = "query($id: String!) { data { population { resident(idNumber: $id) { name phone } } } }"
PHONES = "query($w: ResidentWhere) { data { population { residents(first: 20, where: $w) { nodes { name phone } } } } }"
TAX, PENSION, LAND, COUNTING = (
    ("taxation", "TAX-COLLECTION"),
    ("social-security", "PENSION-VERIFICATION"),
    ("natural-resources", "REAL-ESTATE-REGISTRATION"),
    ("data-office", "POPULATION-ANALYSIS"),
)


def shows_phones(reply: Reply) -> bool:
    """Every phone of the demo begins alike."""
    return re.search(rb'(?<!"requestId":)"128', reply.raw) is not None


def test_the_one_who_may_sees_it(demo: Demo, owner: dict[str, Any]) -> None:
    """Positive twin of all that follow."""
    assert shows_phones(demo.ask(PHONE, demo.token(*PENSION), owner))
    assert not shows_phones(demo.ask(PHONE, demo.token(*TAX), owner))


# --- tokens that the issuer did sign -----------------------------------------------------------------------------

TOKENS = [
    row(1010, "A scope that names the item, without a grant", "scopes only narrow", *TAX, (), ["1010101/1:phone"]),
    row(1011, "Scopes with a star, all, nothing", "compared exactly", *TAX, (), ["*", "1010101/1:*", "1010101/*"]),
    row(1012, "A scope over another resource, with the first one's item", "a scope is of its resource",
        *PENSION, (), ["1020101/1", "1020101/1:phone"]),
    row(1013, "The role `data.own` for who owns nothing here", "the source's department", *TAX, ("data.own",), None),
    row(1014, "The role in capitals, as a path, with a star", "compared exactly",
        "public-security", "TAX-COLLECTION", ("DATA.OWN", "data.*", "data.own/", "admin", "data"), None),
    row(1015, "Another department's purpose", "a grant is its requester's",
        "taxation", "PENSION-VERIFICATION", (), None),
    row(1016, "The right department for another purpose", "compared exactly",
        "social-security", "TAX-COLLECTION", (), None),
    row(1017, "A city's department of the same name", "a department is its code",
        "yinchuan-civil-affairs", "PENSION-VERIFICATION", (), None),
    row(1018, "A department's key in the claim", "codes only", "Social-Security", "PENSION-VERIFICATION", (), None),
    row(1019, "A department's code in small letters", "compared exactly", "lower", "PENSION-VERIFICATION", (), None),
]  # fmt: skip


@pytest.mark.parametrize(("department", "purpose", "roles", "scopes"), TOKENS)
def test_no_token_opens_a_phone(
    demo: Demo, owner: dict[str, Any], department: str, purpose: str, roles: tuple[str, ...], scopes: list[str] | None
) -> None:
    who = demo.codes["social-security"].lower() if department == "lower" else department
    token = demo.token(who, purpose, roles=roles, scopes=scopes)
    for reply in (
        demo.ask(PHONE, token, owner),
        demo.ask(PHONES, token),
        demo.ask(PHONES, token, {"w": {"phone": {}}}),
    ):
        assert not shows_phones(reply), reply.raw
        assert reply.codes
        assert set(reply.codes) <= {
            "GRANT_REQUIRED", "SCOPE_EXCEEDED", "PURPOSE_MISMATCH", "NOT_A_DEPARTMENT"
        }, reply.codes  # fmt: skip


@book.attempt(1020, "Forge: no algorithm, another's key, one's own key in the header, any `kid`", "one answer")
def test_forged_tokens(demo: Demo, owner: dict[str, Any]) -> None:
    good = demo.token(*PENSION)
    head, payload, signature = good.split(".")
    kid = json.loads(base64.urlsafe_b64decode(head + "=="))["kid"]

    def headed(**header: Any) -> str:
        return base64.urlsafe_b64encode(orjson.dumps(header)).rstrip(b"=").decode()

    own = claims(
        iss="tanglai-demo", aud="tanglai", dept=demo.codes["social-security"], purpose=["PENSION-VERIFICATION"]
    )
    forged = [
        f"{headed(alg='none', kid=kid)}.{payload}.",
        f"{headed(alg='NONE')}.{payload}.{signature}",
        f"{headed(alg='HS256', kid=kid)}.{payload}.{signature}",
        f"{headed(alg='ES256', kid='../../../.demo/demo-issuer.json')}.{payload}.{signature}",
        f"{headed(alg='ES256', kid=[kid])}.{payload}.{signature}",
        f"{headed(alg='ES256', kid=kid, typ='at+jwt')}.{payload}.{signature[:-4]}AAAA",
        signed(own, EC, kid=kid),
        signed(own, EC, kid=kid, jwk=EC.as_dict(private=False)),
        f"{good}.{good}",
        good + "=",
        " " + good[:-1],
    ]
    answers = {(reply.status, reply.bare) for reply in (demo.ask(PHONE, one, owner) for one in forged)}
    assert {status for status, _ in answers} == {401}
    assert len(answers) == 1


@book.attempt(1021, "Ask `/demo/token` for roles, scopes, a lifetime, two departments", "two members are read")
def test_demo_tokens_hold_what_they_should(demo: Demo) -> None:
    def asked(text: bytes) -> Reply:
        return demo.send("POST", "/demo/token", [JSON], text)

    given = asked(
        b'{"department": "taxation", "purpose": "TAX-COLLECTION", "roles": ["data.own", "x"], "scope": "", '
        b'"purposes": ["PENSION-VERIFICATION"], "lifetime": 999999999, "client": "other", "person": "somebody"}'
    )
    payload = json.loads(base64.urlsafe_b64decode(given.body["token"].split(".")[1] + "=="))
    assert payload["purpose"] == ["TAX-COLLECTION"]
    assert payload["exp"] - payload["iat"] == 3600
    assert (payload["client_id"], payload["sub"]) == ("workbench", "workbench")
    assert payload["roles"] == sorted(EVERYBODY | OWN_DATA)
    for text in (
        b'{"department": "taxation", "department": "social-security"}',
        b'{"department": ["taxation"]}',
        b'{"department": {"key": "taxation"}}',
        b'{"department": "11640000MB0163372Q"}',
        b'{"department": "taxation", "purpose": ["TAX-COLLECTION"]}',
        b'{"department": "taxation", "purpose": "NO-SUCH"}',
        b'[{"department": "taxation"}]',
        b'{"department": "taxation"' + b" " * 5000 + b"}",
    ):
        reply = asked(text)
        assert reply.status in (400, 413), text
        assert b"eyJ" not in reply.raw


# --- headers and bytes -------------------------------------------------------------------------------------------

HEADERS = [
    row(1022, "A purpose in full-width letters", "printable ASCII", ("Purpose", "ＰＥＮＳＩＯＮ".encode())),
    row(1023, "A purpose in another case", "compared exactly", ("Purpose", "pension-verification")),
    row(1024, "A purpose with percent signs", "compared exactly", ("Purpose", "PENSION%2DVERIFICATION")),
    row(1025, "A purpose with a zero-width letter", "printable ASCII",
        ("Purpose", "PENSION-VERIFICATION\u200b".encode())),
    row(1026, "A purpose and its neighbour", "compared exactly", ("Purpose", "TAX-COLLECTION;PENSION-VERIFICATION")),
    row(1027, "A purpose of 10,000 letters", "128 at most", ("Purpose", "P" * 10_000)),
]  # fmt: skip


@pytest.mark.parametrize("header", HEADERS)
def test_no_header_is_another_purpose(demo: Demo, owner: dict[str, Any], header: tuple[str, str | bytes]) -> None:
    """The token allows taxes only, or pensions and taxes with none chosen."""
    for token in (demo.token(*TAX), demo.token(*PENSION, "TAX-COLLECTION")):
        reply = demo.ask(PHONE, token, owner, header)
        assert reply.status in (400, 403, 431)
        assert b'"data"' not in reply.raw


@book.attempt(1028, "Headers that rewrite the method, the host, the path or who is asking", "they are not read")
def test_headers_of_other_programs(demo: Demo, owner: dict[str, Any]) -> None:
    more = [
        ("X-HTTP-Method-Override", "GET"),
        ("X-Original-URL", "/graphql?query={me{client}}"),
        ("X-Rewrite-URL", "/demo/token"),
        ("X-Forwarded-Host", "evil.example"),
        ("Forwarded", "for=127.0.0.1;host=evil.example;proto=https"),
        ("X-Real-IP", "127.0.0.1"),
        ("X-Purpose", "PENSION-VERIFICATION"),
        ("X-Authorization", f"Bearer {demo.token(*PENSION)}"),
        ("Proxy-Authorization", f"Bearer {demo.token(*PENSION)}"),
        ("Cookie", f"Authorization=Bearer {demo.token(*PENSION)}; token={demo.token(*PENSION)}"),
    ]
    plain = demo.ask(PHONE, demo.token(*TAX), owner)
    assert demo.ask(PHONE, demo.token(*TAX), owner, *more).bare == plain.bare
    body = json.dumps({"query": PHONE, "variables": owner}).encode()
    assert demo.send("POST", "/graphql", [JSON, *more], body).status == 401


@book.attempt(1029, "Languages with quotes, markup, paths, ten thousand of them", "zh or en")
def test_languages(demo: Demo, owner: dict[str, Any]) -> None:
    told = set()
    for value in (
        "zh", "en", 'zh"><script>alert(1)</script>', "../../etc/passwd", "zh;q=NaN", "en;q=-1", "{{7*7}}", "zh," * 3000,
        "𝓏𝒽".encode(), "*;q=0",
    ):  # fmt: skip
        reply = demo.ask(PHONE, demo.token(*TAX), owner, ("Accept-Language", value))
        assert reply.status == 200
        assert b"script" not in reply.raw
        assert b"passwd" not in reply.raw
        told.add(reply.bare)
    assert len(told) == 2


@book.attempt(1030, "Two lengths, a length and chunks: a second request in the body of the first", "refused")
def test_smuggling(demo: Demo) -> None:
    """Whatever the front thinks, only what has a token of its own is answered with data."""
    inner = b"GET /graphql?query=%7Bme%7Bclient%7D%7D HTTP/1.1\r\nHost: x\r\n\r\n"
    head = b"POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nAuthorization: Bearer "
    head += demo.token(*TAX).encode() + b"\r\n"
    body = b'{"query": "{ me { client } }"}'
    framings = [
        b"Content-Length: %d\r\nContent-Length: %d\r\n\r\n" % (len(body), len(body + inner)),
        b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" % len(body),
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        b"Content-Length: +%d\r\n\r\n" % len(body),
        b"Content-Length: 0x10\r\n\r\n",
        b"Content-Length: %d,%d\r\n\r\n" % (len(body), len(body)),
        b"Content-Length: -1\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\n",
        b"X: y\r\n Content-Length: %d\r\n\r\n" % len(body),
        b"X: \nContent-Length: 5\r\n\r\n",
    ]
    for framing in framings:
        heard = demo.spoken(head + framing + body + inner, seconds=0.5)
        assert heard.count(b'"data"') <= 1, (framing, heard)
        for answer in heard.split(b"HTTP/1.1 ")[2:]:
            assert b'"data"' not in answer, (framing, heard)


@book.attempt(1031, "A request without a token behind one with a token, on the same connection", "each has its own")
def test_connections_carry_nobody(demo: Demo) -> None:
    body = b'{"query": "{ me { department { key } } }"}'

    def request(token: str | None, last: bool = False) -> bytes:
        lines = [b"POST /graphql HTTP/1.1", b"Host: 127.0.0.1", b"Content-Type: application/json"]
        lines += [f"Authorization: Bearer {token}".encode()] if token else []
        lines += [b"Content-Length: %d" % len(body)] + ([b"Connection: close"] if last else [])
        return b"\r\n".join(lines) + b"\r\n\r\n" + body

    one, other = demo.token(*TAX), demo.token(*PENSION)
    heard = demo.spoken(request(one) + request(None) + request(other) + request(None, last=True))
    told = [
        next((word for word in (b"taxation", b"social-security", b"UNAUTHENTICATED") if word in part), b"")
        for part in heard.split(b"HTTP/1.1 ")[1:]
    ]
    assert told == [b"taxation", b"UNAUTHENTICATED", b"social-security", b"UNAUTHENTICATED"]


@book.attempt(1032, "Other spellings of the path, and other methods", "one path, two methods")
def test_paths_and_methods(demo: Demo, owner: dict[str, Any]) -> None:
    body = json.dumps({"query": PHONE, "variables": owner}).encode()
    for method, path in product(
        ("POST", "PUT", "PATCH", "DELETE", "TRACE", "HEAD", "QUERY"),
        ("/graphql", "//graphql", "/graphql/", "/GraphQL", "/%67raphql", "/graphql;x=1", "/x/../graphql", "/graphql%00",
         "http://evil.example/graphql", "/graphql%2f..", "/.demo/demo-issuer.json", "/assets/..%2f..%2fpyproject.toml"),
    ):  # fmt: skip
        reply = demo.send(method, path, [JSON], body)
        assert reply.status in (400, 401, 404, 405, 501), (method, path)
        assert b'"data"' not in reply.raw
        assert not shows_phones(reply)


MEDIA = [
    row(1033, "JSON in UTF-16", "UTF-8", [("Content-Type", "application/json; charset=utf-16")], "utf-16"),
    row(1034, "JSON in UTF-7", "UTF-8", [("Content-Type", "application/json; charset=utf-7")], "utf-7"),
    row(1035, "A body that says it is packed", "not compressed", [JSON, ("Content-Encoding", "gzip")], "utf-8"),
    row(1036, "The query itself as `application/graphql`", "JSON", [("Content-Type", "application/graphql")], "utf-8"),
    row(1037, "A form with files (`multipart/form-data`)", "JSON",
        [("Content-Type", "multipart/form-data; boundary=x")], "utf-8"),
    row(1038, "Two kinds in one header", "JSON", [("Content-Type", "text/plain, application/json")], "utf-8"),
]  # fmt: skip


@pytest.mark.parametrize(("headers", "encoding"), MEDIA)
def test_media(demo: Demo, owner: dict[str, Any], headers: list[tuple[str, str]], encoding: str) -> None:
    body = json.dumps({"query": PHONE, "variables": owner}).encode(encoding)
    reply = demo.send("POST", "/graphql", [*headers, ("Authorization", f"Bearer {demo.token(*PENSION)}")], body)
    assert reply.status == 415
    assert b'"data"' not in reply.raw


BODIES = [
    row(1039, "A member twice, once with its letters escaped", "names are read, then compared",
        b'{"query": "{ __typename }", "\\u0071uery": "{ me { client } }"}'),
    row(1040, "A variable twice, deep inside", "no name twice, at any depth",
        b'{"query": "query($w: ResidentWhere) { data { population { residents(where: $w) { totalCount } } } }", '
        b'"variables": {"w": {"name": {"eq": "a", "eq": "b"}}}}'),
    row(1041, "A stored document by its hash alone", "there is no query",
        b'{"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "' + b"0" * 64 + b'"}}}'),
    row(1042, "A batch, of one too", "one operation", b'[{"query": "{ __typename }"}]'),
    row(1043, "A query as a list", "a text", b'{"query": ["{ __typename }"]}'),
    row(1044, "Lists 50,000 deep", "100 deep",
        b'{"query": "{ __typename }", "variables": {"a": '
        + b"[" * 50_000 + b"]" * 50_000 + b"}}"),
    row(1045, "A half of a letter (lone surrogate)", "valid Unicode",
        b'{"query": "{ __typename }", "variables": {"a": "\\ud83d"}}'),
    row(1046, "A half of a letter in the document", "valid Unicode",
        b'{"query": "{ a(b: \\"\\\\uD83D\\") }"}'),
    row(1047, "A half of a letter in braces", "valid Unicode", b'{"query": "{ a(b: \\"\\\\u{DC00}\\") }"}'),
    row(1048, "Not a number", "JSON", b'{"query": "{ __typename }", "variables": {"a": NaN, "b": -Infinity}}'),
    row(1049, "Something behind the body", "one value", b'{"query": "{ __typename }"}{"query": "{ me { client } }"}'),
    row(1050, "A mark of byte order before it", "JSON", b'\xef\xbb\xbf{"query": "{ __typename }"}'),
]  # fmt: skip


@pytest.mark.parametrize("body", BODIES)
def test_bodies(demo: Demo, body: bytes) -> None:
    reply = demo.post(body, demo.token(*PENSION))
    assert (reply.status, b'"data"' in reply.raw) == (400, False)
    assert set(reply.codes) <= {"BAD_INPUT", "LIMIT_EXCEEDED"}
