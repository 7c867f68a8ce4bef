"""One source that hangs and the others: what they do, hold and answer meanwhile, and what is left when it is over."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from benchmarks.wire import wire
from connectors import files, files_tables
from connectors import gate as gates
from connectors.files import FilesConnector
from connectors.gate import Room
from connectors.pool import SourcePool
from connectors.protocol import RawOutput, SourceBusy, SourceQuery, SourceTimeout, SourceUnavailable
from resolvers.limits import Limits
from tanglai.catalogue.expressions import Column
from tanglai.catalogue.model import Source, Zone
from tanglai.catalogue.scalars import ScalarType
from tanglai.storage.embedded import EmbeddedPostgres
from tests.catalogues import MARKET_REGULATION, PUBLIC_SECURITY, make_item, make_relation, make_resource, make_snapshot
from tests.gateways import Answer, World, requester

PEOPLE = "{ data { population { residents(first: 5) { nodes { name } } } } }"
CARS = "{ data { population { vehicles(first: 5) { nodes { plate } } } } }"
BOTH = "{ data { population { residents(first: 5) { nodes { name vehicles(first: 1) { nodes { plate } } } } } } }"
RESIDENTS = [{"name": f"name {number}"} for number in range(1, 6)]
PLATES = [{"plate": f"P{number}"} for number in range(1, 6)]
MOST = 8
WAITING = 128
PATIENCE = 60.0


@pytest.fixture(scope="module")
async def databases(postgres: EmbeddedPostgres) -> AsyncIterator[tuple[str, str]]:
    """URLs of the databases of people and of cars. What the first does is counted."""
    for name in ("isolated_people", "isolated_cars"):
        postgres.create_database(name)
    people, cars = postgres.url("isolated_people"), postgres.url("isolated_cars")
    await run(
        people,
        "CREATE TABLE resident (handle bigint PRIMARY KEY, name text, number text UNIQUE)",
        "INSERT INTO resident SELECT n, 'name ' || n, 'N' || n FROM generate_series(1, 100) n",
        "ALTER DATABASE isolated_people SET log_statement = 'all'",
    )
    await run(
        cars,
        "CREATE TABLE vehicle (handle bigint PRIMARY KEY, plate text UNIQUE, owner text)",
        "INSERT INTO vehicle SELECT n, 'P' || n, 'N' || n FROM generate_series(1, 100) n",
    )
    yield people, cars
    for name in ("isolated_people", "isolated_cars"):
        postgres.drop_database(name)


async def run(url: str, *statements: str) -> list[Any]:
    connection = await asyncpg.connect(url)
    try:
        rows: list[Any] = []
        for statement in statements:
            rows = await connection.fetch(statement)
        return rows
    finally:
        await connection.close()


@asynccontextmanager
async def gateway(people: str, cars: str, *, seconds: float = PATIENCE, most: int = MOST) -> AsyncIterator[World]:
    """A gateway over both databases; nothing is left running when it is closed."""
    before = asyncio.all_tasks()
    resident = make_resource(
        "resident",
        [make_item("name"), make_item("number")],
        code="R/1",
        keys=[["number"]],
        namespace="public",
        relations=[make_relation("vehicles", "V/1", ["number"], ["owner"], inverse="keeper", many=True)],
    )
    vehicle = make_resource(
        "vehicle",
        [make_item("plate"), make_item("owner")],
        code="V/1",
        source="cars",
        namespace="public",
        provider=MARKET_REGULATION,
        relations=[make_relation("keeper", "R/1", ["owner"], ["number"], inverse="vehicles")],
    )
    sources = [
        Source("main", "人口", PUBLIC_SECURITY.code, "postgresql", Zone.EXTRANET, {"dsn": people}),
        Source(
            "cars", "车辆", MARKET_REGULATION.code, "postgresql", Zone.EXTRANET, {"dsn": cars, "pool": {"max": most}}
        ),
    ]
    world = World(make_snapshot([resident, vehicle], sources=sources), {}, limits=Limits(source_timeout=seconds))
    pool = SourcePool({}, room=Room(WAITING))
    world.gateway._sources = pool
    try:
        yield world
    finally:
        await pool.close()
    await until(lambda: not {task for task in asyncio.all_tasks() if "Wire." not in repr(task)} - before)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 (nothing tells of it)
            await asyncio.sleep(0.01)


async def until_true(condition: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(20):
        while not await condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def gate(world: World, source: str) -> gates.Gate:
    sources: SourcePool = world.gateway._sources
    return sources._latest[source][1].gate


async def activity(url: str) -> tuple[int, int]:
    """The gateway's connections to the database of `url`: how many there are, and how many do something."""
    ((number, busy),) = await run(
        url,
        "SELECT count(*), count(*) FILTER (WHERE state <> 'idle') FROM pg_stat_activity "
        "WHERE application_name = 'tanglai' AND datname = current_database()",
    )
    return number, busy


