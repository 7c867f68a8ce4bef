"""Exports over HTTP, from real nodes: read whole, broken off by either side, counted either way."""

import asyncio
import base64
import csv
import http.client
import io
import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tanglai.storage.embedded import EmbeddedPostgres
from tests.cases import case
from tests.http.nodes import REGISTERS, RESOURCE, Node, Platform, make_source

ROWS = 20_000
"""Of half a kilobyte in a name each, so that no buffer on the way holds them."""
BOUND = 30_000
PERSONS = "{ data { people { persons { nodes { number name phone } } } } }"
QUOTA = 1_000_000
GRANTS = """
    kind: grants
    grants:
      - {id: G-1, requester: yinchuan, resource: 301/1, items: [phone], purpose: assistance,
         validFrom: "2020-01-01", validTo: "2036-01-01", basis: APPLICATION, quota: {rows: %d}}
"""
PATIENCE_SECONDS = 20.0
MEDIA = {
    "ndjson": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8; header=present",
    "parquet": "application/vnd.apache.parquet",
    "arrow": "application/vnd.apache.arrow.stream",
}


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("exports")
    with EmbeddedPostgres(folder / "database", settings={"fsync": "off"}) as database:
        asyncio.run(make_source(database))
        platform = Platform(folder, database)
        platform.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("TANGLAI_")},
            "TANGLAI_DATABASE_URL": database.url(),
            "TANGLAI_KEY": base64.b64encode(os.urandom(32)).decode(),
            "TANGLAI_STATE_DIR": str(folder / "state"),
            "TANGLAI_DEMO_ISSUER": "1",
            "TANGLAI_ALLOWED_ORIGINS": "https://app.example.cn",
            "TANGLAI_EXPORT_IDLE_SECONDS": "3",
            "PEOPLE_DSN": database.url("people"),
        }
        for name, text in REGISTERS.items():
            platform.write(name, GRANTS % QUOTA if name == "grants" else text)
        platform.write("persons", RESOURCE.format(code="301/1", plural="persons", one="person", type="Person"))
        platform.tanglai("catalogue", "import", str(folder / "catalogue"))
        asyncio.run(_fill(platform))
        yield platform


async def _fill(platform: Platform) -> None:
    connection = await asyncpg.connect(platform.environment["PEOPLE_DSN"])
    await connection.execute(
        f"INSERT INTO person SELECT n, 'N' || n, repeat('长', 500), '1380000' || n FROM generate_series(51, {ROWS}) n"
    )
    await connection.close()


@pytest.fixture(scope="module")
def node(platform: Platform) -> Iterator[Node]:
    with platform.node() as running:
        yield running


def sql(url: str, text: str) -> list[Any]:
    async def run() -> list[Any]:
        connection = await asyncpg.connect(url)
        try:
            return [tuple(row) for row in await connection.fetch(text)]
        finally:
            await connection.close()

    return asyncio.run(run())


def records(platform: Platform) -> list[tuple[str, str, int]]:
    """Kind, outcome and rows of the records of exports, the oldest first."""
    return sql(
        platform.environment["TANGLAI_DATABASE_URL"],
        "SELECT document_kind, outcome, (rows ->> '301/1')::int FROM audit_record WHERE export IS NOT NULL ORDER BY id",
    )


def taken(platform: Platform) -> int:
    """Rows of the quota that are used or held."""
    found = sql(platform.environment["TANGLAI_DATABASE_URL"], "SELECT coalesce(sum(rows), 0)::int FROM quota_use")
    return int(found[0][0])


def reading(platform: Platform) -> list[Any]:
    """The sessions in the source that are in a transaction."""
    return sql(
        platform.environment["PEOPLE_DSN"],
        "SELECT state FROM pg_stat_activity WHERE datname = 'people' AND application_name = 'tanglai' "
        "AND state <> 'idle'",
    )


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.05)


@contextmanager
def asked(
    node: Node,
    token: str,
    query: str = PERSONS,
    *,
    path: str = "/export",
    given: Any = None,
    headers: Mapping[str, str] | None = None,
    method: str = "POST",
) -> Iterator[http.client.HTTPResponse]:
    """The response, of which nothing is read yet. The client's own buffer is small."""
    host = urlsplit(node.url)
    connection = http.client.HTTPConnection(host.hostname or "", host.port or 0, timeout=60)
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 << 10)
    sock.settimeout(60)
    sock.connect((host.hostname, host.port))
    connection.sock = sock
    try:
        body = json.dumps({"query": query, "extensions": {"export": given}})
        sent = {"Content-Type": "application/json", "Authorization": f"Bearer {token}", **(headers or {})}
        connection.request(method, path, body, {name: value for name, value in sent.items() if value})
        yield connection.getresponse()
    finally:
        connection.close()


