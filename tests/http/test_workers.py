"""Several workers of one node: on one port, any of them killed under load, ended with their supervisor."""

import asyncio
import base64
import http.client
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from tanglai.server.serve import StartError
from tanglai.server.settings import Settings
from tanglai.server.workers import ATTEMPTS, Port
from tanglai.storage.embedded import EmbeddedPostgres
from tests.http.nodes import REGISTERS, REQUESTER, RESOURCE, TANGLAI, Node, Platform, Reply, make_source
from tests.http.proxies import Proxy, proxy

QUOTA = 800
PAGE = 5
NAMES = "{ data { people { persons(first: 1) { nodes { name } } } } }"
PHONES = f"{{ data {{ people {{ persons(first: {PAGE}) {{ nodes {{ number phone }} }} }} }} }}"


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("workers")
    source = EmbeddedPostgres(folder / "source", settings={"fsync": "off"})
    database = EmbeddedPostgres(folder / "platform", settings={"fsync": "off"})
    with source, database:
        asyncio.run(make_source(source))
        platform = Platform(folder, database)
        platform.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("TANGLAI_")},
            "TANGLAI_DATABASE_URL": database.url(),
            "TANGLAI_KEY": base64.b64encode(os.urandom(32)).decode(),
            "TANGLAI_STATE_DIR": str(folder / "state"),
            "TANGLAI_DEMO_ISSUER": "1",
            "PEOPLE_DSN": source.url("people"),
        }
        for name, text in REGISTERS.items():
            bounded = text.replace("basis: APPLICATION", f"basis: APPLICATION, quota: {{rows: {QUOTA}}}")
            platform.write(name, bounded)
        platform.write("persons", RESOURCE.format(code="301/1", plural="persons", one="person", type="Person"))
        platform.tanglai("catalogue", "import", str(folder / "catalogue"))
        yield platform


def lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines() if line.endswith("}")]


def serving(log: Path) -> list[tuple[int, int]]:
    """Number and process id of each worker that began to serve, in order."""
    told = (re.fullmatch(r"worker (\d+) \(process (\d+)\) serves", line["event"]) for line in lines(log))
    return [(int(one[1]), int(one[2])) for one in told if one]


def ports(count: int = 2) -> list[int]:
    """Free ones in a row, below those that the system gives to outgoing connections: nobody takes them meanwhile."""
    for _ in range(100):
        first = random.randrange(16_000, 32_000)
        found = list(range(first, first + count))
        with ExitStack() as stack, suppress(OSError):
            for port in found:
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
            return found
    raise AssertionError("there are no free ports")