@contextmanager
def counted(server: EmbeddedPostgres) -> Iterator[list[str]]:
    """Fills the list with the reading statements that the server logged in the block."""
    log = server.data_dir / "server.log"
    before, found = log.stat().st_size, list[str]()
    yield found
    written = log.read_bytes()[before:].decode()
    found += [line for line in written.splitlines() if 'FROM "public"."resident"' in line and "DETAIL" not in line]


def nodes(answer: Answer, of: str) -> Any:
    return answer.data["data"]["population"][of]["nodes"]


def is_refused(answer: Answer) -> bool:
    """Whether the source was not asked, and the client is told when to try again."""
    (error,) = answer.errors
    assert answer.data["data"]["population"]["vehicles"] is None
    return error["extensions"]["code"] == "SOURCE_UNAVAILABLE" and "retryAfter" in error["extensions"]


async def test_300_that_wait_for_a_source_that_hangs(postgres: EmbeddedPostgres, databases: tuple[str, str]) -> None:
    people, cars = databases
    async with wire(cars) as (line, through), gateway(people, through) as world:
        assert nodes(await world.ask(CARS), "vehicles") == PLATES
        assert nodes(await world.ask(PEOPLE), "residents") == RESIDENTS
        line.hang()
        asked = [asyncio.create_task(world.ask(CARS)) for _ in range(300)]
        await until(lambda: sum(task.done() for task in asked) == 300 - MOST - WAITING)
        assert (gate(world, "cars").running, gate(world, "cars").waiting) == (MOST, WAITING)
        assert all(is_refused(task.result()) for task in asked if task.done())

        with counted(postgres) as statements:
            answers = await asyncio.gather(*(world.ask(PEOPLE) for _ in range(40)))
        assert [nodes(answer, "residents") for answer in answers] == [RESIDENTS] * 40
        assert [answer.errors for answer in answers] == [[]] * 40
        assert len(statements) == 40
        connections, busy = await activity(people)
        assert connections <= 8
        assert busy == 0

        # Those of them that had to wait took their places from those who wait for the other source.
        assert gate(world, "cars").waiting == WAITING - 32
        more = [asyncio.create_task(world.ask(CARS)) for _ in range(40)]
        await until(lambda: sum(task.done() for task in more) == 8)

        with counted(postgres) as statements:
            joined = await world.ask(BOTH)
        assert [node["name"] for node in nodes(joined, "residents")] == [node["name"] for node in RESIDENTS]
        assert [node["vehicles"] for node in nodes(joined, "residents")] == [None] * 5
        assert [error["extensions"]["retryAfter"] for error in joined.errors] == [1]
        assert len(statements) == 1

        line.go_on()
        answers = [await task for task in [*asked, *more]]
        assert all(answer.errors == [] or is_refused(answer) for answer in answers)
        assert sum(answer.errors == [] for answer in answers) == MOST + WAITING
        assert line.most <= MOST
        assert gate(world, "cars").idle
        assert nodes(await world.ask(CARS), "vehicles") == PLATES
    assert await activity(people) == (0, 0)
    await until_true(lambda: none_left(cars))