def code(response: http.client.HTTPResponse) -> tuple[int, str]:
    body = json.loads(response.read())
    assert "data" not in body
    return response.status, body["errors"][0]["extensions"]["code"]


# --- whole files ------------------------------------------------------------------------------------------------------


def rows_of(word: str, data: bytes) -> list[dict[str, Any]]:
    if word == "ndjson":
        return [json.loads(line) for line in data.splitlines()]
    if word == "csv":
        return list(csv.DictReader(io.StringIO(data.decode(), newline="")))
    read = pa.ipc.open_stream(data).read_all() if word == "arrow" else pq.read_table(io.BytesIO(data))
    return list(read.to_pylist())


@case(29, twin=True)
@pytest.mark.parametrize("word", MEDIA)
def test_every_format(node: Node, platform: Platform, word: str) -> None:
    before = len(records(platform))
    with asked(node, platform.token(), path=f"/export?format={word}", given={"rows": BOUND}) as response:
        assert response.status == 200
        assert response.getheader("content-type") == MEDIA[word]
        assert response.getheader("content-disposition") == f'attachment; filename="persons.{word}"'
        assert response.getheader("transfer-encoding") == "chunked"
        assert (response.getheader("cache-control"), response.getheader("x-content-type-options")) == (
            "no-store",
            "nosniff",
        )
        terms = json.loads(response.getheader("export-terms") or "")
        assert (terms["grants"], terms["purpose"], terms["denied"]) == (["G-1"], "assistance", [])
        assert terms["requestId"] == response.getheader("x-request-id")
        found = rows_of(word, response.read())
    assert len(found) == ROWS
    assert found[0] == {"number": "N001", "name": "人1", "phone": "13800000001"}
    assert found[-1] == {"number": f"N{ROWS}", "name": "长" * 500, "phone": f"1380000{ROWS}"}
    until(lambda: len(records(platform)) == before + 2)
    assert records(platform)[before:] == [("export", "ALLOWED", BOUND), ("export-end", "ALLOWED", ROWS)]


def test_a_query_says_the_same(node: Node, platform: Platform) -> None:
    where = 'where: {number: {startsWith: "N00"}}, orderBy: [{number: DESC}]'
    query = f"{{ data {{ people {{ persons({where}) {{ nodes {{ id name: number phone }} }} }} }} }}"
    with asked(node, platform.token(), query, given={"rows": 100}) as response:
        data = response.read()
        assert response.status == 200, data
        found = rows_of("ndjson", data)
    reply = node.ask(query, platform.token())
    assert found == reply.body["data"]["data"]["people"]["persons"]["nodes"]
    assert len(found) == 9


ACCEPTED = {
    "": "ndjson",
    "*/*": "ndjson",
    "text/csv": "csv",
    "text/*": "csv",
    "application/*": "ndjson",
    "application/vnd.apache.parquet, */*;q=0.1": "parquet",
    "application/x-ndjson;q=0.5, application/vnd.apache.arrow.stream": "arrow",
    "text/csv;q=0, */*;q=0.5": "ndjson",
    "application/json": None,
    "text/html,image/webp": None,
    "text/csv;q=0": None,
    "text/csv" + ";a=b" * 400: None,
}


@pytest.mark.parametrize("accept", ACCEPTED)
def test_the_format_is_negotiated(node: Node, platform: Platform, accept: str) -> None:
    with asked(node, platform.token(), given={"rows": 2}, headers={"Accept": accept}) as response:
        word = ACCEPTED[accept]
        if word is None:
            assert code(response) == (406, "BAD_INPUT")
        else:
            assert (response.status, response.getheader("content-type")) == (200, MEDIA[word])
            assert len(rows_of(word, response.read())) == 2


def test_other_origins_are_told_what_a_page_may_read(node: Node, platform: Platform) -> None:
    origin = {"Origin": "https://app.example.cn"}
    with asked(node, "", method="OPTIONS", headers={**origin, "Authorization": ""}) as response:
        assert response.status == 204
        assert response.getheader("access-control-allow-methods") == "POST"
    with asked(node, platform.token(), given={"rows": 1}, headers=origin) as response:
        assert response.getheader("access-control-allow-origin") == "https://app.example.cn"
        assert "Export-Terms" in (response.getheader("access-control-expose-headers") or "")