def until(condition: Callable[[], object], what: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether it runs; one that nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def phones(reply: Reply) -> list[str]:
    nodes = reply.body["data"]["data"]["people"]["persons"]["nodes"]
    assert len(nodes) == PAGE
    return [node["phone"] for node in nodes if node["phone"] is not None]


class Load:
    """Clients that ask again and again, on a connection for each request, and once more where there is no answer."""

    def __init__(self, node: Node, token: str, clients: int = 6) -> None:
        self._node, self._token = node, token
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]
        self.answered: list[str] = []
        self.rows = 0
        self.broken = 0
        self.other: list[Any] = []

    def _ask(self) -> None:
        while not self._stop.is_set():
            try:
                reply = self._node.ask(PHONES, self._token)
            except (OSError, http.client.HTTPException):  # not reached, or cut off within the answer
                self.broken += 1
                continue
            if reply.status == 502:
                self.broken += 1
                continue
            if reply.status != 200 or not set(reply.codes) <= {"QUOTA_EXCEEDED"}:
                self.other.append(reply.body)
                continue
            self.rows += len(phones(reply))
            self.answered.append(reply.body["extensions"]["requestId"])

    def more(self, count: int) -> None:
        """Returns once so many more were answered."""
        wanted = len(self.answered) + count
        until(lambda: len(self.answered) >= wanted, "nobody answers")

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def test_any_worker_may_die_under_load(platform: Platform) -> None:
    """Both serve; each is killed in turn: no answer without its record, no row beyond the quota, and it comes back."""
    port = ports()[0]
    with platform.node("--workers", "2", TANGLAI_METRICS_PORT=str(port)) as node:
        first = serving(node.log)
        assert sorted(number for number, _ in first) == [1, 2]
        with Load(node, platform.token()) as load:
            load.more(30)
            for number, pid in first:
                os.kill(pid, signal.SIGKILL)
                load.more(20)
                until(lambda number=number: [n for n, _ in serving(node.log)].count(number) == 2, "it is not back")  # type: ignore[misc]
                load.more(20)
            while node.ask(PHONES, platform.token()).codes != ["QUOTA_EXCEEDED"]:
                pass
        again = serving(node.log)[2:]
        counted = metric('tanglai_requests_total{entry="graphql",status="200"}', port, port + 1)
        assert node.process.poll() is None
    assert load.other == []
    assert 1 <= load.broken <= 2 * 6 + 4  # at most what each client had on its way when a worker was killed
    assert 0 < load.rows <= QUOTA
    assert len(load.answered) == len(set(load.answered))
    assert set(load.answered) <= asyncio.run(_recorded(platform.database.url()))
    assert {number for number, _ in again} == {1, 2}
    assert not {pid for _, pid in again} & {pid for _, pid in first}
    answered = [line.get("worker") for line in lines(node.log) if line["event"] == "request"]
    assert set(answered) == {1, 2}
    assert min(answered.count(1), answered.count(2)) > 10
    assert all(count > 0 for count in counted)
    deaths = [line for line in lines(node.log) if "died and is started again" in line["event"]]
    assert [line["level"] for line in deaths] == ["error", "error"]


def metric(name: str, *ports: int) -> list[float]:
    """What each process tells of itself."""
    told: list[float] = []
    for one in ports:
        with urllib.request.urlopen(f"http://127.0.0.1:{one}/metrics", timeout=10) as response:
            found = re.search(rf"^{re.escape(name)} (\S+)$", response.read().decode(), re.MULTILINE)
        told.append(float(found[1]) if found else 0.0)
    return told


async def _recorded(url: str) -> set[str]:
    connection = await asyncpg.connect(url)
    try:
        return {row["request_id"] for row in await connection.fetch("SELECT request_id FROM audit_record")}
    finally:
        await connection.close()


