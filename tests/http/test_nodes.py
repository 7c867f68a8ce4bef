"""Nodes as their operators run them: published without restart, revoked across processes, killed, fed with rubbish."""

import asyncio
import base64
import http.client
import json
import os
import queue
import signal
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from connectors.webhooks import signature
from tanglai.server.issuer import DemoIssuer
from tanglai.server.settings import Settings
from tanglai.storage.embedded import EmbeddedPostgres
from tests.cases import case
from tests.http.nodes import PROVIDER, REGISTERS, REQUESTER, RESOURCE, Node, Platform, Reply, make_source

PHONES = "{ data { people { persons(first: 5) { nodes { number phone } } } } }"


class Hook(BaseHTTPRequestHandler):
    """A department's own system that is told of its work."""

    received: "queue.Queue[tuple[dict[str, str], bytes]]"

    def do_POST(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.received.put((headers, self.rfile.read(int(headers["content-length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def hooks() -> Iterator[str]:
    """URL of a receiver of webhooks."""
    Hook.received = queue.Queue()
    with ThreadingHTTPServer(("127.0.0.1", 0), Hook) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, hooks: str) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("node with a space")
    source = EmbeddedPostgres(folder / "source", settings={"fsync": "off"})
    database = EmbeddedPostgres(folder / "platform")
    with source, database:
        asyncio.run(make_source(source))
        platform = Platform(folder, database)
        platform.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("TANGLAI_")},
            "TANGLAI_DATABASE_URL": database.url(),
            "TANGLAI_KEY": base64.b64encode(os.urandom(32)).decode(),
            "TANGLAI_STATE_DIR": str(folder / "state"),
            "TANGLAI_DEMO_ISSUER": "1",
            "TANGLAI_WEBHOOK_HOSTS": hooks,
            "PEOPLE_DSN": source.url("people"),
        }
        for name, text in REGISTERS.items():
            platform.write(name, text)
        platform.write("persons", RESOURCE.format(code="301/1", plural="persons", one="person", type="Person"))
        platform.tanglai("catalogue", "import", str(folder / "catalogue"))
        yield platform


@pytest.fixture(scope="module")
def nodes(platform: Platform) -> Iterator[tuple[Node, Node]]:
    with platform.node() as one, platform.node() as other:
        yield one, other


def phones(reply: Reply) -> list[Any]:
    return [node["phone"] for node in reply.body["data"]["data"]["people"]["persons"]["nodes"]]


def test_a_published_resource_is_queryable_on_every_node_without_restart(
    platform: Platform, nodes: tuple[Node, Node]
) -> None:
    token = platform.token()
    query = "{ data { people { guests(first: 1) { nodes { number } } } } }"
    for node in nodes:
        assert node.ask(query, token).codes == ["BAD_INPUT"]
    platform.write("guests", RESOURCE.format(code="301/2", plural="guests", one="guest", type="Guest"))
    platform.tanglai("catalogue", "import", str(platform.folder / "catalogue"))
    time.sleep(1.1)
    for node in nodes:
        assert node.ask(query, token).body["data"]["data"]["people"]["guests"]["nodes"] == [{"number": "N001"}]
    again = platform.tanglai("catalogue", "import", str(platform.folder / "catalogue"))
    assert "no new version" in again.stdout


@case(33)
@case(33, twin=True)
def test_a_grant_suspended_elsewhere_gives_no_row_a_second_later(platform: Platform, nodes: tuple[Node, Node]) -> None:
    token = platform.token()
    for node in nodes:
        assert all(phones(node.ask(PHONES, token)))
    platform.tanglai("grant", "suspend", "G-1", "--reason", "misuse")
    try:
        time.sleep(1.05)
        for node in nodes:
            reply = node.ask(PHONES, token)
            assert phones(reply) == [None] * 5
            assert reply.codes == ["GRANT_SUSPENDED"]
    finally:
        platform.tanglai("grant", "resume", "G-1", "--reason", "corrected")
    time.sleep(1.05)
    assert all(phones(nodes[0].ask(PHONES, token)))


def test_a_bad_catalogue_is_refused_whole_with_file_line_and_article(
    platform: Platform, nodes: tuple[Node, Node], tmp_path: Path
) -> None:
    good = RESOURCE.format(code="301/8", plural="others", one="other", type="Other")
    hostile = RESOURCE.format(code="301/9", plural="x\\u202e", one="__one", type="Query").replace("人员", '"\\u0000"')
    closed = good.replace("301/8", "301/7").replace("others", "thirds").replace("other", "third").replace("Other", "T")
    closed = closed.replace("shareClass: CONDITIONAL, column: phone", "shareClass: NOT_SHARED, column: fax")
    for name, text in (("good", good), ("hostile", hostile), ("closed", closed)):
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    refused = platform.tanglai("catalogue", "import", str(tmp_path), check=False)
    assert refused.returncode == 1
    assert "closed.yaml:" in refused.stderr
    assert "Art. 10(1)" in refused.stderr
    assert "no column `fax`" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert "301/8" not in platform.tanglai("schema", "print").stdout


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "a.b.c",
        "." * 100,
        "eyJhbGciOiJub25lIn0.eyJkZXB0IjoiMTE2NDAxMDBNQjFBMDAwMDVRIn0.",
        "é",
        "A" * 10_000,
        base64.b64encode(os.urandom(300)).decode(),
    ],
    ids=["none", "short", "dots", "only dots", "alg none", "not ascii", "long", "random"],
)
def test_malformed_tokens_are_told_nothing(nodes: tuple[Node, Node], token: str) -> None:
    reply = nodes[0].ask(PHONES, token.encode().decode("latin-1"))
    assert reply.status == 401
    assert reply.codes == ["UNAUTHENTICATED"]
    assert "data" not in reply.body
    assert reply.headers["www-authenticate"].startswith("Bearer")


def test_the_command_line_lists_grants_and_tells_where_none_has_a_quota(platform: Platform) -> None:
    listed = platform.tanglai("grant", "list", "yinchuan").stdout
    assert "items, relations" in listed
    assert "G-1" in listed
    used = platform.tanglai("grant", "use", "yinchuan")
    assert (used.stdout, used.stderr) == ("", "no grant has a quota\n")
    assert platform.tanglai("grant", "use", "yinchuan", "--json").stdout == ""


def test_an_unregistered_department_is_no_department(platform: Platform, nodes: tuple[Node, Node]) -> None:
    settings = Settings(state_dir=Path(platform.environment["TANGLAI_STATE_DIR"]), demo_issuer=True)
    stranger = DemoIssuer.open(settings).issue("11640000MB1A000034", purposes=["assistance"])
    reply = nodes[0].ask(PHONES, stranger)
    assert (reply.status, reply.codes) == (403, ["NOT_A_DEPARTMENT"])


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ("", {}),
        ("{", {}),
        ("{ nothing }", {}),
        ("query($n: Int) { data { people { persons(first: $n) { nodes { number } } } } }", {"n": -1}),
        ("query($n: Int) { data { people { persons(first: $n) { nodes { number } } } } }", {"n": 10**30}),
        ("query($n: Int) { data { people { persons(first: $n) { nodes { number } } } } }", {"n": "many"}),
        ("query($n: Int) { data { people { persons(first: $n) { nodes { number } } } } }", {"n": {"a": []}}),
        ('{ data { people { persons(after: "../../etc/passwd") { nodes { number } } } } }', {}),
        ('{ data { people { person(number: "\\u0000") { name } } } }', {}),
        ('{ node(id: "r.AAAA") { id } }', {}),
        ("mutation { drop }", {}),
        ("subscription { x }", {}),
    ],
)
def test_bad_input_is_a_typed_error(
    platform: Platform, nodes: tuple[Node, Node], query: str, variables: dict[str, Any]
) -> None:
    reply = nodes[0].ask(query, platform.token(), variables)
    assert reply.status == 400
    assert set(reply.codes) <= {"BAD_INPUT", "BAD_CURSOR"}
    assert "data" not in reply.body
    assert nodes[0].process.poll() is None