def test_an_old_client_could_not_tell_a_part_from_the_whole(node: Node, platform: Platform) -> None:
    host = urlsplit(node.url)
    body = json.dumps({"query": PERSONS}).encode()
    with socket.create_connection((host.hostname, host.port), timeout=30) as sock:
        head = f"POST /export HTTP/1.0\r\nAuthorization: Bearer {platform.token()}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        sock.sendall(head.encode() + body)
        assert b" 505 " in sock.recv(100)


# --- broken off -------------------------------------------------------------------------------------------------------


@contextmanager
def running(node: Node, platform: Platform, **more: Any) -> Iterator[http.client.HTTPResponse]:
    """An export that has begun and cannot end, for nobody reads on."""
    with asked(node, platform.token(), given={"rows": BOUND}, **more) as response:
        assert response.status == 200
        assert len(response.read(1_000)) == 1_000
        assert reading(platform), "the source is being read"
        yield response


def broken(response: http.client.HTTPResponse) -> None:
    """What is left breaks off, and the client sees that."""
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        response.read()


def left_open(platform: Platform, before: int, used: int) -> None:
    """The export counts with its bound, and its source is free."""
    until(lambda: not reading(platform))
    assert records(platform)[before:] == [("export", "ALLOWED", BOUND)]
    until(lambda: taken(platform) == used + BOUND)


def settled(platform: Platform) -> tuple[int, int]:
    """Records and use once what was not used has come back."""
    found = -1
    while found != (found := taken(platform)):
        time.sleep(1.2)
    return len(records(platform)), found


@case(35)
def test_a_client_that_leaves_ends_the_work_in_the_source(node: Node, platform: Platform) -> None:
    before, used = settled(platform)
    with running(node, platform):
        pass
    left_open(platform, before, used)
    log = "".join(path.read_text() for path in platform.folder.glob("node-*.log"))
    assert '"CLIENT_LEFT"' in log
    assert "an export broke off" in log


@case(35)
def test_a_client_that_reads_no_further_does_not_hold_the_source(node: Node, platform: Platform) -> None:
    before, used = settled(platform)
    with running(node, platform) as response:
        left_open(platform, before, used)  # within TANGLAI_EXPORT_IDLE_SECONDS
        broken(response)


@case(47)
def test_a_source_that_fails_in_the_middle(node: Node, platform: Platform) -> None:
    before, used = settled(platform)
    with running(node, platform) as response:
        sql(
            platform.environment["PEOPLE_DSN"],
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = 'people' AND application_name = 'tanglai'",
        )
        broken(response)
    left_open(platform, before, used)


@pytest.fixture(scope="module")
def patient(platform: Platform) -> Iterator[Node]:
    """A node of two places that waits longer for its clients."""
    with platform.node(TANGLAI_MAX_EXPORTS="2", TANGLAI_EXPORT_IDLE_SECONDS="60") as running:
        yield running


def test_exports_have_places_and_departments_a_share(patient: Node, platform: Platform) -> None:
    with running(patient, platform), asked(patient, platform.token(), given={"rows": 5}) as second:
        assert second.getheader("retry-after") == "1"
        assert code(second) == (503, "LIMIT_EXCEEDED")
        token = platform.token("public-security")
        numbers = PERSONS.replace(" phone", "")
        with asked(patient, token, numbers, given={"rows": 5}) as other:
            assert (other.status, len(other.read().splitlines())) == (200, 5)
        assert patient.ask("{ data { people { persons(first: 1) { nodes { number } } } } }", token).codes == []
    until(lambda: not reading(platform))


@case(33)
@case(41)
def test_a_suspended_grant_ends_an_export(patient: Node, platform: Platform) -> None:
    with running(patient, platform) as response:
        before = len(records(platform))
        platform.tanglai("grant", "suspend", "G-1", "--reason", "misuse")
        try:
            time.sleep(1.0)  # the second within which every node knows
            broken(response)
            assert len(records(platform)) == before
            with asked(patient, platform.token(), given={"rows": 5}) as refused:
                assert code(refused) == (403, "GRANT_SUSPENDED")
        finally:
            platform.tanglai("grant", "resume", "G-1", "--reason", "looked into")
    until(lambda: not reading(platform))


@case(35)
def test_a_node_that_is_killed(patient: Node, platform: Platform) -> None:
    """Its bound counts, and what its worker held besides is lost with it."""
    before, used = settled(platform)
    with running(patient, platform) as response:
        patient.process.send_signal(signal.SIGKILL)
        patient.process.wait(timeout=30)
        broken(response)
    until(lambda: not reading(platform))
    assert records(platform)[before:] == [("export", "ALLOWED", BOUND)]
    assert taken(platform) >= used + BOUND
