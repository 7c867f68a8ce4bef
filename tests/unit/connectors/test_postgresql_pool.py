"""Connections of a source: taken, given back, waited for in turn, given up."""

import asyncio

import pytest

from connectors import postgresql_pool
from connectors.postgresql_pool import ConnectionPool


class Wire:
    """A connection; `broken` makes the statement that recovers it fail."""

    def __init__(self) -> None:
        self.ended = False
        self.broken = False

    def is_closed(self) -> bool:
        return self.ended

    def terminate(self) -> None:
        self.ended = True

    async def close(self, timeout: float) -> None:
        self.ended = True

    async def execute(self, text: str) -> None:
        await asyncio.sleep(0)
        if self.broken:
            raise ConnectionResetError


class Server:
    def __init__(self) -> None:
        self.wires: list[Wire] = []
        self.up = True

    async def connect(self) -> Wire:
        await asyncio.sleep(0)
        if not self.up:
            raise ConnectionRefusedError
        self.wires.append(Wire())
        return self.wires[-1]

    @property
    def live(self) -> int:
        return sum(not wire.ended for wire in self.wires)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_connections_are_used_again() -> None:
    server = Server()
    pool = ConnectionPool(server.connect, 2)
    first, second = await pool.acquire(), await pool.acquire()
    pool.release(first)
    pool.release(second)
    assert await pool.acquire() is second
    assert await pool.acquire() is first
    assert len(server.wires) == 2


async def test_callers_wait_in_turn() -> None:
    server = Server()
    pool = ConnectionPool(server.connect, 1)
    wire = await pool.acquire()
    served: list[int] = []

    async def call(number: int) -> None:
        taken = await pool.acquire()
        served.append(number)
        await asyncio.sleep(0)
        pool.release(taken)

    calls = [asyncio.create_task(call(number)) for number in range(4)]
    await settle()
    assert served == []
    calls[1].cancel()
    pool.release(wire)
    late = asyncio.create_task(call(9))
    await asyncio.gather(*calls, late, return_exceptions=True)
    assert served == [0, 2, 3, 9]
    assert len(server.wires) == 1


async def test_what_was_given_to_a_cancelled_caller_goes_on() -> None:
    server = Server()
    pool = ConnectionPool(server.connect, 1)
    for expire in (False, True):
        wire = await pool.acquire()
        first, second = asyncio.create_task(pool.acquire()), asyncio.create_task(pool.acquire())
        await settle()
        if expire:
            pool.expire()
        pool.release(wire)
        first.cancel()
        taken = await second
        assert (taken is wire) is not expire
        pool.release(taken)
    assert server.live == 1


async def test_closed_connections_are_replaced() -> None:
    server = Server()
    pool = ConnectionPool(server.connect, 1)
    wire = await pool.acquire()
    pool.release(wire)
    wire.terminate()
    assert await pool.acquire() is server.wires[1]
    server.wires[1].terminate()
    waiting = asyncio.create_task(pool.acquire())
    await settle()
    pool.release(server.wires[1])
    assert await waiting is server.wires[2]


async def test_a_server_that_is_down_blocks_nobody() -> None:
    server = Server()
    pool = ConnectionPool(server.connect, 1)
    server.up = False
    calls = [asyncio.create_task(pool.acquire()) for _ in range(3)]
    assert [type(done) for done in await asyncio.gather(*calls, return_exceptions=True)] == [ConnectionRefusedError] * 3
    server.up = True
    assert await pool.acquire() is server.wires[0]


async def test_expired_connections_end_when_they_come_back() -> None:
    server = Server()
    pool = ConnectionPool(server.connect, 3)
    used, idle = await pool.acquire(), await pool.acquire()
    pool.release(idle)
    pool.expire()
    assert (used.ended, idle.ended) == (False, True)
    pool.release(used)
    assert used.ended
    assert await pool.acquire() is server.wires[2]


@pytest.mark.parametrize("broken", [False, True])
async def test_a_failed_connection_is_used_again_if_it_still_answers(broken: bool) -> None:
    server = Server()
    pool = ConnectionPool(server.connect, 1)
    wire = await pool.acquire()
    wire.broken = broken
    pool.recover(wire)
    assert (await pool.acquire() is wire) is not broken
    assert wire.ended is broken


async def test_idle_connections_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgresql_pool, "IDLE_SECONDS", 0.01)
    server = Server()
    pool = ConnectionPool(server.connect, 2)
    first, second = await pool.acquire(), await pool.acquire()
    pool.release(first)
    async with asyncio.timeout(10):
        while not first.ended:  # noqa: ASYNC110 (the timer tells nobody)
            await asyncio.sleep(0.005)
    assert not second.ended
    assert await pool.acquire() is server.wires[2]


async def test_closing() -> None:
    server = Server()
    pool = ConnectionPool(server.connect, 3)
    idle, used, failed = [await pool.acquire() for _ in range(3)]
    pool.release(idle)
    pool.recover(failed)
    await pool.close()
    assert (idle.ended, failed.ended, used.ended) == (True, True, False)
    pool.release(used)
    assert server.live == 0