async def test_nginx_before_two_replicas(platform: Platform, tmp_path: Path) -> None:
    """docs/deploy/nginx.conf: what passes, what a client sees when a replica is killed, and that one comes back."""
    token = platform.token(REQUESTER, "--role", "applicant")
    places = ports(4)
    metrics = [{"TANGLAI_METRICS_PORT": str(port)} for port in places[2:]]
    with (
        platform.node("--port", str(places[0]), **metrics[0]) as one,
        platform.node("--port", str(places[1]), **metrics[1]) as other,
        proxy(tmp_path / "nginx", [node.url.removeprefix("http://") for node in (one, other)]) as nginx,
        ThreadPoolExecutor(8) as clients,
    ):
        front = Node(nginx.url, other.process, other.log, nginx.tls)
        await asyncio.to_thread(_passes, front, nginx, token)
        await asyncio.to_thread(_streams, front, nginx, token)

        def get() -> Reply:
            query = f"{nginx.url}/graphql?{urllib.parse.urlencode({'query': NAMES})}"
            request = urllib.request.Request(query, headers={"Authorization": f"Bearer {token}"})
            with urllib.request.urlopen(request, timeout=30, context=nginx.tls) as response:
                return Reply(response.status, response.read(), dict(response.headers))

        def arrived() -> float:
            return sum(metric("tanglai_operations_running", *places[2:]))

        blocker = await asyncpg.connect(platform.environment["PEOPLE_DSN"])
        try:
            async with blocker.transaction():
                await blocker.execute("LOCK TABLE person IN ACCESS EXCLUSIVE MODE")
                posts = [clients.submit(front.ask, NAMES, token) for _ in range(4)]
                await asyncio.to_thread(until, lambda: arrived() == 4, "requests by POST do not arrive")
                gets = [clients.submit(get) for _ in range(4)]
                await asyncio.to_thread(until, lambda: arrived() == 8, "requests by GET do not arrive")
                lost = metric("tanglai_operations_running", places[2])[0]
                one.process.kill()
                del places[2]
                await asyncio.to_thread(until, lambda: arrived() + _done(posts) == 8, "GET is not asked again")
                assert not any(get.done() for get in gets)
                failed = _done(posts)
        finally:
            await blocker.close()
        codes = sorted(one.result(30).status for one in posts)
        assert codes == [200] * (4 - failed) + [502] * failed  # not sent twice: it might have been a mutation
        assert 1 <= failed <= lost
        assert [one.result(30).status for one in gets] == [200] * 4

        def again() -> Load:
            with (
                platform.node("--port", str(places[0]), **metrics[0]) as back,
                Load(front, token) as load,
            ):
                until(lambda: any(line["event"] == "request" for line in lines(back.log)), "nginx leaves it out")
                load.more(20)
                back.process.kill()
                load.more(40)
            return load

        load = await asyncio.to_thread(again)
    assert load.other == []
    assert load.broken <= 6  # what each client had on its way
    assert set(load.answered) <= await _recorded(platform.database.url())
    logged = (nginx.folder / "tanglai.log").read_text()
    assert "persons" not in logged
    assert load.answered[-1] in logged


def _done(asked: Sequence[Future[Reply]]) -> int:
    return sum(one.done() for one in asked)


def _passes(front: Node, nginx: Proxy, token: str) -> None:
    given = front.ask(NAMES, token, headers={"X-Request-Id": "given-0001"})
    made = front.ask(NAMES, token, headers={"X-Request-Id": "x"})
    assert given.body["extensions"]["requestId"] == "given-0001"
    assert re.fullmatch("[0-9a-f]{32}", made.body["extensions"]["requestId"])
    assert made.headers["Strict-Transport-Security"]
    for path, method, size, status in (
        ("/metrics", "GET", 0, 404),
        ("/readyz", "GET", 0, 200),
        ("/graphql", "POST", 600_000, 413),
        ("/catalogue-imports", "POST", 600_000, 415),  # by the node: that is no spreadsheet
        ("/documents?name=a", "POST", 600_000, 201),
    ):
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "text/plain"}
        body = bytes(size) if method == "POST" else None
        request = urllib.request.Request(nginx.url + path, body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30, context=nginx.tls) as response:
                got = response.status
        except urllib.error.HTTPError as error:
            with error:
                got = error.code
        assert (path, got) == (path, status)


def _streams(front: Node, nginx: Proxy, token: str) -> None:
    """Events of an event stream and of a WebSocket come when they happen."""
    inbox = "subscription { inboxChanged { waiting } }"
    address = nginx.url.removeprefix("https://")
    stream = http.client.HTTPSConnection(address, timeout=20, context=nginx.tls)
    headers = {"Content-Type": "application/json", "Accept": "text/event-stream", "Authorization": f"Bearer {token}"}
    stream.request("POST", "/graphql", json.dumps({"query": inbox}), headers)
    response = stream.getresponse()

    def event() -> Any:
        while not (line := response.readline()).startswith(b"data: "):
            assert line
        return json.loads(line.removeprefix(b"data: "))["data"]

    protocols = [Subprotocol("graphql-transport-ws")]
    with connect(f"wss://{address}/graphql", subprotocols=protocols, ssl=nginx.tls, proxy=None) as socket:

        def message() -> Any:
            return json.loads(socket.recv(timeout=20))

        socket.send(json.dumps({"type": "connection_init", "payload": {"Authorization": f"Bearer {token}"}}))
        assert message() == {"type": "connection_ack"}
        socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": {"query": inbox}}))
        assert event() == message()["payload"]["data"] == {"inboxChanged": {"waiting": 0}}
        act = 'mutation { createApplication(input: {resource: "301/1"}) { __typename } }'
        assert front.ask(act, token).body["data"] == {"createApplication": {"__typename": "Application"}}
        while event() != {"inboxChanged": {"waiting": 1}}:
            pass
        while message()["payload"]["data"] != {"inboxChanged": {"waiting": 1}}:
            pass
    stream.close()