@case(47)
def test_no_answer_without_its_audit_record_whatever_is_killed(platform: Platform) -> None:
    """The platform database and a node are killed under load; every answer that a client got has its record."""
    token = platform.token()
    answered: list[str] = []
    refused: list[str] = []
    broken = 0
    stop = threading.Event()
    lock = threading.Lock()
    with platform.node() as steady, platform.node() as doomed:

        def load(node: Node) -> None:
            nonlocal broken
            while not stop.is_set():
                try:
                    reply = node.ask(PHONES, token)
                except (OSError, http.client.HTTPException):  # not reached, or cut off within the answer
                    with lock:
                        broken += 1
                    if node.process.poll() is not None:
                        return
                    continue
                with lock:
                    if reply.status == 200:
                        assert len(phones(reply)) == 5
                        answered.append(reply.body["extensions"]["requestId"])
                    else:
                        refused.extend(reply.codes)

        threads = [threading.Thread(target=load, args=(node,)) for node in (steady, doomed) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            time.sleep(0.7)
            platform.database.kill()
            time.sleep(1.5)
            before = len(answered)
            platform.database.ensure_running()
            deadline = time.monotonic() + 20
            while len(answered) < before + 20 and time.monotonic() < deadline:
                time.sleep(0.1)
            assert len(answered) >= before + 20, "the nodes did not come back by themselves"
            doomed.process.send_signal(signal.SIGKILL)
            time.sleep(0.5)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert set(refused) <= {"POLICY_UNAVAILABLE", "AUDIT_UNAVAILABLE"}
        assert refused, "requests without the platform database were not refused"
        assert steady.ask(PHONES, token).status == 200
    recorded = asyncio.run(_recorded(platform.database.url()))
    assert set(answered) <= recorded
    assert len(answered) == len(set(answered))


async def _recorded(url: str) -> set[str]:
    connection = await asyncpg.connect(url)
    try:
        return {row["request_id"] for row in await connection.fetch("SELECT request_id FROM audit_record")}
    finally:
        await connection.close()


def test_the_audit_log_says_who_read_what_and_what_was_denied(platform: Platform, nodes: tuple[Node, Node]) -> None:
    token = platform.token(PROVIDER)
    allowed = nodes[0].ask("query Names { data { people { persons(first: 3) { nodes { name } } } } }", token)
    denied = nodes[0].ask('{ data { people { persons(where: {phone: {eq: "1"}}) { nodes { name } } } } }', token)
    records = {}
    for reply in (allowed, denied):
        errors = reply.body.get("errors", [{}])
        number = reply.body.get("extensions", errors[0].get("extensions", {}))["requestId"]
        found = platform.tanglai("audit", "search", "--request", number).stdout.splitlines()
        assert len(found) == 1
        records[number] = json.loads(found[0])
    first, second = records.values()
    assert (first["outcome"], first["items"], first["rows"]) == ("ALLOWED", {"301/1": ["name"]}, {"301/1": 3})
    assert (first["operation_name"], first["purpose"]) == ("Names", "assistance")
    assert (second["outcome"], second["codes"]) == ("DENIED", ["GRANT_REQUIRED"])
    assert "phone" in second["items"]["301/1"]


def test_a_client_that_goes_away_cancels_its_source_call(platform: Platform, nodes: tuple[Node, Node]) -> None:
    """Shown at the connector in tests/contract; here the node stays healthy under many aborted requests."""
    token = platform.token()
    host = urlsplit(nodes[0].url)
    body = json.dumps({"query": PHONES}).encode()
    head = (
        f"POST /graphql HTTP/1.1\r\nHost: {host.netloc}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    for _ in range(200):
        with socket.create_connection((host.hostname or "", host.port or 0)) as connection:
            connection.sendall(head + body)
    assert len(phones(nodes[0].ask(PHONES, token))) == 5


@case(31, twin=True)
def test_an_act_on_one_node_is_an_event_on_every_node(platform: Platform, nodes: tuple[Node, Node]) -> None:
    """A draft waits for its author: the inbox says so to event streams and WebSockets, wherever they are."""
    token = platform.token(REQUESTER, "--role", "applicant")
    inbox = "subscription { inboxChanged { waiting tasks(first: 1) { nodes { role } } } }"
    one, other = nodes
    stream = http.client.HTTPConnection(urlsplit(one.url).netloc, timeout=20)
    headers = {"Content-Type": "application/json", "Accept": "text/event-stream", "Authorization": f"Bearer {token}"}
    stream.request("POST", "/graphql", json.dumps({"query": inbox}), headers)
    response = stream.getresponse()
    url = f"{other.url.replace('http', 'ws', 1)}/graphql"
    with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")], proxy=None) as socket:

        def say(**message: Any) -> None:
            socket.send(json.dumps(message))

        def from_socket() -> Any:
            return json.loads(socket.recv(timeout=20))

        def from_stream() -> Any:
            while not (line := response.readline()).startswith(b"data: "):
                assert line
            return json.loads(line.removeprefix(b"data: "))

        say(type="connection_init", payload={"Authorization": f"Bearer {token}"})
        assert from_socket() == {"type": "connection_ack"}
        say(id="1", type="subscribe", payload={"query": inbox})
        before = {"data": {"inboxChanged": {"waiting": 0, "tasks": {"nodes": []}}}}
        for body in (from_stream(), from_socket()["payload"]):
            assert {"data": body["data"]} == before
        act = 'mutation { createApplication(input: {resource: "301/1"}) { __typename } }'
        assert one.ask(act, token).body["data"] == {"createApplication": {"__typename": "Application"}}
        after = {"waiting": 1, "tasks": {"nodes": [{"role": "applicant"}]}}
        while from_stream()["data"]["inboxChanged"] != after:
            pass
        while from_socket()["payload"]["data"]["inboxChanged"] != after:
            pass
    stream.close()


def test_a_department_is_told_by_its_webhook_once_whatever_the_number_of_nodes(
    platform: Platform, nodes: tuple[Node, Node], hooks: str
) -> None:
    token = platform.token(REQUESTER, "--role", "applicant", "--role", "client-administrator")
    one, other = nodes
    register = (
        'mutation ($url: String!) { registerWebhook(url: $url, kinds: ["task"]) { '
        "... on RegisteredWebhook { secret webhook { id } } } }"
    )
    registered = one.ask(register, token, {"url": f"{hooks}/work"}).body["data"]["registerWebhook"]
    act = 'mutation { createApplication(input: {resource: "301/1"}) { ... on Application { id } } }'
    id = other.ask(act, token).body["data"]["createApplication"]["id"]
    headers, body = Hook.received.get(timeout=20)
    assert headers["tanglai-signature"] == signature(registered["secret"], int(headers["tanglai-timestamp"]), body)
    told = json.loads(body)
    assert (told["event"], told["role"], told["matter"]["id"]) == ("task.APPLICATION", "applicant", id)
    found = one.ask("query ($id: ID!) { node(id: $id) { id } }", token, {"id": told["matter"]["id"]}).body["data"]
    assert found == {"node": {"id": id}}
    remove = "mutation ($id: ID!) { removeWebhook(id: $id) { __typename } }"
    removed = other.ask(remove, token, {"id": registered["webhook"]["id"]}).body["data"]
    assert removed == {"removeWebhook": {"__typename": "Webhook"}}
    one.ask(act, token)
    with pytest.raises(queue.Empty):
        Hook.received.get(timeout=0.5)