async def none_left(url: str) -> bool:
    return await activity(url) == (0, 0)


async def test_a_join_holds_nothing_of_the_source_that_has_answered(databases: tuple[str, str]) -> None:
    people, cars = databases
    async with wire(cars) as (line, through), gateway(people, through) as world:
        assert nodes(await world.ask(CARS), "vehicles") == PLATES
        line.hang()
        joined = asyncio.create_task(world.ask(BOTH))
        await until(lambda: gate(world, "cars").running == 1)
        assert gate(world, "main").idle
        assert await activity(people) == (1, 0)
        line.go_on()
        assert [len(node["vehicles"]["nodes"]) for node in nodes(await joined, "residents")] == [1] * 5


async def test_requests_that_are_cancelled_give_everything_back(databases: tuple[str, str]) -> None:
    people, cars = databases
    async with gateway(people, cars) as world:
        locking = await asyncpg.connect(cars)
        await world.ask(CARS)
        async with locking.transaction():
            await locking.execute("LOCK TABLE vehicle IN ACCESS EXCLUSIVE MODE")
            asked = [asyncio.create_task(world.ask(CARS)) for _ in range(20)]
            await until_true(lambda: all_busy(cars))
            assert (gate(world, "cars").running, gate(world, "cars").waiting) == (MOST, 12)
            for task in asked:
                task.cancel()
            await asyncio.wait(asked)
            assert gate(world, "cars").idle
            await until_true(lambda: all_idle(cars))  # though the table is locked still
        await locking.close()
        connections, _ = await activity(cars)
        assert 1 <= connections <= MOST
        answers = await asyncio.gather(*(world.ask(CARS) for _ in range(20)))
        assert [nodes(answer, "vehicles") for answer in answers] == [PLATES] * 20
        assert (await activity(cars))[0] <= MOST


async def all_busy(url: str) -> bool:
    return await activity(url) == (MOST, MOST)


async def all_idle(url: str) -> bool:
    return (await activity(url))[1] == 0


async def test_departments_take_turns_at_a_source(databases: tuple[str, str]) -> None:
    people, cars = databases
    over: list[str] = []

    async def ask(world: World, name: str) -> None:
        who = requester(department=PUBLIC_SECURITY) if name == "one" else requester()
        assert nodes(await world.ask(CARS, who=who), "vehicles") == PLATES
        over.append(name)

    async with gateway(people, cars, most=1) as world:
        locking = await asyncpg.connect(cars)
        await world.ask(CARS)
        async with locking.transaction():
            await locking.execute("LOCK TABLE vehicle IN ACCESS EXCLUSIVE MODE")
            flood = [asyncio.create_task(ask(world, "flood")) for _ in range(30)]
            await until(lambda: gate(world, "cars").waiting == 29)
            one = asyncio.create_task(ask(world, "one"))
            await until(lambda: gate(world, "cars").waiting == 30)
        await asyncio.gather(*flood, one)
        await locking.close()
    assert over.index("one") == 2  # after the one that ran and the one whose turn it was