async def test_a_signal_lets_requests_of_all_workers_end(platform: Platform) -> None:
    """The source makes them wait; nobody new is let in, and the node ends as one of one process does."""
    token = platform.token(REQUESTER)
    blocker = await asyncpg.connect(platform.environment["PEOPLE_DSN"])
    try:
        port = ports()[0]
        running = ("tanglai_operations_running", port, port + 1)
        with (
            platform.node("--workers", "2", TANGLAI_METRICS_PORT=str(port)) as node,
            ThreadPoolExecutor(8) as clients,
        ):
            async with blocker.transaction():
                await blocker.execute("LOCK TABLE person IN ACCESS EXCLUSIVE MODE")
                asked = [clients.submit(node.ask, NAMES, token) for _ in range(8)]
                await asyncio.to_thread(until, lambda: sum(metric(*running)) == 8, "requests do not arrive")
                node.process.send_signal(signal.SIGTERM)
                address = ("127.0.0.1", int(node.url.rpartition(":")[2]))
                await asyncio.to_thread(until, lambda: _refused(address), "it still lets clients in")
                assert not any(one.done() for one in asked)
            assert [one.result(30).status for one in asked] == [200] * 8
            assert node.process.wait(30) == -signal.SIGTERM
            log = lines(node.log)
    finally:
        await blocker.close()
    assert {line["worker"] for line in log if line["event"] == "request"} == {1, 2}
    assert not [line for line in log if line["level"] in ("error", "critical")]


def _refused(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


def test_what_keeps_one_worker_from_starting_is_told(platform: Platform) -> None:
    """The first would serve; before all have served once, one that cannot is the end."""
    first, second = ports()
    with socket.create_server(("127.0.0.1", second)):
        done = subprocess.run(
            [TANGLAI, "serve", "--port", "0", "--workers", "2"],
            env={**platform.environment, "TANGLAI_METRICS_PORT": str(first)},
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert (done.returncode, done.stdout) == (1, "")
    assert f"metrics cannot listen on port {second}" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_the_embedded_database_is_the_supervisors(tmp_path: Path) -> None:
    """Started once, again when it dies, and its folder is free as soon as the supervisor is gone; workers go, too."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("TANGLAI_")},
        "TANGLAI_STATE_DIR": str(tmp_path / "state"),
        "TANGLAI_DEMO_ISSUER": "1",
        "TANGLAI_WORKERS": "2",
    }
    platform = Platform(tmp_path, EmbeddedPostgres(tmp_path / "state" / "platform"), environment)
    postmaster = tmp_path / "state" / "platform" / "cluster" / "postmaster.pid"
    with platform.node() as node:
        first = int(postmaster.read_text().split()[0])
        os.kill(first, signal.SIGKILL)
        until(lambda: postmaster.exists() and postmaster.read_text().split()[:1] != [str(first)], "it stays dead")
        until(lambda: _ready(node), "nobody is ready")
        pids = [pid for _, pid in serving(node.log)]
        assert [alive(pid) for pid in pids] == [True, True]  # none died of it
        assert len(os.listdir(f"/proc/{node.process.pid}/task")) == 1  # the supervisor forks: it must have one thread
        node.process.kill()
        node.process.wait(30)
        with platform.database as again:
            assert again.alive()
        until(lambda: not any(map(alive, pids)), "workers outlive their supervisor")
        assert _refused(("127.0.0.1", int(node.url.rpartition(":")[2])))


def _ready(node: Node) -> bool:
    try:
        with urllib.request.urlopen(f"{node.url}/readyz", timeout=10) as response:
            return bool(response.status == 200)
    except OSError:
        return False


@contextmanager
def supervised(behaviour: str, folder: Path) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.http.supervised", behaviour],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        try:
            yield child
        finally:
            child.kill()


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        ("crash", f"workers died {ATTEMPTS} times in a row before they served"),
        ("refuse", "`THIS` is missing"),
        ("later", "not any more"),
    ],
)
def test_workers_that_keep_dying_are_the_end(behaviour: str, message: str, tmp_path: Path) -> None:
    with supervised(behaviour, tmp_path) as child:
        printed, told = child.communicate(timeout=30)
    assert child.returncode == 1
    assert told.splitlines()[-1] == f"error: {message}"
    begun = [line.split()[1] for line in printed.splitlines() if line.startswith("worker")]
    assert begun.count("1") + begun.count("2") > ATTEMPTS or behaviour == "refuse"
    assert max(begun.count("1"), begun.count("2")) == (1 if behaviour == "refuse" else ATTEMPTS)
    assert ("ready http://127.0.0.1:" in printed) == (behaviour == "later")


def test_a_worker_that_hangs_is_replaced(tmp_path: Path) -> None:
    with supervised("hang", tmp_path) as child:
        assert child.stdout is not None
        begun: list[int] = []
        while len(begun) < 2:
            line = child.stdout.readline()
            assert line, child.communicate()[1]
            if line.startswith("worker 1 "):
                begun.append(int(line.split()[2]))
        assert not alive(begun[0])
        child.send_signal(signal.SIGINT)
        printed, told = child.communicate(timeout=30)
    assert printed.splitlines()[-1] == "SIGINT"
    assert f"worker 1 (process {begun[0]}) hangs and is killed" in told


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGKILL], ids=["TERM", "KILL"])
def test_stopping_is_bounded(sent: signal.Signals, tmp_path: Path) -> None:
    """Workers that do not hear are killed: at the order to stop, and when the supervisor is gone."""
    with supervised("stay", tmp_path) as child:
        assert child.stdout is not None
        begun = [child.stdout.readline() for _ in range(3)]
        pids = [int(line.split()[2]) for line in begun if line.startswith("worker")]
        assert [alive(pid) for pid in pids] == [True, True]
        child.send_signal(sent)
        until(lambda: not any(map(alive, pids)), "they stay")
        printed, _ = child.communicate(timeout=30)
    assert printed == ("SIGTERM\n" if sent is signal.SIGTERM else "")


def test_a_port_is_held_and_shared_by_sockets_of_its_own() -> None:
    held = Port.take("127.0.0.1", 0)
    number = int(held.url.rpartition(":")[2])
    address = ("127.0.0.1", number)
    try:
        with (
            socket.create_server(address, reuse_port=True),  # as another node's worker would
            pytest.raises(StartError, match=f"port {number}"),
        ):
            Port.take("127.0.0.1", number)
        assert _refused(address)  # held, nobody listens
        one, other = (held.sockets()[0] for _ in range(2))
        one.listen()
        other.listen()
        one.close()
        socket.create_connection(address, timeout=5).close()
        other.close()
        assert _refused(address)
    finally:
        held.close()


def test_the_metrics_of_all_workers_have_ports() -> None:
    Settings(metrics_port=65_533, workers=3)
    with pytest.raises(ValueError, match="leaves no ports for 4 `workers`"):
        Settings(metrics_port=65_533, workers=4)