async def test_a_source_that_does_not_answer_is_spared_until_it_does(
    databases: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    people, cars = databases
    monkeypatch.setattr(gates, "PAUSE_SECONDS", PATIENCE)
    async with wire(cars) as (line, through), gateway(people, through, seconds=0.2) as world:
        line.hang()  # before there is any connection
        answers = await asyncio.gather(*(world.ask(CARS) for _ in range(MOST)))
        assert [answer.codes for answer in answers] == [["SOURCE_TIMEOUT"]] * MOST
        assert not gate(world, "cars").allowed
        connected = line.most
        first = asyncio.create_task(world.ask(CARS))
        await until(lambda: gate(world, "cars").waiting == 1)
        answers = [await world.ask(CARS) for _ in range(20)]
        assert all(is_refused(answer) for answer in answers)
        assert (await first).codes == ["SOURCE_TIMEOUT"]
        assert line.most == connected
        line.go_on()
        monkeypatch.setattr(gates, "PAUSE_SECONDS", 0.01)
        gate(world, "cars")._try()
        assert nodes(await world.ask(CARS), "vehicles") == PLATES
        assert gate(world, "cars").allowed == MOST


async def test_interfaces_that_hang(interface_url: str) -> None:
    name = Column("name", ScalarType.TEXT)
    query = SourceQuery("web", None, "paged/people", (RawOutput(name),), options={"items": "data.items"}, max_rows=100)
    async with wire(interface_url) as (line, through):
        options = {"url": through, "token": "right", "connections": 3, "pool": {"waiting": 5}}
        source = Source("web", "接口", PUBLIC_SECURITY.code, "http", Zone.EXTRANET, options)
        pool = SourcePool({})
        web = pool.connector(source)
        expected = await web.fetch(query, {}, timeout=PATIENCE)
        assert expected
        line.hang()
        asked = [asyncio.create_task(web.fetch(query, {}, timeout=PATIENCE)) for _ in range(20)]
        await until(lambda: sum(task.done() for task in asked) == 12)
        assert {type(task.exception()).__name__ for task in asked if task.done()} == {"SourceBusy"}
        assert line.connections <= 3
        with pytest.raises(SourceBusy):
            await web.fetch(query, {}, timeout=PATIENCE)
        line.go_on()
        assert [await task for task in asked if not task.done() or task.exception() is None] == [expected] * 8
        line.hang()
        short = await asyncio.gather(*(web.fetch(query, {}, timeout=0.1) for _ in range(8)), return_exceptions=True)
        assert {type(error) for error in short} == {SourceTimeout}
        await pool.close()
        line.go_on()
        await until(lambda: line.connections == 0)


async def test_a_file_system_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds threads of its source alone, as many as that has, and queues nothing behind them."""
    go_on, hanging = threading.Event(), list[Path]()
    transcode = files_tables._transcode

    def slowly(path: Path, copy: Path, encoding: str) -> None:
        if path.parent.name == "hanging" and path.name != "0.csv":
            hanging.append(path)
            go_on.wait(PATIENCE)
        transcode(path, copy, encoding)

    monkeypatch.setattr(files_tables, "_transcode", slowly)
    monkeypatch.setattr(files, "_CLOSE_SECONDS", 0.05)
    for folder in ("hanging", "good"):
        (tmp_path / folder).mkdir()
        for number in range(5):
            (tmp_path / folder / f"{number}.csv").write_text("name\nAnna\n")

    def query(number: int) -> SourceQuery:
        return SourceQuery("files", None, f"{number}.csv", (RawOutput(Column("name", ScalarType.TEXT)),))

    def options(folder: str) -> dict[str, Any]:
        return {"folder": str(tmp_path / folder), "workers": 2}

    pool = SourcePool({})
    bad, good = (
        pool.connector(Source(folder, "文件", PUBLIC_SECURITY.code, "files", Zone.EXTRANET, options(folder)))
        for folder in ("hanging", "good")
    )
    inner: Any = bad
    connector: FilesConnector = inner._connector
    try:
        assert await bad.fetch(query(0), {}, timeout=PATIENCE) == [("Anna",)]
        for _ in range(3):
            asked = [bad.fetch(query(number), {}, timeout=0.05) for number in range(1, 5)]
            for error in await asyncio.gather(*asked, return_exceptions=True):
                assert isinstance(error, SourceTimeout | SourceUnavailable)
        assert len(hanging) == 2
        assert connector._executor._work_queue.qsize() == 0
        assert await good.fetch(query(0), {}, timeout=PATIENCE) == [("Anna",)]
        await pool.close()  # waits no longer than it says
        assert len(connector._running) == 2
    finally:
        go_on.set()
    await until(lambda: not connector._running)
